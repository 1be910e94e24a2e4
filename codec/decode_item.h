/* SPDX-License-Identifier: MIT */
/* decode_item.h: the range of what a decoder that samples is asked for. */
#ifndef CODEC_DECODE_ITEM_H
#define CODEC_DECODE_ITEM_H

#include "tokenizer.h"

enum { TSR_STEPS_MOST = 10000, TSR_GUIDANCE_MOST = 1000 };
/* ARGUMENT unless a decoder that samples can do it. */
tsr_status tsr_sampling_check(tsr_context *ctx, const tsr_decode_hints *hints,
                              tsr_guidance_mode mode);

#endif
