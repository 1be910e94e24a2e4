/* SPDX-License-Identifier: MIT */
/* Token files of released versions, read for ever. tests/golden/tess/v1_*.tess were written by this
 * program's writer with the ids below (run it with --write FOLDER), v1_2_*.tess by that of format
 * 1.2, v1_3_*.tess by that of 1.3; a later version may add files but must never write these again.
 */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "formats/tokens/token_layout.h"
#include "stream_sample.h"
#include "token_sample.h"

/* The content: all of it follows from a small generator, so that it stands here and not in a file.
 */
static uint32_t state;
static uint32_t next(uint32_t below) { /* minimal standard, Park and Miller 1988 */
    state = (uint32_t)((uint64_t)state * 48271 % 2147483647);
    return state % below;
}

typedef struct golden {
    const char *file;
    tsr_token_header header;
    tsr_token_writer_settings settings;
    const char *codings[2];
    uint32_t own, item[2]; /* how many of `attributes` the file and its items have */
} golden;

/* In no order: they are read in that of their names. */
static const tsr_attribute attributes[] = {
    {.name = "split", .bytes = "train", .size = 5},
    {.name = "\xc3\xa4ltester", .type = TSR_ATTRIBUTE_INTEGER, .integer = INT64_MIN},
    {.name = "class", .type = TSR_ATTRIBUTE_INTEGER, .integer = 300},
    {.name = "caption", .bytes = "zwei H\xc3\xa4user\n", .size = 13},
    {.name = "none"},
    {.name = "blob", .type = TSR_ATTRIBUTE_BYTES, .bytes = "\0\xff\x80", .size = 3}};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

static const golden all[] = {
    {"v1_raw.tess",
     {.tokenizer = "mosaic-256",
      .family = 1,
      .weights_hash = 0xfedcba9876543210u,
      .codebook_size = 64000,
      .level_count = 6,
      .levels = {8, 8, 8, 5, 5, 5},
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .nested = 1,
      .tile_width = 256,
      .tile_height = 256,
      .fit = TSR_FIT_TILE,
      .filter = 2,
      .background = {255, 255, 255}},
     {.layer_tokens = 0, .entropy = 0},
     {"raw", "raw"},
     0,
     {0, 0}},
    {"v1_layers.tess",
     {.tokenizer = "mosaic-256",
      .family = 1,
      .weights_hash = 1,
      .codebook_size = 64000,
      .level_count = 6,
      .levels = {8, 8, 8, 5, 5, 5},
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .nested = 1,
      .tile_width = 256,
      .tile_height = 256,
      .fit = TSR_FIT_CROP,
      .filter = 1,
      .background = {1, 2, 3}},
     {.layer_tokens = 4, .entropy = 0},
     {"raw", "raw"},
     0,
     {0, 0}},
    {"v1_range.tess", /* a grid with levels; ids that stay near their neighbours */
     {.tokenizer = "grid",
      .family = 7,
      .weights_hash = 2,
      .codebook_size = 64,
      .level_count = 2,
      .levels = {8, 8},
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 128,
      .fit = TSR_FIT_STRETCH,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 1},
     {"range", "range"},
     0,
     {0, 0}},
    {"v1_range_wide.tess", /* no levels: groups of bits; a sequence with two tiles */
     {.tokenizer = "wide",
      .family = 8,
      .weights_hash = 3,
      .codebook_size = 3000000001u,
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .nested = 1,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_PAD,
      .filter = 0},
     {.layer_tokens = 16, .entropy = 1},
     {"range", "range"},
     0,
     {0, 0}},
    {"v1_zstd.tess", /* a pattern that comes again after a while */
     {.tokenizer = "repeat",
      .family = 9,
      .weights_hash = 4,
      .codebook_size = 16384,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 1},
     {"zstd", "zstd"},
     0,
     {0, 0}},
    {"v1_vectors.tess", /* vectors of a continuous model, exact */
     {.tokenizer = "vectors",
      .family = 8,
      .weights_hash = 5,
      .channels = 4,
      .latent_type = TSR_LATENT_F32,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 2},
     {.layer_tokens = 0, .entropy = 0},
     {"raw", "raw"},
     0,
     {0, 0}},
    {"v1_vectors_half.tess", /* in half precision */
     {.tokenizer = "vectors",
      .family = 6,
      .weights_hash = 6,
      .channels = 4,
      .latent_type = TSR_LATENT_F16,
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_CROP,
      .filter = 1},
     {.layer_tokens = 0, .entropy = 0},
     {"raw", "raw"},
     0,
     {0, 0}},
    {"v1_vectors_zstd.tess", /* half precision, planes that are worth packing */
     {.tokenizer = "vectors",
      .family = 7,
      .weights_hash = 7,
      .channels = 4,
      .latent_type = TSR_LATENT_F16,
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_CROP,
      .filter = 1},
     {.layer_tokens = 0, .entropy = 1},
     {"zstd", "zstd"},
     0,
     {0, 0}},
    {"v1_2_attributes.tess", /* of the file and of both items, in layers, behind hints */
     {.tokenizer = "mosaic-256",
      .family = 1,
      .weights_hash = 8,
      .codebook_size = 64000,
      .level_count = 6,
      .levels = {8, 8, 8, 5, 5, 5},
      .geometry = TSR_GEOMETRY_SEQUENCE,
      .rows = 1,
      .columns = 64,
      .nested = 1,
      .tile_width = 256,
      .tile_height = 256,
      .fit = TSR_FIT_CROP,
      .filter = 1,
      .hints = {1, 20, 7.5f, 1234567890123u, 0, 1}},
     {.layer_tokens = 4, .entropy = 0},
     {"raw", "raw"},
     ATTRIBUTES,
     {2, ATTRIBUTES}},
    {"v1_2_keys.tess", /* an index of keys and nothing else */
     {.tokenizer = "keys",
      .family = 9,
      .weights_hash = 9,
      .codebook_size = 64000,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 0, .key_index = 1},
     {"raw", "raw"},
     0,
     {0, 0}},
    {"v1_2_late.tess", /* attributes of the second item alone, and an index of keys */
     {.tokenizer = "late",
      .family = 9,
      .weights_hash = 10,
      .channels = 4,
      .latent_type = TSR_LATENT_F16,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 0, .key_index = 1},
     {"raw", "raw"},
     0,
     {0, 1}},
    {"v1_3_streams.tess", /* beside ids, raw */
     {.tokenizer = "streams",
      .family = 9,
      .weights_hash = 11,
      .codebook_size = 64000,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 0},
     {"raw", "raw"},
     0,
     {0, 2}},
    {"v1_3_streams_zstd.tess", /* coded as each part is smallest */
     {.tokenizer = "streams",
      .family = 9,
      .weights_hash = 12,
      .channels = 4,
      .latent_type = TSR_LATENT_F16,
      .geometry = TSR_GEOMETRY_GRID,
      .rows = 8,
      .columns = 8,
      .tile_width = 64,
      .tile_height = 64,
      .fit = TSR_FIT_TILE,
      .filter = 0},
     {.layer_tokens = 0, .entropy = 1},
     {"zstd", "zstd"},
     0,
     {0, 0}},
};
enum { CHANNELS = 4 };
enum { FILES = sizeof all / sizeof *all };

