/* SPDX-License-Identifier: MIT */
/* How many tiles go through a model in one run: what memory allows, never none, never more than
 * there are. */
#include "nn/batching.h"
#include "compute/run.h"
#include "testing.h"

enum { MB = 1 << 20 };

static tsr_context *open_context(uint64_t limit) {
    tsr_context_settings s = tsr_context_settings_default();
    tsr_context *ctx = NULL;
    s.memory_limit = limit;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

static int64_t tiles(tsr_device *device, uint64_t bytes, uint64_t tensor, int64_t count) {
    const tsr_tile_cost cost = {.bytes = bytes, .tensor_bytes = tensor};
    return tsr_tiles_in_run(device, &cost, count);
}

/* Of a transformer over 512 rows of 768. */
static int64_t rows(tsr_device *device, int64_t count) {
    const tsr_tile_cost cost = tsr_tile_cost_rows(512, 768);
    return tsr_tiles_in_run(device, &cost, count);
}

/* What two parts cost is the more expensive of each, and what one of them cannot both cannot. */
START_TEST(both_parts) {
    const tsr_tile_cost a = {.bytes = 10, .tensor_bytes = 3, .equal_counts = true};
    const tsr_tile_cost b = {.bytes = 7, .tensor_bytes = 5, .alone = true};
    const tsr_tile_cost both = tsr_tile_cost_larger(a, b);
    ck_assert_int_eq((int64_t)both.bytes, 10);
    ck_assert_int_eq((int64_t)both.tensor_bytes, 5);
    ck_assert(both.alone && both.equal_counts);
    tsr_context *ctx = open_context((uint64_t)1 << 40);
    tsr_device cpu = {.ctx = ctx, .info = {.kind = TSR_DEVICE_CPU}};
    ck_assert_int_eq(tsr_tiles_in_run(&cpu, &both, 9), 1);
    ck_assert_int_eq(tsr_tiles_in_run(&cpu, &(tsr_tile_cost){0}, 9), 9); /* no bound */
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(processor) {
    tsr_context *wide = open_context((uint64_t)1 << 40), *narrow = open_context(100 * MB);
    const tsr_device cpu = {.info = {.kind = TSR_DEVICE_CPU, .memory_bytes = (uint64_t)1 << 40}};
    const tsr_device software = {.info = {.kind = TSR_DEVICE_VULKAN,
                                          .software = true,
                                          .memory_bytes = (uint64_t)1 << 40,
                                          .max_storage_range = UINT32_MAX}};
    const tsr_device *both[] = {&cpu, &software};
    for (int i = 0; i < 2; ++i) {
        tsr_device d = *both[i];
        d.ctx = wide;
        ck_assert_int_eq(tiles(&d, 1000, 100, 100), 4);
        ck_assert_int_eq(tiles(&d, 1000, 100, 3), 3);
        ck_assert_int_eq(tiles(&d, 60 * MB, 10 * MB, 100), 2);
        ck_assert_int_eq(tiles(&d, (uint64_t)5000 * MB, MB, 100), 1);
        ck_assert_int_eq(tiles(&d, 1000, 100, 0), 1);
        d.ctx = narrow;
        ck_assert_int_eq(tiles(&d, 20 * MB, 10 * MB, 100), 2);
        ck_assert_int_eq(tiles(&d, 60 * MB, 10 * MB, 100), 1);
    }
    tsr_context_close(&wide);
    tsr_context_close(&narrow);
}
END_TEST

START_TEST(gpu) {
    tsr_context *wide = open_context((uint64_t)1 << 40), *narrow = open_context(600 * MB);
    tsr_device d = {.ctx = wide,
                    .info = {.kind = TSR_DEVICE_VULKAN,
                             .memory_bytes = (uint64_t)8192 * MB,
                             .max_storage_range = UINT32_MAX}};
    ck_assert_int_eq(tiles(&d, 1000, 100, 700), 700);
    ck_assert_int_eq(tiles(&d, 100 * MB, 10 * MB, 700), 10); /* of 1024 MB */
    ck_assert_int_eq(tiles(&d, 60 * MB, 40 * MB, 700), 6);   /* of 256 MB */
    ck_assert_int_eq(tiles(&d, 300 * MB, 300 * MB, 700), 1);
    ck_assert_int_eq(tiles(&d, (uint64_t)9000 * MB, MB, 700), 1);
    d.info.max_storage_range = 128 * MB; /* what Vulkan promises */
    ck_assert_int_eq(tiles(&d, 100 * MB, 40 * MB, 700), 3);
    ck_assert_int_eq(tiles(&d, 100 * MB, 200 * MB, 700), 1);
    d.info.max_allocation = 80 * MB;
    ck_assert_int_eq(tiles(&d, 100 * MB, 40 * MB, 700), 2);
    /* 512 rows of 768: 12 MB of activations, of which the MLP's middle is half */
    d.info.max_allocation = 0;
    d.info.max_storage_range = UINT32_MAX;
    ck_assert_int_eq(rows(&d, 700), 42);
    ck_assert_int_eq(rows(&d, 7), 7);
    d.ctx = narrow;
    ck_assert_int_eq(tiles(&d, 100 * MB, 10 * MB, 700), 3);
    tsr_context_close(&wide);
    tsr_context_close(&narrow);
}
END_TEST

TEST_MAIN("batching", both_parts, processor, gpu)
