#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera features --op: the same tokens as features and then reduce; behind a tower on a GPU one program
# of one submission, in which features go neither up nor down between tower, operators and projector.
. "$(dirname "$0")/../support/cli.bash"

mkdir clip pictures
"$BUILD/make_weights" "$SOURCE/tests/golden/towers/clip-tiny/manifest.json" clip/model.safetensors || complain "make_weights"
python3 - "$SOURCE/tests/golden/towers/clip-tiny/manifest.json" <<'PY'
import json, sys
open("clip/config.json", "w").write(json.dumps(json.load(open(sys.argv[1]))["config"]["upstream_config"]))
for i, (w, h) in enumerate([(90, 60), (56, 56), (40, 200)]):
    data = bytes((x * 7 + y * 13 + c * 50 + i * 31) % 256 for y in range(h) for x in range(w) for c in range(3))
    open("pictures/p%d.ppm" % i, "wb").write(b"P6\n%d %d\n255\n" % (w, h) + data)
PY
cat >same.py <<'PY'
import json, struct, sys
def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    meta = head.pop("__metadata__", {})
    return {k: (v["dtype"], v["shape"], data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]])
            for k, v in head.items()}, meta
if len(sys.argv) == 3:
    print(read(sys.argv[1])[0][sys.argv[2]][1])
    sys.exit()
a, b = read(sys.argv[1])[0], read(sys.argv[2])[0]
assert sorted(a) == sorted(b), (sorted(a), sorted(b))
worst = 0
for k in a:
    assert a[k][:2] == b[k][:2], (k, a[k][:2], b[k][:2])
    if a[k][0] != "F32":
        assert a[k][2] == b[k][2], k
        continue
    x, y = (struct.unpack("<%df" % (len(t[2]) // 4), t[2]) for t in (a[k], b[k]))
    worst = max([worst] + [abs(p - q) / (1 + abs(q)) for p, q in zip(x, y)])
assert worst <= float(sys.argv[3]), worst
PY
same() {
    checks=$((checks + 1))
    python3 same.py "$@" 2>why || complain "$1 and $2: $(tail -1 why)"
}
ask="--keys --attention class:1"
ops="--op bipartite-merge:r=5 --op diverse-maxmin:k=8|cls-attention-topk:k=4"

# the same as two commands, on the cpu
run features pictures -t clip -o all.safetensors --device cpu -q $ask
code_is 0
run reduce all.safetensors -o two.safetensors --device cpu -q $ops
code_is 0
run features pictures -t clip -o one.safetensors --device cpu $ask $ops --json
code_is 0
is "rows, where" "12 cpu cpu cpu" \
    "$(json '"%d " % d["rows"] + " ".join(s["ran_on"] for s in d["operators"]["steps"])')"
same one.safetensors two.safetensors 0
run features pictures -t clip -o projected.safetensors --device cpu -q $ask $ops --project
code_is 0
is "rows that the projector took" "[4, 96]" "$(python3 same.py projected.safetensors p0.ppm/features)"

# what is wrong
run features pictures -t clip -o bad.safetensors --device cpu -q --op cls-attention-topk:k=4 --on-error stop
code_is 2
err_has 'wanted a token set with the column attention'
run features pictures -t clip -o bad.safetensors --device cpu -q --op no-such-operator
code_is 3
err_has 'wanted the name of an operator, got "no-such-operator"'
[ ! -e bad.safetensors ] || complain "a failed run left its output"

# a GPU: one program, one submission; up go pixels and positions, down lists, columns and what is left
if grep -q '"vulkan:0"' <("$TESSERA" devices --json 2>/dev/null); then
    run features pictures -t clip -o gpu.safetensors --device vulkan:0 $ask $ops --project --json
    code_is 0
    is "where, programs, submissions" "vulkan:0 vulkan:0 vulkan:0 1 1" \
        "$(json '" ".join(s["ran_on"] for s in d["operators"]["steps"]) + " %d %d" % (d["operators"]["programs"], d["operators"]["submissions"])')"
    # 3 pictures of 16 patches of 3 * 14 * 14 numbers, and 16 positions of 64
    is "bytes up" $((4 * (3 * 16 * 588 + 16 * 64))) "$(json 'd["operators"]["bytes_up"]')"
    # of each: 4 rows of 96, a class row, keys and attention of 17 rows; lists of tokens and margins are few
    fixed=$((3 * 4 * (4 * 96 + 64 + 17 * 64 + 4 * 17)))
    is "bytes down" True "$(json "0 < d['operators']['bytes_down'] - $fixed < 3 * 4 * 100")"
    same gpu.safetensors projected.safetensors 1e-4
    run features pictures -t clip -o one-by-one.safetensors --device vulkan:0 $ask $ops --project -q --batch 1
    code_is 0
    same one-by-one.safetensors gpu.safetensors 0
    # an operator that is the host's between tower and projector
    run features pictures -t clip -o apart.safetensors --device vulkan:0 $ask --op bipartite-merge:r=5,class_token=yes --project --json
    code_is 0
    is "where" "cpu" "$(json '" ".join(s["ran_on"] for s in d["operators"]["steps"])')"
    run features pictures -t clip -o apart-cpu.safetensors --device cpu $ask --op bipartite-merge:r=5,class_token=yes --project -q
    same apart.safetensors apart-cpu.safetensors 1e-4
else
    echo "left out: a tower on a GPU: no Vulkan device"
fi
finish
