/* SPDX-License-Identifier: MIT */
/* R, G and B to luma and chroma, against values that Python's fractions gave by the formulas of
 * video_samples.h. */
#include <string.h>

#include "media/video_samples.h"
#include "testing.h"

enum { W = 5, H = 3 };
static uint8_t rgb[H][W][3];

static void make_picture(void) {
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x)
            for (int c = 0; c < 3; ++c)
                rgb[y][x][c] = (uint8_t)(x * 97 + y * 53 + c * 151 + x * y * 31);
    static const uint8_t corners[4][3] = {{0, 0, 0}, {255, 255, 255}, {255, 0, 0}, {0, 0, 255}};
    memcpy(rgb[0][0], corners[0], 3);
    memcpy(rgb[0][1], corners[1], 3);
    memcpy(rgb[2][4], corners[2], 3);
    memcpy(rgb[1][4], corners[3], 3);
}

static const struct {
    tsr_video_matrix matrix;
    tsr_video_range range;
    uint8_t y[W * H], u[6], v[6];
} made[] = {
    {TSR_VIDEO_MATRIX_BT601,
     TSR_VIDEO_RANGE_LIMITED,
     {16, 235, 134, 127, 81, 142, 123, 142, 123, 41, 59, 104, 112, 158, 81},
     {135, 142, 209, 142, 142, 90},
     {122, 116, 137, 116, 116, 240}},
    {TSR_VIDEO_MATRIX_BT601,
     TSR_VIDEO_RANGE_FULL,
     {0, 255, 138, 129, 76, 147, 125, 147, 125, 29, 50, 103, 112, 165, 76},
     {136, 143, 221, 143, 143, 85},
     {121, 115, 138, 115, 115, 255}},
    {TSR_VIDEO_MATRIX_BT709,
     TSR_VIDEO_RANGE_LIMITED,
     {16, 235, 121, 142, 68, 157, 110, 157, 110, 32, 45, 119, 99, 173, 63},
     {134, 140, 212, 140, 140, 102},
     {122, 117, 143, 117, 117, 240}},
    {TSR_VIDEO_MATRIX_BT709,
     TSR_VIDEO_RANGE_FULL,
     {0, 255, 122, 146, 60, 164, 109, 164, 109, 18, 34, 120, 96, 182, 54},
     {135, 142, 223, 142, 142, 99},
     {122, 115, 145, 115, 115, 255}},
    {TSR_VIDEO_MATRIX_BT2020,
     TSR_VIDEO_RANGE_LIMITED,
     {16, 235, 124, 136, 71, 152, 113, 152, 113, 29, 48, 114, 101, 167, 74},
     {134, 141, 211, 141, 141, 97},
     {123, 117, 144, 117, 117, 240}},
    {TSR_VIDEO_MATRIX_BT2020,
     TSR_VIDEO_RANGE_FULL,
     {0, 255, 126, 140, 64, 158, 113, 158, 113, 15, 38, 114, 100, 176, 67},
     {135, 143, 222, 143, 143, 92},
     {122, 116, 146, 116, 116, 255}},
};

START_TEST(every_matrix_and_range) {
    make_picture();
    for (size_t i = 0; i < sizeof made / sizeof *made; ++i) {
        const tsr_sample_rule rule = tsr_sample_rule_of(made[i].matrix, made[i].range);
        uint8_t y[4][7], u[2][4], v[2][3]; /* strides wider than rows */
        for (int even = 0; even < 2; ++even) {
            memset(y, 99, sizeof y);
            memset(u, 99, sizeof u);
            const tsr_sample_planes planes = {y[0], u[0], v[0], 7, 4, 3};
            tsr_samples_420(&rule, &rgb[0][0][0], W, H, even, &planes);
            for (int row = 0; row < H; ++row)
                ck_assert_mem_eq(y[row], made[i].y + row * W, W);
            for (int row = 0; row < 2; ++row) {
                ck_assert_mem_eq(u[row], made[i].u + row * 3, 3);
                ck_assert_mem_eq(v[row], made[i].v + row * 3, 3);
                ck_assert_int_eq(u[row][3], 99);
            }
            ck_assert_int_eq(y[0][W], even ? y[0][W - 1] : 99);
            ck_assert_int_eq(y[3][W], even ? y[2][W - 1] : 99);
            ck_assert_int_eq(y[3][1], even ? y[2][1] : 99);
            ck_assert_int_eq(y[0][6], 99);
        }
    }
}
END_TEST

/* Grey has no chroma, in no matrix and range, and keeps its order. */
START_TEST(grey_stays_grey) {
    for (int grey = 0; grey < 256; ++grey)
        for (int matrix = TSR_VIDEO_MATRIX_BT601; matrix <= TSR_VIDEO_MATRIX_BT2020; ++matrix) {
            const uint8_t pixel[3] = {(uint8_t)grey, (uint8_t)grey, (uint8_t)grey};
            uint8_t y, u, v;
            const tsr_sample_planes planes = {&y, &u, &v, 1, 1, 1};
            tsr_sample_rule rule = tsr_sample_rule_of(matrix, TSR_VIDEO_RANGE_FULL);
            tsr_samples_420(&rule, pixel, 1, 1, 0, &planes);
            ck_assert_int_eq(y, grey);
            rule = tsr_sample_rule_of(matrix, TSR_VIDEO_RANGE_LIMITED);
            tsr_samples_420(&rule, pixel, 1, 1, 0, &planes);
            ck_assert_int_eq(y, (2 * 16 * 255 + 2 * 219 * grey + 255) / 510);
            ck_assert_int_eq(u, 128);
            ck_assert_int_eq(v, 128);
        }
}
END_TEST

TEST_MAIN("video samples", every_matrix_and_range, grey_stays_grey)
