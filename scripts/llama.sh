#!/bin/bash
# SPDX-License-Identifier: MIT
# Brings libllama for `tessera run --gguf` and for the tests that need a language model: the prebuilt
# CPU library of the npm package @node-llama-cpp/linux-x64 and the headers of the same version, from
# the source bundle inside node-llama-cpp. No package runs a script of its own, nothing is compiled
# unless "server" is asked for, nothing is installed into the system. Needs npm; "server" needs also
# cmake, ninja and a C++ compiler. npm's own configuration says where packages come from.
#   llama.sh [--to FOLDER | --user] [GOAL]
#     FOLDER   default build/llama of this tree, where the tests look; --user: the place where libtessera-runner
#              looks when nothing names a library ($XDG_CACHE_HOME or ~/.cache, /tessera/llama)
#     GOAL     library   FOLDER/lib and FOLDER/include (default)
#              server    also FOLDER/llama-server, built once: no web page, no TLS, little optimisation
#              where     prints the library's path; exit 1 when it is not there
# Prints the path of the library; TESSERA_LLAMA and --llama-library take it.
set -euo pipefail
version=3.22.1 # of both packages
tag=v0.5.0     # llama.cpp's own, in the names of its libraries
usage="usage: llama.sh [--to FOLDER | --user] [library | server | where]"

place=$(dirname "$0")/../build/llama
case "${1:-}" in
--to) place=${2:?$usage}; shift 2 ;;
--user) place=${XDG_CACHE_HOME:-$HOME/.cache}/tessera/llama; shift ;;
esac
goal=${1:-library}
case "$goal" in library | server | where) ;; *) echo "$usage" >&2; exit 2 ;; esac
place=$(realpath -m "$place")
library=$place/lib/libllama.$tag.so

if [ "$goal" = where ]; then
    [ -e "$library" ] || { echo "llama: $library is not there; scripts/llama.sh brings it" >&2; exit 1; }
    echo "$library"
    exit
fi
[ "$(uname -sm)" = "Linux x86_64" ] || {
    echo "llama: wanted Linux x86_64, for which the package is built, got $(uname -sm)" >&2
    exit 1
}

# A folder of its own for each run that is renamed when it is complete: an interrupted one leaves nothing.
mkdir -p "$place"
work=$(mktemp -d "$place/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
source=$place/source
if [ ! -e "$library" ] || [ ! -e "$place/include/llama.h" ] || { [ "$goal" = server ] && [ ! -d "$source" ]; }; then
    for tool in npm git; do
        command -v "$tool" >/dev/null || { echo "llama: wanted $tool, got none" >&2; exit 1; }
    done
    echo "llama: packages of version $version (about 70 MB unpacked)" >&2
    echo '{"private": true}' >"$work/package.json"
    npm install --prefix "$work" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error \
        "node-llama-cpp@$version" "@node-llama-cpp/linux-x64@$version" >&2
    bundle=$work/node_modules/node-llama-cpp/llama
    grep -q "\"$tag\"" "$bundle/binariesGithubRelease.json" || {
        echo "llama: wanted sources of $tag, got $(tr -d '\n' <"$bundle/binariesGithubRelease.json")" >&2
        exit 1
    }
    git clone -q -c advice.detachedHead=false "$bundle/gitRelease.bundle" "$work/source" 2>"$work/clone.log" ||
        { cat "$work/clone.log" >&2; exit 1; }
    mkdir -p "$work/lib" "$work/include"
    cp "$work"/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/*.so "$work/lib/"
    cp "$work"/node_modules/@node-llama-cpp/linux-x64/LICENSE "$work/lib/LICENSE"
    cp "$work"/source/include/llama.h "$work"/source/ggml/include/*.h "$work/include/"
    [ -e "$work/lib/libllama.$tag.so" ] || { echo "llama: the package has no libllama.$tag.so" >&2; exit 1; }
    rm -rf "$place/lib" "$place/include" "$source"
    mv "$work/include" "$work/source" "$place/"
    mv "$work/lib" "$place/lib"
fi

if [ "$goal" = server ] && [ ! -e "$place/llama-server" ]; then
    echo "llama: building llama-server (more than 5 minutes of two cores)" >&2
    nice cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
        -DCMAKE_C_FLAGS_RELEASE=-O2 -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_CCACHE=ON \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
        -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_SERVER=ON >"$place/server.log" 2>&1 &&
        nice cmake --build "$work/build" --target llama-server >>"$place/server.log" 2>&1 ||
        { tail -20 "$place/server.log" >&2; exit 1; }
    mv "$work/build/bin/llama-server" "$place/llama-server"
fi
[ "$goal" != server ] || echo "llama: $place/llama-server" >&2
echo "$library"
