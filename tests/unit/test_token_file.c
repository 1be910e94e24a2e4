/* SPDX-License-Identifier: MIT */
/* The token file: random files there and back, canonical bytes, layers and prefixes, cutting,
 * refusals, and what stays on disk when writing ends badly. */
#include "testing.h"
#include "token_sample.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "compute/tensor.h"
#include "formats/tokens/token_layout.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-token-file-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    tsr_context_close(&ctx);
}

static char *in_folder(char *path, const char *name) {
    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    char command[256], text[32] = "";
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, p));
    pclose(p);
    return atoi(text);
}

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, call)                                                                          \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status), "wanted %s, got %s: %s", tsr_status_name(status),          \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
        ck_assert_msg(!strchr(tsr_detail(ctx), '\n') && *tsr_detail(ctx), "detail: \"%s\"",        \
                      tsr_detail(ctx));                                                            \
    } while (0)

static void compare(tsr_token_file *file, const token_sample *sample, uint32_t most) {
    const char *d = token_header_difference(tsr_token_file_header(file), &sample->header);
    ck_assert_msg(!d, "header differs: %s", d);
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert_uint_eq(info->items, sample->items);
    uint64_t tokens = 0;
    for (uint32_t i = sample->items; i-- > 0;) { /* backwards: each must stand alone */
        tsr_token_item item;
        OK(tsr_token_file_item(file, i, &item));
        d = token_item_difference(&sample->header, &item, &sample->item[i], most);
        ck_assert_msg(!d, "item %u differs: %s", i, d);
        ck_assert_int_eq(tsr_token_file_item_lost(file, NULL), 0);
        d = token_attributes_difference(item.attributes, item.attribute_count,
                                        sample->item[i].attributes,
                                        sample->item[i].attribute_count);
        ck_assert_msg(!d, "item %u differs: %s", i, d);
        tokens += tsr_token_item_total(&item);
    }
    ck_assert_uint_eq(info->tokens, tokens);
}

START_TEST(random_files_round_trip) {
    int used[4] = {0}, vectors[4] = {0};
    for (int i = 0; i < 1500; ++i) {
        uint64_t seed = random_bits();
        token_sample *sample = token_sample_random(seed, i % 3 == 0);
        size_t size, again_size;
        uint8_t *bytes = token_sample_bytes(ctx, sample, &size);
        uint8_t *again = token_sample_bytes(ctx, sample, &again_size);
        ck_assert_msg(size == again_size && !memcmp(bytes, again, size), "sample %llu: two forms",
                      (unsigned long long)seed);
        tsr_token_file *file;
        OK(tsr_token_file_parse(ctx, &file, "sample", bytes, size));
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        ck_assert_int_eq(info->recovered, 0);
        ck_assert_int_eq(info->damaged, 0);
        ck_assert_uint_eq(info->bytes, size);
        ck_assert_uint_eq(info->header_bytes + info->payload_bytes + info->index_bytes, size);
        compare(file, sample, UINT32_MAX);
        for (uint32_t n = 0; n < sample->items; ++n) {
            uint64_t stored;
            const char *coding;
            OK(tsr_token_file_item_storage(file, n, &stored, &coding));
            int which = !strcmp(coding, "raw")     ? 0
                        : !strcmp(coding, "zstd")  ? 1
                        : !strcmp(coding, "range") ? 2
                                                   : 3;
            ck_assert(sample->settings.entropy || which == 0);
            ++used[which];
            vectors[which] += sample->header.channels > 0;
        }
        /* Reading and writing again gives the same bytes. */
        tsr_token_writer *writer;
        OK(tsr_token_writer_open_memory(ctx, &writer, tsr_token_file_header(file),
                                        tsr_token_file_settings(file)));
        tsr_token_cut_report report = {0};
        OK(tsr_token_file_copy(ctx, file, writer, &(tsr_token_cut_settings){0}, &report));
        ck_assert_uint_eq(report.items, sample->items);
        free(again);
        OK(tsr_token_writer_close_memory(&writer, &again, &again_size));
        ck_assert_msg(size == again_size && !memcmp(bytes, again, size),
                      "sample %llu: another form after reading", (unsigned long long)seed);
        tsr_token_file_close(&file);
        ck_assert_ptr_null(file);
        free(bytes);
        free(again);
        token_sample_free(sample);
    }
    printf("codings: %d raw, %d zstd, %d range, %d mixed\n", used[0], used[1], used[2], used[3]);
    for (int i = 0; i < 4; ++i)
        ck_assert_int_gt(used[i], 0);
    ck_assert(vectors[0] > 0 && vectors[1] > 0);
    ck_assert(vectors[2] == 0 && vectors[3] == 0);
}
END_TEST

