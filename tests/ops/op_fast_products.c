/* SPDX-License-Identifier: MIT */
/* Products under --precision fast on the cpu device: equal to plain C that rounds the same operands
 * to bf16 and adds in f32, with every kernel this machine has; weights that are bf16 already give
 * the very bits of f32 where they alone are rounded. */
#include "ops/ops.h"
#include "compute/op.h"
#include "compute/weights.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kernels in turn switched off; the first is what people get. */
static const char *const masks[] = {NULL, "bf16", "onednn", "onednn,avx512", "onednn,avx512,avx2"};
enum { MASKS = sizeof masks / sizeof *masks };

typedef struct opened {
    tsr_context *ctx;
    tsr_device *device;
} opened;

static opened open_cpu(const char *mask, bool fast, bool reference, int threads) {
    opened o = {0};
    tsr_context_settings c = tsr_context_settings_default();
    c.threads = threads;
    ck_assert_int_eq(tsr_context_open(&o.ctx, &c), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "cpu";
    s.mask = mask;
    s.reference = reference;
    s.precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    s.guard = true;
    ck_assert_msg(!tsr_device_open(o.ctx, &o.device, &s), "%s", tsr_detail(o.ctx));
    return o;
}

static void close_cpu(opened *o) {
    tsr_device_close(&o->device);
    tsr_context_close(&o->ctx);
}

/* To the nearest bf16, ties to the even one: by the neighbours, not by the bits below them. */
static float nearest_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    u &= 0xffff0000u;
    float low, high;
    memcpy(&low, &u, sizeof low);
    bool even = !(u & 0x10000u);
    u += 0x10000u;
    memcpy(&high, &u, sizeof high);
    double below = fabs((double)f - low), above = fabs((double)high - f);
    return below < above || (below == above && even) ? low : high;
}

static float *rounded(const float *x, int64_t n, bool round) {
    float *y = malloc((size_t)n * sizeof *y);
    ck_assert_ptr_nonnull(y);
    for (int64_t i = 0; i < n; ++i)
        y[i] = round ? nearest_bf16(x[i]) : x[i];
    return y;
}

/* ---- a layer: linear, or a convolution --------------------------------------------------------
 */

typedef struct layer {
    tsr_weights *weights;
    tsr_weight *w, *bias;
    int64_t batch, h, width, c, n, kernel, stride; /* kernel 0: linear over rows h * width */
    float *x, *w_data, *bias_data;
} layer;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    if (!l->kernel) {
        out[0] = tsr_linear(r, in[0], l->w, &(tsr_epilogue){.bias = l->bias});
        return;
    }
    const int pad = (int)(l->kernel / 2);
    out[0] = tsr_conv2d(r, in[0], l->w,
                        &(tsr_conv_spec){.stride = (int)l->stride,
                                         .top = pad,
                                         .bottom = pad,
                                         .left = pad,
                                         .right = pad,
                                         .bias = l->bias});
}

static int64_t out_side(const layer *l, int64_t side) {
    return l->kernel ? (side + 2 * (l->kernel / 2) - l->kernel) / l->stride + 1 : side;
}

static int64_t out_values(const layer *l) {
    return l->batch * out_side(l, l->h) * out_side(l, l->width) * l->n;
}

static int64_t depth_of(const layer *l) {
    return l->c * (l->kernel ? l->kernel * l->kernel : 1);
}

static tsr_weight *add(tsr_context *ctx, layer *l, const char *name, float *data, int rank,
                       const int64_t *dim) {
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    ck_assert_msg(!tsr_weights_add(ctx, l->weights, name, &t), "%s", tsr_detail(ctx));
    return tsr_weights_find(l->weights, name);
}

