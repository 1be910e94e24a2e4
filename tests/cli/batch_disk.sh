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

# videos: the clips that were whole stay
built_with video || finish
umount small
mount -t tmpfs -o size=40k none small
mkdir films
python3 - <<'PY'
import random
random.seed(7)
for name in "abcdefgh":
    with open("films/%s.y4m" % name, "wb") as f:
        f.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
        for t in range(12):
            f.write(b"FRAME\n" + bytes(random.randrange(256) for _ in range(64 * 48)) + bytes([128] * (2 * 24 * 32)))
PY
run batch films -o small/clips --device cpu
code_is 3
err_has 'No space left'
made=$(find small/clips -name '*.tess' | wc -l)
checks=$((checks + 1))
[ "$made" -gt 0 ] && [ "$made" -lt 8 ] || complain "wanted some clips of 8, got $made"
is "hidden files beside clips" "" "$(ls -A small/clips | grep '^\.')"
for f in small/clips/*.tess; do "$TESSERA" info "$f" >/dev/null || complain "$f is not whole"; done
mount -o remount,size=4m small
run batch films -o small/clips --device cpu --json
code_is 0
is "clips done before the disk was full, and made" "$made $((8 - made))" "$(json '"%d %d" % (d["done_before"], d["made"])')"
finish
