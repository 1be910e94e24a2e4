/* SPDX-License-Identifier: MIT */
/* verify_operator_plan.c: golden cases of operators that plan: tiles, counts, schedules, fits. */
#include "verify_operator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cJSON *field(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Text that grows, for operations with long lists; `all` is cut off at its end, and the operation
 * then fails. */
typedef struct text {
    char all[4096];
    size_t length;
} text;
static void add(text *t, const char *between, double x) {
    const int n = snprintf(t->all + t->length, sizeof t->all - t->length, "%s%.17g", between, x);
    t->length += n > 0 ? (size_t)n : 0;
    if (t->length >= sizeof t->all) t->length = sizeof t->all - 1;
}
/* Appends the numbers of nested lists, '+' between all of them. */
static void add_numbers(text *t, const cJSON *item) {
    const cJSON *part;
    if (cJSON_IsNumber(item)) add(t, t->length ? "+" : "", item->valuedouble);
    if (cJSON_IsArray(item)) cJSON_ArrayForEach(part, item) add_numbers(t, part);
}
/* The numbers that each object of a list has under `name`. */
static void add_fields(text *t, const cJSON *list, const char *name) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) add_numbers(t, field(item, name));
}

/* Compares what each object of a list has under `name` with a row of the trace; an object without
 * it, or with null, stands for zeros. */
static void compare_fields(tsr_verify *v, const char *block, const cJSON *list, const char *name,
                           const tsr_token_set *made, const char *trace) {
    if (v->status) return;
    const tsr_token_array a = tsr_token_set_trace(made, trace);
    const int64_t n = cJSON_GetArraySize(list);
    char line[160];
    int64_t width = 1, differ = 0, row = 0;
    for (int i = 1; i < a.rank; ++i)
        width *= a.dim[i];
    snprintf(line, sizeof line, "%s.%s", block, name);
    if (!a.name || a.type != TSR_ARRAY_I32 || a.dim[0] != n) {
        tsr_verify_line(v, line, false, "wanted %lld rows of %s in the trace, got %lld",
                        (long long)n, trace, (long long)a.dim[0]);
        return;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        text wanted = {{0}, 0}, got = {{0}, 0};
        add_numbers(&wanted, field(item, name));
        for (int64_t j = 0; j < width; ++j)
            add(&got, j ? "+" : "", ((const int32_t *)a.data)[row * width + j]);
        const bool none = !wanted.length && strspn(got.all, "+0") == got.length;
        differ += !none && strcmp(wanted.all, got.all) != 0;
        ++row;
    }
    tsr_verify_line(v, line, !differ, "%lld of %lld rows differ", (long long)differ, (long long)n);
}

void tsr_verify_operator_shard_plan(tsr_verify *v) {
    const cJSON *plans = tsr_case_answer(v, "expected.plans");
    text sizes = {{0}, 0};
    add_fields(&sizes, plans, "size");
    const tsr_token_set *made = tsr_case_plan(
        v, "shard-plan:sizes=%s,shard=%lld,max_grid=%lld,variant=published", sizes.all,
        (long long)tsr_case_integer(v, "shard"), (long long)tsr_case_integer(v, "max_grid"));
    compare_fields(v, "expected.plans", plans, "size", made, "size");
    compare_fields(v, "expected.plans", plans, "resized", made, "resized");
    compare_fields(v, "expected.plans", plans, "grid_rows_columns", made, "grid_rows_columns");
    compare_fields(v, "expected.plans", plans, "tiles", made, "tiles");
}

static void tile_quadrants(tsr_verify *v, const char *block, const char *variant) {
    const cJSON *images = tsr_case_answer(v, block);
    text sizes = {{0}, 0};
    add_fields(&sizes, images, "size");
    const tsr_token_set *made =
        tsr_case_plan(v, "tile-plan:sizes=%s,rule=quadrants,limit=%lld,variant=%s", sizes.all,
                      (long long)tsr_case_integer(v, "limit"), variant);
    compare_fields(v, block, images, "size", made, "size");
    compare_fields(v, block, images, "boxes", made, "boxes");
}

