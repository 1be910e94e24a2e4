/* SPDX-License-Identifier: MIT */
/* coverage.c: tokens that stand for all the others (facility location), and frames that show the
 * most (set cover). */
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"
#include "recorded.h"
#include "select.h"
#include "similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- facility location ---- */

/* Gains only fall while picks are added, so a gain of an earlier step bounds the one of now. A
 * batch of the tokens with the highest bounds is computed anew, until the best is up to date: lazy
 * greedy (Minoux 1978). Similarities [n, n] are stored, as in the published code. */
enum { BATCH = 32, LANES = 8 };

typedef struct coverage {
    int64_t n, texts;
    float *vision;        /* [n, n] row j: exp((cosine of j and r - 1) / t) for all r */
    double *weight;       /* [n] of row r of the vision block: alpha / n / its sum */
    float *best;          /* [n] greatest of the picks, as `vision` */
    double *text;         /* [n, texts] softmax of each text over tokens, divided by texts */
    double *best_text;    /* [texts] */
    double *gain;         /* [n] exact, or a bound */
    const int32_t *batch; /* tokens whose gain is computed */
    const tsr_similarity *s;
    double temperature;
    int64_t first; /* of the tile of rows */
} coverage;

TSR_CLONES static double vision_gain(const float *row, const float *best, const double *weight,
                                     int64_t n) {
    double lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; ++l) {
            const float more = row[i + l] - best[i + l];
            lane[l] += weight[i + l] * (double)(more > 0 ? more : 0);
        }
    for (; i < n; ++i)
        lane[0] += weight[i] * (double)(row[i] > best[i] ? row[i] - best[i] : 0);
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

static void gain_of(void *arg, int64_t at, int worker) {
    const coverage *c = arg;
    const int64_t j = c->batch ? c->batch[at] : at;
    double gain = vision_gain(c->vision + j * c->n, c->best, c->weight, c->n);
    (void)worker;
    for (int64_t t = 0; t < c->texts; ++t)
        gain += fmax(0, c->text[j * c->texts + t] - c->best_text[t]);
    c->gain[j] = gain;
}

/* Row r of similarities becomes exponentials, and their sum its weight. */
static void exponentials(void *arg, int64_t at, int worker) {
    const coverage *c = arg;
    float *row = c->vision + (c->first + at) * c->n;
    double sum = 0;
    (void)worker;
    for (int64_t i = 0; i < c->n; ++i) {
        row[i] = expf((row[i] - 1) / (float)c->temperature);
        sum += (double)row[i];
    }
    c->weight[c->first + at] /= sum;
}

/* The vision block: rows of the column "encoder", or the features. */
static void add_vision(tsr_operation *o, coverage *c) {
    const float *x = o->in->features;
    int64_t dim = o->in->channels;
    if (tsr_operation_has_column(o, "encoder")) {
        const tsr_token_array encoder =
            tsr_operation_column(o, "encoder", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
        x = encoder.data;
        dim = encoder.dim[1];
    }
    const double alpha = tsr_operation_number(o, "alpha");
    c->temperature = tsr_operation_number(o, "temperature_vision");
    c->vision = tsr_operation_take_raw(o, c->n * c->n, sizeof *c->vision, "similarities");
    if (o->status) return;
    for (int64_t i = 0; i < c->n; ++i)
        c->weight[i] = alpha / (double)c->n;
    tsr_similarity s;
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, x, c->n, dim);
    for (int64_t count; c->first < c->n && !o->status; c->first += count) {
        count = tsr_similarity_rows(&s, c->first, c->vision + c->first * c->n);
        if (!o->status) tsr_parallel(o->ctx, count, exponentials, c);
    }
    tsr_similarity_close(&s);
}

