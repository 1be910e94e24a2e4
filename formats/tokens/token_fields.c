/* SPDX-License-Identifier: MIT */
/* token_fields.c: header and item fields to bytes and back, each checked on both ways. */
#include "token_layout.h"
#include "bitpack.h"

#include <math.h>
#include <stdlib.h>

enum { HEAD_FIXED = 45, HEAD_VECTORS = 5 };
enum {
    HAS_MASK = 1,
    EQUAL_COUNTS = 2,
    HAS_TIME = 4,
    HAS_QUALITY = 8,
    HAS_TARGET = 16,
    HAS_FRAMES = 32
};
enum { NESTED = 1, ENTROPY = 2 };
enum { FAST = 1, PLAIN = 2 }; /* of the hints' last byte */

uint64_t tsr_token_item_total(const tsr_token_item *item) {
    uint64_t total = 0, tiles = (uint64_t)item->tile_columns * item->tile_rows;
    for (uint64_t t = 0; t < tiles; ++t)
        total += item->counts[t];
    return total;
}

uint32_t tsr_token_bits(const tsr_token_header *header) {
    if (header->channels) return header->channels * (header->latent_type ? 16 : 32);
    uint32_t bits = 0;
    while (((uint64_t)1 << bits) < header->codebook_size)
        ++bits;
    return bits;
}

size_t tsr_token_value_bytes(const tsr_token_header *header) {
    return (header->channels ? header->channels : 1) * sizeof(uint32_t);
}

size_t tsr_token_mask_bytes(uint32_t positions) {
    return ((size_t)positions + 7) / 8;
}

uint32_t tsr_token_positions(const tsr_token_header *header) {
    /* At most 2^20 in a checked header. */
    return header->rows * header->columns * (header->frames ? header->frames : 1);
}

uint32_t tsr_layer_end(uint32_t layer_tokens, uint32_t layer, uint32_t positions) {
    if (layer_tokens == 0) return positions;
    uint64_t end = layer_tokens;
    for (; layer > 0 && end < positions; --layer)
        end *= 4;
    return end < positions ? (uint32_t)end : positions;
}

uint32_t tsr_layer_count(uint32_t layer_tokens, uint32_t most_ids) {
    if (layer_tokens == 0) return 1;
    uint32_t layers = 1;
    for (uint64_t end = layer_tokens; end < most_ids; end *= 4)
        ++layers;
    return layers;
}

/* ---- header ----------------------------------------------------------------------------- */

static tsr_status bad_header(tsr_context *ctx, tsr_status status, const char *name,
                             const char *field, const char *wanted, uint64_t got) {
    return tsr_fail(ctx, status, "%s: header: %s: wanted %s, got %llu", name, field, wanted,
                    (unsigned long long)got);
}

