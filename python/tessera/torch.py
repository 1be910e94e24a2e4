# SPDX-License-Identifier: MIT
"""Token files as PyTorch data sets.

    dataset = TokenDataset("tokens/")                      # map style: any sampler, any order
    stream = IterableTokenDataset("tokens/", shuffle=True)   # iterable: a part for each rank and worker
    loader = torch.utils.data.DataLoader(dataset, batch_size=256, num_workers=4, shuffle=True)

A sample is a tensor of ids [n] (int64, what an embedding takes), or with `keys` or `attributes` a
dictionary {"ids": tensor, "key": text, "label": ...}. Files are opened where they are read: a data set
can be pickled, and each worker of a DataLoader opens its own.
"""
from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Union

import numpy as np
import torch

from . import errors
from .item import Item
from .shards import Shards
from .token_file import PathLike

_TYPES: dict[torch.dtype, np.dtype] = {torch.int64: np.dtype(np.int64)}
for _name in ("uint16", "uint32"):  # not in every release of torch
    if hasattr(torch, _name):
        _TYPES[getattr(torch, _name)] = np.dtype(_name)


_BLOCK = 1024  # items that are read at once


class _Samples:
    """What both styles share: shards, and how an item becomes a sample."""

    def __init__(self, sources: Union[PathLike, Iterable[PathLike]], dtype: torch.dtype, keys: bool,
                 attributes: Sequence[str], transform: Optional[Callable[[Any], Any]]):
        if dtype not in _TYPES:
            raise errors.ArgumentError(f"dtype: wanted one of {', '.join(map(str, _TYPES))}, got {dtype}")
        if isinstance(attributes, str):
            raise errors.ArgumentError(f"attributes: wanted a sequence of names, got {attributes!r}")
        self.shards = Shards(sources)
        if not self.shards.header.codebook_size:
            raise errors.ArgumentError(f"{self.shards.paths[0]}: wanted a file of ids, got vectors")
        self.header = self.shards.header
        self.transform = transform
        self._type = _TYPES[dtype]
        self._keys, self._attributes = keys, tuple(attributes)
        self._plain = not keys and not attributes  # samples are ids alone

    def _sample(self, item: Item) -> dict[str, Any]:
        assert item.ids is not None  # the header says so
        sample: dict[str, Any] = {"ids": torch.from_numpy(item.ids.astype(self._type))}
        if self._keys:
            sample["key"] = item.key
        for name in self._attributes:
            if name not in item.attributes:
                raise errors.ArgumentError(f"{item.key}: attribute: wanted {name!r}, got "
                                           f"{', '.join(item.attributes) or 'none'}")
            sample[name] = item.attributes[name]
        return sample

    def _finish(self, samples: Iterable[Any]) -> list[Any]:
        return list(samples) if self.transform is None else [self.transform(each) for each in samples]

    def _block(self, shard: int, first: int, count: int) -> Sequence[Any]:
        """Samples of neighbours, without the transform."""
        file = self.shards.file(shard)
        if not self._plain:
            return [self._sample(file[i]) for i in range(first, first + count)]
        return _rows(*file.flat(self._type, first, count))


def _rows(ids: np.ndarray, offsets: np.ndarray) -> Sequence[torch.Tensor]:
    """What TokenFile.flat gave, as one tensor for each item over the same memory."""
    lengths = np.diff(offsets)
    tensor = torch.from_numpy(ids)
    if len(lengths) and (lengths == lengths[0]).all():
        return tensor.reshape(len(lengths), -1).unbind(0)
    return tensor.split(lengths.tolist())


class TokenDataset(_Samples, torch.utils.data.Dataset):
    """Map style: dataset[i] is a sample, len(dataset) their number.

    sources -- a .tess file, a folder of them, or a sequence of both; all of one tokenizer
    dtype -- of the ids: torch.int64, torch.uint16 or torch.uint32
    keys -- samples are dictionaries with the "key"
    attributes -- names of attributes that go into the samples; an item without one raises ArgumentError
    transform -- called with each sample

    Ranks get their parts from torch's DistributedSampler. A batch of a DataLoader is read in one call for
    each file.
    """

    def __init__(self, sources: Union[PathLike, Iterable[PathLike]], dtype: torch.dtype = torch.int64, *,
                 keys: bool = False, attributes: Sequence[str] = (),
                 transform: Optional[Callable[[Any], Any]] = None):
        super().__init__(sources, dtype, keys, attributes, transform)

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: int) -> Any:
        sample: Any
        if self._plain:
            sample = torch.from_numpy(self.shards.row(index, self._type))
        else:
            shard, number = self.shards.place(index)
            sample = self._sample(self.shards.file(shard)[number])
        return sample if self.transform is None else self.transform(sample)

    def __iter__(self) -> Iterator[Any]:
        for shard, count in enumerate(self.shards.counts):
            for first in range(0, count, _BLOCK):
                yield from self._finish(self._block(shard, first, min(_BLOCK, count - first)))

    def __getitems__(self, indexes: Sequence[int]) -> list[Any]:
        """Several samples at once; PyTorch's DataLoader asks for its batches so."""
        if not self._plain:
            return [self[i] for i in indexes]
        numbers = np.fromiter(indexes, np.int64, len(indexes))
        numbers[numbers < 0] += len(self)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            self.shards.place(int(indexes[int(np.argmax((numbers < 0) | (numbers >= len(self))))]))
        if len(self.shards.paths) == 1:
            return self._finish(_rows(*self.shards.file(0).flat(self._type, indexes=numbers)))
        shards = np.searchsorted(self.shards.starts, numbers, "right") - 1
        samples: list[Any] = [None] * len(numbers)
        for shard in np.unique(shards):
            members = np.flatnonzero(shards == shard)
            rows = _rows(*self.shards.file(int(shard)).flat(
                self._type, indexes=numbers[members] - self.shards.starts[shard]))
            for at, row in zip(members.tolist(), rows):
                samples[at] = row
        return self._finish(samples)


