/* SPDX-License-Identifier: MIT */
/* vulkan_details.c: what a report about a GPU says beyond the list of devices: identity, heaps,
 * the shapes of its matrix units, its clock. Only asked for by name, as some drivers crash when
 * they are asked for matrices. */
#include "../details.h"
#include "vulkan_internal.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(int type) {
    static const char *const names[] = {"f16", "f32", "f64", "i8",  "i16", "i32",
                                        "i64", "u8",  "u16", "u32", "u64"};
    enum { BFLOAT16 = 1000141000 };
    if (type == BFLOAT16) return "bf16";
    return type >= 0 && type < (int)(sizeof names / sizeof *names) ? names[type] : "other";
}

static void add_matrices(cJSON *o, const vulkan_instance *n, VkPhysicalDevice p) {
    enum { MOST = 128 };
    VkCooperativeMatrixPropertiesKHR list[MOST];
    uint32_t count = MOST;
    for (int i = 0; i < MOST; ++i)
        list[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    cJSON *array = cJSON_AddArrayToObject(o, "matrices");
    if (!n->GetPhysicalDeviceCooperativeMatrixPropertiesKHR ||
        n->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(p, &count, list) < VK_SUCCESS)
        return;
    for (uint32_t i = 0; i < count && array; ++i) {
        const VkCooperativeMatrixPropertiesKHR *m = &list[i];
        cJSON *shape = cJSON_CreateObject();
        cJSON_AddNumberToObject(shape, "m", m->MSize);
        cJSON_AddNumberToObject(shape, "n", m->NSize);
        cJSON_AddNumberToObject(shape, "k", m->KSize);
        cJSON_AddStringToObject(shape, "a", type_name((int)m->AType));
        cJSON_AddStringToObject(shape, "b", type_name((int)m->BType));
        cJSON_AddStringToObject(shape, "sums", type_name((int)m->CType));
        cJSON_AddStringToObject(shape, "result", type_name((int)m->ResultType));
        cJSON_AddStringToObject(shape, "scope",
                                m->scope == VK_SCOPE_SUBGROUP_KHR ? "subgroup" : "other");
        cJSON_AddItemToArray(array, shape);
    }
}

static void add_heaps(cJSON *o, const vulkan_instance *n, VkPhysicalDevice p) {
    VkPhysicalDeviceMemoryProperties m;
    n->GetPhysicalDeviceMemoryProperties(p, &m);
    cJSON *array = cJSON_AddArrayToObject(o, "heaps");
    for (uint32_t i = 0; i < m.memoryHeapCount && array; ++i) {
        cJSON *heap = cJSON_CreateObject();
        bool seen = false;
        for (uint32_t k = 0; k < m.memoryTypeCount; ++k)
            seen |= m.memoryTypes[k].heapIndex == i &&
                    (m.memoryTypes[k].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
        cJSON_AddNumberToObject(heap, "bytes", (double)m.memoryHeaps[i].size);
        cJSON_AddBoolToObject(heap, "device_local",
                              (m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0);
        cJSON_AddBoolToObject(heap, "host_visible", seen);
        cJSON_AddItemToArray(array, heap);
    }
}

/* Extensions that decide what could be used here. */
static void add_extensions(cJSON *o, const vulkan_instance *n, VkPhysicalDevice p) {
    static const char *const wanted[] = {"VK_KHR_cooperative_matrix",
                                         "VK_NV_cooperative_matrix2",
                                         "VK_KHR_shader_bfloat16",
                                         "VK_EXT_memory_budget",
                                         "VK_EXT_subgroup_size_control",
                                         "VK_KHR_shader_integer_dot_product",
                                         "VK_NV_shader_sm_builtins",
                                         "VK_AMD_shader_core_properties2",
                                         "VK_VALVE_shader_mixed_float_dot_product",
                                         "VK_KHR_portability_subset"};
    uint32_t count = 0;
    cJSON *array = cJSON_AddArrayToObject(o, "extensions");
    if (n->EnumerateDeviceExtensionProperties(p, NULL, &count, NULL) || !count) return;
    VkExtensionProperties *list = calloc(count, sizeof *list);
    if (list && n->EnumerateDeviceExtensionProperties(p, NULL, &count, list) >= VK_SUCCESS)
        for (size_t w = 0; w < sizeof wanted / sizeof *wanted; ++w)
            for (uint32_t i = 0; i < count; ++i)
                if (!strcmp(list[i].extensionName, wanted[w])) {
                    cJSON_AddItemToArray(array, cJSON_CreateString(wanted[w]));
                    break;
                }
    free(list);
}

static cJSON *describe(const vulkan_instance *n, VkPhysicalDevice p, int index) {
    tsr_device_info info;
    vulkan_traits traits;
    int rank;
    vulkan_describe(n, p, index, &info, &traits, &rank);
    VkPhysicalDeviceProperties basic;
    n->GetPhysicalDeviceProperties(p, &basic);
    const VkPhysicalDeviceLimits *l = &basic.limits;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", info.name);
    cJSON_AddStringToObject(o, "vendor", info.vendor);
    cJSON_AddNumberToObject(o, "vendor_id", basic.vendorID);
    cJSON_AddNumberToObject(o, "device_id", basic.deviceID);
    cJSON_AddStringToObject(o, "driver", info.driver);
    cJSON_AddNumberToObject(o, "driver_version", basic.driverVersion);
    cJSON_AddStringToObject(o, "api", info.api);
    cJSON_AddBoolToObject(o, "software", info.software);
    add_heaps(o, n, p);
    cJSON *s = cJSON_AddObjectToObject(o, "subgroup");
    cJSON_AddNumberToObject(s, "size", info.subgroup_size);
    cJSON_AddNumberToObject(s, "min", info.subgroup_min);
    cJSON_AddNumberToObject(s, "max", info.subgroup_max);
    cJSON_AddBoolToObject(s, "can_be_set", info.subgroup_size_control);
    cJSON *limits = cJSON_AddObjectToObject(o, "limits");
    cJSON_AddNumberToObject(limits, "storage_range_bytes", (double)info.max_storage_range);
    cJSON_AddNumberToObject(limits, "allocation_bytes", (double)info.max_allocation);
    cJSON_AddNumberToObject(limits, "allocations", l->maxMemoryAllocationCount);
    cJSON_AddNumberToObject(limits, "shared_bytes", info.max_shared_bytes);
    cJSON_AddNumberToObject(limits, "workgroup", info.max_workgroup);
    cJSON_AddNumberToObject(limits, "push_bytes", info.max_push_bytes);
    cJSON_AddNumberToObject(limits, "storage_alignment", (double)traits.storage_alignment);
    cJSON_AddNumberToObject(limits, "timestamp_bits", traits.timestamp_bits);
    cJSON_AddNumberToObject(limits, "timestamp_ns", (double)traits.timestamp_period);
    add_extensions(o, n, p);
    if (info.cooperative_matrix) add_matrices(o, n, p);
    return o;
}

tsr_status tsr_vulkan_details(tsr_context *ctx, int index, char **json) {
    vulkan_instance *instance = NULL;
    VkPhysicalDevice *list = NULL;
    uint32_t count = 0;
    *json = NULL;
    tsr_status status = vulkan_instance_open(ctx, false, &instance);
    if (!status && instance) status = vulkan_physical_devices(ctx, instance, &list, &count);
    if (!status && (index < 0 || (uint32_t)index >= count))
        status =
            tsr_fail(ctx, TSR_ERROR_NO_DEVICE, "device vulkan:%d: wanted one of %u", index, count);
    if (!status) {
        cJSON *o = describe(instance, list[index], index);
        char *text = cJSON_PrintUnformatted(o);
        cJSON_Delete(o);
        if (text) *json = strdup(text);
        cJSON_free(text);
        if (!*json) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "device details: no memory for text");
    }
    free(list);
    vulkan_instance_close(&instance);
    return status;
}