/* One of ids. */
static token_sample *nested_sample(bool small) {
    token_sample *sample = token_sample_random(random_bits(), small);
    while (sample->header.channels) {
        token_sample_free(sample);
        sample = token_sample_random(random_bits(), small);
    }
    sample->header.nested = 1;
    return sample;
}

START_TEST(a_prefix_is_a_coarser_picture) {
    int coarser = 0;
    for (int i = 0; i < 150; ++i) {
        token_sample *sample = nested_sample(true);
        size_t size;
        sample->settings.layer_tokens = 1 + (uint32_t)random_below(3);
        uint8_t *bytes = token_sample_bytes(ctx, sample, &size), *copy = malloc(size);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bytes, size);
        uint64_t items_before = 0, tokens_before = 0;
        for (size_t n = 0; n <= size; ++n) {
            tsr_token_file *file;
            uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees reading beyond it */
            memcpy(exact, bytes, n);
            tsr_status s = tsr_token_file_parse(ctx, &file, "prefix", exact, n);
            if (s) {
                ck_assert_msg(items_before == 0, "%s", tsr_detail(ctx));
                NOT(TSR_ERROR_TRUNCATED, s);
                free(exact);
                continue;
            }
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            ck_assert_int_eq(info->recovered, n < size);
            ck_assert_int_eq(info->damaged, 0);
            ck_assert_uint_ge(info->items, items_before);
            ck_assert_uint_ge(info->tokens, tokens_before);
            items_before = info->items;
            tokens_before = info->tokens;
            for (uint64_t k = 0; k < info->items; ++k) {
                tsr_token_item item;
                OK(tsr_token_file_item(file, k, &item));
                uint32_t most = 0, whole = 0, tiles = item.tile_columns * item.tile_rows;
                for (uint32_t t = 0; t < tiles; ++t) {
                    if (item.counts[t] > most) most = item.counts[t];
                    if (sample->item[k].counts[t] > whole) whole = sample->item[k].counts[t];
                }
                if (k + 1 < info->items) ck_assert_uint_eq(most, whole);
                coarser += most < whole;
                const char *d =
                    token_item_difference(&sample->header, &item, &sample->item[k], most);
                ck_assert_msg(!d, "prefix of %zu bytes, item %d: %s", n, (int)k, d);
                ck_assert(item.attribute_count == sample->item[k].attribute_count ||
                          (item.attribute_count == 0 && k + 1 == info->items));
            }
            tsr_token_file_close(&file);
            free(exact);
        }
        ck_assert_uint_eq(items_before, sample->items);
        free(bytes);
        free(copy);
        token_sample_free(sample);
    }
    ck_assert_int_gt(coarser, 100);
}
END_TEST

