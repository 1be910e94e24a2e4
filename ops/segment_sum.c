/* SPDX-License-Identifier: MIT */
/* segment_sum.c: sums and counts of the rows of each segment, for k-means. Float additions do not
 * commute in their rounding, so the order is fixed: rows are cut into chunks of CHUNK; inside a
 * chunk a segment's rows are added in ascending order, starting from 0; then the chunks' sums are
 * added in ascending order. Every device does exactly this, and only additions happen, so results
 * are the same bits everywhere. Chunks also keep the error small and the GPU's loops short. */
#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { CHUNK = 16384 }; /* the shader has the same number */
enum { OUT_SUMS, OUT_COUNTS, OUT_PARTIAL, OUT_STARTS, OUT_LIST };
enum { P_K };

static void reference(const tsr_call *call) {
    const float *x = call->in[0]->data;
    const int32_t *ids = call->in[1]->data;
    float *sums = call->out[OUT_SUMS]->data, *partial = call->out[OUT_PARTIAL]->data;
    int32_t *counts = call->out[OUT_COUNTS]->data;
    int64_t rows = tsr_elements(call->in[1]), cols = tsr_cols(call->in[0]), k = call->p.i[P_K];
    memset(sums, 0, (size_t)(k * cols) * sizeof *sums);
    memset(counts, 0, (size_t)k * sizeof *counts);
    for (int64_t first = 0; first < rows; first += CHUNK) {
        memset(partial, 0, (size_t)(k * cols) * sizeof *partial);
        for (int64_t n = first; n < rows && n < first + CHUNK; ++n) {
            if (ids[n] < 0 || ids[n] >= k) continue;
            counts[ids[n]]++;
            for (int64_t i = 0; i < cols; ++i)
                partial[ids[n] * cols + i] += x[n * cols + i];
        }
        for (int64_t i = 0; i < k * cols; ++i)
            sums[i] += partial[i];
    }
}

/* A tile is a block of columns: x is read from front to back, and the block's sums of all segments
 * stay in a cache. (Sorting the rows by segment first would let segments go in parallel too, but
 * then x is read in random order, which was ten times slower at 65,536 rows of 64.) */
enum { COLUMNS = 64 };

TSR_CLONES static void add_columns(const tsr_call *call, int64_t column, int64_t width) {
    int64_t rows = tsr_elements(call->in[1]), cols = tsr_cols(call->in[0]), k = call->p.i[P_K];
    const float *x = (const float *)call->in[0]->data + column;
    const int32_t *ids = call->in[1]->data;
    float *sums = (float *)call->out[OUT_SUMS]->data + column;
    float *partial = (float *)call->out[OUT_PARTIAL]->data + column * k; /* [k, width] */
    for (int64_t i = 0; i < k; ++i)
        memset(sums + i * cols, 0, (size_t)width * sizeof *sums);
    for (int64_t first = 0; first < rows; first += CHUNK) {
        memset(partial, 0, (size_t)(k * width) * sizeof *partial);
        for (int64_t n = first; n < rows && n < first + CHUNK; ++n) {
            if (ids[n] < 0 || ids[n] >= k) continue;
            float *to = partial + ids[n] * width;
            const float *from = x + n * cols;
            if (width == COLUMNS)
                for (int j = 0; j < COLUMNS; ++j)
                    to[j] += from[j];
            else
                for (int64_t j = 0; j < width; ++j)
                    to[j] += from[j];
        }
        for (int64_t i = 0; i < k; ++i)
            for (int64_t j = 0; j < width; ++j)
                sums[i * cols + j] += partial[i * width + j];
    }
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *call = arg;
    int64_t left = tsr_cols(call->in[0]) - t * COLUMNS;
    add_columns(call, t * COLUMNS, left < COLUMNS ? left : COLUMNS);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    const int32_t *ids = call->in[1]->data;
    int32_t *counts = call->out[OUT_COUNTS]->data;
    int64_t k = call->p.i[P_K];
    memset(counts, 0, (size_t)k * sizeof *counts);
    for (int64_t n = 0; n < tsr_elements(call->in[1]); ++n)
        if (ids[n] >= 0 && ids[n] < k) counts[ids[n]]++;
    tsr_parallel(tsr_device_context(device), tile_count(tsr_cols(call->in[0]), COLUMNS), tile,
                 (void *)call);
    return TSR_OK;
}

