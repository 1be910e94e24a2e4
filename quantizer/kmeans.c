/* SPDX-License-Identifier: MIT */
/* kmeans.c: Lloyd's algorithm on a device. One iteration is one pass over the rows: ids and segment
 * sums of a chunk on the device (f32, rows in a fixed order), sums of chunks on the host (f64,
 * chunk after chunk), so that the result depends on neither threads nor timing. */
#include "quantizer.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct trainer {
    tsr_context *ctx;
    const tsr_kmeans_settings *settings;
    const float *x;
    int64_t n, k, dim;
    tsr_vq_pass pass;
    double *sums;     /* [k, dim] */
    uint64_t *uses;   /* [k] */
    float *distance;  /* [n] */
    double *tile_sum; /* of distance, for draws */
    float *before;    /* [k, dim] codes of the last step */
    uint64_t *uses_before;
} trainer;

double tsr_perplexity(const uint64_t *uses, int64_t k, uint64_t *used) {
    double total = 0, entropy = 0;
    *used = 0;
    for (int64_t c = 0; c < k; ++c)
        total += (double)uses[c];
    for (int64_t c = 0; c < k; ++c)
        if (uses[c]) {
            double p = (double)uses[c] / total;
            entropy -= p * log(p);
            ++*used;
        }
    return *used ? exp(entropy) : 0;
}

/* One pass over all rows with `codes`; *error gets the objective. */
static tsr_status measure(trainer *t, const float *codes, uint32_t iteration, double *error) {
    const tsr_kmeans_settings *s = t->settings;
    tsr_vq_pass *p = &t->pass;
    tsr_vq_pass_set_codes(p, codes);
    memset(t->sums, 0, sizeof *t->sums * (size_t)(t->k * t->dim));
    memset(t->uses, 0, sizeof *t->uses * (size_t)t->k);
    *error = 0;
    for (int64_t first = 0; first < t->n; first += p->rows) {
        int64_t count = t->n - first < p->rows ? t->n - first : p->rows;
        tsr_status status = tsr_vq_pass_run(p, t->x + first * t->dim, count);
        if (status) return status;
        *error += p->error;
        for (int64_t i = 0; i < count; ++i)
            t->distance[first + i] = (float)p->distance[i];
        for (int64_t i = 0; i < t->k * t->dim; ++i)
            t->sums[i] += p->sums[i];
        for (int64_t c = 0; c < t->k; ++c)
            t->uses[c] += (uint64_t)p->counts[c];
        uint64_t done = (uint64_t)iteration * (uint64_t)t->n + (uint64_t)(first + count);
        uint64_t all = ((uint64_t)s->iterations + 1) * (uint64_t)t->n;
        if (s->progress && s->progress(s->progress_user, "k-means", done, all))
            return tsr_fail(t->ctx, TSR_ERROR_INTERRUPTED, "k-means: stopped in iteration %u of %u",
                            iteration, s->iterations);
    }
    return TSR_OK;
}

/* Moves each code to the mean of its rows. */
static void update(trainer *t, float *codes) {
    for (int64_t c = 0; c < t->k; ++c) {
        if (!t->uses[c]) continue;
        double *sum = t->sums + c * t->dim, length = 0;
        float *code = codes + c * t->dim;
        if (t->settings->metric == TSR_METRIC_COSINE) {
            for (int64_t i = 0; i < t->dim; ++i)
                length += sum[i] * sum[i];
            if (!(length > 0)) continue; /* opposite rows: any direction is as good */
            length = sqrt(length);
            for (int64_t i = 0; i < t->dim; ++i)
                code[i] = (float)(sum[i] / length);
        } else {
            for (int64_t i = 0; i < t->dim; ++i)
                code[i] = (float)(sum[i] / (double)t->uses[c] + t->pass.shift[i]);
        }
    }
}

