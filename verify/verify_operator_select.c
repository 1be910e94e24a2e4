/* SPDX-License-Identifier: MIT */
/* verify_operator_select.c: golden cases of operators that score and keep tokens. */
#include "verify_operator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Copies attention [heads, n + 1] without its first column, the class token's. */
static const float *without_class(tsr_verify *v, const tsr_tensor *attention) {
    const int64_t heads = tsr_rows(attention), n = tsr_cols(attention) - 1;
    float *rows = tsr_verify_take(v, heads * n, sizeof *rows, "attention");
    for (int64_t i = 0; rows && i < heads * n; ++i)
        rows[i] = ((const float *)attention->data)[i / n * (n + 1) + 1 + i % n];
    return rows;
}

void tsr_verify_operator_cls_attention_topk(tsr_verify *v) {
    const tsr_tensor attention = tsr_case_input(v, "att");
    const int64_t n = tsr_case_integer(v, "tokens"), k = tsr_case_integer(v, "k");
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    const float *rows = without_class(v, &attention);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 2,
                    (int64_t[]){tsr_rows(&attention), n}, rows);
    const tsr_token_set *made = tsr_case_reduce(v, set, "cls-attention-topk:k=%lld", (long long)k);
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "score", "score", made, "score");
}

void tsr_verify_operator_cls_sum_topk(tsr_verify *v) {
    const tsr_tensor attention = tsr_case_input(v, "att");
    const int64_t n = tsr_case_integer(v, "tokens"), k = tsr_case_integer(v, "k");
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    const float *rows = without_class(v, &attention);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 3,
                    (int64_t[]){attention.dim[0], attention.dim[1], n}, rows);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "cls-sum-topk:k=%lld,start=%lld", (long long)k,
                        (long long)tsr_case_integer(v, "start"));
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "score", "score", made, "score");
}

void tsr_verify_operator_anchor_buffer_register(tsr_verify *v) {
    const tsr_tensor shallow = tsr_case_input(v, "shallow"), deep = tsr_case_input(v, "deep");
    const int64_t n = tsr_case_integer(v, "tokens"), width = tsr_case_integer(v, "width");
    const bool square = shallow.rank == 3;
    if (v->status) return;
    tsr_token_set *set = tsr_case_bare_set(v, n, (int64_t[]){1, n / width, width});
    const tsr_token_axis axis = square ? TSR_TOKEN_AXIS_SQUARE : TSR_TOKEN_AXIS_FIRST;
    tsr_case_column(v, set, "attention_shallow", axis, TSR_ARRAY_F32, shallow.rank, shallow.dim,
                    shallow.data);
    tsr_case_column(v, set, "attention_deep", axis, TSR_ARRAY_F32, deep.rank, deep.dim, deep.data);
    const double alpha = tsr_case_number(v, "alpha");
    const long long k = tsr_case_integer(v, "k");
    const tsr_token_set *made = tsr_case_reduce(
        v, set, "anchor-buffer-register:k=%lld,alpha=%.17g,variant=published", k, alpha);
    tsr_case_kept(v, "expected.indices", made);
    tsr_case_trace(v, "expected.anchors", NULL, made, "anchors");
    tsr_case_trace(v, "expected.first", NULL, made, "first");
    made = tsr_case_reduce(v, set, "anchor-buffer-register:k=%lld,alpha=%.17g", k, alpha);
    tsr_case_kept(v, "required.indices_grid", made);
    tsr_case_trace(v, "required.first_grid", NULL, made, "first");
}

/* A set has at least one token: where the case keeps none, that is refused, and the numbers are
 * those of a call that keeps one. */
void tsr_verify_operator_lof_budget(tsr_verify *v) {
    const tsr_tensor score = tsr_case_input(v, "score");
    const int64_t n = tsr_case_integer(v, "tokens");
    const long long q = tsr_case_integer(v, "neighbours");
    const bool none = cJSON_GetArraySize(tsr_case_answer(v, "expected.kept")) == 0;
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    tsr_case_column(v, set, "scores", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n, score.data);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "lof-budget:neighbours=%lld,variant=published,least=%d", q, none);
    tsr_case_trace(v, "expected.outliers", NULL, made, "outliers");
    tsr_case_trace(v, "expected.ratio", "lof", made, "ratio");
    tsr_case_trace(v, "expected.k", NULL, made, "k");
    if (!none) tsr_case_kept(v, "expected.kept", made);
    made = tsr_case_reduce(v, set, "lof-budget:neighbours=%lld,least=%d", q, none);
    tsr_case_trace(v, "required.k", NULL, made, "k");
    tsr_case_trace(v, "required.lof", "lof", made, "lof");
    char operation[64];
    snprintf(operation, sizeof operation, "lof-budget:neighbours=%lld,least=0", q);
    if (none) tsr_case_refuses(v, "expected.kept", set, TSR_ERROR_ARGUMENT, operation);
}

