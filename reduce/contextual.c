/* SPDX-License-Identifier: MIT */
/* contextual.c: operators that keep the tokens attention points at and put the rest together around
 * a few of them. */
#include "../compute/threads.h"
#include "lof.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what both read ---- */

/* Mean of the column attention over everything but the tokens that are attended to: of a class
 * token's rows, or of all rows of attention among tokens. score [n]. */
static float *attention_score(tsr_operation *o) {
    const tsr_token_array a = tsr_token_set_column(o->in, "attention");
    const int64_t n = o->in->count;
    const bool square = a.name && a.axis == TSR_TOKEN_AXIS_SQUARE;
    tsr_operation_column(o, "attention", TSR_ARRAY_F32,
                         square ? TSR_TOKEN_AXIS_SQUARE : TSR_TOKEN_AXIS_LAST, 0);
    double *sum = tsr_operation_take(o, n, sizeof *sum, "scores");
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    if (o->status) return NULL;
    const int64_t last = a.dim[a.rank - 1], rows = tsr_token_array_elements(&a) / last;
    for (int64_t r = 0; r < rows; ++r) {
        if (last > n && r % last == 0) continue; /* a class row: no token's attention */
        for (int64_t i = 0; i < n; ++i)
            sum[i] += (double)((const float *)a.data)[r * last + last - n + i];
    }
    const double count = (double)(last > n ? rows / last * n : rows);
    for (int64_t i = 0; i < n; ++i)
        score[i] = (float)(sum[i] / count);
    return score;
}

static const float *read_keys(tsr_operation *o, int64_t *dim) {
    const tsr_token_array a =
        tsr_operation_column(o, "keys", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    *dim = a.dim[1];
    return a.data;
}

/* Copies rows index[0 .. count-1] of x [.., dim]. */
static float *gather(tsr_operation *o, const float *x, int64_t dim, const int32_t *index,
                     int64_t count) {
    float *rows = tsr_operation_take(o, count * dim, sizeof *rows, "rows");
    for (int64_t i = 0; i < count && !o->status; ++i)
        memcpy(rows + i * dim, x + index[i] * dim, (size_t)dim * sizeof *rows);
    return rows;
}

/* y += weight * x, in float64. */
static void add_row(double *y, const float *x, double weight, int64_t dim) {
    for (int64_t j = 0; j < dim; ++j)
        y[j] += weight * (double)x[j];
}
static void put_row(float *to, const double *y, int64_t dim) {
    for (int64_t j = 0; j < dim; ++j)
        to[j] = (float)y[j];
}

/* ---- dominant-contextual ---- */

typedef struct plan {
    int64_t n, dominant, targets, joined;
    int32_t *dominant_token, *target_token, *joined_token; /* ascending */
    int32_t *joined_to;                                    /* [joined] number of a target */
} plan;

/* Chooses dominant tokens and targets; the first of the dominant ones is the class token, if there
 * is one. */
static void choose(tsr_operation *o, plan *p, const float *score) {
    const bool class_token = tsr_operation_is(o, "class_token", "yes");
    uint8_t *taken = tsr_operation_take(o, p->n, sizeof *taken, "tokens");
    int32_t *rest = tsr_operation_take(o, p->n, sizeof *rest, "tokens"), count = 0;
    if (o->status) return;
    tsr_select_top(o, score + class_token, p->n - class_token, p->dominant - class_token,
                   p->dominant_token + class_token);
    if (o->status) return;
    for (int64_t i = class_token; i < p->dominant; ++i)
        p->dominant_token[i] += class_token;
    for (int64_t i = 0; i < p->dominant; ++i)
        taken[p->dominant_token[i]] = 1;
    for (int64_t i = 0; i < p->n; ++i)
        if (!taken[i]) rest[count++] = (int32_t)i;
    const int64_t step = count / p->targets > 1 ? count / p->targets : 1;
    for (int64_t i = 0; i < count; ++i)
        if (i % step == 0 && i / step < p->targets)
            p->target_token[i / step] = rest[i];
        else
            p->joined_token[p->joined++] = rest[i];
}

/* The target with the largest cosine of keys for each joined token, the first of equal ones. */
static void join_targets(tsr_operation *o, plan *p, const float *keys, int64_t dim) {
    tsr_similarity s;
    const float *targets = gather(o, keys, dim, p->target_token, p->targets);
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, targets, p->targets, dim);
    float *rows = tsr_operation_take(o, s.tile * dim, sizeof *rows, "keys");
    float *tile = tsr_operation_take(o, s.tile * p->targets, sizeof *tile, "cosines");
    for (int64_t first = 0; first < p->joined && !o->status; first += s.tile) {
        const int64_t count = p->joined - first < s.tile ? p->joined - first : s.tile;
        for (int64_t i = 0; i < count; ++i)
            memcpy(rows + i * dim, keys + p->joined_token[first + i] * dim,
                   (size_t)dim * sizeof *rows);
        tsr_similarity_others(&s, rows, count, tile);
        for (int64_t i = 0; i < count && !o->status; ++i) {
            const float *row = tile + i * p->targets;
            int64_t best = 0;
            for (int64_t j = 1; j < p->targets; ++j)
                if (row[j] > row[best]) best = j;
            p->joined_to[first + i] = (int32_t)best;
        }
    }
    tsr_similarity_close(&s);
}

