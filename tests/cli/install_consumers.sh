#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into an empty prefix and builds ten-line programs against it, in C and in C++, with
# pkg-config (shared and static) and with find_package (shared and static), and runs them.
set -euo pipefail
source=${SOURCE:?} build=${BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cmake --install "$build" --prefix "$work/prefix" >install.log || { cat install.log; exit 1; }
for f in bin/tessera include/tessera/tessera.h include/tessera/tokens.h include/tessera/status.h \
    share/man/man1/tessera.1 share/man/man1/tessera-encode.1 share/bash-completion/completions/tessera \
    share/zsh/site-functions/_tessera share/fish/vendor_completions.d/tessera.fish share/doc/tessera/LICENSE \
    share/doc/tessera/README.md share/doc/tessera/docs/CLI.md share/doc/tessera/formats/tokens/SPEC.md; do
    [ -e "prefix/$f" ] || { echo "not installed: $f"; exit 1; }
done
# Not what a compiler keeps for debuggers and for optimising again at link time, which packages do without.
cp -R prefix stripped
find stripped/lib* stripped/bin -type f \( -name 'libtessera*' -o -name tessera \) \
    -exec strip --strip-debug --remove-section='.gnu.lto_*' --remove-section='.gnu.debuglto_*' {} +
if grep -rl "$source" stripped --include='*.pc' --include='*.cmake' --include='*.h' --include='*.1' --include='*tessera*'; then
    echo "an installed file names the source tree"
    exit 1
fi
# Moved after it was installed: nothing may remember where it stood.
mv prefix moved
prefix=$work/moved
pc=$(find "$prefix" -name tessera.pc)
libdir=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*} LD_LIBRARY_PATH=$libdir

cat >consumer.c <<'C'
#include <stdio.h>
#include <tessera/tessera.h>
int main(void) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL) != TSR_OK) return 1;
    tsr_status s = tsr_decode_file(ctx, "missing.tess", "out.png", NULL);
    printf("tessera %s: %s: %s\n", tsr_version(), tsr_status_name(s), tsr_detail(ctx));
    tsr_context_close(&ctx);
    return s != TSR_ERROR_NOT_FOUND;
}
C
cp consumer.c consumer.cpp
flags=()
if grep -q __asan_init <(nm -D "$libdir/libtessera.so"); then
    flags=(-fsanitize=address,undefined)
fi
check() { # check NAME PROGRAM
    out=$("$2") || { echo "$1: failed: $out"; exit 1; }
    case "$out" in
    "tessera "*TSR_ERROR_NOT_FOUND*missing.tess*) echo "$1: $out" ;;
    *) echo "$1: wanted NOT_FOUND and the file's name, got: $out"; exit 1 ;;
    esac
}

cc -std=c11 -Wall -Werror "${flags[@]}" consumer.c -o c_shared $(pkg-config --cflags --libs tessera)
check "C, pkg-config, shared" ./c_shared
cxx=$(command -v "${CXX:-c++}") || { cxx=""; echo "left out: no C++ compiler: no program in C++ is built"; }
if [ -n "$cxx" ]; then
    "$cxx" -std=c++11 -Wall -Werror "${flags[@]}" consumer.cpp -o cxx_shared $(pkg-config --cflags --libs tessera)
    check "C++, pkg-config, shared" ./cxx_shared
fi
cc -std=c11 "${flags[@]}" consumer.c -o c_static $(pkg-config --cflags --libs tessera-static)
if grep -q libtessera <(ldd c_static); then echo "c_static is not static"; exit 1; fi
check "C, pkg-config, static" ./c_static

# libtessera-runner beside it: a prompt and its reply.
cat >runner.c <<'C'
#include <stdio.h>
#include <tessera/runner/prompt.h>
int main(void) {
    tsr_context *ctx = NULL;
    tsr_vocab_map *map = NULL;
    tsr_prompt *prompt = NULL;
    const uint32_t codes[2] = {0, 32767};
    const tsr_codes picture = {codes, TSR_GEOMETRY_GRID, 1, 1, 2, 32768, 0};
    const tsr_prompt_settings s = {.template_name = "image", .pictures = &picture, .picture_count = 1};
    tsr_reply reply = {0};
    uint64_t count = 0;
    if (tsr_context_open(&ctx, NULL)) return 1;
    if (tsr_vocab_map_open(ctx, "emu3", &map) || tsr_prompt_build(ctx, map, &s, &prompt)) return 2;
    const uint32_t *ids = tsr_prompt_ids(prompt, &count);
    if (tsr_reply_read(ctx, map, ids, count, NULL, &reply) || reply.codes[1] != 32767) return 3;
    printf("runner: %d ids, last %u, %s\n", (int)count, ids[count - 1], reply.text);
    tsr_reply_free(&reply);
    tsr_prompt_close(&prompt);
    if (tsr_vocab_map_open(ctx, "no-such", &map) != TSR_ERROR_NOT_FOUND || !*tsr_detail(ctx)) return 4;
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
    return 0;
}
C
check_runner() { # check_runner NAME PROGRAM
    out=$("$2") || { echo "$1: failed ($?): $out"; exit 1; }
    [ "$out" = "runner: 10 ids, last 151853, ok" ] || { echo "$1: wanted 10 ids, got: $out"; exit 1; }
    echo "$1: $out"
}
cc -std=c11 -Wall -Werror "${flags[@]}" runner.c -o r_shared $(pkg-config --cflags --libs tessera-runner)
grep -q libtessera-runner <(ldd r_shared) || { echo "r_shared is not shared"; exit 1; }
check_runner "runner, pkg-config, shared" ./r_shared
cc -std=c11 "${flags[@]}" runner.c -o r_static $(pkg-config --cflags --libs tessera-runner-static)
if grep -q libtessera <(ldd r_static); then echo "r_static is not static"; exit 1; fi
check_runner "runner, pkg-config, static" ./r_static

cat >CMakeLists.txt <<M
cmake_minimum_required(VERSION 3.21)
project(consumer C${cxx:+ CXX})
find_package(tessera 0.1 REQUIRED)
add_executable(cm_c consumer.c)
target_link_libraries(cm_c tessera::tessera)
if(CMAKE_CXX_COMPILER)
  add_executable(cm_cxx consumer.cpp)
  target_link_libraries(cm_cxx tessera::tessera)
endif()
add_executable(cm_static consumer.c)
target_link_libraries(cm_static tessera::tessera_static)
add_executable(cm_runner runner.c)
target_link_libraries(cm_runner tessera::tessera_runner_shared)
add_executable(cm_runner_static runner.c)
target_link_libraries(cm_runner_static tessera::tessera_runner)
M
cmake -S . -B cm -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS="${flags[*]:-}" -DCMAKE_CXX_FLAGS="${flags[*]:-}" >cm.log 2>&1 ||
    { cat cm.log; exit 1; }
cmake --build cm >>cm.log 2>&1 || { cat cm.log; exit 1; }
check "C, find_package, shared" cm/cm_c
[ -z "$cxx" ] || check "C++, find_package, shared" cm/cm_cxx
if grep -q libtessera <(ldd cm/cm_static); then echo "cm_static is not static"; exit 1; fi
check "C, find_package, static" cm/cm_static
check_runner "runner, find_package, shared" cm/cm_runner
if grep -q libtessera <(ldd cm/cm_runner_static); then echo "cm_runner_static is not static"; exit 1; fi
check_runner "runner, find_package, static" cm/cm_runner_static
