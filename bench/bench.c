/* SPDX-License-Identifier: MIT */
/* bench.c: how a row is made: devices, timing, statistics and its JSON. */
#include "bench.h"
#include "../models/registry.h"
#include "../compute/clock.h"
#include "../compute/threads.h"
#include "../compute/times.h"
#include "../ops/ops.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SAMPLES_MAX   4096
#define SAMPLES_LEAST 10
#define SAMPLES_SLOW  3 /* when ten would take longer than SECONDS_SLOW */
#define SECONDS_SLOW  5.0
#define SECONDS_SHORT 100e-6 /* shorter bodies are called several times for one sample */
#define REPEAT_GPU    16
#define SECONDS_TIMED 0.1 /* calls whose ops are timed go on for so long */

bool tsr_bench_wants(const tsr_bencher *b, const char *name) {
    return !b->settings.filter || strstr(name, b->settings.filter);
}

bool tsr_bench_wants_cpu(const tsr_bencher *b) {
    return b->device_count > 0 && b->devices[0].info.kind == TSR_DEVICE_CPU;
}

void tsr_bench_paint(uint8_t *rgb, int number, int width, int height) {
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) {
                uint32_t v = 0;
                for (int s = 1; s < 7; ++s) {
                    const uint32_t h = (uint32_t)(x >> s) * 73856093u ^
                                       (uint32_t)(y >> s) * 19349663u ^
                                       (uint32_t)(c + 3 * number) * 83492791u;
                    v += ((h * 2654435761u) >> 24) << s;
                }
                rgb[(y * width + x) * 3 + c] = (uint8_t)(v >> 7);
            }
}

float *tsr_bench_floats(tsr_context *ctx, size_t n, uint32_t seed) {
    float *x = tsr_alloc(ctx, n, sizeof *x, "benchmark operand");
    for (size_t i = 0; x && i < n; ++i) {
        uint32_t h = (uint32_t)i * 2654435761u + seed * 40503u;
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = (h ^ (h >> 15)) * 0x846ca68bu;
        h ^= h >> 16;
        x[i] = (float)(int32_t)(h >> 8) * (2.0f / 16777216.0f) - 1.0f;
    }
    return x;
}

static void note_failure(tsr_bencher *b, tsr_status s) {
    /* What this build or device cannot do is a row with its reason, not a failed benchmark. */
    if (s == TSR_OK || s == TSR_ERROR_UNSUPPORTED || b->first_failure) return;
    b->first_failure = s;
    snprintf(b->first_detail, sizeof b->first_detail, "%s", tsr_detail(b->ctx));
}

static cJSON *row_start(const tsr_bencher *b, const tsr_bench_row *row) {
    cJSON *j = cJSON_CreateObject();
    char device[300];
    if (!row->device || row->device->kind == TSR_DEVICE_CPU)
        snprintf(device, sizeof device, "cpu");
    else
        snprintf(device, sizeof device, "vulkan:%d", row->device->index);
    cJSON_AddStringToObject(j, "name", row->name);
    cJSON_AddStringToObject(j, "by", row->by);
    cJSON_AddStringToObject(j, "device", device);
    if (row->device) {
        cJSON_AddStringToObject(j, "device_name", row->device->name);
        cJSON_AddStringToObject(j, "driver", row->device->driver);
    }
    cJSON_AddStringToObject(j, "dtype", row->dtype ? row->dtype : "f32");
    cJSON_AddNumberToObject(j, "threads", tsr_thread_count(b->ctx));
    return j;
}

tsr_status tsr_bench_row_give(tsr_bencher *b, cJSON *j) {
    char *text = cJSON_PrintUnformatted(j);
    cJSON_Delete(j);
    if (!text) return tsr_fail(b->ctx, TSR_ERROR_MEMORY, "benchmark row: no memory for its text");
    b->row(b->user, text);
    cJSON_free(text);
    const tsr_bench_settings *s = &b->settings;
    if (s->progress && s->progress(s->progress_user, "rows", ++b->rows, 0))
        return tsr_fail(b->ctx, TSR_ERROR_INTERRUPTED, "bench: stopped by the caller");
    return TSR_OK;
}

