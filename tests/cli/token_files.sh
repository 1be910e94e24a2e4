#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera info and cut on token files written by the text of SPEC.md alone: exact output, cuts at every
# byte, damage, and what is no token file.
. "$(dirname "$0")/../support/cli.bash"

tess a.tess
run info a.tess
code_is 0
err_empty
totals='file        a.tess
items       2
tiles       4
tokens      20, 320 bits
bytes       328: header 119, payload 146, index 63
tokenizer   mosaic-256 (family 1), weights 0123456789abcdef
integrity   whole
format      tess 1.0
codebook    64000 codes (FSQ 8 8 8 5 5 5), 16 bits an id
geometry    sequence of up to 256 ids a tile, any prefix decodes
tile        256x256, fit tile, bicubic filter, background ffffff'
heading='  item  source      covered     tiles     tokens      bits     bytes  coding key'
first='     0  480x256     480x256     2x1           10       160        73  raw    photo0.png'
second='     1  480x256     480x256     2x1           10       160        73  raw    photo1.png'
out_is "$totals"
run info -v a.tess
code_is 0
out_is "$totals

$heading
$first
$second"
run info --item photo1.png a.tess
code_is 0
out_is "$heading
$second"
run info --item 0 --item 1-1 a.tess
out_is "$heading
$first
$second"
run info --item 1 --ids a.tess
code_is 0
out_is '1 0 7919 48648 25377 2106 42835
1 1 19564 60293 37022 13751 54480'
run info --item 1 --json a.tess
is "the item" "1 1" "$(json '"%d %d" % (len(d["items"]), d["items"][0]["index"])')"
fails 2 "item: wanted a number from 0 to 1, a range of them, or a key, got '2'$" info --item 2 a.tess
fails 2 "item: .*got 'nothere.png'$" info --item nothere.png a.tess
fails 2 "item: .*got '1-0'$" info --item 1-0 a.tess
fails 2 "--item: wanted N.KEY, got an empty text" info --item= a.tess

