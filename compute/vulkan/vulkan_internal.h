/* SPDX-License-Identifier: MIT */
/* vulkan_internal.h: what the vulkan*.c files share. Nothing outside them includes it.
 *
 *   vulkan_loader.c    the loader, instances, validation messages
 *   vulkan_devices.c   listing and describing devices
 *   vulkan_canary.c    what a driver must compute right before its device is taken
 *   vulkan_choices.c   what is used on which device, by vendor, driver and what it reports
 *   vulkan_matrices.c  cooperative matrices: the shape, and whether they compute right
 *   vulkan_memory.c    buffers, staging, uploads, submitting
 *   vulkan_lost.c      waiting, and what becomes of a device that is lost or stuck
 *   vulkan_pipeline.c  modules, layouts, pipelines
 *   vulkan_cache.c     compiled pipelines in a folder, for the next process
 *   vulkan_plan.c      where activations lie (no Vulkan in it)
 *   vulkan_record.c    a model function becomes steps with places
 *   vulkan_halves.c    which activations are kept as f16
 *   vulkan_traffic.c   what they read and write
 *   vulkan_weights.c   weights in the forms that shaders want
 *   vulkan_commands.c  the steps become a command buffer
 *   vulkan_times.c     timestamps around ops and around a recording
 *   vulkan_pace.c      how much a submission and a dispatch may hold
 *   vulkan_flights.c   programs on their way: submit, wait, inputs in, outputs out
 *   device_vulkan.c    open, close, forget */
#ifndef COMPUTE_VULKAN_INTERNAL_H
#define COMPUTE_VULKAN_INTERNAL_H

#include <pthread.h>

#include "../run.h"
#include "vulkan_plan.h"

/* volk's function pointers carry the names of libvulkan's functions: keep them out of our library's
 * exported names, so that a program may link both. */
#pragma GCC visibility push(hidden)
#include <volk.h>
#pragma GCC visibility pop

#include "vulkan_newer.h"

/* ---- vulkan_loader.c ---- */

#define VULKAN_INSTANCE_FUNCTIONS(X)                                                               \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices)                                                                    \
    X(EnumerateDeviceExtensionProperties)                                                          \
    X(GetPhysicalDeviceProperties)                                                                 \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceMemoryProperties2)                                                          \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    X(CreateDevice)                                                                                \
    X(GetDeviceProcAddr)

/* The first message of the validation layer since the last look; drivers may call from any thread.
 */
typedef struct vulkan_messages {
    pthread_mutex_t lock;
    int count;
    char first[900];
} vulkan_messages;

typedef struct vulkan_device vulkan_device;

typedef struct vulkan_instance { /* a table of its own: volk's global one is left alone */
    VkInstance handle;
#define X(name) PFN_vk##name name;
    VULKAN_INSTANCE_FUNCTIONS(X)
#undef X
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR
        GetPhysicalDeviceCooperativeMatrixPropertiesKHR; /* may be NULL */
    PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV
        GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV; /* may be NULL */
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT;
    VkDebugUtilsMessengerEXT messenger;
    vulkan_messages messages;
} vulkan_instance;

/* Opens the Vulkan loader and an instance. *instance is NULL with TSR_OK when there is no loader or
 * no driver. */
tsr_status vulkan_instance_open(tsr_context *ctx, bool validation, vulkan_instance **instance);
void vulkan_instance_close(vulkan_instance **instance);
void vulkan_load_device_table(const vulkan_instance *instance, VkDevice device,
                              struct VolkDeviceTable *table);
/* Lists the physical devices in *list, which the caller frees with free(). */
tsr_status vulkan_physical_devices(tsr_context *ctx, const vulkan_instance *instance,
                                   VkPhysicalDevice **list, uint32_t *count);

/* ---- vulkan_devices.c ---- */

