/* SPDX-License-Identifier: MIT */
/* density_peaks.c: clustering by density peaks, with the density of k nearest neighbours.
 *
 * Three things are asked of every token: its nearest neighbours (density), its nearest denser token
 * (delta), and in the end its nearest centre. One pass over tiles of squared distances keeps a
 * short list of the nearest of each token. The nearest denser token and the nearest centre are
 * mostly in that list; products are made again for the tokens of which they are not. No N x N
 * matrix is stored. Distances that count, those of k neighbours and deltas, are computed again in
 * float64, so that copies of a token are at distance 0.
 *
 * On a cpu with products of bytes these make the lists (near_lists.h), of all that is nearer than a
 * radius that is known for each token. */
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"
#include "near_lists.h"
#include "recorded.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LISTED = 16,       /* nearest that are kept of each token, or k where that is more */
    LOOK = 64,         /* distances that are looked at together */
    BLOCKS = 12,       /* blocks that tokens are cut into, of at least ... */
    LEAST_WIDTH = 128, /* ... so many */
    COLUMNS = 16       /* columns of a tile that are read together */
};

typedef struct peaks {
    tsr_operation *o;
    const float *x; /* [n, dim] */
    int64_t n, dim;
    int64_t k, listed;
    float *near;      /* [n, listed] squared distances, ascending, ties by index */
    int32_t *nearest; /* [n, listed] their tokens */
    int32_t *count;   /* [n] of them so far */
    float *radius;    /* [n] all tokens at smaller squared distances are listed */
    tsr_near_lists lists;
    bool by_bytes;   /* the lists are in use, and no block is open */
    float *farthest; /* [n] largest squared distance of each token */
    int32_t *farthest_token;
    float *density, *delta, *score; /* [n] */
    int32_t *rank;                  /* [n] 0 for the densest token */

    /* distances: |a|^2 + |b|^2 - 2 a b of rows less the mean of all */
    float *mean;                  /* [dim] */
    float *centred;               /* [n, dim] */
    double *length;               /* [n] squared lengths of centred rows */
    tsr_similarity block[BLOCKS]; /* `width` tokens each, the last one fewer */
    int64_t blocks, width;

    /* the tile at hand: rows against the columns of a block */
    float *tile; /* [rows, columns] */
    int64_t rows, columns;
    int64_t first, first_column; /* tokens of row 0 and of column 0 */
    float *turned;               /* of each worker: [COLUMNS, rows] */
    const int32_t *picked;       /* tokens of the rows in the second pass */
    int32_t *best;               /* [rows] nearest denser token so far, in the second pass */
    float *at;                   /* [rows] its squared distance */
} peaks;

/* Distance divided by sqrt(dim), float64. */
static double exact_distance(const peaks *p, int64_t i, int64_t j) {
    return sqrt(tsr_square_distance(p->x + i * p->dim, p->x + j * p->dim, p->dim) / (double)p->dim);
}

/* ---- squared distances, a tile at a time ---- */

static void centre_tile(void *arg, int64_t t, int worker) {
    peaks *p = arg;
    (void)worker;
    for (int64_t i = t * LOOK; i < (t + 1) * LOOK && i < p->n; ++i) {
        float *to = p->centred + i * p->dim;
        for (int64_t j = 0; j < p->dim; ++j)
            to[j] = p->x[i * p->dim + j] - p->mean[j];
        p->length[i] = tsr_dot(to, to, p->dim);
    }
}

static void centre_rows(peaks *p) {
    p->centred = tsr_operation_take_raw(p->o, p->n * p->dim, sizeof(float), "centred tokens");
    p->length = tsr_operation_take(p->o, p->n, sizeof(double), "lengths");
    p->mean = tsr_operation_take(p->o, p->dim, sizeof *p->mean, "mean");
    tsr_mean_of_columns(p->o, p->x, p->n, p->dim, p->mean);
    if (!p->o->status) tsr_parallel(p->o->ctx, (p->n + LOOK - 1) / LOOK, centre_tile, p);
}

