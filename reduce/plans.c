/* SPDX-License-Identifier: MIT */
/* plans.c: how pictures are cut into tiles, and how many tokens they become: answers in whole
 * numbers, for a list of picture sizes. No tokens are needed. */
#include "operator.h"

#include <math.h>
#include <string.h>

#define SIZES                                                                                      \
    {                                                                                              \
        "sizes", TSR_PARAMETER_LIST, NULL, 1, 1 << 24, NULL,                                       \
            "width and height of each picture, pixels: 640+480+1024+768"                           \
    }

typedef struct picture {
    int64_t w, h;
} picture;

/* Numbers of the list `name`, which must be whole. */
static const double *read_whole(tsr_operation *o, const char *name, int *count) {
    const double *list = tsr_operation_list(o, name, count);
    for (int i = 0; i < *count && !o->status; ++i)
        if (list[i] != floor(list[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted whole numbers, got %g", name,
                               list[i]);
    return o->status ? NULL : list;
}

/* Reads the parameter `sizes`, writes it to the trace as "size" [*n, 2], and answers the pictures.
 * NULL after a failure. */
static const picture *read_pictures(tsr_operation *o, int64_t *n) {
    int count = 0;
    const double *side = read_whole(o, "sizes", &count);
    if (!o->status && (count % 2 || !count))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "sizes: wanted a width and a height for each picture, got %d numbers",
                           count);
    *n = count / 2;
    picture *p = tsr_operation_take(o, *n, sizeof *p, "pictures");
    int32_t *size = tsr_operation_take(o, count, sizeof *size, "sizes");
    if (o->status) return NULL;
    for (int i = 0; i < count; ++i)
        size[i] = (int32_t)side[i];
    for (int64_t i = 0; i < *n; ++i)
        p[i] = (picture){size[2 * i], size[2 * i + 1]};
    tsr_operation_trace(o, "size", TSR_ARRAY_I32, 2, (int64_t[]){*n, 2}, size);
    return p;
}

static int32_t *take_i32(tsr_operation *o, int64_t n) {
    return tsr_operation_take(o, n, sizeof(int32_t), "plan");
}
static void trace_pairs(tsr_operation *o, const char *name, const int32_t *pairs, int64_t n) {
    tsr_operation_trace(o, name, TSR_ARRAY_I32, 2, (int64_t[]){n, 2}, pairs);
}
/* Writes a single number to the trace; fails where it is no int32. */
static void trace_number(tsr_operation *o, const char *name, int64_t x) {
    const int32_t number = (int32_t)x;
    if (x > INT32_MAX)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted a count below 2^31, got %lld", name,
                           (long long)x);
    tsr_operation_trace_i32(o, name, &number, 1);
}

static int64_t ceil_divide(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}
/* Nearest whole number, half to even. */
static int64_t round_even(double x) {
    return (int64_t)nearbyint(x);
}

/* ---- shard-plan ---- */

static void shard_plan(tsr_operation *o) {
    int64_t n = 0;
    const picture *p = read_pictures(o, &n);
    const int64_t shard = tsr_operation_integer(o, "shard"),
                  max_grid = tsr_operation_integer(o, "max_grid");
    const bool published = tsr_operation_is(o, "variant", "published");
    int32_t *resized = take_i32(o, 2 * n), *grid = take_i32(o, 2 * n), *tiles = take_i32(o, n);
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t long_in = most(p[i].w, p[i].h), short_in = least(p[i].w, p[i].h);
        const int64_t g = least(ceil_divide(long_in, shard), max_grid);
        const int64_t scaled = g * shard * short_in / long_in;
        const int64_t s = least(most(ceil_divide(scaled, shard), 1), max_grid);
        const int64_t columns = p[i].w >= p[i].h ? g : s, rows = p[i].w >= p[i].h ? s : g;
        resized[2 * i] = (int32_t)(columns * shard);
        resized[2 * i + 1] = (int32_t)(rows * shard);
        grid[2 * i] = (int32_t)rows;
        grid[2 * i + 1] = (int32_t)columns;
        tiles[i] = (int32_t)(rows * columns == 1 && !published ? 1 : rows * columns + 1);
    }
    trace_pairs(o, "resized", resized, n);
    trace_pairs(o, "grid_rows_columns", grid, n);
    tsr_operation_trace_i32(o, "tiles", tiles, n);
}

