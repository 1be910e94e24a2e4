#!/bin/bash
# SPDX-License-Identifier: MIT
# Folders of token files: totals, checking, merging and splitting.
. "$(dirname "$0")/../support/cli.bash"

mkdir in
tess in/a.tess items=2 keys=a0,a1 attributes=1
tess in/b.tess items=3 keys=b0,b1,b2 attributes=1 key_index=1
tess in/.hidden.tess
echo text >in/notes.txt

# totals of a folder; every id of these files differs but for those of equal item numbers
run info in
code_is 0
err_empty
out_is 'folder      in
files       2
items       5
tokens      50, 800 bits
bytes       '"$(($(stat -c %s in/a.tess) + $(stat -c %s in/b.tess)))"'
tokenizer   mosaic-256 (family 1), weights 0123456789abcdef: 2 files
codes       30 of 64000 used (0.0 %)
perplexity  28.7 of 64000 (2^entropy of how often each code is used)
integrity   whole'
run info in --json
code_is 0
json_ok
is "keys" "bits bytes damage damaged damaged_files files folder items lost_attributes recovered tessera tokenizers tokens unreadable_items verb whole" "$(json '" ".join(sorted(d))')"
is "use" "1 30 2 5" "$(json '"%d %d %d %d" % (len(d["tokenizers"]), d["tokenizers"][0]["codes_used"], d["tokenizers"][0]["files"], d["items"])')"
# 20 codes twice, 10 once, of 50: the entropy by hand
is "perplexity" "True" "$(json 'abs(d["tokenizers"][0]["perplexity"] - 2 ** (20 * .04 * __import__("math").log2(25) + 10 * .02 * __import__("math").log2(50))) < 1e-9')"
tess in/c.tess weights=7 items=1
run info in
code_is 0
err_has '^tessera info: in: 2 tokenizers: ids of one mean nothing to another$'
out_has 'weights 0000000000000007: 1 file$'
rm in/c.tess
tess in/v.tess channels=3 name=cont
run info in -qq
code_is 0
out_has '^codes       none: continuous, 3 channels$'
rm in/v.tess

# checking
run info --check in
code_is 0
err_empty
out_is '2 files, 5 items, 50 tokens: whole'
run info --check -v in in/a.tess
out_is 'in/a.tess: whole; 2 items, 20 tokens
in/b.tess: whole; 3 items, 30 tokens
in/a.tess: whole; 2 items, 20 tokens
3 files, 7 items, 70 tokens: whole'
cp -r in bad
python3 - <<'PY'
d = bytearray(open("bad/b.tess", "rb").read())
at = [i for i in range(len(d)) if d[i:i + 4] == b"ITEM"]
d[at[1] + 30] ^= 1
open("bad/b.tess", "wb").write(d)
d = open("bad/a.tess", "rb").read()
open("bad/cut.tess", "wb").write(d[:-40])
open("bad/no.tess", "wb").write(b"nothing")
PY
run info --check bad
code_is 1
out_is 'bad/b.tess: not whole: 1 item unreadable; 2 items, 20 tokens
bad/cut.tess: not whole: index missing, items found by scanning, 0 damaged chunks left out; 2 items, 20 tokens
bad/no.tess: not readable as a token file; 0 items, 0 tokens
4 files, 6 items, 60 tokens: 3 damaged'
run info --check bad --json -qq
code_is 1
json_ok
is "damaged files" "3 4 False ['bad/b.tess', 'bad/cut.tess', 'bad/no.tess']" "$(json '"%d %d %s %s" % (d["damaged_files"], d["file_count"], d["whole"], [f["file"] for f in d["files"] if not f["whole"]])')"
is "damage" "1 b.tess" "$(json '"%d %s" % (d["files"][1]["damage"][0]["item"], "b.tess" if "b.tess: item 1" in d["files"][1]["damage"][0]["error"] else d["files"][1]["damage"])')"
run info bad -qq
code_is 1
out_has '^integrity   not whole: 3 of 4 files cut or damaged$'
# an index of keys that is well made and belongs to other keys
python3 - "$SOURCE/tests/support" <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[1])
import make_tess
d = make_tess.make(key_index=1)
at = d.index(b"KEYS")
keys = struct.pack("<QQQQ", 1, 0, 2, 1)
open("lie.tess", "wb").write(d[:at] + make_tess.chunk(b"KEYS", keys, 0) + d[at + 24 + 32:])
PY
run info lie.tess
code_is 0
run info --check lie.tess -q
code_is 1
is "lines of the keys" "2" "$(grep -c 'its key is not where the index of keys says' err)"
fails 3 "nothere" info --check in nothere
fails 2 "wanted one FILE.tess or DIR, got 2; --check takes several" info in/a.tess in/b.tess
fails 2 "for one file, without a folder" info in --ids
fails 2 "for one file, without --check" info in/a.tess --check --item 0

