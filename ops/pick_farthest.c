/* SPDX-License-Identifier: MIT */
/* pick_farthest.c: picks that are far from each other, one after the other: update the scores by
 * the distances of the last pick, take the greatest. On vulkan one group of threads does that for
 * hundreds of picks in a dispatch, since a pick needs the one before it and little arithmetic. */
#include <math.h>

#include "rowwise.h"

enum { ORDER, AT, MARGIN, SCORE, START };
enum { P_K, P_RULE, P_FIRST };

/* Scores of the first pick. */
static void start_row(const tsr_call *call, int64_t i) {
    const int64_t n = tsr_rows(call->in[0]);
    const float *d = (const float *)call->in[0]->data + i * n;
    const int rule = call->p.i[P_RULE];
    float *start = (float *)call->out[START]->data + i, least = INFINITY;
    double sum = 0;
    if (call->p.i[P_FIRST] >= 0) {
        *start = call->p.i[P_FIRST] == i ? 0 : -INFINITY;
        return;
    }
    for (int64_t j = 0; j < n; ++j) {
        sum += (double)d[j];
        if (j != i && d[j] < least) least = d[j];
    }
    *start = rule == TSR_FARTHEST_MAXMIN    ? (n > 1 ? least : 0)
             : rule == TSR_FARTHEST_KCENTRE ? (float)-sum
                                            : (float)sum;
}

/* The greatest of n scores, the lowest of equal ones, and by how much it is above the next. */
static int64_t take_best(const float *score, int64_t n, float *margin) {
    int64_t best = 0;
    float second = -INFINITY;
    for (int64_t i = 1; i < n; ++i)
        if (score[i] > score[best]) best = i;
    for (int64_t i = 0; i < n; ++i)
        if (i != best && score[i] > second) second = score[i];
    *margin = score[best] - second;
    return best;
}

static void pick_all(const tsr_call *call) {
    const int64_t n = tsr_rows(call->in[0]), k = call->p.i[P_K];
    const float *distance = call->in[0]->data, *start = call->out[START]->data;
    float *score = call->out[SCORE]->data, *at = call->out[AT]->data,
          *margin = call->out[MARGIN]->data;
    int32_t *order = call->out[ORDER]->data;
    for (int64_t p = 0; p < k; ++p) {
        const float *from = p ? score : start;
        const int64_t pick = take_best(from, n, &margin[p]);
        const float *d = distance + pick * n;
        order[p] = (int32_t)pick;
        at[p] = from[pick];
        for (int64_t i = 0; i < n; ++i)
            if (p == 0)
                score[i] = d[i];
            else if (call->p.i[P_RULE] == TSR_FARTHEST_MAXSUM)
                score[i] += d[i];
            else
                score[i] = d[i] < score[i] ? d[i] : score[i];
        score[pick] = -INFINITY; /* and stays so */
    }
}

static void reference(const tsr_call *call) {
    for (int64_t i = 0; i < tsr_rows(call->in[0]); ++i)
        start_row(call, i);
    pick_all(call);
}

static void tile(void *arg, int64_t i, int worker) {
    (void)worker;
    start_row(arg, i);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), tsr_rows(call->in[0]), tile, (void *)call);
    pick_all(call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_rows(call->in[0]), k = call->p.i[P_K];
    const int64_t turns = 3 * tile_count(n, GROUP_THREADS) + 24; /* of a thread in a pick */
    const int64_t most = LOOP_LIMIT / turns, threads = row_threads(n);
    const int64_t picks = most < 1 ? 0 : tile_count(k, most);
    if (most < 1 || 1 + picks > TSR_MAX_DISPATCHES || n / threads > LOOP_LIMIT) return 0;
    for (int64_t i = 0; i <= picks; ++i, ++d) {
        const int64_t from = (i - 1) * most, to = from + most < k ? from + most : k;
        const uint32_t push[4] = {(uint32_t)n, (uint32_t)(i ? from : 0), (uint32_t)(i ? to : 0),
                                  (uint32_t)call->p.i[P_FIRST]};
        *d = (tsr_gpu_dispatch){
            .variant = "pick_farthest",
            .spec = {i ? GROUP_THREADS : (uint32_t)threads, i > 0, (uint32_t)call->p.i[P_RULE]},
            .spec_count = 3};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, BIND_IN);
        for (int o = ORDER; o <= START; ++o)
            dispatch_bind(d, BIND_OUT + o);
        grid_set(d, i ? 1 : tile_count(n, GROUP_THREADS / threads));
    }
    return (int)picks + 1;
}

static double work(const tsr_call *call) {
    const double n = (double)tsr_rows(call->in[0]);
    return n * n + n * (double)call->p.i[P_K];
}

static const tsr_op op_pick_farthest = {
    .name = "pick_farthest", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_picks tsr_pick_farthest(tsr_run *r, const tsr_tensor *distance, tsr_farthest_rule rule,
                            int64_t first, int64_t k) {
    tsr_tensor *failed = tsr_run_failed(r);
    if (!want_tensor(r, "pick_farthest: distances", distance, TSR_DTYPE_F32, 2))
        return (tsr_picks){failed, failed, failed, failed};
    const int64_t n = tsr_rows(distance);
    if (distance->rank != 2 || tsr_cols(distance) != n || k < 1 || k > n || first < -1 ||
        first >= n || (int)rule < 0 || rule > TSR_FARTHEST_MAXSUM) {
        char text[96];
        tsr_run_fail(
            r, TSR_ERROR_ARGUMENT,
            "pick_farthest: wanted distances [N, N], 1..N picks and a first one below N or -1, "
            "got %s, %lld and %lld",
            tsr_shape_text(distance, text, sizeof text), (long long)k, (long long)first);
        return (tsr_picks){failed, failed, failed, failed};
    }
    tsr_call call = {.op = &op_pick_farthest, .in = {distance}, .in_count = 1, .out_count = 5};
    call.p.i[P_K] = (int32_t)k;
    call.p.i[P_RULE] = (int32_t)rule;
    call.p.i[P_FIRST] = (int32_t)first;
    call.out[ORDER] = tsr_run_new(r, TSR_DTYPE_I32, 1, &k);
    call.out[AT] = tsr_run_new(r, TSR_DTYPE_F32, 1, &k);
    call.out[MARGIN] = tsr_run_new(r, TSR_DTYPE_F32, 1, &k);
    call.out[SCORE] = tsr_run_new(r, TSR_DTYPE_F32, 1, &n);
    call.out[START] = tsr_run_new(r, TSR_DTYPE_F32, 1, &n);
    tsr_run_emit(r, &call);
    return (tsr_picks){call.out[ORDER], call.out[AT], call.out[MARGIN], call.out[SCORE]};
}