void tsr_verify_operator_tile_plan(tsr_verify *v) {
    const char *rule = tsr_case_text(v, "rule");
    const cJSON *images = tsr_case_answer(v, "expected.images");
    text sizes = {{0}, 0}, patches = {{0}, 0};
    if (!strcmp(rule, "quadrants")) {
        tile_quadrants(v, "expected.images", "published");
        tile_quadrants(v, "required.images", "covering");
        return;
    }
    add_fields(&sizes, images, "size");
    add_fields(&patches, images, "patches");
    const bool given = !strcmp(rule, "canvas");
    const long long patch = tsr_case_integer(v, "patch");
    const tsr_token_set *made =
        given ? tsr_case_plan(v, "tile-plan:sizes=%s,patch=%lld,patches=%s", sizes.all, patch,
                              patches.all)
              : tsr_case_plan(v, "tile-plan:sizes=%s,patch=%lld", sizes.all, patch);
    compare_fields(v, "expected.images", images, "size", made, "size");
    compare_fields(v, "expected.images", images, "canvas", made, "canvas");
    if (given) {
        compare_fields(v, "expected.images", images, "patches", made, "allocated");
        return;
    }
    compare_fields(v, "expected.images", images, "allocated", made, "allocated");
    compare_fields(v, "expected.images", images, "tiles", made, "tiles");
    compare_fields(v, "expected.images", images, "resized", made, "resized");
    compare_fields(v, "expected.images", images, "pasted_at", made, "pasted_at");
    tsr_case_trace(v, "expected.tiles_total_with_whole_images", NULL, made, "tiles_total");
}

void tsr_verify_operator_patch_counts(tsr_verify *v) {
    const bool sweep = tsr_case_has(v, "width");
    text sizes = {{0}, 0}, patch = {{0}, 0};
    if (sweep) {
        add(&sizes, "", (double)tsr_case_integer(v, "width"));
        add(&sizes, "+", (double)tsr_case_integer(v, "height"));
        add_numbers(&patch, tsr_case_answer(v, "expected.patch"));
    } else {
        add_numbers(&sizes, tsr_case_answer(v, "expected.sizes"));
        add(&patch, "", (double)tsr_case_integer(v, "patch"));
    }
    const tsr_token_set *made =
        tsr_case_plan(v, "patch-counts:sizes=%s,patch=%s,merge=%lld", sizes.all, patch.all,
                      (long long)tsr_case_integer(v, "merge"));
    tsr_case_trace(v, "expected.patch", NULL, made, "patch");
    tsr_case_trace(v, "expected.sizes", NULL, made, "size");
    tsr_case_trace(v, "expected.counts", NULL, made, "counts");
    tsr_case_trace(v, "expected.quarter_counts", NULL, made, "quarter_counts");
}

/* Puts the columns of the plan together as the case's rows have them; a picture that the exact rule
 * refuses has nulls there. */
void tsr_verify_operator_cell_counts(tsr_verify *v) {
    const cJSON *rows = tsr_case_answer(v, "expected.rows"), *row;
    const int64_t n = cJSON_GetArraySize(rows);
    text sizes = {{0}, 0};
    cJSON_ArrayForEach(row, rows) {
        add_numbers(&sizes, cJSON_GetArrayItem(row, 0));
        add_numbers(&sizes, cJSON_GetArrayItem(row, 1));
    }
    const tsr_token_set *made =
        tsr_case_plan(v, "cell-counts:sizes=%s,min_pixels=%lld,max_pixels=%lld,factor=%.17g",
                      sizes.all, (long long)tsr_case_integer(v, "min_pixels"),
                      (long long)tsr_case_integer(v, "max_pixels"), tsr_case_number(v, "factor"));
    double *table = tsr_verify_take(v, 6 * n + 1, sizeof *table, "rows");
    const int32_t *size = tsr_token_set_trace(made, "size").data,
                  *plain = tsr_token_set_trace(made, "plain").data,
                  *resized = tsr_token_set_trace(made, "resized").data,
                  *exact = tsr_token_set_trace(made, "exact").data;
    if (v->status) return;
    for (int64_t i = 0; i < n; ++i) {
        const double refused = exact[i] ? 0 : NAN;
        const double x[6] = {size[2 * i],
                             size[2 * i + 1],
                             plain[i],
                             resized[2 * i] + refused,
                             resized[2 * i + 1] + refused,
                             exact[i] + refused};
        memcpy(table + 6 * i, x, sizeof x);
    }
    tsr_case_f64(v, "expected.rows", NULL, table, 6 * n);
    tsr_case_trace(v, "expected.total_plain", NULL, made, "total_plain");
    tsr_case_trace(v, "expected.total_exact", NULL, made, "total_exact");
}

