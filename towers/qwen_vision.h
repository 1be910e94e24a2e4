/* SPDX-License-Identifier: MIT */
/* qwen_vision.h: the inside of Qwen2-VL's towers, for the family and for verification. */
#ifndef TOWERS_QWEN_VISION_H
#define TOWERS_QWEN_VISION_H

#include "../nn/vit.h"
#include "qwen_patches.h"
#include "tower_config.h"

enum { TSR_QWEN_DEPTH = 64 };

typedef struct tsr_qwen_vision {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    char prefix[256]; /* before every name */

    int depth, heads;
    int64_t width, hidden, out; /* D, the MLP's, and the language model's */
    int64_t window;             /* cells along the side of a window; 0: every block sees all */
    bool whole[TSR_QWEN_DEPTH]; /* with windows: the block sees the whole frame pair */
    tsr_vit_layout layout;
    tsr_view view;

    tsr_weight *patches;                         /* [D, 3, 2, 14 * 14] */
    tsr_weight *merge_gamma, *merge_beta;        /* [D] */
    tsr_weight *fc1, *fc1_bias, *fc2, *fc2_bias; /* [4D, 4D], [4D], [P, 4D], [P] */
    tsr_vit_block block[TSR_QWEN_DEPTH];
} tsr_qwen_vision;

/* Opens a tower over weights. config and preprocessor: the objects of config.json and
 * preprocessor_config.json, or NULL. Takes over `weights`, also on failure. Close with
 * tsr_qwen_vision_close. Errors: MODEL, UNSUPPORTED, MEMORY. */
tsr_status tsr_qwen_vision_open(tsr_device *device, const cJSON *config, const cJSON *preprocessor,
                                tsr_weights *weights, const char *path, tsr_qwen_vision **tower);
/* Closes a tower; NULL and a NULL *tower are accepted. */
void tsr_qwen_vision_close(tsr_qwen_vision **tower);

/* Computes EMBEDDINGS, HIDDEN (both [N, D]) and PROJECTED [N / 4, P] of `count` frame pairs given
 * as rows [count, N, 3 * 2 * 14^2] in merge order, on a grid of even sides. Projected rows come in
 * merge order, the others in the order that the blocks see: merge order, or with windows window
 * by window. Errors: ARGUMENT, UNSUPPORTED, MEMORY, the device's. */
tsr_status tsr_qwen_vision_rows(const tsr_qwen_vision *t, const float *rows, int64_t count,
                                tsr_grid_size grid, const tsr_feature *list, int features);
/* Row of the merge order at each place of that order: order [N]. */
void tsr_qwen_vision_order(const tsr_qwen_vision *t, tsr_grid_size grid, int32_t *order);

#endif
