/* SPDX-License-Identifier: MIT */
/* near_lists.c: see near_lists.h. A rough squared distance of rows i and j is off by at most
 * slack[i] / 2. Whatever is not listed of row i is then farther than its k-th rough distance and
 * slack[i] / 2. */
#include "near_lists.h"
#include "../compute/cpu/simd.h"
#include "../compute/sums.h"
#include "../compute/threads.h"
#include "products.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ROOM = 40,     /* rows that are listed of one row before their distances are known */
    FAR_ROOM = 24, /* the same of rows that may be the farthest of all */
    LOOK = 32,
    SIDE_MOST = 384,   /* columns of a block */
    ROWS_FROM = 256,   /* with fewer rows f32 products take as long */
    MOST_LEFT = 32,    /* of so many rows one may be left for a look at all others */
    TRIAL = 24,        /* rows that tell whether bytes are of use, ... */
    TRIAL_LEFT = 8,    /* ... where one in so many is left */
    LENGTH_MOST = 1000 /* times the shortest length: bytes of longer rows drown those of shorter */
};

typedef struct list {
    float least[TSR_NEAR_MOST]; /* the k smallest rough distances, ascending */
    float lost;                 /* smallest that the list had no room for */
    int32_t count;
    int32_t row[ROOM];
    float rough[ROOM];
} list;

typedef struct far_list {
    float lost; /* greatest that the list had no room for */
    int32_t count;
    int32_t row[FAR_ROOM];
    float rough[FAR_ROOM];
} far_list;

typedef struct tsr_near_rough {
    tsr_near_lists *l;
    tsr_byte_rows bytes;
    float worst;        /* greatest error of a row */
    float longest;      /* greatest length */
    float *square;      /* [n] squared lengths */
    float *length;      /* [n] */
    float *slack;       /* [n] */
    float far_slack;    /* greatest of them */
    list *lists;        /* [n] */
    far_list *far;      /* [n] */
    atomic_int highest; /* bits of the greatest rough distance so far */
    int32_t *order;     /* [n] rows in the order in which distances are computed */
    /* of tsr_near_lists_lower */
    const int32_t *picked, *rank;
    int32_t *lower;
} rough;

/* ---- lists ---- */

static void prune(list *c, float most) {
    int32_t kept = 0;
    for (int32_t i = 0; i < c->count; ++i)
        if (c->rough[i] <= most) {
            c->row[kept] = c->row[i];
            c->rough[kept++] = c->rough[i];
        }
    c->count = kept;
}

/* Rows that are farther need not be offered. */
static float most_of(const list *c, int64_t k, float slack) {
    const float most = c->least[k - 1] + slack;
    return most < c->lost ? most : c->lost;
}

/* Notes the distance of a row. */
static void note(list *c, int64_t k, float d) {
    int64_t at = k - 1;
    if (!(d < c->least[at])) return;
    for (; at > 0 && d < c->least[at - 1]; --at)
        c->least[at] = c->least[at - 1];
    c->least[at] = d;
}

/* Lists a row whose distance is noted. */
static void offer(list *c, int64_t k, int64_t row, float d, float slack) {
    if (c->count == ROOM) prune(c, c->least[k - 1] + slack);
    int32_t at = c->count;
    if (at == ROOM) { /* the farthest goes */
        at = 0;
        for (int32_t i = 1; i < ROOM; ++i)
            if (c->rough[i] > c->rough[at]) at = i;
        const float gone = c->rough[at] > d ? c->rough[at] : d;
        if (gone < c->lost) c->lost = gone;
        if (gone == d) return;
    } else
        ++c->count;
    c->row[at] = (int32_t)row;
    c->rough[at] = d;
}

static void begin_list(list *c) {
    for (int i = 0; i < TSR_NEAR_MOST; ++i)
        c->least[i] = FLT_MAX / 4;
    c->lost = FLT_MAX;
    c->count = 0;
}

