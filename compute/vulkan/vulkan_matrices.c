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
}

static bool matrices_alone(const void *device, const char *variant) {
    return strstr(variant, "_coopmat") && !tsr_device_masked(device, variant);
}

/* Tries the forms from pairs, or all others, and puts them off where one is wrong. */
static tsr_status try_forms(vulkan_device *v, bool pairs) {
    tsr_device *d = v->device;
    tsr_gpu_caps *caps = &v->caps;
    const uint32_t passed = pairs ? VULKAN_PASSED_PAIRS : VULKAN_PASSED_MATRICES;
    const char *what = pairs ? "products in f32 from pairs of f16 on its cooperative matrices"
                             : "its cooperative matrices";
    /* What was tried with the same shaders and driver need not be tried at every start. */
    if (vulkan_cache_passed(v, passed) && !d->settings.validation) {
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %s, which passed before", d->name, what);
        return TSR_OK;
    }
    const tsr_gpu_caps kept = *caps;
    caps->allowed = matrices_alone;
    caps->fp16 = !pairs;
    tsr_status status = d->settings.try_matrices(d, pairs);
    *caps = kept;
    d->fast_used = false; /* nobody's product yet */
    d->peak = 0;
    if (d->lost) return tsr_fail(d->ctx, d->lost, "%s with coopmat masked", d->lost_detail);
    const bool fits = status != TSR_ERROR_UNSUPPORTED;
    if (status && fits && d->settings.validation) return status;
    if (status && pairs) caps->pairs = false;
    if (status && !pairs) memset(caps->matrix, 0, sizeof caps->matrix), caps->pairs = false;
    const char *linear = pairs ? "linear_coopmat_pairs" : "linear_coopmat";
    const char *conv = pairs ? "conv2d_coopmat_pairs" : "conv2d_coopmat";
    if (!status && !tsr_device_masked(d, linear) &&
        !tsr_device_masked(d, conv)) /* a masked one was not tried */
        vulkan_cache_pass(v, passed);
    if (status)
        tsr_log(d->ctx, fits ? TSR_LOG_WARNING : TSR_LOG_INFO,
                "device %s (%s): %s are not used: %s", d->name, d->info.name, what,
                tsr_detail(d->ctx));
    else
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %s, %u x %u x %u, subgroups of %u", d->name, what,
                caps->matrix[0], caps->matrix[1], caps->matrix[2], caps->matrix_subgroup);
    return TSR_OK;
}

tsr_status vulkan_matrices_try(vulkan_device *v) {
    tsr_device *d = v->device;
    if (!v->traits.matrix[0]) {
        if (tsr_device_masked(d, TSR_MASK_PAIRS))
            tsr_log(
                d->ctx, TSR_LOG_WARNING,
                "device %s (%s): %s: there are no cooperative matrices for it, products stay f32",
                d->name, d->info.name, TSR_MASK_PAIRS);
        return TSR_OK;
    }
    const bool fast = v->caps.fp16;
    tsr_status status = fast ? try_forms(v, false) : TSR_OK;
    if (v->caps.pairs && !status) status = try_forms(v, true);
    return status;
}
