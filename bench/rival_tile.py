# SPDX-License-Identifier: MIT
"""What the rival_<family>.py scripts of tokenizers share: weights as tensors, one tile through PyTorch and through the
build's program tile_seconds turn by turn, and the table."""
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch

THREADS = int(os.environ.get("TESSERA_THREADS", os.cpu_count()))
torch.set_num_threads(THREADS)


def load(path):
    """The tensors of a safetensors file by their names, as f32."""
    with open(path, "rb") as f:
        size = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(size))
        data = f.read()
    types = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    return {name: torch.frombuffer(bytearray(data[slice(*t["data_offsets"])]), dtype=types[t["dtype"]])
            .reshape(t["shape"]).float() for name, t in header.items() if name != "__metadata__" and t["dtype"] in types}


def blocks(frames, side):
    """A tile of 8x8 squares of random colours: u8 [frames, side, side, 3]."""
    small = np.random.default_rng(1).integers(0, 256, (frames, side // 8, side // 8, 3), np.uint8)
    return small.repeat(8, 1).repeat(8, 2)


def numbers(tile):
    """Pixels of -1 .. 1: f32 [1, 3, frames, rows, columns]."""
    return torch.from_numpy((tile / 255.0 * 2 - 1).astype(np.float32)).permute(3, 0, 1, 2)[None]


def run(what, program, path, tile, clip, rounds, encode, decode):
    """Takes turns, after one round that warms up, and prints both. encode gives ids and how clearly each was decided;
    decode takes ids."""
    work = tempfile.mkdtemp()
    tile.tofile(os.path.join(work, "rgb"))
    rows = {}

    def timed(name, call):
        clock, cpu = time.time(), time.process_time()
        result = call()
        rows.setdefault(name, []).append((time.time() - clock, time.process_time() - cpu))
        return result

    frames, height, width, _ = tile.shape
    with torch.inference_mode():
        for r in range(rounds + 1):
            if r == 1:
                rows.clear()
            ids, margin = timed("PyTorch encode", encode)
            picture = timed("PyTorch decode", lambda: decode(ids))
            out = subprocess.run([program, path, os.path.join(work, "rgb"), str(width), str(height),
                                  str(frames if clip else 0), "1", str(THREADS), os.path.join(work, "ids")], check=True,
                                 capture_output=True, text=True).stdout
            a, b, c, d = (float(x) for x in out.split())
            rows.setdefault("tessera encode", []).append((a, b))
            rows.setdefault("tessera decode", []).append((c, d))
    ours = np.fromfile(os.path.join(work, "ids"), np.uint32)
    differ = ours != ids.reshape(-1).numpy()
    print(f"{what}: {THREADS} threads, PyTorch {torch.__version__}; ids equal: {(~differ).sum()} of {len(ours)}, largest "
          f"margin of one that differs {margin.reshape(-1).numpy()[differ].max(initial=0):.2g}; decoded {tuple(picture.shape)}")
    print("\n| least / median | seconds | of processors |\n|---|---|---|")
    for name, values in sorted(rows.items()):
        clock, cpu = zip(*values)
        print(f"| {name} | {min(clock):.3f} / {statistics.median(clock):.3f} | {min(cpu):.3f} / {statistics.median(cpu):.3f} |")
    for half in ("encode", "decode"):
        a, b = rows[f"PyTorch {half}"], rows[f"tessera {half}"]
        print(f"{half}: {min(x for x, _ in a) / min(x for x, _ in b):.2f} times as fast by the clock's least, "
              f"{min(x for _, x in a) / min(x for _, x in b):.2f} by the processors'")