# ids as an array: [items, tiles * tokens]
npy() { python3 - "$1" <<'PY'
import ast, struct, sys
d = open(sys.argv[1], "rb").read()
assert d[:8] == b"\x93NUMPY\x01\x00"
n = struct.unpack("<H", d[8:10])[0]
h = ast.literal_eval(d[10:10 + n].decode())
print(h["descr"], h["shape"], struct.unpack("<%di" % ((len(d) - 10 - n) // 4), d[10 + n:]))
PY
}
run info a.tess --npy ids.npy
code_is 0
out_empty
err_is "ids.npy: int32 [2, 10]"
is "npy" "<i4 (2, 10) (0, 40729, 17458, 58187, 34916, 11645, 52374, 29103, 5832, 46561, 7919, 48648, 25377, 2106, 42835, 19564, 60293, 37022, 13751, 54480)" "$(npy ids.npy)"
run info a.tess --npy one.npy --item 1 --json
code_is 0
json_ok
is "npy of one item" "<i4 (1, 10) (7919, 48648, 25377, 2106, 42835, 19564, 60293, 37022, 13751, 54480)" "$(npy one.npy)"
"$TESSERA" info a.tess --npy - 2>err >piped.npy
cmp -s piped.npy ids.npy || complain "info --npy - is not the array"
fails 2 "would both write to stdout" info a.tess --npy - --json
fails 2 "a.tess: wanted an output that is not the input" info a.tess --npy a.tess
run info --ids a.tess
code_is 0
out_is '0 0 0 40729 17458 58187 34916
0 1 11645 52374 29103 5832 46561
1 0 7919 48648 25377 2106 42835
1 1 19564 60293 37022 13751 54480'
run info --ids a.tess --json
code_is 0
json_ok
is "ids" "[0, 40729, 17458, 58187, 34916, 11645, 52374, 29103, 5832, 46561]" "$(json 'd["items"][0]["ids"]')"
is "keys" "attributes background bits bits_per_token bytes channels codebook_size columns damage damaged family file filter fit geometry header_bytes index_bytes item_count items key_index latent_type levels lost_attributes nested payload_bytes recovered rows tessera tile_height tile_width tiles tokenizer tokens unreadable_items verb version_major version_minor weights_hash whole" "$(json '" ".join(sorted(d))')"
is "keys of an item" "attributes bits bytes coding complexity counts crop_x crop_y height ids index key orientation overlap quality source_height source_width target tile_columns tile_rows time tokens width" "$(json '" ".join(sorted(d["items"][0]))')"
"$TESSERA" info - <a.tess >out 2>err
code=$? last="info - < a.tess"
code_is 0
out_has '^file        -$'

# vectors of a continuous model
tess v.tess channels=3 count=2 items=1 half=1
run info v.tess
code_is 0
out_has '^codebook    none: continuous, 3 channels, f16, 48 bits a vector$'
out_has '^geometry    sequence of up to 256 vectors a tile$'
out_has '^tokens      4, 192 bits$'
run info --latents v.tess
code_is 0
out_is '0 0 0 -3 -2.875 -2.75
0 0 1 -2.625 -2.5 -2.375
0 1 0 -2.25 -2.125 -2
0 1 1 -1.875 -1.75 -1.625'
run info --latents --json v.tess
json_ok
is "latents" "[-3, -2.875, -2.75, -2.625]" "$(json 'd["items"][0]["latents"][:4]')"
is "type" "f16 3 0" "$(json '"%s %d %d" % (d["latent_type"], d["channels"], d["codebook_size"])')"
fails 4 "v.tess: wanted ids, got vectors of 3 numbers: --latents prints them$" info --ids v.tess
fails 4 "a.tess: wanted a continuous model's vectors, got ids: --ids prints them$" info --latents a.tess
fails 4 "v.tess: wanted ids, got vectors of 3 numbers: --latents prints them$" info --npy v.npy v.tess
absent v.npy
run info --ids --json v.tess
code_is 4
json_ok
is "error" 70 "$(json 'd["error"]["status"]')"
fails 4 "v.tess: wanted nested tokens, got vectors, which decode together or not at all$" cut v.tess -o x.tess -k 1

# cut: needs no model, gives what writing fewer ids gives
run cut a.tess -o b.tess -k 3
code_is 0
out_empty
err_is "b.tess: 2 items, 12 tokens, 312 bytes"
tess b3.tess count=3
cmp -s b.tess b3.tess || complain "a cut file is not the file that fewer ids make"
run cut a.tess -o same.tess -k 200 -q
code_is 0
err_empty
cmp -s a.tess same.tess || complain "cutting nothing changed the file"
"$TESSERA" cut a.tess -k 3 -o - 2>err | cmp -s - b.tess || complain "cut -o - is not the file"
"$TESSERA" cut - -k 3 -o - <a.tess 2>err | cmp -s - b.tess || complain "cut - -o - is not the file"
run cut a.tess -o c.tess -k 1 --json
code_is 0
json_ok
is "tokens" 4 "$(json 'd["tokens"]')"

# whole items, of tokens of every kind
run cut a.tess -o c.tess --item photo1.png -f
code_is 0
err_is "c.tess: 1 item, 10 tokens, 252 bytes"
run info --ids c.tess
out_is '0 0 7919 48648 25377 2106 42835
0 1 19564 60293 37022 13751 54480'
run cut v.tess -o w.tess --item 0
code_is 0
cmp -s v.tess w.tess || complain "an item of vectors that was taken out differs"
run cut a.tess -o c.tess --item 0 -k 2 -q -f
code_is 0
run info --ids c.tess
out_is '0 0 0 40729
0 1 11645 52374'
fails 2 "item: wanted a number from 0 to 1" cut a.tess -o x.tess --item 7
absent x.tess

fails 2 "^tessera cut: -k N is missing" cut a.tess -o x.tess
fails 2 "^tessera cut: -o OUT.tess is missing" cut a.tess -k 3
fails 2 "--tokens: wanted a whole number from 1 to 16777216, got '0'" cut a.tess -o x.tess -k 0
fails 2 "would both write to stdout" cut a.tess -o - -k 2 --json
fails 2 "a.tess: wanted an output that is not the input" cut a.tess -o a.tess -k 2
fails 2 "a.tess: wanted an output that is not the input" cut a.tess -o ./a.tess -k 2
fails 3 "nothere.tess" cut nothere.tess -o x.tess -k 2
fails 3 "/dev/full" cut a.tess -o /dev/full -k 2
fails 3 "nofolder/x.tess" cut a.tess -o nofolder/x.tess -k 2
fails 3 "^tessera cut: .*: \." cut a.tess -o . -k 2
tess grid.tess nested=0
fails 4 "grid.tess" cut grid.tess -o x.tess -k 2
absent x.tess
no_leftovers
"$TESSERA" info a.tess >/dev/full 2>err
code=$? last="info >/dev/full"
code_is 3

# not a token file
: >empty.tess
fails 4 "empty.tess" info empty.tess
fails 4 "empty.tess" cut empty.tess -o x.tess -k 2
mkdir folder
fails 3 "folder: wanted token files" info folder
fails 3 "nothere" info nothere.tess
picture p.ppm 4 4
fails 4 "p.ppm" info p.ppm
tess new.tess major=2
fails 4 "new.tess.*version" info new.tess
sed 's/\r$//' a.tess >text.tess
fails 4 "text.tess" info text.tess
run info p.ppm --json
code_is 4
json_ok
is "error" 40 "$(json 'd["error"]["status"]')"

# cut anywhere: opens from the end of the header on, says that it is not whole
size=$(stat -c %s a.tess)
for at in $(seq 1 23 $((size - 1))) $((size - 1)) 135 136; do
    head -c "$at" a.tess >part.tess
    run info part.tess
    if [ "$at" -lt 135 ]; then code_is 4; else code_is 1; fi
done
head -c 210 a.tess >part.tess
run info part.tess -q
code_is 1
err_empty
out_has '^integrity   not whole: index missing, items found by scanning, 0 damaged chunks left out$'
out_has '^items       1$'
run info part.tess --json
code_is 1
is "recovered" True "$(json 'd["recovered"]')"
is "whole" False "$(json 'd["whole"]')"
# a flipped byte inside the first item
python3 - <<'PY'
d = bytearray(open("a.tess", "rb").read())
d[180] ^= 1
open("flipped.tess", "wb").write(d)
PY
run info flipped.tess -v
code_is 1
out_has '^integrity   not whole: 1 item unreadable$'
err_has '^tessera info: item 0: checksum does not match: flipped.tess: item 0: byte 119: wanted checksum'
out_has '^ +1  480x256 .* photo1.png$'
grep -q photo0.png out && complain "an item with a wrong checksum is listed"
run info flipped.tess --json
code_is 1
is "unreadable items" 1 "$(json 'd["unreadable_items"]')"
is "whole" "False 1" "$(json '"%s %d" % (d["whole"], d["damaged"])')"
is "its entry" "0 True" "$(json '"%d %s" % (d["items"][0]["index"], "checksum" in d["items"][0]["error"])')"
is "damage" "0 119 True" "$(json '"%d %d %s" % (d["damage"][0]["item"], d["damage"][0]["offset"], "checksum" in d["damage"][0]["error"])')"
# a key that would drive the terminal cannot be in a file; one that is not UTF-8 can
tess evil.tess keys=$'a\x1b[2J.png,b.png'
run info evil.tess -q
code_is 1
grep -q $'\x1b' out && complain "an escape sequence of a key reached stdout"
run info evil.tess --json
is "unreadable items" 1 "$(json 'd["unreadable_items"]')"
tess latin.tess keys=$'caf\xe9.png,b.png'
run info -v latin.tess
code_is 0
LC_ALL=C grep -qa $' caf\xe9.png$' out || complain "a key that is not UTF-8: $(grep -a caf out)"
run info latin.tess --json
code_is 0
json_ok
run info a.tess b.tess
code_is 2
finish
