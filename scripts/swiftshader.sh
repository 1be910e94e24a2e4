#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the tests that use Vulkan on SwiftShader (subgroups of 4), the software Vulkan inside Debian's
# chromium-common package: fetched with apt-get download and unpacked under the build folder, not
# installed.
#   swiftshader.sh [BUILD-FOLDER [CTEST-REGEX]]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "${1:-build/release}" && pwd)
tests=${2:-^(op_|test_.*(vulkan|device|record|model|mosaic|quantizer|vq|fsq|kmeans|codec))}
place=$PWD/build/swiftshader
icd=$place/usr/lib/chromium/vk_swiftshader_icd.json

if [ ! -e "$icd" ]; then
    mkdir -p "$place"
    echo "swiftshader: apt-get download chromium-common (about 32 MB) into $place"
    (cd "$place" && apt-get -q download chromium-common)
    dpkg-deb --fsys-tarfile "$place"/chromium-common_*.deb |
        tar -x -C "$place" ./usr/lib/chromium/libvk_swiftshader.so \
            ./usr/lib/chromium/vk_swiftshader_icd.json
fi
export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
export CK_TIMEOUT_MULTIPLIER=3 # its compiler and its arithmetic are slow
"$build/tessera" devices | tee "$place/devices.txt"
grep -q SwiftShader "$place/devices.txt" || { echo "swiftshader: the driver is not seen" >&2; exit 1; }
cd "$build" && ctest --output-on-failure --no-tests=error -R "$tests"
