#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera reduce and plan: token sets in and out, overlays, comparisons, lists, bad input.
. "$(dirname "$0")/../support/cli.bash"

# sets NAME SETS: a file of token sets of 4 x 6 tokens, 8 channels, with class attention
sets() {
    python3 - "$@" <<'PY'
import json, struct, sys
name, keys = sys.argv[1], sys.argv[2:]
head, data = {"__metadata__": {"tessera.schema": "token-set/1"}}, b""
def put(tensor, values, shape):
    global data
    head[tensor] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * len(values)]}
    data += struct.pack("<%df" % len(values), *values)
for number, key in enumerate(keys):
    at = "" if key == "-" else key + "/"
    put(at + "features", [((i * 37 + number * 11) % 101) / 50 - 1 for i in range(24 * 8)], [24, 8])
    put(at + "attention", [((i * 13) % 29) / 29 for i in range(2 * 24)], [2, 24])
    head["__metadata__"]["tessera.grid" + ("" if key == "-" else "/" + key)] = "1,4,6"
if "broken" in keys:
    put("broken/source_map", [0.0] * 24, [24])
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
open(name, "wb").write(struct.pack("<Q", len(text)) + text + data)
PY
}

sets one.safetensors -
run reduce one.safetensors -o less.safetensors --op cls-attention-topk:k=6
code_is 0
err_has '^6 of 24 tokens, cosine to the original 0\.2500$'
run model list-tensors less.safetensors
out_has 'F32   \[6, 8\] .*features$'
out_has 'I32   \[24\] .*source_map$'
# a chain is the same in one --op, in two, and in two files
run reduce one.safetensors -o a.safetensors --op 'cls-attention-topk:k=12|cls-attention-topk:k=6' -q
run reduce one.safetensors -o b.safetensors --op cls-attention-topk:k=12 --op cls-attention-topk:k=6 -q --threads 1
run reduce one.safetensors -o half.safetensors --op cls-attention-topk:k=12 -q
run reduce half.safetensors -o c.safetensors --op cls-attention-topk:k=6 -q
cmp -s a.safetensors b.safetensors || complain "two --op are another chain than '|'"
cmp -s a.safetensors c.safetensors || complain "a chain over a file differs"
cmp -s a.safetensors less.safetensors || complain "the six of twelve are not the six"
run reduce one.safetensors --op cls-attention-topk:k=2 --trace --json
code_is 0
json_ok
is "trace" 24 "$(json 'len(d["sets"][0]["trace"]["score"])')"
is "tokens" "2 24 22" "$(json '"%d %d %d" % (d["sets"][0]["tokens"], d["sets"][0]["source"], d["sets"][0]["dropped"])')"

# looking
picture photo.png 90 60 1
run reduce one.safetensors --op cls-attention-topk:k=6 --show photo.png -o over.png
code_is 0
[ -s over.png ] || complain "no overlay"
run reduce one.safetensors --compare --op cls-attention-topk:k=6 --op cls-attention-topk:k=12 -o plot.png --json
code_is 0
json_ok
is "twice the tokens cover more" True "$(json '0.25 < d["chains"][0]["coverage"] < d["chains"][1]["coverage"] <= 1')"
is "chains" "0.25 0.5" "$(json '" ".join("%g" % c["share"] for c in d["chains"])')"
[ -s plot.png ] || complain "no plot"
run reduce one.safetensors --compare --op cls-attention-topk:k=6
code_is 0
out_has '^ *1 +6\.0 +25\.00 % +0\.[0-9]{4} +0\.2500 +1\.0000 .* cls-attention-topk:k=6$'

# several sets: a bad one costs itself alone
sets many.safetensors a broken z
run reduce many.safetensors -o out.safetensors --op cls-attention-topk:ratio=0.5
code_is 1
grep -q '^tessera reduce: broken: many.safetensors: broken/source_map: wanted 24 x 1 integers, got 24 numbers$' err ||
    complain "the bad set is not named: $(cat err)"
grep -q '^2 token sets: 12.0 of 24.0 tokens on average; 1 could not be reduced$' err || complain "no summary: $(cat err)"
run model list-tensors out.safetensors
out_has 'F32   \[12, 8\] .*a/features$'
out_has 'F32   \[12, 8\] .*z/features$'
grep -q broken out && complain "a set that could not be reduced was written"
run reduce many.safetensors -o z.safetensors --op cls-attention-topk:k=1 --key z
code_is 0
fails 3 "no token set has the key 'q'" reduce many.safetensors -o q.safetensors --op cls-attention-topk:k=1 --key q
[ ! -e q.safetensors ] || complain "an output without a set"
fails 2 "wanted --key, since the file has 3 token sets" reduce many.safetensors --op cls-attention-topk:k=1 --show photo.png -o no.png

