#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Samples a second of tessera.torch's data sets, beside what people use for tokens today.

    rival_loaders.py [--items 10000] [--ids 256] [--repeat 5] [--folder DIR]

The same ids (uniform in 0 .. 63999, from a fixed seed) are written as one token file, as one .npy file an
item (int64, the layout of LlamaGen's scripts), and as one uint16 array for numpy.memmap. Each way gives
int64 tensors, what an embedding takes. Files are read once before the clock starts, so that all lie in
the page cache; every figure is the median of --repeat runs, with the lowest and the highest. The runs of
all ways alternate, so that other work on the machine meets all of them. Needs torch.
"""
import argparse
import os
import statistics
import tempfile
import time

import numpy as np
import torch

import tessera
from tessera.torch import IterableTokenDataset, TokenDataset

CODES = 64000


class NpyDataset(torch.utils.data.Dataset):
    """One .npy file an item."""

    def __init__(self, folder, count):
        self.folder, self.count = folder, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.from_numpy(np.load(f"{self.folder}/{index}.npy"))


class MemmapDataset(torch.utils.data.Dataset):
    """One uint16 array of all items."""

    def __init__(self, path, count, ids):
        self.array = np.memmap(path, np.uint16, "r", shape=(count, ids))

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        return torch.from_numpy(self.array[index].astype(np.int64))


def make(folder, count, length):
    ids = np.random.default_rng(1).integers(0, CODES, (count, length), np.uint16)
    header = tessera.Header("bench", 1, codebook_size=CODES, geometry="sequence", rows=1, columns=length)
    counts = np.array([length], np.uint32)
    tessera.write(f"{folder}/all.tess", header, (
        tessera.Item(f"{i:08}.jpg", row, counts, source_width=256, source_height=256, width=256, height=256)
        for i, row in enumerate(ids)))
    ids.tofile(f"{folder}/all.u16")
    os.mkdir(f"{folder}/npy")
    for i, row in enumerate(ids):
        np.save(f"{folder}/npy/{i}.npy", row.astype(np.int64))
    return ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10000)
    parser.add_argument("--ids", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", help="for the files; default: a temporary one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        count = options.items
        ids = make(folder, count, options.ids)
        npy, memmap = NpyDataset(f"{folder}/npy", count), MemmapDataset(f"{folder}/all.u16", count, options.ids)
        ours, stream = TokenDataset(f"{folder}/all.tess"), IterableTokenDataset(f"{folder}/all.tess")
        shuffled = IterableTokenDataset(f"{folder}/all.tess", shuffle=True)
        order = np.random.default_rng(2).permutation(count).tolist()

        def each(dataset, numbers):
            return lambda: [dataset[i] for i in numbers]

        def together(dataset, numbers):
            return lambda: [row for at in range(0, len(numbers), 256) for row in dataset.__getitems__(numbers[at:at + 256])]

        def batches(dataset, **how):
            return lambda: list(torch.utils.data.DataLoader(dataset, batch_size=256, **how))
        ways = {
            "in order: one .npy an item": each(npy, range(count)),
            "in order: uint16 memmap": each(memmap, range(count)),
            "in order: TokenDataset": lambda: list(ours),
            "in order: IterableTokenDataset": lambda: list(stream),
            "at random: one .npy an item": each(npy, order),
            "at random: uint16 memmap": each(memmap, order),
            "at random: TokenDataset": each(ours, order),
            "at random: IterableTokenDataset(shuffle)": lambda: list(shuffled),
            "at random, batches of 256: one .npy an item": each(npy, order),
            "at random, batches of 256: uint16 memmap": each(memmap, order),
            "at random, batches of 256: TokenDataset": together(ours, order),
            "DataLoader, shuffled batches of 256: one .npy an item": batches(npy, shuffle=True),
            "DataLoader, shuffled batches of 256: uint16 memmap": batches(memmap, shuffle=True),
            "DataLoader, shuffled batches of 256: TokenDataset": batches(ours, shuffle=True),
            "DataLoader, shuffled batches of 256: IterableTokenDataset(shuffle)": batches(shuffled),
        }
        for way in ways.values():  # the page cache, and that all of them give the same
            rows = way()
            rows = torch.cat(rows) if rows[0].ndim == 2 else torch.stack(rows)
            assert rows.dtype == torch.int64 and int(rows.sum()) == int(ids.sum(dtype=np.int64))
        seconds = {name: [] for name in ways}
        for _ in range(options.repeat):
            for name, way in ways.items():
                begin = time.perf_counter()
                way()
                seconds[name].append(time.perf_counter() - begin)
        sizes = {name: os.path.getsize(f"{folder}/{name}") for name in ("all.tess", "all.u16")}
        print(f"{count} items of {options.ids} ids, median of {options.repeat} (lowest to highest), samples a second; "
              f"token file {sizes['all.tess']} bytes, memmap {sizes['all.u16']}, .npy files "
              f"{sum(each.stat().st_size for each in os.scandir(f'{folder}/npy'))}")
        for name, taken in seconds.items():
            kind = name.rpartition(":")[0]
            rates = sorted(count / each for each in taken)
            base = {other: statistics.median(seconds[f"{kind}: {other}"]) for other in ("one .npy an item", "uint16 memmap")}
            middle = statistics.median(taken)
            print(f"  {name}: {count / middle:.0f} ({rates[0]:.0f} to {rates[-1]:.0f}); "
                  + ", ".join(f"{value / middle:.2f} x {other}" for other, value in base.items()))


if __name__ == "__main__":
    main()
