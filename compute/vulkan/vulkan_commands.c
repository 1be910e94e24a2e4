/* SPDX-License-Identifier: MIT */
/* vulkan_commands.c: the command buffers of a recording: inputs in, dispatches, outputs out. A new
 * one begins when the work in the last is enough for a submission; barriers reach across, as a
 * queue's submissions are ordered like commands.
 *
 * Barriers: the bytes each dispatch reads and writes are remembered; when the next one reads what
 * was written, or writes what was touched, a barrier goes between and the memory starts anew. It
 * works on places, not on tensors, so reuse of the arena is covered by the same rule. */
#include "vulkan_builder.h"

#include <stdlib.h>
#include <string.h>

static void barrier(vulkan_builder *b, VkCommandBuffer c, VkPipelineStageFlags from,
                    VkAccessFlags written, VkPipelineStageFlags to, VkAccessFlags next) {
    VkMemoryBarrier m = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = written, .dstAccessMask = next};
    b->v->vk.vkCmdPipelineBarrier(c, from, to, 0, 1, &m, 0, NULL, 0, NULL);
    b->range_count = 0;
    ++b->barrier_count;
}

static void barrier_between_ops(vulkan_builder *b, VkCommandBuffer c) {
    barrier(b, c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

/* Where a tensor's bytes are. */
static void locate(const vulkan_builder *b, const tsr_tensor *t, bool half, VkBuffer *buffer,
                   size_t *offset) {
    const vulkan_node *n = &b->nodes[t->node];
    size_t inside = (size_t)t->offset * tsr_dtype_bytes(t->dtype);
    if (n->kind == VULKAN_NODE_WEIGHT) {
        const vulkan_weight *w = &b->v->weights[n->form[half].resident];
        *buffer = b->v->blocks[w->block].buffer.buffer;
        *offset = (size_t)w->offset + inside;
    } else {
        *buffer = b->v->chunks[n->place.chunk].buffer;
        *offset = n->place.offset + inside;
    }
}

static bool conflicts(const vulkan_builder *b, const vulkan_range *r) {
    for (int i = 0; i < b->range_count; ++i) {
        const vulkan_range *o = &b->ranges[i];
        if ((o->write || r->write) && o->chunk == r->chunk && o->start < r->end &&
            r->start < o->end)
            return true;
    }
    return false;
}

static tsr_status remember(vulkan_builder *b, const vulkan_range *r) {
    if (b->range_count == b->range_capacity) {
        int capacity = b->range_capacity ? b->range_capacity * 2 : 64;
        vulkan_range *list = realloc(b->ranges, (size_t)capacity * sizeof *list);
        if (!list) return tsr_fail(b->v->device->ctx, TSR_ERROR_MEMORY, "recording: no memory");
        b->ranges = list;
        b->range_capacity = capacity;
    }
    b->ranges[b->range_count++] = *r;
    return TSR_OK;
}

/* The arena bytes a dispatch touches; an output counts as written whether or not it is read too. */
static int ranges_of(const vulkan_builder *b, const vulkan_step *s, const tsr_gpu_dispatch *d,
                     vulkan_range *list) {
    int count = 0;
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        if (!t || b->nodes[t->node].kind == VULKAN_NODE_WEIGHT) continue;
        const vulkan_node *n = &b->nodes[t->node];
        list[count++] = (vulkan_range){n->place.chunk, n->place.offset,
                                       n->place.offset + vulkan_round(n->bytes, 16),
                                       d->bind[i] >= TSR_CALL_TENSORS};
    }
    return count;
}

static tsr_status bind(vulkan_builder *b, const vulkan_recording *r, const vulkan_step *s,
                       const tsr_gpu_dispatch *d, VkCommandBuffer c, VkDescriptorSet set) {
    vulkan_device *v = b->v;
    VkDescriptorBufferInfo info[TSR_CALL_TENSORS];
    VkWriteDescriptorSet write[TSR_CALL_TENSORS];
    uint32_t push[32];
    size_t align = v->traits.storage_alignment ? (size_t)v->traits.storage_alignment : 1;
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        VkBuffer buffer = r->tables.buffer;
        size_t offset = s->table_at, bytes = s->call.table_bytes;
        if (t) {
            bool half = d->bind[i] == TSR_BIND_HALF;
            locate(b, t, half, &buffer, &offset);
            bytes = half ? vulkan_form_bytes(&b->nodes[t->node], true)
                         : (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
        }
        size_t start = offset / align * align, rest = offset - start, more = 0;
        if (b->fenced && t && b->nodes[t->node].kind != VULKAN_NODE_WEIGHT) {
            /* Bind the fences too: drivers that check bounds would hide a write into them. */
            start -= VULKAN_BAND;
            rest += VULKAN_BAND;
            more = VULKAN_BAND;
        }
        if (rest % 16)
            return tsr_fail(v->device->ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: binding %d: wanted a start at 16 bytes, got %zu", s->call.op->name,
                            i, offset);
        push[i] = (uint32_t)(rest / 4);
        info[i] = (VkDescriptorBufferInfo){buffer, start, rest + vulkan_round(bytes, 16) + more};
        write[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                          .dstSet = set,
                                          .dstBinding = (uint32_t)i,
                                          .descriptorCount = 1,
                                          .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                          .pBufferInfo = &info[i]};
    }
    v->vk.vkUpdateDescriptorSets(v->handle, (uint32_t)d->bind_count, write, 0, NULL);
    VkPipelineLayout layout = v->layout[d->bind_count];
    v->vk.vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
    uint32_t bytes = 4u * (uint32_t)d->bind_count;
    memcpy(push + d->bind_count, d->push, d->push_bytes);
    v->vk.vkCmdPushConstants(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             (uint32_t)vulkan_round(bytes + d->push_bytes, 4), push);
    return TSR_OK;
}

static tsr_status record_step(vulkan_builder *b, vulkan_recording *r, const vulkan_step *s,
                              VkCommandBuffer c) {
    vulkan_device *v = b->v;
    for (int i = 0; i < s->dispatch_count; ++i) {
        const tsr_gpu_dispatch *d = &s->dispatches[i];
        const VkPipeline pipeline = vulkan_pipeline_of(v, d);
        tsr_status status = TSR_OK;
        vulkan_range ranges[TSR_CALL_TENSORS];
        int count = ranges_of(b, s, d, ranges);
        bool wait = i > 0;
        for (int k = 0; k < count && !wait; ++k)
            wait = conflicts(b, &ranges[k]);
        if (wait) barrier_between_ops(b, c);
        for (int k = 0; k < count && !status; ++k)
            status = remember(b, &ranges[k]);
        VkDescriptorSetAllocateInfo allocate = {.sType =
                                                    VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                                .descriptorPool = r->descriptors,
                                                .descriptorSetCount = 1,
                                                .pSetLayouts = &v->set_layout[d->bind_count]};
        VkDescriptorSet set = VK_NULL_HANDLE;
        VkResult result = VK_SUCCESS;
        if (!status) result = v->vk.vkAllocateDescriptorSets(v->handle, &allocate, &set);
        if (result) return vulkan_fail(v, result, "descriptors");
        if (!status) status = bind(b, r, s, d, c, set);
        if (status) return status;
        v->vk.vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        v->vk.vkCmdDispatch(c, d->groups[0], d->groups[1], d->groups[2]);
    }
    return TSR_OK;
}

/* Guard: the whole arena becomes 0xFF (NaN, -1), and each activation gets a fence on both ends. */
static void record_fences(vulkan_builder *b, VkCommandBuffer c) {
    const struct VolkDeviceTable *vk = &b->v->vk;
    for (int i = 0; i < b->chunk_count; ++i)
        vk->vkCmdFillBuffer(c, b->v->chunks[i].buffer, 0, b->chunk_sizes[i], 0xFFFFFFFFu);
    barrier(b, c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
    for (int i = 0; i < b->node_count; ++i) {
        const vulkan_node *n = &b->nodes[i];
        if (n->kind == VULKAN_NODE_WEIGHT || n->first < 0) continue;
        VkBuffer buffer = b->v->chunks[n->place.chunk].buffer;
        vk->vkCmdFillBuffer(c, buffer, n->place.offset - VULKAN_BAND, VULKAN_BAND,
                            VULKAN_BAND_WORD);
        vk->vkCmdFillBuffer(c, buffer, n->place.offset + vulkan_round(n->bytes, 16), VULKAN_BAND,
                            VULKAN_BAND_WORD);
    }
}

static void fetch_fences(vulkan_builder *b, const vulkan_recording *r, VkCommandBuffer c) {
    size_t at = r->bands_at;
    for (int i = 0; i < b->node_count; ++i) {
        const vulkan_node *n = &b->nodes[i];
        if (n->kind == VULKAN_NODE_WEIGHT || n->first < 0) continue;
        VkBufferCopy before = {n->place.offset - VULKAN_BAND, at, VULKAN_BAND};
        VkBufferCopy behind = {n->place.offset + vulkan_round(n->bytes, 16), at + VULKAN_BAND,
                               VULKAN_BAND};
        VkBufferCopy both[] = {before, behind};
        b->v->vk.vkCmdCopyBuffer(c, b->v->chunks[n->place.chunk].buffer,
                                 b->v->slot[r->slot].staging.buffer, 2, both);
        at += 2 * VULKAN_BAND;
    }
}

/* Ends the command buffer that is being recorded, if any. */
static tsr_status end_buffer(vulkan_device *v, const vulkan_recording *r) {
    const VkResult result =
        r->command_count ? v->vk.vkEndCommandBuffer(r->commands[r->command_count - 1]) : VK_SUCCESS;
    return result ? vulkan_fail(v, result, "command buffer") : TSR_OK;
}

static tsr_status next_buffer(vulkan_device *v, vulkan_recording *r, VkCommandBuffer *c) {
    tsr_status status = end_buffer(v, r);
    if (status) return status;
    VkCommandBuffer *list = vulkan_grown(v->device->ctx, r->commands, r->command_count,
                                         &r->command_capacity, sizeof *list);
    if (!list) return TSR_ERROR_MEMORY;
    r->commands = list;
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = v->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    VkResult result = v->vk.vkAllocateCommandBuffers(v->handle, &allocate, c);
    if (result) return vulkan_fail(v, result, "command buffer");
    r->commands[r->command_count++] = *c;
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    result = v->vk.vkBeginCommandBuffer(*c, &begin);
    return result ? vulkan_fail(v, result, "command buffer") : TSR_OK;
}

static double work_of(const tsr_call *call) {
    return call->op->work ? call->op->work(call) : (double)tsr_elements(call->out[0]);
}

static tsr_status record_all(vulkan_builder *b, vulkan_recording *r) {
    vulkan_device *v = b->v;
    const double most = v->device->settings.submission > 0 ? v->device->settings.submission
                                                           : (double)((uint64_t)1 << 34);
    double done = 0;
    VkCommandBuffer c = VK_NULL_HANDLE;
    tsr_status status = next_buffer(v, r, &c);
    if (status) return status;
    const VkBuffer staging = v->slot[r->slot].staging.buffer;
    VkBuffer buffer;
    size_t offset;
    if (v->stamps) {
        v->vk.vkCmdResetQueryPool(c, v->stamps, 2u * (uint32_t)r->slot, 2);
        v->vk.vkCmdWriteTimestamp(c, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, v->stamps,
                                  2u * (uint32_t)r->slot);
    }
    /* The program before this one may still be in flight, in the same arena. */
    barrier(b, c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    if (b->fenced) record_fences(b, c);
    for (int i = 0; i < r->in_count; ++i) {
        locate(b, &r->in[i], false, &buffer, &offset);
        VkBufferCopy copy = {r->in_at[i], offset, b->nodes[r->in[i].node].bytes};
        v->vk.vkCmdCopyBuffer(c, staging, buffer, 1, &copy);
    }
    if (r->in_count || b->fenced)
        barrier(b, c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    for (int i = 0; i < b->step_count; ++i) {
        const double work = work_of(&b->steps[i].call);
        if (done > 0 && done + work > most) {
            status = next_buffer(v, r, &c);
            done = 0;
        }
        if (!status) status = record_step(b, r, &b->steps[i], c);
        if (status) return status;
        done += work;
    }
    barrier(b, c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    for (int i = 0; i < r->out_count; ++i) {
        if (!(r->wanted >> i & 1)) continue;
        locate(b, &r->made[i], false, &buffer, &offset);
        VkBufferCopy copy = {offset, r->out_at[i],
                             (size_t)tsr_elements(&r->made[i]) * tsr_dtype_bytes(r->made[i].dtype)};
        v->vk.vkCmdCopyBuffer(c, buffer, staging, 1, &copy);
    }
    if (b->fenced) fetch_fences(b, r, c);
    barrier(b, c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    if (v->stamps)
        v->vk.vkCmdWriteTimestamp(c, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, v->stamps,
                                  2u * (uint32_t)r->slot + 1);
    return end_buffer(v, r);
}

tsr_status vulkan_record_commands(vulkan_builder *b, vulkan_recording *r) {
    vulkan_device *v = b->v;
    VkResult result;
    if (b->dispatch_count) {
        VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, (uint32_t)b->binding_count};
        VkDescriptorPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                           .maxSets = (uint32_t)b->dispatch_count,
                                           .poolSizeCount = 1,
                                           .pPoolSizes = &size};
        result = v->vk.vkCreateDescriptorPool(v->handle, &pool, NULL, &r->descriptors);
        if (result) return vulkan_fail(v, result, "descriptor pool");
    }
    return record_all(b, r);
}
