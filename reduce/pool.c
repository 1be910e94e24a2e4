/* SPDX-License-Identifier: MIT */
/* pool.c: operators that make a smaller grid of a grid. */
#include "../compute/tensor.h"
#include "recorded.h"
#include "windows.h"

#include <math.h>

static const tsr_window_weights plain = {0};

/* Fails where rows or columns are left over. */
static void refuse_tail(tsr_operation *o, const tsr_windows axis[3], const int64_t grid[3]) {
    static const char *const names[] = {"frames", "rows", "columns"};
    for (int a = 0; a < 3 && !o->status; ++a)
        if (axis[a].to[axis[a].out - 1] != grid[a])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "wanted %s that windows fill, got %lld of which %lld would be "
                               "dropped; tail=drop does that",
                               names[a], (long long)grid[a],
                               (long long)(grid[a] - axis[a].to[axis[a].out - 1]));
}

/* Reads a list of one number for each of the three axes, each 1..most[a]. */
static const double *read_triple(tsr_operation *o, const char *name, const int64_t most[3]) {
    static const char *const names[] = {"frames", "rows", "columns"};
    int count = 0;
    const double *list = tsr_operation_list(o, name, &count);
    if (!o->status && count != 3)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted frames+rows+columns, got %d numbers",
                           name, count);
    for (int a = 0; a < 3 && !o->status; ++a)
        if (list[a] != floor(list[a]) || list[a] < 1 || list[a] > (double)most[a])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted 1..%lld %s, got %g", name,
                               (long long)most[a], names[a], list[a]);
    return o->status ? NULL : list;
}

static tsr_pooling pooling_of(const int64_t grid[3], tsr_windows frames, tsr_windows rows,
                              tsr_windows columns) {
    return (tsr_pooling){{grid[0], grid[1], grid[2]}, {frames, rows, columns}, .line = false};
}

/* ---- on a device ---- */

/* Says that tokens are pooled; weight [count] or NULL. */
static void record_pooling(tsr_recorded *x, const tsr_pooling *p, tsr_tensor *weight,
                           double temperature) {
    if (x->declined || x->o->status) {
        tsr_recorded_decline(x);
        return;
    }
    const int64_t out[3] = {p->axis[0].out, p->axis[1].out, p->axis[2].out};
    int32_t *map = tsr_operation_take(x->o, x->count, sizeof *map, "map");
    const int32_t *lists = tsr_windows_lists(x->o, p);
    if (!map || !lists) {
        tsr_recorded_decline(x);
        return;
    }
    tsr_windows_map(p->grid, p->axis, 0, map);
    tsr_recorded_replace(x, map,
                         tsr_list_mean(x->run, x->features, weight, (float)temperature, lists,
                                       out[0] * out[1] * out[2]),
                         p->line ? NULL : out);
}

/* Whether the tokens fill a grid; declines where they do not. */
static bool on_grid(tsr_recorded *x) {
    if (!x->grid[0]) tsr_recorded_decline(x);
    return !x->declined;
}

/* ---- pyramid-pool ---- */

static tsr_pooling pyramid_windows(tsr_operation *o, const int64_t *grid, int64_t *window) {
    const bool drop = tsr_operation_is(o, "tail", "drop");
    const bool by_window = tsr_operation_has(o, "window");
    if (!o->status && by_window == tsr_operation_has(o, "target"))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted either target or window, got %s",
                           by_window ? "both" : "none");
    if (o->status) return (tsr_pooling){0};
    const int64_t tokens = grid[1] * grid[2];
    int64_t k = tsr_operation_integer(o, by_window ? "window" : "target");
    if (!by_window && k > tokens)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "target: wanted at most the %lld tokens of a frame, got %lld",
                           (long long)tokens, (long long)k);
    if (!by_window) k = (int64_t)sqrt((double)tokens / (double)k);
    const tsr_pooling p =
        pooling_of(grid, tsr_windows_sliding(o, grid[0], 1, 1),
                   tsr_windows_sliding(o, grid[1], k, k), tsr_windows_sliding(o, grid[2], k, k));
    if (!drop && !o->status) refuse_tail(o, p.axis, grid);
    *window = k;
    return p;
}

