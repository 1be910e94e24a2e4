/* SPDX-License-Identifier: MIT */
/* reduce_show.h: a token set drawn over its picture. */
#ifndef TOOLS_REDUCE_SHOW_H
#define TOOLS_REDUCE_SHOW_H

#include <tessera/reduce.h>

#include "tool.h"

/* How a picture became the grid of tokens; SHOW_AUTO: what `view` says, the metadata of `tessera
 * features`, stretched where it says nothing. */
enum { SHOW_AUTO = 0, SHOW_STRETCH, SHOW_CROP, SHOW_PAD };

/* Writes the picture at `path` to `output` with the tokens of `set` over it: source tokens that are
 * dropped are dim, those that are kept are bright, those that share a token are outlined together.
 * `frame` picks the frame of a clip, `view` may be NULL. Returns -1, or the exit code after a
 * failure. */
int reduce_show(tool *t, const tsr_token_set *set, const char *path, int fit, const char *view,
                uint32_t frame, const char *output);

#endif
