#!/bin/bash
# SPDX-License-Identifier: MIT
# The shared library exports exactly the calls the public headers declare: no inner call leaks out,
# none that is promised is missing.
set -euo pipefail
source=${SOURCE:?} build=${BUILD:?}
library=$build/libtessera.so
[ -e "$library" ] || { echo "no $library"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The compiler's own view of the headers, not a pattern over their text.
printf '#define TESSERA_EXPERIMENTAL\n#include <tessera/tessera.h>\n' >"$work/all.c"
for header in "$source"/include/tessera/*.h; do
    echo "#include <tessera/$(basename "$header")>" >>"$work/all.c"
done
"${CC:-cc}" -std=c11 -I"$source/include" -E -P "$work/all.c" | tr '\n' ' ' | tr ';{}' '\n\n\n' |
    grep -v typedef | grep -oE '\btsr_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ { print $3 }' | sed 's/@.*//' |
    grep -v '^__\(asan\|ubsan\|sanitizer\|odr\|gcov\)' | sort -u >"$work/exported"

count=$(wc -l <"$work/declared")
[ "$count" -gt 20 ] || { echo "only $count calls found in the headers"; exit 1; }
if ! diff "$work/declared" "$work/exported"; then
    echo "< declared but not exported, > exported but not declared"
    exit 1
fi
echo "libtessera.so exports the $count declared calls and nothing else"
