/* SPDX-License-Identifier: MIT */
/* movement.c: slices, concatenation and transposition. All are one thing: copy a box of n0 x n1 x
 * n2 elements between two strided views; concatenation is two such copies. Elements are 4 bytes
 * that nobody looks at, so NaN payloads and integers pass unchanged. */
#include "rowwise.h"

typedef struct box { /* lies in call.p.i, one for each copy */
    int32_t n[3];
    int32_t from, from_step[3]; /* in elements; step[2] is the innermost */
    int32_t to, to_step[3];
} box;
_Static_assert(2 * sizeof(box) <= sizeof(((tsr_call *)0)->p), "two boxes fit in a call");

static box get_box(const tsr_call *call, int copy) {
    box b;
    memcpy(&b, (const char *)call->p.i + (size_t)copy * sizeof b, sizeof b);
    return b;
}

static void reference(const tsr_call *call) {
    for (int copy = 0; copy < call->in_count; ++copy) {
        box b = get_box(call, copy);
        const uint32_t *from = call->in[copy]->data;
        uint32_t *to = call->out[0]->data;
        for (int64_t i = 0; i < b.n[0]; ++i)
            for (int64_t j = 0; j < b.n[1]; ++j)
                for (int64_t k = 0; k < b.n[2]; ++k)
                    to[b.to + i * b.to_step[0] + j * b.to_step[1] + k * b.to_step[2]] =
                        from[b.from + i * b.from_step[0] + j * b.from_step[1] + k * b.from_step[2]];
    }
}

#define BLOCK 32 /* a transposed block of 4 KiB on each side stays in the first-level cache */

typedef struct copy_job {
    box b;
    const uint32_t *from;
    uint32_t *to;
    int64_t rows; /* of n[1] in a tile */
} copy_job;

static void copy_tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const copy_job *job = arg;
    const box *b = &job->b;
    int64_t tiles = tile_count(b->n[1], job->rows), i = t / tiles;
    int64_t first = t % tiles * job->rows, end = first + job->rows;
    if (end > b->n[1]) end = b->n[1];
    const uint32_t *from = job->from + b->from + i * b->from_step[0];
    uint32_t *to = job->to + b->to + i * b->to_step[0];
    if (b->from_step[2] == 1 && b->to_step[2] == 1) {
        for (int64_t j = first; j < end; ++j)
            memcpy(to + j * b->to_step[1], from + j * b->from_step[1], (size_t)b->n[2] * 4);
        return;
    }
    for (int64_t k0 = 0; k0 < b->n[2]; k0 += BLOCK) {
        int64_t k1 = k0 + BLOCK < b->n[2] ? k0 + BLOCK : b->n[2];
        for (int64_t j = first; j < end; ++j)
            for (int64_t k = k0; k < k1; ++k)
                to[j * b->to_step[1] + k * b->to_step[2]] =
                    from[j * b->from_step[1] + k * b->from_step[2]];
    }
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    for (int copy = 0; copy < call->in_count; ++copy) {
        copy_job job = {get_box(call, copy), call->in[copy]->data, call->out[0]->data, BLOCK};
        if (job.b.from_step[2] == 1) job.rows = rows_per_tile(job.b.n[2]);
        int64_t tiles = job.b.n[0] * tile_count(job.b.n[1], job.rows);
        tsr_parallel(tsr_device_context(device), tiles, copy_tile, &job);
    }
    return TSR_OK;
}

enum { QUAD = 4 };

/* Turns a box of elements into one of words of four neighbours; false where it is none. */
static bool in_quads(box *b) {
    if (b->from_step[2] != 1 || b->to_step[2] != 1) return false;
    int32_t *numbers[] = {&b->n[2], &b->from,       &b->from_step[0], &b->from_step[1],
                          &b->to,   &b->to_step[0], &b->to_step[1]};
    enum { NUMBERS = sizeof numbers / sizeof *numbers };
    for (int i = 0; i < NUMBERS; ++i)
        if (*numbers[i] % QUAD) return false;
    for (int i = 0; i < NUMBERS; ++i)
        *numbers[i] /= QUAD;
    return true;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    for (int copy = 0; copy < call->in_count; ++copy, ++d) {
        box b = get_box(call, copy);
        const bool quads = in_quads(&b);
        *d = (tsr_gpu_dispatch){.variant = "movement",
                                .spec = {quads, is_half(call->in[copy]), is_half(call->out[0])},
                                .spec_count = 3};
        struct {
            box b;
            divisor n1, n2;
        } push = {b, divisor_of((uint32_t)b.n[1]), divisor_of((uint32_t)b.n[2])};
        dispatch_push(d, &push, sizeof push);
        dispatch_bind(d, BIND_IN + copy);
        dispatch_bind(d, BIND_OUT);
        grid_set(d, tile_count((int64_t)b.n[0] * b.n[1] * b.n[2], GROUP_THREADS));
    }
    return call->in_count;
}

static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    (void)caps;
    uint32_t able = half_out(0);
    for (int copy = 0; copy < call->in_count; ++copy) {
        box b = get_box(call, copy);
        if (!in_quads(&b)) return 0;
        able |= half_in(copy);
    }
    return able;
}

