/* SPDX-License-Identifier: MIT */
/* frame_budget.c: a budget of tokens split over frames by how much each matters, and five ways to
 * bring a frame down to its share. */
#include "bipartite.h"
#include "windows.h"

#include <math.h>
#include <string.h>

/* What is asked for. */
typedef struct budget {
    int64_t frames, rows, columns, tokens; /* tokens = rows * columns of a frame */
    int64_t channels;
    int64_t total; /* tokens of all frames */
    int reducer;   /* 1..5 */
    bool published;
} budget;

/* ---- shares ---- */

/* (100 p)^2 by frame, divided by their sum. */
static void weigh_frames(tsr_operation *o, const budget *b, double *share) {
    /* Read from a file, a number for each frame has the tokens' axis where a frame is one token. */
    const bool tokens =
        tsr_token_set_column(o->in, "frame_scores").axis == TSR_TOKEN_AXIS_FIRST && b->tokens == 1;
    const tsr_token_array a = tsr_operation_column(
        o, "frame_scores", TSR_ARRAY_F32, tokens ? TSR_TOKEN_AXIS_FIRST : TSR_TOKEN_AXIS_NONE, 1);
    const float *p = a.data;
    double sum = 0;
    if (!o->status && a.dim[0] != b->frames)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column frame_scores: wanted a number for each of %lld frames, got %lld",
                           (long long)b->frames, (long long)a.dim[0]);
    for (int64_t i = 0; i < b->frames && !o->status; ++i) {
        if (p[i] < 0)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "column frame_scores: frame %lld: wanted a number not below 0, got "
                               "%g",
                               (long long)i, (double)p[i]);
        share[i] = (100 * (double)p[i]) * (100 * (double)p[i]);
        sum += share[i];
    }
    if (!o->status && !(sum > 0))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column frame_scores: wanted one above 0, got none");
    for (int64_t i = 0; i < b->frames && !o->status; ++i)
        share[i] /= sum;
}

/* One pass, as published: what is cut off goes to the others by their weight in a sum that still
 * holds the frames that were cut, so that some of it is lost. */
static void cap_once(double *share, int64_t n, double cap) {
    double excess = 0, sum = 0;
    for (int64_t i = 0; i < n; ++i) {
        excess += fmax(share[i] - cap, 0);
        sum += fmin(share[i], cap);
    }
    for (int64_t i = 0; i < n; ++i)
        share[i] = share[i] > cap ? cap : share[i] + excess * share[i] / sum;
}

/* Water filling: what is cut off goes to the others until none is above the cap. */
static void fill(double *share, int64_t n, double cap) {
    for (;;) {
        double left = 1, sum = 0;
        bool cut = false;
        for (int64_t i = 0; i < n; ++i)
            if (share[i] >= cap)
                left -= cap;
            else
                sum += share[i];
        const double scale = sum > 0 && left > 0 ? left / sum : 0;
        for (int64_t i = 0; i < n; ++i)
            cut |= share[i] < cap && share[i] * scale >= cap;
        for (int64_t i = 0; i < n; ++i)
            if (share[i] >= cap || share[i] * scale >= cap)
                share[i] = cap;
            else if (!cut)
                share[i] *= scale;
        if (!cut) return;
    }
}

static void split(tsr_operation *o, const budget *b, double *share, int32_t *count) {
    const double cap = (double)b->tokens / (double)b->total;
    weigh_frames(o, b, share);
    if (o->status) return;
    if (!b->published)
        fill(share, b->frames, cap);
    else if (b->reducer > 1)
        cap_once(share, b->frames, cap);
    for (int64_t i = 0; i < b->frames; ++i) {
        const double tokens = floor((double)b->total * share[i]);
        count[i] = (int32_t)(share[i] == cap ? (double)b->tokens : tokens);
    }
}

/* ---- shapes ---- */

typedef struct shape {
    int64_t h, w; /* w is 1 where a frame becomes a list */
} shape;

static int64_t at_most(int64_t a, int64_t most) {
    return a < most ? a : most;
}

/* About square, as published, which is for square frames. Where a side would be longer than the
 * frame's, it is the frame's, and the other takes what fits into n. */
