#!/bin/bash
# SPDX-License-Identifier: MIT
# The Debian packages on an empty machine: a fresh Debian 12 in a folder, `apt-get install` of the
# .deb files, then what a user would do: a picture to tokens and back, the manual, a completion, a
# program linked with the library, and removal. Needs root and debootstrap; `make package` first.
#   package-check.sh FOLDER     FOLDER must not exist, or be one an earlier run has made
# The machine's /dev is never bound into the folder: what runs inside has a private mount namespace
# with a small /dev of its own, which ends with it, however it ends.
set -euo pipefail
place=$(realpath -m "${1:?usage: package-check.sh FOLDER}")
cd "$(dirname "$0")/.."
packages=(build/package/*.deb)
[ -e "${packages[0]}" ] || { echo "package-check: no build/package/*.deb: run make package first" >&2; exit 1; }
. scripts/debian-folder.sh
debian_folder "$place" bookworm

# inside COMMANDS: in the chroot, with mounts that nobody outside sees.
inside() {
    PLACE=$place COMMANDS=$1 unshare -m --propagation private bash -euc '
        mount -t tmpfs -o mode=755,size=64m tmpfs "$PLACE/dev"
        for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
            set -- $device
            mknod -m 666 "$PLACE/dev/$1" c "$2" "$3"
        done
        ln -s /proc/self/fd "$PLACE/dev/fd"
        mkdir -p "$PLACE/dev/shm"
        mount -t proc proc "$PLACE/proc"
        exec chroot "$PLACE" /usr/bin/env -i DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 HOME=/root TERM=dumb \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -euo pipefail -c "$COMMANDS"' </dev/null
}

failed=0
# step NAME COMMANDS: says what the commands printed last.
step() {
    if inside "$2" >"$place.step" 2>&1; then
        echo "package-check: $1: $(tail -n 1 "$place.step" | cut -c 1-160)"
    else
        echo "package-check: $1 FAILED"
        tail -n 20 "$place.step"
        failed=1
    fi
}

rm -rf "$place/srv/packages"
mkdir -p "$place/srv/packages"
cp "${packages[@]}" "$place/srv/packages/"
install='apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 install'
step 'the index' 'apt-get -q update'
step 'the program' "$install /srv/packages/tessera_*.deb && dpkg-query -W -f '\${Package} \${Version} \${Status} \${Installed-Size} kB\n' tessera"
[ $failed = 0 ] || exit 1
step 'version' 'tessera --version | grep "^features" '
step 'a picture to tokens and back' '
    cd /tmp && rm -rf pictures && mkdir pictures && cd pictures
    { printf "P6\n256 256\n255\n"; head -c 196608 /dev/urandom; } >a.ppm
    tessera encode a.ppm -o a.tess && tessera info a.tess >/dev/null && tessera decode a.tess -o back.png
    test "$(head -c 4 back.png | tail -c 3)" = PNG && tessera eval a.ppm back.png | grep "^back.png"'
step 'a model that is not there' '! tessera encode /tmp/pictures/a.ppm -o /tmp/b.tess -t titok-s128 2>/tmp/said
    grep "tessera fetch titok-s128" /tmp/said'
step 'documents' 'cd /usr/share/doc/tessera && test -s copyright -a -s README.md -a -s docs/CLI.md -a -s formats/tokens/SPEC.md && find . -type f | wc -l'
step 'man and the shells' "$install man-db bash-completion"
step 'manual pages' 'man --warnings -E UTF-8 -l /usr/share/man/man1/tessera.1* >/dev/null 2>/tmp/said; test ! -s /tmp/said
    test "$(ls /usr/share/man/man1/tessera*.1.gz | wc -l)" -gt 10
    man tessera-encode >/tmp/page && grep -q "encode IN... .-o OUT.tess" /tmp/page && sed -n 4p /tmp/page'
step 'completion' '
    source /usr/share/bash-completion/bash_completion
    _completion_loader tessera || true
    complete -p tessera
    COMP_WORDS=(tessera encode --fit c) COMP_CWORD=3
    _tessera && test "${COMPREPLY[*]}" = crop && echo "tessera encode --fit c -> ${COMPREPLY[*]}"'
step 'the library' "$install /srv/packages/libtessera*.deb gcc libc6-dev pkg-config && ldconfig -p | grep libtessera"
step 'a program that links it' '
    cd /tmp && printf "%s\n" "#include <tessera/tessera.h>" "#include <stdio.h>" "int main(void) { puts(tsr_version()); return 0; }" >v.c
    gcc v.c -o v $(pkg-config --cflags --libs tessera) && ./v'
step 'removal' 'apt-get -q -y -o Dpkg::Use-Pty=0 purge tessera "libtessera*" && ! command -v tessera && ! find /usr -name "*tessera*" | grep . && echo nothing is left'
exit $failed
