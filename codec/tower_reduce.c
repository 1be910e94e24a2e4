/* SPDX-License-Identifier: MIT */
/* tower_reduce.c: a tower, operators and projector in one. On a GPU all of it is one program, in
 * which features never leave the device: the tower's rows go to the operators, those that remain to
 * the projector, and what comes down are these rows and lists of tokens. Where an operator cannot
 * be recorded, or on the cpu, each is run for itself. */
#include "../reduce/recorded.h"
#include "tower.h"

#include <math.h>
#include <string.h>

/* ---- what is recorded behind a tower ---- */

/* Of pictures of one size. */
typedef struct chain {
    tsr_tower *t;
    const tsr_feature_request *q;
    tsr_recorded_plan plan;
    int64_t rows, columns,
        all;       /* of the grid of patches; rows of the tower with the leading ones */
    int64_t width; /* of the features that come down */
    float *features, *numbers;
    int32_t *integers;
    tsr_scratch scratch;
} chain;

static int64_t leading(const chain *c) {
    return c->all - c->rows * c->columns;
}

/* Rows first .. first + count - 1 of x, seen as rows of its last dimension: [count, width]. */
static tsr_tensor *rows_of(tsr_run *r, tsr_tensor *x, int64_t first, int64_t count) {
    const int64_t width = tsr_cols(x), rows = tsr_elements(x) / (width ? width : 1);
    tsr_tensor *flat = tsr_reshape(r, x, 3, (int64_t[]){1, rows, width});
    return tsr_reshape(r, tsr_slice_rows(r, flat, first, count), 2, (int64_t[]){count, width});
}

static void add_column(tsr_recorded *at, const char *name, tsr_token_axis axis, tsr_tensor *x) {
    at->columns[at->column_count++] = (tsr_recorded_column){name, axis, x};
}

/* The tokens of one tile, of the arrays that the tower made of all. */
static tsr_recorded tokens_of(tsr_run *r, const chain *c, const tsr_feature *list, int count,
                              tsr_tensor *const *made, int64_t tile, tsr_tensor *ones) {
    const int64_t n = c->rows * c->columns, heads = c->t->info.heads;
    tsr_recorded at = {.count = n,
                       .channels = c->t->info.channels,
                       .grid = {1, c->rows, c->columns},
                       .features = rows_of(r, made[0], tile * n, n),
                       .sizes = ones};
    for (int i = 0; i < count; ++i)
        if (list[i].kind == TSR_FEATURE_KEYS)
            add_column(&at, "keys", TSR_TOKEN_AXIS_FIRST,
                       rows_of(r, made[i], tile * c->all + leading(c), n));
        else if (list[i].kind == TSR_FEATURE_CLASS_ATTENTION)
            add_column(&at, "attention", TSR_TOKEN_AXIS_LAST,
                       tsr_slice_cols(r, rows_of(r, made[i], tile * heads, heads), leading(c), n));
    return at;
}

/* Joins what a tile left to what others did. */
static tsr_tensor *append(tsr_run *r, tsr_tensor *all, tsr_tensor *x) {
    if (!x) return all;
    const int64_t width = x->rank == 2 ? tsr_cols(x) : 1;
    x = tsr_reshape(r, x, 3, (int64_t[]){1, tsr_elements(x) / (width ? width : 1), width});
    return all ? tsr_concat_rows(r, all, x) : x;
}

/* tsr_tower_tail.record */
static void record(tsr_run *r, const tsr_tower_tail *tail, const tsr_feature *list, int count,
                   tsr_tensor *const *made, int64_t tiles, const void *model, tsr_tensor **out) {
    chain *c = tail->arg;
    const int64_t n = c->rows * c->columns;
    tsr_tensor *features = NULL, *integers = NULL, *numbers = NULL;
    float *ones = tsr_scratch_take(&c->scratch, (size_t)n, sizeof *ones, "sizes");
    for (int64_t i = 0; i < n && ones; ++i)
        ones[i] = 1;
    if (!ones) return; /* an output without a tensor fails the run */
    tsr_tensor *sizes = tsr_constant(r, TSR_DTYPE_F32, 1, &n, ones);
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const tsr_recorded at = tokens_of(r, c, list, count, made, tile, sizes);
        const tsr_recorded_result result = tsr_recorded_walk(r, &c->plan, &at);
        features = append(r, features, result.features);
        integers = append(r, integers, result.integers);
        numbers = append(r, numbers, result.numbers);
    }
    if (c->q->project) features = c->t->model.family->tower->project(r, model, features);
    *out++ = features;
    if (integers) *out++ = integers;
    if (numbers) *out++ = numbers;
}

/* ---- running it ---- */

