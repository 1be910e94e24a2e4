#!/bin/bash
# SPDX-License-Identifier: MIT
# Pictures to tokens and back on the command line: what encode, decode, info, cut, eval and sheet say of
# the same pictures, and that ids do not depend on threads, batches or company.
. "$(dirname "$0")/../support/cli.bash"

picture a.ppm 300 280 1
picture b.ppm 256 256 2
picture c.ppm 100 60 3
run encode a.ppm -o a.tess --device cpu
code_is 0
out_empty
out=$(head -1 err)
case "$out" in "a.tess: 1 picture, "*" tokens, "*" near ties, "*" s") ;; *) complain "summary: $out" ;; esac
run encode a.ppm -o a.tess -f --device cpu -v
code_is 0
is "what the device did" 0 "$(grep -c 'the device computed' err)" # the cpu does not compute beside the host
run encode a.ppm b.ppm c.ppm -o all.tess --device cpu --json
code_is 0
err_empty
json_ok
is "keys" "bytes changed_keys device equal_keys failed inputs items near_ties output pictures precision seconds stage_seconds stages tessera tiles tokenizer tokens total_seconds verb weights_hash" "$(json '" ".join(sorted(d))')"
is "pictures" 3 "$(json 'd["pictures"]')"
# mosaic encodes on the host: nothing for the device to do
is "what the device did" "0 True 0" "$(json '"%d %s %d" % (d["stage_seconds"]["device_busy"], abs(d["stage_seconds"]["device_busy"] + d["stage_seconds"]["device_waited"] - d["stage_seconds"]["passed"]) < 1e-3, d["stage_seconds"]["host_waited"])')"
is "bytes" "$(stat -c %s all.tess)" "$(json 'd["bytes"]')"
tokens=$(json 'd["tokens"]')
hash=$(json 'd["weights_hash"]')
run info all.tess --json
code_is 0
is "info's tokens" "$tokens" "$(json 'd["tokens"]')"
is "info's hash" "$hash" "$(json 'd["weights_hash"]')"
is "keys in order" "a.ppm b.ppm c.ppm" "$(json '" ".join(i["key"] for i in d["items"])')"
is "source size" "300x280" "$(json '"%dx%d" % (d["items"][0]["source_width"], d["items"][0]["source_height"])')"

# threads, batches, company
ids() { "$TESSERA" info --ids "$1" | cut -d' ' -f2- | md5sum; }
for setting in "--threads 1" "--threads 2" "--batch 1" "--batch 16" "--threads 2 --batch 3"; do
    run encode a.ppm -f -o again.tess --device cpu -q $setting
    code_is 0
    err_empty
    cmp -s a.tess again.tess || complain "encode $setting gave other bytes"
done
run encode b.ppm a.ppm c.ppm b.ppm c.ppm b.ppm b.ppm c.ppm b.ppm b.ppm c.ppm b.ppm b.ppm c.ppm b.ppm c.ppm -o crowd.tess --device cpu -q
code_is 0
is "ids alone and among 16" "$(ids a.tess)" "$("$TESSERA" info --ids crowd.tess | sed -n 's/^1 //p' | md5sum)"

# back
run decode a.tess -o a.png --device cpu
code_is 0
out_empty
run decode all.tess -o back --device cpu --json
code_is 0
json_ok
is "files" "a.png b.png c.png" "$(ls back | tr '\n' ' ' | sed 's/ $//')"
cmp -s a.png back/a.png || complain "the same item decodes to other bytes in another file"
run decode crowd.tess -o crowd/ --device cpu -q -k 4
code_is 0
is "equal names are numbered" "a.png b-2.png b-3.png" "$(ls crowd | head -3 | tr '\n' ' ' | sed 's/ $//')"
is "how many" 16 "$(ls crowd | wc -l)"
mkdir there
run decode a.tess -o there --device cpu -q
code_is 0
[ -s there/a.png ] || complain "decode into a folder that is there"
run eval a.ppm back/a.png --json
code_is 0
# 15.06 dB with f32 sums in any order: the picture's jumps from 255 to 0 are beyond so few numbers
is "a picture comes back" True "$(json 'abs(d["candidates"][0]["summary"]["psnr"]["mean"] - 15.06) < 0.01')"

# pipes
"$TESSERA" encode c.ppm -o - --device cpu 2>err >c.tess
checks=$((checks + 1))
grep -qE '^stdout: 1 picture, 1 tile, [0-9]+ tokens, [0-9]+ near ties, ' err || complain "summary of a pipe: $(cat err)"
"$TESSERA" encode - -o - --device cpu -q <a.ppm 2>err | "$TESSERA" decode - -o - --device cpu 2>>err >piped.png
cmp -s piped.png a.png || complain "through pipes: other picture: $(cat err)"
"$TESSERA" cut a.tess -k 8 -o - | "$TESSERA" decode - -o cut.png --device cpu -q || complain "cut in a pipe"
run decode a.tess -o eight.png -k 8 --device cpu -q
code_is 0
cmp -s cut.png eight.png || complain "cut -k 8 and decode -k 8 differ"

