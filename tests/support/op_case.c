/* SPDX-License-Identifier: MIT */
#include "op_case.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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
    tsr_program program = {
        .fn = c->run.fn, .model = c->run.model, .variant = c->run.variant, .name = c->run.name};
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_context *ctx = tsr_device_context(d);
    tsr_status got = tsr_execute(d, &program, c->in, c->run.in_count, c->out, c->run.out_count);
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), text),
                  "%s: wanted %s with \"%s\", got %s: %s", c->run.name, tsr_status_name(status),
                  text, tsr_status_name(got), tsr_detail(ctx));
}

static size_t bytes_of(const tsr_tensor *t) {
    return (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
}

static void run_on(tsr_device *d, op_case *c, const tsr_tensor *in, tsr_tensor *out) {
    tsr_program program = {
        .fn = c->run.fn, .model = c->run.model, .variant = c->run.variant, .name = c->run.name};
    ck_assert_msg(tsr_execute(d, &program, in, c->run.in_count, out, c->run.out_count) == TSR_OK,
                  "%s: %s", c->run.name, tsr_detail(tsr_device_context(d)));
}

static void same_on(tsr_device *d, op_case *c, const char *where) {
    int64_t batch = c->in[0].dim[0];
    run_on(d, c, c->in, c->out);
    for (int64_t b = 0; b < batch; ++b) {
        tsr_tensor in[4], out[4];
        for (int i = 0; i < c->run.in_count; ++i) {
            in[i] = c->in[i];
            if (in[i].dim[0] != batch) continue;
            in[i].dim[0] = 1;
            in[i].data = (char *)in[i].data + (size_t)b * bytes_of(&in[i]);
        }
        for (int i = 0; i < c->run.out_count; ++i) {
            out[i] = c->out[i];
            out[i].dim[0] = 1;
            out[i].data = guarded(bytes_of(&out[i]));
        }
        run_on(d, c, in, out);
        for (int i = 0; i < c->run.out_count; ++i) {
            const char *whole = (const char *)c->out[i].data + (size_t)b * bytes_of(&out[i]);
            ck_assert_msg(!memcmp(whole, out[i].data, bytes_of(&out[i])),
                          "%s on %s: item %lld, output %d: other bits alone than in the batch",
                          c->run.name, where, (long long)b, i);
            guarded_free(out[i].data);
        }
    }
    tsr_device_forget(d, c->run.model);
}

void op_same_in_batches_without(op_case *c, const char *mask) {
    char where[96];
    snprintf(where, sizeof where, "cpu without %s", mask);
    same_on(everywhere_device("cpu", mask), c, where);
}

void op_same_in_batches(op_case *c) {
    const char *only = getenv("TESSERA_TEST_DEVICE"); /* as everywhere() */
    if (!only || !strcmp(only, "cpu")) same_on(everywhere_device("cpu", NULL), c, "cpu");
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        if (only && strcmp(only, name)) continue;
        tsr_device *d = everywhere_device(name, NULL);
        ck_assert_msg(d != NULL, "%s could not be opened", name);
        same_on(d, c, name);
    }
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
