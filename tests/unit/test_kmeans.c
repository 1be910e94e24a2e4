/* SPDX-License-Identifier: MIT */
/* test_kmeans.c: codebook training: clusters found, objective falling, equal bytes, awkward data.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/tessera.h>

#include "everywhere.h"
#include "open_device.h"
#include "quantizer/quantizer.h"

typedef struct log {
    int lines, rises;
    double last;
} log_of;

/* Every iteration logs its objective. */
static void watch(void *user, tsr_log_level level, const char *text) {
    log_of *l = user;
    const char *at = strstr(text, "k-means: iteration ");
    if (level != TSR_LOG_INFO || !at) return;
    double error = atof(strstr(at, "error ") + 6);
    if (strstr(at, "iteration 0,")) l->last = INFINITY;
    l->rises += error > l->last;
    l->last = error;
    l->lines++;
}

static tsr_context *open_context(int threads, log_of *l) {
    tsr_context *ctx = NULL;
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = threads;
    if (l) {
        *l = (log_of){0};
        s.log = watch;
        s.log_user = l;
        s.log_level = TSR_LOG_INFO;
    }
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

static tsr_codebook_settings settings_for(uint32_t codes) {
    tsr_codebook_settings s = tsr_codebook_settings_default();
    s.codes = codes;
    s.device = "cpu";
    return s;
}

enum { CLUSTERS = 20, DIM = 6, N = 4000 };

/* Centres so far apart that a seed without its own cluster is out of the question, rows around
 * them; cosine: directions, with any length. */
static void make_clusters(float *x, float *centres, bool cosine) {
    for (int c = 0; c < CLUSTERS; ++c)
        for (int i = 0; i < DIM; ++i)
            centres[c * DIM + i] = cosine ? ((c >> i) & 1 ? 1.0f : -1.0f) + (i == 5) * (c / 10)
                                          : 1000.0f * (float)((c >> i) & 1) + 300.0f;
    for (int n = 0; n < N; ++n) {
        float length = cosine ? random_uniform(0.1f, 50) : 1;
        for (int i = 0; i < DIM; ++i)
            x[n * DIM + i] =
                (centres[n % CLUSTERS * DIM + i] + (cosine ? 0.0005f : 0.5f) * random_normal()) *
                length;
    }
}

/* The means of the clusters' rows, for cosine of their directions, and the mean square of what rows
 * (or directions) are away from them; a cosine code is the mean's direction. */
static double means_of(const float *x, bool cosine, double *means) {
    double error = 0;
    static double row[N * DIM];
    memset(means, 0, CLUSTERS * DIM * sizeof *means);
    for (int n = 0; n < N; ++n) {
        double length = 0;
        for (int i = 0; i < DIM; ++i)
            length += (double)x[n * DIM + i] * x[n * DIM + i];
        for (int i = 0; i < DIM; ++i) {
            row[n * DIM + i] = x[n * DIM + i] / (cosine ? sqrt(length) : 1);
            means[n % CLUSTERS * DIM + i] += row[n * DIM + i] * CLUSTERS / N;
        }
    }
    for (int c = 0; c < CLUSTERS && cosine; ++c) {
        double length = 0;
        for (int i = 0; i < DIM; ++i)
            length += means[c * DIM + i] * means[c * DIM + i];
        for (int i = 0; i < DIM; ++i)
            means[c * DIM + i] /= sqrt(length);
    }
    for (int n = 0; n < N * DIM; ++n)
        error += pow(row[n] - means[n % (CLUSTERS * DIM)], 2);
    return error / (N * DIM);
}

START_TEST(finds_clusters) {
    static float x[N * DIM], centres[CLUSTERS * DIM], codes[CLUSTERS * DIM];
    static double means[CLUSTERS * DIM];
    char name[32] = "cpu";
    for (int v = 0; v <= everywhere_vulkan_count(); ++v)
        for (int cosine = 0; cosine < 2; ++cosine) {
            if (v > 0) snprintf(name, sizeof name, "vulkan:%d", v - 1);
            ck_assert_msg(everywhere_device(name, NULL) != NULL, "%s could not be opened", name);
            log_of l;
            tsr_context *ctx = open_context(2, &l);
            make_clusters(x, centres, cosine);
            tsr_codebook_settings s = settings_for(CLUSTERS);
            tsr_codebook_stats stats;
            s.cosine = cosine;
            s.device = name;
            ck_assert_int_eq(tsr_codebook_train(ctx, x, N, DIM, &s, codes, &stats), TSR_OK);
            ck_assert(l.lines >= 2 && l.rises == 0);
            ck_assert_double_eq(stats.used, 1);
            ck_assert_double_eq_tol(stats.perplexity, CLUSTERS, 1e-9); /* as many rows in each */
            ck_assert_double_eq_tol(stats.mse / means_of(x, cosine, means), 1, 1e-4);
            for (int c = 0; c < CLUSTERS; ++c) {
                double nearest = INFINITY;
                for (int k = 0; k < CLUSTERS; ++k) {
                    double most = 0;
                    for (int i = 0; i < DIM; ++i)
                        most = fmax(most, fabs(codes[k * DIM + i] - means[c * DIM + i]));
                    nearest = fmin(nearest, most);
                }
                /* sums of 200 numbers in float32: of up to 1000, of up to 1 */
                ck_assert_msg(nearest < (cosine ? 1e-6 : 1e-3),
                              "%s: the mean of %d is %g from a code", name, c, nearest);
            }
            tsr_context_close(&ctx);
        }
}
END_TEST

/* One iteration by hand, in float64: from the seeds (0 iterations) to the means of their rows. */
START_TEST(one_step) {
    enum { ROWS = 900, K = 40, W = 9 };
    static float x[ROWS * W], seeds[K * W], codes[K * W];
    static uint32_t ids[ROWS];
    random_normals(x, ROWS * W);
    for (int i = 0; i < ROWS * W; ++i)
        x[i] += 500; /* far from the origin, where f32 products have no digits left */
    tsr_context *ctx = open_context(2, NULL);
    tsr_codebook_settings s = settings_for(K);
    tsr_codebook_stats stats, after;
    s.iterations = 0;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, W, &s, seeds, NULL), TSR_OK);
    for (int k = 0; k < K; ++k) { /* seeds are rows, no two the same */
        int from = -1;
        for (int n = 0; n < ROWS; ++n)
            if (!memcmp(seeds + k * W, x + n * W, sizeof(float) * W)) from = n;
        ck_assert_int_ge(from, 0);
        for (int j = 0; j < k; ++j)
            ck_assert(memcmp(seeds + k * W, seeds + j * W, sizeof(float) * W));
    }
    ck_assert_int_eq(tsr_codebook_assign(ctx, x, ROWS, W, seeds, &s, ids, &stats), TSR_OK);
    s.iterations = 1;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, W, &s, codes, &after), TSR_OK);
    ck_assert_uint_eq(after.iterations, 1);
    ck_assert(after.mse < stats.mse);
    double error = 0;
    for (int k = 0; k < K; ++k) {
        double sum[W] = {0};
        int rows = 0;
        for (int n = 0; n < ROWS; ++n)
            if (ids[n] == (uint32_t)k) {
                ++rows;
                for (int i = 0; i < W; ++i)
                    sum[i] += x[n * W + i];
            }
        ck_assert_int_gt(rows, 0);
        for (int i = 0; i < W; ++i)
            ck_assert_double_eq_tol(codes[k * W + i], sum[i] / rows, 1e-4);
    }
    for (int n = 0; n < ROWS; ++n)
        for (int i = 0; i < W; ++i)
            error += pow((double)x[n * W + i] - seeds[ids[n] * W + i], 2);
    ck_assert_double_eq_tol(stats.mse, error / (ROWS * W), 1e-5);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(same_bytes) {
    enum { ROWS = 20000, K = 64, W = 5 };
    static float x[ROWS * W], first[2 * K * W], codes[2 * K * W];
    random_normals(x, ROWS * W);
    tsr_codebook_settings s = settings_for(K);
    s.stages = 2;
    s.iterations = 6;
    for (int threads = 1; threads <= 3; ++threads) {
        log_of l;
        tsr_context *ctx = open_context(threads, &l);
        tsr_codebook_stats stats;
        ck_assert_int_eq(
            tsr_codebook_train(ctx, x, ROWS, W, &s, threads == 1 ? first : codes, &stats), TSR_OK);
        ck_assert_int_eq(l.rises, 0);
        if (threads > 1)
            ck_assert_msg(!memcmp(first, codes, sizeof first), "%d threads give others", threads);
        tsr_context_close(&ctx);
    }
    tsr_context *ctx = open_context(1, NULL);
    s.seed = 2;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, W, &s, codes, NULL), TSR_OK);
    ck_assert(memcmp(first, codes, sizeof first));
    /* Assigning with the result tells the error that training told. */
    static uint32_t ids[2 * ROWS];
    tsr_codebook_stats train, assign;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, W, &s, codes, &train), TSR_OK);
    ck_assert_int_eq(tsr_codebook_assign(ctx, x, ROWS, W, codes, &s, ids, &assign), TSR_OK);
    ck_assert_double_eq_tol(train.mse / assign.mse, 1, 1e-5);
    ck_assert_double_eq_tol(train.perplexity / assign.perplexity, 1, 1e-3);
    double both = 0;
    for (int i = 0; i < ROWS * W; ++i) {
        const uint32_t *id = ids + i / W * 2;
        both += pow((double)x[i] - codes[id[0] * W + i % W] - codes[(K + id[1]) * W + i % W], 2);
    }
    ck_assert_double_eq_tol(assign.mse / (both / (ROWS * W)), 1, 1e-5);
    /* The first stage alone. */
    s.stages = 1;
    tsr_codebook_stats one;
    double first_alone = 0;
    ck_assert_int_eq(tsr_codebook_assign(ctx, x, ROWS, W, codes, &s, ids, &one), TSR_OK);
    for (int i = 0; i < ROWS * W; ++i)
        first_alone += pow((double)x[i] - codes[ids[i / W] * W + i % W], 2);
    ck_assert_double_eq_tol(one.mse / (first_alone / (ROWS * W)), 1, 1e-5);
    ck_assert_double_lt(both, 0.6 * first_alone); /* 64 codes more are 6 bits for 5 numbers */
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(few_different_rows) {
    /* Three different rows, many times: their codes are exact, the others stay unused. */
    enum { ROWS = 3000, K = 8 };
    static float x[ROWS * 2], codes[K * 2];
    for (int n = 0; n < ROWS; ++n) {
        x[2 * n] = 0.1f * (float)(n % 3);
        x[2 * n + 1] = 7;
    }
    log_of l;
    tsr_context *ctx = open_context(2, &l);
    tsr_codebook_settings s = settings_for(K);
    tsr_codebook_stats stats;
    for (int cosine = 0; cosine < 2; ++cosine) {
        s.cosine = cosine;
        ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, 2, &s, codes, &stats), TSR_OK);
        ck_assert(stats.mse < 1e-14);
        ck_assert_double_eq(stats.used, 3.0 / K);
        ck_assert_double_eq_tol(stats.perplexity, 3, 1e-9);
        ck_assert_uint_eq(stats.revived, 0);
        for (int i = 0; i < K * 2; ++i)
            ck_assert(isfinite(codes[i]));
    }
    /* All rows equal; all rows zero; as many codes as rows. */
    for (int value = 0; value < 2; ++value) {
        for (int i = 0; i < ROWS * 2; ++i)
            x[i] = (float)value;
        for (s.cosine = 0; s.cosine < 2; ++s.cosine) {
            ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, 2, &s, codes, &stats), TSR_OK);
            ck_assert(stats.mse < 1e-14 && stats.used == 1.0 / K);
        }
    }
    s.cosine = 0;
    random_normals(x, K * 2);
    ck_assert_int_eq(tsr_codebook_train(ctx, x, K, 2, &s, codes, &stats), TSR_OK);
    ck_assert(stats.mse == 0 && stats.used == 1);
    ck_assert_int_eq(l.rises, 0);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(dead_codes_revive) {
    /* Seeds come from a sample of every second row. All rows are equal but eleven; those the sample
     * misses are found when codes that have no rows are moved to rows that are badly served. */
    enum { ROWS = 131072, ODD = 11, K = ODD + 1 };
    float *x = malloc(sizeof(float) * ROWS * 2);
    static float codes[K * 2];
    ck_assert_ptr_nonnull(x);
    for (int n = 0; n < ROWS; ++n)
        x[2 * n] = x[2 * n + 1] = 1;
    for (int i = 0; i < ODD; ++i)
        x[2 * (11000 * i + 77)] = 2.0f + (float)(i * i);
    log_of l;
    tsr_context *ctx = open_context(2, &l);
    tsr_codebook_settings s = settings_for(K);
    tsr_codebook_stats stats;
    s.seed = 5;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, 2, &s, codes, &stats), TSR_OK);
    ck_assert_uint_ge(stats.revived, 1);
    ck_assert_double_eq(stats.used, 1);
    ck_assert(stats.mse < 1e-12);
    ck_assert(l.lines >= 2 && l.rises == 0);
    free(x);
    tsr_context_close(&ctx);
}
END_TEST

