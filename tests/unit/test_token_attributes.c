/* SPDX-License-Identifier: MIT */
/* Attributes of items and files, the index of keys, and what a million items cost. */
#include "testing.h"
#include "token_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "formats/tokens/token_layout.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-token-attributes-XXXXXX";

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

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, call)                                                                          \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status), "wanted %s, got %s: %s", tsr_status_name(status),          \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
        ck_assert_msg(!strchr(tsr_detail(ctx), '\n') && *tsr_detail(ctx), "detail: \"%s\"",        \
                      tsr_detail(ctx));                                                            \
    } while (0)

static const tsr_token_header header = {.tokenizer = "t",
                                        .codebook_size = 1000,
                                        .rows = 1,
                                        .columns = 32,
                                        .nested = 1,
                                        .tile_width = 16,
                                        .tile_height = 16,
                                        .fit = TSR_FIT_CROP};
static uint32_t counts[1] = {32}, ids[32];

static tsr_token_item item_of(const char *key, const tsr_attribute *attributes, uint32_t count) {
    return (tsr_token_item){.key = key,
                            .source_width = 5,
                            .source_height = 6,
                            .orientation = 1,
                            .width = 5,
                            .height = 6,
                            .tile_columns = 1,
                            .tile_rows = 1,
                            .counts = counts,
                            .ids = ids,
                            .attributes = attributes,
                            .attribute_count = count};
}

#define TEXT(n, value)                                                                             \
    { .name = (n), .bytes = (value), .size = sizeof(value) - 1 }

static void expect_own(tsr_token_file *file, const tsr_attribute *want, uint32_t count) {
    uint32_t got_count = 99;
    const tsr_attribute *got = tsr_token_file_attributes(file, &got_count);
    const char *d = token_attributes_difference(got, got_count, want, count);
    ck_assert_msg(!d, "attributes of the file: %s", d);
}

/* ---- attributes ------------------------------------------------------------------------- */

START_TEST(attributes_of_a_file) {
    static const tsr_attribute first[] = {TEXT("gone", "x")};
    static const tsr_attribute own[] = {
        TEXT("split", "train"),
        {.name = "made", .type = TSR_ATTRIBUTE_INTEGER, .integer = INT64_MIN},
        {.name = "blob", .type = TSR_ATTRIBUTE_BYTES, .bytes = "\0\xff\0", .size = 3},
        {.name = "empty"}};
    for (int items = 0; items < 3; ++items) {
        tsr_token_writer *writer;
        tsr_token_file *file;
        uint8_t *bytes;
        size_t size;
        OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
        OK(tsr_token_writer_attributes(writer, first, 1));
        OK(tsr_token_writer_attributes(writer, own, 4));
        for (int i = 0; i < items; ++i) {
            const tsr_token_item item = item_of("k", own, (uint32_t)i);
            OK(tsr_token_writer_add(writer, &item));
            NOT(TSR_ERROR_STATE, tsr_token_writer_attributes(writer, own, 1));
        }
        OK(tsr_token_writer_close_memory(&writer, &bytes, &size));
        OK(tsr_token_file_parse(ctx, &file, "own", bytes, size));
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        ck_assert(!info->recovered && !info->damaged && info->version_minor == 2);
        ck_assert_uint_eq(info->header_bytes + info->payload_bytes + info->index_bytes, size);
        expect_own(file, own, 4);
        ck_assert_ptr_nonnull(tsr_token_file_attributes(file, NULL));
        tsr_token_file_close(&file);
        /* Without its index, too. */
        OK(tsr_token_file_parse(ctx, &file, "own", bytes, size - TSR_TESS_END_BYTES));
        expect_own(file, own, 4);
        ck_assert_uint_eq(tsr_token_file_properties(file)->items, (uint64_t)items);
        tsr_token_file_close(&file);
        free(bytes);
    }
}
END_TEST

