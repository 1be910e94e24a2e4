/* SPDX-License-Identifier: MIT */
/* joins.c: tokens that join another one: of the same cell of the grid, or of an earlier frame. */
#include "average.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- cell-recycle ---- */

typedef struct scored {
    float score;
    int32_t index;
} scored;
static int lowest_first(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return x->index > y->index ? 1 : -1;
}

/* Scores of the tokens, none below 0. */
static const float *read_scores(tsr_operation *o) {
    const tsr_token_array a =
        tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    const float *score = a.data;
    for (int64_t i = 0; i < o->in->count && !o->status; ++i)
        if (score[i] < 0)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "column scores: token %lld: wanted a number not below 0, got %g",
                               (long long)i, (double)score[i]);
    return o->status ? NULL : score;
}

/* How many tokens are pruned, the spare ones among them. */
static int64_t count_low(tsr_operation *o, int64_t n, int64_t cell) {
    const double keep = tsr_operation_number(o, "keep");
    if (o->status) return 0;
    /* 1 - 0.9 is a little below 0.1, which must not cost a token. */
    const int64_t r = (int64_t)floor((double)n * (1 - keep) + 1e-9), low = r + n / (cell * cell);
    return r == 0 ? 0 : low < n ? low : n;
}

/* Marks the `count` lowest scores, the lowest index first among equals: low [n]. */
static void mark_low(tsr_operation *o, const float *score, int64_t n, int64_t count, uint8_t *low) {
    scored *list = tsr_operation_take(o, n, sizeof *list, "scores");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        list[i] = (scored){score[i], (int32_t)i};
    qsort(list, (size_t)n, sizeof *list, lowest_first);
    for (int64_t i = 0; i < count; ++i)
        low[list[i].index] = 1;
}

static int64_t cell_of(const int64_t *grid, int64_t cell, int64_t i) {
    const int64_t rows = (grid[1] + cell - 1) / cell, columns = (grid[2] + cell - 1) / cell;
    const int64_t t = i / (grid[1] * grid[2]), y = i / grid[2] % grid[1], x = i % grid[2];
    return (t * rows + y / cell) * columns + x / cell;
}

/* The low token with the highest score of each cell, the lowest index among equals: of_cell
 * [cells], -1 where a cell has no low token. */
static void find_representatives(const int64_t *grid, int64_t cell, const float *score,
                                 const uint8_t *low, int64_t n, int64_t cells, int32_t *of_cell) {
    for (int64_t c = 0; c < cells; ++c)
        of_cell[c] = -1;
    for (int64_t i = 0; i < n; ++i) {
        int32_t *best = of_cell + cell_of(grid, cell, i);
        if (low[i] && (*best < 0 || score[i] > score[*best])) *best = (int32_t)i;
    }
}

static void cell_recycle(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count, d = o->in->channels,
                  cell = tsr_operation_integer(o, "cell");
    const float *score = read_scores(o);
    const int64_t lows = count_low(o, n, cell),
                  cells = o->status ? 0 : cell_of(grid, cell, n - 1) + 1;
    uint8_t *low = tsr_operation_take(o, n, sizeof *low, "low tokens");
    int32_t *of_cell = tsr_operation_take(o, cells, sizeof *of_cell, "cells"),
            *map = tsr_operation_take(o, n, sizeof *map, "map"),
            *index = tsr_operation_take(o, n, sizeof *index, "indices"),
            *list = tsr_operation_take(o, lows, sizeof *list, "low tokens"),
            *owner = tsr_operation_take(o, lows, sizeof *owner, "low tokens"), rows = 0;
    mark_low(o, score, n, lows, low);
    if (o->status) return;
    find_representatives(grid, cell, score, low, n, cells, of_cell);
    for (int64_t i = 0; i < n; ++i) /* representatives and the rest, ascending */
        if (!low[i] || of_cell[cell_of(grid, cell, i)] == i) {
            index[rows] = (int32_t)i;
            map[i] = rows++;
        }
    for (int64_t i = 0, at = 0; i < n; ++i)
        if (low[i]) {
            list[at] = (int32_t)i;
            owner[at] = of_cell[cell_of(grid, cell, i)];
            map[i] = map[owner[at++]];
        }
    float *y = tsr_operation_take(o, rows * d, sizeof *y, "features");
    tsr_average(o, o->in->features, n, d, score, map, rows, y);
    tsr_operation_trace_i32(o, "indices", index, rows);
    tsr_operation_trace_i32(o, "low", list, lows);
    tsr_operation_trace_i32(o, "representative_of_low", owner, lows);
    tsr_operation_merge(o, map, rows, y);
}

const tsr_operator tsr_operator_cell_recycle = {
    .info =
        {.name = "cell-recycle",
         .kind = TSR_OPERATOR_MERGE,
         .about = "merges the unimportant tokens of each cell of the grid into one",
         .formula =
             "low = the r + e lowest scores, r = floor(N (1 - keep)), e = floor(N / cell^2); "
             "the low tokens of a cell of cell x cell become their mean, weighted by score, in "
             "the place of the highest of them; all others stay",
         .source = "VFlowOpt, third-party port (ssoree912/VFlowOpt_llava1.5 @ d5f3cd4)",
         .differs =
             "As in the port N - r - e + (cells with a low token) tokens come out, close to "
             "N - r; with keep=1 nothing changes here. Its layout of two scales is not made: one "
             "grid, whose frames each have cells of their own",
         .cost = "N log N comparisons, N D multiply-adds",
         .columns = "scores"},
    .parameters = {{"keep", TSR_PARAMETER_NUMBER, NULL, 0, 1, NULL, "share of the tokens to keep"},
                   {"cell", TSR_PARAMETER_INTEGER, "6", 1, 1 << 15, NULL,
                    "side of a cell, tokens"}},
    .apply = cell_recycle,
};

