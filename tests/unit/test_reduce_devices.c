/* SPDX-License-Identifier: MIT */
/* test_reduce_devices.c: chains of operators give the same tokens on every device, for every number
 * of threads, and give a source map that leads from the first tokens to the last; and on a GPU a
 * chain is one program of one submission, which takes features up and down once. */
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
/* Chains whose operators are all recorded. */
static const char *const recorded[][3] = {
    {"bipartite-merge:r=60", "diverse-maxmin:k=80", "cls-attention-topk:k=20"},
    {"dct-lowpass:size=8+9", "bipartite-merge:r=10", "diverse-maxmin:k=30"},
    {"query-relevance", "adaptive-pool:size=5+7", "score-topk:k=9"},
    {"cls-sum-topk:k=100,start=1", "diverse-maxsum:k=70", "coverage-greedy:k=12"},
    {"pool-1d:stride=3", "dpc-knn:k=20,neighbours=4", "nearest-code:features=codes"},
    {"pyramid-pool:window=2", "bipartite-merge:r=30,metric=features", "diverse-kcentre:k=9"},
    {"region:box=2+1+16+11", "slow-fast-pool:spatial_stride=2", "halving-merge:target=9"},
    {"query-relevance:range=unit", "weighted-pool:window=1+4+6,temperature=0.5",
     "nearest-code:rule=cos"},
};
enum { RECORDED = sizeof recorded / sizeof *recorded, TEXTS = 5, CODES = 40, LAYERS = 3 };

static void add(tsr_token_set *set, const char *name, tsr_token_axis axis, int rank,
                const int64_t *dim, bool positive) {
    tsr_token_array a = {.name = name, .axis = axis, .rank = rank};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    float *x = malloc((size_t)n * sizeof *x);
    ck_assert(x);
    random_normals(x, n);
    for (int64_t i = 0; i < n && positive; ++i)
        x[i] = random_uniform(0, 1);
    a.data = x;
    ck_assert_int_eq(tsr_token_set_add(set, &a), TSR_OK);
    free(x);
}

/* Attention is that of heads, or with `layers` that of heads of several layers. */
static tsr_token_set *make(tsr_context *ctx, bool layers) {
    static const int64_t grid[3] = {1, ROWS, COLUMNS};
    float *x = malloc(sizeof *x * N * DIM);
    ck_assert(x);
    random_normals(x, N * DIM);
    tsr_token_set *set = NULL;
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, DIM, grid, &set), TSR_OK);
    add(set, "attention", TSR_TOKEN_AXIS_LAST, layers ? 3 : 2,
        layers ? (int64_t[]){LAYERS, HEADS, N} : (int64_t[]){HEADS, N}, true);
    add(set, "text", TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){TEXTS, DIM}, false);
    add(set, "codes", TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){CODES, DIM}, false);
    free(x);
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
    for (int i = 0; i < tsr_token_set_column_count(set); ++i) {
        const tsr_token_array a = tsr_token_set_column_at(set, i);
        ck_assert_int_eq(tsr_token_set_add(other, &a), TSR_OK);
    }
    return other;
}

