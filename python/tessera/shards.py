# SPDX-License-Identifier: MIT
"""Many token files as one sequence of items."""
from __future__ import annotations

import bisect
import os
import re
from collections import OrderedDict
from typing import Any, Callable, Iterable, Union

from . import errors
from ._core import Forked
from .item import Header
from .token_file import PathLike, TokenFile, open as open_file

_OPEN_FILES = 64


def natural(path: str) -> list[Any]:
    """Sorts shard-9 before shard-10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path) if part]


def token_files(sources: Union[PathLike, Iterable[PathLike]]) -> list[str]:
    """The token files that paths mean: a file is itself, a folder every .tess below it in natural order,
    hidden ones left out. NotFoundError where there is none."""
    if isinstance(sources, (str, bytes, os.PathLike)):
        sources = [sources]
    found: list[str] = []
    for source in sources:
        path = os.fsdecode(source)
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = []
        for folder, folders, files in os.walk(path):
            folders[:] = [each for each in folders if not each.startswith(".")]
            inside += [os.path.join(folder, each) for each in files if each.endswith(".tess") and each[0] != "."]
        if not inside:
            raise errors.NotFoundError(f"{path}: wanted a folder with .tess files, got none",
                                       errors.Status.ERROR_NOT_FOUND)
        found += sorted(inside, key=natural)
    return found


class Shards(Forked):
    """Token files of one tokenizer, opened when they are needed; a process opens its own.

    paths, counts -- of the files, and how many items each has
    starts -- number of the first item of each file, and the sum of all
    header -- `Header` of the first; the others have the same tokenizer, weights and codebook
    """

    def __init__(self, sources: Union[PathLike, Iterable[PathLike]]):
        super().__init__()
        self.paths = token_files(sources)
        self.counts: list[int] = []
        self._files: "OrderedDict[int, TokenFile]" = OrderedDict()
        self._readers: dict[tuple[int, Any], Callable[[int], Any]] = {}
        self.header: Header = None  # type: ignore[assignment]
        for path in self.paths:
            with open_file(path) as file:
                self._check(path, file.header)
                self.counts.append(len(file))
        if self.header is None:
            raise errors.ArgumentError("token files: wanted at least one, got none")
        self.starts = [0]
        for count in self.counts:
            self.starts.append(self.starts[-1] + count)

    def _check(self, path: str, header: Header) -> None:
        if self.header is None:
            self.header = header
        for field in ("tokenizer", "weights_hash", "codebook_size"):
            wanted, got = getattr(self.header, field), getattr(header, field)
            if wanted != got:
                raise errors.ModelError(f"{path}: {field}: wanted {wanted} as in {self.paths[0]}, got {got}",
                                        errors.Status.ERROR_MODEL_MISMATCH)

    def __len__(self) -> int:
        return self.starts[-1]

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__, _files=OrderedDict(), _readers={})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__.update(state)

    def _after_fork(self) -> None:
        self._files, self._readers = OrderedDict(), {}

    def file(self, shard: int) -> TokenFile:
        """An open file of this process; the least recently used one gives way."""
        file = self._files.get(shard)
        if file is None:
            file = open_file(self.paths[shard])
            if len(file) != self.counts[shard]:
                raise errors.FormatError(f"{self.paths[shard]}: items: wanted {self.counts[shard]} as when the "
                                         f"data set was made, got {len(file)}")
            self._files[shard] = file
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
                self._readers = {}
        elif len(self.paths) > _OPEN_FILES:
            self._files.move_to_end(shard)
        return file

    def row(self, index: int, dtype: Any) -> Any:
        """The ids of an item, [n]: TokenFile.row_reader of its file, which a process has for itself."""
        shard, number = self.place(index)
        reader = self._readers.get((shard, dtype))
        if reader is None:
            reader = self._readers[shard, dtype] = self.file(shard).row_reader(dtype)
        return reader(number)

    def place(self, index: int) -> tuple[int, int]:
        """Shard and number there of an item; IndexError outside, negative numbers count from the end."""
        total = self.starts[-1]
        if not 0 <= index < total:
            if not -total <= index < total:
                raise IndexError(f"item: wanted {-total} to {total - 1}, got {index}")
            index += total
        if len(self.paths) == 1:
            return 0, index
        shard = bisect.bisect_right(self.starts, index) - 1
        return shard, index - self.starts[shard]
