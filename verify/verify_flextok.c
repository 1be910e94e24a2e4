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

typedef struct kept { /* the case's model, from run to run */
    tsr_synthetic *synthetic;
    tsr_flextok *model;
    tsr_dtype round;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_flextok_close(&k->model);
    tsr_synthetic_close(&k->synthetic);
    free(k);
}

static tsr_status open_model(tsr_verify *v, const cJSON *run, tsr_flextok **model) {
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "weights"));
    const tsr_dtype round = !type                   ? TSR_DTYPE_F32
                            : !strcmp(type, "BF16") ? TSR_DTYPE_BF16
                            : !strcmp(type, "F16")  ? TSR_DTYPE_F16
                                                    : TSR_DTYPE_U8;
    if (round == TSR_DTYPE_U8)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: weights: wanted BF16 or F16, got %s", v->folder,
                        tsr_verify_name(run), type);
    kept *k = v->kept;
    if (k && k->model && k->round == round) {
        *model = k->model;
        return TSR_OK;
    }
    if (!k) {
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
    }
    tsr_flextok_close(&k->model);
    tsr_synthetic_close(&k->synthetic);
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    tsr_status status = tsr_flextok_read_config(
        v->ctx, v->folder, cJSON_GetObjectItemCaseSensitive(v->manifest, "config"), &config);
    if (!status) status = tsr_synthetic_open(v, round, &k->synthetic, &weights);
    if (!status) status = tsr_flextok_open(v->device, &config, weights, v->folder, &k->model);
    k->round = round;
    *model = k->model;
    return status;
}

/* ---- intermediate arrays ---- */

typedef struct watcher {
    tsr_verify *v;
    const cJSON *run;
    int heads;
    bool qk_norm;
    tsr_status status;
    int64_t pictures, channels, height, width; /* of the latents */
} watcher;

static bool wants(void *user, const char *name) {
    const watcher *w = user;
    return tsr_verify_entry(w->run, "outputs", name) != NULL;
}

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

static void see(void *user, const char *name, const float *data, int rank, const int64_t *dim) {
    watcher *w = user;
    if (w->status || !wants(user, name)) return;
    const bool heads = ends_with(name, ".q") || ends_with(name, ".k");
    /* Defined as after the norm of queries and keys; without one the cases hold the queries twice.
     */
    if (heads && !w->qk_norm) return;
    if (!heads) {
        w->status = tsr_verify_f32(w->v, w->run, name, data, rank, dim, (tsr_verify_ties){0});
        return;
    }
    const int64_t n = dim[1], count = w->heads, width = dim[2] / count; /* [B, n, D] */
    float *turned = tsr_alloc(w->v->ctx, (size_t)(dim[0] * n * dim[2]), sizeof *turned, "heads");
    if (!turned) {
        w->status = TSR_ERROR_MEMORY;
        return;
    }
    float *to = turned;
    for (int64_t b = 0; b < dim[0]; ++b)
        for (int64_t h = 0; h < count; ++h)
            for (int64_t i = 0; i < n; ++i, to += width)
                memcpy(to, data + (b * n + i) * dim[2] + h * width, (size_t)width * sizeof *to);
    w->status = tsr_verify_f32(w->v, w->run, name, turned, 4, (int64_t[]){dim[0], count, n, width},
                               (tsr_verify_ties){0});
    free(turned);
}

static void see_step(void *user, const tsr_flow_step *s) {
    watcher *w = user;
    const struct {
        const char *name;
        const float *data;
    } list[] = {
        {"x", s->x}, {"vc", s->vc}, {"vu", s->vu}, {"m", s->momentum}, {"uperp", s->orthogonal},
        {"v", s->v}};
    const int64_t dim[] = {w->pictures, w->channels, w->height, w->width};
    for (size_t i = 0; i < sizeof list / sizeof *list && !w->status; ++i) {
        char name[64];
        snprintf(name, sizeof name, "step.%d.%s", s->number, list[i].name);
        if (list[i].data && wants(user, name))
            w->status =
                tsr_verify_f32(w->v, w->run, name, list[i].data, 4, dim, (tsr_verify_ties){0});
    }
}

/* Whether the run has any output that only the plain way shows. */
static bool has_intermediates(const cJSON *run) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(run, "outputs")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
        if (name && (!strncmp(name, "enc.", 4) || !strncmp(name, "dec.", 4) ||
                     !strncmp(name, "step.", 5) || !strncmp(name, "time.", 5)))
            return true;
    }
    return false;
}

/* ---- encode ---- */

