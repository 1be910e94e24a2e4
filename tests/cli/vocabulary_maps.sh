#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera map, tessera prompt and golden files of maps: prompts built and read back, damaged replies,
# refusals of what does not fit. Those of ../shared are ids that published code has built.
. "$(dirname "$0")/../support/cli.bash"

# -- our own golden files, and faults planted in one
mkdir own
lines=$(python3 -B "$SOURCE/tests/support/map_cases.py" own) || complain "map_cases.py failed"
[ "$(ls own | wc -l)" = 13 ] || complain "wanted 13 maps, got $(ls own)"
run verify own/*.json
code_is 0
is "last line" "$lines passed, 0 failed" "$(tail -1 out)"
for fault in 's/151851/151850/' 's/"no_end"/"no_begin"/' 's/"got": 10/"got": 9/'; do
    sed "$fault" own/emu3.json >planted.json
    run verify planted.json
    code_is 1
    out_has '^FAILED '
done
echo '{"format":"vocabulary-map-golden 2"}' >bad.json
run verify bad.json
code_is 4
run verify missing.json
code_is 3

# -- those of published code
if [ -d "$SHARED/golden/vocabulary-maps" ]; then
    total=0
    for pair in anole:8 chameleon:14 cosmos-predict1-ar:27 emu3.5:35 emu3:48 lavit:12 liquid-7b:12 \
        lumina-mgpt:30 lwm:12 mmada:15 seed-llama:22 show-o:16 video-lavit:10; do
        run verify "$SHARED/golden/vocabulary-maps/${pair%:*}.json"
        code_is 0
        is "${pair%:*}" "${pair#*:} passed, 0 failed" "$(tail -1 out)"
        total=$((total + ${pair#*:}))
    done
    echo "published code: $total comparisons of 13 models"
else
    leave_out "../shared/golden/vocabulary-maps is not there: published prompts are not compared"
fi

# -- maps
run map list --json
code_is 0
json_ok
is "maps" 22 "$(json 'len(d["maps"])')"
is "classes" "10 2 6 4" "$(json '" ".join(str(sum(m["class"] == c for m in d["maps"])) for c in "ABCD")')"
for name in $(json '" ".join(m["name"] for m in d["maps"])'); do
    run map show "$name"
    code_is 0
    err_empty
    run map show "$name" --json
    code_is 0
    json_ok
done
fails 3 'did you mean emu3' map show emu33
echo '{"format":"tessera vocabulary map 1","name":"x","name":"y"}' >twice.json
fails 4 'twice.json: name: wanted it once, got it again' map show twice.json
run map check emu3
code_is 0
python3 - <<'P'
import json
m = {f"<|visual token {i:06d}|>": 1000 + i for i in range(32768)}
for i, t in enumerate(["<|extra_203|>", "<|extra_204|>", "<|endoftext|>", "<|image token|>", "<|image start|>",
                       "<|image end|>", "<|extra_200|>", "<|extra_201|>"] + list("0123456789*")):
    m[t] = i + 7
json.dump({"vocabulary_map": m, "vocab_size": 40000}, open("config.json", "w"))
P
run map import config.json --like emu3 --name mine -o mine.json
code_is 0
run map check ./mine.json --tokenizer config.json --all
code_is 0
out_has '^agrees   block image      32768 of 32768 codes'
run map check emu3 --tokenizer config.json
code_is 1
out_has '^DIFFERS  special boi '
fails 3 'map like liquid-7b: image: wanted a text to look it up by' map import config.json --like liquid-7b -o x.json
fails 2 '^tessera map import: --like MAP is missing' map import config.json -o x.json
fails 4 'wanted a tokenizer.json' map check emu3 --tokenizer <(echo '{}')
if [ -x "$BUILD/make_gguf" ] && "$BUILD/make_gguf" model.gguf >/dev/null 2>&1; then
    run map check emu3 --gguf model.gguf
    code_is 1 # the random model has another vocabulary
    out_has '^DIFFERS'
fi

# -- a picture there and back
python3 - <<'P'
import json
ids = [151852, 17, 9, 18, 151851]
for r in ([0, 1, 2], [3, 4, 32767]):
    ids += [151854 + c for c in r] + [151846]
ids += [151847, 151853]
json.dump(ids, open("one.json", "w"))
json.dump({"tokens": [5] + ids + [6] + ids + [7]}, open("two.json", "w"))
json.dump(ids[:9] + ids[10:], open("short.json", "w"))
json.dump(ids[:1] + [1.5], open("half.json", "w"))
P
run prompt two.json --inverse --map emu3 -o two.tess --json
code_is 0
is "verdicts" "ok ok 1 1" "$(json '" ".join(p["verdict"] for p in d["pictures"]) + " %d %d" % (d["pictures"][0]["before"], d["pictures"][1]["before"])')"
run info --ids two.tess
out_is "0 0 0 1 2 3 4 32767
1 0 0 1 2 3 4 32767"
run prompt two.tess --item 1 --map emu3 -o back.json
code_is 0
is "ids back" True "$(python3 -c 'import json; print(json.load(open("back.json"))["ids"] == json.load(open("one.json")))')"
run prompt two.tess --item 0 --map emu3 -o back.bin
code_is 0
is "bytes of back.bin" 60 "$(stat -c %s back.bin)"
run prompt back.bin --inverse --map emu3 -o again.tess --like two.tess
code_is 0
run prompt two.tess --item 0 --map emu3 --form string -o back.txt
code_is 0
run prompt back.txt --inverse --form string --map emu3 -o string.tess
code_is 0
run prompt two.tess --item 0 --map emu3 --template train --text 'caption=a cat' --form mixed -o -
code_is 0
out_has '^    "a cat",'
run prompt short.json --inverse --map emu3 -o short.tess
code_is 1
[ ! -e short.tess ] || complain "a damaged picture was written"
grep -q 'picture 0: too_few_rows\|picture 0: missing_separator\|picture 0: long_row\|picture 0: short_row\|picture 0: size_disagrees' err ||
    complain "no verdict in $(cat err)"
run prompt short.json --inverse --map emu3 -o short.tess --repair
code_is 0
grep -q '; repaired:' err || complain "no word of repair in $(cat err)"

# -- bad input, a line each
fails 5 'codebook: map chameleon wants 8192 codes, got those of a tokenizer of 32768' prompt two.tess --map chameleon -o x.json
fails 4 'text caption: wanted ids, got text' prompt two.tess --item 0 --map emu3 --template train --text caption=hello -o x.json
fails 3 'template: map emu3 wants one of' prompt two.tess --map emu3 --template no -o x.json
fails 4 'no prompts: there are no discrete codes' prompt two.tess --map bagel -o x.json
fails 2 'wanted 1 picture, got 2' prompt two.tess --map emu3 -o x.json
fails 2 '^tessera prompt: --map MAP is missing' prompt two.tess -o x.json
fails 2 '^tessera prompt: --text-ids: wanted whole numbers with commas' prompt two.tess --map emu3 --text-ids a=1,,2 -o x.json
fails 2 'are for --inverse' prompt two.tess --map emu3 --repair -o x.json
fails 2 'are not for --inverse' prompt one.json --inverse --template image --map emu3 -o x.tess
fails 2 '^tessera prompt: --grid: wanted' prompt one.json --inverse --map emu3 --grid 0,2 -o x.tess
fails 4 'half.json: id 1: wanted a whole number' prompt half.json --inverse --map emu3 -o x.tess
fails 4 'wanted a list of ids' prompt config.json --inverse --map emu3 -o x.tess
head -c 7 back.bin >cut.bin
fails 4 'cut.bin: wanted a multiple of 4 bytes, got 7' prompt cut.bin --inverse --map emu3 -o x.tess
for file in x.json x.tess; do [ ! -e $file ] || complain "$file was written"; done
finish
