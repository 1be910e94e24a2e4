/* SPDX-License-Identifier: MIT */
/* encode_inputs.h: the pictures of a list of inputs, one after the other: a file holds one, a pipe
 * any number. */
#ifndef CODEC_ENCODE_INPUTS_H
#define CODEC_ENCODE_INPUTS_H

#include "../media/image.h"
#include "../media/picture_stream.h"

typedef struct tsr_encode_inputs {
    tsr_context *ctx;
    const char *const *paths;
    char *const *keys; /* [count] of the items; of a pipe's pictures, what their numbers follow */
    int count;
    const tsr_image_settings *settings;
    bool *bad;                  /* [count] is not to be read; owned */
    int next;                   /* input that comes next */
    tsr_picture_stream *stream; /* of input next - 1, while pictures may follow in it */
    uint64_t number;            /* of the picture in its pipe, from 1 */
} tsr_encode_inputs;

/* One picture, or why there is none. */
typedef struct tsr_encode_input {
    const char *path; /* as it was given */
    char *key;        /* malloc'd, the receiver's */
    tsr_image image;  /* the receiver's */
    tsr_status status;
} tsr_encode_input;

/* Settings, keys and paths must outlive the inputs. Errors: MEMORY. */
tsr_status tsr_encode_inputs_open(tsr_context *ctx, const char *const *paths, char *const *keys,
                                  int count, const tsr_image_settings *settings,
                                  tsr_encode_inputs *inputs);
/* Looks at the header of file `index`; one that is bad will not be read. A pipe is not looked at.
 * Errors: those of tsr_image_look. */
tsr_status tsr_encode_inputs_look(tsr_encode_inputs *inputs, int index);
/* Reads the next picture. False: there are no more. A picture that cannot be read has a status, and
 * the next call goes on behind it. */
bool tsr_encode_inputs_next(tsr_encode_inputs *inputs, tsr_encode_input *input);
/* True when the number of pictures is not known beforehand. */
bool tsr_encode_inputs_have_streams(const tsr_encode_inputs *inputs);
void tsr_encode_inputs_close(tsr_encode_inputs *inputs);

#endif
