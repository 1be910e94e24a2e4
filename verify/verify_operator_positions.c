/* SPDX-License-Identifier: MIT */
/* verify_operator_positions.c: golden cases of operators on positions, order and visibility. */
#include "verify_operator.h"

#include <stdio.h>
#include <string.h>

static int64_t elements(const tsr_token_array *a) {
    int64_t n = a->rank > 0;
    for (int i = 0; i < a->rank; ++i)
        n *= a->dim[i];
    return n;
}

/* ---- multi-position ---- */

/* Rows [3k, K] of the case, from the column [K, 3k]. */
static void compare_rows(tsr_verify *v, const tsr_token_set *made, int64_t k) {
    const tsr_token_array rows = tsr_token_set_column(made, "member_positions");
    int32_t *turned = tsr_verify_take(v, elements(&rows) + 1, sizeof *turned, "rows");
    if (!turned) return;
    for (int64_t i = 0; i < elements(&rows); ++i)
        turned[i % rows.dim[1] * rows.dim[0] + i / rows.dim[1]] = ((const int32_t *)rows.data)[i];
    char name[64];
    snprintf(name, sizeof name, "expected.rows_%lld_by_K", (long long)(3 * k));
    tsr_case_i32(v, name, turned, elements(&rows));
}

/* A second stage copies the rows of the last member of each cluster. */
static void second_stage(tsr_verify *v, tsr_token_set *first, int64_t k) {
    const cJSON *clusters = tsr_case_answer(v, "expected.second_stage_cluster");
    const cJSON *members = tsr_case_answer(v, "expected.second_stage_member");
    const int64_t n = cJSON_GetArraySize(clusters);
    int32_t *map = tsr_verify_take(v, n + 1, sizeof *map, "clusters");
    if (!clusters || !map) return;
    for (int64_t i = 0; i < n; ++i)
        map[i] = cJSON_GetArrayItem(clusters, (int)i)->valueint;
    tsr_case_column(v, first, "clusters", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_I32, 1, &n, map);
    const tsr_token_set *made = tsr_case_reduce(v, first, "multi-position:k=%lld", (long long)k);
    if (v->status) return;
    const tsr_token_array chosen = tsr_token_set_trace(made, "members");
    const tsr_token_array before = tsr_token_set_column(first, "member_positions");
    const tsr_token_array after = tsr_token_set_column(made, "member_positions");
    int64_t differ = 0;
    for (int64_t c = 0; c < after.dim[0]; ++c) {
        map[c] = ((const int32_t *)chosen.data)[c * k];
        const cJSON *member = cJSON_GetArrayItem(members, (int)c);
        differ += !member || memcmp((const int32_t *)after.data + c * 3 * k,
                                    (const int32_t *)before.data + member->valueint * 3 * k,
                                    (size_t)(3 * k) * sizeof(int32_t)) != 0;
    }
    tsr_case_i32(v, "expected.second_stage_member", map, after.dim[0]);
    tsr_verify_line(v, "second_stage_rows", !differ, "%lld of %lld tokens differ",
                    (long long)differ, (long long)after.dim[0]);
}

static void compare_sections(tsr_verify *v, int64_t k) {
    const char *sections = tsr_case_list(v, "sections");
    const cJSON *rows = tsr_case_answer(v, "expected.new_sections");
    const bool fallback = cJSON_GetArraySize(rows) != 3 * k;
    tsr_token_set *set = tsr_case_bare_set(v, 1, NULL);
    char operation[128];
    snprintf(operation, sizeof operation, "multi-position:k=%lld,sections=%s", (long long)k,
             sections);
    if (fallback)
        tsr_case_refuses(v, "required: no fallback", set, TSR_ERROR_UNSUPPORTED, operation);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "%s,layout=%s", operation, fallback ? "published" : "rotary");
    tsr_case_trace(v, "expected.new_sections", NULL, made, "new_sections");
    tsr_case_trace(v, "expected.row_of_frequency", NULL, made, "row_of_frequency");
}

void tsr_verify_operator_multi_position(tsr_verify *v) {
    const int64_t k = tsr_case_integer(v, "k");
    if (tsr_case_has(v, "sections")) {
        compare_sections(v, k);
        return;
    }
    const tsr_tensor clusters = tsr_case_input(v, "cluster");
    const int64_t n = tsr_case_integer(v, "tokens"), count = tsr_case_integer(v, "K");
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    for (int64_t i = 0; i < count && !v->status; ++i) /* so that none is empty */
        ((int32_t *)clusters.data)[i] = (int32_t)i;
    tsr_case_column(v, set, "clusters", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_I32, 1, &n, clusters.data);
    tsr_token_set *made = tsr_case_reduce(
        v, set, "multi-position:k=%lld,width=%lld,offset=%lld", (long long)k,
        (long long)tsr_case_integer(v, "grid_width"), (long long)tsr_case_integer(v, "position_t"));
    if (v->status) return;
    tsr_case_trace(v, "expected.members", NULL, made, "members");
    compare_rows(v, made, k);
    second_stage(v, made, k);
}

