/* SPDX-License-Identifier: MIT */
/* vae.c: the autoencoder of latent diffusion models as a family of its own, without a model
 * that makes tokens of its latents: a place of the latents is a token, a vector of its channels.
 * Stored are means of the posterior, or draws with supplied noise, not scaled: what the decoder
 * takes.
 *
 * While the encoder computes, the host draws the latents of the batch before and prepares the next.
 * A tile that is cut into windows is computed at once. */
#include "../../compute/arena.h"
#include "../../formats/weights/config_file.h"
#include "../../nn/conv_window.h"
#include "../../nn/family.h"
#include "tile_noise.h"
#include "../../nn/autoencoder_kl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 256 }; /* pixels of a tile, unless another size is asked for */

typedef struct alone {
    tsr_context *ctx;
    tsr_weights *weights;
    tsr_vae *vae;
    char *path;
    char name[64];          /* without what windows add */
    uint32_t width, height; /* of a tile */
} alone;

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "encoder.down_blocks.0.resnets.0.conv1.weight") >= 0 &&
           tsr_safetensors_find(file, "decoder.up_blocks.0.resnets.0.conv1.weight") >= 0;
}

/* What config.json beside the file says, and the shapes. */
static tsr_status read_config(tsr_context *ctx, tsr_weights *weights, const char *path,
                              tsr_vae_config *config) {
    cJSON *json = NULL;
    tsr_status status = tsr_config_file_read(ctx, path, &json);
    *config = (tsr_vae_config){.groups = 32};
    if (status == TSR_ERROR_NOT_FOUND) {
        tsr_log(ctx, TSR_LOG_INFO, "%s: no config.json beside it: the shapes decide", path);
        status = TSR_OK;
    } else if (!status)
        status = tsr_vae_read_config(ctx, path, json, config);
    cJSON_Delete(json);
    return status ? status : tsr_vae_read_shapes(ctx, weights, "", path, config);
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    tsr_vae_config config;
    loader->status = read_config(source->ctx, loader->weights, source->path, &config);
    if (!loader->status) tsr_vae_list(loader, &config, "");
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const alone *a = model;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const uint32_t factor = (uint32_t)tsr_vae_factor(c);
    tsr_window_plan plan;
    const tsr_status status = tsr_vae_plan(a->vae, a->height, a->width, &plan);
    if (status) return status;
    tsr_window_name(&plan, factor, a->name, h->tokenizer);
    h->channels = (uint32_t)c->channels;
    h->geometry = TSR_GEOMETRY_GRID;
    h->rows = a->height / factor;
    h->columns = a->width / factor;
    h->tile_width = a->width;
    h->tile_height = a->height;
    return TSR_OK;
}

static void close_model(void **model) {
    if (!model || !*model) return;
    alone *a = *model;
    tsr_vae_close(&a->vae);
    tsr_weights_close(&a->weights);
    free(a->path);
    free(a);
    *model = NULL;
}

/* Fills a model whose context is set. */
static tsr_status load_model(alone *a, tsr_device *device, const tsr_model_source *source) {
    tsr_context *ctx = source->ctx;
    const char *path = source->path;
    tsr_vae_config config = {0};
    if (!(a->path = strdup(path))) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    tsr_status status = tsr_file_weights(ctx, source->weights, &a->weights);
    if (!status) status = read_config(ctx, a->weights, path, &config);
    if (status) return status;
    tsr_weight_loader loader = tsr_load_all_begin(ctx, a->weights, path);
    tsr_vae_list(&loader, &config, "");
    status = tsr_load_all_end(&loader, NULL);
    if (!status) status = tsr_vae_open(device, &config, a->weights, "", path, &a->vae);
    if (status) return status;
    if (config.channels > 4096)
        return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: latents: wanted at most 4096 channels, got %lld",
                        path, (long long)config.channels);
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name)
        snprintf(a->name, sizeof a->name, "%s", name);
    else
        snprintf(a->name, sizeof a->name, "vae-f%d-c%d", tsr_vae_factor(&config),
                 (int)config.channels);
    a->width = a->height = SIDE; /* the factor is a power of two, at most 128 */
    return TSR_OK;
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    alone *a = tsr_alloc(source->ctx, 1, sizeof *a, "vae");
    if (!a) return TSR_ERROR_MEMORY;
    a->ctx = source->ctx;
    const tsr_status status = load_model(a, device, source);
    if (status)
        close_model((void **)&a);
    else
        *model = a;
    return status;
}

