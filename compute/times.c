/* SPDX-License-Identifier: MIT */
/* times.c: sums of what a GPU's timestamps said, and how they are shown. */
#include "times.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 5, FLOPS_A_BYTE = 16 };

tsr_time_bound tsr_timed_bound(const tsr_timed_op *op) {
    return op->multiply_adds > 0 && 2 * op->multiply_adds >= FLOPS_A_BYTE * op->bytes
               ? TSR_BOUND_ARITHMETIC
               : TSR_BOUND_MEMORY;
}

void tsr_times_free(tsr_times *t) {
    free(t->programs);
    free(t->ops);
    *t = (tsr_times){0};
}

/* Room for one more of `size` bytes in a list of `count`; NULL after a MEMORY failure. */
static void *more(tsr_context *ctx, void *list, int count, int *capacity, size_t size) {
    if (count < *capacity) return list;
    const int wanted = *capacity ? 2 * *capacity : 32;
    void *moved = realloc(list, (size_t)wanted * size);
    if (moved)
        *capacity = wanted;
    else
        tsr_fail(ctx, TSR_ERROR_MEMORY, "times: wanted room for %d rows, got none", wanted);
    return moved;
}

int tsr_times_program(tsr_context *ctx, tsr_times *t, const char *name) {
    tsr_timed_program p = {.runs = 0};
    snprintf(p.name, sizeof p.name, "%s", name ? name : "program");
    for (int i = 0; i < t->program_count; ++i)
        if (!strcmp(t->programs[i].name, p.name)) return i;
    void *list = more(ctx, t->programs, t->program_count, &t->program_capacity, sizeof p);
    if (!list) return -1;
    t->programs = list;
    t->programs[t->program_count] = p;
    return t->program_count++;
}

int tsr_times_op(tsr_context *ctx, tsr_times *t, const tsr_timed_op *op) {
    for (int i = 0; i < t->op_count; ++i) {
        const tsr_timed_op *o = &t->ops[i];
        if (o->program == op->program && !strcmp(o->op, op->op) && !strcmp(o->shader, op->shader) &&
            !strcmp(o->shape, op->shape))
            return i;
    }
    void *list = more(ctx, t->ops, t->op_count, &t->op_capacity, sizeof *op);
    if (!list) return -1;
    t->ops = list;
    t->ops[t->op_count] = *op;
    t->ops[t->op_count].count = 0;
    t->ops[t->op_count].seconds = t->ops[t->op_count].multiply_adds = 0;
    t->ops[t->op_count].bytes = 0;
    return t->op_count++;
}

