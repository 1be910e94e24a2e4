/* SPDX-License-Identifier: MIT */
/* tolerance_search.h: searching with a tokenizer that chooses its tokens. */
#ifndef CODEC_TOLERANCE_SEARCH_H
#define CODEC_TOLERANCE_SEARCH_H

#include "encode_plan.h"

/* tsr_search for a tokenizer that chooses its tokens: what it chooses for the largest tolerated
 * error that will do, or all of the budget. */
tsr_status tsr_tolerance_search(tsr_tokenizer *tokenizer, const tsr_encode_plan *plan,
                                tsr_item *item, uint32_t *decodes);

#endif
