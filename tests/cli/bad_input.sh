#!/bin/bash
# SPDX-License-Identifier: MIT
# What people hand to a program by mistake or malice: one line that says what was wanted and what came,
# the right exit code, no output under the final name.
. "$(dirname "$0")/../support/cli.bash"

cmyk=/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFaUGBKUVJP/8AAFAgAEAAYBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwDhtL7VyP8AYn+xUVenV2Ol9qP7E/2KKK7HS+1H9if7FFFeO6X2r0n+xP8AYoorsdL7Uf2J/sUUV2Ol9qP7E/2KKK//2Q==
gif=R0lGODlhDAAJAIEAAP8AAAAAAAAAAAAAACH5BAAFAAAALAAAAAAMAAkAAAgUAAEIHEiwoMGDCBMqXMiwocOBAQEAIfkEAQUAAQAsAAAAAAwACQCBAP8AAAAAAAAAAAAACBQAAQgcSLCgwYMIEypcyLChw4EBAQAh+QQBBQABACwAAAAADAAJAIEAAP8AAAAAAAAAAAAIFAABCBxIsKDBgwgTKlzIsKHDgQEBADs=
png() { # png FILE WIDTH HEIGHT [DECLARED_WIDTH DECLARED_HEIGHT]: grey rows, the header may lie
    python3 - "$@" <<'PY'
import struct, sys, zlib
name, w, h = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dw, dh = (int(sys.argv[4]), int(sys.argv[5])) if len(sys.argv) > 4 else (w, h)
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes((x * 7 + y * 3) & 255 for x in range(w)) for y in range(h))
open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", dw, dh, 8, 0, 0, 0, 0))
                       + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PY
}
refused() { # refused CODE PATTERN INPUT: encode says so and leaves nothing
    fails "$1" "$2" encode "$3" -o x.tess --device cpu
    absent x.tess
    no_leftovers
}

png good.png 40 30
run encode good.png -o good.tess --device cpu -q
code_is 0

# names that mean nothing
fails 2 'mask: wanted names among .*onednn.*got "linear_gs"' encode good.png -o x.tess --device cpu --mask onednn,linear_gs
absent x.tess
fails 2 'mask: wanted names among .*got "nothing"' decode good.tess -o x.png --device cpu --mask nothing
absent x.png
run encode good.png -o masked.tess --device cpu --mask onednn,avx512 -q
code_is 0

# pictures
: >empty.png
refused 4 'empty.png' empty.png
head -c 60 good.png >short.png
refused 4 'short.png' short.png
head -c 20 good.png >shorter.png
refused 4 'shorter.png' shorter.png
echo 'this is not a picture' >text.png
refused 4 'text.png' text.png
refused 4 'good.tess' good.tess
mkdir folder.png
refused 3 'folder.png: wanted pictures or archives in this folder, got none' folder.png
refused 3 'nothere.png.*No such file' nothere.png
png huge.png 8 8 30000 30000
refused 3 'huge.png.*30000x30000' huge.png
png lie.png 8 8 4000 4000
refused 4 'lie.png' lie.png
base64 -d <<<"$cmyk" >cmyk.jpg
base64 -d <<<"$gif" >animated.gif
png one.png 1 1
png tall.png 1 20000
for name in cmyk.jpg animated.gif one.png tall.png; do
    case $name in
    *.jpg) built_with JPEG || continue ;;
    *.gif) built_with GIF || continue ;;
    esac
    run encode $name -o ok.tess --device cpu -q -f
    code_is 0
    err_empty
    run decode ok.tess -o ok.png --device cpu -q -f
    code_is 0
    err_empty
done
run info ok.tess --json
is "size of the tall one" "1x20000" "$(json '"%dx%d" % (d["items"][0]["source_width"], d["items"][0]["source_height"])')"
run eval tall.png ok.png
code_is 0
head -c 300 cmyk.jpg >short.jpg
refused 4 'short.jpg' short.jpg
# one bad picture among good ones: no file at all
fails 4 'text.png' encode good.png text.png -o x.tess --device cpu
absent x.tess
# what stood there stays
echo before >kept.tess
fails 4 'text.png' encode text.png -o kept.tess --device cpu -f
is "an older output after a failure" before "$(cat kept.tess)"

