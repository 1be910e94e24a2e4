/* SPDX-License-Identifier: MIT */
/* verify_weights.h: weights and inputs of golden cases, made by rule instead of stored. */
#ifndef VERIFY_VERIFY_WEIGHTS_H
#define VERIFY_VERIFY_WEIGHTS_H

#include "verify.h"

#include "../compute/weights.h"

typedef struct tsr_synthetic tsr_synthetic;

/* Opens every tensor the manifest lists, rounded to `round` (F32: not at all), as lazy weights: a
 * value is made when it is read. `synthetic` must outlive the weights; free it with
 * tsr_synthetic_close, the weights with tsr_weights_close. Both are NULL after a failure: FORMAT,
 * CHECKSUM for a tensor whose values differ from the manifest's checksum. */
void tsr_synthetic_open(tsr_verify *v, tsr_dtype round, tsr_synthetic **synthetic,
                        tsr_weights **weights);
/* Frees the rule and sets *synthetic to NULL. */
void tsr_synthetic_close(tsr_synthetic **synthetic);
/* Array that the manifest's inputs describe under `name` ("input.noise.0"), F32; its data lives
 * until the end of the run. Zeroed after a failure. */
tsr_tensor tsr_synthetic_input(tsr_verify *v, const char *name);
/* The first `count` numbers of the stream called `name`, in [0, 1), until the end of the run. NULL
 * after a failure. */
const float *tsr_synthetic_units(tsr_verify *v, const char *name, int64_t count);

#endif
