/* SPDX-License-Identifier: MIT */
/* statistics.h: numbers of sets of pictures: how far two distributions of features are from each
 * other (Frechet distance, KID, precision and recall), Inception Score, pooled PSNR; and the
 * similarities of pairs that come in several forms (SSIM, MS-SSIM). Every number stands for a
 * protocol, which its comment names. Distances of single pairs and clips are in evaluate.h,
 * networks in judges.h.
 *
 * All sums are in float64 and in an order that does not depend on threads. Features are f32 [rows,
 * columns], row by row. The conventions of tessera.h hold here, too. */
#ifndef TESSERA_STATISTICS_H
#define TESSERA_STATISTICS_H

#include "judges.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pairs --------------------------------------------------------------------------------- */

/* Structural similarities of two 8-bit RGB pictures in the forms that libraries print. NaN where a
 * side is too small. K1 0.01, K2 0.03, L 255, 11x11 gaussian of sigma 1.5 throughout. */
typedef struct tsr_structure {
    double ssim_gaussian;     /* Wang et al. 2004: places where the window lies inside; sides from
                                 11 on. As in tsr_evaluation, piq's ssim with full resolution */
    double ssim_torchmetrics; /* torchmetrics from 1.4.2 on: the picture is reflected by 5 pixels
                                 around, every place counts; sides
                                 from 6 on */
    double ms_ssim_piq;       /* piq's multi_scale_ssim: each channel for itself: means over places
                                 of contrast at 5 scales and of SSIM at the last, below 0 set to 0,
                                 to the powers .0448 .2856 .3001 .2363 .1333, multiplied; then the
                                 mean over channels. Where a side is odd, a row and a column are
                                 repeated in front before halving. Sides from 161 on */
    double ms_ssim_torchmetrics; /* torchmetrics' class (normalize="relu"): means over channels and
                                    places before the powers; SSIM of the last scale over the
                                    reflected picture; odd sides lose their last line. Sides from
                                    176 on */
    double
        ms_ssim_torchmetrics_cropped; /* torchmetrics before 1.4.2: SSIM of the last scale over
                                         places where the window lies inside. Sides from 176 on */
} tsr_structure;
/* Measures two pictures in memory, RGB [height, width, 3]. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_structure_measure(tsr_context *ctx, const uint8_t *original,
                                 const uint8_t *reconstruction, int width, int height,
                                 tsr_structure *structure);
/* PSNR of a whole set, as torchmetrics pools it: 10 log10(255^2 / mean squared error of all
 * values), from each picture's mse (of tsr_evaluation) and number of pixels. Infinity without
 * error, NaN of no picture. Higher errors weigh more than in the mean of the pictures' PSNR. */
double tsr_psnr_pooled(const double *mse, const uint64_t *pixels, uint64_t count);

/* ---- sets of features ---------------------------------------------------------------------- */

/* Frechet distance of two gaussians (Dowson and Landau 1982; FID, Heusel et al. 2017):
 * |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), covariances divided by rows - 1. */
typedef struct tsr_frechet {
    double distance; /* at least 0 */
    double mean_term, trace1, trace2, trace_sqrt;
    uint64_t rows1, rows2, columns;
    int biased; /* 1: fewer than 2,048 rows in a set: the estimate is too high, by about 1 / rows,
                   and comparable with nothing but equally many pictures; the covariance is
                   singular, which the computation allows for */
} tsr_frechet;
/* The distance of two sets of features. Where a set has fewer rows than columns, tr sqrt(S1 S2) is
 * the sum of the singular values of C1 C2^T / sqrt((n1 - 1)(n2 - 1)), C the centred features;
 * otherwise the sum of the roots of the eigenvalues of L^T S2 L, S1 = L L^T. Either is within 1e-9
 * of the traces where the spectra span less than 14 digits; torch-fidelity's and pytorch-fid's own
 * roots differ from it by up to 3e-5 where covariances are singular. Errors: ARGUMENT (fewer than 2
 * rows); MODEL (a feature is not finite); MEMORY. */
tsr_status tsr_frechet_distance(tsr_context *ctx, const float *a, uint64_t rows_a, const float *b,
                                uint64_t rows_b, uint64_t columns, tsr_frechet *frechet);
/* Mean [columns] and covariance [columns, columns] of features, what reference files hold as `mu`
 * and `sigma`. Errors: as above. */
tsr_status tsr_feature_statistics(tsr_context *ctx, const float *features, uint64_t rows,
                                  uint64_t columns, double *mean, double *covariance);
/* The distance of two sets of which only statistics are known; rows_* are reported. Errors:
 * ARGUMENT; MODEL (a value is not finite); MEMORY. */
tsr_status tsr_frechet_statistics(tsr_context *ctx, const double *mean_a,
                                  const double *covariance_a, uint64_t rows_a, const double *mean_b,
                                  const double *covariance_b, uint64_t rows_b, uint64_t columns,
                                  tsr_frechet *frechet);

/* A mean over parts, and the population deviation of the parts. */
typedef struct tsr_spread {
    double mean, deviation;
    uint64_t parts;
} tsr_spread;

