#!/bin/bash
# SPDX-License-Identifier: MIT
# Measures and writes docs/BENCH.md: the program from outside, then every row of tessera bench. For a
# quiet machine; the load it finds is written into the file.
#   bench-table.sh [BUILD-FOLDER [DEVICE]]       BENCH=file.json takes rows that were measured before
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
device=${2:-cpu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
load=$(cut -d ' ' -f 1-2 /proc/loadavg)
if [ -n "${BENCH:-}" ]; then cp "$BENCH" "$work/bench.json"; else
    "$build/tessera" bench --device "$device" --json -q >"$work/bench.json"
fi
python3 scripts/speed-cli.py "$build/tessera" "$device" >"$work/cli.md"
{
    echo "# Benchmark rows"
    echo
    echo "Written by \`scripts/bench-table.sh\` on $(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)."
    echo "Load average when it started (1 and 5 minutes): $load; figures taken beside other work are lower than"
    echo "what the machine can do, and only ratios within one row are worth comparing."
    echo
    echo "## The program, from process start to closed file"
    echo
    cat "$work/cli.md"
    echo
    echo "## Ops and models"
    echo
    python3 scripts/speed-table.py <"$work/bench.json"
} >"$work/BENCH.md"
cp "$work/BENCH.md" docs/BENCH.md
echo "docs/BENCH.md written"
