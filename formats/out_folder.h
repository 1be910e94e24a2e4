/* SPDX-License-Identifier: MIT */
/* out_folder.h: a folder that appears when everything is in it. It is filled under a hidden
 * temporary name beside its place and renamed at the end. */
#ifndef FORMATS_OUT_FOLDER_H
#define FORMATS_OUT_FOLDER_H

#include <stdbool.h>
#include "../compute/context.h"

typedef struct tsr_out_folder {
    tsr_context *ctx;
    const char *mark; /* borrowed: the file that tells a folder of this kind */
    char *path, *temporary;
    bool keep; /* nothing may stand under `path` */
} tsr_out_folder;
/* Says what tsr_out_folder_open would say of what exists, and makes nothing. A folder that exists
 * may be replaced when it is empty or holds a file called `mark`. Errors: EXISTS, ARGUMENT. */
tsr_status tsr_out_folder_check(tsr_context *ctx, const char *path, const char *mark);
/* Makes the temporary folder. Errors: EXISTS, ARGUMENT, IO, NO_SPACE, MEMORY. */
tsr_status tsr_out_folder_open(tsr_context *ctx, const char *path, const char *mark,
                               tsr_out_folder *folder);
/* Gives the folder its final name. Errors: EXISTS, IO, NO_SPACE. */
tsr_status tsr_out_folder_commit(tsr_out_folder *folder);
/* Removes what was written. Does nothing after tsr_out_folder_commit. */
void tsr_out_folder_abandon(tsr_out_folder *folder);

#endif
