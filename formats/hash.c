/* SPDX-License-Identifier: MIT */
/* hash.c: XXH64 as its specification describes it: four lanes eat 32 bytes a turn, the rest is
 * mixed in by 8, 4 and 1 bytes, and an avalanche spreads the last bits. */
#include "hash.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

/* Little-endian whatever the machine; compilers see one load. */
static uint64_t load64(const uint8_t *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

static uint64_t load32(const uint8_t *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t round64(uint64_t lane, uint64_t word) {
    return rotate(lane + word * P2, 31) * P1;
}

static const uint8_t *eat(uint64_t lane[4], const uint8_t *p, const uint8_t *end) {
    uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
    for (; end - p >= 32; p += 32) {
        a = round64(a, load64(p));
        b = round64(b, load64(p + 8));
        c = round64(c, load64(p + 16));
        d = round64(d, load64(p + 24));
    }
    lane[0] = a, lane[1] = b, lane[2] = c, lane[3] = d;
    return p;
}

void tsr_hash_start(tsr_hash *hash, uint64_t seed) {
    *hash = (tsr_hash){.lane = {seed + P1 + P2, seed + P2, seed, seed - P1}, .seed = seed};
}

void tsr_hash_add(tsr_hash *hash, const void *bytes, size_t size) {
    if (size == 0) return;
    const uint8_t *p = bytes, *end = p + size;
    size_t held = hash->total % 32;
    hash->total += size;
    if (held) {
        size_t take = 32 - held < size ? 32 - held : size;
        memcpy(hash->held + held, p, take);
        p += take;
        if (held + take < 32) return;
        eat(hash->lane, hash->held, hash->held + 32);
    }
    p = eat(hash->lane, p, end);
    memcpy(hash->held, p, (size_t)(end - p));
}

uint64_t tsr_hash_finish(const tsr_hash *hash) {
    const uint64_t *v = hash->lane;
    uint64_t h = hash->seed + P5;
    if (hash->total >= 32) {
        h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
        for (int i = 0; i < 4; ++i)
            h = (h ^ round64(0, v[i])) * P1 + P4;
    }
    h += hash->total;
    const uint8_t *p = hash->held, *end = p + hash->total % 32;
    for (; end - p >= 8; p += 8)
        h = rotate(h ^ round64(0, load64(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        h = rotate(h ^ load32(p) * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; ++p)
        h = rotate(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

uint64_t tsr_hash64(const void *bytes, size_t size, uint64_t seed) {
    tsr_hash hash;
    tsr_hash_start(&hash, seed);
    tsr_hash_add(&hash, bytes, size);
    return tsr_hash_finish(&hash);
}
