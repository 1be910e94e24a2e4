/* SPDX-License-Identifier: MIT */
/* bench_run.c: tsr_bench: which devices are measured, the machine's peaks, then every suite. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "cpu", "vulkan" (all), "vulkan:N", or NULL / "all" / "auto" for everything usable. */
static bool asked_for(const char *spec, const tsr_device_info *info) {
    char name[32];
    if (!spec || !strcmp(spec, "all") || !strcmp(spec, "auto")) return true;
    if (info->kind == TSR_DEVICE_CPU) return !strcmp(spec, "cpu");
    snprintf(name, sizeof name, "vulkan:%d", info->index);
    return !strcmp(spec, "vulkan") || !strcmp(spec, name);
}

/* True if some row is a share of what this machine's cpu does at best. */
static bool has_cpu_rows(const tsr_bencher *b) {
    for (int i = 0; i < b->device_count; ++i)
        if (b->devices[i].info.kind == TSR_DEVICE_CPU || b->devices[i].info.software) return true;
    return false;
}

static tsr_status run_suites(tsr_bencher *b) {
    tsr_status s = TSR_OK;
    if (!b->settings.filter || !strncmp(b->settings.filter, "gpu", 3)) s = tsr_bench_describe(b);
    if (s) return s;
    if (b->settings.model) /* no row has a share there */
        return tsr_bench_is_tower(b->ctx, b->settings.model) ? tsr_bench_suite_towers(b)
                                                             : tsr_bench_suite_tokenizer(b);
    if (has_cpu_rows(b)) b->peaks = tsr_bench_measure_peaks(b->ctx);
#define TSR_BENCH_SUITE(name)                                                                      \
    if (!s) s = tsr_bench_suite_##name(b);
#include "suites.def"
#undef TSR_BENCH_SUITE
    return s;
}

tsr_status tsr_bench(tsr_context *ctx, const tsr_bench_settings *settings, tsr_bench_fn row,
                     void *user) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!row)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_bench: row: wanted a function, got NULL");
    tsr_bencher b = {.ctx = ctx, .row = row, .user = user};
    if (settings) b.settings = *settings;
    if (!(b.settings.seconds > 0)) b.settings.seconds = 0.5;
    static const int usual[] = {1, 16};
    if (!b.settings.batches) {
        b.settings.batches = usual;
        b.settings.batch_count = 2;
    }
    for (int i = 0; i < b.settings.batch_count; ++i)
        if (b.settings.batches[i] < 1 || b.settings.batches[i] > 4096)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "tsr_bench: batches: %d: wanted 1 to 4096, got %d", i,
                            b.settings.batches[i]);
    tsr_device_info *list = NULL;
    int count = 0;
    tsr_status s = tsr_device_list(ctx, &list, &count);
    if (s) return s;
    for (int i = 0; i < count && b.device_count < TSR_BENCH_DEVICES; ++i) {
        /* A device named by its number is measured even if it is refused for work. */
        bool named = b.settings.device && !strncmp(b.settings.device, "vulkan:", 7);
        if ((!list[i].usable && !named) || !asked_for(b.settings.device, &list[i])) continue;
        b.devices[b.device_count++].info = list[i];
        if (list[i].kind == TSR_DEVICE_CPU && b.device_count < TSR_BENCH_DEVICES) {
            b.devices[b.device_count].info = list[i];
            b.devices[b.device_count++].reference = true;
        }
    }
    free(list);
    if (!b.device_count)
        return tsr_fail(ctx, TSR_ERROR_NO_DEVICE,
                        "tsr_bench: device: wanted a usable one, got \"%s\"",
                        b.settings.device ? b.settings.device : "");
    s = run_suites(&b);
    for (int i = 0; i < b.device_count; ++i)
        tsr_device_close(&b.devices[i].device);
    if (!s && b.first_failure) s = tsr_fail(ctx, b.first_failure, "%s", b.first_detail);
    return s;
}
