#!/bin/bash
# SPDX-License-Identifier: MIT
# Outputs are whole or not there: kill -9 and Ctrl-C in the middle, full disks, folders one may not
# write to.
. "$(dirname "$0")/../support/cli.bash"

picture p.ppm 600 600 1
many=()
for i in $(seq 40); do many+=(p.ppm); done

# kill in the middle: at growing delays, until one kill came too late
for delay in 0.05 0.2 0.5 1; do
    rm -f killed.tess
    "$TESSERA" encode "${many[@]}" -o killed.tess --device cpu -q 2>/dev/null &
    pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null && wait $pid 2>/dev/null
    code=$? last="kill -9 after $delay s"
    checks=$((checks + 1))
    if [ -e killed.tess ]; then
        "$TESSERA" info killed.tess >/dev/null 2>&1 || complain "$last: half a file under the final name"
        break
    fi
done
rm -f killed.tess
find . -name '.*tmp*' -delete

# Ctrl-C and SIGTERM: stops between steps, cleans up, says so
for signal in INT TERM; do
    # (background jobs of a script ignore SIGINT; python resets it)
    python3 - "$signal" "$TESSERA" encode "${many[@]}" -o stopped.tess --device cpu >stopped.txt 2>err <<'PY'
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
time.sleep(0.4)
if p.poll() is None:
    p.send_signal(getattr(signal, "SIG" + sys.argv[1]))
print(p.wait())
PY
    code=$(cat stopped.txt) last="encode stopped by SIG$signal"
    if [ "$code" = 0 ]; then
        echo "skipped: SIG$signal: encode was done before it came"
    else
        code_is 130
        err_has '^tessera encode: '
        absent stopped.tess
        no_leftovers
    fi
    rm -f stopped.tess
done

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
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=16k none small 2>/dev/null; then
    trap 'umount "$here/small"; rm -rf "$here"' EXIT
    fails 3 'small/x.png.*No space left' decode p.tess -o small/x.png --device cpu
    absent small/x.png
    no_leftovers small
    echo before >small/old.png
    fails 3 'small/old.png.*No space left' decode p.tess -o small/old.png --device cpu
    is "the older file" before "$(cat small/old.png)"
    no_leftovers small
else
    echo "skipped: a tiny file system: needs root and mount"
fi

# not writable
mkdir locked
chmod a-w locked
if [ "$(id -u)" = 0 ]; then
    if setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null && chmod a+rx "$here"; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$TESSERA" encode p.ppm -o locked/x.tess --device cpu >out 2>err </dev/null
        code=$? last="encode into a locked folder as nobody"
        if [ "$code" = 126 ] || [ "$code" = 127 ]; then
            echo "skipped: a locked folder: nobody may not run $TESSERA"
        else
            code_is 3
            err_has 'locked/x.tess.*Permission denied'
        fi
    else
        echo "skipped: a locked folder: root may write everywhere"
    fi
else
    fails 3 'locked/x.tess.*Permission denied' encode p.ppm -o locked/x.tess --device cpu
fi
finish
