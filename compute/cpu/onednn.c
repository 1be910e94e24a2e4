/* SPDX-License-Identifier: MIT */
/* onednn.c: the shim over oneDNN's C API, 2.x and 3.x. */
#include "onednn.h"

#ifdef TESSERA_WITH_ONEDNN

#include "onednn_api.h"
#include "onednn_conv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tsr_onednn {
    tsr_onednn_shape shape;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t weights; /* in the primitive's own layout */
    void *weights_data;
    const_dnnl_memory_desc_t source, target, scratchpad; /* owned by desc */
    size_t scratchpad_bytes;
    atomic_int failed; /* a dnnl_status_t */
};

static dnnl_status_t plain_desc_make(plain_desc *d, int64_t rows, int64_t cols, bool bf16,
                                     dnnl_format_tag_t tag) {
    return desc_make(d, 2, (dnnl_dims_t){rows, cols}, type_of(bf16), tag);
}

static dnnl_status_t matmul_make(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                 const plain_desc *a, const plain_desc *b, const plain_desc *c,
                                 const_dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR < 3
    dnnl_matmul_desc_t d;
    dnnl_status_t s = dnnl_matmul_desc_init(&d, a, b, NULL, c);
    return s ? s : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
#else
    return dnnl_matmul_primitive_desc_create(pd, engine, *a, *b, NULL, *c, attr);
#endif
}

static bool processor_has_avx512(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
#else
    return false;
#endif
}

static bool processor_has_avx2(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

bool tsr_onednn_is_fastest(bool use_avx512, bool use_avx2) {
    return processor_has_avx512() ? !use_avx512 : processor_has_avx2() && !use_avx2;
}

/* Not every build and machine that says it has them computes right: small products whose sums are
 * exact show it. */
static bool bf16_product_is_right(tsr_context *ctx) {
    enum { ROWS = 16, K = 64, N = 48 };
    float x[ROWS * K], w[N * K], y[ROWS * N];
    for (int i = 0; i < ROWS * K; ++i)
        x[i] = (float)(i * 7 % 17 - 8);
    for (int i = 0; i < N * K; ++i)
        w[i] = (float)(i * 5 % 13 - 6);
    tsr_onednn *p = NULL;
    tsr_onednn_shape shape = {.rows = ROWS, .k = K, .n = N, .threads = 1, .bf16 = true};
    if (tsr_onednn_open(ctx, &p, w, shape)) return false;
    void *scratch = aligned_alloc(64, tsr_onednn_scratch_bytes(p));
    if (scratch) tsr_onednn_product(p, x, ROWS - 1, y, scratch);
    bool right = scratch && !atomic_load(&p->failed);
    for (int i = 0; i < (ROWS - 1) * N && right; ++i) {
        float sum = 0;
        for (int k = 0; k < K; ++k)
            sum += x[i / N * K + k] * w[i % N * K + k];
        right = y[i] == sum;
    }
    free(scratch);
    tsr_onednn_close(&p);
    return right;
}

static bool convolution_is_right(tsr_context *ctx) {
    enum { H = 4, W = 10, C = 32, N = 16, OH = 2, OW = 8 };
    float x[H * W * C], w[N * C * 9], y[OH * OW * N];
    for (int i = 0; i < H * W * C; ++i)
        x[i] = (float)(i * 7 % 17 - 8);
    for (int i = 0; i < N * C * 9; ++i)
        w[i] = (float)(i * 5 % 13 - 6);
    tsr_onednn_conv *p = NULL;
    tsr_onednn_conv_shape shape = {H, W, C, N, 3, 3, 1, OH, OW, 0, 0, 1, true};
    if (tsr_onednn_conv_open(ctx, &p, w, &shape, NULL)) return false;
    void *scratch = aligned_alloc(64, tsr_onednn_conv_scratch_bytes(p));
    if (scratch) tsr_onednn_conv_run(p, x, y, scratch);
    bool right = scratch && !tsr_onednn_conv_status(ctx, p);
    for (int i = 0; i < OH * OW * N && right; ++i) {
        const int n = i % N, ox = i / N % OW, oy = i / N / OW;
        float sum = 0;
        for (int c = 0; c < C; ++c)
            for (int t = 0; t < 9; ++t)
                sum += x[((oy + t / 3) * W + ox + t % 3) * C + c] * w[(n * C + c) * 9 + t];
        right = y[i] == sum;
    }
    free(scratch);
    tsr_onednn_conv_close(&p);
    return right;
}

bool tsr_onednn_bf16_works(tsr_context *ctx) {
    /* Emulated on AVX-512 without it: right, but slower than f32. */
    const int bf16 = dnnl_cpu_isa_avx512_core_bf16;
    if (((int)dnnl_get_effective_cpu_isa() & bf16) != bf16) return false;
    if (bf16_product_is_right(ctx) && convolution_is_right(ctx)) return true;
    tsr_log(ctx, TSR_LOG_WARNING, "oneDNN's bf16 products are not right on this machine: not used");
    return false;
}

static dnnl_status_t make(tsr_onednn *p, const float *w) {
    plain_desc a = {0}, b = {0}, any = {0}, c = {0};
    const bool half = p->shape.bf16;
    uint16_t *copy = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (!s) s = dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags);
    if (!s) s = plain_desc_make(&a, p->shape.rows, p->shape.k, half, dnnl_ab);
    if (!s) s = plain_desc_make(&b, p->shape.k, p->shape.n, half, dnnl_ba); /* [n, k] row by row */
    if (!s)
        s = plain_desc_make(&any, p->shape.k, p->shape.n, half,
                            p->shape.plain_weights ? dnnl_ba : dnnl_format_tag_any);
    if (!s) s = plain_desc_make(&c, p->shape.rows, p->shape.n, false, dnnl_ab);
    if (!s) s = dnnl_primitive_attr_create(&attr);
    /* Scratch of the caller: one primitive then serves several threads at once. */
    if (!s) s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!s) s = matmul_make(&p->desc, p->engine, &a, &any, &c, attr);
    if (!s) s = dnnl_primitive_create(&p->primitive, p->desc);
    if (!s) {
        const_dnnl_memory_desc_t wanted =
            dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 0);
        p->source = dnnl_primitive_desc_query_md(p->desc, dnnl_query_src_md, 0);
        p->target = dnnl_primitive_desc_query_md(p->desc, dnnl_query_dst_md, 0);
        p->scratchpad = dnnl_primitive_desc_query_md(p->desc, dnnl_query_scratchpad_md, 0);
        p->scratchpad_bytes = p->scratchpad ? dnnl_memory_desc_get_size(p->scratchpad) : 0;
        size_t bytes = (dnnl_memory_desc_get_size(wanted) + 63) / 64 * 64;
        p->weights_data = aligned_alloc(64, bytes);
        const void *values = weights_in_type(half, w, p->shape.k * p->shape.n, &copy);
        s = p->weights_data && values
                ? reorder(p->engine, p->stream, values, &b, wanted, p->weights_data, &p->weights)
                : dnnl_out_of_memory;
        free(copy);
    }
    if (attr) dnnl_primitive_attr_destroy(attr);
    plain_desc_free(&a);
    plain_desc_free(&b);
    plain_desc_free(&any);
    plain_desc_free(&c);
    return s;
}

