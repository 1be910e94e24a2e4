#!/bin/bash
# SPDX-License-Identifier: MIT
# encode over folders, lists, archives and pipes: the same pictures give the same ids however they come;
# keys; what a bad one costs; options that do not fit.
. "$(dirname "$0")/../support/cli.bash"

grep -q '+archive' <("$TESSERA" --version) || skip "this build was made without libarchive"
keys() { "$TESSERA" info "$1" --json | python3 -c 'import json, sys; print(" ".join(i["key"] for i in json.load(sys.stdin)["items"]))'; }
ids() { # ids FILE: what the items hold, without their keys
    "$TESSERA" info "$1" --npy - | sha256sum
}
mkdir -p p/cat p/dog/sub
picture p/cat/x2.ppm 40 30 1
picture p/cat/x10.ppm 41 30 2
picture p/dog/x2.ppm 42 30 3
picture p/dog/sub/y.ppm 43 30 4
picture p/cat/.hidden.ppm 44 30 5
echo text >p/notes.txt
common=(-k 4 --device cpu -f)
in_order="p/cat/x2.ppm p/cat/x10.ppm p/dog/sub/y.ppm p/dog/x2.ppm"

# by name, as a folder, as a list, as an archive: the same ids
run encode $in_order -o named.tess "${common[@]}" --key path -q
code_is 0
run encode p -o folder.tess "${common[@]}"
code_is 0
is "keys of a folder" "cat/x2.ppm cat/x10.ppm dog/sub/y.ppm dog/x2.ppm" "$(keys folder.tess)"
is "ids of a folder" "$(ids named.tess)" "$(ids folder.tess)"
run encode p/ "${common[@]}" -q # beside the folder
code_is 0
cmp -s p.tess folder.tess || complain "the output beside a folder is another file"
run encode p -o k.tess "${common[@]}" --key stem -qq
is "stems" "x2 x10 y x2" "$(keys k.tess)"
run encode p -o k.tess "${common[@]}" -v
grep -q "p: 1 files that are no pictures by their suffix are left out" err || complain "$last: $(cat err)"
printf '%s\n' $in_order >list
printf '%s\0' $in_order >zeros
run encode --files-from list -o list.tess "${common[@]}" -q
code_is 0
cmp -s named.tess list.tess || complain "a list gives another file"
"$TESSERA" encode --files-from - -0 -o zeros.tess "${common[@]}" -q <zeros || complain "encode -0"
cmp -s named.tess zeros.tess || complain "a list on stdin gives another file"
tar cf in.tar $in_order
for name in in.tar in.tar.gz in.tar.zst; do
    case $name in *.gz) gzip -k in.tar ;; *.zst) zstd -qk in.tar 2>/dev/null || { leave_out "no zstd to pack with"; continue; } ;; esac
    run encode $name -o tar.tess "${common[@]}" -q
    code_is 0
    is "keys of $name" "p/cat/x2 p/cat/x10 p/dog/sub/y p/dog/x2" "$(keys tar.tess)"
    is "ids of $name" "$(ids named.tess)" "$(ids tar.tess)"
    "$TESSERA" encode - -o stdin.tess "${common[@]}" -q <$name || complain "encode - <$name"
    cmp -s tar.tess stdin.tess || complain "$name on stdin gives another file"
done
run encode in.tar.gz "${common[@]}" -q # beside the archive, without both suffixes
code_is 0
[ -e in.tess ] || complain "$last: wanted in.tess"
cat $in_order | "$TESSERA" encode - -o pipe.tess "${common[@]}" -q || complain "encode - of pictures"
is "ids of a pipe" "$(ids named.tess)" "$(ids pipe.tess)"

# a folder of shards, as img2dataset leaves it
mkdir shards
tar cf shards/00000.tar p/cat/x2.ppm p/cat/x10.ppm
tar cf shards/00001.tar p/dog/sub/y.ppm p/dog/x2.ppm
touch shards/00000.parquet shards/00000_stats.json
run encode shards -o shards.tess "${common[@]}" -q
code_is 0
cmp -s tar.tess shards.tess || complain "shards give another file than one archive"