typedef struct vulkan_traits { /* beyond tsr_device_info */
    uint32_t queue_family;
    bool openable; /* false: reason says what is missing */
    bool subgroup_ops, memory_model, int64, memory_budget;
    bool sizes_vary; /* one kernel may run with another subgroup size than the reported one */
    bool portability_subset, extension_subgroup_control, full_subgroups;
    /* VK_NV_cooperative_matrix2, and what its driver lacks of what a workgroup's matrices need;
     * NULL: nothing. */
    bool matrix2;
    const char *matrix2_lacks;
    VkDeviceSize storage_alignment;
    uint32_t timestamp_bits; /* of the queue family; 0: it has no timestamps */
    float timestamp_period;  /* nanoseconds between two numbers of a timestamp */
    /* M, N, K of cooperative matrices f16 x f16 -> f32, from vulkan_matrices_find; 0: none, or not
     * in use. */
    uint32_t matrix[3];
    uint32_t workgroup_matrix[2][3]; /* as tsr_gpu_caps has them, from vulkan_matrices_find */
} vulkan_traits;
void vulkan_describe(const vulkan_instance *instance, VkPhysicalDevice physical, int index,
                     tsr_device_info *info, vulkan_traits *traits, int *rank);

/* Bytes that are free now in the heap that memory_bytes speaks of; 0: the driver does not say. */
uint64_t vulkan_memory_free(const vulkan_instance *instance, VkPhysicalDevice physical,
                            const vulkan_traits *traits);

/* ---- vulkan_canary.c ---- */

/* Opens a device, runs the canaries and writes into `info` what came of it. */
void vulkan_try_canaries(tsr_context *ctx, tsr_device_info *info);
/* Warns if the device that is being opened, a GPU, computes exponentials, NaN or f16 wrongly. */
void vulkan_arithmetic_try(vulkan_device *v);

/* ---- vulkan_choices.c ---- */

/* Fills what tsr_device_info says of choices from the rest of it and from the traits. */
void vulkan_choose(tsr_device_info *info, const vulkan_traits *traits);

/* ---- the device ---- */

typedef struct vulkan_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkDeviceSize size;
    void *mapped; /* staging only */
} vulkan_buffer;

typedef struct vulkan_pipeline { /* key first */
    int shader;
    uint32_t spec[16];
    int spec_count, bind_count;
    bool full_subgroups, based; /* based: for dispatches in pieces */
    uint32_t subgroup;          /* its size */
    VkPipeline handle;
} vulkan_pipeline;

typedef enum vulkan_form { /* how a weight lies on the device */
                           VULKAN_FORM_F32,
                           VULKAN_FORM_HALF,  /* TSR_BIND_HALF */
                           VULKAN_FORM_ROWS,  /* TSR_BIND_HALF_ROWS */
                           VULKAN_FORM_PAIRS, /* TSR_BIND_PAIRS */
                           VULKAN_FORMS
} vulkan_form;

typedef struct vulkan_weight { /* one weight of one model, on the device */
    const void *model;
    int id;
    bool kernel; /* in the order of tsr_run_kernel */
    vulkan_form form;
    int block; /* index into vulkan_device.blocks */
    VkDeviceSize offset;
} vulkan_weight;

typedef struct vulkan_block { /* memory of several weights; freed with its model */
    const void *model;
    vulkan_buffer buffer;
    bool used;
} vulkan_block;

typedef struct vulkan_recording vulkan_recording;

enum { VULKAN_MAX_CHUNKS = 64, VULKAN_MAX_RECORDINGS = 64 };

