/* SPDX-License-Identifier: MIT */
/* subset.c: tokens kept, or put in order, by where they stand: prefixes, strides, even subsets,
 * frames, regions, coarse to fine. */
#include "recorded.h"
#include "select.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens that stay, by where they stand alone: the same on the host and on a device. */
typedef struct subset {
    int64_t k;
    int32_t *index;  /* [k] */
    int64_t grid[3]; /* that they fill; zeros: none */
} subset;

static subset take(tsr_operation *o, int64_t k) {
    k = o->status ? 0 : k;
    return (subset){k, tsr_operation_take(o, k, sizeof(int32_t), "indices"), {0, 0, 0}};
}

static void keep(tsr_operation *o, const subset *s) {
    tsr_operation_keep(o, s->index, s->k);
    if (s->grid[0]) tsr_operation_on_grid(o, s->grid[0], s->grid[1], s->grid[2]);
}

static void keep_recorded(tsr_recorded *x, const subset *s) {
    tsr_recorded_keep_listed(x, s->index, s->k, s->grid[0] ? s->grid : NULL);
}

/* `apply` and `record` of an operator whose subset depends on the number of tokens or on the grid.
 */
#define BY_COUNT(name)                                                                             \
    static void name(tsr_operation *o) {                                                           \
        const subset s = name##_of(o, o->in->count);                                               \
        keep(o, &s);                                                                               \
    }                                                                                              \
    static void record_##name(tsr_recorded *x) {                                                   \
        const subset s = name##_of(x->o, x->count);                                                \
        keep_recorded(x, &s);                                                                      \
    }
#define BY_GRID(name)                                                                              \
    static void name(tsr_operation *o) {                                                           \
        const subset s = name##_of(o, tsr_operation_grid(o));                                      \
        keep(o, &s);                                                                               \
    }                                                                                              \
    static void record_##name(tsr_recorded *x) {                                                   \
        if (!x->grid[0]) tsr_recorded_decline(x);                                                  \
        if (x->declined) return;                                                                   \
        const subset s = name##_of(x->o, x->grid);                                                 \
        keep_recorded(x, &s);                                                                      \
    }

/* ---- prefix ---- */

static subset prefix_of(tsr_operation *o, int64_t n) {
    const subset s = take(o, tsr_select_count(o, n));
    for (int64_t i = 0; i < s.k && s.index; ++i)
        s.index[i] = (int32_t)i;
    return s;
}
BY_COUNT(prefix)

const tsr_operator tsr_operator_prefix = {
    .info = {.name = "prefix",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the first tokens of their order",
             .formula = "tokens 0 .. k - 1",
             .source = "MQT (gordonhu608/MQT-LLaVA @ 92c35d0, the first m queries), FlexTok, SEED: "
                       "tokens that are ordered by training",
             .differs = NULL,
             .cost = "k copies",
             .columns = NULL},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = prefix,
    .record = record_prefix,
};

/* ---- stride-pick ---- */

static subset stride_pick_of(tsr_operation *o, int64_t n) {
    const int64_t stride = tsr_operation_integer(o, "stride"),
                  first = tsr_operation_integer(o, "first");
    if (!o->status && first >= n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "first: wanted a token below the %lld there are, got %lld", (long long)n,
                           (long long)first);
    const subset s = take(o, o->status ? 0 : (n - first + stride - 1) / stride);
    for (int64_t i = 0; i < s.k && s.index; ++i)
        s.index[i] = (int32_t)(first + i * stride);
    return s;
}
BY_COUNT(stride_pick)

const tsr_operator tsr_operator_stride_pick = {
    .info = {.name = "stride-pick",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps every s-th token of the raster order",
             .formula = "tokens first, first + stride, first + 2 stride, ...",
             .source = "QuoTA (one of its reducers), pools in one dimension",
             .differs = NULL,
             .cost = "N / stride copies",
             .columns = NULL},
    .parameters = {{"stride", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "distance of kept tokens"},
                   {"first", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL, "first kept token"}},
    .apply = stride_pick,
    .record = record_stride_pick,
};

/* ---- grid-subset ---- */

