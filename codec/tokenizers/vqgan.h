/* SPDX-License-Identifier: MIT */
/* vqgan.h: tokenizers that turn a picture into a grid of ids, one for each square of `step` pixels:
 * a convolutional encoder, the nearest code of a codebook for each place, a convolutional decoder.
 * A family says with a tsr_grid_kind how its files are named and what its habits are. */
#ifndef CODEC_VQGAN_H
#define CODEC_VQGAN_H

#include "../../nn/code_table.h"
#include "../../nn/conv_ae.h"
#include "../../nn/family.h"

typedef struct tsr_grid_kind {
    const char *name; /* of the family */
    /* Names of its files, and the tensor by which each is known. */
    struct {
        const tsr_conv_layout *layout;
        const char *mark;
    } names[2];
    const char *const *prefixes; /* what all names may begin with; ended by NULL */
    const char *const *ignored;  /* beginnings of names that are for training; ended by NULL */
    const char *foreign;         /* a tensor that says the file is another family's */
    bool quant;                  /* 1x1 convolutions before and after the codebook */
    bool normalised;             /* both sides of the search, and the decoder's rows */
    bool centred;                /* pictures are -1 .. 1, not 0 .. 1 */
} tsr_grid_kind;

typedef struct tsr_grid {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights; /* NULL: the caller's */
    char *path, name[64];
    const tsr_grid_kind *kind;
    tsr_conv_half encoder, decoder;
    tsr_conv_layer quant, post_quant;
    tsr_code_table codes;
    int64_t step;          /* pixels of a place's side */
    int64_t height, width; /* of a tile */
} tsr_grid;

/* Whether names and shapes are this kind's; *prefix says what they begin with. */
bool tsr_grid_recognise(const tsr_grid_kind *kind, const tsr_safetensors *file);
/* A whole model. Takes over `weights`, whatever happens. Errors: MODEL, naming the tensor that is
 * missing, has another shape or belongs to nothing. */
tsr_status tsr_grid_open(tsr_device *device, const tsr_grid_kind *kind, tsr_weights *weights,
                         const char *path, tsr_grid **grid);
void tsr_grid_close(tsr_grid **grid);

/* Pictures u8 [B, H, W, 3] to ids [B, h*w]; sides are multiples of the step; computed in windows
 * (conv_window.h) when memory asks for it, but for the last two. The others may be NULL:
 * margin [B, h*w] (second smallest minus smallest squared distance), near_ties (added to), features
 * and encoder_out [B, h, w, C], both or neither. */
typedef struct tsr_grid_result {
    int32_t *ids;
    float *margin, *features, *encoder_out;
    uint64_t *near_ties;
} tsr_grid_result;
tsr_status tsr_grid_encode(const tsr_grid *grid, const uint8_t *rgb, int64_t count, int64_t height,
                           int64_t width, const tsr_grid_result *result);
/* Ids [B, h*w] to RGB f32 [B, H, W, 3] as the model gives it (0..1, or -1..1 when centred). */
tsr_status tsr_grid_decode(const tsr_grid *grid, const int32_t *ids, int64_t count, int64_t height,
                           int64_t width, float *rgb);
/* Logits [h*w, K] to one such picture and the mean of the codes they stand for, mixed [h*w, D]. */
tsr_status tsr_grid_decode_soft(const tsr_grid *grid, const float *logits, int64_t height,
                                int64_t width, float *rgb, float *mixed);

/* What families of such tokenizers share: the functions of theirs that need the kind, and those
 * that do not. */
void tsr_grid_family_list(const tsr_grid_kind *kind, tsr_weight_loader *loader);
tsr_status tsr_grid_family_open(const tsr_grid_kind *kind, tsr_device *device,
                                const tsr_model_source *source, void **model);
void tsr_grid_family_close(void **model);
extern const tsr_tokenizer_ops tsr_grid_ops;

/* The family `symbol` of the kind tsr_grid_<symbol>; the texts are tsr_family's. */
#define TSR_GRID_FAMILY(symbol, title, about_text, needs_text, verified_text)                      \
    static bool recognise(const tsr_safetensors *file) {                                           \
        return tsr_grid_recognise(&tsr_grid_##symbol, file);                                       \
    }                                                                                              \
    static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {          \
        (void)source;                                                                              \
        tsr_grid_family_list(&tsr_grid_##symbol, loader);                                          \
    }                                                                                              \
    static tsr_status open_model(tsr_device *device, const tsr_model_source *source,               \
                                 void **model) {                                                   \
        return tsr_grid_family_open(&tsr_grid_##symbol, device, source, model);                    \
    }                                                                                              \
    const tsr_family tsr_family_##symbol = {.name = (title),                                       \
                                            .about = (about_text),                                 \
                                            .needs = (needs_text),                                 \
                                            .verified = (verified_text),                           \
                                            .recognise = recognise,                                \
                                            .list_tensors = list_tensors,                          \
                                            .open = open_model,                                    \
                                            .close = tsr_grid_family_close,                        \
                                            .tokenizer = &tsr_grid_ops}

/* Kinds, for verification. */
extern const tsr_grid_kind tsr_grid_maskgit, tsr_grid_taming, tsr_grid_llamagen;

#endif
