/* SPDX-License-Identifier: MIT */
/* verify_operator_pool.c: golden cases of operators that pool a grid, or cut its frequencies. */
#include "verify_operator.h"

#include <stdio.h>
#include <string.h>

/* Reads a list of `least` to 3 integers of the parameters into `list`; returns how many. */
static int read_list(tsr_verify *v, const char *name, int list[3], int least) {
    return tsr_verify_integers(v, cJSON_GetObjectItemCaseSensitive(v->run, "params"), name, list,
                               least, 3);
}

/* The input `name` as a set; its last axis is channels. grid may be NULL. */
static tsr_token_set *input_set(tsr_verify *v, const char *name, const int64_t *grid) {
    const tsr_tensor x = tsr_case_input(v, name);
    return tsr_case_set(v, x.data, v->status ? 0 : tsr_rows(&x), v->status ? 0 : tsr_cols(&x),
                        grid);
}

static void compare_rows(tsr_verify *v, const char *name, const tsr_token_set *made) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    tsr_case_i32(v, name, &(int32_t){(int32_t)info.count}, 1);
}

/* Cases whose windows leave a tail also show that the default refuses it. */
void tsr_verify_operator_pyramid_pool(tsr_verify *v) {
    const int64_t h = tsr_case_integer(v, "height"), w = tsr_case_integer(v, "width"),
                  window = tsr_case_integer(v, "window");
    const tsr_token_set *set = input_set(v, "x", (const int64_t[]){1, h, w});
    char by[64];
    if (tsr_case_has(v, "target"))
        snprintf(by, sizeof by, "target=%lld", (long long)tsr_case_integer(v, "target"));
    else
        snprintf(by, sizeof by, "window=%lld", (long long)window);
    const tsr_token_set *made = tsr_case_reduce(v, set, "pyramid-pool:%s,tail=drop", by);
    if (v->status) return;
    compare_rows(v, "expected.rows", made);
    tsr_case_features(v, "expected.features", made);
    const int32_t *k = tsr_token_set_trace(made, "window").data;
    tsr_verify_line(v, "window", *k == window, "wanted %lld, got %d", (long long)window, (int)*k);
    char operation[96];
    snprintf(operation, sizeof operation, "pyramid-pool:%s", by);
    if (h % window || w % window)
        tsr_case_refuses(v, "required.refused", set, TSR_ERROR_ARGUMENT, operation);
}

void tsr_verify_operator_adaptive_pool(tsr_verify *v) {
    int in[3] = {1, 1, 1}, out[3] = {0};
    const int axes = read_list(v, "in", in, 1);
    read_list(v, "out", out, axes);
    if (v->status) return;
    const int64_t grid[3] = {axes == 3 ? in[0] : 1, axes == 3 ? in[1] : in[0], in[axes - 1]};
    const tsr_token_set *set = input_set(v, "x", axes == 1 ? NULL : grid);
    char size[64];
    const int n = snprintf(size, sizeof size, "%d", out[0]);
    if (axes == 2) snprintf(size + n, sizeof size - (size_t)n, "+%d", out[1]);
    if (axes == 3) snprintf(size + n, sizeof size - (size_t)n, "+%d+%d", out[1], out[2]);
    tsr_case_features(v, "expected.features",
                      tsr_case_reduce(v, set, "adaptive-pool:size=%s", size));
}

