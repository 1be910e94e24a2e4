/* SPDX-License-Identifier: MIT */
/* flextok_decoder.h: ids and noise to latents. */
#ifndef CODEC_FLEXTOK_DECODER_H
#define CODEC_FLEXTOK_DECODER_H

#include "../../../nn/rectified_flow.h"
#include "flextok_trace.h"

typedef struct tsr_flextok_decode_settings {
    tsr_flow_settings flow;         /* no default */
    const tsr_flextok_trace *trace; /* sees the first step; needs model->savings 0. Default: NULL */
} tsr_flextok_decode_settings;
/* Decodes the first counts[b] ids of each row of ids [B, K]. x [B, C, h, w] is noise on entry,
 * scaled latents on return; B is `count`. The latents of a picture do not depend on the other
 * pictures. Errors: TOKENS (an id, or count), ARGUMENT (size, settings), INTERRUPTED, MEMORY, the
 * device's. */
tsr_status tsr_flextok_decode(const tsr_flextok *model, const uint32_t *ids, const uint32_t *counts,
                              int64_t count, int64_t height, int64_t width,
                              const tsr_flextok_decode_settings *settings, float *x);

#endif