START_TEST(damaged_hints_are_left_out) {
    enum { CHUNK = 24, HINT = CHUNK + 17 };
    int without = 0, damaged = 0;
    for (int i = 0; i < 40; ++i) {
        token_sample *sample = token_sample_random(random_bits(), true);
        token_sample_plain(sample);
        sample->header.hints = (tsr_decode_hints){1, 20, 7.5f, 1234567890123u, 1, 1};
        size_t size;
        uint8_t *bytes = token_sample_bytes(ctx, sample, &size);
        tsr_token_file *file;
        OK(tsr_token_file_parse(ctx, &file, "hints", bytes, size));
        const uint64_t start = tsr_token_file_properties(file)->header_bytes - HINT;
        ck_assert_uint_eq(tsr_token_file_properties(file)->version_minor, 1);
        tsr_token_file_close(&file);
        bytes[start + (size_t)random_below(HINT)] ^= (uint8_t)(1 + random_below(255));
        OK(tsr_token_file_parse(ctx, &file, "hints", bytes, size));
        without += !tsr_token_file_header(file)->hints.present;
        damaged += tsr_token_file_properties(file)->recovered;
        /* Pictures would come out otherwise than the writer said: that is never silent. */
        ck_assert_int_ge(tsr_token_file_properties(file)->damaged, 1);
        ck_assert_uint_eq(tsr_token_file_properties(file)->items, sample->items);
        tsr_token_file_close(&file);
        free(bytes);
        token_sample_free(sample);
    }
    ck_assert_int_eq(without, 40);
    ck_assert_int_gt(damaged, 5); /* a chunk header that is gone sends the reader scanning */
}
END_TEST

/* Takes ids (and places of the kept mask) beyond the first `most` of each tile out of the sample.
 */
static void shorten(token_sample *sample, uint32_t most) {
    const uint32_t positions = sample->header.rows * sample->header.columns;
    for (uint32_t k = 0; k < sample->items; ++k) {
        tsr_token_item *item = &sample->item[k];
        uint32_t *counts = (uint32_t *)item->counts, *to = (uint32_t *)item->ids;
        const uint32_t *from = item->ids;
        uint8_t *mask = (uint8_t *)item->kept;
        for (uint32_t t = 0; t < item->tile_columns * item->tile_rows; ++t) {
            const uint32_t n = counts[t] < most ? counts[t] : most;
            memmove(to, from, n * sizeof *to);
            for (uint32_t p = 0, seen = 0; mask && p < positions; ++p)
                if (mask[p / 8] >> p % 8 & 1 && seen++ >= n)
                    mask[p / 8] &= (uint8_t) ~(1u << p % 8);
            if (mask) mask += (positions + 7) / 8;
            to += n;
            from += counts[t];
            counts[t] = n;
        }
    }
}

static void expect_file(const char *path, const uint8_t *want, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *got = malloc(size + 1);
    ck_assert(f && got);
    ck_assert_uint_eq(fread(got, 1, size + 1, f), size);
    ck_assert_mem_eq(got, want, size);
    fclose(f);
    free(got);
}

static tsr_status cut_to(const char *in, const char *out, uint32_t tokens) {
    return tsr_token_file_cut(ctx, in, out, &(tsr_token_cut_settings){.tokens = tokens}, NULL);
}

START_TEST(cut_equals_writing_less) {
    char in[256], out[256];
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    for (int i = 0; i < 60; ++i) {
        token_sample *sample = nested_sample(false);
        uint32_t tokens =
            1 + (uint32_t)random_below(sample->header.rows * sample->header.columns + 3);
        tsr_token_writer *writer;
        OK(tsr_token_writer_open(ctx, &writer, in, &sample->header, &sample->settings));
        for (uint32_t k = 0; k < sample->items; ++k)
            OK(tsr_token_writer_add(writer, &sample->item[k]));
        OK(tsr_token_writer_close(&writer));
        OK(cut_to(in, out, tokens));
        tsr_token_file *file;
        OK(tsr_token_file_open(ctx, &file, out));
        compare(file, sample, tokens);
        ck_assert_int_eq(tsr_token_file_properties(file)->recovered, 0);
        tsr_token_file_close(&file);
        shorten(sample, tokens);
        size_t size;
        uint8_t *less = token_sample_bytes(ctx, sample, &size);
        expect_file(out, less, size);
        /* Cutting to what is there gives the same bytes; so does cutting onto itself. */
        OK(cut_to(out, out, UINT32_MAX));
        expect_file(out, less, size);
        free(less);
        token_sample_free(sample);
    }
    ck_assert_int_eq(files_in_folder(), 2);
}
END_TEST

