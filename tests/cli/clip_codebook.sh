#!/bin/bash
# SPDX-License-Identifier: MIT
# Clips: encode --clip-codebook from features and from pictures, decode, info, a reader in Python that knows
# the format's text alone, copies, and what is refused.
. "$(dirname "$0")/../support/cli.bash"

# says TEXT: a line of stderr, among others
says() {
    checks=$((checks + 1))
    grep -qE -- "$1" err || complain "$last: stderr: wanted a line like '$1', got $(head -c 800 err)"
}

cat >look.py <<'PY'
import array, json, struct, sys
def write(path, tensors, meta):
    head, data = {"__metadata__": meta}, b""
    for name, (shape, values) in tensors.items():
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * len(values)]}
        data += struct.pack("<%df" % len(values), *values)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    meta = head.pop("__metadata__", {})
    out = {}
    for k, v in head.items():
        a = array.array("f" if v["dtype"] == "F32" else "i")
        a.frombytes(data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]])
        out[k] = list(a)
    return out, meta
# T x H x W cells of D numbers around 14 directions, most of which stay from frame to frame
def clip(T=9, H=6, W=7, D=16):
    state, x, labels = 7, [], []
    def next():
        nonlocal state
        state = state * 48271 % 2147483647
        return state / 2147483647
    centre = [[(d == k) + 0.2 * (next() - 0.5) for d in range(D)] for k in range(14)]
    for i in range(T * H * W):
        labels.append(labels[i - H * W] if i >= H * W and next() < 0.9 else i % 14 if i < 14 else int(next() * 14))
        gain = 1 + 5 * next()
        x += [gain * (c + 0.08 * (next() - 0.5)) for c in centre[labels[i]]]
    return x
