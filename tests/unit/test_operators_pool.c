/* SPDX-License-Identifier: MIT */
/* test_operators_pool.c: operators that make a smaller grid, or split a budget over frames: against
 * slow definitions, what survives, what is refused, threads. Published answers are in
 * tests/golden/operators. */
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FRAMES = 6, ROWS = 8, COLUMNS = 12, N = FRAMES * ROWS * COLUMNS, DIM = 19 };
static const tsr_status BAD = TSR_ERROR_ARGUMENT;
static const int64_t grid[3] = {FRAMES, ROWS, COLUMNS};

static float x[N * DIM], scores[N], frame_scores[FRAMES];

/* Every operator of this file, on N tokens. */
static const char *const operations[] = {
    "pyramid-pool:window=2",
    "pyramid-pool:window=5,tail=drop",
    "adaptive-pool:size=5+7",
    "adaptive-pool:size=4+3+5",
    "adaptive-pool:size=100",
    "weighted-pool:window=2+3+2,stride=1+2+2",
    "weighted-pool:size=4+4+5",
    "weighted-pool:window=2+2+2,weights=none",
    "pool-1d:stride=7,prefix=3,suffix=4",
    "slow-fast-pool:sampling_stride=2,temporal_stride=2,spatial_stride=2,min_fast_frames=3",
    "slow-fast-pool:stream=slow",
    "dct-lowpass:size=4+5",
    "dct-lowpass:size=8+12,method=matrices",
    "frame-budget:max_token=40,total=4,reducer=v1",
    "frame-budget:max_token=40,total=4,reducer=v2",
    "frame-budget:max_token=40,total=4,reducer=v3",
    "frame-budget:max_token=40,total=4,reducer=v4",
    "frame-budget:max_token=40,total=4,reducer=v5",
    "frame-budget:max_token=40,total=4,reducer=v5,variant=published",
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void make_data(void) {
    random_normals(x, N * DIM);
    random_normals(scores, N);
    for (int i = 0; i < FRAMES; ++i)
        frame_scores[i] = random_uniform(0.2f, 1);
}

static tsr_token_set *whole_set(tsr_context *ctx) {
    const int64_t n = N, frames = FRAMES;
    tsr_token_set *set = set_of(ctx, x, N, DIM, grid);
    add_column(set, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, scores);
    add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, &frames, frame_scores);
    return set;
}

static tsr_token_set_info info_of(const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    return info;
}

/* ---- what survives ---- */

