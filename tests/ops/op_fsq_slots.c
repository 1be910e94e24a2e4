/* SPDX-License-Identifier: MIT */
/* Residual FSQ as an op: against the host's rounding, and on every device; digits differ only where
 * a value lies at a rounding border, and then in the slots of that chain alone. */
#include "ops/ops.h"
#include "op_case.h"
#include "quantizer/residual_fsq.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, NUMBERS = 40, SLOTS = 90, CLASSES = 5, ENDS = 4, NONE = 4 };
static const int levels[3] = {8, 5, 2};
static const int ends[ENDS] = {NONE, 20, 21, SLOTS - 6};

typedef struct recipe {
    tsr_fsq_slots slots;
    int32_t source[CLASSES * SLOTS], previous[CLASSES * SLOTS];
    float scale[CLASSES * SLOTS], table[CLASSES * SLOTS * WIDTH];
} recipe;

/* Random chains; later slots of a chain look more closely. */
static void make(recipe *m) {
    for (int c = 0; c < CLASSES; ++c) {
        int last[NUMBERS];
        memset(last, -1, sizeof last);
        for (int j = 0; j < SLOTS; ++j) {
            const int at = c * SLOTS + j, n = levels[j % 3];
            m->source[at] = j < NONE ? -1 : (int32_t)random_below(NUMBERS);
            m->previous[at] = j < NONE ? -1 : last[m->source[at]];
            m->scale[at] = m->previous[at] < 0 ? 0.5f : 3 * m->scale[c * SLOTS + m->previous[at]];
            for (int d = 0; d < WIDTH; ++d)
                m->table[at * WIDTH + d] = ((float)d - (float)(n - 1) / 2) * 0.4f / m->scale[at];
            if (j >= NONE) last[m->source[at]] = j;
        }
    }
    m->slots = (tsr_fsq_slots){.classes = CLASSES,
                               .slots = SLOTS,
                               .levels = levels,
                               .level_count = 3,
                               .source = m->source,
                               .previous = m->previous,
                               .scale = m->scale,
                               .table = m->table,
                               .width = WIDTH};
}

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_fsq_slots_round(r, in[0], in[1], &x->slots, &out[1]);
    out[2] = tsr_fsq_slots_errors(r, in[0], in[2], &x->slots, ends, ENDS);
}

/* Bound of a border in steps: f32 tanh against double, and a number that is some rounding off. */
static const float border = 4e-6f;

static void near(const char *where, const everywhere_case *c, const tsr_tensor *got,
                 const tsr_tensor *want) {
    const recipe *m = c->model;
    const int32_t *gd = got[0].data, *wd = want[0].data, *classes = c->in[1].data;
    const float *gm = got[1].data, *wm = want[1].data, *ge = got[2].data, *we = want[2].data;
    const int64_t rows = c->in[0].dim[0];
    int differ = 0;
    for (int64_t n = 0; n < rows; ++n)
        for (int j = 0; j < SLOTS; ++j) {
            const int64_t at = n * SLOTS + j;
            const int32_t *previous = m->previous + classes[n] * SLOTS;
            bool tie = false;
            for (int p = j; p >= 0; p = previous[p])
                tie |= wm[n * SLOTS + p] < border;
            ck_assert_msg(tie || gd[at] == wd[at], "%s on %s: slot %d: wanted %d, got %d", c->name,
                          where, j, wd[at], gd[at]);
            ck_assert_msg(tie || fabsf(gm[at] - wm[at]) <= border,
                          "%s on %s: margin %d: wanted %g, got %g", c->name, where, j,
                          (double)wm[at], (double)gm[at]);
            differ += gd[at] != wd[at];
        }
    if (differ) printf("  %s on %s: %d near ties\n", c->name, where, differ);
    for (int64_t i = 0; i < rows * CLASSES * ENDS && !differ; ++i)
        ck_assert_msg(fabsf(ge[i] - we[i]) <= 1e-3f, "%s on %s: error %d: wanted %g, got %g",
                      c->name, where, (int)i, (double)we[i], (double)ge[i]);
}