static shape shape_of(const budget *b, int64_t n) {
    if (b->reducer == 3 || b->reducer == 4) return (shape){n, 1};
    const int64_t w = (int64_t)sqrt((double)n), h = (w + 1) * w <= n ? w + 1 : w;
    const bool grows = b->reducer == 1 && b->published;
    if (h > b->rows && !grows) return (shape){b->rows, at_most(n / b->rows, b->columns)};
    if (w > b->columns && !grows) return (shape){at_most(n / b->columns, b->rows), b->columns};
    return (shape){h, w};
}

/* ---- reducers: tokens x [rows * columns, channels] of one frame to y; map [tokens] gets numbers
 * from `base` on ---- */

/* Where a place of `out` lies between two of `in`, corners not aligned. */
static double between(int64_t i, int64_t in, int64_t out, int64_t *low, int64_t *high) {
    const double at = fmax(((double)i + 0.5) * (double)in / (double)out - 0.5, 0);
    *low = (int64_t)at < in - 1 ? (int64_t)at : in - 1;
    *high = *low + 1 < in ? *low + 1 : *low;
    return at - (double)*low;
}

static void bilinear(const budget *b, const float *x, shape s, float *y) {
    const int64_t d = b->channels;
    for (int64_t i = 0; i < s.h; ++i)
        for (int64_t j = 0; j < s.w; ++j) {
            int64_t top, bottom, left, right;
            const double v = between(i, b->rows, s.h, &top, &bottom),
                         u = between(j, b->columns, s.w, &left, &right);
            const float *corner[4] = {
                x + (top * b->columns + left) * d, x + (top * b->columns + right) * d,
                x + (bottom * b->columns + left) * d, x + (bottom * b->columns + right) * d};
            for (int64_t c = 0; c < d; ++c)
                y[(i * s.w + j) * d + c] =
                    (float)((1 - v) * ((1 - u) * (double)corner[0][c] + u * (double)corner[1][c]) +
                            v * ((1 - u) * (double)corner[2][c] + u * (double)corner[3][c]));
        }
}

static void pool_frame(tsr_operation *o, const budget *b, const float *x, shape s, int64_t base,
                       float *y, int32_t *map) {
    const int64_t grid[3] = {1, b->rows, b->columns};
    const tsr_windows axis[3] = {tsr_windows_adaptive(o, 1, 1),
                                 tsr_windows_adaptive(o, b->rows, s.h),
                                 tsr_windows_adaptive(o, b->columns, s.w)};
    if (o->status) return;
    tsr_windows_map(grid, axis, base, map);
    if (b->reducer == 1)
        bilinear(b, x, s, y);
    else
        tsr_windows_mean(o, x, b->channels, grid, axis, (tsr_window_weights){0}, y);
}

/* Number j of n evenly spaced ones from 0 to `last` in f32, as PyTorch counts them on a machine
 * with vectors of 8: whole vectors from their first number on, and from the middle on backwards
 * from the end. Its last bit decides picks. */
static float linspace(int64_t j, int64_t n, float last) {
    const float step = last / (float)(n - 1);
    const int64_t vector = j / 8 * 8, first = vector + 8 <= n ? vector : j;
    const float at = first < n / 2 ? step * (float)first : last - step * (float)(n - 1 - first);
    const float rest = step * (float)(j - first);
    return at + rest;
}

/* Token of pick j of n, evenly from the first to the last of a frame. */
static int64_t pick(const budget *b, int64_t j, int64_t n) {
    const int64_t last = b->tokens - 1;
    if (n == 1) return 0;
    return b->published ? (int64_t)linspace(j, n, (float)last) : j * last / (n - 1);
}

static void pick_tokens(const budget *b, const float *x, int64_t n, int64_t base, float *y,
                        int32_t *map) {
    for (int64_t i = 0; i < b->tokens; ++i)
        map[i] = -1;
    for (int64_t j = 0; j < n; ++j) {
        const int64_t i = pick(b, j, n);
        map[i] = (int32_t)(base + j);
        memcpy(y + j * b->channels, x + i * b->channels, (size_t)b->channels * sizeof *y);
    }
}

static void merge_frame(tsr_operation *o, const budget *b, const float *x, const float *sizes,
                        int64_t n, int64_t base, float *y, int32_t *map) {
    const float *merged =
        tsr_bipartite_halve(o, x, sizes, b->tokens, b->channels, n, b->published, map, NULL, NULL);
    if (o->status) return;
    memcpy(y, merged, (size_t)(n * b->channels) * sizeof *y);
    for (int64_t i = 0; i < b->tokens; ++i)
        map[i] += (int32_t)base;
}

