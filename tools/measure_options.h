/* SPDX-License-Identifier: MIT */
/* measure_options.h: what eval and report share: which metrics, anchors, models and numbers of
 * tokens, and the tables of what was found. */
#ifndef TOOLS_MEASURE_OPTIONS_H
#define TOOLS_MEASURE_OPTIONS_H

#include <tessera/measure.h>
#include "eval_content.h"
#include "tool.h"

/* Member `measure` of a verb's options. A struct of zeros is the default. */
typedef struct measure_choices {
    const char *metrics, *anchors, *tokens;
    text_list models, weights;
    const char *cache;
    int at, resize;
    uint64_t seed;
    uint32_t resamples;
} measure_choices;

enum { MOST_NAMES = 64 };
/* Names of a list "a,b,c". */
typedef struct name_list {
    char *text;
    const char *at[MOST_NAMES];
    int count;
} name_list;

/* What the choices mean. */
typedef struct measure_meaning {
    const measure_choices *choices;
    const content_choices *content; /* text and faces; set by the verb; NULL: none */
    name_list metrics, anchors;
    uint32_t tokens[MOST_NAMES];
    int token_count;           /* 0: all */
    char *models[MOST_TEXTS];  /* paths */
    char *weights[MOST_TEXTS]; /* "METRIC=PATH" */
    int model_count, weight_count;
    tsr_measure_settings settings; /* without progress */
    tsr_feature_counts features;   /* that the measurements computed and found */
} measure_meaning;
/* Reads the lists. Returns -1, or the exit code to leave with: after a mistake of the command line,
 * or 0 after --metrics help. Call measure_free in either case. */
int measure_read(const verb *v, const measure_choices *choices, const common_options *common,
                 measure_meaning *meaning);
/* Makes paths of models and weights. Returns -1, or the exit code after a failure. */
int measure_locate(tool *t, measure_meaning *meaning);
void measure_free(measure_meaning *meaning);
/* Says how many features --cache had, where it was given. */
void measure_say_cache(tool *t, const measure_meaning *meaning);

/* The command line "tessera VERB ORIGINALS OPERAND" with the choices that decide numbers, as a list
 * of texts; measure_command_free frees it. `tokens` 0 and `anchor` NULL are left out, and so is
 * `model`. */
typedef struct measure_command {
    const char *at[MOST_NAMES + 3 * MOST_TEXTS];
    char *owned[8];
    int count, owned_count;
} measure_command;
void measure_command_make(measure_command *command, const char *verb_name, const char *originals,
                          const char *operand, const char *model, uint32_t tokens,
                          const char *anchor, const measure_meaning *meaning);
void measure_command_free(measure_command *command);

/* Prints a row for each candidate, and a table of each metric of pictures; with `pictures` a line
 * for each picture, too. */
void measure_print(const tsr_report *report, bool pictures);
/* Prints a number in a column of ten; "-" where there is none. */
void measure_cell(double value, int digits);
/* Says how many pictures had no counterpart, another size, or could not be read, and those of
 * `report` by name. Returns EXIT_NEGATIVE if there are any, or else EXIT_DONE. */
int measure_say_failures(tool *t, const tsr_report *report);

#endif
