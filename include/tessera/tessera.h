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
 * tsr_model_settings until the tokenizer is closed. A callback may be NULL unless its comment says
 * otherwise; its `user` pointer is handed on untouched.
 *
 * No other pointer may be NULL unless the comment of the call says what NULL means there; a call
 * that notices returns ARGUMENT. Close functions accept NULL. An object that a call opens is NULL
 * when the call fails.
 *
 * Every call that takes a tokenizer belongs to the thread of the tokenizer's context: tokenizers of
 * different contexts may run at the same time. "Reading errors" are NOT_FOUND, IO, FORMAT,
 * TRUNCATED, CHECKSUM, UNSUPPORTED, TOO_LARGE and MEMORY; "writing errors" are IO, NO_SPACE,
 * EXISTS (where the context keeps what exists) and MEMORY; "device errors" are NO_DEVICE, DEVICE,
 * DEVICE_LOST and MEMORY. */
#ifndef TESSERA_H
#define TESSERA_H

#include "datasets.h"
#include "evaluate.h"
#include "media.h"
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

/* Precision of matrix products and convolutions. Sums, and all other operations, are always f32. */
typedef enum tsr_precision {
    TSR_PRECISION_F32 = 0, /* f32 operands */
    TSR_PRECISION_FAST = 1 /* operands rounded to 16 bits on devices that gain by it; ids may then
                              differ, and tsr_measure_agreement says how many do */
} tsr_precision;

/* Which model runs, and where. Read when a model is opened. */
typedef struct tsr_model_settings {
    const char *model;  /* .safetensors file, or a folder with one; default NULL: the bundled
                           tokenizer */
    const char *device; /* "auto", "cpu", "vulkan", "vulkan:N"; default NULL: auto, which takes the
                           best hardware GPU, or else the cpu. Where several devices may share the
                           work (tsr_encode_files, tsr_batch) also "vulkan:all": every hardware
                           GPU */
    const char *mask;   /* comma-separated names of op variants, capabilities and savings that are
                           left out, to find a fault ("+pairs" adds one); default NULL: none */
    tsr_precision precision; /* default TSR_PRECISION_F32 */
    int reference;           /* cpu: 1 runs every op's plain C reference; default 0 */
    int validation;          /* vulkan: 1 loads the validation layer, whose messages fail the call;
                                default 0 */
    uint32_t tile_width, tile_height; /* pixels; default 0: the size the model was trained with.
                                         Tokenizers over grids take any multiple of their step;
                                         every other tokenizer fails with UNSUPPORTED */
    uint32_t tile_frames; /* most frames of a tile, of tokenizers of video; default 0: as trained */
} tsr_model_settings;
/* Default settings of a model. */
tsr_model_settings tsr_model_settings_default(void);

/* Filter that resizes a picture to its tiles. */
typedef enum tsr_resampling {
    TSR_RESAMPLING_AUTO = 0, /* the filter the tokenizer was trained with, or else Lanczos */
    TSR_RESAMPLING_BILINEAR = 1,
    TSR_RESAMPLING_BICUBIC = 2,
    TSR_RESAMPLING_LANCZOS = 3
} tsr_resampling;

/* How a picture becomes tiles. */
typedef struct tsr_fit_settings {
    tsr_fit fit;               /* default TSR_FIT_AUTO: the tokenizer's preference, or else TILE */
    tsr_resampling resampling; /* default TSR_RESAMPLING_AUTO */
    uint8_t background[3]; /* RGB under transparent pixels and of padding; default white, which a
                              struct of zeros is not */
} tsr_fit_settings;
/* Default settings of the fit. */
tsr_fit_settings tsr_fit_settings_default(void);

/* How many tokens a picture gets. `quality` excludes `tokens` and `target`; `target` excludes
 * `keep_all`. A struct of zeros is the default. */
typedef struct tsr_token_choice {
    uint32_t tokens;   /* most ids of a tile, for nested ids; default 0: no limit */
    float quality;     /* tolerated mean absolute error of a tile on the 0..1 scale, 0..1: each tile
                          gets as many tokens as it needs. UNSUPPORTED by tokenizers that cannot
                          predict the error. Default 0: no tolerance is set; a tokenizer that
                          chooses its tokens (KARL) then uses its usual tolerance */
    tsr_target target; /* quality that the whole picture reaches with the fewest ids, of at most
                          `tokens` in a tile. Found by decoding, see tsr_tokenizer_search. Default:
                          metric TSR_TARGET_NONE */
    uint32_t budget;   /* most tokens of a tile, for tokenizers that choose the positions that have
                          a token (KARL), UNSUPPORTED by every other; default 0: the number the
                          model was trained with */
    int keep_all;      /* 1 keeps every token of the budget, for tokenizers that choose positions,
                          UNSUPPORTED by every other; default 0 */
} tsr_token_choice;

#define TSR_MAX_STEPS    10000
#define TSR_MIN_GUIDANCE 0.001f
#define TSR_MAX_GUIDANCE 1000.0f
/* How a decoder that samples (FlexTok) draws a picture. A tokenizer whose decoder does not sample
 * fails with ARGUMENT unless every field is 0. A struct of zeros is the default. */
typedef struct tsr_sampling_settings {
    uint32_t steps; /* steps of the sampler, 1..TSR_MAX_STEPS; default 0: the file's hint, or else
                       the model's default */
    float guidance; /* scale of guidance, TSR_MIN_GUIDANCE..TSR_MAX_GUIDANCE; 1 is without guidance
                       and takes half the work; default 0: the file's hint, or else the model's
                       default */
    tsr_guidance_mode mode; /* default TSR_GUIDANCE_AUTO: the file's hint, or else APG */
    uint64_t seed; /* seed of the starting noise, which is equal on every device; default 0:
                      the file's hint, or else seed 0 */
} tsr_sampling_settings;

