/* SPDX-License-Identifier: MIT */
/* karl.c: KARL as a family of tokenizers. It says itself which of its tokens a tile needs for the
 * tolerated error: a tile's ids are those of the kept positions, and the mask goes with them. */
#include "karl.h"
#include "../../nn/batching.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET = 256 }; /* what it was trained with */
static const tsr_tolerances tolerances = {
    .value = tsr_karl_bins, .count = TSR_KARL_BINS, .usual = 0.05f};
/* Devices may decide otherwise where a halting logit is this close to the threshold: some 15 times
 * what float32 arithmetic was seen to move it by. */
static const float halt_near = 2e-3f;

static bool takes(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "rec_loss_embeddings") >= 0 ||
           tsr_safetensors_find(file, "ema.rec_loss_embeddings") >= 0;
}

static tsr_status read_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                              cJSON **config) {
    const char *text = tsr_safetensors_metadata(file, "tessera.config");
    *config = text ? cJSON_Parse(text) : NULL;
    if (!text || *config) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: __metadata__ tessera.config: wanted JSON, got %.40s",
                    path, text);
}

static tsr_status want(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                       const tsr_wanted *wanted) {
    cJSON *config = NULL;
    tsr_weights *weights = NULL;
    tsr_status status = read_config(ctx, file, path, &config);
    if (!status) status = tsr_file_weights(ctx, file, &weights);
    if (!status) status = tsr_karl_want(ctx, config, weights, path, wanted);
    tsr_weights_close(&weights);
    cJSON_Delete(config);
    return status;
}

static tsr_status open_model(tsr_device *device, const tsr_safetensors *file, const char *path,
                             void **model, tsr_token_header *h) {
    tsr_context *ctx = tsr_device_context(device);
    const char *name = tsr_safetensors_metadata(file, "tessera.name");
    cJSON *config = NULL;
    tsr_weights *weights = NULL;
    tsr_karl *m = NULL;
    tsr_status status = read_config(ctx, file, path, &config);
    if (!status) status = tsr_file_weights(ctx, file, &weights);
    if (!status) status = tsr_karl_open(device, config, weights, path, &m);
    cJSON_Delete(config);
    if (status) {
        tsr_karl_close(&m);
        return status;
    }
    if (name)
        snprintf(h->tokenizer, sizeof h->tokenizer, "%s", name);
    else
        snprintf(h->tokenizer, sizeof h->tokenizer, "karl-%d-%s%s", (int)m->encoder.width,
                 m->vae ? "vae" : "vqgan", m->continuous ? "-continuous" : "");
    if (m->continuous)
        h->channels = (uint32_t)m->size;
    else
        h->codebook_size = (uint32_t)m->codes.codes->tensor.dim[0];
    h->geometry = TSR_GEOMETRY_SEQUENCE;
    h->rows = 1;
    h->columns = (uint32_t)m->latents;
    h->tile_width = h->tile_height = TSR_KARL_SIDE;
    h->fit = TSR_FIT_CROP; /* as the authors do: short side to 256, bicubic, centre */
    h->filter = 1;
    if (m->vae)
        tsr_log(ctx, TSR_LOG_INFO,
                "%s: the official code draws latents at random; their mean is used here", path);
    *model = m;
    return TSR_OK;
}

static void close_model(void **model) {
    if (!model || !*model) return;
    tsr_karl *m = *model;
    tsr_karl_close(&m);
    *model = NULL;
}

/* Ids or vectors of the kept tokens, one after the other: bytes of each. */
static size_t value_bytes(const tsr_karl *m) {
    return (m->continuous ? (size_t)m->size : 1) * sizeof(uint32_t);
}

/* A tile's tokens out of what the model said of all of them. judged: where the tile's part of a
 * judgement begins, or NULL. */
