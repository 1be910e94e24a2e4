/* SPDX-License-Identifier: MIT */
/* Damaged and hostile token files, each named <section>_<fault>, made here from a good file. For
 * each: what opening answers, and what reading the items answers. At the end every bit of a file is
 * flipped once: nothing may crash, and no changed value may come out as if nothing had happened. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
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

static const item_fields plain = {.flags = 2,
                                  .key = "k",
                                  .key_bytes = 1,
                                  .width = 5,
                                  .tile_columns = 1,
                                  .tile_rows = 1,
                                  .count = 2,
                                  .data = "\x01\x08\x00",
                                  .data_bytes = 3};

/* ---- cases ------------------------------------------------------------------------------ */

typedef struct expected {
    tsr_status open;
    int recovered, damaged;
    uint64_t items;
    int bad_item; /* number of the first one that cannot be read, -1 = none */
    tsr_status item;
    int bad_more;    /* how many after it cannot be read either */
    const char *why; /* part of the detail of what is refused or cannot be read */
} expected;

typedef struct corrupt_case {
    const char *name;
    bool layers;
    void (*make)(tsr_bytes *b);
    expected want;
} corrupt_case;

#define MAKE(name) static void name(tsr_bytes *b)
#define REPLACE(b, with)                                                                           \
    do {                                                                                           \
        tsr_bytes with_ = (with);                                                                  \
        tsr_bytes_free(b);                                                                         \
        *(b) = with_;                                                                              \
    } while (0)

MAKE(nothing) {
    (void)b;
}
MAKE(start_empty) {
    b->size = 0;
}
MAKE(start_one_byte) {
    b->size = 1;
}
MAKE(start_other_format) {
    memcpy(b->at, "\x89PNG", 4);
}
MAKE(start_cr_removed) {
    splice_bytes(b, 4, NULL, -1);
}
MAKE(start_lf_to_crlf) {
    for (size_t i = 0; i < b->size; ++i)
        if (b->at[i] == '\n') splice_bytes(b, i++, "\r", 1);
}
MAKE(start_eighth_bit_stripped) {
    for (size_t i = 0; i < b->size; ++i)
        b->at[i] &= 127;
}
MAKE(start_latin1_to_utf8) {
    splice_bytes(b, 0, "\xc2", 1);
}
MAKE(start_checksum) {
    b->at[12] ^= 1;
}
MAKE(start_future_major) {
    b->at[8] = 2;
    sign_start(b);
}
MAKE(start_major_zero) {
    b->at[8] = 0;
    sign_start(b);
}
MAKE(start_future_minor) {
    b->at[10] = 9;
    sign_start(b);
}
MAKE(head_missing) {
    splice_bytes(b, 16, NULL, -(long)(chunk_end(b, 16) - 16));
}
MAKE(head_cut) {
    b->size = 60;
}
MAKE(head_checksum) {
    b->at[40] ^= 1;
}
MAKE(head_chunk_checksum) {
    b->at[36] ^= 1;
}
MAKE(head_huge) {
    tsr_set_u64(b->at + 24, UINT64_MAX);
    sign_chunk(b, 16);
}
MAKE(head_size_above_limit) {
    tsr_set_u64(b->at + 24, 257);
    sign_chunk(b, 16);
}
static void head_byte(tsr_bytes *b, size_t offset, uint8_t value) {
    b->at[40 + offset] = value;
    sign_chunk(b, 16);
}
MAKE(head_codebook_zero) {
    head_byte(b, 12, 0);
    head_byte(b, 13, 0);
}
MAKE(head_codebook_not_product_of_levels) {
    head_byte(b, 12, 0xe9);
}
MAKE(head_rows_of_sequence) {
    head_byte(b, 16, 2);
}
MAKE(head_columns_huge) {
    head_byte(b, 23, 0x80);
}
MAKE(head_geometry_unknown) {
    head_byte(b, 36, 2);
}
MAKE(head_fit_auto) {
    head_byte(b, 37, 0);
}
MAKE(head_filter_unknown) {
    head_byte(b, 38, 3);
}
MAKE(head_flag_unknown) {
    head_byte(b, 39, 4);
}
MAKE(head_layers_without_nesting) {
    head_byte(b, 32, 4);
    head_byte(b, 39, 0);
}
MAKE(head_levels_too_many) {
    head_byte(b, 43, 17);
}
MAKE(head_name_empty) {
    head_byte(b, 44, 0);
}
MAKE(head_name_too_long) {
    head_byte(b, 44, 64);
}
MAKE(head_name_with_zero) {
    head_byte(b, 47, 0);
}
MAKE(head_trailing_byte) {
    size_t end = chunk_end(b, 16);
    splice_bytes(b, end, "", 1);
    tsr_set_u64(b->at + 24, tsr_get_u64(b->at + 24) + 1);
    sign_chunk(b, 16);
}
MAKE(head_twice_after_damage) {
    size_t at = chunk_at(b, TSR_TESS_ITEM, 2), end = chunk_end(b, 16);
    tsr_bytes copy = {0};
    tsr_bytes_put(&copy, b->at + 16, end - 16);
    splice_bytes(b, at, copy.at, (long)copy.size);
    tsr_bytes_free(&copy);
}
MAKE(item_payload_checksum) {
    b->at[payload_at(b, TSR_TESS_ITEM, 1) + 3] ^= 4;
}
MAKE(item_chunk_checksum) {
    b->at[chunk_at(b, TSR_TESS_ITEM, 1) + 8] ^= 1;
}
MAKE(item_chunk_checksum_without_index) {
    size_t at = chunk_at(b, TSR_TESS_ITEM, 1);
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
    b->at[at + 8] ^= 1;
}
MAKE(item_payload_checksum_without_index) {
    size_t at = payload_at(b, TSR_TESS_ITEM, 1);
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
    b->at[at + 3] ^= 4;
}
MAKE(item_number_wrong) {
    b->at[payload_at(b, TSR_TESS_ITEM, 1)] = 5;
    sign_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1));
}
MAKE(item_number_repeated_without_index) {
    b->at[payload_at(b, TSR_TESS_ITEM, 1)] = 0;
    sign_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1));
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
}
MAKE(item_id_beyond_codebook) {
    size_t end = chunk_end(b, chunk_at(b, TSR_TESS_ITEM, 1));
    b->at[end - 2] = b->at[end - 3] = 0xff;
    sign_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1));
}
MAKE(item_bits_after_last_id) {
    b->at[chunk_end(b, chunk_at(b, TSR_TESS_ITEM, 1)) - 1] |= 0x80;
    sign_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1));
}
#define ITEM(name, tokens, ...)                                                                    \
    MAKE(name) {                                                                                   \
        item_fields f = plain;                                                                     \
        __VA_ARGS__;                                                                               \
        REPLACE(b, item_of(f, tokens));                                                            \
    }
