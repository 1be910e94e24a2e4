/* SPDX-License-Identifier: MIT */
/* Convolution with every kernel, stride, padding, upsampling and epilogue against float64, on every
 * device; a picture's result must not depend on the batch, nor on the number of threads. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    tsr_weights *weights;
    tsr_weight *w;
    tsr_conv_spec spec;
    bool residual;
    float *kernel, *bias; /* bias NULL = none */
    int64_t n, c, kh, kw;
} layer;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    tsr_conv_spec spec = l->spec;
    if (l->residual) spec.residual = in[1];
    out[0] = tsr_conv2d(r, in[0], l->w, &spec);
}

static tsr_weight *add(layer *l, const char *name, float *data, int rank, const int64_t *dim) {
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    tsr_context *ctx = everywhere_context();
    ck_assert_msg(!tsr_weights_add(ctx, l->weights, name, &t), "%s", tsr_detail(ctx));
    return tsr_weights_find(l->weights, name);
}

static void layer_open(layer *l, int64_t n, int64_t c, int64_t kh, int64_t kw, bool bias) {
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &l->weights), TSR_OK);
    l->n = n, l->c = c, l->kh = kh, l->kw = kw;
    l->kernel = guarded((size_t)(n * c * kh * kw) * 4);
    random_normals(l->kernel, n * c * kh * kw);
    for (int64_t i = 0; i < n * c * kh * kw; ++i) /* sums of about 1 */
        l->kernel[i] /= sqrtf((float)(c * kh * kw));
    l->w = add(l, "w", l->kernel, 4, (int64_t[]){n, c, kh, kw});
    if (!bias) return;
    l->bias = guarded((size_t)n * 4);
    random_normals(l->bias, n);
    l->spec.bias = add(l, "b", l->bias, 1, &n);
}

static void layer_close(layer *l) {
    tsr_weights_close(&l->weights);
    guarded_free(l->kernel);
    if (l->bias) guarded_free(l->bias);
}

static double activate(tsr_activation act, double a) {
    return act == TSR_ACT_SILU ? a / (1 + exp(-a)) : a;
}

static int64_t stride_of(const layer *l) {
    return l->spec.stride ? l->spec.stride : 1;
}

/* Output rows or columns: `pad` is the sum of both sides. */
static int64_t out_size(const layer *l, int64_t in, int64_t pad, int64_t kernel) {
    return ((l->spec.upsample ? 2 * in : in) + pad - kernel) / stride_of(l) + 1;
}

static double exact(const layer *l, const float *x, int64_t h, int64_t w, int64_t oy, int64_t ox,
                    int64_t o) {
    int scale = l->spec.upsample ? 2 : 1;
    double sum = l->bias ? l->bias[o] : 0;
    for (int64_t ky = 0; ky < l->kh; ++ky)
        for (int64_t kx = 0; kx < l->kw; ++kx) {
            int64_t y = oy * stride_of(l) + ky - l->spec.top;
            int64_t xx = ox * stride_of(l) + kx - l->spec.left;
            if (y < 0 || xx < 0 || y >= h * scale || xx >= w * scale) continue;
            for (int64_t c = 0; c < l->c; ++c)
                sum += (double)x[(y / scale * w + xx / scale) * l->c + c] *
                       l->kernel[((o * l->c + c) * l->kh + ky) * l->kw + kx];
        }
    return activate(l->spec.act, sum);
}

/* Kernels of the cpu, in turn switched off. */
static const char *const cpu_masks[] = {
    "winograd",    "winograd,avx2,avx512", "onednn", "onednn,avx512",
    "avx2,avx512", "onednn,avx512,avx2",   NULL};

/* Bodies of the shader, in turn switched off. */
static const char *const gpu_masks[] = {"conv2d_sg", "conv2d_sm", "int64", NULL};

/* Bodies times epilogues times kinds of loads: software drivers compile each for a second, so the
 * other bodies are tried with two epilogues only. */
static void on_all(op_case *c, const layer *l) {
    c->run.masks = cpu_masks;
    c->run.cpu_only = true;
    op_run(c);
    bool common = l->spec.act == TSR_ACT_NONE ? l->bias && l->residual : l->bias && !l->residual;
    c->run.masks = common ? gpu_masks : NULL;
    c->run.cpu_only = false;
    op_run(c);
}

