#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera features: pictures to token sets in each kind of output, what the file says, bad pictures among
# good ones, towers that are none, shards that are missing.
. "$(dirname "$0")/../support/cli.bash"

golden=$SOURCE/tests/golden/towers
for name in clip siglip qwen2-5-vl; do
    mkdir $name
    "$BUILD/make_weights" "$golden/$name-tiny/manifest.json" $name/model.safetensors || complain "make_weights"
    python3 - "$golden/$name-tiny/manifest.json" >$name/config.json <<'PY'
import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["config"]["upstream_config"]))
PY
done
mkdir pictures
python3 - <<'PY'
for i, (w, h) in enumerate([(90, 60), (56, 56), (40, 200)]):
    data = bytes((x * 7 + y * 13 + c * 50 + i * 31) % 256 for y in range(h) for x in range(w) for c in range(3))
    open("pictures/p%d.ppm" % i, "wb").write(b"P6\n%d %d\n255\n" % (w, h) + data)
PY

# what is in a file: shapes, metadata, and the same numbers whatever the batch, output and order
cat >look.py <<'PY'
import json, struct, sys
def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    meta = head.pop("__metadata__", {})
    return {k: (v["dtype"], v["shape"], data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]])
            for k, v in head.items()}, meta
PY
run features pictures -t clip -o all.safetensors --device cpu --keys --attention class:1 --json
code_is 0
json_ok
err_empty
is "pictures, rows, tower" "3 48 clip-vision 3" \
    "$(json '"%d %d %s %d" % (d["pictures"], d["rows"], d["tower"]["family"], d["tower"]["feature_layer"])')"
is "tensors" "p0.ppm/attention [4, 16] p0.ppm/class [64] p0.ppm/features [16, 64] p0.ppm/keys [16, 64] p0.ppm/positions [16, 3]" \
    "$(python3 -c 'from look import read
t, m = read("all.safetensors")
print(*("%s %s" % (k, t[k][1]) for k in sorted(t) if k.startswith("p0.ppm/") and "s" in k and k[-5:] not in ("sizes", "e_map") or k == "p0.ppm/attention"))')"
is "metadata" "token-set/1 1,4,4 3 hidden 16" "$(python3 -c 'from look import read
t, m = read("all.safetensors")
print(m["tessera.schema"], m["tessera.grid/p2.ppm"], m["layer"], m["features"], len(m["weights"]))')"
is "positions" "0 2 1" "$(python3 -c 'import struct
from look import read
print(*("%d" % v for v in struct.unpack("<3f", read("all.safetensors")[0]["p1.ppm/positions"][2][27 * 4:30 * 4])))')"
run features pictures -t clip -o one-by-one.safetensors --device cpu --keys --attention class:1 --batch 1 -q
code_is 0
cmp -s all.safetensors one-by-one.safetensors || complain "another batch gives another file"
run features pictures/p1.ppm -t clip -o single.safetensors --device cpu
code_is 0
out_empty
is "a single picture has no key" "features" "$(python3 -c 'from look import read
a, b = read("all.safetensors")[0], read("single.safetensors")[0]
print(*(k for k in b if k == "features" and b[k] == a["p1.ppm/features"]))')"
run features pictures -t clip -o folder/ --device cpu -q
code_is 0
is "files" "p0.safetensors p1.safetensors p2.safetensors" "$(cd folder && echo *)"
cmp -s single.safetensors folder/p1.safetensors || complain "a folder's file differs from the single one"
run features - -t clip -o - --device cpu -q <pictures/p1.ppm
"$TESSERA" features - -t clip -o - --device cpu -q <pictures/p1.ppm >piped 2>err || complain "a pipe: $(cat err)"
is "a pipe's picture" True "$(python3 -c 'from look import read
a, b = read("piped")[0], read("single.safetensors")[0]
print(a["stdin/features"] == b["features"])')"
run features pictures -t clip -o all.npz --device cpu -q --dtype f16
code_is 0
is "npz" "features.npy grid.npy positions.npy <f2 (16, 64) token-set/1" "$(python3 -c 'import zipfile, ast, json
z = zipfile.ZipFile("all.npz")
assert z.testzip() is None
head = z.read("p0.ppm/features.npy")
d = ast.literal_eval(head[10:10 + head[8] + 256 * head[9]].decode())
meta = z.read("__metadata__.npy"); at = 10 + meta[8] + 256 * meta[9]
names = sorted(n.split("/")[1] for n in z.namelist() if n.startswith("p0") and "class" not in n)
print(*names, d["descr"], d["shape"], json.loads(meta[at:])["tessera.schema"])')"
# tiles beside the whole picture: rows are those of the tiles alone, a newline behind each row of them
python3 - <<'PY'
import json, struct
data = open("clip/model.safetensors", "rb").read()
size = struct.unpack("<Q", data[:8])[0]
head, body = json.loads(data[8:8 + size]), data[8 + size:]
n = head["multi_modal_projector.linear_2.bias"]["shape"][0]
head["image_newline"] = {"dtype": "F32", "shape": [n], "data_offsets": [len(body), len(body) + 4 * n]}
text = json.dumps(head).encode()
open("llava.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + body + struct.pack("<%df" % n, *range(n)))
def part(name, first, width):
    data = bytes((x * 7 + y * 13 + c * 50) % 256 for y in range(56) for x in range(first, first + width) for c in range(3))
    open(name, "wb").write(b"P6\n%d 56\n255\n" % width + data)
part("wide.ppm", 0, 112), part("left.ppm", 0, 56), part("right.ppm", 56, 56)
PY
run features wide.ppm -t llava.safetensors -o wide.safetensors --project --anyres next --device cpu -q
code_is 0
run features wide.ppm -t llava.safetensors -o one-vision.safetensors --project --anyres onevision --device cpu -q
code_is 0
run features left.ppm right.ppm -t llava.safetensors -o halves.safetensors --project --device cpu -q
code_is 0
run features left.ppm -t llava.safetensors -o pooled.safetensors --project --pool average --device cpu -q
code_is 0
is "tiles, newlines, positions, pooled" "[52, 96] True True (1.0, 3.0, 8.0) next True" "$(python3 - <<'PY'
from look import *
(wide, meta), halves, pooled = read("wide.safetensors"), read("halves.safetensors")[0], read("pooled.safetensors")[0]
left, right = halves["left.ppm/features"], halves["right.ppm/features"]
want = b"".join(left[2][1536 * y:1536 * y + 1536] + right[2][1536 * y:1536 * y + 1536] + wide["image_newline"][2] for y in range(4))
number = lambda t, i, c: struct.unpack_from("<f", t[2], 384 * i + 4 * c)[0]
near = lambda c: abs(sum(number(left, i, c) for i in (0, 1, 4, 5)) / 4 - number(pooled["features"], 0, c)) < 1e-5
print(wide["features"][1], wide["features"][2][16 * 384:] == want, wide == read("one-vision.safetensors")[0],
      struct.unpack("<3f", wide["positions"][2][-12:]), meta["tiles"], pooled["features"][1] == [4, 96] and all(map(near, range(96))))
PY
)"
# operators take these rows as they are, as reduce does from the file
for way in wide "pooled left"; do
    set -- $way
    [ $1 = wide ] && how="--anyres next" || how="--pool average"
    run features ${2:-wide}.ppm -t llava.safetensors -o $1-op.safetensors --project $how --op diverse-maxmin:k=3 --device cpu -q
    code_is 0
    run reduce $1.safetensors -o $1-reduced.safetensors --op diverse-maxmin:k=3 --device cpu -q
    code_is 0
    is "$1: three of its rows" "[3, 96] True" "$(python3 -c "from look import read
