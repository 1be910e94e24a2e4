/* SPDX-License-Identifier: MIT */
/* encode_inputs.h: the pictures of a list of sources, one after the other, decoded. */
#ifndef CODEC_ENCODE_INPUTS_H
#define CODEC_ENCODE_INPUTS_H

#include "../formats/datasets/source.h"
#include "../media/image.h"

typedef struct tsr_encode_inputs {
    tsr_context *ctx;
    tsr_source_list *list; /* owned */
    tsr_source *source;    /* of the whole list; NULL before the first picture */
    const tsr_image_settings *settings;
} tsr_encode_inputs;

/* One picture, or why there is none. */
typedef struct tsr_encode_input {
    tsr_sample *sample; /* the receiver's; its bytes are gone */
    tsr_image image;    /* the receiver's */
    tsr_status status;  /* its text is the context's detail */
} tsr_encode_input;

/* Expands inputs to a list. Settings must outlive the inputs. Errors: those of
 * tsr_source_list_open. */
tsr_status tsr_encode_inputs_open(tsr_context *ctx, const char *const *paths, int count,
                                  const tsr_source_settings *sources,
                                  const tsr_image_settings *settings, tsr_encode_inputs *inputs);
/* Looks at the header of entry `index` of the list; one that is bad will not be read. Archives and
 * pipes are not looked at: only reading them shows what is in them. Errors: those of
 * tsr_image_look.
 */
tsr_status tsr_encode_inputs_look(tsr_encode_inputs *inputs, uint64_t index);
/* Reads the next picture. False: there are no more. A picture that cannot be read has a status, and
 * the next call goes on behind it; without a sample nothing more can be read. */
bool tsr_encode_inputs_next(tsr_encode_inputs *inputs, tsr_encode_input *input);
void tsr_encode_inputs_close(tsr_encode_inputs *inputs);

#endif
