/* SPDX-License-Identifier: MIT */
/* column_names.h: the option --column KIND=NAME of the verbs that write and read data sets. */
#ifndef TOOLS_COLUMN_NAMES_H
#define TOOLS_COLUMN_NAMES_H

#include <tessera/datasets.h>
#include "args.h"

/* Fills *names with texts such as "ids=tokens". Returns -1, or the exit code after a mistake. */
int column_names(const verb *v, const text_list *texts, tsr_dataset_names *names);

#endif
