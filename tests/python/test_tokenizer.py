# SPDX-License-Identifier: MIT
"""Tokenizer: the ids of the program, arrays in and out, threads, processes, interruption."""
import concurrent.futures
import json
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import tessera


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(5).integers(0, 256, (6, 256, 256, 3), np.uint8)


def ids_of_program(program, pictures, folder, *options):
    """[ids of each picture] of the program, by way of a file of its own reading."""
    out = folder / "program.tess"
    program("encode", *pictures, "-o", out, "--device", "cpu", "-q", *options)
    listed = json.loads(program("info", out, "--ids", "--json"))
    items = listed["items"] if isinstance(listed, dict) else listed
    with tessera.open(out) as file:
        ours = [item.ids for item in file]
    for theirs, own in zip(items, ours):
        assert np.array_equal(np.asarray(theirs["ids"], np.uint32).reshape(-1), own)
    return ours


def test_ids_of_the_program(program, samples, tokenizer, tmp_path):
    wanted = ids_of_program(program, samples, tmp_path)
    ids, counts = tokenizer.encode(samples)
    assert ids.dtype == counts.dtype == np.uint32 and ids.shape[0] == counts.shape[0] == len(samples)
    for row, tiles, theirs in zip(ids, counts, wanted):
        assert np.array_equal(row[:tiles.sum()], theirs) and not row[tiles.sum():].any()
    arrays = [tessera.read_picture(path) for path in samples]
    contents = [path.read_bytes() for path in samples]
    for pictures in (list(map(str, samples)), arrays, contents, iter(arrays)):
        assert np.array_equal(tokenizer.encode(pictures)[0], ids)


def test_a_file_of_the_program(program, samples, tokenizer, tmp_path):
    program("encode", *samples, "-o", tmp_path / "cli.tess", "--device", "cpu", "-q", "--fit", "crop", "-k", "64")
    items = tokenizer.encode_items(samples, fit="crop", tokens=64)
    tessera.write(tmp_path / "ours.tess", items.header, items)
    assert (tmp_path / "ours.tess").read_bytes() == (tmp_path / "cli.tess").read_bytes()


def test_four_threads_at_once(samples, noise):
    with tessera.Tokenizer(device="cpu", threads=1, parallel=2) as shared:
        alone = [shared.encode(noise[i:i + 2])[0] for i in range(0, 6, 2)] + [shared.encode(samples)[0]]

        def work(seed):
            order = np.random.default_rng(seed).permutation(4)
            return all(np.array_equal(shared.encode(noise[2 * i:2 * i + 2] if i < 3 else samples)[0], alone[i])
                       for i in order)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(8)))
        assert 1 <= len(shared._idle) <= 2


def test_the_lock_is_released(tokenizer, noise):
    """Python goes on while the library works."""
    ticks, done = [], threading.Event()

    def count():
        while not done.wait(0.001):
            ticks.append(time.perf_counter())
    counter = threading.Thread(target=count)
    counter.start()
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.3:
        tokenizer.encode(np.repeat(noise, 4, axis=0))
    end = time.perf_counter()
    done.set()
    counter.join()
    inside = [tick for tick in ticks if begin < tick < end]
    assert len(inside) > 10, f"{len(inside)} ticks of a millisecond in {end - begin:.2f} s"


def test_arrays_without_copies(tokenizer, noise):
    ids, _ = tokenizer.encode(noise[:2])
    wide = np.zeros((2, 256, 300, 3), np.uint8)
    wide[:, :, 20:276] = noise[:2]
    assert np.array_equal(tokenizer.encode(wide[:, :, 20:276])[0], ids)
    assert np.array_equal(tokenizer.encode(noise[1::-1])[0], ids[::-1])

    class OnlyDlpack:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()
    assert np.array_equal(tokenizer.encode(OnlyDlpack(noise[:2].copy()))[0], ids)
    out = np.from_dlpack(ids)
    assert np.shares_memory(out, ids)
    pictures = tokenizer.decode(ids)
    assert pictures.dtype == np.uint8 and np.shares_memory(np.from_dlpack(pictures), pictures)


