#!/bin/bash
# SPDX-License-Identifier: MIT
# What published tokenizers do with ids, by operators and the container together: masks and ids of varying number, ordered
# ids of 13 bits, prefixes, mixtures of codes, waves, nested grids. The features are random; the rules are what is tested.
. "$(dirname "$0")/../support/cli.bash"

python3 "$SOURCE/tests/support/system_inputs.py" || complain "system_inputs.py"
cat >tensors.py <<'PY'
import json, struct
def tensors(path):
    b = open(path, "rb").read()
    n = struct.unpack("<Q", b[:8])[0]
    out = {}
    for name, t in json.loads(b[8:8 + n]).items():
        if name != "__metadata__":
            lo, hi = (8 + n + x for x in t["data_offsets"])
            out[name] = struct.unpack("<%d%s" % ((hi - lo) // 4, "i" if t["dtype"] == "I32" else "f"), b[lo:hi])
    return out
PY
# ids FILE.safetensors...: a line of JSON with the ids of each set, as data sets have them
ids() {
    python3 -c 'import json, sys
from tensors import tensors
for path in sys.argv[1:]: print(json.dumps({"key": path, "ids": tensors(path)["ids"]}))' "$@"
}

# LaVIT: as many ids as the mask keeps, 14 bits each with 16,384 codes; the map says where they stand
run reduce mask.safetensors --op keep-mask --op nearest-code:rule=cos -o lavit1.safetensors
code_is 0
run reduce mask.safetensors --op prefix:k=100 --op nearest-code:rule=cos -o lavit2.safetensors
code_is 0
ids lavit1.safetensors lavit2.safetensors >lavit.jsonl
run import lavit.jsonl --from jsonl -k 16384 -o lavit.tess
code_is 0
run info lavit.tess --json
is "the mask" True "$(python3 -c 'from tensors import tensors
t, m = tensors("lavit1.safetensors"), tensors("mask.safetensors")["logits"]
print(all((t["source_map"][i] >= 0) == (m[2 * i] >= m[2 * i + 1]) for i in range(144)))')"
kept=$(python3 -c 'from tensors import tensors; print(len(tensors("lavit1.safetensors")["ids"]))')
is "ids of both pictures" "$((kept + 100))" "$(json 'd["tokens"]')"
run info lavit.tess
out_has "^tokens +$((kept + 100)), $(((kept + 100) * 14)) bits"
run export lavit.tess -o back.jsonl --to jsonl
code_is 0
is "ids come back" True "$(python3 -c 'import glob, json
a = [json.loads(l)["ids"] for l in open("lavit.jsonl")]
path = (glob.glob("back.jsonl/*.jsonl") or ["back.jsonl"])[0]
print([json.loads(l)["ids"] for l in open(path)] == a)')"

# SEED: 32 ordered ids of 13 bits, 416 a picture
run import seed.npy --from npy -k 8192 --columns 32 -o seed.tess
code_is 0
run info seed.tess
out_has '^tokens +128, 1664 bits'
out_has '^codebook +8192 codes, 13 bits an id'
out_has '^geometry +sequence of up to 32 ids a tile'

# MQT: a prefix of a prefix is the prefix, to the byte
run reduce queries.safetensors --op prefix:k=64 -o q64.safetensors
run reduce q64.safetensors --op prefix:k=16 -o q64-16.safetensors
run reduce queries.safetensors --op prefix:k=16 -o q16.safetensors
code_is 0
cmp -s q16.safetensors q64-16.safetensors || complain "a prefix of a prefix is another one"

# AiT: the codes of a token and their weights give its feature again, also with weights of 8 bits
run reduce photo.safetensors --op soft-tokens:top=4 -o soft.safetensors
code_is 0
is "mixtures" "True True" "$(python3 -c 'from tensors import tensors
t, codes = tensors("soft.safetensors"), tensors("photo.safetensors")["codes"]
exact = coarse = 0
for i in range(144):
    id, w = t["ids"][4 * i:4 * i + 4], t["weights"][4 * i:4 * i + 4]
    eight = [round(255 * x) / 255 for x in w]
    for c in range(32):
        code = [codes[32 * j + c] for j in id]
        exact = max(exact, abs(sum(a * b for a, b in zip(w, code)) - t["features"][32 * i + c]))
        coarse = max(coarse, abs(sum(a * b for a, b in zip(eight, code)) - t["features"][32 * i + c]))
print(exact < 1e-5, coarse < 4 * 4.5 / 510)')"

# NAR: every left, upper and earlier neighbour lies in an earlier wave, T + H + W - 2 waves; the ids keep the order
run reduce clip.safetensors --op wave-order -o wave.safetensors
code_is 0
is "waves" "18 True" "$(python3 -c 'from tensors import tensors
t, before = tensors("wave.safetensors"), tensors("clip.safetensors")["ids"]
place = t["source_map"]
waves = [0] * 288
for i in range(288): waves[place[i]] = i // 36 + i // 6 % 6 + i % 6
print(len(set(waves)), waves == sorted(waves) and sorted(place) == list(range(288))
      and all(t["ids"][place[i]] == before[i] for i in range(288)))')"
ids wave.safetensors >wave.jsonl
run import wave.jsonl --from jsonl -k 500 -o wave.tess
code_is 0
run info wave.tess
out_has '^tokens +288, 2592 bits'

# M3: a level pooled from the level above it is the level
run reduce photo.safetensors --op pyramid-pool:window=2 --op pyramid-pool:window=2 -o twice.safetensors
run reduce photo.safetensors --op pyramid-pool:window=4 -o once.safetensors
code_is 0
is "nested levels" True "$(python3 -c 'from tensors import tensors
a, b = tensors("twice.safetensors"), tensors("once.safetensors")
print(len(a["features"]) == 9 * 32 and a["source_map"] == b["source_map"]
      and max(abs(x - y) for x, y in zip(a["features"], b["features"])) < 1e-6)')"
finish
