/* SPDX-License-Identifier: MIT */
/* best_match.c: the most similar row of each row: a first pass of rough cosines, whose error is
 * bounded, and exact ones of the few rows that are within the bound of the best. */
#include "best_match.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"
#include "similarity.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    LISTED = 32,     /* rows b that are listed for a row a */
    CLOSER_FROM = 3, /* listed rows for which a closer look pays */
    ABREAST = 4,     /* rows a beside a row b that has come to the cache */
    FEW = 32,        /* rows a for which packing rows b takes longer than exact cosines */
    LOOK = 32,
    TRIAL = 96,       /* rows a that tell whether bytes are of use ... */
    TRIAL_PAIRS = 24, /* ... where they are looked at once more with the others */
    LENGTH_ROWS = 64,
    PAIRS_FROM = 2048, /* rows */
    BYTE_PAIRS_FROM = 384,
    PAIR_MOST = 256,     /* columns of a block of pairs */
    BYTES_FROM = 1 << 16 /* pairs */
};

/* Of a cosine from an f32 product, and of one that was rounded to f32. */
#define BAR_ERROR(dim) (TSR_DOT_F32_ERROR(dim) + 1e-6)

/* Rows that may be the best of one row. */
typedef struct candidates {
    float best;    /* greatest rough cosine */
    float lost;    /* greatest that the list had no room for */
    int32_t count; /* of the list */
    int32_t row[LISTED];
    float rough[LISTED];
} candidates;

typedef struct matching {
    const tsr_row_view *a, *b;
    int64_t first;
    bool others;
    double *square_a, *square_b; /* [a.n], [b.n] squared lengths */
    double *length_a, *length_b; /* [a.n], [b.n] */
    float *unit;                 /* [a.n] times which a row's rough cosines are cosines */
    float *slack;                /* [a.n] twice the error of a row's rough cosines, in their unit */
    const float *step;           /* [a.n] times which rough products of pairs are cosines */
    candidates *list;            /* [a.n] */
    float bar;                   /* rows a with a greater cosine are of no interest */
    int64_t bar_row;             /* the row that set it, which is decided; -1: none */
    int64_t left;                /* rows a of which bytes tell too little */
    const int32_t *row;          /* rows a that are looked at; NULL: all */
    int64_t base;                /* row a that is row 0 of what is looked at, without `row` */
    int32_t *match;
    float *cosine;
} matching;

static const float *row_of(const tsr_row_view *r, int64_t i) {
    return r->x + i * r->stride;
}

/* ---- lengths ---- */

typedef struct length_work {
    const tsr_row_view *rows;
    double *square, *length;
} length_work;

static void length_tile(void *arg, int64_t tile, int worker) {
    const length_work *w = arg;
    (void)worker;
    for (int64_t i = tile * LENGTH_ROWS; i < w->rows->n && i < (tile + 1) * LENGTH_ROWS; ++i) {
        w->square[i] = tsr_dot(row_of(w->rows, i), row_of(w->rows, i), w->rows->dim);
        w->length[i] = sqrt(w->square[i]);
    }
}

/* Squared lengths, and behind them lengths: [2, n]. */
static double *lengths(tsr_operation *o, const tsr_row_view *rows) {
    const int64_t n = rows->n;
    double *square = tsr_operation_take_raw(o, 2 * n, sizeof *square, "lengths");
    if (!o->status)
        tsr_parallel(o->ctx, (n + LENGTH_ROWS - 1) / LENGTH_ROWS, length_tile,
                     &(length_work){rows, square, square + n});
    return square;
}

/* ---- rough cosines ---- */

static const candidates nothing = {.best = -FLT_MAX, .lost = -FLT_MAX};

/* Forgets rows that the best has left behind. */
static void prune(candidates *c, float least) {
    int32_t kept = 0;
    for (int32_t i = 0; i < c->count; ++i)
        if (c->rough[i] >= least) {
            c->row[kept] = c->row[i];
            c->rough[kept++] = c->rough[i];
        }
    c->count = kept;
}

/* Whether the list has no room for all rows that may be the best. */
static bool is_overfull(const candidates *c, float slack) {
    return c->lost >= c->best - slack;
}

