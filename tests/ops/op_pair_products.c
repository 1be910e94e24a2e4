/* SPDX-License-Identifier: MIT */
/* Products in f32 made of pairs of f16 on matrix units (docs/gpu/EXACT.md), on Vulkan devices that
 * have them: against f64 beside the same device's f32 forms. Errors are in units of 2^-24 times the
 * lengths of the row of x and of the row of w. Where a device has none, +pairs changes nothing. */
#include "compute/weights.h"
#include "everywhere.h"
#include "needs.h"
#include "ops/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    tsr_weight w;
    tsr_conv_spec conv;
    tsr_activation act;
    bool residual;
} layer;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    const tsr_tensor *residual = l->residual ? in[1] : NULL;
    if (l->w.tensor.rank == 4) {
        tsr_conv_spec spec = l->conv;
        spec.residual = residual;
        spec.act = l->act;
        out[0] = tsr_conv2d(r, in[0], (tsr_weight *)&l->w, &spec);
    } else
        out[0] = tsr_linear(r, in[0], (tsr_weight *)&l->w,
                            &(tsr_epilogue){.act = l->act, .residual = residual});
}

/* Nothing but pairs is left. */
#define OTHERS "linear_sg,linear_sm,conv2d_sg,conv2d_sm"
#define ALONE  TSR_MASK_PAIRS "," OTHERS

static tsr_status execute(tsr_device *d, layer *l, const tsr_tensor *in, tsr_tensor *out) {
    tsr_program p = {.fn = model, .model = l, .name = "pairs"};
    const tsr_status status = tsr_execute(d, &p, in, l->residual ? 2 : 1, out, 1);
    tsr_device_forget(d, l);
    return status;
}

static void run(tsr_device *d, layer *l, const tsr_tensor *in, tsr_tensor *out) {
    ck_assert_msg(!execute(d, l, in, out), "%s: %s", tsr_device_properties(d)->name,
                  tsr_detail(tsr_device_context(d)));
}

/* Whether a device multiplies 2 x 8 by n x 8 with nothing left but what the mask leaves. */
static bool serves(const char *device, const char *mask, int64_t n) {
    enum { K = 8, MOST = 32 };
    tsr_device *d = everywhere_device(device, mask);
    float x[2 * K] = {1}, w[MOST * K] = {1}, y[2 * MOST];
    layer l = {.w = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){n, K}), .f32 = w}};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){2, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){2, n});
    const tsr_status status = execute(d, &l, &in, &out);
    ck_assert_msg(!status || status == TSR_ERROR_UNSUPPORTED, "%s: %s", device,
                  tsr_detail(tsr_device_context(d)));
    return !status;
}

/* Calls `what` with each device whose matrix units compute pairs, however many of the others there
 * are. */
static void each_with_pairs(void (*what)(const char *device, const void *arg), const void *arg) {
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", v);
        if (serves(name, ALONE, 17)) what(name, arg);
    }
}

/* ---- how near ---- */

typedef struct shape { /* of a product: x [batch, h, w, c] or [h, c], w [n, c, kh, kw] or [n, c] */
    const char *what;
    int64_t batch, h, w, c, n, kh, kw; /* kh 0: linear */
    tsr_conv_spec conv;
    float scale, w_scale; /* of x, and of w beyond 1 / sqrt(terms) */
    float large;          /* every 61st channel of x is so many times larger; 0: none is */
    bool residual;
} shape;

typedef struct errors {
    double squares, largest;
    int64_t count;
} errors;

typedef struct made {
    const shape *s;
    layer l;
    tsr_tensor in[2];
    int64_t dim[4], outputs;
    float *x, *w, *residual;
    double *exact, *unit; /* of each output */
} made;

