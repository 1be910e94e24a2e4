/* SPDX-License-Identifier: MIT */
/* vulkan_weights.c: a recording's weights go to the device, each once, in every form that one of
 * its dispatches binds: as they are or in the order of tsr_run_kernel, in f32 or in f16. */
#include "vulkan_builder.h"

#include <math.h>
#include <stdlib.h>

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

size_t vulkan_form_bytes(const vulkan_node *node, vulkan_form form) {
    if (form == VULKAN_FORM_F32) return node->bytes;
    const tsr_tensor *t = &node->weight->tensor;
    const int64_t *d = t->dim, each = form == VULKAN_FORM_PAIRS ? 4 : 2;
    if (!node->kernel) return (size_t)(d[0] * round_up(tsr_elements(t) / d[0], 8) * each);
    if (form != VULKAN_FORM_HALF) return (size_t)(d[2] * d[3] * d[0] * round_up(d[1], 8) * each);
    return (size_t)(d[2] * d[3] * round_up(d[1], 4) * round_up(d[0], 4)) * 2;
}

size_t vulkan_weights_to_come(vulkan_builder *b) {
    size_t bytes = 0;
    for (int i = 0; i < b->node_count; ++i) {
        vulkan_node *n = &b->nodes[i];
        if (n->kind != VULKAN_NODE_WEIGHT) continue;
        for (int form = 0; form < VULKAN_FORMS; ++form) {
            n->form[form].resident = -1;
            for (int k = 0; k < b->v->weight_count; ++k) {
                const vulkan_weight *w = &b->v->weights[k];
                if (w->id == n->weight->id && w->kernel == n->kernel && (int)w->form == form &&
                    w->model == b->program->model)
                    n->form[form].resident = k;
            }
            if (n->form[form].needed && n->form[form].resident < 0)
                bytes += vulkan_round(vulkan_form_bytes(n, form), VULKAN_ALIGN);
        }
    }
    return bytes;
}

static int new_block(vulkan_device *v, const void *model, size_t bytes) {
    int index = 0;
    while (index < v->block_count && v->blocks[index].used)
        ++index;
    if (index == v->block_count) {
        vulkan_block *list = vulkan_grown(v->device->ctx, v->blocks, v->block_count,
                                          &v->block_capacity, sizeof *list);
        if (!list) return -1;
        v->blocks = list;
        ++v->block_count;
    }
    v->blocks[index] = (vulkan_block){.model = model, .used = true};
    if (vulkan_buffer_open(v, &v->blocks[index].buffer, bytes, false, "weights")) {
        v->blocks[index].used = false;
        return -1;
    }
    return index;
}

/* A value beyond f16 becomes the largest one, as in the shaders: one such weight must not make
 * infinities of all it meets. */
static uint16_t to_half(float f) {
    if (isfinite(f)) f = f > 65504 ? 65504 : f < -65504 ? -65504 : f;
    return tsr_f32_to_f16(f);
}

/* A convolution's weight in the order of tsr_run_kernel; `copy` is zero. */
static void fill_kernel(const vulkan_node *node, bool half, const float *values, void *copy) {
    enum {
        BLOCK = 16
    }; /* outputs at a time: their kernels and one line of the copy are in cache */
    const int64_t *d = node->weight->tensor.dim;
    int64_t n = d[0], c = d[1], taps = d[2] * d[3], wide = round_up(n, 4), deep = round_up(c, 4);
    float *f32 = copy;
    uint16_t *f16 = copy;
    for (int64_t n0 = 0; n0 < n; n0 += BLOCK)
        for (int64_t i = 0; i < c; ++i)
            for (int64_t t = 0; t < taps; ++t)
                for (int64_t o = n0; o < n && o < n0 + BLOCK; ++o) {
                    float value = values[(o * c + i) * taps + t];
                    if (half)
                        f16[((t * deep + i) / 2 * wide + o) * 2 + i % 2] = to_half(value);
                    else
                        f32[(t * c + i) * wide + o] = value;
                }
}

/* Writes element i of rows in f16: rounded, or as a pair (TSR_BIND_PAIRS). */
static void put(bool pairs, uint16_t *copy, int64_t i, float value) {
    if (!pairs) {
        copy[i] = to_half(value);
        return;
    }
    const float w = value * 16, h = tsr_f16_to_f32(tsr_f32_to_f16(w));
    copy += i / 8 * 16 + i % 8;
    copy[0] = tsr_f32_to_f16(isfinite(h) ? h : NAN);
    copy[8] = tsr_f32_to_f16(isfinite(h) ? (w - h) * 2048 : 0);
}

