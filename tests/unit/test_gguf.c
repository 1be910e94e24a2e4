/* SPDX-License-Identifier: MIT */
/* test_gguf.c: the rules of the format one by one, a file cut at every byte, hostile sizes, the
 * vocabulary and the rows of a model made by rule. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compute/tensor.h"
#include "formats/hash.h"
#include "gguf_sample.h"
#include "runner/gguf.h"
#include "testing.h"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* Parses, closes and frees; the detail text stays in the context. */
static tsr_status parse(gguf_bytes *b) {
    tsr_gguf *file = NULL;
    tsr_status status = tsr_gguf_parse(ctx, "m", b->at, b->size, &file);
    ck_assert_int_eq(status == TSR_OK, file != NULL);
    tsr_gguf_close(&file);
    ck_assert_ptr_null(file);
    free(b->at);
    *b = (gguf_bytes){0};
    return status;
}

static void refused(gguf_bytes *b, tsr_status wanted, const char *word) {
    tsr_status status = parse(b);
    ck_assert_msg(status == wanted && strstr(tsr_detail(ctx), word), "%s: %s",
                  tsr_status_name(status), tsr_detail(ctx));
    ck_assert_msg(strncmp(tsr_detail(ctx), "m: ", 3) == 0, "%s", tsr_detail(ctx));
}

/* One key of each type, a vocabulary of three, three tensors. */
static gguf_bytes whole_file(void) {
    gguf_bytes b = {0};
    gguf_begin(&b, 3, 10);
    gguf_key_text(&b, "general.architecture", "tiny");
    gguf_key_u32(&b, "tiny.context_length", 4000000000u);
    gguf_key_u32(&b, "general.alignment", 64);
    gguf_key_i32(&b, "negative", -1);
    gguf_key_f32(&b, "real", 0.25f);
    gguf_key_f32(&b, "infinite", INFINITY);
    gguf_key_bool(&b, "flag", 1);
    gguf_key_list(&b, "tokenizer.ggml.tokens", 8, 3);
    gguf_text(&b, "<unk>");
    gguf_text(&b, "");
    gguf_u64(&b, 3);
    gguf_put(&b, "a\0b", 3);
    gguf_key_list(&b, "tokenizer.ggml.token_type", 5, 3);
    gguf_u32(&b, 2);
    gguf_u32(&b, 3);
    gguf_u32(&b, 6);
    gguf_key_list(&b, "wide", 11, 1);
    gguf_u64(&b, 5);
    gguf_tensor(&b, "half", 3, 2, TSR_GGUF_TENSOR_F16, 0);
    gguf_tensor(&b, "brain", 2, 0, TSR_GGUF_TENSOR_BF16, 64);
    gguf_tensor(&b, "single", 1, 2, TSR_GGUF_TENSOR_F32, 128);
    gguf_pad(&b, 64);
    for (int i = 0; i < 6; ++i) {
        const uint16_t h = tsr_f32_to_f16((float)i - 2.5f);
        gguf_put(&b, &h, 2);
    }
    gguf_pad(&b, 64);
    gguf_u32(&b, 0xC0403F80u); /* 1, -3 as bfloat16 */
    gguf_pad(&b, 64);
    gguf_f32(&b, 7);
    gguf_f32(&b, -9);
    return b;
}

