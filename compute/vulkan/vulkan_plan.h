/* SPDX-License-Identifier: MIT */
/* vulkan_plan.h: where tensors lie in the activation arena, from when they are needed. */
#ifndef COMPUTE_VULKAN_PLAN_H
#define COMPUTE_VULKAN_PLAN_H

#include "../context.h"

/* Place in the arena: byte `offset` of chunk `chunk`. */
typedef struct vulkan_place {
    int chunk;
    size_t offset;
} vulkan_place;

/* An activation to be placed; `place` is the result. */
typedef struct vulkan_item {
    size_t size;     /* already rounded up to the alignment */
    int first, last; /* first and last step that need the item, both inclusive */
    vulkan_place place;
} vulkan_item;

/* Gives each item a place so that no two items that are needed at the same step share a byte. The
 * arena is cut into chunks of at most `chunk_size` bytes and no item crosses a border.
 * chunk_sizes[0 .. *chunk_count-1] gets the bytes needed of each. `align` divides chunk_size.
 * Errors: TOO_LARGE (an item beyond chunk_size, or more than max_chunks), MEMORY. */
tsr_status vulkan_plan(tsr_context *ctx, vulkan_item *items, int count, size_t chunk_size,
                       size_t *chunk_sizes, int max_chunks, int *chunk_count);

#endif
