/* SPDX-License-Identifier: MIT */
/* Products with f16 operands on Vulkan devices that half precision was allowed on, against the C
 * reference fed with operands rounded to f16: what is left is the order of an f32 sum. Against
 * unrounded operands each term may be off by 2^-10 of itself (two roundings of 2^-11). A driver may
 * take an operand below 2^-14, where f16 is denormal, for zero: random ones are zero there. */
#include "ops/ops.h"
#include "compute/weights.h"
#include "everywhere.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    tsr_weights *weights;
    tsr_weight *w, *bias;
    float *w_data, *bias_data;
    int64_t dim[4]; /* of the weight */
    int rank;       /* 2 linear, 4 convolution */
    tsr_activation act;
    bool gate, residual;
    bool also_f32; /* the weight is an output too */
    bool coopmat;  /* only on matrix units */
    bool bodies;   /* software drivers compile each body for a second: all of them only here */
    tsr_conv_spec conv;
} layer;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    int next = 1;
    if (l->rank == 2) {
        tsr_epilogue e = {.bias = l->bias, .act = l->act};
        if (l->gate) e.gate = in[next++];
        if (l->residual) e.residual = in[next++];
        out[0] = tsr_linear(r, in[0], l->w, &e);
    } else {
        tsr_conv_spec spec = l->conv;
        spec.bias = l->bias;
        spec.act = l->act;
        if (l->residual) spec.residual = in[next++];
        out[0] = tsr_conv2d(r, in[0], l->w, &spec);
    }
    if (l->also_f32) out[1] = tsr_scale(r, tsr_from_weight(r, l->w), 1, 0);
}

/* Rounded as the shaders round: to nearest, at most 65504. */
static float rounded(float f) {
    if (isfinite(f)) f = fminf(fmaxf(f, -65504), 65504);
    return tsr_f16_to_f32(tsr_f32_to_f16(f));
}

static void round_all(float *to, const float *from, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        to[i] = rounded(from[i]);
}

static int64_t elements(const layer *l) {
    int64_t n = 1;
    for (int i = 0; i < l->rank; ++i)
        n *= l->dim[i];
    return n;
}

static void add_weights(layer *l) {
    tsr_context *ctx = everywhere_context();
    ck_assert_int_eq(tsr_weights_open(ctx, &l->weights), TSR_OK);
    tsr_tensor w = tsr_host_tensor(TSR_DTYPE_F32, l->w_data, l->rank, l->dim);
    ck_assert_int_eq(tsr_weights_add(ctx, l->weights, "w", &w), TSR_OK);
    l->w = tsr_weights_find(l->weights, "w");
    if (!l->bias_data) return;
    tsr_tensor b = tsr_host_tensor(TSR_DTYPE_F32, l->bias_data, 1, l->dim);
    ck_assert_int_eq(tsr_weights_add(ctx, l->weights, "b", &b), TSR_OK);
    l->bias = tsr_weights_find(l->weights, "b");
}

static void random_operands(float *x, int64_t n, float scale) {
    random_normals(x, n);
    for (int64_t i = 0; i < n; ++i)
        x[i] = fabsf(x[i] * scale) < 0x1p-14f ? 0 : x[i] * scale;
}

/* Products of about 1. */
static layer *layer_open(layer shape, bool bias) {
    layer *l = malloc(sizeof *l);
    ck_assert_ptr_nonnull(l);
    *l = shape;
    int64_t n = elements(l);
    l->w_data = guarded((size_t)n * 4);
    random_operands(l->w_data, n, 1 / sqrtf((float)(n / l->dim[0])));
    if (bias) {
        l->bias_data = guarded((size_t)l->dim[0] * 4);
        random_normals(l->bias_data, l->dim[0]);
    }
    add_weights(l);
    return l;
}

static void layer_close(layer *l) {
    tsr_weights_close(&l->weights);
    guarded_free(l->w_data);
    if (l->bias_data) guarded_free(l->bias_data);
    free(l);
}

/* The C reference's device. */
static tsr_device *reference_device(void) {
    static tsr_device *device;
    if (device) return device;
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "cpu";
    s.reference = true;
    ck_assert_int_eq(tsr_device_open(everywhere_context(), &device, &s), TSR_OK);
    return device;
}

