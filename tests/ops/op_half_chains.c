/* SPDX-License-Identifier: MIT */
/* Chains of ops whose activations are kept as f16 between them, on Vulkan devices that half
 * precision was allowed on. What such a chain gives must equal, to the bit, the same ops one after
 * the other in f32 with each result rounded on the way: rounding happens once, and nothing else
 * changes. An op of the test's own stands for the product that a chain ends in. */
#include "compute/weights.h"
#include "ops/rowwise.h"
#include "everywhere.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum stage {
    END,
    LAYER_NORM,
    GROUP_NORM, /* of 8 groups, with SiLU */
    SILU,
    TIMES,  /* the second input, as long as a row */
    HALF,   /* x 0.5 + 0.25 */
    PART,   /* the first half of the columns */
    TWICE,  /* rows behind themselves */
    PLUS,   /* the second input added: stays f32 */
    DOUBLE, /* rows as maps of 4 columns, each pixel four times */
    LINEAR, /* to as many columns */
    CONV,   /* 3 x 3 over maps of 4 columns, to as many channels */
} stage;

enum { STAGES = 5 };

typedef struct chain {
    const char *name;
    stage stages[STAGES];
    unsigned f16;   /* bit i: what stage i makes is f16 */
    bool no_reader; /* nothing rounds at the end */
    int64_t dim[3]; /* batch, rows, columns */
    tsr_weight *matrix, *kernel;
} chain;

typedef struct part { /* a stage alone */
    const chain *of;
    stage stage;
} part;

static bool is_product(stage s) {
    return s == LINEAR || s == CONV;
}

/* ---- what reads f16: a copy that becomes f32 ---- */

static void read_reference(const tsr_call *c) {
    memcpy(c->out[0]->data, c->in[0]->data, (size_t)tsr_elements(c->out[0]) * 4);
}

static int read_gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const bool quads = tsr_elements(c->out[0]) % 4 == 0; /* an odd number of f16 cannot be read */
    const uint32_t words = (uint32_t)tsr_elements(c->out[0]) / (quads ? 4 : 1);
    struct {
        uint32_t n[3], from, from_step[3], to, to_step[3];
        divisor n1, n2;
    } push = {{1, 1, words}, 0, {0, 0, 1}, 0, {0, 0, 1}, divisor_of(1), divisor_of(words)};
    *d = (tsr_gpu_dispatch){
        .variant = "movement", .spec = {quads, is_half(c->in[0]), false}, .spec_count = 3};
    dispatch_push(d, &push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(words, GROUP_THREADS));
    return 1;
}

static uint32_t read_halves(const tsr_call *c, const tsr_gpu_caps *caps) {
    (void)c, (void)caps;
    return half_in(0);
}

static const tsr_op reader = {
    .name = "reader", .reference = read_reference, .gpu = read_gpu, .halves = read_halves};

static tsr_tensor *read_back(tsr_run *r, const tsr_tensor *x) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    tsr_call c = {.op = &reader, .in = {x}, .out = {y}, .in_count = 1, .out_count = 1};
    tsr_run_emit(r, &c);
    return y;
}

/* ---- chains ---- */

/* x [B, R, C] as maps [B, R / 4, 4, C], and back. */
static tsr_tensor *as_map(tsr_run *r, const tsr_tensor *x) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    return tsr_reshape(r, x, 4, (int64_t[]){x->dim[0], x->dim[1] / 4, 4, x->dim[2]});
}

static tsr_tensor *as_rows(tsr_run *r, const tsr_tensor *x) {
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    return tsr_reshape(r, x, 3, (int64_t[]){x->dim[0], x->dim[1] * x->dim[2], x->dim[3]});
}

