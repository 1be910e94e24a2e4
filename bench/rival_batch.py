#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures a second of `tessera batch`, beside what people do without it.
    bench/rival_batch.py TESSERA [--pictures 2000] [--repeat 3] [--work FOLDER] [--memory]
Makes PICTURES JPEGs of 256 to 640 pixels with Pillow (seeded noise and gradients; FOLDER keeps them), then measures in
turn, REPEAT times:
  batch        tessera batch, crops of 256 x 256, the bundled tokenizer, cpu
  model        the same with pictures that need no decoding to speak of: 256 x 256 PPMs, the model alone
  encode-calls one `tessera encode` a picture, on the first 100
  pillow       Pillow: open, convert, resize to 256, crop, in one process for each processor; no model
--memory also runs batch on ten times as many (each picture ten times, by a list) and compares peak memory.
Prints rows of JSON: pictures a second, median and extremes."""
import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

try:
    from PIL import Image
except ImportError:
    print("skipped: no Pillow for this Python (python3-pil)")
    sys.exit(77)


def make(folder, count):
    """JPEGs with edges, gradients and some noise: photographs' sizes on disk, 4:2:0, quality 75 to 95."""
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(1)
    for i in range(count):
        path = os.path.join(folder, f"{i:05d}.jpg")
        width, height = rng.randrange(256, 641), rng.randrange(256, 641)
        quality = rng.randrange(75, 96)
        seed = rng.randrange(1 << 30)
        if os.path.exists(path):
            continue
        small = Image.frombytes("RGB", (24, 24), random.Random(seed).randbytes(24 * 24 * 3))
        grain = Image.frombytes("RGB", (160, 160), random.Random(seed + 1).randbytes(160 * 160 * 3))
        picture = Image.blend(small.resize((width, height), Image.BICUBIC),
                              grain.resize((width, height), Image.BILINEAR), 0.25)
        picture.save(path, quality=quality)


def to_ppm(jpegs, folder):
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(jpegs)):
        path = os.path.join(folder, name[:-4] + ".ppm")
        if not os.path.exists(path):
            crop(os.path.join(jpegs, name)).save(path)


def crop(path):
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    width, height = max(256, round(picture.width * scale)), max(256, round(picture.height * scale))
    picture = picture.resize((width, height), Image.LANCZOS)
    left, top = (width - 256) // 2, (height - 256) // 2
    return picture.crop((left, top, left + 256, top + 256))


def batch(tessera, source, work, *more):
    """Seconds, and what the program says."""
    out = os.path.join(work, "out")
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    done = subprocess.run([tessera, "batch", *source, "-o", out, "--device", "cpu", "--fit", "crop", "--shard-size",
                           "500", "--json", *more], stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def peak(tessera, source, work):
    out = os.path.join(work, "out")
    shutil.rmtree(out, ignore_errors=True)
    code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    done = subprocess.run([sys.executable, "-c", code, tessera, "batch", *source, "-o", out, "--device", "cpu",
                           "--fit", "crop", "--shard-size", "500", "-q"], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) / 1024


def row(name, pictures, seconds, **more):
    rates = sorted(pictures / s for s in seconds)
    print(json.dumps({"name": name, "pictures": pictures, "n": len(rates), "per_second": round(statistics.median(rates), 1),
                      "least": round(rates[0], 1), "most": round(rates[-1], 1), **more}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tessera")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work")
    parser.add_argument("--memory", action="store_true")
    o = parser.parse_args()
    work = o.work or tempfile.mkdtemp()
    jpegs, ppms = os.path.join(work, f"jpegs-{o.pictures}"), os.path.join(work, f"ppms-{o.pictures}")
    make(jpegs, o.pictures)
    to_ppm(jpegs, ppms)
    paths = [os.path.join(jpegs, n) for n in sorted(os.listdir(jpegs))]
    few = paths[:100]
    times = {n: [] for n in ("batch", "model", "encode-calls", "pillow")}
    stages = []
    for _ in range(o.repeat):
        seconds, said = batch(o.tessera, [jpegs], work)
        times["batch"].append(seconds)
        stages.append(said["stage_seconds"])
        times["model"].append(batch(o.tessera, [ppms], work)[0])
        began = time.perf_counter()
        for path in few:
            subprocess.run([o.tessera, "encode", path, "-o", os.path.join(work, "one.tess"), "-f", "-q", "--device", "cpu",
                            "--fit", "crop"], check=True)
        times["encode-calls"].append(time.perf_counter() - began)
        with multiprocessing.Pool() as pool:
            pool.map(abs, range(8))
            began = time.perf_counter()
            pool.map(touch, paths, chunksize=16)
            times["pillow"].append(time.perf_counter() - began)
    row("batch", o.pictures, times["batch"], stage_seconds=stages[-1])
    row("model alone", o.pictures, times["model"])
    row("encode, one call a picture", len(few), times["encode-calls"])
    row("Pillow: read and resize alone", o.pictures, times["pillow"], processes=os.cpu_count())
    if o.memory:
        listed = os.path.join(work, "list.txt")
        with open(listed, "w") as f:
            f.write("\n".join(p for _ in range(10) for p in paths) + "\n")
        once = peak(o.tessera, [jpegs], work)
        ten = peak(o.tessera, ["--files-from", listed], work)
        print(json.dumps({"name": "peak memory, MiB", f"{o.pictures} pictures": round(once, 1),
                          f"{10 * o.pictures} pictures": round(ten, 1)}))
    if not o.work:
        shutil.rmtree(work)
    return 0


def touch(path):
    crop(path).tobytes()


if __name__ == "__main__":
    sys.exit(main())
