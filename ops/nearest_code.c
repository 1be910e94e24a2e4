/* SPDX-License-Identifier: MIT */
/* nearest_code.c: which codebook entry is nearest, the argmax fused into the product.
 *
 * The nearest code has the greatest x.c - |c|^2/2. On the cpu the codebook is packed into panels
 * with the halved norms beside it; slices of it that fit the first-level cache meet blocks of rows,
 * and scores never leave the registers. Ties go to the lowest index; a row with NaN gets id 0 and
 * margin NaN, a code with NaN is never chosen. */
#include "../compute/cpu/gemm.h"
#include "rowwise.h"

#include <math.h>

enum { X, CODES, SQUARES, OPERANDS };
enum { IDS, MARGIN, STATE }; /* STATE: [N, parts, 3] what each part of the codes found */
enum { METRIC };

/* What a row or code is multiplied by under COSINE: 1/|v|, and 0 for a vector of zeros. */
static float inverse_norm(const float *v, int64_t d) {
    double sum = 0;
    for (int64_t i = 0; i < d; ++i)
        sum += (double)v[i] * v[i];
    return sum == 0 ? 0 : (float)(1 / sqrt(sum));
}

static void reference(const tsr_call *c) {
    int64_t n = tsr_rows(c->in[X]), d = tsr_cols(c->in[X]), k = tsr_rows(c->in[CODES]);
    bool cosine = c->p.i[METRIC] == TSR_METRIC_COSINE;
    int32_t *ids = c->out[IDS]->data;
    float *margin = c->out[MARGIN] ? c->out[MARGIN]->data : NULL;
    for (int64_t i = 0; i < n; ++i) {
        const float *x = (const float *)c->in[X]->data + i * d;
        float xs = cosine ? inverse_norm(x, d) : 1;
        float best = INFINITY, second = INFINITY;
        ids[i] = 0;
        for (int64_t j = 0; j < k; ++j) {
            const float *code = (const float *)c->in[CODES]->data + j * d;
            float cs = cosine ? inverse_norm(code, d) : 1;
            double sum = 0; /* the judge of near ties: better than f32 */
            for (int64_t l = 0; l < d; ++l) {
                double diff = (double)(x[l] * xs) - (double)(code[l] * cs);
                sum += diff * diff;
            }
            float distance = (float)sum;
            if (distance < best) {
                second = best;
                best = distance;
                ids[i] = (int32_t)j;
            } else if (distance < second) {
                second = distance;
            }
        }
        if (margin) margin[i] = k == 1 ? 0 : best == INFINITY ? NAN : second - best;
    }
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    const tsr_gemm_kernels *g;
    const float *x, *codes;
    float *panels, *half;
    int32_t *ids;
    float *margin;
    bool cosine;
    int64_t n, k, d;
    int64_t rows, slice, pack_step;
    char *scratch; /* for each worker: best of each row, then normalised rows or codes */
    size_t scratch_bytes, best_bytes;
} job;

static const float *normalised(const job *j, const float *v, int64_t rows, int worker) {
    if (!j->cosine) return v;
    float *to = (float *)(j->scratch + (size_t)worker * j->scratch_bytes + j->best_bytes);
    for (int64_t i = 0; i < rows; ++i) {
        float s = inverse_norm(v + i * j->d, j->d);
        for (int64_t l = 0; l < j->d; ++l)
            to[i * j->d + l] = v[i * j->d + l] * s;
    }
    return to;
}

static void pack_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    int64_t from = index * j->pack_step;
    int64_t n = j->k - from < j->pack_step ? j->k - from : j->pack_step;
    const float *codes = normalised(j, j->codes + from * j->d, n, worker);
    j->g->pack(j->panels + from * j->d, codes, j->d, n, 1, j->d);
    for (int64_t i = 0; i < n; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < j->d; ++l)
            sum += (double)codes[i * j->d + l] * codes[i * j->d + l];
        j->half[from + i] = (float)(sum / 2);
    }
    for (int64_t i = from + n; i % j->g->cols; ++i)
        j->half[i] = INFINITY; /* the columns past the last code never win */
}

