/* SPDX-License-Identifier: MIT */
/* A GPU that hangs without its driver noticing: after the limit the device counts as lost, and
 * closing it neither waits for it nor frees what it may still use. Work that goes on, however
 * slowly, is waited for. */
#include <stdio.h>
#include <string.h>
#include "compute/clock.h"
#include "ops/ops.h"
#include "compute/run.h"
#include "fake_layer.h"
#include "testing.h"

enum { N = 64 };

static tsr_context *ctx;
static char warned[512];

static void on_log(void *user, tsr_log_level level, const char *text) {
    (void)user;
    if (level == TSR_LOG_WARNING) snprintf(warned, sizeof warned, "%s", text);
}

static void three(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_scale(r, tsr_scale(r, tsr_scale(r, in[0], 2, 0), 2, 0), 2, 1);
}

static tsr_device *open_device(double limit) {
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    s.submission = 1;
    s.stuck_after = limit;
    tsr_device *d = NULL;
    ck_assert_msg(tsr_device_open(ctx, &d, &s) == TSR_OK, "%s", tsr_detail(ctx));
    return d;
}

static tsr_status run(tsr_device *d, float *y) {
    float x[N];
    for (int i = 0; i < N; ++i)
        x[i] = (float)i;
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, (int64_t[]){N}), out = in;
    out.data = y;
    tsr_program p = {.fn = three, .name = "three"};
    return tsr_execute(d, &p, &in, 1, &out, 1);
}

static void setup(void) {
    tsr_context_settings s = tsr_context_settings_default();
    s.log = on_log;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
}

START_TEST(a_stuck_device_is_given_up) {
    setup();
    for (int n = 1; n <= 4; ++n) { /* the last one hangs in the second run */
        char text[32], first[1024];
        float y[N];
        snprintf(text, sizeof text, "FAKE_STUCK=%d", n);
        fake_layer((const char *[]){text, NULL});
        tsr_device *d = open_device(0.5);
        if (n > 3) ck_assert_msg(run(d, y) == TSR_OK, "%s", tsr_detail(ctx));
        const double began = tsr_seconds();
        ck_assert_int_eq(run(d, y), TSR_ERROR_DEVICE_LOST);
        const double passed = tsr_seconds() - began;
        ck_assert_msg(passed >= 0.5, "given up after %g s", passed);
        snprintf(first, sizeof first, "%s", tsr_detail(ctx));
        ck_assert_msg(!strncmp(first, "device vulkan:0 (", 17) &&
                          strstr(first, "made no progress for 0.5 seconds") &&
                          strstr(first, "open it again"),
                      "%s", first);
        ck_assert_int_eq(run(d, y), TSR_ERROR_DEVICE_LOST);
        ck_assert_str_eq(tsr_detail(ctx), first);
        tsr_device_forget(d, NULL);
        warned[0] = 0;
        tsr_device_close(&d); /* the layer hangs in vkDeviceWaitIdle, as such a driver does */
        ck_assert_msg(strstr(warned, "still does not answer"), "%s", warned);
        ck_assert_int_eq(fake_layer_lines("hangs"), 0);
        ck_assert_int_eq(fake_layer_lines("device destroyed"), 0);
    }
    fake_layer_off();
    tsr_device *d = open_device(0.5);
    float y[N] = {0};
    ck_assert_msg(run(d, y) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_float_eq(y[5], 41);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(slow_work_is_waited_for) {
    setup();
    float y[N] = {0};
    /* each submission is seen to end only after 10 waits of 20 ms: 0.6 s for the three of them,
     * which none of them needs alone */
    fake_layer((const char *[]){"FAKE_SLOW=10", NULL});
    tsr_device *d = open_device(60);
    const double began = tsr_seconds();
    ck_assert_msg(run(d, y) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert(tsr_seconds() - began >= 3 * 9 * 0.02);
    ck_assert_float_eq(y[5], 41);
    tsr_device_close(&d);
    /* a software device has no limit unless one is set */
    fake_layer((const char *[]){"FAKE_SLOW=10", NULL});
    d = open_device(0);
    if (tsr_device_properties(d)->software)
        ck_assert_msg(run(d, y) == TSR_OK, "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("stuck fence",
           PART(own, need_fake_layer, a_stuck_device_is_given_up, slow_work_is_waited_for))
