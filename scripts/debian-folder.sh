# SPDX-License-Identifier: MIT
# A Debian of another age in a folder, for the scripts here (sourced, never run). They need root and,
# once, debootstrap.
#   debian_folder FOLDER SUITE           debootstraps SUITE into FOLDER, unless a script of ours has
#                                        done so before; a folder of anyone else is left alone
#   debian_packages FOLDER PACKAGE...    installs what is missing there
#   debian_inside FOLDER COMMAND...      runs a command there; words NAME=VALUE before it are variables
# What debootstrap and apt say goes to FOLDER.log. MIRROR=address takes another mirror.

debian_folder() {
    local place=$1 suite=$2 mirror name
    if ! compgen -G "$place/.tessera-*" >/dev/null; then
        [ ! -e "$place" ] || { echo "$place exists and is not ours" >&2; return 1; }
        command -v debootstrap >/dev/null || { echo "wanted debootstrap, got none" >&2; return 1; }
        mirror=${MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
            grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1 | tr -d ' ' || true)}
        mirror=${mirror:-http://deb.debian.org/debian}
        local begun=$SECONDS
        # What it mounts there ends with it, however it ends.
        unshare --mount --propagation private debootstrap --variant=minbase "$suite" "$place" "$mirror" \
            >"$place.log" 2>&1 ||
            { tail "$place.log" >&2; return 1; }
        echo "$suite" >"$place/.tessera-chroot"
        echo "debootstrap of $suite took $((SECONDS - begun)) s"
    fi
    # What reaches the network here (proxies, certificates) must reach it there.
    cp -L /etc/resolv.conf "$place/etc/resolv.conf" 2>/dev/null || true
    { grep -lisE 'Acquire::https?::proxy' /etc/apt/apt.conf.d/* || true; } | while read -r name; do
        cp "$name" "$place/etc/apt/apt.conf.d/"
    done
    mkdir -p "$place/etc/ssl/certs"
    cp -L /etc/ssl/certs/ca-certificates.crt "$place/etc/ssl/certs/" 2>/dev/null || true
}

debian_inside() {
    chroot "$1" /usr/bin/env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"
}

debian_packages() {
    local place=$1
    shift
    debian_inside "$place" dpkg -s "$@" >/dev/null 2>&1 && return
    # A mirror's copy of sid may be older than it promises to become.
    { debian_inside "$place" apt-get -q -o Acquire::Check-Valid-Until=false update &&
        debian_inside "$place" apt-get -q -y --no-install-recommends install "$@"; } \
        >>"$place.log" 2>&1 || { tail "$place.log" >&2; return 1; }
}
