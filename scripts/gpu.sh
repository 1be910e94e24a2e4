#!/bin/bash
# SPDX-License-Identifier: MIT
# One call for a machine with a GPU: builds, lists the devices, runs the suite and the benchmarks on
# the hardware, those of the models that are named, too, and leaves everything in a folder.
#   gpu.sh RESULT-FOLDER [MODEL...]
set -euo pipefail
out=$(mkdir -p "${1:?usage: gpu.sh RESULT-FOLDER [MODEL...]}" && cd "$1" && pwd)
models=()
for model in "${@:2}"; do models+=("$(realpath "$model")"); done
cd "$(dirname "$0")/.."
bash scripts/install-deps.sh check
cmake --preset release -DTESSERA_TESTS=ON >"$out/build.txt"
cmake --build --preset release -j "$(nproc)" >>"$out/build.txt"
{ git rev-parse HEAD; date -u +%FT%TZ; uname -a; nproc; command -v nvidia-smi >/dev/null && nvidia-smi; } \
    >"$out/machine.txt" 2>&1 || true
tessera=build/release/tessera
"$tessera" devices | tee "$out/devices.txt"
"$tessera" devices --json >"$out/devices.json"
status=0
(cd build/release && ctest --output-on-failure --no-tests=error --output-junit tests.xml \
    --test-output-size-passed 1000000) >"$out/tests.txt" 2>&1 || status=1
grep -E 'tests passed|FAILED|Failed|Not Run' "$out/tests.txt" || true
bash scripts/test-summary.sh build/release | tee "$out/skipped.txt"
"$tessera" bench --json >"$out/bench.json" || status=1
python3 scripts/speed-table.py <"$out/bench.json" >"$out/bench.md" || status=1
for model in "${models[@]}"; do
    name=bench-$(basename "$model")
    "$tessera" bench -t "$model" --json >"$out/$name.json" || status=1
    python3 scripts/speed-table.py <"$out/$name.json" >"$out/$name.md" || status=1
done
echo "results in $out"
exit $status
