/* SPDX-License-Identifier: MIT */
/* peaks.c: densities of k nearest neighbours, the distance of each row to the nearest
 * denser one, and the nearest of some centres. */
#include <math.h>
#include <stdlib.h>

#include "rowwise.h"

enum { DENSITY, DELTA, SCORE, FARTHEST };
enum { P_NEIGHBOURS, P_DIM };

/* Densest first, the lowest row of equal ones. */
static bool denser(const float *density, int64_t j, int64_t i) {
    return density[j] > density[i] || (density[j] == density[i] && j < i);
}

/* The k smallest of n numbers are summed from the smallest on, the lowest place among equals. */
static double sum_of_smallest(const float *x, int64_t n, int64_t k) {
    double sum = 0;
    float last = -1;
    int64_t place = -1;
    for (int64_t m = 0; m < k; ++m) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; ++i) {
            const bool left = x[i] > last || (x[i] == last && i > place);
            if (left && (best < 0 || x[i] < x[best])) best = i;
        }
        sum += (double)x[best];
        last = x[best];
        place = best;
    }
    return sum;
}

static void density_row(const tsr_call *call, int64_t i) {
    const int64_t n = tsr_rows(call->in[0]), k = call->p.i[P_NEIGHBOURS];
    const float *row = (const float *)call->in[0]->data + i * n;
    float most = 0;
    for (int64_t j = 0; j < n; ++j)
        most = row[j] > most ? row[j] : most;
    ((float *)call->out[FARTHEST]->data)[i] = most;
    ((float *)call->out[DENSITY]->data)[i] =
        (float)exp(-sum_of_smallest(row, n, k) / (double)call->p.i[P_DIM] / (double)k);
}

static void delta_row(const tsr_call *call, int64_t i) {
    const int64_t n = tsr_rows(call->in[0]);
    const float *row = (const float *)call->in[0]->data + i * n,
                *density = call->out[DENSITY]->data, *farthest = call->out[FARTHEST]->data;
    float least = INFINITY, most = 0;
    for (int64_t j = 0; j < n; ++j) {
        if (denser(density, j, i) && row[j] < least) least = row[j];
        most = farthest[j] > most ? farthest[j] : most;
    }
    const float delta =
        (float)sqrt((double)(least < INFINITY ? least : most) / (double)call->p.i[P_DIM]);
    ((float *)call->out[DELTA]->data)[i] = delta;
    ((float *)call->out[SCORE]->data)[i] = density[i] * delta;
}

static void reference(const tsr_call *call) {
    for (int64_t i = 0; i < tsr_rows(call->in[0]); ++i)
        density_row(call, i);
    for (int64_t i = 0; i < tsr_rows(call->in[0]); ++i)
        delta_row(call, i);
}

static void density_tile(void *arg, int64_t i, int worker) {
    (void)worker;
    density_row(arg, i);
}
static void delta_tile(void *arg, int64_t i, int worker) {
    (void)worker;
    delta_row(arg, i);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), tsr_rows(call->in[0]), density_tile, (void *)call);
    tsr_parallel(tsr_device_context(device), tsr_rows(call->in[0]), delta_tile, (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_rows(call->in[0]), k = call->p.i[P_NEIGHBOURS], threads = row_threads(n);
    const uint32_t push[3] = {(uint32_t)n, (uint32_t)k, (uint32_t)call->p.i[P_DIM]};
    if ((k + 2) * (n / threads + 9) > LOOP_LIMIT) return 0;
    for (uint32_t pass = 0; pass < 2; ++pass, ++d) {
        *d = (tsr_gpu_dispatch){
            .variant = "peaks", .spec = {(uint32_t)threads, pass}, .spec_count = 2};
        dispatch_push(d, push, sizeof push);
        dispatch_bind(d, BIND_IN);
        for (int o = DENSITY; o <= FARTHEST; ++o)
            dispatch_bind(d, BIND_OUT + o);
        grid_set(d, tile_count(n, GROUP_THREADS / threads));
    }
    return 2;
}

static double work(const tsr_call *call) {
    return (double)tsr_elements(call->in[0]) * (call->p.i[P_NEIGHBOURS] + 1);
}

static const tsr_op op_peaks = {
    .name = "peaks", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_peaks tsr_density_peaks(tsr_run *r, const tsr_tensor *squares, int64_t dim,
                            int64_t neighbours) {
    tsr_tensor *failed = tsr_run_failed(r);
    if (!want_tensor(r, "peaks: distances", squares, TSR_DTYPE_F32, 2))
        return (tsr_peaks){failed, failed, failed};
    const int64_t n = tsr_rows(squares);
    char text[96];
    if (squares->rank != 2 || tsr_cols(squares) != n || neighbours < 1 || neighbours > n ||
        dim < 1 || dim > INT32_MAX) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "peaks: wanted squared distances [N, N] and 1..N neighbours, got %s "
                     "and %lld",
                     tsr_shape_text(squares, text, sizeof text), (long long)neighbours);
        return (tsr_peaks){failed, failed, failed};
    }
    tsr_call call = {.op = &op_peaks, .in = {squares}, .in_count = 1, .out_count = 4};
    call.p.i[P_NEIGHBOURS] = (int32_t)neighbours;
    call.p.i[P_DIM] = (int32_t)dim;
    for (int o = DENSITY; o <= FARTHEST; ++o)
        call.out[o] = tsr_run_new(r, TSR_DTYPE_F32, 1, &n);
    tsr_run_emit(r, &call);
    return (tsr_peaks){call.out[DENSITY], call.out[DELTA], call.out[SCORE]};
}

/* ---- the nearest centre ---- */

static void join_row(const tsr_call *call, int64_t i) {
    const int64_t n = tsr_rows(call->in[0]), count = tsr_elements(call->in[1]);
    const float *row = (const float *)call->in[0]->data + i * n;
    const int32_t *centre = call->in[1]->data;
    int64_t best = 0;
    for (int64_t c = 0; c < count && centre[best] != i; ++c)
        if (centre[c] == i || row[centre[c]] < row[centre[best]]) best = c;
    ((int32_t *)call->out[0]->data)[i] = (int32_t)best;
}

static void join_reference(const tsr_call *call) {
    for (int64_t i = 0; i < tsr_rows(call->in[0]); ++i)
        join_row(call, i);
}

static int join_gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t n = tsr_rows(call->in[0]), count = tsr_elements(call->in[1]);
    const uint32_t push[2] = {(uint32_t)n, (uint32_t)count};
    if (count > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = "join_centres"};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_IN + 1);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_join_centres = {
    .name = "join_centres", .reference = join_reference, .gpu = join_gpu};

tsr_tensor *tsr_join_centres(tsr_run *r, const tsr_tensor *distance, const tsr_tensor *centres) {
    if (!want_tensor(r, "join_centres: distances", distance, TSR_DTYPE_F32, 2) ||
        !want_tensor(r, "join_centres: centres", centres, TSR_DTYPE_I32, 1))
        return tsr_run_failed(r);
    const int64_t n = tsr_rows(distance);
    char text[96];
    if (distance->rank != 2 || tsr_cols(distance) != n)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "join_centres: wanted distances [N, N], got %s",
                            tsr_shape_text(distance, text, sizeof text));
    if (!want_ids(r, "join_centres", centres, 0, n)) return tsr_run_failed(r);
    tsr_call call = {
        .op = &op_join_centres, .in = {distance, centres}, .in_count = 2, .out_count = 1};
    call.out[0] = tsr_run_new(r, TSR_DTYPE_I32, 1, &n);
    tsr_run_emit(r, &call);
    return call.out[0];
}
