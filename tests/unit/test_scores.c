/* SPDX-License-Identifier: MIT */
/* test_scores.c: operators that give tokens numbers or keep them by numbers, against plain loops.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/reduce.h>

#include "quantizer/rng.h"
#include "testing.h"

enum { T = 3, H = 4, W = 5, N = T * H * W, D = 7 };
static const int64_t grid[3] = {T, H, W};
static tsr_context *ctx;
static float x[N * D], scores[N];
static int32_t ids[N];

static void column(tsr_token_set *set, const char *name, tsr_array_type type, tsr_token_axis axis,
                   int rank, int64_t a, int64_t b, int64_t c, const void *data) {
    const tsr_token_array array = {
        .name = name, .type = type, .axis = axis, .rank = rank, .dim = {a, b, c}, .data = data};
    ck_assert_msg(tsr_token_set_add(set, &array) == TSR_OK, "%s", tsr_detail(ctx));
}
#define TOKENS_FIRST TSR_TOKEN_AXIS_FIRST
#define NO_TOKENS    TSR_TOKEN_AXIS_NONE

/* A set of random tokens with scores and ids; some scores are equal. */
static tsr_token_set *random_set(void) {
    tsr_token_set *set = NULL;
    random_normals(x, N * D);
    for (int i = 0; i < N; ++i) {
        scores[i] = (float)random_below(9) / 8;
        ids[i] = (int32_t)random_below(4);
    }
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, D, grid, &set), TSR_OK);
    column(set, "scores", TSR_ARRAY_F32, TOKENS_FIRST, 1, N, 0, 0, scores);
    column(set, "ids", TSR_ARRAY_I32, TOKENS_FIRST, 1, N, 0, 0, ids);
    return set;
}
static tsr_token_set *reduce(const tsr_token_set *set, const char *operation) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_token_set_reduce(set, &operation, 1, NULL, &made) == TSR_OK, "%s: %s",
                  operation, tsr_detail(ctx));
    return made;
}
static void refused(const tsr_token_set *set, const char *operation, const char *text) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_token_set_reduce(set, &operation, 1, NULL, &made) == TSR_ERROR_ARGUMENT,
                  "%s: %s", operation, tsr_detail(ctx));
    ck_assert_ptr_null(made);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "%s: %s", operation, tsr_detail(ctx));
}
static const float *f32_trace(const tsr_token_set *made, const char *name) {
    const tsr_token_array a = tsr_token_set_trace(made, name);
    ck_assert_msg(a.name && a.type == TSR_ARRAY_F32, "%s", name);
    return a.data;
}
static double number(const tsr_token_set *made, const char *name) {
    const tsr_token_array a = tsr_token_set_trace(made, name);
    ck_assert_msg(a.name && a.type == TSR_ARRAY_F64, "%s", name);
    return *(const double *)a.data;
}
/* The tokens that stayed, in their order. */
static void kept(const tsr_token_set *made, const int32_t *want, int64_t k) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert_int_eq(info.count, k);
    for (int64_t i = 0; i < k; ++i)
        ck_assert_msg(info.source_map[want[i]] == i, "token %d is %d, wanted %d", want[i],
                      info.source_map[want[i]], (int)i);
}

static double cosine(const float *a, const float *b, int n) {
    double aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < n; ++i) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

