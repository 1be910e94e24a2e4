/* SPDX-License-Identifier: MIT */
/* pieces.h: a part of a model that computes a few items of a batch at a time, inside one program:
 * where its maps are much larger than what goes in and comes out, all items at once would take
 * memory and make no device busier. */
#ifndef NN_PIECES_H
#define NN_PIECES_H

#include "../compute/device.h"

/* The part: x [n, ...] -> [n, ...], each item by itself, as floats. */
typedef tsr_tensor *(*tsr_piece_fn)(tsr_run *run, void *user, tsr_tensor *x);
/* The part on x F32 [n, ...], at most `most` items at a time: the shape that the part gives, for n
 * items. Bits are those of the part on all of them. */
tsr_tensor *tsr_run_pieces(tsr_run *run, tsr_tensor *x, int64_t most, tsr_piece_fn part,
                           void *user);

#endif