/* Random operands; `exact`: weights that are bf16 already. */
static void layer_fill(layer *l, bool exact) {
    const int64_t xs = l->batch * l->h * l->width * l->c, ws = l->n * depth_of(l);
    l->x = guarded((size_t)xs * 4);
    l->w_data = guarded((size_t)ws * 4);
    l->bias_data = guarded((size_t)l->n * 4);
    random_normals(l->x, xs);
    random_normals(l->w_data, ws);
    random_normals(l->bias_data, l->n);
    for (int64_t i = 0; i < ws; ++i) {
        l->w_data[i] /= sqrtf((float)depth_of(l)); /* sums of about 1 */
        if (exact) l->w_data[i] = nearest_bf16(l->w_data[i]);
    }
}

static void layer_free(layer *l) {
    guarded_free(l->x);
    guarded_free(l->w_data);
    guarded_free(l->bias_data);
}

/* With weights of its own, as a model loaded for this device has. */
static void layer_run(layer *l, opened *o, int64_t first, int64_t count, float *y) {
    ck_assert_int_eq(tsr_weights_open(o->ctx, &l->weights), TSR_OK);
    l->w = l->kernel
               ? add(o->ctx, l, "w", l->w_data, 4, (int64_t[]){l->n, l->c, l->kernel, l->kernel})
               : add(o->ctx, l, "w", l->w_data, 2, (int64_t[]){l->n, l->c});
    l->bias = add(o->ctx, l, "b", l->bias_data, 1, &l->n);
    const int64_t item = l->h * l->width * l->c;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, l->x + first * item, 4,
                                    (int64_t[]){count, l->h, l->width, l->c});
    tsr_tensor out = tsr_host_tensor(
        TSR_DTYPE_F32, y, 4, (int64_t[]){count, out_side(l, l->h), out_side(l, l->width), l->n});
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "fast products"};
    ck_assert_msg(!tsr_execute(o->device, &p, &in, 1, &out, 1), "%s", tsr_detail(o->ctx));
    tsr_weights_close(&l->weights);
}

/* Plain C: operands rounded where the form says so, products added one by one in f32. */
static void expected(const layer *l, bool round_x, bool round_w, float *y) {
    const int64_t xs = l->batch * l->h * l->width * l->c, ws = l->n * depth_of(l);
    float *x = rounded(l->x, xs, round_x), *w = rounded(l->w_data, ws, round_w);
    const int64_t k = l->kernel ? l->kernel : 1, pad = k / 2, stride = l->kernel ? l->stride : 1;
    const int64_t oh = out_side(l, l->h), ow = out_side(l, l->width);
    for (int64_t at = 0; at < out_values(l); ++at) {
        const int64_t o = at % l->n, ox = at / l->n % ow, oy = at / l->n / ow % oh;
        const float *image = x + at / l->n / ow / oh * l->h * l->width * l->c;
        float sum = 0;
        for (int64_t ky = 0; ky < k; ++ky)
            for (int64_t kx = 0; kx < k; ++kx) {
                const int64_t iy = oy * stride + ky - pad, ix = ox * stride + kx - pad;
                if (iy < 0 || ix < 0 || iy >= l->h || ix >= l->width) continue;
                for (int64_t c = 0; c < l->c; ++c)
                    sum += image[(iy * l->width + ix) * l->c + c] *
                           w[((o * l->c + c) * k + ky) * k + kx];
            }
        y[at] = sum + l->bias_data[o];
    }
    free(x);
    free(w);
}

static double tolerance_of(const layer *l) {
    return 1e-6 * sqrt((double)depth_of(l)) + 2e-6; /* as of f32 products: the order of a sum */
}

static const char *shape_text(const layer *l, const char *mask, char *text, size_t size) {
    snprintf(text, size, "%s %lldx%lldx%lldx%lld to %lld kernel %lld stride %lld without %s",
             l->kernel ? "conv2d" : "linear", (long long)l->batch, (long long)l->h,
             (long long)l->width, (long long)l->c, (long long)l->n, (long long)l->kernel,
             (long long)l->stride, mask ? mask : "nothing");
    return text;
}

static float *values(const layer *l) {
    float *y = malloc((size_t)out_values(l) * sizeof *y);
    ck_assert_ptr_nonnull(y);
    return y;
}

/* `f32`: this shape goes through Winograd, in f32, wherever that is faster than what would be
 * rounded: with bf16 products, unless matrix units compute them. */
