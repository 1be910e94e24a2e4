/* SPDX-License-Identifier: MIT */
/* Any bytes as a picture of any format. */
#include "decode_bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode_bytes(data, size);
    return 0;
}
