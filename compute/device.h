/* SPDX-License-Identifier: MIT */
/* device.h: where arithmetic happens, and how a model function gets there.
 *
 * A model is one C function that calls ops (ops.h) on a run:
 *
 *     static void encode(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
 *         const mosaic *m = model;
 *         tsr_tensor *x = tsr_linear(r, in[0], &m->patch, NULL);      // [B, 256, D]
 *         ...
 *         out[0] = x;
 *     }
 *
 * On the cpu device each op executes when it is called. On vulkan the function is recorded once for
 * each (function, model, variant, input shapes), with barriers derived from what each op reads and
 * writes and activations placed in one arena by lifetime, and later calls replay the recording.
 * The function therefore must not look at tensor values, only at shapes and at the model.
 *
 * Errors inside a model function are sticky: an op that fails records the first failure in the run,
 * returns a tensor of rank 0, and every later op does nothing. The function reads from top to
 * bottom without checks; tsr_execute returns the status. */
#ifndef COMPUTE_DEVICE_H
#define COMPUTE_DEVICE_H

#include <tessera/tessera.h>

#include "context.h"
#include "tensor.h"
#include "weights.h"

/* A place where arithmetic happens, open. */
typedef struct tsr_device tsr_device;
/* One walk through a model function. */
typedef struct tsr_run tsr_run;

typedef enum tsr_device_kind { TSR_DEVICE_CPU = 0, TSR_DEVICE_VULKAN = 1 } tsr_device_kind;

/* What is known about a device without opening it. */
typedef struct tsr_device_info {
    tsr_device_kind kind;
    int index;      /* N of vulkan:N; 0 for cpu */
    char name[256]; /* "cpu", or the driver's device name */
    char vendor[64], driver[256], api[32];
    bool software; /* a CPU pretending to be a GPU: never chosen by itself */
    bool usable;   /* false: `reason` says why it is refused (the canary, no queue, ...) */
    bool chosen;   /* what "auto" takes; `reason` says why */
    char reason[256];
    uint32_t subgroup_size, subgroup_min, subgroup_max;
    uint32_t vendor_id, device_id, driver_id; /* vulkan: as Vulkan numbers them; driver_id 0: not
                                                 known */
    /* vulkan: what follows from all this (vulkan_choices.c). Where `subgroup_bodies` is false, ops
     * take the bodies that exchange nothing between the threads of a subgroup. Pipelines of matrix
     * units are pinned to `matrix_subgroup` threads; 0: matrix units are not used. */
    bool subgroup_bodies;
    uint32_t matrix_subgroup;
    char subgroup_reason[96], matrix_reason[128];
    bool fp16, bf16, int8, cooperative_matrix, subgroup_size_control; /* as the driver reports */
    uint64_t memory_bytes; /* largest device-local heap; cpu: what the process may use */
    /* What is free of it, by VK_EXT_memory_budget, when the device was looked at; 0: the driver
     * does not say, and for the cpu. */
    uint64_t memory_free_bytes;
    uint64_t max_storage_range, max_allocation;               /* bytes */
    uint32_t max_shared_bytes, max_workgroup, max_push_bytes; /* workgroup: invocations */
    uint32_t cores; /* multiprocessors (VK_NV_shader_sm_builtins) or compute units
                       (VK_AMD_shader_core_properties2); 0: the driver does not say */
} tsr_device_info;

/* In a mask: products in f32 may be made of three products of f16 on the matrix units of a Vulkan
 * device, which is about as exact (docs/gpu/EXACT.md): |x| up to 524,288 and |w| up to 4,094, and
 * NaN beyond. For devices whose f32 arithmetic is slow beside their matrix units. */
#define TSR_MASK_PAIRS "+pairs"

/* Kinds of products on matrix units. */
typedef enum tsr_matrix_trial {
    TSR_TRIAL_SUBGROUPS,  /* f16 operands, matrices of subgroups; with attention */
    TSR_TRIAL_WORKGROUPS, /* f16 operands, matrices of workgroups */
    TSR_TRIAL_PAIRS       /* f32 operands as pairs of f16, matrices of subgroups */
} tsr_matrix_trial;

