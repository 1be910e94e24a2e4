/* SPDX-License-Identifier: MIT */
/* time_coder.c: see time_coder.h. Encoder, decoder and learner share one walk over the ids, so that
 * they cannot disagree. */
#include "time_coder.h"
#include "token_layout.h"

#include <stdlib.h>

enum {
    CONTEXTS_OF_ID = 1024, /* so many for each id of a frame, from the least to the most */
    LEAST_BITS = 10,
    CONTEXTS = 1 << TSR_TIME_CONTEXT_BITS,
    FULL_COUNT = 255,
    START_WEIGHT = 19661, /* 0.3: five of them make 1.5 */
    MOST_WEIGHT = 1 << 22,
    LEARNING_SHIFT = 14,
    MOST_STRETCH = 2047, /* in 1/256 */
    LEAST = 32,          /* probability in 1/65536 */
    NONE = 0xffff        /* in place of a digit that is not there */
};

/* 65536 / (1 + exp(-x)) at x = -8, -7.5, ... 8, rounded. */
static const int32_t logistic[33] = {22,    36,    60,    98,    162,   267,   439,   720,   1179,
                                     1921,  3108,  4971,  7812,  11955, 17625, 24743, 32768, 40793,
                                     47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097,
                                     65269, 65374, 65438, 65476, 65500, 65514};

/* Probability of a 1, in 1/65536, of x in 1/256. */
static int32_t squash(int32_t x) {
    const int32_t at = x + 2048, i = at >> 7, part = at & 127;
    return (logistic[i] * (128 - part) + logistic[i + 1] * part) >> 7;
}

/* The inverse, of a probability in 1/4096. */
static void make_stretch(tsr_time_coder *t) {
    int32_t x = -MOST_STRETCH;
    for (int32_t p = 0; p < 4096; ++p) {
        while (x < MOST_STRETCH && squash(x) < 16 * p + 8)
            ++x;
        t->stretch[p] = (int16_t)x;
    }
    t->ready = true;
}

void tsr_time_coder_free(tsr_time_coder *t) {
    free(t->contexts);
    free(t->last);
    free(t->before);
    free(t->copied);
    free(t->same);
    free(t->seen);
    *t = (tsr_time_coder){0};
}

tsr_status tsr_time_begin(tsr_context *ctx, tsr_time_coder *t, const tsr_range_model *model,
                          uint64_t cells, uint32_t tiles) {
    const size_t n = cells ? (size_t)cells : 1;
    tsr_status s = TSR_OK;
    if (!t->contexts) t->contexts = tsr_alloc(ctx, CONTEXTS, sizeof *t->contexts, "time coder");
    if (!t->contexts) return TSR_ERROR_MEMORY;
    s = tsr_grow(ctx, &t->last, &t->last_room, n, sizeof *t->last, "time coder");
    if (!s) s = tsr_grow(ctx, &t->before, &t->before_room, n, sizeof *t->before, "time coder");
    if (!s) s = tsr_grow(ctx, &t->copied, &t->copied_room, n, 1, "time coder");
    if (!s) s = tsr_grow(ctx, &t->same, &t->same_room, tiles, 1, "time coder");
    if (!s) s = tsr_grow(ctx, &t->seen, &t->seen_room, tiles, 1, "time coder");
    if (s) return s;
    if (!t->ready) make_stretch(t);
    t->bits = LEAST_BITS;
    while (t->bits < TSR_TIME_CONTEXT_BITS && (uint64_t)1 << t->bits < CONTEXTS_OF_ID * cells)
        ++t->bits;
    tsr_range_renew(t->contexts, (size_t)1 << t->bits);
    tsr_range_renew(t->still, sizeof t->still / sizeof *t->still);
    for (int m = 0; m < TSR_TIME_MIXERS; ++m)
        for (int i = 0; i < TSR_TIME_INPUTS; ++i)
            t->weights[m][i] = START_WEIGHT;
    memset(t->copied, 0, n);
    memset(t->same, 2, tiles);
    memset(t->seen, 0, tiles);
    t->model = model;
    return TSR_OK;
}

