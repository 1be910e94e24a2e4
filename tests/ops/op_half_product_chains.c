/* SPDX-License-Identifier: MIT */
/* Products that hand f16 to each other on Vulkan devices: the bits are those of the same chain with
 * activations kept in f32, as the reader would have rounded what the writer has rounded now. Values
 * are multiples of 1/1024, so that nothing is below what f16 holds (tests/ops/op_half_products.c),
 * and large enough that rounding changes most of them. */
#include "ops/ops.h"
#include "compute/weights.h"
#include "everywhere.h"
#include "needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 3 };

typedef struct chain {
    tsr_weights *weights;
    int links;
    int64_t dim[MOST][4]; /* of the weights; dim[i][2] = 0: linear */
    tsr_conv_spec conv[MOST];
    bool residual; /* of the last */
    bool bodies;   /* software drivers compile each body for a second: all of them only here */
    tsr_weight *w[MOST], *bias[MOST];
    void *values[2 * MOST]; /* of both */
} chain;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const chain *c = m;
    const tsr_tensor *x = in[0];
    for (int i = 0; i < c->links; ++i) {
        const bool last = i == c->links - 1;
        const tsr_activation act = last ? TSR_ACT_NONE : TSR_ACT_RELU;
        const tsr_tensor *residual = last && c->residual ? in[1] : NULL;
        tsr_conv_spec spec = c->conv[i];
        spec.bias = c->bias[i];
        spec.act = act;
        spec.residual = residual;
        const tsr_epilogue e = {.bias = c->bias[i], .act = act, .residual = residual};
        x = c->dim[i][2] ? tsr_conv2d(r, x, c->w[i], &spec) : tsr_linear(r, x, c->w[i], &e);
    }
    out[0] = (tsr_tensor *)x;
}

static void random_multiples(float *x, int64_t n, int most, float unit) {
    random_normals(x, n);
    for (int64_t i = 0; i < n; ++i) {
        int k = (int)(x[i] * (float)most / 2);
        x[i] = (float)(k > most ? most : k < -most ? -most : k) * unit;
    }
}

static void add(chain *c, int link, char kind, int rank, const int64_t *dim, int most) {
    char name[3] = {kind, (char)('0' + link), 0};
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    t.data = malloc((size_t)tsr_elements(&t) * 4);
    ck_assert_ptr_nonnull(t.data);
    random_multiples(t.data, tsr_elements(&t), most, 0.25f);
    ck_assert_int_eq(tsr_weights_add(everywhere_context(), c->weights, name, &t), TSR_OK);
    *(kind == 'w' ? &c->w[link] : &c->bias[link]) = tsr_weights_find(c->weights, name);
    c->values[2 * link + (kind == 'b')] = t.data;
}

static void keep_halves(void *user, tsr_log_level level, const char *text) {
    (void)level;
    const char *at = strstr(text, " without reuse, ");
    if (at) ck_assert_int_eq(sscanf(at, " without reuse, %d of them f16", (int *)user), 1);
}

/* Runs the chain on a device of its own. False: it has no body left under this mask. */
static bool run(chain *c, int device, const char *mask, bool halves, const tsr_tensor *in,
                tsr_tensor *out, int *kept) {
    char name[32], masks[256];
    snprintf(name, sizeof name, "vulkan:%d", device);
    snprintf(masks, sizeof masks, "%s%s%s", mask, *mask && !halves ? "," : "",
             halves ? "" : "f16_activations");
    tsr_context_settings cs = tsr_context_settings_default();
    cs.log = keep_halves;
    cs.log_user = kept;
    cs.log_level = TSR_LOG_INFO;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &cs), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    s.mask = *masks ? masks : NULL;
    s.precision = TSR_PRECISION_FAST;
    s.guard = true;
    s.try_matrices = tsr_try_matrices;
    s.validation = getenv("TESSERA_VALIDATION") != NULL;
    tsr_device *d = NULL;
    ck_assert_msg(!tsr_device_open(ctx, &d, &s), "%s: %s", name, tsr_detail(ctx));
    tsr_program p = {.fn = model, .model = c, .variant = 0, .name = "chain"};
    const tsr_status status = tsr_execute(d, &p, in, c->residual ? 2 : 1, out, 1);
    ck_assert_msg(!status || status == TSR_ERROR_UNSUPPORTED, "%s without %s: %s", name, masks,
                  tsr_detail(ctx));
    tsr_device_close(&d);
    tsr_context_close(&ctx);
    return !status;
}

/* What is masked; the last leaves matrix units alone, where there are any. */
static const char *const masks[] = {
    "coopmat", "coopmat,linear_half_sg,conv2d_half_sg", "coopmat,int64",
    "linear_half_sg,linear_half_sm,linear_sg,linear_sm,conv2d_half_sg,conv2d_half_sm,conv2d_sg,"
    "conv2d_sm"};

