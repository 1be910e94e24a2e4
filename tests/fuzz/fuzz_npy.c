/* SPDX-License-Identifier: MIT */
/* Any bytes as a NumPy array: what opens has a shape that fits its memory. */
#include <stdlib.h>
#include "alloc_fail.h"
#include "formats/arrays/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    tsr_tensor t;
    if (tsr_npy_parse(ctx, "fuzz", data, size, &t) == TSR_OK) {
        if (t.rank < 1 || t.rank > TSR_MAX_RANK || tsr_elements(&t) < 0) abort();
        const volatile uint8_t *p = t.data;
        size_t bytes = (size_t)tsr_elements(&t) * tsr_dtype_bytes(t.dtype);
        for (size_t i = 0; i < bytes; ++i)
            (void)p[i];
    } else if (t.data) {
        abort();
    }
    free(t.data);
    tsr_npy_doubles doubles;
    double sum = 0;
    if (tsr_npy_parse_doubles(ctx, "fuzz", data, size, &doubles) && doubles.values) abort();
    for (int64_t i = 0; i < doubles.count; ++i)
        sum += doubles.values[i];
    (void)sum;
    free(doubles.values);
    alloc_fail_at(size % 16);
    tsr_npy_parse(ctx, "fuzz", data, size, &t);
    alloc_fail_at(-1);
    free(t.data);
    tsr_context_close(&ctx);
    return 0;
}