uint64_t tsr_time_cells(const tsr_time_layout *l) {
    uint64_t cells = 0;
    for (uint32_t i = 0; i < l->tiles; ++i)
        cells += l->frame && l->frame < l->lengths[i] ? l->frame : l->lengths[i];
    return cells;
}

/* ---- bits ----------------------------------------------------------------------------------- */

/* A walk: what it codes with, in which direction. */
typedef struct walk {
    tsr_time_coder *t;
    tsr_range_bits bits;
    bool learning; /* nothing is coded */
} walk;

static void learn_bit(tsr_range_context *c, int bit) {
    if (bit)
        c->p = (uint16_t)(c->p + (65535u - c->p) / (c->n + 2u));
    else
        c->p = (uint16_t)(c->p - c->p / (c->n + 2u));
    if (c->n < FULL_COUNT) ++c->n;
}

static int32_t within(int64_t value, int32_t most) {
    return value < -most ? -most : value > most ? most : (int32_t)value;
}

/* What a bit is coded with is never quite certain. */
static int32_t likely(int32_t p) {
    return p < LEAST ? LEAST : p > 65536 - LEAST ? 65536 - LEAST : p;
}

static int code_bit(walk *w, int32_t p, int bit) {
    return w->learning ? bit : tsr_range_bit(&w->bits, (uint32_t)p, bit);
}

/* A bit under the contexts that are numbered, mixed by the weights of `mixer`. */
static int code_mixed(walk *w, int mixer, const uint32_t at[TSR_TIME_INPUTS], int bit) {
    tsr_time_coder *t = w->t;
    int32_t *weight = t->weights[mixer], input[TSR_TIME_INPUTS];
    int64_t sum = 0;
    for (int i = 0; i < TSR_TIME_INPUTS; ++i) {
        input[i] = t->stretch[t->contexts[at[i]].p >> 4];
        sum += (int64_t)weight[i] * input[i];
    }
    /* halves of a negative sum go down: shifts of negative numbers are left to the compiler */
    const int64_t x = sum >= 0 ? sum / 65536 : -((65535 - sum) / 65536);
    const int32_t p = likely(squash(within(x, MOST_STRETCH)));
    bit = code_bit(w, p, bit);
    const int32_t error = (bit ? 65536 : 0) - p;
    for (int i = 0; i < TSR_TIME_INPUTS; ++i) {
        const int32_t step = input[i] * error + (1 << (LEARNING_SHIFT - 1)),
                      one = 1 << LEARNING_SHIFT;
        const int32_t change = step >= 0 ? step / one : -((one - 1 - step) / one);
        weight[i] = within((int64_t)weight[i] + change, MOST_WEIGHT);
        learn_bit(&t->contexts[at[i]], bit);
    }
    return bit;
}

/* Numbers of contexts: a hash of which kind it is and what it goes by, then of the node. */
static uint32_t stirred(uint32_t h) {
    h *= 0x9E3779B1u;
    return h ^ h >> 15;
}

static uint32_t hashed(uint32_t kind, uint32_t a, uint32_t b, uint32_t c) {
    return stirred(stirred(stirred(stirred(kind + 1) + a) + b) + c);
}

static uint32_t numbered(const walk *w, uint32_t hash, uint32_t node) {
    return stirred(hash + node) >> (32 - w->t->bits);
}

/* ---- ids ------------------------------------------------------------------------------------ */

/* What is known of the place of an id. */
typedef struct place {
    const uint32_t *ids;    /* of this frame of the tile, up to the place */
    const uint32_t *last;   /* of the frame before: NULL: none */
    const uint32_t *before; /* of the one before that */
    const uint8_t *copied;  /* of the frame before, from this place on */
    uint32_t i, length, columns;
} place;

/* 1: the neighbour so far back is what it was in the frame before; 0: it is not; 2: there is none.
 */
