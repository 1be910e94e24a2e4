/* SPDX-License-Identifier: MIT */
/* device_vulkan.c: a Vulkan device: open, forget, close. */
#include "vulkan_internal.h"
#include "vulkan_shaders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frees what the host holds of a device and of its recordings. */
static void free_device(vulkan_device *v) {
    while (v->recordings) {
        vulkan_recording *r = v->recordings;
        v->recordings = r->next;
        free(r->commands);
        vulkan_times_close(v, r);
        free(r);
    }
    free(v->modules);
    free(v->pipelines);
    free(v->weights);
    free(v->blocks);
    for (int i = 0; i < TSR_FLIGHTS; ++i)
        free(v->slot[i].fences);
    free(v->kept.path);
    free(v);
}

static void close_vulkan(tsr_device *d) {
    vulkan_device *v = d->vulkan;
    if (!v) return;
    d->vulkan = NULL;
    if (tsr_device_is_left_by_fork(d)) { /* the driver's objects are the parent's */
        free(v->instance);
        free_device(v);
        return;
    }
    if (v->handle && !vulkan_settle(v)) { /* the driver's objects stay, as in a child */
        if (!v->instance->messenger) free(v->instance);
        v->handle = VK_NULL_HANDLE;
        free_device(v);
        return;
    }
    if (v->handle) {
        vulkan_recordings_drop(v, NULL, true);
        for (int i = 0; i < v->block_count; ++i)
            vulkan_buffer_close(v, &v->blocks[i].buffer);
        for (int i = 0; i < v->chunk_count; ++i)
            vulkan_buffer_close(v, &v->chunks[i]);
        vulkan_flights_close(v);
        for (int i = 0; i < v->pipeline_count; ++i)
            v->vk.vkDestroyPipeline(v->handle, v->pipelines[i].handle, NULL);
        for (int i = 0; v->modules && i < tsr_shader_count; ++i)
            if (v->modules[i]) v->vk.vkDestroyShaderModule(v->handle, v->modules[i], NULL);
        for (int i = 1; i <= TSR_CALL_TENSORS; ++i) {
            if (v->layout[i]) v->vk.vkDestroyPipelineLayout(v->handle, v->layout[i], NULL);
            if (v->set_layout[i])
                v->vk.vkDestroyDescriptorSetLayout(v->handle, v->set_layout[i], NULL);
        }
        vulkan_cache_close(v);
        if (v->pool) v->vk.vkDestroyCommandPool(v->handle, v->pool, NULL);
        v->vk.vkDestroyDevice(v->handle, NULL);
    }
    vulkan_instance_close(&v->instance);
    free_device(v);
}

static void forget(tsr_device *d, const void *model) {
    vulkan_device *v = d->vulkan;
    vulkan_flights_finish(v);
    if (v->stuck) return; /* it may still use what would be freed here; closing sees to it */
    vulkan_recordings_drop(v, model, false);
    int kept = 0;
    for (int i = 0; i < v->weight_count; ++i)
        if (v->weights[i].model != model) v->weights[kept++] = v->weights[i];
    v->weight_count = kept;
    for (int i = 0; i < v->block_count; ++i) /* places stay: weights name blocks by number */
        if (v->blocks[i].used && v->blocks[i].model == model) {
            vulkan_buffer_close(v, &v->blocks[i].buffer);
            v->blocks[i].used = false;
        }
}

static const tsr_backend backend = {.close = close_vulkan,
                                    .begin = vulkan_begin,
                                    .finish = vulkan_finish,
                                    .forget = forget,
                                    .make = vulkan_run_make,
                                    .weight = vulkan_run_weight,
                                    .emit = vulkan_run_emit};

static bool variant_allowed(const void *device, const char *variant) {
    return !tsr_device_masked(device, variant);
}

static void fill_caps(vulkan_device *v) {
    const tsr_device *d = v->device;
    const tsr_device_info *info = &d->info;
    v->caps = (tsr_gpu_caps){
        .subgroup_size = info->subgroup_size,
        .subgroup_ops = info->subgroup_bodies && !tsr_device_masked(d, "subgroup"),
        .matrix_subgroup = info->matrix_subgroup,
        .fp16 = d->settings.precision == TSR_PRECISION_FAST && !tsr_device_masked(d, "fp16"),
        .int64 = v->traits.int64 && !tsr_device_masked(d, "int64"),
        .max_shared_bytes = info->max_shared_bytes,
        .max_workgroup = info->max_workgroup,
        .software = info->software,
        .allowed = variant_allowed,
        .device = d};
    memcpy(v->caps.matrix, v->traits.matrix, sizeof v->caps.matrix);
    memcpy(v->caps.workgroup_matrix, v->traits.workgroup_matrix, sizeof v->caps.workgroup_matrix);
    v->caps.pairs = v->traits.matrix[0] && tsr_device_masked(d, TSR_MASK_PAIRS);
}