static void open_blocks(peaks *p) {
    int64_t values = 0, rows = 0;
    p->width = ((p->n + BLOCKS - 1) / BLOCKS + LOOK - 1) / LOOK * LOOK;
    if (p->width < LEAST_WIDTH) p->width = LEAST_WIDTH;
    for (int64_t c = 0; c < p->n; c += p->width) {
        tsr_similarity *s = &p->block[p->blocks++];
        const int64_t columns = p->n - c < p->width ? p->n - c : p->width;
        tsr_similarity_open(p->o, s, TSR_SIMILARITY_DOT, p->centred + c * p->dim, columns, p->dim);
        if (s->tile * columns > values) values = s->tile * columns;
        if (s->tile > rows) rows = s->tile;
    }
    p->tile = tsr_operation_take_raw(p->o, values, sizeof(float), "distances");
    p->turned = tsr_operation_take_raw(p->o, tsr_thread_count(p->o->ctx) * COLUMNS * rows,
                                       sizeof(float), "distances");
}

static void close_blocks(peaks *p) {
    for (int64_t b = 0; b < p->blocks; ++b)
        tsr_similarity_close(&p->block[b]);
}

/* Products of one row with the columns become squared distances. */
TSR_CLONES static void to_distances(float *y, double own, const double *length, int64_t n) {
    for (int64_t j = 0; j < n; ++j) {
        const float d = (float)(own + length[j] - 2 * (double)y[j]);
        y[j] = d > 0 ? d : 0;
    }
}

/* ---- first pass: the nearest of each token, and its density ---- */

/* True where one of n numbers is below `low` or above `high`: most of a row is neither. */
TSR_CLONES static bool any_outside(const float *x, int64_t n, float low, float high) {
    int outside = 0;
    for (int64_t i = 0; i < n; ++i)
        outside |= (x[i] < low) | (x[i] > high);
    return outside;
}

/* Offers tokens from, from + 1, ... at these squared distances to the list of token i. Tokens are
 * offered in ascending order, so that of equal distances the lowest index comes first. */
