/* SPDX-License-Identifier: MIT */
/* rng.c: see rng.h for the source of the function and its layout. */
#include "rng.h"

#include <math.h>

void tsr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

double tsr_random_unit(uint64_t seed, uint64_t stream, uint64_t index) {
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    tsr_philox(counter, key, word);
    return (double)(((uint64_t)word[1] << 32 | word[0]) >> 11) * 0x1p-53;
}

void tsr_random_normals(uint64_t seed, uint64_t stream, int64_t count, float *normals) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int64_t i = 0; i < count; i += 2) {
        const uint64_t pair = (uint64_t)i / 2;
        const uint32_t counter[4] = {(uint32_t)pair, (uint32_t)(pair >> 32), (uint32_t)stream,
                                     (uint32_t)(stream >> 32)};
        uint32_t w[4];
        tsr_philox(counter, key, w);
        const double u = (double)((((uint64_t)w[1] << 32 | w[0]) >> 11) + 1) * 0x1p-53;
        const double a = 2 * M_PI * ((double)(((uint64_t)w[3] << 32 | w[2]) >> 11) * 0x1p-53);
        const double r = sqrt(-2 * log(u));
        normals[i] = (float)(r * cos(a));
        if (i + 1 < count) normals[i + 1] = (float)(r * sin(a));
    }
}
