/* SPDX-License-Identifier: MIT */
/* recorded_run.c: a chain before and after its walk: reading operations, running them on a set, and
 * deriving the new set from what came down. */
#include "recorded_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- plans ---- */

bool tsr_recorded_plan_reads(const tsr_recorded_plan *plan, const char *column) {
    for (int i = 0; i < plan->count; ++i)
        if (tsr_recorded_step_reads(&plan->steps[i], column)) return true;
    return false;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; ++text)
        hash = (hash ^ (uint64_t)(unsigned char)*text) * 0x100000001B3u;
    return (hash ^ 0xFF) * 0x100000001B3u;
}

tsr_status tsr_recorded_plan_open(tsr_context *ctx, const char *const *operations, int count,
                                  tsr_recorded_plan *plan) {
    *plan = (tsr_recorded_plan){.ctx = ctx, .identity = 0xCBF29CE484222325u};
    const int most = count < TSR_RECORDED_STEPS ? count : TSR_RECORDED_STEPS;
    plan->steps = tsr_alloc(ctx, (size_t)most, sizeof *plan->steps, "recorded operators");
    if (!plan->steps) return TSR_ERROR_MEMORY;
    for (int i = 0; i < most; ++i) {
        tsr_recorded_step *s = &plan->steps[plan->count];
        if (!operations[i]) break;
        s->text = tsr_alloc(ctx, TSR_OPERATION_TEXT, 1, "operation");
        if (!s->text) return TSR_ERROR_MEMORY;
        s->o = (tsr_operation){.ctx = ctx, .scratch = {.ctx = ctx}};
        if (tsr_operation_read(&s->o, operations[i], s->text) || !s->o.op->record) {
            free(s->text); /* the host says what is wrong, or does it */
            break;
        }
        s->op = s->o.op;
        s->o.trace = tsr_token_set_make(ctx, 1, 1, 1);
        plan->count++;
        if (!s->o.trace) return TSR_ERROR_MEMORY;
        plan->identity = hash_text(plan->identity, operations[i]);
    }
    plan->to_the_end = plan->count == count;
    return TSR_OK;
}

void tsr_recorded_plan_close(tsr_recorded_plan *plan) {
    for (int i = 0; i < plan->count; ++i) {
        tsr_scratch_free(&plan->steps[i].o.scratch);
        tsr_token_set_close(&plan->steps[i].o.trace);
        free(plan->steps[i].text);
    }
    free(plan->steps);
    *plan = (tsr_recorded_plan){0};
}

/* ---- after: the set ---- */

/* Near ties of a piece. */
static uint64_t count_ties(const tsr_recorded_piece *p, const float *x) {
    const int64_t n = tsr_token_array_elements(&p->array);
    uint64_t near = 0;
    if (p->use == TSR_RECORDED_MARGINS)
        for (int64_t i = 0; i < n; ++i)
            near += !((double)x[i] >= p->bound);
    else
        for (int64_t i = 0; i + 1 < n; ++i)
            near += !((double)x[i] - (double)x[i + 1] >=
                      fmax(p->bound, p->relative * fabs((double)x[i])));
    return near;
}

/* Adds a column, or a trace with the type it is to have. */
static void add_piece(tsr_operation *o, const tsr_recorded_piece *p, const void *words) {
    const tsr_token_array *a = &p->array;
    if (p->use == TSR_RECORDED_COLUMN) {
        tsr_operation_attach(o, a->name, a->type, a->axis, a->rank, a->dim, words);
        return;
    }
    if (a->type == TSR_ARRAY_F64) {
        const int64_t n = tsr_token_array_elements(a);
        double *wide = tsr_operation_take(o, n, sizeof *wide, a->name);
        for (int64_t i = 0; i < n && wide; ++i)
            wide[i] = (double)((const float *)words)[i];
        words = wide;
    }
    tsr_operation_trace(o, a->name, a->type, a->rank, a->dim, words);
}

static const void *words_of(const tsr_recorded_piece *p, const int32_t *integers,
                            const float *numbers) {
    return p->integer ? (const void *)(integers + p->at) : (const void *)(numbers + p->at);
}