/* Output `at` in f64, and the product of both rows' lengths. */
static void compute_exact(made *m, int64_t at) {
    const shape *s = m->s;
    double sum = 0, xx = 0, ww = 0;
    const int64_t n = s->n, o = at % n, stride = s->conv.stride ? s->conv.stride : 1;
    const int64_t kh = s->kh ? s->kh : 1, kw = s->kh ? s->kw : 1;
    const int64_t ow = s->kh ? m->dim[2] : 1, oh = s->kh ? m->dim[1] : m->dim[0];
    const int64_t pixel = at / n, b = pixel / (oh * ow), up = s->conv.upsample;
    for (int64_t ky = 0; ky < kh; ++ky)
        for (int64_t kx = 0; kx < kw; ++kx) {
            const int64_t row = pixel / ow % oh * stride + ky - s->conv.top;
            const int64_t col = pixel % ow * stride + kx - s->conv.left;
            if (row < 0 || col < 0 || row >= s->h << up || col >= s->w << up) continue;
            const float *x = m->x + ((b * s->h + (row >> up)) * s->w + (col >> up)) * s->c;
            for (int64_t i = 0; i < s->c; ++i) {
                const double w = m->w[((o * s->c + i) * kh + ky) * kw + kx];
                sum += x[i] * w, xx += (double)x[i] * x[i], ww += w * w;
            }
        }
    m->unit[at] = 0x1p-24 * sqrt(xx * ww) + 0x1p-24 * (s->residual ? fabsf(m->residual[at]) : 0);
    m->exact[at] = sum + (s->residual ? (double)m->residual[at] : 0);
}

static made make(const shape *s) {
    made m = {.s = s};
    const int64_t taps = s->kh ? s->kh * s->kw : 1, stride = s->conv.stride ? s->conv.stride : 1;
    const int64_t inputs = s->batch * s->h * s->w * s->c, weights = s->n * s->c * taps;
    if (s->kh) {
        m.dim[0] = s->batch;
        m.dim[1] = ((s->h << s->conv.upsample) + s->conv.top + s->conv.bottom - s->kh) / stride + 1;
        m.dim[2] = ((s->w << s->conv.upsample) + s->conv.left + s->conv.right - s->kw) / stride + 1;
        m.dim[3] = s->n;
        m.outputs = m.dim[0] * m.dim[1] * m.dim[2] * s->n;
    } else {
        m.dim[0] = s->h, m.dim[1] = s->n;
        m.outputs = s->h * s->n;
    }
    m.x = guarded((size_t)inputs * 4), m.w = guarded((size_t)weights * 4);
    m.residual = guarded((size_t)m.outputs * 4);
    m.exact = malloc((size_t)m.outputs * 8), m.unit = malloc((size_t)m.outputs * 8);
    ck_assert(m.exact && m.unit);
    random_normals(m.x, inputs);
    random_normals(m.w, weights);
    random_normals(m.residual, m.outputs);
    for (int64_t i = 0; i < inputs; ++i)
        m.x[i] *= s->scale * (s->large > 0 && i % s->c % 61 == 7 ? s->large : 1);
    for (int64_t i = 0; i < weights; ++i)
        m.w[i] *= s->w_scale / sqrtf((float)(s->c * taps));
    const int rank = s->kh ? 4 : 2;
    const int64_t wide[4] = {s->n, s->c, s->kh, s->kw};
    m.l = (layer){.w = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, m.w, rank, wide), .f32 = m.w},
                  .conv = s->conv,
                  .residual = s->residual};
    const int64_t deep[4] = {s->batch, s->h, s->w, s->c}, flat[2] = {s->h, s->c};
    m.in[0] = tsr_host_tensor(TSR_DTYPE_F32, m.x, rank, s->kh ? deep : flat);
    m.in[1] = tsr_host_tensor(TSR_DTYPE_F32, m.residual, rank, m.dim);
    for (int64_t i = 0; i < m.outputs; ++i)
        compute_exact(&m, i);
    return m;
}

static void made_free(made *m) {
    guarded_free(m->x);
    guarded_free(m->w);
    guarded_free(m->residual);
    free(m->exact);
    free(m->unit);
}

