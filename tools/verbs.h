/* SPDX-License-Identifier: MIT */
/* verbs.h: the verbs of the program, as verbs.def lists them: for whoever goes through all of them.
 */
#ifndef TOOLS_VERBS_H
#define TOOLS_VERBS_H

#include "args.h"

/* Verb `index`, in the order of verbs.def; NULL behind the last. */
const verb *verb_at(int index);
/* The verb called `name`, or NULL. */
const verb *verb_find(const char *name);
/* Calls `each` for every verb that is run: a verb itself, or its parts where it has any. */
void verb_each_leaf(void (*each)(const verb *v, void *user), void *user);

#endif
