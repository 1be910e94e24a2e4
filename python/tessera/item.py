# SPDX-License-Identifier: MIT
"""Header, Item and Stream: what a token file holds, as Python objects with numpy arrays."""
from __future__ import annotations

import dataclasses
from typing import Any, Optional, Union

import numpy as np

from . import errors
from ._core import c_text, ffi, lib, names, text, value_of, word_of

#: Value of an attribute: text, integer of 64 bits, or bytes.
AttributeValue = Union[str, int, bytes]


def from_struct(data) -> dict[str, Any]:
    """The fields of a C struct: texts, numbers, tuples; enumerations as their words."""
    if ffi.typeof(data).kind == "pointer":
        data = data[0]
    result: dict[str, Any] = {}
    for name, field in ffi.typeof(data).fields:
        value = getattr(data, name)
        if field.type.kind == "enum":
            value = word_of(field.type.cname, value)
        elif field.type.kind == "array" and field.type.item.cname == "char":
            value = text(value)
        elif field.type.kind == "array":
            value = tuple(value)
        elif field.type.kind == "struct":
            value = from_struct(value)
        elif field.type.kind == "pointer":
            continue
        result[name] = value
    return result


def to_struct(data, values: dict[str, Any]) -> None:
    """Sets fields of a C struct from what from_struct made. ArgumentError for what does not fit."""
    fields = dict(ffi.typeof(data).fields)
    for name, value in values.items():
        kind = fields[name].type
        try:
            if kind.kind == "enum":
                setattr(data, name, value_of(kind.cname, name, value))
            elif kind.kind == "array" and kind.item.cname == "char":
                encoded = value.encode("utf-8", "surrogateescape")
                if len(encoded) >= kind.length or b"\0" in encoded:
                    raise ValueError(f"wanted below {kind.length} bytes")
                setattr(data, name, encoded)
            elif kind.kind == "array":
                setattr(data, name, list(value))
            elif kind.kind == "struct":
                to_struct(getattr(data, name), value)
            else:
                setattr(data, name, value)
        except (IndexError, OverflowError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, errors.Error):
                raise
            raise errors.ArgumentError(f"{name}: wanted {kind.cname}, got {value!r}: {error}") from None


@dataclasses.dataclass(frozen=True)
class Header:
    """What made the tokens of a file and how they are arranged. Fields are those of tsr_token_header in
    tessera/tokens.h, with enumerations as words ("grid", "crop")."""

    tokenizer: str
    family: int
    weights_hash: int = 0
    codebook_size: int = 0
    channels: int = 0
    latent_type: str = "f32"
    levels: tuple[int, ...] = ()
    geometry: str = "grid"
    rows: int = 1
    columns: int = 1
    frames: int = 0
    tile_frames: int = 0
    nested: bool = False
    tile_width: int = 256
    tile_height: int = 256
    fit: str = "stretch"
    filter: int = 2
    background: tuple[int, int, int] = (255, 255, 255)
    hints: Optional[dict[str, Any]] = None

    @property
    def positions(self) -> int:
        """Positions of a tile: rows * columns, of a tokenizer of video times its frames."""
        return self.rows * self.columns * max(self.frames, 1)

    @property
    def id_dtype(self) -> np.dtype:
        """Smallest of uint16 and uint32 that holds every id."""
        return np.dtype(np.uint16 if self.codebook_size <= 1 << 16 else np.uint32)

    @classmethod
    def from_c(cls, data) -> "Header":
        values = from_struct(data)
        values["levels"] = values["levels"][:values.pop("level_count")]
        values["nested"] = bool(values["nested"])
        values["hints"] = values["hints"] if values["hints"].pop("present") else None
        return cls(**values)

    def to_c(self):
        """A new tsr_token_header *."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["level_count"] = len(self.levels)
        values["hints"] = dict(self.hints, present=1) if self.hints else {"present": 0}
        data = ffi.new("tsr_token_header *")
        to_struct(data[0], values)
        return data


#: Scalar fields of an item beside its key, as in tsr_token_item.
GEOMETRY = ("source_width", "source_height", "orientation", "width", "height", "crop_x", "crop_y",
            "tile_columns", "tile_rows", "frames", "overlap")
_SCALARS = GEOMETRY + ("time", "quality")


def own_array(pointer, count: int, dtype) -> np.ndarray:
    """A copy of a C array."""
    if not count or pointer == ffi.NULL:
        return np.zeros(count, dtype)
    dtype = np.dtype(dtype)
    return np.frombuffer(ffi.buffer(pointer, count * dtype.itemsize), dtype).copy()


def whole_numbers(values: Any, field: str, limit: int) -> np.ndarray:
    """`values` as contiguous uint32; ArgumentError for floats and numbers outside 0 .. limit - 1."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(array.shape, np.uint32)
    if array.dtype.kind not in "iu":
        raise errors.ArgumentError(f"{field}: wanted integers, got {array.dtype}")
    if array.dtype != np.uint32 or limit < 1 << 32:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= limit:
            raise errors.ArgumentError(f"{field}: wanted 0 to {limit - 1}, got {low if low < 0 else high}")
    return np.ascontiguousarray(array, np.uint32)


