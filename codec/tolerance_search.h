/* SPDX-License-Identifier: MIT */
/* tolerance_search.h: searching with a family that chooses its tokens. */
#ifndef CODEC_TOLERANCE_SEARCH_H
#define CODEC_TOLERANCE_SEARCH_H

#include "tokenizer.h"

/* tsr_tokenizer_search for a family that chooses its tokens. */
tsr_status tsr_tolerance_search(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_picture *picture, const tsr_encode_settings *settings,
                                tsr_item *item, uint32_t *decodes);

#endif
