/* SPDX-License-Identifier: MIT */
/* test_rvq.c: residual stages against the same chain in float64, decoding, and refusals. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "everywhere.h"
#include "open_device.h"
#include "quantizer/quantizer.h"

enum { N = 700, K = 50, DIM = 12, STAGES = 4 };

typedef struct data {
    float x[N * DIM], codes[STAGES * K * DIM];
} data;

static data *make(void) {
    data *d = malloc(sizeof *d);
    ck_assert_ptr_nonnull(d);
    random_normals(d->x, N * DIM);
    random_normals(d->codes, STAGES * K * DIM);
    for (int s = 0; s < STAGES; ++s) /* finer stage by stage, as trained ones are */
        for (int i = 0; i < K * DIM; ++i)
            d->codes[s * K * DIM + i] *= powf(0.6f, (float)s);
    return d;
}

START_TEST(against_float64) {
    data *d = make();
    char name[32] = "cpu";
    uint32_t *ids = guarded(sizeof *ids * N * STAGES);
    for (int v = 0; v <= everywhere_vulkan_count(); ++v) {
        if (v > 0) snprintf(name, sizeof name, "vulkan:%d", v - 1);
        tsr_device *device = everywhere_device(name, NULL);
        ck_assert_msg(device != NULL, "%s could not be opened", name);
        uint64_t uses[STAGES * K] = {0}, seen[STAGES * K] = {0}, ties = 0;
        tsr_rvq_report report;
        ck_assert_int_eq(tsr_rvq_assign(device, d->x, N, DIM, d->codes, K, STAGES,
                                        TSR_METRIC_EUCLID, 0, ids, uses, &report),
                         TSR_OK);
        double error = 0;
        for (int i = 0; i < N; ++i) {
            double rest[DIM];
            for (int c = 0; c < DIM; ++c)
                rest[c] = d->x[i * DIM + c];
            for (int s = 0; s < STAGES; ++s) {
                double best = INFINITY, mine = INFINITY;
                for (int k = 0; k < K; ++k) {
                    double sum = 0;
                    for (int c = 0; c < DIM; ++c) {
                        double e = rest[c] - d->codes[(s * K + k) * DIM + c];
                        sum += e * e;
                    }
                    if (sum < best) best = sum;
                    if (ids[i * STAGES + s] == (uint32_t)k) mine = sum;
                }
                ck_assert_msg(mine - best < 1e-4, "%s: row %d, stage %d: %g instead of %g", name, i,
                              s, mine, best);
                ties += mine > best;
                seen[s * K + (int)ids[i * STAGES + s]]++;
                for (int c = 0; c < DIM; ++c)
                    rest[c] -= d->codes[(s * K + ids[i * STAGES + s]) * DIM + c];
            }
            for (int c = 0; c < DIM; ++c)
                error += rest[c] * rest[c];
        }
        ck_assert_uint_le(ties, report.near_ties);
        ck_assert_double_eq_tol(report.error / error, 1, 1e-5);
        ck_assert_mem_eq(uses, seen, sizeof uses);
    }
    /* Decoding gives what the stages add up to. */
    float x[N * DIM];
    ck_assert_int_eq(tsr_rvq_decode(everywhere_context(), ids, N, DIM, d->codes, K, STAGES, x),
                     TSR_OK);
    for (int i = 0; i < N; ++i)
        for (int c = 0; c < DIM; ++c) {
            double sum = 0;
            for (int s = 0; s < STAGES; ++s)
                sum += d->codes[(s * K + ids[i * STAGES + s]) * DIM + c];
            ck_assert_double_eq_tol(x[i * DIM + c], sum, 1e-5);
        }
    ids[5] = K;
    ck_assert_int_eq(tsr_rvq_decode(everywhere_context(), ids, N, DIM, d->codes, K, STAGES, x),
                     TSR_ERROR_TOKENS);
    ck_assert_str_eq(tsr_detail(everywhere_context()),
                     "codebook: row 1, stage 1: wanted an id below 50, got 50");
    guarded_free(ids);
    free(d);
}
END_TEST

START_TEST(same_for_threads_and_chunks) {
    data *d = make();
    static uint32_t first[N * STAGES], ids[N * STAGES];
    static const int64_t chunks[] = {0, 1, 13, 256, 699, 700};
    for (int threads = 1; threads <= 2; ++threads) {
        own_device own = open_own_device("cpu", threads);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; ++c) {
            tsr_rvq_report report;
            bool start = threads == 1 && c == 0;
            ck_assert_int_eq(tsr_rvq_assign(own.device, d->x, N, DIM, d->codes, K, STAGES,
                                            TSR_METRIC_EUCLID, chunks[c], start ? first : ids, NULL,
                                            &report),
                             TSR_OK);
            if (!start) ck_assert(!memcmp(first, ids, sizeof ids));
        }
        /* One stage is plain VQ. */
        tsr_rvq_report report;
        int32_t plain[N];
        ck_assert_int_eq(tsr_rvq_assign(own.device, d->x, N, DIM, d->codes, K, 1, TSR_METRIC_COSINE,
                                        0, ids, NULL, &report),
                         TSR_OK);
        ck_assert_int_eq(tsr_vq_assign(own.device, d->x, N, DIM, d->codes, K, TSR_METRIC_COSINE, 0,
                                       plain, NULL, NULL),
                         TSR_OK);
        expect_equal_i32("one stage", (int32_t *)ids, plain, N);
        ck_assert_int_eq(tsr_rvq_assign(own.device, d->x, N, DIM, d->codes, K, 2, TSR_METRIC_COSINE,
                                        0, ids, NULL, &report),
                         TSR_ERROR_ARGUMENT);
        close_own_device(&own);
    }
    free(d);
}
END_TEST

TEST_MAIN("rvq", against_float64, same_for_threads_and_chunks)
