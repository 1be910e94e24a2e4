# SPDX-License-Identifier: MIT
"""Token files: reading, writing, failures."""
import dataclasses
import errno
import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from made_items import HEADER, item

import tessera
from tessera._core import ffi


def test_sequence(token_file):
    with tessera.open(token_file) as file:
        assert len(file) == 50 and file.header == HEADER
        assert file[0] == item(0) and file[-1] == item(49) and file[np.int64(7)] == item(7)
        assert file[10:20:3] == [item(i) for i in range(10, 20, 3)]
        assert file[::-1][0] == item(49)
        assert [each.key for each in file] == [item(i).key for i in range(50)]
        assert file["sub/00031.jpg"] == item(31)
        assert "sub/00031.jpg" in file and "nobody" not in file and 3 not in file
        assert file.find("nobody") is None
        for outside in (50, -51):
            with pytest.raises(IndexError, match="wanted -50 to 49"):
                file[outside]
        with pytest.raises(KeyError):
            file["nobody"]
        with pytest.raises((TypeError, AttributeError)):
            file[1.5]
    with pytest.raises(ValueError, match="closed"):
        file[0]


def stream(**fields):
    ids = np.arange(24, dtype=np.uint32).reshape(2, 3, 4) % 5
    return tessera.Stream(**{"name": "clip", "ids": ids, "codebook_size": 5, **fields})


def test_streams(tmp_path):
    codebook = np.arange(10, dtype=np.float32).reshape(5, 2)
    finer = stream(codebook=codebook, codebook_type="f16", newline=codebook[0], gains=np.ones((2, 3, 4), np.float32),
                   source="a tower", weights_hash=1 << 63)
    pooled = stream(name="fast", ids=np.zeros((1, 3, 2), np.uint32), finer=1, finer_grid=(2, 3, 4), window=(2, 1, 2))
    mapped = stream(name="few", ids=np.arange(3, dtype=np.uint32).reshape(1, 1, 3), finer=1, finer_grid=(2, 3, 4),
                    map=np.arange(24, dtype=np.uint32).reshape(2, 3, 4) % 3)
    path = tmp_path / "streams.tess"
    wanted = item(1)
    wanted.streams = [finer, pooled, mapped]
    assert tessera.write(path, HEADER, [wanted, item(2)]) == 2
    wrong = dataclasses.replace(item(2), streams=[stream(gains=np.ones((2, 3), np.float32))])
    with pytest.raises(tessera.ArgumentError, match="stream clip: gains: wanted shape"):
        tessera.write(tmp_path / "wrong.tess", HEADER, [wrong])
    with tessera.open(path) as file:
        assert file[0] == wanted and file[0].streams[2].map[1, 2, 3] == 2
        assert file[0].streams[0] != stream() and file[1] == item(2)
        tessera.write(tmp_path / "again.tess", file.header, file)
    assert (tmp_path / "again.tess").read_bytes() == path.read_bytes()


def test_items_differ_where_one_field_differs():
    for field in dataclasses.fields(tessera.Item):
        other = item(1)
        value = {"ids": item(2).ids, "counts": np.array([15], np.uint32), "latents": np.zeros((1, 1), np.float32),
                 "kept": np.zeros((1, 2), np.uint8), "attributes": {"label": 1}, "target": {"metric": "psnr"},
                 "streams": [stream()],
                 "key": "x"}.get(field.name, 9)
        setattr(other, field.name, value)
        assert other != item(1), field.name


def test_fields_are_those_of_the_headers():
    """A field that the C structs gain must come here, too."""
    header = {name for name, _ in ffi.typeof("tsr_token_header").fields}
    assert {field.name for field in dataclasses.fields(tessera.Header)} == header - {"level_count"}
    items = {name for name, _ in ffi.typeof("tsr_token_item").fields}
    assert {field.name for field in dataclasses.fields(tessera.Item)} == items - {"attribute_count", "stream_count"}


def test_id_arrays(token_file):
    wanted = np.stack([item(i).ids for i in range(50)])
    with tessera.open(token_file) as file:
        assert file.ids().dtype == np.uint16 and file.ids().flags.c_contiguous
        for dtype in (np.uint16, np.uint32, np.int64):
            assert np.array_equal(file.ids(dtype), wanted) and file.ids(dtype).dtype == dtype
        assert np.array_equal(file.rows([3, -1, 3]), wanted[[3, -1, 3]])
        assert np.array_equal(file.rows(range(5, 9)), wanted[5:9])
        assert file.rows([]).shape[0] == 0
        assert np.array_equal(file.row(-1), wanted[-1]) and file.row(4, np.int64).dtype == np.int64
        ids, offsets = file.flat(np.uint32, 10, 5)
        assert np.array_equal(ids, wanted[10:15].reshape(-1)) and offsets.tolist() == [0, 16, 32, 48, 64, 80]
        ids, offsets = file.flat(indexes=[7, 2])
        assert np.array_equal(ids.reshape(2, 16), wanted[[7, 2]])
        for wrong in (np.float32, np.uint8, np.int32):
            with pytest.raises(ValueError, match="dtype"):
                file.ids(wrong)
        with pytest.raises(IndexError):
            file.rows([50])
        with pytest.raises(IndexError):
            file.rows(range(48, 52))
        with pytest.raises(IndexError):
            file.flat(first=49, count=2)
        with pytest.raises(IndexError):
            file.row(50)