static void try_layer(layer l, bool f32) {
    float *want, *got, *three, *plain;
    layer_fill(&l, false);
    want = values(&l), got = values(&l), three = values(&l), plain = values(&l);
    for (int m = 0; m < MASKS; ++m) {
        char what[160];
        shape_text(&l, masks[m], what, sizeof what);
        opened o = open_cpu(masks[m], true, false, 1), t = open_cpu(masks[m], true, false, 3);
        opened p = open_cpu(masks[m], false, false, 1);
        const tsr_cpu_products form = tsr_device_products(o.device);
        ck_assert_int_eq(form != TSR_PRODUCTS_F32, *tsr_device_fast_path(o.device) != 0);
        ck_assert_int_eq(tsr_device_products(p.device), TSR_PRODUCTS_F32);
        const bool round_x =
            form == TSR_PRODUCTS_BF16 && (!f32 || tsr_device_bf16_matrix(o.device));
        const bool round_w = round_x || (form == TSR_PRODUCTS_BF16_WEIGHTS && !f32);
        expected(&l, round_x, round_w, want);
        layer_run(&l, &o, 0, l.batch, got);
        expect_close_f32(what, got, want, out_values(&l), tolerance_of(&l));
        ck_assert_msg(tsr_device_fast_used(o.device) == round_w, "%s: used: wanted %d", what,
                      round_w);
        layer_run(&l, &t, 0, l.batch, three);
        ck_assert_msg(!memcmp(got, three, (size_t)out_values(&l) * 4),
                      "%s: 1 and 3 threads: not the same bits", what);
        for (int64_t b = 0; b < l.batch; ++b) {
            const int64_t item = out_values(&l) / l.batch;
            layer_run(&l, &o, b, 1, three);
            ck_assert_msg(!memcmp(got + b * item, three, (size_t)item * 4),
                          "%s: item %lld: other bits alone than in the batch", what, (long long)b);
        }
        layer_run(&l, &p, 0, l.batch, plain);
        const bool same = !memcmp(got, plain, (size_t)out_values(&l) * 4);
        if (l.n * depth_of(&l) > 100) /* a few weights may be bf16 by chance */
            ck_assert_msg(same == !round_w, "%s: %s as in f32", what,
                          same ? "the same" : "not the same");
        close_cpu(&o), close_cpu(&t), close_cpu(&p);
    }
    free(want), free(got), free(three), free(plain);
    layer_free(&l);
}

