/* SPDX-License-Identifier: MIT */
/* Damaged and hostile attributes and indexes of keys, each named <what>_<fault>, made here from a
 * good file: what is reported, that the items stay, and that every flipped bit is reported or
 * changes nothing. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void make_second_version(tsr_bytes *b) {
    b->at[10] = 2;
    sign_start(b);
}

/* ATTR chunks as they are given: of the file, and behind item 1. Sizes 0: none. */
typedef struct pieces {
    const char *own, *item;
    size_t own_bytes, item_bytes;
    int copies; /* of the item's; 0 means 1 */
    uint32_t flags;
} pieces;

static tsr_bytes file_with(pieces p) {
    tsr_bytes b = good_file(false);
    uint64_t e[9];
    item_entries(&b, false, e);
    for (int i = 0; p.item && i < (p.copies ? p.copies : 1); ++i) {
        splice_chunk(&b, chunk_end(&b, chunk_at(&b, TSR_TESS_ITEM, 1)), TSR_TESS_ATTR, p.flags,
                     p.item, p.item_bytes);
        e[4] += TSR_TESS_CHUNK_BYTES + p.item_bytes;
    }
    if (p.own) {
        splice_chunk(&b, chunk_at(&b, TSR_TESS_ITEM, 0), TSR_TESS_ATTR, 0, p.own, p.own_bytes);
        e[0] = TSR_TESS_CHUNK_BYTES + p.own_bytes;
    }
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    make_second_version(&b);
    return b;
}

/* ---- attributes of an item --------------------------------------------------------------- */

#define BYTES(text) (text), sizeof(text) - 1
static const struct item_case {
    const char *name, *payload;
    size_t bytes;
    const char *why;
} item_cases[] = {
    {"attributes_empty", BYTES(""), "1..4096 of them"},
    {"attributes_none", BYTES("\2\0"), "1..4096 of them"},
    {"attributes_too_many", BYTES("\2\x81\x20"), "1..4096 of them"},
    {"attributes_of_the_file", BYTES("\0\1\0\1a\1x"), "those of this owner, got 0"},
    {"attributes_of_another_item", BYTES("\3\1\0\1a\1x"), "those of this owner, got 3"},
    {"attributes_missing", BYTES("\2\2\0\1a\1x"), "attribute 1: wanted a name"},
    {"attributes_more", BYTES("\2\1\0\1a\1xy"), "the end behind it, got 1"},
    {"attributes_long_varint", BYTES("\x82\0\1\0\1a\1x"), "1..4096 of them"},
    {"name_empty", BYTES("\2\1\0\0\1x"), "a name of 1..255 bytes"},
    {"name_beyond_the_end",
     BYTES("\2\1\0\xff"
           "a\1x"),
     "wanted a name"},
    {"name_with_control", BYTES("\2\1\0\2a\n\1x"), "a name without control characters"},
    {"name_with_zero", BYTES("\2\1\0\2a\0\1x"), "a name without control characters"},
    {"name_not_utf8", BYTES("\2\1\0\1\xe4\1x"), "a name in UTF-8"},
    {"names_equal", BYTES("\2\2\0\1a\1x\0\1a\1y"), "attribute 1: wanted a name above"},
    {"names_fall", BYTES("\2\2\0\1b\1x\0\1a\1y"), "attribute 1: wanted a name above"},
    {"names_shorter", BYTES("\2\2\0\2ab\1x\0\1a\1y"), "attribute 1: wanted a name above"},
    {"type_unknown", BYTES("\2\1\3\1a\1x"), "type 0, 1 or 2"},
    {"text_not_utf8", BYTES("\2\1\0\1a\1\xe4"), "text in UTF-8"},
    {"value_beyond_the_end",
     BYTES("\2\1\2\1a\x0f"
           "xyz"),
     "the bytes of its value"},
    {"value_too_large", BYTES("\2\1\2\1a\x81\x80\x40"), "the bytes of its value"},
    {"value_of_two_gigabytes", BYTES("\2\1\2\1a\x80\x80\x80\x80\x08"), "the bytes of its value"},
    {"integer_cut", BYTES("\2\1\1\1a\x80"), "an integer"},
    {"integer_long_varint", BYTES("\2\1\1\1a\x80\0"), "an integer"},
    {"integer_beyond_64_bits", BYTES("\2\1\1\1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"),
     "an integer"},
};

