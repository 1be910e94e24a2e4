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
static void locate(const vulkan_builder *b, const tsr_tensor *t, vulkan_form form, VkBuffer *buffer,
                   size_t *offset) {
    const vulkan_node *n = &b->nodes[t->node];
    size_t inside = (size_t)t->offset * tsr_dtype_bytes(t->dtype);
    if (n->kind == VULKAN_NODE_WEIGHT) {
        const vulkan_weight *w = &b->v->weights[n->form[form].resident];
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

/* Writes the set of a dispatch, and the first words of its push constants: where each tensor
 * starts.
 */
static tsr_status write_set(vulkan_builder *b, const vulkan_recording *r, const vulkan_step *s,
                            const tsr_gpu_dispatch *d, VkDescriptorSet set, uint32_t *push) {
    vulkan_device *v = b->v;
    VkDescriptorBufferInfo info[TSR_CALL_TENSORS];
    VkWriteDescriptorSet write[TSR_CALL_TENSORS];
    size_t align = v->traits.storage_alignment ? (size_t)v->traits.storage_alignment : 1;
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        VkBuffer buffer = r->tables.buffer;
        size_t offset = s->table_at, bytes = s->call.table_bytes;
        if (t) {
            const vulkan_form form = vulkan_form_of(d->bind[i]);
            locate(b, t, form, &buffer, &offset);
            bytes = form ? vulkan_form_bytes(&b->nodes[t->node], form)
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
    return TSR_OK;
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

/* A submission that is being filled. */
typedef struct filling {
    VkCommandBuffer commands;
    double done; /* multiply-adds in it */
} filling;

/* Begins a new submission unless `work` still fits the one that is being filled. */
static tsr_status make_room(vulkan_device *v, vulkan_recording *r, filling *f, double work) {
    tsr_status status = TSR_OK;
    if (f->done > 0 && f->done + work > r->pace.submission) {
        status = next_buffer(v, r, &f->commands);
        f->done = 0;
    }
    f->done += work;
    return status;
}

/* One dispatch, or its pieces: the grid's groups in turn, each told that the rows end where its own
 * do. `push` holds the offsets of the tensors. */
static tsr_status record_pieces(vulkan_builder *b, vulkan_recording *r, const vulkan_step *s,
                                const tsr_gpu_dispatch *d, VkDescriptorSet set, uint32_t *push,
                                filling *f) {
    vulkan_device *v = b->v;
    const double work = vulkan_work(&s->call) / s->dispatch_count;
    const uint32_t pieces = d->pieces > 1 ? d->pieces : 1, axis = d->cut.axis;
    VkPipeline pipeline;
    tsr_status status = vulkan_pipeline_get(v, d, &pipeline);
    memcpy(push + d->bind_count, d->push, d->push_bytes);
    for (uint32_t i = 0; i < pieces && !status; ++i) {
        uint32_t base[3] = {0}, groups[3] = {d->groups[0], d->groups[1], d->groups[2]};
        if (pieces > 1) {
            if (i) status = make_room(v, r, f, work / pieces);
            if (status) break;
            const uint64_t all = d->groups[axis];
            uint32_t rows, *count = &push[d->bind_count + d->cut.count_at];
            memcpy(&rows, d->push + 4 * d->cut.count_at, sizeof rows);
            base[axis] = (uint32_t)(all * i / pieces);
            const uint32_t end = (uint32_t)(all * (i + 1) / pieces);
            groups[axis] = end - base[axis];
            *count = i + 1 < pieces ? end * d->cut.rows : rows;
        }
        VkPipelineLayout layout = v->layout[d->bind_count];
        VkCommandBuffer c = f->commands;
        v->vk.vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
                                      NULL);
        v->vk.vkCmdPushConstants(
            c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
            (uint32_t)vulkan_round(4u * (uint32_t)d->bind_count + d->push_bytes, 4), push);
        v->vk.vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        if (pieces > 1)
            v->vk.vkCmdDispatchBase(c, base[0], base[1], base[2], groups[0], groups[1], groups[2]);
        else
            v->vk.vkCmdDispatch(c, groups[0], groups[1], groups[2]);
    }
    return status;
}

static tsr_status record_step(vulkan_builder *b, vulkan_recording *r, int number, filling *f) {
    vulkan_device *v = b->v;
    const vulkan_step *s = &b->steps[number];
    /* Pieces fill submissions themselves; an op that is left whole is in one. */
    double work = 0;
    for (int i = 0; i < s->dispatch_count; ++i)
        work += vulkan_work(&s->call) / s->dispatch_count /
                (s->dispatches[i].pieces > 1 ? s->dispatches[i].pieces : 1);
    tsr_status status = make_room(v, r, f, work);
    for (int i = 0; i < s->dispatch_count && !status; ++i) {
        const tsr_gpu_dispatch *d = &s->dispatches[i];
        vulkan_range ranges[TSR_CALL_TENSORS];
        uint32_t push[32];
        int count = ranges_of(b, s, d, ranges);
        bool wait = i > 0;
        for (int k = 0; k < count && !wait; ++k)
            wait = conflicts(b, &ranges[k]);
        if (wait) barrier_between_ops(b, f->commands);
        if (i == 0) vulkan_times_mark(v, r, f->commands, VULKAN_MARK_OP, number);
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
        if (!status) status = write_set(b, r, s, d, set, push);
        if (!status) status = record_pieces(b, r, s, d, set, push, f);
    }
    if (!status) vulkan_times_mark(v, r, f->commands, VULKAN_MARK_OP_END, number);
    return status;
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

static tsr_status record_all(vulkan_builder *b, vulkan_recording *r) {
    vulkan_device *v = b->v;
    filling f = {.commands = VK_NULL_HANDLE};
    tsr_status status = next_buffer(v, r, &f.commands);
    if (status) return status;
    const VkBuffer staging = v->slot[r->slot].staging.buffer;
    VkBuffer buffer;
    size_t offset;
    VkCommandBuffer c = f.commands;
    vulkan_times_mark(v, r, c, VULKAN_MARK_FIRST, -1);
    /* The program before this one may still be in flight, in the same arena. */
    barrier(b, c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    if (b->fenced) record_fences(b, c);
    for (int i = 0; i < r->in_count; ++i) {
        locate(b, &r->in[i], VULKAN_FORM_F32, &buffer, &offset);
        VkBufferCopy copy = {r->in_at[i], offset, b->nodes[r->in[i].node].bytes};
        v->vk.vkCmdCopyBuffer(c, staging, buffer, 1, &copy);
    }
    if (r->in_count || b->fenced)
        barrier(b, c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    vulkan_times_mark(v, r, c, VULKAN_MARK_COPIED_IN, -1);
    for (int i = 0; i < b->step_count && !status; ++i)
        status = record_step(b, r, i, &f);
    if (status) return status;
    c = f.commands;
    barrier(b, c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    vulkan_times_mark(v, r, c, VULKAN_MARK_COPY_OUT, -1);
    for (int i = 0; i < r->out_count; ++i) {
        if (!(r->wanted >> i & 1)) continue;
        locate(b, &r->made[i], VULKAN_FORM_F32, &buffer, &offset);
        VkBufferCopy copy = {offset, r->out_at[i],
                             (size_t)tsr_elements(&r->made[i]) * tsr_dtype_bytes(r->made[i].dtype)};
        v->vk.vkCmdCopyBuffer(c, buffer, staging, 1, &copy);
    }
    if (b->fenced) fetch_fences(b, r, c);
    barrier(b, c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    vulkan_times_mark(v, r, c, VULKAN_MARK_LAST, -1);
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
