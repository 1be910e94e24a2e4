/* SPDX-License-Identifier: MIT */
/* test_operators_merge.c: operators that put tokens together: against slow definitions, what is
 * conserved, ties, one token, threads, chains. Published answers are in tests/golden/operators. */
#include "reduce/average.h"
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    ROWS = 12,
    COLUMNS = 15,
    N = ROWS * COLUMNS,
    DIM = 20,
    WIDTH = 8,
    PEAKS = 650 /* more than two blocks of dpc-knn */
};
static const tsr_status BAD = TSR_ERROR_ARGUMENT;
static const int64_t grid[3] = {1, ROWS, COLUMNS};

static float x[PEAKS * DIM], keys[N * WIDTH], numbers[N];

/* Every operator of this file, on N tokens. */
static const char *const operations[] = {
    "bipartite-merge:r=50",
    "bipartite-merge:r=50,class_token=yes,distill_token=yes",
    "halving-merge:target=11",
    "halving-merge:target=11,variant=published",
    "dominant-contextual:dominant=20,contextual=9",
    "lof-merge",
    "cell-recycle:keep=0.4,cell=4",
    "dpc-knn:ratio=0.2",
    "temporal-dedupe:threshold=0.6",
    "size-bias-attention:heads=2",
    "clip-codebook:k=12",
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void make_data(void) {
    random_normals(x, PEAKS * DIM);
    random_normals(keys, N * WIDTH);
    for (int i = 0; i < N; ++i)
        numbers[i] = expf(4 * random_uniform(-1, 1));
}

/* A set of n <= N tokens with every column that the operators above read. */
static tsr_token_set *whole_set(tsr_context *ctx, int64_t n) {
    const int64_t line[3] = {1, 1, n};
    tsr_token_set *set = set_of(ctx, x, n, DIM, n == N ? grid : line);
    add_column(set, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, numbers);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2, (int64_t[]){1, n}, numbers);
    const char *const wide[] = {"keys", "queries", "values"};
    for (int i = 0; i < 3; ++i)
        add_column(set, wide[i], TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, WIDTH},
                   keys);
    return set;
}

static tsr_token_set_info info_of(const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    return info;
}

/* ---- slow definitions, float64 ---- */

static double cosine(const float *a, const float *b, int n) {
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; ++i) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* One step of matching n tokens: the most similar of the even tokens that are left merges. */
static void slow_match(int n, int r, int *map) {
    double best[N];
    int into[N], rows = 0;
    for (int a = 0; a < n; a += 2) {
        best[a] = -2;
        for (int b = 1; b < n; b += 2) {
            const double c = cosine(keys + a * WIDTH, keys + b * WIDTH, WIDTH);
            if (c > best[a]) best[a] = c, into[a] = b;
        }
        map[a] = -1;
    }
    for (int step = 0; step < (n + 1) / 2; ++step) { /* even tokens by falling similarity */
        int next = -1;
        for (int a = 0; a < n; a += 2)
            if (map[a] == -1 && (next < 0 || best[a] > best[next])) next = a;
        map[next] = step < r ? -2 : rows++;
    }
    for (int b = 1; b < n; b += 2)
        map[b] = rows++;
    for (int a = 0; a < n; a += 2)
        if (map[a] == -2) map[a] = map[into[a]];
}