/* The text block: the column "text" against the features. */
static void add_text(tsr_operation *o, coverage *c) {
    if (!tsr_operation_has_column(o, "text")) return;
    const tsr_token_array text = tsr_operation_table(o, "text", 2);
    const double temperature = tsr_operation_number(o, "temperature_text");
    const int64_t n = c->n, dim = o->in->channels;
    if (!o->status && text.dim[1] != dim)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "text: wanted the %lld channels of the tokens, got %lld", (long long)dim,
                           (long long)text.dim[1]);
    if (o->status) return;
    c->texts = text.dim[0];
    c->text = tsr_operation_take(o, n * c->texts, sizeof *c->text, "text similarities");
    c->best_text = tsr_operation_take(o, c->texts, sizeof *c->best_text, "text similarities");
    float *row = tsr_operation_take(o, n, sizeof *row, "text similarities");
    tsr_similarity s;
    tsr_similarity_open(o, &s, TSR_SIMILARITY_COSINE, o->in->features, n, dim);
    for (int64_t t = 0; t < c->texts && !o->status; ++t) {
        double most = -INFINITY, sum = 0;
        tsr_similarity_others(&s, (const float *)text.data + t * dim, 1, row);
        if (o->status) break;
        for (int64_t i = 0; i < n; ++i)
            most = fmax(most, (double)row[i]);
        for (int64_t i = 0; i < n; ++i)
            sum += exp(((double)row[i] - most) / temperature);
        for (int64_t i = 0; i < n; ++i)
            c->text[i * c->texts + t] =
                exp(((double)row[i] - most) / temperature) / sum / (double)c->texts;
    }
    tsr_similarity_close(&s);
}

/* The BATCH tokens with the highest gains that are neither out nor up to date and whose bound is
 * above token `best`, which is: list [BATCH]. */
static int64_t stale_ones(const coverage *c, const int32_t *step, int32_t now, int32_t best,
                          const uint8_t *out, int32_t *list) {
    int64_t count = 0;
    for (int64_t i = 0; i < c->n; ++i) {
        if (out[i] || step[i] == now) continue;
        if (best >= 0 && (c->gain[i] < c->gain[best] || (c->gain[i] == c->gain[best] && i > best)))
            continue;
        if (count == BATCH && !(c->gain[i] > c->gain[list[count - 1]])) continue;
        int64_t at = count < BATCH ? count++ : count - 1;
        for (; at > 0 && c->gain[i] > c->gain[list[at - 1]]; --at)
            list[at] = list[at - 1];
        list[at] = (int32_t)i;
    }
    return count;
}

/* The token with the highest gain in step `now`. */
static int32_t best_gain(tsr_operation *o, coverage *c, int32_t *step, int32_t now,
                         const uint8_t *out) {
    int32_t best = -1, list[BATCH];
    int64_t count;
    while ((count = stale_ones(c, step, now, best, out, list)) > 0) {
        c->batch = list;
        tsr_parallel(o->ctx, count, gain_of, c);
        for (int64_t i = 0; i < count; ++i) {
            const int32_t j = list[i];
            step[j] = now;
            if (best < 0 || c->gain[j] > c->gain[best] || (c->gain[j] == c->gain[best] && j < best))
                best = j;
        }
    }
    return best;
}

static void greedy(tsr_operation *o, coverage *c, uint8_t *out, int64_t k, int32_t *order,
                   float *gains) {
    int32_t *step = tsr_operation_take(o, c->n, sizeof *step, "steps");
    if (o->status) return;
    tsr_parallel(o->ctx, c->n, gain_of, c);
    for (int64_t p = 0; p < k; ++p) {
        const int32_t pick = best_gain(o, c, step, (int32_t)p + 1, out);
        const float *row = c->vision + pick * c->n;
        out[pick] = 1;
        order[p] = pick;
        gains[p] = (float)c->gain[pick];
        for (int64_t i = 0; i < c->n; ++i)
            c->best[i] = fmaxf(c->best[i], row[i]);
        for (int64_t t = 0; t < c->texts; ++t)
            c->best_text[t] = fmax(c->best_text[t], c->text[pick * c->texts + t]);
    }
}

