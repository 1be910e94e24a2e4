/* SPDX-License-Identifier: MIT */
/* Numbers of sets of features and the forms of SSIM: what golden cases do not hold. */
#include <tessera/statistics.h>

#include "golden_pair.h"
#include "metrics/matrix64.h"
#include "metrics/metric.h"
#include "metrics/judges/inception.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect(tsr_context *ctx, tsr_status got, tsr_status status, const char *text) {
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), text), "%d: %s", got, tsr_detail(ctx));
}

/* The distance from factors is that from statistics, on both sides of the Jacobi limit. */
START_TEST(frechet_forms_agree) {
    tsr_context *ctx;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (int d = 20; d <= 200; d += 180) {
        const int n = 2 * d + 3, m = d + 40;
        float *a = malloc((size_t)(n * d) * sizeof *a), *b = malloc((size_t)(m * d) * sizeof *b);
        double *s = malloc((size_t)(2 * d * d + 2 * d) * sizeof *s);
        double *ca = s, *cb = s + d * d, *ma = s + 2 * d * d, *mb = ma + d;
        for (int i = 0; i < n * d; ++i)
            a[i] = random_normal() * (float)(1 + i % d) / (float)d;
        for (int i = 0; i < m * d; ++i)
            b[i] = random_normal() + 0.5f;
        tsr_frechet f, g, same;
        const uint64_t rows_a = (uint64_t)n, rows_b = (uint64_t)m, columns = (uint64_t)d;
        ck_assert_int_eq(tsr_frechet_distance(ctx, a, rows_a, b, rows_b, columns, &f), TSR_OK);
        ck_assert_int_eq(tsr_feature_statistics(ctx, a, rows_a, columns, ma, ca), TSR_OK);
        ck_assert_int_eq(tsr_feature_statistics(ctx, b, rows_b, columns, mb, cb), TSR_OK);
        ck_assert_int_eq(tsr_frechet_statistics(ctx, ma, ca, rows_a, mb, cb, rows_b, columns, &g),
                         TSR_OK);
        ck_assert_double_eq_tol(f.distance, g.distance, 1e-9 * (f.trace1 + f.trace2));
        ck_assert(f.biased && f.distance > 0);
        ck_assert_int_eq(tsr_frechet_distance(ctx, a, rows_a, a, rows_a, columns, &same), TSR_OK);
        ck_assert(same.distance < 1e-9 * same.trace1);
        free(a);
        free(b);
        free(s);
    }
    tsr_context_close(&ctx);
}
END_TEST

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Eigenvalues of a known matrix: 2 on the diagonal, -1 beside it. */
START_TEST(eigenvalues) {
    enum { N = 90 };
    tsr_context *ctx;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    double *s = calloc(N * N, sizeof *s), values[N], sum = 0, squares = 0;
    for (int i = 0; i < N; ++i) {
        s[i * N + i] = 2;
        if (i) s[i * N + i - 1] = s[(i - 1) * N + i] = -1;
    }
    ck_assert_int_eq(tsr_matrix64_eigenvalues(ctx, s, N, values), TSR_OK);
    for (int i = 0; i < N; ++i) {
        double nearest = 9;
        for (int k = 1; k <= N; ++k)
            nearest = fmin(nearest, fabs(values[i] - 2 + 2 * cos(k * acos(-1) / (N + 1))));
        ck_assert(nearest < 1e-12);
        sum += values[i];
        squares += values[i] * values[i];
    }
    ck_assert_double_eq_tol(sum, 2.0 * N, 1e-10);
    ck_assert_double_eq_tol(squares, 4.0 * N + 2.0 * (N - 1), 1e-9);
    free(s);
    tsr_context_close(&ctx);
}
END_TEST

/* Eigenvalues that are known because the matrix was made of them: reflections on both sides of a
 * diagonal. Sizes at and around the width of the band and its multiples; the same to the bit for
 * every number of threads. */
