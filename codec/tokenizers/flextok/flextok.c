/* SPDX-License-Identifier: MIT */
/* flextok.c: FlexTok as a family of tokenizers: files of the published form in, tiles to ids, ids
 * to tiles. The model itself is in flextok_encoder.c and flextok_decoder.c.
 *
 *   tile ─► VAE's mean, or a draw ─► encoder ─► FSQ ─► ids
 *   ids, noise ─► rectified flow, guided ─► latents ─► VAE ─► tile */
#include "../../../nn/family.h"
#include "flextok_decoder.h"
#include "flextok_encoder.h"
#include "../../../quantizer/quantizer.h"
#include "../../../quantizer/rng.h"
#include "../../../nn/conv_window.h"
#include "../tile_noise.h"
#include "../../../nn/batching.h"
#include "../../../compute/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Devices may differ where a bounded value is this close to a rounding boundary. */
static const float tie_margin = 1e-3f;

/* ---- files ---- */

static bool takes(const tsr_safetensors *file) {
    const char *target = tsr_safetensors_metadata(file, "_target_");
    if (target && strstr(target, "FlexTok")) return true;
    static const char prefix[] = "encoder.module_dict.";
    for (int i = 0; i < tsr_safetensors_count(file); ++i)
        if (!strncmp(tsr_safetensors_name(file, i), prefix, sizeof prefix - 1)) return true;
    return false;
}

static tsr_status read_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                              tsr_flextok_config *config) {
    cJSON *json = NULL;
    tsr_status status = tsr_flextok_find_config(ctx, file, path, &json);
    if (!status) status = tsr_flextok_read_config(ctx, path, json, config);
    cJSON_Delete(json);
    return status;
}

static tsr_status want(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                       const tsr_wanted *wanted) {
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    tsr_status status = read_config(ctx, file, path, &config);
    if (!status) status = tsr_file_weights(ctx, file, &weights);
    if (!status) status = tsr_flextok_want_all(ctx, &config, weights, path, wanted);
    tsr_weights_close(&weights);
    return status;
}

static tsr_status fill_header(const tsr_flextok *m, const tsr_safetensors *file,
                              tsr_token_header *h) {
    const tsr_flextok_config *c = &m->config;
    const char *name = tsr_safetensors_metadata(file, "tessera.name");
    const int64_t unit = c->patch * tsr_vae_factor(&c->vae);
    if (name)
        snprintf(h->tokenizer, sizeof h->tokenizer, "%s", name);
    else
        snprintf(h->tokenizer, sizeof h->tokenizer, "flextok-d%d-d%d", c->encoder.trunk.depth,
                 c->decoder.trunk.depth);
    h->codebook_size = (uint32_t)c->codebook;
    h->level_count = (uint32_t)c->level_count;
    for (int i = 0; i < c->level_count; ++i)
        h->levels[i] = (uint32_t)c->levels[i];
    h->geometry = TSR_GEOMETRY_SEQUENCE;
    h->rows = 1;
    h->columns = (uint32_t)c->registers;
    h->nested = 1;
    h->tile_height = (uint32_t)(c->encoder.positions.max[0] * unit);
    h->tile_width = (uint32_t)(c->encoder.positions.max[1] * unit);
    h->fit = TSR_FIT_CROP; /* as the authors do: short side to the tile's, bilinear, centre */
    h->filter = 0;
    /* What the authors recommend: 25 steps, and more guidance for the smallest model. */
    h->hints = (tsr_decode_hints){
        .present = 1, .steps = 25, .guidance = c->decoder.trunk.depth <= 12 ? 15.0f : 7.5f};
    tsr_window_plan plan; /* of the autoencoder, where memory asks for windows */
    const tsr_status status = tsr_vae_plan(m->vae, h->tile_height, h->tile_width, &plan);
    if (!status) tsr_window_name(&plan, tsr_vae_factor(&c->vae), h->tokenizer, h->tokenizer);
    return status;
}

/* Tiles are as large as the encoder's positions allow; the decoder must have them too. */
static tsr_status check_tile(const tsr_flextok *m) {
    const tsr_flextok_config *c = &m->config;
    const int64_t unit = c->patch * tsr_vae_factor(&c->vae);
    for (int i = 0; i < 2; ++i)
        if (c->encoder.positions.max[i] > c->decoder.positions.max[i] ||
            c->encoder.positions.max[i] * unit > 65536)
            return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                            "%s: configuration: decoder.%s.max_sizes: wanted at least the "
                            "encoder's %lld and at most 65536 pixels, got %lld",
                            m->path, c->decoder.positions.module,
                            (long long)c->encoder.positions.max[i],
                            (long long)c->decoder.positions.max[i]);
    return TSR_OK;
}

