/* SPDX-License-Identifier: MIT */
/* token_cut.c: fewer ids of each tile, without a model. What comes out is what a writer would have
 * made of those ids. */
#include "token_layout.h"
#include "../file.h"

#include <stdlib.h>

typedef struct cutter {
    uint32_t *counts, *ids;
    float *latents;
    uint8_t *kept;
    size_t counts_room, ids_room, latents_room, kept_room;
} cutter;

static tsr_status cut_item(tsr_context *ctx, cutter *c, const tsr_token_header *header,
                           tsr_token_item *item, uint32_t tokens) {
    uint32_t tiles = item->tile_columns * item->tile_rows;
    uint32_t positions = tsr_token_positions(header);
    size_t mask = tsr_token_mask_bytes(positions), total = (size_t)tsr_token_item_total(item);
    tsr_status s = tsr_grow(ctx, &c->counts, &c->counts_room, tiles, sizeof *c->counts, "counts");
    const size_t channels = header->channels;
    if (!s && channels)
        s = tsr_grow(ctx, &c->latents, &c->latents_room, total ? total * channels : 1,
                     sizeof *c->latents, "vectors");
    else if (!s)
        s = tsr_grow(ctx, &c->ids, &c->ids_room, total ? total : 1, sizeof *c->ids, "ids");
    if (!s && item->kept) s = tsr_grow(ctx, &c->kept, &c->kept_room, tiles * mask, 1, "kept mask");
    if (s) return s;
    if (item->kept) memcpy(c->kept, item->kept, tiles * mask);
    size_t from = 0, to = 0;
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t n = item->counts[t] < tokens ? item->counts[t] : tokens;
        c->counts[t] = n;
        if (n && channels)
            memcpy(c->latents + to * channels, item->latents + from * channels,
                   n * channels * sizeof *c->latents);
        else if (n)
            memcpy(c->ids + to, item->ids + from, n * sizeof *c->ids);
        if (item->kept) tsr_mask_limit(c->kept + t * mask, positions, n);
        to += n;
        from += item->counts[t];
    }
    item->counts = c->counts;
    item->ids = channels ? NULL : c->ids;
    item->latents = channels ? c->latents : NULL;
    if (item->kept) item->kept = c->kept;
    return TSR_OK;
}

tsr_status tsr_token_file_copy(tsr_context *ctx, tsr_token_file *file, tsr_token_writer *writer,
                               uint32_t tokens) {
    cutter c = {0};
    tsr_status s = TSR_OK;
    uint64_t items = tsr_token_file_properties(file)->items;
    for (uint64_t i = 0; !s && i < items; ++i) {
        tsr_token_item item;
        s = tsr_token_file_item(file, i, &item);
        if (!s) s = cut_item(ctx, &c, tsr_token_file_header(file), &item, tokens);
        if (!s) s = tsr_token_writer_add(writer, &item);
    }
    free(c.counts);
    free(c.ids);
    free(c.latents);
    free(c.kept);
    return s;
}

tsr_status tsr_token_file_cut(tsr_context *ctx, const char *input, const char *output,
                              uint32_t tokens) {
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "cut: wanted input and output, got NULL");
    if (tokens == 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "cut: tokens: wanted 1 or more, got 0");
    tsr_token_file *file;
    tsr_status s = tsr_token_file_open(ctx, &file, input);
    if (s) return s;
    tsr_token_writer *writer = NULL;
    if (!tsr_token_file_header(file)->nested)
        s = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted nested tokens, got %s", input,
                     tsr_token_file_header(file)->channels
                         ? "vectors, which decode together or not at all"
                         : "some whose first ids do not decode alone");
    if (!s)
        s = tsr_token_writer_open(ctx, &writer, output, tsr_token_file_header(file),
                                  tsr_token_file_settings(file));
    if (!s) s = tsr_token_file_copy(ctx, file, writer, tokens);
    if (!s) s = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    tsr_token_file_close(&file);
    return s;
}
