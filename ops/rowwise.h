/* SPDX-License-Identifier: MIT */
/* rowwise.h: what the ops that work row by row share: argument checks with one wording, f32 sums
 * whose order depends on the length alone, and the shape of their GPU grids. */
#ifndef OPS_ROWWISE_H
#define OPS_ROWWISE_H

#include <limits.h>
#include <string.h>

#include "../compute/op.h"
#include "ops.h"

/* ---- argument checks: false once the run has failed; the first failure's text stands ----------
 */

/* Checks that x is a tensor of this dtype with at least min_rank dimensions. `what` begins the
 * detail text. */
static inline bool want_tensor(tsr_run *r, const char *what, const tsr_tensor *x, tsr_dtype dtype,
                               int min_rank) {
    if (tsr_run_is_failed(r)) return false;
    if (!x || x->rank == 0) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted a tensor, got none", what);
        return false;
    }
    if (x->dtype != dtype) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted dtype %s, got %s", what,
                     tsr_dtype_name(dtype), tsr_dtype_name(x->dtype));
        return false;
    }
    char text[96];
    if (x->rank < min_rank) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted at least %d dimensions, got %s", what,
                     min_rank, tsr_shape_text(x, text, sizeof text));
        return false;
    }
    /* The ops number elements with 32 bits, as the shaders do. */
    int64_t n = 1;
    for (int i = 0; i < x->rank; ++i) {
        if (x->dim[i] <= 0) {
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted dimensions of at least 1, got %s", what,
                         tsr_shape_text(x, text, sizeof text));
            return false;
        }
        if (x->dim[i] > INT32_MAX / n) {
            tsr_run_fail(r, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d elements, got %s", what,
                         INT32_MAX, tsr_shape_text(x, text, sizeof text));
            return false;
        }
        n *= x->dim[i];
    }
    return true;
}

/* Checks that x is a tensor of 4-byte elements, F32 or I32, for ops that only move them. */
static inline bool want_words(tsr_run *r, const char *what, const tsr_tensor *x, int min_rank) {
    bool integer = x && x->rank > 0 && x->dtype == TSR_DTYPE_I32;
    return want_tensor(r, what, x, integer ? TSR_DTYPE_I32 : TSR_DTYPE_F32, min_rank);
}

/* Checks that an output of this shape has no more elements than 31 bits can number. */
static inline bool want_size(tsr_run *r, const char *op, int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) {
        if (dim[i] > INT32_MAX / n) {
            tsr_run_fail(r, TSR_ERROR_TOO_LARGE, "%s: output: wanted at most %d elements, got more",
                         op, INT32_MAX);
            return false;
        }
        n *= dim[i];
    }
    return true;
}

/* True if the run executes on the cpu device. */
static inline bool on_cpu(const tsr_run *r) {
    return tsr_device_properties(tsr_run_device(r))->kind == TSR_DEVICE_CPU;
}

/* Checks that every id is in least .. end - 1. Values are known only on the cpu device, where an op
 * executes at once; on vulkan this passes. */
static inline bool want_ids(tsr_run *r, const char *op, const tsr_tensor *ids, int64_t least,
                            int64_t end) {
    if (!on_cpu(r) || !ids->data) return true;
    const int32_t *id = ids->data;
    for (int64_t i = 0; i < tsr_elements(ids); ++i)
        if (id[i] < least || id[i] >= end) {
            tsr_run_fail(r, TSR_ERROR_TOKENS, "%s: id %lld: wanted %lld..%lld, got %d", op,
                         (long long)i, (long long)least, (long long)end - 1, id[i]);
            return false;
        }
    return true;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Running sums of a row, added as a tree at the end: the compiler vectorises them, and the order of
 * additions depends on the row's length alone. */
#define LANES 16

/* Sum of the running sums, as a tree. */
static inline float lanes_total(const float *lane) {
    float s[LANES];
    for (int i = 0; i < LANES; ++i)
        s[i] = lane[i];
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; ++i)
            s[i] += s[i + width];
    return s[0];
}

/* ---- splitting rows over threads ----------------------------------------------------------- */

/* Rows of a tile of about 16,384 elements, at least one; depends on the row length alone. */
static inline int64_t rows_per_tile(int64_t cols) {
    int64_t rows = 16384 / (cols > 0 ? cols : 1);
    return rows > 0 ? rows : 1;
}
/* Tiles that `items` need. */
static inline int64_t tile_count(int64_t items, int64_t per_tile) {
    return (items + per_tile - 1) / per_tile;
}

/* ---- GPU grids --------------------------------------------------------------------------------
 */

#define GROUP_THREADS 128 /* as in vulkan_shaders/grid.glsl */
#define GROUP_LIMIT   65535
/* Some software drivers stop a shader's loops after 65,535 rounds. */
#define LOOP_LIMIT 60000

