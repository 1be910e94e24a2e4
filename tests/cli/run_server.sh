#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera run against a server of our own in four dialects (tests/support/llm_server.py) that is busy,
# slow, cut, silent, lies, or is not there. Nothing leaves the machine.
. "$(dirname "$0")/../support/cli.bash"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy TESSERA_SERVER_KEY
export no_proxy='*'

grep -q libcurl <(ldd "$TESSERA") || skip "this build has no libcurl"
python3 "$SOURCE/tests/support/llm_server.py" port 2>server.err &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$here"' EXIT
for _ in $(seq 200); do [ -s port ] && break; sleep 0.1; done
[ -s port ] || { echo "the server did not start: $(cat server.err)"; exit 1; }
url=http://127.0.0.1:$(cat port)

echo '[1, 40, 41, 42]' >a.json
python3 -c 'import struct; open("b.bin", "wb").write(struct.pack("<3I", 1, 1199, 7))'
# What the server's model says behind a.json and b.bin, by its own arithmetic.
python3 - >want <<'PY'
def reply(ids, n):
    ids = list(ids)
    for _ in range(n):
        h = 0
        for i in ids:
            h = (h * 31 + i + 7) % 1000003
        ids.append(3 + h % 1197)
    return ids
print(*reply([1, 40, 41, 42], 6)[4:])
print(*reply([1, 1199, 7], 6)[3:])
PY
want_a=$(sed -n 1p want) want_b=$(sed -n 2p want)

