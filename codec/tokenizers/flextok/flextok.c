/* SPDX-License-Identifier: MIT */
/* flextok.c: FlexTok as a family of tokenizers: files of the published form in, tiles to ids, ids
 * to tiles. The model itself is in flextok_encoder.c and flextok_decoder.c.
 *
 *   tile ─► VAE's mean, or a draw ─► encoder ─► FSQ ─► ids
 *   ids, noise ─► rectified flow, guided ─► latents ─► VAE ─► tile
 *
 * Tile to ids is one program. While it computes, the host takes the ids of the batch before and
 * prepares the next. With supplied noise, or where memory asks for windows, the latents are made at
 * once, and the rest is on its way. */
#include "../../../compute/arena.h"
#include "../../../nn/family.h"
#include "flextok_decoder.h"
#include "flextok_encoder.h"
#include "../../../quantizer/quantizer.h"
#include "../../../quantizer/rng.h"
#include "../../../nn/conv_window.h"
#include "../tile_noise.h"
#include "../../../compute/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Devices may differ where a bounded value is this close to a rounding boundary. In published
 * sizes float32 arithmetic was seen to move z by 7.5e-6 (docs/models/flextok.md), and bounding to 8
 * levels multiplies that by at most 3.5: the margin is some 40 times as wide. */
static const float tie_margin = 1e-3f;

/* ---- files ---- */

static bool recognise(const tsr_safetensors *file) {
    const char *target = tsr_safetensors_metadata(file, "_target_");
    if (target && strstr(target, "FlexTok")) return true;
    static const char prefix[] = "encoder.module_dict.";
    for (int i = 0; i < tsr_safetensors_count(file); ++i)
        if (!strncmp(tsr_safetensors_name(file, i), prefix, sizeof prefix - 1)) return true;
    return false;
}

static tsr_status read_config(const tsr_model_source *source, tsr_flextok_config *config) {
    cJSON *json = NULL;
    tsr_status status = tsr_flextok_find_config(source->ctx, source->weights, source->path, &json);
    if (!status) status = tsr_flextok_read_config(source->ctx, source->path, json, config);
    cJSON_Delete(json);
    return status;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    tsr_flextok_config config;
    loader->status = read_config(source, &config);
    if (!loader->status) tsr_flextok_list(loader, &config);
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

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_flextok_config config;
    tsr_weights *weights = NULL;
    tsr_flextok *m = NULL;
    tsr_status status = read_config(source, &config);
    if (!status) status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_flextok_open(device, &config, weights, source->path, &m);
    if (!status) status = check_tile(m);
    if (!status) status = tsr_flextok_encoder_prepare(m);
    if (status) {
        tsr_flextok_close(&m);
        return status;
    }
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name)
        snprintf(m->name, sizeof m->name, "%s", name);
    else
        snprintf(m->name, sizeof m->name, "flextok-d%d-d%d", m->config.encoder.trunk.depth,
                 m->config.decoder.trunk.depth);
    if (m->config.vae.sample_posterior)
        tsr_log(
            source->ctx, TSR_LOG_INFO,
            "%s: the official code draws latents at random; their mean is used here, unless noise "
            "is supplied",
            source->path);
    *model = m;
    return TSR_OK;
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t unit = c->patch * tsr_vae_factor(&c->vae);
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
    h->filter = TSR_FILTER_BILINEAR;
    /* What the authors recommend: 25 steps, and more guidance for the smallest model. */
    h->hints = (tsr_decode_hints){
        .present = 1, .steps = 25, .guidance = c->decoder.trunk.depth <= 12 ? 15.0f : 7.5f};
    tsr_window_plan plan; /* of the autoencoder, where memory asks for windows */
    const tsr_status status = tsr_vae_plan(m->vae, h->tile_height, h->tile_width, &plan);
    if (!status) tsr_window_name(&plan, tsr_vae_factor(&c->vae), m->name, h->tokenizer);
    return status;
}

/* Of the transformer: the autoencoder cuts its own batches, which are smaller. */
static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t patches = c->encoder.positions.max[0] * c->encoder.positions.max[1];
    if (!request) return tsr_tile_cost_rows(patches + c->registers, c->decoder.trunk.dim);
    const int64_t k = request->tokens ? (int64_t)request->tokens : c->registers;
    return tsr_tile_cost_rows(patches + k, c->encoder.trunk.dim);
}

/* ---- tiles to ids ---- */

/* Latents of the tiles, scaled: means, or draws with the request's noise. */
static tsr_status encode_latents(const tsr_flextok *m, const tsr_pixels *pixels,
                                 const tsr_encode_request *request, int64_t height, int64_t width,
                                 float *x) {
    const tsr_flextok_config *c = &m->config;
    const int64_t factor = tsr_vae_factor(&c->vae), h = height / factor, w = width / factor;
    const int64_t each = c->channels * h * w, count = pixels->count, n = count * each;
    const bool drawn = request->noise != NULL;
    tsr_scratch s = {.ctx = m->ctx};
    float *logvar = NULL, *noise = NULL;
    if (drawn) {
        logvar = tsr_scratch_take(&s, (size_t)n, sizeof *logvar, "flextok: log variances");
        noise = tsr_scratch_take(&s, (size_t)n, sizeof *noise, "flextok: noise");
    }
    tsr_status status = s.status;
    for (int64_t i = 0; i < count && drawn && !status; ++i)
        status = tsr_tile_noise(m->ctx, request->noise, request->first_tile + (uint64_t)i,
                                c->channels, h, w, noise + i * each);
    if (!status)
        status = tsr_vae_encode_bytes(m->vae, pixels->rgb, count, height, width, x, logvar);
    if (!status && drawn) tsr_vae_draw(n, x, logvar, noise);
    for (int64_t i = 0; i < n && !status; ++i)
        x[i] *= (float)c->vae.scaling_factor;
    tsr_scratch_free(&s);
    return status;
}

