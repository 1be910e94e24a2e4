/* SPDX-License-Identifier: MIT */
/* maskgit.c: the VQGAN of MaskGIT (H. Chang et al. 2022) as MAGE published it for PyTorch: f16,
 * 1024 codes. KARL's base, and what TiTok and One-D-Piece paint pixels with. Its habits: no
 * attention, no biases in residual blocks, halving by the mean, and a shortcut that acts on the
 * branch, so that where the width changes the block's input is lost. */
#include "../../nn/conv_layouts.h"
#include "vqgan.h"

const tsr_grid_kind tsr_grid_maskgit = {
    .name = "maskgit-vqgan",
    .names = {{&tsr_layout_maskgit[0], "encoder.mid.block_1.conv1.weight"},
              {&tsr_layout_maskgit[1], "encoder.mid.0.conv1.weight"}},
    .prefixes = (const char *const[]){"", "state_dict.", "base_tokenizer.vqgan.", NULL},
    .ignored = (const char *const[]){"loss.", "state_dict.loss.", NULL},
    .foreign = "latent_tokens", /* KARL's file has one of these inside */
};

TSR_GRID_FAMILY(
    maskgit, "maskgit-vqgan",
    "one id of 1024 for each 16x16 pixels; MaskGIT's VQGAN in MAGE's weights",
    "MAGE's vqgan_jax_strongaug.ckpt or 1d-tokenizer's maskgit-vqgan-imagenet-f16-256.bin "
    "as .safetensors",
    "golden cases of the official classes with synthetic weights, both namings");
