/* SPDX-License-Identifier: MIT */
/* Which tile a product gets on which device: made-up capabilities, no device. */
#include "ops/product_body.h"
#include "testing.h"

#include <string.h>

static bool allow(const void *masked, const char *variant) {
    return !masked || !strstr(masked, variant);
}

/* `lanes` is what the driver reports, `pinned` what its matrix units work with. */
static tsr_gpu_caps caps_of(uint32_t lanes, uint32_t pinned) {
    return (tsr_gpu_caps){.subgroup_size = lanes,
                          .matrix_subgroup = pinned,
                          .subgroup_ops = true,
                          .fp16 = true,
                          .matrix = {16, 16, 16},
                          .max_shared_bytes = 48 << 10,
                          .max_workgroup = 1024,
                          .allowed = allow};
}

static void want_deep_tile(const tsr_gpu_caps *caps, int64_t m, int64_t n, int64_t k,
                           matrix_tile want) {
    matrix_tile got;
    ck_assert(matrix_tile_choose(caps, m, n, k, &got));
    ck_assert_msg(!memcmp(&got, &want, sizeof got),
                  "%lld x %lld, k %lld: wanted %u x %u x %u in %u x %u of %u lanes, got %u x %u x "
                  "%u in %u x %u of %u",
                  (long long)m, (long long)n, (long long)k, want.rows, want.cols, want.depth,
                  want.share_rows, want.share_cols, want.lanes, got.rows, got.cols, got.depth,
                  got.share_rows, got.share_cols, got.lanes);
}

static void want_tile(const tsr_gpu_caps *caps, int64_t m, int64_t n, matrix_tile want) {
    want_deep_tile(caps, m, n, 0, want);
}

START_TEST(tiles_of_devices_with_matrices) {
    const matrix_tile large32 = {128, 128, 32, 64, 32, 32}, small32 = {64, 64, 32, 32, 32, 32};
    const matrix_tile large64 = {128, 128, 32, 64, 64, 64}, small64 = {64, 64, 32, 32, 32, 64};
    const matrix_tile large16 = {128, 128, 32, 16, 32, 16}, small16 = {64, 64, 32, 16, 32, 16};
    tsr_gpu_caps c = caps_of(32, 32); /* NVIDIA */
    want_tile(&c, 49280, 1536, large32);
    want_tile(&c, 385, 512, small32);    /* too few tiles of 128 x 128 */
    want_tile(&c, 1 << 20, 64, small32); /* half of a tile's columns would be nobody's */
    want_tile(&c, 1 << 20, 128, large32);
    c = caps_of(64, 32); /* RDNA: the driver reports 64, and 32 can be pinned */
    want_tile(&c, 49280, 1536, large32);
    c = caps_of(64, 64); /* nothing can be pinned */
    want_tile(&c, 49280, 1536, large64);
    want_tile(&c, 64, 512, small64);
    c = caps_of(32, 16); /* Xe2 */
    c.matrix[0] = 8;
    want_tile(&c, 49280, 1536, large16);
    want_tile(&c, 385, 512, small16);
    matrix_tile tile;
    c.matrix[1] = 8; /* Xe1 */
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
    c = caps_of(32, 0); /* not used on this device */
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
}
END_TEST

/* One picture: fewer tiles than cores, so that steps are deep; never where k would be padded. */
START_TEST(deep_steps_of_few_tiles) {
    const matrix_tile small32 = {64, 64, 32, 32, 32, 32}, deep32 = {64, 64, 64, 32, 32, 32};
    const matrix_tile small64 = {64, 64, 32, 32, 32, 64}, deep64 = {64, 64, 64, 32, 32, 64};
    const matrix_tile large32 = {128, 128, 32, 64, 32, 32}, small16 = {64, 64, 32, 16, 32, 16};
    tsr_gpu_caps c = caps_of(32, 32);
    ck_assert_uint_eq(matrix_tile_shared(&deep32, &c), 22528);
    want_deep_tile(&c, 385, 512, 2048, deep32);
    want_deep_tile(&c, 256, 512, 512, deep32);
    want_deep_tile(&c, 385, 512, 96, small32); /* two steps of 64 would be three of 32 and zeros */
    want_deep_tile(&c, 385, 2048, 512, small32); /* 224 tiles */
    want_deep_tile(&c, 49280, 1536, 512, large32);
    c.max_shared_bytes = 24 << 10; /* 22,528 and the driver's */
    want_deep_tile(&c, 385, 512, 2048, deep32);
    c.max_shared_bytes = 23 << 10;
    want_deep_tile(&c, 385, 512, 2048, small32);
    c = caps_of(64, 64);
    want_deep_tile(&c, 64, 512, 2048, deep64);
    want_deep_tile(&c, 64, 512, 32, small64);
    c = caps_of(32, 16); /* nothing was counted for those */
    c.matrix[0] = 8;
    want_deep_tile(&c, 385, 512, 2048, small16);
    c = caps_of(32, 32); /* three products for one stay as they are */
    matrix_tile pairs;
    ck_assert(pairs_tile_choose(&c, 385, 512, &pairs));
    ck_assert_uint_eq(pairs.depth, 32);
}
END_TEST

