/* SPDX-License-Identifier: MIT */
/* How many tiles go through a model in one run: what memory allows, never none, never more than
 * there are. */
#include "nn/batching.h"
#include "compute/run.h"
#include "testing.h"

#include <stdio.h>

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

/* What two parts cost is the more expensive of each, and what one of them cannot both cannot. */
START_TEST(both_parts) {
    const tsr_tile_cost a = {.bytes = 10, .tensor_bytes = 3, .equal_counts = true};
    const tsr_tile_cost b = {.bytes = 7, .tensor_bytes = 5, .alone = true};
    const tsr_tile_cost both = tsr_tile_cost_larger(a, b);
    ck_assert_int_eq((int64_t)both.bytes, 10);
    ck_assert_int_eq((int64_t)both.tensor_bytes, 5);
    ck_assert(both.alone && both.equal_counts);
    ck_assert_uint_eq(both.rows, 0);
    /* the smaller product: 3 x 2 tiles of outputs against 5 x 1, and one that is known */
    const tsr_tile_cost narrow = {.rows = 640, .columns = 100},
                        wide = {.rows = 384, .columns = 200};
    ck_assert_uint_eq(tsr_tile_cost_larger(narrow, wide).rows, 640);
    ck_assert_uint_eq(tsr_tile_cost_larger(wide, narrow).columns, 100);
    ck_assert_uint_eq(tsr_tile_cost_larger(a, wide).rows, 384);
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

/* A model as its cost says it. */
typedef struct work {
    const char *name;
    tsr_tile_cost cost;
} work;

/* What a made-up GPU is asked to take: the choices, printed, are what the rule says by hand. */
START_TEST(gpu_rows) {
    /* TiTok S: 385 rows of 512. VQ-16: 256 places of 512 channels, 101 MB a tile, maps of 256 x 256
     * x 128. FlexTok d12: 512 rows of 768. A tile of 1024 x 1024 of VQ-16: 16 times as large. */
    const uint64_t map = (uint64_t)256 * 256 * 128 * 4;
    const work works[] = {
        {"titok s", tsr_tile_cost_rows(385, 512)},
        {"vq-16", {.bytes = 101000000, .tensor_bytes = map, .rows = 256, .columns = 512}},
        {"flextok d12", tsr_tile_cost_rows(512, 768)},
        {"vq-16 of 1024",
         {.bytes = 1616000000, .tensor_bytes = 16 * map, .rows = 4096, .columns = 512}},
        {"unknown product", {.bytes = 8 * MB, .tensor_bytes = 4 * MB}}};
    enum { WORKS = sizeof works / sizeof *works };
    static const struct {
        const char *name;
        uint64_t memory, range, allocation, free;
        uint32_t cores;
        int64_t want[WORKS];
    } gpus[] = {
        /* 4 x 20 outputs of 128 x 128: 20 rows of them are 2,560 rows */
        {"8 GB, 20 cores", (uint64_t)8192 * MB, UINT32_MAX, 0, 0, 20, {7, 10, 4, 1, 64}},
        {"8 GB, cores unknown", (uint64_t)8192 * MB, UINT32_MAX, 0, 0, 0, {11, 10, 6, 1, 64}},
        {"24 GB, 96 cores",
         (uint64_t)24576 * MB,
         UINT32_MAX,
         (uint64_t)4096 * MB,
         0,
         96,
         {32, 31, 16, 1, 64}},
        {"24 GB, 96 cores, 1.5 GB free",
         (uint64_t)24576 * MB,
         UINT32_MAX,
         (uint64_t)4096 * MB,
         1536 * MB,
         96,
         {32, 7, 16, 1, 64}},
        {"141 GB, 132 cores",
         (uint64_t)141 * 1024 * MB,
         UINT32_MAX,
         0,
         0,
         132,
         {44, 66, 22, 5, 64}},
        {"8 GB, bindings of 128 MiB", (uint64_t)8192 * MB, 128 * MB, 0, 0, 20, {7, 4, 4, 1, 32}},
        {"4 GB, allocations of 64 MiB",
         (uint64_t)4096 * MB,
         UINT32_MAX,
         64 * MB,
         0,
         8,
         {3, 2, 2, 1, 16}},
    };
    tsr_context *ctx = open_context((uint64_t)1 << 40);
    for (size_t g = 0; g < sizeof gpus / sizeof *gpus; ++g) {
        tsr_device d = {.ctx = ctx,
                        .info = {.kind = TSR_DEVICE_VULKAN,
                                 .memory_bytes = gpus[g].memory,
                                 .memory_free_bytes = gpus[g].free,
                                 .max_storage_range = gpus[g].range,
                                 .max_allocation = gpus[g].allocation,
                                 .cores = gpus[g].cores}};
        for (int w = 0; w < WORKS; ++w) {
            const int64_t got = tsr_tiles_in_run(&d, &works[w].cost, 100000);
            printf("%s: %s: %lld tiles\n", gpus[g].name, works[w].name, (long long)got);
            ck_assert_msg(got == gpus[g].want[w], "%s: %s: wanted %lld tiles, got %lld",
                          gpus[g].name, works[w].name, (long long)gpus[g].want[w], (long long)got);
            ck_assert_int_eq(tsr_tiles_in_run(&d, &works[w].cost, 2), got < 2 ? got : 2);
        }
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(gpu) {
    tsr_context *ctx = open_context((uint64_t)1 << 40);
    tsr_device d = {.ctx = ctx,
                    .info = {.kind = TSR_DEVICE_VULKAN,
                             .memory_bytes = (uint64_t)8192 * MB,
                             .max_storage_range = UINT32_MAX}};
    ck_assert_int_eq(tiles(&d, 1000, 100, 700), 700);
    ck_assert_int_eq(tiles(&d, 100 * MB, 10 * MB, 700), 10); /* of 1024 MB */
    ck_assert_int_eq(tiles(&d, 60 * MB, 40 * MB, 700), 6);   /* of 256 MB: 2^26 floats */
    ck_assert_int_eq(tiles(&d, 300 * MB, 300 * MB, 700), 1);
    ck_assert_int_eq(tiles(&d, (uint64_t)9000 * MB, MB, 700), 1);
    d.info.memory_bytes = (uint64_t)2048 * MB; /* a sixteenth is 128 MB */
    ck_assert_int_eq(tiles(&d, 50 * MB, 40 * MB, 700), 3);
    d.info.memory_bytes = (uint64_t)8192 * MB;
    d.info.max_storage_range = 128 * MB; /* what Vulkan promises */
    ck_assert_int_eq(tiles(&d, 100 * MB, 40 * MB, 700), 3);
    ck_assert_int_eq(tiles(&d, 100 * MB, 200 * MB, 700), 1);
    d.info.max_allocation = 80 * MB;
    ck_assert_int_eq(tiles(&d, 100 * MB, 40 * MB, 700), 2);
    /* what ops number elements with: 2^31 - 1 floats */
    const tsr_tile_cost wide = {
        .bytes = MB, .tensor_bytes = (uint64_t)1 << 30, .rows = 1, .columns = 1};
    d.info = (tsr_device_info){.kind = TSR_DEVICE_VULKAN,
                               .memory_bytes = (uint64_t)1 << 42,
                               .max_storage_range = (uint64_t)1 << 40};
    ck_assert_int_eq(tsr_tiles_in_run(&d, &wide, 700), 7);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("batching", both_parts, processor, gpu, gpu_rows)