static void keep(const tsr_karl *m, const tsr_karl_result *said, int64_t tile, int64_t budget,
                 bool all, void *values, uint32_t *count, uint8_t *kept,
                 const tsr_judgement *judged, uint64_t *near_ties) {
    const int64_t first = tile * budget;
    *count = 0;
    memset(kept, 0, (size_t)(m->latents + 7) / 8);
    for (int64_t i = 0; i < budget; ++i) {
        const float halt = said->halt[first + i];
        *near_ties += !all && !(fabsf(halt - tsr_karl_halt_above) >= halt_near);
        if (judged) judged->halting[i] = 1 / (1 + expf(-halt));
        if (!all && halt > tsr_karl_halt_above) continue;
        kept[i / 8] |= (uint8_t)(1 << i % 8);
        if (judged) judged->margin[*count] = said->margin[first + i];
        const void *from = m->continuous ? (const void *)(said->factors + (first + i) * m->size)
                                         : said->ids + first + i;
        memcpy((char *)values + (*count)++ * value_bytes(m), from, value_bytes(m));
    }
}

static tsr_status choose_any(const tsr_karl *m, const uint8_t *tiles, int count,
                             const tsr_selection *selection, void *values, uint32_t *counts,
                             uint8_t *kept, uint64_t *near_ties) {
    const float quality = selection->quality > 0 ? selection->quality : tolerances.usual;
    const int bin = tsr_karl_bin(quality);
    int64_t budget = selection->budget ? (int64_t)selection->budget : BUDGET;
    if (budget > m->latents && !selection->budget) budget = m->latents;
    if (budget > m->latents)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: budget: wanted 1 to %lld, got %lld",
                        m->path, (long long)m->latents, (long long)budget);
    tsr_log(m->ctx, TSR_LOG_INFO, "%s: tolerated error %g: the row for %g, budget %lld%s", m->path,
            (double)quality, (double)tsr_karl_bins[bin], (long long)budget,
            budget > BUDGET ? ", more than it was trained with" : "");
    const int64_t most = tsr_karl_together(m, false, budget, count), rows = most * budget;
    float *features = tsr_alloc(m->ctx, (size_t)(most * TSR_KARL_PLACES * 2 * m->base),
                                sizeof *features, "karl: features");
    float *said = tsr_alloc(m->ctx, (size_t)(rows * (2 + m->size)), sizeof *said, "karl: rows");
    int32_t *made = tsr_alloc(m->ctx, (size_t)rows, sizeof *made, "karl: ids");
    tsr_status status = features && said && made ? TSR_OK : TSR_ERROR_MEMORY;
    tsr_judgement *whole = selection->judgement, part;
    if (whole) whole->positions = (uint32_t)budget;
    const tsr_karl_result result = {.halt = said,
                                    .margin = said + rows,
                                    .factors = said + 2 * rows,
                                    .ids = made,
                                    .near_ties = near_ties};
    for (int64_t first = 0; first < count && !status; first += most) {
        const int64_t n = count - first < most ? count - first : most;
        const uint8_t *rgb = tiles + first * TSR_KARL_SIDE * TSR_KARL_SIDE * 3;
        status = tsr_karl_features(m, rgb, n, features);
        if (status) break;
        tsr_karl_draw(m, n, features, NULL);
        status = tsr_karl_encode(m, rgb, features, n, bin, budget, &result);
        for (int64_t i = first; i < first + n && !status; ++i) {
            if (whole)
                part = (tsr_judgement){.halting = whole->halting + i * m->latents,
                                       .margin = whole->margin + i * m->latents};
            keep(m, &result, i - first, budget, selection->keep_all,
                 (char *)values + (size_t)(i * m->latents) * value_bytes(m), &counts[i],
                 kept + i * ((m->latents + 7) / 8), whole ? &part : NULL, near_ties);
        }
    }
    free(features);
    free(said);
    free(made);
    return status;
}

static tsr_status choose(void *model, const uint8_t *tiles, int count,
                         const tsr_selection *selection, uint32_t *ids, uint32_t *counts,
                         uint8_t *kept, uint64_t *near_ties) {
    return choose_any(model, tiles, count, selection, ids, counts, kept, near_ties);
}

