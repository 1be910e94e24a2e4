#!/bin/bash
# SPDX-License-Identifier: MIT
# The library, the program and tests build, link and start without Vulkan, oneDNN, libcurl, libmicrohttpd
# and the libraries of picture formats; tests of what is left out there say so. With EVERY_TEST=1 all tests
# are built, which takes two minutes; without it those that run here.
set -euo pipefail
source=${SOURCE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Headers that only those parts may ask for: here they are as good as absent.
for header in dnnl.h oneapi/dnnl/dnnl.h volk.h vulkan/vulkan.h curl/curl.h jpeglib.h tiffio.h webp/decode.h webp/encode.h \
    webp/demux.h libavformat/avformat.h libavcodec/avcodec.h libavfilter/avfilter.h libavutil/imgutils.h libavutil/pixdesc.h \
    gif_lib.h openjpeg.h avif/avif.h jxl/decode.h jxl/encode.h libheif/heif.h archive.h archive_entry.h \
    cairo.h pango/pangocairo.h fontconfig/fontconfig.h microhttpd.h; do
    mkdir -p "$work/absent/$(dirname $header)"
    echo "#error $header is asked for" >"$work/absent/$header"
done
cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -I$work/absent" \
    -DTESSERA_VULKAN=OFF -DTESSERA_ONEDNN=OFF -DTESSERA_FETCH=OFF -DTESSERA_SERVERS=OFF -DTESSERA_PANGO=OFF -DTESSERA_TESTS=ON \
    -DTESSERA_JPEG=OFF -DTESSERA_TIFF=OFF -DTESSERA_WEBP=OFF -DTESSERA_GIF=OFF -DTESSERA_JPEG2000=OFF \
    -DTESSERA_AVIF=OFF -DTESSERA_JXL=OFF -DTESSERA_HEIF=OFF -DTESSERA_ARCHIVE=OFF -DTESSERA_VIDEO=OFF -DTESSERA_TESSERACT=OFF -DTESSERA_SERVE=OFF -DTESSERA_FFTW=OFF -DTESSERA_WERROR=ON >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
programs=(devices recorder fork image picture_write source source_tar encode_sources video video_samples)
targets=()
[ "${EVERY_TEST:-0}" = 1 ] || targets=(--target tessera_cli make_samples make_weights picture_pixels "${programs[@]/#/test_}")
cmake --build "$work/build" "${targets[@]}" >"$work/log" 2>&1 || { grep -E 'error|undefined|warning' "$work/log"; exit 1; }
libraries=$(ldd "$work/build/tessera")
for name in libjpeg libtiff libwebp libgif libopenjp2 libavif libjxl libheif libarchive libavformat libavcodec libavfilter dnnl libvulkan libcurl libpango libcairo libfontconfig libmicrohttpd; do
    if grep -q "$name" <<<"$libraries"; then
        echo "still linked: $(grep "$name" <<<"$libraries")"
        exit 1
    fi
done
"$work/build/tessera" --version
# A kind of picture that this build cannot write is refused by its name.
"$work/build/make_samples" "$work/samples" >/dev/null
"$work/build/tessera" encode "$work/samples/weave.png" -o "$work/a.tess" --device cpu -q
for kind in JPEG:jpg WebP:webp AVIF:avif "JPEG XL:jxl" TIFF:tiff; do
    message=$("$work/build/tessera" decode "$work/a.tess" -o "$work/a.${kind#*:}" 2>&1) && { echo "decode to $kind must fail"; exit 1; }
    grep -q "a.${kind#*:}: this build writes no ${kind%:*}$" <<<"$message" || { echo "decode to $kind: got $message"; exit 1; }
done
# An archive is refused by its name.
(cd "$work" && tar cf a.tar samples/weave.png)
message=$("$work/build/tessera" encode "$work/a.tar" -o "$work/x.tess" --device cpu 2>&1) && { echo "encode of a tar must fail"; exit 1; }
grep -q "a.tar: wanted pictures, got a tar archive (this build was made without libarchive;" <<<"$message" || { echo "encode of a tar: got $message"; exit 1; }
# So is a video, while a folder of pictures is still read as one.
message=$("$work/build/tessera" frames "$source/tests/golden/video-in/timing/one-frame.mp4" 2>&1) && { echo "frames of a video must fail"; exit 1; }
grep -q "this build was made without FFmpeg; -DTESSERA_VIDEO=ON brings it" <<<"$message" || { echo "frames of a video: got $message"; exit 1; }
[ "$("$work/build/tessera" frames "$work/samples" -q | wc -l)" -gt 2 ] || { echo "frames of a folder: wanted some"; exit 1; }
# A server is not asked.
echo '[1]' >"$work/ids.json"
message=$("$work/build/tessera" run --ids "$work/ids.json" --server http://127.0.0.1:1 2>&1) && { echo "run must fail"; exit 1; }
grep -q "this build was made without libcurl; -DTESSERA_SERVERS=ON brings it$" <<<"$message" || { echo "run: got $message"; exit 1; }
# Without pango a sheet has no labels and says so, pages of text are refused, and a plot is SVG.
message=$("$work/build/tessera" sheet "$work/samples/weave.png" -o "$work/sheet.png" -k 4 --device cpu 2>&1) || { echo "sheet: got $message"; exit 1; }
grep -q "labels are left out: this build was made without pango" <<<"$message" || { echo "sheet: got $message"; exit 1; }
message=$("$work/build/tessera" pages -o "$work/pages" 2>&1) && { echo "pages must fail"; exit 1; }
grep -q "this build was made without pango; -DTESSERA_PANGO=ON brings it$" <<<"$message" || { echo "pages: got $message"; exit 1; }
[ ! -e "$work/pages" ] || { echo "pages: wanted no folder"; exit 1; }
python3 - "$work/set.safetensors" <<'END'
import json, struct, sys
head = json.dumps({"features": {"dtype": "F32", "shape": [8, 2], "data_offsets": [0, 64]}}).encode()
head += b" " * (-len(head) % 8)
open(sys.argv[1], "wb").write(struct.pack("<Q", len(head)) + head + struct.pack("<16f", *[i % 5 + 1 for i in range(16)]))
END
message=$("$work/build/tessera" reduce "$work/set.safetensors" --compare --op diverse-maxmin:k=3 -o "$work/plot.png" 2>&1) && { echo "a plot as PNG must fail"; exit 1; }
grep -q "plot.png: this build was made without pango.*; a plot is also written as .svg$" <<<"$message" || { echo "plot: got $message"; exit 1; }
"$work/build/tessera" reduce "$work/set.safetensors" --compare --op diverse-maxmin:k=3 -o "$work/plot.svg" >/dev/null || { echo "a plot as SVG must work"; exit 1; }
grep -q "diverse-maxmin:k=3</text>" "$work/plot.svg" || { echo "plot.svg: wanted the chain's name"; exit 1; }
# Without libcurl fetch still says what to get and where to put it.
message=$("$work/build/tessera" fetch titok-s128 --to "$work/models" 2>&1) && { echo "fetch without libcurl must fail"; exit 1; }
grep -q "no libcurl; get https://.*model.safetensors.*$work/models/model.safetensors" <<<"$message" ||
    { echo "fetch without libcurl: got $message"; exit 1; }
# So does serve.
message=$("$work/build/tessera" serve --port 0 2>&1) && { echo "serve without libmicrohttpd must fail"; exit 1; }
grep -q "this build was made without libmicrohttpd; -DTESSERA_SERVE=ON with libmicrohttpd-dev brings it$" <<<"$message" || { echo "serve: got $message"; exit 1; }
# Of the tests, those that ask about the missing parts themselves or depend on them.
(cd "$work/build" && ctest -j 2 --no-tests=error --output-on-failure --output-junit tests.xml --test-output-size-passed 1000000 \
    -R "^(test_($(IFS='|'; echo "${programs[*]}"))|device_list|source_inputs|bad_input|kept_outputs|picture_formats|piped_pictures|picture_kinds)(_|\$)") \
    >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
bash "$source/scripts/test-summary.sh" "$work/build"
# A format whose library was left out is known by name all the same.
while read -r name bytes; do
    printf '%b' "$bytes" >"$work/picture"
    message=$("$work/build/tessera" encode "$work/picture" -o "$work/x.tess" 2>&1) && { echo "$name: must be refused"; exit 1; }
    grep -q "this build was made without ${name//_/ };" <<<"$message" || { echo "$name: got $message"; exit 1; }
done <<'END'
JPEG \xff\xd8\xff\xe0
TIFF II*\0\x08\0\0\0
WebP RIFF\x10\0\0\0WEBPVP8L
GIF GIF89a
JPEG_2000 \xff\x4f\xff\x51
AVIF \0\0\0\x10ftypavif\0\0\0\0
JPEG_XL \xff\x0a\0
HEIC \0\0\0\x10ftypheic\0\0\0\0
END