def test_decode(program, samples, tokenizer, noise, tmp_path):
    ids, counts = tokenizer.encode(noise[:3])
    assert ids.shape == (3, 256) and counts.tolist() == [[256]] * 3
    pictures = tokenizer.decode(ids, counts)
    assert pictures.shape == (3, 256, 256, 3)
    assert np.array_equal(tokenizer.decode(ids[1])[0], pictures[1])
    assert np.array_equal(tokenizer.decode(ids.astype(np.int64).tolist(), [256, 256, 256]), pictures)
    fewer = tokenizer.decode(ids, np.full((3, 1), 32, np.uint32))
    assert np.array_equal(fewer, tokenizer.decode(ids, tokens=32)) and not np.array_equal(fewer, pictures)
    items = tokenizer.encode_items(samples, fit="tile")
    many = tokenizer.decode(items)
    assert isinstance(many, list) and [each.shape[:2] for each in many] == [(i.source_height, i.source_width) for i in items]
    tessera.write(tmp_path / "a.tess", items.header, items)
    for number in range(len(samples)):
        out = tmp_path / f"{number}.png"
        program("decode", tmp_path / "a.tess", "-o", out, "--item", number, "--device", "cpu", "-q")
        assert np.array_equal(tessera.read_picture(out), many[number])
    ids, counts = tokenizer.encode(samples[:1], fit="tile")
    assert np.array_equal(tokenizer.decode(ids, counts, like=items[0])[0], many[0])


def test_refused_tokens(tokenizer):
    row = np.zeros((1, 256), np.int64)
    for wrong, text in ((row - 1, "ids: wanted 0 to 63999, got -1"), (row + 64000, "got 64000"),
                        (row + 0.5, "ids: wanted integers"), (row[None], r"ids: wanted \[B, n\]")):
        with pytest.raises(tessera.ArgumentError, match=text):
            tokenizer.decode(wrong)
    with pytest.raises(ValueError, match="counts: wanted at most 256 tokens, got 257"):
        tokenizer.decode(row, [[257]])
    with pytest.raises(ValueError, match="counts: wanted 1 tiles, got 2: the geometry"):
        tokenizer.decode(row, [[128, 128]])
    with pytest.raises(tessera.TokensError):
        tokenizer.decode(np.zeros((1, 300), np.int64))
    other = tokenizer.header.__class__("other", 9, codebook_size=64000, rows=1, columns=256)
    with pytest.raises(tessera.ModelError) as caught:
        tokenizer.decode(row, header=other)
    assert caught.value.status == tessera.Status.ERROR_MODEL_MISMATCH


def test_refused_pictures(tokenizer, noise, tmp_path):
    for wrong in (noise.astype(np.float32), noise[..., :2], noise[0], np.zeros((1, 0, 4, 3), np.uint8)):
        with pytest.raises(tessera.ArgumentError, match="wanted uint8"):
            tokenizer.encode(wrong)
    with pytest.raises(FileNotFoundError, match="none.png"):
        tokenizer.encode([tmp_path / "none.png"])
    with pytest.raises(tessera.FormatError, match="picture of 8 bytes"):
        tokenizer.encode([b"no photo"])
    with pytest.raises(TypeError, match="unknown choice 'token'"):
        tokenizer.encode(noise, token=3)
    with pytest.raises(ValueError, match="fit: wanted one of auto, crop"):
        tokenizer.encode(noise, fit="squeeze")
    with pytest.raises(ValueError, match="tokens"):
        tokenizer.encode(noise, tokens=257)
    with pytest.raises(ValueError):
        tokenizer.encode(noise, tokens=-1)
    with pytest.raises(tessera.UnsupportedError):
        tokenizer.encode(noise, budget=4)
    with pytest.raises(ValueError, match="keys: wanted 6, got 1"):
        tokenizer.encode_items(noise, keys=["a"])


