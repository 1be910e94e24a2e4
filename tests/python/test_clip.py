# SPDX-License-Identifier: MIT
"""Clips of token files: facts, times, which item a frame is in, and tiles with frames."""
import math
import os
import pathlib
import pickle
import subprocess
from fractions import Fraction

import numpy as np
import pytest

import tessera
from tessera._core import Context, ffi, lib

#: Written by tests/unit/test_token_clips.c in the form of tess 1.4; see formats/tokens/SPEC.md, 14.
GOLDEN = pathlib.Path(os.environ["SOURCE"]) / "tests" / "golden" / "tess"


def test_facts_of_a_clip():
    with tessera.open(GOLDEN / "v1_4_clip.tess") as file:
        clip, = file.clips
        assert clip.name == "café 1.mp4" and clip.number == 0 and clip.items == range(12) and len(clip) == 12
        assert clip.rate == Fraction(30000, 1001) and clip.time_base == Fraction(1, 90000) and clip.start == -1500
        assert clip.sample_aspect == Fraction(40, 33) and (clip.coded_width, clip.coded_height) == (1920, 1088)
        assert clip.rotation == 270 and clip.mirrored and clip.deinterlaced and clip.sound_dropped
        assert clip.fields == "bottom_first" and (clip.matrix, clip.range, clip.primaries, clip.transfer) == (1, 2, 9, 16)
        assert clip.assumed == ("range", "times") and clip.group == 5 and clip.source_frames == 77
        assert clip.lost_items == 0 and clip.constant_rate is None  # uneven steps, one frame without a time
        again, = pickle.loads(pickle.dumps(file)).clips
        assert again == clip
        with pytest.raises(TypeError):
            hash(clip)


def test_frames_of_a_clip():
    with tessera.open(GOLDEN / "v1_4_clip.tess") as file:
        clip, = file.clips
        for frame in clip:
            assert frame.item == frame.number and frame.decoded == 0
            if frame.pts is not None:
                assert frame.time == (frame.pts + 1500) * Fraction(1, 90000)
                assert frame.seconds == pytest.approx(float(frame.time)) == file[frame.item].time
        timeless = [frame.number for frame in clip if frame.pts is None]
        assert timeless == [7] and clip[7].time is None
        assert clip[7].seconds == pytest.approx(clip[6].seconds + 1001 / 30000)
        assert clip[-1] == clip[11] and clip[2:6:3] == [clip[2], clip[5]] and clip[11] in clip
        assert clip.seconds.dtype == np.float64 and clip.seconds.shape == (12,)
        assert clip.at(-5).number == 0 and clip.at(1e9).number == 11
        assert clip.at(clip[3].time).number == 3 and clip.at(clip[4].seconds - 1e-4).number == 3
        for outside in (12, -13):
            with pytest.raises(IndexError, match="wanted -12 to 11"):
                clip[outside]
        with pytest.raises(tessera.ArgumentError):
            clip.at(math.nan)
        owner, frames = file.clip_of("clip/004")
        assert owner == clip and frames == range(4, 5) and file.clip_of(-1) is None
        with pytest.raises(KeyError):
            file.clip_of("nobody")
        with pytest.raises(IndexError):
            file.clip_of(13)
    with pytest.raises(ValueError, match="closed"):
        clip[0]


def test_windows_of_frames():
    with tessera.open(GOLDEN / "v1_4_windows.tess") as file:
        clip, = file.clips
        assert file.header.tile_frames == 9 and file.header.frames == 3 and file.header.positions == 18
        assert len(clip) == 30 and clip.items == range(4) and clip.rate is None and clip.sample_aspect is None
        assert clip.constant_rate == 25
        held = [file.clip_of(item)[1] for item in range(4)]
        assert [each.start for each in held] == [0] + [each.stop for each in held[:-1]] and held[-1].stop == 30
        for item, frames in enumerate(held):
            assert file[item].frames >= len(frames)
            places = [clip[frame] for frame in frames]
            assert {place.item for place in places} == {item}
            assert [b.decoded - a.decoded for a, b in zip(places, places[1:])] == [1] * (len(places) - 1)
        with tessera.open(GOLDEN / "v1_raw.tess") as other:
            assert other.clips == [] and other.clip_of(0) is None


def write_clip(path, header, items, pts):
    """A token file of one clip through the library's own calls: the package writes none."""
    context, writer = Context(threads=1), ffi.new("tsr_token_writer **")
    clip, frame = ffi.new("tsr_token_clip *"), ffi.new("tsr_clip_frame *")
    clip.time_base.num, clip.time_base.den = 1, 1000
    context.check(lib.tsr_token_writer_open(context.pointer, writer, os.fsencode(path), header.to_c(), ffi.NULL))
    context.check(lib.tsr_token_writer_clip_begin(writer[0], clip))
    for item, time in zip(items, pts):
        data, _alive = item.to_c(header)
        frame.pts = time
        context.check(lib.tsr_token_writer_clip_add(writer[0], data, frame, 1, 0))
    context.check(lib.tsr_token_writer_clip_end(writer[0]))
    context.check(lib.tsr_token_writer_close(writer))
    context.close()


