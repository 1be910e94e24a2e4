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
    int64_t channels;      /* C of the latents; 0: read from the shapes */
    double scaling_factor; /* of the latents; default: 0.18215 */
    bool sample_posterior; /* the official code draws latents at random; default: false */
    int groups;            /* of the group norms; default: 32 */
    /* Read from the shapes of the tensors by tsr_vae_read_shapes. */
    int blocks;                    /* the picture is halved between two of them */
    int64_t width[TSR_VAE_BLOCKS]; /* channels of each block */
    int resnets;                   /* of a block of the encoder; the decoder has one more */
    bool old_names;                /* attention tensors are called query, key, value, proj_attn */
    bool quant;                    /* the file has quant_conv and post_quant_conv */
} tsr_vae_config;

typedef struct tsr_vae tsr_vae;

/* Reads diffusers' config.json of an AutoencoderKL. `json` is an object; `path` begins messages.
 * Errors: MODEL, naming the key. */
tsr_status tsr_vae_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                               tsr_vae_config *config);
/* Reads the rest of a configuration from the shapes of the tensors, whose names begin with
 * `prefix`. Errors: MODEL, naming the tensor. */
tsr_status tsr_vae_read_shapes(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, tsr_vae_config *config);
/* Loads every tensor of an autoencoder, each name beginning with `prefix`, for a caller that has no
 * use for the model itself. */
void tsr_vae_list(tsr_weight_loader *loader, const tsr_vae_config *config, const char *prefix);
/* Opens an autoencoder. `weights` stay the caller's and outlive the model. Close with
 * tsr_vae_close. Errors: MODEL, naming the tensor; MEMORY. */
tsr_status tsr_vae_open(tsr_device *device, const tsr_vae_config *config, tsr_weights *weights,
                        const char *prefix, const char *path, tsr_vae **vae);
/* Closes an autoencoder; NULL and a NULL *vae are accepted. */
void tsr_vae_close(tsr_vae **vae);
/* Configuration of a model, owned by the model. */
const tsr_vae_config *tsr_vae_configuration(const tsr_vae *vae);
/* Device of a model. */
tsr_device *tsr_vae_device(const tsr_vae *vae);
/* Number of tensors that opening the model loaded. */
int tsr_vae_tensors(const tsr_vae *vae);
/* Pixels of a picture to one place of the latents, in each direction: a power of two, 1 to 128. */
int tsr_vae_factor(const tsr_vae_config *config);

struct tsr_window_plan;
/* Plans encoding and decoding of pictures of a size in pixels; *plan is the encoder's. Errors:
 * TOO_LARGE when memory does not hold the windows of a half, ARGUMENT when the size is no multiple
 * of the factor. */
tsr_status tsr_vae_plan(const tsr_vae *vae, int64_t height, int64_t width,
                        struct tsr_window_plan *plan);

/* Cost of encoding or decoding a picture of a size in pixels. */
tsr_tile_cost tsr_vae_cost(const tsr_vae *vae, bool decoder, int64_t height, int64_t width);

/* Looks at feature maps [B, H, W, C], by their names in the golden cases. For verification. */
typedef struct tsr_vae_trace {
    void (*see)(void *user, const char *name, const float *data, const int64_t *dim);
    void *user;
} tsr_vae_trace;

/* Encodes pictures RGB [B, H, W, 3] in -1 .. 1. Gives means and log variances [B, C, h, w], not
 * scaled. Log variances are clamped to -30 .. 20; logvar may be NULL. H and W are multiples of the
 * factor. trace may be NULL; without a trace pictures are cut into windows (conv_window.h) when
 * memory is short. Errors: ARGUMENT, TOO_LARGE, MEMORY, the device's. */
tsr_status tsr_vae_encode(const tsr_vae *vae, const float *rgb, int64_t count, int64_t height,
                          int64_t width, float *mean, float *logvar, const tsr_vae_trace *trace);
/* As tsr_vae_encode without a trace, of pictures U8 [B, H, W, 3], which become v / 255 * 2 - 1. */
tsr_status tsr_vae_encode_bytes(const tsr_vae *vae, const uint8_t *rgb, int64_t count,
                                int64_t height, int64_t width, float *mean, float *logvar);
/* Begins to encode pictures U8 [B, H, W, 3] that are not cut into windows (tsr_vae_cost does not
 * say alone): with `means` the means [B, h, w, C] alone, else means and then log variances of each
 * place [B, h, w, 2C], which are not clamped. The pixels are read when this returns; ends with
 * tsr_execute_end. Errors: as above. */
tsr_status tsr_vae_encode_begin(const tsr_vae *vae, const uint8_t *rgb, int64_t count,
                                int64_t height, int64_t width, bool means, float *values,
                                tsr_flight *flight);
/* The encoder as a part of another model's program, on pictures F32 [B, H, W, 3] of -1 .. 1: means
 * and then log variances of each place [B, h, w, 2C]. */
tsr_tensor *tsr_vae_encode_run(tsr_run *run, const tsr_vae *vae, tsr_tensor *pictures);
/* Limits of log variances. */
enum { TSR_VAE_LOGVAR_LEAST = -30, TSR_VAE_LOGVAR_MOST = 20 };
/* Draws from the posterior, in place: mean[i] becomes mean[i] + exp(logvar[i] / 2) * noise[i], for
 * `count` values. */
void tsr_vae_draw(int64_t count, float *mean, const float *logvar, const float *noise);
/* Decodes latents [B, C, h, w], not scaled, to RGB [B, H, W, 3], about -1 .. 1, not clamped. height
 * and width are h and w. trace and errors: as of tsr_vae_encode. */
tsr_status tsr_vae_decode(const tsr_vae *vae, const float *latents, int64_t count, int64_t height,
                          int64_t width, float *rgb, const tsr_vae_trace *trace);

#endif