static void close_model(void **model) {
    if (!model || !*model) return;
    tsr_flextok *m = *model;
    tsr_flextok_close(&m);
    *model = NULL;
}

static tsr_status open_model(tsr_device *device, const tsr_safetensors *file, const char *path,
                             void **model, tsr_token_header *header) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    tsr_flextok *m = NULL;
    tsr_status status = read_config(ctx, file, path, &config);
    if (!status) status = tsr_file_weights(ctx, file, &weights);
    if (!status) status = tsr_flextok_open(device, &config, weights, path, &m);
    if (!status) status = check_tile(m);
    if (!status) status = fill_header(m, file, header);
    if (status) {
        tsr_flextok_close(&m);
        return status;
    }
    if (m->config.vae.sample_posterior)
        tsr_log(
            ctx, TSR_LOG_INFO,
            "%s: the official code draws latents at random; their mean is used here, unless noise "
            "is supplied",
            path);
    *model = m;
    return TSR_OK;
}

/* ---- tiles to ids ---- */

static tsr_status quantize(tsr_flextok *m, const float *z, int64_t rows, int32_t *ids,
                           uint64_t *near_ties) {
    const tsr_flextok_config *c = &m->config;
    const int levels = c->level_count;
    float *bounded = tsr_alloc(m->ctx, (size_t)(rows * levels), sizeof *bounded, "flextok: FSQ");
    if (!bounded) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_fsq_quantize(m->device, z, rows, c->levels, levels, bounded, NULL, ids);
    for (int64_t i = 0; i < rows && !status; ++i)
        *near_ties += tsr_levels_margin(levels, bounded + i * levels) < tie_margin;
    free(bounded);
    return status;
}

static tsr_status encode(void *model, const uint8_t *tiles, int count, uint32_t tokens,
                         const tsr_selection *selection, uint32_t *ids, uint32_t *counts,
                         uint64_t *near_ties) {
    tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t factor = tsr_vae_factor(&c->vae), unit = c->patch * factor;
    const int64_t height = c->encoder.positions.max[0] * unit;
    const int64_t width = c->encoder.positions.max[1] * unit;
    const int64_t values = height * width * 3, h = height / factor, w = width / factor;
    const int64_t latents = c->channels * h * w, k = tokens ? (int64_t)tokens : c->registers;
    if (selection->quality > 0)
        return tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: quality: wanted a number of tokens, got %g (its decoder draws "
                        "pictures; their error says little)",
                        m->path, (double)selection->quality);
    const int64_t rows = c->encoder.positions.max[0] * c->encoder.positions.max[1] + k;
    const int most = (int)tsr_together_rows(m->device, rows, c->encoder.trunk.dim, count);
    float *rgb = tsr_alloc(m->ctx, (size_t)(most * values), sizeof *rgb, "flextok: tiles");
    float *x = tsr_alloc(m->ctx, (size_t)(most * latents), sizeof *x, "flextok: latents");
    float *z = tsr_alloc(m->ctx, (size_t)(most * k * c->level_count), sizeof *z, "flextok: z");
    float *logvar = NULL, *noise = NULL;
    int32_t *made = tsr_alloc(m->ctx, (size_t)(most * k), sizeof *made, "flextok: ids");
    tsr_status status = rgb && x && z && made ? TSR_OK : TSR_ERROR_MEMORY;
    if (selection->noise && !status) {
        logvar = tsr_alloc(m->ctx, (size_t)(most * latents), sizeof *logvar, "flextok: logvar");
        noise = tsr_alloc(m->ctx, (size_t)(most * latents), sizeof *noise, "flextok: noise");
        if (!logvar || !noise) status = TSR_ERROR_MEMORY;
    }
    for (int first = 0; first < count && !status; first += most) {
        const int n = count - first < most ? count - first : most;
        for (int64_t i = 0; i < n * values; ++i)
            rgb[i] = ((float)tiles[first * values + i] / 255.0f - 0.5f) / 0.5f;
        for (int i = 0; i < n && noise && !status; ++i)
            status = tsr_tile_noise(m->ctx, selection->noise,
                                    selection->first_tile + (uint64_t)(first + i), c->channels, h,
                                    w, noise + i * latents);
        if (!status) status = tsr_vae_encode(m->vae, rgb, n, height, width, x, logvar, NULL);
        if (!status && noise) tsr_vae_draw(n * latents, x, logvar, noise);
        for (int64_t i = 0; i < n * latents && !status; ++i)
            x[i] *= (float)c->vae.scaling_factor;
        if (!status) status = tsr_flextok_encode(m, x, n, h, w, k, z, NULL);
        if (!status) status = quantize(m, z, n * k, made, near_ties);
        for (int i = 0; i < n && !status; ++i) {
            counts[first + i] = (uint32_t)k;
            for (int64_t t = 0; t < k; ++t)
                ids[(first + i) * c->registers + t] = (uint32_t)made[i * k + t];
        }
    }
    free(rgb);
    free(x);
    free(z);
    free(logvar);
    free(noise);
    free(made);
    return status;
}

