/* SPDX-License-Identifier: MIT */
/* Clips: causal 3-D convolutions, attention and means over time and the wavelet packet, each on
 * every device against loops that follow the definition. */
#include "nn/causal_conv.h"
#include "nn/haar.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>

/* ---- convolutions ---- */

typedef struct layer {
    tsr_weights *weights;
    tsr_conv_layer conv;
    tsr_causal_spec spec;
    int kernel[3];
    int64_t n, c;
    bool pooled; /* the mean of what the stride joins is added (Cosmos' downsampling) */
} layer;

static void convolve(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    tsr_causal_spec spec = l->spec;
    if (l->pooled)
        spec.conv.residual =
            spec.stride == 2 ? tsr_causal_halve(r, in[0], spec.frames) : tsr_halve(r, in[0]);
    out[0] = tsr_causal_conv(r, in[0], &l->conv, &spec);
}

static int64_t size_of(int64_t in, int64_t pad, int64_t kernel, int64_t stride) {
    return (in + pad - kernel) / (stride ? stride : 1) + 1;
}

/* A value of x at frame, row, column; outside as the specification of the layer says. */
static double value(const layer *l, const float *x, int64_t h, int64_t w, int64_t t, int64_t y,
                    int64_t xx, int64_t c) {
    if (y < 0 || xx < 0 || y >= h || xx >= w || (t < 0 && l->spec.zeros)) return 0;
    if (l->spec.twice) t = t < 0 ? 0 : t / 2;
    if (t < 0) t = 0;
    return x[((t * h + y) * w + xx) * l->c + c];
}

static double exact(const layer *l, const float *x, const float *kernel, const float *bias,
                    int64_t h, int64_t w, const int64_t at[4]) {
    const int64_t st = l->spec.stride ? l->spec.stride : 1;
    const int64_t ss = l->spec.conv.stride ? l->spec.conv.stride : 1;
    double sum = bias[at[3]];
    for (int64_t c = 0; c < l->c; ++c)
        for (int64_t kt = 0; kt < l->kernel[0]; ++kt)
            for (int64_t ky = 0; ky < l->kernel[1]; ++ky)
                for (int64_t kx = 0; kx < l->kernel[2]; ++kx)
                    sum += value(l, x, h, w, at[0] * st + kt - l->spec.front,
                                 at[1] * ss + ky - l->spec.conv.top,
                                 at[2] * ss + kx - l->spec.conv.left, c) *
                           kernel[(((at[3] * l->c + c) * l->kernel[0] + kt) * l->kernel[1] + ky) *
                                      l->kernel[2] +
                                  kx];
    if (l->pooled && st == 2) /* the first frame stands twice in front */
        sum += (value(l, x, h, w, 2 * at[0] - 1, at[1], at[2], at[3]) +
                value(l, x, h, w, 2 * at[0], at[1], at[2], at[3])) /
               2;
    else if (l->pooled)
        for (int i = 0; i < 4; ++i)
            sum += value(l, x, h, w, at[0], 2 * at[1] + i / 2, 2 * at[2] + i % 2, at[3]) / 4;
    return sum;
}

static void check(layer *l, int64_t b, int64_t h, int64_t w) {
    const int64_t t = l->spec.frames, area = (int64_t)l->kernel[1] * l->kernel[2];
    const int64_t n = l->n * l->c * l->kernel[0] * area;
    float *kernel = guarded((size_t)n * 4), *bias = guarded((size_t)l->n * 4);
    random_normals(kernel, n);
    random_normals(bias, l->n);
    tsr_context *ctx = everywhere_context();
    ck_assert_int_eq(tsr_weights_open(ctx, &l->weights), TSR_OK);
    /* as tsr_file_weight gives five dimensions */
    tsr_tensor k =
        tsr_host_tensor(TSR_DTYPE_F32, kernel, 4, (int64_t[]){l->n, l->c, l->kernel[0], area});
    tsr_tensor v = tsr_host_tensor(TSR_DTYPE_F32, bias, 1, &l->n);
    ck_assert_int_eq(tsr_weights_add(ctx, l->weights, "a.conv.weight", &k), TSR_OK);
    ck_assert_int_eq(tsr_weights_add(ctx, l->weights, "a.conv.bias", &v), TSR_OK);
    tsr_weight_loader loader = {.ctx = ctx, .weights = l->weights, .path = "made up"};
    tsr_load_causal(&loader, "a.", "conv", l->n, l->c, l->kernel, &l->conv);
    ck_assert_int_eq(loader.status, TSR_OK);

    const tsr_conv_spec *s = &l->spec.conv;
    const int64_t made = tsr_causal_frames(&l->spec, l->kernel[0]);
    const int64_t oh = size_of(h, s->top + s->bottom, l->kernel[1], s->stride);
    const int64_t ow = size_of(w, s->left + s->right, l->kernel[2], s->stride);
    op_case o = {.run = {.fn = convolve, .model = l, .tolerance = 3e-5}};
    op_name(&o, "causal convolution %dx%dx%d/%d", l->kernel[0], l->kernel[1], l->kernel[2],
            l->spec.stride);
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(b * t, h, w, l->c));
    op_out(&o, TSR_DTYPE_F32, SHAPE(b * made, oh, ow, l->n));
    random_normals(x, b * t * h * w * l->c);
    op_run(&o);
    double *want = malloc((size_t)(b * made * oh * ow * l->n) * sizeof *want);
    for (int64_t i = 0; i < b * made * oh * ow * l->n; ++i) {
        const int64_t at[4] = {i / l->n / ow / oh % made, i / l->n / ow % oh, i / l->n % ow,
                               i % l->n};
        want[i] =
            exact(l, x + i / l->n / ow / oh / made * t * h * w * l->c, kernel, bias, h, w, at);
    }
    op_expect(&o, 0, want, 3e-5);
    free(want);
    op_free(&o);
    tsr_weights_close(&l->weights);
    guarded_free(kernel);
    guarded_free(bias);
}

