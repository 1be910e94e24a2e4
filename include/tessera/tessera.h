/* SPDX-License-Identifier: MIT */
/* tessera.h: pictures to discrete tokens and back.
 *
 *     #include <tessera/tessera.h>
 *     #include <stdio.h>
 *     int main(int argc, char **argv) {
 *         tsr_context *ctx = NULL;
 *         const char *pictures[] = {argc > 1 ? argv[1] : "photo.png"};
 *         tsr_status s = tsr_context_open(&ctx, NULL);
 *         if (!s) s = tsr_encode_files(ctx, pictures, 1, "photo.tess", NULL, NULL);
 *         if (!s) s = tsr_decode_file(ctx, "photo.tess", "back.png", NULL);
 *         if (s) fprintf(stderr, "%s: %s\n", tsr_status_text(s), tsr_detail(ctx));
 *         tsr_context_close(&ctx);
 *         return s != TSR_OK;
 *     }
 *
 * Three rings: (1) whole files in one call; (2) tokenizers and pictures in memory; (3) experimental
 * calls behind TESSERA_EXPERIMENTAL, which may change between minor versions.
 *
 * A settings struct starts from its _default() call, and a NULL pointer to one means the defaults.
 * A struct of zeros has the same meaning as the defaults except where a field's comment says
 * otherwise. Pointers inside settings must stay valid until the call returns, those of
 * tsr_model_settings until the tokenizer is closed. Every call that takes a tokenizer belongs to
 * the thread of its context: tokenizers of different contexts may run at the same time. */
#ifndef TESSERA_H
#define TESSERA_H

#include "tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TESSERA_VERSION_MAJOR 0
#define TESSERA_VERSION_MINOR 1
#define TESSERA_VERSION_PATCH 0
/* Version of the linked library, "0.1.0". Static storage. */
const char *tsr_version(void);

/* ---- settings, by who reads them ---------------------------------------------------------- */

/* Reports progress of long work, on the calling thread: `done` of `total` steps of `what`. A
 * nonzero answer stops the work: the call then ends with INTERRUPTED and leaves no output. */
