/* SPDX-License-Identifier: MIT */
/* item_keys.h: the keys of the items that picture files become, all made before a picture is read.
 */
#ifndef CODEC_ITEM_KEYS_H
#define CODEC_ITEM_KEYS_H

#include <tessera/tessera.h>

typedef struct tsr_item_keys {
    char **key; /* [count] */
    int count;
    uint64_t changed; /* keys in which a control character became '_' */
    uint64_t equal;   /* keys that an earlier picture has */
} tsr_item_keys;

/* Makes the keys of `count` inputs ("-" becomes "stdin"), and logs a warning for each name that was
 * changed and each key that several pictures have (but for one picture that is named again); of
 * many, the first few and their number. All that could not be made into a key are named in one
 * error. On error *keys is empty. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_item_keys_make(tsr_context *ctx, const char *const *inputs, int count, tsr_key kind,
                              tsr_item_keys *keys);
void tsr_item_keys_free(tsr_item_keys *keys);

#endif