START_TEST(convolutions) {
    /* Cosmos: space alone, time alone; the strided ones beside their means. */
    check(&(layer){.kernel = {1, 3, 3},
                   .n = 6,
                   .c = 5,
                   .spec = {.frames = 3, .conv = {.top = 1, .left = 1, .bottom = 1, .right = 1}}},
          2, 4, 5);
    check(&(layer){.kernel = {3, 1, 1}, .n = 6, .c = 5, .spec = {.frames = 4, .front = 2}}, 2, 3,
          4);
    check(&(layer){.kernel = {1, 3, 3},
                   .n = 5,
                   .c = 5,
                   .spec = {.frames = 2, .conv = {.stride = 2, .bottom = 1, .right = 1}},
                   .pooled = true},
          1, 4, 6);
    check(&(layer){.kernel = {3, 1, 1},
                   .n = 5,
                   .c = 5,
                   .spec = {.frames = 5, .front = 2, .stride = 2},
                   .pooled = true},
          2, 3, 4);
    check(&(layer){.kernel = {3, 1, 1}, .n = 4, .c = 4, .spec = {.frames = 1, .front = 2}}, 1, 2,
          2);
    check(&(layer){.kernel = {3, 1, 1},
                   .n = 4,
                   .c = 4,
                   .spec = {.frames = 1, .front = 2, .stride = 2},
                   .pooled = true},
          2, 2, 2);
    /* Emu3: whole kernels, zeros in front, frames halved and doubled. */
    check(&(layer){.kernel = {4, 3, 3},
                   .n = 4,
                   .c = 4,
                   .spec = {.frames = 4,
                            .front = 2,
                            .stride = 2,
                            .zeros = true,
                            .conv = {.top = 1, .left = 1, .bottom = 1, .right = 1}}},
          2, 3, 4);
    check(&(layer){.kernel = {3, 3, 3},
                   .n = 4,
                   .c = 4,
                   .spec = {.frames = 2,
                            .front = 2,
                            .twice = true,
                            .zeros = true,
                            .conv = {.top = 1, .left = 1, .bottom = 1, .right = 1}}},
          1, 4, 3);
}
END_TEST

/* ---- attention over time ---- */

static void attend(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_causal_attention(r, in[0], in[1], in[2], 4);
}

START_TEST(attention_over_time_sees_no_later_frame) {
    enum { B = 2, T = 4, P = 6, C = 5, N = T * P * C };
    op_case o = {.run = {.name = "causal attention", .fn = attend, .tolerance = 1e-5}};
    float *in[3];
    for (int i = 0; i < 3; ++i) {
        in[i] = op_in(&o, TSR_DTYPE_F32, SHAPE(B * T, P, C));
        random_normals(in[i], B * N);
    }
    op_out(&o, TSR_DTYPE_F32, SHAPE(B * T, P, C));
    op_run(&o);
    double want[B * N];
    for (int i = 0; i < B * T * P; ++i) {
        const int b = i / P / T, t = i / P % T, p = i % P;
        double weight[T], total = 0;
        for (int s = 0; s <= t; ++s) {
            double dot = 0;
            for (int c = 0; c < C; ++c)
                dot += (double)in[0][i * C + c] * in[1][((b * T + s) * P + p) * C + c];
            total += weight[s] = exp(dot / sqrt(C));
        }
        for (int c = 0; c < C; ++c) {
            want[i * C + c] = 0;
            for (int s = 0; s <= t; ++s)
                want[i * C + c] += weight[s] / total * in[2][((b * T + s) * P + p) * C + c];
        }
    }
    op_expect(&o, 0, want, 1e-5);
    op_free(&o);
}
END_TEST

