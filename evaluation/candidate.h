/* SPDX-License-Identifier: MIT */
/* candidate.h: where the other side of a pair comes from: picture files, the tokens of a file, or
 * the original itself through a codec. */
#ifndef EVALUATION_CANDIDATE_H
#define EVALUATION_CANDIDATE_H

#include "../compute/device.h"
#include "measurement.h"

/* A thread of a measurement. */
typedef struct tsr_measure_worker {
    tsr_context *ctx;
    tsr_device *host; /* cpu, for resampling */
} tsr_measure_worker;

/* One pair on its way. Numbers of an item are copies: the file owns one item at a time. */
typedef struct tsr_pair_slot {
    uint64_t index; /* of the picture in the measurement */
    int64_t other;  /* of the candidate's picture or item; -1: none */
    tsr_image original;
    uint8_t *rgb; /* [height, width, 3] of the candidate */
    int width, height;
    int source_width, source_height; /* of items: of the picture that they were made of */
    uint64_t tokens, bytes;
    bool floored;
    char note[160];
    double seconds; /* of the codec: encoding, and decoding what was chosen */
    double decode_seconds;
} tsr_pair_slot;

/* ---- tokens ---- */

typedef struct tsr_token_side {
    tsr_context *ctx;
    tsr_token_file *file;
    const tsr_token_header *header;
    tsr_tokenizer *tokenizer; /* of the originals' kept one */
    tsr_decode_settings decode;
    tsr_measure_at at;
    const char *path;
    char **keys; /* [items] NULL: the item cannot be read */
    uint64_t items;
    double seconds; /* of decoding */
} tsr_token_side;
/* Opens the file and the tokenizer that made it. Errors: as tsr_measure. Always
 * tsr_token_side_close.
 */
tsr_status tsr_token_side_open(tsr_context *ctx, tsr_originals *originals,
                               const tsr_candidate *candidate, const tsr_measure_settings *settings,
                               tsr_token_side *side);
void tsr_token_side_close(tsr_token_side *side);
/* Decodes item slot->other into the slot, on the thread of the context. Errors: those of reading
 * and decoding an item. */
tsr_status tsr_token_side_decode(tsr_token_side *side, tsr_pair_slot *slot);

/* Makes the original what the tokenizer saw of it (FITTED), or its part that the tokenizer saw
 * (ORIGINAL), and brings the candidate, if the slot has one, to that size. Errors: ARGUMENT (the
 * item was made of a picture of another size), MEMORY. */
tsr_status tsr_slot_fit(const tsr_measure_worker *worker, const tsr_token_header *header,
                        tsr_measure_at at, const char *name, tsr_pair_slot *slot);
/* Brings the candidate to width x height by Lanczos. */
tsr_status tsr_slot_resize(const tsr_measure_worker *worker, tsr_pair_slot *slot, int width,
                           int height);

/* ---- anchors ---- */

/* A way to make a picture smaller that everybody knows. */
typedef struct tsr_anchor {
    const char *name;   /* "webp" */
    const char *title;  /* "WebP" */
    const char *format; /* of tsr_picture_encode; NULL: resize */
} tsr_anchor;
/* Errors: ARGUMENT (an unknown name), UNSUPPORTED (a codec this build lacks). */
tsr_status tsr_anchor_find(tsr_context *ctx, const char *name, const tsr_anchor **anchor);
/* Makes the slot's candidate of its original, with the budget of picture `like`. `numbers` are
 * those of a token. Errors: those of the codec. */
tsr_status tsr_anchor_make(const tsr_measure_worker *worker, const tsr_anchor *anchor,
                           const tsr_picture_score *like, uint32_t numbers, const char *name,
                           tsr_pair_slot *slot);

#endif
