#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what building needs and the machine lacks, with apt-get (Debian 12 names).
#   install-deps.sh demo    compiler, CMake and the libraries
#   install-deps.sh check   the same, and what the tests use
#   install-deps.sh package the same as demo, and what makes Debian packages
# Says what it is about to do; as root or through sudo; does nothing when everything is there.
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config glslang-tools
       libpng-dev libzstd-dev libcjson-dev libssl-dev libxxhash-dev libdnnl-dev libvulkan-dev libvulkan-volk-dev
       libjpeg-dev libtiff-dev libwebp-dev libgif-dev libopenjp2-7-dev libavif-dev libjxl-dev libheif-dev
       libavformat-dev libavcodec-dev libavfilter-dev libavutil-dev libarchive-dev zlib1g-dev libcurl4-openssl-dev
       libpango1.0-dev libtesseract-dev tesseract-ocr libmicrohttpd-dev)
tests=(g++ check libsubunit-dev mesa-vulkan-drivers vulkan-validationlayers spirv-tools python3 python3-dev python3-venv
       python3-pil libjpeg-turbo-progs libavif-bin libjxl-tools libheif-examples groff-base mandoc zsh fish dpkg-dev file fonts-dejavu-core)
optional=(clang-format-14 libfftw3-dev) # not in every release; tests leave out what needs it
packaging=(dpkg-dev file)

goal=${1:-}
case "$goal" in
demo) wanted=("${build[@]}") ;;
package) wanted=("${build[@]}" "${packaging[@]}") ;;
check) wanted=("${build[@]}" "${tests[@]}") ;;
*) echo "usage: $0 demo|check|package" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install-deps: no apt-get here; these Debian packages are needed: ${wanted[*]}" >&2
    exit 0 # they may be there under other names; CMake will say what is missing
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }
missing=()
for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
done
# Asked before the packages are listed and after: an empty machine knows of none before.
add_optional() {
    [ "$goal" = check ] || return 0
    for package in "${optional[@]}"; do
        if ! installed "$package" && [[ " ${missing[*]} " != *" $package "* ]] &&
            apt-cache show "$package" >/dev/null 2>&1; then
            missing+=("$package")
        fi
    done
}
add_optional
if [ ${#missing[@]} -eq 0 ]; then
    echo "install-deps: everything is installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps: neither root nor sudo; as root run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install-deps: installing with ${as_root[*]:+sudo }apt-get: ${missing[*]}"
quiet=(-q -y --no-install-recommends -o Dpkg::Use-Pty=0)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -q update
add_optional
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install "${missing[@]}"
