/* SPDX-License-Identifier: MIT */
/* Any bytes as a pickle. The machine must stop, take memory in proportion to the bytes, and leave a
 * tree whose every node and item can be looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/weights/unpickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const tsr_pickle *pickle, const uint8_t *data, size_t size) {
    uint32_t nodes = tsr_pickle_count(pickle);
    MUST(tsr_pickle_root(pickle) < nodes && nodes <= size + 3);
    for (tsr_pickle_ref ref = 0; ref < nodes; ++ref) {
        tsr_pickle_view v = tsr_pickle_look(pickle, ref);
        if (v.text)
            MUST((const uint8_t *)v.text >= data &&
                 (const uint8_t *)v.text + v.text_size <= data + size);
        tsr_pickle_ref key, value;
        uint64_t items = 0;
        for (uint32_t place = 0; tsr_pickle_next(pickle, ref, &place, &key, &value); ++items)
            MUST(key < nodes && value < nodes && items <= size * 5 + 64);
        char text[64];
        MUST(items == v.count || v.kind == TSR_PICKLE_OBJECT);
        MUST(strlen(tsr_pickle_name_text(pickle, ref, text, sizeof text)) < sizeof text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_pickle *pickle = NULL;
    size_t used = 0;
    if (tsr_context_open(&ctx, NULL)) return 0;
    tsr_status status = tsr_pickle_parse(ctx, "fuzz", data, size, &pickle, &used);
    MUST((status == TSR_OK) == (pickle != NULL) && used <= size);
    if (pickle) look(pickle, data, size);
    tsr_pickle_close(&pickle);
    alloc_fail_at(size % 16);
    tsr_pickle_parse(ctx, "fuzz", data, size, &pickle, &used);
    tsr_pickle_close(&pickle);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
