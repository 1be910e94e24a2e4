/* SPDX-License-Identifier: MIT */
/* tower_set.c: what a tower made of a picture as a token set. */
#include "tower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tsr_status add_column(tsr_token_set *set, const char *name, tsr_token_axis axis, int rank,
                             const int64_t *dim, const float *data) {
    if (!data) return TSR_OK;
    tsr_token_array a = {
        .name = name, .type = TSR_ARRAY_F32, .axis = axis, .rank = rank, .data = data};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    return tsr_token_set_add(set, &a);
}

tsr_status tsr_tower_set(const tsr_tower *tower, const tsr_feature_request *q,
                         const tsr_picture_features *f, tsr_token_set **set) {
    const tsr_tower_info *info = tsr_tower_properties(tower);
    tsr_context *ctx = tower->model.ctx;
    const int64_t n = (int64_t)f->rows * f->columns, all = f->all;
    const int64_t d = info->channels, heads = info->heads;
    const bool square = q->attention == TSR_ATTENTION_FULL;
    float *zeros = f->features[0] ? NULL
                                  : tsr_alloc(ctx, (size_t)(n * f->channels), sizeof *zeros,
                                              "token set: features");
    if (!f->features[0] && !zeros) return TSR_ERROR_MEMORY;
    const int64_t grid[3] = {1, f->rows, f->columns};
    tsr_status status = tsr_token_set_create(ctx, zeros ? zeros : f->features[0], n, f->channels,
                                             f->positions ? NULL : grid, set);
    free(zeros);
    if (!status && f->positions)
        memcpy((*set)->positions, f->positions, (size_t)n * 3 * sizeof *f->positions);
    for (int i = 1; i < q->layer_count && !status; ++i) {
        char name[32];
        snprintf(name, sizeof name, "features.%d", tsr_tower_layer(tower, q->layers[i]));
        status = add_column(*set, name, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, d}, f->features[i]);
    }
    if (!status) status = add_column(*set, "class", TSR_TOKEN_AXIS_NONE, 1, &d, f->class_row);
    if (!status)
        status = add_column(*set, "keys", TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, d}, f->keys);
    if (!status)
        status = add_column(
            *set, "attention", square ? TSR_TOKEN_AXIS_SQUARE : TSR_TOKEN_AXIS_LAST, square ? 3 : 2,
            square ? (int64_t[]){heads, all, all} : (int64_t[]){heads, n, 0}, f->attention);
    return status;
}