/* `halves`: how many tensors between the products can be f16. */
static void try(chain c, const tsr_tensor *x, const tsr_tensor *y, int halves) {
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &c.weights), TSR_OK);
    for (int i = 0; i < c.links; ++i) {
        add(&c, i, 'w', c.dim[i][2] ? 4 : 2, c.dim[i], 6);
        add(&c, i, 'b', 1, c.dim[i], 40);
    }
    const int64_t outputs = tsr_elements(y);
    tsr_tensor in[2] = {*x, *y};
    in[0].data = guarded((size_t)tsr_elements(x) * 4);
    in[1].data = guarded((size_t)outputs * 4);
    random_multiples(in[0].data, tsr_elements(x), 1000, 1.0f / 64);
    random_multiples(in[1].data, outputs, 1000, 1.0f / 64);
    tsr_tensor f32 = *y, f16 = *y;
    f32.data = guarded((size_t)outputs * 4);
    f16.data = guarded((size_t)outputs * 4);
    for (int v = 0; v < everywhere_vulkan_count(); ++v)
        for (size_t m = 0; m < sizeof masks / sizeof *masks; ++m) {
            int none = -1, kept = -1;
            if (!c.bodies && m % 3) continue; /* the first and the last */
            if (!run(&c, v, masks[m], false, in, &f32, &none)) continue;
            ck_assert(run(&c, v, masks[m], true, in, &f16, &kept));
            ck_assert_int_eq(none, 0);
            ck_assert_msg(kept == halves, "vulkan:%d without %s: wanted %d tensors as f16, got %d",
                          v, masks[m], halves, kept);
            const float *a = f32.data, *b = f16.data;
            for (int64_t i = 0; i < outputs; ++i)
                ck_assert_msg(!memcmp(&a[i], &b[i], 4),
                              "vulkan:%d without %s: value %lld: wanted %.9g, got %.9g", v,
                              masks[m], (long long)i, (double)a[i], (double)b[i]);
        }
    guarded_free(in[0].data);
    guarded_free(in[1].data);
    guarded_free(f32.data);
    guarded_free(f16.data);
    tsr_weights_close(&c.weights);
    for (int i = 0; i < 2 * MOST; ++i)
        free(c.values[i]);
}

static tsr_tensor shape(int rank, int64_t a, int64_t b, int64_t c, int64_t d) {
    return tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, (int64_t[]){a, b, c, d});
}

START_TEST(linear_to_linear) {
    const tsr_tensor x = shape(2, 97, 40, 0, 0), y = shape(2, 97, 33, 0, 0);
    try((chain){.links = 2, .dim = {{136, 40}, {33, 136}}, .residual = true, .bodies = true}, &x,
        &y, 1);
    const tsr_tensor odd = shape(2, 70, 37, 0, 0), wide = shape(2, 70, 66, 0, 0);
    try((chain){.links = 2, .dim = {{64, 37}, {66, 64}}}, &odd, &wide, 1);
}
END_TEST

/* 36 columns are not whole words of 16 bytes: as before. */
START_TEST(rows_of_odd_length_stay_f32) {
    const tsr_tensor x = shape(2, 5, 40, 0, 0), y = shape(2, 5, 24, 0, 0);
    try((chain){.links = 2, .dim = {{36, 40}, {24, 36}}}, &x, &y, 0);
}
END_TEST

START_TEST(convolution_to_convolution) {
    const tsr_conv_spec same = {.top = 1, .left = 1, .bottom = 1, .right = 1};
    const tsr_conv_spec down = {.stride = 2, .bottom = 1, .right = 1};
    const tsr_tensor x = shape(4, 2, 9, 11, 3), y = shape(4, 2, 4, 5, 20);
    try((chain){.links = 3,
                .dim = {{40, 3, 3, 3}, {24, 40, 3, 3}, {20, 24, 3, 3}},
                .conv = {same, same, down},
                .residual = true,
                .bodies = true},
        &x, &y, 2);
    /* Doubled maps, and one pixel's kernel, which is a linear layer. */
    tsr_conv_spec up = same;
    up.upsample = true;
    const tsr_tensor small = shape(4, 1, 5, 7, 8), large = shape(4, 1, 10, 14, 17);
    try((chain){.links = 3,
                .dim = {{32, 8, 3, 3}, {48, 32, 1, 1}, {17, 48, 3, 3}},
                .conv = {up, {0}, same}},
        &small, &large, 2);
}
END_TEST

TEST_PARTS("op_half_product_chains", PART(own, need_vulkan, linear_to_linear,
                                          rows_of_odd_length_stay_f32, convolution_to_convolution))
