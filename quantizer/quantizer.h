/* SPDX-License-Identifier: MIT */
/* quantizer.h: from vectors to ids and back, without knowledge of models. Vectors are host rows [n,
 * dim] of f32, codebooks are [k, dim]. Work goes to any device in chunks of rows whose size depends
 * on `dim` alone; the n x k matrix of distances never exists. Ids do not depend on chunk size or
 * thread count. */
#ifndef QUANTIZER_QUANTIZER_H
#define QUANTIZER_QUANTIZER_H

#include <tessera/tessera.h>

#include "../compute/device.h"
#include "../ops/ops.h"

/* ---- vq.c: one codebook ------------------------------------------------------------------ */

/* Largest magnitude of an element: squares of rows then stay finite in f32. */
#define TSR_VQ_MAX_VALUE 1e15f

/* Rows of a chunk for rows of `dim` elements: 64 .. 16384. */
int64_t tsr_vq_chunk_rows(int64_t dim);

/* Bound of a near tie. Devices may decide differently only where the margin (second best less best
 * squared distance) is below the bound: twice the worst rounding error of two f32 dot products of
 * `dim` terms with vectors of these lengths (Higham's gamma). */
double tsr_vq_tie_bound(int64_t dim, double row_length, double code_length);

/* Fails with ARGUMENT naming the first element, in row order, that is not finite or too large. */
tsr_status tsr_vq_check(tsr_context *ctx, const char *what, const float *x, int64_t n, int64_t dim);

/* One codebook on a device, ready for chunk after chunk.
 * Rows and codes are staged before they reach the device: Euclid takes the codebook's mean away
 * from both (distances stay, rounding errors of data far from the origin do not), cosine divides
 * both by their length (a row of zeros stays zero and takes any code; it counts as a near tie). */
typedef struct tsr_vq_pass {
    tsr_device *device;
    tsr_metric metric;
    int64_t k, dim, rows; /* rows: most rows of a chunk */
    float *codes;         /* [k, dim] staged */
    float *shift;         /* [dim], zeros for cosine */
    double code_length;   /* of the longest staged code */
    float *x;             /* [rows, dim] staged */
    int32_t *ids;         /* [rows] */
    float *margin;        /* [rows] */
    double *distance;     /* [rows] squared, of the staged row to its code, in float64 */
    float *sums;          /* [k, dim] of staged rows, with `sums` */
    int32_t *counts;      /* [k], with `sums` */
    double error;         /* sum of distance over the last chunk */
    uint64_t near_ties;   /* over all chunks since open */
} tsr_vq_pass;

/* Opens a pass over chunks of at most `rows` rows; 0 is tsr_vq_chunk_rows(dim). `sums` allocates
 * sums and counts. Errors: MEMORY. */
tsr_status tsr_vq_pass_open(tsr_device *device, tsr_vq_pass *pass, int64_t k, int64_t dim,
                            tsr_metric metric, int64_t rows, bool sums);
/* Frees the memory of a pass. A zeroed or closed pass is accepted. */
void tsr_vq_pass_close(tsr_vq_pass *pass);
/* Stages a codebook [k, dim]. */
void tsr_vq_pass_set_codes(tsr_vq_pass *pass, const float *codes);
/* Assigns x [n, dim], n <= rows: fills ids, margin, distance and error, and sums and counts when
 * they were allocated. Errors: those of the device. */
tsr_status tsr_vq_pass_run(tsr_vq_pass *pass, const float *x, int64_t n);

/* Finds the nearest code of each row of x [n, dim]: ids [n], and margins [n] and *near_ties unless
 * NULL. `chunk` is the rows of a chunk; 0 is tsr_vq_chunk_rows(dim). Errors: MEMORY, those of the
 * device. */
tsr_status tsr_vq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                         const float *codes, int64_t k, tsr_metric metric, int64_t chunk,
                         int32_t *ids, float *margins, uint64_t *near_ties);

/* ---- rvq.c: residual stages -------------------------------------------------------------- */

typedef struct tsr_rvq_report {
    double error; /* sum of squared elements of the last residual; with cosine, of the normalised
                     row less its code */
    uint64_t near_ties; /* over all stages */
} tsr_rvq_report;

/* Assigns x [n, dim] stage by stage: each stage quantizes the residual r = r - code of the stage
 * before, in f32. codes is [stages, k, dim], ids [n, stages]. Counts are added to uses [stages, k]
 * unless NULL. Cosine allows one stage only. */
tsr_status tsr_rvq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, tsr_metric metric,
                          int64_t chunk, uint32_t *ids, uint64_t *uses, tsr_rvq_report *report);
/* Decodes ids [n, stages] to x [n, dim], the sum of the stages' codes, stage 0 first. Errors:
 * TOKENS (an id is not below k). */
tsr_status tsr_rvq_decode(tsr_context *ctx, const uint32_t *ids, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, float *x);

/* ---- kmeans.c, kmeans_seed.c ------------------------------------------------------------- */

