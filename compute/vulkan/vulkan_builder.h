/* SPDX-License-Identifier: MIT */
/* vulkan_builder.h: a recording while it is being made; shared by vulkan_record.c (what) and
 * vulkan_commands.c (the command buffer). */
#ifndef COMPUTE_VULKAN_BUILDER_H
#define COMPUTE_VULKAN_BUILDER_H

#include "vulkan_internal.h"

enum { VULKAN_ALIGN = 256, VULKAN_BIND_TABLE = 16 };

typedef struct vulkan_step { /* one op */
    tsr_call call;           /* table points to our copy */
    size_t table_at;
    tsr_gpu_dispatch *dispatches;
    int dispatch_count;
} vulkan_step;

typedef struct vulkan_range { /* bytes touched since the last barrier */
    int chunk;
    size_t start, end;
    bool write;
} vulkan_range;

typedef struct vulkan_builder {
    vulkan_device *v;
    const tsr_program *program;
    tsr_tensor inputs[TSR_MAX_IO]; /* calls point to them until the commands are recorded */
    vulkan_node *nodes;
    int node_count, node_capacity;
    vulkan_step *steps;
    int step_count, step_capacity;
    int dispatch_count, binding_count, barrier_count, fenced, half_count, statistics_count;
    int cut_count, piece_count; /* dispatches that are cut, and what they become */
    size_t table_bytes, staging_bytes, arena_bytes, activation_sum;
    size_t chunk_sizes[VULKAN_MAX_CHUNKS];
    int chunk_count;
    vulkan_range *ranges;
    int range_count, range_capacity;
} vulkan_builder;

static inline size_t vulkan_round(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* The tensor a binding code of tsr_gpu_dispatch names; NULL for the table or an absent operand. */
static inline const tsr_tensor *vulkan_bound(const tsr_call *call, int code) {
    if (code >= TSR_BIND_HALF && code <= TSR_BIND_PAIRS) return call->in[1];
    return code < TSR_CALL_TENSORS       ? call->in[code]
           : code < 2 * TSR_CALL_TENSORS ? call->out[code - TSR_CALL_TENSORS]
                                         : NULL;
}

/* ---- vulkan_weights.c ---- */

/* The form of a weight that a binding code of tsr_gpu_dispatch asks for. */
static inline vulkan_form vulkan_form_of(int code) {
    return code == TSR_BIND_HALF        ? VULKAN_FORM_HALF
           : code == TSR_BIND_HALF_ROWS ? VULKAN_FORM_ROWS
           : code == TSR_BIND_PAIRS     ? VULKAN_FORM_PAIRS
                                        : VULKAN_FORM_F32;
}
/* Bytes of a weight on the device in a form. */
size_t vulkan_form_bytes(const vulkan_node *node, vulkan_form form);

/* Finds the weights that are on the device already and returns the bytes of all others. */
size_t vulkan_weights_to_come(vulkan_builder *b);
/* Uploads the weights that are not on the device yet; `bytes` is vulkan_weights_to_come. */
tsr_status vulkan_weights_upload(vulkan_builder *b, size_t bytes);

/* Decides which activations are kept as f16; what the program is asked for is known. To be called
 * before the ops are described. */
tsr_status vulkan_halves_choose(vulkan_builder *b, const vulkan_recording *r);

/* Decides which norms have the statistics of their operands from the ops that make these. To be
 * called when it is known which activations are f16, and before the ops are described. */
tsr_status vulkan_statistics_choose(vulkan_builder *b);

/* Logs what the described steps read and write of activations, by op. */
void vulkan_traffic_log(const vulkan_builder *b);
/* Makes the queries of the recording, if its ops are timed or it is to be measured. */
tsr_status vulkan_times_make(vulkan_builder *b, vulkan_recording *r);

/* Multiply-adds of an op. */
double vulkan_work(const tsr_call *call);
/* Decides into how many pieces a dispatch of a step is cut and returns their number, at least 1. */
uint32_t vulkan_pace_cut(vulkan_recording *r, const vulkan_step *s, tsr_gpu_dispatch *d);
/* vulkan_pipeline.c: compiles the pipelines of all steps that are not there yet, on the context's
 * threads. */
tsr_status vulkan_pipelines_make(vulkan_builder *b);

/* Writes the steps into the command buffers of r. */
tsr_status vulkan_record_commands(vulkan_builder *b, vulkan_recording *r);

#endif
