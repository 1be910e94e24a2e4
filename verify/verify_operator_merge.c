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

/* ---- joins ---- */

void tsr_verify_operator_cell_recycle(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x"), score = tsr_case_input(v, "score");
    const int64_t n = v->status ? 0 : tsr_rows(&x),
                  grid[3] = {1, tsr_case_integer(v, "height"), tsr_case_integer(v, "width")};
    tsr_token_set *set = tsr_case_set(v, x.data, n, v->status ? 0 : tsr_cols(&x), grid);
    tsr_case_column(v, set, "scores", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n, score.data);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "cell-recycle:keep=%.17g,cell=%lld", tsr_case_number(v, "keep"),
                        (long long)tsr_case_integer(v, "cell"));
    tsr_case_trace(v, "indices", NULL, made, "indices");
    tsr_case_trace(v, "low", NULL, made, "low");
    tsr_case_trace(v, "representative_of_low", NULL, made, "representative_of_low");
    tsr_case_features(v, "features", made);
    if (v->status) return;
    /* The map says the same as the two lists. */
    const tsr_token_array low = tsr_token_set_trace(made, "low"),
                          owner = tsr_token_set_trace(made, "representative_of_low");
    const int32_t *map = info_of(made).source_map;
    int64_t differ = 0;
    for (int64_t i = 0; i < low.dim[0]; ++i)
        differ += map[((const int32_t *)low.data)[i]] != map[((const int32_t *)owner.data)[i]];
    tsr_verify_line(v, "required.source_map", !differ, "%lld of %lld low tokens differ",
                    (long long)differ, (long long)low.dim[0]);
}

/* Compares the members of each new token with the lists of an answer. */
static void compare_groups(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const cJSON *groups = tsr_case_answer(v, name), *group, *member;
    const tsr_token_set_info info = info_of(made);
    int64_t differ = cJSON_GetArraySize(groups) != info.count, held = 0;
    int row = 0;
    if (!groups || v->status) return;
    cJSON_ArrayForEach(group, groups) {
        cJSON_ArrayForEach(member, group) {
            const int i = member->valueint;
            differ += i < 0 || i >= info.source || info.source_map[i] != row;
            ++held;
        }
        ++row;
    }
    for (int64_t i = 0; i < info.source; ++i)
        held -= info.source_map[i] >= 0;
    tsr_verify_line(v, name, !differ && !held, "%lld members in another group, %lld more or fewer",
                    (long long)differ, (long long)held);
}

void tsr_verify_operator_temporal_dedupe(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x"), picks = tsr_case_input(v, "picks");
    tsr_token_set *set = sized_set(v, &x, NULL);
    const double threshold = tsr_case_number(v, "threshold");
    add_rows(v, set, "picks", &picks);
    const tsr_token_set *published = tsr_case_reduce(
        v, set, "temporal-dedupe:metric=picks,threshold=%.17g,variant=published", threshold);
    tsr_case_trace(v, "expected.parent", NULL, published, "parent");
    tsr_case_trace(v, "expected.kept", NULL, published, "kept");
    compare_groups(v, "expected.groups", published);
    tsr_case_features(v, "expected.features", published);
    tsr_case_trace(v, "expected.rows_lost", NULL, published, "rows_lost");
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "temporal-dedupe:metric=picks,threshold=%.17g", threshold);
    compare_groups(v, "required.groups", made);
    tsr_case_features(v, "required.features", made);
}

void tsr_verify_operator_size_bias_attention(tsr_verify *v) {
    const tsr_tensor q = tsr_case_input(v, "q"), k = tsr_case_input(v, "k"),
                     x = tsr_case_input(v, "v"), size = tsr_case_input(v, "size");
    tsr_token_set *set = sized_set(v, &x, size.data);
    const long long heads = tsr_case_integer(v, "heads");
    add_rows(v, set, "queries", &q);
    add_rows(v, set, "keys", &k);
    add_rows(v, set, "values", &x);
    const tsr_token_set *made = tsr_case_reduce(v, set, "size-bias-attention:heads=%lld", heads);
    tsr_case_features(v, "expected.features", made);
    tsr_case_trace(v, "expected.metric", "features", made, "metric");
    tsr_case_features(v, "expected.features_without_bias",
                      tsr_case_reduce(v, set, "size-bias-attention:heads=%lld,bias=query", heads));
}

