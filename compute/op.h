/* SPDX-License-Identifier: MIT */
/* op.h: how an op is described to the devices. Only the ops and the devices include this.
 *
 * An op's file (../ops/<op>.c) holds its tsr_op and its public function, which checks shapes, makes
 * the outputs with tsr_run_new and hands a tsr_call to tsr_run_emit. No list names the ops: a call
 * carries its own. */
#ifndef COMPUTE_OP_H
#define COMPUTE_OP_H

#include "device.h"
#include "threads.h"

#define TSR_CALL_TENSORS 8

typedef struct tsr_op tsr_op;

/* Pieces of a tensor seen as rows of its last dimension: each is `rows` of its rows by `cols`
 * neighbouring columns. The rows are neighbours, or a patch of one picture; of any number of rows
 * from the start that is a multiple of a picture's the pieces come first. Of each piece there are
 * two f32, the mean and the sum of squared differences from it, in a tensor [rows of the tensor /
 * rows, columns / cols, 2]. rows 0: nothing is known of them. */
typedef struct tsr_statistics {
    int32_t rows, cols;
} tsr_statistics;

/* One use of an op: its operands and numbers. */
typedef struct tsr_call {
    const tsr_op *op;
    const tsr_tensor *in[TSR_CALL_TENSORS]; /* NULL = absent operand */
    tsr_tensor *out[TSR_CALL_TENSORS];
    int in_count, out_count;
    tsr_weight *weight; /* set when in[1] is a weight that may be used in packed form */
    union {             /* the op's own numbers; plain old data, replayed as they are */
        int32_t i[24];  /* i and f share memory: number the fields once for both */
        float f[24];
    } p;
    /* Host table that the op computed from shapes alone (weights of resize), or NULL. tsr_run_emit
     * copies the table; a recording uploads its copy once. Bound after inputs and outputs. */
    const void *table;
    size_t table_bytes;
    /* Set by a device between recording and `gpu` (tsr_op.gives_statistics): a call that gives
     * statistics of out[0] writes them to out[1], a call that takes those of in[0] reads them from
     * its last operand. */
    tsr_statistics statistics;
} tsr_call;

/* Capabilities of a GPU, after --mask, for an op's `gpu` function. */
typedef struct tsr_gpu_caps {
    uint32_t subgroup_size; /* of the pipelines that will be made */
    bool subgroup_ops;      /* arithmetic, ballot, shuffle */
    /* --precision fast: products may take weights as pairs of f16 in words (unpackHalf2x16, which
     * needs no feature of the device), x rounded to f16, sums in f32. */
    bool fp16;
    /* M, N, K of cooperative matrices f16 x f16 -> f32; zeros unless fp16 or pairs ask for them. */
    uint32_t matrix[3];
    bool pairs; /* --mask +pairs: products in f32 may be made of pairs of f16 on those matrices */
    /* Subgroup size of the pipelines that use them (tsr_gpu_dispatch.subgroup_size). */
    uint32_t matrix_subgroup;
    /* --precision fast: what M, N, K of matrices f16 x f16 -> f32 are multiples of that a workgroup
     * holds (VK_NV_cooperative_matrix2), of 128 and of 256 invocations; 0: it holds none. */
    uint32_t workgroup_matrix[2][3];
    bool int64; /* 64-bit integers in shaders */
    uint32_t max_shared_bytes, max_workgroup;
    bool software; /* CPU device: choose subgroup-broadcast bodies */
    bool (*allowed)(const void *device, const char *variant); /* false: --mask names the variant */
    const void *device;                                       /* first argument of `allowed` */
} tsr_gpu_caps;