def test_choices(tokenizer, noise):
    ids, _ = tokenizer.encode(noise[:2])
    prefix, counts = tokenizer.encode(noise[:2], tokens=40)
    assert counts.tolist() == [[40], [40]] and np.array_equal(prefix, ids[:, :40])
    smooth = np.full((1, 256, 256, 3), 90, np.uint8)
    reached = tokenizer.encode_items(smooth, target=("psnr", 30.0))
    assert reached[0].target["metric"] == "psnr" and reached[0].target["reached"] >= 30 and len(reached[0]) < 256
    assert tokenizer.encode(noise[:0])[0].shape == (0, 0)


def test_properties(tokenizer):
    assert (tokenizer.name, tokenizer.codebook_size, tokenizer.positions) == ("mosaic-64", 64000, 256)
    assert tokenizer.nested is True and tokenizer.weights_hash > 0 and tokenizer.device == "cpu"


def test_refused_models(tmp_path):
    with pytest.raises(FileNotFoundError):
        tessera.Tokenizer(tmp_path / "none")
    (tmp_path / "w.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(tessera.ModelError):
        tessera.Tokenizer(tmp_path / "w.safetensors", device="cpu")
    with pytest.raises(tessera.DeviceError) as caught:
        tessera.Tokenizer(device="vulkan:77")
    assert caught.value.status == tessera.Status.ERROR_NO_DEVICE
    with pytest.raises(ValueError, match="threads"):
        tessera.Tokenizer(device="cpu", threads=5000)
    with pytest.raises(ValueError, match="precision"):
        tessera.Tokenizer(device="cpu", precision="f8")


def test_progress(tokenizer, noise):
    seen = []
    tokenizer.encode(np.zeros((1, 256, 700, 3), np.uint8), batch=1, progress=lambda *step: seen.append(step))
    assert seen == [("encode", tile, len(seen)) for tile in range(1, len(seen) + 1)] and len(seen) > 2
    with pytest.raises(tessera.InterruptedCallError):
        tokenizer.encode(noise, batch=1, progress=lambda what, done, total: True)
    with pytest.raises(ZeroDivisionError):
        tokenizer.encode(noise, batch=1, progress=lambda *_: 1 // 0)
    assert np.array_equal(tokenizer.encode(noise[:1])[0], tokenizer.encode(noise)[0][:1]), "usable afterwards"


def test_keyboard_interrupt(tokenizer, noise):
    many = np.repeat(noise, 200, axis=0)
    main = threading.get_ident()
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        tokenizer.encode(many, batch=1)
    stopped = time.perf_counter() - begin
    begin = time.perf_counter()
    tokenizer.encode(many[:120], batch=1)
    assert stopped < 0.2 + 10 * (time.perf_counter() - begin), "long before its end"


def test_fork_and_pickle(tokenizer, noise):
    wanted, _ = tokenizer.encode(noise[:1])
    again = pickle.loads(pickle.dumps(tokenizer))
    assert np.array_equal(again.encode(noise[:1])[0], wanted)
    again.close()
    with pytest.raises(ValueError, match="closed"):
        again.encode(noise[:1])
    tokenizer._turns.acquire()  # as if another thread were inside
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # in place of waiting for ever
        os._exit(0 if np.array_equal(tokenizer.encode(noise[:1])[0], wanted) else 1)
    tokenizer._turns.release()
    assert os.waitpid(child, 0)[1] == 0


def test_pictures(tmp_path, samples):
    picture = tessera.read_picture(samples[0])
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    for kind in ("png", "ppm", "tiff"):
        tessera.write_picture(tmp_path / f"a.{kind}", picture)
        assert np.array_equal(tessera.read_picture(tmp_path / f"a.{kind}"), picture)
    content = (tmp_path / "a.png").read_bytes()
    for form in (content, bytearray(content), memoryview(content), np.frombuffer(content, np.uint8)):
        assert np.array_equal(tessera.read_picture(form), picture)
    with pytest.raises(FileExistsError):
        tessera.write_picture(tmp_path / "a.png", picture, keep_existing=True)
    with pytest.raises(ValueError, match="suffix|format|picture"):
        tessera.write_picture(tmp_path / "a.xyz", picture)
    with pytest.raises(ValueError):
        tessera.write_picture(tmp_path / "a.png", picture[..., 0])