/* ---- wavelets ---- */

static void split(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_haar_split(r, m, in[0]);
}

static void join(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_haar_join(r, m, tsr_haar_split(r, m, in[0]));
}

/* One step along one axis of [n[0], n[1], n[2], channels]: pairs to low and high, the high half of
 * the channels behind the low half. */
static double *step(const double *x, int64_t n[3], int64_t c, int axis) {
    int64_t half[3] = {n[0], n[1], n[2]};
    half[axis] /= 2;
    double *y = malloc((size_t)(n[0] * n[1] * n[2] * c) * sizeof *y);
    for (int64_t i = 0; i < half[0] * half[1] * half[2]; ++i) {
        int64_t at[3] = {i / half[2] / half[1], i / half[2] % half[1], i % half[2]}, b[3];
        for (int k = 0; k < 3; ++k)
            b[k] = at[k] = k == axis ? 2 * at[k] : at[k];
        b[axis]++;
        for (int64_t ch = 0; ch < c; ++ch) {
            const double p = x[((at[0] * n[1] + at[1]) * n[2] + at[2]) * c + ch];
            const double q = x[((b[0] * n[1] + b[1]) * n[2] + b[2]) * c + ch];
            y[i * 2 * c + ch] = (p + q) / sqrt(2);
            y[i * 2 * c + c + ch] = (p - q) / sqrt(2);
        }
    }
    n[axis] /= 2;
    return y;
}

/* The packet of a clip [F, H, W, 3], as the formula goes. The first axis that is split has the
 * innermost bands of those of its step, so the axes go from the last letter to the first. */
static double *packet(const float *planes, int64_t f, int64_t h, int64_t w, int patch, bool clip) {
    static const int letters[2][3] = {{2, 1, -1},
                                      {0, 1, 2}}; /* width, height; time, height, width */
    int64_t n[3] = {f, h, w}, c = 3;
    double *x = malloc((size_t)(f * h * w * 3) * sizeof *x);
    for (int64_t i = 0; i < f * h * w * 3; ++i)
        x[i] = planes[(i / 3 / w / h * 3 + i % 3) * h * w + i / 3 % (h * w)];
    for (int p = 1; p < patch; p *= 2) {
        for (int k = clip ? 2 : 1; k >= 0; --k, c *= 2) {
            double *y = step(x, n, c, letters[clip][k]);
            free(x);
            x = y;
        }
        for (int64_t i = 0; i < n[0] * n[1] * n[2] * c; ++i)
            x[i] /= clip ? 2 * sqrt(2) : 2;
    }
    return x;
}

static void check_wavelets(int patch, bool clip, int64_t frames) {
    enum { H = 8, W = 16 };
    tsr_haar haar;
    tsr_weights *weights;
    tsr_context *ctx = everywhere_context();
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    ck_assert_int_eq(tsr_haar_open(ctx, weights, patch, clip, &haar), TSR_OK);
    const int64_t n = frames * 3 * H * W, f = clip ? frames / patch : frames;
    op_case o = {.run = {.name = "wavelets", .fn = split, .model = &haar, .tolerance = 1e-6}};
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(frames, 3, H, W));
    op_out(&o, TSR_DTYPE_F32, SHAPE(f, H / patch, W / patch, haar.channels));
    random_normals(x, n);
    op_run(&o);
    double *want = packet(x, frames, H, W, patch, clip);
    op_expect(&o, 0, want, 1e-6);
    free(want);
    op_free(&o);

    op_case back = {
        .run = {.name = "wavelets back", .fn = join, .model = &haar, .tolerance = 1e-6}};
    x = op_in(&back, TSR_DTYPE_F32, SHAPE(frames, 3, H, W));
    op_out(&back, TSR_DTYPE_F32, SHAPE(frames, 3, H, W));
    random_normals(x, n);
    op_run(&back);
    double *same = malloc((size_t)n * sizeof *same);
    for (int64_t i = 0; i < n; ++i)
        same[i] = x[i];
    op_expect(&back, 0, same, 2e-6);
    free(same);
    op_free(&back);
    tsr_weights_close(&weights);
    tsr_haar_drop(&haar);
}

START_TEST(wavelets) {
    check_wavelets(2, false, 2);
    check_wavelets(4, false, 1);
    check_wavelets(2, true, 4);
    check_wavelets(4, true, 8);
}
END_TEST

TEST_MAIN("causal convolutions", convolutions, attention_over_time_sees_no_later_frame, wavelets)
