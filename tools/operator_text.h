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

#endif
