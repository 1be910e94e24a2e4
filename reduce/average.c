/* SPDX-License-Identifier: MIT */
/* average.c: means of the members of groups of rows. */
#include "average.h"
#include "../compute/cpu/simd.h"
#include "../compute/threads.h"

#include <string.h>

enum { CHUNK = 512 /* columns that are summed at once */, TILE = 8 /* groups of a tile */ };

typedef struct work {
    const float *x, *weight;
    float *to;
    int64_t width, groups;
    const int64_t *start;  /* [groups + 1] where each group's members begin */
    const int32_t *member; /* rows, by group, ascending */
} work;

/* Weight of member i; `equal` where all members count the same. */
static double weight_of(const work *w, int64_t i, bool equal) {
    return equal ? 1 : (double)w->weight[w->member[i]];
}

TSR_CLONES static void add(double *restrict sum, const float *restrict x, double weight,
                           int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        sum[i] += weight * (double)x[i];
}

static void average_group(const work *w, int64_t group) {
    const int64_t from = w->start[group], to = w->start[group + 1];
    float *y = w->to + group * w->width;
    double whole = 0;
    for (int64_t i = from; i < to; ++i)
        whole += weight_of(w, i, !w->weight);
    const bool equal = !(whole > 0) || !w->weight;
    if (equal) whole = (double)(to - from);
    if (from == to) {
        memset(y, 0, (size_t)w->width * sizeof *y);
        return;
    }
    if (to - from == 1) {
        memcpy(y, w->x + w->member[from] * w->width, (size_t)w->width * sizeof *y);
        return;
    }
    for (int64_t c = 0; c < w->width; c += CHUNK) {
        const int64_t n = w->width - c < CHUNK ? w->width - c : CHUNK;
        double sum[CHUNK];
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int64_t i = from; i < to; ++i)
            add(sum, w->x + w->member[i] * w->width + c, weight_of(w, i, equal), n);
        for (int64_t j = 0; j < n; ++j)
            y[c + j] = (float)(sum[j] / whole);
    }
}

static void average_tile(void *arg, int64_t tile, int worker) {
    const work *w = arg;
    (void)worker;
    for (int64_t g = tile * TILE; g < (tile + 1) * TILE && g < w->groups; ++g)
        average_group(w, g);
}

void tsr_average(tsr_operation *o, const float *x, int64_t n, int64_t width, const float *weight,
                 const int32_t *map, int64_t groups, float *to) {
    int64_t *start = tsr_operation_take(o, groups + 1, sizeof *start, "groups");
    int64_t *next = tsr_operation_take(o, groups + 1, sizeof *next, "groups");
    int32_t *member = tsr_operation_take(o, n, sizeof *member, "members");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        if (map[i] >= 0) ++start[map[i] + 1];
    for (int64_t g = 0; g < groups; ++g)
        next[g + 1] = start[g + 1] += start[g];
    for (int64_t i = 0; i < n; ++i)
        if (map[i] >= 0) member[next[map[i]]++] = (int32_t)i;
    work w = {x, weight, to, width, groups, start, member};
    tsr_parallel(o->ctx, (groups + TILE - 1) / TILE, average_tile, &w);
}
