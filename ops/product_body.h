/* SPDX-License-Identifier: MIT */
/* product_body.h: which shader computes a product on a GPU, and in which tiles; for linear and
 * conv2d. Neither the shader nor the order of a sum depends on the number of rows, so that a batch
 * of any size gives the same bits; the tile may, as each sum goes through k in the same steps. */
#ifndef OPS_PRODUCT_BODY_H
#define OPS_PRODUCT_BODY_H

#include "../compute/op.h"

/* Names of the shader variants of linear or conv2d. [0] has f32 weights, [1] f16 weights. */
typedef struct product_variants {
    const char *sg[2];              /* subgroup broadcast */
    const char *sg64[2];            /* subgroup broadcast of 64-bit words (wide.glsl) */
    const char *sm[2];              /* shared memory */
    const char *coopmat;            /* cooperative matrices, f16 weights */
    const char *pairs;              /* cooperative matrices, f32 from pairs of f16 */
    uint32_t threads, shared_bytes; /* the most that sm takes */
} product_variants;

/* The variant that was chosen. */
typedef struct product_body {
    const char *variant;    /* NULL: the device can run none */
    bool half, sm, coopmat; /* f16 weights; shared memory; cooperative matrices */
    bool pairs;             /* cooperative matrices in f32's place (TSR_BIND_PAIRS) */
} product_body;

/* Chooses a variant for a product of n columns: f16 weights where --precision fast allows them and
 * a variant can run, else f32, which pairs stand for where caps->pairs says so. `longs`: the rows
 * can be read as 64-bit words. */
product_body product_choose(const tsr_gpu_caps *caps, const product_variants *variants, int64_t n,
                            bool longs);

/* A workgroup's tile of a product on matrix units (vulkan_shaders/coopmat.glsl). */
typedef struct matrix_tile {
    uint32_t rows, cols, depth;      /* of the workgroup */
    uint32_t share_rows, share_cols; /* of each of its subgroups */
    uint32_t lanes;                  /* of a subgroup */
} matrix_tile;

/* Chooses the tile of an m x n product on a device with cooperative matrices, from one table by
 * maker, lanes that can be had, shape of the matrices, shared memory and size of workgroups. k: the
 * terms of a sum that lie side by side, of a convolution its channels; 0: not known. False: none
 * fits, or the device's matrices are known to be slower than none. */
bool matrix_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, int64_t k,
                        matrix_tile *tile);
/* The same of a product from pairs: shares of the small tiles, as each has three matrices of sums,
 * and 128 columns where they are filled, since each number of x is split anew for each column of
 * tiles. */
bool pairs_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, matrix_tile *tile);
/* Invocations, and bytes of shared memory, of a workgroup with this tile. */
uint32_t matrix_tile_threads(const matrix_tile *tile);
uint32_t matrix_tile_shared(const matrix_tile *tile, const tsr_gpu_caps *caps);

/* Rows of the pieces of four columns of which a product on matrix units gives statistics
 * (tsr_op.gives_statistics): those of a subgroup in the smallest tile of the device, whatever tile
 * is chosen. 0: its lanes do not share out a matrix evenly, and it gives none. */
uint32_t matrix_piece_rows(const tsr_gpu_caps *caps, bool pairs);

/* Fills specialisation constants 0..3 and 8..13 of a shader with coopmat.glsl, and the dispatch's
 * subgroup size; an op fills 4..7. */
enum { COOPMAT_SPECS = 14 };
void matrix_tile_specs(const matrix_tile *tile, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d);

/* A tile of matrices that a whole workgroup holds (vulkan_shaders/matrix2.glsl). The driver decides
 * how its sums are made, so that the tile is chosen from the layer alone, never from the batch. */
typedef struct workgroup_tile {
    uint32_t threads, rows, cols, depth;
} workgroup_tile;

/* Chooses the tile of a product of n columns, for a layer of x in f16 by the shader `variant`;
 * `rows`: how many there are at least, whatever the batch, or 0 when nothing is known of them.
 * False: the device holds none, the variant is masked, or n is too small. `rival`: a software
 * device has a better form. */
bool workgroup_tile_choose(const tsr_gpu_caps *caps, const char *variant, int64_t rows, int64_t n,
                           bool rival, workgroup_tile *tile);

/* A workgroup's tile of a product in shared memory without matrix units (SHARED_TILE of
 * linear.comp): each invocation has lane_rows x lane_cols sums. */
typedef struct shared_tile {
    uint32_t rows, cols, depth;
    uint32_t lane_rows, lane_cols; /* multiples of 4 */
} shared_tile;

/* The tile of an m x n product; `half`: f16 operands, which are half as long. */
shared_tile shared_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, bool half);
/* The most that shared_tile_choose asks for, whatever the product. */
enum { SHARED_TILE_THREADS = 256, SHARED_TILE_BYTES = 16 * (128 + 4 + 128 + 4) * 4 };

#endif