#define TSR_MAX_BATCH 4096
/* How pictures in memory are encoded. */
typedef struct tsr_encode_settings {
    tsr_fit_settings fit;    /* default tsr_fit_settings_default() */
    tsr_token_choice choice; /* default: zeros */
    int f32_latents;   /* tokenizers of vectors: 1 stores every number exactly, 0 rounds it to f16,
                          which halves the file. UNSUPPORTED by tokenizers of ids. Default 0 */
    const char *noise; /* NumPy file, f32 [tiles, C, h, w], or [C, h, w] for a single tile; tiles
                          count over all pictures in order. Latents are then drawn from the
                          autoencoder's posterior: mean + exp(logvar / 2) * noise. For FlexTok and
                          its autoencoders, UNSUPPORTED by every other tokenizer. Default NULL: the
                          mean */
    uint32_t batch; /* tiles in flight, 1..TSR_MAX_BATCH. No token depends on the number. Default 0:
                       chosen from the memory there is */
    int keep_fitted;          /* 1 keeps in each item the picture as the model saw it, which
                                 tsr_item_fitted and tsr_tokenizer_search need; default 0 */
    tsr_progress_fn progress; /* counts tiles, see tsr_progress_fn; default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_encode_settings;
/* Default settings of encoding. */
tsr_encode_settings tsr_encode_settings_default(void);

/* How an item in memory is decoded. A struct of zeros is the default. */
typedef struct tsr_decode_settings {
    uint32_t tokens; /* most ids of a tile to decode, for nested ids; default 0: all of the item */
    tsr_sampling_settings sampling; /* default: zeros */
    const char *noise; /* NumPy file, f32 [tiles, C, h, w], of the noise that sampling starts from;
                          default NULL: noise from the seed */
    uint32_t batch;    /* tiles in flight, 1..TSR_MAX_BATCH. No pixel depends on the number. Default
                          0: chosen from the memory there is */
    tsr_progress_fn progress; /* see tsr_progress_fn; default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_decode_settings;
/* Default settings of decoding. */
tsr_decode_settings tsr_decode_settings_default(void);

/* ---- ring 1: files ---------------------------------------------------------------------- */

/* How a tokenizer that chooses its tokens (KARL) chose those of one item. Owned by the item. */
typedef struct tsr_selection_details {
    uint32_t positions;   /* positions of a tile that the model judged: the budget */
    const float *halting; /* [tiles, positions] probability that this token can be dropped. Tokens
                             above 0.75 are dropped unless keep_all is set */
    const float *margin;  /* [tokens of the item, in order] squared distance of the second nearest
                             code less that of the nearest; NULL with vectors */
} tsr_selection_details;

/* One encoded picture of tsr_encode_files. All pointers are valid during the callback. */
typedef struct tsr_encoded {
    const tsr_token_item *item;
    const tsr_selection_details *details; /* NULL: the tokenizer does not choose its tokens */
    double error;     /* with `check`: mean absolute error on the 0..1 scale; else NaN */
    int reached;      /* with a target: 1 if the picture reaches the target */
    double predicted; /* with `quality`: mean absolute error that the tokenizer predicts, on the
                         0..1 scale, the mean of the tiles; NaN without, and for a tokenizer that
                         predicts none (KARL) */
    uint32_t decodes; /* with a target: decodes that the search took */
} tsr_encoded;
/* Receives each picture of tsr_encode_files, in order, on the calling thread. */
typedef void (*tsr_encoded_fn)(void *user, const tsr_encoded *picture);

/* What a picture that cannot be read or encoded does to the others. */
typedef enum tsr_on_error {
    TSR_ON_ERROR_STOP = 0, /* it ends the call; found by a look at the headers, before anything is
                              encoded */
    TSR_ON_ERROR_SKIP = 1  /* it is reported and left out */
} tsr_on_error;
/* One picture of tsr_encode_files that has no item. All pointers are valid during the callback. */
typedef struct tsr_encode_failure {
    const char *input; /* the path: as it was given to the call, below a folder that was, or
                          ARCHIVE:KEY */
    tsr_status status;
    const char *detail; /* one line about it */
} tsr_encode_failure;
/* Receives each bad picture of tsr_encode_files, on the calling thread. */
typedef void (*tsr_encode_failure_fn)(void *user, const tsr_encode_failure *failure);

/* Calls use(arg) when a tokenizer that is shared is free, on any thread, and returns when that has
 * ended. Nonzero: it was not called, and the work ends with INTERRUPTED. */
typedef int (*tsr_turn_fn)(void *user, void (*use)(void *arg), void *arg);
/* How picture files become a token file. */
typedef struct tsr_encode_files_settings {
    tsr_model_settings model;    /* default tsr_model_settings_default() */
    tsr_encode_settings encode;  /* `progress` counts pictures, `keep_fitted` is not needed; default
                                    tsr_encode_settings_default() */
    tsr_sampling_settings hints; /* decode hints for the file; default zeros: the model's */
    tsr_token_writer_settings file; /* default tsr_token_writer_settings_default() */
    const char *const *devices; /* [device_count] devices that share the work, "vulkan:0" ...; two
                                   that differ may decide near ties differently. Default NULL:
                                   model.device alone */
    int device_count;           /* default 0 */
    tsr_source_settings source; /* default zeros: named files, keyed by their names */
    int check;                  /* 1 decodes each picture again and reports its error; default 0 */
    tsr_encoded_fn encoded;     /* receives each picture; default NULL: no reports */
    void *encoded_user;         /* first argument of `encoded`; default NULL */
    tsr_on_error on_error;      /* default TSR_ON_ERROR_STOP */
    int keep_partial; /* 1: when the call fails or is stopped, the pictures that were done are kept
                         as a whole token file, `output` with ".partial" before its .tess (and -2,
                         -3
                         ... where the context keeps what exists). Default 0: nothing is kept */
    tsr_encode_failure_fn failed;    /* receives each bad picture; default NULL: no reports */
    void *failed_user;               /* first argument of `failed`; default NULL */
    struct tsr_tokenizer *tokenizer; /* one that is open, which is used instead of opening
                                     model.model: a file more costs no loading. Not with several
                                     devices. Default NULL */
    tsr_turn_fn turn; /* all uses of `tokenizer` go through it, at most 16 pictures a turn, so that
                         others can use it between them; default NULL: it is this call's alone */
    void *turn_user;  /* first argument of `turn`; default NULL */
} tsr_encode_files_settings;
/* Default settings of tsr_encode_files. */
tsr_encode_files_settings tsr_encode_files_settings_default(void);

/* What the stages of encoding files took. Reading, decoding, encoding and writing go on at the same
 * time, so their sum exceeds the time that passed. */
typedef struct tsr_stage_times {
    double passed;      /* seconds from the first picture to the last */
    double read;        /* seconds of reading files and archives; one thread */
    double decode;      /* seconds of decoding and resampling, the sum of `decoders` threads */
    double encode;      /* seconds of the model, the sum of `encoders` devices */
    double write;       /* seconds of entropy coding and writing; the calling thread */
    double encode_idle; /* seconds in which the devices waited for pictures, their sum */
    int decoders, encoders;
    uint64_t encoded[16]; /* pictures that each of the devices encoded, in their order; of more
                             than 16 devices those of the first */
    double device_busy;   /* seconds in which the devices computed the model, their sum */
    double device_waited; /* seconds of the time that passed in which the devices had nothing to
                             compute: they waited for the host; their sum */
    double host_waited;   /* seconds in which the host waited for what GPUs computed; their sum */
} tsr_stage_times;
/* Name of the stage that was the bottleneck: "read", "decode", "encode" or "write", the one whose
 * threads were busy for the greatest part of the time. Static storage. */
const char *tsr_stage_times_bottleneck(const tsr_stage_times *times);

/* What encoded files. */
typedef struct tsr_encoding_model {
    char tokenizer[64];    /* name in the files' header */
    uint64_t weights_hash; /* weights_hash in the files' header */
    tsr_fit fit;           /* fit in the files' header */
    int vectors;           /* 1: tokens are vectors, so that nothing is quantized */
    char device[256];      /* tsr_tokenizer_device; of several devices that of the first */
    int devices;           /* that shared the work */
    char host_stages[64];  /* tsr_tokenizer_host_stages of encoding; with supplied noise "draw" is
                              among them */
} tsr_encoding_model;

/* Keys of source.attributes that no picture has: of many, the file is most often one of other keys.
 */
typedef struct tsr_unused_keys {
    int known;          /* 0: there is no such file, the call failed, or pictures of archives, whose
                           keys are not known before, were not read by this call */
    uint64_t count;     /* of such keys */
    char first[3][128]; /* the first of them, cut where they are longer; "": fewer than 3 */
} tsr_unused_keys;

/* Totals of one tsr_encode_files. */
typedef struct tsr_encode_report {
    uint64_t pictures, tiles, tokens;
    uint64_t bytes;          /* size of the token file; 0 for stdout */
    uint64_t near_ties;      /* ids that another device may decide otherwise, see
                                tsr_tokenizer_encode. Of the first try, where a target made a
                                tokenizer choose again */
    double seconds;          /* of the model: stages.encode */
    double error_sum;        /* with `check`: sum over pictures of the mean absolute error between
                                the decoded and the fitted picture, on the 0..1 scale */
    uint64_t within_quality; /* with `check`: pictures whose error is at most `quality` */
    uint64_t predicted;      /* pictures whose error the tokenizer predicted, with `quality` */
    uint64_t out_of_reach;   /* of `predicted`: pictures whose predicted error exceeds `quality` */
    uint64_t changed_keys;   /* keys in which '_' stands for a byte that no key may hold */
    uint64_t equal_keys;     /* keys that an earlier picture of the file has */
    uint64_t target_reached; /* with a target: pictures that reach the target */
    uint64_t target_decodes; /* with a target: decodes of all searches */
    tsr_encoding_model model;
    int chooses;         /* 1: the tokenizer chooses its tokens (KARL); 0: quality_bin is -1 and
                            the last two fields are not set */
    int quality_bin;     /* tolerance that was used, 0 .. quality_bins - 1; -1 with a target */
    int quality_bins;    /* tolerances that the model distinguishes */
    float quality_taken; /* mean absolute error of tolerance quality_bin, on the 0..1 scale */
    uint64_t failed;     /* pictures that were reported as bad */
    tsr_unused_keys unused_keys;
    tsr_stage_times stages;
    char partial[4096]; /* with keep_partial: the file that what was done is kept as; "": none */
} tsr_encode_report;

/* Encodes pictures into one token file, one item for each, in order. An input is a picture file, a
 * folder, a tar archive, or "-" (stdin) or another pipe; datasets.h says what is in them and how
 * their items are called. input_count may be 0 with settings->source.files_from. A pipe may hold
 * several pictures, one behind the other, or a tar, and each picture becomes an item; BigTIFF alone
 * takes all that follows it. The key of its item is "stdin" for stdin, with -000001, -000002 ...
 * behind it where a pipe held several. "-" as output is stdout.
 *
 * Keys are made and settings checked first; a name that was changed and a key that several pictures
 * have are logged as warnings. Then the headers of all files are looked at, and then the first
 * picture is read. What is in archives and pipes shows only when they are read: they are not looked
 * at, and their keys are not compared. Bad pictures go to settings->failed, and so does an archive
 * that is cut or damaged, after the pictures before that place; the status is that of the first of
 * them with TSR_ON_ERROR_STOP or when no picture was good, and TSR_OK with TSR_ON_ERROR_SKIP:
 * report->failed counts them. On error nothing appears under `output`. settings may be NULL (the
 * defaults), and so may report. Errors: any of status.h; ARGUMENT also when the output is one of
 * the inputs, the model or the noise; EXISTS. */
tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_files_settings *settings,
                            tsr_encode_report *report);

/* One shard of tsr_batch. All pointers are valid during the callback. */
typedef struct tsr_batch_shard {
    const char *name;      /* of its file in the output folder */
    const char *input;     /* archive it was made of, or the first of its pictures */
    uint64_t input_hash;   /* XXH64 of the keys and sizes of its inputs, from which it is known
                              whether   they are the inputs of an earlier run */
    uint64_t content_hash; /* XXH64 of all bytes that were read of its inputs */
    uint64_t items, tokens;
    uint64_t errors; /* pictures without an item */
    uint64_t bytes;  /* of its file */
    int complete;    /* 0: an archive that could not be read to its end */
    double seconds;  /* from its first picture to its end; shards overlap */
} tsr_batch_shard;
/* Receives each shard that was made, when it stands under its name, on the calling thread. */
typedef void (*tsr_batch_shard_fn)(void *user, const tsr_batch_shard *shard);

/* How data sets become shards of tokens. */
typedef struct tsr_batch_settings {
    tsr_model_settings model;    /* default tsr_model_settings_default() */
    tsr_encode_settings encode;  /* `progress` counts pictures, of a total that is 0 with archives
                                    and pipes; default tsr_encode_settings_default() */
    tsr_sampling_settings hints; /* decode hints for the files; default zeros: the model's */
    tsr_token_writer_settings file; /* default tsr_token_writer_settings_default() */
    tsr_source_settings source;     /* default: key TSR_KEY_AUTO */
    tsr_video_settings video;       /* how videos are read; its background is
                                       encode.fit.background; default tsr_video_settings_default() */
    tsr_frame_choice frames;        /* which frames of videos; default zeros: all */
    int as_video;               /* 1: every input is a video: folders of numbered pictures, pictures
                                   that move and pipes, too; default 0: files that are videos are */
    const char *const *devices; /* [device_count] devices that share the work, "vulkan:0" ...; two
                                   that differ may decide near ties differently. Default NULL:
                                   model.device alone */
    int device_count;           /* default 0 */
    uint64_t shard_size; /* pictures of a shard, 1 or more; an archive becomes one shard, and so
                            does a video, whatever its size. Default 0: 10000 */
    int rank, world;     /* this process makes the shards whose number is `rank` modulo `world`;
                            default 0, 0: all */
    int overwrite;       /* 1: shards of an earlier run with other settings or inputs are made anew;
                            default 0: such a run is refused */
    tsr_on_error on_error;        /* default TSR_ON_ERROR_SKIP */
    tsr_batch_shard_fn shard;     /* receives each shard; default NULL: no reports */
    void *shard_user;             /* first argument of `shard`; default NULL */
    tsr_encode_failure_fn failed; /* receives each bad picture; default NULL: no reports */
    void *failed_user;            /* first argument of `failed`; default NULL */
} tsr_batch_settings;
/* Default settings of tsr_batch. */
tsr_batch_settings tsr_batch_settings_default(void);

/* Totals of one tsr_batch. */
typedef struct tsr_batch_report {
    uint64_t shards;      /* of this rank */
    uint64_t done_before; /* of `shards`: made by an earlier run */
    uint64_t made;        /* of `shards`: made by this call */
    uint64_t unmade;  /* of `shards`: could not be made (an archive or a video that is missing) */
    uint64_t partial; /* of `made`: archives and videos that could not be read to their end */
    uint64_t clips;   /* of `made`: videos */
    uint64_t pictures, tiles, tokens; /* of `made`; frames are pictures */
    uint64_t failed;                  /* pictures without an item */
    uint64_t near_ties;               /* as in tsr_encode_report */
    uint64_t bytes;                   /* of the files of `made` */
    tsr_unused_keys unused_keys;
    tsr_stage_times stages;
    tsr_encoding_model model;
} tsr_batch_report;

/* Encodes data sets into a folder of token files, "shards": of pictures, of folders and lists of
 * them, settings->shard_size in each file (000000.tess, ...), and one of each tar archive
 * (NAME.tess for NAME.tar) and of each video (a clip, as tsr_encode_videos makes it; of FOLDER/NAME
 * in a folder FOLDER-NAME.tess). Reading, decoding, encoding and writing go on at the same time.
 *
 * The call can be repeated: shards that stand finished are not made again, and a run that was
 * interrupted or killed goes on with the first unfinished shard. The folder also holds job.json
 * (the settings), manifest.jsonl (a line for each finished shard) and errors.jsonl (a line for each
 * picture that has no item). The bytes of the shards depend on inputs and settings alone, not on
 * threads, devices of one kind, ranks or interruptions.
 *
 * With TSR_ON_ERROR_SKIP bad pictures and archives cost nothing else, and the call returns TSR_OK:
 * report->failed, partial and unmade count them. settings may be NULL (the defaults), and so may
 * report. Errors: any of status.h; ARGUMENT also for a folder of other settings or inputs; STATE
 * (another process is at work with this rank); EXISTS (a folder with other files); INTERRUPTED. */
tsr_status tsr_batch(tsr_context *ctx, const char *const *inputs, int input_count,
                     const char *folder, const tsr_batch_settings *settings,
                     tsr_batch_report *report);

/* One item that became a picture. All pointers are valid during the callback. */
typedef struct tsr_decoded {
    uint64_t index;   /* of the item in the file */
    const char *key;  /* of the item */
    const char *path; /* of the picture's file */
} tsr_decoded;
/* Receives each picture of tsr_decode_file when it stands under its final name, in order, on the
 * calling thread. */
typedef void (*tsr_decoded_fn)(void *user, const tsr_decoded *picture);
/* Totals of one tsr_decode_file. */
typedef struct tsr_decode_report {
    uint64_t items;      /* in the token file, as in tsr_token_file_info */
    uint64_t written;    /* pictures that were written */
    uint64_t unreadable; /* of the chosen items: damaged in the file */
    uint64_t
        undecodable; /* of the chosen items: whole, but too large or impossible for the model */
    uint64_t lost;   /* of `written`: their attributes are damaged */
    int recovered, damaged;       /* of the token file, as in tsr_token_file_info */
    char device[256];             /* tsr_tokenizer_device */
    char host_stages[64];         /* tsr_tokenizer_host_stages of decoding */
    tsr_video_write_report video; /* of a clip that became a video: `written` then counts its
                                     frames; zeros otherwise */
} tsr_decode_report;

/* How a token file becomes pictures. */
typedef struct tsr_decode_file_settings {
    tsr_model_settings model;   /* tile_width and tile_height must be 0, as the file gives them;
                                   default tsr_model_settings_default() */
    tsr_decode_settings decode; /* `progress` counts items, or steps of a decoder that samples;
                                   default tsr_decode_settings_default() */
    int force; /* 1 decodes with weights other than those the file names, and logs a warning;
                  default 0 */
    tsr_picture_write_settings picture; /* how pictures are written; default: zeros */
    tsr_video_write_settings video; /* how a clip is written, but for rate and time base, which are
                                       its own; a format asks for a video whatever the name of the
                                       output; default: zeros */
    uint32_t clip;                  /* which clip of the file becomes the video, from 1 on; default
                                       0: the only one */
    double from, to; /* of a clip: the frames on screen from `from` seconds on, before `to`, both
                        from its first frame on. Times then begin at 0. Default 0, 0: all of it */
    const char *const *items;    /* [item_count] items to decode, see tsr_token_file_select; default
                                    NULL */
    int item_count;              /* default 0: every item */
    tsr_decoded_fn decoded;      /* receives each picture; default NULL: no reports */
    void *decoded_user;          /* first argument of `decoded`; default NULL */
    tsr_token_damage_fn damaged; /* receives what cannot be used of the file; default NULL */
    void *damaged_user;          /* first argument of `damaged`; default NULL */
    tsr_decode_report *report;   /* filled, also when the call fails; default NULL */
} tsr_decode_file_settings;
/* Default settings of tsr_decode_file. */
tsr_decode_file_settings tsr_decode_file_settings_default(void);

/* Decodes a token file to picture files. A single chosen item becomes the file `output` ("-" is
 * stdout) unless `output` is an existing folder or ends in '/'. Several items go to the folder
 * `output`, which is made if missing and is not named like a picture (out.png): each becomes <key
 * without suffix>.<format>, the folders of keys are made below `output`, and equal names get -2,
 * -3, ... Each picture appears under its name when it is complete. Where the context keeps what
 * exists, a picture that exists ends the call before any is decoded.
 *
 * A file that is cut or damaged costs the items in the damaged places and no other: the rest is
 * written, and the call returns DAMAGED. Damaged attributes cost no picture: they are told to
 * `damaged`, and the call returns DAMAGED, too. Of several items one that the model cannot have
 * made, or that is too large for the format, costs itself alone: the rest is written, and the call
 * returns its status (TOKENS, TOO_LARGE).
 *
 * A clip becomes a video where `output` is named like one (tsr_video_is_name) or settings->video,
 * clip, from or to ask for it; and where the file has one clip, neither items nor a format of
 * pictures are chosen, and `output` is stdout (y4m) or a folder (frames with their times). Frames
 * keep the times of their source, as far as the format can. A frame that is damaged is not in it,
 * and the one before stays on screen; the call then returns DAMAGED. The video appears when it is
 * complete. Errors, besides: UNSUPPORTED (frames of several sizes), those of tsr_video_writer_open.
 *
 * After any other failure or an interruption the pictures that are complete stay, and the detail
 * text says how many there are. settings may be NULL (the defaults). Errors: any of status.h;
 * DAMAGED; MODEL_MISMATCH (other weights) unless `force` is set; ARGUMENT also when an output is
 * the input; EXISTS. */
tsr_status tsr_decode_file(tsr_context *ctx, const char *input, const char *output,
                           const tsr_decode_file_settings *settings);

/* ---- ring 2: tokenizers and pictures in memory ------------------------------------------- */

/* A model that turns pictures into tokens and back, open on a device. */
typedef struct tsr_tokenizer tsr_tokenizer;

/* Loads weights and opens the device. The tokenizer uses ctx until it is closed; the caller closes
 * it with tsr_tokenizer_close. settings may be NULL (the defaults).
 * Errors: reading errors; MODEL (no family recognises the weights, or tensors are missing);
 * UNSUPPORTED (the weights are not a tokenizer's; a tile of another size); device errors. */
tsr_status tsr_tokenizer_open(tsr_context *ctx, tsr_tokenizer **tokenizer,
                              const tsr_model_settings *settings);
/* Closes a tokenizer and sets *tokenizer to NULL. NULL and a NULL *tokenizer are accepted. */
void tsr_tokenizer_close(tsr_tokenizer **tokenizer);
/* Header of the tokens a tokenizer makes, before encode settings change its fit, filter, background
 * and latent type. Owned by the tokenizer. tsr_tokenizer_decode may change its tile size. */
const tsr_token_header *tsr_tokenizer_header(const tsr_tokenizer *tokenizer);
/* Takes tiles of the size in `header` from now on, as decoding under that header does: back to
 * those it was opened with, by a copy of its header. Errors: MODEL_MISMATCH (a header of another
 * tokenizer), UNSUPPORTED (a tile it does not take). */
tsr_status tsr_tokenizer_retile(tsr_tokenizer *tokenizer, const tsr_token_header *header);
/* Device of a tokenizer, for people to read: "cpu", "vulkan:0 (llvmpipe ...)". Owned by the
 * tokenizer. */
const char *tsr_tokenizer_device(const tsr_tokenizer *tokenizer);
/* Stages of encoding, or of decoding, that the host computes whatever the device is, as words with
 * a blank between; "" when the device computes everything. "select": tokens are dropped by their
 * halting probability. "condition": ids and time steps become the vectors that steer a decoder.
 * "sample": noise, guidance and the steps of a decoder that samples. Reading, resizing and cutting
 * pictures are the host's always and not named, nor is drawing latents with supplied noise. Static
 * storage. */
const char *tsr_tokenizer_host_stages(const tsr_tokenizer *tokenizer, int decoding);

/* A picture in the caller's memory, 8-bit RGB [height, width, 3] row by row, no padding; or a
 * stretch of a video, [frames, height, width, 3]. */
typedef struct tsr_picture {
    const uint8_t *rgb;
    int width, height; /* pixels, at least 1 */
    const char *key;   /* key of the item, copied; NULL: "" */
    int orientation;   /* EXIF tag that was applied to the source, 1..8, for the item; 0: 1 */
    int frames;        /* of a video, 1 to tile_frames of the tokenizer; 0: a picture */
} tsr_picture;

/* An encoded picture: tokens, and the memory they lie in. It does not depend on the tokenizer. */
typedef struct tsr_item tsr_item;
/* Tokens of an item. Owned by the item; tsr_tokenizer_search changes them. */
const tsr_token_item *tsr_item_tokens(const tsr_item *item);
/* Header for the tokens of an item: the tokenizer's, changed by the encode settings. Owned by the
 * item. */
const tsr_token_header *tsr_item_header(const tsr_item *item);
/* Details of the choice of tokens; NULL when the tokenizer does not choose its tokens. Owned by the
 * item. */
const tsr_selection_details *tsr_item_selection(const tsr_item *item);
/* Fitted picture of an item, RGB [(frames,) *height, *width, 3]: what the model saw, without
 * padding. It is the caller's own picture (tsr_picture.rgb) with TSR_FIT_TILE, and owned by the
 * item with every other fit. NULL without keep_fitted; *width and *height are then not set. */
const uint8_t *tsr_item_fitted(const tsr_item *item, int *width, int *height);
/* Closes an item and sets *item to NULL. NULL and a NULL *item are accepted. */
void tsr_item_close(tsr_item **item);

/* Encodes `count` pictures. items[i] becomes the item of pictures[i], which the caller closes with
 * tsr_item_close; on error all items are NULL. With keep_fitted, pictures[i].rgb must stay valid
 * until items[i] is closed. A target in the settings is checked but not searched for: call
 * tsr_tokenizer_search. settings may be NULL (the defaults).
 *
 * *near_ties becomes the number of near ties: ids whose two best codes are so close that another
 * device may decide otherwise. near_ties may be NULL.
 * Errors: ARGUMENT (a setting out of range; noise of another shape), UNSUPPORTED (a setting that
 * the tokenizer has no ability for), reading errors (the noise), TOO_LARGE, MEMORY, INTERRUPTED,
 * device errors. */
tsr_status tsr_tokenizer_encode(tsr_tokenizer *tokenizer, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties);
/* Sets *width and *height to the size of the picture that an item decodes to, in pixels. No pointer
 * may be NULL. */
void tsr_item_size(const tsr_token_header *header, const tsr_token_item *item, int *width,
                   int *height);
/* Reduces the tokens of an item to the fewest that reach choice->target, and records target and
 * result in the item. The item must have been encoded with keep_fitted: decoded pictures are
 * compared with tsr_item_fitted.
 *
 * Nested ids: finds the smallest n such that the first n ids of every tile reach the target. A
 * tokenizer that chooses its tokens (KARL): finds the largest tolerated error that reaches the
 * target, encoding again with choice->budget for each try, and records that error as the item's
 * quality. All tokens are kept when the target is out of reach. The search assumes that quality
 * rises with the number of tokens; where it does not, the result reaches the target and its next
 * smaller neighbour does not.
 *
 * *decodes becomes the number of pictures that were decoded. decodes may be NULL.
 * Errors: ARGUMENT (no target; keep_all with a target; no fitted picture), UNSUPPORTED (all ids are
 * needed), and those of tsr_tokenizer_encode and tsr_tokenizer_decode. */
tsr_status tsr_tokenizer_search(tsr_tokenizer *tokenizer, const tsr_token_choice *choice,
                                tsr_item *item, uint32_t *decodes);
/* Name of a metric: "psnr", "ssim", "l1"; "none" for any other value. Static storage. */
const char *tsr_target_name(tsr_target_metric metric);
/* Decodes one item into the caller's `rgb`, [height, width, 3] with the size of tsr_item_size, or
 * [frames, height, width, 3] with the frames of the item.
 * `header` is the item's or its file's, and must name the tokenizer's family and codebook. A
 * tokenizer that takes tiles of any size changes to the header's tile size. `tokens` is as in
 * tsr_decode_settings; every other setting has its default.
 * Errors: MODEL_MISMATCH (another family or codebook), TOKENS (ids, vectors or geometry that the
 * model cannot have made), UNSUPPORTED (a tile of another size), TOO_LARGE, MEMORY, device errors.
 */
tsr_status tsr_tokenizer_decode(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_token_item *item, uint32_t tokens, uint8_t *rgb);
/* Decodes one item like tsr_tokenizer_decode, with settings; settings may be NULL (the defaults).
 * Errors: those of tsr_tokenizer_decode; ARGUMENT (a setting out of range), reading errors (the
 * noise), INTERRUPTED. */
tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb);

