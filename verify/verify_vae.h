/* SPDX-License-Identifier: MIT */
/* verify_vae.h: the autoencoder's part of FlexTok's golden cases. */
#ifndef VERIFY_VERIFY_VAE_H
#define VERIFY_VERIFY_VAE_H

#include "verify.h"

#include "../codec/tokenizers/flextok/flextok_model.h"

/* The run's pictures to scaled latents [B, C, h, w] (malloc'd); compares mean, logvar and latent.
 */
tsr_status tsr_verify_latents(tsr_verify *v, const cJSON *run, tsr_flextok *model,
                              tsr_tensor *latents);
/* Scaled latents to pictures; compares image and image_u8. */
tsr_status tsr_verify_pictures(tsr_verify *v, const cJSON *run, tsr_flextok *model,
                               const float *latents, const int64_t *dim);

#endif