/* ---- ids to tiles ---- */

/* Noise of tile `tile` of an item: from the tensor, or from the seed, with the tile as stream. */
static tsr_status make_noise(tsr_flextok *m, const tsr_sampling *s, uint64_t tile, int64_t h,
                             int64_t w, float *x) {
    if (!s->noise) {
        tsr_random_normals(s->hints.seed, tile, m->config.channels * h * w, x);
        return TSR_OK;
    }
    return tsr_tile_noise(m->ctx, s->noise, tile, m->config.channels, h, w, x);
}

static tsr_status decode(void *model, const uint32_t *ids, const uint32_t *counts, int count,
                         const tsr_sampling *s, float *rgb) {
    tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t factor = tsr_vae_factor(&c->vae);
    const int64_t h = c->encoder.positions.max[0] * c->patch;
    const int64_t w = c->encoder.positions.max[1] * c->patch;
    const int64_t latents = c->channels * h * w, values = h * w * factor * factor * 3;
    const int64_t rows = c->encoder.positions.max[0] * c->encoder.positions.max[1] + c->registers;
    const int most = (int)tsr_together_rows(m->device, rows, c->decoder.trunk.dim, count);
    float *x = tsr_alloc(m->ctx, (size_t)(most * latents), sizeof *x, "flextok: latents");
    tsr_status status = x ? TSR_OK : TSR_ERROR_MEMORY;
    tsr_flextok_decode_settings settings = {.flow = {.steps = (int)s->hints.steps,
                                                     .guidance = s->hints.guidance,
                                                     .normalized = !s->hints.plain,
                                                     .progress = s->progress,
                                                     .progress_user = s->progress_user,
                                                     .progress_done = s->progress_done,
                                                     .progress_total = s->progress_total}};
    for (int first = 0; first < count && !status; first += most) {
        const int n = count - first < most ? count - first : most;
        for (int i = 0; i < n && !status; ++i)
            status = make_noise(m, s, s->first_tile + (uint64_t)(first + i), h, w, x + i * latents);
        if (!status)
            status = tsr_flextok_decode(m, ids + first * c->registers, counts + first, n, h, w,
                                        &settings, x);
        settings.flow.progress_done += s->hints.steps * (uint64_t)n;
        for (int64_t i = 0; i < n * latents && !status; ++i)
            x[i] /= (float)c->vae.scaling_factor;
        float *out = rgb + first * values;
        if (!status) status = tsr_vae_decode(m->vae, x, n, h, w, out, NULL);
        /* The authors cut off where others round: half a level less before rounding is the same. */
        for (int64_t i = 0; i < n * values && !status; ++i)
            out[i] = (out[i] + 1.0f) / 2.0f - 0.5f / 255.0f;
    }
    free(x);
    return status;
}

const tsr_family tsr_family_flextok = {
    .name = "flextok",
    .about = "1 to 256 ordered ids for a 256x256 tile; VAE, transformer, FSQ, rectified-flow "
             "decoder",
    .needs = "a published checkpoint (model.safetensors, or a folder with config.json); none is "
             "bundled: their licence allows research only",
    .verified =
        "the official classes with synthetic weights: every size's ids, latents and pictures",
    .takes = takes,
    .want = want,
    .open = open_model,
    .close = close_model,
    .encode = encode,
    .draws = true,
    .decode = decode,
};
