/* SPDX-License-Identifier: MIT */
/* recorded_plan.c: the calls that recorded operators are written with, and the walk through a
 * chain. */
#include "recorded_plan.h"

#include <math.h>
#include <string.h>

/* ---- what operators read ---- */

bool tsr_recorded_step_reads(const tsr_recorded_step *s, const char *column) {
    const size_t n = strlen(column);
    for (const char *at = s->op->info.columns; at && *at; at += strspn(at, " ")) {
        const size_t length = strcspn(at, " ");
        if (length == n && !memcmp(at, column, n)) return true;
        at += length;
    }
    return false;
}

void tsr_recorded_decline(tsr_recorded *x) {
    x->declined = true;
}

static tsr_recorded_column *find(const tsr_recorded *x, const char *name) {
    for (int i = 0; i < x->column_count; ++i)
        if (!strcmp(x->columns[i].name, name)) return (tsr_recorded_column *)&x->columns[i];
    return NULL;
}

bool tsr_recorded_has(const tsr_recorded *x, const char *name) {
    return find(x, name) || (x->plan->set && tsr_token_set_column(x->plan->set, name).name);
}

tsr_tensor *tsr_recorded_find(tsr_recorded *x, const char *name, tsr_token_axis axis, int rank) {
    const tsr_recorded_column *c = find(x, name);
    if (!c || c->axis != axis || c->x->rank != rank || c->x->dtype != TSR_DTYPE_F32)
        tsr_recorded_decline(x);
    return x->declined ? NULL : c->x;
}

tsr_token_array tsr_recorded_table(tsr_recorded *x, const char *name, int rank) {
    const tsr_token_array none = {0},
                          a = x->plan->set ? tsr_token_set_column(x->plan->set, name) : none;
    /* Rows of tokens have gone with their tokens by the second step. */
    const bool whole = a.axis == TSR_TOKEN_AXIS_NONE || x->step == x->plan->steps;
    if (!a.name || a.type != TSR_ARRAY_F32 || a.rank != rank || !whole) tsr_recorded_decline(x);
    return x->declined ? none : a;
}

tsr_tensor *tsr_recorded_unit(tsr_recorded *x, const tsr_tensor *rows) {
    /* x / sqrt(mean of squares + tiny) is sqrt(width) long. */
    const tsr_norm_spec rms = {.eps = 1e-30f, .rms = true};
    return tsr_scale(x->run, tsr_layer_norm(x->run, rows, &rms),
                     (float)(1 / sqrt((double)tsr_cols(rows))), 0);
}

bool tsr_recorded_pairs_fit(const tsr_recorded *x, int64_t width) {
    enum { MOST_TOKENS = 8192 };
    return x->count <= MOST_TOKENS && x->count * x->count <= ((int64_t)1 << 36) / width;
}

double tsr_recorded_cosine_bound(int64_t width) {
    return 2 * (double)(width + 4) * 0x1p-24;
}

/* ---- what comes down ---- */

/* Notes that a tensor comes down, behind what comes down already. */
static tsr_recorded_piece *bring(tsr_recorded *x, tsr_recorded_use use, const char *name,
                                 tsr_tensor *tensor) {
    tsr_recorded_walker *w = x->step->walker;
    if (x->declined || tensor->rank == 0 || x->step->piece_count == TSR_RECORDED_PIECES ||
        w->tensor_count == TSR_RECORDED_TENSORS) {
        tsr_recorded_decline(x);
        return NULL;
    }
    const bool integer = tensor->dtype == TSR_DTYPE_I32;
    int64_t *words = integer ? &w->integers : &w->numbers;
    tsr_recorded_piece *p = &x->step->pieces[x->step->piece_count++];
    *p = (tsr_recorded_piece){.use = use,
                              .integer = integer,
                              .at = *words,
                              .array = {.name = name,
                                        .type = integer ? TSR_ARRAY_I32 : TSR_ARRAY_F32,
                                        .axis = TSR_TOKEN_AXIS_NONE,
                                        .rank = tensor->rank}};
    memcpy(p->array.dim, tensor->dim, sizeof p->array.dim);
    *words += tsr_elements(tensor);
    w->tensors[w->tensor_count++] = tensor;
    return p;
}

void tsr_recorded_attach(tsr_recorded *x, const char *name, tsr_tensor *column) {
    tsr_recorded_piece *p = bring(x, TSR_RECORDED_COLUMN, name, column);
    if (!p) return;
    p->array.axis = TSR_TOKEN_AXIS_FIRST;
    tsr_recorded_column *c = find(x, name);
    if (!c && x->column_count == TSR_RECORDED_COLUMNS) {
        tsr_recorded_decline(x);
        return;
    }
    if (!c) c = &x->columns[x->column_count++];
    *c = (tsr_recorded_column){name, TSR_TOKEN_AXIS_FIRST, column};
}

