/* SPDX-License-Identifier: MIT */
/* flextok.h: the inside of the FlexTok family (R. Bachmann et al., "FlexTok: Resampling Images into
 * 1D Token Sequences of Flexible Length", 2025), for its files:
 *
 *   flextok_config.c    what a checkpoint's configuration says
 *   flextok_encoder.c   latents -> registers -> FSQ ids
 *   flextok_decoder.c   ids -> conditioning -> velocities of the rectified flow -> latents
 *   flextok.c           the family: opening, tiles in and out
 *
 * B pictures, C latent channels on a grid of h x w; P patches of p x p latents, K registers of
 * which the first k are used; D is the encoder's width, D' the decoder's; L digits of an id. */
#ifndef CODEC_FLEXTOK_H
#define CODEC_FLEXTOK_H

#include <cjson/cJSON.h>

#include "../../../formats/weights/safetensors.h"
#include "../../../nn/family.h"
#include "flextok_block.h"
#include "../../../nn/rectified_flow.h"
#include "../../../nn/autoencoder_kl.h"

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
    TSR_FLEXTOK_LINEAR,    /* codes [K, L] -> [K, D'] */
    TSR_FLEXTOK_POSITIONS, /* + table */
    TSR_FLEXTOK_DROPOUT,   /* tokens from k on become the mask token */
    TSR_FLEXTOK_NULL       /* unconditional pass: all tokens become the null token, or 0 */
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
        tsr_flex_spec trunk;
        int64_t table; /* rows of the register table, K of them used */
        tsr_flextok_positions positions;
        char patches[TSR_FLEXTOK_NAME], registers[TSR_FLEXTOK_NAME];
        char transformer[TSR_FLEXTOK_NAME], head[TSR_FLEXTOK_NAME];
        bool head_bias;
    } encoder;

    struct { /* decoder */
        tsr_flex_spec trunk;
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
/* config.json in the folder of `path`, an object. NOT_FOUND when there is none. */
tsr_status tsr_model_config_file(tsr_context *ctx, const char *path, cJSON **json);
/* The configuration of a file: its metadata, or config.json beside it. MODEL when there is none.
 * Free with cJSON_Delete. */
tsr_status tsr_flextok_find_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                                   cJSON **json);

/* Exact savings over the plain way. --mask switches them off one by one, under the names
 * collapse, time_table, one_pass, last_rows and first_k. */
enum {
    TSR_FLEXTOK_COLLAPSE = 1,  /* identical tokens once, ln(count) on their logit */
    TSR_FLEXTOK_TABLE = 2,     /* modulation of all time steps at once, ahead of them */
    TSR_FLEXTOK_ONE_PASS = 4,  /* both guidance passes, and all pictures, in one batch */
    TSR_FLEXTOK_LAST_ROWS = 8, /* last blocks for the rows that are used */
    TSR_FLEXTOK_FIRST_K = 16,  /* only the registers that k needs */
    TSR_FLEXTOK_SAVE_ALL = 31,
    TSR_FLEXTOK_SAVINGS = 5 /* how many */
};

typedef struct tsr_flextok {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path;
    tsr_flextok_config config;
    unsigned savings;
    tsr_vae *vae;
    const void *now; /* what the program being walked through is for */

    struct {
        tsr_weight *patch, *patch_bias; /* [D, p*p*C], [D] */
        tsr_weight *positions;          /* see tsr_flextok_positions */
        tsr_weight *registers;          /* [table, D] */
        tsr_flex_block block[TSR_FLEXTOK_MAX_DEPTH];
        tsr_weight *head, *head_bias; /* [L, D], [L] */
    } encoder;

    struct {
        tsr_weight *step[TSR_FLEXTOK_MAX_STEPS]; /* by kind: [D', L], table, [D'], [D'] or NULL */
        tsr_weight *step_bias[TSR_FLEXTOK_MAX_STEPS];
        tsr_weight *patch, *patch_bias; /* [D', p*p*C], [D'] */
        tsr_weight *positions;
        tsr_weight *time1, *time1_bias, *time2, *time2_bias; /* [D', F], [D', D'] */
        tsr_flex_block block[TSR_FLEXTOK_MAX_DEPTH];
        tsr_weight *modulation, *modulation_bias; /* of the head: [2D', D'], [2D'] */
        tsr_weight *head, *head_bias;             /* [p*p*C, D'], [p*p*C] */
    } decoder;
} tsr_flextok;

/* Names every tensor of FlexTok's own (the VAE's: tsr_vae_want, under "vae.vae."). */
tsr_status tsr_flextok_want(const tsr_flextok_config *config, const tsr_wanted *wanted,
                            tsr_flextok *model);
/* The same and the VAE's, whose shapes say which there are. Needs no device. */
tsr_status tsr_flextok_want_all(tsr_context *ctx, tsr_flextok_config *config, tsr_weights *weights,
                                const char *path, const tsr_wanted *wanted);
/* Takes over `weights`, whatever happens. */
tsr_status tsr_flextok_open(tsr_device *device, const tsr_flextok_config *config,
                            tsr_weights *weights, const char *path, tsr_flextok **model);
void tsr_flextok_close(tsr_flextok **model);

/* For verification: sees intermediate arrays by their names in the golden cases. Rows of D are
 * [B, P + K, D], queries and keys too. */
typedef struct tsr_flextok_trace {
    void (*see)(void *user, const char *name, const float *data, int rank, const int64_t *dim);
    bool (*wants)(void *user, const char *name);
    void *user;
} tsr_flextok_trace;
static inline bool tsr_flextok_sees(const tsr_flextok_trace *t, const char *name) {
    return t && t->wants(t->user, name);
}

/* Channels-first latents [B, C, h, w] to patches [B, P, p*p*C], inside (y, x, channel), and back.
 */
void tsr_flextok_patchify(const tsr_flextok_config *config, const float *latents, int64_t count,
                          int64_t height, int64_t width, float *patches);
void tsr_flextok_unpatchify(const tsr_flextok_config *config, const float *patches, int64_t count,
                            int64_t height, int64_t width, float *latents);
/* The table's rows for this grid (or the first rows of a row's): [rows*cols, D]. */
void tsr_flextok_position_rows(const tsr_flextok_positions *positions, const float *table,
                               int64_t dim, int64_t rows, int64_t cols, float *out);
/* ARGUMENT unless h and w make patches that the position tables have. */
tsr_status tsr_flextok_check_grid(const tsr_flextok *model, const tsr_flextok_positions *positions,
                                  int64_t height, int64_t width);

/* Latents [B, C, h, w] (scaled) to z [B, k, L], before FSQ. */
tsr_status tsr_flextok_encode(tsr_flextok *model, const float *latents, int64_t count,
                              int64_t height, int64_t width, int64_t k, float *z,
                              const tsr_flextok_trace *trace);

typedef struct tsr_flextok_decode_settings {
    tsr_flow_settings flow;
    const tsr_flextok_trace *trace; /* of the first step; wants the plain way: savings 0 */
} tsr_flextok_decode_settings;
/* The first counts[b] ids of each row of `ids` (stride K) to latents; x [B, C, h, w] is the noise
 * on entry, the latents (scaled) on return. A picture's result does not depend on the others. */
tsr_status tsr_flextok_decode(tsr_flextok *model, const uint32_t *ids, const uint32_t *counts,
                              int64_t count, int64_t height, int64_t width,
                              const tsr_flextok_decode_settings *settings, float *x);

#endif
