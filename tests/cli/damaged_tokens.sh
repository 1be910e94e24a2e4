#!/bin/bash
# SPDX-License-Identifier: MIT
# Token files that were cut or damaged: what is whole in them comes out, each damaged place gets a line,
# the exit code is 1, and info, decode and cut say the same.
. "$(dirname "$0")/../support/cli.bash"

names=()
for i in 0 1 2 3; do
    picture p$i.ppm $((40 + i)) 30 $i
    names+=(p$i.ppm)
done
"$TESSERA" encode "${names[@]}" -o whole.tess -k 8 --device cpu -f -q || complain "encode"
"$TESSERA" decode whole.tess -o whole --device cpu -f -q || complain "decode"
offsets=($("$TESSERA" info whole.tess --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
at = d["header_bytes"]
for item in d["items"]:
    print(at)
    at += item["bytes"]
print(at)'))
# turn FILE BYTE...: a copy of whole.tess with one bit of each of these bytes turned
turn() {
    python3 - "$@" <<'PY'
import sys
d = bytearray(open("whole.tess", "rb").read())
for at in sys.argv[2:]:
    d[int(at)] ^= 4
open(sys.argv[1], "wb").write(d)
PY
}
# agree FILE PICTURES DAMAGED RECOVERED ITEMS...: all verbs about a file of which these items come out
agree() {
    local file=$1 written=$2 damaged=$3 recovered=$4 i
    shift 4
    # an expression of all that is looked at: each document starts Python once
    run info "$file" --json
    code_is 1
    is "info of $file: damaged, recovered, whole, places, entries and errors as counted" \
        "$damaged $recovered False $damaged True True" "$(json '"%d %s %s %d %s %s" % (
            d["damaged"], d["recovered"], d["whole"], len(d["damage"]), d["item_count"] == len(d["items"]),
            d["unreadable_items"] == sum("error" in i for i in d["items"]))')"
    run info "$file"
    code_is 1
    out_has '^integrity   not whole: '
    grep -q '^integrity   whole' out && complain "info $file: whole beside damage"
    rm -rf out.dir
    # a document, and in words a line for each damaged place and one at the end
    run decode "$file" -o out.dir/ --device cpu -f -q --json
    code_is 1
    is "decode of $file: written, damaged, recovered, whole, outputs, errors as counted" \
        "$written $damaged $recovered False $written True" "$(json '"%d %d %s %s %d %s" % (
            d["written"], d["damaged"], d["recovered"], d["whole"], sum("output" in p for p in d["pictures"]),
            d["unreadable_items"] == sum("error" in p for p in d["pictures"]))')"
    is "pictures of $file" "$(for i in "$@"; do echo p$i.png; done)" "$(ls out.dir 2>/dev/null)"
    for i in "$@"; do
        cmp -s out.dir/p$i.png whole/p$i.png || complain "decode $file: p$i.png differs"
    done
    is "lines about $file" $((damaged + 1)) "$(wc -l <err)"
    grep -qE "^tessera decode: $file: not whole: .*; $written pictures? written$" err || complain "$last: $(cat err)"
    rm -f cut.tess
    run cut "$file" -o cut.tess -k 8 --json
    code_is 1
    is "cut of $file" "$written $damaged $recovered False" "$(json '"%d %d %s %s" % (d["items"], d["damaged"], d["recovered"], d["whole"])')"
    if [ "$written" -gt 0 ]; then
        run info cut.tess --json
        code_is 0
        is "keys of the cut of $file" "$(for i in "$@"; do echo p$i.ppm; done)" "$(json '"\n".join(i["key"] for i in d["items"])')"
    else
        absent cut.tess
    fi
    no_leftovers
}
turn one.tess $((offsets[1] + 60))
agree one.tess 3 1 False 0 2 3
run decode one.tess -o lines/ --device cpu -f
grep -q "^tessera decode: item 1: checksum does not match: one.tess: item 1: byte ${offsets[1]}: wanted checksum" err || complain "$last: $(cat err)"
turn first-and-last.tess $((offsets[0] + 60)) $((offsets[3] + 60))
agree first-and-last.tess 2 2 False 1 2
turn header-of-chunk.tess $((offsets[2] + 9))
agree header-of-chunk.tess 3 1 False 0 1 3
turn all.tess $((offsets[0] + 60)) $((offsets[1] + 60)) $((offsets[2] + 60)) $((offsets[3] + 60))
agree all.tess 0 4 False
# without its end: what a broken download or a full disk leaves
head -c $((offsets[2] + 30)) whole.tess >cut-in-an-item.tess
agree cut-in-an-item.tess 2 0 True 0 1
head -c $((offsets[2] + 10)) whole.tess >cut-in-a-chunk-header.tess
agree cut-in-a-chunk-header.tess 2 0 True 0 1
head -c ${offsets[4]} whole.tess >cut-before-the-index.tess
agree cut-before-the-index.tess 4 0 True 0 1 2 3
head -c -1 whole.tess >cut-by-a-byte.tess
agree cut-by-a-byte.tess 4 0 True 0 1 2 3
head -c ${offsets[0]} whole.tess >nothing-left.tess
agree nothing-left.tess 0 0 True
# both at once, and damage of the index alone
head -c ${offsets[3]} one.tess >cut-and-damaged.tess
agree cut-and-damaged.tess 2 1 True 0 2
run decode cut-and-damaged.tess -o lines/ --device cpu -f
grep -q "^tessera decode: checksum does not match: cut-and-damaged.tess: byte ${offsets[1]}: an item with a wrong checksum is left out$" err || complain "$last: $(cat err)"
turn index.tess $((offsets[4] + 25))
agree index.tess 4 1 True 0 1 2 3
# a stretch of zeros over two items, as a lost block of a disk leaves
python3 - "${offsets[1]}" "${offsets[3]}" <<'PY'
import sys
d = bytearray(open("whole.tess", "rb").read())
a, b = int(sys.argv[1]) + 40, int(sys.argv[2]) - 10
d[a:b] = bytes(b - a)
open("zeros.tess", "wb").write(d)
PY
agree zeros.tess 2 2 False 0 3

