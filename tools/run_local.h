/* SPDX-License-Identifier: MIT */
/* run_local.h: `tessera run --gguf`: prompts of text, embeddings and ids to a model inside the
 * process. */
#ifndef TOOLS_RUN_LOCAL_H
#define TOOLS_RUN_LOCAL_H

#include <tessera/runner/llama.h>
#include <tessera/runner/map.h>
#include "run_job.h"

typedef struct local_options {
    const char *gguf, *library; /* library NULL: as tsr_llama_settings says */
    const char *before, *after; /* texts around rows and ids, or NULL */
    const char *features;       /* file of token sets whose rows are embeddings, or NULL */
    const char *set, *column;   /* of it; NULL: the only set, its features */
    const char *clip;           /* token file with a clip codebook, or NULL */
    const char *item;           /* of it; NULL: the only one */
    double visual_step;         /* positions from row to row, above 0 to 1 */
    double rope_scale;          /* 0: the model's */
    double temperature, top_p;
    uint64_t seed;
    uint32_t context; /* tokens; 0: as tsr_llama_settings says */
    uint32_t max_tokens, top_k, logprobs;
    int perplexity;   /* score the ids of prompts instead of generating */
    const char *plot; /* of the scores by position: .svg or a picture, or NULL */
} local_options;

/* What `tessera run` says of the model at its end. */
typedef struct local_facts {
    char library[300], version[60], architecture[60];
    int32_t vocabulary, width, context;
} local_facts;

/* A model that is open. */
typedef struct local_run local_run;

/* Opens a model. `o` must stay until it is closed. Returns -1, or the exit code after it has told
 * the failure. */
int run_local_open(tool *t, const local_options *o, local_run **run, local_facts *facts);
void run_local_close(local_run **run);
/* Its vocabulary; a text is valid until the next one is asked for. */
tsr_vocabulary run_local_vocabulary(local_run *run);
/* Ids of a text, for prompt_input: `run` is a local_run. */
tsr_status run_local_cut(void *run, const char *text, uint32_t **ids, uint64_t *count);
/* Runs every prompt; with none in `prompts` the texts and rows are one, which is added. A prompt is
 * `before`, the rows, its ids, `after`. Replies go to `out`. With `perplexity` nothing is
 * generated: the probabilities of the prompt's own ids are reported. Returns as above. */
int run_local_prompts(local_run *run, run_prompts *prompts, run_output *out);

#endif
