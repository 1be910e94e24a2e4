#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera bench: a row, its JSON, a filter that matches nothing, a device that is not there.
. "$(dirname "$0")/../support/cli.bash"

run bench --filter softmax --seconds 0.001 --device cpu
code_is 0
out_has '^row +by +device +min ms'
out_has '^softmax .* tessera +cpu '
run bench --filter softmax --seconds 0.001 --device cpu --json
code_is 0
json_ok
is "keys of the document" "error rows tessera verb" "$(json '" ".join(sorted(d))')"
is "a row" True "$(json 'any(r["by"] == "tessera" and r["median_ms"] >= r["min_ms"] > 0 for r in d["rows"])')"
run bench --filter 'operators 576 cls' --seconds 0.001 --device cpu --json
code_is 0
is "a token operator" "operators 576 cls-attention-topk" "$(json '" ".join(r["name"] for r in d["rows"])')"
is "its times" True "$(json 'd["rows"][0]["median_ms"] > 0 and d["rows"][0]["cpu_ms"] >= 0')"
run bench --filter no-such-row
code_is 0
out_empty
err_is "tessera bench: no row's name contains 'no-such-row'"
fails 2 "'extra' is one argument too many; wanted none without --agreement" bench extra
fails 2 "--seconds: wanted a number from 0 to 3600, got 'x'" bench --seconds x
fails 2 "--seconds: wanted a number from 0 to 3600, got 'nan'" bench --seconds nan
run bench --filter softmax --seconds 0.001 --device cpu --mask onednn
code_is 0
run bench --filter softmax --device cpu --mask nonsense
code_is 2
out_has 'softmax .* failed: mask: wanted names among cpu, onednn'
# a model: its tiles to tokens and back, one and 16, in f32 and in fast, and no ops
for rows in "encode: encode 1 f32, encode 16 f32" "decode 1 fast: decode 1 fast fast"; do
    run bench -t "$SOURCE/models/mosaic-64.safetensors" --filter "${rows%%:*}" --seconds 0.001 --device cpu --json
    code_is 0
    json_ok
    is "rows of a model" "${rows#*: }" \
        "$(json '", ".join(sorted(r["name"].split(" ", 1)[1] + " " + r["dtype"] for r in d["rows"]))')"
    is "a tile's time" True "$(json 'all(0 < r["min_ms"] <= r["median_ms"] for r in d["rows"])')"
done
# batches of one's own, and a report to send
run bench -t "$SOURCE/models/mosaic-64.safetensors" --filter "decode" --batch 3,1 --seconds 0.001 --device cpu --report card.json
code_is 0
is "files of a report" "card.json card.json.txt" "$(ls card.json* | tr '\n' ' ' | sed 's/ $//')"
is "what a report has" True "$(python3 - <<'P'
import json
d = json.load(open("card.json"))
names = [r["name"].split(" ", 1)[1] + " " + r["dtype"] for r in d["rows"]]
print(d["tessera_report"] == 1 and d["error"] is None and d["version"] != "" and d["model"] == "mosaic-64.safetensors"
      and d["devices"][0]["device"] == "cpu" and isinstance(d["clocks"], list)
      and names[:2] == ["decode 3 f32", "decode 1 f32"])
P
)"
is "its text" 1 "$(grep -c 'decode 3 .* tessera *cpu ' card.json.txt | sed 's/[1-9][0-9]*/1/')"
fails 2 "--batch 0: wanted numbers from 1 to 4096 with commas between" bench --batch 0
fails 2 "--batch 1,,2: wanted numbers from 1 to 4096 with commas between" bench --batch 1,,2
fails 2 "--batch 1,x: wanted numbers from 1 to 4096 with commas between" bench --batch 1,x
fails 3 "no/such/folder" bench --filter softmax --device cpu --report no/such/folder/r.json
# batch beside its parts alone; nothing of it stays behind
mkdir place
TMPDIR=$here/place run bench --filter batch --seconds 0.001 --device cpu --json
code_is 0
is "rows of batch" "batch: read, decode, fit|batch: the model|batch" "$(json '"|".join(r["name"] for r in d["rows"])')"
is "a picture's time" True "$(json 'all(0 < r["min_ms"] <= r["median_ms"] for r in d["rows"])')"
is "files that stay" "" "$(ls place)"
fails 3 'no-such-model' bench -t no-such-model --device cpu
run bench --filter softmax --device nonsense
code_is 5
err_has 'nonsense'
finish