/* How a device is opened. A struct of zeros is the default. */
typedef struct tsr_device_settings {
    const char *name;        /* "auto", "cpu", "vulkan", "vulkan:N"; default NULL: auto */
    tsr_precision precision; /* default TSR_PRECISION_F32 */
    const char *mask;        /* comma-separated variant names or capabilities that must not be used
                                ("subgroup", "coopmat", "onednn", "linear_sg"); an unknown name is
                                an ARGUMENT error that lists the known ones; default NULL: none.
                                TSR_MASK_PAIRS asks for what nobody gets otherwise */
    const char *const *switches; /* further names a mask may hold, which models query with
                                    tsr_device_masked; ended by NULL; read while the device is
                                    opened; default NULL: none */
    bool reference;              /* cpu: run every op's plain C reference; default false */
    bool validation;             /* vulkan: load the validation layer, whose messages fail the run;
                                    default false */
    bool allow_software; /* let "vulkan" (without :N) open a software device; default false */
    bool guard; /* tests: every activation gets its own place, filled with 0xFF and fenced; a write
                   beyond its end or before its start fails the run; default false */
    /* vulkan: most multiply-adds of a submission. A program is submitted in pieces of about this
     * size, so that a slow device is never busy so long that its driver resets it. Default 0: what
     * takes 50 ms, and at least 2^34. */
    double submission;
    /* vulkan: multiply-adds a second that the device is taken to do, by which long submissions and
     * dispatches are sized (vulkan_pace.c). Default 0: hardware is measured, and software devices
     * cut nothing. */
    double rate;
    /* vulkan: seconds without progress (no submission of the program ended) after which the device
     * counts as lost. Default 0: 60 on hardware, whose submissions are kept to seconds, and no
     * limit on software devices, which compute on the host's own processors: there one op may take
     * minutes on a busy machine, and nothing can hang that is not seen as a process that works. */
    double stuck_after;
    /* vulkan, TSR_PRECISION_FAST or TSR_MASK_PAIRS: computes known products with every form of a
     * kind that uses the device's matrix units, and fails where they are wrong (tsr_try_matrices of
     * ops.h); asked while the device is opened. A kind is used only if it succeeds. Default NULL:
     * none is. */
    tsr_status (*try_matrices)(tsr_device *device, tsr_matrix_trial trial);
    bool plan; /* cpu: computes no op, every activation is zeros: a quick way to
                  tsr_device_peak_bytes, which is then the most of all runs without the scratch of
                  single ops; default false */
} tsr_device_settings;

/* Default settings of a device. */
tsr_device_settings tsr_device_settings_default(void);

/* Lists all devices, cpu first, in *list, which the caller frees with free(). Without Vulkan the
 * list holds the cpu alone. Errors: MEMORY, DEVICE. */
tsr_status tsr_device_list(tsr_context *ctx, tsr_device_info **list, int *count);
/* Opens a device, which uses ctx until it is closed and belongs to the thread of ctx. settings may
 * be NULL (the defaults). *device is NULL on error. Errors: ARGUMENT (name not understood),
 * NO_DEVICE, DEVICE, MEMORY. */
tsr_status tsr_device_open(tsr_context *ctx, tsr_device **device,
                           const tsr_device_settings *settings);
/* Closes a device and sets *device to NULL. NULL and a NULL *device are accepted. */
void tsr_device_close(tsr_device **device);
/* Description of an open device. Owned by the device. */
const tsr_device_info *tsr_device_properties(const tsr_device *device);
/* Context that a device was opened with. */
tsr_context *tsr_device_context(const tsr_device *device);
/* What a device makes of products in place of f32, with TSR_PRECISION_FAST or TSR_MASK_PAIRS, for
 * people to read: "weights in bf16, products in f32". Empty when the device computes in f32. Owned
 * by the device. */
const char *tsr_device_fast_path(const tsr_device *device);
/* True once a product has been such. */
bool tsr_device_fast_used(const tsr_device *device);
/* True where ops run in the cpu's own loops: then a caller may use those (cpu/gemm.h) itself. */
bool tsr_device_is_plain_cpu(const tsr_device *device);
/* True if `name` was switched off with --mask. */
bool tsr_device_masked(const tsr_device *device, const char *name);

/* A model function: reads the tensors `in` and sets the tensors `out`. */
typedef void (*tsr_model_fn)(tsr_run *run, const void *model, tsr_tensor *const *in,
                             tsr_tensor **out);

#define TSR_MAX_IO 16

/* A model function and what it runs with. */
typedef struct tsr_program {
    tsr_model_fn fn;
    const void *model; /* first argument of fn, and identity of the weights; must outlive the device
                          or be forgotten (tsr_device_forget) */
    const void *args;  /* arguments beside the model, for tsr_run_args; NULL: none. Read only during
                          tsr_execute, so they may lie on the caller's stack. A recording is found
                          by fn, model, variant and shapes: an argument that changes the structure
                          of the function must change the variant, too */
    int64_t variant;   /* structure of the function; default 0 */
    const char *name;  /* for logs and benchmarks */
    bool pictures;     /* what is made are pixels, which nothing is decided by: with
                          TSR_PRECISION_FAST activations may be rounded once more between ops than
                          products round them (vulkan_halves.c). Default false: ids depend on it */
} tsr_program;

