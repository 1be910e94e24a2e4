/* SPDX-License-Identifier: MIT */
/* Attention with every mask against float64, on every device; a batch item must not see the
 * others. */
#include "ops/ops.h"
#include "compute/weights.h"
#include "everywhere.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JOINED: q, k and v are columns of one tensor [B, nk, 3D + 2 gap], in the order v, q, k, each
 * behind a gap but the first. Queries are rows first .. first + nq - 1 of it. KEYS_JOINED: so are q
 * and k, but v is a tensor of its own. */
typedef enum how { APART, JOINED, KEYS_JOINED } how;

typedef struct shape {
    int64_t batch, nq, nk;
    int heads, width;
    tsr_mask mask;
    int64_t prefix;
    bool key_bias;
    float scale;
    how joined;
    int64_t gap, first;
} shape;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const shape *s = m;
    tsr_attention_spec spec = {.heads = s->heads,
                               .mask = s->mask,
                               .prefix = s->prefix,
                               .scale = s->scale,
                               .key_bias = s->key_bias ? in[s->joined == APART    ? 3
                                                            : s->joined == JOINED ? 1
                                                                                  : 2]
                                                       : NULL};
    if (!s->joined) {
        out[0] = tsr_attention(r, in[0], in[1], in[2], &spec);
        return;
    }
    spec.channels = (int64_t)s->heads * s->width;
    spec.q_at = spec.channels + s->gap;
    spec.k_at = 2 * spec.q_at;
    spec.first = s->first;
    spec.count = s->nq;
    out[0] = tsr_attention(r, in[0], in[0], in[s->joined == JOINED ? 0 : 1], &spec);
}

static bool sees(const shape *s, int64_t i, int64_t j) {
    if (s->mask == TSR_MASK_CAUSAL) return j <= i + s->nk - s->nq;
    if (s->mask == TSR_MASK_CAUSAL_LAST) return i < s->prefix ? j < s->prefix : j <= i;
    return true;
}

static void exact(const shape *s, const float *q, const float *k, const float *v, const float *bias,
                  double *y) {
    int64_t d = (int64_t)s->heads * s->width;
    double *score = malloc((size_t)s->nk * sizeof *score);
    ck_assert_ptr_nonnull(score);
    double scale = s->scale != 0 ? s->scale : 1 / sqrt(s->width);
    for (int64_t b = 0; b < s->batch; ++b)
        for (int h = 0; h < s->heads; ++h)
            for (int64_t i = 0; i < s->nq; ++i) {
                const float *qi = q + (b * s->nq + i) * d + h * s->width;
                double *yi = y + (b * s->nq + i) * d + h * s->width, max = -INFINITY, sum = 0;
                for (int64_t j = 0; j < s->nk; ++j) {
                    const float *kj = k + (b * s->nk + j) * d + h * s->width;
                    double dot = 0;
                    for (int l = 0; l < s->width; ++l)
                        dot += (double)qi[l] * kj[l];
                    score[j] = dot * scale + (s->key_bias ? bias[b * s->nk + j] : 0);
                    if (!sees(s, i, j)) score[j] = -INFINITY;
                    if (score[j] > max) max = score[j];
                }
                for (int l = 0; l < s->width; ++l)
                    yi[l] = 0;
                if (max == -INFINITY) continue;
                for (int64_t j = 0; j < s->nk; ++j)
                    sum += exp(score[j] - max);
                for (int64_t j = 0; j < s->nk; ++j)
                    for (int l = 0; l < s->width; ++l)
                        yi[l] +=
                            exp(score[j] - max) / sum * v[(b * s->nk + j) * d + h * s->width + l];
            }
    free(score);
}

/* Kernels of the cpu, and bodies of the shader, in turn switched off. */
static const char *const cpu_masks[] = {"avx512", "avx2,avx512", NULL};
static const char *const gpu_masks[] = {"attention_sg", NULL};

