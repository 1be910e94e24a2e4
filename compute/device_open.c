/* SPDX-License-Identifier: MIT */
/* device_open.c: which devices there are, what "auto" takes, which names --mask knows; opening. */
#include "run.h"
#ifdef TESSERA_WITH_VULKAN
#include "vulkan/vulkan_shaders.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TESSERA_WITH_VULKAN
tsr_status tsr_vulkan_list(tsr_context *ctx, tsr_device_entry **list, int *count, bool quick) {
    (void)ctx, (void)quick;
    *list = NULL;
    *count = 0;
    return TSR_OK;
}

tsr_status tsr_vulkan_open(tsr_device *d) {
    return tsr_fail(d->ctx, TSR_ERROR_NO_DEVICE,
                    "device %s: this build was made without Vulkan; cpu is always there", d->name);
}
#endif

/* Loading every Vulkan driver costs tens of milliseconds and, for a software one, a compiler in
 * memory. A real GPU shows itself in /dev, so "auto" asks Vulkan only when one may be there. */
static bool hardware_possible(void) {
    static const char *const nodes[] = {"/dev/dri",      "/dev/nvidiactl", "/dev/dxg",
                                        "/dev/kgsl-3d0", "/dev/mali0",     "/dev/nvhost-gpu",
                                        "/dev/nvgpu"};
#ifdef __linux__
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; ++i)
        if (!access(nodes[i], F_OK)) return true;
    return false;
#else
    (void)nodes;
    return true;
#endif
}

#ifdef TESSERA_WITH_VULKAN
static const char no_gpu_reason[] = "no GPU with Vulkan was found";
#else
static const char no_gpu_reason[] = "this build was made without Vulkan and knows no GPU";
#endif

/* What "auto" takes among vulkan devices: the best usable hardware one, or -1 for the cpu. */
static int choose(const tsr_device_entry *list, int count) {
    int best = -1;
    for (int i = 0; i < count; ++i)
        if (list[i].info.usable && !list[i].info.software &&
            (best < 0 || list[i].rank < list[best].rank))
            best = i;
    return best;
}

tsr_status tsr_device_list(tsr_context *ctx, tsr_device_info **list, int *count) {
    if (!list || !count)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "device list: wanted a place, got NULL");
    *list = NULL;
    *count = 0;
    tsr_device_entry *gpus = NULL;
    int gpu_count = 0;
    tsr_status status = tsr_vulkan_list(ctx, &gpus, &gpu_count, false);
    if (status) return status;
    tsr_device_info *all = tsr_alloc(ctx, (size_t)gpu_count + 1, sizeof *all, "device list");
    if (!all) {
        free(gpus);
        return TSR_ERROR_MEMORY;
    }
    int chosen = choose(gpus, gpu_count);
    tsr_cpu_describe(&all[0]);
    all[0].chosen = chosen < 0;
    snprintf(all[0].reason, sizeof all[0].reason, "%s",
             chosen >= 0 ? "a GPU is there"
             : gpu_count ? "no usable GPU was found"
                         : no_gpu_reason);
    for (int i = 0; i < gpu_count; ++i) {
        all[i + 1] = gpus[i].info;
        all[i + 1].chosen = i == chosen;
        if (!all[i + 1].reason[0])
            snprintf(all[i + 1].reason, sizeof all[i + 1].reason, "%s",
                     i == chosen ? "the best hardware device" : "another device is preferred");
    }
    free(gpus);
    *list = all;
    *count = gpu_count + 1;
    return TSR_OK;
}

static tsr_status no_vulkan(tsr_context *ctx) {
#ifdef TESSERA_WITH_VULKAN
    return tsr_fail(ctx, TSR_ERROR_NO_DEVICE,
                    "device vulkan: this machine has no Vulkan device; cpu is always there");
#else
    return tsr_fail(ctx, TSR_ERROR_NO_DEVICE,
                    "device vulkan: this build was made without Vulkan; cpu is always there");
#endif
}

/* Turns settings.name into a kind and an index; *index -1 = the cpu. */
static tsr_status resolve(tsr_context *ctx, const tsr_device_settings *s, int *index) {
    const char *name = s->name ? s->name : "auto";
    *index = -1;
    if (!strcmp(name, "cpu")) return TSR_OK;
    if (!strncmp(name, "vulkan:", 7)) {
        char *end;
        long n = strtol(name + 7, &end, 10);
        if (name[7] < '0' || name[7] > '9' || *end || n > 255)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "device: wanted vulkan:N, got %s", name);
        *index = (int)n;
        return TSR_OK;
    }
    bool any = !strcmp(name, "vulkan");
    if (!any && strcmp(name, "auto"))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "device: wanted auto, cpu, vulkan or vulkan:N, got %s", name);
    if (!any && !hardware_possible()) return TSR_OK;
    tsr_device_entry *gpus = NULL;
    int count = 0;
    tsr_status status = tsr_vulkan_list(ctx, &gpus, &count, !s->allow_software);
    if (status) return any ? status : TSR_OK;
    int chosen = choose(gpus, count);
    if (chosen < 0 && any && s->allow_software)
        for (int i = count - 1; i >= 0; --i)
            if (gpus[i].info.usable) chosen = i;
    if (chosen >= 0)
        *index = gpus[chosen].info.index;
    else if (any && count)
        status =
            tsr_fail(ctx, TSR_ERROR_NO_DEVICE,
                     "device vulkan: no GPU was found, only %s of Vulkan in software; one is used "
                     "when it is named as vulkan:N, and cpu is faster",
                     count == 1 ? "a driver" : "drivers");
    else if (any)
        status = no_vulkan(ctx);
    free(gpus);
    return status;
}