tsr_status tsr_token_header_check(tsr_context *ctx, tsr_status status, const char *name,
                                  const tsr_token_header *h,
                                  const tsr_token_writer_settings *settings) {
    const char *end = memchr(h->tokenizer, 0, sizeof h->tokenizer);
    if (!end || end == h->tokenizer)
        return bad_header(ctx, status, name, "bytes of the tokenizer's name", "1..63",
                          end ? 0 : sizeof h->tokenizer);
    for (const char *p = h->tokenizer; p < end; ++p)
        if (*p < 0x20 || *p > 0x7e)
            return bad_header(ctx, status, name, "tokenizer's name", "printable ASCII",
                              (unsigned char)*p);
    if (h->channels > TSR_TESS_MAX_CHANNELS)
        return bad_header(ctx, status, name, "channels", "at most 4096", h->channels);
    if (h->channels && h->codebook_size)
        return bad_header(ctx, status, name, "codebook size of vectors", "0", h->codebook_size);
    if (h->channels && h->nested)
        return bad_header(ctx, status, name, "nested, of vectors", "0", h->nested);
    if (h->latent_type != TSR_LATENT_F32 && h->latent_type != TSR_LATENT_F16)
        return bad_header(ctx, status, name, "type of numbers", "0 or 1", h->latent_type);
    if (!h->channels && h->latent_type)
        return bad_header(ctx, status, name, "type of numbers, with a codebook", "0",
                          h->latent_type);
    if (h->codebook_size == 0 && !h->channels)
        return bad_header(ctx, status, name, "codebook size or channels", "1 or more", 0);
    if (h->level_count > TSR_MAX_LEVELS)
        return bad_header(ctx, status, name, "number of levels", "0..16", h->level_count);
    uint64_t product = 1;
    for (uint32_t i = 0; i < h->level_count; ++i) {
        if (h->levels[i] < 2 || h->levels[i] > 65536)
            return bad_header(ctx, status, name, "level", "2..65536", h->levels[i]);
        product *= h->levels[i];
        if (product > UINT32_MAX) break;
    }
    if (h->level_count && product != h->codebook_size) /* so vectors have no levels */
        return bad_header(ctx, status, name, "product of the levels", "the codebook size", product);
    if (h->geometry != TSR_GEOMETRY_SEQUENCE && h->geometry != TSR_GEOMETRY_GRID)
        return bad_header(ctx, status, name, "geometry", "0 or 1", (uint64_t)h->geometry);
    if (h->rows == 0 || h->columns == 0 || (uint64_t)h->rows * h->columns > TSR_TESS_MAX_POSITIONS)
        return bad_header(ctx, status, name, "rows x columns", "1..1048576",
                          (uint64_t)h->rows * h->columns);
    if (h->geometry == TSR_GEOMETRY_SEQUENCE && h->rows != 1)
        return bad_header(ctx, status, name, "rows of a sequence", "1", h->rows);
    if (h->nested > 1) return bad_header(ctx, status, name, "nested", "0 or 1", h->nested);
    if (h->tile_width == 0 || h->tile_width > TSR_TESS_MAX_TILE_SIDE)
        return bad_header(ctx, status, name, "tile width", "1..65536", h->tile_width);
    if (h->tile_height == 0 || h->tile_height > TSR_TESS_MAX_TILE_SIDE)
        return bad_header(ctx, status, name, "tile height", "1..65536", h->tile_height);
    if (h->fit < TSR_FIT_CROP || h->fit > TSR_FIT_TILE)
        return bad_header(ctx, status, name, "fit", "1..4", (uint64_t)h->fit);
    if (h->tile_frames > TSR_TESS_MAX_TILE_SIDE)
        return bad_header(ctx, status, name, "tile frames", "0..65536", h->tile_frames);
    if (h->frames > h->tile_frames || !h->frames != !h->tile_frames)
        return bad_header(ctx, status, name, "frames of the grid",
                          h->tile_frames ? "1..tile frames" : "0 for pictures", h->frames);
    if (h->frames && h->geometry != TSR_GEOMETRY_GRID)
        return bad_header(ctx, status, name, "geometry of frames", "1", (uint64_t)h->geometry);
    if ((uint64_t)h->rows * h->columns * h->frames > TSR_TESS_MAX_POSITIONS)
        return bad_header(ctx, status, name, "frames x rows x columns", "1..1048576",
                          (uint64_t)h->rows * h->columns * h->frames);
    if (h->filter > 2) return bad_header(ctx, status, name, "filter", "0..2", h->filter);
    if (h->hints.present && (!isfinite(h->hints.guidance) || h->hints.fast < 0 ||
                             h->hints.fast > 1 || h->hints.plain < 0 || h->hints.plain > 1))
        return bad_header(ctx, status, name, "hints",
                          "a finite guidance, and fast and plain 0 or 1",
                          (uint64_t)h->hints.fast | (uint64_t)h->hints.plain);
    if (settings->layer_tokens && !h->nested)
        return bad_header(ctx, status, name, "layer_tokens", "0 for tokens that are not nested",
                          settings->layer_tokens);
    return TSR_OK;
}

