/* SPDX-License-Identifier: MIT */
/* hash.h: XXH64 through xxHash, a 64-bit checksum for telling files and models apart. Not for
 * secrets: inputs with equal hashes can be made on purpose. A hash does not depend on the machine.
 */
#ifndef FORMATS_HASH_H
#define FORMATS_HASH_H

#include <stddef.h>
#include <stdint.h>

/* State of a hash over bytes that come in pieces: room for xxHash's own. */
typedef struct tsr_hash {
    uint64_t state[11];
} tsr_hash;

/* Start, add any number of pieces, finish. The borders of the pieces do not change the hash. More
 * pieces may be added after tsr_hash_finish. */
void tsr_hash_start(tsr_hash *hash, uint64_t seed);
void tsr_hash_add(tsr_hash *hash, const void *bytes, size_t size);
uint64_t tsr_hash_finish(const tsr_hash *hash);
/* Hash of bytes in memory. */
uint64_t tsr_hash64(const void *bytes, size_t size, uint64_t seed);

#endif
