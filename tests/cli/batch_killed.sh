#!/bin/bash
# SPDX-License-Identifier: MIT
# A run that is killed at any moment and started again ends with the bytes of an undisturbed one;
# one rank has one process; Ctrl-C leaves nothing half-done.
. "$(dirname "$0")/../support/cli.bash"

mkdir in
for i in $(seq 1 30); do picture in/p$i.ppm 60 40 "$i"; done
echo nothing >in/p31.ppm
job=(batch in --shard-size 4 -k 8 --device cpu -q)
"$TESSERA" "${job[@]}" -o whole 2>err
code=$? last="batch"
code_is 1

# moments: a little after the k-th shard, of 0 to 7, stands there; 20 of them, on runs that go on and new ones
# (8 under a sanitizer, where a run takes ten times as long)
kills=0
for i in $(seq 1 $([ -n "${ASAN_OPTIONS:-}" ] && echo 8 || echo 20)); do
    [ ! -e killed/000006.tess ] || rm -rf killed
    stand=$(find killed -name '*.tess' 2>/dev/null | wc -l)
    "$TESSERA" "${job[@]}" -o killed 2>/dev/null &
    pid=$!
    for _ in $(seq 2000); do
        [ "$(find killed -name '*.tess' 2>/dev/null | wc -l)" -lt $((stand + i % 3)) ] || break
        kill -0 $pid 2>/dev/null || break
        sleep 0.002
    done
    sleep "0.0$((i * 7 % 30 + 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ $? != 137 ] || kills=$((kills + 1))
done
"$TESSERA" "${job[@]}" -o killed 2>err
code=$?
checks=$((checks + 1))
[ $code -le 1 ] || complain "batch after the kills: exit code $code: $(cat err)"
[ $kills -ge 3 ] || complain "wanted 3 kills or more that came in time, got $kills"
is "files" "$(ls -A whole)" "$(ls -A killed)"
for f in whole/*.tess whole/errors.jsonl whole/job.json; do
    checks=$((checks + 1))
    cmp -s "$f" "killed/${f#whole/}" || complain "killed/${f#whole/} differs from $f"
done
is "shards in the manifest" "$(cut -d, -f1 whole/manifest.jsonl)" "$(cut -d, -f1 killed/manifest.jsonl | sort -u)"

# a line that a killed process left unfinished is ended, and its shard is made again
printf '{"shard":"000007.te' >>killed/manifest.jsonl
sed -i '/000003/d' killed/manifest.jsonl
run batch in --shard-size 4 -k 8 --device cpu -o killed --json
is "shards made after the torn line" "7 1" "$(json 'd["done_before"], d["made"]' | tr -d '(),')"
cmp -s whole/000003.tess killed/000003.tess || complain "000003.tess differs after the torn line"

# two processes of one rank
python3 - killed/.rank-0.lock "$TESSERA" batch in --shard-size 4 -k 8 --device cpu -o killed >code.txt 2>err <<'PY'
import fcntl, subprocess, sys
with open(sys.argv[1], "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print(subprocess.run(sys.argv[2:]).returncode)
PY
code=$(cat code.txt) last="a second process of rank 0"
code_is 2
err_has 'killed: rank 0: wanted nobody at work on it, got a process that is'

# Ctrl-C
for signal in INT TERM; do
    rm -rf stopped
    python3 - "$signal" "$TESSERA" "${job[@]}" -o stopped >code.txt 2>err <<'PY'
import glob, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while p.poll() is None and not glob.glob("stopped/*.tess"):
    time.sleep(0.002)
p.send_signal(getattr(signal, "SIG" + sys.argv[1]))
print(p.wait())
PY
    code=$(cat code.txt) last="batch stopped by SIG$signal"
    checks=$((checks + 1))
    [ "$code" = 130 ] || [ "$code" = 1 ] || complain "$last: exit code $code: $(cat err)"
    is "hidden files after SIG$signal" "" "$(ls -A stopped | grep '^\.')"
done
"$TESSERA" "${job[@]}" -o stopped 2>/dev/null
for f in whole/*.tess; do cmp -s "$f" "stopped/${f#whole/}" || complain "stopped/${f#whole/} differs"; done
finish
