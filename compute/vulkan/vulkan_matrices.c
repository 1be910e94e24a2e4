/* SPDX-License-Identifier: MIT */
/* vulkan_matrices.c: cooperative matrices, a GPU's matrix units: which shape a device has, and
 * whether it computes right on them. Only a device that products may go to is asked: some drivers
 * crash when they are, others advertise what they cannot compile or compute wrongly. */
#include "vulkan_internal.h"

#include <string.h>

/* The shape of matrices f16 x f16 -> f32 that a subgroup multiplies; 16 x 16 x 16 where there is a
 * choice. The shape has to divide a subgroup's share of a tile, 32 x 32 x 32 at most
 * (ops/product_body.c asks the rest). */
static void read_shape(const vulkan_instance *n, VkPhysicalDevice p, uint32_t *shape) {
    enum { MOST = 64 };
    VkCooperativeMatrixPropertiesKHR list[MOST];
    uint32_t count = MOST;
    for (int i = 0; i < MOST; ++i)
        list[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    if (!n->GetPhysicalDeviceCooperativeMatrixPropertiesKHR ||
        n->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(p, &count, list) < VK_SUCCESS)
        return;
    for (uint32_t i = 0; i < count; ++i) {
        const VkCooperativeMatrixPropertiesKHR *m = &list[i];
        if (m->AType != VK_COMPONENT_TYPE_FLOAT16_KHR || m->BType != m->AType ||
            m->CType != VK_COMPONENT_TYPE_FLOAT32_KHR || m->ResultType != m->CType ||
            m->scope != VK_SCOPE_SUBGROUP_KHR || m->saturatingAccumulation || !m->MSize ||
            !m->NSize || !m->KSize || 32 % m->MSize || 32 % m->NSize || 32 % m->KSize)
            continue;
        bool best = m->MSize == 16 && m->NSize == 16 && m->KSize == 16;
        if (shape[0] && !best) continue;
        shape[0] = m->MSize, shape[1] = m->NSize, shape[2] = m->KSize;
        if (best) return;
    }
}

/* The matrices f16 x f16 -> f32 that a workgroup of 128, and of 256, invocations holds, as far as a
 * tile's results can be kept in f16, too. */
static void read_workgroup_shapes(const vulkan_instance *n, VkPhysicalDevice p,
                                  uint32_t (*shape)[3]) {
    enum { MOST = 64, LARGEST = 256 /* rows, columns, invocations (ops/product_body.c) */ };
    VkPhysicalDeviceCooperativeMatrix2PropertiesNV limits = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV};
    VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                      .pNext = &limits};
    n->GetPhysicalDeviceProperties2(p, &p2);
    if (limits.cooperativeMatrixFlexibleDimensionsMaxDimension < LARGEST ||
        limits.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize < LARGEST ||
        limits.cooperativeMatrixWorkgroupScopeReservedSharedMemory >
            p2.properties.limits.maxComputeSharedMemorySize)
        return;
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV list[MOST];
    uint32_t count = MOST;
    for (int i = 0; i < MOST; ++i)
        list[i] = (VkCooperativeMatrixFlexibleDimensionsPropertiesNV){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV};
    if (!n->GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV ||
        n->GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV(p, &count, list) <
            VK_SUCCESS)
        return;
    bool halves[2] = {false};
    for (uint32_t i = 0; i < count; ++i) {
        const VkCooperativeMatrixFlexibleDimensionsPropertiesNV *m = &list[i];
        const bool large = m->workgroupInvocations == 256;
        if (m->AType != VK_COMPONENT_TYPE_FLOAT16_KHR || m->BType != m->AType ||
            m->ResultType != m->CType || m->scope != VK_SCOPE_WORKGROUP_KHR ||
            m->saturatingAccumulation || (!large && m->workgroupInvocations != 128))
            continue;
        if (m->CType == VK_COMPONENT_TYPE_FLOAT16_KHR) halves[large] = true;
        if (m->CType != VK_COMPONENT_TYPE_FLOAT32_KHR) continue;
        shape[large][0] = m->MGranularity;
        shape[large][1] = m->NGranularity;
        shape[large][2] = m->KGranularity;
    }
    for (int large = 0; large < 2; ++large)
        if (!halves[large]) memset(shape[large], 0, sizeof shape[large]);
}

static bool wanted(const tsr_device *d) {
    return d->settings.precision == TSR_PRECISION_FAST && d->settings.try_matrices &&
           !tsr_device_masked(d, "fp16") && !tsr_device_masked(d, "subgroup") &&
           !tsr_device_masked(d, "coopmat") &&
           (!d->info.software || d->mask); /* there only where better bodies are masked */
}

