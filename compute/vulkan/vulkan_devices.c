/* SPDX-License-Identifier: MIT */
/* vulkan_devices.c: what Vulkan devices there are and what they can do. */
#include "vulkan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *vendor_name(uint32_t id) {
    static const struct {
        uint32_t id;
        const char *name;
    } names[] = {{0x1002, "AMD"},    {0x10DE, "NVIDIA"},   {0x8086, "Intel"},
                 {0x13B5, "Arm"},    {0x5143, "Qualcomm"}, {0x106B, "Apple"},
                 {0x1AE0, "Google"}, {0x14E4, "Broadcom"}, {0x1010, "Imagination"},
                 {0x10005, "Mesa"},  {0x1414, "Microsoft"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (names[i].id == id) return names[i].name;
    return NULL;
}

typedef struct extension_list {
    VkExtensionProperties *list;
    uint32_t count;
} extension_list;

static bool has(const extension_list *e, const char *name) {
    for (uint32_t i = 0; i < e->count; ++i)
        if (!strcmp(e->list[i].extensionName, name)) return true;
    return false;
}

static void read_extensions(const vulkan_instance *n, VkPhysicalDevice p, extension_list *e) {
    *e = (extension_list){0};
    if (n->EnumerateDeviceExtensionProperties(p, NULL, &e->count, NULL) != VK_SUCCESS) e->count = 0;
    e->list = calloc(e->count + 1, sizeof *e->list);
    if (!e->list || n->EnumerateDeviceExtensionProperties(p, NULL, &e->count, e->list) < VK_SUCCESS)
        e->count = 0;
}

/* A queue that computes; one without graphics is taken where there is a choice. */
static bool find_queue(const vulkan_instance *n, VkPhysicalDevice p, vulkan_traits *traits) {
    VkQueueFamilyProperties list[32];
    uint32_t count = 32;
    n->GetPhysicalDeviceQueueFamilyProperties(p, &count, list);
    int best = -1;
    for (uint32_t i = 0; i < count; ++i) {
        if (!(list[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || !list[i].queueCount) continue;
        if (best < 0 || ((list[best].queueFlags & VK_QUEUE_GRAPHICS_BIT) &&
                         !(list[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)))
            best = (int)i;
    }
    traits->queue_family = best < 0 ? 0 : (uint32_t)best;
    traits->timestamp_bits = best < 0 ? 0 : list[best].timestampValidBits;
    return best >= 0;
}

/* The largest device-local heap, which weights and activations lie in; -1: there is none. */
static int main_heap(const VkPhysicalDeviceMemoryProperties *m) {
    int best = -1;
    for (uint32_t i = 0; i < m->memoryHeapCount; ++i)
        if ((m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            (best < 0 || m->memoryHeaps[i].size > m->memoryHeaps[best].size))
            best = (int)i;
    return best;
}

uint64_t vulkan_memory_free(const vulkan_instance *n, VkPhysicalDevice p,
                            const vulkan_traits *traits) {
    if (!traits->memory_budget) return 0;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT b = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 m = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &b};
    n->GetPhysicalDeviceMemoryProperties2(p, &m);
    const int heap = main_heap(&m.memoryProperties);
    if (heap < 0 || !b.heapBudget[heap]) return 0;
    /* The budget is what this process may use, what it uses already included. 0 would mean that
     * nothing is known. */
    return b.heapUsage[heap] < b.heapBudget[heap] ? b.heapBudget[heap] - b.heapUsage[heap] : 1;
}

static int rank_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return 4;
    default:
        return 3;
    }
}

void vulkan_describe(const vulkan_instance *n, VkPhysicalDevice p, int index, tsr_device_info *info,
                     vulkan_traits *traits, int *rank) {
    *info = (tsr_device_info){.kind = TSR_DEVICE_VULKAN, .index = index};
    *traits = (vulkan_traits){0};
    VkPhysicalDeviceProperties basic;
    n->GetPhysicalDeviceProperties(p, &basic);
    uint32_t version = basic.apiVersion;
    *rank = rank_of(basic.deviceType);
    info->software = basic.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    snprintf(info->name, sizeof info->name, "%s", basic.deviceName);
    const char *vendor = vendor_name(basic.vendorID);
    if (vendor)
        snprintf(info->vendor, sizeof info->vendor, "%s", vendor);
    else
        snprintf(info->vendor, sizeof info->vendor, "0x%04x", basic.vendorID);
    snprintf(info->api, sizeof info->api, "%u.%u.%u", VK_API_VERSION_MAJOR(version),
             VK_API_VERSION_MINOR(version), VK_API_VERSION_PATCH(version));
    const VkPhysicalDeviceLimits *l = &basic.limits;
    info->max_storage_range = l->maxStorageBufferRange;
    info->max_shared_bytes = l->maxComputeSharedMemorySize;
    info->max_workgroup = l->maxComputeWorkGroupInvocations;
    info->max_push_bytes = l->maxPushConstantsSize;
    traits->storage_alignment = l->minStorageBufferOffsetAlignment;
    traits->timestamp_period = l->timestampPeriod;
    VkPhysicalDeviceMemoryProperties memory;
    n->GetPhysicalDeviceMemoryProperties(p, &memory);
    if (main_heap(&memory) >= 0) info->memory_bytes = memory.memoryHeaps[main_heap(&memory)].size;
    info->vendor_id = basic.vendorID;
    info->device_id = basic.deviceID;
    if (version < VK_API_VERSION_1_2) {
        snprintf(info->driver, sizeof info->driver, "0x%x", basic.driverVersion);
        snprintf(info->reason, sizeof info->reason,
                 "its driver has Vulkan %.16s, and 1.2 is needed", info->api);
        return;
    }

    extension_list e;
    read_extensions(n, p, &e);
    bool core13 = version >= VK_API_VERSION_1_3;
    bool size_control = core13 || has(&e, "VK_EXT_subgroup_size_control");
    bool coopmat = has(&e, "VK_KHR_cooperative_matrix");
    traits->matrix2 = core13 && coopmat && has(&e, "VK_NV_cooperative_matrix2");
    bool bfloat = has(&e, "VK_KHR_shader_bfloat16");
    bool sm_builtins = has(&e, "VK_NV_shader_sm_builtins");
    bool amd_cores = has(&e, "VK_AMD_shader_core_properties2");
    traits->extension_subgroup_control = size_control && has(&e, "VK_EXT_subgroup_size_control");
    traits->portability_subset = has(&e, "VK_KHR_portability_subset");
    traits->memory_budget = has(&e, "VK_EXT_memory_budget");
    free(e.list);

    VkPhysicalDeviceSubgroupSizeControlProperties size = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties p12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
        .pNext = size_control ? &size : NULL};
    VkPhysicalDeviceVulkan11Properties p11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &p12};
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV sm = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV, .pNext = &p11};
    VkPhysicalDeviceShaderCoreProperties2AMD amd = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD, .pNext = &p11};
    VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                      .pNext = &p11};
    if (sm_builtins)
        p2.pNext = &sm;
    else if (amd_cores)
        p2.pNext = &amd;
    n->GetPhysicalDeviceProperties2(p, &p2);

    VkPhysicalDeviceSubgroupSizeControlFeatures size_features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat_features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDeviceMaintenance4Features maintenance4 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES};
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .pNext = &maintenance4};
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat_features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 f2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                    .pNext = &f12};
    void **tail = &f12.pNext;
    if (size_control) *tail = &size_features, tail = &size_features.pNext;
    if (coopmat) *tail = &coopmat_features, tail = &coopmat_features.pNext;
    if (traits->matrix2) *tail = &matrix2, tail = &maintenance4.pNext;
    if (bfloat) *tail = &bfloat_features, tail = &bfloat_features.pNext;
    n->GetPhysicalDeviceFeatures2(p, &f2);

    snprintf(info->driver, sizeof info->driver, "%.120s%s%.120s", p12.driverName,
             p12.driverInfo[0] ? " " : "", p12.driverInfo);
    info->driver_id = p12.driverID;
    info->memory_free_bytes = vulkan_memory_free(n, p, traits);
    info->max_allocation = p11.maxMemoryAllocationSize;
    info->subgroup_size = info->subgroup_min = info->subgroup_max = p11.subgroupSize;
    info->cores = sm_builtins ? sm.shaderSMCount : amd_cores ? amd.activeComputeUnitCount : 0;
    info->fp16 = f12.shaderFloat16;
    traits->int64 = f2.features.shaderInt64;
    info->int8 = f12.shaderInt8;
    info->bf16 = bfloat && bfloat_features.shaderBFloat16Type;
    info->cooperative_matrix = coopmat && coopmat_features.cooperativeMatrix;
    info->subgroup_size_control = size_control && size_features.subgroupSizeControl &&
                                  (size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    if (info->subgroup_size_control) {
        info->subgroup_min = size.minSubgroupSize;
        info->subgroup_max = size.maxSubgroupSize;
    }
    VkSubgroupFeatureFlags wanted =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
        VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    traits->subgroup_ops = (p11.subgroupSupportedOperations & wanted) == wanted &&
                           (p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT);
    traits->full_subgroups = info->subgroup_size_control && size_features.computeFullSubgroups;
    traits->memory_model = f12.vulkanMemoryModel;
    traits->sizes_vary = size_control && size.minSubgroupSize != size.maxSubgroupSize;
    traits->matrix2_lacks = !matrix2.cooperativeMatrixWorkgroupScope       ? "workgroup scope"
                            : !matrix2.cooperativeMatrixFlexibleDimensions ? "flexible dimensions"
                            : !matrix2.cooperativeMatrixTensorAddressing   ? "tensor addressing"
                            : !matrix2.cooperativeMatrixPerElementOperations
                                ? "operations for each element"
                            : !maintenance4.maintenance4 ? "sizes of workgroups by constants"
                                                         : NULL;
    vulkan_choose(info, traits);

    if (!find_queue(n, p, traits))
        snprintf(info->reason, sizeof info->reason, "it cannot compute, only draw or copy");
    else if (l->maxPerStageDescriptorStorageBuffers < TSR_CALL_TENSORS ||
             l->maxComputeWorkGroupInvocations < 128 || l->maxStorageBufferRange < 1u << 27)
        snprintf(
            info->reason, sizeof info->reason,
            "its limits are too small: 8 buffers of 128 MiB and groups of 128 threads are needed");
    else
        traits->openable = info->usable = true;
}

