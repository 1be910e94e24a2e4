/* SPDX-License-Identifier: MIT */
/* verify_operator_merge.c: golden cases of operators that put tokens together. */
#include "../reduce/token_set.h"
#include "verify_operator.h"

#include <stdio.h>
#include <string.h>

static tsr_token_set_info info_of(const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    return info;
}

static void add_rows(tsr_verify *v, tsr_token_set *set, const char *name, const tsr_tensor *rows) {
    if (v->status) return;
    tsr_case_column(v, set, name, TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2,
                    (int64_t[]){tsr_rows(rows), tsr_cols(rows)}, rows->data);
}

/* A set of features x, and with sizes [tokens] one whose tokens hold so many sources each, as if it
 * had been merged before. */
static tsr_token_set *sized_set(tsr_verify *v, const tsr_tensor *x, const int32_t *sizes) {
    if (v->status) return NULL;
    const int64_t n = tsr_rows(x), d = tsr_cols(x);
    if (!sizes) return tsr_case_set(v, x->data, n, d, NULL);
    int64_t source = 0, at = 0;
    for (int64_t i = 0; i < n; ++i)
        source += sizes[i];
    float *copies = tsr_verify_take(v, source * d, sizeof *copies, "sources");
    for (int64_t i = 0; i < n && copies; ++i)
        for (int32_t j = 0; j < sizes[i]; ++j)
            memcpy(copies + at++ * d, (const float *)x->data + i * d, (size_t)d * sizeof(float));
    tsr_token_set *set = tsr_case_set(v, copies, source, d, NULL);
    if (!set) return NULL;
    /* No operator merges by a list: the set is cut down in place. */
    set->count = n;
    at = 0;
    for (int64_t i = 0; i < n; ++i) {
        memcpy(set->features + i * d, (const float *)x->data + i * d, (size_t)d * sizeof(float));
        set->sizes[i] = (float)sizes[i];
        for (int32_t j = 0; j < sizes[i]; ++j)
            set->source_map[at++] = (int32_t)i;
    }
    v->status = tsr_token_set_check(set, "case");
    return v->status ? NULL : set;
}

/* Compares the map from the tokens of `set` to those of `made`: that of their first sources. */
static void compare_map(tsr_verify *v, const char *name, const tsr_token_set *set,
                        const tsr_token_set *made) {
    const tsr_token_set_info before = info_of(set), after = info_of(made);
    int32_t *map = tsr_verify_take(v, before.count + 1, sizeof *map, name);
    for (int64_t i = before.source - 1; i >= 0 && map; --i)
        map[before.source_map[i]] = after.source_map[i];
    tsr_case_i32(v, name, map, before.count);
}

static void compare_count(tsr_verify *v, const char *name, const tsr_token_set *made) {
    tsr_case_i32(v, name, &(int32_t){(int32_t)info_of(made).count}, 1);
}

/* ---- bipartite matching ---- */

/* Steps of one case, each with a metric of its own. */
static void bipartite_steps(tsr_verify *v) {
    const cJSON *r =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(v->run, "params"), "r");
    const tsr_tensor x = tsr_case_input(v, "x");
    tsr_token_set *set = sized_set(v, &x, NULL), *made = set;
    for (int i = 0; i < cJSON_GetArraySize(r); ++i) {
        char name[32];
        snprintf(name, sizeof name, "metric%d", i);
        const tsr_tensor metric = tsr_case_input(v, name);
        add_rows(v, made, "keys", &metric);
        made = tsr_case_reduce(v, made, "bipartite-merge:r=%d", cJSON_GetArrayItem(r, i)->valueint);
    }
    compare_count(v, "expected.rows_out", made);
    tsr_case_source_map(v, "expected.source_map", made);
    tsr_case_sizes(v, "expected.size", made);
    tsr_case_features(v, "expected.features", made);
}

void tsr_verify_operator_bipartite_merge(tsr_verify *v) {
    if (tsr_case_has_input(v, "metric0")) {
        bipartite_steps(v);
        return;
    }
    const tsr_tensor x = tsr_case_input(v, "x");
    const bool sized = tsr_case_has_input(v, "size");
    const tsr_tensor size = sized ? tsr_case_input(v, "size") : (tsr_tensor){0};
    tsr_token_set *set = sized_set(v, &x, sized ? size.data : NULL);
    if (tsr_case_has_input(v, "metric")) {
        const tsr_tensor metric = tsr_case_input(v, "metric");
        add_rows(v, set, "keys", &metric);
    }
    const tsr_token_set *made = tsr_case_reduce(
        v, set, "bipartite-merge:r=%lld,class_token=%s,distill_token=%s",
        (long long)tsr_case_integer(v, "r"), tsr_case_integer(v, "class_token") ? "yes" : "no",
        tsr_case_integer(v, "distill_token") ? "yes" : "no");
    if (v->status) return;
    compare_count(v, "rows_out", made);
    compare_map(v, "source_map", set, made);
    tsr_case_sizes(v, "size", made);
    tsr_case_features(v, "features", made);
    tsr_case_trace(v, "unmerged", NULL, made, "unmerged");
    tsr_case_trace(v, "merged", NULL, made, "merged");
    tsr_case_trace(v, "merged_into", NULL, made, "merged_into");
}

void tsr_verify_operator_halving_merge(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x");
    const tsr_token_set *set = sized_set(v, &x, NULL);
    const long long target = tsr_case_integer(v, "target");
    const tsr_token_set *published =
        tsr_case_reduce(v, set, "halving-merge:target=%lld,variant=published", target);
    tsr_case_trace(v, "expected.levels", NULL, published, "levels");
    tsr_case_features(v, "expected.features", published);
    const tsr_token_set *made = tsr_case_reduce(v, set, "halving-merge:target=%lld", target);
    tsr_case_features(v, "required.features", made);
    tsr_case_sizes(v, "required.size", made);
    tsr_case_source_map(v, "required.source_map", made);
}

/* ---- clusters ---- */

/* Density and delta have no tolerance of their own: that of features. */
void tsr_verify_operator_dpc_knn(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x");
    const tsr_token_set *set = sized_set(v, &x, NULL);
    const double ratio = tsr_case_number(v, "ratio");
    const tsr_token_set *made = tsr_case_reduce(
        v, set,
        ratio < 1 ? "dpc-knn:ratio=%.17g,neighbours=%lld" : "dpc-knn:k=%.0f,neighbours=%lld", ratio,
        (long long)tsr_case_integer(v, "k_requested"));
    tsr_case_trace(v, "centres", NULL, made, "centres");
    tsr_case_source_map(v, "cluster", made);
    tsr_case_sizes(v, "size", made);
    tsr_case_features(v, "features", made);
    tsr_case_trace(v, "density", "features", made, "density");
    tsr_case_trace(v, "delta", "features", made, "delta");
}