/* ---- ring 3: experimental ---------------------------------------------------------------- */
#ifdef TESSERA_EXPERIMENTAL

/* Commit of the sources this library was built from: 12 hexadecimal digits, with "-dirty" behind
 * them where files had been changed, or "unknown" outside a repository. Static storage. */
const char *tsr_build_commit(void);
/* Optional parts of this build, one blank between them: "+onednn -vulkan" has oneDNN and lacks
 * Vulkan. Static storage. */
const char *tsr_build_features(void);
/* Libraries this build was made with, "NAME=VERSION" with one blank between them. Static storage.
 */
const char *tsr_build_libraries(void);

/* Describes every device as JSON text in *json, which the caller frees with free():
 * {"devices": [{"device": "cpu", "name", "vendor", "driver", "api", "software", "usable", "chosen",
 * "reason", "memory_bytes", "fp16", "bf16", "int8", "cooperative_matrix", and for Vulkan
 * "subgroup":
 * {"size", "min", "max", "can_be_set"}, "limits": {"storage_range_bytes", "allocation_bytes",
 * "shared_bytes", "workgroup", "push_bytes"}, "cores": multiprocessors or compute units, 0 where
 * the driver does not say}, ...]}.
 * "chosen" marks the device that "auto" opens; "reason" says why it is chosen, or why a device is
 * not usable. Number formats and cooperative matrices are what the driver advertises, whether this
 * library uses them or not. Without a Vulkan loader the list holds the cpu alone.
 * Errors: MEMORY, device errors. */
