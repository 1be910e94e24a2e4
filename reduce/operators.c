/* SPDX-License-Identifier: MIT */
/* operators.c: the list of operators, reading "NAME:key=value,...", and running a chain. */
#include "operator.h"

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
enum { OPERATORS = sizeof operators / sizeof *operators, MAX_OPERATION = 4096 };

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

/* Sets o->op and o->value; `text` [MAX_OPERATION] holds the values afterwards. */
static tsr_status read_operation(tsr_operation *o, const char *operation, char *text) {
    if (strlen(operation) >= MAX_OPERATION)
        return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                        "operation: wanted at most %d bytes, got %zu: %.60s...", MAX_OPERATION - 1,
                        strlen(operation), operation);
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

static void end(tsr_operation *o, tsr_token_set **made) {
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
    *made = o->out;
}

/* *device may be NULL, and may be opened. */
static tsr_status apply(tsr_device **device, const tsr_token_set *in, const char *operation,
                        tsr_token_set **made) {
    char text[MAX_OPERATION];
    tsr_operation o = {.ctx = in->ctx, .device = device, .in = in, .scratch = {.ctx = in->ctx}};
    *made = NULL;
    o.status = read_operation(&o, operation, text);
    if (o.status) return o.status;
    if (o.op->info.kind == TSR_OPERATOR_PLAN)
        return tsr_fail(o.ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted an operator on token sets, got one that plans",
                        o.op->info.name);
    o.trace = tsr_token_set_make(o.ctx, 1, 1, 1);
    if (!o.trace) return TSR_ERROR_MEMORY;
    o.op->apply(&o);
    end(&o, made);
    return o.status;
}

tsr_status tsr_token_set_reduce(const tsr_token_set *set, const char *const *operations, int count,
                                const tsr_reduce_settings *settings, tsr_token_set **reduced) {
    if (reduced) *reduced = NULL;
    if (!set) return TSR_ERROR_ARGUMENT;
    if (!operations || count < 1 || !reduced)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "reduce: wanted operations and a place for the set, got %d and %s", count,
                        reduced ? "a place" : "NULL");
    tsr_device *device = NULL;
    tsr_device_settings d = tsr_device_settings_default();
    d.name = settings && settings->device ? settings->device : "cpu";
    tsr_status status = TSR_OK;
    if (strcmp(d.name, "cpu")) status = tsr_device_open(set->ctx, &device, &d);
    const tsr_token_set *in = set;
    tsr_token_set *made = NULL;
    for (int i = 0; i < count && !status; ++i) {
        tsr_token_set *next = NULL;
        status = operations[i] ? apply(&device, in, operations[i], &next)
                               : tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                                          "reduce: operation %d: wanted a text, got NULL", i);
        tsr_token_set_close(&made);
        in = made = next;
    }
    tsr_device_close(&device);
    if (status)
        tsr_token_set_close(&made);
    else
        *reduced = made;
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
    char text[MAX_OPERATION];
    if (answer) *answer = NULL;
    if (!ctx || !operation || !answer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "plan: wanted an operation and a place for the answer, got NULL");
    tsr_operation o = {.ctx = ctx, .scratch = {.ctx = ctx}};
    o.status = read_operation(&o, operation, text);
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
    end(&o, answer);
    return o.status;
}