static void run(tsr_device *d, layer *l, const tsr_tensor *in, int in_count, tsr_tensor *out) {
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "half"};
    ck_assert_msg(!tsr_execute(d, &p, in, in_count, out, l->also_f32 ? 2 : 1), "%s: %s",
                  tsr_device_properties(d)->name, tsr_detail(tsr_device_context(d)));
    guarded_check(out[0].data);
}

/* The reference's answer with x and the weight rounded, or with their magnitudes. */
static void reference(const layer *l, const tsr_tensor *in, int in_count, bool magnitudes,
                      tsr_tensor *out) {
    layer copy = *l;
    int64_t n = elements(l), nx = tsr_elements(&in[0]);
    float *x = guarded((size_t)nx * 4);
    copy.w_data = guarded((size_t)n * 4);
    round_all(x, in[0].data, nx);
    round_all(copy.w_data, l->w_data, n);
    for (int64_t i = 0; i < n && magnitudes; ++i)
        copy.w_data[i] = fabsf(copy.w_data[i]);
    for (int64_t i = 0; i < nx && magnitudes; ++i)
        x[i] = fabsf(x[i]);
    copy.bias = NULL;
    add_weights(&copy);
    tsr_tensor inputs[3];
    memcpy(inputs, in, (size_t)in_count * sizeof *in);
    inputs[0].data = x;
    run(reference_device(), &copy, inputs, in_count, out);
    tsr_device_forget(reference_device(), &copy);
    tsr_weights_close(&copy.weights);
    guarded_free(copy.w_data);
    guarded_free(x);
}

/* Bodies in turn switched off; where matrix units serve, first with them, then the others. */
static const char *const linear_masks[] = {
    NULL, "linear_half_sg", "int64", "coopmat", "linear_half_sg,coopmat", "linear_half_sm,coopmat"};
static const char *const conv_masks[] = {
    NULL, "conv2d_half_sg", "int64", "coopmat", "conv2d_half_sg,coopmat", "conv2d_half_sm,coopmat"};
/* Only matrix units are left. */
static const char *const linear_coopmat = "linear_half_sg,linear_half_sm,linear_sg,linear_sm";
static const char *const conv_coopmat = "conv2d_half_sg,conv2d_half_sm,conv2d_sg,conv2d_sm";
enum { MASKS = 6, WITHOUT_COOPMAT = 3 };

/* Whether matrix units take a linear layer of n columns where there is nothing else. */
static bool coopmat_takes(const char *device, int64_t n) {
    enum { K = 8, MOST = 32 };
    tsr_device *d = everywhere_fast_device(device, linear_coopmat);
    layer *l = layer_open((layer){.dim = {n, K}, .rank = 2}, false);
    float x[K] = {1}, y[MOST];
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){1, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){1, n});
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "probe"};
    tsr_status status = tsr_execute(d, &p, &in, 1, &out, 1);
    ck_assert_msg(!status || status == TSR_ERROR_UNSUPPORTED, "%s: %s", device,
                  tsr_detail(everywhere_context()));
    tsr_device_forget(d, l);
    layer_close(l);
    return !status;
}

/* Not what the driver says: what the device was found to compute right on. */
static bool has_coopmat(const char *device) {
    return coopmat_takes(device, 17);
}

static int count_masks(const layer *l, const char *device) {
    return !l->bodies ? 1 : has_coopmat(device) ? MASKS : WITHOUT_COOPMAT;
}

/* Every Vulkan device: the rounded reference's numbers, the same bits twice; with fp16 masked, the
 * bits of an f32 device. Closes the layer. */