/* ---- plans ---- */

void tsr_verify_operator_variable_positions(tsr_verify *v) {
    const tsr_token_set *made = tsr_case_plan(
        v, "variable-positions:text=%s,tiles=%s,after=%lld,stride=%s,padding=%lld",
        tsr_case_list(v, "text_before_each_image_with_tags"), tsr_case_list(v, "tiles"),
        (long long)tsr_case_integer(v, "text_after_with_end_tag"), tsr_case_list(v, "stride"),
        tsr_case_has(v, "left_padding") ? (long long)tsr_case_integer(v, "left_padding") : 0);
    tsr_case_trace(v, "positions", "positions", made, "positions");
    if (v->status) return;
    const tsr_token_array positions = tsr_token_set_trace(made, "positions");
    const float *x = positions.data;
    double sum = 0;
    for (int64_t i = 0; i < positions.dim[0]; ++i)
        sum += (double)x[i];
    const double last = (double)x[positions.dim[0] - 1];
    tsr_case_f64(v, "required.last_position", "positions", &last, 1);
    tsr_case_f64(v, "required.positions_sum", "positions", &sum, 1);
}

void tsr_verify_operator_rope_tables(tsr_verify *v) {
    const tsr_token_set *made = tsr_case_plan(
        v, "rope-tables:dim=%lld,base=%.17g,scale=%.17g,power=%.17g,truncate=%.17g",
        (long long)tsr_case_integer(v, "dim"), tsr_case_number(v, "base"),
        tsr_case_number(v, "scale"), tsr_case_number(v, "power"), tsr_case_number(v, "truncate"));
    tsr_case_trace(v, "theta", "theta", made, "theta");
    const cJSON *levels = tsr_case_answer(v, "expected.levels"), *level;
    cJSON_ArrayForEach(level, levels) {
        if (v->status) return;
        const tsr_token_array got = tsr_token_set_trace(made, level->string);
        const int32_t count = got.name ? *(const int32_t *)got.data : -1;
        char name[64];
        snprintf(name, sizeof name, "levels.%s", level->string);
        tsr_verify_line(v, name, count == level->valueint, "wanted %d, got %d", level->valueint,
                        count);
    }
}

/* Answers are some rows of the mask, all counts and the total, not the mask. */
void tsr_verify_operator_neighbour_mask(tsr_verify *v) {
    const long long height = tsr_case_integer(v, "height"), width = tsr_case_integer(v, "width");
    const long long window = tsr_case_integer(v, "window");
    const tsr_token_set *made = tsr_case_plan(
        v, "neighbour-mask:height=%lld,width=%lld,window=%lld", height, width, window);
    if (v->status) return;
    tsr_case_trace(v, "expected.visible_per_row", NULL, made, "visible_per_row");
    tsr_case_trace(v, "expected.visible_total", NULL, made, "visible_total");
    const int32_t *count = tsr_token_set_trace(made, "visible_per_row").data;
    const int32_t *visible = tsr_token_set_trace(made, "visible").data;
    for (int64_t i = 0; i < height * width; visible += count[i++]) {
        char name[64];
        snprintf(name, sizeof name, "expected.row_%lld", (long long)i);
        tsr_case_i32(v, name, visible, count[i]);
    }
    made = tsr_case_plan(v, "neighbour-mask:height=%lld,width=%lld,window=%lld,visible=earlier",
                         height, width, window);
    tsr_case_trace(v, "required.visible_total_causal", NULL, made, "visible_total");
}

/* ---- tables and order ---- */

void tsr_verify_operator_table_stretch(tsr_verify *v) {
    const tsr_tensor table = tsr_case_input(v, "table");
    tsr_token_set *set =
        v->status ? NULL : tsr_case_set(v, table.data, table.dim[0], table.dim[1], NULL);
    const tsr_token_set *made = tsr_case_reduce(v, set, "table-stretch:keep=%lld,factor=%lld",
                                                (long long)tsr_case_integer(v, "keep"),
                                                (long long)tsr_case_integer(v, "factor"));
    if (v->status) return;
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    const int32_t rows = (int32_t)info.count;
    tsr_case_i32(v, "rows_out", &rows, 1);
    tsr_case_f32(v, "table", "table", info.features, info.count * info.channels);
}

void tsr_verify_operator_wave_order(tsr_verify *v) {
    const int64_t grid[3] = {tsr_case_integer(v, "T"), tsr_case_integer(v, "H"),
                             tsr_case_integer(v, "W")};
    tsr_token_set *set = tsr_case_bare_set(v, grid[0] * grid[1] * grid[2], grid);
    const tsr_token_set *made = tsr_case_reduce(v, set, "wave-order");
    tsr_case_trace(v, "waves", NULL, made, "waves");
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_kept(v, "order", made);
    tsr_case_trace(v, "wave", NULL, made, "wave");
    tsr_case_trace(v, "wave_sizes", NULL, made, "wave_sizes");
}
