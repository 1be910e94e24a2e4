/* SPDX-License-Identifier: MIT */
/* linear.c: y = residual + gate * act(x W^T + bias), the op most time is spent in.
 *
 * On the cpu the weight is packed once into panels (gemm.h) that stay with it. Work is cut into
 * tiles of rows and columns; the epilogue runs while a tile's sums are still in the cache. */
#include "../compute/op.h"
#include "../compute/activation.h"
#include "../compute/cpu/gemm.h"
#include "../compute/cpu/onednn.h"
#include "product_body.h"
#include "rowwise.h"

#include <stdlib.h>
#include <string.h>

enum { X, WEIGHT, BIAS, GATE, RESIDUAL, OPERANDS };
enum { ACT, GATE_ROWS, GATE_LAST, EXACT }; /* p.i: row i has gate min(i / GATE_ROWS, GATE_LAST) */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void reference(const tsr_call *c) {
    const float *x = c->in[X]->data, *w = c->in[WEIGHT]->data;
    const float *bias = c->in[BIAS] ? c->in[BIAS]->data : NULL;
    const float *gate = c->in[GATE] ? c->in[GATE]->data : NULL;
    const float *residual = c->in[RESIDUAL] ? c->in[RESIDUAL]->data : NULL;
    float *y = c->out[0]->data;
    int64_t rows = tsr_rows(c->in[X]), k = tsr_cols(c->in[X]), n = tsr_cols(c->out[0]);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < n; ++j) {
            float sum = 0;
            for (int64_t l = 0; l < k; ++l)
                sum += x[i * k + l] * w[j * k + l];
            sum = tsr_activate_exact(bias ? sum + bias[j] : sum, (tsr_activation)c->p.i[ACT]);
            if (gate) sum *= gate[least(i / c->p.i[GATE_ROWS], c->p.i[GATE_LAST]) * n + j];
            y[i * n + j] = residual ? residual[i * n + j] + sum : sum;
        }
}

/* ---- packing ---------------------------------------------------------------------------- */

/* What hangs at tsr_weight.packed: one form for each kind of kernel that has met the weight. */
typedef struct packed {
    struct packed *next;
    const tsr_gemm_kernels *kernels; /* NULL: oneDNN's */
    bool half;                       /* in bf16 */
    float *panels;
    tsr_onednn *onednn;
} packed;

static void packed_free(void *list) {
    for (packed *p = list, *next; p; p = next) {
        next = p->next;
        free(p->panels);
        tsr_onednn_close(&p->onednn);
        free(p);
    }
}

typedef struct pack_job {
    const tsr_gemm_kernels *g;
    const float *w;
    float *panels;
    bool half;
    int64_t k, n, step;
} pack_job;

static void pack_tile(void *arg, int64_t index, int worker) {
    (void)worker;
    const pack_job *j = arg;
    int64_t from = index * j->step, n = j->n - from < j->step ? j->n - from : j->step;
    (j->half ? j->g->pack_half : j->g->pack)(j->panels + from * j->k / (j->half ? 2 : 1),
                                             j->w + from * j->k, j->k, n, 1, j->k);
}

/* The weight in the form `g` (or oneDNN, when g is NULL) wants; made at first use. */
static tsr_status packed_get(tsr_context *ctx, tsr_weight *w, const tsr_gemm_kernels *g, bool half,
                             int64_t k, int64_t n, packed **found) {
    packed *p = w->packed;
    while (p && (p->kernels != g || p->half != half))
        p = p->next;
    *found = p;
    if (p) return TSR_OK;
    const float *values;
    tsr_status status = tsr_weight_borrow(ctx, w, &values);
    if (status) return status;
    if (!(p = tsr_alloc(ctx, 1, sizeof *p, "packed weight"))) {
        tsr_weight_return(w, values);
        return TSR_ERROR_MEMORY;
    }
    p->kernels = g;
    p->half = half;
    if (g) {
        size_t bytes = (tsr_gemm_panel_floats(g, k, n) * (half ? 2 : 4) + 63) / 64 * 64;
        if (!(p->panels = aligned_alloc(64, bytes))) {
            tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: packed weight: wanted %zu bytes, got none",
                     w->name ? w->name : "weight", bytes);
            tsr_weight_return(w, values);
            free(p);
            return TSR_ERROR_MEMORY;
        }
        pack_job job = {g, values, p->panels, half, k, n, 2 * g->cols};
        tsr_parallel(ctx, (n + job.step - 1) / job.step, pack_tile, &job);
    } else if ((status =
                    tsr_onednn_open(ctx, &p->onednn, values,
                                    (tsr_onednn_shape){TSR_ONEDNN_ROWS, k, n, 1, false, half}))) {
        tsr_weight_return(w, values);
        free(p);
        return status;
    }
    tsr_weight_return(w, values);
    p->next = w->packed;
    w->packed = p;
    w->packed_free = packed_free;
    *found = p;
    return TSR_OK;
}

