#!/bin/bash
# SPDX-License-Identifier: MIT
# Compiles every pipeline that ops and models ask for (and every shipped module they did not reach)
# for eight AMD chips with Mesa's RADV on its null device, and writes docs/RADV.md: registers, local
# memory and occupancy of each, so that a diff shows what a change to a shader costs. Fails when
# anything spills registers or needs scratch memory.
#   radv-table.sh [BUILD-FOLDER]      OUT=file writes the table elsewhere; CHIPS="navi21 gfx1100": of these alone
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:-build/release}" && pwd)
out=${OUT:-docs/RADV.md}
read -ra chips <<<"${CHIPS:-polaris10 vega20 navi10 navi14 navi21 navi22 navi23 gfx1100}"
work=$build/radv
rm -rf "$work"
mkdir -p "$work"

icd=$(ls /usr/share/vulkan/icd.d/radeon_icd.*.json 2>/dev/null | head -1 || true)
[ -n "$icd" ] || { echo "skipped: no RADV here (mesa-vulkan-drivers)"; exit 77; }
for program in collect_dispatches radv_compile; do
    [ -x "$build/$program" ] || { echo "radv-table: build with TESSERA_TESTS=ON first" >&2; exit 1; }
done
spv=$work/spv
rm -rf "$spv" && mkdir -p "$spv"
"$build/collect_dispatches" "$spv" >"$work/pipelines.txt"
# Cooperative matrices need an extension that Debian 12's Mesa does not have.
grep -v coopmat "$work/pipelines.txt" >"$work/all.txt"
awk '$2 == 64' "$work/all.txt" >"$work/wave64.txt"

for chip in "${chips[@]}"; do
    # GCN has wave64 alone.
    case "$chip" in polaris* | vega*) list=wave64 ;; *) list=all ;; esac
    RADV_FORCE_FAMILY=$chip VK_ICD_FILENAMES=$icd VK_DRIVER_FILES=$icd MESA_SHADER_CACHE_DISABLE=true \
        "$build/radv_compile" "$spv" <"$work/$list.txt" >"$work/$chip.tsv" 2>"$work/$chip.err" ||
        { cat "$work/$chip.err"; echo "radv-table: $chip: failed" >&2; exit 1; }
done

version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || echo unknown)
{
    echo "# Our shaders on AMD chips, as compiled by RADV"
    echo
    echo "Written by \`scripts/radv-table.sh\` with Mesa $version on its null device; nothing here ran on"
    echo "hardware. A cell is vector registers / waves on a SIMD (occupancy); a chip's column is empty"
    echo "where it has no such subgroup size. Constants are the specialisation constants in order."
    echo
    printf '| module | constants | subgroup | LDS bytes |'; printf ' %s |' "${chips[@]}"; echo
    printf '|---|---|---|---|'; printf -- '---|%.0s' "${chips[@]}"; echo
    awk -F '\t' -v chips="${chips[*]}" '
        BEGIN { n = split(chips, chip, " ") }
        FNR == 1 { file++ }
        /^#/ || $1 == "variant" { next }
        {
            key = $1 "\t" $2 "\t" $3
            if (!(key in seen)) { seen[key] = 1; order[++count] = key }
            cell[key, file] = $4 " / " $10
            if ($9 + 0 > lds[key] + 0) lds[key] = $9
            if ($6 + $7 + $8 > 0) cell[key, file] = "**spills** " $6 " v, " $7 " s, " $8 " B"
        }
        END {
            for (i = 1; i <= count; i++) {
                split(order[i], part, "\t")
                row = "| " part[1] " | " (part[3] == "" ? "-" : part[3]) " | " \
                      part[2] " | " lds[order[i]] + 0 " |"
                for (f = 1; f <= n; f++) row = row " " cell[order[i], f] " |"
                print row
            }
        }' $(printf "$work/%s.tsv " "${chips[@]}")
    echo
    pipelines=$(cat "$work"/*.tsv | grep -vcE '^#|^variant')
    spilled=$(cat "$work"/*.tsv | awk -F '\t' '!/^#/ && $1 != "variant" && $6 + $7 + $8 > 0' | wc -l)
    echo "$pipelines pipelines compiled on ${#chips[@]} chips, $spilled with spilled registers or scratch memory."
} >"$out"
tail -1 "$out"
! grep -q '\*\*spills\*\*' "$out"
