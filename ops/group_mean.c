/* SPDX-License-Identifier: MIT */
/* group_mean.c: means of groups of rows. A group is the rows that a map sends to it, or a list that
 * is known from shapes alone, such as the windows of a grid, which may overlap. Members are summed
 * in the order of rows (of the list), by one thread for each number, so that nothing depends on the
 * device's groups of threads. */
#include <math.h>

#include "rowwise.h"

enum { X, WEIGHT, MAP };
enum { Y, STARTS, LIST };
enum { P_GROUPS, P_MODE, P_TEMPERATURE, P_LONGEST };
enum { EQUAL, PLAIN, SOFTMAX }; /* how members weigh, as in the shader */

/* Starts [groups + 1] and members of the groups, from a table or from the map of a call. */
typedef struct groups {
    const int32_t *start, *member;
} groups;

static groups find_groups(const tsr_call *call) {
    const int64_t count = call->p.i[P_GROUPS];
    if (call->table) return (groups){call->table, (const int32_t *)call->table + count + 1};
    const int32_t *map = call->in[MAP]->data;
    const int64_t n = tsr_elements(call->in[MAP]);
    int32_t *start = call->out[STARTS]->data, *member = call->out[LIST]->data;
    memset(start, 0, (size_t)(count + 1) * sizeof *start);
    for (int64_t i = 0; i < n; ++i)
        if (map[i] >= 0) ++start[map[i] + 1];
    for (int64_t g = 0; g < count; ++g)
        start[g + 1] += start[g];
    for (int64_t i = 0; i < n; ++i) /* start becomes the end of each group ... */
        if (map[i] >= 0) member[start[map[i]]++] = (int32_t)i;
    for (int64_t g = count; g > 0; --g) /* ... and the start again */
        start[g] = start[g - 1];
    start[0] = 0;
    return (groups){start, member};
}

/* Weight of a member, before division by their sum. */
static double weight_of(const tsr_call *call, int32_t row, int mode, double most) {
    if (mode == EQUAL) return 1;
    const double w = (double)((const float *)call->in[WEIGHT]->data)[row];
    return mode == PLAIN ? w : exp((w - most) / (double)call->p.f[P_TEMPERATURE]);
}

static void mean_of_group(const tsr_call *call, groups g, int64_t group) {
    const float *x = call->in[X]->data;
    const int64_t cols = tsr_cols(call->in[X]), from = g.start[group], to = g.start[group + 1];
    float *y = (float *)call->out[Y]->data + group * cols;
    double whole = 0, most = -INFINITY;
    int mode = call->p.i[P_MODE];
    if (to - from == 1) {
        memcpy(y, x + g.member[from] * cols, (size_t)cols * sizeof *y);
        return;
    }
    for (int64_t i = from; i < to && mode == SOFTMAX; ++i)
        most = fmax(most, (double)((const float *)call->in[WEIGHT]->data)[g.member[i]]);
    for (int64_t i = from; i < to; ++i)
        whole += weight_of(call, g.member[i], mode, most);
    if (!(whole > 0)) {
        mode = EQUAL;
        whole = to > from ? (double)(to - from) : 1;
    }
    for (int64_t c = 0; c < cols; ++c) {
        double sum = 0;
        for (int64_t i = from; i < to; ++i)
            sum += weight_of(call, g.member[i], mode, most) * (double)x[g.member[i] * cols + c];
        y[c] = (float)(sum / whole);
    }
}

static void reference(const tsr_call *call) {
    const groups g = find_groups(call);
    for (int64_t i = 0; i < call->p.i[P_GROUPS]; ++i)
        mean_of_group(call, g, i);
}

typedef struct job {
    const tsr_call *call;
    groups g;
} job;

static void tile(void *arg, int64_t group, int worker) {
    const job *j = arg;
    (void)worker;
    mean_of_group(j->call, j->g, group);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    job j = {call, find_groups(call)};
    tsr_parallel(tsr_device_context(device), call->p.i[P_GROUPS], tile, &j);
    return TSR_OK;
}

/* How many members, where they begin, who they are, their mean. */
enum { COUNT, START, MEMBERS, MEAN, PASSES };

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int64_t rows = tsr_rows(call->in[X]), cols = tsr_cols(call->in[X]),
                  count = call->p.i[P_GROUPS];
    const int64_t by_group = tile_count(count, GROUP_THREADS);
    if (3 * (int64_t)call->p.i[P_LONGEST] > LOOP_LIMIT || 2 * by_group + GROUP_THREADS > LOOP_LIMIT)
        return 0;
    const bool listed = call->table != NULL;
    struct {
        uint32_t rows, cols, groups, list;
        float temperature;
    } push = {(uint32_t)rows, (uint32_t)cols, (uint32_t)count, listed ? (uint32_t)(count + 1) : 0,
              call->p.f[P_TEMPERATURE]};
    const int64_t wanted[PASSES] = {by_group, 1, by_group, tile_count(count * cols, GROUP_THREADS)};
    int dispatches = 0;
    for (int pass = listed ? MEAN : COUNT; pass < PASSES; ++pass, ++d, ++dispatches) {
        *d = (tsr_gpu_dispatch){.variant = "group_mean",
                                .spec = {(uint32_t)pass, (uint32_t)call->p.i[P_MODE]},
                                .spec_count = 2};
        dispatch_push(d, &push, sizeof push);
        dispatch_bind(d, BIND_IN + X);
        dispatch_bind(d, BIND_IN + (call->in[WEIGHT] ? WEIGHT : X));
        dispatch_bind(d, BIND_IN + (call->in[MAP] ? MAP : X));
        dispatch_bind(d, BIND_OUT + Y);
        dispatch_bind(d, listed ? BIND_TABLE : BIND_OUT + STARTS);
        dispatch_bind(d, listed ? BIND_TABLE : BIND_OUT + LIST);
        grid_set(d, wanted[pass]);
    }
    return dispatches;
}

