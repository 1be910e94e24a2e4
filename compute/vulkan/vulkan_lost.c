/* SPDX-License-Identifier: MIT */
/* vulkan_lost.c: waiting for the device, and a device that is lost: the driver says so, or a
 * submission does not end. A driver whose GPU hangs is not sure to notice, and a wait without a
 * limit would then never return. */
#include "vulkan_internal.h"

#include "../clock.h"

#include <stdio.h>

static tsr_status lose(vulkan_device *v, const char *why) {
    tsr_device *d = v->device;
    d->lost = TSR_ERROR_DEVICE_LOST;
    snprintf(d->lost_detail, sizeof d->lost_detail, "device %s (%.60s): %.90s; open it again",
             d->name, d->info.name, why);
    return tsr_fail(d->ctx, TSR_ERROR_DEVICE_LOST, "%s", d->lost_detail);
}

tsr_status vulkan_fail(vulkan_device *v, VkResult result, const char *what) {
    tsr_device *d = v->device;
    char why[80];
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "device %s: %s: out of %s memory", d->name, what,
                        result == VK_ERROR_OUT_OF_HOST_MEMORY ? "host" : "device");
    case VK_ERROR_DEVICE_LOST:
        snprintf(why, sizeof why, "its driver reported it as lost in %.40s", what);
        return lose(v, why);
    default:
        return tsr_fail(d->ctx, TSR_ERROR_DEVICE, "device %s: %s: VkResult %d", d->name, what,
                        result);
    }
}

/* Seconds without progress that are too many; 0: no number is. */
static double limit_of(const tsr_device *d) {
    enum { HARDWARE = 60 };
    if (d->settings.stuck_after > 0) return d->settings.stuck_after;
    return d->info.software ? 0 : HARDWARE;
}

tsr_status vulkan_wait(vulkan_device *v, VkFence fence) {
    const double limit = limit_of(v->device), began = tsr_seconds();
    VkResult result;
    for (;;) {
        const double left = limit > 0 ? limit - (tsr_seconds() - began) : 1;
        if (left <= 0) break;
        result = v->vk.vkWaitForFences(v->handle, 1, &fence, VK_TRUE,
                                       (uint64_t)(1e9 * (left < 1 ? left : 1)));
        if (result == VK_SUCCESS) return TSR_OK;
        if (result == VK_ERROR_DEVICE_LOST) return vulkan_fail(v, result, "wait");
        if (result == VK_TIMEOUT) continue;
        v->stuck = true; /* no memory for waiting: what is running cannot be told to have ended */
        return lose(v, "it could not be waited for");
    }
    char why[80];
    v->stuck = true;
    snprintf(why, sizeof why, "it made no progress for %.3g seconds and counts as lost", limit);
    return lose(v, why);
}

/* Whether a submission of a slot has not ended. */
static bool is_working(const vulkan_device *v) {
    for (int k = 0; k < TSR_FLIGHTS; ++k)
        for (int i = 0; i < v->slot[k].submitted; ++i)
            if (v->vk.vkGetFenceStatus(v->handle, v->slot[k].fences[i]) == VK_NOT_READY)
                return true;
    return false;
}

bool vulkan_settle(vulkan_device *v) {
    if (v->stuck) {
        if (is_working(v)) {
            tsr_log(v->device->ctx, TSR_LOG_WARNING,
                    "device %s (%s) still does not answer: its memory is taken until this "
                    "process ends",
                    v->device->name, v->device->info.name);
            return false;
        }
        v->stuck = false; /* it woke up, or is lost and therefore idle */
    }
    v->vk.vkDeviceWaitIdle(v->handle); /* of a lost device this fails, at once: it is idle */
    return true;
}
