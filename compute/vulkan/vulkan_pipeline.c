/* SPDX-License-Identifier: MIT */
/* vulkan_pipeline.c: one descriptor layout for each number of bindings, modules when first used,
 * and a list of pipelines looked up by shader and specialisation constants (only while recording).
 * Those of a recording are compiled on all threads before it is written. */
#include "vulkan_builder.h"
#include "vulkan_shaders.h"

#include "../clock.h"

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

static uint32_t subgroup_of(const vulkan_device *v, const tsr_gpu_dispatch *d) {
    return d->subgroup ? d->subgroup : v->caps.subgroup_size;
}

static bool matches(const vulkan_device *v, const vulkan_pipeline *p, int shader,
                    const tsr_gpu_dispatch *d) {
    return p->shader == shader && p->spec_count == d->spec_count &&
           p->bind_count == d->bind_count && p->full_subgroups == d->full_subgroups &&
           p->subgroup == subgroup_of(v, d) &&
           !memcmp(p->spec, d->spec, (size_t)d->spec_count * sizeof *d->spec);
}

/* Compiles a pipeline; called by several threads at once, each with its own. */
static VkResult compile(const vulkan_device *v, vulkan_pipeline *p) {
    VkSpecializationMapEntry entries[16];
    for (uint32_t i = 0; i < 16; ++i)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo spec = {(uint32_t)p->spec_count, entries, (size_t)p->spec_count * 4,
                                 p->spec};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = p->subgroup};
    const tsr_device_info *info = &v->device->info;
    VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .layout = v->layout[p->bind_count],
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = info->subgroup_size_control ? &size : NULL,
                  .flags = p->full_subgroups && v->traits.full_subgroups
                               ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                               : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = v->modules[p->shader],
                  .pName = "main",
                  .pSpecializationInfo = &spec}};
    VkResult result =
        v->vk.vkCreateComputePipelines(v->handle, v->cache, 1, &create, NULL, &p->handle);
    if (result) p->handle = VK_NULL_HANDLE;
    return result;
}

static tsr_status make_module(vulkan_device *v, int shader) {
    if (v->modules[shader]) return TSR_OK;
    VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = tsr_shaders[shader].count * 4u,
                                     .pCode = tsr_shaders[shader].words};
    VkResult result = v->vk.vkCreateShaderModule(v->handle, &info, NULL, &v->modules[shader]);
    if (!result) return TSR_OK;
    v->modules[shader] = VK_NULL_HANDLE;
    return vulkan_fail(v, result, tsr_shaders[shader].name);
}

/* The pipeline of a dispatch, or -1. */
static int find(const vulkan_device *v, int shader, const tsr_gpu_dispatch *d) {
    for (int i = 0; i < v->pipeline_count; ++i)
        if (matches(v, &v->pipelines[i], shader, d)) return i;
    return -1;
}

/* Puts a dispatch's pipeline on the list, not compiled yet, unless it is there. */
static tsr_status add(vulkan_device *v, const tsr_gpu_dispatch *d) {
    tsr_context *ctx = v->device->ctx;
    const int shader = vulkan_shader_find(d->variant);
    if (shader < 0)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "device %s: shader %s is not built in",
                        v->device->name, d->variant);
    if (find(v, shader, d) >= 0) return TSR_OK;
    tsr_status status = make_module(v, shader);
    if (status) return status;
    void *list = vulkan_grown(ctx, v->pipelines, v->pipeline_count, &v->pipeline_capacity,
                              sizeof *v->pipelines);
    if (!list) return TSR_ERROR_MEMORY;
    v->pipelines = list;
    vulkan_pipeline *p = &v->pipelines[v->pipeline_count++];
    *p = (vulkan_pipeline){.shader = shader,
                           .spec_count = d->spec_count,
                           .bind_count = d->bind_count,
                           .full_subgroups = d->full_subgroups,
                           .subgroup = subgroup_of(v, d)};
    memcpy(p->spec, d->spec, (size_t)d->spec_count * sizeof *d->spec);
    return TSR_OK;
}

typedef struct compilation {
    vulkan_device *v;
    vulkan_pipeline *first;
    VkResult *results;
} compilation;

static void compile_one(void *arg, int64_t tile, int worker) {
    compilation *c = arg;
    (void)worker;
    c->results[tile] = compile(c->v, &c->first[tile]);
}

/* Compiles the pipelines from number `before` on; those that fail leave the list. */
static tsr_status compile_from(vulkan_device *v, int before) {
    tsr_context *ctx = v->device->ctx;
    const int fresh = v->pipeline_count - before;
    const double began = tsr_seconds();
    if (!fresh) return TSR_OK;
    compilation c = {.v = v, .first = &v->pipelines[before]};
    c.results = tsr_alloc(ctx, (size_t)fresh, sizeof *c.results, "pipelines");
    tsr_status status = c.results ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) tsr_parallel(ctx, fresh, compile_one, &c);
    v->pipeline_count = before;
    for (int i = 0; i < fresh && c.results; ++i) {
        const vulkan_pipeline p = c.first[i];
        if (p.handle) v->pipelines[v->pipeline_count++] = p;
        if (c.results[i] && !status)
            status = vulkan_fail(v, c.results[i], tsr_shaders[p.shader].name);
    }
    free(c.results);
    v->kept.compiled += fresh;
    tsr_log(ctx, TSR_LOG_DEBUG, "device %s: %d pipelines in %.3f s", v->device->name, fresh,
            tsr_seconds() - began);
    return status;
}

tsr_status vulkan_pipelines_make(vulkan_builder *b) {
    vulkan_device *v = b->v;
    const int before = v->pipeline_count;
    tsr_status status = TSR_OK;
    for (int i = 0; i < b->step_count && !status; ++i)
        for (int k = 0; k < b->steps[i].dispatch_count && !status; ++k)
            status = add(v, &b->steps[i].dispatches[k]);
    if (!status) return compile_from(v, before);
    v->pipeline_count = before; /* none of these has a handle yet */
    return status;
}

VkPipeline vulkan_pipeline_of(const vulkan_device *v, const tsr_gpu_dispatch *d) {
    const int i = find(v, vulkan_shader_find(d->variant), d);
    return i < 0 ? VK_NULL_HANDLE : v->pipelines[i].handle;
}
