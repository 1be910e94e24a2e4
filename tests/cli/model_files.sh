#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera model: list, and list-tensors on files that the library had no hand in.
. "$(dirname "$0")/../support/cli.bash"

# weights FILE [HEADER]: a safetensors file of two tensors, or of this header and 24 bytes
weights() {
    python3 - "$@" <<'PY'
import json, struct, sys
header = sys.argv[2].encode() if len(sys.argv) > 2 else json.dumps({
    "__metadata__": {"licence": "none \x1b[31m", "config": "{'k': 1}"},
    "b.bias": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
    "a.weight": {"dtype": "F32", "shape": [2, 1, 2], "data_offsets": [8, 24]}}).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(header)) + header + bytes(range(24)))
PY
}

run model list
code_is 0
err_empty
out_has '^mosaic \(family 1\)$'
run model list --json
code_is 0
json_ok
is "first family" "mosaic 1" "$(json '"%s %d" % (d["families"][0]["name"], d["families"][0]["id"])')"
is "each family says what it needs" "True" "$(json 'all(f["about"] and f["needs"] for f in d["families"])')"

weights two.safetensors
run model list-tensors two.safetensors
code_is 0
err_empty
out_is 'BF16  [2, 2]               8  b.bias
F32   [2, 1, 2]           16  a.weight
total: 2 tensors, 8 values, 24 bytes (24 bytes)'
run model list-tensors two.safetensors --json
code_is 0
json_ok
is "tensors" "[['b.bias', 'BF16', [2, 2], 4, 8], ['a.weight', 'F32', [2, 1, 2], 4, 16]]" \
    "$(json '[[t[k] for k in ("name", "dtype", "shape", "elements", "bytes")] for t in d["tensors"]]')"
is "totals" "2 8 24 safetensors" "$(json '" ".join(str(d[k]) for k in ("tensor_count", "elements", "bytes", "format"))')"
is "file_bytes" "$(stat -c %s two.safetensors)" "$(json 'd["file_bytes"]')"
is "metadata" "{'k': 1}" "$(json 'd["metadata"]["config"]')"

# From a pipe, and names that would drive a terminal.
"$TESSERA" model list-tensors - <two.safetensors >out 2>err
code=$? last="tessera model list-tensors -"
code_is 0
weights hostile.safetensors '{"a\u001b[31m":{"dtype":"U8","shape":[24],"data_offsets":[0,24]}}'
run model list-tensors hostile.safetensors
code_is 0
out_has '  a\?\[31m$'

fails 3 '^tessera model list-tensors: .*none.safetensors' model list-tensors none.safetensors
head -c 40 two.safetensors >cut.safetensors
fails 4 '^tessera model list-tensors: data end too early: cut.safetensors: header: wanted [0-9]+ bytes, got 32$' \
    model list-tensors cut.safetensors
weights lap.safetensors '{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[16],"data_offsets":[8,24]}}'
fails 4 'lap.safetensors: tensor b: data_offsets: wanted a start at 16, got 8 \(an overlap\)$' model list-tensors lap.safetensors
weights huge.safetensors '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}}'
fails 4 'huge.safetensors: tensor a: shape: its bytes overflow$' model list-tensors huge.safetensors
fails 2 "^tessera model: wanted .*, got 'lst'; did you mean 'list'\?" model lst
fails 2 "^tessera model: wanted .*, got nothing" model
fails 2 "FILE is missing" model list-tensors
finish
