/* SPDX-License-Identifier: MIT */
/* Pictures to tiles and back: sizes, borders, and that no seam can be seen. */
#include "codec/fit.h"
#include "everywhere.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static tsr_token_header header_with(tsr_fit fit) {
    return (tsr_token_header){
        .fit = fit, .filter = 2, .tile_width = 256, .tile_height = 256, .background = {10, 20, 30}};
}

static uint8_t *noise(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    ck_assert_ptr_nonnull(rgb);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; ++i)
        rgb[i] = (uint8_t)random_bits();
    return rgb;
}

/* Cuts every tile, hands it back unchanged (or plus an offset that grows with the tile's number)
 * and returns the picture. */
static uint8_t *around(const uint8_t *rgb, int width, int height, tsr_fit fit, float step, int *w,
                       int *h, int *tiles) {
    tsr_device *host = everywhere_device("cpu", NULL);
    const tsr_token_header header = header_with(fit);
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = "noise"};
    tsr_canvas canvas;
    ck_assert_int_eq(tsr_canvas_open(host, &picture, &header, &canvas), TSR_OK);
    const tsr_token_item item = {.key = "noise",
                                 .source_width = (uint32_t)width,
                                 .source_height = (uint32_t)height,
                                 .width = (uint32_t)canvas.width,
                                 .height = (uint32_t)canvas.height,
                                 .crop_x = canvas.crop_x,
                                 .crop_y = canvas.crop_y,
                                 .tile_columns = (uint32_t)canvas.columns,
                                 .tile_rows = (uint32_t)canvas.rows,
                                 .overlap = (uint32_t)canvas.overlap};
    tsr_unfit unfit;
    ck_assert_int_eq(tsr_unfit_open(everywhere_context(), &header, &item, &unfit), TSR_OK);
    uint8_t *tile = guarded(256 * 256 * 3);
    float *values = guarded(256 * 256 * 3 * sizeof(float));
    *tiles = canvas.columns * canvas.rows;
    for (int t = 0; t < *tiles; ++t) {
        tsr_canvas_cut(&canvas, t, tile);
        for (int i = 0; i < 256 * 256 * 3; ++i)
            values[i] = (float)tile[i] / 255 + step * (float)(t % 2);
        tsr_unfit_add(&unfit, t, values);
    }
    tsr_item_size(&header, &item, w, h);
    uint8_t *result = guarded((size_t)*w * (size_t)*h * 3);
    ck_assert_int_eq(tsr_unfit_finish(host, &unfit, &header, &item, result), TSR_OK);
    guarded_check(result);
    guarded_free(tile);
    guarded_free(values);
    tsr_unfit_close(&unfit);
    tsr_canvas_free(&canvas);
    return result;
}

START_TEST(tiles_give_the_picture_back) {
    const int sizes[][2] = {{1, 1},     {1, 700},   {255, 256}, {256, 256}, {257, 256},
                            {480, 481}, {481, 300}, {513, 129}, {768, 512}, {1000, 31}};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; ++s) {
        int w, h, tiles;
        uint8_t *rgb = noise(sizes[s][0], sizes[s][1]);
        uint8_t *back = around(rgb, sizes[s][0], sizes[s][1], TSR_FIT_TILE, 0, &w, &h, &tiles);
        ck_assert_int_eq(w, sizes[s][0]);
        ck_assert_int_eq(h, sizes[s][1]);
        ck_assert_mem_eq(back, rgb, (size_t)w * (size_t)h * 3);
        guarded_free(back);
        free(rgb);
    }
}
END_TEST

/* Neighbouring tiles that disagree by a constant must meet in a slope, never in a step. */
START_TEST(tiles_that_disagree_meet_without_a_seam) {
    const int width = 900, height = 300;
    uint8_t *grey = malloc((size_t)width * (size_t)height * 3);
    memset(grey, 100, (size_t)width * (size_t)height * 3);
    int w, h, tiles;
    uint8_t *back = around(grey, width, height, TSR_FIT_TILE, 0.1f, &w, &h, &tiles);
    int largest = 0, lowest = 255, highest = 0;
    for (int y = 0; y < h; ++y)
        for (int x = 1; x < w; ++x) {
            const int v = back[(y * w + x) * 3], left = back[(y * w + x - 1) * 3];
            if (abs(v - left) > largest) largest = abs(v - left);
            if (v < lowest) lowest = v;
            if (v > highest) highest = v;
        }
    ck_assert_int_eq(lowest, 100);
    ck_assert_int_eq(highest, 126); /* 100 + 25.5, rounded up */
    ck_assert_int_eq(largest, 1);   /* 25.5 spread over at least the 32 pixels of overlap */
    guarded_free(back);
    free(grey);
}
END_TEST

