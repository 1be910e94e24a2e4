#!/bin/bash
# SPDX-License-Identifier: MIT
# What needs heavy libraries: data sets that `tessera export` writes, read back by mosaicml-streaming and
# datatrove, with PyTorch. Debian's python3-torch, python3-torchvision and python3-numpy are used where
# they are installed (`apt-get install` brings them); the rest comes from a package index, without what
# these libraries have for clouds, into the build folder.
#   check-long.sh [BUILD-FOLDER]        default build/release, which must have the program
# PYTHON names an interpreter that has the libraries already. Exit 77 where they are not to be had.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$(cd "${1:-build/release}" && pwd) || exit 2
[ -x "$build/tessera" ] || { echo "check-long: no $build/tessera" >&2; exit 2; }
export TESSERA=$build/tessera SOURCE=$PWD
venv=$build/heavy-libraries
python=${PYTHON:-$venv/bin/python3}
packages=(mosaicml-streaming datatrove 'transformers<4.50' huggingface_hub==0.30.2 tokenizers==0.21.0 regex
    pyyaml tqdm requests urllib3 certifi charset_normalizer idna filelock packaging xxhash zstd Brotli cramjam
    python-snappy fsspec loguru dill multiprocess humanize rich typing_extensions safetensors catalogue)
if [ -z "${PYTHON:-}" ] && ! [ -f "$venv/complete" ]; then
    rm -rf "$venv"
    debian=/usr/bin/python3 # torch of an index brings gigabytes for GPUs
    "$debian" -c 'import torch, torchvision, numpy' 2>/dev/null ||
        { echo "skipped: no python3-torch, python3-torchvision and python3-numpy"; exit 77; }
    { "$debian" -m venv --system-site-packages "$venv" &&
        "$python" -m pip install -q --no-deps "${packages[@]}" && touch "$venv/complete"; } ||
        { echo "skipped: no mosaicml-streaming and datatrove from a package index"; exit 77; }
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" && "$python" -B "$SOURCE/tests/support/dataset_cases.py" libraries heavy