class IterableTokenDataset(_Samples, torch.utils.data.IterableDataset):
    """Iterable style: each worker of each rank yields its own part, all parts together every item once.

    Ranks and their number come from the arguments, else from torch.distributed where it is initialised,
    else from RANK and WORLD_SIZE in the environment. Arguments beside those of `TokenDataset`:

    shuffle -- another order in each epoch: blocks of items in random order, and random order in a block
    seed -- of the order; equal on all ranks
    even -- every rank yields equally many samples, so that none waits for another at the end of an
        epoch: at most world - 1 items are left out
    block -- items that are read at once
    """

    def __init__(self, sources: Union[PathLike, Iterable[PathLike]], dtype: torch.dtype = torch.int64, *,
                 keys: bool = False, attributes: Sequence[str] = (),
                 transform: Optional[Callable[[Any], Any]] = None, shuffle: bool = False, seed: int = 0,
                 even: bool = False, block: int = _BLOCK, rank: Optional[int] = None, world: Optional[int] = None):
        super().__init__(sources, dtype, keys, attributes, transform)
        if block < 1:
            raise errors.ArgumentError(f"block: wanted 1 or more, got {block}")
        self.shuffle, self.seed, self.even, self.block = shuffle, seed, even, block
        self.rank, self.world = rank, world
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it, too

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration, also in workers that a DataLoader keeps."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Samples of this rank."""
        first, end = self._part()
        return end - first

    def _part(self) -> tuple[int, int]:
        """This rank's range of the shuffled sequence of all items."""
        rank, world = rank_and_world(self.rank, self.world)
        total = len(self.shards)
        if self.even:
            return rank * (total // world), (rank + 1) * (total // world)
        return rank * total // world, (rank + 1) * total // world

    def __iter__(self) -> Iterator[Any]:
        first, end = self._part()
        info = torch.utils.data.get_worker_info()
        if info is not None:
            span = end - first
            first, end = first + info.id * span // info.num_workers, first + (info.id + 1) * span // info.num_workers
        blocks = [(shard, at, min(self.block, count - at)) for shard, count in enumerate(self.shards.counts)
                  for at in range(0, count, self.block)]
        order = np.arange(len(blocks))
        if self.shuffle:
            order = np.random.default_rng((self.seed, int(self._epoch))).permutation(len(blocks))
        position = 0
        for number in order:
            shard, at, count = blocks[number]
            begin, stop = max(first - position, 0), min(end - position, count)
            position += count
            if begin >= stop:
                continue
            yield from self._finish(self._shuffled(int(number), shard, at, count, begin, stop))

    def _shuffled(self, number: int, shard: int, at: int, count: int, begin: int, stop: int) -> Sequence[Any]:
        if not self.shuffle:
            return self._block(shard, at + begin, stop - begin)
        # The whole block is read also by those who share it: its order is one for all.
        samples = self._block(shard, at, count)
        order = np.random.default_rng((self.seed, int(self._epoch), number)).permutation(count)
        return [samples[i] for i in order[begin:stop]]


def rank_and_world(rank: Optional[int] = None, world: Optional[int] = None) -> tuple[int, int]:
    """Rank and number of ranks: as given, of torch.distributed, of RANK and WORLD_SIZE, or 0 of 1."""
    if rank is None and world is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        else:
            try:
                rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
            except ValueError as error:
                raise errors.ArgumentError(f"RANK and WORLD_SIZE: wanted numbers: {error}") from None
    if rank is None or world is None or not 0 <= rank < world:
        raise errors.ArgumentError(f"rank and world: wanted 0 <= rank < world, got {rank} and {world}")
    return rank, world