const tsr_operator tsr_operator_shard_plan = {
    .info = {.name = "shard-plan",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says to which grid of square shards each picture is stretched and cut",
             .formula =
                 "g = min(ceil(max(w, h) / shard), max_grid); the long side becomes g shards, "
                 "the short one floor(g * shard * short / long) pixels, rounded up to shards, "
                 "at most max_grid. Tiles: the whole picture at one shard, then the grid row "
                 "by row",
             .source =
                 "AdaptVision (harrytea/AdaptVision @ 7518e3b, expand2square, sliding_window)",
             .differs = "a picture of one shard is listed twice, whole and as the only "
                        "tile of its grid; here once, unless variant=published. Whatever the "
                        "published names say, the picture is stretched, not padded",
             .cost = "constant for each picture",
             .columns = NULL},
    .parameters = {SIZES,
                   {"shard", TSR_PARAMETER_INTEGER, "336", 1, 1 << 14, NULL,
                    "side of a shard, pixels"},
                   {"max_grid", TSR_PARAMETER_INTEGER, "3", 1, 256, NULL,
                    "most shards along a side"},
                   {"variant", TSR_PARAMETER_CHOICE, "once", 0, 0, "once|published",
                    "published: a picture of one shard counts twice"}},
    .apply = shard_plan,
};

/* ---- tile-plan ---- */

typedef struct canvas {
    int64_t rows, columns; /* tiles; 0: the picture is not cut */
} canvas;

/* The grid of at most `patches` tiles, not 1 x 1, that shows most pixels of the picture, then
 * wastes least, the first in the order of rows, then columns. Arithmetic as in the published code:
 * sides are scaled in float64 and cut to whole pixels. */
static canvas choose_canvas(picture p, int64_t patches, int64_t patch) {
    canvas best = {0, 0};
    double best_area = 0, best_waste = INFINITY;
    for (int64_t r = 1; r <= patches; ++r)
        for (int64_t c = 1; r * c <= patches; ++c) {
            if (r * c == 1) continue;
            const double w = (double)(c * patch), h = (double)(r * patch);
            const double scale = fmin(w / (double)p.w, h / (double)p.h);
            const double scaled = floor((double)p.w * scale) * floor((double)p.h * scale);
            const double area = fmin(scaled, (double)p.w * (double)p.h), waste = w * h - area;
            if (area > best_area || (area == best_area && waste < best_waste)) {
                best = (canvas){r, c};
                best_area = area;
                best_waste = waste;
            }
        }
    return best;
}

/* Shares out the budget: allocated [n]. */
static void allocate(tsr_operation *o, const picture *p, int64_t n, int64_t patch, int64_t budget,
                     int32_t *allocated) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n && !o->status; ++i) {
        int64_t c =
            round_even((double)p[i].w / (double)patch) * round_even((double)p[i].h / (double)patch);
        if (c == 1) c = 0;
        if (c > INT32_MAX)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "sizes: picture %lld: wanted below 2^31 tiles, got %lld",
                               (long long)i, (long long)c);
        allocated[i] = (int32_t)c;
        sum += c;
    }
    for (int64_t i = 0; i < n && sum > budget; ++i)
        allocated[i] = (int32_t)((double)allocated[i] * ((double)budget / (double)sum));
}

