/* SPDX-License-Identifier: MIT */
/* resample.c: smaller grids that are no plain means: maxima, bilinear samples, whole key frames
 * beside pooled ones, and attention of one query in each window. */
#include "../compute/threads.h"
#include "give_scores.h"
#include "similarity.h"

#include <math.h>
#include <string.h>

/* Cuts of a grid into windows of size x size in each frame; edge windows may be smaller. */
typedef struct cells {
    const int64_t *grid;
    int64_t size, rows, columns; /* windows of a frame */
} cells;

static cells cut_cells(const int64_t *grid, int64_t size) {
    return (cells){grid, size, (grid[1] + size - 1) / size, (grid[2] + size - 1) / size};
}
static int64_t count_cells(const cells *c) {
    return c->grid[0] * c->rows * c->columns;
}
static int32_t cell_of(const cells *c, int64_t token) {
    const int64_t *g = c->grid, t = token / (g[1] * g[2]), y = token / g[2] % g[1],
                  x = token % g[2];
    return (int32_t)((t * c->rows + y / c->size) * c->columns + x / c->size);
}
/* The tokens of a window in raster order: list [size * size]; returns how many. */
static int64_t tokens_of(const cells *c, int64_t cell, int64_t *list) {
    const int64_t *g = c->grid, t = cell / (c->rows * c->columns),
                  y0 = cell / c->columns % c->rows * c->size, x0 = cell % c->columns * c->size;
    int64_t count = 0;
    for (int64_t y = y0; y < y0 + c->size && y < g[1]; ++y)
        for (int64_t x = x0; x < x0 + c->size && x < g[2]; ++x)
            list[count++] = (t * g[1] + y) * g[2] + x;
    return count;
}
enum { MOST_WINDOW = 64 };
#define WINDOW                                                                                     \
    {                                                                                              \
        "window", TSR_PARAMETER_INTEGER, "2", 1, MOST_WINDOW, NULL,                                \
            "side of a window in cells; windows at the edges may be smaller"                       \
    }

/* Replaces tokens by windows with these features [cells, channels]. */
static void replace_by_cells(tsr_operation *o, const cells *c, int64_t channels,
                             const float *features) {
    const int64_t n = o->in->count;
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    for (int64_t i = 0; i < n && map; ++i)
        map[i] = cell_of(c, i);
    tsr_operation_replace(o, map, count_cells(c), channels, features,
                          (int64_t[]){c->grid[0], c->rows, c->columns});
}

/* ---- max-pool ---- */

typedef struct max_work {
    const cells *c;
    const float *x;
    float *y;
    int64_t dim;
} max_work;

static void max_cell(void *arg, int64_t cell, int worker) {
    const max_work *w = arg;
    int64_t list[MOST_WINDOW * MOST_WINDOW];
    const int64_t count = tokens_of(w->c, cell, list);
    float *y = w->y + cell * w->dim;
    (void)worker;
    memcpy(y, w->x + list[0] * w->dim, (size_t)w->dim * sizeof *y);
    for (int64_t i = 1; i < count; ++i)
        for (int64_t d = 0; d < w->dim; ++d)
            y[d] = fmaxf(y[d], w->x[list[i] * w->dim + d]);
}

static void max_pool(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), window = tsr_operation_integer(o, "window");
    if (o->status) return;
    const cells c = cut_cells(grid, window);
    float *y = tsr_operation_take(o, count_cells(&c) * o->in->channels, sizeof *y, "features");
    max_work w = {&c, o->in->features, y, o->in->channels};
    if (!o->status) tsr_parallel(o->ctx, count_cells(&c), max_cell, &w);
    replace_by_cells(o, &c, o->in->channels, y);
}

const tsr_operator tsr_operator_max_pool = {
    .info = {.name = "max-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "keeps the largest value of each channel in windows of a grid",
             .formula = "y[cell, d] = max over tokens i of the cell of x[i, d]",
             .source = "the pooling that is no mean, for comparison",
             .differs = NULL,
             .cost = "N D comparisons",
             .columns = NULL},
    .parameters = {WINDOW},
    .apply = max_pool,
};

/* ---- bilinear-pool ---- */

/* Places and weights along one axis: half-pixel centres, edges repeated, no antialiasing. */
typedef struct sample {
    int64_t low, high;
    double share; /* of high */
} sample;
static sample sample_at(int64_t i, int64_t out, int64_t in) {
    double at = ((double)i + 0.5) * (double)in / (double)out - 0.5;
    if (at < 0) at = 0;
    sample s = {(int64_t)at, (int64_t)at + 1, at - floor(at)};
    if (s.high >= in) s.high = in - 1;
    return s;
}

typedef struct bilinear_work {
    const int64_t *grid;
    const float *x;
    float *y;
    int64_t rows, columns, dim;
} bilinear_work;

