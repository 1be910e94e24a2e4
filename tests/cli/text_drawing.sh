#!/bin/bash
# SPDX-License-Identifier: MIT
# Names of any script on contact sheets, plots with their names, and pages of text with the place of every word.
. "$(dirname "$0")/../support/cli.bash"
grep -q '^features .*+pango' <("$TESSERA" --version) || skip "this build was made without pango"
command -v fc-list >/dev/null && [ -z "$(fc-list)" ] && skip "this machine has no fonts"

# -- labels
picture p.ppm 48 32
for name in plain Рассвет рассвет 日本 日月 '🎨' $'cafe\u0301' $'cafe\u0300' العربية $'bad\xff' $'bad\xfe\xff' \
    "$(printf 'я%.0s' $(seq 60))"; do
    cp p.ppm "$name.ppm"
    run sheet "$name.ppm" -o "sheet $name.ppm" -k 4 --device cpu
    code_is 0
    is "sheet $name: stderr" 1 "$(wc -l <err)"
done
python3 - <<'PY' || complain "labels"
import glob, os, sys
def label(path):
    data = open(path, "rb").read()
    fields = data.split(None, 4)
    width, height = int(fields[1]), int(fields[2])
    pixels = data[len(data) - 3 * width * height:]
    rows = [pixels[3 * width * y:3 * width * (y + 1)] for y in range(14 + 32 + 1, height)]
    half = 3 * (14 + 96) # the first column: the name
    return b"".join(r[:half] for r in rows), sum(v != 34 for r in rows for v in r[:half])
seen, bad = {}, 0
for path in sorted(glob.glob(b"sheet *.ppm")):
    pixels, ink = label(path)
    if ink < 50:
        print("no ink in the label of", path)
        bad = 1
    if pixels in seen:
        print("look alike:", seen[pixels], path)
        bad = 1
    seen[pixels] = path
sys.exit(bad or len(seen) != 12)
PY

# -- plots: as a picture and as SVG, with the chains' names
python3 - <<'PY'
import json, struct
def tensors(path, parts):
    head, body = {}, b""
    for name, kind, shape, data in parts:
        head[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)
features = struct.pack("<%df" % (24 * 4), *[((i * 37) % 11) / 11 + 0.1 for i in range(24 * 4)])
tensors("set.safetensors", [("features", "F32", [24, 4], features)])
PY
for kind in png svg; do
    run reduce set.safetensors --compare --op diverse-maxmin:k=6 --op diverse-maxmin:k=12 -o plot.$kind
    code_is 0
    no_leftovers
done
is "a picture" PNG "$(head -c 4 plot.png | tail -c 3)"
python3 - <<'PY' || complain "plot.svg"
import xml.dom.minidom
d = xml.dom.minidom.parse("plot.svg")
texts = [t.firstChild.data for t in d.getElementsByTagName("text") if t.firstChild.nodeType == 3]
assert "diverse-maxmin:k=6" in texts and "What is left of the features" in texts, texts
assert len(d.getElementsByTagName("g")) == 2
PY
fails 3 'plot.svg' reduce set.safetensors --compare --op diverse-maxmin:k=6 -o plot.svg

# -- pages
run pages -o pages --sizes 9,18.5 --words 30 --width 320 --height 200 --json
code_is 0
json_ok
is "pages" 12 "$(json 'd["pages"]')"
python3 - <<'PY' || complain "pages"
import os, zlib, struct, collections
def grey(path):
    data = open(path, "rb").read()
    width, height = struct.unpack(">II", data[16:24])
    body, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            body += data[at + 8:at + 8 + size]
        at += 12 + size
    raw, bpp = zlib.decompress(body), 3
    rows, last = [], bytearray(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(3 * width):
            a, b, c = (line[i - 3] if i >= 3 else 0), last[i], (last[i - 3] if i >= 3 else 0)
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(line[::3])
        last = line
    return rows
words = {}
for kind in ("natural", "shuffled", "random"):
    pages = collections.defaultdict(list)
    for line in open("pages/%s/words.tsv" % kind):
        file, box, text = line.rstrip("\n").split("\t")
        pages[file].append(([int(v) for v in box.split(",")], text))
    assert len(pages) == 4 and sorted(os.listdir("pages/" + kind)) == sorted(list(pages) + ["words.tsv"]), sorted(pages)
    words[kind] = pages
    for file in ("sans-9px-001.png", "serif-18.5px-001.png"):
        rows = grey("pages/%s/%s" % (kind, file))
        assert (len(rows[0]), len(rows)) == (320, 200)
        outside = [bytearray(r) for r in rows]
        for (x0, y0, x1, y1), text in pages[file]:
            assert 0 <= x0 < x1 <= 320 and 0 <= y0 < y1 <= 200, (file, text)
            assert min(min(r[x0:x1]) for r in rows[y0:y1]) < 128, ("no ink", file, text)
            for y in range(y0, y1):
                outside[y][x0:x1] = b"\xff" * (x1 - x0)
        assert min(min(r) for r in outside) > 200, ("ink outside the boxes", kind, file)
letters = lambda kind, file: [t for _, t in words[kind][file]]
file = "sans-9px-001.png"
natural, shuffled, scattered = (letters(k, file) for k in ("natural", "shuffled", "random"))
fold = lambda list: sorted(t.strip(".,!").lower() for t in list)
assert len(natural) >= 30 and natural != shuffled and natural != scattered
assert fold(natural) == fold(shuffled), "the same words"
assert sorted("".join(natural)) == sorted("".join(scattered)), "the same letters"
assert [len(t) for t in natural] == [len(t) for t in shuffled] == [len(t) for t in scattered]
assert natural[0][0].isupper() and natural[-1][-1] in ".!"
PY
run pages -o again --sizes 9 --words 30 --width 320 --height 200 --kinds natural
code_is 0
cmp -s again/natural/sans-9px-001.png pages/natural/sans-9px-001.png || complain "the same seed: wanted the same page"
fails 3 'words.tsv' pages -o pages --sizes 9
fails 2 "sizes: wanted up to 32 numbers of 4 to 512 pixels such as 8,12.5,16, got '9,x'" pages -o x --sizes 9,x
fails 2 "sizes: wanted up to 32 numbers" pages -o x --sizes 1
fails 2 "kinds: wanted natural, shuffled or random, got 'odd'" pages -o x --kinds natural,odd
fails 3 "font: no family 'No Such Family 7' is installed" pages -o x --font 'No Such Family 7'
fails 2 "o DIR is missing" pages
absent x
finish
