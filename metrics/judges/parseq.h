/* SPDX-License-Identifier: MIT */
/* parseq.h: PARSeq as docTR has it, with its parts as golden cases look at them. */
#ifndef JUDGES_PARSEQ_H
#define JUDGES_PARSEQ_H

#include "../../nn/family.h"
#include "../../nn/french_letters.h"
#include "../../nn/vit.h"

enum {
    TSR_PARSEQ_HEIGHT = 32,
    TSR_PARSEQ_WIDTH = 128,
    TSR_PARSEQ_PATCHES = 128, /* 8 rows of 16, each 4 high and 8 wide */
    TSR_PARSEQ_PATCH = 96,    /* numbers of a patch: 3 x 4 x 8 */
    TSR_PARSEQ_LETTERS = TSR_FRENCH_LETTERS,
    TSR_PARSEQ_CLASSES = 127,  /* letters, then the end */
    TSR_PARSEQ_POSITIONS = 33, /* 32 letters and the end */
    TSR_PARSEQ_BLOCKS = 32
};

/* Makes of a crop RGB [height, width, 3] what the network takes: resized into 32 x 128 by a
 * triangle filter with antialias in floats, the aspect kept, zeros to the right and below, then
 * normalised: prepared [3, 32, 128]. Sizes as docTR's data sets have them: 32 / (height / width) in
 * double, cut to an integer. Errors: MEMORY. */
tsr_status tsr_parseq_prepare(tsr_context *ctx, const uint8_t *rgb, int width, int height,
                              float *prepared);

/* Layers of an attention, as Q, K, V and output. */
typedef struct tsr_parseq_attention {
    tsr_weight *layer[4], *bias[4];
} tsr_parseq_attention;
typedef struct tsr_parseq_norm {
    tsr_weight *gamma, *beta;
} tsr_parseq_norm;

typedef struct tsr_parseq {
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    int64_t width; /* D */
    int depth;
    tsr_weight *patches, *patches_bias, *class_row, *positions; /* positions [1, 129, D] */
    tsr_vit_block block[TSR_PARSEQ_BLOCKS];                     /* which share their norms */
    tsr_parseq_norm encoder_end;
    tsr_weight *queries;   /* [1, 33, D] */
    tsr_weight *embedding; /* [129, D] */
    tsr_parseq_attention self, cross;
    tsr_weight *fc1, *fc1_bias, *fc2, *fc2_bias, *head, *head_bias;
    tsr_parseq_norm query_norm, content_norm, ffn_norm, end_norm;
} tsr_parseq;

/* Opens a reader over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_parseq_open(tsr_device *device, tsr_weights *weights, const char *path,
                           tsr_parseq **model);
/* Closes a reader and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_parseq_close(tsr_parseq **model);

/* What reading shows, L = limit + 1 positions. Arrays are the caller's; NULL: not wanted. */
typedef struct tsr_parseq_parts {
    float *features;  /* [count, 128, D] of the encoder, without the class row */
    float *first;     /* [count, L, 127] logits of the greedy pass */
    int32_t *choices; /* [count, L] its classes */
    float *logits;    /* [count, L, 127] after the refinement; always wanted */
} tsr_parseq_parts;
/* Reads `count` prepared crops [3, 32, 128] with at most `limit` letters, 0..32. Every word is
 * computed to the last position, whatever ends before: no number depends on the other words.
 * Errors: MEMORY, the device's. */
tsr_status tsr_parseq_run(const tsr_parseq *model, const float *prepared, int count, int limit,
                          const tsr_parseq_parts *parts);
/* Text and confidence of a word's logits [positions, 127]: letters up to the first end; the mean of
 * the largest softmax probability over them, 0 without letters. */
void tsr_parseq_text(const float *logits, int positions, tsr_reading *reading);

#endif
