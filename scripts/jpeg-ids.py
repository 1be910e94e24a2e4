#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do JPEGs give the ids that Pillow's pixels of them give?
    scripts/jpeg-ids.py TESSERA FOLDER [-t TOKENIZER]...
Pillow writes each JPEG of FOLDER as a PNG of the same pixels (upright, RGB); TESSERA encodes both, with every tokenizer
named (a file as `encode -t` takes it; none: the bundled one), on the cpu. Prints a line for each tokenizer: pictures,
ids, ids that differ, pictures in which one differs. Exit 1 when any differs, 77 without Pillow."""
import json
import os
import subprocess
import sys
import tempfile

try:
    from PIL import Image, ImageOps
except ImportError:
    print("skipped: no Pillow for this Python (python3-pil)")
    sys.exit(77)


def ids_of(tessera, tokenizer, paths, file):
    """{name without ending: [ids]} of what TESSERA makes of these pictures."""
    choice = ["-t", tokenizer] if tokenizer else []
    subprocess.run([tessera, "encode", *choice, "--device", "cpu", "-qq", "-o", file, *paths], check=True)
    shown = subprocess.run([tessera, "info", file, "--ids", "--json"], stdout=subprocess.PIPE, check=True).stdout
    return [ids for item in json.loads(shown)["items"] for ids in [flat(item["ids"])]]


def flat(value):
    return [v for part in value for v in flat(part)] if isinstance(value, list) else [value]


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    tessera, folder, tokenizers = sys.argv[1], sys.argv[2], sys.argv[4::2] or [None]
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith((".jpg", ".jpeg")))
    worst = 0
    with tempfile.TemporaryDirectory() as work:
        jpegs = [os.path.join(folder, n) for n in names]
        pngs = [os.path.join(work, os.path.splitext(n)[0] + ".png") for n in names]
        for jpeg, png in zip(jpegs, pngs):
            ImageOps.exif_transpose(Image.open(jpeg)).convert("RGB").save(png, compress_level=1)
        for tokenizer in tokenizers:
            one = ids_of(tessera, tokenizer, jpegs, os.path.join(work, "jpeg.tess"))
            two = ids_of(tessera, tokenizer, pngs, os.path.join(work, "png.tess"))
            if len(one) != len(names) or len(two) != len(names):
                raise SystemExit(f"wanted {len(names)} items, got {len(one)} and {len(two)}")
            off = [sum(a != b for a, b in zip(x, y)) + abs(len(x) - len(y)) for x, y in zip(one, two)]
            total = sum(len(x) for x in one)
            worst = max(worst, sum(off))
            print(f"{tokenizer or 'bundled'}: {len(names)} pictures, {total} ids, {sum(off)} differ, "
                  f"in {sum(1 for n in off if n)} pictures")
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
