/* SPDX-License-Identifier: MIT */
/* recorded.h: operators as steps of one program of a device.
 *
 * A run of operators that can be recorded is one program: features go up once, or are there already
 * because a tower has just made them, and stay there from operator to operator; what comes down at
 * the end is the features of the result and the lists of tokens that were kept or merged, from
 * which the host derives map, positions, sizes and columns by the calls of operator.h. A program of
 * usual size is one submission.
 *
 * An operator says how it is recorded in a function `record` beside `apply`. It reads shapes and
 * parameters, calls ops on tensors whose values nobody knows yet, and says what becomes of the
 * tokens with exactly one of tsr_recorded_keep, tsr_recorded_keep_all, tsr_recorded_merge and
 * tsr_recorded_replace. It refuses nothing: what it cannot do, or what is wrong, it declines, and
 * `apply` does it on the host or says what is wrong. It is called twice, once on shapes alone (to
 * learn how large the results are) and once to be written down.
 *
 * Arithmetic is f32 with the operator's formula. Where the host decides in float64, or sums in
 * another order, a decision whose margin is within the rounding of f32 may differ from the host's;
 * such near ties are counted. */
#ifndef REDUCE_RECORDED_H
#define REDUCE_RECORDED_H

#include "../ops/ops.h"
#include "operator.h"

enum { TSR_RECORDED_COLUMNS = 12, TSR_RECORDED_PIECES = 12 };

/* A column on the device. */
typedef struct tsr_recorded_column {
    const char *name;
    tsr_token_axis axis; /* FIRST or LAST */
    tsr_tensor *x;
} tsr_recorded_column;

typedef struct tsr_recorded_plan tsr_recorded_plan;
typedef struct tsr_recorded_step tsr_recorded_step;

/* The tokens at a step, on the device. */
struct tsr_recorded {
    tsr_operation *o; /* parameters, and arrays of the host until the end of the chain; nothing else
                         of it may be used. NULL between steps */
    tsr_run *run;
    int64_t count, channels, grid[3]; /* grid: zeros where there is none */
    tsr_tensor *features;             /* [count, channels] */
    tsr_tensor *sizes;                /* [count] */
    tsr_recorded_column columns[TSR_RECORDED_COLUMNS];
    int column_count;
    bool declined;
    bool tells; /* in the first of the two walks of a chain's last step: tsr_operation_trace may be
                   called for what is known without the device */
    tsr_recorded_plan *plan;
    tsr_recorded_step *step;
};

/* ---- for operators; after a decline every call does nothing ---- */

/* Leaves the step to the host. */
void tsr_recorded_decline(tsr_recorded *x);
/* An f32 column of tokens with this axis and rank; declines where there is none. */
tsr_tensor *tsr_recorded_find(tsr_recorded *x, const char *name, tsr_token_axis axis, int rank);
bool tsr_recorded_has(const tsr_recorded *x, const char *name);
/* An f32 array of the host that belongs to no token, such as "codes"; declines where there is none.
 */
tsr_token_array tsr_recorded_table(tsr_recorded *x, const char *name, int rank);
/* Features divided by their length, any rows [n, width] likewise; zeros stay. */
tsr_tensor *tsr_recorded_unit(tsr_recorded *x, const tsr_tensor *rows);

/* Keeps the tokens index [k], ascending. */
void tsr_recorded_keep(tsr_recorded *x, tsr_tensor *index);
void tsr_recorded_keep_all(tsr_recorded *x);
/* Keeps tokens that shapes decide: index [k] is the host's, until the end of the operation. grid:
 * the one that they fill in raster order, or NULL. */
void tsr_recorded_keep_listed(tsr_recorded *x, const int32_t *index, int64_t k,
                              const int64_t *grid);
/* Merges: token i goes into row map[i]; features are means weighted by size. */
void tsr_recorded_merge(tsr_recorded *x, tsr_tensor *map, int64_t rows);
/* Replaces the tokens by features [rows, any], by a map that shapes decide: map [count] is the
 * host's, until the end of the operation. grid: frames, rows, columns, or NULL. */
void tsr_recorded_replace(tsr_recorded *x, const int32_t *map, tsr_tensor *features,
                          const int64_t *grid);
/* Names the stream that the new set is; static storage. */
void tsr_recorded_stream(tsr_recorded *x, const char *name);
/* Adds a column [count, ...], F32 or I32: after one of the four. */
void tsr_recorded_attach(tsr_recorded *x, const char *name, tsr_tensor *column);
/* Adds to the trace: a tensor as it is, or with type F64 as float64. */
void tsr_recorded_trace(tsr_recorded *x, const char *name, tsr_array_type type, tsr_tensor *values);
/* Counts near ties: margins below `bound`. */
void tsr_recorded_margins(tsr_recorded *x, tsr_tensor *margins, double bound);
/* Counts near ties: neighbours in a falling list that are nearer than `bound`, or than `relative`
 * of the larger one. */
