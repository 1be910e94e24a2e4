/* SPDX-License-Identifier: MIT */
/* verify_titok.c: golden cases of TiTok and One-D-Piece. Pictures are decoded from the stored ids,
 * or from the latents of a continuous model. */
#include "verify_picture.h"

#include "../codec/tokenizers/titok.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct kept { /* the case's model, from run to run, and the ids of its first run */
    tsr_synthetic *synthetic;
    tsr_titok *model;
    tsr_tensor ids;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_titok_close(&k->model);
    tsr_synthetic_close(&k->synthetic);
    free(k->ids.data);
    free(k);
}

static tsr_status open_titok(tsr_verify *v, kept **result) {
    kept *k = v->kept;
    if (!k) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
        tsr_weights *weights = NULL;
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
        config = cJSON_GetObjectItemCaseSensitive(config, "upstream_config");
        tsr_status status = tsr_synthetic_open(v, TSR_DTYPE_F32, &k->synthetic, &weights);
        if (!status) status = tsr_titok_open(v->device, config, weights, v->folder, &k->model);
        if (status) return status;
    }
    *result = k;
    return k->model ? TSR_OK
                    : tsr_fail(v->ctx, TSR_ERROR_MODEL, "%s: wanted a model, got none", v->folder);
}

static tsr_status verify_encode(tsr_verify *v, const cJSON *run, tsr_titok *m, const uint8_t *rgb,
                                float *factors) {
    const int64_t k = m->latents, size = m->continuous ? 2 * m->size : m->size;
    float *latents = tsr_alloc(v->ctx, (size_t)(k * m->encoder.width), sizeof *latents, "latents");
    float *margin = tsr_alloc(v->ctx, (size_t)k, sizeof *margin, "margins");
    int32_t *ids = tsr_alloc(v->ctx, (size_t)k, 2 * sizeof *ids, "ids");
    tsr_status status = latents && margin && ids ? TSR_OK : TSR_ERROR_MEMORY;
    tsr_titok_result result = {
        .ids = ids, .margin = margin, .latents = latents, .factors = factors};
    if (!status) status = tsr_titok_encode(m, rgb, 1, &result);
    if (!status)
        status = tsr_verify_f32(v, run, "latents", latents, 2, (int64_t[]){k, m->encoder.width},
                                (tsr_verify_ties){0});
    if (!status) { /* (number, token) */
        tsr_tensor turned = {0};
        turned.data = tsr_alloc(v->ctx, (size_t)(k * size), sizeof(float), "factors");
        if (!turned.data) status = TSR_ERROR_MEMORY;
        for (int64_t i = 0; i < k * size && !status; ++i)
            ((float *)turned.data)[i % size * k + i / size] = factors[i];
        if (!status)
            status = tsr_verify_f32(v, run, "factors", turned.data, 2, (int64_t[]){size, k},
                                    (tsr_verify_ties){0});
        free(turned.data);
    }
    if (!status && !m->continuous) {
        status = tsr_verify_ids(v, run, ids, margin, 1, &k);
        /* The plain way gives the same ids as the traced one. */
        result = (tsr_titok_result){.ids = ids + k};
        if (!status) status = tsr_titok_encode(m, rgb, 1, &result);
        if (!status && memcmp(ids, ids + k, (size_t)k * sizeof *ids) != 0)
            tsr_verify_line(v, run, "ids", false, "another way of running gives other ids");
    }
    free(latents);
    free(margin);
    free(ids);
    return status;
}