int tsr_times_slowest(const tsr_times *t, int program, int *order) {
    int count = 0;
    for (int i = 0; i < t->op_count; ++i) {
        if (t->ops[i].program != program) continue;
        int at = count++; /* by insertion: some tens of ops */
        for (; at > 0 && t->ops[order[at - 1]].seconds < t->ops[i].seconds; --at)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return count;
}

static const char *rate(const tsr_timed_op *op, char *text, size_t size) {
    if (!(op->seconds > 0))
        snprintf(text, size, "-");
    else if (tsr_timed_bound(op) == TSR_BOUND_ARITHMETIC)
        snprintf(text, size, "%.3f TFLOP/s", 2e-12 * op->multiply_adds / op->seconds);
    else
        snprintf(text, size, "%.2f GB/s", 1e-9 * op->bytes / op->seconds);
    return text;
}

static void log_line(tsr_context *ctx, const tsr_timed_program *p, const tsr_timed_op *op,
                     const char *label, const char *rest) {
    char text[48];
    tsr_log(ctx, TSR_LOG_DEBUG, "  %-26s %6.0f %10.3f ms %16s %5.1f %%  %s", label,
            (double)op->count / (double)p->runs, 1e3 * op->seconds / (double)p->runs,
            rate(op, text, sizeof text), p->seconds > 0 ? 100 * op->seconds / p->seconds : 0, rest);
}

/* Sums by op and shader, most seconds first. */
static void log_sums(tsr_context *ctx, const tsr_times *t, int program, const int *order,
                     int count) {
    tsr_times sums = {0};
    for (int i = 0; i < count; ++i) {
        const tsr_timed_op *op = &t->ops[order[i]];
        tsr_timed_op key = *op;
        key.shape[0] = '\0';
        const int at = tsr_times_op(ctx, &sums, &key);
        if (at < 0) break;
        sums.ops[at].count += op->count;
        sums.ops[at].seconds += op->seconds;
        sums.ops[at].multiply_adds += op->multiply_adds;
        sums.ops[at].bytes += op->bytes;
    }
    int *sorted = tsr_alloc(ctx, (size_t)sums.op_count + 1, sizeof *sorted, "times");
    const int n = sorted ? tsr_times_slowest(&sums, program, sorted) : 0;
    for (int i = 0; i < n; ++i)
        log_line(ctx, &t->programs[program], &sums.ops[sorted[i]], sums.ops[sorted[i]].op,
                 sums.ops[sorted[i]].shader);
    free(sorted);
    tsr_times_free(&sums);
}

void tsr_times_log(tsr_context *ctx, const char *device, const tsr_times *t) {
    int *order = tsr_alloc(ctx, (size_t)t->op_count + 1, sizeof *order, "times");
    for (int k = 0; k < t->program_count && order; ++k) {
        const tsr_timed_program *p = &t->programs[k];
        const int count = tsr_times_slowest(t, k, order);
        double inside = 0;
        if (!p->runs) continue;
        for (int i = 0; i < count; ++i)
            inside += t->ops[order[i]].seconds;
        tsr_log(ctx, TSR_LOG_DEBUG,
                "%s on %s: %.3f ms a run on the device, mean of %llu; %.1f %% between ops", p->name,
                device, 1e3 * p->seconds / (double)p->runs, (unsigned long long)p->runs,
                p->seconds > inside ? 100 * (p->seconds - inside) / p->seconds : 0.0);
        tsr_log(ctx, TSR_LOG_DEBUG, "  %-26s %6s %13s %16s %7s", "slowest", "uses", "a run", "rate",
                "share");
        for (int i = 0; i < count && i < SHOWN; ++i)
            log_line(ctx, p, &t->ops[order[i]], t->ops[order[i]].op, t->ops[order[i]].shape);
        tsr_log(ctx, TSR_LOG_DEBUG, "  by op");
        log_sums(ctx, t, k, order, count);
    }
    free(order);
}

static cJSON *op_json(const tsr_timed_program *p, const tsr_timed_op *op) {
    const double runs = p->runs ? (double)p->runs : 1;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "op", op->op);
    cJSON_AddStringToObject(o, "shader", op->shader);
    cJSON_AddStringToObject(o, "shape", op->shape);
    cJSON_AddNumberToObject(o, "count", (double)op->count / runs);
    cJSON_AddNumberToObject(o, "ms", 1e3 * op->seconds / runs);
    cJSON_AddNumberToObject(o, "share", p->seconds > 0 ? op->seconds / p->seconds : 0);
    if (op->seconds > 0 && op->multiply_adds > 0)
        cJSON_AddNumberToObject(o, "tflops", 2e-12 * op->multiply_adds / op->seconds);
    if (op->seconds > 0) cJSON_AddNumberToObject(o, "gbs", 1e-9 * op->bytes / op->seconds);
    cJSON_AddStringToObject(o, "bound",
                            tsr_timed_bound(op) == TSR_BOUND_ARITHMETIC ? "arithmetic" : "memory");
    return o;
}

tsr_status tsr_times_json(tsr_context *ctx, const tsr_times *t, int program, char **json) {
    *json = NULL;
    int *order = tsr_alloc(ctx, (size_t)t->op_count + 1, sizeof *order, "times");
    if (!order) return TSR_ERROR_MEMORY;
    cJSON *list = cJSON_CreateArray();
    const int count = tsr_times_slowest(t, program, order);
    for (int i = 0; i < count && list; ++i)
        cJSON_AddItemToArray(list, op_json(&t->programs[program], &t->ops[order[i]]));
    char *text = list ? cJSON_PrintUnformatted(list) : NULL;
    cJSON_Delete(list);
    free(order);
    if (text) { /* cJSON's memory functions may be replaced; ours is malloc */
        *json = strdup(text);
        cJSON_free(text);
    }
    return *json ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "times: no memory for their text");
}
