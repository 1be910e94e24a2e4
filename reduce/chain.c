/* SPDX-License-Identifier: MIT */
/* chain.c: running operators, one behind the other, and what of a set is covered by what was made
 * of it. */
#include "../quantizer/spherical.h"
#include "operator.h"
#include "recorded.h"

#include <stdio.h>
#include <string.h>

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
    tsr_operation o = {.ctx = in->ctx, .device = device, .in = in};
    *made = NULL;
    o.scratch = (tsr_scratch){.ctx = in->ctx, .reuse = true};
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
