/* SPDX-License-Identifier: MIT */
/* Any bytes as AVIF, HEIC or JPEG XL: their headers here, their decoders in processes of their own.
 */
#include "decode_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (decode_bytes_of("AVIF", "HEIC", data, size) == 0) return 0;
    return decode_bytes_of("JPEG XL", "JPEG XL", data, size);
}
