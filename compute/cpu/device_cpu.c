/* SPDX-License-Identifier: MIT */
/* device_cpu.c: the device that is always there. An op executes when the model calls it;
 * activations come from an arena that is rewound at the end of the run and kept for the next one.
 */
#include "onednn.h"
#include "../clock.h"
#include "../limits.h"
#include "../run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 256 };          /* bytes of a fence, on both ends of an activation */
#define BAND_WORD 0xFFA5A5A5u /* a NaN, and a negative id */

static tsr_status make(tsr_run *r, tsr_tensor *t) {
    tsr_device *d = r->device;
    size_t bytes = (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
    size_t band = d->settings.guard ? BAND : 0;
    unsigned char *p = tsr_arena_take(d->ctx, &d->data, bytes + 2 * band);
    if (!p) return TSR_ERROR_MEMORY;
    t->data = p + band;
    if (band) {
        const uint32_t word = BAND_WORD;
        for (size_t i = 0; i < band; i += sizeof word) {
            memcpy(p + i, &word, sizeof word);
            memcpy(p + band + bytes + i, &word, sizeof word);
        }
        memset(t->data, 0xFF, bytes);
    }
    if (d->settings.plan) memset(t->data, 0, bytes);
    size_t used = tsr_arena_used(&d->data);
    if (used > d->peak) d->peak = used;
    return TSR_OK;
}

static tsr_status weight(tsr_run *r, tsr_tensor *t, tsr_weight *w, bool kernel) {
    (void)r, (void)kernel;
    t->data = (void *)w->f32;
    return TSR_OK;
}

static bool band_is_whole(const unsigned char *p) {
    const uint32_t word = BAND_WORD;
    for (size_t i = 0; i < BAND; i += sizeof word)
        if (memcmp(p + i, &word, sizeof word)) return false;
    return true;
}

static tsr_status check_bands(tsr_device *d, const tsr_call *call) {
    for (int i = 0; i < call->out_count; ++i) {
        const tsr_tensor *t = call->out[i];
        if (!t) continue;
        const unsigned char *p = t->data;
        size_t bytes = (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
        if (!band_is_whole(p - BAND) || !band_is_whole(p + bytes))
            return tsr_fail(d->ctx, TSR_ERROR_DEVICE, "%s: output %d: wrote beyond its %zu bytes",
                            call->op->name, i, bytes);
    }
    return TSR_OK;
}

static tsr_status emit(tsr_run *r, const tsr_call *call) {
    tsr_device *d = r->device;
    tsr_status status = TSR_OK;
    if (d->settings.plan) return TSR_OK;
    bool fast = call->op->cpu && !d->settings.reference && !tsr_device_masked(d, "cpu");
    if (!fast && call->weight) { /* the reference reads the weight as it is */
        status = tsr_weight_pin(d->ctx, call->weight);
        if (status) return status;
        ((tsr_tensor *)call->in[1])->data = (void *)call->weight->f32;
    }
    if (fast)
        status = call->op->cpu(d, call);
    else
        call->op->reference(call);
    tsr_arena_rewind(&d->scratch, (tsr_arena_mark){0});
    if (!status && d->settings.guard) status = check_bands(d, call);
    return status;
}

static tsr_status begin(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                        int in_count, tsr_flight *flight) {
    tsr_tensor copy[TSR_MAX_IO], *ins[TSR_MAX_IO] = {0}, *made[TSR_MAX_IO];
    const double began = tsr_seconds();
    for (int i = 0; i < in_count; ++i) {
        copy[i] = in[i];
        ins[i] = &copy[i];
    }
    if (!d->settings.plan) d->peak = 0;
    tsr_run run = {.device = d};
    tsr_status status = tsr_run_walk(&run, program, ins, made, flight->out_count);
    for (int i = 0; i < flight->out_count && !status; ++i) {
        if (!flight->out[i].data) continue;
        status = tsr_check_output(d, program, i, made[i], &flight->out[i]);
        size_t bytes = (size_t)tsr_elements(made[i]) * tsr_dtype_bytes(made[i]->dtype);
        if (!status) memcpy(flight->out[i].data, made[i]->data, bytes);
    }
    tsr_arena_rewind(&d->data, (tsr_arena_mark){0});
    tsr_arena_rewind(&d->nodes, (tsr_arena_mark){0});
    d->traffic.busy += tsr_seconds() - began;
    return status;
}

static void forget(tsr_device *d, const void *model) {
    (void)d, (void)model; /* packed panels live in the weights themselves */
}

static void close_cpu(tsr_device *d) {
    (void)d;
}

static const tsr_backend backend = {.close = close_cpu,
                                    .begin = begin,
                                    .forget = forget,
                                    .make = make,
                                    .weight = weight,
                                    .emit = emit};

void *tsr_device_scratch(tsr_device *d, size_t bytes) {
    void *p = tsr_arena_take(d->ctx, &d->scratch, bytes);
    if (!p && d->run && !d->run->status) d->run->status = TSR_ERROR_MEMORY;
    return p;
}

/* Vendor, model and the flags that matter, from the kernel's own list. */
static void read_cpuinfo(tsr_device_info *info) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return;
    char line[8192], *value;
    while (fgets(line, sizeof line, f) && line[0] != '\n') {
        line[strcspn(line, "\n")] = 0;
        if (!(value = strchr(line, ':')) || !value[1]) continue;
        value += 2;
        if (!strncmp(line, "vendor_id", 9))
            snprintf(info->vendor, sizeof info->vendor, "%.63s", value);
        else if (!strncmp(line, "model name", 10))
            snprintf(info->driver, sizeof info->driver, "%.255s", value);
        else if (!strncmp(line, "flags", 5) || !strncmp(line, "Features", 8)) {
            info->fp16 = strstr(value, " avx512_fp16") || strstr(value, " asimdhp");
            info->bf16 = strstr(value, "_bf16") || strstr(value, " bf16");
            info->int8 = strstr(value, "vnni") || strstr(value, " asimddp");
            info->cooperative_matrix = strstr(value, " amx_tile") != NULL;
        }
    }
    fclose(f);
}

void tsr_cpu_describe(tsr_device_info *info) {
    *info = (tsr_device_info){.kind = TSR_DEVICE_CPU, .usable = true};
    snprintf(info->name, sizeof info->name, "cpu");
    snprintf(info->api, sizeof info->api, "C11");
    read_cpuinfo(info);
    info->memory_bytes = tsr_limits_memory();
    info->max_storage_range = info->max_allocation = info->memory_bytes;
    info->subgroup_size = info->subgroup_min = info->subgroup_max = 1;
}

static void choose_products(tsr_device *d) {
    if (d->settings.precision != TSR_PRECISION_FAST) return;
    const char *does = "";
    if (d->settings.reference || tsr_device_masked(d, "cpu")) {
        does = "";
    } else if (!tsr_device_masked(d, "onednn") && !tsr_device_masked(d, "bf16") &&
               tsr_onednn_bf16_works(d->ctx)) {
        d->cpu_products = TSR_PRODUCTS_BF16;
        does = "products in bf16, sums in f32";
    } else if (!d->onednn_conv && !tsr_device_masked(d, "bf16_weights")) {
        /* Where oneDNN is used, its f32 kernels beat ours with bf16 weights. */
        d->cpu_products = TSR_PRODUCTS_BF16_WEIGHTS;
        does = "weights in bf16, products in f32";
    }
    snprintf(d->fast_path, sizeof d->fast_path, "%s", does);
    if (d->cpu_products != TSR_PRODUCTS_BF16)
        tsr_log(d->ctx, TSR_LOG_INFO,
                "precision fast: no bf16 products of this processor are in use; %s",
                *does ? does : "computing in f32");
    else
        tsr_log(d->ctx, TSR_LOG_INFO, "precision fast: %s", does);
}

tsr_status tsr_cpu_open(tsr_device *d) {
    d->backend = &backend;
    const bool usable = !tsr_device_masked(d, "onednn"), avx2 = !tsr_device_masked(d, "avx2");
    d->onednn_linear = usable && tsr_onednn_is_fastest(!tsr_device_masked(d, "avx512"), avx2);
    /* Most of oneDNN's AVX-512 convolutions beat ours. */
    d->onednn_conv = usable && tsr_onednn_is_fastest(false, avx2);
    choose_products(d);
    return TSR_OK;
}
