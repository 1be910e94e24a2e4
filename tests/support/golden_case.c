/* SPDX-License-Identifier: MIT */
/* golden_case.c: see golden_case.h. */
#include "golden_case.h"

#include <tessera/tessera.h>

#include "everywhere.h"

#include <stdio.h>
#include <unistd.h>

static void note(void *user, const char *output, int passed, const char *text) {
    if (!passed) snprintf(user, 512, "%s: %s", output, text);
}

void golden_case(const char *folder, const char *device, int lines) {
    char path[4096], failure[512] = "";
    int passed = 0, failed = 0;
    snprintf(path, sizeof path, TESSERA_SHARED "/golden/%s/manifest.json", folder);
    if (access(path, R_OK) != 0) {
        printf("skipped: %s is not there\n", path);
        return;
    }
    if (!everywhere_device(device, NULL)) {
        printf("skipped: %s: no device %s\n", folder, device);
        return;
    }
    snprintf(path, sizeof path, TESSERA_SHARED "/golden/%s", folder);
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const tsr_verify_settings settings = {.device = device, .line = note, .user = failure};
    const tsr_status status = tsr_verify_case(ctx, path, &settings, &passed, &failed);
    ck_assert_msg(status == TSR_OK, "%s: %s", folder, tsr_detail(ctx));
    ck_assert_msg(failed == 0, "%s on %s: %d failed, the last: %s", folder, device, failed,
                  failure);
    ck_assert_int_eq(passed, lines);
    printf("%s on %s: %d lines passed\n", folder, device, passed);
    tsr_context_close(&ctx);
}
