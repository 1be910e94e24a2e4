/* SPDX-License-Identifier: MIT */
/* karl.h: the inside of KARL (S. Duggal et al. 2025, "Single-pass Adaptive Image Tokenization for
 * Minimum Program Search"), for the family and for verification. */
#ifndef CODEC_KARL_H
#define CODEC_KARL_H

#include <cjson/cJSON.h>

#include "../../nn/code_table.h"
#include "../../nn/conv_ae.h"
#include "../../nn/family.h"
#include "../../nn/vit.h"

enum {
    TSR_KARL_DEPTH = 32,
    TSR_KARL_SIDE = 256, /* pixels */
    TSR_KARL_GRID = 16,
    TSR_KARL_PLACES = TSR_KARL_GRID * TSR_KARL_GRID,
    TSR_KARL_BINS = 19 /* of the tolerated error */
};

typedef struct tsr_karl_norm {
    tsr_weight *gamma, *beta;
} tsr_karl_norm;

typedef struct tsr_karl {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    const char *prefix; /* of all names */
    bool vae;           /* the base is an autoencoder, not a VQGAN */
    bool continuous;    /* no codebook: tokens are vectors */
    int64_t base;       /* numbers the base gives for a place */
    int64_t latents;    /* most tokens, 512 */
    int64_t size;       /* numbers of a token, 12 */
    struct {
        int64_t width;
        int depth, heads;
        tsr_weight *table, *positions; /* [W, n, n] of the file; [256, W] taken from it */
        float *own;                    /* memory of positions */
        tsr_karl_norm pre, post;
        tsr_vit_block block[TSR_KARL_DEPTH];
    } encoder, decoder;
    tsr_weight *patch, *patch_bias;      /* [W - base, 3, 16, 16] */
    tsr_weight *latent_rows, *qualities; /* [512, W], [19, W] */
    tsr_karl_norm halt_norm;
    tsr_weight *halt[2], *halt_bias[2];             /* [512, W], [1, 512] */
    tsr_weight *factors, *factors_bias;             /* [12, W] */
    tsr_weight *embed, *embed_bias, *places, *mask; /* [W', 12], [512, W'], [1, 1, W'] */
    tsr_weight *head[2], *head_bias[2];             /* [2W', W'], [base codes, 2W'] */
    tsr_code_table codes, base_codes;
    tsr_conv_half base_encoder, base_decoder;
    tsr_conv_layer quant, post_quant; /* of the autoencoder */
} tsr_karl;

/* `config` may give encoder_heads and decoder_heads, which shapes do not tell; NULL: those of the
 * published sizes. Takes over `weights`, whatever happens. Errors: MODEL. */
tsr_status tsr_karl_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                         const char *path, tsr_karl **model);
/* Loads every tensor of a model and keeps none. `config`: as above. Failures: MODEL. */
void tsr_karl_list(tsr_weight_loader *loader, const cJSON *config);
void tsr_karl_close(tsr_karl **model);

/* The row that stands for a tolerated error: the smallest bin not below it, or the last. */
int tsr_karl_bin(float epsilon);
extern const float tsr_karl_bins[TSR_KARL_BINS];
/* Tokens with a larger logit are dropped: ln 3, a probability of 0.75. */
extern const float tsr_karl_halt_above;

/* Cost of a picture with so many tokens in the encoder or the decoder. */
tsr_tile_cost tsr_karl_cost(const tsr_karl *model, bool decoder, int64_t tokens);
/* Pictures u8 [B, 256, 256, 3] to what the base gives [B, 16, 16, base] (autoencoder: [B, 16, 16, 2
 * base] means and log variances). */
tsr_status tsr_karl_features(const tsr_karl *model, const uint8_t *rgb, int64_t count,
                             float *features);
/* Means, or with noise [B, base, 16, 16] draws, scaled, in place of what tsr_karl_features gave:
 * features [B, 16, 16, base] for tsr_karl_encode. A no-op with a VQGAN. */
void tsr_karl_draw(const tsr_karl *model, int64_t count, float *features, const float *noise);

typedef struct tsr_karl_result { /* each may be NULL but halt and factors */
    float *halt;                 /* [B, T] logits */
    float *factors;              /* [B, T, 12] before the codes */
    int32_t *ids;                /* [B, T], of a quantised model */
    float *margin;               /* [B, T] */
    float *tokens;               /* [B, 256, W] what enters the encoder, without positions */
    uint64_t *near_ties;         /* added to */
} tsr_karl_result;
tsr_status tsr_karl_encode(const tsr_karl *model, const uint8_t *rgb, const float *features,
                           int64_t count, int bin, int64_t budget, const tsr_karl_result *result);
/* `count` ids of each picture [B, count], or vectors [B, count, 12] when ids is NULL, that stood at
 * these positions [B, count], to RGB f32 [B, 256, 256, 3], about 0..1. No ids at all: one picture.
 * head (may be NULL): [B, 256, base codes], or [B, 256, base]. */
tsr_status tsr_karl_decode(const tsr_karl *model, const int32_t *ids, const float *vectors,
                           const int32_t *positions, int64_t pictures, int64_t count, float *rgb,
                           float *head);

#endif
