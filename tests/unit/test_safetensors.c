/* SPDX-License-Identifier: MIT */
/* test_safetensors.c: the rules of the format one by one, the canonical writer, the identity hash.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/hash.h"
#include "formats/weights/safetensors.h"
#include "nn/load_weights.h"
#include "testing.h"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* Header text and zeros as data; malloc'd, exactly *size bytes. */
static uint8_t *make(const char *header, size_t header_size, size_t data, size_t *size) {
    *size = 8 + header_size + data;
    uint8_t *file = calloc(*size + 1, 1);
    for (int i = 0; i < 8; ++i)
        file[i] = (uint8_t)((uint64_t)header_size >> 8 * i);
    memcpy(file + 8, header, header_size);
    return file;
}

static tsr_status parse_text(const char *header, size_t data) {
    size_t size;
    uint8_t *file = make(header, strlen(header), data, &size);
    tsr_safetensors *st = NULL;
    tsr_status status = tsr_safetensors_parse(ctx, "m", file, size, &st);
    ck_assert_int_eq(status == TSR_OK, st != NULL);
    tsr_safetensors_close(&st);
    ck_assert_ptr_null(st);
    free(file);
    return status;
}

#define ONE(dtype, shape, offsets)                                                                 \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    size_t data;
    tsr_status status;
    const char *word; /* in the message, when refused */
} cases[] = {
    {"{}", 0, TSR_OK, ""},
    {"{}    ", 0, TSR_OK, ""},
    {ONE("F32", "[2]", "[0,8]"), 8, TSR_OK, ""},
    {ONE("F32", "[]", "[0,4]"), 4, TSR_OK, ""},
    {ONE("F32", "[0,7]", "[0,0]"), 0, TSR_OK, ""},
    {ONE("BF16", "[1,1,1,2]", "[0,4]"), 4, TSR_OK, ""},
    {"{\"__metadata__\":{\"k\":\"v\"}}", 0, TSR_OK, ""},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
     2, TSR_OK, ""},

    /* Types and ranks that no op reads are described all the same. */
    {ONE("F64", "[1]", "[0,8]"), 8, TSR_OK, ""},
    {ONE("BOOL", "[3]", "[0,3]"), 3, TSR_OK, ""},
    {ONE("I8", "[1]", "[0,1]"), 1, TSR_OK, ""},
    {ONE("I16", "[1]", "[0,2]"), 2, TSR_OK, ""},
    {ONE("U16", "[1]", "[0,2]"), 2, TSR_OK, ""},
    {ONE("U32", "[1]", "[0,4]"), 4, TSR_OK, ""},
    {ONE("U64", "[1]", "[0,8]"), 8, TSR_OK, ""},
    {ONE("F8_E4M3", "[1]", "[0,1]"), 1, TSR_OK, ""},
    {ONE("F8_E5M2", "[1]", "[0,1]"), 1, TSR_OK, ""},
    {ONE("F8_E8M0", "[1]", "[0,1]"), 1, TSR_OK, ""},
    {ONE("C64", "[1]", "[0,8]"), 8, TSR_OK, ""},
    {ONE("F6_E2M3", "[4]", "[0,3]"), 3, TSR_OK, ""},
    {ONE("F4", "[2]", "[0,1]"), 1, TSR_OK, ""},
    {ONE("F8_E4M3FNUZ", "[2]", "[0,2]"), 2, TSR_OK, ""}, /* newer than this reader */
    {ONE("U4", "[4]", "[0,2]"), 2, TSR_OK, ""},
    {ONE("F32", "[1,1,1,1,1]", "[0,4]"), 4, TSR_OK, ""},

    {"", 0, TSR_ERROR_FORMAT, "header"},
    {" {}", 0, TSR_ERROR_FORMAT, "wanted '{' first"},
    {"[]", 0, TSR_ERROR_FORMAT, "wanted '{' first"},
    {"{", 0, TSR_ERROR_FORMAT, "wanted JSON"},
    {"{}x", 0, TSR_ERROR_FORMAT, "spaces after it, got 0x78"},
    {"{\"\xff\":1}", 0, TSR_ERROR_FORMAT, "UTF-8, got byte 0xff at 10"},
    {"{\"a\\u0000b\":1}", 0, TSR_ERROR_FORMAT, "U+0000"},
    {"{\"a\nb\":1}", 0, TSR_ERROR_FORMAT, "control byte 0x0a"},
    {"{\"a\":[[[[[[[[[0]]]]]]]]]}", 0, TSR_ERROR_FORMAT, "nested"},
    {"{\"a\":1}", 0, TSR_ERROR_FORMAT, "tensor a: wanted an object"},
    {"{\"a\":{}}", 0, TSR_ERROR_FORMAT, "dtype: wanted one text"},
    {ONE("F33", "[1]", "[0,4]"), 4, TSR_ERROR_FORMAT, "got F33"},
    {ONE("F32 ", "[1]", "[0,4]"), 4, TSR_ERROR_FORMAT, "got F32 "},
    {ONE("float32", "[1]", "[0,4]"), 4, TSR_ERROR_FORMAT, "got float32"},
    {ONE("F64", "[1]", "[0,4]"), 4, TSR_ERROR_FORMAT, "wanted 8 bytes, got 4"},
    {ONE("F4", "[3]", "[0,2]"), 2, TSR_ERROR_FORMAT, "whole bytes, got 12 bits"},
    {ONE("F32", "3", "[0,4]"), 4, TSR_ERROR_FORMAT, "shape: wanted one list"},
    {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, TSR_ERROR_UNSUPPORTED,
     "at most 8 dimensions, got 9"},
    {ONE("F32", "[-1]", "[0,4]"), 4, TSR_ERROR_FORMAT, "shape: wanted whole numbers"},
    {ONE("F32", "[1.5]", "[0,6]"), 6, TSR_ERROR_FORMAT, "shape: wanted whole numbers"},
    {ONE("F32", "[\"1\"]", "[0,4]"), 4, TSR_ERROR_FORMAT, "shape: wanted whole numbers"},
    {ONE("F32", "[9007199254740992,9007199254740992]", "[0,4]"), 4, TSR_ERROR_FORMAT, "overflow"},
    {ONE("F32", "[9007199254740992,9007199254740992,0]", "[0,0]"), 0, TSR_ERROR_FORMAT, "overflow"},
    {ONE("F32", "[1e300]", "[0,4]"), 4, TSR_ERROR_FORMAT, "whole numbers"},
    {ONE("F32", "[1]", "[0]"), 4, TSR_ERROR_FORMAT, "data_offsets: wanted two"},
    {ONE("F32", "[1]", "[0,4,4]"), 4, TSR_ERROR_FORMAT, "data_offsets: wanted two"},
    {ONE("F32", "[1]", "[4,0]"), 4, TSR_ERROR_FORMAT, "got 4..0"},
    {ONE("F32", "[1]", "[0,4]"), 3, TSR_ERROR_TRUNCATED, "within 0..3, got 0..4"},
    {ONE("F32", "[1]", "[0,8]"), 8, TSR_ERROR_FORMAT, "wanted 4 bytes, got 8"},
    {ONE("F32", "[1]", "[1,5]"), 5, TSR_ERROR_FORMAT, "a hole"},
    {ONE("F32", "[1]", "[0,4]"), 5, TSR_ERROR_FORMAT, "data: wanted 4 bytes, got 5"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
     3, TSR_ERROR_FORMAT, "an overlap"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
     2, TSR_ERROR_FORMAT, "tensor a: wanted once, got twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     TSR_ERROR_FORMAT, "dtype: wanted one text"},
    {"{\"__metadata__\":[]}", 0, TSR_ERROR_FORMAT, "__metadata__: wanted one object"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, TSR_ERROR_FORMAT, "wanted one object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, TSR_ERROR_FORMAT, "k: wanted a text"},
    {"{\"__metadata__\":{\"k\":\"a\",\"k\":\"b\"}}", 0, TSR_ERROR_FORMAT, "k: wanted once"},
};

START_TEST(rules) {
    open_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_status status = parse_text(cases[i].header, cases[i].data);
        ck_assert_msg(status == cases[i].status, "%s: %s: %s", cases[i].header,
                      tsr_status_name(status), tsr_detail(ctx));
        if (!status) continue;
        ck_assert_msg(strncmp(tsr_detail(ctx), "m: ", 3) == 0, "%s", tsr_detail(ctx));
        ck_assert_msg(strstr(tsr_detail(ctx), cases[i].word) != NULL, "%s", tsr_detail(ctx));
    }
    /* A name from the file cannot break the line. */
    parse_text("{\"a\\nb\\u001b\":1}", 0);
    ck_assert_str_eq(tsr_detail(ctx), "m: tensor a?b?: wanted an object");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(header_length) {
    open_context();
    tsr_safetensors *st;
    uint8_t file[16] = {8, 0, 0, 0, 0, 0, 0, 0, '{', '}', ' ', ' ', ' ', ' ', ' ', ' '};
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, 16, &st), TSR_OK);
    tsr_safetensors_close(&st);
    for (size_t size = 0; size < 16; ++size)
        ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &st), TSR_ERROR_TRUNCATED);
    file[7] = 0x80;
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, 16, &st), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(
        strstr(tsr_detail(ctx), "at most 100000000 bytes, got 9223372036854775816"));
    tsr_context_close(&ctx);
}
END_TEST