/* Adds the mean of the joined tokens to each target's features: y [targets, d]. */
static void sum_targets(tsr_operation *o, const plan *p, float *y) {
    const int64_t d = o->in->channels;
    double *sum = tsr_operation_take(o, p->targets * d, sizeof *sum, "sums");
    int32_t *count = tsr_operation_take(o, p->targets, sizeof *count, "counts");
    if (o->status) return;
    for (int64_t i = 0; i < p->joined; ++i) {
        add_row(sum + p->joined_to[i] * d, o->in->features + p->joined_token[i] * d, 1, d);
        ++count[p->joined_to[i]];
    }
    for (int64_t i = 0; i < p->targets; ++i) {
        const float *own = o->in->features + p->target_token[i] * d;
        for (int64_t j = 0; j < d; ++j)
            y[i * d + j] = (float)((double)own[j] + (count[i] ? sum[i * d + j] / count[i] : 0));
    }
}

/* Traces the tokens of which rows were made, ascending; and the same list as published, which takes
 * a target's number among the rest for its number among all. */
static void trace_combined(tsr_operation *o, const plan *p) {
    const int64_t n = p->dominant + p->targets, rest = p->n - p->dominant,
                  step = rest / p->targets > 1 ? rest / p->targets : 1;
    int32_t *list = tsr_operation_take(o, n, sizeof *list, "indices"),
            *published = tsr_operation_take(o, n, sizeof *published, "indices");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t t = i - p->dominant;
        list[i] = t < 0 ? p->dominant_token[i] : p->target_token[t];
        published[i] = t < 0 ? p->dominant_token[i] : (int32_t)(t * step);
    }
    tsr_select_sort(list, n);
    tsr_select_sort(published, n);
    tsr_operation_trace_i32(o, "combined_indices", list, n);
    tsr_operation_trace_i32(o, "combined_indices_published", published, n);
}

static void trace_plan(tsr_operation *o, const plan *p) {
    int32_t *joined_to = tsr_operation_take(o, p->joined, sizeof *joined_to, "targets");
    if (o->status) return;
    for (int64_t i = 0; i < p->joined; ++i)
        joined_to[i] = p->target_token[p->joined_to[i]];
    tsr_operation_trace_i32(o, "dominant", p->dominant_token, p->dominant);
    tsr_operation_trace_i32(o, "targets", p->target_token, p->targets);
    tsr_operation_trace_i32(o, "joined", p->joined_token, p->joined);
    tsr_operation_trace_i32(o, "joined_to", joined_to, p->joined);
    trace_combined(o, p);
}

