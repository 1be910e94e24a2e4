/* SPDX-License-Identifier: MIT */
/* encoder.h: a tokenizer with all that one call asks of it, and the work it does on a group of
 * pictures: encoding, searching for a target, comparing. One encoder belongs to one thread. */
#ifndef CODEC_ENCODER_H
#define CODEC_ENCODER_H

#include "encode_pictures.h"

enum { TSR_ENCODER_GROUP = 64 }; /* most pictures of a group */

/* What is asked of the encoders of one call. Pointers outlive the encoders. */
typedef struct tsr_encoder_settings {
    const tsr_model_settings *model;
    const tsr_encode_settings *encode;
    const tsr_sampling_settings *hints;
    bool check;               /* decode again and measure the error */
    tsr_tokenizer *tokenizer; /* open already, of another context; NULL: the model's is opened */
    tsr_turn_fn turn;         /* around all uses of `tokenizer`; NULL: there are no others */
    void *turn_user;
} tsr_encoder_settings;

typedef struct tsr_encoder {
    tsr_context *ctx; /* of the encoder's thread; what a call fails with is told here */
    tsr_tokenizer *tokenizer;
    bool shared; /* the tokenizer is somebody's else, who closes it */
    tsr_turn_fn turn;
    void *turn_user;
    tsr_encode_plan plan;
    bool check;
} tsr_encoder;

/* One picture on its way to an item. */
typedef struct tsr_encoding {
    tsr_fitted_picture fitted;
    tsr_item *item; /* NULL: `status` says why */
    double error;   /* as in tsr_encoded */
    double predicted;
    uint32_t decodes;
    int reached;
    uint64_t near_ties; /* of the group, in its first picture that has an item */
    tsr_status status;
    char *detail; /* text of `status`; NULL: no memory for it */
} tsr_encoding;

/* Opens the tokenizer and checks the settings. On error nothing is open. */
tsr_status tsr_encoder_open(tsr_context *ctx, const tsr_encoder_settings *settings,
                            tsr_encoder *encoder);
void tsr_encoder_close(tsr_encoder *encoder);
/* Encodes a group of 1..TSR_ENCODER_GROUP pictures. A picture that is at fault gets a status and
 * costs no other one. Errors: those that the next picture would meet, too (device, memory, noise).
 */
tsr_status tsr_encoder_run(tsr_encoder *encoder, tsr_encoding *const *group, int count);
/* Takes over the detail text of ctx. */
void tsr_encoding_fail(tsr_encoding *encoding, tsr_context *ctx, tsr_status status);
void tsr_encoding_clear(tsr_encoding *encoding);

/* Is it this picture alone that cannot be encoded, or would the next one fail alike? */
bool tsr_fault_of_picture(tsr_status status);
/* The same while it is read: there a file may be missing, and need more memory than the next. */
bool tsr_fault_of_input(tsr_status status);

#endif
