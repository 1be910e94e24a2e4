/* SPDX-License-Identifier: MIT */
/* vqgan.h: tokenizers that turn a picture into a grid of ids, one for each square of `step` pixels:
 * a convolutional encoder, the nearest code of a codebook for each place, a convolutional decoder.
 * A tsr_grid_kind holds the names and habits of a family. */
#ifndef CODEC_VQGAN_H
#define CODEC_VQGAN_H

#include "../../nn/code_table.h"
#include "../../nn/conv_ae.h"
#include "../../nn/family.h"

typedef struct tsr_grid_kind {
    const char *name; /* of the family */
    /* Layouts of the family's files, and the tensor that each is recognised by. */
    struct {
        const tsr_conv_layout *layout;
        const char *mark;
    } names[2];
    const char *const *prefixes; /* what all names of a file may begin with; ended by NULL */
    const char *const *ignored;  /* beginnings of names that only training needs; ended by NULL */
    const char *foreign;         /* a tensor that marks a file of another family; or NULL */
    bool quant;                  /* 1x1 convolutions before and after the codebook */
    bool normalised;             /* vectors and codes of the search, and the decoder's codes */
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

/* Whether the names of a file are those of a kind. */
bool tsr_grid_recognise(const tsr_grid_kind *kind, const tsr_safetensors *file);
/* Opens a model. Takes over `weights`, also on failure. `path` begins messages. Close with
 * tsr_grid_close. Errors: MODEL, naming the tensor that is missing, has another shape or belongs to
 * nothing; MEMORY. */
tsr_status tsr_grid_open(tsr_device *device, const tsr_grid_kind *kind, tsr_weights *weights,
                         const char *path, tsr_grid **grid);
/* Closes a model; NULL and a NULL *grid are accepted. */
void tsr_grid_close(tsr_grid **grid);

/* Arrays that encoding fills. Required: ids; the other arrays may be NULL, features and encoder_out
 * both or neither. */
typedef struct tsr_grid_result {
    int32_t *ids;    /* [B, h*w] */
    float *margin;   /* [B, h*w] squared distance of the second nearest code less the nearest's */
    float *features; /* [B, h, w, D] vectors before quantisation */
    float *encoder_out;  /* [B, h, w, C] output of the encoder, before quant_conv */
    uint64_t *near_ties; /* added to: ids that another device may choose otherwise */
} tsr_grid_result;
/* Encodes pictures u8 [B, H, W, 3]; B is `count`, sides are multiples of the step. Pictures are cut
 * into windows (conv_window.h) when memory is short, but not with features. Errors: ARGUMENT,
 * TOO_LARGE, MEMORY, the device's. */
tsr_status tsr_grid_encode(const tsr_grid *grid, const uint8_t *rgb, int64_t count, int64_t height,
                           int64_t width, const tsr_grid_result *result);
/* Decodes ids [B, h*w] to RGB f32 [B, H, W, 3] in the range of the model (0..1, or -1..1 when
 * centred); height and width are h and w. Errors: TOKENS (an id), and those of tsr_grid_encode. */
tsr_status tsr_grid_decode(const tsr_grid *grid, const int32_t *ids, int64_t count, int64_t height,
                           int64_t width, float *rgb);
/* Decodes logits [h*w, K] of one picture: mixed [h*w, D] is the mean of the codes under the softmax
 * of the logits, rgb [1, H, W, 3] the picture of mixed. Errors: ARGUMENT, MEMORY, the device's. */
tsr_status tsr_grid_decode_soft(const tsr_grid *grid, const float *logits, int64_t height,
                                int64_t width, float *rgb, float *mixed);

/* Functions of a tsr_family, with the kind in front: list_tensors, open, close. */
void tsr_grid_family_list(const tsr_grid_kind *kind, tsr_weight_loader *loader);
tsr_status tsr_grid_family_open(const tsr_grid_kind *kind, tsr_device *device,
                                const tsr_model_source *source, void **model);
void tsr_grid_family_close(void **model);
extern const tsr_tokenizer_ops tsr_grid_ops;

/* Defines the family tsr_family_<symbol> of the kind tsr_grid_<symbol>. The texts are the fields of
 * tsr_family. */
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
