/* SPDX-License-Identifier: MIT */
/* op.h: how an op is described to the devices. Only ops/<op>.c and device_*.c include this.
 *
 * An op file defines `const tsr_op tsr_op_<name>` and its public function, which checks shapes,
 * makes the outputs with tsr_run_new and hands a tsr_call to tsr_run_emit. ops.def lists the name
 * once. */
#ifndef COMPUTE_OP_H
#define COMPUTE_OP_H

#include "device.h"
#include "ops.h"
#include "threads.h"

#define TSR_CALL_TENSORS 8

typedef struct tsr_op tsr_op;

typedef struct tsr_call {
    const tsr_op *op;
    const tsr_tensor *in[TSR_CALL_TENSORS]; /* NULL = absent operand */
    tsr_tensor *out[TSR_CALL_TENSORS];
    int in_count, out_count;
    tsr_weight *weight; /* set when in[1] is a weight that may be used in packed form */
    union {             /* the op's own numbers; plain old data, replayed as they are */
        int32_t i[24];  /* the two overlay each other: number the fields once for both */
        float f[24];
    } p;
    /* Host table an op computed from shapes alone (resize weights); copied by tsr_run_emit and
     * uploaded once for each recording; bound after the inputs and outputs. */
    const void *table;
    size_t table_bytes;
} tsr_call;

/* What a GPU dispatch needs; filled by the op's `gpu` function from shapes and capabilities. */
typedef struct tsr_gpu_caps {
    uint32_t subgroup_size; /* what the pipeline will really have */
    bool subgroup_ops;      /* arithmetic, ballot, shuffle */
    /* --precision fast: products may take weights as pairs of f16 in words (unpackHalf2x16, which
     * needs no feature of the device), x rounded to f16, sums in f32. */
    bool fp16;
    uint32_t matrix[3]; /* --precision fast: M, N, K of cooperative matrices f16 x f16 -> f32 */
    bool int64;         /* 64-bit integers in shaders */
    uint32_t max_shared_bytes, max_workgroup;
    bool software; /* CPU device: choose subgroup-broadcast bodies */
    bool (*allowed)(const void *device, const char *variant); /* the --mask */
    const void *device;
} tsr_gpu_caps;

typedef struct tsr_gpu_dispatch {
    const char *variant; /* a line of vulkan_shaders/variants.txt */
    uint32_t spec[16];   /* specialisation constants 0.. in order */
    int spec_count;
    uint32_t groups[3]; /* each at most 65535 */
    uint8_t push[128];  /* bytes of the shader's push-constant block, after the offsets */
    uint32_t push_bytes;
    /* Which tensors are bound, in binding order: 0..7 = in[i], 8..15 = out[i-8], 16 = table, 17 =
     * the weight in[1] as pairs of f16 (TSR_BIND_HALF). */
    uint8_t bind[TSR_CALL_TENSORS];
    int bind_count;
    bool full_subgroups; /* local_size_x is a multiple of the subgroup size, and that matters */
} tsr_gpu_dispatch;

/* A weight as f16, two in a word, rounded to nearest, at most 65504 in magnitude; made when it is
 * uploaded, once. in[1] came from tsr_run_weight: [N, K rounded up to 8], zeros past K. From
 * tsr_run_kernel: words [kh, kw, C rounded up to 4 / 2, N rounded up to 4] of two channels each. */
enum { TSR_BIND_HALF = 17 };

#define TSR_MAX_DISPATCHES 8

struct tsr_op {
    const char *name;
    /* Plain C, obviously right, single-threaded; what tests compare with. Never NULL. */
    void (*reference)(const tsr_call *call);
    /* Fast cpu path over the thread pool, or NULL: the reference is used. */
    tsr_status (*cpu)(tsr_device *device, const tsr_call *call);
    /* Describes up to TSR_MAX_DISPATCHES dispatches run in order with a barrier between, returns
     * how many; 0 = this op has no GPU form for these shapes (the run fails with UNSUPPORTED). */
    int (*gpu)(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *dispatch);
    /* Of a product: how many multiply-adds it takes. NULL: as many as it makes numbers. */
    double (*work)(const tsr_call *call);
};

/* How the cpu device computes linear and conv2d. FAST chooses, when the device is opened, the first
 * of the others that the processor is good at; else it is f32 as well. */
typedef enum tsr_cpu_products {
    TSR_PRODUCTS_F32,
    TSR_PRODUCTS_BF16,        /* both operands rounded to bf16, by oneDNN (avx512_bf16, AMX) */
    TSR_PRODUCTS_BF16_WEIGHTS /* weights rounded to bf16 and kept so, our own kernels; not in
                                 conv2d_winograd.c */
} tsr_cpu_products;
tsr_cpu_products tsr_device_products(const tsr_device *device);
/* True if f32 products of a cpu device go through oneDNN: the fastest form --mask leaves. */
bool tsr_device_uses_onednn(const tsr_device *device);
/* The op has taken another form than f32: tsr_device_fast_used. */
void tsr_device_use_fast(tsr_device *device);

#define TSR_OP(name) extern const tsr_op tsr_op_##name;
#include "ops.def"
#undef TSR_OP

/* True once anything in the run has failed; an op then returns tsr_run_failed's tensor at once. */
bool tsr_run_is_failed(const tsr_run *r);
tsr_tensor *tsr_run_failed(tsr_run *r);
/* Records the failure (if it is the first) and returns the rank-0 tensor. */
tsr_tensor *tsr_run_fail(tsr_run *r, tsr_status status, const char *format, ...) TSR_PRINTF(3, 4);
/* A new tensor of the run: host memory on cpu, a number for the planner on vulkan. */
tsr_tensor *tsr_run_new(tsr_run *r, tsr_dtype dtype, int rank, const int64_t *dim);
/* Another view of x's memory. */
tsr_tensor *tsr_run_view(tsr_run *r, const tsr_tensor *x, int rank, const int64_t *dim);
/* The weight as an operand an op uses in packed form alone (tsr_call.weight): unlike
 * tsr_from_weight it does not ask for the values to stay in memory. */
tsr_tensor *tsr_run_weight(tsr_run *r, tsr_weight *w);
/* A convolution's weight [N, C, kh, kw] as an operand. cpu: as tsr_run_weight. vulkan: [kh, kw, C,
 * N rounded up to 4], zeros past N, so that neighbouring invocations read neighbouring words. */
tsr_tensor *tsr_run_kernel(tsr_run *r, tsr_weight *w);
/* Executes (cpu) or records (vulkan) the call. */
void tsr_run_emit(tsr_run *r, const tsr_call *call);
tsr_device *tsr_run_device(const tsr_run *r);
tsr_context *tsr_run_context(const tsr_run *r);
/* Scratch on the cpu device, freed after the op; 64-byte aligned. NULL fails the run. */
void *tsr_device_scratch(tsr_device *device, size_t bytes);

#endif