static const tsr_op op_movement = {.name = "movement",
                                   .reference = reference,
                                   .cpu = cpu,
                                   .gpu = gpu,
                                   .halves = halves,
                                   .carries = TSR_CARRIES_MOVED};

static tsr_tensor *emit(tsr_run *r, tsr_call *call, const box *boxes, int rank,
                        const int64_t *dim) {
    call->op = &op_movement;
    call->out_count = 1;
    memcpy(call->p.i, boxes, (size_t)call->in_count * sizeof *boxes);
    call->out[0] = tsr_run_new(r, call->in[0]->dtype, rank, dim);
    tsr_run_emit(r, call);
    return call->out[0];
}

/* Two levels are enough for a slice: `outer` pieces of `inner` neighbouring elements. */
static box slice(int64_t outer, int64_t inner, int64_t from, int64_t from_step) {
    return (box){{1, (int32_t)outer, (int32_t)inner},
                 (int32_t)from,
                 {0, (int32_t)from_step, 1},
                 0,
                 {0, (int32_t)inner, 1}};
}

static bool want_range(tsr_run *r, const char *op, int64_t size, int64_t start, int64_t count) {
    if (start >= 0 && count >= 1 && start <= size && count <= size - start) return true;
    tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                 "%s: range: wanted at least one and inside 0..%lld, got start %lld count %lld", op,
                 (long long)size, (long long)start, (long long)count);
    return false;
}

tsr_tensor *tsr_slice_rows(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count) {
    if (!want_words(r, "slice_rows: x", x, 2) ||
        !want_range(r, "slice_rows", x->dim[x->rank - 2], start, count))
        return tsr_run_failed(r);
    int64_t cols = tsr_cols(x), rows = x->dim[x->rank - 2], dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 2] = count;
    box b = slice(tsr_rows(x) / rows, count * cols, start * cols, rows * cols);
    tsr_call call = {.in = {x}, .in_count = 1};
    return emit(r, &call, &b, x->rank, dim);
}

tsr_tensor *tsr_slice_cols(tsr_run *r, const tsr_tensor *x, int64_t start, int64_t count) {
    if (!want_words(r, "slice_cols: x", x, 1) ||
        !want_range(r, "slice_cols", tsr_cols(x), start, count))
        return tsr_run_failed(r);
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = count;
    box b = slice(tsr_rows(x), count, start, tsr_cols(x));
    tsr_call call = {.in = {x}, .in_count = 1};
    return emit(r, &call, &b, x->rank, dim);
}

tsr_tensor *tsr_concat_rows(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b) {
    if (!want_words(r, "concat_rows: a", a, 2) || !want_tensor(r, "concat_rows: b", b, a->dtype, 2))
        return tsr_run_failed(r);
    int64_t cols = tsr_cols(a), na = a->dim[a->rank - 2], nb = b->dim[b->rank - 2];
    int64_t batch_a = tsr_rows(a) / na, batch_b = tsr_rows(b) / nb;
    int64_t batch = batch_a > batch_b ? batch_a : batch_b;
    if (a->rank > 3 || b->rank > 3 || tsr_cols(b) != cols || (batch_b != 1 && batch_b != batch) ||
        (batch_a != 1 && batch_a != batch)) {
        char ta[96], tb[96];
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "concat_rows: b: wanted [%lld, n, %lld] or [n, %lld] for a %s, got %s",
                            (long long)batch_a, (long long)cols, (long long)cols,
                            tsr_shape_text(a, ta, sizeof ta), tsr_shape_text(b, tb, sizeof tb));
    }
    int64_t dim[3] = {batch, na + nb, cols};
    int first = a->rank == 2 && b->rank == 2; /* both without a batch dimension: so is the result */
    if (!want_size(r, "concat_rows", 3, dim)) return tsr_run_failed(r);
    int32_t step = (int32_t)((na + nb) * cols);
    box boxes[2] = {slice(batch, na * cols, 0, batch_a == 1 ? 0 : na * cols),
                    slice(batch, nb * cols, 0, batch_b == 1 ? 0 : nb * cols)};
    boxes[0].to_step[1] = boxes[1].to_step[1] = step;
    boxes[1].to = (int32_t)(na * cols);
    tsr_call call = {.in = {a, b}, .in_count = 2};
    return emit(r, &call, boxes, 3 - first, dim + first);
}

tsr_tensor *tsr_transpose(tsr_run *r, const tsr_tensor *x) {
    if (!want_words(r, "transpose: x", x, 2)) return tsr_run_failed(r);
    int64_t cols = tsr_cols(x), rows = x->dim[x->rank - 2], dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 2] = cols;
    dim[x->rank - 1] = rows;
    box b = {{(int32_t)(tsr_rows(x) / rows), (int32_t)cols, (int32_t)rows},
             0,
             {(int32_t)(rows * cols), 1, (int32_t)cols},
             0,
             {(int32_t)(rows * cols), (int32_t)rows, 1}};
    tsr_call call = {.in = {x}, .in_count = 1};
    return emit(r, &call, &b, x->rank, dim);
}