typedef int (*tsr_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

/* FAST lets a device round the operands of matrix products and convolutions to 16 bits where it is
 * good at it. Sums, and everything else, stay f32. tsr_measure_agreement says what FAST does to the
 * ids of a tokenizer. */
typedef enum tsr_precision { TSR_PRECISION_F32 = 0, TSR_PRECISION_FAST = 1 } tsr_precision;

/* Which model runs, and where. Read when a model is opened. */
typedef struct tsr_model_settings {
    const char *model;  /* .safetensors file, or a folder with one; default NULL: the bundled
                           tokenizer */
    const char *device; /* "auto", "cpu", "vulkan", "vulkan:N"; default NULL: auto, which takes the
                           best hardware GPU, or else the cpu */
    const char *mask;   /* comma-separated names of op variants, capabilities and savings that are
                           left out, to find a fault; default NULL: none */
    tsr_precision precision; /* default TSR_PRECISION_F32 */
    int reference;           /* cpu: 1 runs every op's plain C reference; default 0 */
    int validation; /* vulkan: 1 loads the validation layer, and a message of it fails the call;
                       default 0 */
    uint32_t tile_width, tile_height; /* pixels; default 0: the model's own. Tokenizers over grids
                                         take any multiple of their step, the others fail with
                                         UNSUPPORTED */
} tsr_model_settings;
tsr_model_settings tsr_model_settings_default(void);

/* How a picture is resampled where its fit resizes it. */
typedef enum tsr_resampling {
    TSR_RESAMPLING_AUTO = 0, /* as the tokenizer was trained */
    TSR_RESAMPLING_BILINEAR = 1,
    TSR_RESAMPLING_BICUBIC = 2,
    TSR_RESAMPLING_LANCZOS = 3
} tsr_resampling;

/* How a picture becomes tiles. */
typedef struct tsr_fit_settings {
    tsr_fit fit;               /* default TSR_FIT_AUTO: what the tokenizer prefers */
    tsr_resampling resampling; /* default TSR_RESAMPLING_AUTO */
    uint8_t background[3]; /* RGB under transparent pixels and of padding; default white, which a
                              struct of zeros is not */
} tsr_fit_settings;
tsr_fit_settings tsr_fit_settings_default(void);

/* How many tokens a picture gets. `quality` excludes `tokens` and `target`. */
typedef struct tsr_token_choice {
    uint32_t tokens; /* most ids of a tile, for nested ids; default 0: as many as there are */
    float quality; /* tolerated mean absolute error on the 0..1 scale, 0..1: every tile gets the ids
                      it needs; default 0: not used, or what is usual for a tokenizer that chooses
                      its tokens. UNSUPPORTED by tokenizers that cannot tell */
    tsr_target
        target; /* a quality that the whole picture shall reach with the fewest ids, of at most
                   `tokens` a tile; found by decoding (tsr_tokenizer_search); default: none */
    /* For tokenizers that choose the positions that have a token (KARL); UNSUPPORTED by others. */
    uint32_t budget; /* most tokens of a tile; default 0: as many as the model was trained with */
    int keep_all;    /* 1: the whole budget, whatever the model says; default 0 */
} tsr_token_choice;

#define TSR_MAX_STEPS    10000
#define TSR_MIN_GUIDANCE 0.001f
#define TSR_MAX_GUIDANCE 1000.0f
/* How a decoder that samples (FlexTok) draws a picture. ARGUMENT with tokenizers whose decoder does
 * not sample, unless all are 0. */
typedef struct tsr_sampling_settings {
    uint32_t steps; /* 1..TSR_MAX_STEPS; default 0: as the file says, or else the model */
    float guidance; /* TSR_MIN_GUIDANCE..TSR_MAX_GUIDANCE; 1 is without guidance and half the
                       work; default 0: as the file says, or else the model */
    tsr_guidance_mode mode; /* default TSR_GUIDANCE_AUTO: as the file says, or else APG */
    uint64_t seed;          /* of the noise that sampling starts from, the same on every device;
                               default 0: as the file says, or else 0 */
} tsr_sampling_settings;

#define TSR_MAX_BATCH 4096
/* Everything that encoding pictures in memory reads. */
typedef struct tsr_encode_settings {
    tsr_fit_settings fit;
    tsr_token_choice choice;
    int f32_latents;   /* tokenizers of vectors: 1 keeps their numbers as they are, 0 rounds them to
                          f16   and halves the file; default 0. UNSUPPORTED by tokenizers of ids */
    const char *noise; /* NumPy file f32 [tiles, C, h, w], or [C, h, w] of one tile: latents are
                          drawn from the autoencoder's posterior, mean + exp(logvar / 2) * noise,
                          with the noise of each tile of all pictures in order; default NULL: their
                          mean. FlexTok and its autoencoders alone; UNSUPPORTED by others */
    uint32_t batch;  /* tiles in flight, 1..TSR_MAX_BATCH; default 0: chosen from memory. The tokens
                        never depend on it */
    int keep_fitted; /* 1: every item keeps the picture as the model saw it, for tsr_item_fitted and
                        tsr_tokenizer_search, and needs its memory; default 0 */
    tsr_progress_fn progress; /* default NULL */
    void *progress_user;
} tsr_encode_settings;
tsr_encode_settings tsr_encode_settings_default(void);

/* Everything that decoding an item in memory reads. */
typedef struct tsr_decode_settings {
    uint32_t
        tokens; /* most ids of a tile that are used, for nested ids; default 0: all there are */
    tsr_sampling_settings sampling;
    const char *noise; /* NumPy file f32 [tiles, C, h, w] to start from instead of a seed; default
                          NULL: none */
    uint32_t batch;    /* tiles in flight, 1..TSR_MAX_BATCH; default 0: chosen from memory. The
                          pixels never depend on it */
    tsr_progress_fn progress; /* default NULL */
    void *progress_user;
} tsr_decode_settings;
tsr_decode_settings tsr_decode_settings_default(void);

/* ---- ring 1: files ---------------------------------------------------------------------- */

/* What the tokens of an item rest on, where the tokenizer chose them itself (KARL). */
typedef struct tsr_selection_details {
    uint32_t positions;   /* positions of a tile that were judged: the budget */
    const float *halting; /* [tiles, positions] probability that this token can be dropped. Tokens
                             above 0.75 are dropped unless keep_all is set */
    const float *margin;  /* [tokens of the item, in order] squared distance of the second nearest
                             code less that of the nearest; NULL with vectors */
} tsr_selection_details;

/* One picture of tsr_encode_files when it is done. Everything is valid during the call. */
typedef struct tsr_encoded {
    const tsr_token_item *item;
    const tsr_selection_details *details; /* NULL: the tokenizer does not choose its tokens */
    double error;     /* with check: mean absolute error on the 0..1 scale; else NaN */
    int reached;      /* with a target: 1 if the picture reaches the target */
    uint32_t decodes; /* with a target: decodes that the search took */
} tsr_encoded;
typedef void (*tsr_encoded_fn)(void *user, const tsr_encoded *picture);

typedef struct tsr_encode_files_settings {
    tsr_model_settings model;
    tsr_encode_settings encode;  /* its progress counts pictures; keep_fitted is not needed */
    tsr_sampling_settings hints; /* what the file shall say about decoding; default: the model's */
    tsr_token_writer_settings file; /* default tsr_token_writer_settings_default() */
    int check;                      /* 1: decode again and report the achieved error; default 0 */
    tsr_encoded_fn encoded;         /* called for each picture, in order; default NULL */
    void *encoded_user;
} tsr_encode_files_settings;
tsr_encode_files_settings tsr_encode_files_settings_default(void);

typedef struct tsr_encode_report { /* totals of one call */
    uint64_t pictures, tiles, tokens;
    uint64_t bytes;     /* of the file; 0 of stdout */
    uint64_t near_ties; /* ids that another device may decide otherwise, as in
                           tsr_tokenizer_encode; of the first try where a target made a tokenizer
                           choose again */
    double seconds;     /* of encoding, without opening the model or searching for a target */
    double error_sum;   /* with check: sum over pictures of the mean absolute error between what
                           decoding gives back and the picture as it was fitted */
    uint64_t within_quality; /* with check: pictures whose error is at most `quality` */
    uint64_t target_reached; /* with a target: pictures that reach the target */
    uint64_t target_decodes; /* with a target: decodes that all searches took */
    char device[256], tokenizer[64];
    uint64_t weights_hash;
    tsr_fit fit; /* that was used */
    /* Of a tokenizer that chooses its tokens: chooses is 1, and it told quality_bins tolerated
     * errors apart and took number quality_bin of them, quality_taken. quality_bin is -1 with a
     * target, and of tokenizers that do not choose. */
    int chooses, quality_bin, quality_bins;
    float quality_taken;
} tsr_encode_report;

/* Encodes picture files into one token file, one item each, in order; "-" is stdin or stdout. The
 * key of an item is the file's name without its folder. On failure nothing appears under `output`.
 * report may be NULL. Everything that the settings ask for is checked before a picture is read.
 * Errors: any of status.h; ARGUMENT when output is one of the inputs. */
tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_files_settings *settings,
                            tsr_encode_report *report);

