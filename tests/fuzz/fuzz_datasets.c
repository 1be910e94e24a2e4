/* SPDX-License-Identifier: MIT */
/* Any bytes as a data set of another tool. The first byte chooses the format (behind the last one,
 * a vocabulary); where a format has several files, each but the last begins with its size, u16.
 * Every record that comes must keep what records promise, and become an item that a token file
 * takes. Archives are given once more with right checksums, or nothing would get behind them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "datasets/item_records.h"
#include "datasets/vocabulary.h"
#include "formats/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_FILES = 4, MOST_RECORDS = 200, CODES = 1024 };

/* Names of a format's files, the first of them opened. */
static const struct {
    const char *format, *open;
    const char *files[MOST_FILES];
} sets[] = {{"npy", "x.npy", {"x.npy"}},
            {"npz", "x.npz", {"x.npz"}},
            {"webdataset", "x.tar", {"x.tar"}},
            {"jsonl", "x.jsonl", {"x.jsonl"}},
            {"megatron", "x.idx", {"x.idx", "x.bin"}},
            {"mds", "index.json", {"index.json", "shard.00000.mds"}},
            {"datatrove", "x.ds", {"x.ds", "x.ds.index", "x.ds.metadata"}},
            {"safetensors", "x.safetensors", {"x.safetensors"}},
            {"llamagen", "c_codes/0.npy", {"c_codes/0.npy", "c_labels/0.npy", "c_codes/1.npy"}},
            {"llamagen-t2i", "t", {"t/0.npy", "t/1.npy"}},
            {"titok-jsonl", "x.jsonl", {"x.jsonl"}},
            {"liquid", "x.jsonl", {"x.jsonl"}}};
enum { SETS = sizeof sets / sizeof *sets };

static void look_at(const tsr_record *r) {
    MUST(r->rank >= 1 && r->rank <= TSR_RECORD_MAX_RANK && r->count <= TSR_TESS_MAX_IDS);
    MUST(tsr_shape_fits(r->shape, r->rank, r->count));
    for (uint64_t i = 0; i < r->count; ++i)
        MUST(r->ids[i] < CODES);
    MUST(!r->key ||
         (!tsr_token_key_problem(r->key) && tsr_utf8_valid(r->key, strlen(r->key), NULL)));
    for (uint32_t i = 0; i < r->attribute_count; ++i) {
        const tsr_attribute *a = &r->attributes[i];
        MUST(*a->name && strlen(a->name) < 256 && a->size <= TSR_MAX_ATTRIBUTE_BYTES);
        if (a->type == TSR_ATTRIBUTE_TEXT)
            MUST(tsr_utf8_valid(a->bytes, a->size, NULL) && !((const char *)a->bytes)[a->size]);
    }
}

/* A record as an item and back: the same ids and shape. */
static void keep(tsr_context *ctx, tsr_token_writer *writer, const tsr_token_header *header,
                 const tsr_record *r, tsr_record_item *item, tsr_item_record *back) {
    tsr_status s = tsr_record_to_item(ctx, "fuzz", header, r, 7, item);
    if (s) {
        MUST(s == TSR_ERROR_TOKENS || s == TSR_ERROR_MEMORY);
        return;
    }
    s = tsr_token_writer_add(writer, &item->item);
    MUST(!s || s == TSR_ERROR_MEMORY || s == TSR_ERROR_TOO_LARGE);
    if (tsr_item_to_record(ctx, "fuzz", header, &item->item, back)) return;
    const tsr_record *b = &back->record;
    MUST(b->count == r->count && b->rank == r->rank);
    MUST(!memcmp(b->shape, r->shape, sizeof *r->shape * (size_t)r->rank));
}

