/* SPDX-License-Identifier: MIT */
/* positions.c: where tokens stand: positions of merged tokens, positions between whole numbers,
 * tables of positions. */
#include "operator.h"

#include <math.h>
#include <string.h>

/* ---- several positions of one token ---- */

/* Groups of members: first [groups + 1], member [first[groups]], ascending within a group. */
typedef struct groups {
    int64_t count;
    int32_t *first, *member;
} groups;

/* Sorts members 0 .. n-1 into `count` groups by map, -1: none. Fails where a group is empty. */
static groups group_by(tsr_operation *o, const int32_t *map, int64_t n, int64_t count) {
    groups g = {.count = count};
    g.first = tsr_operation_take(o, count + 2, sizeof *g.first, "groups");
    g.member = tsr_operation_take(o, n, sizeof *g.member, "groups");
    if (o->status) return g;
    for (int64_t i = 0; i < n; ++i)
        if (map[i] >= 0) g.first[map[i] + 2]++;
    for (int64_t c = 0; c < count; ++c) {
        if (!g.first[c + 2])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "clusters: wanted members in every one of %lld, got none in %lld",
                               (long long)count, (long long)c);
        g.first[c + 2] += g.first[c + 1];
    }
    for (int64_t i = 0; i < n; ++i)
        if (map[i] >= 0) g.member[g.first[map[i] + 1]++] = (int32_t)i;
    return g;
}

/* Position j of a group: its last member first, then backwards, starting over. */
static int32_t member_at(const groups *g, int64_t group, int64_t j) {
    const int64_t n = g->first[group + 1] - g->first[group];
    return g->member[g->first[group] + n - 1 - j % n];
}

/* Sections of frequencies for time, row and column become k sections each; a section, counted over
 * both halves of a rotary layout, uses the position row with its number mod 3k. */