# merging: what writing all of it would have given
run merge in/a.tess in/b.tess -o m.tess
code_is 0
out_empty
err_is "m.tess: 5 items, 50 tokens from 2 files"
run info --ids m.tess
cp out merged
for f in a b; do "$TESSERA" info --ids in/$f.tess; done | awk '{ n[$2 == 0 && NR > 1]++; if ($2 == 0) item = NR == 1 ? 0 : item + 1; $1 = item; print }' >wanted
cmp -s merged wanted || complain "merge: ids: $(diff merged wanted | head -4)"
run info --json m.tess
is "keys and attributes" "a0 a1 b0 b1 b2 train cat 0 dog ä -1 cat 0 dog ä -1 cat -2 False" "$(json '" ".join([i["key"] for i in d["items"]] + [d["attributes"]["split"]] + ["%s %d" % (i["attributes"]["label"], i["attributes"]["n"]) for i in d["items"]] + [str(d["key_index"])])')"
run merge in -o n.tess -q
cmp -s m.tess n.tess || complain "merging a folder is not merging its files"
run merge in/b.tess in/a.tess -o k.tess -q
run info k.tess
out_has 'with an index of keys$' # as the first has
run merge in -o k.tess -f --key-index --json
code_is 0
json_ok
is "document" "5 50 0 0 2" "$(json '"%d %d %d %d %d" % (d["items"], d["tokens"], d["equal_keys"], d["dropped_attributes"], len(d["inputs"]))')"
run info --key b1 --json k.tess
is "found" "[3]" "$(json '[i["index"] for i in d["items"]]')"
"$TESSERA" merge in -o - 2>err | cmp -s - m.tess || complain "merge -o - is not the file"

# equal keys and other attributes are said
tess s.tess items=2 keys=b1,new attributes=1 split=test
run merge in s.tess -o e.tess -q
code_is 0
is "lines" "2" "$(wc -l <err)"
grep -q "^tessera merge: e.tess: 1 item with the key of one before; first item 5, as item 3 ('b1')$" err || complain "equal keys: $(cat err)"
grep -q "^tessera merge: e.tess: 1 attribute of files with another value in a file before: the first was kept$" err || complain "attributes: $(cat err)"
run info --json e.tess
is "the first value" "train 7" "$(json '"%s %d" % (d["attributes"]["split"], d["item_count"])')"

# headers must agree
for change in weights=7 name=mosaic-128 columns=64 family=2 nested=0; do
    tess x.tess $change
    fails 5 "x.tess: .*: wanted .* as in in/a.tess, got " merge in x.tess -o x2.tess
    absent x2.tess
done
fails 5 "x.tess: nested: wanted 1 as in in/a.tess, got 0$" merge in x.tess -o x2.tess
fails 2 "^tessera merge: -o OUT.tess is missing" merge in
fails 2 "wanted an output that is not the input" merge in/a.tess in/b.tess -o in/b.tess -f
fails 3 "m.tess; -f replaces it" merge in -o m.tess
fails 3 "nothere" merge in nothere.tess -o y.tess
fails 2 "wanted a file, got a pipe" merge - in/a.tess -o y.tess
fails 4 "no.tess" merge bad/no.tess in/a.tess -o y.tess
absent y.tess
run merge bad/a.tess bad/b.tess bad/cut.tess -o g.tess
code_is 1
grep -q '^tessera merge: 2 of 3 files cut or damaged; 6 items written$' err || complain "damaged inputs: $(cat err)"
run info --check g.tess
out_is '1 file, 6 items, 60 tokens: whole'

# splitting: the parts are what they were made of
run split m.tess -o parts --items 2
code_is 0
out_empty
err_is "parts: 3 files, 5 items, 50 tokens"
is "names" "m-00000.tess m-00001.tess m-00002.tess" "$(ls parts | xargs)"
run merge parts -o back.tess -q
cmp -s m.tess back.tess || complain "split and merged, a file is another"
run info --json parts/m-00002.tess
is "the last part" "1 b2 train" "$(json '"%d %s %s" % (d["item_count"], d["items"][0]["key"], d["attributes"]["split"])')"
run split k.tess -o two --parts 2 --json
code_is 0
json_ok
is "document" "2 5" "$(json '"%d %d" % (d["files"], d["items"])')"
is "sizes" "3 2" "$(for f in two/*; do "$TESSERA" info $f | sed -n 's/^items *//p'; done | xargs)"
run info two/k-00001.tess
out_has 'with an index of keys$' # as the whole has
fails 3 "parts/m-00000.tess: .*; -f replaces it" split m.tess -o parts --items 5
is "untouched" "3" "$(ls parts | wc -l)"
run split m.tess -o parts --items 2 -f -q --key-index
code_is 0
run info parts/m-00001.tess
out_has 'with an index of keys$'
"$TESSERA" split - -o piped --parts 1 -q <m.tess
cmp -s piped/stdin-00000.tess m.tess || complain "split of stdin"
tess empty.tess items=0
run split empty.tess -o none --items 10 -q
code_is 0
is "an empty file is one part" "empty-00000.tess" "$(ls none | xargs)"
run split bad/b.tess -o b --parts 3
code_is 1
is "of a damaged file" "1 0 1" "$(for f in b/*; do "$TESSERA" info $f | sed -n 's/^items *//p'; done | xargs)"
fails 2 "parts: wanted at most 5, got 6" split m.tess -o six --parts 6
absent six
fails 2 "^tessera split: --items N or --parts N is missing" split m.tess -o p
fails 2 "give one of them" split m.tess -o p --items 1 --parts 1
fails 2 "^tessera split: -o DIR is missing" split m.tess --items 1
cp m.tess parts/self-00000.tess
cp m.tess self-00000.tess
cp m.tess self.tess
mkdir onto && ln -s ../self.tess onto/self-00000.tess
fails 2 "self-00000.tess: output: wanted a file that is not an input" split self.tess -o onto --parts 1 -f
fails 3 "m.tess: wanted a folder, got a file" split m.tess -o m.tess --parts 1 -f
no_leftovers
finish