/* Marks the tokens of the parameter "exclude"; returns how many. */
static int64_t excluded(tsr_operation *o, uint8_t *out) {
    int count = 0;
    int64_t marked = 0;
    const double *list =
        tsr_operation_has(o, "exclude") ? tsr_operation_list(o, "exclude", &count) : NULL;
    for (int i = 0; i < count && !o->status; ++i)
        if (list[i] != floor(list[i]) || list[i] >= (double)o->in->count)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "exclude: wanted tokens below %lld, got %.10g",
                               (long long)o->in->count, list[i]);
        else {
            marked += !out[(int64_t)list[i]];
            out[(int64_t)list[i]] = 1;
        }
    return marked;
}

/* MMTok. */
static void coverage_greedy(tsr_operation *o) {
    const int64_t n = o->in->count, k = tsr_select_count(o, n);
    coverage c = {.n = n};
    c.weight = tsr_operation_take(o, n, sizeof *c.weight, "weights");
    c.best = tsr_operation_take(o, n, sizeof *c.best, "coverage");
    c.gain = tsr_operation_take(o, n, sizeof *c.gain, "gains");
    uint8_t *out = tsr_operation_take(o, n, sizeof *out, "picks");
    int32_t *order = tsr_operation_take(o, k, sizeof *order, "picks");
    float *gains = tsr_operation_take(o, k, sizeof *gains, "gains");
    const int64_t left = n - excluded(o, out);
    if (!o->status && k > left)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "k: wanted at most the %lld tokens that are not excluded, got %lld",
                           (long long)left, (long long)k);
    add_vision(o, &c);
    add_text(o, &c);
    if (o->status) return;
    greedy(o, &c, out, k, order, gains);
    tsr_operation_trace_i32(o, "order", order, k);
    tsr_operation_trace_f32(o, "gain", gains, k);
    tsr_select_sort(order, k);
    tsr_operation_keep(o, order, k);
}

const tsr_operator tsr_operator_coverage_greedy = {
    .info = {.name = "coverage-greedy",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps tokens that together are most similar to all tokens and to a text",
             .formula = "rows R = [softmax over tokens of cos(text, x) / t_text, divided by the M "
                        "texts; alpha softmax over tokens of cos(c, c) / t_vision, divided by N], "
                        "x the features, c the column encoder or the features; gain_j = sum_r "
                        "max(0, R_rj - b_r), b the greatest R of the picks; k times the token with "
                        "the greatest gain; they stay in their order",
             .source = "MMTok (Ironieser/MMTok @ d1522cd)",
             .differs = "the published code needs text rows; here they are optional. Its text "
                        "temperature is 0.02 or 0.01, depending on the caller; here 0.02",
             .cost = "N^2 D multiply-adds and N^2 exponentials, N^2 numbers as in the published "
                     "code; a pick computes gains, N + M steps each, of the tokens alone whose "
                     "bound is high enough",
             .columns = "encoder text"},
    .parameters = {TSR_SELECT_PARAMETERS,
                   {"alpha", TSR_PARAMETER_NUMBER, "0.5", 0, 1e6, NULL,
                    "weight of the coverage of tokens against that of texts"},
                   {"temperature_text", TSR_PARAMETER_NUMBER, "0.02", 0.001, 1000, NULL, "t_text"},
                   {"temperature_vision", TSR_PARAMETER_NUMBER, "0.2", 0.001, 1000, NULL,
                    "t_vision"},
                   {"exclude", TSR_PARAMETER_LIST, NULL, 0, 2147483647, NULL,
                    "tokens that are never picked, such as padding"}},
    .apply = coverage_greedy,
    .record = tsr_record_coverage_greedy,
};

/* ---- set cover ---- */

/* Sets of ids, one for each frame. */
typedef struct frame_sets {
    int64_t frames, size; /* most ids of a frame */
    int64_t *id;          /* [frames, size] */
    int64_t *count;       /* [frames] ids of a frame */
} frame_sets;