static void allocated_tiles(tsr_operation *o, const picture *p, int64_t n) {
    const int64_t patch = tsr_operation_integer(o, "patch");
    const int64_t budget = most(tsr_operation_integer(o, "total") - n, 0);
    int32_t *allocated = take_i32(o, n), *size = take_i32(o, 2 * n), *tiles = take_i32(o, n),
            *resized = take_i32(o, 2 * n), *at = take_i32(o, 2 * n);
    int64_t total = n;
    if (o->status) return;
    const bool given = tsr_operation_has(o, "patches");
    int count = 0;
    const double *patches = given ? read_whole(o, "patches", &count) : NULL;
    if (given && !o->status && count != n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "patches: wanted a number for each of %lld pictures, got %d",
                           (long long)n, count);
    if (!given) allocate(o, p, n, patch, budget, allocated);
    for (int64_t i = 0; i < n && !o->status; ++i) {
        if (given) allocated[i] = (int32_t)patches[i];
        const canvas c = choose_canvas(p[i], allocated[i], patch);
        if (c.rows) {
            const int64_t w = c.columns * patch, h = c.rows * patch;
            const double sw = (double)w / (double)p[i].w, sh = (double)h / (double)p[i].h;
            const int64_t rw = sw < sh ? w : least((int64_t)ceil((double)p[i].w * sh), w);
            const int64_t rh = sw < sh ? least((int64_t)ceil((double)p[i].h * sw), h) : h;
            size[2 * i] = (int32_t)w;
            size[2 * i + 1] = (int32_t)h;
            resized[2 * i] = (int32_t)rw;
            resized[2 * i + 1] = (int32_t)rh;
            at[2 * i] = (int32_t)((w - rw) / 2);
            at[2 * i + 1] = (int32_t)((h - rh) / 2);
        }
        tiles[i] = (int32_t)(c.rows * c.columns);
        total += tiles[i];
    }
    tsr_operation_trace_i32(o, "allocated", allocated, n);
    trace_pairs(o, "canvas", size, n);
    tsr_operation_trace_i32(o, "tiles", tiles, n);
    trace_pairs(o, "resized", resized, n);
    trace_pairs(o, "pasted_at", at, n);
    trace_number(o, "tiles_total", total);
}

static void quadrants(tsr_operation *o, const picture *p, int64_t n) {
    const int64_t limit = tsr_operation_integer(o, "limit");
    const bool published = tsr_operation_is(o, "variant", "published");
    int32_t *boxes = take_i32(o, 16 * n), *tiles = take_i32(o, n);
    int64_t total = n;
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        if (p[i].w <= limit && p[i].h <= limit) continue;
        const int64_t x = p[i].w / 2, y = p[i].h / 2;
        const int64_t w = published ? 2 * x : p[i].w, h = published ? 2 * y : p[i].h;
        const int64_t box[16] = {0, 0, x, y, x, 0, w, y, 0, y, x, h, x, y, w, h};
        for (int j = 0; j < 16; ++j)
            boxes[16 * i + j] = (int32_t)box[j];
        tiles[i] = 4;
        total += 4;
    }
    tsr_operation_trace(o, "boxes", TSR_ARRAY_I32, 3, (int64_t[]){n, 4, 4}, boxes);
    tsr_operation_trace_i32(o, "tiles", tiles, n);
    trace_number(o, "tiles_total", total);
}

static void tile_plan(tsr_operation *o) {
    int64_t n = 0;
    const picture *p = read_pictures(o, &n);
    if (o->status) return;
    if (tsr_operation_is(o, "rule", "quadrants"))
        quadrants(o, p, n);
    else
        allocated_tiles(o, p, n);
}