/* Learns from shapes whether all operators can be recorded, and what they make. */
static bool fits(chain *c, int operation_count) {
    const int64_t n = c->rows * c->columns, d = c->t->info.channels, heads = c->t->info.heads;
    tsr_tensor features = tsr_host_tensor(TSR_DTYPE_F32, NULL, 2, (int64_t[]){n, d}),
               sizes = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, &n), keys = features,
               attention = tsr_host_tensor(TSR_DTYPE_F32, NULL, 2, (int64_t[]){heads, n});
    tsr_recorded at = {.count = n,
                       .channels = d,
                       .grid = {1, c->rows, c->columns},
                       .features = &features,
                       .sizes = &sizes};
    if (c->q->keys) add_column(&at, "keys", TSR_TOKEN_AXIS_FIRST, &keys);
    if (c->q->attention == TSR_ATTENTION_CLASS)
        add_column(&at, "attention", TSR_TOKEN_AXIS_LAST, &attention);
    if (c->plan.count < operation_count) return false;
    c->plan.to_the_end = false; /* nobody asks for a trace */
    tsr_recorded_measure(c->t->model.device, &c->plan, &at);
    return c->plan.accepted == operation_count;
}

static void add_output(tsr_tower_tail *tail, tsr_dtype dtype, int64_t values, void *data) {
    if (values) tail->outputs[tail->output_count++] = (tsr_tower_output){dtype, values, data};
}

/* The token set of picture i from what came down. */
static tsr_status derive(const chain *c, int i, const tsr_picture_features *f,
                         tsr_reduce_report *report, tsr_token_set **made) {
    const tsr_recorded_plan *p = &c->plan;
    const float *features = c->features + i * p->rows * c->width;
    uint64_t near_ties[TSR_REDUCE_STEPS_MOST];
    tsr_token_set *set = NULL;
    for (int64_t j = 0; j < p->rows * c->width; ++j)
        if (!isfinite(features[j])) return tsr_not_finite(c->t->model.ctx, "features", features[j]);
    tsr_status status = tsr_tower_set(c->t, c->q, f, &set);
    if (!status)
        status = tsr_recorded_derive(p, set, features, c->width, c->integers + i * p->integers,
                                     c->numbers + i * p->numbers, near_ties, made);
    tsr_token_set_close(&set);
    if (!status) tsr_report_steps(report, 0, p->accepted, c->t->model.device, near_ties);
    return status;
}

static tsr_status run_recorded(chain *c, const tsr_picture *pictures, int count, tsr_tile_size tile,
                               tsr_token_set **sets, tsr_reduce_report *report) {
    tsr_scratch *s = &c->scratch;
    const tsr_recorded_plan *p = &c->plan;
    c->width = c->q->project ? c->t->info.projected : p->channels;
    const size_t n = (size_t)count;
    c->features = tsr_scratch_take(s, n * (size_t)(p->rows * c->width), 4, "features");
    c->integers = tsr_scratch_take(s, n * (size_t)p->integers + 1, 4, "lists of tokens");
    c->numbers = tsr_scratch_take(s, n * (size_t)p->numbers + 1, 4, "margins");
    tsr_picture_features *all = tsr_scratch_take(s, n, sizeof *all, "features");
    if (s->status) return s->status;
    tsr_tower_tail tail = {
        .record = record, .arg = c, .variant = (int64_t)(p->identity >> 1) ^ c->q->project};
    add_output(&tail, TSR_DTYPE_F32, p->rows * c->width, c->features);
    add_output(&tail, TSR_DTYPE_I32, p->integers, c->integers);
    add_output(&tail, TSR_DTYPE_F32, p->numbers, c->numbers);
    tsr_feature_request request = *c->q;
    request.project = 0;
    tsr_status status = tsr_tower_run(c->t, pictures, count, tile, &request, &tail, all);
    for (int i = 0; i < count && !status; ++i)
        status = derive(c, i, &all[i], report, &sets[i]);
    for (int i = 0; i < count; ++i)
        tsr_picture_features_free(&all[i]);
    return status;
}

