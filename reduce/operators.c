/* SPDX-License-Identifier: MIT */
/* operators.c: the list of operators, reading "NAME:key=value,...", and running a chain. */
#include "operator.h"
#include "recorded.h"

#include "../quantizer/spherical.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tsr_operator *const operators[] = {
#define OPERATOR(name) &tsr_operator_##name,
#include "operators.def"
#undef OPERATOR
};
enum { OPERATORS = sizeof operators / sizeof *operators };

int tsr_operator_count(void) {
    return OPERATORS;
}
void tsr_operator_at(int index, tsr_operator_info *info) {
    if (!info) return;
    *info = (tsr_operator_info){0};
    if (index < 0 || index >= OPERATORS) return;
    *info = operators[index]->info;
    info->parameters = operators[index]->parameters;
    while (info->parameters[info->parameter_count].name)
        ++info->parameter_count;
}
int tsr_operator_find(const char *name) {
    for (int i = 0; name && i < OPERATORS; ++i)
        if (!strcmp(operators[i]->info.name, name)) return i;
    return -1;
}

/* ---- reading an operation ---- */

static tsr_status bad_value(tsr_context *ctx, const tsr_operator *op, const tsr_parameter *p,
                            const char *text) {
    char wanted[160];
    if (p->type == TSR_PARAMETER_CHOICE)
        snprintf(wanted, sizeof wanted, "one of %s", p->choices);
    else
        snprintf(wanted, sizeof wanted, "%s in %.10g..%.10g",
                 p->type == TSR_PARAMETER_INTEGER  ? "a whole number"
                 : p->type == TSR_PARAMETER_NUMBER ? "a number"
                                                   : "numbers with '+' between",
                 p->least, p->most);
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: %s: wanted %s, got \"%.200s\"", op->info.name,
                    p->name, wanted, text);
}

static bool is_choice(const char *choices, const char *text) {
    const size_t n = strlen(text);
    for (const char *c = choices; *c; c += *c == '|') {
        const size_t length = strcspn(c, "|");
        if (n == length && !memcmp(c, text, n)) return true;
        c += length;
    }
    return false;
}

/* Whether the text is a number of the parameter's range up to `stop`; *end becomes its end. */
static bool is_number(const tsr_parameter *p, const char *text, char **end) {
    const double x = strtod(text, end);
    if (*end == text || *text == ' ' || !isfinite(x) || x < p->least || x > p->most) return false;
    return p->type != TSR_PARAMETER_INTEGER ||
           (x == floor(x) && strspn(text, "+-0123456789") >= (size_t)(*end - text));
}

static tsr_status check_value(tsr_context *ctx, const tsr_operator *op, const tsr_parameter *p,
                              const char *text) {
    char *end = (char *)text;
    bool good = true;
    switch (p->type) {
    case TSR_PARAMETER_INTEGER:
    case TSR_PARAMETER_NUMBER:
        good = is_number(p, text, &end) && !*end;
        break;
    case TSR_PARAMETER_CHOICE:
        good = is_choice(p->choices, text);
        break;
    case TSR_PARAMETER_LIST:
        while (good && (good = is_number(p, end, &end)) && *end == '+')
            ++end;
        good = good && !*end;
        break;
    case TSR_PARAMETER_FILE:
        good = *text != 0;
        break;
    }
    return good ? TSR_OK : bad_value(ctx, op, p, text);
}

/* "key=value,..." into o->value; `text` is cut in place. */
static tsr_status read_values(tsr_operation *o, char *text) {
    const tsr_operator *op = o->op;
    while (text && *text) {
        char *next = strchr(text, ','), *equals = strchr(text, '=');
        if (next) *next++ = 0;
        if (!equals || (next && equals > next))
            return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT, "%s: wanted key=value, got \"%.200s\"",
                            op->info.name, text);
        *equals = 0;
        int i = 0;
        while (op->parameters[i].name && strcmp(op->parameters[i].name, text))
            ++i;
        if (!op->parameters[i].name) {
            char names[512] = "none";
            for (int j = 0, at = 0; op->parameters[j].name && at < (int)sizeof names; ++j)
                at += snprintf(names + at, sizeof names - (size_t)at, "%s%s", j ? ", " : "",
                               op->parameters[j].name);
            return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                            "%s: wanted a parameter of it (%s), got \"%.200s\"", op->info.name,
                            names, text);
        }
        if (o->value[i])
            return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT, "%s: %s: wanted it once, got it twice",
                            op->info.name, text);
        const tsr_status status = check_value(o->ctx, op, &op->parameters[i], equals + 1);
        if (status) return status;
        o->value[i] = equals + 1;
        text = next;
    }
    return TSR_OK;
}