START_TEST(matching_equals_the_definition) {
    tsr_context *ctx = set_context(2);
    static const int sizes[] = {2, 3, 7, 64, N - 1, N};
    make_data();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        const int n = sizes[s], r = n / 3 > 0 ? n / 3 : 1;
        int map[N];
        char operation[64];
        snprintf(operation, sizeof operation, "bipartite-merge:r=%d", r);
        tsr_token_set *set = whole_set(ctx, n), *made = reduce_one(set, operation);
        slow_match(n, r, map);
        ck_assert_int_eq(info_of(made).count, n - r);
        for (int i = 0; i < n; ++i)
            ck_assert_msg(info_of(made).source_map[i] == map[i], "%d tokens, token %d", n, i);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

static double distance(int i, int j) {
    double sum = 0;
    for (int c = 0; c < DIM; ++c)
        sum += pow((double)x[i * DIM + c] - (double)x[j * DIM + c], 2);
    return sqrt(sum / DIM);
}

/* Density and delta of all tokens; densities as f32, as they decide. */
static void slow_peaks(int n, int k, float *density, double *delta) {
    double most = 0;
    for (int i = 0; i < n; ++i) {
        double near[PEAKS], sum = 0;
        for (int j = 0; j < n; ++j) {
            near[j] = distance(i, j);
            most = fmax(most, near[j]);
        }
        for (int step = 0; step < k; ++step) {
            int best = 0;
            for (int j = 1; j < n; ++j)
                if (near[j] < near[best]) best = j;
            sum += near[best] * near[best] / k;
            near[best] = INFINITY;
        }
        density[i] = (float)exp(-sum);
    }
    for (int i = 0; i < n; ++i) {
        delta[i] = INFINITY;
        for (int j = 0; j < n; ++j)
            if (density[j] > density[i] || (density[j] == density[i] && j < i))
                delta[i] = fmin(delta[i], distance(i, j));
        if (isinf(delta[i])) delta[i] = most;
    }
}

START_TEST(peaks_equal_the_definition) {
    tsr_context *ctx = set_context(2);
    make_data();
    /* Dense groups: the densest of a group has its nearest denser token far outside its list. */
    for (int i = 0; i < PEAKS; ++i)
        for (int c = 0; c < DIM; ++c)
            x[i * DIM + c] = 0.1f * x[i * DIM + c] + (float)(i % 3 * (c % 2 ? 2 : 1));
    for (int k = 1; k <= 40; k += 13) {
        float density[PEAKS];
        double delta[PEAKS];
        char operation[64];
        snprintf(operation, sizeof operation, "dpc-knn:k=60,neighbours=%d", k);
        tsr_token_set *set = set_of(ctx, x, PEAKS, DIM, NULL), *made = reduce_one(set, operation);
        slow_peaks(PEAKS, k, density, delta);
        const float *d = trace_of(made, "density").data, *e = trace_of(made, "delta").data;
        expect_close("delta", e, delta, PEAKS, 1e-5);
        expect_close_f32("density", d, density, PEAKS, 1e-6);
        const int32_t *centre = trace_of(made, "centres").data, *map = info_of(made).source_map;
        for (int i = 0; i < 60; ++i)
            ck_assert_int_eq(map[centre[i]], i);
        for (int i = 0; i < PEAKS; ++i) {
            double least = INFINITY;
            for (int c = 0; c < 60; ++c)
                least = fmin(least, distance(i, centre[c]));
            ck_assert_double_le(distance(i, centre[map[i]]), least + 1e-4);
        }
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- what is conserved ---- */

START_TEST(sizes_add_up) {
    tsr_context *ctx = set_context(2);
    make_data();
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_token_set *set = whole_set(ctx, N), *made = reduce_one(set, operations[i]);
        const tsr_token_set_info info = info_of(made);
        double sum = 0;
        for (int64_t t = 0; t < info.count; ++t)
            sum += (double)info.sizes[t];
        ck_assert_msg(sum == N, "%s: %g source tokens", operations[i], sum);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Operators whose tokens are means weighted by size, also of tokens that were merged before. */
START_TEST(weighted_sums_are_conserved) {
    static const char *const means[] = {"bipartite-merge:r=50", "halving-merge:target=11",
                                        "dpc-knn:k=30", "temporal-dedupe:threshold=0.6"};
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = whole_set(ctx, N), *first = reduce_one(set, "bipartite-merge:r=40");
    for (int i = 0; i < 4; ++i) {
        tsr_token_set *made = reduce_one(first, means[i]);
        const tsr_token_set_info info = info_of(made);
        for (int c = 0; c < DIM; ++c) {
            double before = 0, after = 0;
            for (int t = 0; t < N; ++t)
                before += (double)x[t * DIM + c];
            for (int64_t t = 0; t < info.count; ++t)
                after += (double)info.sizes[t] * (double)info.features[t * DIM + c];
            ck_assert_msg(fabs(before - after) < 1e-3, "%s: channel %d: %g and %g", means[i], c,
                          before, after);
        }
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&first);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(halving_is_a_chain_of_matchings) {
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = set_of(ctx, x, 50, DIM, NULL),
                  *made = reduce_one(set, "halving-merge:target=6"), *chain = NULL;
    const char *const steps[] = {"bipartite-merge:r=25", "bipartite-merge:r=12",
                                 "bipartite-merge:r=6", "bipartite-merge:r=1"};
    ck_assert_int_eq(tsr_token_set_reduce(set, steps, 4, NULL, &chain), TSR_OK);
    const tsr_token_set_info a = info_of(made), b = info_of(chain);
    ck_assert_int_eq(a.count, 6);
    ck_assert_int_eq(b.count, 6);
    ck_assert(!memcmp(a.source_map, b.source_map, 50 * sizeof(int32_t)));
    expect_close_f32("features", a.features, b.features, 6 * DIM, 1e-6);
    tsr_token_set_close(&chain);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Class and distillation tokens come first, alone, and unmerging finds every token's own row. */
START_TEST(unmerging_follows_the_map) {
    tsr_context *ctx = set_context(2);
    static float painted[N * DIM];
    make_data();
    memcpy(keys, keys + 7 * WIDTH, WIDTH * sizeof *keys); /* else token 0 would merge first */
    memcpy(keys + 8 * WIDTH, keys + WIDTH, WIDTH * sizeof *keys); /* and token 8 into token 1 */
    tsr_token_set *set = whole_set(ctx, N),
                  *made = reduce_one(set, "bipartite-merge:r=70,class_token=yes,distill_token=yes");
    const tsr_token_set_info info = info_of(made);
    ck_assert_int_eq(info.count, N - 70);
    ck_assert(!memcmp(info.features, x, 2 * DIM * sizeof(float)));
    ck_assert(info.sizes[0] == 1 && info.sizes[1] == 1);
    ck_assert_int_eq(tsr_token_set_unmerge(made, painted), TSR_OK);
    /* Painted tokens merge into what they were painted from. */
    tsr_token_set *again = set_of(ctx, painted, N, DIM, NULL);
    add_column(again, "keys", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, WIDTH}, keys);
    tsr_token_set *back =
        reduce_one(again, "bipartite-merge:r=70,class_token=yes,distill_token=yes");
    ck_assert(!memcmp(info_of(back).source_map, info.source_map, N * sizeof(int32_t)));
    expect_close_f32("features", info_of(back).features, info.features, info.count * DIM, 1e-6);
    tsr_token_set_close(&back);
    tsr_token_set_close(&again);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- ties, single tokens, threads, chains ---- */

START_TEST(equal_tokens_go_by_index) {
    tsr_context *ctx = set_context(2);
    make_data();
    for (int i = 1; i < N; ++i) {
        memcpy(x + i * DIM, x, DIM * sizeof *x);
        memcpy(keys + i * WIDTH, keys, WIDTH * sizeof *keys);
        numbers[i] = numbers[0];
    }
    tsr_token_set *set = whole_set(ctx, N), *made = reduce_one(set, "bipartite-merge:r=3");
    const int32_t *from = trace_of(made, "merged").data, *into = trace_of(made, "merged_into").data;
    for (int i = 0; i < 3; ++i)
        ck_assert(from[i] == 2 * i && into[i] == 1);
    tsr_token_set_close(&made);
    made = reduce_one(set, "dpc-knn:k=4");
    const int32_t *centre = trace_of(made, "centres").data;
    for (int i = 0; i < 4; ++i)
        ck_assert_int_eq(centre[i], i);
    tsr_token_set_close(&made);
    made = reduce_one(set, "temporal-dedupe");
    ck_assert_int_eq(info_of(made).count, 1);
    tsr_token_set_close(&made);
    made = reduce_one(set, "cell-recycle:keep=0.9,cell=4"); /* 18 and 11 spare ones */
    const int32_t *low = trace_of(made, "low").data,
                  *owner = trace_of(made, "representative_of_low").data;
    ck_assert_int_eq(trace_of(made, "low").dim[0], 29);
    for (int i = 0; i < 29; ++i) {
        ck_assert_int_eq(low[i], i);
        ck_assert_int_eq(owner[i], i % COLUMNS / 4 * 4); /* the first row of cells */
    }
    tsr_token_set_close(&made);
    made = reduce_one(set, "dominant-contextual:dominant=3,contextual=2");
    const int32_t *joined_to = trace_of(made, "joined_to").data;
    for (int64_t i = 0; i < trace_of(made, "joined_to").dim[0]; ++i)
        ck_assert_int_eq(joined_to[i], 3);
    tsr_token_set_close(&made);
    made = reduce_one(set, "lof-merge"); /* no outlier: everything goes to the last token */
    ck_assert_int_eq(info_of(made).count, 1);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(one_token_stays) {
    static const char *const one[] = {
        "bipartite-merge:r=5",
        "halving-merge:target=1",
        "dominant-contextual:dominant=0,contextual=1",
        "lof-merge",
        "cell-recycle:keep=1,cell=4",
        "dpc-knn:ratio=1",
        "temporal-dedupe",
        "size-bias-attention:heads=1",
        "clip-codebook:k=1",
    };
    tsr_context *ctx = set_context(2);
    make_data();
    for (size_t i = 0; i < sizeof one / sizeof *one; ++i) {
        tsr_token_set *set = whole_set(ctx, 1), *made = reduce_one(set, one[i]);
        ck_assert_msg(info_of(made).count == 1 && info_of(made).source_map[0] == 0, "%s", one[i]);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(threads_change_no_bit) {
    make_data();
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_context *one = set_context(1), *four = set_context(4);
        tsr_token_set *a = whole_set(one, N), *b = whole_set(four, N);
        tsr_token_set *p = reduce_one(a, operations[i]), *q = reduce_one(b, operations[i]);
        same_sets(p, q);
        tsr_token_set_close(&p);
        tsr_token_set_close(&q);
        tsr_token_set_close(&a);
        tsr_token_set_close(&b);
        tsr_context_close(&one);
        tsr_context_close(&four);
    }
}
END_TEST

/* Pool, merge, keep: the map of the chain leads from the sources to the tokens that hold them. */
START_TEST(chain_of_three) {
    tsr_context *ctx = set_context(2);
    static const char *const chain[] = {"pyramid-pool:window=3", "bipartite-merge:r=7",
                                        "cls-attention-topk:k=6"};
    make_data();
    tsr_token_set *set = whole_set(ctx, N), *made = NULL;
    ck_assert_int_eq(tsr_token_set_reduce(set, chain, 3, NULL, &made), TSR_OK);
    tsr_token_set *pooled = reduce_one(set, chain[0]), *merged = reduce_one(pooled, chain[1]),
                  *kept = reduce_one(merged, chain[2]);
    const tsr_token_set_info end = info_of(made), step = info_of(kept);
    ck_assert_int_eq(end.count, 6);
    ck_assert(!memcmp(end.source_map, step.source_map, N * sizeof(int32_t)));
    int held = 0;
    for (int t = 0; t < 6; ++t) { /* features are means over the sources, which are whole windows */
        double sum[DIM] = {0};
        int count = 0;
        for (int i = 0; i < N; ++i)
            for (int c = 0; c < DIM && end.source_map[i] == t; ++c) {
                sum[c] += (double)x[i * DIM + c];
                count += !c;
            }
        ck_assert_msg(count == (int)end.sizes[t] && count % 9 == 0, "%d sources", count);
        for (int c = 0; c < DIM; ++c)
            sum[c] /= count;
        expect_close("features", end.features + t * DIM, sum, DIM, 1e-6);
        held += count;
    }
    ck_assert_int_lt(held, N);
    tsr_token_set_close(&kept);
    tsr_token_set_close(&merged);
    tsr_token_set_close(&pooled);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* A grid that grows has tokens without sources; what merges next leaves their features. */
START_TEST(tokens_without_sources_keep_their_features) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = set_of(ctx, x, 6, DIM, (int64_t[]){1, 2, 3});
    tsr_token_set *grown = reduce_one(set, "adaptive-pool:size=4+6"),
                  *made = reduce_one(grown, "bipartite-merge:r=0");
    int without = 0;
    for (int i = 0; i < 24; ++i)
        without += info_of(grown).sizes[i] == 0;
    ck_assert_int_eq(without, 18);
    ck_assert(!memcmp(info_of(made).features, info_of(grown).features, 24 * DIM * sizeof(float)));
    tsr_token_set_close(&made);
    tsr_token_set_close(&grown);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Members weigh by size; where none has any, all count the same. */
START_TEST(averages_of_groups) {
    tsr_context *ctx = set_context(1);
    static const tsr_operator op = {.info = {.name = "test"}};
    tsr_operation o = {.ctx = ctx, .op = &op, .scratch = {.ctx = ctx}};
    static const float rows[6] = {1, 3, 5, 7, 11, 13}, weight[6] = {0, 0, 1, 3, 0, 2};
    static const int32_t map[6] = {0, 0, 2, 2, -1, 3};
    static const float want[4] = {2, 0, 6.5f, 13};
    float got[4];
    tsr_average(&o, rows, 6, 1, weight, map, 4, got);
    ck_assert_int_eq(o.status, TSR_OK);
    ck_assert(!memcmp(got, want, sizeof got));
    tsr_scratch_free(&o.scratch);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- frames, codebooks, refusals ---- */

START_TEST(frames_join_as_a_whole) {
    tsr_context *ctx = set_context(1);
    make_data();
    enum { PLACES = 6, FRAMES = 5 };
    const int copies[FRAMES] = {0, 0, 1, 0, 1}; /* frames 0 0 1 0 1 */
    for (int f = 4; f >= 0; --f)
        memmove(x + f * PLACES * DIM, x + copies[f] * PLACES * DIM, PLACES * DIM * sizeof *x);
    for (int i = 0; i < PLACES * DIM; ++i) /* frame 1 was written over */
        x[2 * PLACES * DIM + i] = x[4 * PLACES * DIM + i] = random_normal();
    memcpy(x + 4 * PLACES * DIM, x + 2 * PLACES * DIM, PLACES * DIM * sizeof *x);
    tsr_token_set *set = set_of(ctx, x, FRAMES * PLACES, DIM, (int64_t[]){FRAMES, 2, 3}),
                  *made = reduce_one(set, "temporal-dedupe:unit=frame,threshold=0.9");
    const tsr_token_set_info info = info_of(made);
    const int32_t place[FRAMES] = {0, 0, 1, 0, 1};
    ck_assert_int_eq(info.count, 2 * PLACES);
    ck_assert(info.grid[0] == 2 && info.grid[1] == 2 && info.grid[2] == 3);
    for (int i = 0; i < FRAMES * PLACES; ++i)
        ck_assert_int_eq(info.source_map[i], place[i / PLACES] * PLACES + i % PLACES);
    expect_close_f32("features", info.features, x, PLACES * DIM, 1e-6);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(codebooks_are_means) {
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = set_of(ctx, x, N, DIM, NULL),
                  *made = reduce_one(set, "clip-codebook:k=9,rows=original,labels=canonical");
    const tsr_token_set_info info = info_of(made);
    int next = 0;
    for (int i = 0; i < N; ++i) { /* numbered by their first token */
        ck_assert_int_le(info.source_map[i], next);
        next += info.source_map[i] == next;
    }
    for (int t = 0; t < 9; ++t) {
        double sum[DIM] = {0};
        for (int i = 0; i < N; ++i)
            for (int c = 0; c < DIM && info.source_map[i] == t; ++c)
                sum[c] += (double)x[i * DIM + c] / (double)info.sizes[t];
        expect_close("rows", info.features + t * DIM, sum, DIM, 1e-6);
    }
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(bad_parameters_are_refused) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = whole_set(ctx, N), *bare = set_of(ctx, x, N, DIM, NULL);
    refuses(ctx, set, "bipartite-merge", BAD, "r: wanted a value, got none");
    refuses(ctx, set, "bipartite-merge:r=-1", BAD, "r: wanted a whole number in 0..");
    refuses(ctx, bare, "bipartite-merge:r=1,metric=keys", BAD, "column keys, got none");
    refuses(ctx, set, "halving-merge:target=0", BAD, "target: wanted a whole number in 1..");
    refuses(ctx, set, "halving-merge:target=181", BAD, "target: wanted 1..180 tokens, got 181");
    refuses(ctx, set, "dominant-contextual:dominant=170,contextual=11", BAD,
            "wanted dominant and contextual tokens of 180, got 170 and 11");
    refuses(ctx, bare, "dominant-contextual:dominant=1,contextual=1", BAD, "column keys, got none");
    refuses(ctx, bare, "lof-merge", BAD, "column scores, got none");
    refuses(ctx, bare, "cell-recycle:keep=0.5", BAD, "wanted tokens on a grid");
    refuses(ctx, set, "cell-recycle:keep=1.5", BAD, "keep: wanted a number in 0..1");
    refuses(ctx, set, "dpc-knn:k=181", BAD, "wanted at most the 180 tokens");
    refuses(ctx, set, "dpc-knn", BAD, "either k or ratio, got none");
    refuses(ctx, set, "dpc-knn:k=3,ratio=0.5", BAD, "either k or ratio, got both");
    refuses(ctx, bare, "temporal-dedupe:metric=picks", BAD, "column picks, got none");
    refuses(ctx, bare, "temporal-dedupe:unit=frame", BAD, "wanted tokens on a grid");
    refuses(ctx, set, "temporal-dedupe:unit=frame,metric=picks", BAD, "wanted features of frames");
    refuses(ctx, set, "size-bias-attention:heads=3", BAD, "heads: wanted a divisor of the 8");
    refuses(ctx, set, "clip-codebook:k=0", BAD, "k: wanted a whole number in 1..");
    numbers[5] = -1;
    add_column(set, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, (int64_t[]){N}, numbers);
    refuses(ctx, set, "cell-recycle:keep=0.5", BAD, "token 5: wanted a number not below 0, got -1");
    add_column(set, "values", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, WIDTH - 1},
               keys);
    refuses(ctx, set, "size-bias-attention:heads=2", BAD, "column values: wanted rows of 8");
    tsr_token_set_close(&bare);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Shares of nothing and of everything. */
START_TEST(ratios_0_and_1) {
    static const struct {
        const char *operation;
        int64_t count;
    } cases[] = {{"dpc-knn:ratio=0", 1},       {"dpc-knn:ratio=1", N},
                 {"clip-codebook:ratio=0", 1}, {"clip-codebook:ratio=1", N},
                 {"cell-recycle:keep=1", N},   {"cell-recycle:keep=0", 6},
                 {"bipartite-merge:r=0", N},   {"bipartite-merge:r=100000", N / 2}};
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = whole_set(ctx, N);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_token_set *made = reduce_one(set, cases[i].operation);
        ck_assert_msg(info_of(made).count == cases[i].count, "%s: %d tokens", cases[i].operation,
                      (int)info_of(made).count);
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that merge", matching_equals_the_definition, peaks_equal_the_definition,
          sizes_add_up, weighted_sums_are_conserved, halving_is_a_chain_of_matchings,
          unmerging_follows_the_map, equal_tokens_go_by_index, one_token_stays,
          threads_change_no_bit, chain_of_three, tokens_without_sources_keep_their_features,
          averages_of_groups, frames_join_as_a_whole, codebooks_are_means,
          bad_parameters_are_refused, ratios_0_and_1)
