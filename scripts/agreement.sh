#!/bin/bash
# SPDX-License-Identifier: MIT
# How often ids in --precision fast are those of f32, for golden cases with weights by rule, and whether
# another program, or this one with something masked, does better: a paired count of the same ids.
#   agreement.sh PROGRAM PICTURE... -- CASE-FOLDER...
#   BEFORE=PROGRAM       the other program (default: PROGRAM)
#   MASK=f16_activations what the other one must not use (default: nothing)
#   DEVICE=vulkan:0  ARGUMENTS='--fit tile' of encode  KEEP=FOLDER for weights and token files, which are
#   not made again (default: a temporary one)
# A line for each case: ids, equal in the other, equal in PROGRAM, ids that only the other or only PROGRAM
# got right, and how often chance alone would part them so far (two-sided sign test). make_weights lies
# beside PROGRAM. One program runs at a time.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '3,13s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
program=$1 pictures=()
shift
while [ "$1" != -- ]; do pictures+=("$1") && shift; done
shift
folder=${KEEP:-$(mktemp -d)} arguments=(--device "${DEVICE:-vulkan:0}" -q -f)
[ -n "${KEEP:-}" ] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"

# ids NAME PROGRAM ARGUMENTS...: a line for each id in NAME.ids
ids() {
    local to=$1 with=$2
    shift 2
    [ ! -s "$to.ids" ] || return 0
    [[ $to != */karl-* ]] || set -- "$@" --no-halt # each id at its own position
    # shellcheck disable=SC2086 # words of ARGUMENTS
    "$with" encode "${pictures[@]}" -t "$model" -o "$to.tess" "${arguments[@]}" ${ARGUMENTS:-} "$@"
    "$with" info "$to.tess" --ids | awk '{for (i = 3; i <= NF; ++i) print $1, $2, i, $i}' >"$to.part"
    mv "$to.part" "$to.ids"
}

printf '%-28s %8s %8s %8s %6s %6s %s\n' case ids before after lost won chance
for case in "$@"; do
    name=$(basename "$(dirname "$case")")-$(basename "$case") model=$folder/$name.safetensors
    [ -s "$model" ] || "$(dirname "$program")/make_weights" "$case/manifest.json" "$model" >/dev/null
    ids "$folder/$name-f32" "$program" --precision f32
    ids "$folder/$name-before" "${BEFORE:-$program}" --precision fast ${MASK:+--mask "$MASK"}
    ids "$folder/$name-after" "$program" --precision fast
    paste -d' ' "$folder/$name"-{f32,before,after}.ids | awk -v name="$name" '
        $1 != $5 || $2 != $6 || $3 != $7 || $1 != $9 || $2 != $10 || $3 != $11 {exit bad = 1}
        {before += $4 == $8; after += $4 == $12; lost += $4 == $8 && $4 != $12; won += $4 != $8 && $4 == $12}
        END {
            if (bad || !NR) {print name ": the ids stand for different positions" >"/dev/stderr"; exit 1}
            n = lost + won; least = lost < won ? lost : won
            for (term = -n * log(2); k <= least; term += log(n - k) - log(++k)) chance += 2 * exp(term)
            printf "%-28s %8d %8d %8d %6d %6d %.2f\n", name, NR, before, after, lost, won, chance < 1 ? chance : 1
        }'
done
