/* SPDX-License-Identifier: MIT */
/* key_set.h: which keys there were. A key is kept as 128 bits of hash, so that a million take 32 MB
 * whatever their length; two keys that differ are told apart but for one chance in 2^127 / n. */
#ifndef FORMATS_KEY_SET_H
#define FORMATS_KEY_SET_H

#include <stdbool.h>
#include "../compute/context.h"

typedef struct tsr_key_set {
    uint64_t (*at)[2]; /* {0, 0}: free */
    size_t count, room;
} tsr_key_set;
/* Adds a key; *there says whether it was there before. Errors: MEMORY. */
tsr_status tsr_key_set_add(tsr_context *ctx, tsr_key_set *set, const char *key, bool *there);
void tsr_key_set_free(tsr_key_set *set);

#endif
