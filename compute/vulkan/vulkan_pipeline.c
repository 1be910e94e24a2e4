/* SPDX-License-Identifier: MIT */
/* vulkan_pipeline.c: one descriptor layout for each number of bindings, modules when first used,
 * and a list of pipelines looked up by shader and specialisation constants (only while recording).
 */
#include "vulkan_internal.h"
#include "vulkan_shaders.h"

#include <stdlib.h>
#include <string.h>

enum { PUSH_BYTES = 128 }; /* what every device has */

int vulkan_shader_find(const char *name) {
    for (int i = 0; i < tsr_shader_count; ++i)
        if (!strcmp(tsr_shaders[i].name, name)) return i;
    return -1;
}

tsr_status vulkan_layouts_open(vulkan_device *v) {
    VkDescriptorSetLayoutBinding bindings[TSR_CALL_TENSORS];
    for (uint32_t i = 0; i < TSR_CALL_TENSORS; ++i)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = PUSH_BYTES};
    for (uint32_t i = 1; i <= TSR_CALL_TENSORS; ++i) {
        VkDescriptorSetLayoutCreateInfo set = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
            .bindingCount = i,
            .pBindings = bindings};
        VkResult result =
            v->vk.vkCreateDescriptorSetLayout(v->handle, &set, NULL, &v->set_layout[i]);
        if (result) return vulkan_fail(v, result, "descriptor layout");
        VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .setLayoutCount = 1,
                                             .pSetLayouts = &v->set_layout[i],
                                             .pushConstantRangeCount = 1,
                                             .pPushConstantRanges = &push};
        result = v->vk.vkCreatePipelineLayout(v->handle, &layout, NULL, &v->layout[i]);
        if (result) return vulkan_fail(v, result, "pipeline layout");
    }
    v->modules = tsr_alloc(v->device->ctx, (size_t)tsr_shader_count, sizeof *v->modules, "shaders");
    return v->modules ? TSR_OK : TSR_ERROR_MEMORY;
}

static bool matches(const vulkan_pipeline *p, int shader, const tsr_gpu_dispatch *d) {
    return p->shader == shader && p->spec_count == d->spec_count &&
           p->bind_count == d->bind_count && p->full_subgroups == d->full_subgroups &&
           p->subgroup_size == d->subgroup_size && p->based == (d->pieces > 1) &&
           !memcmp(p->spec, d->spec, (size_t)d->spec_count * sizeof *d->spec);
}

static tsr_status compile(vulkan_device *v, const tsr_gpu_dispatch *d, vulkan_pipeline *p) {
    if (!v->modules[p->shader]) {
        VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                         .codeSize = tsr_shaders[p->shader].count * 4u,
                                         .pCode = tsr_shaders[p->shader].words};
        VkResult result =
            v->vk.vkCreateShaderModule(v->handle, &info, NULL, &v->modules[p->shader]);
        if (result) {
            v->modules[p->shader] = VK_NULL_HANDLE;
            return vulkan_fail(v, result, d->variant);
        }
    }
    VkSpecializationMapEntry entries[16];
    for (uint32_t i = 0; i < 16; ++i)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo spec = {(uint32_t)d->spec_count, entries, (size_t)d->spec_count * 4,
                                 d->spec};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = d->subgroup_size ? d->subgroup_size : v->caps.subgroup_size};
    const tsr_device_info *info = &v->device->info;
    VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = p->based ? VK_PIPELINE_CREATE_DISPATCH_BASE_BIT : 0,
        .layout = v->layout[d->bind_count],
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = info->subgroup_size_control ? &size : NULL,
                  .flags = d->full_subgroups && v->traits.full_subgroups
                               ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                               : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = v->modules[p->shader],
                  .pName = "main",
                  .pSpecializationInfo = &spec}};
    VkResult result =
        v->vk.vkCreateComputePipelines(v->handle, v->cache, 1, &create, NULL, &p->handle);
    return result ? vulkan_fail(v, result, d->variant) : TSR_OK;
}

tsr_status vulkan_pipeline_get(vulkan_device *v, const tsr_gpu_dispatch *d, VkPipeline *pipeline) {
    tsr_context *ctx = v->device->ctx;
    int shader = vulkan_shader_find(d->variant);
    if (shader < 0)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "device %s: shader %s is not built in",
                        v->device->name, d->variant);
    for (int i = 0; i < v->pipeline_count; ++i)
        if (matches(&v->pipelines[i], shader, d)) {
            *pipeline = v->pipelines[i].handle;
            return TSR_OK;
        }
    if (v->pipeline_count == v->pipeline_capacity) {
        int capacity = v->pipeline_capacity ? v->pipeline_capacity * 2 : 32;
        vulkan_pipeline *list = realloc(v->pipelines, (size_t)capacity * sizeof *list);
        if (!list)
            return tsr_fail(ctx, TSR_ERROR_MEMORY, "device %s: no memory for pipelines",
                            v->device->name);
        v->pipelines = list;
        v->pipeline_capacity = capacity;
    }
    vulkan_pipeline *p = &v->pipelines[v->pipeline_count];
    *p = (vulkan_pipeline){.shader = shader,
                           .spec_count = d->spec_count,
                           .bind_count = d->bind_count,
                           .full_subgroups = d->full_subgroups,
                           .subgroup_size = d->subgroup_size,
                           .based = d->pieces > 1};
    memcpy(p->spec, d->spec, (size_t)d->spec_count * sizeof *d->spec);
    tsr_status status = compile(v, d, p);
    if (status) return status;
    ++v->pipeline_count;
    *pipeline = p->handle;
    return TSR_OK;
}