ITEM(item_plain, 2, (void)f)
ITEM(item_flag_unknown, 2, f.flags = 66)
ITEM(item_frames_of_picture, 2, f.flags = 34)
ITEM(item_key_above, 2, f.key = "../x", f.key_bytes = 4)
ITEM(item_key_absolute, 2, f.key = "/x", f.key_bytes = 2)
ITEM(item_key_with_control, 2, f.key = "a\x1bx", f.key_bytes = 3)
ITEM(item_key_with_zero, 2, f.key = "a\0b", f.key_bytes = 3)
ITEM(item_width_zero, 2, f.width = 0)
ITEM(item_width_huge, 2, f.width = UINT64_MAX)
ITEM(item_tiles_zero, 0, f.tile_rows = 0)
ITEM(item_tiles_huge, 2, f.tile_columns = 1 << 20, f.tile_rows = 1 << 20)
ITEM(item_tiles_without_counts, 2, f.flags = 0, f.tile_columns = 1 << 20)
ITEM(item_ids_huge, 20 << 20, f.tile_columns = 1 << 20, f.count = 20)
ITEM(item_count_beyond_positions, 21, f.count = 21)
ITEM(item_counts_not_marked_equal, 2, f.flags = 0)
ITEM(item_mask_missing, 2, f.flags = 3)
ITEM(item_mask_disagrees, 2, f.flags = 3, f.coding = 1, f.data = "\0\0\0\x01\x08\x00",
     f.data_bytes = 6)
ITEM(item_mask_beyond_positions, 2, f.flags = 3, f.coding = 0x03, f.data = "\0\x10\0\x01\x08\x00",
     f.data_bytes = 6)
ITEM(item_coding_unknown, 2, f.coding = 4)
ITEM(item_coded_over_time, 2, f.coding = 3, f.data = "\x01", f.data_bytes = 1)
ITEM(item_data_too_short, 2, f.data_bytes = 2)
ITEM(item_data_too_long, 2, f.data = "\x01\x08\x00\x00", f.data_bytes = 4)
ITEM(item_zstd_not_smaller, 2, f.coding = 1)
ITEM(item_zstd_garbage, 20, f.count = 20, f.coding = 1, f.data = "\x28\xb5\x2f\xfdxyz",
     f.data_bytes = 7)
ITEM(item_zstd_other_size, 20, f.count = 20, f.coding = 1,
     f.data = "\x28\xb5\x2f\xfd\x00\x48\x19\x00\x00\x61\x61\x61", f.data_bytes = 12)
ITEM(item_range_ends_in_zero, 20, f.count = 20, f.coding = 2, f.data = "\x01\x02\x00",
     f.data_bytes = 3)
ITEM(item_range_digit_beyond_level, 20, f.count = 20, f.coding = 2, f.data = "\0\0\0\0\0\1",
     f.data_bytes = 6)
ITEM(item_coded_ratio_above_limit, 20 << 15, f.tile_columns = 1 << 15, f.count = 20, f.coding = 2,
     f.data = "\x01\x02", f.data_bytes = 2)
ITEM(item_ids_not_as_in_index, 3, (void)f)
/* Two vectors of three numbers. */
static const float numbers[6] = {1, 2, 3, 4, 5, -6};
#define NOT_FINITE(name, value) static const float name[6] = {1, 2, 3, 4, (float)(value), -6}
NOT_FINITE(with_nan, 0.0 / 0.0);
NOT_FINITE(with_infinity, -1.0 / 0.0);
#define VECTORS(name, channels, type, ...)                                                         \
    MAKE(name) {                                                                                   \
        item_fields f = plain;                                                                     \
        f.data = numbers, f.data_bytes = sizeof numbers;                                           \
        __VA_ARGS__;                                                                               \
        REPLACE(b, item_of(f, f.tile_columns *f.count));                                           \
        make_vectors(b, channels, type);                                                           \
    }
