/* SPDX-License-Identifier: MIT */
/* decode_item.c: the tokens of an item back to its picture. */
#include "sampling.h"
#include "../formats/arrays/npy.h"
#include "../models/tiles.h"
#include "fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The tokens of an item from tile `first` on into a batch of batch->count tiles, at most `tokens`
 * of each (0: all). *position: of the first of them among the item's; becomes that behind the last.
 */
static tsr_status fill_batch(tsr_tokenizer *t, const tsr_token_item *item, int first,
                             uint32_t tokens, uint64_t *position, tsr_token_batch *batch) {
    const size_t width = tsr_token_batch_value_bytes(batch);
    const tsr_tokenizer_ops *ops = t->model.family->tokenizer;
    const uint32_t of_frames = item->frames ? ops->token_frames(t->model.state, item->frames) *
                                                  t->header.rows * t->header.columns
                                            : 0;
    const char *from = batch->channels ? (const char *)item->latents : (const char *)item->ids;
    for (int b = 0; b < batch->count; ++b) {
        const uint32_t have = item->counts[first + b];
        if (have > batch->capacity)
            return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS,
                            "%s: ids of tile %d: wanted at most %u, got %u", item->key, first + b,
                            batch->capacity, have);
        if (item->frames && have != of_frames)
            return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS,
                            "%s: ids of tile %d: wanted %u for %u frames, got %u", item->key,
                            first + b, of_frames, item->frames, have);
        const uint32_t count = tokens && tokens < have ? tokens : have;
        batch->counts[b] = count;
        if (count) memcpy(tsr_token_batch_tile(batch, b), from + *position * width, count * width);
        tsr_status status = check_values(t, item, *position, count);
        if (status) return status;
        *position += have;
    }
    return TSR_OK;
}

/* What speaks against decoding the item by these settings, before anything is allocated. */
static tsr_status check_item(tsr_tokenizer *t, const tsr_token_header *header,
                             const tsr_token_item *item, uint32_t tokens) {
    const uint32_t channels = t->header.channels;
    tsr_status status = tsr_tokenizer_accepts(t, header, 1, item->key);
    if (!status) status = tsr_tokenizer_check_prefix(t, tokens, 0);
    if (status) return status;
    if (item->kept && !(t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS))
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: kept mask: wanted none for nested tokens, got one", item->key);
    if (item->frames > t->header.tile_frames || !item->frames != !t->header.tile_frames)
        return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS, "%s: frames: wanted %s%u, got %u",
                        item->key, t->header.tile_frames ? "1 to " : "", t->header.tile_frames,
                        item->frames);
    if (!(channels ? (const void *)item->latents : item->ids) && tsr_token_item_total(item))
        return tsr_fail(t->model.ctx, TSR_ERROR_TOKENS, "%s: tokens: wanted %s, got NULL",
                        item->key, channels ? "vectors" : "ids");
    return TSR_OK;
}

/* Decodes every tile of the item and blends them into the canvas. */
static tsr_status decode_tiles(tsr_tokenizer *t, const tsr_token_item *item,
                               const tsr_decode_settings *s, tsr_sampling *sampling,
                               tsr_unfit *unfit) {
    const int total = unfit->columns * unfit->rows;
    int step = 0;
    const size_t values = (size_t)unfit->frames * t->header.tile_width * t->header.tile_height * 3;
    const size_t mask = tsr_token_mask_bytes(tsr_token_positions(&t->header));
    tsr_status status = tsr_tokenizer_batch(t, s->batch, NULL, &step);
    if (status) return status;
    if (step > total) step = total;
    tsr_scratch scratch = {.ctx = t->model.ctx};
    float *tiles =
        tsr_scratch_take(&scratch, (size_t)step * values, sizeof *tiles, "decode: tiles");
    tsr_token_batch batch = tsr_token_batch_take(&scratch, &t->header, step, false);
    batch.frames = item->frames;
    status = scratch.status;
    uint64_t position = 0;
    sampling->progress_total = (uint64_t)total * sampling->hints.steps;
    for (int first = 0; first < total && !status; first += step) {
        batch.count = total - first < step ? total - first : step;
        batch.kept = item->kept ? (uint8_t *)item->kept + (size_t)first * mask : NULL;
        sampling->first_tile = (uint64_t)first;
        sampling->progress_done = (uint64_t)first * sampling->hints.steps;
        status = fill_batch(t, item, first, s->tokens, &position, &batch);
        if (!status) {
            status = tsr_decode_tiles(&t->model, &batch, sampling, values, tiles);
            if (status == TSR_ERROR_MODEL) /* of many items, this one */
                tsr_fail(t->model.ctx, status, "%s: %s", item->key, tsr_detail(t->model.ctx));
        }
        for (int b = 0; b < batch.count && !status; ++b)
            tsr_unfit_add(unfit, first + b, tiles + (size_t)b * values);
    }
    tsr_scratch_free(&scratch);
    return status;
}

tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *t, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb) {
    const tsr_decode_settings s = settings ? *settings : tsr_decode_settings_default();
    tsr_tensor noise = {0};
    tsr_sampling sampling = {.progress = s.progress, .progress_user = s.progress_user};
    tsr_unfit unfit = {0};
    tsr_status status = check_item(t, header, item, s.tokens);
    if (!status) status = tsr_sampling_choose(t, &header->hints, &s, &sampling.hints);
    if (!status && s.noise) status = tsr_npy_read(t->model.ctx, s.noise, &noise);
    if (s.noise) sampling.noise = &noise;
    if (!status) status = tsr_unfit_open(t->model.ctx, header, item, &unfit);
    if (!status) status = decode_tiles(t, item, &s, &sampling, &unfit);
    if (!status) status = tsr_unfit_finish(t->model.host, &unfit, header, item, rgb);
    tsr_unfit_close(&unfit);
    free(noise.data);
    return status;
}