/* Merges each of `lines` lines of `from` tokens to `to`; token j of line i stands at
 * i * line + j * step, before and after, and so do its size and its place in the map. */
typedef struct lines {
    int64_t lines, from, to;
    int64_t line_in, step_in, line_out, step_out;
} lines;

static void merge_lines(tsr_operation *o, const budget *b, const lines *l, const float *x,
                        const float *sizes, float *y, float *sizes_out, int32_t *map) {
    const int64_t d = b->channels;
    float *line = tsr_operation_take(o, l->from * d, sizeof *line, "line");
    float *size = tsr_operation_take(o, l->from, sizeof *size, "sizes");
    int32_t *to = tsr_operation_take(o, l->from, sizeof *to, "map");
    for (int64_t i = 0; i < l->lines && !o->status; ++i) {
        for (int64_t j = 0; j < l->from; ++j) {
            const int64_t at = i * l->line_in + j * l->step_in;
            memcpy(line + j * d, x + at * d, (size_t)d * sizeof *line);
            size[j] = sizes[at];
        }
        const float *merged =
            tsr_bipartite_halve(o, line, size, l->from, d, l->to, b->published, to, NULL, NULL);
        for (int64_t j = 0; j < l->to && !o->status; ++j)
            memcpy(y + (i * l->line_out + j * l->step_out) * d, merged + j * d,
                   (size_t)d * sizeof *y);
        for (int64_t j = 0; j < l->from && !o->status; ++j) {
            const int64_t out = i * l->line_out + to[j] * l->step_out;
            map[i * l->line_in + j * l->step_in] = (int32_t)out;
            sizes_out[out] += size[j];
        }
    }
}

/* Rows to s.w tokens, then columns to s.h. */
static void merge_rows_columns(tsr_operation *o, const budget *b, const float *x,
                               const float *sizes, shape s, int64_t base, float *y, int32_t *map) {
    const int64_t h = b->rows, w = b->columns;
    float *half = tsr_operation_take(o, h * s.w * b->channels, sizeof *half, "rows");
    float *half_sizes = tsr_operation_take(o, h * s.w, sizeof *half_sizes, "sizes");
    float *last_sizes = tsr_operation_take(o, s.h * s.w, sizeof *last_sizes, "sizes");
    int32_t *down = tsr_operation_take(o, h * s.w, sizeof *down, "map");
    merge_lines(o, b, &(lines){h, w, s.w, w, 1, s.w, 1}, x, sizes, half, half_sizes, map);
    merge_lines(o, b, &(lines){s.w, h, s.h, 1, s.w, 1, s.w}, half, half_sizes, y, last_sizes, down);
    for (int64_t i = 0; i < b->tokens && !o->status; ++i)
        map[i] = (int32_t)(base + down[map[i]]);
}

/* Runs with arrays of its own, which are given back after each frame. */
static void reduce_frame(tsr_operation *o, const budget *b, int64_t frame, int64_t n, int64_t base,
                         float *y, int32_t *map) {
    const float *x = o->in->features + frame * b->tokens * b->channels,
                *sizes = o->in->sizes + frame * b->tokens;
    const shape s = shape_of(b, n);
    tsr_operation inner = *o;
    inner.scratch = (tsr_scratch){.ctx = o->ctx, .reuse = true};
    y += base * b->channels;
    map += frame * b->tokens;
    if (b->reducer <= 2)
        pool_frame(&inner, b, x, s, base, y, map);
    else if (b->reducer == 3)
        pick_tokens(b, x, n, base, y, map);
    else if (b->reducer == 4)
        merge_frame(&inner, b, x, sizes, n, base, y, map);
    else
        merge_rows_columns(&inner, b, x, sizes, s, base, y, map);
    tsr_scratch_free(&inner.scratch);
    o->status = inner.status;
}

/* ---- the operator ---- */

/* Shapes of the frames that remain, [frames, 2] or of lists [frames, 1]; with picks their tokens.
 */
