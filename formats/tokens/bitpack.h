/* SPDX-License-Identifier: MIT */
/* bitpack.h: numbers at their exact width. Number i takes bits i*width .. i*width+width-1; bit j of
 * the stream is bit j%8 of byte j/8; what is left of the last byte is 0. */
#ifndef FORMATS_BITPACK_H
#define FORMATS_BITPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of n numbers of width 0..32 bits. n at most 2^32. */
uint64_t tsr_bitpack_bytes(uint64_t n, uint32_t width);
/* Packs n numbers into tsr_bitpack_bytes(n, width) bytes. Bits of a number above `width` are
 * ignored.
 */
void tsr_bitpack(const uint32_t *ids, uint64_t n, uint32_t width, uint8_t *bytes);
/* Unpacks n numbers from tsr_bitpack_bytes(n, width) bytes. False if an unused bit is not 0. */
bool tsr_bitunpack(const uint8_t *bytes, uint64_t n, uint32_t width, uint32_t *ids);

#endif