/* Two bytes of text for each value would become gigabytes of parsed values. */
START_TEST(many_values) {
    open_context();
    size_t n = 6 << 20, size;
    char *header = malloc(n);
    memcpy(header, "{\"a\":[", 6);
    for (size_t i = 6; i < n; ++i)
        header[i] = i & 1 ? ',' : '0';
    uint8_t *file = make(header, n, 0, &size);
    tsr_safetensors *st;
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &st), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "at most 2097152 values"));
    free(file);
    free(header);
    tsr_context_close(&ctx);
}
END_TEST

/* Data that begins at an odd address arrives aligned. */
START_TEST(unaligned) {
    open_context();
    const char *header = "{\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                         "\"f\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]}}";
    size_t size;
    for (int shift = 0; shift < 4; ++shift) {
        char padded[200];
        snprintf(padded, sizeof padded, "%s%*s", header, shift, "");
        uint8_t *file = make(padded, strlen(padded), 7, &size);
        float value = 1.25f;
        memcpy(file + size - 4, &value, 4);
        tsr_safetensors *st;
        ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &st), TSR_OK);
        const tsr_tensor *t = tsr_safetensors_tensor(st, tsr_safetensors_find(st, "f"));
        ck_assert_uint_eq((uintptr_t)t->data % 4, 0);
        ck_assert(*(const float *)t->data == 1.25f);
        tsr_safetensors_close(&st);
        free(file);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Tensors that share unaligned bytes are refused before any of them is copied: a thousand of them
 * over one megabyte must not become a gigabyte. Under this limit a copy could not even be made. */
