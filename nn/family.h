/* SPDX-License-Identifier: MIT */
/* family.h: what a family of models is to the rest of the library, and what goes in and out of it.
 *
 * A family is one file that defines `const tsr_family tsr_family_<name>`, and one line in
 * models/registry.def. All families are loaded alike. What a model can do is said by exactly one of
 * three tables of functions: a tokenizer turns tiles into tokens and tokens into tiles, a
 * tower turns tiles into features, a judge makes scores, numbers or texts of pictures. A family
 * sees tiles or pictures in memory, never files.
 *
 * A model is const while it runs: the functions below that compute take a const model. */
#ifndef NN_FAMILY_H
#define NN_FAMILY_H

#include <tessera/features.h>
#include <tessera/judges.h>
#include "../compute/arena.h"
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
    uint32_t frames;   /* of each tile, where tiles have frames: pixels->tile.frames; else 0 */
    uint32_t capacity; /* positions of a tile: tsr_token_positions of the header */
    uint32_t stride; /* values from the first of a tile to the first of the next tile: capacity, or
                        counts[0] where the cost of decoding asked for equal counts */
    uint32_t channels; /* 0: values are ids, u32; else each value is a vector of `channels` f32 */
    void *values;      /* [count, stride] ids, or [count, stride, channels] */
    uint32_t *counts;  /* [count] values of each tile */
    /* With TSR_TOKENIZER_SELECTS; else NULL. When decoding, kept NULL means the first positions. */
    uint8_t *kept;    /* [count, tsr_token_mask_bytes(capacity)] positions that have a token */
    float *halting;   /* [count, capacity] probability that the position can be dropped; or NULL */
    float *margin;    /* [count, capacity] of the ids in their order: squared distance of the second
                         nearest code less that of the nearest; or NULL, and with vectors unused */
    float *predicted; /* [count] mean absolute error that the encoder expects of the tile with its
                         ids, on the 0..1 scale; NaN where it says nothing. NULL: not asked for */
    uint32_t judged;  /* positions of each tile that have a halting probability */
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

/* Request for encoding tiles. A request has been validated: see codec/encode_plan.h. */
typedef struct tsr_encode_request {
    uint32_t tokens; /* most ids of a tile; 0: capacity. Default: 0 */
    uint32_t budget; /* SELECTS: most tokens of a tile; 0: as in training. Default: 0 */
    float quality; /* QUALITY, SELECTS: tolerated mean absolute error, 0..1, that picks the count of
                      tokens; 0: none, or with SELECTS tolerances->usual. Default: 0 */
    bool keep_all; /* SELECTS: every position of the budget has a token. Default: false */
    /* DRAWS: noise F32 [n, C, h, w] that draws the latents, tile `first_tile` taking the noise of
     * that number; NULL: the mean. Default: NULL */
    const tsr_tensor *noise;
    uint64_t first_tile; /* number of the first tile in its item. Default: 0 */
} tsr_encode_request;

/* An encoding on its way. The caller's, at one place until it has ended. */
typedef struct tsr_encode_flight {
    tsr_flight program;
    tsr_encode_request request; /* as it began; the end does not read what its pointers lead to */
    tsr_token_batch tokens;     /* to be filled: the caller's memory */
    tsr_scratch scratch;        /* of the family's arrays; the caller frees it after the end */
    float *rows;                /* the family's, in the scratch */
} tsr_encode_flight;

/* Settings of a decoder that samples. */
typedef struct tsr_sampling {
    tsr_decode_hints hints;  /* complete: the caller has filled in every default */
    const tsr_tensor *noise; /* F32 [n, C, h, w] instead of hints.seed. Default: NULL */
    uint64_t first_tile;     /* number of the first tile in its item: picks its noise. Default: 0 */
    tsr_progress_fn progress; /* called once for each step and tile. Default: NULL */
    void *progress_user;      /* first argument of progress. Default: NULL */
    uint64_t progress_done;   /* steps times tiles before this call. Default: 0 */
    uint64_t progress_total;  /* steps times tiles of all calls. Default: 0 */
} tsr_sampling;

