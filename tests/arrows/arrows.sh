#!/bin/bash
# SPDX-License-Identifier: MIT
# The rules of the house that a compiler does not hold: which folder may include which, no file name
# twice, no file that outgrew a reader, no leftovers, one licence line and one layout everywhere.
# SOURCE = the tree to look at. Prints "file:line: rule" for each break; exit 1 when there is one.
set -u
cd "${SOURCE:-$(dirname "$0")/../..}" || exit 1

broken=0
say() {
    echo "$*"
    broken=$((broken + 1))
}

if [ -e .git ] && git ls-files >/dev/null 2>&1; then
    mapfile -t files < <(git ls-files | while read -r f; do [ -f "$f" ] && echo "$f"; done)
else # an unpacked archive
    mapfile -t files < <(find . -type f -not -path './build/*' -not -path './out/*' \
        -not -path './demo/*' -not -path './.git/*' | sed 's|^\./||' | sort)
fi

# Folder -> what its files may include from inside the tree (path prefixes). <tessera/...> is for
# everyone. Nobody else's folder is listed: a new folder needs a line here.
declare -A may=(
    [include]="include/"
    [compute]="compute/"
    [formats]="formats/ compute/context.h compute/arena.h compute/tensor.h compute/threads.h"
    [quantizer]="quantizer/ compute/"
    [reduce]="reduce/ compute/"
    [metrics]="metrics/ compute/ formats/"
    [runner]="runner/ compute/ formats/"
    [codec]="codec/ quantizer/ reduce/ compute/ formats/"
    [models]="models/ compute/"
    [bench]="bench/ codec/ quantizer/ reduce/ metrics/ formats/ compute/"
    [tools]="tools/"
    [samples]="samples/ tools/stroke_font.h"
    [tests]="tests/ bench/ codec/ quantizer/ reduce/ metrics/ runner/ formats/ compute/ models/ tools/"
    [vulkan_shaders]="vulkan_shaders/"
    [scripts]="scripts/"
)
# "file prefix" exceptions to the table, each with its reason.
allowed_includes() {
    case "$1 $2" in
    *) return 1 ;;
    esac
}
# Files over 800 lines, each with its reason.
allowed_length() {
    case "$1" in
    *) return 1 ;;
    esac
}

normal() { # a/b/../c -> a/c
    local part out=()
    local IFS=/
    for part in $1; do
        case "$part" in
        . | '') ;;
        ..) if [ ${#out[@]} -gt 0 ]; then unset 'out[-1]'; else out=(OUTSIDE); fi ;;
        *) out+=("$part") ;;
        esac
    done
    echo "${out[*]}"
}

declare -A seen
markers='T''ODO|F''IXME|X''XX|st''ub(s|bed)?'
sources=()
for f in "${files[@]}"; do
    name=${f##*/}
    folder=${f%%/*}
    # -- names: data that tests keep in case folders is named by its case
    case "$f" in
    tests/golden/* | tests/corrupt/* | tests/fuzz/*/* | README.md | */README.md | .ci/* | .gitignore | */.gitignore) ;;
    *)
        if [ -n "${seen[$name]:-}" ]; then say "$f:1: same file name as ${seen[$name]}"; fi
        seen[$name]=$f
        ;;
    esac
    case "$name" in
    *.c | *.h | *.comp | *.glsl | *.def | *.sh | *.py | *.cmake | *.S | *.md | *.txt | Makefile | *.in | *.json | run) ;;
    *) continue ;;
    esac
    case "$f" in
    tests/golden/* | tests/corrupt/* | tests/fuzz/*/*) continue ;;
    esac
    # -- layout
    if [ "$name" != Makefile ]; then
        while IFS=: read -r line _; do say "$f:$line: tab"; done < <(grep -n $'\t' "$f")
    fi
    while IFS=: read -r line _; do say "$f:$line: blanks (or CR) at the end of the line"; done \
        < <(grep -nE '[[:blank:]'$'\r'']$' "$f")
    if [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ]; then say "$f:1: no newline at the end of the file"; fi
    # -- leftovers
    while IFS=: read -r line rest; do say "$f:$line: leftover marker: $rest"; done \
        < <(grep -nowE "$markers" "$f")
    while IFS=: read -r line rest; do say "$f:$line: path of a machine: $rest"; done \
        < <(grep -noE '(^|[^[:alnum:]_./])/(work|root|home)/[[:alnum:]_]+' "$f")
    # -- licence line and length
    case "$name" in
    *.md | *.txt | *.def | *.in | *.json) [ "$name" = CMakeLists.txt ] || continue ;;
    esac
    head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' || say "$f:1: no SPDX line in the first three"
    lines=$(wc -l <"$f")
    if [ "$lines" -gt 800 ] && ! allowed_length "$f"; then say "$f:800: $lines lines: wanted at most 800"; fi
    # -- arrows
    case "$name" in
    *.c | *.h | *.comp | *.glsl) ;;
    *) continue ;;
    esac
    case "$name" in *.c | *.h) sources+=("$f") ;; esac
    if [ -z "${may[$folder]:-}" ]; then
        say "$f:1: folder \"$folder\" has no line in the table of arrows"
        continue
    fi
    while IFS=: read -r line rest; do
        wanted=${rest#*\"}
        wanted=${wanted%%\"*}
        target=$(normal "${f%/*}/$wanted")
        if [ ! -f "$target" ]; then
            case "$folder" in # found by include path: the build folder's own, or the tests' support
            tests) [ -f "$wanted" ] && target=$wanted || target=tests/ ;;
            bench | compute | codec | formats) [[ "$wanted" == */* ]] || target=$folder/ ;;
            esac
        fi
        ok=no
        for prefix in ${may[$folder]}; do
            case "$target" in "$prefix"*) ok=yes ;; esac
        done
        if [ $ok = no ] && allowed_includes "$f" "$target"; then ok=yes; fi
        [ $ok = yes ] || say "$f:$line: $folder must not include $target"
        if [ "$target" = compute/op.h ]; then
            case "$f" in
            compute/* | tests/* | bench/*) ;;
            *) say "$f:$line: op.h is for the inside of compute" ;;
            esac
        fi
    done < <(grep -nE '^[[:blank:]]*#[[:blank:]]*include[[:blank:]]*"' "$f")
    # Inner headers are never reached around the rules with <>.
    while IFS=: read -r line rest; do say "$f:$line: inner header in <>: $rest"; done \
        < <(grep -nE '#[[:blank:]]*include[[:blank:]]*<(\.\.|compute|formats|quantizer|codec|metrics|bench|reduce|runner)/' "$f")
done

if command -v clang-format-14 >/dev/null && [ ${#sources[@]} -gt 0 ]; then
    while IFS= read -r f; do say "$f: not as clang-format-14 would write it (make format)"; done < <(
        clang-format-14 --dry-run --ferror-limit=1 "${sources[@]}" 2>&1 |
            sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: .*\[-Wclang-format-violations\]$/\1/p' | sort -u)
else
    echo "arrows: no clang-format-14 here: layout of C not compared"
fi

echo "arrows: ${#files[@]} files, $broken broken rules"
[ $broken -eq 0 ]