static void on_all(everywhere_case c) {
    c.masks = cpu_masks;
    c.cpu_only = true;
    everywhere(&c);
    c.masks = gpu_masks;
    c.cpu_only = false;
    everywhere(&c);
}

/* Copies rows of q, k or v into their columns of the joined tensor. */
static void join(const shape *s, float *to, int64_t at, int64_t first, const float *from,
                 int64_t rows) {
    int64_t d = (int64_t)s->heads * s->width, all = 3 * d + 2 * s->gap;
    for (int64_t b = 0; b < s->batch; ++b)
        for (int64_t i = 0; i < rows; ++i)
            memcpy(to + (b * s->nk + first + i) * all + at, from + (b * rows + i) * d,
                   (size_t)d * sizeof *to);
}

static void try_case(shape s) {
    int64_t d = (int64_t)s.heads * s.width, nq = s.batch * s.nq * d, nk = s.batch * s.nk * d;
    int64_t wide = 3 * d + 2 * s.gap, all = s.batch * s.nk * wide;
    float *q = guarded((size_t)nq * 4), *k = guarded((size_t)nk * 4), *v = guarded((size_t)nk * 4);
    float *bias = guarded((size_t)(s.batch * s.nk) * 4), *y = guarded((size_t)nq * 4);
    float *joint = guarded((size_t)all * 4);
    double *want = malloc((size_t)nq * sizeof *want);
    ck_assert_ptr_nonnull(want);
    random_normals(q, nq);
    random_normals(k, nk);
    random_normals(v, nk);
    random_normals(joint, all);
    join(&s, joint, 0, 0, v, s.nk);
    if (s.joined) join(&s, joint, d + s.gap, s.first, q, s.nq);
    join(&s, joint, 2 * (d + s.gap), 0, k, s.nk);
    random_normals(bias, s.batch * s.nk);
    for (int64_t i = 0; i < s.batch * s.nk; ++i)
        if (random_below(4) == 0) bias[i] = -INFINITY;
    if (s.key_bias) /* the last batch item has no key at all */
        for (int64_t i = (s.batch - 1) * s.nk; i < s.batch * s.nk; ++i)
            bias[i] = -INFINITY;
    exact(&s, q, k, v, bias, want);
    const tsr_tensor biases = tsr_host_tensor(TSR_DTYPE_F32, bias, 2, (int64_t[]){s.batch, s.nk});
    tsr_tensor in[4] = {tsr_host_tensor(TSR_DTYPE_F32, q, 3, (int64_t[]){s.batch, s.nq, d}),
                        tsr_host_tensor(TSR_DTYPE_F32, k, 3, (int64_t[]){s.batch, s.nk, d}),
                        tsr_host_tensor(TSR_DTYPE_F32, v, 3, (int64_t[]){s.batch, s.nk, d}),
                        biases};
    if (s.joined) {
        in[0] = tsr_host_tensor(TSR_DTYPE_F32, joint, 3, (int64_t[]){s.batch, s.nk, wide});
        in[1] = s.joined == JOINED ? biases : in[2];
        in[2] = biases;
    }
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, (int64_t[]){s.batch, s.nq, d});
    char name[128];
    snprintf(name, sizeof name, "attention %lldx%lldx%lld heads %dx%d mask %d/%lld%s%s",
             (long long)s.batch, (long long)s.nq, (long long)s.nk, s.heads, s.width, (int)s.mask,
             (long long)s.prefix, s.key_bias ? " bias" : "",
             s.joined == KEYS_JOINED ? " keys joined"
             : s.joined              ? " joined"
                                     : "");
    on_all((everywhere_case){.name = name,
                             .fn = model,
                             .model = &s,
                             .in = in,
                             .in_count = (s.joined == APART    ? 3
                                          : s.joined == JOINED ? 1
                                                               : 2) +
                                         s.key_bias,
                             .out = &out,
                             .out_count = 1,
                             .tolerance = 5e-6});
    expect_close(name, y, want, nq, 5e-6);
    guarded_free(q);
    guarded_free(k);
    guarded_free(v);
    guarded_free(bias);
    guarded_free(y);
    guarded_free(joint);
    free(want);
}

