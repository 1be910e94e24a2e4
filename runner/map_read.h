/* SPDX-License-Identifier: MIT */
/* map_read.h: the text of a map into its struct. */
#ifndef RUNNER_MAP_READ_H
#define RUNNER_MAP_READ_H

#include "vocab_map.h"

/* Reads and checks a map into *map, which is zeros. Errors: FORMAT (file, key, wanted, got),
 * TOO_LARGE, MEMORY. */
tsr_status tsr_vocab_map_read(tsr_context *ctx, const char *name, const void *text, size_t size,
                              tsr_vocab_map *map);

#endif