START_TEST(overlap_before_copies) {
    tsr_context_settings settings = tsr_context_settings_default();
    settings.memory_limit = 64 << 10;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    const char *header = "{\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[65536],\"data_offsets\":[1,262145]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[65536],\"data_offsets\":[1,262145]}}";
    for (int shift = 0; shift < 4; ++shift) {
        char padded[400];
        snprintf(padded, sizeof padded, "%s%*s", header, shift, "");
        ck_assert_int_eq(parse_text(padded, 262145), TSR_ERROR_FORMAT);
        ck_assert_msg(strstr(tsr_detail(ctx), "an overlap") != NULL, "%s", tsr_detail(ctx));
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Any one bit of a file wrong: refused with a line, or another value or another letter of a name,
 * which nothing but a hash could tell. */
START_TEST(every_bit) {
    open_context();
    const char *header = "{\"__metadata__\":{\"k\":\"v\"},"
                         "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[24,29]}}";
    size_t size;
    uint8_t *file = make(header, strlen(header), 29, &size);
    tsr_safetensors *whole = NULL;
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &whole), TSR_OK);
    uint64_t hash, other;
    ck_assert_int_eq(tsr_safetensors_hash(ctx, whole, &hash), TSR_OK);
    tsr_safetensors_close(&whole);
    const size_t data = 8 + strlen(header);
    for (size_t bit = 0; bit < size * 8; ++bit) {
        uint8_t *flipped = malloc(size);
        memcpy(flipped, file, size);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        tsr_safetensors *st = NULL;
        tsr_status status = tsr_safetensors_parse(ctx, "m", flipped, size, &st);
        /* Names here have one letter: `"k":` and `"v"}` in the metadata, "a" and "b". */
        const uint8_t *c = file + bit / 8, changed = flipped[bit / 8];
        const bool letter = bit / 8 < data && bit / 8 >= 8 && strchr("kvab", *c) && c[-1] == '"' &&
                            c[1] == '"' && changed >= ' ' && changed < 0x80 && changed != '"' &&
                            changed != '\\';
        ck_assert_msg((status == TSR_OK) == (letter || bit / 8 >= data), "bit %zu of byte %zu: %s",
                      bit % 8, bit / 8, status ? tsr_detail(ctx) : "nothing is said");
        if (status) ck_assert(tsr_detail(ctx)[0] != 0);
        if (st) {
            static const size_t sizes[] = {24, 5};
            ck_assert_int_eq(tsr_safetensors_count(st), 2);
            for (int i = 0; i < 2; ++i) {
                const tsr_tensor *t = tsr_safetensors_tensor(st, i);
                ck_assert_uint_eq((size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype), sizes[i]);
            }
            ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &other), TSR_OK);
            ck_assert_uint_ne(other, hash);
        }
        tsr_safetensors_close(&st);
        free(flipped);
    }
    free(file);
    tsr_context_close(&ctx);
}
END_TEST

