# SPDX-License-Identifier: MIT
"""Tokenizer: pictures to tokens and back."""
from __future__ import annotations

import concurrent.futures
import contextlib
import os
import threading
from typing import Any, Callable, Iterator, Optional, Sequence, Union

import numpy as np

from . import errors
from ._core import Context, Forked, Progress, Reporter, c_path, c_text, ffi, lib, text, value_of
from .item import GEOMETRY, Header, Item, own_array, whole_numbers
from .pictures import WHITE, as_array, as_picture_or_clip, is_paths, read_picture

#: Pictures: uint8 [B, H, W, 3], or a sequence of uint8 [H, W, 3], of paths, or of the bytes of files.
Pictures = Union[np.ndarray, Sequence[Any]]
_FILES_AT_ONCE = 64  # decoded pictures that wait for the model


class Encoded(list):
    """Items of one `Tokenizer.encode_items`: a list of `Item`.

    header -- `Header` of these tokens: the tokenizer's, changed by fit, resampling and background
    near_ties -- ids whose two best codes are so close that another device may decide otherwise
    """

    header: Header
    near_ties: int = 0


class _Engine:
    """A model, open with a context of its own; one call at a time."""

    def __init__(self, options: dict[str, Any]):
        self.context = Context(options["threads"], options["memory_limit"])
        self._slot = ffi.new("tsr_tokenizer **")
        try:
            settings = ffi.new("tsr_model_settings *", lib.tsr_model_settings_default())
            self._alive = [settings]
            settings.model = self._text(self._locate(options["model"]))
            settings.device = self._text(c_text(options["device"]))
            settings.mask = self._text(None if options["mask"] is None else c_text(options["mask"]))
            settings.precision = value_of("tsr_precision", "precision", options["precision"])
            settings.tile_width, settings.tile_height, settings.tile_frames = (*options["tile"], 0)[:3]
            self.context.check(lib.tsr_tokenizer_open(self.context.pointer, self._slot, settings))
        except BaseException:
            self.context.close()
            raise

    def _text(self, encoded: Optional[bytes]):
        if encoded is None:
            return ffi.NULL
        self._alive.append(ffi.new("char[]", encoded))
        return self._alive[-1]

    def _locate(self, model: Any) -> Optional[bytes]:
        if model is None:
            return None
        path = ffi.new("char **")
        self.context.check(lib.tsr_model_locate(self.context.pointer, c_path(model), path))
        try:
            return ffi.string(path[0])
        finally:
            lib.free(path[0])

    @property
    def tokenizer(self):
        return self._slot[0]

    def close(self) -> None:
        lib.tsr_tokenizer_close(self._slot)
        self.context.close()

    def encode(self, pictures: Sequence[np.ndarray], keys: Sequence[str], choices: dict[str, Any],
               take: Callable[[Any], None]) -> tuple[Header, int]:
        """Encodes and hands each tsr_token_item to `take`, which copies what it wants."""
        count = len(pictures)
        reporter = Reporter(choices.pop("progress", None))
        settings = encode_settings(reporter, **choices)
        inputs, items = ffi.new("tsr_picture[]", count), ffi.new("tsr_item *[]", count)
        alive: list[Any] = []
        for one, picture, key in zip(inputs, pictures, keys):
            alive += [ffi.from_buffer("uint8_t[]", picture), ffi.new("char[]", c_text(key))]
            one.rgb, one.key = alive[-2], alive[-1]
            one.height, one.width = picture.shape[-3:-1]
            one.frames = picture.shape[0] if picture.ndim == 4 else 0
        ties = ffi.new("uint64_t *")
        try:
            self.context.check(lib.tsr_tokenizer_encode(self.tokenizer, inputs, count, settings, items, ties),
                               reporter)
            for i in range(count):
                if settings.choice.target.metric:
                    choice = ffi.addressof(settings[0], "choice")
                    self.context.check(lib.tsr_tokenizer_search(self.tokenizer, choice, items[i], ffi.NULL))
                take(lib.tsr_item_tokens(items[i]))
            return Header.from_c(lib.tsr_item_header(items[0])), ties[0]
        finally:
            slot = ffi.new("tsr_item **")
            for i in range(count):
                slot[0] = items[i]
                lib.tsr_item_close(slot)