static void try(layer *l, const tsr_tensor *in, int in_count, int64_t outputs, const int64_t *dim,
                double tolerance) {
    float *want = guarded((size_t)outputs * 4), *got = guarded((size_t)outputs * 4);
    float *again = guarded((size_t)outputs * 4);
    tsr_tensor w = tsr_host_tensor(TSR_DTYPE_F32, want, in[0].rank, dim);
    tsr_tensor g = w, a = w;
    g.data = got, a.data = again;
    reference(l, in, in_count, false, &w);
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32], where[128];
        snprintf(name, sizeof name, "vulkan:%d", v);
        for (int i = 0; i < count_masks(l, name); ++i) {
            const char *mask = (l->rank == 2 ? linear_masks : conv_masks)[i];
            if (l->coopmat) mask = l->rank == 2 ? linear_coopmat : conv_coopmat;
            if (l->coopmat && !has_coopmat(name)) break;
            tsr_device *d = everywhere_fast_device(name, mask);
            snprintf(where, sizeof where, "rank %d to %lld on %s without %s", l->rank,
                     (long long)l->dim[0], name, mask ? mask : "nothing");
            run(d, l, in, in_count, &g);
            /* Matrix units may cut where they align the terms of a sum. */
            expect_close_f32(where, got, want, outputs,
                             has_coopmat(name) ? 4 * tolerance : tolerance);
            run(d, l, in, in_count, &a);
            ck_assert_msg(!memcmp(got, again, (size_t)outputs * 4), "%s: other bits", where);
            tsr_device_forget(d, l);
        }
        if (!l->bodies) continue;
        run(everywhere_device(name, NULL), l, in, in_count, &g);
        run(everywhere_fast_device(name, "fp16"), l, in, in_count, &a);
        ck_assert_msg(!memcmp(got, again, (size_t)outputs * 4), "%s without fp16 is not f32", name);
        tsr_device_forget(everywhere_device(name, NULL), l);
        tsr_device_forget(everywhere_fast_device(name, "fp16"), l);
    }
    guarded_free(want);
    guarded_free(got);
    guarded_free(again);
    layer_close(l);
}

static void try_linear(int64_t rows, int64_t k, int64_t n, tsr_activation act, bool parts,
                       bool bodies) {
    layer *l = layer_open((layer){.dim = {n, k},
                                  .rank = 2,
                                  .act = act,
                                  .gate = parts,
                                  .residual = parts,
                                  .bodies = bodies},
                          parts);
    float *x = guarded((size_t)(rows * k) * 4), *gate = guarded((size_t)n * 4);
    float *residual = guarded((size_t)(rows * n) * 4);
    random_operands(x, rows * k, 1);
    random_normals(gate, n);
    random_normals(residual, rows * n);
    tsr_tensor in[3] = {tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){rows, k}),
                        tsr_host_tensor(TSR_DTYPE_F32, gate, 1, &n),
                        tsr_host_tensor(TSR_DTYPE_F32, residual, 2, (int64_t[]){rows, n})};
    try(l, in, parts ? 3 : 1, rows * n, (int64_t[]){rows, n}, 1e-6 * sqrt((double)k) + 2e-6);
    guarded_free(x);
    guarded_free(gate);
    guarded_free(residual);
}

START_TEST(linear_with_f16_operands) {
    static const int64_t sizes[][3] = {/* rows, k, n */
                                       {1, 1, 1},    {5, 7, 17},    {7, 33, 15},
                                       {17, 4, 5},   {97, 36, 64},  {65, 385, 97},
                                       {64, 32, 64}, {33, 770, 20}, {130, 128, 192}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        try_linear(sizes[i][0], sizes[i][1], sizes[i][2], i % 3 ? TSR_ACT_NONE : TSR_ACT_GELU,
                   i % 2, sizes[i][0] >= 65);
}
END_TEST

static void try_conv(layer shape, int64_t batch, int64_t h, int64_t w) {
    layer *l = layer_open(shape, true);
    const tsr_conv_spec *s = &l->conv;
    int64_t stride = s->stride ? s->stride : 1, c = l->dim[1], n = l->dim[0];
    int64_t oh = ((h << s->upsample) + s->top + s->bottom - l->dim[2]) / stride + 1;
    int64_t ow = ((w << s->upsample) + s->left + s->right - l->dim[3]) / stride + 1;
    int64_t inputs = batch * h * w * c, outputs = batch * oh * ow * n;
    float *x = guarded((size_t)inputs * 4), *residual = guarded((size_t)outputs * 4);
    random_operands(x, inputs, 1);
    random_normals(residual, outputs);
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){batch, h, w, c}),
                        tsr_host_tensor(TSR_DTYPE_F32, residual, 4, (int64_t[]){batch, oh, ow, n})};
    try(l, in, l->residual ? 2 : 1, outputs, in[1].dim,
        1e-6 * sqrt((double)(c * l->dim[2] * l->dim[3])) + 2e-6);
    guarded_free(x);
    guarded_free(residual);
}