void tsr_recorded_trace(tsr_recorded *x, const char *name, tsr_array_type type,
                        tsr_tensor *values) {
    if (!x->step->last) return; /* the next operator begins a trace of its own */
    tsr_recorded_piece *p = bring(x, TSR_RECORDED_TRACE, name, values);
    if (p) p->array.type = type;
}

void tsr_recorded_margins(tsr_recorded *x, tsr_tensor *margins, double bound) {
    tsr_recorded_piece *p = bring(x, TSR_RECORDED_MARGINS, "margins", margins);
    if (p) p->bound = bound;
}

void tsr_recorded_falling(tsr_recorded *x, tsr_tensor *list, double bound, double relative) {
    tsr_recorded_piece *p = bring(x, TSR_RECORDED_FALLING, "margins", list);
    if (!p) return;
    p->bound = bound;
    p->relative = relative;
}

/* ---- what becomes of the tokens ---- */

/* Whether a step after this one reads the column. */
static bool is_needed(const tsr_recorded *x, const char *name) {
    for (const tsr_recorded_step *s = x->step + 1; s < x->plan->steps + x->plan->count; ++s)
        if (tsr_recorded_step_reads(s, name)) return true;
    return false;
}

/* Drops columns that nobody reads any more. */
static void drop_columns(tsr_recorded *x) {
    int kept = 0;
    for (int i = 0; i < x->column_count; ++i)
        if (is_needed(x, x->columns[i].name)) x->columns[kept++] = x->columns[i];
    x->column_count = kept;
}

/* Rows [n, any] of a column: those of a LAST column are its columns. */
static tsr_tensor *as_rows(tsr_recorded *x, const tsr_recorded_column *c) {
    tsr_tensor *t = c->x;
    if (c->axis == TSR_TOKEN_AXIS_FIRST)
        return tsr_reshape(x->run, t, 2, (int64_t[]){t->dim[0], tsr_elements(t) / t->dim[0]});
    return tsr_transpose(
        x->run, tsr_reshape(x->run, t, 2, (int64_t[]){tsr_elements(t) / tsr_cols(t), tsr_cols(t)}));
}

/* The column again, of rows [k, any]. */
static void from_rows(tsr_recorded *x, tsr_recorded_column *c, tsr_tensor *rows, int64_t k) {
    tsr_tensor shape = *c->x;
    if (rows->rank == 0) return;
    const bool first = c->axis == TSR_TOKEN_AXIS_FIRST;
    shape.dim[first ? 0 : shape.rank - 1] = k;
    c->x = tsr_reshape(x->run, first ? rows : tsr_transpose(x->run, rows), shape.rank, shape.dim);
}

static void note(tsr_recorded *x, tsr_recorded_becomes becomes, int64_t rows) {
    x->step->becomes = becomes;
    x->count = x->step->rows = rows;
    x->step->channels = x->channels;
}

/* Tokens, sizes and columns of a list. */
static void gather(tsr_recorded *x, tsr_tensor *index) {
    const int64_t n = x->count, k = tsr_elements(index);
    drop_columns(x);
    x->features = tsr_gather_rows(x->run, x->features, index);
    x->sizes = tsr_gather_rows(x->run, tsr_reshape(x->run, x->sizes, 2, (int64_t[]){n, 1}), index);
    for (int i = 0; i < x->column_count; ++i)
        from_rows(x, &x->columns[i], tsr_gather_rows(x->run, as_rows(x, &x->columns[i]), index), k);
    if (k != n) memset(x->grid, 0, sizeof x->grid); /* all tokens, ascending, are as they were */
    note(x, TSR_RECORDED_KEPT, k);
}

void tsr_recorded_keep(tsr_recorded *x, tsr_tensor *index) {
    if (bring(x, TSR_RECORDED_INDEX, "index", index)) gather(x, index);
}

void tsr_recorded_keep_listed(tsr_recorded *x, const int32_t *index, int64_t k,
                              const int64_t *grid) {
    if (x->declined || x->o->status || !index || k < 1) {
        tsr_recorded_decline(x);
        return;
    }
    gather(x, tsr_constant(x->run, TSR_DTYPE_I32, 1, &k, index));
    x->step->map = index;
    if (!grid) return;
    memcpy(x->grid, grid, sizeof x->grid);
    memcpy(x->step->grid, grid, sizeof x->grid);
}

