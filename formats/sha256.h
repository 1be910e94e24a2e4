/* SPDX-License-Identifier: MIT */
/* sha256.h: SHA-256 (FIPS 180-4), to tell whether a file is the one somebody else wrote down. */
#ifndef FORMATS_SHA256_H
#define FORMATS_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* State of a digest over bytes that come in pieces. The borders of the pieces do not change the
 * digest. Call tsr_sha256_finish once, at the end. */
typedef struct tsr_sha256_state {
    uint32_t h[8];
    uint64_t total;
    uint8_t held[64]; /* total % 64 bytes wait here */
} tsr_sha256_state;
void tsr_sha256_start(tsr_sha256_state *state);
void tsr_sha256_add(tsr_sha256_state *state, const void *bytes, size_t size);
void tsr_sha256_finish(tsr_sha256_state *state, char hex[65]);

/* Computes the digest of bytes in memory as 64 lower-case hexadecimal digits and a final 0. */
void tsr_sha256(const void *bytes, size_t size, char hex[65]);

#endif
