/* SPDX-License-Identifier: MIT */
/* kept_features.c: see kept_features.h. */
#include "kept_features.h"

#include "../compute/context.h"
#include "../formats/hash.h"
#include "../formats/tokens/token_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_kept_features *tsr_kept_features_open(tsr_context *ctx, size_t columns) {
    tsr_kept_features *k = tsr_alloc(ctx, 1, sizeof *k, "kept features");
    if (!k) return NULL;
    k->ctx = ctx;
    k->columns = columns;
    return k;
}

void tsr_kept_features_close(void *kept) {
    tsr_kept_features *k = kept;
    if (!k) return;
    free(k->rows);
    free(k->table);
    free(k->path);
    free(k);
}

void tsr_kept_features_of(tsr_kept_features *k, const tsr_judge *judge) {
    const uint64_t weights = tsr_judge_properties(judge)->weights_hash;
    const char *device = tsr_judge_device(judge);
    if (k->weights == weights && !strcmp(k->device, device)) return;
    k->weights = weights;
    snprintf(k->device, sizeof k->device, "%s", device);
    k->count = k->in_file = 0;
    free(k->path);
    k->path = NULL;
    if (k->table) memset(k->table, 0, k->slots * sizeof *k->table);
}

static tsr_kept_row hash_of(const tsr_picture *p) {
    const size_t frames = p->frames > 0 ? (size_t)p->frames : 1;
    const size_t n = (size_t)p->width * (size_t)p->height * 3 * frames;
    const uint64_t seed = (uint64_t)p->width << 32 | (uint64_t)p->height;
    return (tsr_kept_row){.hash = {tsr_hash64(p->rgb, n, seed), tsr_hash64(p->rgb, n, ~seed)}};
}

/* The slot that has this hash, or the free one where it belongs. */
static tsr_kept_row *slot_of(const tsr_kept_features *k, const tsr_kept_row *row) {
    size_t at = (size_t)row->hash[0] & (k->slots - 1);
    while (k->table[at].place && memcmp(k->table[at].hash, row->hash, sizeof row->hash) != 0)
        at = (at + 1) & (k->slots - 1);
    return &k->table[at];
}

const float *tsr_kept_features_find(tsr_kept_features *k, const tsr_picture *picture) {
    if (!k->count) return NULL;
    const tsr_kept_row row = hash_of(picture);
    const size_t place = slot_of(k, &row)->place;
    if (!place) return NULL;
    k->reused++;
    return k->rows + (place - 1) * k->columns;
}

static tsr_status make_room(tsr_kept_features *k) {
    if (2 * (k->count + 1) <= k->slots) return TSR_OK;
    const size_t slots = k->slots ? 2 * k->slots : 64, before = k->slots;
    tsr_kept_row *old = k->table;
    tsr_kept_row *table = tsr_alloc(k->ctx, slots, sizeof *table, "kept features");
    if (!table) return TSR_ERROR_MEMORY;
    k->table = table;
    k->slots = slots;
    for (size_t i = 0; i < before; ++i)
        if (old[i].place) *slot_of(k, &old[i]) = old[i];
    free(old);
    return TSR_OK;
}

tsr_status tsr_kept_features_add(tsr_kept_features *k, const tsr_picture *picture,
                                 const float *row) {
    const tsr_kept_row new = hash_of(picture);
    k->computed++;
    return tsr_kept_features_put(k, new.hash, row);
}

tsr_status tsr_kept_features_put(tsr_kept_features *k, const uint64_t hash[2], const float *row) {
    const size_t bytes = k->columns * sizeof *row;
    if ((k->count + 1) * bytes > k->ctx->settings.memory_limit / 8) return TSR_OK;
    tsr_status status = make_room(k);
    if (!status)
        status = tsr_grow(k->ctx, &k->rows, &k->room, k->count + 1, bytes, "kept features");
    if (status) return status;
    tsr_kept_row new = {.hash = {hash[0], hash[1]}};
    tsr_kept_row *slot = slot_of(k, &new);
    if (slot->place) return TSR_OK; /* the same pixels twice */
    memcpy(k->rows + k->count * k->columns, row, bytes);
    new.place = ++k->count;
    *slot = new;
    return TSR_OK;
}
