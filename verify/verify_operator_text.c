/* SPDX-License-Identifier: MIT */
/* verify_operator_text.c: golden cases of operators on texts that were read: the manifest's means,
 * and every number that the rows file itself has. */
#include "verify_operator.h"
#include "../formats/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lines of the rows file as a list, until the end of the case. */
static const cJSON *read_rows(tsr_verify *v, const char *path) {
    tsr_map map = {0};
    if (!v->status) v->status = tsr_map_open(v->ctx, path, &map);
    char *text = tsr_verify_take(v, (int64_t)map.size + 3, 1, "rows");
    cJSON *list = NULL;
    if (text) { /* one list: a comma for each line's end but the last */
        *text = '[';
        memcpy(text + 1, map.bytes, map.size);
        size_t n = map.size;
        while (n && strchr("\r\n ", text[n]))
            --n;
        for (size_t i = 1; i <= n; ++i)
            if (text[i] == '\n') text[i] = ',';
        text[n + 1] = ']';
        list = cJSON_ParseWithLength(text, n + 2);
        if (!list) tsr_verify_refuse(v, "rows: wanted JSON lines, got something else");
    }
    tsr_map_close(&map);
    return list;
}

/* Compares a trace [rows] with what each row has stored; field NULL: element `index` of a list. */
static void compare_stored(tsr_verify *v, const tsr_token_set *made, const cJSON *rows,
                           const char *trace, const char *field, int index, double most) {
    if (v->status) return;
    const tsr_token_array a = tsr_token_set_trace(made, trace);
    int64_t differ = 0, i = 0;
    double worst = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const cJSON *stored =
            field ? cJSON_GetObjectItemCaseSensitive(row, field) : cJSON_GetArrayItem(row, index);
        const double got = i >= a.dim[0]             ? NAN
                           : a.type == TSR_ARRAY_I32 ? (double)((const int32_t *)a.data)[i]
                                                     : ((const double *)a.data)[i];
        const double d = fabs(got - cJSON_GetNumberValue(stored));
        differ += !(d <= most);
        worst = fmax(worst, d);
        ++i;
    }
    char name[64];
    snprintf(name, sizeof name, "stored %s", trace);
    tsr_verify_line(v, name, !differ && i == a.dim[0] && i > 0,
                    "%lld of %lld rows differ, largest difference %.2g", (long long)differ,
                    (long long)i, worst);
}

/* What the original prints: all T-ACC, then all T-NED, as percent with two decimals. */
static void compare_printed(tsr_verify *v, const tsr_token_set *made) {
    const tsr_token_array acc = tsr_token_set_trace(made, "t_acc");
    const tsr_token_array ned = tsr_token_set_trace(made, "t_ned");
    const cJSON *texts = tsr_case_answer(v, "printed_by_the_original"), *text;
    int64_t i = 0, differ = 0;
    if (v->status || !texts) return;
    cJSON_ArrayForEach(text, texts) {
        char got[32] = "";
        if (i < 2 * acc.dim[0])
            snprintf(got, sizeof got, "%.2f%%",
                     100 * (i < acc.dim[0] ? ((const double *)acc.data)[i]
                                           : ((const double *)ned.data)[i - acc.dim[0]]));
        differ += strcmp(got, text->valuestring) != 0;
        ++i;
    }
    tsr_verify_line(v, "printed_by_the_original", !differ && i == 2 * acc.dim[0],
                    "%lld of %lld texts differ", (long long)differ, (long long)i);
}

void tsr_verify_operator_text_fidelity_tokbench(tsr_verify *v) {
    const char *path = tsr_case_file(v, "rows_file");
    const tsr_token_set *made = tsr_case_plan(v, "text-fidelity-tokbench:rows=%s,edges=%s", path,
                                              tsr_case_list(v, "edges"));
    tsr_case_trace(v, "rows", NULL, made, "rows");
    tsr_case_trace(v, "bin_counts", NULL, made, "bin_counts");
    tsr_case_trace(v, "t_acc", "means", made, "t_acc");
    tsr_case_trace(v, "t_ned", "means", made, "t_ned");
    tsr_case_trace(v, "instance_mean_acc", "means", made, "instance_mean_acc");
    tsr_case_trace(v, "instance_mean_one_minus_ned", "means", made, "instance_mean_one_minus_ned");
    compare_printed(v, made);
    const cJSON *rows = read_rows(v, path);
    compare_stored(v, made, rows, "accuracy", NULL, 4, 0);
    compare_stored(v, made, rows, "one_minus_ned", NULL, 5, 1e-12);
    compare_stored(v, made, rows, "distance", NULL, 6, 0);
    cJSON_Delete((cJSON *)rows);
}

/* Number of a file's group: groups are numbered as they first come. */
static int group_of(const cJSON *rows, const tsr_token_array *group, const char *file) {
    int64_t i = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "file"));
        if (name && !strcmp(name, file) && i < group->dim[0])
            return ((const int32_t *)group->data)[i];
        ++i;
    }
    return -1;
}

static double mean_of(const tsr_token_set *made, const char *score, int group) {
    char name[64];
    snprintf(name, sizeof name, "%s_by_group", score);
    const tsr_token_array a = tsr_token_set_trace(made, name);
    return a.name && group >= 0 && group < a.dim[0] ? ((const double *)a.data)[group] : NAN;
}

static void compare_means(tsr_verify *v, const tsr_token_set *made, const cJSON *rows) {
    const tsr_token_array group = tsr_token_set_trace(made, "group");
    const cJSON *files = tsr_case_answer(v, "means_by_file"), *file, *mean;
    cJSON_ArrayForEach(file, files) cJSON_ArrayForEach(mean, file) {
        const double got = mean_of(made, mean->string, group_of(rows, &group, file->string));
        char name[160];
        snprintf(name, sizeof name, "means_by_file %s %s", file->string, mean->string);
        tsr_verify_line(v, name, fabs(got - mean->valuedouble) <= 1e-12, "wanted %.17g, got %.17g",
                        mean->valuedouble, got);
    }
    const char *key = "prior_gap_natural_tiny_minus_random_tiny";
    const double gap =
        mean_of(made, "edit_dist", group_of(rows, &group, "ocr/en_png_tiny_eval.json")) -
        mean_of(made, "edit_dist", group_of(rows, &group, "random/random_tiny_eval.json"));
    const double wanted = cJSON_GetNumberValue(tsr_case_answer(v, key));
    tsr_verify_line(v, key, fabs(gap - wanted) <= 1e-12, "wanted %.17g, got %.17g", wanted, gap);
}

void tsr_verify_operator_text_distance_ocr(tsr_verify *v) {
    const char *path = tsr_case_file(v, "rows_file");
    const tsr_token_set *made = tsr_case_plan(v, "text-distance-ocr:rows=%s", path);
    const cJSON *rows = read_rows(v, path);
    tsr_case_trace(v, "rows", NULL, made, "rows");
    compare_stored(v, made, rows, "distance", "distance", 0, 0);
    compare_stored(v, made, rows, "edit_dist", "edit_dist", 0, 1e-12);
    compare_stored(v, made, rows, "precision", "precision", 0, 1e-12);
    compare_stored(v, made, rows, "recall", "recall", 0, 1e-12);
    compare_stored(v, made, rows, "f_measure", "f_measure", 0, 1e-12);
    compare_stored(v, made, rows, "bleu", "bleu", 0, 1e-9);
    if (!v->status) compare_means(v, made, rows);
    cJSON_Delete((cJSON *)rows);
}
