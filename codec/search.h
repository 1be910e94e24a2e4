/* SPDX-License-Identifier: MIT */
/* search.h: the fewest ids of an item that reach a quality, found by decoding. */
#ifndef CODEC_SEARCH_H
#define CODEC_SEARCH_H

#include "encode_plan.h"

/* Leaves of an item as few ids as reach the plan's target, and records target and result in it.
 * *decodes: how many it took. Errors: ARGUMENT (no fitted picture; too small for the metric), those
 * of encoding and decoding. */
tsr_status tsr_search(tsr_tokenizer *tokenizer, const tsr_encode_plan *plan, tsr_item *item,
                      uint32_t *decodes);

#endif
