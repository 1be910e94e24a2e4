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

/* The lanes of a subgroup that share a row in a shader with subgroup_rows.glsl, each with four
 * elements at a time: a power of two that depends on the row's length alone. Across 32 lanes AMD's
 * chips exchange numbers in one instruction, across 64 in a loop. */
enum { SHUFFLED = 32 };
static inline uint32_t subgroup_row_threads(const tsr_gpu_caps *caps, int64_t cols) {
    uint32_t threads = 1;
    while (threads * 2 <= caps->subgroup_size && threads < SHUFFLED && (int64_t)threads * 4 < cols)
        threads *= 2;
    return threads;
}

/* True if such a shader, by its variant's name, can run. */
static inline bool subgroup_rows_fit(const tsr_gpu_caps *caps, const char *variant) {
    return caps->subgroup_ops && caps->subgroup_size <= GROUP_THREADS &&
           GROUP_THREADS % caps->subgroup_size == 0 && caps->allowed(caps->device, variant);
}

/* Two push constants that divide numbers below 2^31 by d, 1 to 2^31 - 1, in shaders with
 * divide.glsl. */
typedef struct divisor {
    uint32_t magic, shift;
} divisor;

static inline divisor divisor_of(uint32_t d) {
    uint32_t shift = 0;
    while (((uint64_t)1 << shift) < d)
        ++shift;
    return (divisor){(uint32_t)(((uint64_t)1 << (31 + shift)) / d + 1), shift};
}

/* Bits of tsr_op.halves. */
static inline uint32_t half_in(int i) {
    return 1u << i;
}
static inline uint32_t half_out(int i) {
    return 1u << (TSR_CALL_TENSORS + i);
}
static inline bool is_half(const tsr_tensor *t) {
    return t && t->dtype == TSR_DTYPE_F16;
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
