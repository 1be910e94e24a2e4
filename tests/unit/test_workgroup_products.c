/* SPDX-License-Identifier: MIT */
/* linear and conv2d on matrices of workgroups (VK_NV_cooperative_matrix2), which no software driver
 * has: the dispatch that the op describes for a made-up device, run by the interpreter of
 * module_run.h from the module that a real device would get, against the C reference fed with
 * rounded operands. What is left is the order of an f32 sum. */
#include "compute/run.h"
#include "compute/weights.h"
#include "everywhere.h"
#include "module_run.h"
#include "needs.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_WORD = 0x7FC12345 };

typedef struct layer {
    int64_t x[4], w[4]; /* of linear only the first two of each */
    int rank;           /* of w */
    tsr_activation act;
    bool bias, gate, residual, half; /* half: y is f16 */
    int64_t gate_rows;
    tsr_conv_spec conv;
    uint32_t rows, cols; /* the tile that is wanted */
    bool statistics;     /* of the map */
} layer;

/* One layer's run. */
typedef struct trial {
    const layer *layer;
    float *y, *want; /* of the module and of the reference */
    int64_t count;
} trial;

static float rounded(float f) {
    return tsr_f16_to_f32(tsr_f32_to_f16(f));
}

static float *random_floats(int64_t n, float scale, bool round) {
    float *x = malloc((size_t)n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    random_normals(x, n);
    for (int64_t i = 0; i < n; ++i)
        x[i] = round ? rounded(x[i] * scale) : x[i] * scale;
    return x;
}

static bool allowed(const void *device, const char *variant) {
    return !device || !strstr(device, variant);
}

static tsr_gpu_caps made_up(void) {
    return (tsr_gpu_caps){.subgroup_size = 32,
                          .subgroup_ops = true,
                          .fp16 = true,
                          .matrix = {16, 16, 16},
                          .matrix_subgroup = 32,
                          .workgroup_matrix = {{16, 32, 16}, {32, 32, 16}},
                          .max_shared_bytes = 48 << 10,
                          .max_workgroup = 1024,
                          .allowed = allowed};
}

/* ---- a device whose ops end in the interpreter ---- */

static tsr_status make(tsr_run *run, tsr_tensor *t) {
    t->data = tsr_arena_take(run->device->ctx, &run->device->data,
                             (size_t)tsr_elements(t) * sizeof(float));
    return t->data ? TSR_OK : TSR_ERROR_MEMORY;
}

static tsr_status weight(tsr_run *run, tsr_tensor *t, tsr_weight *w, bool kernel) {
    (void)run, (void)kernel;
    t->data = (void *)w->f32;
    return TSR_OK;
}

/* A weight [N, C, taps] as rows [taps, N, C] of f16; x is one of a single row. C is a multiple of
 * 8. */
static uint16_t *half_rows(const float *w, int64_t n, int64_t c, int64_t taps) {
    uint16_t *to = malloc((size_t)(n * c * taps) * sizeof *to);
    ck_assert_ptr_nonnull(to);
    for (int64_t i = 0; i < n * c * taps; ++i)
        to[(i % taps * n + i / taps / c) * c + i / taps % c] = tsr_f32_to_f16(w[i]);
    return to;
}

/* Binds a copy of some bytes, which begins `words` words into its buffer. NULL: room for results.
 */
static void bind(module_run *m, int i, const void *bytes, size_t size, uint32_t words) {
    const size_t all = (words * 4 + size + 15) / 16 * 16 + 16;
    uint32_t *to = aligned_alloc(16, all);
    ck_assert_ptr_nonnull(to);
    for (size_t k = 0; k < all / 4; ++k)
        to[k] = GUARD_WORD;
    if (bytes) memcpy(to + words, bytes, size);
    m->buffer[i].data = to;
    m->buffer[i].bytes = bytes ? words * 4 + size : all;
}

/* Mean and sum of squared differences of each piece, 8 x 2 places and four channels, of what is in
 * y. */
static void check_statistics(const tsr_call *c, const float *y, const float *statistics) {
    const int64_t *d = c->out[0]->dim, n = d[3], across = d[2] / 8;
    ck_assert_int_eq(c->statistics.rows, 16);
    ck_assert_int_eq(c->statistics.cols, 4);
    for (int64_t piece = 0; piece < d[0] * d[1] * d[2] / 16; ++piece)
        for (int64_t col = 0; col < n; col += 4) {
            double mean = 0, squares = 0;
            for (int pass = 0; pass < 2; ++pass)
                for (int64_t i = 0; i < 64; ++i) {
                    const int64_t row = piece / across * 2 + i / 32,
                                  x = piece % across * 8 + i / 4 % 8;
                    const double v = (double)y[(row * d[2] + x) * n + col + i % 4];
                    if (pass)
                        squares += (v - mean) * (v - mean);
                    else
                        mean += v / 64;
                }
            const float *got = statistics + (piece * n + col) / 2;
            ck_assert_msg(fabs((double)got[0] - mean) < 1e-6 &&
                              fabs((double)got[1] - squares) < 1e-5 * (1 + squares),
                          "piece %lld, channel %lld: wanted %g, %g, got %g, %g", (long long)piece,
                          (long long)col, mean, squares, (double)got[0], (double)got[1]);
        }
}

static void run_module(const tsr_call *c, const tsr_gpu_dispatch *d, bool half, float *y) {
    const int64_t n = tsr_cols(c->out[0]), count = tsr_elements(c->out[0]), k = tsr_cols(c->in[0]);
    const size_t each = half ? 2 : 4;
    uint32_t push[40] = {0};
    int last = 0; /* what y is bound to */
    module_run m = {.variant = d->variant, .spec = d->spec, .spec_count = d->spec_count};
    memcpy(m.groups, d->groups, sizeof m.groups);
    uint16_t *x = half_rows(c->in[0]->data, 1, tsr_elements(c->in[0]), 1);
    uint16_t *w = half_rows(c->weight->f32, n, k, tsr_elements(&c->weight->tensor) / n / k);
    for (int i = 0; i < d->bind_count; ++i) {
        const int b = d->bind[i];
        push[i] = 4 * (uint32_t)(i + 1);
        if (b == 0)
            bind(&m, i, x, (size_t)tsr_elements(c->in[0]) * 2, push[i]);
        else if (b == TSR_BIND_HALF || b == TSR_BIND_HALF_ROWS)
            bind(&m, i, w, (size_t)tsr_elements(&c->weight->tensor) * 2, push[i]);
        else if (b < TSR_CALL_TENSORS)
            bind(&m, i, c->in[b]->data, (size_t)tsr_elements(c->in[b]) * 4, push[i]);
        else
            bind(&m, i, NULL,
                 b == TSR_CALL_TENSORS ? (size_t)count * each
                                       : (size_t)count / (size_t)c->statistics.rows / 2 * 4,
                 push[i]);
        if (b == TSR_CALL_TENSORS) last = i;
    }
    memcpy(push + d->bind_count, d->push, d->push_bytes);
    m.push = push;
    m.push_bytes = (size_t)d->bind_count * 4 + d->push_bytes;
    if (c->statistics.rows) m.invocations = d->spec[0];
    module_run_all(&m);
    const uint8_t *out = (uint8_t *)m.buffer[last].data + push[last] * 4;
    for (int64_t i = 0; i < count; ++i)
        if (half)
            y[i] = tsr_f16_to_f32(((const uint16_t *)(const void *)out)[i]);
        else
            memcpy(y + i, out + 4 * i, 4);
    for (size_t at = 0; at < m.buffer[last].bytes; at += each) { /* nothing beside y was written */
        const uint32_t guard = GUARD_WORD;
        const bool inside = at >= push[last] * 4 && at < push[last] * 4 + (size_t)count * each;
        ck_assert_msg(inside || !memcmp((uint8_t *)m.buffer[last].data + at,
                                        (const uint8_t *)&guard + at % 4, each),
                      "byte %zu was written", at);
    }
    if (c->statistics.rows) {
        ck_assert_int_eq(d->bind[last + 1], TSR_CALL_TENSORS + 1);
        check_statistics(c, y, (const float *)m.buffer[last + 1].data + push[last + 1]);
    }
    for (int i = 0; i < d->bind_count; ++i)
        free(m.buffer[i].data);
    free(x);
    free(w);
}

static tsr_status emit(tsr_run *run, const tsr_call *call) {
    trial *t = run->recording;
    tsr_tensor x = *call->in[0], out = *call->out[0];
    tsr_call c = *call;
    tsr_gpu_caps caps = made_up();
    tsr_gpu_dispatch d = {0};
    t->count = tsr_elements(&out);
    t->y = malloc((size_t)t->count * sizeof *t->y);
    t->want = malloc((size_t)t->count * sizeof *t->want);
    ck_assert(t->y && t->want);
    c.in[0] = &x, c.out[0] = &out;
    out.data = t->want;
    c.op->reference(&c);
    x.dtype = TSR_DTYPE_F16;
    if (t->layer->half) out.dtype = TSR_DTYPE_F16;
    if (t->layer->statistics) c.statistics = c.op->gives_statistics(&c, &caps);
    ck_assert_int_eq(c.statistics.rows != 0, t->layer->statistics);
    ck_assert_int_eq(c.op->gpu(&c, &caps, &d), 1);
    ck_assert_msg(strstr(d.variant, "_coopmat2") != NULL, "wanted _coopmat2, got %s", d.variant);
    ck_assert_uint_eq(d.spec[1], t->layer->rows);
    ck_assert_uint_eq(d.spec[2], t->layer->cols);
    run_module(&c, &d, t->layer->half, t->y);
    return TSR_OK;
}

static const tsr_backend backend = {.make = make, .weight = weight, .emit = emit};

/* ---- layers ---- */

static tsr_tensor *call_op(tsr_run *r, const layer *l, const tsr_tensor *x, tsr_weight *w,
                           tsr_weight *bias, const tsr_tensor *gate, const tsr_tensor *residual) {
    if (l->rank == 2)
        return tsr_linear(r, x, w,
                          &(tsr_epilogue){.bias = bias,
                                          .act = l->act,
                                          .gate = gate,
                                          .gate_rows = l->gate_rows,
                                          .residual = residual});
    tsr_conv_spec spec = l->conv;
    spec.bias = bias;
    spec.act = l->act;
    spec.residual = residual;
    return tsr_conv2d(r, x, w, &spec);
}

static int64_t product(const int64_t *dim, int rank) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    return n;
}