void tsr_recorded_falling(tsr_recorded *x, tsr_tensor *list, double bound, double relative);
/* Whether distances of all pairs of tokens are few enough to be stored (8192 tokens, 256 MiB) and
 * to be made at once by a slow GPU (2^36 multiply-adds), for rows of this width. */
bool tsr_recorded_pairs_fit(const tsr_recorded *x, int64_t width);
/* Bound of the rounding of a cosine of rows of this width. */
double tsr_recorded_cosine_bound(int64_t width);

/* ---- for chains ---- */

/* What a chain is, and what it was found to make. */
struct tsr_recorded_plan {
    tsr_context *ctx;
    const tsr_token_set *set; /* whose tables may be read; NULL: none */
    tsr_recorded_step *steps; /* [count] */
    int count;                /* steps that may be recorded */
    int accepted;             /* those that are: the first ones */
    bool to_the_end;          /* the last step is the last of the chain */
    bool measured;
    int64_t rows, channels;    /* of the result */
    int64_t integers, numbers; /* I32 and F32 that come down beside the features */
    uint64_t identity;         /* of operations, for the variant of a program */
};

/* Tensors that a chain leaves: features [rows, channels], I32 [integers] and F32 [numbers], NULL
 * where there are none. */
typedef struct tsr_recorded_result {
    tsr_tensor *features, *integers, *numbers;
} tsr_recorded_result;

/* Reads operations up to the first that has no recorded form or does not read well; plan->count may
 * be 0. The operations must outlive the plan. Close with tsr_recorded_plan_close, also on error.
 * Errors: MEMORY. */
tsr_status tsr_recorded_plan_open(tsr_context *ctx, const char *const *operations, int count,
                                  tsr_recorded_plan *plan);
void tsr_recorded_plan_close(tsr_recorded_plan *plan);
/* Whether a step of the plan reads the column. */
bool tsr_recorded_plan_reads(const tsr_recorded_plan *plan, const char *column);
/* Walks through the steps, inside a model function, on the tokens `at` (features, sizes, columns,
 * grid). The first walk of a plan must be one of tsr_outline: it decides plan->accepted and the
 * sizes of the result. */
tsr_recorded_result tsr_recorded_walk(tsr_run *r, tsr_recorded_plan *plan, const tsr_recorded *at);
/* Walks through the steps on shapes alone: `at` as in tsr_recorded_walk, its tensors host tensors
 * whose data are not looked at. plan->accepted is 0 where no step can be recorded. Errors: MEMORY.
 */
void tsr_recorded_measure(tsr_device *device, tsr_recorded_plan *plan, const tsr_recorded *at);
/* Derives the set that the recorded steps make of `in`, whose features are not looked at, from
 * what came down: features [rows, width], which a projector may have widened, integers, numbers.
 * near_ties [accepted] gets those of each step. Errors: MEMORY, and those of operators. */
tsr_status tsr_recorded_derive(const tsr_recorded_plan *plan, const tsr_token_set *in,
                               const float *features, int64_t width, const int32_t *integers,
                               const float *numbers, uint64_t *near_ties, tsr_token_set **made);
/* Runs as many operations as can be recorded on the device, as one program: *done of them, 0 where
 * the first one cannot be, and *made is the set they make (NULL). near_ties [count]. Errors:
 * MEMORY, the device's. */
tsr_status tsr_recorded_run(tsr_device *device, const tsr_token_set *in,
                            const char *const *operations, int count, int *done,
                            uint64_t *near_ties, tsr_token_set **made);

/* ---- recorded forms ---- */

void tsr_record_cls_attention_topk(tsr_recorded *x);
void tsr_record_cls_sum_topk(tsr_recorded *x);
void tsr_record_query_relevance(tsr_recorded *x);
void tsr_record_score_topk(tsr_recorded *x);
void tsr_record_diverse_maxmin(tsr_recorded *x);
void tsr_record_diverse_kcentre(tsr_recorded *x);
void tsr_record_diverse_maxsum(tsr_recorded *x);
void tsr_record_coverage_greedy(tsr_recorded *x);
void tsr_record_bipartite_merge(tsr_recorded *x);
void tsr_record_halving_merge(tsr_recorded *x);
void tsr_record_dpc_knn(tsr_recorded *x);
void tsr_record_nearest_code(tsr_recorded *x);
void tsr_record_dct_lowpass(tsr_recorded *x);

#endif
