/* SPDX-License-Identifier: MIT */
/* verify_clip.c: golden cases of VQToken's whole way, from the projector's rows on: first rows,
 * clusters, canonical labels, tokens with the learned newline, and the number of clusters. */
#include "verify_picture.h"

#include "../quantizer/spherical.h"
#include "../reduce/farthest.h"

#include <string.h>

enum { MOST_K = 64, LEAST_K = 12, PASSES = 50 };

/* Projected rows of the clip, as stored, by the run that makes them. */
typedef struct rows {
    float *unit; /* [n, dim] */
    int64_t frames, cells, n, dim;
} rows;

static rows read_rows(tsr_verify *v, const cJSON *run) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", "projected");
    const tsr_tensor t = tsr_verify_array(v, entry, TSR_DTYPE_F32);
    if (t.rank != 3) tsr_verify_refuse(v, "projected: wanted frames x cells x channels");
    rows r = {.frames = t.dim[0], .cells = t.dim[1], .dim = t.dim[2]};
    r.n = r.frames * r.cells;
    r.unit = tsr_verify_take(v, r.n * r.dim, sizeof *r.unit, "directions");
    if (!v->status) v->status = tsr_vq_check(v->ctx, "projected", t.data, r.n, r.dim);
    if (!v->status) tsr_spherical_unit(v->ctx, t.data, r.n, r.dim, r.unit);
    return r;
}

/* Picks `count` first rows and compares them with the run's. */
static void pick_rows(tsr_verify *v, const rows *r, int count, float *first) {
    int wanted[MOST_K];
    tsr_verify_integers(v, v->run, "first_rows", wanted, count, count);
    tsr_farthest f = {0};
    if (!v->status) v->status = tsr_farthest_open(v->device, &f, r->unit, r->n, r->dim);
    if (!v->status) tsr_farthest_pick(&f, count);
    int same = 0;
    for (int c = 0; c < count && !v->status; ++c) {
        same += f.rows[c] == wanted[c];
        memcpy(first + c * r->dim, r->unit + f.rows[c] * r->dim, sizeof *first * (size_t)r->dim);
    }
    tsr_verify_line(v, "first_rows", same == count, "%d of %d", same, count);
    tsr_farthest_close(&f);
}

static tsr_spherical_result take_result(tsr_verify *v, const rows *r, int k) {
    return (tsr_spherical_result){
        .labels = tsr_verify_take(v, r->n, sizeof(int32_t), "labels"),
        .margins = tsr_verify_take(v, r->n, sizeof(float), "margins"),
        .counts = tsr_verify_take(v, k, sizeof(int32_t), "counts"),
        .codebook = tsr_verify_take(v, k * r->dim, sizeof(float), "codebook"),
    };
}

/* ---- a fixed number ---------------------------------------------------------------------------
 */

typedef struct clip_model {
    tsr_synthetic *synthetic;
    tsr_weights *weights;
} clip_model;

static void close_model(void *model) {
    clip_model *m = model;
    tsr_weights_close(&m->weights);
    tsr_synthetic_close(&m->synthetic);
}

static void open_model(tsr_verify *v, void *model) {
    clip_model *m = model;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &m->weights);
}

/* Codebook rows, then the learned newline. */
static void compare_tokens(tsr_verify *v, const float *codebook, int k, int64_t dim) {
    const clip_model *m = tsr_verify_model(v, sizeof *m, open_model, close_model);
    float *tokens = tsr_verify_take(v, (k + 1) * dim, sizeof *tokens, "tokens");
    tsr_weight *newline = v->status ? NULL : tsr_weights_find(m->weights, "image_newline");
    const float *values = NULL;
    if (!v->status && !newline) tsr_verify_refuse(v, "image_newline: wanted a tensor");
    if (!v->status) v->status = tsr_weight_borrow(v->ctx, newline, &values);
    if (v->status) return;
    memcpy(tokens, codebook, sizeof *tokens * (size_t)(k * dim));
    memcpy(tokens + k * dim, values, sizeof *tokens * (size_t)dim);
    tsr_weight_return(newline, values);
    tsr_verify_f32(v, "tokens", tokens, 2, (int64_t[]){k + 1, dim});
}

