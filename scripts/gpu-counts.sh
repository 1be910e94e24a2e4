#!/bin/bash
# SPDX-License-Identifier: MIT
# Dispatches, barriers, submissions and activation bytes of encoding one picture of 256 x 256, as a
# Vulkan device records them; what is recorded is not carried out (tests/evidence/record_only.c), so
# any Vulkan device serves, also a software one. Adds lines to docs/gpu/counts.tsv and writes
# docs/gpu/COUNTS.md from all of them (and ESTIMATE.md, which follows).
#   gpu-counts.sh LABEL CASE-FOLDER...     LABEL names the state that is counted ("before"); lines of
#                                          that label and model are replaced. A case is a golden case
#                                          of published size, whose weights are made by its rule
#   gpu-counts.sh                          writes the documents again
# Environment: BUILD=build/release; PRECISION=f32 or fast; MASK=what --mask takes; DEVICE=vulkan:0;
# FOLDER, a Debian made by coopmat.sh: runs there, with its newer software driver; OUT=docs/gpu
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian-folder.sh
build=${BUILD:-build/release}
out=${OUT:-docs/gpu}
options=("${DEVICE:-vulkan:0}" "${PRECISION:-f32}" ${MASK:+"$MASK"})
mkdir -p "$out"
touch "$out/counts.tsv"
documents() {
    python3 scripts/gpu-counts.py "$out"
    [ ! -e "$out/bounds.json" ] || python3 scripts/gpu-estimate.py --bounds "$out/bounds.json" \
        --counts "$out/counts.tsv" --out "$out/ESTIMATE.md"
}
if [ $# -eq 0 ]; then
    documents
    exit
fi
label=$1
shift
for program in record_only make_weights; do
    [ -x "$build/$program" ] || { echo "gpu-counts: build $program first" >&2; exit 1; }
done
for case in "$@"; do
    [ -e "$case/manifest.json" ] || { echo "skipped: no $case/manifest.json"; exit 77; }
done

if [ -n "${FOLDER:-}" ]; then
    work=$(mktemp -d "$FOLDER/srv/counts.XXXXXX")
    there=/srv/${work##*/}
    cp "$build/record_only" "$work/"
    while read -r lib; do # libraries that the newer Debian lacks
        [ -e "$FOLDER/usr/lib/x86_64-linux-gnu/${lib##*/}" ] || cp -L "$lib" "$work/"
    done < <(ldd "$build/record_only" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p')
    record=(debian_inside "$FOLDER" LD_LIBRARY_PATH="$there" "$there/record_only")
else
    work=$(mktemp -d)
    there=$work
    record=("$build/record_only")
fi
trap 'rm -rf "$work"' EXIT
for case in "$@"; do
    model=$(basename "$(dirname "$case")")/$(basename "$case")
    "$build/make_weights" "$case/manifest.json" "$work/model.safetensors"
    # Tokens without meaning may be refused in the end: the recordings are there by then.
    "${record[@]}" "$there/model.safetensors" "${options[@]}" 2>"$work/said" || tail -1 "$work/said"
    python3 scripts/gpu-counts.py "$out" "$label" "$model" "$(git describe --always)$(git diff --quiet HEAD -- . ":!docs" || echo -dirty)" "$work/said" \
        "${options[@]:1}"
    rm "$work/model.safetensors"
done
documents
