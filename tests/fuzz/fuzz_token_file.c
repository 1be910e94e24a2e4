/* SPDX-License-Identifier: MIT */
/* Any bytes as a token file: open, read every item with its attributes and streams, look for keys,
 * write again what can be read, cut. Bytes are given as they are and once more with repaired
 * checksums, or nothing would get behind them. What was read must give the same bytes whenever it
 * is written and read again. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/checksum.h"
#include "formats/tokens/token_layout.h"
#include "formats/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies what can be read; *whole says whether that was everything. */
static bool rewrite(tsr_context *ctx, tsr_token_file *file, uint32_t tokens, bool *whole,
                    uint8_t **bytes, size_t *size) {
    tsr_token_writer *writer;
    if (tsr_token_writer_open_memory(ctx, &writer, tsr_token_file_header(file),
                                     tsr_token_file_settings(file)))
        return false;
    tsr_token_cut_report report = {0};
    const tsr_token_cut_settings settings = {.tokens = tokens};
    uint32_t own = 0;
    const tsr_attribute *attributes = tsr_token_file_attributes(file, &own);
    tsr_status s = tsr_token_writer_attributes(writer, attributes, own);
    if (!s) s = tsr_token_file_copy(ctx, file, writer, &settings, &report);
    *whole = !s;
    if (s && s != TSR_ERROR_DAMAGED) {
        tsr_token_writer_abandon(&writer);
        return false;
    }
    return tsr_token_writer_close_memory(&writer, bytes, size) == TSR_OK;
}

static void look_at_attributes(const tsr_attribute *list, uint32_t count) {
    size_t total = 0;
    MUST(count <= TSR_MAX_ATTRIBUTES && !list == !count);
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_attribute *a = &list[i];
        const size_t name = strlen(a->name);
        MUST(name >= 1 && name <= TSR_TESS_MAX_NAME && tsr_utf8_valid(a->name, name, NULL));
        MUST(i == 0 || strcmp(list[i - 1].name, a->name) < 0);
        MUST((unsigned)a->type <= TSR_ATTRIBUTE_BYTES && a->size <= TSR_MAX_ATTRIBUTE_BYTES);
        MUST(a->type == TSR_ATTRIBUTE_INTEGER ? !a->bytes && !a->size
                                              : !((const char *)a->bytes)[a->size]);
        MUST(a->type != TSR_ATTRIBUTE_TEXT || tsr_utf8_valid(a->bytes, a->size, NULL));
        total += name + a->size;
    }
    MUST(total <= TSR_MAX_ATTRIBUTES_BYTES);
}

static void look_at_streams(tsr_token_file *file, uint64_t index, const tsr_token_item *item) {
    MUST(item->stream_count <= TSR_MAX_STREAMS && !item->streams == !item->stream_count);
    for (uint32_t i = 0; i < item->stream_count; ++i) {
        const tsr_token_stream *s = &item->streams[i];
        const uint64_t cells = (uint64_t)s->frames * s->rows * s->columns;
        const uint64_t finer = (uint64_t)s->finer_frames * s->finer_rows * s->finer_columns;
        for (uint64_t n = 0; n < cells; ++n)
            MUST(s->ids[n] < s->codebook_size && (!s->gains || s->gains[n] >= 0));
        for (uint64_t n = 0; n < (uint64_t)s->codebook_size * s->channels; ++n)
            MUST(isfinite(s->codebook[n]));
        for (uint64_t n = 0; n < finer && s->map; ++n)
            MUST(s->map[n] < cells || s->map[n] == TSR_NO_CELL);
        tsr_token_stream alone;
        if (tsr_token_file_stream(file, index, s->name, &alone)) continue; /* no memory */
        MUST(!strcmp(alone.name, s->name) && alone.frames == s->frames &&
             !memcmp(alone.ids, s->ids, (size_t)cells * sizeof *s->ids));
    }
}

static void look_at_items(tsr_token_file *file) {
    const tsr_token_header *header = tsr_token_file_header(file);
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    MUST(info->header_bytes + info->payload_bytes + info->index_bytes <= info->bytes);
    uint32_t own = 0;
    const tsr_attribute *attributes = tsr_token_file_attributes(file, &own);
    look_at_attributes(attributes, own);
    tsr_token_damage damage;
    for (int i = 0; i < info->damaged && i < 64; ++i)
        MUST(!tsr_token_file_damage(file, i, &damage) && damage.offset < info->bytes);
    for (uint64_t i = 0; i < info->items && i < 64; ++i) {
        tsr_token_item item;
        uint64_t stored = 0;
        const char *coding = NULL;
        if (tsr_token_file_item(file, i, &item)) continue;
        uint64_t total = tsr_token_item_total(&item);
        look_at_attributes(item.attributes, item.attribute_count);
        MUST(!tsr_token_file_item_lost(file, &damage) ||
             (damage.item == i && damage.offset < info->bytes && !item.attributes));
        MUST(strlen(item.key) <= TSR_TESS_MAX_KEY && !tsr_token_key_problem(item.key));
        for (uint64_t n = 0; n < total * header->channels; ++n)
            MUST(isfinite(item.latents[n]));
        for (uint64_t n = 0; n < total && !header->channels; ++n)
            MUST(item.ids[n] < header->codebook_size);
        look_at_streams(file, i, &item);
        MUST(tsr_token_file_item_storage(file, i, &stored, &coding) != TSR_OK ||
             (coding && stored <= info->bytes));
    }
}

