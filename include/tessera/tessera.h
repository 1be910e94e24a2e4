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
 * Three rings: (1) whole files in one call; (2) devices, tokenizers and pictures in memory;
 * (3) experimental calls behind TESSERA_EXPERIMENTAL, which may change between minor versions.
 * All structs passed as settings start from their _default() and may be passed as NULL. */
#ifndef TESSERA_H
#define TESSERA_H

#include "tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TESSERA_VERSION_MAJOR 0
#define TESSERA_VERSION_MINOR 1
#define TESSERA_VERSION_PATCH 0
/* Of the linked library: "0.1.0". */
const char *tsr_version(void);

/* ---- ring 1: files ---------------------------------------------------------------------- */

/* Called between steps of long work, on the calling thread. Return nonzero to stop: the call then
 * ends with INTERRUPTED and leaves no output. */
typedef int (*tsr_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

/* What the tokens of an item rest on, where the tokenizer chose them itself (KARL). */
typedef struct tsr_item_details {
    uint32_t positions;   /* judged in each tile: the budget */
    const float *halting; /* [tiles, positions] probability that the tile does without the position:
                             it is kept up to 0.75, or whatever it is with no_halt */
    const float *margin;  /* of each id, in the item's order: squared distance of the second nearest
                             code less that of the nearest; NULL with vectors */
} tsr_item_details;

/* One picture of tsr_encode_files, told when it is done. Everything is valid during the call. */
typedef struct tsr_encoded {
    const tsr_token_item *item;
    const tsr_item_details *details; /* NULL: the tokenizer does not choose its tokens */
    double error;     /* with check: mean absolute error on the 0..1 scale; else NaN */
    int reached;      /* with a target: 1 if the picture reaches it */
    uint32_t decodes; /* with a target: how many the search took */
} tsr_encoded;
typedef void (*tsr_encoded_fn)(void *user, const tsr_encoded *picture);

typedef struct tsr_encode_settings {
    const char *model;     /* safetensors file or a folder with one; NULL = the bundled tokenizer */
    const char *device;    /* "auto", "cpu", "vulkan", "vulkan:N"; NULL = auto */
    const char *mask;      /* op variants to leave out, NULL = none */
    int fast;              /* 1: operands of products may be rounded to 16 bits where the device
                              is good at it (tsr_measure_agreement); sums stay f32 */
    uint32_t tokens;       /* ids a tile; 0 = all, or what `quality` says */
    float quality;         /* tolerated mean absolute error, 0..1; 0 = not used */
    tsr_target target;     /* instead of quality: the fewest ids, of at most `tokens`, that reach
                              it; found by decoding, see tsr_tokenizer_search */
    tsr_fit fit;           /* default TSR_FIT_AUTO: what the tokenizer prefers */
    uint8_t background[3]; /* under alpha; default white */
    uint32_t layer_tokens; /* see tsr_token_writer_settings; 0 */
    uint32_t batch;        /* tiles in flight; 0 = chosen from memory. Never changes the ids. */
    uint32_t tile_width, tile_height; /* as in tsr_tokenizer_settings */
    /* For tokenizers that choose tokens by `quality` themselves (KARL); UNSUPPORTED with others. */
    uint32_t budget; /* most ids a tile; 0 = what it was trained with */
    int no_halt;     /* 1: keep the whole budget */
    int f32_latents; /* of continuous models: 1 = numbers as they are; 0 = rounded to f16, in files
                        of half the size. UNSUPPORTED with tokenizers of ids */
    int check;       /* 1: decode again and report the achieved error */
    /* Hints for decoding that the file shall carry, for tokenizers that sample (0 = the model's).
     */
    uint32_t steps;
    float guidance;
    tsr_guidance_mode guidance_mode;
    uint64_t seed;
    /* NumPy file f32 [tiles, C, h, w], or [C, h, w] of one tile: latents are drawn from the
     * autoencoder's posterior with it, mean + exp(logvar / 2) * noise. One for each tile of all
     * pictures, in order. NULL: their mean is encoded. For FlexTok and its autoencoders alone;
     * UNSUPPORTED with others. ARGUMENT: another type, shape or number, or not finite. */
    const char *noise;
    tsr_encoded_fn encoded; /* of tsr_encode_files: called for each picture, in order; or NULL */
    void *encoded_user;
    tsr_progress_fn progress;
    void *progress_user;
} tsr_encode_settings;
tsr_encode_settings tsr_encode_settings_default(void);

typedef struct tsr_encode_report { /* totals of one call */
    uint64_t pictures, tiles, tokens, bytes;
    uint64_t near_ties;      /* as in tsr_tokenizer_encode; of the first try where a target made a
                                tokenizer choose again */
    double seconds;          /* encode without opening the model, nor looking for a target */
    double error_sum;        /* with check: sum over pictures of the mean absolute error between
                                what decoding gives back and the picture as it was fitted */
    uint64_t within_quality; /* with check: pictures within `quality` */
    uint64_t target_reached; /* with a target: pictures that reach it, */
    uint64_t target_decodes; /* and how many decodes it took to find their counts */
    char device[256], tokenizer[64];
    uint64_t weights_hash;
    tsr_fit fit; /* that was used */
    /* Where the tokenizer chooses tokens itself `chooses` is 1; it tells some tolerated errors
     * apart and took this one for `quality` (quality_bin -1: there was a target). */
    int chooses, quality_bin, quality_bins;
    float quality_taken;
} tsr_encode_report;

/* Encodes pictures into one token file, one item each, in order; "-" is stdin / stdout. The item's
 * key is the file's name without folder. On failure nothing appears under `output`.
 * Errors: any of status.h; TSR_ERROR_ARGUMENT when output is one of the inputs. */
tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_settings *settings,
                            tsr_encode_report *report);

