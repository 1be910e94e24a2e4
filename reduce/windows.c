/* SPDX-License-Identifier: MIT */
/* windows.c: pooling over windows of a grid. */
#include "windows.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <math.h>

enum { CHUNK = 256 /* channels that are summed at once */, TILE = 8 /* windows of a tile */ };

static tsr_windows take(tsr_operation *o, int64_t in, int64_t out) {
    return (tsr_windows){.in = in,
                         .out = out,
                         .from = tsr_operation_take(o, out, sizeof(int64_t), "windows"),
                         .to = tsr_operation_take(o, out, sizeof(int64_t), "windows")};
}

tsr_windows tsr_windows_sliding(tsr_operation *o, int64_t in, int64_t size, int64_t stride) {
    if (size < 1 || size > in || stride < 1)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted windows of 1..%lld places along an axis of %lld, got %lld",
                           (long long)in, (long long)in, (long long)size);
    tsr_windows w = take(o, in, o->status ? 0 : (in - size) / stride + 1);
    for (int64_t i = 0; i < w.out && !o->status; ++i) {
        w.from[i] = i * stride;
        w.to[i] = i * stride + size;
    }
    return w;
}

tsr_windows tsr_windows_adaptive(tsr_operation *o, int64_t in, int64_t out) {
    tsr_windows w = take(o, in, out);
    for (int64_t i = 0; i < out && !o->status; ++i) {
        w.from[i] = i * in / out;
        w.to[i] = ((i + 1) * in + out - 1) / out;
    }
    return w;
}

typedef struct pooling {
    const float *x;
    float *y;
    int64_t channels, windows;
    const int64_t *grid;
    const tsr_windows *axis;
    tsr_window_weights weights;
} pooling;

static int64_t place(const tsr_windows *axis, int64_t i) {
    return axis->pick ? axis->pick[i] : i;
}
static int64_t token(const pooling *p, int64_t t, int64_t y, int64_t x) {
    return (place(&p->axis[0], t) * p->grid[1] + place(&p->axis[1], y)) * p->grid[2] +
           place(&p->axis[2], x);
}

/* Places of a window along the three axes. */
typedef struct box {
    int64_t from[3], to[3];
} box;

static box box_of(const pooling *p, int64_t window) {
    box b;
    for (int a = 2; a >= 0; --a) {
        const int64_t i = window % p->axis[a].out;
        window /= p->axis[a].out;
        b.from[a] = p->axis[a].from[i];
        b.to[a] = p->axis[a].to[i];
    }
    return b;
}

/* Adds weight * x[token] to sum for channels c .. c + n - 1. */
TSR_CLONES static void add(double *restrict sum, const float *restrict x, double weight,
                           int64_t n) {
    if (weight == 1)
        for (int64_t i = 0; i < n; ++i)
            sum[i] += (double)x[i];
    else
        for (int64_t i = 0; i < n; ++i)
            sum[i] += weight * (double)x[i];
}

/* What numbers of a window are divided by: the sum of exp((w - *most) / temperature) over it, or
 * its size. */
static double divisor(const pooling *p, box b, double *most) {
    const float *w = p->weights.weight;
    *most = -INFINITY;
    double sum = 0;
    if (!w) return (double)((b.to[0] - b.from[0]) * (b.to[1] - b.from[1]) * (b.to[2] - b.from[2]));
    for (int64_t t = b.from[0]; t < b.to[0]; ++t)
        for (int64_t y = b.from[1]; y < b.to[1]; ++y)
            for (int64_t x = b.from[2]; x < b.to[2]; ++x)
                *most = fmax(*most, (double)w[token(p, t, y, x)]);
    for (int64_t t = b.from[0]; t < b.to[0]; ++t)
        for (int64_t y = b.from[1]; y < b.to[1]; ++y)
            for (int64_t x = b.from[2]; x < b.to[2]; ++x)
                sum += exp(((double)w[token(p, t, y, x)] - *most) / p->weights.temperature);
    return sum;
}

