/* SPDX-License-Identifier: MIT */
/* encode_pictures.c: pictures in memory to items. */
#include "encode_pictures.h"
#include "../formats/arrays/npy.h"
#include "fit.h"
#include "item.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How many tiles there is noise for; 0: a shape the family refuses. */
static uint64_t noise_tiles(const tsr_encode_noise *noise) {
    const tsr_tensor *n = &noise->tensor;
    return n->rank == 4 ? (uint64_t)n->dim[0] : n->rank == 3;
}

tsr_status tsr_encode_noise_open(tsr_tokenizer *t, const tsr_encode_settings *s,
                                 tsr_encode_noise *noise) {
    *noise = (tsr_encode_noise){0};
    if (!s->noise) return TSR_OK;
    if (!t->model.family->draws)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: noise: wanted none: it draws no latents when it encodes, got %s",
                        t->header.tokenizer, s->noise);
    noise->given = true;
    return tsr_npy_read(t->model.ctx, s->noise, &noise->tensor);
}

tsr_status tsr_encode_noise_finish(tsr_context *ctx, const tsr_encode_noise *noise) {
    if (!noise->given || noise->used == noise_tiles(noise)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "noise: wanted it for %" PRIu64 " tiles, got it for %" PRIu64, noise->used,
                    noise_tiles(noise));
}

tsr_status tsr_tokenizer_encode(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties) {
    const tsr_encode_settings s = settings ? *settings : tsr_encode_settings_default();
    for (int i = 0; items && i < count; ++i)
        items[i] = NULL;
    if (near_ties) *near_ties = 0;
    tsr_encode_noise noise;
    tsr_status status = tsr_encode_noise_open(t, &s, &noise);
    if (!status)
        status = tsr_tokenizer_encode_drawn(t, pictures, count, &s, &noise, items, near_ties);
    if (!status) {
        status = tsr_encode_noise_finish(t->model.ctx, &noise);
        for (int i = 0; i < count && status; ++i)
            tsr_item_close(&items[i]);
    }
    free(noise.tensor.data);
    return status;
}

tsr_status tsr_tokenizer_encode_drawn(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                      const tsr_encode_settings *settings, tsr_encode_noise *noise,
                                      tsr_item **items, uint64_t *near_ties) {
    const tsr_encode_settings s = *settings;
    tsr_context *ctx = t->model.ctx;
    const uint32_t capacity = tsr_header_capacity(&t->header);
    if (count < 0 || (count && (!pictures || !items)))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "pictures: wanted an array, got count %d", count);
    if (s.tokens > capacity)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokens: wanted 1 to %u, got %u", capacity,
                        s.tokens);
    if (!(s.quality >= 0 && s.quality <= 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "quality: wanted 0 to 1, got %g", s.quality);
    if ((int)s.fit < TSR_FIT_AUTO || s.fit > TSR_FIT_TILE)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fit: wanted 0 to 4, got %d", (int)s.fit);
    const bool selects = t->model.family->select != NULL;
    if (!selects && (s.budget || s.no_halt))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: budget and no-halt: wanted none: it does not choose tokens itself",
                        t->header.tokenizer);
    tsr_status status = tsr_tokenizer_check_prefix(t, s.tokens, selects ? 0 : s.quality);
    if (status) return status;
    tsr_judgement seen = {0};
    tsr_selection selection = {.judgement = &seen,
                               .budget = s.budget,
                               .quality = s.quality,
                               .keep_all = s.no_halt != 0,
                               .noise = noise->given ? &noise->tensor : NULL};
    tsr_token_header header = t->header;
    if (s.fit != TSR_FIT_AUTO) header.fit = s.fit;
    memcpy(header.background, s.background, 3);
    status = tsr_tokenizer_set_latents(t, &header, &s);
    if (status) return status;

    const int batch = tsr_tokenizer_batch(t, s.batch);
    const size_t tile_bytes = (size_t)header.tile_width * header.tile_height * 3;
    uint8_t *tiles = tsr_alloc(ctx, (size_t)batch, tile_bytes, "encode: tiles");
    void *values =
        tsr_alloc(ctx, (size_t)batch * capacity, tsr_value_bytes(&header), "encode: tokens");
    uint32_t *counts = tsr_alloc(ctx, (size_t)batch, sizeof *counts, "encode: counts");
    tsr_item **owner = tsr_alloc(ctx, (size_t)batch, sizeof *owner, "encode: owners");
    uint8_t *kept = tsr_alloc(ctx, (size_t)batch, tsr_mask_bytes(capacity), "encode: masks");
    status = tiles && values && counts && owner && kept ? TSR_OK : TSR_ERROR_MEMORY;
    if (selects && !status) {
        seen.halting = tsr_alloc(ctx, (size_t)batch * capacity, sizeof(float), "encode: halting");
        seen.margin = tsr_alloc(ctx, (size_t)batch * capacity, sizeof(float), "encode: margins");
        if (!seen.halting || !seen.margin) status = TSR_ERROR_MEMORY;
    }
    uint64_t ties = 0;
    for (int i = 0; i < count; ++i)
        items[i] = NULL;

    /* Tiles of all pictures form one stream that is cut into batches; since a tile's ids do not
     * depend on its neighbours in the batch, neither do the results. */
    int held = 0;
    for (int i = 0; i < count && !status; ++i) {
        tsr_canvas canvas;
        status = tsr_canvas_open(t->model.host, &pictures[i], &header, &canvas);
        if (status) break;
        status = tsr_item_open(ctx, &pictures[i], &canvas, &header, s.quality, selects, &items[i]);
        const int total = canvas.columns * canvas.rows;
        for (int tile = 0; tile < total && !status; ++tile) {
            tsr_canvas_cut(&canvas, tile, tiles + (size_t)held * tile_bytes);
            owner[held++] = items[i];
            if (held < batch && !(i + 1 == count && tile + 1 == total)) continue;
            selection.first_tile = noise->used;
            noise->used += (uint64_t)held;
            if (selection.noise && noise_tiles(noise) && noise->used > noise_tiles(noise))
                status =
                    tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                             "noise: wanted it for at least %" PRIu64 " tiles, got it for %" PRIu64,
                             noise->used, noise_tiles(noise));
            if (!status)
                status = tsr_model_encode_tiles(&t->model, &t->header, tiles, held, s.tokens,
                                                &selection, values, counts, kept, &ties);
            for (int b = 0; b < held && !status; ++b)
                tsr_item_add(owner[b], (size_t)b, capacity, values, counts[b],
                             selects ? kept : NULL, &seen);
            held = 0;
            if (s.progress && !status &&
                s.progress(s.progress_user, "encode", (uint64_t)tile + 1, (uint64_t)total))
                status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "encode: stopped by the caller");
        }
        tsr_canvas_free(&canvas);
    }
    free(tiles);
    free(values);
    free(counts);
    free(owner);
    free(kept);
    free(seen.halting);
    free(seen.margin);
    for (int i = 0; i < count && status; ++i)
        tsr_item_close(&items[i]);
    if (near_ties) *near_ties = ties;
    return status;
}
