/* SPDX-License-Identifier: MIT */
/* matrix_trial.c: whether a GPU's matrix units compute right: small products whose sums are exact
 * in whatever order; of pairs of f16 such as need both. Some drivers advertise what they cannot
 * compile or compute wrongly. */
#include "../compute/context.h"
#include "ops.h"

#include <stdlib.h>

enum { ROWS = 40, TAPS = 2, C = 36, K = TAPS * C, N = 44 };
enum { LINEAR, CONVOLUTION, KINDS };

static const char *const kinds[2][KINDS] = {{"linear_coopmat", "conv2d_coopmat"},
                                            {"linear_coopmat_pairs", "conv2d_coopmat_pairs"}};

typedef struct product {
    tsr_weight *weight; /* [N, C, 1, TAPS]; a linear layer's of K as well */
    int kind;
} product;

static void product_model(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const product *p = model;
    out[0] = p->kind == LINEAR ? tsr_linear(r, in[0], p->weight, NULL)
                               : tsr_conv2d(r, in[0], p->weight, NULL);
}

static void attention_model(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    (void)model;
    out[0] = tsr_attention(r, in[0], in[1], in[2], &(tsr_attention_spec){.heads = 1});
}

/* Queries and keys are numbers in binary, -32 and 32 for 0 and 1, so that a query's own key beats
 * every other by more than exp can tell from 0: the result is that key's value. */
static tsr_status try_attention(tsr_device *d) {
    enum { QUERIES = 70, KEYS = 50, WIDTH = 16, STEP = 7 };
    float q[QUERIES * WIDTH], k[KEYS * WIDTH], v[KEYS * WIDTH], y[QUERIES * WIDTH];
    for (int i = 0; i < QUERIES * WIDTH; ++i)
        q[i] = i / WIDTH * STEP % KEYS >> i % WIDTH % 8 & 1 ? 32 : -32;
    for (int i = 0; i < KEYS * WIDTH; ++i) {
        k[i] = i / WIDTH >> i % WIDTH % 8 & 1 ? 32 : -32;
        v[i] = (float)(i * 5 % 201 - 100);
    }
    const tsr_tensor in[3] = {tsr_host_tensor(TSR_DTYPE_F32, q, 3, (int64_t[]){1, QUERIES, WIDTH}),
                              tsr_host_tensor(TSR_DTYPE_F32, k, 3, (int64_t[]){1, KEYS, WIDTH}),
                              tsr_host_tensor(TSR_DTYPE_F32, v, 3, (int64_t[]){1, KEYS, WIDTH})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, in[0].dim);
    const tsr_program program = {.fn = attention_model, .model = q, .name = "attention_coopmat"};
    tsr_status status = tsr_execute(d, &program, in, 3, &out, 1);
    for (int i = 0; i < QUERIES * WIDTH && !status; ++i) {
        const float want = v[i / WIDTH * STEP % KEYS * WIDTH + i % WIDTH];
        if (y[i] != want)
            status = tsr_fail(tsr_device_context(d), TSR_ERROR_DEVICE,
                              "attention_coopmat: value %d: wanted %g, got %g", i, (double)want,
                              (double)y[i]);
    }
    tsr_device_forget(d, q);
    return status == TSR_ERROR_UNSUPPORTED ? TSR_OK : status; /* products may fit all the same */
}

/* Whole numbers from -span / 2 to span / 2 for f16. For pairs (`wide`) each is followed by three
 * bits more than f16 has, which its second half has to carry. */
static void fill(float *to, int count, int step, int span, bool wide) {
    for (int i = 0; i < count; ++i) {
        to[i] = (float)(i * step % span - span / 2);
        if (wide) to[i] = to[i] * 4096 + (float)(i % 5 - 2);
    }
}

typedef enum wide_operand { NEITHER, WIDE_X, WIDE_W } wide_operand;

static tsr_status try_products(tsr_device *d, bool pairs, wide_operand wide) {
    float x[ROWS * K], w[N * K], y[ROWS * N];
    fill(x, ROWS * K, 7, 17, wide == WIDE_X);
    fill(w, N * K, 5, 13, wide == WIDE_W);
    for (int i = 0; i < N * K && wide == WIDE_W; ++i)
        w[i] /= 8; /* a pair of w ends at 4,094 */
    const tsr_tensor in[KINDS] = {
        tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){ROWS, K}),
        tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){1, ROWS, TAPS, C})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){ROWS, N});
    tsr_weight weight = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, w, 4, (int64_t[]){N, C, 1, TAPS}),
                         .f32 = w};
    product p = {.weight = &weight};
    tsr_status status = TSR_OK;
    for (p.kind = 0; p.kind < KINDS && !status; ++p.kind) {
        const char *name = kinds[pairs][p.kind];
        if (tsr_device_masked(d, name)) continue;
        tsr_program program = {.fn = product_model, .model = &p, .variant = p.kind, .name = name};
        status = tsr_execute(d, &program, &in[p.kind], 1, &out, 1);
        for (int i = 0; i < ROWS * N && !status; ++i) {
            float sum = 0;
            for (int k = 0; k < K; ++k)
                sum +=
                    x[i / N * K + k] * w[i % N * K + (p.kind == LINEAR ? k : k % C * TAPS + k / C)];
            if (y[i] != sum)
                status = tsr_fail(tsr_device_context(d), TSR_ERROR_DEVICE,
                                  "%s: value %d: wanted %.9g, got %.9g", name, i, (double)sum,
                                  (double)y[i]);
        }
    }
    tsr_device_forget(d, &p);
    return status;
}

/* ---- matrices of workgroups: x has to be f16, which only a chain of ops makes it ---- */