static void offer(peaks *p, int64_t i, int64_t from, const float *distance, int64_t n) {
    float *near = p->near + i * p->listed, most = p->farthest[i];
    int32_t *nearest = p->nearest + i * p->listed;
    int64_t count = p->count[i], far = -1;
    for (int64_t first = 0; first < n; first += LOOK) {
        const int64_t end = n - first < LOOK ? n : first + LOOK;
        if (count == p->listed &&
            !any_outside(distance + first, end - first, near[count - 1], most))
            continue;
        for (int64_t j = first; j < end; ++j) {
            const float d = distance[j];
            if (d > most) {
                most = d;
                far = j;
            }
            if (count == p->listed && !(d < near[count - 1])) continue;
            int64_t at = count < p->listed ? count++ : count - 1;
            for (; at > 0 && d < near[at - 1]; --at) {
                near[at] = near[at - 1];
                nearest[at] = nearest[at - 1];
            }
            near[at] = d;
            nearest[at] = (int32_t)(from + j);
        }
    }
    p->count[i] = (int32_t)count;
    if (far < 0) return;
    p->farthest[i] = most;
    p->farthest_token[i] = (int32_t)(from + far);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* exp(-mean of the k smallest squared distances), the token's own, 0, among them. Summed from the
 * smallest, so that copies of a token have its density to the bit. */
static float density_of(const peaks *p, int64_t i) {
    double square[LISTED];
    const int64_t k = p->k < LISTED ? p->k : LISTED;
    double sum = 0;
    for (int64_t j = 0; j < k; ++j) {
        const int64_t other = p->nearest[i * p->listed + j];
        const double d = other == i ? 0 : exact_distance(p, i, other);
        square[j] = d * d;
    }
    qsort(square, (size_t)k, sizeof *square, ascending);
    for (int64_t j = 0; j < k; ++j)
        sum += square[j];
    for (int64_t j = k; j < p->k; ++j)
        sum += (double)p->near[i * p->listed + j] / (double)p->dim;
    return (float)exp(-sum / (double)p->k);
}

static void offer_row(void *arg, int64_t r, int worker) {
    peaks *p = arg;
    float *row = p->tile + r * p->columns;
    (void)worker;
    to_distances(row, p->length[p->first + r], p->length + p->first_column, p->columns);
    offer(p, p->first + r, p->first_column, row, p->columns);
}

static void offer_columns(void *arg, int64_t t, int worker) {
    peaks *p = arg;
    const int64_t c = t * COLUMNS, n = p->columns - c < COLUMNS ? p->columns - c : COLUMNS;
    float *turned = p->turned + (int64_t)worker * COLUMNS * p->rows;
    for (int64_t r = 0; r < p->rows; ++r)
        for (int64_t j = 0; j < n; ++j)
            turned[j * p->rows + r] = p->tile[r * p->columns + c + j];
    for (int64_t j = 0; j < n; ++j)
        offer(p, p->first_column + c + j, p->first, turned + j * p->rows, p->rows);
}

/* All pairs, once: the rows of a block's own tokens and of those before it. A row is offered the
 * block's tokens, and a token before the block is offered to them. */
static void first_pass(peaks *p) {
    tsr_operation *o = p->o;
    for (int64_t b = 0; b < p->blocks; ++b) {
        tsr_similarity *s = &p->block[b];
        p->first_column = b * p->width;
        p->columns = s->n;
        for (p->first = 0; p->first < p->first_column + s->n && !o->status; p->first += p->rows) {
            const bool before = p->first < p->first_column;
            const int64_t end = before ? p->first_column : p->first_column + s->n;
            p->rows = end - p->first < s->tile ? end - p->first : s->tile;
            tsr_similarity_others(s, p->centred + p->first * p->dim, p->rows, p->tile);
            if (o->status) return;
            tsr_parallel(o->ctx, p->rows, offer_row, p);
            if (before)
                tsr_parallel(o->ctx, (p->columns + COLUMNS - 1) / COLUMNS, offer_columns, p);
        }
    }
}

static void find_density(void *arg, int64_t at, int worker) {
    peaks *p = arg;
    const int64_t i = p->by_bytes ? p->lists.order[at] : at;
    (void)worker;
    p->density[i] = density_of(p, i);
}

/* ---- ranks: equal densities by index ---- */

typedef struct dense {
    float density;
    int32_t index;
} dense;
static int densest_first(const void *a, const void *b) {
    const dense *x = a, *y = b;
    if (x->density != y->density) return x->density < y->density ? 1 : -1;
    return x->index > y->index ? 1 : -1;
}

static void rank_tokens(peaks *p) {
    dense *list = tsr_operation_take(p->o, p->n, sizeof *list, "densities");
    if (p->o->status) return;
    for (int64_t i = 0; i < p->n; ++i)
        list[i] = (dense){p->density[i], (int32_t)i};
    qsort(list, (size_t)p->n, sizeof *list, densest_first);
    for (int64_t i = 0; i < p->n; ++i)
        p->rank[list[i].index] = (int32_t)i;
}

/* ---- delta: from the list, else by a second pass ---- */

static bool delta_from_list(peaks *p, int64_t i) {
    for (int64_t j = 0; j < p->count[i]; ++j) {
        const int32_t other = p->nearest[i * p->listed + j];
        if (p->rank[other] >= p->rank[i]) continue;
        p->delta[i] = (float)exact_distance(p, i, other);
        return true;
    }
    return false;
}

static void second_row(void *arg, int64_t r, int worker) {
    peaks *p = arg;
    const int64_t i = p->picked[r];
    float *row = p->tile + r * p->columns;
    const int32_t *rank = p->rank + p->first_column;
    (void)worker;
    to_distances(row, p->length[i], p->length + p->first_column, p->columns);
    for (int64_t j = 0; j < p->columns; ++j)
        if (rank[j] < p->rank[i] && (p->best[r] < 0 || row[j] < p->at[r])) {
            p->best[r] = (int32_t)(p->first_column + j);
            p->at[r] = row[j];
        }
}

/* The nearest denser token of tokens[0 .. count-1], by their products with all. */
static void second_pass(peaks *p, const int32_t *tokens, int64_t count) {
    tsr_operation *o = p->o;
    int32_t *best = tsr_operation_take(o, count, sizeof *best, "denser tokens");
    float *at = tsr_operation_take(o, count, sizeof *at, "distances");
    float *rows = tsr_operation_take_raw(o, LEAST_WIDTH * p->dim, sizeof *rows, "tokens");
    for (int64_t i = 0; i < count && !o->status; ++i)
        best[i] = -1;
    for (int64_t first = 0; first < count && !o->status; first += p->rows) {
        p->rows = count - first < LEAST_WIDTH ? count - first : LEAST_WIDTH;
        p->picked = tokens + first;
        p->best = best + first;
        p->at = at + first;
        for (int64_t b = 0; b < p->blocks && p->rows > p->block[b].tile; ++b)
            p->rows = p->block[b].tile;
        for (int64_t r = 0; r < p->rows; ++r)
            memcpy(rows + r * p->dim, p->centred + p->picked[r] * p->dim,
                   (size_t)p->dim * sizeof *rows);
        for (int64_t b = 0; b < p->blocks && !o->status; ++b) {
            p->first_column = b * p->width;
            p->columns = p->block[b].n;
            tsr_similarity_others(&p->block[b], rows, p->rows, p->tile);
            if (!o->status) tsr_parallel(o->ctx, p->rows, second_row, p);
        }
    }
    for (int64_t i = 0; i < count && !o->status; ++i)
        p->delta[tokens[i]] = (float)exact_distance(p, tokens[i], best[i]);
}

/* The same from the lists' products of bytes. */
static void second_by_bytes(peaks *p, const int32_t *tokens, int64_t count) {
    int32_t *best = tsr_operation_take_raw(p->o, count, sizeof *best, "denser tokens");
    if (!p->o->status) tsr_near_lists_lower(&p->lists, tokens, count, p->rank, best);
    for (int64_t i = 0; i < count && !p->o->status; ++i)
        p->delta[tokens[i]] = (float)exact_distance(p, tokens[i], best[i]);
}

/* The largest distance of all, for the densest token. */
static float largest_distance(const peaks *p) {
    int64_t best = 0;
    for (int64_t i = 1; i < p->n; ++i)
        if (p->farthest[i] > p->farthest[best]) best = i;
    return (float)exact_distance(p, best, p->farthest_token[best]);
}

static void find_deltas(peaks *p) {
    int32_t *left = tsr_operation_take(p->o, p->n, sizeof *left, "tokens");
    int64_t count = 0;
    rank_tokens(p);
    if (p->o->status) return;
    for (int64_t i = 0; i < p->n; ++i) {
        if (!p->rank[i])
            p->delta[i] = largest_distance(p);
        else if (!delta_from_list(p, i))
            left[count++] = (int32_t)i;
    }
    if (count && p->by_bytes)
        second_by_bytes(p, left, count);
    else if (count)
        second_pass(p, left, count);
}

/* The first pass with products of bytes, where they are of use. */
static bool first_by_bytes(peaks *p) {
    p->lists = (tsr_near_lists){.o = p->o,
                                .x = p->x,
                                .centred = p->centred,
                                .length = p->length,
                                .n = p->n,
                                .dim = p->dim,
                                .k = p->k,
                                .listed = p->listed,
                                .near = p->near,
                                .nearest = p->nearest,
                                .count = p->count,
                                .radius = p->radius};
    p->by_bytes = !p->o->status && tsr_near_lists_find(&p->lists);
    if (p->by_bytes) {
        p->farthest[p->lists.apart[0]] = 0; /* the others are at -1 */
        p->farthest_token[p->lists.apart[0]] = p->lists.apart[1];
    }
    return p->by_bytes;
}

static void first_by_floats(peaks *p) {
    open_blocks(p);
    first_pass(p);
    for (int64_t i = 0; i < p->n && !p->o->status; ++i)
        p->radius[i] = p->listed == p->n ? INFINITY : p->near[(i + 1) * p->listed - 1];
}

static void find_peaks(peaks *p) {
    for (int64_t i = 0; i < p->n; ++i)
        p->farthest[i] = -1;
    centre_rows(p);
    if (!first_by_bytes(p)) first_by_floats(p);
    if (!p->o->status) tsr_parallel(p->o->ctx, p->n, find_density, p);
    find_deltas(p);
    close_blocks(p);
    for (int64_t i = 0; i < p->n && !p->o->status; ++i)
        p->score[i] = p->density[i] * p->delta[i];
}

/* ---- centres and their members ---- */

/* The nearest centre of token i, if the list of its nearest shows it. Of centres at one distance
 * the first. number [n]: of each centre, -1 for other tokens. */
static int32_t listed_centre(const peaks *p, int64_t i, const int32_t *number) {
    const float *near = p->near + i * p->listed;
    const int32_t *nearest = p->nearest + i * p->listed;
    int32_t best = -1;
    float at = 0;
    for (int64_t j = 0; j < p->count[i] && (best < 0 || near[j] == at); ++j) {
        const int32_t c = number[nearest[j]];
        if (c >= 0 && (best < 0 || c < best)) {
            best = c;
            at = near[j];
        }
    }
    return at < p->radius[i] ? best : -1;
}

typedef struct joining {
    const float *tile; /* [rows, centres] squared distances */
    int64_t centres;
    const int32_t *token; /* of each row */
    int32_t *cluster;     /* [n] */
} joining;

static void join_row(void *arg, int64_t r, int worker) {
    const joining *w = arg;
    const float *row = w->tile + r * w->centres;
    int64_t best = 0;
    (void)worker;
    for (int64_t j = 1; j < w->centres; ++j)
        if (row[j] < row[best]) best = j;
    w->cluster[w->token[r]] = (int32_t)best;
}

/* The nearest centre of these tokens, by a product with all centres. */
static void join_by_product(peaks *p, const int32_t *centre, int64_t centres, const int32_t *token,
                            int64_t count, int32_t *cluster) {
    tsr_operation *o = p->o;
    tsr_similarity s;
    float *columns = tsr_operation_take_raw(o, centres * p->dim, sizeof *columns, "centres");
    for (int64_t i = 0; i < centres && !o->status; ++i)
        memcpy(columns + i * p->dim, p->x + centre[i] * p->dim, (size_t)p->dim * sizeof *columns);
    tsr_similarity_open(o, &s, TSR_SIMILARITY_SQUARE_DISTANCE, columns, centres, p->dim);
    float *tile = tsr_operation_take_raw(o, s.tile * centres, sizeof *tile, "distances");
    float *rows = tsr_operation_take_raw(o, s.tile * p->dim, sizeof *rows, "tokens");
    for (int64_t first = 0; first < count && !o->status; first += s.tile) {
        const int64_t n = count - first < s.tile ? count - first : s.tile;
        for (int64_t i = 0; i < n; ++i)
            memcpy(rows + i * p->dim, p->x + token[first + i] * p->dim,
                   (size_t)p->dim * sizeof *rows);
        tsr_similarity_others(&s, rows, n, tile);
        joining w = {tile, centres, token + first, cluster};
        if (!o->status) tsr_parallel(o->ctx, n, join_row, &w);
    }
    tsr_similarity_close(&s);
}

/* The nearest centre of every token, the first of equal ones; a centre its own. */
static void join_centres(peaks *p, const int32_t *centre, int64_t centres, int32_t *cluster) {
    int32_t *number = tsr_operation_take(p->o, p->n, sizeof *number, "centres"),
            *left = tsr_operation_take(p->o, p->n, sizeof *left, "tokens");
    int64_t count = 0;
    if (p->o->status) return;
    for (int64_t i = 0; i < p->n; ++i)
        number[i] = -1;
    for (int64_t i = 0; i < centres; ++i)
        number[centre[i]] = (int32_t)i;
    for (int64_t i = 0; i < p->n; ++i) {
        cluster[i] = number[i] >= 0 ? number[i] : listed_centre(p, i, number);
        if (cluster[i] < 0) left[count++] = (int32_t)i;
    }
    if (count) join_by_product(p, centre, centres, left, count, cluster);
}

/* The count tokens of highest score, the lowest index among equals, in falling order. */
static void pick_centres(peaks *p, int64_t count, int32_t *centre) {
    dense *list = tsr_operation_take(p->o, p->n, sizeof *list, "scores");
    if (p->o->status) return;
    for (int64_t i = 0; i < p->n; ++i)
        list[i] = (dense){p->score[i], (int32_t)i};
    qsort(list, (size_t)p->n, sizeof *list, densest_first);
    for (int64_t i = 0; i < count; ++i)
        centre[i] = list[i].index;
}

/* ---- the operator ---- */

static int64_t count_centres(tsr_operation *o, int64_t n) {
    if (tsr_operation_has(o, "k") || !tsr_operation_has(o, "ratio")) return tsr_select_count(o, n);
    const int64_t k = (int64_t)ceil((double)n * tsr_operation_number(o, "ratio"));
    return k < 1 ? 1 : k;
}

static void dpc_knn(tsr_operation *o) {
    const int64_t n = o->in->count, count = count_centres(o, n);
    int64_t k = tsr_operation_integer(o, "neighbours");
    if (k > count) k = count / 2 > 3 ? 3 : count / 2 > 1 ? count / 2 : 1;
    if (k > n) k = n;
    peaks p = {.o = o, .x = o->in->features, .n = n, .dim = o->in->channels, .k = k};
    p.listed = k > LISTED ? k : LISTED < n ? LISTED : n;
    p.near = tsr_operation_take_raw(o, n * p.listed, sizeof *p.near, "nearest tokens");
    p.nearest = tsr_operation_take_raw(o, n * p.listed, sizeof *p.nearest, "nearest tokens");
    p.count = tsr_operation_take(o, n, sizeof *p.count, "nearest tokens");
    p.radius = tsr_operation_take(o, n, sizeof *p.radius, "distances");
    p.farthest = tsr_operation_take(o, n, sizeof *p.farthest, "distances");
    p.farthest_token = tsr_operation_take(o, n, sizeof *p.farthest_token, "distances");
    p.density = tsr_operation_take(o, n, sizeof *p.density, "densities");
    p.delta = tsr_operation_take(o, n, sizeof *p.delta, "distances");
    p.score = tsr_operation_take(o, n, sizeof *p.score, "scores");
    p.rank = tsr_operation_take(o, n, sizeof *p.rank, "ranks");
    int32_t *centre = tsr_operation_take(o, count, sizeof *centre, "centres");
    int32_t *cluster = tsr_operation_take(o, n, sizeof *cluster, "clusters");
    if (o->status) return;
    find_peaks(&p);
    pick_centres(&p, count, centre);
    join_centres(&p, centre, count, cluster);
    tsr_operation_trace_i32(o, "centres", centre, count);
    tsr_operation_trace_f32(o, "density", p.density, n);
    tsr_operation_trace_f32(o, "delta", p.delta, n);
    tsr_operation_merge(o, cluster, count, NULL);
}

const tsr_operator tsr_operator_dpc_knn = {
    .info =
        {.name = "dpc-knn",
         .kind = TSR_OPERATOR_MERGE,
         .about = "clusters tokens around density peaks and averages each cluster",
         .formula =
             "d = |x_i - x_j| / sqrt(D); density = exp(-mean of the smallest d^2, the token's own "
             "among them); delta = d to the nearest denser token, or the largest d of all; centres "
             "= "
             "the k largest density * delta; every token joins its nearest centre, clusters are "
             "averaged. Where k is below `neighbours`, min(3, max(floor(k / 2), 1)) count",
         .source = "PPE (MouxiaoHuang/PPE @ 7b6aa7d, cluster_dpc_knn, merge_tokens)",
         .differs =
             "noise up to 1e-6 is added to densities, so that results change from run "
             "to "
             "run, and decides alone for k <= 4; here none, and of equal densities the lower index "
             "is denser. Published means divide by n + 1e-6 and forget sizes; here means are "
             "weighted by size. New tokens come by falling density * delta, as published",
         .cost =
             "N^2 D / 2 multiply-adds for all pairs of tokens, of bytes where the processor has "
             "them, else a twelfth more, and a few per cent again; 2 N D + 32 N numbers, no N x N "
             "matrix",
         .columns = NULL},
    .parameters = {{"k", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "clusters; or give ratio"},
                   {"ratio", TSR_PARAMETER_NUMBER, NULL, 0, 1, NULL,
                    "clusters as a share of the tokens, rounded up; or give k"},
                   {"neighbours", TSR_PARAMETER_INTEGER, "5", 1, 4096, NULL,
                    "nearest tokens that make a density"}},
    .apply = dpc_knn,
    .record = tsr_record_dpc_knn,
};
