#!/bin/bash
# SPDX-License-Identifier: MIT
# What a GPU says, in at most fifteen minutes: everything is built before, each step has its own limit,
# and its output is in the result folder as soon as it is written.
#   gpu.sh pack FOLDER [CASE-FOLDER...]   on the machine that builds: the program, the tests of the device
#       and the libraries they need, the Vulkan loader among them; golden cases of published size, whose
#       weights are made by their rule on the other machine; also as FOLDER.tar.xz
#   FOLDER/gpu.sh run RESULTS                      on the machine with the GPU; nothing is installed
#   FOLDER/gpu.sh steps                            lists the steps with their limits
#   DEVICE=vulkan:0 chooses the device, SECONDS_IN_ALL=840 ends the whole, LIMITS=100 is a percentage that
#   every step's limit is multiplied by, BATCHES=1,16,128 those of models, REPETITIONS=100 of one batch.
# A failed step stops nothing: times of what passed are worth having even then.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tests=(op_linear op_conv2d op_attention op_nearest_code op_group_norm op_half_products op_pair_products test_recorder)

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
    local name=$1 limit=$(($2 * ${LIMITS:-100} / 100)) left=$((all - (SECONDS - began))) from=$SECONDS status=0
    shift 2
    [ "$limit" -gt 0 ] || limit=1
    if [ -n "${LIST:-}" ]; then
        echo "$name: at most $limit s"
        return 0
    fi
    if [ "$left" -lt 5 ]; then
        echo "left out, no time: $name" | tee -a "$out/steps.txt"
        return 0
    fi
    [ "$limit" -lt "$left" ] || limit=$left
    timeout -k 2 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    case $status in 124 | 137) status="$status, cut at its limit," ;; esac
    echo "$((SECONDS - began)) s: $name: exit $status after $((SECONDS - from)) s" | tee -a "$out/steps.txt"
    return 0
}

machine() {
    cat "$here/commit"
    date -u +%FT%TZ
    uname -a
    nproc
    ls /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/nvidia/share/vulkan/icd.d 2>/dev/null || true
    echo "VK_DRIVER_FILES=${VK_DRIVER_FILES:-} VK_ICD_FILENAMES=${VK_ICD_FILENAMES:-}"
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi
        nvidia-smi -q -d CLOCK
    fi
    "$tessera" devices -v
}

