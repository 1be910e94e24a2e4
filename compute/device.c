/* SPDX-License-Identifier: MIT */
/* device.c: what an open device says of itself, closing it, and the checks every execute shares. */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

tsr_device_settings tsr_device_settings_default(void) {
    return (tsr_device_settings){.name = "auto"};
}

void tsr_device_close(tsr_device **device) {
    if (!device || !*device) return;
    tsr_device *d = *device;
    if (d->timing) tsr_times_log(d->ctx, d->name, &d->times);
    if (d->backend) d->backend->close(d);
    tsr_times_free(&d->times);
    tsr_arena_free(&d->nodes);
    tsr_arena_free(&d->data);
    tsr_arena_free(&d->scratch);
    free(d->mask);
    free(d);
    *device = NULL;
}

const tsr_device_info *tsr_device_properties(const tsr_device *d) {
    return &d->info;
}

const char *tsr_device_fast_path(const tsr_device *d) {
    return d->fast_path;
}

bool tsr_device_fast_used(const tsr_device *d) {
    return d->fast_used;
}

void tsr_device_use_fast(tsr_device *d) {
    d->fast_used = true;
}

tsr_cpu_products tsr_device_products(const tsr_device *d) {
    return d->cpu_products;
}

bool tsr_device_bf16_matrix(const tsr_device *d) {
    return d->info.cooperative_matrix;
}

bool tsr_device_onednn_linear(const tsr_device *d) {
    return d->onednn_linear;
}

bool tsr_device_onednn_conv(const tsr_device *d) {
    return d->onednn_conv;
}

tsr_context *tsr_device_context(const tsr_device *d) {
    return d->ctx;
}

size_t tsr_device_peak_bytes(const tsr_device *d) {
    return d->peak;
}

tsr_device_traffic tsr_device_traffic_of(const tsr_device *d) {
    return d->traffic;
}

tsr_status tsr_device_time_ops(tsr_device *d, bool on) {
    if (on && !(d->tick > 0))
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "device %s: wanted timestamps, got %s without them", d->name,
                        d->info.kind == TSR_DEVICE_CPU ? "the cpu device" : "a queue");
    d->timing = on;
    if (!on) return TSR_OK;
    tsr_times_free(&d->times);
    ++d->times_started;
    return TSR_OK;
}

const tsr_times *tsr_device_times(const tsr_device *d) {
    return &d->times;
}

bool tsr_device_is_plain_cpu(const tsr_device *d) {
    return d->info.kind == TSR_DEVICE_CPU && !d->settings.reference && !d->settings.plan &&
           !tsr_device_masked(d, "cpu");
}

