/* SPDX-License-Identifier: MIT */
/* verify_vae.h: the autoencoder's part of FlexTok's golden cases. */
#ifndef VERIFY_VERIFY_VAE_H
#define VERIFY_VERIFY_VAE_H

#include "verify.h"

#include "../codec/tokenizers/flextok/flextok_model.h"

/* Encodes the run's pictures to scaled latents [B, C, h, w], whose data lives until the end of the
 * run, and compares vae.mean, vae.logvar and latent. Zeroed after a failure. */
tsr_tensor tsr_verify_latents(tsr_verify *v, tsr_flextok *model);
/* Decodes scaled latents of shape `dim` [B, C, h, w] and compares image and image_u8; does nothing
 * where the run has neither. */
void tsr_verify_pictures(tsr_verify *v, tsr_flextok *model, const float *latents,
                         const int64_t *dim);

#endif