/* ---- temporal-dedupe ---- */

/* What is joined: single tokens, or whole frames of `width` tokens each. */
typedef struct units {
    int64_t count, width;
    const float *x; /* [count, dim] what they are compared by */
    int64_t dim;
} units;

static units read_units(tsr_operation *o) {
    units u = {o->in->count, 1, o->in->features, o->in->channels};
    const bool frames = tsr_operation_is(o, "unit", "frame"),
               picks = tsr_operation_is(o, "metric", "picks");
    if (!o->status && frames && picks)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "metric: wanted features of frames, got picks");
    if (frames) {
        const int64_t *grid = tsr_operation_grid(o);
        if (!o->status)
            u = (units){grid[0], grid[1] * grid[2], o->in->features,
                        grid[1] * grid[2] * o->in->channels};
    } else if (picks) {
        const tsr_token_array a =
            tsr_operation_column(o, "picks", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
        u.x = a.data;
        u.dim = a.dim[1];
    }
    return u;
}

/* The most similar earlier unit of each, the lowest of equal ones, where it is more similar than
 * the threshold; else -1. */
static void find_parents(tsr_operation *o, const units *u, double threshold, int32_t *parent) {
    tsr_similarity s;
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, u->x, u->count, u->dim);
    float *tile = tsr_operation_take(o, s.tile * u->count, sizeof *tile, "cosines");
    for (int64_t first = 0; first < u->count && !o->status; first += s.tile) {
        const int64_t rows = tsr_similarity_rows(&s, first, tile);
        for (int64_t r = 0; r < rows; ++r) {
            const float *row = tile + r * u->count;
            int64_t best = 0;
            for (int64_t j = 1; j < first + r; ++j)
                if (row[j] > row[best]) best = j;
            const bool joins = first + r > 0 && ((double)row[best] + 1) / 2 > threshold;
            parent[first + r] = joins ? (int32_t)best : -1;
        }
    }
    tsr_similarity_close(&s);
}

static void temporal_dedupe(tsr_operation *o) {
    const units u = read_units(o);
    const bool published = tsr_operation_is(o, "variant", "published");
    const double threshold = tsr_operation_number(o, "threshold");
    int32_t *parent = tsr_operation_take(o, u.count, sizeof *parent, "parents"),
            *place = tsr_operation_take(o, u.count, sizeof *place, "places"),
            *kept = tsr_operation_take(o, u.count, sizeof *kept, "kept"),
            *map = tsr_operation_take(o, o->in->count, sizeof *map, "map"), rows = 0, lost = 0;
    find_parents(o, &u, threshold, parent);
    if (o->status) return;
    for (int64_t i = 0; i < u.count; ++i) {
        const int32_t p = parent[i]; /* an earlier unit, whose place is known */
        if (p < 0) {
            kept[rows] = (int32_t)i;
            place[i] = rows++;
        } else
            place[i] = published && parent[p] >= 0 ? -1 : place[p];
        lost += place[i] < 0;
    }
    for (int64_t i = 0; i < o->in->count; ++i) {
        const int32_t p = place[i / u.width];
        map[i] = p < 0 ? -1 : (int32_t)(p * u.width + i % u.width);
    }
    tsr_operation_trace_i32(o, "parent", parent, u.count);
    tsr_operation_trace_i32(o, "kept", kept, rows);
    tsr_operation_trace_i32(o, "rows_lost", &lost, 1);
    const bool frames = tsr_operation_is(o, "unit", "frame");
    tsr_operation_replace(o, map, rows * u.width, o->in->channels, NULL,
                          frames ? (int64_t[]){rows, o->in->grid[1], o->in->grid[2]} : NULL);
}

const tsr_operator tsr_operator_temporal_dedupe = {
    .info =
        {.name = "temporal-dedupe",
         .kind = TSR_OPERATOR_MERGE,
         .about = "joins a token, or a frame, to its most similar earlier one and averages both",
         .formula =
             "similarity = (cosine + 1) / 2 to every earlier one; above the threshold it joins "
             "the most similar; what did not join stays, ascending, averaged with all that "
             "lead to it",
         .source = "B-VLLM (zhuqiangLu/B-VLLM @ 51ccbf0, threshold_soft_matching, merge_temporal)",
         .differs = "what joins one that has joined itself is lost with it "
                    "(variant=published); here joins are followed to their end. Published compares "
                    "distributions of picks, with Gumbel noise also at inference; here features "
                    "unless metric=picks, and no noise. Whole frames (unit=frame) are ours",
         .cost = "n^2 / 2 cosines of n tokens or frames; no n x n matrix",
         .columns = "picks"},
    .parameters = {{"threshold", TSR_PARAMETER_NUMBER, "0.75", 0, 1, NULL,
                    "least similarity that joins"},
                   {"unit", TSR_PARAMETER_CHOICE, "token", 0, 0, "token|frame", "what joins"},
                   {"metric", TSR_PARAMETER_CHOICE, "features", 0, 0, "features|picks",
                    "what is compared: features, or the column picks, [tokens, frames]"},
                   {"variant", TSR_PARAMETER_CHOICE, "roots", 0, 0, "roots|published",
                    "what happens to a join to what has joined itself"}},
    .apply = temporal_dedupe,
};
