/* SPDX-License-Identifier: MIT */
/* run.h: what device.c, device_open.c, run.c and the two devices share. Ops and models never
 * include it.
 *
 * A device is a table of functions (tsr_backend). A run is one walk through a model function: on
 * the cpu device its ops execute, on vulkan they are written down. */
#ifndef COMPUTE_RUN_H
#define COMPUTE_RUN_H

#include "arena.h"
#include "op.h"

typedef struct tsr_backend {
    void (*close)(tsr_device *device);
    tsr_status (*execute)(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                          int in_count, tsr_tensor *out, int out_count);
    void (*forget)(tsr_device *device, const void *model);
    /* Gives a new activation its memory (or number); false after tsr_fail with *status set. */
    tsr_status (*make)(tsr_run *run, tsr_tensor *tensor);
    /* kernel: as tsr_run_kernel says; the tensor has that shape already. */
    tsr_status (*weight)(tsr_run *run, tsr_tensor *tensor, tsr_weight *weight, bool kernel);
    tsr_status (*emit)(tsr_run *run, const tsr_call *call);
} tsr_backend;

struct tsr_device {
    tsr_context *ctx;
    const tsr_backend *backend;
    tsr_device_info info;
    tsr_device_settings settings; /* name and mask point to the copies below */
    char name[64];
    char *mask;
    char fast_path[96]; /* tsr_device_fast_path; set when the device is opened */
    bool fast_used;
    tsr_cpu_products cpu_products; /* cpu */
    bool onednn;                   /* cpu: tsr_device_uses_onednn; set when it is opened */
    tsr_run *run;                  /* while a model function is being walked */
    tsr_arena nodes;               /* tensor structs of the run, kept until it ends */
    tsr_arena data;                /* cpu: activations */
    tsr_arena scratch;             /* cpu: of one op */
    size_t peak;
    tsr_status lost; /* sticky */
    char lost_detail[256];
    void *vulkan; /* device_vulkan.c's own */
};

struct tsr_run {
    tsr_device *device;
    tsr_status status; /* the first failure */
    tsr_tensor failed; /* the rank-0 tensor */
    const void *args;  /* of the program being walked through */
    void *recording;   /* device_vulkan.c's own */
};

/* device_cpu.c: fills *info for the cpu of this machine. */
void tsr_cpu_describe(tsr_device_info *info);
/* Makes *device a cpu device; its settings and mask are set already. */
tsr_status tsr_cpu_open(tsr_device *device);

/* device_vulkan.c; absent when built without Vulkan. */
typedef struct tsr_device_entry {
    tsr_device_info info;
    int rank; /* smaller is preferred: discrete, integrated, virtual, other, software */
} tsr_device_entry;
/* Lists Vulkan devices; *count = 0 with TSR_OK when there is no loader or no driver. With `quick`
 * the canary is left out. *list is malloc'd. */
tsr_status tsr_vulkan_list(tsr_context *ctx, tsr_device_entry **list, int *count, bool quick);
/* Opens device->info.index. */
tsr_status tsr_vulkan_open(tsr_device *device);

/* run.c: walks the function; fills `made` with what it made. */
tsr_status tsr_run_walk(tsr_run *run, const tsr_program *program, tsr_tensor *const *in,
                        tsr_tensor **made, int out_count);
/* device.c: "out[0] of mosaic: wanted F32 [..], got ..." */
tsr_status tsr_check_output(tsr_device *device, const tsr_program *program, int index,
                            const tsr_tensor *made, const tsr_tensor *wanted);

#endif
