/* SPDX-License-Identifier: MIT */
/* tower.h: the inside of tsr_tower, for the files of this folder. */
#ifndef CODEC_TOWER_H
#define CODEC_TOWER_H

#include "../models/model.h"

struct tsr_tower {
    tsr_model model;
    tsr_tower_info info;
};

/* Checks a request against a tower, before any picture is read. Errors: ARGUMENT, UNSUPPORTED. */
tsr_status tsr_tower_check(const tsr_tower *tower, const tsr_feature_request *request);
/* Hidden layer that a request's layer means; block that a layer of keys or attention means. */
int tsr_tower_layer(const tsr_tower *tower, int layer);
int tsr_tower_block(const tsr_tower *tower, int layer);
/* The learned row that LLaVA puts behind rows of patches and frames: image_newline [projected],
 * freed by the caller; NULL where the weights have none. Errors: the weights', MEMORY. */
tsr_status tsr_tower_newline(const tsr_tower *tower, float **newline);
/* MODEL for a feature that is not finite. */
tsr_status tsr_tower_finite(const tsr_tower *tower, const float *values, size_t count);
/* Rows and columns of attention with TSR_ATTENTION_FULL: the class row and the patches. */
int64_t tsr_tower_attended(const tsr_tower *tower, int64_t patches);

#endif
