/* SPDX-License-Identifier: MIT */
/* prefix_search.h: searching among the prefixes of nested ids. */
#ifndef CODEC_PREFIX_SEARCH_H
#define CODEC_PREFIX_SEARCH_H

#include "encode_plan.h"

/* tsr_search for nested ids: the smallest common count of every tile's first ids. */
tsr_status tsr_prefix_search(tsr_tokenizer *tokenizer, const tsr_encode_plan *plan, tsr_item *item,
                             uint32_t *decodes);

#endif
