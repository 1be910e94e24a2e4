/* SPDX-License-Identifier: MIT */
/* prefix_search.c: the fewest ids of a picture that reach a quality, found by decoding prefixes.
 * Quality rises about evenly with the logarithm of the count, so the next count to try is read off
 * the straight line between the counts that are known to fall short and to suffice. */
#include "prefix_search.h"
#include "compare.h"
#include "item.h"
#include "target.h"

#include <math.h>

typedef struct search {
    tsr_compare compare;
    const tsr_token_item *item;
    tsr_target_metric metric;
    uint32_t decodes;
} search;

/* The metric of the first `count` ids of each tile, times its sign: more is better. */
static tsr_status score(search *s, uint32_t count, double *value) {
    tsr_status status = tsr_compare_measure(&s->compare, s->item, count, s->metric, value);
    if (status) return status;
    *value *= tsr_target_sign(s->metric);
    s->decodes++;
    return TSR_OK;
}

/* The smallest count that reaches `wanted`, given that `high` does. *reached: what it has. */
static tsr_status smallest(search *s, double wanted, uint32_t high, double at_high, uint32_t *count,
                           double *reached) {
    uint32_t low = 0; /* falls short; nothing is known of 0 ids */
    double at_low = 0;
    bool halve = false;
    while (high - low > 1) {
        const double left = log2(low ? low : 1), right = log2(high);
        double middle = 0.5 * (left + right);
        if (low && !halve)
            middle = left + (wanted - at_low) / (at_high - at_low) * (right - left);
        else if (!low && s->metric == TSR_TARGET_PSNR) /* a doubling is worth about 1 dB */
            middle = fmax(right - (at_high - wanted), 0);
        double guess = ceil(exp2(middle) - 1e-9);
        const uint32_t k = guess <= low + 1.0    ? low + 1
                           : guess >= high - 1.0 ? high - 1
                                                 : (uint32_t)guess;
        double value;
        tsr_status status = score(s, k, &value);
        if (status) return status;
        const uint32_t before = high - low;
        if (value >= wanted)
            high = k, at_high = value;
        else
            low = k, at_low = value;
        halve = high - low > before / 2; /* the line was no help: take the middle once */
    }
    *count = high;
    *reached = at_high;
    return TSR_OK;
}

tsr_status tsr_prefix_search(tsr_tokenizer *t, const tsr_encode_plan *plan, tsr_item *item,
                             uint32_t *decodes) {
    const tsr_target *target = &plan->target;
    tsr_token_item *tokens = tsr_item_edit(item);
    search s = {.item = tokens, .metric = target->metric};
    tsr_status status = tsr_compare_open(t, item, &s.compare);
    if (status) return status;
    uint32_t most = 0, count;
    for (uint32_t tile = 0; tile < tokens->tile_columns * tokens->tile_rows; ++tile)
        if (tokens->counts[tile] > most) most = tokens->counts[tile];
    const double sign = tsr_target_sign(target->metric), wanted = sign * (double)target->threshold;
    double reached;
    status = score(&s, most, &reached);
    if (!status && reached >= wanted) {
        status = smallest(&s, wanted, most, reached, &count, &reached);
        if (!status) tsr_item_shorten(item, count);
    }
    if (!status) {
        tokens->target = *target;
        tokens->target.reached = (float)(sign * reached);
    }
    tsr_compare_close(&s.compare);
    *decodes = s.decodes;
    return status;
}