static void pyramid_pool(tsr_operation *o) {
    int64_t window = 0;
    const tsr_pooling p = pyramid_windows(o, tsr_operation_grid(o), &window);
    tsr_operation_trace_i32(o, "window", &(int32_t){(int32_t)window}, 1);
    tsr_windows_replace(o, &p, plain);
}

static void record_pyramid_pool(tsr_recorded *x) {
    int64_t window = 0;
    if (!on_grid(x)) return;
    const tsr_pooling p = pyramid_windows(x->o, x->grid, &window);
    if (x->tells) tsr_operation_trace_i32(x->o, "window", &(int32_t){(int32_t)window}, 1);
    record_pooling(x, &p, NULL, 1);
}

const tsr_operator tsr_operator_pyramid_pool = {
    .info = {.name = "pyramid-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "averages square windows of each frame, one level of a pyramid of sets",
             .formula = "k = floor(sqrt(rows * columns / target)); each token is the mean of k x k "
                        "tokens",
             .source = "M3 (mu-cai/matryoshka-mm @ ec30cd3, matryoshka_vis_token_process)",
             .differs = "square grids only; rows and columns that fill no window are "
                        "dropped without a word, so that the count misses the target. Here any "
                        "grid, and a tail is refused unless tail=drop",
             .cost = "N D additions",
             .columns = NULL},
    .parameters = {{"target", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "tokens of a frame to reach; or give window"},
                   {"window", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 20, NULL,
                    "side of a window, tokens; or give target"},
                   {"tail", TSR_PARAMETER_CHOICE, "refuse", 0, 0, "refuse|drop",
                    "what happens to rows and columns that fill no window"}},
    .apply = pyramid_pool,
    .record = record_pyramid_pool,
};

/* ---- adaptive-pool ---- */

