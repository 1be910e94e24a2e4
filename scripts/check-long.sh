#!/bin/bash
# SPDX-License-Identifier: MIT
# Tests that download more than `make check` may: what large Python libraries make of our files. Each part
# is a function below; a part that lacks something says "skipped: why".
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

parts=(python_torch python_ray)
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
