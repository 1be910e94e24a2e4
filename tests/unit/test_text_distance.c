/* SPDX-License-Identifier: MIT */
/* test_text_distance.c: edit distance against the plain table, words and BLEU by hand, rows that
 * are refused, and what is told of texts that were read. */
#include "reduce/text_distance.h"
#include "set_case.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST = 400 };

static int64_t table(const uint32_t *a, int64_t n, const uint32_t *b, int64_t m) {
    static int64_t row[LONGEST + 1];
    for (int64_t j = 0; j <= m; ++j)
        row[j] = j;
    for (int64_t i = 1; i <= n; ++i) {
        int64_t corner = row[0];
        row[0] = i;
        for (int64_t j = 1; j <= m; ++j) {
            const int64_t change = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            const int64_t step = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            row[j] = change < step ? change : step;
        }
    }
    return row[m];
}

START_TEST(edit_distance_is_that_of_the_table) {
    uint32_t a[LONGEST], b[LONGEST];
    void *workspace = guarded(tsr_text_workspace(LONGEST));
    for (int round = 0; round < 400; ++round) {
        /* block borders, and lengths of all kinds; few letters, so that much is equal */
        static const int64_t borders[] = {0, 1, 63, 64, 65, 127, 128, 129, 191, 192, LONGEST};
        const int64_t n = round < 121 ? borders[round / 11] : random_below(LONGEST + 1);
        const int64_t m = round < 121 ? borders[round % 11] : random_below(LONGEST + 1);
        const int64_t letters = 1 + random_below(round % 3 ? 4 : 100);
        for (int64_t i = 0; i < n; ++i)
            a[i] = 1 + (uint32_t)(random_below(letters) * 4096);
        for (int64_t i = 0; i < m; ++i)
            b[i] = 1 + (uint32_t)(random_below(letters) * 4096);
        if (round % 2 && n == m) memcpy(b, a, sizeof b);
        ck_assert_int_eq(tsr_edit_distance((tsr_text){a, n}, (tsr_text){b, m}, workspace),
                         table(a, n, b, m));
    }
    guarded_free(workspace);
}
END_TEST

static tsr_word_scores compare(const char *reference, const char *prediction) {
    static uint32_t a[LONGEST], b[LONGEST];
    int64_t n = 0, m = 0;
    void *workspace = guarded(tsr_text_workspace(LONGEST));
    while (reference[n])
        a[n] = (uint8_t)reference[n], ++n;
    while (prediction[m])
        b[m] = (uint8_t)prediction[m], ++m;
    const tsr_word_scores s = tsr_compare_words((tsr_text){a, n}, (tsr_text){b, m}, workspace);
    guarded_free(workspace);
    return s;
}

START_TEST(words_are_sets_and_bleu_counts_them) {
    tsr_word_scores s = compare(" the cat\tsat on the\nmat ", "the the the cat");
    ck_assert_double_eq_tol(s.precision, 1, 1e-12); /* {the, cat} */
    ck_assert_double_eq_tol(s.recall, 2.0 / 5, 1e-12);
    ck_assert_double_eq_tol(s.f, 4.0 / 7, 1e-12);
    /* of 4 words 3 count (the twice), of 3 pairs 1, of 2 triples 0, of 1 quadruple 0 */
    const double want = exp(1 - 6.0 / 4) * pow(0.75 / 3 * 0x1p-1022 * 0x1p-1022, 0.25);
    ck_assert_double_eq(want, 0); /* too small for a double: compare in logarithms */
    ck_assert_double_eq_tol(
        log(s.bleu), 1 - 6.0 / 4 + (log(0.75) + log(1.0 / 3) - 2 * 1022 * log(2.0)) / 4, 1e-9);
    s = compare("a b c d e", "a b c d e");
    ck_assert_double_eq_tol(s.bleu, 1, 1e-12);
    ck_assert_double_eq_tol(s.f, 1, 1e-12);
    s = compare("a b c d e f", "a b c d x f g"); /* longer: no penalty */
    ck_assert_double_eq_tol(s.bleu, pow(5.0 / 7 * 3 / 6 * 2 / 5 * 1 / 4, 0.25), 1e-12);
    s = compare("a b", "c d");
    ck_assert(s.precision == 0 && s.recall == 0 && s.f == 0 && s.bleu == 0);
    s = compare("a b", " \n ");
    ck_assert(s.precision == 0 && s.recall == 0 && s.f == 0 && s.bleu == 0);
    s = compare("", "");
    ck_assert(s.precision == 0 && s.recall == 0 && s.bleu == 0);
}
END_TEST

/* Parses text; NULL: it must be read, else refused with this in the detail. */
static void parse(const char *text, const char *words) {
    tsr_context *ctx = set_context(1);
    tsr_text_rows rows;
    const tsr_status status = tsr_text_rows_parse(ctx, "rows", text, strlen(text), &rows);
    if (words) {
        ck_assert_msg(status == TSR_ERROR_FORMAT, "%s: status %d", text, status);
        ck_assert_msg(strstr(tsr_detail(ctx), words) != NULL, "%s: wanted \"%s\", got \"%s\"", text,
                      words, tsr_detail(ctx));
        ck_assert_ptr_null(rows.rows);
    } else
        ck_assert_msg(status == TSR_OK, "%s: %s", text, tsr_detail(ctx));
    tsr_text_rows_close(&rows);
    tsr_context_close(&ctx);
}