void vulkan_matrices_find(vulkan_device *v) {
    const tsr_device_info *info = &v->device->info;
    const vulkan_traits *t = &v->traits;
    if (!wanted(v->device)) return;
    if (!info->matrix_subgroup || !t->full_subgroups) {
        if (info->cooperative_matrix)
            tsr_log(v->device->ctx, TSR_LOG_INFO, "device %s: its cooperative matrices are %s",
                    v->device->name, info->matrix_reason);
        return;
    }
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR matrices = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                      .pNext = &matrices};
    v->instance->GetPhysicalDeviceProperties2(v->physical, &p2);
    if (matrices.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT)
        read_shape(v->instance, v->physical, v->traits.matrix);
    if (v->traits.matrix[0] && t->matrix2 && !t->matrix2_lacks &&
        !tsr_device_masked(v->device, "coopmat2"))
        read_workgroup_shapes(v->instance, v->physical, v->traits.workgroup_matrix);
}

static bool matrices_alone(const void *device, const char *variant) {
    return strstr(variant, "_coopmat") && !tsr_device_masked(device, variant);
}

bool tsr_vulkan_workgroup_matrices(const tsr_device *d) {
    const vulkan_device *v = d->vulkan;
    return v && (v->caps.workgroup_matrix[0][0] || v->caps.workgroup_matrix[1][0]);
}

/* Runs one trial. *passed: its results were right; *fits: the device had a form for them. */
static tsr_status try_products(vulkan_device *v, bool *passed, bool *fits) {
    tsr_device *d = v->device;
    tsr_status status = d->settings.try_matrices(d);
    d->fast_used = false; /* nobody's product yet */
    d->peak = 0;
    *passed = !status;
    *fits = status != TSR_ERROR_UNSUPPORTED;
    if (d->lost) return tsr_fail(d->ctx, d->lost, "%s with coopmat masked", d->lost_detail);
    return status && *fits && d->settings.validation ? status : TSR_OK;
}

static tsr_status try_workgroups(vulkan_device *v) {
    tsr_device *d = v->device;
    tsr_gpu_caps *caps = &v->caps;
    if (!tsr_vulkan_workgroup_matrices(d)) return TSR_OK;
    const bool before = vulkan_cache_passed(v, VULKAN_PASSED_WORKGROUP_MATRICES);
    bool passed = true, fits = true;
    if (!before || d->settings.validation) {
        const tsr_status status = try_products(v, &passed, &fits);
        if (status) return status;
    }
    if (!passed) {
        memset(caps->workgroup_matrix, 0, sizeof caps->workgroup_matrix);
        tsr_log(d->ctx, fits ? TSR_LOG_WARNING : TSR_LOG_INFO,
                "device %s (%s): its matrices of workgroups are not used: %s", d->name,
                d->info.name, tsr_detail(d->ctx));
        return TSR_OK;
    }
    if (!tsr_device_masked(d, "linear_coopmat2") && !tsr_device_masked(d, "conv2d_coopmat2") &&
        !tsr_device_masked(d, "f16_activations")) /* a masked one was not tried */
        vulkan_cache_pass(v, VULKAN_PASSED_WORKGROUP_MATRICES);
    tsr_log(d->ctx, TSR_LOG_INFO, "device %s: cooperative matrices of workgroups%s", d->name,
            before ? ", which passed before" : "");
    return TSR_OK;
}

tsr_status vulkan_matrices_try(vulkan_device *v) {
    tsr_device *d = v->device;
    tsr_gpu_caps *caps = &v->caps;
    const uint32_t *shape = v->traits.matrix;
    if (!shape[0]) return TSR_OK;
    /* What was tried with the same shaders and driver need not be tried at every start. */
    if (vulkan_cache_passed(v, VULKAN_PASSED_MATRICES) && !d->settings.validation) {
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: cooperative matrices, which passed before",
                d->name);
        return try_workgroups(v);
    }
    bool (*allowed)(const void *, const char *) = caps->allowed;
    uint32_t workgroup_matrix[2][3];
    memcpy(workgroup_matrix, caps->workgroup_matrix, sizeof workgroup_matrix);
    memset(caps->workgroup_matrix, 0, sizeof caps->workgroup_matrix);
    caps->allowed = matrices_alone;
    bool passed, fits;
    const tsr_status status = try_products(v, &passed, &fits);
    caps->allowed = allowed;
    if (status) return status;
    if (!passed) {
        memset(caps->matrix, 0, sizeof caps->matrix);
        tsr_log(d->ctx, fits ? TSR_LOG_WARNING : TSR_LOG_INFO,
                "device %s (%s): its cooperative matrices are not used: %s", d->name, d->info.name,
                tsr_detail(d->ctx));
        return TSR_OK;
    }
    if (!tsr_device_masked(d, "linear_coopmat") &&
        !tsr_device_masked(d, "conv2d_coopmat")) /* a masked one was not tried */
        vulkan_cache_pass(v, VULKAN_PASSED_MATRICES);
    tsr_log(d->ctx, TSR_LOG_INFO,
            "device %s: cooperative matrices of %u x %u x %u, subgroups of %u", d->name, shape[0],
            shape[1], shape[2], caps->matrix_subgroup);
    memcpy(caps->workgroup_matrix, workgroup_matrix, sizeof workgroup_matrix);
    return try_workgroups(v);
}