static errors measure(made *m, const char *device, const char *mask, float *y) {
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, m->in[0].rank, m->dim);
    errors e = {.count = m->outputs};
    run(everywhere_device(device, mask), &m->l, m->in, &out);
    guarded_check(y);
    for (int64_t i = 0; i < m->outputs; ++i) {
        const double error = fabs(y[i] - m->exact[i]) / (m->unit[i] > 0 ? m->unit[i] : 1);
        ck_assert_msg(isfinite(error), "%s: %s: value %lld: %g", device, m->s->what, (long long)i,
                      (double)y[i]);
        e.squares += error * error;
        e.largest = fmax(e.largest, error);
    }
    return e;
}

/* By what is seen in EXACT.md pairs are as near as f32 is, but for sums of few terms: each number
 * has 22 bits, so one product is off by up to 4 units, which a sum of n terms evens out to 4 /
 * sqrt(n). Twice as far beside that on the average and four times at most leave room for units that
 * cut sums and for drivers that cut the second halves. */
static void compare(const char *device, const void *arg) {
    made m = make(arg);
    float *f32 = guarded((size_t)m.outputs * 4), *pairs = guarded((size_t)m.outputs * 4);
    float *again = guarded((size_t)m.outputs * 4);
    const errors e = measure(&m, device, NULL, f32), p = measure(&m, device, ALONE, pairs);
    const double far = sqrt(e.squares / (double)e.count), near = sqrt(p.squares / (double)p.count);
    const double few = 2 / sqrt((double)(m.s->c * (m.s->kh ? m.s->kh * m.s->kw : 1)));
    printf("%s: %s: f32 %.3f, largest %.2f; pairs %.3f, %.2f\n", device, m.s->what, far, e.largest,
           near, p.largest);
    ck_assert_msg(near <= 2 * far + few && p.largest <= 4 * e.largest + 2 * few,
                  "%s: %s: wanted errors like f32's %.3f and at most %.2f, got %.3f and %.2f",
                  device, m.s->what, far, e.largest, near, p.largest);
    measure(&m, device, ALONE, again);
    ck_assert_msg(!memcmp(pairs, again, (size_t)m.outputs * 4), "%s: %s: other bits", device,
                  m.s->what);
    guarded_free(f32);
    guarded_free(pairs);
    guarded_free(again);
    made_free(&m);
}

