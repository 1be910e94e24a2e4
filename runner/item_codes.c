/* SPDX-License-Identifier: MIT */
/* item_codes.c: items of token files to the codes of a prompt, and the codes of a reply to an item.
 */
#include "vocab_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tsr_status wanted(tsr_context *ctx, const tsr_token_item *item, const char *what,
                         unsigned got) {
    return tsr_fail(ctx, TSR_ERROR_TOKENS, "item %.200s: %s, got %u", item->key ? item->key : "",
                    what, got);
}

tsr_status tsr_codes_of_item(tsr_context *ctx, const tsr_token_header *header,
                             const tsr_token_item *item, tsr_codes *codes) {
    if (codes) *codes = (tsr_codes){0};
    if (!header || !item || !codes || !item->counts)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_codes_of_item: wanted header, item and codes, got NULL");
    if (!header->codebook_size)
        return wanted(ctx, item, "wanted ids of a codebook, got vectors of numbers; channels",
                      header->channels);
    if (item->tile_columns != 1 || item->tile_rows != 1)
        return wanted(
            ctx, item,
            "wanted one tile, since a prompt has one grid (encode with --fit crop); tiles",
            item->tile_columns * item->tile_rows);
    const uint32_t count = item->counts[0], frame = header->rows * header->columns;
    if (!count || !item->ids) return wanted(ctx, item, "wanted tokens", 0);
    codes->codes = item->ids;
    codes->codebook_size = header->codebook_size;
    codes->geometry = TSR_GEOMETRY_SEQUENCE;
    codes->frames = codes->rows = 1;
    codes->columns = count;
    codes->kept = item->kept != NULL;
    if (header->geometry != TSR_GEOMETRY_GRID || item->kept) return TSR_OK;
    if (!frame || count % frame != 0)
        return wanted(ctx, item, "wanted whole frames of the grid; tokens", count);
    codes->geometry = TSR_GEOMETRY_GRID;
    codes->frames = count / frame;
    codes->rows = header->rows;
    codes->columns = header->columns;
    return TSR_OK;
}

tsr_status tsr_codes_join(tsr_context *ctx, const tsr_codes *pictures, int count,
                          tsr_codes *joined) {
    if (joined) *joined = (tsr_codes){0};
    if (!pictures || count < 1 || !joined)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_codes_join: wanted pictures and a result, got none or NULL");
    const tsr_codes *first = &pictures[0];
    uint64_t frames = 0;
    for (int i = 0; i < count; ++i) {
        const tsr_codes *p = &pictures[i];
        if (p->geometry != TSR_GEOMETRY_GRID || p->rows != first->rows ||
            p->columns != first->columns || p->codebook_size != first->codebook_size || !p->codes)
            return tsr_fail(ctx, TSR_ERROR_TOKENS,
                            "picture %d: wanted a grid of %u x %u codes of %u like the first, got "
                            "%u x %u of %u",
                            i + 1, first->rows, first->columns, first->codebook_size, p->rows,
                            p->columns, p->codebook_size);
        frames += p->frames ? p->frames : 1;
    }
    const uint64_t frame = (uint64_t)first->rows * first->columns;
    if (!frame || frames > TSR_VOCAB_MOST_IDS / frame)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "pictures: wanted at most %d codes, got more",
                        TSR_VOCAB_MOST_IDS);
    uint32_t *codes = tsr_alloc_raw(ctx, (size_t)(frames * frame), sizeof *codes, "joined frames");
    if (!codes) return TSR_ERROR_MEMORY;
    *joined = *first;
    joined->codes = codes;
    joined->frames = (uint32_t)frames;
    for (int i = 0; i < count; ++i) {
        const size_t n = (size_t)(frame * (pictures[i].frames ? pictures[i].frames : 1));
        memcpy(codes, pictures[i].codes, n * sizeof *codes);
        codes += n;
    }
    return TSR_OK;
}

/* Number of our family that makes such tokens: that of the map's first one. */
static uint32_t family_number(const char *families) {
    static const struct {
        const char *name;
        uint32_t number; /* of models/registry.def */
    } known[] = {{"taming", 4}, {"llamagen", 5}, {"cosmos", 10}, {"emu3", 11}};
    const size_t length = strcspn(families, " ");
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (strlen(known[i].name) == length && !strncmp(known[i].name, families, length))
            return known[i].number;
    return 0;
}

