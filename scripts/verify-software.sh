#!/bin/bash
# SPDX-License-Identifier: MIT
# The small golden cases on a software Vulkan driver: one line for each with passed, failed and
# seconds. Exit 0 only if none failed. Published sizes would take hours there.
#   verify-software.sh GOLDEN [TESSERA [ICD]]     ICD: a driver's JSON file; default lavapipe's
set -euo pipefail
golden=${1:?usage: verify-software.sh GOLDEN [TESSERA [ICD]]}
here=$(cd "$(dirname "$0")/.." && pwd)
program=${2:-$here/build/release/tessera}
if [ -n "${3:-}" ]; then export VK_DRIVER_FILES=$3 VK_ICD_FILENAMES=$3; fi
status=0
for case in vqtoken/{elbow,ties,clustering,attention} \
    flextok/{fsq,preprocess,vae-c4,vae-c8,vae-c16,tiny-a,tiny-c,tiny-b} \
    maskgit-vqgan/{narrow-karl,narrow-1d} taming-vqgan/{taming-narrow,llamagen-narrow} \
    titok/{s128-crop64,ss32-vq8k-crop64,ss32-vae-crop64} \
    karl/{vqgan-tiny,vqgan-tiny-continuous,vae-tiny,vae-tiny-continuous} \
    towers/{clip-tiny,siglip-tiny,dinov2-tiny,dinov2-swiglu-tiny,dinov2-registers-tiny} \
    cosmos/{di8,di8-360p,di16,di16-360p,ci8-360p,di-attn,dv4x8x8,dv4x8x8-360p,dv8x8x8,dv8x16x16,dv8x16x16-legacy}-tiny \
    lpips/{alex,squeeze} dists/vgg parseq/narrow arcface/{mobilefacenet,mobilefacenet-trained} \
    cosmos/{cv4x8x8,cv8x8x8-720p}-tiny emu3/{tiny,tiny-options} \
    towers/{siglip2-naflex-tiny,qwen2-vl-tiny,qwen2-5-vl-tiny,preprocess,anyres}; do
    [ -d "$golden/$case" ] || { echo "verify-software: $golden/$case is not there" >&2; exit 1; }
    SECONDS=0
    last=$("$program" verify --device vulkan:0 "$golden/$case" 2>&1 | tail -1) || status=1
    printf '%-34s %s, %d s\n' "$case" "$last" "$SECONDS"
done
exit $status
