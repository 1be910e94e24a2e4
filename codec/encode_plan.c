/* SPDX-License-Identifier: MIT */
/* encode_plan.c: see encode_plan.h. Every range stands here once. */
#include "encode_plan.h"
#include "../formats/arrays/npy.h"
#include "sampling.h"
#include "target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static tsr_status check_ranges(tsr_context *ctx, const tsr_encode_settings *s) {
    const tsr_token_choice *c = &s->choice;
    if (!(c->quality >= 0 && c->quality <= 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "quality: wanted 0 to 1, got %g",
                        (double)c->quality);
    if (c->tokens && c->quality > 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tokens and quality: wanted one of them, got %u and %g", c->tokens,
                        (double)c->quality);
    if (c->target.metric && c->quality > 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "quality and target: wanted one of them, got %g and %s", (double)c->quality,
                        tsr_target_name(c->target.metric));
    if (c->target.metric && c->keep_all)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "no-halt and target: wanted one of them, got both");
    if ((int)s->fit.fit < TSR_FIT_AUTO || s->fit.fit > TSR_FIT_TILE)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fit: wanted 0 to 4, got %d", (int)s->fit.fit);
    if ((int)s->fit.resampling < TSR_RESAMPLING_AUTO || s->fit.resampling > TSR_RESAMPLING_LANCZOS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "resampling: wanted 0 to 3, got %d",
                        (int)s->fit.resampling);
    return tsr_target_check(ctx, &c->target);
}

/* What the tokenizer cannot do. */
static tsr_status check_abilities(tsr_tokenizer *t, const tsr_token_choice *c) {
    tsr_context *ctx = t->model.ctx;
    const tsr_tokenizer_ops *ops = t->model.family->tokenizer;
    const bool selects = ops->abilities & TSR_TOKENIZER_SELECTS;
    const uint32_t capacity = tsr_token_positions(&t->header);
    if (c->tokens > capacity)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokens: wanted 1 to %u, got %u", capacity,
                        c->tokens);
    if (!selects && (c->budget || c->keep_all))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: budget and no-halt: wanted none: it does not choose tokens itself",
                        t->header.tokenizer);
    if (selects && c->budget > capacity)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: budget: wanted 1 to %u, got %u",
                        t->model.file, capacity, c->budget);
    if (c->target.metric && !selects && !t->header.nested)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: target: wanted a tokenizer whose prefixes are pictures, got one "
                        "whose ids are all needed",
                        t->header.tokenizer);
    tsr_status status = tsr_tokenizer_check_prefix(t, c->tokens, selects ? 0 : c->quality);
    if (!status && c->quality > 0 && !selects && !(ops->abilities & TSR_TOKENIZER_QUALITY))
        status = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                          "%s: quality: wanted a number of tokens, got %g (%s)", t->model.file,
                          (double)c->quality, ops->no_quality);
    return status;
}

/* Header, as fit and latents of the settings change it. */
static tsr_status fill_header(tsr_tokenizer *t, const tsr_encode_settings *s, tsr_token_header *h) {
    *h = t->header;
    if (s->fit.fit != TSR_FIT_AUTO) h->fit = s->fit.fit;
    if (s->fit.resampling) h->filter = (uint32_t)s->fit.resampling - TSR_RESAMPLING_BILINEAR;
    memcpy(h->background, s->fit.background, 3);
    if (h->channels)
        h->latent_type = s->f32_latents ? TSR_LATENT_F32 : TSR_LATENT_F16;
    else if (s->f32_latents)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: latents: wanted a continuous model, got one whose tokens are ids",
                        h->tokenizer);
    return TSR_OK;
}

static tsr_status read_noise(tsr_tokenizer *t, const char *noise, tsr_encode_plan *plan) {
    if (!noise) return TSR_OK;
    if (!(t->model.family->tokenizer->abilities & TSR_TOKENIZER_DRAWS))
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: noise: wanted none: it draws no latents when it encodes, got %s",
                        t->header.tokenizer, noise);
    tsr_status status = tsr_npy_read(t->model.ctx, noise, &plan->noise);
    if (!status) plan->request.noise = &plan->noise;
    return status;
}

