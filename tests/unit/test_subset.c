/* SPDX-License-Identifier: MIT */
/* test_subset.c: operators that keep, order, resample and place tokens by where they stand, and
 * plans of whole systems: closed forms and plain loops. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/reduce.h>

#include "testing.h"

enum { T = 3, H = 5, W = 7, N = T * H * W, D = 6 };
static const int64_t grid[3] = {T, H, W};
static tsr_context *ctx;
static float x[N * D];

static tsr_token_set *random_set(void) {
    tsr_token_set *set = NULL;
    random_normals(x, N * D);
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, D, grid, &set), TSR_OK);
    return set;
}
static void matrix(tsr_token_set *set, const char *name, tsr_token_axis axis, int64_t rows,
                   int64_t width, const float *data) {
    const tsr_token_array array = {
        .name = name, .axis = axis, .rank = width ? 2 : 1, .dim = {rows, width}, .data = data};
    ck_assert_msg(tsr_token_set_add(set, &array) == TSR_OK, "%s", tsr_detail(ctx));
}
static tsr_token_set *reduce(const tsr_token_set *set, const char *operation) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_token_set_reduce(set, &operation, 1, NULL, &made) == TSR_OK, "%s: %s",
                  operation, tsr_detail(ctx));
    return made;
}
static void refused(const tsr_token_set *set, const char *operation, const char *text) {
    tsr_token_set *made = NULL;
    const tsr_status status = set ? tsr_token_set_reduce(set, &operation, 1, NULL, &made)
                                  : tsr_operator_plan(ctx, operation, &made);
    ck_assert_msg(status == TSR_ERROR_ARGUMENT, "%s: %s", operation, tsr_detail(ctx));
    ck_assert_ptr_null(made);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "%s: %s", operation, tsr_detail(ctx));
}
static tsr_token_set_info info_of(const tsr_token_set *made) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    return info;
}
static void is_grid(const tsr_token_set *made, int64_t t, int64_t h, int64_t w) {
    const tsr_token_set_info i = info_of(made);
    ck_assert_msg(i.grid[0] == t && i.grid[1] == h && i.grid[2] == w, "%d x %d x %d",
                  (int)i.grid[0], (int)i.grid[1], (int)i.grid[2]);
}

START_TEST(by_place) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set(), *made = reduce(set, "prefix:k=9");
    ck_assert(info_of(made).count == 9 && !memcmp(info_of(made).features, x, 9 * D * sizeof *x));
    /* a prefix of a prefix is the shorter prefix */
    tsr_token_set *less = reduce(made, "prefix:k=4"), *direct = reduce(set, "prefix:k=4");
    ck_assert(!memcmp(info_of(less).source_map, info_of(direct).source_map, N * sizeof(int32_t)));
    tsr_token_set_close(&less);
    tsr_token_set_close(&direct);
    tsr_token_set_close(&made);

    made = reduce(set, "stride-pick:stride=10,first=3");
    ck_assert_int_eq(info_of(made).count, (N - 3 + 9) / 10);
    for (int i = 0; i < N; ++i)
        ck_assert_int_eq(info_of(made).source_map[i],
                         i >= 3 && (i - 3) % 10 == 0 ? (i - 3) / 10 : -1);
    tsr_token_set_close(&made);
    refused(set, "stride-pick:stride=2,first=105", "first: wanted a token below the 105 there are");

    made = reduce(set, "frame-keep:frames=0+2");
    is_grid(made, 2, H, W);
    ck_assert(
        !memcmp(info_of(made).features + H * W * D, x + 2 * H * W * D, H * W * D * sizeof *x));
    tsr_token_set_close(&made);
    refused(set, "frame-keep:frames=2+0", "frames: wanted each once, in order, got 0 after 2");
    refused(set, "frame-keep:frames=3", "wanted whole numbers below the 3 frames there are, got 3");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(regions) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set(), *made = reduce(set, "region:box=2+1+6+4");
    is_grid(made, T, 3, 4);
    const tsr_token_set_info info = info_of(made);
    for (int i = 0; i < T * 3 * 4; ++i) {
        const int from = (i / 12 * H + 1 + i / 4 % 3) * W + 2 + i % 4;
        ck_assert(!memcmp(info.features + i * D, x + from * D, D * sizeof *x));
        ck_assert(info.positions[3 * i + 1] == (float)(1 + i / 4 % 3));
    }
    /* a region of a region; the tokens are those of the cut-out picture, so pooling works on */
    tsr_token_set *inner = reduce(made, "region:box=1+0+3+2");
    is_grid(inner, T, 2, 2);
    ck_assert(!memcmp(info_of(inner).features, x + (W + 3) * D, D * sizeof *x));
    tsr_token_set_close(&inner);
    tsr_token_set_close(&made);
    made = reduce(set, "region:box=0.2+0+0.5+1,unit=share"); /* columns 1.4 .. 3.5: 1 to 3 */
    is_grid(made, T, H, 3);
    ck_assert(info_of(made).positions[2] == 1);
    tsr_token_set_close(&made);
    refused(set, "region:box=2+1+8+4", "within 7 x 5 cells, got 2+1+8+4");
    refused(set, "region:box=2+1+2+4", "wanted left below right");
    refused(set, "region:box=2+1+3", "wanted left, top, right and bottom, got 3 numbers");

    made = reduce(set, "grid-subset:rows=2,columns=3");
    is_grid(made, T, 2, 3);
    const float *p = info_of(made).positions;
    ck_assert(p[1] == 1 && p[2] == 1 && p[3 * 1 + 2] == 3 && p[3 * 2 + 2] == 5 &&
              p[3 * 3 + 1] == 3);
    tsr_token_set_close(&made);
    refused(set, "grid-subset:rows=2,columns=8",
            "columns: wanted at most the 7 of the grid, got 8");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(orders) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    float f[64] = {0};
    tsr_token_set *set = NULL;
    ck_assert_int_eq(tsr_token_set_create(ctx, f, 64, 1, (int64_t[]){1, 8, 8}, &set), TSR_OK);
    tsr_token_set *made = reduce(set, "coarse-to-fine");
    const tsr_token_set_info info = info_of(made);
    const tsr_token_array order = tsr_token_set_trace(made, "order");
    const int32_t *o = order.data, *level = tsr_token_set_column(made, "level").data;
    uint8_t seen[64] = {0};
    for (int i = 0; i < 64; ++i) { /* a bijection; prefixes 1, 4, 16, 64 are grids */
        seen[o[i]]++;
        const int step = i < 1 ? 8 : i < 4 ? 4 : i < 16 ? 2 : 1;
        ck_assert_msg(o[i] / 8 % step == 0 && o[i] % 8 % step == 0, "place %d: token %d", i, o[i]);
        ck_assert_int_eq(level[i], i < 1 ? 0 : i < 4 ? 1 : i < 16 ? 2 : 3);
        ck_assert_int_eq(info.source_map[o[i]], i);
    }
    ck_assert(memchr(seen, 0, 64) == NULL);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);

    set = random_set();
    made = reduce(set, "scale-positions:frames=0.5,columns=3");
    const float *p =
        info_of(made).positions + 3 * (H * W + 2 * W + 4); /* frame 1, row 2, column 4 */
    ck_assert(p[0] == 0.5f && p[1] == 2 && p[2] == 12);
    is_grid(made, T, H, W);
    tsr_token_set_close(&made);
    made = reduce(set, "time-of-tokens:fps=2,start=10");
    const float *s = tsr_token_set_column(made, "seconds").data;
    ck_assert(s[0] == 10 && s[H * W] == 10.5f && s[N - 1] == 11);
    tsr_token_set *pooled = reduce(made, "keyframe-pool:every=5,window=7"); /* 1 and 2 are means */
    s = tsr_token_set_column(pooled, "seconds").data;
    ck_assert(info_of(pooled).count == H * W + 2 && s[H * W] == 10.5f && s[H * W + 1] == 11);
    tsr_token_set_close(&pooled);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

