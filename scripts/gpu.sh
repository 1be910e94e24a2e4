#!/bin/bash
# SPDX-License-Identifier: MIT
# What a GPU says, in at most fifteen minutes: everything is built before, each step has its own limit,
# and its output is in the result folder as soon as it is written.
#   gpu.sh pack FOLDER [CASE-FOLDER...]   on the machine that builds: the program, the tests of the device
#       and the libraries they need, the Vulkan loader among them; golden cases of published size, whose
#       weights are made by their rule on the other machine; also as FOLDER.tar.xz
#   FOLDER/gpu.sh run RESULTS                      on the machine with the GPU; nothing is installed.
#       RESULTS/summary.txt says in a page what is known so far; RESULTS.tar.gz is the folder in one file
#   FOLDER/gpu.sh steps                            lists the steps with their limits
#   FOLDER/gpu.sh summary RESULTS                  summary.txt again
#   DEVICE=vulkan:0 chooses the device, SECONDS_IN_ALL=840 ends the whole, LIMITS=100 is a percentage that
#   every step's limit is multiplied by, BATCHES=1,16,128 those of models, REPETITIONS=100 of one batch,
#   STEPS=REGEX picks steps, SMALL=1 takes one row of a kind and few pictures: for software drivers.
# A failed step stops nothing: times of what passed are worth having even then.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -n "${SMALL:-}" ]; then
    pictures=3 whole=4 batches_of_ids='1 2 3'
    linear='gpu linear 385x512x512' conv='gpu conv2d 1x16x16x512' attention='gpu attention 16x256'
    others=('nearest_code 4096 of 16384' 'group_norm 8x64' 'layer_norm 6160' 'scale 6160')
    bodies=("$linear" "$conv")
else
    pictures=16 whole=64 batches_of_ids='1 7 16'
    linear='gpu linear' conv='gpu conv2d' attention='gpu attention'
    others=(nearest_code group_norm layer_norm scale)
    bodies=("gpu linear 6160x512x1536" "gpu linear 385x512x512" "gpu conv2d 8x64x64x256")
fi
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
    # The bundled model lies in every program: the window is wider than they are.
    XZ_OPT=--lzma2=preset=4,dict=128MiB tar -C "$(dirname "$folder")" -cJf "$folder.tar.xz" "$(basename "$folder")"
    du -sh "$folder" "$folder.tar.xz"
}

