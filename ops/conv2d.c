/* SPDX-License-Identifier: MIT */
/* conv2d.c: convolution of channels-last feature maps, as matrix products without im2col.
 *
 * On the cpu a worker copies a band of input rows with its zeros around (and doubled, when the
 * input is to be upsampled) into its own memory. There the kw * C inputs of one kernel row lie next
 * to each other for each output pixel, so a kernel row is one product whose rows of x overlap; kh
 * such products add up one after the other. Bands and column parts depend on the shape alone:
 * results are the same to the bit for every batch size and thread count. oneDNN does the same bands
 * where products go through it, and large maps under 3 x 3 kernels go through conv2d_winograd.c. */
#include <stdlib.h>

#include "../compute/activation.h"
#include "../compute/cpu/onednn.h"
#include "../compute/cpu/onednn_conv.h"
#include "conv2d.h"
#include "product_body.h"

enum { X, WEIGHT, BIAS, RESIDUAL, OPERANDS };
enum { KH, KW, STRIDE, TOP, LEFT, UPSAMPLE, ACT, EXACT }; /* p.i */

typedef tsr_conv_geometry geometry;

static geometry get_geometry(const tsr_call *call) {
    const int64_t *x = call->in[X]->dim, *y = call->out[0]->dim;
    const int32_t *p = call->p.i;
    return (geometry){.batch = x[0],
                      .h = x[1],
                      .w = x[2],
                      .c = x[3],
                      .n = y[3],
                      .kh = p[KH],
                      .kw = p[KW],
                      .oh = y[1],
                      .ow = y[2],
                      .stride = p[STRIDE],
                      .top = p[TOP],
                      .left = p[LEFT],
                      .up = p[UPSAMPLE]};
}

static void reference(const tsr_call *call) {
    geometry g = get_geometry(call);
    const float *x = call->in[X]->data, *w = call->in[WEIGHT]->data;
    const float *bias = call->in[BIAS] ? call->in[BIAS]->data : NULL;
    const float *residual = call->in[RESIDUAL] ? call->in[RESIDUAL]->data : NULL;
    float *y = call->out[0]->data;
    for (int64_t at = 0; at < g.batch * g.oh * g.ow * g.n; ++at) {
        int64_t o = at % g.n, ox = at / g.n % g.ow, oy = at / g.n / g.ow % g.oh;
        const float *image = x + at / g.n / g.ow / g.oh * g.h * g.w * g.c;
        float sum = 0;
        for (int64_t ky = 0; ky < g.kh; ++ky)
            for (int64_t kx = 0; kx < g.kw; ++kx) {
                int64_t iy = oy * g.stride + ky - g.top, ix = ox * g.stride + kx - g.left;
                if (iy < 0 || ix < 0 || iy >= g.h << g.up || ix >= g.w << g.up) continue;
                const float *pixel = image + ((iy >> g.up) * g.w + (ix >> g.up)) * g.c;
                for (int64_t c = 0; c < g.c; ++c)
                    sum += pixel[c] * w[((o * g.c + c) * g.kh + ky) * g.kw + kx];
            }
        sum = tsr_activate_exact(bias ? sum + bias[o] : sum, (tsr_activation)call->p.i[ACT]);
        y[at] = residual ? residual[at] + sum : sum;
    }
}

/* ---- packing ---------------------------------------------------------------------------- */

/* What hangs at tsr_weight.packed: one form for each kind of kernel that has met the weight. */
typedef struct packed {
    struct packed *next;
    const tsr_gemm_kernels *kernels; /* NULL: oneDNN's, one for each size of map */
    bool half;                       /* in bf16 */
    float *panels;                   /* depth kh * kw * C in the order (ky, kx, c) */
    int winograd;                    /* panels are conv2d_winograd.c's, for tiles of this edge */
    tsr_onednn_conv *onednn;
} packed;

