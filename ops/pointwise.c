/* SPDX-License-Identifier: MIT */
/* pointwise.c: one value in, one value out: unary functions, binary with repetition, scale and add.
 *
 * Every op file follows this order: the numbers of a call, reference, fast cpu path, GPU dispatch,
 * the tsr_op, and last the public functions that check shapes and emit. */
#include "../compute/op.h"
#include "../compute/activation.h"
#include "../compute/cpu/simd.h"
#include "rowwise.h"

/* p.i[0] form, p.i[1] activation or binary kind, p.f[2] multiply, p.f[3] add */
enum { FORM, KIND, MULTIPLY, ADD };
enum { UNARY, BINARY, SCALE };
enum {
    TILE = 1 << 14
}; /* elements: fits the first cache, and is the same for every thread count */

static inline float combine(float a, float b, tsr_binary_kind kind) {
    switch (kind) {
    case TSR_BINARY_ADD:
        return a + b;
    case TSR_BINARY_SUB:
        return a - b;
    case TSR_BINARY_MUL:
        return a * b;
    case TSR_BINARY_DIV:
        return a / b;
    case TSR_BINARY_MIN:
        return b < a || b != b ? b : a; /* a NaN on either side wins */
    case TSR_BINARY_MAX:
        return b > a || b != b ? b : a;
    case TSR_BINARY_PRELU:
        return a > 0 ? a : a * b;
    }
    return a;
}

static void reference(const tsr_call *c) {
    const float *a = c->in[0]->data, *b = c->in_count > 1 ? c->in[1]->data : NULL;
    float *y = c->out[0]->data;
    int64_t n = tsr_elements(c->out[0]), bn = b ? tsr_elements(c->in[1]) : 1;
    for (int64_t i = 0; i < n; ++i)
        switch (c->p.i[FORM]) {
        case UNARY:
            y[i] = tsr_activate_exact(a[i], (tsr_activation)c->p.i[KIND]);
            break;
        case BINARY:
            y[i] = combine(a[i], b[i % bn], (tsr_binary_kind)c->p.i[KIND]);
            break;
        case SCALE:
            y[i] = a[i] * c->p.f[MULTIPLY] + c->p.f[ADD];
            break;
        }
}

TSR_CLONES static void unary_run(float *y, const float *x, int64_t n, tsr_activation act) {
    tsr_activate_many(y, x, n, act);
}

TSR_CLONES static void scale_run(float *y, const float *x, int64_t n, float multiply, float add) {
    for (int64_t i = 0; i < n; ++i)
        y[i] = x[i] * multiply + add;
}

TSR_CLONES static void binary_run(float *y, const float *a, const float *b, int64_t n,
                                  tsr_binary_kind kind) {
#define LOOP(name)                                                                                 \
    case name:                                                                                     \
        for (int64_t i = 0; i < n; ++i)                                                            \
            y[i] = combine(a[i], b[i], name);                                                      \
        break;
    switch (kind) {
        LOOP(TSR_BINARY_ADD)
        LOOP(TSR_BINARY_SUB)
        LOOP(TSR_BINARY_MUL)
        LOOP(TSR_BINARY_DIV)
        LOOP(TSR_BINARY_MIN)
        LOOP(TSR_BINARY_MAX)
        LOOP(TSR_BINARY_PRELU)
    }
#undef LOOP
}

static void tile(void *arg, int64_t index, int worker) {
    (void)worker;
    const tsr_call *c = arg;
    int64_t total = tsr_elements(c->out[0]), from = index * TILE;
    int64_t n = total - from < TILE ? total - from : TILE;
    const float *a = (const float *)c->in[0]->data + from;
    float *y = (float *)c->out[0]->data + from;
    if (c->p.i[FORM] == UNARY) {
        unary_run(y, a, n, (tsr_activation)c->p.i[KIND]);
    } else if (c->p.i[FORM] == SCALE) {
        scale_run(y, a, n, c->p.f[MULTIPLY], c->p.f[ADD]);
    } else {
        const float *b = c->in[1]->data;
        int64_t bn = tsr_elements(c->in[1]), at = from % bn;
        for (int64_t i = 0; i < n;) { /* runs until b starts over */
            int64_t run = n - i < bn - at ? n - i : bn - at;
            binary_run(y + i, a + i, b + at, run, (tsr_binary_kind)c->p.i[KIND]);
            i += run;
            at = 0;
        }
    }
}

static tsr_status cpu(tsr_device *d, const tsr_call *c) {
    int64_t n = tsr_elements(c->out[0]);
    tsr_parallel(tsr_device_context(d), (n + TILE - 1) / TILE, tile, (void *)c);
    return TSR_OK;
}

