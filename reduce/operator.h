/* SPDX-License-Identifier: MIT */
/* operator.h: what an operator is, and the calls it is written with.
 *
 * An operator is `const tsr_operator tsr_operator_<name>` in a file of its own, or in one with its
 * kin, and a line in operators.def. Its function reads o->in and its parameters, and says what
 * becomes of the tokens with exactly one of tsr_operation_keep, tsr_operation_merge and
 * tsr_operation_replace (an operator that plans: with none). Source map, positions, sizes, columns
 * and stream follow from that; no operator touches them itself.
 *
 * An operation is sticky, like a run of a model: after the first failure every call below does
 * nothing, so that an operator reads from top to bottom and checks o->status only before it looks
 * into memory that may not be there. */
#ifndef REDUCE_OPERATOR_H
#define REDUCE_OPERATOR_H

#include "../compute/arena.h"
#include "../compute/device.h"
#include "token_set.h"

enum { TSR_OPERATOR_MAX_PARAMETERS = 12 };

typedef struct tsr_operation tsr_operation;
typedef struct tsr_recorded tsr_recorded;
typedef struct tsr_operator {
    tsr_operator_info info; /* parameter_count is counted by operators.c */
    tsr_parameter parameters[TSR_OPERATOR_MAX_PARAMETERS + 1]; /* ended by a name NULL */
    void (*apply)(tsr_operation *o);
    void (*record)(
        tsr_recorded *x); /* the same on a device (recorded.h); NULL: on the host alone */
} tsr_operator;
#define OPERATOR(name) extern const tsr_operator tsr_operator_##name;
#include "operators.def"
#undef OPERATOR

struct tsr_operation {
    tsr_context *ctx;
    tsr_device **device; /* of the chain: where tsr_operation_device opens it; NULL for an operator
                            that plans */
    const tsr_operator *op;
    const tsr_token_set *in;                        /* NULL for an operator that plans */
    tsr_token_set *out;                             /* NULL until one of keep, merge, replace */
    tsr_status status;                              /* the first failure */
    tsr_scratch scratch;                            /* arrays of the operation; freed at its end */
    const char *value[TSR_OPERATOR_MAX_PARAMETERS]; /* text given for each parameter, or NULL */
    tsr_token_set *trace;                           /* holds the trace until it moves to `out` */
    bool elsewhere; /* features are a device's: those of `in` and `out` are left alone */
};

/* Longest operation, "NAME:key=value,...", with the byte behind it. */
enum { TSR_OPERATION_TEXT = 4096 };
/* Sets o->op and o->value; `text` [TSR_OPERATION_TEXT] holds the values from then on. Errors:
 * ARGUMENT, NOT_FOUND. */
tsr_status tsr_operation_read(tsr_operation *o, const char *operation, char *text);
/* Ends an operation: *made is its set with its trace, NULL after a failure. */
tsr_status tsr_operation_end(tsr_operation *o, tsr_token_set **made);

/* Applies a chain on a device that is open, or that the first operator which needs one opens:
 * *device NULL, a cpu. report may be NULL; near ties are added to it. *reduced is NULL after a
 * failure. Errors: those of tsr_token_set_reduce. */
tsr_status tsr_operations_apply(tsr_device **device, const tsr_token_set *set,
                                const char *const *operations, int count, tsr_reduce_report *report,
                                tsr_token_set **reduced);

/* Checks what can be said of operations before there is a set: names, parameters, and that none
 * plans. Errors: ARGUMENT, NOT_FOUND. */
tsr_status tsr_operations_check(tsr_context *ctx, const char *const *operations, int count);
/* Says where operations first .. first + count - 1 of a chain ran, the GPU or with NULL the cpu,
 * and adds near_ties [count] or none. report may be NULL, here and below. */
void tsr_report_steps(tsr_reduce_report *report, int first, int count, const tsr_device *device,
                      const uint64_t *near_ties);
/* Says what a device (NULL: none) did since it was opened. */
void tsr_report_device(tsr_reduce_report *report, const tsr_device *device);

/* Records a failure "<operator>: <text>". */
void tsr_operation_fail(tsr_operation *o, tsr_status status, const char *format, ...)
    TSR_PRINTF(3, 4);
/* The device of the chain: opened by the first operator that asks, since opening one takes longer
 * than many an operator does. NULL after a failure. Not for operators that plan. */
