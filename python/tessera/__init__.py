# SPDX-License-Identifier: MIT
"""Tessera: pictures to discrete visual tokens and back, and token files for training.

    import tessera
    tokenizer = tessera.Tokenizer()                        # the bundled model, the best device
    ids, counts = tokenizer.encode(["a.jpg", "b.png"])     # uint32 [2, n], [2, tiles]
    items = tokenizer.encode_items(["a.jpg", "b.png"])
    tessera.write("photos.tess", items.header, items)
    with tessera.open("photos.tess") as file:
        picture = tokenizer.decode(file["a.jpg"], header=file.header)[0]

`tessera.arrow`, `tessera.torch` and `tessera.ray` need the library of their name and are imported by
themselves.
"""
from ._core import text as _text
from ._native import lib as _lib
from .clip import Clip, ClipFrame
from .errors import (ArgumentError, DeviceError, Error, ExistsError, FileError, FormatError, InterruptedCallError,
                     ModelError, NoSpaceError, NotFoundError, OutOfMemoryError, StateError, Status, TokensError,
                     TooLargeError, UnsupportedError)
from .item import Header, Item, Stream
from .pictures import read_picture, write_picture
from .token_file import TokenFile, open, write
from .tokenizer import Encoded, Tokenizer

#: Version of the library inside.
__version__: str = _text(_lib.tsr_version())

__all__ = ["ArgumentError", "Clip", "ClipFrame", "DeviceError", "Encoded", "Error", "ExistsError", "FileError",
           "FormatError", "Header", "InterruptedCallError", "Item", "ModelError", "NoSpaceError", "NotFoundError",
           "OutOfMemoryError", "StateError", "Status", "Stream", "TokenFile", "Tokenizer", "TokensError",
           "TooLargeError", "UnsupportedError", "open", "read_picture", "write", "write_picture"]
