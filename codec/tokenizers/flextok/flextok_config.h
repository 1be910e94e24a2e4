/* SPDX-License-Identifier: MIT */
/* flextok_config.h: what a FlexTok checkpoint says of itself. */
#ifndef CODEC_FLEXTOK_CONFIG_H
#define CODEC_FLEXTOK_CONFIG_H

#include <cjson/cJSON.h>

#include "../../../formats/weights/safetensors.h"
#include "../../../nn/autoencoder_kl.h"
#include "flextok_block.h"

#define TSR_FLEXTOK_VAE "vae.vae." /* what the autoencoder's tensors begin with */
enum { TSR_FLEXTOK_MAX_DEPTH = 64, TSR_FLEXTOK_MAX_STEPS = 8, TSR_FLEXTOK_NAME = 96 };

/* Learned or stored positions of a grid or a row. */
typedef struct tsr_flextok_positions {
    char module[TSR_FLEXTOK_NAME];
    int axes;       /* 0: none, 1: a row, 2: a grid */
    int64_t max[2]; /* rows and columns the table has; a row: max[0] */
    bool sum;       /* [axes, 1, D, max]: one table for each axis, added; else [1, D, rows, cols] */
} tsr_flextok_positions;

/* What happens to the decoder's tokens before they meet the patches, in the order of the file. */
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
    bool single;  /* NULL: one token replaces them all */
} tsr_flextok_token_step;

typedef struct tsr_flextok_config {
    int64_t channels, patch; /* C, p */
    int levels[TSR_FSQ_MAX_LEVELS], level_count;
    int64_t codebook;
    int64_t registers; /* K; the decoder has encoder.table of them */
    tsr_vae_config vae;

    struct { /* encoder */
        tsr_flextok_block_spec trunk;
        int64_t table; /* rows of the register table, K of them used */
        tsr_flextok_positions positions;
        char patches[TSR_FLEXTOK_NAME], registers[TSR_FLEXTOK_NAME];
        char transformer[TSR_FLEXTOK_NAME], head[TSR_FLEXTOK_NAME];
        bool head_bias;
    } encoder;

    struct { /* decoder */
        tsr_flextok_block_spec trunk;
        tsr_flextok_token_step step[TSR_FLEXTOK_MAX_STEPS];
        int step_count;
        tsr_flextok_positions positions, token_positions;
        char patches[TSR_FLEXTOK_NAME], time[TSR_FLEXTOK_NAME];
        char transformer[TSR_FLEXTOK_NAME], head[TSR_FLEXTOK_NAME];
        int64_t frequencies;
        double max_timestep;
        bool head_bias, head_modulated;
    } decoder;
} tsr_flextok_config;

/* Reads {"vae": {...}, "encoder": {...}, ...}. `path` begins the messages. Errors: MODEL, naming
 * module, key, wanted and got. */
tsr_status tsr_flextok_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                                   tsr_flextok_config *config);
/* The configuration of a file: its metadata, or config.json beside it. MODEL when there is none.
 * Free with cJSON_Delete. */
tsr_status tsr_flextok_find_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                                   cJSON **json);

#endif
