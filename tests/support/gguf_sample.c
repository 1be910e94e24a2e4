/* SPDX-License-Identifier: MIT */
#include "gguf_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/tensor.h"

static void out_of_memory(void) {
    fprintf(stderr, "gguf_sample: no memory\n");
    exit(1);
}

void gguf_put(gguf_bytes *b, const void *bytes, size_t size) {
    if (size > b->room - b->size) {
        b->room = (b->size + size) * 2;
        b->at = realloc(b->at, b->room);
        if (!b->at) out_of_memory();
    }
    if (size) memcpy(b->at + b->size, bytes, size);
    b->size += size;
}

static void put_little(gguf_bytes *b, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; ++i)
        bytes[i] = (uint8_t)(value >> 8 * i);
    gguf_put(b, bytes, size);
}

void gguf_u32(gguf_bytes *b, uint32_t value) {
    put_little(b, value, 4);
}

void gguf_u64(gguf_bytes *b, uint64_t value) {
    put_little(b, value, 8);
}

void gguf_f32(gguf_bytes *b, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    gguf_u32(b, bits);
}

void gguf_text(gguf_bytes *b, const char *text) {
    gguf_u64(b, strlen(text));
    gguf_put(b, text, strlen(text));
}

void gguf_pad(gguf_bytes *b, size_t alignment) {
    while (b->size % alignment)
        gguf_put(b, "", 1);
}

void gguf_begin(gguf_bytes *b, uint64_t tensors, uint64_t keys) {
    gguf_put(b, "GGUF", 4);
    gguf_u32(b, 3);
    gguf_u64(b, tensors);
    gguf_u64(b, keys);
}

static void put_key(gguf_bytes *b, const char *name, uint32_t type) {
    gguf_text(b, name);
    gguf_u32(b, type);
}

void gguf_key_u32(gguf_bytes *b, const char *name, uint32_t value) {
    put_key(b, name, 4);
    gguf_u32(b, value);
}

void gguf_key_i32(gguf_bytes *b, const char *name, int32_t value) {
    put_key(b, name, 5);
    gguf_u32(b, (uint32_t)value);
}

void gguf_key_f32(gguf_bytes *b, const char *name, float value) {
    put_key(b, name, 6);
    gguf_f32(b, value);
}

void gguf_key_bool(gguf_bytes *b, const char *name, int value) {
    put_key(b, name, 7);
    put_little(b, value != 0, 1);
}

void gguf_key_text(gguf_bytes *b, const char *name, const char *text) {
    put_key(b, name, 8);
    gguf_text(b, text);
}

void gguf_key_list(gguf_bytes *b, const char *name, uint32_t element, uint64_t count) {
    put_key(b, name, 9);
    gguf_u32(b, element);
    gguf_u64(b, count);
}

void gguf_tensor(gguf_bytes *b, const char *name, uint64_t cols, uint64_t rows, uint32_t type,
                 uint64_t offset) {
    gguf_text(b, name);
    gguf_u32(b, rows ? 2 : 1);
    gguf_u64(b, cols);
    if (rows) gguf_u64(b, rows);
    gguf_u32(b, type);
    gguf_u64(b, offset);
}

gguf_sample gguf_sample_small(void) {
    return (gguf_sample){.n_vocab = 1200,
                         .dim = 16,
                         .blocks = 2,
                         .heads = 2,
                         .ffn = 32,
                         .context = 1024,
                         .codes = 512,
                         .first_code = 402,
                         .code_type = 3,
                         .seed = 1};
}

gguf_sample gguf_sample_large(void) {
    return (gguf_sample){.n_vocab = 70000,
                         .dim = 64,
                         .blocks = 2,
                         .heads = 4,
                         .ffn = 128,
                         .context = 4096,
                         .codes = 32768,
                         .first_code = 32002,
                         .code_type = 3,
                         .seed = 1};
}

/* The piece of an id and its type. */
static int piece_of(const gguf_sample *s, uint32_t id, char piece[64]) {
    if (id < 3) {
        strcpy(piece, id == 0 ? "<unk>" : id == 1 ? "<s>" : "</s>");
        return id == 0 ? 2 : 3;
    }
    if (id < 259) {
        snprintf(piece, 64, "<0x%02X>", (unsigned)id - 3);
        return 6;
    }
    if (id < 259 + 95) { /* a space is U+2581 in this kind of vocabulary */
        snprintf(piece, 64, "%c", (int)(id - 259 + ' '));
        if (id == 259) strcpy(piece, "\xE2\x96\x81");
        return 1;
    }
    if (id == s->first_code - 2 || id == s->first_code - 1) {
        strcpy(piece, id == s->first_code - 2 ? "<|image start|>" : "<|image end|>");
        return (int)s->code_type;
    }
    if (id >= s->first_code && id - s->first_code < s->codes) {
        snprintf(piece, 64, "<|visual token %06u|>", (unsigned)(id - s->first_code));
        return (int)s->code_type;
    }
    snprintf(piece, 64, "<unused %u>", (unsigned)id);
    return 5;
}