/* Rows of less need not be offered: they are not the best, or as lost as others. */
static float least_of(const candidates *c, float slack) {
    const float least = c->best - slack;
    return least > c->lost ? least : c->lost;
}

static void offer(candidates *c, int64_t row, float rough, float slack) {
    if (rough > c->best) c->best = rough;
    if (c->count == LISTED) prune(c, c->best - slack);
    if (c->count == LISTED) {
        if (rough > c->lost) c->lost = rough;
        return;
    }
    c->row[c->count] = (int32_t)row;
    c->rough[c->count++] = rough;
}

/* Whether one of n numbers is not below `least`. */
TSR_CLONES static bool any_reaches(const float *x, int64_t n, float least) {
    int reaches = 0;
    for (int64_t i = 0; i < n; ++i)
        reaches |= x[i] >= least;
    return reaches;
}

/* Whether one of n numbers is not below its own `least`. */
TSR_CLONES static bool any_reaches_each(const float *x, int64_t n, const float *least) {
    int reaches = 0;
    for (int64_t i = 0; i < n; ++i)
        reaches |= x[i] >= least[i];
    return reaches;
}

TSR_CLONES static void to_cosines(float *y, int64_t n, float scale) {
    for (int64_t i = 0; i < n; ++i)
        y[i] *= scale;
}

/* Row a i looks at its products with rows b from, from + 1, ... */
static void look(const matching *m, int64_t i, int64_t from, const float *y, int64_t n) {
    candidates *c = &m->list[i];
    const float slack = m->slack[i];
    for (int64_t j0 = 0; j0 < n; j0 += LOOK) {
        const int64_t end = n - j0 < LOOK ? n : j0 + LOOK;
        if (!any_reaches(y + j0, end - j0, least_of(c, slack))) continue;
        for (int64_t j = j0; j < end; ++j)
            if (y[j] >= least_of(c, slack) && from + j >= m->first && !(m->others && from + j == i))
                offer(c, from + j, y[j], slack);
    }
}

static void look_at_block(void *arg, const tsr_block *b) {
    const matching *m = arg;
    for (int64_t r = 0; r < b->rows; ++r)
        look(m, m->row ? m->row[b->first + r] : m->base + b->first + r, b->from, b->y + r * b->ld,
             b->columns);
}

/* A block of pairs: the rows of both its sides look. Their unit is that of cosines. */
static void look_at_pairs(void *arg, const tsr_block *b) {
    const matching *m = arg;
    const bool same = b->first >= b->from && b->first < b->from + b->columns;
    float least[PAIR_MOST];
    for (int64_t j = 0; j < b->columns; ++j)
        least[j] = least_of(&m->list[b->from + j], m->slack[b->from + j]);
    for (int64_t r = 0; r < b->rows; ++r) {
        const int64_t i = b->first + r;
        float *y = b->y + r * b->ld;
        to_cosines(y, b->columns, m->step[i]);
        look(m, i, b->from, y, b->columns);
        for (int64_t j0 = 0; !same && j0 < b->columns; j0 += LOOK) {
            const int64_t end = b->columns - j0 < LOOK ? b->columns : j0 + LOOK;
            if (!any_reaches_each(y + j0, end - j0, least + j0)) continue;
            for (int64_t j = j0; j < end; ++j) {
                candidates *d = &m->list[b->from + j];
                if (y[j] < least[j]) continue;
                offer(d, i, y[j], m->slack[b->from + j]);
                least[j] = least_of(d, m->slack[b->from + j]);
            }
        }
    }
}

/* ---- exact cosines ---- */

/* Products of very long and of very short rows say nothing in f32. */
static bool is_plain(const matching *m, int64_t i) {
    return m->length_a[i] > 1e-20 && m->length_a[i] < 1e20 && isfinite(m->list[i].best);
}

/* Whether f32 products of a row of that length say something, times the inverse of others. */
static bool is_moderate(double length) {
    return length > 1e-12 && length < 1e12;
}