VECTORS(vectors_plain, 3, 0, (void)f)
VECTORS(vectors_nan, 3, 0, f.data = with_nan)
VECTORS(vectors_infinity, 3, 0, f.data = with_infinity)
VECTORS(vectors_f16_infinity, 3, 1, f.data = "\0\0\0\x3c\0\xfc\0\0\0\0\0\0", f.data_bytes = 12)
VECTORS(vectors_other_width, 3, 1, (void)f)
VECTORS(vectors_other_channels, 4, 0, (void)f)
VECTORS(vectors_too_short, 3, 0, f.data_bytes = 23)
VECTORS(vectors_range_coded, 3, 0, f.coding = 2, f.data_bytes = 20)
VECTORS(vectors_zstd_not_smaller, 3, 0, f.coding = 1)
VECTORS(vectors_zstd_garbage, 3, 0, f.coding = 1, f.data = "\x28\xb5\x2f\xfdxyz", f.data_bytes = 7)
VECTORS(vectors_zstd_other_size, 3, 0, f.coding = 1,
        f.data = "\x28\xb5\x2f\xfd\x00\x48\x19\x00\x00\x61\x61\x61", f.data_bytes = 12)
VECTORS(vectors_ratio_above_limit, 4096, 0, f.coding = 1, f.count = 20)
VECTORS(vectors_above_limit, 4096, 0, f.tile_columns = 1024, f.count = 17)
VECTORS(head_vectors_none, 0, 0, (void)f)
VECTORS(head_vectors_huge, 4097, 0, (void)f)
VECTORS(head_vectors_type_unknown, 3, 2, (void)f)
MAKE(head_vectors_nested) {
    make_vectors(b, 3, 0);
    head_byte(b, 39, 1);
}
MAKE(head_vectors_with_layers) {
    make_vectors(b, 3, 0);
    head_byte(b, 32, 4);
}
MAKE(head_vectors_with_codebook) {
    make_vectors(b, 3, 0);
    head_byte(b, 12, 2);
}
MAKE(item_long_varint) {
    tsr_bytes p = {0};
    tsr_bytes_put(&p, "\x80\x00\x02", 3);
    REPLACE(b, file_of(&p, 2));
    tsr_bytes_free(&p);
}
MAKE(item_key_longer_than_chunk) {
    tsr_bytes p = {0};
    tsr_bytes_put(&p, "\0\2\xe8\7k", 5); /* number, flags, 1000 bytes of which one is there */
    REPLACE(b, file_of(&p, 2));
    tsr_bytes_free(&p);
}
MAKE(item_ids_above_limit) { /* 256 tiles of 300,000 ids, where a tile has room for 524,308 */
    item_fields f = plain;
    f.tile_columns = 256, f.count = 300000;
    REPLACE(b, item_of(f, 1 << 26));
    head_byte(b, 22, 8);
}
MAKE(item_empty) {
    tsr_bytes p = {0};
    REPLACE(b, file_of(&p, 0));
}
MAKE(layer_checksum) {
    b->at[payload_at(b, TSR_TESS_LAYR, 2) + 3] ^= 1;
}
MAKE(layer_checksum_without_index) {
    size_t at = payload_at(b, TSR_TESS_LAYR, 2);
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
    b->at[at + 3] ^= 1;
}
MAKE(layer_missing) {
    uint64_t e[9];
    size_t at = chunk_at(b, TSR_TESS_LAYR, 3), size = chunk_end(b, at) - at;
    item_entries(b, true, e);
    e[4] -= size;
    splice_bytes(b, at, NULL, -(long)size);
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 9);
}
MAKE(layer_twice) {
    uint64_t e[9];
    size_t at = chunk_at(b, TSR_TESS_LAYR, 3), size = chunk_end(b, at) - at;
    item_entries(b, true, e);
    e[4] += size;
    tsr_bytes copy = {0};
    tsr_bytes_put(&copy, b->at + at, size);
    splice_bytes(b, at, copy.at, (long)size);
    tsr_bytes_free(&copy);
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 9);
}
MAKE(layer_of_other_item) {
    b->at[payload_at(b, TSR_TESS_LAYR, 2)] = 0;
    sign_chunk(b, chunk_at(b, TSR_TESS_LAYR, 2));
}
MAKE(layer_number_huge) {
    b->at[payload_at(b, TSR_TESS_LAYR, 2) + 1] = 63;
    sign_chunk(b, chunk_at(b, TSR_TESS_LAYR, 2));
}
MAKE(index_checksum) {
    b->at[payload_at(b, TSR_TESS_INDX, 0)] ^= 1;
}
MAKE(index_missing) {
    size_t at = chunk_at(b, TSR_TESS_INDX, 0);
    splice_bytes(b, at, NULL, -(long)(chunk_end(b, at) - at));
}
MAKE(index_huge_count) {
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), UINT64_MAX, (uint64_t[]){0, 24, 1}, 3);
}
MAKE(index_count_too_small) {
    uint64_t e[9];
    item_entries(b, false, e);
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 2, e, 6);
}
MAKE(
    index_overlaps_itself) { /* sizes that reach into the next item, so that the sum is too great */
    uint64_t e[9];
    item_entries(b, false, e);
    e[1] += 10;
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 9);
}
MAKE(index_moved_borders) { /* the sum is right, the borders are not */
    uint64_t e[9];
    item_entries(b, false, e);
    e[1] += 10, e[4] -= 10;
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 9);
}
MAKE(index_gap_hides_item) {
    uint64_t e[9];
    item_entries(b, false, e);
    e[6] += e[4];
    memmove(e + 3, e + 6, 3 * sizeof *e);
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 2, e, 6);
}
MAKE(index_trailing_bytes) {
    uint64_t e[10];
    item_entries(b, false, e);
    e[9] = 0;
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 10);
}
MAKE(end_missing) {
    b->size -= TSR_TESS_END_BYTES;
}
MAKE(end_cut) {
    b->size -= 5;
}
MAKE(end_offset_beyond_file) {
    tsr_set_u64(b->at + b->size - 8, UINT64_MAX - 3);
    sign_chunk(b, b->size - TSR_TESS_END_BYTES);
}
MAKE(end_offset_into_head) {
    tsr_set_u64(b->at + b->size - 8, 16);
    sign_chunk(b, b->size - TSR_TESS_END_BYTES);
}
MAKE(end_trailing_bytes) {
    tsr_bytes_put(b, "garbage", 7);
}
MAKE(end_second_file_appended) {
    tsr_bytes copy = {0};
    tsr_bytes_put(&copy, b->at, b->size);
    tsr_bytes_put(b, copy.at, copy.size);
    tsr_bytes_free(&copy);
}
MAKE(chunk_unknown_critical) {
    insert_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1), TSR_TESS_TYPE('N', 'E', 'W', '1'), 1);
}
MAKE(chunk_unknown_skippable) {
    insert_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1), TSR_TESS_TYPE('N', 'E', 'W', '1'), 0);
}
static void with_gap(tsr_bytes *b, uint32_t flags, uint32_t type) {
    uint64_t e[9];
    item_entries(b, false, e);
    e[3] = 29;
    insert_chunk(b, chunk_at(b, TSR_TESS_ITEM, 1), type, flags);
    new_index(b, chunk_at(b, TSR_TESS_INDX, 0), 3, e, 9);
}
MAKE(chunk_unknown_critical_in_gap) {
    with_gap(b, 1, TSR_TESS_TYPE('N', 'E', 'W', '1'));
}
MAKE(chunk_unknown_skippable_in_gap) {
    with_gap(b, 0, TSR_TESS_TYPE('N', 'E', 'W', '1'));
}
MAKE(chunk_unknown_flag_in_gap) {
    with_gap(b, 2, TSR_TESS_ITEM);
}
MAKE(chunk_size_huge_without_index) {
    size_t at = chunk_at(b, TSR_TESS_ITEM, 1);
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
    tsr_set_u64(b->at + at + 8, UINT64_MAX - 8);
    sign_chunk(b, at);
}
MAKE(middle_zeroed) { /* from inside item 0 into item 1 */
    size_t at = payload_at(b, TSR_TESS_ITEM, 0), end = payload_at(b, TSR_TESS_ITEM, 1);
    memset(b->at + at, 0, end - at);
}
MAKE(middle_zeroed_without_index) {
    size_t at = payload_at(b, TSR_TESS_ITEM, 0), end = payload_at(b, TSR_TESS_ITEM, 1);
    b->size = chunk_at(b, TSR_TESS_INDX, 0);
    memset(b->at + at, 0, end - at);
}