a, b = read('$1-op.safetensors')[0], read('$1-reduced.safetensors')[0]
print(a['features'][1], all(a[k] == b[k] for k in ('features', 'positions', 'source_map')))")"
done
fails 4 'wanted the features of one layer alone in tiles or pooled' features wide.ppm -t clip -o x.safetensors --anyres next --keys
fails 4 'wanted a tower of pictures of one size for tiles' features wide.ppm -t qwen2-5-vl -o x.safetensors --anyres next
# the file says how pictures became its grid, and operators hand it on: a crop shows what only the crop holds
run reduce all.safetensors --key p0.ppm -o few.safetensors --op cls-attention-topk:k=5
code_is 0
for fit in auto crop stretch pad; do
    run reduce few.safetensors --key p0.ppm --op cls-attention-topk:k=5 --show pictures/p0.ppm --fit $fit -o $fit.png
    code_is 0
done
cmp -s auto.png crop.png || complain "--show does not know the fit"
cmp -s pad.png stretch.png && complain "--fit pad is stretch"

# operators read it
run reduce all.safetensors -o less.safetensors --op cls-attention-topk:k=5
code_is 0
is "reduced" "[5, 64] [5, 64]" "$(python3 -c 'from look import read
t, m = read("less.safetensors")
print(t["p0.ppm/features"][1], t["p2.ppm/keys"][1])')"
# layers, the projector, half precision
run features pictures/p0.ppm -t siglip -o layers.safetensors --device cpu --layer 2,0,4 --attention full -q
code_is 0
is "layers" "features features.0 features.4 attention [2, 16, 16] 2,0,4" "$(python3 -c 'from look import read
t, m = read("layers.safetensors")
print(*sorted(k for k in t if k.startswith("features")), "attention", t["attention"][1], m["layer"])')"
run features pictures/p0.ppm -t siglip -o projected.safetensors --device cpu --project --dtype f16 -q
code_is 0
is "projected" "F16 [16, 64] F32 projected" "$(python3 -c 'from look import read
t, m = read("projected.safetensors")
print(t["features"][0], t["features"][1], t["positions"][0], m["features"])')"