START_TEST(linear_layers_are_as_exact_as_in_f32) {
    static const shape shapes[] = {
        {"1 x 1 to 17", 1, 1, 1, 1, 17, .scale = 1, .w_scale = 1},
        {"33 x 70 to 65", 1, 33, 1, 70, 65, .scale = 1, .w_scale = 1, .residual = true},
        {"64 x 512 to 64", 1, 64, 1, 512, 64, .scale = 1, .w_scale = 1},
        {"129 x 203 to 130", 1, 129, 1, 203, 130, .scale = 1, .w_scale = 1, .residual = true},
        {"9 x 1,027 to 36", 1, 9, 1, 1027, 36, .scale = 1, .w_scale = 1},
        {"channels that stand out", 1, 40, 1, 768, 40, .scale = 1, .w_scale = 1, .large = 100},
        {"weights of 1e-4", 1, 40, 1, 320, 40, .scale = 1, .w_scale = 2e-3f},
        {"x of 5e4", 1, 40, 1, 320, 40, .scale = 5e4f, .w_scale = 1},
        {"x of 0.01", 1, 40, 1, 320, 40, .scale = 0.01f, .w_scale = 1},
        {"weights of 100", 1, 40, 1, 320, 40, .scale = 1, .w_scale = 1800},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        each_with_pairs(compare, &shapes[i]);
}
END_TEST

#define SAME .top = 1, .left = 1, .bottom = 1, .right = 1
#define DOWN .stride = 2, .bottom = 1, .right = 1

START_TEST(convolutions_are_as_exact_as_in_f32) {
    static const shape shapes[] = {
        {"3x3, 20 to 70", 1, 7, 9, 20, 70, 3, 3, {SAME}, 1, 1, .residual = true},
        {"3x3, 3 to 64", 1, 9, 7, 3, 64, 3, 3, {SAME}, 1, 1, .large = 0},
        {"3x3 of 64", 2, 5, 7, 64, 64, 3, 3, {SAME}, 1, 1, .large = 100},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        each_with_pairs(compare, &shapes[i]);
}
END_TEST

START_TEST(odd_convolutions_are_as_exact_as_in_f32) {
    static const shape shapes[] = {
        {"3x3, 33 to 19", 2, 7, 8, 33, 19, 3, 3, {SAME}, 1, 1, .large = 0},
        {"4x2", 1, 9, 8, 21, 34, 4, 2, {DOWN}, 3, 1, .large = 0},
        {"twice as large", 1, 4, 5, 36, 40, 3, 3, {SAME, .upsample = true}, 1, 1, .large = 0},
        {"stride 2", 1, 13, 12, 40, 36, 3, 3, {DOWN}, 1, 1, .large = 0},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        each_with_pairs(compare, &shapes[i]);
}
END_TEST

/* ---- where they end ---- */

/* Beyond the range NaN and no number, whatever comes after the product; others do not see it. */
static void go_beyond(const char *device, const void *arg) {
    enum { ROWS = 9, K = 40, N = 24, COLUMN = 11 };
    static const float odd[ROWS] = {524288, -524288, 524300, -1e6f, 3e38f, INFINITY, NAN, 1, 0};
    static const bool broken[ROWS] = {[2] = true, true, true, true, true};
    const tsr_activation act = *(const tsr_activation *)arg;
    float x[ROWS * K], w[N * K], y[ROWS * N];
    layer l = {.w = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){N, K}), .f32 = w},
               .act = act};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, N});
    random_normals(x, ROWS * K);
    random_normals(w, N * K);
    for (int i = 0; i < ROWS; ++i)
        x[i * K + (i * 7 + 5) % K] = odd[i];
    w[COLUMN * K + 30] = 4095;
    w[(COLUMN + 1) * K + 30] = -4094;
    run(everywhere_device(device, ALONE), &l, &in, &out);
    for (int i = 0; i < ROWS * N; ++i)
        ck_assert_msg(!isfinite(y[i]) == (broken[i / N] || i % N == COLUMN),
                      "%s: activation %d, x %g, column %d: got %g", device, (int)act,
                      (double)odd[i / N], i % N, (double)y[i]);
}

START_TEST(numbers_out_of_range_are_nan) {
    for (tsr_activation act = TSR_ACT_NONE; act <= TSR_ACT_QUICK_GELU; ++act)
        each_with_pairs(go_beyond, &act);
}
END_TEST

/* Below 2^-9: within 2^-21, should the device take what f16 hardly has for zero, as it may. */
static void go_below(const char *device, const void *arg) {
    static const float tiny[] = {1.9e-3f, -1e-4f, 6e-6f, 1e-7f, 1e-12f, -1e-45f};
    enum { ROWS = sizeof tiny / sizeof *tiny, K = 12, N = 20 };
    (void)arg;
    float x[ROWS * K] = {0}, w[N * K], y[ROWS * N];
    layer l = {.w = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){N, K}), .f32 = w}};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, N});
    random_normals(w, N * K);
    for (int i = 0; i < ROWS; ++i)
        x[i * K + i] = tiny[i];
    run(everywhere_device(device, ALONE), &l, &in, &out);
    double most = 0;
    for (int i = 0; i < ROWS * N; ++i) {
        const double one = w[i % N * K + i / N], error = fabs(y[i] - tiny[i / N] * one);
        ck_assert_msg(error <= 0x1.1p-21 * fabs(one), "%s: %g x %g: got %g", device,
                      (double)tiny[i / N], one, (double)y[i]);
        most = fmax(most, error / fabs(one));
    }
    printf("%s: numbers below 2^-9 are off by at most 2^%.1f\n", device, log2(most));
}

START_TEST(tiny_numbers_lose_their_last_bits) {
    each_with_pairs(go_below, NULL);
}
END_TEST

/* ---- what they depend on ---- */

