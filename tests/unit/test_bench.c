/* SPDX-License-Identifier: MIT */
/* Benchmark rows: what a row holds, order of its statistics, and that a failing body is a row with
 * an error and a failing call, while rows beside it still run. */
#include "bench/bench.h"
#include "testing.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct rows {
    cJSON *row[256];
    int count;
} rows;

static void collect(void *user, const char *json) {
    rows *r = user;
    ck_assert_int_lt(r->count, 256);
    ck_assert_ptr_null(strchr(json, '\n'));
    r->row[r->count] = cJSON_Parse(json);
    ck_assert_ptr_nonnull(r->row[r->count]);
    r->count++;
}

static void rows_free(rows *r) {
    for (int i = 0; i < r->count; ++i)
        cJSON_Delete(r->row[i]);
    r->count = 0;
}

static const char *text(const cJSON *row, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

static double number(const cJSON *row, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static tsr_context *open_context(void) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    return ctx;
}

START_TEST(row_of_an_op) {
    tsr_context *ctx = open_context();
    rows r = {0};
    tsr_bench_settings settings = {.device = "cpu", .filter = "pointwise gelu", .seconds = 1e-3};
    ck_assert_msg(tsr_bench(ctx, &settings, collect, &r) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_int_eq(r.count, 2); /* ours and the reference */
    for (int i = 0; i < r.count; ++i) {
        const cJSON *row = r.row[i];
        ck_assert_str_eq(text(row, "name"), "pointwise gelu 1024x768");
        ck_assert_str_eq(text(row, "by"), i ? "reference" : "tessera");
        ck_assert_str_eq(text(row, "device"), "cpu");
        ck_assert_str_eq(text(row, "dtype"), "f32");
        ck_assert_str_eq(text(row, "version"), tsr_version());
        ck_assert_str_ne(text(row, "commit"), "");
        ck_assert(number(row, "n") >= 3);
        ck_assert(number(row, "min_ms") > 0);
        ck_assert(number(row, "min_ms") <= number(row, "median_ms"));
        ck_assert(number(row, "median_ms") <= number(row, "p95_ms"));
        /* 2 x 1024 x 768 floats cross in the median time. */
        double gbs = 2.0 * 1024 * 768 * 4 / (number(row, "median_ms") * 1e-3) * 1e-9;
        ck_assert(fabs(number(row, "gbs") / gbs - 1) < 1e-6);
        ck_assert(number(row, "peak_share") > 0);
        ck_assert(number(row, "peak_rss_bytes") > 1 << 20);
    }
    rows_free(&r);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(filter_and_device) {
    tsr_context *ctx = open_context();
    rows r = {0};
    tsr_bench_settings settings = {.device = "cpu", .filter = "no such row", .seconds = 1e-3};
    ck_assert_int_eq(tsr_bench(ctx, &settings, collect, &r), TSR_OK);
    ck_assert_int_eq(r.count, 0);
    settings.device = "abacus";
    ck_assert_int_eq(tsr_bench(ctx, &settings, collect, &r), TSR_ERROR_NO_DEVICE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "abacus"));
    ck_assert_int_eq(tsr_bench(ctx, &settings, NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_bench(NULL, &settings, collect, &r), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

typedef struct counted {
    tsr_context *ctx;
    int calls, fail_at;
    long nanoseconds;
    double took[64]; /* of each call, ms */
} counted;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static tsr_status counted_body(void *arg) {
    counted *c = arg;
    if (++c->calls == c->fail_at)
        return tsr_fail(c->ctx, TSR_ERROR_DEVICE, "body: wanted luck, got none");
    struct timespec t = {.tv_nsec = c->nanoseconds};
    double start = now_ms();
    nanosleep(&t, NULL);
    if (c->calls <= 64) c->took[c->calls - 1] = now_ms() - start;
    return TSR_OK;
}

START_TEST(timing_of_a_known_sleep) {
    tsr_context *ctx = open_context();
    rows r = {0};
    tsr_bencher b = {.ctx = ctx,
                     .row = collect,
                     .user = &r,
                     .settings = {.seconds = 1e-3},
                     .peaks = {.gflops = 10, .gbs = 1}};
    counted c = {.ctx = ctx, .nanoseconds = 2000000};
    tsr_bench_row row = {.name = "sleep", .by = "test", .flops = 4e6, .bytes = 1e6, .items = 2};
    ck_assert_int_eq(tsr_bench_time(&b, &row, counted_body, &c), TSR_OK);
    ck_assert_int_eq(r.count, 1);
    ck_assert_int_ge((int)number(r.row[0], "n"), 10);
    /* Of one item, which is half a call; the first two calls are setup and warm-up. */
    double median = number(r.row[0], "median_ms"), low = number(r.row[0], "min_ms");
    ck_assert(c.calls > 2 && c.calls <= 64);
    qsort(c.took + 2, (size_t)c.calls - 2, sizeof *c.took, ascending);
    int n = c.calls - 2;
    double want = 0.5 * (c.took[2 + (n - 1) / 2] + c.took[2 + n / 2]);
    ck_assert_msg(fabs(2 * median - want) < 0.2 * want, "median %g, want %g", 2 * median, want);
    ck_assert_msg(fabs(2 * low - c.took[2]) < 0.2 * want, "min %g, want %g", 2 * low, c.took[2]);
    ck_assert(fabs(number(r.row[0], "gflops") * median / 4 - 1) < 1e-6);
    ck_assert_str_eq(text(r.row[0], "bound"), "memory"); /* 1/1 GB/s against 4/10 GFLOP/s */
    ck_assert(fabs(number(r.row[0], "peak_share") - number(r.row[0], "gbs")) < 1e-9);
    rows_free(&r);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(failing_body) {
    tsr_context *ctx = open_context();
    for (int at = 1; at <= 5; at += 2) { /* in setup, and among the samples */
        rows r = {0};
        tsr_bencher b = {.ctx = ctx, .row = collect, .user = &r, .settings = {.seconds = 1e-3}};
        counted c = {.ctx = ctx, .fail_at = at, .nanoseconds = 200000};
        tsr_bench_row row = {.name = "unlucky", .by = "test"};
        ck_assert_int_eq(tsr_bench_time(&b, &row, counted_body, &c), TSR_OK);
        ck_assert_int_eq(r.count, 1);
        ck_assert_str_eq(text(r.row[0], "error"), "body: wanted luck, got none");
        ck_assert(isnan(number(r.row[0], "median_ms")));
        ck_assert_int_eq(b.first_failure, TSR_ERROR_DEVICE);
        ck_assert_str_eq(b.first_detail, "body: wanted luck, got none");
        rows_free(&r);
    }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(operands_repeat_and_fill_their_range) {
    tsr_context *ctx = open_context();
    float *a = tsr_bench_floats(ctx, 10000, 1), *b = tsr_bench_floats(ctx, 10000, 1);
    float *c = tsr_bench_floats(ctx, 10000, 2);
    ck_assert(a && b && c);
    ck_assert_int_eq(memcmp(a, b, 10000 * sizeof *a), 0);
    ck_assert_int_ne(memcmp(a, c, 10000 * sizeof *a), 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < 10000; ++i) {
        ck_assert(a[i] >= -1 && a[i] < 1);
        sum += a[i], squares += (double)a[i] * a[i];
    }
    ck_assert(fabs(sum / 10000) < 0.03); /* mean 0, variance 1/3 */
    ck_assert(fabs(squares / 10000 - 1.0 / 3) < 0.02);
    free(a), free(b), free(c);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("bench", row_of_an_op, filter_and_device, timing_of_a_known_sleep, failing_body,
          operands_repeat_and_fill_their_range)
