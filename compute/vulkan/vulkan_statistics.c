/* SPDX-License-Identifier: MIT */
/* vulkan_statistics.c: which norms of a recording have the statistics of their operand from the
 * product that makes it.
 *
 * A group norm goes over its map twice, once for mean and variance. The product that makes the map
 * has all of its numbers in registers: where it can sum them up in pieces that fit the norm
 * (tsr_op.gives_statistics, takes_statistics) it does, and the norm reads the pieces' sums in the
 * map's stead. What is summed up is what the norm would have read, an f16 map's numbers after they
 * were rounded. Models do not know of it. */
#include "vulkan_builder.h"

#include <stdlib.h>

/* The step whose first result is the whole tensor x, or NULL. makers: for each node 1 + the number
 * of the step that writes it, 0 for none and -1 for several. */
static vulkan_step *maker_of(vulkan_builder *b, const int *makers, const tsr_tensor *x) {
    if (makers[x->node] < 1) return NULL;
    vulkan_step *s = &b->steps[makers[x->node] - 1];
    const tsr_tensor *made = s->call.out[0];
    const bool whole = made && made->node == x->node && !made->offset && !x->offset &&
                       tsr_elements(made) == tsr_elements(x) && tsr_cols(made) == tsr_cols(x) &&
                       made->dim[0] % x->dim[0] == 0; /* an item of x is whole pictures */
    return whole ? s : NULL;
}

/* Lets the step `number` read what `from` gives. */
static bool join(vulkan_builder *b, vulkan_step *from, int number) {
    const tsr_gpu_caps *caps = &b->v->caps;
    tsr_call *norm = &b->steps[number].call, *product = &from->call;
    const int operand = norm->in_count - 1;
    tsr_statistics pieces = product->statistics; /* another norm may have asked */
    if (!pieces.rows) pieces = product->op->gives_statistics(product, caps);
    if (!pieces.rows || !norm->op->takes_statistics(norm, caps, pieces)) return false;
    tsr_tensor *t = product->out[1];
    if (!t) { /* what the norm kept its own in is not needed now, and becomes theirs */
        t = norm->out[1];
        const int64_t dim[] = {tsr_rows(norm->in[0]) / pieces.rows,
                               tsr_cols(norm->in[0]) / pieces.cols, 2};
        const int node = t->node;
        *t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 3, dim);
        t->node = node;
        b->nodes[node].bytes = (size_t)tsr_elements(t) * sizeof(float);
        b->nodes[node].first = (int)(from - b->steps);
        product->out[product->out_count++] = t;
        product->statistics = pieces;
    }
    if (b->nodes[t->node].last < number) b->nodes[t->node].last = number;
    norm->in[operand] = t;
    norm->statistics = pieces;
    return true;
}

tsr_status vulkan_statistics_choose(vulkan_builder *b) {
    const vulkan_device *v = b->v;
    if (tsr_device_masked(v->device, "product_statistics")) return TSR_OK;
    int *makers = tsr_alloc(v->device->ctx, (size_t)b->node_count, sizeof *makers, "plan");
    if (!makers) return TSR_ERROR_MEMORY;
    for (int i = 0; i < b->step_count; ++i) {
        const tsr_call *c = &b->steps[i].call;
        for (int k = 0; k < c->out_count; ++k)
            if (c->out[k]) makers[c->out[k]->node] = makers[c->out[k]->node] ? -1 : i + 1;
    }
    for (int i = 0; i < b->step_count; ++i) {
        const tsr_call *c = &b->steps[i].call;
        if (!c->op->takes_statistics) continue;
        vulkan_step *from = maker_of(b, makers, c->in[0]);
        if (from && from->call.op->gives_statistics) b->statistics_count += join(b, from, i);
    }
    free(makers);
    return TSR_OK;
}
