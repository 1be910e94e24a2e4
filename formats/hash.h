/* SPDX-License-Identifier: MIT */
/* hash.h: XXH64, a 64-bit checksum for telling files and models apart. Not for secrets: someone who
 * wants two inputs with one hash can make them. The same on every machine. */
#ifndef FORMATS_HASH_H
#define FORMATS_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct tsr_hash {
    uint64_t lane[4], seed, total;
    uint8_t held[32]; /* total % 32 bytes wait here */
} tsr_hash;

/* In pieces; the pieces' borders do not matter. finish may be called again after more adds. */
void tsr_hash_start(tsr_hash *hash, uint64_t seed);
void tsr_hash_add(tsr_hash *hash, const void *bytes, size_t size);
uint64_t tsr_hash_finish(const tsr_hash *hash);
/* At once. */
uint64_t tsr_hash64(const void *bytes, size_t size, uint64_t seed);

#endif
