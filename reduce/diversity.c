/* SPDX-License-Identifier: MIT */
/* diversity.c: tokens far from each other, picked one after the other. Distance is 1 - cosine.
 *
 * No N x N matrix is stored. A pick needs its row of distances to all tokens; rows of the likeliest
 * next picks are computed in one matrix product, which costs little more than one row does, and
 * wait in a ring until they are asked for: on the cpu as many as its product takes at once. What is
 * picked does not depend on what waits there. */
#include "diversity.h"
#include "recorded.h"
#include "../compute/threads.h"
#include "farthest.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <string.h>

enum { RING = 256, MOST_AT_ONCE = 24 };

/* ---- rows of cosines ---- */

typedef struct rows {
    tsr_similarity s;
    float *ring;    /* [RING, n] */
    int32_t *owner; /* [RING] token of each row, or -1 */
    int32_t *place; /* [n] place in the ring, or -1 */
    int64_t next;   /* place that is overwritten next */
    double near;    /* distances below may be rounding alone */
} rows;

static void open_rows(tsr_operation *o, rows *r) {
    const int64_t n = o->in->count, dim = o->in->channels;
    *r = (rows){.near = 2 * (double)(dim + 4) * 0x1p-24};
    tsr_similarity_open(o, &r->s, TSR_SIMILARITY_COSINE, o->in->features, n, dim);
    r->ring = tsr_operation_take_raw(o, RING * n, sizeof *r->ring, "rows of cosines");
    r->owner = tsr_operation_take(o, RING, sizeof *r->owner, "rows of cosines");
    r->place = tsr_operation_take(o, n, sizeof *r->place, "rows of cosines");
    for (int64_t i = 0; i < RING && r->place; ++i)
        r->owner[i] = -1;
    for (int64_t i = 0; i < n && r->place; ++i)
        r->place[i] = -1;
}

/* Distance of tokens i and j, given their cosine in f32. Copies have distance 0, exactly. */
static double distance(const rows *r, int64_t i, int64_t j, float cosine) {
    const double d = 1 - (double)cosine;
    if (d >= r->near) return d;
    const int64_t dim = r->s.dim;
    return tsr_direction_distance(r->s.x + i * dim, r->s.x + j * dim, dim);
}

/* The `most` unpicked tokens with the highest scores whose row is not there: list [most]. */
static int64_t likeliest(const rows *r, const double *score, const uint8_t *picked, int64_t most,
                         int32_t *list) {
    int64_t count = 0;
    for (int64_t i = 0; i < r->s.n && most > 0; ++i) {
        if (picked[i] || r->place[i] >= 0) continue;
        if (count == most && !(score[i] > score[list[count - 1]])) continue;
        int64_t at = count < most ? count++ : count - 1;
        for (; at > 0 && score[i] > score[list[at - 1]]; --at)
            list[at] = list[at - 1];
        list[at] = (int32_t)i;
    }
    return count;
}

/* Cosines of token `pick`, which has the highest score of all that are not picked; `more` picks
 * follow. */
static const float *row_of(rows *r, int32_t pick, const double *score, const uint8_t *picked,
                           int64_t more) {
    tsr_operation *o = r->s.o;
    if (o->status) return NULL;
    if (r->place[pick] < 0) {
        int32_t list[MOST_AT_ONCE];
        const tsr_gemm_kernels *cpu = r->s.products.gemm;
        const int64_t at_once = cpu && cpu->rows < MOST_AT_ONCE ? cpu->rows : MOST_AT_ONCE;
        int64_t most = r->s.tile < at_once ? r->s.tile : at_once;
        if (most > 4 * more + 1) most = 4 * more + 1;
        if (isinf(score[pick])) most = 1; /* the first: nothing is known of the others */
        list[0] = pick;
        r->place[pick] = 0; /* so that the list does not have it twice */
        const int64_t count = 1 + likeliest(r, score, picked, most - 1, list + 1);
        if (r->next + count > RING) r->next = 0;
        tsr_similarity_picked(&r->s, list, count, r->ring + r->next * r->s.n);
        for (int64_t i = 0; i < count; ++i, ++r->next) {
            if (r->owner[r->next] >= 0) r->place[r->owner[r->next]] = -1;
            r->owner[r->next] = list[i];
            r->place[list[i]] = (int32_t)r->next;
        }
    }
    return o->status ? NULL : r->ring + r->place[pick] * r->s.n;
}

static int32_t best_unpicked(const double *score, const uint8_t *picked, int64_t n) {
    int32_t best = -1;
    for (int64_t i = 0; i < n; ++i)
        if (!picked[i] && (best < 0 || score[i] > score[best])) best = (int32_t)i;
    return best;
}

