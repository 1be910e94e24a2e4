/* SPDX-License-Identifier: MIT */
/* attribute_out.c: see attribute_out.h. */
#include "attribute_out.h"
#include "tool.h"

#include <inttypes.h>
#include <string.h>

void attribute_lines(const char *before, const tsr_attribute *list, uint32_t count) {
    char name[260], text[201], clean[201];
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_attribute *a = &list[i];
        const size_t shown = a->size < sizeof text - 1 ? a->size : sizeof text - 1;
        printf("%s%s = ", before, tool_clean(a->name, name, sizeof name));
        if (a->type == TSR_ATTRIBUTE_INTEGER) {
            printf("%" PRId64 "\n", a->integer);
        } else if (a->type == TSR_ATTRIBUTE_BYTES) {
            printf("(%zu bytes)\n", a->size);
        } else {
            size_t n = 0; /* a zero byte would end the text */
            for (; n < shown; ++n)
                text[n] = ((const char *)a->bytes)[n] ? ((const char *)a->bytes)[n] : '?';
            while (n < a->size && n > 0 && (((const char *)a->bytes)[n] & 0xC0) == 0x80)
                n--; /* not within a letter */
            text[n] = 0;
            printf("%s", tool_clean(text, clean, sizeof clean));
            if (n < a->size) printf("... (%zu bytes)", a->size);
            putchar('\n');
        }
    }
}

void attribute_json(json_out *j, const char *key, const tsr_attribute *list, uint32_t count) {
    json_object(j, key);
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_attribute *a = &list[i];
        if (a->type == TSR_ATTRIBUTE_INTEGER) {
            json_int(j, a->name, a->integer);
        } else if (a->type == TSR_ATTRIBUTE_TEXT) {
            json_text_of(j, a->name, a->bytes, a->size);
        } else {
            json_object(j, a->name);
            json_base64(j, "base64", a->bytes, a->size);
            json_end(j, '}');
        }
    }
    json_end(j, '}');
}