# a single picture
"$TESSERA" cut whole.tess --item 1 -o single.tess -q || complain "cut --item"
cp whole.tess kept.tess
cp single.tess whole.tess
turn single-damaged.tess $((offsets[0] + 60))
mv kept.tess whole.tess
run decode single-damaged.tess -o single.png --device cpu -f
code_is 1
absent single.png
no_leftovers

# choosing items, of whole and of damaged files
run decode whole.tess --item 2 -o two.png --device cpu -f -q
code_is 0
cmp -s two.png whole/p2.png || complain "$last: another picture"
run decode whole.tess --item p1.ppm --item 3 -o some/ --device cpu -f -q
code_is 0
is "chosen pictures" "p1.png p3.png" "$(echo $(ls some))"
run decode one.tess --item 0,2-3 -o good/ --device cpu -f
is "chosen pictures of a damaged file" "p0.png p2.png p3.png" "$(echo $(ls good))"
run decode one.tess --item 1 -o bad.png --device cpu -f
code_is 1
absent bad.png
fails 2 "item: wanted a number from 0 to 3, a range of them, or a key, got 'p9.ppm'$" decode whole.tess --item p9.ppm -o x.png --device cpu -f
absent x.png
"$TESSERA" decode - --item p3.ppm -o - --device cpu -f <whole.tess 2>err | cmp -s - whole/p3.png || complain "decode - --item -o -: another picture"

# items that the model cannot have made cost themselves alone, and a file of such an item is a failure
tess wide.tess items=1 count=300 columns=400
run decode wide.tess -o wide.png --device cpu -f
[ "$code" -ge 4 ] || complain "$last: exit code $code"
absent wide.png
finish
