#!/bin/bash
# SPDX-License-Identifier: MIT
# Videos from the command line: which frames a rule takes, encoding to clips, pipes, folders, GIF,
# damage, what is refused, and clip codebooks of a video.
set -u
. "${SOURCE:?}/tests/support/cli.bash"
clips=$SOURCE/tests/golden/video-in
is() {
    checks=$((checks + 1))
    [ "$2" = "$3" ] || complain "$1: wanted '$2', got '$3'"
}
grep -q '+video' <<<"$("$TESSERA" --version)" || { echo "skipped: this build was made without FFmpeg"; exit 77; }

# frames: numbers and times, by rule; the document has the same.
"$TESSERA" frames "$clips/timing/vfr.mkv" --fps 2 -q >list || complain "frames: exit code $?"
is "frames --fps 2" "0 7 9 11 13" "$(echo $(awk 'NR > 1 {print $1}' list))"
is "seconds of frame 11" 1.320 "$(awk '$1 == 11 {print $3}' list)"
"$TESSERA" frames "$clips/timing/vfr.mkv" --frames 4:segment-middle --json >list.json
is "frames --frames 4:segment-middle" "2 6 10 14" "$(echo $(sed -n 's/.*"index": \([0-9]*\).*/\1/p' list.json))"
grep -q '"rule": "segment-middle"' list.json || complain "frames --json: no rule"
is "frames --keyframes" "0 8 16" "$(echo $("$TESSERA" frames "$clips/timing/open-gop.mkv" --keyframes -q | awk 'NR > 1 {print $1}'))"
is "frames --every --start --end" "6 8 10" "$(echo $("$TESSERA" frames "$clips/timing/vfr.mkv" --every 2 --start 0.3 --end 1.2 -q | awk 'NR > 1 {print $1}'))"
is "tokens of --budget" 1000 "$("$TESSERA" frames "$clips/timing/vfr.mkv" --frames 3 --budget 1000 -q | awk 'NR > 1 {n += $NF} END {print n}')"
"$TESSERA" frames "$clips/timing/long-gop.mp4" --scenes 0.1 --sheet sheet.png -q >/dev/null || complain "frames --sheet"
is "sheet" PNG "$(head -c 4 sheet.png | tail -c 3)"
said=$("$TESSERA" frames "$clips/colour/untagged.mp4" 2>&1 >/dev/null)
grep -q "names no colour matrix: BT.601 is assumed" <<<"$said" || complain "frames: nothing was assumed: $said"

# encode: a clip each, a frame an item; the tokens are those of the frames as pictures.
"$TESSERA" encode "$clips/timing/vfr.mkv" "$clips/animations/alpha.webp" -o two.tess --device cpu -q || complain "encode: exit code $?"
is "items of two clips" 20 "$("$TESSERA" info two.tess | awk '$1 == "items" {print $2}')"
grep -q '"key": "vfr/000007"' <("$TESSERA" info two.tess --json) || complain "encode: no key vfr/000007"
"$TESSERA" encode "$clips/timing/vfr.mkv" --fps 5 -o some.tess --device cpu -q || complain "encode --fps"
is "items of --fps 5" 12 "$("$TESSERA" info some.tess | awk '$1 == "items" {print $2}')"
"$TESSERA" encode - -o - --device cpu -q <"$clips/codecs/vp9.webm" >stdin.tess || complain "encode -: exit code $?"
"$TESSERA" encode "$clips/codecs/vp9.webm" -o file.tess --device cpu -q
is "ids from stdin" "$("$TESSERA" info --ids file.tess | md5sum)" "$("$TESSERA" info --ids stdin.tess | md5sum)"
cat "$clips/codecs/odd-interlaced.y4m" | "$TESSERA" encode - --as-video -o pipe.tess --device cpu -q || complain "encode - from a pipe"
is "items from a pipe" 3 "$("$TESSERA" info pipe.tess | awk '$1 == "items" {print $2}')"
"$TESSERA" encode "$clips/animations/disposal.gif" -o picture.tess --device cpu -q
"$TESSERA" encode --as-video "$clips/animations/disposal.gif" -o moving.tess --device cpu -q
is "a GIF as picture and as video" "1 6" "$(echo $(for f in picture moving; do "$TESSERA" info $f.tess | awk '$1 == "items" {print $2}'; done))"
mkdir frames
for i in 1 2 10; do printf 'P6\n2 2\n255\n%b' '\x10\x20\x30\x10\x20\x30\x10\x20\x30\x10\x20\x30' >frames/f$i.ppm; done
"$TESSERA" encode --as-video frames --rate 10 -o folder.tess --device cpu -q || complain "encode a folder"
is "items of a folder" 3 "$("$TESSERA" info folder.tess | awk '$1 == "items" {print $2}')"

# Exact times go into the file and come out of it.
"$TESSERA" encode "$clips/timing/vfr.mkv" -o times.tess --device cpu -q
"$TESSERA" decode times.tess -o back.mkv --device cpu -q || complain "decode of a clip"
is "times of a clip that was decoded" "$("$TESSERA" frames "$clips/timing/vfr.mkv" -q | awk 'NR > 1 {print $1, $2}')" \
    "$("$TESSERA" frames back.mkv -q | awk 'NR > 1 {print $1, $2}')"
# Through a folder, too, whose frames.json has them; a frame that is taken out leaves the others theirs.
"$TESSERA" decode times.tess -o pictures/ --device cpu -q || complain "decode of a clip to a folder"
"$TESSERA" encode --as-video pictures -o again.tess --device cpu -q || complain "encode of that folder"
clip_times() { "$TESSERA" info "$1" --json | grep -E '"(time|first_seconds|last_seconds|constant)":'; }
is "times of a clip through a folder" "$(clip_times times.tess)" "$(clip_times again.tess)"
rm pictures/frame_000003.png
left=$("$TESSERA" frames pictures 2>said | awk 'NR > 1 {print $2}')
is "times without a frame" "$("$TESSERA" frames "$clips/timing/vfr.mkv" -q | awk 'NR > 1 && NR != 4 {print $2}')" "$left"
grep -q 'frames.json: 1 of the 16 frames are not there' said || complain "a frame that is gone: $(cat said)"

