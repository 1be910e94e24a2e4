#!/bin/bash
# SPDX-License-Identifier: MIT
# Clips through the tokenizer and back into videos of every kind: times, numbers of frames, pipes, parts of a
# clip, what is refused, a full disk, damage; and clips side by side.
. "$(dirname "$0")/../support/cli.bash"

built_with video || skip "this build was made without video"

# A clip of 4 frames of 33x18.
mkdir frames
for i in 0 1 2 3; do picture frames/$i.ppm 33 18 $i; done
run encode --as-video --rate 25 frames -o clip.tess --device cpu -q
code_is 0
for suffix in mkv mp4 webm y4m gif; do
    run decode clip.tess -o back.$suffix --device cpu --json
    code_is 0
    json_ok
    is "$suffix: frames" 4 "$(json 'd["video"]["frames"]')"
    is "$suffix: written" 4 "$(json 'd["written"]')"
    is "$suffix: bytes" "$(stat -c %s back.$suffix)" "$(json 'd["video"]["bytes"]')"
done
is "mp4: even sizes" "34x18" "$(run decode clip.tess -f -o back.mp4 --device cpu --json; json '"%dx%d" % (d["video"]["width"], d["video"]["height"])')"
run decode clip.tess -o frames2/ --device cpu -q
code_is 0
is "frames in the folder" 5 "$(find frames2 -type f | wc -l)"
is "times in the folder" "0 1 3" "$(python3 -c '
import json; d = json.load(open("frames2/frames.json")); f = d["frames"]; n, m = map(int, d["time_base"].split("/"))
print(f[0]["pts"], round(f[1]["pts"] * n * 25 / m), round(f[3]["pts"] * n * 25 / m))')"

# libavfilter, a third of the time of a start, is loaded where a GIF needs its palette; one that is not
# what it should be is refused by its name, and no file is begun.
library=libavfilter.so.$("$TESSERA" --version | grep -oE 'libavfilter [0-9]+' | tr -dc 0-9)
is "linked with libavfilter" "" "$(ldd "$TESSERA" | grep libavfilter)"
mkdir other
echo 'int other;' | ${CC:-cc} -shared -fPIC -x c -o "other/$library" -
last="decode to a GIF with another libavfilter"
LD_LIBRARY_PATH=$here/other "$TESSERA" decode clip.tess -o refused.gif --device cpu -q >out 2>err
code=$?
code_is 4
err_has "refused.gif: palette: wanted avfilter_version in $library, got none"
absent refused.gif
LD_LIBRARY_PATH=$here/other "$TESSERA" decode clip.tess -o taken.mkv --device cpu -q >out 2>err
code=$?
code_is 0

# Lossless ones are the decoded pixels, which the folder has, too.
for suffix in mkv webm; do
    run decode clip.tess -o exact.$suffix --lossless --device cpu -q
    code_is 0
    run eval exact.$suffix frames2 --as-video --json
    code_is 0
    is "$suffix: equal frames" "4 4" "$(json '"%d %d" % (d["video"]["frames"], d["video"]["equal"])')"
done
run eval exact.mkv back.webm --csv -
code_is 0
is "lines of CSV" 5 "$(wc -l <out)"
out_has '^0,0,[0-9.]+,[0-9.]+,[0-9.]+,[0-9.]+,[0-9.]+,$'
run eval exact.mkv back.webm --per-frame --json
is "frames in JSON" "4 True" "$(json '"%d %s" % (len(d["frames"]), d["frames"][0]["flicker"] is None and d["frames"][1]["flicker"] >= 0)')"

# In pipes, both ways, and parts of a clip.
"$TESSERA" encode - -o - --device cpu -q <exact.mkv | "$TESSERA" decode - -o piped.mp4 --device cpu -q
is "pipe: exit codes" "0 0" "${PIPESTATUS[*]}"
"$TESSERA" decode - -o - --device cpu -q <clip.tess >piped.y4m
is "y4m on stdout" "YUV4MPEG2 W33 H18 F25:1" "$(head -c 23 piped.y4m)"
"$TESSERA" decode clip.tess -o - --format mkv --device cpu -q >piped.mkv
run eval piped.mkv back.mkv --json
is "Matroska on stdout" 4 "$(json 'd["video"]["equal"]')"
run decode clip.tess -o part.mkv --lossless --from 0.05 --to 0.12 --device cpu --json
is "part: frames" 2 "$(json 'd["video"]["frames"]')" # 1 is on screen at 0.05, 3 begins at 0.12
run eval exact.mkv part.mkv
code_is 1
err_has 'part.mkv: frames: wanted 4 as in exact.mkv, got 2'
run eval part.mkv back.mp4
code_is 1
err_has 'back.mp4: size of frame 0: wanted 33x18 as in part.mkv, got 34x18'
run decode clip.tess --device cpu -q
code_is 0
cmp -s clip.mp4 back.mp4 || complain "decode without -o: wanted clip.mp4 as back.mp4 is"

# What cannot be is said before anything is made.
fails 3 'output exists: back.mkv; -f replaces it' decode clip.tess -o back.mkv
fails 2 'wanted the suffix of a video' decode clip.tess -o x.avi --crf 20
fails 2 'x.mp4: crf: wanted 1 to 51 of h264, got 60' decode clip.tess -o x.mp4 --crf 60
fails 2 'x.webm: codec: wanted one of vp9' decode clip.tess -o x.webm --codec h264
fails 2 'clip.tess: clip: wanted 1 to 1, got 2' decode clip.tess -o x.mp4 --clip 2
fails 2 'from: wanted at most 0.160 s' decode clip.tess -o x.mp4 --from 5
fails 2 'from and to: wanted seconds' decode clip.tess -o x.mp4 --from 0.2 --to 0.1
fails 2 'wanted a video, got a choice of items' decode clip.tess -o x.mp4 --item 0
"$TESSERA" encode frames/0.ppm -o still.tess --device cpu -q
fails 2 'still.tess: wanted a clip for the video x.mp4, got none' decode still.tess -o x.mp4
fails 4 'x.y4m: lossless: wanted mkv' decode clip.tess -o x.y4m --lossless
fails 3 '/dev/full.*No space left' decode clip.tess -o /dev/full --format mp4 --device cpu
fails 3 'no/x.mp4.*No such file' decode clip.tess -o no/x.mp4 --device cpu
absent x.mp4
no_leftovers

# Damage costs its frames and no others.
python3 - <<'PY'
b = bytearray(open("clip.tess", "rb").read())
b[len(b) // 2] ^= 255
open("hurt.tess", "wb").write(b)
PY
run decode hurt.tess -o hurt.mkv --device cpu --json
code_is 1
json_ok
is "hurt: some frames" True "$(json '0 < d["video"]["frames"] < 4')"
finish
