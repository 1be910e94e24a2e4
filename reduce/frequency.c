/* SPDX-License-Identifier: MIT */
/* frequency.c: a grid of tokens cut down to its low frequencies.
 *
 * Both methods compute the same. Matrices: Y = B_H X B_W^T with B_H = C_h^T C_H[0:h], [h, H], where
 * C_n is the orthonormal DCT-II of length n; two products on any device. FFTW: the transforms
 * themselves, on the cpu, in builds that have the library. */
#include "frequency.h"
#include "../compute/threads.h"
#include "../ops/ops.h"
#include "recorded.h"

#include <math.h>
#include <string.h>

#if TESSERA_WITH_FFTW
#include <fftw3.h>
#endif

/* A grid of frames [from[0], from[1]] of channels, cut down to [to[0], to[1]]. */
typedef struct cut {
    int64_t frames, from[2], to[2], channels;
    double gain; /* what the orthonormal result is multiplied with */
} cut;

/* ---- two matrices ---- */

/* Row k of the orthonormal DCT-II of length n, at place i. */
static double cosine(int64_t n, int64_t k, int64_t i) {
    const double scale = sqrt((k ? 2.0 : 1.0) / (double)n);
    return scale * cos(M_PI * (double)((2 * i + 1) * k % (4 * n)) / (double)(2 * n));
}

/* b [to, from] = gain * C_to^T C_from[0:to], float64 inside. */
static void low_pass(int64_t to, int64_t from, double gain, const double *small,
                     const double *large, float *b) {
    for (int64_t i = 0; i < to; ++i)
        for (int64_t j = 0; j < from; ++j) {
            double sum = 0;
            for (int64_t k = 0; k < to; ++k)
                sum += small[k * to + i] * large[k * from + j];
            b[i * from + j] = (float)(gain * sum);
        }
}

float *tsr_low_pass_matrix(tsr_operation *o, int64_t to, int64_t from, double gain) {
    float *b = tsr_operation_take(o, to * from, sizeof *b, "matrix");
    double *small = tsr_operation_take(o, to * to, sizeof *small, "cosines");
    double *large = tsr_operation_take(o, to * from, sizeof *large, "cosines");
    if (o->status) return NULL;
    for (int64_t k = 0; k < to; ++k) {
        for (int64_t i = 0; i < to; ++i)
            small[k * to + i] = cosine(to, k, i);
        for (int64_t i = 0; i < from; ++i)
            large[k * from + i] = cosine(from, k, i);
    }
    low_pass(to, from, gain, small, large, b);
    return b;
}

/* in [H, W, D] -> [h, w, D]. */
static void two_products(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    tsr_weights *weights = (tsr_weights *)model;
    tsr_weight *rows = tsr_weights_find(weights, "rows");       /* [h, H] */
    tsr_weight *columns = tsr_weights_find(weights, "columns"); /* [w, W] */
    const tsr_epilogue exact = {.exact = true};
    const int64_t *dim = in[0]->dim;
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *x = tsr_reshape(r, in[0], 2, (int64_t[]){dim[0], dim[1] * dim[2]});
    x = tsr_transpose(r, x);                            /* [W D, H] */
    x = tsr_linear(r, x, rows, &exact);                 /* [W D, h] */
    x = tsr_scope_close(r, scope, tsr_transpose(r, x)); /* [h, W D] */
    x = tsr_reshape(r, x, 3, (int64_t[]){x->dim[0], dim[1], dim[2]});
    x = tsr_transpose(r, x);               /* [h, D, W] */
    x = tsr_linear(r, x, columns, &exact); /* [h, D, w] */
    out[0] = tsr_transpose(r, x);          /* [h, w, D] */
}

