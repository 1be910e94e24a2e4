#!/bin/bash
# SPDX-License-Identifier: MIT
# Two devices of different drivers share a batch: lavapipe (subgroups of 8) and SwiftShader (of 4). The
# tokens are those of lavapipe alone, but for near ties, which the report counts.
. "$(dirname "$0")/../support/cli.bash"

lavapipe=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -1)
[ -n "$lavapipe" ] || skip "no lavapipe"
swiftshader=
for each in "${SWIFTSHADER_ICD:-}" "$SOURCE/build/swiftshader/usr/lib/chromium/vk_swiftshader_icd.json" \
    /usr/lib/chromium/vk_swiftshader_icd.json; do
    if [ -z "$swiftshader" ] && [ -f "$each" ]; then swiftshader=$each; fi
done
[ -n "$swiftshader" ] || skip "no SwiftShader: scripts/swiftshader.sh unpacks it, or SWIFTSHADER_ICD names its .json"
export VK_DRIVER_FILES=$swiftshader:$lavapipe VK_ICD_FILENAMES=$swiftshader:$lavapipe

run devices --json
code_is 0
devices=$(json '",".join(sorted(x["device"] for x in d["devices"] if x["driver"].startswith(("SwiftShader", "llvmpipe"))))')
one=$(json '[x["device"] for x in d["devices"] if x["driver"].startswith("llvmpipe")][0]')
if [ "$devices" != vulkan:0,vulkan:1 ]; then skip "the loader shows no two such devices: $devices"; fi

# more pictures than fit into one group of the pipeline (64): the other device takes the second
mkdir in
for i in $(seq 1 70); do picture in/p$i.ppm 31 23 "$i"; done
for d in "$one" vulkan:0,vulkan:1; do
    run batch in -o "on-$d" --shard-size 40 -k 16 --device $d --json
    code_is 0
    cp out "$d.json"
done
is "two devices at work" "2 70 True" "$(json 'd["stage_seconds"]["encoders"], sum(d["stage_seconds"]["encoded"]), min(d["stage_seconds"]["encoded"]) > 0' |
    tr -d '(),')"

# differing ids, and the near ties that the two runs counted
for d in "$one" vulkan:0,vulkan:1; do
    for f in "on-$d"/*.tess; do "$TESSERA" info "$f" --ids --json; done >"$d.ids"
done
is "ids" "equal but for near ties" "$(python3 - "$one" <<'PY'
import json, sys
def items(device):
    text, decoder, found = open(device + ".ids").read(), json.JSONDecoder(), []
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        text = text.lstrip()[end:]
        found += document["items"]
    return found
def differing(a, b):
    assert [i["key"] for i in a] == [i["key"] for i in b] and len(a) == 70
    return sum(x != y for i, j in zip(a, b) for x, y in zip(i["ids"], j["ids"]))
names = [sys.argv[1], "vulkan:0,vulkan:1"]
ties = sum(json.load(open(name + ".json"))["near_ties"] for name in names)
differ = differing(*map(items, names))
print("equal but for near ties" if differ <= ties else f"{differ} ids differ, {ties} near ties")
PY
)"
finish
