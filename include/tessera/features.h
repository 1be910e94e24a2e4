/* SPDX-License-Identifier: MIT */
/* features.h: what a vision tower (CLIP, SigLIP, DINOv2, Qwen2-VL's) makes of pictures: rows of
 * numbers, one for each patch, and what token operators ask for beside them (the class row, keys,
 * attention).
 *
 *     tsr_features_settings s = tsr_features_settings_default();
 *     s.model.model = "clip-vit-large-patch14-336";   // a folder with config.json and weights
 *     const char *inputs[] = {"photos"};
 *     tsr_features_files(ctx, inputs, 1, "photos.safetensors", &s, NULL);
 *
 * The conventions of tessera.h hold here, too. */
#ifndef TESSERA_FEATURES_H
#define TESSERA_FEATURES_H

#include "reduce.h"
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- towers --------------------------------------------------------------------------------- */

/* How a picture of any size becomes the pixels that a tower takes. Every resampling is Pillow's
 * bicubic or bilinear on 8-bit values, to the bit; alpha is dropped. */
typedef enum tsr_view_kind {
    TSR_VIEW_CROP = 0,    /* the shorter side becomes `shortest`, the longer one floor(shortest *
                             long / short); then the centre, width x height, is cut out */
    TSR_VIEW_STRETCH = 1, /* both sides become width x height; the aspect is not kept */
    TSR_VIEW_PAD = 2,   /* a square of the longer side is filled with `background`, the picture put
                           into its middle; then as TSR_VIEW_CROP */
    TSR_VIEW_SMART = 3, /* both sides become multiples of `step`, of at least min_pixels and at
                           most max_pixels together (Qwen2-VL's smart_resize) */
    TSR_VIEW_BUDGET = 4 /* both sides become multiples of `step` at the largest scale that stays
                           within max_pixels (SigLIP2's NaFlex) */
} tsr_view_kind;

/* What a tower takes, and how pictures become it. */
typedef struct tsr_view {
    tsr_view_kind kind;
    uint32_t shortest;               /* CROP, PAD: pixels of the shorter side after resizing */
    uint32_t width, height;          /* CROP, STRETCH, PAD: pixels of the result */
    uint32_t step;                   /* SMART, BUDGET: pixels */
    uint64_t min_pixels, max_pixels; /* SMART; BUDGET: max_pixels */
    tsr_resampling filter;           /* never TSR_RESAMPLING_AUTO */
    uint8_t background[3];           /* PAD: RGB around the picture */
    float mean[3], deviation[3];     /* of RGB on the 0..1 scale: the tower takes (v/255 - mean) /
                                        deviation */
} tsr_view;

/* An open tower. */
typedef struct tsr_tower tsr_tower;

/* What is known about an open tower. */
typedef struct tsr_tower_info {
    char family[32];       /* "clip-vision", "siglip", "dinov2", "qwen-vision" */
    char name[64];         /* what the weights' metadata call it, or family, width and depth */
    uint64_t weights_hash; /* identity of the weights, as in token files */
    uint32_t layers;       /* L: blocks in the file. Hidden layer i is the input of block i; layer L
                              is the output of the last block */
    uint32_t channels;     /* D: numbers of a row */
    uint32_t heads;        /* H: heads of attention */
    uint32_t patch;        /* pixels along the side of a patch */
    uint32_t leading;      /* rows before the patches: the class row and registers */
    int has_class;         /* 1: row 0 is a class row */
    uint32_t feature_layer; /* hidden layer whose patches are the features */
    int feature_norm;       /* 1: the final norm is applied to them (DINOv2) */
    uint32_t projected;     /* numbers of a projected row; 0: there is no projector */
    int attends;            /* 1: keys and attention can be asked for (not of Qwen2-VL) */
    tsr_view view;
} tsr_tower_info;

/* Opens the tower in a safetensors file, an index of several, or a folder with either; config.json
 * and preprocessor_config.json beside it are read where they are. The whole of a language model
 * with a tower inside (LLaVA) is accepted: only the tower and its projector are read. The caller
 * closes *tower with tsr_tower_close. settings->model must be set; tile sizes are not used.
 * Errors: reading errors; MODEL (tensors or configuration make no tower); UNSUPPORTED (a
 * tokenizer's weights; an option of a configuration); device errors; ARGUMENT. */
tsr_status tsr_tower_open(tsr_context *ctx, tsr_tower **tower, const tsr_model_settings *settings);
/* Closes a tower and sets *tower to NULL. NULL and a NULL *tower are accepted. */
void tsr_tower_close(tsr_tower **tower);
/* Description of an open tower. Owned by the tower. */
const tsr_tower_info *tsr_tower_properties(const tsr_tower *tower);
/* Device that a tower runs on, "cpu" or "vulkan:N (name)". Owned by the tower. */
const char *tsr_tower_device(const tsr_tower *tower);

