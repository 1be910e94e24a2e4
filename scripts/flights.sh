#!/bin/bash
# SPDX-License-Identifier: MIT
# Ids depend neither on the batch nor on how many programs are on their way: token files of every family of
# tokenizers, byte by byte, in batches of 1, 7, 16 and COUNT, with one and with two programs in flight.
#   flights.sh [FAMILY...]       default: every family of the table below
#   COUNT=100            pictures of one tile each
#   DEVICES="cpu vulkan:0"       those that are not there are left out
#   BUILD=build/release  KEEP=FOLDER for weights and pictures, which are not made again (default: a temporary one)
# Models are golden cases of the tree, whose weights make_weights makes. A line for each family and device; under
# -v's words how long the device waited for the host with one and with two in flight. Exits 1 where a file differs.
set -uo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${BUILD:-build/release}") count=${COUNT:-100} work=${KEEP:-$(mktemp -d)}
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
export TESSERA_PIPELINE_CACHE=$work/pipelines
tessera=$build/tessera

# family, case or `bundled`, side of a picture, arguments
table='mosaic bundled 64
flextok flextok/tiny-a 128
maskgit maskgit-vqgan/narrow-1d 16 --tile 16x16
taming taming-vqgan/taming-narrow 16 --tile 16x16
llamagen taming-vqgan/llamagen-narrow 16 --tile 16x16
titok titok/ss32-vq8k-crop64 64
karl karl/vqgan-tiny 256
vae flextok/vae-c16 16 --tile 16x16 --latents f32
patch-vq patch-vq/two-stages 32 --tile 32x32
cosmos cosmos/di16-tiny 32 --tile 32x32
cosmos-clips cosmos/dv8x16x16-tiny 32 --tile 32x32x9
emu3 emu3/tiny 32 --tile 32x32
emu3-clips emu3/tiny 32 --tile 32x32x6'

# pictures SIDE: COUNT of them, or for clips a video of three frames a picture
pictures() {
    local folder=$work/$1-$count i
    [ ! -d "$folder" ] || return 0
    mkdir "$folder.part"
    for ((i = 0; i < count; ++i)); do
        { printf 'P6\n%d %d\n255\n' "$1" "$1" && head -c $((3 * $1 * $1)) /dev/urandom; } \
            >"$folder.part/$(printf '%04d' $i).ppm"
    done
    mv "$folder.part" "$folder"
}
video() {
    local file=$work/$1-$count.y4m i
    [ ! -s "$file" ] || return 0
    {
        printf 'YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C444\n' "$1" "$1"
        for ((i = 0; i < 3 * count + 1; ++i)); do
            printf 'FRAME\n' && head -c $((3 * $1 * $1)) /dev/urandom
        done
    } >"$file"
}

failed=0
while read -r family case side arguments; do
    [ $# = 0 ] || [[ " $* " == *" $family "* ]] || continue
    model=() input=$work/$side-$count
    if [ "$case" = patch-vq/two-stages ]; then
        model=(-t "tests/golden/$case/codes.safetensors")
    elif [ "$case" != bundled ]; then
        model=(-t "$work/${case//\//-}.safetensors")
        [ -s "${model[1]}" ] || "$build/make_weights" "tests/golden/$case/manifest.json" "${model[1]}" >/dev/null || exit 2
    fi
    if [[ $family == *-clips ]]; then
        input=$input.y4m
        video "$side"
    else
        pictures "$side"
    fi
    for device in ${DEVICES:-cpu vulkan:0}; do
        grep -q "\"$device\"" <("$tessera" devices --json) || { echo "$family on $device: skipped: no such device" && continue; }
        first='' differ='' waited='' files=0
        for flights in one two; do
            for batch in 1 7 16 "$count"; do
                file=$work/$family-$flights-$batch.tess mask=()
                [ $flights = two ] || mask=(--mask in_flight)
                # shellcheck disable=SC2086 # words of the table
                if ! "$tessera" encode "$input" "${model[@]}" -o "$file" -f -v --device "$device" --batch "$batch" \
                    ${mask[@]+"${mask[@]}"} $arguments 2>"$work/err"; then
                    cat "$work/err"
                    differ="$differ $flights/$batch: failed"
                    continue
                fi
                [ "$batch" != 7 ] || waited="$waited $flights:$(grep -o 'waited [^,;]*for the host' "$work/err" | tail -1)"
                [ -n "$first" ] || first=$file
                cmp -s "$first" "$file" || differ="$differ $flights/$batch"
                files=$((files + 1))
            done
        done
        if [ -z "$differ" ]; then
            echo "$family on $device: $files files of $(stat -c %s "$first") bytes, all equal;$waited"
        else
            echo "$family on $device: DIFFERENT:$differ"
            failed=1
        fi
        rm -f "$work/$family"-*.tess
    done
done <<<"$table"
exit $failed