/* grid: where the tokens stand; NULL: they are a line of `tokens`. */
static tsr_pooling adaptive_windows(tsr_operation *o, int64_t tokens, const int64_t *grid) {
    int count = 0;
    const double *size = tsr_operation_list(o, "size", &count);
    for (int i = 0; i < count && !o->status; ++i)
        if (size[i] != floor(size[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "size: wanted whole numbers, got %g",
                               size[i]);
    if (!o->status && (count < 1 || count > 3))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "size: wanted tokens, rows+columns or frames+rows+columns, got %d "
                           "numbers",
                           count);
    if (o->status) return (tsr_pooling){0};
    const int64_t line[3] = {1, 1, tokens};
    tsr_pooling p = {.line = !grid};
    for (int a = 0; a < 3; ++a) {
        const int i = a - (3 - count);
        p.grid[a] = grid ? grid[a] : line[a];
        p.axis[a] = tsr_windows_adaptive(o, p.grid[a], i >= 0 ? (int64_t)size[i] : p.grid[a]);
    }
    return p;
}

/* Whether one number of tokens is asked for, and no grid. */
static bool wants_line(tsr_operation *o) {
    int count = 0;
    tsr_operation_list(o, "size", &count);
    return count == 1;
}

static void adaptive_pool(tsr_operation *o) {
    const int64_t *grid = wants_line(o) ? NULL : tsr_operation_grid(o);
    const tsr_pooling p = adaptive_windows(o, o->in->count, grid);
    tsr_windows_replace(o, &p, plain);
}

static void record_adaptive_pool(tsr_recorded *x) {
    const bool line = wants_line(x->o);
    if (!line && !on_grid(x)) return;
    const tsr_pooling p = adaptive_windows(x->o, x->count, line ? NULL : x->grid);
    record_pooling(x, &p, NULL, 1);
}

const tsr_operator tsr_operator_adaptive_pool = {
    .info = {.name = "adaptive-pool",
             .kind = TSR_OPERATOR_POOL,
             .about = "averages the tokens into a grid of any size",
             .formula =
                 "along an axis of n tokens window i of m is floor(i n / m) .. "
                 "ceil((i + 1) n / m) - 1; each token is the mean over a window of every axis",
             .source =
                 "TokenFLEX (abstract), QuoTA (MAC-AutoML/QuoTA @ ec194d7, token_compress v2), "
                 "Slow-Fast; PyTorch's adaptive_avg_pool1d, 2d, 3d",
             .differs = NULL,
             .cost = "N D additions, more where windows overlap",
             .columns = NULL},
    .parameters =
        {{"size", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
          "rows+columns of each frame, frames+rows+columns, or tokens of all as one line; "
          "a source token of two windows counts for the first"}},
    .apply = adaptive_pool,
    .record = record_adaptive_pool,
};

/* ---- weighted-pool ---- */

/* Softmax of score * scale over all tokens, float64 inside. */
static float *share(tsr_operation *o, double scale) {
    const tsr_token_array a =
        tsr_operation_column(o, "scores", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1);
    float *w = tsr_operation_take(o, o->in->count, sizeof *w, "weights");
    double most = -INFINITY, sum = 0;
    if (o->status) return NULL;
    const float *score = a.data;
    for (int64_t i = 0; i < o->in->count; ++i)
        most = fmax(most, (double)score[i] * scale);
    for (int64_t i = 0; i < o->in->count; ++i)
        sum += exp((double)score[i] * scale - most);
    for (int64_t i = 0; i < o->in->count; ++i)
        w[i] = (float)(exp((double)score[i] * scale - most) / sum);
    tsr_operation_trace_f32(o, "weights", w, o->in->count);
    return w;
}

static tsr_pooling weighted_windows(tsr_operation *o, const int64_t *grid) {
    const bool by_size = tsr_operation_has(o, "size");
    if (!o->status && by_size == tsr_operation_has(o, "window"))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted either window or size, got %s",
                           by_size ? "both" : "none");
    const double *size = read_triple(o, by_size ? "size" : "window", grid);
    const double *stride =
        !by_size && tsr_operation_has(o, "stride")
            ? read_triple(o, "stride", (const int64_t[3]){1 << 20, 1 << 20, 1 << 20})
            : size;
    if (o->status) return (tsr_pooling){0};
    tsr_pooling p = {.line = false};
    for (int a = 0; a < 3; ++a) {
        const int64_t n = (int64_t)size[a], step = by_size ? grid[a] / n : (int64_t)stride[a];
        p.grid[a] = grid[a];
        p.axis[a] = tsr_windows_sliding(o, grid[a], by_size ? grid[a] - (n - 1) * step : n, step);
    }
    return p;
}

static void weighted_pool(tsr_operation *o) {
    const tsr_pooling p = weighted_windows(o, tsr_operation_grid(o));
    tsr_window_weights weights = {.temperature = tsr_operation_number(o, "temperature")};
    if (tsr_operation_is(o, "weights", "scores"))
        weights.weight = share(o, tsr_operation_number(o, "logit_scale"));
    tsr_windows_replace(o, &p, weights);
}

static void record_weighted_pool(tsr_recorded *x) {
    const double temperature = tsr_operation_number(x->o, "temperature");
    if (!on_grid(x)) return;
    const tsr_pooling p = weighted_windows(x->o, x->grid);
    tsr_tensor *weight = NULL;
    /* A low temperature makes the rounding of f32 weights a large share of the result. */
    if (temperature < 0.1 && tsr_operation_is(x->o, "weights", "scores")) {
        tsr_recorded_decline(x);
        return;
    }
    if (tsr_operation_is(x->o, "weights", "scores")) {
        tsr_tensor *score = tsr_recorded_find(x, "scores", TSR_TOKEN_AXIS_FIRST, 1);
        if (x->declined) return;
        weight = tsr_softmax(
            x->run, tsr_scale(x->run, score, (float)tsr_operation_number(x->o, "logit_scale"), 0));
    }
    record_pooling(x, &p, weight, temperature);
    if (weight) tsr_recorded_trace(x, "weights", TSR_ARRAY_F32, weight);
}

