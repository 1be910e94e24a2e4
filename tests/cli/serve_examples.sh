#!/bin/bash
# SPDX-License-Identifier: MIT
# The examples of docs/SERVE.md, as they stand there: each line that begins with curl or echo, at a server of its own.
. "$(dirname "$0")/../support/cli.bash"
grep -q '^features .*+serve' <("$TESSERA" --version) || skip "this build was made without libmicrohttpd"
command -v curl >/dev/null || skip "no curl"

picture photo.ppm 300 200
run encode photo.ppm -o photo.tess --device cpu -q
run decode photo.tess -o photo.png --device cpu -q
rm photo.tess
TESSERA_SERVE_TOKEN='' "$TESSERA" serve --port 0 --json --device cpu >info 2>log && exit 1
grep -q "token: wanted 8 to 256" log || complain "an empty token: got $(cat log)"
"$TESSERA" serve --port 0 --json --device cpu >info 2>log &
server=$!
for _ in $(seq 300); do
    grep -q '^}' info && break
    sleep 0.1
done
URL=$(python3 -c 'import json; print(json.load(open("info"))["url"].rstrip("/"))') || exit 1
sed -n '/^```sh$/,/^```$/p' "$SOURCE/docs/SERVE.md" | grep -E '^(curl|echo) ' >examples
is "examples" 10 "$(wc -l <examples)"
while IFS= read -r line; do
    checks=$((checks + 1))
    printf '%s\n' "${line//curl -s/curl -sS --fail-with-body}" >one
    . ./one >"answer" 2>"said" || complain "$line: exit code $?; $(head -c 300 said answer)"
    [ ! -s said ] || complain "$line: $(head -c 300 said)"
    case "$line" in
    */health*) json_like='"status": "ok"' ;;
    */metrics*) json_like='tessera_model_info' ;;
    *"-o "*) continue ;;
    *) json_like='"token_count": ' ;;
    esac
    grep -q "$json_like" answer || complain "$line: wanted $json_like, got $(head -c 300 answer)"
done <examples
# What the examples have written.
cmp -s photo.tess <("$TESSERA" encode photo.png -o - --device cpu -q) || complain "photo.tess: wanted the command line's bytes"
for file in back.png coarse.png few.png; do
    is "$file" 89504e470d0a1a0a "$(head -c 8 $file | od -An -tx1 | tr -d ' \n')"
done
kill $server
wait $server
is "exit code of the server" 0 $?
finish
