/* SPDX-License-Identifier: MIT */
/* sampling.c: see sampling.h. */
#include "sampling.h"

static bool guidance_can_be(float guidance) {
    return guidance >= TSR_MIN_GUIDANCE && guidance <= TSR_MAX_GUIDANCE;
}

tsr_status tsr_sampling_apply(tsr_context *ctx, const tsr_sampling_settings *s,
                              tsr_decode_hints *h) {
    if ((int)s->mode < TSR_GUIDANCE_AUTO || s->mode > TSR_GUIDANCE_CFG)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance mode: wanted 0 to 2, got %d",
                        (int)s->mode);
    if (s->steps > TSR_MAX_STEPS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "steps: wanted 1 to %d, got %u", TSR_MAX_STEPS,
                        s->steps);
    if (s->guidance != 0 && !guidance_can_be(s->guidance))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance: wanted %g to %g, got %g",
                        (double)TSR_MIN_GUIDANCE, (double)TSR_MAX_GUIDANCE, (double)s->guidance);
    if (s->mode) h->plain = s->mode == TSR_GUIDANCE_CFG;
    if (s->steps) h->steps = s->steps;
    if (s->guidance != 0) h->guidance = s->guidance;
    if (s->seed) h->seed = s->seed;
    return TSR_OK;
}

tsr_status tsr_sampling_choose(tsr_tokenizer *t, const tsr_decode_hints *file,
                               const tsr_decode_settings *settings, tsr_decode_hints *h) {
    const tsr_sampling_settings *s = &settings->sampling;
    *h = t->header.hints;
    if (h->present && file->present) { /* which advises: what makes no sense is not followed */
        h->plain = file->plain;
        h->seed = file->seed;
        if (file->steps && file->steps <= TSR_MAX_STEPS) h->steps = file->steps;
        if (guidance_can_be(file->guidance)) h->guidance = file->guidance;
    }
    if (!h->present && (s->steps || s->guidance != 0 || s->mode || s->seed || settings->noise))
        return tsr_fail(
            t->model.ctx, TSR_ERROR_ARGUMENT,
            "steps, guidance, its mode, seed and noise: wanted none with %s, whose decoder does "
            "not sample",
            t->header.tokenizer);
    return tsr_sampling_apply(t->model.ctx, s, h);
}