tsr_status tsr_devices_json(tsr_context *ctx, char **json);

/* Receives the result of one comparison of tsr_verify_case, on the calling thread. `output` is
 * "<run>/<output>", `passed` is 1, 0, or -1 for an output that this build cannot compare, which
 * counts neither way; `text` says what was found, or why it is left out. Both texts are valid
 * during the call. */
typedef void (*tsr_verify_fn)(void *user, const char *output, int passed, const char *text);
/* How a golden case is verified. A struct of zeros is the default. */
typedef struct tsr_verify_settings {
    const char *device;      /* "auto", "cpu", "vulkan", "vulkan:N"; default NULL: auto */
    const char *write;       /* folder, made if missing, for every computed array, as
                                <run>.<output>.npy; default NULL: nothing is written */
    tsr_verify_fn line;      /* receives each result; default NULL: no reports */
    void *user;              /* first argument of `line`; default NULL */
    const char *mask;        /* names left out, as in tsr_model_settings; default NULL: none */
    tsr_precision precision; /* default TSR_PRECISION_F32, which tolerances are of */
} tsr_verify_settings;
/* Computes the outputs of one golden case (a folder with a manifest, inputs and expected outputs)
 * and compares them with the expected ones. *passed and *failed become the numbers of comparisons
 * that passed and failed. settings may be NULL (the defaults). TSR_OK also when comparisons failed.
 * Errors: reading errors; FORMAT (the manifest); MODEL; device errors; writing errors. */