START_TEST(linear_rounds_what_it_says) {
    static const int64_t sizes[][4] = {/* batch, rows, k, n */
                                       {1, 1, 1, 1},      {1, 1, 7, 3},     {3, 5, 1, 17},
                                       {2, 6, 16, 16},    {1, 7, 33, 15},   {2, 13, 64, 33},
                                       {1, 97, 33, 64},   {1, 65, 770, 97}, {1, 1, 1601, 48},
                                       {2, 17, 513, 257}, {1, 12, 48, 193}, {1, 201, 64, 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        try_layer((layer){.batch = sizes[i][0],
                          .h = sizes[i][1],
                          .width = 1,
                          .c = sizes[i][2],
                          .n = sizes[i][3]},
                  false);
}
END_TEST

START_TEST(convolutions_round_what_they_say) {
    try_layer((layer){.batch = 2, .h = 9, .width = 7, .c = 5, .n = 19, .kernel = 3, .stride = 1},
              false);
    try_layer((layer){.batch = 1, .h = 12, .width = 40, .c = 16, .n = 33, .kernel = 3, .stride = 2},
              false);
    try_layer((layer){.batch = 2, .h = 8, .width = 8, .c = 24, .n = 16, .kernel = 5, .stride = 1},
              false);
    try_layer((layer){.batch = 1, .h = 6, .width = 5, .c = 17, .n = 9, .kernel = 1, .stride = 1},
              false);
    /* Large enough for Winograd, whose weights are sums: these stay f32. */
    try_layer((layer){.batch = 1, .h = 20, .width = 24, .c = 32, .n = 40, .kernel = 3, .stride = 1},
              true);
}
END_TEST

/* A model stored in bf16 loses nothing where weights alone are rounded. */
START_TEST(bf16_weights_give_the_bits_of_f32) {
    static const char *const kernels[] = {"bf16,onednn", "bf16,onednn,avx512",
                                          "bf16,onednn,avx512,avx2"};
    layer l[2] = {{.batch = 1, .h = 50, .width = 1, .c = 900, .n = 70},
                  {.batch = 1, .h = 11, .width = 9, .c = 12, .n = 21, .kernel = 3, .stride = 1}};
    for (int i = 0; i < 2; ++i) {
        layer_fill(&l[i], true);
        float *a = values(&l[i]), *b = values(&l[i]);
        for (int k = 0; k < 3; ++k) {
            opened fast = open_cpu(kernels[k], true, false, 2);
            opened f32 = open_cpu(kernels[k], false, false, 2);
            ck_assert_int_eq(tsr_device_products(fast.device), TSR_PRODUCTS_BF16_WEIGHTS);
            layer_run(&l[i], &fast, 0, 1, a);
            layer_run(&l[i], &f32, 0, 1, b);
            ck_assert_msg(!memcmp(a, b, (size_t)out_values(&l[i]) * 4),
                          "without %s: not the bits of f32", kernels[k]);
            close_cpu(&fast), close_cpu(&f32);
        }
        free(a), free(b);
        layer_free(&l[i]);
    }
}
END_TEST

START_TEST(a_device_says_what_fast_is) {
    opened f32 = open_cpu(NULL, false, false, 1), fast = open_cpu(NULL, true, false, 1);
    opened reference = open_cpu(NULL, true, true, 1),
           weights = open_cpu("bf16,onednn", true, false, 1);
    opened none = open_cpu("bf16,bf16_weights", true, false, 1);
    printf("fast on this processor: %s\n",
           *tsr_device_fast_path(fast.device) ? tsr_device_fast_path(fast.device) : "f32");
    if (tsr_device_products(fast.device) != TSR_PRODUCTS_BF16)
        leave_out("bf16 products: this processor or build has none");
    ck_assert_str_eq(tsr_device_fast_path(f32.device), "");
    ck_assert_str_eq(tsr_device_fast_path(reference.device), "");
    ck_assert_str_eq(tsr_device_fast_path(none.device), "");
    ck_assert_str_eq(tsr_device_fast_path(weights.device), "weights in bf16, products in f32");
    close_cpu(&f32), close_cpu(&fast), close_cpu(&reference), close_cpu(&weights), close_cpu(&none);
}
END_TEST

START_TEST(rounding_of_many_is_rounding_of_one) {
    enum { N = 4099 };
    static float x[N];
    static uint16_t y[N];
    random_normals(x, N);
    static const uint32_t edges[] = {0x00000000, 0x80000000, 0x00000001, 0x00008000, 0x00018000,
                                     0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff,
                                     0x7f800000, 0xff800000, 0x7f800001, 0x7fc00000, 0xffffffff};
    memcpy(x, edges, sizeof edges);
    tsr_floats_to_bf16(y, x, N);
    for (int i = 0; i < N; ++i) {
        ck_assert_msg(y[i] == tsr_f32_to_bf16(x[i]), "%g: %04x", (double)x[i], y[i]);
        if (isfinite(x[i]) && fabsf(x[i]) < 1e30f)
            ck_assert_msg(tsr_bf16_to_f32(y[i]) == nearest_bf16(x[i]), "%g: %04x", (double)x[i],
                          y[i]);
    }
    ck_assert(isnan(tsr_bf16_to_f32(y[12])) && isinf(tsr_bf16_to_f32(y[9])));
}
END_TEST

TEST_MAIN("op_fast_products", linear_rounds_what_it_says, convolutions_round_what_they_say,
          bf16_weights_give_the_bits_of_f32, a_device_says_what_fast_is,
          rounding_of_many_is_rounding_of_one)