void tsr_verify_operator_weighted_pool(tsr_verify *v) {
    int grid[3], window[3], stride[3], out[3];
    char by[160];
    read_list(v, "grid", grid, 3);
    read_list(v, "window", window, 3);
    read_list(v, "stride", stride, 3);
    if (v->status) return;
    if (!strcmp(tsr_case_text(v, "given"), "size")) {
        read_list(v, "out", out, 3);
        snprintf(by, sizeof by, "size=%d+%d+%d", out[0], out[1], out[2]);
    } else
        snprintf(by, sizeof by, "window=%d+%d+%d,stride=%d+%d+%d", window[0], window[1], window[2],
                 stride[0], stride[1], stride[2]);
    tsr_token_set *set = input_set(v, "x", (const int64_t[]){grid[0], grid[1], grid[2]});
    if (!tsr_case_has_input(v, "cosine")) {
        tsr_case_features(v, "required.features",
                          tsr_case_reduce(v, set, "weighted-pool:%s,weights=none", by));
        return;
    }
    const tsr_tensor cosine = tsr_case_input(v, "cosine");
    const int64_t n = v->status ? 0 : tsr_elements(&cosine);
    tsr_case_column(v, set, "scores", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n, cosine.data);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "weighted-pool:%s,logit_scale=%.17g,temperature=%.17g", by,
                        tsr_case_number(v, "logit_scale"), tsr_case_number(v, "temperature"));
    tsr_case_trace(v, "expected.weights", "weights", made, "weights");
    tsr_case_features(v, "expected.features", made);
}

void tsr_verify_operator_pool_1d(tsr_verify *v) {
    const tsr_token_set *set = input_set(v, "x", NULL);
    const tsr_token_set *made = tsr_case_reduce(
        v, set, "pool-1d:stride=%lld,prefix=%lld,suffix=%lld,first_position=%lld",
        (long long)tsr_case_integer(v, "stride"), (long long)tsr_case_integer(v, "prefix"),
        (long long)tsr_case_integer(v, "suffix"), (long long)tsr_case_integer(v, "first_position"));
    compare_rows(v, "expected.rows", made);
    tsr_case_features(v, "expected.features", made);
    tsr_case_trace(v, "expected.positions_released", "positions", made, "positions_released");
    tsr_case_trace(v, "expected.shared_positions", "positions", made, "shared_positions");
    tsr_case_trace(v, "required.positions", "positions", made, "positions");
}

void tsr_verify_operator_slow_fast_pool(tsr_verify *v) {
    const int64_t frames = tsr_case_integer(v, "frames"), side = tsr_case_integer(v, "side");
    const tsr_token_set *set = input_set(v, "x", (const int64_t[]){frames, side, side});
    const tsr_token_set *slow = tsr_case_reduce(v, set, "slow-fast-pool:stream=slow");
    const tsr_token_set *fast = tsr_case_reduce(
        v, set,
        "slow-fast-pool:stream=fast,sampling_stride=%lld,temporal_stride=%lld,spatial_stride=%lld,"
        "min_fast_frames=%lld",
        (long long)tsr_case_integer(v, "sampling_stride"),
        (long long)tsr_case_integer(v, "temporal_stride"),
        (long long)tsr_case_integer(v, "spatial_stride"),
        (long long)tsr_case_integer(v, "min_fast_frames"));
    tsr_case_trace(v, "expected.sampled_frames", "frames", fast, "sampled_frames");
    compare_rows(v, "expected.fast_rows", fast);
    compare_rows(v, "expected.slow_rows", slow);
    tsr_case_features(v, "expected.fast", fast);
}

/* expected.mean_gain_norm_none is the gain of a transform that is not orthonormal, which the
 * published function offers beside the one that its compression uses. It is not made here; the case
 * that has it also has both gains that are. */
void tsr_verify_operator_dct_lowpass(tsr_verify *v) {
    const int64_t grid[3] = {1, tsr_case_integer(v, "height"), tsr_case_integer(v, "width")};
    const tsr_token_set *set = input_set(v, "x", grid);
    const long long h = tsr_case_integer(v, "out_height"), w = tsr_case_integer(v, "out_width");
    tsr_case_features(v, "expected.features_ortho",
                      tsr_case_reduce(v, set, "dct-lowpass:size=%lld+%lld,gain=ortho", h, w));
    tsr_case_features(v, "required.features_preserve",
                      tsr_case_reduce(v, set, "dct-lowpass:size=%lld+%lld", h, w));
}

/* ---- frame-budget ---- */

