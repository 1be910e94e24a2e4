/* SPDX-License-Identifier: MIT */
/* reply_pictures.h: the pictures in a language model's reply, to a token file. */
#ifndef TOOLS_REPLY_PICTURES_H
#define TOOLS_REPLY_PICTURES_H

#include <tessera/runner/prompt.h>
#include "tool.h"

typedef struct reply_pictures {
    const tsr_vocab_map *map;
    const uint32_t *ids; /* [count] */
    const char *text;    /* instead: `count` bytes of text */
    uint64_t count;
    const char *like;   /* a token file of the same tokenizer, or NULL */
    const char *output; /* the token file; not made when no picture can be used */
    json_out *json;     /* a list that gets an object for each picture; NULL: a line for people */
    int written, damaged;
} reply_pictures;

/* Reads the pictures of a reply and writes those that can be used. `settings` says how the first
 * one is read, those behind it begin anew. Errors: those of tsr_reply_read and of writing. */
tsr_status reply_pictures_write(tool *t, reply_pictures *p, const tsr_reply_settings *settings);
/* "[T,]H,W" or one number into the settings; NULL leaves them. Returns -1, or the exit code after
 * it has told the mistake. */
int reply_grid(const verb *v, const char *text, tsr_reply_settings *settings);

#endif