tsr_status tsr_vulkan_list(tsr_context *ctx, tsr_device_entry **list, int *count, bool quick) {
    *list = NULL;
    *count = 0;
    vulkan_instance *instance = NULL;
    VkPhysicalDevice *physical = NULL;
    uint32_t n = 0;
    tsr_status status = vulkan_instance_open(ctx, false, &instance);
    if (!status && instance) status = vulkan_physical_devices(ctx, instance, &physical, &n);
    if (!status && n && !(*list = tsr_alloc(ctx, n, sizeof **list, "vulkan devices")))
        status = TSR_ERROR_MEMORY;
    for (uint32_t i = 0; i < n && !status; ++i) {
        vulkan_traits traits;
        tsr_device_entry *e = &(*list)[i];
        vulkan_describe(instance, physical[i], (int)i, &e->info, &traits, &e->rank);
    }
    free(physical);
    vulkan_instance_close(&instance);
    if (status) {
        free(*list);
        *list = NULL;
        return status;
    }
    *count = (int)n;
    for (uint32_t i = 0; i < n && !quick; ++i) {
        tsr_device_info *info = &(*list)[i].info;
        if (info->usable) vulkan_try_canaries(ctx, info);
        if (info->usable && info->software)
            snprintf(info->reason, sizeof info->reason,
                     "it is a CPU in disguise, far slower than cpu: taken only when it is named");
    }
    return TSR_OK;
}
