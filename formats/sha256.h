/* SPDX-License-Identifier: MIT */
/* sha256.h: SHA-256 (FIPS 180-4), to tell whether a file is the one somebody else wrote down. */
#ifndef FORMATS_SHA256_H
#define FORMATS_SHA256_H

#include <stddef.h>

/* The digest of the bytes as 64 lower-case hexadecimal digits and a final 0. */
void tsr_sha256(const void *bytes, size_t size, char hex[65]);

#endif
