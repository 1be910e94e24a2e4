/* SPDX-License-Identifier: MIT */
/* test_reduce_devices.c: chains of operators give the same tokens on every device, for every number
 * of threads, and give a source map that leads from the first tokens to the last. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "everywhere.h"
#include "reduce/token_set.h"

enum { ROWS = 16, COLUMNS = 18, N = ROWS * COLUMNS, DIM = 96, HEADS = 4 };

static const char *const chains[][3] = {
    {"cls-attention-topk:k=200", "bipartite-merge:r=60", "diverse-maxmin:k=48"},
    {"pyramid-pool:target=72", "dpc-knn:ratio=0.5", "coverage-greedy:k=12"},
    {"dct-lowpass:size=8+9", "diverse-kcentre:k=30", "bipartite-merge:r=10"},
};

static tsr_token_set *make(tsr_context *ctx) {
    static const int64_t grid[3] = {1, ROWS, COLUMNS};
    float *x = malloc(sizeof *x * N * DIM), *attention = malloc(sizeof *attention * HEADS * N);
    ck_assert(x && attention);
    random_normals(x, N * DIM);
    for (int i = 0; i < HEADS * N; ++i)
        attention[i] = random_uniform(0, 1);
    tsr_token_set *set = NULL;
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, DIM, grid, &set), TSR_OK);
    const tsr_token_array a = {.name = "attention",
                               .axis = TSR_TOKEN_AXIS_LAST,
                               .rank = 2,
                               .dim = {HEADS, N},
                               .data = attention};
    ck_assert_int_eq(tsr_token_set_add(set, &a), TSR_OK);
    free(x);
    free(attention);
    return set;
}

/* The same set in another context. */
static tsr_token_set *moved(tsr_context *ctx, const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set *other = NULL;
    tsr_token_set_info_get(set, &info);
    ck_assert_int_eq(
        tsr_token_set_create(ctx, info.features, info.count, info.channels, info.grid, &other),
        TSR_OK);
    const tsr_token_array a = tsr_token_set_column(set, "attention");
    ck_assert_int_eq(tsr_token_set_add(other, &a), TSR_OK);
    return other;
}

static tsr_token_set *reduce(tsr_context *ctx, const tsr_token_set *set, int chain,
                             const char *device) {
    const tsr_reduce_settings settings = {.device = device};
    tsr_token_set *made = NULL;
    const tsr_status s = tsr_token_set_reduce(set, chains[chain], 3, &settings, &made);
    ck_assert_msg(s == TSR_OK, "%s on %s: %s", chains[chain][0], device, tsr_detail(ctx));
    ck_assert_int_eq(tsr_token_set_check(made, device), TSR_OK);
    return made;
}

/* Same tokens; features to the bit, or within `tolerance`. */
static void expect_same(const char *what, const tsr_token_set *a, const tsr_token_set *b,
                        double tolerance) {
    tsr_token_set_info x, y;
    tsr_token_set_info_get(a, &x);
    tsr_token_set_info_get(b, &y);
    ck_assert_int_eq(x.count, y.count);
    expect_equal_i32(what, x.source_map, y.source_map, x.source);
    if (tolerance > 0)
        expect_close_f32(what, x.features, y.features, x.count * x.channels, tolerance);
    else
        ck_assert_msg(
            !memcmp(x.features, y.features, sizeof(float) * (size_t)(x.count * x.channels)),
            "%s: features differ", what);
}

START_TEST(same_on_every_device) {
    char name[32];
    for (int chain = 0; chain < (int)(sizeof chains / sizeof *chains); ++chain) {
        tsr_context *ctx = tsr_device_context(everywhere_device("cpu", NULL));
        tsr_token_set *set = make(ctx), *cpu = reduce(ctx, set, chain, "cpu");
        for (int v = 0; v < everywhere_vulkan_count(); ++v) {
            snprintf(name, sizeof name, "vulkan:%d", v);
            tsr_token_set *gpu = reduce(ctx, set, chain, name);
            expect_same(name, gpu, cpu, 1e-5);
            tsr_token_set_close(&gpu);
        }
        tsr_token_set_close(&cpu);
        tsr_token_set_close(&set);
    }
}
END_TEST

START_TEST(same_for_every_number_of_threads) {
    tsr_context *ctx[2] = {NULL, NULL};
    for (int i = 0; i < 2; ++i) {
        const tsr_context_settings settings = {.threads = i ? 4 : 1};
        ck_assert_int_eq(tsr_context_open(&ctx[i], &settings), TSR_OK);
    }
    for (int chain = 0; chain < (int)(sizeof chains / sizeof *chains); ++chain) {
        tsr_token_set *set = make(ctx[0]), *again = moved(ctx[1], set);
        tsr_token_set *one = reduce(ctx[0], set, chain, "cpu"),
                      *four = reduce(ctx[1], again, chain, "cpu");
        expect_same("threads", four, one, 0);
        tsr_token_set_close(&four);
        tsr_token_set_close(&one);
        tsr_token_set_close(&again);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx[0]);
    tsr_context_close(&ctx[1]);
}
END_TEST

TEST_MAIN("chains of operators", same_on_every_device, same_for_every_number_of_threads)
