/* SPDX-License-Identifier: MIT */
/* best_match.c: the most similar row of each row: a first pass of rough cosines, whose error is
 * bounded, and exact ones of the few rows that are within the bound of the best. */
#include "best_match.h"
#include "../compute/threads.h"
#include "similarity.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LISTED = 24, LOOK = 32, LENGTH_ROWS = 64 };

/* Rows that may be the best of one row. */
typedef struct candidates {
    float best;    /* greatest rough cosine */
    int32_t count; /* LISTED + 1: too many to list */
    int32_t row[LISTED];
    float rough[LISTED];
} candidates;

typedef struct matching {
    const tsr_row_view *a, *b;
    int64_t first;
    bool others;
    double *length_a, *length_b; /* [a.n], [b.n] */
    float slack;                 /* twice the error of a rough cosine */
    candidates *list;            /* [a.n] */
    int32_t *match;
    float *cosine;
} matching;

static const float *row_of(const tsr_row_view *r, int64_t i) {
    return r->x + i * r->stride;
}

/* ---- lengths ---- */

typedef struct length_work {
    const tsr_row_view *rows;
    double *length;
} length_work;

static void length_tile(void *arg, int64_t tile, int worker) {
    const length_work *w = arg;
    (void)worker;
    for (int64_t i = tile * LENGTH_ROWS; i < w->rows->n && i < (tile + 1) * LENGTH_ROWS; ++i)
        w->length[i] = sqrt(tsr_dot(row_of(w->rows, i), row_of(w->rows, i), w->rows->dim));
}

static double *lengths(tsr_operation *o, const tsr_row_view *rows) {
    double *length = tsr_operation_take_raw(o, rows->n, sizeof *length, "lengths");
    if (!o->status)
        tsr_parallel(o->ctx, (rows->n + LENGTH_ROWS - 1) / LENGTH_ROWS, length_tile,
                     &(length_work){rows, length});
    return length;
}

/* ---- rough cosines ---- */

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

static void offer(candidates *c, int64_t row, float rough, float slack) {
    if (rough > c->best) c->best = rough;
    if (c->count == LISTED) prune(c, c->best - slack);
    if (c->count >= LISTED) {
        c->count = LISTED + 1;
        return;
    }
    c->row[c->count] = (int32_t)row;
    c->rough[c->count++] = rough;
}

/* Whether one of n numbers is not below `least`. */
static inline bool any_reaches(const float *x, int64_t n, float least) {
    int reaches = 0;
    for (int64_t i = 0; i < n; ++i)
        reaches |= x[i] >= least;
    return reaches;
}

static void look_at_block(void *arg, const tsr_block *b) {
    const matching *m = arg;
    for (int64_t r = 0; r < b->rows; ++r) {
        candidates *c = &m->list[b->first + r];
        const float *y = b->y + r * b->ld;
        const float slack = m->slack * (float)m->length_a[b->first + r];
        for (int64_t j0 = 0; j0 < b->columns && c->count <= LISTED; j0 += LOOK) {
            const int64_t n = b->columns - j0 < LOOK ? b->columns - j0 : LOOK;
            if (!any_reaches(y + j0, n, c->best - slack)) continue;
            for (int64_t j = j0; j < j0 + n && c->count <= LISTED; ++j)
                if (y[j] >= c->best - slack && b->from + j >= m->first &&
                    !(m->others && b->from + j == b->first + r))
                    offer(c, b->from + j, y[j], slack);
        }
    }
}

/* ---- exact cosines ---- */

static float exact_cosine(const matching *m, int64_t i, int64_t j) {
    const double lengths = m->length_a[i] * m->length_b[j];
    const double dot = tsr_dot(row_of(m->a, i), row_of(m->b, j), m->a->dim);
    return lengths > 0 ? (float)(dot / lengths) : 0;
}

static void decide(void *arg, int64_t i, int worker) {
    const matching *m = arg;
    const candidates *c = &m->list[i];
    /* Products of very long and of very short rows say nothing in f32. */
    const bool plain = m->length_a[i] > 1e-20 && m->length_a[i] < 1e20 && isfinite(c->best);
    const bool all = !plain || c->count > LISTED || !c->count;
    const float least = c->best - m->slack * (float)m->length_a[i];
    float best = -INFINITY;
    (void)worker;
    m->match[i] = -1;
    for (int64_t at = all ? m->first : 0; at < (all ? m->b->n : c->count); ++at) {
        const int64_t j = all ? at : c->row[at];
        if (all ? m->others && i == j : c->rough[at] < least) continue;
        const float cosine = exact_cosine(m, i, j);
        if (cosine > best || m->match[i] < 0) {
            best = cosine;
            m->match[i] = (int32_t)j;
        }
    }
    m->cosine[i] = best;
}

void tsr_best_matches(tsr_operation *o, const tsr_row_view *a, const tsr_row_view *b, int64_t first,
                      bool others, int32_t *match, float *cosine) {
    matching m = {.a = a, .b = b, .first = first, .others = others, .match = match};
    m.cosine = cosine;
    m.length_a = lengths(o, a);
    m.length_b = others ? m.length_a : lengths(o, b);
    m.slack = 2 * (float)(a->dim + 8) * FLT_EPSILON;
    m.list = tsr_operation_take_raw(o, a->n, sizeof *m.list, "candidates");
    if (o->status) return;
    for (int64_t i = 0; i < a->n; ++i)
        m.list[i] = (candidates){.best = -FLT_MAX};
    tsr_similarity s;
    tsr_similarity_open_rows(o, &s, b->x, b->stride, b->n, b->dim, m.length_b);
    tsr_similarity_visit(&s, a->x, a->stride, a->n, look_at_block, &m);
    tsr_similarity_close(&s);
    if (!o->status) tsr_parallel(o->ctx, a->n, decide, &m);
}