/* Frames of clips are where their items say, and times are in range. */
static void look_at_clips(tsr_token_file *file) {
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    tsr_token_clip clip;
    tsr_clip_place place;
    for (uint64_t c = 0; c < info->clips && c < 16; ++c) {
        if (tsr_token_file_clip(file, c, &clip)) continue; /* no memory */
        MUST(clip.items && clip.first_item + clip.items <= info->items && clip.frames);
        MUST(tsr_utf8_valid(clip.name, strlen(clip.name), NULL) && clip.group);
        MUST(info->recovered || !clip.lost_items);
        const uint64_t step = clip.frames / 50 + 1;
        for (uint64_t i = 0; i < clip.frames; i += step) {
            uint64_t at = 0, first = 0;
            uint32_t count = 0;
            if (tsr_token_file_clip_frame(file, c, i, &place)) continue;
            MUST(place.time.pts == TSR_NO_PTS || llabs(place.time.pts) <= (int64_t)1 << 60);
            if (place.item == TSR_NO_ITEM) continue;
            MUST(place.item - clip.first_item < clip.items);
            MUST(tsr_token_file_item_clip(file, place.item, &at, &first, &count) ||
                 (at == c && i >= first && i - first < count));
            if (place.time.pts != TSR_NO_PTS &&
                !tsr_token_file_clip_at(file, c, place.seconds, &at))
                MUST(at < clip.frames);
        }
    }
    for (uint64_t i = info->items < 40 ? info->items : 40; i-- > 0;) {
        tsr_token_item item; /* against the order in which chains are coded */
        tsr_token_file_item(file, i, &item);
    }
}

/* An item is found by its number and, unless its key reads as one, by its key. An index of keys may
 * lie, but what is found has the key. */
static void find_first(tsr_token_file *file) {
    tsr_token_item item;
    uint64_t *indexes = NULL, found = 0;
    if (!tsr_token_file_properties(file)->items || tsr_token_file_item(file, 0, &item)) return;
    char *texts[] = {strdup("0"), strdup(item.key)};
    const bool indexed = tsr_token_file_properties(file)->key_index;
    uint64_t index = 0;
    if (texts[1] && !tsr_token_file_find(file, texts[1], &index)) {
        MUST(indexed || index == 0);
        MUST(tsr_token_file_item(file, index, &item) || !strcmp(item.key, texts[1]));
    }
    for (int i = 0; i < 2 && texts[0] && texts[1]; ++i) {
        const char *text = texts[i];
        if (tsr_token_file_select(file, &text, 1, &indexes, &found)) continue; /* no memory */
        MUST(found && (indexed || indexes[0] == 0 || strspn(text, "0123456789-,") == strlen(text)));
        free(indexes);
    }
    free(texts[0]);
    free(texts[1]);
}

static void exercise(tsr_context *ctx, const uint8_t *data, size_t size, uint32_t tokens,
                     bool strict) {
    tsr_token_file *file;
    if (tsr_token_file_parse(ctx, &file, "fuzz", data, size)) {
        MUST(file == NULL);
        return;
    }
    look_at_items(file);
    look_at_clips(file);
    find_first(file);
    uint8_t *once = NULL, *twice = NULL;
    size_t once_size, twice_size;
    bool whole, whole_again;
    if (rewrite(ctx, file, 0, &whole, &once, &once_size)) {
        tsr_token_file *again = NULL;
        tsr_status s = tsr_token_file_parse(ctx, &again, "again", once, once_size);
        MUST(!strict || s == TSR_OK || s == TSR_ERROR_MEMORY);
        if (again) {
            const tsr_token_file_info *info = tsr_token_file_properties(again);
            MUST(!strict || (!info->recovered && !info->damaged));
            MUST(!strict || !whole || info->items == tsr_token_file_properties(file)->items);
            MUST(!strict || !whole || info->tokens == tsr_token_file_properties(file)->tokens);
            if (rewrite(ctx, again, 0, &whole_again, &twice, &twice_size))
                MUST(whole_again && twice_size == once_size && !memcmp(once, twice, once_size));
            tsr_token_file_close(&again);
        }
    }
    free(once);
    free(twice);
    once = NULL;
    if (rewrite(ctx, file, tokens, &whole, &once, &once_size)) free(once);
    tsr_token_file_close(&file);
}

static void repair(uint8_t *b, size_t size) {
    if (size < TSR_TESS_START_BYTES) return;
    memcpy(b, TSR_TESS_MAGIC, 8);
    tsr_set_u32(b + 12, tsr_crc32c(b, 12));
    for (size_t at = TSR_TESS_START_BYTES; size - at >= TSR_TESS_CHUNK_BYTES;) {
        size_t left = size - at - TSR_TESS_CHUNK_BYTES;
        uint64_t payload = tsr_get_u64(b + at + 8);
        bool whole = payload <= left;
        if (whole)
            tsr_set_u32(b + at + 16, tsr_crc32c(b + at + TSR_TESS_CHUNK_BYTES, (size_t)payload));
        tsr_set_u32(b + at + 20, tsr_crc32c(b + at, 20));
        if (!whole) return;
        at += TSR_TESS_CHUNK_BYTES + (size_t)payload;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = 1;
    settings.memory_limit = 64 << 20;
    tsr_context *ctx;
    if (tsr_context_open(&ctx, &settings)) return 0;
    uint32_t tokens = 1 + (size ? data[size - 1] % 16u : 0);
    exercise(ctx, data, size, tokens, true);
    uint8_t *repaired = malloc(size ? size : 1);
    if (repaired) {
        memcpy(repaired, data, size);
        repair(repaired, size);
        exercise(ctx, repaired, size, tokens, true);
        alloc_fail_at(size > 1 ? data[size - 2] % 32 : 0);
        exercise(ctx, repaired, size, tokens, false);
        alloc_fail_at(-1);
    }
    free(repaired);
    tsr_context_close(&ctx);
    return 0;
}