/* One dispatch of a shader, filled by an op's `gpu` function from shapes and capabilities. */
typedef struct tsr_gpu_dispatch {
    const char *variant; /* a line of vulkan_shaders/variants.txt */
    uint32_t spec[16];   /* specialisation constants 0.. in order */
    int spec_count;
    uint32_t groups[3]; /* each at most 65535 */
    uint8_t push[128];  /* the shader's push constants, after the offsets of the tensors */
    uint32_t push_bytes;
    /* Which tensors are bound, in binding order: 0..7 = in[i], 8..15 = out[i-8], 16 = table, 17
     * to 19 = the weight in[1] in f16 (TSR_BIND_HALF, TSR_BIND_HALF_ROWS, TSR_BIND_PAIRS). */
    uint8_t bind[TSR_CALL_TENSORS];
    int bind_count;
    bool full_subgroups;    /* local_size_x is a multiple of the subgroup size, and that matters */
    uint32_t subgroup_size; /* pinned for this one; 0: caps->subgroup_size */
    /* How the device may cut a long dispatch into several of some of its groups each: group g along
     * `axis` takes the rows from g x rows on and stops at their number, which is word `count_at` of
     * push and used for nothing but where rows end. rows 0: it may not be cut. A grid whose groups
     * stride on, as it would have more than 65535, is never cut. */
    struct {
        uint32_t rows;
        uint8_t axis, count_at;
    } cut;
    uint32_t pieces; /* set by the device: how many it makes of it; 0 and 1: it is left whole */
} tsr_gpu_dispatch;

/* Binding of the weight in[1] as f16, two in a word, rounded to nearest, at most 65504 in
 * magnitude; made once, when the weight is uploaded. Layout of a weight from tsr_run_weight: [N, K
 * rounded up to 8], zeros past K. Of a weight from tsr_run_kernel: words [kh, kw, C rounded up to 4
 * / 2, N rounded up to 4], each of two channels. The second form is a weight from tsr_run_kernel as
 * the rows that a matrix unit multiplies: [kh, kw, N, C rounded up to 8], zeros past C. */
enum { TSR_BIND_HALF = 17, TSR_BIND_HALF_ROWS = 18 };

/* Binding of the weight in[1] as pairs of f16: w 16 = h + l / 2048, both rounded to nearest; NaN
 * where h would be infinite. Rows as TSR_BIND_HALF of tsr_run_weight and TSR_BIND_HALF_ROWS of
 * tsr_run_kernel, but eight h, then their eight l, then the next eight h. */
enum { TSR_BIND_PAIRS = 19 };

#define TSR_MAX_DISPATCHES 8

/* What f16 operands change of a result that goes out as f16. */
typedef enum tsr_carrying {
    TSR_CARRIES_NONE,   /* nothing: a product, which rounds its operands itself */
    TSR_CARRIES_MOVED,  /* nothing: values go elsewhere and stay what they are */
    TSR_CARRIES_ROUNDED /* digits: it computes with what was rounded once more */
} tsr_carrying;

/* An op: its name and one function for each form. */
struct tsr_op {
    const char *name;
    /* Plain C, single-threaded, the reference of tests. Never NULL. */
    void (*reference)(const tsr_call *call);
    /* Fast cpu path over the thread pool, or NULL: the reference is used. */
    tsr_status (*cpu)(tsr_device *device, const tsr_call *call);
    /* Describes up to TSR_MAX_DISPATCHES dispatches, which execute in order with barriers between,
     * and returns their number. 0: no GPU form for these shapes, the run fails with UNSUPPORTED. */
    int (*gpu)(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *dispatch);
    /* Operands and results that `gpu` takes as f16 as well as f32 when caps->fp16 is set: bit i for
     * in[i], bit TSR_CALL_TENSORS + i for out[i]. What is chosen (vulkan_halves.c) shows in the
     * dtype of the call's tensors when `gpu` is asked. An f16 tensor has the shape and order of the
     * f32 one, two elements in a word, the first in its low half, rounded as half_round of
     * vulkan_shaders/half.glsl does. NULL: none. */
    uint32_t (*halves)(const tsr_call *call, const tsr_gpu_caps *caps);
    /* A norm that needs the statistics of its operand in[0] may have them from the op that makes
     * it, and then reads it once less (vulkan_statistics.c). gives_statistics: of which pieces of
     * out[0] `gpu` can write them, rows 0 = none. Neither they nor a bit of them may depend on the
     * number of rows: they belong to the layer. takes_statistics: whether `gpu` wants them of these
     * pieces; it then finds them in in[in_count - 1], which is absent otherwise. NULL: neither. */
    tsr_statistics (*gives_statistics)(const tsr_call *call, const tsr_gpu_caps *caps);
    bool (*takes_statistics)(const tsr_call *call, const tsr_gpu_caps *caps, tsr_statistics pieces);
    /* What an op that is no product does with f16: it takes it only where its result goes out as
     * f16. */
    tsr_carrying carries;
    /* Number of multiply-adds of a product. NULL: one for each element of the output. */
    double (*work)(const tsr_call *call);
};

