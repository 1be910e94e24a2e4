/* SPDX-License-Identifier: MIT */
/* manual.h: what the program says of itself beyond single verbs (exit codes, environment, files),
 * each in one table, and manual pages made of these tables and of the verbs'. */
#ifndef TOOLS_MANUAL_H
#define TOOLS_MANUAL_H

#include "args.h"

typedef struct manual_row {
    const char *name, *text;
} manual_row;

/* Tables that end with a row whose name is NULL. */
extern const manual_row manual_exits[], manual_environment[], manual_files[];

/* Prints the manual page of a verb, or of the program for NULL, for man(1). */
void manual_print(const verb *v);

#endif