/* How b repeats over a, as pointwise.comp numbers it. */
enum { EVERY_ELEMENT, WHOLE, ONE_NUMBER, EVERY_WORD };
enum { WORD = 4 }; /* elements that an invocation takes */

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const bool two = c->in_count > 1;
    int64_t n = tsr_elements(c->out[0]), bn = two ? tsr_elements(c->in[1]) : n;
    int64_t groups = tile_count(n, (int64_t)GROUP_THREADS * WORD);
    if (n > INT32_MAX) return 0;
    const int repeat = bn == n     ? WHOLE
                       : bn == 1   ? ONE_NUMBER
                       : bn % WORD ? EVERY_ELEMENT
                                   : EVERY_WORD;
    struct {
        uint32_t n, bn;
        float multiply, add;
        divisor words;
    } push = {(uint32_t)n, (uint32_t)bn, c->p.f[MULTIPLY], c->p.f[ADD],
              divisor_of(repeat == EVERY_WORD ? (uint32_t)(bn / WORD) : 1)};
    *d = (tsr_gpu_dispatch){
        .variant = "pointwise",
        .spec = {(uint32_t)c->p.i[FORM], (uint32_t)c->p.i[KIND], (uint32_t)repeat,
                 is_half(c->in[0]), two && is_half(c->in[1]), is_half(c->out[0])},
        .spec_count = 6,
        .groups = {groups > GROUP_LIMIT ? GROUP_LIMIT : (uint32_t)groups, 1, 1}, /* strides on */
        .bind = {BIND_IN, BIND_IN + two, BIND_OUT},
        .bind_count = 3};
    dispatch_push(d, &push, sizeof push);
    return 1;
}

/* Sums stay f32: they are, or begin, the residual stream, and what is added to it is its next term.
 * Differences lose digits. */
static uint32_t halves(const tsr_call *c, const tsr_gpu_caps *caps) {
    (void)caps;
    const bool two = c->in_count > 1;
    if (tsr_elements(c->out[0]) % WORD) return 0;
    if (!two) return half_in(0) | half_out(0);
    if (c->p.i[KIND] == TSR_BINARY_ADD || c->p.i[KIND] == TSR_BINARY_SUB) return 0;
    int64_t bn = tsr_elements(c->in[1]);
    return half_in(0) | half_out(0) | (bn == 1 || bn % WORD == 0 ? half_in(1) : 0);
}

static const tsr_op op_pointwise = {.name = "pointwise",
                                    .reference = reference,
                                    .cpu = cpu,
                                    .gpu = gpu,
                                    .halves = halves,
                                    .carries = TSR_CARRIES_ROUNDED};

static tsr_tensor *emit(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b, int form, int kind,
                        float multiply, float add) {
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, a->rank, a->dim);
    tsr_call c = {
        .op = &op_pointwise, .in = {a, b}, .out = {y}, .in_count = b ? 2 : 1, .out_count = 1};
    c.p.i[FORM] = form;
    c.p.i[KIND] = kind;
    c.p.f[MULTIPLY] = multiply;
    c.p.f[ADD] = add;
    tsr_run_emit(r, &c);
    return y;
}

tsr_tensor *tsr_unary(tsr_run *r, const tsr_tensor *x, tsr_activation act) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    if (x->dtype != TSR_DTYPE_F32)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "unary: wanted F32, got %s",
                            tsr_dtype_name(x->dtype));
    if (act < TSR_ACT_NONE || act > TSR_ACT_QUICK_GELU)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "unary: activation: wanted 0 to %d, got %d",
                            TSR_ACT_QUICK_GELU, (int)act);
    return emit(r, x, NULL, UNARY, act, 0, 0);
}

tsr_tensor *tsr_scale(tsr_run *r, const tsr_tensor *x, float multiply, float add) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    if (x->dtype != TSR_DTYPE_F32)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "scale: wanted F32, got %s",
                            tsr_dtype_name(x->dtype));
    return emit(r, x, NULL, SCALE, 0, multiply, add);
}

/* b repeats over a: its dimensions, leading ones of 1 aside, are a's last ones. */
static bool repeats(const tsr_tensor *a, const tsr_tensor *b) {
    int skip = 0;
    while (skip < b->rank - 1 && b->dim[skip] == 1)
        ++skip;
    int rank = b->rank - skip;
    if (rank == 1 && b->dim[skip] == 1) return true;
    if (rank > a->rank) return false;
    for (int i = 0; i < rank; ++i)
        if (b->dim[skip + i] != a->dim[a->rank - rank + i]) return false;
    return true;
}

tsr_tensor *tsr_binary(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b, tsr_binary_kind kind) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    if (a->dtype != TSR_DTYPE_F32 || b->dtype != TSR_DTYPE_F32)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "binary: wanted F32 and F32, got %s and %s",
                            tsr_dtype_name(a->dtype), tsr_dtype_name(b->dtype));
    if (kind < TSR_BINARY_ADD || kind > TSR_BINARY_PRELU)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "binary: kind: wanted 0 to %d, got %d",
                            TSR_BINARY_PRELU, (int)kind);
    char want[96], got[96];
    if (!repeats(a, b))
        return tsr_run_fail(
            r, TSR_ERROR_ARGUMENT, "binary: wanted the last dimensions of %s, got %s",
            tsr_shape_text(a, want, sizeof want), tsr_shape_text(b, got, sizeof got));
    return emit(r, a, b, BINARY, kind, 0, 0);
}
