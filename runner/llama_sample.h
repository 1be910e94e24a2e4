/* SPDX-License-Identifier: MIT */
/* llama_sample.h: choosing the next id from logits. */
#ifndef RUNNER_LLAMA_SAMPLE_H
#define RUNNER_LLAMA_SAMPLE_H

#include <tessera/runner/llama.h>

/* Natural logarithm of the sum of exp(logits [n]), in double; NAN where a logit is NaN or
 * +infinity, or all are -infinity. */
double tsr_llama_log_sum(const float *logits, int32_t n);

/* A place of the candidates. */
typedef struct tsr_llama_candidate {
    float logit;
    int32_t id;
} tsr_llama_candidate;

/* Errors: ARGUMENT, naming the field that is out of range. */
tsr_status tsr_llama_check_sampling(tsr_context *ctx, const tsr_llama_sampling *sampling,
                                    int32_t n);
/* Chooses among logits [n] by settings that were checked. room [n + also_count] is scratch, needed
 * unless temperature is 0. *state is the generator's, `seed` at first. */
int32_t tsr_llama_choose(const tsr_llama_sampling *sampling, const float *logits, int32_t n,
                         tsr_llama_candidate *room, uint64_t *state);

#endif