/* Runs a layer; `values` are x's, and stay. */
static trial run_layer(const layer *l, float *values, tsr_weight *w, tsr_weight *bias) {
    enum { GATES = 3 };
    trial t = {.layer = l};
    tsr_device device = {.ctx = everywhere_context(),
                         .backend = &backend,
                         .info = {.kind = TSR_DEVICE_CPU}}; /* a kernel keeps its order */
    tsr_run run = {.device = &device, .recording = &t};
    const tsr_conv_spec *s = &l->conv;
    int64_t y[4] = {l->x[0], l->w[0]};
    if (l->rank == 4) {
        y[1] = l->x[1] + s->top + s->bottom - l->w[2] + 1;
        y[2] = l->x[2] + s->left + s->right - l->w[3] + 1;
        y[3] = l->w[0];
    }
    float *more = random_floats(product(y, l->rank), 1, false);
    float *gates = random_floats(GATES * l->w[0], 1, false);
    tsr_tensor x = tsr_host_tensor(TSR_DTYPE_F32, values, l->rank, l->x);
    tsr_tensor residual = tsr_host_tensor(TSR_DTYPE_F32, more, l->rank, y);
    tsr_tensor gate = tsr_host_tensor(TSR_DTYPE_F32, gates, 2, (int64_t[]){GATES, l->w[0]});
    call_op(&run, l, &x, w, bias, l->gate ? &gate : NULL, l->residual ? &residual : NULL);
    ck_assert_msg(!run.status, "%s", tsr_detail(device.ctx));
    ck_assert_ptr_nonnull(t.y);
    tsr_arena_free(&device.nodes);
    tsr_arena_free(&device.data);
    free(more);
    free(gates);
    return t;
}

