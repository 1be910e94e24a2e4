/* SPDX-License-Identifier: MIT */
/* vulkan_plan.c: first fit by address, largest item first. Chunks are one address space whose
 * multiples of chunk_size nothing may cross. */
#include "vulkan_plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct placed {
    size_t start, end;
    int first, last;
} placed;

typedef struct ranked {
    size_t size;
    int index;
} ranked;

static int by_size(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

/* The lowest address from `at` where `size` bytes do not cross a chunk's border. */
static size_t inside_chunk(size_t at, size_t size, size_t chunk_size) {
    return at / chunk_size == (at + size - 1) / chunk_size ? at
                                                           : (at / chunk_size + 1) * chunk_size;
}

tsr_status vulkan_plan(tsr_context *ctx, vulkan_item *items, int count, size_t chunk_size,
                       size_t *chunk_sizes, int max_chunks, int *chunk_count) {
    *chunk_count = 0;
    ranked *order = tsr_alloc(ctx, (size_t)count, sizeof *order, "plan");
    placed *done = tsr_alloc(ctx, (size_t)count, sizeof *done, "plan"); /* sorted by start */
    tsr_status status = order && done ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < count && !status; ++i)
        order[i] = (ranked){items[i].size, i};
    if (!status) qsort(order, (size_t)count, sizeof *order, by_size);
    for (int n = 0; n < count && !status; ++n) {
        vulkan_item *item = &items[order[n].index];
        if (item->size > chunk_size) {
            status =
                tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                         "plan: tensor: wanted at most %zu bytes, got %zu", chunk_size, item->size);
            break;
        }
        size_t at = 0;
        for (int i = 0; i < n; ++i) {
            if (done[i].last < item->first || done[i].first > item->last) continue;
            at = inside_chunk(at, item->size, chunk_size);
            if (at + item->size <= done[i].start) break; /* later ones start beyond */
            if (done[i].end > at) at = done[i].end;
        }
        at = inside_chunk(at, item->size, chunk_size);
        size_t chunk = at / chunk_size;
        if (chunk >= (size_t)max_chunks) {
            status = tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                              "plan: activations: wanted at most %d pieces of %zu bytes, got more",
                              max_chunks, chunk_size);
            break;
        }
        item->place = (vulkan_place){(int)chunk, at % chunk_size};
        while (*chunk_count <= (int)chunk)
            chunk_sizes[(*chunk_count)++] = 0;
        if (item->place.offset + item->size > chunk_sizes[chunk])
            chunk_sizes[chunk] = item->place.offset + item->size;
        int slot = n;
        while (slot > 0 && done[slot - 1].start > at) {
            done[slot] = done[slot - 1];
            --slot;
        }
        done[slot] = (placed){at, at + item->size, item->first, item->last};
    }
    free(order);
    free(done);
    return status;
}