static void look_at_keys(const tsr_gguf *f) {
    uint32_t whole = 0;
    float real = 0;
    size_t size = 0;
    uint64_t count = 0;
    tsr_gguf_type element;
    ck_assert_uint_eq(tsr_gguf_version(f), 3);
    ck_assert_int_eq(tsr_gguf_key_count(f), 10);
    ck_assert_str_eq(tsr_gguf_key_name(f, 1), "tiny.context_length");
    ck_assert_int_eq(tsr_gguf_key_type(f, 9, &count, &element), TSR_GGUF_LIST);
    ck_assert(count == 1 && element == TSR_GGUF_I64);
    ck_assert_int_eq(tsr_gguf_key_type(f, 6, &count, &element), TSR_GGUF_BOOL);
    ck_assert(tsr_gguf_model_u32(f, "context_length", &whole) && whole == 4000000000u);
    ck_assert(!tsr_gguf_model_u32(f, "embedding_length", &whole));
    ck_assert(tsr_gguf_u32(f, "flag", &whole) && whole == 1);
    ck_assert(!tsr_gguf_u32(f, "negative", &whole) && !tsr_gguf_u32(f, "real", &whole));
    ck_assert(!tsr_gguf_u32(f, "absent", &whole) && !tsr_gguf_u32(f, "wide", &whole));
    ck_assert(tsr_gguf_f32(f, "real", &real) && real == 0.25f);
    ck_assert(!tsr_gguf_f32(f, "infinite", &real) && !tsr_gguf_f32(f, "flag", &real));
    ck_assert_str_eq(tsr_gguf_text(f, "general.architecture", &size), "tiny");
    ck_assert_uint_eq(size, 4);
    ck_assert_ptr_null(tsr_gguf_text(f, "real", &size));
    ck_assert_int_eq(tsr_gguf_n_vocab(f), 3);
    ck_assert_str_eq(tsr_gguf_piece(f, 0, &size), "<unk>");
    ck_assert_str_eq(tsr_gguf_piece(f, 1, &size), "");
    ck_assert_int_eq(memcmp(tsr_gguf_piece(f, 2, &size), "a\0b", 4), 0);
    ck_assert_uint_eq(size, 3);
    ck_assert(!tsr_gguf_piece(f, 3, NULL) && !tsr_gguf_piece(f, -1, NULL));
    ck_assert_int_eq(tsr_gguf_piece_type_of(f, 2), TSR_GGUF_PIECE_BYTE);
    ck_assert_int_eq(tsr_gguf_piece_type_of(f, 3), TSR_GGUF_PIECE_UNDEFINED);
    ck_assert_int_eq(tsr_gguf_piece_id(f, "<unk>"), 0);
    ck_assert_int_eq(tsr_gguf_piece_id(f, "a"), -1); /* not the one with a zero inside */
}

START_TEST(everything_is_read) {
    open_context();
    gguf_bytes b = whole_file();
    tsr_gguf *f = NULL;
    ck_assert_msg(tsr_gguf_parse(ctx, "m", b.at, b.size, &f) == TSR_OK, "%s", tsr_detail(ctx));
    look_at_keys(f);
    ck_assert_int_eq(tsr_gguf_tensor_count(f), 3);
    const tsr_gguf_tensor *half = tsr_gguf_find(f, "half"), *brain = tsr_gguf_find(f, "brain");
    const tsr_gguf_tensor *single = tsr_gguf_find(f, "single");
    ck_assert(half == tsr_gguf_tensor_at(f, 0) && !tsr_gguf_find(f, "hal"));
    ck_assert(half->rank == 2 && half->dim[0] == 3 && half->dim[1] == 2 && half->dim[2] == 1);
    ck_assert(half->bytes == 12 && brain->bytes == 4 && single->bytes == 8);
    float values[6];
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, half, 0, 2, values), TSR_OK);
    for (int i = 0; i < 6; ++i)
        ck_assert(values[i] == (float)i - 2.5f);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, half, 1, 1, values), TSR_OK);
    ck_assert(values[0] == 0.5f && values[2] == 2.5f);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, brain, 0, 1, values), TSR_OK);
    ck_assert(values[0] == 1 && values[1] == -3);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, single, 1, 1, values), TSR_OK);
    ck_assert(values[0] == -9);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, single, 2, 0, values), TSR_OK);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, single, 1, 2, values), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_gguf_rows(ctx, f, single, -1, 1, values), TSR_ERROR_ARGUMENT);
    tsr_gguf_close(&f);
    free(b.at);
    tsr_context_close(&ctx);
}
END_TEST