# A tokenizer of video gets as many frames an item as its tiles have; the last item has what is left.
for model in "emu3/tiny 4" "cosmos/dv8x16x16-tiny 9"; do
    read -r case frames <<<"$model"
    "$BUILD/make_weights" "$SOURCE/tests/golden/$case/manifest.json" video.safetensors || complain "make_weights $case"
    said=$("$TESSERA" encode "$clips/timing/vfr.mkv" -t video.safetensors --tile 64x48x$frames --fit crop -o windows.tess -f --device cpu 2>&1) ||
        complain "$case: encode: $said"
    is "$case: items and frames" "$(((16 + frames - 1) / frames)) 16" \
        "$(echo $("$TESSERA" info windows.tess | sed -n 's/^items  *//p; s/^clip .*: \([0-9]*\) frames in .*/\1/p'))"
    grep -q '1 clip, 16 frames, ' <<<"$said" || complain "$case: $said"
    "$TESSERA" decode windows.tess -t video.safetensors -o windows.mkv -f --device cpu -q || complain "$case: decode"
    is "$case: times" "$("$TESSERA" frames "$clips/timing/vfr.mkv" -q | awk 'NR > 1 {print $1, $2}')" \
        "$("$TESSERA" frames windows.mkv -q | awk 'NR > 1 {print $1, $2}')"
    "$TESSERA" encode "$clips/timing/vfr.mkv" -t video.safetensors --tile 64x48x$frames --fit crop -o one.tess -f --device cpu --batch 1 --threads 1 -q
    is "$case: one at a time" "$("$TESSERA" info --ids windows.tess | md5sum)" "$("$TESSERA" info --ids one.tess | md5sum)"
done
"$TESSERA" encode "$clips/damaged/truncated.mp4" -t video.safetensors --tile 64x48x4 --fit crop -o cutwindows.tess --device cpu -q 2>/dev/null
keys() { sed -n "s,.*\"key\": \"$1/\([0-9]*\)\".*,\1,p"; }
"$TESSERA" encode "$clips/geometry/size-change.h264" -t video.safetensors --tile 64x48x9 --fit crop -o sizes.tess --device cpu -q 2>/dev/null
is "where the size changes an item ends" "000000 000004 000008" "$(echo $("$TESSERA" info sizes.tess --json | keys size-change))"
"$TESSERA" encode "$clips/damaged/truncated.mp4" -t video.safetensors --tile 64x48x9 --fit crop -o part.tess --device cpu -q 2>/dev/null
is "items and frames of a cut video" "1 6" \
    "$(echo $("$TESSERA" info part.partial.tess | sed -n 's/^items  *//p; s/^clip .*: \([0-9]*\) frames in .*/\1/p'))"

# Damage: what is whole is kept under another name, or with skip as it is; the exit code says so.
message=$("$TESSERA" encode "$clips/damaged/truncated.mp4" -o cut.tess --device cpu -q 2>&1)
is "exit code of a cut video" 1 $?
grep -q "a frame of the file is cut; 6 whole frames came before" <<<"$message" || complain "cut video: $message"
[ ! -e cut.tess ] && [ -e cut.partial.tess ] || complain "cut video: wanted cut.partial.tess alone"
"$TESSERA" encode "$clips/damaged/truncated.mp4" "$clips/timing/one-frame.mp4" -o skip.tess --on-error skip --device cpu -q 2>/dev/null
is "exit code with skip" 1 $?
is "items with skip" 7 "$("$TESSERA" info skip.tess | awk '$1 == "items" {print $2}')"
"$TESSERA" frames "$clips/damaged/truncated.mp4" -q >list 2>/dev/null
is "frames of a cut video" "1 7" "$? $(wc -l <list)"

# info, and what is refused.
"$TESSERA" info "$clips/timing/trimmed.mp4" >about || complain "info of a video"
grep -q "^video       h264, High in mov" about && grep -q "16 frames by the header\|13 frames by the header" about ||
    complain "info of a video: $(cat about)"
while read -r text && read -r -a words; do
    checks=$((checks + 1))
    message=$("$TESSERA" "${words[@]}" 2>&1 >/dev/null) && complain "${words[*]}: must fail"
    grep -qF -- "$text" <<<"$message" || complain "${words[*]}: wanted '$text', got: $message"
done <<END
exclude each other
frames $clips/timing/vfr.mkv --fps 2 --every 3
wanted N or N:RULE
frames $clips/timing/vfr.mkv --frames 0
wanted F or F:RULE
frames $clips/timing/vfr.mkv --fps 1/0
wanted C:N or C:N:GAP
frames $clips/timing/vfr.mkv --clips 3
wanted seconds behind --start 2
frames $clips/timing/vfr.mkv --start 2 --end 1
wanted a video stream, got none
frames $clips/damaged/audio-only.m4a
wanted at least one frame, got none
frames $clips/damaged/zero-frames.y4m
either pictures or videos
encode $clips/timing/vfr.mkv $clips/animations/disposal.gif -o x.tess
END
message=$(cat "$clips/codecs/h264.ts" | "$TESSERA" frames - --frames 2 2>&1) && complain "frames of a pipe by number"
grep -qF "wanted a file, since this rule must know all frames" <<<"$message" || complain "frames of a pipe: $message"
[ ! -e x.tess ] || complain "x.tess must not be there"
finish
