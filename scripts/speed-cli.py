#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a person waits for: the tessera program timed from process start to closed file.

    scripts/speed-cli.py build/release/tessera [DEVICE] > table.md

Prints Markdown: one 256x256 picture by one call (seconds, peak memory), one hundred pictures by one
call and by one hundred calls. Pictures are drawn here, so the figures need no data."""
import os
import random
import subprocess
import sys
import tempfile
import time

PICTURES = 100
ONE_BY_ONE = 20  # of the hundred: the others would take as long


def draw(path, seed):
    """A 256x256 PPM: smooth shading, an edge and some grain."""
    r = random.Random(seed)
    a, b, c, edge = r.random(), r.random(), r.random(), r.randrange(64, 192)
    rows = bytearray()
    for y in range(256):
        for x in range(256):
            shade = 255 * (a * x + b * y) / 512 + (60 if x > edge else 0) + r.randrange(12)
            rows += bytes((int(shade) & 255 if shade < 256 else 255, int(shade * c) & 255,
                           (x * y >> 8) & 255))
    with open(path, "wb") as f:
        f.write(b"P6\n256 256\n255\n" + bytes(rows))


def timed(command):
    """Seconds from start to exit, and the peak resident size in bytes."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, use = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        sys.exit(f"speed-cli: failed: {' '.join(command)}")
    return seconds, use.ru_maxrss * 1024


def row(name, times, note):
    times = sorted(times)
    p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
    print(f"| {name} | {len(times)} | {times[0]:.3f} | {times[len(times) // 2]:.3f} | {p95:.3f} | {note} |")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    device = ["--device", sys.argv[2] if len(sys.argv) > 2 else "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        pictures = [os.path.join(folder, f"p{i:03}.ppm") for i in range(PICTURES)]
        for i, path in enumerate(pictures):
            draw(path, i)
        out = os.path.join(folder, "out.tess")
        encode = [sys.argv[1], "encode", "-f"]

        print(f"Device {device[1]}. Seconds are wall time of the whole process.")
        print()
        print("| work | n | min s | median s | p95 s | |")
        print("|---|---|---|---|---|---|")
        runs = [timed(encode + [pictures[0], "-o", out] + device) for _ in range(15)]
        row("encode one 256x256 picture", [s for s, _ in runs],
            f"peak {max(m for _, m in runs) / 1e6:.0f} MB")
        back = os.path.join(folder, "back.png")
        runs = [timed([sys.argv[1], "decode", "-f", out, "-o", back] + device) for _ in range(10)]
        row("decode it", [s for s, _ in runs], f"peak {max(m for _, m in runs) / 1e6:.0f} MB")
        many = [timed(encode + pictures + ["-o", out] + device) for _ in range(3)]
        each = sorted(s for s, _ in many)[1] / PICTURES
        row(f"encode {PICTURES} in one call, for each picture", [s / PICTURES for s, _ in many],
            f"peak {max(m for _, m in many) / 1e6:.0f} MB")
        single = [timed(encode + [p, "-o", out] + device)[0] for p in pictures[:ONE_BY_ONE]]
        middle = sorted(single)[len(single) // 2]
        row(f"encode one by one ({ONE_BY_ONE} calls), for each picture", single,
            f"one call is {middle / each:.1f} times faster for each picture")


main()
