/* SPDX-License-Identifier: MIT */
/* flextok_encoder.h: latents to registers. */
#ifndef CODEC_FLEXTOK_ENCODER_H
#define CODEC_FLEXTOK_ENCODER_H

#include "flextok_trace.h"

/* Encodes scaled latents [B, C, h, w] to z [B, k, L], the vectors before FSQ. B is `count`, k is 1
 * to K. trace may be NULL. Errors: ARGUMENT (size, k), MEMORY, the device's. */
tsr_status tsr_flextok_encode(const tsr_flextok *model, const float *latents, int64_t count,
                              int64_t height, int64_t width, int64_t k, float *z,
                              const tsr_flextok_trace *trace);

#endif
