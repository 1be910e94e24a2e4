/* SPDX-License-Identifier: MIT */
/* Benchmark rows: what a row holds, order of its statistics, and that a failing body is a row with
 * an error and a failing call, while rows beside it still run. */
#include "bench/bench.h"
#include "testing.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Nanoseconds of a clock that only a test's body moves; negative: the machine's own clock. What a
 * sleep takes is the machine's business, so a test that compares times needs its own. */
static int64_t made_up_time = -1;

/* Stands before libc's for the whole program. */
int clock_gettime(clockid_t clock, struct timespec *t) {
    if (made_up_time < 0) {
        static int (*real)(clockid_t, struct timespec *);
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
        return real(clock, t);
    }
    t->tv_sec = made_up_time / 1000000000;
    t->tv_nsec = made_up_time % 1000000000;
    return 0;
}

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

static int no_more(void *user, const char *what, uint64_t done, uint64_t total) {
    ck_assert_str_eq(what, "rows");
    ck_assert_uint_eq(done, 1);
    ck_assert_uint_eq(total, 0);
    return *(int *)user;
}

START_TEST(stopped_between_rows) {
    tsr_context *ctx = open_context();
    rows r = {0};
    int stop = 1;
    tsr_bench_settings settings = {.device = "cpu",
                                   .filter = "pointwise gelu",
                                   .seconds = 1e-3,
                                   .progress = no_more,
                                   .progress_user = &stop};
    ck_assert_int_eq(tsr_bench(ctx, &settings, collect, &r), TSR_ERROR_INTERRUPTED);
    ck_assert_int_eq(r.count, 1); /* of two, whole */
    ck_assert(number(r.row[0], "min_ms") > 0);
    rows_free(&r);
    tsr_context_close(&ctx);
}
END_TEST

typedef struct counted {
    tsr_context *ctx;
    int calls, fail_at;
} counted;

/* What a call takes on the made-up clock. The first two are setup and warm-up; from the third on
 * 29, 36, 43, 9, 16, 23, 30, 37, 44, 10 ... ms: no statistic stands where it was measured, and no
 * two of 41 are equal. */
static int64_t milliseconds_of(int call) {
    return call == 1 ? 500 : call == 2 ? 40 : 5 + (call * 7 + 3) % 41;
}

static tsr_status counted_body(void *arg) {
    counted *c = arg;
    if (++c->calls == c->fail_at)
        return tsr_fail(c->ctx, TSR_ERROR_DEVICE, "body: wanted luck, got none");
    made_up_time += milliseconds_of(c->calls) * 1000000;
    return TSR_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Two items a call, so that a time is half a call's. `seconds`: how long the row may be measured;
 * `samples`: how many calls that is. */
static void time_a_row(double seconds, int samples) {
    tsr_context *ctx = open_context();
    rows r = {0};
    tsr_bencher b = {.ctx = ctx,
                     .row = collect,
                     .user = &r,
                     .settings = {.seconds = seconds},
                     .peaks = {.gflops = 10, .gbs = 1}};
    counted c = {.ctx = ctx};
    double took[64], of_one_item = 0;
    tsr_bench_row row = {.name = "steps",
                         .by = "test",
                         .flops = 4e6,
                         .bytes = 1e6,
                         .items = 2,
                         .median = &of_one_item};
    made_up_time = 0;
    ck_assert_int_eq(tsr_bench_time(&b, &row, counted_body, &c), TSR_OK);
    made_up_time = -1;
    ck_assert_int_eq(r.count, 1);
    ck_assert_int_eq(c.calls, 2 + samples);
    ck_assert_int_eq((int)number(r.row[0], "n"), samples);
    for (int i = 0; i < samples; ++i)
        took[i] = 0.5 * (double)milliseconds_of(3 + i);
    qsort(took, (size_t)samples, sizeof *took, ascending);
    const double median = 0.5 * (took[(samples - 1) / 2] + took[samples / 2]);
    const double last = took[(95 * samples + 99) / 100 - 1];
    ck_assert_double_eq_tol(number(r.row[0], "min_ms"), took[0], 1e-9);
    ck_assert_double_eq_tol(number(r.row[0], "median_ms"), median, 1e-9);
    ck_assert_double_eq_tol(number(r.row[0], "p95_ms"), last, 1e-9);
    ck_assert_double_eq_tol(number(r.row[0], "setup_ms"), 500, 1e-9);
    ck_assert_double_eq_tol(of_one_item, median * 1e-3, 1e-12);
    ck_assert_double_eq_tol(number(r.row[0], "gflops"), 4 / median, 1e-9);
    ck_assert_double_eq_tol(number(r.row[0], "gbs"), 1 / median, 1e-9);
    ck_assert_str_eq(text(r.row[0], "bound"), "memory"); /* 1/1 GB/s against 4/10 GFLOP/s */
    ck_assert_double_eq_tol(number(r.row[0], "peak_share"), 1 / median, 1e-9);
    rows_free(&r);
    tsr_context_close(&ctx);
}

START_TEST(statistics_of_known_times) {
    time_a_row(1e-3, 10); /* never fewer than ten */
    time_a_row(0.63, 25); /* until the time is over: 619 ms after 24 of them */
}
END_TEST

START_TEST(failing_body) {
    tsr_context *ctx = open_context();
    for (int at = 1; at <= 5; at += 2) { /* in setup, and among the samples */
        rows r = {0};
        tsr_bencher b = {.ctx = ctx, .row = collect, .user = &r, .settings = {.seconds = 1e-3}};
        counted c = {.ctx = ctx, .fail_at = at};
        tsr_bench_row row = {.name = "unlucky", .by = "test"};
        made_up_time = 0;
        ck_assert_int_eq(tsr_bench_time(&b, &row, counted_body, &c), TSR_OK);
        made_up_time = -1;
        ck_assert_int_eq(r.count, 1);
        ck_assert_int_eq(c.calls, at);
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

TEST_MAIN("bench", row_of_an_op, filter_and_device, stopped_between_rows, statistics_of_known_times,
          failing_body, operands_repeat_and_fill_their_range)