# pictures keep their shape; weights have five dimensions
run features pictures -t qwen2-5-vl -o shapes.safetensors --device cpu --project -q
code_is 0
is "shapes" "1,2,3 1,2,2 [6, 72]" "$(python3 -c 'from look import read
t, m = read("shapes.safetensors")
print(m["tessera.grid/p0.ppm"], m["tessera.grid/p1.ppm"], t["p0.ppm/features"][1])')"
run model check qwen2-5-vl
code_is 0
out_has 'family qwen-vision: all 54 tensors are there'
fails 4 'wanted a tower whose keys and attention can be asked for' features pictures -t qwen2-5-vl -o x.safetensors --keys --device cpu

# a bad picture among good ones costs itself alone
echo 'no picture' >pictures/p1.png
run features pictures -t clip -o good.safetensors --device cpu --json
code_is 1
json_ok
is "failed" "1 3 pictures/p1.png" "$(json '"%d %d %s" % (d["failed"], d["pictures"], d["failures"][0]["input"])')"
err_has 'p1.png'
run features pictures/p0.ppm pictures/p0.ppm -t clip -o twice.safetensors --device cpu -q
code_is 1
err_has 'p0.ppm" again'
fails 4 'p1.png' features pictures -t clip -o bad.safetensors --device cpu --on-error stop
absent bad.safetensors
fails 4 'p1.png' features pictures/p1.png -t clip -o bad.safetensors --device cpu
absent bad.safetensors
rm pictures/p1.png

# what is refused
fails 2 '-t TOWER is missing' features pictures -o x.safetensors
fails 2 '-o OUT is missing' features pictures -t clip
fails 2 'IN is missing' features -t clip -o x.safetensors
fails 2 '--layer: wanted up to 8 whole numbers' features pictures -t clip -o x.safetensors --layer 2,x
fails 2 '--layer: wanted up to 8 whole numbers' features pictures -t clip -o x.safetensors --layer 1,2,3,4,5,6,7,8,9
fails 2 '--attention: wanted class or full' features pictures -t clip -o x.safetensors --attention all
fails 2 '--attention: wanted the number of a block' features pictures -t clip -o x.safetensors --attention full:x
fails 2 'layer: wanted 0 to 4, got 5' features pictures -t clip -o x.safetensors --layer 5 --device cpu
fails 2 'x.csv: wanted a name that ends with .safetensors or .npz' features pictures -t clip -o x.csv --device cpu
fails 4 'wanted that of a class row' features pictures -t siglip -o x.safetensors --attention class --device cpu
fails 4 'wanted a tower .*, got the weights of mosaic' features pictures -t "$SOURCE/models/mosaic-64.safetensors" -o x.safetensors
fails 4 'which makes no tokens' encode pictures/p0.ppm -t clip -o x.tess --device cpu
fails 3 'output exists: all.safetensors' features pictures -t clip -o all.safetensors --device cpu
absent x.safetensors
no_leftovers

# weights in two files, one of which is missing; a tensor that is not finite; another family's configuration
mkdir split
python3 - <<'PY'
import json, struct
from look import read
tensors, meta = read("clip/model.safetensors")
names, index = sorted(tensors), {}
for part, mine in enumerate((names[::2], names[1::2])):
    file = "model-%05d-of-00002.safetensors" % (part + 1)
    head, at = {}, 0
    for n in mine:
        dtype, shape, data = tensors[n]
        head[n] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
        index[n] = file
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    open("split/" + file, "wb").write(struct.pack("<Q", len(text)) + text + b"".join(tensors[n][2] for n in mine))
json.dump({"weight_map": index}, open("split/model.safetensors.index.json", "w"))
PY
cp clip/config.json split
run features pictures -t split -o split.safetensors --device cpu --keys --attention class:1 -q
code_is 0
is "two files give what one gives" True "$(python3 -c 'from look import read
print(read("split.safetensors")[0] == read("all.safetensors")[0])')"
rm split/model-00002-of-00002.safetensors
fails 3 'model-00002-of-00002.safetensors' features pictures -t split -o x.safetensors --device cpu
cp -r clip broken
python3 - <<'PY'
data = bytearray(open("broken/model.safetensors", "rb").read())
data[-4:] = b"\0\0\xc0\x7f"
open("broken/model.safetensors", "wb").write(data)
PY
fails 5 'wanted finite values' features pictures -t broken -o x.safetensors --device cpu
sed -i 's/quick_gelu/mish/' broken/config.json
fails 4 'hidden_act: wanted gelu, quick_gelu' features pictures -t broken -o x.safetensors --device cpu
absent x.safetensors
run model check clip
code_is 0
out_has 'family clip-vision: all 75 tensors are there'
out_has '^memory for one picture: weights .* of activations$'
finish