static void bilinear_place(void *arg, int64_t place, int worker) {
    const bilinear_work *w = arg;
    const int64_t t = place / (w->rows * w->columns);
    const sample v = sample_at(place / w->columns % w->rows, w->rows, w->grid[1]),
                 h = sample_at(place % w->columns, w->columns, w->grid[2]);
    const float *frame = w->x + t * w->grid[1] * w->grid[2] * w->dim;
    const float *a = frame + (v.low * w->grid[2] + h.low) * w->dim,
                *b = frame + (v.low * w->grid[2] + h.high) * w->dim,
                *c = frame + (v.high * w->grid[2] + h.low) * w->dim,
                *e = frame + (v.high * w->grid[2] + h.high) * w->dim;
    (void)worker;
    for (int64_t d = 0; d < w->dim; ++d)
        w->y[place * w->dim + d] =
            (float)((1 - v.share) * ((1 - h.share) * (double)a[d] + h.share * (double)b[d]) +
                    v.share * ((1 - h.share) * (double)c[d] + h.share * (double)e[d]));
}

static void bilinear_pool(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count;
    bilinear_work w = {.grid = grid, .x = o->in->features, .dim = o->in->channels};
    w.rows = tsr_operation_integer(o, "rows");
    w.columns = tsr_operation_integer(o, "columns");
    if (!o->status && (w.rows > grid[1] || w.columns > grid[2]))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted at most the %lld x %lld places of the grid, got %lld x %lld",
                           (long long)grid[1], (long long)grid[2], (long long)w.rows,
                           (long long)w.columns);
    const int64_t places = o->status ? 0 : grid[0] * w.rows * w.columns;
    w.y = tsr_operation_take(o, places * w.dim, sizeof *w.y, "features");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    if (o->status) return;
    tsr_parallel(o->ctx, places, bilinear_place, &w);
    for (int64_t i = 0; i < n; ++i) /* the sample whose part of the frame holds the token */
        map[i] = (int32_t)((i / (grid[1] * grid[2]) * w.rows +
                            i / grid[2] % grid[1] * w.rows / grid[1]) *
                               w.columns +
                           i % grid[2] * w.columns / grid[2]);
    tsr_operation_replace(o, map, places, w.dim, w.y, (int64_t[]){grid[0], w.rows, w.columns});
}

const tsr_operator tsr_operator_bilinear_pool = {
    .info = {.name = "bilinear-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "samples a grid at fewer places, between tokens",
             .formula = "place i of `out` lies at (i + 1/2) in / out - 1/2, not below 0; its value "
                        "is interpolated between the two tokens of each axis; no antialiasing. A "
                        "source token belongs to the sample floor(place out / in)",
             .source = "QuoTA (one of its reducers), torch interpolate with align_corners false",
             .differs = NULL,
             .cost = "4 D multiply-adds for each new token",
             .columns = NULL},
    .parameters = {{"rows", TSR_PARAMETER_INTEGER, NULL, 1, 32768, NULL, "rows of the new grid"},
                   {"columns", TSR_PARAMETER_INTEGER, NULL, 1, 32768, NULL,
                    "columns of the new grid"}},
    .apply = bilinear_pool,
};

/* ---- keyframe-pool ---- */

static void keyframe_pool(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count,
                  every = tsr_operation_integer(o, "every"),
                  window = tsr_operation_integer(o, "window");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    int32_t *frame = tsr_operation_take(o, grid[0], sizeof *frame, "frames");
    if (o->status) return;
    const cells c = cut_cells(grid, window);
    const int64_t places = grid[1] * grid[2], pooled = c.rows * c.columns;
    int64_t rows = 0;
    for (int64_t t = 0; t < grid[0]; ++t) {
        const bool whole = t % every == 0;
        for (int64_t p = 0; p < places; ++p)
            map[t * places + p] = (int32_t)(rows + (whole ? p : cell_of(&c, p)));
        frame[t] = (int32_t)(whole ? places : pooled);
        rows += frame[t];
    }
    tsr_operation_merge(o, map, rows, NULL);
    tsr_operation_trace_i32(o, "tokens_of_frame", frame, grid[0]);
}

const tsr_operator tsr_operator_keyframe_pool = {
    .info = {.name = "keyframe-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "keeps every n-th frame whole and pools the frames between",
             .formula =
                 "frames 0, every, 2 every ... as they are; the others are means over windows",
             .source =
                 "in the manner of Visual Context Window (progressive pooling), whose code is "
                 "not public",
             .differs = NULL,
             .cost = "N D additions",
             .columns = NULL},
    .parameters = {{"every", TSR_PARAMETER_INTEGER, "4", 1, 2147483647, NULL,
                    "distance of whole frames"},
                   WINDOW},
    .apply = keyframe_pool,
};

