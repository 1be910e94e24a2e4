#!/bin/bash
# SPDX-License-Identifier: MIT
# tessera eval: exact table, folders, JSON, and everything that does not match.
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
run eval r.ppm d.ppm
code_is 0
err_empty
out_is '# psnr          8-bit RGB, range 255, one mean over all channels; dB
# ssim_gaussian Wang et al. 2004: 11x11 gaussian, sigma 1.5, valid region, mean of channels
# ssim_uniform  7x7 uniform window, sample covariance (scikit-image'"'"'s default)
# l1            mean absolute error on the 0..1 scale
picture                       psnr  ssim_gau  ssim_uni        l1
r                          31.8055  0.845363  0.829974  0.022111'
run eval r.ppm d.ppm --json
code_is 0
json_ok
is "psnr of the published pair" True "$(json 'abs(d["pictures"][0]["psnr"] - 31.8054826995) < 1e-9')"
is "gaussian ssim" True "$(json 'abs(d["pictures"][0]["ssim_gaussian"] - 0.8453629304) < 1e-9')"
is "uniform ssim" True "$(json 'abs(d["pictures"][0]["ssim_uniform"] - 0.8299736114) < 1e-9')"
is "keys" "['equal', 'failed', 'mean', 'pictures', 'protocol', 'tessera', 'unmatched', 'verb']" "$(json 'sorted(d)')"

run eval r.ppm r.ppm
out_has '^r +inf +1.000000 +1.000000 +0.000000$'
run eval r.ppm r.ppm --json
is "psnr of equal pictures" None "$(json 'd["pictures"][0]["psnr"]')"
is "equal" True "$(json 'd["pictures"][0]["equal"]')"

# folders: by name without suffix; other files do not count
mkdir a b
cp r.ppm a/one.ppm
cp r.ppm a/two.ppm
cp d.ppm b/one.ppm
cp r.ppm b/two.pnm
echo text >a/README.md
run eval a b
code_is 0
err_empty
out_has '^one +31\.8055 '
out_has '^two +inf '
out_has '^mean of 2 +31\.8055 '
out_has '^# psnr: mean of the 1 that differ; 1 picture equal, without a finite psnr$'
run eval a b --json
code_is 0
is "mean over what differs" "True 1 2 False" "$(json '"%s %d %d %s" % (abs(d["mean"]["psnr"] - 31.8054826995) < 1e-9, d["mean"]["psnr_count"], d["mean"]["count"], d["mean"]["all_equal"])')"
run eval a a --json
code_is 0
is "all equal" "None 0 True 2" "$(json '"%s %d %s %d" % (d["mean"]["psnr"], d["mean"]["psnr_count"], d["mean"]["all_equal"], d["equal"])')"
run eval a a
out_has '^mean of 2 +inf '
out_has '^# psnr: all measured pictures are equal$'
# what lies beside pictures does not count
for f in a b; do
    printf '\0\5\26\7\0\2\0\0Mac OS X        ' >$f/._one.ppm
    echo x >$f/.hidden.png
    echo x >$f/Thumbs.db
    echo x >$f/desktop.ini
    echo x >$f/.DS_Store
    mkdir $f/folder.png
done
echo x >a/._only-here.ppm
run eval a b
code_is 0
err_empty
is "rows" 2 "$(grep -cE '^(one|two) ' out)"
# a bad picture costs itself alone, on either side
cp b/one.ppm kept.ppm
echo bad >b/one.ppm
run eval a b
code_is 1
out_has '^one +malformed data: b/one.ppm'
out_has '^two +inf '
err_is "tessera eval: 0 pictures without counterpart, 0 of different size, 1 unreadable"
run eval b a --json
code_is 1
json_ok
is "the bad one" "True 1 1" "$(json '"%s %d %d" % ("b/one.ppm" in d["pictures"][0]["error"], d["failed"], d["mean"]["count"])')"
rm b/one.ppm
ln -s nowhere b/one.ppm
run eval a b
code_is 1
out_has '^one +not found: b/one.ppm'
rm b/one.ppm
cp kept.ppm b/one.ppm
# an SSIM that does not exist does not take the mean with it
mkdir s
mkdir s/a s/b
cp r.ppm s/a/one.ppm
cp d.ppm s/b/one.ppm
picture s/a/tiny.ppm 4 4
picture s/b/tiny.ppm 4 4 2
run eval s/a s/b --json
code_is 0
is "mean of the ssim there is" "True 1 2" "$(json '"%s %d %d" % (abs(d["mean"]["ssim_gaussian"] - 0.8453629304) < 1e-9, d["mean"]["ssim_gaussian_count"], d["mean"]["psnr_count"])')"
run eval s/a s/b
out_has '^# ssim_gaussian: mean of 1; the other pictures are smaller than its window$'
cp r.ppm a/three.ppm
run eval a b
code_is 1
out_has '^three +no reconstruction$'
err_is "tessera eval: 1 picture without counterpart, 0 of different size, 0 unreadable"
run eval b a -q
code_is 1
err_empty
out_has '^three +no original$'
rm a/three.ppm
picture small.ppm 8 6
cp small.ppm b/two.pnm
run eval a b
code_is 1
out_has 'size: wanted 256x256 .* got 8x6'
run eval a b --json
code_is 1
json_ok
is "failed" 1 "$(json 'd["failed"]')"
is "mean count" 1 "$(json 'd["mean"]["count"]')"
cp r.ppm a/two.pgm
fails 2 "wanted one picture called 'two', got two suffixes" eval a b
rm a/two.pgm

mkdir t
cp small.ppm t/1.ppm
cp small.ppm t/2.ppm
run eval t t
code_is 0
out_has '^# ssim_gaussian: all pictures are smaller than its window$'
run eval small.ppm small.ppm
code_is 0
out_has '^small +inf +-?nan '
fails 2 '^tessera eval: ORIGINAL RECON is missing' eval r.ppm
fails 2 "'d.ppm' is one argument too many" eval r.ppm d.ppm d.ppm
fails 2 "wanted two files or two folders, got the folder 'a' and the file 'r.ppm'" eval a r.ppm
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
# names that would drive a terminal, or are no UTF-8
cp r.ppm $'a/\033[31mred.ppm'
cp r.ppm $'b/\033[31mred.ppm'
cp r.ppm b/two.pnm
run eval a b
code_is 0
grep -q $'\033' out && complain "an escape sequence reached stdout"
mkdir c
cp r.ppm $'c/bad\xff.ppm'
run eval c c --json
code_is 0
json_ok
finish