/* Kernel Inception distance (Binkowski et al. 2018) as torch-fidelity has it: the unbiased squared
 * MMD under (x.y / columns + 1)^3 of `subsets` (0: 100) subsets of `size` rows (0: 1000, or the
 * smaller set's rows where that is less), drawn from each set without repetition by NumPy's
 * RandomState(seed) (torch-fidelity: 2020). May be slightly negative. per_subset [subsets] or NULL.
 * drawn [subsets, 2, size] or NULL: the rows of the first and of the second set. Errors: ARGUMENT
 * (a subset larger than a set, or below 2); MODEL; MEMORY. */
tsr_status tsr_kid(tsr_context *ctx, const float *a, uint64_t rows_a, const float *b,
                   uint64_t rows_b, uint64_t columns, uint32_t subsets, uint32_t size,
                   uint32_t seed, tsr_spread *kid, double *per_subset, uint32_t *drawn);

/* Inception Score (Salimans et al. 2016) as torch-fidelity has it: probabilities of `logits` [rows,
 * classes] (Inception's logits_unbiased), rows in the order of RandomState(seed), `splits` (0: 10)
 * parts, exp of the mean divergence from each part's mean. per_split [splits] and order [rows] or
 * NULL. Errors: ARGUMENT (fewer rows than parts); MODEL; MEMORY. */
tsr_status tsr_inception_score(tsr_context *ctx, const float *logits, uint64_t rows,
                               uint64_t classes, uint32_t splits, uint32_t seed, tsr_spread *score,
                               double *per_split, uint32_t *order);

/* Precision and recall of Kynkaanniemi et al. 2019: a point's ball reaches its k-th neighbour of
 * its own set (0: the third). */
typedef struct tsr_precision_recall {
    double precision; /* share of generated points in a ball of a real one */
    double recall;    /* share of real points in a ball of a generated one */
    double f_score;   /* 2 P R / max(1e-5, P + R) */
} tsr_precision_recall;
/* Measures two sets by Euclidean distances in float64 (torch-fidelity's are f32: points on an edge
 * may differ; its versions up to 0.4.0 had the two numbers exchanged). radius_* [rows] or NULL.
 * Errors: ARGUMENT (no more rows than k); MODEL; MEMORY. */
tsr_status tsr_precision_recall_measure(tsr_context *ctx, const float *generated,
                                        uint64_t rows_generated, const float *real,
                                        uint64_t rows_real, uint64_t columns, uint32_t k,
                                        tsr_precision_recall *result, double *radius_generated,
                                        double *radius_real);

/* The generator of NumPy's RandomState: MT19937 (Matsumoto and Nishimura 1998) and the permutation
 * drawn from it, so that subsets are those of the Python programs. */
typedef struct tsr_random_state {
    uint32_t word[624];
    int next;
} tsr_random_state;
void tsr_random_state_seed(tsr_random_state *state, uint32_t seed);
/* The next 32 bits. */
uint32_t tsr_random_state_next(tsr_random_state *state);
/* permutation(count) into order [count]. */
void tsr_random_state_permutation(tsr_random_state *state, uint32_t count, uint32_t *order);

/* ---- features kept in a file --------------------------------------------------------------- */

/* Everything that decides features. Two sets of features may be compared, and a kept one may be
 * taken instead of a new one, only where all of it is equal. */
typedef struct tsr_feature_key {
    char judge[64], output[24], preparation[24]; /* names, as in tsr_judge_info */
    uint64_t weights;                            /* tsr_judge_info.weights_hash */
    char device[64];                             /* "cpu", "vulkan": bits differ */
    char pictures[65];                           /* tsr_picture_digest of all pictures, in order */
    uint64_t rows;                               /* pictures */
    uint32_t columns;
} tsr_feature_key;
/* A digest of pictures, one after the other: SHA-256 of sizes and pixels. Begin with a NULL
 * *digest; `end` writes 64 hexadecimal digits, and frees and zeroes it; with hex NULL it only
 * frees. Errors: MEMORY. */
typedef struct tsr_picture_digest tsr_picture_digest;
tsr_status tsr_picture_digest_add(tsr_context *ctx, tsr_picture_digest **digest,
                                  const tsr_picture *picture);
void tsr_picture_digest_end(tsr_picture_digest **digest, char hex[65]);
/* Writes features [rows, columns] with their key as safetensors: tensor "features", metadata
 * "tessera.features.*". The file appears under `path` when it is complete. Errors: writing errors;
 * ARGUMENT. */
tsr_status tsr_feature_cache_write(tsr_context *ctx, const char *path, const tsr_feature_key *key,
                                   const float *features);
/* Reads features, which the caller frees with free(), if the file was made of what `key` says.
 * Errors: reading errors; STATE (made of something else; the detail names the field, wanted and
 * got); FORMAT; MEMORY. */
tsr_status tsr_feature_cache_read(tsr_context *ctx, const char *path, const tsr_feature_key *key,
                                  float **features);

#ifdef __cplusplus
}
#endif
#endif