/* None make a file of today, and taken away again they leave nothing. */
START_TEST(files_without_attributes_stay_as_they_were) {
    tsr_token_writer *writer;
    uint8_t *bytes[2];
    size_t size[2];
    static const tsr_attribute own[] = {TEXT("gone", "x")};
    for (int i = 0; i < 2; ++i) {
        const tsr_token_item item = item_of("k", NULL, 0);
        OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
        if (i) OK(tsr_token_writer_attributes(writer, own, 1));
        if (i) OK(tsr_token_writer_attributes(writer, NULL, 0));
        OK(tsr_token_writer_add(writer, &item));
        OK(tsr_token_writer_close_memory(&writer, &bytes[i], &size[i]));
    }
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(bytes[0], bytes[1], size[0]);
    ck_assert_uint_eq(tsr_get_u16(bytes[0] + 10), 0);
    free(bytes[0]);
    free(bytes[1]);
}
END_TEST

/* The version is that of the chunks, also when the first attributes come late. */
START_TEST(late_attributes) {
    static const tsr_attribute one[] = {TEXT("a", "x")};
    char path[256];
    for (int late = 0; late < 3; ++late) {
        tsr_token_writer *writer;
        tsr_token_file *file;
        OK(tsr_token_writer_open(ctx, &writer, in_folder(path, "late.tess"), &header, NULL));
        for (int i = 0; i < 2; ++i) {
            const tsr_token_item item = item_of("k", one, i == late);
            OK(tsr_token_writer_add(writer, &item));
        }
        OK(tsr_token_writer_close(&writer));
        OK(tsr_token_file_open(ctx, &file, path));
        ck_assert_uint_eq(tsr_token_file_properties(file)->version_minor, late < 2 ? 2 : 0);
        ck_assert_int_eq(tsr_token_file_properties(file)->recovered, 0);
        for (int i = 0; i < 2; ++i) {
            tsr_token_item item;
            OK(tsr_token_file_item(file, (uint64_t)i, &item));
            ck_assert_uint_eq(item.attribute_count, i == late);
        }
        tsr_token_file_close(&file);
    }
}
END_TEST

/* What went through a pipe cannot be corrected: the version says less, and nothing is lost. */
START_TEST(late_attributes_through_a_pipe) {
    static const tsr_attribute one[] = {TEXT("a", "x")};
    static uint8_t bytes[4096];
    char path[64];
    int pipes[2];
    tsr_token_writer *writer;
    tsr_token_file *file;
    tsr_token_item item;
    ck_assert_int_eq(pipe(pipes), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", pipes[1]);
    OK(tsr_token_writer_open(ctx, &writer, path, &header, NULL));
    for (uint32_t i = 0; i < 2; ++i) {
        item = item_of("k", one, i);
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close(&writer));
    close(pipes[1]);
    const ssize_t size = read(pipes[0], bytes, sizeof bytes);
    close(pipes[0]);
    ck_assert_int_gt(size, 0);
    OK(tsr_token_file_parse(ctx, &file, "piped", bytes, (size_t)size));
    ck_assert_uint_eq(tsr_token_file_properties(file)->version_minor, 0);
    ck_assert_int_eq(tsr_token_file_properties(file)->recovered, 0);
    OK(tsr_token_file_item(file, 1, &item));
    ck_assert(!token_attributes_difference(item.attributes, item.attribute_count, one, 1));
    tsr_token_file_close(&file);
    /* Damage to them costs them alone here, too. */
    size_t at = (size_t)size;
    while (memcmp(bytes + at, "ATTR", 4))
        --at;
    bytes[at + 9] ^= 1;
    OK(tsr_token_file_parse(ctx, &file, "piped", bytes, (size_t)size));
    OK(tsr_token_file_item(file, 1, &item));
    ck_assert_int_eq(tsr_token_file_item_lost(file, NULL), 1);
    tsr_token_file_close(&file);
}
END_TEST

START_TEST(bad_attributes_are_refused) {
    char name[300], *large = calloc(1, TSR_MAX_ATTRIBUTE_BYTES + 1);
    memset(name, 'n', sizeof name);
    name[256] = 0;
    ck_assert_ptr_nonnull(large);
    const tsr_attribute good = TEXT("a", "x");
    const struct {
        tsr_attribute attribute;
        const char *why;
    } bad[] = {
        {{.name = NULL}, "a name of 1..255 bytes, got 0"},
        {TEXT("", "x"), "a name of 1..255 bytes, got 0"},
        {{.name = name}, "a name of 1..255 bytes, got 256"},
        {TEXT("a\tb", "x"), "a name without control characters"},
        {TEXT("\x7f", "x"), "a name without control characters"},
        {TEXT("\xe4", "x"), "a name in UTF-8"},
        {TEXT("t", "\xc3("), "text in UTF-8"},
        {TEXT("a", "x"), "a name that no other attribute has, got 0"},
        {{.name = "b", .size = 1}, "the bytes of its value, not NULL"},
        {{.name = "b", .integer = 1}, "no integer beside text or bytes"},
        {{.name = "b", .type = TSR_ATTRIBUTE_INTEGER, .bytes = "x", .size = 1},
         "no bytes beside an integer"},
        {{.name = "b", .type = (tsr_attribute_type)3}, "type 0, 1 or 2, got 3"},
        {{.name = "b", .bytes = large, .size = TSR_MAX_ATTRIBUTE_BYTES + 1},
         "a value of at most 1048576 bytes, got 1048577"},
    };
    tsr_token_writer *writer;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        const tsr_attribute two[] = {good, bad[i].attribute};
        const tsr_token_item item = item_of("k", two, 2);
        NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_attributes(writer, two, 2));
        ck_assert_msg(strstr(tsr_detail(ctx), "the file: attribute 1: wanted") != NULL &&
                          strstr(tsr_detail(ctx), bad[i].why) != NULL,
                      "%zu: %s", i, tsr_detail(ctx));
        NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
        ck_assert_msg(strstr(tsr_detail(ctx), "item 0: attribute 1: wanted") != NULL, "%s",
                      tsr_detail(ctx));
    }
    tsr_token_item item = item_of("k", NULL, 1);
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
    item = item_of("k", &good, TSR_MAX_ATTRIBUTES + 1);
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
    /* 17 values of a MiB are too many, 15 are not; the writer goes on after all of that. */
    tsr_attribute many[17];
    for (int i = 0; i < 17; ++i)
        many[i] = (tsr_attribute){
            .name = &"abcdefghijklmnopq"[16 - i], .bytes = large, .size = TSR_MAX_ATTRIBUTE_BYTES};
    item = item_of("k", many, 17);
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_add(writer, &item));
    item = item_of("k", many, 15);
    OK(tsr_token_writer_add(writer, &item));
    tsr_token_writer_abandon(&writer);
    free(large);
}
END_TEST