START_TEST(relevance) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    float text[3 * D];
    double most[N], mean[N];
    refused(set, "query-relevance", "wanted a token set with the column text, got none");
    random_normals(text, 3 * D);
    column(set, "text", TSR_ARRAY_F32, NO_TOKENS, 2, 3, D, 0, text);
    for (int i = 0; i < N; ++i) {
        most[i] = -2, mean[i] = 0;
        for (int j = 0; j < 3; ++j) {
            const double c = cosine(x + i * D, text + j * D, D);
            most[i] = fmax(most[i], c);
            mean[i] += c / 3;
        }
    }
    tsr_token_set *made = reduce(set, "query-relevance");
    expect_close("max", f32_trace(made, "score"), most, N, 1e-6);
    expect_close("column", tsr_token_set_column(made, "scores").data, most, N, 1e-6);
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert_int_eq(info.grid[1], H); /* tokens stay as they are */
    tsr_token_set_close(&made);
    made = reduce(set, "query-relevance:words=mean");
    expect_close("mean", f32_trace(made, "score"), mean, N, 1e-6);
    tsr_token_set_close(&made);
    for (int i = 0; i < N; ++i)
        most[i] = (most[i] + 1) / 2;
    made = reduce(set, "query-relevance:range=unit");
    expect_close("unit", f32_trace(made, "score"), most, N, 1e-6);
    tsr_token_set_close(&made);
    column(set, "text", TSR_ARRAY_F32, NO_TOKENS, 2, 3, D - 1, 0, text);
    refused(set, "query-relevance",
            "column text: wanted rows of 7 f32 numbers, got rank 2, rows of 6");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(growth) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    float a[3 * 2 * N];
    double want[N];
    random_normals(a, 3 * 2 * N);
    column(set, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 3, 3, 2, N, a);
    for (int i = 0; i < N; ++i)
        want[i] = ((double)a[4 * N + i] + (double)a[5 * N + i] - (double)a[2 * N + i] -
                   (double)a[3 * N + i]) /
                  2;
    tsr_token_set *made = reduce(set, "attention-growth:from=1,to=2");
    expect_close("growth", f32_trace(made, "score"), want, N, 1e-6);
    tsr_token_set_close(&made);
    refused(set, "attention-growth:to=3", "to: wanted a layer below the 3 there are, got 3");
    refused(set, "attention-growth", "to: wanted a value, got none");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(codes) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    double bits[N], error[N], entropy = 0;
    float code[4 * D];
    for (int i = 0; i < N; ++i) {
        int same = 0;
        for (int j = 0; j < N; ++j)
            same += ids[j] == ids[i];
        bits[i] = -log2((double)same / N);
        entropy += bits[i] / N;
    }
    tsr_token_set *made = reduce(set, "code-rarity");
    expect_close("bits", f32_trace(made, "score"), bits, N, 1e-6);
    ck_assert(fabs(number(made, "entropy") - entropy) < 1e-12);
    ck_assert_int_eq(tsr_token_set_trace(made, "entropy_of_frame").dim[0], T);
    tsr_token_set_close(&made);
    for (int i = 0; i < N; ++i) /* uniform codes: log2 of their number; a constant frame: none */
        ids[i] = i < H * W ? 7 : i % 4;
    column(set, "ids", TSR_ARRAY_I32, TOKENS_FIRST, 1, N, 0, 0, ids);
    made = reduce(set, "code-rarity");
    const double *frame = tsr_token_set_trace(made, "entropy_of_frame").data;
    ck_assert(frame[0] == 0 && frame[1] == 2 && frame[2] == 2);
    tsr_token_set_close(&made);

    random_normals(code, 4 * D);
    column(set, "codes", TSR_ARRAY_F32, NO_TOKENS, 2, 4, D, 0, code);
    refused(set, "code-error", "column ids: token 0: wanted an id below the 4 codes, got 7");
    for (int i = 0; i < N; ++i) {
        ids[i] = i * 7 % 4;
        error[i] = 0;
        for (int d = 0; d < D; ++d)
            error[i] += pow((double)x[i * D + d] - (double)code[ids[i] * D + d], 2);
    }
    column(set, "ids", TSR_ARRAY_I32, TOKENS_FIRST, 1, N, 0, 0, ids);
    made = reduce(set, "code-error");
    expect_close("error", f32_trace(made, "score"), error, N, 1e-6);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

static double gelu(double v) {
    return 0.5 * v * (1 + erf(v / sqrt(2)));
}

/* The response of a projector to a change of token i along u, by plain central differences. */
static double response(const float *a, const float *bias, const float *b, int hidden, int out,
                       const float *token, const float *u, double step) {
    double sum = 0, plus[16], minus[16];
    for (int h = 0; h < hidden; ++h) {
        plus[h] = minus[h] = (double)bias[h];
        for (int d = 0; d < D; ++d) {
            plus[h] += (double)a[h * D + d] * ((double)token[d] + step * (double)u[d]);
            minus[h] += (double)a[h * D + d] * ((double)token[d] - step * (double)u[d]);
        }
    }
    for (int p = 0; p < out; ++p) {
        double y = 0;
        for (int h = 0; h < hidden; ++h)
            y += (double)b[p * hidden + h] * (gelu(plus[h]) - gelu(minus[h]));
        sum += y * y;
    }
    return sqrt(sum) / (2 * step);
}

