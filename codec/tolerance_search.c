/* SPDX-License-Identifier: MIT */
/* tolerance_search.c: the fewest ids that reach a quality, from a tokenizer that chooses its tokens
 * by a tolerated error. It tells a few of those apart, and may be asked to keep everything: these
 * are the rows here, row 0 keeping everything, larger ones tolerating more. Fewer tokens and a
 * worse picture are taken to go with larger rows. The search walks away from the row it begins
 * with in growing steps, which is short when the tokenizer's own estimate is about right, and
 * halves between a row that reaches the target and one that does not. */
#include "tolerance_search.h"
#include "compare.h"
#include "encode_pictures.h"
#include "item.h"
#include "target.h"

#include <string.h>

typedef struct search {
    tsr_tokenizer *t;
    tsr_encode_plan plan; /* the caller's, with the row's quality */
    tsr_compare compare;
    tsr_target_metric metric;
    uint32_t decodes;
    size_t mask;          /* bytes of a tile's */
    const tsr_item *kept; /* the caller's */
} search;

typedef struct trial {
    tsr_item *item; /* NULL: none yet */
    double value;
} trial;

static bool equal(const search *s, const trial *a, const trial *b) {
    if (!a->item || !b->item) return false;
    const tsr_token_item *x = tsr_item_tokens(a->item), *y = tsr_item_tokens(b->item);
    const size_t tiles = (size_t)x->tile_columns * x->tile_rows;
    const void *from = x->latents ? (const void *)x->latents : x->ids;
    const void *to = y->latents ? (const void *)y->latents : y->ids;
    return !memcmp(x->counts, y->counts, tiles * sizeof *x->counts) &&
           !memcmp(x->kept, y->kept, tiles * s->mask) &&
           !memcmp(from, to,
                   (size_t)tsr_token_item_total(x) * tsr_token_value_bytes(&s->t->header));
}

/* Encodes with the row, unless there is an item already, and measures, unless its tokens are those
 * of one of the known trials. */
static tsr_status try_row(search *s, int row, const trial *known, trial *made) {
    tsr_status status = TSR_OK;
    if (!made->item) {
        const tsr_tolerances *rows = s->t->model.family->tokenizer->tolerances;
        s->plan.request.quality = rows->value[row ? row - 1 : 0];
        s->plan.request.keep_all = row == 0;
        status = tsr_encode_again(s->t, &s->plan, s->kept, &made->item);
    }
    for (int i = 0; i < 2 && !status; ++i)
        if (equal(s, &known[i], made)) {
            made->value = known[i].value;
            return TSR_OK;
        }
    if (!status)
        status = tsr_compare_measure(&s->compare, tsr_item_tokens(made->item), 0, s->metric,
                                     &made->value);
    s->decodes += !status;
    return status;
}

static void drop(const search *s, trial *t) {
    if (t->item != s->kept) tsr_item_close(&t->item);
    *t = (trial){0};
}

/* Fills best[1], the fewest tokens that reach the target; and best[0] otherwise. */
static tsr_status find(search *s, int row, const tsr_target *target, trial *made, trial best[2]) {
    const int last = s->t->model.family->tokenizer->tolerances->count;
    int good = -1, bad = last + 1, step = 1; /* rows known to reach it and not to */
    while (bad - good > 1) {
        tsr_status status = try_row(s, row, best, made);
        if (status) return status;
        const bool reaches = tsr_target_met(target, made->value);
        if (reaches)
            good = row;
        else
            bad = row;
        trial *of = &best[reaches];
        if (reaches && of->item &&
            tsr_token_item_total(tsr_item_tokens(made->item)) >
                tsr_token_item_total(tsr_item_tokens(of->item))) {
            drop(s, made); /* a larger row need not have fewer */
        } else {
            drop(s, of);
            *of = *made;
            *made = (trial){0};
        }
        if (good >= 0 && bad <= last)
            row = (good + bad) / 2;
        else if (reaches)
            row = good + step < last ? good + step : last;
        else
            row = bad > step ? bad - step : 0;
        step *= 2;
    }
    return TSR_OK;
}

tsr_status tsr_tolerance_search(tsr_tokenizer *t, const tsr_encode_plan *plan, tsr_item *item,
                                uint32_t *decodes) {
    search s = {.t = t,
                .plan = *plan,
                .metric = plan->target.metric,
                .mask = tsr_token_mask_bytes(tsr_token_positions(&plan->header)),
                .kept = item};
    tsr_status status = tsr_compare_open(t, item, &s.compare);
    if (status) return status;
    tsr_token_item *tokens = tsr_item_edit(item);
    const tsr_tolerances *rows = t->model.family->tokenizer->tolerances;
    const int row = 1 + tsr_tolerance_index(rows, tokens->quality);
    trial made = {.item = item}, best[2] = {{0}, {0}};
    status = find(&s, row, &plan->target, &made, best);
    if (!status) {
        const trial found = best[1].item ? best[1] : best[0];
        if (found.item == item)
            tokens->quality = rows->value[row - 1];
        else
            tsr_item_swap_tokens(item, found.item);
        tokens->target = plan->target;
        tokens->target.reached = (float)found.value;
    }
    drop(&s, &made);
    drop(&s, &best[0]);
    drop(&s, &best[1]);
    tsr_compare_close(&s.compare);
    *decodes = s.decodes;
    return status;
}