/* ---- features of pictures ------------------------------------------------------------------- */

/* Layer that stands for tsr_tower_info.feature_layer, or for the layer whose attention gives it
 * (feature_layer - 1). */
enum { TSR_LAYER_USUAL = -1 };
/* Most hidden layers of one call. */
enum { TSR_FEATURE_LAYERS_MOST = 8 };

/* Which attention is kept. */
typedef enum tsr_attention_rows {
    TSR_ATTENTION_NONE = 0,
    TSR_ATTENTION_CLASS = 1, /* [H, N] from the class row to the patches */
    TSR_ATTENTION_FULL = 2   /* [H, R, R] of the class row and the patches; what registers give and
                                take is left out, so that rows may sum to less than 1 */
} tsr_attention_rows;

/* Whether a picture goes through the tower in tiles beside the whole of it. */
typedef enum tsr_tiling {
    TSR_TILING_NONE = 0,
    /* LLaVA-1.6's "anyres": of five canvases of 2, 3 or 2 x 2 tiles the one on which most of the
       picture's pixels survive, padding left out again */
    TSR_TILING_NEXT = 1,
    /* LLaVA-OneVision's "anyres_max_9": of canvases of 1 x 1 to 6 x 6 tiles; above 9 tiles' worth
       of patches the features are made smaller, bilinearly */
    TSR_TILING_ONEVISION = 2
} tsr_tiling;

/* How grids of features are halved, as LLaVA-OneVision does with the frames of a video
 * (mm_spatial_pool_mode). */
typedef enum tsr_pooling {
    TSR_POOLING_NONE = 0,
    TSR_POOLING_BILINEAR = 1, /* to ceil(rows / 2) x ceil(columns / 2); OneVision's */
    TSR_POOLING_AVERAGE = 2,  /* means of 2 x 2; an odd last row or column is left out */
    TSR_POOLING_MAX = 3       /* greatest of 2 x 2; likewise */
} tsr_pooling;

/* What is computed of each picture. A struct of zeros asks for hidden layer 0; start from
 * tsr_features_settings_default. */
typedef struct tsr_feature_request {
    int layers[TSR_FEATURE_LAYERS_MOST]; /* hidden layers 0..L, or TSR_LAYER_USUAL */
    int layer_count;                     /* 1..TSR_FEATURE_LAYERS_MOST; 0: one, TSR_LAYER_USUAL */
    int keys;                            /* 1: keys of block key_layer, bias included; default 0 */
    int key_layer;                       /* 0..L-1, or TSR_LAYER_USUAL; default TSR_LAYER_USUAL */
    tsr_attention_rows attention;        /* default TSR_ATTENTION_NONE */
    int attention_layer;                 /* 0..L-1, or TSR_LAYER_USUAL; default TSR_LAYER_USUAL */
    int project; /* 1: the features go through the projector. UNSUPPORTED of weights without one,
                    and with other layers than TSR_LAYER_USUAL. Default 0 */
    tsr_tiling tiling; /* default TSR_TILING_NONE. UNSUPPORTED with several layers, keys, attention,
                          and of towers that take pictures of any size */
    tsr_pooling pooling; /* default TSR_POOLING_NONE. UNSUPPORTED with several layers, keys,
                            attention and tiles */
} tsr_feature_request;

/* Features of one picture. N patches in rows of `columns`, row by row. In tiles N rows of one
 * column: those of the whole picture, then those of the canvas, row by row; where the projector's
 * weights have an image_newline, it stands behind each row of the canvas. Arrays that were not
 * asked for are NULL. Owned by whoever owns the struct. */
typedef struct tsr_picture_features {
    uint32_t rows, columns; /* of the grid of patches; N = rows * columns */
    uint32_t channels;      /* of `features`: D, or the projector's */
    uint32_t all;           /* R: the class row, if there is one, and the patches */
    float *features[TSR_FEATURE_LAYERS_MOST]; /* [N, channels] of each layer asked for */
    float *class_row;                         /* [D] of the first layer; NULL: it has none, or the
                                                 features are projected */
    float *keys;                              /* [N, D] */
    float *attention;                         /* [H, N] or [H, R, R] */
    float *positions; /* in tiles: [N, 3] 0 of the whole picture or 1 of the canvas, row, column in
                         it; NULL without */
} tsr_picture_features;

/* Computes features of pictures of any size. all[i] becomes those of pictures[i], which the caller
 * frees with tsr_picture_features_free; on error all are zeros. No number depends on `count`.
 * Errors: ARGUMENT (a layer out of range); UNSUPPORTED (a class row or a projector that the tower
 * does not have); TOO_LARGE, MEMORY, device errors. */
