/* SPDX-License-Identifier: MIT */
/* Streams of an item: what goes in comes out, alone or with the others, through every way of
 * copying; what is refused; what the map coder makes of clips. */
#include "testing.h"
#include "stream_sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "formats/tokens/map_coder.h"
#include "formats/tokens/token_layout.h"

static tsr_context *ctx;
static stream_sample sample[2];
static char folder[] = "/tmp/tessera-token-streams-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    stream_sample_fill(&sample[0], 0);
    stream_sample_fill(&sample[1], 1);
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

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, words, call)                                                                   \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status) && strstr(tsr_detail(ctx), words),                          \
                      "wanted %s and '%s', got %s: %s", tsr_status_name(status), words,            \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
    } while (0)

static tsr_token_item item_of(int n) {
    return stream_sample_item(&sample[n], n ? "two" : "one");
}

static uint8_t *bytes_of(int entropy, size_t *size) {
    const tsr_token_header header = stream_sample_header();
    const tsr_token_writer_settings settings = {.entropy = entropy};
    tsr_token_writer *writer;
    uint8_t *bytes = NULL;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, &settings));
    for (int i = 0; i < 2; ++i) {
        const tsr_token_item item = item_of(i);
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close_memory(&writer, &bytes, size));
    return bytes;
}

/* ---- round trips --------------------------------------------------------------------------- */

static void expect_items(tsr_token_file *file) {
    for (int i = 0; i < 2; ++i) {
        tsr_token_item got;
        const tsr_token_item want = item_of(i);
        OK(tsr_token_file_item(file, (uint64_t)i, &got));
        const char *d = streams_difference(&got, &want);
        ck_assert_msg(!d && !strcmp(got.key, want.key), "item %d: %s", i, d);
        for (uint32_t n = 0; n < got.stream_count; ++n) {
            const tsr_token_stream *s = &got.streams[n];
            ck_assert_uint_gt(s->bytes.all,
                              s->bytes.codebook + s->bytes.ids + s->bytes.gains + s->bytes.map);
            ck_assert(!s->channels == !s->bytes.codebook && !s->gains == !s->bytes.gains);
        }
    }
}

START_TEST(round_trip) {
    size_t size, again_size;
    uint8_t *bytes = bytes_of(_i, &size), *again = bytes_of(_i, &again_size);
    ck_assert_uint_eq(size, again_size);
    ck_assert_mem_eq(bytes, again, size);
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "sample", bytes, size));
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert(info->version_minor == 3 && !info->recovered && info->items == 2);
    expect_items(file);
    tsr_token_file_close(&file);
    free(bytes);
    free(again);
}
END_TEST

