/* SPDX-License-Identifier: MIT */
/* resize.c: Pillow's antialiased resampling of 8-bit pictures, to the bit: weights in double on the
 * host, normalised, rounded to 22-bit fixed point; horizontal pass, then vertical, each rounded and
 * clipped to 8 bits; a pass whose size does not change is left out. All that the devices do is
 * integer, so they agree exactly.
 *
 * Table of a pass (32-bit words): for each output position where its window starts and how long it
 * is, two words; then, `taps` words for each position, the weights. */
#include <math.h>
#include <stdlib.h>

#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { PRECISION = 22 };
enum { P_HORIZONTAL, P_VERTICAL, P_VERTICAL_TABLE, P_TAPS }; /* P_TAPS and the next: of each pass */
enum { OUT_PICTURE, OUT_BETWEEN };

static double weigh_bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}
static double weigh_bicubic(double x) { /* Keys, a = -1/2 */
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
static double sinc(double x) {
    if (x == 0) return 1;
    x *= M_PI;
    return sin(x) / x;
}
static double weigh_lanczos(double x) {
    return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*weigh)(double x);
    double support;
} filters[] = {{weigh_bilinear, 1}, {weigh_bicubic, 2}, {weigh_lanczos, 3}};

/* Longest window of a pass. */
static int64_t count_taps(int64_t from, int64_t to, tsr_filter filter) {
    double scale = (double)from / (double)to;
    return (int64_t)ceil(filters[filter].support * (scale < 1 ? 1 : scale)) * 2 + 1;
}