static int ascending_ids(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Numbers all ids from 0 and removes those that a frame has twice; returns how many there are. */
static int64_t number_ids(tsr_operation *o, frame_sets *f) {
    int64_t total = 0, unique = 0;
    for (int64_t t = 0; t < f->frames; ++t)
        total += f->count[t];
    int64_t *all = tsr_operation_take(o, total, sizeof *all, "ids");
    if (o->status) return 0;
    total = 0;
    for (int64_t t = 0; t < f->frames; ++t) {
        int64_t *id = f->id + t * f->size, count = 0;
        qsort(id, (size_t)f->count[t], sizeof *id, ascending_ids);
        for (int64_t i = 0; i < f->count[t]; ++i)
            if (!count || id[i] != id[count - 1]) id[count++] = id[i];
        f->count[t] = count;
        memcpy(all + total, id, (size_t)count * sizeof *id);
        total += count;
    }
    qsort(all, (size_t)total, sizeof *all, ascending_ids);
    for (int64_t i = 0; i < total; ++i)
        if (!unique || all[i] != all[unique - 1]) all[unique++] = all[i];
    for (int64_t i = 0; i < f->frames * f->size; ++i)
        if (i % f->size < f->count[i / f->size]) {
            const int64_t *at = bsearch(f->id + i, all, (size_t)unique, sizeof *all, ascending_ids);
            f->id[i] = at - all;
        }
    return unique;
}

/* Sets of the column "ids": the ids of a frame's tokens. */
static void sets_of_ids(tsr_operation *o, frame_sets *f) {
    const tsr_token_array ids =
        tsr_operation_column(o, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1);
    for (int64_t i = 0; i < f->frames * f->size && !o->status; ++i)
        f->id[i] = ((const int32_t *)ids.data)[i];
    for (int64_t t = 0; t < f->frames && !o->status; ++t)
        f->count[t] = f->size;
}

static int ascending_floats(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median of n > 0 numbers, between the two middle ones of an even count. */
static float median(tsr_operation *o, const float *x, int64_t n) {
    float *sorted = tsr_operation_take(o, n, sizeof *sorted, "confidence");
    if (!sorted) return 0;
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending_floats);
    const float low = sorted[(n - 1) / 2], high = sorted[n / 2];
    return low + (high - low) * 0.5f;
}

/* Sets of the columns "points" and "confidence": cubes of space that a frame's points lie in. */
static void sets_of_voxels(tsr_operation *o, frame_sets *f) {
    const tsr_token_array points =
        tsr_operation_column(o, "points", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2);
    const tsr_token_array confidence =
        tsr_operation_column(o, "confidence", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    if (!o->status && points.dim[1] != 3)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "points: wanted 3 coordinates, got %lld",
                           (long long)points.dim[1]);
    if (o->status) return;
    const int64_t n = o->in->count;
    const float *at = points.data, *sure = confidence.data;
    const float middle = median(o, sure, n);
    float low[3] = {INFINITY, INFINITY, INFINITY}, side = INFINITY;
    float high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int64_t i = 0; i < n; ++i)
        for (int d = 0; sure[i] >= middle && sure[i] > 0.1f && d < 3; ++d) {
            low[d] = fminf(low[d], at[3 * i + d]);
            high[d] = fmaxf(high[d], at[3 * i + d]);
        }
    for (int d = 0; d < 3; ++d)
        side = fminf(side, (high[d] - low[d]) / 20);
    if (!o->status && !(side > 0))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "points: wanted sure ones (confidence above 0.1) that span a volume, "
                           "got cubes of side %g",
                           (double)side);
    for (int64_t i = 0; i < n && !o->status; ++i) {
        if (!(sure[i] >= middle && sure[i] > 0.1f)) continue;
        const int64_t t = i / f->size;
        int64_t id = 0;
        for (int d = 0; d < 3; ++d) {
            const float cell = floorf((at[3 * i + d] - low[d]) / side);
            id = id * (1 << 20) + (int64_t)fminf(cell, (float)((1 << 20) - 1));
        }
        f->id[t * f->size + f->count[t]++] = id;
    }
    const double exact = (double)side;
    tsr_operation_trace_f64(o, "voxel_size", &exact, 1);
}