void tsr_token_header_put(tsr_bytes *bytes, const tsr_token_header *h,
                          const tsr_token_writer_settings *settings) {
    size_t start = tsr_bytes_chunk_start(bytes), name = strlen(h->tokenizer);
    tsr_bytes_u64(bytes, h->weights_hash);
    tsr_bytes_u32(bytes, h->family);
    tsr_bytes_u32(bytes, h->codebook_size);
    tsr_bytes_u32(bytes, h->rows);
    tsr_bytes_u32(bytes, h->columns);
    tsr_bytes_u32(bytes, h->tile_width);
    tsr_bytes_u32(bytes, h->tile_height);
    tsr_bytes_u32(bytes, settings->layer_tokens);
    tsr_bytes_u8(bytes, h->geometry);
    tsr_bytes_u8(bytes, h->fit);
    tsr_bytes_u8(bytes, h->filter);
    tsr_bytes_u8(bytes, (h->nested ? NESTED : 0) | (settings->entropy ? ENTROPY : 0));
    tsr_bytes_put(bytes, h->background, 3);
    tsr_bytes_u8(bytes, h->level_count);
    tsr_bytes_u8(bytes, (uint32_t)name);
    tsr_bytes_put(bytes, h->tokenizer, name);
    for (uint32_t i = 0; i < h->level_count; ++i)
        tsr_bytes_u32(bytes, h->levels[i]);
    if (h->channels) {
        tsr_bytes_u32(bytes, h->channels);
        tsr_bytes_u8(bytes, h->latent_type);
    }
    tsr_bytes_chunk_finish(bytes, start, TSR_TESS_HEAD, TSR_TESS_CRITICAL);
}

void tsr_token_frames_put(tsr_bytes *bytes, const tsr_token_header *h) {
    if (!h->tile_frames) return;
    const size_t start = tsr_bytes_chunk_start(bytes);
    tsr_bytes_u32(bytes, h->tile_frames);
    tsr_bytes_u32(bytes, h->frames);
    tsr_bytes_chunk_finish(bytes, start, TSR_TESS_FRAM, TSR_TESS_CRITICAL);
}

tsr_status tsr_token_frames_get(tsr_context *ctx, const char *name, const uint8_t *p, size_t size,
                                const tsr_token_writer_settings *settings, tsr_token_header *h) {
    if (size != TSR_TESS_FRAM_BYTES)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "bytes of the frames", "8", size);
    h->tile_frames = tsr_get_u32(p);
    h->frames = tsr_get_u32(p + 4);
    if (!h->tile_frames)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "tile frames", "1..65536", 0);
    return tsr_token_header_check(ctx, TSR_ERROR_FORMAT, name, h, settings);
}

void tsr_token_hints_put(tsr_bytes *bytes, const tsr_token_header *h) {
    uint32_t guidance;
    if (!h->hints.present) return;
    memcpy(&guidance, &h->hints.guidance, sizeof guidance);
    size_t start = tsr_bytes_chunk_start(bytes);
    tsr_bytes_u32(bytes, h->hints.steps);
    tsr_bytes_u32(bytes, guidance);
    tsr_bytes_u64(bytes, h->hints.seed);
    tsr_bytes_u8(bytes, (h->hints.fast ? FAST : 0) | (h->hints.plain ? PLAIN : 0));
    tsr_bytes_chunk_finish(bytes, start, TSR_TESS_HINT, 0);
}

void tsr_token_hints_get(const uint8_t *p, tsr_token_header *h) {
    uint32_t guidance = tsr_get_u32(p + 4);
    tsr_decode_hints hints = {.present = 1,
                              .steps = tsr_get_u32(p),
                              .seed = tsr_get_u64(p + 8),
                              .fast = (p[16] & FAST) != 0,
                              .plain = (p[16] & PLAIN) != 0};
    memcpy(&hints.guidance, &guidance, sizeof guidance);
    /* They only advise: what makes no sense is left out, not an error. */
    if (isfinite(hints.guidance) && p[16] <= (FAST | PLAIN)) h->hints = hints;
}

