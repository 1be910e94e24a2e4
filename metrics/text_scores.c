/* SPDX-License-Identifier: MIT */
/* text_scores.c: how far texts are from what was read of them. */
#include <tessera/scores.h>

#include "letter_case.h"
#include "../compute/arena.h"
#include "../formats/utf8.h"
#include "../reduce/text_distance.h"

#include <math.h>
#include <string.h>

enum { MOST = 1 << 24 };

/* Code points of a text, in lower case where it is ignored. */
static tsr_status take(tsr_scratch *s, const char *what, const char *text, bool lower,
                       tsr_text *out) {
    const size_t size = strlen(text);
    if (!tsr_utf8_valid(text, size, NULL))
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT, "%s: wanted UTF-8, got other bytes", what);
    if (size >= MOST)
        return tsr_fail(s->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted less than %d bytes, got %zu", what,
                        MOST, size);
    uint32_t *points = tsr_scratch_take_raw(s, size + 1, sizeof *points, what);
    uint32_t *lowered = lower ? tsr_scratch_take_raw(s, 2 * size + 1, sizeof *points, what) : NULL;
    int64_t count = 0;
    if (s->status) return s->status;
    while (*text)
        points[count++] = tsr_utf8_next(&text);
    if (lower) count = tsr_lower_case(points, count, lowered);
    *out = (tsr_text){lower ? lowered : points, count};
    return TSR_OK;
}

tsr_status tsr_text_compare(tsr_context *ctx, const char *truth, const char *read, int ignore_case,
                            tsr_text_score *score) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!truth || !read || !score)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "texts: %s: wanted an address, got NULL",
                        !truth  ? "truth"
                        : !read ? "read"
                                : "score");
    tsr_scratch s = {.ctx = ctx};
    tsr_text a = {0}, b = {0};
    tsr_status status = take(&s, "true text", truth, ignore_case != 0, &a);
    if (!status) status = take(&s, "text that was read", read, ignore_case != 0, &b);
    const int64_t longest = a.count > b.count ? a.count : b.count;
    void *workspace =
        status ? NULL : tsr_scratch_take_raw(&s, tsr_text_workspace(longest), 1, "texts");
    if (!status) status = s.status;
    if (!status) {
        tsr_text_score t = {.length = a.count, .read_length = b.count};
        t.distance = tsr_edit_distance(a, b, workspace);
        t.exact = t.distance == 0;
        t.similarity = longest ? 1 - (double)t.distance / (double)longest : 1;
        t.word_distance = tsr_word_distance(a, b, workspace, &t.words);
        *score = t;
    }
    tsr_scratch_free(&s);
    return status;
}

void tsr_text_totals_add(tsr_text_totals *totals, const tsr_text_score *score) {
    totals->texts++;
    totals->exact += score->exact != 0;
    totals->similarity += score->similarity;
    totals->length += score->length;
    totals->distance += score->distance;
    totals->words += score->words;
    totals->word_distance += score->word_distance;
}

tsr_text_rates tsr_text_totals_rates(const tsr_text_totals *t) {
    tsr_text_rates r = {NAN, NAN, NAN, NAN};
    if (t->texts) {
        r.accuracy = (double)t->exact / (double)t->texts;
        r.similarity = t->similarity / (double)t->texts;
    }
    if (t->length) r.cer = (double)t->distance / (double)t->length;
    if (t->words) r.wer = (double)t->word_distance / (double)t->words;
    return r;
}