PY
python3 - <<'PY'
from look import *
x = clip()
grid = {"tessera.schema": "token-set/1", "tower": "tiny-tower", "layer": "2", "features": "projected", "weights": "0123456789abcdef"}
write("one.safetensors", {"features": ([378, 16], x), "image_newline": ([16], [k / 8 for k in range(16)])}, dict(grid, **{"tessera.grid": "9,6,7"}))
write("two.safetensors", {"a/features": ([378, 16], x), "b/features": ([378, 16], x)}, dict(grid, **{"tessera.grid/a": "9,6,7"}))
head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9, 42, 16), }"
head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
open("cells.npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + struct.pack("<%df" % len(x), *x))
PY

# ---- the rules for K -------------------------------------------------------------------------------
run encode one.safetensors --clip-codebook 14 -o k.tess --json
code_is 0
json_ok
err_empty
is "tokens, cells, K, newline" "15 378 14 True" \
    "$(json '"%d %d %d %s" % (d["tokens"], d["cells"], d["items"][0]["clusters"], d["items"][0]["newline"])')"
is "bytes are stated by part" "True" "$(json 'd["bytes"] > d["codebook_bytes"] + d["map_bytes"] > d["map_bytes"] > 0 == d["gains_bytes"]')"
run encode one.safetensors --clip-codebook elbow -o e.tess --json
code_is 0
is "the elbow is where the directions are" "14 22" "$(json '"%d %d" % (d["items"][0]["clusters"], d["items"][0]["tried"])')"
run encode one.safetensors --clip-codebook error=0.01 -o r.tess --json
code_is 0
is "the error is reached by K directions" "14 True True" \
    "$(json '"%d %s %s" % (d["items"][0]["clusters"], d["items"][0]["error_reached"], 1 - d["cosine"] <= 0.01)')"
run encode one.safetensors --clip-codebook error=0 --most-k 16 -o r2.tess
code_is 0
says 'K 16 and a newline .*the error asked for is out of reach'
cmp -s k.tess e.tess || complain "elbow and K 14 give other files"
run encode one.safetensors --clip-codebook 14 -o k1.tess --threads 1 -q
cmp -s k.tess k1.tess || complain "one thread gives another file"
run encode one.safetensors --clip-codebook 9 --first-rows drawn --seed 3 -o d3.tess -q
run encode one.safetensors --clip-codebook 9 --first-rows drawn --seed 3 -o d3b.tess -q
run encode one.safetensors --clip-codebook 9 --first-rows drawn --seed 4 -o d4.tess -q
cmp -s d3.tess d3b.tess || complain "one seed gives two files"
cmp -s d3.tess d4.tess && complain "two seeds give one file"

# ---- info -------------------------------------------------------------------------------------------
run info k.tess --accuracy 57.4
code_is 0
out_has '^clip tokens 14 \+ 1 newline of 378 cells, 1\.556 a frame$'
out_has '^streams     1 in 1 items, [0-9]+ bytes: codebooks [0-9]+, ids [0-9]+, gains 0, maps 0$'
out_has '^density     4\.1 % of accuracy a token'
out_has '^perplexity  1[0-4]\.'
out_has '^format      tess 1\.3$'
run info -v k.tess
out_has 'stream clip: 9x6x7 cells below 14, codebook of 16 numbers in f16, a newline, .* of tiny-tower, layer 2, projected$'
run info --json k.tess
json_ok
is "the stream's members" "clip 0123456789abcdef f16 True False" \
    "$(json '"%s %s %s %s %s" % tuple(d["items"][0]["streams"][0][k] for k in ("name", "weights_hash", "codebook_type", "newline", "gains"))')"
run info --check k.tess
code_is 0

# ---- back, and a second reader ------------------------------------------------------------------------
for options in "--codebook-type f32 --coding raw" "--codebook-type f16 --gains" "--codebook-type int8 --gains"; do
    # shellcheck disable=SC2086
    run encode one.safetensors --clip-codebook 14 $options -o t.tess -f --json
    code_is 0
    mv out report.json
    run decode t.tess -o back.safetensors -f
    code_is 0
    err_has '^back\.safetensors: features of 1 clip'
    if [[ $options != *raw ]] && ! python3 -c 'import zstandard' 2>/dev/null && ! command -v zstd >/dev/null; then
        echo "left out: no zstd for Python's reader"
        continue
    fi
    python3 "$SOURCE/examples/read_clip_codebook.py" t.tess t.json >read.txt || complain "read_clip_codebook.py: $options"
    is "what the text of the format reads ($options)" "item 0, stream clip: 9x6x7 cells below 14, D 16 True True True True True" \
        "$(cat read.txt) $(python3 - <<'PY'
from look import *
import math
s, (t, m) = json.load(open("t.json"))[0], read("back.safetensors")
row = lambda v, i: v[16 * i:16 * i + 16]
near = 0
x = clip()
for i in range(378):
    a, b = row(x, i), row(t["one/features"], i)
    near += sum(p * q for p, q in zip(a, b)) / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))
print(t["one/ids"] == s["ids"], t["one/codebook"] == sum(s["codebook"], []), t["one/image_newline"] == s["newline"],
      t.get("one/gains") == s.get("gains"), abs(near / 378 - json.load(open("report.json"))["cosine"]) < 2e-7) # of what is stored
PY
)"
done
run decode t.tess -o back.png
code_is 4
err_has 'wanted tokens of pictures, got clip codebooks: features have no decoder to pixels'
[ ! -e back.png ] || complain "a picture of features"

# ---- several clips, arrays ------------------------------------------------------------------------------
run encode two.safetensors cells.npy --clip-codebook 5 -o several.tess
code_is 4
err_has 'set "b": wanted tokens on a grid'
[ ! -e several.tess ] || complain "half a file"
run encode two.safetensors cells.npy --clip-codebook 5 -o several.tess --on-error skip --features-of 'by hand'
code_is 1
says '1 clip was left out'
run info -v several.tess
out_has 'stream clip: 9x1x42 cells below 5, .* of by hand$'
run decode several.tess -o several.safetensors --item cells
code_is 0
is "the array's features" "cells/features" "$(python3 -c 'from look import *; print(*(k for k in read("several.safetensors")[0] if "features" in k))')"
run split several.tess -o parts --items 1
code_is 0
run merge parts -o merged.tess
code_is 0
cmp -s several.tess merged.tess || complain "split and merged is another file"
run cut several.tess --item a -o a.tess
code_is 0
run cut several.tess -k 1 -o none.tess
code_is 4
run encode cells.npy --clip-codebook 5 -o - -q
code_is 0
mv out piped.tess
run info --check piped.tess
code_is 0

