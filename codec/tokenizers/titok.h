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
    bool legacy;                 /* latents [K, W] are read as [W, K] before the codes */
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

/* Opens a model. `config` is {"model": {"vq_model": {...}}} as in hub folders; NULL: the shapes
 * decide. Takes over `weights`, also on failure. `path` begins messages. Close with
 * tsr_titok_close. Errors: MODEL, naming the tensor or key; UNSUPPORTED (a model that reads a
 * caption); MEMORY. */
tsr_status tsr_titok_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                          const char *path, tsr_titok **model);
/* Closes a model; NULL and a NULL *model are accepted. */
void tsr_titok_close(tsr_titok **model);

/* Arrays that encoding fills. Required: ids, or factors of a continuous model; the other arrays may
 * be NULL. With latents there are factors, too. */
typedef struct tsr_titok_result {
    int32_t *ids;        /* [B, K] */
    float *margin;       /* [B, K] squared distance of the second nearest code less the nearest's */
    float *latents;      /* [B, K, W] rows that leave the encoder */
    float *factors;      /* [B, K, E] vectors before quantisation; of a continuous model [B, K, 2E],
                            means, then log variances */
    uint64_t *near_ties; /* added to: ids that another device may choose otherwise */
} tsr_titok_result;
/* Encodes pictures u8 [B, S, S, 3]; B is `count`. Errors: MEMORY, the device's. */
tsr_status tsr_titok_encode(const tsr_titok *model, const uint8_t *rgb, int64_t count,
                            const tsr_titok_result *result);
/* Decodes the first `count` ids [B, count], or vectors [B, count, E] when ids is NULL, to RGB f32
 * [B, S, S, 3], about 0..1. B is `pictures`, and 1 when count is 0. head (may be NULL): logits
 * [B, P, codes], or pixels [B, S, S, 3] before the last convolution. Errors: TOKENS (an id, or
 * count), ARGUMENT, MEMORY, the device's. */
tsr_status tsr_titok_decode(const tsr_titok *model, const int32_t *ids, const float *vectors,
                            int64_t pictures, int64_t count, float *rgb, float *head);

#endif