/* ---- first picks ---- */

/* Sum of distances of each token to all others: n - 1 less the cosines, which are one product with
 * the sum of all unit rows. */
typedef struct total_work {
    const float *unit; /* [n, dim] */
    int64_t n, dim;
    const float *sum; /* [dim] high part and [dim] rest of the sum of all rows */
    double *total;
} total_work;

static void total_row(void *arg, int64_t i, int worker) {
    const total_work *w = arg;
    const int64_t dim = w->dim;
    const float *row = w->unit + i * dim;
    (void)worker;
    const double own = tsr_dot(row, row, dim);
    w->total[i] =
        (double)(w->n - 1) + own - tsr_dot(row, w->sum, dim) - tsr_dot(row, w->sum + dim, dim);
}

static void total_distances(tsr_operation *o, const tsr_similarity *s, double *total) {
    const int64_t n = s->n, dim = s->dim;
    double *exact = tsr_operation_take(o, dim, sizeof *exact, "sum of rows");
    float *sum = tsr_operation_take(o, 2 * dim, sizeof *sum, "sum of rows");
    float *unit = tsr_operation_take_raw(o, n * dim, sizeof *unit, "unit rows");
    if (o->status) return;
    tsr_unit_rows(o, s->x, n, dim, unit);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < dim; ++j)
            exact[j] += (double)unit[i * dim + j];
    for (int64_t j = 0; j < dim; ++j) {
        sum[j] = (float)exact[j];
        sum[dim + j] = (float)(exact[j] - (double)sum[j]);
    }
    tsr_parallel(o->ctx, n, total_row, &(total_work){unit, n, dim, sum, total});
}

/* ---- farthest first ---- */

/* Picks k tokens from `first` on, each the farthest from those before it: order [k], and at what
 * distance [k] it was picked; [0] stays. Returns the distance of the token that is farthest from
 * all picks. */
static double farthest_first(tsr_operation *o, rows *r, int32_t first, int64_t k, int32_t *order,
                             float *at) {
    const int64_t n = o->in->count;
    double *least = tsr_operation_take(o, n, sizeof *least, "distances");
    uint8_t *picked = tsr_operation_take(o, n, sizeof *picked, "picks");
    if (o->status) return 0;
    for (int64_t i = 0; i < n; ++i)
        least[i] = INFINITY;
    for (int64_t p = 0; p < k; ++p) {
        const int32_t pick = p ? best_unpicked(least, picked, n) : first;
        if (p) at[p] = (float)least[pick];
        picked[pick] = 1;
        order[p] = pick;
        const float *row = row_of(r, pick, least, picked, k - 1 - p);
        if (!row) return 0;
        for (int64_t i = 0; i < n; ++i)
            if (1 - (double)row[i] < least[i] && least[i] > 0)
                least[i] = fmin(least[i], distance(r, i, pick, row[i]));
    }
    double radius = 0;
    for (int64_t i = 0; i < n; ++i)
        radius = fmax(radius, picked[i] ? 0 : least[i]);
    return radius;
}

/* Keeps the picks in the order of tokens. */
static void keep_picks(tsr_operation *o, const int32_t *order, int64_t k) {
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    tsr_operation_trace_i32(o, "order", order, k);
    if (o->status) return;
    memcpy(index, order, (size_t)k * sizeof *index);
    tsr_select_sort(index, k);
    tsr_operation_keep(o, index, k);
}

/* ---- operators ---- */

void tsr_maxmin_picks(tsr_operation *o, int64_t k, int32_t *order, float *at) {
    rows r;
    double nearest = 0;
    if (o->status) return;
    open_rows(o, &r);
    const tsr_row_view view = {o->in->features, o->in->channels, o->in->count, o->in->channels};
    const int32_t first = tsr_most_isolated(o, &view, false, &nearest);
    farthest_first(o, &r, first, k, order, at);
    tsr_similarity_close(&r.s);
    at[0] = (float)nearest;
}

/* DivPrune. */
static void diverse_maxmin(tsr_operation *o) {
    const int64_t k = tsr_select_count(o, o->in->count);
    int32_t *order = tsr_operation_take(o, k, sizeof *order, "picks");
    float *at = tsr_operation_take(o, k, sizeof *at, "distances");
    if (!o->status && tsr_operation_is(o, "variant", "published"))
        tsr_operation_fail(o, TSR_ERROR_UNSUPPORTED,
                           "variant: wanted distinct, got published, which picks a token twice "
                           "where tokens are equal");
    tsr_maxmin_picks(o, k, order, at);
    tsr_operation_trace_f32(o, "distance", at, k);
    keep_picks(o, order, k);
}

