/* SPDX-License-Identifier: MIT */
/* batch_case.h: a tile's tokens and picture do not depend on what goes through the model with it.
 */
#ifndef TESTS_BATCH_CASE_H
#define TESTS_BATCH_CASE_H

/* A made-up picture of at least `tiles` tiles of `side` pixels, encoded and decoded one by one and
 * together, gives the same tokens and pixels to the bit. The
 * device must be there. */
void batch_case(const char *model, const char *device, int side, int tiles);
/* `count` made-up pictures of one tile of `side` pixels each have the same ids or latents to the
 * bit in batches of 1, 7, 16 (where there are so many) and `count`, with one and with two programs
 * in flight. The device must be there. */
void in_flight_case(const char *model, const char *device, int side, int count);

#endif
