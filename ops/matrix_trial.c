/* SPDX-License-Identifier: MIT */
/* matrix_trial.c: whether a GPU's matrix units compute right: small products whose sums are exact
 * in whatever order; of pairs of f16 such as need both. Some drivers advertise what they cannot
 * compile or compute wrongly. */
#include "ops.h"

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

tsr_status tsr_try_matrices(tsr_device *d, bool pairs) {
    tsr_status status = try_products(d, pairs, pairs ? WIDE_X : NEITHER);
    if (pairs) return status ? status : try_products(d, true, WIDE_W);
    if (status || tsr_device_masked(d, "attention_coopmat")) return status;
    return try_attention(d);
}
