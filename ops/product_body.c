/* SPDX-License-Identifier: MIT */
/* product_body.c: see product_body.h. */
#include "product_body.h"

#include <string.h>

/* Workgroups that are enough for any device of which nothing else is known: four for each of 32
 * cores. A larger tile reads its operands less often, but only where all cores have one. */
enum { ENOUGH_TILES = 4 * 32 };

enum { MATRIX_STEP = 32, LEFT_TO_THE_DRIVER = 2048 /* bytes of shared memory */ };

static int64_t tiles(int64_t n, int64_t each) {
    return (n + each - 1) / each;
}

/* True if tiles of this size are many, and their last column is not mostly empty. */
static bool is_worth(int64_t m, int64_t n, uint32_t rows, uint32_t cols) {
    const int64_t across = tiles(n, cols);
    return across * cols * 3 <= n * 4 && across * tiles(m, rows) >= ENOUGH_TILES;
}

/* ---- matrix units ------------------------------------------------------------------------ */

/* The settings of a device, the first row that suits it. What is known of them was counted in code
 * compiled for AMD chips (docs/RADV.md says how); the others wait for a device. */
typedef struct matrix_row {
    uint32_t lanes;
    uint32_t columns; /* of its matrices; 0: any */
    matrix_tile large, small;
} matrix_row;

static const matrix_row matrix_rows[] = {
    /* The units of Xe2. Matrices of 8 columns are Xe1's, where products on them were reported to be
     * slower than without: there is no row for those. */
    {16, 16, {128, 128, MATRIX_STEP, 16, 32, 16}, {64, 64, MATRIX_STEP, 16, 32, 16}},
    {32, 0, {128, 128, MATRIX_STEP, 64, 32, 32}, {64, 64, MATRIX_STEP, 32, 32, 32}},
    /* 64 x 64 for a subgroup of 32 lanes does not fit its registers. */
    {64, 0, {128, 128, MATRIX_STEP, 64, 64, 64}, {64, 64, MATRIX_STEP, 32, 32, 64}},
    {8, 0, {64, 64, MATRIX_STEP, 16, 16, 8}, {32, 32, MATRIX_STEP, 16, 16, 8}},
};

/* A software driver compiles each matrix of a subgroup for itself: few of them. */
static const matrix_tile software_tile = {32, 16, 16, 16, 8, 0};

uint32_t matrix_tile_threads(const matrix_tile *t) {
    return t->rows / t->share_rows * (t->cols / t->share_cols) * t->lanes;
}

/* `forms`: 2 for pairs, whose operands are twice as long. */
static uint32_t shared_bytes(const matrix_tile *t, const tsr_gpu_caps *caps, uint32_t forms) {
    const uint32_t operands = (t->rows + t->cols) * (t->depth + 8) * 2 * forms;
    const uint32_t subgroups = matrix_tile_threads(t) / t->lanes;
    return operands + subgroups * caps->matrix[0] * caps->matrix[1] * 4;
}

uint32_t matrix_tile_shared(const matrix_tile *t, const tsr_gpu_caps *caps) {
    return shared_bytes(t, caps, 1);
}

static bool fits(const matrix_tile *t, const tsr_gpu_caps *caps, uint32_t forms) {
    return t->share_rows % caps->matrix[0] == 0 && t->share_cols % caps->matrix[1] == 0 &&
           t->depth % caps->matrix[2] == 0 && caps->matrix[2] % 8 == 0 &&
           caps->matrix[1] % 4 == 0 && matrix_tile_threads(t) <= caps->max_workgroup &&
           shared_bytes(t, caps, forms) + LEFT_TO_THE_DRIVER <= caps->max_shared_bytes;
}

/* Where a core has one workgroup or none, each of its steps waits for memory: half as many, twice
 * as deep, wait half as often and ask for twice as much at a time. By the code for AMD chips that
 * costs no product, but room for other workgroups, which are not there. Sums go through k in the
 * same order. */
static void deepen(const tsr_gpu_caps *caps, int64_t m, int64_t n, int64_t k, matrix_tile *tile) {
    matrix_tile deep = *tile;
    deep.depth *= 2;
    if (tile->lanes >= 32 && k % deep.depth == 0 &&
        tiles(m, tile->rows) * tiles(n, tile->cols) < ENOUGH_TILES && fits(&deep, caps, 1))
        *tile = deep;
}

static bool choose_tile(const tsr_gpu_caps *caps, int64_t m, int64_t n, int64_t k, uint32_t forms,
                        matrix_tile *tile) {
    if (!caps->matrix[0] || !caps->subgroup_ops) return false;
    if (caps->software) {
        *tile = software_tile;
        tile->lanes = caps->matrix_subgroup;
        return fits(tile, caps, forms);
    }
    for (size_t i = 0; i < sizeof matrix_rows / sizeof *matrix_rows; ++i) {
        const matrix_row *row = &matrix_rows[i];
        if (row->lanes != caps->matrix_subgroup ||
            (row->columns && row->columns != caps->matrix[1]) || !fits(&row->small, caps, forms))
            continue;
        matrix_tile large = row->large;
        if (forms == 2) { /* three matrices of sums for each of a share, registers hold no more */
            large = row->small;
            large.cols *= 2;
        }
        *tile = is_worth(m, n, large.rows, large.cols) && fits(&large, caps, forms) ? large
                                                                                    : row->small;
        if (k && forms == 1) deepen(caps, m, n, k, tile);
        return true;
    }
    return false;
}

