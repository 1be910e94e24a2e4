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

static bool wanted(const tsr_device *d) {
    return d->settings.precision == TSR_PRECISION_FAST && d->settings.try_matrices &&
           !tsr_device_masked(d, "fp16") && !tsr_device_masked(d, "subgroup") &&
           !tsr_device_masked(d, "coopmat") &&
           (!d->info.software || d->mask); /* there only where better bodies are masked */
}

void vulkan_matrices_find(vulkan_device *v) {
    const tsr_device_info *info = &v->device->info;
    const vulkan_traits *t = &v->traits;
    if (!wanted(v->device) || !info->cooperative_matrix || !info->fp16 || !t->memory_model ||
        !t->full_subgroups || !t->subgroup_ops)
        return;
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

tsr_status vulkan_matrices_try(vulkan_device *v) {
    tsr_device *d = v->device;
    tsr_gpu_caps *caps = &v->caps;
    const uint32_t *shape = v->traits.matrix;
    if (!shape[0]) return TSR_OK;
    bool (*allowed)(const void *, const char *) = caps->allowed;
    caps->allowed = matrices_alone;
    tsr_status status = d->settings.try_matrices(d);
    caps->allowed = allowed;
    d->fast_used = false; /* nobody's product yet */
    d->peak = 0;
    if (d->lost) return tsr_fail(d->ctx, d->lost, "%s with coopmat masked", d->lost_detail);
    const bool fits = status != TSR_ERROR_UNSUPPORTED;
    if (status && fits && d->settings.validation) return status;
    if (status) memset(caps->matrix, 0, sizeof caps->matrix);
    if (status)
        tsr_log(d->ctx, fits ? TSR_LOG_WARNING : TSR_LOG_INFO,
                "device %s (%s): its cooperative matrices are not used: %s", d->name, d->info.name,
                tsr_detail(d->ctx));
    else
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: cooperative matrices of %u x %u x %u", d->name,
                shape[0], shape[1], shape[2]);
    return TSR_OK;
}