static void trial_free(trial *t) {
    free(t->y);
    free(t->want);
}

static void try_layer(const layer *l) {
    const int64_t nw = product(l->w, l->rank);
    float *x = random_floats(product(l->x, l->rank), 1, true);
    float *w = random_floats(nw, 1 / sqrtf((float)(nw / l->w[0])), true);
    float *b = random_floats(l->w[0], 1, false);
    tsr_weight weights = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, l->rank, l->w), .f32 = w};
    tsr_weight bias = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, b, 1, l->w), .f32 = b};
    trial t = run_layer(l, x, &weights, l->bias ? &bias : NULL);
    for (int64_t i = 0; i < t.count; ++i) {
        /* Sums of some hundred products of 1 in all; y as f16 is off by 2^-11 of itself. */
        const float most = 1e-4f + (l->half ? 0x1p-11f * fabsf(t.want[i]) : 0);
        ck_assert_msg(fabsf(t.y[i] - t.want[i]) <= most, "%lld x %lld, value %lld: %g, %g",
                      (long long)l->x[0], (long long)l->w[0], (long long)i, (double)t.y[i],
                      (double)t.want[i]);
    }
    trial_free(&t);
    free(x);
    free(w);
    free(b);
}

START_TEST(linear_layers) {
    static const layer layers[] = {
        {.x = {1, 8}, .w = {17, 8}, .rank = 2, .rows = 64, .cols = 64},
        {.x = {64, 64}, .w = {64, 64}, .rank = 2, .bias = true, .rows = 64, .cols = 64},
        {.x = {70, 72},
         .w = {44, 72},
         .rank = 2,
         .act = TSR_ACT_GELU,
         .gate = true,
         .gate_rows = 20,
         .residual = true,
         .rows = 64,
         .cols = 64},
        {.x = {130, 64},
         .w = {104, 64},
         .rank = 2,
         .act = TSR_ACT_SILU,
         .bias = true,
         .half = true,
         .rows = 128,
         .cols = 128},
        {.x = {131, 128},
         .w = {128, 128},
         .rank = 2,
         .residual = true,
         .half = true,
         .rows = 128,
         .cols = 128},
        {.x = {129, 136},
         .w = {1101, 136},
         .rank = 2,
         .act = TSR_ACT_TANH,
         .bias = true,
         .gate = true,
         .gate_rows = 64,
         .residual = true,
         .rows = 128,
         .cols = 256},
        {.x = {257, 64}, .w = {1024, 64}, .rank = 2, .rows = 128, .cols = 256},
        {.x = {9, 16},
         .w = {32, 16},
         .rank = 2,
         .act = TSR_ACT_RELU,
         .half = true,
         .rows = 64,
         .cols = 64},
        {.x = {9, 16}, .w = {33, 16}, .rank = 2, .act = TSR_ACT_GELU_TANH, .rows = 64, .cols = 64},
        {.x = {9, 16}, .w = {33, 16}, .rank = 2, .act = TSR_ACT_SIGMOID, .rows = 64, .cols = 64},
        {.x = {9, 16}, .w = {33, 16}, .rank = 2, .act = TSR_ACT_QUICK_GELU, .rows = 64, .cols = 64},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; ++i)
        try_layer(&layers[i]);
}
END_TEST

