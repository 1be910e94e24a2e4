#!/bin/bash
# SPDX-License-Identifier: MIT
# Videos in the verbs beside encode and frames: features and batch of the frames that are chosen, a
# clip of a token file beside its video, a budget of a clip, square pixels.
. "$(dirname "$0")/../support/cli.bash"
built_with video || skip "this build was made without FFmpeg"
clips=$SOURCE/tests/golden/video-in
vfr=$clips/timing/vfr.mkv

# ---- features: the frames are pictures, whose numbers are those of the pictures alone ----
mkdir siglip frames
"$BUILD/make_weights" "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" siglip/model.safetensors || complain "make_weights"
python3 - "$SOURCE/tests/golden/towers/siglip-tiny/manifest.json" >siglip/config.json <<'PY'
import json, sys
print(json.dumps(json.load(open(sys.argv[1]))["config"]["upstream_config"]))
for i in range(5):
    data = bytes((x * 7 + y * (3 + i * 5) + c * 50) % 256 for y in range(48) for x in range(64) for c in range(3))
    open("frames/f%d.ppm" % i, "wb").write(b"P6\n64 48\n255\n" + data)
PY
cat >same.py <<'PY'
import json, struct, sys
def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    head.pop("__metadata__", None)
    return {k: data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]] for k, v in head.items()}
a, b = read(sys.argv[1]), read(sys.argv[2])
print(len(a), all(a["frames/%06d/features" % i] == b["f%d.ppm/features" % i] for i in (0, 2, 4)))
PY
run features --as-video frames --every 2 -t siglip -o film.safetensors --device cpu --json
code_is 0
json_ok
is "frames and videos" "3 True" "$(json '"%d %s" % (d["pictures"], d["videos"])')"
run features frames -t siglip -o all.safetensors --device cpu -q
code_is 0
is "features of frames" "12 True" "$(python3 same.py film.safetensors all.safetensors)"
run features "$vfr" --fps 2 -t siglip -o fps.npz --device cpu
code_is 0
grep -q '^fps.npz: 5 frames, ' err || complain "features --fps: $(cat err)"
run features "$clips/damaged/truncated.mp4" -t siglip -o cut.npz --device cpu
code_is 1
grep -q '^cut.npz: 6 frames, ' err || complain "features of a cut video: $(cat err)"
grep -q '6 whole frames came before' err || complain "features of a cut video: $(cat err)"
fails 2 'either pictures or videos' features "$vfr" frames/f0.ppm -t siglip -o x.npz --device cpu
fails 4 'wanted a video stream, got none' features --as-video "$clips/damaged/audio-only.m4a" -t siglip -o x.npz --device cpu
absent x.npz

# ---- batch: a shard for each video, and it goes on where it was ----
mkdir -p set/cats
cp "$vfr" set/a.mkv
cp "$clips/timing/one-frame.mp4" set/cats/a.mp4
cp "$clips/damaged/truncated.mp4" set/cut.mp4
cp frames/f0.ppm set/p.ppm
run batch set -o shards --every 2 --device cpu --json
code_is 1
json_ok
is "shards" "4 3 1" "$(json '"%d %d %d" % (d["made"], d["clips"], d["partial"])')"
is "files" "000000.tess a.tess cats-a.tess cut.tess errors.jsonl job.json manifest.jsonl" "$(echo $(ls shards))"
"$TESSERA" encode set/a.mkv --every 2 -o one.tess --device cpu -q
checks=$((checks + 1))
cmp -s one.tess shards/a.tess || complain "the shard of a video is not what encode makes of it"
is "a key in a folder" 1 "$("$TESSERA" info -v shards/cats-a.tess | grep -c ' cats/a/000000$')"
grep -q '"complete":false' shards/manifest.jsonl || complain "manifest: no shard is incomplete"
run batch set -o shards --every 2 --device cpu --json
is "a second run" "4 0" "$(json '"%d %d" % (d["done_before"], d["made"])')"
fails 2 'job.json: frames: wanted .* as in the shards that stand there' batch set -o shards --device cpu
run batch --as-video frames -o moving --rate 10 --labels folder --device cpu -q
code_is 0
is "a folder as a video" "5 frames" "$("$TESSERA" info moving/frames.tess | sed -n 's/^clip .*: \(5 frames\) in .*/\1/p')"
run batch set/a.mkv set/cats/a.mp4 -o twice --device cpu
code_is 2
grep -q 'wanted shards of different names, got a.tess' err || complain "two videos of one name: $(cat err)"

