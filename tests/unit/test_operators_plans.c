/* SPDX-License-Identifier: MIT */
/* test_operators_plans.c: codes, positions, order and masks: what is refused, and what the golden
 * cases do not show. */
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 24, DIM = 6, CODES = 40 };
static const tsr_status BAD = TSR_ERROR_ARGUMENT;

static float x[N * DIM], codes[CODES * DIM], logits[N * CODES];

static tsr_token_set *random_set(tsr_context *ctx, const int64_t *grid) {
    random_normals(x, N * DIM);
    random_normals(codes, CODES * DIM);
    random_normals(logits, N * CODES);
    return set_of(ctx, x, N, DIM, grid);
}

START_TEST(codes_are_the_nearest) {
    tsr_context *ctx = set_context(2);
    tsr_token_set *set = random_set(ctx, (int64_t[]){1, 4, 6});
    for (int j = 0; j < DIM; ++j) /* token 9 is nearest to a code that comes twice */
        codes[3 * DIM + j] = x[9 * DIM + j] + 0.01f;
    refuses(ctx, set, "nearest-code", BAD, "column codes, got none");
    refuses(ctx, set, "nearest-code:codebook=no/such/file", TSR_ERROR_NOT_FOUND, "no/such/file");
    add_column(set, "codes", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){CODES, DIM - 1},
               codes);
    refuses(ctx, set, "nearest-code", BAD, "codes: wanted the 6 channels of the tokens, got 5");
    memcpy(codes + 30 * DIM, codes + 3 * DIM, DIM * sizeof *codes); /* a copy never wins */
    add_column(set, "codes", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 2, (int64_t[]){CODES, DIM}, codes);
    tsr_token_set *made = reduce_one(set, "nearest-code:features=codes");
    tsr_token_set *same = reduce_one(set, "nearest-code");
    tsr_token_set_info info, kept;
    tsr_token_set_info_get(made, &info);
    tsr_token_set_info_get(same, &kept);
    ck_assert_int_eq(info.grid[2], 6);
    ck_assert(!memcmp(kept.features, x, sizeof x));
    const int32_t *ids = tsr_token_set_column(made, "ids").data;
    double error = 0;
    for (int i = 0; i < N; ++i) {
        double best = INFINITY;
        int want = -1;
        for (int c = 0; c < CODES; ++c) {
            double d = 0;
            for (int j = 0; j < DIM; ++j)
                d += pow((double)x[i * DIM + j] - codes[c * DIM + j], 2);
            if (d < best) best = d, want = c;
        }
        error += best;
        ck_assert_int_eq(ids[i], want);
        ck_assert(!memcmp(info.features + i * DIM, codes + want * DIM, DIM * sizeof *codes));
    }
    ck_assert_double_eq_tol(*(const double *)trace_of(made, "squared_error").data, error, 1e-9);
    tsr_token_set_close(&same);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* As many codes as tokens: a table all the same. All codes of the top are all codes. */
START_TEST(soft_tokens_of_all_codes) {
    tsr_context *one = set_context(1), *four = set_context(4);
    tsr_token_set *made[3];
    tsr_context *ctx[] = {one, four, one};
    random_normals(x, N * DIM);
    random_normals(codes, CODES * DIM);
    random_normals(logits, N * CODES);
    for (int i = 0; i < 3; ++i) {
        tsr_token_set *set = set_of(ctx[i], x, N, DIM, NULL);
        add_column(set, "codes", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, DIM},
                   codes);
        refuses(ctx[i], set, "soft-tokens", BAD, "column logits, got none");
        add_column(set, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, CODES},
                   logits);
        refuses(ctx[i], set, "soft-tokens", BAD, "logits: wanted one for each of the 24 codes");
        add_column(set, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, N},
                   logits);
        refuses(ctx[i], set, "soft-tokens:top=25", BAD, "top: wanted at most the 24 codes, got 25");
        made[i] = reduce_one(set, i < 2 ? "soft-tokens:top=5,tau=2" : "soft-tokens:top=24");
        if (i == 2) {
            tsr_token_set *all = reduce_one(set, "soft-tokens");
            tsr_token_set_info a, b;
            tsr_token_set_info_get(all, &a);
            tsr_token_set_info_get(made[2], &b);
            expect_close_f32("features", a.features, b.features, N * DIM, 1e-6);
            tsr_token_set_close(&all);
        }
        tsr_token_set_close(&set);
    }
    same_sets(made[0], made[1]);
    for (int i = 0; i < 3; ++i)
        tsr_token_set_close(&made[i]);
    tsr_context_close(&one);
    tsr_context_close(&four);
}
END_TEST

