/* SPDX-License-Identifier: MIT */
/* code_use.c: how a codebook is used, over a set of pictures and at each position. */
#include <tessera/scores.h>

#include "../compute/context.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tsr_code_use {
    tsr_context *ctx;
    uint32_t codes;
    uint64_t *counts;        /* [codes] */
    uint32_t *ids;           /* [tokens] of all pictures, one after the other */
    uint64_t *starts;        /* [pictures + 1] into ids */
    uint64_t pictures, room; /* room: of ids */
    uint64_t start_room;
    double picture_perplexity; /* sum */
    uint32_t positions;
};

tsr_status tsr_code_use_open(tsr_context *ctx, uint32_t codes, tsr_code_use **use) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!use || codes < 1 || codes > 1u << 24)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "code use: codes: wanted 1 to %u, got %u",
                        1u << 24, codes);
    *use = NULL;
    tsr_code_use *u = tsr_alloc(ctx, 1, sizeof *u, "code use");
    if (!u) return TSR_ERROR_MEMORY;
    u->ctx = ctx;
    u->codes = codes;
    u->start_room = 256;
    u->counts = tsr_alloc(ctx, codes, sizeof *u->counts, "code use");
    u->starts = u->counts ? tsr_alloc(ctx, u->start_room, sizeof *u->starts, "code use") : NULL;
    if (!u->starts) {
        tsr_code_use_close(&u);
        return TSR_ERROR_MEMORY;
    }
    *use = u;
    return TSR_OK;
}

void tsr_code_use_close(tsr_code_use **use) {
    if (!use || !*use) return;
    free((*use)->counts);
    free((*use)->ids);
    free((*use)->starts);
    free(*use);
    *use = NULL;
}

static int by_id(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Walks through the runs of equal ids of a sorted list: nats of -sum p ln(p + small). */
static double entropy_of(uint32_t *ids, uint64_t n, double small) {
    double sum = 0;
    qsort(ids, n, sizeof *ids, by_id);
    for (uint64_t i = 0, from; i < n;) {
        for (from = i; i < n && ids[i] == ids[from];)
            ++i;
        const double p = (double)(i - from) / (double)n;
        sum -= p * log(p + small);
    }
    return sum;
}

/* Doubles an array until it holds `wanted` elements. */
static tsr_status grow(tsr_context *ctx, void **array, uint64_t *room, uint64_t wanted,
                       size_t size) {
    uint64_t more = *room ? *room : 1024;
    if (wanted <= *room) return TSR_OK;
    while (more < wanted)
        more *= 2;
    void *moved = realloc(*array, (size_t)more * size);
    if (!moved)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "code use: no memory for %llu ids",
                        (unsigned long long)more);
    *array = moved;
    *room = more;
    return TSR_OK;
}

tsr_status tsr_code_use_add(tsr_code_use *u, const uint32_t *ids, uint32_t count) {
    const uint64_t at = u->starts[u->pictures];
    for (uint32_t i = 0; i < count; ++i)
        if (ids[i] >= u->codes)
            return tsr_fail(u->ctx, TSR_ERROR_TOKENS, "code use: id %u: wanted below %u, got %u", i,
                            u->codes, ids[i]);
    tsr_status s = grow(u->ctx, (void **)&u->ids, &u->room, at + count, sizeof *u->ids);
    if (!s)
        s = grow(u->ctx, (void **)&u->starts, &u->start_room, u->pictures + 2, sizeof *u->starts);
    uint32_t *sorted = s ? NULL : tsr_alloc(u->ctx, count ? count : 1, sizeof *sorted, "code use");
    if (!s && !sorted) s = TSR_ERROR_MEMORY;
    if (s) return s;
    for (uint32_t i = 0; i < count; ++i) {
        u->counts[ids[i]]++;
        u->ids[at + i] = sorted[i] = ids[i];
    }
    u->starts[++u->pictures] = at + count;
    if (count) u->picture_perplexity += exp(entropy_of(sorted, count, 1e-10));
    if (count > u->positions) u->positions = count;
    free(sorted);
    return TSR_OK;
}

void tsr_code_use_summarise(const tsr_code_use *u, tsr_code_use_summary *summary) {
    tsr_code_use_summary s = {.codes = u->codes,
                              .pictures = u->pictures,
                              .tokens = u->starts[u->pictures],
                              .positions = u->positions};
    double nats = 0;
    for (uint32_t i = 0; i < u->codes; ++i) {
        if (!u->counts[i]) continue;
        const double p = (double)u->counts[i] / (double)s.tokens;
        s.used++;
        nats -= p * log(p);
    }
    s.usage = (double)s.used / u->codes;
    s.entropy_bits = s.tokens ? nats / log(2) : NAN;
    s.perplexity = s.tokens ? exp(nats) : NAN;
    s.picture_perplexity = s.pictures ? u->picture_perplexity / (double)s.pictures : NAN;
    *summary = s;
}

const uint64_t *tsr_code_use_counts(const tsr_code_use *use) {
    return use->counts;
}

tsr_status tsr_code_use_positions(const tsr_code_use *u, double *bits) {
    uint32_t *column = tsr_alloc(u->ctx, u->pictures + 1, sizeof *column, "code use");
    if (!column) return TSR_ERROR_MEMORY;
    for (uint32_t at = 0; at < u->positions; ++at) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < u->pictures; ++i)
            if (u->starts[i + 1] - u->starts[i] > at) column[n++] = u->ids[u->starts[i] + at];
        bits[at] = entropy_of(column, n, 0) / log(2);
    }
    free(column);
    return TSR_OK;
}
