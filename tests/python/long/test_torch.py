# SPDX-License-Identifier: MIT
"""Token files as PyTorch data sets: order, workers, ranks, pickling."""
import pickle
import sys

import numpy as np
import pytest
import torch
from made_items import HEADER, item

import tessera
from tessera.torch import IterableTokenDataset, TokenDataset, rank_and_world

SIZES = [13, 0, 40, 1, 46]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A folder of five files with 100 items; the name of each tells its place."""
    folder = tmp_path_factory.mktemp("shards")
    number = 0
    for shard, size in enumerate(SIZES):
        tessera.write(folder / f"shard-{shard + 8}.tess", HEADER, (item(i) for i in range(number, number + size)))
        number += size
    (folder / "manifest.jsonl").write_text("{}\n")
    return folder


WANTED = torch.from_numpy(np.stack([item(i).ids for i in range(100)]).astype(np.int64))


def test_map_style(shards):
    dataset = TokenDataset(shards)
    assert len(dataset) == 100 and dataset.header == HEADER
    assert all(torch.equal(dataset[i], WANTED[i]) for i in range(-100, 100))
    assert dataset[0].dtype == torch.int64 and torch.equal(torch.stack(list(dataset)), WANTED)
    order = [99, 0, 13, 12, 53, 0, -1]
    assert torch.equal(torch.stack(dataset.__getitems__(order)), WANTED[order])
    for outside in (100, -101):
        with pytest.raises(IndexError, match=f"got {outside}"):
            dataset[outside]
        with pytest.raises(IndexError, match=f"got {outside}"):
            dataset.__getitems__([3, outside])
    for kind in (torch.uint16, torch.uint32):
        assert torch.equal(TokenDataset(shards, kind)[7].to(torch.int64), WANTED[7])
    assert TokenDataset([shards / "shard-8.tess", shards / "shard-10.tess"])[13].tolist() == WANTED[13].tolist()
    with pytest.raises(ValueError, match="dtype"):
        TokenDataset(shards, torch.float32)


def test_keys_and_transform(shards):
    dataset = TokenDataset(shards, keys=True, transform=lambda sample: (sample["key"], int(sample["ids"][1])))
    assert dataset[42] == (item(42).key, int(item(42).ids[1])) and dataset.__getitems__([3])[0][0] == item(3).key
    with pytest.raises(ValueError, match="attribute: wanted 'label', got none"):
        TokenDataset(shards, attributes=["label"])[0]


def test_attributes(tmp_path):
    tessera.write(tmp_path / "a.tess", HEADER, (item(i, attributes={"label": i * i, "caption": str(i)}) for i in range(9)))
    for kind in (TokenDataset, IterableTokenDataset):
        loader = torch.utils.data.DataLoader(kind(tmp_path, attributes=["label", "caption"]), batch_size=9)
        batch = next(iter(loader))
        assert batch["label"].tolist() == [i * i for i in range(9)] and batch["caption"] == [str(i) for i in range(9)]
        assert torch.equal(batch["ids"], WANTED[:9])


@pytest.mark.parametrize("workers, method", [(0, None), (2, "fork"), (2, "spawn")])
def test_loader(shards, workers, method):
    loader = torch.utils.data.DataLoader(TokenDataset(shards), batch_size=32, num_workers=workers,
                                         multiprocessing_context=method)
    assert torch.equal(torch.cat(list(loader)), WANTED)
    stream = torch.utils.data.DataLoader(IterableTokenDataset(shards, block=7), batch_size=None, num_workers=workers,
                                         multiprocessing_context=method)
    rows = torch.stack(list(stream))
    assert torch.equal(rows[rows[:, 0].argsort()], WANTED[WANTED[:, 0].argsort()])


def test_files_are_opened_where_they_are_read(shards):
    dataset = TokenDataset(shards)
    assert not dataset.shards._files
    dataset[0]
    assert len(dataset.shards._files) == 1
    again = pickle.loads(pickle.dumps(dataset))
    assert not again.shards._files and torch.equal(again[99], WANTED[99])


def numbers(dataset):
    return [int(row[0]) * 1000003 + int(row[1]) for row in dataset]


EVERY = [int(row[0]) * 1000003 + int(row[1]) for row in WANTED]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_ranks_share_the_items(shards, world, shuffle):
    parts = [IterableTokenDataset(shards, shuffle=shuffle, seed=4, block=8, rank=rank, world=world) for rank in range(world)]
    lists = [numbers(part) for part in parts]
    assert [len(part) for part in parts] == [len(each) for each in lists]
    assert max(map(len, lists)) - min(map(len, lists)) <= 1
    together = sum(lists, [])
    assert sorted(together) == sorted(EVERY) and (together == EVERY) == (not shuffle)
    even = [numbers(IterableTokenDataset(shards, shuffle=shuffle, seed=4, block=8, rank=rank, world=world, even=True))
            for rank in range(world)]
    assert {len(each) for each in even} == {100 // world} and len(set(sum(even, []))) == 100 // world * world


def test_epochs(shards):
    stream = IterableTokenDataset(shards, shuffle=True, block=8)
    first = numbers(stream)
    assert numbers(stream) == first and first != EVERY
    stream.set_epoch(1)
    assert numbers(stream) != first and sorted(numbers(stream)) == sorted(EVERY)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    second = numbers(loader)
    stream.set_epoch(2)
    assert numbers(loader) != second, "workers that live on see the epoch"


def test_rank_of_the_environment(monkeypatch):
    assert rank_and_world() == (0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "5")
    assert rank_and_world() == (2, 5) and rank_and_world(0, 3) == (0, 3)
    for rank, world in (("5", "5"), ("-1", "2"), ("a", "2")):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", world)
        with pytest.raises(ValueError, match="wanted"):
            rank_and_world()


def test_unequal_items(tmp_path):
    import dataclasses
    header = dataclasses.replace(HEADER, nested=True, geometry="sequence", rows=1, columns=16)
    tessera.write(tmp_path / "a.tess", header, [item(i, n) for i, n in enumerate([16, 3, 0, 9])])
    wanted = [item(i, n).ids.tolist() for i, n in enumerate([16, 3, 0, 9])]
    dataset = TokenDataset(tmp_path)
    assert [row.tolist() for row in dataset.__getitems__([0, 1, 2, 3])] == wanted
    assert [dataset[i].tolist() for i in range(4)] == wanted
    assert [row.tolist() for row in IterableTokenDataset(tmp_path)] == wanted


def test_other_tokenizers_are_refused(tmp_path):
    import dataclasses
    tessera.write(tmp_path / "a.tess", HEADER, [item(0)])
    tessera.write(tmp_path / "b.tess", dataclasses.replace(HEADER, weights_hash=78), [item(0)])
    with pytest.raises(tessera.ModelError, match="b.tess: weights_hash: wanted 77 as in .*a.tess, got 78"):
        TokenDataset(tmp_path)
    with pytest.raises(FileNotFoundError):
        TokenDataset(tmp_path / "none.tess")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="wanted a folder with .tess files"):
        TokenDataset(tmp_path / "empty")


def test_dlpack():
    """Arrays of the package are PyTorch's without a copy, beside PyTorch's own threads and libraries."""
    picture = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    with tessera.Tokenizer(device="cpu") as tokenizer:
        ids, counts = tokenizer.encode(picture)
        assert np.array_equal(ids, tokenizer.encode(picture.numpy())[0])
        assert torch.from_dlpack(ids).dtype == torch.uint32 and torch.from_dlpack(ids).data_ptr() == ids.ctypes.data
        back = tokenizer.decode(torch.from_numpy(ids.astype(np.int64)), counts)
        assert torch.equal(torch.from_dlpack(back), torch.from_numpy(tokenizer.decode(ids, counts)))
    assert "torch" in sys.modules
