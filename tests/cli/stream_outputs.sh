#!/bin/bash
# SPDX-License-Identifier: MIT
# Outputs that are no files: stdout by each of its names, process substitution, FIFOs.
. "$(dirname "$0")/../support/cli.bash"

picture p.ppm 64 48 1
run encode p.ppm -o p.tess --device cpu -q
code_is 0
run decode p.tess -o p.png --device cpu -q
code_is 0
same() { # WHAT WANTED GOT: two files
    checks=$((checks + 1))
    cmp -s "$2" "$3" || complain "$1: wanted the bytes of $2, got $(wc -c <"$3") bytes; stderr: $(cat err)"
}
for name in - /dev/stdout /dev/fd/1 /proc/self/fd/1; do
    "$TESSERA" encode p.ppm -o $name --device cpu -q 2>err | cat >got
    same "encode -o $name | cat" p.tess got
    "$TESSERA" encode p.ppm -o $name --device cpu -q >got 2>err
    same "encode -o $name >file" p.tess got
    { printf head; "$TESSERA" encode p.ppm -o $name --device cpu -q 2>err; printf tail; } >got
    { printf head; cat p.tess; printf tail; } >wanted
    same "encode -o $name among others" wanted got
    printf head >got
    "$TESSERA" encode p.ppm -o $name --device cpu -q >>got 2>err
    { printf head; cat p.tess; } >wanted
    same "encode -o $name >>file" wanted got
    "$TESSERA" decode p.tess -o $name --device cpu -q 2>err | cat >got
    same "decode -o $name" p.png got
    "$TESSERA" cut p.tess -k 256 -o $name 2>err | cat >got
    same "cut -o $name" p.tess got
    fails 2 "^tessera encode: --json and -o $name would both write to stdout" encode p.ppm -o $name --json
done
"$TESSERA" encode p.ppm -o /dev/stdout --device cpu 2>err >/dev/null
is "summary" "stdout: 1 picture" "$(head -1 err | cut -d, -f1)"

# process substitution: the writer is waited for by its end of the pipe
mkfifo got.fifo
substituted() { # WANTED VERB...: ">(...)" stands for the output
    local wanted=$1
    shift
    cat got.fifo >got &
    local reader=$! # the substitution below becomes $!
    "$TESSERA" "$@" -o >(cat >got.fifo) 2>err
    code=$? last="$* -o >(cat)"
    wait $reader
    code_is 0
    same "$last" "$wanted" got
}
substituted p.tess encode p.ppm --device cpu
is "bytes of a pipe are not known" 0 "$(grep -c 'bytes' err)"
substituted p.png decode p.tess --device cpu
substituted p.tess cut p.tess -k 256
for what in "encode p.ppm" "decode p.tess"; do
    wanted=p.tess
    [ "$what" = "encode p.ppm" ] || wanted=p.png
    cat got.fifo >got &
    "$TESSERA" $what -o got.fifo --device cpu -q 2>err
    code=$? last="$what -o FIFO"
    wait $!
    code_is 0
    same "$last" $wanted got
done
[ -p got.fifo ] || complain "the FIFO was replaced"
fails 3 '/dev/fd/77: open for writing: Bad file descriptor' encode p.ppm -o /dev/fd/77 --device cpu
finish
