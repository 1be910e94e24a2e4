/* SPDX-License-Identifier: MIT */
/* give_scores.c: numbers for tokens that need no attention of a tower, or attention of two layers:
 * relevance to a query, rarity of a code, error of a code, sensitivity of a projector. */
#include "give_scores.h"
#include "recorded.h"
#include "../compute/threads.h"
#include "../quantizer/rng.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading and giving ---- */

void tsr_give_scores(tsr_operation *o, const float *score) {
    const int64_t n = o->in->count;
    int32_t *all = tsr_operation_take(o, n, sizeof *all, "tokens");
    for (int64_t i = 0; i < n && all; ++i)
        all[i] = (int32_t)i;
    tsr_operation_keep(o, all, n);
    tsr_operation_attach(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, score);
    tsr_operation_trace_f32(o, "score", score, n);
}

const float *tsr_read_scores(tsr_operation *o) {
    return tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1).data;
}
const int32_t *tsr_read_ids(tsr_operation *o) {
    return tsr_operation_column(o, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1).data;
}

const float *tsr_read_matrix(tsr_operation *o, const char *name, int64_t *rows, int64_t *width) {
    const tsr_token_array a = tsr_operation_table(o, name, 2);
    if (!o->status && *width && a.dim[1] != *width)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column %s: wanted rows of %lld, got rows of %lld", name,
                           (long long)*width, (long long)a.dim[1]);
    *rows = a.dim[0];
    *width = a.dim[1];
    return o->status ? NULL : a.data;
}

/* ---- query-relevance ---- */

typedef struct relevance_work {
    const float *unit, *text; /* unit rows */
    float *score;
    int64_t n, rows, dim;
    bool mean, unit_range;
} relevance_work;

enum { TILE_TOKENS = 64 };

static void relevance_tile(void *arg, int64_t tile, int worker) {
    const relevance_work *w = arg;
    (void)worker;
    for (int64_t i = tile * TILE_TOKENS; i < w->n && i < (tile + 1) * TILE_TOKENS; ++i) {
        double most = -2, sum = 0;
        for (int64_t j = 0; j < w->rows; ++j) {
            const double cosine = tsr_dot(w->unit + i * w->dim, w->text + j * w->dim, w->dim);
            most = fmax(most, cosine);
            sum += cosine;
        }
        const double cosine = w->mean ? sum / (double)w->rows : most;
        w->score[i] = (float)(w->unit_range ? (cosine + 1) / 2 : cosine);
    }
}

static int64_t tiles_of(int64_t n) {
    return (n + TILE_TOKENS - 1) / TILE_TOKENS;
}

static void query_relevance(tsr_operation *o) {
    relevance_work w = {.n = o->in->count, .dim = o->in->channels};
    const float *text = tsr_read_matrix(o, "text", &w.rows, &w.dim);
    w.mean = tsr_operation_is(o, "words", "mean");
    w.unit_range = tsr_operation_is(o, "range", "unit");
    float *unit = tsr_operation_take(o, w.n * w.dim, sizeof *unit, "unit rows"),
          *words = tsr_operation_take(o, w.rows * w.dim, sizeof *words, "unit rows");
    w.score = tsr_operation_take(o, w.n, sizeof *w.score, "scores");
    tsr_unit_rows(o, o->in->features, w.n, w.dim, unit);
    tsr_unit_rows(o, text, w.rows, w.dim, words);
    w.unit = unit;
    w.text = words;
    if (!o->status) tsr_parallel(o->ctx, tiles_of(w.n), relevance_tile, &w);
    tsr_give_scores(o, w.score);
}