static void trace_shapes(tsr_operation *o, const budget *b, const int32_t *count, int64_t rows) {
    int32_t *shapes = tsr_operation_take(o, 2 * b->frames, sizeof *shapes, "shapes"),
            *picks = tsr_operation_take(o, rows, sizeof *picks, "picks");
    int64_t frames = 0, at = 0;
    const bool list = b->reducer == 3 || b->reducer == 4;
    for (int64_t t = 0; t < b->frames && !o->status; ++t) {
        const shape s = shape_of(b, count[t]);
        if (!count[t]) continue;
        shapes[list ? frames : 2 * frames] = (int32_t)s.h;
        if (!list) shapes[2 * frames + 1] = (int32_t)s.w;
        ++frames;
        for (int64_t j = 0; b->reducer == 3 && j < count[t]; ++j)
            picks[at++] = (int32_t)pick(b, j, count[t]);
    }
    tsr_operation_trace(o, "shapes", TSR_ARRAY_I32, 2, (int64_t[]){frames, list ? 1 : 2}, shapes);
    if (b->reducer == 3) tsr_operation_trace_i32(o, "picks", picks, at);
}

static void frame_budget(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count;
    budget b = {.frames = grid[0],
                .rows = grid[1],
                .columns = grid[2],
                .tokens = grid[1] * grid[2],
                .channels = o->in->channels,
                .total = tsr_operation_integer(o, "max_token") * tsr_operation_integer(o, "total"),
                .published = tsr_operation_is(o, "variant", "published")};
    b.reducer = tsr_operation_text(o, "reducer")[0] ? tsr_operation_text(o, "reducer")[1] - '0' : 0;
    double *share = tsr_operation_take(o, b.frames, sizeof *share, "shares");
    int32_t *count = tsr_operation_take(o, b.frames, sizeof *count, "counts");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    if (o->status) return;
    split(o, &b, share, count);
    int64_t rows = 0, base = 0;
    for (int64_t t = 0; t < b.frames && !o->status; ++t) {
        const shape s = shape_of(&b, count[t]);
        rows += s.h * s.w;
    }
    float *y = tsr_operation_take(o, rows * b.channels, sizeof *y, "features");
    for (int64_t i = 0; i < n && !o->status; ++i)
        map[i] = -1;
    for (int64_t t = 0; t < b.frames && !o->status; ++t) {
        const shape s = shape_of(&b, count[t]);
        if (count[t]) reduce_frame(o, &b, t, count[t], base, y, map);
        base += s.h * s.w;
    }
    tsr_operation_trace_f64(o, "shares", share, b.frames);
    tsr_operation_trace_i32(o, "counts", count, b.frames);
    trace_shapes(o, &b, count, rows);
    tsr_operation_merge(o, map, rows, y);
}

const tsr_operator tsr_operator_frame_budget = {
    .info =
        {.name = "frame-budget",
         .kind = TSR_OPERATOR_POOL,
         .about = "splits a budget of tokens over frames by their scores and reduces each frame to "
                  "its share",
         .formula =
             "w = (100 p)^2 / sum, B = max_token * total; no share above N / B, N the tokens of a "
             "frame; n = floor(B w), frames with n = 0 vanish. w x h: w = floor(sqrt(n)), h = w + "
             "1 "
             "where that fits into n, else w, and no side longer than the frame's. v1 bilinear, v2 "
             "adaptive means, v3 evenly spaced "
             "picks, v4 bipartite merging in halves to n, v5 the same in rows to w, then in "
             "columns "
             "to h",
         .source = "QuoTA (MAC-AutoML/QuoTA @ ec194d7, scale_weights, token_compress)",
         .differs =
             "with variant=published v1 is not capped, the cap of the others makes one "
             "pass "
             "and loses budget, picks are a linspace in f32, v4 and v5 forget sizes between steps "
             "(and stop with a NameError in the release). Here shares fill up until none is above "
             "the cap, picks are floor(j (N - 1) / (n - 1)) and sizes are carried",
         .cost = "N D for v1 to v3, per frame N^2 D / 3 for v4 and less for v5",
         .columns = "frame_scores"},
    .parameters =
        {{"max_token", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 20, NULL, "tokens of a frame's budget"},
         {"total", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 10, NULL, "frames whose budget is split"},
         {"reducer", TSR_PARAMETER_CHOICE, "v2", 0, 0, "v1|v2|v3|v4|v5", "how frames are reduced"},
         {"variant", TSR_PARAMETER_CHOICE, "filling", 0, 0, "filling|published",
          "how shares are capped, picks spaced and sizes kept"}},
    .apply = frame_budget,
};