void tsr_verify_operator_query_budget(tsr_verify *v) {
    const tsr_tensor attention = tsr_case_input(v, "att");
    tsr_token_set *set = tsr_case_bare_set(v, tsr_case_integer(v, "tokens"), NULL);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, attention.rank,
                    attention.dim, attention.data);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "query-budget:rho=%.17g,cap=%lld,tau=%.17g,iterations=%lld",
                        tsr_case_number(v, "rho"), (long long)tsr_case_integer(v, "cap"),
                        tsr_case_number(v, "tau"), (long long)tsr_case_integer(v, "iterations"));
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "n", NULL, made, "n");
    tsr_case_trace(v, "relevance", NULL, made, "relevance"); /* maxima: to the bit */
    tsr_case_trace(v, "entropy", "entropy", made, "entropy");
    tsr_case_trace(v, "threshold", "threshold", made, "threshold");
}

void tsr_verify_operator_entropy_score(tsr_verify *v) {
    if (tsr_case_has_input(v, "pixels")) {
        const tsr_tensor pixels = tsr_case_input(v, "pixels");
        const int64_t n = tsr_case_integer(v, "patches");
        tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
        tsr_case_column(v, set, "pixels", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_I32, 4, pixels.dim,
                        pixels.data);
        const tsr_token_set *made =
            tsr_case_reduce(v, set, "entropy-score:ratio=1,variant=published");
        tsr_case_trace(v, "expected.entropy", "entropy", made, "entropy");
        made = tsr_case_reduce(v, set, "entropy-score:ratio=1");
        tsr_case_trace(v, "required.entropy", "entropy", made, "entropy");
        return;
    }
    const tsr_tensor attention = tsr_case_input(v, "att"), entropy = tsr_case_input(v, "entropy");
    const int64_t n = tsr_case_integer(v, "tokens");
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_SQUARE, TSR_ARRAY_F32, 3, attention.dim,
                    attention.data);
    tsr_case_column(v, set, "entropy", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n, entropy.data);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "entropy-score:ratio=1,t=%.17g,alpha=%.17g",
                        tsr_case_number(v, "t"), tsr_case_number(v, "alpha"));
    tsr_case_trace(v, "global_rows", NULL, made, "global_rows");
    tsr_case_trace(v, "score", "score", made, "score");
}

/* kept_in_200_runs_min_max cannot be compared: it counts draws of a random original. */
void tsr_verify_operator_keep_mask(tsr_verify *v) {
    const tsr_tensor logits = tsr_case_input(v, "logits");
    const bool none = cJSON_GetArraySize(tsr_case_answer(v, "required.kept")) == 0;
    tsr_token_set *set = tsr_case_bare_set(v, tsr_case_integer(v, "tokens"), NULL);
    tsr_case_column(v, set, "logits", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2, logits.dim,
                    logits.data);
    const tsr_token_set *made = tsr_case_reduce(v, set, "keep-mask:least=%d", none);
    tsr_case_trace_near(v, "expected.expected_kept", 1e-9, made, "expected_kept");
    if (none)
        tsr_case_refuses(v, "required.kept", set, TSR_ERROR_ARGUMENT, "keep-mask:least=0");
    else
        tsr_case_kept(v, "required.kept", made);
}

/* ---- token-transition ---- */

/* One cut: its layers, and how many tokens it starts from and leaves. */
typedef struct cut {
    int number, visual, kept;
    const cJSON *layers;
} cut;