static void packed_free(void *list) {
    for (packed *p = list, *next; p; p = next) {
        next = p->next;
        free(p->panels);
        tsr_onednn_conv_close(&p->onednn);
        free(p);
    }
}

typedef struct pack_job {
    const tsr_gemm_kernels *g;
    const float *w;
    bool half;
    float *panels, *rows; /* rows: one panel of reordered kernels for each worker */
    int64_t n, c, taps;
} pack_job;

static void pack_tile(void *arg, int64_t index, int worker) {
    const pack_job *j = arg;
    int64_t depth = j->taps * j->c, n0 = index * j->g->cols;
    int64_t n = j->n - n0 < j->g->cols ? j->n - n0 : j->g->cols;
    float *rows = j->rows + worker * depth * j->g->cols;
    for (int64_t o = 0; o < n; ++o) {
        const float *from = j->w + (n0 + o) * depth;
        float *to = rows + o * depth;
        for (int64_t c = 0; c < j->c; ++c)
            for (int64_t t = 0; t < j->taps; ++t)
                to[t * j->c + c] = from[c * j->taps + t];
    }
    (j->half ? j->g->pack_half : j->g->pack)(j->panels + n0 * depth / (j->half ? 2 : 1), rows,
                                             depth, n, 1, depth);
}

static tsr_status pack(tsr_device *device, packed *p, const geometry *s, const float *values) {
    tsr_context *ctx = tsr_device_context(device);
    pack_job job = {.g = p->kernels, .w = values, .half = p->half};
    job.n = s->n, job.c = s->c, job.taps = s->kh * s->kw;
    size_t depth = (size_t)(job.taps * job.c), cols = (size_t)p->kernels->cols;
    size_t bytes = tsr_gemm_panel_floats(job.g, (int64_t)depth, s->n) * (p->half ? 2 : 4);
    job.rows =
        tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * depth * cols * sizeof(float));
    if (!job.rows) return TSR_ERROR_MEMORY;
    p->panels = job.panels = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p->panels)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "conv2d: packed weight: wanted %zu bytes, got none",
                        bytes);
    tsr_parallel(ctx, tile_count(s->n, job.g->cols), pack_tile, &job);
    return TSR_OK;
}

/* The weight in the form `g` wants (transformed or not), or, when g is NULL, oneDNN for bands of
 * this shape; made at first use. */
static tsr_status packed_get(tsr_device *device, tsr_weight *w, const tsr_gemm_kernels *g,
                             bool half, int winograd, const geometry *s,
                             const tsr_onednn_conv_shape *band, packed **found) {
    tsr_context *ctx = tsr_device_context(device);
    if (w->packed && w->packed_free != packed_free)
        return tsr_fail(ctx, TSR_ERROR_STATE,
                        "conv2d: %s: wanted a weight of convolutions alone, got one of linear",
                        w->name ? w->name : "weight");
    tsr_onednn_conv *other = NULL; /* of another band: its packed weights may fit */
    for (packed *p = w->packed; p; p = p->next) {
        if (p->kernels != g || p->half != half || p->winograd != winograd) continue;
        *found = p;
        if (g || tsr_onednn_conv_same(p->onednn, band)) return TSR_OK;
        other = p->onednn;
    }
    const float *values;
    tsr_status status = tsr_weight_borrow(ctx, w, &values);
    packed *p = status ? NULL : tsr_alloc(ctx, 1, sizeof *p, "packed weight");
    if (!status && !p) status = TSR_ERROR_MEMORY;
    if (p) p->kernels = g, p->half = half, p->winograd = winograd;
    if (p && winograd)
        status = tsr_winograd_pack(device, g, winograd, s, values, &p->panels);
    else if (p && g)
        status = pack(device, p, s, values);
    if (p && !g) status = tsr_onednn_conv_open(ctx, &p->onednn, values, band, other);
    if (values) tsr_weight_return(w, values);
    if (status) {
        packed_free(p);
        return status;
    }
    p->next = w->packed;
    w->packed = *found = p;
    w->packed_free = packed_free;
    return TSR_OK;
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    geometry s;
    const tsr_gemm_kernels *g;
    const float *panels, *x;
    float *y, *bands; /* bands: one for each worker */
    tsr_gemm_epilogue epilogue;
    bool half;                     /* panels in bf16 */
    bool finish;                   /* there is an epilogue */
    int64_t band_rows, bands_down; /* output rows */
    int64_t band_width;            /* input columns, with zeros */
    size_t band_floats;
    int64_t part, parts, block; /* output channels: of a tile, and at a time inside it */
    tsr_onednn_conv *onednn;
    char *scratch; /* oneDNN: one piece for each worker, a band of y first */
    size_t scratch_bytes, last_bytes;
} job;