static tsr_token_set *reduce(tsr_context *ctx, const tsr_token_set *set, const char *const chain[3],
                             const char *device, tsr_reduce_report *report) {
    const tsr_reduce_settings settings = {.device = device, .report = report};
    tsr_token_set *made = NULL;
    const tsr_status s = tsr_token_set_reduce(set, chain, 3, &settings, &made);
    ck_assert_msg(s == TSR_OK, "%s on %s: %s", chain[0], device, tsr_detail(ctx));
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
        tsr_token_set *set = make(ctx, false), *cpu = reduce(ctx, set, chains[chain], "cpu", NULL);
        for (int v = 0; v < everywhere_vulkan_count(); ++v) {
            snprintf(name, sizeof name, "vulkan:%d", v);
            tsr_token_set *gpu = reduce(ctx, set, chains[chain], name, NULL);
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
        tsr_token_set *set = make(ctx[0], false), *again = moved(ctx[1], set);
        tsr_token_set *one = reduce(ctx[0], set, chains[chain], "cpu", NULL),
                      *four = reduce(ctx[1], again, chains[chain], "cpu", NULL);
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

/* Columns and the trace of the last operator: integers are equal, numbers near. */
static void expect_arrays(const char *what, int count, const tsr_token_set *a,
                          const tsr_token_set *b, bool trace) {
    for (int i = 0; i < count; ++i) {
        const tsr_token_array y =
            trace ? tsr_token_set_trace_at(b, i) : tsr_token_set_column_at(b, i);
        const tsr_token_array x =
            trace ? tsr_token_set_trace(a, y.name) : tsr_token_set_column(a, y.name);
        ck_assert_msg(x.name && x.type == y.type && x.rank == y.rank && x.axis == y.axis,
                      "%s: %s: another type, rank or axis, or none", what, y.name);
        const int64_t n = tsr_token_array_elements(&y);
        ck_assert_int_eq(tsr_token_array_elements(&x), n);
        if (y.type == TSR_ARRAY_I32)
            expect_equal_i32(y.name, x.data, y.data, n);
        else if (y.type == TSR_ARRAY_F32)
            expect_close_f32(y.name, x.data, y.data, n, 1e-4);
        for (int64_t j = 0; j < n && y.type == TSR_ARRAY_F64; ++j) {
            const double p = ((const double *)x.data)[j], q = ((const double *)y.data)[j];
            ck_assert_msg(fabs(p - q) <= 1e-5 * (1 + fabs(q)), "%s: %s: %g, wanted %g", what,
                          y.name, p, q);
        }
    }
}

/* Nothing is near enough to a tie here for f32 to decide otherwise. */
START_TEST(one_submission_and_what_the_cpu_makes) {
    char name[32];
    for (int chain = 0; chain < RECORDED; ++chain) {
        tsr_context *ctx = tsr_device_context(everywhere_device("cpu", NULL));
        const char *const *ops = recorded[chain];
        const bool layers = strstr(ops[0], "cls-sum") != NULL;
        tsr_token_set *set = make(ctx, layers), *cpu = reduce(ctx, set, ops, "cpu", NULL);
        for (int v = 0; v < everywhere_vulkan_count(); ++v) {
            tsr_reduce_report r;
            snprintf(name, sizeof name, "vulkan:%d", v);
            tsr_token_set *gpu = reduce(ctx, set, ops, name, &r);
            expect_same(ops[0], gpu, cpu, 1e-5);
            ck_assert_int_eq(tsr_token_set_column_count(gpu), tsr_token_set_column_count(cpu));
            ck_assert_int_eq(tsr_token_set_trace_count(gpu), tsr_token_set_trace_count(cpu));
            expect_arrays(ops[0], tsr_token_set_column_count(cpu), gpu, cpu, false);
            expect_arrays(ops[2], tsr_token_set_trace_count(cpu), gpu, cpu, true);
            ck_assert_int_eq(r.step_count, 3);
            for (int i = 0; i < 3; ++i)
                ck_assert_msg(!strcmp(r.steps[i].ran_on, name), "%s ran on %s", ops[i],
                              r.steps[i].ran_on);
            ck_assert_int_eq(r.programs, 1);
            ck_assert_int_eq(r.submissions, 1);
            const uint64_t up = sizeof(float) * (N * DIM + N),
                           attention = sizeof(float) * HEADS * N;
            ck_assert(r.bytes_up == up || r.bytes_up == up + attention ||
                      r.bytes_up == up + LAYERS * attention);
            tsr_token_set_close(&gpu);
        }
        tsr_token_set_close(&cpu);
        tsr_token_set_close(&set);
    }
}
END_TEST

/* A class token is the host's. */
START_TEST(the_host_between_two_programs) {
    static const char *const ops[3] = {
        "cls-attention-topk:k=200", "bipartite-merge:r=80,class_token=yes", "diverse-maxmin:k=48"};
    tsr_context *ctx = tsr_device_context(everywhere_device("cpu", NULL));
    tsr_token_set *set = make(ctx, false), *cpu = reduce(ctx, set, ops, "cpu", NULL);
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char name[32];
        tsr_reduce_report r;
        snprintf(name, sizeof name, "vulkan:%d", v);
        tsr_token_set *gpu = reduce(ctx, set, ops, name, &r);
        expect_same(name, gpu, cpu, 1e-5);
        ck_assert_str_eq(r.steps[0].ran_on, name);
        ck_assert_str_eq(r.steps[1].ran_on, "cpu");
        ck_assert_str_eq(r.steps[2].ran_on, name);
        tsr_token_set_close(&gpu);
    }
    tsr_token_set_close(&cpu);
    tsr_token_set_close(&set);
}
END_TEST

/* What is wrong is said in the same words on every device. */
START_TEST(same_refusals) {
    static const char *const wrong[] = {"cls-attention-topk:k=400",
                                        "cls-sum-topk:k=4",
                                        "diverse-kcentre:k=3,first=288",
                                        "diverse-maxmin:variant=published,k=2",
                                        "adaptive-pool:size=1+2+3+4",
                                        "dct-lowpass:size=99+2",
                                        "nearest-code:codebook=/nowhere",
                                        "bipartite-merge:q=1",
                                        "score-topk:k=3"};
    tsr_context *ctx = tsr_device_context(everywhere_device("cpu", NULL));
    tsr_token_set *set = make(ctx, false), *made = NULL;
    for (int i = 0; i < (int)(sizeof wrong / sizeof *wrong); ++i)
        for (int v = 0; v < everywhere_vulkan_count(); ++v) {
            char name[32], words[512];
            snprintf(name, sizeof name, "vulkan:%d", v);
            tsr_reduce_settings settings = {.device = "cpu"};
            const tsr_status status = tsr_token_set_reduce(set, &wrong[i], 1, &settings, &made);
            snprintf(words, sizeof words, "%s", tsr_detail(ctx));
            settings.device = name;
            ck_assert_int_ne(status, TSR_OK);
            ck_assert_int_eq(tsr_token_set_reduce(set, &wrong[i], 1, &settings, &made), status);
            ck_assert_str_eq(tsr_detail(ctx), words);
        }
    tsr_token_set_close(&set);
}
END_TEST

TEST_MAIN("chains of operators", same_on_every_device, same_for_every_number_of_threads,
          one_submission_and_what_the_cpu_makes, the_host_between_two_programs, same_refusals)
