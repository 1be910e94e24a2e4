/* SPDX-License-Identifier: MIT */
/* verify_titok.c: golden cases of TiTok and One-D-Piece. Pictures are decoded from the stored ids,
 * or from the latents of a continuous model. */
#include "verify_picture.h"

#include "../codec/tokenizers/titok.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct titok_model {
    tsr_synthetic *synthetic;
    tsr_titok *titok;
    int32_t *ids; /* [latents] of the last run that stores any */
} titok_model;

static void close_titok(void *model) {
    titok_model *m = model;
    tsr_titok_close(&m->titok);
    tsr_synthetic_close(&m->synthetic);
    free(m->ids);
}

static void open_titok(tsr_verify *v, void *model) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    titok_model *m = model;
    tsr_weights *weights = NULL;
    config = cJSON_GetObjectItemCaseSensitive(config, "upstream_config");
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_titok_open(v->device, config, weights, v->folder, &m->titok);
}

static void verify_encode(tsr_verify *v, tsr_titok *m, const uint8_t *rgb, float *factors) {
    const int64_t k = m->latents, size = m->continuous ? 2 * m->size : m->size;
    float *latents = tsr_verify_take(v, k * m->encoder.width, sizeof *latents, "latents");
    float *turned = tsr_verify_take(v, k * size, sizeof *turned, "factors");
    float *margin = tsr_verify_take(v, k, sizeof *margin, "margins");
    int32_t *ids = tsr_verify_take(v, k, sizeof *ids, "ids");
    int32_t *again = tsr_verify_take(v, k, sizeof *again, "ids");
    if (v->status) return;
    tsr_titok_result result = {
        .ids = ids, .margin = margin, .latents = latents, .factors = factors};
    v->status = tsr_titok_encode(m, rgb, 1, &result);
    for (int64_t i = 0; i < k * size; ++i) /* (number, token) */
        turned[i % size * k + i / size] = factors[i];
    tsr_verify_f32(v, "latents", latents, 2, (int64_t[]){k, m->encoder.width});
    tsr_verify_f32(v, "factors", turned, 2, (int64_t[]){size, k});
    if (m->continuous) return;
    tsr_verify_ids(v, ids, margin, 1, &k);
    if (v->status) return;
    /* The plain way gives the ids of the traced one. */
    result = (tsr_titok_result){.ids = again};
    v->status = tsr_titok_encode(m, rgb, 1, &result);
    if (memcmp(ids, again, (size_t)k * sizeof *ids) != 0)
        tsr_verify_line(v, "ids", false, "another way of running gives other ids");
}

/* Means and log variances [K, 2E] to the vectors that are decoded [K, E]. */
static void draw(tsr_verify *v, tsr_titok *m, const float *factors, float *vectors) {
    const int64_t k = m->latents, e = m->size, dim[2] = {e, k};
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->run, "vae_noise"));
    tsr_tensor noise = {0};
    if (name && tsr_verify_entry(v->manifest, "inputs", name)) noise = tsr_synthetic_input(v, name);
    if (noise.data && tsr_elements(&noise) != k * e)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted %lld values, got %lld", v->folder,
                        name, (long long)(k * e), (long long)tsr_elements(&noise));
    float *turned = tsr_verify_take(v, k * e, sizeof *turned, "latents");
    if (v->status) return;
    for (int64_t t = 0; t < k; ++t)
        for (int64_t c = 0; c < e; ++c) {
            const float *f = factors + t * 2 * e;
            float z = f[c];
            if (noise.data) {
                const float logvar = fminf(fmaxf(f[e + c], -30.0f), 20.0f);
                z += expf(0.5f * logvar) * ((const float *)noise.data)[c * k + t];
            }
            vectors[t * e + c] = turned[c * k + t] = z;
        }
    tsr_verify_f32(v, "latent_sample", turned, 2, dim);
}

/* Reads the run's stored ids, if it has any; else those of an earlier run stay. */
static void read_ids(tsr_verify *v, titok_model *m) {
    const cJSON *entry = tsr_verify_output(v, "ids");
    const int64_t count = m->titok->latents;
    tsr_tensor t = {0};
    if (entry) t = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    if (entry ? tsr_elements(&t) != count : !m->ids)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: ids: wanted %lld, got others", v->folder,
                        tsr_verify_name(v), (long long)count);
    if (v->status || !entry) return;
    if (!m->ids) m->ids = tsr_alloc(v->ctx, (size_t)count, sizeof *m->ids, "ids");
    if (!m->ids)
        v->status = TSR_ERROR_MEMORY;
    else
        memcpy(m->ids, t.data, (size_t)count * sizeof *m->ids);
}

static void verify_decode(tsr_verify *v, titok_model *model, const float *factors) {
    tsr_titok *m = model->titok;
    const int64_t side = m->side * TSR_TITOK_PATCH;
    const int64_t depth = m->two_stage ? m->base_codes.codes->tensor.dim[0] : 3;
    const int64_t rows = m->two_stage ? m->side : side;
    const cJSON *prefix = cJSON_GetObjectItemCaseSensitive(v->run, "prefix");
    const int64_t count = cJSON_IsNumber(prefix) ? (int64_t)prefix->valuedouble : m->latents;
    float *vectors = tsr_verify_take(v, m->latents * m->size, sizeof *vectors, "latents");
    float *rgb = tsr_verify_take(v, side * side * 3, sizeof *rgb, "picture");
    float *head = tsr_verify_take(v, rows * rows * depth, sizeof *head, "head");
    if (m->continuous)
        draw(v, m, factors, vectors);
    else
        read_ids(v, model);
    if (v->status) return;
    v->status =
        tsr_titok_decode(m, m->continuous ? NULL : model->ids, vectors, 1, count, rgb, head);
    tsr_verify_planar(v, "decoder_out", head, 1, rows, rows, depth, false);
    tsr_verify_planar(v, "image", rgb, 1, side, side, 3, false);
}

void tsr_verify_titok(tsr_verify *v) {
    const char *input = tsr_verify_text(v, v->run, "input");
    titok_model *m = tsr_verify_model(v, sizeof *m, open_titok, close_titok);
    int width = 0, height = 0;
    if (v->status) return;
    const int64_t side = m->titok->side * TSR_TITOK_PATCH;
    uint8_t *rgb = tsr_verify_picture(v, input, &width, &height);
    if (width != side || height != side)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted %lldx%lld, got %dx%d", v->folder,
                        input, (long long)side, (long long)side, width, height);
    float *factors =
        tsr_verify_take(v, m->titok->latents * 2 * m->titok->size, sizeof *factors, "factors");
    if (tsr_verify_output(v, "ids") || m->titok->continuous)
        verify_encode(v, m->titok, rgb, factors);
    verify_decode(v, m, factors);
    free(rgb);
}
