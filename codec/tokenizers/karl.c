/* SPDX-License-Identifier: MIT */
/* karl.c: KARL as a family of tokenizers. It says itself which of its tokens a tile needs for the
 * tolerated error: a tile's ids are those of the kept positions, and the mask goes with them.
 *
 * Both networks and the search for codes are one program. While it computes, the host chooses the
 * tokens of the batch before and prepares the next. */
#include "karl.h"
#include "../../compute/arena.h"

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

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "rec_loss_embeddings") >= 0 ||
           tsr_safetensors_find(file, "ema.rec_loss_embeddings") >= 0;
}

static tsr_status read_config(const tsr_model_source *source, cJSON **config) {
    const char *text = tsr_safetensors_metadata(source->weights, "tessera.config");
    *config = text ? cJSON_Parse(text) : NULL;
    if (!text || *config) return TSR_OK;
    return tsr_fail(source->ctx, TSR_ERROR_MODEL,
                    "%s: __metadata__ tessera.config: wanted JSON, got %.40s", source->path, text);
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    cJSON *config = NULL;
    loader->status = read_config(source, &config);
    if (!loader->status) tsr_karl_list(loader, config);
    cJSON_Delete(config);
}

static void close_model(void **model) {
    if (!model || !*model) return;
    tsr_karl *m = *model;
    tsr_karl_close(&m);
    *model = NULL;
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    cJSON *config = NULL;
    tsr_weights *weights = NULL;
    tsr_karl *m = NULL;
    tsr_status status = read_config(source, &config);
    if (!status) status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_karl_open(device, config, weights, source->path, &m);
    cJSON_Delete(config);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name)
        snprintf(m->name, sizeof m->name, "%s", name);
    else
        snprintf(m->name, sizeof m->name, "karl-%d-%s%s", (int)m->encoder.width,
                 m->vae ? "vae" : "vqgan", m->continuous ? "-continuous" : "");
    if (m->vae)
        tsr_log(source->ctx, TSR_LOG_INFO,
                "%s: the official code draws latents at random; their mean is used here",
                source->path);
    *model = m;
    return TSR_OK;
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const tsr_karl *m = model;
    memcpy(h->tokenizer, m->name, sizeof m->name);
    if (m->continuous)
        h->channels = (uint32_t)m->size;
    else
        h->codebook_size = (uint32_t)m->codes.codes->tensor.dim[0];
    h->geometry = TSR_GEOMETRY_SEQUENCE;
    h->rows = 1;
    h->columns = (uint32_t)m->latents;
    h->tile_width = h->tile_height = TSR_KARL_SIDE;
    h->fit = TSR_FIT_CROP; /* as the authors do: short side to 256, bicubic, centre */
    h->filter = TSR_FILTER_BICUBIC;
    return TSR_OK;
}

/* The most tokens of a tile: what is asked for, or what the model was trained with. */
static int64_t budget_of(const tsr_karl *m, const tsr_encode_request *request) {
    if (request->budget) return request->budget;
    return m->latents < BUDGET ? m->latents : BUDGET;
}

static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const tsr_karl *m = model;
    tsr_tile_cost c = tsr_karl_cost(m, !request, request ? budget_of(m, request) : BUDGET);
    c.equal_counts = !request;
    return c;
}

/* ---- tiles to tokens ---- */

/* The tokens of tile i out of what the model said of all its positions. */
static void take_tokens(const tsr_karl *m, const tsr_karl_result *said, int i, int64_t budget,
                        bool all, tsr_token_batch *batch) {
    const size_t bytes = tsr_token_batch_value_bytes(batch);
    const int64_t first = i * budget;
    uint8_t *kept = batch->kept + (size_t)i * tsr_token_mask_bytes(batch->capacity);
    float *halting = batch->halting ? batch->halting + (size_t)i * batch->capacity : NULL;
    float *margin = batch->margin ? batch->margin + (size_t)i * batch->capacity : NULL;
    char *to = tsr_token_batch_tile(batch, i);
    uint32_t count = 0;
    memset(kept, 0, tsr_token_mask_bytes(batch->capacity));
    for (int64_t p = 0; p < budget; ++p) {
        const float halt = said->halt[first + p];
        batch->near_ties += !all && !(fabsf(halt - tsr_karl_halt_above) >= halt_near);
        if (halting) halting[p] = 1 / (1 + expf(-halt));
        if (!all && halt > tsr_karl_halt_above) continue;
        kept[p / 8] |= (uint8_t)(1 << p % 8);
        if (margin && said->margin) margin[count] = said->margin[first + p];
        const void *from = m->continuous ? (const void *)(said->factors + (first + p) * m->size)
                                         : said->ids + first + p;
        memcpy(to + count++ * bytes, from, bytes);
    }
    batch->counts[i] = count;
}

