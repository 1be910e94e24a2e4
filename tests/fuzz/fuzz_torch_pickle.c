/* SPDX-License-Identifier: MIT */
/* Any bytes as a checkpoint, and any bytes as the pickle of an otherwise sound zip checkpoint (or
 * its checksum would keep the fuzzer out). Every tensor that is listed must be copyable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/weights/torch_choice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_torch *file = NULL;
    tsr_status status = tsr_torch_parse(ctx, "fuzz", data, size, &file);
    MUST((status == TSR_OK) == (file != NULL));
    uint64_t total = 0;
    for (int i = 0; file && i < tsr_torch_count(file); ++i) {
        const tsr_torch_tensor *t = tsr_torch_at(file, i);
        uint64_t bytes = t->elements * t->element_bytes;
        MUST(t->rank >= 0 && t->rank <= TSR_TORCH_MAX_RANK && t->path[0]);
        total += bytes;
        MUST(total <= size * 64 + (1 << 20));
        void *copy = malloc(bytes ? bytes : 1);
        if (copy) tsr_torch_copy(t, copy);
        free(copy);
        tsr_torch_check(ctx, file, i);
    }
    tsr_torch_choice choice;
    const char *first;
    if (file) {
        tsr_torch_choose(file, &choice);
        MUST(choice.keys >= 0 && strlen(choice.path) < sizeof choice.path &&
             tsr_torch_layout(file));
        MUST((tsr_torch_passed_over(file, &first) > 0) == (first[0] != 0));
    }
    tsr_torch_close(&file);
}

static uint32_t crc32_of(const uint8_t *p, size_t size) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; ++i) {
        crc ^= p[i];
        for (int k = 0; k < 8; ++k)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static uint8_t *put(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
        *to++ = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    return to;
}

/* A zip of a/data.pkl and the records a/data/0 (64 bytes) and a/data/1 (7 bytes). */
static size_t make_zip(const uint8_t *pickle, size_t size, uint8_t *zip) {
    static const uint8_t record[64] = {1, 2, 3};
    const struct {
        const char *name;
        const uint8_t *bytes;
        size_t size;
    } entry[3] = {{"a/data.pkl", pickle, size}, {"a/data/0", record, 64}, {"a/data/1", record, 7}};
    uint8_t *at = zip;
    size_t begin[3];
    for (int i = 0; i < 3; ++i) {
        size_t length = strlen(entry[i].name);
        begin[i] = (size_t)(at - zip);
        at = put(put(at, 0x04034b50, 4), 0, 10);
        at = put(at, crc32_of(entry[i].bytes, entry[i].size), 4);
        at = put(put(at, entry[i].size, 4), entry[i].size, 4);
        at = put(put(at, length, 2), 0, 2);
        memcpy(at, entry[i].name, length);
        at += length;
        if (entry[i].size) memcpy(at, entry[i].bytes, entry[i].size);
        at += entry[i].size;
    }
    size_t directory = (size_t)(at - zip);
    for (int i = 0; i < 3; ++i) {
        size_t length = strlen(entry[i].name);
        at = put(put(at, 0x02014b50, 4), 0, 12);
        at = put(at, crc32_of(entry[i].bytes, entry[i].size), 4);
        at = put(put(at, entry[i].size, 4), entry[i].size, 4);
        at = put(put(put(at, length, 2), 0, 12), begin[i], 4);
        memcpy(at, entry[i].name, length);
        at += length;
    }
    size_t end = (size_t)(at - zip);
    at = put(put(put(put(at, 0x06054b50, 4), 0, 4), 3, 2), 3, 2);
    at = put(put(put(at, end - directory, 4), directory, 4), 0, 2);
    return (size_t)(at - zip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    walk(ctx, data, size);
    uint8_t *zip = malloc(size + 512);
    if (zip) walk(ctx, zip, make_zip(data, size, zip));
    alloc_fail_at(size % 32);
    tsr_torch *file = NULL;
    tsr_torch_parse(ctx, "fuzz", data, size, &file);
    tsr_torch_close(&file);
    alloc_fail_at(-1);
    free(zip);
    tsr_context_close(&ctx);
    return 0;
}
