/* SPDX-License-Identifier: MIT */
/* verify_vae.c: golden cases of the autoencoder, alone and inside FlexTok. */
#include "verify_vae.h"

#include "verify_picture.h"
#include "verify_weights.h"

#include <stdlib.h>

/* ---- pictures in and out ---- */

/* The run's pictures as RGB [B, H, W, 3] in -1 .. 1, until the end of the run. */
static tsr_tensor read_pictures(tsr_verify *v) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "images"), *item;
    const int count = cJSON_GetArraySize(list);
    int64_t at = 0;
    tsr_tensor rgb = {0};
    if (!cJSON_IsArray(list) || count < 1 || count > 64)
        tsr_verify_refuse(v, "images: wanted 1 to 64 names, got %d", count);
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name ? name : "");
        if (!entry) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name ? name : "");
        const tsr_tensor t = tsr_verify_array(v, entry, TSR_DTYPE_U8);
        if (at == 0 && !v->status) {
            rgb = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4,
                                  (int64_t[]){count, t.dim[0], t.dim[1], t.dim[2]});
            rgb.data = tsr_verify_take(v, tsr_elements(&rgb), sizeof(float), "pictures");
        }
        if (t.rank != 3 || t.dim[2] != 3 || t.dim[0] != rgb.dim[1] || t.dim[1] != rgb.dim[2])
            tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted [H, W, 3], got another", v->folder,
                            name);
        if (v->status) return (tsr_tensor){0};
        const int64_t n = tsr_elements(&t);
        float *values = (float *)rgb.data + n * at++;
        for (int64_t i = 0; i < n; ++i)
            values[i] = ((float)((const uint8_t *)t.data)[i] / 255.0f - 0.5f) / 0.5f;
    }
    return rgb;
}

/* Compares an array [B, H, W, C] of the traced walk, if the run has it. */
static void see(void *user, const char *name, const float *data, const int64_t *dim) {
    tsr_verify_planar(user, name, data, dim[0], dim[1], dim[2], dim[3], true);
}

/* Whether the run shows what is inside the autoencoder. */
static bool has_parts(const tsr_verify *v) {
    return tsr_verify_output(v, "enc.conv_in") || tsr_verify_output(v, "dec.conv_in");
}

/* The run's pictures to *mean and *logvar [B, C, h, w], which live until the end of the run;
 * compares both. */
static void encode(tsr_verify *v, tsr_vae *vae, tsr_tensor *mean, tsr_tensor *logvar) {
    const tsr_tensor rgb = read_pictures(v);
    *mean = *logvar = (tsr_tensor){0};
    if (v->status) return;
    const tsr_vae_config *c = tsr_vae_configuration(vae);
    const int64_t factor = tsr_vae_factor(c), *in = rgb.dim;
    const int64_t dim[4] = {in[0], c->channels, in[1] / factor, in[2] / factor};
    *mean = *logvar = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, dim);
    mean->data = tsr_verify_take(v, tsr_elements(mean), sizeof(float), "latents");
    logvar->data = tsr_verify_take(v, tsr_elements(mean), sizeof(float), "latents");
    const tsr_vae_trace trace = {see, v};
    if (!v->status && has_parts(v))
        tsr_verify_record(v, tsr_vae_encode(vae, rgb.data, in[0], in[1], in[2], mean->data,
                                            logvar->data, &trace));
    if (v->status) return;
    v->status = tsr_vae_encode(vae, rgb.data, in[0], in[1], in[2], mean->data, logvar->data, NULL);
    tsr_verify_f32(v, "vae.mean", mean->data, 4, dim);
    tsr_verify_f32(v, "vae.logvar", logvar->data, 4, dim);
}

