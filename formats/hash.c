/* SPDX-License-Identifier: MIT */
/* hash.c: see hash.h. xxHash is compiled in from its header rather than linked: the streaming state
 * of the shared library has to be allocated, which could fail, and its layout is not promised. */
#include "hash.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(XXH64_state_t) <= sizeof(tsr_hash),
               "tsr_hash has no room for xxHash's state");

static XXH64_state_t load(const tsr_hash *hash) {
    XXH64_state_t state;
    memcpy(&state, hash->state, sizeof state);
    return state;
}

static void store(tsr_hash *hash, const XXH64_state_t *state) {
    memcpy(hash->state, state, sizeof *state);
}

void tsr_hash_start(tsr_hash *hash, uint64_t seed) {
    XXH64_state_t state;
    memset(&state, 0, sizeof state); /* reset leaves a field alone, and all of it is copied */
    XXH64_reset(&state, seed);
    store(hash, &state);
}

void tsr_hash_add(tsr_hash *hash, const void *bytes, size_t size) {
    if (size == 0) return; /* bytes may be NULL */
    XXH64_state_t state = load(hash);
    XXH64_update(&state, bytes, size);
    store(hash, &state);
}

uint64_t tsr_hash_finish(const tsr_hash *hash) {
    const XXH64_state_t state = load(hash);
    return XXH64_digest(&state);
}

uint64_t tsr_hash64(const void *bytes, size_t size, uint64_t seed) {
    return XXH64(bytes, size, seed);
}
