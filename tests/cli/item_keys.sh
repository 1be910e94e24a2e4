#!/bin/bash
# SPDX-License-Identifier: MIT
# Keys of items: what a name becomes, names that cannot be keys, equal keys, paths, and the folders that
# decode makes of them; and ids as they are stored.
. "$(dirname "$0")/../support/cli.bash"

keys() { "$TESSERA" info "$1" --json | python3 -c 'import json, sys; print(" ".join(i["key"] for i in json.load(sys.stdin)["items"]))'; }
mkdir -p a b c/d
picture a/x.ppm 40 30 1
picture b/x.ppm 41 30 2
picture c/d/x.ppm 42 30 3
picture y.ppm 43 30 4

# equal keys are said before the work, with the pictures' names
run encode a/x.ppm b/x.ppm y.ppm -o e.tess -k 4 --device cpu -f
code_is 0
is "keys" "x.ppm x.ppm y.ppm" "$(keys e.tess)"
is "first line" "tessera encode: warning: 2 pictures have the key 'x.ppm': a/x.ppm, b/x.ppm" "$(head -1 err)"
grep -q "^1 of the keys was there before; --key path tells folders apart$" err || complain "$last: $(cat err)"
run encode y.ppm y.ppm -o e.tess -k 4 --device cpu -f --json
code_is 0
err_empty # one picture, named again
is "equal keys" 1 "$(json 'd["equal_keys"]')"
run encode a/x.ppm b/x.ppm c/d/x.ppm -o e.tess -k 4 --device cpu -f --json -q
code_is 0
err_empty
is "equal keys" 2 "$(json 'd["equal_keys"]')"
run decode e.tess -o equal/ --device cpu -f -q
code_is 0
is "no picture replaced another" "x-2.png x-3.png x.png" "$(echo $(ls equal))"

# --key path
run encode a/x.ppm b/x.ppm c/d/x.ppm y.ppm -o p.tess -k 4 --device cpu -f --key path
code_is 0
is "lines" 2 "$(wc -l <err)"
is "paths" "a/x.ppm b/x.ppm c/d/x.ppm y.ppm" "$(keys p.tess)"
run decode p.tess -o paths --device cpu -f -q
code_is 0
is "folders" "a/x.png b/x.png c/d/x.png y.png" "$(cd paths && echo $(find . -type f | sed 's,^./,,' | LC_ALL=C sort))"
for i in a/x b/x c/d/x; do
    "$TESSERA" decode p.tess --item $i.ppm -o one.png --device cpu -f -q
    cmp -s one.png paths/$i.png || complain "item $i.ppm is another picture"
    rm -f one.png
done
run encode ./a//x.ppm "$PWD/b/x.ppm" a/../c/./d/x.ppm ../"$(basename "$PWD")"/y.ppm -o q.tess -k 4 --device cpu -f --key path -q
code_is 0
is "paths made relative" "a/x.ppm ${PWD#/}/b/x.ppm c/d/x.ppm $(basename "$PWD")/y.ppm" "$(keys q.tess)"
cd c
run encode ../a/x.ppm ../../x/../y.ppm -o ../r.tess -k 4 --device cpu -f --key path -q
cd ..
[ -e r.tess ] && complain "a picture that is not there was encoded"
(cd c && "$TESSERA" encode ../a/x.ppm ../b/x.ppm -o ../r.tess -k 4 --device cpu -f --key path -q) || complain "encode from a folder below"
is "paths above" "a/x.ppm b/x.ppm" "$(keys r.tess)"
fails 2 "--key: wanted name, path, stem or auto, got 'paths'; did you mean 'path'" encode y.ppm -o x.tess --key paths

# a folder and a picture of one name
mkdir -p n/p.png
cp a/x.ppm n/p.png/x.ppm
cp a/x.ppm n/p.ppm
(cd n && "$TESSERA" encode p.ppm p.png/x.ppm -o ../n.tess -k 4 --device cpu -f --key path -q) || complain "encode"
run decode n.tess -o n.dir/ --device cpu -f -q
code_is 0
is "both are there" 2 "$(find n.dir -type f | wc -l)"