static tsr_status resize(void *model, tsr_tile_size size, tsr_token_header *header) {
    alone *a = model;
    const uint32_t width = size.width, height = size.height;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const uint32_t factor = (uint32_t)tsr_vae_factor(c), most = 1 << 13;
    if (width < factor || height < factor || width % factor || height % factor || width > most ||
        height > most)
        return tsr_fail(a->ctx, TSR_ERROR_ARGUMENT,
                        "%s: tile: wanted multiples of %u up to %u, got %ux%u", a->path, factor,
                        most, width, height);
    const uint32_t was[] = {a->width, a->height};
    a->width = width;
    a->height = height;
    const tsr_status status = describe(a, header);
    if (status) {
        a->width = was[0];
        a->height = was[1];
    }
    return status;
}

/* Latents of a tile are [C, h, w] to the network and [h, w, C] in a file. */
static void turn(const float *from, float *to, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
            to[j * rows + i] = from[i * columns + j];
}

static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const alone *a = model;
    return tsr_vae_cost(a->vae, !request, a->height, a->width);
}

/* Tiles that are cut into windows. */
static tsr_status encode_windows(const alone *a, const tsr_pixels *pixels,
                                 const tsr_encode_request *request, const tsr_token_batch *batch) {
    const int count = pixels->count;
    float *latents = batch->values;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const int64_t factor = tsr_vae_factor(c), places = a->height / factor * (a->width / factor);
    const int64_t n = places * c->channels;
    const bool drawn = request->noise != NULL;
    const size_t tiles = (size_t)count;
    tsr_scratch s = {.ctx = a->ctx};
    const size_t bytes = (size_t)n * sizeof(float);
    float *mean = tsr_scratch_take(&s, tiles, bytes, "vae: latents");
    float *logvar = drawn ? tsr_scratch_take(&s, tiles, bytes, "vae: log variances") : NULL;
    float *noise = drawn ? tsr_scratch_take(&s, tiles, bytes, "vae: noise") : NULL;
    tsr_status status = s.status;
    for (int i = 0; i < count && drawn && !status; ++i)
        status = tsr_tile_noise(a->ctx, request->noise, request->first_tile + (uint64_t)i,
                                c->channels, a->height / factor, a->width / factor, noise + i * n);
    if (!status)
        status =
            tsr_vae_encode_bytes(a->vae, pixels->rgb, count, a->height, a->width, mean, logvar);
    if (!status && drawn) tsr_vae_draw(count * n, mean, logvar, noise);
    for (int i = 0; i < count && !status; ++i)
        turn(mean + i * n, latents + i * n, c->channels, places);
    tsr_scratch_free(&s);
    return status;
}

