/* SPDX-License-Identifier: MIT */
/* Any bytes as a zip archive. Whatever opens must be consistent: entries inside the archive, apart
 * from each other, under plain names, and readable to the last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/weights/zip_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_zip *zip = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    tsr_status status = tsr_zip_parse(ctx, "fuzz", data, size, &zip);
    MUST((status == TSR_OK) == (zip != NULL));
    uint64_t total = 0;
    for (int i = 0; zip && i < tsr_zip_count(zip); ++i) {
        const tsr_zip_entry *e = tsr_zip_at(zip, i);
        MUST(e->bytes >= data && e->size <= size && e->bytes + e->size <= data + size);
        MUST(e->name[0] && e->name[0] != '/' && !strchr(e->name, '\\'));
        for (const char *part = e->name; part; part = strchr(part, '/')) {
            part += *part == '/';
            MUST(strncmp(part, "..", 2) || (part[2] && part[2] != '/'));
        }
        MUST(tsr_zip_find(zip, e->name) == e);
        tsr_zip_check(ctx, "fuzz", e);
        total += e->size;
    }
    MUST(total <= size);
    tsr_zip_close(&zip);
    alloc_fail_at(size % 8);
    tsr_zip_parse(ctx, "fuzz", data, size, &zip);
    tsr_zip_close(&zip);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