typedef struct tsr_decode_file_settings {
    tsr_model_settings model;   /* its tile is the file's, and must be 0 */
    tsr_decode_settings decode; /* its progress counts items, or steps of a decoder that samples */
    int force; /* 1: decode with weights other than those the file names; default 0 */
} tsr_decode_file_settings;
tsr_decode_file_settings tsr_decode_file_settings_default(void);

/* Decodes a token file to PNG. One item: `output` is a file ("-" = stdout) unless it is an existing
 * folder or ends in '/'. Several items: `output` is a folder (made if missing) that gets
 * <key without suffix>.png of each; equal keys get -2, -3, ... Errors: any of status.h;
 * MODEL_MISMATCH unless forced. */
tsr_status tsr_decode_file(tsr_context *ctx, const char *input, const char *output,
                           const tsr_decode_file_settings *settings);

typedef struct tsr_evaluation { /* of 8-bit RGB, range 255, all channels in one mean */
    int width, height;
    double mse, psnr;     /* PSNR = 10 log10(255^2 / mse) in dB; infinity when equal */
    double ssim_gaussian; /* Wang et al. 2004: 11x11 gaussian, sigma 1.5, valid region */
    double ssim_uniform;  /* 7x7 uniform window, sample covariance (scikit-image's default) */
    double l1;            /* mean absolute error on the 0..1 scale */
} tsr_evaluation;
/* Compares two picture files of equal size. SSIM fields are NaN when a side is below the window.
 * Errors: ARGUMENT (sizes differ), and reading errors. */