static char path[] = "/tmp/tessera-safetensors-XXXXXX";

static size_t file_bytes(uint8_t **bytes) {
    tsr_map map;
    ck_assert_int_eq(tsr_map_open(ctx, path, &map), TSR_OK);
    *bytes = malloc(map.size);
    memcpy(*bytes, map.bytes, map.size);
    size_t size = map.size;
    tsr_map_close(&map);
    return size;
}

START_TEST(writes_canonically) {
    open_context();
    close(mkstemp(path));
    float f[6] = {1, 2, 3, 4, 5, 6};
    uint16_t h[3] = {7, 8, 9};
    uint8_t u[5] = {1, 2, 3, 4, 5};
    int64_t l[1] = {-1};
    tsr_tensor t[5] = {tsr_host_tensor(TSR_DTYPE_U8, u, 1, (int64_t[]){5}),
                       tsr_host_tensor(TSR_DTYPE_F32, f, 2, (int64_t[]){2, 3}),
                       tsr_host_tensor(TSR_DTYPE_BF16, h, 1, (int64_t[]){3}),
                       tsr_host_tensor(TSR_DTYPE_I64, l, 1, (int64_t[]){1}),
                       tsr_host_tensor(TSR_DTYPE_F32, NULL, 2, (int64_t[]){0, 4})};
    const char *names[5] = {"z.u", "b\"\\\n\xc3\xa9", "h", "l", "a"};
    tsr_metadata_pair pairs[2] = {{"levels", "[8, 'x']"}, {"format", "pt\t\x01"}};
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, names, t, 5, pairs, 2), TSR_OK);
    uint8_t *once, *twice;
    size_t once_size = file_bytes(&once);
    ck_assert_uint_eq(once[0] % 8, 0);

    tsr_safetensors *st;
    ck_assert_int_eq(tsr_safetensors_open(ctx, path, &st), TSR_OK);
    ck_assert_int_eq(tsr_safetensors_count(st), 5);
    for (int i = 0; i < 5; ++i) {
        int at = tsr_safetensors_find(st, names[i]);
        ck_assert_int_ge(at, 0);
        ck_assert_str_eq(tsr_safetensors_name(st, at), names[i]);
        const tsr_tensor *got = tsr_safetensors_tensor(st, at);
        ck_assert_int_eq(got->dtype, t[i].dtype);
        ck_assert_int_eq(got->rank, t[i].rank);
        ck_assert_mem_eq(got->dim, t[i].dim, sizeof got->dim);
        size_t bytes = (size_t)tsr_elements(got) * tsr_dtype_bytes(got->dtype);
        if (bytes) ck_assert_mem_eq(got->data, t[i].data, bytes);
        if (bytes) ck_assert_uint_eq(((uintptr_t)got->data) % tsr_dtype_bytes(got->dtype), 0);
    }
    ck_assert_str_eq(tsr_safetensors_name(st, 0), "l"); /* largest elements first */
    ck_assert_int_eq(tsr_safetensors_find(st, "zz"), -1);
    ck_assert_ptr_null(tsr_safetensors_name(st, 5));
    ck_assert_ptr_null(tsr_safetensors_tensor(st, -1));
    ck_assert_str_eq(tsr_safetensors_metadata(st, "levels"), "[8, 'x']");
    ck_assert_str_eq(tsr_safetensors_metadata(st, "format"), "pt\t\x01");
    ck_assert_ptr_null(tsr_safetensors_metadata(st, "other"));
    uint64_t hash, other;
    ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash), TSR_OK);
    tsr_safetensors_close(&st);

    /* Another order gives the same bytes; another byte another identity. */
    tsr_tensor back[5];
    const char *back_names[5];
    for (int i = 0; i < 5; ++i)
        back[i] = t[4 - i], back_names[i] = names[4 - i];
    tsr_metadata_pair back_pairs[2] = {pairs[1], pairs[0]};
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, back_names, back, 5, back_pairs, 2), TSR_OK);
    ck_assert_uint_eq(file_bytes(&twice), once_size);
    ck_assert_mem_eq(once, twice, once_size);
    twice[once_size - 1] ^= 1;
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", twice, once_size, &st), TSR_OK);
    ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &other), TSR_OK);
    ck_assert_uint_ne(other, hash);
    tsr_safetensors_close(&st);
    free(once);
    free(twice);

    tsr_tensor lost = t[1];
    lost.data = NULL;
    const char *same[2] = {"x", "x"}, *reserved[1] = {"__metadata__"}, *bad[1] = {"\xff"};
    tsr_metadata_pair twins[2] = {{"k", "1"}, {"k", "2"}};
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, same, t, 2, NULL, 0), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, reserved, t, 1, NULL, 0), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, bad, t, 1, NULL, 0), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, names, &lost, 1, NULL, 0),
                     TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_safetensors_write(ctx, path, names, t, 1, twins, 2), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_safetensors_write(ctx, "/dev/full", names, t, 1, NULL, 0),
                     TSR_ERROR_NO_SPACE);
    ck_assert_int_eq(tsr_safetensors_open(ctx, path, &st), TSR_OK); /* the old one still stands */
    tsr_safetensors_close(&st);
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

