#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera model: list, list-tensors, convert and check on files that the library had no hand in.
. "$(dirname "$0")/../support/cli.bash"

# weights FILE [HEADER]: a safetensors file of two tensors, or of this header and 24 bytes
weights() {
    python3 - "$@" <<'PY'
import json, struct, sys
header = sys.argv[2].encode() if len(sys.argv) > 2 else json.dumps({
    "__metadata__": {"licence": "none \x1b[31m", "config": "{'k': 1}"},
    "b.bias": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
    "a.weight": {"dtype": "F32", "shape": [2, 1, 2], "data_offsets": [8, 24]}}).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(header)) + header + bytes(range(24)))
PY
}

run model list
code_is 0
err_empty
out_has '^mosaic \(family 1\)$'
run model list --json
code_is 0
json_ok
is "first family" "mosaic 1" "$(json '"%s %d" % (d["families"][0]["name"], d["families"][0]["id"])')"
is "each family says what it needs" "True" "$(json 'all(f["about"] and f["needs"] for f in d["families"])')"

weights two.safetensors
run model list-tensors two.safetensors
code_is 0
err_empty
out_is 'BF16  [2, 2]               8  b.bias
F32   [2, 1, 2]           16  a.weight
total: 2 tensors, 8 values, 24 bytes (24 bytes)'
run model list-tensors two.safetensors --json
code_is 0
json_ok
is "tensors" "[['b.bias', 'BF16', [2, 2], 4, 8], ['a.weight', 'F32', [2, 1, 2], 4, 16]]" \
    "$(json '[[t[k] for k in ("name", "dtype", "shape", "elements", "bytes")] for t in d["tensors"]]')"
is "totals" "2 8 24 safetensors" "$(json '" ".join(str(d[k]) for k in ("tensor_count", "elements", "bytes", "format"))')"
is "file_bytes" "$(stat -c %s two.safetensors)" "$(json 'd["file_bytes"]')"
is "metadata" "{'k': 1}" "$(json 'd["metadata"]["config"]')"

# From a pipe, and names that would drive a terminal.
"$TESSERA" model list-tensors - <two.safetensors >out 2>err
code=$? last="tessera model list-tensors -"
code_is 0
weights hostile.safetensors '{"a\u001b[31m":{"dtype":"U8","shape":[24],"data_offsets":[0,24]}}'
run model list-tensors hostile.safetensors
code_is 0
out_has '  a\?\[31m$'

fails 3 '^tessera model list-tensors: .*none.safetensors' model list-tensors none.safetensors
head -c 40 two.safetensors >cut.safetensors
fails 4 '^tessera model list-tensors: data end too early: cut.safetensors: header: wanted [0-9]+ bytes, got 32$' \
    model list-tensors cut.safetensors
weights lap.safetensors '{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[16],"data_offsets":[8,24]}}'
fails 4 'lap.safetensors: tensor b: data_offsets: wanted a start at 16, got 8 \(an overlap\)$' model list-tensors lap.safetensors
weights huge.safetensors '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}}'
fails 4 'huge.safetensors: tensor a: shape: its bytes overflow$' model list-tensors huge.safetensors
# A checkpoint as torch.save writes it, made here byte by byte: weights, an average, counters.
checkpoint() { # FILE [COMPRESSION]
    python3 - "$@" <<'PY'
import collections, io, pickle, struct, sys, types, zipfile
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
class Storage:
    def __init__(self, key, kind, data): self.key, self.kind, self.data = key, kind, data
def named(module, name):
    c = type(name, (), {})
    c.__module__ = module.__name__
    setattr(module, name, c)
    return c
kinds = {k: named(torch, k + "Storage") for k in ("Float", "Long", "Double", "Half")}
def _rebuild_tensor_v2(*a): raise AssertionError
_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})
class Tensor:
    def __init__(self, storage, offset, shape, stride): self.a = (storage, offset, shape, stride, False, collections.OrderedDict())
    def __reduce__(self): return _rebuild_tensor_v2, self.a
