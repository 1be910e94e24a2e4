/* SPDX-License-Identifier: MIT */
/* conv_layouts.c: names and habits of the published convolutional autoencoders. */
#include "conv_layouts.h"

#define MASKGIT_NAMES                                                                              \
    .down = "down.%d.block.%d", .up = "up.%d.block.%d", .shortcut = "nin_shortcut",                \
    .norm_out = "norm_out", .bare = true, .shortcut_after = true, .out_kernel = 1

const tsr_conv_layout tsr_layout_maskgit[2] = {
    {MASKGIT_NAMES, .twice = "up.%d.upsample.conv", .mid = {"mid.block_1", NULL, "mid.block_2"}},
    {MASKGIT_NAMES, .twice = "up.%d.upsample_conv", .mid = {"mid.0", NULL, "mid.1"}},
};

const tsr_conv_layout tsr_layout_taming = {
    .down = "down.%d.block.%d",
    .up = "up.%d.block.%d",
    .down_attention = "down.%d.attn.%d",
    .up_attention = "up.%d.attn.%d",
    .halve = "down.%d.downsample.conv",
    .twice = "up.%d.upsample.conv",
    .mid = {"mid.block_1", "mid.attn_1", "mid.block_2"},
    .attention = {"norm", "q", "k", "v", "proj_out"},
    .shortcut = "nin_shortcut",
    .norm_out = "norm_out",
    .out_kernel = 3,
};

const tsr_conv_layout tsr_layout_llamagen = {
    .down = "conv_blocks.%d.res.%d",
    .up = "conv_blocks.%d.res.%d",
    .down_attention = "conv_blocks.%d.attn.%d",
    .up_attention = "conv_blocks.%d.attn.%d",
    .halve = "conv_blocks.%d.downsample.conv",
    .twice = "conv_blocks.%d.upsample.conv",
    .mid = {"mid.0", "mid.1", "mid.2"},
    .attention = {"norm", "q", "k", "v", "proj_out"},
    .shortcut = "nin_shortcut",
    .norm_out = "norm_out",
    .smallest_first = true,
    .out_kernel = 3,
};

const tsr_conv_layout tsr_layout_karl_vae = {
    .down = "down.%d.block.%d",
    .up = "up.%d.block.%d",
    .down_attention = "down.%d.attn.%d",
    .halve = "down.%d.downsample.conv",
    .twice = "up.%d.upsample.conv",
    .mid = {"mid.block_1", "mid.attn_1", "mid.block_2"},
    .attention = {"norm", "q", "k", "v", "proj_out"},
    .shortcut = "nin_shortcut",
    .norm_out = "norm_out",
    .out_kernel = 3,
};

const tsr_conv_layout tsr_layout_diffusers[2] = {
    {.down = "down_blocks.%d.resnets.%d",
     .up = "up_blocks.%d.resnets.%d",
     .halve = "down_blocks.%d.downsamplers.0.conv",
     .twice = "up_blocks.%d.upsamplers.0.conv",
     .mid = {"mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"},
     .attention = {"group_norm", "to_q", "to_k", "to_v", "to_out.0"},
     .shortcut = "conv_shortcut",
     .norm_out = "conv_norm_out",
     .attention_matrix = true,
     .smallest_first = true,
     .out_kernel = 3},
    {.down = "down_blocks.%d.resnets.%d",
     .up = "up_blocks.%d.resnets.%d",
     .halve = "down_blocks.%d.downsamplers.0.conv",
     .twice = "up_blocks.%d.upsamplers.0.conv",
     .mid = {"mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"},
     .attention = {"group_norm", "query", "key", "value", "proj_attn"}, /* old names */
     .shortcut = "conv_shortcut",
     .norm_out = "conv_norm_out",
     .attention_matrix = true,
     .smallest_first = true,
     .out_kernel = 3}};
