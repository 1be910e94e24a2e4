#!/bin/bash
# SPDX-License-Identifier: MIT
# SPIR-V of the shaders that use cooperative matrices. Debian 12's compiler does not know the
# extension, so the modules are built in a newer Debian and checked in (vulkan_shaders/coopmat), each
# with the hash of what it was made from.
#   coopmat.sh check            compares the hashes; no compiler needed. Exit 1: build again
#   coopmat.sh build FOLDER     builds and validates them in a Debian sid that debootstrap puts into
#                               FOLDER (or that an earlier run has put there). Needs root
#   coopmat.sh run FOLDER PROGRAM...
#                               runs programs of a build in there, with its newer lavapipe, which
#                               has cooperative matrices of 8 x 8 x 8. It compiles a module for
#                               them in up to minutes, so a test may take ten times as long as
#                               elsewhere. CK_RUN_CASE=name: that test alone
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian-folder.sh
shaders=vulkan_shaders
made=$shaders/coopmat

# A shader and what it includes, each once.
sources() {
    local todo=("$1") file include
    local -A seen=()
    while [ ${#todo[@]} -gt 0 ]; do
        file=${todo[0]}
        todo=("${todo[@]:1}")
        [ -z "${seen[$file]:-}" ] || continue
        seen[$file]=1
        echo "$file"
        while read -r include; do todo+=("$include"); done < <(
            sed -n 's/^ *#include "\(.*\)"/\1/p' "$shaders/$file")
    done | LC_ALL=C sort
}
hash_of() { # NAME SOURCE OPTION...
    { echo "$*"; for f in $(sources "$2"); do cat "$shaders/$f"; done; } | sha256sum | cut -d ' ' -f 1
}
each() { # FUNCTION: called with the words of each line that has -DCOOPMAT
    local line
    while read -r line; do
        # shellcheck disable=SC2086
        "$1" $line
    done < <(grep -E '^[^#].*-DCOOPMAT=1' $shaders/variants.txt)
}

differ=0
check_one() {
    local want got
    want=$(hash_of "$@")
    got=$(sed -n '1s|^// made from ||p' "$made/$1.inc" 2>/dev/null || true)
    [ "$want" = "$got" ] && return
    echo "coopmat: $made/$1.inc was made from other sources: run scripts/coopmat.sh build FOLDER"
    differ=1
}

inside() { debian_inside "$place" "$@"; }

prepare() {
    place=${1:?coopmat.sh: wanted a folder}
    debian_folder "$place" sid
    debian_packages "$place" glslang-tools spirv-tools mesa-vulkan-drivers libvulkan1
}

build_one() {
    local name=$1 source=$2 hash target=vulkan1.2
    # VK_NV_cooperative_matrix2 wants SPIR-V 1.6.
    [[ $source != *_matrix2.comp ]] || target=vulkan1.3
    hash=$(hash_of "$@")
    shift 2
    inside glslangValidator --quiet -g0 --target-env $target "$@" -o "/srv/$name.spv" "/srv/shaders/$source"
    inside spirv-val --target-env $target "/srv/$name.spv"
    inside glslangValidator --quiet -g0 --target-env $target "$@" --vn "tsr_spirv_$name" \
        -o "/srv/$name.inc" "/srv/shaders/$source"
    { echo "// made from $hash"; cat "$place/srv/$name.inc"; } >"$made/$name.inc"
    echo "coopmat: $made/$name.inc: $(stat -c %s "$place/srv/$name.spv") bytes of valid SPIR-V"
}

# A program of this machine with the libraries that the newer Debian lacks.
run_one() {
    local lib
    rm -rf "$place/srv/run"
    mkdir -p "$place/srv/run"
    cp "$1" "$place/srv/run/"
    while read -r lib; do
        [ -e "$place/usr/lib/x86_64-linux-gnu/${lib##*/}" ] || cp -L "$lib" "$place/srv/run/"
    done < <(ldd "$1" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p')
    echo "coopmat: ${1##*/}:"
    inside LD_LIBRARY_PATH=/srv/run CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-10}" \
        ${CK_RUN_CASE:+CK_RUN_CASE=$CK_RUN_CASE} ${TESSERA_SEED:+TESSERA_SEED=$TESSERA_SEED} \
        "/srv/run/${1##*/}"
}

case "${1:-}" in
check)
    each check_one
    [ $differ = 0 ] || exit 1
    ;;
build)
    prepare "${2:-}"
    rm -rf "$place/srv/shaders"
    cp -r $shaders "$place/srv/shaders"
    mkdir -p $made
    each build_one
    ;;
run)
    prepare "${2:-}"
    shift 2
    for program in "$@"; do run_one "$program"; done
    ;;
*)
    sed -n '4,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