/* Moves codes without rows to drawn rows; returns how many. */
static uint64_t revive(trainer *t, float *codes, uint32_t iteration) {
    const tsr_kmeans_settings *s = t->settings;
    int64_t tiles = (t->n + TSR_DRAW_TILE - 1) / TSR_DRAW_TILE;
    uint64_t revived = 0;
    for (int64_t c = 0; c < t->k; ++c) {
        if (t->uses[c]) continue;
        if (!revived)
            for (int64_t i = 0; i < tiles; ++i)
                t->tile_sum[i] = tsr_draw_tile_sum(t->distance, t->n, i);
        double u = tsr_random_unit(s->seed, 8 * s->stream + TSR_DRAW_REVIVE,
                                   (uint64_t)iteration * (uint64_t)t->k + (uint64_t)c);
        int64_t row = tsr_draw(t->distance, t->n, t->tile_sum, u);
        if (row < 0) break; /* every row lies on a code: there is nothing to win */
        memcpy(codes + c * t->dim, t->x + row * t->dim, sizeof *codes * (size_t)t->dim);
        if (s->metric == TSR_METRIC_COSINE) {
            double sum = 0;
            float *code = codes + c * t->dim;
            for (int64_t i = 0; i < t->dim; ++i)
                sum += (double)code[i] * code[i];
            for (int64_t i = 0; i < t->dim && sum > 0; ++i)
                code[i] = (float)(code[i] / sqrt(sum));
        }
        t->distance[row] = 0; /* drawn once */
        t->tile_sum[row / TSR_DRAW_TILE] =
            tsr_draw_tile_sum(t->distance, t->n, row / TSR_DRAW_TILE);
        ++revived;
    }
    return revived;
}

static tsr_status train(trainer *t, float *codes, tsr_kmeans_report *report) {
    const tsr_kmeans_settings *s = t->settings;
    size_t code_bytes = sizeof *codes * (size_t)(t->k * t->dim);
    size_t use_bytes = sizeof *t->uses * (size_t)t->k;
    double best = 0;
    uint64_t revived = 0; /* in the last step */
    for (uint32_t i = 0;; ++i) {
        double error;
        tsr_status status = measure(t, codes, i, &error);
        if (status) return status;
        if (i > 0 && error > best) {
            memcpy(codes, t->before, code_bytes);
            memcpy(t->uses, t->uses_before, use_bytes);
            break;
        }
        tsr_log(t->ctx, TSR_LOG_INFO, "k-means: iteration %u, mean squared error %.9g", i,
                error / ((double)t->n * (double)t->dim));
        bool settled = i > 0 && !revived && best - error < s->tolerance * best;
        best = error;
        report->iterations = i;
        report->revived += revived;
        if (settled || i == s->iterations || error == 0) break;
        memcpy(t->before, codes, code_bytes);
        memcpy(t->uses_before, t->uses, use_bytes);
        update(t, codes);
        revived = revive(t, codes, i);
    }
    report->error = best;
    report->perplexity = tsr_perplexity(t->uses, t->k, &report->used);
    return TSR_OK;
}

tsr_status tsr_kmeans(tsr_device *device, const float *x, int64_t n, int64_t dim,
                      const tsr_kmeans_settings *settings, float *codes,
                      tsr_kmeans_report *report) {
    tsr_context *ctx = tsr_device_context(device);
    trainer t = {.ctx = ctx, .settings = settings, .x = x, .n = n, .dim = dim};
    t.k = settings->codes;
    *report = (tsr_kmeans_report){0};
    if (t.k < 1 || t.k > n)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: codes: wanted 1 to %lld (the number of rows), got %lld",
                        (long long)n, (long long)t.k);
    tsr_status status = tsr_vq_pass_open(device, &t.pass, t.k, dim, settings->metric, 0, true);
    if (status) return status;
    size_t k = (size_t)t.k, values = k * (size_t)dim;
    size_t tiles = ((size_t)n + TSR_DRAW_TILE - 1) / TSR_DRAW_TILE;
    if (!(t.sums = tsr_alloc(ctx, values, sizeof *t.sums, "k-means: sums")) ||
        !(t.uses = tsr_alloc(ctx, k, sizeof *t.uses, "k-means: counts")) ||
        !(t.distance = tsr_alloc(ctx, (size_t)n, sizeof *t.distance, "k-means: distances")) ||
        !(t.tile_sum = tsr_alloc(ctx, tiles, sizeof *t.tile_sum, "k-means: sums")) ||
        !(t.before = tsr_alloc(ctx, values, sizeof *t.before, "k-means: codes")) ||
        !(t.uses_before = tsr_alloc(ctx, k, sizeof *t.uses_before, "k-means: counts")))
        status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_kmeans_seed(ctx, x, n, dim, settings, codes);
    if (!status) status = train(&t, codes, report);
    tsr_vq_pass_close(&t.pass);
    free(t.sums);
    free(t.uses);
    free(t.distance);
    free(t.tile_sum);
    free(t.before);
    free(t.uses_before);
    return status;
}
