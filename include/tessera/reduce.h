/* SPDX-License-Identifier: MIT */
/* reduce.h: token sets, and operators that turn one set into another: select, merge, pool, order,
 * quantise.
 *
 *     tsr_token_set *set = NULL, *less = NULL;
 *     tsr_status s = tsr_token_set_read(ctx, "features.safetensors", NULL, &set);
 *     const char *chain[] = {"diverse-maxmin:ratio=0.25", "bipartite-merge:r=40"};
 *     if (!s) s = tsr_token_set_reduce(set, chain, 2, NULL, &less);
 *     if (!s) s = tsr_token_set_write(less, "less.safetensors");
 *     tsr_token_set_close(&less);
 *     tsr_token_set_close(&set);
 *
 * N is the number of source tokens (those of the tower or tokenizer), k the number of tokens in a
 * set, D the number of channels. Every operator keeps the map from source tokens to tokens, so that
 * operators can be chained in any order, undone (tsr_token_set_unmerge) and measured by one measure
 * (tsr_token_set_compare). All numbers are f32 unless a comment says otherwise; ties go to the
 * lowest index; results do not depend on the number of threads.
 *
 * A token set belongs to the context it was made with. "Reading errors", "writing errors" and
 * "device errors" are those of tessera.h. No pointer may be NULL unless a comment says what NULL
 * means there. */
#ifndef TESSERA_REDUCE_H
#define TESSERA_REDUCE_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- token sets ----------------------------------------------------------------------------- */

/* Tokens with their features, where they come from and where they stand. */
typedef struct tsr_token_set tsr_token_set;

#define TSR_TOKEN_SET_MAX_RANK 4
/* Element type of an array. */
typedef enum tsr_array_type {
    TSR_ARRAY_F32 = 0,
    TSR_ARRAY_I32 = 1,
    TSR_ARRAY_F64 = 2
} tsr_array_type;

/* Which axis of a column counts tokens. */
typedef enum tsr_token_axis {
    TSR_TOKEN_AXIS_NONE = -1, /* no axis does: the array goes through every operator unchanged */
    TSR_TOKEN_AXIS_FIRST = 0, /* [k, ...]: a row for each token */
    TSR_TOKEN_AXIS_LAST = 1,  /* [..., k]: attention of a class row or of texts to the tokens */
    TSR_TOKEN_AXIS_SQUARE = 2 /* [..., R, R]: attention among tokens; R is k, or k + 1 where row 0
                                 and column 0 belong to a class token */
} tsr_token_axis;

/* A named array of a set: a column, or what an operator found on its way. */
typedef struct tsr_token_array {
    const char *name;
    tsr_array_type type;
    tsr_token_axis axis;
    int rank; /* 1..TSR_TOKEN_SET_MAX_RANK */
    int64_t dim[TSR_TOKEN_SET_MAX_RANK];
    const void *data; /* row-major */
} tsr_token_array;

/* What a set is made of. Pointers are owned by the set. */
typedef struct tsr_token_set_info {
    int64_t source;   /* N */
    int64_t count;    /* k */
    int64_t channels; /* D */
    /* Frames, rows and columns of the tokens, in raster order; zeros where the tokens do not fill a
     * grid, as after a selection. */
    int64_t grid[3];
    int64_t source_grid[3];    /* the same of the source tokens */
    const float *features;     /* [k, D] */
    const int32_t *source_map; /* [N] token that holds the source token, or -1: dropped */
    const float *positions; /* [k, 3] frame, row, column, in cells of the source grid; of a merged
                               token the mean over its source tokens, of one without source tokens
                               (size 0) zeros, which say nothing */
    const float *sizes;     /* [k] number of source tokens in a token */
    const char *stream;     /* name of the stream, "" where it has none */
} tsr_token_set_info;

/* Makes a set of `count` tokens in the caller's raster order from features [count, channels], which
 * are copied. grid is frames, rows, columns, whose product is `count`; NULL: no grid, the position
 * of token i is (0, 0, i). Every token is its own source. Errors: ARGUMENT (no token, no channel, a
 * grid of another size, a feature that is not finite, named by token and channel), MEMORY. */
tsr_status tsr_token_set_create(tsr_context *ctx, const float *features, int64_t count,
                                int64_t channels, const int64_t *grid, tsr_token_set **set);
/* Frees a set and sets *set to NULL. NULL and a NULL *set are accepted. */
void tsr_token_set_close(tsr_token_set **set);
/* Fills *info. Its pointers are valid until the set is closed. */
void tsr_token_set_info_get(const tsr_token_set *set, tsr_token_set_info *info);

/* Copies an array into the set under array->name, in place of one of this name. Names are 1..63
 * bytes of letters, digits, '_', '-' and '.', and not those of tsr_token_set_info. Columns that
 * operators look for are listed in docs/TOKEN_SETS.md: "keys", "attention", "scores", "ids", ...
 * Errors: ARGUMENT (name, shape, a value that is not finite), MEMORY. */