static void dominant_contextual(tsr_operation *o) {
    const int64_t n = o->in->count, d = o->in->channels,
                  class_token = tsr_operation_is(o, "class_token", "yes");
    int64_t dim = 0;
    const float *keys = read_keys(o, &dim), *score = attention_score(o);
    plan p = {.n = n,
              .dominant = tsr_operation_integer(o, "dominant") + class_token,
              .targets = tsr_operation_integer(o, "contextual")};
    if (!o->status && p.dominant + p.targets > n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted dominant and contextual tokens of %lld, got %lld and %lld",
                           (long long)(n - class_token), (long long)(p.dominant - class_token),
                           (long long)p.targets);
    const int64_t rows = o->status ? 0 : p.dominant + p.targets;
    p.dominant_token = tsr_operation_take(o, p.dominant, sizeof(int32_t), "tokens");
    p.target_token = tsr_operation_take(o, p.targets, sizeof(int32_t), "tokens");
    p.joined_token = tsr_operation_take(o, n, sizeof(int32_t), "tokens");
    p.joined_to = tsr_operation_take(o, n, sizeof(int32_t), "tokens");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    float *y = tsr_operation_take(o, rows * d, sizeof *y, "features");
    choose(o, &p, score);
    join_targets(o, &p, keys, dim);
    if (o->status) return;
    sum_targets(o, &p, y + p.dominant * d);
    for (int64_t i = 0; i < p.dominant; ++i) {
        map[p.dominant_token[i]] = (int32_t)i;
        memcpy(y + i * d, o->in->features + p.dominant_token[i] * d, (size_t)d * sizeof *y);
    }
    for (int64_t i = 0; i < p.targets; ++i)
        map[p.target_token[i]] = (int32_t)(p.dominant + i);
    for (int64_t i = 0; i < p.joined; ++i)
        map[p.joined_token[i]] = (int32_t)(p.dominant + p.joined_to[i]);
    trace_plan(o, &p);
    tsr_operation_merge(o, map, rows, y);
}

const tsr_operator tsr_operator_dominant_contextual = {
    .info =
        {.name = "dominant-contextual",
         .kind = TSR_OPERATOR_MERGE,
         .about = "keeps the tokens attended to most and joins the rest to evenly spaced targets",
         .formula =
             "dominant = the highest mean attention; of the rest every floor(rest / contextual)-th "
             "is a target, `contextual` of them; every other one joins the target of largest key "
             "cosine; a target becomes its features + the mean of those that joined. Order: class "
             "token, dominant, targets",
         .source = "VisionDrop (Ruixxxx/VisionDrop @ f7a9444), in the manner of VisionZip",
         .differs =
             "As published the sum is target + mean, not a mean weighted by size, so that "
             "sum s x is not conserved. Published labels and mask of the language model's "
             "stage mix two numberings (combined_indices_published of the trace); here the map "
             "of source tokens says where every token went. Ties go to the lowest index",
         .cost = "N contextual D multiply-adds",
         .columns = "attention keys"},
    .parameters = {{"dominant", TSR_PARAMETER_INTEGER, NULL, 0, 1 << 30, NULL,
                    "tokens that stay as they are, the class token not counted"},
                   {"contextual", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 30, NULL,
                    "targets that the rest joins"},
                   {"class_token", TSR_PARAMETER_CHOICE, "no", 0, 0, "no|yes",
                    "token 0 always stays, and comes first"}},
    .apply = dominant_contextual,
};

/* ---- lof-merge ---- */

typedef struct rounds {
    int64_t n, visual, text, centres, rest;
    int32_t *visual_token, *text_token, *rest_token; /* ascending */
    int32_t *centre;                                 /* places in the rest, by falling attention */
    const float *attention;                          /* [n] */
    float *similarity;                               /* [n] with a text */
} rounds;

