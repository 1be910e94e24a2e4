/* SPDX-License-Identifier: MIT */
/* Means of groups of rows, by a map and by lists, against float64. */
#include "ops/ops.h"
#include "op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void by_map(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const int64_t *groups = m;
    out[0] = tsr_group_mean(r, in[0], groups[1] ? in[2] : NULL, in[1], groups[0]);
}

/* Group 0 has no rows, group 1 rows of weight 0, group 2 one row. */
static void try_map(int64_t n, int64_t d, int64_t groups, bool weighted) {
    int64_t model[2] = {groups, weighted};
    op_case c = {
        .run = {.fn = by_map, .model = model, .variant = 2 * groups + weighted, .tolerance = 1e-5}};
    op_name(&c, "group_mean %lldx%lld into %lld%s", (long long)n, (long long)d, (long long)groups,
            weighted ? " weighted" : "");
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(n, d));
    int32_t *map = op_in(&c, TSR_DTYPE_I32, SHAPE(n));
    float *weight = op_in(&c, TSR_DTYPE_F32, SHAPE(n));
    float *y = op_out(&c, TSR_DTYPE_F32, SHAPE(groups, d));
    random_normals(x, n * d);
    for (int64_t i = 0; i < n; ++i) {
        map[i] = groups > 3 ? (int32_t)(random_below(groups - 3) + 3) : -1;
        if (random_below(9) == 0) map[i] = random_below(2) ? -1 : (groups > 1 ? 1 : 0);
        weight[i] = map[i] == 1 ? 0 : random_uniform(0.5f, 3);
    }
    if (groups > 2) map[n - 1] = 2;
    op_run(&c);
    double *want = calloc((size_t)(groups * d), sizeof *want);
    ck_assert(want);
    for (int64_t g = 0; g < groups; ++g) {
        double whole = 0;
        int64_t members = 0;
        for (int64_t i = 0; i < n; ++i)
            if (map[i] == g) {
                whole += weighted ? (double)weight[i] : 1;
                ++members;
            }
        for (int64_t i = 0; i < n; ++i)
            for (int64_t j = 0; j < d && map[i] == g; ++j)
                want[g * d + j] += (double)x[i * d + j] *
                                   (whole > 0 ? (weighted ? (double)weight[i] / whole : 1 / whole)
                                              : 1 / (double)members);
    }
    op_expect(&c, 0, want, 1e-6);
    if (groups > 2) ck_assert(!memcmp(y + 2 * d, x + (n - 1) * d, (size_t)d * sizeof *x));
    free(want);
    op_free(&c);
}

START_TEST(maps) {
    for (int weighted = 0; weighted < 2; ++weighted) {
        try_map(1, 1, 1, weighted);
        try_map(40, 3, 5, weighted);
        try_map(300, 17, 150, weighted);
        try_map(1 + random_below(300), 1 + random_below(60), 1 + random_below(200), weighted);
    }
}
END_TEST

/* Lists that overlap, and an empty one. */
enum { ROWS = 40, WIDTH = 6, LISTS = 4 };
static const int32_t lists[] = {0, 4, 4, 9, 10, /* starts */
                                0, 1, 2, 3, 2,  3, 30, 39, 5, 7};

static void by_list(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const float *temperature = m;
    out[0] = tsr_list_mean(r, in[0], *temperature > 0 ? in[1] : NULL, *temperature, lists, LISTS);
}

START_TEST(listed) {
    for (int weighted = 0; weighted < 2; ++weighted) {
        float temperature = weighted ? 0.25f : 0;
        op_case c = {
            .run = {.fn = by_list, .model = &temperature, .variant = weighted, .tolerance = 1e-5}};
        op_name(&c, "list_mean %d", weighted);
        float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(ROWS, WIDTH));
        float *weight = op_in(&c, TSR_DTYPE_F32, SHAPE(ROWS));
        op_out(&c, TSR_DTYPE_F32, SHAPE(LISTS, WIDTH));
        random_normals(x, ROWS * WIDTH);
        for (int i = 0; i < ROWS; ++i)
            weight[i] = random_uniform(0, 1);
        op_run(&c);
        double want[LISTS * WIDTH] = {0};
        for (int g = 0; g < LISTS; ++g) {
            double whole = 0;
            for (int i = lists[g]; i < lists[g + 1]; ++i)
                whole += weighted ? exp((double)weight[lists[LISTS + 1 + i]] * 4) : 1;
            for (int i = lists[g]; i < lists[g + 1]; ++i)
                for (int j = 0; j < WIDTH; ++j) {
                    const int row = lists[LISTS + 1 + i];
                    want[g * WIDTH + j] += (double)x[row * WIDTH + j] *
                                           (weighted ? exp((double)weight[row] * 4) : 1) / whole;
                }
        }
        op_expect(&c, 0, want, 1e-6);
        op_free(&c);
    }
}
END_TEST

START_TEST(refuses) {
    int64_t model[2] = {3, 0};
    op_case c = {.run = {.name = "group_mean", .fn = by_map, .model = model}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(4, 2)), 0, 32);
    int32_t *map = op_in(&c, TSR_DTYPE_I32, SHAPE(4));
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(4)), 0, 16);
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, 2));
    memcpy(map, (int32_t[]){0, 1, -1, 3}, 16);
    op_refused(&c, TSR_ERROR_TOKENS, "group_mean: id 3: wanted -1..2, got 3");
    map[3] = 0;
    c.in[1].dim[0] = 3;
    op_refused(&c, TSR_ERROR_ARGUMENT, "group_mean: map: wanted 4 ids, got 3");
    op_free(&c);
}
END_TEST

TEST_MAIN("op_group_mean", maps, listed, refuses)
