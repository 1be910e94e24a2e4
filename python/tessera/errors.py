# SPDX-License-Identifier: MIT
"""Failures of the library as exceptions.

Every failure is a `tessera.Error` with the `status` of the C call and its one line of detail
("file: field: wanted X, got Y"). Where Python has an exception of the same meaning, the class is that
one, too: a missing file is also a `FileNotFoundError`, a value out of range also a `ValueError`.
"""
from __future__ import annotations

import enum

from ._native import ffi, lib

class Status(enum.IntEnum):
    """Result of a call of the library, as in tessera/status.h; numbers never change."""

    OK = lib.TSR_OK
    ERROR_ARGUMENT = lib.TSR_ERROR_ARGUMENT
    ERROR_STATE = lib.TSR_ERROR_STATE
    ERROR_MEMORY = lib.TSR_ERROR_MEMORY
    ERROR_TOO_LARGE = lib.TSR_ERROR_TOO_LARGE
    ERROR_IO = lib.TSR_ERROR_IO
    ERROR_NOT_FOUND = lib.TSR_ERROR_NOT_FOUND
    ERROR_NO_SPACE = lib.TSR_ERROR_NO_SPACE
    ERROR_EXISTS = lib.TSR_ERROR_EXISTS
    ERROR_FORMAT = lib.TSR_ERROR_FORMAT
    ERROR_TRUNCATED = lib.TSR_ERROR_TRUNCATED
    ERROR_CHECKSUM = lib.TSR_ERROR_CHECKSUM
    ERROR_VERSION = lib.TSR_ERROR_VERSION
    ERROR_DAMAGED = lib.TSR_ERROR_DAMAGED
    ERROR_MODEL = lib.TSR_ERROR_MODEL
    ERROR_MODEL_MISMATCH = lib.TSR_ERROR_MODEL_MISMATCH
    ERROR_TOKENS = lib.TSR_ERROR_TOKENS
    ERROR_DEVICE = lib.TSR_ERROR_DEVICE
    ERROR_NO_DEVICE = lib.TSR_ERROR_NO_DEVICE
    ERROR_DEVICE_LOST = lib.TSR_ERROR_DEVICE_LOST
    ERROR_UNSUPPORTED = lib.TSR_ERROR_UNSUPPORTED
    ERROR_INTERRUPTED = lib.TSR_ERROR_INTERRUPTED


class Error(Exception):
    """A call of the library failed.

    status -- the `Status`; None for what this package itself refused
    detail -- one line: file, field, wanted, got
    """

    def __init__(self, detail: str = "", status: Status | None = None):
        super().__init__(detail)
        self.detail = detail
        self.status = status

    def __str__(self) -> str:
        return self.detail

    def __reduce__(self):
        return type(self), (self.detail, self.status)


class ArgumentError(Error, ValueError):
    """A value is out of range or missing."""


class StateError(Error, RuntimeError):
    """The call does not fit what was called before."""


class OutOfMemoryError(Error, MemoryError):
    """An allocation failed."""


class TooLargeError(Error, ValueError):
    """Refused before memory was taken: the input exceeds a limit."""


class FileError(Error, OSError):
    """Opening, reading, writing or renaming a file failed."""


class NotFoundError(FileError, FileNotFoundError):
    """No file, tensor or model of that name."""


class NoSpaceError(FileError):
    """The disk is full."""


class ExistsError(FileError, FileExistsError):
    """The output exists, and what exists was to be kept."""


class FormatError(Error, ValueError):
    """The bytes are not what the format says: cut, damaged, of another version, or something else."""


class ModelError(Error, ValueError):
    """Weights or configuration do not make a model, or make another one than was asked for."""


class TokensError(Error, ValueError):
    """Ids, counts or geometry do not fit the model."""


class DeviceError(Error, RuntimeError):
    """A device call failed, or there is no usable device of that name."""


class UnsupportedError(Error, NotImplementedError):
    """Well-formed, but this build or this model cannot do it."""


class InterruptedCallError(Error):
    """A progress callback asked to stop. Ctrl-C is a `KeyboardInterrupt` instead."""


_KINDS = {
    "ARGUMENT": ArgumentError, "STATE": StateError, "MEMORY": OutOfMemoryError, "TOO_LARGE": TooLargeError,
    "IO": FileError, "NOT_FOUND": NotFoundError, "NO_SPACE": NoSpaceError, "EXISTS": ExistsError,
    "FORMAT": FormatError, "TRUNCATED": FormatError, "CHECKSUM": FormatError, "VERSION": FormatError,
    "DAMAGED": FormatError, "MODEL": ModelError, "MODEL_MISMATCH": ModelError, "TOKENS": TokensError,
    "DEVICE": DeviceError, "NO_DEVICE": DeviceError, "DEVICE_LOST": DeviceError,
    "UNSUPPORTED": UnsupportedError, "INTERRUPTED": InterruptedCallError,
}


def of_status(status: int, detail: str) -> Error:
    """The exception of a status that is not OK; without a detail text it says what the status means."""
    kind = _KINDS.get(Status(status).name[len("ERROR_"):], Error)
    return kind(detail or ffi.string(lib.tsr_status_text(status)).decode(), Status(status))
