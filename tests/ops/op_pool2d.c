/* SPDX-License-Identifier: MIT */
/* Pools, distances of unit vectors and moments of pairs of maps, on every device. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>

typedef struct pool_model {
    tsr_pool_spec spec;
} pool_model;

static void pooled(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_pool2d(r, in[0], &((const pool_model *)m)->spec);
}

/* What a window becomes, in float64. */
static double window(const tsr_pool_spec *s, const float *x, int64_t h, int64_t w, int64_t c,
                     int64_t top, int64_t left) {
    double sum = 0, most = -INFINITY;
    int count = 0;
    for (int ky = 0; ky < s->size; ++ky)
        for (int kx = 0; kx < s->size; ++kx) {
            int64_t y = top + ky, z = left + kx;
            if (y < 0 || z < 0 || y >= h || z >= w) continue;
            double v = (double)x[(y * w + z) * c];
            if (s->kind == TSR_POOL2D_BINOMIAL)
                sum += v * v * (ky == 1 ? 2 : 1) * (kx == 1 ? 2 : 1) / 16;
            else
                sum += v;
            most = v > most ? v : most;
            ++count;
        }
    if (s->kind == TSR_POOL2D_MAX) return most;
    return s->kind == TSR_POOL2D_MEAN ? sum / count : sqrt(sum + 1e-12);
}

static void check_pool(pool_model *m, int64_t b, int64_t h, int64_t w, int64_t c, int64_t oh,
                       int64_t ow) {
    op_case o = {.run = {.name = "pool2d", .fn = pooled, .model = m, .tolerance = 1e-6}};
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(b, h, w, c));
    float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(b, oh, ow, c));
    random_normals(x, b * h * w * c);
    op_run(&o);
    for (int64_t at = 0; at < b * oh * ow * c; ++at) {
        int64_t i = at / c % ow, j = at / c / ow % oh, n = at / c / ow / oh;
        const float *image = x + n * h * w * c + at % c;
        double want = window(&m->spec, image, h, w, c, j * m->spec.stride - m->spec.top,
                             i * m->spec.stride - m->spec.left);
        expect_close("pool2d", &y[at], &want, 1, 1e-6);
    }
    op_free(&o);
}

START_TEST(pools) {
    check_pool(&(pool_model){{.size = 3, .stride = 2}}, 2, 9, 8, 5, 4, 3);
    check_pool(&(pool_model){{.size = 3, .stride = 2, .ceil = true}}, 2, 9, 8, 5, 4, 4);
    check_pool(&(pool_model){{.size = 2, .stride = 2}}, 1, 7, 6, 33, 3, 3);
    check_pool(&(pool_model){{TSR_POOL2D_MEAN, 3, 1, 1, 1, 1, 1, false}}, 2, 5, 4, 7, 5, 4);
    check_pool(&(pool_model){{TSR_POOL2D_BINOMIAL, 3, 2, 1, 1, 1, 1, false}}, 2, 7, 8, 6, 4, 4);
    check_pool(&(pool_model){{TSR_POOL2D_BINOMIAL, 3, 2, 1, 1, 1, 1, false}}, 1, 1, 1, 3, 1, 1);
}
END_TEST

START_TEST(refuses_pools) {
    pool_model m = {{.size = 3, .stride = 2}};
    op_case o = {.run = {.name = "pool2d", .fn = pooled, .model = &m}};
    op_in(&o, TSR_DTYPE_F32, SHAPE(1, 2, 6, 4));
    op_out(&o, TSR_DTYPE_F32, SHAPE(1, 1, 2, 4));
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted a map that holds a window of 3, got [1, 2, 6, 4]");
    m.spec.size = 0;
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted windows of 1..128");
    op_free(&o);
}
END_TEST

static void moments(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_pair_moments(r, in[0]);
}

START_TEST(moments_of_pairs) {
    enum { B = 2, P = 700, C = 5 }; /* three chunks of places */
    op_case o = {.run = {.name = "pair_moments", .fn = moments, .tolerance = 1e-5}};
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(2 * B, P, C));
    float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(B, 5, C));
    random_normals(x, 2 * B * P * C);
    for (int i = 0; i < 2 * B * P * C; ++i)
        x[i] += 100; /* a large mean costs no digits */
    op_run(&o);
    for (int i = 0; i < B * C; ++i) {
        const int n = i / C, c = i % C;
        double ma = 0, mb = 0, want[5] = {0};
        for (int p = 0; p < P; ++p) {
            ma += (double)x[(n * P + p) * C + c] / P;
            mb += (double)x[((B + n) * P + p) * C + c] / P;
        }
        for (int p = 0; p < P; ++p) {
            const double a = (double)x[(n * P + p) * C + c] - ma;
            const double b = (double)x[((B + n) * P + p) * C + c] - mb;
            want[2] += a * a / P;
            want[3] += b * b / P;
            want[4] += a * b / P;
        }
        want[0] = ma, want[1] = mb;
        for (int k = 0; k < 5; ++k)
            expect_close("pair_moments", &y[(n * 5 + k) * C + c], &want[k], 1, 1e-5);
    }
    op_free(&o);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    pool_model m = {{TSR_POOL2D_MEAN, 3, 1, 1, 1, 1, 1, false}};
    op_case o = {.run = {.name = "pool2d batch", .fn = pooled, .model = &m}};
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(3, 6, 7, 5)), 3 * 6 * 7 * 5);
    op_out(&o, TSR_DTYPE_F32, SHAPE(3, 6, 7, 5));
    op_same_in_batches(&o);
    op_free(&o);
}
END_TEST

TEST_MAIN("op_pool2d", pools, refuses_pools, moments_of_pairs,
          batches_of_any_size_give_the_same_bits)
