#!/bin/bash
# SPDX-License-Identifier: MIT
# Fuzzes for SECONDS each target (or the one named), starting from tests/fuzz/corpus/<target>/.
#   tests/fuzz/run.sh SECONDS [target]          build with clang first if needed
# New inputs go to build/fuzz/found/<target>/, crashes to build/fuzz/crashes/<target>-*; nothing in the
# tree is touched. With MERGE=1 the corpus is replaced by the smallest set of at most 4 KiB inputs
# that reaches the same code, up to 64 KiB in all.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [target]}
build=build/fuzz
[ -f $build/build.ninja ] || cmake --preset fuzz >/dev/null
targets=${2:-$(ls tests/fuzz/fuzz_*.c | sed 's,.*/fuzz_,,;s,\.c$,,')}
ninja -C $build $(for t in $targets; do echo fuzz_$t; done) | tail -1
mkdir -p $build/crashes
status=0
for t in $targets; do
    found=$build/found/$t
    corpus=tests/fuzz/corpus/$t
    mkdir -p "$found"
    echo "== $t: $seconds seconds"
    $build/fuzz_$t -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix=$build/crashes/$t- "$found" "$corpus" 2>&1 |
        grep -v '^INFO\|^"\|^###' | tail -40 || status=1
    if [ "${MERGE:-0}" = 1 ]; then
        small=$build/merged/$t
        rm -rf "$small" && mkdir -p "$small"
        $build/fuzz_$t -merge=1 -verbosity=0 "$small" "$corpus" "$found" >/dev/null 2>&1
        rm -f "$corpus"/*
        total=0
        for f in $(ls -Sr "$small"); do
            total=$((total + $(stat -c %s "$small/$f")))
            [ $total -le 65536 ] || break
            cp "$small/$f" "$corpus/"
            kept=$total
        done
        echo "corpus: $(ls "$corpus" | wc -l) files, ${kept:-0} bytes"
    fi
done
exit $status