struct vulkan_device {
    tsr_device *device;
    vulkan_instance *instance;
    VkPhysicalDevice physical;
    vulkan_traits traits;
    VkPhysicalDeviceMemoryProperties memory;
    VkDevice handle;
    struct VolkDeviceTable vk;
    VkQueue queue;
    VkCommandPool pool;
    VkCommandBuffer once; /* for uploads */
    /* A program in flight has a place of its own for what the host shares with the device. */
    struct vulkan_slot {
        VkFence *fences; /* one for each submission of a list */
        int fence_count, fence_capacity;
        int submitted; /* fences that were handed to the queue and not seen to be signalled all */
        vulkan_buffer
            staging;        /* host-visible, inputs then outputs, of all recordings of the slot */
        tsr_flight *flight; /* NULL: free */
        vulkan_recording *recording; /* of the flight */
        uint64_t number;             /* of the flight: flights end in their order */
        double began;                /* when it was submitted, by tsr_seconds */
    } slot[TSR_FLIGHTS];
    uint64_t flights; /* begun so far */
    double last_seen; /* when the host saw the last flight finished */
    bool stuck;       /* given up while the device may still be working: nothing may be freed */
    VkPipelineCache cache;
    struct {        /* vulkan_cache.c: the file it is kept in */
        char *path; /* NULL: it is not kept */
        uint32_t flags, read_flags;
        size_t read_size; /* of what was read; 0: nothing */
        uint64_t read_hash;
        int compiled; /* pipelines asked for, in the file or not */
    } kept;
    VkDescriptorSetLayout set_layout[TSR_CALL_TENSORS + 1]; /* by number of bindings */
    VkPipelineLayout layout[TSR_CALL_TENSORS + 1];
    VkShaderModule *modules; /* one for each built-in shader, made when first used */
    vulkan_pipeline *pipelines;
    int pipeline_count, pipeline_capacity;
    vulkan_weight *weights;
    int weight_count, weight_capacity;
    vulkan_block *blocks;
    int block_count, block_capacity;
    vulkan_buffer chunks[VULKAN_MAX_CHUNKS]; /* the activation arena, shared by all recordings */
    int chunk_count;
    vulkan_recording *recordings; /* most recent first */
    double rate;      /* multiply-adds a second of the recording that was measured last; 0: none */
    bool rate_is_own; /* ... of the one that is being made again, which is not measured any more */
    tsr_gpu_caps caps;
};

/* ---- vulkan_matrices.c ---- */

/* Fills traits.matrix and workgroup_matrix of a device that is described but not made, if the
 * settings allow matrices. */
void vulkan_matrices_find(vulkan_device *v);
/* Multiplies known matrices on an open device and clears caps.matrix, or caps.workgroup_matrix
 * alone, when the result is wrong.
 * Fails when the device is lost, or the validation layer has a message. */
tsr_status vulkan_matrices_try(vulkan_device *v);

/* ---- vulkan_memory.c ---- */

/* Grows a list of `count` entries of `size` bytes to hold one more, and returns the list, which may
 * have moved. NULL after a MEMORY failure; the old list is then unchanged. */
void *vulkan_grown(tsr_context *ctx, void *list, int count, int *capacity, size_t size);

/* Fails the call when the validation layer said something since the last look. */
tsr_status vulkan_check_messages(vulkan_device *v);
tsr_status vulkan_buffer_open(vulkan_device *v, vulkan_buffer *buffer, VkDeviceSize size, bool host,
                              const char *what);
void vulkan_buffer_close(vulkan_device *v, vulkan_buffer *buffer);
/* Bytes that all buffers of the device take. */
VkDeviceSize vulkan_allocated(const vulkan_device *v);
/* True if a slot's staging buffer has `size` bytes already, or the chunks have `sizes`. */
bool vulkan_staging_fits(const vulkan_device *v, int slot, VkDeviceSize size);
bool vulkan_chunks_fit(const vulkan_device *v, const size_t *sizes, int count);
/* Replace the staging buffer, or the chunks, that are too small. Recordings point to them: drop all
 * recordings first (vulkan_recordings_drop) unless vulkan_staging_fits and vulkan_chunks_fit. */
tsr_status vulkan_staging_reserve(vulkan_device *v, int slot, VkDeviceSize size);
tsr_status vulkan_chunks_reserve(vulkan_device *v, const size_t *sizes, int count);
/* Copies host bytes into a buffer, piece by piece through the staging of slot 0, which must be
 * reserved. No program may be in flight. */