static tsr_tensor *apply(tsr_run *r, const chain *c, stage s, tsr_tensor *x,
                         const tsr_tensor *row) {
    static const tsr_conv_spec around = {.top = 1, .left = 1, .bottom = 1, .right = 1};
    switch (s) {
    case DOUBLE:
        return as_rows(r, tsr_double(r, as_map(r, x)));
    case LINEAR:
        return tsr_linear(r, x, c->matrix, NULL);
    case CONV:
        return as_rows(r, tsr_conv2d(r, as_map(r, x), c->kernel, &around));
    case LAYER_NORM:
        return tsr_layer_norm(r, x, &(tsr_norm_spec){.eps = 1e-5f});
    case GROUP_NORM:
        return tsr_group_norm(
            r, x, &(tsr_group_norm_spec){.groups = 8, .eps = 1e-6f, .act = TSR_ACT_SILU});
    case SILU:
        return tsr_unary(r, x, TSR_ACT_SILU);
    case TIMES:
        return tsr_binary(r, x, row, TSR_BINARY_MUL);
    case HALF:
        return tsr_scale(r, x, 0.5f, 0.25f);
    case PART:
        return tsr_slice_cols(r, x, 0, tsr_cols(x) / 2);
    case TWICE:
        return tsr_concat_rows(r, x, x);
    case PLUS:
        return tsr_binary(r, x, row, TSR_BINARY_ADD);
    case END:
        break;
    }
    return x;
}

static void whole(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const chain *c = m;
    tsr_tensor *x = in[0];
    for (int i = 0; i < STAGES; ++i)
        x = apply(r, c, c->stages[i], x, in[1]);
    out[0] = c->no_reader ? x : read_back(r, x);
}

static void single(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const part *p = m;
    out[0] = apply(r, p->of, p->stage, in[0], in[1]);
}

/* What a stage makes of a shape. */
static void after(stage s, int64_t *dim) {
    if (s == PART) dim[2] /= 2;
    if (s == TWICE) dim[1] *= 2;
    if (s == DOUBLE) dim[1] *= 4;
}

/* Rounded as the shaders round, also below 2^-14: to 11 digits and then to f16's. */
static float rounded(float f) {
    if (isfinite(f)) f = fminf(fmaxf(f, -65504), 65504);
    return tsr_f16_to_f32(tsr_f32_to_f16(f));
}

static void run(tsr_device *d, tsr_model_fn fn, const void *model, const tsr_tensor *in,
                tsr_tensor *out, bool pictures) {
    tsr_program p = {.fn = fn, .model = model, .name = "chain", .pictures = pictures};
    ck_assert_msg(!tsr_execute(d, &p, in, 2, out, 1), "%s", tsr_detail(tsr_device_context(d)));
    guarded_check(out->data);
    tsr_device_forget(d, model);
}

/* How many activations the last recording kept as f16. */
static void see_halves(void *user, tsr_log_level level, const char *text) {
    const char *at = strstr(text, "without reuse, ");
    (void)level;
    if (at) sscanf(at, "without reuse, %d of them f16", (int *)user);
}