/* All three items can be read; item 1 has `count` attributes, or they are lost. */
static void expect_items(const char *name, const tsr_bytes *b, bool scanned, uint32_t count,
                         tsr_status lost, const char *why) {
    tsr_token_file *file;
    ck_assert_msg(!tsr_token_file_parse(ctx, &file, name, b->at, b->size), "%s", tsr_detail(ctx));
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert_msg(info->items == 3 && info->recovered == scanned && info->damaged == 0,
                  "%s: items %d, recovered %d, damaged %d", name, (int)info->items, info->recovered,
                  info->damaged);
    for (uint64_t i = 0; i < 3; ++i) {
        tsr_token_item item;
        tsr_token_damage damage = {0};
        ck_assert_msg(!tsr_token_file_item(file, i, &item), "%s", tsr_detail(ctx));
        ck_assert(!token_item_difference(&surgery_header, &item, &surgery_items[i], UINT32_MAX));
        ck_assert_uint_eq(item.attribute_count, i == 1 && !lost ? count : 0);
        ck_assert_int_eq(tsr_token_file_item_lost(file, &damage), i == 1 && lost);
        if (i != 1 || !lost) continue;
        ck_assert_msg(damage.status == lost && damage.item == 1 && damage.offset < b->size &&
                          strstr(damage.detail, why) && !strncmp(damage.detail, name, strlen(name)),
                      "%s: %s: %s", name, tsr_status_name(damage.status), damage.detail);
    }
    tsr_token_file_close(&file);
}

START_TEST(item_attributes) {
    const struct item_case *c = &item_cases[_i];
    tsr_bytes b = file_with((pieces){.item = c->payload, .item_bytes = c->bytes});
    expect_items(c->name, &b, false, 0, TSR_ERROR_FORMAT, c->why);
    tsr_bytes_free(&b);
}
END_TEST

START_TEST(good_item_attributes) {
    static const char two[] = "\2\2\1\1a\1\0\2ab\0";
    tsr_bytes b = file_with((pieces){.item = two, .item_bytes = sizeof two - 1});
    expect_items("good", &b, false, 2, TSR_OK, "");
    b.size -= TSR_TESS_END_BYTES;
    expect_items("good", &b, true, 2, TSR_OK, "");
    tsr_bytes_free(&b);
    b = file_with((pieces){.item = two, .item_bytes = sizeof two - 1, .copies = 2});
    expect_items("twice", &b, false, 0, TSR_ERROR_FORMAT, "damaged attributes are left out");
    tsr_bytes_free(&b);
    b = file_with((pieces){.item = two, .item_bytes = sizeof two - 1, .flags = 2});
    expect_items("unknown flag", &b, false, 0, TSR_OK, "");
    tsr_bytes_free(&b);
    b = file_with((pieces){.item = two, .item_bytes = sizeof two - 1, .flags = 1});
    tsr_token_file *file;
    tsr_token_item item;
    ck_assert_int_eq(tsr_token_file_parse(ctx, &file, "critical", b.at, b.size), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(file, 1, &item), TSR_ERROR_UNSUPPORTED);
    tsr_token_file_close(&file);
    tsr_bytes_free(&b);
}
END_TEST

/* 17 values of a MiB in one item, each of them allowed: refused before memory is taken. */
START_TEST(attributes_above_the_limit) {
    tsr_bytes p = {0};
    uint8_t *mib = calloc(1, TSR_MAX_ATTRIBUTE_BYTES);
    ck_assert_ptr_nonnull(mib);
    tsr_bytes_u8(&p, 2);
    tsr_bytes_u8(&p, 17);
    for (uint32_t i = 0; i < 17; ++i) {
        tsr_bytes_u8(&p, TSR_ATTRIBUTE_BYTES);
        tsr_bytes_u8(&p, 1);
        tsr_bytes_u8(&p, 'a' + i);
        tsr_bytes_varint(&p, TSR_MAX_ATTRIBUTE_BYTES);
        tsr_bytes_put(&p, mib, TSR_MAX_ATTRIBUTE_BYTES);
    }
    tsr_bytes b = file_with((pieces){.item = (const char *)p.at, .item_bytes = p.size});
    expect_items("large", &b, false, 0, TSR_ERROR_FORMAT, "at most 16777216 bytes of all");
    tsr_bytes_free(&b);
    tsr_bytes_free(&p);
    free(mib);
}
END_TEST

/* ---- attributes of the file ---------------------------------------------------------------- */

