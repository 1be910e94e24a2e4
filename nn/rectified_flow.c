/* SPDX-License-Identifier: MIT */
/* rectified_flow.c: x_t = t noise + (1 - t) data, so the model's velocity is noise - data and a
 * step from t to t - 1/N takes v / N away. */
#include "rectified_flow.h"
#include "../compute/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* APG as FlexTok fixes it: eta 0 (nothing of the parallel part), norm at most 2.5, momentum -0.5.
 */
static const float momentum_weight = -0.5f;
static const double norm_limit = 2.5;

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One picture. m is the momentum of the step before, and of this step on return; u gets the
 * orthogonal part. */
static void guide_normalized(float w, const float *vc, const float *vu, float *m, float *u,
                             float *v, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        m[i] = vc[i] - vu[i] + momentum_weight * m[i];
    const double norm = sqrt(dot(m, m, n));
    const float shrink = norm > norm_limit ? (float)(norm_limit / norm) : 1.0f;
    for (int64_t i = 0; i < n; ++i)
        u[i] = m[i] * shrink;
    /* u minus its projection on vc's direction, in float64 */
    const double length = fmax(sqrt(dot(vc, vc, n)), 1e-12);
    const double along = dot(u, vc, n) / length;
    for (int64_t i = 0; i < n; ++i)
        u[i] = (float)((double)u[i] - along * ((double)vc[i] / length));
    for (int64_t i = 0; i < n; ++i)
        v[i] = vc[i] + (w - 1.0f) * u[i];
}

typedef struct sampler {
    float *vc, *vu, *v, *momentum, *orthogonal;
} sampler;

static tsr_status take_step(const tsr_flow_settings *s, const sampler *at, tsr_velocity_fn velocity,
                            void *user, int number, int64_t count, int64_t n, float *x) {
    const bool guided = s->guidance != 1.0f;
    tsr_status status = velocity(user, s->steps - number + 1, x, at->vc, guided ? at->vu : NULL);
    if (status) return status;
    for (int64_t b = 0; b < count; ++b) {
        const int64_t p = b * n;
        if (!guided)
            memcpy(at->v + p, at->vc + p, (size_t)n * sizeof *x);
        else if (s->normalized)
            guide_normalized(s->guidance, at->vc + p, at->vu + p, at->momentum + p,
                             at->orthogonal + p, at->v + p, n);
        else
            for (int64_t i = p; i < p + n; ++i)
                at->v[i] = at->vu[i] + s->guidance * (at->vc[i] - at->vu[i]);
    }
    if (s->see)
        s->see(s->see_user, &(tsr_flow_step){.number = number,
                                             .x = x,
                                             .vc = at->vc,
                                             .vu = guided ? at->vu : NULL,
                                             .momentum = s->normalized ? at->momentum : NULL,
                                             .orthogonal = s->normalized ? at->orthogonal : NULL,
                                             .v = at->v});
    const float step = 1.0f / (float)s->steps;
    for (int64_t i = 0; i < count * n; ++i)
        x[i] -= step * at->v[i];
    return TSR_OK;
}

tsr_status tsr_flow_sample(tsr_context *ctx, const tsr_flow_settings *s, tsr_velocity_fn velocity,
                           void *user, int64_t count, int64_t n, float *x) {
    if (s->steps < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "steps: wanted 1 or more, got %d", s->steps);
    if (!isfinite(s->guidance))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance: wanted a finite number, got %g",
                        (double)s->guidance);
    const size_t total = (size_t)count * (size_t)n;
    tsr_scratch memory = {.ctx = ctx};
    const sampler at = {.vc = tsr_scratch_take(&memory, total, sizeof *x, "sampler"),
                        .vu = tsr_scratch_take(&memory, total, sizeof *x, "sampler"),
                        .v = tsr_scratch_take(&memory, total, sizeof *x, "sampler"),
                        .momentum = tsr_scratch_take(&memory, total, sizeof *x, "sampler"),
                        .orthogonal = tsr_scratch_take(&memory, total, sizeof *x, "sampler")};
    tsr_status status = memory.status;
    for (int number = 1; number <= s->steps && !status; ++number) {
        status = take_step(s, &at, velocity, user, number, count, n, x);
        const uint64_t done = s->progress_done + (uint64_t)number * (uint64_t)count;
        if (!status && s->progress &&
            s->progress(s->progress_user, "decode", done, s->progress_total))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "decode: stopped by the caller");
    }
    tsr_scratch_free(&memory);
    return status;
}
