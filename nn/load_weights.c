/* SPDX-License-Identifier: MIT */
/* load_weights.c: names tensors, and finds them. */
#include "load_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_want(const tsr_wanted *wanted, const char *prefix, const char *suffix, int rank,
                    const int64_t *dim, tsr_weight **where) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    return wanted->fn(wanted->user, name, rank, dim, where);
}

tsr_status tsr_want_layer(const tsr_wanted *wanted, const char *prefix, const char *part, int rank,
                          const int64_t *dim, bool bias, tsr_weight **weight,
                          tsr_weight **bias_where) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    tsr_status status = tsr_want(wanted, name, ".weight", rank, dim, weight);
    if (!status && bias) status = tsr_want(wanted, name, ".bias", 1, dim, bias_where);
    return status;
}

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

tsr_status tsr_wanted_load(void *loader, const char *name, int rank, const int64_t *dim,
                           tsr_weight **where) {
    tsr_wanted_loader *l = loader;
    tsr_weight *w = tsr_weights_find(l->weights, name);
    const tsr_tensor want = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    char wanted[96], got[96];
    tsr_shape_text(&want, wanted, sizeof wanted);
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
    if (l->taken && l->found < tsr_weights_count(l->weights)) l->taken[l->found] = w;
    l->found++;
    return TSR_OK;
}

static int by_address(const void *a, const void *b) {
    const tsr_weight *x = *(const tsr_weight *const *)a, *y = *(const tsr_weight *const *)b;
    return (x > y) - (x < y);
}

static bool is_ignored(const char *name, const char *const *ignored) {
    for (; ignored && *ignored; ++ignored)
        if (!strncmp(name, *ignored, strlen(*ignored))) return true;
    return false;
}

tsr_status tsr_wanted_load_all(tsr_context *ctx, tsr_weights *weights, const char *path,
                               const char *const *ignored,
                               tsr_status (*name_all)(void *user, const tsr_wanted *wanted),
                               void *user) {
    const int count = tsr_weights_count(weights);
    tsr_wanted_loader loader = {.ctx = ctx, .weights = weights, .path = path};
    loader.taken = tsr_alloc(ctx, (size_t)count + 1, sizeof *loader.taken, "tensors");
    if (!loader.taken) return TSR_ERROR_MEMORY;
    tsr_status status = name_all(user, &(tsr_wanted){tsr_wanted_load, &loader});
    const size_t found = (size_t)(loader.found < count ? loader.found : count);
    qsort(loader.taken, found, sizeof *loader.taken, by_address);
    int extra = 0;
    const char *first = "";
    for (int i = 0; i < count && !status; ++i) {
        const tsr_weight *w = tsr_weights_at(weights, i);
        if (is_ignored(w->name, ignored) ||
            bsearch(&w, loader.taken, found, sizeof *loader.taken, by_address))
            continue;
        if (extra++ == 0) first = w->name;
    }
    free(loader.taken);
    if (extra)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor %s: wanted none of this name, got one (%d that belong to "
                        "nothing)",
                        path, first, extra);
    return status;
}
