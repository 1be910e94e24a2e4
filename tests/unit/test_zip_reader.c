/* SPDX-License-Identifier: MIT */
/* test_zip_reader.c: archives that are read, and one refusal for each promise of zip_reader.h. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats/weights/zip_reader.h"
#include "testing.h"
#include "zip_bytes.h"

static tsr_context *ctx;

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static const struct {
    const char *what;
    zip_part part[3];
    int count;
    zip_faults faults;
    tsr_status status;
    const char *word;
} cases[] = {
    {"two",
     {{.name = "a/b", .bytes = "12", .size = 2}, {.name = "a/c", .bytes = "", .size = 0}},
     2,
     {0},
     TSR_OK,
     ""},
    {"none", {{0}}, 0, {0}, TSR_OK, ""},
    {"comment",
     {{.name = "a", .bytes = "1", .size = 1}},
     1,
     {.comment = "PK\5\6 is not the end"},
     TSR_OK,
     ""},
    {"zip64 fields",
     {{.name = "a", .bytes = "123", .size = 3, .wide = 1}, {.name = "b", .bytes = "4", .size = 1}},
     2,
     {0},
     TSR_OK,
     ""},
    {"zip64 end",
     {{.name = "a", .bytes = "123", .size = 3}, {.name = "b", .bytes = "4", .size = 1, .wide = 1}},
     2,
     {.wide = 1},
     TSR_OK,
     ""},
    {"bit 3", {{.name = "a", .bytes = "1", .size = 1, .flags = 8}}, 1, {0}, TSR_OK, ""},
    {"dots", {{.name = "a..b/...", .bytes = "1", .size = 1}}, 1, {0}, TSR_OK, ""},

    {"compressed",
     {{.name = "a", .bytes = "1", .size = 1, .method = 8}},
     1,
     {0},
     TSR_ERROR_UNSUPPORTED,
     "compressed"},
    {"bomb",
     {{.name = "a", .bytes = "1", .size = 1, .packed_lie = -1}},
     1,
     {0},
     TSR_ERROR_UNSUPPORTED,
     "compressed"},
    {"encrypted",
     {{.name = "a", .bytes = "1", .size = 1, .flags = 1}},
     1,
     {0},
     TSR_ERROR_UNSUPPORTED,
     "encrypted"},
    {"absolute",
     {{.name = "/etc/x", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"climbs",
     {{.name = "a/../../x", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"climbs first",
     {{.name = "../x", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"climbs last",
     {{.name = "x/..", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"backslash",
     {{.name = "a\\b", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"drive", {{.name = "c:x", .bytes = "1", .size = 1}}, 1, {0}, TSR_ERROR_FORMAT, "plain name"},
    {"control",
     {{.name = "a\nb", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"not UTF-8",
     {{.name = "a\xff", .bytes = "1", .size = 1}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "plain name"},
    {"empty name", {{.name = "", .bytes = "1", .size = 1}}, 1, {0}, TSR_ERROR_FORMAT, "plain name"},
    {"twice",
     {{.name = "a", .bytes = "1", .size = 1}, {.name = "a", .bytes = "2", .size = 1}},
     2,
     {0},
     TSR_ERROR_FORMAT,
     "wanted once"},
    {"another local name",
     {{.name = "a", .bytes = "1", .size = 1, .local_name = "b"}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "local"},
    {"shared bytes",
     {{.name = "a", .bytes = "1", .size = 1},
      {.name = "a", .bytes = "1", .size = 1, .begin_lie = -32}},
     2,
     {0},
     TSR_ERROR_FORMAT,
     "share the bytes"},
    {"too large",
     {{.name = "a", .bytes = "1", .size = 1, .size_lie = 1000}},
     1,
     {0},
     TSR_ERROR_TRUNCATED,
     "of data"},
    {"offset",
     {{.name = "a", .bytes = "1", .size = 1, .begin_lie = 4000}},
     1,
     {0},
     TSR_ERROR_FORMAT,
     "offset"},
    {"fewer",
     {{.name = "a", .bytes = "1", .size = 1}, {.name = "b", .bytes = "", .size = 0}},
     2,
     {.count_lie = -1},
     TSR_ERROR_FORMAT,
     "more bytes"},
    {"more",
     {{.name = "a", .bytes = "1", .size = 1}},
     1,
     {.count_lie = 1},
     TSR_ERROR_FORMAT,
     "room for 2"},
    {"directory begins",
     {{.name = "a", .bytes = "1", .size = 1}},
     1,
     {.directory_lie = 9},
     TSR_ERROR_FORMAT,
     "within"},
    {"directory ends",
     {{.name = "a", .bytes = "1", .size = 1}},
     1,
     {.directory_size_lie = 90000},
     TSR_ERROR_FORMAT,
     "within"},
    {"parts",
     {{.name = "a", .bytes = "1", .size = 1}},
     1,
     {.disk = 1},
     TSR_ERROR_UNSUPPORTED,
     "one part"},
};

START_TEST(promises) {
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        size_t size;
        uint8_t *bytes = make_zip(cases[i].part, cases[i].count, &cases[i].faults, &size);
        tsr_zip *zip;
        tsr_status status = tsr_zip_parse(ctx, "z", bytes, size, &zip);
        ck_assert_msg(status == cases[i].status, "%s: %s: %s", cases[i].what,
                      tsr_status_name(status), tsr_detail(ctx));
        ck_assert_int_eq(status == TSR_OK, zip != NULL);
        if (status) {
            ck_assert_msg(strstr(tsr_detail(ctx), cases[i].word) != NULL, "%s: %s", cases[i].what,
                          tsr_detail(ctx));
        } else {
            ck_assert_int_eq(tsr_zip_count(zip), cases[i].count);
            for (int k = 0; k < cases[i].count; ++k) {
                const tsr_zip_entry *e = tsr_zip_find(zip, cases[i].part[k].name);
                ck_assert_ptr_nonnull(e);
                ck_assert_uint_eq(e->size, cases[i].part[k].size);
                ck_assert(memcmp(e->bytes, cases[i].part[k].bytes, e->size) == 0);
                ck_assert_int_eq(tsr_zip_check(ctx, "z", e), TSR_OK);
            }
            ck_assert_ptr_null(tsr_zip_find(zip, "not there"));
            tsr_zip_close(&zip);
        }
        free(bytes);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Bytes of every length 0 .. 40 against a checksum computed bit by bit. */