static void copy_band(const job *j, int64_t b, int64_t oy, int64_t rows, float *band) {
    const float *image = j->x + b * j->s.h * j->s.w * j->s.c;
    int64_t count = (rows - 1) * j->s.stride + j->s.kh;
    for (int64_t i = 0; i < count; ++i)
        copy_row(&j->s, image, oy * j->s.stride - j->s.top + i, -j->s.left, j->band_width,
                 band + i * j->band_width * j->s.c);
}

static void tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    const geometry *s = &j->s;
    int64_t end = index % j->parts * j->part, b = index / j->parts / j->bands_down;
    int64_t oy = index / j->parts % j->bands_down * j->band_rows;
    int64_t rows = s->oh - oy < j->band_rows ? s->oh - oy : j->band_rows;
    int64_t row0 = (b * s->oh + oy) * s->ow, k = s->kw * s->c;
    float *band = j->bands + (size_t)worker * j->band_floats, *y = j->y + row0 * s->n;
    int64_t from = end;
    end = s->n - from < j->part ? s->n : from + j->part;
    /* Under a kernel one pixel wide the rows of a band lie behind each other as those of y do: they
     * are one product. One pixel high, too, and the band is the picture itself. */
    const bool joined = s->kw == 1 && s->stride == 1;
    const bool plain =
        joined && s->kh == 1 && s->w == s->ow && s->h == s->oh && !s->left && !s->top;
    const int64_t calls = joined ? 1 : rows, together = joined ? rows * s->ow : s->ow;
    const float *in = plain ? j->x + (b * s->h + oy) * s->w * s->c : band;
    if (!plain) copy_band(j, b, oy, rows, band);
    for (int64_t n0 = from; n0 < end; n0 += j->block) {
        int64_t n1 = end - n0 < j->block ? end : n0 + j->block;
        for (int64_t ky = 0; ky < s->kh; ++ky) {
            tsr_gemm_panels panels = {j->panels + ky * k * j->g->cols / (j->half ? 2 : 1), k, s->n,
                                      s->kh * k, j->half};
            for (int64_t i = 0; i < calls; ++i)
                (ky ? j->g->accumulate : j->g->product)(
                    in + (i * s->stride + ky) * j->band_width * s->c, s->stride * s->c, together,
                    &panels, n0, n1, y + i * s->ow * s->n + n0, s->n);
        }
        if (j->finish) j->g->epilogue(&j->epilogue, y + n0, s->n, row0, rows * s->ow, n0, n1);
    }
}

