/* SPDX-License-Identifier: MIT */
/* set_case.h: token sets for tests of operators. Every call fails the test when it fails. */
#ifndef TESTS_SET_CASE_H
#define TESTS_SET_CASE_H

#include <tessera/reduce.h>

/* A context of its own with this number of threads. */
tsr_context *set_context(int threads);
/* A set of features [n, dim] on a grid (frames, rows, columns) or NULL. */
tsr_token_set *set_of(tsr_context *ctx, const float *x, int64_t n, int64_t dim,
                      const int64_t *grid);
void add_column(tsr_token_set *set, const char *name, tsr_array_type type, tsr_token_axis axis,
                int rank, const int64_t *dim, const void *data);
/* Applies one operation on the cpu. */
tsr_token_set *reduce_one(const tsr_token_set *set, const char *operation);
/* Fails the test unless applying (set NULL: asking for) the operation ends with this status and a
 * detail that has `words` in it. */
void refuses(tsr_context *ctx, const tsr_token_set *set, const char *operation, tsr_status status,
             const char *words);
/* Source tokens that a selection kept, [count]; returns how many. */
int64_t kept_tokens(const tsr_token_set *made, int32_t *kept);
/* An array of the trace, which must be there. */
tsr_token_array trace_of(const tsr_token_set *made, const char *name);
/* Fails the test unless both sets hold the same bits: features, maps, columns, trace. */
void same_sets(const tsr_token_set *a, const tsr_token_set *b);

#endif