void tsr_recorded_stream(tsr_recorded *x, const char *name) {
    x->step->stream = name;
}

void tsr_recorded_keep_all(tsr_recorded *x) {
    if (!x->declined) note(x, TSR_RECORDED_STAY, x->count);
}

static void group(tsr_recorded *x, tsr_tensor *map, int64_t rows) {
    const int64_t n = x->count;
    drop_columns(x);
    for (int i = 0; i < x->column_count; ++i)
        from_rows(x, &x->columns[i],
                  tsr_group_mean(x->run, as_rows(x, &x->columns[i]), x->sizes, map, rows), rows);
    x->sizes = tsr_segment_sum(x->run, tsr_reshape(x->run, x->sizes, 2, (int64_t[]){n, 1}), map,
                               rows, NULL);
}

void tsr_recorded_merge(tsr_recorded *x, tsr_tensor *map, int64_t rows) {
    if (!bring(x, TSR_RECORDED_MAP, "map", map)) return;
    x->features = tsr_group_mean(x->run, x->features, x->sizes, map, rows);
    group(x, map, rows);
    memset(x->grid, 0, sizeof x->grid);
    note(x, TSR_RECORDED_MERGED, rows);
}

void tsr_recorded_replace(tsr_recorded *x, const int32_t *map, tsr_tensor *features,
                          const int64_t *grid) {
    if (x->declined || features->rank == 0 || !map) {
        tsr_recorded_decline(x);
        return;
    }
    const int64_t rows = tsr_rows(features);
    if (x->step + 1 < x->plan->steps + x->plan->count)
        group(x, tsr_constant(x->run, TSR_DTYPE_I32, 1, &x->count, map), rows);
    x->features = features;
    x->channels = tsr_cols(features);
    x->step->map = map;
    memset(x->grid, 0, sizeof x->grid);
    if (grid) memcpy(x->grid, grid, sizeof x->grid);
    memcpy(x->step->grid, x->grid, sizeof x->grid);
    note(x, TSR_RECORDED_REPLACED, rows);
}

/* ---- the walk ---- */

/* All tensors of one type as one, [n]. */
static tsr_tensor *join(tsr_run *r, const tsr_recorded_walker *w, tsr_dtype dtype) {
    tsr_tensor *all = NULL;
    for (int i = 0; i < w->tensor_count; ++i) {
        tsr_tensor *t = w->tensors[i];
        if (t->dtype != dtype) continue;
        t = tsr_reshape(r, t, 3, (int64_t[]){1, tsr_elements(t), 1});
        all = all ? tsr_concat_rows(r, all, t) : t;
    }
    return all;
}

/* One step; false where it cannot be recorded, and nothing of it is left. */
static bool take_step(tsr_recorded *x, tsr_recorded_walker *w, int i) {
    tsr_recorded_plan *plan = x->plan;
    tsr_recorded_step *s = &plan->steps[i];
    const tsr_recorded_walker before = *w;
    const tsr_recorded standing = *x;
    x->step = s;
    x->o = &s->o;
    s->piece_count = 0;
    s->walker = w;
    s->last = plan->to_the_end && i == plan->count - 1;
    x->tells = s->last && !plan->measured;
    s->becomes = TSR_RECORDED_NOTHING;
    s->map = NULL;
    s->stream = NULL;
    memset(s->grid, 0, sizeof s->grid);
    s->op->record(x);
    x->tells = false;
    if (!x->declined && !s->o.status && s->becomes != TSR_RECORDED_NOTHING &&
        x->features->rank == 2)
        return true;
    *w = before;
    *x = standing;
    return false;
}

tsr_recorded_result tsr_recorded_walk(tsr_run *r, tsr_recorded_plan *plan, const tsr_recorded *at) {
    tsr_recorded x = *at;
    tsr_recorded_walker w = {0};
    tsr_recorded_result result = {0};
    x.run = r;
    x.plan = plan;
    const int most = plan->measured ? plan->accepted : plan->count;
    int i = 0;
    while (i < most && take_step(&x, &w, i))
        ++i;
    if (!plan->measured) {
        plan->accepted = i;
        plan->rows = x.count;
        plan->channels = x.channels;
        plan->integers = w.integers;
        plan->numbers = w.numbers;
        plan->measured = true;
    }
    result.features = x.features;
    result.integers = join(r, &w, TSR_DTYPE_I32);
    result.numbers = join(r, &w, TSR_DTYPE_F32);
    return result;
}