START_TEST(dense_eigenvalues) {
    static const int sizes[] = {1, 2, 3, 31, 32, 33, 34, 63, 64, 65, 97, 200, 301};
    for (size_t at = 0; at < sizeof sizes / sizeof *sizes; ++at) {
        const int n = sizes[at];
        const size_t whole = (size_t)(n * n);
        double *s = calloc(whole, sizeof *s), *copy = malloc(whole * sizeof *s);
        double *u = malloc((size_t)n * sizeof *u), *first = malloc((size_t)n * sizeof *u);
        double *values = malloc((size_t)n * sizeof *values), *p = malloc((size_t)n * sizeof *p);
        for (int i = 0; i < n; ++i)
            s[i * n + i] = i % 7 ? (i % 5 - 1) * 0.75 : 1e-9 * i; /* several times the same one */
        for (int round = 0; round < 4; ++round) {
            double square = 0, dot = 0;
            for (int i = 0; i < n; ++i) {
                u[i] = (double)random_normal();
                square += u[i] * u[i];
            }
            for (int i = 0; i < n; ++i) {
                p[i] = 0;
                for (int j = 0; j < n; ++j)
                    p[i] += s[i * n + j] * u[j] * 2 / square;
                dot += p[i] * u[i] / square;
            }
            for (int i = 0; i < n; ++i)
                for (int j = 0; j < n; ++j)
                    s[i * n + j] -= p[i] * u[j] + u[i] * p[j] - 2 * dot * u[i] * u[j];
        }
        for (int threads = 1; threads <= 3; ++threads) {
            tsr_context *ctx = NULL;
            tsr_context_settings settings = tsr_context_settings_default();
            settings.threads = threads;
            ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
            memcpy(copy, s, whole * sizeof *s);
            ck_assert_msg(!tsr_matrix64_eigenvalues(ctx, copy, n, values), "%d: %s", n,
                          tsr_detail(ctx));
            if (threads == 1) memcpy(first, values, (size_t)n * sizeof *values);
            ck_assert(!memcmp(first, values, (size_t)n * sizeof *values));
            tsr_context_close(&ctx);
        }
        qsort(values, (size_t)n, sizeof *values, by_size);
        for (int i = 0; i < n; ++i)
            u[i] = i % 7 ? (i % 5 - 1) * 0.75 : 1e-9 * i;
        qsort(u, (size_t)n, sizeof *u, by_size);
        for (int i = 0; i < n; ++i)
            ck_assert_msg(fabs(values[i] - u[i]) < 1e-13 * n, "%d: value %d: %.17g, %.17g", n, i,
                          values[i], u[i]);
        free(s), free(copy), free(u), free(first), free(values), free(p);
    }
}
END_TEST

