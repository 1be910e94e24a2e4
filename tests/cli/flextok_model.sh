#!/bin/bash
# SPDX-License-Identifier: MIT
# Models whose families name their tensors, with weights of the golden rule: checking the file, and how
# guidance gets from the command line or a token file into decoding.
. "$(dirname "$0")/../support/cli.bash"

"$BUILD/make_weights" "$SOURCE/tests/golden/flextok/tiny-a/manifest.json" tiny.safetensors || complain "make_weights"
run model check tiny.safetensors
code_is 0
out_has '^tiny.safetensors: family flextok: all 311 tensors are there$'
# how guidance works: a hint of the file, and what decoding says otherwise
picture t.ppm 96 80
run encode t.ppm -o plain.tess -t tiny.safetensors --steps 2 --guidance 6 --guidance-mode cfg --device cpu
code_is 0
run info plain.tess
out_has '^decoding    2 steps, guidance 6 .cfg., seed 0$'
run info plain.tess --json
is "mode" "cfg" "$(json 'd["decoding"]["guidance_mode"]')"
run encode t.ppm -o usual.tess -t tiny.safetensors --steps 2 --guidance 6 --device cpu
run info usual.tess
out_has '^decoding    2 steps, guidance 6 .apg., seed 0$'
for name in plain usual; do
    for mode in auto apg cfg; do
        run decode $name.tess -o $name-$mode.png -t tiny.safetensors --guidance-mode $mode --device cpu
        code_is 0
    done
done
# which stages the host computes is said, also where the device is the cpu
run decode plain.tess -o plain-auto.png -f -t tiny.safetensors --device cpu --json
code_is 0
is "stages of decode" "{'decode': 'cpu', 'condition': 'cpu', 'sample': 'cpu'}" "$(json 'd["stages"]')"
cmp -s plain-auto.png plain-cfg.png || complain "the file's cfg is not used"
cmp -s usual-auto.png usual-apg.png || complain "apg is not the default"
cmp -s plain-apg.png usual-apg.png || complain "decoding does not choose apg"
cmp -s plain-cfg.png plain-apg.png && complain "cfg and apg are the same"
python3 - <<'PY'
import json, struct
b = open("tiny.safetensors", "rb").read()
n = struct.unpack("<Q", b[:8])[0]
h = json.loads(b[8:8 + n])
h["stranger.weight"] = h.pop("decoder.module_dict.dec_noise_patch_emb.patch_proj.weight")
t = h["decoder.module_dict.dec_from_latents.proj.weight"]
t["shape"].reverse()
j = json.dumps(h).encode()
open("bad.safetensors", "wb").write(struct.pack("<Q", len(j)) + j + b[8 + n:])
PY
run model check bad.safetensors
code_is 1
out_is 'shape    decoder.module_dict.dec_from_latents.proj.weight: wanted [192, 6] of F32, F16 or BF16, got [6, 192] of F32
missing  decoder.module_dict.dec_noise_patch_emb.patch_proj.weight: wanted [192, 16], got none
extra    stranger.weight: wanted none of this name, got [192, 16]
bad.safetensors: family flextok: 1 missing, 1 of another shape, 1 extra, 0 with values that are not finite, 0 other; it makes no model'
run model check bad.safetensors --json
code_is 1
json_ok
is "problems" "shape missing extra" "$(json '" ".join(p["problem"] for p in d["problems"])')"
# Families that look at shapes while they name tensors.
for grid in taming-vqgan/taming-narrow maskgit-vqgan/narrow-1d; do
    "$BUILD/make_weights" "$SOURCE/tests/golden/$grid/manifest.json" grid.safetensors || complain "make_weights"
    run model check grid.safetensors
    code_is 0
    out_has '^grid.safetensors: family (taming|maskgit)-vqgan: all [0-9]+ tensors are there$'
done
finish