# ---- pictures through a tower -----------------------------------------------------------------------------
mkdir siglip frames
"$BUILD/make_weights" "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" siglip/model.safetensors || complain "make_weights"
python3 - "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" >siglip/config.json <<'PY'
import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["config"]["upstream_config"]))
for i in range(10):
    data = bytes((x * 7 + y * (3 + i // 4 * 5) + c * 50) % 256 for y in range(60) for x in range(80) for c in range(3))
    open("frames/f%d.ppm" % i, "wb").write(b"P6\n80 60\n255\n" + data)
PY
run encode frames -t siglip --frames 4 --clip-codebook 6 -o film.tess --device cpu
code_is 0
run features frames/f0.ppm frames/f3.ppm frames/f6.ppm frames/f9.ppm -t siglip -o four.safetensors --device cpu -q
code_is 0
python3 - <<'PY'
from look import *
t, m = read("four.safetensors")
rows = [t["f%d.ppm/features" % i] for i in (0, 3, 6, 9)]
T, H, W = (int(n) for n in m["tessera.grid/f0.ppm"].split(","))
write("clip.safetensors", {"frames/features": ([4 * H * W, len(rows[0]) // (H * W)], sum(rows, []))}, {"tessera.grid/frames": "4,%d,%d" % (H, W)})
PY
run encode clip.safetensors --clip-codebook 6 -o clip.tess --device cpu -q
code_is 0
for f in film clip; do
    run decode $f.tess -o $f-back.safetensors -f -q
    code_is 0
done
is "frames and their features give one clip" "True" \
    "$(python3 -c 'from look import *; print(read("film-back.safetensors")[0] == read("clip-back.safetensors")[0])')"
run info -v film.tess
out_has 'stream clip: 4x[0-9]+x[0-9]+ cells below 6, .* of siglip.*, layer [0-9]+$'
run encode frames -t siglip --project --clip-codebook 6 -o p.tess --device cpu
code_is 0
run info -v p.tess
out_has 'stream clip: 10x[0-9]+x[0-9]+ cells below 6, .* of siglip.*, layer [0-9]+, projected$'
run encode frames/f0.ppm one.safetensors -t siglip --clip-codebook 6 -o x.tess --device cpu
code_is 4

# ---- refusals ---------------------------------------------------------------------------------------------
for rule in 0 x elbow2 error= error=3 error=nan -- -1; do
    run encode one.safetensors --clip-codebook="$rule" -o x.tess
    code_is 2
done
run encode one.safetensors --clip-codebook 379 -o x.tess
code_is 2
err_has 'K: wanted 1 to 378, the cells of the clip, got 379'
run encode one.safetensors --clip-codebook 5 --most-k 9 -o x.tess
code_is 2
run encode one.safetensors --clip-codebook 5 --frames 9 -o x.tess
code_is 2
run encode missing.safetensors --clip-codebook 5 -o x.tess
code_is 3
run export k.tess --to npy -o out-of-clips
code_is 4
err_has 'wanted items of ids alone, got one with 1 streams'
run decode k.tess -o x.safetensors -k 3
code_is 2
run decode k.tess -o x.png --vq-attention one.safetensors
code_is 2
run decode k.tess -o x.safetensors --vq-attention one.safetensors
code_is 5
err_has 'model\.cross_attention'
[ ! -e x.tess ] && [ ! -e x.safetensors ] || complain "an output of a refusal"
finish
