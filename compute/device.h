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

typedef struct tsr_device tsr_device;
typedef struct tsr_run tsr_run;

typedef enum tsr_device_kind { TSR_DEVICE_CPU = 0, TSR_DEVICE_VULKAN = 1 } tsr_device_kind;

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
    bool fp16, bf16, int8, cooperative_matrix, subgroup_size_control; /* as the driver says */
    uint64_t memory_bytes; /* largest device-local heap; RAM for cpu */
    uint64_t max_storage_range, max_allocation;
    uint32_t max_shared_bytes, max_workgroup, max_push_bytes;
} tsr_device_info;

typedef struct tsr_device_settings {
    const char *name; /* "auto" (default), "cpu", "vulkan", "vulkan:N" */
    tsr_precision precision;
    const char *mask; /* comma-separated variant names or capabilities that must not be used
                         ("subgroup", "coopmat", "onednn", "linear_sg"), NULL = none; an
                         unknown name is an ARGUMENT error that lists the known ones */
    const char *const *switches; /* further names a mask may hold, which models ask for with
                                    tsr_device_masked; ended by NULL; read while the device is
                                    opened; default NULL = none */
    bool reference;              /* cpu: run every op's plain C reference */
    bool validation;             /* vulkan: load the validation layer; messages fail the run */
    bool allow_software;         /* let "vulkan" (without :N) take a software device */
    bool guard; /* tests: every activation gets its own place, filled with 0xFF and fenced;
                   a write beyond its end or before its start fails the run */
    /* vulkan: most multiply-adds of a submission, 0 = 2^34. A program goes to the device in pieces
     * of about so many: a slow one is then never busy so long that its driver gives it up. An op is
     * not divided. */
    double submission;
    bool plan; /* cpu: no op is computed, every activation is zeros: what a model needs is
                  then known soon (tsr_device_peak_bytes: the most of all runs, without
                  what single ops take for themselves) */
} tsr_device_settings;

tsr_device_settings tsr_device_settings_default(void);

/* Lists all devices: cpu first. *list is malloc'd, free with free(). Never fails for want of
 * Vulkan: then the list holds cpu alone. */
tsr_status tsr_device_list(tsr_context *ctx, tsr_device_info **list, int *count);
/* Opens a device. It uses ctx until it is closed and belongs to the same thread.
 * Errors: ARGUMENT (name not understood), NO_DEVICE, DEVICE, MEMORY. */
tsr_status tsr_device_open(tsr_context *ctx, tsr_device **device,
                           const tsr_device_settings *settings);
void tsr_device_close(tsr_device **device);
const tsr_device_info *tsr_device_properties(const tsr_device *device);
tsr_context *tsr_device_context(const tsr_device *device);
/* What the device makes of TSR_PRECISION_FAST, for people to read: "weights in bf16, products in
 * f32". Empty when it was opened for f32, or computes in f32 all the same. */
const char *tsr_device_fast_path(const tsr_device *device);
/* True once a product has gone that way. */
bool tsr_device_fast_used(const tsr_device *device);
/* True if `name` was switched off with --mask. */
bool tsr_device_masked(const tsr_device *device, const char *name);

typedef void (*tsr_model_fn)(tsr_run *run, const void *model, tsr_tensor *const *in,
                             tsr_tensor **out);

#define TSR_MAX_IO 16

typedef struct tsr_program {
    tsr_model_fn fn;
    const void *model; /* identity of the weights; must outlive the device or be forgotten first */
    const void *args;  /* what tsr_run_args hands the function; NULL = nothing. Read during the walk
                          alone, so it may lie on the caller's stack. A recording is found by fn,
                          model, variant and shapes: whatever in args changes the structure of the
                          function must change the variant, too */
    int64_t variant;   /* default 0 */
    const char *name;  /* for logs and benchmarks */
} tsr_program;

/* The program's `args`, for its function. */
const void *tsr_run_args(const tsr_run *run);

/* Runs a model function. in: host tensors, read only. out: host tensors whose dtype and element
 * count must equal what the function makes; data is filled in. Returns the first failure of any op.
 * Deterministic: the same inputs give the same bits for every thread count. Batch items must be
 * computed independently by the ops, so that batches of any size give the same bits too. */
tsr_status tsr_execute(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                       int in_count, tsr_tensor *out, int out_count);
/* Drops recordings and packed weights that belong to `model`. */
void tsr_device_forget(tsr_device *device, const void *model);

/* How many bytes the last tsr_execute had in activations at its peak (both devices). */
size_t tsr_device_peak_bytes(const tsr_device *device);

/* Frees activations made since `mark` on the cpu device, keeping `keep` (moved down); a no-op on
 * vulkan, where lifetimes are derived. Model functions wrap each block in it:
 *     tsr_scope s = tsr_scope_open(r);  x = vit_block(r, ...);  x = tsr_scope_close(r, s, x); */
typedef struct tsr_scope {
    void *block;
    size_t used;
} tsr_scope;
tsr_scope tsr_scope_open(tsr_run *run);
tsr_tensor *tsr_scope_close(tsr_run *run, tsr_scope scope, tsr_tensor *keep);

#endif