tsr_status tsr_token_header_get(tsr_context *ctx, const char *name, const uint8_t *p, size_t size,
                                tsr_token_header *h, tsr_token_writer_settings *settings) {
    memset(h, 0, sizeof *h);
    if (size < HEAD_FIXED)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "bytes", "45 or more", size);
    uint32_t flags = p[39], name_bytes = p[44];
    h->weights_hash = tsr_get_u64(p);
    h->family = tsr_get_u32(p + 8);
    h->codebook_size = tsr_get_u32(p + 12);
    h->rows = tsr_get_u32(p + 16);
    h->columns = tsr_get_u32(p + 20);
    h->tile_width = tsr_get_u32(p + 24);
    h->tile_height = tsr_get_u32(p + 28);
    *settings = (tsr_token_writer_settings){.layer_tokens = tsr_get_u32(p + 32),
                                            .entropy = (flags & ENTROPY) != 0};
    if (p[36] > 1) return bad_header(ctx, TSR_ERROR_FORMAT, name, "geometry", "0 or 1", p[36]);
    if (p[37] < 1 || p[37] > 4)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "fit", "1..4", p[37]);
    h->geometry = (tsr_geometry)p[36];
    h->fit = (tsr_fit)p[37];
    h->filter = p[38];
    h->nested = flags & NESTED;
    memcpy(h->background, p + 40, 3);
    h->level_count = p[43];
    if (flags > 3) return bad_header(ctx, TSR_ERROR_FORMAT, name, "flags", "0..3", flags);
    if (name_bytes == 0 || name_bytes > 63)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "bytes of the tokenizer's name", "1..63",
                          name_bytes);
    if (h->level_count > TSR_MAX_LEVELS)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "number of levels", "0..16", h->level_count);
    const size_t levels = HEAD_FIXED + name_bytes, vectors = levels + 4 * (size_t)h->level_count;
    const bool continuous = h->codebook_size == 0;
    if (size != vectors + (continuous ? HEAD_VECTORS : 0))
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "bytes",
                          continuous ? "50 + name" : "45 + name + 4 x levels", size);
    memcpy(h->tokenizer, p + HEAD_FIXED, name_bytes);
    if (strlen(h->tokenizer) != name_bytes)
        return bad_header(ctx, TSR_ERROR_FORMAT, name, "tokenizer's name", "printable ASCII", 0);
    for (uint32_t i = 0; i < h->level_count; ++i)
        h->levels[i] = tsr_get_u32(p + levels + 4 * (size_t)i);
    if (continuous) {
        h->channels = tsr_get_u32(p + vectors);
        if (p[vectors + 4] > 1)
            return bad_header(ctx, TSR_ERROR_FORMAT, name, "type of numbers", "0 or 1",
                              p[vectors + 4]);
        h->latent_type = (tsr_latent_type)p[vectors + 4];
    }
    return tsr_token_header_check(ctx, TSR_ERROR_FORMAT, name, h, settings);
}

/* ---- item ------------------------------------------------------------------------------- */

static tsr_status bad_item(tsr_context *ctx, tsr_status status, const char *name, uint64_t number,
                           const char *field, const char *wanted, double got) {
    return tsr_fail(ctx, status, "%s: item %llu: %s: wanted %s, got %.10g", name,
                    (unsigned long long)number, field, wanted, got);
}

const char *tsr_token_key_problem(const char *key) {
    if (strlen(key) > TSR_TESS_MAX_KEY) return "at most 1024 bytes";
    for (const char *c = key; *c; ++c)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) return "no control characters";
    if (!*key) return NULL;
    for (const char *part = key;; ++part) {
        const size_t n = strcspn(part, "/");
        if (n == 0) return "a relative path without empty parts";
        if (n <= 2 && !memcmp(part, "..", n)) return "a path without the parts '.' and '..'";
        part += n;
        if (!*part) return NULL;
    }
}

const char *tsr_token_key_clean(const char *key, char *clean, size_t size) {
    size_t n = 0;
    for (; key[n] && n + 1 < size; ++n)
        clean[n] = (unsigned char)key[n] < 0x20 || key[n] == 0x7f ? '?' : key[n];
    clean[n] = 0;
    return clean;
}