START_TEST(limits_of_devices_with_matrices) {
    const matrix_tile large32 = {128, 128, 32, 64, 32, 32}, small32 = {64, 64, 32, 32, 32, 32};
    tsr_gpu_caps c = caps_of(32, 32);
    ck_assert_uint_eq(matrix_tile_shared(&large32, &c), 28672);
    ck_assert_uint_eq(matrix_tile_threads(&large32), 256);
    ck_assert_uint_eq(matrix_tile_shared(&small32, &c), 14336);
    ck_assert_uint_eq(matrix_tile_threads(&small32), 128);
    c.max_shared_bytes = 32 << 10;
    want_tile(&c, 49280, 1536, large32);
    c.max_shared_bytes = 28672; /* the driver wants some, too */
    want_tile(&c, 49280, 1536, small32);
    c.max_shared_bytes = 16 << 10;
    c.max_workgroup = 128;
    want_tile(&c, 49280, 1536, small32);
    matrix_tile tile;
    c.max_workgroup = 127;
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
    c = caps_of(32, 32);
    c.max_shared_bytes = 15 << 10;
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
    c.max_shared_bytes = 32 << 10;
    c.matrix[0] = 64; /* larger than a subgroup's share of the small tile */
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
    c.matrix[0] = 0;
    ck_assert(!matrix_tile_choose(&c, 49280, 1536, 0, &tile));
}
END_TEST

START_TEST(tiles_of_products_from_pairs) {
    const matrix_tile large = {64, 128, 32, 32, 32, 32}, small = {64, 64, 32, 32, 32, 32};
    matrix_tile got;
    tsr_gpu_caps c = caps_of(32, 32);
    ck_assert(pairs_tile_choose(&c, 49280, 1536, &got));
    ck_assert_mem_eq(&got, &large, sizeof got);
    ck_assert(pairs_tile_choose(&c, 385, 512, &got));
    ck_assert_mem_eq(&got, &small, sizeof got);
    c.max_shared_bytes = 39 << 10; /* less than 38,912 bytes and the driver's */
    ck_assert(pairs_tile_choose(&c, 49280, 1536, &got));
    ck_assert_mem_eq(&got, &small, sizeof got);
    c.max_shared_bytes = 26 << 10; /* 24,576 and the driver's */
    ck_assert(pairs_tile_choose(&c, 49280, 1536, &got));
    c.max_shared_bytes = 25 << 10;
    ck_assert(!pairs_tile_choose(&c, 49280, 1536, &got));
}
END_TEST

START_TEST(specs_name_the_lanes_they_were_made_for) {
    tsr_gpu_caps c = caps_of(64, 32);
    matrix_tile tile;
    ck_assert(matrix_tile_choose(&c, 49280, 1536, 0, &tile));
    tsr_gpu_dispatch d = {.spec = {[5] = 7}};
    matrix_tile_specs(&tile, &c, &d);
    const uint32_t want[COOPMAT_SPECS] = {256, 32, 64, 32, 0, 7, 0, 0, 128, 128, 32, 16, 16, 16};
    ck_assert_mem_eq(d.spec, want, sizeof want);
    ck_assert_uint_eq(d.subgroup_size, 32);
    ck_assert(d.full_subgroups);
    c.subgroup_size = 32;
    tsr_gpu_dispatch same = {0};
    matrix_tile_specs(&tile, &c, &same);
    ck_assert_uint_eq(same.subgroup_size, 0);
}
END_TEST

START_TEST(bodies) {
    static const product_variants variants = {.sg = {"a_sg", "a_half_sg"},
                                              .sg64 = {"a_sg64", "a_half_sg64"},
                                              .sm = {"a_sm", "a_half_sm"},
                                              .coopmat = "a_coopmat",
                                              .pairs = "a_coopmat_pairs",
                                              .threads = 256,
                                              .shared_bytes = SHARED_TILE_BYTES};
    tsr_gpu_caps c = caps_of(32, 32);
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_coopmat");
    ck_assert_str_eq(product_choose(&c, &variants, 16, true).variant, "a_half_sm");
    c.device = "a_coopmat a_half_sm";
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_half_sg");
    c = caps_of(32, 16);
    c.matrix[1] = 8;
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_half_sm");
    c = caps_of(32, 32); /* pairs stand for f32, where they are asked for and fit */
    c.pairs = true;
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_coopmat");
    c.fp16 = false;
    const product_body body = product_choose(&c, &variants, 512, true);
    ck_assert_str_eq(body.variant, "a_coopmat_pairs");
    ck_assert(body.pairs && body.coopmat && !body.half);
    ck_assert_str_eq(product_choose(&c, &variants, 16, true).variant, "a_sm");
    c.device = "a_coopmat_pairs";
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_sm");
    c.device = NULL;
    c.pairs = false;
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_sm");
    c = caps_of(32, 0);
    memset(c.matrix, 0, sizeof c.matrix);
    c.fp16 = false;
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_sm");
    c.max_workgroup = 128;
    ck_assert_str_eq(product_choose(&c, &variants, 512, true).variant, "a_sg");
    c.subgroup_ops = false;
    ck_assert_ptr_null(product_choose(&c, &variants, 512, true).variant);
}
END_TEST