static void try(int64_t rows) {
    recipe *m = calloc(1, sizeof *m);
    make(m);
    op_case c = {.run = {.fn = model, .model = m, .variant = rows, .compare = near}};
    op_name(&c, "fsq_slots %lld", (long long)rows);
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(rows, NUMBERS));
    int32_t *classes = op_in(&c, TSR_DTYPE_I32, SHAPE(rows));
    float *energy = op_in(&c, TSR_DTYPE_F32, SHAPE(rows, 1));
    int32_t *digits = op_out(&c, TSR_DTYPE_I32, SHAPE(rows, SLOTS));
    float *margin = op_out(&c, TSR_DTYPE_F32, SHAPE(rows, SLOTS));
    float *errors = op_out(&c, TSR_DTYPE_F32, SHAPE(rows, CLASSES, ENDS));
    for (int64_t n = 0; n < rows; ++n) {
        classes[n] = (int32_t)random_below(CLASSES);
        energy[n] = 3;
        for (int i = 0; i < NUMBERS; ++i) {
            const float v = x[n * NUMBERS + i] = 2 * random_normal();
            energy[n] += v * v;
        }
    }
    op_run(&c);
    for (int64_t n = 0; n < rows; ++n)
        for (int k = 0; k < CLASSES; ++k) {
            const tsr_residual_fsq q = {.slots = SLOTS,
                                        .level_count = 3,
                                        .levels = levels,
                                        .source = m->source + k * SLOTS,
                                        .previous = m->previous + k * SLOTS,
                                        .scale = m->scale + k * SLOTS,
                                        .table = m->table + (size_t)k * SLOTS * WIDTH,
                                        .table_width = WIDTH,
                                        .first = NONE};
            float left[SLOTS], want_margin[SLOTS];
            uint8_t want[SLOTS];
            double error = energy[n];
            bool tied = false;
            tsr_residual_fsq_round(&q, SLOTS, x + n * NUMBERS, left, want, want_margin);
            for (int j = 0, e = 0; j < SLOTS; ++j) {
                while (e < ENDS && ends[e] == j)
                    if (tied)
                        ++e;
                    else
                        ck_assert_double_eq_tol(errors[(n * CLASSES + k) * ENDS + e++], error,
                                                1e-3);
                const double before = left[j], after = before - q.table[j * WIDTH + want[j]];
                tied |= want_margin[j] < border;
                if (j >= NONE) error += after * after - before * before;
                if (k != classes[n] || tied) continue;
                ck_assert_int_eq(digits[n * SLOTS + j], want[j]);
                ck_assert_double_eq_tol(margin[n * SLOTS + j], want_margin[j], border);
            }
        }
    op_same_in_batches(&c);
    op_free(&c);
    free(m);
}

START_TEST(sizes) {
    try(1);
    try(7);
    try(2 + random_below(60));
}
END_TEST

START_TEST(what_is_no_number_gets_a_digit) {
    recipe *m = calloc(1, sizeof *m);
    make(m);
    op_case c = {.run = {.name = "fsq_slots inf", .fn = model, .model = m, .compare = near}};
    float *x = op_in(&c, TSR_DTYPE_F32, SHAPE(3, NUMBERS));
    int32_t *classes = op_in(&c, TSR_DTYPE_I32, SHAPE(3));
    float *energy = op_in(&c, TSR_DTYPE_F32, SHAPE(3, 1));
    int32_t *digits = op_out(&c, TSR_DTYPE_I32, SHAPE(3, SLOTS));
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, SLOTS));
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, CLASSES, ENDS));
    for (int i = 0; i < 3 * NUMBERS; ++i)
        x[i] = i < NUMBERS ? 1e30f : i < 2 * NUMBERS ? -1e30f : NAN;
    memset(classes, 0, 3 * sizeof *classes);
    memset(energy, 0, 3 * sizeof *energy);
    c.run.compare = NULL;
    c.run.out_count = 1; /* digits alone: errors of no number are none */
    op_run(&c);
    for (int j = NONE; j < SLOTS; ++j) {
        if (m->previous[j] >= 0) continue;
        ck_assert_int_eq(digits[j], levels[j % 3] - 1);
        ck_assert_int_eq(digits[SLOTS + j], 0);
        ck_assert_int_eq(digits[2 * SLOTS + j], 0);
    }
    op_free(&c);
    free(m);
}
END_TEST

START_TEST(refuses) {
    recipe *m = calloc(1, sizeof *m);
    make(m);
    op_case c = {.run = {.name = "fsq_slots", .fn = model, .model = m}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1, NUMBERS)), 0, NUMBERS * 4);
    int32_t *classes = op_in(&c, TSR_DTYPE_I32, SHAPE(1));
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(1, 1)), 0, 4);
    op_out(&c, TSR_DTYPE_I32, SHAPE(1, SLOTS));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, SLOTS));
    op_out(&c, TSR_DTYPE_F32, SHAPE(1, CLASSES, ENDS));
    *classes = CLASSES;
    op_refused(&c, TSR_ERROR_TOKENS, "fsq_slots_round: classes: id 0: wanted 0..4, got 5");
    *classes = 0;
    m->source[SLOTS - 1] = NUMBERS;
    m->previous[SLOTS - 1] = -1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "wanted sources below 40");
    make(m);
    m->previous[SLOTS - 1] = SLOTS - 1; /* a circle */
    op_refused(&c, TSR_ERROR_ARGUMENT, "each linked to its last slot before");
    make(m);
    m->slots.width = 1;
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq_slots: wanted classes, slots, width");
    op_free(&c);
    free(m);
}
END_TEST

TEST_MAIN("op_fsq_slots", sizes, what_is_no_number_gets_a_digit, refuses)
