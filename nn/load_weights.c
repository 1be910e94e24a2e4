/* SPDX-License-Identifier: MIT */
/* load_weights.c: finding the tensors that a model names. */
#include "load_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Finds a tensor of the file. */
static tsr_status find_weight(tsr_weight_loader *l, const char *name, int rank, const int64_t *dim,
                              tsr_weight **where) {
    tsr_weight *w = tsr_weights_find(l->weights, name);
    const tsr_tensor asked = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    char wanted[96], got[96];
    tsr_shape_text(&asked, wanted, sizeof wanted);
    if (!w)
        return tsr_fail(l->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted %s, got none", l->path,
                        name, wanted);
    bool fits = w->tensor.rank == rank;
    for (int i = 0; fits && i < rank; ++i)
        fits = dim[i] == w->tensor.dim[i];
    if (!fits)
        return tsr_fail(l->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted %s, got %s", l->path, name,
                        wanted, tsr_shape_text(&w->tensor, got, sizeof got));
    for (int i = 0; i < rank; ++i) /* sizes are the file's own, where no configuration has them */
        if (dim[i] < 1)
            return tsr_fail(l->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted no size of 0, got %s",
                            l->path, name, wanted);
    *where = w;
    if (l->loaded && l->found < tsr_weights_count(l->weights)) l->loaded[l->found] = w;
    l->found++;
    return TSR_OK;
}

void tsr_load_weight(tsr_weight_loader *l, const char *prefix, const char *suffix, int rank,
                     const int64_t *dim, tsr_weight **where) {
    char name[512];
    if (l->status) return;
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    l->status =
        l->fn ? l->fn(l->user, name, rank, dim, where) : find_weight(l, name, rank, dim, where);
}

void tsr_load_layer(tsr_weight_loader *l, const char *prefix, const char *part, int rank,
                    const int64_t *dim, tsr_weight **weight, tsr_weight **bias) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    tsr_load_weight(l, name, ".weight", rank, dim, weight);
    if (bias) tsr_load_weight(l, name, ".bias", 1, dim, bias);
}

/* ---- a whole model ---- */

static int by_address(const void *a, const void *b) {
    const tsr_weight *x = *(const tsr_weight *const *)a, *y = *(const tsr_weight *const *)b;
    return (x > y) - (x < y);
}

static bool is_ignored(const char *name, const char *const *ignored) {
    for (; ignored && *ignored; ++ignored)
        if (!strncmp(name, *ignored, strlen(*ignored))) return true;
    return false;
}

tsr_weight_loader tsr_load_all_begin(tsr_context *ctx, tsr_weights *weights, const char *path) {
    tsr_weight_loader l = {.ctx = ctx, .weights = weights, .path = path};
    l.loaded = tsr_alloc(ctx, (size_t)tsr_weights_count(weights) + 1, sizeof *l.loaded, "tensors");
    if (!l.loaded) l.status = TSR_ERROR_MEMORY;
    return l;
}

tsr_status tsr_load_all_end(tsr_weight_loader *l, const char *const *ignored) {
    const int count = tsr_weights_count(l->weights);
    const size_t found = (size_t)(l->found < count ? l->found : count);
    int extra = 0;
    const char *first = "";
    if (l->loaded) qsort(l->loaded, found, sizeof *l->loaded, by_address);
    for (int i = 0; i < count && !l->status; ++i) {
        const tsr_weight *w = tsr_weights_at(l->weights, i);
        if (is_ignored(w->name, ignored) ||
            bsearch(&w, l->loaded, found, sizeof *l->loaded, by_address))
            continue;
        if (extra++ == 0) first = w->name;
    }
    free(l->loaded);
    l->loaded = NULL;
    if (extra)
        l->status = tsr_fail(l->ctx, TSR_ERROR_MODEL,
                             "%s: tensor %s: wanted none of this name, got one (%d that belong to "
                             "nothing)",
                             l->path, first, extra);
    return l->status;
}

/* ---- weights of a file ---- */

tsr_status tsr_file_weights(tsr_context *ctx, const tsr_safetensors *file, tsr_weights **weights) {
    static const tsr_weight_source mapped = {.mapped = true}, memory = {0};
    tsr_status status = tsr_weights_open(ctx, weights);
    for (int i = 0; i < tsr_safetensors_count(file) && !status; ++i) {
        const tsr_tensor *t = tsr_safetensors_tensor(file, i);
        const bool in_file = tsr_safetensors_is_mapped(file, i);
        if (t->dtype == TSR_DTYPE_F32 || t->dtype == TSR_DTYPE_F16 || t->dtype == TSR_DTYPE_BF16)
            status = tsr_weights_add_lazy(ctx, *weights, tsr_safetensors_name(file, i), t,
                                          in_file ? &mapped : &memory);
    }
    if (status) tsr_weights_close(weights);
    return status;
}