START_TEST(convolutions) {
    static const tsr_conv_spec same = {.top = 1, .bottom = 1, .left = 1, .right = 1};
    const layer layers[] = {
        {.x = {2, 9, 11, 24},
         .w = {40, 24, 3, 3},
         .rank = 4,
         .conv = same,
         .bias = true,
         .act = TSR_ACT_SILU,
         .residual = true,
         .half = true,
         .rows = 64,
         .cols = 64},
        /* the patches in the middle lie inside, with what their kernel reaches */
        {.x = {1, 32, 32, 64},
         .w = {64, 64, 3, 3},
         .rank = 4,
         .conv = same,
         .half = true,
         .rows = 64,
         .cols = 64},
        {.x = {1, 18, 11, 64},
         .w = {128, 64, 3, 3},
         .rank = 4,
         .conv = {.bottom = 2, .right = 2},
         .residual = true,
         .half = true,
         .rows = 128,
         .cols = 128},
        {.x = {3, 12, 11, 16},
         .w = {256, 16, 2, 3},
         .rank = 4,
         .conv = {.top = 1, .left = 2},
         .bias = true,
         .rows = 128,
         .cols = 128},
        {.x = {2, 1, 5, 8},
         .w = {24, 8, 1, 5},
         .rank = 4,
         .conv = {.left = 2, .right = 2},
         .rows = 64,
         .cols = 64},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; ++i)
        try_layer(&layers[i]);
}
END_TEST