/* The layer is closed afterwards. */
static void try(layer *l, int64_t batch, int64_t h, int64_t w) {
    int64_t oh = out_size(l, h, l->spec.top + l->spec.bottom, l->kh);
    int64_t ow = out_size(l, w, l->spec.left + l->spec.right, l->kw);
    op_case c = {.run = {.fn = model, .model = l, .tolerance = 0}};
    op_name(&c, "conv2d %lldx%lldx%lldx%lld to %lld, %lldx%lld/%d pad %d%d%d%d%s%s%s act %d",
            (long long)batch, (long long)h, (long long)w, (long long)l->c, (long long)l->n,
            (long long)l->kh, (long long)l->kw, l->spec.stride, l->spec.top, l->spec.left,
            l->spec.bottom, l->spec.right, l->spec.upsample ? " up" : "", l->bias ? " bias" : "",
            l->residual ? " residual" : "", (int)l->spec.act);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(batch, h, w, l->c)), *residual = NULL;
    random_normals(x, batch * h * w * l->c);
    int64_t count = batch * oh * ow * l->n;
    if (l->residual) {
        residual = op_in(&c, TSR_DTYPE_F32, SHAPE(batch, oh, ow, l->n));
        random_normals(residual, count);
    }
    op_out(&c, TSR_DTYPE_F32, SHAPE(batch, oh, ow, l->n));
    c.run.tolerance = 6e-7 * sqrt((double)(l->kh * l->kw * l->c)) + 2e-6; /* Winograd F(4x4) */
    on_all(&c, l);
    double *want = malloc((size_t)count * sizeof *want);
    ck_assert_ptr_nonnull(want);
    for (int64_t i = 0; i < count; ++i) {
        int64_t b = i / l->n / ow / oh;
        want[i] = exact(l, x + b * h * w * l->c, h, w, i / l->n / ow % oh, i / l->n % ow, i % l->n);
        if (residual) want[i] += residual[i];
    }
    op_expect(&c, 0, want, c.run.tolerance);
    free(want);
    op_free(&c);
    layer_close(l);
}

static void pad(layer *l, int top, int left, int bottom, int right) {
    l->spec.top = top, l->spec.left = left, l->spec.bottom = bottom, l->spec.right = right;
}

START_TEST(what_the_models_use) {
    static const int64_t sizes[][4] = {/* h, w, c, n */
                                       {8, 8, 3, 128},  {5, 7, 64, 64},  {16, 16, 32, 16},
                                       {9, 33, 16, 32}, {33, 34, 8, 48}, {3, 130, 4, 3},
                                       {12, 5, 96, 3},  {1, 1, 128, 40}, {2, 1, 5, 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        layer same = {.spec = {.act = i % 2 ? TSR_ACT_NONE : TSR_ACT_SILU}, .residual = i % 2};
        layer_open(&same, sizes[i][3], sizes[i][2], 3, 3, true);
        pad(&same, 1, 1, 1, 1);
        try(&same, 1 + (int64_t)(i % 2), sizes[i][0], sizes[i][1]);
        layer up = {.spec = {.upsample = true}};
        layer_open(&up, sizes[i][3], sizes[i][2], 3, 3, true);
        pad(&up, 1, 1, 1, 1);
        try(&up, 1, sizes[i][0], sizes[i][1]);
        layer point = {.residual = true};
        layer_open(&point, sizes[i][3], sizes[i][2], 1, 1, true);
        try(&point, 2, sizes[i][0], sizes[i][1]);
        layer down = {.spec = {.stride = 2}};
        layer_open(&down, sizes[i][3], sizes[i][2], 3, 3, true);
        pad(&down, 0, 0, 1, 1);
        if (sizes[i][0] > 1 && sizes[i][1] > 1)
            try(&down, 1, sizes[i][0], sizes[i][1]);
        else
            layer_close(&down);
    }
}
END_TEST

START_TEST(patches_and_even_kernels) {
    layer patch = {.spec = {.stride = 16}};
    layer_open(&patch, 20, 3, 16, 16, true);
    try(&patch, 2, 32, 48);
    layer even = {.spec = {.stride = 2, .act = TSR_ACT_SILU}};
    layer_open(&even, 17, 6, 4, 4, true);
    pad(&even, 1, 1, 1, 1);
    try(&even, 1, 10, 12);
    layer skip = {.spec = {.stride = 3}}; /* a stride larger than the kernel */
    layer_open(&skip, 5, 9, 1, 2, false);
    try(&skip, 1, 7, 11);
    layer point = {.spec = {.upsample = true}};
    layer_open(&point, 12, 20, 1, 1, true);
    try(&point, 1, 4, 3);
}
END_TEST

START_TEST(random_shapes) {
    for (int i = 0; i < 24; ++i) {
        bool silu = random_below(2), bare = i % 8 == 7;
        layer l = {.spec = {.stride = (int)random_below(4),
                            .upsample = random_below(3) == 0,
                            .act = silu && !bare ? TSR_ACT_SILU : TSR_ACT_NONE},
                   .residual = !silu && !bare};
        layer_open(&l, 1 + random_below(70), 1 + random_below(40), 1 + random_below(5),
                   1 + random_below(5), !bare);
        pad(&l, (int)random_below(l.kh), (int)random_below(l.kw), (int)random_below(l.kh),
            (int)random_below(l.kw));
        try(&l, 1 + random_below(3), l.kh + random_below(20), l.kw + random_below(45));
    }
}
END_TEST

START_TEST(large_maps) {
    static const int64_t sizes[][4] = {/* h, w, c, n: both forms of the cpu's tiles, and cut ones */
                                       {32, 32, 32, 70},
                                       {35, 41, 40, 36},
                                       {33, 130, 68, 33},
                                       {17, 21, 65, 32},
                                       {31, 64, 32, 48}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int up = 0; up < 2; ++up) {
            if (up && sizes[i][1] > 64) continue;
            layer l = {.spec = {.upsample = up, .act = i % 2 ? TSR_ACT_SILU : TSR_ACT_NONE},
                       .residual = i % 2 == 0};
            layer_open(&l, sizes[i][3], sizes[i][2], 3, 3, true);
            if (i == 3)
                pad(&l, 2, 0, 1, 2);
            else
                pad(&l, 1, 1, 1, 1);
            try(&l, 1 + (int64_t)(i == 0), sizes[i][0], sizes[i][1]);
        }
}
END_TEST

START_TEST(many_inputs_for_each_sum) {
    layer l = {.residual = true};
    layer_open(&l, 36, 513, 3, 3, true);
    pad(&l, 1, 1, 1, 1);
    try(&l, 1, 6, 5);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    static const int64_t sizes[][3] = {/* pixels each way, c, n */
                                       {5, 24, 33},
                                       {16, 16, 20},
                                       {37, 8, 16},
                                       {34, 32, 40}};
    for (int up = 0; up < 2; ++up)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
            layer l = {.spec = {.upsample = up}, .residual = true};
            int64_t size = sizes[i][0], out = size << up;
            layer_open(&l, sizes[i][2], sizes[i][1], 3, 3, true);
            pad(&l, 1, 1, 1, 1);
            op_case c = {.run = {.name = "conv2d batch", .fn = model, .model = &l}};
            random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(3, size, size, l.c)),
                           3 * size * size * l.c);
            random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(3, out, out, l.n)), 3 * out * out * l.n);
            op_out(&c, TSR_DTYPE_F32, SHAPE(3, out, out, l.n));
            op_same_in_batches(&c);
            for (const char *const *mask = cpu_masks; *mask; ++mask)
                op_same_in_batches_without(&c, *mask);
            op_free(&c);
            layer_close(&l);
        }
}
END_TEST

