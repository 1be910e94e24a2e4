#!/bin/bash
# SPDX-License-Identifier: MIT
# A pipe with several pictures, one behind the other, as ffmpeg's image2pipe and cat send them: each becomes
# an item, whatever its kind, however the bytes arrive; what is left over is said.
. "$(dirname "$0")/../support/cli.bash"

picture a.ppm 64 48 1
picture b.ppm 40 40 2
picture c.ppm 33 21 3
for name in a b c; do
    run encode $name.ppm -o $name.tess --device cpu -q
    code_is 0
    run decode $name.tess -o $name.png --device cpu -q
    code_is 0
done
keys() { "$TESSERA" info "$1" --json | python3 -c 'import json,sys; print(*[i["key"] for i in json.load(sys.stdin)["items"]])'; }
# Ids of a file's items, without their numbers.
ids() { "$TESSERA" info --ids "$1" | cut -d' ' -f2-; }
# piped NAME FILES...: the pictures of a pipe have the ids they have as files, in order
piped() {
    local name=$1
    shift
    cat "$@" | "$TESSERA" encode - -o pipe.tess -f --device cpu -q 2>err
    code=$? last="cat $* | encode - ($name)"
    code_is 0
    "$TESSERA" encode "$@" -o files.tess -f --device cpu -q
    ids files.tess >files.ids
    ids pipe.tess >pipe.ids
    is "items of $name" $# "$(wc -l <pipe.ids)"
    is "items of $name with other ids" "" "$(diff files.ids pipe.ids | sed -n 's/^\([0-9,]*\)[acd].*/\1/p')"
}
piped ppm a.ppm b.ppm c.ppm a.ppm
piped png a.png b.png c.png
is "keys" "stdin-000001 stdin-000002 stdin-000003" "$(keys pipe.tess)"
piped mixed a.ppm c.png b.ppm a.png
piped one a.png
is "the key of a single one" stdin "$(keys pipe.tess)"
python3 - <<'PY'
import struct, zlib
# PNM of each kind, with comments and bare of blanks; BMP up and down; QOI; PAM
rgb = [bytes(((x * 9 + y) & 255, (y * 7) & 255, (x * y) & 255)) for y in range(9) for x in range(13)]
flat = b"".join(rgb)
grey = bytes(p[0] for p in rgb)
open("p1.pbm", "wb").write(b"P1 # bits\n13 9\n" + b"10" * 58 + b"1\n")
open("p1b.pbm", "wb").write(b"P1\n13 9\n" + b"\n".join(b"0 1" for _ in range(58)) + b"\n1\n")
open("p2.pgm", "wb").write(b"P2\n13 9\n255\n" + b" ".join(b"%d" % v for v in grey) + b"\n")
open("p3.ppm", "wb").write(b"P3\n# x\n13 9 255\n" + b"\n".join(b"%d" % v for v in flat) + b"\n")
open("p4.pbm", "wb").write(b"P4\n13 9\n" + bytes(i * 37 & 255 for i in range(18)))
open("p5.pgm", "wb").write(b"P5\n13 9\n255\n" + grey)
open("p5w.pgm", "wb").write(b"P5\n13 9\n65535\n" + b"".join(bytes((v, 7)) for v in grey))
open("p6.ppm", "wb").write(b"P6\n13 9\n255\n" + flat)
open("p7.pam", "wb").write(b"P7\nWIDTH 13\nHEIGHT 9\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + flat)
rows = b"".join(flat[y * 39:y * 39 + 39] + b"\0" for y in range(9))
for name, h, size in (("up", 9, 54 + len(rows)), ("down", -9, 54 + len(rows)), ("nosize", 9, 0)):
    open(name + ".bmp", "wb").write(b"BM" + struct.pack("<IHHI", size, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 13, h, 1, 24, 0, 0, 0, 0, 0, 0) + rows)
qoi = b"qoif" + struct.pack(">IIBB", 13, 9, 3, 0)
for i, p in enumerate(rgb):
    qoi += b"\xfe" + p
open("q.qoi", "wb").write(qoi + b"\0" * 7 + b"\1")
run = b"qoif" + struct.pack(">IIBB", 13, 9, 3, 0) + b"\xfe\x10\x20\x30" + bytes([0xC0 | 61, 0xC0 | 53]) + b"\0" * 7 + b"\1"
open("run.qoi", "wb").write(run)
PY
# each behind itself and between others; a group is one pipe, since most of the time goes into starting programs
for group in "p1.pbm p1b.pbm p2.pgm p3.ppm p4.pbm p5.pgm p5w.pgm p6.ppm p7.pam" "up.bmp down.bmp nosize.bmp" "q.qoi run.qoi"; do
    files=()
    for kind in $group; do files+=($kind $kind b.png $kind); done
    piped "$group" "${files[@]}"
done
for pair in jpg:JPEG webp:WebP tiff:TIFF; do
    format=${pair%:*}
    built_with ${pair#*:} || continue
    for name in a b c; do
        run decode $name.tess -o $name.$format --device cpu -q
        code_is 0
    done
    piped $format a.$format b.$format b.png c.$format
done
if [ -s a.jpg ]; then
    python3 - <<'PY'
import struct
a, b = open("a.jpg", "rb").read(), open("b.jpg", "rb").read()
# a JPEG of two pictures: an index (MPF) behind the first segment names the second
def mpf(second_at):
    entries = struct.pack(">III", 0x030000, len(a), 0) + b"\0\0\0\0" + struct.pack(">III", 0, len(b), second_at) + b"\0\0\0\0"
    ifd = struct.pack(">H", 1) + struct.pack(">HHII", 0xB002, 7, len(entries), 26) + b"\0\0\0\0"
    body = b"MPF\0" + b"MM\0*" + struct.pack(">I", 8) + ifd + entries
    return b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
length = len(mpf(0))
whole = a[:2] + mpf(len(a) + length - (2 + 4 + 4)) + a[2:]
open("two.jpg", "wb").write(whole + b)
# padding between segments, and restart markers' look-alikes stay inside
open("padded.jpg", "wb").write(a[:2] + b"\xff" * 3 + a[2:])
PY
    piped "a JPEG of two" two.jpg b.png two.jpg
    piped "padded JPEG" padded.jpg padded.jpg
fi
# byte by byte
"$TESSERA" decode a.tess -o - --format png --device cpu -q 2>err >one
cat one b.ppm c.png | python3 -c 'import os,sys
for b in sys.stdin.buffer.read():
    os.write(1, bytes((b,)))' | "$TESSERA" encode - -o slow.tess --device cpu -q
is "byte by byte" "stdin-000001 stdin-000002 stdin-000003" "$(keys slow.tess)"
# blanks between and behind; a FIFO; files around
{ cat a.png; echo; cat b.png; printf '\n\n \0\0'; } | "$TESSERA" encode c.ppm - a.ppm -o blanks.tess --device cpu -q
is "blanks and files" "c.ppm stdin-000001 stdin-000002 a.ppm" "$(keys blanks.tess)"
mkfifo frames
cat a.png b.png >frames &
run encode frames -o fifo.tess --device cpu -q
code_is 0
is "a FIFO" "frames-000001 frames-000002" "$(keys fifo.tess)"
"$TESSERA" encode <(cat a.png b.png) -o sub.tess --device cpu -q
is "process substitution" 2 "$(keys sub.tess | wc -w)"

# what is no picture is said, and what came before is not lost
{ cat a.png b.png; echo 'junk behind'; } | "$TESSERA" encode - -o junk.tess --device cpu >out 2>err
code=$? last="pictures | junk"
code_is 4
err_has 'standard input: picture 3: wanted a picture .*the pictures that were done \(2\) are kept as junk.partial.tess$'
absent junk.tess
is "kept" "stdin-000001 stdin-000002" "$(keys junk.partial.tess)"
{ cat a.png; head -c 60 b.png; } | "$TESSERA" encode - -o cut.tess --on-error skip --device cpu >out 2>err
code=$? last="a picture and half of one, skipped"
code_is 1
is "said" 1 "$(grep -c '^tessera encode: .*standard input: picture 2: ' err)"
is "the whole one" "stdin-000001" "$(keys cut.tess)"
python3 - <<'PY'
b = bytearray(open("b.png", "rb").read())
b[len(b) // 2] ^= 255 # damaged, but its parts have the right lengths
open("damaged.png", "wb").write(b)
PY
cat a.png damaged.png c.png | "$TESSERA" encode - -o skip.tess --on-error skip --device cpu >out 2>err
code=$? last="one damaged of three"
code_is 1
is "the others" "stdin-000001 stdin-000003" "$(keys skip.tess)"
: | "$TESSERA" encode - -o none.tess --device cpu >out 2>err
code=$? last="an empty pipe"
code_is 4
err_has 'standard input: wanted a picture, got 0 bytes'
absent none.tess
# who takes one picture says that more came
cat a.png b.png | "$TESSERA" sheet - -o sheet.png -k 4 --device cpu >out 2>err
is "said by sheet" 1 "$(grep -c 'warning: standard input: more pictures came; the first alone is used' err)"
no_leftovers
finish