/* oneDNN computes a whole band always, and of the last one what lies inside y is kept. */
static void onednn_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    const geometry *s = &j->s;
    int64_t b = index / j->bands_down, oy = index % j->bands_down * j->band_rows;
    int64_t rows = s->oh - oy < j->band_rows ? s->oh - oy : j->band_rows;
    int64_t row0 = (b * s->oh + oy) * s->ow;
    float *band = j->bands + (size_t)worker * j->band_floats, *y = j->y + row0 * s->n;
    char *scratch = j->scratch + (size_t)worker * j->scratch_bytes;
    float *out = rows < j->band_rows ? (float *)scratch : y;
    copy_band(j, b, oy, j->band_rows, band);
    tsr_onednn_conv_run(j->onednn, band, out, scratch + j->last_bytes);
    if (out != y) memcpy(y, out, (size_t)(rows * s->ow * s->n) * sizeof *y);
    if (j->finish) j->g->epilogue(&j->epilogue, y, s->n, row0, rows * s->ow, 0, s->n);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_context *ctx = tsr_device_context(device);
    geometry s = get_geometry(call);
    job j = {.s = s,
             .g = tsr_gemm_select(device),
             .x = call->in[X]->data,
             .y = call->out[0]->data,
             .band_width = (s.ow - 1) * s.stride + s.kw};
    j.epilogue = (tsr_gemm_epilogue){
        .bias = call->in[BIAS] ? call->in[BIAS]->data : NULL,
        .act = (tsr_activation)call->p.i[ACT],
        .residual = call->in[RESIDUAL] ? call->in[RESIDUAL]->data : NULL,
        .residual_stride = s.n,
    };
    j.finish = call->in[BIAS] || call->in[RESIDUAL] || call->p.i[ACT] != TSR_ACT_NONE;
    packed *p = NULL;
    const tsr_cpu_products products =
        call->p.i[EXACT] ? TSR_PRODUCTS_F32 : tsr_device_products(device);
    j.half = products != TSR_PRODUCTS_F32;
    /* It saves more than bf16 products gain, but for those of matrix units. */
    bool allowed = (products != TSR_PRODUCTS_BF16 || !tsr_device_bf16_matrix(device)) &&
                   !tsr_device_masked(device, "winograd");
    int edge = allowed ? tsr_winograd_fits(&s) : 0; /* its transformed weights stay f32 */
    if (edge) {
        tsr_status status = packed_get(device, call->weight, j.g, false, edge, &s, NULL, &p);
        return status ? status
                      : tsr_winograd_run(device, j.g, edge, &s, p->panels, j.x, j.y,
                                         j.finish ? &j.epilogue : NULL);
    }
    /* Enough pixels in a band that the weights are not read too often. */
    j.band_rows = s.ow >= 32 ? 4 : tile_count(128, s.ow);
    if (j.band_rows > s.oh) j.band_rows = s.oh;
    j.bands_down = tile_count(s.oh, j.band_rows);
    j.band_floats =
        (size_t)(((j.band_rows - 1) * s.stride + s.kh) * j.band_width * s.c + 15) / 16 * 16;
    j.bands =
        tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.band_floats * sizeof(float));
    if (!j.bands) return TSR_ERROR_MEMORY;
    bool onednn = j.half ? products == TSR_PRODUCTS_BF16 : tsr_device_onednn_conv(device);
    tsr_onednn_conv_shape band = {.h = (j.band_rows - 1) * s.stride + s.kh,
                                  .w = j.band_width,
                                  .c = s.c,
                                  .n = s.n,
                                  .kh = s.kh,
                                  .kw = s.kw,
                                  .stride = s.stride,
                                  .oh = j.band_rows,
                                  .ow = s.ow,
                                  .threads = 1,
                                  .bf16 = j.half};
    tsr_status status =
        packed_get(device, call->weight, onednn ? NULL : j.g, j.half, 0, &s, &band, &p);
    if (status) return status;
    if (j.half) tsr_device_use_fast(device);
    if (onednn) {
        j.onednn = p->onednn;
        j.last_bytes = (size_t)(j.band_rows * s.ow * s.n + 15) / 16 * 16 * sizeof(float);
        j.scratch_bytes = j.last_bytes + tsr_onednn_conv_scratch_bytes(p->onednn);
        j.scratch = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.scratch_bytes);
        if (!j.scratch) return TSR_ERROR_MEMORY;
        tsr_parallel(ctx, s.batch * j.bands_down, onednn_tile, &j);
        return tsr_onednn_conv_status(ctx, p->onednn);
    }
    j.panels = p->panels;
    /* Parts give every core work; a block's kernel row stays in the second-level cache. */
    j.part = tile_count(128, j.g->cols) * j.g->cols;
    j.parts = tile_count(s.n, j.part);
    j.block = (32 << 10) / (s.kw * s.c) / j.g->cols * j.g->cols;
    if (j.block < j.g->cols) j.block = j.g->cols;
    tsr_parallel(ctx, s.batch * j.bands_down * j.parts, tile, &j);
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