/* Means and log variances [K, 2E] to the vectors that are decoded [K, E]. */
static tsr_status draw(tsr_verify *v, const cJSON *run, tsr_titok *m, const float *factors,
                       float *vectors) {
    const int64_t k = m->latents, e = m->size, dim[2] = {e, k};
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "vae_noise"));
    tsr_tensor noise = {0};
    tsr_status status = TSR_OK;
    if (name && tsr_verify_entry(v->manifest, "inputs", name))
        status = tsr_synthetic_input(v, run, name, &noise);
    if (!status && noise.data && tsr_elements(&noise) != k * e)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %lld values, got %lld",
                          v->folder, name, (long long)(k * e), (long long)tsr_elements(&noise));
    float *turned = NULL;
    if (!status && !(turned = tsr_alloc(v->ctx, (size_t)(k * e), sizeof *turned, "latents")))
        status = TSR_ERROR_MEMORY;
    for (int64_t t = 0; t < k && !status; ++t)
        for (int64_t c = 0; c < e; ++c) {
            const float *f = factors + t * 2 * e;
            float z = f[c];
            if (noise.data) {
                const float logvar = fminf(fmaxf(f[e + c], -30.0f), 20.0f);
                z += expf(0.5f * logvar) * ((const float *)noise.data)[c * k + t];
            }
            vectors[t * e + c] = turned[c * k + t] = z;
        }
    if (!status)
        status = tsr_verify_f32(v, run, "latent_sample", turned, 2, dim, (tsr_verify_ties){0});
    free(turned);
    free(noise.data);
    return status;
}

static tsr_status verify_decode(tsr_verify *v, const cJSON *run, kept *k, const float *factors) {
    tsr_titok *m = k->model;
    const int64_t side = m->side * TSR_TITOK_PATCH;
    const int64_t depth = m->two_stage ? m->base_codes.codes->tensor.dim[0] : 3;
    const int64_t rows = m->two_stage ? m->side : side;
    const cJSON *entry = tsr_verify_entry(run, "outputs", "ids");
    const cJSON *prefix = cJSON_GetObjectItemCaseSensitive(run, "prefix");
    const int64_t count = cJSON_IsNumber(prefix) ? (int64_t)prefix->valuedouble : m->latents;
    tsr_status status = TSR_OK;
    if (entry && !m->continuous) {
        free(k->ids.data);
        k->ids.data = NULL;
        status = tsr_verify_array(v, run, entry, TSR_DTYPE_I32, &k->ids);
    }
    if (!status && !m->continuous && (!k->ids.data || tsr_elements(&k->ids) != m->latents))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: ids: wanted %lld, got others",
                          v->folder, tsr_verify_name(run), (long long)m->latents);
    float *vectors = NULL, *rgb = NULL, *head = NULL;
    if (!status) {
        vectors = tsr_alloc(v->ctx, (size_t)(m->latents * m->size), sizeof *vectors, "latents");
        rgb = tsr_alloc(v->ctx, (size_t)(side * side * 3), sizeof *rgb, "picture");
        head = tsr_alloc(v->ctx, (size_t)(rows * rows * depth), sizeof *head, "head");
        if (!vectors || !rgb || !head) status = TSR_ERROR_MEMORY;
    }
    if (!status && m->continuous) status = draw(v, run, m, factors, vectors);
    if (!status)
        status =
            tsr_titok_decode(m, m->continuous ? NULL : k->ids.data, vectors, 1, count, rgb, head);
    if (!status)
        status = tsr_verify_planar(v, run, "decoder_out", head, 1, rows, rows, depth, false);
    if (!status) status = tsr_verify_planar(v, run, "image", rgb, 1, side, side, 3, false);
    free(vectors);
    free(rgb);
    free(head);
    return status;
}

tsr_status tsr_verify_titok(tsr_verify *v, const cJSON *run) {
    kept *k = NULL;
    const char *input = NULL;
    uint8_t *rgb = NULL;
    float *factors = NULL;
    int width = 0, height = 0;
    tsr_status status = tsr_verify_text(v, run, run, "input", &input);
    if (!status) status = open_titok(v, &k);
    if (!status) status = tsr_verify_picture(v, run, input, &rgb, &width, &height);
    if (!status) {
        const int64_t side = k->model->side * TSR_TITOK_PATCH;
        if (width != side || height != side)
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %lldx%lld, got %dx%d",
                              v->folder, input, (long long)side, (long long)side, width, height);
    }
    if (!status && !(factors = tsr_alloc(v->ctx, (size_t)(k->model->latents * 2 * k->model->size),
                                         sizeof *factors, "factors")))
        status = TSR_ERROR_MEMORY;
    if (!status && (tsr_verify_entry(run, "outputs", "ids") || k->model->continuous))
        status = verify_encode(v, run, k->model, rgb, factors);
    if (!status) status = verify_decode(v, run, k, factors);
    free(factors);
    free(rgb);
    return status;
}