static tsr_status failure(tsr_context *ctx, dnnl_status_t s, const tsr_onednn *p) {
    return tsr_fail(ctx, s == dnnl_out_of_memory ? TSR_ERROR_MEMORY : TSR_ERROR_DEVICE,
                    "linear: oneDNN: [%lld, %lld] x [%lld, %lld]: wanted success, got status %d",
                    (long long)p->shape.rows, (long long)p->shape.k, (long long)p->shape.k,
                    (long long)p->shape.n, (int)s);
}

tsr_status tsr_onednn_open(tsr_context *ctx, tsr_onednn **product, const float *w,
                           tsr_onednn_shape shape) {
    *product = NULL;
    tsr_onednn *p = tsr_alloc(ctx, 1, sizeof *p, "oneDNN product");
    if (!p) return TSR_ERROR_MEMORY;
    p->shape = shape;
    int before = set_threads(p->shape.threads);
    dnnl_status_t s = make(p, w);
    restore_threads(before, p->shape.threads);
    tsr_status status = s ? failure(ctx, s, p) : TSR_OK;
    if (status)
        tsr_onednn_close(&p);
    else
        *product = p;
    return status;
}

void tsr_onednn_close(tsr_onednn **product) {
    tsr_onednn *p = product ? *product : NULL;
    if (!p) return;
    if (p->weights) dnnl_memory_destroy(p->weights);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->desc) dnnl_primitive_desc_destroy(p->desc);
    if (p->stream) dnnl_stream_destroy(p->stream);
    if (p->engine) dnnl_engine_destroy(p->engine);
    free(p->weights_data);
    free(p);
    *product = NULL;
}