const tsr_operator tsr_operator_tile_plan = {
    .info =
        {.name = "tile-plan",
         .kind = TSR_OPERATOR_PLAN,
         .about = "shares a budget of tiles out among pictures and cuts each into a grid",
         .formula =
             "allocation: budget = total - pictures; c = round(w / patch) * round(h / patch), "
             "half to even, 1 counts as 0; where the sum is above the budget c = floor(c * "
             "budget / sum). A picture takes the grid of at most c tiles, not 1 x 1, that shows "
             "most of its pixels, then wastes least, then comes first row by row; it is resized "
             "to fit and centred. quadrants: four quarters where a side is above limit. The "
             "whole picture is one more tile",
         .source = "LEOPARD (tencent-ailab/Leopard @ 36c5f61, allocate_patches, "
                   "select_best_resolution, cut_img)",
         .differs =
             "The rule of quadrants is in the published code but never called, and loses the last "
             "row or column of an odd side; here every pixel is covered, unless "
             "variant=published. Published evaluation puts the whole picture before its tiles, "
             "training puts it after them: the plan says no order",
         .cost = "c log c for each picture of c tiles",
         .columns = NULL},
    .parameters = {SIZES,
                   {"rule", TSR_PARAMETER_CHOICE, "allocation", 0, 0, "allocation|quadrants",
                    "how pictures are cut"},
                   {"patch", TSR_PARAMETER_INTEGER, "364", 1, 1 << 14, NULL,
                    "side of a tile, pixels"},
                   {"total", TSR_PARAMETER_INTEGER, "50", 0, 1 << 20, NULL,
                    "most tiles, whole pictures included"},
                   {"patches", TSR_PARAMETER_LIST, NULL, 0, 1 << 20, NULL,
                    "most tiles of each picture, instead of a share of total"},
                   {"limit", TSR_PARAMETER_INTEGER, "672", 1, 1 << 24, NULL,
                    "quadrants: longest side of a picture that stays whole, pixels"},
                   {"variant", TSR_PARAMETER_CHOICE, "covering", 0, 0, "covering|published",
                    "published: quadrants of odd sides lose the last row or column"}},
    .apply = tile_plan,
};

/* ---- patch-counts ---- */

static void patch_counts(tsr_operation *o) {
    int64_t n = 0;
    int patches = 0;
    const picture *p = read_pictures(o, &n);
    const double *patch = read_whole(o, "patch", &patches);
    const int64_t merge = tsr_operation_integer(o, "merge");
    int32_t *count = take_i32(o, n * patches), *quarter = take_i32(o, n * patches),
            *sides = take_i32(o, patches);
    for (int64_t i = 0; i < n * patches && !o->status; ++i) {
        const picture whole = p[i / patches];
        const picture half = {most(whole.w / 2, 1), most(whole.h / 2, 1)};
        const int64_t side = (int64_t)patch[i % patches] * merge;
        const int64_t tokens = ceil_divide(whole.w, side) * ceil_divide(whole.h, side);
        if (tokens > INT32_MAX)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "sizes: picture %lld: wanted below 2^31 tokens, got %lld",
                               (long long)(i / patches), (long long)tokens);
        count[i] = (int32_t)tokens;
        quarter[i] = (int32_t)(ceil_divide(half.w, side) * ceil_divide(half.h, side));
        sides[i % patches] = (int32_t)patch[i % patches];
    }
    tsr_operation_trace_i32(o, "patch", sides, patches);
    tsr_operation_trace(o, "counts", TSR_ARRAY_I32, 2, (int64_t[]){n, patches}, count);
    tsr_operation_trace(o, "quarter_counts", TSR_ARRAY_I32, 2, (int64_t[]){n, patches}, quarter);
}

const tsr_operator tsr_operator_patch_counts = {
    .info = {.name = "patch-counts",
             .kind = TSR_OPERATOR_PLAN,
             .about =
                 "says how many patches each picture has, whole and at a quarter of its pixels",
             .formula = "ceil(w / (patch * merge)) * ceil(h / (patch * merge)) for each patch; for "
                        "the quarter both sides are halved first, rounded down, at least 1",
             .source = "patch scaling laws (abstract: 224 pixels give 196 to 50,176 tokens), "
                       "quarter-area first passes",
             .differs = NULL,
             .cost = "constant for each picture and patch",
             .columns = NULL},
    .parameters = {SIZES,
                   {"patch", TSR_PARAMETER_LIST, "16+8+4+2+1", 1, 1 << 14, NULL,
                    "sides of patches, pixels"},
                   {"merge", TSR_PARAMETER_INTEGER, "1", 1, 256, NULL,
                    "patches along a side that become one token"}},
    .apply = patch_counts,
};

/* ---- cell-counts ---- */

