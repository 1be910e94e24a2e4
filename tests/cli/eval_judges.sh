#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera eval with networks: judges that are not there, cannot be read or are of another family;
# pictures a network cannot take; several candidates; metrics of clips. Weights are made up by the
# rule of ../shared/golden, without which most of it is left out.
. "$(dirname "$0")/../support/cli.bash"
shared=$SOURCE/../shared/golden
clips=$SOURCE/tests/golden/video-in
export XDG_CACHE_HOME=$here/cache # nothing was fetched

mkdir a b c
picture a/one.ppm 48 40
picture b/one.ppm 48 40 2
picture a/two.ppm 40 48 3
picture b/two.ppm 40 48 4
cp a/*.ppm c/
fails 3 'lpips-alex: weights: wanted lpips-alex=PATH or the fetched model lpips-alex, got none' eval a b --metrics lpips-alex
fails 3 'inception: weights: wanted inception=PATH or the fetched model inception-2015-12-05, got none' eval a b --metrics rfid
fails 3 'dists: weights: wanted dists=PATH or the fetched model dists-vgg, got none' eval a b --metrics dists
fails 3 'no-such.safetensors' eval a b --metrics dists --weights dists=no-such.safetensors
echo no weights >bad.safetensors
fails 4 'bad.safetensors' eval a b --metrics dists --weights dists=bad.safetensors
fails 4 'wanted a judge .*, got the weights of mosaic, a tokenizer' \
    eval a b --metrics rfid --weights "inception=$SOURCE/models/mosaic-64.safetensors"
fails 2 'metrics: wanted metrics of pictures, got rfvd' eval a b c --metrics rfvd
run eval --metrics help
out_has '^rfvd +rFVD, less is better, one for all clips$'
out_has 'model: i3d \(--weights i3d=FILE\)$'

if grep -q +video <("$TESSERA" --version); then
    vfr=$clips/timing/vfr.mkv
    fails 2 'metrics: wanted metrics of clips, got psnr' eval "$vfr" "$vfr" --metrics psnr
    fails 3 'i3d: weights: wanted i3d=PATH or the fetched model i3d-rgb, got none' eval "$vfr" "$vfr" --metrics rfvd
    mkdir originals backs
    cp "$vfr" originals/
    fails 3 'backs: wanted clips, got none' eval originals backs --metrics rfvd
    fails 2 'wanted two clips, got folders of them' eval originals backs --metrics rfvd --per-frame
fi
if [ ! -d "$shared" ]; then
    echo "left out: ../shared/golden is not there"
    finish
fi
make_weights() {
    "$BUILD/make_weights" "$shared/$1/manifest.json" "$2" || complain "make_weights $1"
}

# -- pairs: equal ones, one that is too small for the network, a judge of another family
make_weights lpips/squeeze squeeze.safetensors
picture a/small.ppm 8 8
picture b/small.ppm 8 8 2
cp a/small.ppm c/
run eval a b c --metrics psnr,lpips-squeeze --weights lpips-squeeze=squeeze.safetensors --json
code_is 0
json_ok
at() { json "[v for p in d['pictures'] if p['name'] == '$1.ppm' for v in p['values']][$2]$3"; }
is "null, with the reason" "None a side is below what the network takes" \
    "$(at small 0 '["lpips-squeeze"]') $(at small 0 '["why"]["lpips-squeeze"]')"
is "equal pictures" 0.0 "$(json 'float([v for p in d["pictures"] if p["name"] == "one.ppm" for v in p["values"]][1]["lpips-squeeze"])')"
is "the others" True "$(json 'd["candidates"][0]["summary"]["lpips-squeeze"]["mean"] > 0')"
run eval a b --metrics lpips-squeeze --weights lpips-squeeze=squeeze.safetensors
out_has '1 picture without the number: a side is below what the network takes$'
out_has 'LPIPS 0.1 with its linear layers'
fails 5 'wanted lpips-vgg, got lpips-squeeze' eval a b --metrics lpips-vgg --weights lpips-vgg=squeeze.safetensors
fails 5 'wanted inception, got lpips-squeeze' eval a b --metrics kid --weights inception=squeeze.safetensors

# -- letters a reader lacks, words that are empty, faces without points
make_weights parseq/narrow reader.safetensors
printf 'one.ppm\t2,2,30,20\tword\none.ppm\t2,2,40,30\t日本\none.ppm\t1,1,9,9\t\none.ppm\t40,2,60,20\toff\n' >marks.tsv
run eval a b --text marks.tsv --reader parseq:reader.safetensors --json
code_is 1
json_ok
is "words, left out, without a letter" "2 1 1" "$(json '"%d %d %d" % tuple(d["candidates"][0]["text"][k] for k in ("words", "left_out", "outside_alphabet"))')"
grep -q 'one.ppm: box of "off": wanted a pixel inside 48x40' err || complain "no line of the box: $(cat err)"
grep -q 'text: wanted a text, got an empty one' err || complain "no line of the empty word: $(cat err)"
run eval a b --text marks.tsv --reader parseq:reader.safetensors
out_has '^  1 words? ha(s|ve) a letter that the reader lacks$'
make_weights arcface/mobilefacenet faces.safetensors
printf 'one.ppm\t10\t10\t30\t10\t20\t20\t12\t30\t28\t30\ntwo.ppm\n' >faces.tsv
run eval a b --faces faces.tsv --embedder mobilefacenet:faces.safetensors --json
code_is 1
json_ok
is "faces" 1 "$(json 'd["candidates"][0]["faces"]["count"]')"
grep -q 'two.ppm: face: wanted ten numbers' err || complain "no line of the face: $(cat err)"
# a report says both, of this run and of one that was finished before
for _ in measured "finished before"; do
    run report a b --metrics psnr --text marks.tsv --reader parseq:reader.safetensors --faces faces.tsv \
        --embedder mobilefacenet:faces.safetensors --device cpu --no-pictures -o told
    out_has '^text, read by parseq'
    out_has '^b +[0-9. ]+ 2$'
    out_has '^faces, compared by mobilefacenet'
    out_has '^b +[0-9.]+ +- +- +1$'
done

# -- features that stay: a second run computes none, a picture more is one more
make_weights inception/fid-2015-12-05 inception.safetensors
rfid() { run eval a b "$@" --metrics rfid,kid --weights inception=inception.safetensors --device cpu --json; }
value() { json 'd["candidates"][0]["sets"]["rfid"]["value"]'; }
rfid
plain=$(value)
rfid --cache kept
grep -qF 'features: 6 computed, 0 from before (kept)' err || complain "first run: $(cat err)"
is "the same number" "$plain" "$(value)"
rfid --cache kept
grep -qF 'features: 0 computed, 6 from before (kept)' err || complain "second run: $(cat err)"
is "the same number" "$plain" "$(value)"
picture a/three.ppm 20 20 5
picture b/three.ppm 20 20 6
rfid --cache kept
grep -qF 'features: 2 computed, 6 from before (kept)' err || complain "a pair more: $(cat err)"
fails 3 'err: wanted a folder to keep features in' eval a b --metrics rfid --weights inception=inception.safetensors --cache err
rm a/three.ppm b/three.ppm

# -- clips
if ! grep -q +video <("$TESSERA" --version); then
    echo "left out: metrics of clips, this build was made without FFmpeg"
    finish
fi
make_weights i3d/rgb i3d.safetensors
run eval "$vfr" "$vfr" --metrics rfvd --weights i3d=i3d.safetensors --device cpu --json
code_is 0
json_ok
is "one window is no set" "None 1 wanted at least 2 windows of 16 frames, got 1" \
    "$(json '"%s %d %s" % tuple(d["sets"]["rfvd"][k] for k in ("value", "count", "warning"))')"
is "protocol" True "$(json '"windows of 16 frames" in d["protocol"]["rfvd"]')"
is "judge" i3d-rgb "$(json 'd["sets"]["rfvd"]["model"]')"
"$TESSERA" encode "$vfr" -o backs/vfr.tess --device cpu -q || complain "encode"
cp "$clips/timing/ntsc.mp4" originals/ntsc.mp4
cp "$clips/timing/ntsc.mp4" backs/ntsc.mp4
cp "$vfr" originals/alone.mkv
windows=$(("$("$TESSERA" frames "$clips/timing/ntsc.mp4" -q | wc -l)" / 16 + 1))
run eval originals backs --metrics rfvd --weights i3d=i3d.safetensors --device cpu --json
code_is 1 # a clip is alone
json_ok
grep -q 'alone.mkv: no reconstruction' err || complain "alone.mkv is not named: $(cat err)"
is "clips" "ntsc.mp4 vfr.mkv" "$(json '" ".join(c["name"] for c in d["clips"])')"
is "windows" "$windows" "$(json 'd["sets"]["rfvd"]["count"]')"
if [ "$windows" -ge 2 ]; then
    is "a distance" True "$(json 'd["sets"]["rfvd"]["value"] > 0')"
fi
finish
