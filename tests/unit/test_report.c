/* SPDX-License-Identifier: MIT */
/* Reports as pages: what report.json must be, which mistake is told how, and that no text of it
 * becomes markup; plots as SVG. */
#include <math.h>
#include <stdlib.h>
#include "testing.h"
#include "tools/html_out.c"
#include "tools/plot_pen.c"
#include "tools/plot_svg.c"
#include "tools/report_data.c"
#include "tools/report_fields.c"
#include "tools/report_plots.c"
#include "tools/report_tables.c"

#define HEAD    "{\"schema\":\"tessera.report/1\""
#define METRICS "\"metrics\":[{\"name\":\"psnr\",\"better\":\"higher\"}]"

static report_data *read_text(const char *text, char error[1200]) {
    return report_data_read(text, strlen(text), error, 1200);
}

START_TEST(mistakes_are_named) {
    static const char *const cases[][2] = {
        {"", "no JSON from byte 0 of 0 on: it ends in the middle"},
        {"{\"schema\"", "no JSON from byte 8 of 9 on: it ends in the middle"},
        {"[]", "the document: wanted an object"},
        {"{}", "schema: wanted a text, got nothing"},
        {"{\"schema\":7}", "schema: wanted a text, got a number"},
        {"{\"schema\":\"other/1\"}", "schema: wanted \"tessera.report/1\", got \"other/1\""},
        {HEAD "}", "metrics: wanted an array, got nothing"},
        {HEAD ",\"metrics\":[4]}", "metrics[0]: wanted an object"},
        {HEAD ",\"metrics\":[{}]}", "metrics[0].name: wanted a text, got nothing"},
        {HEAD ",\"metrics\":[{\"name\":\"a\",\"better\":\"more\"}]}",
         "metrics[0].better: wanted \"higher\" or \"lower\", got \"more\""},
        {HEAD ",\"metrics\":[{\"name\":\"a\",\"better\":\"lower\"},{\"name\":\"a\",\"better\":"
              "\"lower\"}]}",
         "metrics[1].name: the name \"a\" comes twice"},
        {HEAD "," METRICS "}", "candidates: wanted an array, got nothing"},
        {HEAD "," METRICS ",\"candidates\":[{\"name\":\"a\",\"kind\":\"x\"}]}",
         "candidates[0].kind: wanted \"tokenizer\", \"anchor\" or \"files\", got \"x\""},
        {HEAD "," METRICS
              ",\"candidates\":[{\"name\":\"a\",\"summary\":{\"psnr\":{\"mean\":\"high\"}}}]}",
         "candidates[0].summary.psnr.mean: wanted a finite number, \"inf\", got a text"},
        {HEAD "," METRICS ",\"candidates\":[{\"name\":\"a\",\"cost\":{\"bytes\":1e999}}]}",
         "candidates[0].cost.bytes: wanted a finite number, got one beyond a double"},
        {HEAD "," METRICS ",\"candidates\":[{\"name\":\"a\",\"codes\":{\"used\":-1}}]}",
         "candidates[0].codes.used: wanted a whole number, 0 or more, got -1"},
        {HEAD "," METRICS ",\"candidates\":[{\"name\":\"a\",\"codes\":{\"histogram\":[1,\"2\"]}}]}",
         "candidates[0].codes.histogram: [1]: wanted a finite number, got a text"},
        {HEAD "," METRICS
              ",\"candidates\":[{\"name\":\"a\"}],\"pictures\":[{\"name\":\"p\",\"values\":[{"
              "\"candidate\":1}]}]}",
         "pictures[0].values[0].candidate: wanted one of 1 candidates, got 1"},
        {HEAD "," METRICS
              ",\"candidates\":[{\"name\":\"a\"}],\"pictures\":[{\"name\":\"p\",\"values\":[{"
              "\"candidate\":0,\"psnr\":true}]}]}",
         "pictures[0].values[0].psnr: wanted a finite number, \"inf\", got true or false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char error[1200] = "";
        report_data *r = read_text(cases[i][0], error);
        ck_assert_ptr_null(r);
        ck_assert_str_eq(error, cases[i][1]);
    }
}
END_TEST

/* A document that is cut anywhere is refused with a word, and its memory given back. */
START_TEST(cut_documents) {
    static const char text[] = HEAD
        "," METRICS ",\"candidates\":[{\"name\":\"a\",\"codes\":{\"histogram\":[3,2,1]},\"text\":{"
        "\"bins\":[{\"low\":1,\"high\":2,\"count\":1}]}}],\"pictures\":[{\"name\":\"p\","
        "\"values\":[{\"candidate\":0,\"psnr\":\"inf\"}]}]}";
    char error[1200];
    for (size_t size = 0; size + 1 < sizeof text - 1; ++size) {
        *error = 0;
        ck_assert_ptr_null(report_data_read(text, size, error, sizeof error));
        ck_assert_str_ne(error, "");
    }
    report_data *r = report_data_read(text, sizeof text - 1, error, sizeof error);
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(r->candidates[0].codes.codes, 3);
    ck_assert(isinf(report_cell_value(&r->pictures[0].cells[0], "psnr")));
    ck_assert(isnan(r->candidates[0].summary[0].mean));
    ck_assert_str_eq(r->candidates[0].series, "a");
    report_data_free(r);
}
END_TEST

static char *escaped(const char *text) {
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    ck_assert_ptr_nonnull(file);
    html_text(file, text);
    ck_assert_int_eq(fclose(file), 0);
    return out;
}

START_TEST(texts_never_become_markup) {
    static const char *const cases[][2] = {
        {"<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;"},
        {"caf\u00e9 \u65e5 \U0001f3a8", "caf\u00e9 \u65e5 \U0001f3a8"},
        {"\xff\xc3", "\ufffd\ufffd"},
        {"\xc0\xaf", "\ufffd\ufffd"},           /* an overlong slash */
        {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, /* half a surrogate pair */
        {"a\x01\x7f\u202e", "a\ufffd\ufffd\ufffd"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char *got = escaped(cases[i][0]);
        ck_assert_str_eq(got, cases[i][1]);
        free(got);
    }
}
END_TEST

START_TEST(base_64) {
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char *out = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&out, &size);
        html_base64(file, cases[i][0], strlen(cases[i][0]));
        ck_assert_int_eq(fclose(file), 0);
        ck_assert_str_eq(out, cases[i][1]);
        free(out);
    }
}
END_TEST

START_TEST(numbers_for_people) {
    char text[100];
    ck_assert_str_eq(report_number(NAN, text), "\u2013");
    ck_assert_str_eq(report_number(INFINITY, text), "\u221e");
    ck_assert_str_eq(report_number(0.19125, text), "0.1913");
    ck_assert_str_eq(report_number(24.128, text), "24.13");
    ck_assert_str_eq(report_number(1234.5, text), "1234");
    ck_assert_str_eq(report_number(3e-7, text), "3e-07");
    ck_assert_str_eq(report_whole(1234567, text), "1,234,567");
    ck_assert_str_eq(report_whole(999, text), "999");
    ck_assert_str_eq(report_whole(-1000, text), "-1,000");
    ck_assert_str_eq(report_range(1, 2.5, text), "1.0000\u20132.5000");
}
END_TEST

static int count_of(const char *text, const char *what) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        count++;
    return count;
}