/* Pictures of one size on a GPU; *done stays false where the operators cannot all be recorded. */
static tsr_status try_recorded(tsr_tower *t, const tsr_picture *pictures, int count,
                               tsr_tile_size tile, const tsr_feature_request *q,
                               const char *const *operations, int operation_count,
                               tsr_token_set **sets, tsr_reduce_report *report, bool *done) {
    const tsr_tower_ops *ops = t->model.family->tower;
    tsr_feature_sizes size;
    *done = false;
    if (tsr_device_properties(t->model.device)->kind != TSR_DEVICE_VULKAN || !ops->features_and ||
        operation_count > TSR_REDUCE_STEPS_MOST)
        return TSR_OK;
    tsr_status status = ops->sizes(t->model.state, tile, &size);
    if (status) return status;
    chain c = {.t = t,
               .q = q,
               .rows = size.rows,
               .columns = size.columns,
               .all = size.all,
               .scratch = {.ctx = t->model.ctx}};
    status = tsr_recorded_plan_open(t->model.ctx, operations, operation_count, &c.plan);
    if (!status && fits(&c, operation_count)) {
        status = run_recorded(&c, pictures, count, tile, sets, report);
        *done = status != TSR_ERROR_UNSUPPORTED && status != TSR_ERROR_TOO_LARGE;
        if (!*done) status = TSR_OK; /* the device has no form for it: one after the other */
    }
    tsr_recorded_plan_close(&c.plan);
    tsr_scratch_free(&c.scratch);
    return status;
}

/* ---- one after the other ---- */

static void project_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    const tsr_tower *t = tsr_run_args(r);
    out[0] = t->model.family->tower->project(r, model, in[0]);
}

static tsr_status project(tsr_tower *t, tsr_token_set *set) {
    const int64_t width = t->info.projected;
    tsr_scratch s = {.ctx = t->model.ctx};
    float *y = tsr_scratch_take(&s, (size_t)(set->count * width), sizeof *y, "projected rows");
    tsr_status status = s.status;
    if (!status) {
        const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, set->features, 2,
                                              (int64_t[]){set->count, set->channels});
        tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){set->count, width});
        const tsr_program program = {
            .fn = project_program, .model = t->model.state, .args = t, .name = "projector"};
        status = tsr_execute(t->model.device, &program, &in, 1, &out, 1);
    }
    if (!status) status = tsr_token_set_give(set, y, width);
    tsr_scratch_free(&s);
    return status;
}

/* tile NULL: rows in tiles, or of pooled grids. Operators then take them as a language model would,
 * projected ones: neighbours in them are what was projected. */
static tsr_status run_apart(tsr_tower *t, const tsr_picture *pictures, int count,
                            const tsr_tile_size *tile, const tsr_feature_request *q,
                            const char *const *operations, int operation_count,
                            tsr_token_set **sets, tsr_reduce_report *report) {
    tsr_scratch s = {.ctx = t->model.ctx};
    tsr_picture_features *all = tsr_scratch_take(&s, (size_t)count, sizeof *all, "features");
    tsr_feature_request request = *q;
    const bool behind = tile && q->project; /* the projector comes behind the operators */
    if (behind) request.project = 0;
    tsr_status status = s.status;
    if (!status)
        status = tile ? tsr_tower_run(t, pictures, count, *tile, &request, NULL, all)
                      : tsr_tower_features(t, pictures, count, &request, all);
    for (int i = 0; i < count && !status; ++i) {
        tsr_token_set *set = NULL;
        status = tsr_tower_set(t, &request, &all[i], &set);
        if (!status)
            status = tsr_operations_apply(&t->model.device, set, operations, operation_count,
                                          report, &sets[i]);
        if (!status && behind && sets[i]->channels != t->info.channels)
            status = tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT,
                              "projector: wanted rows of %u channels, got %lld from the operators",
                              t->info.channels, (long long)sets[i]->channels);
        if (!status && behind) status = project(t, sets[i]);
        tsr_token_set_close(&set);
    }
    for (int i = 0; i < count && all; ++i)
        tsr_picture_features_free(&all[i]);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_tower_reduce(tsr_tower *t, const tsr_picture *pictures, int count,
                            const tsr_feature_request *q, const char *const *operations,
                            int operation_count, tsr_token_set **sets, tsr_reduce_report *report) {
    memset(sets, 0, (size_t)count * sizeof *sets);
    tsr_status status = tsr_tower_check(t, q);
    const bool arranged = q->tiling || q->pooling;
    if (!status && q->project && !arranged && !t->model.family->tower->project)
        status = tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                          "%s: wanted a projector that takes row by row behind operators, got one "
                          "that merges neighbours",
                          t->info.name);
    if (!status && arranged)
        status = run_apart(t, pictures, count, NULL, q, operations, operation_count, sets, report);
    for (int at = 0, n; at < count && !arranged && !status; at += n) {
        tsr_tile_size tile;
        bool done = false;
        n = tsr_tower_group(t, pictures + at, count - at, &tile, &status);
        if (!status)
            status = try_recorded(t, pictures + at, n, tile, q, operations, operation_count,
                                  sets + at, report, &done);
        if (!status && !done)
            status = run_apart(t, pictures + at, n, &tile, q, operations, operation_count,
                               sets + at, report);
    }
    tsr_report_device(report, t->model.device);
    for (int i = 0; i < count && status; ++i)
        tsr_token_set_close(&sets[i]);
    return status;
}