tsr_status tsr_token_item_check(tsr_context *ctx, tsr_status status, const char *name,
                                const tsr_token_header *header, uint64_t number,
                                const tsr_token_item *item) {
#define BAD(field, wanted, got) return bad_item(ctx, status, name, number, field, wanted, got)
    const char *wrong = tsr_token_key_problem(item->key);
    if (wrong) {
        char clean[128];
        return tsr_fail(ctx, status, "%s: item %llu: key: wanted %s, got '%s'", name,
                        (unsigned long long)number, wrong,
                        tsr_token_key_clean(item->key, clean, sizeof clean));
    }
    if (item->source_width - 1 >= INT32_MAX) BAD("source width", "1..2^31-1", item->source_width);
    if (item->source_height - 1 >= INT32_MAX)
        BAD("source height", "1..2^31-1", item->source_height);
    if (item->orientation < 1 || item->orientation > 8)
        BAD("orientation", "1..8", item->orientation);
    if (item->width - 1 >= INT32_MAX) BAD("width", "1..2^31-1", item->width);
    if (item->height - 1 >= INT32_MAX) BAD("height", "1..2^31-1", item->height);
    uint64_t tiles = (uint64_t)item->tile_columns * item->tile_rows;
    if (tiles == 0 || tiles > TSR_TESS_MAX_TILES) BAD("tiles", "1..1048576", (double)tiles);
    if (item->overlap > 65535) BAD("overlap", "at most 65535", item->overlap);
    if (item->frames > header->tile_frames || !item->frames != !header->tile_frames)
        BAD("frames", header->tile_frames ? "1 to those of a tile" : "0 for a picture",
            item->frames);
    if (!isfinite(item->time)) BAD("time", "a finite number", item->time);
    if (!isfinite(item->quality) || item->quality < 0)
        BAD("quality", "a finite number, 0 or more", (double)item->quality);
    if ((unsigned)item->target.metric > TSR_TARGET_L1)
        BAD("target metric", "0..3", (double)item->target.metric);
    if (!isfinite(item->target.threshold))
        BAD("target", "a finite number", (double)item->target.threshold);
    if (isnan(item->target.reached))
        BAD("target reached", "a number", (double)item->target.reached);
    return TSR_OK;
#undef BAD
}

static uint64_t zigzag(int32_t n) {
    return n < 0 ? (uint64_t)(-(2 * (int64_t)n) - 1) : (uint64_t)(2 * (int64_t)n);
}

static int32_t unzigzag(uint64_t n) { /* n at most 2^32 - 1 */
    return n & 1 ? (int32_t)(-(int64_t)(n / 2) - 1) : (int32_t)(n / 2);
}

void tsr_token_item_put(tsr_bytes *bytes, const tsr_token_header *header, uint64_t number,
                        const tsr_token_item *item, bool kept) {
    uint32_t tiles = item->tile_columns * item->tile_rows;
    bool equal = true;
    for (uint32_t t = 1; t < tiles; ++t)
        equal &= item->counts[t] == item->counts[0];
    size_t key = strlen(item->key);
    tsr_bytes_varint(bytes, number);
    tsr_bytes_u8(bytes,
                 (kept ? HAS_MASK : 0) | (equal ? EQUAL_COUNTS : 0) |
                     (item->time != 0 ? HAS_TIME : 0) | (item->quality != 0 ? HAS_QUALITY : 0) |
                     (item->target.metric ? HAS_TARGET : 0) | (item->frames ? HAS_FRAMES : 0));
    tsr_bytes_varint(bytes, key);
    tsr_bytes_put(bytes, item->key, key);
    tsr_bytes_varint(bytes, item->source_width);
    tsr_bytes_varint(bytes, item->source_height);
    tsr_bytes_u8(bytes, item->orientation);
    tsr_bytes_varint(bytes, item->width);
    tsr_bytes_varint(bytes, item->height);
    tsr_bytes_varint(bytes, zigzag(item->crop_x));
    tsr_bytes_varint(bytes, zigzag(item->crop_y));
    tsr_bytes_varint(bytes, item->tile_columns);
    tsr_bytes_varint(bytes, item->tile_rows);
    tsr_bytes_varint(bytes, item->overlap);
    if (item->frames) tsr_bytes_varint(bytes, item->frames);
    if (item->time != 0) {
        uint64_t bits;
        memcpy(&bits, &item->time, 8);
        tsr_bytes_u64(bytes, bits);
    }
    if (item->quality != 0) {
        uint32_t bits;
        memcpy(&bits, &item->quality, 4);
        tsr_bytes_u32(bytes, bits);
    }
    if (item->target.metric) {
        uint32_t bits[2];
        memcpy(&bits[0], &item->target.threshold, 4);
        memcpy(&bits[1], &item->target.reached, 4);
        tsr_bytes_u8(bytes, (uint8_t)item->target.metric);
        tsr_bytes_u32(bytes, bits[0]);
        tsr_bytes_u32(bytes, bits[1]);
    }
    for (uint32_t t = 0; t < (equal ? 1 : tiles); ++t)
        tsr_bytes_varint(bytes, item->counts[t]);
    if (kept)
        tsr_bytes_put(bytes, item->kept,
                      (size_t)tiles * tsr_token_mask_bytes(tsr_token_positions(header)));
}

