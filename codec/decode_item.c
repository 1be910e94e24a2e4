/* SPDX-License-Identifier: MIT */
/* decode_item.c: the tokens of an item back to its picture. */
#include "decode_item.h"
#include "../formats/arrays/npy.h"
#include "fit.h"
#include "item.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_sampling_check(tsr_context *ctx, const tsr_decode_hints *h, tsr_guidance_mode mode) {
    if ((int)mode < TSR_GUIDANCE_AUTO || mode > TSR_GUIDANCE_CFG)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance mode: wanted 0 to 2, got %d", (int)mode);
    if (h->present && (h->steps < 1 || h->steps > TSR_STEPS_MOST))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "steps: wanted 1 to %d, got %u", TSR_STEPS_MOST,
                        h->steps);
    if (h->present && !(fabsf(h->guidance) <= TSR_GUIDANCE_MOST))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance: wanted -%d to %d, got %g",
                        TSR_GUIDANCE_MOST, TSR_GUIDANCE_MOST, (double)h->guidance);
    return TSR_OK;
}

/* What the settings leave open the file's hints say, and what those leave open the model's. */
static tsr_status choose_sampling(tsr_tokenizer *t, const tsr_token_header *header,
                                  const tsr_decode_settings *s, tsr_sampling *sampling) {
    const tsr_decode_hints *file = &header->hints;
    tsr_decode_hints *h = &sampling->hints;
    *h = t->header.hints;
    if (h->present && file->present) { /* which advises: what makes no sense is not followed */
        h->plain = file->plain;
        h->seed = file->seed;
        if (file->steps && file->steps <= TSR_STEPS_MOST) h->steps = file->steps;
        if (fabsf(file->guidance) <= TSR_GUIDANCE_MOST) h->guidance = file->guidance;
    }
    if (s->steps) h->steps = s->steps;
    if (s->guidance != 0) h->guidance = s->guidance;
    if (s->guidance_mode) h->plain = s->guidance_mode == TSR_GUIDANCE_CFG;
    if (s->seed) h->seed = s->seed;
    if (!t->header.hints.present && (s->steps || s->guidance != 0 || s->guidance_mode || s->seed ||
                                     s->noise)) /* nothing is sampled */
        return tsr_fail(
            t->model.ctx, TSR_ERROR_ARGUMENT,
            "steps, guidance, its mode, seed and noise: wanted none with %s, whose decoder does "
            "not sample",
            t->header.tokenizer);
    return tsr_sampling_check(t->model.ctx, h, s->guidance_mode);
}

/* `count` ids or vectors of an item, from this one on. */
static tsr_status check_values(tsr_tokenizer *t, const tsr_token_item *item, uint64_t first,
                               uint32_t count) {
    const uint32_t channels = t->header.channels;
    for (uint64_t i = first; i < first + count && !channels; ++i)
        if (item->ids[i] >= t->header.codebook_size)
            return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS, "%s: id: wanted below %u, got %u",
                            item->key, t->header.codebook_size, item->ids[i]);
    for (uint64_t i = first * channels; i < (first + count) * channels; ++i)
        if (!isfinite(item->latents[i]))
            return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS,
                            "%s: vector: wanted finite numbers, got %g", item->key,
                            (double)item->latents[i]);
    return TSR_OK;
}

tsr_status tsr_tokenizer_decode(tsr_tokenizer *t, const tsr_token_header *header,
                                const tsr_token_item *item, uint32_t tokens, uint8_t *rgb) {
    return tsr_tokenizer_decode_with(t, header, item, &(tsr_decode_settings){.tokens = tokens},
                                     rgb);
}

tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *t, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb) {
    const tsr_decode_settings s = settings ? *settings : tsr_decode_settings_default();
    const uint32_t tokens = s.tokens;
    tsr_tensor noise = {0};
    tsr_sampling sampling = {.progress = s.progress, .progress_user = s.progress_user};
    tsr_context *ctx = t->model.ctx;
    tsr_status status = tsr_tokenizer_accepts(t, header, 1, item->key);
    if (!status) status = tsr_tokenizer_check_prefix(t, tokens, 0);
    if (status) return status;
    const uint32_t capacity = tsr_header_capacity(&t->header);
    if (item->kept && !t->model.family->select)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: kept mask: wanted none for nested tokens, got one", item->key);
    if (!(t->header.channels ? (const void *)item->latents : item->ids) &&
        tsr_token_item_total(item))
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: tokens: wanted %s, got NULL", item->key,
                        t->header.channels ? "vectors" : "ids");
    tsr_unfit unfit;
    status = choose_sampling(t, header, &s, &sampling);
    if (!status && s.noise) status = tsr_npy_read(ctx, s.noise, &noise);
    if (!status) status = tsr_unfit_open(ctx, header, item, &unfit);
    if (status) {
        free(noise.data);
        return status;
    }
    if (s.noise) sampling.noise = &noise;

    const int total = unfit.columns * unfit.rows, together = tsr_tokenizer_batch(t, s.batch),
              batch = together < total ? together : total;
    const size_t tile_values = (size_t)t->header.tile_width * t->header.tile_height * 3;
    float *tiles = tsr_alloc(ctx, (size_t)batch * tile_values, sizeof *tiles, "decode: tiles");
    const size_t width = tsr_value_bytes(&t->header);
    const char *from = t->header.channels ? (const char *)item->latents : (const char *)item->ids;
    char *values = tsr_alloc(ctx, (size_t)batch * capacity, width, "decode: tokens");
    uint32_t *counts = tsr_alloc(ctx, (size_t)batch, sizeof *counts, "decode: counts");
    if (!tiles || !values || !counts) status = TSR_ERROR_MEMORY;
    uint64_t position = 0;
    sampling.progress_total = (uint64_t)total * sampling.hints.steps;
    for (int first = 0; first < total && !status; first += batch) {
        const int n = total - first < batch ? total - first : batch;
        for (int b = 0; b < n && !status; ++b) {
            const uint32_t have = item->counts[first + b];
            if (have > capacity) {
                status =
                    tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: ids of tile %d: wanted at most %u, got %u",
                             item->key, first + b, capacity, have);
                break;
            }
            counts[b] = tokens && tokens < have ? tokens : have;
            if (counts[b])
                memcpy(values + (size_t)b * capacity * width, from + position * width,
                       counts[b] * width);
            status = check_values(t, item, position, counts[b]);
            position += have;
        }
        sampling.first_tile = (uint64_t)first;
        sampling.kept = item->kept ? item->kept + (size_t)first * tsr_mask_bytes(capacity) : NULL;
        sampling.progress_done = (uint64_t)first * sampling.hints.steps;
        if (!status)
            status =
                tsr_model_decode_tiles(&t->model, &t->header, values, counts, n, &sampling, tiles);
        for (int b = 0; b < n && !status; ++b)
            tsr_unfit_add(&unfit, first + b, tiles + (size_t)b * tile_values);
    }
    if (!status) status = tsr_unfit_finish(t->model.host, &unfit, header, item, rgb);
    tsr_unfit_close(&unfit);
    free(noise.data);
    free(tiles);
    free(values);
    free(counts);
    return status;
}
