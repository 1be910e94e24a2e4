/* SPDX-License-Identifier: MIT */
/* folded_norm.c: y = (x - mean) / sqrt(variance + eps) * gamma + beta as one factor and one
 * summand, computed in double. */
#include "folded_norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void tsr_load_batch_norm(tsr_weight_loader *l, const char *prefix, const char *part,
                         int64_t channels, tsr_batch_norm *norm) {
    char name[256];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    tsr_load_weight(l, name, ".weight", 1, &channels, &norm->gamma);
    tsr_load_weight(l, name, ".bias", 1, &channels, &norm->beta);
    tsr_load_weight(l, name, ".running_mean", 1, &channels, &norm->mean);
    tsr_load_weight(l, name, ".running_var", 1, &channels, &norm->variance);
}

/* Factor and summand of each channel. */
static void compute(tsr_folder *f, const tsr_batch_norm *n, float **scale, float **shift) {
    const tsr_weight *const part[4] = {n->gamma, n->beta, n->mean, n->variance};
    const int64_t c = tsr_elements(&n->gamma->tensor);
    const float *v[4] = {NULL};
    *scale = tsr_scratch_take(&f->made, (size_t)c, sizeof **scale, "norm");
    *shift = tsr_scratch_take(&f->made, (size_t)c, sizeof **shift, "norm");
    for (int i = 0; i < 4 && !f->made.status; ++i)
        f->made.status = tsr_weight_borrow(f->made.ctx, part[i], &v[i]);
    for (int64_t i = 0; i < c && !f->made.status; ++i) {
        const double s = (double)v[0][i] / sqrt((double)v[3][i] + f->eps);
        (*scale)[i] = (float)s;
        (*shift)[i] = (float)((double)v[1][i] - (double)v[2][i] * s);
    }
    for (int i = 0; i < 4; ++i)
        if (v[i]) tsr_weight_return(part[i], v[i]);
}

/* Adds a weight in the folder's memory under a name that no file has. */
static void add(tsr_folder *f, const char *what, const char *of, float *data, int rank,
                const int64_t *dim, tsr_weight **where) {
    char name[300];
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    if (f->made.status) return;
    snprintf(name, sizeof name, "(%s of %.200s)", what, of);
    f->made.status = tsr_weights_add(f->made.ctx, f->weights, name, &t);
    if (!f->made.status) *where = tsr_weights_find(f->weights, name);
}

void tsr_fold_alone(tsr_folder *f, const tsr_batch_norm *norm, tsr_affine *affine) {
    float *scale, *shift;
    if (f->made.status) return;
    const int64_t c = tsr_elements(&norm->gamma->tensor);
    compute(f, norm, &scale, &shift);
    add(f, "scale", norm->gamma->name, scale, 1, &c, &affine->scale);
    add(f, "shift", norm->gamma->name, shift, 1, &c, &affine->shift);
}

/* ---- convolutions ---- */

/* Whose values a folded weight has. */
typedef struct folding {
    tsr_weight_source source; /* first, so that its address is the folding's */
    const tsr_weight *conv;
    const float *scale;
    int64_t per; /* elements of an output channel */
} folding;

static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    const folding *g = user;
    const tsr_weight_source *from = g->conv->source;
    if (from && from->fill) {
        const tsr_status status = from->fill(ctx, from->user, g->conv->name, first, count, f32);
        if (status) return status;
    } else {
        const float *values;
        const tsr_status status = tsr_weight_borrow(ctx, g->conv, &values);
        if (status) return status;
        memcpy(f32, values + first, (size_t)count * sizeof *f32);
        tsr_weight_return(g->conv, values);
    }
    (void)name;
    for (int64_t i = 0; i < count; ++i)
        f32[i] *= g->scale[(first + i) / g->per];
    return TSR_OK;
}

void tsr_fold(tsr_folder *f, const tsr_weight *conv, const tsr_batch_norm *norm,
              tsr_folded *folded) {
    char name[300];
    float *scale, *shift;
    if (f->made.status) return;
    compute(f, norm, &scale, &shift);
    folding *g = tsr_scratch_take(&f->made, 1, sizeof *g, "norm");
    const int64_t n = conv->tensor.dim[0];
    if (f->made.status) return;
    *g = (folding){{fill, g}, conv, scale, tsr_elements(&conv->tensor) / n};
    tsr_tensor t = conv->tensor;
    t.dtype = TSR_DTYPE_F32;
    t.data = NULL;
    snprintf(name, sizeof name, "(folded %.200s)", conv->name);
    f->made.status = tsr_weights_add_lazy(f->made.ctx, f->weights, name, &t, &g->source);
    if (!f->made.status) folded->weight = tsr_weights_find(f->weights, name);
    add(f, "bias", conv->name, shift, 1, &n, &folded->bias);
}

void tsr_fold_depthwise(tsr_folder *f, const tsr_weight *conv, const tsr_batch_norm *norm,
                        tsr_folded *folded) {
    float *scale, *shift;
    const float *values = NULL;
    if (f->made.status) return;
    const int64_t c = conv->tensor.dim[0], places = conv->tensor.dim[2] * conv->tensor.dim[3];
    compute(f, norm, &scale, &shift);
    float *kernel = tsr_scratch_take(&f->made, (size_t)(c * places), sizeof *kernel, "norm");
    if (!f->made.status) f->made.status = tsr_weight_borrow(f->made.ctx, conv, &values);
    if (f->made.status) return;
    for (int64_t i = 0; i < c * places; ++i)
        kernel[i % places * c + i / places] = values[i] * scale[i / places];
    tsr_weight_return(conv, values);
    add(f, "folded", conv->name, kernel, 3,
        (int64_t[]){conv->tensor.dim[2], conv->tensor.dim[3], c}, &folded->weight);
    add(f, "bias", conv->name, shift, 1, &c, &folded->bias);
}