START_TEST(checksums) {
    setup();
    uint8_t data[40];
    for (size_t i = 0; i < sizeof data; ++i)
        data[i] = (uint8_t)random_bits();
    for (size_t n = 0; n <= sizeof data; ++n) {
        tsr_zip_entry e = {
            .name = "x", .bytes = data, .size = n, .plain = n, .crc = zip_crc(data, n)};
        ck_assert_int_eq(tsr_zip_check(ctx, "z", &e), TSR_OK);
        e.crc ^= 1;
        ck_assert_int_eq(tsr_zip_check(ctx, "z", &e), TSR_ERROR_CHECKSUM);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Cut anywhere, the end record is missing or does not close the file. */
START_TEST(every_cut) {
    setup();
    const zip_part part[2] = {{.name = "a/data.pkl", .bytes = "12345678", .size = 8},
                              {.name = "a/data/0", .bytes = "abcd", .size = 4}};
    size_t size;
    uint8_t *bytes = make_zip(part, 2, NULL, &size);
    tsr_zip *zip;
    for (size_t n = 0; n < size; ++n) {
        uint8_t *cut = malloc(n ? n : 1); /* the sanitizer sees one byte too many */
        memcpy(cut, bytes, n);
        ck_assert_int_eq(tsr_zip_parse(ctx, "z", cut, n, &zip), TSR_ERROR_TRUNCATED);
        ck_assert_ptr_null(zip);
        free(cut);
    }
    free(bytes);
    tsr_context_close(&ctx);
}
END_TEST

/* Deflated entries where they are taken: whole, a part of them, damaged, and claims that deflate
 * cannot keep. */
START_TEST(deflated) {
    setup();
    enum { PLAIN = 5000 };
    uint8_t plain[PLAIN], packed[PLAIN], out[PLAIN];
    for (int i = 0; i < PLAIN; ++i)
        plain[i] = (uint8_t)(i % 7 * (i / 100));
    z_stream z = {.next_in = plain, .avail_in = PLAIN, .next_out = packed, .avail_out = PLAIN};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    const int64_t n = (int64_t)z.total_out;
    deflateEnd(&z);
    zip_part part = {.name = "a",
                     .bytes = packed,
                     .size = (size_t)n,
                     .method = 8,
                     .size_lie = PLAIN - n,
                     .packed_lie = n - PLAIN,
                     .crc_flip = zip_crc(packed, (size_t)n) ^ zip_crc(plain, PLAIN)};
    const struct {
        int64_t more; /* bytes that it claims beyond what there are */
        uint32_t flip;
        size_t read;
        tsr_status parsed, unpacked;
    } cases[] = {{0, 0, PLAIN, TSR_OK, TSR_OK},
                 {0, 0, 100, TSR_OK, TSR_OK},
                 {0, 0, 0, TSR_OK, TSR_OK},
                 {0, 1, PLAIN, TSR_OK, TSR_ERROR_CHECKSUM},
                 {0, 1, 100, TSR_OK, TSR_OK}, /* of a part no checksum is known */
                 {-1, 0, PLAIN - 1, TSR_OK, TSR_ERROR_FORMAT},
                 {1 << 24, 0, 0, TSR_ERROR_FORMAT, TSR_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        zip_part one = part;
        one.size_lie += cases[i].more;
        one.packed_lie -= cases[i].more;
        one.crc_flip ^= cases[i].flip;
        size_t size;
        tsr_zip *zip = NULL;
        uint8_t *bytes = make_zip(&one, 1, NULL, &size);
        ck_assert_int_eq(tsr_zip_parse(ctx, "z", bytes, size, &zip), TSR_ERROR_UNSUPPORTED);
        ck_assert_int_eq(tsr_zip_parse_packed(ctx, "z", bytes, size, &zip), cases[i].parsed);
        if (zip) {
            const tsr_zip_entry *e = tsr_zip_find(zip, "a");
            ck_assert(e->deflated && e->size == (uint64_t)n);
            ck_assert_uint_eq(e->plain, (uint64_t)(PLAIN + cases[i].more));
            ck_assert_int_eq(tsr_zip_unpack(ctx, "z", e, out, cases[i].read), cases[i].unpacked);
            if (!cases[i].unpacked) ck_assert_mem_eq(out, plain, cases[i].read);
        }
        tsr_zip_close(&zip);
        free(bytes);
    }
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("zip reader", promises, checksums, every_cut, deflated)