static void search_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    int64_t from = index * j->rows, rows = j->n - from < j->rows ? j->n - from : j->rows;
    tsr_code_best *best = (void *)(j->scratch + (size_t)worker * j->scratch_bytes);
    const float *x = normalised(j, j->x + from * j->d, rows, worker);
    for (int64_t i = 0; i < rows; ++i)
        best[i] = (tsr_code_best){-INFINITY, -INFINITY, 0};
    tsr_gemm_panels panels = {j->panels, j->d, j->k, j->d, false};
    for (int64_t k0 = 0; k0 < j->k; k0 += j->slice) {
        int64_t k1 = j->k - k0 < j->slice ? j->k : k0 + j->slice;
        j->g->nearest(x, j->d, rows, &panels, j->half, k0, k1, j->margin != NULL, best);
    }
    for (int64_t i = 0; i < rows; ++i) {
        j->ids[from + i] = best[i].id;
        /* -inf minus -inf, a row without any number, is the NaN that is wanted */
        if (j->margin) j->margin[from + i] = j->k == 1 ? 0 : 2 * (best[i].best - best[i].second);
    }
}

static tsr_status cpu(tsr_device *device, const tsr_call *c) {
    tsr_context *ctx = tsr_device_context(device);
    job j = {.g = tsr_gemm_select(device),
             .x = c->in[X]->data,
             .codes = c->in[CODES]->data,
             .ids = c->out[IDS]->data,
             .margin = c->out[MARGIN] ? c->out[MARGIN]->data : NULL,
             .cosine = c->p.i[METRIC] == TSR_METRIC_COSINE,
             .n = tsr_rows(c->in[X]),
             .k = tsr_rows(c->in[CODES]),
             .d = tsr_cols(c->in[X])};
    int64_t cols = j.g->cols, wide = (j.k + cols - 1) / cols * cols;
    /* A slice of 16 KiB, two panels at least, beside the rows in the first-level cache. */
    j.slice = 4096 / j.d / cols * cols;
    if (j.slice < cols) j.slice = cols;
    j.rows = j.g->rows * (j.n >= 32 * 96 ? 16 : 4); /* few rows: smaller blocks, for every core */
    j.pack_step = 4 * cols;
    int64_t most = j.rows > j.pack_step ? j.rows : j.pack_step;
    j.best_bytes = ((size_t)j.rows * sizeof(tsr_code_best) + 63) / 64 * 64;
    j.scratch_bytes = j.best_bytes;
    if (j.cosine) j.scratch_bytes += (size_t)(most * j.d) * sizeof(float);
    j.scratch_bytes = (j.scratch_bytes + 63) / 64 * 64;
    j.panels = tsr_device_scratch(device, (size_t)(wide * j.d) * sizeof(float));
    j.half = tsr_device_scratch(device, (size_t)wide * sizeof(float));
    j.scratch = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * j.scratch_bytes);
    if (!j.panels || !j.half || !j.scratch) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, (j.k + j.pack_step - 1) / j.pack_step, pack_tile, &j);
    tsr_parallel(ctx, (j.n + j.rows - 1) / j.rows, search_tile, &j);
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

/* The codes are cut into parts, each searched by workgroups of its own: where there are few rows,
 * so that the device has work, and where there are so many codes that an invocation would make too
 * many loop iterations. Ids and margins do not depend on the cut. */
enum { TURNS = 50000, GROUPS = 512, GROUP_ROWS = 32, PART_CODES = 256, MOST_PARTS = 64 };

/* Parts that give the device enough workgroups. */
static int64_t parts_wanted(int64_t n, int64_t k) {
    int64_t parts = GROUPS / tile_count(n, GROUP_ROWS);
    if (parts > k / PART_CODES) parts = k / PART_CODES;
    return parts < 1 ? 1 : parts > MOST_PARTS ? MOST_PARTS : parts;
}

/* The bodies of the shader, with the codes that a loop takes at a time and the iterations that this
 * costs for codes of d numbers. */
typedef enum body { SUBGROUP, SHARED, PLAIN } body;
enum { LEAST_STEP = 32, TILE_ROWS = 64, TILE_CODES = 128, TILE_DEPTH = 16, TILE_BYTES = 16384 };

static int64_t turns_of(body b, int64_t d) {
    return b == SHARED ? tile_count(d, TILE_DEPTH) * (TILE_DEPTH + 1) + 1 : tile_count(d, 4) + 1;
}

/* Parts that a body's loops need which take `step` codes at a time and meet all rows in `passes`.
 * 0: no number is enough. */
static int64_t parts_needed(body b, int64_t k, int64_t d, int64_t step, int64_t passes) {
    int64_t steps = TURNS / (passes * turns_of(b, d));
    return steps ? tile_count(k, steps * step) : 0;
}

