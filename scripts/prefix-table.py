#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What each number of tokens is worth: PSNR, SSIM and bytes of a folder of pictures at 1, 2, 4 .. 256
tokens a tile and for --quality, as Markdown tables. All through the program itself: encode once, cut,
decode, eval.

    scripts/prefix-table.py build/release/tessera PICTURES

For the figures of the model card the pictures are centre crops of 256x256
(`models/train_mosaic.py --out CROPS crop FOLDER`).
"""
import json
import os
import subprocess
import sys
import tempfile


def tessera(*arguments):
    done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def evaluation():
    """Decodes `cut` and compares with the originals."""
    with tempfile.TemporaryDirectory() as back:
        tessera("decode", cut, "-o", back)
        return tessera("eval", folder, back)


if len(sys.argv) != 3:
    raise SystemExit(__doc__)
program, folder = sys.argv[1:]
pictures = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.lower().endswith((".png", ".jpg")))
with tempfile.TemporaryDirectory() as work:
    whole, cut = (os.path.join(work, n) for n in ("all.tess", "cut.tess"))
    tessera("encode", *pictures, "-o", whole)
    print("| tokens a tile | PSNR | SSIM 11x11 | SSIM 7x7 | L1 | bytes a picture |\n|---|---|---|---|---|---|")
    for k in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        tessera("cut", whole, "-f", "-o", cut, "-k", str(k))
        mean = {k: v["mean"] for k, v in evaluation()["candidates"][0]["summary"].items()}
        print(f"| {k} | {mean['psnr']:.2f} | {mean['ssim']:.3f} | {mean['ssim_uniform']:.3f} | "
              f"{mean['l1']:.4f} | {os.path.getsize(cut) / len(pictures):.0f} |", flush=True)
    print("\n| tolerated L1 | tokens a tile | L1 | within | bytes a picture |\n|---|---|---|---|---|")
    for quality in (0.03, 0.05, 0.09):
        made = tessera("encode", *pictures, "-f", "-o", cut, "--quality", str(quality))
        rows = evaluation()
        kept = sum(p["values"][0]["l1"] <= quality for p in rows["pictures"])
        print(f"| {quality} | {made['tokens'] / made['tiles']:.1f} | {rows['candidates'][0]['summary']['l1']['mean']:.4f} | {kept} of {len(pictures)} | "
              f"{os.path.getsize(cut) / len(pictures):.0f} |", flush=True)