/* Tokens of window (t, wy, wx) of a size. */
static int window(int t, int wy, int wx, int size, int list[N]) {
    int n = 0;
    for (int i = 0; i < N; ++i)
        if (i / (H * W) == t && i / W % H / size == wy && i % W / size == wx) list[n++] = i;
    return n;
}

START_TEST(maxima_and_key_frames) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set(), *made = reduce(set, "max-pool:window=3");
    is_grid(made, T, 2, 3);
    int list[N];
    for (int cell = 0; cell < T * 6; ++cell) {
        const int n = window(cell / 6, cell / 3 % 2, cell % 3, 3, list);
        for (int d = 0; d < D; ++d) {
            float most = -INFINITY;
            for (int i = 0; i < n; ++i)
                most = fmaxf(most, x[list[i] * D + d]);
            ck_assert(info_of(made).features[cell * D + d] == most);
        }
        ck_assert(info_of(made).sizes[cell] == (float)n);
    }
    tsr_token_set_close(&made);
    made = reduce(set, "keyframe-pool:every=2,window=2"); /* 0 whole, 1 pooled, 2 whole */
    const tsr_token_set_info info = info_of(made);
    ck_assert_int_eq(info.count, 2 * H * W + 3 * 4);
    const int n = window(1, 2, 3, 2, list); /* the corner: a single token */
    ck_assert(n == 1 && !memcmp(info.features + (H * W + 11) * D, x + list[0] * D, D * sizeof *x));
    ck_assert(!memcmp(info.features + (H * W + 12) * D, x + 2 * H * W * D, H * W * D * sizeof *x));
    ck_assert_int_eq(((const int32_t *)tsr_token_set_trace(made, "tokens_of_frame").data)[1], 12);
    tsr_token_set_close(&made);
    refused(set, "max-pool:window=65", "window: wanted a whole number in 1..64");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(bilinear) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_token_set *set = random_set(), *made = reduce(set, "bilinear-pool:rows=3,columns=4");
    is_grid(made, T, 3, 4);
    double want[T * 12 * D];
    for (int i = 0; i < T * 12 * D; ++i) {
        const int d = i % D, place = i / D, t = place / 12;
        const double y = (place / 4 % 3 + 0.5) * H / 3 - 0.5, c = (place % 4 + 0.5) * W / 4 - 0.5;
        want[i] = 0;
        for (int yy = 0; yy < H; ++yy) /* hats of width 1 */
            for (int xx = 0; xx < W; ++xx)
                want[i] += fmax(0, 1 - fabs(y - yy)) * fmax(0, 1 - fabs(c - xx)) *
                           (double)x[((t * H + yy) * W + xx) * D + d];
    }
    expect_close("bilinear", info_of(made).features, want, T * 12 * D, 1e-6);
    tsr_token_set_close(&made);
    made = reduce(set, "bilinear-pool:rows=5,columns=7"); /* the same size: the same tokens */
    ck_assert(!memcmp(info_of(made).features, x, sizeof x));
    tsr_token_set_close(&made);
    refused(set, "bilinear-pool:rows=6,columns=7", "wanted at most the 5 x 7 places of the grid");
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

