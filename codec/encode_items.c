/* SPDX-License-Identifier: MIT */
/* encode_items.c: the public calls that encode pictures in memory and search. */
#include "encode_pictures.h"
#include "search.h"

tsr_status tsr_tokenizer_encode(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties) {
    const tsr_encode_settings s = settings ? *settings : tsr_encode_settings_default();
    for (int i = 0; items && i < count; ++i)
        items[i] = NULL;
    uint64_t own;
    if (!near_ties) near_ties = &own;
    *near_ties = 0;
    tsr_encode_plan plan;
    tsr_status status = tsr_encode_plan_open(t, &s, &plan);
    if (!status) status = tsr_encode_pictures(t, &plan, pictures, count, items, near_ties);
    const bool made = !status;
    if (!status) status = tsr_encode_plan_finish(t->model.ctx, &plan);
    for (int i = 0; i < count && plan.target.metric && !status; ++i) {
        uint32_t decodes;
        status = tsr_search(t, &plan, items[i], &decodes);
    }
    for (int i = 0; i < count && made && status; ++i)
        tsr_item_close(&items[i]);
    tsr_encode_plan_close(&plan);
    return status;
}

tsr_status tsr_tokenizer_search(tsr_tokenizer *t, const tsr_token_choice *choice, tsr_item *item,
                                uint32_t *decodes) {
    const tsr_token_choice c = choice ? *choice : (tsr_token_choice){0};
    uint32_t own;
    tsr_encode_plan plan;
    tsr_status status = tsr_encode_plan_search(t, tsr_item_header(item), &c, &plan);
    if (!status) status = tsr_search(t, &plan, item, decodes ? decodes : &own);
    tsr_encode_plan_close(&plan);
    return status;
}