static int stop_after(void *user, const char *what, uint64_t done, uint64_t total) {
    ck_assert(!strcmp(what, "k-means++") || !strcmp(what, "k-means") || !strcmp(what, "assign"));
    ck_assert_uint_le(done, total);
    return --*(int *)user == 0;
}

static void refused(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                    const tsr_codebook_settings *s, tsr_status want, const char *text) {
    float codes[64];
    ck_assert_int_eq(tsr_codebook_train(ctx, x, n, dim, s, codes, NULL), want);
    ck_assert_str_eq(tsr_detail(ctx), text);
}

START_TEST(refusals) {
    float x[20] = {0};
    random_normals(x, 20);
    tsr_context *ctx = open_context(1, NULL);
    tsr_codebook_settings s = settings_for(16), good = settings_for(4);
    refused(ctx, x, 10, 2, &s, TSR_ERROR_ARGUMENT,
            "codebook: codes: wanted at most 10 (the number of rows), got 16");
    refused(ctx, x, 0, 2, &good, TSR_ERROR_ARGUMENT, "codebook: rows: wanted at least 1, got 0");
    refused(ctx, x, 10, 0, &good, TSR_ERROR_ARGUMENT,
            "codebook: row width: wanted 1 to 2147483647, got 0");
    refused(ctx, NULL, 10, 2, &good, TSR_ERROR_ARGUMENT,
            "codebook: rows: wanted an address, got NULL");
    refused(ctx, x, UINT64_MAX / 2, 2, &good, TSR_ERROR_ARGUMENT,
            "codebook: rows: wanted at most 576460752303423487, got 9223372036854775807");
    s = good;
    s.codes = 0;
    refused(ctx, x, 10, 2, &s, TSR_ERROR_ARGUMENT,
            "codebook: codes: wanted 1 to 2147483647, got 0");
    s = good;
    s.stages = 0;
    refused(ctx, x, 10, 2, &s, TSR_ERROR_ARGUMENT, "codebook: stages: wanted 1 to 256, got 0");
    s.stages = 2;
    s.cosine = 1;
    refused(ctx, x, 10, 2, &s, TSR_ERROR_ARGUMENT,
            "codebook: stages: wanted 1 with cosine (a residual has no unit length), got 2");
    s = good;
    s.tolerance = NAN;
    refused(ctx, x, 10, 2, &s, TSR_ERROR_ARGUMENT,
            "codebook: tolerance: wanted 0 or more and below 1, got nan");
    s = good;
    s.device = "abacus";
    float codes[8];
    ck_assert_int_eq(tsr_codebook_train(ctx, x, 10, 2, &s, codes, NULL), TSR_ERROR_ARGUMENT);
    x[7] = NAN;
    refused(ctx, x, 10, 2, &good, TSR_ERROR_ARGUMENT,
            "codebook: rows: row 3, column 1: wanted a number within +-1e+15, got nan");
    x[7] = 0;
    ck_assert_int_eq(tsr_codebook_train(ctx, x, 10, 2, &good, codes, NULL), TSR_OK);
    uint32_t ids[10];
    tsr_codebook_stats stats;
    ck_assert_int_eq(tsr_codebook_assign(ctx, NULL, 0, 2, codes, &good, NULL, &stats), TSR_OK);
    ck_assert(stats.rows == 0 && stats.mse == 0 && stats.used == 0);
    codes[3] = INFINITY;
    ck_assert_int_eq(tsr_codebook_assign(ctx, x, 10, 2, codes, &good, ids, NULL),
                     TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx),
                     "codebook: codes: row 1, column 1: wanted a number within +-1e+15, got inf");
    /* Stopping at any call of the progress function. */
    s = good;
    s.progress = stop_after;
    for (int calls = 1; calls <= 5; ++calls) {
        int left = calls;
        s.progress_user = &left;
        ck_assert_int_eq(tsr_codebook_train(ctx, x, 10, 2, &s, codes, NULL), TSR_ERROR_INTERRUPTED);
    }
    int one = 1;
    s.progress_user = &one;
    ck_assert_int_eq(tsr_codebook_assign(ctx, x, 10, 2, codes, &s, ids, NULL),
                     TSR_ERROR_INTERRUPTED);
    ck_assert_str_eq(tsr_detail(ctx), "assign: stopped at row 10 of 10");
    ck_assert_int_eq(tsr_codebook_train(NULL, x, 10, 2, &good, codes, NULL), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

/* Every limit on memory from nothing to enough: refused or done, and what is done is the same. */
START_TEST(memory_limits) {
    enum { ROWS = 3000, K = 16, W = 4 };
    static float x[ROWS * W], want[2 * K * W], codes[2 * K * W];
    static uint32_t ids[2 * ROWS];
    random_normals(x, ROWS * W);
    tsr_codebook_settings s = settings_for(K);
    s.stages = 2;
    s.iterations = 2;
    tsr_context *ctx = open_context(1, NULL);
    ck_assert_int_eq(tsr_codebook_train(ctx, x, ROWS, W, &s, want, NULL), TSR_OK);
    tsr_context_close(&ctx);
    int trained = 0, assigned = 0, refusals = 0;
    for (uint64_t limit = 1; limit < (uint64_t)1 << 32; limit += limit / 3 + 1) {
        tsr_context_settings c = tsr_context_settings_default();
        c.memory_limit = limit;
        c.threads = 1;
        ck_assert_int_eq(tsr_context_open(&ctx, &c), TSR_OK);
        tsr_status a = tsr_codebook_train(ctx, x, ROWS, W, &s, codes, NULL);
        ck_assert(a == TSR_OK || a == TSR_ERROR_MEMORY);
        ck_assert(a == TSR_OK || *tsr_detail(ctx));
        ck_assert(a != TSR_OK || !memcmp(codes, want, sizeof want));
        tsr_status b = tsr_codebook_assign(ctx, x, ROWS, W, want, &s, ids, NULL);
        ck_assert(b == TSR_OK || b == TSR_ERROR_MEMORY);
        trained += a == TSR_OK;
        assigned += b == TSR_OK;
        refusals += a != TSR_OK;
        tsr_context_close(&ctx);
    }
    ck_assert(trained > 1 && assigned > 1 && refusals > 10);
    /* Seeding needs less than what training took before it: by itself, to see it refuse too. */
    for (uint64_t limit = 1; limit < 1 << 20; limit *= 2) {
        tsr_context_settings c = tsr_context_settings_default();
        c.memory_limit = limit;
        tsr_kmeans_settings k = {.codes = K, .seed = 1, .metric = TSR_METRIC_COSINE};
        ck_assert_int_eq(tsr_context_open(&ctx, &c), TSR_OK);
        /* the largest piece is the normalised sample */
        ck_assert_int_eq(tsr_kmeans_seed(ctx, x, ROWS, W, &k, codes),
                         limit < sizeof x ? TSR_ERROR_MEMORY : TSR_OK);
        tsr_context_close(&ctx);
    }
}
END_TEST

START_TEST(draws) {
    enum { ROWS = 3000 };
    static float weight[ROWS];
    double sums[3];
    for (int i = 0; i < ROWS; ++i)
        weight[i] = 0;
    for (int t = 0; t < 3; ++t)
        sums[t] = tsr_draw_tile_sum(weight, ROWS, t);
    ck_assert_int_eq(tsr_draw(weight, ROWS, sums, 0.5), -1);
    weight[5] = 1;
    weight[1023] = 2;
    weight[2999] = 1;
    for (int t = 0; t < 3; ++t)
        sums[t] = tsr_draw_tile_sum(weight, ROWS, t);
    static const struct {
        double u;
        int want;
    } known[] = {{0, 5}, {0.2499, 5}, {0.25, 1023}, {0.7499, 1023}, {0.75, 2999}, {0.9999, 2999}};
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        ck_assert_int_eq(tsr_draw(weight, ROWS, sums, known[i].u), known[i].want);
    /* Rounding beyond the end still gives a row with weight. */
    ck_assert_int_eq(tsr_draw(weight, ROWS, sums, 1.5), 2999);
}
END_TEST

TEST_MAIN("kmeans", finds_clusters, one_step, same_bytes, few_different_rows, dead_codes_revive,
          refusals, memory_limits, draws)