/* Arguments of the program that is being run. */
const void *tsr_run_args(const tsr_run *run);

/* Makes a tensor operand of a weight (positions, tables); its values stay in memory. */
tsr_tensor *tsr_from_weight(tsr_run *run, tsr_weight *weight);
/* Views the elements of x in another shape; no copy. */
tsr_tensor *tsr_reshape(tsr_run *run, const tsr_tensor *x, int rank, const int64_t *dim);

/* Runs a model function. `in` are host tensors. `out` are host tensors over the caller's memory,
 * whose dtype and element count must be those of the function's outputs; an output without memory
 * (data NULL) is not asked for, and neither kept nor brought to the host. Returns the first failure
 * of any op. Deterministic: equal inputs give equal bits for every thread count. Batch items must
 * be computed independently by the ops, so that batches of any size give the same bits too. */
tsr_status tsr_execute(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                       int in_count, tsr_tensor *out, int out_count);

/* Most programs that a device works on at a time. */
enum { TSR_FLIGHTS = 2 };
/* A program on its way. The caller's, at one place from tsr_execute_begin to tsr_execute_end; zeros
 * before. */
typedef struct tsr_flight {
    bool pending;      /* begun and not finished yet */
    tsr_status status; /* once finished */
    char detail[256];  /* text of `status` */
    tsr_tensor out[TSR_MAX_IO];
    int out_count;
} tsr_flight;
/* Begins what tsr_execute does and returns as soon as the inputs are read, so that the host can
 * prepare the next batch while the device computes. The outputs' memory belongs to the device until
 * tsr_execute_end. A device works on TSR_FLIGHTS programs at a time (with "in_flight" masked on
 * one): a further begin, or a recording that is made anew, first waits for the oldest, which is
 * then finished. The cpu device computes here and now. Bits are those of tsr_execute. After a
 * failure nothing is on its way. */
tsr_status tsr_execute_begin(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                             int in_count, const tsr_tensor *out, int out_count,
                             tsr_flight *flight);
/* Waits until a flight is finished, its outputs written, and returns its status. Whatever was begun
 * must be ended before its outputs, its model or the device go away; ending again does nothing. */
tsr_status tsr_execute_end(tsr_device *device, tsr_flight *flight);
/* Drops recordings and packed weights that belong to `model`. */
void tsr_device_forget(tsr_device *device, const void *model);

/* Walks through a model function as tsr_execute would, on tensors that have shapes and no values,
 * and computes nothing: for a function that leaves what it found about shapes in its arguments.
 * Data of `in` may be NULL. Returns the first failure of any op; what only a device can refuse (a
 * shape it has no form for) it does not see. */
tsr_status tsr_outline(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                       int in_count);

/* Bytes of the activations of the last tsr_execute at its peak. */
size_t tsr_device_peak_bytes(const tsr_device *device);

/* What a device was asked to do since it was opened. Of the cpu device, which shares the host's
 * memory, the executions and `busy` alone are counted. */
typedef struct tsr_device_traffic {
    uint64_t executions;  /* programs */
    uint64_t submissions; /* command buffers handed to the driver, for programs alone */
    uint64_t bytes_up;    /* of inputs of programs; weights and tables are not counted */
    uint64_t bytes_down;  /* of outputs of programs */
    double busy; /* seconds of computing programs: of the device's own clock where it has one, else
                    from submission to completion as the host saw them */
    double host_waited; /* seconds in which the host waited for programs */
} tsr_device_traffic;
tsr_device_traffic tsr_device_traffic_of(const tsr_device *device);

/* Starts timing the ops of programs (times.h) with empty sums, or stops it; the sums stay to be
 * read. Off when a device is opened, except with a context that logs TSR_LOG_DEBUG. Errors:
 * UNSUPPORTED (the cpu device; a queue without timestamps). */
tsr_status tsr_device_time_ops(tsr_device *device, bool on);
/* What was measured since tsr_device_time_ops. Owned by the device. */
const struct tsr_times *tsr_device_times(const tsr_device *device);

/* A scope frees the activations made inside it, all but one. Model functions wrap each block:
 *     tsr_scope s = tsr_scope_open(r);  x = vit_block(r, ...);  x = tsr_scope_close(r, s, x);
 * On vulkan a scope does nothing, as lifetimes are derived. */
typedef struct tsr_scope {
    void *block;
    size_t used;
} tsr_scope;
/* Opens a scope. */
tsr_scope tsr_scope_open(tsr_run *run);
/* Closes a scope and returns `result`, the tensor that survives; its data may have moved. */
tsr_tensor *tsr_scope_close(tsr_run *run, tsr_scope scope, tsr_tensor *result);

#endif
