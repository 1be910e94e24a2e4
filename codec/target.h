/* SPDX-License-Identifier: MIT */
/* target.h: a quality that a picture's ids shall reach. */
#ifndef CODEC_TARGET_H
#define CODEC_TARGET_H

#include "../nn/family.h"

/* 1 where more of the metric is better, else -1. */
double tsr_target_sign(tsr_target_metric metric);
/* ARGUMENT unless the metric is known and the value in its range. */
tsr_status tsr_target_check(tsr_context *ctx, const tsr_target *target);
/* Whether the value does. */
bool tsr_target_met(const tsr_target *target, double value);
/* About which tolerated error reaches it; 0: cannot be said. */
float tsr_target_tolerance(const tsr_target *target);
/* Index of the tolerated error that stands for `quality` (0: none is asked for). */
int tsr_tolerance_index(const tsr_tolerances *tolerances, float quality);

#endif