/* A convolution's weight as TSR_BIND_HALF_ROWS, or as pairs; `copy` is zero. */
static void fill_taps(const vulkan_node *node, bool pairs, const float *values, uint16_t *copy) {
    const int64_t *d = node->weight->tensor.dim;
    const int64_t n = d[0], c = d[1], taps = d[2] * d[3], deep = round_up(c, 8);
    for (int64_t o = 0; o < n; ++o)
        for (int64_t i = 0; i < c; ++i)
            for (int64_t t = 0; t < taps; ++t)
                put(pairs, copy, (t * n + o) * deep + i, values[(o * c + i) * taps + t]);
}

static void fill_rows(const vulkan_node *node, bool pairs, const float *values, uint16_t *copy) {
    const tsr_tensor *t = &node->weight->tensor;
    int64_t n = t->dim[0], k = tsr_elements(t) / n, deep = round_up(k, 8);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t l = 0; l < k; ++l)
            put(pairs, copy, i * deep + l, values[i * k + l]);
}

static tsr_status upload(vulkan_device *v, const vulkan_buffer *to, size_t at,
                         const vulkan_node *node, vulkan_form form, const float *values) {
    size_t bytes = vulkan_form_bytes(node, form);
    if (!form && !node->kernel) return vulkan_upload(v, to, at, values, bytes);
    float *copy = tsr_alloc(v->device->ctx, (bytes + 3) / 4, sizeof *copy, "weight");
    if (!copy) return TSR_ERROR_MEMORY;
    const bool pairs = form == VULKAN_FORM_PAIRS;
    if (form == VULKAN_FORM_ROWS || (pairs && node->kernel))
        fill_taps(node, pairs, values, (uint16_t *)copy);
    else if (node->kernel)
        fill_kernel(node, form == VULKAN_FORM_HALF, values, copy);
    else
        fill_rows(node, pairs, values, (uint16_t *)copy);
    tsr_status status = vulkan_upload(v, to, at, copy, bytes);
    free(copy);
    return status;
}

typedef struct space { /* where the next weight goes */
    int block;
    size_t at, left, to_come;
} space;

static tsr_status add_form(vulkan_builder *b, space *s, vulkan_node *n, vulkan_form form) {
    enum { BLOCK_BYTES = 256 << 20 };
    vulkan_device *v = b->v;
    size_t size = vulkan_round(vulkan_form_bytes(n, form), VULKAN_ALIGN);
    if (size > s->left) {
        size_t take = s->to_come < BLOCK_BYTES ? s->to_come : BLOCK_BYTES;
        if (take < size) take = size;
        if ((s->block = new_block(v, b->program->model, take)) < 0) return TSR_ERROR_MEMORY;
        s->left = take;
        s->at = 0;
    }
    vulkan_weight *list = vulkan_grown(v->device->ctx, v->weights, v->weight_count,
                                       &v->weight_capacity, sizeof *list);
    if (!list) return TSR_ERROR_MEMORY;
    v->weights = list;
    const float *values;
    tsr_status status = tsr_weight_borrow(v->device->ctx, n->weight, &values);
    if (!status) status = upload(v, &v->blocks[s->block].buffer, s->at, n, form, values);
    tsr_weight_return(n->weight, values);
    if (status) return status;
    n->form[form].resident = v->weight_count;
    v->weights[v->weight_count++] =
        (vulkan_weight){b->program->model, n->weight->id, n->kernel, form, s->block, s->at};
    s->at += size;
    s->left -= size;
    s->to_come -= size;
    return TSR_OK;
}

tsr_status vulkan_weights_upload(vulkan_builder *b, size_t bytes) {
    space s = {.block = -1, .to_come = bytes};
    tsr_status status = TSR_OK;
    for (int i = 0; i < b->node_count && !status; ++i) {
        vulkan_node *n = &b->nodes[i];
        for (int form = 0; form < VULKAN_FORMS && !status && n->kind == VULKAN_NODE_WEIGHT; ++form)
            if (n->form[form].needed && n->form[form].resident < 0)
                status = add_form(b, &s, n, (vulkan_form)form);
    }
    return status;
}
