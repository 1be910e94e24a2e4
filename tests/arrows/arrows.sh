#!/bin/bash
# SPDX-License-Identifier: MIT
# The rules of the house that a compiler does not hold: which folder may include which, no circles of
# files, no file name twice, no file that outgrew a reader, no leftovers, one licence line and one
# layout everywhere.
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

# Folder -> what its files may include from inside the tree: path prefixes, "!prefix" is left out
# again. <tessera/...> is for everyone. The longest row that a file's path begins with holds for it.
# Nobody else's folder is listed: a new folder needs a line here.
declare -A may=(
    [include]="include/"
    [compute]="compute/"
    [compute/cpu]="compute/ !compute/vulkan/"
    [compute/vulkan]="compute/ !compute/cpu/"
    [ops]="ops/ compute/ !compute/vulkan/"
    [formats]="formats/ compute/context.h compute/arena.h compute/tensor.h compute/threads.h"
    [datasets]="datasets/ formats/ media/picture_stream.h compute/context.h compute/arena.h compute/tensor.h compute/threads.h"
    [media]="media/ formats/file.h formats/file_names.h formats/json_text.h formats/out_folder.h formats/spool.h compute/context.h compute/arena.h compute/threads.h"
    [quantizer]="quantizer/ ops/ compute/"
    [reduce]="reduce/ quantizer/ ops/ compute/ formats/"
    [nn]="nn/ ops/ compute/ formats/weights/"
    [models]="models/ nn/ ops/ compute/ formats/"
    [towers]="towers/ nn/ ops/ compute/ formats/weights/"
    [metrics/judges]="metrics/judges/ nn/ ops/ compute/ formats/weights/ formats/utf8.h"
    [metrics]="metrics/ !metrics/judges/ models/ nn/ ops/ compute/ formats/ media/ reduce/text_distance.h"
    [codec/tokenizers]="codec/tokenizers/ nn/ quantizer/ ops/ compute/ formats/weights/"
    [codec]="codec/ !codec/tokenizers/ models/ nn/ quantizer/ reduce/ metrics/metrics.h datasets/ formats/ media/ ops/ compute/"
    [evaluation]="evaluation/ quantizer/rng.h codec/ !codec/tokenizers/ metrics/ models/ nn/ datasets/ formats/ media/ ops/ compute/"
    [batch]="batch/ codec/ !codec/tokenizers/ models/ nn/ datasets/ formats/ media/ ops/ compute/"
    [runner]="runner/ formats/ compute/context.h compute/tensor.h compute/clock.h"
    [verify]="verify/ evaluation/ codec/ towers/ models/ nn/ metrics/ quantizer/ reduce/ datasets/ formats/ media/ ops/ compute/"
    [bench]="bench/ batch/ evaluation/ codec/ towers/ models/ nn/ metrics/ quantizer/ reduce/ datasets/ formats/ media/ ops/ compute/"
    [tools]="tools/ !tools/samples/"
    [tools/samples]="tools/samples/"
    [tests]="tests/ bench/ verify/ batch/ evaluation/ codec/ towers/ models/ nn/ metrics/ quantizer/ reduce/ runner/ datasets/ formats/ media/ ops/ compute/ tools/"
    [vulkan_shaders]="vulkan_shaders/"
    [scripts]="scripts/"
    [python]="python/"
)
# Lines of "file target": includes beyond the table, each with its reason.
allowed_includes=""
# Lines of "units: reason". A unit is a stem: x.c with x.h. A circle is allowed when one line has all
# of its units.
allowed_circles="
compute/device compute/op compute/run: device.h is the face of compute; device.c, behind it, sees the inside (run.h), which is made of what the face declares"
# Lines of "file": longer than 800 lines, each with its reason.
allowed_long="
tests/corrupt/corrupt_token_file.c one table of faults with the code that makes each"

# -- names: data that tests keep in case folders is named by its case
while IFS= read -r line; do say "$line"; done < <(
    printf '%s\n' "${files[@]}" |
        grep -vE '^tests/(golden|corrupt)/|^tests/fuzz/.*/|(^|/)(README\.md|\.gitignore)$|^\.ci/' |
        awk -F / '{ if ($NF in seen) print $0 ":1: same file name as " seen[$NF]; else seen[$NF] = $0 }')

texts=()
for f in "${files[@]}"; do
    case "$f" in
    *.c | *.h | *.sh) ;;
    tests/golden/* | tests/corrupt/* | tests/fuzz/*/*) continue ;;
    esac
    case "${f##*/}" in
    *.c | *.h | *.comp | *.glsl | *.def | *.sh | *.bash | *.py | *.cmake | *.S | *.md | *.txt | Makefile | *.in | *.json | run)
        texts+=("$f")
        if [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ]; then say "$f:1: no newline at the end of the file"; fi
        ;;
    esac
