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
out_has '^mean of 2 '
cp r.ppm a/three.ppm
run eval a b
code_is 1
out_has '^three +no reconstruction$'
err_is "tessera eval: 1 pictures without counterpart, 0 of different size"
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