static void try_chain(chain with, const char *device, bool pictures) {
    const chain *c = &with;
    int halves = -1;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.log = see_halves;
    settings.log_user = &halves;
    settings.log_level = TSR_LOG_INFO;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    tsr_device *d[2] = {0}; /* with f16 activations and without */
    for (int i = 0; i < 2; ++i) {
        tsr_device_settings s = tsr_device_settings_default();
        s.name = device;
        s.precision = TSR_PRECISION_FAST;
        s.guard = true;
        s.validation = getenv("TESSERA_VALIDATION") != NULL;
        s.mask = i ? "f16_activations" : NULL;
        ck_assert_msg(!tsr_device_open(ctx, &d[i], &s), "%s", tsr_detail(ctx));
    }
    const int64_t n = c->dim[0] * c->dim[1] * c->dim[2], cols = c->dim[2];
    float *numbers = guarded((size_t)(cols * cols * 9) * 4);
    tsr_weights *weights = NULL;
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    random_normals(numbers, cols * cols * 9);
    for (int64_t i = 0; i < cols * cols * 9; ++i)
        numbers[i] /= 3 * sqrtf((float)cols);
    tsr_tensor matrix = tsr_host_tensor(TSR_DTYPE_F32, numbers, 2, (int64_t[]){cols, cols});
    tsr_tensor kernel = tsr_host_tensor(TSR_DTYPE_F32, numbers, 4, (int64_t[]){cols, cols, 3, 3});
    ck_assert_int_eq(tsr_weights_add(ctx, weights, "matrix", &matrix), TSR_OK);
    ck_assert_int_eq(tsr_weights_add(ctx, weights, "kernel", &kernel), TSR_OK);
    with.matrix = tsr_weights_find(weights, "matrix");
    with.kernel = tsr_weights_find(weights, "kernel");
    bool hardly = false; /* a product meets numbers that f16 hardly has */
    float *x = guarded((size_t)n * 4), *row = guarded((size_t)c->dim[2] * 4);
    random_normals(x, n);
    random_normals(row, c->dim[2]);
    x[n / 2] = NAN; /* one item is spoilt, and with the same bits on both ways */
    x[0] = 3e5f;    /* beyond f16 */
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, x, 3, c->dim),
                        tsr_host_tensor(TSR_DTYPE_F32, row, 1, &c->dim[2])};
    /* one op after the other */
    int64_t dim[3] = {c->dim[0], c->dim[1], c->dim[2]};
    float *step = guarded((size_t)n * 4 * 4), *next = guarded((size_t)n * 4 * 4);
    memcpy(step, x, (size_t)n * 4);
    for (int i = 0; i < STAGES && c->stages[i]; ++i) {
        tsr_tensor one[2] = {tsr_host_tensor(TSR_DTYPE_F32, step, 3, dim), in[1]};
        after(c->stages[i], dim);
        tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, next, 3, dim);
        run(d[1], single, &(part){c, c->stages[i]}, one, &out, pictures);
        /* A product rounds what it is given, so that nobody needs to have done it before. */
        const bool product_next = i + 1 < STAGES && is_product(c->stages[i + 1]);
        for (int64_t k = 0; k < tsr_elements(&out); ++k) {
            step[k] = c->f16 >> i & 1 && !product_next ? rounded(next[k]) : next[k];
            hardly |= product_next && fabsf(step[k]) < 0x1p-14f && step[k] != 0;
        }
    }
    ck_assert_int_eq(halves, 0);
    /* all of them */
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, next, 3, dim);
    run(d[0], whole, c, in, &out, pictures);
    int wanted = 0;
    for (int i = 0; i < STAGES; ++i)
        wanted += c->f16 >> i & 1;
    ck_assert_msg(halves == wanted, "%s on %s: wanted %d f16 activations, got %d", c->name, device,
                  wanted, halves);
    for (int64_t k = 0; k < tsr_elements(&out); ++k) {
        /* A driver may take f16 below 2^-14 for zero. */
        const bool tiny = (fabsf(step[k]) < 0x1p-14f && fabsf(next[k]) < 0x1p-14f) ||
                          (hardly && fabsf(step[k] - next[k]) < 4e-3f);
        const bool same = !memcmp(&step[k], &next[k], 4) || (isnan(step[k]) && isnan(next[k]));
        /* SwiftShader's packing of a NaN reaches into the other half of the word, whose item is
         * spoilt anyway. */
        const bool beside_nan = k + 1 - k % 2 < tsr_elements(&out) && isnan(step[k ^ 1]);
        ck_assert_msg(tiny || same || beside_nan, "%s on %s: element %lld: wanted %.9g, got %.9g",
                      c->name, device, (long long)k, (double)step[k], (double)next[k]);
    }
    tsr_device_forget(d[0], c);
    tsr_weights_close(&weights);
    guarded_free(numbers);
    guarded_free(step);
    guarded_free(next);
    guarded_free(row);
    guarded_free(x);
    for (int i = 0; i < 2; ++i)
        tsr_device_close(&d[i]);
    tsr_context_close(&ctx);
}

static void try_chains(const chain *list, size_t count, bool pictures) {
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char device[32];
        snprintf(device, sizeof device, "vulkan:%d", v);
        for (size_t i = 0; i < count; ++i)
            try_chain(list[i], device, pictures);
    }
}

START_TEST(results_are_rounded_once) {
    static const chain chains[] = {
        {"layer_norm", {LAYER_NORM}, 1, false, {2, 5, 96}, NULL, NULL},
        {"layer_norm of odd rows", {LAYER_NORM}, 0, false, {2, 5, 37}, NULL, NULL},
        {"long layer_norm", {LAYER_NORM}, 1, false, {1, 3, 1500}, NULL, NULL},
        {"group_norm", {GROUP_NORM}, 1, false, {2, 33, 64}, NULL, NULL},
        {"group_norm in chunks", {GROUP_NORM}, 1, false, {2, 1031, 64}, NULL, NULL},
        {"group_norm of pairs", {GROUP_NORM}, 1, false, {3, 77, 16}, NULL, NULL},
        {"silu", {SILU}, 1, false, {3, 7, 20}, NULL, NULL},
        {"silu of odd rows", {SILU}, 0, false, {1, 3, 7}, NULL, NULL},
    };
    try_chains(chains, sizeof chains / sizeof *chains, true);
}
END_TEST