typedef struct tiling { /* constants of the shader */
    uint32_t tm, tn, bm, bn;
} tiling;

/* Pixels of a subgroup's tile; of a piece with statistics in shared memory, which divides the rows
 * of all tiles, and the most bytes that they take there. */
enum { SUBGROUP_ROWS = 16, STAT_ROWS = 64, STAT_BYTES = 128 / 8 * 128 / 4 * 8 };

/* From one picture's shape: a batch of any size has to give the same bits. */
static tiling choose_tiling(const geometry *s, const tsr_gpu_caps *caps, bool shared) {
    if (!shared) return (tiling){SUBGROUP_ROWS, caps->software ? 2 : 1, 0, 0};
    if (caps->software) return (tiling){4, 1, 64, 64};
    if (s->n <= 16) return (tiling){4, 1, 256, 16};
    if (s->n >= 128 && s->oh * s->ow * s->n >= 64 * 128 * 128) return (tiling){8, 2, 128, 128};
    return (tiling){8, 1, 64, 64};
}

enum { BK = 16, SHARED_THREADS = 256, SHARED_BYTES = BK * (256 + 4 + 16) * 4 };

static product_body choose(const tsr_call *call, const geometry *s, const tsr_gpu_caps *caps) {
    static const product_variants variants = {.sg = {"conv2d_sg", "conv2d_half_sg"},
                                              .sg64 = {"conv2d_sg64", "conv2d_half_sg64"},
                                              .sm = {"conv2d_sm", "conv2d_half_sm"},
                                              .coopmat = "conv2d_coopmat",
                                              .pairs = "conv2d_coopmat_pairs",
                                              .threads = SHARED_THREADS,
                                              .shared_bytes = SHARED_BYTES};
    tsr_gpu_caps own = *caps;
    if (call->p.i[EXACT]) own.fp16 = false;
    return product_choose(&own, &variants, s->n, true);
}

/* Pixels of whole 16-byte words. */
static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    const geometry s = get_geometry(call);
    if (!choose(call, &s, caps).half) return 0;
    return (s.c % 8 == 0 ? 1u << X : 0) | (s.n % 8 == 0 ? 1u << TSR_CALL_TENSORS : 0);
}

/* Matrices of a workgroup take a call with x in f16, stride 1 and 16-byte words of results. Fills
 * the dispatch. */