const tsr_operator tsr_operator_weighted_pool = {
    .info =
        {.name = "weighted-pool",
         .kind = TSR_OPERATOR_POOL,
         .about =
             "averages windows of frames, rows and columns, tokens that fit a text weighing more",
         .formula = "w = softmax over all tokens of score * logit_scale; in each window a = "
                    "softmax(w / temperature) and the token is sum a x. With a size instead of a "
                    "window: stride = floor(n / size), window = n - (size - 1) * stride",
         .source = "PPLLaVA (farewellthree/PPLLaVA @ d5766c8, weighted_adaptive_avg_pool3d_unfold, "
                   "tv_softmax)",
         .differs =
             "Published code without weights fails on grids that are not square; here "
             "weights=none is the plain mean on any grid. As published, the second softmax "
             "sees probabilities, about 1 / N each, so that a temperature of 0.01 is often "
             "close to a plain mean, and the size rule is not the usual adaptive one. Tokens "
             "that fill no window are dropped",
         .cost = "D additions and an exponential for each token of each window",
         .columns = "scores"},
    .parameters = {{"window", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
                    "frames+rows+columns of a window; or give size"},
                   {"stride", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
                    "frames+rows+columns from window to window; the window's own where not given"},
                   {"size", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
                    "frames+rows+columns of the new grid; or give window"},
                   {"weights", TSR_PARAMETER_CHOICE, "scores", 0, 0, "scores|none",
                    "column of cosines with a text, or a plain mean"},
                   {"logit_scale", TSR_PARAMETER_NUMBER, "100", -1e6, 1e6, NULL,
                    "what cosines are multiplied with"},
                   {"temperature", TSR_PARAMETER_NUMBER, "0.01", 1e-9, 1e9, NULL,
                    "of the softmax inside a window"}},
    .apply = weighted_pool,
    .record = record_weighted_pool,
};

/* ---- pool-1d ---- */

/* Positions as released: pooled in half precision, then cut to whole numbers; of text unchanged. */
static int32_t released_position(int64_t first, int64_t count) {
    float sum = 0;
    for (int64_t i = 0; i < count; ++i)
        sum += tsr_f16_to_f32(tsr_f32_to_f16((float)(first + i)));
    return (int32_t)tsr_f16_to_f32(tsr_f32_to_f16(sum / (float)count));
}

static void trace_positions(tsr_operation *o, const int64_t *from, const int64_t *to, int64_t rows,
                            int64_t prefix, int64_t suffix) {
    const int64_t first = tsr_operation_integer(o, "first_position");
    double *mean = tsr_operation_take(o, rows, sizeof *mean, "positions");
    int32_t *released = tsr_operation_take(o, rows, sizeof *released, "positions"), shared = 0;
    if (o->status) return;
    for (int64_t i = 0; i < rows; ++i) {
        const bool text = i < prefix || i >= rows - suffix;
        mean[i] = (double)first + (double)(from[i] + to[i] - 1) / 2;
        released[i] =
            text ? (int32_t)(first + from[i]) : released_position(first + from[i], to[i] - from[i]);
        shared += i && released[i] == released[i - 1];
    }
    tsr_operation_trace_f64(o, "positions", mean, rows);
    tsr_operation_trace_i32(o, "positions_released", released, rows);
    tsr_operation_trace_i32(o, "shared_positions", &shared, 1);
}

