/* SPDX-License-Identifier: MIT */
/* sampling.h: what a decoder that samples is asked for, and its ranges. */
#ifndef CODEC_SAMPLING_H
#define CODEC_SAMPLING_H

#include "tokenizer.h"

/* Hints become what the settings say where they say something. Errors: ARGUMENT (a range). */
tsr_status tsr_sampling_apply(tsr_context *ctx, const tsr_sampling_settings *settings,
                              tsr_decode_hints *hints);
/* What the settings leave open the file's hints say, and what those leave open the model's.
 * Errors: ARGUMENT (a range; anything asked of a decoder that does not sample). */
tsr_status tsr_sampling_choose(tsr_tokenizer *tokenizer, const tsr_decode_hints *file,
                               const tsr_decode_settings *settings, tsr_decode_hints *hints);

#endif