const tsr_operator tsr_operator_query_relevance = {
    .info = {.name = "query-relevance",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by their cosine to the rows of a text",
             .formula = "score_i = max or mean over rows j of text of cos(x_i, text_j); "
                        "range=unit: (score_i + "
                        "1) / 2, never below 0",
             .source = "in the manner of BUS, Goldfish, F2C and CATP, whose code is not public; "
                       "Recoverable Compression scores its text round so",
             .differs = NULL,
             .cost = "N m D multiply-adds for m rows of text",
             .columns = "text"},
    .parameters = {{"words", TSR_PARAMETER_CHOICE, "max", 0, 0, "max|mean",
                    "what becomes of several rows"},
                   {"range", TSR_PARAMETER_CHOICE, "cosine", 0, 0, "cosine|unit",
                    "-1..1, or 0..1"}},
    .apply = query_relevance,
    .record = tsr_record_query_relevance,
};

/* ---- attention-growth ---- */

static void attention_growth(tsr_operation *o) {
    const tsr_token_array a =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3);
    const int64_t n = o->in->count, from = tsr_operation_integer(o, "from"),
                  to = tsr_operation_integer(o, "to"), layers = a.dim[0], heads = a.dim[1];
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    if (!o->status && (from >= layers || to >= layers))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "%s: wanted a layer below the %lld there are, got %lld",
                           from >= layers ? "from" : "to", (long long)layers,
                           (long long)(from >= layers ? from : to));
    if (o->status) return;
    const float *x = a.data;
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t h = 0; h < heads; ++h)
            sum += (double)x[(to * heads + h) * n + i] - (double)x[(from * heads + h) * n + i];
        score[i] = (float)(sum / (double)heads);
    }
    tsr_give_scores(o, score);
}

const tsr_operator tsr_operator_attention_growth = {
    .info = {.name = "attention-growth",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by how much more attention a later layer gives them",
             .formula = "score_i = mean over heads of attention[to, h, i] - attention[from, h, i]",
             .source = "in the manner of CATP (second stage), whose code is not public",
             .differs = NULL,
             .cost = "2 H N additions",
             .columns = "attention"},
    .parameters = {{"from", TSR_PARAMETER_INTEGER, "0", 0, 65535, NULL, "the earlier layer"},
                   {"to", TSR_PARAMETER_INTEGER, NULL, 0, 65535, NULL, "the later layer"}},
    .apply = attention_growth,
};

/* ---- code-rarity ---- */

static int by_id(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}
/* How often `id` is among sorted ids [n]. */
static int64_t count_of(const int32_t *sorted, int64_t n, int32_t id) {
    int64_t low = 0, high = n, end;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sorted[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low, high = n; end < high;) {
        const int64_t middle = (end + high) / 2;
        if (sorted[middle] <= id)
            end = middle + 1;
        else
            high = middle;
    }
    return end - low;
}

/* Bits of each id under the frequencies of ids [n], and their mean, the entropy. */
static double rarity(const int32_t *id, int32_t *sorted, int64_t n, float *score) {
    double sum = 0;
    memcpy(sorted, id, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_id);
    for (int64_t i = 0; i < n; ++i) {
        const double bits = log2((double)n / (double)count_of(sorted, n, id[i]));
        if (score) score[i] = (float)bits;
        sum += bits;
    }
    return sum / (double)n;
}

static void code_rarity(tsr_operation *o) {
    const int64_t n = o->in->count, frames = o->in->grid[0] ? o->in->grid[0] : 1;
    const int32_t *id = tsr_read_ids(o);
    int32_t *sorted = tsr_operation_take(o, n, sizeof *sorted, "ids");
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    double *entropy = tsr_operation_take(o, frames, sizeof *entropy, "entropies");
    if (o->status) return;
    const double all = rarity(id, sorted, n, score);
    for (int64_t t = 0; t < frames; ++t)
        entropy[t] = rarity(id + t * (n / frames), sorted, n / frames, NULL);
    tsr_give_scores(o, score);
    tsr_operation_trace_f64(o, "entropy", &all, 1);
    tsr_operation_trace_f64(o, "entropy_of_frame", entropy, frames);
}

