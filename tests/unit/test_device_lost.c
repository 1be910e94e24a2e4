/* SPDX-License-Identifier: MIT */
/* A device that its driver reports as lost, at every submission and wait of a program: the call
 * fails and says which device, every later one fails with the same words, closing returns and
 * destroys the device, and a new one works. */
#include <stdio.h>
#include <string.h>
#include "ops/ops.h"
#include "compute/run.h"
#include "fake_layer.h"
#include "testing.h"

enum { N = 64 };

static tsr_context *ctx;

/* Three ops; with a submission limit of one element each is a submission of its own. */
static void three(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_scale(r, tsr_scale(r, tsr_scale(r, in[0], 2, 0), 2, 0), 2, 1);
}

static tsr_device *open_device(void) {
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    s.submission = 1;
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

/* Loses the device when `variable` counts to n, and returns in which run of the program. */
static int lost_at(const char *variable, int n, int runs) {
    char text[64];
    float y[N];
    snprintf(text, sizeof text, "%s=%d", variable, n);
    fake_layer((const char *[]){text, NULL});
    tsr_device *d = open_device();
    int at = 0;
    tsr_status status = TSR_OK;
    while (!status && at < runs) {
        memset(y, 0, sizeof y);
        status = run(d, y);
        if (!status) {
            ck_assert_float_eq(y[5], 41);
            ++at;
        }
    }
    if (status) {
        char first[1024];
        ck_assert_msg(status == TSR_ERROR_DEVICE_LOST, "%s", tsr_detail(ctx));
        snprintf(first, sizeof first, "%s", tsr_detail(ctx));
        ck_assert_msg(!strncmp(first, "device vulkan:0 (", 17), "%s", first);
        ck_assert_msg(strstr(first, "reported it as lost") && strstr(first, "open it again"), "%s",
                      first);
        for (int i = 0; i < 2; ++i) {
            ck_assert_int_eq(run(d, y), TSR_ERROR_DEVICE_LOST);
            ck_assert_str_eq(tsr_detail(ctx), first);
            tsr_device_forget(d, NULL);
        }
    }
    tsr_device_close(&d);
    ck_assert_int_eq(fake_layer_lines("device destroyed"), 1);
    ck_assert_int_eq(fake_layer_lines("lost in") > 0, status != TSR_OK);
    return at;
}

START_TEST(every_submission_and_wait_may_be_the_last) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    /* three submissions a run */
    for (int n = 1; n <= 7; ++n) {
        ck_assert_int_eq(lost_at("FAKE_LOST_SUBMIT", n, 4), (n - 1) / 3);
        ck_assert_int_eq(lost_at("FAKE_LOST_WAIT", n, 4), (n - 1) / 3);
    }
    /* it can be opened again */
    fake_layer_off();
    tsr_device *d = open_device();
    float y[N] = {0};
    ck_assert_msg(run(d, y) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_float_eq(y[5], 41);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("device lost", PART(own, need_fake_layer, every_submission_and_wait_may_be_the_last))