static uint32_t kept(const place *p, uint32_t back, bool there) {
    return !there ? 2 : p->ids[p->i - back] == p->last[p->i - back];
}

static int code_copy(walk *w, const place *p, int copy) {
    const uint32_t i = p->i, columns = p->columns, id = p->last[i], was = p->copied[i];
    const bool row = !columns || i % columns;
    const uint32_t left = kept(p, 1, i > 0 && row), left2 = kept(p, 2, i > 1);
    const uint32_t up = kept(p, columns, columns && i >= columns);
    const uint32_t next = i + 1 < p->length ? p->copied[i + 1] : 2;
    const uint32_t held = !p->before ? 2 : p->before[i] == id;
    uint32_t bucket = 0;
    while (bucket < 7 && i + 1 >= 2u << bucket)
        ++bucket;
    const uint32_t at[TSR_TIME_INPUTS] = {
        numbered(w, hashed(1, left, up, was), 0),
        numbered(w, hashed(2, i, was, 0), 0),
        numbered(w, hashed(3, id, 0, 0), 0),
        numbered(w, hashed(4, left * 3 + left2, up * 3 + next, bucket), 0),
        numbered(w, hashed(5, held, left, up), 0),
    };
    return code_mixed(w, (int)was, at, copy);
}

static uint32_t digit_of(const tsr_range_model *m, uint32_t *id, uint32_t d) {
    if (!m->by_levels) return *id >> m->shift[d] & ((1u << m->width[d]) - 1);
    const uint32_t digit = *id % m->radix[d];
    *id /= m->radix[d];
    return digit;
}