/* ---- window-query-pool ---- */

typedef struct query_work {
    const cells *c;
    const float *query, *key, *value; /* [cells, head], [n, head], [n, out] */
    float *y;                         /* [cells, out] */
    int64_t head, out;
} query_work;

static void query_cell(void *arg, int64_t cell, int worker) {
    const query_work *w = arg;
    int64_t list[MOST_WINDOW * MOST_WINDOW];
    double weight[MOST_WINDOW * MOST_WINDOW], most = -INFINITY, sum = 0;
    const int64_t count = tokens_of(w->c, cell, list);
    (void)worker;
    for (int64_t i = 0; i < count; ++i) {
        weight[i] = tsr_dot(w->query + cell * w->head, w->key + list[i] * w->head, w->head) /
                    sqrt((double)w->head);
        most = fmax(most, weight[i]);
    }
    for (int64_t i = 0; i < count; ++i)
        sum += weight[i] = exp(weight[i] - most);
    for (int64_t d = 0; d < w->out; ++d) {
        double y = 0;
        for (int64_t i = 0; i < count; ++i)
            y += weight[i] / sum * (double)w->value[list[i] * w->out + d];
        w->y[cell * w->out + d] = (float)y;
    }
}

/* Rows x [n, dim] times the matrix in a column, transposed: [n, *width]; x itself where there is no
 * such column. */
static const float *through_weight(tsr_operation *o, const char *name, const float *x, int64_t n,
                                   int64_t *width) {
    int64_t dim = o->in->channels, rows = 0;
    *width = dim;
    if (o->status || !tsr_operation_has_column(o, name)) return x;
    const float *weight = tsr_read_matrix(o, name, &rows, &dim);
    tsr_similarity s = {0};
    *width = rows;
    float *y = tsr_operation_take(o, n * rows, sizeof *y, name);
    if (o->status) return NULL;
    tsr_similarity_open(o, &s, TSR_SIMILARITY_DOT, weight, rows, dim);
    for (int64_t i = 0; i < n && !o->status; i += s.tile)
        tsr_similarity_others(&s, x + i * dim, n - i < s.tile ? n - i : s.tile, y + i * rows);
    tsr_similarity_close(&s);
    return y;
}

static void mean_cells(const cells *c, const float *x, int64_t dim, float *mean) {
    int64_t list[MOST_WINDOW * MOST_WINDOW];
    for (int64_t cell = 0; cell < count_cells(c); ++cell) {
        const int64_t count = tokens_of(c, cell, list);
        for (int64_t d = 0; d < dim; ++d) {
            double sum = 0;
            for (int64_t i = 0; i < count; ++i)
                sum += (double)x[list[i] * dim + d];
            mean[cell * dim + d] = (float)(sum / (double)count);
        }
    }
}

static void window_query_pool(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count, dim = o->in->channels,
                  window = tsr_operation_integer(o, "window");
    if (o->status) return;
    const cells c = cut_cells(grid, window);
    query_work w = {.c = &c};
    int64_t head = 0;
    float *mean = tsr_operation_take(o, count_cells(&c) * dim, sizeof *mean, "queries");
    if (o->status) return;
    mean_cells(&c, o->in->features, dim, mean);
    w.query = through_weight(o, "query.weight", mean, count_cells(&c), &head);
    w.key = through_weight(o, "key.weight", o->in->features, n, &w.head);
    w.value = through_weight(o, "value.weight", o->in->features, n, &w.out);
    if (!o->status && head != w.head)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column key.weight: wanted %lld rows like query.weight, got %lld",
                           (long long)head, (long long)w.head);
    w.y = tsr_operation_take(o, count_cells(&c) * w.out, sizeof *w.y, "features");
    if (o->status) return;
    tsr_parallel(o->ctx, count_cells(&c), query_cell, &w);
    replace_by_cells(o, &c, w.out, w.y);
}

const tsr_operator tsr_operator_window_query_pool = {
    .info = {.name = "window-query-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "lets one query attend in each window of a grid",
             .formula = "q = query.weight mean(window), k_i = key.weight x_i, v_i = value.weight "
                        "x_i; y = sum over the window of softmax(q k_i / sqrt(channels of k)) v_i; "
                        "a weight that is not given is the identity",
             .source = "QueCC (locuslab/llava-token-compression @ bdedebd) and, in the manner of, "
                       "Vision Remember and FLASH's draft tokens",
             .differs = "QueCC adds a text query and convolutions, which are learned; here the "
                        "query is the window's mean through a given weight",
             .cost = "N D (Q + K + V) multiply-adds for the weights, N times their channels else",
             .columns = "query.weight key.weight value.weight"},
    .parameters = {WINDOW},
    .apply = window_query_pool,
};