bool tsr_device_masked(const tsr_device *d, const char *name) {
    for (const char *at = d->mask; at && *at;) {
        size_t n = strcspn(at, ",");
        if (strlen(name) == n && !memcmp(name, at, n)) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

bool tsr_device_is_left_by_fork(const tsr_device *d) {
    return d->info.kind != TSR_DEVICE_CPU && d->process != getpid();
}

void tsr_device_forget(tsr_device *d, const void *model) {
    if (d && !tsr_device_is_left_by_fork(d)) d->backend->forget(d, model);
}

tsr_status tsr_check_output(tsr_device *d, const tsr_program *program, int index,
                            const tsr_tensor *made, const tsr_tensor *expected) {
    if (made->dtype == expected->dtype && tsr_elements(made) == tsr_elements(expected))
        return TSR_OK;
    char want[96], got[96];
    return tsr_fail(d->ctx, TSR_ERROR_ARGUMENT, "%s: output %d: wanted %s %s, got %s %s",
                    program->name ? program->name : "program", index,
                    tsr_dtype_name(expected->dtype), tsr_shape_text(expected, want, sizeof want),
                    tsr_dtype_name(made->dtype), tsr_shape_text(made, got, sizeof got));
}

/* Fails unless the program has a function, and its inputs and wanted outputs have shapes. */
static tsr_status check_program(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                                int in_count, const tsr_tensor *out, int out_count) {
    const char *name = program && program->name ? program->name : "program";
    if (!program || !program->fn || in_count < 0 || in_count > TSR_MAX_IO || out_count < 0 ||
        out_count > TSR_MAX_IO)
        return tsr_fail(d->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted a function and at most %d inputs and outputs, got %d and %d",
                        name, TSR_MAX_IO, in_count, out_count);
    for (int i = 0; i < in_count + out_count; ++i) {
        const tsr_tensor *t = i < in_count ? &in[i] : &out[i - in_count];
        char text[96];
        if (i >= in_count && !t->data) continue;
        if (!t->data || t->rank < 1 || t->rank > TSR_MAX_RANK || tsr_elements(t) < 1)
            return tsr_fail(d->ctx, TSR_ERROR_ARGUMENT, "%s: %s %d: wanted host data, got %s %s",
                            name, i < in_count ? "input" : "output",
                            i < in_count ? i : i - in_count, t->data ? "shape" : "NULL of shape",
                            tsr_shape_text(t, text, sizeof text));
    }
    return TSR_OK;
}

tsr_status tsr_execute_begin(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                             int in_count, const tsr_tensor *out, int out_count,
                             tsr_flight *flight) {
    if (!d || !flight) return TSR_ERROR_ARGUMENT;
    tsr_status status = check_program(d, program, in, in_count, out, out_count);
    if (status) return status;
    const char *name = program->name ? program->name : "program";
    if (flight->pending)
        return tsr_fail(d->ctx, TSR_ERROR_STATE, "%s: wanted a flight that has ended", name);
    if (tsr_device_is_left_by_fork(d))
        return tsr_fail(d->ctx, TSR_ERROR_DEVICE_LOST,
                        "%s on %s: wanted process %ld, which opened the device, got its child %ld: "
                        "a GPU does not follow fork(); open the model again in the child",
                        name, d->name, (long)d->process, (long)getpid());
    if (d->run)
        return tsr_fail(d->ctx, TSR_ERROR_STATE,
                        "%s: wanted an idle device, got a call from inside "
                        "a model function",
                        name);
    if (d->lost) return tsr_fail(d->ctx, d->lost, "%s", d->lost_detail);
    ++d->traffic.executions;
    *flight = (tsr_flight){.out_count = out_count};
    for (int i = 0; i < out_count; ++i)
        flight->out[i] = out[i];
    return d->backend->begin(d, program, in, in_count, flight);
}

tsr_status tsr_execute_end(tsr_device *d, tsr_flight *flight) {
    if (flight->pending) d->backend->finish(d, flight);
    return flight->status ? tsr_fail(d->ctx, flight->status, "%s", flight->detail) : TSR_OK;
}

tsr_status tsr_execute(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                       int in_count, tsr_tensor *out, int out_count) {
    tsr_flight flight = {0};
    const tsr_status status = tsr_execute_begin(d, program, in, in_count, out, out_count, &flight);
    return status ? status : tsr_execute_end(d, &flight);
}

/* ---- outlines ---- */

static tsr_status outline_make(tsr_run *run, tsr_tensor *tensor) {
    (void)run;
    (void)tensor;
    return TSR_OK;
}
static tsr_status outline_weight(tsr_run *run, tsr_tensor *tensor, tsr_weight *weight,
                                 bool kernel) {
    (void)run;
    (void)tensor;
    (void)weight;
    (void)kernel;
    return TSR_OK;
}
static tsr_status outline_emit(tsr_run *run, const tsr_call *call) {
    (void)run;
    (void)call;
    return TSR_OK;
}
static const tsr_backend outline_backend = {
    .make = outline_make, .weight = outline_weight, .emit = outline_emit};

tsr_status tsr_outline(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                       int in_count) {
    tsr_tensor own[TSR_MAX_IO], *inputs[TSR_MAX_IO] = {0}, *made[TSR_MAX_IO];
    if (!d) return TSR_ERROR_ARGUMENT;
    if (!program || !program->fn || in_count < 0 || in_count > TSR_MAX_IO)
        return tsr_fail(d->ctx, TSR_ERROR_ARGUMENT,
                        "outline: wanted a function and at most %d inputs, got %d", TSR_MAX_IO,
                        in_count);
    for (int i = 0; i < in_count; ++i) {
        own[i] = in[i];
        own[i].data = NULL;
        inputs[i] = &own[i];
    }
    /* The same device with arenas and functions of its own. */
    tsr_device shape = *d;
    shape.backend = &outline_backend;
    shape.nodes = shape.data = shape.scratch = (tsr_arena){0};
    tsr_run run = {.device = &shape};
    const tsr_status status = tsr_run_walk(&run, program, inputs, made, 0);
    tsr_arena_free(&shape.nodes);
    tsr_arena_free(&shape.data);
    tsr_arena_free(&shape.scratch);
    return status;
}
