#!/bin/bash
# SPDX-License-Identifier: MIT
# The promise of the README on an empty machine: a fresh Debian in a folder, a clone of this
# repository's HEAD, `make demo`, then `make check`; prints the time of each. Needs root, debootstrap
# and unshare.
#   chroot.sh FOLDER [SUITE [GOAL...]]
#     FOLDER  must not exist, or be one an earlier run has made
#     SUITE   of Debian; default bookworm
#     GOAL    of the Makefile; default demo and check
# Everything is mounted in a namespace that ends with this script, however it ends: outside, nothing is
# ever mounted below FOLDER, and removing FOLDER removes FOLDER alone.
set -euo pipefail
usage="usage: chroot.sh FOLDER [SUITE [GOAL...]]"
place=$(realpath -m "${1:?$usage}")
suite=${2:-bookworm}
goals=("${@:3}")
[ ${#goals[@]} -gt 0 ] || goals=(demo check)
if [ "${TESSERA_CHROOT:-}" != namespace ]; then
    command -v debootstrap >/dev/null || { echo "chroot: wanted debootstrap, got none" >&2; exit 1; }
    TESSERA_CHROOT=namespace unshare --mount --propagation private --pid --fork --kill-child \
        bash "$(realpath "$0")" "$place" "$suite" "${goals[@]}" &
    # unshare waits on, whatever signal comes; what it has started dies with it.
    trap 'kill -KILL $! 2>/dev/null; exit 130' INT TERM HUP
    wait $!
    exit
fi
cd "$(dirname "$0")/.."
source=$PWD
. scripts/debian-folder.sh
debian_folder "$place" "$suite"

# A /dev of its own, with what programs and tests ask for. Where devices cannot be made, the
# machine's single ones are bound, never the folder.
dev=$place/dev
mount -t tmpfs -o mode=755,nosuid,size=1m tmpfs "$dev"
for device in null:3 zero:5 full:7 random:8 urandom:9 tty:0; do
    name=${device%:*} minor=${device#*:} major=1
    [ "$name" != tty ] || major=5
    if ! mknod -m 666 "$dev/$name" c $major "$minor" 2>/dev/null || ! head -c 0 "$dev/null" 2>/dev/null; then
        rm -f "$dev/$name"
        touch "$dev/$name"
        mount --bind "/dev/$name" "$dev/$name"
    fi
done
mkdir "$dev/pts" "$dev/shm"
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts "$dev/pts"
ln -s pts/ptmx "$dev/ptmx"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
ln -s /proc/self/fd "$dev/fd"
for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${i%:*}" "$dev/${i#*:}"; done
mount -t proc proc "$place/proc"
mount -t sysfs -o ro sysfs "$place/sys" 2>/dev/null || true # nothing of ours needs it

inside() { debian_inside "$place" CI=true bash -c "$1"; }
debian_packages "$place" git make ca-certificates
rm -rf "$place/srv/tessera" "$place/srv/tessera.bundle"
git -C "$source" bundle create -q "$place/srv/tessera.bundle" HEAD
inside 'git -c init.defaultBranch=main -c advice.detachedHead=false clone -q /srv/tessera.bundle /srv/tessera'

status=0
for goal in "${goals[@]}"; do
    SECONDS=0
    if inside "cd /srv/tessera && make $goal" >"$place.$goal.log" 2>&1 </dev/null; then
        echo "chroot: $suite: make $goal succeeded in $SECONDS s"
    else
        echo "chroot: $suite: make $goal FAILED after $SECONDS s (log: $place.$goal.log)"
        tail -30 "$place.$goal.log"
        status=1
    fi
    grep -E 'tests passed|tests? ran|^  (skipped|left out)' "$place.$goal.log" || true
done
exit $status