done

markers='T''ODO|F''IXME|X''XX|st''ub|st''ubs|st''ubbed'
normal='
    function normal(path,   n, part, i, out, depth) { # a/b/../c -> a/c
        n = split(path, part, "/")
        depth = 0
        for (i = 1; i <= n; i++) {
            if (part[i] == "" || part[i] == ".") continue
            if (part[i] == ".." && depth == 0) return "outside the tree"
            if (part[i] == "..") depth--
            else out[++depth] = part[i]
        }
        path = out[1]
        for (i = 2; i <= depth; i++) path = path "/" out[i]
        return path
    }'
arrows=$(for folder in "${!may[@]}"; do echo "$folder=${may[$folder]}"; done)
# One pass over every text; ENVIRON carries the tables, so that nothing is quoted twice.
while IFS= read -r line; do say "$line"; done < <(
    ARROWS=$arrows FILES=$(printf '%s\n' "${files[@]}") MARKERS=$markers LONG=$allowed_long \
    AROUND=$allowed_includes awk "$normal"'
    function ends(text, tail) { return substr(text, length(text) - length(tail) + 1) == tail }
    function finish() {
        if (file == "") return
        if (source && !licensed) print file ":1: no SPDX line in the first three"
        if (source && last > 800 && !(file in long)) print file ":800: " last " lines: wanted at most 800"
    }
    BEGIN {
        n = split(ENVIRON["ARROWS"], row, "\n")
        for (i = 1; i <= n; i++) { at = index(row[i], "="); may[substr(row[i], 1, at - 1)] = substr(row[i], at + 1) }
        n = split(ENVIRON["FILES"], row, "\n")
        for (i = 1; i <= n; i++) exists[row[i]] = 1
        n = split(ENVIRON["LONG"], row, "\n")
        for (i = 1; i <= n; i++) { split(row[i], word, " "); long[word[1]] = 1 }
        n = split(ENVIRON["AROUND"], row, "\n")
        for (i = 1; i <= n; i++) { split(row[i], word, " "); around[word[1], word[2]] = 1 }
        marker = "(^|[^A-Za-z0-9_])(" ENVIRON["MARKERS"] ")([^A-Za-z0-9_]|$)"
        machine = "(^|[^A-Za-z0-9_./$}])/(work|root|home)/[A-Za-z0-9_]"
    }
    FNR == 1 {
        finish()
        file = FILENAME
        folder = index(file, "/") ? substr(file, 1, index(file, "/") - 1) : ""
        name = file
        sub(/.*\//, "", name)
        row_of = folder
        for (row_name in may)
            if (index(file, row_name "/") == 1 && length(row_name) > length(row_of)) row_of = row_name
        code = ends(name, ".c") || ends(name, ".h") || ends(name, ".comp") || ends(name, ".glsl") || ends(name, ".S")
        source = name == "CMakeLists.txt" || !(name ~ /\.(md|txt|def|in|json)$/)
        licensed = 0
        if (code && !(folder in may)) {
            print file ":1: folder \"" folder "\" has no line in the table of arrows"
            code = 0
        }
    }
    { last = FNR }
    FNR <= 3 && /SPDX-License-Identifier: MIT/ { licensed = 1 }
    /\t/ && name != "Makefile" { print file ":" FNR ": tab" }
    /[ \t\r]$/ { print file ":" FNR ": blanks (or CR) at the end of the line" }
    $0 ~ marker { print file ":" FNR ": leftover marker: " $0 }
    # grep -q leaves at the first match; what still writes to it dies, and pipefail calls that a failure.
    (ends(name, ".sh") || name == "Makefile") && /[^|]\|[ \t]*grep( -[A-Za-z]+)* -[A-Za-z]*q/ {
        print file ":" FNR ": a pipe into grep -q: wanted grep -q ... <(command)"
    }
    $0 ~ machine { print file ":" FNR ": path of a machine: " $0 }
    code && /^[ \t]*#[ \t]*include[ \t]*</ && /<(\.\.|compute|ops|formats|media|quantizer|reduce|nn|models|towers|codec|metrics|verify|bench|runner)\// {
        print file ":" FNR ": inner header in <>: " $0
    }
    code && /^[ \t]*#[ \t]*include[ \t]*"/ {
        wanted = $0
        sub(/^[^"]*"/, "", wanted)
        sub(/".*/, "", wanted)
        dir = file
        sub(/\/[^\/]*$/, "", dir)
        target = normal(dir "/" wanted)
        if (!(target in exists)) {
            # Found by include path: the tests see the root of the tree and their own support;
            # elsewhere a bare name is something the build has made.
            if (folder == "tests" && (wanted in exists)) target = wanted
            else if (!index(wanted, "/")) target = folder "/"
        }
        ok = (file, target) in around
        n = split(may[row_of], prefix, " ")
        for (i = 1; i <= n && !((file, target) in around); i++) {
            if (index(target, prefix[i]) == 1) ok = 1
            if (index(prefix[i], "!") == 1 && index(target, substr(prefix[i], 2)) == 1) ok = 0
        }
        if (!ok) print file ":" FNR ": " row_of " must not include " target
        if (target == "compute/op.h" && folder != "compute" && folder != "ops" && folder != "tests" && folder != "bench")
            print file ":" FNR ": op.h is for the inside of compute"
    }
    END { finish() }' "${texts[@]}")

# -- circles: includes between units, tests left out
units=()
for f in "${texts[@]}"; do
    case "$f" in
    tests/*) ;;
    *.c | *.h | *.comp | *.glsl) units+=("$f") ;;
    esac
done
while IFS= read -r line; do say "$line"; done < <(
    FILES=$(printf '%s\n' "${units[@]}") CIRCLES=$allowed_circles awk "$normal"'
    function stem(path) { sub(/\.[a-z]*$/, "", path); return path }
    function visit(from, unit,   i) { # every unit that `unit` leads to can be reached from `from`
        for (i = 1; i <= count[unit]; i++)
            if (!((from, target[unit, i]) in reached)) {
                reached[from, target[unit, i]] = 1
                visit(from, target[unit, i])
            }
    }
    function is_allowed(circle,   n, i, k, all, unit) {
        n = split(circle, unit, " ")
        for (i = 1; i <= rows; i++) {
            all = 1
            for (k = 1; k <= n; k++) all = all && index(" " allowed[i] " ", " " unit[k] " ")
            if (all) return 1
        }
        return 0
    }
    BEGIN {
        rows = split(ENVIRON["CIRCLES"], allowed, "\n")
        for (i = 1; i <= rows; i++) sub(/:.*/, "", allowed[i])
        n = split(ENVIRON["FILES"], row, "\n")
        for (i = 1; i <= n; i++) exists[row[i]] = 1
    }
    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        wanted = $0
        sub(/^[^"<]*["<]/, "", wanted)
        sub(/[">].*/, "", wanted)
        dir = FILENAME
        if (!sub(/\/[^\/]*$/, "", dir)) dir = "."
        to = index(wanted, "tessera/") == 1 ? "include/" wanted : normal(dir "/" wanted)
        from = stem(FILENAME)
        if (!(to in exists) || stem(to) == from || (from, stem(to)) in tie) next
        if (!(from in count)) name[++names] = from
        target[from, ++count[from]] = stem(to)
        tie[from, stem(to)] = FILENAME ":" FNR ": include of " to
    }
    END {
        for (u = 1; u <= names; u++) visit(name[u], name[u])
        for (u = 1; u <= names; u++) {
            a = name[u]
            if (!((a, a) in reached) || a in shown) continue
            circle = ""
            for (v = 1; v <= names; v++)
                if ((a, name[v]) in reached && (name[v], a) in reached) {
                    shown[name[v]] = 1
                    circle = circle " " name[v]
                }
            if (is_allowed(circle)) continue
            n = split(circle, unit, " ")
            for (i = 1; i <= n; i++)
                for (k = 1; k <= n; k++)
                    if ((unit[i], unit[k]) in tie)
                        print tie[unit[i], unit[k]] " is part of a circle of files:" circle
        }
    }' "${units[@]}" </dev/null)

sources=()
for f in "${texts[@]}"; do
    case "$f" in *.c | *.h) sources+=("$f") ;; esac
done
if command -v clang-format-14 >/dev/null && [ ${#sources[@]} -gt 0 ]; then
    while IFS= read -r f; do say "$f: not as clang-format-14 would write it (make format)"; done < <(
        clang-format-14 --dry-run --ferror-limit=1 "${sources[@]}" 2>&1 |
            sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: .*\[-Wclang-format-violations\]$/\1/p' | sort -u)
else
    echo "left out: no clang-format-14: the layout of C is not looked at"
fi

echo "arrows: ${#files[@]} files, $broken broken rules"
[ $broken -eq 0 ]