/* Members of a set that is merged already come from its source map. */
START_TEST(positions_of_members) {
    const int32_t clusters[N] = {0, 1, 1, 1, 2, 0, 1, 1};
    const int64_t n = N;
    tsr_context *ctx = set_context(1);
    tsr_token_set *set = random_set(ctx, (int64_t[]){1, 4, 6});
    add_column(set, "clusters", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, clusters);
    tsr_token_set *made = reduce_one(set, "multi-position:k=2,offset=1");
    const tsr_token_array rows = tsr_token_set_column(made, "member_positions");
    ck_assert_int_eq(rows.dim[0], 3);
    ck_assert_int_eq(rows.dim[1], 6);
    const int32_t want[] = {1, 1, 4, 4, 6, 5,  /* tokens 23 and 22: row 3, columns 5 and 4 */
                            1, 1, 2, 2, 2, 1,  /* 7 and 6 */
                            1, 1, 1, 1, 5, 5}; /* 4, starting over */
    expect_equal_i32("rows", rows.data, want, 18);
    tsr_token_set *again = reduce_one(made, "multi-position:k=2,offset=1");
    same_sets(made, again);
    refuses(ctx, set, "multi-position:k=3,sections=16+24+24", TSR_ERROR_UNSUPPORTED,
            "wanted multiples of k = 3, got 16+24+24");
    refuses(ctx, set, "multi-position:k=3,sections=16+24", BAD, "sections: wanted 3");
    const int32_t gap[N] = {0, 2};
    add_column(set, "clusters", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, gap);
    refuses(ctx, set, "multi-position", BAD, "wanted members in every one of 3, got none in 1");
    const int32_t beyond[N] = {0, 24};
    add_column(set, "clusters", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1, &n, beyond);
    refuses(ctx, set, "multi-position", BAD, "token 1: wanted a cluster below 24, got 24");
    tsr_token_set_close(&again);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(order_is_a_bijection) {
    tsr_context *ctx = set_context(1);
    int32_t kept[N] = {0};
    tsr_token_set *set = random_set(ctx, NULL);
    refuses(ctx, set, "wave-order", BAD, "wanted tokens on a grid");
    refuses(ctx, set, "table-stretch:keep=25", BAD, "wanted a table of at least keep = 25 rows");
    tsr_token_set_close(&set);
    set = random_set(ctx, (int64_t[]){2, 3, 4});
    tsr_token_set *made = reduce_one(set, "wave-order");
    const int32_t *wave = trace_of(made, "wave").data;
    bool seen[N] = {false};
    ck_assert_int_eq(kept_tokens(made, kept), N);
    for (int i = 0; i < N; ++i) {
        seen[kept[i]] = true;
        ck_assert_int_eq(wave[i], i / 12 + i / 4 % 3 + i % 4);
        if (i) ck_assert_int_le(wave[kept[i - 1]], wave[kept[i]]);
    }
    for (int i = 0; i < N; ++i)
        ck_assert(seen[i]);
    tsr_token_set_close(&made);
    made = reduce_one(set, "table-stretch:keep=24"); /* nothing to stretch */
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert_int_eq(info.count, N);
    ck_assert(!memcmp(info.features, x, sizeof x));
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(plans_say_what_is_wrong) {
    tsr_context *ctx = set_context(1);
    refuses(ctx, NULL, "cluster-count:distortions=3+2", BAD, "wanted at least 3, got 2");
    refuses(ctx, NULL, "cluster-count", BAD, "distortions: wanted a value, got none");
    refuses(ctx, NULL, "cluster-count:distortions=3+2+1+1,from=2,variant=published", BAD,
            "from: wanted 12");
    refuses(ctx, NULL, "rope-tables:dim=7", BAD, "dim: wanted an even number, got 7");
    refuses(ctx, NULL, "variable-positions:text=3,tiles=1+2", BAD,
            "wanted one text and one stride for each of 2 images, got 1 and 1");
    refuses(ctx, NULL, "variable-positions:text=3.5,tiles=1", BAD, "image 0: wanted whole numbers");
    refuses(ctx, NULL, "neighbour-mask:height=32768,width=32768,window=65535", TSR_ERROR_TOO_LARGE,
            "visible pairs");
    refuses(ctx, NULL, "text-distance-ocr", BAD, "rows: wanted a value, got none");
    refuses(ctx, NULL, "text-distance-ocr:rows=no/such/file", TSR_ERROR_NOT_FOUND, "no/such/file");
    refuses(ctx, NULL, "diverse-maxmin:k=3", BAD, "wanted an operator that plans");
    tsr_context_close(&ctx);
}
END_TEST

/* Every pair is seen from both sides, and earlier ones alone are one side and the diagonal. */
START_TEST(masks_are_symmetric) {
    enum { H = 5, W = 7 };
    static bool sees[H * W][H * W];
    tsr_context *ctx = set_context(1);
    tsr_token_set *all = NULL, *earlier = NULL;
    ck_assert_int_eq(tsr_operator_plan(ctx, "neighbour-mask:height=5,width=7,window=4", &all),
                     TSR_OK);
    ck_assert_int_eq(tsr_operator_plan(
                         ctx, "neighbour-mask:height=5,width=7,window=3,visible=earlier", &earlier),
                     TSR_OK);
    const int32_t *count = trace_of(all, "visible_per_row").data;
    const int32_t *token = trace_of(all, "visible").data;
    for (int i = 0; i < H * W; ++i)
        for (int k = 0; k < count[i]; ++k)
            sees[i][*token++] = true;
    for (int i = 0; i < H * W; ++i)
        for (int j = 0; j < H * W; ++j) {
            const bool near = abs(i / W - j / W) <= 1 && abs(i % W - j % W) <= 1;
            ck_assert_int_eq(sees[i][j], near);
        }
    const int32_t total = *(const int32_t *)trace_of(all, "visible_total").data;
    ck_assert_int_eq(*(const int32_t *)trace_of(earlier, "visible_total").data,
                     (total + H * W) / 2);
    tsr_token_set_close(&all);
    tsr_token_set_close(&earlier);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that plan", codes_are_the_nearest, soft_tokens_of_all_codes,
          positions_of_members, order_is_a_bijection, plans_say_what_is_wrong, masks_are_symmetric)
