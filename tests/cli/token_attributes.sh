#!/bin/bash
# SPDX-License-Identifier: MIT
# Attributes and the index of keys in info and cut, on files that another writer made; and what damage
# to them costs.
. "$(dirname "$0")/../support/cli.bash"

tess a.tess attributes=1 key_index=1 items=3
tess plain.tess items=3
run info a.tess
code_is 0
out_has '^attribute   split = train$'
out_has '^format      tess 1.2, with an index of keys$'
out_has '^integrity   whole$'
is "the first lines" "file attribute items" "$(head -3 out | awk '{print $1}' | xargs)"
run info -v a.tess
code_is 0
is "lines of item 1" "blob = (2 bytes),label = dog ä,n = -1" "$(sed -n '/photo1.png$/,/photo2.png$/p' out | sed '1d;$d' | sed 's/^ *//' | paste -sd,)"
run info --json a.tess
code_is 0
json_ok
is "attributes of the file" "{'split': 'train'}" "$(json 'd["attributes"]')"
is "attributes of items" "cat 0 AAA= dog ä -1 AAE= cat -2 AAI=" "$(json '" ".join("%s %d %s" % (i["attributes"]["label"], i["attributes"]["n"], i["attributes"]["blob"]["base64"]) for i in d["items"])')"
is "key index" "True" "$(json 'd["key_index"]')"
run info --json plain.tess
is "none" "{} {} False 0" "$(json '"%s %s %s %d" % (d["attributes"], d["items"][0]["attributes"], d["key_index"], d["version_minor"])')"

# by key, also where the key is a number
tess keys.tess items=4 keys=1,b.png,1,0 key_index=1
for file in keys.tess plain2.tess; do
    tess plain2.tess items=4 keys=1,b.png,1,0
    run info --key b.png --json "$file"
    is "by key" "[1]" "$(json '[i["index"] for i in d["items"]]')"
    run info --key 1 --json "$file"
    is "the first of equal keys" "[0]" "$(json '[i["index"] for i in d["items"]]')"
    run info --item 1 --json "$file"
    is "a number is a number" "[1]" "$(json '[i["index"] for i in d["items"]]')"
    run info --key 0 --item 2-3 --key b.png --json "$file"
    is "both" "[1, 2, 3]" "$(json '[i["index"] for i in d["items"]]')"
    fails 3 "^tessera info: .*$file: key: wanted one of the file, got 'c.png'" info --key c.png "$file"
done

# a copy keeps them; other bytes, the same values
run cut a.tess -o b.tess --item 1-2 -q
code_is 0
run info --json b.tess
is "kept" "train dog ä -1 cat -2 True" "$(json '" ".join([d["attributes"]["split"]] + ["%s %d" % (i["attributes"]["label"], i["attributes"]["n"]) for i in d["items"]] + [str(d["key_index"])])')"
run cut a.tess -o same.tess -k 200 -q
cmp -s a.tess same.tess || complain "cutting nothing changed the file"
# through a pipe, where nothing can be written again at the end
"$TESSERA" cut a.tess -k 200 -o - 2>err | cmp -s - a.tess || complain "cut -o - is not the file"

# damaged attributes cost themselves
python3 - <<'PY'
d = bytearray(open("a.tess", "rb").read())
at = [i for i in range(len(d)) if d[i:i + 4] == b"ATTR"]
for name, where in ("item", at[2] + 30), ("file", at[0] + 30), ("chunk", at[2] + 9):
    c = bytearray(d)
    c[where] ^= 1
    open(name + ".tess", "wb").write(c)
c = bytearray(d)
c[bytes(d).index(b"KEYS") + 30] ^= 1
open("nokeys.tess", "wb").write(c)
PY
for file in item chunk; do
    run info $file.tess
    code_is 1
    out_has '^integrity   not whole: 1 item without attributes$'
    err_has "^tessera info: item 1: .*$file.tess: item 1: byte [0-9]*: damaged attributes are left out$"
    run info --json $file.tess
    code_is 1
    is "its entry" "photo1.png {} 0 1 1 False" "$(json '"%s %s %d %d %d %s" % (d["items"][1]["key"], d["items"][1]["attributes"], d["unreadable_items"], d["lost_attributes"], d["damaged"], d["whole"])')"
    run info --ids $file.tess -qq
    cp out ids
    run info --ids a.tess
    cmp -s out ids || complain "ids of a file with damaged attributes differ"
    run cut $file.tess -o c.tess -k 200 -f
    code_is 1
    run info --json c.tess
    code_is 0
    is "copied" "3 [3, 0, 3]" "$(json '"%d %s" % (d["item_count"], [len(i["attributes"]) for i in d["items"]])')"
done
run info file.tess
code_is 1
err_has 'attributes with a wrong checksum are left out$'
grep -q split out && complain "damaged attributes of the file are shown"
run info nokeys.tess --key photo2.png
code_is 1
err_has 'an index of keys with a wrong checksum is left out$'
out_has 'photo2.png$'
run cut nokeys.tess -o again.tess -k 200 -qq
code_is 1
cmp -s again.tess a.tess || complain "a copy does not make the index of keys again"

# what would drive the terminal does not reach it
python3 - "$SOURCE/tests/support" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
import make_tess
text = make_tess.make(attributes=1, split="a\x1b[2Jb\0c" + "x" * 300)
open("evil.tess", "wb").write(text)
PY
run info evil.tess
code_is 0
grep -q $'\x1b' out && complain "an escape sequence of an attribute reached stdout"
out_has '^attribute   split = a\?\[2Jb\?cx*\.\.\. \(308 bytes\)$'
run info --json evil.tess
json_ok
is "text" "308" "$(json 'len(d["attributes"]["split"])')"
# decode: every picture is there, and it is said which items lost their attributes
for i in 0 1 2; do picture d$i.ppm 64 64 $i; done
printf 'key\tlabel\nd0.ppm\t4\nd1.ppm\t5\nd2.ppm\t6\n' >labels.tsv
run encode d0.ppm d1.ppm d2.ppm -o labels.tess --attributes labels.tsv -k 16 --device cpu
code_is 0
python3 - <<'PY'
d = bytearray(open("labels.tess", "rb").read())
at = [i for i in range(len(d)) if d[i:i + 4] == b"ATTR"]
assert len(at) == 3
d[at[1] + 26] ^= 1
open("lost.tess", "wb").write(d)
PY
run decode lost.tess -o pictures --device cpu --json
code_is 1
is "what decode says" "3 0 1 False [None, None, None] [1]" "$(json '"%d %d %d %s %s %s" % (d["written"], d["unreadable_items"], d["lost_attributes"], d["whole"], [p.get("error") for p in d["pictures"]], [x["item"] for x in d["damage"]])')"
for i in 0 1 2; do [ -s pictures/d$i.png ] || complain "no pictures/d$i.png"; done
run decode lost.tess --item 1 -o one.png --device cpu
code_is 1
grep -q 'item 1: .*damaged attributes are left out$' err || complain "$last: $(cat err)"
grep -q 'not whole: 1 item without attributes; 1 picture written$' err || complain "$last: $(cat err)"
run decode lost.tess --item 0 -o zero.png --device cpu
code_is 0
finish
