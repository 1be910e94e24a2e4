/* SPDX-License-Identifier: MIT */
/* operation.c: the calls that operators are written with: parameters, and what they read. */
#include "operator.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tsr_operation_fail(tsr_operation *o, tsr_status status, const char *format, ...) {
    if (o->status) return;
    char text[768];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    o->status = tsr_fail(o->ctx, status, "%s: %s", o->op->info.name, text);
}

tsr_device *tsr_operation_device(tsr_operation *o) {
    if (o->status) return NULL;
    tsr_device_settings settings = tsr_device_settings_default();
    settings.name = "cpu"; /* another one is open already */
    if (!*o->device) o->status = tsr_device_open(o->ctx, o->device, &settings);
    return o->status ? NULL : *o->device;
}

void *tsr_operation_take(tsr_operation *o, int64_t count, size_t size, const char *what) {
    if (o->status) return NULL;
    void *p = tsr_scratch_take(&o->scratch, (size_t)(count > 0 ? count : 1), size, what);
    if (!p) o->status = o->scratch.status;
    return p;
}

void *tsr_operation_take_raw(tsr_operation *o, int64_t count, size_t size, const char *what) {
    if (o->status) return NULL;
    void *p = tsr_scratch_take_raw(&o->scratch, (size_t)(count > 0 ? count : 1), size, what);
    if (!p) o->status = o->scratch.status;
    return p;
}

/* ---- parameters ---- */

static int parameter(const tsr_operation *o, const char *name) {
    int i = 0;
    while (o->op->parameters[i].name && strcmp(o->op->parameters[i].name, name))
        ++i;
    return i;
}

static const char *value(tsr_operation *o, const char *name) {
    const int i = parameter(o, name);
    const char *text = o->value[i] ? o->value[i] : o->op->parameters[i].standard;
    if (!text)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted a value, got none; %s", name,
                           o->op->parameters[i].about);
    return o->status ? NULL : text;
}

bool tsr_operation_has(const tsr_operation *o, const char *name) {
    const int i = parameter(o, name);
    return o->value[i] || o->op->parameters[i].standard;
}

int64_t tsr_operation_integer(tsr_operation *o, const char *name) {
    const char *text = value(o, name);
    return text ? strtoll(text, NULL, 10) : 0;
}
double tsr_operation_number(tsr_operation *o, const char *name) {
    const char *text = value(o, name);
    return text ? strtod(text, NULL) : 0;
}
const char *tsr_operation_text(tsr_operation *o, const char *name) {
    const char *text = value(o, name);
    return text ? text : "";
}
bool tsr_operation_is(tsr_operation *o, const char *name, const char *choice) {
    return !strcmp(tsr_operation_text(o, name), choice);
}

const double *tsr_operation_list(tsr_operation *o, const char *name, int *count) {
    const char *text = value(o, name);
    *count = 0;
    if (!text) return NULL;
    int n = *text != 0;
    for (const char *p = text; *p; ++p)
        n += *p == '+';
    double *list = tsr_operation_take(o, n, sizeof *list, name);
    if (!list) return NULL;
    for (int i = 0; i < n; ++i) {
        char *end;
        list[i] = strtod(text, &end);
        text = end + 1;
    }
    *count = n;
    return list;
}

/* ---- what the operator reads ---- */

bool tsr_operation_has_column(const tsr_operation *o, const char *name) {
    return tsr_token_set_column(o->in, name).name != NULL;
}

tsr_token_array tsr_operation_column(tsr_operation *o, const char *name, tsr_array_type type,
                                     tsr_token_axis axis, int rank) {
    static const char *const axes[] = {"no token axis", "tokens first", "tokens last",
                                       "tokens by tokens"};
    const tsr_token_array none = {0};
    if (o->status) return none;
    const tsr_token_array a = tsr_token_set_column(o->in, name);
    if (!a.name)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted a token set with the column %s, got none",
                           name);
    else if (a.type != type || a.axis != axis || (rank && a.rank != rank))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "column %s: wanted %s, %s, rank %d, got %s, %s, rank %d", name,
                           type == TSR_ARRAY_I32 ? "integers" : "f32 numbers", axes[axis + 1],
                           rank ? rank : a.rank, a.type == TSR_ARRAY_I32 ? "integers" : "numbers",
                           axes[a.axis + 1], a.rank);
    return o->status ? none : a;
}

tsr_token_array tsr_operation_table(tsr_operation *o, const char *name, int rank) {
    /* A file cannot tell a table with as many rows as there are tokens from rows of tokens. */
    const bool rows = tsr_token_set_column(o->in, name).axis == TSR_TOKEN_AXIS_FIRST;
    return tsr_operation_column(o, name, TSR_ARRAY_F32,
                                rows ? TSR_TOKEN_AXIS_FIRST : TSR_TOKEN_AXIS_NONE, rank);
}

const int64_t *tsr_operation_grid(tsr_operation *o) {
    if (!o->status && !o->in->grid[0])
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted tokens on a grid, got %lld tokens without one",
                           (long long)o->in->count);
    return o->in->grid;
}
