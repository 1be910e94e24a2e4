/* SPDX-License-Identifier: MIT */
/* verify_picture.h: what golden cases with pictures, feature maps and nearest codes share. */
#ifndef VERIFY_VERIFY_PICTURE_H
#define VERIFY_VERIFY_PICTURE_H

#include "verify.h"
#include "verify_weights.h"

/* Reads the picture that the manifest's inputs call `name`: RGB [height, width, 3], malloc'd; free
 * with free(). NULL after a failure. */
uint8_t *tsr_verify_picture(tsr_verify *v, const char *name, int *width, int *height);
/* Byte of channel c at column x and row y of the picture that cases make by formula
 * (golden/ms-ssim). */
uint8_t tsr_verify_formula(int64_t x, int64_t y, int64_t c);
/* Reads the two pictures, of one size, that the run's list `field` names; rgb[0] and rgb[1] are
 * malloc'd or NULL: free both with free(). */
void tsr_verify_pair(tsr_verify *v, const char *field, tsr_picture pair[2], uint8_t *rgb[2]);
/* Turns [count, height, width, channels] to [count, channels, height, width], malloc'd; free with
 * free(). NULL after a failure: MEMORY. */
float *tsr_verify_channels_first(tsr_verify *v, const float *data, const int64_t *dim);
/* Compares [count, height, width, channels] with an entry that has channels before height. The
 * entry's shape begins with count if `batched`; otherwise count is 1 and the entry has 3 axes. */
void tsr_verify_planar(tsr_verify *v, const char *output, const float *got, int64_t count,
                       int64_t height, int64_t width, int64_t channels, bool batched);
/* Compares ids and margins, both of shape `dim`, with the outputs "ids" and "margin". Near ties
 * (tsr_verify_near_ties) may have another id. */
void tsr_verify_ids(tsr_verify *v, const int32_t *ids, const float *margin, int rank,
                    const int64_t *dim);

#endif
