/* SPDX-License-Identifier: MIT */
/* encode_plan.h: what encode settings ask of a tokenizer, checked once and before any picture is
 * read. Encoding files, encoding pictures in memory and searching for a target share it. */
#ifndef CODEC_ENCODE_PLAN_H
#define CODEC_ENCODE_PLAN_H

#include "tokenizer.h"

typedef struct tsr_encode_plan {
    tsr_token_header header; /* that the items will be under */
    tsr_encode_request request;
    tsr_target target;
    int batch; /* tiles in flight */
    bool keep_fitted;
    tsr_tensor noise;    /* .data is owned; request.noise points here when there is noise */
    uint64_t noise_used; /* tiles that had theirs */
    tsr_progress_fn progress;
    void *progress_user;
} tsr_encode_plan;

/* Checks settings against the tokenizer's header and abilities, and reads the noise.
 * Errors: ARGUMENT, UNSUPPORTED, those of reading the noise. On success tsr_encode_plan_close. */
tsr_status tsr_encode_plan_open(tsr_tokenizer *tokenizer, const tsr_encode_settings *settings,
                                tsr_encode_plan *plan);
/* Plan for searching `target` on an item under `header`. Errors: ARGUMENT, UNSUPPORTED. */
tsr_status tsr_encode_plan_search(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                  const tsr_token_choice *choice, tsr_encode_plan *plan);
/* Notes in the plan's header how decoding should sample. Errors: ARGUMENT. */
tsr_status tsr_encode_plan_set_hints(tsr_tokenizer *tokenizer, const tsr_sampling_settings *hints,
                                     tsr_precision precision, tsr_encode_plan *plan);
/* The noise of the next `count` tiles is used up. ARGUMENT when there is too little. */
tsr_status tsr_encode_plan_take_noise(tsr_context *ctx, tsr_encode_plan *plan, int count);
/* ARGUMENT unless there was noise for each tile and none over. */
tsr_status tsr_encode_plan_finish(tsr_context *ctx, const tsr_encode_plan *plan);
void tsr_encode_plan_close(tsr_encode_plan *plan);

#endif