@dataclasses.dataclass
class Stream:
    """A named grid of ids beside an item's own, tsr_token_stream of tessera/tokens.h: the index map of a clip, say.

    ids -- uint32 [frames, rows, columns]
    codebook -- float32 [codebook_size, channels], or None
    codebook_type -- how it is stored: "f32", "f16", "int8"
    newline -- float32 [channels] or None
    gains -- float32 [frames, rows, columns] or None
    finer -- number of the finer stream from 1, 0: none; finer_grid -- its frames, rows and columns
    window -- finer cells in one, by axis; or else map -- uint32 of finer_grid's shape, TSR_NO_CELL: dropped
    """

    name: str
    ids: np.ndarray
    codebook_size: int
    source: str = ""
    weights_hash: int = 0
    codebook: Optional[np.ndarray] = None
    codebook_type: str = "f32"
    newline: Optional[np.ndarray] = None
    gains: Optional[np.ndarray] = None
    finer: int = 0
    finer_grid: tuple[int, int, int] = (0, 0, 0)
    window: tuple[int, int, int] = (0, 0, 0)
    map: Optional[np.ndarray] = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        pairs = [(getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self)]
        return all(np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray)
                   else mine is theirs or (not isinstance(mine, np.ndarray) and not isinstance(theirs, np.ndarray)
                                           and mine == theirs) for mine, theirs in pairs)

    @classmethod
    def from_c(cls, data) -> "Stream":
        """A copy of a tsr_token_stream."""
        grid = (data.frames, data.rows, data.columns)
        finer = (data.finer_frames, data.finer_rows, data.finer_columns)

        def array(pointer, shape, dtype):
            if pointer == ffi.NULL:
                return None
            return own_array(pointer, int(np.prod(shape, dtype=np.uint64)), dtype).reshape(shape)

        return cls(name=text(data.name), source=text(data.source), weights_hash=data.weights_hash,
                   codebook_size=data.codebook_size, codebook_type=word_of("tsr_codebook_type", data.codebook_type),
                   ids=array(data.ids, grid, np.uint32), gains=array(data.gains, grid, np.float32),
                   codebook=array(data.codebook, (data.codebook_size, data.channels), np.float32),
                   newline=array(data.newline, (data.channels,), np.float32), finer=data.finer, finer_grid=finer,
                   window=tuple(data.window), map=array(data.map, finer, np.uint32))

    def fill(self, data, keep: list[Any]) -> None:
        """Fills a tsr_token_stream; `keep` gets what must stay alive as long as it is used."""
        def array(values, shape, dtype, field):
            if values is None:
                return ffi.NULL
            values = (whole_numbers(values, field, 1 << 32) if dtype is np.uint32
                      else np.ascontiguousarray(values, dtype))
            if values.shape != shape:
                raise errors.ArgumentError(f"stream {self.name}: {field}: wanted shape {shape}, got {values.shape}")
            keep.append(values)
            return ffi.from_buffer("uint32_t[]" if dtype is np.uint32 else "float[]", values)

        grid = np.shape(self.ids)
        if len(grid) != 3:
            raise errors.ArgumentError(f"stream {self.name}: ids: wanted frames x rows x columns, got {grid}")
        channels = 0 if self.codebook is None else int(np.shape(self.codebook)[-1])
        name, source = ffi.new("char[]", c_text(self.name)), ffi.new("char[]", c_text(self.source))
        keep += [name, source]
        data.name, data.source = name, source
        to_struct(data, {"frames": grid[0], "rows": grid[1], "columns": grid[2], "channels": channels,
                         "weights_hash": self.weights_hash, "codebook_size": self.codebook_size,
                         "codebook_type": self.codebook_type, "finer": self.finer, "window": self.window,
                         "finer_frames": self.finer_grid[0], "finer_rows": self.finer_grid[1],
                         "finer_columns": self.finer_grid[2]})
        data.ids = array(self.ids, grid, np.uint32, "ids")
        data.codebook = array(self.codebook, (self.codebook_size, channels), np.float32, "codebook")
        data.newline = array(self.newline, (channels,), np.float32, "newline")
        data.gains = array(self.gains, grid, np.float32, "gains")
        data.map = array(self.map, tuple(self.finer_grid), np.uint32, "map")