/* The hash is what the header file says, put together by hand here. */
START_TEST(hash_as_documented) {
    open_context();
    size_t size;
    const char *header = "{\"__metadata__\":{\"z\":\"1\",\"k\":\"v\"},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                         "\"a\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[2,4]}}";
    uint8_t *file = make(header, strlen(header), 4, &size);
    memcpy(file + size - 4, "WXYZ", 4);
    static const char text[] = "a\0F16\0"
                               "\1\0\0\0\0\0\0\0"
                               "\1\0\0\0\0\0\0\0"
                               "YZ"
                               "b\0U8\0"
                               "\1\0\0\0\0\0\0\0"
                               "\2\0\0\0\0\0\0\0"
                               "WX"
                               "\0"
                               "k\0v\0"
                               "z\0"
                               "1";
    tsr_safetensors *st;
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &st), TSR_OK);
    uint64_t hash;
    ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash), TSR_OK);
    ck_assert_uint_eq(hash, tsr_hash64(text, sizeof text, 0));
    tsr_safetensors_close(&st);
    free(file);
    tsr_context_close(&ctx);
}
END_TEST

/* A file that becomes shorter while it is open: a status, never a signal. */
START_TEST(shrinks_while_open) {
    open_context();
    enum { N = 1 << 20 };
    char name[] = "/tmp/tessera-shrinks-XXXXXX";
    close(mkstemp(name));
    float *values = malloc(2 * N * sizeof *values);
    for (int i = 0; i < 2 * N; ++i)
        values[i] = (float)i;
    const char *names[2] = {"a", "b"};
    const tsr_tensor t[2] = {tsr_host_tensor(TSR_DTYPE_F32, values, 1, (int64_t[]){N}),
                             tsr_host_tensor(TSR_DTYPE_F32, values + N, 1, (int64_t[]){N})};
    ck_assert_int_eq(tsr_safetensors_write(ctx, name, names, t, 2, NULL, 0), TSR_OK);
    tsr_safetensors *st;
    tsr_weights *weights, *kept;
    ck_assert_int_eq(tsr_safetensors_open(ctx, name, &st), TSR_OK);
    ck_assert_ptr_null(tsr_safetensors_tensor(st, 0)->data);
    ck_assert_int_eq(tsr_file_weights(ctx, st, &weights), TSR_OK);
    ck_assert_int_eq(tsr_file_weights(ctx, st, &kept), TSR_OK);
    const float *lent;
    ck_assert_int_eq(tsr_weight_pin(ctx, tsr_weights_find(kept, "b")), TSR_OK);
    ck_assert_int_eq(truncate(name, N * 4 + 4096), 0);
    ck_assert_int_eq(tsr_weight_borrow(ctx, tsr_weights_find(weights, "a"), &lent), TSR_OK);
    ck_assert_float_eq(lent[N - 1], N - 1);
    tsr_weight_return(tsr_weights_find(weights, "a"), lent);
    ck_assert_int_eq(tsr_weight_borrow(ctx, tsr_weights_find(weights, "b"), &lent),
                     TSR_ERROR_TRUNCATED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "it became shorter"));
    ck_assert_float_eq(tsr_weights_find(kept, "b")->f32[N - 1], 2 * N - 1); /* was read before */
    uint64_t hash;
    ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash), TSR_ERROR_TRUNCATED);
    ck_assert_int_eq(tsr_safetensors_load(ctx, st, 1), TSR_ERROR_TRUNCATED);
    ck_assert_int_eq(tsr_safetensors_load(ctx, st, 0), TSR_OK);
    ck_assert_float_eq(((const float *)tsr_safetensors_tensor(st, 0)->data)[7], 7);
    tsr_weights_close(&weights);
    tsr_weights_close(&kept);
    tsr_safetensors_close(&st);
    unlink(name);
    free(values);
    tsr_context_close(&ctx);
}
END_TEST

