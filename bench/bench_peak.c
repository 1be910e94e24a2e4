/* SPDX-License-Identifier: MIT */
/* bench_peak.c: what the machine can do at best: fused multiply-adds that never leave registers,
 * and copying memory that fits no cache. Rows are shown as shares of these two. */
#include "bench.h"
#include "../compute/threads.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 20000
#define CHAINS                                                                                     \
    12 /* independent sums: enough to hide the latency of an FMA, few enough to stay in            \
          the 16 registers of AVX2 */
#define COPY_BYTES ((size_t)64 << 20)

/* Sums live in registers only when every loop over them is unrolled: one that is not keeps them in
 * memory, and the "peak" is then half of what a matrix product reaches. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif

#define FMA_BODY(bytes)                                                                            \
    typedef float vec __attribute__((vector_size(bytes)));                                         \
    vec sum[CHAINS], a = {0}, c = {0};                                                             \
    a = a + 0.999999f;                                                                             \
    c = c + start;                                                                                 \
    UNROLL                                                                                         \
    for (int i = 0; i < CHAINS; ++i)                                                               \
        sum[i] = c * (float)(i + 1);                                                               \
    for (int r = 0; r < ROUNDS; ++r) {                                                             \
        UNROLL                                                                                     \
        for (int i = 0; i < CHAINS; ++i) {                                                         \
            sum[i] = sum[i] * a + c;                                                               \
            __asm__("" : "+" REGISTER(sum[i]));                                                    \
        }                                                                                          \
    }                                                                                              \
    float total = 0;                                                                               \
    UNROLL                                                                                         \
    for (int i = 0; i < CHAINS; ++i)                                                               \
        total += sum[i][0];                                                                        \
    return total;

#if defined(__x86_64__)
#define REGISTER(v) "x"(v)
__attribute__((target("avx2,fma"))) static float fma_avx2(float start) {
    FMA_BODY(32)
}
#undef REGISTER
#define REGISTER(v) "v"(v)
__attribute__((target("avx512f,fma"))) static float fma_avx512(float start) {
    FMA_BODY(64)
}
#undef REGISTER
#define REGISTER(v) "x"(v)
static float fma_plain(float start) {
    FMA_BODY(16)
}
#elif defined(__aarch64__)
#define REGISTER(v) "w"(v)
static float fma_plain(float start) {
    FMA_BODY(16)
}
#else
#define REGISTER(v) "m"(v)
static float fma_plain(float start) {
    FMA_BODY(16)
}
#endif

typedef struct probe {
    tsr_context *ctx;
    float (*fn)(float);
    int lanes;
    volatile float sink; /* keeps the arithmetic alive; every worker writes it, none reads it */
    uint8_t *from, *to;
} probe;

static void choose(probe *p) {
    p->fn = fma_plain;
    p->lanes = 4;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        p->fn = fma_avx2;
        p->lanes = 8;
    }
    if (__builtin_cpu_supports("avx512f")) {
        p->fn = fma_avx512;
        p->lanes = 16;
    }
#endif
}

static void fma_tile(void *arg, int64_t tile, int worker) {
    probe *p = arg;
    (void)worker;
    float y = p->fn((float)(tile + 1) * 1e-6f);
    __atomic_store((float *)(uintptr_t)&p->sink, &y, __ATOMIC_RELAXED);
}

static tsr_status fma_run(void *arg) {
    probe *p = arg;
    tsr_parallel(p->ctx, tsr_thread_count(p->ctx) * 8, fma_tile, p);
    return TSR_OK;
}

static void copy_tile(void *arg, int64_t tile, int worker) {
    probe *p = arg;
    size_t part = COPY_BYTES / 64;
    (void)worker;
    memcpy(p->to + (size_t)tile * part, p->from + (size_t)tile * part, part);
}

static tsr_status copy_run(void *arg) {
    probe *p = arg;
    tsr_parallel(p->ctx, 64, copy_tile, p);
    return TSR_OK;
}

static double best_seconds(tsr_status (*run)(void *), probe *p) {
    double best = 1e30;
    for (int i = 0; i < 12; ++i) {
        struct timespec t0, t1;
        clock_gettime(CLOCK_MONOTONIC, &t0);
        run(p);
        clock_gettime(CLOCK_MONOTONIC, &t1);
        double s = (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
        if (i && s < best) best = s; /* the first round starts threads and faults pages in */
    }
    return best;
}

static double fma_flops(const probe *p) {
    return 2.0 * ROUNDS * CHAINS * p->lanes * 8 * tsr_thread_count(p->ctx);
}

static tsr_status copy_open(tsr_context *ctx, probe *p) {
    p->from = tsr_alloc(ctx, COPY_BYTES, 1, "copy probe");
    p->to = tsr_alloc(ctx, COPY_BYTES, 1, "copy probe");
    if (p->from && p->to) {
        memset(p->from, 1, COPY_BYTES); /* otherwise every page is the kernel's one zero page */
        return TSR_OK;
    }
    free(p->from);
    free(p->to);
    p->from = p->to = NULL;
    return TSR_ERROR_MEMORY;
}

tsr_bench_peaks tsr_bench_measure_peaks(tsr_context *ctx) {
    probe p = {.ctx = ctx};
    choose(&p);
    tsr_bench_peaks peaks = {.gflops = fma_flops(&p) / best_seconds(fma_run, &p) * 1e-9};
    if (copy_open(ctx, &p) == TSR_OK)
        peaks.gbs = 2.0 * (double)COPY_BYTES / best_seconds(copy_run, &p) * 1e-9;
    free(p.from);
    free(p.to);
    return peaks;
}

tsr_status tsr_bench_suite_peak(tsr_bencher *b) {
    if (!tsr_bench_wants_cpu(b)) return TSR_OK;
    probe p = {.ctx = b->ctx};
    tsr_status s = TSR_OK;
    choose(&p);
    if (tsr_bench_wants(b, "peak fma")) {
        tsr_bench_row row = {.name = "peak fma", .by = "machine", .flops = fma_flops(&p)};
        s = tsr_bench_time(b, &row, fma_run, &p);
    }
    if (!s && tsr_bench_wants(b, "peak copy")) {
        tsr_bench_row row = {
            .name = "peak copy", .by = "machine", .dtype = "u8", .bytes = 2.0 * (double)COPY_BYTES};
        s = copy_open(b->ctx, &p);
        if (!s) s = tsr_bench_time(b, &row, copy_run, &p);
        free(p.from);
        free(p.to);
    }
    return s;
}
