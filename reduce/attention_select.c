/* SPDX-License-Identifier: MIT */
/* attention_select.c: tokens that a tower's own attention points at. */
#include "select.h"

/* FasterVLM. */
static void cls_attention_topk(tsr_operation *o) {
    const tsr_token_array attention =
        tsr_operation_column(o, "attention", TSR_ARRAY_F32, TSR_TOKEN_AXIS_LAST, 2);
    const int64_t n = o->in->count, k = tsr_select_count(o, n), heads = attention.dim[0];
    float *score = tsr_operation_take(o, n, sizeof *score, "scores");
    int32_t *index = tsr_operation_take(o, k, sizeof *index, "indices");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t h = 0; h < heads; ++h)
            sum += (double)((const float *)attention.data)[h * n + i];
        score[i] = (float)(sum / (double)heads);
    }
    tsr_select_top(o, score, n, k, index);
    tsr_operation_trace_f32(o, "score", score, n);
    tsr_operation_keep(o, index, k);
}

const tsr_operator tsr_operator_cls_attention_topk = {
    .info = {.name = "cls-attention-topk",
             .kind = TSR_OPERATOR_SELECT,
             .about = "keeps the tokens that the class token attends to most",
             .formula =
                 "score_i = mean over heads of attention[h, class, i]; the k highest stay, in "
                 "their order",
             .source = "FasterVLM (Theia-4869/FasterVLM @ f5d5f12)",
             .differs = NULL,
             .cost = "H N additions, N log N comparisons",
             .columns = "attention"},
    .parameters = {TSR_SELECT_PARAMETERS},
    .apply = cls_attention_topk,
};
