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
        ck_assert_int_eq(tsr_together(&d, 1000, 100, 100), 4);
        ck_assert_int_eq(tsr_together(&d, 1000, 100, 3), 3);
        ck_assert_int_eq(tsr_together(&d, 60 * MB, 10 * MB, 100), 2);
        ck_assert_int_eq(tsr_together(&d, (uint64_t)5000 * MB, MB, 100), 1);
        ck_assert_int_eq(tsr_together(&d, 1000, 100, 0), 1);
        d.ctx = narrow;
        ck_assert_int_eq(tsr_together(&d, 20 * MB, 10 * MB, 100), 2);
        ck_assert_int_eq(tsr_together(&d, 60 * MB, 10 * MB, 100), 1);
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
    ck_assert_int_eq(tsr_together(&d, 1000, 100, 700), 700);
    ck_assert_int_eq(tsr_together(&d, 100 * MB, 10 * MB, 700), 10); /* of 1024 MB */
    ck_assert_int_eq(tsr_together(&d, 60 * MB, 40 * MB, 700), 6);   /* of 256 MB */
    ck_assert_int_eq(tsr_together(&d, 300 * MB, 300 * MB, 700), 1);
    ck_assert_int_eq(tsr_together(&d, (uint64_t)9000 * MB, MB, 700), 1);
    d.info.max_storage_range = 128 * MB; /* what Vulkan promises */
    ck_assert_int_eq(tsr_together(&d, 100 * MB, 40 * MB, 700), 3);
    ck_assert_int_eq(tsr_together(&d, 100 * MB, 200 * MB, 700), 1);
    d.info.max_allocation = 80 * MB;
    ck_assert_int_eq(tsr_together(&d, 100 * MB, 40 * MB, 700), 2);
    /* 512 rows of 768: 12 MB of activations, of which the MLP's middle is half */
    d.info.max_allocation = 0;
    d.info.max_storage_range = UINT32_MAX;
    ck_assert_int_eq(tsr_together_rows(&d, 512, 768, 700), 42);
    ck_assert_int_eq(tsr_together_rows(&d, 512, 768, 7), 7);
    d.ctx = narrow;
    ck_assert_int_eq(tsr_together(&d, 100 * MB, 10 * MB, 700), 3);
    tsr_context_close(&wide);
    tsr_context_close(&narrow);
}
END_TEST

TEST_MAIN("together", processor, gpu)
