/* SPDX-License-Identifier: MIT */
/* load_weights.c: finding the tensors that a model names. */
#include "load_weights.h"

#include <math.h>
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
    const char *other = w ? NULL : tsr_weights_other(l->weights, name);
    if (other)
        return tsr_fail(
            l->ctx, TSR_ERROR_MODEL,
            "%s: tensor %s: wanted %s of F32, F16 or BF16, got %s (tessera model convert "
            "makes floats of what can become such)",
            l->path, name, wanted, other);
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

tsr_status tsr_load_part_end(tsr_weight_loader *l, const char *prefix, const char *const *ignored) {
    const int count = tsr_weights_count(l->weights);
    const size_t found = (size_t)(l->found < count ? l->found : count);
    int extra = 0;
    const char *first = "";
    if (l->loaded) qsort(l->loaded, found, sizeof *l->loaded, by_address);
    for (int i = 0; i < count && !l->status; ++i) {
        const tsr_weight *w = tsr_weights_at(l->weights, i);
        if (strncmp(w->name, prefix, strlen(prefix)) || is_ignored(w->name, ignored) ||
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

tsr_status tsr_load_all_end(tsr_weight_loader *l, const char *const *ignored) {
    return tsr_load_part_end(l, "", ignored);
}

tsr_status tsr_not_finite(tsr_context *ctx, const char *what, float value) {
    return tsr_fail(
        ctx, TSR_ERROR_MODEL,
        "model: %s: wanted values that are finite, got %g: its weights are too large for "
        "f32, or not those of this family",
        what, isnan(value) ? (double)NAN : (double)value); /* "-nan" would be of some machines */
}

/* ---- weights of a file ---- */

tsr_tensor tsr_file_weight(const tsr_safetensors *file, int index) {
    static const tsr_dtype floats[] = {TSR_DTYPE_F32, TSR_DTYPE_F16, TSR_DTYPE_BF16};
    tsr_tensor t = *tsr_safetensors_tensor(file, index);
    tsr_safetensors_info info;
    if (t.dtype != TSR_DTYPE_OTHER) return t;
    tsr_safetensors_describe(file, index, &info);
    for (int i = 0; i < 3 && info.rank > TSR_MAX_RANK; ++i) {
        if (strcmp(info.dtype, tsr_dtype_name(floats[i]))) continue;
        for (int d = TSR_MAX_RANK; d < info.rank; ++d)
            info.dim[TSR_MAX_RANK - 1] *= info.dim[d];
        return tsr_host_tensor(floats[i], t.data, TSR_MAX_RANK, info.dim);
    }
    return t;
}

/* fill of a tsr_weight_source whose user is the file. */
static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    const tsr_safetensors *file = user;
    const int index = tsr_safetensors_find(file, name);
    const tsr_dtype dtype = tsr_file_weight(file, index).dtype;
    const size_t width = tsr_dtype_bytes(dtype);
    /* Halves are read into the upper half of the floats' memory and widened from the front. */
    uint8_t *at = (uint8_t *)f32 + (size_t)count * (sizeof *f32 - width);
    tsr_status status =
        tsr_safetensors_read(ctx, file, index, (uint64_t)first * width, at, (size_t)count * width);
    for (int64_t i = 0; i < count && width == 2 && !status; ++i) {
        uint16_t h;
        memcpy(&h, at + 2 * i, 2);
        f32[i] = dtype == TSR_DTYPE_F16 ? tsr_f16_to_f32(h) : tsr_bf16_to_f32(h);
    }
    return status;
}

/* How a tensor is called that is no weight. The texts are the file's, or static. */
static const char *other_type(const tsr_safetensors *file, int index) {
    static const char *const ranks[] = {"a tensor of 5 dimensions", "a tensor of 6 dimensions",
                                        "a tensor of 7 dimensions", "a tensor of 8 dimensions"};
    tsr_safetensors_info info;
    tsr_safetensors_describe(file, index, &info);
    return info.rank > TSR_MAX_RANK ? ranks[info.rank - TSR_MAX_RANK - 1] : info.dtype;
}

tsr_status tsr_file_weights(tsr_context *ctx, const tsr_safetensors *file, tsr_weights **weights) {
    static const tsr_weight_source memory = {0};
    tsr_status status = tsr_weights_open(ctx, weights);
    tsr_weight_source *source = status ? NULL : tsr_alloc(ctx, 1, sizeof *source, "weights");
    if (!status && !source) status = TSR_ERROR_MEMORY;
    if (source) {
        *source = (tsr_weight_source){.fill = fill, .user = file};
        tsr_weights_own(*weights, source);
    }
    for (int i = 0; i < tsr_safetensors_count(file) && !status; ++i) {
        const tsr_tensor shape = tsr_file_weight(file, i), *t = &shape;
        const char *name = tsr_safetensors_name(file, i);
        if (t->dtype == TSR_DTYPE_F32 || t->dtype == TSR_DTYPE_F16 || t->dtype == TSR_DTYPE_BF16)
            status = tsr_weights_add_lazy(ctx, *weights, name, t, t->data ? &memory : source);
        else
            status = tsr_weights_note_other(ctx, *weights, name, other_type(file, i));
    }
    if (status) tsr_weights_close(weights);
    return status;
}
