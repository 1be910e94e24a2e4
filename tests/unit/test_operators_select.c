/* SPDX-License-Identifier: MIT */
/* test_operators_select.c: operators that score and keep: what is refused, ties, one token, and
 * threads. What they compute is in tests/golden/operators. */
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { N = 60, DIM = 12, HEADS = 3, LAYERS = 4, SIDE = N + 1, PATCH = 4, TEXTS = 5, PREFIX = 2 };

/* Every operator of this file, with parameters that keep 7 of N tokens or a number of its own. */
static const char *const operations[] = {
    "cls-attention-topk:k=7",
    "anchor-buffer-register:k=30,alpha=0.5",
    "lof-budget",
    "entropy-score:k=7",
    "keep-mask",
    "query-budget:rho=0.1",
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static float features[N * DIM], numbers[LAYERS * HEADS * SIDE * SIDE];
static int32_t pixels[N * 3 * PATCH * PATCH];

static void make_data(void) {
    random_normals(features, N * DIM);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        numbers[i] = random_uniform(0, 1);
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; ++i)
        pixels[i] = (int32_t)random_below(256);
}

/* A set of n <= N tokens with every column that the operators above read. */
static tsr_token_set *whole_set(tsr_context *ctx, int64_t n) {
    const int64_t grid[3] = {1, n % 6 ? 1 : 6, n % 6 ? n : n / 6};
    tsr_token_set *set = set_of(ctx, features, n, DIM, grid);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2, (int64_t[]){HEADS, n},
               numbers);
    add_column(set, "attention_shallow", TSR_ARRAY_F32, TSR_TOKEN_AXIS_SQUARE, 3,
               (int64_t[]){HEADS, n + 1, n + 1}, numbers);
    add_column(set, "attention_deep", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 1, &n, numbers + 77);
    add_column(set, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, numbers + 500);
    add_column(set, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){n, 2},
               numbers + 900);
    return set;
}

/* entropy-score reads attention among tokens under the name that the others have a class row in. */
static const char *prepare(tsr_token_set *set, const char *operation, int64_t n) {
    if (strncmp(operation, "entropy", 7)) return operation;
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_SQUARE, 3,
               (int64_t[]){HEADS, n + 1, n + 1}, numbers);
    add_column(set, "pixels", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 4,
               (int64_t[]){n, 3, PATCH, PATCH}, pixels);
    return operation;
}

START_TEST(threads_change_no_bit) {
    make_data();
    for (int i = 0; i < OPERATIONS; ++i) {
        tsr_context *one = set_context(1), *four = set_context(4);
        tsr_token_set *a = whole_set(one, N), *b = whole_set(four, N);
        tsr_token_set *x = reduce_one(a, prepare(a, operations[i], N));
        tsr_token_set *y = reduce_one(b, prepare(b, operations[i], N));
        same_sets(x, y);
        tsr_token_set_close(&x);
        tsr_token_set_close(&y);
        tsr_token_set_close(&a);
        tsr_token_set_close(&b);
        tsr_context_close(&one);
        tsr_context_close(&four);
    }
}
END_TEST