START_TEST(rows_are_read_or_refused) {
    parse("[\"a\",\"b\",\"c\",0.5,1,\"more\"]\n\n{\"gt\":\"x\",\"pred\":\"\"}\r\n", NULL);
    parse("{\"ref\":\"\\\\u0000\",\"pred\":\"\\ud83d\\ude00\",\"set\":\"s\"}", NULL);
    parse("", "rows: wanted rows of texts, got none");
    parse("\n \n", "got none");
    parse("[\"a\",\"b\",\"c\"]\n[\"a\",\"b\"]\n", "rows:2: pred: wanted a text, got none");
    parse("{\"pred\":\"x\"}", "rows:1: gt: wanted a text, got none");
    parse("{\"ref\":3,\"pred\":\"x\"}", "ref: wanted a text, got a number");
    parse("{\"ref\":\"\",\"pred\":null}", "pred: wanted a text, got null");
    parse("{\"ref\":\"\",\"pred\":\"\",\"file\":[]}", "group: wanted a text, got a list");
    parse("{\"ref\":\"\",\"pred\":\"\",\"ratio\":\"1\"}", "ratio: wanted a finite number");
    parse("{\"ref\":\"a\\u0000\",\"pred\":\"\"}", "without code point 0");
    parse("{\"ref\":\"\xff\",\"pred\":\"\"}", "ref: wanted UTF-8, got other bytes");
    parse("3", "line: wanted an object or a list, got a number");
    parse("{\"ref\":\"a\",\"pred\":\"b\"} x", "line: wanted one JSON value");
    parse("{\"ref\":", "line: wanted one JSON value");
}
END_TEST

static void write_rows(char *path, const char *text) {
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(bins_and_what_is_missing) {
    char path[] = "text_rows_XXXXXX", operation[96];
    tsr_context *ctx = set_context(2);
    tsr_token_set *made = NULL;
    write_rows(path, "[\"s\",\"abcd\",\"abcd\",0.02]\n[\"s\",\"abcd\",\"abxd\",0.025]\n"
                     "[\"s\",\"\",\"\",0.5]\n[\"s\",\"ab\",\"\",0.001]\n[\"s\",\"ab\",\"b\",1]\n");
    snprintf(operation, sizeof operation, "text-fidelity-tokbench:rows=%s,edges=0.02+0.1+1", path);
    ck_assert_int_eq(tsr_operator_plan(ctx, operation, &made), TSR_OK);
    const int32_t *counts = trace_of(made, "bin_counts").data;
    const double *acc = trace_of(made, "t_acc").data, *ned = trace_of(made, "t_ned").data;
    ck_assert_int_eq(counts[0], 2);
    ck_assert_int_eq(counts[1], 1);
    ck_assert_double_eq_tol(acc[0], 0.5, 1e-12);
    ck_assert_double_eq_tol(acc[1], 1, 1e-12); /* two empty texts match */
    ck_assert_double_eq_tol(acc[2], 0.75, 1e-12);
    ck_assert_double_eq_tol(ned[0], 0.875, 1e-12);
    ck_assert_double_eq_tol(*(const double *)trace_of(made, "instance_mean_acc").data, 0.4, 1e-12);
    tsr_token_set_close(&made);
    snprintf(operation, sizeof operation, "text-fidelity-tokbench:rows=%s", path);
    ck_assert_int_eq(tsr_operator_plan(ctx, operation, &made), TSR_OK);
    acc = trace_of(made, "t_acc").data; /* no text of 0.03 .. 0.04 */
    ck_assert_double_eq_tol(acc[0], 0.5, 1e-12);
    ck_assert(isnan(acc[1]) && isnan(acc[3]));
    tsr_token_set_close(&made);
    snprintf(operation, sizeof operation, "text-fidelity-tokbench:rows=%s,edges=1+1", path);
    refuses(ctx, NULL, operation, TSR_ERROR_ARGUMENT, "edges: wanted rising numbers");
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(references_are_named) {
    char path[] = "text_rows_XXXXXX", operation[96];
    tsr_context *ctx = set_context(1);
    tsr_token_set *made = NULL;
    write_rows(path, "{\"file\":\"a\",\"reference\":\"gt text\",\"ref\":\"x y\",\"pred\":\"x y\"}\n"
                     "{\"file\":\"b\",\"reference\":\"changed\",\"ref\":\"x y\",\"pred\":\"x z\"}\n"
                     "{\"file\":\"a\",\"reference\":\"gt text\",\"ref\":\"x\",\"pred\":\"\"}\n");
    snprintf(operation, sizeof operation, "text-distance-ocr:rows=%s", path);
    ck_assert_int_eq(tsr_operator_plan(ctx, operation, &made), TSR_OK);
    ck_assert_int_eq(*(const int32_t *)trace_of(made, "rows_against_gt_text").data, 2);
    ck_assert_int_eq(*(const int32_t *)trace_of(made, "rows_against_changed").data, 1);
    const double *mean = trace_of(made, "edit_dist_by_group").data;
    ck_assert_double_eq_tol(mean[0], 0.5, 1e-12);
    ck_assert_double_eq_tol(mean[1], 1.0 / 3, 1e-12);
    ck_assert_double_eq_tol(((const double *)trace_of(made, "precision").data)[1], 0.5, 1e-12);
    tsr_token_set_close(&made);
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("text distance", edit_distance_is_that_of_the_table, words_are_sets_and_bleu_counts_them,
          rows_are_read_or_refused, bins_and_what_is_missing, references_are_named)
