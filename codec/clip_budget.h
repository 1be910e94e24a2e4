/* SPDX-License-Identifier: MIT */
/* clip_budget.h: a number of ids split over the items of a clip by what changes from one to the
 * next. How many each gets is known at the end of the clip alone, so items wait in a spool. */
#ifndef CODEC_CLIP_BUDGET_H
#define CODEC_CLIP_BUDGET_H

#include <tessera/tokens.h>

#include "../compute/context.h"

typedef struct tsr_clip_budget tsr_clip_budget;
/* Receives the items of a clip in order, each with the first of its ids alone. */
typedef tsr_status (*tsr_clip_budget_fn)(void *user, const tsr_token_item *item,
                                         const tsr_clip_frame *time);

/* `tokens` is the number of ids of a clip. `beside`: see tsr_spool. Errors: MEMORY. */
tsr_status tsr_clip_budget_open(tsr_context *ctx, uint64_t tokens, const char *beside,
                                tsr_clip_budget **budget);
/* NULL and a NULL *budget are accepted. */
void tsr_clip_budget_close(tsr_clip_budget **budget);
/* Takes the next item, of nested ids, all of them; its time is copied. Errors: MEMORY, IO,
 * NO_SPACE.
 */
tsr_status tsr_clip_budget_take(tsr_clip_budget *budget, const tsr_token_item *item,
                                const tsr_clip_frame *time);
/* Splits the budget over the items that were taken (tsr_frames_share: every tile keeps one id or
 * more; the change of an item is the share of its ids that differ from those at the same places of
 * the item before, 1 of the first) and hands them on. Nothing without items. Errors: ARGUMENT
 * (fewer ids than tiles), those of reading and of fn. */
tsr_status tsr_clip_budget_spend(tsr_clip_budget *budget, tsr_clip_budget_fn fn, void *user);

#endif