tsr_status tsr_verify_case(tsr_context *ctx, const char *folder,
                           const tsr_verify_settings *settings, int *passed, int *failed);

/* What tsr_bench measures. A struct of zeros is the default. */
typedef struct tsr_bench_settings {
    const char *model;  /* weight file or folder, as in tsr_model_settings: encoding and decoding of
                           its tiles, and nothing else; default NULL: ops, parts of models, and the
                           bundled tokenizer */
    const char *device; /* "cpu", "vulkan", "vulkan:N"; default NULL: every usable device */
    const char *filter; /* text that a row's name must contain; default NULL: all rows */
    const char *mask;   /* names left out, as in tsr_model_settings; default NULL: none */
    double seconds;     /* least time spent on a row, in seconds; default 0: 0.5 */
    tsr_precision precision; /* of ops; models are timed in both; default TSR_PRECISION_F32 */
    const int *batches; /* tiles of a model that are computed at once, a row each, 1..4096; default
                           NULL: 1 and 16 */
    int batch_count;    /* of batches */
    tsr_progress_fn progress; /* counts rows, of an unknown total, and may end the work between two;
                                 default NULL: no reports */
    void *progress_user;
} tsr_bench_settings;
/* Receives one row, an object of JSON on one line, on the calling thread. The text is valid during
 * the call. */
