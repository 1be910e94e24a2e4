/* SPDX-License-Identifier: MIT */
/* verify_vae.c: golden cases of the autoencoder, alone and inside FlexTok. */
#include "verify_vae.h"

#include "verify_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pictures in and out ---- */

/* The run's pictures as RGB [B, H, W, 3] in -1 .. 1; data is malloc'd. */
static tsr_status read_pictures(tsr_verify *v, const cJSON *run, tsr_tensor *rgb) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(run, "images"), *item;
    const int count = cJSON_GetArraySize(list);
    int at = 0;
    float *values = NULL;
    *rgb = (tsr_tensor){0};
    if (!cJSON_IsArray(list) || count < 1 || count > 64)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: images: wanted 1 to 64 names, got %d", v->folder,
                        tsr_verify_name(run), count);
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name ? name : "");
        tsr_tensor t = {0};
        tsr_status status = entry
                                ? tsr_verify_array(v, run, entry, TSR_DTYPE_U8, &t)
                                : tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                                           "%s/manifest.json: %s: inputs: wanted \"%s\", got none",
                                           v->folder, tsr_verify_name(run), name ? name : "");
        if (!status && at == 0) {
            *rgb = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4,
                                   (int64_t[]){count, t.dim[0], t.dim[1], t.dim[2]});
            rgb->data = values =
                tsr_alloc(v->ctx, (size_t)tsr_elements(rgb), sizeof *values, "pictures");
            if (!values) status = TSR_ERROR_MEMORY;
        }
        if (!status &&
            (t.rank != 3 || t.dim[2] != 3 || t.dim[0] != rgb->dim[1] || t.dim[1] != rgb->dim[2]))
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted [H, W, 3], got another",
                              v->folder, name);
        const int64_t n = tsr_elements(&t);
        for (int64_t i = 0; i < n && !status; ++i)
            values[at * n + i] = ((float)((const uint8_t *)t.data)[i] / 255.0f - 0.5f) / 0.5f;
        ++at;
        free(t.data);
        if (status) {
            free(values);
            rgb->data = NULL;
            return status;
        }
    }
    return TSR_OK;
}

/* [B, H, W, C] to [B, C, H, W]; malloc'd. */
static float *channels_first(tsr_verify *v, const float *data, const int64_t *dim) {
    const int64_t plane = dim[1] * dim[2], channels = dim[3];
    float *turned = tsr_alloc(v->ctx, (size_t)(dim[0] * plane * channels), 4, "channels first");
    for (int64_t b = 0; turned && b < dim[0]; ++b)
        for (int64_t i = 0; i < plane; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[(b * channels + c) * plane + i] = data[(b * plane + i) * channels + c];
    return turned;
}

typedef struct watcher {
    tsr_verify *v;
    const cJSON *run;
    tsr_status status;
} watcher;

static void see(void *user, const char *name, const float *data, const int64_t *dim) {
    watcher *w = user;
    if (w->status || !tsr_verify_entry(w->run, "outputs", name)) return;
    float *turned = channels_first(w->v, data, dim);
    w->status =
        turned ? tsr_verify_f32(w->v, w->run, name, turned, 4,
                                (int64_t[]){dim[0], dim[3], dim[1], dim[2]}, (tsr_verify_ties){0})
               : TSR_ERROR_MEMORY;
    free(turned);
}

/* Whether the run shows what is inside the autoencoder. */
static bool has_parts(const cJSON *run) {
    return tsr_verify_entry(run, "outputs", "enc.conv_in") ||
           tsr_verify_entry(run, "outputs", "dec.conv_in");
}

/* Pictures of a run to mean and logvar; compares what the run lists. */
static tsr_status encode(tsr_verify *v, const cJSON *run, tsr_vae *vae, tsr_tensor *mean,
                         float **logvar) {
    const tsr_vae_config *c = tsr_vae_configuration(vae);
    const int64_t factor = tsr_vae_factor(c);
    tsr_tensor rgb;
    *mean = (tsr_tensor){0};
    *logvar = NULL;
    tsr_status status = read_pictures(v, run, &rgb);
    if (status) return status;
    const int64_t dim[4] = {rgb.dim[0], c->channels, rgb.dim[1] / factor, rgb.dim[2] / factor};
    *mean = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, dim);
    const size_t n = (size_t)tsr_elements(mean);
    mean->data = tsr_alloc(v->ctx, n, sizeof(float), "latents");
    *logvar = tsr_alloc(v->ctx, n, sizeof(float), "latents");
    if (!mean->data || !*logvar) status = TSR_ERROR_MEMORY;
    watcher w = {v, run, TSR_OK};
    const tsr_vae_trace trace = {see, &w};
    if (!status && has_parts(run))
        status = tsr_vae_encode(vae, rgb.data, rgb.dim[0], rgb.dim[1], rgb.dim[2], mean->data,
                                *logvar, &trace);
    if (!status) status = w.status;
    if (!status)
        status = tsr_vae_encode(vae, rgb.data, rgb.dim[0], rgb.dim[1], rgb.dim[2], mean->data,
                                *logvar, NULL);
    const tsr_verify_ties none = {0};
    if (!status) status = tsr_verify_f32(v, run, "vae.mean", mean->data, 4, dim, none);
    if (!status) status = tsr_verify_f32(v, run, "vae.logvar", *logvar, 4, dim, none);
    free(rgb.data);
    return status;
}

