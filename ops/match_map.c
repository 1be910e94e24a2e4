/* SPDX-License-Identifier: MIT */
/* match_map.c: where tokens go in a step of bipartite soft matching: the even tokens that stay, in
 * the order of the list, then the odd ones; an even token that merges goes where its odd one is. */
#include "rowwise.h"

enum { P_MERGED };

static void reference(const tsr_call *call) {
    const int32_t *order = call->in[0]->data, *odd = call->in[1]->data;
    int32_t *map = call->out[0]->data;
    const int64_t even = tsr_elements(call->in[0]), t = tsr_elements(call->out[0]),
                  merged = call->p.i[P_MERGED], stay = even - merged;
    for (int64_t p = 0; p < even; ++p)
        map[2 * order[p]] = (int32_t)(p < merged ? stay + odd[order[p]] : p - merged);
    for (int64_t j = 0; j < t / 2; ++j)
        map[2 * j + 1] = (int32_t)(stay + j);
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t even = tsr_elements(call->in[0]);
    const uint32_t push[3] = {(uint32_t)even, (uint32_t)(tsr_elements(call->out[0]) / 2),
                              (uint32_t)call->p.i[P_MERGED]};
    *d = (tsr_gpu_dispatch){.variant = "match_map"};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_IN + 1);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(even, GROUP_THREADS));
    return 1;
}

static const tsr_op op_match_map = {.name = "match_map", .reference = reference, .gpu = gpu};

tsr_tensor *tsr_match_map(tsr_run *r, const tsr_tensor *order, const tsr_tensor *odd, int64_t t,
                          int64_t merged) {
    if (!want_tensor(r, "match_map: order", order, TSR_DTYPE_I32, 1) ||
        !want_tensor(r, "match_map: odd", odd, TSR_DTYPE_I32, 1))
        return tsr_run_failed(r);
    const int64_t even = (t + 1) / 2;
    if (t < 2 || tsr_elements(order) != even || tsr_elements(odd) != even || merged < 0 ||
        merged > even)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "match_map: wanted the %lld even tokens of %lld, and at most as many "
                            "that merge, got %lld, %lld and %lld",
                            (long long)even, (long long)t, (long long)tsr_elements(order),
                            (long long)tsr_elements(odd), (long long)merged);
    if (!want_ids(r, "match_map: order", order, 0, even) ||
        !want_ids(r, "match_map: odd", odd, 0, t / 2))
        return tsr_run_failed(r);
    tsr_call call = {.op = &op_match_map, .in = {order, odd}, .in_count = 2, .out_count = 1};
    call.p.i[P_MERGED] = (int32_t)merged;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_I32, 1, &t);
    tsr_run_emit(r, &call);
    return call.out[0];
}