typedef struct tsr_decode_settings {
    const char *model, *device, *mask; /* as in tsr_encode_settings */
    int fast;
    uint32_t tokens; /* use at most this many ids of each tile; 0 = all there are */
    int force;       /* 1: decode with weights other than those the file names */
    uint32_t batch;
    /* For tokenizers that sample; 0 = as the file says, or else the model. */
    uint32_t steps;
    float guidance; /* 1 = without guidance, half the work */
    tsr_guidance_mode guidance_mode;
    uint64_t seed;     /* the same seed gives the same noise on every device */
    const char *noise; /* NumPy file f32 [tiles, C, h, w] instead of a seed; NULL = none */
    tsr_progress_fn progress;
    void *progress_user;
} tsr_decode_settings;
tsr_decode_settings tsr_decode_settings_default(void);

/* Decodes a token file to PNG. One item: `output` is a file ("-" = stdout) unless it is an existing
 * folder or ends in '/'. Several items: `output` is a folder (made if missing) and gets
 * <key without suffix>.png; equal keys get -2, -3, ... Errors: MODEL_MISMATCH unless forced. */
tsr_status tsr_decode_file(tsr_context *ctx, const char *input, const char *output,
                           const tsr_decode_settings *settings);

typedef struct tsr_evaluation { /* 8-bit RGB, range 255, all channels in one mean */
    int width, height;
    double mse, psnr;     /* PSNR = 10 log10(255^2 / mse); infinity when equal */
    double ssim_gaussian; /* Wang et al. 2004: 11x11 gaussian, sigma 1.5, valid region */
    double ssim_uniform;  /* 7x7 uniform window, sample covariance (scikit-image's default) */
    double l1;            /* mean absolute error on the 0..1 scale */
} tsr_evaluation;
/* Compares two pictures of equal size. SSIM fields are NaN when a side is below its window.
 * Errors: ARGUMENT (sizes differ), and reading errors. */
tsr_status tsr_evaluate_files(tsr_context *ctx, const char *original, const char *reconstruction,
                              tsr_evaluation *evaluation);
tsr_status tsr_evaluate(tsr_context *ctx, const uint8_t *original, const uint8_t *reconstruction,
                        int width, int height, tsr_evaluation *evaluation);

/* ---- ring 2: tokenizers and pictures in memory ------------------------------------------- */

typedef struct tsr_tokenizer tsr_tokenizer;

typedef struct tsr_tokenizer_settings {
    const char *model;  /* path; NULL = bundled */
    const char *device; /* NULL = auto */
    const char *mask;
    int fast;
    int reference;                    /* cpu: plain C reference of every op */
    int validation;                   /* vulkan: validation layer on; any message fails the call */
    uint32_t tile_width, tile_height; /* pixels; 0 = the tokenizer's own. Some take any multiple of
                                         a number, the others fail with UNSUPPORTED */
} tsr_tokenizer_settings;
tsr_tokenizer_settings tsr_tokenizer_settings_default(void);