/* Unscaled latents to pictures; compares image and image_u8. */
static tsr_status decode(tsr_verify *v, const cJSON *run, tsr_vae *vae, const float *latents,
                         const int64_t *dim) {
    const int64_t factor = tsr_vae_factor(tsr_vae_configuration(vae));
    const int64_t last[4] = {dim[0], dim[2] * factor, dim[3] * factor, 3};
    const int64_t first[4] = {last[0], 3, last[1], last[2]};
    const size_t n = (size_t)(last[0] * last[1] * last[2] * 3);
    float *rgb = tsr_alloc(v->ctx, n, sizeof *rgb, "pictures"), *planar = NULL;
    uint8_t *bytes = tsr_alloc(v->ctx, n, 1, "pictures");
    tsr_status status = rgb && bytes ? TSR_OK : TSR_ERROR_MEMORY;
    watcher w = {v, run, TSR_OK};
    const tsr_vae_trace trace = {see, &w};
    if (!status && has_parts(run))
        status = tsr_vae_decode(vae, latents, dim[0], dim[2], dim[3], rgb, &trace);
    if (!status) status = w.status;
    if (!status) status = tsr_vae_decode(vae, latents, dim[0], dim[2], dim[3], rgb, NULL);
    if (!status && !(planar = channels_first(v, rgb, last))) status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_verify_f32(v, run, "image", planar, 4, first, (tsr_verify_ties){0});
    for (size_t i = 0; i < n && !status; ++i) { /* the official rounding: cut off */
        const float y = (rgb[i] + 1.0f) / 2.0f;
        bytes[i] = (uint8_t)((y < 0 ? 0 : y > 1 ? 1 : y) * 255.0f);
    }
    if (!status) status = tsr_verify_u8(v, run, "image_u8", bytes, 4, last);
    free(rgb);
    free(planar);
    free(bytes);
    return status;
}

/* ---- inside FlexTok ---- */

tsr_status tsr_verify_latents(tsr_verify *v, const cJSON *run, tsr_flextok *m,
                              tsr_tensor *latents) {
    float *logvar = NULL;
    tsr_status status = encode(v, run, m->vae, latents, &logvar);
    free(logvar);
    float *x = latents->data;
    for (int64_t i = 0; i < tsr_elements(latents) && !status; ++i)
        x[i] *= (float)m->config.vae.scaling_factor;
    if (!status)
        status = tsr_verify_f32(v, run, "latent", x, 4, latents->dim, (tsr_verify_ties){0});
    if (status) {
        free(latents->data);
        latents->data = NULL;
    }
    return status;
}