/* ---- damage ----------------------------------------------------------------------------- */

typedef struct told {
    int attributes, others;
    uint64_t item;
} told;

static void note(void *user, const tsr_token_damage *damage) {
    told *t = user;
    ck_assert(damage->status && *damage->detail);
    *(damage->attributes ? &t->attributes : &t->others) += 1;
    t->item = damage->item;
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* Three items in two layers, each with two attributes; where the attributes of the middle one are.
 */
static uint8_t *three_items(size_t *size, size_t *at, size_t *end) {
    static const tsr_attribute two[] = {TEXT("label", "dog"),
                                        {"n", TSR_ATTRIBUTE_INTEGER, -5, NULL, 0}};
    const tsr_token_writer_settings settings = {.layer_tokens = 16, .key_index = 1};
    tsr_token_writer *writer;
    tsr_token_file *file;
    uint8_t *bytes;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, &settings));
    for (int i = 0; i < 3; ++i) {
        const tsr_token_item item = item_of(&"012"[i], two, 2);
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close_memory(&writer, &bytes, size));
    OK(tsr_token_file_parse(ctx, &file, "three", bytes, *size));
    *at = (size_t)tsr_token_file_item_offset(file, 1);
    *end = (size_t)tsr_token_file_item_offset(file, 2);
    while (memcmp(bytes + *at, "ATTR", 4))
        *at += TSR_TESS_CHUNK_BYTES + (size_t)tsr_get_u64(bytes + *at + 8);
    tsr_token_file_close(&file);
    return bytes;
}