START_TEST(convolutions_with_f16_operands) {
    tsr_conv_spec same = {.top = 1, .left = 1, .bottom = 1, .right = 1};
    tsr_conv_spec up = same, down = {.stride = 2, .bottom = 1, .right = 1};
    up.upsample = true;
    try_conv(
        (layer){.dim = {36, 3, 3, 3}, .rank = 4, .conv = same, .act = TSR_ACT_SILU, .bodies = true},
        2, 8, 9);
    try_conv(
        (layer){.dim = {33, 20, 3, 3}, .rank = 4, .conv = same, .residual = true, .bodies = true},
        1, 11, 13);
    try_conv((layer){.dim = {3, 32, 3, 3}, .rank = 4, .conv = same, .residual = true}, 1, 5, 35);
    try_conv((layer){.dim = {16, 6, 3, 3}, .rank = 4, .conv = up, .act = TSR_ACT_SILU}, 2, 4, 5);
    try_conv((layer){.dim = {64, 40, 3, 3}, .rank = 4, .conv = down, .residual = true}, 1, 17, 16);
    try_conv((layer){.dim = {10, 5, 4, 2}, .rank = 4, .conv = down, .residual = true}, 1, 9, 6);
    try_conv((layer){.dim = {130, 8, 3, 3}, .rank = 4, .conv = same, .residual = true}, 1, 65, 64);
}
END_TEST

/* Beyond f16's range, infinities, and a NaN that stays in its row. */
START_TEST(values_that_f16_does_not_have) {
    static const float odd[] = {1e5f,           -3e38f, 65503.9f, 65520.f, 6.2e-5f,
                                1.00048828125f, 2049.f, 2051.f,   -0.f};
    enum { ODD = sizeof odd / sizeof *odd, ROWS = ODD + 2, K = 12, N = 9 };
    for (int round = 0; round < 2; ++round) {
        layer *l = layer_open((layer){.dim = {N, K}, .rank = 2}, false);
        float *x = guarded(ROWS * K * 4);
        memset(x, 0, ROWS * K * 4);
        for (int i = 0; i < ODD; ++i) /* alone in its row, so that the sum hides nothing */
            x[i * K + i % K] = odd[i];
        x[ODD * K + 3] = INFINITY;
        x[(ODD + 1) * K + 5] = NAN;
        if (round) {
            l->w_data[4] = 7e4f;
            l->w_data[K] = -1e30f;
        }
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
        try(l, &in, 1, ROWS * N, (int64_t[]){ROWS, N}, 2e-6);
        guarded_free(x);
    }
}
END_TEST

/* Below 2^-14: as f16 has it, or zero. */
START_TEST(values_that_f16_hardly_has) {
    static const float tiny[] = {6.1e-5f, -3e-5f, 3e-6f, 1e-7f, 1e-12f, -1e-45f};
    enum { ROWS = sizeof tiny / sizeof *tiny, K = 12, N = 9 };
    layer *l = layer_open((layer){.dim = {N, K}, .rank = 2}, false);
    float *x = guarded(ROWS * K * 4), most = 0;
    memset(x, 0, ROWS * K * 4);
    for (int i = 0; i < ROWS; ++i)
        x[i * K + i] = tiny[i];
    for (int i = 0; i < N * K; ++i)
        most = fmaxf(most, fabsf(l->w_data[i]));
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    try(l, &in, 1, ROWS * N, (int64_t[]){ROWS, N}, 0x1p-14 * most);
    guarded_free(x);
}
END_TEST

