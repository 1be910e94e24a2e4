#!/bin/bash
# SPDX-License-Identifier: MIT
# A continuous model from the command line: an autoencoder made here byte by byte, its vectors in a token
# file, exact and in half precision, and what is refused of them.
. "$(dirname "$0")/../support/cli.bash"

# An AutoencoderKL with one level below the picture's size: 32 wide, 3 channels.
autoencoder() { # FOLDER [CLASS]
    mkdir -p "$1"
    python3 - "$@" <<'PY'
import json, random, struct, sys
random.seed(5)
tensors = {}
def add(name, shape, scale, offset=0.0):
    n = 1
    for d in shape: n *= d
    tensors[name] = (shape, [offset + scale * random.uniform(-1, 1) for _ in range(n)])
def layer(name, out, into, kernel):
    shape = [out, into] + [kernel, kernel] * (kernel > 0)
    add(name + ".weight", shape, 1.7 / (into * max(kernel, 1) ** 2) ** 0.5)
    add(name + ".bias", [out], 0.1)
def norm(name, n):
    add(name + ".weight", [n], 0.1, 1.0)
    add(name + ".bias", [n], 0.1)
def resnet(name):
    for i in "12":
        norm(name + ".norm" + i, 32)
        layer(name + ".conv" + i, 32, 32, 3)
for half in ("encoder", "decoder"):
    up = half == "decoder"
    layer(half + ".conv_in", 32, 3, 3)
    resnet(half + ".mid_block.resnets.0")
    norm(half + ".mid_block.attentions.0.group_norm", 32)
    for part in ("to_q", "to_k", "to_v", "to_out.0"):
        layer(half + ".mid_block.attentions.0." + part, 32, 32, 0)
    resnet(half + ".mid_block.resnets.1")
    for level in range(2):
        for i in range(2 if up else 1):
            resnet("%s.%s_blocks.%d.resnets.%d" % (half, "up" if up else "down", level, i))
    layer(half + (".up_blocks.0.upsamplers.0.conv" if up else ".down_blocks.0.downsamplers.0.conv"), 32, 32, 3)
    norm(half + ".conv_norm_out", 32)
    layer(half + ".conv_out", 3 if up else 6, 32, 3)
header, data, at = {}, b"", 0
for name, (shape, values) in tensors.items():
    part = struct.pack("<%df" % len(values), *values)
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(part)]}
    data += part
    at += len(part)
text = json.dumps(header).encode()
open(sys.argv[1] + "/diffusion_pytorch_model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
kind = sys.argv[2] if len(sys.argv) > 2 else "AutoencoderKL"
json.dump({"_class_name": kind, "scaling_factor": 0.5}, open(sys.argv[1] + "/config.json", "w"))
PY
}
autoencoder vae
picture p.ppm 70 50

run model check vae --json
code_is 0
json_ok
is "family" "vae True" "$(json '"%s %s" % (d["family"], d["good"])')"

# exact and half; the sizes are those of one tile
for kind in f32 f16; do
    run encode p.ppm -o $kind.tess -t vae --tile 70x50 --latents $kind --device cpu --json
    code_is 0
    json_ok
    is "tokens" 875 "$(json 'd["tokens"]')"
    run info $kind.tess
    code_is 0
    out_has "^codebook    none: continuous, 3 channels, $kind, "
    out_has '^geometry    grid of 25 rows and 35 columns a tile$'
    run decode $kind.tess -o $kind.png -t vae --device cpu
    code_is 0
done
[ "$(stat -c %s f16.tess)" -lt "$(($(stat -c %s f32.tess) * 2 / 3))" ] || complain "f16 is not much smaller than f32"
run encode p.ppm -o usual.tess -t vae --tile 70x50 --device cpu
code_is 0
cmp -s usual.tess f16.tess || complain "f16 is not the default"
run eval f32.png f16.png --json
code_is 0
# 65.5 dB
is "half precision is near" True "$(json 'd["pictures"][0]["values"][0]["psnr"] > 60')"

# the numbers: f16 rounds those of f32
"$TESSERA" info --latents f32.tess >f32.txt && "$TESSERA" info --latents f16.tess >f16.txt
is "rounding" "875 2625 True" "$(python3 - <<'PY'
import struct
def single(x): return struct.unpack("<f", struct.pack("<f", x))[0]
rows = [[line.split() for line in open(n)] for n in ("f32.txt", "f16.txt")]
good = all(a[:3] == b[:3] for a, b in zip(*rows))
pairs = [(float(x), float(y)) for a, b in zip(*rows) for x, y in zip(a[3:], b[3:])]
good = good and all(struct.pack("<e", single(x)) == struct.pack("<e", y) for x, y in pairs)
print(len(rows[0]), len(pairs), good)
PY
)"

