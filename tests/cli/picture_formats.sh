#!/bin/bash
# SPDX-License-Identifier: MIT
# The suffix of a picture's name and its bytes agree: each kind is looked at by its first bytes, and its
# pixels are compared by reading it again.
. "$(dirname "$0")/../support/cli.bash"

picture a.ppm 120 90 1
picture b.ppm 64 64 2
run encode a.ppm -o a.tess --device cpu -q
code_is 0
run encode a.ppm b.ppm -o two.tess --device cpu -q
code_is 0
run decode a.tess -o want.png --device cpu -q
code_is 0
kind() { # the kind that the bytes of a file say
    local bytes
    bytes=$(head -c 12 "$1" | od -An -v -tx1 | tr -d ' \n')
    case $bytes in
    89504e470d0a1a0a*) echo png ;;
    ffd8ff*) echo jpg ;;
    52494646????????57454250) echo webp ;;
    ????????6674797061766966) echo avif ;;
    ff0a*) echo jxl ;;
    49492a00* | 4d4d002a*) echo tiff ;;
    5036*) echo ppm ;;
    *) echo "$bytes" ;;
    esac
}
formats=
for pair in png: jpg:JPEG webp:WebP avif:AVIF "jxl:JPEG XL" tiff:TIFF ppm:; do
    format=${pair%:*}
    if [ -z "${pair#*:}" ] || built_with "${pair#*:}"; then
        run decode a.tess -o there.$format --device cpu -q
        code_is 0
        is "bytes under .$format" $format "$(kind there.$format)"
        formats="$formats $format"
    else
        fails 4 "there.$format: this build writes no ${pair#*:}$" decode a.tess -o there.$format --device cpu
        fails 4 "not supported: this build writes no ${pair#*:}$" decode two.tess -o in-$format/ --format $format --device cpu
        absent in-$format
    fi
