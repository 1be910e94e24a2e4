#!/bin/bash
# SPDX-License-Identifier: MIT
# What people have where weights should be: pointers and pages, sharded folders, types that no family reads, values that
# are no numbers, files that shrink while they are read.
. "$(dirname "$0")/../support/cli.bash"

good=$SOURCE/models/mosaic-64.safetensors

# What it is, and what to do.
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 20843244\n' >pointer.safetensors
printf '<!DOCTYPE html>\n<html><body>Sign in</body></html>\n' >page.pth
printf '{"error":"Invalid credentials in Authorization header"}' >answer.safetensors
: >empty.safetensors
python3 - <<'PY'
import io, tarfile, zipfile
for name, files in (("arrays.npz", ["w.npy"]), ("bundle.zip", ["model/model.safetensors", "model/config.json"])):
    for how in ("", "packed-"):
        with zipfile.ZipFile(how + name, "w", zipfile.ZIP_DEFLATED if how else zipfile.ZIP_STORED) as z:
            for f in files:
                z.writestr(f, bytes(2000))
with tarfile.open("model.tar", "w", format=tarfile.USTAR_FORMAT) as t:
    i = tarfile.TarInfo("model.safetensors"); i.size = 9; t.addfile(i, io.BytesIO(bytes(9)))
open("net.onnx", "wb").write(b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(64))
open("net.gguf", "wb").write(b"GGUF\x03\0\0\0" + bytes(64))
open("net.h5", "wb").write(b"\x89HDF\r\n\x1a\n" + bytes(64))
PY
for verb in "model check" "model list-tensors" "encode $SOURCE/docs/contact-sheet.png -o x.tess -t"; do
    fails 4 'pointer.safetensors: wanted weights, got a git-lfs pointer \(its size says 20843244 bytes\), .*: run git lfs pull$' $verb pointer.safetensors
    fails 4 'page.pth: wanted weights, got an HTML page .*: download the file again$' $verb page.pth
    fails 4 'got a JSON text \(error:"Invalid credentials' $verb answer.safetensors
    fails 4 'empty.safetensors: wanted weights, got an empty file' $verb empty.safetensors
    fails 4 'got an ONNX model' $verb net.onnx
    fails 4 'got a GGUF file' $verb net.gguf
    fails 4 'got an HDF5 file' $verb net.h5
done
fails 4 'got a .npz archive of numpy arrays' model list-tensors arrays.npz
fails 4 'got a .npz archive of numpy arrays' model list-tensors packed-arrays.npz
fails 4 'got a zip archive of other files \(the first is model/model.safetensors\): unpack it first$' model list-tensors bundle.zip
fails 4 'got a zip archive of other files' model list-tensors packed-bundle.zip
fails 4 'got a tar archive \(its first file is model.safetensors\): unpack it first$' model list-tensors model.tar

# Shards: the same model, the same identity, by the folder and by the index.
python3 - "$good" <<'PY'
import json, os, struct, sys
b = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
meta = h.pop("__metadata__", {})
def write(path, names):
    head, data = {"__metadata__": meta}, b""
    for k in names:
        lo, hi = h[k]["data_offsets"]
        head[k] = dict(h[k], data_offsets=[len(data), len(data) + hi - lo])
        data += b[8 + n + lo:8 + n + hi]
    j = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(j)) + j + data)
names = sorted(h)
files = ["model-%05d-of-00003.safetensors" % (i + 1) for i in range(3)]
for folder in ("sharded", "twice", "absent", "lost", "away", "pointing"):
    os.mkdir(folder)
    for i, f in enumerate(files):
        mine = names[i::3]
        if folder == "twice" and i == 1: mine = mine + [names[0]]
        if folder == "absent" and i == 1: mine = mine[1:]
        if folder == "lost" and i == 2: continue
        write(os.path.join(folder, f), mine)
    where = {k: files[i % 3] for i, k in enumerate(names)}
    if folder == "away": where[names[0]] = "../sharded/" + files[0]
    if folder == "pointing": open(os.path.join(folder, files[1]), "w").write("version https://git-lfs.github.com/spec/v1\nsize 7\n")
    json.dump({"metadata": {"total_size": 1}, "weight_map": where}, open(os.path.join(folder, "model.safetensors.index.json"), "w"))
