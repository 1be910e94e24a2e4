/* SPDX-License-Identifier: MIT */
#include "token_sample.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/tensor.h"
#include "formats/tokens/token_layout.h"

typedef struct stream {
    uint64_t state;
} stream;

static uint64_t bits(stream *s) { /* splitmix64 */
    uint64_t z = s->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static uint32_t below(stream *s, uint64_t n) {
    return (uint32_t)(bits(s) % n);
}

static void *need(size_t bytes) {
    void *p = calloc(bytes ? bytes : 1, 1);
    ck_assert_msg(p != NULL, "no memory for %zu bytes", bytes);
    return p;
}

static void random_header(stream *s, token_sample *sample, bool small) {
    tsr_token_header *h = &sample->header;
    size_t name = 1 + below(s, small ? 8 : 63);
    for (size_t i = 0; i < name; ++i)
        h->tokenizer[i] = (char)(0x20 + below(s, 0x5f));
    h->family = (uint32_t)bits(s);
    h->weights_hash = bits(s);
    switch (below(s, 5)) {
    case 4: /* vectors */
        h->channels = below(s, 6) ? 1 + below(s, 20) : 1 + below(s, small ? 60 : 4096);
        h->latent_type = below(s, 2) ? TSR_LATENT_F16 : TSR_LATENT_F32;
        break;
    case 0: /* any width up to 32 bits */
        h->codebook_size = (uint32_t)(bits(s) >> 32 >> below(s, 32));
        if (h->codebook_size == 0) h->codebook_size = UINT32_MAX;
        break;
    case 1:
        h->codebook_size = 1u << below(s, 21);
        break;
    default: {
        uint64_t product = 1;
        uint32_t wanted = 1 + below(s, TSR_MAX_LEVELS);
        while (h->level_count < wanted) {
            uint32_t level = below(s, 20) ? 2 + below(s, 7) : 2 + below(s, 65535);
            if (product * level > UINT32_MAX) break;
            product *= level;
            h->levels[h->level_count++] = level;
        }
        h->codebook_size = (uint32_t)product;
    }
    }
    h->geometry = below(s, 2) ? TSR_GEOMETRY_GRID : TSR_GEOMETRY_SEQUENCE;
    uint32_t side = small ? 4 : h->channels > 20 ? 3 : 20;
    h->rows = h->geometry == TSR_GEOMETRY_GRID ? 1 + below(s, side) : 1;
    h->columns = 1 + below(s, h->geometry == TSR_GEOMETRY_GRID ? side : side * side);
    h->nested = h->channels ? 0 : below(s, 2);
    h->tile_width = 1 + below(s, 65536);
    h->tile_height = 1 + below(s, 65536);
    h->fit = (tsr_fit)(1 + below(s, 4));
    h->filter = below(s, 3);
    for (int i = 0; i < 3; ++i)
        h->background[i] = (uint8_t)bits(s);
    sample->settings = (tsr_token_writer_settings){.entropy = below(s, 3) != 0};
    if (h->nested && below(s, 2)) sample->settings.layer_tokens = 1 + below(s, h->columns + 2);
}

/* Half of the files have hints, from a stream of their own. */
static void random_hints(uint64_t seed, tsr_token_header *h) {
    stream s = {seed ^ 0x544E4948};
    if (below(&s, 2)) return;
    h->hints = (tsr_decode_hints){.present = 1,
                                  .steps = (uint32_t)bits(&s),
                                  .guidance = (float)below(&s, 2000) * 0.01f - 5,
                                  .seed = bits(&s),
                                  .fast = (int)below(&s, 2),
                                  .plain = (int)below(&s, 2)};
}

/* Finite numbers that their type can hold, some again and again, some subnormal. */
static float *random_latents(stream *s, const tsr_token_header *h, uint64_t total) {
    const uint64_t n = total * h->channels;
    const bool half = h->latent_type == TSR_LATENT_F16;
    const uint32_t style = below(s, 3);
    float *x = need(n * sizeof *x);
    for (uint64_t i = 0; i < n; ++i) {
        uint32_t b = (uint32_t)bits(s);
        if (style == 0) { /* any */
            if (half ? (b & 0x7c00) == 0x7c00 : (b & 0x7f800000) == 0x7f800000) b = 0;
        } else { /* few values */
            b = half ? 0x3c00 + b % 7 : 0x3f800000 + b % (style == 1 ? 5 : 1000);
        }
        if (half)
            x[i] = tsr_f16_to_f32((uint16_t)b);
        else
            memcpy(&x[i], &b, 4);
    }
    return x;
}

static void random_item(stream *s, const tsr_token_header *h, tsr_token_item *item, bool small) {
    uint32_t positions = h->rows * h->columns, mask = (positions + 7) / 8;
    size_t key = below(s, small ? 6 : 40);
    char *text = need(key + 1);
    for (size_t i = 0; i < key; ++i) {
        do
            text[i] = (char)(0x20 + below(s, 0xe0));
        while (text[i] == '/' || text[i] == 0x7f);
    }
    if (text[0] == '.') text[0] = ',';
    item->key = text;
    item->source_width = 1 + below(s, INT32_MAX);
    item->source_height = 1 + below(s, 4000);
    item->orientation = 1 + below(s, 8);
    item->width = 1 + below(s, 4000);
    item->height = 1 + below(s, INT32_MAX);
    item->crop_x = (int32_t)bits(s);
    item->crop_y = (int32_t)below(s, 200) - 100;
    item->tile_columns = 1 + below(s, small ? 2 : 6);
    item->tile_rows = 1 + below(s, small ? 2 : 6);
    item->overlap = below(s, 65536);
    if (below(s, 2)) item->time = (double)(int64_t)bits(s) * 1e-9;
    if (below(s, 2))
        item->target = (tsr_target){.metric = (tsr_target_metric)(1 + below(s, 3)),
                                    .threshold = (float)below(s, 40),
                                    .reached = (float)below(s, 40) - 0.5f};
    if (below(s, 2)) item->quality = (float)(1 + below(s, 1000)) * 0.001f;
    uint32_t tiles = item->tile_columns * item->tile_rows, style = below(s, 5);
    uint32_t *counts = need(tiles * sizeof *counts);
    uint64_t total = 0;
    for (uint32_t t = 0; t < tiles; ++t) {
        counts[t] = style == 0 ? 0 : style == 1 ? positions : below(s, positions + 1);
        total += counts[t];
    }
    uint32_t *ids = h->channels ? NULL : need(total * sizeof *ids), predictable = below(s, 4);
    if (h->channels) item->latents = random_latents(s, h, total);
    for (uint64_t i = 0; i < total && ids; ++i) {
        bool again = predictable && i > 0 && below(s, 8) < 2 * predictable;
        ids[i] = again ? ids[i - 1] : below(s, h->codebook_size);
    }
    item->counts = counts;
    item->ids = ids;
    if (below(s, 3)) return;
    uint8_t *kept = need((size_t)tiles * mask);
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t left = counts[t];
        for (uint32_t p = 0; p < positions; ++p)
            if (below(s, positions - p) < left) {
                kept[t * mask + p / 8] |= (uint8_t)(1u << p % 8);
                --left;
            }
    }
    item->kept = kept;
}

