#!/bin/bash
# SPDX-License-Identifier: MIT
# What export writes, read by the formats' own libraries: numpy, webdataset, safetensors, from a package
# index into a folder of the build. PYTHON names an interpreter that has them already.
. "$(dirname "$0")/../support/cli.bash"
venv=$BUILD/dataset-libraries
python=${PYTHON:-$venv/bin/python3}
if [ -z "${PYTHON:-}" ] && ! [ -f "$venv/complete" ]; then
    rm -rf "$venv"
    { python3 -m venv "$venv" && "$python" -m pip install -q numpy webdataset safetensors &&
        touch "$venv/complete"; } >log 2>&1 ||
        skip "no numpy, webdataset and safetensors from a package index"
fi
exec "$python" -B "$SOURCE/tests/support/dataset_cases.py" libraries light
