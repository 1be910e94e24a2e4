/* SPDX-License-Identifier: MIT */
/* test_operators_diverse.c: operators that pick tokens one after the other, against plain float64
 * loops, with sets of several tiles and with copies. */
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2300, DIM = 16, K = 400, FEW = 90, PLAIN = 500 };

static float x[N * DIM];
static double unit[N * DIM];

/* Clusters of different sizes, so that bounds and lazy gains have something to leave out. */
static void make_tokens(int64_t n) {
    float centre[8 * DIM];
    random_normals(centre, 8 * DIM);
    for (int64_t i = 0; i < n; ++i) {
        const int64_t c = random_below(8);
        for (int j = 0; j < DIM; ++j)
            x[i * DIM + j] = centre[c * DIM + j] + (c ? 0.3f : 1.5f) * random_normal();
    }
}

static void make_unit(int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int j = 0; j < DIM; ++j)
            sum += (double)x[i * DIM + j] * x[i * DIM + j];
        for (int j = 0; j < DIM; ++j)
            unit[i * DIM + j] = sum > 0 ? x[i * DIM + j] / sqrt(sum) : 0;
    }
}

static double cosine(int64_t i, int64_t j) {
    double sum = 0;
    for (int d = 0; d < DIM; ++d)
        sum += unit[i * DIM + d] * unit[j * DIM + d];
    return sum;
}

static int64_t best_of(const double *score, const uint8_t *out, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; ++i)
        if (!out[i] && (best < 0 || score[i] > score[best])) best = i;
    return best;
}

/* Max-min or max-sum from a first pick; score [n] of the first pick is given. */
static void slow_picks(double *score, int64_t n, int64_t k, bool sum, int32_t *order) {
    uint8_t *out = calloc((size_t)n, 1);
    for (int64_t p = 0; p < k; ++p) {
        const int64_t pick = best_of(score, out, n);
        order[p] = (int32_t)pick;
        out[pick] = 1;
        for (int64_t i = 0; i < n; ++i) {
            const double d = 1 - cosine(i, pick);
            score[i] = p == 0 ? d : sum ? score[i] + d : fmin(score[i], d);
        }
    }
    free(out);
}

static double score[N];

static void isolation(int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        score[i] = INFINITY;
        for (int64_t j = 0; j < n; ++j)
            if (j != i) score[i] = fmin(score[i], 1 - cosine(i, j));
    }
}
static void total(int64_t n, double sign) {
    for (int64_t i = 0; i < n; ++i) {
        score[i] = 0;
        for (int64_t j = 0; j < n; ++j)
            if (j != i) score[i] += sign * (1 - cosine(i, j));
    }
}

static void expect_order(const char *operation, int64_t n, int64_t k, const int32_t *want) {
    tsr_context *ctx = set_context(3), *one = set_context(1);
    tsr_token_set *set = set_of(ctx, x, n, DIM, NULL), *other = set_of(one, x, n, DIM, NULL);
    tsr_token_set *made = reduce_one(set, operation), *same = reduce_one(other, operation);
    const tsr_token_array order = trace_of(made, "order");
    ck_assert_int_eq(order.dim[0], k);
    expect_equal_i32(operation, order.data, want, k);
    same_sets(made, same);
    int32_t *kept = malloc((size_t)n * sizeof *kept);
    ck_assert_int_eq(kept_tokens(made, kept), k);
    for (int64_t i = 1; i < k; ++i)
        ck_assert_int_lt(kept[i - 1], kept[i]);
    free(kept);
    tsr_token_set_close(&made);
    tsr_token_set_close(&same);
    tsr_token_set_close(&set);
    tsr_token_set_close(&other);
    tsr_context_close(&ctx);
    tsr_context_close(&one);
}

START_TEST(picks_are_those_of_plain_loops) {
    int32_t order[K];
    make_tokens(N);
    make_unit(N);
    isolation(N);
    slow_picks(score, N, K, false, order);
    expect_order("diverse-maxmin:k=400", N, K, order);
    total(N, -1);
    slow_picks(score, N, K, false, order);
    expect_order("diverse-kcentre:k=400", N, K, order);
    total(N, 1);
    slow_picks(score, N, K, true, order);
    expect_order("diverse-maxsum:k=400", N, K, order);
}
END_TEST

