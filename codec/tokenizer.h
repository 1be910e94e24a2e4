/* SPDX-License-Identifier: MIT */
/* tokenizer.h: the inside of tsr_tokenizer, for the files of this folder. */
#ifndef CODEC_TOKENIZER_H
#define CODEC_TOKENIZER_H

#include "../models/model.h"

struct tsr_tokenizer {
    tsr_model model;
    tsr_token_header header;
};

/* Tiles that are handed to the model together: `wanted`, or with 0 as many as a GPU takes in one
 * run (nn/batching.h) when encoding by `request`, or when decoding if that is NULL; elsewhere 16.
 * Fewer where an eighth of the memory limit does not hold them. Errors: ARGUMENT (beyond
 * TSR_MAX_BATCH). */
tsr_status tsr_tokenizer_batch(const tsr_tokenizer *tokenizer, uint32_t wanted,
                               const tsr_encode_request *request, int *batch);
/* UNSUPPORTED when ids that are not nested would be left out. quality 0: not asked for. */
tsr_status tsr_tokenizer_check_prefix(tsr_tokenizer *tokenizer, uint32_t tokens, float quality);
/* Fails with MODEL_MISMATCH (naming both) unless ids under `header` belong to this tokenizer;
 * `force` lets other weights of the same family and codebook pass. */
tsr_status tsr_tokenizer_accepts(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                 int force, const char *name);

#endif