# ---- eval of a clip in a token file: as that of the video it decodes to ----
"$TESSERA" encode "$vfr" -o clip.tess --device cpu -q
"$TESSERA" decode clip.tess -o back.nut --lossless --device cpu -q
"$TESSERA" eval "$vfr" back.nut --csv - >back.csv
run eval "$vfr" clip.tess --csv - --device cpu
code_is 0
checks=$((checks + 1))
cmp -s back.csv out || complain "eval of a clip differs from that of its decoded video: $(diff back.csv out | head -4)"
run eval "$vfr" clip.tess --device cpu --json --per-frame
code_is 0
json_ok
is "document" "16 time 0 16 the picture" \
    "$(json '"%d %s %d %d %s" % (d["video"]["frames"], d["video"]["matched_by"], d["passed_over"], len(d["frames"]), d["compared_with"])')"
"$TESSERA" encode "$vfr" --start 0.5 --every 3 -o some.tess --device cpu -q
run eval "$vfr" some.tess --device cpu --json
code_is 0
is "frames that were not chosen" "3 12" "$(json '"%d %d" % (d["video"]["frames"], d["passed_over"])')"
"$TESSERA" encode "$vfr" --fps 20 -o often.tess --device cpu -q
run eval "$vfr" often.tess --device cpu --csv -
code_is 0
is "frames that come twice" "49 $(sed -n 2p back.csv | cut -d, -f2-3)" "$(wc -l <out) $(sed -n 2p out | cut -d, -f2-3)"
"$TESSERA" encode "$clips/codecs/h264.h264" -o bare.tess --device cpu -q
run eval "$clips/codecs/h264.h264" bare.tess --device cpu
code_is 0
out_has ', matched by place, '
"$TESSERA" encode "$vfr" --fit crop -o crop.tess --device cpu -q
run eval "$vfr" crop.tess --device cpu
code_is 0
out_has '^16 frames of 256x256'
out_has '^# compared with the frames as they were fitted'
run eval "$clips/timing/ntsc.mp4" clip.tess --device cpu
code_is 1
err_has 'clip.tess: (time|size) of frame [0-9]+: wanted '
fails 2 '--clip.* wanted a clip in a token file' eval "$vfr" back.nut --clip 1

# ---- a budget of a clip ----
run encode "$vfr" --budget 1500 -o budget.tess --device cpu --json
code_is 0
is "ids" "1500 1500 16" "$(json '"%d %d %d" % (d["tokens"], sum(i["tokens"] for i in d["items"]), len(d["items"]))')"
is "ids in the file" 1500 "$("$TESSERA" info budget.tess --json | grep -m 1 '"tokens"' | tr -dc 0-9)"
"$TESSERA" info --ids clip.tess >all.txt
run encode "$vfr" --budget 1000000 -o rich.tess --device cpu -q
checks=$((checks + 1))
"$TESSERA" info --ids rich.tess | cmp -s - all.txt || complain "a budget for all ids leaves some out"
# a still clip: what does not change gets the even half alone
mkdir still
for i in 0 1 2 3; do cp frames/f0.ppm still/f$i.ppm; done
run encode --as-video still --budget 400 -o still.tess --device cpu --json
is "ids of still frames" "250 50 50 50" "$(json '" ".join(str(i["tokens"]) for i in d["items"])')"
fails 2 'budget: wanted at least 16 tokens for 16 frames' encode "$vfr" --budget 15 -o x.tess --device cpu
fails 2 'budget and check: wanted one of them' encode "$vfr" --budget 1500 --check -o x.tess --device cpu
"$BUILD/make_weights" "$SOURCE/tests/golden/emu3/tiny/manifest.json" video.safetensors || complain "make_weights"
fails 4 'budget: wanted a tokenizer whose first ids alone are a picture' \
    encode "$vfr" -t video.safetensors --tile 64x48x4 --fit crop --budget 1500 -o x.tess --device cpu
run encode "$clips/damaged/truncated.mp4" --budget 300 -o cut.tess --device cpu -q
code_is 1
is "ids of a cut video" 300 "$("$TESSERA" info cut.partial.tess --json | grep -m 1 '"tokens"' | tr -dc 0-9)"
absent x.tess
absent cut.tess

# ---- square pixels, and a scene's threshold that is not said ----
sar=$clips/geometry/sar-40-33.mkv
run encode "$sar" --square-pixels -o square.tess --device cpu -q
code_is 0
is "size with square pixels" 78x48 "$("$TESSERA" info -v square.tess | awk '$NF == "sar-40-33/000000" {print $2}')"
run eval "$sar" square.tess --square-pixels --device cpu -q
code_is 0
run eval "$sar" square.tess --device cpu
code_is 1
err_has 'size of frame 0: wanted 64x48 .*, got 78x48'
long=$clips/timing/long-gop.mp4
is "--scenes" "$("$TESSERA" frames "$long" --scenes 0.4 -q)" "$("$TESSERA" frames --scenes "$long" -q)"
finish
