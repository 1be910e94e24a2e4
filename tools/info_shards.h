/* SPDX-License-Identifier: MIT */
/* info_shards.h: what `tessera info` says of many token files. */
#ifndef TOOLS_INFO_SHARDS_H
#define TOOLS_INFO_SHARDS_H

#include "shard_list.h"

/* Totals of the files of a folder, tokenizers, use of the codes. Returns the exit code. */
int info_folder(tool *t, const char *folder, const shard_list *files);
/* Reads every item and every checksum of the files and says which are damaged. Returns the exit
 * code.
 */
int info_check(tool *t, const shard_list *files);

#endif