/* Each stream alone, also where the parts of all others are damaged. */
START_TEST(one_stream) {
    size_t size;
    uint8_t *bytes = bytes_of(1, &size);
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "sample", bytes, size));
    for (int s = 0; s < STREAM_SAMPLE_STREAMS; ++s) {
        const tsr_token_stream *want = &sample[1].stream[s];
        size_t from = 0, to = 0; /* of the chunks of item 1 that are not asked for */
        uint64_t offset = tsr_token_file_item_offset(file, 1);
        uint8_t *broken = malloc(size);
        memcpy(broken, bytes, size);
        int number = 0;
        for (size_t at = offset; at < size; at = to) {
            tsr_chunk chunk;
            ck_assert(tsr_chunk_read(bytes + at, size - at, &chunk));
            from = at + TSR_TESS_CHUNK_BYTES;
            to = from + chunk.size;
            if (chunk.type == TSR_TESS_INDX) break;
            if (chunk.type == TSR_TESS_STRM && number++ == s) continue;
            broken[to - 1] ^= 1; /* the last byte of the last part */
        }
        tsr_token_file *half;
        tsr_token_stream got;
        tsr_token_item item;
        OK(tsr_token_file_parse(ctx, &half, "half", broken, size));
        OK(tsr_token_file_stream(half, 1, want->name, &got));
        const char *d = stream_difference(&got, want);
        ck_assert_msg(!d, "stream %d: %s", s, d);
        NOT(TSR_ERROR_CHECKSUM, "item 1", tsr_token_file_item(half, 1, &item));
        NOT(TSR_ERROR_NOT_FOUND, "no stream is called 'none'",
            tsr_token_file_stream(half, 1, "none", &got));
        tsr_token_file_close(&half);
        free(broken);
    }
    tsr_token_stream got;
    NOT(TSR_ERROR_ARGUMENT, "wanted below 2", tsr_token_file_stream(file, 2, "clip", &got));
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* Cut, split and merged files are what writing would have made. */
START_TEST(copies) {
    char path[4][256];
    size_t size;
    uint8_t *bytes = bytes_of(1, &size);
    FILE *f = fopen(in_folder(path[0], "all.tess"), "wb");
    ck_assert(f && fwrite(bytes, 1, size, f) == size && !fclose(f));
    const tsr_token_shard_settings one = {.items = 1};
    OK(tsr_token_file_split(ctx, path[0], folder, &one, NULL));
    in_folder(path[1], "all-00000.tess");
    in_folder(path[2], "all-00001.tess");
    in_folder(path[3], "merged.tess");
    OK(tsr_token_file_merge(ctx, (const char *const[]){path[1], path[2]}, 2, path[3], NULL, NULL));
    char command[600];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", path[0], path[3]);
    ck_assert_int_eq(system(command), 0);
    OK(tsr_token_file_cut(ctx, path[3], path[1], NULL, NULL));
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", path[0], path[1]);
    ck_assert_int_eq(system(command), 0);
    const tsr_token_cut_settings fewer = {.tokens = 1};
    NOT(TSR_ERROR_UNSUPPORTED, "wanted nested",
        tsr_token_file_cut(ctx, path[0], path[2], &fewer, NULL));
    tsr_token_header header = stream_sample_header();
    header.nested = 1;
    tsr_token_writer *writer;
    OK(tsr_token_writer_open(ctx, &writer, path[2], &header, NULL));
    const tsr_token_item item = item_of(0);
    OK(tsr_token_writer_add(writer, &item));
    OK(tsr_token_writer_close(&writer));
    NOT(TSR_ERROR_UNSUPPORTED, "item without streams",
        tsr_token_file_cut(ctx, path[2], path[1], &fewer, NULL));
    free(bytes);
}
END_TEST

/* A file that ends after any byte: what is read is right, streams behind the cut are missing. */
START_TEST(every_prefix) {
    size_t size;
    uint8_t *bytes = bytes_of(1, &size);
    uint32_t most = 0;
    for (size_t n = 0; n < size; ++n) {
        tsr_token_file *file;
        if (tsr_token_file_parse(ctx, &file, "prefix", bytes, n)) continue;
        ck_assert(tsr_token_file_properties(file)->recovered);
        for (uint64_t i = 0; i < tsr_token_file_properties(file)->items; ++i) {
            tsr_token_item got;
            tsr_token_item want = item_of((int)i);
            OK(tsr_token_file_item(file, i, &got));
            ck_assert_uint_le(got.stream_count, want.stream_count);
            want.stream_count = got.stream_count;
            const char *d = streams_difference(&got, &want);
            ck_assert_msg(!d, "%zu bytes, item %d: %s", n, (int)i, d);
            if (i && got.stream_count > most) most = got.stream_count;
        }
        tsr_token_file_close(&file);
    }
    ck_assert_uint_eq(most, STREAM_SAMPLE_STREAMS);
    free(bytes);
}
END_TEST

/* Streams that come with the second item alone, beside ids and attributes; files without them keep
 * their version. */