/* Runs of tokens; what stands around them is text. With `tell` their positions are traced. */
static tsr_pooling run_windows(tsr_operation *o, int64_t n, bool tell) {
    const int64_t stride = tsr_operation_integer(o, "stride"),
                  prefix = tsr_operation_integer(o, "prefix"),
                  suffix = tsr_operation_integer(o, "suffix"), visual = n - prefix - suffix;
    if (!o->status && visual < stride)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "stride: wanted at most the %lld tokens between prefix and suffix, got "
                           "%lld",
                           (long long)visual, (long long)stride);
    const int64_t pooled = o->status ? 0 : visual / stride, rows = prefix + pooled + suffix;
    const tsr_windows one = tsr_windows_adaptive(o, 1, 1);
    tsr_windows line = {.in = n,
                        .out = rows,
                        .from = tsr_operation_take(o, rows, sizeof(int64_t), "windows"),
                        .to = tsr_operation_take(o, rows, sizeof(int64_t), "windows")};
    if (o->status) return (tsr_pooling){0};
    for (int64_t i = 0; i < rows; ++i) {
        const bool window = i >= prefix && i < prefix + pooled;
        line.from[i] = i < prefix ? i : window ? prefix + (i - prefix) * stride : n - rows + i;
        line.to[i] = line.from[i] + (window ? stride : 1);
    }
    if (tell) trace_positions(o, line.from, line.to, rows, prefix, suffix);
    return (tsr_pooling){{1, 1, n}, {one, one, line}, .line = true};
}

static void pool_1d(tsr_operation *o) {
    const tsr_pooling p = run_windows(o, o->in->count, true);
    tsr_windows_replace(o, &p, plain);
}

static void record_pool_1d(tsr_recorded *x) {
    const tsr_pooling p = run_windows(x->o, x->count, x->tells);
    record_pooling(x, &p, NULL, 1);
}

const tsr_operator tsr_operator_pool_1d = {
    .info = {.name = "pool-1d",
             .kind = TSR_OPERATOR_POOL,
             .about = "averages runs of tokens in raster order, with their positions",
             .formula =
                 "token i is the mean of tokens i s .. i s + s - 1, its position the mean of "
                 "their positions; a tail shorter than s is dropped; prefix and suffix (text) "
                 "stay as they are",
             .source = "LLaVolta (Beckschen/LLaVolta @ 31ec151, visual_avg_pool1d)",
             .differs = "positions are averaged in half precision and cut to whole "
                        "numbers, so that above 2,048 neighbours share one: the array "
                        "positions_released of the trace. Here positions are means in float64. As "
                        "published, runs ignore where a row of the grid ends",
             .cost = "N D additions",
             .columns = NULL},
    .parameters = {{"stride", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "tokens of a run"},
                   {"prefix", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "tokens at the start that stay as they are"},
                   {"suffix", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "tokens at the end that stay as they are"},
                   {"first_position", TSR_PARAMETER_INTEGER, "0", 0, 1 << 30, NULL,
                    "position of the first token"}},
    .apply = pool_1d,
    .record = record_pool_1d,
};

/* ---- slow-fast-pool ---- */

/* The frames that the fast stream looks at: *n of them, ascending. */
static int64_t *sample_frames(tsr_operation *o, int64_t frames, int64_t *n, bool tell) {
    const int64_t stride = tsr_operation_integer(o, "sampling_stride"),
                  fewest = tsr_operation_integer(o, "min_fast_frames");
    if (o->status) return NULL;
    *n = frames < fewest || stride == 1 ? frames
         : frames / stride > fewest     ? frames / stride
                                        : fewest;
    int64_t *pick = tsr_operation_take(o, *n, sizeof *pick, "frames");
    int32_t *list = tsr_operation_take(o, *n, sizeof *list, "frames");
    for (int64_t i = 0; i < *n && !o->status; ++i)
        list[i] = (int32_t)(pick[i] = i * frames / *n);
    if (tell) tsr_operation_trace_i32(o, "sampled_frames", list, *n);
    return pick;
}