static double work(const tsr_call *call) {
    const double longest = call->p.i[P_LONGEST];
    return call->table ? longest * (double)tsr_elements(call->out[Y])
                       : (double)tsr_elements(call->in[X]) +
                             2 * (double)tsr_rows(call->in[X]) * (double)call->p.i[P_GROUPS];
}

static const tsr_op op_group_mean = {
    .name = "group_mean", .reference = reference, .cpu = cpu, .gpu = gpu, .work = work};

/* Checks x and weight, and makes the output. */
static bool begin(tsr_run *r, tsr_call *call, const tsr_tensor *x, const tsr_tensor *weight,
                  int64_t count) {
    if (!want_tensor(r, "group_mean: x", x, TSR_DTYPE_F32, 2) ||
        (weight && !want_tensor(r, "group_mean: weight", weight, TSR_DTYPE_F32, 1)))
        return false;
    if (weight && tsr_elements(weight) != tsr_rows(x)) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "group_mean: weight: wanted %lld numbers, got %lld",
                     (long long)tsr_rows(x), (long long)tsr_elements(weight));
        return false;
    }
    if (count < 1 || count > INT32_MAX / tsr_cols(x)) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "group_mean: groups: wanted 1 to %lld, got %lld",
                     (long long)(INT32_MAX / tsr_cols(x)), (long long)count);
        return false;
    }
    *call = (tsr_call){.op = &op_group_mean, .in = {x, weight}, .in_count = 3, .out_count = 1};
    call->p.i[P_GROUPS] = (int32_t)count;
    call->out[Y] = tsr_run_new(r, TSR_DTYPE_F32, 2, (int64_t[]){count, tsr_cols(x)});
    return true;
}

tsr_tensor *tsr_group_mean(tsr_run *r, const tsr_tensor *x, const tsr_tensor *weight,
                           const tsr_tensor *map, int64_t count) {
    tsr_call call;
    if (!begin(r, &call, x, weight, count) ||
        !want_tensor(r, "group_mean: map", map, TSR_DTYPE_I32, 1))
        return tsr_run_failed(r);
    const int64_t n = tsr_rows(x), starts = count + 1;
    if (tsr_elements(map) != n)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "group_mean: map: wanted %lld ids, got %lld",
                            (long long)n, (long long)tsr_elements(map));
    if (!want_ids(r, "group_mean", map, -1, count)) return tsr_run_failed(r);
    call.in[MAP] = map;
    call.p.i[P_MODE] = weight ? PLAIN : EQUAL;
    call.p.i[P_LONGEST] = (int32_t)(n < INT32_MAX / 3 ? n : INT32_MAX / 3);
    call.out[STARTS] = tsr_run_new(r, TSR_DTYPE_I32, 1, &starts);
    call.out[LIST] = tsr_run_new(r, TSR_DTYPE_I32, 1, &n);
    call.out_count = 3;
    tsr_run_emit(r, &call);
    return call.out[Y];
}

tsr_tensor *tsr_list_mean(tsr_run *r, const tsr_tensor *x, const tsr_tensor *weight,
                          float temperature, const int32_t *lists, int64_t count) {
    tsr_call call;
    if (!begin(r, &call, x, weight, count)) return tsr_run_failed(r);
    if (weight && !(temperature > 0))
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "list_mean: temperature: wanted one above 0, got %g",
                            (double)temperature);
    int32_t longest = 0;
    for (int64_t g = 0; g < count; ++g) {
        const int32_t members = lists[g + 1] - lists[g];
        if (members < 0 || lists[0])
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "list_mean: list %lld: wanted starts that rise from 0, got %d",
                                (long long)g, lists[g]);
        longest = members > longest ? members : longest;
    }
    for (int64_t i = 0; i < lists[count]; ++i)
        if (lists[count + 1 + i] < 0 || lists[count + 1 + i] >= tsr_rows(x))
            return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                                "list_mean: member %lld: wanted 0..%lld, got %d", (long long)i,
                                (long long)tsr_rows(x) - 1, lists[count + 1 + i]);
    call.p.i[P_MODE] = weight ? SOFTMAX : EQUAL;
    call.p.f[P_TEMPERATURE] = temperature;
    call.p.i[P_LONGEST] = longest < INT32_MAX / 3 ? longest : INT32_MAX / 3;
    call.table = lists;
    call.table_bytes = (size_t)(count + 1 + lists[count]) * sizeof *lists;
    tsr_run_emit(r, &call);
    return call.out[Y];
}
