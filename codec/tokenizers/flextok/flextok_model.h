/* SPDX-License-Identifier: MIT */
/* flextok_model.h: the inside of the FlexTok family (R. Bachmann et al., "FlexTok: Resampling
 * Images into 1D Token Sequences of Flexible Length", 2025), for its files:
 *
 *   flextok_config    what a checkpoint's configuration says
 *   flextok_grid      latents to patches and back, positions
 *   flextok_block     the transformer block of both halves
 *   flextok_encoder   latents -> registers -> FSQ ids
 *   flextok_tokens    ids -> the tokens that condition the decoder
 *   flextok_time      a time step -> modulation vectors
 *   flextok_decoder   tokens, time -> velocities of the rectified flow -> latents
 *   flextok_trace     arrays that golden cases compare
 *   flextok.c         the family: opening, tiles in and out
 *
 * B pictures, C latent channels on a grid of h x w; P patches of p x p latents, K registers of
 * which the first k are used; D is the encoder's width, D' the decoder's; L digits of an id. */
#ifndef CODEC_FLEXTOK_MODEL_H
#define CODEC_FLEXTOK_MODEL_H

#include "../../../nn/autoencoder_kl.h"
#include "flextok_config.h"

/* Savings that change no result. --mask switches them off one by one, by the names collapse,
 * time_table, one_pass, last_rows and first_k. */
enum {
    TSR_FLEXTOK_COLLAPSE = 1,  /* equal tokens are one row with ln(count) on its logit */
    TSR_FLEXTOK_TABLE = 2,     /* the modulation of many time steps is computed at once */
    TSR_FLEXTOK_ONE_PASS = 4,  /* both guidance passes, and all pictures, are one batch */
    TSR_FLEXTOK_LAST_ROWS = 8, /* last blocks compute the rows that are used */
    TSR_FLEXTOK_FIRST_K = 16,  /* the registers after the first k are not computed */
    TSR_FLEXTOK_SAVE_ALL = 31,
    TSR_FLEXTOK_SAVINGS = 5 /* number of savings */
};
/* Names of the savings, in the order of their bits; ended by NULL. */
extern const char *const tsr_flextok_switches[TSR_FLEXTOK_SAVINGS + 1];

typedef struct tsr_flextok {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    tsr_flextok_config config;
    unsigned savings;
    tsr_vae *vae;

    struct {
        tsr_weight *patch, *patch_bias; /* [D, p*p*C], [D] */
        tsr_weight *positions;          /* see tsr_flextok_positions */
        tsr_weight *position_rows;      /* [P, D] of the largest grid, taken from positions */
        float *own;                     /* memory of position_rows */
        tsr_weight *registers;          /* [table, D] */
        tsr_flextok_block block[TSR_FLEXTOK_MAX_DEPTH];
        tsr_weight *head, *head_bias; /* [L, D], [L] */
    } encoder;

    struct {
        tsr_weight *step[TSR_FLEXTOK_MAX_STEPS]; /* by kind: [D', L], table, [D'], [D'] or NULL */
        tsr_weight *step_bias[TSR_FLEXTOK_MAX_STEPS];
        tsr_weight *patch, *patch_bias; /* [D', p*p*C], [D'] */
        tsr_weight *positions;
        tsr_weight *time1, *time1_bias, *time2, *time2_bias; /* [D', F], [D', D'] */
        tsr_flextok_block block[TSR_FLEXTOK_MAX_DEPTH];
        tsr_weight *modulation, *modulation_bias; /* of the head: [2D', D'], [2D'] */
        tsr_weight *head, *head_bias;             /* [p*p*C, D'], [p*p*C] */
    } decoder;
} tsr_flextok;

/* Loads every tensor of FlexTok's own. The autoencoder's tensors, whose names begin with
 * "vae.vae.", are loaded with tsr_vae_open. */
void tsr_flextok_load(tsr_weight_loader *loader, const tsr_flextok_config *config,
                      tsr_flextok *model);
/* Loads every tensor of a file, the autoencoder's too, and throws the model away. Fills config->vae
 * from the shapes in loader->weights. Failures: MODEL. */
void tsr_flextok_list(tsr_weight_loader *loader, tsr_flextok_config *config);
/* Opens a model. Takes over `weights`, also on failure. `path` begins messages. Close with
 * tsr_flextok_close. Errors: MODEL, naming the tensor; MEMORY. */
tsr_status tsr_flextok_open(tsr_device *device, const tsr_flextok_config *config,
                            tsr_weights *weights, const char *path, tsr_flextok **model);
/* Closes a model; NULL and a NULL *model are accepted. */
void tsr_flextok_close(tsr_flextok **model);

#endif