static tsr_pooling fast_windows(tsr_operation *o, const int64_t *grid, bool tell) {
    const int64_t step = tsr_operation_integer(o, "temporal_stride"),
                  side = tsr_operation_integer(o, "spatial_stride"),
                  fewest = tsr_operation_integer(o, "min_fast_frames");
    int64_t n = 0;
    const int64_t *pick = sample_frames(o, grid[0], &n, tell);
    if (o->status) return (tsr_pooling){0};
    tsr_windows frames = n == 1               ? tsr_windows_sliding(o, n, 1, 1)
                         : n / step >= fewest ? tsr_windows_sliding(o, n, step, step)
                                              : tsr_windows_adaptive(o, n, n < fewest ? n : fewest);
    frames.pick = pick;
    return pooling_of(grid, frames, tsr_windows_sliding(o, grid[1], side, side),
                      tsr_windows_sliding(o, grid[2], side, side));
}

static void slow_fast_pool(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o);
    if (tsr_operation_is(o, "stream", "fast")) {
        const tsr_pooling p = fast_windows(o, grid, true);
        tsr_windows_replace(o, &p, plain);
        tsr_operation_stream(o, "fast");
        return;
    }
    int32_t *index = tsr_operation_take(o, o->in->count, sizeof *index, "indices");
    for (int64_t i = 0; i < o->in->count && !o->status; ++i)
        index[i] = (int32_t)i;
    tsr_operation_keep(o, index, o->in->count);
    tsr_operation_stream(o, "slow");
}

static void record_slow_fast_pool(tsr_recorded *x) {
    const bool fast = tsr_operation_is(x->o, "stream", "fast");
    if (!on_grid(x)) return;
    if (fast) {
        const tsr_pooling p = fast_windows(x->o, x->grid, x->tells);
        record_pooling(x, &p, NULL, 1);
    } else
        tsr_recorded_keep_all(x);
    tsr_recorded_stream(x, fast ? "fast" : "slow");
}

const tsr_operator tsr_operator_slow_fast_pool = {
    .info =
        {.name = "slow-fast-pool",
         .kind = TSR_OPERATOR_POOL,
         .about =
             "makes the fast stream of a video, many frames of few tokens; or names all tokens "
             "the slow stream",
         .formula =
             "n = max(floor(T / sampling_stride), min_fast_frames) frames at floor(i T / n), all "
             "where T < min_fast_frames or the stride is 1; means over temporal_stride of them "
             "where that leaves min_fast_frames, else adaptive means to min(n, min_fast_frames); "
             "then means over windows of spatial_stride rows and columns. One frame: the last "
             "alone",
         .source = "Slow-Fast MLLM (SHI-Labs/Slow-Fast-Video-Multimodal-LLM @ 69676a1, "
                   "sample_fast_frames, split_slow_fast_tokens)",
         .differs = "square grids only, and frames of zeros are appended but never used; "
                    "here any grid, with the same result. As published, frames, rows and columns "
                    "that fill no window are dropped",
         .cost = "N D additions at most",
         .columns = NULL},
    .parameters = {{"stream", TSR_PARAMETER_CHOICE, "fast", 0, 0, "fast|slow",
                    "which stream to make"},
                   {"sampling_stride", TSR_PARAMETER_INTEGER, "1", 1, 1 << 20, NULL,
                    "frames from one sampled frame to the next"},
                   {"temporal_stride", TSR_PARAMETER_INTEGER, "4", 1, 1 << 20, NULL,
                    "sampled frames that become one"},
                   {"spatial_stride", TSR_PARAMETER_INTEGER, "1", 1, 1 << 20, NULL,
                    "side of a window in a frame, tokens"},
                   {"min_fast_frames", TSR_PARAMETER_INTEGER, "16", 1, 1 << 20, NULL,
                    "fewest frames of the fast stream"}},
    .apply = slow_fast_pool,
    .record = record_slow_fast_pool,
};
