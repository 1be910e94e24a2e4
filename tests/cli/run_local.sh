#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera run --gguf: a model by rule in the real libllama. Ids, texts and embeddings in, ids and
# probabilities out; a film through tower, projector and clip codebook to the model, whose answer is
# that of a model with the codebook among its tokens. Skipped without libllama (scripts/llama.sh).
. "$(dirname "$0")/../support/cli.bash"
: "${TESSERA_LLAMA:=$SOURCE/build/llama/lib/libllama.v0.5.0.so}"
export TESSERA_LLAMA
[ -e "$TESSERA_LLAMA" ] || skip "libllama is not there (scripts/llama.sh brings it)"
# One thread: libllama's own wait for each other by spinning.
local_run() { run run --threads 1 "$@"; }
member() { python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

"$BUILD/make_gguf" small small.gguf || complain "make_gguf"
"$BUILD/make_gguf" large large.gguf || complain "make_gguf"
python3 - <<'PY'
import json
json.dump([1, 32000] + [32002 + 127 * i % 32768 for i in range(256)] + [32001], open("image.json", "w"))
json.dump([1, 32000, 69999, 65537, 32001], open("high.json", "w"))
json.dump([1, 400, 402, 403, 404, 401], open("short.json", "w"))
json.dump([1, 400, 1200], open("beyond.json", "w"))
PY

# ---- ids in, ids out ----------------------------------------------------------------------------------------
local_run --gguf large.gguf --ids image.json --ids high.json -n 4 --logprobs 3 --json -q
code_is 0
mv out large.json
is "vocabulary" 70000 "$(member large.json 'd["vocabulary"]')"
is "replies" "4 4" "$(member large.json '" ".join(str(len(r["tokens"])) for r in d["requests"])')"
is "the likeliest id comes" True \
    "$(member large.json 'all(r["tokens"][i] == r["top"][i]["ids"][0] and abs(r["logprobs"][i] - r["top"][i]["logprobs"][0]) < 1e-5 for r in d["requests"] for i in range(4))')"
is "log probabilities fall" True \
    "$(member large.json 'all(0 > a >= b >= c for r in d["requests"] for a, b, c in [t["logprobs"] for t in r["top"]])')"
local_run --gguf large.gguf --ids high.json --ids image.json -n 4 --logprobs 3 --json -q
code_is 0
is "no prompt changes the next" "$(member large.json '[r["tokens"] for r in d["requests"][::-1]]')" \
    "$(member out '[r["tokens"] for r in d["requests"]]')"
local_run --gguf small.gguf --ids short.json -n 8 --temperature 1 --seed 5 --top-k 50 -o drawn.json
code_is 0
local_run --gguf small.gguf --ids short.json -n 8 --temperature 1 --seed 5 --top-k 50 -o again.json
code_is 0
is "one seed, one reply" "$(member drawn.json 'd["tokens"]')" "$(member again.json 'd["tokens"]')"
local_run --gguf small.gguf --before '<|image start|><|visual token 000000|><|visual token 000001|>' \
    --after '<|visual token 000002|><|image end|>' -n 8 --logprobs 1 -o text.json
code_is 0
local_run --gguf small.gguf --ids short.json -n 8 --logprobs 1 -o ids.json
code_is 0
is "names of tokens are their ids" "$(member ids.json '(d["tokens"], d["stop"])')" "$(member text.json '(d["tokens"], d["stop"])')"

# ---- bits per token -----------------------------------------------------------------------------------------
python3 -c 'import json; json.dump(json.load(open("short.json")) + json.load(open("ids.json"))["tokens"], open("long.json", "w"))'
local_run --gguf small.gguf --ids short.json --ids long.json --perplexity --json -q
code_is 0
is "the reply's ids cost what the reply said" True "$(python3 - <<'PY'
import json, math
short, long = json.load(open("out"))["requests"]
reply = json.load(open("ids.json"))
assert short["scored_tokens"] == 5 and long["scored_tokens"] == 5 + len(reply["tokens"])
bits = long["bits_per_token"] * long["scored_tokens"] - short["bits_per_token"] * short["scored_tokens"]
wanted = -sum(reply["logprobs"]) / math.log(2)
print(abs(bits - wanted) < 0.05 * len(reply["tokens"]) and abs(2 ** long["bits_per_token"] / long["perplexity"] - 1) < 1e-9 or (bits, wanted))
PY
)"
local_run --gguf small.gguf --ids short.json --perplexity
code_is 0
out_has '^short.json: [0-9.]+ bits a token, perplexity [0-9.e+]+, of 5 ids$'

# ---- a film to a codebook to the model ----------------------------------------------------------------------
mkdir siglip frames
"$BUILD/make_weights" "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" siglip/model.safetensors || complain "make_weights"
python3 - "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" >siglip/config.json <<'PY'
import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["config"]["upstream_config"]))
for i in range(4):
    data = bytes((x * 7 + y * (3 + i * 5) + c * 50) % 256 for y in range(60) for x in range(80) for c in range(3))
    open("frames/f%d.ppm" % i, "wb").write(b"P6\n80 60\n255\n" + data)
