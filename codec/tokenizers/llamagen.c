/* SPDX-License-Identifier: MIT */
/* llamagen.c: LlamaGen's VQ-16 and VQ-8 (P. Sun et al. 2024): VQGAN's network under other names
 * with 16384 codes of 8 numbers, both sides of the search normalised. The decoder's levels are
 * counted from the smallest map. */
#include "../../nn/conv_layouts.h"
#include "vqgan.h"

const tsr_grid_kind tsr_grid_llamagen = {
    .name = "llamagen",
    .names = {{&tsr_layout_llamagen, "encoder.conv_blocks.0.res.0.conv1.weight"}},
    .prefixes = (const char *const[]){"", "model.", "ema.", NULL},
    .ignored = (const char *const[]){"quantize.codebook_used", "model.quantize.codebook_used",
                                     "ema.quantize.codebook_used", NULL},
    .quant = true,
    .normalised = true,
    .centred = true,
};

TSR_GRID_FAMILY(llamagen, "llamagen",
                "one id of 16384 for each 16x16 or 8x8 pixels; LlamaGen's VQ-16 and VQ-8",
                "vq_ds16_c2i.pt, vq_ds16_t2i.pt or vq_ds8_c2i.pt as .safetensors",
                "golden cases of the official classes with synthetic weights (VQ-16)");
