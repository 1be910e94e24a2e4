/* SPDX-License-Identifier: MIT */
/* tar_keys.h: which keys an archive had so far, and a sample which suffixes, in bounded memory. */
#ifndef DATASETS_TAR_KEYS_H
#define DATASETS_TAR_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tessera/status.h>

/* Most keys that are remembered, in 16 MiB; then all are forgotten and it begins anew. Shards have
 * some ten thousand. */
enum { TSR_TAR_KEYS = 1 << 20 };

/* A set of hashes of 64 bits: two keys are taken for one with a chance of about 2^-24 in a full
 * set. Starts as zeros. */
typedef struct tsr_tar_keys {
    uint64_t *slots; /* [room] 0: free */
    size_t room, count;
} tsr_tar_keys;
/* Adds a key; *again: it was there. Errors: MEMORY. */
tsr_status tsr_tar_keys_add(tsr_context *ctx, tsr_tar_keys *keys, const char *key, bool *again);
/* Forgets all keys. */
void tsr_tar_keys_clear(tsr_tar_keys *keys);
void tsr_tar_keys_free(tsr_tar_keys *keys);

#endif