START_TEST(late_streams) {
    const tsr_attribute attribute = {.name = "a", .bytes = "x", .size = 1};
    static const uint32_t counts[1] = {1}, ids[1] = {0};
    char path[256];
    for (int streams = 0; streams < 2; ++streams) {
        const tsr_token_header header = stream_sample_header();
        tsr_token_writer *writer;
        OK(tsr_token_writer_open(ctx, &writer, in_folder(path, "late.tess"), &header, NULL));
        tsr_token_item plain = item_of(0), both = item_of(1);
        plain.stream_count = 0;
        both.counts = counts;
        both.ids = ids;
        if (!streams) both.stream_count = 0;
        both.attributes = streams ? &attribute : NULL;
        both.attribute_count = (uint32_t)streams;
        OK(tsr_token_writer_add(writer, &plain));
        OK(tsr_token_writer_add(writer, &both));
        OK(tsr_token_writer_close(&writer));
        tsr_token_file *file;
        tsr_token_item got;
        OK(tsr_token_file_open(ctx, &file, path));
        ck_assert_uint_eq(tsr_token_file_properties(file)->version_minor, streams ? 3 : 0);
        OK(tsr_token_file_item(file, 1, &got));
        ck_assert(!streams_difference(&got, &both) && got.counts[0] == 1);
        ck_assert_uint_eq(got.attribute_count, streams);
        OK(tsr_token_file_item(file, 0, &got));
        ck_assert(got.stream_count == 0 && !got.streams);
        tsr_token_file_close(&file);
    }
}
END_TEST

/* ---- numbers ------------------------------------------------------------------------------- */

