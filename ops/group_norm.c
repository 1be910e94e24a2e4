/* SPDX-License-Identifier: MIT */
/* group_norm.c: each batch item's channels in groups, mean and variance over a group's channels and
 * all positions, then gamma, beta and an activation.
 *
 * The positions are cut into chunks. Each chunk gives its mean and its sum of squared differences
 * from that mean (in two passes while it is in the cache); the chunks' numbers are then put
 * together, again mean first. E[x^2] - mean^2 would lose everything where the mean is large. Chunks
 * depend on the shape alone. */
#include <math.h>

#include "../compute/activation.h"
#include "../compute/cpu/gemm.h"
#include "../compute/cpu/simd.h"
#include "rowwise.h"

enum { IN_X, IN_GAMMA, IN_BETA, IN_STATISTICS, OPERANDS };
enum { OUT_Y, OUT_PARTS, OUT_TOTALS }; /* [B, G, chunks, 2] and [B, G, 2]: mean, deviation */
enum { P_EPS, P_GROUPS, P_ACT };       /* P_EPS is a float */
enum { MAX_CHANNELS = 4096 };

typedef struct job {
    const tsr_gemm_kernels *g;
    const float *x, *gamma, *beta;
    float *y, *parts, *totals;
    float *scratch;                                    /* 3 * channels for each worker */
    int64_t batch, positions, channels, groups, width; /* width: channels of a group */
    int64_t step, chunks;                              /* positions of a chunk */
    tsr_activation act;
    float eps;
} job;

static job get_job(const tsr_call *call) {
    const tsr_tensor *x = call->in[IN_X];
    const void *gamma = call->in[IN_GAMMA] ? call->in[IN_GAMMA]->data : NULL;
    const void *beta = call->in[IN_BETA] ? call->in[IN_BETA]->data : NULL;
    job j = {.x = x->data,
             .gamma = gamma,
             .beta = beta,
             .y = call->out[OUT_Y]->data,
             .parts = call->out[OUT_PARTS]->data,
             .totals = call->out[OUT_TOTALS]->data,
             .batch = x->dim[0],
             .positions = tsr_rows(x) / x->dim[0],
             .channels = tsr_cols(x),
             .groups = call->p.i[P_GROUPS],
             .act = (tsr_activation)call->p.i[P_ACT],
             .eps = call->p.f[P_EPS]};
    j.width = j.channels / j.groups;
    j.step = rows_per_tile(j.channels);
    j.chunks = tile_count(j.positions, j.step);
    return j;
}

static void reference(const tsr_call *call) {
    job j = get_job(call);
    memset(j.parts, 0, (size_t)tsr_elements(call->out[OUT_PARTS]) * sizeof *j.parts);
    for (int64_t at = 0; at < j.batch * j.groups; ++at) {
        int64_t first = at / j.groups * j.positions * j.channels + at % j.groups * j.width;
        double mean = 0, variance = 0, count = (double)(j.positions * j.width);
        for (int64_t p = 0; p < j.positions; ++p)
            for (int64_t c = 0; c < j.width; ++c)
                mean += j.x[first + p * j.channels + c];
        mean /= count;
        for (int64_t p = 0; p < j.positions; ++p)
            for (int64_t c = 0; c < j.width; ++c) {
                double d = j.x[first + p * j.channels + c] - mean;
                variance += d * d;
            }
        double factor = 1 / sqrt(variance / count + j.eps);
        j.totals[2 * at] = (float)mean;
        j.totals[2 * at + 1] = (float)factor;
        for (int64_t p = 0; p < j.positions; ++p)
            for (int64_t c = 0; c < j.width; ++c) {
                int64_t i = first + p * j.channels + c, channel = at % j.groups * j.width + c;
                double y = (j.x[i] - mean) * factor;
                if (j.gamma) y *= j.gamma[channel];
                if (j.beta) y += j.beta[channel];
                j.y[i] = tsr_activate_exact((float)y, j.act);
            }
    }
}

/* ---- cpu -------------------------------------------------------------------------------- */

TSR_CLONES static void add_rows(float *restrict sum, const float *restrict near,
                                const float *restrict x, int64_t rows, int64_t cols) {
    for (int64_t p = 0; p < rows; ++p, x += cols)
        for (int64_t c = 0; c < cols; ++c)
            sum[c] += x[c] - near[c];
}

