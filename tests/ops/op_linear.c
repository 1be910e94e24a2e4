/* SPDX-License-Identifier: MIT */
/* Linear with every epilogue against float64, on every device and with every kernel this machine
 * has; rows must not depend on how many there are, nor bits on the number of threads. */
#include "ops/ops.h"
#include "compute/weights.h"
#include "everywhere.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    tsr_weights *weights;
    tsr_weight *w, *bias; /* bias NULL = none */
    tsr_activation act;
    int gate, residual; /* gate: 0 none, 1 one row, 2 one row for each batch item, 3 two
                           rows, of which the first serves 4 rows of x */
    float *w_data, *bias_data;
    int64_t k, n;
} layer;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layer *l = m;
    tsr_epilogue e = {.bias = l->bias, .act = l->act};
    int next = 1;
    if (l->gate) e.gate = in[next++];
    if (l->gate == 3) e.gate_rows = 4;
    if (l->residual) e.residual = in[next++];
    out[0] = tsr_linear(r, in[0], l->w, &e);
}

static void add(layer *l, const char *name, float *data, int rank, const int64_t *dim,
                tsr_weight **w) {
    tsr_context *ctx = everywhere_context();
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    ck_assert_msg(!tsr_weights_add(ctx, l->weights, name, &t), "%s", tsr_detail(ctx));
    ck_assert_msg(!tsr_weights_get(ctx, l->weights, name, rank, dim, w), "%s", tsr_detail(ctx));
}

static layer *layer_open(int64_t k, int64_t n, bool bias) {
    layer *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &l->weights), TSR_OK);
    l->k = k;
    l->n = n;
    l->w_data = guarded((size_t)(k * n) * 4);
    random_normals(l->w_data, k * n);
    add(l, "w", l->w_data, 2, (int64_t[]){n, k}, &l->w);
    if (bias) {
        l->bias_data = guarded((size_t)n * 4);
        random_normals(l->bias_data, n);
        add(l, "b", l->bias_data, 1, &n, &l->bias);
    }
    return l;
}

static void layer_close(layer *l) {
    tsr_weights_close(&l->weights);
    guarded_free(l->w_data);
    if (l->bias_data) guarded_free(l->bias_data);
    free(l);
}

static double activate(tsr_activation act, double a) {
    switch (act) {
    case TSR_ACT_GELU:
        return 0.5 * a * (1 + erf(a * sqrt(0.5)));
    case TSR_ACT_GELU_TANH:
        return 0.5 * a * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (a + 0.044715 * a * a * a)));
    case TSR_ACT_SILU:
        return a / (1 + exp(-a));
    case TSR_ACT_RELU:
        return a > 0 ? a : isnan(a) ? a : 0;
    case TSR_ACT_TANH:
        return tanh(a);
    case TSR_ACT_SIGMOID:
        return 1 / (1 + exp(-a));
    case TSR_ACT_QUICK_GELU:
        return a / (1 + exp(-1.702 * a));
    default:
        return a;
    }
}

/* Kernels of the cpu, and bodies of the shader, in turn switched off. */
static const char *const cpu_masks[] = {"onednn,avx512", "avx2,avx512", "onednn,avx512,avx2", NULL};
static const char *const gpu_masks[] = {"linear_sg", "linear_sm", "int64", NULL};

static void on_all(everywhere_case c) {
    c.masks = cpu_masks;
    c.cpu_only = true;
    everywhere(&c);
    c.masks = gpu_masks;
    c.cpu_only = false;
    everywhere(&c);
}

/* x [batch, rows, k]; `nan_row` gets a NaN, which must stay in its row (-1 = none). */
static void try_case(int64_t batch, int64_t rows, int64_t k, int64_t n, tsr_activation act,
                     bool bias, int gate, bool residual, int64_t nan_row) {
    layer *l = layer_open(k, n, bias);
    l->act = act;
    l->gate = gate;
    l->residual = residual;
    int64_t m = batch * rows, gates = gate == 2 ? batch : gate == 3 ? 2 : 1;
    float *x = guarded((size_t)(m * k) * 4), *g = guarded((size_t)(gates * n) * 4);
    float *res = guarded((size_t)(m * n) * 4), *y = guarded((size_t)(m * n) * 4);
    double *want = malloc((size_t)(m * n) * sizeof *want);
    ck_assert_ptr_nonnull(want);
    random_normals(x, m * k);
    random_normals(g, gates * n);
    random_normals(res, m * n);
    for (int64_t i = 0; i < m * k; ++i)
        x[i] /= sqrtf((float)k);
    if (nan_row >= 0) x[nan_row * k + k / 2] = NAN;
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
            double sum = bias ? l->bias_data[j] : 0;
            for (int64_t c = 0; c < k; ++c)
                sum += (double)x[i * k + c] * l->w_data[j * k + c];
            sum = activate(act, sum);
            int64_t group = gate == 2 ? i / rows : gate == 3 && i >= 4 ? 1 : 0;
            if (gate) sum *= g[group * n + j];
            want[i * n + j] = residual ? sum + res[i * n + j] : sum;
        }
    tsr_tensor in[3] = {tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){batch, rows, k})};
    int count = 1;
    if (gate) in[count++] = tsr_host_tensor(TSR_DTYPE_F32, g, 2, (int64_t[]){gates, n});
    if (residual) in[count++] = tsr_host_tensor(TSR_DTYPE_F32, res, 3, (int64_t[]){batch, rows, n});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, (int64_t[]){batch, rows, n});
    char name[96];
    snprintf(name, sizeof name, "linear %lldx%lldx%lldx%lld act %d%s gate %d%s", (long long)batch,
             (long long)rows, (long long)k, (long long)n, (int)act, bias ? " bias" : "", gate,
             residual ? " residual" : "");
    double tolerance = 1e-6 * sqrt((double)k) + 2e-6;
    on_all((everywhere_case){.name = name,
                             .fn = model,
                             .model = l,
                             .in = in,
                             .in_count = count,
                             .out = &out,
                             .out_count = 1,
                             .tolerance = tolerance});
    expect_close(name, y, want, m * n, tolerance);
    guarded_free(x);
    guarded_free(g);
    guarded_free(res);
    guarded_free(y);
    free(want);
    layer_close(l);
}