static subset grid_subset_of(tsr_operation *o, const int64_t *grid) {
    const int64_t rows = tsr_operation_integer(o, "rows"),
                  columns = tsr_operation_integer(o, "columns");
    if (!o->status && (rows > grid[1] || columns > grid[2]))
        tsr_operation_fail(
            o, TSR_ERROR_ARGUMENT, "%s: wanted at most the %lld of the grid, got %lld",
            rows > grid[1] ? "rows" : "columns", (long long)grid[rows > grid[1] ? 1 : 2],
            (long long)(rows > grid[1] ? rows : columns));
    subset s = take(o, grid[0] * rows * columns);
    for (int64_t i = 0; i < s.k && s.index; ++i) {
        const int64_t t = i / (rows * columns), y = i / columns % rows, x = i % columns;
        const int64_t row = (2 * y + 1) * grid[1] / (2 * rows),
                      column = (2 * x + 1) * grid[2] / (2 * columns);
        s.index[i] = (int32_t)((t * grid[1] + row) * grid[2] + column);
    }
    memcpy(s.grid, (int64_t[]){grid[0], rows, columns}, sizeof s.grid);
    return s;
}
BY_GRID(grid_subset)

const tsr_operator tsr_operator_grid_subset = {
    .info = {.name = "grid-subset",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps tokens spread evenly over the rows and columns of each frame",
             .formula = "row floor((2i + 1) H / (2 rows)) for i below rows, and columns likewise",
             .source = "in the manner of LVLM_CSP (uniform representatives) and ATP-LLaVA (spatial "
                       "samples), whose code is not public",
             .differs = NULL,
             .cost = "k copies",
             .columns = NULL},
    .parameters = {{"rows", TSR_PARAMETER_INTEGER, NULL, 1, 32768, NULL, "rows that stay"},
                   {"columns", TSR_PARAMETER_INTEGER, NULL, 1, 32768, NULL, "columns that stay"}},
    .apply = grid_subset,
    .record = record_grid_subset,
};

/* ---- frame-keep ---- */

static subset frame_keep_of(tsr_operation *o, const int64_t *grid) {
    int count = 0;
    const double *frame = tsr_operation_list(o, "frames", &count);
    const int64_t places = grid[1] * grid[2];
    subset s = take(o, count * places);
    for (int i = 0; i < count && !o->status; ++i) {
        if (frame[i] != floor(frame[i]) || frame[i] >= (double)grid[0])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "frames: wanted whole numbers below the %lld frames there are, got "
                               "%g",
                               (long long)grid[0], frame[i]);
        else if (i && frame[i] <= frame[i - 1])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "frames: wanted each once, in order, got %g after %g", frame[i],
                               frame[i - 1]);
        for (int64_t p = 0; p < places && !o->status; ++p)
            s.index[i * places + p] = (int32_t)((int64_t)frame[i] * places + p);
    }
    memcpy(s.grid, (int64_t[]){count, grid[1], grid[2]}, sizeof s.grid);
    return s;
}
BY_GRID(frame_keep)

const tsr_operator tsr_operator_frame_keep = {
    .info = {.name = "frame-keep",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the frames of a list, such as the answer of frame-select",
             .formula = "all tokens of frames f_0 < f_1 < ...",
             .source = "ours",
             .differs = NULL,
             .cost = "k copies",
             .columns = NULL},
    .parameters = {{"frames", TSR_PARAMETER_LIST, NULL, 0, 2147483647, NULL,
                    "indices of frames from 0: 0+12+25"}},
    .apply = frame_keep,
    .record = record_frame_keep,
};

/* ---- region ---- */