def encode_settings(reporter: Reporter, *, tokens: int = 0, quality: float = 0.0,
                    target: Optional[tuple[str, float]] = None, budget: int = 0, keep_all: bool = False,
                    fit: str = "auto", resampling: str = "auto", background: Sequence[int] = WHITE, batch: int = 0,
                    f32_latents: bool = False):
    """A tsr_encode_settings * of the choices of `Tokenizer.encode`."""
    settings = ffi.new("tsr_encode_settings *", lib.tsr_encode_settings_default())
    settings.fit.fit = value_of("tsr_fit", "fit", fit)
    settings.fit.resampling = value_of("tsr_resampling", "resampling", resampling)
    settings.progress, settings.progress_user = lib.tessera_python_progress, reporter.handle
    try:
        settings.fit.background = list(background)
        settings.choice.tokens, settings.choice.quality = tokens, quality
        settings.choice.budget, settings.choice.keep_all = budget, bool(keep_all)
        settings.batch, settings.f32_latents = batch, bool(f32_latents)
        if target is not None:
            metric, threshold = target
            settings.choice.target.metric = value_of("tsr_target_metric", "target", metric)
            settings.choice.target.threshold = threshold
            settings.keep_fitted = 1
    except (OverflowError, IndexError, TypeError) as error:
        raise errors.ArgumentError(f"encode: {error}") from None
    except ValueError as error:
        raise error if isinstance(error, errors.Error) else errors.ArgumentError(f"encode: {error}") from None
    return settings


def decode_settings(reporter: Reporter, *, tokens: int = 0, steps: int = 0, guidance: float = 0.0,
                    mode: str = "auto", seed: int = 0, batch: int = 0):
    """A tsr_decode_settings * of the choices of `Tokenizer.decode`."""
    settings = ffi.new("tsr_decode_settings *", lib.tsr_decode_settings_default())
    settings.progress, settings.progress_user = lib.tessera_python_progress, reporter.handle
    settings.sampling.mode = value_of("tsr_guidance_mode", "mode", mode)
    try:
        settings.tokens, settings.batch = tokens, batch
        settings.sampling.steps, settings.sampling.guidance, settings.sampling.seed = steps, guidance, seed
    except (OverflowError, TypeError) as error:
        raise errors.ArgumentError(f"decode: {error}") from None
    return settings