/* Every pick of all tokens is the best within rounding: more rows than are kept at once. */
START_TEST(every_token_can_be_picked) {
    enum { ALL = 1300 };
    tsr_context *ctx = set_context(2);
    make_tokens(ALL);
    make_unit(ALL);
    for (int sum = 0; sum < 2; ++sum) {
        uint8_t out[ALL] = {0};
        tsr_token_set *set = set_of(ctx, x, ALL, DIM, NULL);
        tsr_token_set *made =
            reduce_one(set, sum ? "diverse-maxsum:ratio=1" : "diverse-kcentre:ratio=1");
        const int32_t *order = trace_of(made, "order").data;
        for (int p = 0; p < ALL; ++p) {
            const int32_t pick = order[p];
            ck_assert(!out[pick]);
            if (p) ck_assert_double_ge(score[pick], score[best_of(score, out, ALL)] - 1e-4);
            out[pick] = 1;
            for (int i = 0; i < ALL; ++i) {
                const double d = 1 - cosine(i, pick);
                score[i] = p == 0 ? d : sum ? score[i] + d : fmin(score[i], d);
            }
        }
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Plain noise, where the most isolated token is hardly more isolated than others. */
START_TEST(the_most_isolated_token_is_found) {
    tsr_context *ctx = set_context(2);
    for (int round = 0; round < 12; ++round) {
        int32_t first;
        random_normals(x, PLAIN * DIM);
        make_unit(PLAIN);
        isolation(PLAIN);
        slow_picks(score, PLAIN, 1, false, &first);
        tsr_token_set *set = set_of(ctx, x, PLAIN, DIM, NULL);
        tsr_token_set *made = reduce_one(set, "diverse-maxmin:k=1");
        expect_equal_i32("first", trace_of(made, "order").data, &first, 1);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Copies: each token comes three times. Distances between copies are 0 exactly, so that after 30
 * different tokens the lowest indices follow. */
START_TEST(copies_come_last_by_index) {
    int32_t kept[FEW];
    make_tokens(FEW / 3);
    for (int c = 1; c < 3; ++c)
        memcpy(x + c * FEW / 3 * DIM, x, sizeof *x * DIM * FEW / 3);
    tsr_context *ctx = set_context(2);
    tsr_token_set *set = set_of(ctx, x, FEW, DIM, NULL);
    static const char *const some[] = {"diverse-maxmin:k=40", "diverse-kcentre:k=40,first=5"};
    for (int o = 0; o < 2; ++o) {
        tsr_token_set *made = reduce_one(set, some[o]);
        ck_assert_int_eq(kept_tokens(made, kept), 40);
        for (int32_t i = 0; i < 40; ++i)
            ck_assert_int_eq(kept[i], i);
        const int32_t *order = trace_of(made, "order").data;
        const float *distance = trace_of(made, "distance").data;
        for (int p = 1; p < 40; ++p)
            ck_assert_msg((distance[p] > 0) == (p < 30), "%s: pick %d: %g", some[o], p,
                          (double)distance[p]);
        for (int p = 30; p < 40; ++p)
            ck_assert_int_eq(order[p], p);
        tsr_token_set_close(&made);
    }
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* All tokens equal, zeros among them, one token: lowest indices, and an end. */
START_TEST(equal_tokens_zeros_and_one_token) {
    static const char *const names[] = {"diverse-maxmin", "diverse-kcentre", "diverse-maxsum",
                                        "coverage-greedy"};
    int32_t kept[FEW];
    tsr_context *ctx = set_context(2);
    for (int o = 0; o < 4; ++o)
        for (int zero = 0; zero < 2; ++zero) {
            char operation[64];
            for (int i = 0; i < FEW * DIM; ++i)
                x[i] = zero ? 0 : (float)(i % DIM) - 3;
            snprintf(operation, sizeof operation, "%s:k=4", names[o]);
            tsr_token_set *set = set_of(ctx, x, FEW, DIM, NULL);
            tsr_token_set *made = reduce_one(set, operation);
            ck_assert_int_eq(kept_tokens(made, kept), 4);
            for (int32_t i = 0; i < 4; ++i)
                ck_assert_msg(kept[i] == i, "%s: token %d at %d", names[o], kept[i], i);
            tsr_token_set_close(&made);
            tsr_token_set_close(&set);
            set = set_of(ctx, x, 1, DIM, NULL);
            snprintf(operation, sizeof operation, "%s:k=1", names[o]);
            made = reduce_one(set, operation);
            ck_assert_int_eq(kept_tokens(made, kept), 1);
            refuses(ctx, set, "diverse-maxsum:k=2", TSR_ERROR_ARGUMENT, "wanted at most the 1");
            tsr_token_set_close(&made);
            tsr_token_set_close(&set);
        }
    tsr_context_close(&ctx);
}
END_TEST

/* Rows of the published matrix, in float64, and the gains of every token in every step. */
START_TEST(coverage_is_that_of_plain_loops) {
    enum { COUNT = 200, TEXTS = 3, PICKS = 25 };
    static double r[(TEXTS + COUNT) * COUNT], b[TEXTS + COUNT];
    float text[TEXTS * DIM];
    uint8_t out[COUNT] = {0};
    int32_t order[PICKS];
    make_tokens(COUNT);
    random_normals(text, TEXTS * DIM);
    memcpy(x + COUNT * DIM, text, sizeof text);
    make_unit(COUNT + TEXTS);
    for (int t = 0; t < TEXTS + COUNT; ++t) {
        double sum = 0, *row = r + t * COUNT;
        const double temperature = t < TEXTS ? 0.02 : 0.2;
        for (int j = 0; j < COUNT; ++j)
            sum += row[j] = exp((cosine(t < TEXTS ? COUNT + t : t - TEXTS, j) - 1) / temperature);
        for (int j = 0; j < COUNT; ++j)
            row[j] /= sum * (t < TEXTS ? TEXTS : 2 * COUNT);
        b[t] = 0;
    }
    for (int p = 0; p < PICKS; ++p) {
        for (int j = 0; j < COUNT; ++j) {
            score[j] = 0;
            for (int t = 0; t < TEXTS + COUNT; ++t)
                score[j] += fmax(0, r[t * COUNT + j] - b[t]);
        }
        order[p] = (int32_t)best_of(score, out, COUNT);
        out[order[p]] = 1;
        for (int t = 0; t < TEXTS + COUNT; ++t)
            b[t] = fmax(b[t], r[t * COUNT + order[p]]);
    }
    tsr_context *ctx = set_context(2);
    tsr_token_set *set = set_of(ctx, x, COUNT, DIM, NULL);
    add_column(set, "text", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){TEXTS, DIM}, text);
    tsr_token_set *made = reduce_one(set, "coverage-greedy:k=25");
    expect_equal_i32("picks", trace_of(made, "order").data, order, PICKS);
    tsr_token_set_close(&made);
    char operation[64];
    snprintf(operation, sizeof operation, "coverage-greedy:k=25,exclude=%d", order[0]);
    made = reduce_one(set, operation);
    const int32_t *kept = trace_of(made, "order").data;
    for (int p = 0; p < PICKS; ++p)
        ck_assert_int_ne(kept[p], order[0]);
    tsr_token_set_close(&made);
    refuses(ctx, set, "coverage-greedy:k=200,exclude=7", TSR_ERROR_ARGUMENT,
            "wanted at most the 199 tokens that are not excluded, got 200");
    refuses(ctx, set, "coverage-greedy:k=2,exclude=200", TSR_ERROR_ARGUMENT,
            "exclude: wanted tokens below 200, got 200");
    add_column(set, "text", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){1, 2 * DIM}, text);
    refuses(ctx, set, "coverage-greedy:k=2", TSR_ERROR_ARGUMENT,
            "text: wanted the 16 channels of the tokens, got 32");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(frames_that_cover) {
    enum { FRAMES = 4, SIZE = 3 };
    const int64_t n = FRAMES * SIZE, grid[3] = {FRAMES, 1, SIZE};
    const int32_t ids[] = {7, 7, 7, 1, 2, -3, 2, 1, 9, -3, 1, 2};
    const int32_t want[] = {3, 4, 5, 6, 7, 8};
    int32_t kept[FRAMES * SIZE];
    tsr_context *ctx = set_context(1);
    make_tokens(n);
    tsr_token_set *set = set_of(ctx, x, n, DIM, grid);
    refuses(ctx, set, "set-cover-frames:frames=2", TSR_ERROR_ARGUMENT, "column ids, got none");
    add_column(set, "ids", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, ids);
    refuses(ctx, set, "set-cover-frames", TSR_ERROR_ARGUMENT, "frames: wanted a value, got none");
    tsr_token_set *made = reduce_one(set, "set-cover-frames:frames=1");
    ck_assert_int_eq(kept_tokens(made, kept), SIZE); /* of equal frames the lowest */
    ck_assert_int_eq(kept[0], 3);
    tsr_token_set_close(&made);
    made = reduce_one(set, "set-cover-frames:frames=4"); /* the last adds nothing */
    ck_assert_int_eq(kept_tokens(made, kept), 9);
    ck_assert_int_eq(kept[8], 8);
    ck_assert_int_eq(*(const int32_t *)trace_of(made, "covered").data, 5);
    tsr_token_set_close(&made);
    made = reduce_one(set, "set-cover-frames:frames=2");
    ck_assert_int_eq(kept_tokens(made, kept), 6);
    expect_equal_i32("tokens", kept + 3, want, 3); /* frame 0 adds one id as frame 2 does */
    tsr_token_set_close(&made);
    refuses(ctx, set, "set-cover-frames:frames=2,sets=voxels", TSR_ERROR_ARGUMENT,
            "column points, got none");
    float points[FRAMES * SIZE * 3] = {0}, sure[FRAMES * SIZE];
    for (int64_t i = 0; i < n; ++i)
        sure[i] = 0.5f;
    add_column(set, "points", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, 3}, points);
    add_column(set, "confidence", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, sure);
    refuses(ctx, set, "set-cover-frames:frames=2,sets=voxels", TSR_ERROR_ARGUMENT,
            "that span a volume, got cubes of side 0");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(what_is_published_and_a_defect_is_refused) {
    tsr_context *ctx = set_context(1);
    make_tokens(FEW);
    tsr_token_set *set = set_of(ctx, x, FEW, DIM, NULL);
    refuses(ctx, set, "diverse-maxmin:k=5,variant=published", TSR_ERROR_UNSUPPORTED,
            "picks a token twice");
    refuses(ctx, set, "diverse-kcentre:k=5,first=90", TSR_ERROR_ARGUMENT,
            "first: wanted a token below 90, or -1, got 90");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that pick", picks_are_those_of_plain_loops, the_most_isolated_token_is_found,
          every_token_can_be_picked, copies_come_last_by_index, equal_tokens_zeros_and_one_token,
          coverage_is_that_of_plain_loops, frames_that_cover,
          what_is_published_and_a_defect_is_refused)