/* A set with the frames' scores. */
static tsr_token_set *scored_frames(tsr_verify *v, const float *x, const int64_t *grid,
                                    int64_t channels, const float *scores) {
    const float *zeros = tsr_verify_take(v, grid[0] * grid[1] * grid[2], sizeof *zeros, "features");
    tsr_token_set *set =
        tsr_case_set(v, x ? x : zeros, grid[0] * grid[1] * grid[2], channels, grid);
    tsr_case_column(v, set, "frame_scores", TSR_TOKEN_AXIS_NONE, TSR_ARRAY_F32, 1, grid, scores);
    return set;
}

/* Picks of n of `native` tokens: the trace of one frame with that budget. */
static const int32_t *picks_of(tsr_verify *v, int64_t native, int64_t n, const char *variant) {
    const float one = 1;
    const tsr_token_set *set = scored_frames(v, NULL, (const int64_t[]){1, 1, native}, 1, &one);
    const tsr_token_set *made = tsr_case_reduce(
        v, set, "frame-budget:max_token=%lld,total=1,reducer=v3,variant=%s", (long long)n, variant);
    const tsr_token_array a = tsr_token_set_trace(made, "picks");
    if (!v->status && a.dim[0] != n)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "picks: wanted %lld, got %lld", (long long)n,
                        (long long)a.dim[0]);
    return a.data;
}

/* required.picks are those of whole-number division for the published counts. */
static void compare_required_picks(tsr_verify *v, int64_t native) {
    const cJSON *lists = tsr_case_answer(v, "required.picks"), *list;
    int64_t all = 0, at = 0;
    if (!lists || v->status) return;
    cJSON_ArrayForEach(list, lists) all += cJSON_GetArraySize(list);
    int32_t *picks = tsr_verify_take(v, all + 1, sizeof *picks, "picks");
    cJSON_ArrayForEach(list, lists) {
        const int64_t n = cJSON_GetArraySize(list);
        const int32_t *some = picks_of(v, native, n, "filling");
        if (!v->status) memcpy(picks + at, some, (size_t)n * sizeof *picks);
        at += n;
    }
    tsr_case_i32(v, "required.picks", picks, all);
}

void tsr_verify_operator_frame_budget(tsr_verify *v) {
    if (tsr_case_has(v, "native")) {
        const int64_t native = tsr_case_integer(v, "native"), n = tsr_case_integer(v, "n");
        tsr_case_i32(v, "expected.picks", picks_of(v, native, n, "published"), n);
        tsr_case_i32(v, "required.picks", picks_of(v, native, n, "filling"), n);
        return;
    }
    const tsr_tensor p = tsr_case_input(v, "p"), x = tsr_case_input(v, "x");
    const int64_t side = tsr_case_integer(v, "side"),
                  grid[3] = {tsr_case_integer(v, "frames"), side, side};
    const tsr_token_set *set =
        v->status ? NULL : scored_frames(v, x.data, grid, tsr_cols(&x), p.data);
    char settings[96];
    snprintf(settings, sizeof settings, "max_token=%lld,total=%lld,reducer=%s",
             (long long)tsr_case_integer(v, "max_token"), (long long)tsr_case_integer(v, "total"),
             tsr_case_text(v, "reducer"));
    const tsr_token_set *published =
        tsr_case_reduce(v, set, "frame-budget:%s,variant=published", settings);
    tsr_case_trace(v, "expected.weights", "weights", published, "shares");
    tsr_case_trace(v, "expected.counts", NULL, published, "counts");
    tsr_case_trace(v, "expected.shapes", NULL, published, "shapes");
    tsr_case_trace(v, "expected.picks", NULL, published, "picks");
    compare_rows(v, "expected.tokens_total", published);
    tsr_case_features(v, "expected.features", published);
    const tsr_token_set *made = tsr_case_reduce(v, set, "frame-budget:%s", settings);
    tsr_case_trace(v, "required.shares", "weights", made, "shares");
    tsr_case_trace(v, "required.counts", NULL, made, "counts");
    compare_required_picks(v, side * side);
}