#define REFUSED(status, word)                                                                      \
    { .open = (status), .why = (word) }
#define ONE_BAD(n, which, status, word)                                                            \
    { .items = (n), .bad_item = (which), .item = (status), .why = (word) }
#define SCANNED(n, d)                                                                              \
    { .recovered = 1, .damaged = (d), .items = (n), .bad_item = -1 }
#define CASE(name, layers, ...)                                                                    \
    { #name, layers, name, __VA_ARGS__ }
#define CRAFTED(name, word) CASE(name, false, ONE_BAD(1, 0, TSR_ERROR_FORMAT, word))

static const corrupt_case cases[] = {
    {"nothing", false, nothing, {.items = 3, .bad_item = -1}},
    {"nothing_layers", true, nothing, {.items = 3, .bad_item = -1}},
    CASE(start_empty, false, REFUSED(TSR_ERROR_TRUNCATED, "start: wanted 16 bytes, got 0")),
    CASE(start_one_byte, false, REFUSED(TSR_ERROR_TRUNCATED, "start: wanted 16 bytes, got 1")),
    CASE(start_other_format, false,
         REFUSED(TSR_ERROR_FORMAT, "wanted a token file, got other bytes")),
    CASE(start_cr_removed, false, REFUSED(TSR_ERROR_FORMAT, "damaged by a text-mode transfer")),
    CASE(start_lf_to_crlf, false, REFUSED(TSR_ERROR_FORMAT, "damaged by a text-mode transfer")),
    CASE(start_eighth_bit_stripped, false,
         REFUSED(TSR_ERROR_FORMAT, "damaged by a text-mode transfer")),
    CASE(start_latin1_to_utf8, false, REFUSED(TSR_ERROR_FORMAT, "damaged by a text-mode transfer")),
    CASE(start_checksum, false, REFUSED(TSR_ERROR_CHECKSUM, "start: wanted checksum")),
    CASE(start_future_major, false, REFUSED(TSR_ERROR_VERSION, "major version: wanted 1, got 2")),
    CASE(start_major_zero, false, REFUSED(TSR_ERROR_VERSION, "major version: wanted 1, got 0")),
    {"start_future_minor", false, start_future_minor, {.items = 3, .bad_item = -1}},
    CASE(head_missing, false, REFUSED(TSR_ERROR_FORMAT, "wanted the HEAD chunk, got \"ITEM\"")),
    CASE(head_cut, false, REFUSED(TSR_ERROR_TRUNCATED, "header: wanted 67 bytes, got 20")),
    CASE(head_checksum, false, REFUSED(TSR_ERROR_CHECKSUM, "header: wanted checksum")),
    CASE(head_chunk_checksum, false,
         REFUSED(TSR_ERROR_CHECKSUM, "wanted the HEAD chunk, got damaged bytes")),
    CASE(head_huge, false,
         REFUSED(TSR_ERROR_TOO_LARGE, "at most 256 bytes, got 18446744073709551615")),
    CASE(head_size_above_limit, false, REFUSED(TSR_ERROR_TOO_LARGE, "at most 256 bytes, got 257")),
    CASE(head_codebook_zero, false,
         REFUSED(TSR_ERROR_FORMAT, "header: bytes: wanted 50 + name, got 67")),
    CASE(head_codebook_not_product_of_levels, false,
         REFUSED(TSR_ERROR_FORMAT, "product of the levels")),
    CASE(head_rows_of_sequence, false,
         REFUSED(TSR_ERROR_FORMAT, "rows of a sequence: wanted 1, got 2")),
    CASE(head_columns_huge, false, REFUSED(TSR_ERROR_FORMAT, "rows x columns")),
    CASE(head_geometry_unknown, false, REFUSED(TSR_ERROR_FORMAT, "geometry: wanted 0 or 1, got 2")),
    CASE(head_fit_auto, false, REFUSED(TSR_ERROR_FORMAT, "fit: wanted 1..4, got 0")),
    CASE(head_filter_unknown, false, REFUSED(TSR_ERROR_FORMAT, "filter: wanted 0..2, got 3")),
    CASE(head_flag_unknown, false, REFUSED(TSR_ERROR_FORMAT, "flags: wanted 0..3, got 4")),
    CASE(head_layers_without_nesting, false, REFUSED(TSR_ERROR_FORMAT, "layer_tokens: wanted 0")),
    CASE(head_levels_too_many, false,
         REFUSED(TSR_ERROR_FORMAT, "number of levels: wanted 0..16, got 17")),
    CASE(head_name_empty, false, REFUSED(TSR_ERROR_FORMAT, "name: wanted 1..63, got 0")),
    CASE(head_name_too_long, false, REFUSED(TSR_ERROR_FORMAT, "name: wanted 1..63, got 64")),
    CASE(head_name_with_zero, false, REFUSED(TSR_ERROR_FORMAT, "printable ASCII, got 0")),
    CASE(head_trailing_byte, false,
         REFUSED(TSR_ERROR_FORMAT, "bytes: wanted 45 + name + 4 x levels, got 68")),
    CASE(head_twice_after_damage, false, SCANNED(2, 1)),
    CASE(item_payload_checksum, false,
         ONE_BAD(3, 1, TSR_ERROR_CHECKSUM, "item 1: byte 196: wanted checksum")),
    CASE(item_chunk_checksum, false,
         ONE_BAD(3, 1, TSR_ERROR_CHECKSUM, "item 1: byte 196: wanted a chunk, got damaged bytes")),
    CASE(item_chunk_checksum_without_index, false, SCANNED(2, 1)),
    CASE(item_payload_checksum_without_index, false, SCANNED(2, 1)),
    CASE(item_number_wrong, false, ONE_BAD(3, 1, TSR_ERROR_FORMAT, "wanted number 1 with 27 ids")),
    CASE(item_number_repeated_without_index, false, SCANNED(2, 1)),
    CASE(item_id_beyond_codebook, false,
         ONE_BAD(3, 1, TSR_ERROR_FORMAT, "id 25: wanted below 1000, got 1023")),
    CASE(item_bits_after_last_id, false, ONE_BAD(3, 1, TSR_ERROR_FORMAT, "bits after the last id")),
    {"item_plain", false, item_plain, {.items = 1, .bad_item = -1}},
    CRAFTED(item_flag_unknown, "flags: wanted 0..63, got 66"),
    CRAFTED(item_frames_of_picture, "frames: wanted 0 for a picture, got 2"),
    CRAFTED(item_key_above, "key: wanted a path without the parts '.' and '..', got '../x'"),
    CRAFTED(item_key_absolute, "key: wanted a relative path without empty parts, got '/x'"),
    CRAFTED(item_key_with_control, "key: wanted no control characters, got 'a?x'"),
    CRAFTED(item_key_with_zero, "key: wanted text without 0 bytes"),
    CRAFTED(item_key_longer_than_chunk, "fields before the counts"),
    CRAFTED(item_width_zero, "source width: wanted 1..2^31-1, got 0"),
    CRAFTED(item_width_huge, "fields before the counts"),
    CRAFTED(item_tiles_zero, "tiles: wanted 1..1048576, got 0"),
    CRAFTED(item_tiles_huge, "tiles: wanted 1..1048576, got 1.0995"),
    CRAFTED(item_tiles_without_counts, "tiles: wanted at most one for each byte left"),
    CRAFTED(item_ids_huge, "raw ids: wanted"),
    CRAFTED(item_ids_above_limit, "ids: wanted at most 67108864"),
    CRAFTED(item_count_beyond_positions, "tile with a bad count"),
    CRAFTED(item_counts_not_marked_equal, "flag of equal counts"),
    CRAFTED(item_mask_missing, "raw ids: wanted 3 bytes, got 0"),
    CRAFTED(item_mask_disagrees, "kept mask of a tile"),
    CRAFTED(item_mask_beyond_positions, "bits beyond the last position"),
    CRAFTED(item_coding_unknown, "coding: wanted 0..3, got 4"),
    CRAFTED(item_coded_over_time, "wanted 0..2 of ids without whole frames, got 3"),
    CRAFTED(item_data_too_short, "raw ids: wanted 3 bytes, got 2"),
    CRAFTED(item_data_too_long, "raw ids: wanted 3 bytes, got 4"),
    CRAFTED(item_zstd_not_smaller, "wanted less than 3 bytes"),
    CRAFTED(item_zstd_garbage, "zstd: Src size is incorrect"),
    CRAFTED(item_zstd_other_size, "zstd: wanted 40 bytes of planes, got 3"),
    CRAFTED(item_range_ends_in_zero, "a last byte other than 0"),
    CRAFTED(item_range_digit_beyond_level, "range-coded ids: wanted ids below 1000"),
    CRAFTED(item_coded_ratio_above_limit, "at least 1/256 of it, got 2"),
    CRAFTED(item_ids_not_as_in_index, "with 3 ids as in the index, got number 0 with 2"),
    {"vectors_plain", false, vectors_plain, {.items = 1, .bad_item = -1}},
    CRAFTED(vectors_nan, "wanted a finite one, got nan"),
    CRAFTED(vectors_infinity, "wanted a finite one, got -inf"),
    CRAFTED(vectors_f16_infinity, "wanted a finite one, got -inf"),
    CRAFTED(vectors_other_width, "raw vectors: wanted 12 bytes, got 24"),
    CRAFTED(vectors_other_channels, "raw vectors: wanted 32 bytes, got 24"),
    CRAFTED(vectors_too_short, "raw vectors: wanted 24 bytes, got 23"),
    CRAFTED(vectors_range_coded, "coding of vectors: wanted 0 or 1, got 2"),
    CRAFTED(vectors_zstd_not_smaller, "wanted less than 24 bytes"),
    CRAFTED(vectors_zstd_garbage, "zstd: Src size is incorrect"),
    CRAFTED(vectors_zstd_other_size, "zstd: wanted 24 bytes of planes, got 3"),
    CRAFTED(vectors_ratio_above_limit, "at least 1/256 of it, got 24"),
    CRAFTED(vectors_above_limit, "vectors: wanted at most 67108864 numbers"),
    CASE(head_vectors_none, false,
         REFUSED(TSR_ERROR_FORMAT, "codebook size or channels: wanted 1 or more")),
    CASE(head_vectors_huge, false,
         REFUSED(TSR_ERROR_FORMAT, "channels: wanted at most 4096, got 4097")),
    CASE(head_vectors_type_unknown, false,
         REFUSED(TSR_ERROR_FORMAT, "type of numbers: wanted 0 or 1, got 2")),
    CASE(head_vectors_nested, false,
         REFUSED(TSR_ERROR_FORMAT, "nested, of vectors: wanted 0, got 1")),
    CASE(head_vectors_with_layers, false, REFUSED(TSR_ERROR_FORMAT, "layer_tokens: wanted 0")),
    CASE(head_vectors_with_codebook, false,
         REFUSED(TSR_ERROR_FORMAT, "bytes: wanted 45 + name + 4 x levels, got 60")),
    CRAFTED(item_long_varint, "fields before the counts"),
    CRAFTED(item_empty, "fields before the counts"),
    CASE(layer_checksum, true,
         ONE_BAD(3, 1, TSR_ERROR_CHECKSUM, "item 1: byte 315: wanted checksum")),
    CASE(layer_checksum_without_index, true, SCANNED(3, 1)),
    CASE(layer_missing, true, ONE_BAD(3, 1, TSR_ERROR_FORMAT, "layers: wanted 3, got 2")),
    CASE(layer_twice, true,
         ONE_BAD(3, 1, TSR_ERROR_FORMAT, "wanted layer 3 of item 1, got layer 2")),
    CASE(layer_of_other_item, true, ONE_BAD(3, 1, TSR_ERROR_FORMAT, "got layer 1 of item 0")),
    CASE(layer_number_huge, true, ONE_BAD(3, 1, TSR_ERROR_FORMAT, "got layer 63 of item 1")),
    CASE(index_checksum, false, SCANNED(3, 1)),
    CASE(index_missing, false, SCANNED(3, 0)),
    CASE(index_huge_count, false, SCANNED(3, 0)),
    CASE(index_count_too_small, false, SCANNED(3, 0)),
    CASE(index_overlaps_itself, false, SCANNED(3, 0)),
    CASE(index_moved_borders, false,
         {.items = 3,
          .bad_item = 0,
          .item = TSR_ERROR_CHECKSUM,
          .bad_more = 1,
          .why = "item 0: byte 196: wanted a chunk, got damaged bytes"}),
    CASE(index_gap_hides_item, false, SCANNED(3, 0)),
    CASE(index_trailing_bytes, false, SCANNED(3, 0)),
    CASE(end_missing, false, SCANNED(3, 0)),
    CASE(end_cut, false, SCANNED(3, 0)),
    CASE(end_offset_beyond_file, false, SCANNED(3, 0)),
    CASE(end_offset_into_head, false, SCANNED(3, 0)),
    CASE(end_trailing_bytes, false, SCANNED(3, 0)),
    CASE(end_second_file_appended, false, SCANNED(3, 2)),
    CASE(
        chunk_unknown_critical, false,
        REFUSED(TSR_ERROR_UNSUPPORTED, "wanted a chunk this version knows, got critical \"NEW1\"")),
    CASE(chunk_unknown_skippable, false, SCANNED(3, 0)),
    CASE(
        chunk_unknown_critical_in_gap, false,
        REFUSED(TSR_ERROR_UNSUPPORTED, "wanted a chunk this version knows, got critical \"NEW1\"")),
    {"chunk_unknown_skippable_in_gap",
     false,
     chunk_unknown_skippable_in_gap,
     {.items = 3, .bad_item = -1}},
    {"chunk_unknown_flag_in_gap", false, chunk_unknown_flag_in_gap, {.items = 3, .bad_item = -1}},
    CASE(chunk_size_huge_without_index, false, SCANNED(1, 0)),
    CASE(middle_zeroed, false,
         {.items = 3,
          .bad_item = 0,
          .item = TSR_ERROR_CHECKSUM,
          .bad_more = 1,
          .why = "item 0: byte 107: wanted checksum"}),
    CASE(middle_zeroed_without_index, false, SCANNED(1, 2)),
};

static int which_item(const tsr_token_item *item) {
    for (int i = 0; i < 3; ++i)
        if (strcmp(item->key, surgery_items[i].key) == 0) return i;
    return -1;
}

/* Is the item one that was written, whole or with fewer ids? */
static bool true_item(const tsr_token_item *item, bool *less) {
    int i = which_item(item);
    if (i < 0) return false;
    uint32_t most = 0;
    for (uint32_t t = 0; t < item->tile_columns * item->tile_rows; ++t)
        if (item->counts[t] > most) most = item->counts[t];
    *less = most < 20;
    return !token_item_difference(&surgery_header, item, &surgery_items[i], most);
}

static void run_case(const corrupt_case *c) {
    tsr_bytes b = good_file(c->layers);
    c->make(&b);
    uint8_t *exact = malloc(b.size ? b.size : 1); /* a sanitizer sees the byte after it */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, b.at, b.size);
    tsr_token_file *file = NULL;
    tsr_status s = tsr_token_file_parse(ctx, &file, c->name, exact, b.size);
    ck_assert_msg(s == c->want.open, "%s: open: wanted %s, got %s (%s)", c->name,
                  tsr_status_name(c->want.open), tsr_status_name(s), tsr_detail(ctx));
    if (s) {
        ck_assert_ptr_null(file);
        ck_assert_msg(!strncmp(tsr_detail(ctx), c->name, strlen(c->name)) &&
                          !strchr(tsr_detail(ctx), '\n') && strstr(tsr_detail(ctx), c->want.why),
                      "%s: detail \"%s\"", c->name, tsr_detail(ctx));
    } else {
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        ck_assert_msg(info->recovered == c->want.recovered && info->damaged == c->want.damaged &&
                          info->items == c->want.items,
                      "%s: recovered %d, damaged %d, items %d", c->name, info->recovered,
                      info->damaged, (int)info->items);
        for (int i = 0; i < info->damaged; ++i) {
            tsr_token_damage damage;
            ck_assert_int_eq(tsr_token_file_damage(file, i, &damage), TSR_OK);
            ck_assert_msg(damage.item == TSR_NO_ITEM && damage.status && damage.offset < b.size &&
                              strstr(damage.detail, "left out"),
                          "%s: damage %d: %s", c->name, i, damage.detail);
        }
        ck_assert_int_eq(tsr_token_file_damage(file, info->damaged, &(tsr_token_damage){0}),
                         TSR_ERROR_ARGUMENT);
        bool bad_seen = false;
        for (uint64_t i = 0; i < info->items; ++i) {
            tsr_token_item item;
            bool less;
            tsr_status got = tsr_token_file_item(file, i, &item);
            if ((int)i == c->want.bad_item) {
                ck_assert_msg(got == c->want.item && strstr(tsr_detail(ctx), c->want.why),
                              "%s: item %d: wanted %s, got %s (%s)", c->name, (int)i,
                              tsr_status_name(c->want.item), tsr_status_name(got), tsr_detail(ctx));
                bad_seen = true;
            } else if (bad_seen && (int)i <= c->want.bad_item + c->want.bad_more) {
                ck_assert_msg(got != TSR_OK, "%s: item %d can be read", c->name, (int)i);
            } else if (c->make == vectors_plain) {
                ck_assert_msg(!got && !memcmp(item.latents, numbers, sizeof numbers), "%s",
                              tsr_detail(ctx));
            } else if (c->make == item_plain) {
                ck_assert_msg(!got && item.ids[0] == 1 && item.ids[1] == 2, "%s", tsr_detail(ctx));
            } else {
                ck_assert_msg(!got, "%s: item %d: %s", c->name, (int)i, tsr_detail(ctx));
                ck_assert_msg(true_item(&item, &less), "%s: item %d is another", c->name, (int)i);
                ck_assert_int_eq(tsr_token_file_item_storage(file, i, NULL, NULL), TSR_OK);
                ck_assert(!less || info->damaged);
            }
        }
        ck_assert(c->want.bad_item < 0 || bad_seen);
    }
    tsr_token_file_close(&file);
    free(exact);
    tsr_bytes_free(&b);
}

