/* SPDX-License-Identifier: MIT */
/* verify_flextok.c: golden cases of FlexTok. Ids, z and latents come from the model as it is used;
 * intermediate arrays from a second walk the plain way, which has all rows of them. */
#include "verify.h"

#include "../quantizer/quantizer.h"
#include "../codec/tokenizers/flextok/flextok_decoder.h"
#include "../codec/tokenizers/flextok/flextok_encoder.h"
#include "verify_vae.h"
#include "verify_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct flextok_model {
    tsr_synthetic *synthetic;
    tsr_flextok *flextok; /* NULL where opening failed */
    tsr_dtype round;      /* of the weights */
} flextok_model;

static void close_flextok(void *model) {
    flextok_model *m = model;
    tsr_flextok_close(&m->flextok);
    tsr_synthetic_close(&m->synthetic);
}

/* Type to which the run's weights are rounded; F32: not at all. */
static tsr_dtype weight_type(tsr_verify *v) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->run, "weights"));
    if (type && !strcmp(type, "BF16")) return TSR_DTYPE_BF16;
    if (type && !strcmp(type, "F16")) return TSR_DTYPE_F16;
    if (type) tsr_verify_refuse(v, "weights: wanted BF16 or F16, got %s", type);
    return TSR_DTYPE_F32;
}

static void open_flextok(tsr_verify *v, void *model) {
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    flextok_model *m = model;
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    m->round = weight_type(v);
    v->status = tsr_flextok_read_config(v->ctx, v->folder, json, &config);
    tsr_synthetic_open(v, m->round, &m->synthetic, &weights);
    if (!v->status)
        v->status = tsr_flextok_open(v->device, &config, weights, v->folder, &m->flextok);
}

/* The case's model with the run's weights; runs that round otherwise open it again. */
static tsr_flextok *open_model(tsr_verify *v) {
    const tsr_dtype round = weight_type(v);
    const flextok_model *m = v->model_state.data;
    if (v->status) return NULL;
    if (m && (!m->flextok || m->round != round)) tsr_verify_model_close(v);
    m = tsr_verify_model(v, sizeof *m, open_flextok, close_flextok);
    return m ? m->flextok : NULL;
}

/* ---- intermediate arrays ---- */

typedef struct watcher {
    tsr_verify *v;
    int heads;
    bool qk_norm;
    int64_t dim[4]; /* of the latents: pictures, channels, height, width */
} watcher;

static bool wants(void *user, const char *name) {
    const watcher *w = user;
    return tsr_verify_output(w->v, name) != NULL;
}

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* Compares queries or keys [B, n, heads * width] with an entry [B, heads, n, width]. */
static void see_heads(const watcher *w, const char *name, const float *data, const int64_t *dim) {
    const int64_t n = dim[1], count = w->heads, width = dim[2] / count;
    float *turned = tsr_alloc(w->v->ctx, (size_t)(dim[0] * n * dim[2]), sizeof *turned, "heads");
    if (!turned) {
        tsr_verify_record(w->v, TSR_ERROR_MEMORY);
        return;
    }
    float *to = turned;
    for (int64_t b = 0; b < dim[0]; ++b)
        for (int64_t h = 0; h < count; ++h)
            for (int64_t i = 0; i < n; ++i, to += width)
                memcpy(to, data + (b * n + i) * dim[2] + h * width, (size_t)width * sizeof *to);
    tsr_verify_f32(w->v, name, turned, 4, (int64_t[]){dim[0], count, n, width});
    free(turned);
}

static void see(void *user, const char *name, const float *data, int rank, const int64_t *dim) {
    watcher *w = user;
    if (w->v->status || !wants(user, name)) return;
    /* Queries and keys are defined as after their norm; without one the cases hold the queries
     * twice. */
    if (!ends_with(name, ".q") && !ends_with(name, ".k"))
        tsr_verify_f32(w->v, name, data, rank, dim);
    else if (w->qk_norm)
        see_heads(w, name, data, dim);
}