/* Codes an id digit by digit; false: no id below the codebook's size was decoded. */
static bool code_id(walk *w, const place *p, uint32_t *id) {
    const tsr_range_model *m = w->t->model;
    uint32_t mine_left = *id, last_left = p->last ? p->last[p->i] : 0;
    uint32_t before_left = p->before ? p->before[p->i] : 0;
    uint32_t prefix = 0, digit_before = 0, last_before = 0;
    uint64_t value = 0, scale = 1;
    bool equal = true;
    for (uint32_t d = 0; d < m->digits; ++d) {
        const uint32_t width = m->width[d], shift = width > 3 ? width - 3 : 0;
        const uint32_t mine = digit_of(m, &mine_left, d);
        const uint32_t last = digit_of(m, &last_left, d), before = digit_of(m, &before_left, d);
        const uint32_t l = p->last ? last : NONE, b = p->before ? before : NONE;
        const uint32_t hash[TSR_TIME_INPUTS] = {
            hashed(16 + d, l, equal, 0),
            hashed(32 + d, p->i, 0, 0),
            hashed(48 + d, p->last ? last >> shift : NONE, digit_before, last_before),
            hashed(64 + d, l, b, 0),
            hashed(80 + d, prefix, 0, 0),
        };
        const int mixer = 2 + 4 * (int)d + 2 * (p->last != NULL) + equal;
        uint32_t node = 1;
        for (uint32_t left = width; left-- > 0;) {
            uint32_t at[TSR_TIME_INPUTS];
            for (int i = 0; i < TSR_TIME_INPUTS; ++i)
                at[i] = numbered(w, hash[i], node);
            node = node << 1 | (uint32_t)code_mixed(w, mixer, at, (int)(mine >> left & 1));
        }
        const uint32_t digit = node - (1u << width);
        if (m->by_levels && digit >= m->radix[d]) return false;
        value += m->by_levels ? digit * scale : (uint64_t)digit << m->shift[d];
        scale *= m->by_levels ? m->radix[d] : 1;
        equal = equal && p->last && digit == last;
        digit_before = digit;
        last_before = l;
        prefix = prefix * 256 + digit + 1;
    }
    *id = (uint32_t)value;
    return value < m->codebook_size;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* Codes whether a tile is all as it was; *same of the tile becomes that. */
static bool code_still(walk *w, uint8_t *same, uint32_t tile_before, bool still) {
    tsr_range_context *c = &w->t->still[*same * 3 + tile_before];
    const int bit = code_bit(w, likely(c->p), still);
    learn_bit(c, bit);
    *same = (uint8_t)bit;
    return bit;
}

/* Codes ids [length] of one frame of a tile; last and before are what is known of it, and become
 * what is known of the next. Returns 0, or -1. */
static int code_frame(walk *w, uint32_t *decoded, const uint32_t *ids, uint32_t length,
                      uint32_t columns, size_t cell, uint32_t tile, uint32_t frames) {
    tsr_time_coder *t = w->t;
    uint32_t *last = t->last + cell, *before = t->before + cell;
    uint8_t *copied = t->copied + cell;
    const bool decoding = w->bits.decoding;
    if (frames && length) {
        const bool still = !decoding && !memcmp(ids, last, length * sizeof *ids);
        const uint32_t tile_before = tile ? t->same[tile - 1] : 2;
        if (code_still(w, &t->same[tile], tile_before, still)) {
            if (decoding) memcpy(decoded, last, length * sizeof *ids);
            memcpy(before, last, length * sizeof *ids);
            memset(copied, 1, length);
            return w->bits.full ? -1 : 0;
        }
    }
    place p = {.ids = decoding ? decoded : ids,
               .last = frames ? last : NULL,
               .before = frames > 1 ? before : NULL,
               .copied = copied,
               .length = length,
               .columns = columns};
    uint32_t changed = 0;
    for (uint32_t i = 0; i < length; ++i) {
        uint32_t id = decoding ? 0 : ids[i];
        p.i = i;
        const int copy = frames ? code_copy(w, &p, !decoding && id == last[i]) : 0;
        if (copy)
            id = last[i];
        else if (!code_id(w, &p, &id) || (frames && id == last[i]) || w->bits.full)
            return -1;
        changed += !copy;
        if (decoding) decoded[i] = id;
        copied[i] = (uint8_t)copy;
    }
    if (w->bits.full || (frames && length && !changed)) return -1;
    if (length) memcpy(before, last, length * sizeof *ids);
    if (length) memcpy(last, p.ids, length * sizeof *ids);
    return 0;
}

static int walk_item(walk *w, const tsr_time_layout *l, const uint32_t *ids, uint32_t *decoded) {
    size_t at = 0, cell = 0;
    for (uint32_t tile = 0; tile < l->tiles; ++tile) {
        const uint32_t length = l->lengths[tile];
        const uint32_t frame = l->frame && l->frame < length ? l->frame : length;
        uint8_t *seen = &w->t->seen[tile];
        for (uint32_t done = 0; done < length; done += frame, at += frame) {
            if (code_frame(w, decoded ? decoded + at : NULL, ids ? ids + at : NULL, frame,
                           l->columns, cell, tile, *seen))
                return -1;
            *seen += *seen < 2;
        }
        cell += frame;
    }
    return 0;
}

void tsr_time_learn(tsr_time_coder *t, const tsr_time_layout *layout, const uint32_t *ids) {
    walk w = {.t = t, .learning = true};
    walk_item(&w, layout, ids, NULL);
}

size_t tsr_time_encode(tsr_time_coder *t, const tsr_time_layout *layout, const uint32_t *ids,
                       uint8_t *bytes, size_t room) {
    walk w = {.t = t, .bits = tsr_range_encoder(bytes, room)};
    if (walk_item(&w, layout, ids, NULL)) return SIZE_MAX;
    tsr_range_flush(&w.bits);
    return w.bits.full ? SIZE_MAX : w.bits.at;
}

int tsr_time_decode(tsr_time_coder *t, const tsr_time_layout *layout, const uint8_t *bytes,
                    size_t size, uint32_t *ids) {
    walk w = {.t = t, .bits = tsr_range_decoder(bytes, size)};
    return walk_item(&w, layout, NULL, ids);
}