START_TEST(named_cases) {
    run_case(&cases[_i]);
}
END_TEST

/* Either the damage is reported, or what comes out is what was put in. */
static int read_damaged(const uint8_t *bytes, size_t size, bool *reported) {
    tsr_token_file *file;
    *reported = true;
    if (tsr_token_file_parse(ctx, &file, "flipped", bytes, size)) return 0;
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    *reported = info->recovered || info->damaged;
    if (token_header_difference(tsr_token_file_header(file), &surgery_header)) return -1;
    int good = 0;
    for (uint64_t i = 0; i < info->items; ++i) {
        tsr_token_item item;
        bool less;
        if (tsr_token_file_item(file, i, &item)) {
            *reported = true;
            continue;
        }
        if (!true_item(&item, &less)) return -1;
        if (less && !info->damaged) return -1;
        ++good;
    }
    if (good < 3 && !*reported) return -1;
    tsr_token_file_close(&file);
    return good;
}

START_TEST(every_bit_flipped) {
    tsr_bytes b = good_file(_i);
    int worst = 3;
    for (size_t bit = 0; bit < b.size * 8; ++bit) {
        bool reported;
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int good = read_damaged(b.at, b.size, &reported);
        ck_assert_msg(good >= 0 && reported, "bit %zu of byte %zu: %s", bit % 8, bit / 8,
                      good < 0 ? "wrong data" : "not reported");
        if (bit / 8 >= chunk_end(&b, 16) && good < worst) worst = good;
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_ge(worst, 2); /* one bit beyond the header costs one item at most */
    tsr_bytes_free(&b);
}
END_TEST

START_TEST(every_byte_removed_or_doubled) {
    tsr_bytes b = good_file(_i);
    uint8_t *copy = malloc(b.size + 1);
    ck_assert_ptr_nonnull(copy);
    for (size_t at = 0; at < b.size; ++at) {
        bool reported;
        memcpy(copy, b.at, at);
        memcpy(copy + at, b.at + at + 1, b.size - at - 1);
        ck_assert_msg(read_damaged(copy, b.size - 1, &reported) >= 0 && reported, "less %zu", at);
        memcpy(copy + at, b.at + at, 1);
        memcpy(copy + at + 1, b.at + at, b.size - at);
        ck_assert_msg(read_damaged(copy, b.size + 1, &reported) >= 0 && reported, "more %zu", at);
    }
    free(copy);
    tsr_bytes_free(&b);
}
END_TEST

START_TEST(random_damage) {
    for (int round = 0; round < 20000; ++round) {
        tsr_bytes b = good_file(round & 1);
        int changes = 1 + (int)random_below(8);
        while (changes-- > 0)
            b.at[random_below((int64_t)b.size)] = (uint8_t)random_bits();
        bool reported;
        ck_assert_msg(read_damaged(b.at, b.size, &reported) >= 0, "round %d: wrong data", round);
        tsr_bytes_free(&b);
    }
}
END_TEST

START_TEST(not_files) {
    tsr_token_file *file;
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, "/"), TSR_ERROR_IO);
    ck_assert_ptr_null(file);
    ck_assert_msg(strchr(tsr_detail(ctx), '/') != NULL, "detail \"%s\"", tsr_detail(ctx));
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, "/no/such/file.tess"), TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, "/dev/null"), TSR_ERROR_TRUNCATED);
    ck_assert_int_eq(tsr_token_file_open(ctx, &file, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_file_open(ctx, NULL, "/"), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_file_parse(ctx, &file, NULL, NULL, 1), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_file_parse(ctx, &file, NULL, NULL, 0), TSR_ERROR_TRUNCATED);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("corrupt token file");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, named_cases, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(tc, every_bit_flipped, 0, 2);
    tcase_add_loop_test(tc, every_byte_removed_or_doubled, 0, 2);
    tcase_add_test(tc, random_damage);
    tcase_add_test(tc, not_files);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
