#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera eval: exact numbers, folders, token files, anchors, JSON and CSV, and everything that does not
# match.
. "$(dirname "$0")/../support/cli.bash"

# The published pair: reference and distorted picture of 256x256, made by integers alone.
python3 - <<'PY'
def r(x, y, c):
    return (128 + ((x * (c + 1)) >> 1) + ((y * (3 - c)) >> 2) + 48 * (((x >> 4) ^ (y >> 4)) & 1)) & 255
S = 256
a, b = bytearray(), bytearray()
for y in range(S):
    for x in range(S):
        for c in range(3):
            v = r(x, y, c)
            a.append(v)
            b.append(min(255, max(0, v + ((x * 31 + y * 17 + c * 7 + ((x * y) >> 2)) % 23) - 11)))
assert sum(a) == 24438272 and sum(b) == 24456030
for name, data in (("r.ppm", a), ("d.ppm", b)):
    open(name, "wb").write(b"P6\n256 256\n255\n" + data)
PY
# What the JSON says of a metric of the first candidate.
summary() {
    json "d['candidates'][0]['summary']['$1']['$2']"
}
cell() {
    json "d['pictures'][$1]['values'][0].get('$2')"
}
run eval r.ppm d.ppm
code_is 0
err_empty
out_has '^d.ppm +1 +- +196623\.0 +24\.0018 +- +31\.8055 +0\.845363 +0\.829974 +0\.022111$'
out_has '^psnr in dB, more is better: 8-bit RGB as stored, range 255, '
out_has '^d.ppm +31\.8055 +- +- +- +1 +31\.8055  r.ppm$'
run eval r.ppm d.ppm --json --metrics psnr,ssim,ssim_uniform,l1,mse,psnr_pooled
code_is 0
json_ok
is "psnr of the published pair" True "$(json 'abs(d["pictures"][0]["values"][0]["psnr"] - 31.8054826995) < 1e-9')"
is "gaussian ssim" True "$(json 'abs(d["pictures"][0]["values"][0]["ssim"] - 0.8453629304) < 1e-9')"
is "uniform ssim" True "$(json 'abs(d["pictures"][0]["values"][0]["ssim_uniform"] - 0.8299736114) < 1e-9')"
is "pooled psnr of one picture" True "$(json 'abs(d["candidates"][0]["sets"]["psnr_pooled"]["value"] - 31.8054826995) < 1e-9')"
is "mse" True "$(json 'abs(10 * __import__("math").log10(255**2 / d["pictures"][0]["values"][0]["mse"]) - 31.8054826995) < 1e-9')"
is "schema" tessera.report/1 "$(json 'd["schema"]')"
is "protocols" "['psnr', 'ssim', 'ssim_uniform', 'l1', 'mse', 'psnr_pooled']" "$(json '[m["name"] for m in d["metrics"] if m["protocol"] and m["source"]]')"

run eval r.ppm r.ppm
out_has '^r.ppm +inf +- +- +- +0 +inf  r.ppm$'
out_has '^ +1 picture without any error, infinite and not in the mean$'
run eval r.ppm r.ppm --json
is "psnr of equal pictures" "inf inf" "$(cell 0 psnr) $(summary psnr mean)"
is "equal" "True 1" "$(json '"%s %d" % (d["pictures"][0]["values"][0]["equal"], d["candidates"][0]["counts"]["equal"])')"