# control characters become '_', and that is said before the first picture is read
cp y.ppm $'t\tt.ppm'
cp y.ppm $'n\nn.ppm'
cp y.ppm $'d\177d.ppm'
run encode $'t\tt.ppm' y.ppm $'n\nn.ppm' $'d\177d.ppm' -o t.tess -k 4 --device cpu -f
code_is 0
is "keys" "t_t.ppm y.ppm n_n.ppm d_d.ppm" "$(keys t.tess)"
is "lines about names" 3 "$(grep -c '^tessera encode: warning: .*: control characters in the name: its key is ' err)"
grep -q "t?t.ppm: control characters in the name: its key is 't_t.ppm'" err || complain "$last: $(cat err)"
grep -q "$(printf '\t')" err && complain "$last: a control character reached stderr"
run encode $'t\tt.ppm' nothere.ppm -o u.tess -k 4 --device cpu -f
code_is 3
is "said before reading" "tessera encode: warning: t?t.ppm: control characters in the name: its key is 't_t.ppm'" "$(head -1 err)"
run encode $'t\tt.ppm' -o u.tess -k 4 --device cpu -f --json -q
is "changed keys" 1 "$(json 'd["changed_keys"]')"
many=()
for i in $(seq 15); do cp y.ppm "$(printf 'm\t%d.ppm' $i)"; many+=("$(printf 'm\t%d.ppm' $i)"); done
run encode "${many[@]}" -o u.tess -k 4 --device cpu -f
is "many names" 11 "$(grep -c '^tessera encode: warning: ' err)"
grep -q "5 more names with control characters" err || complain "$last: $(cat err)"

# what cannot be a key at all is found before the first picture is read, all at once
deep=$(printf 'x%.0s' $(seq 200))
mkdir -p $deep/$deep/$deep/$deep/$deep/$deep
cp y.ppm $deep/$deep/$deep/$deep/$deep/$deep/1.ppm
cp y.ppm $deep/$deep/$deep/$deep/$deep/$deep/2.ppm
fails 2 "key: wanted at most 1024 bytes, got 2 pictures: xxx.*xxx, xxx" encode nothere.ppm $deep/$deep/$deep/$deep/$deep/$deep/[12].ppm -o u2.tess --key path --device cpu -f
absent u2.tess

# how ids are stored
run encode a/x.ppm -o raw.tess --coding raw --device cpu -f -q
code_is 0
run encode a/x.ppm -o auto.tess --device cpu -f -q
is "raw" raw "$("$TESSERA" info raw.tess --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["coding"])')"
cmp -s <("$TESSERA" info raw.tess --ids) <("$TESSERA" info auto.tess --ids) || complain "--coding raw changes ids"
[ "$(stat -c %s raw.tess)" -ge "$(stat -c %s auto.tess)" ] || complain "raw is smaller than the smallest"
fails 2 "--coding: wanted auto or raw, got 'zstd'" encode y.ppm -o x.tess --coding zstd

# --quality: how many are predicted out of reach is said, and names with -v
run encode a/x.ppm b/x.ppm y.ppm -o e.tess --quality 0.0001 --device cpu -f --key path
code_is 0
grep -q '^3 of 3 pictures (100 %) are predicted out of reach of --quality 0.0001 with all their ids; -v names them$' err || complain "$last: $(cat err)"
run encode a/x.ppm b/x.ppm y.ppm -o e.tess --quality 0.0001 --device cpu -f --key path -v
grep -qE '^b/x.ppm: predicted error 0\.[0-9]+ with its 256 tokens, out of reach of 0.0001$' err || complain "$last: $(cat err)"
run encode a/x.ppm y.ppm -o e.tess --quality 1 --device cpu -f --json -q
code_is 0
is "none out of reach" "0 0 False" "$(json '"%d %g %s" % (d["out_of_reach"], d["out_of_reach_share"], d["items"][0]["out_of_reach"])')"
is "a predicted error" True "$(json '0 < d["items"][0]["predicted_error"] < 1')"
run encode a/x.ppm -o e.tess -k 8 --device cpu -f --json -q
is "nothing predicted" False "$(json '"out_of_reach" in d or "predicted_error" in d["items"][0]')"
finish