/* Greedy cover: order [most], gain [most]; returns how many frames are picked. */
static int64_t cover(tsr_operation *o, const frame_sets *f, int64_t ids, int64_t most,
                     int32_t *order, int32_t *gain) {
    uint8_t *covered = tsr_operation_take(o, ids, sizeof *covered, "covered ids");
    int64_t picks = 0;
    for (; picks < most && !o->status; ++picks) {
        int64_t best = 0, frame = -1;
        for (int64_t t = 0; t < f->frames; ++t) {
            int64_t count = 0;
            for (int64_t i = 0; i < f->count[t]; ++i)
                count += !covered[f->id[t * f->size + i]];
            if (count > best) {
                best = count;
                frame = t;
            }
        }
        if (frame < 0) break;
        for (int64_t i = 0; i < f->count[frame]; ++i)
            covered[f->id[frame * f->size + i]] = 1;
        order[picks] = (int32_t)frame;
        gain[picks] = (int32_t)best;
    }
    return picks;
}

/* Spatial-MLLM. */
static void set_cover_frames(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), most = tsr_operation_integer(o, "frames");
    const bool voxels = tsr_operation_is(o, "sets", "voxels");
    if (o->status) return;
    frame_sets f = {.frames = grid[0], .size = grid[1] * grid[2]};
    const int64_t limit = most < f.frames ? most : f.frames;
    f.id = tsr_operation_take(o, o->in->count, sizeof *f.id, "ids");
    f.count = tsr_operation_take(o, f.frames, sizeof *f.count, "ids");
    int32_t *order = tsr_operation_take(o, limit, sizeof *order, "frames");
    int32_t *gain = tsr_operation_take(o, limit, sizeof *gain, "gains");
    int32_t *sizes = tsr_operation_take(o, f.frames, sizeof *sizes, "sizes");
    if (o->status) return;
    if (voxels)
        sets_of_voxels(o, &f);
    else
        sets_of_ids(o, &f);
    const int64_t ids = number_ids(o, &f), picks = cover(o, &f, ids, limit, order, gain);
    int32_t *index = tsr_operation_take(o, picks * f.size, sizeof *index, "indices");
    if (o->status) return;
    int32_t covered = 0, total = (int32_t)ids;
    for (int64_t i = 0; i < picks; ++i)
        covered += gain[i];
    for (int64_t t = 0; t < f.frames; ++t)
        sizes[t] = (int32_t)f.count[t];
    tsr_operation_trace_i32(o, "order", order, picks);
    tsr_operation_trace_i32(o, "gain", gain, picks);
    tsr_operation_trace_i32(o, "covered", &covered, 1);
    tsr_operation_trace_i32(o, "total", &total, 1);
    tsr_operation_trace_i32(o, "ids_per_frame", sizes, f.frames);
    tsr_select_sort(order, picks);
    tsr_operation_trace_i32(o, "frames", order, picks);
    for (int64_t i = 0; i < picks * f.size; ++i)
        index[i] = (int32_t)(order[i / f.size] * f.size + i % f.size);
    tsr_operation_keep(o, index, picks * f.size);
}

const tsr_operator tsr_operator_set_cover_frames = {
    .info = {.name = "set-cover-frames",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the frames that together show the most different ids, or the most "
                      "cubes of space",
             .formula = "up to `frames` times the frame with most ids that no pick has, the "
                        "lowest of equal ones, until none adds an id. Cubes: points with "
                        "confidence >= the median and > 0.1; side = smallest of their three "
                        "extents / 20; id = floor((point - least) / side), in f32",
             .source = "Spatial-MLLM (diankun-wu/Spatial-MLLM @ 9fc4738)",
             .differs = NULL,
             .cost = "N log N comparisons, N for each pick",
             .columns = "ids points confidence"},
    .parameters = {{"frames", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "most frames to keep"},
                   {"sets", TSR_PARAMETER_CHOICE, "ids", 0, 0, "ids|voxels",
                    "what a frame covers: the column ids, or cubes from points and confidence"}},
    .apply = set_cover_frames,
};