static subset region_of(tsr_operation *o, const int64_t *grid) {
    int count = 0;
    const double *box = tsr_operation_list(o, "box", &count);
    const bool share = tsr_operation_is(o, "unit", "share");
    if (!o->status && count != 4)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "box: wanted left, top, right and bottom, got %d numbers", count);
    if (o->status) return (subset){0};
    /* Cells that the box touches: shares are widened to whole cells. */
    const double wide = share ? (double)grid[2] : 1, high = share ? (double)grid[1] : 1;
    const int64_t x0 = (int64_t)floor(box[0] * wide), y0 = (int64_t)floor(box[1] * high),
                  x1 = (int64_t)ceil(box[2] * wide), y1 = (int64_t)ceil(box[3] * high);
    if (x0 >= x1 || y0 >= y1 || x1 > grid[2] || y1 > grid[1]) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "box: wanted left below right and top below bottom within %lld x %lld "
                           "cells, got %lld+%lld+%lld+%lld",
                           (long long)grid[2], (long long)grid[1], (long long)x0, (long long)y0,
                           (long long)x1, (long long)y1);
        return (subset){0};
    }
    const int64_t rows = y1 - y0, columns = x1 - x0;
    subset s = take(o, grid[0] * rows * columns);
    for (int64_t i = 0; i < s.k && s.index; ++i)
        s.index[i] =
            (int32_t)((i / (rows * columns) * grid[1] + y0 + i / columns % rows) * grid[2] + x0 +
                      i % columns);
    memcpy(s.grid, (int64_t[]){grid[0], rows, columns}, sizeof s.grid);
    return s;
}
BY_GRID(region)

const tsr_operator tsr_operator_region = {
    .info = {.name = "region",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens of a box, which are a grid again",
             .formula =
                 "rows top .. bottom - 1 and columns left .. right - 1 of each frame; shares "
                 "of the picture are widened to whole cells",
             .source = "in the manner of Visual Perception Token (region tokens in cells)",
             .differs = NULL,
             .cost = "k copies",
             .columns = NULL},
    .parameters = {{"box", TSR_PARAMETER_LIST, NULL, 0, 32768, NULL,
                    "left, top, right, bottom: 2+0+8+6"},
                   {"unit", TSR_PARAMETER_CHOICE, "cells", 0, 0, "cells|share",
                    "cells of the grid, or shares of width and height"}},
    .apply = region,
    .record = record_region,
};

/* ---- coarse-to-fine ---- */

typedef struct leveled {
    int32_t level, index;
} leveled;
static int coarse_first(const void *a, const void *b) {
    const leveled *x = a, *y = b;
    return x->level != y->level ? y->level - x->level : x->index - y->index;
}

/* The largest e <= most such that 2^e divides all three. */
static int32_t level_of(int64_t t, int64_t y, int64_t x, int32_t most) {
    int32_t e = 0;
    while (e < most && ((t | y | x) & ((int64_t)1 << e)) == 0)
        ++e;
    return e;
}

static void coarse_to_fine(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count;
    leveled *list = tsr_operation_take(o, n, sizeof *list, "levels");
    int32_t *index = tsr_operation_take(o, n, sizeof *index, "indices"),
            *level = tsr_operation_take(o, n, sizeof *level, "levels");
    if (o->status) return;
    int64_t longest = grid[0];
    for (int i = 1; i < 3; ++i)
        if (grid[i] > longest) longest = grid[i];
    int32_t most = 0;
    while (((int64_t)1 << most) < longest)
        ++most;
    for (int64_t i = 0; i < n; ++i)
        list[i] =
            (leveled){level_of(i / (grid[1] * grid[2]), i / grid[2] % grid[1], i % grid[2], most),
                      (int32_t)i};
    qsort(list, (size_t)n, sizeof *list, coarse_first);
    for (int64_t i = 0; i < n; ++i) {
        index[i] = list[i].index;
        level[i] = most - list[i].level;
    }
    tsr_operation_keep(o, index, n);
    tsr_operation_attach(o, "level", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, level);
    tsr_operation_trace_i32(o, "order", index, n);
}

const tsr_operator tsr_operator_coarse_to_fine = {
    .info = {.name = "coarse-to-fine",
             .kind = TSR_OPERATOR_ORDER,
             .about = "orders tokens so that every prefix covers the whole grid",
             .formula =
                 "first the token at 0, then those whose frame, row and column are multiples "
                 "of 2^e, for e falling to 0, each level in raster order; level is counted "
                 "from 0",
             .source = "ours, beside the waves of NAR (wave-order)",
             .differs = NULL,
             .cost = "N log N comparisons",
             .columns = NULL},
    .apply = coarse_to_fine,
};
