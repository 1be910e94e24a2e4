#!/bin/bash
# SPDX-License-Identifier: MIT
# cpack makes three Debian packages of this build: what they say of themselves, what they hold, that
# dependencies come from what is linked, and that the unpacked program runs.
. "$(dirname "$0")/../support/cli.bash"

for tool in cpack dpkg-deb dpkg-shlibdeps file; do
    command -v $tool >/dev/null || skip "no $tool"
done
grep -q __asan_init <(nm -D "$TESSERA") && skip "a sanitized build is not packed"
[ -e "$BUILD/manuals/written" ] || { echo "no $BUILD/manuals: wanted the target all built"; exit 1; }
cpack --config "$BUILD/CPackConfig.cmake" -G DEB -B "$here/packed" >log 2>&1 || complain "cpack: $(tail -3 log)"
version=$("$TESSERA" --version | sed -n '1s/tessera //p')
architecture=$(dpkg --print-architecture)

field() { dpkg-deb -f "$package" "$1"; }
for name in tessera libtessera0 libtessera-dev; do
    package=packed/${name}_${version}_$architecture.deb
    [ -s "$package" ] || { complain "no $package: $(ls packed)"; continue; }
    is "$name: name" $name "$(field Package)"
    is "$name: version" "$version" "$(field Version)"
    [ -n "$(field Section)" ] || complain "$name: no section"
    [ "$(field Description | wc -l)" -gt 1 ] || complain "$name: no long description"
    grep -qE '^[^<]+ <[^@]+@[^>]+>$' <(field Maintainer) || complain "$name: maintainer: $(field Maintainer)"
    dpkg-deb -x "$package" "root-$name"
    checks=$((checks + 5))
    # No path of the machine it was made on, and nothing that only its maker may write or read.
    is "$name: odd modes" "" "$(dpkg-deb -c "$package" | awk '$1 !~ /^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|l)/ || $2 != "root/root"')"
done
# Every library the program links, but the C library's own, is in a package it depends on.
package=packed/tessera_${version}_$architecture.deb
depends=$(field Depends)
for library in libpng libzstd libcjson $(ldd "$TESSERA" | grep -oE '^\s*(libcurl|libjpeg|libtiff|libdnnl)' | sort -u); do
    grep -qE "$library" <<<"$depends" || complain "tessera does not depend on $library: $depends"
done
# What it opens only when wanted is recommended.
recommends=$(field Recommends)
for library in libvulkan1 $("$TESSERA" --version | grep -oE 'libavfilter [0-9]+' | tr -d ' '); do
    grep -qE "(^|, )$library(,|$)" <<<"$recommends" || complain "tessera does not recommend $library: $recommends"
done
package=packed/libtessera-dev_${version}_$architecture.deb
is "libtessera-dev depends on" "libtessera0 (= $version)" "$(field Depends)"

for file in bin/tessera share/man/man1/tessera.1 share/man/man1/tessera-encode.1 share/doc/tessera/README.md \
    share/bash-completion/completions/tessera; do
    checks=$((checks + 1))
    [ -s root-tessera/usr/$file ] || [ -s root-tessera/usr/$file.gz ] || complain "tessera: no $file"
done
is "libraries in tessera" "" "$(find root-tessera -name '*.so*' -o -name '*.a')"
is "shared libraries" 1 "$(find root-libtessera0 -name 'libtessera.so.0.*' -type f | wc -l)"
is "shared libraries of the runner" 1 "$(find root-libtessera0 -name 'libtessera-runner.so.0.*' -type f | wc -l)"
is "programs in libtessera-dev" "" "$(find root-libtessera-dev -type f -perm -u+x)"
for pattern in tessera.h libtessera.a tessera.pc tessera-config.cmake libtessera-runner.a tessera-runner.pc prompt.h; do
    is "libtessera-dev: $pattern" 1 "$(find root-libtessera-dev -name $pattern | wc -l)"
done
last="the unpacked program"
root-tessera/usr/bin/tessera --version >out 2>err
code=$?
code_is 0
"$TESSERA" --version | cmp -s - out || complain "the unpacked program is another: $(head -1 out)"
finish
