/* SPDX-License-Identifier: MIT */
/* Any bytes as the beginning of a pipe of pictures: what is said of all of them at once is what is
 * said when they come one by one, and no end lies behind what is there. */
#include <stdlib.h>
#include <string.h>
#include "media/picture_extent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 8192) return 0;
    tsr_extent_scan at_once = {0}, growing = {0};
    size_t end = 0, grown = 0;
    const tsr_extent extent = tsr_picture_extent(data, size, &at_once, &end);
    if (extent == TSR_EXTENT_KNOWN && (end == 0 || end > size)) abort();
    if (extent == TSR_EXTENT_MORE && end <= size) abort();
    tsr_extent got = TSR_EXTENT_MORE;
    for (size_t n = 0; n <= size && got == TSR_EXTENT_MORE; ++n) {
        uint8_t *part = malloc(n ? n : 1); /* as long as it says, so that a byte behind is seen */
        if (!part) return 0;
        memcpy(part, data, n);
        got = tsr_picture_extent(part, n, &growing, &grown);
        free(part);
    }
    if (got != extent || (got == TSR_EXTENT_KNOWN && grown != end)) abort();
    return 0;
}
