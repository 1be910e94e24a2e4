#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera model convert on checkpoints that torch.save wrote (tests/golden/checkpoints): values that are no weights beside
# them, containers in containers, tensors of every kind. expected.txt holds the values that torch itself gives.
. "$(dirname "$0")/../support/cli.bash"

cases=$SOURCE/tests/golden/checkpoints
python3 - "$TESSERA" "$cases" >wrong 2>&1 <<'PY'
import json, os, struct, subprocess, sys
tessera, cases = sys.argv[1:]

def half(bits, exponent, mantissa):  # sign, exponent and mantissa of an IEEE half or bfloat16
    sign, e, m = bits >> 15, bits >> mantissa & (1 << exponent) - 1, bits & (1 << mantissa) - 1
    bias = (1 << exponent - 1) - 1
    return (-1) ** sign * (2.0 ** (e - bias) * (1 + m / 2 ** mantissa) if e else 2.0 ** (1 - bias) * m / 2 ** mantissa)

def values(path):
    b = open(path, "rb").read()
    n = struct.unpack("<Q", b[:8])[0]
    h = json.loads(b[8:8 + n])
    h.pop("__metadata__")
    out = []
    for k in sorted(h):
        lo, hi = (8 + n + x for x in h[k]["data_offsets"])
        kind = {"F32": "f", "I64": "q", "I32": "i", "U8": "B", "BF16": "H"}[h[k]["dtype"]]
        v = struct.unpack("<%d%s" % ((hi - lo) // struct.calcsize(kind), kind), b[lo:hi])
        if h[k]["dtype"] == "BF16":
            v = [half(x, 8, 7) for x in v]
        out.append("%s=%s" % (k, str(list(v)).replace(", ", ",")))
    return " ".join(out)

count = 0
for line in open(os.path.join(cases, "expected.txt")):
    name, wanted = line.rstrip("\n").split(" ", 1)
    count += 1
    r = subprocess.run([tessera, "model", "convert", os.path.join(cases, name), "o.safetensors", "-q"], capture_output=True, text=True)
    there = os.path.exists("o.safetensors")
    if wanted.startswith("refused "):
        if r.returncode not in (3, 4) or there or wanted[8:] not in r.stderr:
            print("%s: code %d, wanted %r in %r" % (name, r.returncode, wanted[8:], r.stderr))
    elif r.returncode:
        print("%s: code %d: %s" % (name, r.returncode, r.stderr))
    elif values("o.safetensors") != wanted:
        print("%s: wanted %s\n  got %s" % (name, wanted, values("o.safetensors")))
    if there:
        os.remove("o.safetensors")
    r = subprocess.run([tessera, "model", "list-tensors", os.path.join(cases, name)], capture_output=True, text=True)
    if r.returncode:
        print("%s: list-tensors: code %d: %s" % (name, r.returncode, r.stderr))
if count < 25:
    print("only %d cases" % count)
PY
is "checkpoints" "" "$(cat wrong)"
# --key takes what is named, with all that is in it; / is the top.
run model convert "$cases/two-names.pth" one.safetensors --key generator
code_is 0
err_has '2 tensors .* of generator, 2 left out'
run model convert "$cases/two-names.pth" all.safetensors --key /
code_is 0
err_has '4 tensors \([0-9]+ bytes\), 0 left out'
run model list-tensors "$cases/two-names.pth" --json
code_is 0
json_ok
is "no clear choice" "None" "$(json 'd["weights_under"]')"
run model list-tensors "$cases/values-p2.pth"
code_is 0
err_has '^passed over: [0-9]+ values that are no tensors, the first \(z/np_float: numpy._core.multiarray.scalar\)$'
out_has '^SPARSE \[3, 3\] +0  z/sparse$'

# A TorchScript archive: modules in modules become names with dots, of five dimensions too.
jit=$SOURCE/tests/golden/cosmos/jit-bfloat16/encoder.jit
run model convert "$jit" jit.safetensors
code_is 0
err_has '^jit.safetensors: 19 tensors .*, 0 left out'
run model list-tensors jit.safetensors
out_has '^BF16 +\[12, 12, 1, 3, 3\] +2592  encoder.conv_in.0.conv3d.weight$'
run model convert "$jit" twice.safetensors --with "$jit"
code_is 2
err_has 'wanted once, got twice'
run model convert "$jit" both.safetensors --with "$cases/two-names.pth"
code_is 4
# What its code says is kept; what is compressed beside it is refused.
python3 - "$jit" <<'PY'
import sys, zipfile
old = zipfile.ZipFile(sys.argv[1])
for name, packed in (("code", "none"), ("data", "archive/data/3"), ("pickle", "archive/data.pkl")):
    with zipfile.ZipFile(name + ".jit", "w") as new:
        for i in old.infolist():
            new.writestr(zipfile.ZipInfo(i.filename), old.read(i), 8 if i.filename == packed else 0)
        code = b"torch.group_norm(torch.relu(x), 16, w, b)\ntorch.avg_pool3d(x, [1, 2, 2], [1, 2, 2])\n"
        new.writestr(zipfile.ZipInfo("archive/code/__torch__/norm.py"), code, 8)
PY
run model convert code.jit code.safetensors
code_is 0
grep -q '"torchscript.group_norm":"16","torchscript.space_pools":"1","torchscript.time_pools":"0"' code.safetensors ||
    complain "the metadata do not say what the code does"
fails 4 'archive/data/3: wanted it stored, got it compressed' model convert data.jit x.safetensors
fails 4 'archive/data.pkl: wanted it stored, got it compressed' model convert pickle.jit x.safetensors
finish