static void trace_sections(tsr_operation *o, int64_t k) {
    int count = 0, whole = 1;
    const double *list = tsr_operation_list(o, "sections", &count);
    const bool published = tsr_operation_is(o, "layout", "published");
    int64_t sum = 0;
    if (!o->status && count != 3)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "sections: wanted 3, of time, row and column, got %d", count);
    for (int i = 0; i < 3 && !o->status; ++i) {
        if (list[i] != floor(list[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "sections: wanted whole numbers, got %.10g",
                               list[i]);
        whole &= fmod(list[i], (double)k) == 0;
        sum += (int64_t)list[i];
    }
    if (!o->status && !whole && !published)
        tsr_operation_fail(o, TSR_ERROR_UNSUPPORTED,
                           "sections: wanted multiples of k = %lld, got %s; the published fallback "
                           "is no rotation (layout=published gives it)",
                           (long long)k, tsr_operation_text(o, "sections"));
    const int64_t sections = whole ? 3 * k : sum;
    int32_t *size = tsr_operation_take(o, sections, sizeof *size, "sections");
    int32_t *row = tsr_operation_take(o, 2 * sum, sizeof *row, "sections");
    if (o->status) return;
    for (int64_t s = 0; s < sections; ++s)
        size[s] = whole ? (int32_t)(list[s / k] / (double)k) : 1;
    for (int64_t s = 0, at = 0; s < 2 * sections; ++s)
        for (int32_t i = 0; i < size[s % sections]; ++i)
            row[at++] = (int32_t)(s % (3 * k));
    tsr_operation_trace_i32(o, "new_sections", size, sections);
    tsr_operation_trace_i32(o, "row_of_frequency", row, 2 * sum);
}

/* Whole position of source token i along an axis: 0 frame, 1 row, 2 column. */
static int32_t source_position(const tsr_operation *o, int64_t i, int axis, int64_t width,
                               int64_t offset) {
    const int64_t *grid = o->in->source_grid;
    if (!grid[0]) {
        const int64_t at[3] = {0, i / width, i % width};
        return (int32_t)(at[axis] + offset);
    }
    const int64_t at[3] = {i / (grid[1] * grid[2]), i / grid[2] % grid[1], i % grid[2]};
    return (int32_t)(at[axis] + offset);
}

/* Rows [3k] of a group: k frames, k rows, k columns of its members. */
static void first_stage(const tsr_operation *o, const groups *g, int64_t k, int64_t width,
                        int64_t offset, int32_t *rows) {
    for (int64_t c = 0; c < g->count; ++c)
        for (int axis = 0; axis < 3; ++axis)
            for (int64_t j = 0; j < k; ++j)
                rows[(c * 3 + axis) * k + j] =
                    source_position(o, member_at(g, c, j), axis, width, offset);
}

/* PPE. */
static void multi_position(tsr_operation *o) {
    const tsr_token_set *in = o->in;
    const int64_t k = tsr_operation_integer(o, "k"), offset = tsr_operation_integer(o, "offset");
    const int64_t width = tsr_operation_has(o, "width") ? tsr_operation_integer(o, "width")
                                                        : (in->source > 0 ? in->source : 1);
    const bool merges = tsr_operation_has_column(o, "clusters");
    const bool second = merges && tsr_operation_has_column(o, "member_positions");
    const int32_t *map = in->source_map;
    int64_t count = in->count, members = in->source;
    if (tsr_operation_has(o, "sections")) trace_sections(o, k);
    if (merges) {
        map = tsr_operation_column(o, "clusters", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 1).data;
        count = 0;
        members = in->count;
        for (int64_t i = 0; map && i < in->count; ++i) {
            if (map[i] < 0 || map[i] >= in->count)
                tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                                   "clusters: token %lld: wanted a cluster below %lld, got %d",
                                   (long long)i, (long long)in->count, map[i]);
            count = map[i] >= count ? map[i] + 1 : count;
        }
        if (!o->status && !second && in->count != in->source)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "wanted the column member_positions where tokens are merged already "
                               "(multi-position without clusters makes it), got none");
    }
    if (o->status) return;
    const groups g = group_by(o, map, members, count);
    int32_t *rows = tsr_operation_take(o, count * 3 * k, sizeof *rows, "positions");
    int32_t *chosen = tsr_operation_take(o, count * k, sizeof *chosen, "members");
    if (o->status) return;
    for (int64_t i = 0; i < count * k; ++i)
        chosen[i] = member_at(&g, i / k, i % k);
    if (second) {
        const tsr_token_array before =
            tsr_operation_column(o, "member_positions", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 2);
        if (!o->status && before.dim[1] != 3 * k)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "member_positions: wanted the same k, %lld rows, got %lld",
                               (long long)(3 * k), (long long)before.dim[1]);
        for (int64_t c = 0; c < count && !o->status; ++c)
            memcpy(rows + c * 3 * k,
                   (const int32_t *)before.data + (int64_t)member_at(&g, c, 0) * 3 * k,
                   (size_t)(3 * k) * sizeof *rows);
    } else
        first_stage(o, &g, k, width, offset, rows);
    tsr_operation_trace(o, "members", TSR_ARRAY_I32, 2, (int64_t[]){count, k}, chosen);
    int32_t *same = tsr_operation_take(o, count, sizeof *same, "map");
    for (int64_t i = 0; i < count && same && !merges; ++i)
        same[i] = (int32_t)i;
    if (merges)
        tsr_operation_merge(o, map, count, NULL);
    else
        tsr_operation_keep(o, same, count);
    tsr_operation_attach(o, "member_positions", TSR_ARRAY_I32, TSR_TOKEN_AXIS_FIRST, 2,
                         (int64_t[]){count, 3 * k}, rows);
}

const tsr_operator tsr_operator_multi_position = {
    .info = {.name = "multi-position",
             .kind = TSR_OPERATOR_ORDER,
             .about = "gives each merged token the positions of k of its members",
             .formula = "members of a token in ascending order m_0 .. m_{n-1}; position j of k is "
                        "that of m_{n-1-(j mod n)}; the column member_positions holds k frames, k "
                        "rows, k columns. With the column clusters, tokens are merged by it first; "
                        "if they have member_positions already, those of the last member are "
                        "copied. sections=a+b+c: the trace has a/k, b/k, c/k, each k times, and "
                        "which of the 3k rows each frequency uses",
             .source = "PPE (MouxiaoHuang/PPE @ 7b6aa7d)",
             .differs = "the published code orders members by a sort that is not stable; here the "
                        "order is stable. Sections that k does not divide fall back to a table "
                        "that is no rotation; that is refused unless layout=published",
             .cost = "N + 3 k K integers for K merged tokens",
             .columns = "clusters member_positions"},
    .parameters = {{"k", TSR_PARAMETER_INTEGER, "8", 1, 4096, NULL, "positions of a token"},
                   {"sections", TSR_PARAMETER_LIST, NULL, 1, 65536, NULL,
                    "frequencies of time, row and column, such as 16+24+24; or none"},
                   {"layout", TSR_PARAMETER_CHOICE, "rotary", 0, 0, "rotary|published",
                    "what becomes of sections that k does not divide"},
                   {"offset", TSR_PARAMETER_INTEGER, "0", 0, 1000000000, NULL,
                    "added to every position"},
                   {"width", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "columns of the grid, for source tokens without one"}},
    .apply = multi_position,
};

/* ---- positions between whole numbers ---- */

enum { TILE_TOKENS = 256 };