static token_sample *plain_sample(void) {
    token_sample *s = token_sample_random(7, true);
    s->header.nested = 0;
    token_sample_plain(s);
    s->settings = tsr_token_writer_settings_default();
    return s;
}

START_TEST(cut_refusals) {
    char in[256], out[256];
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    token_sample *s = plain_sample();
    tsr_token_writer *writer;
    OK(tsr_token_writer_open(ctx, &writer, in, &s->header, NULL));
    OK(tsr_token_writer_add(writer, &s->item[0]));
    OK(tsr_token_writer_close(&writer));
    NOT(TSR_ERROR_UNSUPPORTED, cut_to(in, out, 3));
    NOT(TSR_ERROR_NOT_FOUND, cut_to(out, in, 3));
    NOT(TSR_ERROR_ARGUMENT, cut_to(NULL, out, 3));
    ck_assert_int_eq(files_in_folder(), 1);
    token_sample_free(s);
}
END_TEST

static tsr_status try_header(const tsr_token_header *h, uint32_t layer_tokens) {
    tsr_token_writer *writer = (void *)1;
    tsr_token_writer_settings settings = {.layer_tokens = layer_tokens, .entropy = 1};
    tsr_status s = tsr_token_writer_open_memory(ctx, &writer, h, &settings);
    ck_assert_int_eq(s == TSR_OK, writer != NULL);
    tsr_token_writer_abandon(&writer);
    return s;
}

START_TEST(bad_headers_are_refused) {
    tsr_token_header good = {.tokenizer = "mosaic-256",
                             .codebook_size = 64,
                             .level_count = 2,
                             .levels = {8, 8},
                             .rows = 1,
                             .columns = 256,
                             .tile_width = 256,
                             .tile_height = 256,
                             .fit = TSR_FIT_CROP,
                             .nested = 1};
    ck_assert_int_eq(try_header(&good, 4), TSR_OK);
#define WITH(change)                                                                               \
    do {                                                                                           \
        tsr_token_header h = good;                                                                 \
        uint32_t layers = 0;                                                                       \
        change;                                                                                    \
        NOT(TSR_ERROR_ARGUMENT, try_header(&h, layers));                                           \
    } while (0)
    WITH(h.tokenizer[0] = 0);
    WITH(h.tokenizer[0] = '\n');
    WITH(memset(h.tokenizer, 'x', sizeof h.tokenizer));
    WITH(h.codebook_size = 0; h.level_count = 0);
    WITH(h.codebook_size = 63);
    WITH(h.level_count = 17);
    WITH(h.levels[0] = 1);
    WITH(h.levels[0] = 65537);
    WITH(h.levels[0] = 65536; h.levels[1] = 65536; h.codebook_size = 0xffffffffu);
    WITH(h.rows = 2);
    WITH(h.rows = 0);
    WITH(h.columns = 0);
    WITH(h.columns = (1 << 20) + 1);
    WITH(h.geometry = TSR_GEOMETRY_GRID; h.rows = 1u << 31; h.columns = 2);
    WITH(h.geometry = (tsr_geometry)2);
    WITH(h.nested = 2);
    WITH(h.nested = 0; layers = 4);
    WITH(h.tile_width = 0);
    WITH(h.tile_height = 65537);
    WITH(h.fit = TSR_FIT_AUTO);
    WITH(h.fit = (tsr_fit)5);
    WITH(h.filter = 3);
    WITH(h.latent_type = TSR_LATENT_F16);
    WITH(h.channels = 4);
    good.codebook_size = good.level_count = good.nested = 0;
    good.channels = 4096;
    good.latent_type = TSR_LATENT_F16;
    ck_assert_int_eq(try_header(&good, 0), TSR_OK);
    WITH(h.channels = 4097);
    WITH(h.codebook_size = 2);
    WITH(h.level_count = 1);
    WITH(h.nested = 1);
    WITH(h.latent_type = (tsr_latent_type)2);
    WITH(layers = 4);
#undef WITH
}
END_TEST