tsr_status tsr_evaluate_files(tsr_context *ctx, const char *original, const char *reconstruction,
                              tsr_evaluation *evaluation);
/* Compares two pictures in memory, RGB [height, width, 3]. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_evaluate(tsr_context *ctx, const uint8_t *original, const uint8_t *reconstruction,
                        int width, int height, tsr_evaluation *evaluation);

/* ---- ring 2: tokenizers and pictures in memory ------------------------------------------- */

typedef struct tsr_tokenizer tsr_tokenizer;

/* Loads weights and opens the device. The tokenizer uses ctx until it is closed. *tokenizer is NULL
 * on error. Errors: reading errors; MODEL (no family takes the weights, or they are not whole);
 * UNSUPPORTED (not a tokenizer; a tile of another size); those of devices. */
tsr_status tsr_tokenizer_open(tsr_context *ctx, tsr_tokenizer **tokenizer,
                              const tsr_model_settings *settings);
/* Closes a tokenizer and sets *tokenizer to NULL. NULL and a NULL *tokenizer are accepted. */
void tsr_tokenizer_close(tsr_tokenizer **tokenizer);
/* Header of what the tokenizer writes, before encode settings change fit, background, latent type
 * and hints of it. Owned by the tokenizer; changes when decoding goes over to tiles of another
 * size. */
const tsr_token_header *tsr_tokenizer_header(const tsr_tokenizer *tokenizer);
/* Where the model runs: "cpu", "vulkan:0 (llvmpipe ...)". Owned by the tokenizer. */
const char *tsr_tokenizer_device(const tsr_tokenizer *tokenizer);

/* A picture in the caller's memory: 8-bit RGB [height, width, 3], row by row, no padding. */
typedef struct tsr_picture {
    const uint8_t *rgb;
    int width, height;
    const char *key; /* of the item; NULL = "" */
    int orientation; /* EXIF tag that was honoured, 1..8, noted in the item; 0 = 1 */
} tsr_picture;

typedef struct tsr_item tsr_item; /* owns the memory a tsr_token_item points to */
/* Tokens of an item. Owned by the item, changed by tsr_tokenizer_search alone. */
const tsr_token_item *tsr_item_tokens(const tsr_item *item);
/* Header that the tokens belong under: as the encode settings made it. Owned by the item. */
const tsr_token_header *tsr_item_header(const tsr_item *item);
/* What the choice of tokens rests on; NULL: the tokenizer does not choose its tokens. Owned by the
 * item. */
const tsr_selection_details *tsr_item_selection(const tsr_item *item);
/* The picture as the model saw it, RGB [*height, *width, 3]: the picture itself with fit tile, the
 * cut-out with crop, resized to the tile with stretch, without its padding with pad. NULL without
 * keep_fitted. Owned by the item; with fit tile it is the caller's picture. */
