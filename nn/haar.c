/* SPDX-License-Identifier: MIT */
/* haar.c: the matrix of a Haar wavelet packet, and planes of pixels through it. */
#include "haar.h"

#include <math.h>
#include <stdlib.h>

/* Sign and size of a pixel in a band. band: its number among those of all steps, the last step's
 * outermost; at: x, y and frame of the pixel in its patch. */
static double entry(const tsr_haar *h, int steps, int64_t band, const int64_t at[3]) {
    const int axes = h->clip ? 3 : 2;
    const double filter = 0.70710678f; /* the published constant, in f32 */
    const double size = pow(filter, axes) / (h->clip ? 2 * sqrt(2) : 2); /* of a step */
    double value = 1;
    for (int step = 0; step < steps; ++step) {
        const int64_t bits = band >> (step * axes); /* one for each axis: its high filter */
        for (int axis = 0; axis < axes; ++axis) {
            /* The last letter is the lowest bit: width in clips, height in pictures. */
            const int bit = h->clip ? axis : 1 - axis;
            if (bits >> bit & 1 && at[axis] >> step & 1) value = -value;
        }
        value *= size;
    }
    return value;
}

static void fill(const tsr_haar *h, float *forward, float *backward) {
    const int64_t p = h->patch, bands = h->channels / 3;
    const int axes = h->clip ? 3 : 2;
    int steps = 0;
    while (1 << steps < h->patch)
        ++steps;
    const double back = pow(h->clip ? 8 : 4, steps); /* what a step takes away, and its inverse */
    for (int64_t band = 0; band < bands; ++band)
        for (int64_t pixel = 0; pixel < bands; ++pixel) {
            const int64_t at[3] = {pixel % p, pixel / p % p, axes == 3 ? pixel / p / p : 0};
            const double v = entry(h, steps, band, at);
            for (int64_t c = 0; c < 3; ++c) {
                const int64_t row = band * 3 + c; /* columns: frame, channel, y, x */
                const int64_t column = ((at[2] * 3 + c) * p + at[1]) * p + at[0];
                forward[row * h->channels + column] = (float)v;
                backward[column * h->channels + row] = (float)(v * back);
            }
        }
}

tsr_status tsr_haar_open(tsr_context *ctx, tsr_weights *weights, int patch, bool clip,
                         tsr_haar *h) {
    static const char *const names[2] = {"(wavelets)", "(wavelets back)"};
    *h = (tsr_haar){.patch = patch, .clip = clip};
    h->channels = (int64_t)3 * patch * patch * (clip ? patch : 1);
    const size_t n = (size_t)(h->channels * h->channels);
    h->own = tsr_alloc(ctx, 2 * n, sizeof *h->own, "wavelets");
    if (!h->own) return TSR_ERROR_MEMORY;
    fill(h, h->own, h->own + n);
    tsr_status status = TSR_OK;
    for (int i = 0; i < 2 && !status; ++i) {
        const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, h->own + (size_t)i * n, 2,
                                             (int64_t[]){h->channels, h->channels});
        status = tsr_weights_add(ctx, weights, names[i], &t);
        if (!status)
            status =
                tsr_weights_get(ctx, weights, names[i], 2, t.dim, i ? &h->backward : &h->forward);
    }
    return status;
}

void tsr_haar_drop(tsr_haar *h) {
    free(h->own);
    *h = (tsr_haar){0};
}

tsr_tensor *tsr_haar_split(tsr_run *r, const tsr_haar *h, const tsr_tensor *x) {
    const int64_t deep = h->clip ? h->patch : 1, frames = x->dim[0] / deep;
    const int64_t rows = x->dim[2] / h->patch, columns = x->dim[3] / h->patch;
    const int64_t planes[4] = {frames, deep * 3, x->dim[2], x->dim[3]};
    tsr_tensor *y = tsr_patchify(r, tsr_reshape(r, x, 4, planes), h->patch);
    y = tsr_linear(r, y, h->forward, NULL);
    return tsr_reshape(r, y, 4, (int64_t[]){frames, rows, columns, h->channels});
}

tsr_tensor *tsr_haar_join(tsr_run *r, const tsr_haar *h, const tsr_tensor *x) {
    const int64_t deep = h->clip ? h->patch : 1, frames = x->dim[0];
    const int64_t height = x->dim[1] * h->patch, width = x->dim[2] * h->patch;
    const int64_t flat[3] = {frames, x->dim[1] * x->dim[2], h->channels};
    tsr_tensor *y = tsr_linear(r, tsr_reshape(r, x, 3, flat), h->backward, NULL);
    y = tsr_unpatchify(r, y, (int)(deep * 3), height, width, h->patch);
    return tsr_reshape(r, y, 4, (int64_t[]){frames * deep, 3, height, width});
}