START_TEST(crop_pad_and_stretch_have_their_sizes_and_no_background) {
    const struct {
        tsr_fit fit;
        int width, height, out_width, out_height;
    } cases[] = {
        {TSR_FIT_CROP, 768, 512, 256, 256},    {TSR_FIT_CROP, 1, 1, 256, 256},
        {TSR_FIT_CROP, 256, 256, 256, 256},    {TSR_FIT_CROP, 40, 300, 256, 256},
        {TSR_FIT_PAD, 768, 512, 256, 171},     {TSR_FIT_PAD, 1, 5000, 1, 256},
        {TSR_FIT_PAD, 100, 100, 256, 256},     {TSR_FIT_STRETCH, 33, 777, 33, 777},
        {TSR_FIT_STRETCH, 256, 256, 256, 256},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        uint8_t *rgb = noise(cases[i].width, cases[i].height);
        int w, h, tiles;
        uint8_t *back =
            around(rgb, cases[i].width, cases[i].height, cases[i].fit, 0, &w, &h, &tiles);
        ck_assert_int_eq(tiles, 1);
        ck_assert_int_eq(w, cases[i].out_width);
        ck_assert_int_eq(h, cases[i].out_height);
        if (cases[i].width == 256 && cases[i].height == 256)
            ck_assert_mem_eq(back, rgb, 256 * 256 * 3);
        guarded_free(back);
        /* one colour stays that colour: nothing of the background comes back with it */
        memset(rgb, 200, (size_t)cases[i].width * (size_t)cases[i].height * 3);
        back = around(rgb, cases[i].width, cases[i].height, cases[i].fit, 0, &w, &h, &tiles);
        for (int k = 0; k < w * h * 3; ++k)
            ck_assert_int_eq(back[k], 200);
        guarded_free(back);
        free(rgb);
    }
}
END_TEST

START_TEST(impossible_geometry_is_refused) {
    tsr_context *ctx = everywhere_context();
    tsr_token_header header = header_with(TSR_FIT_TILE);
    tsr_token_item good = {.key = "k",
                           .source_width = 500,
                           .source_height = 300,
                           .width = 500,
                           .height = 300,
                           .tile_columns = 3,
                           .tile_rows = 2,
                           .overlap = 32};
    tsr_unfit unfit;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &good, &unfit), TSR_OK);
    tsr_unfit_close(&unfit);
    tsr_token_item bad = good;
    bad.tile_columns = 2;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    bad = good, bad.overlap = 256;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    bad = good, bad.width = 0;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    bad = good, bad.width = bad.height = 1 << 20;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOO_LARGE);
    bad = good, bad.width = 0xFFFFFFFFu;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    header.fit = TSR_FIT_PAD;
    bad = good, bad.tile_columns = bad.tile_rows = 1;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    bad.width = bad.height = 200, bad.crop_x = -57;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &bad, &unfit), TSR_ERROR_TOKENS);
    header.fit = (tsr_fit)9;
    ck_assert_int_eq(tsr_unfit_open(ctx, &header, &good, &unfit), TSR_ERROR_TOKENS);

    const uint8_t pixel[3] = {1, 2, 3};
    const tsr_picture none = {.rgb = pixel, .width = 0, .height = 1};
    tsr_canvas canvas;
    header.fit = TSR_FIT_TILE;
    ck_assert_int_eq(tsr_canvas_open(everywhere_device("cpu", NULL), &none, &header, &canvas),
                     TSR_ERROR_ARGUMENT);
    /* A line of 1x20000 cropped to a square would be 256 x 5,120,000 first. */
    uint8_t *line = calloc(20000, 3);
    const tsr_picture thin = {.rgb = line, .width = 1, .height = 20000, .key = "line"};
    header.fit = TSR_FIT_CROP;
    ck_assert_int_eq(tsr_canvas_open(everywhere_device("cpu", NULL), &thin, &header, &canvas),
                     TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "line: size after fitting"));
    free(line);
}
END_TEST

TEST_MAIN("fit", tiles_give_the_picture_back, tiles_that_disagree_meet_without_a_seam,
          crop_pad_and_stretch_have_their_sizes_and_no_background, impossible_geometry_is_refused)
