# SPDX-License-Identifier: MIT
"""Token files (.tess): `open` reads one, `write` makes one. No model is needed."""
from __future__ import annotations

import os
import threading
import warnings
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Union, overload

import numpy as np

from . import errors
from ._core import Context, Forked, c_path, c_text, ffi, lib, text
from .clip import Clip
from .item import AttributeValue, Header, Item, from_struct, read_attributes, write_attributes

PathLike = Union[str, bytes, "os.PathLike[Any]"]
_ID_TYPES = {np.dtype(np.uint16): 2, np.dtype(np.uint32): 4, np.dtype(np.int64): 8}


class TokenFile(Forked):
    """An open token file: a sequence of `Item`. Made by `tessera.open`.

    file[3], file[-1]   -- one item
    file[10:20]         -- a list of items
    file["photo.png"]   -- the first item of that key; KeyError when there is none. Fast in a file with
                           an index of keys (info["key_index"]), else every item is looked at once
    for item in file    -- every item, in order
    len(file)           -- number of items

    header -- `Header`: what made the tokens
    attributes -- of the whole file: texts, integers and bytes by name
    clips -- `Clip` objects: which items are frames of which video, with their times
    info -- sizes, counts and state, as in tsr_token_file_info of tessera/tokens.h
    path -- as it was given

    Any thread may use it; calls take turns. It can be pickled (the copy opens the file again) and used
    after a fork. An item whose attributes are damaged comes without them, with a warning. Close it, or use
    it in a `with` block.
    """

    def __init__(self, source: Union[PathLike, bytearray, memoryview], name: Optional[str] = None):
        super().__init__()
        self.path = source
        self._name = name
        self._keys: Optional[dict[str, int]] = None
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._context = Context(threads=1)
        self._slot = ffi.new("tsr_token_file **")
        if isinstance(self.path, (bytearray, memoryview)):
            self._bytes = ffi.from_buffer(self.path)
            name = ffi.NULL if self._name is None else ffi.new("char[]", c_path(self._name))
            status = lib.tsr_token_file_parse(self._context.pointer, self._slot, name, self._bytes,
                                              len(self._bytes))
        else:
            status = lib.tsr_token_file_open(self._context.pointer, self._slot, c_path(self.path))
        try:
            self._context.check(status)
        except errors.Error:
            self._context.close()
            raise
        self.header: Header = Header.from_c(lib.tsr_token_file_header(self._slot[0]))
        self.info: dict[str, Any] = from_struct(lib.tsr_token_file_properties(self._slot[0]))
        for flag in ("recovered", "key_index"):
            self.info[flag] = bool(self.info[flag])
        count = ffi.new("uint32_t *")
        attributes = lib.tsr_token_file_attributes(self._slot[0], count)
        self.attributes: dict[str, AttributeValue] = read_attributes(attributes, count[0])

    def _after_fork(self) -> None:
        # A call of another thread may have been cut in two: what the child has then is not used again.
        if self._slot[0] == ffi.NULL:
            return
        held = self._lock.locked()
        self._lock = threading.Lock()
        if held:
            self._open()

    def __reduce__(self):
        if isinstance(self.path, (bytearray, memoryview)):
            return TokenFile, (bytearray(self.path), self._name)
        return TokenFile, (self.path,)

    def close(self) -> None:
        """Closes the file. Every later use raises ValueError."""
        with self._lock:
            lib.tsr_token_file_close(self._slot)
            self._context.close()
            self._bytes = None

    def __enter__(self) -> "TokenFile":
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_slot", None) is not None and ffi is not None and self._slot[0] != ffi.NULL:
            lib.tsr_token_file_close(self._slot)
            self._context.close()

    def __repr__(self) -> str:
        return f"<tessera.TokenFile {self.path!r}: {len(self)} items of {self.header.tokenizer}>"

    @property
    def _file(self):
        if self._slot[0] == ffi.NULL:
            raise ValueError(f"{self.path!r}: the token file is closed")
        return self._slot[0]

    def __len__(self) -> int:
        return self.info["items"]

    def _item(self, index: int) -> Item:
        data = ffi.new("tsr_token_item *")
        with self._lock:
            self._context.check(lib.tsr_token_file_item(self._file, index, data))
            item = Item.from_c(data, self.header)
            damage = ffi.new("tsr_token_damage *")
            lost = text(damage.detail) if lib.tsr_token_file_item_lost(self._file, damage) else ""
        if lost:  # the item itself is whole
            warnings.warn(lost, stacklevel=3)
        return item

    @overload
    def __getitem__(self, which: Union[int, str]) -> Item: ...

    @overload
    def __getitem__(self, which: slice) -> list[Item]: ...

    def __getitem__(self, which):
        if isinstance(which, str):
            index = self.find(which)
            if index is None:
                raise KeyError(which)
            return self._item(index)
        if isinstance(which, slice):
            return [self._item(i) for i in range(*which.indices(len(self)))]
        return self._item(self._index(which))

    def _index(self, index: Any) -> int:
        number = index.__index__()
        if not -len(self) <= number < len(self):
            raise IndexError(f"{self.path!r}: item: wanted {-len(self)} to {len(self) - 1}, got {number}")
        return number % len(self)

    def __iter__(self) -> Iterator[Item]:
        return (self._item(i) for i in range(len(self)))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.find(key) is not None

    def items(self, on_error: str = "raise", failures: Optional[list] = None) -> Iterator[Item]:
        """Every item in order. on_error="skip" leaves out those that are damaged and appends
        (index, Error) to `failures`."""
        if on_error not in ("raise", "skip"):
            raise errors.ArgumentError(f"on_error: wanted raise or skip, got {on_error!r}")
        for index in range(len(self)):
            try:
                item = self._item(index)
            except errors.Error as error:
                if on_error == "raise":
                    raise
                if failures is not None:
                    failures.append((index, error))
                continue
            yield item

    def find(self, key: str) -> Optional[int]:
        """Index of the first item of that key, or None: in microseconds by the file's index of keys; without
        one the first call reads every item and remembers the keys."""
        if self._keys is None and not self.info["key_index"]:
            self._keys = self._all_keys()
        if self._keys is not None:
            return self._keys.get(key)
        index = ffi.new("uint64_t *")
        with self._lock:
            status = lib.tsr_token_file_find(self._file, c_text(key), index)
            if status == lib.TSR_ERROR_NOT_FOUND:
                return None
            self._context.check(status)
        return index[0]

    def _all_keys(self) -> dict[str, int]:
        keys: dict[str, int] = {}
        data = ffi.new("tsr_token_item *")
        for index in range(len(self)):
            with self._lock:
                if lib.tsr_token_file_item(self._file, index, data) == lib.TSR_OK:
                    keys.setdefault(text(data.key), index)
        return keys

    def damage(self) -> list[tuple[int, str]]:
        """Damaged places that opening left out: (offset in bytes, what is wrong there)."""
        places = []
        data = ffi.new("tsr_token_damage *")
        with self._lock:
            for i in range(self.info["damaged"]):
                self._context.check(lib.tsr_token_file_damage(self._file, i, data))
                places.append((data.offset, text(data.detail)))
        return places

    # ---- clips ----

    @property
    def clips(self) -> list[Clip]:
        """The clips of the file, in order: items that are frames of a video. They read from the file, which
        must stay open."""
        found = []
        data = ffi.new("tsr_token_clip *")
        for index in range(self.info["clips"]):
            with self._lock:
                self._context.check(lib.tsr_token_file_clip(self._file, index, data))
                found.append(Clip.from_c(index, data, self))
        return found

    def clip_of(self, which: Union[int, str]) -> Optional[tuple[Clip, range]]:
        """The clip that an item (its index or key) belongs to, and the numbers of the frames in it that the item
        holds; None where it belongs to none."""
        item = self.find(which) if isinstance(which, str) else self._index(which)
        if item is None:
            raise KeyError(which)
        clip, first, count = ffi.new("uint64_t *"), ffi.new("uint64_t *"), ffi.new("uint32_t *")
        with self._lock:
            status = lib.tsr_token_file_item_clip(self._file, item, clip, first, count)
            if status == lib.TSR_ERROR_NOT_FOUND:
                return None
            self._context.check(status)
        return self.clips[clip[0]], range(first[0], first[0] + count[0])

    def _clip_place(self, clip: int, frame: int):
        place = ffi.new("tsr_clip_place *")
        with self._lock:
            self._context.check(lib.tsr_token_file_clip_frame(self._file, clip, frame, place))
        return place

    def _clip_at(self, clip: int, seconds: float) -> int:
        frame = ffi.new("uint64_t *")
        with self._lock:
            self._context.check(lib.tsr_token_file_clip_at(self._file, clip, seconds, frame))
        return frame[0]

    # ---- ids of many items ----

    def _id_type(self, dtype: Any) -> np.dtype:
        if not self.header.codebook_size:
            raise errors.ArgumentError(f"{self.path!r}: ids: wanted a file of ids, got vectors")
        chosen = self.header.id_dtype if dtype is None else np.dtype(dtype)
        if chosen not in _ID_TYPES:
            raise errors.ArgumentError(f"dtype: wanted uint16, uint32 or int64, got {chosen}")
        if chosen.itemsize == 2 and self.header.codebook_size > 1 << 16:
            raise errors.ArgumentError(f"dtype: wanted one that holds {self.header.codebook_size - 1}, got uint16")
        return chosen

    def _read(self, out: np.ndarray, first: int, count: int, indexes: Optional[np.ndarray], stride: int,
              padding: int, totals: Optional[np.ndarray]) -> int:
        """Fills `out` (contiguous, of a type of _id_type). Returns 0, or the number of ids of the item
        that did not fit, at which it stopped."""
        rows = ffi.new("tessera_rows *")
        view = ffi.from_buffer(out)
        rows.ids, rows.room, rows.stride = view, out.size, stride
        rows.id_bytes, rows.padding = out.itemsize, padding
        rows.first, rows.count = first, count
        if indexes is not None:
            rows.indexes = ffi.from_buffer("uint64_t[]", indexes)
        if totals is not None:
            rows.totals = ffi.from_buffer("uint64_t[]", totals)
        with self._lock:
            status = lib.tessera_read_rows(self._file, rows)
            if status == lib.TSR_ERROR_TOO_LARGE and rows.needed:
                return rows.needed
            self._context.check(status)
        return 0

    def ids(self, dtype: Any = None, pad: Optional[int] = None) -> np.ndarray:
        """The ids of all items, [items, n] with n the most ids of an item.

        dtype -- uint16, uint32 or int64; default: the smallest unsigned one that holds every id
        pad -- fills rows of items with fewer ids; without it, unequal items raise ArgumentError
        """
        return self.rows(range(len(self)), dtype, pad)

    def rows(self, indexes: Union[range, Sequence[int], np.ndarray], dtype: Any = None,
             pad: Optional[int] = None) -> np.ndarray:
        """The ids of some items in the order of `indexes`, [len(indexes), n]; else as `ids`."""
        chosen = self._id_type(dtype)
        if pad is not None and not np.iinfo(chosen).min <= pad <= np.iinfo(chosen).max:
            raise errors.ArgumentError(f"pad: wanted one that {chosen} holds, got {pad}")
        count = len(indexes)
        some = None
        if not (isinstance(indexes, range) and indexes.step == 1 and (not count or indexes.start >= 0)):
            some = np.fromiter((self._index(i) for i in indexes), np.uint64, count)
        first = int(indexes[0]) if some is None and count else 0
        if count and first + (0 if some is not None else count) > len(self):
            raise IndexError(f"{self.path!r}: item: wanted below {len(self)}, got {first + count - 1}")
        width, totals = self._likely_width(), np.zeros(count, np.uint64)
        while True:
            out = np.empty((count, width), chosen)
            needed = self._read(out, first, count, some, width, 0 if pad is None else pad, totals) if count else 0
            if not needed:
                break
            width = max(needed, 2 * width) if pad is not None else needed
        widest = int(totals.max()) if count else 0
        if pad is None and count and int(totals.min()) != widest:
            raise errors.ArgumentError(f"{self.path!r}: ids: wanted items of equally many ids or a padding, got "
                                       f"{int(totals.min())} to {widest}")
        return out if widest == width else np.ascontiguousarray(out[:, :widest])

    def _likely_width(self) -> int:
        items = max(len(self), 1)
        return max(1, -(-self.info["tokens"] // items))

    def flat(self, dtype: Any = None, first: int = 0, count: Optional[int] = None,
             indexes: Optional[np.ndarray] = None) -> tuple[np.ndarray, np.ndarray]:
        """The ids of `count` items from `first` on (default: all), or of `indexes`, one behind the other:
        ids [tokens], and offsets [count + 1] (uint64): the i-th is ids[offsets[i]:offsets[i + 1]]."""
        chosen = self._id_type(dtype)
        if indexes is not None:
            indexes = np.ascontiguousarray(indexes, np.uint64)
            if indexes.size and int(indexes.max()) >= len(self):
                raise IndexError(f"{self.path!r}: items: wanted below {len(self)}, got {int(indexes.max())}")
            first, count = 0, indexes.size
        count = len(self) - first if count is None else count
        if indexes is None and (first < 0 or count < 0 or first + count > len(self)):
            raise IndexError(f"{self.path!r}: items: wanted below {len(self)}, got {first} to {first + count - 1}")
        room = self.info["tokens"] if count == len(self) else self._likely_width() * count
        totals = np.zeros(count, np.uint64)
        while True:
            out = np.empty(room, chosen)
            needed = self._read(out, first, count, indexes, 0, 0, totals) if count else 0
            if not needed:
                break
            room = 2 * room + needed
        offsets = np.zeros(count + 1, np.uint64)
        np.cumsum(totals, out=offsets[1:])
        return out[:int(offsets[-1])], offsets

    def row(self, index: int, dtype: Any = None) -> np.ndarray:
        """The ids of one item, [n]: what `file[index].ids` is, without the rest of the item."""
        return self.row_reader(dtype)(self._index(index))

    def row_reader(self, dtype: Any = None) -> Callable[[int], np.ndarray]:
        """A function that is `row` for many calls: index, 0 .. len(file) - 1, to ids [n]."""
        chosen = self._id_type(dtype)
        size, width = chosen.itemsize, self._likely_width()
        slot, empty, view, read = self._slot, np.empty, ffi.from_buffer, lib.tessera_read_row

        def row(index: int) -> np.ndarray:
            nonlocal width
            while True:
                room, out = width, empty(width, chosen)
                with self._lock:
                    count = read(slot[0], index, size, view(out), room)
                    if count < 0:
                        self._file  # says when it is closed
                        self._context.check(-count)
                if count == room:
                    return out
                if count < room:
                    return out[:count].copy()
                width = max(width, count)
        return row


def open(source: Union[PathLike, bytearray, memoryview], name: Optional[str] = None) -> TokenFile:
    """Opens a token file: a path ("-" is stdin), or its bytes as bytearray or memoryview, which must not
    change while it is open; `name` then stands for the path in messages. A file that was cut or damaged
    opens with info["recovered"]. Raises NotFoundError, FileError, FormatError."""
    return TokenFile(source, name)


def write(path: PathLike, header: Header, items: Iterable[Item], *,
          attributes: Optional[dict[str, AttributeValue]] = None, key_index: bool = False, layer_tokens: int = 0,
          entropy: bool = True, keep_existing: bool = False) -> int:
    """Writes a token file and returns the number of items; it appears under `path` when it is complete.

    header -- of a tokenizer, of another file, or a new one
    items -- any iterable of `Item`; one is in memory at a time
    attributes -- of the whole file
    key_index -- write an index of the keys, 16 bytes an item, so that `find` takes microseconds
    layer_tokens -- nested ids: number of ids of a tile in the first layer; 0: one layer
    entropy -- code tokens where that makes them smaller
    keep_existing -- refuse (ExistsError) to replace a file

    Raises ArgumentError, TokensError (an id outside the codebook), FileError; nothing is left then.
    """
    context = Context(threads=1, keep_existing=keep_existing)
    writer = ffi.new("tsr_token_writer **")
    settings = ffi.new("tsr_token_writer_settings *", lib.tsr_token_writer_settings_default())
    settings.layer_tokens, settings.entropy, settings.key_index = layer_tokens, bool(entropy), bool(key_index)
    count = 0
    try:
        context.check(lib.tsr_token_writer_open(context.pointer, writer, c_path(path), header.to_c(), settings))
        if attributes:
            data, number, _alive = write_attributes(attributes, "file")
            context.check(lib.tsr_token_writer_attributes(writer[0], data, number))
        for item in items:
            data, _alive = item.to_c(header)
            context.check(lib.tsr_token_writer_add(writer[0], data))
            count += 1
        context.check(lib.tsr_token_writer_close(writer))
    finally:
        lib.tsr_token_writer_abandon(writer)
        context.close()
    return count