START_TEST(bad_items_are_refused_and_the_writer_goes_on) {
    tsr_token_header header = {.tokenizer = "t",
                               .codebook_size = 10,
                               .rows = 1,
                               .columns = 12,
                               .tile_width = 16,
                               .tile_height = 16,
                               .fit = TSR_FIT_TILE,
                               .nested = 1};
    uint32_t counts[2] = {3, 2}, ids[5] = {0, 9, 1, 2, 3};
    uint8_t kept[4] = {0x15, 0, 0, 0x0c};
    tsr_token_item good = {.key = "a.png",
                           .source_width = 5,
                           .source_height = 6,
                           .orientation = 1,
                           .width = 5,
                           .height = 6,
                           .tile_columns = 2,
                           .tile_rows = 1,
                           .counts = counts,
                           .ids = ids,
                           .kept = kept};
    tsr_token_writer *writer;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    OK(tsr_token_writer_add(writer, &good));
#define WITH(status, change)                                                                       \
    do {                                                                                           \
        tsr_token_item item = good;                                                                \
        uint32_t c[2] = {3, 2}, i[5] = {0, 9, 1, 2, 3};                                            \
        uint8_t k[4] = {0x15, 0, 0, 0x0c};                                                         \
        item.counts = c, item.ids = i, item.kept = k;                                              \
        change;                                                                                    \
        NOT(status, tsr_token_writer_add(writer, &item));                                          \
    } while (0)
    char long_key[1030];
    memset(long_key, 'k', sizeof long_key);
    long_key[1025] = 0;
    WITH(TSR_ERROR_TOKENS, i[4] = 10);
    WITH(TSR_ERROR_TOKENS, c[0] = 13);
    WITH(TSR_ERROR_TOKENS, k[0] = 0x05);
    WITH(TSR_ERROR_TOKENS, k[0] = 0x05; k[1] = 0x10);
    WITH(TSR_ERROR_TOKENS, k[1] = 0x10);
    WITH(TSR_ERROR_ARGUMENT, item.key = NULL);
    WITH(TSR_ERROR_ARGUMENT, item.counts = NULL);
    WITH(TSR_ERROR_ARGUMENT, item.ids = NULL);
    WITH(TSR_ERROR_ARGUMENT, item.key = long_key);
    WITH(TSR_ERROR_ARGUMENT, item.key = "../a.png");
    WITH(TSR_ERROR_ARGUMENT, item.key = "..");
    WITH(TSR_ERROR_ARGUMENT, item.key = "a\x1b[2J");
    WITH(TSR_ERROR_ARGUMENT, item.source_width = 0);
    WITH(TSR_ERROR_ARGUMENT, item.source_height = 1u << 31);
    WITH(TSR_ERROR_ARGUMENT, item.width = 0);
    WITH(TSR_ERROR_ARGUMENT, item.height = 0);
    WITH(TSR_ERROR_ARGUMENT, item.orientation = 0);
    WITH(TSR_ERROR_ARGUMENT, item.orientation = 9);
    WITH(TSR_ERROR_ARGUMENT, item.tile_columns = 0);
    WITH(TSR_ERROR_ARGUMENT, item.tile_columns = 1u << 31; item.tile_rows = 2);
    WITH(TSR_ERROR_ARGUMENT, item.overlap = 65536);
    WITH(TSR_ERROR_ARGUMENT, item.time = 0.0 / 0.0);
    WITH(TSR_ERROR_ARGUMENT, item.quality = -1);
    WITH(TSR_ERROR_ARGUMENT, item.quality = 1.0f / 0.0f);
    WITH(TSR_ERROR_ARGUMENT, item.target.metric = (tsr_target_metric)4);
    WITH(TSR_ERROR_ARGUMENT, item.target.threshold = 1.0f / 0.0f);
    WITH(TSR_ERROR_ARGUMENT, item.target.reached = 0.0f / 0.0f);
#undef WITH
    OK(tsr_token_writer_add(writer, &good));
    uint8_t *bytes;
    size_t size;
    OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "two", bytes, size));
    ck_assert_uint_eq(tsr_token_file_properties(file)->items, 2);
    tsr_token_item item;
    OK(tsr_token_file_item(file, 1, &item));
    ck_assert_ptr_null(token_item_difference(&header, &item, &good, UINT32_MAX));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_item(file, 2, &item));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_item_storage(file, 2, NULL, NULL));
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

