#!/bin/bash
# SPDX-License-Identifier: MIT
# What a build makes, as one line of SHA-256 and name for each file: token files, pictures, sheets and
# JSON of the sample pictures, and every array of golden cases. Two builds that should make the same
# are held beside each other with diff.
#   made-bytes.sh BUILD [CASE-FOLDER...] >before     BUILD: a folder with tessera and make_samples
#   DEVICE=vulkan:0 chooses another device
set -euo pipefail
build=$(cd "${1:?usage: made-bytes.sh BUILD [CASE-FOLDER...]}" && pwd)
shift
cases=()
for case in "$@"; do cases+=("$(cd "$case" && pwd)"); done
device=${DEVICE:-cpu}
tessera() { "$build/tessera" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir samples made
"$build/make_samples" samples >/dev/null
encode() { # NAME [OPTION...]
    local name=$1
    shift
    tessera encode samples/*.png -o "made/$name.tess" --device "$device" -q "$@"
    tessera decode "made/$name.tess" -o "made/$name/" --device "$device" -q
    tessera info "made/$name.tess" --ids >"made/$name.ids"
    tessera info "made/$name.tess" --json >"made/$name.json"
}
encode all
encode tokens -k 16
encode quality --quality 0.05
encode crop --fit crop
encode pad --fit pad --background 336699
encode stretch --fit stretch
encode layers --layers 16
encode target --target psnr=20
encode batch --batch 3
tessera cut -k 32 made/all.tess -o made/cut.tess -q
tessera eval samples made/all --json -q >made/eval.json
tessera sheet samples/*.png -o made/sheet.png -k 16,64,256 --device "$device" -q
for case in "${cases[@]}"; do
    name=${case##*/golden/}
    mkdir -p "made/$(dirname "$name")"
    tessera verify "$case" --device "$device" --write "made/$name" >"made/$name.lines" ||
        echo "made-bytes: $case: an output failed" >&2
done
cd made
find . -type f | LC_ALL=C sort | xargs -d '\n' sha256sum