/* ---- kept tokens and the rest around targets ---- */

/* Compares a list of tokens of the trace, which counts `before` tokens more at the start. */
static void compare_tokens(tsr_verify *v, const char *name, const tsr_token_set *made,
                           const char *trace, int32_t before) {
    if (v->status) return;
    const tsr_token_array a = tsr_token_set_trace(made, trace);
    int32_t *list = tsr_verify_take(v, a.dim[0] + 1, sizeof *list, name);
    for (int64_t i = before && !strcmp(trace, "dominant"); i < a.dim[0] && list; ++i)
        list[i] = ((const int32_t *)a.data)[i] - before;
    const bool skip = before && !strcmp(trace, "dominant");
    tsr_case_i32(v, name, list + skip, a.dim[0] - skip);
}

/* The encoder's stage: attention of the class token, which is token 0 of the set. */
static tsr_token_set *encoder_stage(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "hidden"), attention = tsr_case_input(v, "att"),
                     keys = tsr_case_input(v, "keys");
    tsr_token_set *set = sized_set(v, &x, NULL);
    if (v->status) return NULL;
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 2,
                    (int64_t[]){tsr_rows(&attention), tsr_cols(&attention)}, attention.data);
    add_rows(v, set, "keys", &keys);
    return set;
}

/* The language model's stage: the visual tokens of a sequence, attention among them, and keys of
 * several heads, averaged. */
static tsr_token_set *model_stage(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "hidden"), attention = tsr_case_input(v, "att"),
                     keys = tsr_case_input(v, "keys");
    const int64_t heads = tsr_case_integer(v, "heads"), n = tsr_case_integer(v, "tokens"),
                  start = tsr_case_integer(v, "image_start"),
                  sequence = tsr_case_integer(v, "sequence");
    if (v->status) return NULL;
    const int64_t d = tsr_cols(&x), width = tsr_cols(&keys);
    float *square = tsr_verify_take(v, heads * n * n, sizeof *square, "attention"),
          *mean = tsr_verify_take(v, n * width, sizeof *mean, "keys");
    tsr_token_set *set =
        tsr_case_set(v, v->status ? NULL : (const float *)x.data + start * d, n, d, NULL);
    if (v->status) return NULL;
    for (int64_t i = 0; i < heads * n * n; ++i)
        square[i] = ((const float *)attention.data)[i / n * sequence + start + i % n];
    for (int64_t i = 0; i < n * width; ++i) {
        double sum = 0;
        for (int64_t h = 0; h < heads; ++h)
            sum += (double)((const float *)
                                keys.data)[(h * sequence + start + i / width) * width + i % width];
        mean[i] = (float)(sum / (double)heads);
    }
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_SQUARE, TSR_ARRAY_F32, 3,
                    (int64_t[]){heads, n, n}, square);
    tsr_case_column(v, set, "keys", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2, (int64_t[]){n, width},
                    mean);
    return set;
}

void tsr_verify_operator_dominant_contextual(tsr_verify *v) {
    const bool encoder = !strcmp(tsr_case_text(v, "stage"), "encoder");
    const tsr_token_set *set = encoder ? encoder_stage(v) : model_stage(v);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "dominant-contextual:dominant=%lld,contextual=%lld,class_token=%s",
                        (long long)tsr_case_integer(v, "dominant"),
                        (long long)tsr_case_integer(v, "contextual"), encoder ? "yes" : "no");
    compare_tokens(v, "expected.dominant", made, "dominant", encoder);
    compare_tokens(v, "expected.targets", made, "targets", encoder);
    compare_tokens(v, "expected.joined", made, "joined", encoder);
    compare_tokens(v, "expected.joined_to", made, "joined_to", encoder);
    tsr_case_features(v, "expected.features_class_then_dominant_then_contextual", made);
    tsr_case_features(v, "expected.features_dominant_then_contextual", made);
    tsr_case_trace(v, "expected.original_combined_indices", NULL, made,
                   "combined_indices_published");
    tsr_case_trace(v, "required.combined_indices", NULL, made, "combined_indices");
}

