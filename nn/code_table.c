/* SPDX-License-Identifier: MIT */
/* code_table.c: see code_table.h. */
#include "code_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Devices may take another code where the margin is below this share of (|x| + |code|)^2: some 50
 * times what float32 arithmetic was seen to move a margin by. */
static const double tie_share = 1e-5;

void tsr_code_table_load(tsr_weight_loader *l, const char *name, tsr_code_table *t) {
    if (l->status) return;
    const tsr_weight *w = tsr_weights_find(l->weights, name);
    const char *other = tsr_weights_other(l->weights, name); /* of a type that no family reads */
    char got[96];
    if (w && w->tensor.rank == 2 && w->tensor.dim[0] <= 1 << 24)
        tsr_load_weight(l, "", name, 2, w->tensor.dim, &t->codes);
    else
        l->status = tsr_fail(l->ctx, TSR_ERROR_MODEL,
                             "%s: tensor %s: wanted [codes, numbers], got %s", l->path, name,
                             w       ? tsr_shape_text(&w->tensor, got, sizeof got)
                             : other ? other
                                     : "none");
}

/* A table of the model's own among its weights. */
static tsr_status add_table(tsr_context *ctx, tsr_weights *weights, const tsr_weight *codes,
                            const char *what, float *data, int64_t rows, int64_t columns,
                            tsr_weight **where) {
    char name[300];
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, 2, (int64_t[]){rows, columns});
    snprintf(name, sizeof name, "(%s of %.200s)", what, codes->name);
    tsr_status status = tsr_weights_add(ctx, weights, name, &t);
    return status ? status : tsr_weights_get(ctx, weights, name, 2, t.dim, where);
}

tsr_status tsr_code_table_prepare(tsr_context *ctx, tsr_weights *weights, bool normalised,
                                  bool soft, tsr_code_table *t) {
    const int64_t k = t->codes->tensor.dim[0], d = t->codes->tensor.dim[1];
    tsr_status status = tsr_weight_pin(ctx, t->codes);
    if (status) return status;
    t->rows = t->codes;
    t->normalised = normalised;
    for (int i = 0; i < 2; ++i) {
        if (!(i ? soft : normalised)) continue;
        t->own[i] = tsr_alloc(ctx, (size_t)(k * d), sizeof(float), "codebook");
        if (!t->own[i]) return TSR_ERROR_MEMORY;
    }
    t->own[2] = tsr_alloc(ctx, (size_t)k, sizeof(float), "codebook");
    if (!t->own[2]) return TSR_ERROR_MEMORY;
    tsr_code_squares(t->codes->f32, k, d, t->own[2]);
    status = add_table(ctx, weights, t->codes, "squares", t->own[2], k, 1, &t->squares);
    for (int64_t row = 0; row < k; ++row) {
        const float *code = t->codes->f32 + row * d;
        double length = 0;
        for (int64_t i = 0; i < d; ++i)
            length += (double)code[i] * (double)code[i];
        length = sqrt(length);
        if (length > t->longest) t->longest = length;
        for (int64_t i = 0; i < d && normalised; ++i)
            t->own[0][row * d + i] = (float)(code[i] / fmax(length, 1e-12));
        for (int64_t i = 0; i < d && soft; ++i)
            t->own[1][i * k + row] = code[i];
    }
    if (!status && normalised) {
        t->longest = 1;
        status = add_table(ctx, weights, t->codes, "rows", t->own[0], k, d, &t->rows);
    }
    if (!status && soft)
        status = add_table(ctx, weights, t->codes, "transpose", t->own[1], d, k, &t->mix);
    return status;
}

void tsr_code_table_drop(tsr_code_table *t) {
    for (int i = 0; i < 3; ++i)
        free(t->own[i]);
    *t = (tsr_code_table){0};
}

void tsr_code_table_search(tsr_run *r, const tsr_code_table *t, tsr_tensor *x, tsr_tensor **ids,
                           tsr_tensor **margin, tsr_tensor **square) {
    *ids = tsr_nearest_code(r, x, tsr_from_weight(r, t->codes), tsr_from_weight(r, t->squares),
                            t->normalised ? TSR_METRIC_COSINE : TSR_METRIC_EUCLID, margin);
    *square = tsr_reduce(r, x, TSR_REDUCE_SUMSQ);
}

tsr_status tsr_code_table_near_ties(tsr_context *ctx, const tsr_code_table *t, const float *margin,
                                    const float *square, int64_t n, uint64_t *near_ties) {
    uint64_t near = 0;
    for (int64_t i = 0; i < n; ++i) {
        if (!isfinite(square[i])) return tsr_not_finite(ctx, "latents", square[i]);
        const double length = (t->normalised ? 1 : sqrt((double)square[i])) + t->longest;
        near += !((double)margin[i] >= tie_share * length * length); /* NaN is near, too */
    }
    *near_ties += near;
    return TSR_OK;
}

tsr_tensor *tsr_code_table_rows(tsr_run *r, const tsr_code_table *t, const tsr_tensor *ids) {
    return tsr_gather_rows(r, tsr_from_weight(r, t->rows), ids);
}

tsr_tensor *tsr_code_table_mix(tsr_run *r, const tsr_code_table *t, const tsr_tensor *logits) {
    return tsr_linear(r, tsr_softmax(r, logits), t->mix, NULL);
}