static tsr_status check_ids(tsr_verify *v, const cJSON *run, const tsr_flextok *m, const float *z,
                            int64_t count, int64_t k) {
    const tsr_flextok_config *c = &m->config;
    const int levels = c->level_count;
    const int64_t n = count * k, values[] = {count, k, levels}, rows[] = {count, k};
    float *bounded = tsr_alloc(v->ctx, (size_t)(n * levels), sizeof *bounded, "bounded");
    float *codes = tsr_alloc(v->ctx, (size_t)(n * levels), sizeof *codes, "codes");
    float *margin = tsr_alloc(v->ctx, (size_t)n, sizeof *margin, "margins");
    int32_t *ids = tsr_alloc(v->ctx, (size_t)n, sizeof *ids, "ids");
    uint8_t *tie = tsr_alloc(v->ctx, (size_t)n, 1, "near ties");
    tsr_tensor known = {0};
    tsr_status status = bounded && codes && margin && ids && tie ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = tsr_fsq_quantize(v->device, z, n, c->levels, levels, bounded, codes, ids);
    const cJSON *entry = tsr_verify_entry(run, "outputs", "margin");
    if (!status && entry) status = tsr_verify_array(v, run, entry, TSR_DTYPE_F32, &known);
    if (!status && known.data && tsr_elements(&known) != n)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: margin: wanted %lld values, got %lld",
                          v->folder, tsr_verify_name(run), (long long)n,
                          (long long)tsr_elements(&known));
    for (int64_t i = 0; i < n && !status; ++i) {
        margin[i] = tsr_levels_margin(levels, bounded + i * levels);
        tie[i] = known.data && ((const float *)known.data)[i] < (float)v->id_margin;
    }
    const tsr_verify_ties none = {0}, by_code = {tie, levels}, by_id = {tie, 1};
    if (!status) status = tsr_verify_f32(v, run, "z", z, 3, values, none);
    if (!status) status = tsr_verify_f32(v, run, "bounded", bounded, 3, values, none);
    if (!status) status = tsr_verify_f32(v, run, "codes", codes, 3, values, by_code);
    if (!status) status = tsr_verify_i32(v, run, "ids", ids, 2, rows, by_id);
    if (!status) status = tsr_verify_f32(v, run, "margin", margin, 2, rows, none);
    free(known.data);
    free(bounded);
    free(codes);
    free(margin);
    free(ids);
    free(tie);
    return status;
}

tsr_status tsr_verify_encode(tsr_verify *v, const cJSON *run) {
    tsr_flextok *m = NULL;
    tsr_tensor latents = {0};
    tsr_status status = open_model(v, run, &m);
    if (!status) status = tsr_verify_latents(v, run, m, &latents);
    const int64_t count = latents.dim[0], k = m ? m->config.registers : 0;
    float *z = NULL;
    if (!status &&
        !(z = tsr_alloc(v->ctx, (size_t)(count * k * m->config.level_count), sizeof *z, "z")))
        status = TSR_ERROR_MEMORY;
    if (!status && has_intermediates(run)) {
        watcher w = {.v = v,
                     .run = run,
                     .heads = m->config.encoder.trunk.heads,
                     .qk_norm = m->config.encoder.trunk.qk_norm};
        const tsr_flextok_trace trace = {see, wants, &w};
        status = tsr_flextok_encode(m, latents.data, count, latents.dim[2], latents.dim[3], k, z,
                                    &trace);
        if (!status) status = w.status;
    }
    if (!status)
        status =
            tsr_flextok_encode(m, latents.data, count, latents.dim[2], latents.dim[3], k, z, NULL);
    if (!status) status = check_ids(v, run, m, z, count, k);
    free(z);
    free(latents.data);
    return status;
}

/* ---- decode ---- */

enum { PICTURES_MOST = 64 };