void tsr_verify_vqtoken_clip(tsr_verify *v) {
    const rows r = read_rows(v, v->run);
    const int k = (int)tsr_verify_number(v->run, "clusters", 0);
    const int passes = (int)tsr_verify_number(v->run, "passes", 0);
    if (k < 1 || k > MOST_K) tsr_verify_refuse(v, "clusters: wanted 1 to %d, got %d", MOST_K, k);
    if (v->status) return;
    float *first = tsr_verify_take(v, k * r.dim, sizeof *first, "first rows");
    tsr_spherical_result c = take_result(v, &r, k);
    if (!v->status) pick_rows(v, &r, k, first);
    if (!v->status)
        v->status = tsr_spherical_kmeans_unit(v->device, r.unit, r.n, r.dim, k, PASSES, first, &c);
    tsr_verify_line(v, "passes", (int)c.passes == passes, "wanted %d, got %u", passes, c.passes);
    tsr_verify_ids(v, c.labels, c.margins, 2, (int64_t[]){r.frames, r.cells});
    tsr_verify_i32(v, "counts", c.counts, 1, (int64_t[]){k});
    tsr_verify_f32(v, "codebook", c.codebook, 2, (int64_t[]){k, r.dim});
    if (!v->status) compare_tokens(v, c.codebook, k, r.dim);
    if (!v->status) v->status = tsr_spherical_canonical(v->ctx, r.n, r.dim, k, &c);
    tsr_verify_i32(v, "canonical_ids", c.labels, 2, (int64_t[]){r.frames, r.cells});
}

/* ---- the elbow --------------------------------------------------------------------------------
 */

/* The run of the case that stores projected rows. */
static const cJSON *rows_run(tsr_verify *v) {
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(v->manifest, "runs"), *run;
    cJSON_ArrayForEach(run, runs) {
        if (tsr_verify_entry(run, "outputs", "projected")) return run;
    }
    tsr_verify_refuse(v, "runs: wanted one that stores projected rows, got none");
    return NULL;
}

static void compare_curve(tsr_verify *v, const float *got, int count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "distortions"), *item;
    const double tolerance = tsr_verify_number(v->run, "distortion_tolerance", 0);
    double worst = 0;
    int n = 0;
    cJSON_ArrayForEach(item, list) {
        const double difference = n < count ? item->valuedouble - (double)got[n] : 0;
        if (difference > worst) worst = difference;
        if (-difference > worst) worst = -difference;
        ++n;
    }
    tsr_verify_line(v, "distortions", n == count && worst <= tolerance,
                    "%d of %d numbers, worst difference %.3g, wanted at most %.3g", n, count, worst,
                    tolerance);
}

static void compare_k(tsr_verify *v, const char *field, int64_t got) {
    const int wanted = (int)tsr_verify_number(v->run, field, -1);
    tsr_verify_line(v, field, got == wanted, "wanted %d, got %d", wanted, (int)got);
}

void tsr_verify_vqtoken_elbow(tsr_verify *v) {
    const cJSON *run = rows_run(v);
    const rows r = run ? read_rows(v, run) : (rows){0};
    const int from = (int)tsr_verify_number(v->run, "k_from", 0);
    const int to = (int)tsr_verify_number(v->run, "k_to", 0);
    const int passes = (int)tsr_verify_number(v->run, "rounds_max", 0);
    if (from != LEAST_K || to < from + 2 || to > MOST_K || passes < 1)
        tsr_verify_refuse(v, "k_from, k_to and rounds_max: wanted 12 and numbers above");
    if (v->status) return;
    float *first = tsr_verify_take(v, to * r.dim, sizeof *first, "first rows");
    float *moved = tsr_verify_take(v, to * r.dim, sizeof *moved, "centroids");
    tsr_spherical_result c = take_result(v, &r, to);
    float curve[MOST_K];
    if (!v->status) pick_rows(v, &r, to, first);
    for (int k = from; k <= to && !v->status; ++k) {
        memcpy(moved, first, sizeof *moved * (size_t)(k * r.dim));
        v->status = tsr_spherical_kmeans_unit(v->device, r.unit, r.n, r.dim, k, (uint32_t)passes,
                                              moved, &c);
        curve[k - from] = (float)tsr_spherical_distortion(&c, k, r.dim, (double)r.n);
    }
    if (v->status) return;
    compare_curve(v, curve, to - from + 1);
    compare_k(v, "released_K", tsr_elbow_released(curve, to - from + 1));
    compare_k(v, "true_elbow_K", tsr_elbow(curve, to - from + 1, from));
}
