/* SPDX-License-Identifier: MIT */
/* out_file.h: a text that the program writes itself: under a temporary name beside its own until it
 * is complete. "-" is standard output. */
#ifndef TOOLS_OUT_FILE_H
#define TOOLS_OUT_FILE_H

#include "tool.h"

typedef struct out_file {
    FILE *file; /* to write to */
    const char *path;
    char temporary[4200]; /* "" for standard output */
} out_file;

/* Begins; `path` must live until the end. Returns -1, or the exit code after it has told the
 * failure. */
int out_file_open(tool *t, out_file *o, const char *path);
/* Ends: with `keep` the file gets its name, without it is removed. Returns -1, or the exit code
 * after it has told that not all could be written. */
int out_file_close(tool *t, out_file *o, bool keep);

#endif
