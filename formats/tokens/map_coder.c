/* SPDX-License-Identifier: MIT */
/* map_coder.c: index maps of clips. Most cells repeat a neighbour in time or space, so that is
 * asked first, under contexts that say whether the surroundings repeat theirs. Encoder and decoder
 * share one walk over the ids, so that they cannot disagree. */
#include "map_coder.h"

enum {
    NEIGHBOURS = 3, /* before, left, up */
    STILL = 9,      /* two comparisons of three outcomes */
    AGREE = 27,     /* three */
    VALUES = 256,   /* lowest bits of an id */
    COPY_SETS = STILL + AGREE + VALUES,
    DIGIT_BITS = 8,
    MOST_DIGITS = 4
};

/* How an id is cut into digits. */
typedef struct digits {
    uint32_t count, shift[MOST_DIGITS], width[MOST_DIGITS];
    size_t base[MOST_DIGITS]; /* where a digit's contexts start */
    size_t contexts;
} digits;

static digits digits_of(uint32_t codes) {
    digits d = {.contexts = NEIGHBOURS * COPY_SETS};
    uint32_t left = 0;
    while (((uint64_t)1 << left) < codes)
        ++left;
    for (; left > 0; ++d.count) {
        const uint32_t width = left < DIGIT_BITS ? left : DIGIT_BITS;
        left -= width;
        d.shift[d.count] = left;
        d.width[d.count] = width;
        d.base[d.count] = d.contexts;
        /* alone, and for each digit of two neighbours, that may not be there */
        d.contexts += ((size_t)1 + 2 * (((size_t)1 << width) + 1)) << width;
    }
    return d;
}

size_t tsr_map_context_count(uint32_t codes) {
    return digits_of(codes).contexts;
}

/* A cell beside the one that is coded. */
typedef struct neighbour {
    bool there;
    uint32_t id;
} neighbour;

static uint32_t compare(neighbour a, neighbour b) {
    return !a.there || !b.there ? 0 : a.id == b.id ? 2 : 1;
}

/* Contexts of asking for each neighbour. */
typedef struct surroundings {
    neighbour beside[NEIGHBOURS];
    uint32_t still, agree;
} surroundings;

static surroundings look_around(const tsr_map_layout *m, const uint32_t *ids, size_t at,
                                uint32_t frame, uint32_t row, uint32_t column) {
    const size_t cells = (size_t)m->rows * m->columns;
    surroundings s = {0};
    neighbour left_before = {0}, up_before = {0};
    neighbour *before = &s.beside[0], *left = &s.beside[1], *up = &s.beside[2];
    if (frame) *before = (neighbour){true, ids[at - cells]};
    if (column) *left = (neighbour){true, ids[at - 1]};
    if (row) *up = (neighbour){true, ids[at - m->columns]};
    if (frame && column) left_before = (neighbour){true, ids[at - cells - 1]};
    if (frame && row) up_before = (neighbour){true, ids[at - cells - m->columns]};
    s.still = compare(*left, left_before) * 3 + compare(*up, up_before);
    s.agree = (compare(*before, *left) * 3 + compare(*before, *up)) * 3 + compare(*left, *up);
    return s;
}

/* Was this neighbour's id asked for already? */
static bool asked(const surroundings *s, int n) {
    for (int i = 0; i < n; ++i)
        if (s->beside[i].there && s->beside[i].id == s->beside[n].id) return true;
    return false;
}

/* Codes whether the cell is a copy of a neighbour; true: it is, and *id is that. */
static bool code_copy(tsr_range_bits *c, tsr_range_context *contexts, const surroundings *s,
                      uint32_t *id) {
    for (int n = 0; n < NEIGHBOURS; ++n) {
        if (!s->beside[n].there || asked(s, n)) continue;
        const uint32_t candidate = s->beside[n].id;
        tsr_range_context *base = contexts + (size_t)n * COPY_SETS;
        tsr_range_context *three[3] = {base + s->still, base + STILL + s->agree,
                                       base + STILL + AGREE + candidate % VALUES};
        if (!tsr_range_mixed(c, three, *id == candidate)) continue;
        *id = candidate;
        return true;
    }
    return false;
}

static void code_digits(tsr_range_bits *c, tsr_range_context *contexts, const digits *d,
                        const surroundings *s, uint32_t *id) {
    uint32_t got = 0;
    for (uint32_t i = 0; i < d->count; ++i) {
        const uint32_t width = d->width[i], mask = (1u << width) - 1;
        const size_t set = (size_t)1 << width; /* contexts of one set, by node */
        size_t beside[2];
        for (int n = 0; n < 2; ++n)
            beside[n] = s->beside[n].there ? s->beside[n].id >> d->shift[i] & mask : set;
        tsr_range_context *alone = contexts + d->base[i];
        tsr_range_context *first = alone + set * (1 + beside[0]);
        tsr_range_context *second = alone + set * (1 + (set + 1) + beside[1]);
        uint32_t node = 1;
        for (uint32_t left = width; left-- > 0;) {
            tsr_range_context *three[3] = {alone + node, first + node, second + node};
            const int bit = (int)(*id >> (d->shift[i] + left) & 1);
            node = node << 1 | (uint32_t)tsr_range_mixed(c, three, bit);
        }
        got |= (node & mask) << d->shift[i];
    }
    *id = got;
}

static int walk(const tsr_map_layout *m, tsr_range_context *contexts, tsr_range_bits *c,
                const uint32_t *ids, uint32_t *decoded) {
    const digits d = digits_of(m->codes);
    const uint32_t *all = c->decoding ? decoded : ids;
    size_t at = 0;
    tsr_range_renew(contexts, d.contexts);
    for (uint32_t frame = 0; frame < m->frames; ++frame)
        for (uint32_t row = 0; row < m->rows; ++row)
            for (uint32_t column = 0; column < m->columns; ++column, ++at) {
                const surroundings s = look_around(m, all, at, frame, row, column);
                uint32_t id = c->decoding ? 0 : ids[at];
                if (!code_copy(c, contexts, &s, &id)) code_digits(c, contexts, &d, &s, &id);
                if (c->full || id >= m->codes) return -1;
                if (c->decoding) decoded[at] = id;
            }
    return 0;
}

size_t tsr_map_encode(const tsr_map_layout *layout, tsr_range_context *contexts,
                      const uint32_t *ids, uint8_t *bytes, size_t room) {
    tsr_range_bits c = tsr_range_encoder(bytes, room);
    if (walk(layout, contexts, &c, ids, NULL)) return SIZE_MAX;
    tsr_range_flush(&c);
    return c.full ? SIZE_MAX : c.at;
}

int tsr_map_decode(const tsr_map_layout *layout, tsr_range_context *contexts, const uint8_t *bytes,
                   size_t size, uint32_t *ids) {
    tsr_range_bits c = tsr_range_decoder(bytes, size);
    return walk(layout, contexts, &c, NULL, ids);
}