/* ---- trades ------------------------------------------------------------------------------ */

/* What a tokenizer can do beyond tiles to tokens and back. */
typedef enum tsr_tokenizer_ability {
    TSR_TOKENIZER_QUALITY = 1, /* picks the number of ids by a tolerated error */
    TSR_TOKENIZER_SELECTS = 2, /* picks the positions that have a token, by a tolerated error */
    TSR_TOKENIZER_DRAWS = 4,   /* draws latents with supplied noise when it encodes */
    TSR_TOKENIZER_SAMPLES = 8  /* its decoder samples: hints, noise and steps mean something */
} tsr_tokenizer_ability;

/* Tolerated errors that a tokenizer with SELECTS distinguishes. A request's error is rounded up to
 * the next value, or down to the last value. */
typedef struct tsr_tolerances {
    const float *value; /* [count], rising */
    int count;
    float usual; /* used when a request has no error */
} tsr_tolerances;

typedef struct tsr_tokenizer_ops {
    unsigned abilities;               /* of tsr_tokenizer_ability */
    const char *no_quality;           /* without QUALITY and SELECTS: why, for people; or NULL */
    const tsr_tolerances *tolerances; /* with SELECTS */
    /* Stages whose arithmetic is the host's on every device, as words with a blank between; NULL:
     * none. Copying, scaling and packing are no stages; preprocessing, and drawing latents with
     * supplied noise, are the host's for all families and not named here. */
    const char *encodes_on_host, *decodes_on_host;
    /* Fills the header except for background, family and hash. Fit and filter are filled by models
     * that prefer some, hints by models that sample. Errors: MODEL, TOO_LARGE. */
    tsr_status (*describe)(const void *model, tsr_token_header *header);
    /* Changes the tile size, and fills tile size, frames, rows, columns and name of the header.
     * After a failure the tile size is unchanged. NULL: the model has one tile size. Errors:
     * ARGUMENT, naming the possible sizes; TOO_LARGE. */
    tsr_status (*resize)(void *model, tsr_tile_size size, tsr_token_header *header);
    /* Tokenizers of video: positions along time that a tile of `frames` frames, 1 to tile_frames of
     * the header, has; a tile's count is this times rows times columns. NULL: tiles are pictures.
     */
    uint32_t (*token_frames)(const void *model, uint32_t frames);
    /* Cost of a tile when encoding by `request`, or when decoding if request is NULL. NULL: batches
     * have any number of tiles. */
    tsr_tile_cost (*cost)(const void *model, const tsr_encode_request *request);
    /* Encodes tiles, all of pixels->tile, whose frames may be fewer than those of the header. The
     * tokens of a tile do not depend on the other tiles. Errors: MEMORY, the device's. */
    tsr_status (*encode)(const void *model, const tsr_pixels *pixels,
                         const tsr_encode_request *request, tsr_token_batch *batch);
    /* In place of `encode`, in two halves, so that the next tiles are prepared while the device
     * computes (tsr_execute_begin). All tokenizers have these but mosaic: the host spreads its
     * bytes and follows its chains of codes around each program, and with a quality there is a
     * second one. begin returns as soon as the pixels are read; flight->request, flight->tokens and
     * the context of flight->scratch are set. What begin computes at once (where memory asks for
     * pieces) it waits for; the last program is on its way. Encodings end in the order of their
     * beginning. After a failure of begin nothing is on its way. Errors: as above. */
    tsr_status (*encode_begin)(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight);
    tsr_status (*encode_end)(const void *model, tsr_encode_flight *flight);
    /* Decodes tokens to RGB f32 [count, height, width, 3], or of tiles with frames [count,
     * batch->frames, height, width, 3], in 0..1, not clamped. Ids are below the
     * size of the codebook, vectors are finite. The pixels of a tile do not depend on the other
     * tiles. Errors: TOKENS (count, class or mask of a tile), INTERRUPTED, MEMORY, the device's. */
    tsr_status (*decode)(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb);
} tsr_tokenizer_ops;