@dataclasses.dataclass
class Item:
    """The tokens of one picture.

    key -- its name
    ids -- uint32 [n], tile after tile; None for vectors
    counts -- uint32 [tiles], tokens of each tile, row by row
    latents -- float32 [n, channels] vectors; None for ids
    kept -- uint8 [tiles, bytes], a bit for each position that has a token; None: the first counts[t]
    attributes -- texts, integers and bytes by name
    streams -- Stream objects: further grids of ids, such as the index map of a clip
    The other fields are those of tsr_token_item in tessera/tokens.h.
    """

    key: str
    ids: Optional[np.ndarray]
    counts: np.ndarray
    latents: Optional[np.ndarray] = None
    kept: Optional[np.ndarray] = None
    source_width: int = 0
    source_height: int = 0
    orientation: int = 1
    width: int = 0
    height: int = 0
    crop_x: int = 0
    crop_y: int = 0
    tile_columns: int = 1
    tile_rows: int = 1
    frames: int = 0
    overlap: int = 0
    time: float = 0.0
    quality: float = 0.0
    target: Optional[dict[str, Any]] = None
    attributes: dict[str, AttributeValue] = dataclasses.field(default_factory=dict)
    streams: list[Stream] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        """Number of tokens."""
        return int(self.counts.sum())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        arrays = ("ids", "counts", "latents", "kept")
        return all(
            np.array_equal(mine, theirs) if field.name in arrays and mine is not None and theirs is not None
            else mine is theirs if field.name in arrays else mine == theirs
            for field in dataclasses.fields(self)
            for mine, theirs in [(getattr(self, field.name), getattr(other, field.name))])

    @classmethod
    def from_c(cls, data, header: Header) -> "Item":
        """A copy of a tsr_token_item."""
        tiles = data.tile_columns * data.tile_rows
        counts = own_array(data.counts, tiles, np.uint32)
        total = int(counts.sum())
        kept = None
        if data.kept != ffi.NULL:
            width = lib.tsr_token_mask_bytes(header.positions)
            kept = own_array(data.kept, tiles * width, np.uint8).reshape(tiles, width)
        return cls(
            key=text(data.key), counts=counts, kept=kept,
            ids=None if header.channels else own_array(data.ids, total, np.uint32),
            latents=own_array(data.latents, total * header.channels, np.float32).reshape(total, -1)
            if header.channels else None,
            target=from_struct(data.target) if data.target.metric else None,
            attributes=read_attributes(data.attributes, data.attribute_count),
            streams=[Stream.from_c(data.streams[i]) for i in range(data.stream_count)],
            **{name: getattr(data, name) for name in _SCALARS})

    def to_c(self, header: Header):
        """A new tsr_token_item *, and what must stay alive as long as it is used."""
        data = ffi.new("tsr_token_item *")
        key = ffi.new("char[]", c_text(self.key))
        counts = whole_numbers(self.counts, f"{self.key}: counts", 1 << 32).reshape(-1)
        keep: list[Any] = [key, counts]
        if counts.size != self.tile_columns * self.tile_rows:
            raise errors.ArgumentError(f"{self.key}: counts: wanted {self.tile_columns} x {self.tile_rows} "
                                       f"numbers, got {counts.size}")
        total = int(counts.sum(dtype=np.uint64))
        data.key = key
        data.counts = ffi.from_buffer("uint32_t[]", counts)
        if header.channels:
            latents = np.ascontiguousarray(self.latents, np.float32)
            self._want("latents", latents.size, total * header.channels)
            data.latents = ffi.from_buffer("float[]", latents)
            keep.append(latents)
        else:
            ids = whole_numbers(self.ids, f"{self.key}: ids", max(header.codebook_size, 1)).reshape(-1)
            self._want("ids", ids.size, total)
            data.ids = ffi.from_buffer("uint32_t[]", ids)
            keep.append(ids)
        if self.kept is not None:
            kept = np.ascontiguousarray(self.kept, np.uint8)
            self._want("kept", kept.size, counts.size * lib.tsr_token_mask_bytes(header.positions))
            data.kept = ffi.from_buffer("uint8_t[]", kept)
            keep.append(kept)
        to_struct(data[0], {name: getattr(self, name) for name in _SCALARS})
        if self.target:
            to_struct(data.target, self.target)
        data.attributes, data.attribute_count, kept_alive = write_attributes(self.attributes, self.key)
        keep.append(kept_alive)
        if self.streams:
            streams = ffi.new("tsr_token_stream[]", len(self.streams))
            for stream, one in zip(self.streams, streams):
                stream.fill(one, keep)
            data.streams, data.stream_count = streams, len(self.streams)
            keep.append(streams)
        return data, keep

    def _want(self, field: str, got: int, wanted: int) -> None:
        if got != wanted:
            raise errors.ArgumentError(f"{self.key}: {field}: wanted {wanted} numbers, got {got}")


