/* SPDX-License-Identifier: MIT */
/* content_spread.c: see content_spread.h. */
#include "content_spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void content_spread_clear(content_spread *s) {
    free(s->at);
    *s = (content_spread){0};
}

/* The place of a picture; NULL without memory. Rows of a picture come one after the other. */
static spread_picture *picture_of(content_spread *s, const char *name) {
    if (s->failed) return NULL;
    if (s->count && !strcmp(s->last, name)) return &s->at[s->count - 1];
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 64;
        spread_picture *more = realloc(s->at, room * sizeof *more);
        s->failed = !more;
        if (!more) return NULL;
        s->at = more;
        s->room = room;
    }
    s->last = name;
    s->at[s->count] = (spread_picture){0};
    return &s->at[s->count++];
}

static void add(spread_picture *p, spread_number number, int bin, double sum, double weight) {
    const int cells[2] = {SPREAD_ALL, bin};
    for (int i = 0; i < 2 && cells[i] >= 0; ++i) {
        p->sum[number][cells[i]] += sum;
        p->weight[number][cells[i]] += weight;
    }
}

void content_spread_text(void *spread, const tsr_text_row *row) {
    spread_picture *p = picture_of(spread, row->picture);
    const int bin = row->bin;
    if (!p) return;
    const tsr_text_score *score = &row->score;
    add(p, SPREAD_FIRST, bin, score->exact, 1);
    add(p, SPREAD_SECOND, bin, score->similarity, 1);
    add(p, SPREAD_CER, bin, (double)score->distance, (double)score->length);
    add(p, SPREAD_WER, bin, (double)score->word_distance, (double)score->words);
}

void content_spread_face(void *spread, const tsr_face_row *row) {
    spread_picture *p = picture_of(spread, row->picture);
    if (p) add(p, SPREAD_FIRST, row->bin, row->similarity, 1);
}

tsr_status content_spread_interval(tsr_context *ctx, const content_spread *s, spread_number number,
                                   int cell, uint64_t seed, uint32_t resamples, double *low,
                                   double *high) {
    *low = *high = NAN;
    if (s->failed) return TSR_ERROR_MEMORY;
    double *sums = malloc((2 * s->count + 1) * sizeof *sums);
    if (!sums) return TSR_ERROR_MEMORY;
    double *weights = sums + s->count;
    uint64_t n = 0;
    for (size_t i = 0; i < s->count; ++i) { /* pictures with nothing of this size are not drawn */
        const double weight = s->at[i].weight[number][cell];
        if (!(weight > 0)) continue;
        sums[n] = s->at[i].sum[number][cell];
        weights[n++] = weight;
    }
    const tsr_status status =
        tsr_bootstrap_interval(ctx, sums, weights, n, seed, resamples, low, high);
    free(sums);
    return status;
}
