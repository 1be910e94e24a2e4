/* SPDX-License-Identifier: MIT */
/* family.h: what a family of models is to the rest of the library, and what goes in and out of it.
 *
 * A family is one file that defines `const tsr_family tsr_family_<name>`, and one line in
 * models/registry.def. Loading is the same for all families; what a model can do is said by exactly
 * one of three tables of functions: a tokenizer turns tiles into tokens and tokens into tiles, a
 * tower turns tiles into features, a judge scores pictures. A family sees tiles in memory, never
 * files or whole pictures.
 *
 * A model is const while it runs: the functions below that compute take a const model. */
#ifndef NN_FAMILY_H
#define NN_FAMILY_H

#include <tessera/tessera.h>
#include "../compute/device.h"
#include "../formats/weights/safetensors.h"
#include "batching.h"
#include "load_weights.h"

/* ---- tiles and tokens -------------------------------------------------------------------- */

/* Size of a tile. Tiles of pictures have one frame. */
typedef struct tsr_tile_size {
    uint32_t frames, height, width;
} tsr_tile_size;

/* Tiles of 8-bit RGB in the caller's memory: [count, frames, height, width, 3]. */
typedef struct tsr_pixels {
    const uint8_t *rgb;
    int count;
    tsr_tile_size tile;
} tsr_pixels;

/* The tokens of some tiles, in the caller's memory. Encoding fills what the pointers lead to;
 * decoding reads values, counts and kept. */
typedef struct tsr_token_batch {
    int count;         /* tiles */
    uint32_t capacity; /* positions of a tile: rows * columns of the header */
    uint32_t stride;   /* values from the first of a tile to the first of the next; capacity unless
                          the cost of decoding asked for equal counts: then the count of each */
    uint32_t channels; /* 0: values are ids, u32; else vectors of so many f32 */
    void *values;      /* [count, stride] ids, or [count, stride, channels] */
    uint32_t *counts;  /* [count] values of each tile */
    /* With TSR_TOKENIZER_SELECTS; else NULL. When decoding, kept NULL means the first positions. */
    uint8_t *kept;   /* [count, tsr_token_mask_bytes(capacity)] positions that have a token */
    float *halting;  /* [count, capacity] probability that the position can be dropped; or NULL */
    float *margin;   /* [count, capacity] of the ids in their order: squared distance of the second
                        nearest code less that of the nearest; or NULL, and with vectors unused */
    uint32_t judged; /* positions of each tile that have a halting probability */
    uint64_t near_ties; /* encoding adds the decisions another device may take otherwise */
} tsr_token_batch;

/* Bytes of one value. */
static inline size_t tsr_token_batch_value_bytes(const tsr_token_batch *batch) {
    return (batch->channels ? batch->channels : 1) * sizeof(uint32_t);
}
/* Where the values of tile `tile` begin. */
static inline void *tsr_token_batch_tile(const tsr_token_batch *batch, int tile) {
    return (char *)batch->values +
           (size_t)tile * batch->stride * tsr_token_batch_value_bytes(batch);
}

/* What is asked of encoding. A request has been validated: see codec/encode_plan.h. */
typedef struct tsr_encode_request {
    uint32_t tokens; /* most ids of a tile; 0 = capacity */
    uint32_t budget; /* SELECTS: most tokens of a tile; 0 = what the model was trained with */
    float quality; /* QUALITY, SELECTS: tolerated mean absolute error, 0..1, that picks the count of
                      tokens; 0 = not used, or what is usual for the model */
    bool keep_all; /* SELECTS: keep the whole budget, whatever the model says */
    /* DRAWS: noise of tile `first_tile` and of those behind it draws the latents. NULL = the mean.
     */
    const tsr_tensor *noise;
    uint64_t first_tile;
} tsr_encode_request;

/* How tokens become a picture, for tokenizers whose decoder samples. */
typedef struct tsr_sampling {
    tsr_decode_hints hints;   /* complete: nothing is left to a default */
    const tsr_tensor *noise;  /* F32 [n, C, h, w] instead of hints.seed, or NULL */
    uint64_t first_tile;      /* number of the first tile in its item: picks its noise */
    tsr_progress_fn progress; /* called once for each step and tile, or NULL */
    void *progress_user;
    uint64_t progress_done, progress_total; /* steps before this call, and of all tiles */
} tsr_sampling;

/* ---- trades ------------------------------------------------------------------------------ */

/* What a tokenizer can do beyond tiles to tokens and back. */
typedef enum tsr_tokenizer_ability {
    TSR_TOKENIZER_QUALITY = 1, /* picks the number of ids by a tolerated error */
    TSR_TOKENIZER_SELECTS = 2, /* picks the positions that have a token, by a tolerated error */
    TSR_TOKENIZER_DRAWS = 4,   /* draws latents with supplied noise when it encodes */
    TSR_TOKENIZER_SAMPLES = 8  /* its decoder samples: hints, noise and steps mean something */
} tsr_tokenizer_ability;

/* The tolerated errors that a tokenizer with SELECTS tells apart. An error that is asked for is
 * rounded up to the next of them, or down to the last. */
