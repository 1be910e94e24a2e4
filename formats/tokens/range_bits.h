/* SPDX-License-Identifier: MIT */
/* range_bits.h: the adaptive binary range coder under ids and maps; SPEC.md, section 9. G. N. N.
 * Martin, "Range encoding: an algorithm for removing redundancy from a digitised message", 1979;
 * probabilities start as the Krichevsky-Trofimov estimator. All arithmetic is in integers, so every
 * machine gives the same bytes. In a header, since it is the inner loop of two coders. */
#ifndef FORMATS_RANGE_BITS_H
#define FORMATS_RANGE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TSR_RANGE_FULL_COUNT = 62, TSR_RANGE_FULL_WEIGHT = 15 };
#define TSR_RANGE_LEAST 64u /* probability in 1/65536 */
#define TSR_RANGE_MOST  (65536u - TSR_RANGE_LEAST)
#define TSR_RANGE_TOP   ((uint32_t)1 << 24)

/* Adaptive probability of one binary decision. */
typedef struct tsr_range_context {
    uint16_t p; /* probability of a 1, in 1/65536 */
    uint16_t n; /* bits coded so far, at most 62 */
} tsr_range_context;

/* A coder at work, in one direction. */
typedef struct tsr_range_bits {
    bool decoding;
    uint32_t low, range, code;
    const uint8_t *in;
    uint8_t *out;
    size_t at, size;
    bool full; /* out of room while encoding */
} tsr_range_bits;

static inline void tsr_range_put(tsr_range_bits *c, uint8_t byte) {
    if (c->at == c->size)
        c->full = true;
    else
        c->out[c->at++] = byte;
}

static inline void tsr_range_carry(tsr_range_bits *c) {
    for (size_t i = c->at; i-- > 0;)
        if (++c->out[i] != 0) return;
}

static inline uint32_t tsr_range_byte(tsr_range_bits *c) {
    return c->at < c->size ? c->in[c->at++] : 0;
}

/* Codes `bit`, whose probability of being 1 is p; returns it. */
static inline int tsr_range_bit(tsr_range_bits *c, uint32_t p, int bit) {
    uint32_t bound = (c->range >> 16) * p;
    if (c->decoding) bit = c->code < bound;
    if (bit) {
        c->range = bound;
    } else {
        c->range -= bound;
        if (c->decoding)
            c->code -= bound;
        else if ((c->low += bound) < bound)
            tsr_range_carry(c);
    }
    for (; c->range < TSR_RANGE_TOP; c->range <<= 8) {
        if (c->decoding) {
            c->code = c->code << 8 | tsr_range_byte(c);
        } else {
            tsr_range_put(c, (uint8_t)(c->low >> 24));
            c->low <<= 8;
        }
    }
    return bit;
}

/* Ends an encoder: its bytes are out[0 .. at). */
static inline void tsr_range_flush(tsr_range_bits *c) {
    uint64_t first = c->low, last = first + c->range - 1, value = last;
    for (int zeros = 32; zeros > 0; --zeros) {
        uint64_t candidate = last >> zeros << zeros;
        if (candidate >= first) {
            value = candidate;
            break;
        }
    }
    if (value >> 32) tsr_range_carry(c);
    /* Zero bytes at the end need not be there, so they must not make it full either. */
    uint32_t rest = (uint32_t)value;
    for (; rest && !c->full; rest <<= 8)
        tsr_range_put(c, (uint8_t)(rest >> 24));
    while (c->at && c->out[c->at - 1] == 0)
        --c->at;
}

/* Codes a bit by the mixed probability of three contexts, which learn it. */
static inline int tsr_range_mixed(tsr_range_bits *c, tsr_range_context *const three[3], int bit) {
    uint32_t sum = 0, weights = 0;
    for (int i = 0; i < 3; ++i) {
        uint32_t weight =
            (three[i]->n < TSR_RANGE_FULL_WEIGHT ? three[i]->n : TSR_RANGE_FULL_WEIGHT) + 1u;
        sum += weight * three[i]->p;
        weights += weight;
    }
    uint32_t p = sum / weights;
    bit = tsr_range_bit(c,
                        p < TSR_RANGE_LEAST  ? TSR_RANGE_LEAST
                        : p > TSR_RANGE_MOST ? TSR_RANGE_MOST
                                             : p,
                        bit);
    for (int i = 0; i < 3; ++i) {
        tsr_range_context *t = three[i];
        if (bit)
            t->p = (uint16_t)(t->p + (65535u - t->p) / (t->n + 2u));
        else
            t->p = (uint16_t)(t->p - t->p / (t->n + 2u));
        if (t->n < TSR_RANGE_FULL_COUNT) ++t->n;
    }
    return bit;
}

/* Makes all contexts new. */
static inline void tsr_range_renew(tsr_range_context *contexts, size_t count) {
    for (size_t i = 0; i < count; ++i)
        contexts[i] = (tsr_range_context){.p = 32768, .n = 0};
}

static inline tsr_range_bits tsr_range_encoder(uint8_t *bytes, size_t room) {
    return (tsr_range_bits){.range = UINT32_MAX, .out = bytes, .size = room};
}

static inline tsr_range_bits tsr_range_decoder(const uint8_t *bytes, size_t size) {
    tsr_range_bits c = {.decoding = true, .range = UINT32_MAX, .in = bytes, .size = size};
    for (int i = 0; i < 4; ++i)
        c.code = c.code << 8 | tsr_range_byte(&c);
    return c;
}

#endif