/* ---- cpu -------------------------------------------------------------------------------- */

typedef struct job {
    const tsr_gemm_kernels *g;
    tsr_gemm_panels panels;
    tsr_gemm_epilogue epilogue;
    bool finish; /* there is an epilogue */
    const float *x;
    float *y;
    int64_t rows, k, n;
    int64_t tile_rows, tile_cols, tiles_down;
    tsr_onednn *onednn;
    char *scratch; /* oneDNN: one piece for each worker */
    size_t scratch_bytes;
} job;

static void tile(void *arg, int64_t index, int worker) {
    (void)worker;
    const job *j = arg;
    /* Down first: all rows pass over the same columns of the weight, which is the larger part where
     * time is spent, and is so read from memory once. */
    int64_t m0 = index % j->tiles_down * j->tile_rows;
    int64_t n0 = index / j->tiles_down * j->tile_cols;
    int64_t rows = j->rows - m0 < j->tile_rows ? j->rows - m0 : j->tile_rows;
    int64_t n1 = j->n - n0 < j->tile_cols ? j->n : n0 + j->tile_cols;
    float *y = j->y + m0 * j->n + n0;
    j->g->product(j->x + m0 * j->k, j->k, rows, &j->panels, n0, n1, y, j->n);
    if (j->finish) j->g->epilogue(&j->epilogue, y, j->n, m0, rows, n0, n1);
}

static void onednn_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    int64_t m0 = index * j->tile_rows;
    int64_t rows = j->rows - m0 < j->tile_rows ? j->rows - m0 : j->tile_rows;
    float *y = j->y + m0 * j->n;
    tsr_onednn_product(j->onednn, j->x + m0 * j->k, rows, y,
                       j->scratch + (size_t)worker * j->scratch_bytes);
    if (j->finish) j->g->epilogue(&j->epilogue, y, j->n, m0, rows, 0, j->n);
}

