#!/bin/bash
# SPDX-License-Identifier: MIT
# A virtual environment with packages from the index that pip is set up for: made once in FOLDER, kept
# while the list stays the same.
#   python_venv.sh FOLDER PACKAGE...     prints the path of its python
# Exit 77 with a line "skipped: why" where Python makes no environments or no index can be reached.
set -euo pipefail
folder=${1:?wanted a folder}
shift
python=$folder/bin/python
if [ -x "$python" ] && [ "$(cat "$folder/packages" 2>/dev/null)" = "$*" ] && "$python" -c '' 2>/dev/null; then
    echo "$python"
    exit 0
fi
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
log=$folder.log
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
if ! python3 -m venv "$folder" >"$log" 2>&1; then
    rm -rf "$folder"
    echo "skipped: python3 makes no virtual environments (python3-venv)"
    exit 77
fi
if ! "$python" -m pip install --quiet --disable-pip-version-check --retries 2 "$@" >"$log" 2>&1; then
    rm -rf "$folder"
    # What pip says when it sees no index; anything else is a fault of the list.
    if grep -qiE 'NewConnectionError|Connection(Reset|Refused)?Error|ConnectTimeout|ReadTimeout|name resolution|ProxyError|Network is unreachable|from versions: none' "$log"; then
        echo "skipped: no package index can be reached: $(grep -E '^ERROR' "$log" | tail -1)"
        exit 77
    fi
    cat "$log" >&2
    exit 1
fi
echo "$*" >"$folder/packages"
echo "$python"