START_TEST(constants_survive) {
    tsr_context *ctx = set_context(2);
    make_data();
    for (int i = 0; i < N * DIM; ++i)
        x[i] = (float)(i % DIM) - 7.3f;
    tsr_token_set *set = whole_set(ctx);
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_token_set *made = reduce_one(set, operations[i]);
        const tsr_token_set_info info = info_of(made);
        for (int64_t t = 0; t < info.count; ++t)
            for (int c = 0; c < DIM; ++c)
                ck_assert_msg(fabsf(info.features[t * DIM + c] - x[c]) <= 1e-5f,
                              "%s: token %d, channel %d: %g", operations[i], (int)t, c,
                              (double)info.features[t * DIM + c]);
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Every source token counts for one token, or for none. */
START_TEST(sizes_count_sources) {
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = whole_set(ctx);
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_token_set *made = reduce_one(set, operations[i]);
        const tsr_token_set_info info = info_of(made);
        double sum = 0;
        int held = 0;
        for (int64_t t = 0; t < info.count; ++t)
            sum += (double)info.sizes[t];
        for (int64_t s = 0; s < N; ++s)
            held += info.source_map[s] >= 0;
        ck_assert_msg(sum == held && held > 0, "%s: %g and %d", operations[i], sum, held);
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(pools_of_pools) {
    tsr_context *ctx = set_context(2);
    static const char *const twice[] = {"pyramid-pool:window=2", "pyramid-pool:window=2"};
    make_data();
    tsr_token_set *set = whole_set(ctx), *chain = NULL,
                  *once = reduce_one(set, "pyramid-pool:window=4");
    ck_assert_int_eq(tsr_token_set_reduce(set, twice, 2, NULL, &chain), TSR_OK);
    const tsr_token_set_info a = info_of(chain), b = info_of(once);
    ck_assert(a.count == b.count && a.grid[1] == 2 && a.grid[2] == 3);
    ck_assert(!memcmp(a.source_map, b.source_map, N * sizeof(int32_t)));
    ck_assert(!memcmp(a.positions, b.positions, (size_t)a.count * 3 * sizeof(float)));
    expect_close_f32("features", a.features, b.features, a.count * DIM, 1e-6);
    tsr_token_set_close(&once);
    tsr_token_set_close(&chain);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- slow definitions ---- */

START_TEST(adaptive_windows_equal_the_definition) {
    tsr_context *ctx = set_context(2);
    static const int sizes[][3] = {{1, 1, 1}, {5, 3, 7}, {6, 8, 12}, {7, 11, 13}, {2, 20, 5}};
    static double want[20 * 13 * 13 * DIM];
    make_data();
    tsr_token_set *set = whole_set(ctx);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        char operation[64];
        const int *out = sizes[s];
        snprintf(operation, sizeof operation, "adaptive-pool:size=%d+%d+%d", out[0], out[1],
                 out[2]);
        tsr_token_set *made = reduce_one(set, operation);
        const int cells = out[0] * out[1] * out[2];
        ck_assert_int_eq(info_of(made).count, cells);
        for (int i = 0; i < cells; ++i) {
            const int at[3] = {i / out[2] / out[1], i / out[2] % out[1], i % out[2]};
            double count = 0;
            memset(want + i * DIM, 0, DIM * sizeof *want);
            for (int n = 0; n < N; ++n) {
                const int64_t place[3] = {n / (ROWS * COLUMNS), n / COLUMNS % ROWS, n % COLUMNS};
                bool in = true;
                for (int a = 0; a < 3; ++a)
                    in &= place[a] >= (int)floor((double)at[a] * (double)grid[a] / out[a]) &&
                          place[a] < (int)ceil((double)(at[a] + 1) * (double)grid[a] / out[a]);
                for (int c = 0; c < DIM && in; ++c)
                    want[i * DIM + c] += (double)x[n * DIM + c];
                count += in;
            }
            for (int c = 0; c < DIM; ++c)
                want[i * DIM + c] /= count;
        }
        expect_close(operation, info_of(made).features, want, cells * DIM, 1e-6);
        for (int n = 0; n < N; ++n) { /* the first window that holds the token */
            const int64_t place[3] = {n / (ROWS * COLUMNS), n / COLUMNS % ROWS, n % COLUMNS};
            int64_t window = 0;
            for (int a = 0; a < 3; ++a)
                window = window * out[a] + place[a] * out[a] / grid[a];
            ck_assert_int_eq(info_of(made).source_map[n], window);
        }
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* The transform, cut and undone by sums over all places; float64. */
static void slow_lowpass(int h, int w, double gain, double *y) {
    for (int t = 0; t < FRAMES; ++t)
        for (int c = 0; c < DIM; ++c) {
            double coefficient[ROWS][COLUMNS];
            for (int u = 0; u < h; ++u)
                for (int v = 0; v < w; ++v) {
                    double sum = 0;
                    for (int i = 0; i < ROWS; ++i)
                        for (int j = 0; j < COLUMNS; ++j)
                            sum += (double)x[((t * ROWS + i) * COLUMNS + j) * DIM + c] *
                                   cos(M_PI * (2 * i + 1) * u / (2 * ROWS)) *
                                   cos(M_PI * (2 * j + 1) * v / (2 * COLUMNS));
                    coefficient[u][v] =
                        sum * sqrt((u ? 2.0 : 1.0) / ROWS * (v ? 2.0 : 1.0) / COLUMNS);
                }
            for (int i = 0; i < h; ++i)
                for (int j = 0; j < w; ++j) {
                    double sum = 0;
                    for (int u = 0; u < h; ++u)
                        for (int v = 0; v < w; ++v)
                            sum += coefficient[u][v] *
                                   sqrt((u ? 2.0 : 1.0) / h * (v ? 2.0 : 1.0) / w) *
                                   cos(M_PI * (2 * i + 1) * u / (2 * h)) *
                                   cos(M_PI * (2 * j + 1) * v / (2 * w));
                    y[((t * h + i) * w + j) * DIM + c] = gain * sum;
                }
        }
}

static bool has_fftw(tsr_context *ctx, const tsr_token_set *set) {
    const char *operation = "dct-lowpass:size=1+1,method=fftw";
    tsr_token_set *made = NULL;
    const tsr_status status = tsr_token_set_reduce(set, &operation, 1, NULL, &made);
    tsr_token_set_close(&made);
    ck_assert_msg(status == TSR_OK || status == TSR_ERROR_UNSUPPORTED, "%s", tsr_detail(ctx));
    return status == TSR_OK;
}

START_TEST(transforms_equal_the_definition) {
    tsr_context *ctx = set_context(2);
    static const int sizes[][2] = {{1, 1}, {3, 5}, {4, 6}, {7, 12}, {8, 12}};
    static double want[N * DIM];
    make_data();
    tsr_token_set *set = whole_set(ctx);
    const char *const methods[] = {"matrices", "fftw"};
    const int count = has_fftw(ctx, set) ? 2 : 1;
    if (count == 1) leave_out("dct-lowpass by FFTW: this build is without it");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; ++s)
        for (int m = 0; m < 2 * count; ++m) {
            const int h = sizes[s][0], w = sizes[s][1];
            char operation[96];
            snprintf(operation, sizeof operation, "dct-lowpass:size=%d+%d,method=%s,gain=%s", h, w,
                     methods[m / 2], m % 2 ? "ortho" : "preserve");
            tsr_token_set *made = reduce_one(set, operation);
            slow_lowpass(h, w, m % 2 ? 1 : sqrt((double)(h * w) / (ROWS * COLUMNS)), want);
            expect_close(operation, info_of(made).features, want, (int64_t)FRAMES * h * w * DIM,
                         1e-5);
            tsr_token_set_close(&made);
        }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- weights, streams, budgets ---- */

/* A cold softmax takes the token of the highest score; equal scores take the mean. */
START_TEST(weights_choose) {
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = whole_set(ctx);
    tsr_token_set *made =
        reduce_one(set, "weighted-pool:window=2+2+2,logit_scale=1,temperature=1e-9");
    const tsr_token_set_info info = info_of(made);
    for (int i = 0; i < N; ++i) {
        const int t = info.source_map[i],
                  first = (t / 24 * 2 * ROWS + t / 6 % 4 * 2) * COLUMNS + t % 6 * 2;
        int best = first;
        for (int j = 0; j < 8; ++j) {
            const int other = first + (j / 4 * ROWS + j / 2 % 2) * COLUMNS + j % 2;
            if (scores[other] > scores[best]) best = other;
        }
        ck_assert(!memcmp(info.features + t * DIM, x + best * DIM, DIM * sizeof *x));
    }
    tsr_token_set_close(&made);
    for (int i = 0; i < N; ++i)
        scores[i] = 0.5f;
    add_column(set, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, (int64_t[]){N}, scores);
    made = reduce_one(set, "weighted-pool:window=2+2+2");
    tsr_token_set *mean = reduce_one(set, "weighted-pool:window=2+2+2,weights=none");
    expect_close_f32("features", info_of(made).features, info_of(mean).features,
                     info_of(mean).count * DIM, 1e-6);
    tsr_token_set_close(&mean);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(streams_have_names) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = whole_set(ctx), *slow = reduce_one(set, "slow-fast-pool:stream=slow"),
                  *fast = reduce_one(set, "slow-fast-pool:temporal_stride=2,min_fast_frames=3");
    ck_assert_str_eq(info_of(slow).stream, "slow");
    ck_assert_str_eq(info_of(fast).stream, "fast");
    ck_assert(!memcmp(info_of(slow).features, x, sizeof x));
    ck_assert_int_eq(info_of(slow).grid[2], COLUMNS);
    ck_assert_int_eq(info_of(fast).grid[0], 3);
    tsr_token_set_close(&fast);
    tsr_token_set_close(&slow);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(budgets_hold) {
    tsr_context *ctx = set_context(2);
    for (int round = 0; round < 40; ++round) {
        make_data();
        for (int i = 0; i < FRAMES; ++i) /* from even to one frame that takes it all */
            frame_scores[i] = powf(random_uniform(0.01f, 1), (float)(round / 4));
        tsr_token_set *set = whole_set(ctx);
        char operation[96];
        const int total = 1 + round % 7, most = 90, budget = total * most;
        snprintf(operation, sizeof operation, "frame-budget:max_token=%d,total=%d,reducer=v%d",
                 most, total, 1 + round % 5);
        tsr_token_set *made = reduce_one(set, operation);
        const int32_t *count = trace_of(made, "counts").data;
        const double *share = trace_of(made, "shares").data;
        int sum = 0;
        double shares = 0;
        for (int i = 0; i < FRAMES; ++i) {
            ck_assert_int_le(count[i], ROWS * COLUMNS);
            sum += count[i];
            shares += share[i];
        }
        ck_assert_int_le(sum, budget);
        ck_assert_int_ge(sum, (budget < N ? budget : N) - FRAMES);
        ck_assert_double_eq_tol(shares, budget < N ? 1 : (double)N / budget, 1e-9);
        ck_assert_int_le(info_of(made).count, sum);
        const int reducer = 1 + round % 5;
        const tsr_token_array shapes = trace_of(made, "shapes");
        for (int64_t i = 0; i < shapes.dim[0] && reducer != 3 && reducer != 4; ++i) {
            const int32_t *side = (const int32_t *)shapes.data + 2 * i;
            ck_assert(side[0] <= ROWS && side[1] <= COLUMNS);
        }
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- threads, refusals ---- */

START_TEST(threads_change_no_bit) {
    make_data();
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_context *one = set_context(1), *four = set_context(4);
        tsr_token_set *a = whole_set(one), *b = whole_set(four);
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

START_TEST(bad_parameters_are_refused) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = whole_set(ctx), *bare = set_of(ctx, x, N, DIM, NULL);
    static const char *const need_grid[] = {"pyramid-pool:window=2",
                                            "adaptive-pool:size=2+2",
                                            "weighted-pool:size=1+2+2,weights=none",
                                            "slow-fast-pool",
                                            "slow-fast-pool:stream=slow",
                                            "dct-lowpass:size=2+2",
                                            "frame-budget:max_token=5,total=5"};
    for (size_t i = 0; i < sizeof need_grid / sizeof *need_grid; ++i)
        refuses(ctx, bare, need_grid[i], BAD, "wanted tokens on a grid, got 576 tokens without");
    refuses(ctx, set, "pyramid-pool", BAD, "either target or window, got none");
    refuses(ctx, set, "pyramid-pool:target=4,window=2", BAD, "either target or window, got both");
    refuses(ctx, set, "pyramid-pool:target=97", BAD, "at most the 96 tokens of a frame, got 97");
    refuses(ctx, set, "pyramid-pool:window=5", BAD, "wanted rows that windows fill, got 8");
    refuses(ctx, set, "pyramid-pool:window=8", BAD, "wanted columns that windows fill, got 12");
    refuses(ctx, set, "pyramid-pool:window=9,tail=drop", BAD, "wanted windows of 1..8 places");
    refuses(ctx, set, "adaptive-pool", BAD, "size: wanted a value, got none");
    refuses(ctx, set, "adaptive-pool:size=2+2+2+2", BAD, "got 4 numbers");
    refuses(ctx, set, "adaptive-pool:size=2.5", BAD, "size: wanted whole numbers, got 2.5");
    refuses(ctx, set, "weighted-pool:window=2+2", BAD, "window: wanted frames+rows+columns, got 2");
    refuses(ctx, set, "weighted-pool:window=7+1+1", BAD, "window: wanted 1..6 frames, got 7");
    refuses(ctx, set, "weighted-pool:window=2+2+2,size=1+1+1", BAD, "got both");
    refuses(ctx, set, "weighted-pool", BAD, "either window or size, got none");
    refuses(ctx, set, "pool-1d", BAD, "stride: wanted a value, got none");
    refuses(ctx, set, "pool-1d:stride=570,prefix=5,suffix=3", BAD, "wanted at most the 568 tokens");
    refuses(ctx, set, "slow-fast-pool:spatial_stride=9", BAD, "wanted windows of 1..8 places");
    refuses(ctx, set, "dct-lowpass:size=9+4", BAD, "size: wanted 1..8 rows, got 9");
    refuses(ctx, set, "dct-lowpass:size=4", BAD, "size: wanted rows+columns, got 1");
    refuses(ctx, set, "frame-budget:max_token=40,total=4,reducer=v6", BAD, "one of v1|v2|v3|v4|v5");
    frame_scores[2] = -1;
    add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, (int64_t[]){FRAMES},
               frame_scores);
    refuses(ctx, set, "frame-budget:max_token=40,total=4", BAD,
            "frame 2: wanted a number not below");
    add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, (int64_t[]){FRAMES - 1},
               frame_scores);
    refuses(ctx, set, "frame-budget:max_token=40,total=4", BAD, "each of 6 frames, got 5");
    memset(frame_scores, 0, sizeof frame_scores);
    add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, (int64_t[]){FRAMES},
               frame_scores);
    refuses(ctx, set, "frame-budget:max_token=40,total=4", BAD, "wanted one above 0, got none");
    refuses(ctx, bare, "weighted-pool:size=1+1+1", BAD, "wanted tokens on a grid");
    tsr_token_set_close(&bare);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(one_token_stays) {
    static const char *const one[] = {"pyramid-pool:target=1",
                                      "adaptive-pool:size=1",
                                      "weighted-pool:size=1+1+1,weights=none",
                                      "pool-1d:stride=1",
                                      "slow-fast-pool",
                                      "dct-lowpass:size=1+1",
                                      "frame-budget:max_token=3,total=1"};
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = set_of(ctx, x, 1, DIM, (int64_t[]){1, 1, 1});
    add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, (int64_t[]){1},
               frame_scores);
    for (size_t i = 0; i < sizeof one / sizeof *one; ++i) {
        if (i + 1 == sizeof one / sizeof *one) /* as a file has it, where a frame is a token */
            add_column(set, "frame_scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, (int64_t[]){1},
                       frame_scores);
        tsr_token_set *made = reduce_one(set, one[i]);
        ck_assert_int_eq(info_of(made).count, 1);
        expect_close_f32(one[i], info_of(made).features, x, DIM, 1e-6);
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that pool", constants_survive, sizes_count_sources, pools_of_pools,
          adaptive_windows_equal_the_definition, transforms_equal_the_definition, weights_choose,
          streams_have_names, budgets_hold, threads_change_no_bit, bad_parameters_are_refused,
          one_token_stays)
