/* SPDX-License-Identifier: MIT */
/* top_k.c: the k greatest numbers, and ids in ascending order. On vulkan a thread counts how many
 * numbers come before its own, which is its place: no exchange of elements, no order that chance
 * decides. */
#include <math.h>
#include <stdlib.h>

#include "rowwise.h"

enum { INDEX, EDGE, RANK }; /* of top_k */
enum { P_K, P_ORDER };

/* NaN is the greatest value; of equal ones the lowest place comes first. */
static bool comes_before(const float *x, int64_t i, int64_t j) {
    const bool above = x[i] > x[j] || (isnan(x[i]) && !isnan(x[j]));
    const bool below = x[j] > x[i] || (isnan(x[j]) && !isnan(x[i]));
    return above || (!below && i < j);
}

static void reference(const tsr_call *call) {
    const float *x = call->in[0]->data;
    int32_t *index = call->out[INDEX]->data, *rank = call->out[RANK]->data;
    float *edge = call->out[EDGE]->data;
    const int64_t n = tsr_elements(call->in[0]), k = call->p.i[P_K];
    int64_t taken = 0;
    edge[1] = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
        rank[i] = 0;
        for (int64_t j = 0; j < n; ++j)
            rank[i] += j != i && comes_before(x, j, i);
        if (rank[i] == k - 1) edge[0] = x[i];
        if (rank[i] == k) edge[1] = x[i];
        if (rank[i] < k)
            index[call->p.i[P_ORDER] == TSR_ORDER_FALLING ? rank[i] : taken++] = (int32_t)i;
    }
}

/* A number and where it was. */
typedef struct scored {
    float score;
    int32_t place;
} scored;

static int best_first(const void *a, const void *b) {
    const scored *p = a, *q = b;
    const float x[2] = {p->score, q->score};
    if (isnan(x[0]) == isnan(x[1]) && !(x[0] > x[1]) && !(x[1] > x[0]))
        return p->place < q->place ? -1 : 1;
    return comes_before(x, 0, 1) ? -1 : 1;
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    const float *x = call->in[0]->data;
    int32_t *index = call->out[INDEX]->data, *rank = call->out[RANK]->data;
    float *edge = call->out[EDGE]->data;
    const int64_t n = tsr_elements(call->in[0]), k = call->p.i[P_K];
    scored *list = tsr_device_scratch(device, (size_t)n * sizeof *list);
    if (!list) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < n; ++i)
        list[i] = (scored){x[i], (int32_t)i};
    qsort(list, (size_t)n, sizeof *list, best_first);
    for (int64_t i = 0; i < n; ++i)
        rank[list[i].place] = (int32_t)i;
    edge[0] = list[k - 1].score;
    edge[1] = k < n ? list[k].score : -INFINITY;
    for (int64_t i = 0, taken = 0; i < n; ++i)
        if (call->p.i[P_ORDER] == TSR_ORDER_FALLING) {
            if (i < k) index[i] = list[i].place;
        } else if (rank[i] < k)
            index[taken++] = (int32_t)i;
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_elements(call->in[0]);
    if (n > LOOP_LIMIT) return 0;
    const uint32_t push[2] = {(uint32_t)n, (uint32_t)call->p.i[P_K]};
    for (uint32_t pass = 0; pass < 2; ++pass, ++d) {
        *d = (tsr_gpu_dispatch){
            .variant = "top_k", .spec = {pass, (uint32_t)call->p.i[P_ORDER]}, .spec_count = 2};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, BIND_IN);
        for (int i = INDEX; i <= RANK; ++i)
            dispatch_bind(d, BIND_OUT + i);
        grid_set(d, tile_count(n, GROUP_THREADS));
    }
    return 2;
}

static double squared_count(const tsr_call *call) {
    return (double)tsr_elements(call->in[0]) * (double)tsr_elements(call->in[0]);
}

static const tsr_op op_top_k = {
    .name = "top_k", .reference = reference, .cpu = cpu, .gpu = gpu, .work = squared_count};

tsr_tensor *tsr_top_k(tsr_run *r, const tsr_tensor *x, int64_t k, tsr_order order,
                      tsr_tensor **edge) {
    if (edge) *edge = NULL;
    if (want_tensor(r, "top_k: x", x, TSR_DTYPE_F32, 1)) {
        const int64_t n = tsr_elements(x), two = 2;
        if (k < 1 || k > n)
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "top_k: k: wanted 1..%lld, got %lld", (long long)n,
                         (long long)k);
        tsr_call call = {.op = &op_top_k, .in = {x}, .in_count = 1, .out_count = 3};
        call.p.i[P_K] = (int32_t)k;
        call.p.i[P_ORDER] = (int32_t)order;
        call.out[INDEX] = tsr_run_new(r, TSR_DTYPE_I32, 1, &k);
        call.out[EDGE] = tsr_run_new(r, TSR_DTYPE_F32, 1, &two);
        call.out[RANK] = tsr_run_new(r, TSR_DTYPE_I32, 1, &n);
        tsr_run_emit(r, &call);
        if (edge) *edge = call.out[EDGE];
        return call.out[INDEX];
    }
    if (edge) *edge = tsr_run_failed(r);
    return tsr_run_failed(r);
}

/* ---- ids ---- */

static void sort_reference(const tsr_call *call) {
    const int32_t *ids = call->in[0]->data;
    int32_t *y = call->out[0]->data;
    const int64_t n = tsr_elements(call->in[0]);
    for (int64_t i = 0; i < n; ++i) {
        int64_t place = 0;
        for (int64_t j = 0; j < n; ++j)
            place += ids[j] < ids[i] || (ids[j] == ids[i] && j < i);
        y[place] = ids[i];
    }
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static tsr_status sort_cpu(tsr_device *device, const tsr_call *call) {
    (void)device;
    const size_t n = (size_t)tsr_elements(call->in[0]);
    memcpy(call->out[0]->data, call->in[0]->data, n * sizeof(int32_t));
    qsort(call->out[0]->data, n, sizeof(int32_t), ascending);
    return TSR_OK;
}

static int sort_gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_elements(call->in[0]);
    if (n > LOOP_LIMIT) return 0;
    const uint32_t push[1] = {(uint32_t)n};
    *d = (tsr_gpu_dispatch){.variant = "sort_ids"};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_sort_ids = {.name = "sort_ids",
                                   .reference = sort_reference,
                                   .cpu = sort_cpu,
                                   .gpu = sort_gpu,
                                   .work = squared_count};

tsr_tensor *tsr_sort_ids(tsr_run *r, const tsr_tensor *ids) {
    if (!want_tensor(r, "sort_ids: ids", ids, TSR_DTYPE_I32, 1)) return tsr_run_failed(r);
    tsr_call call = {.op = &op_sort_ids, .in = {ids}, .in_count = 1, .out_count = 1};
    call.out[0] = tsr_run_new(r, TSR_DTYPE_I32, ids->rank, ids->dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
