/* SPDX-License-Identifier: MIT */
/* clip.h: clip codebooks, as VQToken makes them (Zhang and Fu 2025, arXiv 2503.16980): the features
 * of all frames of a clip become K vectors and an index map that says which of them stands for each
 * cell. The K vectors are what a language model gets.
 *
 *     tsr_clip_files_settings s = tsr_clip_files_settings_default();
 *     s.clip.rule = TSR_CLIP_ELBOW;
 *     const char *inputs[] = {"features.safetensors"};
 *     tsr_status status = tsr_clip_encode_files(ctx, inputs, 1, "clips.tess", &s, NULL);
 *     if (!status) status = tsr_clip_decode_file(ctx, "clips.tess", "back.safetensors", NULL,
 * NULL);
 *
 * Few tokens are not few bytes: the codebook is most of a file. docs/models/vqtoken.md says what
 * the published code does and what is done here. The conventions of tessera.h hold here, too, and
 * all of it is experimental: define TESSERA_EXPERIMENTAL before including it. */
#ifndef TESSERA_CLIP_H
#define TESSERA_CLIP_H

#include "media.h"
#include "reduce.h"
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef TESSERA_EXPERIMENTAL /* may change until 1.0 */

/* ---- one clip ------------------------------------------------------------------------------- */

/* How the number of clusters K is found. */
typedef enum tsr_clip_rule {
    TSR_CLIP_FIXED = 0, /* K is given */
    TSR_CLIP_ELBOW = 1, /* the K where the distortion bends most: the greatest second difference
                           among K of least..most. The published code means this rule and misses it
                           by its arithmetic */
    TSR_CLIP_ERROR = 2  /* the smallest K of least..most whose mean 1 - cosine is at most `error`,
                           by doubling and bisection, as if the error fell with every K */
} tsr_clip_rule;
/* Which rows are the first centroids. */
typedef enum tsr_clip_first {
    TSR_CLIP_MAX_MIN = 0, /* rows far from each other: nothing is drawn */
    TSR_CLIP_DRAWN = 1    /* k-means++ (Arthur, Vassilvitskii 2007), drawn from `seed` */
} tsr_clip_first;