START_TEST(statistics_of_maps) {
    static const tsr_conv_spec same = {.top = 1, .bottom = 1, .left = 1, .right = 1};
    const layer layers[] = {
        {.x = {2, 10, 16, 8}, /* the last patch is cut */
         .w = {24, 8, 3, 3},
         .rank = 4,
         .conv = same,
         .bias = true,
         .half = true,
         .rows = 64,
         .cols = 64,
         .statistics = true},
        {.x = {1, 8, 8, 8},
         .w = {72, 8, 1, 2},
         .rank = 4,
         .conv = {.left = 1},
         .residual = true,
         .rows = 64,
         .cols = 64,
         .statistics = true},
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; ++i)
        try_layer(&layers[i]);
}
END_TEST

/* Rows of one batch item have the bits that they have among others. */
static void same_alone(layer l, int64_t items) {
    const int64_t nw = product(l.w, l.rank), nx = product(l.x, l.rank);
    float *x = random_floats(nx, 1, true), *w = random_floats(nw, 1, true);
    tsr_weight weights = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, l.rank, l.w), .f32 = w};
    trial all = run_layer(&l, x, &weights, NULL);
    l.x[0] /= items;
    for (int64_t i = 0; i < items; ++i) {
        trial one = run_layer(&l, x + i * nx / items, &weights, NULL);
        ck_assert_int_eq(one.count * items, all.count);
        ck_assert_mem_eq(one.y, all.y + i * one.count, (size_t)one.count * sizeof *one.y);
        trial_free(&one);
    }
    trial_free(&all);
    free(x);
    free(w);
}

START_TEST(the_batch_does_not_matter) {
    same_alone((layer){.x = {3 * 65, 64}, .w = {128, 64}, .rank = 2, .rows = 128, .cols = 128}, 3);
    same_alone((layer){.x = {3, 17, 9, 16},
                       .w = {128, 16, 3, 3},
                       .rank = 4,
                       .conv = {.top = 1, .left = 1},
                       .rows = 128,
                       .cols = 128},
               3);
}
END_TEST

/* The numbers that a device is tried with when it is opened: here by the bodies that there are. */
START_TEST(the_trial_has_the_right_numbers) {
#ifdef TESSERA_WITH_VULKAN
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        tsr_device_settings s = tsr_device_settings_default();
        s.name = name;
        s.precision = TSR_PRECISION_FAST;
        s.mask = "linear_coopmat2,conv2d_coopmat2";
        tsr_device *d = NULL;
        ck_assert_msg(!tsr_device_open(everywhere_context(), &d, &s), "%s",
                      tsr_detail(everywhere_context()));
        ck_assert_msg(!tsr_try_matrices(d, TSR_TRIAL_WORKGROUPS), "%s: %s", name,
                      tsr_detail(everywhere_context()));
        tsr_device_close(&d);
    }
#endif
}
END_TEST

static const char *need_modules(void) {
#ifdef TESSERA_WITH_VULKAN
    return NULL;
#else
    return "this build was made without Vulkan";
#endif
}

TEST_PARTS("workgroup products",
           PART(own, need_modules, linear_layers, convolutions, statistics_of_maps,
                the_batch_does_not_matter),
           PART(vulkan, need_vulkan, the_trial_has_the_right_numbers))
