#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera export and import: the command line, what is refused before a byte is written, what happens to
# outputs that exist, vocabularies, splits, pipes, several tiles, damaged inputs.
. "$(dirname "$0")/../support/cli.bash"

cat >lines.jsonl <<'END'
{"key": "a/1.png", "shape": [2, 3], "label": 3, "caption": "one", "camera": "x", "ids": [0, 1, 2, 3, 4, 99]}
{"key": "a/2.png", "shape": [2, 3], "label": -4, "caption": "", "ids": [5, 6, 7, 8, 9, 10]}
{"key": "b", "shape": [2, 3], "label": 0, "caption": "two", "ids": [99, 0, 99, 0, 99, 0]}
END
fails 2 'FORMAT is missing' export x.tess -o data
fails 2 'OUT is missing' export x.tess --to npy
fails 2 "format: wanted one of npy, npz, .*, got csv" export x.tess -o data --to csv
fails 2 "format: wanted one of .*titok-jsonl, liquid, got csv" import lines.jsonl -o x.tess --from csv -k 100
fails 2 'codebook-size N is missing' import lines.jsonl -o x.tess --from jsonl
fails 2 'columns N is missing beside --rows' import lines.jsonl -o x.tess --from jsonl -k 100 --rows 2
fails 2 'says the codebook size' import lines.jsonl -o x.tess --from jsonl -k 100 --like y.tess
fails 2 'column: wanted ids=NAME' import lines.jsonl -o x.tess --from jsonl -k 100 --column tokens
fails 2 "split: wanted NAME=WEIGHT, got 'x'" export x.tess -o data --to npy --split x
fails 3 'nowhere.jsonl: open' import nowhere.jsonl -o x.tess --from jsonl -k 100
absent x.tess

run import lines.jsonl -o x.tess --from jsonl -k 100 --json
code_is 0
err_empty
is "report" "3 18 2 3 0 []" "$(json '" ".join(str(d[k]) for k in ("items", "tokens", "rows", "columns", "failed", "failures"))')"
fails 3 'output exists: x.tess; -f replaces it' import lines.jsonl -o x.tess --from jsonl -k 100
run info x.tess
out_has '^geometry +grid'

# a type that is too small, a layout or a column that is none: before anything appears
for wrong in "4 dtype:.wanted.a.type.that.megatron.has,.got.u32|--to megatron --dtype u32" \
    "2 dtype:.wanted.u8|--to npy --dtype f32" "2 dtype:.wanted.none|--to jsonl --dtype u16" \
    "2 layout:.wanted.one.of|--to npz --layout flat" "2 layout:.wanted.none|--to npy --layout flat" \
    "2 names:.wanted|--to jsonl --column ids=a/b" "2 splits:.wanted.a.name|--to npy --split ../x=1" \
    "2 name:.wanted.letters|--to datatrove --name a/b" "2 -:.wanted.a.folder|--to npy -o -"; do
    read -r code pattern <<<"${wrong%%|*}"
    read -ra options <<<"${wrong#*|}"
    [[ " ${options[*]} " = *" -o "* ]] || options+=(-o data)
    fails "$code" "$pattern" export x.tess "${options[@]}"
    absent data
done
run import lines.jsonl -o big.tess --from jsonl -k 70000 -q
fails 4 'dtype: wanted a type that holds ids up to 69999, got u16, which ends at 65535' export big.tess -o data --to npy --dtype u16
fails 4 'holds ids up to 69999, got i16' export big.tess -o data --to megatron --dtype i16
absent data
no_leftovers

# what exists: kept without -f; with -f an export is replaced, anything else is not
run export x.tess -o data --to npy --json
code_is 0
is "report" "3 18 u16" "$(json '" ".join(str(d[k]) for k in ("items", "tokens", "dtype"))')"
is "files" "a/1.png.npy a/2.png.npy b.npy tessera.json" "$(cd data && find . -type f | sed 's|^\./||' | sort | xargs)"
is "card" "npy imported 100 3 18 None" \
    "$(python3 -c 'import json; d = json.load(open("data/tessera.json")); print(*(d[k] for k in ("format", "tokenizer", "codebook_size", "items", "tokens", "vocabulary")))')"
