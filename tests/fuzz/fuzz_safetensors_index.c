/* SPDX-License-Identifier: MIT */
/* Any bytes as an index of weight files, in a folder with two of them. Whatever opens has every
 * tensor once, and nothing outside the folder was opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/tessera-fuzz-index-XXXXXX", path[128];

static void put(const char *name, const void *bytes, size_t size) {
    char where[128];
    snprintf(where, sizeof where, "%s/%s", folder, name);
    FILE *to = fopen(where, "wb");
    MUST(to && fwrite(bytes, 1, size, to) == size && fclose(to) == 0);
}

static void clean_up(void) {
    static const char *const names[] = {"a.safetensors", "b.safetensors", "x.index.json"};
    for (int i = 0; i < 3; ++i) {
        char where[128];
        snprintf(where, sizeof where, "%s/%s", folder, names[i]);
        unlink(where);
    }
    rmdir(folder);
}

static void put_tensor(const char *file, const char *name) {
    char bytes[160] = {0};
    const int n =
        snprintf(bytes + 8, sizeof bytes - 8,
                 "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", name);
    bytes[0] = (char)n;
    put(file, bytes, (size_t)n + 12);
}

static void make_folder(void) {
    MUST(mkdtemp(folder));
    put_tensor("a.safetensors", "a");
    put_tensor("b.safetensors", "b");
    snprintf(path, sizeof path, "%s/x.index.json", folder);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_safetensors *file = NULL;
    if (!path[0]) make_folder();
    put("x.index.json", data, size);
    if (tsr_context_open(&ctx, NULL)) return 0;
    const tsr_status status = tsr_safetensors_open(ctx, path, &file);
    MUST((status == TSR_OK) == (file != NULL));
    if (file) {
        uint64_t hash;
        const int count = tsr_safetensors_count(file);
        MUST(count == tsr_safetensors_file_count(file) && count >= 1 && count <= 2);
        for (int i = 0; i < count; ++i)
            MUST(tsr_safetensors_find(file, tsr_safetensors_name(file, i)) == i);
        MUST(tsr_safetensors_hash(ctx, file, &hash) == TSR_OK);
    }
    tsr_safetensors_close(&file);
    alloc_fail_at(size % 32);
    tsr_safetensors_open(ctx, path, &file);
    alloc_fail_at(-1);
    tsr_safetensors_close(&file);
    tsr_context_close(&ctx);
    return 0;
}
