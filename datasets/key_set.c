/* SPDX-License-Identifier: MIT */
/* key_set.c: see key_set.h. Open addressing, at most half full. */
#include "key_set.h"
#include "../formats/hash.h"

#include <stdlib.h>
#include <string.h>

static bool place(tsr_key_set *set, const uint64_t hash[2]) {
    size_t i = (size_t)hash[0] & (set->room - 1);
    while (set->at[i][0] | set->at[i][1]) {
        if (set->at[i][0] == hash[0] && set->at[i][1] == hash[1]) return true;
        i = (i + 1) & (set->room - 1);
    }
    memcpy(set->at[i], hash, sizeof set->at[i]);
    ++set->count;
    return false;
}

tsr_status tsr_key_set_add(tsr_context *ctx, tsr_key_set *set, const char *key, bool *there) {
    if (2 * (set->count + 1) > set->room) {
        tsr_key_set more = {.room = set->room ? 2 * set->room : 64};
        more.at = tsr_alloc(ctx, more.room, sizeof *more.at, "keys");
        if (!more.at) return TSR_ERROR_MEMORY;
        for (size_t i = 0; i < set->room; ++i)
            if (set->at[i][0] | set->at[i][1]) place(&more, set->at[i]);
        free(set->at);
        *set = more;
    }
    const size_t size = strlen(key);
    const uint64_t hash[2] = {tsr_hash64(key, size, 1) | 1, tsr_hash64(key, size, 2)};
    *there = place(set, hash);
    return TSR_OK;
}

void tsr_key_set_free(tsr_key_set *set) {
    free(set->at);
    *set = (tsr_key_set){0};
}