fails 3 'output exists: data.*; -f replaces it' export x.tess -o data --to npz
run export x.tess -o data/ --to npz -f
code_is 0
is "files" "data.npz tessera.json" "$(ls data | xargs)"
mkdir other && echo mine >other/file
fails 2 'wanted a new folder, an empty one, or one with a tessera.json' export x.tess -o other --to npy -f
is "a folder of someone else's" mine "$(cat other/file)"
echo file >plain
fails 2 'wanted the name of a folder, got that of a file' export x.tess -o plain --to npy -f
cp x.tess data/inside.tess
fails 2 'data: wanted a folder without the inputs, got that of data/inside.tess' export data/inside.tess -o data --to npy -f
fails 2 'data: wanted a folder without the inputs' export data -o data --to npy -f
[ -f data/inside.tess ] || complain "an input was deleted"
rm data/inside.tess
fails 3 'create in its folder' export x.tess -o nowhere/data --to npy
no_leftovers

# a folder of token files is their items in order; other tokenizers do not go together
mkdir -p shards/deep
cp x.tess shards/deep/0.tess
fails 5 'wanted tokens of imported \(100 codes' export shards big.tess -o out2 --to jsonl
fails 4 "key: wanted one of its own for jsonl, got 'a/1.png' again" export x.tess shards -o out2 --to jsonl
run export shards -o out2 --to megatron -q
code_is 0
fails 3 'wanted token files' export other -o out3 --to jsonl
absent out3

# keys with dots in WebDataset, and that two of them may become one
run export x.tess -o wds --to webdataset --json
code_is 0
is "changed keys" 2 "$(json 'd["changed_keys"]')"
err_has "2 keys: '_' stands for dots"
is "members" "a/1_png.cls a/1_png.json a/1_png.npy a/1_png.txt a/2_png.cls a/2_png.npy a/2_png.txt b.cls b.npy b.txt" \
    "$(python3 -c 'import tarfile; print(*tarfile.open("wds/shard-000000.tar").getnames())')"
printf '%s\n' '{"key": "a.b", "ids": [1]}' '{"key": "a_b", "ids": [2]}' >dots.jsonl
run import dots.jsonl -o dots.tess --from jsonl -k 100 -q
fails 4 "key 'a_b': with '_' for its dots it is another item's" export dots.tess -o out3 --to webdataset
absent out3
printf '%s\n' '{"key": "__x__/b", "ids": [1]}' >meta.jsonl
run import meta.jsonl -o meta.tess --from jsonl -k 100 -q
fails 4 "between __ and __" export meta.tess -o out3 --to webdataset
# a column is there for all items or for none, which is said
printf '%s\n' '{"key": "a", "label": 1, "ids": [1]}' '{"key": "b", "ids": [2]}' >labels.jsonl
run import labels.jsonl -o labels.tess --from jsonl -k 100 -q
for format in npz mds; do
    run export labels.tess -o labels --to $format -f -q
    code_is 0
    run export labels.tess -o labels --to $format -f
    err_says=$(grep -c 'label: 1 of 2 items have one, so there is no such column' err)
    is "$format says that it has no labels" 1 "$err_says"
done
printf '{"key": "a", "label": "cat", "ids": [1]}\n' >text.jsonl
run import text.jsonl -o text.tess --from jsonl -k 100 -q
run export text.tess -o labels --to mds -f
is "a label that is a text" 1 "$(grep -c 'label: 1 of 1 items have a text' err)"
# names of files: a key that is the folder of another one, one that is too long
printf '%s\n' '{"key": "a", "ids": [1]}' '{"key": "a.npy/b", "ids": [2]}' >paths.jsonl
run import paths.jsonl -o paths.tess --from jsonl -k 100 -q
fails 3 'a.npy/b.npy: create' export paths.tess -o out3 --to npy
absent out3
no_leftovers