static const void *random_value(stream *r, tsr_attribute *a) {
    char *bytes = need(a->size + 1);
    for (size_t i = 0; i < a->size; ++i)
        bytes[i] = (char)(a->type == TSR_ATTRIBUTE_TEXT ? below(r, 128) : below(r, 256));
    return bytes;
}

tsr_attribute *token_sample_attributes(uint64_t seed, uint32_t count) {
    stream r = {seed ^ 0x52545441};
    tsr_attribute *list = need(count * sizeof *list);
    for (uint32_t i = 0; i < count; ++i) {
        tsr_attribute *a = &list[i];
        char *name = need(40);
        /* Some in two bytes of UTF-8, in no order. */
        snprintf(name, 40, "%s%u\xc3\xa4%u", below(&r, 2) ? "label" : "x", below(&r, 1000), i);
        a->name = name;
        a->type = (tsr_attribute_type)below(&r, 3);
        if (a->type == TSR_ATTRIBUTE_INTEGER) {
            a->integer = (int64_t)(bits(&r) >> below(&r, 64));
            if (below(&r, 2)) a->integer = -a->integer;
            continue;
        }
        a->size = below(&r, 20);
        if (below(&r, 8)) a->bytes = random_value(&r, a);
        if (!a->bytes) a->size = 0;
    }
    return list;
}

