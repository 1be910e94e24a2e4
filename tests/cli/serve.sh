#!/bin/bash
# SPDX-License-Identifier: MIT
# `tessera serve`: ids and pictures as the command line makes them, for 64 clients at once too; and what is said to
# requests that are none.
. "$(dirname "$0")/../support/cli.bash"
grep -q '^features .*+serve' <("$TESSERA" --version) || skip "this build was made without libmicrohttpd"
for part in good bad stop; do
    checks=$((checks + 1))
    python3 -B "$SOURCE/tests/support/serve_cases.py" $part || complain "serve_cases.py $part"
done
fails 2 "^tessera serve: --port: wanted a whole number from 0 to 65535, got '99999'" serve --port 99999
fails 3 "^tessera serve: not found: .*none.safetensors: wanted a file, a folder or the name of a published model" serve --port 0 -t "$here/none.safetensors"
finish
