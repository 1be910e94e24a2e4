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

/* Makes the rows of positions that encoding to ids needs; they are the model's. Errors: MEMORY. */
tsr_status tsr_flextok_encoder_prepare(tsr_flextok *model);
/* What encoding to ids gives, all required. B is the tiles, k the registers, L the levels. */
typedef struct tsr_flextok_codes {
    float *z;       /* [B, k, L] vectors before FSQ */
    float *bounded; /* [B, k, L] before they are rounded */
    int32_t *ids;   /* [B, k] */
} tsr_flextok_codes;
/* Begins to encode whole tiles U8 [B, H, W, 3] to ids: autoencoder, encoder and FSQ are one
 * program. With `latents` [B, C, h, w], scaled, the autoencoder is left out and rgb not looked at.
 * Both are read when this returns; ends with tsr_execute_end. The model is prepared, and
 * its autoencoder needs no windows. Errors: as above. */
tsr_status tsr_flextok_encode_begin(const tsr_flextok *model, const uint8_t *rgb,
                                    const float *latents, int64_t count, int64_t k,
                                    const tsr_flextok_codes *codes, tsr_flight *flight);

#endif