tsr_device *tsr_operation_device(tsr_operation *o);
/* Array of count * size bytes, zeroed, until the end of the operation. NULL after a failure. */
void *tsr_operation_take(tsr_operation *o, int64_t count, size_t size, const char *what);
/* The same, not zeroed: for large arrays that are written before they are read. */
void *tsr_operation_take_raw(tsr_operation *o, int64_t count, size_t size, const char *what);

/* ---- parameters: values were checked against type and range before the operator is called ---- */

/* Whether the parameter was given, or has a default. */
bool tsr_operation_has(const tsr_operation *o, const char *name);
/* Values. A parameter without value fails the operation: ARGUMENT "<operator>: <name>: wanted ...,
 * got none". */
int64_t tsr_operation_integer(tsr_operation *o, const char *name);
double tsr_operation_number(tsr_operation *o, const char *name);
const char *tsr_operation_text(tsr_operation *o, const char *name); /* of a choice or file; "" after
                                                                      a failure */
/* Whether the choice `name` has this value. */
bool tsr_operation_is(tsr_operation *o, const char *name, const char *value);
/* Numbers of a list, [*count], until the end of the operation; NULL after a failure. */
const double *tsr_operation_list(tsr_operation *o, const char *name, int *count);

/* ---- what the operator reads ---- */

/* A column with this element type and axis, and with `rank` dimensions unless rank is 0. Fails with
 * ARGUMENT, naming column, wanted and got; the array is zeroed then. */
tsr_token_array tsr_operation_column(tsr_operation *o, const char *name, tsr_array_type type,
                                     tsr_token_axis axis, int rank);
/* An f32 column of `rank` dimensions that belongs to no token, such as "codes" or "text", whatever
 * its first dimension happens to be. Fails like tsr_operation_column. */
tsr_token_array tsr_operation_table(tsr_operation *o, const char *name, int rank);
bool tsr_operation_has_column(const tsr_operation *o, const char *name);
/* Frames, rows and columns of the tokens. Fails with ARGUMENT where they fill no grid. */
const int64_t *tsr_operation_grid(tsr_operation *o);

/* ---- what becomes of the tokens ---- */

/* Keeps the tokens index[0 .. k-1], different ones, in this order. Columns follow their tokens. */
void tsr_operation_keep(tsr_operation *o, const int32_t *index, int64_t k);
/* Says that the tokens which tsr_operation_keep kept fill a grid (frames, rows, columns) in raster
 * order. */
void tsr_operation_on_grid(tsr_operation *o, int64_t frames, int64_t rows, int64_t columns);
/* Moves the new tokens: positions [k, 3], after one of the three. */
void tsr_operation_place(tsr_operation *o, const float *positions);
/* Makes `rows` tokens out of groups of tokens: token i goes into row map[i], or nowhere: -1.
 * features [rows, D]: those of the new tokens; NULL: the mean of their members, weighted by size.
 * Positions are means weighted by size, and so are f32 columns with a row for each token and
 * attention to tokens; columns of integers and attention among tokens are left out. A row that no
 * token leads to has size 0 and position (0, 0, 0): a token without sources, such as a rest token.
 */
void tsr_operation_merge(tsr_operation *o, const int32_t *map, int64_t rows, const float *features);
/* Replaces the tokens by `rows` new ones with features [rows, channels] on a grid (frames, rows,
 * columns; NULL: none). Source tokens go by map, like in tsr_operation_merge, and so do positions
 * and columns. */
void tsr_operation_replace(tsr_operation *o, const int32_t *map, int64_t rows, int64_t channels,
                           const float *features, const int64_t *grid);
/* Names the stream that the new set is: after one of the three. */
void tsr_operation_stream(tsr_operation *o, const char *name);
/* Adds a column to the new set: after one of the three. */
void tsr_operation_attach(tsr_operation *o, const char *name, tsr_array_type type,
                          tsr_token_axis axis, int rank, const int64_t *dim, const void *data);
/* Adds an array to the trace of the new set. A rank of 0 is a single number. */
void tsr_operation_trace(tsr_operation *o, const char *name, tsr_array_type type, int rank,
                         const int64_t *dim, const void *data);
void tsr_operation_trace_i32(tsr_operation *o, const char *name, const int32_t *data, int64_t n);
void tsr_operation_trace_f32(tsr_operation *o, const char *name, const float *data, int64_t n);
void tsr_operation_trace_f64(tsr_operation *o, const char *name, const double *data, int64_t n);

#endif
