#!/bin/bash
# SPDX-License-Identifier: MIT
# Data sets to shards: what is made, that it is made once, and what bad inputs cost.
. "$(dirname "$0")/../support/cli.bash"

mkdir -p in/cats/old in/dogs
for i in $(seq 1 12); do picture in/cats/c$i.ppm 40 $((20 + i)) "$i"; done
for i in $(seq 1 5); do picture in/cats/old/c$i.ppm 30 30 "$i"; done
for i in $(seq 1 6); do picture in/dogs/d$i.ppm 33 20 "$i"; done

run batch in -o set --shard-size 5 --labels folder -k 16 --device cpu --json
code_is 0
json_ok
is "shards" "5 5 0 23 0" "$(json 'd["shards"], d["made"], d["done_before"], d["pictures"], d["failed"]' | tr -d '(),')"
is "files" "000000.tess 000001.tess 000002.tess 000003.tess 000004.tess job.json manifest.jsonl" "$(ls set | tr '\n' ' ' | sed 's/ $//')"
is "hidden files" "" "$(ls -A set | grep '^\.')"
is "lines of the manifest" 5 "$(wc -l <set/manifest.jsonl)"

# the items are those of encode, in the same order
run encode in -o all.tess -k 16 --labels folder --device cpu
code_is 0
for f in set/*.tess; do "$TESSERA" info "$f" --ids --json; done >shards.json
run info all.tess --ids --json
cp out all.json
is "items of the shards and of encode" same "$(python3 - <<'PY'
import json
text, decoder, items = open("shards.json").read(), json.JSONDecoder(), []
while text.strip():
    text = text.lstrip()
    d, end = decoder.raw_decode(text)
    items += d["items"]
    text = text[end:]
def strip(item):
    return {k: v for k, v in item.items() if k in ("key", "ids", "width", "height", "attributes")}
a = [strip(i) for i in items]
b = [strip(i) for i in json.load(open("all.json"))["items"]]
print("same" if a == b and len(a) == 23 else (a[:2], b[:2]))
PY
)"

# a second time there is nothing to do
before=$(stat -c '%n %Y %s' set/*)
run batch in -o set --shard-size 5 --labels folder -k 16 --device cpu --json
code_is 0
is "done before" "5 0" "$(json 'd["done_before"], d["made"]' | tr -d '(),')"
is "files after the second run" "$before" "$(stat -c '%n %Y %s' set/*)"
run batch in -o set --shard-size 5 --labels folder -k 16 --device cpu
code_is 0
grep -q 'nothing was left to do' err || complain "$last: $(cat err)"

# the same bytes whatever threads, processes and devices
run batch in -o one --shard-size 5 --labels folder -k 16 --device cpu --threads 1
code_is 0
for r in 2 0 3 1; do
    run batch in -o ranks --shard-size 5 --labels folder -k 16 --device cpu --rank $r --world 4
    code_is 0
done
SLURM_ARRAY_TASK_ID=8 SLURM_ARRAY_TASK_MIN=7 SLURM_ARRAY_TASK_COUNT=2 run batch in -o slurm --shard-size 5 --labels folder -k 16 --device cpu --json
is "rank and world of Slurm" "1 2" "$(json 'd["rank"], d["world"]' | tr -d '(),')"
RANK=0 WORLD_SIZE=2 run batch in -o slurm --shard-size 5 --labels folder -k 16 --device cpu --json
is "rank and world of torchrun" "0 2" "$(json 'd["rank"], d["world"]' | tr -d '(),')"
run batch in -o two --shard-size 5 --labels folder -k 16 --device cpu,cpu
code_is 0
for other in one ranks slurm two; do
    for f in set/*.tess; do
        checks=$((checks + 1))
        cmp -s "$f" "$other/${f#set/}" || complain "$other/${f#set/} differs from $f"
    done
    is "shards of $other" 5 "$(find $other -name '*.tess' | wc -l)"
    is "lines of the manifest of $other" 5 "$(wc -l <$other/manifest.jsonl)"
done

# other settings and other inputs are refused, and made anew when that is asked for
fails 2 'job.json: tokens: wanted 16 as in the shards that stand there, got 8' batch in -o set --shard-size 5 --labels folder -k 8 --device cpu
fails 2 'job.json: shard_size: wanted 5 .*got 6' batch in -o set --shard-size 6 --labels folder -k 16 --device cpu
is "files after the refusals" "$before" "$(stat -c '%n %Y %s' set/*)"
cp in/cats/c3.ppm c3.ppm
picture in/cats/c3.ppm 41 41 3
fails 2 '000000.tess: inputs: wanted those it was made of, got others' batch in -o set --shard-size 5 --labels folder -k 16 --device cpu
run batch in -o set --shard-size 5 --labels folder -k 16 --device cpu --overwrite --json
code_is 0
is "shards made anew" "4 1" "$(json 'd["done_before"], d["made"]' | tr -d '(),')"
cp c3.ppm in/cats/c3.ppm
run batch in -o set --shard-size 5 --labels folder -k 8 --device cpu --overwrite --json
code_is 0
is "all made anew" "0 5" "$(json 'd["done_before"], d["made"]' | tr -d '(),')"
# a manifest of another model
sed -i 's/"weights_hash":.*"/"weights_hash": "0123456789abcdef"/' set/job.json
fails 2 'weights_hash: wanted 0123456789abcdef .*got [0-9a-f]{16}' batch in -o set --shard-size 5 --labels folder -k 8 --device cpu
rm set/job.json
mkdir foreign && echo mine >foreign/notes.txt
fails 3 'foreign: wanted an empty folder or one of an earlier run, got one with notes.txt' batch in -o foreign --device cpu
is "the foreign folder" notes.txt "$(ls -A foreign)"

# bad pictures are lines, not ends
printf 'P6\n40 40\n255\nshort' >in/cats/c7.ppm
echo '<html>' >in/dogs/d0.jpg
run batch in -o bad --shard-size 5 -k 4 --device cpu --json
code_is 1
is "pictures and bad ones" "22 2" "$(json 'd["pictures"], d["failed"]' | tr -d '(),')"
is "errors" "cats/c7.ppm TSR_ERROR_TRUNCATED 000001.tess dogs/d0.jpg TSR_ERROR_FORMAT 000003.tess" "$(python3 -c '
import json
print(*[x for l in open("bad/errors.jsonl") for d in [json.loads(l)] for x in (d["key"], d["error"], d["shard"])])')"
run batch in -o bad --shard-size 5 -k 4 --device cpu --json
code_is 0
is "bad ones of a second run" "0 2" "$(json 'd["failed"]') $(wc -l <bad/errors.jsonl)"
run batch in -o stopped --shard-size 5 -k 4 --device cpu --on-error stop
code_is 4
is "shards before the bad picture" 000000.tess "$(cd stopped && ls ./*.tess | sed 's,./,,')"
no_leftovers stopped

# lists, on stdin too; one line leads nowhere
find in/dogs -name '*.ppm' | sort >list.txt
echo in/dogs/gone.ppm >>list.txt
"$TESSERA" batch --files-from - -o listed --device cpu -k 4 --json <list.txt >out.txt 2>err
code=$? last="batch --files-from -"
code_is 1
is "keys of a list" "in/dogs/d1.ppm" "$("$TESSERA" info listed/000000.tess --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["items"][0]["key"])')"
grep -q '"input":"in/dogs/gone.ppm"' listed/errors.jsonl || complain "errors.jsonl: $(cat listed/errors.jsonl)"

# misuse
fails 2 -- '-o DIR is missing' batch in
fails 2 'IN is missing' batch -o x
fails 2 'rank: wanted 0 to 1, got 2' batch in -o x --rank 2 --world 2
fails 2 'world W is missing' batch in -o x --rank 2
fails 2 'whole numbers, got -1, 4' batch in -o x --rank -1 --world 4
run devices --json
if [ "$(json 'sum(x["device"] != "cpu" and not x["software"] for x in d["devices"])')" = 0 ]; then
    fails 5 'vulkan:all: wanted a GPU' batch in/dogs/d1.ppm -o x --device vulkan:all
fi
absent x

# keys of attributes are looked for in the whole job, also by a rank that makes a part of it
mkdir -p good/cats good/dogs
cp in/cats/c1.ppm in/cats/c2.ppm good/cats
cp in/dogs/d5.ppm in/dogs/d6.ppm good/dogs
printf 'key\tlabel\ncats/c1.ppm\t1\ndogs/d6.ppm\t2\nmouse\t3\n' >table.tsv
for r in 0 1; do
    run batch good -o named --shard-size 2 --attributes table.tsv -k 16 --device cpu --rank $r --world 2 --json
    code_is 0
    is "unused keys" "{'count': 1, 'first': ['mouse']}" "$(json 'd["unused_keys"]')"
    err_has "table.tsv: no picture has 1 of its keys: 'mouse'\$"
done
# keys in archives are known when all of them were read
tar cf cats.tar -C good cats
tar cf dogs.tar -C good dogs
sed -i "s/.ppm//" table.tsv
run batch cats.tar dogs.tar -o tars --key path --attributes table.tsv -k 16 --device cpu --rank 1 --world 2 --json
code_is 0
err_empty
is "unused keys of a part" none "$(json 'd.get("unused_keys", "none")')"
run batch cats.tar dogs.tar -o all-tars --key path --attributes table.tsv -k 16 --device cpu --json
code_is 0
is "unused keys" "{'count': 1, 'first': ['mouse']}" "$(json 'd["unused_keys"]')"
finish