/* What became of the tokens, in the words of operator.h. */
static void derive_step(const tsr_recorded_step *s, tsr_operation *o, const int32_t *integers,
                        const float *numbers) {
    const int32_t *list = s->map;
    for (int i = 0; i < s->piece_count; ++i)
        if (s->pieces[i].use == TSR_RECORDED_INDEX || s->pieces[i].use == TSR_RECORDED_MAP)
            list = words_of(&s->pieces[i], integers, numbers);
    if (s->becomes == TSR_RECORDED_STAY) {
        int32_t *all = tsr_operation_take(o, o->in->count, sizeof *all, "tokens");
        for (int64_t i = 0; i < o->in->count && all; ++i)
            all[i] = (int32_t)i;
        list = all;
    }
    if (s->becomes == TSR_RECORDED_KEPT || s->becomes == TSR_RECORDED_STAY) {
        tsr_operation_keep(o, list, s->rows);
        if (s->grid[0]) tsr_operation_on_grid(o, s->grid[0], s->grid[1], s->grid[2]);
    } else
        tsr_operation_replace(o, list, s->rows, s->channels, NULL, s->grid[0] ? s->grid : NULL);
    if (s->stream) tsr_operation_stream(o, s->stream);
    for (int i = 0; i < s->piece_count; ++i)
        if (s->pieces[i].use == TSR_RECORDED_COLUMN || s->pieces[i].use == TSR_RECORDED_TRACE)
            add_piece(o, &s->pieces[i], words_of(&s->pieces[i], integers, numbers));
}

/* The set of one step. The step's own operation stays as it is: other sets may follow. */
static tsr_status end_step(const tsr_recorded_step *s, const tsr_token_set *in,
                           const int32_t *integers, const float *numbers, tsr_token_set **made) {
    tsr_operation o = s->o;
    o.in = in;
    o.elsewhere = true;
    o.scratch = (tsr_scratch){.ctx = s->o.ctx};
    o.trace = tsr_token_set_make(o.ctx, 1, 1, 1);
    if (!o.trace) return TSR_ERROR_MEMORY;
    for (int i = 0; i < s->o.trace->trace_count && !o.status; ++i)
        o.status = tsr_token_set_add_trace(o.trace, &s->o.trace->traces[i]->array);
    derive_step(s, &o, integers, numbers);
    return tsr_operation_end(&o, made);
}

tsr_status tsr_recorded_derive(const tsr_recorded_plan *plan, const tsr_token_set *in,
                               const float *features, int64_t width, const int32_t *integers,
                               const float *numbers, uint64_t *near_ties, tsr_token_set **made) {
    tsr_status status = TSR_OK;
    tsr_token_set *set = NULL;
    *made = NULL;
    for (int i = 0; i < plan->accepted && !status; ++i) {
        const tsr_recorded_step *s = &plan->steps[i];
        near_ties[i] = 0;
        for (int j = 0; j < s->piece_count; ++j)
            if (s->pieces[j].use >= TSR_RECORDED_MARGINS)
                near_ties[i] += count_ties(&s->pieces[j], numbers + s->pieces[j].at);
        tsr_token_set *next = NULL;
        status = end_step(s, set ? set : in, integers, numbers, &next);
        tsr_token_set_close(&set);
        set = next;
    }
    if (!status) status = tsr_token_set_give(set, features, width);
    if (status)
        tsr_token_set_close(&set);
    else
        *made = set;
    return status;
}

/* ---- before: shapes ---- */

static void measure_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    const tsr_recorded *given = tsr_run_args(r);
    tsr_recorded at = *given;
    (void)model;
    (void)out;
    at.features = in[0];
    at.sizes = in[1];
    for (int i = 0; i < at.column_count; ++i)
        at.columns[i].x = in[2 + i];
    tsr_recorded_walk(r, at.plan, &at);
}

void tsr_recorded_measure(tsr_device *device, tsr_recorded_plan *plan, const tsr_recorded *at) {
    tsr_tensor in[2 + TSR_RECORDED_COLUMNS] = {*at->features, *at->sizes};
    tsr_recorded given = *at;
    given.plan = plan;
    for (int i = 0; i < at->column_count; ++i)
        in[2 + i] = *at->columns[i].x;
    const tsr_program program = {.fn = measure_program, .args = &given, .name = "operators"};
    if (tsr_outline(device, &program, in, 2 + at->column_count)) plan->accepted = 0;
}

/* ---- running a set ---- */

/* Arguments of the program: the plan, and which columns the inputs are. */
typedef struct chain {
    tsr_recorded_plan plan;
    const tsr_token_set *in;
    tsr_recorded_column columns[TSR_RECORDED_COLUMNS];
    int column_count;
} chain;

/* in: features [N, D], sizes [N], columns. out: features, then integers and numbers where the plan
 * has any. */