tsr_status tsr_reply_header(tsr_context *ctx, const tsr_vocab_map *map, const tsr_reply *reply,
                            const tsr_token_header *like, tsr_token_header *header) {
    if (header) *header = (tsr_token_header){0};
    if (!map || !reply || !header)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_reply_header: wanted map, reply and header, got NULL");
    const tsr_map_info *info = &map->info;
    if (!reply->usable)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "reply: wanted codes, got %s", reply->text);
    if (like && like->codebook_size != info->codebook_size)
        return tsr_fail(ctx, TSR_ERROR_TOKENS,
                        "header: codebook: map %s wants %u codes, got those of %s, %u", info->name,
                        info->codebook_size, like->tokenizer, like->codebook_size);
    if (!like && !info->stride[0])
        return tsr_fail(
            ctx, TSR_ERROR_UNSUPPORTED,
            "map %s: no strides, so the size of the picture is not known: wanted a token "
            "file of the tokenizer to be like",
            info->name);
    const bool grid = reply->geometry == TSR_MAP_GRID;
    tsr_token_header h = like ? *like : (tsr_token_header){.fit = TSR_FIT_CROP};
    h.geometry = grid ? TSR_GEOMETRY_GRID : TSR_GEOMETRY_SEQUENCE;
    h.rows = grid ? reply->rows : 1;
    /* Fewer ids of a nested tokenizer are a prefix of what it has room for. */
    const bool prefix = !grid && like && like->nested && reply->columns <= like->columns;
    h.columns = prefix ? like->columns : reply->columns;
    if (!like) {
        const char *name = *info->models ? info->models : info->name;
        snprintf(h.tokenizer, sizeof h.tokenizer, "%.*s", (int)strcspn(name, " "), name);
        h.family = family_number(info->families);
        h.codebook_size = info->codebook_size;
        h.level_count = info->level_count;
        memcpy(h.levels, info->levels, info->level_count * sizeof *h.levels);
    }
    if (grid) {
        const uint32_t high = like && like->rows ? like->tile_height / like->rows : info->stride[1];
        const uint32_t wide =
            like && like->columns ? like->tile_width / like->columns : info->stride[2];
        h.tile_height = h.rows * (high ? high : 1);
        h.tile_width = h.columns * (wide ? wide : 1);
        if (reply->frames > 1) {
            const uint32_t stride = info->stride[0] ? info->stride[0] : 1;
            h.frames = reply->frames;
            h.tile_frames = 1 + (reply->frames - 1) * stride;
        } else if (!like || !like->tile_frames) {
            h.frames = h.tile_frames = 0;
        }
    } else if (!like) {
        h.tile_height = h.tile_width = 224;
    }
    *header = h;
    return TSR_OK;
}

tsr_status tsr_reply_item(tsr_context *ctx, const tsr_token_header *header, const tsr_reply *reply,
                          const char *key, uint32_t *tokens, tsr_token_item *item) {
    if (item) *item = (tsr_token_item){0};
    if (!header || !reply || !key || !tokens || !item)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_reply_item: wanted header, reply, key, tokens and item, got NULL");
    if (!reply->usable)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "reply: wanted codes, got %s", reply->text);
    const bool grid = reply->geometry == TSR_MAP_GRID;
    const uint32_t rows = grid ? reply->rows : 1;
    const bool fits = grid ? rows == header->rows && reply->columns == header->columns
                           : reply->columns <= header->columns;
    const uint64_t frames = header->frames ? header->frames : 1;
    if (!fits || reply->frames > frames)
        return tsr_fail(ctx, TSR_ERROR_TOKENS,
                        "item %.200s: wanted %u x %u codes like the file, got %u x %u x %u", key,
                        header->rows, header->columns, reply->frames, rows, reply->columns);
    *tokens = reply->frames * rows * reply->columns;
    *item = (tsr_token_item){.key = key,
                             .source_width = header->tile_width,
                             .source_height = header->tile_height,
                             .orientation = 1,
                             .width = header->tile_width,
                             .height = header->tile_height,
                             .tile_columns = 1,
                             .tile_rows = 1,
                             .frames = header->tile_frames,
                             .counts = tokens,
                             .ids = reply->codes};
    if (header->tile_frames && reply->frames < frames)
        item->frames = 1 + (reply->frames - 1) * ((header->tile_frames - 1) /
                                                  (header->frames > 1 ? header->frames - 1 : 1));
    return TSR_OK;
}