/* What opening reports, and how many attributes the file has then. */
static void expect_open(const char *name, tsr_bytes *b, int damaged, bool scanned, uint32_t own,
                        int key_index, const char *why) {
    tsr_token_file *file;
    uint32_t count = 99;
    ck_assert_msg(!tsr_token_file_parse(ctx, &file, name, b->at, b->size), "%s", tsr_detail(ctx));
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    tsr_token_file_attributes(file, &count);
    ck_assert_msg(info->items == 3 && info->damaged == damaged && info->recovered == scanned &&
                      count == own && info->key_index == key_index,
                  "%s: items %d, damaged %d, recovered %d, attributes %u, keys %d", name,
                  (int)info->items, info->damaged, info->recovered, count, info->key_index);
    ck_assert_uint_le(info->header_bytes + info->payload_bytes + info->index_bytes, b->size);
    if (damaged) {
        tsr_token_damage damage;
        ck_assert_int_eq(tsr_token_file_damage(file, 0, &damage), TSR_OK);
        ck_assert_msg(strstr(damage.detail, why) && !damage.attributes, "%s: %s", name,
                      damage.detail);
    }
    for (uint64_t i = 0; i < 3; ++i) {
        uint64_t index = 9;
        ck_assert_int_eq(tsr_token_file_find(file, surgery_items[i].key, &index), TSR_OK);
        ck_assert_uint_eq(index, i);
    }
    tsr_token_file_close(&file);
    tsr_bytes_free(b);
}

START_TEST(file_attributes) {
    static const char good[] = "\0\1\0\1a\1x", names[] = "\0\2\0\1b\1x\0\1a\1x";
    tsr_bytes b = file_with((pieces){.own = good, .own_bytes = sizeof good - 1});
    expect_open("own_good", &b, 0, false, 1, 0, "");
    b = file_with((pieces){.own = good, .own_bytes = sizeof good - 1});
    b.at[payload_at(&b, TSR_TESS_ATTR, 0)] ^= 1;
    expect_open("own_checksum", &b, 1, false, 0, 0, "attributes with a wrong checksum");
    b = file_with((pieces){.own = good, .own_bytes = sizeof good - 1});
    b.at[chunk_at(&b, TSR_TESS_ATTR, 0)] ^= 1;
    expect_open("own_chunk", &b, 1, true, 0, 0, "damaged bytes");
    b = file_with((pieces){.own = names, .own_bytes = sizeof names - 1});
    expect_open("own_names_fall", &b, 1, false, 0, 0, "belong to nothing before them");
    b = file_with((pieces){.own = names, .own_bytes = sizeof names - 1});
    b.size -= TSR_TESS_END_BYTES;
    expect_open("own_names_fall_without_index", &b, 1, true, 0, 0, "belong to nothing before them");
    b = file_with((pieces){.own = "\1\1\0\1a\1x", .own_bytes = 7});
    expect_open("own_of_an_item", &b, 1, false, 0, 0, "belong to nothing before them");
    /* Between items, where neither those of the file nor of an item belong. */
    b = good_file(false);
    uint64_t e[9];
    item_entries(&b, false, e);
    splice_chunk(&b, chunk_at(&b, TSR_TESS_ITEM, 1), TSR_TESS_ATTR, 0, good, sizeof good - 1);
    e[3] = TSR_TESS_CHUNK_BYTES + sizeof good - 1;
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    expect_open("own_between_items", &b, 1, false, 0, 0, "belong to nothing before them");
    /* Scanned, those of item 0 that stand before it are no one's. */
    b = file_with((pieces){.own = "\1\1\0\1a\1x", .own_bytes = 7});
    b.size -= TSR_TESS_END_BYTES;
    expect_open("own_of_an_item_without_index", &b, 1, true, 0, 0, "belong to nothing before them");
}
END_TEST

/* ---- the index of keys ------------------------------------------------------------------- */

/* The three records in order; `change` spoils them. */
static tsr_bytes file_with_keys(void (*change)(uint64_t *records), size_t bytes) {
    tsr_bytes b = good_file(false);
    uint64_t r[6], e[9];
    uint8_t payload[64] = {0};
    item_entries(&b, false, e);
    for (uint64_t i = 0; i < 3; ++i) {
        r[2 * i] = tsr_token_key_hash(surgery_items[i].key);
        r[2 * i + 1] = i;
    }
    for (int round = 0; round < 2; ++round)
        for (int i = 0; i < 2; ++i)
            if (r[2 * i] > r[2 * i + 2]) {
                const uint64_t hash = r[2 * i], item = r[2 * i + 1];
                r[2 * i] = r[2 * i + 2], r[2 * i + 1] = r[2 * i + 3];
                r[2 * i + 2] = hash, r[2 * i + 3] = item;
            }
    if (change) change(r);
    for (int i = 0; i < 6; ++i)
        tsr_set_u64(payload + 8 * i, r[i]);
    splice_chunk(&b, chunk_at(&b, TSR_TESS_INDX, 0), TSR_TESS_KEYS, 0, payload, bytes);
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    make_second_version(&b);
    return b;
}

static void swap_two(uint64_t *r) {
    const uint64_t hash = r[0], item = r[1];
    r[0] = r[2], r[1] = r[3], r[2] = hash, r[3] = item;
}
static void item_beyond(uint64_t *r) {
    r[3] = 3;
}
static void same_twice(uint64_t *r) {
    r[2] = r[0], r[3] = r[1];
}
static void others(uint64_t *r) {
    r[0] = 1, r[2] = 2, r[4] = 3;
}