static tsr_status encode_latents(void *model, const uint8_t *tiles, int count,
                                 const tsr_selection *selection, float *latents, uint32_t *counts,
                                 uint8_t *kept, uint64_t *near_ties) {
    return choose_any(model, tiles, count, selection, latents, counts, kept, near_ties);
}

/* The positions of a tile's `count` tokens: what the mask keeps, or the first ones. TOKENS unless
 * they are as many. */
static tsr_status find_positions(const tsr_karl *m, const uint8_t *mask, uint32_t count,
                                 int32_t *positions) {
    int64_t n = 0;
    for (int64_t p = 0; p < m->latents; ++p)
        if (mask ? mask[p / 8] >> p % 8 & 1 : p < count) {
            if (n < count) positions[n] = (int32_t)p;
            ++n;
        }
    if (n == count) return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_TOKENS,
                    "%s: kept mask of a tile: wanted %u bits as it has tokens, got %lld", m->path,
                    count, (long long)n);
}

/* One of ids and latents is NULL. Neighbours with as many tokens go together. */
static tsr_status decode_any(const tsr_karl *m, const uint32_t *ids, const float *latents,
                             const uint32_t *counts, int count, const tsr_sampling *sampling,
                             float *rgb) {
    const int64_t mask_bytes = (m->latents + 7) / 8,
                  most = tsr_karl_together(m, true, BUDGET, count);
    const size_t bytes = value_bytes(m);
    const char *from = ids ? (const char *)ids : (const char *)latents;
    int32_t *positions =
        tsr_alloc(m->ctx, (size_t)(most * m->latents), sizeof *positions, "karl: places");
    char *packed = tsr_alloc(m->ctx, (size_t)(most * m->latents), bytes, "karl: tokens");
    tsr_status status = positions && packed ? TSR_OK : TSR_ERROR_MEMORY;
    for (int64_t i = 0, n; i < count && !status; i += n) {
        const uint32_t each = counts[i];
        n = tsr_together_alike(counts + i, count - i, most);
        for (int64_t k = 0; k < n && !status; ++k)
            status =
                find_positions(m, sampling->kept ? sampling->kept + (i + k) * mask_bytes : NULL,
                               each, positions + k * each);
        if (status) break;
        tsr_together_pack(from + (size_t)(i * m->latents) * bytes, n, each, m->latents, bytes,
                          packed);
        status = tsr_karl_decode(m, ids ? (const int32_t *)(const void *)packed : NULL,
                                 ids ? NULL : (const float *)(const void *)packed, positions, n,
                                 each, rgb + i * TSR_KARL_SIDE * TSR_KARL_SIDE * 3, NULL);
    }
    free(positions);
    free(packed);
    return status;
}

static tsr_status decode(void *model, const uint32_t *ids, const uint32_t *counts, int count,
                         const tsr_sampling *sampling, float *rgb) {
    return decode_any(model, ids, NULL, counts, count, sampling, rgb);
}

static tsr_status decode_latents(void *model, const float *latents, const uint32_t *counts,
                                 int count, const tsr_sampling *sampling, float *rgb) {
    return decode_any(model, NULL, latents, counts, count, sampling, rgb);
}

const tsr_family tsr_family_karl = {
    .name = "karl",
    .about = "as many of 256 ids as a 256x256 tile needs for the tolerated error, in one pass",
    .needs =
        "a karl_small_*_latents.pth, quantized or continuous, as .safetensors (the tensors under "
        "\"ema\")",
    .verified = "golden cases of the official classes with synthetic weights: VQGAN and VAE, "
                "quantised and continuous",
    .takes = takes,
    .want = want,
    .open = open_model,
    .close = close_model,
    .select = choose,
    .tolerances = &tolerances,
    .decode = decode,
    .encode_latents = encode_latents,
    .decode_latents = decode_latents,
};