/* The request's noise of the tiles as latents have it in a file, [tiles, h, w, C]. */
static tsr_status take_noise(const alone *a, const tsr_encode_request *request, int count,
                             int64_t h, int64_t w, float *noise) {
    const int64_t channels = tsr_vae_configuration(a->vae)->channels, n = h * w * channels;
    float *tile = tsr_alloc_raw(a->ctx, (size_t)n, sizeof *tile, "vae: noise");
    tsr_status status = tile ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < count && !status; ++i) {
        status = tsr_tile_noise(a->ctx, request->noise, request->first_tile + (uint64_t)i, channels,
                                h, w, tile);
        if (!status) turn(tile, noise + i * n, channels, h * w);
    }
    free(tile);
    return status;
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    const alone *a = model;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const int64_t factor = tsr_vae_factor(c), h = a->height / factor, w = a->width / factor;
    const size_t n = (size_t)(pixels->count * h * w * c->channels);
    for (int i = 0; i < pixels->count; ++i)
        flight->tokens.counts[i] = (uint32_t)(h * w);
    if (tsr_vae_cost(a->vae, false, a->height, a->width).alone)
        return encode_windows(a, pixels, request, &flight->tokens);
    if (!request->noise) /* the means go where they are wanted */
        return tsr_vae_encode_begin(a->vae, pixels->rgb, pixels->count, a->height, a->width, true,
                                    flight->tokens.values, &flight->program);
    /* Means and log variances, then the noise. */
    flight->rows =
        tsr_scratch_take_raw(&flight->scratch, n, 3 * sizeof *flight->rows, "vae: latents");
    if (!flight->rows) return flight->scratch.status;
    const tsr_status status = take_noise(a, request, pixels->count, h, w, flight->rows + 2 * n);
    return status ? status
                  : tsr_vae_encode_begin(a->vae, pixels->rgb, pixels->count, a->height, a->width,
                                         false, flight->rows, &flight->program);
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const alone *a = model;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const size_t channels = (size_t)c->channels;
    const tsr_token_batch *t = &flight->tokens;
    const size_t places = (size_t)t->count * t->counts[0], n = places * channels;
    const tsr_status status = tsr_execute_end(tsr_vae_device(a->vae), &flight->program);
    for (size_t i = 0; i < places && flight->rows && !status; ++i) {
        float *mean = flight->rows + 2 * i * channels, *logvar = mean + channels;
        for (size_t k = 0; k < channels; ++k)
            logvar[k] = fminf(fmaxf(logvar[k], TSR_VAE_LOGVAR_LEAST), TSR_VAE_LOGVAR_MOST);
        tsr_vae_draw(c->channels, mean, logvar, flight->rows + 2 * n + i * channels);
        memcpy((float *)t->values + i * channels, mean, channels * sizeof *mean);
    }
    return status;
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const alone *a = model;
    const int count = batch->count;
    const float *latents = batch->values;
    const tsr_vae_config *c = tsr_vae_configuration(a->vae);
    const int64_t factor = tsr_vae_factor(c), h = a->height / factor, w = a->width / factor;
    const int64_t values = (int64_t)a->height * a->width * 3, n = h * w * c->channels;
    for (int i = 0; i < count; ++i)
        if (batch->counts[i] != h * w)
            return tsr_fail(a->ctx, TSR_ERROR_TOKENS, "%s: vectors of a tile: wanted %lld, got %u",
                            a->path, (long long)(h * w), batch->counts[i]);
    float *x = tsr_alloc(a->ctx, (size_t)count * (size_t)n, sizeof *x, "vae: latents");
    if (!x) return TSR_ERROR_MEMORY;
    for (int i = 0; i < count; ++i)
        turn(latents + i * n, x + i * n, h * w, c->channels);
    const tsr_status status = tsr_vae_decode(a->vae, x, count, h, w, rgb, NULL);
    for (int64_t v = 0; v < count * values && !status; ++v)
        rgb[v] = rgb[v] * 0.5f + 0.5f;
    free(x);
    return status;
}

const tsr_family tsr_family_vae = {
    .name = "vae",
    .about =
        "an autoencoder alone: continuous latents of 4 to 16 channels for each 8x8 pixels, tiles "
        "of any size",
    .needs = "the folder of a FlexTok VAE, c4, c8 or c16: diffusion_pytorch_model.safetensors and "
             "config.json (diffusers' AutoencoderKL)",
    .verified = "golden cases of diffusers' class with synthetic weights: c4, c8, c16",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer = &(const tsr_tokenizer_ops){.abilities = TSR_TOKENIZER_DRAWS,
                                            .describe = describe,
                                            .resize = resize,
                                            .cost = cost,
                                            .encode_begin = encode_begin,
                                            .encode_end = encode_end,
                                            .decode = decode},
};
