/* SPDX-License-Identifier: MIT */
/* verify_vqtoken.c: golden cases of VQToken: its attention layer, clustering from given first
 * centroids, exact ties, and the number of clusters from a curve. */
#include "verify_picture.h"

#include "../quantizer/spherical.h"
#include "../nn/vq_attention.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PASSES = 50, MOST_CLUSTERS = 4096, FIRST_K = 12 };

typedef struct kept { /* the case's layer, from run to run */
    tsr_synthetic *synthetic;
    tsr_weights *weights;
    tsr_vq_attention *attention;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_vq_attention_close(&k->attention);
    tsr_weights_close(&k->weights);
    tsr_synthetic_close(&k->synthetic);
    free(k);
}

static tsr_status refuse(tsr_verify *v, const cJSON *run, const char *field, const char *wanted) {
    return tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s/manifest.json: %s: %s: wanted %s, got another",
                    v->folder, tsr_verify_name(run), field, wanted);
}

/* The array that the run's `field` names among the inputs, of `rank`; malloc'd. */
static tsr_status input(tsr_verify *v, const cJSON *run, const char *field, tsr_dtype dtype,
                        int rank, tsr_tensor *t) {
    const char *name = NULL;
    tsr_status status = tsr_verify_text(v, run, run, field, &name);
    if (status) return status;
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    status = cJSON_HasObjectItem(entry, "file") ? tsr_verify_array(v, run, entry, dtype, t)
                                                : tsr_synthetic_input(v, run, name, t);
    if (!status && (t->rank != rank || t->dtype != dtype))
        status = refuse(v, run, field, "an array of the rank it has here");
    return status;
}

/* ---- attention ---- */

static tsr_status verify_attention(tsr_verify *v, const cJSON *run) {
    kept *k = v->kept;
    if (!k) {
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
        tsr_status status = tsr_synthetic_open(v, TSR_DTYPE_F32, &k->synthetic, &k->weights);
        if (!status)
            status = tsr_vq_attention_open(v->device, k->weights, v->folder, &k->attention);
        if (status) return status;
    }
    if (!k->attention)
        return tsr_fail(v->ctx, TSR_ERROR_MODEL, "%s: wanted a model, got none", v->folder);
    tsr_tensor labels = {0}, codebook = {0};
    tsr_status status = input(v, run, "labels", TSR_DTYPE_I32, 2, &labels);
    if (!status) status = input(v, run, "codebook", TSR_DTYPE_F32, 2, &codebook);
    if (!status && (labels.dim[1] != TSR_VQ_CELLS || codebook.dim[1] != TSR_VQ_WIDTH))
        status = refuse(v, run, "labels and codebook", "rows of 729 and 896");
    float *tokens = NULL;
    if (!status) {
        const int64_t t = labels.dim[0], c = codebook.dim[0];
        const int64_t dim[2] = {t > c ? t : c, TSR_VQ_WIDTH};
        tokens = tsr_alloc(v->ctx, (size_t)(dim[0] * dim[1]), sizeof *tokens, "tokens");
        status = tokens
                     ? tsr_vq_attention_run(k->attention, labels.data, t, codebook.data, c, tokens)
                     : TSR_ERROR_MEMORY;
        if (!status)
            status = tsr_verify_f32(v, run, "tokens", tokens, 2, dim, (tsr_verify_ties){0});
    }
    free(tokens);
    free(labels.data);
    free(codebook.data);
    return status;
}

/* ---- clustering ---- */

