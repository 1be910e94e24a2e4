/* SPDX-License-Identifier: MIT */
/* rng.h: random numbers without state. The number at (seed, stream, index) is a pure function, so
 * any thread may ask for any of them in any order and the same seed gives the same bytes.
 *
 * The function is Philox4x32 with 10 rounds: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC'11, section 3.4. Key = seed, counter =
 * (index low, index high, stream low, stream high), words least significant first. */
#ifndef QUANTIZER_RNG_H
#define QUANTIZER_RNG_H

#include <stdint.h>

/* The bare function: out = philox4x32-10(counter, key). */
void tsr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Uniform in [0, 1) with 53 bits, from the first two words: (w1 * 2^32 + w0) >> 11, times 2^-53. */
double tsr_random_unit(uint64_t seed, uint64_t stream, uint64_t index);
/* Normal numbers 0 .. count - 1 of (seed, stream), mean 0 and variance 1 (Box and Muller 1958). The
 * pair (2i, 2i + 1) is r cos a, r sin a, where the block (seed, stream, i) gives w0..w3,
 * u = (w1 * 2^32 + w0 >> 11 + 1) * 2^-53 in (0, 1], r = sqrt(-2 ln u) and
 * a = 2 pi (w3 * 2^32 + w2 >> 11) * 2^-53; all in float64, rounded to f32 at the end. */
void tsr_random_normals(uint64_t seed, uint64_t stream, int64_t count, float *normals);

#endif
