#!/bin/bash
# SPDX-License-Identifier: MIT
# What a GPU says, in at most fifteen minutes: everything is built before, each step has its own limit,
# and its output is in the result folder as soon as it is written.
#   gpu.sh pack FOLDER [CASE-FOLDER...]   on the machine that builds: the program, the tests of the device
#       and the libraries they need; golden cases of published size, whose weights are made by their rule
#       on the other machine; also as FOLDER.tar.xz
#   FOLDER/gpu.sh run RESULTS                      on the machine with the GPU; nothing is installed
#   DEVICE=vulkan:0 chooses the device, SECONDS_IN_ALL=840 ends the whole
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tests=(op_linear op_conv2d op_attention op_nearest_code op_group_norm op_half_products test_recorder)

pack() { # a build of its own: no oneDNN, of the libraries of pictures JPEG's alone, symbols stripped
    local folder build=$here/../build/gpu file
    folder=$(mkdir -p "$1"/{bin,lib,cases} && cd "$1" && pwd)
    shift
    cmake -S "$here/.." -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTESSERA_TESTS=ON -DTESSERA_ONEDNN=OFF \
        -DTESSERA_FETCH=OFF -DTESSERA_TIFF=OFF -DTESSERA_WEBP=OFF -DTESSERA_GIF=OFF -DTESSERA_JPEG2000=OFF \
        -DTESSERA_AVIF=OFF -DTESSERA_JXL=OFF -DTESSERA_HEIF=OFF -DTESSERA_ARCHIVE=OFF -DTESSERA_VIDEO=OFF -DTESSERA_TESSERACT=OFF >/dev/null
    cmake --build "$build" -j "$(nproc)" --target tessera_cli make_samples make_weights "${tests[@]}" >/dev/null
    cp "$here/gpu.sh" "$folder/"
    (cd "$build" && cp tessera make_samples make_weights "${tests[@]}" "$folder/bin/")
    strip "$folder"/bin/*
    for file in "$folder"/bin/*; do ldd "$file"; done | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
        { grep -vE '/(libc|libm|libdl|libpthread|librt|ld-linux[^/]*)\.so' || true; } | xargs -r cp -L -t "$folder/lib"
    # The loader of Vulkan is opened by name, so ldd does not list it.
    cp -L "$(ldconfig -p | awk '/libvulkan\.so\.1 .*x86-64/ {print $NF; exit}')" "$folder/lib/" ||
        echo "gpu.sh: no Vulkan loader here: the other machine has to have one"
    git -C "$here" rev-parse HEAD >"$folder/commit"
    for file in "$@"; do
        mkdir -p "$folder/cases/$(basename "$(dirname "$file")")" # inputs lie beside the cases
        cp -rL "$file" "$folder/cases/$(basename "$(dirname "$file")")/"
        if [ -d "$(dirname "$file")/inputs" ]; then
            cp -rL "$(dirname "$file")/inputs" "$folder/cases/$(basename "$(dirname "$file")")/"
        fi
    done
    tar -C "$(dirname "$folder")" -cJf "$folder.tar.xz" "$(basename "$folder")" # the model lies in it nine times
    du -sh "$folder" "$folder.tar.xz"
}

began=$SECONDS
all=${SECONDS_IN_ALL:-840}
# step NAME LIMIT COMMAND...: output in NAME.txt; a step that fails or is too long stops nothing else.
step() {
    local name=$1 limit=$2 left=$((all - (SECONDS - began))) from=$SECONDS status=0
    shift 2
    if [ "$left" -lt 5 ]; then
        echo "left out, no time: $name" | tee -a "$out/steps.txt"
        return 0
    fi
    [ "$limit" -lt "$left" ] || limit=$left
    timeout -k 2 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    echo "$((SECONDS - began)) s: $name: exit $status after $((SECONDS - from)) s" | tee -a "$out/steps.txt"
    return 0
}

machine() {
    cat "$here/commit"
    date -u +%FT%TZ
    uname -a
    nproc
    ls /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/nvidia/share/vulkan/icd.d 2>/dev/null || true
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi
        nvidia-smi -q -d CLOCK
    fi
    "$tessera" devices
}

# Ids of 16 pictures on the cpu and the device, for batches of 1, 7 and 16, in f32 and fast; and one
# batch again and again.
ids() { # NAME [OPTION...]
    local name=$1 batch
    shift
    "$tessera" encode "$work"/p/*.png -o "$work/$name.cpu.tess" -q --device cpu "$@"
    "$tessera" info --ids "$work/$name.cpu.tess" >"$work/$name.cpu.ids"
    for batch in 1 7 16; do
        "$tessera" encode "$work"/p/*.png -o "$work/$name.$batch.tess" -q --device "$device" --batch $batch "$@"
        "$tessera" info --ids "$work/$name.$batch.tess" >"$work/$name.$batch.ids"
        echo "$name, batch $batch: lines that differ from the cpu's:" \
            "$(diff "$work/$name.cpu.ids" "$work/$name.$batch.ids" | grep -c '^<')"
        cmp "$work/$name.1.tess" "$work/$name.$batch.tess" && echo "$name, batch $batch: the bytes of batch 1"
    done
    "$tessera" bench --agreement "$work"/p/*.png --device "$device" "$@"
}
again() { # NAME TIMES [OPTION...]
    local name=$1 times=$2 i differ=0
    shift 2
    for ((i = 0; i < times; i++)); do
        "$tessera" encode "$work"/p/p0[0-3]*.png -o "$work/again.$i.tess" -q --device "$device" "$@"
        cmp -s "$work/again.0.tess" "$work/again.$i.tess" || differ=$((differ + 1))
        [ $i = 0 ] || rm "$work/again.$i.tess"
    done
    echo "$name: $differ of $times repetitions differ"
}
whole_command() { # NAME [OPTION...]
    local name=$1 from watch=
    shift
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi dmon -s u -d 1 &
        watch=$!
    fi
    from=$(date +%s%N)
    "$tessera" encode "$work"/p/*.png "$work"/p/*.png "$work"/p/*.png "$work"/p/*.png -o "$work/$name.all.tess" \
        --device "$device" "$@" || true
    echo "$name: 64 pictures in $((($(date +%s%N) - from) / 1000000)) ms"
    [ -z "$watch" ] || kill "$watch"
}

run() {
    out=$(mkdir -p "$1" && cd "$1" && pwd)
    device=${DEVICE:-vulkan:0}
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    export LD_LIBRARY_PATH=$here/lib TESSERA_SHARED=/nonexistent
    tessera=$here/bin/tessera
    export tessera device work here
    export -f machine ids again whole_command
    : >"$out/steps.txt"
    step machine 30 bash -c machine
    "$tessera" devices --json >"$out/devices.json" 2>&1 || true
    if ! "$tessera" devices --json | grep -q '"kind": *"vulkan"'; then
        echo "no Vulkan device: see machine.txt" | tee -a "$out/steps.txt"
        return 1
    fi
    mkdir "$work/p"
    "$here/bin/make_samples" "$work/p" >/dev/null
    local k=0 i file case model
    local drawn=("$work"/p/*.png)
    for ((i = 0; i < 16; i++)); do # sixteen names, five pictures
        cp "${drawn[$((i % ${#drawn[@]}))]}" "$work/p$(printf %02d $i).png"
    done
    rm "${drawn[@]}"
    mv "$work"/p[0-9]*.png "$work/p/"
    local models=()
    for case in "$here"/cases/*/*/manifest.json; do # weights are made while the tests run
        [ -e "$case" ] || continue
        model=$work/$(basename "$(dirname "$case")").safetensors
        models+=("$model")
        "$here/bin/make_weights" "$case" "$model" >>"$out/weights.txt" 2>&1 || true
    done &
    local weights=$!
    for case in "$here"/cases/*/*/manifest.json; do
        [ -e "$case" ] && models+=("$work/$(basename "$(dirname "$case")").safetensors")
    done
    for file in "${tests[@]}"; do step "test-$file" 40 "$here/bin/$file"; done
    for case in "$here"/cases/*/*/manifest.json; do
        [ -e "$case" ] || continue
        k=$((k + 1))
        step "verify-$k-$(basename "$(dirname "$case")")" 60 "$tessera" verify "$(dirname "$case")" --device "$device"
    done
    step ids-bundled 60 bash -c 'ids bundled'
    step again-bundled 40 bash -c 'again bundled 100'
    wait $weights || true
    for model in "${models[@]}"; do
        [ -e "$model" ] || continue
        step "ids-$(basename "$model")" 60 bash -c "ids $(basename "$model") -t '$model'"
    done
    step bench-ops 60 "$tessera" bench --seconds 0.1 --json --device "$device"
    step bench-bundled 40 "$tessera" bench -f mosaic --seconds 0.3 --json --device "$device"
    for model in "${models[@]}"; do
        [ -e "$model" ] || continue
        step "bench-$(basename "$model")" 60 "$tessera" bench -t "$model" --seconds 0.3 --json --device "$device" -vv
        step "whole-$(basename "$model")" 40 bash -c "whole_command $(basename "$model") -t '$model' --precision fast"
    done
    step whole-bundled 40 bash -c 'whole_command bundled'
    echo "results in $out"
}

case ${1:-} in
pack | run)
    : "${2:?usage: gpu.sh pack FOLDER [CASE-FOLDER...] | gpu.sh run RESULTS}"
    "$@"
    ;;
*)
    sed -n '3,10p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
    ;;
esac