const uint8_t *tsr_item_fitted(const tsr_item *item, int *width, int *height);
/* Closes an item and sets *item to NULL. NULL and a NULL *item are accepted. */
void tsr_item_close(tsr_item **item);

/* Encodes `count` pictures; items[i] is opened for each (all or none: then all are NULL). With
 * keep_fitted pictures[i].rgb must stay valid until the item is closed. The target of the choice is
 * not looked for: see tsr_tokenizer_search. *near_ties (may be NULL) becomes the number of ids
 * whose decision margin was below the bound within which devices may differ. Errors: ARGUMENT (a
 * setting out of range, noise of another shape), UNSUPPORTED (what the tokenizer cannot do),
 * TOO_LARGE, MEMORY, INTERRUPTED, those of devices. */
tsr_status tsr_tokenizer_encode(tsr_tokenizer *tokenizer, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties);
/* Size of the picture that an item decodes to, in pixels. */
void tsr_item_size(const tsr_token_header *header, const tsr_token_item *item, int *width,
                   int *height);
/* Leaves of an item as few ids as reach choice->target, and records target and result in the item.
 * Nested ids: the smallest common count of every tile's first ids. A tokenizer that chooses its
 * tokens (KARL): what it chooses for the largest tolerated error that will do, or all of the
 * budget; it is asked again with choice->budget, the item as it is being the first try, and the
 * tolerated error is noted as the item's quality. Decoded pictures are compared with
 * tsr_item_fitted, so the item must have been encoded with keep_fitted. Quality is taken to rise
 * with the ids: where it does not, the count (tolerated error) that is found reaches the target and
 * the next one does not. Out of reach: all ids are kept. *decodes (may be NULL) becomes the number
 * of decodes it took. Errors: ARGUMENT (target; keep_all with it; no fitted picture), UNSUPPORTED
 * (ids that are all needed), and those of encoding and decoding. */
tsr_status tsr_tokenizer_search(tsr_tokenizer *tokenizer, const tsr_token_choice *choice,
                                tsr_item *item, uint32_t *decodes);
/* Name of a metric: "psnr", "ssim", "l1", "none". Static storage. */
const char *tsr_target_name(tsr_target_metric metric);
/* Decodes one item into rgb (width*height*3 bytes of tsr_item_size). `header` says how the item was
 * fitted and must name this tokenizer's family and codebook; a tokenizer that takes tiles of any
 * size goes over to the header's. Settings: `tokens` as in tsr_decode_settings, defaults elsewhere.
 * Errors: MODEL_MISMATCH, TOKENS (ids, vectors or geometry that cannot be), UNSUPPORTED, TOO_LARGE,
 * MEMORY, those of devices. */
tsr_status tsr_tokenizer_decode(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_token_item *item, uint32_t tokens, uint8_t *rgb);
/* Decodes one item as tsr_tokenizer_decode does, by settings. Errors: those, and ARGUMENT (a
 * setting out of range), INTERRUPTED. */
tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb);

/* Reads a picture file of any format that tsr_encode_files takes into *rgb, malloc'd RGB [*height,
 * *width, 3] that the caller frees with free(). Transparent pixels are laid over `background`.
 * Errors: reading errors. */
tsr_status tsr_picture_read(tsr_context *ctx, const char *path, const uint8_t background[3],
                            uint8_t **rgb, int *width, int *height);
/* Writes RGB [height, width, 3] as a PNG file; "-" is stdout. Errors: writing errors. */
tsr_status tsr_picture_write_png(tsr_context *ctx, const char *path, int width, int height,
                                 const uint8_t *rgb);

/* ---- ring 3: experimental ---------------------------------------------------------------- */
#ifdef TESSERA_EXPERIMENTAL

