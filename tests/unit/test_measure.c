/* SPDX-License-Identifier: MIT */
/* test_measure.c: many pictures against candidates: summaries, intervals, laws, and reports that
 * are written and read back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tessera/measure.h>

#include "testing.h"

enum { SIDE = 24, PICTURES = 6 };
static char place[64];

static void write_ppm(const char *folder, int index, int noise) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s/%d.ppm", place, folder, index);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "P6\n%d %d\n255\n", SIDE, SIDE);
    for (int i = 0; i < SIDE * SIDE * 3; ++i)
        fputc((i * 7 + index * 31) % 200 + 20 + (noise ? (i * 13 + index) % (2 * noise + 1) : 0),
              f);
    ck_assert_int_eq(fclose(f), 0);
}

static void make_pictures(void) {
    snprintf(place, sizeof place, "/tmp/tessera-measure-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    static const char *const folders[] = {"a", "b"};
    for (int side = 0; side < 2; ++side) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", place, folders[side]);
        ck_assert_int_eq(mkdir(path, 0777), 0);
        for (int i = 0; i < PICTURES; ++i)
            write_ppm(folders[side], i, side ? i : 0); /* picture 0 is equal */
    }
}

static void remove_pictures(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", place);
    ck_assert_int_eq(system(command), 0);
}

static tsr_measurement *measure(tsr_context *ctx, tsr_originals *o, uint64_t seed) {
    static const char *const metrics[] = {"psnr", "l1", "ms_ssim", "psnr_pooled"};
    char path[128];
    snprintf(path, sizeof path, "%s/b", place);
    const tsr_candidate c = {.path = path};
    const tsr_measure_settings s = {.metrics = metrics, .metric_count = 4, .seed = seed};
    tsr_measurement *m = NULL;
    ck_assert_msg(!tsr_measure(ctx, o, &c, &s, &m), "%s", tsr_detail(ctx));
    return m;
}

/* Two pictures are drawn as 00, 01 or 10, and 11: a quarter, a half and a quarter of all samples.
 */
START_TEST(bootstrap) {
    tsr_context *c = NULL;
    const double sums[] = {0, 10, 3, 4}, weights[] = {1, 9, 1, 1};
    double low, high, plain[2];
    ck_assert_int_eq(tsr_context_open(&c, NULL), TSR_OK);
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, weights, 2, 0, 0, &low, &high), TSR_OK);
    ck_assert(low == 0 && high == 20.0 / 18);
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, NULL, 4, 7, 100, plain, plain + 1), TSR_OK);
    const double ones[] = {1, 1, 1, 1};
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, ones, 4, 7, 100, &low, &high), TSR_OK);
    ck_assert(low == plain[0] && high == plain[1] && low < 17.0 / 4 && high > 17.0 / 4);
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, weights, 1, 0, 0, &low, &high), TSR_OK);
    ck_assert(isnan(low) && isnan(high));
    const double none[] = {1, 0};
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, none, 2, 0, 0, &low, &high),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(c), "group 1: wanted a finite sum and a weight"));
    ck_assert_int_eq(tsr_bootstrap_interval(c, sums, NULL, 2, 0, 2000000, &low, &high),
                     TSR_ERROR_ARGUMENT);
    tsr_context_close(&c);
}
END_TEST

