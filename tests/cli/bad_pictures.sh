#!/bin/bash
# SPDX-License-Identifier: MIT
# Bad pictures among many: found by their headers before anything is encoded, skipped when asked; what
# was done is kept, also after Ctrl-C.
. "$(dirname "$0")/../support/cli.bash"

for i in 1 2 3 4; do picture g$i.ppm 48 48 $i; done
run encode g1.ppm -o g1.tess --device cpu -q
run decode g1.tess -o good.png --device cpu -q
code_is 0
head -c $(($(stat -c %s good.png) - 40)) good.png >late.png # its header is whole
echo text >text.png
: >empty.png
mkdir folder.png
bad="text.png empty.png folder.png nothere.png"
keys() { "$TESSERA" info "$1" --json | python3 -c 'import json,sys; print(*[i["key"] for i in json.load(sys.stdin)["items"]])'; }

# stop: all are listed, nothing is encoded, the code is that of the first
run encode g1.ppm text.png g2.ppm empty.png folder.png nothere.png -o x.tess --device cpu
code_is 4
for name in $bad; do is "$name is named" 1 "$(grep -c "^tessera encode: [a-z ]*: $name: " err)"; done
is "last line" 1 "$(tail -1 err | grep -c '4 of 6 inputs are bad, nothing was encoded; the first: text.png: ')"
is "lines" 5 "$(wc -l <err)"
absent x.tess
absent x.partial.tess
run encode g1.ppm nothere.png text.png -o x.tess --device cpu
code_is 3
fails 4 '^tessera encode: malformed data: text.png: wanted a picture' encode g1.ppm text.png g2.ppm -o x.tess --device cpu
absent x.partial.tess
run encode g1.ppm text.png empty.png -o x.tess --device cpu -qq
code_is 4
err_empty
# what cannot be is said first
fails 2 'tokens: wanted 1 to 256, got 257' encode text.png nothere.png -o x.tess -k 257 --device cpu

# skip: the good ones, in order, and code 1
run encode g1.ppm text.png g2.ppm late.png nothere.png g3.ppm -o skip.tess --on-error skip --device cpu
code_is 1
for name in text.png late.png nothere.png; do is "$name is said" 1 "$(grep -c "^tessera encode: .*: $name: " err)"; done
is "summary" 1 "$(grep -c '^3 pictures were left out' err)"
is "items" "g1.ppm g2.ppm g3.ppm" "$(keys skip.tess)"
run encode g1.ppm g2.ppm g3.ppm -o all.tess --device cpu -q
cmp -s all.tess skip.tess || complain "skipping changed the file"
run encode g1.ppm text.png late.png -o skip.tess --on-error skip --device cpu --json -f
code_is 1
json_ok
is "failed" "2 1" "$(json '"%d %d" % (d["failed"], d["pictures"])')"
is "failures" "text.png:TSR_ERROR_FORMAT late.png:TSR_ERROR_TRUNCATED" "$(json '" ".join(f["input"] + ":" + f["name"] for f in d["failures"])')"
run encode g1.ppm g2.ppm -o skip.tess --on-error skip --device cpu --json -f
code_is 0
is "none failed" "0 False" "$(json '"%d %s" % (d["failed"], "failures" in d)')"
run encode text.png late.png -o none.tess --on-error skip --device cpu
code_is 4
absent none.tess
no_leftovers
# a picture that is too large for its kind of tokens is skipped alone, out of its group
python3 -c 'import sys; sys.stdout.buffer.write(b"P5\n60000 1\n255\n" + bytes(60000))' >wide.pgm
run encode g1.ppm wide.pgm g2.ppm -o fit.tess --fit crop --on-error skip --device cpu
code_is 1
is "too large once it is fitted" 1 "$(grep -c 'wide.pgm: size after fitting: wanted at most' err)"
is "the others of its group" "g1.ppm g2.ppm" "$(keys fit.tess)"
run encode g1.ppm g2.ppm -o fitted.tess --fit crop --device cpu -q
cmp -s fit.tess fitted.tess || complain "trying one by one changed the file"
fails 2 "^tessera encode: --on-error: wanted stop or skip, got 'ignore'" encode g1.ppm -o x.tess --on-error ignore

# found late: what was done is kept, whole, and named; a kept file is not replaced either
fails 4 'late.png: .*; the pictures that were done \(2\) are kept as part.partial.tess$' encode g1.ppm g2.ppm late.png g3.ppm -o part.tess --device cpu
absent part.tess
is "kept" "g1.ppm g2.ppm" "$(keys part.partial.tess)"
run info part.partial.tess
code_is 0
fails 4 'kept as part.partial-2.tess$' encode g1.ppm late.png -o part.tess --device cpu
is "kept before" "g1.ppm g2.ppm" "$(keys part.partial.tess)"
fails 4 'kept as part.partial.tess$' encode g1.ppm late.png -o part.tess --device cpu -f
is "with -f" "g1.ppm" "$(keys part.partial.tess)"
fails 4 'kept as name.bin.partial.tess$' encode g1.ppm late.png -o name.bin --device cpu
fails 4 'late.png: PNG: [^;]*$' encode late.png g1.ppm -o nothing.tess --device cpu
absent nothing.partial.tess
no_leftovers

# Ctrl-C: what was written so far is kept
many=()
for i in $(seq 120); do many+=(g1.ppm g2.ppm); done
stopped() { # PATTERN-OF-WHAT-TO-WAIT-FOR VERB...: SIGINT when it is there
    python3 - "$TESSERA" "$@" 2>err <<'PY' >stopped.txt
import glob, os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:2] + sys.argv[3:], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while p.poll() is None and not [f for f in glob.glob(sys.argv[2]) if os.path.getsize(f) > 400]:
    time.sleep(0.005)
p.send_signal(signal.SIGINT)
print(p.wait())
PY
    code=$(cat stopped.txt) last="stopped: $2"
}
picture big.ppm 700 700 5
many=()
for i in $(seq 60); do many+=(big.ppm); done
stopped '.int.tess.tmp-*' encode "${many[@]}" -o int.tess --device cpu
if [ "$code" = 0 ]; then
    leave_out "Ctrl-C in encode: it was faster"
else
    code_is 130
    absent int.tess
    err_has '^tessera encode: interrupted: int.tess: stopped by the caller; the pictures that were done \([0-9]+\) are kept as int.partial.tess$'
    done=$(sed -n 's/.*done (\([0-9]*\)).*/\1/p' err)
    is "as many as it says" "$done" "$(keys int.partial.tess | wc -w)"
fi
run encode "${many[@]:0:24}" -o some.tess --device cpu -q
stopped 'stop/*.png' decode some.tess -o stop/ --device cpu
if [ "$code" = 0 ]; then
    leave_out "Ctrl-C in decode: it was faster"
else
    code_is 130
    done=$(sed -n 's/.*; \([0-9]*\) of 24 pictures were done and stay$/\1/p' err)
    is "pictures that stay" "$done" "$(ls stop | wc -l)"
fi
no_leftovers
no_leftovers stop
finish