tsr_status vulkan_upload(vulkan_device *v, const vulkan_buffer *to, VkDeviceSize offset,
                         const void *bytes, size_t size);
/* Hands command buffers to the device, each a submission of its own with a fence of the slot; those
 * before a failure are waited for. */
tsr_status vulkan_submit(vulkan_device *v, struct vulkan_slot *slot,
                         const VkCommandBuffer *commands, int count);
/* Waits for what a slot has submitted. */
tsr_status vulkan_await(vulkan_device *v, struct vulkan_slot *slot);

/* ---- vulkan_flights.c ---- */

/* Destroys what the slots hold. */
void vulkan_flights_close(vulkan_device *v);
/* Finishes all programs in flight. Whoever frees or overwrites what they use calls this before. */
void vulkan_flights_finish(vulkan_device *v);
/* Functions of the backend, see tsr_backend. */
tsr_status vulkan_begin(tsr_device *device, const tsr_program *program, const tsr_tensor *in,
                        int in_count, tsr_flight *flight);
void vulkan_finish(tsr_device *device, tsr_flight *flight);

/* ---- vulkan_lost.c ---- */

/* Turns the result of a failed Vulkan call into a status, and remembers a lost device. */
tsr_status vulkan_fail(vulkan_device *v, VkResult result, const char *what);
/* Waits for a fence, which is one submission's; after tsr_device_settings.stuck_after seconds the
 * device is lost. */
tsr_status vulkan_wait(vulkan_device *v, VkFence fence);
/* Waits for a device that is being closed. False: it is stuck, and what it may still use must not
 * be freed. */
bool vulkan_settle(vulkan_device *v);

/* ---- vulkan_cache.c ---- */

/* What a device has passed with these shaders and this driver. */
enum {
    VULKAN_PASSED_MATRICES = 1,
    VULKAN_PASSED_ARITHMETIC = 2,
    VULKAN_PASSED_WORKGROUP_MATRICES = 4,
    VULKAN_PASSED_PAIRS = 8
};
/* Makes the pipeline cache, with what the folder of the context holds for this device. */
tsr_status vulkan_cache_open(vulkan_device *v);
/* Writes the cache back if there is something new in it, and destroys it. */
void vulkan_cache_close(vulkan_device *v);
/* Whether `what` was passed, by the file; and notes that it was. */
bool vulkan_cache_passed(const vulkan_device *v, uint32_t what);
void vulkan_cache_pass(vulkan_device *v, uint32_t what);

/* ---- vulkan_pipeline.c ---- */

tsr_status vulkan_layouts_open(vulkan_device *v);
/* Pipeline of a dispatch, made now if vulkan_pipelines_make has not; owned by the device. */
tsr_status vulkan_pipeline_get(vulkan_device *v, const tsr_gpu_dispatch *dispatch,
                               VkPipeline *pipeline);
/* Index of a built-in shader, or -1. */
int vulkan_shader_find(const char *name);

/* ---- vulkan_record.c ---- */

typedef struct vulkan_node { /* a tensor's memory */
    enum { VULKAN_NODE_INPUT, VULKAN_NODE_MADE, VULKAN_NODE_WEIGHT } kind;
    size_t bytes;
    int first, last; /* steps between which it must be kept */
    tsr_weight *weight;
    bool kernel; /* the weight in the order of tsr_run_kernel */
    struct {
        bool needed;
        int resident; /* index into vulkan_device.weights */
    } form[VULKAN_FORMS];
    vulkan_place place;
} vulkan_node;

/* How a recording is cut into submissions and dispatches; all in multiply-adds (vulkan_pace.c). */
typedef struct vulkan_pace {
    double submission, dispatch; /* the most of each; dispatch INFINITY: none is cut */
    double largest;              /* of the dispatches that may be cut */
    double work;                 /* of all */
    bool measure;                /* the next run says how fast the device is */
    double rate;                 /* a second, as measured; 0: not measured */
} vulkan_pace;