/* [sub-layers, sequence, dim], made of one input for each; `side` is "before" or "after". */
static void add_states(tsr_verify *v, tsr_token_set *set, const cut *c, const char *side) {
    const int64_t layers = cJSON_GetArraySize(c->layers);
    float *all = NULL;
    int64_t dim[3] = {2 * layers, 0, 0}, size = 0;
    for (int64_t s = 0; s < 2 * layers && !v->status; ++s) {
        char name[64];
        snprintf(name, sizeof name, "L%d-%s-%s",
                 cJSON_GetArrayItem(c->layers, (int)(s / 2))->valueint, s % 2 ? "ffn" : "attn",
                 side);
        const tsr_tensor state = tsr_case_input(v, name);
        if (v->status) return;
        if (!all) {
            dim[1] = state.dim[0];
            dim[2] = state.dim[1];
            size = tsr_elements(&state);
            all = tsr_verify_take(v, 2 * layers * size, sizeof *all, "states");
        }
        if (all) memcpy(all + s * size, state.data, (size_t)size * sizeof *all);
    }
    char name[64];
    snprintf(name, sizeof name, "transition_%s", side);
    tsr_case_column(v, set, name, TSR_TOKEN_AXIS_NONE, TSR_ARRAY_F32, 3, dim, all);
}

/* Attention of the instruction to the visual tokens alone. */
static void add_instruction(tsr_verify *v, tsr_token_set *set, const cut *c, int64_t prefix) {
    char name[64];
    snprintf(name, sizeof name, "instruction-%d", c->number);
    const tsr_tensor a = tsr_case_input(v, name);
    float *rows = tsr_verify_take(v, tsr_rows(&a) * c->visual, sizeof *rows, "attention");
    for (int64_t r = 0; rows && r < tsr_rows(&a); ++r)
        memcpy(rows + r * c->visual, (const float *)a.data + r * tsr_cols(&a) + prefix,
               (size_t)c->visual * sizeof *rows);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 3,
                    (int64_t[]){a.dim[0], a.dim[1], c->visual}, rows);
}

/* Indices of the kept tokens among those of the set before, for one line "kept_of_current". */
static void compare_cut(tsr_verify *v, const cut *c, const int32_t *before,
                        const tsr_token_set_info *after) {
    const cJSON *lists = tsr_case_answer(v, "kept_of_current");
    const cJSON *list = cJSON_IsArray(lists) ? cJSON_GetArrayItem(lists, c->number) : NULL;
    int64_t differ = 0;
    if (!list || v->status) return;
    for (int64_t i = 0; i < after->source; ++i) {
        const int at = after->source_map[i];
        const cJSON *wanted = at < 0 ? NULL : cJSON_GetArrayItem(list, at);
        if (at >= 0 && (!wanted || wanted->valueint != before[i])) ++differ;
    }
    char name[64];
    snprintf(name, sizeof name, "kept_of_current[%d]", c->number);
    tsr_verify_line(v, name, !differ && cJSON_GetArraySize(list) == after->count,
                    "%lld of %d indices differ", (long long)differ, cJSON_GetArraySize(list));
}

void tsr_verify_operator_token_transition(tsr_verify *v) {
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(v->run, "params");
    const cJSON *cuts = cJSON_GetObjectItemCaseSensitive(params, "layers_before_each_cut");
    const cJSON *shares = cJSON_GetObjectItemCaseSensitive(params, "shares");
    const int64_t visual = tsr_case_integer(v, "visual"), prefix = tsr_case_integer(v, "prefix");
    tsr_token_set *set = tsr_case_bare_set(v, visual, NULL);
    int32_t *counts = tsr_verify_take(v, cJSON_GetArraySize(cuts) + 1, sizeof *counts, "counts");
    int32_t *before = tsr_verify_take(v, visual, sizeof *before, "map");
    for (int i = 0; i < cJSON_GetArraySize(cuts) && !v->status; ++i) {
        tsr_token_set_info info;
        tsr_token_set_info_get(set, &info);
        memcpy(before, info.source_map, (size_t)visual * sizeof *before);
        cut c = {.number = i, .visual = (int)info.count, .layers = cJSON_GetArrayItem(cuts, i)};
        const cJSON *share = cJSON_GetArrayItem(shares, i + 1);
        c.kept = (int)((share ? share->valuedouble : 0) * (double)visual);
        add_states(v, set, &c, "before");
        add_states(v, set, &c, "after");
        add_instruction(v, set, &c, prefix);
        set =
            tsr_case_reduce(v, set, "token-transition:k=%d,prefix=%lld", c.kept, (long long)prefix);
        if (v->status) return;
        tsr_token_set_info_get(set, &info);
        compare_cut(v, &c, before, &info);
        counts[i] = (int32_t)info.count;
    }
    tsr_case_i32(v, "kept_counts", counts, cJSON_GetArraySize(cuts));
    tsr_case_kept(v, "kept_final_original_numbering", set);
    tsr_case_trace(v, "score_last_cut", "score", set, "score");
}
