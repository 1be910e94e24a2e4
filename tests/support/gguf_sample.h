/* SPDX-License-Identifier: MIT */
/* gguf_sample.h: GGUF files made in memory: piece by piece, and a whole language model of a few
 * thousand random weights, by fixed rules: the same numbers on every machine. */
#ifndef TESTS_GGUF_SAMPLE_H
#define TESTS_GGUF_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; the caller frees bytes.at. */
typedef struct gguf_bytes {
    uint8_t *at;
    size_t size, room;
} gguf_bytes;
void gguf_put(gguf_bytes *b, const void *bytes, size_t size);
void gguf_u32(gguf_bytes *b, uint32_t value);
void gguf_u64(gguf_bytes *b, uint64_t value);
void gguf_f32(gguf_bytes *b, float value);
void gguf_text(gguf_bytes *b, const char *text);
/* Zeros up to a multiple of `alignment`. */
void gguf_pad(gguf_bytes *b, size_t alignment);
/* "GGUF", version 3, the counts. */
void gguf_begin(gguf_bytes *b, uint64_t tensors, uint64_t keys);
void gguf_key_u32(gguf_bytes *b, const char *name, uint32_t value);
void gguf_key_i32(gguf_bytes *b, const char *name, int32_t value);
void gguf_key_f32(gguf_bytes *b, const char *name, float value);
void gguf_key_bool(gguf_bytes *b, const char *name, int value);
void gguf_key_text(gguf_bytes *b, const char *name, const char *text);
/* Begins a list: its elements follow. */
void gguf_key_list(gguf_bytes *b, const char *name, uint32_t element, uint64_t count);
/* What the header says of a tensor: sizes innermost first, 1 or 2 of them (rows 0: one). */
void gguf_tensor(gguf_bytes *b, const char *name, uint64_t cols, uint64_t rows, uint32_t type,
                 uint64_t offset);

/* A model of the llama architecture with weights of float16 drawn by rule, output tied to the
 * embedding. Vocabulary: 0 <unk>, 1 <s>, 2 </s>, 3..258 the bytes <0x00>..<0xFF>, 259..353 the
 * printable characters of ASCII, then unused entries; <|image start|> and <|image end|> before
 * first_code, <|visual token 000000|> from first_code on. */
typedef struct gguf_sample {
    uint32_t n_vocab, dim, blocks, heads, ffn, context;
    uint32_t codes, first_code, code_type; /* 3 control, 4 user-defined */
    uint64_t seed;
} gguf_sample;
/* 1,200 entries, 512 codes from id 402, dim 16: below 100,000 bytes. */
gguf_sample gguf_sample_small(void);
/* 70,000 entries, 32,768 codes from id 32002, dim 64: more ids than 16 bits hold. */
gguf_sample gguf_sample_large(void);
gguf_bytes gguf_sample_make(const gguf_sample *sample);
/* Writes it to a file; exit(1) with a message where that fails. */
void gguf_sample_write(const gguf_sample *sample, const char *path);

#endif
