/* SPDX-License-Identifier: MIT */
/* conv2d.h: what the forms of the cpu's convolution share: the numbers of a call and the window of
 * the input a worker copies. */
#ifndef OPS_CONV2D_H
#define OPS_CONV2D_H

#include "../compute/cpu/gemm.h"
#include "rowwise.h"

/* Sizes of one convolution: x [batch, h, w, c], kernel [n, c, kh, kw], y [batch, oh, ow, n]. */
typedef struct tsr_conv_geometry {
    int64_t batch, h, w, c; /* of x as it is stored */
    int64_t n, kh, kw, oh, ow;
    int64_t stride, top, left; /* top, left: rows and columns of zeros before x */
    int up;                    /* log2 of the upsampling */
} tsr_conv_geometry;

/* Copies columns col .. col + width - 1 of row `row` of one picture to `to` [width, c]. Rows and
 * columns count in the upsampled input; outside of it there are zeros. */
static inline void copy_row(const tsr_conv_geometry *s, const float *image, int64_t row,
                            int64_t col, int64_t width, float *to) {
    int64_t c = s->c, before = col < 0 ? -col : 0, end = (s->w << s->up) - col;
    if (before > width) before = width;
    if (end > width) end = width;
    bool inside = row >= 0 && row < s->h << s->up && end > before;
    if (!inside) end = before = 0;
    const float *from = inside ? image + (row >> s->up) * s->w * c : image;
    memset(to, 0, (size_t)(before * c) * sizeof *to);
    if (s->up) {
        for (int64_t i = before; i < end; ++i)
            memcpy(to + i * c, from + ((col + i) >> 1) * c, (size_t)c * sizeof *to);
    } else if (end > before) {
        memcpy(to + before * c, from + (col + before) * c,
               (size_t)((end - before) * c) * sizeof *to);
    }
    memset(to + end * c, 0, (size_t)((width - end) * c) * sizeof *to);
}

/* ---- conv2d_winograd.c ---- */

/* Edge of the output tiles that suit a convolution, 2 or 4, or 0 when Winograd's form does not
 * serve it. It serves 3 x 3 kernels with stride 1 on maps that are large enough to gain. */
int tsr_winograd_fits(const tsr_conv_geometry *s);
/* Transforms kernel [n, c, 3, 3] for tsr_winograd_run into *panels, which the caller frees with
 * free(). Errors: MEMORY. */
tsr_status tsr_winograd_pack(tsr_device *device, const tsr_gemm_kernels *g, int edge,
                             const tsr_conv_geometry *s, const float *kernel, float **panels);
/* Convolves x into y by Winograd's minimal filtering (Lavin and Gray 2016). `edge` is that of
 * tsr_winograd_fits; epilogue may be NULL. Errors: MEMORY. */
tsr_status tsr_winograd_run(tsr_device *device, const tsr_gemm_kernels *g, int edge,
                            const tsr_conv_geometry *s, const float *panels, const float *x,
                            float *y, const tsr_gemm_epilogue *epilogue);

#endif
