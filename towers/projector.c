/* SPDX-License-Identifier: MIT */
/* projector.c: see projector.h. */
#include "projector.h"

#include <stdio.h>
#include <string.h>

/* First weight whose name ends with `suffix`, after nothing or a point. */
static tsr_weight *find_suffix(tsr_weights *weights, const char *suffix) {
    const size_t tail = strlen(suffix);
    for (int i = 0; i < tsr_weights_count(weights); ++i) {
        tsr_weight *w = tsr_weights_at(weights, i);
        const size_t size = strlen(w->name);
        if (size >= tail && !strcmp(w->name + size - tail, suffix) &&
            (size == tail || w->name[size - tail - 1] == '.'))
            return w;
    }
    return NULL;
}

void tsr_projector_load(tsr_weight_loader *l, int64_t width, tsr_projector *p) {
    static const char *const names[2][2] = {
        {"multi_modal_projector.linear_1", "multi_modal_projector.linear_2"},
        {"mm_projector.0", "mm_projector.2"}};
    char first[64];
    for (int i = 0; i < 2 && !l->status && !p->width; ++i) {
        snprintf(first, sizeof first, "%s.weight", names[i][0]);
        const tsr_weight *w = find_suffix(l->weights, first);
        if (!w) continue;
        char before[512], second[600];
        snprintf(before, sizeof before, "%.*s", (int)(strlen(w->name) - strlen(first)), w->name);
        snprintf(second, sizeof second, "%s%s.weight", before, names[i][1]);
        const tsr_weight *v = tsr_weights_find(l->weights, second);
        const int64_t inner = w->tensor.dim[0], out = v ? v->tensor.dim[0] : inner;
        tsr_load_layer(l, before, names[i][0], 2, (int64_t[]){inner, width}, &p->fc1, &p->fc1_bias);
        tsr_load_layer(l, before, names[i][1], 2, (int64_t[]){out, inner}, &p->fc2, &p->fc2_bias);
        p->width = out;
    }
    static const char *const others[] = {"mm_projector.weight", "mm_projector.4.weight"};
    for (int i = 0; i < 2 && !l->status; ++i)
        if (find_suffix(l->weights, others[i]))
            l->status =
                tsr_fail(l->ctx, TSR_ERROR_UNSUPPORTED,
                         "%s: tensor %s: wanted a projector of two layers (mlp2x_gelu), got "
                         "another kind",
                         l->path, others[i]);
    const tsr_weight *newline = find_suffix(l->weights, "image_newline");
    if (newline && p->width && !l->status)
        tsr_load_weight(l, newline->name, "", 1, &p->width, &p->newline);
}

tsr_tensor *tsr_projector_run(tsr_run *r, const tsr_projector *p, const tsr_tensor *x) {
    x = tsr_linear(r, x, p->fc1, &(tsr_epilogue){.bias = p->fc1_bias, .act = TSR_ACT_GELU});
    return tsr_linear(r, x, p->fc2, &(tsr_epilogue){.bias = p->fc2_bias});
}

tsr_grid_size tsr_pool_size(tsr_pool pool, tsr_grid_size size) {
    const int64_t up = pool == TSR_POOL_BILINEAR;
    return (tsr_grid_size){(size.rows + up) / 2, (size.columns + up) / 2};
}

/* Mean or maximum of cells (2y, 2x) .. (2y + 1, 2x + 1). */
static void pool_cell(tsr_pool pool, const float *from, int64_t columns, int64_t channels,
                      float *to) {
    for (int64_t c = 0; c < channels; ++c) {
        const float a = from[c], b = from[channels + c];
        const float d = from[columns * channels + c], e = from[(columns + 1) * channels + c];
        const float ab = a > b ? a : b, de = d > e ? d : e;
        to[c] = pool == TSR_POOL_MAX ? (ab > de ? ab : de) : (a + b + d + e) / 4;
    }
}

tsr_status tsr_pool_grids(tsr_context *ctx, tsr_pool pool, const float *from, int64_t frames,
                          tsr_grid_size size, int64_t channels, float *to) {
    const tsr_grid_size made = tsr_pool_size(pool, size);
    tsr_status status = TSR_OK;
    for (int64_t f = 0; f < frames && !status; ++f) {
        const float *grid = from + f * size.rows * size.columns * channels;
        float *out = to + f * made.rows * made.columns * channels;
        if (pool == TSR_POOL_BILINEAR) {
            status = tsr_grid_resize(ctx, grid, size, channels, TSR_GRID_BILINEAR, out, made);
            continue;
        }
        for (int64_t y = 0; y < made.rows; ++y)
            for (int64_t x = 0; x < made.columns; ++x)
                pool_cell(pool, grid + (2 * y * size.columns + 2 * x) * channels, size.columns,
                          channels, out + (y * made.columns + x) * channels);
    }
    return status;
}