START_TEST(refuses_sets) {
    tsr_context *ctx;
    float x[40];
    tsr_frechet f;
    tsr_spread s;
    tsr_precision_recall p;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    random_normals(x, 40);
    expect(ctx, tsr_frechet_distance(ctx, x, 1, x, 10, 4, &f), TSR_ERROR_ARGUMENT,
           "wanted at least 2 rows");
    expect(ctx, tsr_kid(ctx, x, 10, x, 10, 4, 2, 11, 2020, &s, NULL, NULL), TSR_ERROR_ARGUMENT,
           "wanted 2 to 10 rows, got 11");
    expect(ctx, tsr_inception_score(ctx, x, 4, 10, 0, 2020, &s, NULL, NULL), TSR_ERROR_ARGUMENT,
           "wanted at least 10 rows for as many parts, got 4");
    expect(ctx, tsr_precision_recall_measure(ctx, x, 3, x, 10, 4, 0, &p, NULL, NULL),
           TSR_ERROR_ARGUMENT, "wanted more than 3 rows in both sets, got 3 and 10");
    x[17] = NAN;
    expect(ctx, tsr_frechet_distance(ctx, x, 10, x, 10, 4, &f), TSR_ERROR_MODEL,
           "row 4: wanted finite features");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(structures) {
    enum { SIDE = 176 };
    tsr_context *ctx;
    tsr_structure s;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    uint8_t *a = malloc(SIDE * SIDE * 3);
    for (int i = 0; i < SIDE * SIDE * 3; ++i)
        a[i] = (uint8_t)random_below(256);
    ck_assert_int_eq(tsr_structure_measure(ctx, a, a, SIDE, SIDE, &s), TSR_OK);
    ck_assert(s.ssim_gaussian == 1 && s.ssim_torchmetrics == 1); /* equal pictures */
    ck_assert_double_eq_tol(s.ms_ssim_piq, 1, 1e-15);
    ck_assert_double_eq_tol(s.ms_ssim_torchmetrics, 1, 1e-15);
    ck_assert_int_eq(tsr_structure_measure(ctx, a, a, SIDE, 170, &s), TSR_OK);
    ck_assert(isnan(s.ms_ssim_torchmetrics) && !isnan(s.ms_ssim_piq));
    ck_assert_int_eq(tsr_structure_measure(ctx, a, a, 8, 8, &s), TSR_OK);
    ck_assert(isnan(s.ms_ssim_piq) && isnan(s.ssim_gaussian) && s.ssim_torchmetrics == 1);
    ck_assert_int_eq(tsr_structure_measure(ctx, a, a, 5, 8, &s), TSR_OK);
    ck_assert(isnan(s.ssim_torchmetrics));
    /* SSIM over the plain picture is that beside the other forms, to the bit: bands of 64 rows, and
     * what is left of them. */
    uint8_t *b = malloc(SIDE * SIDE * 3);
    for (int i = 0; i < SIDE * SIDE * 3; ++i)
        b[i] = (uint8_t)(a[i] / 2 + random_below(128));
    static const int heights[] = {11, 12, 74, 75, 76, 138, 139, SIDE};
    for (size_t i = 0; i < sizeof heights / sizeof *heights; ++i) {
        double plain;
        const int width = SIDE - 3 * (int)i;
        ck_assert_int_eq(tsr_ssim_gaussian(ctx, a, b, width, heights[i], &plain), TSR_OK);
        ck_assert_int_eq(tsr_structure_measure(ctx, a, b, width, heights[i], &s), TSR_OK);
        ck_assert_msg(plain == s.ssim_gaussian, "%d x %d: %.17g, %.17g", width, heights[i], plain,
                      s.ssim_gaussian);
    }
    free(b);
    const double mse[3] = {0, 65.025, 0};
    const uint64_t pixels[3] = {10, 20, 10};
    ck_assert_double_eq_tol(tsr_psnr_pooled(mse, pixels, 3), 10 * log10(2000), 1e-12);
    ck_assert(isinf(tsr_psnr_pooled(mse, pixels, 1)) && isnan(tsr_psnr_pooled(mse, pixels, 0)));
    free(a);
    tsr_context_close(&ctx);
}
END_TEST

/* What other programs say of the golden pair (scikit-image 0.19, piq, torchmetrics), to the digits
 * that are written down. */
START_TEST(known_table) {
    static const struct {
        const char *metric;
        double value[2], within; /* at sides 256 and 512; NaN: not written down */
    } rows[] = {
        {"mse", {42.9073893229, 42.9986775716}, 1e-10},
        {"psnr", {31.8054826995, 31.7962526185}, 1e-10},
        {"psnr_piq", {31.8054168838, 31.7961869426}, 1e-10},
        {"psnr_luma", {37.266879, 37.265286}, 5e-7},
        {"ssim", {0.8453629304, 0.8431423807}, 1e-10},
        {"ssim_uniform", {0.8299736114, 0.8312177928}, 1e-10},
        {"ssim_sample", {0.8448389877, 0.8426151616}, 1e-10},
        {"ssim_piq", {0.8453629304, 0.9864376773}, 1e-10},
        {"ssim_range2", {0.9238, NAN}, 5e-5},
        {"ms_ssim_piq", {0.9882749650, 0.9879981662}, 1e-10},
        /* torchmetrics has its exponents in float32 */
        {"ssim_torchmetrics", {0.8384646657, 0.8398732554}, 1e-9},
        {"ms_ssim", {0.9882766325, 0.9879982381}, 1e-9},
        {"ms_ssim_cropped", {0.9882759111, 0.9879983591}, 1e-9},
    };
    tsr_context *ctx;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (int k = 0; k < 2; ++k) {
        const int side = 256 << k;
        uint8_t *a, *b;
        golden_pair(side, &a, &b);
        tsr_metric_pair pair = {.original = a, .candidate = b, .width = side, .height = side};
        for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
            const tsr_metric *m = tsr_metric_named(rows[i].metric);
            const char *why = NULL;
            double got = NAN;
            ck_assert_msg(m && m->measure, "%s: no such metric", rows[i].metric);
            ck_assert_int_eq(m->measure(ctx, &pair, &got, &why), TSR_OK);
            ck_assert_msg(isnan(rows[i].value[k]) || fabs(got - rows[i].value[k]) <= rows[i].within,
                          "%s at %d: wanted %.10f, got %.10f", rows[i].metric, side,
                          rows[i].value[k], got);
        }
        free(a), free(b);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* What Pillow 13.0 makes of each channel in its mode F by BICUBIC, cut to 0..255, as clean-fid
 * does: upwards, as it is, downwards, and both at once. Places are row, column, channel. */
START_TEST(clean_is_pillows) {
    static const int place[8][3] = {{0, 0, 0},   {0, 298, 1},   {298, 0, 2}, {298, 298, 0},
                                    {17, 91, 1}, {150, 149, 2}, {222, 7, 0}, {100, 201, 1}};
    static const struct {
        int width, height;
        double pixels, sum, squares, at[8];
    } rows[] = {
        {40,
         30,
         459444,
         34223417.537,
         5338828134.260,
         {0, 34.25404, 0, 6.68692, 192.62993, 190.45055, 183.18942, 116.18542}},
        {299, 299, 34252492, 34252492, 5839118174, {0, 121, 30, 212, 82, 227, 29, 180}},
        {511,
         350,
         68515618,
         34248297.311,
         4860280743.638,
         {0.90725, 100.63226, 87.33568, 147.17863, 98.95258, 99.41416, 137.86395, 204.10120}},
        {1000,
         77,
         29450236,
         34193645.016,
         4654129511.771,
         {4.16236, 106.02822, 164.26108, 156.63158, 115.51569, 109.46478, 181.85938, 139.94115}}};
    enum { SIDE = TSR_INCEPTION_SIDE, VALUES = SIDE * SIDE * 3 };
    tsr_context *ctx;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    float *x = malloc(VALUES * sizeof *x);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        const int w = rows[i].width, h = rows[i].height;
        uint8_t *rgb = malloc((size_t)(w * h * 3));
        double pixels = 0, sum = 0, squares = 0;
        for (int k = 0; k < w * h * 3; ++k) {
            const int c = k % 3, px = k / 3 % w, py = k / 3 / w;
            rgb[k] = (uint8_t)(px * px * 3 + py * py * 5 + px * py * 7 + c * 85 +
                               (px / 9 + py / 7) % 2 * 120);
            pixels += rgb[k];
        }
        ck_assert_double_eq(pixels, rows[i].pixels); /* the same picture */
        const tsr_picture p = {.rgb = rgb, .width = w, .height = h};
        ck_assert_int_eq(tsr_inception_prepare(ctx, &p, TSR_INCEPTION_CLEAN, x), TSR_OK);
        for (int k = 0; k < VALUES; ++k) {
            const double value = (double)x[k] * 128 + 128;
            sum += value;
            squares += value * value;
        }
        for (int k = 0; k < 8; ++k) {
            const int at = (place[k][0] * SIDE + place[k][1]) * 3 + place[k][2];
            ck_assert_double_eq_tol((double)x[at] * 128 + 128, rows[i].at[k], 1e-4);
        }
        ck_assert_double_eq_tol(sum, rows[i].sum, 1e-7 * sum);
        ck_assert_double_eq_tol(squares, rows[i].squares, 1e-7 * squares);
        free(rgb);
    }
    free(x);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(keeps_features) {
    tsr_context *ctx;
    char path[] = "/tmp/tessera-features-XXXXXX", hex[65];
    float *read = NULL, values[6] = {1, 2, 3, 4, 5, 6};
    uint8_t rgb[12] = {1, 2, 3};
    tsr_picture p = {.rgb = rgb, .width = 2, .height = 2};
    tsr_picture_digest *digest = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    close(mkstemp(path));
    tsr_feature_key key = {.judge = "inception", .output = "2048", .preparation = "tf1"};
    strcpy(key.device, "cpu");
    key.weights = 0x1234;
    key.rows = 2;
    key.columns = 3;
    for (int i = 0; i < 2; ++i)
        ck_assert_int_eq(tsr_picture_digest_add(ctx, &digest, &p), TSR_OK);
    tsr_picture_digest_end(&digest, key.pictures);
    ck_assert(strlen(key.pictures) == 64 && !digest);
    ck_assert_int_eq(tsr_feature_cache_write(ctx, path, &key, values), TSR_OK);
    ck_assert_int_eq(tsr_feature_cache_read(ctx, path, &key, &read), TSR_OK);
    ck_assert(!memcmp(read, values, sizeof values));
    free(read);
    p.width = 1; /* other pictures: the same bytes in another shape */
    p.height = 4;
    for (int i = 0; i < 2; ++i)
        ck_assert_int_eq(tsr_picture_digest_add(ctx, &digest, &p), TSR_OK);
    tsr_picture_digest_end(&digest, hex);
    tsr_feature_key other = key;
    strcpy(other.pictures, hex);
    expect(ctx, tsr_feature_cache_read(ctx, path, &other, &read), TSR_ERROR_STATE,
           "tessera.features.pictures: wanted ");
    other = key;
    strcpy(other.preparation, "torch");
    expect(ctx, tsr_feature_cache_read(ctx, path, &other, &read), TSR_ERROR_STATE,
           "tessera.features.preparation: wanted torch, got tf1");
    expect(
        ctx,
        tsr_feature_cache_read(ctx, TESSERA_TESTS "/../models/mosaic-64.safetensors", &key, &read),
        TSR_ERROR_FORMAT, "wanted features of a judge, got other data");
    ck_assert_ptr_null(read);
    remove(path);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("statistics", clean_is_pillows, frechet_forms_agree, eigenvalues, dense_eigenvalues,
          refuses_sets, structures, known_table, keeps_features)
