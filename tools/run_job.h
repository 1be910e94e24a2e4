/* SPDX-License-Identifier: MIT */
/* run_job.h: what the parts of `tessera run` share: prompts, what became of them, and where replies
 * go. */
#ifndef TOOLS_RUN_JOB_H
#define TOOLS_RUN_JOB_H

#include <tessera/runner/prompt.h>
#include <tessera/runner/server.h>
#include "out_file.h"

/* A prompt on its way to a model. */
typedef struct run_prompt {
    char *name;         /* of the file or item it was made of */
    const char *source; /* the token file its pictures are of, or NULL */
    uint32_t *ids;
    size_t id_count;
} run_prompt;

typedef struct run_prompts {
    run_prompt *at;
    size_t count, room;
} run_prompts;

/* Takes over `ids`, which come from malloc. Returns -1, or the exit code after it has told the
 * failure; the ids are freed then. */
int run_prompts_add(tool *t, run_prompts *prompts, const char *name, const char *source,
                    uint32_t *ids, size_t count);
void run_prompts_free(run_prompts *prompts);
/* A reply, from wherever it came. */
typedef struct run_reply {
    const run_prompt *prompt;
    size_t index;
    const tsr_generate_reply *got;
} run_reply;

/* Where replies go. */
typedef struct run_output {
    const char *path;          /* NULL: text to stdout */
    const char *kind;          /* "json", "bin", "txt", "tess", or the suffix of a picture */
    const char *like;          /* a token file of the tokenizer; NULL: that of the prompt */
    const tsr_vocab_map *map;  /* of replies with pictures, or NULL */
    tsr_reply_settings layout; /* how their first picture is read */
    tsr_model_settings model;  /* decodes them */
    size_t damaged;            /* pictures that could not be used */
    bool single;               /* one prompt: its failure is that of the program */
    bool folder;               /* one file for each prompt in the folder `path` */
    const char *log;           /* path of the run log, or NULL */
    FILE *log_file;
    FILE *list; /* of `text`: the member "requests" of the document; NULL without --json */
    json_out json;
    char *text;
    size_t size;
    size_t written, failed;
    uint64_t tokens;
} run_output;

/* Opens what replies are written to. Returns -1, or the exit code after it has told the failure. */
int run_output_open(tool *t, run_output *o, size_t prompts);
/* Writes one reply. Returns as above; a failure of one reply is told and counted, and is none of
 * the whole. */
int run_output_reply(tool *t, run_output *o, const run_reply *reply);
void run_output_close(run_output *o);

#endif
