/* SPDX-License-Identifier: MIT */
/* shard_list.h: token files that are named one by one or by their folder. */
#ifndef TOOLS_SHARD_LIST_H
#define TOOLS_SHARD_LIST_H

#include "tool.h"

/* Starts as zeros. */
typedef struct shard_list {
    char **at; /* [count] */
    size_t count, room;
} shard_list;

/* True if `path` is a folder. */
bool shard_is_folder(const char *path);
/* Adds a file, or the files *.tess of a folder in the order of their names; what begins with a dot
 * is hidden. Returns -1, or the exit code to leave with: nothing of that name, or an empty folder.
 */
int shard_list_add(tool *t, shard_list *l, const char *path);
void shard_list_free(shard_list *l);

#endif
