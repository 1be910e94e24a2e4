/* SPDX-License-Identifier: MIT */
/* quantizer.h: from vectors to ids and back. Knows no model: vectors are host rows [n, dim] of f32,
 * codebooks [k, dim]. Work goes to any device in chunks of rows whose size depends on `dim` alone;
 * the n x k matrix of distances never exists. Ids do not depend on chunk size or thread count. */
#ifndef QUANTIZER_QUANTIZER_H
#define QUANTIZER_QUANTIZER_H

#include <tessera/tessera.h>

#include "../compute/device.h"
#include "../compute/ops.h"

/* ---- vq.c: one codebook ------------------------------------------------------------------ */

/* Largest magnitude of an element: squares of rows then stay finite in f32. */
#define TSR_VQ_MAX_VALUE 1e15f

/* Rows of a chunk for this width: 64 .. 16384. */
int64_t tsr_vq_chunk_rows(int64_t dim);

/* Decisions of different devices may differ only where the margin (second best minus best squared
 * distance) is below this: twice the worst rounding error of two f32 dot products of `dim` terms
 * with vectors of these lengths (Higham's gamma). Such rows are counted as near ties. */
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
    int64_t k, dim, rows; /* rows: the largest chunk */
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

/* rows 0 = tsr_vq_chunk_rows(dim). `sums` reserves room for segment sums. */
tsr_status tsr_vq_pass_open(tsr_device *device, tsr_vq_pass *pass, int64_t k, int64_t dim,
                            tsr_metric metric, int64_t rows, bool sums);
void tsr_vq_pass_close(tsr_vq_pass *pass); /* harmless on a zeroed or closed pass */
void tsr_vq_pass_set_codes(tsr_vq_pass *pass, const float *codes);
/* Fills ids, margin, distance, error (and sums, counts when reserved) for n <= rows rows. */
tsr_status tsr_vq_pass_run(tsr_vq_pass *pass, const float *x, int64_t n);

/* Nearest code of each row: ids [n], margins [n] or NULL, *near_ties or NULL. chunk 0 = default. */
tsr_status tsr_vq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                         const float *codes, int64_t k, tsr_metric metric, int64_t chunk,
                         int32_t *ids, float *margins, uint64_t *near_ties);

/* ---- rvq.c: residual stages -------------------------------------------------------------- */

typedef struct tsr_rvq_report {
    double error;       /* sum of squared elements of what the last stage left (cosine: of the
                           normalised row minus its code) */
    uint64_t near_ties; /* over all stages */
} tsr_rvq_report;

/* Stage s quantises what stage s-1 left: r = r - code, in f32. codes [stages, k, dim], ids
 * [n, stages], uses [stages, k] counts (added to) or NULL. Cosine allows one stage only. */
tsr_status tsr_rvq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, tsr_metric metric,
                          int64_t chunk, uint32_t *ids, uint64_t *uses, tsr_rvq_report *report);
/* Sum of the stages' codes, stage 0 first: x [n, dim]. TOKENS when an id is not below k. */
tsr_status tsr_rvq_decode(tsr_context *ctx, const uint32_t *ids, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, float *x);

/* ---- kmeans.c, kmeans_seed.c ------------------------------------------------------------- */

typedef struct tsr_kmeans_settings {
    int64_t codes;
    uint32_t iterations;
    double tolerance;
    uint64_t seed, stream; /* stream: residual stage, so that stages draw different numbers */
    tsr_metric metric;
    tsr_progress_fn progress; /* or NULL */
    void *progress_user;
} tsr_kmeans_settings;

typedef struct tsr_kmeans_report {
    double error; /* sum over rows of the squared distance to the code, cosine: normalised */
    uint64_t used, revived;
    double perplexity;
    uint32_t iterations;
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

/* Which numbers of the generator serve what; the stream is purpose + 8 * settings->stream. */
enum { TSR_DRAW_SAMPLE = 0, TSR_DRAW_SEED = 1, TSR_DRAW_REVIVE = 2 };

/* Draws index i with probability weight[i] / sum: weights in tiles of TSR_DRAW_TILE with the tiles'
 * sums beside them. `u` is uniform in [0, 1). -1 when all weights are 0. */
enum { TSR_DRAW_TILE = 1024 };
int64_t tsr_draw(const float *weight, int64_t n, const double *tile_sum, double u);
double tsr_draw_tile_sum(const float *weight, int64_t n, int64_t tile);

/* exp of the entropy of code use; *used gets the number of codes with rows. */
double tsr_perplexity(const uint64_t *uses, int64_t k, uint64_t *used);

/* ---- fsq_levels.c: finite scalar quantisation ---------------------------------------------- */

/* An id is a mixed-radix number of one digit for each channel, first channel least significant:
 * id = sum of digit_c * product of the levels before c. digit = rounded value + level/2. */

/* Levels: 1 .. TSR_FSQ_MAX_LEVELS of them, each 2 .. 1000 (beyond, the usual bound factor of 1.001
 * reaches past the last level), product at most 2^31 - 1, which goes to
 * *codebook (may be NULL). */
tsr_status tsr_levels_check(tsr_context *ctx, const int *levels, int count, int64_t *codebook);
int32_t tsr_levels_pack(const int *levels, int count, const int *digits);
void tsr_levels_unpack(const int *levels, int count, int32_t id, int *digits);
/* Code of a digit: (digit - level/2) / (level/2), in -1 .. 1. */
float tsr_levels_value(int level, int digit);
/* Bounded values to id: half to even, then clamped to the digits there are (NaN: the lowest).
 * codes [count] may be NULL. */
int32_t tsr_levels_round(const int *levels, int count, const float *bounded, float *codes);
/* Smallest distance of a bounded value to a rounding boundary, 0 .. 0.5: devices may round otherwise
 * where it is small. NaN and infinities count as 0.5, since their digits are certain. */
float tsr_levels_margin(int count, const float *bounded);
/* Codes as floats back to the id they stand for. */
int32_t tsr_levels_id(const int *levels, int count, const float *codes);

/* On a device. z [n, count] -> bounded, codes [n, count], ids [n]; outputs may be NULL. */
tsr_status tsr_fsq_quantize(tsr_device *device, const float *z, int64_t n, const int *levels,
                            int count, float *bounded, float *codes, int32_t *ids);
/* bounded [n, count] (as quantize gives them) -> codes, ids; outputs may be NULL. */
tsr_status tsr_fsq_round_rows(tsr_device *device, const float *bounded, int64_t n,
                              const int *levels, int count, float *codes, int32_t *ids);
/* ids [n] -> codes [n, count]. TOKENS when an id is outside the codebook. */
tsr_status tsr_fsq_dequantize(tsr_device *device, const int32_t *ids, int64_t n, const int *levels,
                              int count, float *codes);

#endif
