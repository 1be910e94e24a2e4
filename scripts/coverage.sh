#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds with gcov counters, runs the suite and prints line coverage of each folder; compute,
# quantizer and formats must reach LEAST percent (default 85). Needs gcovr.
set -euo pipefail
cd "$(dirname "$0")/.."
least=${LEAST:-85}
command -v gcovr >/dev/null || { echo "coverage: apt-get install gcovr" >&2; exit 1; }
cmake --preset coverage >/dev/null
cmake --build --preset coverage -j "$(nproc)"
find build/coverage -name '*.gcda' -delete
(cd build/coverage && ctest --output-on-failure --no-tests=error \
    -E '^(arrows|arrows_selftest|headers|exports|install_consumers|options_off|radv_spills|gpu_bounds|gpu_bounds_counting|gpu_estimate|python_package|crash_safety|locked_folder)$')
failed=0
for folder in compute quantizer formats nn models codec verify metrics; do
    [ -d "$folder" ] || continue
    gcovr --root . --object-directory build/coverage --filter "$folder/" \
        --gcov-ignore-parse-errors --txt "build/coverage/$folder.txt" --print-summary \
        2>/dev/null >"build/coverage/$folder.summary" || true
    percent=$(sed -n 's/^lines: \([0-9.]*\)%.*/\1/p' "build/coverage/$folder.summary")
    lines=$(sed -n 's/^lines: [0-9.]*% \(.*\)/\1/p' "build/coverage/$folder.summary")
    echo "$folder: ${percent:-0} % of lines $lines"
    case "$folder" in
    compute | quantizer | formats)
        awk -v p="${percent:-0}" -v l="$least" 'BEGIN { exit !(p < l) }' &&
            { echo "$folder: wanted at least $least %"; failed=1; } ;;
    esac
done
exit $failed
