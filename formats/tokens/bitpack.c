/* SPDX-License-Identifier: MIT */
/* bitpack.c: through a 64-bit register that never holds more than 7 + 32 bits. */
#include "bitpack.h"

uint64_t tsr_bitpack_bytes(uint64_t n, uint32_t width) {
    return (n * width + 7) / 8;
}

static uint64_t mask_of(uint32_t width) {
    return ((uint64_t)1 << width) - 1;
}

void tsr_bitpack(const uint32_t *ids, uint64_t n, uint32_t width, uint8_t *bytes) {
    uint64_t held = 0, mask = mask_of(width);
    uint32_t bits = 0;
    for (uint64_t i = 0; i < n; ++i) {
        held |= (ids[i] & mask) << bits;
        for (bits += width; bits >= 8; bits -= 8, held >>= 8)
            *bytes++ = (uint8_t)held;
    }
    if (bits) *bytes = (uint8_t)held;
}

bool tsr_bitunpack(const uint8_t *bytes, uint64_t n, uint32_t width, uint32_t *ids) {
    if (width == 16) { /* codebooks of 32769 to 65536: no id depends on the one before it */
        for (uint64_t i = 0; i < n; ++i)
            ids[i] = (uint32_t)bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
        return true;
    }
    uint64_t held = 0, mask = mask_of(width);
    uint32_t bits = 0;
    for (uint64_t i = 0; i < n; ++i) {
        for (; bits < width; bits += 8)
            held |= (uint64_t)*bytes++ << bits;
        ids[i] = (uint32_t)(held & mask);
        held >>= width;
        bits -= width;
    }
    return held == 0;
}