START_TEST(vectors) {
    enum { C = 3, N = 5 };
    tsr_token_header header = {.tokenizer = "t",
                               .channels = C,
                               .rows = 1,
                               .columns = 12,
                               .tile_width = 16,
                               .tile_height = 16,
                               .fit = TSR_FIT_TILE};
    const float good[N * C] = {0, -0.0f, 1.0f / 3, -1e-40f, 65519, -65519, 6e-8f, 1,
                               2, 0.1f,  5,        6,       7,     8,      9};
    uint32_t counts[2] = {3, 2};
    uint8_t kept[4] = {0x15, 0, 0, 0x0c};
    float x[N * C];
    tsr_token_item item = {.key = "a.png",
                           .source_width = 5,
                           .source_height = 6,
                           .orientation = 1,
                           .width = 5,
                           .height = 6,
                           .tile_columns = 2,
                           .tile_rows = 1,
                           .counts = counts,
                           .latents = x,
                           .kept = kept};
    char in[256], out[256];
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    /* more numbers than an item may have: refused before one is looked at */
    tsr_token_header wide = header;
    wide.channels = 4096;
    tsr_token_item many = item;
    uint32_t *twelve = malloc(2048 * sizeof *twelve);
    tsr_token_writer *refusing;
    ck_assert_ptr_nonnull(twelve);
    for (int i = 0; i < 2048; ++i)
        twelve[i] = 12;
    many.tile_columns = 2048, many.counts = twelve, many.kept = NULL;
    OK(tsr_token_writer_open_memory(ctx, &refusing, &wide, NULL));
    NOT(TSR_ERROR_TOKENS, tsr_token_writer_add(refusing, &many));
    tsr_token_writer_abandon(&refusing);
    free(twelve);
    for (int type = 0; type < 2; ++type) {
        tsr_token_writer *writer;
        tsr_token_file *file;
        tsr_token_item got;
        header.latent_type = (tsr_latent_type)type;
        ck_assert_uint_eq(tsr_token_bits(&header), type ? 48 : 96);
        OK(tsr_token_writer_open(ctx, &writer, in, &header, NULL));
        memcpy(x, good, sizeof x);
        OK(tsr_token_writer_add(writer, &item));
#define WITH(status, change)                                                                       \
    do {                                                                                           \
        memcpy(x, good, sizeof x);                                                                 \
        tsr_token_item same = item;                                                                \
        change;                                                                                    \
        NOT(status, tsr_token_writer_add(writer, &item));                                          \
        item = same;                                                                               \
    } while (0)
        WITH(TSR_ERROR_TOKENS, x[14] = 0.0f / 0.0f);
        WITH(TSR_ERROR_TOKENS, x[0] = 1.0f / 0.0f);
        WITH(TSR_ERROR_TOKENS, x[0] = -1.0f / 0.0f);
        WITH(TSR_ERROR_ARGUMENT, item.latents = NULL);
        if (type) {
            WITH(TSR_ERROR_TOKENS, x[5] = 65520);
            ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "item 1: vector 1: number 2"));
        }
