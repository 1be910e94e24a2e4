/* SPDX-License-Identifier: MIT */
/* vulkan_times.c: timestamps of a recording: one at its first command and one behind its last, by
 * which submissions are sized (vulkan_pace.c) and it is known how long the device computed, and,
 * where ops are timed, two around each op and around the copies of operands.
 *
 * A timestamp is written when all commands before it have ended. So an op is charged from there, or
 * from the barrier before it, to its own end; of ops that run together, as no barrier is between
 * them, the second is charged what is left when the first has ended. */
#include "vulkan_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST, LAST, COPY_IN, COPY_OUT = COPY_IN + 2, OPS = COPY_OUT + 2 }; /* numbers of queries */

typedef struct timed {
    tsr_timed_op use; /* one use: names, shape, work */
    int row;          /* in tsr_device.times */
} timed;

struct vulkan_times {
    VkQueryPool pool;
    uint32_t queries;
    uint64_t *ticks;
    timed *list; /* copy in, copy out, then the steps; NULL: the whole alone */
    int count;
    int started; /* of the sums that the rows belong to */
    int program;
};

/* "[385,512] [1536,512] -> [385,1536]", as much of it as fits. */
static void write_shape(const tsr_call *c, char *text, size_t size) {
    char shape[96];
    size_t at = 0;
    for (int i = 0; i < c->in_count + c->out_count; ++i) {
        const tsr_tensor *t = i < c->in_count ? c->in[i] : c->out[i - c->in_count];
        if (i == c->in_count && at < size) at += (size_t)snprintf(text + at, size - at, "->");
        if (t && at < size)
            at += (size_t)snprintf(text + at, size - at, "%s%s", i ? " " : "",
                                   tsr_shape_text(t, shape, sizeof shape));
        if (i + 1 == c->in_count && at < size) at += (size_t)snprintf(text + at, size - at, " ");
    }
}

/* Bytes that a dispatch has bound, each operand once. */
static double bound_bytes(const vulkan_builder *b, const vulkan_step *s,
                          const tsr_gpu_dispatch *d) {
    double bytes = 0;
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        bool again = false;
        for (int k = 0; k < i && !again; ++k) /* absent operands are bound as present ones */
            again = d->bind[k] == d->bind[i];
        if (again) continue;
        bytes += !t ? (double)s->call.table_bytes
                 : vulkan_form_of(d->bind[i])
                     ? (double)vulkan_form_bytes(&b->nodes[t->node], vulkan_form_of(d->bind[i]))
                     : (double)tsr_elements(t) * (double)tsr_dtype_bytes(t->dtype);
    }
    return bytes;
}

static void describe_uses(const vulkan_builder *b, const vulkan_recording *r,
                          struct vulkan_times *t) {
    t->list[0].use = (tsr_timed_op){.op = "copy in", .shader = ""};
    t->list[1].use = (tsr_timed_op){.op = "copy out", .shader = ""};
    for (int i = 0; i < r->in_count; ++i)
        t->list[0].use.bytes +=
            (double)tsr_elements(&r->in[i]) * (double)tsr_dtype_bytes(r->in[i].dtype);
    for (int i = 0; i < r->out_count; ++i)
        if (r->wanted >> i & 1)
            t->list[1].use.bytes +=
                (double)tsr_elements(&r->made[i]) * (double)tsr_dtype_bytes(r->made[i].dtype);
    for (int i = 0; i < b->step_count; ++i) {
        const vulkan_step *s = &b->steps[i];
        tsr_timed_op *use = &t->list[2 + i].use;
        *use = (tsr_timed_op){.op = s->call.op->name,
                              .shader = s->dispatches[0].variant,
                              .multiply_adds = s->call.op->work ? s->call.op->work(&s->call) : 0};
        write_shape(&s->call, use->shape, sizeof use->shape);
        for (int k = 0; k < s->dispatch_count; ++k)
            use->bytes += bound_bytes(b, s, &s->dispatches[k]);
    }
}

tsr_status vulkan_times_make(vulkan_builder *b, vulkan_recording *r) {
    vulkan_device *v = b->v;
    tsr_context *ctx = v->device->ctx;
    r->timed = v->device->timing;
    if (!(v->device->tick > 0)) return TSR_OK;
    struct vulkan_times *t = r->times = tsr_alloc(ctx, 1, sizeof *t, "times");
    if (!t) return TSR_ERROR_MEMORY;
    t->queries = r->timed ? OPS + 2 * (uint32_t)b->step_count : LAST + 1;
    t->ticks = tsr_alloc(ctx, t->queries, sizeof *t->ticks, "times");
    if (!t->ticks) return TSR_ERROR_MEMORY;
    if (r->timed) {
        t->count = 2 + b->step_count;
        t->list = tsr_alloc(ctx, (size_t)t->count, sizeof *t->list, "times");
        if (!t->list) return TSR_ERROR_MEMORY;
        describe_uses(b, r, t);
    }
    const VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                        .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                        .queryCount = t->queries};
    const VkResult result = v->vk.vkCreateQueryPool(v->handle, &info, NULL, &t->pool);
    return result ? vulkan_fail(v, result, "query pool") : TSR_OK;
}