def test_unequal_items(tmp_path):
    header = dataclasses.replace(HEADER, nested=True, geometry="sequence", rows=1, columns=16)
    lengths = [16, 3, 0, 7, 16, 1]
    path = tmp_path / "ragged.tess"
    tessera.write(path, header, [item(i, n) for i, n in enumerate(lengths)])
    with tessera.open(path) as file:
        with pytest.raises(ValueError, match="got 0 to 16"):
            file.ids()
        padded = file.ids(pad=999)
        assert padded.shape == (6, 16)
        for i, n in enumerate(lengths):
            assert np.array_equal(padded[i, :n], item(i, n).ids) and (padded[i, n:] == 999).all()
            assert np.array_equal(file.row(i), item(i, n).ids)
        row = file.row_reader(np.int64)  # which learns how wide a row becomes
        for i in [2, 1, 0, 5, 3, 4, 2]:
            assert row(i).dtype == np.int64 and row(i).tolist() == item(i, lengths[i]).ids.tolist()
        kept = row(3)
        row(4)
        assert kept.tolist() == item(3, 7).ids.tolist() and kept.base is None
        with pytest.raises(ValueError, match="item: wanted below 6, got 6"):
            row(6)
        assert file.rows([1, 3], pad=0).shape == (2, 7)
        ids, offsets = file.flat()
        assert np.diff(offsets).tolist() == lengths and ids.size == sum(lengths)
        assert np.array_equal(ids[offsets[3]:offsets[4]], item(3, 7).ids)
        assert file.ids(np.int64, pad=-100)[2].tolist() == [-100] * 16
        with pytest.raises(ValueError, match="pad"):
            file.ids(np.uint16, pad=-100)
    with pytest.raises(ValueError, match="closed"):
        row(0)


def test_ids_of_a_large_codebook(tmp_path):
    header = dataclasses.replace(HEADER, codebook_size=262144)
    path = tmp_path / "large.tess"
    tessera.write(path, header, [item(0, codes=262144)])
    with tessera.open(path) as file:
        assert file.ids().dtype == np.uint32 and np.array_equal(file.ids()[0], item(0, codes=262144).ids)
        with pytest.raises(ValueError, match="262143"):
            file.ids(np.uint16)


def test_vectors(tmp_path):
    header = dataclasses.replace(HEADER, codebook_size=0, channels=3)
    vectors = np.random.default_rng(1).standard_normal((16, 3)).astype(np.float32)
    one = dataclasses.replace(item(0), ids=None, latents=vectors)
    tessera.write(tmp_path / "vectors.tess", header, [one])
    with tessera.open(tmp_path / "vectors.tess") as file:
        assert file[0].ids is None and np.array_equal(file[0].latents, vectors)
        with pytest.raises(ValueError, match="vectors"):
            file.ids()


def test_bytes_and_the_same_bytes_again(token_file, tmp_path):
    content = bytearray(token_file.read_bytes())
    with tessera.open(content, "memory") as file:
        assert file[3] == item(3)
        tessera.write(tmp_path / "again.tess", file.header, file)
    assert (tmp_path / "again.tess").read_bytes() == bytes(content)
    with pytest.raises(tessera.FormatError, match="^memory: "):
        tessera.open(bytearray(b"not a token file, whatever it says here"), "memory")


def test_refusals(token_file, tmp_path):
    out = tmp_path / "out.tess"
    cases = [(ValueError, "ids", dict(ids=np.full(16, 1024, np.uint32))), (ValueError, "ids", dict(ids=np.full(16, -1))),
             (ValueError, "ids", dict(ids=np.zeros(16))), (ValueError, "ids", dict(ids=np.zeros(15, np.uint32))),
             (ValueError, "counts", dict(counts=np.zeros(2, np.uint32))),
             (tessera.ArgumentError, "crop_x", dict(crop_x=1 << 40)), (ValueError, "zero bytes", dict(key="a\0b"))]
    for kind, text, change in cases:
        with pytest.raises(kind, match=text):
            tessera.write(out, HEADER, [item(0), dataclasses.replace(item(1), **change)])
        assert not out.exists() and os.listdir(tmp_path) == ["fifty.tess"], "nothing is left behind"
    with pytest.raises(tessera.ArgumentError, match="fit: wanted one of auto, crop"):
        tessera.write(out, dataclasses.replace(HEADER, fit="squeeze"), [])
    with pytest.raises(FileExistsError):
        tessera.write(token_file, HEADER, [], keep_existing=True)

    def interrupted():
        yield item(0)
        raise RuntimeError("no more")
    with pytest.raises(RuntimeError, match="no more"):
        tessera.write(out, HEADER, interrupted())
    assert not out.exists()