/* Parts that STATE has room for: for the slowest of the bodies where that is no burden. */
static int64_t parts_kept(int64_t n, int64_t k, int64_t d) {
    enum { LEAST_ROWS = 8, BURDEN = 1 << 22 };
    int64_t most = parts_wanted(n, k);
    int64_t passes = tile_count(tile_count(n, LEAST_ROWS), GROUP_LIMIT);
    int64_t needed[] = {parts_needed(PLAIN, k, d, 1, passes),
                        parts_needed(SHARED, k, d, TILE_CODES, passes),
                        parts_needed(SUBGROUP, k, d, LEAST_STEP, passes)};
    for (int i = needed[0] * n > BURDEN; i < 3; ++i)
        if (needed[i] > most) most = needed[i];
    return most;
}

static void merge(const tsr_call *c, int64_t parts, tsr_gpu_dispatch *d) {
    const int64_t n = tsr_rows(c->in[X]);
    const uint32_t threads = row_threads(parts * 4);
    const bool margin = c->out[MARGIN] != NULL;
    *d = (tsr_gpu_dispatch){
        .variant = "nearest_code_merge", .spec = {threads, margin}, .spec_count = 2};
    uint32_t push[] = {(uint32_t)n, (uint32_t)tsr_rows(c->in[CODES]), (uint32_t)parts};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_OUT + STATE);
    dispatch_bind(d, BIND_OUT + IDS);
    dispatch_bind(d, BIND_OUT + (margin ? MARGIN : IDS));
    grid_set(d, tile_count(n, GROUP_THREADS / threads));
}

/* Long codes pay for shared memory, but not on software drivers. */
static body choose(const tsr_gpu_caps *caps, bool sg, int64_t d) {
    const bool sm = caps->max_shared_bytes >= TILE_BYTES && caps->max_workgroup >= 128 &&
                    caps->allowed(caps->device, "nearest_code_sm");
    if (sm && (!sg || (d >= 2 * TILE_DEPTH && !caps->software))) return SHARED;
    return sg ? SUBGROUP : PLAIN;
}

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    int64_t n = tsr_rows(c->in[X]), k = tsr_rows(c->in[CODES]), depth = tsr_cols(c->in[X]);
    int64_t s = caps->subgroup_size;
    if (n * depth > INT32_MAX || k * depth > INT32_MAX) return 0;
    const bool sg = caps->subgroup_ops && caps->allowed(caps->device, "nearest_code_sg");
    const body form = choose(caps, sg, depth);
    if (form == PLAIN && !caps->allowed(caps->device, "nearest_code_plain")) return 0;
    bool longs = caps->software && caps->int64 && depth % 4 == 0; /* wide.glsl */
    int64_t tm = caps->software ? 16 : 8, tn = s >= 64 ? 2 : 4;
    uint32_t waves = caps->software || 4 * s > caps->max_workgroup ? 1 : 4;
    const int64_t step = form == SUBGROUP ? s * tn : form == SHARED ? TILE_CODES : 1;
    const int64_t rows = form == SUBGROUP ? tm * waves : TILE_ROWS;
    const uint32_t local = form == SUBGROUP ? (uint32_t)s * waves : form == SHARED ? 128 : 64;
    int64_t groups = tile_count(n, rows);
    /* beyond that many groups each strides on */
    int64_t parts = parts_needed(form, k, depth, step, tile_count(groups, GROUP_LIMIT));
    if (parts < 1 || parts > GROUP_LIMIT) return 0;
    if (parts < parts_wanted(n, k)) parts = parts_wanted(n, k);
    int64_t codes = tile_count(tile_count(k, parts), step) * step;
    parts = tile_count(k, codes);
    if (parts > 1 && (!c->out[STATE] || parts > c->out[STATE]->dim[1])) return 0;
    bool margin = c->out[MARGIN] != NULL;
    uint32_t spec[] = {local,
                       sg ? (uint32_t)s : 1,
                       (uint32_t)tm,
                       (uint32_t)tn,
                       depth % 4 == 0,
                       (uint32_t)c->p.i[METRIC],
                       margin,
                       parts > 1,
                       c->in[SQUARES] != NULL};
    *d = (tsr_gpu_dispatch){
        .variant = form == PLAIN    ? "nearest_code_plain"
                   : form == SHARED ? "nearest_code_sm"
                   : longs          ? "nearest_code_sg64"
                                    : "nearest_code_sg",
        .spec_count = (int)(sizeof spec / sizeof *spec),
        .groups = {groups > GROUP_LIMIT ? GROUP_LIMIT : (uint32_t)groups, (uint32_t)parts, 1},
        .bind = {X, CODES, c->in[SQUARES] ? SQUARES : X, BIND_OUT + IDS,
                 BIND_OUT + (margin ? MARGIN : IDS), BIND_OUT + (parts > 1 ? STATE : IDS)},
        .bind_count = 6,
        .full_subgroups = form == SUBGROUP,
        .cut = {.rows = (uint32_t)rows}};
    memcpy(d->spec, spec, sizeof spec);
    uint32_t push[] = {(uint32_t)n, (uint32_t)k, (uint32_t)depth, (uint32_t)codes};
    dispatch_push(d, push, sizeof push);
    if (parts == 1) return 1;
    merge(c, parts, d + 1);
    return 2;
}

