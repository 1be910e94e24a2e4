/* SPDX-License-Identifier: MIT */
/* verify_operator_select.c: golden cases of operators that score and keep tokens. */
#include "verify_operator.h"

/* Copies attention [heads, n + 1] without its first column, the class token's. */
static const float *without_class(tsr_verify *v, const tsr_tensor *attention) {
    const int64_t heads = tsr_rows(attention), n = tsr_cols(attention) - 1;
    float *rows = tsr_verify_take(v, heads * n, sizeof *rows, "attention");
    for (int64_t i = 0; rows && i < heads * n; ++i)
        rows[i] = ((const float *)attention->data)[i / n * (n + 1) + 1 + i % n];
    return rows;
}

void tsr_verify_operator_cls_attention_topk(tsr_verify *v) {
    const tsr_tensor attention = tsr_case_input(v, "att");
    const int64_t n = tsr_case_integer(v, "tokens"), k = tsr_case_integer(v, "k");
    tsr_token_set *set = tsr_case_bare_set(v, n, NULL);
    const float *rows = without_class(v, &attention);
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 2,
                    (int64_t[]){tsr_rows(&attention), n}, rows);
    const tsr_token_set *made = tsr_case_reduce(v, set, "cls-attention-topk:k=%lld", (long long)k);
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "score", "score", made, "score");
}
