/* SPDX-License-Identifier: MIT */
/* details.h: all that is known about one GPU, for reports. */
#ifndef COMPUTE_DETAILS_H
#define COMPUTE_DETAILS_H

#include "context.h"

/* Describes device vulkan:N as an object of JSON on one line in *json, which the caller frees with
 * free(): name, vendor, ids, driver, heaps, subgroup, limits (of timestamps too), extensions that
 * matter here, and where the driver has cooperative matrices their shapes. Only in a build with
 * Vulkan. Errors: NO_DEVICE, MEMORY, device errors. */
tsr_status tsr_vulkan_details(tsr_context *ctx, int index, char **json);

#endif
