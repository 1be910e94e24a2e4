#!/bin/bash
# SPDX-License-Identifier: MIT
# Tests that download more or take longer than `make check` may: what large Python libraries make of our files, a
# minute of hostile clients, every test without the optional libraries, every pipeline on eight AMD chips, long tests
# under sanitizers. Each part is a function below; a part that lacks something says "skipped: why".
#   check-long.sh [PART...]      default: every part
set -uo pipefail
cd "$(dirname "$0")/.."
export SOURCE=$PWD BUILD=${BUILD:-$PWD/build/release} SHARED=${SHARED:-$PWD/../shared}
export TESSERA=$BUILD/tessera

# PyTorch's data sets over token files, and arrays handed to PyTorch without a copy.
python_torch() {
    PLACE=$BUILD/python-torch PACKAGES=torch bash tests/python/python_package.sh tests/python/long/test_torch.py
}

# examples/ray_tokenize.py on a Ray of this machine with two workers.
python_ray() {
    PLACE=$BUILD/python-ray PACKAGES='ray[data]' bash tests/python/python_package.sh tests/python/long/test_ray_cluster.py
}

# Data sets that `tessera export` writes, read back by mosaicml-streaming and datatrove, with PyTorch.
# Debian's python3-torch, python3-torchvision and python3-numpy are used where they are installed (those of a
# package index bring gigabytes for GPUs); the rest comes from a package index, without what these libraries
# have for clouds. PYTHON names an interpreter that has the libraries already.
datasets() {
    local venv=$BUILD/heavy-libraries work
    local python=${PYTHON:-$venv/bin/python3} debian=/usr/bin/python3
    local packages=(mosaicml-streaming datatrove 'transformers<4.50' huggingface_hub==0.30.2 tokenizers==0.21.0 regex
        pyyaml tqdm requests urllib3 certifi charset_normalizer idna filelock packaging xxhash zstd Brotli cramjam
        python-snappy fsspec loguru dill multiprocess humanize rich typing_extensions safetensors catalogue)
    if [ -z "${PYTHON:-}" ] && ! [ -f "$venv/complete" ]; then
        rm -rf "$venv"
        "$debian" -c 'import torch, torchvision, numpy' 2>/dev/null ||
            { echo "skipped: no python3-torch, python3-torchvision and python3-numpy"; return 77; }
        { "$debian" -m venv --system-site-packages "$venv" &&
            "$python" -m pip install -q --no-deps "${packages[@]}" && touch "$venv/complete"; } ||
            { echo "skipped: no mosaicml-streaming and datatrove from a package index"; return 77; }
    fi
    work=$(mktemp -d) || return 2
    (cd "$work" && "$python" -B "$SOURCE/tests/support/dataset_cases.py" libraries heavy)
    local code=$?
    rm -rf "$work"
    return $code
}

# Good and hostile clients of `tessera serve` at the same time, for a minute.
serve_hostile() {
    SERVE_SECONDS=60 bash tests/cli/serve_hostile.sh
}

# Every test built, and some run, without the optional libraries.
options_off() {
    EVERY_TEST=1 bash tests/cli/options_off.sh
}

# Every pipeline on all the chips that RADV's null device knows; the suite takes one of each generation.
radv() {
    cmake --build --preset release --target collect_dispatches radv_compile && OUT=build/release/RADV.md bash scripts/radv-table.sh
}
# The tests that last longest under sanitizers.
sanitizers() {
    make --no-print-directory check-sanitize-long
}

# Every family's ids in batches of 1, 7, 16 and 100 with one and two programs in flight, on cpu and lavapipe.
flights() {
    bash scripts/flights.sh
}

parts=(serve_hostile options_off flights radv sanitizers python_torch python_ray datasets)
[ $# -gt 0 ] || set -- "${parts[@]}"
passed=0 failed=0 skipped=0
for part in "$@"; do
    if [[ " ${parts[*]} " != *" $part "* ]]; then
        echo "check-long: wanted one of ${parts[*]}, got $part" >&2
        exit 2
    fi
    echo "== $part"
    "$part"
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        echo "FAILED: $part"
        ;;
    esac
done
echo "check-long: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
