/* SPDX-License-Identifier: MIT */
/* prefix_search.c: the fewest ids of a picture that reach a quality, found by decoding prefixes.
 * Quality rises about evenly with the logarithm of the count, so the next count to try is read off
 * the straight line between the counts that are known to fall short and to suffice. */
#include "fit.h"
#include "tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double sign, least, most; /* sign -1: less is better */
} metrics[] = {
    [TSR_TARGET_PSNR] = {"psnr", 1, 0, 200},
    [TSR_TARGET_SSIM] = {"ssim", 1, -1, 1},
    [TSR_TARGET_L1] = {"l1", -1, 0, 1},
};

const char *tsr_target_name(tsr_target_metric metric) {
    return metric > TSR_TARGET_NONE && metric <= TSR_TARGET_L1 ? metrics[metric].name : "none";
}

typedef struct search {
    tsr_tokenizer *t;
    const tsr_token_header *header;
    tsr_token_item *item;
    tsr_target_metric metric;
    int width, height;
    uint8_t *want, *got; /* [height, width, 3] */
    uint32_t decodes;
} search;

/* What a tokenizer without loss would give back: the fitted picture, put together again. */
static tsr_status draw_wanted(search *s, const tsr_picture *picture) {
    tsr_tokenizer *t = s->t;
    tsr_canvas canvas;
    tsr_unfit unfit;
    tsr_status status = tsr_canvas_open(t->host, picture, s->header, &canvas);
    if (status) return status;
    const size_t values = (size_t)canvas.tile_width * (size_t)canvas.tile_height * 3;
    uint8_t *bytes = tsr_alloc(t->ctx, values, 1, "target: tile");
    float *tile = tsr_alloc(t->ctx, values, sizeof *tile, "target: tile");
    if (!bytes || !tile) status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_unfit_open(t->ctx, s->header, s->item, &unfit);
    if (!status) {
        for (int i = 0; i < canvas.columns * canvas.rows; ++i) {
            tsr_canvas_cut(&canvas, i, bytes);
            for (size_t v = 0; v < values; ++v)
                tile[v] = (float)bytes[v] / 255.0f;
            tsr_unfit_add(&unfit, i, tile);
        }
        status = tsr_unfit_finish(t->host, &unfit, s->header, s->item, s->want);
        tsr_unfit_close(&unfit);
    }
    free(bytes);
    free(tile);
    tsr_canvas_free(&canvas);
    return status;
}

/* The metric of the first `count` ids of each tile, times its sign: more is better. */
static tsr_status score(search *s, uint32_t count, double *value) {
    tsr_status status = tsr_tokenizer_decode(s->t, s->header, s->item, count, s->got);
    tsr_evaluation e;
    if (!status) status = tsr_evaluate(s->t->ctx, s->want, s->got, s->width, s->height, &e);
    if (status) return status;
    s->decodes++;
    *value = s->metric == TSR_TARGET_PSNR   ? e.psnr
             : s->metric == TSR_TARGET_SSIM ? e.ssim_gaussian
                                            : -e.l1;
    if (isnan(*value))
        return tsr_fail(s->t->ctx, TSR_ERROR_ARGUMENT,
                        "%s: target: wanted at least 11x11 pixels for ssim, got %dx%d",
                        s->item->key, s->width, s->height);
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

tsr_status tsr_target_check(tsr_context *ctx, const tsr_target *target) {
    const tsr_target_metric m = target->metric;
    if ((int)m < TSR_TARGET_NONE || m > TSR_TARGET_L1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "target: wanted metric 0 to 3, got %d", (int)m);
    if (m && !(target->wanted >= metrics[m].least && target->wanted <= metrics[m].most))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "target %s: wanted %g to %g, got %g",
                        metrics[m].name, metrics[m].least, metrics[m].most, (double)target->wanted);
    return TSR_OK;
}

tsr_status tsr_tokenizer_search(tsr_tokenizer *t, const tsr_token_header *header,
                                const tsr_picture *picture, const tsr_target *target,
                                tsr_item *item, uint32_t *decodes) {
    tsr_status status = tsr_target_check(t->ctx, target);
    if (status) return status;
    tsr_token_item *tokens = tsr_item_edit(item);
    if (!t->header.nested)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: target: wanted a tokenizer whose prefixes are pictures, got one "
                        "whose ids are all needed",
                        t->header.tokenizer);
    search s = {.t = t, .header = header, .item = tokens, .metric = target->metric, .decodes = 0};
    tsr_item_size(header, tokens, &s.width, &s.height);
    const size_t bytes = (size_t)s.width * (size_t)s.height * 3;
    s.want = tsr_alloc(t->ctx, bytes, 1, "target: picture");
    s.got = tsr_alloc(t->ctx, bytes, 1, "target: picture");
    status = s.want && s.got ? draw_wanted(&s, picture) : TSR_ERROR_MEMORY;
    uint32_t most = 0, count;
    for (uint32_t tile = 0; tile < tokens->tile_columns * tokens->tile_rows; ++tile)
        if (tokens->counts[tile] > most) most = tokens->counts[tile];
    const double sign = metrics[target->metric].sign, wanted = sign * (double)target->wanted;
    double reached = 0;
    if (!status) status = score(&s, most, &reached);
    if (!status && reached >= wanted) {
        status = smallest(&s, wanted, most, reached, &count, &reached);
        if (!status) tsr_item_shorten(item, count);
    }
    if (!status) {
        tokens->target = *target;
        tokens->target.reached = (float)(sign * reached);
    }
    free(s.want);
    free(s.got);
    if (decodes) *decodes = s.decodes;
    return status;
}