START_TEST(chains_stay_f16) {
    static const chain chains[] = {
        {"layer_norm, group_norm", {LAYER_NORM, GROUP_NORM}, 3, false, {2, 40, 32}, NULL, NULL},
        {"layer_norm, group_norm in chunks",
         {LAYER_NORM, GROUP_NORM},
         3,
         false,
         {1, 1100, 64},
         NULL,
         NULL},
        {"layer_norm, group_norm of pairs",
         {LAYER_NORM, GROUP_NORM},
         3,
         false,
         {2, 600, 16},
         NULL,
         NULL},
        {"gated", {LAYER_NORM, PART, SILU}, 7, false, {2, 6, 48}, NULL, NULL},
        {"times, half", {SILU, TIMES, HALF}, 7, false, {2, 6, 48}, NULL, NULL},
        {"twice", {HALF, TWICE, LAYER_NORM}, 4, false, {2, 6, 48}, NULL, NULL},
        {"twice, silu", {HALF, TWICE, SILU}, 7, false, {2, 6, 48}, NULL, NULL},
    };
    try_chains(chains, sizeof chains / sizeof *chains, true);
}
END_TEST

/* Products round what they are given: it makes no difference who did it. */
START_TEST(products_see_the_same_numbers) {
    static const chain chains[] = {
        {"layer_norm, linear", {LAYER_NORM, LINEAR}, 1, true, {2, 5, 96}, NULL, NULL},
        {"layer_norm, linear, silu, linear",
         {LAYER_NORM, LINEAR, SILU, LINEAR},
         7,
         true,
         {1, 9, 64},
         NULL,
         NULL},
        {"group_norm, conv", {GROUP_NORM, CONV}, 1, true, {2, 20, 32}, NULL, NULL},
        {"conv, group_norm, conv", {CONV, GROUP_NORM, CONV}, 3, true, {1, 16, 32}, NULL, NULL},
        {"conv, group_norm, double, conv",
         {CONV, GROUP_NORM, DOUBLE, CONV},
         7,
         true,
         {1, 8, 16},
         NULL,
         NULL},
        {"linear of layer_norm, plus", {LAYER_NORM, LINEAR, PLUS}, 1, true, {2, 5, 96}, NULL, NULL},
    };
    try_chains(chains, sizeof chains / sizeof *chains, true);
}
END_TEST

/* Sums stay f32, and so does what no product reads. */
START_TEST(nothing_is_rounded_without_need) {
    static const chain chains[] = {
        {"plus", {PLUS}, 0, false, {2, 6, 48}, NULL, NULL},
        {"silu and plus, no product", {SILU, PLUS, HALF}, 0, true, {2, 6, 48}, NULL, NULL},
        {"no product", {LAYER_NORM, SILU, TIMES}, 0, true, {2, 6, 48}, NULL, NULL},
        {"group_norm, no product", {GROUP_NORM, HALF}, 0, true, {2, 6, 48}, NULL, NULL},
    };
    try_chains(chains, sizeof chains / sizeof *chains, true);
}
END_TEST

/* Of a program that makes no pictures only what products alone read is f16, be it moved on its way:
 * they see the numbers that f32 activations would give them. */
START_TEST(decisions_are_those_of_f32_activations) {
    static const chain chains[] = {
        {"conv, group_norm, conv", {CONV, GROUP_NORM, CONV}, 2, true, {1, 16, 32}, NULL, NULL},
        {"layer_norm, linear, silu, linear",
         {LAYER_NORM, LINEAR, SILU, LINEAR},
         5,
         true,
         {1, 9, 64},
         NULL,
         NULL},
        {"silu, times, linear", {SILU, TIMES, LINEAR}, 2, true, {2, 6, 48}, NULL, NULL},
        {"layer_norm, twice, linear", {LAYER_NORM, TWICE, LINEAR}, 3, true, {2, 6, 48}, NULL, NULL},
        {"layer_norm, twice, silu, linear",
         {LAYER_NORM, TWICE, SILU, LINEAR},
         4,
         true,
         {2, 6, 48},
         NULL,
         NULL},
    };
    try_chains(chains, sizeof chains / sizeof *chains, false);
}
END_TEST

TEST_MAIN("op_half_chains", results_are_rounded_once, chains_stay_f16,
          products_see_the_same_numbers, nothing_is_rounded_without_need,
          decisions_are_those_of_f32_activations)