/* Spreads `groups` workgroups over x and y of the grid. */
static inline void grid_set(tsr_gpu_dispatch *d, int64_t groups) {
    int64_t y = tile_count(groups, GROUP_LIMIT);
    d->groups[0] = (uint32_t)tile_count(groups, y);
    d->groups[1] = (uint32_t)y;
    d->groups[2] = 1;
}

/* Threads that share a row: a power of two that depends on the row's length alone, so that results
 * are the same for every number of rows. */
static inline uint32_t row_threads(int64_t cols) {
    uint32_t threads = 1;
    while (threads < GROUP_THREADS && (int64_t)threads * 4 < cols)
        threads *= 2;
    return threads;
}

/* Constants 8..13 of a shader with coopmat.glsl: tile and matrices. */
enum { COOPMAT_DEPTH = 32, COOPMAT_SPECS = 14 };
/* Edge of the output tile of a workgroup. */
static inline uint32_t coopmat_tile(const tsr_gpu_caps *caps) {
    return caps->software ? 32 : 64; /* a software driver compiles each matrix for itself */
}

/* True if cooperative matrices serve a product of n columns: the device has them, and shared memory
 * for a tile; n fills a good part of a tile; and a software device has no `rival` form. */
static inline bool coopmat_fits(const tsr_gpu_caps *caps, const char *variant, int64_t n,
                                bool rival) {
    uint32_t tile = coopmat_tile(caps), bytes = tile * tile * 4 + tile * (COOPMAT_DEPTH + 8) * 4;
    return caps->subgroup_ops && caps->matrix[0] && caps->matrix[0] * 2 <= tile &&
           caps->matrix[1] * 2 <= tile && caps->max_shared_bytes >= bytes &&
           caps->max_workgroup >= 4 * caps->matrix_subgroup && n > 16 &&
           !(caps->software && rival) && caps->allowed(caps->device, variant);
}

/* Fills specialisation constants 8..13. */
static inline void coopmat_spec(const tsr_gpu_caps *caps, uint32_t *spec) {
    uint32_t tile = coopmat_tile(caps);
    spec[8] = spec[9] = tile;
    spec[10] = COOPMAT_DEPTH;
    memcpy(spec + 11, caps->matrix, sizeof caps->matrix);
}

/* Names of the shader variants of linear or conv2d. [0] has f32 weights, [1] f16 weights. */
typedef struct product_variants {
    const char *sg[2];              /* subgroup broadcast */
    const char *sg64[2];            /* subgroup broadcast of 64-bit words (wide.glsl) */
    const char *sm[2];              /* shared memory */
    const char *coopmat;            /* cooperative matrices, f16 weights */
    uint32_t threads, shared_bytes; /* of sm */
} product_variants;

/* The variant that was chosen. */
typedef struct product_body {
    const char *variant;    /* NULL: the device can run none */
    bool half, sm, coopmat; /* f16 weights; shared memory; cooperative matrices */
} product_body;

/* Chooses a variant for a product of n columns: f16 weights where --precision fast allows them and
 * a variant can run. The choice does not depend on the number of rows, so that a batch of any size
 * gives the same bits. */
static inline product_body product_choose(const tsr_gpu_caps *caps, const product_variants *v,
                                          int64_t n, bool longs) {
    /* Mesa's software driver fetches component by component: fewer, longer ones. */
    longs = longs && caps->software && caps->int64;
    for (int half = caps->fp16; half >= 0; --half) {
        bool sg = caps->subgroup_ops && caps->allowed(caps->device, v->sg[half]);
        bool sm = caps->max_shared_bytes >= v->shared_bytes && caps->max_workgroup >= v->threads &&
                  caps->allowed(caps->device, v->sm[half]);
        if (half && coopmat_fits(caps, v->coopmat, n, sg))
            return (product_body){v->coopmat, .half = true, .coopmat = true};
        if (sm && !(sg && caps->software)) /* a software driver's shared memory is slow */
            return (product_body){v->sm[half], .half = half, .sm = true};
        if (sg) return (product_body){longs ? v->sg64[half] : v->sg[half], .half = half};
    }
    return (product_body){0};
}

/* Sets the push constants of a dispatch. */
static inline void dispatch_push(tsr_gpu_dispatch *d, const void *bytes, size_t count) {
    memcpy(d->push, bytes, count);
    d->push_bytes = (uint32_t)count;
}

/* Binds one more tensor, by its code in tsr_gpu_dispatch.bind. */
static inline void dispatch_bind(tsr_gpu_dispatch *d, int binding) {
    d->bind[d->bind_count++] = (uint8_t)binding;
}

enum { BIND_IN = 0, BIND_OUT = 8, BIND_TABLE = 16 };

#endif