/* Whether the list has room for all rows within the slack of the k-th. */
static bool is_whole(const list *c, int64_t k, float slack) {
    return c->lost > c->least[k - 1] + slack;
}

static void offer_far(far_list *c, int64_t row, float d, float least) {
    if (c->count == FAR_ROOM) {
        int32_t kept = 0;
        for (int32_t i = 0; i < c->count; ++i)
            if (c->rough[i] >= least) {
                c->row[kept] = c->row[i];
                c->rough[kept++] = c->rough[i];
            }
        c->count = kept;
    }
    if (c->count == FAR_ROOM) {
        if (d > c->lost) c->lost = d;
        return;
    }
    c->row[c->count] = (int32_t)row;
    c->rough[c->count++] = d;
}

/* ---- blocks of rough distances ---- */

/* Products with columns become squared distances. */
TSR_CLONES static void to_distances(float *y, float own, float scale, const float *square,
                                    const float *length, int64_t n) {
    for (int64_t j = 0; j < n; ++j)
        y[j] = own + square[j] - scale * length[j] * y[j];
}

/* Whether one of n numbers is at most its own `most`. */
TSR_CLONES static bool any_within_each(const float *y, int64_t n, const float *most) {
    int within = 0;
    for (int64_t i = 0; i < n; ++i)
        within |= y[i] <= most[i];
    return within;
}

/* Whether one of n numbers is at most `low`, or at least `high`. */
TSR_CLONES static int any_outside(const float *y, int64_t n, float low, float high) {
    int below = 0, above = 0;
    for (int64_t i = 0; i < n; ++i) {
        below |= y[i] <= low;
        above |= y[i] >= high;
    }
    return below | above << 1;
}

