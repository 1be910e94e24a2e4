/* SPDX-License-Identifier: MIT */
/* vulkan_memory.c: buffers, the staging buffer, uploads, submissions. */
#include "vulkan_internal.h"

#include <stdlib.h>
#include <string.h>

void *vulkan_grown(tsr_context *ctx, void *list, int count, int *capacity, size_t size) {
    if (count < *capacity) return list;
    int more = *capacity ? *capacity * 2 : 64;
    void *p = realloc(list, (size_t)more * size);
    if (!p) {
        tsr_fail(ctx, TSR_ERROR_MEMORY, "recording: no memory for %d entries", more);
        return NULL;
    }
    *capacity = more;
    return p;
}

tsr_status vulkan_check_messages(vulkan_device *v) {
    vulkan_messages *m = &v->instance->messages;
    if (!v->instance->messenger) return TSR_OK;
    char text[sizeof m->first];
    pthread_mutex_lock(&m->lock);
    int count = m->count;
    m->count = 0;
    memcpy(text, m->first, sizeof text);
    pthread_mutex_unlock(&m->lock);
    if (!count) return TSR_OK;
    for (char *c = text; *c; ++c)
        if (*c == '\n') *c = ' ';
    return tsr_fail(v->device->ctx, TSR_ERROR_DEVICE,
                    "device %s: validation: wanted no message, got %d: %s", v->device->name, count,
                    text);
}

/* The first type among `bits` with all of `wanted`; the order drivers list them in is by speed. Of
 * device-local types the first of the largest heap: some drivers begin with the window of 256 MiB
 * through which the host sees a part of the memory. */
static int find_type(const vulkan_device *v, uint32_t bits, VkMemoryPropertyFlags wanted) {
    const VkPhysicalDeviceMemoryProperties *m = &v->memory;
    int best = -1;
    for (uint32_t i = 0; i < m->memoryTypeCount; ++i) {
        if (!(bits >> i & 1) || (m->memoryTypes[i].propertyFlags & wanted) != wanted) continue;
        if (best >= 0 && (!(wanted & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) ||
                          m->memoryHeaps[m->memoryTypes[i].heapIndex].size <=
                              m->memoryHeaps[m->memoryTypes[best].heapIndex].size))
            continue;
        best = (int)i;
    }
    return best;
}

tsr_status vulkan_buffer_open(vulkan_device *v, vulkan_buffer *b, VkDeviceSize size, bool host,
                              const char *what) {
    *b = (vulkan_buffer){.size = size};
    VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    if (!host) usage |= VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkResult result = v->vk.vkCreateBuffer(v->handle, &info, NULL, &b->buffer);
    if (result) {
        *b = (vulkan_buffer){0};
        return vulkan_fail(v, result, what);
    }
    VkMemoryRequirements needs;
    v->vk.vkGetBufferMemoryRequirements(v->handle, b->buffer, &needs);
    const VkMemoryPropertyFlags visible =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    int type =
        host ? find_type(v, needs.memoryTypeBits, visible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT)
             : find_type(v, needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    if (type < 0) type = find_type(v, needs.memoryTypeBits, host ? visible : 0);
    if (type < 0) {
        vulkan_buffer_close(v, b);
        return tsr_fail(v->device->ctx, TSR_ERROR_DEVICE, "device %s: %s: no memory type fits",
                        v->device->name, what);
    }
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .allocationSize = needs.size,
                                     .memoryTypeIndex = (uint32_t)type};
    result = v->vk.vkAllocateMemory(v->handle, &allocate, NULL, &b->memory);
    if (result) b->memory = VK_NULL_HANDLE;
    if (!result) result = v->vk.vkBindBufferMemory(v->handle, b->buffer, b->memory, 0);
    if (!result && host)
        result = v->vk.vkMapMemory(v->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped);
    if (!result) return TSR_OK;
    vulkan_buffer_close(v, b);
    if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY)
        return vulkan_fail(v, result, what);
    return tsr_fail(v->device->ctx, TSR_ERROR_MEMORY, "device %s: %s: no memory for %llu bytes",
                    v->device->name, what, (unsigned long long)size);
}

void vulkan_buffer_close(vulkan_device *v, vulkan_buffer *b) {
    if (b->buffer) v->vk.vkDestroyBuffer(v->handle, b->buffer, NULL);
    if (b->memory) v->vk.vkFreeMemory(v->handle, b->memory, NULL); /* unmaps */
    *b = (vulkan_buffer){0};
}

VkDeviceSize vulkan_allocated(const vulkan_device *v) {
    VkDeviceSize n = 0;
    for (int i = 0; i < TSR_FLIGHTS; ++i)
        n += v->slot[i].staging.size;
    for (int i = 0; i < v->chunk_count; ++i)
        n += v->chunks[i].size;
    for (int i = 0; i < v->block_count; ++i)
        n += v->blocks[i].buffer.size;
    return n;
}

