/* SPDX-License-Identifier: MIT */
/* vulkan_canary.c: what a driver has to compute right before its device is taken for work that it
 * was not named for. A software driver that cuts long loops gives wrong numbers without an error;
 * drivers that reorder sums lose the digits that fast_exp is careful about, some fold comparisons
 * of NaN away, and rounding to f16 is theirs to choose. */
#include "vulkan_canary.h"
#include "vulkan_internal.h"

#include "../activation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- long loops ---- */

enum { CANARY_LOOPS = 70000 };

static void loops_reference(const tsr_call *c) {
    uint32_t x = 1;
    for (int i = 0; i < CANARY_LOOPS; ++i)
        x = x * 1664525u + 1013904223u;
    memcpy(c->out[0]->data, &x, sizeof x);
}

static int loops_gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)c, (void)caps;
    uint32_t loops = CANARY_LOOPS;
    *d = (tsr_gpu_dispatch){.variant = "canary",
                            .groups = {1, 1, 1},
                            .push_bytes = sizeof loops,
                            .bind = {8},
                            .bind_count = 1};
    memcpy(d->push, &loops, sizeof loops);
    return 1;
}

static const tsr_op loops = {.name = "canary", .reference = loops_reference, .gpu = loops_gpu};

static void loops_model(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model, (void)in;
    out[0] = tsr_run_new(r, TSR_DTYPE_I32, 1, (int64_t[]){1});
    tsr_call c = {.op = &loops, .out = {out[0]}, .out_count = 1};
    tsr_run_emit(r, &c);
}

/* ---- arithmetic ---- */

enum { EXPONENTIALS = VULKAN_EXPONENTIALS, ROUNDED = VULKAN_ROUNDED, NANS = VULKAN_NANS };

void vulkan_arithmetic_input(float *x) {
    static const float numbers[EXPONENTIALS + ROUNDED] = {
        -86.9f, -80.3f, -61.7f, -33.1f, -7.77f, -0.31f, 0.29f, 5.13f, 29.7f, 57.9f, 79.1f, 87.3f,
        /* in f16: ties to even down and up, just above a tie, beyond its range, its least normal
         * number, and a sign */
        2049, 2051, 2049.001f, 70000, -70000, 6.103515625e-05f, -1.0009765625f, 0.333333343f};
    static const uint32_t nans[NANS] = {0x7FC00000u, 0xFFC00001u, 0x7F800000u, 0};
    memcpy(x, numbers, sizeof numbers);
    memcpy(x + EXPONENTIALS + ROUNDED, nans, sizeof nans);
}

/* As half_round of half.glsl. */
static float half_rounded(float v) {
    uint32_t u, m;
    memcpy(&u, &v, sizeof u);
    m = u & 0x7FFFFFFFu;
    uint32_t r = (m + 0xFFFu + (m >> 13 & 1u)) & 0xFFFFE000u;
    r = (r > 0x477FE000u ? 0x477FE000u : r) | (u & 0x80000000u);
    memcpy(&v, &r, sizeof v);
    return v;
}

const char *vulkan_arithmetic_wrong(const float *x, const uint32_t *y) {
    /* What is left of an exponential whose argument lost its split is 4e-6 near 80. */
    const double tolerance = 1e-6;
    float got[VULKAN_ARITHMETIC];
    memcpy(got, y, sizeof got);
    for (int i = 0; i < EXPONENTIALS; ++i)
        if (!(fabs((double)got[i] / exp((double)x[i]) - 1) < tolerance))
            return "exponentials lose digits: its driver reorders sums";
    for (int i = EXPONENTIALS; i < EXPONENTIALS + ROUNDED; ++i)
        if (got[i] != half_rounded(x[i])) return "numbers are rounded to f16 wrongly";
    for (int i = EXPONENTIALS + ROUNDED; i < VULKAN_ARITHMETIC; ++i)
        if (y[i] != (isnan(x[i]) ? 1u : 0u)) return "its driver does not see that a number is NaN";
    return NULL;
}

static void arithmetic_reference(const tsr_call *c) {
    const float *x = c->in[0]->data;
    float *y = c->out[0]->data;
    for (int i = 0; i < VULKAN_ARITHMETIC; ++i) {
        const uint32_t nan = isnan(x[i]) ? 1 : 0;
        if (i < EXPONENTIALS)
            y[i] = tsr_fast_exp(x[i]);
        else if (i < EXPONENTIALS + ROUNDED)
            y[i] = half_rounded(x[i]);
        else
            memcpy(&y[i], &nan, sizeof nan);
    }
}