# a vocabulary: an offset, begin and end, rows
cat >map.json <<'END'
{"name": "toy", "revision": "r1", "n_vocab": 70100, "blocks": [{"first_code": 0, "count": 100, "first_id": 70000}],
 "special": {"bos": 1, "boi": 2, "eoi": 3, "eol": 4}, "rows": {"eol_after": "between"}}
END
run export x.tess -o voc --to jsonl --vocabulary map.json -q
code_is 0
is "sequence" "[1, 2, 70000, 70001, 70002, 4, 70003, 70004, 70099, 3] [10]" \
    "$(python3 -c 'import json; d = json.loads(open("voc/part-00000.jsonl").readline()); print(d["ids"], d["shape"])')"
is "card" "toy r1 70100 70000 $(sha256sum <map.json | cut -d ' ' -f 1)" \
    "$(python3 -c 'import json; v = json.load(open("voc/tessera.json"))["vocabulary"]; print(*(v[k] for k in ("name", "revision", "n_vocab", "first_id", "sha256")))')"
fails 4 'holds ids up to 70099, got u16' export x.tess -o out3 --to npy --vocabulary map.json --dtype u16
run export x.tess -o voc2 --to megatron --vocabulary map.json --json
is "type by the vocabulary" i32 "$(json 'd["dtype"]')"
fails 4 'wanted a block of 70000 codes' export big.tess -o out3 --to npy --vocabulary map.json
sed 's/"between"/"none"/; s/"special": {[^}]*}/"special": {}/' map.json >offset.json
run export x.tess -o voc3 --to jsonl --vocabulary offset.json -q
is "an offset alone keeps the shape" "[2, 3] 70099" \
    "$(python3 -c 'import json; d = json.loads(open("voc3/part-00000.jsonl").readline()); print(d["shape"], d["ids"][-1])')"
# and the way back: the file that ids without a vocabulary give
run export x.tess -o codes --to jsonl -q
run import codes -o codes.tess --from jsonl --like x.tess -q
code_is 0
sed 's/"between"/"every"/; s/"special": {/&"eos": 5, /' map.json >every.json
run export x.tess -o voc4 --to webdataset --vocabulary every.json -q
for way in voc/jsonl/map voc2/megatron/map voc3/jsonl/offset voc4/webdataset/every; do
    IFS=/ read -r place form map <<<"$way"
    run import $place -o back-$place.tess --from $form --like x.tess --vocabulary $map.json -q
    code_is 0
    [ $form != jsonl ] || cmp -s codes.tess back-$place.tess || complain "$way: another file comes back"
    run info --ids --json codes.tess
    wanted=$(json '[i["ids"] for i in d["items"]]')
    run info --ids --json back-$place.tess
    is "ids of $way" "$wanted" "$(json '[i["ids"] for i in d["items"]]')"
done
run import voc -o found.tess --from jsonl -k 100 --vocabulary map.json --json
code_is 0
is "geometry of codes" "2 3" "$(json 'd["rows"], d["columns"]' | tr -d '(),')"
while IFS='|' read -r ids pattern; do
    printf '{"key": "bad", "ids": [%s]}\n{"key": "good", "ids": [1, 2, 70001, 4, 70002, 3]}\n' "$ids" >bad.jsonl
    run import bad.jsonl -o bad.tess --from jsonl -k 100 --columns 2 --rows 1 --vocabulary map.json -f --json
    code_is 1
    is "what is left" "1 1" "$(json 'd["items"], d["failed"]' | tr -d '(),')"
    grep -qE "bad.jsonl: item 0: $pattern" err || complain "$ids: $(cat err)"
