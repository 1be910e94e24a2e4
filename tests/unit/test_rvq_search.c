/* SPDX-License-Identifier: MIT */
/* The beam search of residual VQ against all chains there are, against the greedy chain, and
 * against a search in float64 that sorts all chains of a stage. */
#include "quantizer/rvq_search.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIM = 24, STAGES = 3, MOST = 9 };

typedef struct books {
    float codes[STAGES][MOST * DIM], norms[STAGES][MOST];
    tsr_rvq_stage stage[STAGES];
} books;

static void make(books *b) {
    const int sizes[STAGES] = {9, 7, 5};
    for (int s = 0; s < STAGES; ++s) {
        for (int i = 0; i < sizes[s] * DIM; ++i)
            b->codes[s][i] = random_normal() / (float)(1 + s);
        tsr_rvq_norms(b->codes[s], sizes[s], DIM, b->norms[s]);
        b->stage[s] = (tsr_rvq_stage){.codes = b->codes[s], .norms = b->norms[s], .size = sizes[s]};
    }
}

static double error_of(const books *b, const float *x, const int *codes, int stages) {
    double sum = 0;
    for (int d = 0; d < DIM; ++d) {
        double rest = x[d];
        for (int s = 0; s < stages; ++s)
            rest -= b->codes[s][codes[s] * DIM + d];
        sum += rest * rest;
    }
    return sum;
}

START_TEST(a_beam_that_holds_everything_finds_the_best_chain) {
    books b;
    float *scratch = guarded(tsr_rvq_search_scratch(DIM, 32) * sizeof *scratch);
    for (int trial = 0; trial < 50; ++trial) {
        make(&b);
        float x[DIM];
        random_normals(x, DIM);
        /* 9 chains after the first stage, all kept; 63 after the second would not fit, so there
         * the first two stages are enough. */
        int codes[2], best[2] = {0};
        double least = INFINITY, second = INFINITY;
        for (int i = 0; i < 9 * 7; ++i) {
            const double e = error_of(&b, x, (int[]){i / 7, i % 7}, 2);
            if (e < least)
                second = least, least = e, best[0] = i / 7, best[1] = i % 7;
            else if (e < second)
                second = e;
        }
        const float margin = tsr_rvq_search(b.stage, 2, DIM, 32, x, scratch, codes);
        guarded_check(scratch);
        if (second - least > 1e-4) {
            ck_assert_int_eq(codes[0], best[0]);
            ck_assert_int_eq(codes[1], best[1]);
        }
        ck_assert_double_eq_tol(margin, second - least, 1e-4);
    }
    guarded_free(scratch);
}
END_TEST

typedef struct path {
    double error;
    int codes[STAGES];
} path;

static int by_error(const void *a, const void *b) {
    const double x = ((const path *)a)->error, y = ((const path *)b)->error;
    return (x > y) - (x < y);
}

/* The best chain of a beam, in float64; returns how much further the second best one is. *gap: the
 * least difference that decided which chains stay or which is best. */
static double beam_search(const books *b, const float *x, int beam, int *codes, double *gap) {
    enum { ALL = 16 * MOST };
    path all[ALL], kept[16] = {{0}};
    int count = 1;
    *gap = INFINITY;
    for (int s = 0; s < STAGES; ++s) {
        int found = 0;
        for (int k = 0; k < count; ++k)
            for (int c = 0; c < b->stage[s].size; ++c, ++found) {
                all[found] = kept[k];
                all[found].codes[s] = c;
                all[found].error = error_of(b, x, all[found].codes, s + 1);
            }
        qsort(all, (size_t)found, sizeof *all, by_error);
        count = found < beam ? found : beam;
        if (found > beam) *gap = fmin(*gap, all[beam].error - all[beam - 1].error);
        for (int k = 0; k < count; ++k)
            kept[k] = all[k];
    }
    for (int s = 0; s < STAGES; ++s)
        codes[s] = kept[0].codes[s];
    const double margin = all[1].error - all[0].error;
    *gap = fmin(*gap, margin);
    return margin;
}

START_TEST(a_beam_of_one_is_greedy_and_a_wider_one_is_better) {
    books b;
    float scratch[2 * 16 * DIM];
    double narrow = 0, wide = 0;
    int compared = 0;
    for (int trial = 0; trial < 200; ++trial) {
        make(&b);
        float x[DIM];
        random_normals(x, DIM);
        int codes[STAGES], greedy[STAGES];
        for (int s = 0; s < STAGES; ++s) {
            int best = 0;
            double least = INFINITY;
            for (greedy[s] = 0; greedy[s] < b.stage[s].size; ++greedy[s]) {
                const double e = error_of(&b, x, greedy, s + 1);
                if (e < least) least = e, best = greedy[s];
            }
            greedy[s] = best;
        }
        tsr_rvq_search(b.stage, STAGES, DIM, 1, x, scratch, codes);
        for (int s = 0; s < STAGES; ++s)
            ck_assert_int_eq(codes[s], greedy[s]);
        narrow += error_of(&b, x, codes, STAGES);
        for (int beam = 2; beam <= 16; beam *= 2) {
            int best[STAGES];
            double gap;
            const double second = beam_search(&b, x, beam, best, &gap);
            const float margin = tsr_rvq_search(b.stage, STAGES, DIM, beam, x, scratch, codes);
            if (gap < 1e-4) continue; /* float32 may decide otherwise */
            ++compared;
            for (int s = 0; s < STAGES; ++s)
                ck_assert_int_eq(codes[s], best[s]);
            ck_assert_double_eq_tol(margin, second, 1e-4);
        }
        wide += error_of(&b, x, codes, STAGES);
    }
    ck_assert_int_gt(compared, 4 * 200 * 9 / 10);
    printf("  mean error: beam 1 %.3f, beam 16 %.3f\n", narrow / 200, wide / 200);
    ck_assert_double_lt(wide, 0.99 * narrow);
}
END_TEST

START_TEST(of_equal_chains_the_first_is_taken) {
    float codes[4 * 8], norms[4], scratch[2 * 4 * 8], x[8] = {1};
    for (int i = 0; i < 32; ++i)
        codes[i] = i % 8 == 0 ? 1.0f : 0.0f; /* four times the same */
    tsr_rvq_norms(codes, 4, 8, norms);
    const tsr_rvq_stage stage = {.codes = codes, .norms = norms, .size = 4};
    int code;
    ck_assert_float_eq(tsr_rvq_search(&stage, 1, 8, 4, x, scratch, &code), 0);
    ck_assert_int_eq(code, 0);
    ck_assert_float_eq(norms[3], 1);
}
END_TEST

TEST_MAIN("rvq_search", a_beam_that_holds_everything_finds_the_best_chain,
          a_beam_of_one_is_greedy_and_a_wider_one_is_better, of_equal_chains_the_first_is_taken)