void token_attributes_free(const tsr_attribute *list, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        free((void *)list[i].name);
        free((void *)list[i].bytes);
    }
    free((void *)list);
}

/* Half of the files have attributes and half a key index, from streams of their own. */
static void random_attributes(uint64_t seed, token_sample *sample) {
    stream r = {seed ^ 0x4B455953};
    sample->settings.key_index = (int)below(&r, 2);
    if (below(&r, 2)) return;
    for (uint32_t i = 0; i < sample->items; ++i) {
        sample->item[i].attribute_count = below(&r, 4);
        if (sample->item[i].attribute_count)
            sample->item[i].attributes =
                token_sample_attributes(seed + i, sample->item[i].attribute_count);
    }
}

void token_sample_plain(token_sample *sample) {
    sample->settings.key_index = 0;
    for (uint32_t i = 0; i < sample->items; ++i) {
        token_attributes_free(sample->item[i].attributes, sample->item[i].attribute_count);
        sample->item[i].attributes = NULL;
        sample->item[i].attribute_count = 0;
    }
}

token_sample *token_sample_random(uint64_t seed, bool small) {
    stream s = {seed};
    token_sample *sample = need(sizeof *sample);
    random_header(&s, sample, small);
    random_hints(seed, &sample->header);
    sample->items = small ? 2 : below(&s, TOKEN_SAMPLE_ITEMS + 1);
    for (uint32_t i = 0; i < sample->items; ++i)
        random_item(&s, &sample->header, &sample->item[i], small);
    random_attributes(seed, sample);
    return sample;
}

void token_sample_free(token_sample *sample) {
    for (uint32_t i = 0; sample && i < sample->items; ++i) {
        free((void *)sample->item[i].key);
        free((void *)sample->item[i].counts);
        free((void *)sample->item[i].ids);
        free((void *)sample->item[i].latents);
        free((void *)sample->item[i].kept);
        token_attributes_free(sample->item[i].attributes, sample->item[i].attribute_count);
    }
    free(sample);
}

uint8_t *token_sample_bytes(tsr_context *ctx, const token_sample *sample, size_t *size) {
    tsr_token_writer *writer;
    uint8_t *bytes;
    tsr_status s = tsr_token_writer_open_memory(ctx, &writer, &sample->header, &sample->settings);
    ck_assert_msg(s == TSR_OK, "open: %s", tsr_detail(ctx));
    for (uint32_t i = 0; i < sample->items; ++i) {
        s = tsr_token_writer_add(writer, &sample->item[i]);
        ck_assert_msg(s == TSR_OK, "add: %s", tsr_detail(ctx));
    }
    s = tsr_token_writer_close_memory(&writer, &bytes, size);
    ck_assert_msg(s == TSR_OK, "close: %s", tsr_detail(ctx));
    return bytes;
}

const char *token_header_difference(const tsr_token_header *a, const tsr_token_header *b) {
    if (strcmp(a->tokenizer, b->tokenizer)) return "tokenizer";
    if (a->family != b->family) return "family";
    if (a->weights_hash != b->weights_hash) return "weights hash";
    if (a->codebook_size != b->codebook_size) return "codebook size";
    if (a->channels != b->channels) return "channels";
    if (a->latent_type != b->latent_type) return "type of numbers";
    if (a->level_count != b->level_count) return "level count";
    if (memcmp(a->levels, b->levels, a->level_count * sizeof *a->levels)) return "levels";
    if (a->geometry != b->geometry || a->rows != b->rows || a->columns != b->columns)
        return "geometry";
    if (a->nested != b->nested) return "nested";
    if (a->tile_width != b->tile_width || a->tile_height != b->tile_height) return "tile";
    if (a->fit != b->fit || a->filter != b->filter) return "fit or filter";
    if (memcmp(a->background, b->background, 3)) return "background";
    const tsr_decode_hints *x = &a->hints, *y = &b->hints;
    if (x->present != y->present || x->steps != y->steps || x->guidance != y->guidance ||
        x->seed != y->seed || x->fast != y->fast || x->plain != y->plain)
        return "hints";
    return NULL;
}