tsr_status tsr_verify_pictures(tsr_verify *v, const cJSON *run, tsr_flextok *m,
                               const float *latents, const int64_t *dim) {
    if (!tsr_verify_entry(run, "outputs", "image") && !tsr_verify_entry(run, "outputs", "image_u8"))
        return TSR_OK;
    const int64_t n = dim[0] * dim[1] * dim[2] * dim[3];
    float *x = tsr_alloc(v->ctx, (size_t)n, sizeof *x, "latents");
    if (!x) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < n; ++i)
        x[i] = latents[i] / (float)m->config.vae.scaling_factor;
    tsr_status status = decode(v, run, m->vae, x, dim);
    free(x);
    return status;
}

/* ---- alone ---- */

typedef struct kept {
    tsr_synthetic *synthetic;
    tsr_weights *weights;
    tsr_vae *vae;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_vae_close(&k->vae);
    tsr_weights_close(&k->weights);
    tsr_synthetic_close(&k->synthetic);
    free(k);
}

static tsr_status open_vae(tsr_verify *v, tsr_vae **vae) {
    kept *k = v->kept;
    if (!k) {
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
        tsr_vae_config config;
        tsr_status status = tsr_vae_read_config(
            v->ctx, v->folder, cJSON_GetObjectItemCaseSensitive(v->manifest, "config"), &config);
        if (!status) status = tsr_synthetic_open(v, TSR_DTYPE_F32, &k->synthetic, &k->weights);
        if (!status) status = tsr_vae_read_shapes(v->ctx, k->weights, "", v->folder, &config);
        if (!status) status = tsr_vae_open(v->device, &config, k->weights, "", v->folder, &k->vae);
        if (status) return status;
    }
    *vae = k->vae;
    return *vae ? TSR_OK
                : tsr_fail(v->ctx, TSR_ERROR_MODEL, "%s: wanted an autoencoder, got none",
                           v->folder);
}

tsr_status tsr_verify_vae_encode(tsr_verify *v, const cJSON *run) {
    tsr_vae *vae = NULL;
    tsr_tensor mean = {0}, noise = {0};
    float *logvar = NULL;
    tsr_status status = open_vae(v, &vae);
    if (!status) status = encode(v, run, vae, &mean, &logvar);
    if (!status && tsr_verify_entry(run, "outputs", "sample")) {
        const char *name = NULL;
        status = tsr_verify_text(v, run, run, "noise", &name);
        if (!status) status = tsr_synthetic_input(v, run, name, &noise);
        if (!status && tsr_elements(&noise) != tsr_elements(&mean))
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                              "%s: %s: wanted the latents' shape, got "
                              "another",
                              v->folder, name);
        float *x = mean.data;
        if (!status) tsr_vae_draw(tsr_elements(&mean), x, logvar, noise.data);
        if (!status)
            status = tsr_verify_f32(v, run, "sample", x, 4, mean.dim, (tsr_verify_ties){0});
        free(noise.data);
    }
    free(mean.data);
    free(logvar);
    return status;
}

tsr_status tsr_verify_vae_decode(tsr_verify *v, const cJSON *run) {
    tsr_vae *vae = NULL;
    tsr_tensor latents = {0};
    const char *name = NULL;
    tsr_status status = open_vae(v, &vae);
    if (!status) status = tsr_verify_text(v, run, run, "latent", &name);
    if (!status) status = tsr_synthetic_input(v, run, name, &latents);
    if (!status && (latents.rank != 4 || latents.dim[1] != tsr_vae_configuration(vae)->channels))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted [B, %lld, h, w], got another",
                          v->folder, name, (long long)tsr_vae_configuration(vae)->channels);
    if (!status) status = decode(v, run, vae, latents.data, latents.dim);
    free(latents.data);
    return status;
}
