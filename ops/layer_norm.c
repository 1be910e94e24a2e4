/* SPDX-License-Identifier: MIT */
/* layer_norm.c: y = (x - mean) / sqrt(variance + eps), over the last dimension (rms: with a mean of
 * 0), then gamma and
 * beta, then the modulation of adaptive norms: y * (1 + scale) + shift. Mean first, variance from
 * the differences in a second pass: a single pass with E[x^2] loses everything when the mean is
 * large. */
#include <math.h>

#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { IN_X, IN_GAMMA, IN_BETA, IN_SCALE, IN_SHIFT };
enum { P_EPS, P_GROUP, P_LAST, P_SCALE_STEP, P_SHIFT_STEP, P_RMS }; /* P_EPS is a float */

typedef struct operands {
    const float *x, *gamma, *beta, *scale, *shift;
    float *y;
    int64_t rows, cols, group,
        last; /* `group` rows share one row of scale and shift, up to `last` */
    int64_t scale_step, shift_step; /* 0: one row for everybody */
    float eps;
    bool rms;
} operands;

static operands get_operands(const tsr_call *c) {
    const void *data[5];
    for (int i = 0; i < 5; ++i)
        data[i] = c->in[i] ? c->in[i]->data : NULL;
    return (operands){.x = data[IN_X],
                      .gamma = data[IN_GAMMA],
                      .beta = data[IN_BETA],
                      .scale = data[IN_SCALE],
                      .shift = data[IN_SHIFT],
                      .y = c->out[0]->data,
                      .rows = tsr_rows(c->in[IN_X]),
                      .cols = tsr_cols(c->in[IN_X]),
                      .group = c->p.i[P_GROUP],
                      .last = c->p.i[P_LAST],
                      .scale_step = c->p.i[P_SCALE_STEP],
                      .shift_step = c->p.i[P_SHIFT_STEP],
                      .eps = c->p.f[P_EPS],
                      .rms = c->p.i[P_RMS] != 0};
}

/* Which row of scale and shift row n has. */
static int64_t group_of(const operands *o, int64_t n) {
    int64_t group = n / o->group;
    return group < o->last ? group : o->last;
}

static void reference(const tsr_call *call) {
    operands o = get_operands(call);
    for (int64_t n = 0; n < o.rows; ++n) {
        const float *x = o.x + n * o.cols;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < o.cols; ++i)
            mean += x[i];
        mean = o.rms ? 0 : mean / (double)o.cols;
        for (int64_t i = 0; i < o.cols; ++i)
            variance += (x[i] - mean) * (x[i] - mean);
        variance /= (double)o.cols;
        double factor = 1 / sqrt(variance + (double)o.eps);
        for (int64_t i = 0; i < o.cols; ++i) {
            double y = (x[i] - mean) * factor;
            if (o.gamma) y *= o.gamma[i];
            if (o.beta) y += o.beta[i];
            if (o.scale) y *= 1.0 + o.scale[group_of(&o, n) * o.scale_step + i];
            if (o.shift) y += o.shift[group_of(&o, n) * o.shift_step + i];
            o.y[n * o.cols + i] = (float)y;
        }
    }
}

TSR_CLONES static void norm_row(const operands *o, int64_t n) {
    const float *restrict x = o->x + n * o->cols;
    float *restrict y = o->y + n * o->cols;
    int64_t cols = o->cols, whole = cols / LANES * LANES;
    float lane[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] += x[i + j];
    for (int64_t i = whole; i < cols; ++i)
        lane[i - whole] += x[i];
    float mean = o->rms ? 0 : lanes_total(lane) / (float)cols;
    memset(lane, 0, sizeof lane);
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] += (x[i + j] - mean) * (x[i + j] - mean);
    for (int64_t i = whole; i < cols; ++i)
        lane[i - whole] += (x[i] - mean) * (x[i] - mean);
    float factor = 1.0f / sqrtf(lanes_total(lane) / (float)cols + o->eps);
    for (int64_t i = 0; i < cols; ++i)
        y[i] = (x[i] - mean) * factor;
    if (o->gamma)
        for (int64_t i = 0; i < cols; ++i)
            y[i] *= o->gamma[i];
    if (o->beta)
        for (int64_t i = 0; i < cols; ++i)
            y[i] += o->beta[i];
    if (o->scale) {
        const float *restrict scale = o->scale + group_of(o, n) * o->scale_step;
        for (int64_t i = 0; i < cols; ++i)
            y[i] *= 1.0f + scale[i];
    }
    if (o->shift) {
        const float *restrict shift = o->shift + group_of(o, n) * o->shift_step;
        for (int64_t i = 0; i < cols; ++i)
            y[i] += shift[i];
    }
}

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const operands *o = arg;
    int64_t step = rows_per_tile(o->cols), end = (t + 1) * step;
    for (int64_t n = t * step; n < end && n < o->rows; ++n)
        norm_row(o, n);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    operands o = get_operands(call);
    tsr_parallel(tsr_device_context(device), tile_count(o.rows, rows_per_tile(o.cols)), tile, &o);
    return TSR_OK;
}

