#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two builds of tessera beside each other in one run: is the second one slower, or larger in memory?

    scripts/compare-builds.py BEFORE AFTER [--rounds N] [--device cpu] [--steps N] [bundled | MODEL ...] > table.md

BEFORE and AFTER are programs. Each round encodes and decodes one drawn 256x256 picture with each model
by both programs, in turn, so that a machine whose speed drifts disturbs both alike. Printed, as
Markdown: medians of the whole process's seconds and of its processor seconds, which other programs
disturb less; the ratio AFTER / BEFORE of both, pair by pair (median, least, most of the latter); and
the most memory a process had."""
import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time


def draw(path):
    r = random.Random(1)
    rows = bytearray()
    for y in range(256):
        for x in range(256):
            grain = r.randrange(24)
            rows += bytes(((x + grain) & 255, (y + grain) & 255, (x * y >> 8) & 255))
    with open(path, "wb") as f:
        f.write(b"P6\n256 256\n255\n" + rows)


def run(command):
    """Seconds, processor seconds and peak bytes of a whole process, and its standard output."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"compare-builds: {' '.join(command)}: exit code {process.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, out


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("before")
    p.add_argument("after")
    p.add_argument("models", nargs="*", default=["bundled"])
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--device", default="cpu")
    p.add_argument("--steps", help="of models that sample when they decode (default: what the model asks for)")
    a = p.parse_intermixed_args()
    steps = ["--steps", a.steps] if a.steps else []
    print("| model | what | rounds | s before | s after | cpu s before | cpu s after | after / before: s "
          "| cpu s (least .. most) | MB before | MB after |\n" + "|---" * 11 + "|")
    with tempfile.TemporaryDirectory() as folder:
        picture, png = os.path.join(folder, "p.ppm"), os.path.join(folder, "p.png")
        tess = os.path.join(folder, "p.tess")
        draw(picture)
        for model in a.models:
            common = ([] if model == "bundled" else ["-t", model]) + ["--device", a.device]
            rows = {"encode": [], "decode": []}
            for round_ in range(a.rounds + 1):  # the first warms the page cache up
                pair = {what: [] for what in rows}
                for program in (a.before, a.after):
                    for made in (tess, png):  # earlier builds know no -f
                        if os.path.exists(made):
                            os.remove(made)
                    pair["encode"].append(run([program, "encode", picture, "-o", tess] + common))
                    pair["decode"].append(run([program, "decode", tess, "-o", png] + common + steps))
                for what in rows:
                    if round_:
                        rows[what].append(pair[what])
            for what, pairs in rows.items():
                ratio = [[y[i] / x[i] for x, y in pairs] for i in (0, 1)]
                middle = [[statistics.median(p[k][i] for p in pairs) for k in (0, 1)] for i in (0, 1)]
                most = [max(p[k][2] for p in pairs) / 1e6 for k in (0, 1)]
                print(f"| {os.path.basename(model.rstrip('/'))} | {what} | {len(pairs)} "
                      f"| {middle[0][0]:.3f} | {middle[0][1]:.3f} | {middle[1][0]:.3f} "
                      f"| {middle[1][1]:.3f} | {statistics.median(ratio[0]):.3f} "
                      f"| {statistics.median(ratio[1]):.3f} ({min(ratio[1]):.3f} .. "
                      f"{max(ratio[1]):.3f}) | {most[0]:.0f} | {most[1]:.0f} |", flush=True)


main()
