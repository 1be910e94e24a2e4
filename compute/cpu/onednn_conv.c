/* SPDX-License-Identifier: MIT */
/* onednn_conv.c: the shim over oneDNN's convolution, 2.x and 3.x. */
#include "onednn_conv.h"

#ifdef TESSERA_WITH_ONEDNN

#include "onednn_api.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tsr_onednn_conv {
    tsr_onednn_conv_shape shape;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t weights; /* in the primitive's own layout */
    void *weights_data;
    bool shared;                                         /* weights_data is another's */
    const_dnnl_memory_desc_t source, target, scratchpad; /* owned by desc */
    size_t scratchpad_bytes;
    atomic_int failed; /* a dnnl_status_t */
};

bool tsr_onednn_conv_same(const tsr_onednn_conv *p, const tsr_onednn_conv_shape *s) {
    const tsr_onednn_conv_shape *a = &p->shape;
    return a->h == s->h && a->w == s->w && a->c == s->c && a->n == s->n && a->kh == s->kh &&
           a->kw == s->kw && a->stride == s->stride && a->oh == s->oh && a->ow == s->ow &&
           a->top == s->top && a->left == s->left && a->threads == s->threads && a->bf16 == s->bf16;
}

static dnnl_status_t conv_make(dnnl_primitive_desc_t *pd, const tsr_onednn_conv *p,
                               const plain_desc *x, const plain_desc *w, const plain_desc *y,
                               const_dnnl_primitive_attr_t attr) {
    const tsr_onednn_conv_shape *s = &p->shape;
    dnnl_dims_t stride = {s->stride, s->stride}, before = {s->top, s->left};
    dnnl_dims_t after = {(s->oh - 1) * s->stride + s->kh - s->h - s->top,
                         (s->ow - 1) * s->stride + s->kw - s->w - s->left};
#if DNNL_VERSION_MAJOR < 3
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &d, dnnl_forward_inference, dnnl_convolution_direct, x, w, NULL, y, stride, before, after);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, p->engine, NULL);
#else
    return dnnl_convolution_forward_primitive_desc_create(pd, p->engine, dnnl_forward_inference,
                                                          dnnl_convolution_direct, *x, *w, NULL, *y,
                                                          stride, NULL, before, after, attr);
#endif
}

static dnnl_status_t make(tsr_onednn_conv *p, const float *w, const tsr_onednn_conv *other) {
    const tsr_onednn_conv_shape *f = &p->shape;
    dnnl_dims_t xd = {1, f->c, f->h, f->w}, wd = {f->n, f->c, f->kh, f->kw};
    dnnl_dims_t yd = {1, f->n, f->oh, f->ow};
    plain_desc x = {0}, given = {0}, any = {0}, y = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (!s) s = dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags);
    if (!s) s = desc_make(&x, 4, xd, type_of(f->bf16), dnnl_nhwc);
    if (!s) s = desc_make(&given, 4, wd, type_of(f->bf16), dnnl_oihw);
    if (!s) s = desc_make(&any, 4, wd, type_of(f->bf16), dnnl_format_tag_any);
    if (!s) s = desc_make(&y, 4, yd, dnnl_f32, dnnl_nhwc);
    if (!s) s = dnnl_primitive_attr_create(&attr);
    /* Scratch of the caller: one primitive then serves several threads at once. */
    if (!s) s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!s) s = conv_make(&p->desc, p, &x, &any, &y, attr);
    if (!s) s = dnnl_primitive_create(&p->primitive, p->desc);
    if (!s) {
        const_dnnl_memory_desc_t wanted =
            dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
        p->source = dnnl_primitive_desc_query_md(p->desc, dnnl_query_src_md, 0);
        p->target = dnnl_primitive_desc_query_md(p->desc, dnnl_query_dst_md, 0);
        p->scratchpad = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
        p->scratchpad_bytes = p->scratchpad ? dnnl_memory_desc_get_size(p->scratchpad) : 0;
        const_dnnl_memory_desc_t theirs =
            other ? dnnl_primitive_desc_query_md(other->desc, dnnl_query_weights_md, 0) : NULL;
        if (theirs && dnnl_memory_desc_equal(theirs, wanted)) {
            p->shared = true;
            p->weights_data = other->weights_data;
            s = dnnl_memory_create(&p->weights, wanted, p->engine, p->weights_data);
        } else {
            size_t bytes = (dnnl_memory_desc_get_size(wanted) + 63) / 64 * 64;
            p->weights_data = aligned_alloc(64, bytes);
            uint16_t *copy = NULL;
            const void *values = weights_in_type(f->bf16, w, f->n * f->c * f->kh * f->kw, &copy);
            s = p->weights_data && values ? reorder(p->engine, p->stream, values, &given, wanted,
                                                    p->weights_data, &p->weights)
                                          : dnnl_out_of_memory;
            free(copy);
        }
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    plain_desc_free(&x);
    plain_desc_free(&given);
    plain_desc_free(&any);
    plain_desc_free(&y);
    return s;
}