START_TEST(damaged_attributes_cost_themselves) {
    char in[256], out[256];
    size_t size, at, end;
    uint8_t *bytes = three_items(&size, &at, &end);
    in_folder(in, "in.tess"), in_folder(out, "out.tess");
    for (int index = 1; index >= 0; --index)
        for (size_t i = at; i < end; ++i) {
            tsr_token_file *file;
            tsr_token_item item;
            tsr_token_damage damage = {0};
            const size_t n = index ? size : size - TSR_TESS_END_BYTES;
            bytes[i] ^= 0x11;
            OK(tsr_token_file_parse(ctx, &file, "lost", bytes, n));
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            ck_assert_uint_eq(info->items, 3);
            ck_assert_int_eq(info->recovered, !index);
            for (uint64_t k = 0; k < 3; ++k) {
                OK(tsr_token_file_item(file, k, &item));
                ck_assert_uint_eq(tsr_token_item_total(&item), 32);
                ck_assert_msg(item.attribute_count == (k == 1 ? 0 : 2), "byte %zu, item %d", i,
                              (int)k);
                const int lost = tsr_token_file_item_lost(file, &damage);
                ck_assert_int_eq(lost, index && k == 1);
                if (!lost) continue;
                ck_assert(damage.attributes && damage.item == 1 && damage.offset == at);
                ck_assert_ptr_nonnull(strstr(damage.detail, "attributes are left out"));
            }
            const int damaged = info->damaged;
            ck_assert(index ? damaged == 0 : damaged >= 1);
            tsr_token_file_close(&file);
            if (i % 7 == 0 || i == at) {
                told t = {0};
                tsr_token_cut_report report;
                write_bytes(in, bytes, n);
                NOT(TSR_ERROR_DAMAGED,
                    tsr_token_file_cut(
                        ctx, in, out,
                        &(tsr_token_cut_settings){.damaged = note, .damaged_user = &t}, &report));
                ck_assert_uint_eq(report.items, 3);
                ck_assert_uint_eq(report.lost, index ? 1 : 0);
                ck_assert_int_eq(t.attributes, index);
                ck_assert_int_eq(t.others, damaged);
            }
            bytes[i] ^= 0x11;
        }
    free(bytes);
}
END_TEST

