/* SPDX-License-Identifier: MIT */
/* item_names.h: file names for the items of a token file, no two alike. */
#ifndef CODEC_ITEM_NAMES_H
#define CODEC_ITEM_NAMES_H

#include "../compute/context.h"

/* The names given out so far; NULL = none. */
typedef struct tsr_item_names {
    void *tree;
    const char *suffix; /* without its dot, not owned; NULL: "png" */
} tsr_item_names;

/* "<folder>/<key without suffix>[-n].<suffix>", malloc'd; n = 2, 3 ... where earlier items took the
 * name. The folders of a key are kept. Keys come from files that may be hostile: in each part a
 * leading '.' and a control character become '_', long parts are cut, and a folder never has the
 * name of a picture. Time grows with the logarithm of the names given out, whatever the keys are.
 * NULL: no memory. */
char *tsr_item_names_path(tsr_item_names *names, const char *folder, const char *key);
/* Makes the folders of `path` below `folder` that are not there yet. Errors: IO. */
tsr_status tsr_item_names_make_folders(tsr_context *ctx, const char *folder, char *path);
void tsr_item_names_free(tsr_item_names *names);

#endif