bool vulkan_staging_fits(const vulkan_device *v, int slot, VkDeviceSize size) {
    return v->slot[slot].staging.size >= size && v->slot[slot].staging.size > 0;
}

tsr_status vulkan_staging_reserve(vulkan_device *v, int slot, VkDeviceSize size) {
    enum { SMALLEST = 1 << 20 };
    vulkan_buffer *staging = &v->slot[slot].staging;
    if (vulkan_staging_fits(v, slot, size)) return TSR_OK;
    vulkan_buffer_close(v, staging);
    return vulkan_buffer_open(v, staging, size < SMALLEST ? SMALLEST : size, true, "staging");
}

bool vulkan_chunks_fit(const vulkan_device *v, const size_t *sizes, int count) {
    bool enough = count <= v->chunk_count;
    for (int i = 0; i < count && enough; ++i)
        enough = sizes[i] <= v->chunks[i].size;
    return enough;
}

tsr_status vulkan_chunks_reserve(vulkan_device *v, const size_t *sizes, int count) {
    for (int i = 0; i < count; ++i) {
        if (sizes[i] <= v->chunks[i].size) continue;
        vulkan_buffer_close(v, &v->chunks[i]);
        tsr_status status = vulkan_buffer_open(v, &v->chunks[i], sizes[i], false, "activations");
        if (i >= v->chunk_count) v->chunk_count = i + 1;
        if (status) return status;
    }
    return TSR_OK;
}

static tsr_status reserve_fences(vulkan_device *v, struct vulkan_slot *s, int count) {
    while (s->fence_count < count) {
        VkFence *list = vulkan_grown(v->device->ctx, s->fences, s->fence_count, &s->fence_capacity,
                                     sizeof *list);
        if (!list) return TSR_ERROR_MEMORY;
        s->fences = list;
        VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        VkResult result = v->vk.vkCreateFence(v->handle, &info, NULL, &list[s->fence_count]);
        if (result) return vulkan_fail(v, result, "fence");
        ++s->fence_count;
    }
    return TSR_OK;
}

tsr_status vulkan_submit(vulkan_device *v, struct vulkan_slot *slot,
                         const VkCommandBuffer *commands, int count) {
    tsr_status status = reserve_fences(v, slot, count);
    if (status || !count) return status;
    VkResult result = VK_SUCCESS;
    slot->submitted = 0;
    for (int i = 0; i < count && !result; ++i) { /* one call for each: drivers join those of one */
        VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &commands[i]};
        result = v->vk.vkQueueSubmit(v->queue, 1, &submit, slot->fences[i]);
        slot->submitted += !result;
    }
    if (!result) return TSR_OK;
    status = vulkan_fail(v, result, "submit");
    /* What did go out uses buffers that may be freed after a failure. */
    (void)vulkan_await(v, slot);
    return status;
}

tsr_status vulkan_await(vulkan_device *v, struct vulkan_slot *slot) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < slot->submitted && !v->device->lost; ++i) {
        const tsr_status waited = vulkan_wait(v, slot->fences[i]);
        if (!status) status = waited;
    }
    if (v->device->lost && !status)
        status = tsr_fail(v->device->ctx, v->device->lost, "%s", v->device->lost_detail);
    if (v->device->lost || !slot->submitted) return status;
    const VkResult result = v->vk.vkResetFences(v->handle, (uint32_t)slot->submitted, slot->fences);
    slot->submitted = 0;
    return status || !result ? status : vulkan_fail(v, result, "fence");
}

static tsr_status copy_piece(vulkan_device *v, const vulkan_buffer *to, VkDeviceSize offset,
                             VkDeviceSize size) {
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkResult result = v->vk.vkBeginCommandBuffer(v->once, &begin);
    if (result) return vulkan_fail(v, result, "upload");
    VkBufferCopy region = {0, offset, size};
    v->vk.vkCmdCopyBuffer(v->once, v->slot[0].staging.buffer, to->buffer, 1, &region);
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_SHADER_READ_BIT};
    v->vk.vkCmdPipelineBarrier(v->once, VK_PIPELINE_STAGE_TRANSFER_BIT,
                               VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, NULL, 0,
                               NULL);
    result = v->vk.vkEndCommandBuffer(v->once);
    if (result) return vulkan_fail(v, result, "upload");
    const tsr_status status = vulkan_submit(v, &v->slot[0], &v->once, 1);
    return status ? status : vulkan_await(v, &v->slot[0]);
}

tsr_status vulkan_upload(vulkan_device *v, const vulkan_buffer *to, VkDeviceSize offset,
                         const void *bytes, size_t size) {
    const vulkan_buffer *staging = &v->slot[0].staging;
    tsr_status status = TSR_OK;
    for (size_t at = 0; at < size && !status;) {
        size_t piece = size - at < staging->size ? size - at : (size_t)staging->size;
        memcpy(staging->mapped, (const char *)bytes + at, piece);
        status = copy_piece(v, to, offset + at, piece);
        at += piece;
    }
    return status;
}