# folders, with those below: by path without suffix; other files do not count
mkdir -p a/sub b/sub
cp r.ppm a/one.ppm
cp r.ppm a/sub/two.ppm
cp d.ppm b/one.ppm
cp r.ppm b/sub/two.pnm
echo text >a/README.md
run eval a b --per-picture
code_is 0
err_empty
out_has '^one.ppm .* 31\.8055 '
out_has '^sub/two.ppm .* inf '
run eval a b --json
code_is 0
is "mean over what differs" "True 1 2 1" "$(json '"%s %d %d %d" % (abs(d["candidates"][0]["summary"]["psnr"]["mean"] - 31.8054826995) < 1e-9, d["candidates"][0]["summary"]["psnr"]["count"], d["candidates"][0]["counts"]["compared"], d["candidates"][0]["counts"]["equal"])')"
is "the worst picture" one.ppm "$(json 'd["candidates"][0]["summary"]["psnr"]["worst"]["picture"]')"
run eval a a --json
code_is 0
is "all equal" "inf 0 2" "$(json '"%s %d %d" % (d["candidates"][0]["summary"]["psnr"]["mean"], d["candidates"][0]["summary"]["psnr"]["count"], d["candidates"][0]["counts"]["equal"])')"
# what lies beside pictures does not count
for f in a b; do
    printf '\0\5\26\7\0\2\0\0Mac OS X        ' >$f/._one.ppm
    echo x >$f/.hidden.png
    echo x >$f/Thumbs.db
    echo x >$f/desktop.ini
    echo x >$f/.DS_Store
    mkdir $f/folder.png