static tsr_status row_end(tsr_bencher *b, cJSON *j) {
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) == 0)
        cJSON_AddNumberToObject(j, "peak_rss_bytes", (double)use.ru_maxrss * 1024);
    cJSON_AddStringToObject(j, "version", tsr_version());
    cJSON_AddStringToObject(j, "commit", tsr_build_commit());
    return tsr_bench_row_give(b, j);
}

static tsr_status row_failed(tsr_bencher *b, const tsr_bench_row *row, tsr_status s) {
    note_failure(b, s);
    cJSON *j = row_start(b, row);
    cJSON_AddStringToObject(j, s == TSR_ERROR_UNSUPPORTED ? "skipped" : "error",
                            *tsr_detail(b->ctx) ? tsr_detail(b->ctx) : tsr_status_text(s));
    return row_end(b, j);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Calls the body `inner` times; *seconds is the time of one call. */
static tsr_status sample(tsr_bench_body body, void *arg, int inner, double *seconds) {
    double start = tsr_seconds();
    for (int i = 0; i < inner; ++i) {
        tsr_status s = body(arg);
        if (s) return s;
    }
    *seconds = (tsr_seconds() - start) / inner;
    return TSR_OK;
}

/* ---- the device's own clock ---- */

/* Adds the sums of the op that the row is about; `runs` is how often the body was called. */
static void add_op(cJSON *j, const tsr_bench_row *row, const tsr_times *t, double runs) {
    double seconds = 0, work = 0, bytes = 0;
    for (int i = 0; row->timed_op && i < t->op_count; ++i)
        if (!strcmp(t->ops[i].op, row->timed_op)) {
            seconds += t->ops[i].seconds;
            work += t->ops[i].multiply_adds;
            bytes += t->ops[i].bytes;
        }
    if (!(seconds > 0)) return;
    cJSON_AddStringToObject(j, "op", row->timed_op);
    cJSON_AddNumberToObject(j, "op_ms", seconds * 1e3 / runs / (row->items > 0 ? row->items : 1));
    if (work > 0) cJSON_AddNumberToObject(j, "op_tflops", 2e-12 * work / seconds);
    cJSON_AddNumberToObject(j, "op_gbs", 1e-9 * bytes / seconds);
}

static tsr_status add_programs(tsr_bencher *b, cJSON *j, const tsr_times *t) {
    cJSON *list = cJSON_AddArrayToObject(j, "programs");
    tsr_status s = TSR_OK;
    for (int i = 0; i < t->program_count && !s; ++i) {
        const tsr_timed_program *p = &t->programs[i];
        char *ops = NULL;
        s = tsr_times_json(b->ctx, t, i, &ops);
        cJSON *o = s ? NULL : cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", p->name);
        cJSON_AddNumberToObject(o, "runs", (double)p->runs);
        cJSON_AddNumberToObject(o, "ms", p->runs ? 1e3 * p->seconds / (double)p->runs : 0);
        if (!s) cJSON_AddItemToObject(o, "ops", cJSON_Parse(ops));
        if (o) cJSON_AddItemToArray(list, o);
        free(ops);
    }
    return s;
}

/* Calls the body a few times more with its ops timed, and writes what the device's clock said into
 * the row. Nothing where it has none. */
static tsr_status add_times(tsr_bencher *b, cJSON *j, const tsr_bench_row *row, double median,
                            tsr_bench_body body, void *arg) {
    enum { CALLS = 8 };
    if (!row->timed || tsr_device_time_ops(row->timed, true)) return TSR_OK;
    const tsr_times *t = tsr_device_times(row->timed);
    const double start = tsr_seconds();
    int calls = 0;
    tsr_status s = TSR_OK;
    while (!s && calls < CALLS && (!calls || tsr_seconds() - start < SECONDS_TIMED)) {
        s = body(arg);
        ++calls;
    }
    double device = 0;
    for (int i = 0; i < t->program_count; ++i)
        device += t->programs[i].seconds / calls / (row->items > 0 ? row->items : 1);
    if (!s && t->program_count) {
        cJSON_AddNumberToObject(j, "device_ms", device * 1e3);
        cJSON_AddNumberToObject(j, "host_ms", (median - device) * 1e3);
        add_op(j, row, t, calls);
        s = add_programs(b, j, t);
    }
    if (b->ctx->settings.log_level >= TSR_LOG_DEBUG) {
        tsr_times_log(b->ctx, row->name, t);
        tsr_device_time_ops(row->timed, true); /* as it was */
    } else
        tsr_device_time_ops(row->timed, false);
    return s;
}

tsr_status tsr_bench_time(tsr_bencher *b, const tsr_bench_row *row, tsr_bench_body body,
                          void *arg) {
    double setup = 0, once = 0;
    tsr_status s = sample(body, arg, 1, &setup); /* packs weights, records, compiles shaders */
    if (!s) s = sample(body, arg, 1, &once);     /* caches are warm now; tells how slow it is */
    if (s) return row_failed(b, row, s);
    int inner = once < SECONDS_SHORT ? (int)(SECONDS_SHORT / (once > 1e-7 ? once : 1e-7)) + 1 : 1;
    int least = once * SAMPLES_LEAST > SECONDS_SLOW ? SAMPLES_SLOW : SAMPLES_LEAST;
    double *times = tsr_alloc(b->ctx, SAMPLES_MAX, sizeof *times, "benchmark samples");
    if (!times) return TSR_ERROR_MEMORY;
    int n = 0;
    const clock_t cpu = clock();
    for (double start = tsr_seconds();
         !s && n < SAMPLES_MAX && (n < least || tsr_seconds() - start < b->settings.seconds); ++n)
        s = sample(body, arg, inner, &times[n]);
    if (s) {
        free(times);
        return row_failed(b, row, s);
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    int items = row->items > 0 ? row->items : 1;
    double scale = 1.0 / items, low = times[0] * scale;
    double median = (times[(n - 1) / 2] + times[n / 2]) * 0.5 * scale;
    double p95 = times[(int)ceil(0.95 * n) - 1] * scale;
    const double cpu_seconds = (double)(clock() - cpu) / CLOCKS_PER_SEC / n / inner * scale;
    free(times);
    if (row->median) *row->median = median;

    cJSON *j = row_start(b, row);
    cJSON_AddNumberToObject(j, "n", n);
    cJSON_AddNumberToObject(j, "min_ms", low * 1e3);
    cJSON_AddNumberToObject(j, "median_ms", median * 1e3);
    cJSON_AddNumberToObject(j, "p95_ms", p95 * 1e3);
    cJSON_AddNumberToObject(j, "cpu_ms", cpu_seconds * 1e3);
    cJSON_AddNumberToObject(j, "setup_ms",
                            (row->setup_seconds > 0 ? row->setup_seconds : setup) * 1e3);
    if (row->flops > 0) cJSON_AddNumberToObject(j, "gflops", row->flops / median * 1e-9);
    if (row->bytes > 0) cJSON_AddNumberToObject(j, "gbs", row->bytes / median * 1e-9);
    /* The roofline that is nearer is the one that binds. Only the cpu's peaks are measured; a
     * software GPU runs on the same cores and is held to the same peaks. */
    if (!row->device || row->device->kind == TSR_DEVICE_CPU || row->device->software) {
        double compute = 0, memory = 0;
        if (row->flops > 0 && b->peaks.gflops > 0)
            compute = row->flops / median * 1e-9 / b->peaks.gflops;
        if (row->bytes > 0 && b->peaks.gbs > 0) memory = row->bytes / median * 1e-9 / b->peaks.gbs;
        if (compute > 0 || memory > 0) {
            cJSON_AddNumberToObject(j, "peak_share", compute > memory ? compute : memory);
            cJSON_AddStringToObject(j, "bound", compute > memory ? "arithmetic" : "memory");
        }
    }
    if (row->activation_bytes)
        cJSON_AddNumberToObject(j, "activation_bytes", (double)row->activation_bytes);
    if ((s = add_times(b, j, row, median, body, arg))) {
        cJSON_Delete(j);
        return row_failed(b, row, s);
    }
    return row_end(b, j);
}

const char *tsr_bench_dtype(const tsr_bencher *b) {
    return b->settings.precision == TSR_PRECISION_FAST ? "fast" : NULL;
}

static tsr_status open_with(tsr_bencher *b, const tsr_bench_device *d, double submission,
                            tsr_device **device) {
    char spec[32] = "cpu";
    if (d->info.kind == TSR_DEVICE_VULKAN) snprintf(spec, sizeof spec, "vulkan:%d", d->info.index);
    tsr_device_settings settings = tsr_device_settings_default();
    settings.name = spec;
    const char *switches[TSR_SWITCHES_MOST + 1];
    tsr_registry_switches(switches);
    settings.mask = b->settings.mask;
    settings.switches = switches;
    settings.reference = d->reference;
    settings.submission = submission;
    if (!d->reference) settings.precision = b->settings.precision;
    settings.try_matrices = tsr_try_matrices;
    return tsr_device_open(b->ctx, device, &settings);
}

static void not_opened(tsr_bencher *b, const tsr_bench_device *d, const char *name, tsr_status s) {
    tsr_bench_row row = {
        .name = name, .by = d->reference ? "reference" : "tessera", .device = &d->info};
    row_failed(b, &row, s);
}

tsr_device *tsr_bench_open(tsr_bencher *b, int index, const char *name) {
    tsr_bench_device *d = &b->devices[index];
    if (!d->tried) {
        d->tried = true;
        d->opened = open_with(b, d, 0, &d->device);
    }
    if (!d->opened) return d->device;
    not_opened(b, d, name, d->opened);
    return NULL;
}

tsr_device *tsr_bench_open_for(tsr_bencher *b, const tsr_bench_device *d, const char *name,
                               double submission) {
    tsr_device *device = NULL;
    const tsr_status s = open_with(b, d, submission, &device);
    if (s) not_opened(b, d, name, s);
    return device;
}

typedef struct execution {
    tsr_device *device;
    tsr_program program;
    const tsr_bench_case *c;
} execution;

static tsr_status execute(void *arg) {
    execution *e = arg;
    return tsr_execute(e->device, &e->program, e->c->in, e->c->in_count, e->c->out,
                       e->c->out_count);
}

/* The function of a case, recorded several times over; only the last one's outputs are read back.
 */
static void repeat(tsr_run *run, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_bench_case *c = model;
    for (int i = 0; i < REPEAT_GPU; ++i)
        c->fn(run, c->model, in, out);
}

tsr_status tsr_bench_program(tsr_bencher *b, const tsr_bench_case *c) {
    if (!tsr_bench_wants(b, c->name)) return TSR_OK;
    tsr_status s = TSR_OK;
    for (int i = 0; i < b->device_count && !s; ++i) {
        tsr_bench_device *d = &b->devices[i];
        if (d->reference && c->no_reference) continue;
        tsr_device *device = tsr_bench_open(b, i, c->name);
        if (!device) continue;
        bool gpu = d->info.kind == TSR_DEVICE_VULKAN && !d->info.software;
        execution e = {.device = device, .c = c};
        e.program = (tsr_program){.fn = gpu ? repeat : c->fn,
                                  .model = gpu ? (void *)(uintptr_t)c : c->model,
                                  .variant = c->variant,
                                  .name = c->name};
        tsr_bench_row row = {.name = c->name,
                             .by = d->reference ? "reference" : "tessera",
                             .dtype = c->dtype || d->reference ? c->dtype : tsr_bench_dtype(b),
                             .device = &d->info,
                             .timed = device,
                             .flops = c->flops,
                             .bytes = c->bytes,
                             .items = gpu ? REPEAT_GPU : 1};
        double start = tsr_seconds();
        s = execute(&e);
        row.setup_seconds = tsr_seconds() - start;
        row.activation_bytes = tsr_device_peak_bytes(device);
        s = s ? row_failed(b, &row, s) : tsr_bench_time(b, &row, execute, &e);
        tsr_device_forget(device, e.program.model);
    }
    return s;
}