TSR_CLONES static void add_squares(float *restrict sum, const float *restrict mean,
                                   const float *restrict x, int64_t rows, int64_t cols) {
    for (int64_t p = 0; p < rows; ++p, x += cols)
        for (int64_t c = 0; c < cols; ++c)
            sum[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
}

TSR_CLONES static void apply_rows(float *restrict y, const float *restrict x,
                                  const float *restrict mean, const float *restrict factor,
                                  const float *restrict shift, int64_t rows, int64_t cols) {
    for (int64_t p = 0; p < rows; ++p, x += cols, y += cols)
        for (int64_t c = 0; c < cols; ++c)
            y[c] = (x[c] - mean[c]) * factor[c] + shift[c];
}

static int64_t chunk_rows(const job *j, int64_t chunk) {
    int64_t left = j->positions - chunk * j->step;
    return left < j->step ? left : j->step;
}

static float group_sum(const job *j, const float *lane, int64_t group) {
    float sum = 0;
    for (int64_t c = 0; c < j->width; ++c)
        sum += lane[group * j->width + c];
    return sum;
}

static void part_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    int64_t b = index / j->chunks, chunk = index % j->chunks, rows = chunk_rows(j, chunk);
    const float *x = j->x + (b * j->positions + chunk * j->step) * j->channels;
    float *lane = j->scratch + worker * 3 * j->channels, *mean = lane + j->channels;
    memset(lane, 0, (size_t)j->channels * sizeof *lane);
    for (int64_t c = 0; c < j->channels;
         ++c) /* sums of differences from one value keep more digits */
        mean[c] = x[c / j->width * j->width];
    add_rows(lane, mean, x, rows, j->channels);
    for (int64_t g = 0; g < j->groups; ++g) {
        float m = mean[g * j->width] + group_sum(j, lane, g) / (float)(rows * j->width);
        for (int64_t c = 0; c < j->width; ++c)
            mean[g * j->width + c] = m;
    }
    memset(lane, 0, (size_t)j->channels * sizeof *lane);
    add_squares(lane, mean, x, rows, j->channels);
    for (int64_t g = 0; g < j->groups; ++g) {
        float *part = j->parts + ((b * j->groups + g) * j->chunks + chunk) * 2;
        part[0] = mean[g * j->width];
        part[1] = group_sum(j, lane, g);
    }
}

static void merge_tile(void *arg, int64_t at, int worker) { /* a batch item's group */
    (void)worker;
    const job *j = arg;
    const float *part = j->parts + at * j->chunks * 2;
    double mean = 0, squares = 0, count = (double)(j->positions * j->width);
    for (int64_t i = 0; i < j->chunks; ++i)
        mean += (double)part[2 * i] * (double)chunk_rows(j, i);
    mean /= (double)j->positions;
    for (int64_t i = 0; i < j->chunks; ++i) {
        double d = part[2 * i] - mean;
        squares += part[2 * i + 1] + d * d * (double)(chunk_rows(j, i) * j->width);
    }
    j->totals[2 * at] = (float)mean;
    j->totals[2 * at + 1] = (float)(1 / sqrt(squares / count + j->eps));
}

static void apply_tile(void *arg, int64_t index, int worker) {
    const job *j = arg;
    int64_t b = index / j->chunks, chunk = index % j->chunks, rows = chunk_rows(j, chunk);
    int64_t at = (b * j->positions + chunk * j->step) * j->channels;
    float *mean = j->scratch + worker * 3 * j->channels;
    float *factor = mean + j->channels, *shift = factor + j->channels;
    for (int64_t c = 0; c < j->channels; ++c) {
        const float *total = j->totals + (b * j->groups + c / j->width) * 2;
        mean[c] = total[0];
        factor[c] = j->gamma ? total[1] * j->gamma[c] : total[1];
        shift[c] = j->beta ? j->beta[c] : 0;
    }
    apply_rows(j->y + at, j->x + at, mean, factor, shift, rows, j->channels);
    if (j->act != TSR_ACT_NONE) j->g->activate(j->act, j->y + at, j->y + at, rows * j->channels);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_context *ctx = tsr_device_context(device);
    job j = get_job(call);
    j.g = tsr_gemm_select(device);
    j.scratch = tsr_device_scratch(device, (size_t)tsr_thread_count(ctx) * 3 * (size_t)j.channels *
                                               sizeof(float));
    if (!j.scratch) return TSR_ERROR_MEMORY;
    tsr_parallel(ctx, j.batch * j.chunks, part_tile, &j);
    tsr_parallel(ctx, j.batch * j.groups, merge_tile, &j);
    tsr_parallel(ctx, j.batch * j.chunks, apply_tile, &j);
    return TSR_OK;
}

/* ---- vulkan ----------------------------------------------------------------------------- */

/* How the invocations of a group share positions: constants 1..4 of group_norm.comp. A function of
 * the number of channels alone. */
typedef struct layout {
    uint32_t units;  /* of 4 channels, or of 1, in a position */
    uint32_t slots;  /* positions beside each other */
    uint32_t rounds; /* units that an invocation takes in them */
    uint32_t turns;  /* positions one after the other */
} layout;