/* A whole item whose second layer is gone still has its attributes. */
START_TEST(attributes_behind_a_lost_layer) {
    size_t size, at, end;
    uint8_t *bytes = three_items(&size, &at, &end);
    tsr_token_file *file;
    tsr_token_item item;
    bytes[at - 1] ^= 1; /* the end of the second layer */
    OK(tsr_token_file_parse(ctx, &file, "lost", bytes, size - TSR_TESS_END_BYTES));
    OK(tsr_token_file_item(file, 1, &item));
    ck_assert_uint_eq(tsr_token_item_total(&item), 16);
    ck_assert_uint_eq(item.attribute_count, 2);
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* ---- keys ------------------------------------------------------------------------------- */

static uint8_t *file_of_keys(char (*keys)[16], uint64_t count, int key_index, size_t *size) {
    const tsr_token_writer_settings settings = {.key_index = key_index};
    tsr_token_writer *writer;
    uint8_t *bytes;
    OK(tsr_token_writer_open_memory(ctx, &writer, &header, &settings));
    for (uint64_t i = 0; i < count; ++i) {
        const tsr_token_item item = item_of(keys[i], NULL, 0);
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close_memory(&writer, &bytes, size));
    return bytes;
}

START_TEST(keys_are_found) {
    enum { MOST = 3000 };
    static char keys[MOST][16];
    const uint64_t sizes[] = {0, 1, 2, 63, 64, 65, 129, MOST};
    for (size_t round = 0; round < sizeof sizes / sizeof *sizes; ++round) {
        const uint64_t count = sizes[round];
        for (uint64_t i = 0; i < count; ++i) /* about a third come again */
            snprintf(keys[i], sizeof keys[i], "k%d", (int)random_below((int64_t)count));
        for (int key_index = 0; key_index < 2; ++key_index) {
            size_t size;
            uint8_t *bytes = file_of_keys(keys, count, key_index, &size);
            tsr_token_file *file;
            OK(tsr_token_file_parse(ctx, &file, "keys", bytes, size));
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            ck_assert_int_eq(info->key_index, key_index);
            ck_assert_int_eq(info->recovered, 0);
            ck_assert_uint_eq(info->header_bytes + info->payload_bytes + info->index_bytes, size);
            for (uint64_t i = 0; i < count; i += key_index ? 1 : 1 + count / 50) {
                uint64_t index = 0, first = 0, found = 0, *all;
                while (strcmp(keys[first], keys[i]))
                    ++first;
                OK(tsr_token_file_find(file, keys[i], &index));
                ck_assert_uint_eq(index, first);
                const char *text = keys[i];
                OK(tsr_token_file_select(file, &text, 1, &all, &found));
                for (uint64_t k = 0, n = 0; k < count; ++k)
                    if (!strcmp(keys[k], keys[i])) ck_assert(n < found && all[n++] == k);
                free(all);
            }
            uint64_t untouched = 77;
            NOT(TSR_ERROR_NOT_FOUND, tsr_token_file_find(file, "k", &untouched));
            NOT(TSR_ERROR_NOT_FOUND, tsr_token_file_find(file, "", &untouched));
            ck_assert_uint_eq(untouched, 77);
            NOT(TSR_ERROR_ARGUMENT, tsr_token_file_find(file, NULL, &untouched));
            tsr_token_file_close(&file);
            free(bytes);
        }
    }
}
END_TEST

/* A damaged index of keys is damage, and finding goes on without it. */
START_TEST(damaged_keys) {
    static char keys[100][16];
    size_t size;
    for (int i = 0; i < 100; ++i)
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    uint8_t *bytes = file_of_keys(keys, 100, 1, &size);
    tsr_token_file *file;
    OK(tsr_token_file_parse(ctx, &file, "keys", bytes, size));
    const size_t at = size - (size_t)tsr_token_file_properties(file)->index_bytes;
    ck_assert(!memcmp(bytes + at, "KEYS", 4));
    tsr_token_file_close(&file);
    for (size_t i = at; i < at + TSR_TESS_CHUNK_BYTES + 1600; i += 1 + i % 13) {
        uint64_t index = 0;
        bytes[i] ^= 0x20;
        OK(tsr_token_file_parse(ctx, &file, "keys", bytes, size));
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        ck_assert(info->damaged == 1 && info->key_index == 0 && info->items == 100);
        OK(tsr_token_file_find(file, "k99", &index));
        ck_assert_uint_eq(index, 99);
        tsr_token_file_close(&file);
        bytes[i] ^= 0x20;
    }
    free(bytes);
}
END_TEST

/* A copy has what the original had. */
START_TEST(cut_keeps_attributes_and_keys) {
    static const tsr_attribute own[] = {TEXT("split", "train")};
    static const tsr_attribute two[] = {TEXT("z", "dog"), TEXT("a", "cat")};
    const tsr_token_writer_settings settings = {.key_index = 1};
    char in[256], out[256];
    tsr_token_writer *writer;
    tsr_token_file *file;
    tsr_token_item item;
    OK(tsr_token_writer_open(ctx, &writer, in_folder(in, "in.tess"), &header, &settings));
    OK(tsr_token_writer_attributes(writer, own, 1));
    for (int i = 0; i < 3; ++i) {
        item = item_of(&"012"[i], two, (uint32_t)i);
        OK(tsr_token_writer_add(writer, &item));
    }
    OK(tsr_token_writer_close(&writer));
    const char *last = "1-2";
    const tsr_token_cut_settings cut = {.tokens = 3, .items = &last, .item_count = 1};
    OK(tsr_token_file_cut(ctx, in, in_folder(out, "out.tess"), &cut, NULL));
    OK(tsr_token_file_open(ctx, &file, out));
    expect_own(file, own, 1);
    ck_assert_int_eq(tsr_token_file_properties(file)->key_index, 1);
    uint64_t index = 9;
    OK(tsr_token_file_find(file, "2", &index));
    ck_assert_uint_eq(index, 1);
    OK(tsr_token_file_item(file, 1, &item));
    ck_assert(!token_attributes_difference(item.attributes, item.attribute_count, two, 2));
    ck_assert_uint_eq(tsr_token_item_total(&item), 3);
    tsr_token_file_close(&file);
}
END_TEST

/* ---- a million items -------------------------------------------------------------------- */

typedef struct million {
    char key[32];
    tsr_attribute two[2];
    tsr_token_item item;
} million;

/* Item `i` of the file. */
static void million_item(million *m, uint64_t i) {
    snprintf(m->key, sizeof m->key, "%llu.png", (unsigned long long)i);
    m->two[0] = (tsr_attribute)TEXT("label", "dog");
    m->two[1] = (tsr_attribute){"n", TSR_ATTRIBUTE_INTEGER, (int64_t)i, NULL, 0};
    m->item = item_of(m->key, m->two, 2);
}

static int write_million(const char *path, uint64_t items) {
    const tsr_token_writer_settings settings = {.key_index = 1};
    tsr_token_writer *writer;
    million m;
    if (tsr_token_writer_open(ctx, &writer, path, &header, &settings)) return 1;
    for (uint64_t i = 0; i < items; ++i) {
        million_item(&m, i);
        if (tsr_token_writer_add(writer, &m.item)) return 2;
    }
    return tsr_token_writer_close(&writer) ? 3 : 0;
}

static int look_at_million(tsr_token_file *file, uint64_t i) {
    tsr_token_item got;
    million m;
    million_item(&m, i);
    if (tsr_token_file_item(file, i, &got) || strcmp(got.key, m.key)) return 4;
    return got.attribute_count == 2 && got.attributes[1].integer == (int64_t)i ? 0 : 5;
}

/* Writes a file, or reads it from one end to the other, in a process of its own, whose greatest
 * memory in bytes is the answer. */
static int64_t peak_of(const char *path, uint64_t items, bool writing) {
    int pipes[2];
    int64_t peak = -1;
    ck_assert_int_eq(pipe(pipes), 0);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        tsr_token_file *file = NULL;
        int bad = writing                                 ? write_million(path, items)
                  : tsr_token_file_open(ctx, &file, path) ? 6
                                                          : 0;
        for (uint64_t i = 0; i < items && file && !bad; ++i)
            bad = look_at_million(file, i);
        struct rusage use;
        if (bad || getrusage(RUSAGE_SELF, &use)) _exit(bad ? bad : 7);
        peak = (int64_t)use.ru_maxrss * 1024;
        _exit(write(pipes[1], &peak, sizeof peak) == sizeof peak ? 0 : 8);
    }
    int status;
    close(pipes[1]);
    const ssize_t got = read(pipes[0], &peak, sizeof peak);
    close(pipes[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %x", (unsigned)status);
    ck_assert_int_eq(got, sizeof peak);
    return peak;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FEW = 20000, MANY = 60000, GROWTH = 1 << 30 }; /* their own memory grows */
#else
enum { FEW = 200000, MANY = 1000000, GROWTH = 8 << 20 };
#endif

START_TEST(a_million_items) {
    char few[256], many[256];
    in_folder(few, "few.tess"), in_folder(many, "many.tess");
    const int64_t writing = peak_of(few, FEW, true), reading = peak_of(few, FEW, false);
    const int64_t more_writing = peak_of(many, MANY, true),
                  more_reading = peak_of(many, MANY, false);
    printf("peak KiB of %d and %d items: writing %d, %d; reading %d, %d\n", FEW, MANY,
           (int)(writing / 1024), (int)(more_writing / 1024), (int)(reading / 1024),
           (int)(more_reading / 1024));
    ck_assert_int_lt(more_writing - writing, GROWTH);
    ck_assert_int_lt(more_reading - reading, GROWTH);
    /* Any item, from any other, and by its key. */
    tsr_token_file *file;
    OK(tsr_token_file_open(ctx, &file, many));
    for (int i = 0; i < 2000; ++i) {
        const uint64_t n = (uint64_t)random_below(MANY);
        uint64_t index = 0;
        million m;
        million_item(&m, (uint64_t)random_below(MANY));
        ck_assert_int_eq(look_at_million(file, n), 0);
        OK(tsr_token_file_find(file, m.key, &index));
        ck_assert_int_eq((int64_t)index, m.two[1].integer);
    }
    tsr_token_file_close(&file);
}
END_TEST

int main(void) {
    test_seed();
    const TTest *const tests[] = {attributes_of_a_file,
                                  files_without_attributes_stay_as_they_were,
                                  late_attributes,
                                  late_attributes_through_a_pipe,
                                  bad_attributes_are_refused,
                                  damaged_attributes_cost_themselves,
                                  attributes_behind_a_lost_layer,
                                  keys_are_found,
                                  damaged_keys,
                                  cut_keeps_attributes_and_keys,
                                  a_million_items};
    Suite *suite = suite_create("token attributes");
    TCase *tc = tcase_create("attributes and keys");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
