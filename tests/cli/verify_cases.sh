#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera verify: golden cases pass, a changed answer fails, what is no case is said to be none.
. "$(dirname "$0")/../support/cli.bash"

fails 2 '^tessera verify: CASE-FOLDER is missing' verify
run verify nowhere
code_is 3
out_is '0 passed, 0 failed'
err_has 'nowhere'
mkdir broken
echo '{' >broken/manifest.json
run verify broken
code_is 4
out_is '0 passed, 0 failed'
run verify broken --json
code_is 4
json_ok
is "failed" 0 "$(json 'd["failed"]')"
is "an error is told" True "$(json 'd["cases"][0]["error"] is not None')"

# Each case is a test of its own (tests/golden/cases.txt); here is what the program says of some.
golden=$SOURCE/tests/golden
run verify "$golden/flextok/fsq"
code_is 0
out_has '^[0-9]+ passed, 0 failed$'
err_empty
run verify "$golden/flextok/fsq" "$golden/flextok/preprocess" --json
code_is 0
json_ok
is "failed" 0 "$(json 'd["failed"]')"
is "sums" True "$(json 'd["passed"] == sum(c["passed"] for c in d["cases"]) > 40')"
# torch checkpoints: the good ones tensor by tensor, the hostile ones refused
run verify "$golden/pickle/valid" "$golden/pickle/refuse"
code_is 0
out_has '^passed dtypes.pth/tensors +wanted 19, got 19; 0 differ'
out_has '^passed os-system.pth/refused .* got os.system: code is not run'
out_has '^28 passed, 0 failed$'
# what this build cannot compare is said, and counts neither way
if grep -q '+video' <<<"$("$TESSERA" --version)"; then
    run verify "$golden/video-in/codecs" --device cpu
    code_is 0
    out_has '^left out prores\.mov/planes +the codec leaves the inverse transform open$'
    run verify "$golden/video-in/codecs" --device cpu --json
    json_ok
    is "left out in JSON" "1 False" "$(json '"%d %s" % (sum("left_out" in o for o in d["cases"][0]["outputs"]), any(o["passed"] for o in d["cases"][0]["outputs"] if "left_out" in o))')"
fi
cp -r "$golden/pickle/valid" checkpoints # a hostile list of answers: another hash, another value
sed -i '0,/"sha256": "a8/s//"sha256": "a9/; s/"epoch": 199/"epoch": 198/' checkpoints/manifest.json
run verify checkpoints
code_is 1
out_has '^FAILED karl-like.pth/model/encoder.conv_in.weight +sha256 differs'
out_has '^FAILED karl-like.pth/epoch +another value'
# the ids of one case changed
cp -r "$golden/flextok/fsq" changed
python3 - <<'PY'
import glob
name = sorted(glob.glob("changed/*.ids.npy"))[0]
data = bytearray(open(name, "rb").read())
data[128:] = bytes(len(data) - 128)
open(name, "wb").write(data)
PY
run verify changed
code_is 1
out_has '^FAILED '
out_has 'passed, [1-9][0-9]* failed$'
finish
