/* SPDX-License-Identifier: MIT */
/* layer_trace.h: outputs of single layers, by the names that the published class has for them
 * ("encoder.down.0.block.0"), for verification: what is looked at becomes an output of the program
 * behind its own ones. */
#ifndef NN_LAYER_TRACE_H
#define NN_LAYER_TRACE_H

#include "../ops/ops.h"

typedef struct tsr_layer_trace {
    const char *const *names; /* [count] */
    tsr_tensor *out;          /* [count] the caller's, channels last */
    int count;                /* at most 12 */
    int64_t variant;          /* differs for other names */
} tsr_layer_trace;

/* Where a program puts what is looked at. */
typedef struct tsr_layer_view {
    const tsr_layer_trace *trace; /* NULL: nothing is looked at */
    tsr_tensor **seen;            /* [trace->count], the program's */
} tsr_layer_view;

/* A layer's output under its name, which is printed; returns x. */
tsr_tensor *tsr_layer_see(const tsr_layer_view *view, tsr_tensor *x, const char *format, ...)
    TSR_PRINTF(3, 4);
/* Ends a part of a program: its other activations may go, but those that are looked at may not. */
tsr_tensor *tsr_layer_close(const tsr_layer_view *view, tsr_run *r, tsr_scope scope, tsr_tensor *x);
/* Appends the outputs of a trace, which may be NULL, to `count` of a program's own; returns how
 * many they are then. */
int tsr_layer_trace_add(const tsr_layer_trace *trace, tsr_tensor *out, int count);

#endif
