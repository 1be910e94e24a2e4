/* SPDX-License-Identifier: MIT */
/* What fits on a device: the largest heap of its own memory, and of it what others have left
 * (VK_EXT_memory_budget), for made-up cards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops/ops.h"
#include "compute/run.h"
#include "fake_layer.h"
#include "testing.h"

#define GIB ((uint64_t)1 << 30)

static tsr_context *ctx;

static tsr_device *open_device(void) {
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    tsr_device *d = NULL;
    ck_assert_msg(tsr_device_open(ctx, &d, &s) == TSR_OK, "%s", tsr_detail(ctx));
    return d;
}

static void expect_memory(const char *heaps, const char *budget, uint64_t bytes, uint64_t left) {
    char a[96], b[96];
    snprintf(a, sizeof a, "FAKE_HEAPS=%s", heaps);
    snprintf(b, sizeof b, "FAKE_BUDGET=%s", budget);
    fake_layer((const char *[]){a, b, NULL});
    tsr_device *d = open_device();
    const tsr_device_info *info = tsr_device_properties(d);
    ck_assert_msg(info->memory_bytes == bytes && info->memory_free_bytes == left,
                  "%s, %s: wanted %llu and %llu, got %llu and %llu", heaps, budget,
                  (unsigned long long)bytes, (unsigned long long)left,
                  (unsigned long long)info->memory_bytes,
                  (unsigned long long)info->memory_free_bytes);
    tsr_device_close(&d);
}

START_TEST(cards_of_all_sizes) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    expect_memory("local:8G,host:16G", "none", 8 * GIB, 0);
    expect_memory("local:8G,host:16G", "7G:1G,15G:0", 8 * GIB, 6 * GIB);
    expect_memory("host:16G,local:24G", "15G:0,20G:0", 24 * GIB, 20 * GIB);
    expect_memory("local:141G,host:64G", "100G:1G,60G", 141 * GIB, 99 * GIB);
    /* the window of 256 MiB through which the host sees the memory comes first on some drivers */
    expect_memory("local:256M,local:8G,host:16G", "200M:0,5G:2G,8G", 8 * GIB, 3 * GIB);
    /* others took all: that is not the same as not known */
    expect_memory("local:8G,host:16G", "1G:2G,8G", 8 * GIB, 1);
    tsr_context_close(&ctx);
}
END_TEST

static void sum(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *a = tsr_scale(r, in[0], 1, 1), *b = tsr_scale(r, in[0], 1, 2);
    out[0] = tsr_binary(r, a, b, TSR_BINARY_ADD);
}

static tsr_status run(tsr_device *d, int64_t n) {
    float *x = calloc((size_t)n, 4), *y = calloc((size_t)n, 4);
    ck_assert(x && y);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, &n), out = in;
    out.data = y;
    tsr_program p = {.fn = sum, .name = "sum"};
    tsr_status status = tsr_execute(d, &p, &in, 1, &out, 1);
    if (!status) ck_assert_float_eq(y[n - 1], 3);
    free(x);
    free(y);
    return status;
}

START_TEST(what_others_took_does_not_fit) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const int64_t large = 1 << 20, small = 1 << 16; /* some 20 MiB, and 1.3 MiB */
    fake_layer((const char *[]){"FAKE_HEAPS=local:8G,host:16G", "FAKE_BUDGET=7G:6G,15G", NULL});
    tsr_device *d = open_device();
    ck_assert_msg(run(d, large) == TSR_OK, "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    fake_layer((const char *[]){"FAKE_HEAPS=local:8G,host:16G", "FAKE_BUDGET=7G:7164M,15G", NULL});
    d = open_device(); /* 4 MiB are left */
    ck_assert_int_eq(run(d, large), TSR_ERROR_TOO_LARGE);
    ck_assert_msg(strstr(tsr_detail(ctx), "wanted at most 4194304 bytes, as others use its memory"),
                  "%s", tsr_detail(ctx));
    ck_assert_msg(run(d, small) == TSR_OK, "%s", tsr_detail(ctx));
    /* what the device holds already is not asked for again */
    ck_assert_msg(run(d, small) == TSR_OK, "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(the_largest_heap_is_allocated_from) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    fake_layer((const char *[]){"FAKE_HEAPS=local:256M,local:8G,host:16G", NULL});
    tsr_device *d = open_device();
    ck_assert_msg(run(d, 1 << 16) == TSR_OK, "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    char line[64];
    int of_type[3];
    for (int i = 0; i < 3; ++i) {
        snprintf(line, sizeof line, "allocate of type %d", i);
        of_type[i] = fake_layer_lines(line);
    }
    ck_assert_int_eq(of_type[0], 0);
    ck_assert_int_ge(of_type[1], 1); /* activations */
    ck_assert_int_ge(of_type[2], 1); /* staging */
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(small_limits_are_kept) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    fake_layer(
        (const char *[]){"FAKE_STORAGE_RANGE=128M", "FAKE_ALLOCATION=1M", "FAKE_SHARED=32K", NULL});
    tsr_device *d = open_device();
    const tsr_device_info *info = tsr_device_properties(d);
    ck_assert_uint_eq(info->max_storage_range, 128 << 20);
    ck_assert_uint_eq(info->max_allocation, 1 << 20);
    ck_assert_uint_eq(info->max_shared_bytes, 32 << 10);
    ck_assert_msg(run(d, 1 << 16) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_int_eq(run(d, 1 << 19), TSR_ERROR_TOO_LARGE); /* a tensor of 2 MiB */
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("memory budget",
           PART(own, need_fake_layer, cards_of_all_sizes, what_others_took_does_not_fit,
                the_largest_heap_is_allocated_from, small_limits_are_kept))
