/* SPDX-License-Identifier: MIT */
/* verify_operator_codes.c: golden cases of operators with codebooks. */
#include "verify_operator.h"

#include <math.h>

static void add_codes(tsr_verify *v, tsr_token_set *set) {
    const tsr_tensor codes = tsr_case_input(v, "codes");
    tsr_case_column(v, set, "codes", TSR_TOKEN_AXIS_NONE, TSR_ARRAY_F32, 2, codes.dim, codes.data);
}

static void compare_ids(tsr_verify *v, const char *name, const tsr_token_set *made) {
    if (v->status) return;
    const tsr_token_array ids = tsr_token_set_column(made, "ids");
    tsr_case_i32(v, name, ids.data, ids.dim[0] * (ids.rank > 1 ? ids.dim[1] : 1));
}

void tsr_verify_operator_nearest_code(tsr_verify *v) {
    const tsr_tensor z = tsr_case_input(v, "z");
    tsr_token_set *set = v->status ? NULL : tsr_case_set(v, z.data, z.dim[0], z.dim[1], NULL);
    add_codes(v, set);
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "nearest-code:rule=%s", tsr_case_text(v, "rule"));
    compare_ids(v, "ids", made);
    /* a sum of squares in f32 over all tokens, for which the manifest states no tolerance */
    const double error = cJSON_GetNumberValue(tsr_case_answer(v, "squared_error"));
    tsr_case_trace_near(v, "squared_error", 1e-6 * error, made, "squared_error");
}

void tsr_verify_operator_soft_tokens(tsr_verify *v) {
    const tsr_tensor logits = tsr_case_input(v, "logits");
    tsr_token_set *set = tsr_case_bare_set(v, tsr_case_integer(v, "tokens"), NULL);
    tsr_case_column(v, set, "logits", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2, logits.dim,
                    logits.data);
    add_codes(v, set);
    const double tau = tsr_case_number(v, "tau");
    tsr_case_features(v, "expected.features",
                      tsr_case_reduce(v, set, "soft-tokens:tau=%.17g", tau));
    const tsr_token_set *made = tsr_case_reduce(v, set, "soft-tokens:tau=%.17g,top=%lld", tau,
                                                (long long)tsr_case_integer(v, "m"));
    compare_ids(v, "required.top_m_ids", made);
    tsr_case_features(v, "required.top_m_features", made);
    if (v->status) return;
    const tsr_token_array weights = tsr_token_set_column(made, "weights");
    tsr_case_f32(v, "required.top_m_weights", "features", weights.data,
                 weights.dim[0] * weights.dim[1]);
}

void tsr_verify_operator_cluster_count(tsr_verify *v) {
    const char *distortions = tsr_case_list(v, "distortion");
    const long long from = tsr_case_integer(v, "K_from");
    const tsr_token_set *made = tsr_case_plan(
        v, "cluster-count:distortions=%s,from=%lld,variant=published", distortions, from);
    tsr_case_trace(v, "expected.original_K", NULL, made, "k");
    made = tsr_case_plan(v, "cluster-count:distortions=%s,from=%lld", distortions, from);
    tsr_case_trace(v, "required.K", NULL, made, "k");
}
