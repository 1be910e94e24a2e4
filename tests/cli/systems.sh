#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/SYSTEMS.md: every row has a command or a reason, every command runs, what it calls proof is there, and every
# operator of the program stands in it.
. "$(dirname "$0")/../support/cli.bash"

page=${SYSTEMS_PAGE:-$SOURCE/docs/SYSTEMS.md} # another page shows that this test fails
picture photo.ppm 128 96 1
python3 - <<'PY'
data = open("photo.ppm", "rb").read()
at = data.index(b"255\n") + 4
noisy = bytes(min(255, max(0, b + (i * 7919 >> 4) % 5 - 2)) for i, b in enumerate(data[at:]))
open("noisy.ppm", "wb").write(data[:at] + noisy)
PY
python3 "$SOURCE/tests/support/system_inputs.py" || complain "system_inputs.py"
for model in flextok/tiny-a karl/vqgan-tiny; do
    "$BUILD/make_weights" "$SOURCE/tests/golden/$model/manifest.json" "${model%/*}.safetensors" || complain "make_weights"
done

# The rows of both tables: number (or -), command (or nothing), reason, proofs, divided by a unit separator.
python3 - "$page" >rows 2>wrong <<'PY'
import re, sys
number = 0
for line in open(sys.argv[1], encoding="utf-8"):
    if not line.startswith("| ") or line.startswith(("| # ", "| what it is ")):
        continue
    cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
    numbered = cells[0].isdigit()
    number += numbered
    if numbered and int(cells[0]) != number:
        print("row %d is called %s" % (number, cells[0]), file=sys.stderr)
    here, proof = (cells[3], cells[4]) if numbered else (cells[1], cells[2])
    command = re.fullmatch(r"`(tessera .*)`", here)
    reason = re.fullmatch(r"none: (.+)", here)
    if not command and not reason:
        print("row %s: wanted a command or a reason, got %r" % (cells[0], here), file=sys.stderr)
    proofs = re.findall(r"`([^`]+)`", proof)
    if command and not proofs:
        print("row %s: wanted a proof, got %r" % (cells[0], proof), file=sys.stderr)
    print("\x1f".join([cells[0] if numbered else "-", command.group(1) if command else "",
                       reason.group(1) if reason else "", " ".join(proofs)]))
PY
while read -r line; do complain "$line"; done <wrong
is "systems" 66 "$(grep -c -a '^[0-9]' rows)"
is "systems without a command" "8 33 40" "$(awk -F '\037' '$1 != "-" && $2 == "" { printf "%s%s", n++ ? " " : "", $1 }' rows)"

# Every command, in a folder of its own that holds the inputs.
mkdir bin
ln -s "$TESSERA" bin/tessera
PATH=$PWD/bin:$PATH
inputs=$PWD
while IFS=$'\037' read -r number command reason proofs; do
    for proof in $proofs; do
        checks=$((checks + 1))
        case $proof in
        operators/*) grep -q "^OPERATOR_CASE(\"${proof#operators/}\"," "$SOURCE/verify/operator_cases.def" ;;
        test_*) [ -f "$SOURCE/tests/unit/$proof.c" ] ;;
        *.sh) [ -f "$SOURCE/tests/cli/$proof" ] ;;
        *) grep -qE "^(tree|shared) +$proof " "$SOURCE/tests/golden/cases.txt" ;;
        esac || complain "row $number: the proof $proof is not there"
    done
    [ -n "$command" ] || continue
    checks=$((checks + 1))
    mkdir work
    ln -s "$inputs"/*.safetensors "$inputs"/*.ppm "$inputs"/*.jsonl "$inputs"/*.npy work
    (cd work && bash -c "$command") >out 2>err </dev/null
    code=$?
    [ $code = 0 ] || complain "row $number: $command: exit code $code: $(tail -1 err)"
    for output in $(grep -oE -- '-o [^ ]+' <<<"$command" | cut -c 4-); do
        [ -s "work/$output" ] || complain "row $number: $command: no $output"
    done
    # the same with one thread and with three
    if [[ $command == *"tessera reduce"* && $code = 0 ]]; then
        for threads in 1 3; do
            mkdir again
            ln -s "$inputs"/*.safetensors "$inputs"/*.ppm "$inputs"/*.jsonl "$inputs"/*.npy again
            (cd again && bash -c "${command//tessera reduce/tessera reduce --threads $threads}") >/dev/null 2>&1 </dev/null
            for output in $(grep -oE -- '-o [^ ]+\.safetensors' <<<"$command" | cut -c 4-); do
                cmp -s "work/$output" "again/$output" || complain "row $number: $output differs with $threads threads"
            done
            rm -rf again
        done
    fi
    rm -rf work
done <rows

# Every column that an operator reads stands in TOKEN_SETS.md.
"$TESSERA" reduce --list --json | python3 -c 'import json, sys
for o in json.load(sys.stdin)["operators"]:
    for c in (o["columns"] or "").split(): print(c)' | sort -u >columns
is "columns" 0 "$([ -s columns ]; echo $?)"
while read -r name; do
    checks=$((checks + 1))
    grep -q "^| .*\`$name\`.* | .* |$" "$SOURCE/docs/TOKEN_SETS.md" || complain "the column $name is not in TOKEN_SETS.md"
done <columns

# Every operator stands in a command.
for verb in reduce plan; do
    "$TESSERA" $verb --list --json | python3 -c 'import json, sys
for o in json.load(sys.stdin)["operators"]: print(o["name"])' >names
    is "a list of $verb" 0 "$([ -s names ]; echo $?)"
    while read -r name; do
        checks=$((checks + 1))
        grep -qE "(--op |plan .*|[0-9] )$name([: ]|$)" <(cut -d $'\037' -f 2 rows) || complain "$name stands in no command"
    done <names
done
finish
