/* SPDX-License-Identifier: MIT */
/* encode_pictures.h: encoding as the files of this folder call it. */
#ifndef CODEC_ENCODE_PICTURES_H
#define CODEC_ENCODE_PICTURES_H

#include "tokenizer.h"

/* Noise that draws latents, and how many tiles have had theirs. */
typedef struct tsr_encode_noise {
    bool given; /* else there is none */
    tsr_tensor tensor;
    uint64_t used;
} tsr_encode_noise;
/* Reads settings' noise, if there is any. UNSUPPORTED where nothing is drawn. Free tensor.data. */
tsr_status tsr_encode_noise_open(tsr_tokenizer *tokenizer, const tsr_encode_settings *settings,
                                 tsr_encode_noise *noise);
/* ARGUMENT unless there was one for each tile and none over. */
tsr_status tsr_encode_noise_finish(tsr_context *ctx, const tsr_encode_noise *noise);
/* tsr_tokenizer_encode whose tiles take the next of `noise`; settings' own is not looked at. */
tsr_status tsr_tokenizer_encode_drawn(tsr_tokenizer *tokenizer, const tsr_picture *pictures,
                                      int count, const tsr_encode_settings *settings,
                                      tsr_encode_noise *noise, tsr_item **items,
                                      uint64_t *near_ties);

#endif
