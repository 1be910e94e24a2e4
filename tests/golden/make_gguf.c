/* SPDX-License-Identifier: MIT */
/* Writes a language model of random weights as a GGUF file: the same bytes on every machine.
 *     make_gguf small|large OUT [NAME=NUMBER...]
 * small: 1,200 entries, dim 16; large: 70,000 entries, dim 64. NAME is a field of gguf_sample
 * (tests/support/gguf_sample.h): n_vocab, dim, blocks, heads, ffn, context, codes, first_code,
 * code_type, seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf_sample.h"

static int set(gguf_sample *s, const char *text) {
    const struct {
        const char *name;
        uint32_t *field;
    } fields[] = {{"n_vocab", &s->n_vocab},
                  {"dim", &s->dim},
                  {"blocks", &s->blocks},
                  {"heads", &s->heads},
                  {"ffn", &s->ffn},
                  {"context", &s->context},
                  {"codes", &s->codes},
                  {"first_code", &s->first_code},
                  {"code_type", &s->code_type}};
    const char *value = strchr(text, '=');
    char *end;
    if (!value || !value[1]) return 0;
    const unsigned long number = strtoul(value + 1, &end, 10);
    const size_t length = (size_t)(value - text);
    if (*end || number > UINT32_MAX) return 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i)
        if (strlen(fields[i].name) == length && strncmp(text, fields[i].name, length) == 0)
            return *fields[i].field = (uint32_t)number, 1;
    if (length == 4 && strncmp(text, "seed", 4) == 0) return s->seed = number, 1;
    return 0;
}

int main(int argc, char **argv) {
    const int large = argc > 1 && strcmp(argv[1], "large") == 0;
    if (argc < 3 || (!large && strcmp(argv[1], "small") != 0)) {
        fprintf(stderr, "usage: make_gguf small|large OUT [NAME=NUMBER...]\n");
        return 2;
    }
    gguf_sample sample = large ? gguf_sample_large() : gguf_sample_small();
    for (int i = 3; i < argc; ++i)
        if (!set(&sample, argv[i])) {
            fprintf(stderr, "make_gguf: wanted NAME=NUMBER, got %s\n", argv[i]);
            return 2;
        }
    if (!sample.heads || sample.dim % sample.heads || sample.first_code < 356 ||
        sample.n_vocab < sample.first_code || sample.n_vocab - sample.first_code < sample.codes) {
        fprintf(stderr, "make_gguf: the numbers make no model\n");
        return 2;
    }
    gguf_sample_write(&sample, argv[2]);
    return 0;
}