def test_frames_that_repeat_are_read_by_their_chain(tmp_path):
    """Items of coding 3 stand on the ones before them; any order gives the same ids."""
    random = np.random.default_rng(3)
    header = tessera.Header(tokenizer="test", family=1, codebook_size=256, rows=8, columns=8, tile_width=64,
                            tile_height=64)
    ids, frames = random.integers(0, 256, 64).astype(np.uint32), []
    for _number in range(40):
        ids = ids.copy()
        ids[random.integers(0, 64, 3)] = random.integers(0, 256, 3)
        frames.append(ids)
    write_clip(tmp_path / "a.tess", header,
               [tessera.Item(key=f"v/{i:06}", ids=ids, counts=np.array([64]), source_width=64, source_height=64,
                             width=64, height=64) for i, ids in enumerate(frames)], [40 * i for i in range(40)])
    with tessera.open(tmp_path / "a.tess") as file:
        assert os.path.getsize(tmp_path / "a.tess") < 0.85 * 64 * 40 + 40 * 24  # less than the ids are wide
        for i in random.permutation(40):
            assert (file[int(i)].ids == frames[i]).all() and file[int(i)].time == pytest.approx(i * 0.04)
        assert (file.ids(np.uint32) == frames).all() and file.clips[0].constant_rate == 25


def test_clip_of_the_program(program, tmp_path, tokenizer):
    """A folder of frames by the program, and the same frames here."""
    frames = np.random.default_rng(1).integers(0, 256, (3, 48, 64, 3), np.uint8)
    (tmp_path / "f").mkdir()
    for i, frame in enumerate(frames):
        tessera.write_picture(tmp_path / "f" / f"{i}.png", frame)
    program("encode", "--as-video", "--rate", "30000/1001", "--device", "cpu", "-q", tmp_path / "f", "-o", tmp_path / "f.tess")
    with tessera.open(tmp_path / "f.tess") as file:
        clip, = file.clips
        assert clip.constant_rate == clip.rate == Fraction(30000, 1001) and clip.assumed[0] == "rate"
        assert [frame.time for frame in clip] == [Fraction(1001 * i, 30000) for i in range(3)]
        ids, _counts = tokenizer.encode(frames)
        assert (file.ids(np.uint32) == ids).all()
        with pytest.raises(tessera.Error, match="frames"):
            tokenizer.encode([frames])  # a tokenizer of pictures


def test_tiles_with_frames(tmp_path):
    """A tokenizer of video, with made-up weights: stretches in, as many frames out."""
    make = pathlib.Path(os.environ.get("BUILD", "")) / "make_weights"
    if not make.exists():
        pytest.skip("BUILD has no make_weights to make a model with")
    case = pathlib.Path(os.environ["SOURCE"]) / "tests" / "golden" / "cosmos" / "dv8x16x16-tiny" / "manifest.json"
    subprocess.run([make, case, tmp_path / "m.safetensors"], check=True, capture_output=True)
    frames = np.random.default_rng(2).integers(0, 256, (9, 32, 48, 3), np.uint8)
    with tessera.Tokenizer(tmp_path / "m.safetensors", device="cpu", threads=1, tile=(48, 32, 9)) as tokenizer:
        assert tokenizer.header.tile_frames == 9 and tokenizer.positions == 2 * 2 * 3
        items = tokenizer.encode_items([frames, frames[:3], frames[0]], keys="abc")
        assert [item.frames for item in items] == [9, 3, 1]
        back = tokenizer.decode(items)
        assert [each.shape for each in back] == [(9, 32, 48, 3), (3, 32, 48, 3), (1, 32, 48, 3)]
        ids, counts = tokenizer.encode(frames[None])
        assert (ids[0] == items[0].ids).all() and counts.tolist() == [[12]]
        whole = tokenizer.decode(ids, counts)
        assert whole.shape == (1, 9, 32, 48, 3) and (whole[0] == back[0]).all()
        assert (tokenizer.decode(items[:1], header=items.header)[0][:3] != back[1]).any()
        tessera.write(tmp_path / "windows.tess", items.header, items)
        with pytest.raises(tessera.ArgumentError, match="frames"):
            tokenizer.encode([np.zeros((10, 32, 48, 3), np.uint8)])
        with tessera.open(tmp_path / "windows.tess") as file:
            assert list(file) == list(items) and (tokenizer.decode(file[1], header=file.header)[0] == back[1]).all()
