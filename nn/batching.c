/* SPDX-License-Identifier: MIT */
/* together.c: tiles in one run, from the memory they need. */
#include "batching.h"

#include <string.h>

/* What a processor takes: beyond some rows its products gain nothing, and caches are small. */
enum { FEW = 4 };
static const uint64_t few_bytes = (uint64_t)128 << 20;
/* A GPU's largest tensor: 64 million numbers should keep a large one busy, and a small one must not
 * need seconds for an op: drivers take that for a fault. */
static const uint64_t busy_bytes = (uint64_t)256 << 20;

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

int64_t tsr_together(tsr_device *device, uint64_t tile_bytes, uint64_t tensor_bytes,
                     int64_t count) {
    const tsr_device_info *info = tsr_device_get_info(device);
    /* It lies in one binding of one allocation, too. */
    uint64_t piece = least(info->max_storage_range, busy_bytes);
    if (info->max_allocation) piece = least(piece, info->max_allocation);
    const uint64_t room = tsr_device_context(device)->settings.memory_limit / 2;
    uint64_t most = count > 0 ? (uint64_t)count : 1;
    if (info->kind == TSR_DEVICE_CPU || info->software)
        most = least(most, least(FEW, least(few_bytes, room) / tile_bytes));
    else
        most = least(most,
                     least(least(info->memory_bytes / 8, room) / tile_bytes, piece / tensor_bytes));
    return most ? (int64_t)most : 1;
}

int64_t tsr_together_rows(tsr_device *device, int64_t rows, int64_t width, int64_t count) {
    /* The input and its norm, then queries, keys, values and what is attended, or the four times as
     * wide middle of the MLP with two more. */
    const uint64_t row = (uint64_t)rows * (uint64_t)width * sizeof(float);
    return tsr_together(device, 8 * row, 4 * row, count);
}

int64_t tsr_together_alike(const uint32_t *counts, int64_t count, int64_t most) {
    int64_t n = 1;
    while (counts[0] && n < most && n < count && counts[n] == counts[0])
        ++n;
    return n;
}

void tsr_together_pack(const void *values, int64_t tiles, int64_t each, int64_t capacity,
                       size_t bytes, void *packed) {
    const size_t take = (size_t)each * bytes, apart = (size_t)capacity * bytes;
    for (size_t i = 0; i < (size_t)tiles; ++i)
        memcpy((char *)packed + i * take, (const char *)values + i * apart, take);
}