/* Every attribute of `want`, which may be in any order, is in `got`, which rises by name. */
const char *token_attributes_difference(const tsr_attribute *got, uint32_t got_count,
                                        const tsr_attribute *want, uint32_t want_count) {
    if (got_count != want_count) return "number of attributes";
    if (!got_count != !got) return "attributes that are NULL";
    for (uint32_t i = 0; i < got_count; ++i) {
        uint32_t k = 0;
        if (i && strcmp(got[i - 1].name, got[i].name) >= 0) return "order of attributes";
        while (k < want_count && strcmp(want[k].name, got[i].name))
            ++k;
        if (k == want_count) return "name of an attribute";
        if (got[i].type != want[k].type || got[i].integer != want[k].integer ||
            got[i].size != want[k].size ||
            (got[i].size && memcmp(got[i].bytes, want[k].bytes, got[i].size)))
            return "value of an attribute";
        if (got[i].type != TSR_ATTRIBUTE_INTEGER && ((const char *)got[i].bytes)[got[i].size])
            return "zero byte behind an attribute";
    }
    return NULL;
}

/* Is position p of tile t kept, among the tile's first `most` ids? */
static bool kept_at(const tsr_token_item *item, uint32_t t, uint32_t p, uint32_t positions,
                    uint32_t most) {
    if (!item->kept) return p < item->counts[t] && p < most;
    const uint8_t *mask = item->kept + (size_t)t * ((positions + 7) / 8);
    uint32_t before = 0;
    for (uint32_t i = 0; i < p; ++i)
        before += mask[i / 8] >> i % 8 & 1;
    return (mask[p / 8] >> p % 8 & 1) && before < most;
}

const char *token_item_difference(const tsr_token_header *header, const tsr_token_item *got,
                                  const tsr_token_item *want, uint32_t most) {
    if (strcmp(got->key, want->key)) return "key";
    if (got->source_width != want->source_width || got->source_height != want->source_height)
        return "source size";
    if (got->orientation != want->orientation) return "orientation";
    if (got->width != want->width || got->height != want->height) return "size";
    if (got->crop_x != want->crop_x || got->crop_y != want->crop_y) return "crop";
    if (got->tile_columns != want->tile_columns || got->tile_rows != want->tile_rows)
        return "tiles";
    if (got->overlap != want->overlap) return "overlap";
    if (got->time != want->time) return "time";
    if (got->quality != want->quality) return "quality";
    if (got->target.metric != want->target.metric ||
        got->target.threshold != want->target.threshold ||
        got->target.reached != want->target.reached)
        return "target";
    uint32_t tiles = got->tile_columns * got->tile_rows, positions = header->rows * header->columns;
    /* Ids and numbers are of four bytes; bits are compared, so the sign of zero counts. */
    const uint32_t width = header->channels ? header->channels : 1;
    const void *first = header->channels ? (const void *)got->latents : got->ids;
    const void *second = header->channels ? (const void *)want->latents : want->ids;
    const uint8_t *a = first, *b = second;
    if ((header->channels ? (const void *)got->ids : got->latents)) return "kind of values";
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t n = want->counts[t] < most ? want->counts[t] : most;
        if (got->counts[t] != n) return "counts";
        if (n && memcmp(a, b, (size_t)n * width * 4)) return header->channels ? "vectors" : "ids";
        for (uint32_t p = 0; p < positions; ++p)
            if (kept_at(got, t, p, positions, UINT32_MAX) != kept_at(want, t, p, positions, most))
                return "kept mask";
        a += (size_t)n * width * 4;
        b += (size_t)want->counts[t] * width * 4;
    }
    return NULL;
}