/* (centres[a] + noise) * gain, each operation in f32. */
static tsr_status formula(tsr_verify *v, const cJSON *run, const cJSON *entry, tsr_tensor *t) {
    const char *stream = NULL;
    uint64_t want = 0, sum = 0;
    int dim[3] = {0}, rank = 3;
    tsr_tensor centres = {0}, noise = {0}, gain = {0};
    tsr_status status = tsr_verify_integers(v, run, entry, "shape", dim, 3, &rank);
    if (!status) status = tsr_verify_text(v, run, entry, "assign_stream", &stream);
    if (!status) status = tsr_verify_hash(v, run, entry, "check", &want);
    if (!status) status = input(v, entry, "centres", TSR_DTYPE_F32, 2, &centres);
    if (!status) status = input(v, entry, "noise", TSR_DTYPE_F32, 2, &noise);
    if (!status) status = input(v, entry, "gain", TSR_DTYPE_F32, 1, &gain);
    const int64_t n = status ? 0 : gain.dim[0], width = status ? 0 : noise.dim[1];
    if (!status && (noise.dim[0] != n || centres.dim[1] != width || dim[0] < 1 || dim[1] < 1 ||
                    (int64_t)dim[0] * dim[1] != n || dim[2] != width))
        status = refuse(v, run, "features", "centres, noise and gain that fit the shape");
    float *draw = status ? NULL : tsr_alloc(v->ctx, (size_t)n, sizeof *draw, "golden input");
    float *x = status ? NULL : tsr_alloc(v->ctx, (size_t)(n * width), sizeof *x, "golden input");
    if (!status && (!draw || !x)) status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_synthetic_units(v, stream, n, draw);
    for (int64_t i = 0; i < n && !status; ++i) {
        const float *centre =
            (float *)centres.data + (int64_t)((double)draw[i] * (double)centres.dim[0]) * width;
        const float *noise_row = (float *)noise.data + i * width;
        for (int64_t j = 0; j < width; ++j) {
            const float shifted = centre[j] + noise_row[j];
            x[i * width + j] = shifted * ((float *)gain.data)[i];
            uint32_t bits;
            memcpy(&bits, &x[i * width + j], sizeof bits);
            sum += (2 * (uint64_t)(i * width + j) + 1) * bits;
        }
    }
    if (!status)
        tsr_verify_line(v, run, "features", sum == want, "check: wanted 0x%016llx, got 0x%016llx",
                        (unsigned long long)want, (unsigned long long)sum);
    free(draw);
    free(centres.data);
    free(noise.data);
    free(gain.data);
    *t = tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){dim[0], dim[1], dim[2]});
    return status;
}

/* The first centroids: an array, or rows of the features (their length does not matter). */
static tsr_status first_centroids(tsr_verify *v, const cJSON *run, const float *x, int64_t n,
                                  int64_t dim, int64_t k, float *first) {
    tsr_tensor given = {0};
    if (cJSON_HasObjectItem(run, "first_centroids")) {
        tsr_status status = input(v, run, "first_centroids", TSR_DTYPE_F32, 2, &given);
        if (!status && (given.dim[0] != k || given.dim[1] != dim))
            status = refuse(v, run, "first_centroids", "a row for each cluster");
        if (!status) memcpy(first, given.data, sizeof *first * (size_t)(k * dim));
        free(given.data);
        return status;
    }
    int row[MOST_CLUSTERS], count = (int)k;
    tsr_status status = tsr_verify_integers(v, run, run, "first_centroids_are_unit_vectors_of_rows",
                                            row, MOST_CLUSTERS, &count);
    for (int64_t c = 0; c < k && !status; ++c) {
        if (row[c] < 0 || row[c] >= n)
            return refuse(v, run, "first_centroids_are_unit_vectors_of_rows", "rows of features");
        memcpy(first + c * dim, x + row[c] * dim, sizeof *first * (size_t)dim);
    }
    return status;
}

static tsr_status verify_clusters(tsr_verify *v, const cJSON *run, const tsr_tensor *x, int64_t k,
                                  int passes) {
    const int64_t n = x->dim[0] * x->dim[1], dim = x->dim[2];
    const tsr_verify_ties none = {0};
    float *first = tsr_alloc(v->ctx, (size_t)(k * dim), 2 * sizeof *first, "centroids");
    tsr_spherical_result r = {
        .labels = tsr_alloc(v->ctx, (size_t)n, sizeof(int32_t), "labels"),
        .margins = tsr_alloc(v->ctx, (size_t)n, sizeof(float), "margins"),
        .counts = tsr_alloc(v->ctx, (size_t)k, sizeof(int32_t), "counts"),
        .codebook = first ? first + k * dim : NULL,
    };
    tsr_status status = first && r.labels && r.margins && r.counts ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = first_centroids(v, run, x->data, n, dim, k, first);
    if (!status)
        status = tsr_spherical_kmeans(v->device, x->data, n, dim, k, MOST_PASSES, first, &r);
    if (!status) {
        tsr_verify_line(v, run, "passes", (int)r.passes == passes, "wanted %d, got %u", passes,
                        r.passes);
        status = tsr_verify_ids(v, run, r.labels, r.margins, 2, x->dim);
    }
    if (!status) status = tsr_verify_i32(v, run, "counts", r.counts, 1, &k, none);
    const int64_t shape[2] = {k, dim};
    if (!status) status = tsr_verify_f32(v, run, "codebook", r.codebook, 2, shape, none);
    if (!status) status = tsr_verify_f32(v, run, "codebook_float64", r.codebook, 2, shape, none);
    free(first);
    free(r.labels);
    free(r.margins);
    free(r.counts);
    return status;
}

