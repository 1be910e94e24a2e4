# SPDX-License-Identifier: MIT
"""Token files as Arrow tables and Parquet, and tables of other tools checked while they are read.

    table = to_table("photos.tess")               # key, ids, counts, shape, and a column an attribute
    write_parquet(table, "photos.parquet")
    table = read_table("photos.parquet")          # also Arrow files and streams, and folders of them
    tessera.write("again.tess", table_header(table), to_items(table))   # of to_table(geometry=True)

Columns: key (string), ids (list of uint16 where every id fits, else uint32), counts (list of uint32:
tokens of each tile), shape (list of int32: [rows, columns] of a full grid, [tiles, rows, columns] of
several, [n] otherwise), then attributes by their names: string, int64 or binary. The schema's metadata
`tessera` is the JSON of the header: which tokenizer made the ids, with the hash of its weights.
"""
from __future__ import annotations

import dataclasses
import json
import os
import warnings
from typing import Any, Iterable, Iterator, Optional, Sequence, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import errors
from .item import GEOMETRY, Header, Item
from .shards import natural
from .token_file import PathLike, TokenFile, open as open_file

METADATA = b"tessera"
_RESERVED = ("key", "ids", "counts", "shape", "geometry")
_GEOMETRY = pa.struct([(name, pa.int32()) for name in GEOMETRY])
_TYPES = {str: pa.string(), int: pa.int64(), bytes: pa.binary()}
_MAX_AXES = 8


def shape_of(item: Item, header: Header) -> list[int]:
    """Shape of an item's ids: the grid where every position has a token, else [n]."""
    tiles, total = item.counts.size, len(item)
    if header.geometry != "grid" or total != tiles * header.positions:
        return [total]
    grid = [header.rows, header.columns]
    return grid if tiles == 1 else [tiles, *grid]


def schema_of(header: Header, attributes: dict[str, Any], dtype: Any = None, geometry: bool = False) -> pa.Schema:
    """Schema of a table. attributes -- name: str, int or bytes."""
    ids = header.id_dtype if dtype is None else np.dtype(dtype)
    if ids not in (np.uint16, np.uint32) or header.codebook_size > np.iinfo(ids).max + 1:
        raise errors.ArgumentError(f"dtype: wanted uint16 or uint32 that holds {header.codebook_size - 1}, got {ids}")
    for name in attributes:
        if name in _RESERVED:
            raise errors.ArgumentError(f"attribute {name!r}: wanted another name than those of the columns "
                                       f"{', '.join(_RESERVED)}")
    fields = [("key", pa.string()), ("ids", pa.list_(pa.from_numpy_dtype(ids))), ("counts", pa.list_(pa.uint32())),
              ("shape", pa.list_(pa.int32()))]
    fields += [("geometry", _GEOMETRY)] if geometry else []
    fields += [(name, _TYPES[kind]) for name, kind in attributes.items()]
    return pa.schema(fields, metadata={METADATA: json.dumps(dataclasses.asdict(header))})


def attribute_types(items: Iterable[Item]) -> dict[str, Any]:
    """Names of all attributes, with the type of their values; ArgumentError where one name has two."""
    types: dict[str, Any] = {}
    for item in items:
        for name, value in item.attributes.items():
            kind = type(value)
            if types.setdefault(name, kind) is not kind:
                raise errors.ArgumentError(f"{item.key}: attribute {name!r}: wanted {types[name].__name__} as in "
                                           f"other items, got {kind.__name__}")
    return types


def _lists(rows: Sequence[Any], kind: pa.DataType) -> pa.Array:
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([row.size for row in rows], out=offsets[1:])
    if offsets[-1] >= 1 << 31:
        raise errors.TooLargeError(f"ids: wanted below {1 << 31} in one table, got {offsets[-1]}: take fewer items")
    values = np.concatenate(rows) if rows else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)),
                                    pa.array(values.astype(kind.value_type.to_pandas_dtype(), copy=False)))