/* Number of outliers of a score, times `of` / n, rounded down. */
static int64_t outlier_share(tsr_operation *o, const float *x, int64_t n, int64_t neighbours,
                             int64_t of) {
    double *lof = tsr_operation_take(o, n, sizeof *lof, "outlier factors");
    if (o->status) return 0;
    tsr_lof(o, x, n, neighbours, lof);
    return o->status ? 0 : of * tsr_lof_outliers(lof, n) / n;
}

/* Two rounds of keeping: by attention, then by similarity among the others. */
static void keep_two_rounds(tsr_operation *o, rounds *r, const float *similarity) {
    const int64_t neighbours = tsr_operation_integer(o, "neighbours_budget");
    uint8_t *kept = tsr_operation_take(o, r->n, sizeof *kept, "tokens");
    r->visual = outlier_share(o, r->attention, r->n, neighbours, r->n);
    r->visual_token = tsr_operation_take(o, r->visual, sizeof(int32_t), "tokens");
    r->similarity = tsr_operation_take(o, r->n, sizeof(float), "similarities");
    tsr_select_top(o, r->attention, r->n, r->visual, r->visual_token);
    if (o->status) return;
    float least = similarity[0];
    for (int64_t i = 0; i < r->n; ++i) {
        r->similarity[i] = similarity[i];
        least = fminf(least, similarity[i]);
    }
    for (int64_t i = 0; i < r->visual; ++i) {
        kept[r->visual_token[i]] = 1;
        r->similarity[r->visual_token[i]] = least;
    }
    r->text = outlier_share(o, r->similarity, r->n, neighbours, r->n - r->visual);
    r->text_token = tsr_operation_take(o, r->text, sizeof(int32_t), "tokens");
    tsr_select_top(o, r->similarity, r->n, r->text, r->text_token);
    r->rest_token = tsr_operation_take(o, r->n, sizeof(int32_t), "tokens");
    if (o->status) return;
    for (int64_t i = 0; i < r->text; ++i)
        kept[r->text_token[i]] = 1; /* where all are at the least, also a visual one */
    for (int64_t i = 0; i < r->n; ++i)
        if (!kept[i]) r->rest_token[r->rest++] = (int32_t)i;
}

typedef struct scored {
    float score;
    int32_t index;
} scored;
static int highest_first(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index > y->index ? 1 : -1;
}

/* Outliers of attention among the rest, the highest first. As published their number is a share of
 * the channels. */
static void choose_centres(tsr_operation *o, rounds *r, bool published) {
    float *attention = tsr_operation_take(o, r->rest, sizeof *attention, "attention");
    scored *list = tsr_operation_take(o, r->rest, sizeof *list, "attention");
    if (o->status || !r->rest) return;
    for (int64_t i = 0; i < r->rest; ++i) {
        attention[i] = r->attention[r->rest_token[i]];
        list[i] = (scored){attention[i], (int32_t)i};
    }
    const int64_t count =
        outlier_share(o, attention, r->rest, tsr_operation_integer(o, "neighbours_centres"),
                      published ? o->in->channels : r->rest);
    r->centres = count < r->rest ? count : r->rest;
    r->centre = tsr_operation_take(o, r->centres, sizeof(int32_t), "centres");
    if (o->status) return;
    qsort(list, (size_t)r->rest, sizeof *list, highest_first);
    for (int64_t i = 0; i < r->centres; ++i)
        r->centre[i] = list[i].index;
}

/* Writes the members of each centre: member [centres, *merge] places in the rest, those of the
 * highest cosine of keys + gain * similarity first; *merge becomes how many there are. As
 * published, keys are those of other tokens: the places are taken for tokens. */
