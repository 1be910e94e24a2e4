/* SPDX-License-Identifier: MIT */
/* Damaged and hostile streams, each named <what>_<fault>, made here from a good payload: what is
 * said, that other items stay, and that every flipped bit is reported. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stream_sample.h"
#include "token_sample.h"
#include "token_surgery.h"

static tsr_context *ctx;

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    surgery_open(ctx);
}

static void teardown(void) {
    tsr_context_close(&ctx);
}

/* A file whose item 1 has the STRM payloads given. */
static tsr_bytes file_with(const tsr_bytes *payloads, int count, uint32_t flags, bool behind) {
    static const char attributes[] = "\2\1\0\1a\1x";
    tsr_bytes b = good_file(false);
    uint64_t e[9];
    item_entries(&b, false, e);
    size_t at = chunk_end(&b, chunk_at(&b, TSR_TESS_ITEM, 1));
    for (int i = 0; i < count; ++i) {
        splice_chunk(&b, at, TSR_TESS_STRM, flags, payloads[i].at, payloads[i].size);
        at += TSR_TESS_CHUNK_BYTES + payloads[i].size;
        e[4] += TSR_TESS_CHUNK_BYTES + payloads[i].size;
    }
    if (behind) {
        at = chunk_end(&b, chunk_at(&b, TSR_TESS_ITEM, 1));
        splice_chunk(&b, at, TSR_TESS_ATTR, 0, attributes, sizeof attributes - 1);
        e[4] += TSR_TESS_CHUNK_BYTES + sizeof attributes - 1;
    }
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    b.at[10] = 3;
    sign_start(&b);
    return b;
}