static tsr_status verify_clustering(tsr_verify *v, const cJSON *run) {
    const cJSON *clusters = cJSON_GetObjectItemCaseSensitive(run, "clusters");
    const cJSON *passes = cJSON_GetObjectItemCaseSensitive(run, "passes");
    const char *name = NULL;
    tsr_tensor x = {0};
    tsr_status status = tsr_verify_text(v, run, run, "features", &name);
    if (status) return status;
    if (!cJSON_IsNumber(clusters) || !cJSON_IsNumber(passes) || clusters->valueint < 1 ||
        clusters->valueint > MOST_CLUSTERS)
        return refuse(v, run, "clusters and passes", "numbers of a size that can be");
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    status = cJSON_HasObjectItem(entry, "formula")
                 ? formula(v, run, entry, &x)
                 : input(v, run, "features", TSR_DTYPE_F32, 3, &x);
    if (!status) status = tsr_vq_check(v->ctx, name, x.data, x.dim[0] * x.dim[1], x.dim[2]);
    if (!status) status = verify_clusters(v, run, &x, clusters->valueint, passes->valueint);
    free(x.data);
    return status;
}

/* ---- ties ---- */

static tsr_status verify_ties(tsr_verify *v, const cJSON *run) {
    tsr_tensor x = {0}, c = {0};
    tsr_status status = input(v, run, "x", TSR_DTYPE_F32, 2, &x);
    if (!status) status = input(v, run, "centroids", TSR_DTYPE_F32, 2, &c);
    if (!status && (x.dim[1] != c.dim[1] || x.dim[0] < 1 || c.dim[0] < 1))
        status = refuse(v, run, "x and centroids", "rows of one width");
    if (!status) {
        const int64_t n = x.dim[0], k = c.dim[0], dim = x.dim[1], shape[2] = {n, k};
        int32_t *labels = tsr_alloc(v->ctx, (size_t)n, 2 * sizeof *labels, "labels");
        float *all = tsr_alloc(v->ctx, (size_t)(n * k), sizeof *all, "distances");
        float *column = tsr_alloc(v->ctx, (size_t)n, sizeof *column, "distances");
        if (!labels || !all || !column) status = TSR_ERROR_MEMORY;
        if (!status)
            status = tsr_spherical_assign(v->device, x.data, n, dim, c.data, k, labels, NULL, NULL);
        if (!status) status = tsr_verify_i32(v, run, "labels", labels, 1, &n, (tsr_verify_ties){0});
        for (int64_t j = 0; j < k && !status; ++j) { /* each centroid as if it were alone */
            status = tsr_spherical_assign(v->device, x.data, n, dim, (float *)c.data + j * dim, 1,
                                          labels + n, NULL, column);
            for (int64_t i = 0; i < n && !status; ++i)
                all[i * k + j] = column[i];
        }
        if (!status)
            status = tsr_verify_f32(v, run, "distances", all, 2, shape, (tsr_verify_ties){0});
        free(labels);
        free(all);
        free(column);
    }
    free(x.data);
    free(c.data);
    return status;
}

/* ---- elbow ---- */

static tsr_status verify_elbow(tsr_verify *v, const cJSON *run) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(run, "distortions"), *item;
    const int64_t one = 1;
    float curve[MOST_CLUSTERS];
    int count = 0;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || count == MOST_CLUSTERS)
            return refuse(v, run, "distortions", "3 to 4096 numbers");
        curve[count++] = (float)item->valuedouble;
    }
    if (count < 3) return refuse(v, run, "distortions", "3 to 4096 numbers");
    const cJSON *bend = cJSON_GetObjectItemCaseSensitive(run, "argmax_second_difference");
    if (cJSON_IsNumber(bend)) {
        const int wanted = FIRST_K + 1 + bend->valueint;
        const int got = (int)tsr_elbow(curve, count, FIRST_K);
        tsr_verify_line(v, run, "corrected", got == wanted, "wanted %d, got %d", wanted, got);
    }
    const int32_t k = (int32_t)tsr_elbow_released(curve, count);
    return tsr_verify_i32(v, run, "k", &k, 1, &one, (tsr_verify_ties){0});
}

tsr_status tsr_verify_vqtoken(tsr_verify *v, const cJSON *run) {
    if (cJSON_HasObjectItem(run, "distortions")) return verify_elbow(v, run);
    if (cJSON_HasObjectItem(run, "x")) return verify_ties(v, run);
    if (cJSON_HasObjectItem(run, "labels")) return verify_attention(v, run);
    return verify_clustering(v, run);
}
