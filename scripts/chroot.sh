#!/bin/bash
# SPDX-License-Identifier: MIT
# The promise of the README on an empty machine: a fresh Debian 12 in a folder, a clone of this
# repository's HEAD, `make demo`, then `make check`; prints the time of each. Needs root and
# debootstrap.
#   chroot.sh FOLDER        FOLDER must not exist, or be one an earlier run has made
set -euo pipefail
place=${1:?usage: chroot.sh FOLDER}
cd "$(dirname "$0")/.."
source=$PWD
mirror=${MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1 | tr -d ' ' || true)}
mirror=${mirror:-http://deb.debian.org/debian}

if [ ! -e "$place/.tessera-chroot" ]; then
    [ ! -e "$place" ] || { echo "chroot: $place exists and is not ours" >&2; exit 1; }
    SECONDS=0
    debootstrap --variant=minbase bookworm "$place" "$mirror" >"$place.log" 2>&1 ||
        { tail "$place.log"; exit 1; }
    touch "$place/.tessera-chroot"
    echo "chroot: debootstrap took $SECONDS s"
fi
# What reaches the network here (proxies, certificates) must reach it there.
cp -L /etc/resolv.conf "$place/etc/resolv.conf" 2>/dev/null || true
grep -lisE 'Acquire::https?::proxy' /etc/apt/apt.conf.d/* | while read -r f; do
    cp "$f" "$place/etc/apt/apt.conf.d/"
done || true # most machines have none
mkdir -p "$place/etc/ssl/certs"
cp -L /etc/ssl/certs/ca-certificates.crt "$place/etc/ssl/certs/" 2>/dev/null || true
for point in proc sys dev; do
    mountpoint -q "$place/$point" || mount --rbind "/$point" "$place/$point"
    mount --make-rslave "$place/$point"
done
trap 'for p in dev sys proc; do umount -R -l "$place/$p" 2>/dev/null || true; done' EXIT

inside() { chroot "$place" /usr/bin/env DEBIAN_FRONTEND=noninteractive CI=true LC_ALL=C.UTF-8 \
    HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$1"; }
inside 'apt-get -q update && apt-get -q -y --no-install-recommends install git make ca-certificates' \
    >>"$place.log" 2>&1 || { tail "$place.log"; exit 1; }
rm -rf "$place/srv/tessera" "$place/srv/tessera.bundle"
git -C "$source" bundle create -q "$place/srv/tessera.bundle" HEAD
inside 'git clone -q /srv/tessera.bundle /srv/tessera'

status=0
for goal in demo check; do
    SECONDS=0
    if inside "cd /srv/tessera && make $goal" >"$place.$goal.log" 2>&1 </dev/null; then
        echo "chroot: make $goal succeeded in $SECONDS s"
    else
        echo "chroot: make $goal FAILED after $SECONDS s (log: $place.$goal.log)"
        tail -30 "$place.$goal.log"
        status=1
    fi
    grep -E 'tests passed|tests? ran|^  (skipped|left out)' "$place.$goal.log" || true
done
exit $status
