/* SPDX-License-Identifier: MIT */
/* The validation layer is seen to speak: an op lies about what it writes, so that the barrier the
 * recorder derives is missing, and the run must fail with the layer's words. A program of its own,
 * because its messages are wanted: scripts/validation.sh counts those of all others as faults. */
#include <stdio.h>
#include <string.h>
#include "ops/ops.h"
#include "compute/op.h"
#include "everywhere.h"
#include "needs.h"

static void liar_reference(const tsr_call *c) {
    (void)c;
}

static int liar_gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    uint32_t push[4] = {(uint32_t)tsr_elements(c->in[0]), 1, 0, 0};
    *d = (tsr_gpu_dispatch){.variant = "pointwise",
                            .spec = {2, 0},
                            .spec_count = 2,
                            .groups = {1, 1, 1},
                            .push_bytes = sizeof push,
                            .bind = {0, 0, 1}, /* writes in[1] */
                            .bind_count = 3};
    memcpy(d->push, push, sizeof push);
    return 1;
}

static const tsr_op liar = {.name = "liar", .reference = liar_reference, .gpu = liar_gpu};

static void lying(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *a = tsr_scale(r, in[0], 1, 0), *b = tsr_scale(r, in[0], 1, 0);
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, 1, a->dim);
    tsr_call c = {.op = &liar, .in = {a, b}, .out = {y}, .in_count = 2, .out_count = 1};
    tsr_run_emit(r, &c);
    out[0] = tsr_binary(r, b, b, TSR_BINARY_ADD); /* reads what the liar wrote, without a barrier */
}

START_TEST(validation_speaks_when_an_op_lies) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    int n = everywhere_vulkan_count();
    for (int i = 0; i < n; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        tsr_device_settings s = tsr_device_settings_default();
        s.name = name;
        s.validation = true;
        tsr_device *d = NULL;
        tsr_status status = tsr_device_open(ctx, &d, &s);
        ck_assert_msg(status == TSR_OK, "%s: %s", name, tsr_detail(ctx));
        float x[64] = {0}, y[64];
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, (int64_t[]){64}), out = in;
        out.data = y;
        tsr_program p = {.fn = lying, .model = NULL, .variant = 0, .name = "lying"};
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_ERROR_DEVICE);
        ck_assert_msg(strstr(tsr_detail(ctx), "SYNC-HAZARD"), "%s", tsr_detail(ctx));
        tsr_device_close(&d);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* The Khronos validation layer on a Vulkan device. */
static const char *need_validation(void) {
    const char *why = need_vulkan();
    if (why) return why;
    tsr_context *ctx = NULL;
    tsr_device *d = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    s.validation = true;
    const tsr_status status = tsr_device_open(ctx, &d, &s);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
    return status == TSR_ERROR_UNSUPPORTED ? "no Vulkan validation layer" : NULL;
}

TEST_PARTS("provoked hazard", PART(own, need_validation, validation_speaks_when_an_op_lies))
