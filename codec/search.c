/* SPDX-License-Identifier: MIT */
/* search.c: which of the two searches an item needs. */
#include "search.h"
#include "prefix_search.h"
#include "tolerance_search.h"

tsr_status tsr_search(tsr_tokenizer *t, const tsr_encode_plan *plan, tsr_item *item,
                      uint32_t *decodes) {
    return t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS
               ? tsr_tolerance_search(t, plan, item, decodes)
               : tsr_prefix_search(t, plan, item, decodes);
}