const tsr_operator tsr_operator_diverse_maxmin = {
    .info = {.name = "diverse-maxmin",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps tokens that are far from each other: each pick is the one whose "
                      "nearest pick is farthest",
             .formula = "D = 1 - cosine; first = argmax_i min over j != i of D_ij; then "
                        "argmax_i min over picks j of D_ij until k are picked; they stay in the "
                        "order of tokens",
             .source = "DivPrune (vbdi/divprune @ 799e2d9)",
             .differs = "the published code does not exclude tokens that are picked already and "
                        "returns a token twice where tokens are equal; here k different tokens "
                        "stay. variant=published is refused",
             .cost = "N^2 D multiply-adds for the first pick, of bytes where the processor has "
                     "them, and N D "
                     "for each further one; 2 N D + 256 N numbers, no N x N matrix",
             .columns = NULL},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"variant", TSR_PARAMETER_CHOICE, "distinct", 0, 0, "distinct|published",
                    "whether a token may be picked twice"}},
    .apply = diverse_maxmin,
    .record = tsr_record_diverse_maxmin,
};

/* In the manner of the first version of ToDRE. */
static void diverse_kcentre(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    int64_t first = tsr_operation_integer(o, "first");
    int32_t *order = tsr_operation_take(o, k, sizeof *order, "picks");
    float *at = tsr_operation_take(o, k, sizeof *at, "distances");
    double *total = tsr_operation_take(o, n, sizeof *total, "distances");
    if (!o->status && first >= n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "first: wanted a token below %lld, or -1, got %lld", (long long)n,
                           (long long)first);
    if (o->status) return;
    rows r;
    open_rows(o, &r);
    if (first < 0) {
        total_distances(o, &r.s, total);
        first = 0;
        for (int64_t i = 1; i < n; ++i)
            if (total[i] < total[first]) first = i;
    }
    const double radius = farthest_first(o, &r, (int32_t)first, k, order, at);
    tsr_similarity_close(&r.s);
    tsr_operation_trace_f32(o, "distance", at, k);
    tsr_operation_trace_f64(o, "radius", &radius, 1);
    keep_picks(o, order, k);
}

const tsr_operator tsr_operator_diverse_kcentre = {
    .info = {.name = "diverse-kcentre",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps centres such that no token is far from all of them: farthest-first "
                      "traversal",
             .formula = "D = 1 - cosine; the first pick is given, or the token with the smallest "
                        "sum of distances to all others; then argmax_i min over picks j of D_ij "
                        "until k are picked; radius = max_i min over picks j of D_ij",
             .source = "in the manner of ToDRE's first version, whose code is not public; "
                       "Gonzalez 1985",
             .differs = NULL,
             .cost = "N D multiply-adds for each pick; 2 N D + 256 N numbers, no N x N matrix",
             .columns = NULL},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"first", TSR_PARAMETER_INTEGER, "-1", -1, 2147483647, NULL,
                    "token that is picked first; -1: the medoid"}},
    .apply = diverse_kcentre,
    .record = tsr_record_diverse_kcentre,
};

/* In the manner of the second version of ToDRE. */
static void diverse_maxsum(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    int32_t *order = tsr_operation_take(o, k, sizeof *order, "picks");
    double *total = tsr_operation_take(o, n, sizeof *total, "distances");
    uint8_t *picked = tsr_operation_take(o, n, sizeof *picked, "picks");
    if (o->status) return;
    rows r;
    open_rows(o, &r);
    total_distances(o, &r.s, total);
    for (int64_t p = 0; p < k && !o->status; ++p) {
        const int32_t pick = best_unpicked(total, picked, n);
        picked[pick] = 1;
        order[p] = pick;
        if (p == 0) memset(total, 0, (size_t)n * sizeof *total);
        const float *row = p + 1 < k ? row_of(&r, pick, total, picked, k - 2 - p) : NULL;
        for (int64_t i = 0; row && i < n; ++i)
            total[i] += 1 - (double)row[i];
    }
    tsr_similarity_close(&r.s);
    keep_picks(o, order, k);
}

const tsr_operator tsr_operator_diverse_maxsum = {
    .info = {.name = "diverse-maxsum",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps tokens that are far from each other: each pick has the greatest sum "
                      "of distances to the picks before",
             .formula = "D = 1 - cosine; first = argmax_i sum over j != i of D_ij; then "
                        "argmax_i sum over picks j of D_ij over the rest until k are picked; they "
                        "stay in the order of tokens",
             .source = "in the manner of ToDRE's second version, whose code is not public",
             .differs = NULL,
             .cost = "N D multiply-adds for each pick; 2 N D + 256 N numbers, no N x N matrix",
             .columns = NULL},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = diverse_maxsum,
    .record = tsr_record_diverse_maxsum,
};
