/* SPDX-License-Identifier: MIT */
/* run.h: what device.c, device_open.c, run.c and the two devices share. Ops and models never
 * include it.
 *
 * A device is a table of functions (tsr_backend). A run is one walk through a model function: on
 * the cpu device its ops execute, on vulkan they are written down. */
#ifndef COMPUTE_RUN_H
#define COMPUTE_RUN_H

#include <sys/types.h>

#include "arena.h"
#include "op.h"
#include "times.h"

/* What a kind of device does. */
typedef struct tsr_backend {
    void (*close)(tsr_device *device);
    /* Begins a program; flight->out and out_count are set. On cpu it is finished then. */
    tsr_status (*begin)(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                        int in_count, tsr_flight *flight);
    void (*finish)(tsr_device *device, tsr_flight *flight); /* of one that is pending */
    void (*forget)(tsr_device *device, const void *model);
    /* Gives a new activation its memory (cpu) or its number (vulkan). */
    tsr_status (*make)(tsr_run *run, tsr_tensor *tensor);
    /* Makes *tensor an operand of a weight; `kernel` asks for the layout of tsr_run_kernel, whose
     * shape the tensor has already. */
    tsr_status (*weight)(tsr_run *run, tsr_tensor *tensor, tsr_weight *weight, bool kernel);
    tsr_status (*emit)(tsr_run *run, const tsr_call *call);
} tsr_backend;

struct tsr_device {
    tsr_context *ctx;
    const tsr_backend *backend;
    pid_t process; /* that opened the device */
    tsr_device_info info;
    tsr_device_settings settings; /* name and mask point to the copies below */
    char name[64];
    char *mask;
    char fast_path[96]; /* tsr_device_fast_path; set when the device is opened */
    bool fast_used;
    tsr_cpu_products cpu_products;   /* cpu */
    bool onednn_linear, onednn_conv; /* cpu: tsr_device_onednn_linear, ..._conv; set when the device
                                        is opened */
    tsr_run *run;                    /* while a model function is being walked */
    tsr_arena nodes;                 /* tensor structs, which live as long as the run */
    tsr_arena data;                  /* cpu: activations */
    tsr_arena scratch;               /* cpu: of one op */
    size_t peak;                     /* tsr_device_peak_bytes */
    tsr_device_traffic traffic;      /* tsr_device_traffic_of */
    double tick;       /* seconds between numbers of the GPU's timestamps; 0: it has none */
    bool timing;       /* ops are timed; times.h */
    int times_started; /* how often the sums began anew: rows of older recordings are not theirs */
    tsr_times times;
    tsr_status lost; /* not OK: the device is lost, and every call fails with this */
    char lost_detail[256];
    void *vulkan; /* vulkan_device of device_vulkan.c */
};

struct tsr_run {
    tsr_device *device;
    tsr_status status; /* the first failure */
    tsr_tensor failed; /* the rank-0 tensor */
    const void *args;  /* of the program being walked through */
    void *recording;   /* vulkan: the vulkan_builder */
};

/* device_cpu.c: describes the cpu of this machine. */
void tsr_cpu_describe(tsr_device_info *info);
/* Makes *device a cpu device; its settings and mask are set already. */
tsr_status tsr_cpu_open(tsr_device *device);

/* A device in the order of preference. device_vulkan.c; absent when built without Vulkan. */
typedef struct tsr_device_entry {
    tsr_device_info info;
    int rank; /* smaller is preferred: discrete, integrated, virtual, other, software */
} tsr_device_entry;
/* Lists Vulkan devices; *count = 0 with TSR_OK when there is no loader or no driver. `quick` leaves
 * out the canary. The caller frees *list with free(). */
tsr_status tsr_vulkan_list(tsr_context *ctx, tsr_device_entry **list, int *count, bool quick);
/* Makes *device the Vulkan device number device->info.index. */
tsr_status tsr_vulkan_open(tsr_device *device);

/* device.c: true in a child of the process that opened the device. A driver's threads, locks and
 * queues do not come along with fork(), so nothing of the driver may be called there, not even to
 * close. */
bool tsr_device_is_left_by_fork(const tsr_device *device);

/* run.c: walks through the program's function and sets made [out_count] to its outputs. */
tsr_status tsr_run_walk(tsr_run *run, const tsr_program *program, tsr_tensor *const *in,
                        tsr_tensor **made, int out_count);
/* device.c: fails with ARGUMENT unless output `index` of a program, `made`, has the dtype and the
 * number of elements of `expected`. */
tsr_status tsr_check_output(tsr_device *device, const tsr_program *program, int index,
                            const tsr_tensor *made, const tsr_tensor *expected);

#endif