/* The first value that no arithmetic survives, of every float type, at the borders of a piece. */
START_TEST(unusable_values) {
    open_context();
    enum { N = 200000 }; /* several pieces */
    float *f = calloc(N, sizeof *f);
    uint16_t *h = calloc(N, sizeof *h), *b = calloc(N, sizeof *b);
    static const struct {
        float f32;
        uint16_t f16, bf16;
        bool bad;
    } cases_of[] = {{NAN, 0x7E00, 0x7FC0, true},        {-INFINITY, 0xFC00, 0xFF80, true},
                    {3e38f, 0x7C01, 0x7F61, true},      {-0x1p64f, 0x7C00, 0xDF80, true},
                    {0x1.fp63f, 0x7BFF, 0x5F78, false}, {1, 0x3C00, 0x3F80, false}};
    static const int places[] = {0, 65535, 65536, 131072, N - 1};
    const char *names[3] = {"f", "h", "b"};
    const int64_t dim[1] = {N};
    const tsr_tensor t[3] = {tsr_host_tensor(TSR_DTYPE_F32, f, 1, dim),
                             tsr_host_tensor(TSR_DTYPE_F16, h, 1, dim),
                             tsr_host_tensor(TSR_DTYPE_BF16, b, 1, dim)};
    char name[] = "/tmp/tessera-unusable-XXXXXX";
    close(mkstemp(name));
    for (size_t c = 0; c < sizeof cases_of / sizeof *cases_of; ++c)
        for (size_t p = 0; p < sizeof places / sizeof *places; ++p) {
            const int at = places[p];
            f[at] = cases_of[c].f32, h[at] = cases_of[c].f16, b[at] = cases_of[c].bf16;
            tsr_safetensors *st;
            uint64_t hash;
            ck_assert_int_eq(tsr_safetensors_write(ctx, name, names, t, 3, NULL, 0), TSR_OK);
            ck_assert_int_eq(tsr_safetensors_open(ctx, name, &st), TSR_OK);
            ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash), TSR_OK);
            for (int i = 0; i < 3; ++i)
                ck_assert_msg(tsr_safetensors_unusable(st, i, NULL) == (cases_of[c].bad ? at : -1),
                              "%zu at %d, %s", c, at, tsr_safetensors_name(st, i));
            tsr_safetensors_close(&st);
            f[at] = 0, h[at] = b[at] = 0;
        }
    unlink(name);
    free(f), free(h), free(b);
    tsr_context_close(&ctx);
}
END_TEST

static void put_file(const char *folder, const char *name, const void *bytes, size_t size) {
    char where[256];
    snprintf(where, sizeof where, "%s/%s", folder, name);
    FILE *to = fopen(where, "wb");
    ck_assert_ptr_nonnull(to);
    fwrite(bytes, 1, size, to);
    fclose(to);
}