typedef struct tsr_kmeans_settings {
    int64_t codes;       /* k; no default */
    uint32_t iterations; /* at most; no default */
    double tolerance;  /* training ends when the error falls by less than this share; no default */
    uint64_t seed;     /* of the random numbers; default 0 */
    uint64_t stream;   /* residual stage, so that stages draw different numbers; default 0 */
    tsr_metric metric; /* default TSR_METRIC_EUCLID */
    tsr_progress_fn progress; /* default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_kmeans_settings;

typedef struct tsr_kmeans_report {
    double error; /* sum over rows (normalised with cosine) of the squared distance to the code */
    uint64_t used, revived; /* codes with rows; codes without rows that were moved to a row */
    double perplexity;      /* tsr_perplexity of code use */
    uint32_t iterations;    /* that were done */
} tsr_kmeans_report;

/* Trains codes [k, dim]. x was checked with tsr_vq_check and has at least k rows.
 * Lloyd's algorithm from k-means++ seeds. The objective never rises: a step that would raise it (by
 * rounding, near the end) is taken back and ends the training. A code without rows is moved to a
 * row drawn with probability proportional to its squared distance. Same seed, device and input:
 * same bytes, for every thread count. */
tsr_status tsr_kmeans(tsr_device *device, const float *x, int64_t n, int64_t dim,
                      const tsr_kmeans_settings *settings, float *codes, tsr_kmeans_report *report);

/* k-means++ (Arthur, Vassilvitskii 2007): the first code is a row drawn uniformly, each next one a
 * row drawn with probability proportional to its squared distance to the nearest code so far. Draws
 * from at most max(65536, 16 k) rows, one out of each of as many equal stretches of x. */
tsr_status tsr_kmeans_seed(tsr_context *ctx, const float *x, int64_t n, int64_t dim,
                           const tsr_kmeans_settings *settings, float *codes);

/* Purpose of random numbers; the stream of the generator is purpose + 8 * settings->stream. */
enum { TSR_DRAW_SAMPLE = 0, TSR_DRAW_SEED = 1, TSR_DRAW_REVIVE = 2 };

/* Weights in a tile of tsr_draw. */
enum { TSR_DRAW_TILE = 1024 };
/* Draws index i with probability weight[i] / sum of the weights. tile_sum holds the sum of each
 * tile, u is uniform in [0, 1). Returns -1 when all weights are 0. */
int64_t tsr_draw(const float *weight, int64_t n, const double *tile_sum, double u);
/* Sum of the weights of one tile. */
double tsr_draw_tile_sum(const float *weight, int64_t n, int64_t tile);

/* exp of the entropy of code use, from the rows of each code; *used becomes the number of codes
 * with rows. */
double tsr_perplexity(const uint64_t *uses, int64_t k, uint64_t *used);

/* ---- fsq_levels.c: finite scalar quantisation ---------------------------------------------- */

/* An id is a mixed-radix number of one digit for each channel, first channel least significant:
 * id = sum of digit_c * product of the levels before c. digit = rounded value + level/2. */

/* Checks levels: `count` is 1 .. TSR_FSQ_MAX_LEVELS, each level 2 .. 1000 (beyond, the usual bound
 * factor of 1.001 reaches past the last level), the product at most 2^31 - 1. *codebook becomes the
 * product; codebook may be NULL. Errors: ARGUMENT. */
tsr_status tsr_levels_check(tsr_context *ctx, const int *levels, int count, int64_t *codebook);
/* Id of digits [count]. */
int32_t tsr_levels_pack(const int *levels, int count, const int *digits);
/* Digits [count] of an id. */
void tsr_levels_unpack(const int *levels, int count, int32_t id, int *digits);
/* Code of a digit: (digit - level/2) / (level/2), in -1 .. 1. */
float tsr_levels_value(int level, int digit);
/* Rounds bounded values [count], half to even, clamps them to the digits of each level (NaN: the
 * lowest), and returns the id. codes [count] gets the values of the digits; it may be NULL. */
int32_t tsr_levels_round(const int *levels, int count, const float *bounded, float *codes);
/* Smallest distance of bounded values [count] to a rounding boundary, 0 .. 0.5. Devices may round
 * differently where the distance is small. NaN and infinities count as 0.5, since their digits are
 * certain. */
float tsr_levels_margin(int count, const float *bounded);
/* Id of codes [count]. */
int32_t tsr_levels_id(const int *levels, int count, const float *codes);

/* Quantizes z [n, count] on a device: bounded and codes [n, count], ids [n]. Outputs may be NULL.
 */
tsr_status tsr_fsq_quantize(tsr_device *device, const float *z, int64_t n, const int *levels,
                            int count, float *bounded, float *codes, int32_t *ids);
/* Rounds bounded values [n, count] of tsr_fsq_quantize: codes [n, count], ids [n]. Outputs may be
 * NULL.
 */
tsr_status tsr_fsq_round_rows(tsr_device *device, const float *bounded, int64_t n,
                              const int *levels, int count, float *codes, int32_t *ids);
/* Decodes ids [n] to codes [n, count]. Errors: TOKENS (an id outside the codebook). */
tsr_status tsr_fsq_dequantize(tsr_device *device, const int32_t *ids, int64_t n, const int *levels,
                              int count, float *codes);

#endif
