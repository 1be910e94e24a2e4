/* SPDX-License-Identifier: MIT */
/* operator_text.h: what the verbs reduce and plan say of operators, and of what operators found. */
#ifndef TOOLS_OPERATOR_TEXT_H
#define TOOLS_OPERATOR_TEXT_H

#include <tessera/reduce.h>

#include "tool.h"

/* Lists the operators that plan, or those on token sets. */
void operator_list(tool *t, bool plans);
/* Explains an operator. Returns the exit code; a name that is none is answered with one near it. */
int operator_explain(tool *t, const char *name);
/* Writes an array as a JSON member of its name. */
void operator_json(json_out *j, const tsr_token_array *array);
/* Prints an array in lines of "name: numbers", cut after `most` numbers. */
void operator_print(const tsr_token_array *array, int64_t most);

enum { MOST_OPERATIONS = 64 };
/* Operations of one chain: texts between '|'. */
typedef struct chain {
    const char *text; /* as given */
    char *copy;
    const char *at[MOST_OPERATIONS];
    int count;
} chain;
/* Adds the operations of `text`, which is cut at '|'. Returns -1, or the exit code of what it said.
 */
int chain_add(tool *t, chain *c, char *text);

/* Where the operations of a chain ran, and what went to and fro: as JSON, or in words. */
void report_json(json_out *j, const tsr_reduce_report *r);
void report_text(tool *t, const char *const *operations, const tsr_reduce_report *r);

#endif
