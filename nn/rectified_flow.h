/* SPDX-License-Identifier: MIT */
/* rectified_flow.h: sampling x from noise along straight lines (X. Liu et al. 2022) with Euler
 * steps, and guidance: classifier-free (J. Ho, T. Salimans 2022), or normalised and projected (APG,
 * S. Sadat et al. 2024). Knows no model: velocities come from a callback. */
#ifndef NN_RECTIFIED_FLOW_H
#define NN_RECTIFIED_FLOW_H

#include <stdbool.h>

#include "../compute/context.h"
#include <tessera/tessera.h>

typedef struct tsr_flow_step { /* what one step was made of, for verification; [B, n] each */
    int number;                /* 1 .. steps */
    const float *x, *vc, *vu, *momentum, *orthogonal, *v;
} tsr_flow_step;

typedef struct tsr_flow_settings {
    int steps;       /* 1 or more; t = 1, (steps-1)/steps, ... 1/steps */
    float guidance;  /* 1 = conditional pass alone */
    bool normalized; /* APG instead of plain guidance */
    tsr_progress_fn progress;
    void *progress_user;
    uint64_t progress_done, progress_total; /* steps times pictures before these, and of all */
    void (*see)(void *user, const tsr_flow_step *step);
    void *see_user;
} tsr_flow_settings;

/* Velocities [B, n] at x and time t = step / steps; vu is NULL without guidance. */
typedef tsr_status (*tsr_velocity_fn)(void *user, int step, const float *x, float *vc, float *vu);

/* x [B, n]: noise on entry (t = 1), the sample on return (t = 0). */
tsr_status tsr_flow_sample(tsr_context *ctx, const tsr_flow_settings *settings,
                           tsr_velocity_fn velocity, void *user, int64_t count, int64_t n,
                           float *x);

#endif