typedef void (*tsr_bench_fn)(void *user, const char *json_row);
/* Measures speed: one row for each operation and device. A row that fails carries an "error", the
 * remaining rows still run, and the first failure is then returned. settings may be NULL (the
 * defaults); `row` must not be NULL.
 * Errors: ARGUMENT, NO_DEVICE (no usable device has that name), MEMORY, INTERRUPTED, and those of
 * the rows. */
tsr_status tsr_bench(tsr_context *ctx, const tsr_bench_settings *settings, tsr_bench_fn row,
                     void *user);

/* Ids of one tokenizer, computed in two forms, compared: [0] is of the first, [1] of the second. */
typedef struct tsr_agreement {
    uint64_t pictures, tiles;
    uint64_t ids;          /* ids compared, of all tiles */
    uint64_t equal;        /* of `ids`: equal in both forms, position by position */
    double tile_min;       /* lowest share of equal ids of a tile, 0..1 */
    double tile_median;    /* median share of equal ids of a tile, 0..1 */
    uint64_t near_ties;    /* near ties in the first form, see tsr_tokenizer_encode */
    double seconds[2];     /* wall time of encoding, without warm-up */
    double cpu_seconds[2]; /* of all threads; other programs disturb it less than wall time */
    char tokenizer[64];
    char device[2][256];
    char path[2][96]; /* what the device's products are where they are not f32, for people; "": all
                         are f32 */
    int used[2];      /* 1: a product of this encoder was such; 0: none was */
} tsr_agreement;
/* Encodes pictures in two forms and compares the ids. A form is what settings [2] say: another
 * precision, mask or device; a model of their own would be compared as it is. Each picture is
 * encoded once before it is timed, one form after the other. `pictures` holds `count` paths; count
 * 0 takes four pictures of a tile's size that are painted in memory. settings NULL: the bundled
 * tokenizer in TSR_PRECISION_F32 and in TSR_PRECISION_FAST. `progress` may be NULL; its text is
 * "first" or "second".
 * Errors: those of tsr_tokenizer_open and tsr_tokenizer_encode; reading errors; ARGUMENT;
 * UNSUPPORTED (a tokenizer of vectors, which are never equal; other tiles in one form than in the
 * other); INTERRUPTED. */
