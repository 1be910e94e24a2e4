# SPDX-License-Identifier: MIT
"""What every part of the package shares: contexts, callbacks, names of enumerations.

cffi releases Python's lock during every call of the library and takes it again for callbacks.
"""
from __future__ import annotations

import functools
import logging
import os
import threading
import weakref
from typing import Any, Callable, Optional

from . import errors
from ._native import ffi, lib

log = logging.getLogger("tessera")

#: Progress of a long call: (what, done, total) -> true stops the call.
Progress = Callable[[str, int, int], Any]


@functools.lru_cache(maxsize=None)
def names(kind: str) -> dict[str, int]:
    """Values of a C enumeration by their words: {"auto": 0, "crop": 1, ...} for "tsr_fit"."""
    values = ffi.typeof(kind).relements
    prefix = os.path.commonprefix(list(values))
    prefix = prefix[:prefix.rindex("_") + 1]
    return {name[len(prefix):].lower(): value for name, value in sorted(values.items(), key=lambda pair: pair[1])}


def value_of(kind: str, field: str, word: str) -> int:
    """The number of a word of an enumeration; ValueError names the field and the words there are."""
    try:
        return names(kind)[word]
    except (KeyError, TypeError):
        raise errors.ArgumentError(f"{field}: wanted one of {', '.join(names(kind))}, got {word!r}") from None


def word_of(kind: str, value: int) -> str:
    """The word of a number of an enumeration."""
    for word, number in names(kind).items():
        if number == value:
            return word
    return str(int(value))


def text(pointer) -> str:
    """A C string; bytes that are no UTF-8 survive a way back."""
    return ffi.string(pointer).decode("utf-8", "surrogateescape")


def c_text(value: str) -> bytes:
    """A text for C: what `text` gave, or what a user typed."""
    encoded = value.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise errors.ArgumentError(f"{value!r}: wanted a text without zero bytes")
    return encoded


def c_path(value: Any) -> bytes:
    """A path (str, bytes or os.PathLike) for C."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise errors.ArgumentError(f"{value!r}: wanted a path without zero bytes")
    return encoded


class Reporter:
    """Hands the progress of one call to Python, and an exception from there back to the caller.

    Ctrl-C arrives here as well: Python raises KeyboardInterrupt at the first callback after it."""

    def __init__(self, progress: Optional[Progress]):
        self.progress = progress
        self.error: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def raise_pending(self) -> None:
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def _keep_error(_kind, error, traceback) -> None:
    user = traceback.tb_frame.f_locals.get("user") if traceback else None
    if user is not None:
        ffi.from_handle(user).error = error


@ffi.def_extern(name="tessera_python_progress", error=1, onerror=_keep_error)
def _on_progress(user, what, done, total):
    reporter = ffi.from_handle(user)
    return 1 if reporter.progress and reporter.progress(text(what), done, total) else 0


_LOG_LEVELS = {lib.TSR_LOG_ERROR: logging.ERROR, lib.TSR_LOG_WARNING: logging.WARNING,
               lib.TSR_LOG_INFO: logging.INFO, lib.TSR_LOG_DEBUG: logging.DEBUG}


@ffi.def_extern(name="tessera_python_log")
def _on_log(_user, level, line):
    log.log(_LOG_LEVELS.get(level, logging.WARNING), "%s", text(line))


@ffi.def_extern(name="tessera_python_token_damage")
def _on_damage(user, damage):
    ffi.from_handle(user)(damage)


def _log_level() -> int:
    for level, number in sorted(_LOG_LEVELS.items(), reverse=True):
        if log.isEnabledFor(number):
            return level
    return lib.TSR_LOG_ERROR


class Context:
    """A tsr_context. One thread at a time: whoever owns it holds a lock."""

    def __init__(self, threads: Optional[int] = None, memory_limit: int = 0, keep_existing: bool = False):
        settings = ffi.new("tsr_context_settings *", lib.tsr_context_settings_default())
        settings.threads = threads or 0
        settings.memory_limit = memory_limit
        settings.keep_existing = bool(keep_existing)
        settings.log_level = _log_level()
        settings.log = lib.tessera_python_log
        self._slot = ffi.new("tsr_context **")
        status = lib.tsr_context_open(self._slot, settings)
        if status:
            raise errors.of_status(status, f"threads: wanted 0 to 1024, got {threads}"
                                   if status == lib.TSR_ERROR_ARGUMENT else "")

    @property
    def pointer(self):
        return self._slot[0]

    def check(self, status: int, reporter: Optional[Reporter] = None) -> None:
        """Raises what a call reported; an exception of a callback goes first."""
        if reporter is not None:
            reporter.raise_pending()
        if status:
            raise errors.of_status(status, text(lib.tsr_detail(self.pointer)))

    def close(self) -> None:
        lib.tsr_context_close(self._slot)


_local = threading.local()


def thread_context() -> Context:
    """A small context of the calling thread, for calls that open nothing."""
    context = getattr(_local, "context", None)
    if context is None or _local.process != os.getpid():
        context = Context(threads=1)
        _local.context, _local.process = context, os.getpid()
        weakref.finalize(threading.current_thread(), context.close)
    return context


class Forked:
    """Something with a lock that may be held by another thread while the process forks. In the child
    `_after_fork` is called before anything else."""

    _all: "weakref.WeakSet[Forked]" = weakref.WeakSet()

    def __init__(self) -> None:
        Forked._all.add(self)

    def _after_fork(self) -> None:
        raise NotImplementedError


def _in_child() -> None:
    for each in list(Forked._all):
        each._after_fork()


os.register_at_fork(after_in_child=_in_child)
