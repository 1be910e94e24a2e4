/* SPDX-License-Identifier: MIT */
/* checksum.h: CRC-32C of bytes in memory. */
#ifndef FORMATS_CHECKSUM_H
#define FORMATS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4) of `size` bytes. */
uint32_t tsr_crc32c(const void *bytes, size_t size);
/* CRC-32C of bytes that come in pieces: `crc` is that of what came before, 0 of nothing. */
uint32_t tsr_crc32c_add(uint32_t crc, const void *bytes, size_t size);

#endif
