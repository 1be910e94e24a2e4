/* SPDX-License-Identifier: MIT */
/* op_unit_distance.c: weighted distances of unit vectors, against float64. */
#include <math.h>
#include <string.h>

#include "ops/ops.h"
#include "op_case.h"

typedef struct distance_model {
    tsr_weight *weight;
} distance_model;

static void distances(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_unit_distance(r, in[0], ((const distance_model *)m)->weight, 1e-10f);
}

/* Channels below, at and above a vector's lanes; the first place of both maps is equal. */
static void check(int channels) {
    enum { B = 2, H = 3, W = 5 };
    const int half = B * H * W * channels;
    float w[128];
    for (int c = 0; c < channels; ++c)
        w[c] = random_uniform(0, 1);
    tsr_context *ctx = everywhere_context();
    tsr_weights *weights = NULL;
    ck_assert_int_eq(tsr_weights_open(ctx, &weights), TSR_OK);
    const int64_t size = channels;
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, w, 1, &size);
    ck_assert_int_eq(tsr_weights_add(ctx, weights, "w", &t), TSR_OK);
    distance_model m = {tsr_weights_find(weights, "w")};
    op_case o = {.run = {.name = "unit_distance", .fn = distances, .model = &m, .tolerance = 1e-6}};
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(2 * B, H, W, channels));
    float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(B, H, W));
    random_normals(x, 2 * half);
    memcpy(x + half, x, (size_t)channels * sizeof *x);
    op_run(&o);
    for (int i = 0; i < B * H * W; ++i) {
        const float *a = x + (ptrdiff_t)i * channels, *b = a + half;
        double la = 0, lb = 0, want = 0;
        for (int c = 0; c < channels; ++c)
            la += (double)a[c] * a[c], lb += (double)b[c] * b[c];
        for (int c = 0; c < channels; ++c)
            want += w[c] * pow(a[c] / sqrt(la) - b[c] / sqrt(lb), 2);
        expect_close("unit_distance", &y[i], &want, 1, 1e-5);
    }
    ck_assert_msg(y[0] == 0, "equal places: wanted 0, got %g", (double)y[0]);
    op_free(&o);
    tsr_weights_close(&weights);
}

START_TEST(unit_distances) {
    check(3);
    check(16);
    check(67);
}
END_TEST

TEST_MAIN("op_unit_distance", unit_distances)
