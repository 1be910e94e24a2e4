/* SPDX-License-Identifier: MIT */
/* frame_shares.c: tokens of a clip split over its frames by what changes. */
#include "../compute/context.h"

#include <inttypes.h>
#include <stdbool.h>
#include <math.h>
#include <tessera/media.h>

typedef struct split {
    uint64_t count;
    const double *change; /* [count] */
    double sum;           /* of change */
    const uint64_t *least, *most;
} split;

/* Tokens of a frame where `scale` are split before the bounds are looked at. */
static double share(const split *s, uint64_t i, double scale) {
    const double even = 1.0 / (double)s->count,
                 weight = s->sum > 0 ? 0.5 * even + 0.5 * s->change[i] / s->sum : even;
    double tokens = scale * weight;
    if (s->least) tokens = fmax(tokens, (double)s->least[i]);
    return s->most ? fmin(tokens, (double)s->most[i]) : tokens;
}

static double sum_of(const split *s, double scale) {
    double sum = 0;
    for (uint64_t i = 0; i < s->count; ++i)
        sum += share(s, i, scale);
    return sum;
}

/* The scale at which all frames together have at most `budget` tokens and would have more soon:
 * their sum rises with it. Without bounds it is the budget itself. */
static double find_scale(const split *s, double budget) {
    enum { HALVINGS = 100 };
    double low = 0, high = budget;
    if (!s->least && !s->most) return budget;
    while (sum_of(s, high) < budget) /* ends: no weight is 0, and the most are enough */
        high *= 2;
    for (int i = 0; i < HALVINGS; ++i) {
        const double middle = low + (high - low) / 2;
        if (sum_of(s, middle) <= budget)
            low = middle;
        else
            high = middle;
    }
    return low;
}

tsr_status tsr_frames_share(tsr_context *ctx, uint64_t count, uint64_t budget, const double *change,
                            const uint64_t *least, const uint64_t *most, uint64_t *tokens) {
    split s = {.count = count, .change = change, .least = least, .most = most};
    uint64_t lowest = 0, highest = 0, given = 0;
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!count || !change || !tokens)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "budget: wanted frames, got none");
    for (uint64_t i = 0; i < count; ++i) {
        if (!(change[i] >= 0) || isinf(change[i]) || (least && most && least[i] > most[i]))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "budget: frame %" PRIu64 ": wanted a change of 0 or more and bounds in "
                            "order, got others",
                            i);
        s.sum += change[i];
        lowest += least ? least[i] : 0;
        highest += most ? most[i] : 0;
    }
    if (budget < lowest)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "budget: wanted at least %" PRIu64 " tokens for %" PRIu64
                        " frames, one for each of their tiles, got %" PRIu64,
                        lowest, count, budget);
    if (most && budget > highest) budget = highest;
    const double scale = find_scale(&s, (double)budget);
    for (uint64_t i = 0; i < count; ++i)
        given += tokens[i] = (uint64_t)share(&s, i, scale);
    /* What was cut off goes to the earliest frames that have room. */
    for (uint64_t i = 0; given < budget; i = (i + 1) % count) {
        const bool room = !most || tokens[i] < most[i];
        tokens[i] += room;
        given += room;
    }
    return TSR_OK;
}