/* How a clip is clustered. */
typedef struct tsr_clip_settings {
    tsr_clip_rule rule;   /* default TSR_CLIP_FIXED */
    uint32_t clusters;    /* K of TSR_CLIP_FIXED; at most the clip's cells. Default 32 */
    uint32_t least, most; /* bounds of the other rules; default 0: 12 and 32 of TSR_CLIP_ELBOW, 1
                             and 256 of TSR_CLIP_ERROR. Both are lowered to the clip's cells */
    double error;         /* of TSR_CLIP_ERROR, 0..2; default 0 */
    tsr_clip_first first; /* default TSR_CLIP_MAX_MIN */
    uint64_t seed;        /* of TSR_CLIP_DRAWN; default 0 */
    uint32_t passes;      /* most passes of k-means, 1 or more; default 50 */
    const char *device;   /* as in tsr_model_settings; default NULL: the cpu. Labels are equal on
                             every device */
    tsr_progress_fn progress; /* counts the K that were tried; default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_clip_settings;
/* Default settings of a clip. */
tsr_clip_settings tsr_clip_settings_default(void);

/* A clip as codebook and index map. Clusters are numbered by their first cell in raster order, so
 * that equal partitions have equal numbers; those without a cell come last and are zeros. Arrays
 * are owned by whoever owns the struct. */
typedef struct tsr_clip {
    uint32_t frames, rows, columns, channels; /* T, H, W, D */
    uint32_t clusters;                        /* K */
    uint32_t used;                            /* clusters that have a cell */
    uint32_t *ids;                            /* [T, H, W] index map */
    uint32_t *counts;                         /* [K] cells of each cluster */
    float *codebook;   /* [K, D] mean of the directions (features divided by their length) */
    float *gains;      /* [T, H, W] length of each feature */
    double cosine;     /* mean over the cells between feature and codebook row; where a file is
                          written, between feature and the row as stored */
    double perplexity; /* exp of the entropy of the counts */
    uint32_t passes;   /* of the last clustering */
    uint32_t tried;    /* numbers of clusters that were tried */
    int reached;       /* 0: no K reached the error asked for, and this is the most */
} tsr_clip;
/* Makes the codebook and index map of features [frames, rows, columns, channels]. The caller frees
 * *clip with tsr_clip_free; it is zeros on error. The result depends on features and settings
 * alone. Memory: three times that of the features. Errors: ARGUMENT (a size, a feature that is not
 * finite, K outside 1..cells, a setting out of range), MEMORY, device errors, INTERRUPTED. */
tsr_status tsr_clip_make(tsr_context *ctx, const float *features, uint32_t frames, uint32_t rows,
                         uint32_t columns, uint32_t channels, const tsr_clip_settings *settings,
                         tsr_clip *clip);
/* Frees the arrays and zeroes *clip. */
void tsr_clip_free(tsr_clip *clip);

/* ---- files ---------------------------------------------------------------------------------- */

/* Name of the stream that holds a clip, and of the tokenizer in the header of files of clips. */
#define TSR_CLIP_STREAM    "clip"
#define TSR_CLIP_TOKENIZER "clip-codebook"

/* One clip that was encoded. Valid during the callback. */
typedef struct tsr_encoded_clip {
    const char *key;
    const tsr_clip *clip;
    int newline; /* 1: its set has a learned newline row */
} tsr_encoded_clip;
typedef void (*tsr_encoded_clip_fn)(void *user, const tsr_encoded_clip *encoded);

/* How tsr_clip_encode_files works. */
typedef struct tsr_clip_files_settings {
    tsr_clip_settings clip;          /* default tsr_clip_settings_default(); its progress also
                                        counts clips */
    tsr_codebook_type codebook_type; /* default TSR_CODEBOOK_F16 */
    int gains;          /* 1: lengths are stored too, 2 bytes a cell; without them only directions
                           come back. Default 0 */
    const char *source; /* what made the features: tower, layer, projector; default NULL: what the
                           input's metadata say ("tower", "layer", "weights") */
    tsr_token_writer_settings file; /* default tsr_token_writer_settings_default() */
    tsr_on_error on_error;          /* default TSR_ON_ERROR_STOP */
    tsr_encoded_clip_fn encoded;    /* receives each clip; default NULL */
    void *encoded_user;             /* first argument of `encoded`; default NULL */
    tsr_encode_failure_fn failed;   /* receives each bad clip; default NULL */
    void *failed_user;              /* first argument of `failed`; default NULL */
} tsr_clip_files_settings;
/* Default settings of tsr_clip_encode_files. */
tsr_clip_files_settings tsr_clip_files_settings_default(void);

/* Totals of one tsr_clip_encode_files. */
typedef struct tsr_clip_report {
    uint64_t clips, failed;
    uint64_t cells;  /* of all clips: tokens that came in */
    uint64_t tokens; /* codebook rows and newlines: tokens that go out */
    uint64_t bytes;  /* of the file; 0 where it went to a pipe, as are the next three */
    uint64_t codebook_bytes, map_bytes, gains_bytes; /* coded parts of all streams */
    double cosine; /* mean over the clips, of the vectors as stored */
    double seconds;
    char device[300];
} tsr_clip_report;

/* Encodes clips of feature files into one token file, an item with one stream each. An input is a
 * file of token sets (docs/TOKEN_SETS.md), each set of which is a clip and must have a grid, or an
 * array .npy [T, H, W, D] or [T, N, D]. A column "image_newline" [D] of a set goes into the file
 * as newline row. Keys are those of the sets, or the file's name without folder and suffix where
 * a set has none. With TSR_ON_ERROR_SKIP bad clips are told and left out; the call fails when all
 * are bad. settings may be NULL (the defaults), and so may report. Errors: those of tsr_clip_make,
 * reading and writing errors. */
tsr_status tsr_clip_encode_files(tsr_context *ctx, const char *const *inputs, int count,
                                 const char *output, const tsr_clip_files_settings *settings,
                                 tsr_clip_report *report);

/* How tsr_clip_encode_pictures works; a tower must be named. */
typedef struct tsr_clip_pictures_settings {
    tsr_clip_files_settings files; /* default tsr_clip_files_settings_default(); `source` NULL: the
                                      tower's name, layer and projector */
    tsr_model_settings tower;      /* default tsr_model_settings_default() */
    int project;                   /* 1: features go through the tower's projector, whose tensor
                                      "image_newline" becomes the newline row. Default 0 */
    uint32_t frames; /* F pictures at 0..n-1 with equal steps, cut to whole numbers, as VQToken
                        takes them; of fewer than F some come twice. UNSUPPORTED of archives and
                        pipes. Default 0: all */
    tsr_source_settings source; /* default zeros */
    int is_video; /* 1: the input is one video, read by `video`, of which `choice` takes the frames;
                     `frames` is not looked at then. Default 0: pictures */
    tsr_video_settings video; /* default tsr_video_settings_default() */
    tsr_frame_choice choice;  /* default zeros: all frames */
    const char *key;          /* of the item; default NULL: the name of the first input without
                                 folder and suffix */
} tsr_clip_pictures_settings;
/* Default settings of tsr_clip_encode_pictures. */
tsr_clip_pictures_settings tsr_clip_pictures_settings_default(void);
/* Encodes pictures, which are the frames of one clip in the order of tsr_encode_files, or chosen
 * frames of a video, into a token file with one item: pictures to a tower's features (features.h)
 * to codebook and index map. A picture that cannot be read fails the call. settings must name a
 * tower; report may be NULL. Errors: those of tsr_tower_open, tsr_tower_features and
 * tsr_clip_encode_files; UNSUPPORTED (frames of different grids). */
tsr_status tsr_clip_encode_pictures(tsr_context *ctx, const char *const *inputs, int count,
                                    const char *output, const tsr_clip_pictures_settings *settings,
                                    tsr_clip_report *report);

/* How tsr_clip_decode_file works. A struct of zeros is the default. */
typedef struct tsr_clip_decode_settings {
    const char *const *items;    /* [item_count] as in tsr_token_file_select; default NULL: all */
    int item_count;              /* default 0 */
    const char *vq_attention;    /* a checkpoint with the tensors model.cross_attention.*: VQToken's
                                    attention layer makes its tokens of map and codebook, as released.
                                    Frames of 27 x 27 cells and 896 channels. Default NULL: none */
    const char *device;          /* of that layer; default NULL: the cpu */
    tsr_token_damage_fn damaged; /* receives what cannot be read; default NULL */
    void *damaged_user;          /* first argument of `damaged`; default NULL */
} tsr_clip_decode_settings;
/* Totals of one tsr_clip_decode_file. */
typedef struct tsr_clip_decode_report {
    uint64_t items, streams; /* selected; written as token sets */
    uint64_t unreadable;
    int recovered, damaged;
} tsr_clip_decode_report;
/* Writes the features of a file's streams with codebooks as token sets: "features" [N, D] (gain
 * times direction, or without gains the codebook row), and the columns "ids" [N], "codebook" [K,
 * D], "gains" [N], "image_newline" [D] and "vq_tokens" [max(T, K), D] as far as they are there.
 * Keys are those of the items; with "/NAME" behind for streams of other names than TSR_CLIP_STREAM.
 * Errors: UNSUPPORTED (no stream has a codebook; a clip that the attention layer does not fit),
 * DAMAGED (the rest was written), reading and writing errors, MODEL. */
tsr_status tsr_clip_decode_file(tsr_context *ctx, const char *input, const char *output,
                                const tsr_clip_decode_settings *settings,
                                tsr_clip_decode_report *report);

/* ---- ids of token sets as streams ----------------------------------------------------------- */

/* How tsr_set_streams_create works. */
typedef struct tsr_set_streams_settings {
    const char *stream;    /* name of the stream; default "ids" */
    const char *source;    /* what made the ids; default NULL: nothing is said */
    uint64_t weights_hash; /* of the source; default 0: unknown */
    const char *into; /* a token file whose items get the stream behind those they have, found by
                         the sets' keys; items without a set are written as they are. Default NULL:
                         each set becomes an item with this stream alone */
    tsr_codebook_type codebook_type; /* of the sets' codes; default TSR_CODEBOOK_F16 */
    tsr_token_writer_settings file;  /* default tsr_token_writer_settings_default() */
} tsr_set_streams_settings;
/* Default settings of tsr_set_streams_create. */
tsr_set_streams_settings tsr_set_streams_settings_default(void);

/* A token file being written from the ids of token sets. */
typedef struct tsr_set_streams tsr_set_streams;
/* Begins the file. settings may be NULL, and its texts must stay. *streams is NULL on error.
 * Errors: ARGUMENT, DAMAGED and UNSUPPORTED (`into` is damaged, has clips of videos), reading and
 * writing errors. */
tsr_status tsr_set_streams_create(tsr_context *ctx, const char *path,
                                  const tsr_set_streams_settings *settings,
                                  tsr_set_streams **streams);
/* Writes the column "ids" [k] of a set: a grid of the set's where it has one, else one row. A
 * column "codes" [K, D] becomes the stream's codebook; without it K is the greatest id and one.
 * Errors: UNSUPPORTED (no ids), TOKENS (an id that is no code's), NOT_FOUND (`into` has no such
 * key), ARGUMENT (a second set of one key, a stream of this name), writing errors. */
tsr_status tsr_set_streams_append(tsr_set_streams *streams, const char *key,
                                  const tsr_token_set *set);
/* Completes the file; *streams becomes NULL also on error. */
tsr_status tsr_set_streams_finish(tsr_set_streams **streams);
/* Leaves nothing behind; *streams becomes NULL. NULL and a NULL *streams are accepted. */
void tsr_set_streams_abandon(tsr_set_streams **streams);

#endif /* TESSERA_EXPERIMENTAL */
#ifdef __cplusplus
}
#endif
#endif