/* row: `taps` doubles of scratch. */
static void make_weights(int64_t from, int64_t to, tsr_filter filter, int64_t taps, double *row,
                         int32_t *table) {
    double scale = (double)from / (double)to, stretch = scale < 1 ? 1 : scale;
    double support = filters[filter].support * stretch, step = 1 / stretch;
    for (int64_t i = 0; i < to; ++i) {
        double center = ((double)i + 0.5) * scale, sum = 0;
        int64_t first = (int64_t)(center - support + 0.5), end = (int64_t)(center + support + 0.5);
        if (first < 0) first = 0;
        if (end > from) end = from;
        int64_t count = end - first;
        for (int64_t j = 0; j < count; ++j) {
            row[j] = filters[filter].weigh(((double)(j + first) - center + 0.5) * step);
            sum += row[j];
        }
        table[2 * i] = (int32_t)first;
        table[2 * i + 1] = (int32_t)count;
        int32_t *weight = table + 2 * to + i * taps;
        for (int64_t j = 0; j < count; ++j) {
            double w = (sum != 0 ? row[j] / sum : row[j]) * (1 << PRECISION);
            weight[j] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
    }
}

typedef struct pass {
    const uint8_t *from;
    uint8_t *to;
    const int32_t *table;
    int64_t height, width, channels; /* of the output */
    int64_t size, taps;              /* positions in the pass's direction; longest window */
    int64_t length;                  /* of an input row, in bytes */
    bool vertical;
} pass;

static uint8_t clip(int32_t sum) {
    sum >>= PRECISION; /* arithmetic: floor */
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

TSR_CLONES static void resize_row(const pass *p, int64_t y) {
    uint8_t *to = p->to + y * p->width * p->channels;
    const int32_t half = 1 << (PRECISION - 1);
    if (!p->vertical) {
        for (int64_t x = 0; x < p->width; ++x) {
            const int32_t *weight = p->table + 2 * p->width + x * p->taps;
            int32_t count = p->table[2 * x + 1];
            const uint8_t *from = p->from + y * p->length + p->table[2 * x] * p->channels;
            for (int64_t c = 0; c < p->channels; ++c) {
                int32_t sum = half;
                for (int32_t j = 0; j < count; ++j)
                    sum += from[j * p->channels + c] * weight[j];
                *to++ = clip(sum);
            }
        }
        return;
    }
    const int32_t *weight = p->table + 2 * p->height + y * p->taps;
    int32_t count = p->table[2 * y + 1];
    const uint8_t *from = p->from + p->table[2 * y] * p->length;
    enum { RUN = 512 };
    int32_t sum[RUN];
    for (int64_t first = 0; first < p->length; first += RUN) {
        int64_t n = p->length - first < RUN ? p->length - first : RUN;
        for (int64_t i = 0; i < n; ++i)
            sum[i] = half;
        for (int32_t j = 0; j < count; ++j)
            for (int64_t i = 0; i < n; ++i)
                sum[i] += from[j * p->length + first + i] * weight[j];
        for (int64_t i = 0; i < n; ++i)
            to[first + i] = clip(sum[i]);
    }
}

/* The passes of a call in order; returns how many (1 or 2). */
static int get_passes(const tsr_call *call, pass *passes) {
    const tsr_tensor *x = call->in[0], *y = call->out[OUT_PICTURE];
    int64_t channels = x->dim[2];
    int count = 0;
    if (call->p.i[P_HORIZONTAL]) {
        tsr_tensor *to = call->p.i[P_VERTICAL] ? call->out[OUT_BETWEEN] : call->out[OUT_PICTURE];
        passes[count++] = (pass){.from = x->data,
                                 .to = to->data,
                                 .table = call->table,
                                 .height = x->dim[0],
                                 .width = y->dim[1],
                                 .channels = channels,
                                 .size = y->dim[1],
                                 .taps = call->p.i[P_TAPS],
                                 .length = x->dim[1] * channels};
    }
    if (call->p.i[P_VERTICAL]) {
        const tsr_tensor *from = call->p.i[P_HORIZONTAL] ? call->out[OUT_BETWEEN] : x;
        passes[count++] =
            (pass){.from = from->data,
                   .to = y->data,
                   .table = (const int32_t *)call->table + call->p.i[P_VERTICAL_TABLE],
                   .height = y->dim[0],
                   .width = y->dim[1],
                   .channels = channels,
                   .size = y->dim[0],
                   .taps = call->p.i[P_TAPS + 1],
                   .length = y->dim[1] * channels,
                   .vertical = true};
    }
    return count;
}

static void reference(const tsr_call *call) {
    pass passes[2];
    int count = get_passes(call, passes);
    for (int i = 0; i < count; ++i) {
        const pass *p = &passes[i];
        for (int64_t y = 0; y < p->height; ++y)
            for (int64_t x = 0; x < p->width; ++x)
                for (int64_t c = 0; c < p->channels; ++c) {
                    int64_t position = p->vertical ? y : x;
                    int64_t first = p->table[2 * position], taps = p->table[2 * position + 1];
                    int32_t sum = 1 << (PRECISION - 1);
                    for (int64_t j = 0; j < taps; ++j) {
                        int64_t row = p->vertical ? first + j : y;
                        int64_t column = p->vertical ? x : first + j;
                        sum += p->from[row * p->length + column * p->channels + c] *
                               p->table[2 * p->size + position * p->taps + j];
                    }
                    p->to[(y * p->width + x) * p->channels + c] = clip(sum);
                }
    }
}

enum { TILE_ROWS = 4 };

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const pass *p = arg;
    for (int64_t y = t * TILE_ROWS; y < p->height && y < (t + 1) * TILE_ROWS; ++y)
        resize_row(p, y);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    pass passes[2];
    int count = get_passes(call, passes);
    for (int i = 0; i < count; ++i)
        tsr_parallel(tsr_device_context(device), tile_count(passes[i].height, TILE_ROWS), tile,
                     &passes[i]);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    pass passes[2];
    int count = get_passes(call, passes);
    for (int i = 0; i < count; ++i, ++d) {
        const pass *p = &passes[i];
        int64_t bytes = p->height * p->width * p->channels;
        if (p->taps * 4 > LOOP_LIMIT) return 0;
        uint32_t push[7] = {(uint32_t)bytes,
                            (uint32_t)p->width,
                            (uint32_t)p->channels,
                            (uint32_t)p->length,
                            (uint32_t)p->size,
                            (uint32_t)p->taps,
                            p->vertical ? (uint32_t)call->p.i[P_VERTICAL_TABLE] : 0};
        bool between = count == 2;
        *d = (tsr_gpu_dispatch){
            .variant = "resize", .spec = {(uint32_t)p->vertical}, .spec_count = 1};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, between && i == 1 ? BIND_OUT + OUT_BETWEEN : BIND_IN);
        dispatch_bind(d, between && i == 0 ? BIND_OUT + OUT_BETWEEN : BIND_OUT + OUT_PICTURE);
        dispatch_bind(d, BIND_TABLE);
        grid_set(d, tile_count(tile_count(bytes, 4), GROUP_THREADS)); /* 4 bytes a thread */
    }
    return count;
}