# Ids of 16 pictures on the cpu and the device, for batches of 1, 7 and 16, in f32, and how many are
# the same in fast.
ids() { # NAME [OPTION...]
    local name=$1 batch
    shift
    "$tessera" encode "$work"/j/jpeg-00?.jpg "$work"/j/jpeg-01[0-5].jpg -o "$work/$name.cpu.tess" -q --device cpu "$@"
    "$tessera" info --ids "$work/$name.cpu.tess" >"$work/$name.cpu.ids"
    for batch in 1 7 16; do
        "$tessera" encode "$work"/j/jpeg-00?.jpg "$work"/j/jpeg-01[0-5].jpg -o "$work/$name.$batch.tess" -q \
            --device "$device" --batch $batch "$@"
        "$tessera" info --ids "$work/$name.$batch.tess" >"$work/$name.$batch.ids"
        echo "$name, batch $batch: lines that differ from the cpu's:" \
            "$(diff "$work/$name.cpu.ids" "$work/$name.$batch.ids" | grep -c '^<')"
        cmp "$work/$name.1.tess" "$work/$name.$batch.tess" && echo "$name, batch $batch: the bytes of batch 1"
    done
    "$tessera" bench --agreement "$work"/j/jpeg-00?.jpg "$work"/j/jpeg-01[0-5].jpg --device "$device" "$@"
}
again() { # NAME TIMES [OPTION...]: one batch again and again, 20 pictures of it in each process
    local name=$1 times=$2 i differ=0
    shift 2
    for ((i = 0; i < times; i++)); do
        "$tessera" encode "$work"/j/jpeg-00[0-3].jpg -o "$work/again.$i.tess" -q --device "$device" "$@"
        cmp -s "$work/again.0.tess" "$work/again.$i.tess" || differ=$((differ + 1))
        [ $i = 0 ] || rm "$work/again.$i.tess"
        echo "$name: $differ of $((i + 1)) repetitions differ"
    done
}
whole_command() { # NAME [OPTION...]
    local name=$1 from watch=
    shift
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi dmon -s u -d 1 &
        watch=$!
    fi
    from=$(date +%s%N)
    "$tessera" encode "$work"/j/*.jpg -o "$work/$name.all.tess" --device "$device" "$@" || true
    echo "$name: 64 JPEG files of 500 x 375 in $((($(date +%s%N) - from) / 1000000)) ms"
    [ -z "$watch" ] || kill "$watch"
}
# Two products and a convolution with one body after the other: what is masked leaves the next best. In
# f32 there are two: its own, and pairs of f16.
bodies() {
    local each precision mask row
    for each in fast:none fast:coopmat2 fast:linear_coopmat2,conv2d_coopmat2,linear_coopmat,conv2d_coopmat fast:coopmat \
        fast:fp16 fast:fp16,subgroup fast:subgroup f32:none f32:+pairs; do
        precision=${each%%:*} mask=${each#*:}
        echo "$precision, mask: $mask"
        for row in "gpu linear 6160x512x1536" "gpu linear 385x512x512" "gpu conv2d 8x64x64x256"; do
            "$tessera" bench --filter "$row" --device "$device" --precision "$precision" --seconds 0.05 \
                $([ "$mask" = none ] || echo "--mask $mask") | tail -n +2 || true
        done
    done
}
samples() {
    mkdir -p "$work/j"
    "$here/bin/make_samples" "$work/j" 64
    ls "$work/j" | wc -l
}

run() {
    if [ -z "${LIST:-}" ]; then
        out=$(mkdir -p "$1" && cd "$1" && pwd)
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        : >"$out/steps.txt"
    fi
    device=${DEVICE:-vulkan:0}
    batches=${BATCHES:-1,16,128}
    export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} TESSERA_SHARED=/nonexistent
    export TESSERA_TEST_DEVICE=$device
    tessera=$here/bin/tessera
    export tessera device work here
    export -f machine ids again whole_command bodies samples
    # 0:00
    step machine 30 bash -c machine
    if [ -z "${LIST:-}" ]; then
        "$tessera" devices --json >"$out/devices.json" 2>&1 || true
        if ! grep -q '"kind": *"vulkan"\|"vulkan:' "$out/devices.json"; then
            echo "no Vulkan device: see machine.txt" | tee -a "$out/steps.txt"
            return 1
        fi
    fi
    step device 20 "$tessera" bench --filter "gpu empty" --seconds 0.1 --device "$device" --report "${out:-}/device.json"
    step samples 60 bash -c samples
    local k=0 file case model models=() weights=
    for case in "$here"/cases/*/*/manifest.json; do
        [ -e "$case" ] && models+=("${work:-}/$(basename "$(dirname "$case")").safetensors")
    done
    if [ -z "${LIST:-}" ] && [ "${#models[@]}" -gt 0 ]; then
        for case in "$here"/cases/*/*/manifest.json; do # weights are made while the tests run
            "$here/bin/make_weights" "$case" "$work/$(basename "$(dirname "$case")").safetensors" >>"$out/weights.txt" 2>&1 || true
        done &
        weights=$!
    fi
    # 0:30
    for file in "${tests[@]}"; do step "test-$file" 25 "$here/bin/$file"; done
    # 2:00
    for case in "$here"/cases/*/*/manifest.json; do
        [ -e "$case" ] || continue
        k=$((k + 1))
        step "verify-$k-$(basename "$(dirname "$case")")" 30 "$tessera" verify "$(dirname "$case")" --device "$device"
    done
    [ -z "$weights" ] || wait "$weights" || true
    step ids-bundled 30 bash -c 'ids bundled'
    for model in "${models[@]}"; do step "ids-$(basename "$model" .safetensors)" 60 bash -c "ids $(basename "$model") -t '$model'"; done
    for model in "${models[@]:0:1}"; do
        step "again-$(basename "$model" .safetensors)" 40 bash -c "again $(basename "$model") ${REPETITIONS:-100} -t '$model'"
    done
    # 4:00
    local quick=(--seconds 0.05 --device "$device")
    step products-f32 25 "$tessera" bench --filter "gpu linear" "${quick[@]}" --report "${out:-}/products-f32.json"
    step products-fast 25 "$tessera" bench --filter "gpu linear" "${quick[@]}" --precision fast --report "${out:-}/products-fast.json"
    step products-half 25 "$tessera" bench --filter "gpu linear" "${quick[@]}" --precision fast --mask coopmat --report "${out:-}/products-half.json"
    # 6:00
    step convolutions-f32 25 "$tessera" bench --filter "gpu conv2d" "${quick[@]}" --report "${out:-}/convolutions-f32.json"
    step convolutions-fast 25 "$tessera" bench --filter "gpu conv2d" "${quick[@]}" --precision fast --report "${out:-}/convolutions-fast.json"
    for file in attention nearest_code group_norm layer_norm scale; do
        step "$file" 15 "$tessera" bench --filter "gpu $file" "${quick[@]}" --report "${out:-}/$file.json"
    done
    step attention-fast 15 "$tessera" bench --filter "gpu attention" "${quick[@]}" --precision fast --report "${out:-}/attention-fast.json"
    # 8:00: milliseconds a tile with the times of each op; what a recording has, from -v
    for model in "${models[@]}"; do
        file=$(basename "$model" .safetensors)
        step "model-$file" 60 "$tessera" bench -t "$model" --batch "$batches" --seconds 0.2 --device "$device" --report "${out:-}/model-$file.json"
        step "recording-$file" 20 "$tessera" encode "${work:-}"/j/jpeg-000.jpg -o "${work:-}/one.tess" -t "$model" --device "$device" --precision fast -vv
    done
    step model-bundled 20 "$tessera" bench -f "mosaic decode" --batch "$batches" --seconds 0.2 --device "$device" --report "${out:-}/model-bundled.json"
    # 11:00
    step empty 15 "$tessera" bench --filter "gpu empty" "${quick[@]}" --report "${out:-}/empty.json"
    step submissions 25 "$tessera" bench --filter "gpu 2^" "${quick[@]}" --report "${out:-}/submissions.json"
    step copies 20 bash -c "'$tessera' bench --filter 'gpu upload' ${quick[*]}; '$tessera' bench --filter 'gpu download' ${quick[*]}"
    # 12:00
    for model in "${models[@]:0:2}"; do
        step "whole-$(basename "$model" .safetensors)" 30 bash -c "whole_command $(basename "$model") -t '$model' --precision fast"
    done
    step whole-bundled 20 bash -c 'whole_command bundled'
    # 13:00
    step bodies 45 bash -c bodies
    [ -n "${LIST:-}" ] || echo "results in $out"
}

case ${1:-} in
pack | run)
    : "${2:?usage: gpu.sh pack FOLDER [CASE-FOLDER...] | gpu.sh run RESULTS}"
    "$@"
    ;;
steps) LIST=1 run ;;
*)
    sed -n '3,15p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
    ;;
esac
