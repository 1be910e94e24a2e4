/* SPDX-License-Identifier: MIT */
/* order.c: in which order tokens come, and which ones see each other. */
#include "operator.h"

/* NAR. */
static void wave_order(tsr_operation *o) {
    const int64_t *grid = tsr_operation_grid(o), n = o->in->count;
    const int32_t waves = o->status ? 0 : (int32_t)(grid[0] + grid[1] + grid[2] - 2);
    int32_t *wave = tsr_operation_take(o, n, sizeof *wave, "waves");
    int32_t *size = tsr_operation_take(o, waves, sizeof *size, "waves");
    int32_t *next = tsr_operation_take(o, waves + 1, sizeof *next, "waves");
    int32_t *order = tsr_operation_take(o, n, sizeof *order, "order");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        wave[i] = (int32_t)(i / (grid[1] * grid[2]) + i / grid[2] % grid[1] + i % grid[2]);
        size[wave[i]]++;
    }
    for (int32_t w = 0; w < waves; ++w)
        next[w + 1] = next[w] + size[w];
    for (int64_t i = 0; i < n; ++i) /* raster order within a wave: t, then y rising */
        order[next[wave[i]]++] = (int32_t)i;
    tsr_operation_trace_i32(o, "waves", &waves, 1);
    tsr_operation_trace_i32(o, "order", order, n);
    tsr_operation_trace_i32(o, "wave", wave, n);
    tsr_operation_trace_i32(o, "wave_sizes", size, waves);
    tsr_operation_keep(o, order, n);
}

const tsr_operator tsr_operator_wave_order = {
    .info = {.name = "wave-order",
             .kind = TSR_OPERATOR_ORDER,
             .about = "puts the tokens of a grid in the order of waves from its first corner",
             .formula = "wave of token (t, y, x) = t + y + x; tokens come wave by wave, within a "
                        "wave t and then y rising; T + H + W - 2 waves. A token may see the tokens "
                        "of its own wave and of earlier ones",
             .source = "NAR (ThisisBillhe/NAR @ 225c1fb)",
             .differs = "the published code takes square pictures; here any frames, rows and "
                        "columns",
             .cost = "a few steps a token",
             .columns = NULL},
    .parameters = {{0}},
    .apply = wave_order,
};

/* Rows or columns that token coordinate `at` of `n` sees: how many from *first on. */
static int64_t span(int64_t at, int64_t n, int64_t reach, int64_t *first) {
    const int64_t last = at + reach < n ? at + reach : n - 1;
    *first = at > reach ? at - reach : 0;
    return last - *first + 1;
}

/* YOPO. */
static void neighbour_mask(tsr_operation *o) {
    const int64_t height = tsr_operation_integer(o, "height");
    const int64_t width = tsr_operation_integer(o, "width"), n = height * width;
    const int64_t reach = (tsr_operation_integer(o, "window") - 1) / 2;
    const bool causal = tsr_operation_is(o, "visible", "earlier");
    int64_t total = 0, top = 0, left = 0;
    for (int64_t y = 0; y < height; ++y)
        total += span(y, height, reach, &top);
    int64_t columns = 0;
    for (int64_t x = 0; x < width; ++x)
        columns += span(x, width, reach, &left);
    if (!o->status && total > INT32_MAX / columns)
        tsr_operation_fail(o, TSR_ERROR_TOO_LARGE,
                           "window: wanted at most 2147483647 visible pairs, got %lld times %lld",
                           (long long)total, (long long)columns);
    total = o->status ? 0 : total * columns;
    int32_t *count = tsr_operation_take(o, n, sizeof *count, "counts");
    int32_t *token = tsr_operation_take(o, total, sizeof *token, "visible tokens");
    if (o->status) return;
    int32_t all = 0;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t rows = span(i / width, height, reach, &top);
        const int64_t wide = span(i % width, width, reach, &left);
        const int32_t before = all;
        for (int64_t y = top; y < top + rows; ++y)
            for (int64_t x = left; x < left + wide; ++x)
                if (!causal || y * width + x <= i) token[all++] = (int32_t)(y * width + x);
        count[i] = all - before;
    }
    tsr_operation_trace_i32(o, "visible_per_row", count, n);
    tsr_operation_trace_i32(o, "visible_total", &all, 1);
    tsr_operation_trace_i32(o, "visible", token, all);
}

const tsr_operator tsr_operator_neighbour_mask = {
    .info = {.name = "neighbour-mask",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says which tokens of a grid see each other in a window",
             .formula = "token j is visible to i when their rows and their columns differ by at "
                        "most floor((window - 1) / 2), and with visible=earlier j <= i. The trace "
                        "has the number of visible tokens of each token and their indices, row by "
                        "row",
             .source = "YOPO (ZhangAIPI/YOPO_MLLM_Pruning @ f0783f4)",
             .differs =
                 "the published code has 24 x 24 fixed and replaces the causal mask, so that "
                 "later neighbours are visible; that is the default here, visible=earlier "
                 "hides them",
             .cost = "one integer a visible pair",
             .columns = NULL},
    .parameters = {{"height", TSR_PARAMETER_INTEGER, "24", 1, 32768, NULL, "rows of the grid"},
                   {"width", TSR_PARAMETER_INTEGER, "24", 1, 32768, NULL, "columns of the grid"},
                   {"window", TSR_PARAMETER_INTEGER, "7", 1, 65536, NULL,
                    "side of the window; an even one acts like the next smaller odd one"},
                   {"visible", TSR_PARAMETER_CHOICE, "all", 0, 0, "all|earlier",
                    "whether later neighbours are visible"}},
    .apply = neighbour_mask,
};
