/* SPDX-License-Identifier: MIT */
/* tar_keys.c: see tar_keys.h. */
#include "tar_keys.h"
#include "../compute/context.h"
#include "../formats/hash.h"

#include <stdlib.h>
#include <string.h>

/* The slot of a hash, or the free one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, size_t room, uint64_t hash) {
    size_t at = (size_t)hash & (room - 1);
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static tsr_status grow(tsr_context *ctx, tsr_tar_keys *keys) {
    const size_t room = keys->room ? 2 * keys->room : 64;
    uint64_t *slots = tsr_alloc(ctx, room, sizeof *slots, "archive: keys");
    if (!slots) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < keys->room; ++i)
        if (keys->slots[i]) *slot_of(slots, room, keys->slots[i]) = keys->slots[i];
    free(keys->slots);
    keys->slots = slots;
    keys->room = room;
    return TSR_OK;
}

tsr_status tsr_tar_keys_add(tsr_context *ctx, tsr_tar_keys *keys, const char *key, bool *again) {
    uint64_t hash = tsr_hash64(key, strlen(key), 0);
    if (!hash) hash = 1;
    *again = false;
    if (keys->count == TSR_TAR_KEYS) tsr_tar_keys_clear(keys);
    if (2 * (keys->count + 1) > keys->room) {
        const tsr_status status = grow(ctx, keys);
        if (status) return status;
    }
    uint64_t *slot = slot_of(keys->slots, keys->room, hash);
    *again = *slot != 0;
    keys->count += !*again;
    *slot = hash;
    return TSR_OK;
}

void tsr_tar_keys_clear(tsr_tar_keys *keys) {
    if (keys->count) memset(keys->slots, 0, keys->room * sizeof *keys->slots);
    keys->count = 0;
}

void tsr_tar_keys_free(tsr_tar_keys *keys) {
    free(keys->slots);
    *keys = (tsr_tar_keys){0};
}
