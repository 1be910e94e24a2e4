/* SPDX-License-Identifier: MIT */
/* op_case.h: an everywhere_case with its operands in guarded memory, and calls that must be
 * refused.
 *
 *     op_case c = {.run = {.name = "softmax", .fn = model, .tolerance = 1e-6}};
 *     float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(3, 5)), *y = op_out(&c, TSR_DTYPE_F32, SHAPE(3,
 * 5));
 *     ... fill x ...
 *     op_run(&c);            // every device; y holds the reference's answer
 *     ... compare y ...
 *     op_free(&c); */
#ifndef TESTS_OP_CASE_H
#define TESTS_OP_CASE_H

#include "everywhere.h"

#define SHAPE(...)                                                                                 \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) {                       \
        __VA_ARGS__                                                                                \
    }

typedef struct op_case {
    everywhere_case run;
    tsr_tensor in[4], out[4];
    char name[96];
} op_case;

/* The next input or output; returns its memory. */
void *op_in(op_case *c, tsr_dtype dtype, int rank, const int64_t *dim);
void *op_out(op_case *c, tsr_dtype dtype, int rank, const int64_t *dim);
void op_name(op_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void op_run(op_case *c);
/* Runs on the cpu device alone and expects the status, with `text` in the
 * detail. */
void op_refused(op_case *c, tsr_status status, const char *text);
/* Every operand whose first dimension is the first input's is a batch: on every device, each item
 * alone gives the same bits as in the whole batch. */
void op_same_in_batches(op_case *c);
/* The same on the cpu device with some of its forms switched off. */
void op_same_in_batches_without(op_case *c, const char *mask);
void op_free(op_case *c);

/* Worst error of the fast cpu path and every device is bounded by the case's tolerance; this bounds
 * the reference itself, now in output `i`, against float64. */
void op_expect(const op_case *c, int i, const double *want, double tolerance);

#endif
