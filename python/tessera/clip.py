# SPDX-License-Identifier: MIT
"""Clips of token files: items that follow each other and are frames of one video, with their exact times."""
from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Optional, Union, overload

import numpy as np

from ._core import lib, text, word_of

_ASSUMED = {"matrix": lib.TSR_CLIP_ASSUMED_MATRIX, "range": lib.TSR_CLIP_ASSUMED_RANGE,
            "rate": lib.TSR_CLIP_ASSUMED_RATE, "times": lib.TSR_CLIP_ASSUMED_TIMES}


class ClipFrame(NamedTuple):
    """A frame of a clip: where it is in the file, and when it is shown."""

    number: int  #: in the clip, from 0
    item: Optional[int]  #: index of the item in the file; None: that item is lost
    decoded: int  #: number among the frames that the item decodes to, from 0
    pts: Optional[int]  #: when it is shown, in ticks of Clip.time_base; None: not known
    duration: Optional[int]  #: how long, in ticks; None: not known
    time: Optional[Fraction]  #: (pts - start) * time_base: seconds from the clip's start, exact; None: not known
    seconds: float  #: the same as the library has it: without a pts by the nominal rate; nan: not known


def fraction(value) -> Optional[Fraction]:
    """A tsr_rational; None for 0/0, which is "not known"."""
    return Fraction(value.num, value.den) if value.den else None


@dataclasses.dataclass(frozen=True, eq=False)
class Clip(Sequence):
    """A clip of an open token file: a sequence of `ClipFrame` in display order. Made by `TokenFile.clips`.

    clip[3], clip[-1]   -- one frame
    clip[10:20]         -- a list of frames
    for frame in clip   -- every frame
    len(clip)           -- number of frames, with those of items that are lost

    number -- of the clip in its file
    name -- of the source: its file name
    time_base -- seconds of a tick
    start -- pts of the first frame that the source shows; seconds count from here
    rate -- nominal frames a second, None: not known; it says nothing about the times of the frames
    items -- range of the items of the file that are its frames
    assumed -- what the source did not say: of "matrix", "range", "rate", "times"
    The other fields are those of tsr_token_clip in tessera/tokens.h; None stands for "not known".
    """

    number: int
    name: str
    time_base: Fraction
    start: int
    rate: Optional[Fraction]
    source_frames: Optional[int]
    coded_width: Optional[int]
    coded_height: Optional[int]
    rotation: int
    mirrored: bool
    sample_aspect: Optional[Fraction]
    fields: str
    deinterlaced: bool
    sound_dropped: bool
    matrix: int
    range: int
    primaries: int
    transfer: int
    assumed: tuple[str, ...]
    group: int
    items: builtins.range
    frames: int
    lost_items: int
    _file: Any = dataclasses.field(repr=False)

    @classmethod
    def from_c(cls, number: int, data, file: Any) -> "Clip":
        """A copy of the tsr_token_clip of that number of a TokenFile."""
        return cls(number=number, name=text(data.name), time_base=Fraction(data.time_base.num, data.time_base.den),
                   start=data.start, rate=fraction(data.rate), source_frames=data.source_frames or None,
                   coded_width=data.coded_width or None, coded_height=data.coded_height or None,
                   rotation=data.rotation, mirrored=bool(data.mirrored), sample_aspect=fraction(data.sample_aspect),
                   fields=word_of("tsr_clip_fields", data.fields), deinterlaced=bool(data.deinterlaced),
                   sound_dropped=bool(data.sound_dropped), matrix=data.matrix, range=data.range,
                   primaries=data.primaries, transfer=data.transfer,
                   assumed=tuple(word for word, bit in _ASSUMED.items() if data.assumed & bit), group=data.group,
                   items=range(data.first_item, data.first_item + data.items), frames=data.frames,
                   lost_items=data.lost_items, _file=file)

    def __len__(self) -> int:
        return self.frames

    def __eq__(self, other: object) -> bool:
        """Whether all facts are equal and all frames are."""
        if not isinstance(other, Clip):
            return NotImplemented
        return all(getattr(self, field.name) == getattr(other, field.name) for field in dataclasses.fields(self)
                   if field.name != "_file") and all(
                       mine[:6] == theirs[:6] for mine, theirs in zip(self, other))

    __hash__ = None  # type: ignore[assignment]

    def _frame(self, number: int) -> ClipFrame:
        place = self._file._clip_place(self.number, number)
        pts = None if place.time.pts == lib.TSR_NO_PTS else place.time.pts
        return ClipFrame(number, None if place.item == lib.TSR_NO_ITEM else place.item, place.decoded, pts,
                         place.time.duration or None, None if pts is None else (pts - self.start) * self.time_base,
                         place.seconds)

    @overload
    def __getitem__(self, which: int) -> ClipFrame: ...

    @overload
    def __getitem__(self, which: slice) -> list[ClipFrame]: ...

    def __getitem__(self, which: Union[int, slice]):
        if isinstance(which, slice):
            return [self._frame(i) for i in range(*which.indices(self.frames))]
        number = which.__index__()
        if not -self.frames <= number < self.frames:
            raise IndexError(f"clip {self.name!r}: frame: wanted {-self.frames} to {self.frames - 1}, got {number}")
        return self._frame(number % self.frames)

    def at(self, seconds: Union[float, Fraction]) -> ClipFrame:
        """The frame that is on screen so many seconds from the clip's start: the last one that is not later, or
        the first when all are. Raises NotFoundError where no frame has a time, ArgumentError for a nan."""
        return self._frame(self._file._clip_at(self.number, float(seconds)))

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of all frames from the clip's start: float64 [frames], nan where none is known."""
        return np.fromiter((frame.seconds for frame in self), np.float64, self.frames)

    @property
    def constant_rate(self) -> Optional[Fraction]:
        """Frames a second, if all frames follow each other in equal steps; None: they do not, or there are
        fewer than two."""
        pts = [frame.pts for frame in self]
        if len(pts) < 2 or None in pts or pts[1] == pts[0]:
            return None
        step = pts[1] - pts[0]
        equal = all(b - a == step for a, b in zip(pts, pts[1:]))
        return 1 / (step * self.time_base) if equal and step > 0 else None
