#!/bin/bash
# SPDX-License-Identifier: MIT
# Pictures that people really have, each with the picture it should give (../shared/cases).
cases=${SHARED:?}/cases
[ -d "$cases/tiff-ycbcr" ] || { echo "skipped: no $cases"; exit 77; }
. "$(dirname "$0")/../support/cli.bash"

# Whether this build reads pictures of this name.
reads() {
    case $1 in
    *.jpg) built_with JPEG ;;
    *.tif) built_with TIFF ;;
    *.webp) built_with WebP ;;
    *.jp2) built_with "JPEG 2000" ;;
    esac
}
# near DECIBELS PICTURE EXPECTED: at least so many (inf: equal), and nothing on stderr
near() {
    reads "$2" || return 0
    run eval "$cases/$2" "$cases/$3" --json -q
    code_is 0
    err_empty
    python3 -c '
import json, sys
psnr = json.load(open("out"))["pictures"][0]["values"][0]["psnr"]
sys.exit(float(psnr) < float(sys.argv[1]))' "$1" 2>/dev/null ||
        complain "$2: wanted $1 dB or more, got $(grep -m1 '"psnr":.[^{]' out)"
}
read_whole() {
    reads "$1" || return 0
    run encode "$cases/$1" -o x.tess --device cpu -q
    code_is 0
    err_empty
    rm -f x.tess
}
refused() { # refused PICTURE WORDS: exit code 4, one line, nothing printed besides, nothing at all with -qq
    reads "$1" || return 0
    fails 4 "$2" encode "$cases/$1" -o x.tess --device cpu
    absent x.tess
    [ "$(wc -l <err)" = 1 ] || complain "$1: wanted one line, got $(cat err)"
    run encode -qq "$cases/$1" -o x.tess --device cpu
    code_is 4
    err_empty
}

near 50 jpeg-rgb-subsampled/rgb-1x1.jpg jpeg-rgb-subsampled/expected.png
near 50 jpeg-rgb-subsampled/rgb-2x2.jpg jpeg-rgb-subsampled/expected.png
near 40 jpeg-rgb-subsampled/rgb-4x1.jpg jpeg-rgb-subsampled/expected.png
near inf png-profile-orientation/turned.png png-profile-orientation/upright.png
near inf pnm-maxval-254/white-254.pgm pnm-maxval-254/white-255.pgm
near inf pnm-maxval-254/white-254.ppm pnm-maxval-254/white-255.pgm
near 48 pnm-maxval-254/nearly-white-254.pgm pnm-maxval-254/white-255.pgm
near inf tiff-extra-sample/rgb-nir.tif tiff-extra-sample/expected.png
near inf tiff-extra-sample/rgb-nir-16.tif tiff-extra-sample/expected.png
near inf tiff-extra-sample/grey-plus-one.tif tiff-extra-sample/expected-grey.png
near inf tiff-fill-order/grey4.tif tiff-fill-order/grey4.png
near inf tiff-fill-order/grey2.tif tiff-fill-order/grey2.png
near inf tiff-jpeg-one-strip/strip.tif tiff-jpeg-one-strip/expected.png
near 46 tiff-ycbcr/ycbcr.tif tiff-ycbcr/expected.png
for name in w8 w100 w256; do read_whole pam-width/$name.pam; done
for name in tiled.tif zstd.tif jpeg-strips.tif big.tif arithmetic.jpg; do read_whole tiff-whole-called-damaged/$name; done
refused tiff-whole-called-damaged/float32.tif 'float32.tif: TIFF of 32-bit floating-point samples is not read: convert it'
refused tiff-whole-called-damaged/uint32.tif 'uint32.tif: TIFF of 32-bit samples is not read: convert it'
refused library-words-on-stderr/damaged.webp 'damaged.webp: WebP: '
refused library-words-on-stderr/damaged.jp2 'damaged.jp2: JPEG 2000: '
finish