static void fill_request(const tsr_tokenizer *t, const tsr_token_choice *c, tsr_encode_plan *plan) {
    plan->target = c->target;
    plan->request = (tsr_encode_request){.tokens = c->tokens,
                                         .budget = c->budget,
                                         .quality = c->quality,
                                         .keep_all = c->keep_all != 0};
    if (c->target.metric && t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS)
        plan->request.quality = tsr_target_tolerance(&c->target);
}

tsr_status tsr_encode_plan_open(tsr_tokenizer *t, const tsr_encode_settings *s,
                                tsr_encode_plan *plan) {
    *plan = (tsr_encode_plan){.keep_fitted = s->keep_fitted || s->choice.target.metric,
                              .progress = s->progress,
                              .progress_user = s->progress_user};
    tsr_status status = check_ranges(t->model.ctx, s);
    if (!status) status = check_abilities(t, &s->choice);
    if (!status) status = fill_header(t, s, &plan->header);
    if (!status) fill_request(t, &s->choice, plan);
    if (!status) status = tsr_tokenizer_batch(t, s->batch, &plan->request, &plan->batch);
    if (status) return status;
    return read_noise(t, s->noise, plan);
}

tsr_status tsr_encode_plan_search(tsr_tokenizer *t, const tsr_token_header *header,
                                  const tsr_token_choice *choice, tsr_encode_plan *plan) {
    const tsr_encode_settings s = {.choice = *choice};
    *plan = (tsr_encode_plan){.header = *header};
    tsr_status status = check_ranges(t->model.ctx, &s);
    if (!status && !choice->target.metric)
        status =
            tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT, "target: wanted psnr, ssim or l1, got none");
    if (!status) status = check_abilities(t, choice);
    if (!status) fill_request(t, choice, plan);
    if (!status) status = tsr_tokenizer_batch(t, 0, &plan->request, &plan->batch);
    return status;
}

tsr_status tsr_encode_plan_set_hints(tsr_tokenizer *t, const tsr_sampling_settings *s,
                                     tsr_precision precision, tsr_encode_plan *plan) {
    tsr_decode_hints *h = &plan->header.hints;
    if (!h->present && (s->steps || s->guidance != 0 || s->mode || s->seed))
        return tsr_fail(
            t->model.ctx, TSR_ERROR_ARGUMENT,
            "steps, guidance, its mode and seed: wanted none with %s, whose decoder does not "
            "sample",
            plan->header.tokenizer);
    if (h->present) h->fast = precision == TSR_PRECISION_FAST;
    return tsr_sampling_apply(t->model.ctx, s, h);
}

/* How many tiles there is noise for; 0: a shape the family refuses. */
static uint64_t noise_tiles(const tsr_tensor *noise) {
    return noise->rank == 4 ? (uint64_t)noise->dim[0] : noise->rank == 3;
}

tsr_status tsr_encode_plan_take_noise(tsr_context *ctx, tsr_encode_plan *plan, int count) {
    const uint64_t tiles = noise_tiles(&plan->noise);
    plan->request.first_tile = plan->noise_used;
    plan->noise_used += (uint64_t)count;
    if (!plan->request.noise || !tiles || plan->noise_used <= tiles) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "noise: wanted it for at least %" PRIu64 " tiles, got it for %" PRIu64,
                    plan->noise_used, tiles);
}

tsr_status tsr_encode_plan_finish(tsr_context *ctx, const tsr_encode_plan *plan) {
    const uint64_t tiles = noise_tiles(&plan->noise);
    if (!plan->request.noise || plan->noise_used == tiles) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "noise: wanted it for %" PRIu64 " tiles, got it for %" PRIu64, plan->noise_used,
                    tiles);
}

void tsr_encode_plan_close(tsr_encode_plan *plan) {
    free(plan->noise.data);
    *plan = (tsr_encode_plan){0};
}