static float exact_cosine(const matching *m, int64_t i, int64_t j) {
    const double lengths = sqrt(m->square_a[i] * m->square_b[j]); /* exact for copies */
    const double dot = tsr_dot(row_of(m->a, i), row_of(m->b, j), m->a->dim);
    return lengths > 0 ? (float)(dot / lengths) : 0;
}

/* Of the listed rows those that f32 products leave in question: a float64 product takes three times
 * as long, and bytes leave many. */
static void look_closer(const matching *m, int64_t i, candidates *c) {
    const int64_t dim = m->a->dim;
    const float slack = 2 * (float)TSR_DOT_F32_ERROR(dim) * (float)m->length_a[i];
    float best = -INFINITY;
    if (c->count < CLOSER_FROM || !is_moderate(m->length_a[i])) return;
    for (int32_t at = 0; at < c->count; ++at) {
        const double length = m->length_b[c->row[at]];
        if (length > 0 && !is_moderate(length)) return;
    }
    for (int32_t at = 0; at < c->count; ++at) {
        const double length = m->length_b[c->row[at]];
        const float dot = tsr_dot_f32(row_of(m->a, i), row_of(m->b, c->row[at]), dim);
        c->rough[at] = length > 0 ? (float)((double)dot / length) : 0;
        if (c->rough[at] > best) best = c->rough[at];
    }
    prune(c, best - slack);
}

/* Whether row a i has a cosine above the bar, by a look at the one that seems greatest. */
static bool is_above_bar(const matching *m, int64_t i) {
    const candidates *c = &m->list[i];
    int32_t top = 0;
    if (!c->count || !is_moderate(m->length_a[i])) return false;
    for (int32_t at = 1; at < c->count; ++at)
        if (c->rough[at] > c->rough[top]) top = at;
    const int64_t j = c->row[top];
    if (!is_moderate(m->length_b[j])) return false;
    const double dot = (double)tsr_dot_f32(row_of(m->a, i), row_of(m->b, j), m->a->dim);
    return dot / (m->length_a[i] * m->length_b[j]) > (double)m->bar + BAR_ERROR(m->a->dim);
}

static void decide(void *arg, int64_t i, int worker) {
    const matching *m = arg;
    candidates *c = &m->list[i];
    float best = -INFINITY;
    (void)worker;
    if (i == m->bar_row) return;
    m->match[i] = -1;
    m->cosine[i] = INFINITY;
    if (m->bar < INFINITY && is_above_bar(m, i)) return;
    const bool all = !is_plain(m, i) || !c->count || is_overfull(c, m->slack[i]);
    if (!all) {
        prune(c, c->best - m->slack[i]);
        look_closer(m, i, c);
    }
    for (int64_t at = all ? m->first : 0; at < (all ? m->b->n : c->count); ++at) {
        const int64_t j = all ? at : c->row[at];
        if (all && m->others && i == j) continue;
        const float cosine = exact_cosine(m, i, j);
        /* listed rows come in no order */
        if (cosine > best || m->match[i] < 0 || (cosine == best && j < m->match[i])) {
            best = cosine;
            m->match[i] = (int32_t)j;
        }
    }
    m->cosine[i] = best;
}

/* ---- both ---- */

/* Whether rows are looked at as pairs: each with all others, so many that all threads find some
 * that do not share a row, and of lengths that f32 products bear, since a row's product with a very
 * long one is looked at by both. */
static bool in_pairs(const matching *m, int64_t count) {
    if (!m->others || m->row || m->first || count != m->a->n || count < PAIRS_FROM) return false;
    for (int64_t i = 0; i < count; ++i)
        if (m->length_a[i] > 0 && !is_moderate(m->length_a[i])) return false;
    return true;
}

/* Rough cosines times the length of row a, or as pairs plain ones, from f32 products, of the rows a
 * that m->row names. */
