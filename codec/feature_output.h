/* SPDX-License-Identifier: MIT */
/* feature_output.h: token sets to where `tessera features` writes them: one safetensors file, one
 * .npz, or a folder with a file for each picture. */
#ifndef CODEC_FEATURE_OUTPUT_H
#define CODEC_FEATURE_OUTPUT_H

#include <tessera/reduce.h>

#include "../compute/context.h"
#include <stdbool.h>

typedef struct tsr_feature_output tsr_feature_output;

/* How sets are written. */
typedef struct tsr_feature_output_settings {
    bool f16;     /* floats other than positions and sizes as f16 */
    bool unnamed; /* the file holds one set: names have no key */
    /* [pair_count] keys and values of the metadata of every file */
    const char *const (*pairs)[2];
    int pair_count;
} tsr_feature_output_settings;

/* Says what would be said of the output when the work is done, and makes nothing. Errors: ARGUMENT
 * (a name that says no kind), EXISTS. */
tsr_status tsr_feature_output_check(tsr_context *ctx, const char *path);
/* Opens an output. `path` and the settings' texts outlive it. Errors: those above, IO, NO_SPACE,
 * MEMORY. */
tsr_status tsr_feature_output_open(tsr_context *ctx, const char *path,
                                   const tsr_feature_output_settings *settings,
                                   tsr_feature_output **output);
/* Adds a set. Errors of the set alone, after which others may follow: ARGUMENT (a key that came
 * before, a value beyond f16). IO, NO_SPACE, EXISTS, MEMORY. */
tsr_status tsr_feature_output_add(tsr_feature_output *output, const char *key,
                                  const tsr_token_set *set);
/* Bytes of values that were added. */
uint64_t tsr_feature_output_bytes(const tsr_feature_output *output);
/* Completes the output and closes it; *output becomes NULL also on error. Errors: IO, NO_SPACE,
 * EXISTS, MEMORY. */
tsr_status tsr_feature_output_finish(tsr_feature_output **output);
/* Throws a file away that is not complete; the files of a folder stay. NULL and a NULL *output are
 * accepted. */
void tsr_feature_output_abandon(tsr_feature_output **output);

#endif
