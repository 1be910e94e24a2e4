/* SPDX-License-Identifier: MIT */
/* tokens.h: token sets and the token file (.tess). No GPU, no model: a program that only moves
 * tokens links libtessera and needs nothing else of it. The byte layout is formats/tokens/SPEC.md.
 */
#ifndef TESSERA_TOKENS_H
#define TESSERA_TOKENS_H

#include <stddef.h>
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_MAX_LEVELS 16

/* How the ids of one tile are arranged. Numbers are written to files. */
typedef enum tsr_geometry {
    TSR_GEOMETRY_SEQUENCE = 0, /* 1-D, `tokens` positions */
    TSR_GEOMETRY_GRID = 1      /* rows x columns, row by row */
} tsr_geometry;

/* How a picture becomes tiles. Numbers are written to files. */
typedef enum tsr_fit {
    TSR_FIT_AUTO = 0, /* not stored: what keeps the picture's size, TSR_FIT_TILE */
    TSR_FIT_CROP = 1, /* short side resized to the tile, centre cropped */
    TSR_FIT_PAD = 2,  /* long side resized to the tile, the rest padded; cut off again on decode */
    TSR_FIT_STRETCH = 3, /* both sides resized to the tile; resized back on decode */
    TSR_FIT_TILE = 4     /* kept at its size, covered by overlapping tiles, blended on decode */
} tsr_fit;

/* What guidance does with the difference of the passes with and without the ids. */
typedef enum tsr_guidance_mode {
    TSR_GUIDANCE_AUTO = 0, /* as the file says, or else APG */
    TSR_GUIDANCE_APG = 1,  /* normalised: bounded, smoothed, and across the guided velocity only */
    TSR_GUIDANCE_CFG = 2   /* plain: the difference as it is */
} tsr_guidance_mode;

/* How a tokenizer whose decoder samples should make the pictures. Only hints: ids are the same for
 * all of them, and decoding may choose otherwise. */
typedef struct tsr_decode_hints {
    int present;    /* 0: the others say nothing */
    uint32_t steps; /* of the sampler */
    float guidance; /* 1 = none */
    uint64_t seed;  /* of the noise */
    int fast;       /* 1: half precision was asked for */
    int plain;      /* 1: TSR_GUIDANCE_CFG was asked for */
} tsr_decode_hints;

/* How the numbers of vectors are stored. Numbers are written to files. */
typedef enum tsr_latent_type {
    TSR_LATENT_F32 = 0, /* exact */
    TSR_LATENT_F16 = 1  /* half the bytes: rounded to 11 bits, magnitudes below 65520 */
} tsr_latent_type;

/* What made the ids; the same for every item of a file. */
typedef struct tsr_token_header {
    char tokenizer[64];          /* "mosaic-256" */
    uint32_t family;             /* id in models/registry.def */
    uint64_t weights_hash;       /* tsr_safetensors_hash of the weights; 0 = unknown */
    uint32_t codebook_size;      /* ids are below this; 0: there are none, tokens are vectors */
    uint32_t channels;           /* numbers of a vector, 1..4096; 0 with a codebook */
    tsr_latent_type latent_type; /* F32 (0) with a codebook */
    uint32_t level_count;        /* of FSQ; 0 = a codebook without levels */
    uint32_t levels[TSR_MAX_LEVELS];
    tsr_geometry geometry;
    uint32_t rows, columns; /* of the grid; a sequence has rows 1, columns = most tokens a tile */
    uint32_t nested;        /* 1: any prefix of a tile's ids decodes */
    uint32_t tile_width, tile_height; /* pixels */
    tsr_fit fit;
    uint32_t filter;       /* of resizing: 0 bilinear, 1 bicubic, 2 Lanczos */
    uint8_t background[3]; /* under alpha, and the pad colour */
    tsr_decode_hints hints;
} tsr_token_header;

/* A quality that a picture's ids were chosen to reach, when they were. */
typedef enum tsr_target_metric {
    TSR_TARGET_NONE,
    TSR_TARGET_PSNR, /* dB over 8-bit RGB, at least */
    TSR_TARGET_SSIM, /* Wang's 11x11 gaussian, at least */
    TSR_TARGET_L1    /* mean absolute error on the 0..1 scale, at most */
} tsr_target_metric;
typedef struct tsr_target {
    tsr_target_metric metric;
    float threshold;
    float reached; /* short of `threshold` when all ids were not enough */
} tsr_target;

/* One picture: tiles row by row, each with its own number of ids. */
typedef struct tsr_token_item {
    const char *key; /* where it came from: file name without folder, at most 1024
                        bytes, no control characters; not NULL */
    uint32_t source_width, source_height; /* as displayed */
    uint32_t orientation;                 /* the EXIF tag that was honoured, 1..8 */
    uint32_t width, height; /* of the picture the tiles cover: after resize, before pad */
    int32_t crop_x, crop_y; /* of the tile area inside that picture (negative: padding) */
    uint32_t tile_columns, tile_rows;
    uint32_t overlap;       /* pixels shared by neighbouring tiles */
    double time;            /* seconds from the start of a clip; 0 for a picture */
    float quality;          /* the tolerated error asked for, or 0 */
    tsr_target target;      /* of a search for the count; metric NONE when there was none */
    const uint32_t *counts; /* [tile_rows*tile_columns] ids of each tile */
    const uint32_t *ids;    /* the tiles' ids one after the other; NULL with vectors */
    const float *latents;   /* with vectors: the header's channels of each, in the same order, all
                               finite; else NULL. What is said of ids elsewhere holds of them */
    const uint8_t *kept;    /* one bit for each position of each tile, bit 0 of byte 0
                               first, every tile padded to a byte; NULL = the first
                               counts[t] positions */
} tsr_token_item;

