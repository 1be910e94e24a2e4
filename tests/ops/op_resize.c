/* SPDX-License-Identifier: MIT */
/* Resizing equals Pillow's to the byte: hashes of Pillow 12.0's answers on made pictures, the
 * golden preprocessing cases (Pillow 9.4), and every device against the reference. */
#include "ops/ops.h"
#include "needs.h"
#include "op_case.h"

#include <cjson/cJSON.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREPROCESS_CASE "/golden/flextok/preprocess"

typedef struct recipe {
    int64_t height, width;
    tsr_filter filter;
} recipe;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_resize(r, in[0], x->height, x->width, x->filter);
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *bytes, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}
static const uint64_t fnv1a_start = 0xCBF29CE484222325u;

/* Random bytes by splitmix64 from the seed; odd seeds give 0 and 255 only, to overshoot. */
static void make_picture(uint64_t seed, uint8_t *bytes, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        uint64_t z = seed + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        uint8_t b = (uint8_t)((z ^ z >> 31) >> 56);
        bytes[i] = seed % 2 ? b >= 128 ? 255 : 0 : b;
    }
}

static const struct {
    uint64_t seed;
    int64_t height, width, channels, to_height, to_width;
    uint64_t hash[3]; /* bilinear, bicubic, Lanczos */
} cases[] = {
    {1, 1, 1, 1, 5, 7, {0xc72c2a67d15765f4, 0xc72c2a67d15765f4, 0xc72c2a67d15765f4}},
    {2, 5, 7, 3, 1, 1, {0x37e9cf1ae5fe1cf5, 0x3daa891ae86cefc0, 0x3daa891ae86cefc0}},
    {3, 37, 53, 3, 16, 16, {0xb1e9f82145e8100c, 0x65eae4b0c3ea65ae, 0x99e8cbb6c1ffab2c}},
    {4, 37, 53, 3, 80, 101, {0xc57ae5555de4705a, 0x6335936aabd7f699, 0xf35dfa6bf236a4dd}},
    {5, 64, 64, 4, 63, 65, {0xaaca4f01d8690964, 0x2480bd58c3857795, 0xbcfc579391215811}},
    {6, 64, 48, 2, 64, 31, {0x4bcd72d7467288a1, 0xbf9e9ce31ee671f1, 0xec121c76bffd2132}},
    {7, 33, 64, 1, 90, 64, {0xc339bcde8957fed5, 0x5eddd427506e0e54, 0x38187863a9769651}},
    {8, 3, 400, 3, 7, 11, {0x1da2dfbe8d025fd4, 0x14d3b4ca6ec334c3, 0xc30305af885231b8}},
    {9, 400, 2, 3, 5, 9, {0x5af2ed12e51e2950, 0x03763b415f581db7, 0xd4bc9d8a09084196}},
    {10, 100, 120, 3, 13, 240, {0xdf03d70fa7d69795, 0x8e130dce6c57ed27, 0x8b29b44d20716585}},
    {11, 255, 257, 1, 256, 256, {0x0e18b93ee525f814, 0x170eb075f0e7e56e, 0xeca31a5a4464551e}},
    {12, 2, 2, 3, 64, 64, {0xd5e3325c71d1d4b5, 0x3e6154302c1bd0e9, 0xd71aae40a62ed729}},
    {13, 17, 5000, 1, 9, 3, {0x66f54f31bbd08174, 0xf6cdbbc0994ded84, 0x8b35f0ebf7e6e073}},
    {14, 211, 127, 3, 97, 113, {0x6afb88107e8495e6, 0x2ced82628e0d7709, 0x4de56d0017f04165}},
};

START_TEST(equals_pillow) {
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i)
        for (int filter = 0; filter < 3; ++filter) {
            recipe m = {cases[i].to_height, cases[i].to_width, (tsr_filter)filter};
            op_case c = {.run = {.fn = model, .model = &m, .variant = filter}};
            op_name(&c, "resize case %u filter %d", i, filter);
            int64_t channels = cases[i].channels;
            uint8_t *x = op_in(&c, TSR_DTYPE_U8, SHAPE(cases[i].height, cases[i].width, channels));
            uint8_t *y = op_out(&c, TSR_DTYPE_U8, SHAPE(m.height, m.width, channels));
            make_picture(cases[i].seed, x, cases[i].height * cases[i].width * channels);
            op_run(&c);
            uint64_t hash = fnv1a(fnv1a_start, y, m.height * m.width * channels);
            ck_assert_msg(hash == cases[i].hash[filter], "%s: wanted %016llx, got %016llx", c.name,
                          (unsigned long long)cases[i].hash[filter], (unsigned long long)hash);
            op_free(&c);
        }
}
END_TEST

