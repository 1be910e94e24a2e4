#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera info and cut on token files written by the text of SPEC.md alone: exact output, cuts at every
# byte, damage, and what is no token file.
. "$(dirname "$0")/../support/cli.bash"

tess a.tess
run info a.tess
code_is 0
err_empty
out_is 'file        a.tess
format      tess 1.0
tokenizer   mosaic-256 (family 1), weights 0123456789abcdef
codebook    64000 codes (FSQ 8 8 8 5 5 5), 16 bits an id
geometry    sequence of up to 256 ids a tile, any prefix decodes
tile        256x256, fit tile, bicubic filter, background ffffff
items       2
tokens      20, 320 bits
bytes       328: header 119, payload 146, index 63
integrity   whole

  item  source      covered     tiles     tokens      bits     bytes  coding key
     0  480x256     480x256     2x1           10       160        73  raw    photo0.png
     1  480x256     480x256     2x1           10       160        73  raw    photo1.png'
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
is "keys" "background bits bits_per_token bytes channels codebook_size columns damaged family file filter fit geometry header_bytes index_bytes item_count items latent_type levels nested payload_bytes recovered rows tessera tile_height tile_width tokenizer tokens unreadable_items verb version_major version_minor weights_hash whole" "$(json '" ".join(sorted(d))')"
is "keys of an item" "bits bytes coding complexity counts crop_x crop_y height ids index key orientation overlap quality source_height source_width target tile_columns tile_rows time tokens width" "$(json '" ".join(sorted(d["items"][0]))')"
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
fails 3 "folder.*director" info folder
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
run info flipped.tess -q
code_is 1
out_has '^ +1  480x256 .* photo1.png$'
grep -q photo0.png out && complain "an item with a wrong checksum is listed"
run info flipped.tess --json
code_is 1
is "unreadable items" 1 "$(json 'd["unreadable_items"]')"
# a key that would drive the terminal cannot be in a file; one that is not UTF-8 can
tess evil.tess keys=$'a\x1b[2J.png,b.png'
run info evil.tess -q
code_is 1
grep -q $'\x1b' out && complain "an escape sequence of a key reached stdout"
run info evil.tess --json
is "unreadable items" 1 "$(json 'd["unreadable_items"]')"
tess latin.tess keys=$'caf\xe9.png,b.png'
run info latin.tess
code_is 0
LC_ALL=C grep -qa $' caf\xe9.png$' out || complain "a key that is not UTF-8: $(grep -a caf out)"
run info latin.tess --json
code_is 0
json_ok
run info a.tess b.tess
code_is 2
finish
