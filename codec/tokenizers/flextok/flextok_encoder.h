/* SPDX-License-Identifier: MIT */
/* flextok_encoder.h: latents to registers. */
#ifndef CODEC_FLEXTOK_ENCODER_H
#define CODEC_FLEXTOK_ENCODER_H

#include "flextok_trace.h"

/* Latents [B, C, h, w] (scaled) to z [B, k, L], before FSQ. */
tsr_status tsr_flextok_encode(const tsr_flextok *model, const float *latents, int64_t count,
                              int64_t height, int64_t width, int64_t k, float *z,
                              const tsr_flextok_trace *trace);

#endif
