/* SPDX-License-Identifier: MIT */
/* Any bytes as a PNG, and once more with every chunk's checksum made right, or hardly any change
 * would get behind it. */
#include <string.h>
#include "decode_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *p, size_t size) {
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < size; ++i) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static void repair(uint8_t *p, size_t size) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    memcpy(p, signature, 8);
    for (size_t at = 8; size - at >= 12;) {
        size_t length =
            (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (length > size - at - 12) return;
        uint32_t crc = crc32_of(p + at + 4, length + 4);
        for (int i = 0; i < 4; ++i)
            p[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode_bytes(data, size);
    if (size < 20) return 0;
    uint8_t *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    repair(copy, size);
    decode_bytes(copy, size);
    free(copy);
    return 0;
}