const tsr_operator tsr_operator_code_rarity = {
    .info = {.name = "code-rarity",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by the bits of their code, which no model is needed for",
             .formula = "score_i = -log2 p(id_i), p the frequencies of ids in the set; entropy is "
                        "their mean, and entropy_of_frame the same inside each frame",
             .source = "ours; in the manner of LangDC a clip's entropy can set its budget",
             .differs = NULL,
             .cost = "N log N comparisons",
             .columns = "ids"},
    .apply = code_rarity,
};

/* ---- code-error ---- */

static void code_error(tsr_operation *o) {
    int64_t codes = 0, dim = o->in->channels;
    const int64_t n = o->in->count;
    const int32_t *id = tsr_read_ids(o);
    const float *code = tsr_read_matrix(o, "codes", &codes, &dim);
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    double sum = 0;
    for (int64_t i = 0; i < n && !o->status; ++i) {
        if (id[i] < 0 || id[i] >= codes)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "column ids: token %lld: wanted an id below the %lld codes, got %d",
                               (long long)i, (long long)codes, (int)id[i]);
        else
            score[i] = (float)tsr_square_distance(o->in->features + i * dim,
                                                  code + (int64_t)id[i] * dim, dim);
        sum += (double)score[i];
    }
    const double mean = sum / (double)n;
    tsr_give_scores(o, score);
    tsr_operation_trace_f64(o, "mean", &mean, 1);
}

const tsr_operator tsr_operator_code_error = {
    .info = {.name = "code-error",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by how far their code is from their feature",
             .formula = "score_i = |x_i - codes[id_i]|^2",
             .source = "ours: what a codebook says badly is worth keeping as it is",
             .differs = NULL,
             .cost = "N D multiply-adds",
             .columns = "ids codes"},
    .apply = code_error,
};

/* ---- sensitivity ---- */

/* A projector of one or two linear layers with GELU between, in columns. */
typedef struct projector {
    const float *first, *bias, *second; /* [hidden, dim], [hidden] or NULL, [out, hidden] or NULL */
    int64_t hidden, out;
} projector;

static void read_projector(tsr_operation *o, projector *p) {
    int64_t dim = o->in->channels, hidden;
    p->first = tsr_read_matrix(o, "projector.0.weight", &p->hidden, &dim);
    hidden = p->hidden;
    if (tsr_operation_has_column(o, "projector.2.weight"))
        p->second = tsr_read_matrix(o, "projector.2.weight", &p->out, &hidden);
    if (!tsr_operation_has_column(o, "projector.0.bias")) return;
    const tsr_token_array bias = tsr_operation_table(o, "projector.0.bias", 1);
    if (!o->status && bias.dim[0] != p->hidden)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column projector.0.bias: wanted %lld numbers, got %lld",
                           (long long)p->hidden, (long long)bias.dim[0]);
    p->bias = bias.data;
}

static double gelu(double x) {
    return 0.5 * x * (1 + erf(x * 0.70710678118654752));
}

typedef struct difference_work {
    const projector *p;
    const float *at, *along; /* [count, hidden] first layer of tokens, [hidden] of a direction */
    float *difference;       /* [count, hidden] */
    double step;
} difference_work;

/* Half the difference of the hidden layer at x + step u and x - step u, divided by the step. */
static void difference_row(void *arg, int64_t i, int worker) {
    const difference_work *w = arg;
    const int64_t n = w->p->hidden;
    const float *at = w->at + i * n;
    float *d = w->difference + i * n;
    (void)worker;
    for (int64_t j = 0; j < n; ++j) {
        const double x = (double)at[j] + (w->p->bias ? (double)w->p->bias[j] : 0),
                     s = w->step * (double)w->along[j];
        d[j] = (float)(w->p->second ? (gelu(x + s) - gelu(x - s)) / (2 * w->step)
                                    : (double)w->along[j]);
    }
}

static double length_of(const float *x, int64_t n) {
    return sqrt(tsr_dot(x, x, n));
}

/* Random directions of length 1: u [count, dim]. */
static void draw_directions(float *u, int64_t count, int64_t dim, uint64_t seed) {
    for (int64_t i = 0; i < count; ++i) {
        float *row = u + i * dim;
        tsr_random_normals(seed, (uint64_t)i, dim, row);
        const double length = length_of(row, dim);
        for (int64_t j = 0; j < dim; ++j)
            row[j] = (float)((double)row[j] / length);
    }
}