uint32_t tsr_mask_count(const uint8_t *mask, uint32_t positions) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < tsr_token_mask_bytes(positions); ++i)
        n += (uint32_t)__builtin_popcount(mask[i]);
    return n;
}

uint32_t tsr_mask_limit(uint8_t *mask, uint32_t positions, uint32_t limit) {
    uint32_t seen = 0;
    for (uint32_t p = 0; p < positions; ++p) {
        if (!(mask[p / 8] >> p % 8 & 1)) continue;
        if (seen >= limit) mask[p / 8] &= (uint8_t) ~(1u << p % 8);
        ++seen;
    }
    return seen;
}

void tsr_item_memory_free(tsr_item_memory *m) {
    free(m->key);
    free(m->counts);
    free(m->lengths);
    free(m->ids);
    free(m->flat);
    free(m->latents);
    free(m->kept);
    *m = (tsr_item_memory){0};
}

tsr_status tsr_token_item_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                              size_t size, const tsr_token_header *header, tsr_item_memory *memory,
                              tsr_item_fields *fields) {
    *fields = (tsr_item_fields){0};
    tsr_token_item *item = &fields->item;
    tsr_cursor c = {.at = payload, .end = payload + size};
    uint64_t number = fields->number = tsr_cursor_varint(&c, UINT64_MAX);
#define BAD(field, wanted, got)                                                                    \
    return bad_item(ctx, TSR_ERROR_FORMAT, name, number, field, wanted, got)
    uint32_t flags = tsr_cursor_u8(&c);
    if (!c.bad && flags > 63) BAD("flags", "0..63", flags);
    size_t key = (size_t)tsr_cursor_varint(&c, TSR_TESS_MAX_KEY);
    const uint8_t *key_bytes = tsr_cursor_take(&c, key);
    item->source_width = (uint32_t)tsr_cursor_varint(&c, INT32_MAX);
    item->source_height = (uint32_t)tsr_cursor_varint(&c, INT32_MAX);
    item->orientation = tsr_cursor_u8(&c);
    item->width = (uint32_t)tsr_cursor_varint(&c, INT32_MAX);
    item->height = (uint32_t)tsr_cursor_varint(&c, INT32_MAX);
    item->crop_x = unzigzag(tsr_cursor_varint(&c, UINT32_MAX));
    item->crop_y = unzigzag(tsr_cursor_varint(&c, UINT32_MAX));
    item->tile_columns = (uint32_t)tsr_cursor_varint(&c, TSR_TESS_MAX_TILES);
    item->tile_rows = (uint32_t)tsr_cursor_varint(&c, TSR_TESS_MAX_TILES);
    item->overlap = (uint32_t)tsr_cursor_varint(&c, 65535);
    if (flags & HAS_FRAMES) {
        item->frames = (uint32_t)tsr_cursor_varint(&c, TSR_TESS_MAX_TILE_SIDE);
        if (!c.bad && !item->frames) BAD("frames", "1 or more", 0.0);
    }
    if (flags & HAS_TIME) {
        const uint8_t *b = tsr_cursor_take(&c, 8);
        uint64_t bits = b ? tsr_get_u64(b) : 0;
        memcpy(&item->time, &bits, 8);
        if (b && item->time == 0) BAD("time", "a number other than 0", item->time);
    }
    if (flags & HAS_QUALITY) {
        const uint8_t *b = tsr_cursor_take(&c, 4);
        uint32_t bits = b ? tsr_get_u32(b) : 0;
        memcpy(&item->quality, &bits, 4);
        if (b && item->quality == 0) BAD("quality", "a number above 0", (double)item->quality);
    }
    if (flags & HAS_TARGET) {
        item->target.metric = (tsr_target_metric)tsr_cursor_u8(&c);
        const uint8_t *b = tsr_cursor_take(&c, 8);
        const uint32_t bits[2] = {b ? tsr_get_u32(b) : 0, b ? tsr_get_u32(b + 4) : 0};
        memcpy(&item->target.threshold, &bits[0], 4);
        memcpy(&item->target.reached, &bits[1], 4);
        if (b && item->target.metric == TSR_TARGET_NONE) BAD("target metric", "1..3", 0.0);
    }
    if (c.bad) BAD("fields before the counts", "numbers in range", (double)(c.at - payload));

    tsr_status s = tsr_grow(ctx, &memory->key, &memory->key_room, key + 1, 1, "key");
    if (s) return s;
    memcpy(memory->key, key_bytes, key);
    memory->key[key] = 0;
    item->key = memory->key;
    if (strlen(memory->key) != key) BAD("key", "text without 0 bytes", (double)key);
    if ((s = tsr_token_item_check(ctx, TSR_ERROR_FORMAT, name, header, number, item))) return s;

    uint32_t tiles = item->tile_columns * item->tile_rows; /* at most 2^20 from here on */
    uint32_t positions = tsr_token_positions(header);
    if (!(flags & EQUAL_COUNTS) && tiles > tsr_cursor_left(&c))
        BAD("tiles", "at most one for each byte left", tiles);
    if ((s = tsr_grow(ctx, &memory->counts, &memory->counts_room, tiles, 4, "counts"))) return s;
    bool equal = true;
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t n = t > 0 && flags & EQUAL_COUNTS ? memory->counts[0]
                                                   : (uint32_t)tsr_cursor_varint(&c, positions);
        if (c.bad) BAD("tile with a bad count", "none", t);
        memory->counts[t] = n;
        fields->total += n;
        if (n > fields->most) fields->most = n;
        equal &= n == memory->counts[0];
    }
    if (equal != !!(flags & EQUAL_COUNTS))
        BAD("flag of equal counts", "what the counts say", flags);
    if (fields->total > TSR_TESS_MAX_IDS / (header->channels ? header->channels : 1))
        BAD(header->channels ? "vectors" : "ids",
            header->channels ? "at most 67108864 numbers" : "at most 67108864",
            (double)fields->total);
    item->counts = memory->counts;

    if (flags & HAS_MASK) {
        size_t bytes = tsr_token_mask_bytes(positions);
        const uint8_t *mask = tsr_cursor_take(&c, tiles * bytes);
        if (!mask)
            BAD("kept mask", "one bit for each position of each tile", (double)tsr_cursor_left(&c));
        if ((s = tsr_grow(ctx, &memory->kept, &memory->kept_room, tiles * bytes, 1, "kept mask")))
            return s;
        memcpy(memory->kept, mask, tiles * bytes);
        for (uint32_t t = 0; t < tiles; ++t, mask += bytes) {
            if (positions % 8 && mask[bytes - 1] >> positions % 8)
                BAD("kept mask: bits beyond the last position", "0", mask[bytes - 1]);
            if (tsr_mask_count(mask, positions) != memory->counts[t])
                BAD("kept mask of a tile", "as many bits as its count", memory->counts[t]);
        }
        item->kept = memory->kept;
    }
    fields->data = c;
    return TSR_OK;
#undef BAD
}

void tsr_item_fields_limit(tsr_item_fields *fields, tsr_item_memory *memory,
                           const tsr_token_header *header, uint32_t most) {
    if (fields->most <= most) return;
    uint32_t tiles = fields->item.tile_columns * fields->item.tile_rows;
    uint32_t positions = tsr_token_positions(header);
    fields->total = 0;
    fields->most = most;
    for (uint32_t t = 0; t < tiles; ++t) {
        if (memory->counts[t] > most) {
            memory->counts[t] = most;
            if (fields->item.kept)
                tsr_mask_limit(memory->kept + (size_t)t * tsr_token_mask_bytes(positions),
                               positions, most);
        }
        fields->total += memory->counts[t];
    }
}