START_TEST(sizes_around_the_tiles) {
    static const shape shapes[] = {{1, 1, 1, 1, 1, 0, 0, false, 0, APART, 0, 0},
                                   {1, 1, 9, 2, 3, 0, 0, false, 0, APART, 0, 0},
                                   {2, 5, 7, 3, 8, 0, 0, false, 0.5f, APART, 0, 0},
                                   {1, 47, 16, 1, 16, 0, 0, false, 0, APART, 0, 0},
                                   {1, 48, 17, 2, 32, 0, 0, false, 0, APART, 0, 0},
                                   {1, 49, 97, 1, 64, 0, 0, false, 0, APART, 0, 0},
                                   {2, 33, 130, 2, 33, 0, 0, false, 0, APART, 0, 0},
                                   {1, 100, 300, 1, 80, 0, 0, false, 0, APART, 0, 0},
                                   {1, 65, 66, 1, 128, 0, 0, false, 0, APART, 0, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
        try_case(shapes[i]);
}
END_TEST

/* What autoencoders have in their middle: one head as wide as the feature map is deep. */
START_TEST(one_head_of_all_channels) {
    try_case((shape){2, 21, 70, 1, 512, 0, 0, false, 0, APART, 0, 0});
    try_case((shape){1, 40, 40, 1, 256, 0, 0, false, 0, APART, 0, 0});
    try_case((shape){1, 40, 66, 1, 264, 1, 0, true, 0, APART, 0, 0});
    try_case((shape){1, 18, 70, 1, 517, 0, 0, false, 0, APART, 0, 0}); /* cut in two */
}
END_TEST

START_TEST(masks_and_key_bias) {
    for (int bias = 0; bias < 2; ++bias) {
        try_case((shape){2, 19, 23, 2, 8, TSR_MASK_NONE, 0, bias, 0, APART, 0, 0});
        try_case((shape){2, 50, 50, 2, 8, TSR_MASK_CAUSAL, 0, bias, 0, APART, 0, 0});
        try_case((shape){1, 9, 14, 1, 5, TSR_MASK_CAUSAL, 0, bias, 0, APART, 0, 0});
        try_case((shape){1, 14, 9, 1, 5, TSR_MASK_CAUSAL, 0, bias, 0, APART, 0,
                         0}); /* rows without keys */
        try_case((shape){2, 70, 70, 2, 8, TSR_MASK_CAUSAL_LAST, 30, bias, 0, APART, 0, 0});
        try_case((shape){1, 20, 20, 1, 8, TSR_MASK_CAUSAL_LAST, 0, bias, 0, APART, 0, 0});
        try_case((shape){1, 20, 20, 1, 8, TSR_MASK_CAUSAL_LAST, 20, bias, 0, APART, 0, 0});
    }
}
END_TEST

/* q, k and v as columns of one tensor, and a part of its rows as queries. */
START_TEST(columns_of_a_joint_product) {
    static const shape shapes[] = {
        {.batch = 2, .nq = 40, .nk = 40, .heads = 2, .width = 16},
        {.batch = 2, .nq = 11, .nk = 70, .heads = 3, .width = 8, .gap = 8, .first = 59},
        {.batch = 3, .nq = 1, .nk = 33, .heads = 1, .width = 64, .gap = 4, .first = 5},
        {.batch = 2, .nq = 20, .nk = 30, .heads = 2, .width = 5, .gap = 3, .first = 10},
        {.batch = 1,
         .nq = 9,
         .nk = 14,
         .heads = 1,
         .width = 8,
         .mask = TSR_MASK_CAUSAL,
         .first = 2},
        {.batch = 2, .nq = 19, .nk = 23, .heads = 2, .width = 8, .key_bias = true, .gap = 1},
        {.batch = 2,
         .nq = 11,
         .nk = 40,
         .heads = 2,
         .width = 16,
         .first = 29,
         .joined = KEYS_JOINED},
        {.batch = 2,
         .nq = 19,
         .nk = 23,
         .heads = 2,
         .width = 8,
         .key_bias = true,
         .gap = 1,
         .joined = KEYS_JOINED}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i) {
        shape s = shapes[i];
        if (s.joined == APART) s.joined = JOINED;
        try_case(s);
    }
}
END_TEST

/* Bits of one item alone and among 16. */
START_TEST(a_batch_item_does_not_see_the_others) {
    shape s = {16, 60, 60, 3, 32, TSR_MASK_CAUSAL_LAST, 20, false, 0, APART, 0, 0};
    int64_t d = (int64_t)s.heads * s.width, item = s.nq * d;
    float *x = guarded((size_t)(16 * item) * 4), *all = guarded((size_t)(16 * item) * 4);
    float *one = guarded((size_t)item * 4);
    random_normals(x, 16 * item);
    tsr_device *dev = everywhere_device("cpu", NULL);
    tsr_program p = {.fn = model, .model = &s, .variant = 0, .name = "batch"};
    tsr_tensor in[3], out = tsr_host_tensor(TSR_DTYPE_F32, all, 3, (int64_t[]){16, s.nq, d});
    for (int i = 0; i < 3; ++i)
        in[i] = tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){16, s.nq, d});
    ck_assert_int_eq(tsr_execute(dev, &p, in, 3, &out, 1), TSR_OK);
    for (int b = 0; b < 16; b += 5) {
        for (int i = 0; i < 3; ++i)
            in[i] = tsr_host_tensor(TSR_DTYPE_F32, x + b * item, 3, (int64_t[]){1, s.nq, d});
        out = tsr_host_tensor(TSR_DTYPE_F32, one, 3, (int64_t[]){1, s.nq, d});
        ck_assert_int_eq(tsr_execute(dev, &p, in, 3, &out, 1), TSR_OK);
        ck_assert_msg(!memcmp(one, all + b * item, (size_t)item * 4), "item %d differs", b);
    }
    guarded_free(x);
    guarded_free(all);
    guarded_free(one);
}
END_TEST