def read_attributes(data, count: int) -> dict[str, AttributeValue]:
    """Attributes of an item or a file."""
    types = names("tsr_attribute_type")
    result: dict[str, AttributeValue] = {}
    for i in range(count):
        one = data[i]
        if one.type == types["integer"]:
            value: AttributeValue = one.integer
        else:
            value = bytes(ffi.buffer(ffi.cast("const char *", one.bytes), one.size)) if one.size else b""
            if one.type == types["text"]:
                value = value.decode("utf-8", "surrogateescape")
        result[text(one.name)] = value
    return result


def write_attributes(attributes: dict[str, AttributeValue], where: str):
    """A C array of attributes (NULL for none), its length, and what must stay alive with it."""
    if not attributes:
        return ffi.NULL, 0, None
    types = names("tsr_attribute_type")
    data = ffi.new("tsr_attribute[]", len(attributes))
    keep: list[Any] = [data]
    for one, (name, value) in zip(data, attributes.items()):
        named = ffi.new("char[]", c_text(name))
        keep.append(named)
        one.name = named
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            if not -(1 << 63) <= int(value) < 1 << 63:
                raise errors.ArgumentError(f"{where}: attribute {name!r}: wanted an integer of 64 bits, got {value}")
            one.type, one.integer = types["integer"], int(value)
            continue
        if isinstance(value, str):
            one.type, raw = types["text"], value.encode("utf-8", "surrogateescape")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            one.type, raw = types["bytes"], bytes(value)
        else:
            raise errors.ArgumentError(f"{where}: attribute {name!r}: wanted text, an integer or bytes, "
                                       f"got {type(value).__name__}")
        buffer = ffi.new("char[]", raw or b"\0")
        keep.append(buffer)
        one.bytes, one.size = buffer, len(raw)
    return data, len(attributes), keep