/* Any rows through int8: near what they were, and the same bytes when written again. */
START_TEST(int8_rows) {
    enum { K = 40, D = 33 };
    static float rows[K * D];
    static uint32_t ids[K];
    for (uint32_t i = 0; i < K; ++i) {
        ids[i] = (i * 7) % K;
        const float scale = i == 0   ? 0
                            : i == 1 ? 1e-38f
                            : i == 2 ? 1e-33f
                            : i == 3 ? 1e35f
                                     : expf(random_normal());
        for (int j = 0; j < D; ++j)
            rows[i * D + j] = scale * random_uniform(-1, 1);
    }
    stream_sample_fill(&sample[0], 0);
    sample[0].stream[0] = (tsr_token_stream){.name = "x",
                                             .source = "",
                                             .frames = 1,
                                             .rows = 1,
                                             .columns = K,
                                             .codebook_size = K,
                                             .ids = ids,
                                             .channels = D,
                                             .codebook_type = TSR_CODEBOOK_INT8,
                                             .codebook = rows};
    const tsr_token_header header = stream_sample_header();
    tsr_token_item item = item_of(0);
    item.stream_count = 1;
    uint8_t *bytes[2] = {0};
    size_t size[2];
    for (int turn = 0; turn < 2; ++turn) {
        tsr_token_writer *writer;
        OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
        OK(tsr_token_writer_add(writer, &item));
        OK(tsr_token_writer_close_memory(&writer, &bytes[turn], &size[turn]));
        tsr_token_file *file;
        tsr_token_item got;
        OK(tsr_token_file_parse(ctx, &file, "int8", bytes[turn], size[turn]));
        OK(tsr_token_file_item(file, 0, &got));
        for (int i = 0; i < K; ++i) {
            float most = 0;
            for (int j = 0; j < D; ++j)
                most = fmaxf(most, fabsf(rows[i * D + j]));
            for (int j = 0; j < D; ++j) {
                const float x = rows[i * D + j], y = got.streams[0].codebook[i * D + j];
                ck_assert_msg(fabsf(x - y) <= most / 253 || (i < 3 && y == 0), "row %d: %g, %g", i,
                              (double)x, (double)y);
            }
        }
        memcpy(rows, got.streams[0].codebook, sizeof rows);
        tsr_token_file_close(&file);
    }
    ck_assert(size[0] == size[1] && !memcmp(bytes[0], bytes[1], size[0]));
    free(bytes[0]);
    free(bytes[1]);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------- */

static void refused(tsr_status status, const char *words) {
    const tsr_token_header header = stream_sample_header();
    tsr_token_writer *writer;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    const tsr_token_item bad = item_of(0), good = item_of(1);
    NOT(status, words, tsr_token_writer_add(writer, &bad));
    OK(tsr_token_writer_add(writer, &good)); /* the writer goes on */
    uint8_t *bytes;
    size_t size;
    OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
    free(bytes);
    stream_sample_fill(&sample[0], 0);
}

START_TEST(refusals) {
    tsr_token_stream *s = sample[0].stream;
    s[0].name = "a b", refused(TSR_ERROR_ARGUMENT, "name");
    s[0].name = "half", refused(TSR_ERROR_ARGUMENT, "another than that of stream 1");
    s[0].source = "a\nb", refused(TSR_ERROR_ARGUMENT, "source");
    s[0].source = "\xff", refused(TSR_ERROR_ARGUMENT, "source");
    s[0].frames = 0, refused(TSR_ERROR_ARGUMENT, "frames x rows x columns");
    s[5].rows = s[5].columns = 65536, s[5].frames = 65536,
    refused(TSR_ERROR_ARGUMENT, "frames x rows");
    s[0].codebook_size = 0, refused(TSR_ERROR_ARGUMENT, "codebook size");
    s[0].codebook_size = 6, refused(TSR_ERROR_TOKENS, "id");
    s[0].channels = 65537, refused(TSR_ERROR_ARGUMENT, "channels");
    s[0].codebook_size = 1 << 25, refused(TSR_ERROR_ARGUMENT, "numbers of the codebook");
    s[0].codebook_type = (tsr_codebook_type)3, refused(TSR_ERROR_ARGUMENT, "type");
    s[3].codebook_type = TSR_CODEBOOK_F16, refused(TSR_ERROR_ARGUMENT, "0 without one");
    s[0].codebook = NULL, refused(TSR_ERROR_ARGUMENT, "codebook");
    s[0].ids = NULL, refused(TSR_ERROR_ARGUMENT, "ids");
    s[3].gains = sample[0].gains, refused(TSR_ERROR_ARGUMENT, "without a codebook");
    s[3].finer = 4, refused(TSR_ERROR_ARGUMENT, "another stream");
    s[3].finer = 7, refused(TSR_ERROR_ARGUMENT, "another stream");
    s[3].finer = 0, refused(TSR_ERROR_ARGUMENT, "finer stream");
    s[3].window[1] = 0, refused(TSR_ERROR_ARGUMENT, "window");
    s[3].window[1] = 3, s[3].finer_rows = 9, refused(TSR_ERROR_ARGUMENT, "divided by the window");
    s[3].window[1] = 4, s[3].finer_rows = 8, refused(TSR_ERROR_ARGUMENT, "size of the finer");
    s[3].map = sample[0].map, refused(TSR_ERROR_ARGUMENT, "both or neither");
    s[4].map = NULL, refused(TSR_ERROR_ARGUMENT, "both or neither");
    sample[0].map[3] = 4, refused(TSR_ERROR_TOKENS, "map: cell 3: wanted below 4, got 4");
    sample[0].ids[59] = 7, refused(TSR_ERROR_TOKENS, "id 59: wanted below 7, got 7");
    sample[0].codebook[8] = NAN, refused(TSR_ERROR_TOKENS, "row 1, number 2");
    sample[0].newline[0] = INFINITY, refused(TSR_ERROR_TOKENS, "row 7, number 0");
    sample[0].gains[9] = -1, refused(TSR_ERROR_TOKENS, "gain 9");
    sample[0].gains[9] = NAN, refused(TSR_ERROR_TOKENS, "gain 9");
    sample[0].gains[9] = 1e6f, refused(TSR_ERROR_TOKENS, "gain 9");
    sample[0].codebook[0] = 1e6f, refused(TSR_ERROR_TOKENS, "f16 can hold");
    s[1] = s[5], s[1].name = "other", s[4].finer = 0, s[4].map = NULL, s[4].finer_frames = 0,
    s[4].finer_rows = 0, s[4].finer_columns = 0, sample[0].codebook[41] = 3e38f,
    refused(TSR_ERROR_TOKENS, "127 x 2^113");
    tsr_token_item many = item_of(0);
    many.stream_count = 65;
    const tsr_token_header header = stream_sample_header();
    tsr_token_writer *writer;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    NOT(TSR_ERROR_ARGUMENT, "at most 64", tsr_token_writer_add(writer, &many));
    tsr_token_writer_abandon(&writer);
}
END_TEST

/* ---- the map coder --------------------------------------------------------------------------- */

static size_t coded_bytes(const tsr_map_layout *m, const uint32_t *ids) {
    const size_t n = (size_t)m->frames * m->rows * m->columns, room = 8 * n + 64;
    tsr_range_context *contexts = malloc(tsr_map_context_count(m->codes) * sizeof *contexts);
    uint8_t *bytes = malloc(room);
    uint32_t *back = malloc(n * sizeof *back);
    const size_t size = tsr_map_encode(m, contexts, ids, bytes, room);
    ck_assert_uint_ne(size, SIZE_MAX);
    ck_assert_int_eq(tsr_map_decode(m, contexts, bytes, size, back), 0);
    ck_assert_mem_eq(ids, back, n * sizeof *back);
    if (size) /* no room for the last byte */
        ck_assert_uint_eq(tsr_map_encode(m, contexts, ids, bytes, size - 1), SIZE_MAX);
    free(contexts);
    free(bytes);
    free(back);
    return size;
}

START_TEST(maps) {
    static const uint32_t codes[] = {2, 3, 12, 32, 256, 257, 5000, 70000, 4000000000u};
    for (size_t c = 0; c < sizeof codes / sizeof *codes; ++c)
        for (int noise = 0; noise < 3; ++noise) {
            const tsr_map_layout m = {9, 11, 13, codes[c]};
            static uint32_t ids[9 * 11 * 13];
            for (size_t i = 0; i < 9 * 11 * 13; ++i)
                ids[i] = i >= 143 && noise < 2 && (!noise || random_below(10))
                             ? ids[i - 143]
                             : (uint32_t)random_below(codes[c]);
            const size_t size = coded_bytes(&m, ids);
            if (noise == 0 && codes[c] >= 12) /* frames that repeat cost next to nothing */
                ck_assert_uint_lt(size, 143 * 5 + 60);
        }
    const tsr_map_layout thin[] = {{1, 1, 1, 2}, {1, 1, 50, 7}, {50, 1, 1, 7}, {1, 50, 1, 7}};
    for (int i = 0; i < 4; ++i) {
        uint32_t ids[50];
        for (int j = 0; j < 50; ++j)
            ids[j] = (uint32_t)random_below(thin[i].codes);
        coded_bytes(&thin[i], ids);
    }
}
END_TEST

/* Any bytes decode to ids in range, or not at all. */
START_TEST(maps_of_noise) {
    const tsr_map_layout m = {5, 6, 7, 19};
    tsr_range_context *contexts = malloc(tsr_map_context_count(19) * sizeof *contexts);
    for (int turn = 0; turn < 2000; ++turn) {
        uint8_t bytes[64];
        uint32_t ids[210];
        const size_t size = (size_t)random_below(65);
        for (size_t i = 0; i < size; ++i)
            bytes[i] = (uint8_t)random_bits();
        if (tsr_map_decode(&m, contexts, bytes, size, ids)) continue;
        for (int i = 0; i < 210; ++i)
            ck_assert_uint_lt(ids[i], 19);
    }
    free(contexts);
}
END_TEST

/* A clip whose frames are alike: the writer may use the map coder however much it saves. */
START_TEST(still_clip) {
    enum { FRAMES = 2000, CELLS = 200 };
    static uint32_t ids[FRAMES * CELLS];
    for (size_t i = 0; i < FRAMES * CELLS; ++i)
        ids[i] = i < CELLS ? (uint32_t)random_below(32) : ids[i - CELLS];
    sample[0].stream[0] = (tsr_token_stream){.name = "still",
                                             .source = "",
                                             .frames = FRAMES,
                                             .rows = 10,
                                             .columns = 20,
                                             .codebook_size = 32,
                                             .ids = ids};
    const tsr_token_header header = stream_sample_header();
    tsr_token_item item = item_of(0), got;
    item.stream_count = 1;
    tsr_token_writer *writer;
    uint8_t *bytes;
    size_t size;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    OK(tsr_token_writer_add(writer, &item));
    OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
    ck_assert_uint_lt(size, 1000); /* 250,000 raw */
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "still", bytes, size));
    OK(tsr_token_file_item(file, 0, &got));
    ck_assert(!streams_difference(&got, &item));
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("token streams");
    TCase *tc = tcase_create("streams");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, round_trip, 0, 2);
    tcase_add_test(tc, one_stream);
    tcase_add_test(tc, copies);
    tcase_add_test(tc, every_prefix);
    tcase_add_test(tc, late_streams);
    tcase_add_test(tc, int8_rows);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, maps);
    tcase_add_test(tc, maps_of_noise);
    tcase_add_test(tc, still_clip);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
