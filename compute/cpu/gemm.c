/* SPDX-License-Identifier: MIT */
/* gemm.c: gemm_kernel.h compiled for each instruction set, and the choice between them. */
#include "gemm.h"
#include "../op.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Loops over the rows of a register tile: their sums are in registers only when unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Plain vectors of 16 bytes: SSE2 on x86-64, NEON on aarch64 (which has 32 registers). */
#define NAME(x)     x##_baseline
#define KERNEL_NAME "baseline"
#define TARGET
#define VW 4
#define KC 512
#if defined(__aarch64__)
#define MR 10
#else
#define MR 6
#endif
#include "gemm_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define NAME(x)            x##_avx2
#define KERNEL_NAME        "avx2"
#define TARGET             __attribute__((target("avx2,fma")))
#define VW                 8
#define MR                 6
#define KC                 384
#define SELECT(m, yes, no) (VF) _mm256_blendv_ps((__m256)(no), (__m256)(yes), (__m256)(m))
#define MAX(a, b)          (VF) _mm256_max_ps((__m256)(a), (__m256)(b))
#define MIN(a, b)          (VF) _mm256_min_ps((__m256)(a), (__m256)(b))
#include "gemm_kernel.h"

#define NAME(x)     x##_avx512
#define KERNEL_NAME "avx512"
#define TARGET      __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")))
#define VW          16
#define MR          12
#define KC          256
#define SELECT(m, yes, no)                                                                         \
    (VF) _mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)(m)), (__m512)(no), (__m512)(yes))
#define MAX(a, b) (VF) _mm512_max_ps((__m512)(a), (__m512)(b))
#define MIN(a, b) (VF) _mm512_min_ps((__m512)(a), (__m512)(b))
#include "gemm_kernel.h"
#endif

const tsr_gemm_kernels *tsr_gemm_select(const tsr_device *device) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("fma") &&
        !(device && tsr_device_masked(device, kernels_avx512.name)))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        !(device && tsr_device_masked(device, kernels_avx2.name)))
        return &kernels_avx2;
#endif
    (void)device;
    return &kernels_baseline;
}
