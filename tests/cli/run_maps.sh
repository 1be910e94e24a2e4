#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera run with a vocabulary map and a model by rule whose vocabulary holds the bundled tokenizer's
# codes: in the process (real libllama) and behind llama-server. Pictures go into prompts and come out of
# replies. Skipped without libllama, and without llama-server in part (scripts/llama.sh).
. "$(dirname "$0")/../support/cli.bash"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy TESSERA_SERVER_KEY
export no_proxy='*'
: "${TESSERA_LLAMA:=$SOURCE/build/llama/lib/libllama.v0.5.0.so}"
export TESSERA_LLAMA
[ -e "$TESSERA_LLAMA" ] || skip "libllama is not there (scripts/llama.sh brings it)"

"$BUILD/make_gguf" large model.gguf n_vocab=66000 codes=64000 first_code=1600 || complain "make_gguf"
"$BUILD/make_samples" samples >/dev/null
run encode $(ls samples/*.png | head -2) -o two.tess --fit crop -k 16 --device cpu -q
code_is 0
cat >map.json <<'MAP'
{
  "format": "tessera vocabulary map 1",
  "name": "by-rule",
  "model": "a language model of random weights",
  "class": "A",
  "source": "tests/golden/make_gguf.c",
  "revision": "1",
  "n_vocab": 66000,
  "tokenizer": {"codebook_size": 64000, "geometry": "sequence", "families": ["mosaic"]},
  "blocks": [{"name": "image", "first_code": 0, "count": 64000, "first_id": 1600, "text": "<|visual token %06d|>"}],
  "special": {
    "bos": {"id": 1, "text": "<s>"},
    "boi": {"id": 1598, "text": "<|image start|>"},
    "eoi": {"id": 1599, "text": "<|image end|>"}
  },
  "pictures": {"image": {"begin": "boi", "end": "eoi", "codes": 16}},
  "templates": {
    "caption": ["@bos", "picture", "text:question"],
    "generate": ["@bos", "text:question", "head"]
  }
}
MAP
tokens() { json 'd["requests"][0]["tokens"]'; }
ask() { run run two.tess --item 0 --map map.json --text question='what is it?' -n 8 --json "$@"; }

run map check map.json --gguf model.gguf --all
code_is 0
ask --gguf model.gguf --threads 1
code_is 0
in_process=$(tokens)
is "ids of a reply" 8 "$(json 'len(d["requests"][0]["tokens"])')"
is "the prompt: begin, begin of the picture, 16 codes, its end, the text" 30 "$(json 'd["requests"][0]["prompt_tokens"]')"
sed 's/"<|image end|>"/"<|end of image|>"/' map.json >other.json
fails 5 'its vocabulary is not that of the map by-rule: special eoi' run two.tess --item 0 --map other.json --gguf model.gguf --text question=
run run two.tess --map map.json --text question= --gguf model.gguf --threads 1 --perplexity --plot bits.svg --json
code_is 0
is "probabilities by position" "18 None" "$(json '"%d %s" % (len(d["requests"][1]["logprobs"]) - 1, d["requests"][1]["logprobs"][0])')"
[ "$(grep -o '<path\|<polyline' bits.svg | wc -l)" -ge 2 ] || complain "no curves in the plot"

server=$SOURCE/build/llama/llama-server
if [ ! -x "$server" ]; then
    echo "left out: llama-server: not built (scripts/llama.sh server)"
    finish
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$server" -m model.gguf --host 127.0.0.1 --port "$port" -c 4096 -np 2 --no-warmup --offline -t 1 >server.log 2>&1 &
process=$!
trap 'kill $process 2>/dev/null; rm -rf "$here"' EXIT
url=http://127.0.0.1:$port
for _ in $(seq 300); do
    python3 -c "import urllib.request; urllib.request.urlopen('$url/health')" 2>/dev/null && break
    sleep 0.1
done
run map check map.json --server "$url"
code_is 0
ask --server "$url"
code_is 0
is "llama-server and the process: the same ids" "$in_process" "$(tokens)"
ask --server "$url" --whole
is "in one piece" "$in_process" "$(tokens)"
fails 5 'its vocabulary is not that of the map by-rule' run two.tess --item 0 --map other.json --server "$url" --text question=

# A picture out of a reply: the grammar keeps the shape; ids that are no codes are one in forty.
for seed in $(seq 20); do
    run run --map map.json --template generate --text question='a red cat' --grid 16 --shape --like two.tess \
        --temperature 1 --seed "$seed" -n 40 --server "$url" -o reply.tess -f --json
    [ "$code" = 0 ] && break
done
code_is 0
is "verdict" "ok 16" "$(json '"%s %d" % (d["requests"][0]["pictures"][0]["verdict"], d["requests"][0]["pictures"][0]["columns"])')"
is "tokens: sixteen codes and the end" 1599 "$(json 'd["requests"][0]["tokens"][16]')"
run run --map map.json --template generate --text question='a red cat' --grid 16 --shape --like two.tess \
    --temperature 1 --seed "$seed" -n 40 --server "$url" -o reply.png
code_is 0
run decode reply.tess -o same.png --device cpu -q
cmp -s reply.png same.png || complain "the reply's picture is not that of its tokens"
finish