static void by_matrices(tsr_operation *o, const cut *c, float *y) {
    const float *rows = tsr_low_pass_matrix(o, c->to[0], c->from[0], c->gain);
    const float *columns = tsr_low_pass_matrix(o, c->to[1], c->from[1], 1);
    tsr_weights *weights = NULL;
    tsr_device *device = tsr_operation_device(o);
    const int64_t frame = c->from[0] * c->from[1] * c->channels,
                  small = c->to[0] * c->to[1] * c->channels;
    const tsr_tensor a =
        tsr_host_tensor(TSR_DTYPE_F32, (void *)rows, 2, (int64_t[]){c->to[0], c->from[0]});
    const tsr_tensor b =
        tsr_host_tensor(TSR_DTYPE_F32, (void *)columns, 2, (int64_t[]){c->to[1], c->from[1]});
    if (!o->status) o->status = tsr_weights_open(o->ctx, &weights);
    if (!o->status) o->status = tsr_weights_add(o->ctx, weights, "rows", &a);
    if (!o->status) o->status = tsr_weights_add(o->ctx, weights, "columns", &b);
    for (int64_t t = 0; t < c->frames && !o->status; ++t) {
        const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)(o->in->features + t * frame),
                                              3, (int64_t[]){c->from[0], c->from[1], c->channels});
        tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y + t * small, 3,
                                         (int64_t[]){c->to[0], c->to[1], c->channels});
        const tsr_program program = {.fn = two_products, .model = weights, .name = "dct-lowpass"};
        o->status = tsr_execute(device, &program, &in, 1, &out, 1);
    }
    if (weights) tsr_device_forget(device, weights);
    tsr_weights_close(&weights);
}

/* ---- FFTW ---- */

#if TESSERA_WITH_FFTW

enum { CHUNK = 16 /* channels that are transformed at once */ };

typedef struct transforms {
    const cut *c;
    const float *x;
    float *y;
    float *large, *small; /* of each worker: [CHUNK, H, W] and [CHUNK, h, w] */
    fftwf_plan forward, back;
    int64_t chunks; /* of a frame */
} transforms;

static void transform_chunk(void *arg, int64_t tile, int worker) {
    const transforms *f = arg;
    const cut *c = f->c;
    const int64_t frame = tile / f->chunks, first = tile % f->chunks * CHUNK,
                  n = c->channels - first < CHUNK ? c->channels - first : CHUNK, H = c->from[0],
                  W = c->from[1], h = c->to[0], w = c->to[1];
    float *large = f->large + worker * CHUNK * H * W, *small = f->small + worker * CHUNK * h * w;
    const float *x = f->x + frame * H * W * c->channels + first;
    float *y = f->y + frame * h * w * c->channels + first;
    for (int64_t i = 0; i < H * W; ++i)
        for (int64_t j = 0; j < n; ++j)
            large[j * H * W + i] = x[i * c->channels + j];
    fftwf_execute_r2r(f->forward, large, large);
    /* FFTW's transforms have no factors: forward gives 4 sum x cos cos; back sums twice each
     * coefficient but the first. */
    const double scale = c->gain / (4 * sqrt((double)(H * W) * (double)(h * w)));
    for (int64_t j = 0; j < n; ++j)
        for (int64_t a = 0; a < h; ++a)
            for (int64_t b = 0; b < w; ++b)
                small[(j * h + a) * w + b] = (float)(scale * (double)large[(j * H + a) * W + b]);
    fftwf_execute_r2r(f->back, small, small);
    for (int64_t i = 0; i < h * w; ++i)
        for (int64_t j = 0; j < n; ++j)
            y[i * c->channels + j] = small[j * h * w + i];
}

static fftwf_plan plan(const int64_t size[2], float *data, fftwf_r2r_kind kind) {
    const int n[2] = {(int)size[0], (int)size[1]};
    return fftwf_plan_many_r2r(2, n, CHUNK, data, NULL, 1, n[0] * n[1], data, NULL, 1, n[0] * n[1],
                               (const fftwf_r2r_kind[]){kind, kind}, FFTW_ESTIMATE);
}

static void by_fftw(tsr_operation *o, const cut *c, float *y) {
    const int64_t workers = tsr_thread_count(o->ctx);
    transforms f = {.c = c,
                    .x = o->in->features,
                    .y = y,
                    .large = tsr_operation_take(o, workers * CHUNK * c->from[0] * c->from[1],
                                                sizeof(float), "channels"),
                    .small = tsr_operation_take(o, workers * CHUNK * c->to[0] * c->to[1],
                                                sizeof(float), "channels"),
                    .chunks = (c->channels + CHUNK - 1) / CHUNK};
    if (o->status) return;
    fftwf_make_planner_thread_safe(); /* other threads, and other users of FFTW, may be planning */
    f.forward = plan(c->from, f.large, FFTW_REDFT10);
    f.back = plan(c->to, f.small, FFTW_REDFT01);
    if (f.forward && f.back)
        tsr_parallel(o->ctx, c->frames * f.chunks, transform_chunk, &f);
    else
        tsr_operation_fail(o, TSR_ERROR_MEMORY, "wanted plans of FFTW, got none");
    if (f.forward) fftwf_destroy_plan(f.forward);
    if (f.back) fftwf_destroy_plan(f.back);
}

