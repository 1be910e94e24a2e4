/* SPDX-License-Identifier: MIT */
/* times.h: how long each op of a program takes on a GPU, by the device's own clock.
 *
 * Timing is off unless the device was opened with a context that logs TSR_LOG_DEBUG (`-vv`), which
 * has the sums logged as a table for each program when the device is closed, or until
 * tsr_device_time_ops switches it on (`tessera bench`). While it is off a recording has two
 * timestamps, at its first command and behind its last. While it is on, timestamps stand around
 * each op, too; results are the same bits. */
#ifndef COMPUTE_TIMES_H
#define COMPUTE_TIMES_H

#include <stdint.h>

#include "context.h"

/* A program that was timed. */
typedef struct tsr_timed_program {
    char name[64];
    uint64_t runs;
    double seconds; /* of all runs on the device, from its first command to its last */
} tsr_timed_program;

/* Uses of one op with one shader on one shape, of one program. */
typedef struct tsr_timed_op {
    int program;    /* index into tsr_times.programs */
    const char *op; /* name of the op, or "copy in" and "copy out" of a run's operands; static */
    const char *shader;   /* of its first dispatch; "" for copies; static */
    char shape[128];      /* of its operands and results: "[385,512] [1536,512] -> [385,1536]" */
    uint64_t count;       /* uses */
    double seconds;       /* of all uses; what stands between ops (barriers) is in no op */
    double multiply_adds; /* of all uses of a product; 0: the op is none */
    double bytes;         /* of all uses: what its dispatches have bound, each binding once; of a
                             gather all rows that it might read */
} tsr_timed_op;

typedef struct tsr_times {
    tsr_timed_program *programs;
    int program_count, program_capacity;
    tsr_timed_op *ops;
    int op_count, op_capacity;
} tsr_times;

/* Which rate says how well an op does. */
typedef enum tsr_time_bound { TSR_BOUND_MEMORY, TSR_BOUND_ARITHMETIC } tsr_time_bound;
/* ARITHMETIC for products with at least 16 floating-point operations (two a multiply-add) for each
 * byte, which no GPU has the memory to be held up by in f32; MEMORY for everything else. */
tsr_time_bound tsr_timed_bound(const tsr_timed_op *op);

/* Index of the program of that name, added if new; -1 after a MEMORY failure. */
int tsr_times_program(tsr_context *ctx, tsr_times *times, const char *name);
/* Index of the op with the program, names and shape of *op, added with zero sums if new; -1 after a
 * MEMORY failure. */
int tsr_times_op(tsr_context *ctx, tsr_times *times, const tsr_timed_op *op);
/* Numbers of the ops of a program in `order` [op_count], most seconds first, ties by number.
 * Returns how many. */
int tsr_times_slowest(const tsr_times *times, int program, int *order);
/* Logs a table for each program at TSR_LOG_DEBUG: the five slowest ops with their shapes, then sums
 * by op. `device` is its name. */
void tsr_times_log(tsr_context *ctx, const char *device, const tsr_times *times);
/* Writes the ops of a program as an array of JSON in *json, which the caller frees with free():
 * op, shader, shape, count, ms of a run, share of the run (0..1), tflops and gbs where they are
 * known, bound ("arithmetic" or "memory"). Errors: MEMORY. */
tsr_status tsr_times_json(tsr_context *ctx, const tsr_times *times, int program, char **json);
void tsr_times_free(tsr_times *times);

#endif