static void see_step(void *user, const tsr_flow_step *s) {
    watcher *w = user;
    const struct {
        const char *name;
        const float *data;
    } list[] = {
        {"x", s->x}, {"vc", s->vc}, {"vu", s->vu}, {"m", s->momentum}, {"uperp", s->orthogonal},
        {"v", s->v}};
    for (size_t i = 0; i < sizeof list / sizeof *list; ++i) {
        char name[64];
        snprintf(name, sizeof name, "step.%d.%s", s->number, list[i].name);
        if (list[i].data && wants(user, name)) tsr_verify_f32(w->v, name, list[i].data, 4, w->dim);
    }
}

/* Whether the run has any output that only the plain way shows. */
static bool has_intermediates(const tsr_verify *v) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(v->run, "outputs")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
        if (name && (!strncmp(name, "enc.", 4) || !strncmp(name, "dec.", 4) ||
                     !strncmp(name, "step.", 5) || !strncmp(name, "time.", 5)))
            return true;
    }
    return false;
}

/* ---- encode ---- */

/* Compares z [count, k, levels] and what is quantised from it. */
static void check_ids(tsr_verify *v, const tsr_flextok *m, const float *z, int64_t count,
                      int64_t k) {
    const tsr_flextok_config *c = &m->config;
    const int levels = c->level_count;
    const int64_t n = count * k, values[] = {count, k, levels}, rows[] = {count, k};
    float *bounded = tsr_verify_take(v, n * levels, sizeof *bounded, "bounded");
    float *codes = tsr_verify_take(v, n * levels, sizeof *codes, "codes");
    float *margin = tsr_verify_take(v, n, sizeof *margin, "margins");
    int32_t *ids = tsr_verify_take(v, n, sizeof *ids, "ids");
    const uint8_t *tie = tsr_verify_near_ties(v, n);
    if (v->status) return;
    v->status = tsr_fsq_quantize(v->device, z, n, c->levels, levels, bounded, codes, ids);
    for (int64_t i = 0; i < n && !v->status; ++i)
        margin[i] = tsr_levels_margin(levels, bounded + i * levels);
    tsr_verify_f32(v, "z", z, 3, values);
    tsr_verify_f32(v, "bounded", bounded, 3, values);
    tsr_verify_f32_ties(v, "codes", codes, 3, values, (tsr_verify_ties){tie, levels});
    tsr_verify_i32_ties(v, "ids", ids, 2, rows, (tsr_verify_ties){tie, 1});
    tsr_verify_f32(v, "margin", margin, 2, rows);
}

void tsr_verify_encode(tsr_verify *v) {
    tsr_flextok *m = open_model(v);
    if (v->status) return;
    const tsr_tensor latents = tsr_verify_latents(v, m);
    const int64_t *dim = latents.dim, k = m->config.registers;
    float *z = tsr_verify_take(v, dim[0] * k * m->config.level_count, sizeof *z, "z");
    watcher w = {
        .v = v, .heads = m->config.encoder.trunk.heads, .qk_norm = m->config.encoder.trunk.qk_norm};
    const tsr_flextok_trace trace = {see, wants, &w};
    if (!v->status && has_intermediates(v))
        tsr_verify_record(
            v, tsr_flextok_encode(m, latents.data, dim[0], dim[2], dim[3], k, z, &trace));
    if (v->status) return;
    v->status = tsr_flextok_encode(m, latents.data, dim[0], dim[2], dim[3], k, z, NULL);
    check_ids(v, m, z, dim[0], k);
}

/* ---- decode ---- */

enum { PICTURES_MOST = 64 };

