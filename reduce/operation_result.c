/* SPDX-License-Identifier: MIT */
/* operation_result.c: what becomes of the tokens of an operation: keep, merge, replace, and what
 * follows from it. */
#include "../compute/threads.h"
#include "average.h"
#include "operator.h"

#include <stdio.h>
#include <string.h>

enum { KEEP_ROWS = 64, KEEP_ALONE = 1 << 18 /* numbers that one thread copies */ };

/* out->source_map: first by the old map, then by `map` of the tokens. */
static void compose(const tsr_operation *o, const int32_t *map) {
    for (int64_t i = 0; i < o->in->source; ++i) {
        const int32_t token = o->in->source_map[i];
        o->out->source_map[i] = token < 0 ? -1 : map[token];
        if (o->out->source_map[i] >= 0) o->out->sizes[o->out->source_map[i]] += 1;
    }
}

/* Means of rows x [tokens, width] over the tokens of each new one, weighted by size. */
static void average(tsr_operation *o, const float *x, int64_t width, const int32_t *map,
                    int64_t rows, float *to) {
    tsr_average(o, x, o->in->count, width, o->in->sizes, map, rows, to);
}

/* Copies the elements of a line that belong to tokens index[0 .. k-1], and with `first` the one
 * before them all. */
static void keep_line(const char *line, const int32_t *index, int64_t k, int64_t first,
                      size_t bytes, char *to) {
    if (first) memcpy(to, line, bytes);
    if (bytes == sizeof(float))
        for (int64_t j = 0; j < k; ++j)
            memcpy(to + (size_t)(j + first) * sizeof(float),
                   line + (size_t)(index[j] + first) * sizeof(float), sizeof(float));
    else
        for (int64_t j = 0; j < k; ++j)
            memcpy(to + (size_t)(j + first) * bytes, line + (size_t)(index[j] + first) * bytes,
                   bytes);
}

/* Copies a column for tokens index[0 .. k-1]. */
static void keep_column(tsr_operation *o, const tsr_token_array *a, const int32_t *index,
                        int64_t k) {
    tsr_token_array b = *a;
    const size_t bytes = tsr_array_type_bytes(a->type);
    const int64_t n = tsr_token_array_elements(a);
    if (a->axis == TSR_TOKEN_AXIS_NONE) {
        if (!o->status) o->status = tsr_token_set_add(o->out, a);
        return;
    }
    const bool square = a->axis == TSR_TOKEN_AXIS_SQUARE;
    const int64_t last = a->dim[a->rank - 1], first_row = square && last == o->in->count + 1;
    if (a->axis == TSR_TOKEN_AXIS_FIRST) b.dim[0] = k;
    if (a->axis == TSR_TOKEN_AXIS_LAST || square) b.dim[b.rank - 1] = k + first_row;
    if (square) b.dim[b.rank - 2] = k + first_row;
    char *to = tsr_operation_take_raw(o, tsr_token_array_elements(&b), bytes, a->name);
    const char *from = a->data;
    if (!to) return;
    b.data = to;
    const int64_t row = n / a->dim[0];
    if (a->axis == TSR_TOKEN_AXIS_FIRST)
        for (int64_t i = 0; i < k; ++i)
            memcpy(to + (size_t)(i * row) * bytes, from + (size_t)(index[i] * row) * bytes,
                   (size_t)row * bytes);
    else {
        const int64_t planes = n / (square ? last * last : last), rows = square ? k + first_row : 1;
        for (int64_t p = 0; p < planes; ++p)
            for (int64_t i = 0; i < rows; ++i, to += (size_t)(k + first_row) * bytes) {
                const int64_t y = i < first_row ? 0 : square ? index[i - first_row] + first_row : 0;
                const char *line = from + (size_t)((p * (square ? last : 1) + y) * last) * bytes;
                keep_line(line, index, k, first_row, bytes, to);
            }
    }
    o->status = tsr_token_set_add(o->out, &b);
}

/* The column of merged tokens. */
static void merge_column(tsr_operation *o, const tsr_token_array *a, const int32_t *map,
                         int64_t rows) {
    if (a->axis == TSR_TOKEN_AXIS_NONE) {
        if (!o->status) o->status = tsr_token_set_add(o->out, a);
        return;
    }
    if (a->type != TSR_ARRAY_F32 || a->axis == TSR_TOKEN_AXIS_SQUARE) return;
    tsr_token_array b = *a;
    b.dim[a->axis == TSR_TOKEN_AXIS_FIRST ? 0 : a->rank - 1] = rows;
    float *to = tsr_operation_take(o, tsr_token_array_elements(&b), sizeof *to, a->name);
    if (!to) return;
    b.data = to;
    const int64_t n = tsr_token_array_elements(a);
    if (a->axis == TSR_TOKEN_AXIS_FIRST)
        average(o, a->data, n / a->dim[0], map, rows, to);
    else
        for (int64_t p = 0; p < n / o->in->count; ++p)
            average(o, (const float *)a->data + p * o->in->count, 1, map, rows, to + p * rows);
    if (!o->status) o->status = tsr_token_set_add(o->out, &b);
}

static void begin(tsr_operation *o, int64_t rows, int64_t channels) {
    if (o->status) return;
    if (rows < 1) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted at least one token to stay, got none");
        return;
    }
    tsr_token_set_close(&o->out);
    o->out = tsr_token_set_make(o->ctx, o->in->source, rows, channels);
    if (!o->out) {
        o->status = TSR_ERROR_MEMORY;
        return;
    }
    memcpy(o->out->source_grid, o->in->source_grid, sizeof o->out->source_grid);
    memcpy(o->out->stream, o->in->stream, sizeof o->out->stream);
}

typedef struct keep_work {
    const float *from;
    const int32_t *index;
    int64_t k, width;
    float *to;
} keep_work;