static void look_in_floats(tsr_operation *o, matching *m, int64_t count) {
    tsr_similarity s;
    const int64_t dim = m->a->dim;
    const float *x = m->a->x;
    int64_t stride = m->a->stride;
    tsr_similarity_open_rows(o, &s, m->b->x, m->b->stride, m->b->n, dim, m->length_b);
    const bool pairs = s.products.gemm && in_pairs(m, count);
    float *step = tsr_operation_take(o, pairs ? count : 0, sizeof *step, "bounds");
    for (int64_t at = 0; at < count && !o->status; ++at) {
        const int64_t i = m->row ? m->row[at] : at;
        const float inverse = m->length_a[i] > 0 ? (float)(1 / m->length_a[i]) : 0;
        if (pairs) step[i] = inverse;
        m->unit[i] = pairs ? 1 : inverse;
        m->slack[i] = 2 * (float)(dim + 8) * FLT_EPSILON * (pairs ? 1 : (float)m->length_a[i]);
        m->list[i] = nothing;
    }
    m->step = step;
    if (m->row) {
        float *picked = tsr_operation_take_raw(o, count * dim, sizeof *picked, "picked rows");
        for (int64_t at = 0; at < count && !o->status; ++at)
            memcpy(picked + at * dim, row_of(m->a, m->row[at]), (size_t)dim * sizeof *picked);
        x = picked;
        stride = dim;
    }
    if (pairs)
        tsr_products_visit_pairs(&s.products, x, stride, look_at_pairs, m);
    else
        tsr_similarity_visit(&s, x, stride, count, look_at_block, m);
    tsr_similarity_close(&s);
}

/* Row b j beside rows a row[0 .. count-1], in the unit of their lengths. */
static void offer_directly(const matching *m, const int32_t *row, int64_t count, int64_t j) {
    const double length = m->length_b[j];
    for (int64_t at = 0; at < count; ++at) {
        const int64_t i = row[at];
        candidates *c = &m->list[i];
        if (m->others && i == j) continue;
        if (length > 0 && !is_moderate(length)) {
            c->lost = FLT_MAX; /* any product may be the greatest */
            continue;
        }
        const float dot = tsr_dot_f32(row_of(m->a, i), row_of(m->b, j), m->a->dim);
        const float rough = length > 0 ? (float)((double)dot / length) : 0;
        if (rough >= least_of(c, m->slack[i])) offer(c, j, rough, m->slack[i]);
    }
}

/* The rows a that m->row names, ABREAST at a time, beside all rows b by f32 products of two rows:
 * for so few that packing rows b would take longer. */
static void look_directly(void *arg, int64_t tile, int worker) {
    const matching *m = arg;
    const int32_t *row = m->row + tile * ABREAST;
    const int64_t left = m->left - tile * ABREAST, count = left < ABREAST ? left : ABREAST;
    (void)worker;
    for (int64_t at = 0; at < count; ++at) {
        const int64_t i = row[at];
        if (!is_moderate(m->length_a[i])) continue; /* all its cosines are exact ones */
        m->list[i] = nothing;
        m->unit[i] = (float)(1 / m->length_a[i]);
        m->slack[i] = 2 * (float)TSR_DOT_F32_ERROR(m->a->dim) * (float)m->length_a[i];
    }
    for (int64_t j = m->first; j < m->b->n; ++j)
        offer_directly(m, row, count, j);
}

/* Nothing is known of rows first .. end - 1 yet. `worst`: greatest error of a row b. Unit: a's
 * step, or with `pairs` that of cosines. */
static void expect_bytes(const matching *m, const tsr_byte_rows *a, float worst, bool pairs,
                         int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
        m->unit[i] = pairs ? 1 : fmaxf(a->step[i], FLT_MIN);
        m->slack[i] = 2 * (a->error[i] + worst * (1 + a->error[i])) / m->unit[i];
        m->list[i] = nothing;
    }
}

/* Lists rows first .. end - 1 to which too many rows b are close, from `left` on; returns how many
 * there are. */
static int64_t list_left(const matching *m, int64_t first, int64_t end, int32_t *row,
                         int64_t left) {
    for (int64_t i = first; i < end; ++i)
        if (is_overfull(&m->list[i], m->slack[i])) row[left++] = (int32_t)i;
    return left;
}

/* Rough cosines from products of bytes. Returns how many rows a are left, to which too many rows b
 * are close: m->row. */
