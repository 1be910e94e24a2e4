/* SPDX-License-Identifier: MIT */
/* Frames of clips beside each other, on every device. */
#include "ops/ops.h"
#include "op_case.h"

static void unfold(tsr_run *r, const void *spec, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_unfold_frames(r, in[0], spec);
}

/* As the formula of ops.h says, element by element. */
static float want(const tsr_frames_spec *s, const float *x, int64_t frame, int64_t c, int64_t at) {
    const int64_t k = at % s->taps, channel = at / s->taps % c, value = at / s->taps / c % frame;
    const int64_t t = at / s->taps / c / frame % s->made, b = at / s->taps / c / frame / s->made;
    int64_t i = t * s->stride + k - s->front;
    if (s->zeros && (i < 0 || i >= s->frames * (s->twice ? 2 : 1))) return 0;
    if (i < 0) i = 0;
    if (s->twice) i /= 2;
    return x[((b * s->frames + i) * frame + value) * c + channel];
}

static void check(const tsr_frames_spec *s, int64_t b, int64_t h, int64_t w, int64_t c) {
    op_case o = {.run = {.name = "unfold frames", .fn = unfold, .model = (void *)s}};
    float *x = op_in(&o, TSR_DTYPE_F32, SHAPE(b * s->frames, h, w, c));
    float *y = op_out(&o, TSR_DTYPE_F32, SHAPE(b * s->made, h, w, c * s->taps));
    random_normals(x, b * s->frames * h * w * c);
    op_run(&o);
    for (int64_t at = 0; at < b * s->made * h * w * c * s->taps; ++at)
        ck_assert_msg(y[at] == want(s, x, h * w, c, at), "element %lld", (long long)at);
    op_free(&o);
}

START_TEST(unfolds) {
    /* A causal kernel of three and of four, with and without stride; pooling; a copy in front; the
     * first left out of frames that count twice. */
    check(&(tsr_frames_spec){.frames = 5, .made = 5, .taps = 3, .stride = 1, .front = 2}, 2, 3, 4,
          7);
    check(
        &(tsr_frames_spec){
            .frames = 6, .made = 3, .taps = 4, .stride = 2, .front = 2, .zeros = true},
        1, 2, 3, 4);
    check(&(tsr_frames_spec){.frames = 1, .made = 1, .taps = 1, .stride = 2, .front = 1}, 2, 1, 2,
          3);
    check(&(tsr_frames_spec){.frames = 5, .made = 3, .taps = 2, .stride = 2, .front = 1}, 2, 1, 5,
          3);
    check(&(tsr_frames_spec){.frames = 1, .made = 4, .taps = 1, .stride = 1, .front = 3}, 2, 3, 3,
          5);
    check(
        &(tsr_frames_spec){
            .frames = 3, .made = 5, .taps = 1, .stride = 1, .front = -1, .twice = true},
        2, 2, 2, 6);
    check(&(tsr_frames_spec){.frames = 2,
                             .made = 4,
                             .taps = 3,
                             .stride = 1,
                             .front = 2,
                             .twice = true,
                             .zeros = true},
          3, 2, 70, 70);
    /* Kernels that look at both sides: zeros behind the last frame, too. */
    check(
        &(tsr_frames_spec){
            .frames = 4, .made = 4, .taps = 3, .stride = 1, .front = 1, .zeros = true},
        2, 2, 3, 5);
    check(
        &(tsr_frames_spec){
            .frames = 10, .made = 5, .taps = 7, .stride = 2, .front = 2, .zeros = true},
        2, 3, 3, 3);
    check(
        &(tsr_frames_spec){
            .frames = 1, .made = 1, .taps = 3, .stride = 2, .front = 0, .zeros = true},
        3, 1, 2, 4);
    check(
        &(tsr_frames_spec){
            .frames = 3, .made = 3, .taps = 1, .stride = 1, .front = -2, .zeros = true},
        2, 1, 2, 4);
    check(&(tsr_frames_spec){.frames = 2,
                             .made = 2,
                             .taps = 5,
                             .stride = 2,
                             .front = 1,
                             .twice = true,
                             .zeros = true},
          1, 2, 2, 3);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    const tsr_frames_spec s = {.frames = 1, .made = 1, .taps = 3, .stride = 1, .front = 2};
    op_case o = {.run = {.name = "unfold batch", .fn = unfold, .model = (void *)&s}};
    random_normals(op_in(&o, TSR_DTYPE_F32, SHAPE(3, 2, 3, 5)), 3 * 2 * 3 * 5);
    op_out(&o, TSR_DTYPE_F32, SHAPE(3, 2, 3, 15));
    op_same_in_batches(&o);
    op_free(&o);
}
END_TEST

START_TEST(refuses) {
    const tsr_frames_spec s = {.frames = 2, .made = 2, .taps = 3, .stride = 1, .front = 1};
    op_case o = {.run = {.name = "unfold", .fn = unfold, .model = (void *)&s}};
    op_in(&o, TSR_DTYPE_F32, SHAPE(2, 3, 3, 4));
    op_out(&o, TSR_DTYPE_F32, SHAPE(2, 3, 3, 12));
    op_refused(&o, TSR_ERROR_ARGUMENT, "last frame: wanted at most 1, got 2");
    o.in[0].dim[0] = 3;
    op_refused(&o, TSR_ERROR_ARGUMENT, "wanted a multiple of 2 frames, got [3, 3, 3, 4]");
    op_free(&o);
}
END_TEST

START_TEST(refuses_too_many_frames_of_zeros) {
    const tsr_frames_spec s = {.frames = 2, .made = 18, .taps = 2, .stride = 1, .zeros = true};
    op_case o = {.run = {.name = "unfold", .fn = unfold, .model = (void *)&s}};
    op_in(&o, TSR_DTYPE_F32, SHAPE(2, 3, 3, 4));
    op_out(&o, TSR_DTYPE_F32, SHAPE(18, 3, 3, 8));
    op_refused(&o, TSR_ERROR_ARGUMENT, "last frame: wanted at most 17, got 18");
    op_free(&o);
}
END_TEST

TEST_MAIN("op_unfold_frames", unfolds, batches_of_any_size_give_the_same_bits, refuses,
          refuses_too_many_frames_of_zeros)
