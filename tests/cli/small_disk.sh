#!/bin/bash
# SPDX-License-Identifier: MIT
# A file system that is full before the output is whole: no part of it is left, an older file stays.
. "$(dirname "$0")/../support/cli.bash"

[ "$(id -u)" = 0 ] || skip "a tiny file system: needs root"
mkdir small
mount -t tmpfs -o size=16k none small 2>/dev/null || skip "a tiny file system: root may not mount one"
trap 'umount "$here/small"; rm -rf "$here"' EXIT
picture p.ppm 600 600 1
"$TESSERA" encode p.ppm -o p.tess --device cpu -q || complain "encode"
fails 3 'small/x.png.*No space left' decode p.tess -o small/x.png --device cpu
absent small/x.png
no_leftovers small
echo before >small/old.png
fails 3 'small/old.png.*No space left' decode p.tess -f -o small/old.png --device cpu
is "the older file" before "$(cat small/old.png)"
no_leftovers small
finish
