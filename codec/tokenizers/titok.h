/* SPDX-License-Identifier: MIT */
/* titok.h: the inside of TiTok (Q. Yu et al. 2024, "An Image is Worth 32 Tokens") and One-D-Piece
 * (K. Miwa et al. 2025), for the family and for verification. */
#ifndef CODEC_TITOK_H
#define CODEC_TITOK_H

#include <cjson/cJSON.h>

#include "../../nn/code_table.h"
#include "../../nn/conv_ae.h"
#include "../../nn/family.h"
#include "../../nn/vit.h"

enum { TSR_TITOK_DEPTH = 48, TSR_TITOK_PATCH = 16 };

typedef struct tsr_titok_tower { /* encoder or decoder */
    int depth;
    int64_t width;
    tsr_weight *class_row, *positions; /* [1, W], [1 + P, W] */
    tsr_weight *latent_positions;      /* [K, W] */
    tsr_weight *pre_gamma, *pre_beta, *post_gamma, *post_beta;
    tsr_vit_block block[TSR_TITOK_DEPTH];
} tsr_titok_tower;

typedef struct tsr_titok {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    int64_t latents, size, side; /* K, numbers of a code, patches along a side of the tile */
    bool legacy;                 /* rows and columns of the latents are mixed up before the codes */
    bool two_stage;              /* the decoder gives logits of MaskGIT's codes, not pixels */
    bool nested;                 /* One-D-Piece: any prefix decodes */
    bool normalised;             /* codes and factors */
    bool continuous;             /* there is no codebook */
    tsr_titok_tower encoder, decoder;
    tsr_weight *patch, *patch_bias;     /* [W, 3, 16, 16], [W] */
    tsr_weight *latent_rows;            /* [K, W] */
    tsr_weight *factors, *factors_bias; /* [E or 2E, W, 1, 1] */
    tsr_weight *mask;                   /* [1, 1, W'] */
    tsr_weight *embed, *embed_bias;     /* [W', E], [W'] */
    tsr_weight *head[2], *head_bias[2]; /* 1x1 convolutions; single stage has the first only */
    tsr_code_table codes, base_codes;
    tsr_conv_half pixels;    /* two-stage */
    tsr_conv_layer conv_out; /* single stage */
} tsr_titok;

/* `config` is {"model": {"vq_model": {...}}} as hub folders have it, or NULL: then the shapes
 * decide. Takes over `weights`, whatever happens. Errors: MODEL. */
tsr_status tsr_titok_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                          const char *path, tsr_titok **model);
void tsr_titok_close(tsr_titok **model);

/* Arrays of a picture; each may be NULL but ids (factors of a continuous model). */
typedef struct tsr_titok_result {
    int32_t *ids;        /* [B, K] */
    float *margin;       /* [B, K] */
    float *latents;      /* [B, K, W] */
    float *factors;      /* [B, K, E]; continuous: means, then log variances */
    uint64_t *near_ties; /* added to */
} tsr_titok_result;
/* Pictures u8 [B, S, S, 3]. latents and factors are given both or not at all. */
tsr_status tsr_titok_encode(const tsr_titok *model, const uint8_t *rgb, int64_t count,
                            const tsr_titok_result *result);
/* The first `count` ids [B, count] of `pictures`, or vectors [B, count, E] when ids is NULL, to RGB
 * f32 [B, S, S, 3], about 0..1. No ids at all: one picture. head (may be NULL): logits [B, P,
 * codes], or pixels [B, S, S, 3] before the last convolution. */
tsr_status tsr_titok_decode(const tsr_titok *model, const int32_t *ids, const float *vectors,
                            int64_t pictures, int64_t count, float *rgb, float *head);

#endif
