#!/bin/bash
# SPDX-License-Identifier: MIT
# Manual pages are made of the verbs' tables: every verb has one, with every option of --help; man(1)
# and mandoc find nothing to complain about; environment, files and exit codes are said in one place
# and are those of the sources and of docs/CLI.md.
. "$(dirname "$0")/../support/cli.bash"

verbs=$("$TESSERA" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for tool in groff mandoc; do
    command -v $tool >/dev/null || leave_out "no $tool to look at pages with"
done
# page FILE: no formatter says a word about it
page() {
    checks=$((checks + 1))
    if command -v groff >/dev/null; then
        groff -man -Tutf8 -ww -rLL=78n "$1" >shown 2>said
        [ ! -s said ] && [ -s shown ] || complain "$1: groff: $(head -3 said)"
    fi
    if command -v mandoc >/dev/null; then # pages have no date, so that a build can be repeated
        mandoc -Tlint -W warning "$1" | grep -v 'missing date' >said
        [ ! -s said ] || complain "$1: mandoc: $(head -3 said)"
    fi
}
flags() { grep -oE -- '(^|[ ,(])--?[a-zA-Z0-9][a-z-]*' | grep -oE -- '--?[a-zA-Z0-9][a-z-]*' | sort -u; }
options_of_help() { sed -n '/^\(Options\|Device\|General\):/,/^Exit codes:/s/^ \{2,6\}\(\(-[a-zA-Z0-9], \)\?--[a-z0-9-]*\).*/\1/p' | flags; }
options_of_page() { grep -A 1 '^\.TP' | grep -oE '^\\fB\\-.*' | sed 's/\\fI.*//; s/\\f[BR]//g; s/\\-/-/g' | flags; }

run help --man
code_is 0
err_empty
cp out tessera.1
page tessera.1
for verb in $verbs; do
    grep -q "^\.BR tessera\\\\-$verb (1)" tessera.1 || complain "tessera(1) does not name $verb"
    run help --man "$verb"
    code_is 0
    err_empty
    cp out "tessera-$verb.1"
    page "tessera-$verb.1"
    for title in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
        grep -q "^\.SH \"$title\"" out || complain "tessera-$verb(1): no $title"
    done
    {
        "$TESSERA" "$verb" --help
        for part in $("$TESSERA" "$verb" --help | sed -n "/^Parts:/,/^\$/s/^  $verb \([a-z-]*\) .*/\1/p"); do
            "$TESSERA" "$verb" "$part" --help
        done
    } | options_of_help >wanted
    options_of_page <"tessera-$verb.1" >got
    [ -s wanted ] || complain "$verb: no options in --help"
    is "options of tessera-$verb(1)" "$(cat wanted)" "$(cat got)"
done
fails 2 "unknown verb 'nope'" help --man nope
# "help VERB PART" is the part's own help.
run help codebook train
code_is 0
cp out first
run codebook train --help
cmp -s out first || complain "help codebook train and codebook train --help differ"
fails 2 "did you mean 'train'" help codebook trian

# Every variable the program and the library read is said, and no other.
rows_of() { sed -n "/^\.SH \"$1\"/,/^\.SH /p" tessera.1 | sed -n 's/^\\fB\(.*\)\\fR$/\1/p' | sed 's/\\-/-/g; s/\\(ti/~/g; s/\\&//g'; }
grep -rhoE '(getenv\(|\{)"[A-Z][A-Z_]+"' "$SOURCE"/{tools,models,codec,compute,formats,ops,nn,metrics,runner,verify,bench} --include='*.c' |
    grep -oE '[A-Z][A-Z_]+' | grep -E '^(HF_|HUGGING|XDG_|HOME|TESSERA_)' | sort -u >wanted
grep -q XDG_CACHE_HOME wanted || complain "no variable in the sources?"
# Those of other programs' libraries are for the reader alone.
rows_of ENVIRONMENT | tr -d ' ' | tr , '\n' | grep -vE '_proxy$|^VK_' | sort -u >got
is "variables of tessera(1)" "$(cat wanted)" "$(cat got)"
manual=$SOURCE/docs/CLI.md
for name in $(rows_of ENVIRONMENT | tr , ' '); do
    grep -q "^| .*\`$name\`" "$manual" || complain "docs/CLI.md: variable $name is missing"
done
rows_of FILES >names
[ -s names ] || complain "tessera(1): no files"
while read -r name; do grep -qF "\`$name\`" "$manual" || complain "docs/CLI.md: file $name is missing"; done <names
for code_number in $(rows_of 'EXIT STATUS'); do
    text=$("$TESSERA" --help | sed -n "s/^  $code_number  *\(.*\)/\1/p" | cut -c 1-30)
    grep -qF "| $code_number | $text" "$manual" || complain "docs/CLI.md: exit code $code_number is not: $text"
done

# What is installed is what the program prints.
if [ -d "$BUILD/manuals/man1" ]; then
    is "pages of the build" "$(printf '%s\n' tessera.1 $(for v in $verbs; do echo "tessera-$v.1"; done) | sort)" \
        "$(ls "$BUILD/manuals/man1" | sort)"
    cmp -s "$BUILD/manuals/man1/tessera-encode.1" tessera-encode.1 || complain "an old page in the build"
else
    leave_out "pages of the build (made by the target all)"
fi
finish
