#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The golden case of patch VQ, made with NumPy in float64: a codebook of two residual stages, a drawn
picture, its ids stage after stage, their margins, and the picture that the codes give.
  patch-vq-case.py FOLDER     (tests/golden/patch-vq/two-stages)"""
import hashlib
import json
import os
import struct
import sys
import zlib

import numpy as np

PATCH, CODES, STAGES, HEIGHT, WIDTH = 4, 24, 2, 40, 56
folder = sys.argv[1]
files = []


def path(name):
    files.append(name)
    return os.path.join(folder, name)


def write_png(name, rgb):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    head = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 8, 2, 0, 0, 0)
    with open(path(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def write_codes(name, codes):
    meta = {"format": "tessera-codebook", "metric": "euclid", "version": "1", "patch": str(PATCH)}
    head = json.dumps({"__metadata__": meta, "codes": {"dtype": "F32", "shape": list(codes.shape),
                                                       "data_offsets": [0, codes.nbytes]}}).encode()
    head += b" " * (-len(head) % 8)
    with open(path(name), "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + codes.tobytes())


def output(name, array, tol, **more):
    file = "cut.%s.npy" % name
    np.save(path(file), array)
    return dict({"name": name, "file": file, "shape": list(array.shape), "dtype": array.dtype.name, "stride": 1,
                 "sum": float(array.sum(dtype=np.float64)), "sumsq": float((array.astype(np.float64) ** 2).sum()),
                 "tol": tol}, **more)


random = np.random.default_rng(20)
y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
picture = 128 + 90 * np.sin(0.21 * x + c) * np.cos(0.17 * y) + random.integers(-12, 13, x.shape)
picture[(x - 30) ** 2 + (y - 18) ** 2 < 90] = 230
picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
patches = picture.reshape(HEIGHT // PATCH, PATCH, WIDTH // PATCH, PATCH * 3).transpose(0, 2, 1, 3)
patches = patches.reshape(-1, PATCH * PATCH * 3) / 255.0

# Codes: some patches of the picture with noise, then small ones.
codes = np.stack([patches[random.permutation(len(patches))[:CODES]] + random.uniform(-0.1, 0.1, (CODES, 48)),
                  random.uniform(-0.12, 0.12, (CODES, 48))]).astype(np.float32)
rest, total, ids, margin = patches.copy(), np.zeros_like(patches), [], []
for book in codes.astype(np.float64):
    distance = ((rest[:, None] - book) ** 2).sum(2)
    order = np.sort(distance, 1)
    ids.append(distance.argmin(1))
    margin.append(order[:, 1] - order[:, 0])
    rest -= book[ids[-1]]
    total += book[ids[-1]]
image = total.reshape(HEIGHT // PATCH, WIDTH // PATCH, PATCH, PATCH * 3).transpose(0, 2, 1, 3).reshape(HEIGHT, WIDTH, 3)
image = np.clip(np.floor(image * 255 + 0.5), 0, 255).astype(np.uint8)

write_png("scene.png", picture)
write_codes("codes.safetensors", codes)
manifest = {
    "format": 1, "family": "patch-vq", "case": "two-stages",
    "title": "a codebook of 2 x %d patches of %d x %d pixels, made with NumPy in float64" % (CODES, PATCH, PATCH),
    "config": {"codebook": "codes.safetensors"},
    "id_margin": 1e-5,
    "inputs": [{"name": "scene", "file": "scene.png"}],
    "runs": [{"name": "cut", "input": "scene", "outputs": [
        output("ids", np.stack(ids).astype(np.int32), 0),
        output("margin", np.stack(margin).astype(np.float32), 1, note="of the squared distances; judges ids"),
        output("image", image, 1, max_fraction=0.001, note="the codes' sum, rounded to 8 bits")]}],
}
manifest["sha256"] = {f: hashlib.sha256(open(os.path.join(folder, f), "rb").read()).hexdigest() for f in files}
with open(os.path.join(folder, "manifest.json"), "w") as f:
    f.write(json.dumps(manifest, indent=1) + "\n")