START_TEST(summaries) {
    make_pictures();
    char path[128];
    snprintf(path, sizeof path, "%s/a", place);
    tsr_summary psnr[2], l1, none;
    tsr_set_score pooled;
    for (int run = 0; run < 2; ++run) { /* 1 thread, 3 threads: the same */
        tsr_context *ctx = NULL;
        tsr_context_settings settings = tsr_context_settings_default();
        settings.threads = run ? 3 : 1;
        ck_assert(!tsr_context_open(&ctx, &settings));
        tsr_originals *o = NULL;
        ck_assert_msg(!tsr_originals_open(ctx, path, &o), "%s", tsr_detail(ctx));
        ck_assert_uint_eq(tsr_originals_count(o), PICTURES);
        ck_assert_str_eq(tsr_originals_name(o, 0), "0.ppm");
        tsr_measurement *m = measure(ctx, o, 0);
        ck_assert(!tsr_measurement_summary(m, "psnr", &psnr[run]));
        ck_assert(!tsr_measurement_summary(m, "l1", &l1));
        ck_assert(!tsr_measurement_summary(m, "ms_ssim", &none));
        ck_assert(!tsr_measurement_set(m, "psnr_pooled", &pooled));
        ck_assert_int_eq(tsr_measurement_set(m, "psnr", &pooled), TSR_ERROR_ARGUMENT);
        ck_assert_int_eq(tsr_measurement_summary(m, "ssim", &none), TSR_ERROR_NOT_FOUND);
        const char *why = NULL;
        ck_assert(isnan(tsr_measurement_value(m, "ms_ssim", 0, &why)));
        ck_assert_str_eq(why, "a side is below 176 pixels");
        tsr_measurement_close(&m);
        tsr_originals_close(&o);
        tsr_context_close(&ctx);
    }
    ck_assert_int_eq(memcmp(&psnr[0], &psnr[1], sizeof psnr[0]), 0);
    ck_assert_uint_eq(psnr[0].count, PICTURES - 1); /* the equal one is infinite */
    ck_assert_uint_eq(psnr[0].infinite, 1);
    ck_assert_uint_eq(psnr[0].worst, PICTURES - 1);
    ck_assert_double_gt(psnr[0].low, psnr[0].worst_value);
    ck_assert(psnr[0].low < psnr[0].mean && psnr[0].mean < psnr[0].high);
    ck_assert_uint_eq(l1.count, PICTURES);
    ck_assert_uint_eq(pooled.count, PICTURES);
    ck_assert(pooled.value < psnr[0].mean); /* large errors weigh more, and so does no error */
    ck_assert_uint_eq(none.count, 0);
    remove_pictures();
}
END_TEST

START_TEST(written_and_read) {
    make_pictures();
    char path[128];
    snprintf(path, sizeof path, "%s/a", place);
    tsr_context *ctx = NULL;
    ck_assert(!tsr_context_open(&ctx, NULL));
    tsr_originals *o = NULL;
    ck_assert(!tsr_originals_open(ctx, path, &o));
    tsr_report *report = NULL, *again = NULL;
    ck_assert(!tsr_report_open(ctx, o, path, NULL, &report));
    tsr_measurement *m = measure(ctx, o, 5);
    static const char *const command[] = {"tessera", "eval"};
    ck_assert(!tsr_report_add(report, &m, command, 2));
    ck_assert_ptr_null(m);
    ck_assert(!tsr_report_attach(report, 0, "codes", "{\"used\": 3}"));
    ck_assert_int_eq(tsr_report_attach(report, 0, "codes", "{"), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_report_attach(report, 1, "codes", "{}"), TSR_ERROR_ARGUMENT);
    char *json = NULL, *second = NULL;
    ck_assert(!tsr_report_json(report, &json));
    ck_assert_msg(!tsr_report_parse(ctx, "report", json, strlen(json), &again), "%s",
                  tsr_detail(ctx));
    ck_assert(!tsr_report_json(again, &second));
    ck_assert_uint_eq(tsr_report_hash(again), tsr_report_hash(report));
    ck_assert_uint_eq(tsr_report_originals(again), PICTURES);
    tsr_summary a, b;
    ck_assert(!tsr_measurement_summary(tsr_report_candidate(report, 0), "l1", &a));
    ck_assert(!tsr_measurement_summary(tsr_report_candidate(again, 0), "l1", &b));
    ck_assert_double_eq(a.mean, b.mean);
    ck_assert_double_eq(a.low, b.low);
    ck_assert_uint_eq(a.worst, b.worst);
    ck_assert_ptr_nonnull(strstr(second, "\"used\":"));
    /* Cut anywhere it is refused, and never taken for a report. */
    for (size_t n = 0; n < strlen(json) - 2; n += 97) {
        tsr_report *cut = NULL;
        ck_assert(tsr_report_parse(ctx, "report", json, n, &cut));
        ck_assert_ptr_null(cut);
    }
    static const char *const bad[] = {
        "[]", "{\"schema\": \"tessera.report/1\"}", "{\"schema\": \"tessera.report/2\"}",
        "{\"schema\": \"tessera.report/1\", \"candidates\": [{}], \"pictures\": [], \"originals\": "
        "{\"count\": 1e9}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        tsr_report *none = NULL;
        ck_assert(tsr_report_parse(ctx, "report", bad[i], strlen(bad[i]), &none));
        ck_assert_ptr_null(none);
    }
    free(json);
    free(second);
    tsr_report_close(&report);
    tsr_report_close(&again);
    tsr_originals_close(&o);
    tsr_context_close(&ctx);
    remove_pictures();
}
END_TEST