static void pool_window(const pooling *p, int64_t window) {
    const box b = box_of(p, window);
    const float *w = p->weights.weight;
    double most = 0;
    const double whole = divisor(p, b, &most);
    for (int64_t c = 0; c < p->channels; c += CHUNK) {
        const int64_t n = p->channels - c < CHUNK ? p->channels - c : CHUNK;
        double sum[CHUNK] = {0};
        for (int64_t t = b.from[0]; t < b.to[0]; ++t)
            for (int64_t y = b.from[1]; y < b.to[1]; ++y)
                for (int64_t x = b.from[2]; x < b.to[2]; ++x) {
                    const int64_t i = token(p, t, y, x);
                    const double weight =
                        w ? exp(((double)w[i] - most) / p->weights.temperature) : 1;
                    add(sum, p->x + i * p->channels + c, weight, n);
                }
        float *to = p->y + window * p->channels + c;
        for (int64_t i = 0; i < n; ++i)
            to[i] = (float)(sum[i] / whole);
    }
}

static void pool_tile(void *arg, int64_t tile, int worker) {
    const pooling *p = arg;
    (void)worker;
    for (int64_t i = tile * TILE; i < (tile + 1) * TILE && i < p->windows; ++i)
        pool_window(p, i);
}

void tsr_windows_mean(tsr_operation *o, const float *x, int64_t channels, const int64_t grid[3],
                      const tsr_windows axis[3], tsr_window_weights weights, float *y) {
    if (o->status) return;
    pooling p = {.x = x,
                 .y = y,
                 .channels = channels,
                 .windows = axis[0].out * axis[1].out * axis[2].out,
                 .grid = grid,
                 .axis = axis,
                 .weights = weights};
    tsr_parallel(o->ctx, (p.windows + TILE - 1) / TILE, pool_tile, &p);
}

void tsr_windows_map(const int64_t grid[3], const tsr_windows axis[3], int64_t base, int32_t *map) {
    const pooling p = {.grid = grid, .axis = axis};
    for (int64_t i = 0; i < grid[0] * grid[1] * grid[2]; ++i)
        map[i] = -1;
    for (int64_t w = axis[0].out * axis[1].out * axis[2].out - 1; w >= 0; --w) {
        const box b = box_of(&p, w); /* from the last to the first, so that the first stays */
        for (int64_t t = b.from[0]; t < b.to[0]; ++t)
            for (int64_t y = b.from[1]; y < b.to[1]; ++y)
                for (int64_t x = b.from[2]; x < b.to[2]; ++x)
                    map[token(&p, t, y, x)] = (int32_t)(base + w);
    }
}

int32_t *tsr_windows_lists(tsr_operation *o, const tsr_pooling *of) {
    const pooling p = {.grid = of->grid, .axis = of->axis};
    const int64_t windows = of->axis[0].out * of->axis[1].out * of->axis[2].out;
    int64_t members = 1;
    for (int a = 0; a < 3; ++a) {
        int64_t places = 0;
        for (int64_t i = 0; i < of->axis[a].out; ++i)
            places += of->axis[a].to[i] - of->axis[a].from[i];
        members *= places;
    }
    if (!o->status && members + windows >= INT32_MAX)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted below 2^31 tokens of all windows, got %lld", (long long)members);
    int32_t *lists =
        tsr_operation_take(o, o->status ? 0 : windows + 1 + members, sizeof *lists, "windows");
    if (!lists) return NULL;
    int32_t *at = lists + windows + 1;
    for (int64_t w = 0; w < windows; ++w) {
        const box b = box_of(&p, w);
        for (int64_t t = b.from[0]; t < b.to[0]; ++t)
            for (int64_t y = b.from[1]; y < b.to[1]; ++y)
                for (int64_t x = b.from[2]; x < b.to[2]; ++x)
                    *at++ = (int32_t)token(&p, t, y, x);
        lists[w + 1] = (int32_t)(at - lists - windows - 1);
    }
    return lists;
}

void tsr_windows_replace(tsr_operation *o, const tsr_pooling *p, tsr_window_weights weights) {
    const int64_t out[3] = {p->axis[0].out, p->axis[1].out, p->axis[2].out}, d = o->in->channels;
    if (!o->status && out[0] * out[1] * out[2] > INT32_MAX)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted below 2^31 tokens, got %lld",
                           (long long)(out[0] * out[1] * out[2]));
    const int64_t rows = o->status ? 0 : out[0] * out[1] * out[2];
    int32_t *map = tsr_operation_take(o, o->in->count, sizeof *map, "map");
    float *y = tsr_operation_take(o, rows * d, sizeof *y, "features");
    if (o->status) return;
    tsr_windows_mean(o, o->in->features, d, p->grid, p->axis, weights, y);
    tsr_windows_map(p->grid, p->axis, 0, map);
    tsr_operation_replace(o, map, rows, d, y, p->line ? NULL : out);
}
