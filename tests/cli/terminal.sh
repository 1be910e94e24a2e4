#!/bin/bash
# SPDX-License-Identifier: MIT
# On a terminal stderr shows a bar with rate and time left and cleans it up; -q and pipes are silent. And
# how loud -v, -vv, -q and -qq are.
. "$(dirname "$0")/../support/cli.bash"

picture p.ppm 600 600 1
many=()
for i in $(seq 24); do many+=(p.ppm); done
on_terminal() { # the program's stderr is a terminal; what it showed comes to `shown`
    python3 - "$TESSERA" "$@" >shown <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    if os.environ.get("COLUMNS_OF_TERMINAL"):
        import fcntl, struct, termios
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(os.environ["COLUMNS_OF_TERMINAL"]), 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
data = b""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    data += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(data)
PY
    last="on a terminal: tessera ${*: -4}"
}
on_terminal encode "${many[@]}" -o many.tess --device cpu
checks=$((checks + 1))
grep -qaE 'encode \[[#.]{24}\] [0-9]+/24  [0-9.e+]+/s' shown || complain "$last: no bar: $(head -c 300 shown | od -c | head -5)"
grep -qa $'\033\\[K' shown || complain "$last: the bar is not cleared"
grep -qaE 'ETA [0-9]+:[0-9]{2}' shown || complain "$last: no time left"
grep -qa 'many.tess: 24 pictures' shown || complain "$last: no summary"
for columns in 40 30 20 12 5; do
    COLUMNS_OF_TERMINAL=$columns on_terminal encode "${many[@]}" -o many.tess --device cpu -f
    checks=$((checks + 1))
    longest=$(tr '\r' '\n' <shown | sed 's/\x1b\[K//' | grep -a '^enc' | awk '{ if (length > n) n = length } END { print n + 0 }')
    [ "$longest" -gt 0 ] && [ "$longest" -lt $columns ] || complain "$last: $longest columns of $columns"
    [ $columns -lt 40 ] || grep -qaE 'encode \[[#.]{4,}\] [0-9]+/24  [0-9.e+]+/s' shown || complain "$last: no bar in 40 columns"
done
on_terminal encode "${many[@]}" -o many.tess --device cpu -q -f
[ ! -s shown ] || complain "$last: -q is not silent: $(head -c 300 shown)"

run encode p.ppm -o p.tess --device cpu
code_is 0
is "lines of summary in a pipe" 2 "$(wc -l <err)"
grep -q $'\r' err && complain "a bar in a pipe"
run encode p.ppm -o p.tess --device cpu -v -f
is "-v names the device" 1 "$(grep -c '^tessera encode: device cpu' err)"
run encode p.ppm -o p.tess --device cpu -q -f
err_empty
run encode nothere.ppm -f -o p.tess --device cpu -q
code_is 3
err_has 'nothere.ppm'
run encode nothere.ppm -f -o p.tess --device cpu -qq
code_is 3
err_empty
run encode nothere.ppm -f -o p.tess --device cpu -qq --json
code_is 3
err_empty
json_ok
finish
