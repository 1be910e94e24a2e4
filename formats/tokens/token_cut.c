/* SPDX-License-Identifier: MIT */
/* token_cut.c: fewer ids of each tile, or fewer items, without a model. What comes out is what a
 * writer would have made of those ids. */
#include "token_layout.h"
#include "../file.h"

#include <stdlib.h>

static tsr_status cut_item(tsr_context *ctx, tsr_token_cutter *c, const tsr_token_header *header,
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

static void tell(const tsr_token_cut_settings *settings, const tsr_token_damage *damage) {
    if (settings->damaged) settings->damaged(settings->damaged_user, damage);
}

void tsr_token_cutter_free(tsr_token_cutter *c) {
    free(c->counts);
    free(c->ids);
    free(c->latents);
    free(c->kept);
    free(c->frames);
    *c = (tsr_token_cutter){0};
}

tsr_status tsr_token_file_copy_end(tsr_token_cutter *c, tsr_token_writer *writer) {
    const bool open = c->clip_open;
    c->clip_open = false;
    return open ? tsr_token_writer_clip_end(writer) : TSR_OK;
}

/* Adds an item that is number `index` of `file` to the clip it belongs to, or to none. */
static tsr_status add_to_clip(tsr_context *ctx, tsr_token_cutter *c, tsr_token_file *file,
                              uint64_t index, tsr_token_writer *writer,
                              const tsr_token_item *item) {
    uint64_t clip = 0, first = 0;
    uint32_t count = 0;
    tsr_clip_place place = {0};
    tsr_token_clip facts;
    const bool any = tsr_token_file_properties(file)->clips > 0;
    tsr_status s =
        any ? tsr_token_file_item_clip(file, index, &clip, &first, &count) : TSR_ERROR_NOT_FOUND;
    if (s && s != TSR_ERROR_NOT_FOUND) return s;
    const bool none = s == TSR_ERROR_NOT_FOUND;
    s = c->clip_open && (none || clip != c->clip) ? tsr_token_file_copy_end(c, writer) : TSR_OK;
    if (s) return s;
    if (none) return tsr_token_writer_add(writer, item);
    if (!c->clip_open) {
        s = tsr_token_file_clip(file, clip, &facts);
        if (!s) s = tsr_token_writer_clip_begin(writer, &facts);
        if (s) return s;
        c->clip_open = true;
        c->clip = clip;
    }
    s = tsr_grow(ctx, &c->frames, &c->frames_room, count, sizeof *c->frames, "frames of an item");
    uint32_t skip = 0;
    for (uint32_t i = 0; i < count && !s; ++i) {
        s = tsr_token_file_clip_frame(file, clip, first + i, &place);
        c->frames[i] = place.time;
        if (i == 0) skip = place.decoded;
    }
    return s ? s : tsr_token_writer_clip_add(writer, item, c->frames, count, skip);
}

tsr_status tsr_token_file_copy_item(tsr_token_file *file, uint64_t index, tsr_token_writer *writer,
                                    tsr_token_cutter *cutter,
                                    const tsr_token_cut_settings *settings,
                                    tsr_token_cut_report *report, const char **key) {
    tsr_token_item item;
    tsr_token_damage damage;
    tsr_context *ctx = tsr_token_file_context(file);
    tsr_status s = tsr_token_file_item(file, index, &item);
    *key = NULL;
    if (s == TSR_ERROR_MEMORY) return s;
    if (s) {
        tsr_token_file_item_damage(file, index, s, &damage);
        tell(settings, &damage);
        report->unreadable++;
        return TSR_OK;
    }
    if (settings->tokens && item.stream_count)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted an item without streams to keep its first ids, got %u streams",
                        item.key, item.stream_count);
    if (settings->tokens)
        s = cut_item(ctx, cutter, tsr_token_file_header(file), &item, settings->tokens);
    if (!s) s = add_to_clip(ctx, cutter, file, index, writer, &item);
    if (s) return s;
    *key = item.key;
    report->items++;
    report->tokens += tsr_token_item_total(&item);
    if (!tsr_token_file_item_lost(file, &damage)) return TSR_OK;
    tell(settings, &damage);
    report->lost++;
    return TSR_OK;
}

void tsr_token_file_copy_begin(tsr_token_file *file, const tsr_token_cut_settings *settings,
                               tsr_token_cut_report *report) {
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    tsr_token_damage damage;
    report->recovered = info->recovered;
    report->damaged = info->damaged;
    for (int i = 0; i < info->damaged && !tsr_token_file_damage(file, i, &damage); ++i)
        tell(settings, &damage);
}

tsr_status tsr_token_file_copy(tsr_context *ctx, tsr_token_file *file, tsr_token_writer *writer,
                               const tsr_token_cut_settings *settings,
                               tsr_token_cut_report *report) {
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    uint64_t *indexes = NULL, count = info->items; /* every item needs no list */
    tsr_status s = TSR_OK;
    if (settings->item_count)
        s = tsr_token_file_select(file, settings->items, settings->item_count, &indexes, &count);
    if (s) return s;
    tsr_token_file_copy_begin(file, settings, report);
    tsr_token_cutter c = {0};
    const char *key;
    for (uint64_t i = 0; !s && i < count; ++i)
        s = tsr_token_file_copy_item(file, indexes ? indexes[i] : i, writer, &c, settings, report,
                                     &key);
    if (!s) s = tsr_token_file_copy_end(&c, writer);
    tsr_token_cutter_free(&c);
    free(indexes);
    if (s || !(info->recovered || info->damaged || report->unreadable || report->lost)) return s;
    return tsr_fail(ctx, TSR_ERROR_DAMAGED, "%llu of %llu items could be read",
                    (unsigned long long)report->items, (unsigned long long)count);
}

tsr_status tsr_token_file_cut(tsr_context *ctx, const char *input, const char *output,
                              const tsr_token_cut_settings *settings,
                              tsr_token_cut_report *report) {
    const tsr_token_cut_settings all = settings ? *settings : (tsr_token_cut_settings){0};
    tsr_token_cut_report own;
    if (!report) report = &own;
    *report = (tsr_token_cut_report){0};
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "cut: wanted input and output, got NULL");
    tsr_token_file *file;
    tsr_status s = tsr_token_file_open(ctx, &file, input);
    if (s) return s;
    tsr_token_writer *writer = NULL;
    if (all.tokens && !tsr_token_file_header(file)->nested)
        s = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted nested tokens, got %s", input,
                     tsr_token_file_header(file)->channels
                         ? "vectors, which decode together or not at all"
                         : "some whose first ids do not decode alone");
    if (!s)
        s = tsr_token_writer_open(ctx, &writer, output, tsr_token_file_header(file),
                                  tsr_token_file_settings(file));
    uint32_t attributes = 0;
    const tsr_attribute *list = tsr_token_file_attributes(file, &attributes);
    if (!s) s = tsr_token_writer_attributes(writer, list, attributes);
    if (!s) s = tsr_token_file_copy(ctx, file, writer, &all, report);
    const tsr_status damaged = s;
    if (s == TSR_ERROR_DAMAGED && report->items) s = TSR_OK;
    if (!s) s = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    tsr_token_file_close(&file);
    if (s || damaged != TSR_ERROR_DAMAGED) return s;
    return tsr_fail(ctx, TSR_ERROR_DAMAGED, "%s: the file is cut or damaged: %llu items written",
                    input, (unsigned long long)report->items);
}