def test_errors_are_pythons_own(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        tessera.open(tmp_path / "none.tess")
    error = caught.value
    assert isinstance(error, tessera.Error) and error.status == tessera.Status.ERROR_NOT_FOUND
    assert str(error).endswith("none.tess: open: No such file or directory") and error.detail == str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and again.detail == error.detail and again.status == error.status
    (tmp_path / "text").write_bytes(b"x" * 100)
    with pytest.raises(ValueError) as caught:
        tessera.open(tmp_path / "text")
    assert caught.value.status == tessera.Status.ERROR_FORMAT
    assert errno.ENOENT != 0 and issubclass(tessera.OutOfMemoryError, MemoryError)


def test_damage(token_file):
    content = bytearray(token_file.read_bytes())
    with tessera.open(token_file) as file:
        at = len(content) * 2 // 5
    content[at] ^= 255
    with tessera.open(content) as file:
        failures = []
        left = list(file.items(on_error="skip", failures=failures))
        assert len(left) == 49 and len(failures) == 1
        number, error = failures[0]
        assert isinstance(error, tessera.FormatError) and error.status == tessera.Status.ERROR_CHECKSUM
        with pytest.raises(tessera.FormatError):
            file[number]
        with pytest.raises(tessera.FormatError):
            file.ids()
        with pytest.raises(tessera.FormatError):
            list(file.items())
        assert file.find("sub/00049.jpg") == 49
    with tessera.open(content[:len(content) - 40]) as file:
        assert file.info["recovered"] and file.info["damaged"] == len(file.damage()) > 0


def test_threads_take_turns(token_file):
    wrong = []
    with tessera.open(token_file) as file:
        def read(seed):
            for i in np.random.default_rng(seed).integers(0, 50, 200):
                if file[int(i)] != item(int(i)) or not np.array_equal(file.row(int(i)), item(int(i)).ids):
                    wrong.append(i)
        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def _keys_in_child(file, pipe):
    pipe.send([each.key for each in file])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(token_file, method):
    with tessera.open(token_file) as file:
        assert pickle.loads(pickle.dumps(file))[5] == item(5)
        context = multiprocessing.get_context(method)
        here, there = context.Pipe()
        child = context.Process(target=_keys_in_child, args=(file, there))
        child.start()
        assert here.poll(60) and here.recv() == [item(i).key for i in range(50)]
        child.join()
        assert child.exitcode == 0 and file[1] == item(1)


def test_fork_while_a_thread_reads(token_file):
    """The lock of another thread does not stay locked in the child."""
    with tessera.open(token_file) as file:
        file._lock.acquire()
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # in place of waiting for ever
            os._exit(0 if file[2] == item(2) else 1)
        file._lock.release()
        assert os.waitpid(child, 0)[1] == 0


ATTRIBUTES = {"label": -7, "caption": "två katter \n \u732b \U0001f600", "raw": b"\0\xff", "empty": "", "none": b"",
              "large": (1 << 63) - 1}


def test_attributes(tmp_path):
    path = tmp_path / "a.tess"
    items = [item(0, attributes=dict(ATTRIBUTES)), item(1), item(2, attributes={"label": np.int32(5)})]
    tessera.write(path, HEADER, items, attributes={"source": "made", "n": 3})
    with tessera.open(path) as file:
        assert file.attributes == {"source": "made", "n": 3}
        assert file[0].attributes == ATTRIBUTES and file[1].attributes == {} and file[2].attributes == {"label": 5}
        assert file[0] == items[0]
    tessera.write(path, HEADER, items)
    with tessera.open(path) as file:
        assert file.attributes == {}
    for wrong, message in (({"x": 1.5}, "attribute 'x': wanted text, an integer or bytes, got float"),
                           ({"x": True}, "got bool"), ({"x": 1 << 63}, "64 bits"), ({"": 1}, "name|attribute"),
                           ({"a\0b": 1}, "zero bytes")):
        with pytest.raises(ValueError, match=message):
            tessera.write(path, HEADER, [item(0, attributes=wrong)])
        with pytest.raises(ValueError, match=message):
            tessera.write(path, HEADER, [], attributes=wrong)


@pytest.mark.parametrize("key_index", [False, True])
def test_keys(tmp_path, key_index):
    path = tmp_path / "a.tess"
    items = [dataclasses.replace(item(i), key=key) for i, key in enumerate(["b", "a", "c/\u732b", "a", "d" * 1000])]
    tessera.write(path, HEADER, items, key_index=key_index)
    with tessera.open(path) as file:
        assert file.info["key_index"] is key_index
        assert [file.find(key) for key in ("a", "b", "c/\u732b", "d" * 1000, "", "A", "aa")] == [1, 0, 2, 4, None, None, None]
        assert file["a"] == items[1] and (file._keys is None) == key_index


def test_damaged_attributes(tmp_path):
    tessera.write(tmp_path / "a.tess", HEADER, [item(0), item(1, attributes={"caption": "a cat on a mat"}), item(2)])
    content = bytearray((tmp_path / "a.tess").read_bytes())
    content[content.index(b"a cat on a mat") + 3] ^= 1
    with tessera.open(content) as file:
        with pytest.warns(UserWarning, match="item 1|attributes"):
            assert file[1] == item(1)
        assert file[0] == item(0) and file[2] == item(2)
