#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera run with a vocabulary map: pictures into prompts, pictures out of replies, and a map that is
# not the server's.
. "$(dirname "$0")/../support/cli.bash"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy TESSERA_SERVER_KEY
export no_proxy='*'

grep -q libcurl <(ldd "$TESSERA") || skip "this build has no libcurl"
python3 "$SOURCE/tests/support/llm_server.py" port 70000 2>server.err &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$here"' EXIT
"$BUILD/make_samples" samples >/dev/null
run encode $(ls samples/*.png | head -2) -o two.tess --fit crop -k 16 --device cpu -q
code_is 0
for _ in $(seq 200); do [ -s port ] && break; sleep 0.1; done
[ -s port ] || { echo "the server did not start: $(cat server.err)"; exit 1; }
url=http://127.0.0.1:$(cat port)

# Where the bundled tokenizer's codes stand in the server's vocabulary.
cat >map.json <<'MAP'
{
  "format": "tessera vocabulary map 1",
  "name": "weave",
  "model": "a server of arithmetic",
  "class": "A",
  "source": "tests/support/llm_server.py",
  "revision": "1",
  "n_vocab": 70000,
  "tokenizer": {"codebook_size": 64000, "geometry": "sequence", "families": ["mosaic"]},
  "blocks": [{"name": "image", "first_code": 0, "count": 64000, "first_id": 100}],
  "special": {
    "bos": {"id": 1, "text": "<|code 0001|>"},
    "boi": {"id": 64100, "text": "<|code 64100|>"},
    "eoi": {"id": 64101, "text": "<|code 64101|>"}
  },
  "pictures": {"image": {"begin": "boi", "end": "eoi", "codes": 16}},
  "templates": {
    "caption": ["@bos", "picture", "text:question"],
    "generate": ["@bos", "text:question", "head"],
    "pair": ["@bos", "picture", "picture", "text:question"]
  }
}
MAP
last() { python3 -c "import urllib.request, json; v = json.load(urllib.request.urlopen('$url/last'))['$1']; print(*v) if isinstance(v, list) else print(v)"; }
ids_of() { python3 -c 'import json, sys; print(*json.load(open(sys.argv[1]))["ids"])' "$1"; }
ask() { run run "$@" --map map.json --server "$url/$how/llama" -n 40; }

# The prompt that was sent is the one that `tessera prompt` makes, with the server's ids of the text.
how=ok
ask two.tess --item 0 --text question='what?' --json
code_is 0
sent=$(last prompt)
run prompt two.tess --item 0 --map map.json --text-ids question=5,5,5,5,5 -o prompt.json -q
code_is 0
is "prompt" "$(ids_of prompt.json)" "$sent"
# One prompt for each picture; one for both.
ask two.tess --text question= --json
is "prompts" "2 requests of 19" "$(json 'len(d["requests"])') requests of $(json 'd["requests"][1]["prompt_tokens"]')"
ask two.tess --template pair --text question= --json
is "prompts" "1 requests of 37" "$(json 'len(d["requests"])') requests of $(json 'd["requests"][0]["prompt_tokens"]')"

# A picture out of a reply: as tokens, which are those of the ids, and decoded.
how=picture16
ask --template generate --text question='a cat' --grid 16 --like two.tess -o reply.tess --log run.jsonl
code_is 0
is "prompt" "1 5 5 5 5 5 64100" "$(last prompt)"
python3 -c 'import json; json.dump(json.loads(open("run.jsonl").readline())["tokens"], open("ids.json", "w"))'
run prompt ids.json --inverse --begun --like two.tess --map map.json -o inverse.tess -q
code_is 0
cmp -s reply.tess inverse.tess || complain "the reply's token file is not that of its ids"
ask --template generate --text question='a cat' --grid 16 --like two.tess -o reply.png
code_is 0
run decode inverse.tess -o inverse.png --device cpu -q
code_is 0
cmp -s reply.png inverse.png || complain "the reply's picture is not that of its token file"
is "nothing else is left" "" "$(ls | grep part)"
ask --template generate --text question= --grid 16 --like two.tess -o many/ --format png --json
code_is 0
is "verdict" ok "$(json 'd["requests"][0]["pictures"][0]["verdict"]')"
[ -s many/00000-prompt.png ] || complain "no picture in the folder"
# Damaged: said, repaired on request.
how=picture15
ask --template generate --text question= --grid 16 --like two.tess -o short.tess
code_is 1
grep -q 'picture 0: too few codes' err || grep -q 'picture 0: .*15' err || complain "damage: $(cat err)"
absent short.tess
ask --template generate --text question= --grid 16 --like two.tess --repair -o short.tess
code_is 0
[ -s short.tess ] || complain "nothing was repaired"

# The shape as a grammar: sixteen ids, then the end.
how=picture16
ask --template generate --text question= --grid 16 --shape --like two.tess -o shaped.tess
code_is 0
is "grammar" "root ::= frame <[64101]> frame ::= code{16} code ::= !<[64101]>" "$(echo $(last grammar))"

# A map that is not the server's; one that nobody can run; what a map is for.
sed 's/"<|code 64101|>"/"<|end|>"/' map.json >other.json
fails 5 'its vocabulary is not that of the map weave: .*eoi' run two.tess --item 0 --map other.json --server "$url/ok/llama" --text question=
run map check map.json --server "$url/ok/llama"
code_is 0
run map check other.json --server "$url/ok/llama"
code_is 1
run run two.tess --item 0 --map other.json --server "$url/ok/llama" --text question= --unchecked
code_is 0
fails 5 'its vocabulary is not that of the map' run two.tess --item 0 --map liquid-7b --server "$url/ok/llama"
run run two.tess --map janus --server "$url/ok/llama"
[ "$code" != 0 ] || complain "a map of class C was run"
run run two.tess --map mmada --server "$url/ok/llama"
[ "$code" != 0 ] || complain "a map of class B was run"
run run --template generate --text question= --grid 16 --map map.json --server "$url/picture16/llama" -o x.tess
code_is 4
grep -q 'no strides' err || complain "a reply without a file to be like: $(cat err)"
fails 2 'map MAP is missing' run two.tess --server "$url/ok/llama"
fails 2 'shape: --grid H,W is missing' run two.tess --map map.json --shape --server "$url/ok/llama"
fails 2 'pictures of replies need --map' run --ids ids.json --server "$url/ok/llama" -o x.tess
run run two.tess --map map.json --server "$url/ok/llama"
[ "$code" != 0 ] || complain "a template without its text was run"
grep -q 'question' err || complain "the missing text is not named: $(cat err)"
finish