tsr_status tsr_operation_read(tsr_operation *o, const char *operation, char *text) {
    if (strlen(operation) >= TSR_OPERATION_TEXT)
        return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                        "operation: wanted at most %d bytes, got %zu: %.60s...",
                        TSR_OPERATION_TEXT - 1, strlen(operation), operation);
    strcpy(text, operation);
    char *values = strchr(text, ':');
    if (values) *values++ = 0;
    const int index = tsr_operator_find(text);
    if (index < 0)
        return tsr_fail(o->ctx, TSR_ERROR_NOT_FOUND,
                        "operation: wanted the name of an operator, got \"%.200s\"", text);
    o->op = operators[index];
    return read_values(o, values);
}

/* ---- running ---- */

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

/* Reads an operation on token sets. */
static tsr_status read_on_sets(tsr_operation *o, const char *operation, char *text) {
    const tsr_status status = tsr_operation_read(o, operation, text);
    if (status || o->op->info.kind != TSR_OPERATOR_PLAN) return status;
    return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                    "%s: wanted an operator on token sets, got one that plans", o->op->info.name);
}

tsr_status tsr_operations_check(tsr_context *ctx, const char *const *operations, int count) {
    char text[TSR_OPERATION_TEXT];
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        tsr_operation o = {.ctx = ctx};
        status = operations && operations[i] ? read_on_sets(&o, operations[i], text)
                                             : tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                                                        "operation %d: wanted a text, got NULL", i);
    }
    return status;
}

/* *device may be NULL, and may be opened. */
static tsr_status apply(tsr_device **device, const tsr_token_set *in, const char *operation,
                        tsr_token_set **made) {
    char text[TSR_OPERATION_TEXT];
    tsr_operation o = {.ctx = in->ctx, .device = device, .in = in, .scratch = {.ctx = in->ctx}};
    *made = NULL;
    o.status = read_on_sets(&o, operation, text);
    if (o.status) return o.status;
    o.trace = tsr_token_set_make(o.ctx, 1, 1, 1);
    if (!o.trace) return TSR_ERROR_MEMORY;
    o.op->apply(&o);
    return tsr_operation_end(&o, made);
}

void tsr_report_steps(tsr_reduce_report *report, int first, int count, const tsr_device *device,
                      const uint64_t *near_ties) {
    char ran_on[32] = "cpu";
    if (device) snprintf(ran_on, sizeof ran_on, "vulkan:%d", tsr_device_properties(device)->index);
    for (int i = first; report && i < first + count && i < TSR_REDUCE_STEPS_MOST; ++i) {
        tsr_reduce_step *step = &report->steps[i];
        snprintf(step->ran_on, sizeof step->ran_on, "%s", ran_on);
        if (near_ties) step->near_ties += near_ties[i - first];
        report->step_count = i + 1;
    }
}

void tsr_report_device(tsr_reduce_report *report, const tsr_device *device) {
    if (!report || !device) return;
    const tsr_device_traffic t = tsr_device_traffic_of(device);
    report->programs = t.executions;
    report->submissions = t.submissions;
    report->bytes_up = t.bytes_up;
    report->bytes_down = t.bytes_down;
}

/* Applies operations[0], on a GPU with as many behind it as can be recorded together: *done of
 * them. `first` is the number of operations[0] in its chain. */
static tsr_status apply_some(tsr_device **device, const tsr_token_set *in,
                             const char *const *operations, int count, int first,
                             tsr_reduce_report *report, int *done, tsr_token_set **made) {
    const tsr_device_info *info = *device ? tsr_device_properties(*device) : NULL;
    uint64_t near_ties[TSR_REDUCE_STEPS_MOST];
    const int most = count < TSR_REDUCE_STEPS_MOST ? count : TSR_REDUCE_STEPS_MOST;
    tsr_status status = TSR_OK;
    *done = 0;
    if (info && info->kind == TSR_DEVICE_VULKAN)
        status = tsr_recorded_run(*device, in, operations, most, done, near_ties, made);
    if (status) return status;
    if (*done) {
        tsr_report_steps(report, first, *done, *device, near_ties);
        return TSR_OK;
    }
    *done = 1;
    tsr_report_steps(report, first, 1, NULL, NULL);
    return operations[0] ? apply(device, in, operations[0], made)
                         : tsr_fail(in->ctx, TSR_ERROR_ARGUMENT,
                                    "reduce: operation %d: wanted a text, got NULL", first);
}

