/* SPDX-License-Identifier: MIT */
/* id_file.h: files of ids of a language model: u32 little-endian (.bin), or JSON (.json): a list,
 * or an object with it as "ids" or "tokens". */
#ifndef TOOLS_ID_FILE_H
#define TOOLS_ID_FILE_H

#include "tool.h"

/* Reads the ids of a file that ends in .bin, or else JSON; "-" is stdin. *ids is freed with free().
 * Returns -1, or the exit code after it has told the failure. */
int id_file_read(tool *t, const char *path, uint32_t **ids, uint64_t *count);
/* Reads a whole file, at most 1 GiB; a zero byte follows. "-" is stdin. Returns as above. */
int id_file_bytes(tool *t, const char *path, char **bytes, size_t *size);
/* Writes ids as u32 little-endian. */
void id_file_put(FILE *file, const uint32_t *ids, uint64_t count);
/* True if a name ends so. */
bool id_file_ends(const char *path, const char *suffix);

#endif
