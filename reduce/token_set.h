/* SPDX-License-Identifier: MIT */
/* token_set.h: the inside of a token set, for operators and for the reader and writer of files. */
#ifndef REDUCE_TOKEN_SET_H
#define REDUCE_TOKEN_SET_H

#include <stdbool.h>

#include <tessera/reduce.h>

#include "../compute/context.h"

enum { TSR_TOKEN_NAME = 64, TSR_TOKEN_SET_COLUMNS = 64 };

/* An array with its own memory. */
typedef struct tsr_owned_array {
    char name[TSR_TOKEN_NAME];
    tsr_token_array array; /* its name and data lie in this struct and behind it */
} tsr_owned_array;

struct tsr_token_set {
    tsr_context *ctx;
    int64_t source, count, channels;
    int64_t grid[3], source_grid[3];
    float *features;     /* [count, channels] */
    int32_t *source_map; /* [source] */
    float *positions;    /* [count, 3] */
    float *sizes;        /* [count] */
    char stream[TSR_TOKEN_NAME];
    tsr_owned_array *columns[TSR_TOKEN_SET_COLUMNS], *traces[TSR_TOKEN_SET_COLUMNS];
    int column_count, trace_count;
};

/* A set of these sizes with zeros everywhere but in its features, which are to be set, or NULL
 * after a MEMORY failure. */
tsr_token_set *tsr_token_set_make(tsr_context *ctx, int64_t source, int64_t count,
                                  int64_t channels);
/* A copy of a set without its trace. Errors: MEMORY. */
tsr_status tsr_token_set_copy(const tsr_token_set *set, tsr_token_set **copy);
/* Gives a set other features [count, channels], of another width if need be. Errors: MEMORY. */
tsr_status tsr_token_set_give(tsr_token_set *set, const float *features, int64_t channels);
/* Elements of an array; bytes of one element. */
int64_t tsr_token_array_elements(const tsr_token_array *array);
size_t tsr_array_type_bytes(tsr_array_type type);
/* Adds an array to the trace. Errors: MEMORY. */
tsr_status tsr_token_set_add_trace(tsr_token_set *set, const tsr_token_array *array);
/* Makes a writer store floats as f16, but for positions and sizes: half the file. The caller has
 * seen to it that values are below 65520, from where on f16 is infinite. */
void tsr_token_sets_store_f16(tsr_token_sets_writer *writer);
/* Checks what the parts of a set say of each other: the map leads to tokens, sizes count its source
 * tokens, the grid holds as many tokens, everything is finite. `name` begins the detail text.
 * Errors: FORMAT. */
tsr_status tsr_token_set_check(const tsr_token_set *set, const char *name);
/* Fails with ARGUMENT unless the source tokens of a set are the tokens of `original`. */
tsr_status tsr_token_set_fits(const tsr_token_set *original, const tsr_token_set *set);
/* Opens a file of sets in memory; the bytes must stay valid until it is closed. `name` begins
 * detail texts. Errors: those of tsr_token_sets_open. */
tsr_status tsr_token_sets_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                tsr_token_sets **sets);

#endif