#define MAP(a, b)                                                                                  \
    "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"" a "\",\"b\":\"" b "\"}}"

/* The same tensors in one file and in several: one identity. And indexes that are not sound. */
START_TEST(shards) {
    open_context();
    char folder[] = "/tmp/tessera-shards-XXXXXX", where[256];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    size_t size;
    const char *headers[3] = {"{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\","
                              "\"shape\":[1],\"data_offsets\":[0,4]}}",
                              "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F64\","
                              "\"shape\":[],\"data_offsets\":[0,8]}}",
                              "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\","
                              "\"shape\":[1],\"data_offsets\":[8,12]},"
                              "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}"};
    static const char *const files[3] = {"x-1.safetensors", "x-2.safetensors", "one.safetensors"};
    uint64_t hash[2];
    for (int i = 0; i < 3; ++i) {
        uint8_t *bytes = make(headers[i], strlen(headers[i]), i == 0 ? 4 : i == 1 ? 8 : 12, &size);
        put_file(folder, files[i], bytes, size);
        free(bytes);
    }
    static const struct {
        const char *index;
        tsr_status status;
        const char *word;
    } indexes[] = {
        {MAP("x-1.safetensors", "x-2.safetensors"), TSR_OK, ""},
        {MAP("x-1.safetensors", "x-3.safetensors"), TSR_ERROR_NOT_FOUND,
         "x-3.safetensors: named in"},
        {MAP("x-2.safetensors", "x-1.safetensors"), TSR_ERROR_FORMAT, "tensor a: wanted it in x-2"},
        {MAP("x-1.safetensors", "x-1.safetensors"), TSR_ERROR_FORMAT, "got it in none"},
        {MAP("x-1.safetensors", "one.safetensors"), TSR_ERROR_FORMAT, "a: wanted"},
        {MAP("../x-1.safetensors", "x-2.safetensors"), TSR_ERROR_FORMAT,
         "in the same folder, got ../x"},
        {MAP("/etc/x-1.safetensors", "x-2.safetensors"), TSR_ERROR_FORMAT, "in the same folder"},
        {MAP("a\\\\x.safetensors", "x-2.safetensors"), TSR_ERROR_FORMAT, "in the same folder"},
        {MAP(".safetensors", "x-2.safetensors"), TSR_ERROR_FORMAT, "in the same folder"},
        {MAP("x-1.bin", "x-2.bin"), TSR_ERROR_FORMAT, "in the same folder"},
        {"{\"weight_map\":{\"a\":[1]}}", TSR_ERROR_FORMAT, "got something else"},
        {"{\"weight_map\":{}}", TSR_ERROR_FORMAT, "wanted tensors, got none"},
        {"{\"weight_map\":[]}", TSR_ERROR_FORMAT, "got other JSON"},
        {"{\"error\":\"x\"}", TSR_ERROR_FORMAT, "got other JSON"},
        {"{", TSR_ERROR_FORMAT, "wanted JSON"},
        {"[]", TSR_ERROR_FORMAT, "'{' first"},
        {"", TSR_ERROR_FORMAT, "'{' first"},
        {"{\"a\":[[[[[[[[[0]]]]]]]]]}", TSR_ERROR_FORMAT, "nested"}};
    snprintf(where, sizeof where, "%s/x.index.json", folder);
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; ++i) {
        tsr_safetensors *st;
        put_file(folder, "x.index.json", indexes[i].index, strlen(indexes[i].index));
        const tsr_status status = tsr_safetensors_open(ctx, where, &st);
        ck_assert_msg(status == indexes[i].status, "%zu: %s: %s", i, tsr_status_name(status),
                      tsr_detail(ctx));
        ck_assert_int_eq(status == TSR_OK, st != NULL);
        if (status)
            ck_assert_msg(strstr(tsr_detail(ctx), indexes[i].word), "%zu: %s", i, tsr_detail(ctx));
        if (!st) continue;
        ck_assert_int_eq(tsr_safetensors_file_count(st), 2);
        ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash[0]), TSR_OK);
        tsr_safetensors_close(&st);
    }
    snprintf(where, sizeof where, "%s/one.safetensors", folder);
    tsr_safetensors *st;
    ck_assert_int_eq(tsr_safetensors_open(ctx, where, &st), TSR_OK);
    ck_assert_int_eq(tsr_safetensors_hash(ctx, st, &hash[1]), TSR_OK);
    ck_assert_uint_eq(hash[0], hash[1]);
    tsr_safetensors_close(&st);
    for (int i = 0; i < 4; ++i) {
        snprintf(where, sizeof where, "%s/%s", folder, i < 3 ? files[i] : "x.index.json");
        unlink(where);
    }
    rmdir(folder);
    tsr_context_close(&ctx);
}
END_TEST