#undef WITH
        memcpy(x, good, sizeof x);
        OK(tsr_token_writer_add(writer, &item));
        OK(tsr_token_writer_close(&writer));
        OK(tsr_token_file_open(ctx, &file, in));
        ck_assert_uint_eq(tsr_token_file_properties(file)->tokens, 2 * N);
        OK(tsr_token_file_item(file, 1, &got));
        ck_assert_ptr_null(got.ids);
        ck_assert_mem_eq(got.kept, kept, sizeof kept);
        for (int i = 0; i < N * C; ++i) {
            const float want = type ? tsr_f16_to_f32(tsr_f32_to_f16(good[i])) : good[i];
            ck_assert_msg(!memcmp(&got.latents[i], &want, 4), "number %d: wanted %a, got %a", i,
                          (double)want, (double)got.latents[i]);
        }
        tsr_token_file_close(&file);
        /* cutting is refused, with the reason */
        NOT(TSR_ERROR_UNSUPPORTED, cut_to(in, out, 3));
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "decode together"));
    }
}
END_TEST

START_TEST(bits_of_an_id) {
    static const uint32_t cases[][2] = {
        {1, 0},          {2, 1},      {3, 2},      {4, 2},         {5, 3},
        {65536, 16},     {65537, 17}, {64000, 16}, {1u << 31, 31}, {(1u << 31) + 1, 32},
        {UINT32_MAX, 32}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_token_header h = {.codebook_size = cases[i][0]};
        ck_assert_uint_eq(tsr_token_bits(&h), cases[i][1]);
    }
}
END_TEST

START_TEST(a_million_ids_with_many_tiles) {
    tsr_token_header header = {.tokenizer = "t",
                               .codebook_size = 64000,
                               .level_count = 6,
                               .levels = {8, 8, 8, 5, 5, 5},
                               .rows = 1,
                               .columns = 256,
                               .tile_width = 256,
                               .tile_height = 256,
                               .fit = TSR_FIT_TILE,
                               .nested = 1};
    enum { TILES = 4096 };
    uint32_t *counts = malloc(TILES * 4), *ids = malloc(TILES * 256 * 4);
    ck_assert(counts && ids);
    for (int i = 0; i < TILES; ++i)
        counts[i] = 256;
    for (int i = 0; i < TILES * 256; ++i)
        ids[i] = (uint32_t)random_below(64000);
    tsr_token_item item = {.key = "",
                           .source_width = 1,
                           .source_height = 1,
                           .orientation = 1,
                           .width = 16384,
                           .height = 16384,
                           .tile_columns = 64,
                           .tile_rows = 64,
                           .counts = counts,
                           .ids = ids},
                   got;
    tsr_token_writer_settings settings = {.layer_tokens = 4, .entropy = 1};
    char path[256];
    tsr_token_writer *writer;
    OK(tsr_token_writer_open(ctx, &writer, in_folder(path, "big.tess"), &header, &settings));
    OK(tsr_token_writer_add(writer, &item));
    OK(tsr_token_writer_close(&writer));
    tsr_token_file *file;
    OK(tsr_token_file_open(ctx, &file, path));
    OK(tsr_token_file_item(file, 0, &got));
    ck_assert_int_eq(memcmp(got.ids, ids, TILES * 256 * 4), 0);
    ck_assert_uint_lt(tsr_token_file_properties(file)->bytes, TILES * 256 * 2 + 500);
    tsr_token_file_close(&file);
    free(counts);
    free(ids);
}
END_TEST

/* ---- what stays on disk ------------------------------------------------------------------ */

static void write_endlessly(const char *path, int tell) {
    tsr_context *mine;
    token_sample *s = plain_sample();
    tsr_token_writer *writer;
    if (tsr_context_open(&mine, NULL) ||
        tsr_token_writer_open(mine, &writer, path, &s->header, NULL))
        _exit(1);
    for (int i = 0;; ++i) {
        if (tsr_token_writer_add(writer, &s->item[0])) _exit(2);
        if (i == 100 && write(tell, "x", 1) != 1) _exit(3);
    }
}