static int32_t *find_members(tsr_operation *o, const rounds *r, bool published, int64_t *merge) {
    const double gain = tsr_operation_number(o, "text_gain");
    int64_t dim = 0;
    const float *keys = read_keys(o, &dim);
    const int64_t wanted = tsr_operation_integer(o, "merge");
    *merge = wanted < r->rest - 1 ? wanted : r->rest > 0 ? r->rest - 1 : 0;
    int32_t *member = tsr_operation_take(o, r->centres * *merge, sizeof *member, "members");
    scored *list = tsr_operation_take(o, r->rest, sizeof *list, "members");
    if (o->status || !r->centres || !*merge) return member;
    const float *rows = published ? keys : gather(o, keys, dim, r->rest_token, r->rest);
    tsr_similarity s;
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, rows, r->rest, dim);
    float *cosine = tsr_operation_take(o, s.tile * r->rest, sizeof *cosine, "cosines");
    for (int64_t first = 0; first < r->centres && !o->status; first += s.tile) {
        const int64_t count = r->centres - first < s.tile ? r->centres - first : s.tile;
        tsr_similarity_picked(&s, r->centre + first, count, cosine);
        for (int64_t c = 0; c < count && !o->status; ++c) {
            int64_t others = 0;
            for (int64_t i = 0; i < r->rest; ++i)
                if (i != r->centre[first + c])
                    list[others++] =
                        (scored){(float)((double)cosine[c * r->rest + i] +
                                         gain * (double)r->similarity[r->rest_token[i]]),
                                 (int32_t)i};
            qsort(list, (size_t)others, sizeof *list, highest_first);
            for (int64_t i = 0; i < *merge; ++i)
                member[(first + c) * *merge + i] = list[i].index;
        }
    }
    tsr_similarity_close(&s);
    return member;
}

/* Rows of the centres and the last one, behind the kept ones; and where every token of the rest
 * goes: to the first centre it is a member of, else to the last row. */
static void merge_rest(tsr_operation *o, const rounds *r, const int32_t *member, int64_t merge,
                       bool last, int64_t kept, float *y, int32_t *map) {
    const int64_t d = o->in->channels;
    const float *x = o->in->features;
    uint8_t *is_centre = tsr_operation_take(o, r->rest, sizeof *is_centre, "centres");
    double *sum = tsr_operation_take(o, d, sizeof *sum, "sum");
    if (o->status) return;
    for (int64_t i = 0; i < r->rest; ++i)
        map[r->rest_token[i]] = last ? (int32_t)(kept + r->centres) : -1;
    for (int64_t c = r->centres - 1; c >= 0; --c) {
        const int32_t own = r->rest_token[r->centre[c]];
        memset(sum, 0, (size_t)d * sizeof *sum);
        add_row(sum, x + own * d, 1, d);
        for (int64_t i = 0; i < merge; ++i) {
            const int32_t t = r->rest_token[member[c * merge + i]];
            add_row(sum, x + t * d, (double)r->attention[t], d);
            map[t] = (int32_t)(kept + c);
        }
        put_row(y + (kept + c) * d, sum, d);
        is_centre[r->centre[c]] = 1;
    }
    memset(sum, 0, (size_t)d * sizeof *sum);
    for (int64_t i = 0; i < r->rest; ++i)
        if (!is_centre[i])
            add_row(sum, x + r->rest_token[i] * d, (double)r->attention[r->rest_token[i]], d);
    if (last) put_row(y + (kept + r->centres) * d, sum, d);
    for (int64_t c = 0; c < r->centres; ++c)
        map[r->rest_token[r->centre[c]]] = (int32_t)(kept + c);
}

