/* SPDX-License-Identifier: MIT */
/* verify_picture.h: what golden cases with pictures, grids and nearest codes have in common. */
#ifndef VERIFY_VERIFY_PICTURE_H
#define VERIFY_VERIFY_PICTURE_H

#include "verify.h"
#include "verify_weights.h"

/* The picture the manifest's inputs call `name`; malloc'd RGB. */
tsr_status tsr_verify_picture(tsr_verify *v, const cJSON *run, const char *name, uint8_t **rgb,
                              int *width, int *height);
/* Compares [count, height, width, channels], channels last, with an entry that has them first;
 * with `batched` the entry has the first axis too, else count is 1. */
tsr_status tsr_verify_planar(tsr_verify *v, const cJSON *run, const char *output, const float *got,
                             int64_t count, int64_t height, int64_t width, int64_t channels,
                             bool batched);
/* Compares ids and margins; where the stored margin is below the case's bound another id is as
 * right, and is counted. */
tsr_status tsr_verify_ids(tsr_verify *v, const cJSON *run, const int32_t *ids, const float *margin,
                          int rank, const int64_t *dim);

#endif