static void through(const float *weight, const double *v, int rows, double *y) {
    for (int r = 0; r < rows; ++r) {
        y[r] = 0;
        for (int d = 0; d < D; ++d)
            y[r] += (double)weight[r * D + d] * v[d];
    }
}

START_TEST(window_queries) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    enum { KEY = 4, VALUE = 3 };
    float wq[KEY * D], wk[KEY * D], wv[VALUE * D];
    double want[T * 12 * VALUE] = {0};
    tsr_token_set *set = random_set();
    random_normals(wq, KEY * D);
    random_normals(wk, KEY * D);
    random_normals(wv, VALUE * D);
    matrix(set, "query.weight", TSR_TOKEN_AXIS_NONE, KEY, D, wq);
    matrix(set, "value.weight", TSR_TOKEN_AXIS_NONE, VALUE, D, wv);
    refused(set, "window-query-pool", "column key.weight: wanted 4 rows like query.weight, got 6");
    matrix(set, "key.weight", TSR_TOKEN_AXIS_NONE, KEY, D, wk);
    for (int cell = 0; cell < T * 12; ++cell) {
        int list[N];
        const int n = window(cell / 12, cell / 4 % 3, cell % 4, 2, list);
        double mean[D] = {0}, q[KEY], k[KEY], v[VALUE], token[D], sum = 0;
        for (int i = 0; i < n; ++i)
            for (int d = 0; d < D; ++d)
                mean[d] += (double)x[list[i] * D + d] / n;
        through(wq, mean, KEY, q);
        for (int i = 0; i < n; ++i) {
            double dot = 0;
            for (int d = 0; d < D; ++d)
                token[d] = (double)x[list[i] * D + d];
            through(wk, token, KEY, k);
            through(wv, token, VALUE, v);
            for (int d = 0; d < KEY; ++d)
                dot += q[d] * k[d];
            sum += exp(dot / 2);
            for (int d = 0; d < VALUE; ++d)
                want[cell * VALUE + d] += exp(dot / 2) * v[d];
        }
        for (int d = 0; d < VALUE; ++d)
            want[cell * VALUE + d] /= sum;
    }
    tsr_token_set *made = reduce(set, "window-query-pool:window=2");
    is_grid(made, T, 3, 4);
    ck_assert_int_eq(info_of(made).channels, VALUE);
    expect_close("window queries", info_of(made).features, want, T * 12 * VALUE, 1e-5);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    for (int i = 0; i < N * D; ++i) /* constants survive, without weights */
        x[i] = (float)(i % D);
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, D, grid, &set), TSR_OK);
    made = reduce(set, "window-query-pool:window=4");
    expect_close_f32("constants", info_of(made).features, x, info_of(made).count * D, 1e-6);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(anchors) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    enum { K = 8 };
    float score[N];
    int32_t map[N], anchor[K];
    tsr_token_set *set = random_set();
    for (int i = 0; i < N; ++i)
        score[i] = (float)(i * 37 % N);
    int k = 0;
    for (int i = 0; i < N; ++i) /* scores are all different: the top 8 are N - 8 and above */
        if (score[i] >= N - K) anchor[k++] = i;
    ck_assert_int_eq(k, K);
    memcpy(x + anchor[5] * D, x + anchor[2] * D, D * sizeof *x); /* two anchors alike */
    tsr_token_set_close(&set);
    ck_assert_int_eq(tsr_token_set_create(ctx, x, N, D, grid, &set), TSR_OK);
    matrix(set, "scores", TSR_TOKEN_AXIS_FIRST, N, 0, score);
    for (int i = 0; i < N; ++i) {
        double best = -2;
        for (int a = 0; a < K; ++a) {
            double xx = 0, yy = 0, xy = 0;
            for (int d = 0; d < D; ++d) {
                const double u = (double)x[i * D + d], v = (double)x[anchor[a] * D + d];
                xx += u * u, yy += v * v, xy += u * v;
            }
            if (xy / sqrt(xx * yy) > best + 1e-12) best = xy / sqrt(xx * yy), map[i] = a;
        }
    }
    map[anchor[5]] = 5;
    tsr_token_set *made = reduce(set, "anchor-merge:k=8");
    expect_equal_i32("map", info_of(made).source_map, map, N);
    double mean[K * D] = {0}, total = 0;
    for (int i = 0; i < N; ++i)
        for (int d = 0; d < D; ++d)
            mean[map[i] * D + d] += (double)x[i * D + d] / (double)info_of(made).sizes[map[i]];
    expect_close("means", info_of(made).features, mean, K * D, 1e-6);
    for (int a = 0; a < K; ++a)
        total += (double)info_of(made).sizes[a];
    ck_assert(total == N);
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    tsr_context_close(&ctx);
}
END_TEST