/* V2PE. */
static void variable_positions(tsr_operation *o) {
    int texts = 0, images = 0, strides = 0;
    const double *text = tsr_operation_list(o, "text", &texts);
    const double *tiles = tsr_operation_list(o, "tiles", &images);
    const double *stride = tsr_operation_list(o, "stride", &strides);
    const int64_t after = tsr_operation_integer(o, "after");
    const int64_t padding = tsr_operation_integer(o, "padding");
    if (!o->status && (texts != images || (strides != images && strides != 1)))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted one text and one stride for each of %d images, got %d and %d",
                           images, texts, strides);
    int64_t n = padding + after;
    for (int i = 0; i < images && !o->status; ++i) {
        if (text[i] != floor(text[i]) || tiles[i] != floor(tiles[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "image %d: wanted whole numbers of tokens and tiles, got %.10g and "
                               "%.10g",
                               i, text[i], tiles[i]);
        n += (int64_t)text[i] + (int64_t)tiles[i] * TILE_TOKENS;
    }
    float *position = tsr_operation_take(o, n, sizeof *position, "positions");
    if (o->status) return;
    int64_t at = 0;
    double next = 0;
    for (; at < padding; ++at)
        position[at] = 1;
    for (int i = 0; i < images; ++i) {
        const double step = stride[strides > 1 ? i : 0] / TILE_TOKENS;
        for (int64_t j = 0; j < (int64_t)text[i]; ++j)
            position[at++] = (float)next++;
        const double start = next - 1; /* of the tag before the image */
        const int64_t tokens = (int64_t)tiles[i] * TILE_TOKENS;
        for (int64_t j = 1; j <= tokens; ++j)
            position[at++] = (float)(start + (double)j * step);
        next = ceil(start + (double)tokens * step) + 1;
    }
    for (int64_t j = 0; j < after; ++j)
        position[at++] = (float)next++;
    tsr_operation_trace_f32(o, "positions", position, n);
}

const tsr_operator tsr_operator_variable_positions = {
    .info = {.name = "variable-positions",
             .kind = TSR_OPERATOR_PLAN,
             .about = "gives positions to text and images in which image tokens take smaller steps",
             .formula = "text: +1 a token, from 0; after the token at p before an image its token "
                        "j = 1, 2, ... stands at p + j stride / 256, 256 tokens a tile; the next "
                        "text token at ceil(last) + 1. Padding stands at 1",
             .source = "V2PE (OpenGVLab/V2PE @ f96f189)",
             .differs = "the published code reads sample 0 for every sample of a batch and can "
                        "draw strides at random; here strides are given. Computed in float64",
             .cost = "one number a token",
             .columns = NULL},
    .parameters = {{"text", TSR_PARAMETER_LIST, NULL, 0, 100000000, NULL,
                    "text tokens before each image, its start tag included"},
                   {"tiles", TSR_PARAMETER_LIST, NULL, 0, 1000000, NULL, "tiles of each image"},
                   {"stride", TSR_PARAMETER_LIST, "64", 0, 1000000, NULL,
                    "steps that a tile takes, of each image or of all"},
                   {"after", TSR_PARAMETER_INTEGER, "0", 0, 100000000, NULL,
                    "text tokens behind the last image, its end tag included"},
                   {"padding", TSR_PARAMETER_INTEGER, "0", 0, 100000000, NULL,
                    "masked tokens before the first"}},
    .apply = variable_positions,
};

/* ---- tables ---- */

/* Giraffe. */
static void rope_tables(tsr_operation *o) {
    const int64_t dim = tsr_operation_integer(o, "dim"), half = dim / 2;
    const double base = tsr_operation_number(o, "base"), scale = tsr_operation_number(o, "scale");
    const double power = tsr_operation_number(o, "power");
    const double truncate = tsr_operation_number(o, "truncate");
    const double turn = 6.283185307179586476925286766559;
    int32_t kept = 0, middle = 0, zero = 0;
    if (!o->status && dim % 2)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "dim: wanted an even number, got %lld",
                           (long long)dim);
    float *theta = tsr_operation_take(o, half, sizeof *theta, "frequencies");
    if (o->status) return;
    for (int64_t j = 0; j < half; ++j) {
        double t = pow(base, -2.0 * (double)j / (double)dim);
        if (scale > 1) t /= scale;
        if (power > 0) t *= pow(1 - (double)j / (double)half, power);
        const double cut = truncate > 0 ? turn / truncate : 0;
        if (t >= cut)
            ++kept;
        else if (t >= cut / 8) {
            ++middle;
            t = turn / (16 * truncate);
        } else {
            ++zero;
            t = 0;
        }
        theta[j] = (float)t;
    }
    tsr_operation_trace_f32(o, "theta", theta, half);
    tsr_operation_trace_i32(o, "kept", &kept, 1);
    tsr_operation_trace_i32(o, "middle", &middle, 1);
    tsr_operation_trace_i32(o, "zero", &zero, 1);
}

