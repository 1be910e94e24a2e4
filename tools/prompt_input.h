/* SPDX-License-Identifier: MIT */
/* prompt_input.h: what prompts are made of: a vocabulary map, pictures of token files, and texts.
 */
#ifndef TOOLS_PROMPT_INPUT_H
#define TOOLS_PROMPT_INPUT_H

#include <tessera/runner/prompt.h>
#include "tool.h"

enum { MOST_PICTURES = 4096 };

typedef struct prompt_input {
    tsr_vocab_map *map;
    tsr_token_table *table; /* of a tokenizer's file, or NULL */
    tsr_token_file *file;   /* the last one that was read */
    tsr_codes *pictures;    /* [count], each with its codes */
    char **names;           /* [count] */
    int count;
    tsr_prompt_text texts[2 * MOST_TEXTS];
    char *keys[2 * MOST_TEXTS];
    int text_count;
    /* Ids of a text by the model's own tokenizer; NULL: the table's special tokens alone. */
    tsr_status (*cut)(void *user, const char *text, uint32_t **ids, uint64_t *count);
    void *user;
} prompt_input;

void prompt_input_free(prompt_input *in);
/* Opens the map, and the tokenizer's file where there is one. Returns -1, or the exit code after it
 * has told the failure; so do the others. */
int prompt_input_map(tool *t, prompt_input *in, const char *map, const char *tokenizer);
/* Adds the codes of a token file's items, or with `frames` all of them as the frames of one. */
int prompt_input_items(tool *t, prompt_input *in, const char *path, const text_list *items,
                       bool frames);
/* Adds a text, KEY=TEXT of --text or with `ids` KEY=IDS of --text-ids. With `stays` it is not cut
 * into ids. */
int prompt_input_text(tool *t, prompt_input *in, const char *given, bool ids, bool stays);
/* Name of the template to use: the one given, or the map's first. */
const char *prompt_input_template(const prompt_input *in, const char *given);

#endif
