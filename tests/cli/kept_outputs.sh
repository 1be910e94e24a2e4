#!/bin/bash
# SPDX-License-Identifier: MIT
# What exists is not replaced unless -f says so, whichever verb writes; inputs never are. A terminal is
# asked, and gets no bytes.
. "$(dirname "$0")/../support/cli.bash"

picture p.ppm 64 48 1
picture q.ppm 40 40 2
run encode p.ppm q.ppm -o two.tess --device cpu -q
code_is 0
run encode p.ppm -o p.tess --device cpu -q
code_is 0
python3 - <<'PY'
import struct
values = [(i * 37 % 101) / 101 for i in range(64 * 4)]
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 4), }"
header += " " * (64 - (len(header) + 11) % 64) + "\n"
open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<256f", *values))
PY
run codebook train x.npy -k 4 -o c.safetensors --device cpu -q
code_is 0

# kept FILE VERB...: the verb is refused with exit code 3, says the way out, and leaves FILE as it was;
# with -f it is replaced
kept() {
    local file=$1
    shift
    echo before >"$file"
    fails 3 "^tessera [a-z ]*: output exists: $file; -f replaces it$" "$@"
    is "$file after $last" before "$(cat "$file")"
    run "$@" --json
    code_is 3
    json_ok
    is "name of the failure" TSR_ERROR_EXISTS "$(json 'd["error"]["name"]')"
    is "$file after $last" before "$(cat "$file")"
    run "$@" -f -q
    code_is 0
    [ "$(head -c 6 "$file" | tr -d '\0')" != before ] || complain "$last: $file was not replaced"
    no_leftovers
}
kept out.tess encode p.ppm -o out.tess --device cpu
kept p.tess2 encode p.ppm -o p.tess2 --device cpu
kept out.png decode p.tess -o out.png --device cpu
built_with JPEG && kept out.jpg decode p.tess -o out.jpg --device cpu
kept cut.tess cut p.tess -k 4 -o cut.tess
kept sheet.png sheet p.ppm -o sheet.png -k 4 --device cpu
kept c2.safetensors codebook train x.npy -k 4 -o c2.safetensors --device cpu
kept ids.npy codebook assign x.npy -c c.safetensors -o ids.npy --device cpu
kept conv.safetensors model convert c.safetensors conv.safetensors
# without -o
echo before >q.tess
fails 3 'output exists: q.tess; -f replaces it$' encode q.ppm --device cpu
echo before >p.png
fails 3 'output exists: p.png; -f replaces it$' decode p.tess --device cpu
run encode q.ppm --device cpu -f -q
code_is 0
run info q.tess
code_is 0
# before the work begins: also before an input is missed
fails 3 'output exists: q.tess' encode nothere.ppm -o q.tess --device cpu
# links, also those that lead nowhere
ln -s q.tess link.tess
fails 3 'output exists: link.tess' encode p.ppm -o link.tess --device cpu
ln -s nowhere.tess dangling.tess
fails 3 'output exists: dangling.tess' encode p.ppm -o dangling.tess --device cpu
absent nowhere.tess

# an output that appears meanwhile stays, and what was encoded is kept beside it
mkfifo pipe
"$TESSERA" encode pipe -o late.tess --device cpu >out 2>err &
exec 7>pipe
for _ in $(seq 500); do compgen -G '.late.tess.tmp-*' >/dev/null && break; sleep 0.01; done
echo before >late.tess
cat p.ppm >&7
exec 7>&-
wait $!
code=$? last="encode while its output appears"
code_is 3
err_has 'output exists: late.tess: .*the pictures that were done \(1\) are kept as late.partial.tess'
is "the file that appeared" before "$(cat late.tess)"
run info late.partial.tess
code_is 0
no_leftovers

# a folder of pictures: what is there is said before the first is decoded, and kept
mkdir pictures
echo before >pictures/q.png
fails 3 'output exists: pictures/q.png: .*; -f replaces it$' decode two.tess -o pictures --device cpu
is "the picture that was there" before "$(cat pictures/q.png)"
absent pictures/p.png
run decode two.tess -o pictures/ --format ppm --device cpu -q
code_is 0
is "beside it" "p.ppm q.png q.ppm" "$(echo $(ls pictures))"
fails 3 'output exists: pictures/p.ppm and 1 more: ' decode two.tess -o pictures --format ppm --device cpu
run decode two.tess -o pictures -f -q --device cpu
code_is 0
is "replaced" 89504e47 "$(head -c 4 pictures/q.png | od -An -tx1 | tr -d ' ')"
mkdir case
cp p.tess case/p.png # the token file stands where its picture would go
fails 2 'case/p.png' decode case/p.png -o case --device cpu -f
cmp -s p.tess case/p.png || complain "the input was overwritten"

# inputs, with -f, too
input_stays() { # FILE VERB...
    local file=$1
    shift
    cp "$file" copy
    fails 2 "$file: .*not (the|an) input" "$@" -f
    cmp -s "$file" copy || complain "$last: the input was overwritten"
}
cp c.safetensors model.safetensors
input_stays p.ppm encode p.ppm -o p.ppm --device cpu
input_stays model.safetensors encode p.ppm -t model.safetensors -o model.safetensors --device cpu
input_stays x.npy encode p.ppm --noise x.npy -o x.npy --device cpu
input_stays p.tess decode p.tess -o p.tess --device cpu
input_stays model.safetensors decode p.tess -t model.safetensors -o model.safetensors --device cpu
input_stays p.tess cut p.tess -k 2 -o p.tess
input_stays q.ppm sheet p.ppm q.ppm -o q.ppm -k 4 --device cpu
input_stays x.npy codebook train x.npy -k 2 -o x.npy --device cpu
input_stays c.safetensors codebook assign x.npy -c c.safetensors -o c.safetensors --device cpu
input_stays c.safetensors model convert c.safetensors c.safetensors

# on a terminal: asked ANSWER VERB...; what was shown comes to `shown`
asked() {
    python3 - "$TESSERA" "$@" >shown <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1]] + sys.argv[3:])
data, answered = b"", False
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    data += part
    if b"(y/N) " in data and not answered:
        os.write(fd, sys.argv[2].encode() + b"\n")
        answered = True
sys.stdout.buffer.write(data)
sys.stdout.flush()
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
    code=$? last="on a terminal, answered '$1': tessera ${*:2}"
    : >err
}
echo before >asked.tess
asked n encode p.ppm -o asked.tess --device cpu
code_is 3
is "asked" 1 "$(grep -ac '^tessera encode: asked.tess exists; replace it? (y/N) ' shown)"
is "after no" before "$(cat asked.tess)"
asked '' encode p.ppm -o asked.tess --device cpu
code_is 3
is "after nothing" before "$(cat asked.tess)"
asked y encode p.ppm -o asked.tess --device cpu
code_is 0
run info asked.tess
code_is 0
asked y encode p.ppm -o - --device cpu
code_is 2
is "no bytes for a terminal" 1 "$(grep -ac 'wanted a file or a pipe, got a terminal; -f writes to it' shown)"
asked y decode p.tess -o /dev/tty --device cpu
code_is 2
asked y cut p.tess -k 1 -o - -f
code_is 0
grep -qa TESS shown || grep -qa 'HEAD' shown || complain "$last: no bytes came"
finish