member() { python3 -c 'import json, sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."): v = v[int(k) if k.isdigit() else k]
print(*v) if isinstance(v, list) else print(v)' "$1" "$2" 2>&1; }
ask() { run run --ids a.json --server "$url/$1" -n 6 "${@:2}"; }
tokens_are() { is "$last: tokens" "$1" "$(member out "requests.0.tokens")"; }

# Each dialect, as the server says of itself and as it is told; as a stream and in one piece.
for dialect in llama openai vllm sglang; do
    ask ok/$dialect --dialect $dialect --json
    code_is 0
    tokens_are "$want_a"
    is "dialect" $dialect "$(member out dialect)"
    ask ok/$dialect --dialect $dialect --json --logprobs 2 --whole
    tokens_are "$want_a"
    [ $dialect = openai ] || is "$dialect: likeliest ids" "${want_a%% *} $((${want_a%% *} + 1))" "$(member out requests.0.top.0.ids)"
    is "$dialect: probability" -0.25 "$(member out requests.0.logprobs.0)"
done

# What goes out, member by member: greedy as a stream, drawn and in one piece with probabilities.
sent() { python3 -c 'import json, sys, urllib.request
got, wanted = json.load(urllib.request.urlopen(sys.argv[1] + "/last")), json.loads(sys.argv[2])
print("as written down" if got == wanted else "got %s" % json.dumps(got))' "$url" "$1"; }
wire() {
    ask ok/$1 --dialect $1
    is "$1: greedy" "as written down" "$(sent "$2")"
    ask ok/$1 --dialect $1 --whole --logprobs 2 --temperature 0.5 --top-k 40 --top-p 0.9 --seed 7 --json
    is "$1: drawn" "as written down" "$(sent "$3")"
}
p='[1, 40, 41, 42]' greedy='"temperature": 0, "top_p": 1' drawn='"temperature": 0.5, "top_p": 0.9, "top_k": 40'
always='"return_tokens": true, "cache_prompt": false, "min_p": 0'
wire llama "{\"prompt\": $p, \"n_predict\": 6, \"stream\": true, $always, $greedy, \"top_k\": 0}" \
    "{\"prompt\": $p, \"n_predict\": 6, \"stream\": false, $always, $drawn, \"seed\": 7, \"n_probs\": 2}"
always='"model": "tiny", "return_token_ids": true'
wire openai "{\"prompt\": $p, \"max_tokens\": 6, \"stream\": true, $always, $greedy}" \
    "{\"prompt\": $p, \"max_tokens\": 6, \"stream\": false, $always, $drawn, \"seed\": 7, \"logprobs\": 2}"
wire vllm "{\"model\": \"tiny\", \"token_ids\": $p, \"sampling_params\": {\"max_tokens\": 6, $greedy}}" \
    "{\"model\": \"tiny\", \"token_ids\": $p, \"sampling_params\": {\"max_tokens\": 6, $drawn, \"seed\": 7, \"logprobs\": 2}}"
always='"skip_special_tokens": false'
wire sglang "{\"input_ids\": $p, \"return_logprob\": true, \"sampling_params\": {\"max_new_tokens\": 6, $greedy, $always}}" \
    "{\"input_ids\": $p, \"return_logprob\": true, \"top_logprobs_num\": 2, \"sampling_params\": {\"max_new_tokens\": 6, $drawn, \"sampling_seed\": 7, $always}}"
ask ids/sglang --dialect sglang --json # ids in a list of their own, beside the pairs
tokens_are "$want_a"
ask ok/openai --json --logprobs 1 # probabilities in the chunks of a stream
tokens_are "$want_a"
is "probabilities of a stream" -0.25 "$(member out requests.0.logprobs.5)"
is "prompt of a stream whose last chunk alone tells it" 4 "$(member out requests.0.prompt_tokens)"
for form in 0 1 2 3 4; do
    for dialect in llama openai vllm sglang; do
        run run --ids a.json --server "$url/refuse$form/$dialect" --dialect $dialect --retries 0
        [ "$code" != 0 ] || complain "refused and content"
        err_has "the server answered 4[02][02]: refused $form"
    done
done
fails 3 'request 0: the server ended its answer with an error 500: slot lost' run --ids a.json --server "$url/fault3/openai" --dialect openai --retries 0
for dialect in llama sglang openai; do
    ask ok/$dialect --json
    is "asked dialect" $dialect "$(member out dialect)"
done
ask content/openai --json --logprobs 1 --whole # ids in the list of probabilities alone
tokens_are "$want_a"
ask ok/llama --json
is "vocabulary" 1200 "$(member out vocabulary)"
is "prompt" 4 "$(member out requests.0.prompt_tokens)"
is "end" length "$(member out requests.0.stop)"
ask early2/llama --json
is "end" end "$(member out requests.0.stop)"

# Text to stdout; files; a folder; a log that is added to.
ask ok/llama
code_is 0
is "text" "$(printf '<|code %04d|>' $want_a)" "$(cat out)"
ask ok/llama -o reply.json
is "file" "$want_a" "$(member reply.json tokens)"
ask ok/llama -o reply.bin
is "bytes" "$want_a" "$(od -An -v -tu4 reply.bin | tr -s ' \n' ' ' | sed 's/^ //; s/ $//')"
fails 3 'output exists: reply.bin' run --ids a.json --server "$url/ok/llama" -o reply.bin
run run --ids a.json --ids b.bin --server "$url/ok/llama" -n 6 -j 4 -o replies/ --log run.jsonl
code_is 0
is "folder" "$want_b" "$(member replies/00001-b.json tokens)"
ask ok/llama --log run.jsonl
is "lines of the log" 3 "$(wc -l <run.jsonl)"
python3 -c 'import json
for line in open("run.jsonl"): assert json.loads(line)["prompt"]' || complain "the log is not JSON, a line each"
fails 2 '2 prompts: -o names a folder' run --ids a.json --ids b.bin --server "$url/ok/llama" -o x.json

# Busy, loading: asked again. Cut streams go on behind what came.
ask busy2/llama --json
code_is 0
tokens_are "$want_a"
is "tries" 3 "$(member out requests.0.tries)"
ask loading/llama --json
code_is 0
for cut in cut0 cut3 cut5 fault2; do
    for dialect in llama openai; do
        ask $cut/$dialect --json
        code_is 0
        tokens_are "$want_a"
        is "$cut: tries" 2 "$(member out requests.0.tries)"
        [ $cut = cut0 ] || is "$cut: resumed" 1 "$(member out requests.0.resumed)"
    done
done
# A stream whose every id came, but not its end.
ask noend/llama --json
code_is 0
tokens_are "$want_a"

# Never well: what came is kept, and the failure has its words.
fails 3 'request 0: the server answered 429: too many requests' run --ids a.json --server "$url/busy9/llama" --retries 1
fails 3 'request 0: the server answered 500: out of memory' run --ids a.json --server "$url/down/llama" --retries 1
fails 4 'request 0: the answer was cut after 3 of 6 ids' run --ids a.json --server "$url/cut3/always/llama" --retries 0 -n 6 --log cut.jsonl
is "what came" 3 "$(python3 -c 'import json; print(len(json.loads(open("cut.jsonl").readline())["tokens"]))')"
fails 4 'request 0: the answer was cut after 0 of 256 ids' run --ids a.json --server "$url/reset/llama" --retries 1
fails 4 'cut after 0 of 256 ids: no byte came in time' run --ids a.json --server "$url/stall0/llama" --timeout 1 --retries 0
for lie in 'liebig:wanted a number below 1200' 'lietype:wanted a number below 1200' 'liefloat:wanted a number below 1200' 'liemany:more ids than were asked for'; do
    fails 4 "answer: .*${lie#*:}" run --ids a.json --server "$url/${lie%%:*}/llama" -n 6 --whole
done
fails 4 'text without ids' run --ids a.json --server "$url/textonly/openai" -n 6
fails 4 '/v1/models: wanted JSON' run --ids a.json --server "$url/notjson/llama"
fails 4 '/v1/models: data: wanted a list of models' run --ids a.json --server "$url/liefacts/llama"
fails 3 'the server answered 401: Invalid API Key' run --ids a.json --server "$url/denied/llama"
echo secret >key
ask denied/llama --json --key-file key
code_is 0
TESSERA_SERVER_KEY=secret ask denied/llama --json
code_is 0
tokens_are "$want_a"

# Nothing there, the wrong port, no address, no such model.
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
fails 3 '/v1/models: ' run --ids a.json --server "http://127.0.0.1:$free"
fails 2 'wanted http://HOST:PORT' run --ids a.json --server localhost:8080
fails 3 'wanted the model other, got tiny' run --ids a.json --server "$url/ok/llama" --model-name other

# Before anything is sent: ids, context, grammar.
echo '[1, 1200]' >beyond.json
fails 2 'id 1 of the prompt: wanted a number below 1200, got 1200' run --ids beyond.json --server "$url/ok/llama"
python3 -c 'print([5] * 600)' >long.json
fails 3 'prompt: wanted fewer than the 512 ids' run --ids long.json --server "$url/ok/llama"
fails 2 'request exceeds the available context size' run --ids a.json --server "$url/ok/llama" -n 5000
echo 'root ::= "a"' >g.gbnf
fails 4 'grammar: llama-server alone takes one' run --ids a.json --server "$url/ok/openai" --grammar g.gbnf
for bad in '[1, "2"]' '[1, -2]' '[1.5]' '{}' 'x' '[99999999999]'; do
    echo "$bad" >bad.json
    fails 4 'bad.json: ' run --ids bad.json --server "$url/ok/llama"
done
echo '[]' >bad.json
fails 2 'prompt: wanted ids, got none' run --ids bad.json --server "$url/ok/llama"
printf 'abc' >bad.bin
fails 4 'bad.bin: ' run --ids bad.bin --server "$url/ok/llama"
fails 3 'none.json: ' run --ids none.json --server "$url/ok/llama"

# Requests at a time, and connections kept between them.
connections() { python3 -c "import urllib.request, json; print(json.load(urllib.request.urlopen('$url/stats'))['$1'])"; }
before=$(connections connections)
run run $(printf -- '--ids a.json %.0s' $(seq 24)) --server "$url/slow/llama" -n 6 -j 4 --json
code_is 0
made=$(($(connections connections) - before - 1))
[ "$made" -le 7 ] || complain "24 requests, 4 at a time, took $made connections"
most=$(connections most_at_once)
[ "$most" -ge 2 ] && [ "$most" -le 4 ] || complain "$most requests at a time, wanted 2 to 4"
finish