static void trace_rounds(tsr_operation *o, const rounds *r, const int32_t *member, int64_t merge) {
    int32_t *centre = tsr_operation_take(o, r->centres, sizeof *centre, "centres"),
            *list = tsr_operation_take(o, r->centres * merge, sizeof *list, "members");
    if (o->status) return;
    for (int64_t c = 0; c < r->centres; ++c) {
        centre[c] = r->rest_token[r->centre[c]];
        for (int64_t i = 0; i < merge; ++i)
            list[c * merge + i] = r->rest_token[member[c * merge + i]];
        tsr_select_sort(list + c * merge, merge);
    }
    tsr_operation_trace_i32(o, "visual", r->visual_token, r->visual);
    tsr_operation_trace_i32(o, "text", r->text_token, r->text);
    tsr_operation_trace_i32(o, "centres", centre, r->centres);
    tsr_operation_trace(o, "members", TSR_ARRAY_I32, 2, (int64_t[]){r->centres, merge}, list);
}

static void lof_merge(tsr_operation *o) {
    const int64_t n = o->in->count, d = o->in->channels;
    const bool published = tsr_operation_is(o, "variant", "published");
    const tsr_token_array similarity =
        tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    rounds r = {.n = n, .attention = attention_score(o)};
    keep_two_rounds(o, &r, similarity.data);
    choose_centres(o, &r, published);
    int64_t merge = 0;
    const int32_t *member = find_members(o, &r, published, &merge);
    const int64_t kept = n - r.rest;
    const bool last = r.rest > 0 && (r.centres > 0 || !published);
    const int64_t rows = kept + r.centres + last;
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map"), at = 0;
    float *y = tsr_operation_take(o, rows * d, sizeof *y, "features");
    if (o->status) return;
    for (int64_t i = 0, j = 0; i < n; ++i)
        if (j < r.rest && r.rest_token[j] == i)
            ++j;
        else {
            memcpy(y + at * d, o->in->features + i * d, (size_t)d * sizeof *y);
            map[i] = at++;
        }
    merge_rest(o, &r, member, merge, last, kept, y, map);
    trace_rounds(o, &r, member, merge);
    tsr_operation_merge(o, map, rows, y);
}

const tsr_operator tsr_operator_lof_merge = {
    .info =
        {.name = "lof-merge",
         .kind = TSR_OPERATOR_MERGE,
         .about = "keeps as many tokens as attention and a text have outliers, and merges the rest "
                  "around outliers of its own",
         .formula =
             "visual = the floor(N share(LOF of attention)) highest; their similarity becomes the "
             "least of all; text = the floor((N - visual) share(LOF of similarity)) highest; "
             "centres "
             "= as many of the rest, by falling attention, as it has outliers. A centre becomes x "
             "+ "
             "sum a x over the `merge` others of the rest with the highest key cosine + text_gain "
             "* "
             "similarity; the last token is sum a x over all that are no centres. Order: kept, "
             "centres, last",
         .source = "Recoverable Compression (banjiuyufen/Recoverable-Compression @ d927594)",
         .differs =
             "the number of centres is a share of the channels, not of tokens; keys are "
             "those of other tokens; without a centre the last token is missing: "
             "variant=published. "
             "As published a token may be in several sums, which are not normalised; its source "
             "tokens count for the first centre that has it, else for the last token",
         .cost = "N log N + N centres D multiply-adds",
         .columns = "attention scores keys"},
    .parameters = {{"neighbours_budget", TSR_PARAMETER_INTEGER, "20", 1, 4096, NULL,
                    "neighbours of the outlier factors of both rounds"},
                   {"neighbours_centres", TSR_PARAMETER_INTEGER, "10", 1, 4096, NULL,
                    "neighbours of the outlier factors of the rest"},
                   {"merge", TSR_PARAMETER_INTEGER, "32", 0, 1 << 20, NULL,
                    "members of each centre, or all there are"},
                   {"text_gain", TSR_PARAMETER_NUMBER, "50", -1e6, 1e6, NULL,
                    "weight of the similarity with the text against key cosines"},
                   {"variant", TSR_PARAMETER_CHOICE, "outliers", 0, 0, "outliers|published",
                    "how many centres there are, and whose keys are compared"}},
    .apply = lof_merge,
};
