/* SPDX-License-Identifier: MIT */
/* spherical.h: clustering of directions, as VQToken does it: rows are divided by their length,
 * labels go by the cosine, centroids are plain means. Rows are host f32 [n, dim], checked with
 * tsr_vq_check. */
#ifndef QUANTIZER_SPHERICAL_H
#define QUANTIZER_SPHERICAL_H

#include "quantizer.h"

/* Finds the nearest centroid of each row by cosine, the lowest index on ties. Where scores of the
 * device are within rounding of each other, the decision is taken again in float64, so that labels
 * are equal on every device. margins [n] (may be NULL): second smallest minus smallest cosine
 * distance, 2 for a single centroid. distances [n] (may be NULL): 1 - cosine to the chosen
 * centroid. A row or centroid of zeros has cosine 0 with everything. */
tsr_status tsr_spherical_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                                const float *centroids, int64_t k, int32_t *labels, float *margins,
                                float *distances);

typedef struct tsr_spherical_result {
    int32_t *labels; /* [n] of the last pass */
    float *margins;  /* [n] of the last pass, or NULL */
    int32_t *counts; /* [k] */
    float *codebook; /* [k, dim] mean of the unit vectors of each label, zeros for an empty one */
    uint32_t passes;
} tsr_spherical_result;

/* Divides rows x [n, dim] by their length: unit [n, dim]. A row of zeros stays zero. */
void tsr_spherical_unit(tsr_context *ctx, const float *x, int64_t n, int64_t dim, float *unit);

/* Clusters rows from first centroids [k, dim] (tsr_kmeans_seed with TSR_METRIC_COSINE draws some)
 * in at most `passes` passes, 1 or more. The centroid of an empty cluster does not move. Clustering
 * ends when the next step would change the matrix of centroids by less than 1e-4 (Frobenius norm).
 * On return `centroids` holds those that made the labels. Sums are float64, and rows that change
 * their label leave one and join another in row order; those of the codebook are made anew, so that
 * it follows from the labels alone. The same for every thread count. Errors: ARGUMENT (1 <= k <= n
 * is asked for), MEMORY, those of the device. */
tsr_status tsr_spherical_kmeans(tsr_device *device, const float *x, int64_t n, int64_t dim,
                                int64_t k, uint32_t passes, float *centroids,
                                tsr_spherical_result *result);

/* The same of rows that tsr_spherical_unit divided, for those who cluster them several times. */
tsr_status tsr_spherical_kmeans_unit(tsr_device *device, const float *unit, int64_t n, int64_t dim,
                                     int64_t k, uint32_t passes, float *centroids,
                                     tsr_spherical_result *result);

/* Numbers clusters by their first row: labels in place, and counts and codebook with them; clusters
 * without rows come last. The order of the first centroids is then gone from the result. */
tsr_status tsr_spherical_canonical(tsr_context *ctx, int64_t n, int64_t dim, int64_t k,
                                   tsr_spherical_result *result);

/* ---- how good, how many -----------------------------------------------------------------------
 */

/* Sum over rows of the squared distance to their centroid, from what clustering left: the rows'
 * squared lengths summed, less those of the means. `square` is the sum of squared lengths of unit
 * rows, which is their number unless some are zeros. */
double tsr_spherical_distortion(const tsr_spherical_result *result, int64_t k, int64_t dim,
                                double square);
/* Mean over n rows of the cosine to their centroid, which has the direction of their sum. */
double tsr_spherical_cosine(const tsr_spherical_result *result, int64_t k, int64_t dim, int64_t n);

/* Number of clusters by the elbow rule, from the distortions of first_k, first_k + 1, ... clusters:
 * the greatest second difference, the first of equal ones. Fewer than three distortions give
 * first_k. */
int64_t tsr_elbow(const float *distortions, int64_t count, int64_t first_k);
/* Number of clusters as VQToken's released code computes it for first_k 12: max(12, argmax + 4),
 * which is not the elbow. */
int64_t tsr_elbow_released(const float *distortions, int64_t count);

#endif