/* The arrays of a flight, one behind the other in its rows. */
static tsr_flextok_codes arrays_of(const tsr_flextok *m, float *rows, size_t n) {
    const size_t values = n * (size_t)m->config.level_count;
    return (tsr_flextok_codes){
        .z = rows, .bounded = rows + values, .ids = (int32_t *)(rows + 2 * values)};
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    const tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t factor = tsr_vae_factor(&c->vae), count = pixels->count;
    const int64_t h = c->encoder.positions.max[0] * c->patch;
    const int64_t w = c->encoder.positions.max[1] * c->patch;
    const int64_t k = request->tokens ? (int64_t)request->tokens : c->registers;
    const size_t n = (size_t)(count * k), each = 2 * (size_t)c->level_count + 1;
    const bool windows = tsr_vae_cost(m->vae, false, h * factor, w * factor).alone;
    float *latents = NULL;
    tsr_scratch s = {.ctx = m->ctx};
    if (windows || request->noise)
        latents = tsr_scratch_take(&s, (size_t)(count * c->channels),
                                   (size_t)(h * w) * sizeof(float), "flextok: latents");
    flight->rows =
        tsr_scratch_take_raw(&flight->scratch, n, each * sizeof *flight->rows, "flextok: ids");
    tsr_status status = s.status ? s.status : flight->scratch.status;
    if (!status && latents)
        status = encode_latents(m, pixels, request, h * factor, w * factor, latents);
    if (!status) {
        const tsr_flextok_codes codes = arrays_of(m, flight->rows, n);
        for (int i = 0; i < count; ++i)
            flight->tokens.counts[i] = (uint32_t)k;
        status =
            tsr_flextok_encode_begin(m, pixels->rgb, latents, count, k, &codes, &flight->program);
    }
    tsr_scratch_free(&s);
    return status;
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const tsr_flextok *m = model;
    tsr_token_batch *t = &flight->tokens;
    const int levels = m->config.level_count;
    const size_t k = t->counts[0], n = (size_t)t->count * k;
    const tsr_flextok_codes codes = arrays_of(m, flight->rows, n);
    const tsr_status status = tsr_execute_end(m->device, &flight->program);
    if (status) return status;
    for (size_t i = 0; i < n * (size_t)levels; ++i)
        if (!isfinite(codes.z[i])) return tsr_not_finite(m->ctx, "latents", codes.z[i]);
    for (size_t i = 0; i < n; ++i)
        t->near_ties += tsr_levels_margin(levels, codes.bounded + i * (size_t)levels) < tie_margin;
    for (int i = 0; i < t->count; ++i)
        memcpy(tsr_token_batch_tile(t, i), codes.ids + (size_t)i * k, k * sizeof *codes.ids);
    return TSR_OK;
}

/* ---- ids to tiles ---- */

/* Noise of tile `tile` of an item: from the tensor, or from the seed, with the tile as stream. */
static tsr_status make_noise(const tsr_flextok *m, const tsr_sampling *s, uint64_t tile, int64_t h,
                             int64_t w, float *x) {
    if (!s->noise) {
        tsr_random_normals(s->hints.seed, tile, m->config.channels * h * w, x);
        return TSR_OK;
    }
    return tsr_tile_noise(m->ctx, s->noise, tile, m->config.channels, h, w, x);
}

static tsr_status decode(const void *model, const tsr_token_batch *batch, const tsr_sampling *s,
                         float *rgb) {
    const tsr_flextok *m = model;
    const tsr_flextok_config *c = &m->config;
    const int64_t factor = tsr_vae_factor(&c->vae), count = batch->count;
    const int64_t h = c->encoder.positions.max[0] * c->patch;
    const int64_t w = c->encoder.positions.max[1] * c->patch;
    const int64_t each = c->channels * h * w, values = count * h * w * factor * factor * 3;
    const tsr_flextok_decode_settings settings = {.flow = {.steps = (int)s->hints.steps,
                                                           .guidance = s->hints.guidance,
                                                           .normalized = !s->hints.plain,
                                                           .progress = s->progress,
                                                           .progress_user = s->progress_user,
                                                           .progress_done = s->progress_done,
                                                           .progress_total = s->progress_total}};
    float *x = tsr_alloc(m->ctx, (size_t)(count * each), sizeof *x, "flextok: latents");
    if (!x) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    for (int64_t i = 0; i < count && !status; ++i)
        status = make_noise(m, s, s->first_tile + (uint64_t)i, h, w, x + i * each);
    if (!status)
        status = tsr_flextok_decode(m, batch->values, batch->counts, count, h, w, &settings, x);
    for (int64_t i = 0; i < count * each && !status; ++i)
        x[i] /= (float)c->vae.scaling_factor;
    if (!status) status = tsr_vae_decode(m->vae, x, count, h, w, rgb, NULL);
    /* The authors cut off where others round: half a level less before rounding is the same. */
    for (int64_t i = 0; i < values && !status; ++i)
        rgb[i] = (rgb[i] + 1.0f) / 2.0f - 0.5f / 255.0f;
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
    .switches = tsr_flextok_switches,
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer =
        &(const tsr_tokenizer_ops){
            .abilities = TSR_TOKENIZER_DRAWS | TSR_TOKENIZER_SAMPLES,
            .decodes_on_host = "condition sample",
            .no_quality = "its decoder draws pictures; their error says little",
            .describe = describe,
            .cost = cost,
            .encode_begin = encode_begin,
            .encode_end = encode_end,
            .decode = decode,
        },
};