START_TEST(killed_while_writing_leaves_no_file) {
    char path[256], x;
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    in_folder(path, "killed.tess");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) write_endlessly(path, pipes[1]);
    close(pipes[1]); /* so that a child that dies early ends the read */
    ck_assert_int_eq(read(pipes[0], &x, 1), 1);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_int_ne(access(path, F_OK), 0);
    close(pipes[0]);
}
END_TEST

START_TEST(abandoned_and_failed_writing_leave_nothing) {
    char path[256];
    token_sample *s = plain_sample();
    tsr_token_writer *writer;
    OK(tsr_token_writer_open(ctx, &writer, in_folder(path, "a.tess"), &s->header, NULL));
    OK(tsr_token_writer_add(writer, &s->item[0]));
    ck_assert_int_ne(access(path, F_OK), 0);
    tsr_token_writer_abandon(&writer);
    ck_assert_ptr_null(writer);
    ck_assert_int_eq(files_in_folder(), 0);
    NOT(TSR_ERROR_NOT_FOUND,
        tsr_token_writer_open(ctx, &writer, in_folder(path, "no/a.tess"), &s->header, NULL));
    NOT(TSR_ERROR_IO, tsr_token_writer_open(ctx, &writer, folder, &s->header, NULL));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_open(ctx, &writer, NULL, &s->header, NULL));
    ck_assert_ptr_null(writer);
    tsr_token_writer_abandon(&writer);
    ck_assert_int_eq(files_in_folder(), 0);
    token_sample_free(s);
}
END_TEST

START_TEST(full_disk_is_an_error) {
    token_sample *s = plain_sample();
    tsr_token_writer *writer;
    tsr_status status = tsr_token_writer_open(ctx, &writer, "/dev/full", &s->header, NULL);
    if (!status) status = tsr_token_writer_add(writer, &s->item[0]);
    NOT(TSR_ERROR_NO_SPACE, status);
    if (writer) {
        NOT(TSR_ERROR_NO_SPACE, tsr_token_writer_add(writer, &s->item[0]));
        NOT(TSR_ERROR_NO_SPACE, tsr_token_writer_close(&writer));
    }
    token_sample_free(s);
}
END_TEST

START_TEST(file_size_limit_is_an_error) {
    char path[256];
    in_folder(path, "limited.tess");
    /* In a child, since the limit cannot be raised again. */
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {4096, 4096};
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(9);
        token_sample *s = plain_sample();
        tsr_token_writer *writer;
        if (tsr_token_writer_open(ctx, &writer, path, &s->header, NULL)) _exit(8);
        tsr_status status = TSR_OK;
        for (int i = 0; !status && i < 10000; ++i)
            status = tsr_token_writer_add(writer, &s->item[0]);
        if (!status || !*tsr_detail(ctx)) _exit(7);
        if (tsr_token_writer_close(&writer) != status || writer) _exit(6);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %x", (unsigned)status);
    ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

int main(void) {
    test_seed();
    const TTest *const tests[] = {random_files_round_trip,
                                  a_prefix_is_a_coarser_picture,
                                  damaged_hints_are_left_out,
                                  cut_equals_writing_less,
                                  cut_refusals,
                                  bad_headers_are_refused,
                                  bad_items_are_refused_and_the_writer_goes_on,
                                  bits_of_an_id,
                                  vectors,
                                  a_million_ids_with_many_tiles,
                                  killed_while_writing_leaves_no_file,
                                  abandoned_and_failed_writing_leave_nothing,
                                  full_disk_is_an_error,
                                  file_size_limit_is_an_error};
    Suite *suite = suite_create("token file");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i) {
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_set_timeout(tcase, 300);
        tcase_add_checked_fixture(tcase, setup, teardown);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