# attributes: keys that no picture has are said
printf 'key\tlabel\ncat/x2.ppm\t3\nmouse\t4\nrat\t5\n' >a.tsv
run encode p -o a.tess "${common[@]}" --attributes a.tsv --labels folder
code_is 0
is "said" "tessera encode: warning: a.tsv: no picture has 2 of its keys: 'mouse', 'rat'" "$(head -1 err)"
printf 'ox\t6\ncow\t7\n' >>a.tsv
run encode p -o a2.tess "${common[@]}" --attributes a.tsv --json
code_is 0
is "JSON" "{'count': 4, 'first': ['mouse', 'rat', 'ox']}" "$(json 'd["unused_keys"]')"
err_has "a.tsv: no picture has 4 of its keys: 'mouse', 'rat', 'ox', \.\.\.\$"
printf 'key\tlabel\nx\n' >bad.tsv
fails 4 'bad.tsv:2: wanted 2 fields as in the first line, got 1' encode p -o x.tess "${common[@]}" --attributes bad.tsv
fails 3 'nothere.jsonl' encode p -o x.tess "${common[@]}" --attributes nothere.jsonl
fails 2 'a.csv: wanted attributes in a .tsv or .jsonl file' encode p -o x.tess "${common[@]}" --attributes a.csv

# a file of a list that is not there is a bad picture
printf 'p/cat/x2.ppm\nnothere.ppm\np/dog\n' >holes
fails 3 'holes:2: nothere.ppm: No such file or directory' encode --files-from holes -o x.tess "${common[@]}"
absent x.tess
run encode --files-from holes -o holes.tess "${common[@]}" --on-error skip --json
code_is 1
is "failed" 1 "$(json 'd["failed"]')"
is "input" nothere.ppm "$(json 'd["failures"][0]["input"]')"
is "keys" "p/cat/x2.ppm sub/y.ppm x2.ppm" "$(keys holes.tess)"

"$TESSERA" encode --files-from - -o x.tess "${common[@]}" <holes 2>err
grep -q 'standard input:2: nothere.ppm: No such file' err || complain "a list on stdin: $(cat err)"

# bad samples of an archive, and one that is cut: the others are encoded
mkdir w
cp p/cat/x2.ppm w/a.ppm
cp p/cat/x10.ppm w/b.ppm
cp p/cat/x10.ppm w/b.pnm
echo caption >w/c.txt
cp p/dog/x2.ppm w/d.ppm
echo broken >w/e.png
(cd w && tar cf ../w.tar a.ppm b.ppm b.pnm c.txt d.ppm e.png)
run encode w.tar -o w.tess "${common[@]}" --on-error skip --json
code_is 1
is "keys" "a d" "$(keys w.tess)"
is "inputs" "w.tar:b w.tar:c w.tar:e" "$(json '" ".join(f["input"] for f in d["failures"])')"
is "lines" 3 "$(wc -l <err)"
head -c 9000 in.tar >cut.tar
run encode cut.tar p/dog/x2.ppm -o cut.tess "${common[@]}" --on-error skip
code_is 1
is "keys" "p/cat/x2 x2.ppm" "$(keys cut.tess)"
grep -q 'cut.tar: wanted a whole tar archive .*, got one that is cut at p/cat/x10.ppm' err || complain "$last: $(cat err)"
run encode cut.tar -o x.tess "${common[@]}" # what was done is kept
code_is 4
absent x.tess
is "keys" "p/cat/x2" "$(keys x.partial.tess)"
# names that no key may hold: control characters become '_', paths that leave a folder are bad samples
cp p/dog/x2.ppm $'w/n\nn.ppm'
(cd w && tar cf ../names.tar $'n\nn.ppm' a.ppm && tar rPf ../names.tar ../p/dog/x2.ppm "$PWD/d.ppm")
run encode names.tar -o names.tess "${common[@]}" --on-error skip
code_is 1
is "keys" "n_n a" "$(keys names.tess)"
grep -q "warning: names.tar: control characters in the names of 1 members: '_' stands for them in keys" err || complain "$last: $(cat err)"
is "lines of bad keys" 2 "$(grep -c 'names.tar: .*: key: wanted a' err)"
: >empty.tar
fails 4 'empty.tar: wanted a tar archive .*, got 0 bytes' encode empty.tar -o x.tess "${common[@]}"
echo "no archive" >no.tar
fails 4 'no.tar: wanted a whole tar archive' encode no.tar -o x.tess "${common[@]}"
absent x.tess

# command lines
fails 2 'IN is missing' encode -o x.tess
fails 2 '\-o OUT.tess is missing' encode --files-from list
fails 2 "\-: wanted once among the inputs, got twice" encode - --files-from - -o x.tess "${common[@]}"
fails 2 'list' encode --files-from list -o list "${common[@]}"
is "the list is as it was" "$in_order" "$(echo $(cat list))"
fails 3 'nothere' encode --files-from nothere -o x.tess "${common[@]}"
no_leftovers
finish