static void keep_tile(void *arg, int64_t tile, int worker) {
    const keep_work *w = arg;
    (void)worker;
    for (int64_t i = tile * KEEP_ROWS; i < w->k && i < (tile + 1) * KEEP_ROWS; ++i)
        memcpy(w->to + i * w->width, w->from + w->index[i] * w->width,
               (size_t)w->width * sizeof *w->to);
}

/* Features of tokens index[0 .. k-1]: by all threads where it takes longer than to wake them. */
static void keep_rows(tsr_operation *o, const int32_t *index, int64_t k) {
    keep_work w = {o->in->features, index, k, o->in->channels, o->out->features};
    const int64_t tiles = (k + KEEP_ROWS - 1) / KEEP_ROWS;
    if (k * w.width >= KEEP_ALONE)
        tsr_parallel(o->ctx, tiles, keep_tile, &w);
    else
        for (int64_t tile = 0; tile < tiles; ++tile)
            keep_tile(&w, tile, 0);
}

void tsr_operation_keep(tsr_operation *o, const int32_t *index, int64_t k) {
    const tsr_token_set *in = o->in;
    int32_t *map = tsr_operation_take(o, in->count, sizeof *map, "map");
    begin(o, k, in->channels);
    if (o->status) return;
    for (int64_t i = 0; i < in->count; ++i)
        map[i] = -1;
    bool raster = k == in->count;
    for (int64_t i = 0; i < k; ++i) {
        map[index[i]] = (int32_t)i;
        raster &= index[i] == i;
        memcpy(o->out->positions + 3 * i, in->positions + 3 * (int64_t)index[i], 3 * sizeof(float));
    }
    if (!o->elsewhere) keep_rows(o, index, k);
    if (raster) memcpy(o->out->grid, in->grid, sizeof in->grid);
    compose(o, map);
    for (int c = 0; c < in->column_count && !o->status; ++c)
        keep_column(o, &in->columns[c]->array, index, k);
}

void tsr_operation_on_grid(tsr_operation *o, int64_t frames, int64_t rows, int64_t columns) {
    if (o->status) return;
    o->out->grid[0] = frames;
    o->out->grid[1] = rows;
    o->out->grid[2] = columns;
}

void tsr_operation_place(tsr_operation *o, const float *positions) {
    if (o->status) return;
    memcpy(o->out->positions, positions, 3 * (size_t)o->out->count * sizeof *positions);
}

void tsr_operation_replace(tsr_operation *o, const int32_t *map, int64_t rows, int64_t channels,
                           const float *features, const int64_t *grid) {
    begin(o, rows, channels);
    if (o->status) return;
    if (o->elsewhere)
        ; /* they come down at the end of the chain */
    else if (features)
        memcpy(o->out->features, features, (size_t)(rows * channels) * sizeof *features);
    else
        average(o, o->in->features, channels, map, rows, o->out->features);
    average(o, o->in->positions, 3, map, rows, o->out->positions);
    if (grid) memcpy(o->out->grid, grid, sizeof o->out->grid);
    compose(o, map);
    for (int c = 0; c < o->in->column_count && !o->status; ++c)
        merge_column(o, &o->in->columns[c]->array, map, rows);
}

void tsr_operation_merge(tsr_operation *o, const int32_t *map, int64_t rows,
                         const float *features) {
    tsr_operation_replace(o, map, rows, o->in->channels, features, NULL);
}

void tsr_operation_stream(tsr_operation *o, const char *name) {
    if (!o->status) snprintf(o->out->stream, sizeof o->out->stream, "%s", name);
}

void tsr_operation_attach(tsr_operation *o, const char *name, tsr_array_type type,
                          tsr_token_axis axis, int rank, const int64_t *dim, const void *data) {
    if (o->status) return;
    tsr_token_array a = {.name = name, .type = type, .axis = axis, .rank = rank, .data = data};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    o->status = tsr_token_set_add(o->out, &a);
}

void tsr_operation_trace(tsr_operation *o, const char *name, tsr_array_type type, int rank,
                         const int64_t *dim, const void *data) {
    if (o->status) return;
    tsr_token_array a = {.name = name,
                         .type = type,
                         .axis = TSR_TOKEN_AXIS_NONE,
                         .rank = rank ? rank : 1,
                         .data = data};
    a.dim[0] = 1;
    if (rank) memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    o->status = tsr_token_set_add_trace(o->trace, &a);
}
void tsr_operation_trace_i32(tsr_operation *o, const char *name, const int32_t *data, int64_t n) {
    tsr_operation_trace(o, name, TSR_ARRAY_I32, 1, &n, data);
}
void tsr_operation_trace_f32(tsr_operation *o, const char *name, const float *data, int64_t n) {
    tsr_operation_trace(o, name, TSR_ARRAY_F32, 1, &n, data);
}
void tsr_operation_trace_f64(tsr_operation *o, const char *name, const double *data, int64_t n) {
    tsr_operation_trace(o, name, TSR_ARRAY_F64, 1, &n, data);
}

tsr_status tsr_operation_end(tsr_operation *o, tsr_token_set **made) {
    if (!o->status && !o->out)
        o->status = tsr_fail(o->ctx, TSR_ERROR_STATE, "%s: made no tokens", o->op->info.name);
    if (!o->status && o->trace != o->out) {
        memcpy(o->out->traces, o->trace->traces, sizeof o->trace->traces);
        o->out->trace_count = o->trace->trace_count;
        o->trace->trace_count = 0;
    }
    if (o->trace != o->out) tsr_token_set_close(&o->trace);
    if (o->status) tsr_token_set_close(&o->out);
    tsr_scratch_free(&o->scratch);
    o->trace = NULL;
    *made = o->out;
    return o->status;
}