/* Sum of counts. */
uint64_t tsr_token_item_total(const tsr_token_item *item);
/* Bits of one id: the smallest b with 2^b >= codebook_size; of a vector, all its numbers as stored.
 */
uint32_t tsr_token_bits(const tsr_token_header *header);
/* Bytes of one token in memory: 4 of an id, 4 for each channel of a vector. */
size_t tsr_token_value_bytes(const tsr_token_header *header);
/* Positions of a tile: rows * columns. */
uint32_t tsr_token_positions(const tsr_token_header *header);
/* Bytes of a tile's kept mask that has a bit for each of `positions`. */
size_t tsr_token_mask_bytes(uint32_t positions);

/* ---- writing: one pass, items in order ---- */

typedef struct tsr_token_writer tsr_token_writer;
typedef struct tsr_token_writer_settings {
    uint32_t layer_tokens; /* 0 = one payload for each item; else ids are stored in layers that
                              end at layer_tokens, 4 times that, ...: a prefix of the file then
                              decodes to a coarser picture */
    int entropy;           /* 1 (default): use a coder on an item where it is smaller */
} tsr_token_writer_settings;
tsr_token_writer_settings tsr_token_writer_settings_default(void);
/* path "-" = stdout. The file appears under its name at close. settings may be NULL.
 * Errors: ARGUMENT (header field out of range), IO, NO_SPACE, MEMORY. */
tsr_status tsr_token_writer_open(tsr_context *ctx, tsr_token_writer **writer, const char *path,
                                 const tsr_token_header *header,
                                 const tsr_token_writer_settings *settings);
/* Appends an item; nothing of it is kept. Errors: ARGUMENT (a field out of range; the writer can go
 * on), TOKENS (an id beyond the codebook, a vector's number that is not finite or too large for its
 * type, counts beyond the geometry, kept mask and counts disagree; the writer can go on), IO,
 * NO_SPACE, MEMORY (it stays failed). */
tsr_status tsr_token_writer_add(tsr_token_writer *writer, const tsr_token_item *item);
/* Writes index and footer, flushes, renames, frees; *writer becomes NULL whatever happens. */
tsr_status tsr_token_writer_close(tsr_token_writer **writer);
/* Drops what was written so far; nothing appears under the final name. NULL is accepted. */
void tsr_token_writer_abandon(tsr_token_writer **writer);

/* ---- reading: by index, or by scanning when the end is missing ---- */

typedef struct tsr_token_file tsr_token_file;
typedef struct tsr_token_file_info {
    uint64_t bytes, header_bytes, payload_bytes, index_bytes; /* of the file and its parts */
    uint64_t items, tokens;
    uint32_t version_major, version_minor;
    int recovered; /* 1: index or footer was missing or damaged; items were found by scanning */
    int damaged;   /* chunks that failed their checksum and were left out */
} tsr_token_file_info;
/* path "-" reads stdin. A cut or damaged file opens with `recovered` set as long as its header is
 * whole. Errors: NOT_FOUND, IO, FORMAT (not a token file, text-mode damage), VERSION, TRUNCATED,
 * CHECKSUM (header), TOO_LARGE. */
tsr_status tsr_token_file_open(tsr_context *ctx, tsr_token_file **file, const char *path);
tsr_status tsr_token_file_parse(tsr_context *ctx, tsr_token_file **file, const char *name,
                                const void *bytes, size_t size); /* bytes must outlive it */
void tsr_token_file_close(tsr_token_file **file);
const tsr_token_header *tsr_token_file_header(const tsr_token_file *file);
const tsr_token_file_info *tsr_token_file_properties(const tsr_token_file *file);
/* Decodes item `index` (0 .. items-1). *item points into memory owned by the file, valid until the
 * next tsr_token_file_item or close. Errors: ARGUMENT, CHECKSUM, FORMAT, UNSUPPORTED, MEMORY. */
tsr_status tsr_token_file_item(tsr_token_file *file, uint64_t index, tsr_token_item *item);
/* Bytes item `index` takes in the file, and the coding used: "raw", "zstd", "range", or "mixed"
 * when its layers differ. Either may be NULL. */
tsr_status tsr_token_file_item_storage(tsr_token_file *file, uint64_t index, uint64_t *bytes,
                                       const char **coding);

/* Copies a file keeping at most `tokens` (1 or more) ids of each tile; needs no model.
 * Errors: as open and write; UNSUPPORTED when the tokens are not nested. */
tsr_status tsr_token_file_cut(tsr_context *ctx, const char *input, const char *output,
                              uint32_t tokens);

#ifdef __cplusplus
}
#endif
#endif