static int arithmetic_gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)c, (void)caps;
    const uint32_t counts[] = {EXPONENTIALS, EXPONENTIALS + ROUNDED, VULKAN_ARITHMETIC};
    *d = (tsr_gpu_dispatch){.variant = "canary_arithmetic",
                            .groups = {1, 1, 1},
                            .push_bytes = sizeof counts,
                            .bind = {0, 8},
                            .bind_count = 2};
    memcpy(d->push, counts, sizeof counts);
    return 1;
}

static const tsr_op arithmetic = {
    .name = "canary_arithmetic", .reference = arithmetic_reference, .gpu = arithmetic_gpu};

static void arithmetic_model(tsr_run *r, const void *model, tsr_tensor *const *in,
                             tsr_tensor **out) {
    (void)model;
    out[0] = tsr_run_new(r, TSR_DTYPE_I32, 1, (int64_t[]){VULKAN_ARITHMETIC});
    tsr_call c = {.op = &arithmetic, .in = {in[0]}, .in_count = 1, .out = {out[0]}, .out_count = 1};
    tsr_run_emit(r, &c);
}

static tsr_status run_arithmetic(tsr_device *d, const char **wrong) {
    float x[VULKAN_ARITHMETIC];
    uint32_t y[VULKAN_ARITHMETIC] = {0};
    vulkan_arithmetic_input(x);
    const int64_t n = VULKAN_ARITHMETIC;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, &n),
               out = tsr_host_tensor(TSR_DTYPE_I32, y, 1, &n);
    tsr_program program = {.fn = arithmetic_model, .name = "canary_arithmetic"};
    tsr_status status = tsr_execute(d, &program, &in, 1, &out, 1);
    *wrong = status ? NULL : vulkan_arithmetic_wrong(x, y);
    return status;
}

void vulkan_arithmetic_try(vulkan_device *v) {
    tsr_device *d = v->device;
    const char *wrong = NULL;
    if (d->info.software || tsr_device_masked(d, "canary_arithmetic") ||
        vulkan_cache_passed(v, VULKAN_PASSED_ARITHMETIC))
        return;
    const tsr_status status = run_arithmetic(d, &wrong);
    d->peak = 0;
    if (!status && !wrong) vulkan_cache_pass(v, VULKAN_PASSED_ARITHMETIC);
    if (status || wrong)
        tsr_log(d->ctx, TSR_LOG_WARNING, "device %s (%s): %s%s", d->name, d->info.name,
                status ? tsr_detail(d->ctx) : wrong,
                status ? "" : "; its results may differ from other devices'");
}

/* ---- both ---- */

void vulkan_try_canaries(tsr_context *ctx, tsr_device_info *info) {
    char name[32];
    snprintf(name, sizeof name, "vulkan:%d", info->index);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    tsr_device *d = NULL;
    const char *wrong = NULL;
    uint32_t got = 0, want;
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_I32, &got, 1, (int64_t[]){1});
    tsr_program program = {.fn = loops_model, .name = "canary"};
    tsr_status status = tsr_device_open(ctx, &d, &s);
    if (!status) status = tsr_execute(d, &program, NULL, 0, &out, 1);
    if (!status) status = run_arithmetic(d, &wrong);
    tsr_device_close(&d);
    tsr_tensor expected = tsr_host_tensor(TSR_DTYPE_I32, &want, 1, (int64_t[]){1});
    loops_reference(&(tsr_call){.out = {&expected}, .out_count = 1});
    if (status) {
        info->usable = false;
        snprintf(info->reason, sizeof info->reason, "%.250s", tsr_detail(ctx));
    } else if (got != want) {
        info->usable = false;
        snprintf(info->reason, sizeof info->reason,
                 "its driver computes long loops wrongly (above %d turns), so it is taken only "
                 "when it is named, as %s; Tessera's own loops are shorter",
                 CANARY_LOOPS, name);
    } else if (wrong) {
        info->usable = false;
        snprintf(info->reason, sizeof info->reason,
                 "%.100s, so it is taken only when it is named, as %s", wrong, name);
    }
}
