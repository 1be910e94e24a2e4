#!/bin/bash
# SPDX-License-Identifier: MIT
# The library and the program build, link and start without Vulkan, oneDNN and FFmpeg.
set -euo pipefail
source=${SOURCE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S "$source" -B "$work" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DTESSERA_VULKAN=OFF -DTESSERA_ONEDNN=OFF -DTESSERA_MEDIA=OFF -DTESSERA_TESTS=OFF \
    -DTESSERA_WERROR=ON >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work" >"$work/log" 2>&1 || { grep -E 'error|undefined|warning' "$work/log"; exit 1; }
libraries=$(ldd "$work/tessera")
for name in libav libsw dnnl libvulkan; do
    if grep -q "$name" <<<"$libraries"; then
        echo "still linked: $(grep "$name" <<<"$libraries")"
        exit 1
    fi
done
"$work/tessera" --version