static void cut_batch(const char *device, const void *arg) {
    enum { ROWS = 150, MOST = 70 };
    (void)arg;
    tsr_device *d = everywhere_device(device, ALONE);
    static const int64_t shapes[][2] = {{300, 50}, {33, 17}};
    for (int s = 0; s < 2; ++s) {
        const int64_t k = shapes[s][0], n = shapes[s][1];
        float *x = guarded((size_t)(ROWS * k) * 4), *w = guarded((size_t)(n * k) * 4);
        float *all = guarded((size_t)(ROWS * n) * 4), some[16 * MOST];
        random_normals(x, ROWS * k);
        random_normals(w, n * k);
        layer l = {
            .w = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){n, k}), .f32 = w}};
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, k});
        tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, all, 2, (int64_t[]){ROWS, n});
        run(d, &l, &in, &out);
        for (int64_t row = 0; row + 16 <= ROWS; row += 67)
            for (int64_t count = 1; count <= 16; count += 15) {
                in = tsr_host_tensor(TSR_DTYPE_F32, x + row * k, 2, (int64_t[]){count, k});
                out = tsr_host_tensor(TSR_DTYPE_F32, some, 2, (int64_t[]){count, n});
                run(d, &l, &in, &out);
                ck_assert_msg(!memcmp(some, all + row * n, (size_t)(count * n) * 4),
                              "%s: %lld rows from %lld differ", device, (long long)count,
                              (long long)row);
            }
        guarded_free(x);
        guarded_free(w);
        guarded_free(all);
    }
}

START_TEST(a_row_does_not_see_the_others) {
    each_with_pairs(cut_batch, NULL);
}
END_TEST

/* Outputs too narrow for a tile, and everything where nobody has asked. */
static void want_none(const char *device, const void *arg) {
    (void)arg;
    ck_assert(!serves(device, ALONE, 16));
    ck_assert(!serves(device, OTHERS, 17));
    ck_assert(!serves(device, ALONE ",linear_coopmat_pairs", 17));
    ck_assert(!serves(device, ALONE ",coopmat", 17));
}

START_TEST(nobody_gets_them_unasked) {
    each_with_pairs(want_none, NULL);
}
END_TEST

static tsr_status refuse(tsr_device *d, tsr_matrix_trial trial) {
    return tsr_fail(tsr_device_context(d), TSR_ERROR_DEVICE, "computed wrongly, kind %d",
                    (int)trial);
}

/* Everywhere, also where there are no matrix units: a device that fails the try has f32's bits. */
START_TEST(a_device_that_fails_the_try_goes_on_in_f32) {
    static const shape s = {"", 1, 20, 1, 70, 40, .scale = 1, .w_scale = 1};
    made m = make(&s);
    float want[20 * 40], got[20 * 40];
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", v);
        tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, want, 2, m.dim);
        run(everywhere_device(name, NULL), &m.l, m.in, &out);
        tsr_device_settings settings = tsr_device_settings_default();
        settings.name = name;
        settings.mask = TSR_MASK_PAIRS;
        settings.try_matrices = refuse;
        tsr_device *d = NULL;
        ck_assert_msg(!tsr_device_open(everywhere_context(), &d, &settings), "%s",
                      tsr_detail(everywhere_context()));
        out.data = got;
        run(d, &m.l, m.in, &out);
        ck_assert_msg(!memcmp(want, got, sizeof got), "%s: other bits", name);
        tsr_device_close(&d);
    }
    made_free(&m);
}
END_TEST

static int found;

static void count_device(const char *device, const void *arg) {
    (void)device, (void)arg;
    ++found;
}

static const char *need_pairs(void) {
    found = 0;
    if (everywhere_has_vulkan()) each_with_pairs(count_device, NULL);
    return found ? NULL : "no device whose cooperative matrices compute pairs";
}

TEST_PARTS("op_pair_products", PART(own, need_vulkan, a_device_that_fails_the_try_goes_on_in_f32),
           PART(matrices, need_pairs, linear_layers_are_as_exact_as_in_f32,
                convolutions_are_as_exact_as_in_f32, odd_convolutions_are_as_exact_as_in_f32,
                numbers_out_of_range_are_nan, tiny_numbers_lose_their_last_bits,
                a_row_does_not_see_the_others, nobody_gets_them_unasked))