done <<'END'
2, 70000, 3|id 0: wanted bos, 1, got 2$
1, 70000, 3|id 1: wanted boi, 2, got 70000$
1, 2, 70000|id 2: wanted eoi, 3, got 70000$
1, 2|id 2: wanted eoi, 3, got the end$
1, 2, 69999, 3|id 2: wanted a code, 70000 to 70099, got 69999$
1, 2, 1, 3|id 2: wanted a code, 70000 to 70099, got 1$
1, 2, 70000, 70001, 4, 70000, 3|id 5: wanted rows of 2 codes with eol between, got one of 1$
1, 2, 70000, 4, 3|id 3: wanted rows of 1 codes with eol between, got one of 1$
1, 2, 4, 70000, 3|id 2: wanted rows of 0 codes with eol between, got one of 0$
END
fails 4 'map.json: wanted a block of 200 codes' import voc -o out3.tess --from jsonl -k 200 --vocabulary map.json
fails 3 'nomap.json' import voc -o out3.tess --from jsonl -k 100 --vocabulary nomap.json
absent out3.tess
while IFS='|' read -r edit pattern; do
    sed "$edit" map.json >bad.json
    fails 4 "bad.json: .*$pattern" export x.tess -o out3 --to jsonl --vocabulary bad.json
done <<'END'
s/"n_vocab": 70100/"n_vocab": 70099/|a block of codes inside it
s/"bos": 1/"bos": 70000/|bos: wanted an id below 70100 that is no code, got 70000
s/"bos": 1/"bos": 70100/|bos: wanted an id below
s/"bos": 1/"bos": 1.0/|a whole number without point
s/"bos": 1/"img": 1/|wanted bos, eos
s/"name"/"template": [], "name"/|wanted name, revision
s/"eol": 4//;s/"eoi": 3, /"eoi": 3/|wanted the id eol
s/between/sometimes/|eol_after none
END
absent out3

# splits: every item in one of them, the same one in another order
run export x.tess -o parts --to jsonl --split train=1 --split val=1 -q
code_is 0
cat parts/train/part-00000.jsonl parts/val/part-00000.jsonl | sort >got
run export x.tess -o whole --to jsonl -q
sort whole/part-00000.jsonl | cmp -s - got || complain "the splits are not the whole"
is "splits in the card" 3 "$(python3 -c 'import json; print(sum(json.load(open("parts/tessera.json"))["splits"].values()))')"
fails 2 'train: wanted once' export x.tess -o out3 --to npy --split train=1 --split train=2

# pipes: lines and tar on stdin and stdout
"$TESSERA" export x.tess -o - --to webdataset -q 2>err | "$TESSERA" import - -o piped.tess --from webdataset -k 100 --rows 2 --columns 3 -q 2>>err
code=$?
last="a pipe of tar"
code_is 0
"$TESSERA" export piped.tess -o - --to jsonl 2>/dev/null | sed 's/_png/.png/' >got
cmp -s got whole/part-00000.jsonl || complain "items changed in a pipe: $(head -c 400 got)"
fails 2 'cannot be read twice' import - -o y.tess --from jsonl -k 100
fails 2 'not read from a pipe' import - -o y.tess --from npy -k 100 --columns 6

# several tiles, and columns by other names
printf '{"tokens": [1, 2, 3, 4, 5, 6, 7, 8], "id": "t", "shape": [1, 2, 2, 2]}\n' >tiles.jsonl
run import tiles.jsonl -o tiles.tess --from jsonl -k 9 --rows 2 --columns 2 --column ids=tokens --column key=id -q
code_is 0
run info -v tiles.tess
out_has ' 2x1 +8 '
run export tiles.tess -o tiles --to jsonl --column ids=tokens --column key=id -q
is "tiles come back" '{"id": "t", "shape": [1, 2, 2, 2], "tokens": [1, 2, 3, 4, 5, 6, 7, 8]}' "$(cat tiles/part-00000.jsonl)"
printf '{"key": "t", "ids": [1, 2, 3]}\n' >odd.jsonl
run import odd.jsonl -o odd.tess --from jsonl -k 9 --rows 2 --columns 2
code_is 1

