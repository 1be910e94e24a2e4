/* SPDX-License-Identifier: MIT */
/* flextok_decoder.h: ids and noise to latents. */
#ifndef CODEC_FLEXTOK_DECODER_H
#define CODEC_FLEXTOK_DECODER_H

#include "../../../nn/rectified_flow.h"
#include "flextok_trace.h"

typedef struct tsr_flextok_decode_settings {
    tsr_flow_settings flow;
    const tsr_flextok_trace *trace; /* of the first step; wants the plain way: savings 0 */
} tsr_flextok_decode_settings;
/* The first counts[b] ids of each row of `ids` (stride K) to latents; x [B, C, h, w] is the noise
 * on entry, the latents (scaled) on return. A picture's result does not depend on the others. */
tsr_status tsr_flextok_decode(const tsr_flextok *model, const uint32_t *ids, const uint32_t *counts,
                              int64_t count, int64_t height, int64_t width,
                              const tsr_flextok_decode_settings *settings, float *x);

#endif