static int64_t look_in_bytes(tsr_operation *o, matching *m) {
    tsr_byte_rows a, b;
    float worst = 0;
    int64_t left = 0;
    const int64_t n = m->a->n;
    const bool pairs = m->others && !m->first && n >= BYTE_PAIRS_FROM;
    int32_t *row = tsr_operation_take_raw(o, n, sizeof *row, "rows left");
    tsr_byte_rows_make(o, &a, m->a->x, m->a->stride, n, m->a->dim, m->length_a);
    b = a;
    if (!m->others)
        tsr_byte_rows_make(o, &b, m->b->x, m->b->stride, m->b->n, m->b->dim, m->length_b);
    if (o->status) return 0;
    for (int64_t j = 0; j < b.n; ++j)
        worst = fmaxf(worst, b.error[j]);
    expect_bytes(m, &a, worst, false, 0, n);
    for (int64_t step = pairs ? TRIAL_PAIRS : TRIAL; m->base < n && !o->status;
         m->base += step, step = n) {
        if (pairs && m->base) {
            expect_bytes(m, &a, worst, true, left = 0, n);
            m->step = a.step;
            tsr_byte_rows_visit_pairs(o, &b, look_at_pairs, m);
            m->base = 0;
        } else {
            const tsr_byte_rows part = tsr_byte_rows_from(&a, m->base, step);
            tsr_byte_rows_visit(o, &part, &b, look_at_block, m);
        }
        const int64_t end = n - m->base < step ? n : m->base + step;
        left = list_left(m, m->base, end, row, left);
        if (2 * left > end) { /* all rows are much alike: bytes tell nothing */
            m->base = 0;
            return n;
        }
    }
    m->row = row;
    return left;
}

/* ---- all, or the most isolated ---- */

/* Sets what the greatest cosine of the most isolated row cannot exceed: that of the row which
 * seems to be it. */
static void find_bar(matching *m) {
    int64_t least = -1;
    for (int64_t i = 0; i < m->a->n; ++i) {
        const candidates *c = &m->list[i];
        if (!is_moderate(m->length_a[i]) || !isfinite(c->best) || !c->count) continue;
        if (least < 0 || m->unit[i] * c->best < m->unit[least] * m->list[least].best) least = i;
    }
    if (least < 0) return;
    decide(m, least, 0);
    m->bar = m->cosine[least];
    m->bar_row = least;
}

static void find_matches(tsr_operation *o, matching *m, bool isolated) {
    const tsr_row_view *a = m->a, *b = m->b;
    m->square_a = lengths(o, a);
    m->square_b = m->others ? m->square_a : lengths(o, b);
    m->unit = tsr_operation_take_raw(o, a->n, sizeof *m->unit, "bounds");
    m->slack = tsr_operation_take_raw(o, a->n, sizeof *m->slack, "bounds");
    m->list = tsr_operation_take_raw(o, a->n, sizeof *m->list, "candidates");
    if (o->status) return;
    m->length_a = m->square_a + a->n;
    m->length_b = m->square_b + b->n;
    const bool bytes = a->n * b->n >= BYTES_FROM && tsr_products_have_bytes(o, a->dim);
    m->left = bytes ? look_in_bytes(o, m) : a->n;
    if (o->status) return;
    if (m->left >= (m->row ? FEW : 1))
        look_in_floats(o, m, m->left);
    else
        tsr_parallel(o->ctx, (m->left + ABREAST - 1) / ABREAST, look_directly, m);
    if (o->status) return;
    m->bar = INFINITY;
    m->bar_row = -1;
    if (isolated) find_bar(m);
    tsr_parallel(o->ctx, a->n, decide, m);
}

void tsr_best_matches(tsr_operation *o, const tsr_row_view *a, const tsr_row_view *b, int64_t first,
                      bool others, int32_t *match, float *cosine) {
    matching m = {.a = a, .b = b, .first = first, .others = others, .match = match};
    m.cosine = cosine;
    find_matches(o, &m, false);
}

void tsr_isolated_matches(tsr_operation *o, const tsr_row_view *rows, int32_t *match,
                          float *cosine) {
    matching m = {.a = rows, .b = rows, .others = true, .match = match, .cosine = cosine};
    find_matches(o, &m, true);
}
