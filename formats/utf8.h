/* SPDX-License-Identifier: MIT */
/* utf8.h: checking and writing UTF-8 (RFC 3629). */
#ifndef FORMATS_UTF8_H
#define FORMATS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if text is UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Otherwise *bad
 * becomes the offset of the first wrong sequence; bad may be NULL. */
static inline bool tsr_utf8_valid(const void *text, size_t size, size_t *bad) {
    const uint8_t *p = text;
    for (size_t i = 0; i < size;) {
        uint8_t lead = p[i];
        size_t more = lead < 0x80                   ? 0
                      : lead >= 0xC2 && lead < 0xE0 ? 1
                      : lead >= 0xE0 && lead < 0xF0 ? 2
                      : lead >= 0xF0 && lead < 0xF5 ? 3
                                                    : 9;
        bool good = more != 9 && more < size - i;
        for (size_t k = 1; good && k <= more; ++k)
            good = (p[i + k] & 0xC0) == 0x80;
        if (good && more >= 2) {
            uint8_t second = p[i + 1];
            good = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) &&
                   !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second > 0x8F);
        }
        if (!good) {
            if (bad) *bad = i;
            return false;
        }
        i += more + 1;
    }
    return true;
}

/* Code point at *at of valid text that does not end there; *at moves behind it. */
static inline uint32_t tsr_utf8_next(const char **at) {
    const uint8_t *p = (const uint8_t *)*at;
    const int more = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
    uint32_t c = more ? *p & (0x3Fu >> more) : *p;
    for (int i = 1; i <= more; ++i)
        c = c << 6 | (p[i] & 0x3Fu);
    *at += more + 1;
    return c;
}

/* Writes code point `c` (below 0x110000) to at least 4 bytes and returns how many it took. */
static inline size_t tsr_utf8_put(uint32_t c, char *to) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    for (size_t k = more; k > 0; --k, c >>= 6)
        to[k] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(lead[more] | c);
    return more + 1;
}

#endif
