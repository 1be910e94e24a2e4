/* SPDX-License-Identifier: MIT */
/* batching.c: tiles in one run, from the memory they need. */
#include "batching.h"

/* What a processor takes: beyond some rows its products gain nothing, and caches are small. */
enum { FEW = 4 };
static const uint64_t few_bytes = (uint64_t)128 << 20;
/* A GPU: output tiles of a product, of this edge, that each core should have; the cores where the
 * driver does not say; the bytes of a largest tensor that keep it busy where no product is known.
 */
enum { EDGE = 128, TILES_OF_A_CORE = 4, CORES = 32 };
static const uint64_t busy_bytes = (uint64_t)256 << 20;
/* What ops number elements with. */
static const uint64_t most_bytes = (uint64_t)INT32_MAX * sizeof(float);

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t pieces(uint64_t whole, uint64_t piece) {
    return (whole + piece - 1) / piece;
}

/* Tiles that make a GPU busy. */
static uint64_t enough_tiles(const tsr_device_info *info, const tsr_tile_cost *cost) {
    if (!cost->rows || !cost->columns) return busy_bytes / cost->tensor_bytes;
    const uint64_t outputs = TILES_OF_A_CORE * (uint64_t)(info->cores ? info->cores : CORES);
    return pieces(pieces(outputs, pieces(cost->columns, EDGE)) * EDGE, cost->rows);
}

/* Tiles that a GPU has memory for. What other processes and the weights have taken is not free. */
static uint64_t tiles_that_fit(const tsr_device_info *info, const tsr_tile_cost *cost) {
    uint64_t piece = least(least(info->max_storage_range, most_bytes), info->memory_bytes / 16);
    if (info->max_allocation) piece = least(piece, info->max_allocation);
    uint64_t all = info->memory_bytes / 8;
    if (info->memory_free_bytes) all = least(all, info->memory_free_bytes / 2);
    return least(all / cost->bytes, piece / cost->tensor_bytes);
}

int64_t tsr_tiles_in_run(tsr_device *device, const tsr_tile_cost *cost, int64_t count) {
    const tsr_device_info *info = tsr_device_properties(device);
    uint64_t most = count > 0 ? (uint64_t)count : 1;
    if (cost->alone) return 1;
    if (!cost->bytes) return (int64_t)most;
    const uint64_t room = tsr_device_context(device)->settings.memory_limit / 2;
    if (info->kind == TSR_DEVICE_CPU || info->software)
        most = least(most, least(FEW, least(few_bytes, room) / cost->bytes));
    else
        most = least(most, least(enough_tiles(info, cost), tiles_that_fit(info, cost)));
    return most ? (int64_t)most : 1;
}

tsr_tile_cost tsr_tile_cost_rows(int64_t rows, int64_t width) {
    /* The input and its norm, then queries, keys, values and what is attended, or the four times as
     * wide middle of the MLP with two more. */
    const uint64_t row = (uint64_t)rows * (uint64_t)width * sizeof(float);
    return (tsr_tile_cost){.bytes = 8 * row,
                           .tensor_bytes = 4 * row,
                           .rows = (uint64_t)rows,
                           .columns = (uint64_t)width};
}

/* Whether the smaller product is that of b. */
static bool is_smaller(const tsr_tile_cost *a, const tsr_tile_cost *b) {
    const uint64_t in_a = a->rows * pieces(a->columns, EDGE);
    const uint64_t in_b = b->rows * pieces(b->columns, EDGE);
    return in_b && (!in_a || in_b < in_a);
}

tsr_tile_cost tsr_tile_cost_larger(tsr_tile_cost a, tsr_tile_cost b) {
    const tsr_tile_cost *product = is_smaller(&a, &b) ? &b : &a;
    return (tsr_tile_cost){.bytes = a.bytes > b.bytes ? a.bytes : b.bytes,
                           .tensor_bytes =
                               a.tensor_bytes > b.tensor_bytes ? a.tensor_bytes : b.tensor_bytes,
                           .rows = product->rows,
                           .columns = product->columns,
                           .alone = a.alone || b.alone,
                           .equal_counts = a.equal_counts || b.equal_counts};
}
