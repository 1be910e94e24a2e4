#!/bin/bash
# SPDX-License-Identifier: MIT
# Videos and kill -9: encode of a video, decode to one and a batch of videos are killed at growing times
# after they began to write. Nothing stands under the final name then, and a second run makes what an
# undisturbed one makes. MOMENTS=12 kills oftener and prints a line for each kill.
. "$(dirname "$0")/../support/cli.bash"
built_with video || skip "this build was made without FFmpeg"

moments=${MOMENTS:-3}
mkdir clips
python3 - <<'PY'
# noise over a slope that moves: every frame takes its time
import random
random.seed(7)
for name, frames in (("long", 40), ("clips/a", 12), ("clips/b", 12), ("clips/c", 12), ("clips/d", 12)):
    with open(name + ".y4m", "wb") as f:
        f.write(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
        for t in range(frames):
            f.write(b"FRAME\n" + bytes((x * 3 + y + 5 * t + random.randrange(40)) % 256 for y in range(48) for x in range(64)))
            f.write(bytes(128 for _ in range(2 * 24 * 32)))
PY

encode=(encode long.y4m --device cpu -q -f -o killed.tess)
decode=(decode whole.tess --device cpu -q -f -o killed.mp4)
batch=(batch clips --device cpu -q -o killed)
"$TESSERA" encode long.y4m --device cpu -q -o whole.tess || complain "encode"
"$TESSERA" decode whole.tess --device cpu -q -o whole.mp4 || complain "decode"
"$TESSERA" batch clips --device cpu -q -o whole || complain "batch"

# begun VERB SHARDS: the output is being written, and of a batch so many shards stand
begun() {
    case $1 in
    encode) compgen -G '.killed.tess*' >/dev/null ;;
    decode) compgen -G '.killed.mp4*' >/dev/null ;;
    batch) compgen -G 'killed/.*.tess*' >/dev/null && [ "$(stands batch | wc -l)" -ge "$2" ] ||
        { [ "$2" -gt 0 ] && [ "$(stands batch | wc -l)" -ge "$2" ]; } ;;
    esac
}

# what is there that a reader could take for the result
stands() {
    case $1 in
    encode) ls killed.tess 2>/dev/null ;;
    decode) ls killed.mp4 2>/dev/null ;;
    batch) ls killed 2>/dev/null | grep '\.tess$' ;;
    esac
}

# the times of all frames
times() {
    "$TESSERA" frames "$1" -q | awk '{print $1, $2}'
}
is "frames of the whole video" 41 "$(times whole.mp4 | wc -l)"

for verb in encode decode batch; do
    declare -n words=$verb
    in_time=0
    for i in $(seq 1 "$moments"); do
        rm -rf killed killed.* .killed.*
        delay=$(awk -v i="$i" -v n="$moments" 'BEGIN {printf "%.3f", 0.6 * (i - 1) / n * (i - 1) / n}')
        [ $verb != batch ] || delay=0.00$((i * 7 % 10))
        "$TESSERA" "${words[@]}" 2>/dev/null &
        pid=$!
        for _ in $(seq 3000); do
            begun $verb $((i % 4)) && break
            kill -0 $pid 2>/dev/null || break
            sleep 0.005
        done
        sleep "$delay"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        [ $? = 137 ] || continue # it was over before
        in_time=$((in_time + 1))
        checks=$((checks + 1))
        there=$(echo $(stands $verb))
        for f in $there; do # of a batch: each shard that stands is whole
            [ $verb = batch ] && cmp -s "killed/$f" "whole/$f" || complain "$verb killed after $delay s: half of $f stands under its name"
        done
        listed=$(cat killed/manifest.jsonl 2>/dev/null | wc -l)
        hidden=$(echo $(ls -A | grep '^\.killed'; ls -A killed 2>/dev/null | grep '^\..*tess'))
        run "${words[@]}" --json
        code_is 0
        again=$(stands $verb | wc -l)
        case $verb in
        encode) cmp -s killed.tess whole.tess || complain "encode after a kill at $delay s: other bytes" ;;
        decode) [ "$(times killed.mp4)" = "$(times whole.mp4)" ] || complain "decode after a kill at $delay s: other frames" ;;
        batch)
            # a kill between a shard's name and its line in the manifest: that one shard is made again
            [ $(($(wc -w <<<"$there") - listed)) -le 1 ] || complain "$listed lines for shards $there"
            is "shards done before, and made" "$listed $((4 - listed))" \
                "$(json '"%d %d" % (d["done_before"], d["made"])')"
            for f in whole/*.tess; do cmp -s "$f" "killed/${f#whole/}" || complain "batch after a kill at $delay s: $f"; done
            is "hidden files" "" "$(ls -A killed | grep '^\..*tess')"
            ;;
        esac
        [ -z "${MOMENTS:-}" ] || echo "| $verb | $delay s | ${there:-nothing} | ${hidden:-nothing} | $again whole |"
    done
    [ $in_time -gt 0 ] || complain "$verb: no kill came in time"
done
finish