START_TEST(keys) {
    static const char unfit[] = "an index of keys that does not fit";
    tsr_bytes b = file_with_keys(NULL, 48);
    expect_open("keys_good", &b, 0, false, 0, 1, "");
    b = file_with_keys(NULL, 32);
    expect_open("keys_too_few", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(NULL, 64);
    expect_open("keys_too_many", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(NULL, 47);
    expect_open("keys_cut", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(swap_two, 48);
    expect_open("keys_fall", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(item_beyond, 48);
    expect_open("keys_item_beyond", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(same_twice, 48);
    expect_open("keys_twice", &b, 1, false, 0, 0, unfit);
    b = file_with_keys(NULL, 48);
    b.at[payload_at(&b, TSR_TESS_KEYS, 0) + 20] ^= 1;
    expect_open("keys_checksum", &b, 1, false, 0, 0, "an index of keys with a wrong checksum");
    b = file_with_keys(NULL, 48);
    b.size -= TSR_TESS_END_BYTES; /* items have other numbers where some are lost */
    expect_open("keys_without_index", &b, 0, true, 0, 0, "");
    b = file_with_keys(NULL, 48);
    insert_chunk(&b, chunk_at(&b, TSR_TESS_INDX, 0), TSR_TESS_TYPE('N', 'E', 'W', '1'), 0);
    uint64_t e[9];
    item_entries(&b, false, e);
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    expect_open("keys_not_before_the_index", &b, 1, false, 0, 0, unfit);
    /* One that is well made and not true finds nothing, and never another item. */
    tsr_token_file *file;
    uint64_t index = 9;
    b = file_with_keys(others, 48);
    ck_assert_int_eq(tsr_token_file_parse(ctx, &file, "lie", b.at, b.size), TSR_OK);
    ck_assert_int_eq(tsr_token_file_find(file, "one.png", &index), TSR_ERROR_NOT_FOUND);
    ck_assert_uint_eq(index, 9);
    tsr_token_file_close(&file);
    tsr_bytes_free(&b);
}
END_TEST

/* ---- every bit --------------------------------------------------------------------------- */

START_TEST(every_bit_flipped) {
    static const tsr_attribute own[] = {{.name = "split", .bytes = "train", .size = 5}};
    static const tsr_attribute two[] = {{.name = "a", .bytes = "dog", .size = 3},
                                        {.name = "n", .type = TSR_ATTRIBUTE_INTEGER, .integer = 7}};
    const tsr_token_writer_settings settings = {.layer_tokens = _i ? 4 : 0, .key_index = 1};
    tsr_token_writer *writer;
    uint8_t *bytes;
    size_t size;
    ck_assert(!tsr_token_writer_open_memory(ctx, &writer, &surgery_header, &settings));
    ck_assert(!tsr_token_writer_attributes(writer, own, 1));
    for (int i = 0; i < 3; ++i) {
        tsr_token_item item = surgery_items[i];
        item.attributes = two;
        item.attribute_count = 2;
        ck_assert(!tsr_token_writer_add(writer, &item));
    }
    ck_assert(!tsr_token_writer_close_memory(&writer, &bytes, &size));
    for (size_t bit = 0; bit < size * 8; ++bit) {
        tsr_token_file *file;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!tsr_token_file_parse(ctx, &file, "flipped", bytes, size)) {
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            bool reported = info->recovered || info->damaged;
            uint32_t count;
            const tsr_attribute *list = tsr_token_file_attributes(file, &count);
            const bool own_right = !token_attributes_difference(list, count, own, 1);
            ck_assert_msg(own_right || (count == 0 && info->damaged), "bit %zu", bit);
            for (uint64_t i = 0; i < info->items; ++i) {
                tsr_token_item item;
                const bool bad = tsr_token_file_item(file, i, &item);
                const bool lost = tsr_token_file_item_lost(file, NULL);
                reported |= bad || lost;
                if (bad) continue;
                const bool right =
                    !token_attributes_difference(item.attributes, item.attribute_count, two, 2);
                ck_assert_msg(right || (item.attribute_count == 0 && (lost || info->damaged)),
                              "bit %zu, item %d", bit, (int)i);
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
    Suite *suite = suite_create("corrupt token attributes");
    TCase *tc = tcase_create("cases");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, item_attributes, 0, (int)(sizeof item_cases / sizeof *item_cases));
    tcase_add_test(tc, good_item_attributes);
    tcase_add_test(tc, attributes_above_the_limit);
    tcase_add_test(tc, file_attributes);
    tcase_add_test(tc, keys);
    tcase_add_loop_test(tc, every_bit_flipped, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
