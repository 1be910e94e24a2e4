/* SPDX-License-Identifier: MIT */
/* Feature maps doubled and halved, on every device. */
#include "ops/ops.h"
#include "op_case.h"

static void doubled(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_double(r, in[0]);
}

static void halved(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_halve(r, in[0]);
}

START_TEST(doubles) {
    for (int i = 0; i < 8; ++i) {
        int64_t b = 1 + random_below(3), h = 1 + random_below(9), w = 1 + random_below(9);
        int64_t c = 1 + random_below(70);
        op_case o = {.run = {.name = "double", .fn = doubled}};
        float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(b, h, w, c));
        float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(b, 2 * h, 2 * w, c));
        random_normals(x, b * h * w * c);
        op_run(&o);
        for (int64_t at = 0; at < b * 4 * h * w * c; ++at) {
            int64_t ox = at / c % (2 * w), oy = at / c / (2 * w) % (2 * h), n = at / c / w / h / 4;
            ck_assert(y[at] == x[((n * h + oy / 2) * w + ox / 2) * c + at % c]);
        }
        op_free(&o);
    }
}
END_TEST

START_TEST(halves) {
    for (int i = 0; i < 8; ++i) {
        int64_t b = 1 + random_below(3), h = 2 + random_below(9), w = 2 + random_below(9);
        int64_t c = 1 + random_below(70), oh = h / 2, ow = w / 2;
        op_case o = {.run = {.name = "halve", .fn = halved, .tolerance = 1e-7}};
        float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(b, h, w, c));
        float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(b, oh, ow, c));
        random_normals(x, b * h * w * c);
        op_run(&o);
        for (int64_t at = 0; at < b * oh * ow * c; ++at) {
            int64_t ox = at / c % ow, oy = at / c / ow % oh, n = at / c / ow / oh;
            const float *a = x + ((n * h + oy * 2) * w + ox * 2) * c + at % c;
            double want = ((double)a[0] + a[c] + a[w * c] + a[w * c + c]) / 4;
            expect_close("halve", &y[at], &want, 1, 3e-7);
        }
        op_free(&o);
    }
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    op_case o = {.run = {.name = "halve batch", .fn = halved}};
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(3, 6, 7, 5)), 3 * 6 * 7 * 5);
    op_out(&o, TSR_DTYPE_F32, SHAPE(3, 3, 3, 5));
    op_same_in_batches(&o);
    op_free(&o);
}
END_TEST

START_TEST(refuses) {
    op_case o = {.run = {.name = "halve", .fn = halved}};
    op_in(&o, TSR_DTYPE_F32, SHAPE(1, 1, 6, 4));
    op_out(&o, TSR_DTYPE_F32, SHAPE(1, 1, 3, 4));
    op_refused(&o, TSR_ERROR_ARGUMENT, "at least 2 x 2 pixels, got [1, 1, 6, 4]");
    o.in[0].dtype = TSR_DTYPE_I32;
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted dtype F32, got I32");
    op_free(&o);
}
END_TEST

TEST_MAIN("op_half_double", doubles, halves, batches_of_any_size_give_the_same_bits, refuses)
