/* SPDX-License-Identifier: MIT */
/* pair_moments.c: means, variances and covariance of the channels of two maps. Moments of chunks of
 * 256 places come first, each from the chunk's own means; then they are merged in their order by
 * the rule of Chan, Golub and LeVeque 1983. */
#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { MOMENTS = 5, CHUNK = 256 };

typedef struct view {
    const float *a, *b;
    float *y, *part; /* part [batch, chunks, 5, c]: sums of deviations are not divided yet */
    int64_t batch, places, c, chunks;
} view;

static view get_view(const tsr_call *call) {
    const tsr_tensor *x = call->in[0];
    const int64_t c = tsr_cols(x), batch = x->dim[0] / 2, places = tsr_rows(x) / x->dim[0];
    const float *a = x->data;
    return (view){
        a, a + batch * places * c,   call->out[0]->data, call->out[1]->data, batch, places,
        c, tile_count(places, CHUNK)};
}

/* Moments of n places of c channels. */
TSR_CLONES static void moments(const float *a, const float *b, int64_t n, int64_t c, float *y) {
    float *ma = y, *mb = y + c, *va = y + 2 * c, *vb = y + 3 * c, *ab = y + 4 * c;
    memset(y, 0, (size_t)(MOMENTS * c) * sizeof *y);
    for (int64_t p = 0; p < n; ++p)
        TSR_INDEPENDENT
    for (int64_t i = 0; i < c; ++i) {
        ma[i] += a[p * c + i];
        mb[i] += b[p * c + i];
    }
    for (int64_t i = 0; i < c; ++i) {
        ma[i] /= (float)n;
        mb[i] /= (float)n;
    }
    for (int64_t p = 0; p < n; ++p)
        TSR_INDEPENDENT
    for (int64_t i = 0; i < c; ++i) {
        float da = a[p * c + i] - ma[i], db = b[p * c + i] - mb[i];
        va[i] += da * da;
        vb[i] += db * db;
        ab[i] += da * db;
    }
}

static void part(const view *v, int64_t at) {
    int64_t first = at % v->chunks * CHUNK, b = at / v->chunks;
    int64_t n = v->places - first < CHUNK ? v->places - first : CHUNK;
    int64_t from = (b * v->places + first) * v->c;
    moments(v->a + from, v->b + from, n, v->c, v->part + at * MOMENTS * v->c);
}

/* Chunk after chunk into the first, which ends as moments. */
static void merge(const view *v, int64_t b) {
    float *y = v->y + b * MOMENTS * v->c;
    const float *from = v->part + b * v->chunks * MOMENTS * v->c;
    const int64_t c = v->c;
    memcpy(y, from, (size_t)(MOMENTS * c) * sizeof *y);
    for (int64_t k = 1; k < v->chunks; ++k) {
        int64_t before = k * CHUNK;
        int64_t n = v->places - before < CHUNK ? v->places - before : CHUNK;
        const float *p = from + k * MOMENTS * c;
        float share = (float)n / (float)(before + n), weight = (float)before * share;
        for (int64_t i = 0; i < c; ++i) {
            float da = p[i] - y[i], db = p[c + i] - y[c + i];
            y[i] += da * share;
            y[c + i] += db * share;
            y[2 * c + i] += p[2 * c + i] + da * da * weight;
            y[3 * c + i] += p[3 * c + i] + db * db * weight;
            y[4 * c + i] += p[4 * c + i] + da * db * weight;
        }
    }
    for (int64_t i = 2 * c; i < MOMENTS * c; ++i)
        y[i] /= (float)v->places;
}

static void reference(const tsr_call *call) {
    view v = get_view(call);
    for (int64_t at = 0; at < v.batch * v.chunks; ++at)
        part(&v, at);
    for (int64_t b = 0; b < v.batch; ++b)
        merge(&v, b);
}

static void part_tile(void *arg, int64_t t, int worker) {
    (void)worker;
    part(arg, t);
}

static void merge_tile(void *arg, int64_t t, int worker) {
    (void)worker;
    merge(arg, t);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    view v = get_view(call);
    tsr_parallel(tsr_device_context(device), v.batch * v.chunks, part_tile, &v);
    tsr_parallel(tsr_device_context(device), v.batch, merge_tile, &v);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    view v = get_view(call);
    if (v.chunks > LOOP_LIMIT) return 0;
    int64_t n = v.batch * v.chunks * v.c, m = v.batch * v.c;
    d[0] = (tsr_gpu_dispatch){.variant = "pair_moments_part"};
    uint32_t push[] = {(uint32_t)n, (uint32_t)v.places, (uint32_t)v.c, (uint32_t)v.chunks,
                       (uint32_t)v.batch};
    dispatch_push(&d[0], push, sizeof push);
    dispatch_bind(&d[0], BIND_IN);
    dispatch_bind(&d[0], BIND_OUT + 1);
    grid_set(&d[0], tile_count(n, GROUP_THREADS));
    d[1] = (tsr_gpu_dispatch){.variant = "pair_moments_merge"};
    push[0] = (uint32_t)m;
    dispatch_push(&d[1], push, sizeof push);
    dispatch_bind(&d[1], BIND_OUT + 1);
    dispatch_bind(&d[1], BIND_OUT);
    grid_set(&d[1], tile_count(m, GROUP_THREADS));
    return 2;
}

static double work(const tsr_call *call) {
    return 3 * (double)tsr_elements(call->in[0]);
}

static const tsr_op op_pair_moments = {
    .name = "pair_moments", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

tsr_tensor *tsr_pair_moments(tsr_run *r, const tsr_tensor *x) {
    if (!want_tensor(r, "pair_moments: x", x, TSR_DTYPE_F32, 3)) return tsr_run_failed(r);
    char got[96];
    if (x->dim[0] % 2)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "pair_moments: wanted pairs of maps, got %s",
                            tsr_shape_text(x, got, sizeof got));
    tsr_call call = {.op = &op_pair_moments, .in = {x}, .in_count = 1, .out_count = 2};
    const int64_t c = tsr_cols(x), batch = x->dim[0] / 2;
    const int64_t parts[3] = {batch * tile_count(tsr_rows(x) / x->dim[0], CHUNK), MOMENTS, c};
    if (!want_size(r, "pair_moments", 3, parts)) return tsr_run_failed(r);
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){batch, MOMENTS, c});
    call.out[1] = tsr_run_new(r, TSR_DTYPE_F32, 3, parts);
    tsr_run_emit(r, &call);
    return call.out[0];
}