/* Every device as JSON text, malloc'd: {"devices": [{"device": "cpu", "name", "vendor", "driver",
 * "api", "software", "usable", "chosen", "reason", "memory_bytes", "fp16", "bf16", "int8",
 * "cooperative_matrix", and for Vulkan "subgroup": {"size", "min", "max", "can_be_set"},
 * "limits": {"storage_range_bytes", "allocation_bytes", "shared_bytes", "workgroup",
 * "push_bytes"}}, ...]}. "chosen" marks what "auto" takes, "reason" says why or why not. Number
 * formats and cooperative matrices are what the driver advertises, whether they are of use here or
 * not. */
tsr_status tsr_devices_json(tsr_context *ctx, char **json);

/* Called for each output compared: its name as "run/output", and what was found. Both texts are
 * valid during the call. */
typedef void (*tsr_verify_fn)(void *user, const char *output, int passed, const char *text);
typedef struct tsr_verify_settings {
    const char *device; /* "auto", "cpu", "vulkan", "vulkan:N"; default NULL = auto */
    const char *write;  /* folder for every array that is compared, as it was made, in files
                           <run>.<output>.npy; it is made if missing; default NULL = none */
    tsr_verify_fn line; /* default NULL = not called */
    void *user;
} tsr_verify_settings;
/* Computes one golden case folder and compares. settings may be NULL. */
tsr_status tsr_verify_case(tsr_context *ctx, const char *folder,
                           const tsr_verify_settings *settings, int *passed, int *failed);

/* Benchmarks ops and the bundled tokenizer, or a model alone; a row of JSON for each measurement.
 */
typedef struct tsr_bench_settings {
    const char *model;  /* as in tsr_model_settings: its tiles to tokens and back, nothing else;
                           NULL = ops, parts of models and the bundled tokenizer */
    const char *device; /* NULL = every usable device */
    const char *filter; /* substring of the row's name, NULL = all */
    const char *mask;   /* capabilities not used, as in tsr_model_settings */
    double seconds;     /* least time spent on a row, default 0.5 */
} tsr_bench_settings;
typedef void (*tsr_bench_fn)(void *user, const char *json_row);
tsr_status tsr_bench(tsr_context *ctx, const tsr_bench_settings *settings, tsr_bench_fn row,
                     void *user);

/* What fast does to a tokenizer's ids on a device: pictures are encoded in f32 and in fast, after a
 * first encode of each that is not timed, and compared position by position. UNSUPPORTED:
 * tokenizers of vectors, which are never equal. */
typedef struct tsr_agreement {
    uint64_t pictures, tiles;
    uint64_t ids, equal;          /* of all tiles; equal in both */
    double tile_min, tile_median; /* the share of equal ids in a tile */
    uint64_t near_ties;           /* of the f32 run: ids decided by less than the bound within which
                                     devices may differ */
    double seconds_f32, seconds_fast;
    double cpu_seconds_f32, cpu_seconds_fast; /* of all threads: what other programs disturb less */
    char tokenizer[64], device[256];
    char fast_path[96]; /* what the device rounds; "" = nothing, both runs are f32 */
    int fast_used;      /* 0: no product of this encoder went that way */
} tsr_agreement;
/* count 0: four pictures of a tile's size painted in memory. settings->precision is not looked at:
 * both are measured.
 * Errors: those of opening a tokenizer, of reading and encoding pictures; ARGUMENT, INTERRUPTED. */
tsr_status tsr_measure_agreement(tsr_context *ctx, const char *const *pictures, int count,
                                 const tsr_model_settings *settings, tsr_progress_fn progress,
                                 void *progress_user, tsr_agreement *agreement);