enum { UNIT = 4 };        /* channels that a lane takes where they are a multiple of it */
enum { PART_TURNS = 8 };  /* units that an invocation keeps in registers between two passes */
enum { APPLY_TURNS = 4 }; /* units that it normalises: more groups, as it keeps none */
enum { WHOLE_TURNS = 16 };

static layout get_layout(int64_t channels, int turns) {
    layout l = {.units = (uint32_t)(channels % UNIT ? channels : channels / UNIT)};
    l.slots = l.units < GROUP_THREADS ? GROUP_THREADS / l.units : 1;
    l.rounds = (uint32_t)tile_count(l.units * l.slots, GROUP_THREADS);
    l.turns = l.rounds < (uint32_t)turns ? (uint32_t)turns / l.rounds : 1;
    return l;
}

/* Chunks of positions that PART makes of each batch item. */
static int64_t chunks_of(layout l, int64_t positions) {
    return tile_count(positions, (int64_t)l.slots * l.turns);
}

static void describe(const tsr_call *call, const job *j, tsr_gpu_dispatch *d, const char *variant,
                     layout l, int64_t groups) {
    *d = (tsr_gpu_dispatch){.variant = variant,
                            .spec = {row_threads(chunks_of(l, j->positions)), l.units, l.slots,
                                     l.rounds, l.turns, (uint32_t)j->width, is_half(call->in[IN_X]),
                                     is_half(call->out[OUT_Y]), (uint32_t)j->act,
                                     call->in[IN_GAMMA] != NULL, call->in[IN_BETA] != NULL},
                            .spec_count = 11};
    struct {
        uint32_t items, positions, chunks, groups;
        float eps;
    } push = {(uint32_t)j->batch, (uint32_t)j->positions, (uint32_t)chunks_of(l, j->positions),
              (uint32_t)j->groups, j->eps};
    dispatch_push(d, &push, sizeof push);
    grid_set(d, groups);
}

static void bind_operands(const tsr_call *call, tsr_gpu_dispatch *d) {
    for (int i = IN_X; i <= IN_BETA; ++i) /* an absent operand is bound to x and never read */
        dispatch_bind(d, BIND_IN + (call->in[i] ? i : IN_X));
}

/* Invocations' units of a group of channels that the registers of one group of invocations hold, or
 * 0 where they do not. */
static uint32_t whole_turns(const job *j, const tsr_gpu_caps *caps) {
    const int64_t kept = tile_count(j->positions * j->width, GROUP_THREADS * UNIT);
    const bool fits = j->width % UNIT == 0 && kept <= WHOLE_TURNS &&
                      caps->allowed(caps->device, "group_norm_whole");
    return fits ? (uint32_t)kept : 0;
}

/* The dispatch that puts chunks of positions together, as PART leaves them or, by `pieces`, as the
 * product that made x does. */
static void describe_merge(const tsr_call *call, const job *j, tsr_gpu_dispatch *d, layout part,
                           tsr_statistics pieces) {
    layout l = part;
    int64_t parts = chunks_of(part, j->positions);
    if (pieces.rows) {
        l = (layout){.units = part.units, .slots = (uint32_t)pieces.rows, .rounds = 1, .turns = 1};
        parts = j->positions / pieces.rows * (j->width / pieces.cols);
    }
    const uint32_t threads = row_threads(parts);
    describe(call, j, d, "group_norm_merge", l,
             tile_count(j->batch * j->groups, GROUP_THREADS / threads));
    d->spec[0] = threads;
    d->spec[d->spec_count++] = (uint32_t)pieces.cols;
    dispatch_bind(d, pieces.rows ? BIND_IN + IN_STATISTICS : BIND_OUT + OUT_PARTS);
    dispatch_bind(d, BIND_OUT + OUT_TOTALS);
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    job j = get_job(call);
    const bool narrow = j.channels % UNIT != 0, given = call->statistics.rows != 0;
    const uint32_t kept = whole_turns(&j, caps);
    if (kept) {
        layout whole = {(uint32_t)(j.channels / UNIT), 1, 1, kept};
        describe(call, &j, d, "group_norm_whole", whole, j.batch * j.groups);
        d->spec[0] = GROUP_THREADS;
        bind_operands(call, d);
        dispatch_bind(d, BIND_OUT + OUT_Y);
        return 1;
    }
    layout part = get_layout(j.channels, PART_TURNS), apply = get_layout(j.channels, APPLY_TURNS);
    int count = 0;
    if (!given) {
        int64_t chunks = chunks_of(part, j.positions);
        int64_t sums = (int64_t)part.units * part.slots * (j.width % UNIT && !narrow ? UNIT : 1);
        if ((sums + j.groups) * 4 > caps->max_shared_bytes ||
            chunks / row_threads(chunks) * 3 > LOOP_LIMIT)
            return 0;
        describe(call, &j, &d[count], narrow ? "group_norm_part_narrow" : "group_norm_part", part,
                 j.batch * chunks);
        dispatch_bind(&d[count], BIND_IN + IN_X);
        dispatch_bind(&d[count++], BIND_OUT + OUT_PARTS);
    }
    describe_merge(call, &j, &d[count++], part, call->statistics);
    describe(call, &j, &d[count], narrow ? "group_norm_narrow" : "group_norm", apply,
             j.batch * chunks_of(apply, j.positions));
    bind_operands(call, &d[count]);
    dispatch_bind(&d[count], BIND_OUT + OUT_TOTALS);
    dispatch_bind(&d[count++], BIND_OUT + OUT_Y);
    return count;
}

