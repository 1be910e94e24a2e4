/* SPDX-License-Identifier: MIT */
/* batching.c: tiles in one run, from the memory they need. */
#include "batching.h"

/* What a processor takes: beyond some rows its products gain nothing, and caches are small. */
enum { FEW = 4 };
static const uint64_t few_bytes = (uint64_t)128 << 20;
/* A GPU's largest tensor: 64 million numbers should keep a large one busy, and a small one must not
 * need seconds for an op: drivers take that for a fault. */
static const uint64_t busy_bytes = (uint64_t)256 << 20;

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

int64_t tsr_tiles_in_run(tsr_device *device, const tsr_tile_cost *cost, int64_t count) {
    const tsr_device_info *info = tsr_device_properties(device);
    uint64_t most = count > 0 ? (uint64_t)count : 1;
    if (cost->alone) return 1;
    if (!cost->bytes) return (int64_t)most;
    /* It lies in one binding of one allocation, too. */
    uint64_t piece = least(info->max_storage_range, busy_bytes);
    if (info->max_allocation) piece = least(piece, info->max_allocation);
    const uint64_t room = tsr_device_context(device)->settings.memory_limit / 2;
    if (info->kind == TSR_DEVICE_CPU || info->software)
        most = least(most, least(FEW, least(few_bytes, room) / cost->bytes));
    else
        most = least(most, least(least(info->memory_bytes / 8, room) / cost->bytes,
                                 piece / cost->tensor_bytes));
    return most ? (int64_t)most : 1;
}

tsr_tile_cost tsr_tile_cost_rows(int64_t rows, int64_t width) {
    /* The input and its norm, then queries, keys, values and what is attended, or the four times as
     * wide middle of the MLP with two more. */
    const uint64_t row = (uint64_t)rows * (uint64_t)width * sizeof(float);
    return (tsr_tile_cost){.bytes = 8 * row, .tensor_bytes = 4 * row};
}

tsr_tile_cost tsr_tile_cost_larger(tsr_tile_cost a, tsr_tile_cost b) {
    return (tsr_tile_cost){.bytes = a.bytes > b.bytes ? a.bytes : b.bytes,
                           .tensor_bytes =
                               a.tensor_bytes > b.tensor_bytes ? a.tensor_bytes : b.tensor_bytes,
                           .alone = a.alone || b.alone,
                           .equal_counts = a.equal_counts || b.equal_counts};
}