START_TEST(sensitive) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    enum { HIDDEN = 9, OUT = 5, DIRECTIONS = 3 };
    tsr_token_set *set = random_set();
    float a[HIDDEN * D], bias[HIDDEN], b[OUT * HIDDEN], u[DIRECTIONS * D];
    double want[N] = {0};
    random_normals(a, HIDDEN * D);
    random_normals(bias, HIDDEN);
    random_normals(b, OUT * HIDDEN);
    for (int r = 0; r < DIRECTIONS; ++r) {
        double square = 0;
        tsr_random_normals(5, (uint64_t)r, D, u + r * D);
        for (int d = 0; d < D; ++d)
            square += (double)u[r * D + d] * (double)u[r * D + d];
        for (int d = 0; d < D; ++d)
            u[r * D + d] = (float)((double)u[r * D + d] / sqrt(square));
    }
    for (int i = 0; i < N; ++i)
        for (int r = 0; r < DIRECTIONS; ++r)
            want[i] += response(a, bias, b, HIDDEN, OUT, x + i * D, u + r * D, 0.01) / DIRECTIONS;
    refused(set, "sensitivity", "wanted a token set with the column projector.0.weight, got none");
    column(set, "projector.0.weight", TSR_ARRAY_F32, NO_TOKENS, 2, HIDDEN, D, 0, a);
    /* one linear layer answers to all tokens alike: the mean length of its columns' products */
    tsr_token_set *made = reduce(set, "sensitivity:directions=3,seed=5");
    const float *score = f32_trace(made, "score");
    for (int i = 1; i < N; ++i)
        ck_assert(score[i] == score[0] && score[0] > 0);
    tsr_token_set_close(&made);
    column(set, "projector.0.bias", TSR_ARRAY_F32, NO_TOKENS, 1, HIDDEN, 0, 0, bias);
    column(set, "projector.2.weight", TSR_ARRAY_F32, NO_TOKENS, 2, OUT, HIDDEN, 0, b);
    made = reduce(set, "sensitivity:directions=3,seed=5");
    expect_close("sensitivity", f32_trace(made, "score"), want, N, 1e-4);
    tsr_token_set_close(&made);
    column(set, "projector.0.bias", TSR_ARRAY_F32, NO_TOKENS, 1, 2, 0, 0, bias);
    refused(set, "sensitivity", "column projector.0.bias: wanted 9 numbers, got 2");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(changes) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    double want[N];
    for (int i = 0; i < N; ++i)
        want[i] = i < H * W ? 1 : 1 - cosine(x + i * D, x + (i - H * W) * D, D);
    tsr_token_set *made = reduce(set, "novelty");
    expect_close("novelty", f32_trace(made, "score"), want, N, 1e-6);
    tsr_token_set_close(&made);
    /* frame 1 like frame 0, frame 2 with three other ids: a still clip and a change are told */
    for (int i = 0; i < N; ++i)
        ids[i] = i % (H * W) + (i >= 2 * H * W && i < 2 * H * W + 3 ? 100 : 0);
    column(set, "ids", TSR_ARRAY_I32, TOKENS_FIRST, 1, N, 0, 0, ids);
    made = reduce(set, "novelty:of=ids");
    const double *mean = tsr_token_set_trace(made, "mean_of_frame").data;
    ck_assert(mean[0] == 1 && mean[1] == 0 && mean[2] == 3.0 / (H * W));
    tsr_token_set_close(&made);
    made = reduce(set, "frame-changes:of=ids,threshold=0.1");
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert(info.grid[0] == 2 && info.grid[1] == H && info.grid[2] == W);
    const int32_t *frames = tsr_token_set_trace(made, "frames").data;
    ck_assert(frames[0] == 0 && frames[1] == 2);
    ck_assert_int_eq(info.source_map[H * W], -1);
    tsr_token_set_close(&made);
    made = reduce(set, "frame-changes:of=ids,threshold=0.2");
    tsr_token_set_info_get(made, &info);
    ck_assert_int_eq(info.grid[0], 1); /* a static clip is one frame */
    tsr_token_set_close(&made);
    int32_t other[N];
    memcpy(other, ids, sizeof other);
    other[3] = other[40] = -1;
    refused(set, "id-flips", "column ids_other, got none");
    column(set, "ids_other", TSR_ARRAY_I32, TOKENS_FIRST, 1, N, 0, 0, other);
    made = reduce(set, "id-flips");
    ck_assert(number(made, "share") == 2.0 / N);
    ck_assert(f32_trace(made, "score")[40] == 1 && f32_trace(made, "score")[41] == 0);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* The k highest scores, equal ones from the front, by looking k times. */
static void naive_top(const float *s, int n, int k, uint8_t *taken) {
    for (; k > 0; --k) {
        int best = -1;
        for (int i = 0; i < n; ++i)
            if (!taken[i] && (best < 0 || s[i] > s[best])) best = i;
        taken[best] = 1;
    }
}
static int64_t list_of(const uint8_t *taken, int n, int32_t *list) {
    int64_t k = 0;
    for (int i = 0; i < n; ++i)
        if (taken[i]) list[k++] = i;
    return k;
}