/* k-means codebooks. x is [n, dim] f32, row by row. */
typedef struct tsr_codebook_settings {
    uint32_t codes;      /* K */
    uint32_t iterations; /* at most; default 50 */
    double tolerance;    /* stop when the mean squared error falls by less than this share; 1e-4 */
    uint64_t seed;       /* of the counter-based RNG; default 1 */
    int cosine;          /* 1: l2-normalise rows and codes */
    uint32_t stages;     /* residual stages; default 1 */
    const char *device;
    tsr_progress_fn progress;
    void *progress_user;
} tsr_codebook_settings;
tsr_codebook_settings tsr_codebook_settings_default(void);
typedef struct tsr_codebook_stats {
    uint64_t rows;
    double mse;          /* mean over elements of (x - code)^2 */
    double used;         /* share of codes with at least one row; over all stages */
    double perplexity;   /* exp of the entropy of code use; mean over the stages */
    uint64_t revived;    /* dead codes replaced while training */
    uint32_t iterations; /* done, all stages together */
    uint64_t near_ties;  /* of assign: decisions another device may take otherwise */
} tsr_codebook_stats;
/* codes: [stages, K, dim], caller's memory, undefined after a failure. stats may be NULL. With
 * cosine, mse is of the normalised rows. The progress callback's texts are "k-means++" and
 * "k-means" (in rows over all iterations; training may end earlier). Same seed, device and rows:
 * same bytes. Errors: ARGUMENT (no rows; more codes than rows; a value that is not finite or beyond
 * 1e15; cosine with several stages), MEMORY, INTERRUPTED, those of devices. */
tsr_status tsr_codebook_train(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                              const tsr_codebook_settings *settings, float *codes,
                              tsr_codebook_stats *stats);
/* ids: [n, stages], caller's memory. Takes stages, codes (K), cosine, device and progress from the
 * settings; n may be 0. Errors: as train. */
tsr_status tsr_codebook_assign(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                               const float *codes, const tsr_codebook_settings *settings,
                               uint32_t *ids, tsr_codebook_stats *stats);
/* Feature arrays: a .npy file, or a tensor of a .safetensors file (told apart by their bytes; NULL
 * = the only tensor there is). [n, dim], or more dimensions whose last one is dim; integers and
 * halves become f32. *x is malloc'd, free(). Errors: reading errors; FORMAT (shape); ARGUMENT
 * (which tensor); NOT_FOUND (no such tensor). */
tsr_status tsr_features_read(tsr_context *ctx, const char *path, const char *tensor, float **x,
                             uint64_t *n, uint32_t *dim);
/* Patches of pictures as features: patch x patch pixels become one row of patch*patch*3 values in
 * [0,1], in the order (y, x, channel). Patches do not overlap, go row by row from the top left
 * corner and leave out what does not fill a patch. per_picture > 0 takes at most so many of each
 * picture, evenly spaced. *x is malloc'd, free(). Errors: reading errors; ARGUMENT (no picture is
 * as large as a patch); TOO_LARGE (beyond the context's memory limit). */
tsr_status tsr_features_from_pictures(tsr_context *ctx, const char *const *pictures, int count,
                                      uint32_t patch, uint32_t per_picture, float **x, uint64_t *n,
                                      uint32_t *dim);
/* A codebook file is a .safetensors file with the tensor "codes" [stages, K, dim] F32 and the
 * metadata format = "tessera-codebook", version = "1", metric = "euclid" or "cosine". */
tsr_status tsr_codebook_write(tsr_context *ctx, const char *path, const float *codes,
                              uint32_t stages, uint32_t count, uint32_t dim, int cosine);
/* Writes ids as an .npy file, [rows, stages] of little-endian i4; path "-" is stdout.
 * Errors: ARGUMENT (no stages), writing errors. */
tsr_status tsr_ids_write(tsr_context *ctx, const char *path, const uint32_t *ids, uint64_t rows,
                         uint32_t stages);
/* Reads one; a .safetensors file without that metadata is taken as Euclidean, and "codes" may be
 * [K, dim]. *codes is malloc'd, free(). Errors: reading errors, FORMAT, VERSION. */
tsr_status tsr_codebook_read(tsr_context *ctx, const char *path, float **codes, uint32_t *stages,
                             uint32_t *count, uint32_t *dim, int *cosine);

#endif /* TESSERA_EXPERIMENTAL */

#ifdef __cplusplus
}
#endif
#endif
