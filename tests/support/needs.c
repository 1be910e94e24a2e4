/* SPDX-License-Identifier: MIT */
/* needs.c: see needs.h. */
#include "needs.h"

#include "everywhere.h"

#include <unistd.h>

const char *need_vulkan(void) {
    return everywhere_has_vulkan() ? NULL : EVERYWHERE_NO_VULKAN;
}

const char *need_shared_golden(void) {
    return access(TESSERA_SHARED "/golden", R_OK) ? "../shared/golden is not there" : NULL;
}

const char *need_vulkan_at_full_speed(void) {
#if defined(__SANITIZE_ADDRESS__)
    return "a minute on a software driver, several under a sanitizer";
#else
    return need_vulkan();
#endif
}