/* The run's ids [B, K], as u32, and counts [B]; returns B. */
static int read_tokens(tsr_verify *v, const tsr_flextok *m, uint32_t **ids, uint32_t *counts) {
    const int64_t most = m->config.registers;
    char path[4096];
    int k[PICTURES_MOST];
    const int count = tsr_verify_integers(v, v->run, "k", k, 1, PICTURES_MOST);
    const char *file = tsr_verify_text(v, v->run, "tokens");
    tsr_verify_path(v, file, path, sizeof path);
    cJSON *entry = cJSON_CreateObject();
    if (!entry || !cJSON_AddStringToObject(entry, "file", file))
        tsr_verify_fail(v, TSR_ERROR_MEMORY, "%s: no memory", path);
    const tsr_tensor tokens = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    cJSON_Delete(entry);
    if (tokens.rank != 2 || tokens.dim[0] != count || tokens.dim[1] != most)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: wanted ids [%d, %lld], got others", path, count,
                        (long long)most);
    *ids = tokens.data;
    for (int i = 0; i < count; ++i) {
        counts[i] = (uint32_t)k[i];
        if (k[i] < 0 || k[i] > most)
            tsr_verify_refuse(v, "k: wanted 0 to %lld, got %d", (long long)most, k[i]);
    }
    return count;
}

/* The run's noise for `count` pictures, [count, C, h, w]. */
static tsr_tensor read_noise(tsr_verify *v, const tsr_flextok *m, int count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "noise"), *item;
    tsr_tensor noise = {0};
    int64_t at = 0, one = 0;
    if (cJSON_GetArraySize(list) != count)
        tsr_verify_refuse(v, "noise: wanted %d names, got %d", count, cJSON_GetArraySize(list));
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        const tsr_tensor t = tsr_synthetic_input(v, name ? name : "");
        if (at == 0) {
            one = tsr_elements(&t);
            noise = t;
            noise.dim[0] = count;
            noise.data = tsr_verify_take(v, one * count, sizeof(float), "noise");
        }
        if (t.rank != 4 || t.dim[0] != 1 || t.dim[1] != m->config.channels ||
            tsr_elements(&t) != one)
            tsr_verify_refuse(v, "noise: wanted [1, C, h, w], got another shape");
        if (v->status) break;
        memcpy((float *)noise.data + one * at++, t.data, (size_t)one * sizeof(float));
    }
    return noise;
}

void tsr_verify_decode(tsr_verify *v) {
    tsr_flextok *m = open_model(v);
    uint32_t *ids = NULL, counts[PICTURES_MOST];
    if (v->status) return;
    const int count = read_tokens(v, m, &ids, counts);
    const tsr_tensor noise = read_noise(v, m, count);
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(v->run, "steps");
    const cJSON *guidance = cJSON_GetObjectItemCaseSensitive(v->run, "guidance");
    if (!cJSON_IsNumber(steps) || steps->valueint < 1 || !cJSON_IsNumber(guidance))
        tsr_verify_refuse(v, "steps and guidance: wanted numbers, got none");
    const int64_t *dim = noise.dim, n = tsr_elements(&noise);
    float *x = tsr_verify_take(v, n, sizeof *x, "latents");
    if (v->status) return;
    watcher w = {
        .v = v, .heads = m->config.decoder.trunk.heads, .qk_norm = m->config.decoder.trunk.qk_norm};
    memcpy(w.dim, dim, sizeof w.dim);
    const tsr_flextok_trace trace = {see, wants, &w};
    tsr_flextok_decode_settings s = {0};
    s.flow.steps = steps->valueint;
    s.flow.guidance = (float)guidance->valuedouble;
    s.flow.normalized = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v->run, "apg"));
    if (has_intermediates(v)) {
        tsr_flextok_decode_settings traced = s;
        traced.trace = &trace;
        traced.flow.see = see_step;
        traced.flow.see_user = &w;
        memcpy(x, noise.data, (size_t)n * sizeof *x);
        tsr_verify_record(v,
                          tsr_flextok_decode(m, ids, counts, dim[0], dim[2], dim[3], &traced, x));
    }
    if (v->status) return;
    memcpy(x, noise.data, (size_t)n * sizeof *x);
    v->status = tsr_flextok_decode(m, ids, counts, dim[0], dim[2], dim[3], &s, x);
    tsr_verify_f32(v, "latent", x, 4, dim);
    tsr_verify_pictures(v, m, x, dim);
}
