#!/bin/bash
# SPDX-License-Identifier: MIT
# Outputs are whole or not there: kill -9 and Ctrl-C in the middle, full disks.
. "$(dirname "$0")/../support/cli.bash"

picture p.ppm 600 600 1
many=()
for i in $(seq 40); do many+=(p.ppm); done

# kill in the middle: at growing delays after the output was begun, until one kill came too late
middle=0
for delay in 0 0.1 0.3 0.6; do
    rm -f killed.tess .killed.tess.tmp-*
    "$TESSERA" encode "${many[@]}" -o killed.tess --device cpu -q 2>/dev/null &
    pid=$!
    for _ in $(seq 1000); do compgen -G '.killed.tess.tmp-*' >/dev/null && break; sleep 0.01; done
    sleep $delay
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    code=$? last="kill -9 $delay s after the output was begun"
    checks=$((checks + 1))
    if [ -e killed.tess ]; then
        "$TESSERA" info killed.tess >/dev/null 2>&1 || complain "$last: half a file under the final name"
        break
    fi
    code_is 137
    middle=$((middle + 1))
done
[ $middle -gt 0 ] || complain "no kill came while the output was written"
rm -f killed.tess .killed.tess.tmp-*

# Ctrl-C and SIGTERM: stops between steps, cleans up, says so
for signal in INT TERM; do
    # (background jobs of a script ignore SIGINT; python resets it)
    python3 - "$signal" "$TESSERA" encode "${many[@]}" -o stopped.tess --device cpu >stopped.txt 2>err <<'PY'
import glob, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while p.poll() is None and not glob.glob(".stopped.tess.tmp-*"):
    time.sleep(0.01)
p.send_signal(getattr(signal, "SIG" + sys.argv[1]))
print(p.wait())
PY
    code=$(cat stopped.txt) last="encode stopped by SIG$signal"
    code_is 130
    err_has '^tessera encode: '
    absent stopped.tess
    no_leftovers
    rm -f stopped.tess
done

# merge and split as well: what is complete stays, the rest is not there
python3 -c '
for i in range(30000):
    print("{\"key\": \"%d\", \"ids\": [%d, 2, 3, 4]}" % (i, i % 100))' >lines.jsonl
"$TESSERA" import lines.jsonl -o large.tess --from jsonl -k 100 --columns 4 -q || complain "import"
larges=()
for i in $(seq 20); do larges+=(large.tess); done
mkdir parts
for verb in merge split; do
    work=(merge "${larges[@]}" -o stopped.tess)
    pattern='.stopped.tess.tmp-*'
    [ $verb = merge ] || work=(split large.tess -o parts --items 2000) pattern='parts/large-00001.tess'
    python3 - "$pattern" "$TESSERA" "${work[@]}" >stopped.txt 2>err <<'PY'
import glob, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while p.poll() is None and not glob.glob(sys.argv[1]):
    time.sleep(0.001)
p.send_signal(signal.SIGINT)
print(p.wait())
PY
    code=$(cat stopped.txt) last="$verb stopped by SIGINT"
    code_is 130
    err_has "^tessera $verb: .*stopped"
    absent stopped.tess
    absent parts/large-00014.tess
    no_leftovers
done
for f in parts/*.tess; do "$TESSERA" info "$f" >/dev/null || complain "$f is not whole"; done

# full disks
fails 3 '/dev/full.*No space left' encode p.ppm -o /dev/full --device cpu
"$TESSERA" encode p.ppm -o p.tess --device cpu -q || complain "encode"
fails 3 '/dev/full.*No space left' decode p.tess -o /dev/full --device cpu
"$TESSERA" encode p.ppm -o - --device cpu >/dev/full 2>err
code=$? last="encode -o - > /dev/full"
code_is 3
err_has 'No space left'
"$TESSERA" decode p.tess -o - --device cpu >/dev/full 2>err
code=$? last="decode -o - > /dev/full"
code_is 3
err_has 'No space left'
finish