/* Two items: the first with even counts; the second with uneven ones, a time and a kept mask. */
static void content(const golden *g, int number, tsr_token_item *item, uint32_t *counts,
                    uint32_t *ids, float *latents, uint8_t *kept) {
    state = 1 + (uint32_t)(g - all) * 100 + (uint32_t)number;
    uint32_t tiles = number ? 6 : 2, positions = g->header.rows * g->header.columns;
    *item = (tsr_token_item){.key = number ? "zwei \xc3\xa4.jpg" : "one.png",
                             .source_width = 640,
                             .source_height = 480,
                             .orientation = number ? 6 : 1,
                             .width = 512,
                             .height = 300,
                             .crop_x = number ? -3 : 0,
                             .crop_y = number ? 100 : 0,
                             .tile_columns = number ? 3 : 2,
                             .tile_rows = number ? 2 : 1,
                             .overlap = 32,
                             .time = number ? 0.04 : 0,
                             .quality = number ? 0.05f : 0,
                             .counts = counts,
                             .attributes = g->item[number] ? attributes : NULL,
                             .attribute_count = g->item[number],
                             .ids = g->header.channels ? NULL : ids,
                             .latents = g->header.channels ? latents : NULL};
    uint32_t n = 0, id = 0;
    memset(kept, 0, 6 * 8);
    for (uint32_t t = 0; t < tiles; ++t) {
        counts[t] = number && t != 2 ? 64 - next(20) : positions;
        for (uint32_t i = 0; i < counts[t] * g->header.channels; ++i) /* sixteenths: f16 has them */
            *latents++ = ((float)next(256) - 128) / 16;
        for (uint32_t i = 0; i < counts[t] && !g->header.channels; ++i, ++n) {
            if (!strcmp(g->file, "v1_zstd.tess"))
                id = n < 40 ? next(16384) : ids[n - 40];
            else if (!strcmp(g->file, "v1_range.tess"))
                id = (id % 8 + next(3) + 7) % 8 + 8 * ((id / 8 + next(3) + 7) % 8);
            else if (!strcmp(g->file, "v1_range_wide.tess"))
                id = next(3) ? 2999999999u : next(256);
            else
                id = next(64000);
            ids[n] = id;
        }
        for (uint32_t p = 0, left = counts[t]; p < positions; ++p)
            if (next(positions - p) < left) kept[t * 8 + p / 8] |= (uint8_t)(1u << p % 8), --left;
    }
    if (number) item->kept = kept;
    static stream_sample streams[2];
    if (!strstr(g->file, "streams")) return;
    stream_sample_fill(&streams[number], (uint32_t)number);
    item->streams = streams[number].stream;
    item->stream_count = STREAM_SAMPLE_STREAMS;
}