/* ---- masks ---- */

/* What a mask may name beside the shaders and the models' own switches: instruction sets, libraries
 * and capabilities. */
static const char *const maskable[] = {
    "cpu",         "onednn",          "avx512",   "avx2",      "winograd",
    "bf16",        "bf16_weights",    "subgroup", "coopmat",   "coopmat2",
    "fp16",        "f16_activations", "int64",    "in_flight", "product_statistics",
    TSR_MASK_PAIRS};
enum { MASKABLE = sizeof maskable / sizeof *maskable };

/* The i-th name a mask may hold, or NULL. */
static const char *mask_name(const char *const *switches, int i) {
    if (i < MASKABLE) return maskable[i];
    for (i -= MASKABLE; switches && *switches; ++switches, --i)
        if (i == 0) return *switches;
#ifdef TESSERA_WITH_VULKAN
    if (i < tsr_shader_count) return tsr_shaders[i].name;
#endif
    return NULL;
}

static bool names_equal(const char *name, const char *text, size_t length) {
    return strlen(name) == length && !memcmp(name, text, length);
}

/* A name that nothing answers to would silently switch nothing off. */
static tsr_status check_mask(tsr_context *ctx, const tsr_device_settings *s) {
    for (const char *at = s->mask;; ++at) {
        const size_t length = strcspn(at, ",");
        int i = 0;
        const char *name;
        while ((name = mask_name(s->switches, i)) && !names_equal(name, at, length))
            ++i;
        if (!name) {
            char known[700] = "";
            size_t used = 0;
            for (int k = 0; (name = mask_name(s->switches, k)) && used < sizeof known; ++k)
                used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", k ? ", " : "",
                                         name);
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "mask: wanted names among %s; got \"%.*s\"",
                            known, length < 60 ? (int)length : 60, at);
        }
        at += length;
        if (!*at) return TSR_OK;
    }
}

/* The cpu, described once for each context. */
static tsr_status describe_cpu(tsr_context *ctx, tsr_device_info *info) {
    if (!ctx->cpu) {
        ctx->cpu = tsr_alloc(ctx, 1, sizeof *ctx->cpu, "device cpu");
        if (!ctx->cpu) return TSR_ERROR_MEMORY;
        tsr_cpu_describe(ctx->cpu);
    }
    *info = *ctx->cpu;
    info->chosen = true;
    return TSR_OK;
}

tsr_status tsr_device_open(tsr_context *ctx, tsr_device **device,
                           const tsr_device_settings *settings) {
    if (!device) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "device open: wanted a place, got NULL");
    *device = NULL;
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_device_settings s = settings ? *settings : tsr_device_settings_default();
    int index = -1;
    tsr_status status = s.mask && *s.mask ? check_mask(ctx, &s) : TSR_OK;
    if (!status) status = resolve(ctx, &s, &index);
    if (status) return status;
    tsr_device *d = tsr_alloc(ctx, 1, sizeof *d, "device");
    if (!d) return TSR_ERROR_MEMORY;
    d->ctx = ctx;
    d->process = getpid();
    d->settings = s;
    if (index < 0)
        snprintf(d->name, sizeof d->name, "cpu");
    else
        snprintf(d->name, sizeof d->name, "vulkan:%d", index);
    d->settings.name = d->name;
    d->settings.mask = NULL;
    d->settings.switches = NULL; /* the caller's, for this call */
    if (s.mask && *s.mask && !(d->settings.mask = d->mask = strdup(s.mask))) {
        free(d);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "device %s: no memory for the mask", s.name);
    }
    if (index < 0) {
        status = describe_cpu(ctx, &d->info);
        if (!status) status = tsr_cpu_open(d);
    } else {
        d->info = (tsr_device_info){.kind = TSR_DEVICE_VULKAN, .index = index};
        status = tsr_vulkan_open(d);
    }
    *device = d;
    if (status)
        tsr_device_close(device);
    else
        tsr_log(ctx, TSR_LOG_INFO, "device %s: %s, %s", d->name, d->info.name, d->info.driver);
    if (!status && ctx->settings.log_level >= TSR_LOG_DEBUG && index >= 0 &&
        tsr_device_time_ops(d, true))
        tsr_log(ctx, TSR_LOG_DEBUG, "%s: ops are not timed", tsr_detail(ctx));
    return status;
}