/* ---- --precision fast ---- */

/* Bodies in turn switched off: the one of software drivers, then matrix units. */
static const char *const fast_masks[] = {"int64", "attention_sg", "attention_sg,attention_coopmat"};
enum { FAST_MASKS = sizeof fast_masks / sizeof *fast_masks };

static void random_halves(float *x, int64_t n) {
    random_normals(x, n);
    for (int64_t i = 0; i < n; ++i)
        x[i] = tsr_f16_to_f32(tsr_f32_to_f16(x[i]));
}

static void run_fast(const char *name, const char *mask, tsr_model_fn fn, shape *s,
                     const tsr_tensor *in, int in_count, tsr_tensor *out) {
    tsr_device *d = everywhere_fast_device(name, mask);
    ck_assert_msg(d != NULL, "%s could not be opened", name);
    tsr_program p = {.fn = fn, .model = s, .variant = 0, .name = "fast attention"};
    ck_assert_msg(!tsr_execute(d, &p, in, in_count, out, 1), "%s without %s: %s", name,
                  mask ? mask : "nothing", tsr_detail(tsr_device_context(d)));
    guarded_check(out->data);
    tsr_device_forget(d, s);
}

/* Matrix units take q, k, v and the weights as f16: a weight is off by 2^-11 of itself. */
static void try_fast(shape s) {
    const int64_t d = (int64_t)s.heads * s.width, nq = s.batch * s.nq * d, nk = s.batch * s.nk * d;
    float *q = guarded((size_t)nq * 4), *k = guarded((size_t)nk * 4), *v = guarded((size_t)nk * 4);
    float *bias = guarded((size_t)(s.batch * s.nk) * 4), *y = guarded((size_t)nq * 4);
    float *size = guarded((size_t)nk * 4);
    double *want = malloc((size_t)nq * sizeof *want), *most = malloc((size_t)nq * sizeof *most);
    ck_assert(want && most);
    random_halves(q, nq);
    random_halves(k, nk);
    random_halves(v, nk);
    random_normals(bias, s.batch * s.nk);
    for (int64_t i = 0; i < s.batch * s.nk; ++i)
        if (random_below(4) == 0 || i >= (s.batch - 1) * s.nk) bias[i] = -INFINITY;
    for (int64_t i = 0; i < nk; ++i)
        size[i] = fabsf(v[i]);
    exact(&s, q, k, v, bias, want);
    exact(&s, q, k, size, bias, most);
    const int64_t shape_q[3] = {s.batch, s.nq, d}, shape_k[3] = {s.batch, s.nk, d};
    tsr_tensor in[4] = {tsr_host_tensor(TSR_DTYPE_F32, q, 3, shape_q),
                        tsr_host_tensor(TSR_DTYPE_F32, k, 3, shape_k),
                        tsr_host_tensor(TSR_DTYPE_F32, v, 3, shape_k),
                        tsr_host_tensor(TSR_DTYPE_F32, bias, 2, (int64_t[]){s.batch, s.nk})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, shape_q);
    for (int i = 0; i < everywhere_vulkan_count() * FAST_MASKS; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i / FAST_MASKS);
        run_fast(name, fast_masks[i % FAST_MASKS], model, &s, in, 3 + s.key_bias, &out);
        for (int64_t j = 0; j < nq; ++j)
            ck_assert_msg(fabs(y[j] - want[j]) <= 0x1p-10 * most[j] + 2e-5,
                          "%s without %s, %lldx%lldx%lld heads %dx%d mask %d, value %lld: wanted "
                          "%g, got %g",
                          name, fast_masks[i % FAST_MASKS] ? fast_masks[i % FAST_MASKS] : "nothing",
                          (long long)s.batch, (long long)s.nq, (long long)s.nk, s.heads, s.width,
                          (int)s.mask, (long long)j, want[j], (double)y[j]);
    }
    guarded_free(q);
    guarded_free(k);
    guarded_free(v);
    guarded_free(bias);
    guarded_free(y);
    guarded_free(size);
    free(want);
    free(most);
}

