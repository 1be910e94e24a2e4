#!/bin/bash
# SPDX-License-Identifier: MIT
# A codebook of patches as a tokenizer: from pictures and from .npy rows to a token file and back, its
# ids those of codebook assign, and what is refused.
. "$(dirname "$0")/../support/cli.bash"

picture a.ppm 64 48 1
picture b.ppm 40 24 2
run codebook train a.ppm b.ppm -p 4 -k 16 -o c.safetensors -q
code_is 0
grep -aq '"patch":"4"' c.safetensors || complain "the codebook does not say its patch"
run encode a.ppm b.ppm -t c.safetensors --tile 64x48 -o ab.tess --device cpu --json
code_is 0
json_ok
is "tokenizer" "patch-vq-p4-16" "$(json 'd["tokenizer"]')"
is "stages" "{'encode': 'cpu', 'quantize': 'cpu'}" "$(json 'd["stages"]')"
is "ids" "192 192" "$(json '" ".join(str(i["tokens"]) for i in d["items"])')"
run info ab.tess --json
is "grid" "grid 12 16 16 9" "$(json '"%s %d %d %d %d" % (d["geometry"], d["rows"], d["columns"], d["codebook_size"], d["family"])')"

# the ids are those of assign on the same patches
run codebook assign a.ppm -p 4 -c c.safetensors -o a.npy -q
code_is 0
run encode a.ppm -t c.safetensors --tile 64x48 -o a.tess --device cpu -q
code_is 0
is "ids of assign" "$(tail -c 768 a.npy | od -An -v -td4 -w4 | tr -d ' ' | md5sum)" \
    "$("$TESSERA" info --ids a.tess | tr ' ' '\n' | tail -n 192 | md5sum)"

# back: equal whatever the batch, and no worse than the codebook's error says
run decode a.tess -t c.safetensors -o a.png --device cpu --json
code_is 0
json_ok
is "stages of decode" "cpu {'decode': 'cpu'}" "$(json 'd["device"] + " " + str(d["stages"])')"
run codebook stats a.ppm -p 4 -c c.safetensors --json
mse=$(json 'd["mse"]')
run eval a.ppm a.png --json
is "error of the picture" True "$(json "abs(d['candidates'][0]['summary']['psnr']['mean'] + 10 * __import__('math').log10($mse)) < 0.1")"
run encode a.ppm -t c.safetensors --tile 8x8 -o small.tess --device cpu -q --batch 1
code_is 0
run decode small.tess -t c.safetensors -o small.png --device cpu -q --batch 7
code_is 0
run model check c.safetensors --json
code_is 0
is "check" "True patch-vq" "$(json '"%s %s" % (d["good"], d["family"])')"

# residual stages: more ids, a better picture, and prefixes
run codebook train a.ppm b.ppm -p 4 -k 16 --stages 2 -o r.safetensors -q
code_is 0
run encode a.ppm -t r.safetensors --tile 64x48 -o r.tess --device cpu --check --json
code_is 0
fine=$(json 'd["mean_absolute_error"]')
is "two for each patch" 384 "$(json 'd["tokens"]')"
run encode a.ppm -t r.safetensors --tile 64x48 -o r1.tess -k 192 --device cpu --check --json
code_is 0
is "a stage more is better" True "$(json "$fine < d['mean_absolute_error']")"
"$TESSERA" cut r.tess -k 192 -o cut.tess -q || complain "cut"
is "a cut is the shorter file" "$("$TESSERA" info --ids r1.tess | md5sum)" "$("$TESSERA" info --ids cut.tess | md5sum)"

# rows of one's own: with --patch they are patches, without it they are not
python3 - <<'PY'
import random, struct
random.seed(3)
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (60, 12), }"
head += " " * (-(len(head) + 11) % 64) + "\n"
rows = struct.pack("<720f", *[random.random() for _ in range(720)])
open("rows.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + rows)
PY
run codebook train rows.npy -k 8 -p 2 -o n.safetensors -q
code_is 0
run encode a.ppm -t n.safetensors --tile 64x48 -o n.tess --device cpu -q
code_is 0
run codebook train rows.npy -k 8 -o plain.safetensors -q
code_is 0
fails 5 "plain.safetensors: __metadata__ patch: wanted the side of the patches.*trained on features of another kind" \
    encode a.ppm -t plain.safetensors -o x.tess
fails 4 "rows.npy: --patch 3: wanted 27 values a row, got 12" codebook train rows.npy -k 8 -p 3 -o x.safetensors
fails 2 "tile: wanted multiples of 4 up to 8192, got 30x30" encode a.ppm -t c.safetensors --tile 30x30 -o x.tess
fails 5 "wanted" decode a.tess -t r.safetensors -o x.png
run codebook train a.ppm -p 4 -k 16 --cosine -o cos.safetensors -q
code_is 0
run encode a.ppm -t cos.safetensors --tile 64x48 -o cos.tess --device cpu -q
code_is 0
fails 4 "got one of directions \(cosine\)" decode cos.tess -t cos.safetensors -o x.png
absent x.tess x.png x.safetensors
no_leftovers

finish