began=$SECONDS
all=${SECONDS_IN_ALL:-840}
# step NAME LIMIT COMMAND...: output in NAME.txt; a step that fails or is too long stops nothing else.
step() {
    local name=$1 limit=$(($2 * ${LIMITS:-100} / 100)) left=$((all - (SECONDS - began))) from=$SECONDS status=0 file
    shift 2
    [[ $name =~ ${STEPS:-.} || $name = machine || $name = samples ]] || return 0
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
    timeout -k 5 "$limit" "$@" >"$out/$name.txt" 2>&1 || status=$?
    case $status in 124 | 137) status="$status, cut at its limit," ;; esac
    echo "$((SECONDS - began)) s: $name: exit $status after $((SECONDS - from)) s" | tee -a "$out/steps.txt"
    # What a killed process had not finished is worth having.
    for file in "$out"/*.tmp-*; do [ ! -e "$file" ] || mv "$file" "${file%.tmp-*}"; done
    summary "$out" || true
    tar -C "$(dirname "$out")" -czf "$out.new" "$(basename "$out")" && mv "$out.new" "$out.tar.gz"
    return 0
}

# A page that answers: does it work, are ids those of the cpu, how many pictures a second, which op is slow.
summary() {
    local file of
    cd "$1"
    {
        echo "commit $(sed -n 1p machine.txt 2>/dev/null), $(sed -n 2p machine.txt 2>/dev/null)"
        grep -hm1 -E '^vulkan:[0-9]+: ' device.json.txt device.txt 2>/dev/null | head -1
        grep -hE 'NVIDIA-SMI|choices' machine.txt 2>/dev/null
        echo
        echo "DOES IT WORK"
        for file in test-*.txt; do
            [ -e "$file" ] || continue
            of=$(grep -E '^[0-9]+%: Checks' "$file" | tail -1)
            echo "  ${file%.txt}: ${of:-no result: $(tail -n 1 "$file" | cut -c 1-120)}"
            grep -hE ':[FE]:' "$file" | head -2 | cut -c 1-200 | sed 's/^/      /'
        done
        for file in verify-*.txt; do
            [ -e "$file" ] || continue
            of=$(grep -E '^[0-9]+ passed' "$file" | tail -1)
            echo "  ${file%.txt}: ${of:-not finished: $(grep -c '^passed' "$file") passed, $(grep -c '^FAILED\|^failed' "$file") failed so far}"
        done
        echo
        echo "ARE IDS THOSE OF THE CPU (f32), OF F32 (fast), ALWAYS THE SAME"
        for file in ids-*.txt pairs-*.txt again-*.txt; do
            [ -e "$file" ] || continue
            sed -n "s/^equal ids */  ${file%.txt}, fast beside f32: /p; s/^\(.*: \(.* ids equal\|.*bytes of batch\).*\)/  \1/p" "$file"
            sed -n 's/^\(.*repetitions differ\)/  \1/p' "$file" | tail -n 1
        done
        echo
        echo "PICTURES A SECOND (clips, for tokenizers of video), tiles of a batch, copies and waiting included"
        for file in model-*.json.txt; do
            [ -e "$file" ] || continue
            awk '$(NF - 6) ~ /^vulkan:/ && $(NF - 4) > 0 {
                name = $1; for (i = 2; i < NF - 7; ++i) name = name " " $i
                printf "  %-44s %10.1f /s\n", name, 1000 / $(NF - 4)}' "$file"
        done
        grep -hE 'JPEG files' whole-*.txt 2>/dev/null | sed 's/^/  whole command, /'
        echo
        echo "SLOWEST OPS of each model's last encoding"
        for file in model-*.json.txt; do
            [ -e "$file" ] || continue
            awk '/ encode [0-9]+/ && $(NF - 6) ~ /^vulkan:/ {text = ""; keep = 1}
                 !/^ / && !/ encode [0-9]+/ {keep = 0}
                 keep {text = text "  " $0 "\n"}
                 END {printf "%s", text}' "$file"
        done
        echo
        echo "BEST RATE OF EACH OP"
        for file in products-*.json.txt convolutions-*.json.txt attention*.json.txt nearest_code.json.txt group_norm.json.txt \
            layer_norm.json.txt scale.json.txt; do
            [ -e "$file" ] || continue
            # beside the op that a row is about its table has those that feed it
            awk -v of="${file%.json.txt}" '
                 $(NF - 6) ~ /^vulkan:/ {row = $2; for (i = 3; i < NF - 7; ++i) row = row " " $i; op = $2 == "scale" ? "pointwise" : $2; next}
                 / x .* ms .*(TFLOP|GB)\/s/ && $1 == op {
                    for (i = 2; i <= NF; ++i) if ($i ~ /^(TFLOP|GB)\/s$/ && $(i - 1) > best) {
                        best = $(i - 1); said = $(i - 1) " " $i ", " $2 ", " row}}
                 END {if (said) printf "  %-18s %s\n", of, said}' "$file"
        done
        awk '/empty dispatch/ && $(NF - 6) ~ /^vulkan:/ {
            printf "  an empty dispatch and its barrier: %.1f us\n", 1000 * $(NF - 4)}' device.json.txt 2>/dev/null
        echo
        echo "STEPS THAT FAILED OR WERE CUT"
        grep -vE 'exit 0 ' steps.txt | sed 's/^/  /'
    } >summary.new 2>/dev/null
    mv summary.new summary.txt
    cd - >/dev/null
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

