/* SPDX-License-Identifier: MIT */
/* operators.c: the list of operators, and reading "NAME:key=value,...". */
#include "operator.h"

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
