#!/bin/bash
# SPDX-License-Identifier: MIT
# What the inner loops of our kernels could reach at most on AMD chips, from the machine code that
# RADV of Mesa 25 makes for them on its null device (nothing runs, no GPU is needed): writes
# docs/gpu/BOUNDS.md and docs/gpu/bounds.json (and ESTIMATE.md, which follows) and fails when a kernel is below its floor or spills.
#   gpu-bounds.sh prepare FOLDER          a Debian 13 with that Mesa, by debootstrap; needs root
#   gpu-bounds.sh FOLDER                  all kernels of scripts/gpu-bounds.txt, writes the documents
#   gpu-bounds.sh FOLDER WORD...          only lines of the table with one of these words; each loop
#                                         with its counts; writes no document. For tuning
# Without FOLDER it is $TESSERA_DEBIAN13; where that is none of ours: exit 77, skipped. Environment:
#   OUT=folder      where the documents go; default docs/gpu
#   TABLE=file      another table of kernels
#   KEEP=folder     keeps the assembly there, one file for each line and chip
#   GLSL=1          compiles every shader from source with the newer glslang of FOLDER, also those whose
#                   SPIR-V is checked in
#   CHIPS="..."     RADV_FORCE_FAMILY names; default "navi31 navi21" (navi31 is gfx1100)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian-folder.sh
table=${TABLE:-scripts/gpu-bounds.txt}
out=${OUT:-docs/gpu}
read -ra chips <<<"${CHIPS:-navi31 navi21}"
packages=(mesa-vulkan-drivers libvulkan1 glslang-tools)

if [ "${1:-}" = prepare ]; then
    place=$(realpath -m "${2:?gpu-bounds.sh prepare: wanted a folder}")
    debian_folder "$place" trixie
    debian_packages "$place" "${packages[@]}"
    exit
fi
place=${1:-${TESSERA_DEBIAN13:-}}
if [ -z "$place" ] || ! compgen -G "$place/.tessera-*" >/dev/null; then
    echo "skipped: no Debian 13 at '$place': gpu-bounds.sh prepare FOLDER makes one"
    exit 77
fi
place=$(realpath "$place")
[ "$(id -u)" = 0 ] || { echo "skipped: chroot needs root"; exit 77; }
version=$(debian_inside "$place" dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || true)
case "$version" in
25.*) ;;
*) echo "skipped: wanted RADV of Mesa 25 in $place, got ${version:-none}"; exit 77 ;;
esac
shift $(($# > 0))

# Beside others who may run this in the same folder.
inside=$(mktemp -d "$place/srv/bounds.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf "$inside" "$work"' EXIT
if [ $# -gt 0 ]; then
    pattern=$(printf '%s\n' "$@")
    grep -E '^#' "$table" >"$work/table"
    grep -vE '^#' "$table" | grep -F -e "$pattern" >>"$work/table" ||
        { echo "gpu-bounds: no line of $table has one of: $*" >&2; exit 1; }
    table=$work/table
fi
cc -O1 -o "$inside/radv_compile" tests/evidence/radv_compile.c -lvulkan
mkdir "$inside/spv"
there=/srv/${inside##*/}
cp -r vulkan_shaders "$inside/shaders"
[ -z "${GLSL:-}" ] || rm -rf "$inside/shaders/coopmat"
python3 scripts/gpu-bounds.py modules "$table" vulkan_shaders/variants.txt "$inside/shaders" "$inside/spv" \
    >"$work/compile"
while read -r variant source options; do
    # What the product's build compiles on this machine is compiled so here, too.
    where=() at=$inside
    if [ -n "${GLSL:-}" ] || [[ $options == *COOPMAT* ]]; then
        where=(debian_inside "$place") at=$there
    fi
    # shellcheck disable=SC2086
    "${where[@]}" glslangValidator --quiet -g0 --target-env vulkan1.2 $options -o "$at/spv/$variant.spv" \
        "$at/shaders/$source"
done <"$work/compile"
icd=/usr/share/vulkan/icd.d/$(ls "$place/usr/share/vulkan/icd.d" | grep -m1 radeon)
for chip in "${chips[@]}"; do
    matrices=yes
    [ "$chip" != navi21 ] || matrices=no # RDNA2 has no matrix units
    python3 scripts/gpu-bounds.py pipelines "$table" $matrices >"$work/$chip.txt" 2>"$work/$chip.rows"
    mkdir "$inside/$chip"
    [ -s "$work/$chip.rows" ] || continue
    debian_inside "$place" RADV_FORCE_FAMILY="$chip" VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd" \
        MESA_SHADER_CACHE_DISABLE=true "$there/radv_compile" "$there/spv" "$there/$chip" \
        <"$work/$chip.txt" >"$work/$chip.tsv" 2>"$work/$chip.err" ||
        { cat "$work/$chip.err"; echo "gpu-bounds: $chip: failed" >&2; exit 1; }
    cp -r "$inside/$chip" "$work/$chip"
    if [ -n "${KEEP:-}" ]; then
        mkdir -p "$KEEP"
        cp -r "$inside/$chip" "$KEEP/"
        cp "$work/$chip.txt" "$KEEP/$chip.txt"
    fi
done
if [ $# -gt 0 ]; then
    python3 scripts/gpu-bounds.py count "$table" "$work" "${chips[@]}" --loops
else
    mkdir -p "$out"
    status=0
    python3 scripts/gpu-bounds.py count "$table" "$work" "${chips[@]}" --mesa "$version" \
        --others scripts/gpu-bounds-others.txt --markdown "$out/BOUNDS.md" --json "$out/bounds.json" || status=$?
    [ ! -e "$out/counts.tsv" ] || python3 scripts/gpu-estimate.py --bounds "$out/bounds.json" \
        --counts "$out/counts.tsv" --out "$out/ESTIMATE.md"
    exit $status
fi