bool matrix_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, int64_t k,
                        matrix_tile *tile) {
    return choose_tile(caps, m, n, k, 1, tile);
}

bool pairs_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, matrix_tile *tile) {
    return choose_tile(caps, m, n, 0, 2, tile);
}

uint32_t matrix_piece_rows(const tsr_gpu_caps *caps, bool pairs) {
    matrix_tile least;
    if (!choose_tile(caps, 1, 1, 0, pairs ? 2 : 1, &least)) return 0;
    const uint32_t words = caps->matrix[1] / 4, all = caps->matrix[0] * words;
    return least.lanes % words || all % least.lanes ? 0 : least.share_rows;
}

void matrix_tile_specs(const matrix_tile *t, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    d->spec[0] = matrix_tile_threads(t);
    d->spec[1] = t->lanes;
    d->spec[2] = t->share_rows;
    d->spec[3] = t->share_cols;
    d->spec[8] = t->rows;
    d->spec[9] = t->cols;
    d->spec[10] = t->depth;
    memcpy(d->spec + 11, caps->matrix, sizeof caps->matrix);
    d->spec_count = COOPMAT_SPECS;
    d->full_subgroups = true;
    if (t->lanes != caps->subgroup_size) d->subgroup_size = t->lanes;
}

/* ---- matrices of workgroups -------------------------------------------------------------- */

bool workgroup_tile_choose(const tsr_gpu_caps *caps, const char *variant, int64_t rows, int64_t n,
                           bool rival, workgroup_tile *tile) {
    /* With fewer columns there are too few tiles, or too little of each is filled. No size was
     * timed yet. */
    static const struct {
        workgroup_tile tile;
        int64_t least_columns;
    } sizes[] = {{{256, 128, 256, 64}, 1024}, {{256, 128, 128, 64}, 96}, {{128, 64, 64, 64}, 17}};
    if ((caps->software && rival) || !caps->allowed(caps->device, variant)) return false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const workgroup_tile *t = &sizes[i].tile;
        const uint32_t *step = caps->workgroup_matrix[t->threads == 256];
        const bool smallest = t->cols == 64;
        if (!step[0] || t->rows % step[0] || t->cols % step[1] || t->depth % step[2] ||
            t->threads > caps->max_workgroup || n < sizes[i].least_columns ||
            (!smallest && ((rows && rows < t->rows) || tiles(n, t->cols) * t->cols * 3 > n * 4)))
            continue;
        *tile = *t;
        return true;
    }
    return false;
}

/* ---- shared memory ----------------------------------------------------------------------- */

shared_tile shared_tile_choose(const tsr_gpu_caps *caps, int64_t m, int64_t n, bool half) {
    const uint32_t depth = half ? 32 : 16; /* the same bytes */
    if (caps->software) return (shared_tile){64, 64, depth, 4, 4};
    if (is_worth(m, n, 128, 128)) return (shared_tile){128, 128, depth, 8, 8};
    return (shared_tile){64, 64, depth, 8, 4};
}

/* ---- the body ---------------------------------------------------------------------------- */

/* True if cooperative matrices serve a product of n columns: n fills a good part of a tile, and a
 * software device has no `rival` form. */
static bool coopmat_serves(const tsr_gpu_caps *caps, const char *variant, int64_t n, bool rival) {
    matrix_tile tile;
    return n > 16 && !(caps->software && rival) && caps->allowed(caps->device, variant) &&
           matrix_tile_choose(caps, 1, n, 0, &tile);
}

/* The same for products from pairs, which nobody gets who has not asked. */
static bool pairs_serve(const tsr_gpu_caps *caps, const char *variant, int64_t n) {
    matrix_tile tile;
    return caps->pairs && n > 16 && caps->allowed(caps->device, variant) &&
           pairs_tile_choose(caps, 1, n, &tile);
}

product_body product_choose(const tsr_gpu_caps *caps, const product_variants *v, int64_t n,
                            bool longs) {
    /* Mesa's software driver fetches component by component: fewer, longer ones. */
    longs = longs && caps->software && caps->int64;
    for (int half = caps->fp16; half >= 0; --half) {
        bool sg = caps->subgroup_ops && caps->allowed(caps->device, v->sg[half]);
        bool sm = caps->max_shared_bytes >= v->shared_bytes && caps->max_workgroup >= v->threads &&
                  caps->allowed(caps->device, v->sm[half]);
        if (half && coopmat_serves(caps, v->coopmat, n, sg))
            return (product_body){v->coopmat, .half = true, .coopmat = true};
        if (!half && pairs_serve(caps, v->pairs, n))
            return (product_body){v->pairs, .coopmat = true, .pairs = true};
        if (sm && !(sg && caps->software)) /* a software driver's shared memory is slow */
            return (product_body){v->sm[half], .half = half, .sm = true};
        if (sg) return (product_body){longs ? v->sg64[half] : v->sg[half], .half = half};
    }
    return (product_body){0};
}