static void chain_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    chain *c = (chain *)tsr_run_args(r);
    (void)model;
    tsr_recorded at = {.count = c->in->count,
                       .channels = c->in->channels,
                       .features = in[0],
                       .sizes = in[1],
                       .column_count = c->column_count};
    memcpy(at.grid, c->in->grid, sizeof at.grid);
    for (int i = 0; i < c->column_count; ++i) {
        at.columns[i] = c->columns[i];
        at.columns[i].x = in[2 + i];
    }
    const tsr_recorded_result made = tsr_recorded_walk(r, &c->plan, &at);
    *out++ = made.features;
    if (made.integers) *out++ = made.integers;
    if (made.numbers) *out++ = made.numbers;
}

/* The columns that steps read, as inputs; returns how many inputs there are. */
static int list_inputs(chain *c, tsr_tensor *in) {
    const tsr_token_set *set = c->in;
    int count = 0;
    in[count++] =
        tsr_host_tensor(TSR_DTYPE_F32, set->features, 2, (int64_t[]){set->count, set->channels});
    in[count++] = tsr_host_tensor(TSR_DTYPE_F32, set->sizes, 1, &set->count);
    for (int i = 0; i < set->column_count && c->column_count < TSR_RECORDED_COLUMNS; ++i) {
        const tsr_token_array *a = &set->columns[i]->array;
        if (a->type != TSR_ARRAY_F32 || a->axis == TSR_TOKEN_AXIS_NONE ||
            a->axis == TSR_TOKEN_AXIS_SQUARE || !tsr_recorded_plan_reads(&c->plan, a->name))
            continue;
        c->columns[c->column_count++] = (tsr_recorded_column){a->name, a->axis, NULL};
        in[count++] = tsr_host_tensor(TSR_DTYPE_F32, (void *)a->data, a->rank, a->dim);
    }
    return count;
}

static tsr_status run_chain(tsr_device *device, chain *c, const tsr_program *program,
                            const tsr_tensor *in, int in_count, uint64_t *near_ties,
                            tsr_token_set **made) {
    tsr_recorded_plan *p = &c->plan;
    tsr_scratch s = {.ctx = p->ctx};
    float *features =
        tsr_scratch_take(&s, (size_t)(p->rows * p->channels), sizeof *features, "features");
    int32_t *integers =
        tsr_scratch_take(&s, (size_t)p->integers + 1, sizeof *integers, "lists of tokens");
    float *numbers = tsr_scratch_take(&s, (size_t)p->numbers + 1, sizeof *numbers, "margins");
    tsr_status status = s.status;
    if (!status) {
        tsr_tensor out[3];
        int count = 0;
        out[count++] =
            tsr_host_tensor(TSR_DTYPE_F32, features, 2, (int64_t[]){p->rows, p->channels});
        if (p->integers) out[count++] = tsr_host_tensor(TSR_DTYPE_I32, integers, 1, &p->integers);
        if (p->numbers) out[count++] = tsr_host_tensor(TSR_DTYPE_F32, numbers, 1, &p->numbers);
        status = tsr_execute(device, program, in, in_count, out, count);
    }
    if (!status)
        status = tsr_recorded_derive(p, c->in, features, p->channels, integers, numbers, near_ties,
                                     made);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_recorded_run(tsr_device *device, const tsr_token_set *in,
                            const char *const *operations, int count, int *done,
                            uint64_t *near_ties, tsr_token_set **made) {
    chain c = {.in = in};
    *done = 0;
    *made = NULL;
    tsr_status status = tsr_recorded_plan_open(in->ctx, operations, count, &c.plan);
    c.plan.set = in;
    if (!status && c.plan.count) {
        tsr_tensor inputs[TSR_MAX_IO];
        const int in_count = list_inputs(&c, inputs);
        /* The plan is the model: another run of operators is another program. */
        const tsr_program program = {
            .fn = chain_program, .model = c.plan.steps, .args = &c, .name = "operators"};
        const bool fits = !tsr_outline(device, &program, inputs, in_count) && c.plan.accepted;
        if (fits) status = run_chain(device, &c, &program, inputs, in_count, near_ties, made);
        if (fits && !status) *done = c.plan.accepted;
        tsr_device_forget(device, c.plan.steps);
        /* Too large for the device, or a size it has no form for: the host does it. */
        if (status == TSR_ERROR_UNSUPPORTED || status == TSR_ERROR_TOO_LARGE) status = TSR_OK;
    }
    tsr_recorded_plan_close(&c.plan);
    return status;
}