class Pickler(pickle.Pickler):
    def persistent_id(self, o):
        if isinstance(o, Storage):
            return ("storage", kinds[o.kind], o.key, "cpu", len(o.data) // {"Float": 4, "Long": 8, "Double": 8, "Half": 2}[o.kind])
f = Storage("0", "Float", struct.pack("<6f", 1, 2, 3, 4, 5, 70000))
d = Storage("1", "Double", struct.pack("<2d", 0.5, -2))
n = Storage("2", "Long", struct.pack("<q", 12))
def weights(prefix):
    return collections.OrderedDict([(prefix + "a.weight", Tensor(f, 0, (2, 3), (3, 1))), (prefix + "a.t", Tensor(f, 0, (3, 2), (1, 3))),
        (prefix + "b", Tensor(d, 0, (2,), (1,))), (prefix + "loss.x", Tensor(f, 0, (2,), (1,))), (prefix + "bn.num_batches_tracked", Tensor(n, 0, (), ()))])
top = {"model": weights(""), "ema": weights("module."), "epoch": 3}
buffer = io.BytesIO()
Pickler(buffer, 2).dump(top)
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED if len(sys.argv) > 2 else zipfile.ZIP_STORED) as z:
    z.writestr("archive/data.pkl", buffer.getvalue())
    for s in (f, d, n): z.writestr("archive/data/" + s.key, s.data)
