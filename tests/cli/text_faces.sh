#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera eval --text and --faces, tessera tokbench: marks that cannot be used, what the command line
# refuses, Tesseract on pictures drawn here, faces with trained weights where they are there.
. "$(dirname "$0")/../support/cli.bash"
shared=$SOURCE/../shared

# -- the command line
printf 'a.png\tword\n' >words.tsv
mkdir originals
printf 'P6\n2 2\n255\n%012d' 0 >originals/a.ppm
fails 2 "--text: wanted --reader" eval originals originals --text words.tsv
fails 2 "--reader: wanted --text" eval originals originals --reader tesseract
fails 2 "--faces: wanted --embedder" eval originals originals --faces words.tsv
fails 2 "--embedder: wanted --faces" eval originals originals --embedder arcface:x
fails 2 "--ignore-case: wanted --text" eval originals originals --ignore-case
fails 2 'reader: wanted parseq:WEIGHTS or tesseract\[:LANG\], got "eyes"' \
    eval originals originals --text words.tsv --reader eyes
fails 2 "wanted --reader, --embedder or both" tokbench originals
fails 2 "DATA is missing" tokbench --reader tesseract
printf '{"a.png": 3}' >wrong.json
fails 4 "wrong.json: picture a.png: wanted a text or an object" \
    eval originals originals --text wrong.json --reader tesseract

# -- weights of another trade
run eval originals originals --text words.tsv --reader "parseq:$SOURCE/models/mosaic-64.safetensors"
[ "$code" != 0 ] || complain "a tokenizer reads"

# -- Tesseract
drawer=
for python in python3 /usr/bin/python3; do
    [ -n "$drawer" ] || ! $python -c 'import PIL' 2>/dev/null || drawer=$python
done
if [ -z "$drawer" ]; then
    echo "left out: no Pillow to draw words with"
elif grep -q +tesseract <("$TESSERA" --version) && "$TESSERA" eval originals originals --text words.tsv --reader tesseract >/dev/null 2>err2; then
    $drawer - <<'PY' || complain "pictures"
from PIL import Image, ImageDraw, ImageFont
import os
font = None
for path in ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",):
    if os.path.exists(path):
        font = ImageFont.truetype(path, 40)
if font is None:
    open("no-font", "w").close()
    raise SystemExit
os.makedirs("pages"), os.makedirs("blurred")
page = Image.new("RGB", (600, 200), (250, 248, 240))
draw = ImageDraw.Draw(page)
rows = []
for at, word in (((20, 20), "Tessera"), ((300, 20), "reads"), ((20, 110), "words")):
    draw.text(at, word, fill=(20, 30, 60), font=font)
    box = draw.textbbox(at, word, font=font)
    rows.append("page.png\t%d,%d,%d,%d\t%s" % (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2, word))