tsr_status tsr_measure_agreement(tsr_context *ctx, const char *const *pictures, int count,
                                 const tsr_model_settings *settings, tsr_progress_fn progress,
                                 void *progress_user, tsr_agreement *agreement);

/* How a k-means codebook is trained, and how rows are assigned to its codes. */
typedef struct tsr_codebook_settings {
    uint32_t codes;      /* K, codes of a stage, 1 or more; default 1024 */
    uint32_t iterations; /* most iterations of a stage; default 50 */
    double tolerance;    /* training ends when an iteration lowers the mean squared error by less
                            than this share, 0 or more and below 1; default 1e-4 */
    uint64_t seed;       /* seed of the counter-based random numbers; default 1 */
    int cosine;      /* 1 normalises rows and codes to length 1 and compares by cosine, 0 compares
                        by Euclidean distance; default 0 */
    uint32_t stages; /* residual stages, 1..256, and 1 with cosine; default 1 */
    const char *device;       /* as in tsr_model_settings; default NULL: auto */
    tsr_progress_fn progress; /* counts rows; default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_codebook_settings;
/* Default settings of codebooks. A struct of zeros is not valid. */
tsr_codebook_settings tsr_codebook_settings_default(void);
/* Measures of one training or one assignment. */
typedef struct tsr_codebook_stats {
    uint64_t rows;
    double mse;        /* mean over elements of (x - code)^2; of the normalised rows with cosine */
    double used;       /* share of the codes of all stages that have at least one row, 0..1 */
    double perplexity; /* exp of the entropy of code use, 1..K; mean over the stages */
    uint64_t revived;  /* training: codes without rows that were moved to a row */
    uint32_t iterations; /* training: iterations of all stages */
    uint64_t near_ties;  /* assignment: ids that another device may decide otherwise */
} tsr_codebook_stats;
/* Trains a codebook by Lloyd's k-means from k-means++ seeds (Arthur and Vassilvitskii 2007). x is
 * [n, dim]. codes is the caller's memory, [stages, K, dim], and undefined after an error. Progress
 * is reported as "k-means++" and "k-means", in rows over all iterations; training may end before
 * the total. Equal seed, device and rows give equal bytes. settings may be NULL (the defaults), and
 * so may stats. Errors: ARGUMENT (no rows; more codes than rows; an element that is not finite or
 * beyond 1e15; cosine with several stages), MEMORY, INTERRUPTED, device errors. */
tsr_status tsr_codebook_train(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                              const tsr_codebook_settings *settings, float *codes,
                              tsr_codebook_stats *stats);
/* Finds the nearest code of each row in each stage. x is [n, dim], and n may be 0; codes is
 * [stages, K, dim]; ids is the caller's memory, [n, stages]. Ties go to the lowest id. Of the
 * settings it reads codes, stages, cosine, device and progress. settings may be NULL (the
 * defaults), and so may stats. Errors: as tsr_codebook_train. */
tsr_status tsr_codebook_assign(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                               const float *codes, const tsr_codebook_settings *settings,
                               uint32_t *ids, tsr_codebook_stats *stats);
/* Reads features as f32 into *x, [*n, *dim], which the caller frees with free(). The file is .npy,
 * or .safetensors with the tensor called `tensor`; its first bytes tell which. `tensor` NULL takes
 * the only tensor there is, and must be NULL for .npy. The last dimension of the array becomes
 * *dim and all others are multiplied into *n. Integers and halves are converted.
 * Errors: reading errors; FORMAT (the shape); ARGUMENT (several tensors and no name, or a name for
 * a .npy file); NOT_FOUND (no such tensor). */
tsr_status tsr_features_read(tsr_context *ctx, const char *path, const char *tensor, float **x,
                             uint64_t *n, uint32_t *dim);
/* Cuts pictures into patches and returns them as rows of *x, [*n, *dim], which the caller frees
 * with free(). A row holds patch * patch * 3 values in [0, 1] in the order (y, x, channel). Patches
 * do not overlap and go row by row from the top left corner; the rest of the picture that fills no
 * patch is left out. `patch` is 1..1024 pixels. per_picture > 0 takes at most that many patches of
 * each picture, evenly spaced; 0 takes all.
 * Errors: reading errors; ARGUMENT (no picture; none as large as a patch); TOO_LARGE (beyond the
 * context's memory limit). */
tsr_status tsr_features_from_pictures(tsr_context *ctx, const char *const *pictures, int count,
                                      uint32_t patch, uint32_t per_picture, float **x, uint64_t *n,
                                      uint32_t *dim);
/* Writes a codebook file: .safetensors with the tensor "codes", F32 [stages, count, dim], and the
 * metadata format = "tessera-codebook", version = "1", metric = "cosine" or "euclid" (cosine 1 or
 * 0). patch not 0: the codes are patches of so many pixels' side, as tsr_features_from_pictures
 * makes them; the metadata then has patch = "8", say, and the file is a tokenizer, too. Errors:
 * ARGUMENT (a size of 0; dim is not 3 * patch * patch), writing errors. */
tsr_status tsr_codebook_write(tsr_context *ctx, const char *path, const float *codes,
                              uint32_t stages, uint32_t count, uint32_t dim, int cosine,
                              uint32_t patch);
/* Writes ids [rows, stages] as a .npy file of little-endian i4; "-" is stdout. ids may be NULL when
 * rows is 0. Errors: ARGUMENT (no stages), writing errors. */
tsr_status tsr_ids_write(tsr_context *ctx, const char *path, const uint32_t *ids, uint64_t rows,
                         uint32_t stages);
/* Reads a codebook file into *codes, [*stages, *count, *dim], which the caller frees with free().
 * *cosine becomes 1 or 0. A .safetensors file without the metadata of tsr_codebook_write is read as
 * Euclidean. A tensor [K, dim] is read as one stage. Errors: reading errors, FORMAT, VERSION. */
tsr_status tsr_codebook_read(tsr_context *ctx, const char *path, float **codes, uint32_t *stages,
                             uint32_t *count, uint32_t *dim, int *cosine);

#endif /* TESSERA_EXPERIMENTAL */

#ifdef __cplusplus
}
#endif
#endif
