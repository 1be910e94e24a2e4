/* SPDX-License-Identifier: MIT */
/* vulkan_traffic.c: what the dispatches of a recording read and write of activations, by op.
 * Whether an op of few products is fast depends on this alone; scripts/gpu-counts.sh makes a table
 * of it. */
#include "vulkan_builder.h"

#include <string.h>

typedef struct traffic {
    const char *op;
    int uses, dispatches;
    double multiply_adds, read, written;
} traffic;

/* Bytes of one binding of a dispatch. A copy reads no more of an operand than it writes. */
static double bound_bytes(const vulkan_step *s, const tsr_tensor *t, bool reads) {
    const double bytes = (double)tsr_elements(t) * (double)tsr_dtype_bytes(t->dtype);
    const char *op = s->call.op->name;
    if (!reads || (strcmp(op, "movement") && strcmp(op, "gather"))) return bytes;
    const tsr_tensor *to = s->call.out[0];
    const double most = (double)tsr_elements(to) * (double)tsr_dtype_bytes(to->dtype);
    return bytes < most ? bytes : most;
}

/* Whether an operand is what an earlier binding is already: an absent one is bound as one that is
 * there, and a joint product is given once for each of its parts. */
static bool is_again(const tsr_call *call, const tsr_gpu_dispatch *d, int i) {
    const tsr_tensor *t = vulkan_bound(call, d->bind[i]);
    for (int k = 0; k < i; ++k) {
        const tsr_tensor *other = vulkan_bound(call, d->bind[k]);
        if (d->bind[k] == d->bind[i]) return true;
        if (other && other->node == t->node && other->offset == t->offset &&
            (d->bind[k] < TSR_CALL_TENSORS) == (d->bind[i] < TSR_CALL_TENSORS))
            return true;
    }
    return false;
}

static void add_dispatch(const vulkan_builder *b, const vulkan_step *s, const tsr_gpu_dispatch *d,
                         traffic *sum) {
    ++sum->dispatches;
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        if (!t || b->nodes[t->node].kind == VULKAN_NODE_WEIGHT || is_again(&s->call, d, i))
            continue;
        const bool reads = d->bind[i] < TSR_CALL_TENSORS;
        *(reads ? &sum->read : &sum->written) += bound_bytes(s, t, reads);
    }
}

void vulkan_traffic_log(const vulkan_builder *b) {
    enum { MOST = 64 };
    traffic list[MOST];
    int count = 0;
    for (int i = 0; i < b->step_count; ++i) {
        const vulkan_step *s = &b->steps[i];
        int at = 0;
        while (at < count && strcmp(list[at].op, s->call.op->name))
            ++at;
        if (at == MOST) continue;
        if (at == count) list[count++] = (traffic){.op = s->call.op->name};
        ++list[at].uses;
        if (s->call.op->work) list[at].multiply_adds += s->call.op->work(&s->call);
        for (int k = 0; k < s->dispatch_count; ++k)
            add_dispatch(b, s, &s->dispatches[k], &list[at]);
    }
    const char *name = b->program->name ? b->program->name : "program";
    for (int i = 0; i < count; ++i)
        tsr_log(b->v->device->ctx, TSR_LOG_DEBUG,
                "%s on %s: %s: %d ops, %d dispatches, %.0f multiply-adds, reads %.0f bytes, writes "
                "%.0f",
                name, b->v->device->name, list[i].op, list[i].uses, list[i].dispatches,
                list[i].multiply_adds, list[i].read, list[i].written);
}