static double work(const tsr_call *c) {
    return (double)tsr_elements(c->in[X]) * (double)tsr_rows(c->in[CODES]);
}

static const tsr_op op_nearest_code = {
    .name = "nearest_code", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

/* ---- the public functions --------------------------------------------------------------- */

void tsr_code_squares(const float *codes, int64_t k, int64_t d, float *squares) {
    for (int64_t j = 0; j < k; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < d; ++i)
            sum += (double)codes[j * d + i] * codes[j * d + i];
        squares[j] = (float)sum;
    }
}

tsr_tensor *tsr_nearest_code(tsr_run *r, const tsr_tensor *x, const tsr_tensor *codes,
                             const tsr_tensor *squares, tsr_metric metric, tsr_tensor **margin) {
    if (margin) *margin = NULL;
    if (tsr_run_is_failed(r)) {
        if (margin) *margin = tsr_run_failed(r);
        return tsr_run_failed(r);
    }
    char got[96];
    tsr_tensor *failed = NULL;
    if (x->dtype != TSR_DTYPE_F32 || codes->dtype != TSR_DTYPE_F32)
        failed =
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "nearest_code: wanted F32 and F32, got %s and %s",
                         tsr_dtype_name(x->dtype), tsr_dtype_name(codes->dtype));
    else if (codes->rank != 2 || tsr_cols(codes) != tsr_cols(x))
        failed =
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "nearest_code: codes: wanted [K, %lld], got %s",
                         (long long)tsr_cols(x), tsr_shape_text(codes, got, sizeof got));
    else if (tsr_rows(codes) > INT32_MAX - 64)
        failed =
            tsr_run_fail(r, TSR_ERROR_TOO_LARGE, "nearest_code: wanted at most %d codes, got %s",
                         INT32_MAX - 64, tsr_shape_text(codes, got, sizeof got));
    else if (squares &&
             (squares->dtype != TSR_DTYPE_F32 || tsr_elements(squares) != tsr_rows(codes)))
        failed = tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                              "nearest_code: squares: wanted %lld numbers, got %s of %s",
                              (long long)tsr_rows(codes), tsr_shape_text(squares, got, sizeof got),
                              tsr_dtype_name(squares->dtype));
    else if (metric != TSR_METRIC_EUCLID && metric != TSR_METRIC_COSINE)
        failed = tsr_run_fail(r, TSR_ERROR_ARGUMENT, "nearest_code: metric: wanted 0 or 1, got %d",
                              (int)metric);
    if (failed) {
        if (margin) *margin = failed;
        return failed;
    }
    int64_t dim[TSR_MAX_RANK];
    int rank = x->rank > 1 ? x->rank - 1 : 1;
    for (int i = 0; i < rank; ++i)
        dim[i] = x->rank > 1 ? x->dim[i] : 1;
    tsr_tensor *ids = tsr_run_new(r, TSR_DTYPE_I32, rank, dim);
    tsr_call c = {.op = &op_nearest_code,
                  .in = {x, codes, squares},
                  .out = {ids},
                  .in_count = OPERANDS,
                  .out_count = margin ? 2 : 1};
    if (margin) c.out[MARGIN] = *margin = tsr_run_new(r, TSR_DTYPE_F32, rank, dim);
    const int64_t n = tsr_rows(x), parts = parts_kept(n, tsr_rows(codes), tsr_cols(x));
    if (!on_cpu(r) && parts > 1) {
        if (!margin)
            c.out[MARGIN] = tsr_run_new(r, TSR_DTYPE_F32, rank, dim); /* no holes in the list */
        c.out[STATE] = tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){n, parts, 3});
        c.out_count = 3;
    }
    c.p.i[METRIC] = metric;
    tsr_run_emit(r, &c);
    return ids;
}
