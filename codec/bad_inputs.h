/* SPDX-License-Identifier: MIT */
/* bad_inputs.h: inputs that cannot be used, of a call that may go on without them: they are
 * counted and told, and the first one's failure is kept for when all of them are bad. */
#ifndef CODEC_BAD_INPUTS_H
#define CODEC_BAD_INPUTS_H

#include <tessera/tessera.h>

#include "../compute/context.h"

typedef struct tsr_bad_inputs {
    tsr_context *ctx;
    tsr_on_error on_error;
    tsr_encode_failure_fn tell; /* NULL: nobody listens */
    void *tell_user;
    uint64_t *count;   /* of the call's report */
    tsr_status status; /* the first one's */
    char detail[1024];
} tsr_bad_inputs;

/* Counts and tells an input. TSR_OK with TSR_ON_ERROR_SKIP, else its failure. */
tsr_status tsr_bad_input(tsr_bad_inputs *bad, const char *name, tsr_status status,
                         const char *detail);
/* The same of the failure that the context has. */
tsr_status tsr_bad_input_now(tsr_bad_inputs *bad, const char *name, tsr_status status);
/* The first one's failure, as that of the call. */
tsr_status tsr_bad_inputs_fail(const tsr_bad_inputs *bad);

#endif