/* Loads weights and opens the device. The tokenizer uses ctx until it is closed. */
tsr_status tsr_tokenizer_open(tsr_context *ctx, tsr_tokenizer **tokenizer,
                              const tsr_tokenizer_settings *settings);
void tsr_tokenizer_close(tsr_tokenizer **tokenizer);
/* Header as encode would write it (fit, background, f32_latents and hints excepted). Owned by the
 * tokenizer. */
const tsr_token_header *tsr_tokenizer_header(const tsr_tokenizer *tokenizer);
/* "cpu", "vulkan:0 (llvmpipe ...)". Owned by the tokenizer. */
const char *tsr_tokenizer_device(const tsr_tokenizer *tokenizer);

/* A picture in the caller's memory: 8-bit RGB, row by row, no padding. */
typedef struct tsr_picture {
    const uint8_t *rgb;
    int width, height;
    const char *key; /* NULL = "" */
    int orientation; /* 0 or 1 = as is */
} tsr_picture;

typedef struct tsr_item tsr_item; /* owns the memory a tsr_token_item points to */
const tsr_token_item *tsr_item_tokens(const tsr_item *item);
/* NULL: the tokenizer does not choose its tokens. Owned by the item. */
const tsr_item_details *tsr_item_get_details(const tsr_item *item);
void tsr_item_close(tsr_item **item);

/* Encodes `count` pictures; items[i] is opened for each (all or none: then they are NULL). Not used
 * of the settings: model, device, mask, fast and tile size, which are the tokenizer's; layers,
 * steps, guidance, its mode and seed, which are written to files; target and check. near_ties may
 * be NULL: ids whose decision margin was below the bound within which devices may differ. */
tsr_status tsr_tokenizer_encode(tsr_tokenizer *tokenizer, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties);
/* Size of the picture an item decodes to. */
void tsr_item_size(const tsr_token_header *header, const tsr_token_item *item, int *width,
                   int *height);
/* Leaves of an item as few ids as reach settings' target, and records target and result in it.
 * Nested ids: the smallest common count of every tile's first ids. Where the tokenizer chooses its
 * tokens (KARL): what it chooses for the largest tolerated error that will do, or all of the
 * budget; it is asked again with settings' budget and batch, the item as it is being the first try,
 * and the tolerated error is noted as the item's quality. Compared is what decoding gives back with
 * what the model was given: the picture as it was fitted. Quality is taken to rise with the ids:
 * where it does not, the count (tolerated error) found reaches the target and the next one does
 * not. Out of reach: all ids are kept. `header` as for decoding; *decodes (may be NULL): how many
 * it took. Errors: ARGUMENT (target, or no_halt with it), UNSUPPORTED (ids that are all needed),
 * and what encoding and decoding say. */
tsr_status tsr_tokenizer_search(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_picture *picture, const tsr_encode_settings *settings,
                                tsr_item *item, uint32_t *decodes);
/* "psnr", "ssim", "l1", "none". */
const char *tsr_target_name(tsr_target_metric metric);
/* Decodes one item into rgb (width*height*3 bytes of tsr_item_size). `header` says how it was fit
 * and must name this tokenizer; one that takes tiles of any size goes over to the header's. tokens
 * 0 = all. */
tsr_status tsr_tokenizer_decode(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_token_item *item, uint32_t tokens, uint8_t *rgb);

/* The same with everything the settings say (model, device, mask and force are not looked at). */
tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb);

/* Reads any picture file the library knows (see tsr_encode_files) into malloc'd RGB; free(). */
tsr_status tsr_picture_read(tsr_context *ctx, const char *path, const uint8_t background[3],
                            uint8_t **rgb, int *width, int *height);
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
    const char *model;  /* as of tsr_tokenizer_settings: its tiles to tokens and back, nothing else;
                           NULL = ops, parts of models and the bundled tokenizer */
    const char *device; /* NULL = every usable device */
    const char *filter; /* substring of the row's name, NULL = all */
    const char *mask;   /* capabilities not used, as of tsr_tokenizer_settings */
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
/* count 0: four pictures of a tile's size painted in memory. settings->fast is not looked at.
 * Errors: those of opening a tokenizer, of reading and encoding pictures; ARGUMENT, INTERRUPTED. */
tsr_status tsr_measure_agreement(tsr_context *ctx, const char *const *pictures, int count,
                                 const tsr_tokenizer_settings *settings, tsr_progress_fn progress,
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