PY
}
checkpoint c.pth
run model list-tensors c.pth
code_is 0
out_has '^F32   \[3, 2\] +24  ema/module.a.t$'
out_has '^I64   \[\] +8  model/bn.num_batches_tracked$'
run model list-tensors c.pth --json
json_ok
is "layout" "torch zip ema 10" "$(json '"%s %s %d" % (d["format"], d["weights_under"], d["tensor_count"])')"
mkdir fetched
cp c.pth fetched
printf 'licence   Test licence\nnotice    For tests.\nfile      c.pth\n' >fetched/NOTICE-c.txt
run model convert fetched/c.pth c.safetensors
code_is 0
out_empty
err_has '^c.safetensors: 3 tensors \(56 bytes\) of ema, 7 left out; licence: Test licence. For tests.$'
values() { # of c.safetensors, as python sees it
    python3 - "$1" <<'PY'
import json, struct, sys
b = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
m = h.pop("__metadata__")
for k in sorted(h):
    lo, hi = h[k]["data_offsets"]
    kind = {"F32": "f", "F16": "e", "I64": "q"}.get(h[k]["dtype"])
    v = struct.unpack("<%d%s" % ((hi - lo) // struct.calcsize(kind), kind), b[8 + n + lo:8 + n + hi]) if kind else h[k]["dtype"]
    print(k, h[k]["shape"], v)
print(m["tessera.source"], m["tessera.source_key"], m["tessera.licence"], m["tessera.source_sha256"])
PY
}
is "converted" "a.t [3, 2] (1.0, 4.0, 2.0, 5.0, 3.0, 70000.0)
a.weight [2, 3] (1.0, 2.0, 3.0, 4.0, 5.0, 70000.0)
b [2] (0.5, -2.0)
c.pth ema Test licence. For tests. $(sha256sum <c.pth | cut -d' ' -f1)" "$(values c.safetensors)"
run model convert c.pth all.safetensors --all --key model --licence MIT --json
code_is 0
json_ok
is "report" "5 5 model MIT" "$(json '"%d %d %s %s" % (d["kept"], d["dropped"], d["key"], d["licence"])')"
grep -qF 'bn.num_batches_tracked [1] (12,)' <(values all.safetensors) || complain "--all: no counter: $(values all.safetensors)"
# Once more from .safetensors: metadata stays, the licence too; bf16.
run model convert c.safetensors half.safetensors --dtype bf16 -q
code_is 0
err_empty
grep -qF 'a.weight [2, 3] BF16' <(values half.safetensors) || complain "bf16: $(values half.safetensors)"
grep -q ' Test licence. For tests. ' <(values half.safetensors) || complain "the licence was lost: $(values half.safetensors)"
# Refused: nothing stands under the output's name.
fails 4 'tensor (a.t|ema/module.a.t|ema/module.a.weight): wanted values that F16 can hold' model convert c.pth no.safetensors --dtype f16 -q
absent no.safetensors
no_leftovers
fails 3 'wanted tensors under "nothing", got none' model convert c.pth no.safetensors --key nothing
fails 2 'c.pth: wanted an output that is not the input' model convert c.pth c.pth
fails 2 "wanted keep, f32, f16 or bf16, got 'f8'" model convert c.pth no.safetensors --dtype f8
fails 2 'IN and OUT.safetensors is missing' model convert c.pth
python3 -c 'b = bytearray(open("c.pth", "rb").read()); i = b.index(b"\0\0\x80\x3f"); b[i] ^= 1; open("bit.pth", "wb").write(b)'
fails 4 'zip entry archive/data/0: CRC-32: wanted [0-9a-f]{8}, got [0-9a-f]{8}$' model convert bit.pth no.safetensors
absent no.safetensors
checkpoint bomb.pth deflated
fails 4 'zip entry archive/data.pkl: wanted it stored, got it compressed' model list-tensors bomb.pth
python3 -c 'import pickle, os, zipfile
class E:
    def __reduce__(self): return os.system, ("touch owned",)
z = zipfile.ZipFile("evil.pth", "w"); z.writestr("a/data.pkl", pickle.dumps({"w": E()}, 2)); z.close()'
fails 4 'wanted tensors and plain containers, got posix.system: code is not run' model convert evil.pth no.safetensors
absent owned
# Containers that share themselves, and a value that is spread over 2^40 places.
python3 - <<'PY'
import pickle, struct, zipfile
def write(name, pkl):
    with zipfile.ZipFile(name, "w") as z:
        z.writestr("a/data.pkl", pkl)
        z.writestr("a/data/0", struct.pack("<f", 1))
laugh = []
for _ in range(40):
    laugh = [laugh, laugh]
write("laugh.pth", pickle.dumps({"x": laugh}, 2))
me = []
me.append(me)
write("me.pth", pickle.dumps(me, 2))
text = lambda s: b"X" + struct.pack("<I", len(s)) + s
write("spread.pth", b"\x80\2}" + text(b"w") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text(b"storage") +
      b"ctorch\nFloatStorage\n" + text(b"0") + text(b"cpu") + b"K\1tQK\0\x8a\6" + (2**40).to_bytes(6, "little") +
      b"\x85K\0\x85\x89}tRs.")
PY
fails 3 'laugh.pth: its containers share themselves too often$' model list-tensors laugh.pth
fails 4 'me.pth: wanted containers nested 64 deep, got more$' model list-tensors me.pth
fails 3 'spread.pth: tensor w: the tensors together are far more than the file$' model list-tensors spread.pth
absent no.safetensors

# check: the bundled weights are good; a file of nobody; a checkpoint that must be converted first.
run model check "$SOURCE/models/mosaic-64.safetensors"
code_is 0
out_has '^memory for one tile: weights [0-9.]+ MB, and to encode .*, to decode [0-9.]+ (kB|MB) of activations$'
out_has '^cpu +[0-9.]+ MB of memory: it fits$'
run model check "$SOURCE/models/mosaic-64.safetensors" --json
code_is 0
json_ok
is "good" "True mosaic cpu True" "$(json '"%s %s %s %s" % (d["good"], d["family"], d["devices"][0]["device"], d["devices"][0]["fits"])')"
fails 5 'wanted tensors of a family this build knows' model check two.safetensors
fails 4 'wanted .safetensors, got a checkpoint of torch.save: .tessera model convert. makes one of it$' model check c.pth
fails 3 'none.safetensors' model check none.safetensors
python3 - "$SOURCE/models/mosaic-64.safetensors" <<'PY'
import json, struct, sys
b = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
h["stranger"] = h.pop("slots.scale")
j = json.dumps(h).encode()
open("odd.safetensors", "wb").write(struct.pack("<Q", len(j)) + j + b[8 + n:])
PY
run model check odd.safetensors
code_is 1
out_has '^model +.*tensor slots.scale: wanted'
fails 2 "^tessera model: wanted .*, got 'lst'; did you mean 'list'\?" model lst
fails 2 "^tessera model: wanted .*, got nothing" model
fails 2 "FILE is missing" model list-tensors
finish
