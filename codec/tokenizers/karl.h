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

/* Opens a model. `config` may give encoder_heads and decoder_heads, which are not in the shapes;
 * NULL: those of the published sizes. Takes over `weights`, also on failure. `path` begins
 * messages. Close with tsr_karl_close. Errors: MODEL, naming the tensor; MEMORY. */
tsr_status tsr_karl_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                         const char *path, tsr_karl **model);
/* Loads every tensor of a model, and throws the model away. `config`: as of tsr_karl_open.
 * Failures: MODEL. */
void tsr_karl_list(tsr_weight_loader *loader, const cJSON *config);
/* Closes a model; NULL and a NULL *model are accepted. */
void tsr_karl_close(tsr_karl **model);

/* Tolerated errors the model was trained with, rising. */
extern const float tsr_karl_bins[TSR_KARL_BINS];
/* Number of the smallest bin that is not below a tolerated error, or of the last bin. */
int tsr_karl_bin(float epsilon);
/* Halting logit above which a token is dropped: ln 3, a probability of 0.75. */
extern const float tsr_karl_halt_above;

/* Cost of a picture with `tokens` tokens in the encoder or the decoder. */
tsr_tile_cost tsr_karl_cost(const tsr_karl *model, bool decoder, int64_t tokens);
/* Encodes pictures u8 [B, 256, 256, 3] with the base tokenizer: features [B, 16, 16, base], of an
 * autoencoder means and log variances [B, 16, 16, 2 base]. Errors: MEMORY, the device's. */
tsr_status tsr_karl_features(const tsr_karl *model, const uint8_t *rgb, int64_t count,
                             float *features);
/* Turns an autoencoder's means and log variances, in place, into features [B, 16, 16, base] for
 * tsr_karl_encode: scaled means, or scaled draws with noise [B, base, 16, 16]. noise may be NULL.
 * Does nothing with a VQGAN. */
void tsr_karl_draw(const tsr_karl *model, int64_t count, float *features, const float *noise);

/* Arrays that encoding fills. T is the budget. Any may be NULL: it is not asked for then. */
typedef struct tsr_karl_result {
    float *halt;         /* [B, T] halting logits */
    float *factors;      /* [B, T, 12] vectors before quantisation */
    int32_t *ids;        /* [B, T] of a quantised model */
    float *margin;       /* [B, T] squared distance of the second nearest code less the nearest's */
    float *square;       /* [B, T] squared lengths of the vectors that codes were looked for */
    float *tokens;       /* [B, 256, W] rows that enter the encoder, without positions */
    uint64_t *near_ties; /* added to: ids that another device may choose otherwise */
} tsr_karl_result;
/* Encodes pictures u8 [B, 256, 256, 3] with features [B, 256, base]. B is `count`, T is `budget`, 1
 * to the number of latents; bin: 0 to 18. Errors: ARGUMENT (bin, budget), MEMORY, the device's. */
tsr_status tsr_karl_encode(const tsr_karl *model, const uint8_t *rgb, const float *features,
                           int64_t count, int bin, int64_t budget, const tsr_karl_result *result);
/* Begins to encode pictures with features that stay on the device, an autoencoder's the scaled
 * means: both networks are one program. The pixels are read when this returns; ends with
 * tsr_execute_end. result->near_ties is not looked at: tsr_code_table_near_ties with margin and
 * square says it. Errors: as above. */
tsr_status tsr_karl_encode_begin(const tsr_karl *model, const uint8_t *rgb, int64_t count, int bin,
                                 int64_t budget, const tsr_karl_result *result, tsr_flight *flight);
/* Decodes ids [B, count], or vectors [B, count, 12] when ids is NULL, at positions [B, count] among
 * the latents, to RGB f32 [B, 256, 256, 3], about 0..1. B is `pictures`, and 1 when count is 0.
 * head (may be NULL): logits [B, 256, base codes], or features [B, 256, base] of an autoencoder.
 * Errors: TOKENS (an id, position or count), ARGUMENT, MEMORY, the device's. */
tsr_status tsr_karl_decode(const tsr_karl *model, const int32_t *ids, const float *vectors,
                           const int32_t *positions, int64_t pictures, int64_t count, float *rgb,
                           float *head);

#endif
