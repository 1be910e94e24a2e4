/* SPDX-License-Identifier: MIT */
/* encoder.h: a tokenizer with all that one call asks of it, and the work it does on a group of
 * pictures: encoding, searching for a target, comparing. One encoder belongs to one thread. */
#ifndef CODEC_ENCODER_H
#define CODEC_ENCODER_H

#include "encode_pictures.h"

enum {
    TSR_ENCODER_GROUP = 64, /* usual pictures of a group */
    TSR_ENCODER_MOST = 512  /* most */
};

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
/* A group on its way. The caller's, at one place until it has ended. */
typedef struct tsr_encoder_flight {
    tsr_encoding *group[TSR_ENCODER_MOST];
    tsr_fitted_picture *picture[TSR_ENCODER_MOST];
    tsr_item *item[TSR_ENCODER_MOST];
    int count; /* 0: nothing is on its way */
    tsr_encode_stream *stream;
    tsr_status status; /* of beginning */
} tsr_encoder_flight;
/* Begins to encode a group of 1..TSR_ENCODER_MOST pictures: where the device can, it computes while
 * the host goes on. The pictures stay in their places until the end. */
void tsr_encoder_begin(tsr_encoder *encoder, tsr_encoding *const *group, int count,
                       tsr_encoder_flight *flight);
/* Waits for a group, searches for its targets and checks it. A picture that is at fault gets a
 * status and costs no other one. Groups end in the order of their beginning. Errors: those that the
 * next picture would meet, too (device, memory, noise). */
tsr_status tsr_encoder_end(tsr_encoder *encoder, tsr_encoder_flight *flight);
/* True if a begun group is computed by a device while the host goes on; else it is computed when it
 * begins, and there is no use in beginning another before it ends. */
bool tsr_encoder_flies(const tsr_encoder *encoder);
/* Both at once. */
tsr_status tsr_encoder_run(tsr_encoder *encoder, tsr_encoding *const *group, int count);
/* Takes over the detail text of ctx. */
void tsr_encoding_fail(tsr_encoding *encoding, tsr_context *ctx, tsr_status status);
void tsr_encoding_clear(tsr_encoding *encoding);

/* Is it this picture alone that cannot be encoded, or would the next one fail alike? */
bool tsr_fault_of_picture(tsr_status status);
/* The same while it is read: there a file may be missing, and need more memory than the next. */
bool tsr_fault_of_input(tsr_status status);

#endif