static tsr_status failure(tsr_context *ctx, dnnl_status_t s, const tsr_onednn_conv *p) {
    const tsr_onednn_conv_shape *f = &p->shape;
    return tsr_fail(ctx, s == dnnl_out_of_memory ? TSR_ERROR_MEMORY : TSR_ERROR_DEVICE,
                    "conv2d: oneDNN: [%lld, %lld, %lld] to %lld, kernel %lld x %lld: wanted "
                    "success, got status %d",
                    (long long)f->h, (long long)f->w, (long long)f->c, (long long)f->n,
                    (long long)f->kh, (long long)f->kw, (int)s);
}

tsr_status tsr_onednn_conv_open(tsr_context *ctx, tsr_onednn_conv **conv, const float *w,
                                const tsr_onednn_conv_shape *shape, const tsr_onednn_conv *other) {
    *conv = NULL;
    tsr_onednn_conv *p = tsr_alloc(ctx, 1, sizeof *p, "oneDNN convolution");
    if (!p) return TSR_ERROR_MEMORY;
    p->shape = *shape;
    int before = set_threads(shape->threads);
    dnnl_status_t s = make(p, w, other);
    restore_threads(before, shape->threads);
    tsr_status status = s ? failure(ctx, s, p) : TSR_OK;
    if (status)
        tsr_onednn_conv_close(&p);
    else
        *conv = p;
    return status;
}

void tsr_onednn_conv_close(tsr_onednn_conv **conv) {
    tsr_onednn_conv *p = conv ? *conv : NULL;
    if (!p) return;
    if (p->weights) dnnl_memory_destroy(p->weights);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->desc) dnnl_primitive_desc_destroy(p->desc);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    if (!p->shared) free(p->weights_data);
    free(p);
    *conv = NULL;
}

static int64_t source_values(const tsr_onednn_conv *p) {
    return p->shape.h * p->shape.w * p->shape.c;
}

size_t tsr_onednn_conv_scratch_bytes(const tsr_onednn_conv *p) {
    size_t copy = p->shape.bf16 ? (size_t)source_values(p) * sizeof(uint16_t) : 0;
    return (p->scratchpad_bytes + 63) / 64 * 64 + (copy + 63) / 64 * 64;
}

void tsr_onednn_conv_run(tsr_onednn_conv *p, const float *x, float *y, void *scratch) {
    dnnl_memory_t memory[3] = {NULL, NULL, NULL};
    dnnl_stream_t stream = NULL; /* streams belong to one thread at a time */
    const void *source = x;
    if (p->shape.bf16) {
        uint16_t *half = (uint16_t *)((char *)scratch + (p->scratchpad_bytes + 63) / 64 * 64);
        tsr_floats_to_bf16(half, x, source_values(p));
        source = half;
    }
    int before = set_threads(p->shape.threads);
    dnnl_status_t s = dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags);
    if (!s) s = dnnl_memory_create(&memory[0], p->source, p->engine, (void *)(uintptr_t)source);
    if (!s) s = dnnl_memory_create(&memory[1], p->target, p->engine, y);
    if (!s && p->scratchpad_bytes)
        s = dnnl_memory_create(&memory[2], p->scratchpad, p->engine, scratch);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory[0]},
                              {DNNL_ARG_WEIGHTS, p->weights},
                              {DNNL_ARG_DST, memory[1]},
                              {DNNL_ARG_SCRATCHPAD, memory[2]}};
    if (!s) s = execute_primitive(stream, p->primitive, args, memory[2] ? 4 : 3);
    for (int i = 0; i < 3; ++i)
        if (memory[i]) dnnl_memory_destroy(memory[i]);
    if (stream) dnnl_stream_destroy(stream);
    restore_threads(before, p->shape.threads);
    if (s) atomic_store(&p->failed, (int)s);
}

tsr_status tsr_onednn_conv_status(tsr_context *ctx, tsr_onednn_conv *p) {
    int s = atomic_exchange(&p->failed, 0);
    return s ? failure(ctx, (dnnl_status_t)s, p) : TSR_OK;
}

#else /* built without oneDNN */

bool tsr_onednn_conv_same(const tsr_onednn_conv *conv, const tsr_onednn_conv_shape *shape) {
    (void)conv, (void)shape;
    return false;
}
tsr_status tsr_onednn_conv_open(tsr_context *ctx, tsr_onednn_conv **conv, const float *w,
                                const tsr_onednn_conv_shape *shape, const tsr_onednn_conv *other) {
    (void)w, (void)other;
    *conv = NULL;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "conv2d: oneDNN: wanted for %lld channels, but this build is without it",
                    (long long)shape->c);
}
void tsr_onednn_conv_close(tsr_onednn_conv **conv) {
    (void)conv;
}
size_t tsr_onednn_conv_scratch_bytes(const tsr_onednn_conv *conv) {
    (void)conv;
    return 0;
}
void tsr_onednn_conv_run(tsr_onednn_conv *conv, const float *x, float *y, void *scratch) {
    (void)conv, (void)x, (void)y, (void)scratch;
}
tsr_status tsr_onednn_conv_status(tsr_context *ctx, tsr_onednn_conv *conv) {
    (void)ctx, (void)conv;
    return TSR_OK;
}

#endif
