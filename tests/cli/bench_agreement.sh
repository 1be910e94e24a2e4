#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera bench --agreement: the lines and the JSON, a device without fast precision, what is refused;
# and that encode says where agreement is measured.
. "$(dirname "$0")/../support/cli.bash"

printf 'P6\n20 20\n255\n' >a.ppm
head -c 1200 /dev/urandom >>a.ppm
run bench --agreement --device cpu --mask bf16,onednn -q # the same on every processor
code_is 0
err_empty
out_has '^mosaic-[0-9]+ on cpu$'
out_has '^f32             products in f32$'
out_has '^fast            .*; this encoder has no such product$'
out_has '^sample          4 pictures painted in memory, 4 tiles$'
out_has '^equal ids       1024 of 1024, 100.00 %; of a tile at least 100.00 %, median 100.00 %$'
run bench --agreement a.ppm a.ppm --device cpu --mask bf16,bf16_weights
code_is 0
out_has '^fast            this device has none: f32$'
out_has '^sample          2 pictures, 2 tiles$'
run bench --agreement a.ppm --device cpu --mask bf16,bf16_weights --json
code_is 0
json_ok
is "keys" "agreement equal forms ids near_ties pictures tessera tile_median tile_min tiles tokenizer verb" "$(json '" ".join(sorted(d))')"
is "forms" "cpu_seconds device form path seconds used: f32 cpu None False, fast cpu None False" "$(json '" ".join(sorted(d["forms"][0])) + ": " + ", ".join("%s %s %s %s" % (f["form"], f["device"], f["path"], f["used"]) for f in d["forms"])')"
is "shares" "1 1 1 True" "$(json 'str(d["agreement"]) + " " + str(d["tile_min"]) + " " + str(d["tile_median"]) + " " + str(d["ids"] == d["equal"] == 256)')"
run bench --agreement a.ppm --device cpu --forms pairs,cpu --mask bf16,onednn --json
code_is 0
json_ok
is "other forms" "pairs cpu None, cpu cpu None: 256 of 256" "$(json '", ".join("%s %s %s" % (f["form"], f["device"], f["path"]) for f in d["forms"]) + ": %d of %d" % (d["equal"], d["ids"])')"
for wrong in f32 f32, ,fast f32,fast,cpu f32,bf16; do
    fails 2 "--forms $wrong: wanted two of f32, fast, pairs and cpu with a comma between" bench --agreement --forms "$wrong"
done
fails 2 "--forms f32,cpu: wanted --agreement with it" bench --forms f32,cpu
fails 2 "'a.ppm' is one argument too many; wanted none without --agreement" bench a.ppm
fails 2 'exclude each other' bench --agreement --filter x
fails 2 'exclude each other' bench --agreement --seconds 1
fails 3 'nothere.png' bench --agreement nothere.png --device cpu
fails 3 'nothere.safetensors' bench --agreement -t nothere.safetensors --device cpu

run encode a.ppm -o a.tess --device cpu --precision fast
code_is 0
grep -q "'tessera bench --agreement' measures" err || complain "encode does not say where agreement is measured"
run encode a.ppm -f -o a.tess --device cpu
grep -q "agreement" err && complain "encode in f32 speaks of agreement"
run encode a.ppm -f -o a.tess --device cpu --precision fast -q
err_empty
run encode a.ppm -f -o a.tess --device cpu --precision fast --mask bf16,bf16_weights -v
grep -q 'precision fast: no bf16 products of this processor are in use; computing in f32$' err || complain "-v does not say that fast is f32: $(cat err)"
finish