class Tokenizer(Forked):
    """A model that turns pictures into tokens and back.

    model -- weights file, its folder, or a name that `tessera fetch` knows; None: the bundled tokenizer
    device -- "auto" (the best hardware GPU, or else the cpu), "cpu", "vulkan", "vulkan:N"
    threads -- worker threads of each open model; None: one for each processor the process may use
    precision -- "f32", or "fast": 16-bit operands on devices that gain by it
    parallel -- how many calls run at once: each further one opens the model again, with its memory
    tile -- (width, height) of a tile in pixels, for tokenizers over grids, of video also its frames:
        (width, height, frames); 0: as trained
    memory_limit -- bytes that a call may plan for; 0: three quarters of what there is
    mask -- names of op variants and capabilities to leave out

    Threads may share a tokenizer: `parallel` calls run at once, others wait. Python's lock is released
    while the library works. After a fork the child opens the model again when it needs it. It can be
    pickled (the copy opens the model again). Close it, or use it in a `with` block.

    Raises NotFoundError, ModelError, DeviceError, UnsupportedError, FormatError.
    """

    def __init__(self, model: Any = None, device: str = "auto", threads: Optional[int] = None, *,
                 precision: str = "f32", parallel: int = 1, tile: tuple[int, ...] = (0, 0), memory_limit: int = 0,
                 mask: Optional[str] = None):
        super().__init__()
        if parallel < 1:
            raise errors.ArgumentError(f"parallel: wanted 1 or more, got {parallel}")
        self._options: dict[str, Any] = dict(model=model if model is None else os.fspath(model), device=device, threads=threads,
                             precision=precision, parallel=parallel, tile=tuple(tile), memory_limit=memory_limit,
                             mask=mask)
        self._closed = False
        self._start()
        with self._engine() as engine:
            #: `Header` of the tokens it makes unless choices change it.
            self.header: Header = Header.from_c(lib.tsr_tokenizer_header(engine.tokenizer))
            #: The device, for people to read: "cpu", "vulkan:0 (llvmpipe ...)".
            self.device: str = text(lib.tsr_tokenizer_device(engine.tokenizer))

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(self._options["parallel"])
        self._idle: list[_Engine] = []

    def _after_fork(self) -> None:
        # Calls of other threads may have been cut in two, and devices do not survive: the parent's stay
        # untouched and the child opens its own.
        self._parents = self._idle
        self._start()

    @contextlib.contextmanager
    def _engine(self) -> Iterator[_Engine]:
        with self._turns:
            with self._lock:
                if self._closed:
                    raise ValueError("the tokenizer is closed")
                engine = self._idle.pop() if self._idle else None
            if engine is None:
                engine = _Engine(self._options)
            keep = True
            try:
                yield engine
            except errors.DeviceError as error:
                keep = error.status != errors.Status.ERROR_DEVICE_LOST
                raise
            finally:
                with self._lock:
                    keep = keep and not self._closed
                    if keep:
                        self._idle.append(engine)
                if not keep:
                    engine.close()

    def __reduce__(self):
        options = dict(self._options)
        return _open_again, (options,)

    def close(self) -> None:
        """Frees the model; a call that runs keeps it until its end. Later calls raise ValueError."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for engine in idle:
            engine.close()

    def __enter__(self) -> "Tokenizer":
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if lib is not None and not getattr(self, "_closed", True) and hasattr(self, "_idle"):
            self.close()

    def __repr__(self) -> str:
        return f"<tessera.Tokenizer {self.name} on {self.device}>"

    @property
    def name(self) -> str:
        """Name of the model, as token files have it."""
        return self.header.tokenizer

    @property
    def codebook_size(self) -> int:
        """Every id is below this number; 0: tokens are vectors."""
        return self.header.codebook_size

    @property
    def positions(self) -> int:
        """Positions of a tile: the most tokens it can have."""
        return self.header.positions

    @property
    def nested(self) -> bool:
        """Whether the first n ids of a tile decode for every n."""
        return self.header.nested

    @property
    def weights_hash(self) -> int:
        """Identity of the weights, as token files have it."""
        return self.header.weights_hash

    # ---- pictures to tokens ----

    def encode(self, pictures: Pictures, **choices: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encodes pictures: ids uint32 [B, n] and counts uint32 [B, tiles].

        pictures -- uint8 [B, H, W, 3] (numpy, or DLPack on the host; not copied), or a sequence of uint8
            [H, W, 3], paths, or bytes of picture files; of tokenizers of video also stretches of one, [T, H, W, 3]
            in a sequence or [B, T, H, W, 3], at most as many frames as a tile has
        tokens -- most ids of a tile, for nested ids; 0: no limit
        quality -- tolerated mean absolute error of a tile, 0..1, for tokenizers that predict it
        target -- ("psnr", 30.0), ("ssim", 0.9) or ("l1", 0.05): the fewest ids that reach it
        budget, keep_all -- for tokenizers that choose positions, see `encode_items`
        fit -- "auto", "crop", "pad", "stretch", "tile" (pictures of any size in overlapping tiles)
        resampling -- "auto", "bilinear", "bicubic", "lanczos"
        background -- RGB of padding, and under transparent pixels of files
        batch -- tiles in flight; 0: chosen from the memory there is. Ids do not depend on it
        progress -- called as progress("encode", tile, tiles of this picture) whenever a batch is done; a
            true result stops the call

        ids[b, :counts[b].sum()] are the tokens of picture b, tile after tile; what is behind them is 0,
        and so are counts of tiles that a picture does not have.

        Raises ArgumentError, UnsupportedError (also for tokens that are vectors, and for tokenizers that
        choose positions: see `encode_items`), TooLargeError, InterruptedCallError, DeviceError;
        KeyboardInterrupt between tiles; of files also NotFoundError, FileError, FormatError.
        """
        ids: list[np.ndarray] = []
        counts: list[np.ndarray] = []

        def take(data) -> None:
            if data.ids == ffi.NULL or data.kept != ffi.NULL:
                raise errors.UnsupportedError(f"{self.name}: encode: wanted ids at the first positions of each tile, got "
                                              f"{'vectors' if data.ids == ffi.NULL else 'chosen positions'}: "
                                              "encode_items has them", errors.Status.ERROR_UNSUPPORTED)
            counts.append(own_array(data.counts, data.tile_columns * data.tile_rows, np.uint32))
            ids.append(own_array(data.ids, int(counts[-1].sum()), np.uint32))

        self._encode(pictures, None, choices, take)
        return _stack(ids, 0), _stack(counts, 1)

    def encode_items(self, pictures: Pictures, keys: Optional[Sequence[str]] = None, **choices: Any) -> Encoded:
        """Encodes pictures to `Item`s, with keys, geometry, vectors and positions; `tessera.write` takes
        them. Choices as in `encode`, and f32_latents: store vectors exactly.

        keys -- of the items; default: the file's name, or the number of the picture
        """
        encoded = Encoded()
        found: list[Any] = []

        def take(data) -> None:
            found.append(Item.from_c(data, self.header))

        encoded.header, encoded.near_ties = self._encode(pictures, keys, choices, take)
        encoded.extend(found)
        return encoded

    def _encode(self, pictures: Pictures, keys: Optional[Sequence[str]], choices: dict[str, Any],
                take: Callable[[Any], None]) -> tuple[Header, int]:
        if not isinstance(pictures, (np.ndarray, list, tuple)):
            pictures = as_array(pictures) if hasattr(pictures, "__dlpack__") else list(pictures)
        if isinstance(pictures, np.ndarray) and pictures.ndim not in (4, 5):
            raise errors.ArgumentError(f"pictures: wanted uint8 [B, H, W, 3] or [B, T, H, W, 3], got "
                                       f"{list(pictures.shape)}")
        count = len(pictures)
        files = is_paths(pictures)
        if keys is None:
            keys = [os.fsdecode(os.path.basename(os.fspath(each))) if isinstance(each, (str, os.PathLike)) else str(i)
                    for i, each in enumerate(pictures)]
        if len(keys) != count:
            raise errors.ArgumentError(f"keys: wanted {count}, got {len(keys)}")
        unknown = set(choices) - set(_CHOICES)
        if unknown:
            raise TypeError(f"encode: unknown choice {sorted(unknown)[0]!r}; there are {', '.join(_CHOICES)}")
        header, ties = self.header, 0
        at_once = _FILES_AT_ONCE if files else max(count, 1)
        for first in range(0, count, at_once):
            some: Sequence[Any] = list(pictures[first:first + at_once])
            if files:
                arrays = _read_all(some, choices.get("background", WHITE))
            else:
                arrays = [as_picture_or_clip(each, f"picture {first + i}") for i, each in enumerate(some)]
            with self._engine() as engine:
                header, more = engine.encode(arrays, keys[first:first + at_once], dict(choices), take)
            ties += more
        return header, ties

    # ---- tokens to pictures ----

    def decode(self, ids: Any, counts: Any = None, *, like: Union[Item, Sequence[Item], None] = None,
               header: Optional[Header] = None, progress: Optional[Progress] = None,
               **choices: Any) -> Union[np.ndarray, list[np.ndarray]]:
        """Decodes tokens to uint8 [B, H, W, 3]; a list of [H, W, 3] where sizes differ. Items of tokenizers of
        video become [T, H, W, 3] each, with their frames.

        ids -- integers [B, n] or [n] as `encode` made them; or an `Item`, or a sequence of them
        counts -- tokens of each tile, [B, tiles] or [B]; None: every row is one tile of n tokens
        like -- `Item`, or one for each row, whose geometry the pictures have; None: one tile each.
            Needed for several tiles
        header -- `Header` of the items; default: that of an `Encoded`, or the tokenizer's
        tokens -- most ids of a tile to decode, for nested ids; 0: all
        steps, guidance, mode, seed -- of decoders that sample; mode: "auto", "apg", "cfg"
        batch -- tiles in flight; 0: chosen from the memory there is
        progress -- called as progress(what, done, total) by decoders that sample; a true result stops

        Raises TokensError (ids, counts or geometry that the model cannot have made), ModelError (another
        tokenizer), ArgumentError, UnsupportedError, TooLargeError, DeviceError.
        """
        if header is None:
            header = getattr(ids, "header", None) or self.header
        if isinstance(ids, Item):
            items = [ids]
        elif _is_items(ids):
            items = list(ids)
        else:
            items = self._items_of(as_array(ids), counts, like)
        reporter = Reporter(progress)
        settings = decode_settings(reporter, **choices)
        c_header = header.to_c()
        prepared = [item.to_c(header) for item in items]
        sizes = [_size(c_header, data) for data, _alive in prepared]  # (frames,) height, width
        if not items:
            return np.zeros((0, header.tile_height, header.tile_width, 3), np.uint8)
        if len(set(sizes)) == 1:
            out: Union[np.ndarray, list[np.ndarray]] = np.empty((len(items), *sizes[0], 3), np.uint8)
        else:
            out = [np.empty((*size, 3), np.uint8) for size in sizes]
        for (data, _alive), rgb in zip(prepared, out):
            with self._engine() as engine:
                engine.context.check(lib.tsr_tokenizer_decode_with(
                    engine.tokenizer, c_header, data, settings, ffi.from_buffer("uint8_t[]", rgb)), reporter)
        return out

    def _items_of(self, ids: np.ndarray, counts: Any, like: Union[Item, Sequence[Item], None]) -> list[Item]:
        if ids.ndim == 1:
            ids = ids[None]
        if ids.ndim != 2:
            raise errors.ArgumentError(f"ids: wanted [B, n], got {list(ids.shape)}")
        ids = whole_numbers(ids, "ids", max(self.codebook_size, 1))
        if counts is None:
            counts = np.full((len(ids), 1), ids.shape[1], np.uint32)
        counts = whole_numbers(as_array(counts), "counts", 1 << 32)
        counts = counts.reshape(len(ids), -1) if counts.size % max(len(ids), 1) == 0 else counts
        if counts.shape[0] != len(ids):
            raise errors.ArgumentError(f"counts: wanted [{len(ids)}, tiles], got {list(counts.shape)}")
        models = [like] * len(ids) if like is None or isinstance(like, Item) else list(like)
        if len(models) != len(ids):
            raise errors.ArgumentError(f"like: wanted {len(ids)} items, got {len(models)}")
        return [self._item_of(row, tiles, model, i) for i, (row, tiles, model) in enumerate(zip(ids, counts, models))]

    def _item_of(self, ids: np.ndarray, counts: np.ndarray, like: Optional[Item], number: int) -> Item:
        geometry: dict[str, Any]
        if like is None:
            width, height = self.header.tile_width, self.header.tile_height
            geometry = dict(source_width=width, source_height=height, width=width, height=height,
                            frames=self.header.tile_frames)
        else:
            geometry = {name: getattr(like, name) for name in GEOMETRY}
        tiles = geometry.get("tile_columns", 1) * geometry.get("tile_rows", 1)
        if np.any(counts[tiles:]):
            raise errors.ArgumentError(f"picture {number}: counts: wanted {tiles} tiles, got {counts.size}"
                                       + ("" if like is not None else ": the geometry of several comes with like="))
        if counts.size < tiles:
            raise errors.ArgumentError(f"picture {number}: counts: wanted {tiles} tiles, got {counts.size}")
        counts = counts[:tiles]
        total = int(counts.sum(dtype=np.uint64))
        if total > ids.size:
            raise errors.ArgumentError(f"picture {number}: counts: wanted at most {ids.size} tokens, got {total}")
        return Item(key=str(number), ids=ids[:total], counts=counts, **geometry)