/* Half precision is really used, and stays within its bound of the f32 result. */
START_TEST(it_differs_from_f32_by_a_bounded_amount) {
    enum { ROWS = 40, K = 96, N = 70 };
    layer *l = layer_open((layer){.dim = {N, K}, .rank = 2}, false);
    float *x = guarded(ROWS * K * 4), *half = guarded(ROWS * N * 4), *f32 = guarded(ROWS * N * 4);
    float *sum = guarded(ROWS * N * 4);
    random_operands(x, ROWS * K, 1);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor h = tsr_host_tensor(TSR_DTYPE_F32, half, 2, (int64_t[]){ROWS, N}), f = h, s = h;
    f.data = f32, s.data = sum;
    reference(l, &in, 1, true, &s);
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", v);
        run(everywhere_device(name, NULL), l, &in, 1, &f);
        run(everywhere_fast_device(name, NULL), l, &in, 1, &h);
        int same = 0;
        for (int i = 0; i < ROWS * N; ++i) {
            ck_assert_msg(fabsf(half[i] - f32[i]) <= 0x1.02p-10f * sum[i] + 1e-6f,
                          "%s: value %d: wanted %g within %g, got %g", name, i, (double)f32[i],
                          (double)(0x1p-10f * sum[i]), (double)half[i]);
            same += half[i] == f32[i];
        }
        ck_assert_msg(same < ROWS * N / 10, "%s: %d of %d values are f32's", name, same, ROWS * N);
        tsr_device_forget(everywhere_device(name, NULL), l);
        tsr_device_forget(everywhere_fast_device(name, NULL), l);
    }
    guarded_free(x);
    guarded_free(half);
    guarded_free(f32);
    guarded_free(sum);
    layer_close(l);
}
END_TEST

/* A convolution that is to stay so has the bits of a device in f32, one pixel wide (which is a
 * matrix product) and 3 x 3; that without the word has others. */
START_TEST(exact_ones_stay_f32) {
    enum { H = 9, W = 7, C = 3, N = 40, OUT = H * W * N };
    float *x = guarded(H * W * C * 4), *f32 = guarded(OUT * 4), *fast = guarded(OUT * 4);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){1, H, W, C});
    tsr_tensor f = tsr_host_tensor(TSR_DTYPE_F32, f32, 4, (int64_t[]){1, H, W, N}), h = f;
    h.data = fast;
    random_operands(x, H * W * C, 1);
    for (int i = 0; i < 4 * everywhere_vulkan_count(); ++i) {
        const int side = i % 2 ? 3 : 1, pad = side / 2;
        const bool exact = i / 2 % 2;
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i / 4);
        layer *l = layer_open(
            (layer){.dim = {N, C, side, side},
                    .rank = 4,
                    .conv = {.top = pad, .left = pad, .bottom = pad, .right = pad, .exact = exact}},
            true);
        run(everywhere_device(name, NULL), l, &in, 1, &f);
        run(everywhere_fast_device(name, NULL), l, &in, 1, &h);
        ck_assert_msg(!memcmp(f32, fast, OUT * 4) == exact, "%s: kernel %d, exact %d: wanted %s",
                      name, side, exact, exact ? "the bits of f32" : "others");
        tsr_device_forget(everywhere_device(name, NULL), l);
        tsr_device_forget(everywhere_fast_device(name, NULL), l);
        layer_close(l);
    }
    guarded_free(x);
    guarded_free(f32);
    guarded_free(fast);
}
END_TEST

START_TEST(a_row_does_not_see_the_others) {
    enum { ROWS = 150 };
    static const int64_t shapes[][2] = {{96, 50}, {33, 7}};
    for (int v = 0; v < everywhere_vulkan_count(); ++v)
        for (int s = 0; s < 2; ++s)
            for (int i = 0; i < MASKS; ++i) {
                char name[32];
                snprintf(name, sizeof name, "vulkan:%d", v);
                if (i >= count_masks(&(layer){.bodies = true}, name)) continue;
                tsr_device *d = everywhere_fast_device(name, linear_masks[i]);
                int64_t k = shapes[s][0], n = shapes[s][1];
                layer *l = layer_open((layer){.dim = {n, k}, .rank = 2}, true);
                float *x = guarded((size_t)(ROWS * k) * 4), *some = guarded((size_t)(16 * n) * 4);
                float *all = guarded((size_t)(ROWS * n) * 4);
                random_normals(x, ROWS * k);
                tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, k});
                tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, all, 2, (int64_t[]){ROWS, n});
                run(d, l, &in, 1, &out);
                for (int64_t row = 0; row + 16 <= ROWS; row += 67)
                    for (int64_t count = 1; count <= 16; count += 15) {
                        in = tsr_host_tensor(TSR_DTYPE_F32, x + row * k, 2, (int64_t[]){count, k});
                        out = tsr_host_tensor(TSR_DTYPE_F32, some, 2, (int64_t[]){count, n});
                        run(d, l, &in, 1, &out);
                        ck_assert_msg(!memcmp(some, all + row * n, (size_t)(count * n) * 4),
                                      "%s without %s: %lld rows from %lld differ", name,
                                      linear_masks[i] ? linear_masks[i] : "nothing",
                                      (long long)count, (long long)row);
                    }
                tsr_device_forget(d, l);
                guarded_free(x);
                guarded_free(some);
                guarded_free(all);
                layer_close(l);
            }
}
END_TEST

