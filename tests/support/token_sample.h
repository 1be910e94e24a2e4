/* SPDX-License-Identifier: MIT */
/* token_sample.h: random but valid token files in memory, from a seed, and their comparison. */
#ifndef TESTS_TOKEN_SAMPLE_H
#define TESTS_TOKEN_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <tessera/tokens.h>

enum { TOKEN_SAMPLE_ITEMS = 6 };

typedef struct token_sample {
    tsr_token_header header;
    tsr_token_writer_settings settings;
    uint32_t items;
    tsr_token_item item[TOKEN_SAMPLE_ITEMS]; /* their memory is the sample's */
} token_sample;

/* `small`: a few ids an item, for tests that try every byte. Ends the test when out of memory. */
token_sample *token_sample_random(uint64_t seed, bool small);
void token_sample_free(token_sample *sample);
/* Takes what makes a file of version 1.2 out of a sample: attributes and the key index. */
void token_sample_plain(token_sample *sample);
/* `count` attributes in no order, for token_attributes_free. */
tsr_attribute *token_sample_attributes(uint64_t seed, uint32_t count);
void token_attributes_free(const tsr_attribute *list, uint32_t count);
/* The file of the sample, malloc'd; fails the test on any error. */
uint8_t *token_sample_bytes(tsr_context *ctx, const token_sample *sample, size_t *size);
/* The first difference in words, or NULL. `most`: ids of each tile that are looked at in `want`. */
const char *token_header_difference(const tsr_token_header *got, const tsr_token_header *want);
const char *token_attributes_difference(const tsr_attribute *got, uint32_t got_count,
                                        const tsr_attribute *want, uint32_t want_count);
/* All but the attributes. */
const char *token_item_difference(const tsr_token_header *header, const tsr_token_item *got,
                                  const tsr_token_item *want, uint32_t most);

#endif
