/* SPDX-License-Identifier: MIT */
/* token_keys.c: finding an item by its key: through KEYS, the sorted hashes of all keys, or by
 * looking at one item after the other. */
#include "token_reader.h"
#include "../hash.h"

uint64_t tsr_token_key_hash(const char *key) {
    return tsr_hash64(key, strlen(key), 0);
}

/* The first record whose hash is not below `hash`. Hashes are spread evenly, so that its place can
 * be guessed to a few hundred records; from there the steps double until it is enclosed. */
static uint64_t first_record(const tsr_token_file *f, uint64_t hash) {
    const uint64_t count = f->key_count;
    uint64_t low = 0, high = count, step = 64;
    uint64_t guess = (uint64_t)((double)hash / 18446744073709551616.0 * (double)count);
    if (guess >= count) guess = count - 1;
    if (tsr_key_record_hash(f, guess) < hash) {
        low = guess + 1;
        for (uint64_t at = guess; count - at > step; step *= 2) {
            at += step;
            if (tsr_key_record_hash(f, at) >= hash) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        high = guess;
        for (uint64_t at = guess; at >= step; step *= 2) {
            at -= step;
            if (tsr_key_record_hash(f, at) < hash) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (tsr_key_record_hash(f, middle) < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Is `key` that of item `index`? One that cannot be read has none. */
static tsr_status is_key(tsr_token_file *f, uint64_t index, const char *key, bool *equal) {
    const char *got;
    const tsr_status s = tsr_token_file_item_key(f, index, &got);
    *equal = !s && strcmp(got, key) == 0;
    return s == TSR_ERROR_MEMORY ? s : TSR_OK;
}

tsr_status tsr_token_file_next_key(tsr_token_file *f, const char *key, tsr_key_search *search,
                                   uint64_t *index, bool *found) {
    tsr_status s = TSR_OK;
    *found = false;
    if (!search->begun && f->keys && f->key_count) {
        search->hash = tsr_token_key_hash(key);
        search->at = first_record(f, search->hash);
        /* The pages that the search went through. */
        tsr_token_file_touch(f, (uint64_t)(f->keys - f->bytes) + search->at * TSR_TESS_RECORD_BYTES,
                             1);
    }
    search->begun = true;
    if (!f->keys) {
        for (; search->at < f->info.items && !*found && !s; ++search->at) {
            *index = search->at;
            s = is_key(f, *index, key, found);
        }
        return s;
    }
    for (; search->at < f->key_count && !*found && !s; ++search->at) {
        if (tsr_key_record_hash(f, search->at) != search->hash) break;
        *index = tsr_key_record_item(f, search->at);
        s = is_key(f, *index, key, found);
    }
    return s;
}

tsr_status tsr_token_file_find(tsr_token_file *f, const char *key, uint64_t *index) {
    if (!f) return TSR_ERROR_ARGUMENT;
    if (!key || !index)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT,
                        "%s: key: wanted a text and an address, got NULL", f->name);
    tsr_key_search search = {0};
    uint64_t item = 0;
    bool found;
    const tsr_status s = tsr_token_file_next_key(f, key, &search, &item, &found);
    if (s) return s;
    if (found) {
        *index = item;
        return TSR_OK;
    }
    char clean[200];
    return tsr_fail(f->ctx, TSR_ERROR_NOT_FOUND, "%s: key: wanted one of the file, got '%s'",
                    f->name, tsr_token_key_clean(key, clean, sizeof clean));
}
