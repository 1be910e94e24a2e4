/* SPDX-License-Identifier: MIT */
/* Any bytes as a weight file. Whatever opens must be consistent: every tensor findable by its name,
 * every byte of it readable, its size what its shape says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_safetensors *file = NULL;
    tsr_status status = tsr_safetensors_parse(ctx, "fuzz", data, size, &file);
    MUST((status == TSR_OK) == (file != NULL));
    if (!file) return;
    uint64_t bytes = 0;
    for (int i = 0; i < tsr_safetensors_count(file); ++i) {
        const tsr_tensor *t = tsr_safetensors_tensor(file, i);
        MUST(t->rank >= 1 && t->rank <= TSR_MAX_RANK && tsr_elements(t) >= 0);
        MUST(tsr_safetensors_find(file, tsr_safetensors_name(file, i)) == i);
        MUST((uintptr_t)t->data % tsr_dtype_bytes(t->dtype) == 0 || tsr_elements(t) == 0);
        bytes += (uint64_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
        tsr_safetensors_info info;
        tsr_safetensors_describe(file, i, &info);
        MUST(info.bytes == (uint64_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype));
        MUST(info.rank >= 0 && info.rank <= TSR_SAFETENSORS_MAX_RANK && info.dtype[0]);
    }
    MUST(bytes < size);
    for (int i = 0; i < tsr_safetensors_metadata_count(file); ++i) {
        const char *key, *value;
        tsr_safetensors_metadata_at(file, i, &key, &value);
        MUST(tsr_safetensors_metadata(file, key) == value);
    }
    /* From an odd address tensors are copied, which changes nothing about what they are. */
    uint8_t *moved = malloc(size + 1);
    tsr_safetensors *again = NULL;
    if (moved) {
        memcpy(moved + 1, data, size);
        status = tsr_safetensors_parse(ctx, "fuzz", moved + 1, size, &again);
        MUST(status == TSR_OK);
        uint64_t a = 0, b = 1; /* touches every byte */
        MUST(!tsr_safetensors_hash(ctx, file, &a) && !tsr_safetensors_hash(ctx, again, &b));
        MUST(a == b);
    }
    tsr_safetensors_close(&again);
    free(moved);
    tsr_safetensors_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    walk(ctx, data, size);
    alloc_fail_at(size % 16);
    tsr_safetensors *file = NULL;
    tsr_safetensors_parse(ctx, "fuzz", data, size, &file);
    tsr_safetensors_close(&file);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