tsr_status tsr_operations_apply(tsr_device **device, const tsr_token_set *set,
                                const char *const *operations, int count, tsr_reduce_report *report,
                                tsr_token_set **reduced) {
    const tsr_token_set *in = set;
    tsr_token_set *made = NULL;
    tsr_status status = TSR_OK;
    for (int i = 0, done = 0; i < count && !status; i += done) {
        tsr_token_set *next = NULL;
        status = apply_some(device, in, operations + i, count - i, i, report, &done, &next);
        tsr_token_set_close(&made);
        in = made = next;
    }
    if (status) tsr_token_set_close(&made);
    *reduced = made;
    return status;
}

tsr_status tsr_token_set_reduce(const tsr_token_set *set, const char *const *operations, int count,
                                const tsr_reduce_settings *settings, tsr_token_set **reduced) {
    if (reduced) *reduced = NULL;
    if (!set) return TSR_ERROR_ARGUMENT;
    if (!operations || count < 1 || !reduced)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "reduce: wanted operations and a place for the set, got %d and %s", count,
                        reduced ? "a place" : "NULL");
    tsr_reduce_report *report = settings ? settings->report : NULL;
    if (report) *report = (tsr_reduce_report){0};
    tsr_device *device = NULL;
    tsr_device_settings d = tsr_device_settings_default();
    d.name = settings && settings->device ? settings->device : "cpu";
    tsr_status status = TSR_OK;
    if (strcmp(d.name, "cpu")) status = tsr_device_open(set->ctx, &device, &d);
    if (!status) status = tsr_operations_apply(&device, set, operations, count, report, reduced);
    tsr_report_device(report, device);
    tsr_device_close(&device);
    return status;
}

tsr_status tsr_token_set_coverage(const tsr_token_set *original, const tsr_token_set *set,
                                  const tsr_reduce_settings *settings, double *coverage) {
    if (!original || !set || !coverage) return TSR_ERROR_ARGUMENT;
    tsr_status status = tsr_token_set_fits(original, set);
    if (status) return status;
    const int64_t n = original->count;
    tsr_scratch s = {.ctx = set->ctx};
    int32_t *labels = tsr_scratch_take(&s, (size_t)n, sizeof *labels, "nearest tokens");
    float *distances = tsr_scratch_take(&s, (size_t)n, sizeof *distances, "distances");
    tsr_device *device = NULL;
    tsr_device_settings d = tsr_device_settings_default();
    d.name = settings && settings->device ? settings->device : "cpu";
    status = s.status;
    if (!status) status = tsr_device_open(set->ctx, &device, &d);
    if (!status)
        status = tsr_spherical_assign(device, original->features, n, set->channels, set->features,
                                      set->count, labels, NULL, distances);
    double sum = 0;
    for (int64_t i = 0; i < n && !status; ++i)
        sum += 1 - (double)distances[i];
    if (!status) *coverage = sum / (double)n;
    tsr_device_close(&device);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_operator_plan(tsr_context *ctx, const char *operation, tsr_token_set **answer) {
    char text[TSR_OPERATION_TEXT];
    if (answer) *answer = NULL;
    if (!ctx || !operation || !answer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "plan: wanted an operation and a place for the answer, got NULL");
    tsr_operation o = {.ctx = ctx, .scratch = {.ctx = ctx}};
    o.status = tsr_operation_read(&o, operation, text);
    if (o.status) return o.status;
    if (o.op->info.kind != TSR_OPERATOR_PLAN)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted an operator that plans, got one on token sets",
                        o.op->info.name);
    o.trace = o.out = tsr_token_set_make(ctx, 1, 1, 1);
    if (!o.trace) return TSR_ERROR_MEMORY;
    o.out->sizes[0] = 1;
    o.out->features[0] = 0;
    o.op->apply(&o);
    return tsr_operation_end(&o, answer);
}
