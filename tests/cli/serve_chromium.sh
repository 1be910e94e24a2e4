#!/bin/bash
# SPDX-License-Identifier: MIT
# The page of `tessera serve` in a real browser: what scripts/serve-shots.py looks for.
. "$(dirname "$0")/../support/cli.bash"
grep -q '^features .*+serve' <("$TESSERA" --version) || skip "this build was made without libmicrohttpd"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    [ -n "${CHROMIUM:-}" ] || skip "no Chromium here (Debian: chromium)"

"$TESSERA" serve --port 0 --json --device cpu >info 2>log &
server=$!
for _ in $(seq 300); do
    grep -q '^}' info && break
    sleep 0.1
done
url=$(python3 -c 'import json; print(json.load(open("info"))["url"])') || exit 1
timeout 300 python3 -B "$SOURCE/scripts/serve-shots.py" "$url" >seen 2>&1
code=$?
is "serve-shots.py: exit code; $(grep -v '^ok' seen | head -5)" 0 $code
is "what was looked at" 41 "$(grep -c '^ok' seen)"
kill $server
wait $server
is "exit code of the server" 0 $?
finish
