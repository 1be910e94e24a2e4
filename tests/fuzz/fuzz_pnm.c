/* SPDX-License-Identifier: MIT */
/* Any bytes as a picture of Netpbm's formats, or QOI. */
#include "decode_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return decode_bytes_of("PNM", "QOI", data, size);
}
