#!/bin/bash
# SPDX-License-Identifier: MIT
# A file system that is full before the output is whole: no part of it is left, an older file stays.
. "$(dirname "$0")/../support/cli.bash"

[ "$(id -u)" = 0 ] || skip "a tiny file system: needs root"
mkdir small
mount -t tmpfs -o size=16k none small 2>/dev/null || skip "a tiny file system: root may not mount one"
trap 'umount "$here/small"; rm -rf "$here"' EXIT
picture p.ppm 600 600 1
"$TESSERA" encode p.ppm -o p.tess --device cpu -q || complain "encode"
fails 3 'small/x.png.*No space left' decode p.tess -o small/x.png --device cpu
absent small/x.png
no_leftovers small
echo before >small/old.png
fails 3 'small/old.png.*No space left' decode p.tess -f -o small/old.png --device cpu
is "the older file" before "$(cat small/old.png)"
no_leftovers small
# a video, and a folder of its frames
if built_with video; then
    mkdir frames
    picture frames/0.ppm 300 200 1
    "$TESSERA" encode --as-video frames -o clip.tess --device cpu -q || complain "encode --as-video"
    for output in x.mp4 x.mkv x.nut x.webm x.gif frames/; do
        lossless=--lossless
        [ $output != x.gif ] || lossless=-q
        fails 3 "small/.*No space left" decode clip.tess -f -o small/$output $lossless --device cpu
        absent small/${output%/}
        no_leftovers small
    done
    # a video to tokens, as they come and split by a budget at the end of the clip
    python3 - <<'PY'
import random
random.seed(7)
with open("film.y4m", "wb") as f:
    f.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
    for t in range(60):
        f.write(b"FRAME\n" + bytes(random.randrange(256) for _ in range(64 * 48)) + bytes([128] * (2 * 24 * 32)))
PY
    for budget in "" "--budget 12000"; do
        fails 3 'small/film.tess.*No space left' encode film.y4m -o small/film.tess $budget --device cpu
        absent small/film.tess
        absent small/film.partial.tess
        no_leftovers small
    done
fi
# a data set: no folder, no half of one, and an older one stays
rm small/old.png
python3 - <<'PY'
with open("lines.jsonl", "w") as f:
    for i in range(2000):
        f.write('{"key": "k%04d", "label": 1, "caption": "c", "ids": [%s]}\n' % (i, ", ".join(["7"] * 16)))
PY
head -3 lines.jsonl >few.jsonl
for lines in lines few; do
    "$TESSERA" import $lines.jsonl -o $lines.tess --from jsonl -k 100 -q || complain "import"
done
for format in npy npz webdataset jsonl megatron mds datatrove safetensors; do
    fails 3 'small/set.*No space left' export lines.tess -o small/set --to $format
    absent small/set
    no_leftovers small
done
run export few.tess -o small/set --to jsonl -q
code_is 0
fails 3 'small/set.*No space left' export lines.tess -o small/set --to jsonl -f
is "the older data set" 3 "$(wc -l <small/set/part-00000.jsonl)"
no_leftovers small
finish