/* Counts and starts of each chunk's list, the list, its sums, the chunks together. */
enum { COUNT, START, LIST, ADD, TOTAL, PASSES };

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    int64_t rows = tsr_elements(call->in[1]), cols = tsr_cols(call->in[0]), k = call->p.i[P_K];
    int64_t chunks = tile_count(rows, CHUNK), segments = tile_count(k, GROUP_THREADS);
    int64_t sums = tile_count(k * cols, GROUP_THREADS);
    if (chunks > LOOP_LIMIT || 2 * segments + GROUP_THREADS > LOOP_LIMIT) return 0;
    uint32_t push[4] = {(uint32_t)rows, (uint32_t)cols, (uint32_t)k, (uint32_t)chunks};
    const int64_t groups[PASSES] = {segments, chunks, segments, sums, sums};
    for (int pass = 0; pass < PASSES; ++pass, ++d) {
        *d =
            (tsr_gpu_dispatch){.variant = "segment_sum", .spec = {(uint32_t)pass}, .spec_count = 1};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, BIND_IN);
        dispatch_bind(d, BIND_IN + 1);
        for (int i = OUT_SUMS; i <= OUT_LIST; ++i)
            dispatch_bind(d, BIND_OUT + i);
        grid_set(d, groups[pass]);
        if (pass != START && pass != TOTAL) d->groups[2] = (uint32_t)chunks;
    }
    return PASSES;
}

static const tsr_op op_segment_sum = {
    .name = "segment_sum", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_segment_sum(tsr_run *r, const tsr_tensor *x, const tsr_tensor *ids, int64_t k,
                            tsr_tensor **counts) {
    if (counts) *counts = NULL;
    bool good = want_tensor(r, "segment_sum: x", x, TSR_DTYPE_F32, 2) &&
                want_tensor(r, "segment_sum: ids", ids, TSR_DTYPE_I32, 1);
    if (good && (x->rank != 2 || tsr_elements(ids) != x->dim[0])) {
        char tx[96], ti[96];
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "segment_sum: wanted x [N, D] and ids [N], got %s and %s",
                     tsr_shape_text(x, tx, sizeof tx), tsr_shape_text(ids, ti, sizeof ti));
    } else if (good && (k < 1 || k > INT32_MAX / 2 || k > INT32_MAX / tsr_cols(x))) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "segment_sum: k: wanted 1 to %lld, got %lld",
                     (long long)(INT32_MAX / tsr_cols(x)), (long long)k);
    } else if (good && want_ids(r, "segment_sum", ids, -1, k)) {
        /* The cpu device needs the sums of one chunk at a time, a GPU makes all at once. */
        int64_t chunks = on_cpu(r) ? 1 : tile_count(x->dim[0], CHUNK);
        int64_t partial[3] = {chunks, k, tsr_cols(x)}, starts[2] = {chunks, k + 1};
        if (!want_size(r, "segment_sum", 3, partial) || !want_size(r, "segment_sum", 2, starts))
            return tsr_run_failed(r);
        tsr_call call = {.op = &op_segment_sum, .in = {x, ids}, .in_count = 2, .out_count = 3};
        call.p.i[P_K] = (int32_t)k;
        call.out[OUT_SUMS] = tsr_run_new(r, TSR_DTYPE_F32, 2, (int64_t[]){k, tsr_cols(x)});
        call.out[OUT_COUNTS] = tsr_run_new(r, TSR_DTYPE_I32, 1, &k);
        call.out[OUT_PARTIAL] = tsr_run_new(r, TSR_DTYPE_F32, 3, partial);
        if (!on_cpu(r)) {
            call.out_count = 5;
            call.out[OUT_STARTS] = tsr_run_new(r, TSR_DTYPE_I32, 2, starts);
            call.out[OUT_LIST] = tsr_run_new(r, TSR_DTYPE_I32, 2, (int64_t[]){chunks, CHUNK});
        }
        tsr_run_emit(r, &call);
        if (counts) *counts = call.out[OUT_COUNTS];
        return call.out[OUT_SUMS];
    }
    if (counts) *counts = tsr_run_failed(r);
    return tsr_run_failed(r);
}