START_TEST(fast_precision) {
    try_fast((shape){.batch = 1, .nq = 1, .nk = 1, .heads = 1, .width = 8});
    try_fast((shape){.batch = 2, .nq = 100, .nk = 100, .heads = 2, .width = 64});
    try_fast((shape){.batch = 1, .nq = 63, .nk = 33, .heads = 2, .width = 72});
    try_fast((shape){.batch = 1, .nq = 65, .nk = 95, .heads = 1, .width = 128});
    try_fast((shape){.batch = 2, .nq = 17, .nk = 70, .heads = 2, .width = 24, .key_bias = true});
    try_fast((shape){.batch = 2, .nq = 70, .nk = 70, .heads = 2, .width = 32, .mask = 1});
    try_fast((shape){
        .batch = 1, .nq = 130, .nk = 130, .heads = 1, .width = 16, .mask = 2, .prefix = 60});
    try_fast((shape){.batch = 1, .nq = 80, .nk = 70, .heads = 1, .width = 8, .mask = 1});
}
END_TEST

/* As models do it: attention, a layer that rounds its operand, attention among its channels. On
 * matrix units both results may be kept as f16, elsewhere the first. */
static void model_twice(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    tsr_tensor *y = tsr_attention(r, in[0], in[1], in[2], &(tsr_attention_spec){.heads = 3});
    y = tsr_linear(r, y, (tsr_weight *)m, NULL);
    out[0] = tsr_attention(
        r, y, y, y,
        &(tsr_attention_spec){
            .heads = 2, .channels = 16, .k_at = 16, .v_at = 32, .first = 3, .count = 67});
}