/* Sides of the picture as Qwen2-VL resizes it, in cells; {0, 0} where it refuses. */
static picture resized_cells(picture p, double cell, double least_pixels, double most_pixels) {
    const double w = (double)p.w, h = (double)p.h;
    if (fmin(w, h) < cell || fmax(w, h) / fmin(w, h) > 200) return (picture){0, 0};
    double x = nearbyint(w / cell), y = nearbyint(h / cell);
    if (x * y * cell * cell > most_pixels) {
        const double shrink = sqrt(w * h / most_pixels);
        x = fmax(floor(w / shrink / cell), 1);
        y = fmax(floor(h / shrink / cell), 1);
    } else if (x * y * cell * cell < least_pixels) {
        const double grow = sqrt(least_pixels / (w * h));
        x = ceil(w * grow / cell);
        y = ceil(h * grow / cell);
    }
    return (picture){(int64_t)x, (int64_t)y};
}

static void cell_counts(tsr_operation *o) {
    int64_t n = 0, total_plain = 0, total_exact = 0;
    const picture *p = read_pictures(o, &n);
    const int64_t cell = tsr_operation_integer(o, "cell");
    const double factor = tsr_operation_number(o, "factor"),
                 least_pixels = (double)tsr_operation_integer(o, "min_pixels"),
                 most_pixels = (double)tsr_operation_integer(o, "max_pixels");
    int32_t *plain = take_i32(o, n), *exact = take_i32(o, n), *resized = take_i32(o, 2 * n);
    if (!o->status && least_pixels > most_pixels)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "min_pixels: wanted at most the %.0f of max_pixels, got %.0f",
                           most_pixels, least_pixels);
    for (int64_t i = 0; i < n && !o->status; ++i) {
        const picture s = {most((int64_t)((double)p[i].w * factor), 1),
                           most((int64_t)((double)p[i].h * factor), 1)};
        const int64_t cells = ceil_divide(s.w, cell) * ceil_divide(s.h, cell);
        if (cells > INT32_MAX)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "sizes: picture %lld: wanted below 2^31 cells, got %lld",
                               (long long)i, (long long)cells);
        const picture r = resized_cells(s, (double)cell, least_pixels, most_pixels);
        plain[i] = (int32_t)cells;
        exact[i] = (int32_t)(r.w * r.h);
        resized[2 * i] = (int32_t)(r.w * cell);
        resized[2 * i + 1] = (int32_t)(r.h * cell);
        total_plain += plain[i];
        total_exact += exact[i];
    }
    tsr_operation_trace_i32(o, "plain", plain, n);
    trace_pairs(o, "resized", resized, n);
    tsr_operation_trace_i32(o, "exact", exact, n);
    trace_number(o, "total_plain", total_plain);
    trace_number(o, "total_exact", total_exact);
}

const tsr_operator tsr_operator_cell_counts = {
    .info = {.name = "cell-counts",
             .kind = TSR_OPERATOR_PLAN,
             .about =
                 "says how many cells of 28 pixels each picture has: by the plain rule, and as "
                 "Qwen2-VL resizes it",
             .formula =
                 "plain = ceil(w / cell) * ceil(h / cell). exact: sides rounded to the nearest "
                 "cell, half to even, and where the pixels leave min_pixels..max_pixels scaled by "
                 "their root and cut down, or up, to cells. With a factor sides become "
                 "floor(side * factor) first",
             .source =
                 "MMLongBench (EdinburghNLP/MMLongBench @ 22b9f27, a rule in words); smart_resize "
                 "of Qwen2-VL (diankun-wu/Spatial-MLLM @ 9fc4738)",
             .differs =
                 "Published code fails for a side below a cell and for sides beyond 200 : 1; here "
                 "the exact count of such a picture is 0 and its plain count holds",
             .cost = "constant for each picture",
             .columns = NULL},
    .parameters = {SIZES,
                   {"cell", TSR_PARAMETER_INTEGER, "28", 1, 1 << 14, NULL,
                    "side of a cell, pixels"},
                   {"factor", TSR_PARAMETER_NUMBER, "1", 1e-6, 64, NULL,
                    "what sides are multiplied with first"},
                   {"min_pixels", TSR_PARAMETER_INTEGER, "3136", 1, 2147483647, NULL,
                    "fewest pixels of a resized picture"},
                   {"max_pixels", TSR_PARAMETER_INTEGER, "1003520", 1, 2147483647, NULL,
                    "most pixels of a resized picture"}},
    .apply = cell_counts,
};