struct vulkan_recording {
    vulkan_recording *next;
    /* the key */
    tsr_program program;
    tsr_tensor in[TSR_MAX_IO];
    int in_count, out_count;
    uint32_t wanted; /* bit i: output i is asked for */
    int slot;        /* whose staging the commands copy from and to */
    /* what replay needs */
    char name[48];             /* of the program, for messages */
    VkCommandBuffer *commands; /* submitted one after the other */
    int command_count, command_capacity;
    VkDescriptorPool descriptors;
    vulkan_buffer tables;
    tsr_tensor made[TSR_MAX_IO];
    size_t in_at[TSR_MAX_IO], out_at[TSR_MAX_IO]; /* in staging */
    size_t arena_bytes;
    size_t bands_at; /* guard: where the fences land in staging */
    int band_count;
    bool timed;                 /* timestamps stand around each op */
    struct vulkan_times *times; /* its timestamps; NULL: it has none */
    vulkan_pace pace;
};

/* Which recording of a program. */
typedef struct vulkan_request {
    const tsr_program *program;
    const tsr_tensor *in; /* shapes */
    int in_count, out_count;
    uint32_t wanted;
    int slot;
} vulkan_request;
/* Recording that serves a request, or NULL. */
vulkan_recording *vulkan_recording_find(vulkan_device *v, const vulkan_request *request);
/* Walks through a program and records it; nothing may be in flight. The device owns *recording. */
tsr_status vulkan_recording_make(vulkan_device *v, const vulkan_request *request,
                                 vulkan_recording **recording);
void vulkan_recording_close(vulkan_device *v, vulkan_recording *recording);
/* Drops the recordings of a model, or of every model with `all`. */
void vulkan_recordings_drop(vulkan_device *v, const void *model, bool all);

/* ---- vulkan_times.c ---- */

/* What has just been recorded when a timestamp is asked for, or comes next. */
typedef enum vulkan_mark {
    VULKAN_MARK_FIRST,     /* next: the first command of the recording */
    VULKAN_MARK_COPIED_IN, /* the inputs were copied */
    VULKAN_MARK_OP,        /* next: the dispatches of a step, behind the barrier before them */
    VULKAN_MARK_OP_END,    /* the dispatches of a step */
    VULKAN_MARK_COPY_OUT,  /* next: copies of the outputs */
    VULKAN_MARK_LAST       /* the last command of the recording */
} vulkan_mark;
/* Writes the timestamp of a mark, where the recording has one for it; `step` is the number of the
 * step. */
void vulkan_times_mark(const vulkan_device *v, const vulkan_recording *r, VkCommandBuffer c,
                       vulkan_mark mark, int step);
/* Reads the timestamps of a run that has ended: sets *seconds to how long the device computed it,
 * left as it is where there are no timestamps, and adds those of ops to the device's sums. */
tsr_status vulkan_times_read(vulkan_device *v, vulkan_recording *r, double *seconds);
void vulkan_times_close(vulkan_device *v, vulkan_recording *r);

/* ---- vulkan_pace.c ---- */

/* Decides how a recording will be cut, before its steps are described. */
void vulkan_pace_set(const vulkan_device *v, vulkan_recording *r);
/* Notes how long a run took that r->pace.measure had asked for. */
void vulkan_pace_measured(vulkan_device *v, vulkan_recording *r, double seconds);
/* True if the recording should be made again, as the device is much faster, or slower, than the
 * rate it was cut for. */
bool vulkan_pace_outgrown(const vulkan_device *v, const vulkan_recording *r);

/* Functions of the backend, see tsr_backend. */
tsr_status vulkan_run_make(tsr_run *run, tsr_tensor *tensor);
tsr_status vulkan_run_weight(tsr_run *run, tsr_tensor *tensor, tsr_weight *weight, bool kernel);
tsr_status vulkan_run_emit(tsr_run *run, const tsr_call *call);

enum { VULKAN_BAND = 256 };
#define VULKAN_BAND_WORD 0xFFA5A5A5u /* a NaN, and a negative id */

#endif
