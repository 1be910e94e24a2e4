/* SPDX-License-Identifier: MIT */
/* bootstrap.c: how far a mean would move with other pictures of the same kind (Efron 1979,
 * percentile method). */
#define TESSERA_EXPERIMENTAL
#include <tessera/measure.h>

#include "../compute/threads.h"
#include "../quantizer/rng.h"

#include <math.h>
#include <stdlib.h>

typedef struct resampling {
    const double *sums, *weights;
    uint64_t count, seed;
    double *means; /* [resamples] */
} resampling;

/* Draw i of a resample is word i % 4 of block i / 4 of its stream, scaled to the count. */
static void resample(void *arg, int64_t tile, int worker) {
    (void)worker;
    const resampling *r = arg;
    const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    const uint64_t stream = (uint64_t)tile;
    double sum = 0, weight = 0;
    for (uint64_t i = 0; i < r->count; i += 4) {
        const uint64_t block = i / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                     (uint32_t)(stream >> 32)};
        uint32_t word[4];
        tsr_philox(counter, key, word);
        for (uint64_t k = 0; k < 4 && i + k < r->count; ++k) {
            const uint64_t drawn = word[k] * r->count >> 32;
            sum += r->sums[drawn];
            weight += r->weights ? r->weights[drawn] : 1;
        }
    }
    r->means[tile] = sum / weight;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *sorted, uint32_t count, double share) {
    const double place = share * (count - 1);
    const uint32_t at = (uint32_t)place;
    if (at + 1 >= count) return sorted[count - 1];
    return sorted[at] + (place - at) * (sorted[at + 1] - sorted[at]);
}

tsr_status tsr_bootstrap_interval(tsr_context *ctx, const double *sums, const double *weights,
                                  uint64_t count, uint64_t seed, uint32_t resamples, double *low,
                                  double *high) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!low || !high || (count && !sums))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "bootstrap: wanted an address, got NULL");
    *low = *high = NAN;
    if (!resamples) resamples = 2000;
    if (resamples > 1000000)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "resamples: wanted at most 1000000, got %u",
                        resamples);
    for (uint64_t i = 0; i < count; ++i)
        if (!isfinite(sums[i]) || (weights && !(weights[i] > 0 && isfinite(weights[i]))))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "bootstrap: group %llu: wanted a finite sum and a weight above 0",
                            (unsigned long long)i);
    if (count < 2) return TSR_OK;
    double *means = tsr_alloc(ctx, resamples, sizeof *means, "bootstrap");
    if (!means) return TSR_ERROR_MEMORY;
    resampling r = {sums, weights, count, seed ? seed : 1, means};
    tsr_parallel(ctx, resamples, resample, &r);
    qsort(means, resamples, sizeof *means, by_value);
    *low = percentile(means, resamples, 0.025);
    *high = percentile(means, resamples, 0.975);
    free(means);
    return TSR_OK;
}
