#!/bin/bash
# SPDX-License-Identifier: MIT
# Each shared library exports exactly the calls that its public headers declare: no inner call leaks
# out, none that is promised is missing.
set -euo pipefail
source=${SOURCE:?} build=${BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# look LIBRARY HEADERS..., which stand in include/: the compiler's own view of the headers, not a
# pattern over their text; what they include of the other library is not theirs.
declared_by() {
    printf '#define TESSERA_EXPERIMENTAL\n' >"$work/all.c"
    printf '#include <%s>\n' "$@" >>"$work/all.c"
    "${CC:-cc}" -std=c11 -I"$source/include" -E -P "$work/all.c" | tr '\n' ' ' | tr ';{}' '\n\n\n' |
        grep -v typedef | grep -oE '\btsr_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u
}
exported_by() {
    nm -D --defined-only "$1" | awk '$2 ~ /[A-Z]/ { print $3 }' | sed 's/@.*//' |
        grep -v '^__\(asan\|ubsan\|sanitizer\|odr\|gcov\)' | sort -u
}
compare() { # LIBRARY LEAST: declared and exported
    [ -e "$build/$1" ] || { echo "no $build/$1"; exit 1; }
    exported_by "$build/$1" >"$work/exported"
    count=$(wc -l <"$work/declared")
    [ "$count" -gt "$2" ] || { echo "only $count calls found in the headers of $1"; exit 1; }
    if ! diff "$work/declared" "$work/exported"; then
        echo "$1: < declared but not exported, > exported but not declared"
        exit 1
    fi
    echo "$1 exports the $count declared calls and nothing else"
}

cd "$source/include"
declared_by tessera/*.h >"$work/base"
cp "$work/base" "$work/declared"
compare libtessera.so 20
declared_by tessera/*.h tessera/runner/*.h | comm -23 - "$work/base" >"$work/declared"
compare libtessera-runner.so 20
