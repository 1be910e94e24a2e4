/* SPDX-License-Identifier: MIT */
/* taming.c: VQGAN (P. Esser et al. 2021, "Taming Transformers"): f16 with 1024 or 16384 codes, and
 * whatever else its shapes say. Its habits: attention at the smallest level, halving by a strided
 * convolution, 1x1 convolutions around the codebook, pictures of -1 .. 1. */
#include "../../nn/conv_layouts.h"
#include "vqgan.h"

const tsr_grid_kind tsr_grid_taming = {
    .name = "taming-vqgan",
    .names = {{&tsr_layout_taming, "encoder.mid.block_1.conv1.weight"}},
    .prefixes = (const char *const[]){"", "state_dict.", NULL},
    .ignored = (const char *const[]){"loss.", "state_dict.loss.", NULL},
    .quant = true,
    .centred = true,
    .foreign = "encoder.time_conv.0.conv.conv.weight", /* Emu3 has all the names, and time */
};

TSR_GRID_FAMILY(taming, "taming-vqgan",
                "one id of 1024 or 16384 for each 16x16 pixels; VQGAN of Taming Transformers",
                "the last.ckpt of vqgan_imagenet_f16_1024 or _16384 as .safetensors",
                "golden cases of the official classes with synthetic weights");
