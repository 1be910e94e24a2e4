# SPDX-License-Identifier: MIT
# What the scripts of tests/cli share: run the program, look at exit code, stdout and stderr.
#   . "$(dirname "$0")/../support/cli.bash"
# leaves the shell in an empty folder of its own, removed at the end.
set -u
: "${TESSERA:?the program to test}"
: "${BUILD:=$(dirname "$TESSERA")}"
: "${SOURCE:?the source tree}"
# What a user has set for tools of the same habits.
unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_HOME HF_HUB_OFFLINE HF_ENDPOINT HF_TOKEN
here=$(mktemp -d) || exit 1
cd "$here" || exit 1
trap 'rm -rf "$here"' EXIT
failures=0
checks=0

# Where python3 is a script that looks for the one wanted (pyenv), looking takes longer than most of what is
# asked of it: once is enough.
if [ "$(head -c 2 "$(command -v python3)" 2>/dev/null)" = "#!" ]; then
    found_python=$(python3 -S -c 'import os, sys; print(os.path.dirname(sys.executable))')
    PATH=${found_python:+$found_python:}$PATH
fi

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# run ARGS...: the program; leaves $code, and the files out and err.
run() {
    last="tessera $*"
    "$TESSERA" "$@" >out 2>err </dev/null
    code=$?
}

code_is() {
    checks=$((checks + 1))
    [ "$code" = "$1" ] || complain "$last: exit code: wanted $1, got $code; stderr: $(head -c 600 err)"
}

# The whole of stdout.
out_is() {
    checks=$((checks + 1))
    printf '%s\n' "$1" | cmp -s - out || complain "$last: stdout: wanted
$1
got
$(head -c 2000 out)"
}

out_empty() {
    checks=$((checks + 1))
    [ ! -s out ] || complain "$last: stdout: wanted nothing, got $(head -c 300 out)"
}

out_has() {
    checks=$((checks + 1))
    grep -qE -- "$1" out || complain "$last: stdout: wanted a line like '$1', got $(head -c 1200 out)"
}

# The whole of stderr, one line.
err_is() {
    checks=$((checks + 1))
    [ "$(cat err)" = "$1" ] || complain "$last: stderr: wanted
$1
got
$(head -c 2000 err)"
}

err_empty() {
    checks=$((checks + 1))
    [ ! -s err ] || complain "$last: stderr: wanted nothing, got $(head -c 600 err)"
}

# One line that matches, and no other line.
err_has() {
    checks=$((checks + 1))
    if [ "$(wc -l <err)" != 1 ]; then
        complain "$last: stderr: wanted one line, got $(head -c 1200 err)"
    elif ! grep -qE -- "$1" err; then
        complain "$last: stderr: wanted a line like '$1', got $(cat err)"
    fi
}

# fails CODE PATTERN ARGS...: this exit code, one line on stderr, nothing on stdout but, with --json, the
# error as a document where stdout was not to be the output.
fails() {
    local wanted=$1 pattern=$2
    shift 2
    run "$@"
    code_is "$wanted"
    err_has "$pattern"
    case " $* " in
    *" --npy - "* | *" -o - "* | *" -o /dev/"* | *" -o /proc/"*) out_empty ;;
    *" --json "*) json_ok ;;
    *) out_empty ;;
    esac
}

# No temporary file may be left in the folder.
no_leftovers() {
    checks=$((checks + 1))
    local left
    left=$(find "${1:-.}" -name '*tmp*' -o -name '*.part' | head -3)
    [ -z "$left" ] || complain "$last: left behind: $left"
}

absent() {
    checks=$((checks + 1))
    [ ! -e "$1" ] || complain "$last: wanted no file $1"
}

# Python's start is most of what these ask of it: without its site's packages (-S) it takes a fraction.
json_ok() { # out is one JSON document
    checks=$((checks + 1))
    python3 -S -c 'import json,sys; json.load(open("out"))' 2>json_error ||
        complain "$last: stdout is not JSON: $(tail -1 json_error); $(head -c 300 out)"
}

# json EXPRESSION: prints a value of the document d in `out`
json() {
    python3 -S -c 'import json,sys; d=json.load(open("out")); print(eval(sys.argv[1]))' "$1"
}

is() { # is WHAT WANTED GOT
    checks=$((checks + 1))
    [ "$2" = "$3" ] || complain "$1: wanted '$2', got '$3'"
}

# picture FILE WIDTH HEIGHT [SEED]: a smooth coloured picture with a few edges, as PPM.
picture() {
    python3 -S - "$@" <<'PY'
import sys
name, w, h = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = int(sys.argv[4]) if len(sys.argv) > 4 else 1
# A row at a time: squares of 16 pixels, raised by 60 in turn, of which the first of a row is or is not.
raised = [bytes((x >> 4 ^ first) & 1 for x in range(w)) for first in (0, 1)]
red = [bytes((x * (3 + s) // 2 + 60 * up) & 255 for x, up in enumerate(row)) for row in raised]
ramp = bytes(range(256)) * (w // 256 + 2)
rows, row = bytearray(), bytearray(3 * w)
for y in range(h):
    first, green, blue = y >> 4 & 1, y * 2 + s * 40, (y + s * 7) & 255
    row[0::3] = red[first]
    row[1::3] = raised[first].translate(bytes((green & 255, (green + 60) & 255)) + bytes(254))
    row[2::3] = ramp[blue:blue + w]
    rows += row
open(name, "wb").write(b"P6\n%d %d\n255\n" % (w, h) + rows)
PY
}

# tess FILE [name=value ...]: a token file that the library had no hand in, see make_tess.py.
tess() {
    python3 -S "$SOURCE/tests/support/make_tess.py" "$@"
}

# skip REASON: what the script needs is not there; before any check. A script of which only a part
# needs it is two scripts.
skip() {
    echo "skipped: $*"
    exit 77
}

# One element among others (a moment, a tool) that was not met; scripts/test-summary.sh counts these.
leave_out() {
    echo "left out: $*"
}

# built_with PART: whether this build has an optional part (JPEG, "JPEG 2000", Vulkan), by the features that
# --version names; says what is left out where it has not.
built_with() {
    local part=${1// /}
    [ "$part" != JPEGXL ] || part=JXL
    "$TESSERA" --version | grep -qiE "^features .*\+$part( |\$)" && return
    leave_out "this build was made without $1"
    return 1
}

finish() {
    echo "$checks checks, $failures failed"
    [ "$failures" = 0 ] || exit 1
    [ "$checks" -gt 0 ] || exit 1
    exit 0
}