typedef struct tsr_tolerances {
    const float *value; /* [count], rising */
    int count;
    float usual; /* stands for no error being asked for */
} tsr_tolerances;

typedef struct tsr_tokenizer_ops {
    unsigned abilities;               /* of tsr_tokenizer_ability */
    const char *no_quality;           /* without QUALITY and SELECTS: why, for people; or NULL */
    const tsr_tolerances *tolerances; /* with SELECTS */
    /* Fills the header but for background, family and hash; fit and filter only if the model
     * prefers some, hints only if it samples. Errors: MODEL, TOO_LARGE. */
    tsr_status (*describe)(const void *model, tsr_token_header *header);
    /* Tiles of another size from here on: fills tile size, rows, columns and name of the header.
     * After a failure the model has the size it had. NULL: the model knows one size only.
     * Errors: ARGUMENT (what sizes it can have), TOO_LARGE. */
    tsr_status (*resize)(void *model, tsr_tile_size size, tsr_token_header *header);
    /* Cost of encoding by `request`, or of decoding when request is NULL. NULL: no bound. */
    tsr_tile_cost (*cost)(const void *model, const tsr_encode_request *request);
    /* Tiles to tokens. The tokens of a tile do not depend on the other tiles. */
    tsr_status (*encode)(const void *model, const tsr_pixels *pixels,
                         const tsr_encode_request *request, tsr_token_batch *batch);
    /* Tokens to RGB f32 [count, height, width, 3] in 0..1, not clamped. Ids are below the
     * codebook's size, vectors finite. The pixels of a tile do not depend on the other tiles. */
    tsr_status (*decode)(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb);
} tsr_tokenizer_ops;

/* What is asked of a tower, and where it goes; every array is the caller's, and NULL = not asked
 * for. N patches, D channels of the tower, H heads. */
typedef struct tsr_features {
    int layer;         /* whose output is taken: 0 = after the embedding, -1 = the last */
    int64_t patches;   /* N of a tile; filled by the tower when patch_rows is NULL */
    int64_t channels;  /* D; likewise */
    float *patch_rows; /* [count, N, D] */
    float *class_rows; /* [count, D] of a tower that has a class row */
    float *keys;       /* [count, N, D] of that layer */
    float *attention;  /* [count, H, N] of that layer from the class row to the patches */
} tsr_features;
typedef struct tsr_tower_ops {
    /* Tiles of a size the tower takes to features. With patch_rows NULL only the sizes are filled.
     * Errors: ARGUMENT (tile size; class row of a tower without one). */
    tsr_status (*features)(const void *model, const tsr_pixels *pixels, tsr_features *features);
} tsr_tower_ops;

/* What a judge says of pictures; every array is the caller's, and NULL = not asked for. */
typedef struct tsr_judgement {
    double *scores;    /* [count] distance of a[i] and b[i] */
    int64_t channels;  /* of an embedding; filled by the judge when embeddings is NULL */
    float *embeddings; /* [count, channels] of a */
    char (*texts)[64]; /* [count] what stands in a, UTF-8, ended by 0 */
} tsr_judgement;
typedef struct tsr_judge_ops {
    /* a: pictures of one size; b: as many to compare with, or NULL for embeddings and texts.
     * Errors: ARGUMENT (sizes, or a judge that does not make what is asked for). */
    tsr_status (*score)(const void *model, const tsr_pixels *a, const tsr_pixels *b,
                        tsr_judgement *judgement);
} tsr_judge_ops;

/* ---- families ---------------------------------------------------------------------------- */

/* Where a model comes from. */
typedef struct tsr_model_source {
    tsr_context *ctx;
    const tsr_safetensors *weights; /* open until the model is closed */
    const char *path; /* of the file: begins messages; a config.json may lie beside it */
} tsr_model_source;

typedef struct tsr_family {
    const char *name;     /* as in registry.def and in the weights' metadata "tessera.family" */
    const char *about;    /* one line for people */
    const char *needs;    /* which files it takes, one line; or NULL */
    const char *verified; /* what its results were compared with, one line; or NULL */
    const char *const *switches; /* work its models can save without changing a result, by the names
                                    that --mask leaves it out with; ended by NULL; or NULL */
    /* Whether a file that does not name its family is one of this family's, by the names of its
     * tensors and its metadata. NULL: never. At most one family recognises a file. */
    bool (*recognise)(const tsr_safetensors *weights);
    /* Loads every tensor that the file should have with `loader`, whose context, weights and path
     * are the source's, and keeps no model. Failures: MODEL. NULL: the tensors are not known before
     * the model is open. */
    void (*list_tensors)(const tsr_model_source *source, tsr_weight_loader *loader);
    /* Loads a model. Errors: MODEL, naming path and tensor or key; UNSUPPORTED. */
    tsr_status (*open)(tsr_device *device, const tsr_model_source *source, void **model);
    void (*close)(void **model); /* NULL and a NULL *model are accepted */
    /* Exactly one of the three is set. */
    const tsr_tokenizer_ops *tokenizer;
    const tsr_tower_ops *tower;
    const tsr_judge_ops *judge;
} tsr_family;

#endif
