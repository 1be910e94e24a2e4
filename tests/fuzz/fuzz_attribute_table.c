/* SPDX-License-Identifier: MIT */
/* Any bytes as a table of attributes: the first byte says which form. Whatever opens hands out
 * attributes that a token file takes, and every key is found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "compute/context.h"
#include "datasets/attribute_table.h"
#include "formats/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tsr_status check_attribute(void *user, const tsr_attribute *a) {
    int *count = user;
    const size_t n = strlen(a->name);
    MUST(n >= 1 && n <= 255 && tsr_utf8_valid(a->name, n, NULL));
    MUST(a->size <= TSR_MAX_ATTRIBUTE_BYTES);
    MUST(a->type == TSR_ATTRIBUTE_INTEGER ? !a->size : a->type == TSR_ATTRIBUTE_TEXT);
    if (a->size) MUST(tsr_utf8_valid(a->bytes, a->size, NULL));
    ++*count;
    return TSR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    const char *name = *data & 1 ? "x.tsv" : "x.jsonl";
    tsr_context *ctx = NULL;
    tsr_attribute_table *table = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    const tsr_status status = tsr_attribute_table_parse(ctx, name, data + 1, size - 1, &table);
    MUST((status == TSR_OK) == (table != NULL));
    int count = 0;
    if (table) {
        uint64_t left = tsr_attribute_table_rows(table);
        char *key;
        MUST(tsr_attribute_table_unused(table, &key, 1) == left);
        while (key) { /* each row once: asked for by its own key, it is no longer unused */
            MUST(tsr_attribute_table_find(ctx, table, key, check_attribute, &count) == TSR_OK);
            free(key);
            MUST(tsr_attribute_table_unused(table, &key, 1) == --left);
        }
        MUST(left == 0);
        MUST(tsr_attribute_table_find(ctx, table, "no such key", check_attribute, &count) ==
             TSR_OK);
    }
    tsr_attribute_table_close(&table);
    alloc_fail_at(size % 32);
    tsr_attribute_table_parse(ctx, name, data + 1, size - 1, &table);
    alloc_fail_at(-1);
    tsr_attribute_table_close(&table);
    tsr_context_close(&ctx);
    return 0;
}
