/* SPDX-License-Identifier: MIT */
/* judge_metrics.h: what metrics with a network share: which weights they take. */
#ifndef METRICS_JUDGE_METRICS_H
#define METRICS_JUDGE_METRICS_H

#include <tessera/judges.h>

#include "metric.h"

/* Opens the judge of settings->weights, or of the fetched model that the catalog calls `published`;
 * it must be of this family, and be called `name` where the family has several networks. Errors:
 * NOT_FOUND, MODEL_MISMATCH, those of tsr_judge_open. */
tsr_status tsr_metric_judge_open(tsr_context *ctx, const tsr_metric_settings *settings,
                                 const char *name, const char *published, const char *family,
                                 tsr_judge **judge);
/* Fills *model from an open judge. */
void tsr_metric_judge_model(const tsr_judge *judge, tsr_metric_model *model);

#endif
