/* SPDX-License-Identifier: MIT */
/* tokenizer.h: the inside of tsr_tokenizer, for the files of this folder. */
#ifndef CODEC_TOKENIZER_H
#define CODEC_TOKENIZER_H

#include "../models/model.h"

struct tsr_tokenizer {
    tsr_model model;
    tsr_token_header header;
};

/* Tiles in flight: enough to fill a device, few enough to stay small. wanted 0: not said.
 * Errors: ARGUMENT (beyond TSR_MAX_BATCH). */
tsr_status tsr_tokenizer_batch(const tsr_tokenizer *tokenizer, uint32_t wanted, int *batch);
/* UNSUPPORTED when ids that are not nested would be left out. quality 0: not asked for. */
tsr_status tsr_tokenizer_check_prefix(tsr_tokenizer *tokenizer, uint32_t tokens, float quality);
/* Fails with MODEL_MISMATCH (naming both) unless ids under `header` belong to this tokenizer;
 * `force` lets other weights of the same family and codebook pass. */
tsr_status tsr_tokenizer_accepts(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                 int force, const char *name);

#endif