static tsr_status cpu(tsr_device *d, const tsr_call *c) {
    tsr_context *ctx = tsr_device_context(d);
    const float *gate = c->in[GATE] ? c->in[GATE]->data : NULL;
    job j = {.g = tsr_gemm_select(d),
             .x = c->in[X]->data,
             .y = c->out[0]->data,
             .rows = tsr_rows(c->in[X]),
             .k = tsr_cols(c->in[X]),
             .n = tsr_cols(c->out[0])};
    j.epilogue = (tsr_gemm_epilogue){.bias = c->in[BIAS] ? c->in[BIAS]->data : NULL,
                                     .act = (tsr_activation)c->p.i[ACT],
                                     .gate = gate,
                                     .gate_stride = j.n,
                                     .gate_rows = c->p.i[GATE_ROWS],
                                     .gate_last = c->p.i[GATE_LAST],
                                     .residual = c->in[RESIDUAL] ? c->in[RESIDUAL]->data : NULL,
                                     .residual_stride = j.n};
    j.finish = c->in[BIAS] || c->in[GATE] || c->in[RESIDUAL] || c->p.i[ACT] != TSR_ACT_NONE;
    const tsr_cpu_products products = c->p.i[EXACT] ? TSR_PRODUCTS_F32 : tsr_device_products(d);
    bool half = products != TSR_PRODUCTS_F32;
    bool onednn = half ? products == TSR_PRODUCTS_BF16 : tsr_device_onednn_linear(d);
    if (c->weight->packed && c->weight->packed_free != packed_free)
        return tsr_fail(ctx, TSR_ERROR_STATE,
                        "linear: %s: wanted a weight of linear layers alone, got one of conv2d",
                        c->weight->name ? c->weight->name : "weight");
    packed *p;
    const tsr_status status = packed_get(ctx, c->weight, onednn ? NULL : j.g, half, j.k, j.n, &p);
    if (status) return status;
    if (half) tsr_device_use_fast(d);
    if (onednn) {
        j.onednn = p->onednn;
        j.tile_rows = TSR_ONEDNN_ROWS;
        j.scratch_bytes = tsr_onednn_scratch_bytes(p->onednn);
        j.scratch = tsr_device_scratch(d, j.scratch_bytes * (size_t)tsr_thread_count(ctx));
        if (!j.scratch) return TSR_ERROR_MEMORY;
        tsr_parallel(ctx, (j.rows + j.tile_rows - 1) / j.tile_rows, onednn_tile, &j);
        return tsr_onednn_status(ctx, p->onednn);
    }
    j.panels = (tsr_gemm_panels){p->panels, j.k, j.n, j.k, p->half};
    /* A tile's rows of x fit the second-level cache; fewer columns where there are few rows, so
     * that every core has work. */
    j.tile_cols = j.rows * j.n > 96 * 4096 ? 256 : j.rows > 96 ? 192 : 96;
    const int64_t across = (j.n + j.tile_cols - 1) / j.tile_cols;
    /* A few more, lower tiles where that gives every thread the same number of them. */
    int64_t down = (j.rows + 95) / 96;
    const int64_t least = down, threads = tsr_thread_count(ctx);
    while (down * across % threads && down < 2 * least)
        ++down;
    if (down * across % threads) down = least;
    j.tile_rows = ((j.rows + down - 1) / down + j.g->rows - 1) / j.g->rows * j.g->rows;
    j.tiles_down = (j.rows + j.tile_rows - 1) / j.tile_rows;
    tsr_parallel(ctx, j.tiles_down * across, tile, &j);
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

static product_body choose(const tsr_call *c, const tsr_gpu_caps *caps) {
    static const product_variants variants = {.sg = {"linear_sg", "linear_half_sg"},
                                              .sg64 = {"linear_sg64", "linear_half_sg64"},
                                              .sm = {"linear_sm", "linear_half_sm"},
                                              .coopmat = "linear_coopmat",
                                              .pairs = "linear_coopmat_pairs",
                                              .threads = SHARED_TILE_THREADS,
                                              .shared_bytes = SHARED_TILE_BYTES};
    tsr_gpu_caps own = *caps;
    if (c->p.i[EXACT]) own.fp16 = false;
    return product_choose(&own, &variants, tsr_cols(c->out[0]), tsr_cols(c->in[X]) % 4 == 0);
}

/* Rows of whole 16-byte words. */
static uint32_t halves(const tsr_call *c, const tsr_gpu_caps *caps) {
    if (!choose(c, caps).half) return 0;
    return (tsr_cols(c->in[X]) % 8 == 0 ? 1u << X : 0) |
           (tsr_cols(c->out[0]) % 8 == 0 ? 1u << TSR_CALL_TENSORS : 0);
}

/* Whether matrices of a workgroup take the call; their x is f16. */
static bool choose_workgroup_tile(const tsr_call *c, const tsr_gpu_caps *caps,
                                  workgroup_tile *tile) {
    const bool rival = caps->subgroup_ops && caps->allowed(caps->device, "linear_half_sg");
    return c->in[X]->dtype == TSR_DTYPE_F16 &&
           workgroup_tile_choose(caps, "linear_coopmat2", 0, tsr_cols(c->out[0]), rival, tile);
}

static void across_and_down(tsr_gpu_dispatch *d, int64_t m, int64_t n, uint32_t rows,
                            uint32_t cols) {
    d->groups[0] = (uint32_t)least((n + cols - 1) / cols, 65535);
    d->groups[1] = (uint32_t)least((m + rows - 1) / rows, 65535);
}

static int gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    int64_t m = tsr_rows(c->in[X]), k = tsr_cols(c->in[X]), n = tsr_cols(c->out[0]);
    /* The shaders count in 32 bits and stay under 60,000 loop iterations. */
    if (m * k > INT32_MAX || n * k > INT32_MAX || m * n > INT32_MAX || k > 40000) return 0;
    product_body body = choose(c, caps);
    workgroup_tile workgroup;
    const bool workgroups = choose_workgroup_tile(c, caps, &workgroup);
    if (workgroups) body = (product_body){.variant = "linear_coopmat2", .half = true};
    if (!body.variant) return 0;
    const bool y_half = c->out[0]->dtype == TSR_DTYPE_F16;
    uint32_t s = caps->subgroup_size, parts = 0;
    for (int i = BIAS; i <= RESIDUAL; ++i)
        if (c->in[i]) parts |= 1u << (i - BIAS);
    if (c->in[X]->dtype == TSR_DTYPE_F16) parts |= 8;
    if (y_half) parts |= 16;
    if (n % 4 == 0) parts |= 32;
    struct {
        uint32_t m, n, k, gate_rows, gate_last;
    } push = {(uint32_t)m, (uint32_t)n, (uint32_t)k, (uint32_t)c->p.i[GATE_ROWS],
              (uint32_t)c->p.i[GATE_LAST]};
    *d = (tsr_gpu_dispatch){
        .variant = body.variant,
        .spec = {0, 0, 0, 0, k % 4 == 0, (uint32_t)c->p.i[ACT], parts, caps->software},
        .spec_count = 8,
        .push_bytes = sizeof push,
        .bind = {0,
                 body.pairs  ? TSR_BIND_PAIRS
                 : body.half ? TSR_BIND_HALF
                             : 1,
                 c->in[BIAS] ? BIAS : 0, c->in[GATE] ? GATE : 0, c->in[RESIDUAL] ? RESIDUAL : 0, 8},
        .bind_count = 6};
    memcpy(d->push, &push, sizeof push);
    if (workgroups) {
        const workgroup_tile *t = &workgroup;
        const uint32_t spec[] = {t->threads, t->rows, t->cols, t->depth, 0};
        memcpy(d->spec, spec, sizeof spec);
        d->spec_count = 7;
        if (k % t->depth == 0) d->spec[6] |= 64;
        across_and_down(d, m, n, t->rows, t->cols);
        d->cut.rows = t->rows;
    } else if (body.coopmat) {
        matrix_tile t;
        if (!(body.pairs ? pairs_tile_choose(caps, m, n, &t)
                         : matrix_tile_choose(caps, m, n, k, &t)))
            return 0;
        matrix_tile_specs(&t, caps, d);
        across_and_down(d, m, n, t.rows, t.cols);
        if (k % t.depth == 0) d->spec[6] |= 64;
        d->cut.rows = t.rows;
    } else if (body.sm) {
        const shared_tile t = shared_tile_choose(caps, m, n, body.half);
        const uint32_t spec[] = {t.rows / t.lane_rows * (t.cols / t.lane_cols), 1, t.lane_rows,
                                 t.lane_cols},
                       tile[] = {t.rows, t.cols, t.depth};
        memcpy(d->spec, spec, sizeof spec);
        memcpy(d->spec + 8, tile, sizeof tile);
        d->spec_count = 11;
        if (k % t.depth == 0) d->spec[6] |= 64;
        across_and_down(d, m, n, t.rows, t.cols);
        d->cut.rows = t.rows;
    } else {
        /* 16 rows by 64 to 128 columns for a subgroup; a GPU runs four of them in a workgroup. */
        uint32_t tm = 16, tn = caps->software ? 8 : s >= 128 ? 1 : s >= 64 ? 2 : 4;
        if (y_half && tn < 2) tn = 2; /* a lane writes two columns as one word */
        uint32_t waves = caps->software || 4 * s > caps->max_workgroup ? 1 : 4;
        const uint32_t spec[] = {s * waves, s, tm, tn};
        memcpy(d->spec, spec, sizeof spec);
        d->full_subgroups = true;
        across_and_down(d, m, n, tm * waves, s * tn);
        d->cut.rows = tm * waves;
    }
    d->groups[2] = 1;
    d->cut.axis = 1;
    return (n + 31) / 32 > 65535 ? 0 : 1; /* columns do not stride on */
}