tsr_status tsr_tower_features(tsr_tower *tower, const tsr_picture *pictures, int count,
                              const tsr_feature_request *request, tsr_picture_features *all);
/* Frees the arrays and zeroes *features. */
void tsr_picture_features_free(tsr_picture_features *features);

/* ---- features of files ---------------------------------------------------------------------- */

/* How tsr_features_files works. */
typedef struct tsr_features_settings {
    tsr_model_settings model;    /* `model` names the tower; default tsr_model_settings_default() */
    tsr_feature_request request; /* default: features of the usual layer alone */
    tsr_source_settings source;  /* default: key TSR_KEY_AUTO */
    int is_video;                /* 1: inputs are videos, as tsr_video_open takes them, and their
                                    frames are the pictures; of `source` nothing is read. Default 0 */
    tsr_video_settings video;    /* with is_video; default tsr_video_settings_default() */
    tsr_frame_choice frames;     /* with is_video; default zeros: all frames */
    int f16;                     /* 1: features, class rows, keys and attention are stored as f16,
                                    which halves the file; a value beyond 65504 is then an error of
                                    its picture. Default 0: f32 */
    /* Operations [operation_count] on the token set of each picture, as in tsr_token_set_reduce.
     * With request.project the projector takes the rows that they leave; in tiles or pooled grids
     * they take the rows as a language model would, projected ones then. On a GPU tower, operators
     * and projector are one program where all of the operators can be recorded and there are
     * neither (docs/TOKEN_SETS.md). Default: none */
    const char *const *operations;
    int operation_count;
    uint32_t batch;        /* pictures computed together, 1..TSR_MAX_BATCH; no number depends on
                              it. Default 0: chosen from the memory there is */
    tsr_on_error on_error; /* default TSR_ON_ERROR_SKIP */
    tsr_encode_failure_fn failed; /* receives each bad picture; default NULL: no reports */
    void *failed_user;            /* first argument of `failed`; default NULL */
    tsr_progress_fn progress;     /* counts pictures; default NULL: no reports */
    void *progress_user;          /* first argument of `progress`; default NULL */
} tsr_features_settings;
/* Default settings of tsr_features_files. */
tsr_features_settings tsr_features_settings_default(void);

/* Totals of one tsr_features_files. */
typedef struct tsr_features_report {
    uint64_t pictures, failed; /* written, and left out */
    uint64_t rows;             /* rows of the first layer, or what operators left of them, of all
                                  pictures */
    uint64_t bytes;            /* of values written */
    char device[300];          /* as tsr_tower_device */
    tsr_tower_info tower;
    char remarks[8][240];        /* what was said about the videos (tsr_video_remarks): the first of
                                    it; "" behind the last */
    tsr_reduce_report operators; /* with operations: where they ran on the last pictures, near ties
                                    of all, and what the tower's device did for both */
} tsr_features_report;

/* Computes features of picture files and writes them as token sets.
 *
 * The output is one file with all pictures, `output` ending with .safetensors or .npz, or, where it
 * is a folder or ends with '/', a file KEY.safetensors for each picture. Tensors of a picture, each
 * name with "KEY/" before it where one file holds all (and left out where the inputs are a single
 * picture): "features" [N, D], of further layers "features.LAYER"; "class" [D]; "keys" [N, D];
 * "attention" [H, N] or [H, R, R]; "positions" [N, 3] f32: frame, row, column of a patch in its
 * grid. Metadata: "tessera.schema" "token-set/1"; "tower" (its name), "family", "layer" (the hidden
 * layers, with commas between), "features" ("hidden", "normed": after the final norm, "projected"),
 * "weights" (16 hexadecimal digits); and "tessera.grid/KEY", or "tessera.grid", "T,H,W". In .npz
 * the grid is an array "KEY/grid", and the other metadata are UTF-8 JSON in an array
 * "__metadata__".
 *
 * Pictures are read one after the other and values are written as they are made, so that memory
 * does not grow with their number; the names of tensors are kept. A picture whose key an earlier
 * picture had is bad, but in a folder, where its file gets a number. The output appears
 * under its name only when it is complete; in a folder each file does, and none replaces another
 * where the context keeps what exists. settings must name a model; report may be NULL.
 * Errors: those of tsr_tower_open and tsr_tower_features; reading errors (a list, or with
 * TSR_ON_ERROR_STOP a picture; all of the pictures are bad); writing errors; INTERRUPTED. */
tsr_status tsr_features_files(tsr_context *ctx, const char *const *inputs, int count,
                              const char *output, const tsr_features_settings *settings,
                              tsr_features_report *report);

#ifdef __cplusplus
}
#endif
#endif