void tsr_verify_operator_merge_schedules(tsr_verify *v) {
    const char *rule = tsr_case_text(v, "rule");
    text r = {{0}, 0};
    add_numbers(&r, field(field(v->run, "params"), "r"));
    const tsr_token_set *made = NULL;
    if (!strcmp(rule, "tinychart"))
        made = tsr_case_plan(
            v, "merge-schedules:rule=tinychart,height=%lld,width=%lld,patch=%lld,r=%s,layers=%lld",
            (long long)tsr_case_integer(v, "image"), (long long)tsr_case_integer(v, "image"),
            (long long)tsr_case_integer(v, "patch"), r.all,
            (long long)tsr_case_integer(v, "layers"));
    else if (!strcmp(rule, "auroracap"))
        made = tsr_case_plan(
            v,
            "merge-schedules:rule=auroracap,height=%lld,width=%lld,patch=%lld,keep=%.17g,"
            "layers=%lld,class_token=%s",
            (long long)tsr_case_integer(v, "height"), (long long)tsr_case_integer(v, "width"),
            (long long)tsr_case_integer(v, "patch"), tsr_case_number(v, "keep"),
            (long long)tsr_case_integer(v, "layers"),
            tsr_case_integer(v, "class_token") ? "yes" : "no");
    else if (!strcmp(rule, "parse_r"))
        made = tsr_case_plan(v, "merge-schedules:rule=parse_r,layers=%lld,r=%s,inflection=%.17g",
                             (long long)tsr_case_integer(v, "layers"), r.all,
                             tsr_case_number(v, "inflection"));
    else
        made = tsr_case_plan(v, "merge-schedules:rule=%s,frames=%lld,tokens=%lld,budget=%lld", rule,
                             (long long)tsr_case_integer(v, "frames_left"),
                             (long long)tsr_case_integer(v, "tokens_per_frame"),
                             (long long)tsr_case_integer(v, "budget"));
    static const char *const names[] = {
        "counts",     "removed",     "r",         "used_tokens_without_class",
        "used_share", "r_per_layer", "per_frame", "total"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        tsr_case_trace(v, names[i], "counts", made, names[i]);
}

/* Fits the law to its own table: the parameters come back where the table tells them, which a table
 * without slope does not, and its values always. */
static void recover(tsr_verify *v, const char *lists, const text *table) {
    static const char *const names[] = {"A", "b", "c", "d"};
    const tsr_token_set *made = tsr_case_plan(v, "error-fit:%s,error=%s", lists, table->all);
    const bool flat = tsr_case_number(v, "b") == 0 && tsr_case_number(v, "c") == 0;
    const double *law = tsr_token_set_trace(made, "law").data;
    const double *loss = tsr_token_set_trace(made, "loss").data;
    double worst = 0;
    for (int i = 0; i < 4 && !v->status; ++i)
        worst = fmax(worst, fabs(law[i] - tsr_case_number(v, names[i])));
    if (v->status) return;
    tsr_verify_line(v, "required.fit", flat || worst < 1e-6,
                    "largest difference of A, b, c, d %.2g%s", worst,
                    flat ? "; the table has no slope" : "");
    tsr_verify_line(v, "required.fit_loss", *loss < 1e-18, "squared error of the fit %.2g", *loss);
}

void tsr_verify_operator_error_fit(tsr_verify *v) {
    text N = {{0}, 0}, T = {{0}, 0}, table = {{0}, 0};
    char lists[1024];
    add_numbers(&N, field(field(v->run, "params"), "N"));
    add_numbers(&T, field(field(v->run, "params"), "T"));
    add_numbers(&table, tsr_case_answer(v, "expected.prediction"));
    snprintf(lists, sizeof lists, "N=%.500s,T=%.500s", N.all, T.all);
    const tsr_token_set *made = tsr_case_plan(
        v, "error-fit:%s,A=%.17g,b=%.17g,c=%.17g,d=%.17g", lists, tsr_case_number(v, "A"),
        tsr_case_number(v, "b"), tsr_case_number(v, "c"), tsr_case_number(v, "d"));
    tsr_case_trace(v, "expected.prediction", "prediction", made, "prediction");
    const cJSON *laws = tsr_case_answer(v, "expected.loss_of"), *law;
    const int64_t n = cJSON_GetArraySize(laws);
    double *losses = tsr_verify_take(v, n + 1, sizeof *losses, "losses");
    int64_t i = 0;
    cJSON_ArrayForEach(law, laws) {
        double p[4];
        for (int j = 0; j < 4; ++j) {
            const cJSON *x = cJSON_GetArrayItem(law, j);
            p[j] = cJSON_IsNumber(x) ? x->valuedouble : NAN;
        }
        const tsr_token_set *asked =
            tsr_case_plan(v, "error-fit:%s,error=%s,A=%.17g,b=%.17g,c=%.17g,d=%.17g", lists,
                          table.all, p[0], p[1], p[2], p[3]);
        const double *loss = tsr_token_set_trace(asked, "loss").data;
        if (!v->status) losses[i++] = *loss;
    }
    tsr_case_f64(v, "expected.loss", "loss", losses, n);
    recover(v, lists, &table);
}