START_TEST(random_sizes_on_every_device) {
    for (int i = 0; i < 12; ++i) {
        recipe m = {1 + random_below(90), 1 + random_below(90), (tsr_filter)random_below(3)};
        int64_t h = 1 + random_below(90), w = 1 + random_below(90), channels = 1 + random_below(4);
        if (i == 0) m.height = h;
        if (i == 1) m.width = w;
        if (i == 2) m.height = h, m.width = w;
        op_case c = {.run = {.fn = model, .model = &m, .variant = i}};
        op_name(&c, "resize %lldx%lldx%lld to %lldx%lld filter %d", (long long)h, (long long)w,
                (long long)channels, (long long)m.height, (long long)m.width, (int)m.filter);
        uint8_t *x = op_in(&c, TSR_DTYPE_U8, SHAPE(h, w, channels));
        uint8_t *y = op_out(&c, TSR_DTYPE_U8, SHAPE(m.height, m.width, channels));
        make_picture(random_bits(), x, h * w * channels);
        op_run(&c);
        if (i == 2) ck_assert(!memcmp(x, y, (size_t)(h * w * channels)));
        op_free(&c);
    }
}
END_TEST

START_TEST(flat_pictures_stay_flat) {
    for (int filter = 0; filter < 3; ++filter) {
        recipe m = {31, 203, (tsr_filter)filter};
        op_case c = {.run = {.name = "resize flat", .fn = model, .model = &m}};
        memset(op_in(&c, TSR_DTYPE_U8, SHAPE(77, 50, 3)), 201, 77 * 50 * 3);
        uint8_t *y = op_out(&c, TSR_DTYPE_U8, SHAPE(31, 203, 3));
        op_run(&c);
        for (int i = 0; i < 31 * 203 * 3; ++i)
            ck_assert_int_eq(y[i], 201);
        op_free(&c);
    }
}
END_TEST

START_TEST(refuses) {
    recipe m = {0, 5, TSR_FILTER_BILINEAR};
    op_case c = {.run = {.name = "resize", .fn = model, .model = &m}};
    op_in(&c, TSR_DTYPE_U8, SHAPE(4, 4, 3));
    op_out(&c, TSR_DTYPE_U8, SHAPE(5, 5, 3));
    op_refused(&c, TSR_ERROR_ARGUMENT, "resize: size: wanted at least 1x1, got height 0 width 5");
    m = (recipe){5, 5, (tsr_filter)3};
    op_refused(&c, TSR_ERROR_ARGUMENT, "resize: filter: wanted 0..2, got 3");
    m = (recipe){INT64_MAX, 5, TSR_FILTER_BILINEAR};
    op_refused(&c, TSR_ERROR_TOO_LARGE, "resize: output: wanted at most");
    m = (recipe){4, 700000000, TSR_FILTER_BILINEAR};
    op_refused(&c, TSR_ERROR_TOO_LARGE, "resize: ");
    c.in[0].dim[2] = 5;
    m = (recipe){5, 5, TSR_FILTER_BILINEAR};
    op_refused(&c, TSR_ERROR_ARGUMENT, "resize: x: wanted [H, W, 1..4], got [4, 4, 5]");
    c.in[0].dtype = TSR_DTYPE_F32;
    op_refused(&c, TSR_ERROR_ARGUMENT, "resize: x: wanted dtype U8, got F32");
    op_free(&c);
}
END_TEST

/* ---- golden cases ---- */