static float float_of(int32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The distance from which on a pair may be the farthest. Positive floats are ordered as their bits
 * are, so that threads agree on the greatest. */
static float far_from(rough *w, float highest) {
    int32_t bits;
    int seen = atomic_load_explicit(&w->highest, memory_order_relaxed);
    memcpy(&bits, &highest, sizeof bits);
    while (bits > seen && !atomic_compare_exchange_weak_explicit(
                              &w->highest, &seen, bits, memory_order_relaxed, memory_order_relaxed))
        ;
    return float_of(bits > seen ? bits : seen) - w->far_slack;
}

/* Row i looks at columns from .. from + n - 1. */
static void look(rough *w, int64_t i, int64_t from, const float *y, int64_t n) {
    list *c = &w->lists[i];
    const int64_t k = w->l->k;
    const float slack = w->slack[i];
    float far = far_from(w, 0);
    for (int64_t j0 = 0; j0 < n; j0 += LOOK) { /* first, so that little is listed in vain */
        const int64_t end = n - j0 < LOOK ? n : j0 + LOOK;
        if (!(any_outside(y + j0, end - j0, c->least[k - 1], FLT_MAX) & 1)) continue;
        for (int64_t j = j0; j < end; ++j)
            note(c, k, y[j]);
    }
    for (int64_t j0 = 0; j0 < n; j0 += LOOK) {
        const int64_t end = n - j0 < LOOK ? n : j0 + LOOK;
        const int outside = any_outside(y + j0, end - j0, most_of(c, k, slack), far);
        if (outside & 1)
            for (int64_t j = j0; j < end; ++j)
                if (y[j] <= most_of(c, k, slack)) offer(c, k, from + j, y[j], slack);
        if (outside & 2)
            for (int64_t j = j0; j < end; ++j) {
                if (y[j] < far) continue;
                far = far_from(w, y[j]);
                offer_far(&w->far[i], from + j, y[j], far);
            }
    }
}

static void look_at_pairs(void *arg, const tsr_block *b) {
    rough *w = arg;
    const bool same = b->first >= b->from && b->first < b->from + b->columns;
    const int64_t k = w->l->k;
    float most[SIDE_MOST];
    for (int64_t j = 0; j < b->columns; ++j)
        most[j] = most_of(&w->lists[b->from + j], k, w->slack[b->from + j]);
    for (int64_t r = 0; r < b->rows; ++r) {
        const int64_t i = b->first + r;
        float *y = b->y + r * b->ld;
        to_distances(y, w->square[i], 2 * w->bytes.step[i] * w->length[i], w->square + b->from,
                     w->length + b->from, b->columns);
        look(w, i, b->from, y, b->columns);
        for (int64_t j0 = 0; !same && j0 < b->columns; j0 += LOOK) {
            const int64_t end = b->columns - j0 < LOOK ? b->columns : j0 + LOOK;
            if (!any_within_each(y + j0, end - j0, most + j0)) continue;
            for (int64_t j = j0; j < end; ++j) {
                if (y[j] > most[j]) continue;
                const int64_t other = b->from + j;
                note(&w->lists[other], k, y[j]);
                offer(&w->lists[other], k, i, y[j], w->slack[other]);
                most[j] = most_of(&w->lists[other], k, w->slack[other]);
            }
        }
    }
}

/* ---- distances in f32 ---- */

static float distance(const tsr_near_lists *l, int64_t i, int64_t j) {
    return i == j ? 0 : tsr_square_distance_f32(l->x + i * l->dim, l->x + j * l->dim, l->dim);
}

/* Puts row j at distance d among the nearest of row i. */
static void insert(tsr_near_lists *l, int64_t i, int32_t j, float d) {
    float *near = l->near + i * l->listed;
    int32_t *nearest = l->nearest + i * l->listed;
    int64_t at = l->count[i];
    if (at == l->listed) {
        /* the last one goes, or the new one: from here on the list is not whole */
        const float border = d < near[at - 1] ? near[at - 1] : d;
        if (border < l->radius[i]) l->radius[i] = border;
        if (d > near[at - 1] || (d == near[at - 1] && j > nearest[at - 1])) return;
        --at;
    } else
        ++l->count[i];
    for (; at > 0 && (d < near[at - 1] || (d == near[at - 1] && j < nearest[at - 1])); --at) {
        near[at] = near[at - 1];
        nearest[at] = nearest[at - 1];
    }
    near[at] = d;
    nearest[at] = j;
}

static void measure(void *arg, int64_t at, int worker) {
    const rough *w = arg;
    tsr_near_lists *l = w->l;
    const int64_t i = w->order[at];
    const list *c = &w->lists[i];
    const float kth = c->least[l->k - 1], slack = w->slack[i];
    const bool whole = is_whole(c, l->k, slack);
    (void)worker;
    l->count[i] = 0;
    l->radius[i] = whole ? kth + slack / 2 : INFINITY;
    if (!whole)
        for (int64_t j = 0; j < l->n; ++j)
            insert(l, i, (int32_t)j, distance(l, i, j));
    else
        for (int32_t j = 0; j < c->count; ++j)
            insert(l, i, c->row[j], distance(l, i, c->row[j]));
    const float *near = l->near + i * l->listed;
    while (l->count[i] > l->k && near[l->count[i] - 1] > l->radius[i])
        --l->count[i];
}

/* Prunes all lists. Rows that are near each other come one after the other, so that what a row is
 * measured against is in the cache. */
static void find_order(rough *w, uint8_t *taken) {
    int64_t count = 0;
    for (int64_t i = 0; i < w->l->n; ++i) {
        list *c = &w->lists[i];
        prune(c, c->least[w->l->k - 1] + w->slack[i]);
        if (!taken[i]) w->order[count++] = (int32_t)i;
        taken[i] = 1;
        for (int32_t j = 0; j < c->count; ++j) {
            if (!taken[c->row[j]]) w->order[count++] = c->row[j];
            taken[c->row[j]] = 1;
        }
    }
}

/* ---- the farthest ---- */

static void find_farthest(rough *w) {
    tsr_near_lists *l = w->l;
    const float least = far_from(w, 0);
    float most = -1;
    for (int64_t i = 0; i < l->n; ++i) {
        const far_list *c = &w->far[i];
        const bool whole = c->lost < least;
        for (int64_t at = 0; at < (whole ? c->count : l->n); ++at) {
            if (whole && c->rough[at] < least) continue;
            const int64_t j = whole ? c->row[at] : at;
            const float d = distance(l, i, j);
            if (d <= most) continue;
            most = d;
            l->apart[0] = (int32_t)i;
            l->apart[1] = (int32_t)j;
        }
    }
}

/* ---- all ---- */

static bool take_arrays(rough *w) {
    tsr_near_lists *l = w->l;
    tsr_operation *o = l->o;
    w->square = tsr_operation_take_raw(o, l->n, sizeof *w->square, "lengths");
    w->length = tsr_operation_take_raw(o, l->n, sizeof *w->length, "lengths");
    w->slack = tsr_operation_take_raw(o, l->n, sizeof *w->slack, "bounds");
    w->lists = tsr_operation_take_raw(o, l->n, sizeof *w->lists, "nearest rows");
    w->far = tsr_operation_take_raw(o, l->n, sizeof *w->far, "farthest rows");
    w->order = tsr_operation_take_raw(o, l->n, sizeof *w->order, "order of rows");
    return !o->status;
}

/* Nothing is known of row i. */
static void begin(rough *w, int64_t i) {
    begin_list(&w->lists[i]);
    w->far[i].count = 0;
    w->far[i].lost = -1;
}

/* Lengths, errors and empty lists. False where lengths differ too much. */
static bool expect(rough *w, const double *lengths) {
    const tsr_near_lists *l = w->l;
    float shortest = FLT_MAX;
    for (int64_t i = 0; i < l->n; ++i) {
        w->square[i] = (float)l->length[i];
        w->length[i] = (float)lengths[i];
        w->longest = fmaxf(w->longest, w->length[i]);
        if (w->length[i] > 0) shortest = fminf(shortest, w->length[i]);
        w->worst = fmaxf(w->worst, w->bytes.error[i]);
    }
    if (!(w->longest < 1e12f) || !(shortest > 1e-12f) || shortest * LENGTH_MOST < w->longest)
        return false;
    const float rounding = 16 * FLT_EPSILON * w->longest * w->longest;
    for (int64_t i = 0; i < l->n; ++i) {
        const float error = w->bytes.error[i] + w->worst * (1 + w->bytes.error[i]);
        w->slack[i] = 4 * w->length[i] * w->longest * error + rounding;
        w->far_slack = fmaxf(w->far_slack, w->slack[i]);
        begin(w, i);
    }
    return true;
}

static void look_at_block(void *arg, const tsr_block *b) {
    rough *w = arg;
    for (int64_t r = 0; r < b->rows; ++r) {
        const int64_t i = b->first + r;
        float *y = b->y + r * b->ld;
        to_distances(y, w->square[i], 2 * w->bytes.step[i] * w->length[i], w->square + b->from,
                     w->length + b->from, b->columns);
        look(w, i, b->from, y, b->columns);
    }
}

/* Whether the lists of the first n rows have room, but for one row in `most`. */
static bool are_whole(const rough *w, int64_t n, int64_t most) {
    const float least = float_of(atomic_load(&w->highest)) - w->far_slack;
    int64_t left = 0, far = 0;
    for (int64_t i = 0; i < n; ++i) {
        left += !is_whole(&w->lists[i], w->l->k, w->slack[i]);
        far += w->far[i].lost >= least;
    }
    return left * most <= n && far * most <= n;
}

/* Whether a few rows say that bytes are of use. */
static bool is_promising(rough *w) {
    const tsr_byte_rows part = tsr_byte_rows_from(&w->bytes, 0, TRIAL);
    tsr_byte_rows_visit(w->l->o, &part, &w->bytes, look_at_block, w);
    const bool whole = !w->l->o->status && are_whole(w, TRIAL, TRIAL_LEFT);
    for (int64_t i = 0; i < TRIAL; ++i)
        begin(w, i);
    return whole;
}

bool tsr_near_lists_find(tsr_near_lists *l) {
    tsr_operation *o = l->o;
    if (l->n < ROWS_FROM || l->k > TSR_NEAR_MOST || !tsr_products_have_bytes(o, l->dim))
        return false;
    rough *w = tsr_operation_take(o, 1, sizeof *w, "nearest rows");
    double *lengths = tsr_operation_take_raw(o, l->n, sizeof *lengths, "lengths");
    uint8_t *taken = tsr_operation_take(o, l->n, sizeof *taken, "order of rows");
    if (o->status) return false;
    w->l = l;
    for (int64_t i = 0; i < l->n; ++i)
        lengths[i] = sqrt(l->length[i]);
    tsr_byte_rows_make(o, &w->bytes, l->centred, l->dim, l->n, l->dim, lengths);
    if (!take_arrays(w) || !expect(w, lengths) || !is_promising(w)) return false;
    tsr_byte_rows_visit_pairs(o, &w->bytes, look_at_pairs, w);
    if (o->status || !are_whole(w, l->n, MOST_LEFT)) return false;
    find_order(w, taken);
    l->order = w->order;
    tsr_parallel(o->ctx, l->n, measure, w);
    find_farthest(w);
    l->rough = w;
    return true;
}

/* ---- rows of lower rank ---- */

static void look_lower(void *arg, const tsr_block *b) {
    const rough *w = arg;
    for (int64_t r = 0; r < b->rows; ++r) {
        const int64_t at = b->first + r, i = w->picked[at];
        const int32_t *rank = w->rank + b->from, own = w->rank[i];
        list *c = &w->lists[at];
        float *y = b->y + r * b->ld, slack = w->slack[i];
        to_distances(y, w->square[i], 2 * w->bytes.step[i] * w->length[i], w->square + b->from,
                     w->length + b->from, b->columns);
        for (int64_t j = 0; j < b->columns; ++j)
            if (rank[j] < own && y[j] <= most_of(c, 1, slack)) {
                note(c, 1, y[j]);
                offer(c, 1, b->from + j, y[j], slack);
            }
    }
}

static void decide_lower(void *arg, int64_t at, int worker) {
    const rough *w = arg;
    const int64_t i = w->picked[at];
    list *c = &w->lists[at];
    const bool whole = is_whole(c, 1, w->slack[i]);
    float least = INFINITY;
    int64_t best = -1;
    (void)worker;
    if (whole) prune(c, c->least[0] + w->slack[i]);
    for (int64_t n = 0; n < (whole ? c->count : w->l->n); ++n) {
        const int64_t j = whole ? c->row[n] : n;
        if (w->rank[j] >= w->rank[i]) continue;
        const float d = distance(w->l, i, j);
        if (best >= 0 && (d > least || (d == least && j > best))) continue;
        least = d;
        best = j;
    }
    w->lower[at] = (int32_t)best;
}

void tsr_near_lists_lower(tsr_near_lists *l, const int32_t *row, int64_t count, const int32_t *rank,
                          int32_t *to) {
    tsr_operation *o = l->o;
    rough *w = l->rough;
    tsr_byte_rows a = {.n = count, .depth = w->bytes.depth};
    a.bytes = tsr_operation_take_raw(o, count * a.depth, 1, "rows of bytes");
    a.sum = tsr_operation_take_raw(o, count, sizeof *a.sum, "rows of bytes");
    if (o->status) return;
    for (int64_t at = 0; at < count; ++at) {
        memcpy(a.bytes + at * a.depth, w->bytes.bytes + row[at] * a.depth, (size_t)a.depth);
        a.sum[at] = w->bytes.sum[row[at]];
        begin_list(&w->lists[at]);
    }
    w->picked = row;
    w->rank = rank;
    w->lower = to;
    tsr_byte_rows_visit(o, &a, &w->bytes, look_lower, w);
    if (!o->status) tsr_parallel(o->ctx, count, decide_lower, w);
}