/* Pieces lie inside of a batch item and a group. A small group is read once as it is. */
static bool takes_statistics(const tsr_call *call, const tsr_gpu_caps *caps,
                             tsr_statistics pieces) {
    const job j = get_job(call);
    if (j.positions % pieces.rows || j.width % pieces.cols || whole_turns(&j, caps)) return false;
    const int64_t parts = j.positions / pieces.rows * (j.width / pieces.cols);
    return parts / row_threads(parts) * 3 <= LOOP_LIMIT;
}

static uint32_t halves(const tsr_call *call, const tsr_gpu_caps *caps) {
    (void)caps;
    return tsr_cols(call->in[IN_X]) % UNIT ? 0 : half_in(IN_X) | half_out(OUT_Y);
}

static const tsr_op op_group_norm = {.name = "group_norm",
                                     .reference = reference,
                                     .cpu = cpu,
                                     .gpu = gpu,
                                     .halves = halves,
                                     .takes_statistics = takes_statistics,
                                     .carries = TSR_CARRIES_ROUNDED};

/* ---- the public function ---------------------------------------------------------------- */

static const tsr_tensor *get_weight(tsr_run *r, const char *what, tsr_weight *w, int64_t channels) {
    if (!w || tsr_run_is_failed(r)) return NULL;
    char got[96];
    if (w->tensor.rank != 1 || w->tensor.dim[0] != channels) {
        tsr_run_fail(r, TSR_ERROR_MODEL, "%s: %s: wanted [%lld], got %s", what,
                     w->name ? w->name : "weight", (long long)channels,
                     tsr_shape_text(&w->tensor, got, sizeof got));
        return NULL;
    }
    return tsr_from_weight(r, w);
}

tsr_tensor *tsr_group_norm(tsr_run *r, const tsr_tensor *x, const tsr_group_norm_spec *spec) {
    static const tsr_group_norm_spec plain = {.eps = 1e-6f};
    if (!spec) spec = &plain;
    if (!want_tensor(r, "group_norm: x", x, TSR_DTYPE_F32, 2)) return tsr_run_failed(r);
    int64_t channels = tsr_cols(x), groups = spec->groups ? spec->groups : 32;
    if (channels > MAX_CHANNELS)
        return tsr_run_fail(r, TSR_ERROR_TOO_LARGE,
                            "group_norm: x: wanted at most %d channels, got %lld", MAX_CHANNELS,
                            (long long)channels);
    if (groups < 1 || channels % groups)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "group_norm: groups: wanted a divisor of %lld channels, got %lld",
                            (long long)channels, (long long)groups);
    if (!(spec->eps >= 0))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "group_norm: eps: wanted at least 0, got %g",
                            (double)spec->eps);
    if (spec->act < TSR_ACT_NONE || spec->act > TSR_ACT_QUICK_GELU)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "group_norm: activation: wanted 0 to %d, got %d",
                            TSR_ACT_QUICK_GELU, (int)spec->act);
    tsr_call call = {.op = &op_group_norm, .in_count = OPERANDS, .out_count = 3};
    call.in[IN_X] = x;
    call.in[IN_GAMMA] = get_weight(r, "group_norm: gamma", spec->gamma, channels);
    call.in[IN_BETA] = get_weight(r, "group_norm: beta", spec->beta, channels);
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    call.p.f[P_EPS] = spec->eps;
    call.p.i[P_GROUPS] = (int32_t)groups;
    call.p.i[P_ACT] = spec->act;
    int64_t positions = tsr_rows(x) / x->dim[0];
    int64_t chunks = on_cpu(r) ? tile_count(positions, rows_per_tile(channels))
                               : chunks_of(get_layout(channels, PART_TURNS), positions);
    call.out[OUT_Y] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    call.out[OUT_PARTS] =
        tsr_run_new(r, TSR_DTYPE_F32, 4, (int64_t[]){x->dim[0], groups, chunks, 2});
    call.out[OUT_TOTALS] = tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){x->dim[0], groups, 2});
    tsr_run_emit(r, &call);
    return call.out[OUT_Y];
}
