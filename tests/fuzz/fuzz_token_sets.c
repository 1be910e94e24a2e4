/* SPDX-License-Identifier: MIT */
/* Any bytes as a file of token sets. What is read keeps the promises of reduce.h, can be reduced,
 * and is refused with a text otherwise; also without memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "alloc_fail.h"
#include "must.h"
#include "reduce/token_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(tsr_context *ctx, const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    MUST(info.count >= 1 && info.source >= 1 && info.channels >= 1);
    MUST(!info.grid[0] || info.grid[0] * info.grid[1] * info.grid[2] == info.count);
    MUST(tsr_token_set_check(set, "fuzz") == TSR_OK);
    if (info.source * info.channels > 1 << 16) return;
    float *back = malloc(sizeof *back * (size_t)(info.source * info.channels));
    if (back) MUST(tsr_token_set_unmerge(set, back) == TSR_OK);
    free(back);
    const char *chain[] = {"cls-attention-topk:ratio=0.5"};
    tsr_token_set *made = NULL;
    const tsr_status status = tsr_token_set_reduce(set, chain, 1, NULL, &made);
    MUST((status == TSR_OK) == (made != NULL));
    MUST(made ? tsr_token_set_check(made, "fuzz") == TSR_OK : tsr_detail(ctx)[0] != 0);
    tsr_token_set_close(&made);
}

static void walk(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_token_sets *sets = NULL;
    const tsr_status status = tsr_token_sets_parse(ctx, "fuzz", data, size, &sets);
    MUST((status == TSR_OK) == (sets != NULL));
    MUST(sets || tsr_detail(ctx)[0]);
    for (int64_t i = 0; i < tsr_token_sets_count(sets) && i < 4; ++i) {
        tsr_token_set *set = NULL;
        const tsr_status read = tsr_token_sets_read(sets, i, &set);
        MUST((read == TSR_OK) == (set != NULL));
        if (set) look_at(ctx, set);
        tsr_token_set_close(&set);
    }
    tsr_token_sets_close(&sets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    const tsr_context_settings settings = {.threads = 1, .memory_limit = 1 << 26};
    if (tsr_context_open(&ctx, &settings)) return 0;
    walk(ctx, data, size);
    alloc_fail_at(size % 24);
    tsr_token_sets *sets = NULL;
    tsr_token_set *set = NULL;
    if (!tsr_token_sets_parse(ctx, "fuzz", data, size, &sets)) tsr_token_sets_read(sets, 0, &set);
    tsr_token_set_close(&set);
    tsr_token_sets_close(&sets);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
