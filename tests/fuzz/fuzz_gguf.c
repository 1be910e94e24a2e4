/* SPDX-License-Identifier: MIT */
/* Any bytes as a GGUF file. Whatever opens must be consistent: every key, piece and tensor
 * findable, every row of a readable tensor within the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "runner/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_keys(const tsr_gguf *file) {
    for (int i = 0; i < tsr_gguf_key_count(file); ++i) {
        const char *name = tsr_gguf_key_name(file, i);
        uint64_t count;
        tsr_gguf_type element;
        const tsr_gguf_type type = tsr_gguf_key_type(file, i, &count, &element);
        uint32_t whole;
        float real;
        size_t length;
        MUST(name[0] && type <= TSR_GGUF_F64 && element != TSR_GGUF_LIST);
        const char *text = tsr_gguf_text(file, name, &length);
        MUST((text != NULL) == (type == TSR_GGUF_TEXT) && (!text || !text[length]));
        const bool is_whole = tsr_gguf_u32(file, name, &whole);
        const bool is_real = tsr_gguf_f32(file, name, &real);
        MUST(!(is_whole && is_real) && (!is_real || real - real == 0));
    }
    uint32_t any;
    tsr_gguf_model_u32(file, "context_length", &any);
}

static void walk(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_gguf *file = NULL;
    tsr_status status = tsr_gguf_parse(ctx, "fuzz", data, size, &file);
    MUST((status == TSR_OK) == (file != NULL));
    MUST(file || tsr_detail(ctx)[0]);
    if (!file) return;
    MUST(tsr_gguf_version(file) == 2 || tsr_gguf_version(file) == 3);
    walk_keys(file);
    for (int32_t id = 0; id < tsr_gguf_n_vocab(file); ++id) {
        size_t length;
        const char *piece = tsr_gguf_piece(file, id, &length);
        MUST(piece && !piece[length]);
        tsr_gguf_piece_type_of(file, id);
        if (strlen(piece) == length && id < 64) MUST(tsr_gguf_piece_id(file, piece) <= id);
    }
    MUST(!tsr_gguf_piece(file, tsr_gguf_n_vocab(file), NULL) && !tsr_gguf_piece(file, -1, NULL));
    for (int i = 0; i < tsr_gguf_tensor_count(file); ++i) {
        const tsr_gguf_tensor *t = tsr_gguf_tensor_at(file, i);
        MUST(tsr_gguf_find(file, t->name) == t && t->rank <= TSR_GGUF_MAX_RANK);
        MUST(t->bytes <= size && (!t->bytes || t->offset + t->bytes <= size));
        if (!t->bytes || t->dim[0] > 4096) continue;
        const uint64_t width = t->type == TSR_GGUF_TENSOR_F32 ? 4 : 2;
        const int64_t rows = (int64_t)(t->bytes / ((uint64_t)t->dim[0] * width));
        float values[4096];
        status = rows ? tsr_gguf_rows(ctx, file, t, rows - 1, 1, values) : TSR_OK;
        MUST(status == TSR_OK || status == TSR_ERROR_UNSUPPORTED || status == TSR_ERROR_ARGUMENT);
        MUST(tsr_gguf_rows(ctx, file, t, rows, 1, values) != TSR_OK);
    }
    tsr_gguf_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    walk(ctx, data, size);
    alloc_fail_at(size % 32);
    tsr_gguf *file = NULL;
    tsr_gguf_parse(ctx, "fuzz", data, size, &file);
    tsr_gguf_close(&file);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