# How many ids of one listing are those of another, picture by picture and place by place.
equal_ids() {
    awk 'NR == FNR {line[FNR] = $0; lines = FNR; next}
         {n = split(line[FNR], a); most = n > NF ? n : NF; all += most - 2
          for (i = 3; i <= most; ++i) equal += i <= n && i <= NF && a[i] == $i}
         END {print equal + 0 " of " all " ids equal" (FNR == lines ? "" : ", other lines")}' "$1" "$2"
}
encode_ids() { # NAME [OPTION...]: work/NAME.tess and its ids
    local name=$1
    shift
    # shellcheck disable=SC2046 # names without spaces
    "$tessera" encode $(ls "$work"/j/*.jpg | head -n "$pictures") -f -o "$work/$name.tess" -q "$@"
    "$tessera" info --ids "$work/$name.tess" >"$work/$name.ids"
}
# Ids of some pictures on the cpu and the device, in batches of several sizes, in f32, and how many are
# the same in fast.
ids() { # NAME [OPTION...]
    local name=$1 batch
    shift
    encode_ids "$name.cpu" --device cpu "$@"
    for batch in $batches_of_ids; do
        encode_ids "$name.$batch" --device "$device" --batch "$batch" "$@"
        echo "$name, f32, batch $batch: $(equal_ids "$work/$name.cpu.ids" "$work/$name.$batch.ids") to the cpu's"
        if cmp "$work/$name.1.tess" "$work/$name.$batch.tess"; then
            echo "$name, batch $batch: the bytes of batch 1"
        else
            echo "$name, batch $batch: NOT the bytes of batch 1"
        fi
    done
    # shellcheck disable=SC2046
    "$tessera" bench --agreement $(ls "$work"/j/*.jpg | head -n "$pictures") --device "$device" "$@"
}
# f32 from pairs of f16: its ids, and its time beside plain f32's (model-NAME.txt).
pairs() { # NAME [OPTION...]
    local name=$1
    shift
    [ -e "$work/$name.cpu.ids" ] || encode_ids "$name.cpu" --device cpu "$@"
    encode_ids "$name.pairs" --device "$device" --mask +pairs -v "$@"
    echo "$name, f32 from pairs: $(equal_ids "$work/$name.cpu.ids" "$work/$name.pairs.ids") to the cpu's"
    "$tessera" bench "$@" --batch "${batches##*,}" --seconds 0.1 --device "$device" --mask +pairs
}
again() { # NAME TIMES [OPTION...]: one batch of four pictures again and again, each in a process of its own
    local name=$1 times=$2 i differ=0
    shift 2
    for ((i = 0; i < times; i++)); do
        "$tessera" encode "$work"/j/jpeg-00[0-3].jpg -f -o "$work/again.$i.tess" -q --device "$device" "$@"
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
    from=$((($(date +%s%N) - from) / 1000000))
    echo "$name: $whole JPEG files of 500 x 375 in $from ms: $(awk "BEGIN {printf \"%.1f\", $whole * 1000 / ($from + 1)}") pictures/s"
    [ -z "$watch" ] || kill "$watch"
}
# Two products and a convolution with one body after the other: what is masked leaves the next best. In
# f32 there are two: its own, and pairs of f16.
each_body() {
    local each precision mask row
    for each in fast:none fast:coopmat2 fast:linear_coopmat2,conv2d_coopmat2,linear_coopmat,conv2d_coopmat fast:coopmat \
        fast:fp16 fast:fp16,subgroup fast:subgroup f32:none f32:+pairs; do
        precision=${each%%:*} mask=${each#*:}
        echo "$precision, mask: $mask"
        for row in "${bodies[@]}"; do
            "$tessera" bench --filter "$row" --device "$device" --precision "$precision" --seconds 0.05 \
                $([ "$mask" = none ] || echo "--mask $mask") | tail -n +2 || true
        done
    done
}
samples() {
    mkdir -p "$work/j"
    "$here/bin/make_samples" "$work/j" "$whole"
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
    export tessera device work here pictures whole batches batches_of_ids
    export -f machine equal_ids encode_ids ids pairs again whole_command samples
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
            timeout 90 "$here/bin/make_weights" "$case" "$work/$(basename "$(dirname "$case")").safetensors" >>"$out/weights.txt" 2>&1 || true
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
    for model in "${models[@]}"; do step "ids-$(basename "$model" .safetensors)" 60 bash -c "ids $(basename "$model" .safetensors) -t '$model'"; done
    for model in "${models[@]:0:1}"; do
        step "again-$(basename "$model" .safetensors)" 40 bash -c "again $(basename "$model" .safetensors) ${REPETITIONS:-100} -t '$model'"
    done
    for model in "${models[@]}"; do step "pairs-$(basename "$model" .safetensors)" 20 bash -c "pairs $(basename "$model" .safetensors) -t '$model'"; done
    # 4:00
    local quick=(--seconds 0.05 --device "$device")
    step products-f32 25 "$tessera" bench --filter "$linear" "${quick[@]}" --report "${out:-}/products-f32.json"
    step products-fast 25 "$tessera" bench --filter "$linear" "${quick[@]}" --precision fast --report "${out:-}/products-fast.json"
    step products-half 25 "$tessera" bench --filter "$linear" "${quick[@]}" --precision fast --mask coopmat --report "${out:-}/products-half.json"
    # 6:00
    step convolutions-f32 25 "$tessera" bench --filter "$conv" "${quick[@]}" --report "${out:-}/convolutions-f32.json"
    step convolutions-fast 25 "$tessera" bench --filter "$conv" "${quick[@]}" --precision fast --report "${out:-}/convolutions-fast.json"
    step attention 15 "$tessera" bench --filter "$attention" "${quick[@]}" --report "${out:-}/attention.json"
    for file in "${others[@]}"; do
        step "${file%% *}" 15 "$tessera" bench --filter "gpu $file" "${quick[@]}" --report "${out:-}/${file%% *}.json"
    done
    step attention-fast 15 "$tessera" bench --filter "$attention" "${quick[@]}" --precision fast --report "${out:-}/attention-fast.json"
    # 8:00: milliseconds a tile with the times of each op; what a recording has, from -v
    for model in "${models[@]}"; do
        file=$(basename "$model" .safetensors)
        step "model-$file" 60 "$tessera" bench -t "$model" --batch "$batches" --seconds 0.2 --device "$device" --report "${out:-}/model-$file.json"
        step "recording-$file" 20 "$tessera" encode "${work:-}"/j/jpeg-000.jpg -o "${work:-}/one.tess" -t "$model" --device "$device" --precision fast -vv
    done
    step model-bundled 20 "$tessera" bench -f "mosaic decode" --batch "$batches" --seconds 0.2 --device "$device" --report "${out:-}/model-bundled.json"
    # 11:00
    step submissions 25 "$tessera" bench --filter "gpu 2^" "${quick[@]}" --report "${out:-}/submissions.json"
    step copies 20 bash -c "'$tessera' bench --filter 'gpu upload' ${quick[*]}; '$tessera' bench --filter 'gpu download' ${quick[*]}"
    # 12:00
    for model in "${models[@]:0:2}"; do
        step "whole-$(basename "$model" .safetensors)" 30 bash -c "whole_command $(basename "$model" .safetensors) -t '$model' --precision fast"
    done
    step whole-bundled 20 bash -c 'whole_command bundled'
    # 13:00
    step bodies 45 bash "$here/gpu.sh" bodies
    [ -n "${LIST:-}" ] || { cat "$out/summary.txt" && echo "results in $out and $out.tar.gz"; }
}

case ${1:-} in
pack | run | summary)
    : "${2:?usage: gpu.sh pack FOLDER [CASE-FOLDER...] | gpu.sh run RESULTS | gpu.sh summary RESULTS}"
    "$@"
    ;;
bodies) each_body ;; # a step of run

steps) LIST=1 run ;;
*)
    sed -n '3,15p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
    ;;
esac