_CHOICES = ("tokens", "quality", "target", "budget", "keep_all", "fit", "resampling", "background", "batch",
            "f32_latents", "progress")


def _open_again(options: dict[str, Any]) -> Tokenizer:
    return Tokenizer(options.pop("model"), options.pop("device"), options.pop("threads"), **options)


def _is_items(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and (isinstance(value, Encoded) or
                                                 (bool(value) and all(isinstance(each, Item) for each in value)))


def _size(header, data) -> tuple[int, ...]:
    width, height = ffi.new("int *"), ffi.new("int *")
    lib.tsr_item_size(header, data, width, height)
    return (data.frames,) * (data.frames > 0) + (height[0], width[0])


def _stack(rows: list[np.ndarray], least: int) -> np.ndarray:
    """Rows of unequal length as one array, filled up with 0."""
    out = np.zeros((len(rows), max([least] + [row.size for row in rows])), np.uint32)
    for to, row in zip(out, rows):
        to[:row.size] = row
    return out


def _read_all(sources: Sequence[Any], background: Sequence[int]) -> list[np.ndarray]:
    """Picture files decoded side by side, in order."""
    if len(sources) == 1:
        return [read_picture(sources[0], background)]
    workers = min(len(sources), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4, 16)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda source: read_picture(source, background), sources))