/* The arrays of a flight, one behind the other in its rows: [n] each, and vectors [n, size]. */
static tsr_karl_result arrays_of(const tsr_karl *m, float *rows, size_t n) {
    tsr_karl_result result = {.halt = rows};
    if (m->continuous)
        result.factors = rows + n;
    else {
        result.margin = rows + n;
        result.square = rows + 2 * n;
        result.ids = (int32_t *)(rows + 3 * n);
    }
    return result;
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    const tsr_karl *m = model;
    const float quality = request->quality > 0 ? request->quality : tolerances.usual;
    const int bin = tsr_karl_bin(quality);
    const int64_t budget = budget_of(m, request);
    const size_t n = (size_t)(pixels->count * budget);
    const size_t each = m->continuous ? 1 + (size_t)m->size : 4;
    tsr_log(m->ctx, TSR_LOG_INFO, "%s: tolerated error %g: the row for %g, budget %lld%s", m->path,
            (double)quality, (double)tsr_karl_bins[bin], (long long)budget,
            budget > BUDGET ? ", more than it was trained with" : "");
    flight->rows =
        tsr_scratch_take_raw(&flight->scratch, n, each * sizeof *flight->rows, "karl: rows");
    if (!flight->rows) return flight->scratch.status;
    const tsr_karl_result result = arrays_of(m, flight->rows, n);
    return tsr_karl_encode_begin(m, pixels->rgb, pixels->count, bin, budget, &result,
                                 &flight->program);
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const tsr_karl *m = model;
    tsr_token_batch *t = &flight->tokens;
    const int64_t budget = budget_of(m, &flight->request), n = t->count * budget;
    const tsr_karl_result said = arrays_of(m, flight->rows, (size_t)n);
    tsr_status status = tsr_execute_end(m->device, &flight->program);
    if (!status && !m->continuous)
        status =
            tsr_code_table_near_ties(m->ctx, &m->codes, said.margin, said.square, n, &t->near_ties);
    for (int i = 0; i < t->count && !status; ++i)
        take_tokens(m, &said, i, budget, flight->request.keep_all, t);
    t->judged = (uint32_t)budget;
    return status;
}

/* ---- tokens to tiles ---- */

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

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const tsr_karl *m = model;
    const uint32_t each = batch->counts[0];
    const size_t mask = tsr_token_mask_bytes(batch->capacity);
    int32_t *positions = tsr_alloc(m->ctx, (size_t)batch->count * batch->capacity,
                                   sizeof *positions, "karl: places");
    if (!positions) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    for (int i = 0; i < batch->count && !status; ++i)
        status = find_positions(m, batch->kept ? batch->kept + (size_t)i * mask : NULL, each,
                                positions + (size_t)i * each);
    if (!status)
        status = tsr_karl_decode(m, m->continuous ? NULL : batch->values,
                                 m->continuous ? batch->values : NULL, positions, batch->count,
                                 each, rgb, NULL);
    free(positions);
    return status;
}

const tsr_family tsr_family_karl = {
    .name = "karl",
    .about = "as many of 256 ids as a 256x256 tile needs for the tolerated error, in one pass",
    .needs =
        "a karl_small_*_latents.pth, quantized or continuous, as .safetensors (the tensors under "
        "\"ema\")",
    .verified = "golden cases of the official classes with synthetic weights: VQGAN and VAE, "
                "quantised and continuous",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer = &(const tsr_tokenizer_ops){.abilities = TSR_TOKENIZER_SELECTS,
                                            .tolerances = &tolerances,
                                            .encodes_on_host = "select",
                                            .describe = describe,
                                            .cost = cost,
                                            .encode_begin = encode_begin,
                                            .encode_end = encode_end,
                                            .decode = decode},
};
