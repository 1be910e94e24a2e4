# SPDX-License-Identifier: MIT
"""AVIF, JPEG XL and HEIC, which this Pillow does not read: compared with what the tools of their own libraries
(avifdec, djxl, heif-convert) write as PNG."""
import os
import shutil
import subprocess
import tempfile

from PIL import Image

import picture_cases
from picture_cases import Case, picture

# kind, encoder, decoder, ending, options of the encoder, options of the decoder
TOOLS = [
    ("AVIF", "avifenc", "avifdec", "avif",
     [["-y", y, "-s", "8", *more] for y in ("444", "422", "420", "400")
      for more in (["--min", "20", "--max", "20"], ["-d", "10", "--min", "10", "--max", "20"], ["-r", "limited"])
      if (y, more) != ("400", ["-r", "limited"])]  # avifdec writes the luma of these as it is stored
     + [["-l", "-s", "8"], ["--irot", "1", "-s", "8"], ["--imir", "1", "-s", "8"]], ["-d", "8"]),
    ("JPEG XL", "cjxl", "djxl", "jxl",
     [["-d", "1", "-e", "3"], ["-d", "0", "-e", "3"], ["-d", "3", "-e", "3", "--container=1"], ["-d", "0.5", "-e", "3", "-p"]],
     ["--bits_per_sample=8"]),
    ("HEIC", "heif-enc", "heif-convert", "heic", [["-q", "50"], ["-q", "90", "-p", "chroma=444"], ["-L"]], []),
]


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def by_tool(folder, tool, options):
    """Cases of one tool; the reason where it cannot make or read any."""
    kind, encoder, decoder, ending, _, decoder_options = tool
    cases = []
    source, packed, back = (os.path.join(folder, n) for n in ("in.png", f"x.{ending}", "back.png"))
    for mode in ("RGB", "RGBA"):
        for width, height in ((64, 48), (61, 43), (130, 30)):
            picture(mode, width, height).save(source)
            for file in (packed, back):
                if os.path.exists(file):
                    os.remove(file)
            order = [source, packed, *options] if encoder == "cjxl" else [*options, source, packed]
            if encoder == "heif-enc":
                order = [*options, source, "-o", packed]
            done = run(encoder, *order)
            if not os.path.exists(packed):
                return cases, f"{kind} {' '.join(options)}: {encoder}: {done.stdout.decode(errors='replace')[-100:]!r}"
            run(decoder, *decoder_options, packed, back)
            if not os.path.exists(back):
                return cases, f"{kind}: {decoder} wrote nothing"
            with open(packed, "rb") as file:
                data = file.read()
            image = Image.open(back)
            image.load()
            image = turned(image, options)
            if image.mode in ("RGBA", "LA"):
                rgba = image.convert("RGBA").tobytes()
                pixels = bytes(picture_cases.composite_one(rgba[i + c], rgba[i + 3])
                               for i in range(0, len(rgba), 4) for c in range(3))
            else:
                pixels = image.convert("RGB").tobytes()
            cases.append(Case(kind, f"{mode} {width}x{height} {' '.join(options)}", data, "unread",
                              (image.size, pixels)))
    return cases, None


def turned(image, options):
    """avifdec writes the picture as it is stored; turns are in units of 90 degrees against the clock."""
    if "--irot" in options:
        return image.transpose(Image.Transpose.ROTATE_90)
    if "--imir" in options:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def make():
    cases, left_out = [], []
    for tool in TOOLS:
        if not shutil.which(tool[1]) or not shutil.which(tool[2]):
            left_out.append(f"{tool[0]}: no {tool[1]} or {tool[2]}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for options in tool[4]:
                made, why = by_tool(folder, tool, options)
                cases += made
                if why:
                    left_out.append(why)
    return cases, left_out