/* Result and bytes of activations of model_twice. */
static size_t run_twice(const char *name, const char *mask, const tsr_tensor *in, tsr_weight *w,
                        float *y) {
    tsr_device *d = everywhere_fast_device(name, mask);
    ck_assert_msg(d != NULL, "%s could not be opened", name);
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, (int64_t[]){2, 67, 16});
    const tsr_program p = {.fn = model_twice, .model = w, .name = "attention twice"};
    ck_assert_msg(!tsr_execute(d, &p, in, 3, &out, 1), "%s without %s: %s", name, mask,
                  tsr_detail(tsr_device_context(d)));
    guarded_check(y);
    tsr_device_forget(d, w);
    return tsr_device_peak_bytes(d);
}

/* What is rounded by its writer was rounded by its reader before: the same bits in less memory. */
START_TEST(activations_kept_as_f16) {
    enum { D = 48, N = 2 * 70 * D, OUT = 2 * 67 * 16 };
    static const char *const masks[] = {"int64", "attention_sg", "attention_sg,attention_coopmat"};
    float *w = guarded(D * D * 4), *y = guarded(OUT * 4), *kept = guarded(OUT * 4);
    float *x[3];
    tsr_tensor in[3];
    tsr_context *ctx = everywhere_context();
    tsr_weights *weights;
    for (int i = 0; i < 3; ++i) {
        x[i] = guarded(N * 4);
        random_normals(x[i], N);
        in[i] = tsr_host_tensor(TSR_DTYPE_F32, x[i], 3, (int64_t[]){2, 70, D});
    }
    random_normals(w, D * D);
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    const tsr_tensor matrix = tsr_host_tensor(TSR_DTYPE_F32, w, 2, (int64_t[]){D, D});
    ck_assert_int_eq(tsr_weights_add(ctx, weights, "w", &matrix), TSR_OK);
    for (int i = 0; i < everywhere_vulkan_count() * 3; ++i) {
        char name[32], mask[96];
        snprintf(name, sizeof name, "vulkan:%d", i / 3);
        snprintf(mask, sizeof mask, "%s,f16_activations", masks[i % 3]);
        const size_t before = run_twice(name, mask, in, tsr_weights_find(weights, "w"), y);
        const size_t after =
            run_twice(name, masks[i % 3], in, tsr_weights_find(weights, "w"), kept);
        ck_assert_msg(after < before, "%s without %s: wanted fewer than %zu bytes, got %zu", name,
                      masks[i % 3], before, after);
        ck_assert_msg(!memcmp(y, kept, OUT * 4), "%s without %s: other bits", name, masks[i % 3]);
    }
    tsr_weights_close(&weights);
    for (int i = 0; i < 3; ++i)
        guarded_free(x[i]);
    guarded_free(w);
    guarded_free(y);
    guarded_free(kept);
}
END_TEST

START_TEST(wrong_shapes_are_refused) {
    float x[64] = {0}, y[64];
    shape s = {1, 2, 3, 3, 2, 0, 0, false, 0, APART, 0, 0};
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_program p = {.fn = model, .model = &s, .variant = 0, .name = "wrong"};
    tsr_tensor in[3] = {tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){1, 2, 8}),
                        tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){1, 3, 8}),
                        tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){1, 3, 8})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 3, (int64_t[]){1, 2, 8});
    ck_assert_int_eq(tsr_execute(d, &p, in, 3, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "attention: heads: wanted a divisor of 8 channels, got 3");
    s.heads = 2;
    in[2].dim[1] = 2;
    ck_assert_int_eq(tsr_execute(d, &p, in, 3, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "attention: v: wanted [1, 3, 8], got [1, 2, 8]");
    s.joined = true;
    s.width = 1;
    s.gap = 2;
    in[0].dim[2] = 9;
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "attention: k: wanted 2 channels from channel 8 on, got rows of 9");
    in[0].dim[2] = 10;
    s.first = 1;
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "attention: queries: wanted rows within 0..1, got 2 from 1 on");
}
END_TEST

TEST_MAIN("op_attention", sizes_around_the_tiles, one_head_of_all_channels, masks_and_key_bias,
          columns_of_a_joint_product, fast_precision, activations_kept_as_f16,
          a_batch_item_does_not_see_the_others, wrong_shapes_are_refused)
