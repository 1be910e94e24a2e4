/* SPDX-License-Identifier: MIT */
/* flextok_config.h: what a FlexTok checkpoint says of itself. */
#ifndef CODEC_FLEXTOK_CONFIG_H
#define CODEC_FLEXTOK_CONFIG_H

#include <cjson/cJSON.h>

#include "../../../formats/weights/safetensors.h"
#include "../../../nn/autoencoder_kl.h"
#include "flextok_block.h"

#define TSR_FLEXTOK_VAE "vae.vae." /* prefix of the autoencoder's tensors */
enum { TSR_FLEXTOK_MAX_DEPTH = 64, TSR_FLEXTOK_MAX_STEPS = 8, TSR_FLEXTOK_NAME = 96 };

/* Position embeddings of a grid or a row, stored or computed. `module` prefixes the tensors, as in
 * every member of this type: char [TSR_FLEXTOK_NAME]. */
typedef struct tsr_flextok_positions {
    char module[TSR_FLEXTOK_NAME];
    int axes;       /* 0: none, 1: a row, 2: a grid */
    int64_t max[2]; /* size of the table: rows and columns; of a row: length and 1 */
    bool sum;       /* [axes, 1, D, max]: one table for each axis, added; else [1, D, rows, cols] */
} tsr_flextok_positions;

/* Step on the decoder's tokens before they are packed with the patches. */
typedef enum tsr_flextok_token_kind {
    TSR_FLEXTOK_STEP_LINEAR,    /* codes [K, L] -> [K, D'] */
    TSR_FLEXTOK_STEP_POSITIONS, /* + table */
    TSR_FLEXTOK_STEP_DROPOUT,   /* tokens from k on become the mask token */
    TSR_FLEXTOK_STEP_NULL       /* unconditional pass: all tokens become the null token, or 0 */
} tsr_flextok_token_kind;
typedef struct tsr_flextok_token_step {
    tsr_flextok_token_kind kind;
    char module[TSR_FLEXTOK_NAME];
    bool bias;    /* LINEAR */
    bool learned; /* NULL: there is a tensor; else zeros */
    bool single;  /* NULL: one token replaces all tokens */
} tsr_flextok_token_step;

/* What a checkpoint says of its networks. C: channels of latents, D: width of a trunk, K: tokens of
 * a picture, L: levels. */
typedef struct tsr_flextok_config {
    int64_t channels, patch; /* C; side of a patch in latents */
    int levels[TSR_FSQ_MAX_LEVELS], level_count;
    int64_t codebook;  /* product of the levels */
    int64_t registers; /* K, at most encoder.table */
    tsr_vae_config vae;

    struct { /* encoder */
        tsr_flextok_block_spec trunk;
        int64_t table; /* rows of the register table; the first K are used */
        tsr_flextok_positions positions;
        char patches[TSR_FLEXTOK_NAME], registers[TSR_FLEXTOK_NAME];
        char transformer[TSR_FLEXTOK_NAME], head[TSR_FLEXTOK_NAME];
        bool head_bias;
    } encoder;

    struct { /* decoder */
        tsr_flextok_block_spec trunk;
        tsr_flextok_token_step step[TSR_FLEXTOK_MAX_STEPS];
        int step_count; /* in the order of the file */
        tsr_flextok_positions positions, token_positions;
        char patches[TSR_FLEXTOK_NAME], time[TSR_FLEXTOK_NAME];
        char transformer[TSR_FLEXTOK_NAME], head[TSR_FLEXTOK_NAME];
        int64_t frequencies;
        double max_timestep;
        bool head_bias, head_modulated;
    } decoder;
} tsr_flextok_config;

/* Reads {"vae": {...}, "encoder": {...}, "decoder": {...}, "regularizer": {...}, "pipeline": {...}}
 * into *config. `path` begins the messages; keys without a known meaning are logged as warnings.
 * Errors: MODEL, naming module, key, wanted and got; *config is then of no use. */
tsr_status tsr_flextok_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                                   tsr_flextok_config *config);
/* Finds the configuration of a file: in the file's metadata, or in config.json beside `path`. Free
 * *json with cJSON_Delete; *json is NULL after an error. Errors: MODEL when there is none, FORMAT
 * for a text that cannot be parsed, MEMORY. */
tsr_status tsr_flextok_find_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                                   cJSON **json);

#endif
