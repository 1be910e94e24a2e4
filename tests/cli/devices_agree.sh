#!/bin/bash
# SPDX-License-Identifier: MIT
# The same picture on cpu and on the first Vulkan device: ids are equal except counted near ties, and
# the pictures that come back are equal to the eye of any metric.
. "$(dirname "$0")/../support/cli.bash"

grep -q '"vulkan:0"' <("$TESSERA" devices --json) || skip "no Vulkan device"
picture p.ppm 300 200 1
for device in cpu vulkan:0; do
    run encode p.ppm -o "${device%:0}.tess" --device $device --json
    code_is 0
    json_ok
    ties=$(json 'd["near_ties"]')
    is "device $device" True "$(json "d['device'].startswith('$device')")"
done
# what is said is what happened: no stage of these is the host's
is "stages" "{'encode': 'vulkan:0', 'quantize': 'vulkan:0'}" "$(json 'd["stages"]')"
"$TESSERA" info --ids cpu.tess | tr ' ' '\n' >a.ids
"$TESSERA" info --ids vulkan.tess | tr ' ' '\n' >b.ids
is "number of ids" "$(wc -l <a.ids)" "$(wc -l <b.ids)"
different=$(paste a.ids b.ids | awk '$1 != $2' | wc -l)
echo "$different of $(wc -l <a.ids) ids differ; $ties near ties"
checks=$((checks + 1))
[ "$different" -le "$ties" ] || complain "$different ids differ, wanted at most the $ties near ties"
run decode cpu.tess -o a.png --device cpu -q
code_is 0
run decode cpu.tess -o b.png --device vulkan:0 -q
code_is 0
run eval a.png b.png --json
is "at least 50 dB between the devices" True "$(json 'float(d["candidates"][0]["summary"]["psnr"]["mean"]) > 50')"
run decode cpu.tess -o b.png -f --device vulkan:0 --json
is "stages of decode" "{'decode': 'vulkan:0'}" "$(json 'd["stages"]')"

# a codebook of patches as a tokenizer
run codebook train p.ppm -p 4 -k 16 -o c.safetensors -q
for device in cpu vulkan:0; do
    run encode p.ppm -t c.safetensors --tile 300x200 -o "c-${device%:0}.tess" --device $device --json
    code_is 0
    run decode c-cpu.tess -t c.safetensors -o "c-${device%:0}.png" --device $device -q
    code_is 0
done
run encode p.ppm -t c.safetensors --tile 300x200 -o c-vulkan.tess -f --device vulkan:0 --json
ties=$(json 'd["near_ties"]')
different=$(paste <("$TESSERA" info --ids c-cpu.tess | tr ' ' '\n') \
    <("$TESSERA" info --ids c-vulkan.tess | tr ' ' '\n') | awk '$1 != $2' | wc -l)
checks=$((checks + 1))
[ "$different" -le "$ties" ] || complain "$different ids of patches differ, wanted at most the $ties near ties"
cmp -s c-cpu.png c-vulkan.png || complain "patches laid back give other pictures on vulkan:0"
finish
