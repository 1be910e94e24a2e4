#!/bin/bash
# SPDX-License-Identifier: MIT
# The library and the program build, link and start without Vulkan, oneDNN and FFmpeg.
set -euo pipefail
source=${SOURCE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Headers that only those parts may ask for: here they are as good as absent.
for header in dnnl.h oneapi/dnnl/dnnl.h volk.h vulkan/vulkan.h libavformat/avformat.h \
    libavcodec/avcodec.h libavutil/avutil.h libavutil/frame.h libswscale/swscale.h; do
    mkdir -p "$work/absent/$(dirname $header)"
    echo "#error $header is asked for" >"$work/absent/$header"
done
cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -I$work/absent" \
    -DTESSERA_VULKAN=OFF -DTESSERA_ONEDNN=OFF -DTESSERA_MEDIA=OFF -DTESSERA_TESTS=OFF \
    -DTESSERA_WERROR=ON >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" 2>&1 || { grep -E 'error|undefined|warning' "$work/log"; exit 1; }
libraries=$(ldd "$work/build/tessera")
for name in libav libsw dnnl libvulkan; do
    if grep -q "$name" <<<"$libraries"; then
        echo "still linked: $(grep "$name" <<<"$libraries")"
        exit 1
    fi
done
"$work/build/tessera" --version