/* Unscaled latents to pictures; compares image and image_u8. */
static void decode(tsr_verify *v, tsr_vae *vae, const float *latents, const int64_t *dim) {
    const int64_t factor = tsr_vae_factor(tsr_vae_configuration(vae));
    const int64_t last[4] = {dim[0], dim[2] * factor, dim[3] * factor, 3};
    const int64_t first[4] = {last[0], 3, last[1], last[2]};
    const int64_t n = last[0] * last[1] * last[2] * 3;
    float *rgb = tsr_verify_take(v, n, sizeof *rgb, "pictures");
    uint8_t *bytes = tsr_verify_take(v, n, 1, "pictures");
    const tsr_vae_trace trace = {see, v};
    if (!v->status && has_parts(v))
        tsr_verify_record(v, tsr_vae_decode(vae, latents, dim[0], dim[2], dim[3], rgb, &trace));
    if (v->status) return;
    v->status = tsr_vae_decode(vae, latents, dim[0], dim[2], dim[3], rgb, NULL);
    float *planar = tsr_verify_channels_first(v, rgb, last);
    tsr_verify_f32(v, "image", planar, 4, first);
    free(planar);
    for (int64_t i = 0; i < n && !v->status; ++i) { /* the official rounding: cut off */
        const float y = (rgb[i] + 1.0f) / 2.0f;
        bytes[i] = (uint8_t)((y < 0 ? 0 : y > 1 ? 1 : y) * 255.0f);
    }
    tsr_verify_u8(v, "image_u8", bytes, 4, last);
}

/* ---- inside FlexTok ---- */

tsr_tensor tsr_verify_latents(tsr_verify *v, tsr_flextok *m) {
    tsr_tensor latents, logvar;
    encode(v, m->vae, &latents, &logvar);
    float *x = latents.data;
    for (int64_t i = 0; i < tsr_elements(&latents) && !v->status; ++i)
        x[i] *= (float)m->config.vae.scaling_factor;
    tsr_verify_f32(v, "latent", x, 4, latents.dim);
    return v->status ? (tsr_tensor){0} : latents;
}

void tsr_verify_pictures(tsr_verify *v, tsr_flextok *m, const float *latents, const int64_t *dim) {
    if (!tsr_verify_output(v, "image") && !tsr_verify_output(v, "image_u8")) return;
    const int64_t n = dim[0] * dim[1] * dim[2] * dim[3];
    float *x = tsr_verify_take(v, n, sizeof *x, "latents");
    if (v->status) return;
    for (int64_t i = 0; i < n; ++i)
        x[i] = latents[i] / (float)m->config.vae.scaling_factor;
    decode(v, m->vae, x, dim);
}

/* ---- alone ---- */

typedef struct vae_model {
    tsr_synthetic *synthetic;
    tsr_weights *weights;
    tsr_vae *vae;
} vae_model;

static void close_vae(void *model) {
    vae_model *m = model;
    tsr_vae_close(&m->vae);
    tsr_weights_close(&m->weights);
    tsr_synthetic_close(&m->synthetic);
}

static void open_vae(tsr_verify *v, void *model) {
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    vae_model *m = model;
    tsr_vae_config config;
    v->status = tsr_vae_read_config(v->ctx, v->folder, json, &config);
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &m->weights);
    if (!v->status) v->status = tsr_vae_read_shapes(v->ctx, m->weights, "", v->folder, &config);
    if (!v->status)
        v->status = tsr_vae_open(v->device, &config, m->weights, "", v->folder, &m->vae);
}

void tsr_verify_vae_encode(tsr_verify *v) {
    const vae_model *m = tsr_verify_model(v, sizeof *m, open_vae, close_vae);
    tsr_tensor mean, logvar;
    if (v->status) return;
    encode(v, m->vae, &mean, &logvar);
    if (!tsr_verify_output(v, "sample")) return;
    const char *name = tsr_verify_text(v, v->run, "noise");
    const tsr_tensor noise = tsr_synthetic_input(v, name);
    if (tsr_elements(&noise) != tsr_elements(&mean))
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted the latents' shape, got another",
                        v->folder, name);
    if (v->status) return;
    tsr_vae_draw(tsr_elements(&mean), mean.data, logvar.data, noise.data);
    tsr_verify_f32(v, "sample", mean.data, 4, mean.dim);
}

void tsr_verify_vae_decode(tsr_verify *v) {
    const vae_model *m = tsr_verify_model(v, sizeof *m, open_vae, close_vae);
    if (v->status) return;
    const int64_t channels = tsr_vae_configuration(m->vae)->channels;
    const char *name = tsr_verify_text(v, v->run, "latent");
    const tsr_tensor latents = tsr_synthetic_input(v, name);
    if (latents.rank != 4 || latents.dim[1] != channels)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted [B, %lld, h, w], got another",
                        v->folder, name, (long long)channels);
    decode(v, m->vae, latents.data, latents.dim);
}