PY
run encode frames -t siglip --project --clip-codebook 32 -o film.tess --device cpu
code_is 0
run decode film.tess -o film.safetensors -q
code_is 0
"$BUILD/make_gguf" small wide.gguf dim=64 heads=4 ffn=128 || complain "make_gguf"
# The codebook's rows, float16 in the file, in place of the model's tokens 402 .. 433.
python3 - <<'PY'
import json, struct
data = open("film.safetensors", "rb").read()
size, = struct.unpack("<Q", data[:8])
head = json.loads(data[8:8 + size])
name, = [n for n in head if n.endswith("codebook")]
begin, end = head[name]["data_offsets"]
rows = struct.unpack("<%df" % (32 * 64), data[8 + size + begin:8 + size + end])
model = bytearray(open("wide.gguf", "rb").read())
values = 1200 * 64 * 2 + 64 * 4 + 2 * (2 * 64 * 4 + 4 * 64 * 64 * 2 + 3 * 64 * 128 * 2)
at = len(model) - values + 402 * 64 * 2
model[at:at + 32 * 64 * 2] = struct.pack("<%de" % (32 * 64), *rows)
open("film.gguf", "wb").write(model)
json.dump([1, 400] + list(range(402, 434)) + [401], open("film.json", "w"))
PY
around=(--before '<|image start|>' --after '<|image end|>' -n 12 --logprobs 5)
local_run --gguf film.gguf --clip-codebook film.tess "${around[@]}" -o rows.json
code_is 0
local_run --gguf film.gguf --features film.safetensors --column codebook "${around[@]}" -o column.json
code_is 0
is "the film's embeddings" 12 "$(member rows.json 'len(d["tokens"])')"
is "tess or safetensors" "$(member column.json '(d["tokens"], d["top"])')" "$(member rows.json '(d["tokens"], d["top"])')"
# A picture through tower, operator and projector straight into the model: a pipe is as good as a file.
picture=$(ls frames/* | head -1)
run features "$picture" -t siglip --op diverse-maxmin:k=8 --project -o eight.safetensors --device cpu -q
code_is 0
local_run --gguf wide.gguf --features eight.safetensors "${around[@]}" -o file.json
code_is 0
"$TESSERA" features "$picture" -t siglip --op diverse-maxmin:k=8 --project -o - --device cpu -q |
    "$TESSERA" run --threads 1 --gguf wide.gguf --features - "${around[@]}" -o pipe.json || complain "features in a pipe"
is "a pipe or a file" "$(member file.json '(d["tokens"], d["top"])')" "$(member pipe.json '(d["tokens"], d["top"])')"
python3 -c 'import json; json.dump(list(range(402, 434)), open("codes.json", "w"))'
local_run --gguf film.gguf --ids codes.json "${around[@]}" -o tokens.json
code_is 0
is "embeddings or tokens: ids and log probabilities" "$(member tokens.json '(d["tokens"], d["top"])')" "$(member rows.json '(d["tokens"], d["top"])')"
local_run --gguf wide.gguf --ids codes.json "${around[@]}" -o other.json
code_is 0
[ "$(member other.json 'd["top"]')" != "$(member rows.json 'd["top"]')" ] || complain "other tokens, the same log probabilities"
local_run --gguf film.gguf --clip-codebook film.tess --visual-step 0.25 "${around[@]}" -o steps.json
code_is 0
[ "$(member steps.json 'd["top"]')" != "$(member rows.json 'd["top"]')" ] || complain "other positions, the same log probabilities"

# ---- refusals -------------------------------------------------------------------------------------------------
local_run --gguf small.gguf --clip-codebook film.tess --after x
code_is 5
err_has 'film.tess: wanted rows of 16 numbers, as the model embeds its tokens, got 64 .*--project'
local_run --gguf small.gguf --ids beyond.json
code_is 2
err_has 'wanted 0 to 1199, got 1200 at 2'
local_run --gguf missing.gguf --ids short.json
code_is 3
err_has 'missing.gguf'
local_run --gguf film.tess --ids short.json
code_is 4
err_has 'wanted a GGUF file'
local_run --gguf small.gguf --ids short.json --llama-library /nowhere/libllama.so
code_is 3
err_has '/nowhere/libllama.so'
local_run --gguf large.gguf --ids image.json --context 100
code_is 2
err_has 'at most 100 tokens, got 0 fed and 259 more'
for wrong in "--ids short.json" "--gguf small.gguf --server http://127.0.0.1:1 --ids short.json" "--gguf small.gguf" \
    "--gguf small.gguf --ids short.json --set x" "--gguf small.gguf --before x --perplexity" \
    "--gguf small.gguf --features film.safetensors --clip-codebook film.tess" \
    "--server http://127.0.0.1:1 --ids short.json --before x" "--gguf small.gguf --ids short.json --grammar short.json"; do
    run run $wrong
    code_is 2
done
[ ! -e x.json ] || complain "an output of a refusal"

# ---- llama-server, where it was built ------------------------------------------------------------------------
server=$SOURCE/build/llama/llama-server
if [ -x "$server" ]; then
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$server" -m large.gguf --host 127.0.0.1 --port "$port" -c 4096 -np 1 -t 1 --no-warmup --offline >server.log 2>&1 &
    pid=$!
    trap 'kill $pid 2>/dev/null; rm -rf "$here"' EXIT
    for _ in $(seq 300); do
        grep -q "listening" server.log && break
        sleep 0.2
    done
    run run --server "http://127.0.0.1:$port" --ids image.json -n 4 --logprobs 3 -o server.json
    code_is 0
    local_run --gguf large.gguf --ids image.json -n 4 --logprobs 3 -o local.json
    code_is 0
    is "llama-server's ids" "$(member server.json 'd["tokens"]')" "$(member local.json 'd["tokens"]')"
    python3 - <<'PY' || complain "llama-server's log probabilities"
import json
a, b = json.load(open("server.json"))["logprobs"], json.load(open("local.json"))["logprobs"]
print("log probabilities of the server and of the process:", a, b)
assert all(abs(x - y) < 0.02 for x, y in zip(a, b))
PY
    kill $pid
else
    echo "left out: llama-server beside the process: not built (scripts/llama.sh server)"
fi
finish
