/* SPDX-License-Identifier: MIT */
/* made_up_matrices.h: of fake_device_layer.c, what a device with made-up cooperative matrices is
 * made with, and the module that takes the place of those that use them. */
#ifndef TESTS_MADE_UP_MATRICES_H
#define TESTS_MADE_UP_MATRICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "../../compute/vulkan/vulkan_newer.h"

/* void main() {} for workgroups of 64 */
static const uint32_t nothing[] = {0x07230203,
                                   0x00010300,
                                   0,
                                   5,
                                   0,
                                   2 << 16 | 17,
                                   1,
                                   3 << 16 | 14,
                                   0,
                                   1,
                                   5 << 16 | 15,
                                   5,
                                   1,
                                   0x6e69616d,
                                   0,
                                   6 << 16 | 16,
                                   1,
                                   17,
                                   64,
                                   1,
                                   1,
                                   2 << 16 | 19,
                                   2,
                                   3 << 16 | 33,
                                   3,
                                   2,
                                   5 << 16 | 54,
                                   2,
                                   1,
                                   0,
                                   3,
                                   2 << 16 | 248,
                                   4,
                                   1 << 16 | 253,
                                   1 << 16 | 56};

/* Capabilities are a module's first instructions. */
static bool uses_matrices(const VkShaderModuleCreateInfo *info) {
    enum { HEAD = 5, CAPABILITY = 2 << 16 | 17, MATRICES = 6022 };
    for (size_t i = HEAD; i + 1 < info->codeSize / 4 && info->pCode[i] == CAPABILITY; i += 2)
        if (info->pCode[i + 1] == MATRICES) return true;
    return false;
}

static void *find(void *chain, VkStructureType type) {
    for (VkBaseOutStructure *s = chain; s; s = s->pNext)
        if (s->sType == type) return s;
    return NULL;
}

/* What was taken out of a chain, and from behind what; NULL: it was not there. */
typedef struct unlinked {
    VkBaseOutStructure *before, *it;
} unlinked;

static unlinked leave_out(void *chain, VkStructureType type) {
    for (VkBaseOutStructure *s = chain; s->pNext; s = s->pNext)
        if (s->pNext->sType == type) {
            const unlinked u = {s, s->pNext};
            s->pNext = s->pNext->pNext;
            return u;
        }
    return (unlinked){0};
}

static void put_in(unlinked u) {
    if (u.it) u.before->pNext = u.it;
}

/* What a device is made with when matrices are made up: the driver's own features, and neither the
 * extensions nor their structures. */
typedef struct real_device {
    VkDeviceCreateInfo info;
    const char *names[32];
    VkPhysicalDeviceVulkan12Features f12;
    unlinked without[2];
} real_device;

static void make_real(real_device *r, PFN_vkGetPhysicalDeviceFeatures2 features,
                      VkPhysicalDevice physical) {
    const VkDeviceCreateInfo *info = &r->info;
    uint32_t count = 0;
    const uint32_t all = info->enabledExtensionCount;
    for (uint32_t i = 0; i < all && i < 32; ++i)
        if (!strstr(info->ppEnabledExtensionNames[i], "cooperative_matrix"))
            r->names[count++] = info->ppEnabledExtensionNames[i];
    r->info.enabledExtensionCount = count;
    r->info.ppEnabledExtensionNames = r->names;
    r->without[0] =
        leave_out(&r->info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV);
    r->without[1] =
        leave_out(&r->info, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
    VkPhysicalDeviceVulkan12Features has = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 f2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                    .pNext = &has};
    VkPhysicalDeviceVulkan12Features *f12 =
        find((void *)r->info.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    if (!f12) return;
    features(physical, &f2);
    r->f12 = *f12;
    f12->shaderFloat16 &= has.shaderFloat16;
    f12->vulkanMemoryModel &= has.vulkanMemoryModel;
}

/* The caller's own structures are as they were. */
static void put_back(real_device *r) {
    VkPhysicalDeviceVulkan12Features *f12 =
        find((void *)r->info.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    if (f12 && r->f12.sType) {
        f12->shaderFloat16 = r->f12.shaderFloat16;
        f12->vulkanMemoryModel = r->f12.vulkanMemoryModel;
    }
    put_in(r->without[1]);
    put_in(r->without[0]);
}

#endif