static void sensitivity(tsr_operation *o) {
    const int64_t n = o->in->count, dim = o->in->channels,
                  directions = tsr_operation_integer(o, "directions");
    projector p = {0};
    read_projector(o, &p);
    difference_work w = {.p = &p, .step = tsr_operation_number(o, "step")};
    float *score = tsr_operation_take(o, n, sizeof *score, "scores"),
          *u = tsr_operation_take(o, directions * dim, sizeof *u, "directions"),
          *along = tsr_operation_take(o, directions * p.hidden, sizeof *along, "directions");
    double *sum = tsr_operation_take(o, n, sizeof *sum, "scores");
    const uint64_t seed = (uint64_t)tsr_operation_integer(o, "seed");
    if (o->status) return;
    draw_directions(u, directions, dim, seed);
    tsr_similarity first = {0}, second = {0};
    tsr_similarity_open(o, &first, TSR_SIMILARITY_DOT, p.first, p.hidden, dim);
    if (p.second) tsr_similarity_open(o, &second, TSR_SIMILARITY_DOT, p.second, p.out, p.hidden);
    for (int64_t i = 0; i < directions; i += first.tile)
        tsr_similarity_others(&first, u + i * dim,
                              directions - i < first.tile ? directions - i : first.tile,
                              along + i * p.hidden);
    const int64_t tile = p.second && second.tile < first.tile ? second.tile : first.tile,
                  width = p.second ? p.out : p.hidden;
    float *at = tsr_operation_take(o, tile * p.hidden, sizeof *at, "projected tokens");
    float *response = tsr_operation_take(o, tile * width, sizeof *response, "responses");
    w.difference = tsr_operation_take(o, tile * p.hidden, sizeof *w.difference, "responses");
    for (int64_t i = 0; i < n && !o->status; i += tile) {
        const int64_t count = n - i < tile ? n - i : tile;
        tsr_similarity_others(&first, o->in->features + i * dim, count, at);
        w.at = at;
        for (int64_t d = 0; d < directions && !o->status; ++d) {
            w.along = along + d * p.hidden;
            tsr_parallel(o->ctx, count, difference_row, &w);
            if (p.second) tsr_similarity_others(&second, w.difference, count, response);
            const float *y = p.second ? response : w.difference;
            for (int64_t j = 0; j < count; ++j)
                sum[i + j] += length_of(y + j * width, width);
        }
    }
    for (int64_t i = 0; i < n; ++i)
        score[i] = (float)(sum[i] / (double)directions);
    tsr_similarity_close(&second);
    tsr_similarity_close(&first);
    tsr_give_scores(o, score);
}

const tsr_operator tsr_operator_sensitivity = {
    .info = {.name = "sensitivity",
             .kind = TSR_OPERATOR_SCORE,
             .about = "scores tokens by how much a projector answers to small changes of them",
             .formula =
                 "score_i = mean over directions u of |f(x_i + step u) - f(x_i - step u)| / "
                 "(2 step); f is projector.2.weight gelu(projector.0.weight x + "
                 "projector.0.bias), or projector.0.weight x alone, which answers to all "
                 "tokens alike; u are random directions of length 1, the same for all tokens",
             .source = "in the manner of ZOO-Prune, whose code is not public",
             .differs = NULL,
             .cost = "N D H + N directions H P multiply-adds for H hidden and P projected channels",
             .columns = "projector.0.weight projector.0.bias projector.2.weight"},
    .parameters = {{"directions", TSR_PARAMETER_INTEGER, "8", 1, 4096, NULL, "random directions"},
                   {"step", TSR_PARAMETER_NUMBER, "0.01", 1e-6, 1e3, NULL, "length of a change"},
                   {"seed", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "which directions are drawn"}},
    .apply = sensitivity,
};
