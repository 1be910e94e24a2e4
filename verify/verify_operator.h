/* SPDX-License-Identifier: MIT */
/* verify_operator.h: golden cases of token operators: a folder for each operator, whose manifest
 * has "cases" with parameters, inputs made by rule, and two blocks of answers: "expected" is what
 * the published code gives, "required" what is done here where that differs.
 *
 * Each operator has a function `void tsr_verify_operator_<name>(tsr_verify *v)`, which makes one
 * case, and a line in operator_cases.def. v->run is the case. */
#ifndef VERIFY_VERIFY_OPERATOR_H
#define VERIFY_VERIFY_OPERATOR_H

#include <tessera/reduce.h>

#include "verify.h"

#define OPERATOR_CASE(name, function) void tsr_verify_operator_##function(tsr_verify *v);
#include "operator_cases.def"
#undef OPERATOR_CASE

/* ---- inputs ---- */

/* The input whose name ends with "/<name>", F32 or I32, until the end of the case. Fails with
 * FORMAT where there is none. */
tsr_tensor tsr_case_input(tsr_verify *v, const char *name);
bool tsr_case_has_input(const tsr_verify *v, const char *name);
/* Parameters of the case. A missing one fails with FORMAT. */
int64_t tsr_case_integer(tsr_verify *v, const char *name);
double tsr_case_number(tsr_verify *v, const char *name);
const char *tsr_case_text(tsr_verify *v, const char *name);
bool tsr_case_has(const tsr_verify *v, const char *name);
/* A list of numbers as an operator's parameter is written, "12+24"; until the end of the case. */
const char *tsr_case_list(tsr_verify *v, const char *name);
/* Path of the file that a parameter names, until the end of the case. */
const char *tsr_case_file(tsr_verify *v, const char *name);

/* ---- running ---- */

/* A set of features, freed at the end of the case. grid is frames, rows, columns, or NULL. */
tsr_token_set *tsr_case_set(tsr_verify *v, const float *features, int64_t count, int64_t channels,
                            const int64_t *grid);
/* A set of `count` tokens of one channel, for operators that read columns alone. */
tsr_token_set *tsr_case_bare_set(tsr_verify *v, int64_t count, const int64_t *grid);
/* Adds a column. */
void tsr_case_column(tsr_verify *v, tsr_token_set *set, const char *name, tsr_token_axis axis,
                     tsr_array_type type, int rank, const int64_t *dim, const void *data);
/* Applies the operation written by `format` ("NAME:key=value"); the result is freed at the end of
 * the case. NULL after a failure. */
tsr_token_set *tsr_case_reduce(tsr_verify *v, const tsr_token_set *set, const char *format, ...)
    TSR_PRINTF(3, 4);
/* Asks an operator that plans. */
tsr_token_set *tsr_case_plan(tsr_verify *v, const char *format, ...) TSR_PRINTF(2, 3);
/* Fails unless applying the operation ends with this status; reports a line called `output`. */
void tsr_case_refuses(tsr_verify *v, const char *output, const tsr_token_set *set,
                      tsr_status status, const char *operation);

/* ---- answers ---- */

/* Answer `name`: of the block "required" if it is there, else of "expected"; NULL where the case
 * has none. With a name like "expected.indices" the block is the one that is named. */
const cJSON *tsr_case_answer(const tsr_verify *v, const char *name);
/* Compare with the answer `name`; a line is reported, none where the case has no such answer.
 * Integers must be equal. Numbers may differ by the manifest's tolerance called `tolerance` ("abs
 * 1e-6", "rel 1e-5"; "exact": not at all). */
void tsr_case_i32(tsr_verify *v, const char *name, const int32_t *got, int64_t n);
void tsr_case_f32(tsr_verify *v, const char *name, const char *tolerance, const float *got,
                  int64_t n);
void tsr_case_f64(tsr_verify *v, const char *name, const char *tolerance, const double *got,
                  int64_t n);
/* The same with an array of the trace, of any type; an answer without an array is a failed line. */
void tsr_case_trace(tsr_verify *v, const char *name, const char *tolerance,
                    const tsr_token_set *made, const char *trace);
/* The same with a number that the manifest states no tolerance for: it may differ by `most`. */
void tsr_case_trace_near(tsr_verify *v, const char *name, double most, const tsr_token_set *made,
                         const char *trace);
/* The same with parts of the set: features, source map, sizes. */
void tsr_case_features(tsr_verify *v, const char *name, const tsr_token_set *made);
void tsr_case_source_map(tsr_verify *v, const char *name, const tsr_token_set *made);
void tsr_case_sizes(tsr_verify *v, const char *name, const tsr_token_set *made);
/* The same with the indices of the tokens that a selection kept, in the order of the set. */
void tsr_case_kept(tsr_verify *v, const char *name, const tsr_token_set *made);

#endif