static bool workgroup_gpu(const tsr_call *call, const tsr_gpu_caps *caps, const geometry *s,
                          tsr_gpu_dispatch *d) {
    const bool rival = caps->subgroup_ops && caps->allowed(caps->device, "conv2d_half_sg");
    workgroup_tile t;
    if (call->in[X]->dtype != TSR_DTYPE_F16 || s->stride != 1 || s->up || s->n % 8 ||
        !workgroup_tile_choose(caps, "conv2d_coopmat2", s->oh * s->ow, s->n, rival, &t))
        return false;
    const int64_t width = 8, height = t.rows / width; /* of a patch of y */
    const int64_t across = tile_count(s->ow, width), down = tile_count(s->oh, height);
    const int64_t patches = s->batch * across * down, columns = tile_count(s->n, t.cols);
    if (columns > GROUP_LIMIT || patches > INT32_MAX) return false;
    const uint32_t parts = (call->in[BIAS] ? 1u : 0u) | (call->in[RESIDUAL] ? 2u : 0u) |
                           (call->out[0]->dtype == TSR_DTYPE_F16 ? 16u : 0u) |
                           (s->c % t.depth ? 0u : 64u) | (uint32_t)call->statistics.rows << 8;
    *d = (tsr_gpu_dispatch){
        .variant = "conv2d_coopmat2",
        .spec = {t.threads, t.rows, t.cols, t.depth, (uint32_t)width, (uint32_t)call->p.i[ACT],
                 parts},
        .spec_count = 7,
        .groups = {(uint32_t)columns, (uint32_t)(patches < GROUP_LIMIT ? patches : GROUP_LIMIT), 1},
        .cut = {.rows = 1, .axis = 1}};
    const uint32_t push[] = {(uint32_t)patches, (uint32_t)across, (uint32_t)down,  (uint32_t)s->n,
                             (uint32_t)s->c,    (uint32_t)s->h,   (uint32_t)s->w,  (uint32_t)s->oh,
                             (uint32_t)s->ow,   (uint32_t)s->kh,  (uint32_t)s->kw, (uint32_t)s->top,
                             (uint32_t)s->left};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN + X);
    dispatch_bind(d, TSR_BIND_HALF_ROWS);
    dispatch_bind(d, BIND_IN + (call->in[BIAS] ? BIAS : X)); /* an absent one is never read */
    dispatch_bind(d, BIND_IN + (call->in[RESIDUAL] ? RESIDUAL : X));
    dispatch_bind(d, BIND_OUT);
    dispatch_bind(d, call->statistics.rows ? BIND_OUT + 1 : BIND_IN + X); /* nor written */
    return true;
}