START_TEST(one_weight_for_several_sizes) {
    layer l = {.residual = false};
    layer_open(&l, 24, 16, 3, 3, true);
    pad(&l, 1, 1, 1, 1);
    for (int64_t size = 3; size < 60; size += 14) {
        op_case c = {.run = {.name = "conv2d sizes", .fn = model, .model = &l, .tolerance = 6e-6}};
        random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(1, size, size + 1, l.c)),
                       size * (size + 1) * l.c);
        op_out(&c, TSR_DTYPE_F32, SHAPE(1, size, size + 1, l.n));
        op_run(&c);
        op_free(&c);
    }
    layer_close(&l);
}
END_TEST

static void linear_too(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    out[0] = tsr_conv2d(r, in[0], l->w, &l->spec);
    out[1] = tsr_linear(r, in[1], l->w, NULL);
}

START_TEST(refuses) {
    layer l = {.spec = {.top = 1}};
    layer_open(&l, 4, 8, 3, 3, true);
    op_case c = {.run = {.name = "conv2d", .fn = model, .model = &l}};
    op_in(&c, TSR_DTYPE_F32, SHAPE(1, 5, 6, 7));
    op_in(&c, TSR_DTYPE_F32, SHAPE(1, 4, 4, 3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, 4, 4, 4));
    op_refused(&c, TSR_ERROR_ARGUMENT, "conv2d: w: wanted [N, 7, kh, kw], got [4, 8, 3, 3]");
    c.in[0].dim[3] = 8;
    c.in[0].dim[1] = 1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "at least 3 x 3 pixels with padding, got 2 x 6");
    c.in[0].dim[1] = 5;
    l.spec.left = 3;
    op_refused(&c, TSR_ERROR_ARGUMENT, "padding on the left: wanted 0 to 2, got 3");
    l.spec.left = 0;
    l.spec.stride = -1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "stride: wanted 1 to 16, got -1");
    l.spec.stride = 0;
    l.residual = true;
    op_refused(&c, TSR_ERROR_ARGUMENT, "residual: wanted [1, 4, 4, 4], got [1, 4, 4, 3]");
    c.in[0].dtype = TSR_DTYPE_I32;
    op_refused(&c, TSR_ERROR_ARGUMENT, "conv2d: x: wanted dtype F32, got I32");
    op_free(&c);
    op_case both = {.run = {.name = "conv2d", .fn = linear_too, .model = &l}};
    op_in(&both, TSR_DTYPE_F32, SHAPE(1, 5, 6, 8));
    op_in(&both, TSR_DTYPE_F32, SHAPE(1, 72));
    op_out(&both, TSR_DTYPE_F32, SHAPE(1, 4, 4, 4));
    op_out(&both, TSR_DTYPE_F32, SHAPE(1, 4));
    memset(both.in[0].data, 0, 5 * 6 * 8 * 4);
    memset(both.in[1].data, 0, 72 * 4);
    op_refused(&both, TSR_ERROR_STATE, "wanted a weight of linear layers alone");
    op_free(&both);
    layer_close(&l);
}
END_TEST

TEST_MAIN("op_conv2d", what_the_models_use, patches_and_even_kernels, random_shapes, large_maps,
          many_inputs_for_each_sum, batches_of_any_size_give_the_same_bits,
          one_weight_for_several_sizes, refuses)
