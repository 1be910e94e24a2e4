/* SPDX-License-Identifier: MIT */
/* Any bytes as a tokenizer.json or config.json: what is accepted is found again, and a map can be
 * compared with it, resolved and made by it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/runner/map.h>
#include "alloc_fail.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(tsr_context *ctx, tsr_token_table *table) {
    const tsr_vocabulary v = tsr_token_table_vocabulary(table);
    tsr_vocab_map *map;
    char *text;
    int failed;
    MUST(v.count > 0);
    for (uint32_t id = 0; id < v.count && id < 5000; ++id) {
        size_t size;
        const char *token = v.text(v.user, id, &size);
        if (token) MUST(tsr_token_table_find(table, token, size) == id);
    }
    MUST(tsr_vocab_map_open(ctx, "seed-llama", &map) == TSR_OK);
    MUST(tsr_vocab_map_check(ctx, map, &v, 0, NULL, NULL, &failed) == TSR_OK);
    if (tsr_vocab_map_resolve(ctx, map, table) == TSR_OK)
        MUST(tsr_vocab_map_special(map, "boi") != TSR_NO_ID);
    MUST((tsr_vocab_map_import(ctx, table, map, "made", &text) == TSR_OK) == (text != NULL));
    free(text);
    tsr_vocab_map_close(&map);
    uint32_t *ids;
    uint64_t count;
    tsr_token_table_ids(ctx, table, "<img><img_00001></img>", &ids, &count);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_token_table *table;
    if (tsr_context_open(&ctx, NULL)) return 0;
    const tsr_status status = tsr_token_table_parse(ctx, "fuzz", data, size, &table);
    MUST((status == TSR_OK) == (table != NULL) && (table || *tsr_detail(ctx)));
    if (table) use(ctx, table);
    tsr_token_table_close(&table);
    alloc_fail_at((long)(size % 16));
    tsr_token_table_parse(ctx, "fuzz", data, size, &table);
    alloc_fail_at(-1);
    tsr_token_table_close(&table);
    tsr_context_close(&ctx);
    return 0;
}
