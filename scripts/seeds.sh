#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the test programs with other seeds of their random data than the one `make check` always has,
# and names each seed that fails. Ends with 1 if one did.
#   seeds.sh [N [BUILD-FOLDER [CTEST-REGEX]]]      N seeds (20), from the clock
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-20} build=${2:-build/release} tests=${3:-^(op|test)_} failed=0
first=$(date +%s)
for ((i = 0; i < seeds; ++i)); do
    export TESSERA_SEED=$(((first + i) * 1000003))
    log=$build/seed-$TESSERA_SEED.txt
    if (cd "$build" && ctest --no-tests=error --output-on-failure -j "$(nproc)" -R "$tests") >"$log" 2>&1; then
        rm "$log"
    else
        failed=$((failed + 1))
        echo "seed $TESSERA_SEED: see $log"
        grep -E '^\S+:[0-9]+:[FE]:' "$log" || true
    fi
done
echo "seeds: $seeds tried, $failed failed"
[ "$failed" = 0 ]