done
run eval a b --json
code_is 0
err_empty
is "pictures" 2 "$(json 'len(d["pictures"])')"
# several candidates, and an archive; a name without folders finds the only picture of that name
mkdir flat
cp d.ppm flat/one.ppm
cp d.ppm flat/two.ppm
tar -C b -cf b.tar one.ppm sub
run eval a b b.tar flat --csv table.csv
code_is 0
is "a line each" "4 b b.tar flat" "$(wc -l <table.csv) $(sed -n 's/^"\([^"]*\)",files,.*/\1/p' table.csv | tr '\n' ' ' | sed 's/ $//')"
is "the archive is the folder" "$(sed -n '2s/^"b","*//p' table.csv | cut -d, -f13-)" "$(sed -n '3s/^"b.tar","*//p' table.csv | cut -d, -f13-)"
fails 3 'table.csv; -f replaces it|table.csv' eval a b --csv table.csv
run eval a b --csv - --per-picture
is "a line of each picture" "candidate,picture,status,width,height,tokens,bytes,psnr,ssim,ssim_uniform,l1 3" "$(head -n 1 out) $(wc -l <out)"
# numbers do not depend on threads; intervals do not change from run to run
mkdir many back
python3 - <<'PY'
import random
random.seed(3)
for i in range(9):
    a = bytes(random.randrange(256) for _ in range(16 * 16 * 3))
    b = bytes(min(255, max(0, v + random.randrange(-9 - i, 10 + i))) for v in a)
    for folder, data in (("many", a), ("back", b)):
        open(f"{folder}/{i}.ppm", "wb").write(b"P6\n16 16\n255\n" + data)
PY
run eval many back --json --threads 1
cp out one-thread
python3 -c 'import json; d = json.load(open("out")); d.pop("created"); d.pop("threads"); print(json.dumps(d))' >one
run eval many back --json --threads 4
python3 -c 'import json; d = json.load(open("out")); d.pop("created"); d.pop("threads"); print(json.dumps(d))' >four
cmp -s one four || complain "4 threads give other numbers than 1"
is "the interval holds the mean" True "$(json 'd["candidates"][0]["summary"]["psnr"]["low"] < d["candidates"][0]["summary"]["psnr"]["mean"] < d["candidates"][0]["summary"]["psnr"]["high"]')"
low=$(summary psnr low)
run eval many back --json --seed 2
[ "$(summary psnr low)" != "$low" ] || complain "another seed gives the same interval"

# token files: decoded on the way, originals fitted likewise
run encode many -o many.tess --device cpu -q
run decode many.tess -o decoded/ --device cpu -q
run eval many decoded --json
of_files=$(summary psnr mean)
run eval many many.tess --json --device cpu
code_is 0
is "decoded on the way" "$of_files" "$(summary psnr mean)"
is "what it cost" "tokenizer True True" "$(json '"%s %s %s" % (d["candidates"][0]["kind"], d["candidates"][0]["cost"]["tokens"] > 0, d["candidates"][0]["cost"]["bits_per_pixel"] > 0)')"
for fit in crop pad stretch; do
    run encode r.ppm -f -o fit.tess --fit $fit --tile 128x96 --device cpu --check --json
    [ "$code" = 0 ] || run encode r.ppm -f -o fit.tess --fit $fit --device cpu --check --json
    checked=$(json '"%.9f" % d["mean_absolute_error"]')
    run eval r.ppm fit.tess --json --device cpu
    code_is 0
    is "$fit: what encoding checks" "$checked" "$(json '"%.9f" % d["candidates"][0]["summary"]["l1"]["mean"]')"
    run eval r.ppm fit.tess --json --device cpu --at original
    code_is 0
    is "$fit: at the original" "256x256" "$(json '"%dx%d" % (d["pictures"][0]["values"][0]["width"], d["pictures"][0]["values"][0]["height"])')"
done
run eval many many.tess -k 4,16 --json --device cpu
code_is 0
is "a candidate for each number" "4 16" "$(json '" ".join("%d" % c["cost"]["tokens"] for c in d["candidates"])')"
is "more are better" True "$(json 'd["candidates"][0]["summary"]["l1"]["mean"] > d["candidates"][1]["summary"]["l1"]["mean"]')"
fails 2 'wanted at most 256, got 999' eval many many.tess -k 999 --device cpu
run codebook train many/0.ppm -p 4 -k 8 -o other.safetensors -q
fails 5 'wanted .* got' eval many many.tess -t other.safetensors --device cpu
run eval many many.tess -t other.safetensors -t mosaic-64 --device cpu --json
[ "$code" = 0 ] || [ "$code" = 3 ] || complain "a second model: exit code $code"

# anchors: never above the bytes of the tokens unless the codec cannot
run eval many many.tess --anchor resize,webp,jpeg --json --device cpu
if [ "$code" = 0 ]; then
    is "kinds" "tokenizer anchor anchor anchor" "$(json '" ".join(c["kind"] for c in d["candidates"])')"
    is "numbers of the small picture" True "$(json 'all(p["values"][1]["tokens"] <= p["values"][0]["tokens"] for p in d["pictures"])')"
    is "bytes, or said" True "$(json 'all(v.get("floored") or v["bytes"] <= p["values"][0]["bytes"] for p in d["pictures"] for v in p["values"][2:])')"
    is "the note says it" True "$(json 'all(("does not reach" in v["note"]) == bool(v.get("floored")) for p in d["pictures"] for v in p["values"][2:])')"
else
    out_has 'UNSUPPORTED|"code": 70'
    echo "left out: anchors of codecs this build lacks"
fi
run eval many many.tess --anchor resize --json --device cpu
is "an anchor has no codes" "True False" "$(json '" ".join(str("codes" in c) for c in d["candidates"])')"
grep -q '^  "schema": "tessera.report/1",$' out || complain "eval --json is not laid out as other verbs': $(head -3 out)"
code_is 0
fails 2 'anchor: wanted jpeg' eval many many.tess --anchor gif --device cpu

# a bad picture costs itself alone, on either side
cp b/one.ppm kept.ppm
echo bad >b/one.ppm
run eval a b
code_is 1
grep -q '^one.ppm: malformed data: b/one.ppm' err || complain "the bad picture is not named: $(cat err)"
grep -q '^tessera eval: 0 pictures without counterpart, 0 of different size, 1 unreadable$' err || complain "not counted: $(cat err)"
run eval b a --json
code_is 1
json_ok
is "the bad one" "True 1 1" "$(json '"%s %d %d" % ("b/one.ppm" in d["pictures"][0]["values"][0]["status"], d["candidates"][0]["counts"]["failed"], d["candidates"][0]["counts"]["compared"])')"
fails 4 'b/one.ppm' eval a b --on-error stop
rm b/one.ppm
ln -s nowhere b/one.ppm
run eval a b
code_is 1
rm b/one.ppm
cp kept.ppm b/one.ppm
# a number that cannot be is null, with the reason, and does not take the mean with it
mkdir -p s/a s/b
cp r.ppm s/a/one.ppm
cp d.ppm s/b/one.ppm
picture s/a/tiny.ppm 8 8
picture s/b/tiny.ppm 8 8 2
run eval s/a s/b --json
code_is 0
is "mean of the ssim there is" "True 1 1" "$(json '"%s %d %d" % (abs(d["candidates"][0]["summary"]["ssim"]["mean"] - 0.8453629304) < 1e-9, d["candidates"][0]["summary"]["ssim"]["count"], d["candidates"][0]["summary"]["ssim"]["missing"])')"
is "null and why" "None a side is below the window of 11 pixels" "$(json '"%s %s" % (d["pictures"][1]["values"][0]["ssim"], d["pictures"][1]["values"][0]["why"]["ssim"])')"
run eval s/a s/b
out_has '1 picture without the number: a side is below the window of 11 pixels$'
cp r.ppm a/three.ppm
run eval a b
code_is 1
grep -q '^three.ppm: no reconstruction$' err || complain "three.ppm is not named: $(cat err)"
grep -q '^tessera eval: 1 picture without counterpart, 0 of different size, 0 unreadable$' err || complain "not counted: $(cat err)"
run eval b a -q --json
code_is 1
err_empty
is "alone on the other side" "no original" "$(json '[p["values"][0]["status"] for p in d["pictures"] if p["name"] == "three.ppm"][0]')"
rm a/three.ppm
# sides that differ: said, or fitted when asked
picture small.ppm 8 6
cp small.ppm b/sub/two.pnm
run eval a b
code_is 1
grep -q 'size: wanted 256x256 as the original, got 8x6' err || complain "sizes are not said: $(cat err)"
run eval a b --resize --json
code_is 0
is "resized" "resized from 8x6" "$(cell 1 note)"
cp r.ppm a/one.pgm
fails 2 "wanted one picture called 'one', got two suffixes" eval a b
rm a/one.pgm
# alpha, 16 bits and grey become 8-bit RGB
python3 - <<'PY'
import struct, zlib
def png(name, colour, bits, row, n=12):
    def chunk(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    data = b"".join(b"\0" + row for _ in range(n))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", n, n, bits, colour, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))
png("alpha.png", 6, 8, bytes([10, 20, 30, 0]) * 12)
png("white.png", 2, 8, bytes([255, 255, 255]) * 12)
png("deep.png", 2, 16, bytes([77, 77, 77, 77, 77, 77]) * 12)
png("grey.png", 0, 8, bytes([77]) * 12)
PY
run eval white.png alpha.png --json
is "alpha lies over white" inf "$(cell 0 psnr)"
run eval deep.png grey.png --json
is "16 bits and grey" inf "$(cell 0 psnr)"

run eval small.ppm small.ppm
code_is 0
out_has '^small.ppm .* inf +- +- +0\.000000$'
fails 2 '^tessera eval: a candidate is missing' eval r.ppm
fails 2 '^tessera eval: ORIGINALS is missing' eval
fails 2 "unknown metric 'pnsr'; did you mean 'psnr'" eval r.ppm d.ppm --metrics pnsr
fails 2 "wanted two pictures or two folders, got a folder as originals and the picture 'r.ppm'" eval a r.ppm
fails 3 'no-such.png' eval no-such.png r.ppm
fails 3 'no-such.png' eval r.ppm no-such.png
mkdir empty
fails 3 'empty: wanted pictures, got none' eval a empty
: >empty.png
fails 4 'empty.png' eval empty.png r.ppm
run eval no-such.png r.ppm --json
code_is 3
json_ok
is "error name" TSR_ERROR_NOT_FOUND "$(json 'd["error"]["name"]')"
run eval --metrics help
code_is 0
out_has '^psnr +PSNR in dB, more is better, one for each picture$'
run eval --metrics list --json
json_ok
is "all metrics have a protocol" True "$(json 'all(m["protocol"] and m["source"] for m in d["metrics"])')"
# names that would drive a terminal, or are no UTF-8
cp r.ppm $'a/\033[31mred.ppm'
cp r.ppm $'b/\033[31mred.ppm'
cp r.ppm b/sub/two.pnm
run eval a b --per-picture
code_is 0
grep -q $'\033' out && complain "an escape sequence reached stdout"
mkdir c
cp r.ppm $'c/bad\xff.ppm'
run eval c c --json
code_is 0
json_ok
finish
