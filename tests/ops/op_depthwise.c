/* SPDX-License-Identifier: MIT */
/* Depthwise convolutions, on every device. */
#include "ops/ops.h"
#include "op_case.h"

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_depthwise(r, in[0], in[1], in[2], m);
}

static double exact(const float *x, const float *k, const float *bias, const int64_t *size,
                    const int64_t *kernel, const tsr_depthwise_spec *s, int64_t b, int64_t oy,
                    int64_t ox, int64_t c) {
    double sum = bias[c];
    for (int64_t ky = 0; ky < kernel[0]; ++ky)
        for (int64_t kx = 0; kx < kernel[1]; ++kx) {
            const int64_t y = oy * s->stride - s->top + ky, z = ox * s->stride - s->left + kx;
            if (y < 0 || z < 0 || y >= size[1] || z >= size[2]) continue;
            sum += (double)x[((b * size[1] + y) * size[2] + z) * size[3] + c] *
                   (double)k[(ky * kernel[1] + kx) * size[3] + c];
        }
    return sum;
}

START_TEST(convolves_each_channel) {
    for (int i = 0; i < 12; ++i) {
        const int64_t kernel[2] = {1 + random_below(7), 1 + random_below(6)};
        tsr_depthwise_spec s = {.stride = 1 + (int)random_below(3),
                                .top = (int)random_below(kernel[0]),
                                .left = (int)random_below(kernel[1]),
                                .bottom = (int)random_below(kernel[0]),
                                .right = (int)random_below(kernel[1])};
        const int64_t size[4] = {1 + random_below(3), kernel[0] + random_below(9),
                                 kernel[1] + random_below(9), 1 + random_below(70)};
        const int64_t oh = (s.top + size[1] + s.bottom - kernel[0]) / s.stride + 1;
        const int64_t ow = (s.left + size[2] + s.right - kernel[1]) / s.stride + 1;
        op_case o = {.run = {.name = "depthwise", .fn = model, .model = &s, .tolerance = 2e-6}};
        float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(size[0], size[1], size[2], size[3]));
        float *k = op_in(&o, TSR_DTYPE_F32, SHAPE(kernel[0], kernel[1], size[3]));
        float *bias = op_in(&o, TSR_DTYPE_F32, SHAPE(size[3]));
        float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(size[0], oh, ow, size[3]));
        random_normals(x, size[0] * size[1] * size[2] * size[3]);
        random_normals(k, kernel[0] * kernel[1] * size[3]);
        random_normals(bias, size[3]);
        op_run(&o);
        for (int64_t at = 0; at < size[0] * oh * ow * size[3]; ++at) {
            const int64_t c = at % size[3], ox = at / size[3] % ow, oy = at / size[3] / ow % oh;
            const double want =
                exact(x, k, bias, size, kernel, &s, at / size[3] / ow / oh, oy, ox, c);
            expect_close("depthwise", &y[at], &want, 1, 2e-5);
        }
        op_free(&o);
    }
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    tsr_depthwise_spec s = {.stride = 2, .top = 1, .left = 1, .bottom = 1, .right = 1};
    op_case o = {.run = {.name = "depthwise batch", .fn = model, .model = &s}};
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(4, 6, 7, 5)), 4 * 6 * 7 * 5);
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(3, 3, 5)), 3 * 3 * 5);
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(5)), 5);
    op_out(&o, TSR_DTYPE_F32, SHAPE(4, 3, 4, 5));
    op_same_in_batches(&o);
    op_free(&o);
}
END_TEST

START_TEST(refuses) {
    tsr_depthwise_spec s = {.stride = 1, .top = 3};
    op_case o = {.run = {.name = "depthwise", .fn = model, .model = &s}};
    op_in(&o, TSR_DTYPE_F32, SHAPE(1, 4, 6, 4));
    op_in(&o, TSR_DTYPE_F32, SHAPE(3, 3, 4));
    op_in(&o, TSR_DTYPE_F32, SHAPE(4));
    op_out(&o, TSR_DTYPE_F32, SHAPE(1, 4, 4, 4));
    op_refused(&o, TSR_ERROR_ARGUMENT, "padding below the kernel");
    s.top = 0;
    o.in[1].dim[2] = 3;
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted a kernel [1..16, 1..16, 4] and as many biases");
    o.in[1].dim[2] = 4;
    o.in[0].dtype = TSR_DTYPE_I32;
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted dtype F32, got I32");
    op_free(&o);
}
END_TEST

TEST_MAIN("op_depthwise", convolves_each_channel, batches_of_any_size_give_the_same_bits, refuses)
