#!/bin/bash
# SPDX-License-Identifier: MIT
# Several devices share the pictures of a batch: the shards are those of one device, where the devices
# are of one kind.
. "$(dirname "$0")/../support/cli.bash"

grep -q '"vulkan:0"' <("$TESSERA" devices --json) || skip "no Vulkan device"
mkdir in
for i in $(seq 1 9); do picture in/p$i.ppm 70 50 "$i"; done
run batch in -o one --shard-size 4 -k 16 --device vulkan:0 --json
code_is 0
is "devices" "1 True" "$(json 'd["devices"], d["device"].startswith("vulkan:0")' | tr -d '(),')"
run batch in -o two --shard-size 4 -k 16 --device vulkan:0,vulkan:0 --json
code_is 0
is "devices" "2 2" "$(json 'd["devices"], d["stage_seconds"]["encoders"]' | tr -d '(),')"
for f in one/*.tess; do
    checks=$((checks + 1))
    cmp -s "$f" "two/${f#one/}" || complain "two/${f#one/} differs from $f"
done
fails 2 'device: wanted 1 to 16 names with commas between' batch in -o three --device vulkan:0,,cpu
fails 2 'noise: wanted one device' batch in -o three --device cpu,cpu --noise n.npy
fails 5 'three|vulkan:9' batch in -o three --device vulkan:0,vulkan:9
absent three
finish