/* 8-bit RGB with alpha dropped, gamma ignored, the high byte of 16 bits; NULL on failure. */
static uint8_t *read_png(const char *path, int64_t width, int64_t height) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: cannot be opened", path);
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t *rgb = calloc((size_t)(width * height), 3);
    ck_assert_ptr_nonnull(rgb);
    if (setjmp(png_jmpbuf(png))) ck_abort_msg("%s: libpng failed", path);
    png_init_io(png, f);
    png_read_info(png, info);
    ck_assert_int_eq(png_get_image_width(png, info), width);
    ck_assert_int_eq(png_get_image_height(png, info), height);
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    png_read_update_info(png, info);
    for (int64_t y = 0; y < height; ++y)
        png_read_row(png, rgb + y * width * 3, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(f);
    return rgb;
}

static int at(const cJSON *object, const char *key, int index) {
    return cJSON_GetArrayItem(cJSON_GetObjectItem(object, key), index)->valueint;
}

static void try_golden(const cJSON *run, const uint8_t *rgb, int64_t width, int64_t height) {
    const char *name = cJSON_GetObjectItem(run, "name")->valuestring;
    const cJSON *output;
    cJSON_ArrayForEach(output, cJSON_GetObjectItem(run, "outputs")) {
        const char *filter = cJSON_GetObjectItem(output, "name")->valuestring;
        recipe m = {at(run, "resized", 1), at(run, "resized", 0),
                    !strcmp(filter, "bilinear")  ? TSR_FILTER_BILINEAR
                    : !strcmp(filter, "bicubic") ? TSR_FILTER_BICUBIC
                                                 : TSR_FILTER_LANCZOS};
        op_case c = {.run = {.fn = model, .model = &m, .variant = m.filter}};
        op_name(&c, "golden %s %s", name, filter);
        c.run.cpu_only = m.filter != TSR_FILTER_BILINEAR; /* for time; equals_pillow has them all */
        memcpy(op_in(&c, TSR_DTYPE_U8, SHAPE(height, width, 3)), rgb, (size_t)(height * width * 3));
        uint8_t *y = op_out(&c, TSR_DTYPE_U8, SHAPE(m.height, m.width, 3));
        op_run(&c);
        uint64_t hash = fnv1a_start;
        int64_t left = at(run, "crop_at", 0), top = at(run, "crop_at", 1);
        for (int64_t row = 0; row < 256; ++row)
            hash = fnv1a(hash, y + ((top + row) * m.width + left) * 3, 256 * 3);
        uint64_t want = strtoull(cJSON_GetObjectItem(output, "fnv1a64")->valuestring, NULL, 0);
        ck_assert_msg(hash == want, "%s: another picture than the golden one", c.name);
        op_free(&c);
    }
}

/* The pictures of the case in the folder, of which there are `pictures`. */
static void golden_case(const char *folder, int pictures) {
    char path[4096];
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there", path);
    char *text = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, f), 0);
    fclose(f);
    cJSON *manifest = cJSON_Parse(text);
    free(text);
    ck_assert_ptr_nonnull(manifest);
    int done = 0;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(manifest, "runs")) {
        const cJSON *image = cJSON_GetObjectItem(run, "image");
        if (!image) continue; /* the table of normalised bytes */
        /* Pillow clips 16-bit grey at 255, which is the picture reader's matter. */
        if (!strcmp(cJSON_GetObjectItem(run, "kind")->valuestring, "grey16")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, image->valuestring);
        int64_t width = at(run, "size", 0), height = at(run, "size", 1);
        uint8_t *rgb = read_png(path, width, height);
        uint64_t want = strtoull(cJSON_GetObjectItem(run, "rgb_fnv1a64")->valuestring, NULL, 0);
        ck_assert_msg(fnv1a(fnv1a_start, rgb, width * height * 3) == want, "%s: decoded otherwise",
                      path);
        try_golden(run, rgb, width, height);
        free(rgb);
        ++done;
    }
    ck_assert_int_eq(done, pictures);
    cJSON_Delete(manifest);
}

START_TEST(golden_cases) {
    golden_case(TESSERA_TESTS PREPROCESS_CASE, 4);
}
END_TEST

START_TEST(every_golden_case) {
    golden_case(TESSERA_SHARED PREPROCESS_CASE, 11);
}
END_TEST

TEST_PARTS("op_resize",
           PART(own, NULL, equals_pillow, random_sizes_on_every_device, flat_pictures_stay_flat,
                refuses, golden_cases),
           PART(golden, need_shared_golden, every_golden_case))