void vulkan_times_close(vulkan_device *v, vulkan_recording *r) {
    if (!r->times) return;
    if (r->times->pool && v->handle && !tsr_device_is_left_by_fork(v->device))
        v->vk.vkDestroyQueryPool(v->handle, r->times->pool, NULL);
    free(r->times->ticks);
    free(r->times->list);
    free(r->times);
    r->times = NULL;
}

static void stamp(const vulkan_device *v, const vulkan_recording *r, VkCommandBuffer c,
                  uint32_t query) {
    v->vk.vkCmdWriteTimestamp(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, r->times->pool, query);
}

void vulkan_times_mark(const vulkan_device *v, const vulkan_recording *r, VkCommandBuffer c,
                       vulkan_mark mark, int step) {
    if (!r->times) return;
    const uint32_t op = OPS + 2 * (uint32_t)(step < 0 ? 0 : step);
    switch (mark) {
    case VULKAN_MARK_FIRST:
        v->vk.vkCmdResetQueryPool(c, r->times->pool, 0, r->times->queries);
        stamp(v, r, c, FIRST);
        if (r->timed) stamp(v, r, c, COPY_IN);
        break;
    case VULKAN_MARK_COPIED_IN:
        if (r->timed) stamp(v, r, c, COPY_IN + 1);
        break;
    case VULKAN_MARK_OP:
        if (r->timed) stamp(v, r, c, op);
        break;
    case VULKAN_MARK_OP_END:
        if (r->timed) stamp(v, r, c, op + 1);
        break;
    case VULKAN_MARK_COPY_OUT:
        if (r->timed) stamp(v, r, c, COPY_OUT);
        break;
    case VULKAN_MARK_LAST:
        if (r->timed) stamp(v, r, c, COPY_OUT + 1);
        stamp(v, r, c, LAST);
        break;
    }
}

/* Seconds from one query to another; numbers have timestamp_bits bits and may have turned over. */
static double between(const vulkan_device *v, const vulkan_recording *r, uint32_t from,
                      uint32_t to) {
    const uint32_t bits = v->traits.timestamp_bits;
    const uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return (double)((r->times->ticks[to] - r->times->ticks[from]) & mask) * v->device->tick;
}

/* Finds the rows of the recording's ops in the sums that are being gathered. */
static tsr_status find_rows(tsr_device *d, struct vulkan_times *t, const char *name) {
    if (t->started == d->times_started) return TSR_OK;
    t->program = tsr_times_program(d->ctx, &d->times, name);
    if (t->program < 0) return TSR_ERROR_MEMORY;
    for (int i = 0; i < t->count; ++i) {
        t->list[i].use.program = t->program;
        t->list[i].row = tsr_times_op(d->ctx, &d->times, &t->list[i].use);
        if (t->list[i].row < 0) return TSR_ERROR_MEMORY;
    }
    t->started = d->times_started;
    return TSR_OK;
}

tsr_status vulkan_times_read(vulkan_device *v, vulkan_recording *r, double *seconds) {
    tsr_device *d = v->device;
    struct vulkan_times *t = r->times;
    if (!t) return TSR_OK;
    const VkResult result = v->vk.vkGetQueryPoolResults(
        v->handle, t->pool, 0, t->queries, t->queries * sizeof *t->ticks, t->ticks,
        sizeof *t->ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    if (result) return vulkan_fail(v, result, "timestamps");
    *seconds = between(v, r, FIRST, LAST);
    if (r->pace.measure) vulkan_pace_measured(v, r, *seconds);
    if (!r->timed) return TSR_OK;
    const tsr_status status = find_rows(d, t, r->name);
    if (status) return status;
    ++d->times.programs[t->program].runs;
    d->times.programs[t->program].seconds += *seconds;
    for (int i = 0; i < t->count; ++i) {
        const tsr_timed_op *use = &t->list[i].use;
        tsr_timed_op *sum = &d->times.ops[t->list[i].row];
        const uint32_t from = i == 0 ? COPY_IN : i == 1 ? COPY_OUT : OPS + 2 * (uint32_t)(i - 2);
        ++sum->count;
        sum->seconds += between(v, r, from, from + 1);
        sum->multiply_adds += use->multiply_adds;
        sum->bytes += use->bytes;
    }
    return TSR_OK;
}