fails 2 "^tessera reduce: IN.safetensors is missing" reduce -o x.safetensors --op cls-attention-topk:k=1
fails 2 "--op NAME:KEY=VALUE is missing" reduce one.safetensors -o x.safetensors
fails 2 "-o OUT is missing" reduce one.safetensors --op cls-attention-topk:k=1
fails 3 "got \"nearest\"" reduce one.safetensors -o x.safetensors --op nearest
fails 2 "k: wanted at most the 24 tokens there are, got 25" reduce one.safetensors -o x.safetensors --op cls-attention-topk:k=25
fails 3 "is it 'cls-attention-topk'" reduce --explain cls-atention-topk
fails 4 "wanted a tensor \"features\"" reduce "$SOURCE/models/mosaic-64.safetensors" -o x.safetensors --op cls-attention-topk:k=1
fails 2 "^tessera plan: a plan is missing" plan
fails 2 "wanted an operator that plans" plan cls-attention-topk:k=1
[ ! -e x.safetensors ] || complain "a failure left an output"
run reduce --list --json
code_is 0
json_ok
is "every operator is explained" True "$(json 'all(o["about"] and o["formula"] and o["source"] for o in d["operators"])')"
# each kind stands once in the list, whatever the order of the operators' table
run reduce --list
is "kinds" "" "$(grep -E '^[a-z]+:$' out | sort | uniq -d)"
is "kinds of tokens" 6 "$(grep -cE '^[a-z]+:$' out)"
# the examples of the help are ones that run
run plan --help
grep -oE 'tessera plan [a-z0-9-]+:.*' out | cut -c 14- >examples
is "examples" 2 "$(wc -l <examples)"
while read -r example; do
    run plan "$example"
    code_is 0
done <examples
# an answer without numbers is an empty list
run plan frame-times:rule=ffmpeg-fps-down,pts=0+40,base=1+1000,end=80,rate=1 --json
code_is 0
json_ok
is "no frame" "[] []" "$(json '"%s %s" % (d["plans"][0]["indices"], d["plans"][0]["seconds"])')"
run reduce --explain cls-attention-topk
code_is 0
out_has '^formula: '
# ids of sets as streams of a token file, one behind the other
python3 - <<'PY'
import json, struct
parts = {"a/features": ([6, 2], [0, 0, 4, 0, 0, 4, 4, 0, 0, 0, 0, 4]), "a/codes": ([3, 2], [0, 0, 4, 0, 0, 4])}
head, body = {"__metadata__": {"tessera.grid/a": "1,2,3", "tower": "a tower"}}, b""
for name, (shape, values) in parts.items():
    data = struct.pack("<%df" % len(values), *values)
    head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
    body += data
text = json.dumps(head).encode()
open("codes.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + body)
PY
run reduce codes.safetensors -o coarse.tess --op nearest-code --stream coarse
code_is 0
run reduce codes.safetensors -o both.tess --op nearest-code --into coarse.tess
code_is 0
run info --check both.tess
code_is 0
run info -v both.tess
code_is 0
out_has 'stream coarse: 1x2x3 cells below 3, .* of a tower$'
out_has 'stream ids: 1x2x3 cells below 3, .* of a tower$'
if command -v zstd >/dev/null; then
    python3 "$SOURCE/examples/read_clip_codebook.py" both.tess both.json >/dev/null || complain "read_clip_codebook.py"
    is "streams" "coarse [0, 1, 2, 1, 0, 2] 4.0 ids [0, 1, 2, 1, 0, 2] 4.0" "$(python3 -c 'import json
print(*("%s %s %s" % (s["name"], s["ids"], s["codebook"][1][0]) for s in json.load(open("both.json"))))')"
fi
fails 2 'wanted another name than that of a stream it has, got coarse' reduce codes.safetensors -o x.tess --op nearest-code --stream coarse --into both.tess
fails 4 'wanted a column ids of 6 whole numbers' reduce one.safetensors -o x.tess --op cls-attention-topk:k=6
fails 2 'wanted -o OUT.tess' reduce one.safetensors -o x.safetensors --op cls-attention-topk:k=6 --stream a
[ ! -e x.tess ] || complain "a refused stream left a file"

finish
