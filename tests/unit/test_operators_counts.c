/* SPDX-License-Identifier: MIT */
/* test_operators_counts.c: operators that plan: tiles, cells, schedules, error laws: what holds for
 * every size, and what is refused. Published answers are in tests/golden/operators. */
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const tsr_status BAD = TSR_ERROR_ARGUMENT;
enum { PICTURES = 12 };

static tsr_token_set *plan(tsr_context *ctx, const char *operation) {
    tsr_token_set *answer = NULL;
    ck_assert_msg(tsr_operator_plan(ctx, operation, &answer) == TSR_OK, "%s", tsr_detail(ctx));
    return answer;
}
static const int32_t *numbers(const tsr_token_set *answer, const char *name) {
    return trace_of(answer, name).data;
}

/* Random sizes, as text behind `text`, and in size [2 n]. */
static void random_sizes(char *text, size_t bytes, int n, int most, int *size) {
    size_t at = strlen(text);
    for (int i = 0; i < 2 * n; ++i) {
        size[i] = 1 + (int)random_below(most);
        at += (size_t)snprintf(text + at, bytes - at, "%s%d", i ? "+" : "", size[i]);
    }
}

START_TEST(shards_hold_the_picture) {
    tsr_context *ctx = set_context(1);
    char operation[512] = "shard-plan:shard=100,sizes=";
    int size[2 * PICTURES];
    random_sizes(operation, sizeof operation, PICTURES, 1000, size);
    tsr_token_set *answer = plan(ctx, operation);
    const int32_t *grid = numbers(answer, "grid_rows_columns"),
                  *resized = numbers(answer, "resized"), *tiles = numbers(answer, "tiles");
    for (int i = 0; i < PICTURES; ++i) {
        const int rows = grid[2 * i], columns = grid[2 * i + 1];
        ck_assert(rows >= 1 && rows <= 3 && columns >= 1 && columns <= 3);
        ck_assert(resized[2 * i] == 100 * columns && resized[2 * i + 1] == 100 * rows);
        ck_assert_int_eq(tiles[i], rows * columns == 1 ? 1 : rows * columns + 1);
        ck_assert((size[2 * i] >= size[2 * i + 1]) == (columns >= rows) || rows == columns);
    }
    tsr_token_set_close(&answer);
    answer =
        plan(ctx, "shard-plan:sizes=50+50,variant=published"); /* whole, and as a grid of one */
    ck_assert_int_eq(*numbers(answer, "tiles"), 2);
    tsr_token_set_close(&answer);
    refuses(ctx, NULL, "shard-plan", BAD, "sizes: wanted a value, got none");
    refuses(ctx, NULL, "shard-plan:sizes=640", BAD, "a width and a height for each picture, got 1");
    refuses(ctx, NULL, "shard-plan:sizes=640+0", BAD, "sizes: wanted numbers");
    refuses(ctx, NULL, "shard-plan:sizes=640+99.5", BAD, "sizes: wanted whole numbers, got 99.5");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(tiles_stay_within_the_budget) {
    tsr_context *ctx = set_context(1);
    for (int round = 0; round < 30; ++round) {
        char operation[512] = "tile-plan:patch=100,total=30,sizes=";
        int size[2 * PICTURES];
        random_sizes(operation, sizeof operation, PICTURES, 1200, size);
        tsr_token_set *answer = plan(ctx, operation);
        const int32_t *tiles = numbers(answer, "tiles"), *allocated = numbers(answer, "allocated"),
                      *canvas = numbers(answer, "canvas"), *resized = numbers(answer, "resized"),
                      *at = numbers(answer, "pasted_at");
        int sum = PICTURES;
        for (int i = 0; i < PICTURES; ++i) {
            ck_assert_int_le(tiles[i], allocated[i]);
            ck_assert_int_eq(canvas[2 * i] / 100 * (canvas[2 * i + 1] / 100), tiles[i]);
            for (int s = 0; s < 2; ++s) /* the picture lies on the canvas, and touches two sides */
                ck_assert(at[2 * i + s] >= 0 &&
                          at[2 * i + s] + resized[2 * i + s] <= canvas[2 * i + s]);
            ck_assert(resized[2 * i] == canvas[2 * i] || resized[2 * i + 1] == canvas[2 * i + 1]);
            sum += tiles[i];
        }
        ck_assert_int_le(sum, 30);
        ck_assert_int_eq(*numbers(answer, "tiles_total"), sum);
        tsr_token_set_close(&answer);
    }
    refuses(ctx, NULL, "tile-plan:sizes=5+5,patches=4+4", BAD, "each of 1 pictures, got 2");
    tsr_context_close(&ctx);
}
END_TEST

/* Quadrants cover every pixel once; as published the last row or column of odd sides is missing. */
START_TEST(quadrants_cover_every_pixel) {
    tsr_context *ctx = set_context(1);
    for (int w = 6; w < 10; ++w)
        for (int h = 1; h < 10; h += 4)
            for (int published = 0; published < 2; ++published) {
                char operation[128];
                int covered = 0;
                snprintf(operation, sizeof operation,
                         "tile-plan:rule=quadrants,limit=5,sizes=%d+%d,variant=%s", w, h,
                         published ? "published" : "covering");
                tsr_token_set *answer = plan(ctx, operation);
                const int32_t *box = numbers(answer, "boxes");
                for (int y = 0; y < h; ++y)
                    for (int x = 0; x < w; ++x) {
                        int times = 0;
                        for (int b = 0; b < 4; ++b)
                            times += x >= box[4 * b] && y >= box[4 * b + 1] && x < box[4 * b + 2] &&
                                     y < box[4 * b + 3];
                        ck_assert_int_le(times, 1);
                        covered += times;
                    }
                ck_assert_int_eq(covered, published ? w / 2 * 2 * (h / 2 * 2) : w * h);
                tsr_token_set_close(&answer);
            }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(cells_agree_where_sides_are_whole) {
    tsr_context *ctx = set_context(1);
    tsr_token_set *answer = plan(ctx, "cell-counts:sizes=280+560+28+28+27+400+20000+28");
    const int32_t *plain = numbers(answer, "plain"), *exact = numbers(answer, "exact");
    ck_assert(plain[0] == 200 && exact[0] == 200);
    ck_assert(plain[1] == 1 && exact[1] == 4); /* 3,136 pixels at least */
    ck_assert(plain[2] == 15 && exact[2] == 0);
    ck_assert(plain[3] == 715 && exact[3] == 0);
    ck_assert_int_eq(*numbers(answer, "total_plain"), 931);
    tsr_token_set_close(&answer);
    refuses(ctx, NULL, "cell-counts:sizes=5+5,min_pixels=10,max_pixels=9", BAD,
            "min_pixels: wanted at most the 9 of max_pixels, got 10");
    refuses(ctx, NULL, "patch-counts:sizes=16777216+16777216,patch=1", BAD,
            "picture 0: wanted below 2^31 tokens");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(schedules_end_where_they_say) {
    tsr_context *ctx = set_context(1);
    tsr_token_set *answer = plan(ctx, "merge-schedules:rule=tinychart"); /* 2,916 - 26 * 84 */
    ck_assert_int_eq(numbers(answer, "counts")[26], 732);
    tsr_token_set_close(&answer);
    answer = plan(ctx, "merge-schedules:rule=tinychart,height=70,width=70,layers=2");
    const int32_t *counts = numbers(answer, "counts"); /* never more than half */
    ck_assert(counts[0] == 25 && counts[1] == 13 && counts[2] == 7);
    tsr_token_set_close(&answer);
    answer = plan(ctx, "merge-schedules:rule=parse_r,layers=1,r=7,inflection=-1");
    ck_assert_int_eq(*numbers(answer, "r_per_layer"), 14);
    tsr_token_set_close(&answer);
    refuses(ctx, NULL, "merge-schedules", BAD, "rule: wanted a value, got none");
    refuses(ctx, NULL, "merge-schedules:rule=tinychart,r=4+5", BAD, "r: wanted one whole number");
    refuses(ctx, NULL, "merge-schedules:rule=tinychart,height=10", BAD,
            "wanted a picture of 1 patch");
    refuses(ctx, NULL, "merge-schedules:rule=parse_r,layers=2,r=1+2+3", BAD,
            "each of 2 layers, got 3");
    refuses(ctx, NULL, "merge-schedules:rule=auroracap,keep=1.1", BAD,
            "keep: wanted a number in 0..1");
    tsr_context_close(&ctx);
}
END_TEST

/* Every schedule of bvllm is what halving-merge does. */
START_TEST(schedules_are_what_merging_does) {
    tsr_context *ctx = set_context(1);
    float x[64 * 3];
    random_normals(x, 64 * 3);
    for (int frames = 1; frames < 40; ++frames) {
        char operation[96];
        snprintf(operation, sizeof operation,
                 "merge-schedules:rule=bvllm,frames=%d,tokens=61,budget=305", frames);
        tsr_token_set *answer = plan(ctx, operation), *set = set_of(ctx, x, 61, 3, NULL);
        const tsr_token_array counts = trace_of(answer, "counts");
        const int target = ((const int32_t *)counts.data)[counts.dim[0] - 1];
        snprintf(operation, sizeof operation, "halving-merge:target=%d", target);
        ck_assert_int_eq(target, 61 < 305 / frames ? 61 : 305 / frames);
        tsr_token_set *made = reduce_one(set, operation);
        const tsr_token_array levels = trace_of(made, "levels");
        ck_assert_int_eq(levels.dim[0], counts.dim[0]);
        ck_assert(!memcmp(levels.data, counts.data, (size_t)counts.dim[0] * sizeof(int32_t)));
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
        tsr_token_set_close(&answer);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(laws_are_recovered) {
    tsr_context *ctx = set_context(1);
    for (int round = 0; round < 8; ++round) {
        const double A = (double)random_uniform(0.1f, 2), b = (double)random_uniform(0.05f, 0.6f),
                     c = (double)random_uniform(0.05f, 0.6f), d = (double)random_uniform(0, 0.5f);
        char operation[2048] = "error-fit:N=0.5+1.8+4+7+14,T=1+4+16+64+256,error=";
        const double N[5] = {0.5, 1.8, 4, 7, 14}, T[5] = {1, 4, 16, 64, 256};
        size_t at = strlen(operation);
        for (int i = 0; i < 25; ++i)
            at += (size_t)snprintf(operation + at, sizeof operation - at, "%s%.17g", i ? "+" : "",
                                   A * pow(N[i / 5], -b) * pow(T[i % 5], -c) + d);
        tsr_token_set *answer = plan(ctx, operation);
        const double *law = trace_of(answer, "law").data;
        ck_assert_double_eq_tol(law[0], A, 1e-6);
        ck_assert_double_eq_tol(law[1], b, 1e-6);
        ck_assert_double_eq_tol(law[2], c, 1e-6);
        ck_assert_double_eq_tol(law[3], d, 1e-6);
        tsr_token_set_close(&answer);
    }
    refuses(ctx, NULL, "error-fit:N=1,T=1", BAD, "wanted A, b, c and d, or error to fit them to");
    refuses(ctx, NULL, "error-fit:N=1,T=1,A=1,b=1", BAD, "got 2 of the four");
    refuses(ctx, NULL, "error-fit:N=1+2,T=1,error=3", BAD, "error: wanted 2 values");
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that plan", shards_hold_the_picture, tiles_stay_within_the_budget,
          quadrants_cover_every_pixel, cells_agree_where_sides_are_whole,
          schedules_end_where_they_say, schedules_are_what_merging_does, laws_are_recovered)