def items_to_table(items: Iterable[Item], header: Header, *, dtype: Any = None, geometry: bool = False,
                   attributes: Optional[dict[str, Any]] = None) -> pa.Table:
    """Items of `Tokenizer.encode_items`, or any others of one header, as a table. attributes -- types of
    the attributes that become columns; None: all there are."""
    items = list(items)
    if not header.codebook_size:
        raise errors.ArgumentError(f"{header.tokenizer}: wanted ids, got vectors")
    if any(item.kept is not None for item in items):
        raise errors.UnsupportedError(f"{header.tokenizer}: wanted ids at the first positions of each tile, got "
                                      "chosen positions", errors.Status.ERROR_UNSUPPORTED)
    types = attribute_types(items) if attributes is None else attributes
    schema = schema_of(header, types, dtype, geometry)
    columns = [pa.array([item.key for item in items], pa.string()),
               _lists([item.ids for item in items], schema.field("ids").type),
               _lists([item.counts for item in items], schema.field("counts").type),
               pa.array([shape_of(item, header) for item in items], schema.field("shape").type)]
    if geometry:
        columns.append(pa.array([{name: getattr(item, name) for name in GEOMETRY} for item in items], _GEOMETRY))
    columns += [pa.array([item.attributes.get(name) for item in items], _TYPES[kind]) for name, kind in types.items()]
    return pa.Table.from_arrays(columns, schema=schema)


def to_table(source: Union[PathLike, TokenFile], *, dtype: Any = None, geometry: bool = False) -> pa.Table:
    """A token file as a table.

    dtype -- of the ids: uint16 or uint32; default: the smallest that holds every id
    geometry -- a further column with sizes, crop and tiles, so that `to_items` makes the items again
    """
    if isinstance(source, TokenFile):
        return items_to_table(source, source.header, dtype=dtype, geometry=geometry)
    with open_file(source) as file:
        return items_to_table(file, file.header, dtype=dtype, geometry=geometry)


def write_parquet(table: pa.Table, path: PathLike, **options: Any) -> None:
    """Writes a table as a Parquet file, which appears under `path` when it is complete. Options are those
    of pyarrow.parquet.write_table; compression is zstd unless they say otherwise."""
    options.setdefault("compression", "zstd")
    _complete(path, lambda part: pq.write_table(table, part, **options))


def write_arrow(table: pa.Table, path: PathLike) -> None:
    """Writes a table as an Arrow file (IPC), which appears under `path` when it is complete."""
    def save(part: str) -> None:
        with pa.ipc.new_file(part, table.schema) as writer:
            writer.write_table(table)
    _complete(path, save)


