/* SPDX-License-Identifier: MIT */
/* reduce_show.h: a token set drawn over its picture. */
#ifndef TOOLS_REDUCE_SHOW_H
#define TOOLS_REDUCE_SHOW_H

#include <tessera/reduce.h>

#include "tool.h"

/* How a picture became the grid of tokens. */
enum { SHOW_STRETCH = 0, SHOW_CROP = 1 };

/* Writes the picture at `path` to `output` with the tokens of `set` over it: source tokens that are
 * dropped are dim, those that are kept are bright, those that share a token are outlined together.
 * `frame` picks the frame of a clip. Returns -1, or the exit code after a failure. */
int reduce_show(tool *t, const tsr_token_set *set, const char *path, int fit, uint32_t frame,
                const char *output);

#endif
