# SPDX-License-Identifier: MIT
"""Tokens of pictures on a Ray cluster.

    import ray, tessera.ray
    pictures = ray.data.read_binary_files("photos/", include_paths=True)
    tokens = pictures.map_batches(tessera.ray.TokenizeBatch, concurrency=2, batch_size=64,
                                  fn_constructor_kwargs={"device": "cpu"})
    tokens.write_parquet("tokens/")

Each actor opens the model once. The module itself needs pyarrow, not Ray: Ray calls the class.
"""
from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np
import pyarrow as pa

from . import errors
from .arrow import items_to_table
from .item import Item
from .tokenizer import Tokenizer

#: Columns that hold pictures, in the order they are looked for: of read_images and read_binary_files,
#: then members of WebDataset samples.
PICTURES = ("image", "bytes", "jpg", "jpeg", "png", "webp", "avif", "jxl", "tiff", "gif")
#: Columns that hold names, likewise.
KEYS = ("key", "__key__", "path")


class TokenizeBatch:
    """A class for `ray.data.Dataset.map_batches`: batches of pictures to tables of tokens.

    model, device, threads, precision -- as of `tessera.Tokenizer`
    column -- holds the pictures: uint8 [H, W, 3], or the bytes of picture files; None: the first of
        `PICTURES` that the batch has
    key -- holds their names; None: the first of `KEYS`, or else pictures are numbered in their batch
    root -- folder that paths are made relative to, for keys
    attributes -- columns that become attributes, {name: str, int or bytes}; bytes of a WebDataset sample
        are read as the type that is named
    on_error -- "raise", or "skip": a picture that cannot be used becomes a row with empty ids and a text in
        the column "error", which the table then has
    choices -- of `Tokenizer.encode`

    The result has the columns of `tessera.arrow.to_table`. Pictures of any size in a batch are encoded
    together.
    """

    def __init__(self, model: Any = None, device: str = "auto", threads: Optional[int] = None, *,
                 precision: str = "f32", column: Optional[str] = None, key: Optional[str] = None,
                 root: Optional[str] = None, attributes: Optional[Mapping[str, type]] = None,
                 on_error: str = "raise", **choices: Any):
        if on_error not in ("raise", "skip"):
            raise errors.ArgumentError(f"on_error: wanted raise or skip, got {on_error!r}")
        self.tokenizer = Tokenizer(model, device, threads, precision=precision)
        self.column, self.key, self.root = column, key, root
        self.attributes = dict(attributes or {})
        self.on_error = on_error
        self.choices = choices

    def __call__(self, batch: Union[Mapping[str, Any], pa.Table]) -> pa.Table:
        if isinstance(batch, pa.Table):
            batch = {name: batch.column(name).to_pylist() for name in batch.column_names}
        column = self._column(batch, self.column, PICTURES, "column")
        pictures = [_picture(each) for each in batch[column]]
        keys = self._keys(batch, len(pictures))
        encoded, failed = self._encode(pictures, keys)
        for name, kind in self.attributes.items():
            if name not in batch:
                raise errors.ArgumentError(f"attributes: wanted one of {', '.join(batch)}, got {name!r}")
            for item, value in zip(encoded, batch[name]):
                if value is not None:
                    item.attributes[name] = _value(value, kind)
        table = items_to_table(encoded, self._header, attributes=self.attributes)
        if self.on_error == "skip":
            table = table.append_column("error", pa.array(failed, pa.string()))
        return table

    def _column(self, batch: Mapping[str, Any], given: Optional[str], known: Sequence[str], what: str) -> str:
        for name in (given,) if given is not None else known:
            if name in batch:
                return name
        raise errors.ArgumentError(f"{what}: wanted {given or ' or '.join(known)}, got {', '.join(batch)}")

    def _keys(self, batch: Mapping[str, Any], count: int) -> list[str]:
        if self.key is None and not any(name in batch for name in KEYS):
            return [str(i) for i in range(count)]
        name = self._column(batch, self.key, KEYS, "key")
        keys = [each.decode() if isinstance(each, bytes) else str(each) for each in batch[name]]
        if name != "path":
            return keys
        return [os.path.relpath(each, self.root) if self.root else os.path.basename(each) for each in keys]

    def _encode(self, pictures: list[Any], keys: list[str]) -> tuple[list, list]:
        """Items of all pictures, and what is wrong with those that have none."""
        try:
            encoded = self.tokenizer.encode_items(pictures, keys, **self.choices)
            self._header = encoded.header
            return encoded, [None] * len(keys)
        except (errors.FormatError, errors.UnsupportedError, errors.TooLargeError, errors.ArgumentError):
            if self.on_error == "raise":
                raise
        items: list[Item] = []
        failed: list[Optional[str]] = []
        self._header = self.tokenizer.header
        for picture, key in zip(pictures, keys):  # one by one, to see which it is
            try:
                encoded = self.tokenizer.encode_items([picture], [key], **self.choices)
                self._header = encoded.header
                items.append(encoded[0])
                failed.append(None)
            except (errors.FormatError, errors.UnsupportedError, errors.TooLargeError) as error:
                items.append(_empty(key))
                failed.append(str(error))
        return items, failed


def _empty(key: str) -> Item:
    return Item(key=key, ids=np.zeros(0, np.uint32), counts=np.zeros(1, np.uint32))


def _picture(value: Any) -> Any:
    """A picture as Tokenizer.encode takes it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value
    return np.asarray(value)


def _value(value: Any, kind: type) -> Any:
    if isinstance(value, bytes) and kind is not bytes:
        value = value.decode()
    return kind(value)
