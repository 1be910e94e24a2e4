/* SPDX-License-Identifier: MIT */
/* autoencoder_kl.h: the convolutional autoencoder of latent diffusion models (R. Rombach et al.
 * 2022; diffusers' AutoencoderKL): pictures to latents 2^(blocks-1) times smaller and back. */
#ifndef NN_AUTOENCODER_KL_H
#define NN_AUTOENCODER_KL_H

#include <cjson/cJSON.h>

#include "../compute/device.h"
#include "batching.h"
#include "conv_ae.h"

enum { TSR_VAE_BLOCKS = TSR_CONV_LEVELS };

typedef struct tsr_vae_config {
    int64_t channels; /* of the latents */
    double scaling_factor;
    bool sample_posterior; /* the official code draws latents at random */
    /* Not in FlexTok's configuration: read from the shapes of the tensors. */
    int blocks;                    /* downsampling happens between them */
    int64_t width[TSR_VAE_BLOCKS]; /* channels of each */
    int resnets;                   /* of a block of the encoder; the decoder has one more */
    int groups;                    /* of the norms */
    bool old_names;                /* attention tensors are called query, key, value, proj_attn */
    bool quant;                    /* quant_conv and post_quant_conv are there */
} tsr_vae_config;

typedef struct tsr_vae tsr_vae;

/* Reads diffusers' config.json of an AutoencoderKL. `json` is an object. Errors: MODEL. */
tsr_status tsr_vae_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                               tsr_vae_config *config);
/* Fills what shapes tell. Errors: MODEL, naming the tensor. */
tsr_status tsr_vae_read_shapes(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, tsr_vae_config *config);
/* Loads every tensor of an autoencoder, each name beginning with `prefix`, for a caller that has no
 * use for the model itself. */
void tsr_vae_list(tsr_weight_loader *loader, const tsr_vae_config *config, const char *prefix);
/* `weights` stays the caller's and outlives the vae. */
tsr_status tsr_vae_open(tsr_device *device, const tsr_vae_config *config, tsr_weights *weights,
                        const char *prefix, const char *path, tsr_vae **vae);
void tsr_vae_close(tsr_vae **vae);
const tsr_vae_config *tsr_vae_configuration(const tsr_vae *vae);
int tsr_vae_tensors(const tsr_vae *vae); /* how many it took */
/* Pixels to one latent, each way. */
int tsr_vae_factor(const tsr_vae_config *config);

struct tsr_window_plan;
/* How pictures of this size will be encoded. Fails with TOO_LARGE when memory holds not even the
 * windows of one of the halves, with ARGUMENT on a size that is no multiple of the factor. */
tsr_status tsr_vae_plan(const tsr_vae *vae, int64_t height, int64_t width,
                        struct tsr_window_plan *plan);

/* Cost of a picture of this size, encoded or decoded. */
tsr_tile_cost tsr_vae_cost(const tsr_vae *vae, bool decoder, int64_t height, int64_t width);

/* For verification: sees feature maps [B, H, W, C] by their names in the golden cases. */
typedef struct tsr_vae_trace {
    void (*see)(void *user, const char *name, const float *data, const int64_t *dim);
    void *user;
} tsr_vae_trace;

/* Pictures RGB [B, H, W, 3] in -1 .. 1 to mean and logvar [B, C, h, w], not scaled; logvar is
 * clamped to -30 .. 20 and may be NULL. H and W are multiples of the factor. Without a trace both
 * go by windows (conv_window.h) when memory asks for it. */
tsr_status tsr_vae_encode(const tsr_vae *vae, const float *rgb, int64_t count, int64_t height,
                          int64_t width, float *mean, float *logvar, const tsr_vae_trace *trace);
/* Draws from the posterior: mean[i] becomes mean[i] + exp(logvar[i] / 2) * noise[i]. */
void tsr_vae_draw(int64_t count, float *mean, const float *logvar, const float *noise);
/* Latents [B, C, h, w], not scaled, to RGB [B, H, W, 3], about -1 .. 1, not clamped. */
tsr_status tsr_vae_decode(const tsr_vae *vae, const float *latents, int64_t count, int64_t height,
                          int64_t width, float *rgb, const tsr_vae_trace *trace);

#endif