START_TEST(one_token_stays) {
    static const char *const one[] = {"cls-attention-topk:k=1", "anchor-buffer-register:k=1",
                                      "lof-budget:least=1",     "entropy-score:k=1",
                                      "keep-mask:least=1",      "query-budget"};
    tsr_context *ctx = set_context(2);
    make_data();
    for (int i = 0; i < OPERATIONS; ++i) {
        int32_t kept[1];
        tsr_token_set *set = whole_set(ctx, 1);
        tsr_token_set *made = reduce_one(set, prepare(set, one[i], 1));
        ck_assert_int_eq(kept_tokens(made, kept), 1);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(equal_tokens_go_by_index) {
    static const char *const some[] = {"cls-attention-topk:k=3", "entropy-score:k=3",
                                       "keep-mask:least=3", "query-budget:rho=0.05"};
    tsr_context *ctx = set_context(2);
    make_data();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        numbers[i] = 0.25f;
    memset(pixels, 0, sizeof pixels);
    for (int64_t i = 0; i < N; ++i) /* every token is dropped, by the same margin */
        numbers[900 + 2 * i] = 0;
    for (int i = 0; i < 4; ++i) {
        int32_t kept[N];
        tsr_token_set *set = whole_set(ctx, N);
        tsr_token_set *made = reduce_one(set, prepare(set, some[i], N));
        ck_assert_int_eq(kept_tokens(made, kept), 3);
        for (int32_t t = 0; t < 3; ++t)
            ck_assert_msg(kept[t] == t, "%s: token %d", some[i], kept[t]);
        tsr_token_set_close(&made);
        tsr_token_set_close(&set);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(bad_parameters_are_refused) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = whole_set(ctx, N);
    const tsr_status bad = TSR_ERROR_ARGUMENT;
    refuses(ctx, set, "cls-attention-topk:k=61", bad, "wanted at most the 60 tokens");
    refuses(ctx, set, "cls-attention-topk:k=3,ratio=0.5", bad, "either k or ratio, got both");
    refuses(ctx, set, "cls-attention-topk", bad, "either k or ratio, got none");
    refuses(ctx, set, "cls-attention-topk:k=0", bad, "k: wanted a whole number in 1..");
    refuses(ctx, set, "anchor-buffer-register:k=5,alpha=5", bad, "wanted room for");
    refuses(ctx, set, "query-budget:rho=1.5", bad, "rho: wanted a number in 0..1");
    refuses(ctx, set, "entropy-score:k=3", bad, "column entropy, got none");
    refuses(ctx, set, "cls-sum-topk:k=3", bad, "column attention: wanted f32 numbers, tokens last");
    refuses(ctx, set, "token-transition:k=3", bad, "column transition_before, got none");
    add_column(set, "pixels", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 4,
               (int64_t[]){N, 1, PATCH, 3 * PATCH}, pixels);
    refuses(ctx, set, "entropy-score:k=3", bad, "pixels: wanted 3 channels, got 1");
    pixels[100] = 256;
    add_column(set, "pixels", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 4,
               (int64_t[]){N, 3, PATCH, PATCH}, pixels);
    refuses(ctx, set, "entropy-score:k=3", bad,
            "pixels: token 2: wanted values in 0..255, got 256");
    tsr_token_set_close(&set);
    set = set_of(ctx, features, N, DIM, NULL);
    for (int i = 0; i < OPERATIONS; ++i)
        if (strncmp(operations[i], "anchor", 6))
            refuses(ctx, set, operations[i], bad, "wanted a token set with the column");
        else
            refuses(ctx, set, operations[i], bad, "wanted tokens on a grid");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(attention_of_other_tokens_is_refused) {
    tsr_context *ctx = set_context(1);
    make_data();
    tsr_token_set *set = set_of(ctx, features, N, DIM, NULL);
    tsr_token_array a = {.name = "attention",
                         .axis = TSR_TOKEN_AXIS_LAST,
                         .rank = 2,
                         .dim = {HEADS, N + 3},
                         .data = numbers};
    ck_assert_int_eq(tsr_token_set_add(set, &a), TSR_ERROR_ARGUMENT);
    features[5 * DIM + 3] = NAN;
    tsr_token_set *none = NULL;
    ck_assert_int_eq(tsr_token_set_create(ctx, features, N, DIM, NULL, &none), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(none);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Layers 1 and 2 of 4: the last is not used, the first is left out. */
START_TEST(class_attention_is_summed_over_layers) {
    tsr_context *ctx = set_context(2);
    make_data();
    tsr_token_set *set = set_of(ctx, features, N, DIM, NULL);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3,
               (int64_t[]){LAYERS, HEADS, N}, numbers);
    tsr_token_set *made = reduce_one(set, "cls-sum-topk:k=5,start=1");
    const float *score = trace_of(made, "score").data;
    for (int i = 0; i < N; ++i) {
        double want = 0;
        for (int l = 1; l < LAYERS - 1; ++l)
            for (int h = 0; h < HEADS; ++h)
                want += (double)numbers[(l * HEADS + h) * N + i] / HEADS;
        ck_assert_double_eq_tol((double)score[i], want, 1e-6);
    }
    refuses(ctx, set, "cls-sum-topk:k=5,start=3", TSR_ERROR_ARGUMENT,
            "wanted a layer before the last of 4");
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Where nothing stands out the answer is a refusal, unless a least number is asked for. */
START_TEST(nothing_to_keep_is_refused) {
    tsr_context *ctx = set_context(1);
    make_data();
    for (int i = 0; i < N; ++i) {
        numbers[500 + i] = (float)i; /* even steps: no outlier */
        numbers[900 + 2 * i] = 0;
        numbers[900 + 2 * i + 1] = 1;
    }
    tsr_token_set *set = whole_set(ctx, N);
    refuses(ctx, set, "lof-budget:neighbours=5,least=0", TSR_ERROR_ARGUMENT,
            "wanted at least one token to stay, got none");
    refuses(ctx, set, "keep-mask:least=0", TSR_ERROR_ARGUMENT,
            "wanted at least one token to stay, got none");
    int32_t kept[N];
    const float equal[2 * N] = {0};
    tsr_token_set *made = reduce_one(set, "keep-mask:least=5");
    ck_assert_int_eq(kept_tokens(made, kept), 5);
    tsr_token_set_close(&made);
    add_column(set, "logits", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 2, (int64_t[]){N, 2}, equal);
    made = reduce_one(set, "keep-mask"); /* equal logits keep */
    ck_assert_int_eq(kept_tokens(made, kept), N);
    tsr_token_set_close(&made);
    made = reduce_one(set, "lof-budget:neighbours=5,least=2");
    ck_assert_int_eq(kept_tokens(made, kept), 2);
    ck_assert_int_eq(kept[0], N - 2); /* the highest scores */
    ck_assert_int_eq(kept[1], N - 1);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Without rho the entropy decides: equal relevance keeps half, one peak a twentieth. */
START_TEST(entropy_gives_the_budget) {
    tsr_context *ctx = set_context(1);
    float flat[N], peak[N];
    int32_t kept[N];
    make_data();
    for (int i = 0; i < N; ++i) {
        flat[i] = 0.5f;
        peak[i] = i == 17 ? 1.f : 0.f;
    }
    tsr_token_set *set = set_of(ctx, features, N, DIM, NULL);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2, (int64_t[]){1, N}, flat);
    tsr_token_set *made = reduce_one(set, "query-budget");
    ck_assert_int_eq(kept_tokens(made, kept), N / 2);
    tsr_token_set_close(&made);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2, (int64_t[]){1, N}, peak);
    made = reduce_one(set, "query-budget");
    ck_assert_int_eq(kept_tokens(made, kept), N / 20);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(transitions_add_up_over_cuts) {
    enum { ROWS = PREFIX + N + TEXTS };
    static float before[2 * ROWS * DIM], after[2 * ROWS * DIM];
    tsr_context *ctx = set_context(2);
    make_data();
    random_normals(before, 2 * ROWS * DIM);
    random_normals(after, 2 * ROWS * DIM);
    tsr_token_set *set = set_of(ctx, features, N, DIM, NULL);
    add_column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3,
               (int64_t[]){HEADS, TEXTS, N}, numbers);
    for (int cut = 0; cut < 2; ++cut) {
        add_column(set, cut ? "transition_after" : "transition_before", TSR_ARRAY_F32,
                   TSR_TOKEN_AXIS_NONE, 3, (int64_t[]){2, ROWS, DIM}, cut ? after : before);
    }
    refuses(ctx, set, "token-transition:k=9", TSR_ERROR_ARGUMENT,
            "transition_before: wanted 100 rows");
    tsr_token_set *first = reduce_one(set, "token-transition:k=60,prefix=2");
    tsr_token_set *second = reduce_one(first, "token-transition:k=60,prefix=2");
    const float *once = tsr_token_set_column(first, "transition").data;
    const float *twice = tsr_token_set_column(second, "transition").data;
    for (int i = 0; i < N; ++i)
        ck_assert_float_eq_tol(twice[i], 2 * once[i], 1e-6f);
    tsr_token_set_close(&second);
    tsr_token_set_close(&first);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("operators that select", threads_change_no_bit, one_token_stays, equal_tokens_go_by_index,
          bad_parameters_are_refused, attention_of_other_tokens_is_refused,
          class_attention_is_summed_over_layers, nothing_to_keep_is_refused,
          entropy_gives_the_budget, transitions_add_up_over_cuts)