static void answers(const char *operation, const char *name, int n, const double *want) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_operator_plan(ctx, operation, &made) == TSR_OK, "%s: %s", operation,
                  tsr_detail(ctx));
    const tsr_token_array a = tsr_token_set_trace(made, name);
    int64_t count = 1;
    for (int i = 0; i < a.rank; ++i)
        count *= a.dim[i];
    ck_assert_msg(a.name && count == n, "%s: %s: %d", operation, name, (int)count);
    for (int i = 0; i < n; ++i) {
        const double got =
            a.type == TSR_ARRAY_I32 ? ((const int32_t *)a.data)[i] : ((const double *)a.data)[i];
        ck_assert_msg(fabs(got - want[i]) <= 1e-9 * fabs(want[i]), "%s: %s[%d]: %.17g", operation,
                      name, i, got);
    }
    tsr_token_set_close(&made);
}
#define ANSWERS(operation, name, ...)                                                              \
    answers(operation, name, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),              \
            (const double[]){__VA_ARGS__})

START_TEST(plans) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    /* VisionDrop's 48/35/26/19 over blocks of 8 layers averages 32 */
    ANSWERS("layer-schedule:counts=48+35+26+19,layers=8", "mean_tokens", 32);
    ANSWERS("layer-schedule:counts=4+2,layers=1+3", "tokens_of_layer", 4, 2, 2, 2);
    /* one layer of width 2, ffn 3, 5 tokens: 4*5*4 + 2*25*2 + 2*5*2*3 = 240 */
    ANSWERS("layer-schedule:counts=5,layers=1,width=2,ffn=3", "multiply_adds", 240);
    ANSWERS("layer-schedule:counts=10+0,layers=1,width=8,ffn=8", "kv_share_of_full", 0.5);
    ANSWERS("layer-schedule:counts=64,layers=2,full=576,width=1,ffn=1", "kv_values", 256);
    refused(NULL, "layer-schedule:counts=4+2,layers=1+3+4", "layers: wanted one number or one for");
    refused(NULL, "layer-schedule:counts=4.5", "counts: wanted whole numbers, got 4.5");

    /* clips [8, 12), [10, 14) touch and join; [96, 100) is moved into the video */
    const char *clip =
        "clip-plan:frames=100,anchors=12+99+10,length=4,rows=24,columns=24,budget=1000";
    ANSWERS(clip, "begin", 8, 96);
    ANSWERS(clip, "end", 14, 100);
    ANSWERS(clip, "window", 3); /* 10 frames of 100 at most: 12 x 12 is too much, 8 x 8 fits */
    ANSWERS(clip, "tokens", 640);
    refused(NULL, "clip-plan:frames=9,anchors=9,length=1,budget=9",
            "anchors: wanted frames below 9");
    refused(NULL, "clip-plan:frames=9,anchors=1,length=5,budget=4",
            "budget: wanted at least a token");

    ANSWERS("quarter-pass:sizes=640+480+57+28", "tokens_first", 12 * 9, 2 * 1);
    ANSWERS("quarter-pass:sizes=640+480+57+28", "tokens_full", 23 * 18, 3 * 1);
    ANSWERS("quarter-pass:sizes=640+480", "first", 320, 240);
    refused(NULL, "quarter-pass:sizes=640", "got 1 numbers");

    ANSWERS("token-account:tokens=81+1024,codes=16384+16384", "tokens_of_last", 81.0 / 1024, 1);
    ANSWERS("token-account:tokens=32,codes=8192", "bits", 416);    /* SEED */
    ANSWERS("token-account:tokens=256,codes=4096", "bits", 3072);  /* KARL */
    ANSWERS("token-account:tokens=256,codes=16384", "bits", 3584); /* LaVIT */
    const char *clip_codes =
        "token-account:tokens=23328,codes=32,codebook_rows=32,codebook_channels=1152";
    ANSWERS(clip_codes, "bytes", 14580); /* VQToken's map of 32 frames */
    ANSWERS(clip_codes, "codebook_bytes", 73728);
    ANSWERS("token-account:tokens=10,codes=9,pixels=80", "bits_per_pixel", 0.5);
    refused(NULL, "token-account:tokens=1+2+3,codes=8+8",
            "codes: wanted one number or one for each");

    ANSWERS("equal-distance:before=2,visual=3,after=2", "distance_from_last", 6, 5, 0, 0, 0, 1, 0);
    ANSWERS("equal-distance:before=1,visual=1", "group", 0, 1, 0);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("subsets", by_place, regions, orders, maxima_and_key_frames, bilinear, window_queries,
          anchors, plans)