done
has() { [[ " $formats " == *" $1 "* ]]; }
for pair in PNG:png JPG:jpg jpeg:jpg jpe:jpg jfif:jpg tif:tiff TIFF:tiff pnm:ppm; do
    has ${pair#*:} || continue
    run decode a.tess -o s.${pair%:*} --device cpu -q -f
    code_is 0
    is "bytes under .${pair%:*}" ${pair#*:} "$(kind s.${pair%:*})"
done
run decode a.tess -o nosuffix --device cpu -q
is "a name without suffix" png "$(kind nosuffix)"

# the pixels come back: all of them where nothing is lost
for format in png tiff ppm; do
    has $format || continue
    run eval want.png there.$format --json
    is "pixels of $format" True "$(json 'd["candidates"][0]["counts"]["equal"] == 1 and d["pictures"][0]["values"][0]["l1"] == 0')"
done
for format in jpg webp; do
    has $format || continue
    run decode a.tess -o low.$format --picture-quality 20 --device cpu -q
    code_is 0
    run eval want.png there.$format --json
    high=$(json 'd["candidates"][0]["summary"]["psnr"]["mean"]')
    run eval want.png low.$format --json
    is "$format: 95 is nearer than 20" True "$(json "28 < d['candidates'][0]['summary']['psnr']['mean'] < $high - 3")"
    [ "$(stat -c %s low.$format)" -lt "$(stat -c %s there.$format)" ] || complain "$format: 20 is not smaller than 95"
done
if has webp; then
    run decode a.tess -o all.webp --lossless --device cpu -q
    code_is 0
    run eval want.png all.webp --json
    is "pixels of lossless webp" 0 "$(json 'd["pictures"][0]["values"][0]["l1"]')"
fi
if has avif; then
    run decode a.tess -o all.avif --lossless --device cpu -q
    code_is 0
    run decode a.tess -o low.avif --picture-quality 20 --device cpu -q
    code_is 0
    [ "$(stat -c %s low.avif)" -lt "$(stat -c %s there.avif)" ] || complain "avif: 20 is not smaller than 95"
    if command -v avifdec >/dev/null; then
        for name in all there; do avifdec -q 100 $name.avif $name-avif.png >/dev/null 2>&1 || avifdec $name.avif $name-avif.png >/dev/null; done
        run eval want.png all-avif.png --json
        is "pixels of lossless avif" 0 "$(json 'd["pictures"][0]["values"][0]["l1"]')"
        run eval want.png there-avif.png --json
        is "pixels of avif" True "$(json 'd["candidates"][0]["summary"]["psnr"]["mean"] > 35')"
    else
        leave_out "pixels of AVIF: no avifdec"
    fi
fi
if has jxl; then
    run decode a.tess -o all.jxl --lossless --device cpu -q
    code_is 0
    run decode a.tess -o low.jxl --picture-quality 20 --device cpu -q
    code_is 0
    [ "$(stat -c %s low.jxl)" -lt "$(stat -c %s there.jxl)" ] || complain "jxl: 20 is not smaller than 95"
    if command -v djxl >/dev/null; then
        for name in all there; do djxl $name.jxl $name-jxl.png >/dev/null 2>&1; done
        run eval want.png all-jxl.png --json
        is "pixels of lossless jxl" 0 "$(json 'd["pictures"][0]["values"][0]["l1"]')"
        run eval want.png there-jxl.png --json
        is "pixels of jxl" True "$(json 'd["candidates"][0]["summary"]["psnr"]["mean"] > 35')"
    else
        leave_out "pixels of JPEG XL: no djxl"
    fi
fi
# another program reads them, too
pillow=
for python in python3 /usr/bin/python3; do
    [ -n "$pillow" ] || ! $python -c 'import PIL' 2>/dev/null || pillow=$python
done
if [ -n "$pillow" ]; then
    for format in $formats; do
        [ $format != avif ] && [ $format != jxl ] || continue # not in Pillow of Debian 12
        is "Pillow's word for $format" "ok" "$($pillow - $format 2>&1 <<'PY'
import sys
from PIL import Image, ImageChops
f = sys.argv[1]
picture = Image.open("there." + f)
wanted = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tiff": "TIFF", "ppm": "PPM"}[f]
difference = ImageChops.difference(picture.convert("RGB"), Image.open("want.png").convert("RGB"))
most = max(high for _, high in difference.getextrema())
# (4:4:4 chroma; webp halves it)
good = picture.format == wanted and picture.size == (120, 90) and most <= {"jpg": 60, "webp": 255}.get(f, 0)
good = good and (f != "jpg" or [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3)
print("ok" if good else (picture.format, picture.size, most, getattr(picture, "layer", None)))
PY
)"
    done
else
    leave_out "Pillow's reading: no python3-pil"
fi

# folders
for format in $formats; do
    run decode two.tess -o in-$format/ --format $format --device cpu -q
    code_is 0
    is "names in a folder" "a.$format b.$format" "$(echo $(ls in-$format))"
    is "bytes in a folder" "$format" "$(kind in-$format/b.$format)"
done
has jpg && {
    "$TESSERA" decode a.tess -o - --format jpg --device cpu -q >piped
    is "bytes in a pipe" jpg "$(kind piped)"
    run decode a.tess -o strange.name --format jpg --device cpu -q
    is "an unknown suffix with --format" jpg "$(kind strange.name)"
}
# beside the token file
mkdir beside
cp a.tess two.tess beside
run decode beside/a.tess --device cpu -q
is "without -o" png "$(kind beside/a.png)"
run decode beside/two.tess --device cpu -q
is "several without -o" "a.png b.png" "$(echo $(ls beside/two))"
fails 2 'two.tess: wanted a clip for the video both.gif, got none' decode two.tess -o both.gif
fails 2 'wanted a folder for 2 items, got the name of a picture, both.webp \(both.webp/ is a folder\)' decode two.tess -o both.webp
cp a.tess beside/other
has jpg && run decode beside/other --format jpg --device cpu -q && is "another name" jpg "$(kind beside/other.jpg)"
cp a.ppm beside/c.ppm
run encode beside/c.ppm --device cpu -q
is "encode without -o" 0 "$(cmp beside/c.tess beside/a.tess >/dev/null; [ -s beside/c.tess ]; echo $?)"
fails 2 '^tessera decode: -o OUT is missing: standard input has no name' decode -
fails 2 '^tessera encode: -o OUT.tess is missing: - has no name' encode -

# what does not agree is refused before anything is decoded, and nothing appears
wrong() {
    local code=$1 name=$2
    shift 2
    fails "$code" "$1" decode a.tess -o "$name" --device cpu "${@:2}"
    absent "$name"
}
wrong 2 x.bmp 'x.bmp: wanted the suffix of a picture .*got .bmp$'
wrong 2 x.heic 'got .heic$'
wrong 2 x.jpg 'x.jpg: wanted a name for PNG, got one for JPEG$' --format png
wrong 2 x.png 'x.png: wanted a name for TIFF, got one for PNG$' --format tiff
wrong 2 x.png 'picture quality: .*got PNG' --picture-quality 50
has tiff && wrong 2 x.tiff 'picture quality: .*got TIFF' --picture-quality 50
has jpg && wrong 2 x.jpg 'lossless: wanted a format that can, got JPEG' --lossless
has webp && wrong 2 x.webp 'wanted a quality or lossless, got both' --lossless --picture-quality 5
wrong 2 x.jpg "picture-quality: wanted a whole number from 1 to 100, got '0'" --picture-quality 0
wrong 2 x.jpg "format: wanted auto, png, jpg, webp, avif, jxl, tiff, ppm, .* or frames, got 'jpeg'; did you mean 'jpg'" --format jpeg
fails 2 'got .bmp$' sheet a.ppm -o x.bmp -k 4 --device cpu
absent x.bmp
has webp && {
    run sheet a.ppm -o sheet.webp -k 4 --device cpu -q
    code_is 0
    is "a sheet" webp "$(kind sheet.webp)"
}
# more pixels than the format holds
python3 -c 'import sys; sys.stdout.buffer.write(b"P5\n17000 1\n255\n" + bytes(17000))' >wide.pgm
run encode wide.pgm -o wide.tess --device cpu -q
code_is 0
has webp && fails 3 'wide.webp: size: wanted at most 16383 pixels a side \(WebP\), got 17000x1' decode wide.tess -o wide.webp --device cpu
absent wide.webp
no_leftovers
finish
