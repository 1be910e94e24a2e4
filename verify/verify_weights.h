/* SPDX-License-Identifier: MIT */
/* verify_weights.h: weights of golden cases, made by rule instead of stored. */
#ifndef VERIFY_VERIFY_WEIGHTS_H
#define VERIFY_VERIFY_WEIGHTS_H

#include "verify.h"

#include "../compute/weights.h"

typedef struct tsr_synthetic tsr_synthetic;

/* Every tensor the manifest lists, rounded to `round` (F32: not at all), as lazy weights: a value
 * is made when it is asked for. `synthetic` outlives the weights. */
tsr_status tsr_synthetic_open(tsr_verify *v, tsr_dtype round, tsr_synthetic **synthetic,
                              tsr_weights **weights);
void tsr_synthetic_close(tsr_synthetic **synthetic);
/* A pseudo-tensor of the manifest's or the run's inputs ("input.noise.0"); malloc'd. */
tsr_status tsr_synthetic_input(tsr_verify *v, const cJSON *run, const char *name,
                               tsr_tensor *tensor);
/* The stream's numbers themselves, in [0, 1). */
tsr_status tsr_synthetic_units(tsr_verify *v, const char *name, int64_t count, float *units);

#endif