static void read_set(tsr_context *ctx, int set, const tsr_memory_folder *memory) {
    const tsr_dataset_format *f = tsr_dataset_format_find(sets[set].format);
    const tsr_dataset_columns *c = &f->columns;
#define NAME(column) c->column ? c->column : ""
    const tsr_dataset_input input = {
        ctx,    sets[set].open, "key",
        memory, CODES,          {NAME(ids), NAME(key), NAME(label), NAME(caption), NAME(shape)}};
    const tsr_token_header header = {.tokenizer = "fuzz",
                                     .codebook_size = CODES,
                                     .geometry = TSR_GEOMETRY_GRID,
                                     .rows = 1,
                                     .columns = 2,
                                     .tile_width = 16,
                                     .tile_height = 16,
                                     .fit = TSR_FIT_CROP};
    void *reader = NULL;
    tsr_status s = f->open(&input, &reader);
    MUST((s == TSR_OK) == (reader != NULL));
    if (s) return;
    tsr_token_writer *writer = NULL;
    tsr_record_memory memory_of = {0};
    tsr_record_item item = {0};
    tsr_item_record back = {0};
    bool end = false;
    for (int i = 0; !s && i < MOST_RECORDS; ++i) {
        memory_of.go_on = false;
        s = f->next(reader, &memory_of, &end);
        if (!s && end) break;
        if (!s) look_at(&memory_of.record);
        if (!s && !writer) s = tsr_token_writer_open_memory(ctx, &writer, &header, NULL);
        if (!s) keep(ctx, writer, &header, &memory_of.record, &item, &back);
        if (s && memory_of.go_on) s = TSR_OK;
    }
    tsr_record_item_free(&item);
    tsr_item_record_free(&back);
    tsr_record_free(&memory_of);
    tsr_token_writer_abandon(&writer);
    f->close(&reader);
}

/* Cuts the bytes into the files of a set. */
static void read_bytes(tsr_context *ctx, int set, const uint8_t *data, size_t size) {
    tsr_memory_file files[MOST_FILES];
    int count = 0;
    for (; count < MOST_FILES && sets[set].files[count]; ++count) {
        const bool last = count + 1 == MOST_FILES || !sets[set].files[count + 1];
        size_t n = size;
        if (!last) {
            if (size < 2) break;
            n = (size_t)data[0] | (size_t)data[1] << 8;
            data += 2;
            size -= 2;
            if (n > size) n = size;
        }
        files[count] = (tsr_memory_file){sets[set].files[count], data, n};
        data += n;
        size -= n;
    }
    read_set(ctx, set, &(tsr_memory_folder){files, count});
}

/* Gives every block that a member may begin with the checksum of a header. */
static void repair_tar(uint8_t *b, size_t size) {
    for (; size >= 512; b += 512, size -= 512) {
        unsigned sum = 8 * ' ';
        for (int i = 0; i < 512; ++i)
            sum += i < 148 || i >= 156 ? b[i] : 0;
        if (sum != 8 * ' ') snprintf((char *)b + 148, 8, "%06o", sum & 0777777);
        b[155] = sum != 8 * ' ' ? ' ' : 0;
    }
}

static void read_vocabulary(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_vocabulary v;
    const uint32_t ids[] = {0, 1, 2, 3};
    tsr_record r = {.ids = ids, .count = 4, .rank = 2, .shape = {2, 2}};
    if (!tsr_vocabulary_parse(ctx, "fuzz", data, size, &v) && v.codes > 3 &&
        !tsr_vocabulary_apply(ctx, &v, &r))
        for (uint64_t i = 0; i < r.count; ++i)
            MUST(r.ids[i] < v.numbers);
    tsr_vocabulary_free(&v);
}

static void give(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (!size || tsr_context_open(&ctx, NULL)) return;
    const int set = data[0] % (SETS + 1);
    if (set == SETS)
        read_vocabulary(ctx, data + 1, size - 1);
    else
        read_bytes(ctx, set, data + 1, size - 1);
    uint8_t *copy = set < SETS && !strcmp(sets[set].format, "webdataset") ? malloc(size) : NULL;
    if (copy) {
        memcpy(copy, data, size);
        repair_tar(copy + 1, size - 1);
        read_bytes(ctx, set, copy + 1, size - 1);
        free(copy);
    }
    tsr_context_close(&ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    give(data, size);
    alloc_fail_at((long)(size % 24));
    give(data, size);
    alloc_fail_at(-1);
    return 0;
}
