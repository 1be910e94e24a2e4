/* SPDX-License-Identifier: MIT */
/* verify_vqtoken.c: golden cases of VQToken: its attention layer, clustering from given first
 * centroids, exact ties, and the number of clusters from a curve. */
#include "verify_picture.h"

#include "../quantizer/spherical.h"
#include "../nn/vq_attention.h"

#include <string.h>

enum { MOST_PASSES = 50, MOST_CLUSTERS = 4096, FIRST_K = 12 };

/* Records FORMAT: the run's `field` is not what was wanted. */
static void refuse(tsr_verify *v, const char *field, const char *wanted) {
    tsr_verify_refuse(v, "%s: wanted %s, got another", field, wanted);
}

/* The array of the manifest's inputs that the object's `field` names, of this type and rank. */
static tsr_tensor input(tsr_verify *v, const cJSON *object, const char *field, tsr_dtype dtype,
                        int rank) {
    const char *name = tsr_verify_text(v, object, field);
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    const tsr_tensor t = cJSON_HasObjectItem(entry, "file") ? tsr_verify_array(v, entry, dtype)
                                                            : tsr_synthetic_input(v, name);
    if (t.rank != rank || t.dtype != dtype) refuse(v, field, "an array of the rank it has here");
    return t;
}

/* ---- attention ---- */

typedef struct attention_model {
    tsr_synthetic *synthetic;
    tsr_weights *weights;
    tsr_vq_attention *attention;
} attention_model;

static void close_attention(void *model) {
    attention_model *m = model;
    tsr_vq_attention_close(&m->attention);
    tsr_weights_close(&m->weights);
    tsr_synthetic_close(&m->synthetic);
}

static void open_attention(tsr_verify *v, void *model) {
    attention_model *m = model;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &m->weights);
    if (!v->status)
        v->status = tsr_vq_attention_open(v->device, m->weights, v->folder, &m->attention);
}

static void verify_attention(tsr_verify *v) {
    attention_model *m = tsr_verify_model(v, sizeof *m, open_attention, close_attention);
    const tsr_tensor labels = input(v, v->run, "labels", TSR_DTYPE_I32, 2);
    const tsr_tensor codebook = input(v, v->run, "codebook", TSR_DTYPE_F32, 2);
    if (labels.dim[1] != TSR_VQ_CELLS || codebook.dim[1] != TSR_VQ_WIDTH)
        refuse(v, "labels and codebook", "rows of 729 and 896");
    const int64_t t = labels.dim[0], c = codebook.dim[0];
    const int64_t dim[2] = {t > c ? t : c, TSR_VQ_WIDTH};
    float *tokens = tsr_verify_take(v, dim[0] * dim[1], sizeof *tokens, "tokens");
    if (v->status) return;
    v->status = tsr_vq_attention_run(m->attention, labels.data, t, codebook.data, c, tokens);
    tsr_verify_f32(v, "tokens", tokens, 2, dim);
}

/* ---- clustering ---- */