/* What can be asked of a tower. R rows of a tile: first `leading` (class row, registers), then its
 * N patches row by row; D channels, H heads; layers as in tsr_tower_info. */
typedef enum tsr_feature_kind {
    TSR_FEATURE_EMBEDDINGS = 0, /* [R, D] projected patches with positions, before any norm */
    TSR_FEATURE_HIDDEN,         /* [R, D] hidden layer `layer`, 0..L */
    TSR_FEATURE_LAST,           /* [R, D] what leaves the tower: layer L, after the final norm */
    TSR_FEATURE_POOLED,         /* [D] one row for the tile */
    TSR_FEATURE_PATCHES,        /* [N, D] patches of hidden layer `layer`; TSR_LAYER_USUAL: those
                                   that models are given, after the final norm where it is usual */
    TSR_FEATURE_CLASS,          /* [D] class row beside TSR_FEATURE_PATCHES */
    TSR_FEATURE_PROJECTED,      /* [M, P] usual patches through the projector; M of its grid */
    TSR_FEATURE_KEYS,           /* [R, D] keys of block `layer`, 0..L-1, before heads are split */
    TSR_FEATURE_ATTENTION,      /* [H, R, R] probabilities in block `layer` */
    TSR_FEATURE_CLASS_ATTENTION /* [H, R] those of the class row */
} tsr_feature_kind;

/* One array to be computed. */
typedef struct tsr_feature {
    tsr_feature_kind kind;
    int layer;     /* where the kind has one */
    float *values; /* [count of tiles, ...] in the caller's memory */
} tsr_feature;
enum { TSR_FEATURES_MOST = 16 }; /* of one call */

/* Sizes of what a tower makes of a tile. */
typedef struct tsr_feature_sizes {
    int64_t rows, columns;                     /* of the grid of patches */
    int64_t patches, all;                      /* N and R */
    int64_t projected_rows, projected_columns; /* of the grid of projected rows */
} tsr_feature_sizes;

/* An array that comes down from a tail, for each tile as large. */
typedef struct tsr_tower_output {
    tsr_dtype dtype;
    int64_t values; /* of a tile */
    void *data;     /* [tiles, values], the caller's */
} tsr_tower_output;
enum { TSR_TOWER_OUTPUTS = 3 };

/* What is recorded behind a tower, in the same program, on arrays that stay on the device. */
typedef struct tsr_tower_tail {
    /* Sets out[0 .. output_count-1], each [tiles, values], from the list's arrays [tiles, ...].
     * `model` is the tower's, for `project` below. */
    void (*record)(tsr_run *run, const struct tsr_tower_tail *tail, const tsr_feature *list,
                   int count, tsr_tensor *const *made, int64_t tiles, const void *model,
                   tsr_tensor **out);
    void *arg;       /* whose */
    int64_t variant; /* all that `record` depends on beside shapes */
    tsr_tower_output outputs[TSR_TOWER_OUTPUTS];
    int output_count;
} tsr_tower_tail;

