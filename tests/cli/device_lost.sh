#!/bin/bash
# SPDX-License-Identifier: MIT
# A device that is lost in the middle of a job: the program says which and what to do, and ends; a
# batch keeps what it had finished, and goes on from there to the same bytes.
. "$(dirname "$0")/../support/cli.bash"

grep -q '"vulkan:0"' <("$TESSERA" devices --json) || skip "no Vulkan device"
[ -e "$BUILD/vulkan_layer/fake_device_layer.json" ] || skip "the layer is not built (vulkan/vk_layer.h)"
weights=$SOURCE/tests/golden/patch-vq/two-stages/codes.safetensors
mkdir in
# more pixels than are encoded together, so that shards are finished before the job is
for i in $(seq 10 33); do picture in/p$i.ppm 512 512 "$i"; done
export VK_ADD_LAYER_PATH=$BUILD/vulkan_layer
layered() { VK_INSTANCE_LAYERS=VK_LAYER_TESSERA_fake_device "$@"; }

device='device vulkan:0 \(.+\): its driver reported it as lost in (submit|wait); open it again'
for what in FAKE_LOST_SUBMIT=1 FAKE_LOST_WAIT=1 FAKE_LOST_WAIT=3; do
    last="encode with $what"
    layered env "$what" "$TESSERA" encode in/p10.ppm -o lost.tess -t "$weights" --device vulkan:0 >out 2>err
    code=$?
    code_is 5
    err_has "^tessera encode: device was lost: $device: run the command again, or with --device cpu\$"
    absent lost.tess
done
layered env FAKE_LOST_WAIT=1 "$TESSERA" encode in/p10.ppm -o lost.tess -t "$weights" --device vulkan:0 --json >out 2>err
code=$? last="encode --json, lost"
code_is 5
json_ok
is "the status" TSR_ERROR_DEVICE_LOST "$(json 'd["error"]["name"]')"

# a batch, lost later and later until it comes to its end
job=(batch in -t "$weights" --shard-size 4 --batch 1 --device vulkan:0 -q)
run "${job[@]}" -o whole
code_is 0
lost=0 kept=0 n=10 code=5
while [ $n -lt 2000 ]; do
    before=$(find broken -name '*.tess' 2>/dev/null | wc -l)
    layered env FAKE_LOST_WAIT=$n "$TESSERA" "${job[@]}" -o broken >out 2>err
    code=$? last="batch, lost at wait $n"
    [ $code != 0 ] || break
    lost=$((lost + 1))
    code_is 5
    err_has "$device"
    after=$(find broken -name '*.tess' | wc -l)
    [ "$after" -ge "$before" ] || complain "$last: $before shards became $after"
    [ "$after" -le "$before" ] || kept=1
    n=$((n * 14 / 10))
done
code_is 0
[ $lost -ge 3 ] || complain "wanted 3 losses or more, got $lost"
[ $kept = 1 ] || complain "no lost job left a shard"
is "files" "$(ls whole)" "$(ls broken)"
for f in whole/*.tess; do
    checks=$((checks + 1))
    cmp -s "$f" "broken/${f#whole/}" || complain "broken/${f#whole/} differs from $f"
done

# other commands come to an end, too
for what in FAKE_LOST_SUBMIT=1 FAKE_LOST_WAIT=1; do
    layered env "$what" "$TESSERA" decode whole/000000.tess -o pictures -t "$weights" --device vulkan:0 >out 2>err
    code=$? last="decode with $what"
    code_is 5
    grep -qE "$device" err || complain "$last: $(cat err)"
done

# a made-up card, as the program lists it
layered env FAKE_HEAPS=local:8G,host:16G FAKE_BUDGET=7G:1G,15G FAKE_VENDOR=0x8086 FAKE_DEVICE=0x56A0 \
    FAKE_SUBGROUP=32:8:32 FAKE_MATRICES=8x16x16 "$TESSERA" devices -v >out 2>err
code=$? last="devices -v of a made-up card"
code_is 0
out_has '^  memory    8 GiB, free now 6 GiB$'
out_has '^  choices   subgroup bodies used with 32 threads; matrix units not used: .*Arc of the first generation$'
finish
