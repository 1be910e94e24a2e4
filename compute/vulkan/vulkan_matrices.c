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

static bool wants_fast(const tsr_device *d) {
    return d->settings.precision == TSR_PRECISION_FAST && !tsr_device_masked(d, "fp16");
}

static bool wanted(const tsr_device *d) {
    return (wants_fast(d) || tsr_device_masked(d, TSR_MASK_PAIRS)) && d->settings.try_matrices &&
           !tsr_device_masked(d, "subgroup") && !tsr_device_masked(d, "coopmat") &&
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

/* The kinds of products on matrices: what is tried of each, and how it is called. */
static const struct trial {
    uint32_t passed;
    const char *what, *variants[3]; /* those not masked were tried */
} trials[] = {[TSR_TRIAL_SUBGROUPS] = {VULKAN_PASSED_MATRICES,
                                       "its cooperative matrices",
                                       {"linear_coopmat", "conv2d_coopmat", "coopmat"}},
              [TSR_TRIAL_WORKGROUPS] = {VULKAN_PASSED_WORKGROUP_MATRICES,
                                        "its cooperative matrices of workgroups",
                                        {"linear_coopmat2", "conv2d_coopmat2", "f16_activations"}},
              [TSR_TRIAL_PAIRS] = {VULKAN_PASSED_PAIRS,
                                   "products in f32 from pairs of f16 on its cooperative matrices",
                                   {"linear_coopmat_pairs", "conv2d_coopmat_pairs", "coopmat"}}};

/* Puts off what did not compute right, and what stands on it. */
static void give_up(tsr_gpu_caps *caps, tsr_matrix_trial kind) {
    if (kind == TSR_TRIAL_SUBGROUPS) memset(caps->matrix, 0, sizeof caps->matrix);
    if (kind != TSR_TRIAL_PAIRS) memset(caps->workgroup_matrix, 0, sizeof caps->workgroup_matrix);
    if (kind != TSR_TRIAL_WORKGROUPS) caps->pairs = false;
}

static tsr_status try_forms(vulkan_device *v, tsr_matrix_trial kind) {
    tsr_device *d = v->device;
    tsr_gpu_caps *caps = &v->caps;
    const struct trial *t = &trials[kind];
    /* What was tried with the same shaders and driver need not be tried at every start. */
    if (vulkan_cache_passed(v, t->passed) && !d->settings.validation) {
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %s, which passed before", d->name, t->what);
        return TSR_OK;
    }
    const tsr_gpu_caps kept = *caps;
    caps->fp16 = kind != TSR_TRIAL_PAIRS;
    if (kind != TSR_TRIAL_WORKGROUPS) { /* those of subgroups, and nothing else */
        caps->allowed = matrices_alone;
        memset(caps->workgroup_matrix, 0, sizeof caps->workgroup_matrix);
    }
    const tsr_status status = d->settings.try_matrices(d, kind);
    *caps = kept;
    d->fast_used = false; /* nobody's product yet */
    d->peak = 0;
    if (d->lost) return tsr_fail(d->ctx, d->lost, "%s with coopmat masked", d->lost_detail);
    const bool fits = status != TSR_ERROR_UNSUPPORTED;
    if (status && fits && d->settings.validation) return status;
    if (status) {
        give_up(caps, kind);
        tsr_log(d->ctx, fits ? TSR_LOG_WARNING : TSR_LOG_INFO,
                "device %s (%s): %s are not used: %s", d->name, d->info.name, t->what,
                tsr_detail(d->ctx));
        return TSR_OK;
    }
    bool all = true;
    for (size_t i = 0; i < sizeof t->variants / sizeof *t->variants; ++i)
        all &= !tsr_device_masked(d, t->variants[i]);
    if (all) vulkan_cache_pass(v, t->passed);
    tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %s, %u x %u x %u, subgroups of %u", d->name, t->what,
            caps->matrix[0], caps->matrix[1], caps->matrix[2], caps->matrix_subgroup);
    return TSR_OK;
}

tsr_status vulkan_matrices_try(vulkan_device *v) {
    tsr_device *d = v->device;
    const tsr_gpu_caps *caps = &v->caps;
    if (!v->traits.matrix[0]) {
        if (tsr_device_masked(d, TSR_MASK_PAIRS))
            tsr_log(
                d->ctx, TSR_LOG_WARNING,
                "device %s (%s): %s: there are no cooperative matrices for it, products stay f32",
                d->name, d->info.name, TSR_MASK_PAIRS);
        return TSR_OK;
    }
    tsr_status status = caps->fp16 ? try_forms(v, TSR_TRIAL_SUBGROUPS) : TSR_OK;
    if (!status && caps->fp16 && (caps->workgroup_matrix[0][0] || caps->workgroup_matrix[1][0]))
        status = try_forms(v, TSR_TRIAL_WORKGROUPS);
    if (!status && caps->pairs) status = try_forms(v, TSR_TRIAL_PAIRS);
    return status;
}
