#!/bin/bash
# SPDX-License-Identifier: MIT
# A device that is lost in the middle of a job: the program says which and what to do, and ends; a
# batch keeps what it had finished, and goes on from there to the same bytes.
. "$(dirname "$0")/../support/cli.bash"

"$TESSERA" devices --json | grep -q '"vulkan:0"' || skip "no Vulkan device"
[ -e "$BUILD/vulkan_layer/fake_device_layer.json" ] || skip "the layer is not built (vulkan/vk_layer.h)"
"$BUILD/make_weights" "$SOURCE/tests/golden/titok/ss32-vq8k-crop64/manifest.json" titok.safetensors ||
    complain make_weights
mkdir in
for i in 1 2 3 4 5 6; do picture in/p$i.ppm 64 64 "$i"; done
export VK_ADD_LAYER_PATH=$BUILD/vulkan_layer
layered() { VK_INSTANCE_LAYERS=VK_LAYER_TESSERA_fake_device "$@"; }

device='device vulkan:0 \(.+\): its driver reported it as lost in (submit|wait); open it again'
for what in FAKE_LOST_SUBMIT=1 FAKE_LOST_WAIT=1 FAKE_LOST_WAIT=3; do
    last="encode with $what"
    layered env "$what" "$TESSERA" encode in/p1.ppm -o lost.tess -t titok.safetensors --device vulkan:0 >out 2>err
    code=$?
    code_is 5
    err_has "^tessera encode: device was lost: $device: run the command again, or with --device cpu\$"
    absent lost.tess
done
layered env FAKE_LOST_WAIT=1 "$TESSERA" encode in/p1.ppm -o lost.tess -t titok.safetensors --device vulkan:0 --json >out 2>err
code=$? last="encode --json, lost"
code_is 5
json_ok
is "the status" TSR_ERROR_DEVICE_LOST "$(json 'd["error"]["name"]')"

# a batch: two pictures a shard
job=(batch in -t titok.safetensors --shard-size 2 --device vulkan:0 -q)
run "${job[@]}" -o whole
code_is 0
# the layer alone changes nothing
layered "$TESSERA" "${job[@]}" -o counted 2>err
for f in whole/*.tess; do cmp -s "$f" "counted/${f#whole/}" || complain "the layer changes $f"; done
lost=0 kept=0
for n in 1 2 3 4 5 6 7 8; do
    before=$(ls broken/*.tess 2>/dev/null | wc -l)
    layered env FAKE_LOST_WAIT=$n "$TESSERA" "${job[@]}" -o broken >out 2>err
    code=$? last="batch, lost at wait $n"
    [ $code != 0 ] || break
    lost=$((lost + 1))
    code_is 5
    err_has "$device"
    after=$(ls broken/*.tess 2>/dev/null | wc -l)
    [ "$after" -ge "$before" ] || complain "$last: $before shards became $after"
    [ "$after" -le "$before" ] || kept=1
    for f in broken/*.tess; do
        [ ! -e "$f" ] || cmp -s "$f" "whole/${f#broken/}" || complain "$last: $f is not that of the whole job"
    done
done
[ $lost -ge 3 ] || complain "wanted 3 losses or more, got $lost"
[ $kept = 1 ] || complain "no lost job left a shard"
run "${job[@]}" -o broken
code_is 0
is "files" "$(ls whole)" "$(ls broken)"
for f in whole/*.tess; do
    checks=$((checks + 1))
    cmp -s "$f" "broken/${f#whole/}" || complain "broken/${f#whole/} differs from $f"
done

# other commands come to an end, too
for what in FAKE_LOST_SUBMIT=1 FAKE_LOST_WAIT=1; do
    layered env "$what" "$TESSERA" decode whole/000000.tess -o pictures -t titok.safetensors --device vulkan:0 >out 2>err
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