START_TEST(sizes_around_the_tiles) {
    static const int64_t sizes[][3] = {/* rows, k, n */
                                       {1, 1, 1},      {1, 7, 3},     {5, 1, 17},    {6, 16, 16},
                                       {7, 33, 15},    {13, 64, 33},  {95, 31, 31},  {96, 32, 32},
                                       {97, 33, 64},   {63, 383, 65}, {64, 384, 63}, {65, 385, 97},
                                       {17, 513, 257}, {1, 768, 48},  {12, 48, 193}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        try_case(1, sizes[i][0], sizes[i][1], sizes[i][2], TSR_ACT_NONE, i % 2, 0, false, -1);
}
END_TEST

START_TEST(every_epilogue) {
    for (int act = TSR_ACT_NONE; act <= TSR_ACT_QUICK_GELU; ++act)
        try_case(2, 9, 37, 41, (tsr_activation)act, act % 2, act % 3, act % 2 == 0, -1);
    for (int gate = 0; gate < 4; ++gate)
        for (int residual = 0; residual < 2; ++residual)
            try_case(3, 5, 20, 36, TSR_ACT_NONE, true, gate, residual, -1);
}
END_TEST

START_TEST(a_nan_stays_in_its_row) {
    try_case(1, 11, 40, 24, TSR_ACT_GELU, true, 0, false, 4);
    try_case(1, 3, 40, 24, TSR_ACT_RELU, false, 0, false, 2);
}
END_TEST

static void run(tsr_device *d, layer *l, const float *x, int64_t rows, float *y) {
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "rows"};
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)x, 2, (int64_t[]){rows, l->k});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){rows, l->n});
    ck_assert_msg(!tsr_execute(d, &p, &in, 1, &out, 1), "%s", tsr_detail(tsr_device_context(d)));
}

/* A row's bits are its own: alone, among 16 and among 201 they are the same, with every kernel. */
START_TEST(a_row_does_not_see_the_others) {
    static const char *const kernels[] = {NULL, "onednn,avx512", "avx512,avx2",
                                          "onednn,avx512,avx2"};
    static const int64_t shapes[][2] = {{770, 50}, {64, 192}, {33, 7}};
    enum { ROWS = 201 };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s)
        for (size_t q = 0; q < sizeof kernels / sizeof *kernels; ++q) {
            tsr_device *d = everywhere_device("cpu", kernels[q]);
            layer *l = layer_open(shapes[s][0], shapes[s][1], true);
            l->act = TSR_ACT_GELU;
            float *x = guarded((size_t)(ROWS * l->k) * 4);
            float *all = guarded((size_t)(ROWS * l->n) * 4),
                  *some = guarded((size_t)(16 * l->n) * 4);
            random_normals(x, ROWS * l->k);
            run(d, l, x, ROWS, all);
            for (int64_t row = 0; row + 16 <= ROWS; row += 37)
                for (int64_t count = 1; count <= 16; count += 5) {
                    run(d, l, x + row * l->k, count, some);
                    ck_assert_msg(!memcmp(some, all + row * l->n, (size_t)(count * l->n) * 4),
                                  "without %s: %lld rows from %lld differ",
                                  kernels[q] ? kernels[q] : "nothing", (long long)count,
                                  (long long)row);
                }
            guarded_free(x);
            guarded_free(all);
            guarded_free(some);
            layer_close(l);
        }
}
END_TEST

START_TEST(wrong_shapes_are_refused) {
    layer *l = layer_open(8, 4, true);
    float x[30] = {0}, y[30];
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_program p = {.fn = model, .model = l, .variant = 0, .name = "wrong"};
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){3, 7}),
                        tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){2, 4})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){3, 4});
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)), "linear: w: wanted [N, 7], got [4, 8]");
    in[0] = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){3, 8});
    l->gate = 1;
    ck_assert_int_eq(tsr_execute(d, &p, in, 2, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "linear: w: gate: wanted [4] or [3, 4], got [2, 4]");
    l->gate = 0;
    l->residual = 1;
    ck_assert_int_eq(tsr_execute(d, &p, in, 2, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "linear: w: residual: wanted [3, 4], got [2, 4]");
    layer_close(l);
}
END_TEST

TEST_MAIN("op_linear", sizes_around_the_tiles, every_epilogue, a_nan_stays_in_its_row,
          a_row_does_not_see_the_others, wrong_shapes_are_refused)
