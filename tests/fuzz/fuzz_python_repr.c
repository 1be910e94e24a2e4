/* SPDX-License-Identifier: MIT */
/* Any text as a Python literal: what is accepted can be printed as JSON, and printing is stable. */
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "formats/weights/python_repr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    cJSON *json = NULL, *again = NULL;
    tsr_status status = tsr_python_repr_parse(ctx, "fuzz", (const char *)data, size, &json);
    if ((status == TSR_OK) != (json != NULL)) abort();
    if (json) {
        char *text = cJSON_PrintUnformatted(json), *twice;
        if (!text || !(again = cJSON_Parse(text))) abort();
        if (!(twice = cJSON_PrintUnformatted(again)) || strcmp(text, twice)) abort();
        cJSON_Delete(again);
        cJSON_free(text);
        cJSON_free(twice);
    }
    cJSON_Delete(json);
    alloc_fail_at(size % 16);
    tsr_python_repr_parse(ctx, "fuzz", (const char *)data, size, &json);
    alloc_fail_at(-1);
    cJSON_Delete(json);
    tsr_context_close(&ctx);
    return 0;
}