# bad items: told and left out, or the end
printf '%s\n' '{"key": "a", "ids": [1]}' '{"key": "b", "ids": [100]}' '{"key": "../c", "ids": [1]}' >bad.jsonl
run import bad.jsonl -o some.tess --from jsonl -k 100 --json
code_is 1
is "failures" "['TSR_ERROR_TOKENS', 'TSR_ERROR_FORMAT']" "$(json '[f["status"] for f in d["failures"]]')"
is "places" "[1, 2]" "$(json '[f["record"] for f in d["failures"]]')"
fails 5 'bad.jsonl: line 2: id 0: wanted 0..99, got 100' import bad.jsonl -o none.tess --from jsonl -k 100 --on-error stop
absent none.tess
# of several files one is no data set
mkdir arrays && cp out2/data.bin arrays/bad.npy && run export x.tess -o good --to npy -q && cp -r good/a arrays/
run import arrays -o arrays.tess --from npy -k 100 --rows 2 --columns 3
code_is 1
run export arrays.tess -o - --to jsonl
is "the others" 2 "$(wc -l <out | xargs)"
run import arrays/bad.npy -o none.tess --from npy -k 100
code_is 4
absent none.tess

# killed at any moment: under the final name stands nothing, or all of it
for ((i = 0; i < 3000; ++i)); do printf '{"key": "n/%04d", "ids": [%d]}\n' $i $((i % 100)); done >many.jsonl
run import many.jsonl -o many.tess --from jsonl -k 100 -q
code_is 0
early=0
for delay in 0 0.01 0.02 0.04 0.06 0.1 0.2; do
    "$TESSERA" export many.tess -o killed --to npy -q 2>/dev/null &
    child=$!
    sleep $delay
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    if [ -e killed ]; then
        is "arrays of a data set that is there" 3001 "$(find killed -type f | wc -l)"
    else
        early=$((early + 1))
    fi
    rm -rf killed .killed.tmp-*
done
[ $early -gt 0 ] || leave_out "no export was killed before its end"
run export many.tess -o killed --to npy -q
is "after all that" 3001 "$(find killed -type f | wc -l)"

# a damaged token file: what is whole is exported
tess three.tess items=3 tiles=1
head -c $(($(stat -c %s three.tess) - 150)) three.tess >cut.tess
run export cut.tess -o cut --to jsonl --json
code_is 1
is "items" "True" "$(json '0 < d["items"] < 3')"
is "the folder is there" 0 "$(test -d cut; echo $?)"
tess vectors.tess channels=4
fails 4 'wanted ids, got vectors of 4 numbers' export vectors.tess -o out3 --to npy
# header of another token file
run import lines.jsonl -o like.tess --from jsonl --like three.tess -q
code_is 0
run info like.tess
out_has '^tokenizer +mosaic-256 \(family 1\), weights 0123456789abcdef'
# and of a tokenizer: what comes can be decoded
picture p.ppm 256 256
run encode p.ppm -o p.tess --device cpu -q
run export p.tess -o p --to npz --layout by-key -q
code_is 0
run import p/data.npz -o q.tess --from npz --model "$SOURCE/models/mosaic-64.safetensors" -q
code_is 0
run decode q.tess -o q.png --device cpu -q
code_is 0
run decode p.tess -o p.png --device cpu -q
cmp -s p.png q.png || complain "a picture whose ids went out and came back is another one"
# archives in gzip, in a folder and through a pipe: the same file
mkdir tars-gz
"$TESSERA" export x.tess -o tars --to webdataset --shard-items 2 -q
run import tars -o tars.tess --from webdataset -k 100 --rows 2 --columns 3 -q
code_is 0
for f in tars/*.tar; do gzip -c "$f" >tars-gz/"$(basename "$f")".gz; done
mv tars-gz/shard-000000.tar.gz tars-gz/shard-000000.tgz
run import tars-gz -o tars-gz.tess --from webdataset -k 100 --rows 2 --columns 3 -q
code_is 0
cmp -s tars.tess tars-gz.tess || comtars "packed archives give another file"
gzip -c tars/shard-000000.tar | "$TESSERA" import - -o piped-gz.tess --from webdataset -k 100 --rows 2 --columns 3 -q
"$TESSERA" import tars/shard-000000.tar -o one-tar.tess --from webdataset -k 100 --rows 2 --columns 3 -q
cmp -s one-tar.tess piped-gz.tess || comtars "a packed archive in a pipe gives another file"
no_leftovers
finish