static tsr_status create_device(vulkan_device *v) {
    const tsr_device_info *info = &v->device->info;
    const vulkan_traits *t = &v->traits;
    const char *extensions[5];
    uint32_t count = 0;
    if (t->portability_subset) extensions[count++] = "VK_KHR_portability_subset";
    if (t->extension_subgroup_control && info->subgroup_size_control)
        extensions[count++] = "VK_EXT_subgroup_size_control";
    if (t->matrix[0]) extensions[count++] = "VK_KHR_cooperative_matrix";
    const bool workgroups = t->workgroup_matrix[0][0] || t->workgroup_matrix[1][0];
    if (workgroups) extensions[count++] = "VK_NV_cooperative_matrix2";
    VkPhysicalDeviceMaintenance4Features maintenance4 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES, .maintenance4 = VK_TRUE};
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .pNext = &maintenance4,
        .cooperativeMatrixWorkgroupScope = VK_TRUE,
        .cooperativeMatrixFlexibleDimensions = VK_TRUE,
        .cooperativeMatrixPerElementOperations = VK_TRUE,
        .cooperativeMatrixTensorAddressing = VK_TRUE};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = workgroups ? &matrix2 : NULL,
        .cooperativeMatrix = VK_TRUE};
    VkPhysicalDeviceSubgroupSizeControlFeatures size = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .pNext = t->matrix[0] ? &coopmat : NULL,
        .subgroupSizeControl = VK_TRUE,
        .computeFullSubgroups = t->full_subgroups};
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = info->subgroup_size_control ? &size : NULL, /* matrices come with it */
        .shaderFloat16 = t->matrix[0] > 0,
        .vulkanMemoryModel = t->matrix[0] > 0};
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = t->queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDeviceFeatures core = {.shaderInt64 = t->int64};
    VkDeviceCreateInfo create = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                 .pNext = &f12,
                                 .queueCreateInfoCount = 1,
                                 .pQueueCreateInfos = &queue,
                                 .enabledExtensionCount = count,
                                 .ppEnabledExtensionNames = extensions,
                                 .pEnabledFeatures = &core};
    VkResult result = v->instance->CreateDevice(v->physical, &create, NULL, &v->handle);
    if (result) {
        v->handle = VK_NULL_HANDLE;
        return vulkan_fail(v, result, "vkCreateDevice");
    }
    vulkan_load_device_table(v->instance, v->handle, &v->vk);
    v->vk.vkGetDeviceQueue(v->handle, t->queue_family, 0, &v->queue);
    return TSR_OK;
}

static tsr_status create_objects(vulkan_device *v) {
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = v->traits.queue_family};
    VkResult result = v->vk.vkCreateCommandPool(v->handle, &pool, NULL, &v->pool);
    if (result) return vulkan_fail(v, result, "command pool");
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = v->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    result = v->vk.vkAllocateCommandBuffers(v->handle, &allocate, &v->once);
    if (result) return vulkan_fail(v, result, "command buffer");
    tsr_status status = vulkan_cache_open(v);
    return status ? status : vulkan_layouts_open(v);
}

static const char *last_name(uint32_t count, char *text, size_t size) {
    snprintf(text, size, "vulkan:%u", count - 1);
    return text;
}

static tsr_status choose_physical(vulkan_device *v) {
    tsr_device *d = v->device;
    VkPhysicalDevice *list = NULL;
    uint32_t count = 0;
    int index = d->info.index, rank;
    char last[32];
    tsr_status status = TSR_OK;
    if (v->instance) status = vulkan_physical_devices(d->ctx, v->instance, &list, &count);
    if (!status && !count)
        status = tsr_fail(d->ctx, TSR_ERROR_NO_DEVICE, "device %s: %s", d->name,
                          v->instance ? "this machine has no Vulkan device; cpu is always there"
                                      : "this machine has no Vulkan loader (libvulkan.so.1), so no "
                                        "Vulkan device can be found; cpu is always there");
    else if (!status && (uint32_t)index >= count)
        status = tsr_fail(d->ctx, TSR_ERROR_NO_DEVICE, "device %s: this machine has vulkan:0%s%s",
                          d->name, count == 1 ? " alone" : " to ",
                          count == 1 ? "" : last_name(count, last, sizeof last));
    if (!status) {
        v->physical = list[index];
        vulkan_describe(v->instance, v->physical, index, &d->info, &v->traits, &rank);
        v->instance->GetPhysicalDeviceMemoryProperties(v->physical, &v->memory);
        if (!v->traits.openable)
            status = tsr_fail(d->ctx, TSR_ERROR_NO_DEVICE, "device %s (%.100s): %.200s", d->name,
                              d->info.name, d->info.reason);
    }
    free(list);
    return status;
}

tsr_status tsr_vulkan_open(tsr_device *d) {
    vulkan_device *v = tsr_alloc(d->ctx, 1, sizeof *v, "device");
    if (!v) return TSR_ERROR_MEMORY;
    v->device = d;
    d->vulkan = v;
    d->backend = &backend; /* from here on close_vulkan cleans up */
    tsr_status status = vulkan_instance_open(d->ctx, d->settings.validation, &v->instance);
    if (!status) status = choose_physical(v);
    if (!status) vulkan_matrices_find(v);
    if (!status) status = create_device(v);
    if (!status) status = create_objects(v);
    if (!status) fill_caps(v);
    if (v->traits.timestamp_bits) d->tick = 1e-9 * (double)v->traits.timestamp_period;
    if (v->caps.fp16) snprintf(d->fast_path, sizeof d->fast_path, "products in f16, sums in f32");
    if (!status) status = vulkan_check_messages(v);
    if (!status) status = vulkan_matrices_try(v);
    if (v->caps.pairs && !v->caps.fp16)
        snprintf(d->fast_path, sizeof d->fast_path, "products in f32 of pairs of f16");
    if (!status) vulkan_arithmetic_try(v);
    if (!status && d->lost) status = tsr_fail(d->ctx, d->lost, "%s", d->lost_detail);
    return status;
}