static uint8_t *written(tsr_context *ctx, const golden *g, size_t *size) {
    static uint32_t counts[6], ids[6 * 64];
    static float latents[6 * 64 * CHANNELS];
    static uint8_t kept[6 * 8];
    tsr_token_writer *writer;
    uint8_t *bytes;
    tsr_token_item item;
    if (tsr_token_writer_open_memory(ctx, &writer, &g->header, &g->settings) ||
        tsr_token_writer_attributes(writer, attributes, g->own))
        return NULL;
    for (int i = 0; i < 2; ++i) {
        content(g, i, &item, counts, ids, latents, kept);
        if (tsr_token_writer_add(writer, &item)) return NULL;
    }
    return tsr_token_writer_close_memory(&writer, &bytes, size) ? NULL : bytes;
}

START_TEST(golden_files_are_read_for_ever) {
    const golden *g = &all[_i];
    uint32_t counts[6], ids[6 * 64];
    float latents[6 * 64 * CHANNELS];
    uint8_t kept[6 * 8];
    char path[1024];
    tsr_context *ctx;
    tsr_token_file *file;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    snprintf(path, sizeof path, "%s/golden/tess/%s", TESSERA_TESTS, g->file);
    ck_assert_msg(tsr_token_file_open(ctx, &file, path) == TSR_OK, "%s", tsr_detail(ctx));
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert_uint_eq(info->items, 2);
    ck_assert_uint_eq(info->version_major, 1);
    const uint32_t minor = !strncmp(g->file, "v1_3_", 5)   ? 3
                           : !strncmp(g->file, "v1_2_", 5) ? 2
                                                           : 0;
    ck_assert_uint_eq(info->version_minor, minor);
    ck_assert_int_eq(info->key_index, g->settings.key_index);
    ck_assert(!info->recovered && !info->damaged);
    uint32_t own_count;
    const tsr_attribute *own = tsr_token_file_attributes(file, &own_count);
    const char *different = token_attributes_difference(own, own_count, attributes, g->own);
    ck_assert_msg(!different, "%s: attributes: %s", g->file, different);
    const char *d = token_header_difference(tsr_token_file_header(file), &g->header);
    ck_assert_msg(!d, "%s: header: %s", g->file, d);
    for (int i = 0; i < 2; ++i) {
        tsr_token_item item, want;
        const char *coding;
        content(g, i, &want, counts, ids, latents, kept);
        ck_assert_msg(!tsr_token_file_item(file, (uint64_t)i, &item), "%s", tsr_detail(ctx));
        d = token_item_difference(&g->header, &item, &want, UINT32_MAX);
        ck_assert_msg(!d, "%s: item %d: %s", g->file, i, d);
        d = streams_difference(&item, &want);
        ck_assert_msg(!d, "%s: item %d: streams: %s", g->file, i, d);
        d = token_attributes_difference(item.attributes, item.attribute_count, attributes,
                                        g->item[i]);
        ck_assert_msg(!d, "%s: item %d: %s", g->file, i, d);
        uint64_t found = 9;
        ck_assert_int_eq(tsr_token_file_find(file, want.key, &found), TSR_OK);
        ck_assert_uint_eq(found, (uint64_t)i);
        ck_assert_int_eq(tsr_token_file_item_storage(file, (uint64_t)i, NULL, &coding), TSR_OK);
        ck_assert_str_eq(coding, g->codings[i]);
    }
    /* And this version still writes them so. zstd's own bytes may change with its library. */
    if (!strstr(g->file, "zstd")) {
        size_t size;
        uint8_t *bytes = written(ctx, g, &size), *stored = malloc(info->bytes + 1);
        FILE *f = fopen(path, "rb");
        ck_assert(bytes && stored && f);
        ck_assert_uint_eq(fread(stored, 1, info->bytes + 1, f), size);
        ck_assert_msg(!memcmp(bytes, stored, size), "%s: written differently", g->file);
        fclose(f);
        free(bytes);
        free(stored);
    }
    tsr_token_file_close(&file);
    tsr_context_close(&ctx);
}
END_TEST

static int write_all(const char *folder) {
    tsr_context *ctx;
    if (tsr_context_open(&ctx, NULL)) return 1;
    for (int i = 0; i < FILES; ++i) {
        char path[1024];
        size_t size;
        uint8_t *bytes = written(ctx, &all[i], &size);
        snprintf(path, sizeof path, "%s/%s", folder, all[i].file);
        FILE *f = bytes ? fopen(path, "wbx") : NULL; /* never over an existing one */
        if (bytes && !f && !access(path, F_OK)) continue;
        if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) {
            fprintf(stderr, "%s: not written: %s\n", path, tsr_detail(ctx));
            return 1;
        }
        free(bytes);
    }
    tsr_context_close(&ctx);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--write")) return write_all(argv[2]);
    Suite *suite = suite_create("golden token files");
    TCase *tc = tcase_create("v1");
    tcase_add_loop_test(tc, golden_files_are_read_for_ever, 0, FILES);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