/* Pieces of a picture's pixels that lie in every tile whole. */
static tsr_statistics gives_statistics(const tsr_call *call, const tsr_gpu_caps *caps) {
    const geometry s = get_geometry(call);
    tsr_gpu_dispatch d;
    if (workgroup_gpu(call, caps, &s, &d)) /* 8 x 2 places of a patch */
        return s.ow % 8 || s.oh % 2 ? (tsr_statistics){0} : (tsr_statistics){16, 4};
    const product_body body = choose(call, &s, caps);
    uint32_t rows = SUBGROUP_ROWS;
    if (body.coopmat) rows = matrix_piece_rows(caps, body.pairs);
    if (body.sm) rows = caps->max_shared_bytes < SHARED_BYTES + STAT_BYTES ? 0 : STAT_ROWS;
    if (!body.variant || s.n % 4 || !rows || s.oh * s.ow % rows) return (tsr_statistics){0};
    return (tsr_statistics){(int32_t)rows, 4};
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    enum { DEPTH = 32 }; /* the most that a tile takes at a time */
    geometry s = get_geometry(call);
    int64_t pixels = s.batch * s.oh * s.ow, columns = tile_count(s.n, 4) * 4;
    if (s.kh * s.kw * tile_count(s.c, DEPTH) * DEPTH > 40000 ||
        s.kh * s.kw * s.c * columns > INT32_MAX)
        return 0;
    if (workgroup_gpu(call, caps, &s, d)) return 1;
    const product_body body = choose(call, &s, caps);
    if (!body.variant) return 0;
    const bool sm = body.sm, coopmat = body.coopmat;
    tiling t = choose_tiling(&s, caps, sm);
    uint32_t size = caps->subgroup_size;
    uint32_t waves = caps->software || 4 * size > caps->max_workgroup ? 1 : 4;
    uint32_t parts = (call->in[BIAS] ? 1u : 0u) | (call->in[RESIDUAL] ? 2u : 0u) |
                     (call->in[X]->dtype == TSR_DTYPE_F16 ? 8u : 0u) |
                     (call->out[0]->dtype == TSR_DTYPE_F16 ? 16u : 0u) | (s.n % 4 ? 0u : 32u) |
                     (uint32_t)call->statistics.rows << 8;
    *d = (tsr_gpu_dispatch){.variant = body.variant, .full_subgroups = !sm};
    if (sm && s.c % BK == 0) parts |= 64;
    uint32_t spec[] = {sm ? t.bm / t.tm * (t.bn / (4 * t.tn)) : size * waves,
                       sm ? 1 : size,
                       t.tm,
                       t.tn,
                       s.c % 4 == 0,
                       (uint32_t)call->p.i[ACT],
                       parts,
                       caps->software,
                       t.bm,
                       t.bn,
                       BK};
    d->spec_count = sm ? 11 : 8;
    memcpy(d->spec, spec, (size_t)d->spec_count * sizeof *spec);
    if (coopmat) {
        matrix_tile tile;
        if (!(body.pairs ? pairs_tile_choose(caps, pixels, s.n, &tile)
                         : matrix_tile_choose(caps, pixels, s.n, s.c, &tile)))
            return 0;
        matrix_tile_specs(&tile, caps, d);
        if (s.c % tile.depth == 0) d->spec[6] |= 64;
        t.bm = tile.rows;
        t.bn = tile.cols;
    }
    uint32_t push[] = {(uint32_t)pixels, (uint32_t)s.n,  (uint32_t)columns,  (uint32_t)s.c,
                       (uint32_t)s.h,    (uint32_t)s.w,  (uint32_t)s.oh,     (uint32_t)s.ow,
                       (uint32_t)s.kh,   (uint32_t)s.kw, (uint32_t)s.stride, (uint32_t)s.top,
                       (uint32_t)s.left, (uint32_t)s.up};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN + X);
    dispatch_bind(d, body.pairs  ? TSR_BIND_PAIRS
                     : coopmat   ? TSR_BIND_HALF_ROWS
                     : body.half ? TSR_BIND_HALF
                                 : BIND_IN + WEIGHT);
    dispatch_bind(d, BIND_IN + (call->in[BIAS] ? BIAS : X)); /* an absent one is never read */
    dispatch_bind(d, BIND_IN + (call->in[RESIDUAL] ? RESIDUAL : X));
    dispatch_bind(d, BIND_OUT);
    dispatch_bind(d, call->statistics.rows ? BIND_OUT + 1 : BIND_IN + X); /* nor written */
    int64_t across = tile_count(s.n, sm || coopmat ? t.bn : size * t.tn * 4);
    d->cut.axis = 1;
    d->cut.rows = sm || coopmat ? t.bm : t.tm * waves;
    int64_t down = tile_count(pixels, d->cut.rows);
    d->groups[0] = (uint32_t)across;
    d->groups[1] = (uint32_t)(down < GROUP_LIMIT ? down : GROUP_LIMIT); /* pixels stride on */
    d->groups[2] = 1;
    return across > GROUP_LIMIT ? 0 : 1;
}

static double work(const tsr_call *call) {
    const geometry s = get_geometry(call);
    return (double)tsr_elements(call->out[0]) * (double)(s.kh * s.kw * s.c);
}

static const tsr_op op_conv2d = {.name = "conv2d",
                                 .reference = reference,
                                 .cpu = cpu,
                                 .gpu = gpu,
                                 .halves = halves,
                                 .gives_statistics = gives_statistics,
                                 .work = work};

/* ---- the public function ---------------------------------------------------------------- */

static bool want_number(tsr_run *r, const char *name, const char *what, int64_t got, int64_t least,
                        int64_t most) {
    if (got >= least && got <= most) return true;
    tsr_run_fail(r, TSR_ERROR_ARGUMENT, "conv2d: %s: %s: wanted %lld to %lld, got %lld", name, what,
                 (long long)least, (long long)most, (long long)got);
    return false;
}