/* A report as text, with l1 = 0.5 * tokens^-0.75 + 0.02 for each of four numbers of tokens. */
static char *lawful_report(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    fputs("{\"schema\": \"tessera.report/1\", \"seed\": 1, \"originals\": {\"count\": 2}, "
          "\"candidates\": [",
          f);
    for (int c = 0; c < 4; ++c)
        fprintf(f,
                "%s{\"name\": \"%d\", \"kind\": \"tokenizer\", \"series\": \"s\", \"summary\": "
                "{\"l1\": {}}}",
                c ? ", " : "", c);
    fputs("], \"pictures\": [", f);
    for (int p = 0; p < 2; ++p) {
        fprintf(f, "%s{\"name\": \"%d\", \"values\": [", p ? ", " : "", p);
        for (int c = 0; c < 4; ++c) {
            const int tokens = 8 << c;
            fprintf(f, "%s{\"candidate\": %d, \"status\": \"ok\", \"tokens\": %d, \"l1\": %.17g}",
                    c ? ", " : "", c, tokens, 0.5 * pow(tokens, -0.75) + 0.02 + (p ? 0.01 : -0.01));
        }
        fputs("]}", f);
    }
    fputs("]}", f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

START_TEST(laws) {
    tsr_context *ctx = NULL;
    ck_assert(!tsr_context_open(&ctx, NULL));
    char *text = lawful_report();
    tsr_report *report = NULL;
    ck_assert_msg(!tsr_report_parse(ctx, "law", text, strlen(text), &report), "%s",
                  tsr_detail(ctx));
    tsr_law law;
    ck_assert(!tsr_report_law(report, "l1", &(tsr_law_settings){.series = "s"}, &law));
    ck_assert_int_eq(law.points, 4);
    ck_assert_double_eq_tol(law.a, 0.5, 1e-6);
    ck_assert_double_eq_tol(law.b, 0.75, 1e-6);
    ck_assert_double_eq_tol(law.d, 0.02, 1e-6);
    ck_assert_double_eq_tol(law.d_low, 0.01, 1e-6); /* one picture twice */
    ck_assert_double_eq_tol(law.d_high, 0.03, 1e-6);
    ck_assert_double_eq_tol(tsr_law_at(&law, 16), 0.5 * pow(16, -0.75) + 0.02, 1e-9);
    ck_assert_int_eq(tsr_report_law(report, "psnr", NULL, &law), TSR_ERROR_NOT_FOUND);
    tsr_fewest fewest[2];
    ck_assert(
        !tsr_report_fewest(report, "l1", "s", 0, 0.0825, fewest)); /* picture 1: 0.0925 at 16 */
    ck_assert_uint_eq(fewest[0].tokens, 16);
    ck_assert_uint_eq(fewest[1].tokens, 32);
    ck_assert(!tsr_report_fewest(report, "l1", NULL, 1, 1e-9, fewest));
    ck_assert_uint_eq(fewest[0].tokens, 64);
    ck_assert(!tsr_report_fewest(report, "l1", NULL, 0, 0.001, fewest));
    ck_assert_int_eq(fewest[0].candidate, -1);
    tsr_report_close(&report);
    free(text);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("measure", bootstrap, summaries, written_and_read, laws)