/* How the cpu device computes linear and conv2d. A device opened with TSR_PRECISION_FAST takes the
 * first bf16 form that the processor has instructions for, or else f32. */
typedef enum tsr_cpu_products {
    TSR_PRODUCTS_F32,
    TSR_PRODUCTS_BF16, /* both operands rounded to bf16, by oneDNN (avx512_bf16, AMX); without
                          AMX not in conv2d_winograd.c */
    TSR_PRODUCTS_BF16_WEIGHTS /* weights rounded to bf16 and kept so, our own kernels; not in
                                 conv2d_winograd.c */
} tsr_cpu_products;
/* Form of a cpu device's products. */
tsr_cpu_products tsr_device_products(const tsr_device *device);
/* True if the processor of a cpu device has matrix units for bf16 products (AMX). */
bool tsr_device_bf16_matrix(const tsr_device *device);
/* True if f32 products, or convolutions, of a cpu device are computed by oneDNN, as the fastest
 * form that --mask allows. */
bool tsr_device_onednn_linear(const tsr_device *device);
bool tsr_device_onednn_conv(const tsr_device *device);
/* Records that an op took another form than f32, for tsr_device_fast_used. */
void tsr_device_use_fast(tsr_device *device);

/* True once an op of the run has failed; an op then returns tsr_run_failed at once. */
bool tsr_run_is_failed(const tsr_run *r);
/* Rank-0 tensor that stands for the result of a failed op. */
tsr_tensor *tsr_run_failed(tsr_run *r);
/* Records a failure, if it is the run's first, and returns tsr_run_failed. */
tsr_tensor *tsr_run_fail(tsr_run *r, tsr_status status, const char *format, ...) TSR_PRINTF(3, 4);
/* Makes a tensor, owned by the run: host memory on cpu, a number for the planner on vulkan. */
tsr_tensor *tsr_run_new(tsr_run *r, tsr_dtype dtype, int rank, const int64_t *dim);
/* Makes a tensor of another shape over the memory of x. */
tsr_tensor *tsr_run_view(tsr_run *r, const tsr_tensor *x, int rank, const int64_t *dim);
/* Makes an operand of a weight that the op uses only in packed form (tsr_call.weight): unlike
 * tsr_from_weight this does not pin the values in memory. */
tsr_tensor *tsr_run_weight(tsr_run *r, tsr_weight *w);
/* Makes an operand of a convolution's weight [N, C, kh, kw]. On cpu as tsr_run_weight; on vulkan
 * the layout is [kh, kw, C, N rounded up to 4], zeros past N, so that neighbouring invocations read
 * neighbouring words. */
tsr_tensor *tsr_run_kernel(tsr_run *r, tsr_weight *w);
/* Executes (cpu) or records (vulkan) the call. */
void tsr_run_emit(tsr_run *r, const tsr_call *call);
/* Device and context of a run. */
tsr_device *tsr_run_device(const tsr_run *r);
tsr_context *tsr_run_context(const tsr_run *r);
/* Takes scratch on the cpu device, 64-byte aligned, freed after the op. NULL after a failure of the
 * run. */
void *tsr_device_scratch(tsr_device *device, size_t bytes);

#endif