# several tiles, another tokenizer of the same model, a pipe
run encode p.ppm -o tiles.tess -t vae --tile 40x34 --device cpu
code_is 0
"$TESSERA" decode - -o - -t vae --device cpu <tiles.tess >tiles.png 2>err
code=$? last="decode -"
code_is 0
run info -v tiles.tess
out_has '70x50 +70x50 +2x2 +1360 '

# noise draws from the posterior: zeros are the mean, and one number of the noise moves one of the vectors
noise() { # FILE.npy SHAPE [INDEX=VALUE ...]
    python3 - "$@" <<'PY'
import struct, sys
shape = [int(x) for x in sys.argv[2].split(",")]
count = 1
for x in shape: count *= x
values = [0.0] * count
for part in sys.argv[3:]:
    at, value = part.split("=")
    values[int(at)] = float(value)
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
head += " " * (-(11 + len(head)) % 64) + "\n"
open(sys.argv[1], "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<%df" % count, *values))
PY
}
drawn() { # NAME FILE.npy
    run encode p.ppm -o "$1.tess" -t vae --tile 70x50 --latents f32 --noise "$2" --device cpu
    code_is 0
    "$TESSERA" info --latents "$1.tess" >"$1.txt"
}
noise zero.npy 1,3,25,35
drawn zero zero.npy
cmp -s zero.tess f32.tess || complain "noise of zeros is not the mean"
noise one.npy 3,25,35 "$((1 * 875 + 2 * 35 + 3))=1"
noise two.npy 1,3,25,35 "$((1 * 875 + 2 * 35 + 3))=2"
drawn one one.npy
drawn two two.npy
is "one number" "[(73, 1)] True" "$(python3 - <<'PY'
rows = [[[float(x) for x in line.split()[3:]] for line in open(n + ".txt")] for n in ("f32", "one", "two")]
moved = [(i, j) for i, v in enumerate(rows[0]) for j in range(3) if v[j] != rows[2][i][j]]
m, a, b = (r[73][1] for r in rows)
print(moved, a > m and abs((b - m) / (a - m) - 2) < 1e-3)
PY
)"
noise four.npy 4,3,17,20
run encode p.ppm -o x.tess -t vae --tile 40x34 --noise four.npy --device cpu --json
is "stages" "{'encode': 'cpu', 'draw': 'cpu'}" "$(json 'd["stages"]')"
code_is 0
cmp -s x.tess tiles.tess || complain "noise of zeros for four tiles is not the mean"
rm -f x.tess
noise turned.npy 1,3,35,25
noise five.npy 5,3,17,20
noise nan.npy 1,3,25,35 7=nan
fails 2 'noise: wanted F32 .tiles, 3, 25, 35., got F32 .1, 3, 35, 25.' encode p.ppm -o x.tess -t vae --tile 70x50 --noise turned.npy --device cpu
fails 2 'noise: wanted it for 4 tiles, got it for 5' encode p.ppm -o x.tess -t vae --tile 40x34 --noise five.npy --device cpu
fails 2 'noise: wanted it for at least 4 tiles, got it for 1' encode p.ppm -o x.tess -t vae --tile 40x34 --noise one.npy --device cpu
fails 2 'noise: wanted finite numbers, got -*nan for tile 0' encode p.ppm -o x.tess -t vae --tile 70x50 --noise nan.npy --device cpu
fails 4 'mosaic.*noise: wanted none: it draws no latents' encode p.ppm -o x.tess --noise one.npy --device cpu
fails 3 'absent.npy' encode p.ppm -o x.tess -t vae --noise absent.npy --device cpu
fails 2 'guidance, its mode' encode p.ppm -o x.tess --guidance-mode cfg --device cpu
fails 2 'guidance, its mode' decode f16.tess -o x.png -t vae --guidance-mode cfg --device cpu
fails 2 'guidance-mode' decode f16.tess -o x.png -t vae --guidance-mode other

# refusals, each with its reason
fails 4 "a prefix is no picture" encode p.ppm -o x.tess -t vae --tile 70x50 -k 5 --device cpu
fails 4 "quality: wanted none" encode p.ppm -o x.tess -t vae --tile 70x50 --quality 0.1 --device cpu
fails 2 "multiples of 2" encode p.ppm -o x.tess -t vae --tile 71x50 --device cpu
fails 4 "whose tokens are ids" encode p.ppm -o x.tess --latents f32 --device cpu
fails 2 "--latents" encode p.ppm -o x.tess -t vae --latents f64
fails 4 "agreement: wanted a tokenizer of ids" bench --agreement -t vae --device cpu
fails 4 "decode together" cut f16.tess -o x.tess -k 1
fails 5 "family" decode f16.tess -o x.png --device cpu
tess ids.tess family=8
fails 5 "wanted vectors of 3, got ids of 64000" decode ids.tess -o x.d -t vae --device cpu
autoencoder other VQModel
fails 5 "_class_name: wanted AutoencoderKL" encode p.ppm -o x.tess -t other --device cpu
absent x.tess
absent x.png
absent x.d
no_leftovers
finish