rows.append("page.png\t590,10,700,40\toutside")
page.save("pages/page.png")
page.resize((30, 10)).resize((600, 200)).save("blurred/page.png")
open("marks.tsv", "w").write("\n".join(rows) + "\n")
PY
    if [ -e no-font ]; then
        echo "left out: no DejaVuSans.ttf to draw with"
    else
        export OMP_THREAD_LIMIT=1
        run eval pages pages blurred --text marks.tsv --reader tesseract --json
        code_is 1 # a box is outside
        json_ok
        grep -q 'page.png: box of "outside": wanted a pixel inside 600x200, got 590,10,700,40' err || complain "no line of the box: $(cat err)"
        is "all words of the original" "3 1.0 1.0" "$(json '"%d %.1f %.1f" % tuple(d["candidates"][0]["text"][k] for k in ("words", "t_acc", "t_ned"))')"
        is "no word of the blurred one" "0.0" "$(json 'float(d["candidates"][1]["text"]["t_acc"])')"
        is "the box is counted" 1 "$(json 'd["candidates"][0]["text"]["left_out"]')"
        run eval pages pages --text marks.tsv --reader tesseract
        out_has 'T-ACC 100.00 %, T-NED 100.00 %, CER 0.0000'
        # a page that is read and one that is not: pictures are drawn with their words
        head -3 marks.tsv >good.tsv
        mkdir two halves
        cp pages/page.png two/read.png && cp pages/page.png two/lost.png
        cp pages/page.png halves/read.png && cp blurred/page.png halves/lost.png
        sed 's/^page/read/' good.tsv >two.tsv && sed 's/^page/lost/' good.tsv >>two.tsv
        run eval two halves --text two.tsv --reader tesseract --json
        code_is 0
        json_ok
        is "half of all words, and what two pictures say of it" "0.5 0.0 1.0" \
            "$(json '"%.1f %.1f %.1f" % tuple(d["candidates"][0]["text"][k] for k in ("t_acc", "t_acc_low", "t_acc_high"))')"
        is "by size, too" "True" "$(json 'all((b["t_acc_low"] is None) == (b["count"] == 0) for b in d["candidates"][0]["text"]["bins"])')"
        run eval two halves --text two.tsv --reader tesseract
        out_has '95 %: T-ACC \(0.00 to 100.00\), T-NED'
        run eval pages pages --text good.tsv --reader tesseract --json
        is "one picture has no interval" None "$(json 'd["candidates"][0]["text"]["t_acc_low"]')"
        run tokbench pages --text good.tsv --reader tesseract --setting 512 --resize-only --json
        code_is 0
        json_ok
        is "resize reads large words" "1.0" "$(json 'float(d["rows"][0]["t_acc"]["large"])')"
        is "three words" "3" "$(json 'sum(d["rows"][0]["words_by_size"])')"
        is "published rows" "0.9251 0.99" "$(json '"%.4f %.2f" % (d["published"][0]["t_acc"]["small"], d["published"][0]["f_sim"]["medium"])')"
        run tokbench pages --text good.tsv --reader tesseract --setting 512 --device cpu --keep kept -q
        code_is 0
        is "what came back" "kept/Resize/words/page.png.png kept/mosaic-64/words/page.png.png" "$(echo $(find kept -type f | LC_ALL=C sort))"
        run eval pages/page.png kept/Resize/words/page.png.png --json
        code_is 0
        is "at its own size" "True" "$(json 'd["candidates"][0]["summary"]["psnr"]["mean"] > 20')"
        fails 3 'page.png.png' tokbench pages --text good.tsv --reader tesseract --setting 512 --resize-only --keep kept
        sed 's|^page.png|../pages/page.png|' good.tsv >away.tsv
        fails 4 '--keep: ../pages/page.png: wanted the name of a picture below its folder' tokbench pages --text away.tsv --reader tesseract --resize-only --keep other
    fi
else
    echo "left out: no Tesseract with English data"
fi

# -- faces, with the trained MobileFaceNet
weights=$shared/data/weights/mobilefacenet.safetensors
if [ -e "$weights" ]; then
    mkdir faces same
    grep -E '^(file|lfw/)' "$shared/data/faces/landmarks.tsv" | head -7 >marks.tsv
    printf 'lfw/none.jpg\n' >>marks.tsv
    cut -f1 marks.tsv | grep lfw | while read -r f; do
        [ -e "$shared/data/faces/$f" ] && mkdir -p faces/lfw && cp "$shared/data/faces/$f" faces/lfw/
    done
    cp -r faces same/
    run eval faces faces --faces marks.tsv --embedder "mobilefacenet:$weights" --json
    code_is 1 # a face without landmarks
    json_ok
    grep -q 'picture lfw/none.jpg: face: wanted ten numbers, x and y of five points, got none' err || complain "no line of the face: $(cat err)"
    is "a face is itself" "True 6" "$(json 'str(abs(d["candidates"][0]["faces"]["f_sim"] - 1) < 1e-6) + " %d" % d["candidates"][0]["faces"]["count"]')"
    is "its interval" True "$(json 'all(abs(d["candidates"][0]["faces"][k] - 1) < 1e-6 for k in ("f_sim_low", "f_sim_high"))')"
    run eval faces faces --faces marks.tsv --embedder "arcface:$weights"
    [ "$code" != 0 ] && grep -q "wanted weights of arcface, got those of mobilefacenet" err || complain "another network: $(cat err)"
    grep -v none marks.tsv >good.tsv
    run tokbench faces --faces good.tsv --embedder "mobilefacenet:$weights" --setting 256 --json
    code_is 0
    json_ok
    is "resized faces are nearly themselves" True "$(json 'd["rows"][0]["f_sim_instances"] > 0.9')"
else
    echo "left out: no trained MobileFaceNet in ../shared"
fi
finish
