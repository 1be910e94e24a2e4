/* SPDX-License-Identifier: MIT */
/* range_coder.c: ids of tiles through the range coder. Encoder and decoder share one walk over the
 * ids, so that they cannot disagree. */
#include "range_coder.h"

enum { NO_NEIGHBOUR = 8 };

/* ---- ids -------------------------------------------------------------------------------- */

static uint32_t width_of(uint32_t count) {
    uint32_t width = 0;
    while (((uint64_t)1 << width) < count)
        ++width;
    return width;
}

tsr_range_model tsr_range_model_of(const tsr_token_header *header) {
    tsr_range_model m = {.codebook_size = header->codebook_size};
    m.by_levels = header->level_count > 0;
    for (uint32_t i = 0; i < header->level_count; ++i)
        if (header->levels[i] > 256) m.by_levels = 0;
    if (m.by_levels) {
        m.digits = header->level_count;
        for (uint32_t i = 0; i < m.digits; ++i) {
            m.radix[i] = header->levels[i];
            m.width[i] = width_of(m.radix[i]);
        }
    } else {
        for (uint32_t left = width_of(header->codebook_size); left > 0; ++m.digits) {
            uint32_t width = left < 8 ? left : 8;
            left -= width;
            m.shift[m.digits] = left;
            m.width[m.digits] = width;
        }
    }
    for (uint32_t i = 0; i < m.digits; ++i) {
        m.base[i] = m.context_count;
        m.context_count += (uint32_t)TSR_RANGE_SETS << m.width[i];
    }
    return m;
}

static void split(const tsr_range_model *m, uint32_t id, uint32_t *digits) {
    for (uint32_t i = 0; i < m->digits; ++i) {
        if (m->by_levels) {
            digits[i] = id % m->radix[i];
            id /= m->radix[i];
        } else {
            digits[i] = id >> m->shift[i] & ((1u << m->width[i]) - 1);
        }
    }
}

/* False when a digit or the id is out of range, which only a decoder can meet. */
static bool join(const tsr_range_model *m, const uint32_t *digits, uint32_t *id) {
    uint64_t value = 0, scale = 1;
    for (uint32_t i = 0; i < m->digits; ++i) {
        if (m->by_levels) {
            if (digits[i] >= m->radix[i]) return false;
            value += digits[i] * scale;
            scale *= m->radix[i];
        } else {
            value |= (uint64_t)digits[i] << m->shift[i];
        }
    }
    *id = (uint32_t)value;
    return value < m->codebook_size;
}

static uint32_t bucket_of(const tsr_range_layout *layout, uint32_t number) {
    uint32_t bucket = 0;
    if (layout->columns == 0)
        while (bucket < 7 && number + 1 >= (2u << bucket))
            ++bucket;
    return bucket;
}

static uint32_t class_of(uint32_t digit, uint32_t width) {
    return width > 3 ? digit >> (width - 3) : digit;
}

static int walk(const tsr_range_model *m, tsr_range_context *contexts,
                const tsr_range_layout *layout, tsr_range_bits *c, const uint32_t *ids,
                uint32_t *decoded) {
    tsr_range_renew(contexts, m->context_count);
    uint32_t mine[TSR_RANGE_MAX_DIGITS] = {0};
    uint32_t of_a[TSR_RANGE_MAX_DIGITS] = {0}, of_b[TSR_RANGE_MAX_DIGITS] = {0};
    const uint32_t *all = c->decoding ? decoded : ids;
    size_t start = 0, before = 0; /* of this tile's run and of the one before */
    for (uint32_t t = 0; t < layout->tiles; ++t) {
        uint32_t length = layout->lengths[t], length_before = t ? layout->lengths[t - 1] : 0;
        for (uint32_t i = 0; i < length; ++i) {
            uint32_t number = layout->first + i, bucket = bucket_of(layout, number);
            bool a = i > 0 && (layout->columns == 0 || number % layout->columns != 0);
            bool b = layout->columns ? i >= layout->columns : i < length_before;
            if (a) split(m, all[start + i - 1], of_a);
            if (b)
                split(m, layout->columns ? all[start + i - layout->columns] : all[before + i],
                      of_b);
            if (!c->decoding) split(m, ids[start + i], mine);
            for (uint32_t d = 0; d < m->digits; ++d) {
                uint32_t width = m->width[d], node = 1;
                uint32_t class_a = a ? class_of(of_a[d], width) : NO_NEIGHBOUR;
                uint32_t class_b = b ? class_of(of_b[d], width) : NO_NEIGHBOUR;
                tsr_range_context *base = contexts + m->base[d];
                for (uint32_t left = width; left-- > 0;) {
                    tsr_range_context *three[3] = {
                        base + ((size_t)bucket << width) + node,
                        base + ((size_t)(8 + class_a) << width) + node,
                        base + ((size_t)(17 + class_b) << width) + node,
                    };
                    int bit = tsr_range_mixed(c, three, (int)(mine[d] >> left & 1));
                    node = node << 1 | (uint32_t)bit;
                }
                if (c->decoding) mine[d] = node - (1u << width);
            }
            if (c->decoding && !join(m, mine, &decoded[start + i])) return -1;
            if (c->full) return -1;
        }
        before = start;
        start += length;
    }
    return 0;
}

size_t tsr_range_encode(const tsr_range_model *model, tsr_range_context *contexts,
                        const tsr_range_layout *layout, const uint32_t *ids, uint8_t *bytes,
                        size_t room) {
    tsr_range_bits c = tsr_range_encoder(bytes, room);
    if (walk(model, contexts, layout, &c, ids, NULL)) return SIZE_MAX;
    tsr_range_flush(&c);
    return c.full ? SIZE_MAX : c.at;
}

int tsr_range_decode(const tsr_range_model *model, tsr_range_context *contexts,
                     const tsr_range_layout *layout, const uint8_t *bytes, size_t size,
                     uint32_t *ids) {
    tsr_range_bits c = tsr_range_decoder(bytes, size);
    return walk(model, contexts, layout, &c, NULL, ids);
}