def one(path, **tensors):  # the model with tensors of other types beside its own
    head, data = {"__metadata__": meta}, b""
    for k in names:
        lo, hi = h[k]["data_offsets"]
        head[k] = dict(h[k], data_offsets=[len(data), len(data) + hi - lo])
        data += b[8 + n + lo:8 + n + hi]
    for k, (dtype, raw) in tensors.items():
        head["loss." + k] = {"dtype": dtype, "shape": [len(raw) * 8 // {"F64": 64, "BOOL": 8, "F8_E4M3": 8, "C64": 64, "U4": 4}[dtype]], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    j = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(j)) + j + data)
one("others.safetensors", a=("F64", bytes(16)), b=("BOOL", b"\1\0\1"), c=("F8_E4M3", b"\x38"), d=("C64", bytes(8)), e=("U4", b"\0"))
first = next(k for k in names if h[k]["dtype"] == "F32")
for name, value in (("nan", float("nan")), ("infinite", float("-inf")), ("huge", 3e38)):
    c = bytearray(b)
    struct.pack_into("<f", c, 8 + n + h[first]["data_offsets"][0] + 4, value)
    open(name + ".safetensors", "wb").write(c)
open("first", "w").write(first)
PY
cp "$SOURCE/docs/contact-sheet.png" p.png
for model in "$good" sharded sharded/model.safetensors.index.json; do
    run encode p.png -o "of-$(basename "$model").tess" -t "$model"
    code_is 0
done
is "tokens by the folder" "$(sha256sum <"of-$(basename "$good").tess")" "$(sha256sum <of-sharded.tess)"
is "tokens by the index" "$(sha256sum <of-sharded.tess)" "$(sha256sum <of-model.safetensors.index.json.tess)"
run model check sharded
code_is 0
run model list-tensors sharded --json
code_is 0
json_ok
run model convert sharded joined.safetensors
code_is 0
run model check joined.safetensors
code_is 0
fails 4 'tensor [^ ]+: wanted once, got twice' model check twice
fails 4 'weight_map: tensor [^ ]+: wanted it in model-00002-of-00003.safetensors, got it in none of the files$' model check absent
fails 3 'lost/model-00003-of-00003.safetensors: named in model.safetensors.index.json, wanted it beside it, got none$' model check lost
fails 4 'wanted the name of a .safetensors file in the same folder, got ../sharded/' model check away
fails 4 'pointing/model-00002-of-00003.safetensors: wanted weights, got a git-lfs pointer' model check pointing
mkdir bin none
echo '{"weight_map":{}}' >bin/pytorch_model.bin.index.json
fails 3 'bin: wanted model.safetensors in the folder, got none; there is pytorch_model.bin.index.json, weights of torch.save in several files' model check bin
fails 3 'none: wanted model.safetensors in the folder, got none$' model check none

# Types that no op reads: described, converted, and no hindrance where the family passes over them.
run model list-tensors others.safetensors
code_is 0
out_has '^F64   \[2\] +16  loss.a$'
out_has '^U4    \[2\] +1  loss.e$'
run encode p.png -o o.tess -t others.safetensors
code_is 0
fails 4 'tensor loss.d: type: wanted real numbers, got C64' model convert others.safetensors no.safetensors --all
absent no.safetensors
run model convert others.safetensors converted.safetensors
code_is 0

# Values that no arithmetic survives: said before use, with the tensor.
for bad in nan infinite huge; do
    fails 5 "$bad.safetensors: tensor $(cat first): wanted finite values with finite squares, got [-a-z0-9.e+]+ at 1 " encode p.png -o no.tess -t $bad.safetensors
    absent no.tess
    run model check $bad.safetensors
    code_is 1
    out_has "^value +$(cat first): wanted finite values with finite squares, got [-a-z0-9.e+]+ at 1$"
    run model check $bad.safetensors --json
    code_is 1
    json_ok
    is "$bad" "False 1" "$(json '"%s %d" % (d["good"], d["unusable"])')"
done

# Weights that are good each by itself, and decode to what is no number: an error with the picture's name, no output;
# in eval no number, and the reason.
python3 - "$good" <<'PY'
import json, struct, sys
b = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", b[:8])[0]
head, data = {}, b""
for k, v in json.loads(b[8:8 + n]).items():
    if k != "__metadata__":
        lo, hi = v["data_offsets"]
        raw = b[8 + n + lo:8 + n + hi]
        if k in ("decoder.norm.weight", "decoder.head.weight"):
            raw, v = struct.pack("<f", 1e19) * (len(raw) // 2), dict(v, dtype="F32")
        v = dict(v, data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    head[k] = v
j = json.dumps(head).encode()
open("overflow.safetensors", "wb").write(struct.pack("<Q", len(j)) + j + data)
PY
mkdir two
picture two/first.ppm 40 30
picture two/second.ppm 30 40 2
run encode two -o two.tess -t overflow.safetensors
code_is 0
fails 5 '^tessera decode: not a usable model: first.ppm: model: pixels: wanted values that are finite, got -?(nan|inf)' decode two.tess -t overflow.safetensors -o pictures/
is "nothing was written" "" "$(find pictures -type f)"
run eval two two.tess -t overflow.safetensors --json
code_is 1
json_ok
is "no number" "None None 0 2" "$(json '"%s %s %d %d" % (d["candidates"][0]["summary"]["psnr"]["mean"], d["candidates"][0]["summary"]["psnr"]["low"], d["candidates"][0]["counts"]["compared"], d["candidates"][0]["counts"]["failed"])')"
is "why" True "$(json 'd["candidates"][0]["summary"]["psnr"]["why"].startswith("no picture was compared; first.ppm: ") and "finite" in d["candidates"][0]["summary"]["psnr"]["why"]')"
is "which" "first.ppm TSR_ERROR_MODEL second.ppm TSR_ERROR_MODEL" "$(json '" ".join("%s %s" % (p["name"], p["values"][0]["error"]) for p in d["pictures"])')"

# Files that lose their tail while they are converted: a status, never a signal. The writer waits at a pipe that is full.
python3 - <<'PY'
import json, struct, zipfile
head = {"t%02d" % i: {"dtype": "F64", "shape": [1 << 17], "data_offsets": [i << 20, i + 1 << 20]} for i in range(24)}
j = json.dumps(head).encode()
open("large.safetensors", "wb").write(struct.pack("<Q", len(j)) + j + bytes(24 << 20))
text = lambda s: b"X" + struct.pack("<I", len(s)) + s.encode()
size = lambda n: b"J" + struct.pack("<i", n)
pickle = b"\x80\2}("
for i in range(24):  # one half of a storage of 2 MiB each
    pickle += (text("t%02d" % i) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nDoubleStorage\n" + text(str(i)) +
               text("cpu") + size(1 << 18) + b"tQ" + size(1) + size(1 << 17) + b"\x85K\2\x85\x89}tR")
with zipfile.ZipFile("large.pth", "w") as z:
    z.writestr("archive/data.pkl", pickle + b"u.")
    for i in range(24):
        z.writestr("archive/data/%d" % i, struct.pack("<2d", -1, i) + bytes((2 << 20) - 16))
PY
run model convert large.pth whole.safetensors
code_is 0
is "every other value, from the second on" "0.0 1.0 23.0" "$(python3 - <<'PY'
import json, struct
b = open("whole.safetensors", "rb").read()
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
print(*(struct.unpack_from("<f", b, 8 + n + h["t%02d" % i]["data_offsets"][0])[0] for i in (0, 1, 23)))
PY
)"
for file in large.safetensors large.pth; do
    rm -f slow
    mkfifo slow
    "$TESSERA" model convert $file slow -q 2>err &
    reader=$!
    timeout 100 bash -c "{ head -c 65536 >/dev/null; truncate -s 3M $file; cat >/dev/null; } <slow"
    wait $reader
    code=$? last="model convert of $file, which shrinks"
    code_is 4
    err_has "$file: wanted [0-9]+ bytes as when it was opened, got 3145728: it became shorter while it was read\$"
done
finish