static void want_workgroup_tile(const tsr_gpu_caps *caps, int64_t rows, int64_t n,
                                workgroup_tile want) {
    workgroup_tile got;
    ck_assert(workgroup_tile_choose(caps, "a_coopmat2", rows, n, false, &got));
    ck_assert_msg(!memcmp(&got, &want, sizeof got),
                  "%lld columns: wanted %u x %u of %u, got %u x %u of %u", (long long)n, want.rows,
                  want.cols, want.threads, got.rows, got.cols, got.threads);
}

START_TEST(tiles_of_workgroups) {
    const workgroup_tile wide = {256, 128, 256, 64}, large = {256, 128, 128, 64},
                         small = {128, 64, 64, 64};
    tsr_gpu_caps c = caps_of(32, 32);
    workgroup_tile t;
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 512, false, &t));
    for (int i = 0; i < 2; ++i)
        memcpy(c.workgroup_matrix[i], (uint32_t[]){32, 16, 16}, sizeof c.workgroup_matrix[i]);
    want_workgroup_tile(&c, 0, 1536, wide);
    want_workgroup_tile(&c, 0, 512, large);
    want_workgroup_tile(&c, 0, 128, large);
    want_workgroup_tile(&c, 0, 160, small); /* half of a large one would be empty */
    want_workgroup_tile(&c, 0, 64, small);
    want_workgroup_tile(&c, 64, 1536, small); /* a picture of 8 x 8 */
    want_workgroup_tile(&c, 256, 1536, wide);
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 16, false, &t));
    c.device = "a_coopmat2";
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 512, false, &t));
    c.device = NULL;
    c.workgroup_matrix[1][1] = 256; /* a driver that multiplies nothing smaller */
    want_workgroup_tile(&c, 0, 1536, wide);
    want_workgroup_tile(&c, 0, 512, small);
    c.workgroup_matrix[1][0] = 0;
    want_workgroup_tile(&c, 0, 1536, small);
    c.workgroup_matrix[0][2] = 128;
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 1536, false, &t));
    c.workgroup_matrix[0][2] = 16;
    c.max_workgroup = 127;
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 1536, false, &t));
    c.max_workgroup = 128;
    c.software = true;
    ck_assert(workgroup_tile_choose(&c, "a_coopmat2", 0, 1536, false, &t));
    ck_assert(!workgroup_tile_choose(&c, "a_coopmat2", 0, 1536, true, &t));
}
END_TEST

/* Whatever is asked for, the shared tile stays within what product_choose was told of. */
START_TEST(shared_tiles_fit) {
    static const int64_t sizes[][2] = {{1, 1}, {385, 512}, {49280, 1536}, {1 << 20, 64}};
    for (int software = 0; software < 2; ++software)
        for (int half = 0; half < 2; ++half)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
                tsr_gpu_caps c = caps_of(32, 0);
                c.software = software;
                const shared_tile t = shared_tile_choose(&c, sizes[i][0], sizes[i][1], half);
                const uint32_t each = half ? 2 : 1;
                ck_assert_uint_le(t.rows / t.lane_rows * (t.cols / t.lane_cols),
                                  SHARED_TILE_THREADS);
                ck_assert_uint_le(t.depth / each * (t.rows + t.cols + 8) * 4, SHARED_TILE_BYTES);
                ck_assert(t.lane_rows % 4 == 0 && t.lane_cols % 4 == 0);
                ck_assert_uint_eq(t.depth, half ? 32 : 16);
            }
    tsr_gpu_caps c = caps_of(32, 0);
    ck_assert_uint_eq(shared_tile_choose(&c, 49280, 1536, false).rows, 128);
    ck_assert_uint_eq(shared_tile_choose(&c, 385, 512, false).rows, 64);
}
END_TEST

TEST_MAIN("test_product_body", tiles_of_devices_with_matrices, deep_steps_of_few_tiles,
          limits_of_devices_with_matrices, tiles_of_workgroups, tiles_of_products_from_pairs,
          specs_name_the_lanes_they_were_made_for, bodies, shared_tiles_fit)
