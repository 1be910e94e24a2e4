/* SPDX-License-Identifier: MIT */
#include "op_case.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *add(tsr_tensor *list, int *count, tsr_dtype dtype, int rank, const int64_t *dim) {
    ck_assert_int_lt(*count, 4);
    tsr_tensor *t = &list[(*count)++];
    *t = tsr_host_tensor(dtype, NULL, rank, dim);
    t->data = guarded((size_t)tsr_elements(t) * tsr_dtype_bytes(dtype));
    return t->data;
}

void *op_in(op_case *c, tsr_dtype dtype, int rank, const int64_t *dim) {
    return add(c->in, &c->run.in_count, dtype, rank, dim);
}

void *op_out(op_case *c, tsr_dtype dtype, int rank, const int64_t *dim) {
    return add(c->out, &c->run.out_count, dtype, rank, dim);
}

void op_name(op_case *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(c->name, sizeof c->name, format, args);
    va_end(args);
    c->run.name = c->name;
}

void op_run(op_case *c) {
    c->run.in = c->in;
    c->run.out = c->out;
    everywhere(&c->run);
}

void op_refused(op_case *c, tsr_status status, const char *text) {
    tsr_program program = {c->run.fn, c->run.model, c->run.variant, c->run.name};
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_context *ctx = tsr_device_context(d);
    tsr_status got = tsr_execute(d, &program, c->in, c->run.in_count, c->out, c->run.out_count);
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), text),
                  "%s: wanted %s with \"%s\", got %s: %s", c->run.name, tsr_status_name(status),
                  text, tsr_status_name(got), tsr_detail(ctx));
}

void op_free(op_case *c) {
    for (int i = 0; i < c->run.in_count; ++i)
        guarded_free(c->in[i].data);
    for (int i = 0; i < c->run.out_count; ++i)
        guarded_free(c->out[i].data);
}

void op_expect(const op_case *c, int i, const double *want, double tolerance) {
    char what[128];
    snprintf(what, sizeof what, "%s: reference, output %d", c->run.name, i);
    expect_close(what, c->out[i].data, want, tsr_elements(&c->out[i]), tolerance);
}
