/* SPDX-License-Identifier: MIT */
#include "open_device.h"
#include "testing.h"

own_device open_own_device(const char *name, int threads) {
    own_device d = {0};
    tsr_context_settings c = tsr_context_settings_default();
    c.threads = threads;
    ck_assert_int_eq(tsr_context_open(&d.ctx, &c), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    tsr_status status = tsr_device_open(d.ctx, &d.device, &s);
    ck_assert_msg(status == TSR_OK, "%s: %s", name, tsr_detail(d.ctx));
    return d;
}

void close_own_device(own_device *d) {
    tsr_device_close(&d->device);
    tsr_context_close(&d->ctx);
}