/* What stands in a folder of weights and is none. */
START_TEST(foreign_files) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *word;
    } kinds[] = {
#define KIND(text, word) {text, sizeof text - 1, word}
        KIND("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 20843244\n",
             "a git-lfs pointer (its size says 20843244 bytes)"),
        KIND("<!DOCTYPE html><html><body>503</body></html>", "an HTML page"),
        KIND("\n  <HTML><head>", "an HTML page"),
        KIND("\xef\xbb\xbf<html>", "an HTML page"),
        KIND("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "(access denied)"),
        KIND("{\"error\":\"Repository not found\"}",
             "a JSON text (error:\"Repository not found\")"),
        KIND("{ \"weight_map\": {\"a\": \"b\"}}", "an index of weights"),
        KIND("Entry not found", "a server's answer (\"Entry not found\")"),
        KIND("GGUF\3\0\0\0........", "a GGUF file"),
        KIND("\x93NUMPY\1\0v\0{'descr'", "a .npy array"),
        KIND("\x89HDF\r\n\x1a\n\0\0\0", "an HDF5 file"),
        KIND("\x1c\0\0\0TFL3\x14\0\x20\0", "a TensorFlow Lite model"),
        KIND("\x08\x08\x12\x07pytorch\x1a\x05"
             "2.1.0:abc",
             "an ONNX model"),
        KIND("\x1f\x8b\x08\0\1\2\3\4\5\6", "compressed by gzip"),
        KIND("\x28\xb5\x2f\xfd\1\2\3\4\5\6", "compressed by zstd"),
        KIND("\x80\4\x95\x10\1\2\3\4}\x94", "a plain pickle"),
        KIND("\x89PNG\r\n\x1a\n....", "a picture (PNG)"),
        KIND("\x89TSR\r\n\x1a\n....", "a token file"),
        KIND("", "an empty file")};
    open_context();
    tsr_safetensors *st;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
        const tsr_status status =
            tsr_safetensors_parse(ctx, "m", kinds[i].bytes, kinds[i].size, &st);
        ck_assert_msg(status == (kinds[i].size ? TSR_ERROR_FORMAT : TSR_ERROR_TRUNCATED),
                      "%zu: %s: %s", i, tsr_status_name(status), tsr_detail(ctx));
        ck_assert_msg(strstr(tsr_detail(ctx), kinds[i].word) != NULL, "%zu: %s", i,
                      tsr_detail(ctx));
    }
    /* A header whose length spells gzip is a header. */
    char *header = malloc(0x8b1f);
    memset(header, ' ', 0x8b1f);
    memcpy(header, "{}", 2);
    size_t size;
    uint8_t *file = make(header, 0x8b1f, 0, &size);
    ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", file, size, &st), TSR_OK);
    tsr_safetensors_close(&st);
    free(file);
    free(header);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(every_truncation) {
    open_context();
    const char *header = ONE("F32", "[2]", "[0,8]");
    size_t size;
    uint8_t *file = make(header, strlen(header), 8, &size);
    for (size_t cut = 0; cut < size; ++cut) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, file, cut);
        tsr_safetensors *st = NULL;
        ck_assert_int_eq(tsr_safetensors_parse(ctx, "m", copy, cut, &st), TSR_ERROR_TRUNCATED);
        free(copy);
    }
    free(file);
    tsr_safetensors *st = NULL;
    ck_assert_int_eq(tsr_safetensors_open(ctx, "/tmp", &st), TSR_ERROR_IO);
    ck_assert_int_eq(tsr_safetensors_open(ctx, "/absent", &st), TSR_ERROR_NOT_FOUND);
    tsr_safetensors_close(&st);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("safetensors", rules, header_length, many_values, unaligned, overlap_before_copies,
          every_bit, writes_canonically, hash_as_documented, every_truncation, shrinks_while_open,
          unusable_values, shards, foreign_files)