def _complete(path: PathLike, save: Any) -> None:
    final = os.fsdecode(path)
    part = f"{final}.{os.getpid()}.tmp"
    try:
        save(part)
        os.replace(part, final)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def table_header(table: pa.Table) -> Header:
    """Header of the tokens of a table that this module made."""
    text = (table.schema.metadata or {}).get(METADATA)
    if text is None:
        raise errors.FormatError("schema: wanted the metadata \"tessera\", got none")
    try:
        values = json.loads(text)
        values.update(levels=tuple(values["levels"]), background=tuple(values["background"]))
        return Header(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.FormatError(f"schema: metadata \"tessera\": wanted the fields of a header: {error}") from None


def to_items(table: pa.Table) -> Iterator[Item]:
    """Items of a table of `to_table(geometry=True)`; columns that are not its own become attributes."""
    if "geometry" not in table.column_names:
        raise errors.ArgumentError("table: wanted the column geometry, got none: make it with geometry=True")
    others = [name for name in table.column_names if name not in _RESERVED]
    for batch in table.to_batches(max_chunksize=1024):
        ids, counts = batch.column("ids"), batch.column("counts")
        keys, places = batch.column("key").to_pylist(), batch.column("geometry").to_pylist()
        values = {name: batch.column(name).to_pylist() for name in others}
        for i, (key, place) in enumerate(zip(keys, places)):
            attributes = {name: column[i] for name, column in values.items() if column[i] is not None}
            yield Item(key=key, ids=ids[i].values.to_numpy().astype(np.uint32),
                       counts=counts[i].values.to_numpy().astype(np.uint32), attributes=attributes, **place)


# ---- reading -------------------------------------------------------------------------------------


def read_table(source: PathLike, codebook_size: Optional[int] = None, *, on_error: str = "raise",
               failures: Optional[list[str]] = None, ids: str = "ids", key: Optional[str] = "key") -> pa.Table:
    """Reads ids that this or another tool wrote: a Parquet file, an Arrow file or stream, a folder of
    one kind, or a folder of Hugging Face's `save_to_disk`. Kinds are told by their first bytes.

    codebook_size -- ids are below it; None: what the file's own metadata says, or else not checked
    on_error -- what a row with a fault does (no ids, an id that is missing, negative or beyond the
        codebook, rows of unequal length in a nested list, no key): "raise" or "skip"
    failures -- receives one line for each row that was skipped
    ids, key -- names of these columns; key None: the table has none

    Returns a table with ids as list of uint16 (where the codebook, or else the largest id, allows) or
    uint32; nested lists become flat with their shape in the column `shape`; other columns stay as they
    are. Ids never wrap, round, or come from floats or texts. Raises FormatError (also for a key that
    stands twice), NotFoundError, FileError.
    """
    if on_error not in ("raise", "skip"):
        raise errors.ArgumentError(f"on_error: wanted raise or skip, got {on_error!r}")
    path = os.fsdecode(source)
    reader = _Reader(codebook_size, on_error, failures, ids, key)
    tables = [reader.table(each) for each in _parts(path)]
    try:
        table = pa.concat_tables([_narrow(each, reader) for each in tables])
    except pa.ArrowException as error:
        raise errors.FormatError(f"{path}: wanted files of one schema: {_line(error)}") from None
    if key is not None:
        _refuse_doubles(path, table.column("key"))
    return table


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _parts(path: str) -> list[str]:
    """The files of a data set, in order."""
    if not os.path.isdir(path):
        return [path]
    state = os.path.join(path, "state.json")
    names = sorted((name for name in os.listdir(path) if name.endswith((".parquet", ".arrow", ".arrows"))), key=natural)
    if os.path.exists(state):
        try:
            with open(state, encoding="utf-8") as file:
                names = [each["filename"] for each in json.load(file)["_data_files"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise errors.FormatError(f"{state}: wanted the list _data_files: {_line(error)}") from None
        for name in names:
            if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):
                raise errors.FormatError(f"{state}: filename: wanted a name in this folder, got {name!r}")
    if not names:
        raise errors.NotFoundError(f"{path}: wanted .parquet, .arrow or .arrows files, got none",
                                   errors.Status.ERROR_NOT_FOUND)
    return [os.path.join(path, name) for name in names]


def _load(path: str) -> pa.Table:
    """A file of any of the three kinds, validated."""
    try:
        with open(path, "rb") as file:
            head = file.read(6)
            file.seek(max(os.fstat(file.fileno()).st_size - 8, 0))
            tail = file.read(8)
    except OSError as error:
        kind = errors.NotFoundError if isinstance(error, FileNotFoundError) else errors.FileError
        raise kind(f"{path}: open: {error.strerror}") from None
    try:
        if head == b"ARROW1":
            table = pa.ipc.open_file(path).read_all()
        elif head.startswith(b"PAR1"):
            table = pq.read_table(path, partitioning=None)
        elif head.startswith(b"\xff\xff\xff\xff"):
            with pa.OSFile(path) as file:
                table = pa.ipc.open_stream(file).read_all()
            if tail != b"\xff\xff\xff\xff\0\0\0\0":
                warnings.warn(f"{path}: the stream has no end marker; what came before is used", stacklevel=2)
        else:
            raise errors.FormatError(f"{path}: wanted Parquet, an Arrow file or an Arrow stream, got bytes that "
                                     f"begin with {head.hex(' ')}")
        table.validate(full=True)
        table.column_names  # decodes them
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise errors.FormatError(f"{path}: {_line(error)}") from None
    return table


class _Reader:
    """The checks of one read_table."""

    def __init__(self, codebook_size: Optional[int], on_error: str, failures: Optional[list[str]], ids: str,
                 key: Optional[str]):
        self.codebook_size, self.on_error, self.failures = codebook_size, on_error, failures
        self.ids, self.key = ids, key
        self.largest = 0

    def table(self, path: str) -> pa.Table:
        table = _load(path)
        for name in (self.ids,) + ((self.key,) if self.key else ()):
            if table.column_names.count(name) != 1:
                raise errors.FormatError(f"{path}: column {name}: wanted one, got {table.column_names.count(name)} of "
                                         f"{', '.join(table.column_names)}")
        if self.codebook_size is None and METADATA in (table.schema.metadata or {}):
            self.codebook_size = table_header(table).codebook_size
        if self.key:
            table = self._texts(path, table)
        return self._ids(path, table)

    def _texts(self, path: str, table: pa.Table) -> pa.Table:
        at = table.column_names.index(self.key)
        column = table.column(at)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise errors.FormatError(f"{path}: column {self.key}: wanted texts, got {column.type}")
        return table.set_column(at, "key", column.cast(pa.string()))

    def _ids(self, path: str, table: pa.Table) -> pa.Table:
        """Replaces the ids by flat lists of int64 or uint64, without the rows that have a fault."""
        column = table.column(self.ids)
        depth, kind = 0, column.type
        while _is_list(kind):
            depth, kind = depth + 1, kind.value_type
        if not depth or depth > _MAX_AXES or not pa.types.is_integer(kind):
            raise errors.FormatError(f"{path}: column {self.ids}: wanted lists of integers, got {column.type}")
        good: list[int] = []
        rows: list[np.ndarray] = []
        shapes: list[list[int]] = []
        keys = table.column("key") if self.key else None
        number = 0
        for chunk in column.chunks:
            for row in _rows_of(chunk, depth):
                name = keys[number].as_py() if keys is not None else None
                fault = row if isinstance(row, str) else self._fault(row[0])
                if keys is not None and not fault and not name:
                    fault = "key: wanted a text, got none"
                if fault or isinstance(row, str):
                    self._report(f"{path}: row {number}{f' ({name})' if name else ''}: {fault}")
                else:
                    good.append(number)
                    rows.append(row[0])
                    shapes.append(row[1])
                number += 1
        if len(good) != table.num_rows:
            table = table.take(pa.array(good, pa.int64()))
        self.largest = max([self.largest] + [int(row.max()) for row in rows if row.size])
        flat = _lists([row.astype(np.uint32) for row in rows], pa.list_(pa.uint32()))
        table = table.set_column(table.column_names.index(self.ids), "ids", flat)
        if depth > 1 and "shape" not in table.column_names:
            table = table.append_column("shape", pa.array(shapes, pa.list_(pa.int32())))
        return table

    def _fault(self, row: np.ndarray) -> str:
        if not row.size:
            return ""
        low, high = int(row.min()), int(row.max())
        limit = self.codebook_size or 1 << 32
        if low < 0 or high >= limit:
            return f"ids: wanted 0 to {limit - 1}, got {low if low < 0 else high}"
        return ""

    def _report(self, line: str) -> None:
        if self.on_error == "raise":
            raise errors.FormatError(line)
        if self.failures is not None:
            self.failures.append(line)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _bounds(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Offsets of a chunk of lists into its values."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return (np.arange(len(array) + 1, dtype=np.int64) + array.offset) * size, array.values
    return array.offsets.to_numpy().astype(np.int64), array.values


def _rows_of(chunk: pa.Array, depth: int) -> Iterator[Union[str, tuple[np.ndarray, list[int]]]]:
    """Each row of a chunk as (ids, shape), or what is wrong with it."""
    missing = chunk.is_null().to_numpy(zero_copy_only=False)
    offsets, values = _bounds(chunk)
    if depth == 1:
        gaps = values.null_count
        absent = values.is_null().to_numpy(zero_copy_only=False)
        numbers = (values.fill_null(0) if gaps else values).to_numpy(zero_copy_only=False)
        for i in range(len(chunk)):
            first, end = offsets[i], offsets[i + 1]
            if missing[i]:
                yield "ids: wanted a list, got null"
            elif gaps and absent[first:end].any():
                yield "ids: wanted integers, got null"
            else:
                yield numbers[first:end], [int(end - first)]
        return
    for i in range(len(chunk)):
        if missing[i]:
            yield "ids: wanted a list, got null"
            continue
        inner = list(_rows_of(values.slice(int(offsets[i]), int(offsets[i + 1] - offsets[i])), depth - 1))
        fault = next((each for each in inner if isinstance(each, str)), None)
        shapes = {tuple(each[1]) for each in inner if not isinstance(each, str)}
        if fault:
            yield fault
        elif len(shapes) > 1:
            yield f"ids: wanted rows of equal shape, got {' and '.join(str(list(s)) for s in sorted(shapes)[:2])}"
        else:
            parts = [each[0] for each in inner]
            yield (np.concatenate(parts) if parts else np.zeros(0, np.int64),
                   [len(parts), *(shapes.pop() if shapes else (0,) * (depth - 1))])


def _narrow(table: pa.Table, reader: _Reader) -> pa.Table:
    size = reader.codebook_size or reader.largest + 1
    kind = pa.uint16() if size <= 1 << 16 else pa.uint32()
    at = table.column_names.index("ids")
    return table.set_column(at, "ids", table.column(at).cast(pa.list_(kind)))


def _refuse_doubles(path: str, keys: pa.ChunkedArray) -> None:
    counted = pc.value_counts(keys)
    if len(counted) == len(keys):
        return
    for each in counted:
        if each["counts"].as_py() > 1:
            raise errors.FormatError(f"{path}: key {each['values'].as_py()!r}: wanted once, got "
                                     f"{each['counts'].as_py()} times")
