/* SPDX-License-Identifier: MIT */
/* cover.c: greedy facility location: each pick adds most to the greatest similarity that every row
 * has to a pick. A call is a few picks, of two dispatches each: gains of all candidates, then the
 * best of them; the standing goes from call to call in tensors. */
#include <math.h>

#include "rowwise.h"

enum { ORDER, GAIN, MARGIN, BEST, SCORE };
enum { P_FROM, P_TO };
enum { PICKS = TSR_MAX_DISPATCHES / 2 }; /* of a call */

static void gain_row(const tsr_call *call, int64_t p, int64_t j) {
    const int64_t m = tsr_cols(call->in[0]);
    const float *row = (const float *)call->in[0]->data + j * m, *best = call->out[BEST]->data;
    float *score = (float *)call->out[SCORE]->data + j;
    double sum = 0;
    if (p && *score == -INFINITY) return;
    for (int64_t i = 0; i < m; ++i)
        sum += fmax(0, (double)row[i] - (p ? (double)best[i] : 0));
    *score = (float)sum;
}

static void take_best(const tsr_call *call, int64_t p) {
    const int64_t n = tsr_rows(call->in[0]), m = tsr_cols(call->in[0]);
    float *score = call->out[SCORE]->data, *best = call->out[BEST]->data, second = -INFINITY;
    int64_t pick = 0;
    for (int64_t i = 1; i < n; ++i)
        if (score[i] > score[pick]) pick = i;
    for (int64_t i = 0; i < n; ++i)
        if (i != pick && score[i] > second) second = score[i];
    ((int32_t *)call->out[ORDER]->data)[p] = (int32_t)pick;
    ((float *)call->out[GAIN]->data)[p] = score[pick];
    ((float *)call->out[MARGIN]->data)[p] = score[pick] - second;
    const float *row = (const float *)call->in[0]->data + pick * m;
    for (int64_t i = 0; i < m; ++i)
        best[i] = fmaxf(p ? best[i] : 0, row[i]);
    score[pick] = -INFINITY;
}

static void reference(const tsr_call *call) {
    for (int64_t p = call->p.i[P_FROM]; p < call->p.i[P_TO]; ++p) {
        for (int64_t j = 0; j < tsr_rows(call->in[0]); ++j)
            gain_row(call, p, j);
        take_best(call, p);
    }
}

typedef struct job {
    const tsr_call *call;
    int64_t pick;
} job;

static void tile(void *arg, int64_t row, int worker) {
    const job *j = arg;
    (void)worker;
    gain_row(j->call, j->pick, row);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    for (int64_t p = call->p.i[P_FROM]; p < call->p.i[P_TO]; ++p) {
        tsr_parallel(tsr_device_context(device), tsr_rows(call->in[0]), tile, &(job){call, p});
        take_best(call, p);
    }
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_rows(call->in[0]), m = tsr_cols(call->in[0]), threads = row_threads(m);
    const int count = 2 * (call->p.i[P_TO] - call->p.i[P_FROM]);
    if (m / threads > LOOP_LIMIT || (n + m) / GROUP_THREADS > LOOP_LIMIT) return 0;
    for (int i = 0; i < count; ++i, ++d) {
        const uint32_t push[3] = {(uint32_t)n, (uint32_t)m, (uint32_t)(call->p.i[P_FROM] + i / 2)};
        *d = (tsr_gpu_dispatch){.variant = "cover",
                                .spec = {i % 2 ? GROUP_THREADS : (uint32_t)threads, i % 2},
                                .spec_count = 2};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, BIND_IN);
        for (int o = ORDER; o <= SCORE; ++o)
            dispatch_bind(d, BIND_OUT + o);
        grid_set(d, i % 2 ? 1 : tile_count(n, GROUP_THREADS / threads));
    }
    return count;
}

static double work(const tsr_call *call) {
    return (double)tsr_elements(call->in[0]) * (call->p.i[P_TO] - call->p.i[P_FROM]);
}

static const tsr_op op_cover = {
    .name = "cover", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_picks tsr_cover(tsr_run *r, const tsr_tensor *similar, int64_t k) {
    tsr_tensor *failed = tsr_run_failed(r);
    if (!want_tensor(r, "cover: similarities", similar, TSR_DTYPE_F32, 2))
        return (tsr_picks){failed, failed, failed, failed};
    const int64_t n = tsr_rows(similar), m = tsr_cols(similar);
    if (similar->rank != 2 || k < 1 || k > n) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "cover: k: wanted 1..%lld picks, got %lld",
                     (long long)n, (long long)k);
        return (tsr_picks){failed, failed, failed, failed};
    }
    tsr_call call = {.op = &op_cover, .in = {similar}, .in_count = 1, .out_count = 5};
    call.out[ORDER] = tsr_run_new(r, TSR_DTYPE_I32, 1, &k);
    call.out[GAIN] = tsr_run_new(r, TSR_DTYPE_F32, 1, &k);
    call.out[MARGIN] = tsr_run_new(r, TSR_DTYPE_F32, 1, &k);
    call.out[BEST] = tsr_run_new(r, TSR_DTYPE_F32, 1, &m);
    call.out[SCORE] = tsr_run_new(r, TSR_DTYPE_F32, 1, &n);
    for (int64_t p = 0; p < k; p += PICKS) {
        call.p.i[P_FROM] = (int32_t)p;
        call.p.i[P_TO] = (int32_t)(p + PICKS < k ? p + PICKS : k);
        tsr_run_emit(r, &call);
    }
    return (tsr_picks){call.out[ORDER], call.out[GAIN], call.out[MARGIN], call.out[SCORE]};
}