static size_t rounded(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t tile_bytes(int64_t rows, int64_t cols) {
    return rounded((size_t)rows * (size_t)cols * sizeof(float));
}

size_t tsr_onednn_scratch_bytes(const tsr_onednn *p) {
    return rounded(p->scratchpad_bytes) + tile_bytes(p->shape.rows, p->shape.k) +
           tile_bytes(p->shape.rows, p->shape.n);
}

void tsr_onednn_product(tsr_onednn *p, const float *x, int64_t rows, float *y, void *scratch) {
    char *at = scratch;
    void *scratchpad = at;
    at += rounded(p->scratchpad_bytes);
    float *padded_x = (float *)at,
          *padded_y = (float *)(at + tile_bytes(p->shape.rows, p->shape.k));
    bool padded = rows < p->shape.rows;
    const void *source = x;
    if (p->shape.bf16) {
        uint16_t *half = (uint16_t *)padded_x;
        int64_t used = rows * p->shape.k;
        tsr_floats_to_bf16(half, x, used);
        memset(half + used, 0, (size_t)(p->shape.rows * p->shape.k - used) * sizeof *half);
        source = half;
    } else if (padded) {
        size_t used = (size_t)(rows * p->shape.k);
        memcpy(padded_x, x, used * sizeof *x);
        memset(padded_x + used, 0, tile_bytes(p->shape.rows, p->shape.k) - used * sizeof *x);
        source = padded_x;
    }
    dnnl_memory_t memory[3] = {NULL, NULL, NULL};
    dnnl_stream_t stream = NULL; /* streams belong to one thread at a time */
    int before = set_threads(p->shape.threads);
    dnnl_status_t s = dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags);
    if (!s) s = dnnl_memory_create(&memory[0], p->source, p->engine, (void *)(uintptr_t)source);
    if (!s) s = dnnl_memory_create(&memory[1], p->target, p->engine, padded ? padded_y : y);
    if (!s && p->scratchpad_bytes)
        s = dnnl_memory_create(&memory[2], p->scratchpad, p->engine, scratchpad);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory[0]},
                              {DNNL_ARG_WEIGHTS, p->weights},
                              {DNNL_ARG_DST, memory[1]},
                              {DNNL_ARG_SCRATCHPAD, memory[2]}};
    if (!s) s = execute_primitive(stream, p->primitive, args, memory[2] ? 4 : 3);
    for (int i = 0; i < 3; ++i)
        if (memory[i]) dnnl_memory_destroy(memory[i]);
    if (stream) dnnl_stream_destroy(stream);
    restore_threads(before, p->shape.threads);
    if (s)
        atomic_store(&p->failed, (int)s);
    else if (padded)
        memcpy(y, padded_y, (size_t)(rows * p->shape.n) * sizeof *y);
}

tsr_status tsr_onednn_status(tsr_context *ctx, tsr_onednn *p) {
    int s = atomic_exchange(&p->failed, 0);
    return s ? failure(ctx, (dnnl_status_t)s, p) : TSR_OK;
}

#else /* built without oneDNN */

bool tsr_onednn_is_fastest(bool use_avx512, bool use_avx2) {
    (void)use_avx512, (void)use_avx2;
    return false;
}
bool tsr_onednn_bf16_works(tsr_context *ctx) {
    (void)ctx;
    return false;
}
tsr_status tsr_onednn_open(tsr_context *ctx, tsr_onednn **product, const float *w,
                           tsr_onednn_shape shape) {
    (void)w;
    *product = NULL;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "linear: oneDNN: wanted for [%lld, %lld], but this build is without it",
                    (long long)shape.n, (long long)shape.k);
}
void tsr_onednn_close(tsr_onednn **product) {
    (void)product;
}
size_t tsr_onednn_scratch_bytes(const tsr_onednn *product) {
    (void)product;
    return 0;
}
void tsr_onednn_product(tsr_onednn *product, const float *x, int64_t rows, float *y,
                        void *scratch) {
    (void)product, (void)x, (void)rows, (void)y, (void)scratch;
}
tsr_status tsr_onednn_status(tsr_context *ctx, tsr_onednn *product) {
    (void)ctx, (void)product;
    return TSR_OK;
}

#endif
