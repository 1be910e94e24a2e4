# SPDX-License-Identifier: MIT
"""Pictures in memory and in files: uint8 RGB [height, width, 3]."""
from __future__ import annotations

import os
import tempfile
from typing import Any, Optional, Sequence, Union

import numpy as np

from . import errors
from ._core import Context, c_path, ffi, lib, thread_context

WHITE = (255, 255, 255)


def _owned(rgb, height: int, width: int) -> np.ndarray:
    """The library's memory as an array, freed with it; nothing is copied."""
    rgb = ffi.gc(rgb, lib.free, height * width * 3)
    return np.frombuffer(ffi.buffer(rgb, height * width * 3), np.uint8).reshape(height, width, 3)


def _read(context: Context, path: bytes, background: Sequence[int]) -> np.ndarray:
    rgb, width, height = ffi.new("uint8_t **"), ffi.new("int *"), ffi.new("int *")
    context.check(lib.tsr_picture_read(context.pointer, path, bytes(background), rgb, width, height))
    return _owned(rgb[0], height[0], width[0])


def read_picture(source: Any, background: Sequence[int] = WHITE) -> np.ndarray:
    """Reads a picture file: uint8 [height, width, 3], upright, over `background` (RGB) where it is
    transparent.

    source -- path, or the bytes of the file (bytes, bytearray, memoryview or a uint8 array)

    Raises NotFoundError, FileError, FormatError, UnsupportedError, TooLargeError."""
    if isinstance(source, np.ndarray):
        source = np.ascontiguousarray(source, np.uint8).tobytes()
    if not isinstance(source, (bytes, bytearray, memoryview)):
        return _read(thread_context(), c_path(source), background)
    # The library reads files; bytes become one that has no name where the system has such files.
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("picture")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        rest = memoryview(source)
        while rest:
            rest = rest[os.write(descriptor, rest):]
        return _read(thread_context(), path.encode(), background)
    except errors.Error as error:
        raise type(error)(error.detail.replace(path, f"picture of {len(source)} bytes"), error.status) from None
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)


def write_picture(path: Any, picture: np.ndarray, *, format: Optional[str] = None, quality: int = 0,
                  lossless: bool = False, keep_existing: bool = False) -> None:
    """Writes uint8 [height, width, 3] as a picture file of the kind its suffix says, or `format`: png,
    jpg, webp, avif, jxl, tiff, ppm. quality -- of jpg, webp, avif and jxl, 1 to 100; 0: 95."""
    rgb = as_picture(picture, "picture")
    settings = ffi.new("tsr_picture_write_settings *")
    named = ffi.NULL if format is None else ffi.new("char[]", format.encode())
    settings.format, settings.quality, settings.lossless = named, quality, bool(lossless)
    context = Context(threads=1, keep_existing=keep_existing)
    try:
        context.check(lib.tsr_picture_write(context.pointer, c_path(path), rgb.shape[1], rgb.shape[0],
                                            ffi.from_buffer("uint8_t[]", rgb), settings))
    finally:
        context.close()


def as_array(value: Any) -> np.ndarray:
    """An array over the memory of `value`: numpy, DLPack on the host, or anything numpy understands."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    return np.asarray(value)


def as_picture(value: Any, field: str) -> np.ndarray:
    """One picture, uint8 [height, width, 3] without gaps; copied only where it has gaps."""
    array = as_array(value)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise errors.ArgumentError(f"{field}: wanted uint8 [height, width, 3], got {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array)


def as_picture_or_clip(value: Any, field: str) -> np.ndarray:
    """One picture as `as_picture` has it, or a stretch of a video, uint8 [frames, height, width, 3]."""
    array = as_array(value)
    if array.ndim != 4:
        return as_picture(array, field)
    if array.dtype != np.uint8 or array.shape[3] != 3 or 0 in array.shape:
        raise errors.ArgumentError(f"{field}: wanted uint8 [frames, height, width, 3], got {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array)


def is_paths(pictures: Union[Sequence[Any], np.ndarray]) -> bool:
    """Whether a sequence holds files (paths, or their bytes) rather than arrays."""
    return not isinstance(pictures, np.ndarray) and not hasattr(pictures, "__dlpack__") and all(
        isinstance(each, (str, bytes, bytearray, memoryview, os.PathLike)) for each in pictures)
