#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera devices: cpu is always there, exactly one device is chosen, and never a software one.
. "$(dirname "$0")/../support/cli.bash"

run devices
code_is 0
out_has '^cpu  '
out_has '^  state     (used by default|can be used): '
out_has '^  numbers   16-bit floats (yes|no), bfloat16 (yes|no), 8-bit integers (yes|no), matrix units (yes|no)$'
said=$(cat out)
grep -qiE 'subgroup|push|fp16|cooperative|refused' out && complain "insider words: $(grep -iE 'subgroup|push|fp16|cooperative|refused' out)"
run devices -v
code_is 0
[ "$(grep -c . out)" -ge "$(grep -c . <<<"$said")" ] || complain "-v says less"
run devices --json
code_is 0
json_ok
is "keys" "devices tessera verb" "$(json '" ".join(sorted(d))')"
is "the first" cpu "$(json 'd["devices"][0]["device"]')"
is "how many are chosen" 1 "$(json 'sum(x["chosen"] for x in d["devices"])')"
is "software devices chosen" 0 "$(json 'sum(x["chosen"] and x["software"] for x in d["devices"])')"
is "refused without a reason" 0 "$(json 'sum(not x["usable"] and not x["reason"] for x in d["devices"])')"
# without any driver the list holds cpu alone and nothing is complained about
VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$TESSERA" devices --json >out 2>err
code=$? last="devices without drivers"
code_is 0
is "devices without drivers" 1 "$(json 'len(d["devices"])')"
is "cpu is chosen" True "$(json 'd["devices"][0]["chosen"]')"
# what is not there, in words
picture p.ppm 8 8
for device in vulkan vulkan:0; do
    VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent "$TESSERA" encode p.ppm -o p.tess --device $device >out 2>err
    code=$? last="encode --device $device without drivers"
    code_is 5
    err_has "device $device: this (machine has no Vulkan|build was made without Vulkan)"
done
fails 2 "'extra' is one argument too many; wanted none" devices extra
finish