/* Features by the entry's formula: (centres[a] + noise) * gain, each operation in f32. */
static tsr_tensor formula(tsr_verify *v, const cJSON *entry) {
    const cJSON *run = v->run;
    uint64_t sum = 0;
    int dim[3] = {0};
    tsr_verify_integers(v, entry, "shape", dim, 3, 3);
    const char *stream = tsr_verify_text(v, entry, "assign_stream");
    const uint64_t want = tsr_verify_hash(v, entry, "check");
    v->run = entry; /* messages about its inputs name the entry */
    const tsr_tensor centres = input(v, entry, "centres", TSR_DTYPE_F32, 2);
    const tsr_tensor noise = input(v, entry, "noise", TSR_DTYPE_F32, 2);
    const tsr_tensor gain = input(v, entry, "gain", TSR_DTYPE_F32, 1);
    v->run = run;
    const int64_t n = gain.dim[0], width = noise.dim[1];
    if (noise.dim[0] != n || centres.dim[1] != width || dim[0] < 1 || dim[1] < 1 ||
        (int64_t)dim[0] * dim[1] != n || dim[2] != width)
        refuse(v, "features", "centres, noise and gain that fit the shape");
    float *x = tsr_verify_take(v, n * width, sizeof *x, "golden input");
    const float *draw = tsr_synthetic_units(v, stream, n);
    if (v->status) return (tsr_tensor){0};
    for (int64_t i = 0; i < n; ++i) {
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
    tsr_verify_line(v, "features", sum == want, "check: wanted 0x%016llx, got 0x%016llx",
                    (unsigned long long)want, (unsigned long long)sum);
    return tsr_host_tensor(TSR_DTYPE_F32, x, 3, (int64_t[]){dim[0], dim[1], dim[2]});
}

/* First centroids [k, dim]: an array, or rows of the features (their length does not matter). */
static void first_centroids(tsr_verify *v, const float *x, int64_t n, int64_t dim, int64_t k,
                            float *first) {
    if (cJSON_HasObjectItem(v->run, "first_centroids")) {
        const tsr_tensor given = input(v, v->run, "first_centroids", TSR_DTYPE_F32, 2);
        if (given.dim[0] != k || given.dim[1] != dim)
            refuse(v, "first_centroids", "a row for each cluster");
        if (!v->status) memcpy(first, given.data, sizeof *first * (size_t)(k * dim));
        return;
    }
    static const char field[] = "first_centroids_are_unit_vectors_of_rows";
    int row[MOST_CLUSTERS];
    tsr_verify_integers(v, v->run, field, row, (int)k, (int)k);
    for (int64_t c = 0; c < k && !v->status; ++c)
        if (row[c] < 0 || row[c] >= n)
            refuse(v, field, "rows of features");
        else
            memcpy(first + c * dim, x + row[c] * dim, sizeof *first * (size_t)dim);
}

static void verify_clusters(tsr_verify *v, const tsr_tensor *x, int64_t k, int passes) {
    const int64_t n = x->dim[0] * x->dim[1], dim = x->dim[2], shape[2] = {k, dim};
    float *first = tsr_verify_take(v, k * dim, sizeof *first, "centroids");
    tsr_spherical_result r = {
        .labels = tsr_verify_take(v, n, sizeof(int32_t), "labels"),
        .margins = tsr_verify_take(v, n, sizeof(float), "margins"),
        .counts = tsr_verify_take(v, k, sizeof(int32_t), "counts"),
        .codebook = tsr_verify_take(v, k * dim, sizeof(float), "centroids"),
    };
    first_centroids(v, x->data, n, dim, k, first);
    if (v->status) return;
    v->status = tsr_spherical_kmeans(v->device, x->data, n, dim, k, MOST_PASSES, first, &r);
    tsr_verify_line(v, "passes", (int)r.passes == passes, "wanted %d, got %u", passes, r.passes);
    tsr_verify_ids(v, r.labels, r.margins, 2, x->dim);
    tsr_verify_i32(v, "counts", r.counts, 1, &k);
    tsr_verify_f32(v, "codebook", r.codebook, 2, shape);
    tsr_verify_f32(v, "codebook_float64", r.codebook, 2, shape);
}

static void verify_clustering(tsr_verify *v) {
    const cJSON *clusters = cJSON_GetObjectItemCaseSensitive(v->run, "clusters");
    const cJSON *passes = cJSON_GetObjectItemCaseSensitive(v->run, "passes");
    const char *name = tsr_verify_text(v, v->run, "features");
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    if (!cJSON_IsNumber(clusters) || !cJSON_IsNumber(passes) || clusters->valueint < 1 ||
        clusters->valueint > MOST_CLUSTERS)
        refuse(v, "clusters and passes", "numbers of a size that can be");
    const tsr_tensor x = cJSON_HasObjectItem(entry, "formula")
                             ? formula(v, entry)
                             : input(v, v->run, "features", TSR_DTYPE_F32, 3);
    if (v->status) return;
    v->status = tsr_vq_check(v->ctx, name, x.data, x.dim[0] * x.dim[1], x.dim[2]);
    verify_clusters(v, &x, clusters->valueint, passes->valueint);
}

/* ---- ties ---- */

static void verify_ties(tsr_verify *v) {
    const tsr_tensor x = input(v, v->run, "x", TSR_DTYPE_F32, 2);
    const tsr_tensor c = input(v, v->run, "centroids", TSR_DTYPE_F32, 2);
    const int64_t n = x.dim[0], k = c.dim[0], dim = x.dim[1], shape[2] = {n, k};
    if (dim != c.dim[1] || n < 1 || k < 1) refuse(v, "x and centroids", "rows of one width");
    int32_t *labels = tsr_verify_take(v, n, sizeof *labels, "labels");
    int32_t *zeros = tsr_verify_take(v, n, sizeof *zeros, "labels");
    float *all = tsr_verify_take(v, n * k, sizeof *all, "distances");
    float *column = tsr_verify_take(v, n, sizeof *column, "distances");
    if (v->status) return;
    v->status = tsr_spherical_assign(v->device, x.data, n, dim, c.data, k, labels, NULL, NULL);
    tsr_verify_i32(v, "labels", labels, 1, &n);
    for (int64_t j = 0; j < k && !v->status; ++j) { /* each centroid as if it were alone */
        v->status = tsr_spherical_assign(v->device, x.data, n, dim, (float *)c.data + j * dim, 1,
                                         zeros, NULL, column);
        for (int64_t i = 0; i < n; ++i)
            all[i * k + j] = column[i];
    }
    tsr_verify_f32(v, "distances", all, 2, shape);
}

/* ---- elbow ---- */

static void verify_elbow(tsr_verify *v) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "distortions"), *item;
    const int64_t one = 1;
    float curve[MOST_CLUSTERS];
    int count = 0;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || count == MOST_CLUSTERS) {
            count = 0;
            break;
        }
        curve[count++] = (float)item->valuedouble;
    }
    if (count < 3) {
        refuse(v, "distortions", "3 to 4096 numbers");
        return;
    }
    const cJSON *bend = cJSON_GetObjectItemCaseSensitive(v->run, "argmax_second_difference");
    if (cJSON_IsNumber(bend)) {
        const int wanted = FIRST_K + 1 + bend->valueint;
        const int got = (int)tsr_elbow(curve, count, FIRST_K);
        tsr_verify_line(v, "corrected", got == wanted, "wanted %d, got %d", wanted, got);
    }
    const int32_t k = (int32_t)tsr_elbow_released(curve, count);
    tsr_verify_i32(v, "k", &k, 1, &one);
}

void tsr_verify_vqtoken(tsr_verify *v) {
    if (cJSON_HasObjectItem(v->run, "distortions"))
        verify_elbow(v);
    else if (cJSON_HasObjectItem(v->run, "x"))
        verify_ties(v);
    else if (cJSON_HasObjectItem(v->run, "labels"))
        verify_attention(v);
    else
        verify_clustering(v);
}