tsr_status tsr_token_set_add(tsr_token_set *set, const tsr_token_array *array);
/* Number of columns, and column `index` of them; an index out of range gives a name NULL. */
int tsr_token_set_column_count(const tsr_token_set *set);
tsr_token_array tsr_token_set_column_at(const tsr_token_set *set, int index);
/* The column called `name`; its name is NULL where there is none. */
tsr_token_array tsr_token_set_column(const tsr_token_set *set, const char *name);

/* What the last operator found on its way: scores, the order of its picks, the answer of an
 * operator that plans. Arrays of the trace are not columns: they are not written to files, and the
 * next operator begins a trace of its own. */
int tsr_token_set_trace_count(const tsr_token_set *set);
tsr_token_array tsr_token_set_trace_at(const tsr_token_set *set, int index);
tsr_token_array tsr_token_set_trace(const tsr_token_set *set, const char *name);

/* Paints every token back over its source tokens: features [N, D], a dropped source token is zeros.
 * Errors: ARGUMENT. */
tsr_status tsr_token_set_unmerge(const tsr_token_set *set, float *features);

/* Most operations that a report tells of; later ones are applied and not told. */
enum { TSR_REDUCE_STEPS_MOST = 64 };
/* What became of one operation of a chain. */
typedef struct tsr_reduce_step {
    char ran_on[32]; /* "vulkan:0": recorded there, with its neighbours, as one program; "cpu": on
                        the host, which may have had matrix products made by the device */
    uint64_t near_ties; /* decisions of a recorded operator whose margin is within the rounding of
                           f32, so that the cpu may decide otherwise */
} tsr_reduce_step;
/* How a chain was run. */
typedef struct tsr_reduce_report {
    int step_count;
    tsr_reduce_step steps[TSR_REDUCE_STEPS_MOST];
    uint64_t programs;             /* that a device was given; 0 where none was opened */
    uint64_t submissions;          /* of them to the driver of a GPU */
    uint64_t bytes_up, bytes_down; /* of their inputs and outputs between host and GPU */
} tsr_reduce_report;

/* How operators run. A struct of zeros is the default. On a GPU operators that can be recorded
 * (docs/TOKEN_SETS.md) are steps of one program, and features stay on the device between them. */
typedef struct tsr_reduce_settings {
    const char *device;        /* as in tsr_model_settings; default NULL: the cpu */
    tsr_reduce_report *report; /* filled, also on error; default NULL: none */
} tsr_reduce_settings;

/* How much of one set is left in another. */
typedef struct tsr_token_set_comparison {
    int64_t kept, source; /* tokens of the set; its source tokens */
    int64_t dropped;      /* source tokens that no token holds */
    double cosine;        /* mean over all source tokens of the cosine between the original feature
                             and the unmerged one; a dropped token counts as 0 */
    double cosine_held;   /* the same over source tokens that a token holds; NaN where none is */
    double squared_error; /* mean over source tokens of the squared distance, divided by the mean
                             squared length of the original features; a dropped token is zeros */
} tsr_token_set_comparison;
/* Compares a set with the set it was made of. Errors: ARGUMENT (another number of source tokens or
 * of channels). */
tsr_status tsr_token_set_compare(const tsr_token_set *original, const tsr_token_set *set,
                                 tsr_token_set_comparison *comparison);

/* How near the tokens of a set are to every source token, whichever token holds it: *coverage is
 * the mean over source tokens of the greatest cosine between the original feature and any token of
 * the set. It is the fair measure between operators that select and those that merge. N k D
 * multiply-adds. Errors: ARGUMENT (another number of source tokens or of channels), MEMORY, device
 * errors. */
tsr_status tsr_token_set_coverage(const tsr_token_set *original, const tsr_token_set *set,
                                  const tsr_reduce_settings *settings, double *coverage);

/* ---- files ---------------------------------------------------------------------------------- */

/* A file is a safetensors file; docs/TOKEN_SETS.md states its schema, which is five lines of NumPy
 * or PyTorch. A file may hold several sets, each under a key: the tensor "<key>/features" and so
 * on. In a file with one set the tensors may be called "features" and so on; its key is then "". */
typedef struct tsr_token_sets tsr_token_sets;
/* Opens a file of sets. Errors: reading errors; FORMAT naming file, tensor, wanted and got. */
tsr_status tsr_token_sets_open(tsr_context *ctx, const char *path, tsr_token_sets **sets);
/* Closes a file and sets *sets to NULL. NULL and a NULL *sets are accepted. */
void tsr_token_sets_close(tsr_token_sets **sets);
/* Number of sets, and the key of set `index` in the byte order of keys. Owned by the file. */
int64_t tsr_token_sets_count(const tsr_token_sets *sets);
const char *tsr_token_sets_key(const tsr_token_sets *sets, int64_t index);
/* Value of `key` in the file's metadata, or NULL. Owned by the file. */
const char *tsr_token_sets_metadata(const tsr_token_sets *sets, const char *key);
/* Reads set `index`. Errors: ARGUMENT (index), reading errors, FORMAT (a shape, a value that is not
 * finite, a map that leads nowhere, sizes that do not add up). */
tsr_status tsr_token_sets_read(tsr_token_sets *sets, int64_t index, tsr_token_set **set);
/* Reads one set of a file: the one called `key`, or with NULL the only one. Errors: NOT_FOUND, and
 * those of the calls above. */