static const tsr_op op_resize = {.name = "resize", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_resize(tsr_run *r, const tsr_tensor *x, int64_t height, int64_t width,
                       tsr_filter filter) {
    char got[96];
    if (!want_tensor(r, "resize: x", x, TSR_DTYPE_U8, 3)) return tsr_run_failed(r);
    if (x->rank != 3 || x->dim[2] > 4)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "resize: x: wanted [H, W, 1..4], got %s",
                            tsr_shape_text(x, got, sizeof got));
    if ((int)filter < TSR_FILTER_BILINEAR || filter > TSR_FILTER_LANCZOS)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "resize: filter: wanted 0..%d, got %d",
                            TSR_FILTER_LANCZOS, (int)filter);
    if (height < 1 || width < 1)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "resize: size: wanted at least 1x1, got height %lld width %lld",
                            (long long)height, (long long)width);
    int64_t dim[3] = {height, width, x->dim[2]}, between[3] = {x->dim[0], width, x->dim[2]};
    if (!want_size(r, "resize", 3, dim) || !want_size(r, "resize", 3, between))
        return tsr_run_failed(r);
    if (height == x->dim[0] && width == x->dim[1]) return tsr_run_view(r, x, 3, x->dim);

    tsr_call call = {.op = &op_resize, .in = {x}, .in_count = 1, .out_count = 1};
    bool horizontal = width != x->dim[1], vertical = height != x->dim[0];
    int64_t taps[2] = {horizontal ? count_taps(x->dim[1], width, filter) : 0,
                       vertical ? count_taps(x->dim[0], height, filter) : 0};
    int64_t words[2] = {horizontal ? width * (2 + taps[0]) : 0,
                        vertical ? height * (2 + taps[1]) : 0};
    if (words[0] > INT32_MAX / 4 || words[1] > INT32_MAX / 4)
        return tsr_run_fail(r, TSR_ERROR_TOO_LARGE,
                            "resize: weights: wanted at most %d, got %lld and %lld", INT32_MAX / 4,
                            (long long)words[0], (long long)words[1]);
    tsr_context *ctx = tsr_run_context(r);
    int32_t *table = tsr_alloc(ctx, (size_t)(words[0] + words[1]), 4, "resize: weights");
    double *row = tsr_alloc(ctx, (size_t)(taps[0] > taps[1] ? taps[0] : taps[1]), sizeof *row,
                            "resize: window");
    if (!table || !row) {
        free(table);
        free(row);
        return tsr_run_fail(r, TSR_ERROR_MEMORY, "resize: weights: out of memory");
    }
    if (horizontal) make_weights(x->dim[1], width, filter, taps[0], row, table);
    if (vertical) make_weights(x->dim[0], height, filter, taps[1], row, table + words[0]);
    call.p.i[P_HORIZONTAL] = horizontal;
    call.p.i[P_VERTICAL] = vertical;
    call.p.i[P_VERTICAL_TABLE] = (int32_t)words[0];
    call.p.i[P_TAPS] = (int32_t)taps[0];
    call.p.i[P_TAPS + 1] = (int32_t)taps[1];
    call.table = table;
    call.table_bytes = (size_t)(words[0] + words[1]) * 4;
    call.out[OUT_PICTURE] = tsr_run_new(r, TSR_DTYPE_U8, 3, dim);
    if (horizontal && vertical)
        call.out[call.out_count++] = tsr_run_new(r, TSR_DTYPE_U8, 3, between);
    tsr_run_emit(r, &call);
    free(table);
    free(row);
    return call.out[OUT_PICTURE];
}