enum { HELD = 16 }; /* words of four that a lane keeps at most: 64 registers */

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    int64_t rows = tsr_rows(call->in[IN_X]), cols = tsr_cols(call->in[IN_X]);
    const bool sg = subgroup_rows_fit(caps, "layer_norm_sg");
    uint32_t threads = sg ? subgroup_row_threads(caps, cols) : row_threads(cols);
    int64_t words = tile_count(cols, 4 * (int64_t)threads);
    if (words * 3 > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){.variant = sg ? "layer_norm_sg" : "layer_norm_plain",
                            .full_subgroups = sg};
    d->spec[d->spec_count++] = threads;
    for (int i = IN_GAMMA; i <= IN_SHIFT; ++i)
        d->spec[d->spec_count++] = call->in[i] != NULL;
    d->spec[d->spec_count++] = call->p.i[P_RMS] != 0;
    d->spec[d->spec_count++] = (uint32_t)cols;
    d->spec[d->spec_count++] = words < HELD ? (uint32_t)words : HELD;
    d->spec[d->spec_count++] = is_half(call->out[0]);
    struct {
        uint32_t rows;
        divisor group;
        uint32_t last, scale_step, shift_step;
        float eps;
    } push = {(uint32_t)rows,
              divisor_of((uint32_t)call->p.i[P_GROUP]),
              (uint32_t)call->p.i[P_LAST],
              (uint32_t)call->p.i[P_SCALE_STEP],
              (uint32_t)call->p.i[P_SHIFT_STEP],
              call->p.f[P_EPS]};
    dispatch_push(d, &push, sizeof push);
    for (int i = IN_X; i <= IN_SHIFT; ++i) /* an absent operand is bound to x and never read */
        dispatch_bind(d, BIND_IN + (call->in[i] ? i : IN_X));
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(rows, GROUP_THREADS / threads));
    return 1;
}

static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    (void)caps;
    return tsr_cols(call->in[IN_X]) % 4 ? 0 : half_out(0); /* x is the residual stream: f32 */
}

static const tsr_op op_layer_norm = {
    .name = "layer_norm", .reference = reference, .cpu = cpu, .gpu = gpu, .halves = halves};

/* A row for everybody, [D], one for each batch item, [B, D], or [G, D] for groups of rows. */
static bool want_modulation(tsr_run *r, const char *what, const tsr_tensor *m, const tsr_tensor *x,
                            int64_t group_rows, tsr_call *call, int step) {
    if (!m) return !tsr_run_is_failed(r);
    if (!want_tensor(r, what, m, TSR_DTYPE_F32, 1)) return false;
    int64_t cols = tsr_cols(x), rows = tsr_rows(m);
    bool batch = m->rank == 2 && (group_rows > 0 || (x->rank >= 2 && rows == x->dim[0]));
    if (tsr_cols(m) != cols || (rows != 1 && !batch)) {
        char got[96];
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted [%lld] or [%lld, %lld], got %s", what,
                     (long long)cols, (long long)x->dim[0], (long long)cols,
                     tsr_shape_text(m, got, sizeof got));
        return false;
    }
    call->p.i[step] = rows > 1 ? (int32_t)cols : 0;
    if (rows > 1) call->p.i[P_LAST] = (int32_t)rows - 1;
    return true;
}

static const tsr_tensor *get_weight(tsr_run *r, const char *what, tsr_weight *w, int64_t cols) {
    if (!w || tsr_run_is_failed(r)) return NULL;
    tsr_tensor *t = tsr_from_weight(r, w);
    if (!want_tensor(r, what, t, TSR_DTYPE_F32, 1)) return NULL;
    if (tsr_elements(t) != cols) {
        char got[96];
        tsr_run_fail(r, TSR_ERROR_MODEL, "%s: %s: wanted [%lld], got %s", what,
                     w->name ? w->name : "weight", (long long)cols,
                     tsr_shape_text(t, got, sizeof got));
        return NULL;
    }
    return t;
}

tsr_tensor *tsr_layer_norm(tsr_run *r, const tsr_tensor *x, const tsr_norm_spec *spec) {
    static const tsr_norm_spec plain = {.eps = 1e-5f};
    if (!spec) spec = &plain;
    tsr_call call = {.op = &op_layer_norm, .in_count = 5, .out_count = 1};
    if (!want_tensor(r, "layer_norm: x", x, TSR_DTYPE_F32, 1)) return tsr_run_failed(r);
    if (!(spec->eps >= 0))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "layer_norm: eps: wanted at least 0, got %g",
                            (double)spec->eps);
    call.p.f[P_EPS] = spec->eps;
    call.p.i[P_RMS] = spec->rms;
    if (spec->group_rows < 0 || spec->group_rows > INT32_MAX)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "layer_norm: group rows: wanted 0 to %d, got %lld", INT32_MAX,
                            (long long)spec->group_rows);
    call.p.i[P_GROUP] = (int32_t)(spec->group_rows ? spec->group_rows
                                  : x->rank >= 2   ? tsr_rows(x) / x->dim[0]
                                                   : 1);
    call.in[IN_X] = x;
    call.in[IN_GAMMA] = get_weight(r, "layer_norm: gamma", spec->gamma, tsr_cols(x));
    call.in[IN_BETA] = get_weight(r, "layer_norm: beta", spec->beta, tsr_cols(x));
    call.in[IN_SCALE] = spec->scale;
    call.in[IN_SHIFT] = spec->shift;
    if (!want_modulation(r, "layer_norm: scale", spec->scale, x, spec->group_rows, &call,
                         P_SCALE_STEP) ||
        !want_modulation(r, "layer_norm: shift", spec->shift, x, spec->group_rows, &call,
                         P_SHIFT_STEP))
        return tsr_run_failed(r);
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}