# outputs
cp good.png same.png
fails 2 'same.png' encode same.png -o same.png --device cpu
fails 2 'same.png' encode good.png same.png -o ./same.png --device cpu
cmp -s same.png good.png || complain "the input was overwritten"
ln same.png link.png
fails 2 'link.png' encode same.png -o link.png --device cpu
cp good.tess in.tess
fails 2 'in.tess: wanted an output that is not the input' decode in.tess -o in.tess --device cpu
fails 3 'nofolder' encode good.png -o nofolder/x.tess --device cpu
fails 3 'folder.png' encode good.png -o folder.png --device cpu
fails 2 'IN is missing' encode -o x.tess
fails 2 '-o OUT.tess is missing: wanted with several inputs' encode good.png same.png
fails 2 "exclude each other" encode good.png -o x.tess -k 4 --quality 0.1
fails 2 "would both write to stdout" encode good.png -o - --json
fails 2 "--quality: wanted a number from 1e-06 to 1, got '2'" encode good.png -o x.tess --quality 2
fails 2 "--quality: .*got 'nan'" encode good.png -o x.tess --quality nan
fails 2 "--target: wanted psnr=DB, ssim=S or l1=E, like psnr=24, got psnr" encode good.png -o x.tess --target psnr
fails 2 "--target: .*got mse=3" encode good.png -o x.tess --target mse=3
fails 2 "--target: .*got l1=0.1x" encode good.png -o x.tess --target l1=0.1x
fails 2 "target ssim: wanted -1 to 1, got 3" encode good.png -o x.tess --target ssim=3
fails 2 "exclude each other" encode good.png -o x.tess --target l1=0.1 --quality 0.1
fails 2 "--fit: wanted auto, crop, pad, stretch or tile, got 'cropp'; did you mean 'crop'" encode good.png -o x.tess --fit cropp
fails 2 "--precision: wanted f32 or fast, got 'f16'" encode good.png -o x.tess --precision f16
fails 2 "--background: wanted six hexadecimal digits RRGGBB, got 'red'" encode good.png -o x.tess --background red
fails 2 '^tessera encode: invalid argument: -: wanted once among the inputs, got twice$' encode - - -o x.tess
absent x.tess

# models
fails 3 'nothere.safetensors' encode good.png -o x.tess -t nothere.safetensors --device cpu
fails 4 'good.png' encode good.png -o x.tess -t good.png --device cpu
python3 -c 'import struct
h = b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
open("other.safetensors", "wb").write(struct.pack("<Q", len(h)) + h + bytes(4))'
fails 5 'other.safetensors' encode good.png -o x.tess -t other.safetensors --device cpu
fails 5 'other.safetensors' decode good.tess -o x.png -t other.safetensors --device cpu
fails 5 'vulkan:77' encode good.png -o x.tess --device vulkan:77
fails 2 'gpu' encode good.png -o x.tess --device gpu
absent x.tess

# token files
: >empty.tess
fails 4 'empty.tess' decode empty.tess -o x.png --device cpu
head -c 40 good.tess >short.tess
fails 4 'short.tess' decode short.tess -o x.png --device cpu
fails 4 'good.png' decode good.png -o x.png --device cpu
fails 3 'nothere.tess' decode nothere.tess -o x.png --device cpu
fails 3 'folder.png' decode folder.png -o x.png --device cpu
tess stranger.tess items=1 tiles=1 name=other-9 family=77
fails 5 'stranger.tess' decode stranger.tess -o x.png --device cpu
hash=$("$TESSERA" info good.tess --json | sed -n 's/.*"weights_hash": "\(.*\)",/\1/p')
[ -n "$hash" ] || complain "no weights hash"
python3 - <<'PY'
# the same file, but made with other weights: the hash differs, checksums are right
import struct, sys, os
sys.path.insert(0, os.environ["SOURCE"] + "/tests/support")
import make_tess
d = bytearray(open("good.tess", "rb").read())
assert d[16:20] == b"HEAD"
size = struct.unpack_from("<Q", d, 24)[0]
d[40] ^= 0xFF
body = bytes(d[40:40 + size])
struct.pack_into("<I", d, 32, make_tess.crc32c(body))
struct.pack_into("<I", d, 36, make_tess.crc32c(bytes(d[16:36])))
open("weights.tess", "wb").write(d)
PY
run info weights.tess --json
code_is 0
other=$(printf '%02x' $((0xFF ^ 0x${hash: -2}))) # the first byte of the file is the number's lowest
is "weights of the changed file" "${hash%??}$other" "$(json 'd["weights_hash"]')"
fails 5 'weights.tess' decode weights.tess -o x.png --device cpu
run decode weights.tess -o forced.png --device cpu --force -q
code_is 0
run decode weights.tess -o forced.png --device cpu --force
code_is 0
is "forcing is said" 1 "$(grep -c "^tessera decode: warning: weights.tess: made with weights ${hash%??}$other " err)"
run decode weights.tess -o x.png --device cpu --json
code_is 5
json_ok
is "name of the failure" TSR_ERROR_MODEL_MISMATCH "$(json 'd["error"]["name"]')"
run encode good.png good.png -o two.tess --device cpu -q
fails 2 'two.tess' decode two.tess -o - --device cpu
run decode two.tess -o new-folder --device cpu -q
code_is 0
is "two items" "good-2.png good.png" "$(ls new-folder | tr '\n' ' ' | sed 's/ $//')"
echo x >a-file
fails 3 'a-file' decode two.tess -o a-file --device cpu
fails 2 '^tessera decode: invalid argument: tokens: wanted at most 256, got 100000$' decode good.tess -o x.png -k 100000 --device cpu
absent x.png
no_leftovers
finish
