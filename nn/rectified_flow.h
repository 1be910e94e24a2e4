/* SPDX-License-Identifier: MIT */
/* rectified_flow.h: sampling x from noise along straight lines (X. Liu et al. 2022) with Euler
 * steps, and guidance: classifier-free (J. Ho, T. Salimans 2022), or normalised and projected (APG,
 * S. Sadat et al. 2024). Velocities come from a callback: no model is known here. */
#ifndef NN_RECTIFIED_FLOW_H
#define NN_RECTIFIED_FLOW_H

#include <stdbool.h>

#include "../compute/context.h"
#include <tessera/tessera.h>

/* Arrays of one step, [B, n] each, for verification. */
typedef struct tsr_flow_step {
    int number; /* 1 .. steps */
    const float *x, *vc, *vu, *momentum, *orthogonal, *v;
} tsr_flow_step;

typedef struct tsr_flow_settings {
    int steps;                /* 1 or more; t = 1, (steps-1)/steps, ... 1/steps. No default */
    float guidance;           /* finite; 1: no unconditional pass. No default */
    bool normalized;          /* APG instead of plain guidance. Default: false */
    tsr_progress_fn progress; /* called after each step. Default: NULL */
    void *progress_user;      /* first argument of progress. Default: NULL */
    uint64_t progress_done;   /* steps times pictures before this call. Default: 0 */
    uint64_t progress_total;  /* steps times pictures of all calls. Default: 0 */
    void (*see)(void *user, const tsr_flow_step *step); /* looks at each step. Default: NULL */
    void *see_user;                                     /* first argument of see. Default: NULL */
} tsr_flow_settings;

/* Computes velocities [B, n] at x and time t = step / steps: conditional vc and unconditional vu.
 * vu is NULL without guidance. */
typedef tsr_status (*tsr_velocity_fn)(void *user, int step, const float *x, float *vc, float *vu);

/* Samples x [B, n]: noise on entry (t = 1), the sample on return (t = 0). B is `count`. Errors:
 * ARGUMENT (steps, guidance), INTERRUPTED by progress, MEMORY, those of velocity. */
tsr_status tsr_flow_sample(tsr_context *ctx, const tsr_flow_settings *settings,
                           tsr_velocity_fn velocity, void *user, int64_t count, int64_t n,
                           float *x);

#endif