/* Sizes with which every tile of workgroup_tile_choose is used, and tiles that lie inside as well
 * as tiles over every edge. */
enum { HEIGHT = 18, WIDTH = 11, PLACES = HEIGHT * WIDTH, TAPS3 = 3 * 3 };
enum { FIRST = 8, SECOND = 64, THIRD = 128, WIDE = 1100, NARROW = 40 }; /* channels */

typedef struct chain {
    tsr_weight first, kernel, wide, narrow;
} chain;

static void chain_model(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    chain *c = (chain *)model;
    const tsr_tensor *x = tsr_linear(r, in[0], &c->first, NULL);
    x = tsr_conv2d(r, x, &c->kernel, &(tsr_conv_spec){.bottom = 2, .right = 2});
    out[0] = tsr_linear(r, x, &c->wide, NULL);
    out[1] = tsr_linear(r, x, &c->narrow, NULL);
}

/* Small integers: all sums are exact, and those between the layers in f16, too. */
static void fill_small(float *to, int count, int step) {
    for (int i = 0; i < count; ++i)
        to[i] = (float)(i * step % 31 % 3 - 1);
}

static void products(const float *x, const float *w, int k, int n, float *y) {
    for (int i = 0; i < PLACES * n; ++i) {
        y[i] = 0;
        for (int l = 0; l < k; ++l)
            y[i] += x[i / n * k + l] * w[i % n * k + l];
    }
}

static void convolution(const float *x, const float *w, float *y) {
    for (int i = 0; i < PLACES * THIRD; ++i) {
        y[i] = 0;
        for (int t = 0; t < TAPS3; ++t) {
            const int row = i / THIRD / WIDTH + t / 3, col = i / THIRD % WIDTH + t % 3;
            if (row >= HEIGHT || col >= WIDTH) continue;
            for (int k = 0; k < SECOND; ++k)
                y[i] +=
                    x[(row * WIDTH + col) * SECOND + k] * w[(i % THIRD * SECOND + k) * TAPS3 + t];
        }
    }
}

typedef struct chain_numbers {
    float x[PLACES * FIRST], first[SECOND * FIRST], kernel[THIRD * SECOND * TAPS3];
    float wide[WIDE * THIRD], narrow[NARROW * THIRD];
    float second[PLACES * SECOND], third[PLACES * THIRD];
    float want[2][PLACES * WIDE], got[2][PLACES * WIDE];
} chain_numbers;

static tsr_status compare_chain(tsr_device *d, chain_numbers *n) {
    const int columns[2] = {WIDE, NARROW};
    chain c = {
        .first = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, n->first, 2, (int64_t[]){SECOND, FIRST}),
                  .f32 = n->first,
                  .id = 1},
        .kernel = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, n->kernel, 4,
                                             (int64_t[]){THIRD, SECOND, 3, 3}),
                   .f32 = n->kernel,
                   .id = 2},
        .wide = {.tensor = tsr_host_tensor(TSR_DTYPE_F32, n->wide, 2, (int64_t[]){WIDE, THIRD}),
                 .f32 = n->wide,
                 .id = 3},
        .narrow = {.tensor =
                       tsr_host_tensor(TSR_DTYPE_F32, n->narrow, 2, (int64_t[]){NARROW, THIRD}),
                   .f32 = n->narrow,
                   .id = 4}};
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_F32, n->x, 4, (int64_t[]){1, HEIGHT, WIDTH, FIRST});
    tsr_tensor out[2];
    for (int i = 0; i < 2; ++i)
        out[i] =
            tsr_host_tensor(TSR_DTYPE_F32, n->got[i], 4, (int64_t[]){1, HEIGHT, WIDTH, columns[i]});
    const tsr_program program = {.fn = chain_model, .model = &c, .name = "coopmat2"};
    tsr_status status = tsr_execute(d, &program, &in, 1, out, 2);
    for (int i = 0; i < 2; ++i)
        for (int k = 0; k < PLACES * columns[i] && !status; ++k)
            if (n->got[i][k] != n->want[i][k])
                status = tsr_fail(tsr_device_context(d), TSR_ERROR_DEVICE,
                                  "coopmat2: value %d of %d columns: wanted %g, got %g", k,
                                  columns[i], (double)n->want[i][k], (double)n->got[i][k]);
    tsr_device_forget(d, &c);
    return status;
}

static tsr_status try_workgroups(tsr_device *d) {
    chain_numbers *n = tsr_alloc(tsr_device_context(d), 1, sizeof *n, "trial of matrices");
    if (!n) return TSR_ERROR_MEMORY;
    fill_small(n->x, PLACES * FIRST, 7);
    fill_small(n->first, SECOND * FIRST, 5);
    fill_small(n->kernel, THIRD * SECOND * TAPS3, 11);
    fill_small(n->wide, WIDE * THIRD, 13);
    fill_small(n->narrow, NARROW * THIRD, 3);
    products(n->x, n->first, FIRST, SECOND, n->second);
    convolution(n->second, n->kernel, n->third);
    products(n->third, n->wide, THIRD, WIDE, n->want[0]);
    products(n->third, n->narrow, THIRD, NARROW, n->want[1]);
    const tsr_status status = compare_chain(d, n);
    free(n);
    return status;
}

tsr_status tsr_try_matrices(tsr_device *d, tsr_matrix_trial trial) {
    if (trial == TSR_TRIAL_WORKGROUPS) return try_workgroups(d);
    const bool pairs = trial == TSR_TRIAL_PAIRS;
    tsr_status status = try_products(d, pairs, pairs ? WIDE_X : NEITHER);
    if (pairs) return status ? status : try_products(d, true, WIDE_W);
    if (status || tsr_device_masked(d, "attention_coopmat")) return status;
    return try_attention(d);
}