/* Whatever the place of the cut, the file is refused as cut: tensors end with the last byte. */
START_TEST(cut_at_every_byte) {
    open_context();
    gguf_bytes b = whole_file();
    for (size_t size = 0; size < b.size; ++size) {
        uint8_t *cut = malloc(size ? size : 1); /* of that size: a sanitizer sees one byte more */
        memcpy(cut, b.at, size);
        tsr_gguf *f = NULL;
        const tsr_status status = tsr_gguf_parse(ctx, "m", cut, size, &f);
        ck_assert_msg(status == TSR_ERROR_TRUNCATED, "%zu: %s: %s", size, tsr_status_name(status),
                      tsr_detail(ctx));
        ck_assert_ptr_null(f);
        free(cut);
    }
    free(b.at);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(hostile_headers) {
    open_context();
    gguf_bytes b = {0};
    gguf_put(&b, "GGML\3\0\0\0", 8);
    refused(&b, TSR_ERROR_FORMAT, "wanted a GGUF file");
    gguf_put(&b, "GGUF\1\0\0\0", 8);
    refused(&b, TSR_ERROR_VERSION, "wanted 2 or 3, got 1");
    gguf_put(&b, "GGUF\0\0\0\3", 8);
    refused(&b, TSR_ERROR_VERSION, "big-endian");
    gguf_begin(&b, UINT64_MAX, 0);
    refused(&b, TSR_ERROR_TOO_LARGE, "tensors");
    gguf_begin(&b, 0, 1u << 20);
    refused(&b, TSR_ERROR_TOO_LARGE, "keys");
    gguf_begin(&b, 1000, 0);
    refused(&b, TSR_ERROR_TRUNCATED, "1000 tensors");
    gguf_begin(&b, 0, 1);
    gguf_u64(&b, UINT64_MAX);
    gguf_put(&b, "0123456789", 10);
    refused(&b, TSR_ERROR_FORMAT, "name of 1 to 65535");
    gguf_begin(&b, 0, 1);
    gguf_key_u32(&b, "", 1);
    refused(&b, TSR_ERROR_FORMAT, "got 0");
    gguf_begin(&b, 0, 1);
    gguf_key_u32(&b, "a\nb", 1);
    refused(&b, TSR_ERROR_FORMAT, "control bytes, got 0x0a");
    gguf_begin(&b, 0, 2);
    gguf_key_u32(&b, "same", 1);
    gguf_key_u32(&b, "same", 1);
    refused(&b, TSR_ERROR_FORMAT, "key same: wanted once");
    gguf_begin(&b, 0, 1);
    gguf_text(&b, "type");
    gguf_u32(&b, 13);
    gguf_u64(&b, 0);
    refused(&b, TSR_ERROR_FORMAT, "key type: type: wanted 0 to 12, got 13");
    gguf_begin(&b, 0, 1);
    gguf_text(&b, "text");
    gguf_u32(&b, 8);
    gguf_u64(&b, (uint64_t)1 << 62);
    refused(&b, TSR_ERROR_TRUNCATED, "key text");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(hostile_lists) {
    open_context();
    gguf_bytes b = {0};
    const uint64_t huge[] = {UINT64_MAX, (uint64_t)1 << 61, (uint64_t)1 << 32, 3};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; ++i)
        for (uint32_t element = 0; element <= 12; ++element) {
            gguf_begin(&b, 0, 1);
            gguf_key_list(&b, "list", element, huge[i]);
            if (element == 9)
                refused(&b, TSR_ERROR_FORMAT, "a list of lists");
            else
                refused(&b, TSR_ERROR_TRUNCATED, "key list");
        }
    gguf_begin(&b, 0, 1);
    gguf_key_list(&b, "list", 8, 2); /* the second text says more than there is */
    gguf_text(&b, "first");
    gguf_u64(&b, UINT64_MAX - 4);
    refused(&b, TSR_ERROR_TRUNCATED, "text 1");
    gguf_begin(&b, 0, 1);
    gguf_key_text(&b, "tokenizer.ggml.tokens", "no list");
    refused(&b, TSR_ERROR_FORMAT, "tokenizer.ggml.tokens");
    gguf_begin(&b, 0, 2);
    gguf_key_list(&b, "tokenizer.ggml.tokens", 8, 1);
    gguf_text(&b, "a");
    gguf_key_list(&b, "tokenizer.ggml.token_type", 5, 2);
    gguf_u64(&b, 0);
    refused(&b, TSR_ERROR_FORMAT, "token_type: wanted a list of 1 I32");
    tsr_context_close(&ctx);
}
END_TEST

static void one_tensor(gguf_bytes *b, uint64_t cols, uint64_t rows, uint32_t type,
                       uint64_t offset) {
    gguf_begin(b, 1, 0);
    gguf_tensor(b, "t", cols, rows, type, offset);
    gguf_pad(b, 32);
}

START_TEST(hostile_tensors) {
    open_context();
    gguf_bytes b = {0};
    one_tensor(&b, 1, 1, 0, 0);
    refused(&b, TSR_ERROR_TRUNCATED, "tensor t: wanted 4 bytes");
    one_tensor(&b, 1, 1, 0, 32);
    refused(&b, TSR_ERROR_FORMAT, "offset: wanted 0, got 32");
    one_tensor(&b, (uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0);
    refused(&b, TSR_ERROR_FORMAT, "overflow");
    one_tensor(&b, (uint64_t)1 << 63, 1, 0, 0);
    refused(&b, TSR_ERROR_FORMAT, "below 2^63");
    one_tensor(&b, 33, 1, 8, 0);
    refused(&b, TSR_ERROR_FORMAT, "a multiple of 32 values, got 33");
    one_tensor(&b, 0, (uint64_t)1 << 40, 0, 0); /* nothing, however many rows */
    ck_assert_int_eq(parse(&b), TSR_OK);
    gguf_begin(&b, 1, 0);
    gguf_text(&b, "t");
    gguf_u32(&b, 5);
    gguf_u64(&b, 0);
    gguf_u64(&b, 0);
    refused(&b, TSR_ERROR_FORMAT, "at most 4 dimensions, got 5");
    gguf_begin(&b, 2, 0);
    gguf_tensor(&b, "t", 0, 0, 0, 0);
    gguf_tensor(&b, "t", 0, 0, 0, 0);
    refused(&b, TSR_ERROR_FORMAT, "tensor t: wanted once");
    gguf_begin(&b, 1, 0);
    gguf_tensor(&b, "0123456789012345678901234567890123456789012345678901234567890123", 1, 0, 0, 0);
    refused(&b, TSR_ERROR_FORMAT, "name of 1 to 63");
    const uint32_t alignments[] = {0, 3, 1u << 21};
    for (int i = 0; i < 3; ++i) {
        gguf_begin(&b, 0, 1);
        gguf_key_u32(&b, "general.alignment", alignments[i]);
        refused(&b, TSR_ERROR_FORMAT, "power of two");
    }
    /* A type of unknown size is described; what follows must still be aligned. */
    gguf_begin(&b, 2, 0);
    gguf_tensor(&b, "new", 8, 0, 99, 0);
    gguf_tensor(&b, "t", 1, 0, 0, 33);
    gguf_pad(&b, 32);
    gguf_pad(&b, 128);
    refused(&b, TSR_ERROR_FORMAT, "a multiple of 32, got 33");
    tsr_context_close(&ctx);
}
END_TEST

/* The generator's bytes do not change unnoticed: files that people made stay what they are. */
START_TEST(model_by_rule) {
    open_context();
    char path[] = "/tmp/tessera_gguf_XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (int large = 0; large < 2; ++large) {
        const gguf_sample s = large ? gguf_sample_large() : gguf_sample_small();
        gguf_bytes b = gguf_sample_make(&s);
        ck_assert_uint_eq(tsr_hash64(b.at, b.size, 0),
                          large ? 0x09D291D7B90A6911u : 0x199B02CED3D3E74Eu);
        ck_assert(large || b.size < 100000);
        free(b.at);
        gguf_sample_write(&s, path);
        tsr_gguf *f = NULL;
        uint32_t value = 0;
        ck_assert_msg(tsr_gguf_open(ctx, path, &f) == TSR_OK, "%s", tsr_detail(ctx));
        ck_assert_int_eq(tsr_gguf_n_vocab(f), (int32_t)s.n_vocab);
        ck_assert_str_eq(tsr_gguf_piece(f, (int32_t)s.first_code + 5, NULL),
                         "<|visual token 000005|>");
        ck_assert_int_eq(tsr_gguf_piece_type_of(f, (int32_t)s.first_code + 5),
                         TSR_GGUF_PIECE_CONTROL);
        ck_assert_int_eq(tsr_gguf_piece_id(f, "<|image end|>"), (int32_t)s.first_code - 1);
        ck_assert(tsr_gguf_model_u32(f, "embedding_length", &value) && value == s.dim);
        ck_assert_int_eq(tsr_gguf_tensor_count(f), 20);
        const tsr_gguf_tensor *embd = tsr_gguf_find(f, "token_embd.weight");
        float row[64];
        double sum = 0;
        ck_assert(embd && embd->dim[0] == s.dim && embd->dim[1] == s.n_vocab);
        for (int64_t i = 0; i < 1000; ++i) {
            ck_assert_int_eq(tsr_gguf_rows(ctx, f, embd, (int64_t)s.n_vocab - 1 - i, 1, row),
                             TSR_OK);
            for (uint32_t k = 0; k < s.dim; ++k)
                sum += (double)row[k] * (double)row[k];
        }
        ck_assert_double_eq_tol(sum / 1000 / s.dim, 1, 0.05); /* normal, as it should be */
        tsr_gguf_close(&f);
    }
    unlink(path);
    tsr_gguf *none = NULL;
    ck_assert_int_eq(tsr_gguf_open(ctx, path, &none), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_null(none);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("gguf", everything_is_read, cut_at_every_byte, hostile_headers, hostile_lists,
          hostile_tensors, model_by_rule)