static void put_keys(gguf_bytes *b, const gguf_sample *s) {
    char piece[64];
    gguf_key_text(b, "general.architecture", "llama");
    gguf_key_text(b, "general.name", "random weights by rule");
    gguf_key_u32(b, "general.file_type", 1);
    gguf_key_u32(b, "llama.vocab_size", s->n_vocab);
    gguf_key_u32(b, "llama.context_length", s->context);
    gguf_key_u32(b, "llama.embedding_length", s->dim);
    gguf_key_u32(b, "llama.block_count", s->blocks);
    gguf_key_u32(b, "llama.feed_forward_length", s->ffn);
    gguf_key_u32(b, "llama.attention.head_count", s->heads);
    gguf_key_u32(b, "llama.attention.head_count_kv", s->heads);
    gguf_key_u32(b, "llama.rope.dimension_count", s->dim / s->heads);
    gguf_key_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_key_text(b, "tokenizer.ggml.model", "llama");
    gguf_key_text(b, "tokenizer.ggml.pre", "default");
    gguf_key_list(b, "tokenizer.ggml.tokens", 8, s->n_vocab);
    for (uint32_t id = 0; id < s->n_vocab; ++id) {
        piece_of(s, id, piece);
        gguf_text(b, piece);
    }
    gguf_key_list(b, "tokenizer.ggml.scores", 6, s->n_vocab);
    for (uint32_t id = 0; id < s->n_vocab; ++id)
        gguf_f32(b, -(float)id);
    gguf_key_list(b, "tokenizer.ggml.token_type", 5, s->n_vocab);
    for (uint32_t id = 0; id < s->n_vocab; ++id)
        gguf_u32(b, (uint32_t)piece_of(s, id, piece));
    gguf_key_u32(b, "tokenizer.ggml.bos_token_id", 1);
    gguf_key_u32(b, "tokenizer.ggml.eos_token_id", 2);
    gguf_key_u32(b, "tokenizer.ggml.unknown_token_id", 0);
    gguf_key_bool(b, "tokenizer.ggml.add_bos_token", 1);
    gguf_key_bool(b, "tokenizer.ggml.add_space_prefix", 0);
}
enum { KEYS = 22, TENSORS_OF_BLOCK = 9 };

/* A weight: the sum of 12 uniform numbers less 6, which is close to normal and the same with every
 * C library. */
static float draw(uint64_t *state) {
    uint32_t sum = 0;
    for (int i = 0; i < 12; ++i) {
        uint64_t z = *state += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        sum += (uint32_t)(z >> 48);
    }
    return (float)((double)sum * 0x1p-16 - 6.0);
}

typedef struct weight {
    char name[64];
    uint64_t cols, rows; /* rows 0: ones of float32 */
    float scale;
} weight;

static void put_weights(gguf_bytes *b, const gguf_sample *s, const weight *list, int count) {
    uint64_t offset = 0, state = s->seed;
    for (int i = 0; i < count; ++i) {
        const weight *w = &list[i];
        gguf_tensor(b, w->name, w->cols, w->rows, w->rows ? 1 : 0, offset);
        offset += w->rows ? w->cols * w->rows * 2 : w->cols * 4;
        offset = (offset + 31) / 32 * 32;
    }
    for (int i = 0; i < count; ++i) {
        const weight *w = &list[i];
        gguf_pad(b, 32);
        for (uint64_t k = 0; w->rows == 0 && k < w->cols; ++k)
            gguf_f32(b, 1);
        for (uint64_t k = 0; k < w->cols * w->rows; ++k)
            put_little(b, tsr_f32_to_f16(draw(&state) * w->scale), 2);
    }
    gguf_pad(b, 32);
}

gguf_bytes gguf_sample_make(const gguf_sample *s) {
    static const char *const names[TENSORS_OF_BLOCK] = {"attn_norm", "attn_q",      "attn_k",
                                                        "attn_v",    "attn_output", "ffn_norm",
                                                        "ffn_gate",  "ffn_up",      "ffn_down"};
    gguf_bytes b = {0};
    const int count = 2 + TENSORS_OF_BLOCK * (int)s->blocks;
    weight *list = calloc((size_t)count, sizeof *list);
    if (!list) out_of_memory();
    list[0] = (weight){"token_embd.weight", s->dim, s->n_vocab, 1};
    list[1] = (weight){"output_norm.weight", s->dim, 0, 1};
    for (int i = 2; i < count; ++i) {
        const char *name = names[(i - 2) % TENSORS_OF_BLOCK];
        weight *w = &list[i];
        snprintf(w->name, sizeof w->name, "blk.%d.%s.weight", (i - 2) / TENSORS_OF_BLOCK, name);
        w->cols = strcmp(name, "ffn_down") == 0 ? s->ffn : s->dim;
        w->rows = strncmp(name, "ffn_", 4) == 0 && w->cols == s->dim ? s->ffn : s->dim;
        if (strstr(name, "norm")) w->rows = 0;
        w->scale = 0.5f;
    }
    gguf_begin(&b, (uint64_t)count, KEYS);
    put_keys(&b, s);
    put_weights(&b, s, list, count);
    free(list);
    return b;
}

void gguf_sample_write(const gguf_sample *sample, const char *path) {
    gguf_bytes b = gguf_sample_make(sample);
    FILE *to = fopen(path, "wb");
    if (!to || fwrite(b.at, 1, b.size, to) != b.size || fclose(to)) {
        perror(path);
        exit(1);
    }
    free(b.at);
}