/* required.members_of_each_centre has the first six centres. */
static void compare_members(tsr_verify *v, const tsr_token_set *made) {
    const cJSON *lists = tsr_case_answer(v, "required.members_of_each_centre"), *list;
    const tsr_token_array a = tsr_token_set_trace(made, "members");
    const int32_t *member = a.data;
    int64_t wanted = 0;
    if (v->status) return;
    cJSON_ArrayForEach(list, lists) wanted += cJSON_GetArraySize(list);
    tsr_case_i32(v, "required.members_of_each_centre", member,
                 wanted < a.dim[0] * a.dim[1] ? wanted : a.dim[0] * a.dim[1]);
}

void tsr_verify_operator_lof_merge(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x"), attention = tsr_case_input(v, "att"),
                     keys = tsr_case_input(v, "keys"), similarity = tsr_case_input(v, "sim");
    tsr_token_set *set = sized_set(v, &x, NULL);
    const int64_t n = v->status ? 0 : tsr_rows(&x);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 2, (int64_t[]){1, n},
                    attention.data);
    tsr_case_column(v, set, "scores", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n, similarity.data);
    add_rows(v, set, "keys", &keys);
    char settings[160];
    snprintf(settings, sizeof settings,
             "neighbours_budget=%lld,neighbours_centres=%lld,merge=%lld,text_gain=%.17g",
             (long long)tsr_case_integer(v, "neighbours_budget"),
             (long long)tsr_case_integer(v, "neighbours_centres"),
             (long long)tsr_case_integer(v, "merge"), tsr_case_number(v, "text_gain"));
    const tsr_token_set *published =
        tsr_case_reduce(v, set, "lof-merge:%s,variant=published", settings);
    const tsr_token_set *made = tsr_case_reduce(v, set, "lof-merge:%s", settings);
    if (v->status) return;
    const int32_t counts[] = {(int32_t)tsr_token_set_trace(published, "visual").dim[0],
                              (int32_t)tsr_token_set_trace(published, "text").dim[0],
                              (int32_t)tsr_token_set_trace(published, "centres").dim[0],
                              (int32_t)tsr_token_set_trace(made, "centres").dim[0]};
    tsr_case_i32(v, "expected.k_visual", counts, 1);
    tsr_case_i32(v, "expected.k_text", counts + 1, 1);
    tsr_case_i32(v, "expected.k_centre", counts + 2, 1);
    tsr_case_trace(v, "expected.visual", NULL, published, "visual");
    tsr_case_trace(v, "expected.text", NULL, published, "text");
    tsr_case_trace(v, "expected.centres", NULL, published, "centres");
    tsr_case_features(v, "expected.features", published);
    tsr_case_i32(v, "required.k_centre", counts + 3, 1);
    tsr_case_trace(v, "required.centres", NULL, made, "centres");
    compare_members(v, made);
    tsr_case_features(v, "required.features", made);
}

/* ---- codebook of a clip ---- */

/* The fixed-K branch of the release, manifest.fixed_k_branch, stops with an error: nothing to
 * compare. */
void tsr_verify_operator_clip_codebook(tsr_verify *v) {
    const tsr_tensor x = tsr_case_input(v, "x");
    const tsr_token_set *set = sized_set(v, &x, NULL);
    const tsr_token_set *made = tsr_case_reduce(v, set, "clip-codebook:k=%lld,rounds=%lld",
                                                (long long)tsr_case_integer(v, "K"),
                                                (long long)tsr_case_integer(v, "rounds_max"));
    if (v->status) return;
    const tsr_token_set_info info = info_of(made);
    tsr_case_trace(v, "expected.initial", NULL, made, "initial");
    tsr_case_source_map(v, "expected.labels", made);
    tsr_case_sizes(v, "expected.counts", made);
    tsr_case_f32(v, "expected.codebook", "codebook", info.features, info.count * info.channels);
    tsr_case_trace(v, "expected.rounds", NULL, made, "rounds");
}