/* Item 1 is refused with these words, the others are as they were; `words` NULL: it is read. */
static void expect(const char *name, const tsr_bytes *b, tsr_status status, const char *words) {
    tsr_token_file *file;
    tsr_token_item item;
    ck_assert_msg(!tsr_token_file_parse(ctx, &file, name, b->at, b->size), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(tsr_token_file_properties(file)->items, 3);
    for (uint64_t i = 0; i < 3; ++i) {
        const tsr_status got = tsr_token_file_item(file, i, &item);
        if (i == 1 && words) {
            ck_assert_msg(got == status && strstr(tsr_detail(ctx), words),
                          "%s: wanted %s and '%s', got %s: %s", name, tsr_status_name(status),
                          words, tsr_status_name(got), got ? tsr_detail(ctx) : "");
            ck_assert_msg(!strncmp(tsr_detail(ctx), name, strlen(name)), "%s", tsr_detail(ctx));
            continue;
        }
        ck_assert_msg(!got, "%s: %s", name, tsr_detail(ctx));
        ck_assert(!token_item_difference(&surgery_header, &item, &surgery_items[i], UINT32_MAX));
    }
    tsr_token_file_close(&file);
}

/* ---- payloads field by field ------------------------------------------------------------- */

#define BYTES(text) (text), sizeof(text) - 1
/* item 1, stream 1 of 1, name "s", no source, hash 0 */
#define START "\1\1\1\1s\0\0\0\0\0\0\0\0\0"
#define SCALE "\0\0\0\x3f" /* of one row, in planes: 0.5 */
static const struct payload_case {
    const char *name, *payload;
    size_t bytes;
    const char *why; /* NULL: it is good */
} payload_cases[] = {
    /* 1 x 1 x 2 ids below 4: packed in a byte */
    {"good_ids", BYTES(START "\0\1\1\2\4\1\0\x09"), NULL},
    {"good_counting_ids", BYTES(START "\0\1\1\2\2\0\3"), NULL},
    {"good_one_code", BYTES(START "\0\1\1\2\1\0\0"), NULL},
    {"int8_short", BYTES(START "\1\1\1\2\2\1\2\6\0\0\0\0\0\0\0\1\0\2"), "codebook"},
    {"good_int8", BYTES(START "\1\1\1\2\1\2\2\6\0" SCALE "\x7f\x81\0\0"), NULL},
    {"empty", BYTES(""), "wanted stream 1"},
    {"of_another_item", BYTES("\2\1\1\1s\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"), "of item 2"},
    {"number_two_first", BYTES("\1\2\2\1s\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"), "got stream 2"},
    {"number_zero", BYTES("\1\0\1\1s\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"), "got stream 0"},
    {"count_too_few", BYTES("\1\1\0\1s\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"), "numbers in range"},
    {"count_too_many", BYTES("\1\1\2\1s\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"),
     "streams: wanted 2, got 1"},
    {"name_beyond_the_end", BYTES("\1\1\1\x3fs"), "wanted stream 1"},
    {"name_with_zero", BYTES("\1\1\1\2s\0\0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"), "wanted stream 1"},
    {"name_with_blank", BYTES("\1\1\1\1 \0\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"),
     "bytes of the name"},
    {"source_not_utf8", BYTES("\1\1\1\1s\1\xff\0\0\0\0\0\0\0\0\0\1\1\2\4\1\0\x09"),
     "bytes of the source"},
    {"flags_unknown", BYTES(START "\x20\1\1\2\4\1\0\x09"), "flags"},
    {"flags_gains_alone", BYTES(START "\4\1\1\2\4\1\0\x09"), "flags"},
    {"flags_newline_alone", BYTES(START "\2\1\1\2\4\1\0\x09"), "flags"},
    {"flags_window_and_map", BYTES(START "\x18\1\1\2\4\1\0\x09"), "flags"},
    {"grid_zero", BYTES(START "\0\1\0\2\4\0\0"), "frames x rows x columns"},
    {"grid_too_large", BYTES(START "\0\xff\xff\xff\x1f\x02\2\4\1\0\x09"),
     "frames x rows x columns"},
    {"grid_above_a_side", BYTES(START "\0\xff\xff\xff\xff\x0f\2\2\4\1\0\x09"), "numbers in range"},
    {"grid_long_varint", BYTES(START "\0\x81\0\1\2\4\1\0\x09"), "numbers in range"},
    {"codes_zero", BYTES(START "\0\1\1\2\0\0\0"), "codebook size"},
    {"codes_beyond_32_bits", BYTES(START "\0\1\1\2\x80\x80\x80\x80\x10\0\0"), "numbers in range"},
    {"channels_zero", BYTES(START "\1\1\1\2\1\0\0\0\0\0\0"), "numbers in range"},
    {"channels_too_many", BYTES(START "\1\1\1\2\1\x81\x80\x04\0\0\0\0\0"), "numbers in range"},
    {"codebook_too_large", BYTES(START "\1\1\1\2\xff\xff\xff\x1f\2\0\0\0\0\0"),
     "numbers of the codebook"},
    {"codebook_type", BYTES(START "\1\1\1\2\1\1\3\1\0\0\0\0"), "type of the codebook"},
    {"codebook_short", BYTES(START "\1\1\1\2\1\1\0\3\0\0\0\0\0\0"), "codebook: wanted exactly 4"},
    {"codebook_coding", BYTES(START "\1\1\1\2\1\1\0\4\2\0\0\0\0\0\0"), "coding of the codebook"},
    {"codebook_zstd_not_smaller", BYTES(START "\1\1\1\2\1\1\0\4\1\0\0\0\0\0\0"), "less than 4"},
    {"codebook_zstd_broken", BYTES(START "\1\1\1\2\1\1\0\3\1\0\0\0\0\0"), "zstd"},
    {"codebook_nan", BYTES(START "\1\1\1\2\1\1\0\4\0\0\0\xc0\x7f\0\0"), "wanted a finite one"},
    {"codebook_half_infinite", BYTES(START "\1\1\1\2\1\1\1\2\0\0\x7c\0\0"), "wanted a finite one"},
    {"int8_scale_fine", BYTES(START "\1\1\1\2\1\2\2\6\0\1\0\0\x3f\x7f\x81\0\0"), "a scale of 16"},
    {"int8_scale_negative", BYTES(START "\1\1\1\2\1\2\2\6\0\0\0\0\xbf\x7f\x81\0\0"),
     "a scale of 16"},
    {"int8_scale_nan", BYTES(START "\1\1\1\2\1\2\2\6\0\0\0\xc0\x7f\x7f\x81\0\0"), "a scale of 16"},
    {"int8_scale_huge", BYTES(START "\1\1\1\2\1\2\2\6\0\0\0\0\x7f\x7f\x81\0\0"), "a scale of 16"},
    {"int8_row_weak", BYTES(START "\1\1\1\2\1\2\2\6\0" SCALE "\x7e\x81\0\0"), NULL},
    {"int8_row_too_weak", BYTES(START "\1\1\1\2\1\2\2\6\0" SCALE "\x7e\x82\0\0"), "of 127"},
    {"int8_row_128", BYTES(START "\1\1\1\2\1\2\2\6\0" SCALE "\x7f\x80\0\0"), "of 127"},
    {"int8_zero_scale", BYTES(START "\1\1\1\2\1\2\2\6\0\0\0\0\0\1\0\0\0"), "a scale of 16"},
    {"ids_short", BYTES(START "\0\1\1\x09\4\2\0\0\0"), "ids: wanted exactly 3"},
    {"ids_bits_behind", BYTES(START "\0\1\1\2\4\1\0\x19"), "bits after the last id"},
    {"ids_beyond", BYTES(START "\0\1\1\2\3\1\0\x0c"), "id 1: wanted below 3, got 3"},
    {"ids_coding", BYTES(START "\0\1\1\2\4\1\4\x09"), "coding of the ids"},
    {"ids_counting_others", BYTES(START "\0\1\1\2\4\0\3"), "ids that count: wanted K = 2"},
    {"ids_counting_bytes", BYTES(START "\0\1\1\2\2\1\3\0"), "ids: wanted exactly 0"},
    {"ids_map_last_zero", BYTES(START "\0\1\1\x10\4\2\2\1\0"), "a last byte other than 0"},
    {"ids_map_not_smaller", BYTES(START "\0\1\1\2\4\1\2\1"), "ids: wanted less than 1"},
    {"ids_of_nothing", BYTES(START "\0\x40\xff\x7f\x10\4\1\1\1"), "ids: wanted at least 2047"},
    {"ids_beyond_the_end", BYTES(START "\0\1\1\2\4\2\0\x09"), "numbers in range"},
    {"bytes_behind", BYTES(START "\0\1\1\2\4\1\0\x09\0"), "numbers in range"},
    {"gains_negative", BYTES(START "\5\1\1\1\1\1\1\2\0\0\0\0\0\2\0\0\x80"), "gain 0"},
    {"gains_infinite", BYTES(START "\5\1\1\1\1\1\1\2\0\0\0\0\0\2\0\0\x7c"), "gain 0"},
    {"gains_missing", BYTES(START "\5\1\1\1\1\1\1\2\0\0\0\0\0"), "numbers in range"},
    {"finer_itself", BYTES(START "\x08\1\1\2\4\1\1\1\2\1\1\1\1\0\x09"), "another stream"},
    {"finer_beyond", BYTES(START "\x08\1\1\2\4\2\1\1\2\1\1\1\1\0\x09"), "another stream"},
    {"finer_zero", BYTES(START "\x08\1\1\2\4\0\1\1\2\1\1\1\1\0\x09"), "numbers in range"},
};

START_TEST(payloads) {
    const struct payload_case *c = &payload_cases[_i];
    tsr_bytes payload = {.at = (uint8_t *)c->payload, .size = c->bytes};
    tsr_bytes b = file_with(&payload, 1, TSR_TESS_CRITICAL, false);
    expect(c->name, &b, TSR_ERROR_FORMAT, c->why);
    tsr_bytes_free(&b);
}
END_TEST

/* ---- streams together ------------------------------------------------------------------------ */

#define TWO(number, name, rest) "\1" number "\2\1" name "\0\0\0\0\0\0\0\0\0" rest
static const struct pair_case {
    const char *name, *first;
    size_t first_bytes;
    const char *second;
    size_t second_bytes;
    const char *why;
} pair_cases[] = {
    {"good_window", BYTES(TWO("\1", "a", "\x08\1\1\1\4\2\1\1\2\1\1\2\1\0\1")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), NULL},
    {"good_map", BYTES(TWO("\1", "a", "\x10\1\1\1\4\2\1\1\2\1\0\1\1\0\2")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), NULL},
    {"window_wrong", BYTES(TWO("\1", "a", "\x08\1\1\1\4\2\1\1\2\1\1\1\1\0\1")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), "divided by the window"},
    {"window_zero", BYTES(TWO("\1", "a", "\x08\1\1\1\4\2\1\1\2\1\0\2\1\0\1")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), "numbers in range"},
    {"finer_of_another_size", BYTES(TWO("\1", "a", "\x08\1\1\1\4\2\1\1\3\1\1\3\1\0\1")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), "size of the finer stream"},
    {"map_coding", BYTES(TWO("\1", "a", "\x10\1\1\1\4\2\1\1\2\1\0\1\0\3")),
     BYTES(TWO("\2", "b", "\0\1\1\2\4\1\0\x09")), "coding of the map"},
    {"names_equal", BYTES(TWO("\1", "a", "\0\1\1\2\4\1\0\x09")),
     BYTES(TWO("\2", "a", "\0\1\1\2\4\1\0\x09")), "names that differ"},
    {"number_twice", BYTES(TWO("\1", "a", "\0\1\1\2\4\1\0\x09")),
     BYTES(TWO("\1", "b", "\0\1\1\2\4\1\0\x09")), "wanted stream 2"},
};

START_TEST(pairs) {
    const struct pair_case *c = &pair_cases[_i];
    const tsr_bytes payloads[2] = {{.at = (uint8_t *)c->first, .size = c->first_bytes},
                                   {.at = (uint8_t *)c->second, .size = c->second_bytes}};
    tsr_bytes b = file_with(payloads, 2, TSR_TESS_CRITICAL, false);
    expect(c->name, &b, TSR_ERROR_FORMAT, c->why);
    tsr_bytes_free(&b);
}
END_TEST

/* Flags that are not those of the type, and a stream behind the attributes. */
START_TEST(places) {
    tsr_bytes payload = {.at = (uint8_t *)START "\0\1\1\2\4\1\0\x09",
                         .size = sizeof START "\0\1\1\2\4\1\0\x09" - 1};
    tsr_bytes b = file_with(&payload, 1, 3, false);
    expect("unknown_flag", &b, TSR_ERROR_UNSUPPORTED, "critical \"STRM\"");
    tsr_bytes_free(&b);
    b = file_with(&payload, 1, 0, false);
    expect("not_critical", &b, TSR_OK, NULL); /* a chunk of no known type: skipped */
    tsr_bytes_free(&b);
    b = file_with(&payload, 1, TSR_TESS_CRITICAL, true);
    expect("behind_attributes", &b, TSR_ERROR_FORMAT, "behind the attributes");
    tsr_bytes_free(&b);
    /* Between items: the index is not believed, and scanning leaves the stream out. */
    b = good_file(false);
    uint64_t e[9];
    item_entries(&b, false, e);
    splice_chunk(&b, chunk_at(&b, TSR_TESS_ITEM, 1), TSR_TESS_STRM, TSR_TESS_CRITICAL, payload.at,
                 payload.size);
    e[3] = TSR_TESS_CHUNK_BYTES + payload.size;
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    tsr_token_file *file;
    ck_assert_int_eq(tsr_token_file_parse(ctx, &file, "between", b.at, b.size), TSR_OK);
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert(info->recovered && info->damaged == 1 && info->items == 3);
    tsr_token_file_close(&file);
    tsr_bytes_free(&b);
}
END_TEST

/* ---- bits ------------------------------------------------------------------------------------ */

START_TEST(every_bit_flipped) {
    stream_sample sample;
    stream_sample_fill(&sample, 3);
    const tsr_token_header header = stream_sample_header();
    const tsr_token_item want = stream_sample_item(&sample, "k");
    tsr_token_writer *writer;
    uint8_t *bytes;
    size_t size;
    ck_assert(!tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    ck_assert(!tsr_token_writer_add(writer, &want));
    ck_assert(!tsr_token_writer_close_memory(&writer, &bytes, &size));
    for (size_t bit = 0; bit < size * 8; ++bit) {
        tsr_token_file *file;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!tsr_token_file_parse(ctx, &file, "flipped", bytes, size)) {
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            bool reported = info->recovered || info->damaged;
            for (uint64_t i = 0; i < info->items; ++i) {
                tsr_token_item item;
                const bool bad = tsr_token_file_item(file, i, &item) != TSR_OK;
                reported |= bad || tsr_token_file_item_lost(file, NULL);
                if (bad) continue;
                tsr_token_item part = want;
                ck_assert(reported || item.stream_count == want.stream_count);
                part.stream_count = item.stream_count;
                ck_assert(item.stream_count <= want.stream_count);
                ck_assert_msg(!streams_difference(&item, &part), "bit %zu", bit);
            }
            ck_assert_msg(reported, "bit %zu of byte %zu is not reported", bit % 8, bit / 8);
            tsr_token_file_close(&file);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("corrupt token streams");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, payloads, 0, (int)(sizeof payload_cases / sizeof *payload_cases));
    tcase_add_loop_test(tc, pairs, 0, (int)(sizeof pair_cases / sizeof *pair_cases));
    tcase_add_test(tc, places);
    tcase_add_test(tc, every_bit_flipped);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
