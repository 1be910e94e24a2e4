/* SPDX-License-Identifier: MIT */
/* vulkan_halves.c: which activations of a recording are kept as f16.
 *
 * With TSR_PRECISION_FAST products round their operands to f16 whatever they are given. Where the
 * op that makes a tensor can write f16 and every op that reads it can read f16 (tsr_op.halves), the
 * rounding is done once, by the writer, and the tensor takes half the memory and half the traffic.
 * An op that is no product (tsr_op.carries) stands in such a chain only where its result goes out
 * as f16; chains without a product stay f32. Does it compute with what it reads, that is rounded
 * once more than in f32, as a convolution's result before its group norm. A program that makes
 * pictures is rounded so (tsr_program.pictures); of any other one nothing is rounded that a product
 * would not have rounded, so that it decides as with f32 activations.
 * What a program returns, and what one op cannot read, stays f32; models do not know of it. */
#include "vulkan_builder.h"

#include <stdlib.h>

enum { HALF_ROW = 8 }; /* elements of 16 bytes, which is what a binding's start is a multiple of */

/* What is known of a tensor's memory once all steps are seen. */
typedef struct claim {
    int writers;
    bool refused;
} claim;

static void look(const vulkan_builder *b, claim *claims, const tsr_tensor *t, bool able,
                 bool writes) {
    if (!t || b->nodes[t->node].kind != VULKAN_NODE_MADE) return;
    claim *c = &claims[t->node];
    c->writers += writes;
    if (!able || t->dtype != TSR_DTYPE_F32 || t->offset % HALF_ROW) c->refused = true;
}

/* What of a call may be f16, of this program. */
static uint32_t able_of(const vulkan_builder *b, const tsr_call *c) {
    if (!c->op->halves) return 0;
    const uint32_t able = c->op->halves(c, &b->v->caps), results = able & ~0u << TSR_CALL_TENSORS;
    return c->op->carries == TSR_CARRIES_ROUNDED && !b->program->pictures ? results : able;
}

/* Whether something the call makes is kept as f16, as far as `claims` say. */
static bool goes_on(const claim *claims, const tsr_call *c, uint32_t able) {
    for (int k = 0; k < c->out_count; ++k)
        if (c->out[k] && able >> (TSR_CALL_TENSORS + k) & 1 && !claims[c->out[k]->node].refused)
            return true;
    return false;
}

/* Only a chain that ends in a product pays: from the last step to the first, since a result's
 * readers stand behind it, an op that carries refuses operands when its results were refused. */
static void follow_back(const vulkan_builder *b, claim *claims) {
    for (int i = b->step_count - 1; i >= 0; --i) {
        const tsr_call *c = &b->steps[i].call;
        if (!c->op->halves || !c->op->carries) continue;
        if (goes_on(claims, c, able_of(b, c))) continue;
        for (int k = 0; k < c->in_count; ++k)
            if (c->in[k]) claims[c->in[k]->node].refused = true;
    }
}

static void turn(const vulkan_builder *b, const claim *claims, const tsr_tensor *t) {
    if (t && b->nodes[t->node].kind == VULKAN_NODE_MADE && !claims[t->node].refused)
        ((tsr_tensor *)t)->dtype = TSR_DTYPE_F16; /* the run's own structs, see run.h */
}

tsr_status vulkan_halves_choose(vulkan_builder *b, const vulkan_recording *r) {
    const vulkan_device *v = b->v;
    if (!v->caps.fp16 || tsr_device_masked(v->device, "f16_activations")) return TSR_OK;
    claim *claims = tsr_alloc(v->device->ctx, (size_t)b->node_count, sizeof *claims, "plan");
    if (!claims) return TSR_ERROR_MEMORY;
    for (int i = 0; i < b->step_count; ++i) {
        const tsr_call *c = &b->steps[i].call;
        const uint32_t able = able_of(b, c);
        for (int k = 0; k < c->in_count; ++k)
            look(b, claims, c->in[k], able >> k & 1, false);
        for (int k = 0; k < c->out_count; ++k)
            look(b, claims, c->out[k], able >> (TSR_CALL_TENSORS + k) & 1, true);
    }
    for (int i = 0; i < r->out_count; ++i)
        if (r->wanted >> i & 1) claims[r->made[i].node].refused = true;
    for (int i = 0; i < b->node_count; ++i)
        if (claims[i].writers != 1) claims[i].refused = true;
    follow_back(b, claims);
    for (int i = 0; i < b->step_count; ++i) {
        const tsr_call *c = &b->steps[i].call;
        for (int k = 0; k < c->in_count; ++k)
            turn(b, claims, c->in[k]);
        for (int k = 0; k < c->out_count; ++k)
            turn(b, claims, c->out[k]);
    }
    for (int i = 0; i < b->node_count; ++i)
        if (b->nodes[i].kind == VULKAN_NODE_MADE && !claims[i].refused) {
            b->nodes[i].bytes /= 2;
            ++b->half_count;
        }
    free(claims);
    return TSR_OK;
}
