/* SPDX-License-Identifier: MIT */
/* item_names.h: file names for the items of a token file, no two alike. */
#ifndef CODEC_ITEM_NAMES_H
#define CODEC_ITEM_NAMES_H

/* The names given out so far; NULL = none. */
typedef struct tsr_item_names {
    void *tree;
    const char *suffix; /* without its dot, not owned; NULL: "png" */
} tsr_item_names;

/* "<folder>/<key without suffix>[-n].<suffix>", malloc'd; n = 2, 3 ... where earlier items took the
 * name. Keys come from files that may be hostile: a '/' or a leading '.' in them becomes '_'. Time
 * grows with the logarithm of the names given out, whatever the keys are. NULL: no memory. */
char *tsr_item_names_path(tsr_item_names *names, const char *folder, const char *key);
void tsr_item_names_free(tsr_item_names *names);

#endif
