#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that is full in the middle of a batch: the shards before stay, nothing half-done is left, and
# with room the run goes on.
. "$(dirname "$0")/../support/cli.bash"

[ "$(id -u)" = 0 ] || skip "a tiny file system: needs root"
mkdir small in
mount -t tmpfs -o size=64k none small 2>/dev/null || skip "a tiny file system: root may not mount one"
trap 'umount "$here/small"; rm -rf "$here"' EXIT
for i in $(seq 1 60); do picture in/p$i.ppm 60 40 "$i"; done
run batch in -o small/shards --shard-size 3 --device cpu
code_is 3
err_has 'No space left'
made=$(find small/shards -name '*.tess' | wc -l)
checks=$((checks + 1))
[ "$made" -gt 2 ] && [ "$made" -lt 20 ] || complain "wanted some shards of 20, got $made"
is "shards in the manifest" "$made" "$(wc -l <small/shards/manifest.jsonl)"
is "hidden files" "" "$(ls -A small/shards | grep '^\.')"
mount -o remount,size=4m small
run batch in -o small/shards --shard-size 3 --device cpu --json
code_is 0
is "done before the disk was full" "$made" "$(json 'd["done_before"]')"
run batch in -o whole --shard-size 3 --device cpu
code_is 0
for f in whole/*.tess; do
    checks=$((checks + 1))
    cmp -s "$f" "small/shards/${f#whole/}" || complain "small/shards/${f#whole/} differs"
done
finish
