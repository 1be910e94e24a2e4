#!/bin/bash
# SPDX-License-Identifier: MIT
# The command line itself: help, versions, unknown verbs, flags and values, and what docs/CLI.md says.
. "$(dirname "$0")/../support/cli.bash"

verbs=$("$TESSERA" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ] || complain "no verbs in --help"

# parts_of VERB: "train assign stats" of codebook, nothing where a verb has no parts
parts_of() {
    "$TESSERA" "$1" --help | sed -n "/^Parts:/,/^\$/s/^  $1 \([a-z-]*\) .*/\1/p"
}
is "parts of codebook" "train assign stats" "$(echo $(parts_of codebook))"

for name in --version -V version; do
    run $name
    code_is 0
    err_empty
    is "$name: first line" "tessera 0.1.0" "$(head -1 out)"
    out_has '^commit     ([0-9a-f]{12}(-dirty)?|unknown)$'
    out_has '^features   [+-][a-z0-9]+( [+-][a-z0-9]+)*$'
    out_has '^libraries  libpng [0-9.]+, '
    run $name --json
    code_is 0
    json_ok
    is "$name --json: version" "0.1.0 version" "$(json 'd["tessera"] + " " + d["verb"]')"
done
# A feature is one exactly when its library is linked.
for pair in jpeg:libjpeg heif:libheif archive:libarchive onednn:libdnnl fetch:libcurl serve:libmicrohttpd; do
    wanted=False
    grep -q "${pair#*:}" <(ldd "$TESSERA") && wanted=True
    is "feature ${pair%:*}" $wanted "$(json "d['features']['${pair%:*}']")"
done
is "libraries have versions" True "$(json 'all(v[:1].isdigit() for v in d["libraries"].values()) and len(d["libraries"]) > 2')"
fails 2 "^tessera: --version: wanted nothing behind it, or --json, got '--jsn'" --version --jsn
run
code_is 2
out_has '^Usage:'
run --help
code_is 0
out_has '^  130  interrupted'
run help
code_is 0
fails 2 "^tessera: unknown verb 'evla'; did you mean 'eval'\? \(see 'tessera --help'\)$" evla
fails 2 "^tessera: unknown verb 'qqqqqq' \(see 'tessera --help'\)$" qqqqqq
fails 2 "^tessera: unknown verb '--verson'; did you mean '--version'\?" --verson
fails 2 "^tessera: unknown verb 'hlep'; did you mean 'help'\?" hlep
fails 2 "^tessera: unknown verb 'compress'; 'encode' makes" compress
fails 2 "^tessera: unknown verb 'join'; 'merge' makes one token file of several" join
fails 2 "^tessera: unknown verb 'evaluate'; 'eval' compares" evaluate
fails 2 "^tessera: unknown verb 'encoed'; did you mean 'encode'" encoed
fails 2 "^tessera: unknown verb 'decoder'; did you mean 'decode'" decoder
# what a mistake says to a program: one document, whatever the mistake
wrong() {
    run "$@"
    code_is 2
    json_ok
    is "$last: error" "10 TSR_ERROR_ARGUMENT True" "$(json '"%d %s %s" % (d["error"]["status"], d["error"]["name"], len(d["error"]["detail"]) > 3)')"
}
wrong nope --json
is "verb of an unknown one" None "$(json 'd["verb"]')"
fails 2 "^tessera: unknown verb 'nope'" help nope

for verb in $verbs; do
    run "$verb" --help
    code_is 0
    err_empty
    out_has "^tessera $verb: "
    out_has '^Usage:'
    out_has '^Exit codes:'
    out_has '^Examples:'
    out_has '^      --json '
    cp out first
    run help "$verb"
    cmp -s out first || complain "help $verb and $verb --help differ"
    awk -v v="$verb" 'length($0) > 100 { print "FAILED: " v " --help: line over 100: " $0; bad = 1 } END { exit bad }' out ||
        failures=$((failures + 1))
    [ -n "$(parts_of "$verb")" ] && continue
    fails 2 "^tessera $verb: unknown option '--jsn'; did you mean '--json'\? \(see 'tessera $verb --help'\)$" "$verb" --jsn
    fails 2 "^tessera $verb: --threads: wanted a whole number from 1 to 1024, got 'many'" "$verb" --threads many
    fails 2 "^tessera $verb: --memory: wanted a size such as 500M or 2G, got '2T'" "$verb" --memory 2T
    wrong "$verb" --json --xyzzy
    is "verb" "$verb" "$(json 'd["verb"]')"
done
# One reader serves all verbs: ways of writing an option and its value, on one of them.
verb=encode
fails 2 "^tessera $verb: unknown option '--xyzzy'" "$verb" --xyzzy
fails 2 "^tessera $verb: unknown option '-Z'" "$verb" -Z
fails 2 "^tessera $verb: --threads: wanted a whole number from 1 to 1024, got '0'" "$verb" --threads=0
fails 2 "^tessera $verb: --threads: wanted a whole number from 1 to 1024, got '-1'" "$verb" --threads -1
fails 2 "^tessera $verb: --threads: a value N is missing" "$verb" --threads
fails 2 "^tessera $verb: --memory: wanted a size such as 500M or 2G, got '99999999999G'" "$verb" --memory 99999999999G
fails 2 "^tessera $verb: --json takes no value, got 'yes'" "$verb" --json=yes
wrong "$verb" --threads 0 --json
wrong "$verb" --json -Z

# Results that do not arrive are a failure.
"$TESSERA" --help >/dev/full 2>err
code=$? last="tessera --help >/dev/full"
code_is 3
err_is "tessera: standard output: No space left on device"

# docs/CLI.md names every verb and every flag of --help, and no others.
manual=$SOURCE/docs/CLI.md
if [ -f "$manual" ]; then
    is "verbs in docs/CLI.md" "$(echo $verbs)" "$(echo $(sed -n 's/^## tessera \([a-z]*\)$/\1/p' "$manual"))"
    flags_of_help() { grep -oE '^ {2,6}(-[a-zA-Z0-9], )?--[a-z-]+' | grep -oE '\-\-[a-z-]+' | grep -vxE -- '--(json|quiet|verbose|threads|memory|help|device|mask|precision|force)' | sort -u; }
    flags_of_manual() { # of one section
        awk -v heading="$1" '$0 == heading { on = 1; next } /^##/ { on = 0 } on' "$manual" |
            grep -E '^\| `' | grep -oE '`(-[a-zA-Z0-9], )?--[a-z-]+' | grep -oE '\-\-[a-z-]+' | sort -u
    }
    for verb in $verbs; do
        parts=$(parts_of "$verb")
        if [ -n "$parts" ]; then
            wrong "$verb" --json nope
            for part in $parts; do
                wrong "$verb" "$part" --json --xyzzy
                is "verb" "$verb $part" "$(json 'd["verb"]')"
                run "$verb" "$part" --help
                code_is 0
                out_has '^Examples:'
                is "flags of $verb $part" "$(flags_of_help <out)" \
                    "$(flags_of_manual "### tessera $verb $part")"
            done
        else
            is "flags of $verb" "$("$TESSERA" "$verb" --help | flags_of_help)" \
                "$(flags_of_manual "## tessera $verb")"
        fi
    done
    for flag in json quiet verbose threads memory help device mask precision force; do
        grep -qE "^\| \`(-[a-z0-9], )?--$flag" "$manual" || complain "docs/CLI.md: --$flag is missing"
    done
fi
finish