tsr_status tsr_token_set_read(tsr_context *ctx, const char *path, const char *key,
                              tsr_token_set **set);
/* Writes a file with one set and key "". Errors: writing errors. */
tsr_status tsr_token_set_write(const tsr_token_set *set, const char *path);

/* Writes a file set by set; no more than one set is in memory. */
typedef struct tsr_token_sets_writer tsr_token_sets_writer;
/* Begins a file, which appears under `path` when it is finished. Errors: writing errors. */
tsr_status tsr_token_sets_create(tsr_context *ctx, const char *path,
                                 tsr_token_sets_writer **writer);
/* Adds a pair to the file's metadata. Errors: ARGUMENT (a key twice, one that begins with
 * "tessera."), MEMORY. */
tsr_status tsr_token_sets_describe(tsr_token_sets_writer *writer, const char *key,
                                   const char *value);
/* Appends a set under a key: 1..1024 bytes of UTF-8, or "" in a file with no other. Errors:
 * ARGUMENT (key), writing errors. */
tsr_status tsr_token_sets_append(tsr_token_sets_writer *writer, const char *key,
                                 const tsr_token_set *set);
/* Completes the file and closes the writer; *writer becomes NULL also on error. Errors: ARGUMENT
 * (no set), writing errors. */
tsr_status tsr_token_sets_finish(tsr_token_sets_writer **writer);
/* Throws the file away. NULL and a NULL *writer are accepted. */
void tsr_token_sets_abandon(tsr_token_sets_writer **writer);

/* ---- operators ------------------------------------------------------------------------------ */

/* What a value of a parameter is. */
typedef enum tsr_parameter_type {
    TSR_PARAMETER_INTEGER = 0, /* a whole number in least..most */
    TSR_PARAMETER_NUMBER = 1,  /* a finite number in least..most */
    TSR_PARAMETER_CHOICE = 2,  /* one of `choices` */
    TSR_PARAMETER_LIST = 3,    /* numbers in least..most with '+' between: "12+24", "800x600" is
                                  written "800+600" */
    TSR_PARAMETER_FILE = 4     /* path of a file */
} tsr_parameter_type;
/* A parameter of an operator. Texts have static storage. */
typedef struct tsr_parameter {
    const char *name;
    tsr_parameter_type type;
    const char *standard; /* default, as text; NULL: the operator does without it, or says in
                             `about` what else has to be given */
    double least, most;
    const char *choices; /* "ortho|preserve" */
    const char *about;   /* one line */
} tsr_parameter;

/* What an operator does with a set. */
typedef enum tsr_operator_kind {
    TSR_OPERATOR_SELECT = 0,   /* keeps some tokens as they are */
    TSR_OPERATOR_MERGE = 1,    /* puts tokens together */
    TSR_OPERATOR_POOL = 2,     /* makes a smaller grid of a grid */
    TSR_OPERATOR_QUANTISE = 3, /* gives tokens ids, or features made of codes */
    TSR_OPERATOR_ORDER = 4,    /* changes order or positions, not the tokens */
    TSR_OPERATOR_PLAN = 5,     /* answers with a table and needs no set: its answer is the trace */
    TSR_OPERATOR_SCORE = 6     /* gives each token a number, the column "scores" */
} tsr_operator_kind;

/* An operator. Texts have static storage. */
typedef struct tsr_operator_info {
    const char *name; /* "diverse-maxmin" */
    tsr_operator_kind kind;
    const char *about;   /* one line: what it does */
    const char *formula; /* what is computed, in words and symbols */
    const char *source;  /* systems, paper or repository */
    const char
        *differs;     /* what the published code does otherwise, and what is done here; or NULL */
    const char *cost; /* arithmetic and memory in N, D, k */
    const char *columns;             /* columns it reads, "attention keys"; or NULL */
    const tsr_parameter *parameters; /* [parameter_count] */
    int parameter_count;
} tsr_operator_info;
/* Number of operators in this build. */
int tsr_operator_count(void);
/* Fills *info with operator `index`; an index out of range gives a name NULL. */
void tsr_operator_at(int index, tsr_operator_info *info);
/* Index of the operator called `name`, or -1. */
int tsr_operator_find(const char *name);

/* Applies operators one after the other and makes a new set; `set` stays as it is. An operation is
 * "NAME" or "NAME:key=value,key=value". Errors: ARGUMENT naming operation and parameter, wanted and
 * got; NOT_FOUND (no such operator); UNSUPPORTED (what is published and a plain defect); MEMORY;
 * device errors. */
tsr_status tsr_token_set_reduce(const tsr_token_set *set, const char *const *operations, int count,
                                const tsr_reduce_settings *settings, tsr_token_set **reduced);
/* Asks an operator that plans. *answer is a set of one token whose trace is the answer. Errors:
 * those of tsr_token_set_reduce; ARGUMENT for an operator that needs a set. */
tsr_status tsr_operator_plan(tsr_context *ctx, const char *operation, tsr_token_set **answer);

#ifdef __cplusplus
}
#endif
#endif
