/* SPDX-License-Identifier: MIT */
/* verify_operator_diverse.c: golden cases of operators that pick tokens or frames one after the
 * other. */
#include "verify_operator.h"

#include <stdio.h>

static tsr_token_set *set_of_input(tsr_verify *v, const char *name) {
    const tsr_tensor x = tsr_case_input(v, name);
    return v->status ? NULL : tsr_case_set(v, x.data, x.dim[0], x.dim[1], NULL);
}

/* The order that the original gives for copies is rounding alone, and repeats a token: it is
 * refused. The original sees as many different tokens as picks have a distance above 0. */
static void compare_copies(tsr_verify *v, const tsr_token_set *set, const tsr_token_set *made,
                           long long k) {
    const tsr_token_array order = tsr_token_set_trace(made, "order");
    const tsr_token_array distance = tsr_token_set_trace(made, "distance");
    char operation[64];
    snprintf(operation, sizeof operation, "diverse-maxmin:k=%lld,variant=published", k);
    tsr_case_refuses(v, "expected.original_order", set, TSR_ERROR_UNSUPPORTED, operation);
    if (v->status) return;
    int32_t apart = 1, kept = (int32_t)order.dim[0];
    for (int64_t i = 1; i < distance.dim[0]; ++i)
        apart += ((const float *)distance.data)[i] > 0;
    tsr_case_i32(v, "expected.original_distinct", &apart, 1);
    tsr_case_i32(v, "required.order_of_the_first_10", order.data, 10);
    tsr_case_i32(v, "required.distinct", &kept, 1); /* keeping a token twice would be refused */
}

void tsr_verify_operator_diverse_maxmin(tsr_verify *v) {
    tsr_token_set *set = set_of_input(v, "x");
    const long long k = tsr_case_integer(v, "k");
    const tsr_token_set *made = tsr_case_reduce(v, set, "diverse-maxmin:k=%lld", k);
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_kept(v, "indices", made);
    if (tsr_case_answer(v, "required.distinct")) {
        compare_copies(v, set, made, k);
        return;
    }
    made = tsr_case_reduce(v, set, "diverse-maxmin:ratio=%.17g", tsr_case_number(v, "ratio"));
    tsr_case_trace(v, "order", NULL, made, "order");
}

void tsr_verify_operator_diverse_kcentre(tsr_verify *v) {
    tsr_token_set *set = set_of_input(v, "x");
    const tsr_token_set *made = tsr_case_reduce(v, set, "diverse-kcentre:k=%lld,first=%lld",
                                                (long long)tsr_case_integer(v, "k"),
                                                (long long)tsr_case_integer(v, "first"));
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "radius", "radius", made, "radius");
}

void tsr_verify_operator_diverse_maxsum(tsr_verify *v) {
    tsr_token_set *set = set_of_input(v, "x");
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "diverse-maxsum:k=%lld", (long long)tsr_case_integer(v, "k"));
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_kept(v, "indices", made);
}

void tsr_verify_operator_coverage_greedy(tsr_verify *v) {
    const tsr_tensor encoder = tsr_case_input(v, "enc");
    const bool with_text = tsr_case_has_input(v, "text");
    tsr_token_set *set = set_of_input(v, with_text ? "x" : "enc");
    if (with_text) {
        const tsr_tensor text = tsr_case_input(v, "text");
        tsr_case_column(v, set, "text", TSR_TOKEN_AXIS_NONE, TSR_ARRAY_F32, 2, text.dim, text.data);
        tsr_case_column(v, set, "encoder", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2, encoder.dim,
                        encoder.data);
    }
    const char *exclude = tsr_case_list(v, "exclude");
    const tsr_token_set *made = tsr_case_reduce(
        v, set,
        "coverage-greedy:k=%lld,alpha=%.17g,temperature_vision=%.17g,temperature_text=%.17g%s%s",
        (long long)tsr_case_integer(v, "k"), tsr_case_number(v, "alpha"),
        tsr_case_number(v, "temperature_vision"),
        with_text ? tsr_case_number(v, "temperature_text") : 0.02, *exclude ? ",exclude=" : "",
        exclude);
    tsr_case_kept(v, "indices", made);
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_trace(v, "gain", "gain", made, "gain");
}

void tsr_verify_operator_set_cover_frames(tsr_verify *v) {
    const long long most = tsr_case_integer(v, "K");
    const int64_t frames = tsr_case_integer(v, "frames");
    const tsr_token_set *made;
    if (tsr_case_has_input(v, "codes")) {
        const tsr_tensor codes = tsr_case_input(v, "codes");
        const int64_t n = tsr_elements(&codes);
        if (v->status) return;
        tsr_token_set *set = tsr_case_bare_set(v, n, (int64_t[]){frames, 1, codes.dim[1]});
        tsr_case_column(v, set, "ids", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_I32, 1, &n, codes.data);
        made = tsr_case_reduce(v, set, "set-cover-frames:frames=%lld", most);
        tsr_case_trace(v, "total_ids", NULL, made, "total");
    } else {
        const tsr_tensor points = tsr_case_input(v, "points");
        const tsr_tensor confidence = tsr_case_input(v, "confidence");
        const int64_t n = tsr_elements(&confidence);
        if (v->status) return;
        tsr_token_set *set = tsr_case_bare_set(v, n, confidence.dim);
        tsr_case_column(v, set, "points", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2, (int64_t[]){n, 3},
                        points.data);
        tsr_case_column(v, set, "confidence", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 1, &n,
                        confidence.data);
        made = tsr_case_reduce(v, set, "set-cover-frames:frames=%lld,sets=voxels", most);
        tsr_case_trace_near(v, "voxel_size", 0, made, "voxel_size"); /* f32: to the bit */
        tsr_case_trace(v, "voxels_per_frame", NULL, made, "ids_per_frame");
    }
    tsr_case_trace(v, "order", NULL, made, "order");
    tsr_case_trace(v, "indices", NULL, made, "frames");
    tsr_case_trace(v, "gain", NULL, made, "gain");
    tsr_case_trace(v, "covered", NULL, made, "covered");
}