START_TEST(kept_by_score) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    int32_t list[N];
    uint8_t top[N] = {0}, even[N] = {0};
    naive_top(scores, N, 13, top);
    tsr_token_set *made = reduce(set, "score-topk:k=13");
    kept(made, list, list_of(top, N, list));
    tsr_token_set_close(&made);
    for (int i = 0; i < 6; ++i)
        even[(2 * i + 1) * N / 12] = 1;
    naive_top(scores, N, 7, even);
    made = reduce(set, "score-topk:k=13,even=6");
    kept(made, list, list_of(even, N, list));
    tsr_token_set_close(&made);
    refused(set, "score-topk:k=3,even=4", "even: wanted at most the 3 tokens that stay, got 4");

    float sum[T * H];
    uint8_t row[T * H] = {0}, of_rows[N];
    for (int r = 0; r < T * H; ++r) {
        sum[r] = 0;
        for (int c = 0; c < W; ++c)
            sum[r] += scores[r * W + c];
    }
    naive_top(sum, T * H, 4, row);
    for (int i = 0; i < N; ++i)
        of_rows[i] = row[i / W];
    made = reduce(set, "score-rows:k=4");
    kept(made, list, list_of(of_rows, N, list));
    expect_close_f32("sums", f32_trace(made, "sum_of_row"), sum, T * H, 1e-6);
    tsr_token_set_close(&made);
    refused(set, "score-rows:k=13", "k: wanted at most the 12 tokens there are, got 13");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(thresholds) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    int32_t list[N];
    uint8_t above[N];
    double mean = 0, soft = 0;
    for (int i = 0; i < N; ++i)
        mean += (double)scores[i] / N;
    for (int i = 0; i < N; ++i)
        above[i] = (double)scores[i] > 1.2 * mean;
    tsr_token_set *made = reduce(set, "score-threshold:by=mean,t=1.2");
    kept(made, list, list_of(above, N, list));
    tsr_token_set_close(&made);
    made = reduce(set, "score-threshold:t=0.5");
    for (int i = 0; i < N; ++i)
        above[i] = scores[i] > 0.5f;
    kept(made, list, list_of(above, N, list));
    tsr_token_set_close(&made);
    made = reduce(set, "score-threshold:by=soft-share,rho=0.3,tau=0.05");
    const double t = number(made, "threshold");
    for (int i = 0; i < N; ++i)
        soft += 1 / (1 + exp(-((double)scores[i] - t) / 0.05));
    ck_assert_msg(fabs(soft - 0.3 * N) < 1e-9, "%g", soft);
    tsr_token_set_close(&made);
    refused(set, "score-threshold:t=2",
            "wanted at least one score above the threshold 2, got none");
    refused(set, "score-threshold:by=soft-share", "rho: wanted a value, got none");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(diverse) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    enum { K = 11 };
    tsr_token_set *set = random_set();
    int32_t order[K];
    for (int i = 0; i < N; ++i)
        scores[i] = random_uniform(0, 1);
    scores[5] = 0;
    column(set, "scores", TSR_ARRAY_F32, TOKENS_FIRST, 1, N, 0, 0, scores);
    for (int p = 0; p < K; ++p) {
        double best = -1;
        for (int i = 0; i < N; ++i) {
            double near = p ? INFINITY : 1;
            bool taken = false;
            for (int q = 0; q < p; ++q) {
                near = fmin(near, fmax(0, 1 - cosine(x + i * D, x + order[q] * D, D)));
                taken |= order[q] == i;
            }
            if (taken || !((double)scores[i] * near > best)) continue;
            best = (double)scores[i] * near;
            order[p] = i;
        }
    }
    tsr_token_set *made = reduce(set, "score-diverse:k=11");
    expect_equal_i32("order", tsr_token_set_trace(made, "order").data, order, K);
    tsr_token_set_close(&made);
    made = reduce(set, "score-diverse:ratio=1"); /* all, each once */
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert_int_eq(info.count, N);
    tsr_token_set_close(&made);
    scores[7] = -1;
    column(set, "scores", TSR_ARRAY_F32, TOKENS_FIRST, 1, N, 0, 0, scores);
    refused(set, "score-diverse:k=2",
            "column scores: token 7: wanted a number not below 0, got -1");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(clips) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set();
    float text[D] = {0};
    for (int i = 2 * H * W; i < N;
         ++i) /* the second clip is the last frame: its mean is the text */
        for (int d = 0; d < D; ++d)
            text[d] += x[i * D + d];
    column(set, "text", TSR_ARRAY_F32, NO_TOKENS, 2, 1, D, 0, text);
    tsr_token_set *made = reduce(set, "clip-topk:k=1,length=2");
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    ck_assert(info.grid[0] == 1 && info.count == H * W && info.source_map[2 * H * W] == 0);
    ck_assert(fabsf(f32_trace(made, "score_of_clip")[1] - 1) < 1e-6f);
    tsr_token_set_close(&made);
    refused(set, "clip-topk:k=3,length=2", "k: wanted at most the 2");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("scores", relevance, growth, codes, sensitive, changes, kept_by_score, thresholds,
          diverse, clips)