static char *drawn(const plot *p) {
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    plot_svg(p, 450, 320, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_ptr_null(strstr(out, "nan"));
    ck_assert_ptr_null(strstr(out, "inf"));
    return out;
}

/* Every point has its marker, those without a place on the axes none, intervals three lines. */
START_TEST(plots_show_every_point) {
    const plot_point points[] = {{0.1, 20, 19, 21, "one"},
                                 {0.4, 24, NAN, NAN, "two"},
                                 {NAN, 1, NAN, NAN, NULL},
                                 {-1, 30, NAN, NAN, NULL},
                                 {1.6, INFINITY, NAN, NAN, NULL}};
    const plot_series series[] = {{"a & b", points, 5, 0, false, false},
                                  {"bare", points, 2, 1, true, true}};
    const plot p = {
        .title = "T", .x_name = "x", .y_name = "y", .log_x = true, .series = series, .count = 2};
    char *svg = drawn(&p);
    ck_assert_int_eq(count_of(svg, "<circle"), 2);
    ck_assert_int_eq(count_of(svg, "class=\"l-c0\""), 1 + 3); /* the line, the interval */
    ck_assert_int_eq(count_of(svg, "class=\"l-c1\""), 1);
    ck_assert_int_eq(count_of(svg, "stroke-dasharray"), 1);
    ck_assert_int_eq(count_of(svg, "a &amp; b"), 2); /* the label and the title */
    free(svg);
}
END_TEST

START_TEST(plots_of_hard_ranges) {
    static const double values[][2] = {{5, 5},         {0, 0},          {-1e-300, 1e-300},
                                       {1e300, 2e300}, {-1e308, 1e308}, {1e-300, 1e300}};
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i)
        for (int logarithmic = 0; logarithmic < 4; ++logarithmic) {
            const plot_point points[] = {{values[i][0], values[i][0], NAN, NAN, NULL},
                                         {values[i][1], values[i][1], NAN, NAN, NULL}};
            const plot_series series = {"s", points, 2, 0, false, false};
            const plot p = {.title = "T",
                            .x_name = "x",
                            .y_name = "y",
                            .log_x = logarithmic & 1,
                            .log_y = logarithmic & 2,
                            .series = &series,
                            .count = 1};
            free(drawn(&p));
        }
}
END_TEST

TEST_MAIN("report", mistakes_are_named, cut_documents, texts_never_become_markup, base_64,
          numbers_for_people, plots_show_every_point, plots_of_hard_ranges)