static double work(const tsr_call *c) {
    return (double)tsr_elements(c->out[0]) * (double)tsr_cols(c->in[0]);
}

static const tsr_op op_linear = {.name = "linear",
                                 .reference = reference,
                                 .cpu = cpu,
                                 .gpu = gpu,
                                 .halves = halves,
                                 .work = work};

/* ---- the public function ---------------------------------------------------------------- */

tsr_tensor *tsr_linear(tsr_run *r, const tsr_tensor *x, tsr_weight *w,
                       const tsr_epilogue *epilogue) {
    static const tsr_epilogue plain = {0};
    const tsr_epilogue *e = epilogue ? epilogue : &plain;
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    char want[96], got[96];
    if (!w) return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: weight: wanted one, got NULL");
    const char *name = w->name ? w->name : "weight";
    if (x->dtype != TSR_DTYPE_F32)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: x: wanted F32, got %s", name,
                            tsr_dtype_name(x->dtype));
    int64_t k = tsr_cols(x), rows = tsr_rows(x), n = w->tensor.dim[0];
    if (w->tensor.rank < 2 || tsr_elements(&w->tensor) != n * k)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: wanted [N, %lld], got %s", name,
                            (long long)k, tsr_shape_text(&w->tensor, got, sizeof got));
    if (e->act < TSR_ACT_NONE || e->act > TSR_ACT_QUICK_GELU)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: activation: wanted 0 to %d, got %d",
                            name, TSR_ACT_QUICK_GELU, (int)e->act);
    if (e->bias && (e->bias->tensor.rank != 1 || e->bias->tensor.dim[0] != n))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: bias: wanted [%lld], got %s", name,
                            (long long)n, tsr_shape_text(&e->bias->tensor, got, sizeof got));
    tsr_tensor shape = tsr_host_tensor(TSR_DTYPE_F32, NULL, x->rank, x->dim);
    shape.dim[x->rank - 1] = n;
    const tsr_tensor *extra[2] = {e->gate, e->residual};
    static const char *const extra_name[2] = {"gate", "residual"};
    for (int i = 0; i < 2; ++i)
        if (extra[i] && extra[i]->dtype != TSR_DTYPE_F32)
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: %s: wanted F32, got %s", name,
                                extra_name[i], tsr_dtype_name(extra[i]->dtype));
    /* One row for everybody, one for each batch item, or one for every e->gate_rows rows. */
    int64_t gates = e->gate ? tsr_rows(e->gate) : 1, gate_rows = rows;
    if (e->gate_rows < 0)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "linear: %s: gate rows: wanted 0 or more, got %lld", name,
                            (long long)e->gate_rows);
    if (e->gate_rows)
        gate_rows = e->gate_rows;
    else if (gates != 1 && x->rank >= 2)
        gate_rows = rows / x->dim[0];
    if (e->gate) {
        bool fits = gates == 1 || e->gate_rows || (x->rank >= 2 && gates == x->dim[0]);
        if (tsr_cols(e->gate) != n || !fits || gates > INT32_MAX)
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "linear: %s: gate: wanted [%lld] or [%lld, %lld], got %s", name,
                                (long long)n, (long long)x->dim[0], (long long)n,
                                tsr_shape_text(e->gate, got, sizeof got));
    }
    if (e->residual &&
        (tsr_cols(e->residual) != n || tsr_elements(e->residual) != tsr_elements(&shape)))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "linear: %s: residual: wanted %s, got %s", name,
                            tsr_shape_text(&shape, want, sizeof want),
                            tsr_shape_text(e->residual, got, sizeof got));
    if (gate_rows > INT32_MAX)
        return tsr_run_fail(r, TSR_ERROR_TOO_LARGE, "linear: %s: wanted at most %d rows, got %lld",
                            name, INT32_MAX, (long long)gate_rows);
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, shape.rank, shape.dim);
    tsr_call c = {.op = &op_linear,
                  .in = {x, tsr_run_weight(r, w), e->bias ? tsr_from_weight(r, e->bias) : NULL,
                         e->gate, e->residual},
                  .out = {y},
                  .in_count = OPERANDS,
                  .out_count = 1,
                  .weight = w};
    c.p.i[ACT] = e->act;
    c.p.i[GATE_ROWS] = (int32_t)gate_rows;
    c.p.i[GATE_LAST] = (int32_t)(gates - 1);
    c.p.i[EXACT] = e->exact;
    tsr_run_emit(r, &c);
    return y;
}