static void keep_plan(void *user, tsr_log_level level, const char *text) {
    (void)level;
    const char *at = strstr(text, "weights ");
    unsigned long long *bytes = user;
    if (at) ck_assert_int_eq(sscanf(at, "weights %llu bytes (%llu new)", &bytes[0], &bytes[1]), 2);
}

/* The f16 form goes to the device once and alone; f32 only where an op asks for the values. */
START_TEST(weights_are_uploaded_in_one_form) {
    enum { ROWS = 3, K = 70, N = 50, HALF = (N * 72 * 2 + 255) / 256 * 256 };
    enum { WHOLE = (N * K * 4 + 255) / 256 * 256 };
    unsigned long long bytes[2];
    tsr_context_settings cs = tsr_context_settings_default();
    cs.log = keep_plan;
    cs.log_user = bytes;
    cs.log_level = TSR_LOG_INFO;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &cs), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    s.precision = TSR_PRECISION_FAST;
    s.try_matrices = tsr_try_matrices;
    tsr_device *d = NULL;
    ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_OK);
    layer *l = layer_open((layer){.dim = {N, K}, .rank = 2}, false);
    float x[4 * K], y[4 * N], *w = guarded(N * K * 4);
    random_normals(x, 4 * K);
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "forms"};
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor out[2] = {tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, N}),
                         tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){N, K})};
    ck_assert_msg(!tsr_execute(d, &p, &in, 1, out, 1), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(bytes[1], HALF);
    in.dim[0] = out[0].dim[0] = 4; /* another recording finds it there */
    ck_assert_msg(!tsr_execute(d, &p, &in, 1, out, 1), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(bytes[1], 0);
    l->also_f32 = true;
    p.variant = 1;
    ck_assert_msg(!tsr_execute(d, &p, &in, 1, out, 2), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(bytes[1], WHOLE);
    ck_assert_uint_eq(bytes[0], HALF + WHOLE);
    ck_assert(!memcmp(w, l->w_data, N * K * 4));
    guarded_free(w);
    layer_close(l);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(matrix_units) {
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", v);
        if (!has_coopmat(name)) continue;
        ck_assert_msg(!coopmat_takes(name, 16), "%s: narrow products have better bodies", name);
    }
    static const int64_t sizes[][3] = {/* rows, k, n */
                                       {1, 1, 17},
                                       {33, 70, 65},
                                       {64, 32, 64},
                                       {129, 200, 130}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        int64_t rows = sizes[i][0], k = sizes[i][1], n = sizes[i][2];
        layer *l = layer_open((layer){.dim = {n, k}, .rank = 2, .coopmat = true}, true);
        float *x = guarded((size_t)(rows * k) * 4);
        random_operands(x, rows * k, 1);
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){rows, k});
        try(l, &in, 1, rows * n, (int64_t[]){rows, n}, 1e-6 * sqrt((double)k) + 2e-6);
        guarded_free(x);
    }
    tsr_conv_spec same = {.top = 1, .left = 1, .bottom = 1, .right = 1};
    try_conv((layer){.dim = {70, 20, 3, 3}, .rank = 4, .conv = same, .coopmat = true}, 1, 11, 13);
    try_conv((layer){.dim = {19, 33, 3, 3}, .rank = 4, .conv = same, .coopmat = true}, 2, 9, 8);
}
END_TEST

static const char *need_coopmat(void) {
    const int count = everywhere_has_vulkan() ? everywhere_vulkan_count() : 0;
    for (int v = 0; v < count; ++v) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", v);
        if (has_coopmat(name)) return NULL;
    }
    return "no device whose cooperative matrices are used";
}

TEST_PARTS("op_half_products",
           PART(own, need_vulkan, linear_with_f16_operands, convolutions_with_f16_operands,
                values_that_f16_does_not_have, values_that_f16_hardly_has,
                it_differs_from_f32_by_a_bounded_amount, exact_ones_stay_f32,
                a_row_does_not_see_the_others, weights_are_uploaded_in_one_form),
           PART(coopmat, need_coopmat, matrix_units))