const tsr_operator tsr_operator_rope_tables = {
    .info = {.name = "rope-tables",
             .kind = TSR_OPERATOR_PLAN,
             .about = "makes the frequencies of rotary positions: scaled, powered, truncated",
             .formula = "theta_j = base^(-2j / dim), j < dim / 2; scale s > 1: theta / s; power "
                        "p > 0: theta (1 - j / (dim / 2))^p; truncate t > 0 with cut = 2 pi / t: "
                        "theta from cut on, 2 pi / (16 t) from cut / 8 on, 0 below; in this order",
             .source = "Giraffe (abacusai/Long-Context @ c2a90d1)",
             .differs = "as the published code, which keeps a middle band where its README says 0",
             .cost = "dim / 2 numbers, in float64",
             .columns = NULL},
    .parameters = {{"dim", TSR_PARAMETER_INTEGER, "128", 2, 1048576, NULL, "channels of a head"},
                   {"base", TSR_PARAMETER_NUMBER, "10000", 1, 1e15, NULL, "base"},
                   {"scale", TSR_PARAMETER_NUMBER, "1", 0, 1e9, NULL, "s; 1 and below: none"},
                   {"power", TSR_PARAMETER_NUMBER, "0", 0, 1000, NULL, "p; 0: none"},
                   {"truncate", TSR_PARAMETER_NUMBER, "0", 0, 1e12, NULL, "t, positions; 0: none"}},
    .apply = rope_tables,
};

/* Long-CLIP. The rows of the table are the tokens. */
static void table_stretch(tsr_operation *o) {
    const int64_t n = o->in->count, dim = o->in->channels;
    const int64_t keep = tsr_operation_integer(o, "keep");
    const int64_t factor = tsr_operation_integer(o, "factor");
    if (!o->status && (keep > n || (keep < n && n < 2)))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted a table of at least keep = %lld rows, and 2 or more where one "
                           "is stretched, got %lld",
                           (long long)keep, (long long)n);
    if (o->status) return;
    const int64_t made = keep + (n - keep) * factor;
    if (made > INT32_MAX)
        tsr_operation_fail(o, TSR_ERROR_TOO_LARGE, "factor: wanted at most %d rows, got %lld",
                           INT32_MAX, (long long)made);
    float *table = tsr_operation_take(o, made * dim, sizeof *table, "table");
    int32_t *map = tsr_operation_take(o, n, sizeof *map, "map");
    if (o->status) return;
    const float *x = o->in->features;
    memcpy(table, x, (size_t)(keep * dim) * sizeof *table);
    for (int64_t i = 0; i < n; ++i)
        map[i] = (int32_t)(i < keep ? i : keep + (i - keep) * factor);
    for (int64_t i = keep; i < n; ++i)
        for (int64_t q = 0; q < factor; ++q) {
            /* the last row goes on as from the one before */
            const float *from = x + i * dim, *to = i + 1 < n ? from + dim : from;
            const float *back = i + 1 < n ? from : from - dim;
            const double share = (double)q / (double)factor;
            float *row = table + (keep + (i - keep) * factor + q) * dim;
            for (int64_t j = 0; j < dim; ++j)
                row[j] = (float)((double)from[j] + share * ((double)to[j] - (double)back[j]));
        }
    tsr_operation_merge(o, map, made, table);
}

const tsr_operator tsr_operator_table_stretch = {
    .info = {.name = "table-stretch",
             .kind = TSR_OPERATOR_ORDER,
             .about = "stretches a learned table of positions, whose rows are the tokens",
             .formula = "rows before `keep` stay; row i >= keep gives f = factor rows "
                        "t_i + q / f (t_{i+1} - t_i), q = 0 .. f-1; the last row goes on with "
                        "t_{n-1} - t_{n-2}; length keep + (n - keep) f",
             .source = "Long-CLIP (beichenzbc/Long-CLIP @ 3966af9)",
             .differs = "the published code keeps 20 rows and stretches by 4; these are the "
                        "defaults here",
             .cost = "one number an element of the new table",
             .columns = NULL},
    .parameters = {{"keep", TSR_PARAMETER_INTEGER, "20", 0, 2147483647, NULL,
                    "first rows that stay as they are"},
                   {"factor", TSR_PARAMETER_INTEGER, "4", 1, 65536, NULL,
                    "rows that each other row becomes"}},
    .apply = table_stretch,
};
