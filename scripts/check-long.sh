#!/bin/bash
# SPDX-License-Identifier: MIT
# What takes long and needs heavy libraries: data sets that `tessera export` writes, read back by
# mosaicml-streaming and datatrove (several GB from a package index, kept in the build folder).
#   check-long.sh [BUILD-FOLDER]        default build/release, which must have the program
# PYTHON names an interpreter that has the libraries already. Exit 77 where they are not to be had.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$(cd "${1:-build/release}" && pwd) || exit 2
[ -x "$build/tessera" ] || { echo "check-long: no $build/tessera" >&2; exit 2; }
export TESSERA=$build/tessera SOURCE=$PWD
venv=$build/heavy-libraries
python=${PYTHON:-$venv/bin/python3}
if [ -z "${PYTHON:-}" ] && ! [ -f "$venv/complete" ]; then
    rm -rf "$venv"
    { python3 -m venv "$venv" && "$python" -m pip install -q mosaicml-streaming datatrove && touch "$venv/complete"; } ||
        { echo "skipped: no mosaicml-streaming and datatrove from a package index"; exit 77; }
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" && "$python" -B "$SOURCE/tests/support/dataset_cases.py" libraries heavy
