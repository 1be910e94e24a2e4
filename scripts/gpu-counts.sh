#!/bin/bash
# SPDX-License-Identifier: MIT
# Dispatches, barriers, submissions and activation bytes of encoding one picture of 256 x 256, as a
# Vulkan device records them; a model is stopped once its last recording is made.
# Any Vulkan device serves, also a software one. Adds lines to docs/gpu/counts.tsv and writes
# docs/gpu/COUNTS.md from all of them.
#   gpu-counts.sh LABEL CASE-FOLDER[=N]... LABEL names the state that is counted ("before"); lines of
#                                          that label and model are replaced. A case is a golden case
#                                          of published size, whose weights are made by its rule;
#                                          N: recordings of its encoder, which come one after the
#                                          other; default 1
#   gpu-counts.sh                          writes the documents again
# Environment: BUILD=build/release; OPTIONS of tessera encode ("--precision fast --mask ...");
# FOLDER, a Debian made by coopmat.sh: runs there, with its newer software driver; OUT=docs/gpu
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian-folder.sh
build=${BUILD:-build/release}
out=${OUT:-docs/gpu}
read -ra options <<<"${OPTIONS:-}"
mkdir -p "$out"
touch "$out/counts.tsv"
if [ $# -eq 0 ]; then
    exec python3 scripts/gpu-counts.py "$out"
fi
label=$1
shift
for program in tessera make_weights; do
    [ -x "$build/$program" ] || { echo "gpu-counts: build $program first" >&2; exit 1; }
done
for case in "${@%=*}"; do
    [ -e "$case/manifest.json" ] || { echo "skipped: no $case/manifest.json"; exit 77; }
done

if [ -n "${FOLDER:-}" ]; then
    work=$(mktemp -d "$FOLDER/srv/counts.XXXXXX")
    there=/srv/${work##*/}
    cp "$build/tessera" "$work/"
    while read -r lib; do # libraries that the newer Debian lacks
        [ -e "$FOLDER/usr/lib/x86_64-linux-gnu/${lib##*/}" ] || cp -L "$lib" "$work/"
    done < <(ldd "$build/tessera" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p')
    tessera=(debian_inside "$FOLDER" LD_LIBRARY_PATH="$there" "$there/tessera")
else
    work=$(mktemp -d)
    there=$work
    tessera=("$build/tessera")
fi
trap 'rm -rf "$work"' EXIT
{ printf 'P6\n256 256\n255\n'; head -c 196608 /dev/zero | tr '\0' 'k'; } >"$work/a.ppm"

for each in "$@"; do
    case=${each%=*} count=1
    [ "$case" = "$each" ] || count=${each##*=}
    model=$(basename "$(dirname "$case")")/$(basename "$case")
    "$build/make_weights" "$case/manifest.json" "$work/model.safetensors"
    : >"$work/said"
    "${tessera[@]}" encode "$there/a.ppm" -o "$there/a.tess" -t "$there/model.safetensors" \
        --device "${DEVICE:-vulkan:0}" --batch 1 -vv "${options[@]}" 2>"$work/said" &
    running=$!
    # The last line of a recording; what is recorded is then carried out, which nobody needs.
    while kill -0 $running 2>/dev/null && [ "$(grep -c ' barriers for ' "$work/said")" -lt "$count" ]; do
        sleep 0.2
    done
    # shellcheck disable=SC2046
    kill -KILL $running $(pgrep -P $running || true) 2>/dev/null || true
    wait $running 2>/dev/null || true
    [ "$(grep -c ' barriers for ' "$work/said")" -ge "$count" ] ||
        { cat "$work/said"; echo "gpu-counts: $model: wanted $count recordings" >&2; exit 1; }
    python3 scripts/gpu-counts.py "$out" "$label" "$model" "$(git describe --always --dirty)" "$work/said" \
        "${options[@]}"
    rm "$work/model.safetensors"
done