tsr_tensor *tsr_conv2d(tsr_run *r, const tsr_tensor *x, tsr_weight *w, const tsr_conv_spec *spec) {
    static const tsr_conv_spec plain = {0};
    if (!spec) spec = &plain;
    if (!want_tensor(r, "conv2d: x", x, TSR_DTYPE_F32, 4)) return tsr_run_failed(r);
    if (!w) return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "conv2d: weight: wanted one, got NULL");
    const char *name = w->name ? w->name : "weight";
    const int64_t *k = w->tensor.dim;
    char want[96], got[96];
    if (w->tensor.rank != 4 || k[1] != x->dim[3])
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "conv2d: %s: wanted [N, %lld, kh, kw], got %s",
                            name, (long long)x->dim[3],
                            tsr_shape_text(&w->tensor, got, sizeof got));
    int64_t stride = spec->stride ? spec->stride : 1;
    if (!want_number(r, name, "kernel height", k[2], 1, TSR_CONV_MAX_KERNEL) ||
        !want_number(r, name, "kernel width", k[3], 1, TSR_CONV_MAX_KERNEL) ||
        !want_number(r, name, "stride", stride, 1, TSR_CONV_MAX_KERNEL) ||
        !want_number(r, name, "padding above", spec->top, 0, k[2] - 1) ||
        !want_number(r, name, "padding below", spec->bottom, 0, k[2] - 1) ||
        !want_number(r, name, "padding on the left", spec->left, 0, k[3] - 1) ||
        !want_number(r, name, "padding on the right", spec->right, 0, k[3] - 1) ||
        !want_number(r, name, "activation", spec->act, TSR_ACT_NONE, TSR_ACT_QUICK_GELU))
        return tsr_run_failed(r);
    int64_t h = (x->dim[1] << spec->upsample) + spec->top + spec->bottom;
    int64_t width = (x->dim[2] << spec->upsample) + spec->left + spec->right;
    if (h < k[2] || width < k[3])
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "conv2d: %s: x: wanted at least %lld x %lld pixels with padding, got "
                            "%lld x %lld",
                            name, (long long)k[2], (long long)k[3], (long long)h, (long long)width);
    if (spec->bias && (spec->bias->tensor.rank != 1 || spec->bias->tensor.dim[0] != k[0]))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "conv2d: %s: bias: wanted [%lld], got %s", name,
                            (long long)k[0], tsr_shape_text(&spec->bias->tensor, got, sizeof got));
    tsr_tensor shape = tsr_host_tensor(
        TSR_DTYPE_F32, NULL, 4,
        (int64_t[]){x->dim[0], (h - k[2]) / stride + 1, (width - k[3]) / stride + 1, k[0]});
    if (!want_size(r, "conv2d", 4, shape.dim)) return tsr_run_failed(r);
    if (spec->residual) {
        if (!want_tensor(r, "conv2d: residual", spec->residual, TSR_DTYPE_F32, 4))
            return tsr_run_failed(r);
        if (memcmp(spec->residual->dim, shape.dim, sizeof shape.dim))
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "conv2d: %s: residual: wanted %s, got %s",
                                name, tsr_shape_text(&shape, want, sizeof want),
                                tsr_shape_text(spec->residual, got, sizeof got));
    }
    if (k[2] == 1 && k[3] == 1 && stride == 1 && !spec->upsample)
        return tsr_linear(r, x, w,
                          &(tsr_epilogue){.bias = spec->bias,
                                          .act = spec->act,
                                          .residual = spec->residual,
                                          .exact = spec->exact});
    tsr_call call = {.op = &op_conv2d,
                     .in = {x, tsr_run_kernel(r, w),
                            spec->bias ? tsr_from_weight(r, spec->bias) : NULL, spec->residual},
                     .in_count = OPERANDS,
                     .out_count = 1,
                     .weight = w};
    call.p.i[KH] = (int32_t)k[2];
    call.p.i[KW] = (int32_t)k[3];
    call.p.i[STRIDE] = (int32_t)stride;
    call.p.i[TOP] = spec->top;
    call.p.i[LEFT] = spec->left;
    call.p.i[UPSAMPLE] = spec->upsample;
    call.p.i[ACT] = spec->act;
    call.p.i[EXACT] = spec->exact;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 4, shape.dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
