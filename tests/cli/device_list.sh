#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera devices: cpu is always there, exactly one device is chosen, and never a software one.
. "$(dirname "$0")/../support/cli.bash"

run devices
code_is 0
out_has '^cpu  '
out_has '^  state     (chosen|usable)'
out_has '^  formats   fp16 (yes|no), bf16 (yes|no), int8 (yes|no), cooperative matrix (yes|no)$'
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
fails 2 "'extra' is one argument too many; wanted none" devices extra
finish
