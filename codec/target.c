/* SPDX-License-Identifier: MIT */
/* target.c: qualities that can be asked for, and tolerated errors that stand for them. */
#include "target.h"
#include "../compute/context.h"

#include <math.h>

static const struct {
    const char *name;
    double sign, least, most; /* sign -1: less is better */
} metrics[] = {
    [TSR_TARGET_PSNR] = {"psnr", 1, 0, 200},
    [TSR_TARGET_SSIM] = {"ssim", 1, -1, 1},
    [TSR_TARGET_L1] = {"l1", -1, 0, 1},
};

double tsr_target_sign(tsr_target_metric metric) {
    return metrics[metric].sign;
}

const char *tsr_target_name(tsr_target_metric metric) {
    return metric > TSR_TARGET_NONE && metric <= TSR_TARGET_L1 ? metrics[metric].name : "none";
}

bool tsr_target_met(const tsr_target *target, double value) {
    return target->metric == TSR_TARGET_L1 ? value <= (double)target->threshold
                                           : value >= (double)target->threshold;
}

tsr_status tsr_target_check(tsr_context *ctx, const tsr_target *target) {
    const tsr_target_metric m = target->metric;
    if ((int)m < TSR_TARGET_NONE || m > TSR_TARGET_L1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "target: wanted metric 0 to 3, got %d", (int)m);
    if (m && !(target->threshold >= metrics[m].least && target->threshold <= metrics[m].most))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "target %s: wanted %g to %g, got %g",
                        metrics[m].name, metrics[m].least, metrics[m].most,
                        (double)target->threshold);
    return TSR_OK;
}

float tsr_target_tolerance(const tsr_target *target) {
    const double wanted = (double)target->threshold;
    if (target->metric == TSR_TARGET_L1) return (float)fmax(wanted, 1e-6);
    /* Errors of pictures are about as Laplace distributed: mean absolute error = RMSE / sqrt 2. */
    if (target->metric == TSR_TARGET_PSNR) return (float)fmax(0.7 * pow(10, -wanted / 20), 1e-6);
    return 0;
}

int tsr_tolerance_index(const tsr_tolerances *t, float quality) {
    const float wanted = quality > 0 ? quality : t->usual;
    int i = 0;
    while (i < t->count - 1 && t->value[i] < wanted)
        i++;
    return i;
}
