#!/bin/bash
# SPDX-License-Identifier: MIT
# The same picture on cpu and on the first Vulkan device: ids are equal except counted near ties, and
# the pictures that come back are equal to the eye of any metric.
. "$(dirname "$0")/../support/cli.bash"

"$TESSERA" devices --json | grep -q '"vulkan:0"' || skip "no Vulkan device"
picture p.ppm 300 200 1
for device in cpu vulkan:0; do
    run encode p.ppm -o "${device%:0}.tess" --device $device --json
    code_is 0
    json_ok
    ties=$(json 'd["near_ties"]')
    is "device $device" True "$(json "d['device'].startswith('$device')")"
done
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
is "at least 50 dB between the devices" True "$(json '(d["mean"]["psnr"] or 1000) > 50')"
finish