typedef struct tsr_tower_ops {
    /* Fills *info but for family and weights_hash. */
    void (*describe)(const void *model, tsr_tower_info *info);
    /* Fills *sizes for tiles of a size; the rest beyond whole patches is dropped at the right and
     * at the bottom. Errors: ARGUMENT (smaller than a patch). */
    tsr_status (*sizes)(const void *model, tsr_tile_size tile, tsr_feature_sizes *sizes);
    /* Computes 1..TSR_FEATURES_MOST arrays, and no block that none of them needs. No value depends
     * on the other tiles. Errors: ARGUMENT (a size, a layer); UNSUPPORTED (the model has no class
     * row, projector or pooling); MEMORY, the device's. */
    tsr_status (*features)(const void *model, const tsr_pixels *pixels, const tsr_feature *list,
                           int count);
    /* The same with a tail; arrays of the list whose `values` are NULL do not come down. NULL:
     * nothing can be recorded behind these towers. */
    tsr_status (*features_and)(const void *model, const tsr_pixels *pixels, const tsr_feature *list,
                               int count, const tsr_tower_tail *tail);
    /* Rows [..., D] through the projector of a model that has one: [..., P]. NULL: the projector
     * takes more than a row at a time. */
    tsr_tensor *(*project)(tsr_run *run, const void *model, tsr_tensor *rows);
} tsr_tower_ops;

/* What a judge makes of pictures, or of clips, which are pictures with frames. Those of a call have
 * one size unless info.mixed, one number of frames, and sizes that the judge takes; how their bytes
 * become the network's input is the judge's own business. No number depends on the other pictures
 * of the call, but for readings with `together`. Functions of what a judge does not do are NULL. */
typedef struct tsr_judge_ops {
    /* Fills *info but for family, licence and weights_hash. */
    void (*describe)(const void *model, tsr_judge_info *info);
    /* Cost of one picture, or of one pair, of this size: how many of them make a call. */
    tsr_tile_cost (*cost)(const void *model, const tsr_picture *picture);
    /* Distances [count] of a[i] and b[i]. Errors: MEMORY, the device's. */
    tsr_status (*compare)(const void *model, const tsr_picture *a, const tsr_picture *b, int count,
                          double *distances);
    /* values[i] [count, channels of that output], for outputs[0 .. output_count - 1], numbers in
     * info.outputs; `preparation` is a number in info.preparations. Errors: as above. */
    tsr_status (*embed)(const void *model, const tsr_picture *pictures, int count, int preparation,
                        const int *outputs, int output_count, float *const *values);
    /* Readings [count], zeroed before. Errors: as above; MODEL. */
    tsr_status (*read)(const void *model, const tsr_picture *pictures, int count,
                       const tsr_read_request *request, tsr_reading *readings);
} tsr_judge_ops;

/* ---- families ---------------------------------------------------------------------------- */

/* Where a model comes from. */
typedef struct tsr_model_source {
    tsr_context *ctx;
    const tsr_safetensors *weights; /* open until the model is closed */
    const char *path; /* of the file; begins messages. A config.json may lie beside the file */
} tsr_model_source;

typedef struct tsr_family {
    const char *name;     /* as in registry.def and in the weights' metadata "tessera.family" */
    const char *about;    /* one line for people */
    const char *needs;    /* which files it takes, one line; or NULL */
    const char *verified; /* what its results were compared with, one line; or NULL */
    const char *const *switches; /* savings that change no result, by the names that --mask switches
                                    them off with; ended by NULL; or NULL */
    /* Whether a file that does not name its family belongs to this family, judged by the names of
     * its tensors and its metadata. NULL: never. At most one family recognises a file. */
    bool (*recognise)(const tsr_safetensors *weights);
    /* Loads every tensor that the file should have with `loader`, whose context, weights and path
     * are the source's, and throws the model away. Failures: MODEL. NULL: the tensors are not known
     * before the model is open. */
    void (*list_tensors)(const tsr_model_source *source, tsr_weight_loader *loader);
    /* Opens a model; close ends it. Errors: MODEL, naming path and tensor or key; UNSUPPORTED. */
    tsr_status (*open)(tsr_device *device, const tsr_model_source *source, void **model);
    /* Closes a model; NULL and a NULL *model are accepted. */
    void (*close)(void **model);
    /* Exactly one of the three is set. */
    const tsr_tokenizer_ops *tokenizer;
    const tsr_tower_ops *tower;
    const tsr_judge_ops *judge;
} tsr_family;

#endif
