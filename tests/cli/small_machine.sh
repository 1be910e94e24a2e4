#!/bin/bash
# SPDX-License-Identifier: MIT
# One processor and 512 MB, as a small container has them: pictures are encoded and decoded within, by
# the defaults. Once with a limit of the address space, once in a control group, of either version.
# FFmpeg's libraries take 180 MB of addresses, though hardly any of memory: they come on top.
. "$(dirname "$0")/../support/cli.bash"

LIMIT=$((512 << 20)) ADDRESSES=512
! grep -q '+video' <<<"$("$TESSERA" --version)" || ADDRESSES=704
# 6 million pixels, and many tiles: what is planned follows from the memory there seems to be.
python3 - <<'PY'
import struct, zlib
w, h = 3000, 2000
row = bytes((x * k // 7 + (60 if x >> 5 & 1 else 0)) & 255 for x in range(w) for k in (1, 2, 3))
rows = b"".join(b"\0" + row[3 * y:] + row[:3 * y] for y in range(h))
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open("p.png", "wb") as f:
    f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)))
    f.write(chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
PY
processor=$(taskset -cp $$ 2>/dev/null | sed 's/.*: //; s/[-,].*//')
[ -n "$processor" ] || skip "one processor: no taskset"

# within NAME COMMAND...: encodes and decodes by the command, which ends with the program's arguments
within() {
    local name=$1
    shift
    for verb in "encode p.png -o p.tess" "decode p.tess -o back.png"; do
        rm -f back.png
        "$@" taskset -c "$processor" "$TESSERA" $verb --device cpu -q >out 2>err </dev/null
        code=$? last="$name: tessera $verb"
        code_is 0
    done
    is "$name: back.png" 89504e47 "$(head -c 4 back.png | od -An -tx1 | tr -d ' \n')"
}

"$TESSERA" encode p.png -o alone.tess --device cpu -q || complain "encode without limits"
if ! command -v prlimit >/dev/null; then
    leave_out "a limit of the address space: no prlimit"
elif ! prlimit --as=$((ADDRESSES << 20)) "$TESSERA" --version >/dev/null 2>&1; then
    skip "$ADDRESSES MB: this build (a sanitizer's) does not start within them"
else
    within "$ADDRESSES MB of addresses" prlimit --as=$((ADDRESSES << 20))
    cmp -s p.tess alone.tess || complain "$ADDRESSES MB of addresses: other tokens than without"
fi

# A group below the one this script is in, or below the root.
group="" limit_file="" peak_file=""
for above in "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)" /sys/fs/cgroup \
    "/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)" /sys/fs/cgroup/memory; do
    name=${above%/}/tessera-test-$$
    [ -d "$above" ] && mkdir "$name" 2>/dev/null || continue
    if [ -w "$name/memory.max" ]; then limit_file=memory.max peak_file=memory.peak; fi
    if [ -w "$name/memory.limit_in_bytes" ]; then limit_file=memory.limit_in_bytes peak_file=memory.max_usage_in_bytes; fi
    if [ -n "$limit_file" ] && echo $LIMIT 2>/dev/null >"$name/$limit_file" &&
        bash -c "echo \$\$ >$name/cgroup.procs" 2>/dev/null; then
        group=$name
        break
    fi
    rmdir "$name"
    limit_file=""
done
if [ -z "$group" ]; then
    leave_out "a control group of 512 MB: none may be made here"
else
    trap 'rmdir "$group"; rm -rf "$here"' EXIT
    rm -f p.tess
    within "a group of 512 MB" bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group"
    cmp -s p.tess alone.tess || complain "a group of 512 MB: other tokens than without"
    [ -r "$group/$peak_file" ] && echo "a group of 512 MB: at most $(($(cat "$group/$peak_file") >> 20)) MB in use"
fi
finish
