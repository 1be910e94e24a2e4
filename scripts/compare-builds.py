#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two builds of tessera beside each other in one run: is the second one slower, or larger in memory?

    scripts/compare-builds.py BEFORE AFTER [--rounds N] [--device cpu] [bundled | MODEL ...] > table.md

BEFORE and AFTER are programs. Each round encodes and decodes one drawn 256x256 picture with each model
by both programs, in turn, so that a machine whose speed drifts disturbs both alike; and takes the rows
"encode 1" of `tessera bench -t MODEL`. Printed, as Markdown: medians, the ratio AFTER / BEFORE pair by
pair (median, least, most), and the most memory a process had."""
import argparse
import json
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
    """Seconds and peak bytes of a whole process, and its standard output."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"compare-builds: {' '.join(command)}: exit code {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss * 1024, out


def bench_row(program, model, device):
    command = [program, "bench", "--device", device, "--json", "--seconds", "0.5", "--filter"]
    command += ["mosaic encode 1"] if model == "bundled" else ["encode 1", "-t", model]
    _, memory, out = run(command)
    rows = [r for r in json.loads(out)["rows"] if r["name"].endswith("encode 1")]
    return rows[0]["median_ms"] / 1000, memory


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("before")
    p.add_argument("after")
    p.add_argument("models", nargs="*", default=["bundled"])
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--device", default="cpu")
    a = p.parse_intermixed_args()
    print("| model | what | rounds | before s | after s | after / before: median (least .. most) | "
          "MB before | MB after |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        picture, png = os.path.join(folder, "p.ppm"), os.path.join(folder, "p.png")
        draw(picture)
        for model in a.models:
            which = [] if model == "bundled" else ["-t", model]
            rows = {"bench encode 1": [], "encode": [], "decode": []}
            steps = []
            for round_ in range(a.rounds + 1):  # the first warms the page cache up
                pair = {what: [] for what in rows}
                for program in (a.before, a.after):
                    tess = os.path.join(folder, "p.tess")
                    common = which + ["--device", a.device]
                    pair["encode"].append(run([program, "encode", picture, "-o", tess] + common))
                    if not round_ and program == a.before:
                        info = json.loads(run([program, "info", tess, "--json"])[2])
                        samples = (info.get("hints") or {}).get("steps")
                        steps = ["--steps", "2"] if samples else []
                    pair["decode"].append(run([program, "decode", tess, "-o", png] + common + steps))
                    pair["bench encode 1"].append(bench_row(program, model, a.device))
                for what in rows:
                    if round_:
                        rows[what].append(pair[what])
            name = os.path.basename(model.rstrip("/"))
            for what, pairs in rows.items():
                ratios = [y[0] / x[0] for x, y in pairs]
                before, after = ([q[i] for q in pairs] for i in (0, 1))
                label = what + (" (2 steps)" if what == "decode" and steps else "")
                # A bench of the bundled model measures the machine's peaks, too: not the model's memory.
                own = model != "bundled" or not what.startswith("bench")
                most = [f"{max(m for _, m, *_ in q) / 1e6:.0f}" if own else "" for q in (before, after)]
                print(f"| {name} | {label} | {len(pairs)} "
                      f"| {statistics.median(s for s, *_ in before):.3f} "
                      f"| {statistics.median(s for s, *_ in after):.3f} "
                      f"| {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f}) "
                      f"| {most[0]} | {most[1]} |", flush=True)


main()