#else

static void by_fftw(tsr_operation *o, const cut *c, float *y) {
    (void)c;
    (void)y;
    tsr_operation_fail(o, TSR_ERROR_UNSUPPORTED,
                       "method: wanted a build with FFTW (TESSERA_FFTW), got one without");
}

#endif

/* ---- the operator ---- */

static bool wants_fftw(tsr_operation *o) {
    /* The chain's device is open already unless it is the cpu. */
    const bool cpu = !*o->device || tsr_device_properties(*o->device)->kind == TSR_DEVICE_CPU;
    if (tsr_operation_is(o, "method", "fftw")) return true;
#if TESSERA_WITH_FFTW
    return cpu && tsr_operation_is(o, "method", "auto");
#else
    (void)cpu;
    return false;
#endif
}

/* First and last old place of each new one: every token stands for its share of the grid. */
static void share_map(const cut *c, int32_t *map) {
    for (int64_t t = 0; t < c->frames; ++t)
        for (int64_t i = 0; i < c->from[0]; ++i)
            for (int64_t j = 0; j < c->from[1]; ++j)
                map[(t * c->from[0] + i) * c->from[1] + j] =
                    (int32_t)((t * c->to[0] + i * c->to[0] / c->from[0]) * c->to[1] +
                              j * c->to[1] / c->from[1]);
}

static void dct_lowpass(tsr_operation *o) {
    static const char *const sides[] = {"rows", "columns"};
    const int64_t *grid = tsr_operation_grid(o);
    int count = 0;
    const double *size = tsr_operation_list(o, "size", &count);
    if (!o->status && count != 2)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "size: wanted rows+columns, got %d numbers",
                           count);
    for (int i = 0; i < 2 && !o->status; ++i)
        if (size[i] != floor(size[i]) || size[i] > (double)grid[i + 1])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "size: wanted 1..%lld %s, got %g",
                               (long long)grid[i + 1], sides[i], size[i]);
    if (o->status) return;
    cut c = {.frames = grid[0],
             .from = {grid[1], grid[2]},
             .to = {(int64_t)size[0], (int64_t)size[1]},
             .channels = o->in->channels,
             .gain = 1};
    if (tsr_operation_is(o, "gain", "preserve"))
        c.gain = sqrt((double)(c.to[0] * c.to[1]) / (double)(c.from[0] * c.from[1]));
    const int64_t rows = c.frames * c.to[0] * c.to[1];
    float *y = tsr_operation_take(o, rows * c.channels, sizeof *y, "features");
    int32_t *map = tsr_operation_take(o, o->in->count, sizeof *map, "map");
    if (o->status) return;
    if (wants_fftw(o))
        by_fftw(o, &c, y);
    else
        by_matrices(o, &c, y);
    share_map(&c, map);
    tsr_operation_replace(o, map, rows, c.channels, y, (int64_t[]){c.frames, c.to[0], c.to[1]});
}

const tsr_operator tsr_operator_dct_lowpass = {
    .info = {.name = "dct-lowpass",
             .kind = TSR_OPERATOR_POOL,
             .about = "keeps the low frequencies of each frame and goes back at the smaller size",
             .formula =
                 "each channel: orthonormal DCT-II of rows x columns, its first h x w "
                 "coefficients, orthonormal inverse at h x w; the same as B_rows X B_columns^T. "
                 "gain=preserve multiplies with sqrt(h w / (rows columns)), so that constants "
                 "survive",
             .source = "Fourier-VLM (whyisverysmart/Fourier-Compressor @ 45ab404)",
             .differs =
                 "orthonormal alone, gain=ortho, which multiplies a constant by "
                 "sqrt(rows columns / (h w)), 2 from 24 x 24 to 12 x 12; and half precision in and "
                 "out, which is not done here",
             .cost = "D (H W h + h W w) multiply-adds with matrices, D H W log(H W) with FFTW",
             .columns = NULL},
    .parameters = {{"size", TSR_PARAMETER_LIST, NULL, 1, 1 << 24, NULL,
                    "rows+columns to come out with"},
                   {"gain", TSR_PARAMETER_CHOICE, "preserve", 0, 0, "preserve|ortho",
                    "preserve: constants stay; ortho: as published"},
                   {"method", TSR_PARAMETER_CHOICE, "auto", 0, 0, "auto|matrices|fftw",
                    "auto: FFTW on the cpu where the build has it, else two matrices"}},
    .apply = dct_lowpass,
    .record = tsr_record_dct_lowpass,
};