/* ids [B, K], counts and noise [B, C, h, w] of a run */
static tsr_status read_inputs(tsr_verify *v, const cJSON *run, const tsr_flextok *m, uint32_t **ids,
                              uint32_t *counts, tsr_tensor *noise) {
    const char *file = NULL;
    char path[4096];
    tsr_tensor tokens = {0};
    int k[PICTURES_MOST], count = 0;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(run, "noise"), *item;
    tsr_status status = tsr_verify_integers(v, run, run, "k", k, PICTURES_MOST, &count);
    if (!status) status = tsr_verify_text(v, run, run, "tokens", &file);
    if (!status) status = tsr_verify_path(v, run, file, path, sizeof path);
    if (!status) {
        cJSON *entry = cJSON_CreateObject();
        if (!entry || !cJSON_AddStringToObject(entry, "file", file))
            status = tsr_fail(v->ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
        if (!status) status = tsr_verify_array(v, run, entry, TSR_DTYPE_I32, &tokens);
        cJSON_Delete(entry);
    }
    const int64_t most = m->config.registers;
    if (!status && (tokens.rank != 2 || tokens.dim[0] != count || tokens.dim[1] != most))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: wanted ids [%d, %lld], got others", path,
                          count, (long long)most);
    if (!status && cJSON_GetArraySize(list) != count)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                          "%s/manifest.json: %s: noise: wanted %d names, got %d", v->folder,
                          tsr_verify_name(run), count, cJSON_GetArraySize(list));
    if (!status && !(*ids = tsr_alloc(v->ctx, (size_t)(count * most), sizeof **ids, "ids")))
        status = TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < count * most && !status; ++i)
        (*ids)[i] = (uint32_t)((const int32_t *)tokens.data)[i];
    for (int i = 0; i < count && !status; ++i) {
        counts[i] = (uint32_t)k[i];
        if (k[i] < 0 || k[i] > most)
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                              "%s/manifest.json: %s: k: wanted 0 to %lld, got %d", v->folder,
                              tsr_verify_name(run), (long long)most, k[i]);
    }
    int64_t at = 0, one = 0;
    cJSON_ArrayForEach(item, list) {
        tsr_tensor t = {0};
        const char *name = cJSON_GetStringValue(item);
        if (!status) status = tsr_synthetic_input(v, run, name ? name : "", &t);
        if (!status && at == 0) {
            one = tsr_elements(&t);
            *noise = t;
            noise->dim[0] = count;
            noise->data = tsr_alloc(v->ctx, (size_t)(one * count), sizeof(float), "noise");
            if (!noise->data) status = TSR_ERROR_MEMORY;
        }
        if (!status && (t.rank != 4 || t.dim[0] != 1 || t.dim[1] != m->config.channels ||
                        tsr_elements(&t) != one))
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                              "%s/manifest.json: %s: noise: wanted [1, C, h, w], got another shape",
                              v->folder, tsr_verify_name(run));
        if (!status) memcpy((float *)noise->data + one * at++, t.data, (size_t)one * sizeof(float));
        free(t.data);
    }
    free(tokens.data);
    return status;
}

tsr_status tsr_verify_decode(tsr_verify *v, const cJSON *run) {
    tsr_flextok *m = NULL;
    uint32_t *ids = NULL, counts[PICTURES_MOST];
    tsr_tensor noise = {0};
    tsr_status status = open_model(v, run, &m);
    if (!status) status = read_inputs(v, run, m, &ids, counts, &noise);
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(run, "steps");
    const cJSON *guidance = cJSON_GetObjectItemCaseSensitive(run, "guidance");
    if (!status && (!cJSON_IsNumber(steps) || steps->valueint < 1 || !cJSON_IsNumber(guidance)))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                          "%s/manifest.json: %s: steps and guidance: wanted numbers, got none",
                          v->folder, tsr_verify_name(run));
    float *x = NULL;
    const size_t bytes = (size_t)tsr_elements(&noise) * sizeof *x;
    if (!status && !(x = tsr_alloc(v->ctx, bytes, 1, "latents"))) status = TSR_ERROR_MEMORY;
    watcher w = {.v = v, .run = run};
    const tsr_flextok_trace trace = {see, wants, &w};
    tsr_flextok_decode_settings s = {0};
    if (!status) {
        w.heads = m->config.decoder.trunk.heads;
        w.qk_norm = m->config.decoder.trunk.qk_norm;
        w.pictures = noise.dim[0];
        w.channels = noise.dim[1];
        w.height = noise.dim[2];
        w.width = noise.dim[3];
        s.flow.steps = steps->valueint;
        s.flow.guidance = (float)guidance->valuedouble;
        s.flow.normalized = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(run, "apg"));
    }
    if (!status && has_intermediates(run)) {
        memcpy(x, noise.data, bytes);
        s.trace = &trace;
        s.flow.see = see_step;
        s.flow.see_user = &w;
        status = tsr_flextok_decode(m, ids, counts, w.pictures, w.height, w.width, &s, x);
        if (!status) status = w.status;
        s.trace = NULL;
        s.flow.see = NULL;
    }
    if (!status) {
        memcpy(x, noise.data, bytes);
        status = tsr_flextok_decode(m, ids, counts, w.pictures, w.height, w.width, &s, x);
    }
    if (!status) status = tsr_verify_f32(v, run, "latent", x, 4, noise.dim, (tsr_verify_ties){0});
    if (!status) status = tsr_verify_pictures(v, run, m, x, noise.dim);
    free(x);
    free(ids);
    free(noise.data);
    return status;
}