# fewer tokens
run encode b.ppm -o k.tess -k 16 --device cpu -q
code_is 0
run info k.tess --json
is "ids of each tile" "[16]" "$(json 'd["items"][0]["counts"]')"
run encode a.ppm b.ppm -f -o target.tess --target psnr=11 --device cpu --json
code_is 0
is "target is reached" "psnr=11 2" "$(json '"%s %d" % (d["target"], d["target_reached"])')"
fewer=$(json 'd["tokens"]')
is "and so says each item" "$fewer" "$(json 'sum(i["tokens"] for i in d["items"] if i["target_reached"])')"
run encode b.ppm a.ppm -o far.tess --target psnr=90 --device cpu
code_is 0
is "who is out of reach" "a.ppm b.ppm" "$(sed -n 's/: out of reach: psnr .* with all [0-9]* tokens$//p' err | sort | tr '\n' ' ' | sed 's/ $//')"
run decode target.tess -o target/ --device cpu -q
code_is 0
run eval a.ppm target/a.png --json
is "and found again by eval" True "$(json 'd["pictures"][0]["values"][0]["psnr"] >= 11')"
run encode a.ppm b.ppm -f -o all.tess --device cpu --json -k 256
is "with fewer ids" True "$(json "d['tokens'] > $fewer")"
run encode b.ppm -f -o q.tess --quality 0.2 --check --device cpu --json
code_is 0
json_ok
checked=$(json '"%.12f" % d["mean_absolute_error"]')
is "check is reported" True "$(json 'd["within_quality"] == (d["mean_absolute_error"] <= 0.2)')"
run decode q.tess -o q.png --device cpu -q
code_is 0
run eval b.ppm q.png --json
is "check is what eval finds" "$checked" "$(json '"%.12f" % d["candidates"][0]["summary"]["l1"]["mean"]')"
run encode b.ppm -f -o q.tess --quality 0.0001 --check --device cpu --json
is "check of what cannot be" "256 0" "$(json '"%d %d" % (d["tokens"], d["within_quality"])')"
run encode a.ppm -o l.tess --layers 4 --device cpu -q
code_is 0
run decode l.tess -o l.png --device cpu -q
code_is 0
cmp -s l.png a.png || complain "layers changed the picture"
for fit in auto crop pad stretch tile; do
    run encode a.ppm -f -o f.tess --fit $fit --device cpu --check --json
    code_is 0
    # where something is fitted away: 0.1344, 0.1372 and 0.1337, in whatever order a device adds; a large error
    # would mean another part of the picture
    case $fit in crop | pad | stretch) is "check after $fit" True "$(json '0.13 < d["mean_absolute_error"] < 0.14')" ;; esac
    run decode f.tess -o f-$fit.png --device cpu -q
    code_is 0
done
for fit in crop pad stretch tile; do # b.ppm is a tile: nothing is fitted away
    run encode b.ppm -f -o f.tess --fit $fit --device cpu --check --json
    code_is 0
    errors="${errors:-} $(json '"%.9f" % d["mean_absolute_error"]')"
done
run decode f.tess -o f.png --device cpu -q
run eval b.ppm f.png --json
l1=$(json '"%.9f" % d["candidates"][0]["summary"]["l1"]["mean"]')
is "check with each fit" " $l1 $l1 $l1 $l1" "$errors"
for fit in stretch tile; do
    run eval a.ppm f-$fit.png
    code_is 0
done

# sheet
run sheet b.ppm c.ppm -o sheet.png -k 4,16 --device cpu --json
code_is 0
json_ok
is "columns" "[4, 16]" "$(json '[c["tokens"] for c in d["columns"]]')"
[ "$(head -c 4 sheet.png | od -An -tx1 | tr -d ' ')" = 89504e47 ] || complain "sheet.png is no PNG"
fails 2 "--tokens: wanted up to 8 whole numbers" sheet b.ppm -o s.png -k 4,x
fails 2 "--tokens: wanted up to 8 whole numbers" sheet b.ppm -o s.png -k 1,2,3,4,5,6,7,8,9
fails 2 "-o SHEET.png is missing" sheet b.ppm
no_leftovers
# how a picture is resized is a choice of its own; auto is as mosaic was trained
for how in auto lanczos bicubic bilinear; do
    run encode a.ppm -o "$how.tess" --fit stretch --resample "$how" --device cpu -q
    code_is 0
done
is "auto" "$(md5sum <auto.tess)" "$(md5sum <lanczos.tess)"
is "three ways" 3 "$(md5sum lanczos.tess bicubic.tess bilinear.tess | cut -d' ' -f1 | sort -u | wc -l)"
run decode bicubic.tess -o bicubic.png --device cpu -q
code_is 0
# what cannot be is said before any picture is read
fails 2 'no-halt' encode nowhere.png -o x.tess --no-halt --target psnr=20
fails 2 'tokens: wanted 1 to 256, got 257' encode nowhere.png -o x.tess -k 257
finish
