/* SPDX-License-Identifier: MIT */
/* codebook.c: the public calls that train codebooks and assign ids with them. */
#define TESSERA_EXPERIMENTAL
#include "quantizer.h"

#include <stdlib.h>
#include <string.h>

tsr_codebook_settings tsr_codebook_settings_default(void) {
    return (tsr_codebook_settings){
        .codes = 1024, .iterations = 50, .tolerance = 1e-4, .seed = 1, .stages = 1};
}

static tsr_metric metric_of(const tsr_codebook_settings *s) {
    return s->cosine ? TSR_METRIC_COSINE : TSR_METRIC_EUCLID;
}

static tsr_status check(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                        const tsr_codebook_settings *s, const void *codes) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if ((!x && n) || !codes)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: %s: wanted an address, got NULL",
                        codes ? "rows" : "codes");
    if (dim < 1 || dim > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: row width: wanted 1 to %d, got %u",
                        INT32_MAX, dim);
    if (n > INT64_MAX / 8 / dim)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: rows: wanted at most %llu, got %llu",
                        (unsigned long long)(INT64_MAX / 8 / dim), (unsigned long long)n);
    if (s->codes < 1 || s->codes > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: codes: wanted 1 to %d, got %u",
                        INT32_MAX, s->codes);
    if (s->stages < 1 || s->stages > 256)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: stages: wanted 1 to 256, got %u",
                        s->stages);
    if (s->cosine && s->stages > 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: stages: wanted 1 with cosine (a residual has no unit length), "
                        "got %u",
                        s->stages);
    return tsr_vq_check(ctx, "codebook: rows", x, (int64_t)n, dim);
}

static tsr_status open_device(tsr_context *ctx, const char *name, tsr_device **device) {
    tsr_device_settings settings = tsr_device_settings_default();
    if (name) settings.name = name;
    return tsr_device_open(ctx, device, &settings);
}

/* Takes the nearest codes away from the rows. */
static tsr_status subtract(tsr_device *device, float *rest, int64_t n, int64_t dim,
                           const float *codes, int64_t k) {
    tsr_vq_pass pass;
    tsr_status status = tsr_vq_pass_open(device, &pass, k, dim, TSR_METRIC_EUCLID, 0, false);
    if (status) return status;
    tsr_vq_pass_set_codes(&pass, codes);
    for (int64_t first = 0; first < n; first += pass.rows) {
        int64_t count = n - first < pass.rows ? n - first : pass.rows;
        float *rows = rest + first * dim;
        status = tsr_vq_pass_run(&pass, rows, count);
        if (status) break;
        for (int64_t i = 0; i < count; ++i)
            for (int64_t c = 0; c < dim; ++c)
                rows[i * dim + c] -= codes[(int64_t)pass.ids[i] * dim + c];
    }
    tsr_vq_pass_close(&pass);
    return status;
}

tsr_status tsr_codebook_train(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                              const tsr_codebook_settings *settings, float *codes,
                              tsr_codebook_stats *stats) {
    tsr_codebook_settings s = settings ? *settings : tsr_codebook_settings_default();
    if (ctx && n == 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: rows: wanted at least 1, got 0");
    tsr_status status = check(ctx, x, n, dim, &s, codes);
    if (status) return status;
    if (s.codes > n)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: codes: wanted at most %llu (the number of rows), got %u",
                        (unsigned long long)n, s.codes);
    if (!(s.tolerance >= 0 && s.tolerance < 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: tolerance: wanted 0 or more and below 1, got %g", s.tolerance);
    tsr_device *device = NULL;
    status = open_device(ctx, s.device, &device);
    if (status) return status;
    float *rest = NULL;
    tsr_codebook_stats sum = {.rows = n};
    for (uint32_t stage = 0; stage < s.stages && !status; ++stage) {
        tsr_kmeans_settings k = {.codes = s.codes,
                                 .iterations = s.iterations,
                                 .tolerance = s.tolerance,
                                 .seed = s.seed,
                                 .stream = stage,
                                 .metric = metric_of(&s),
                                 .progress = s.progress,
                                 .progress_user = s.progress_user};
        tsr_kmeans_report report;
        float *book = codes + (size_t)stage * s.codes * dim;
        status = tsr_kmeans(device, rest ? rest : x, (int64_t)n, dim, &k, book, &report);
        if (status) break;
        sum.mse = report.error / ((double)n * dim);
        sum.used += (double)report.used / ((double)s.codes * s.stages);
        sum.perplexity += report.perplexity / s.stages;
        sum.revived += report.revived;
        sum.iterations += report.iterations;
        if (stage + 1 == s.stages) break;
        if (!rest) {
            rest = tsr_alloc(ctx, (size_t)n * dim, sizeof *rest, "codebook: residuals");
            if (!rest)
                status = TSR_ERROR_MEMORY;
            else
                memcpy(rest, x, sizeof *rest * (size_t)n * dim);
        }
        if (!status) status = subtract(device, rest, (int64_t)n, dim, book, s.codes);
    }
    free(rest);
    tsr_device_close(&device);
    if (!status && stats) *stats = sum;
    return status;
}

tsr_status tsr_codebook_assign(tsr_context *ctx, const float *x, uint64_t n, uint32_t dim,
                               const float *codes, const tsr_codebook_settings *settings,
                               uint32_t *ids, tsr_codebook_stats *stats) {
    tsr_codebook_settings s = settings ? *settings : tsr_codebook_settings_default();
    tsr_status status = check(ctx, x, n, dim, &s, codes);
    if (status) return status;
    if (!ids && n)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "codebook: ids: wanted an address, got NULL");
    status = tsr_vq_check(ctx, "codebook: codes", codes, (int64_t)s.codes * s.stages, dim);
    if (status) return status;
    tsr_device *device = NULL;
    uint64_t *uses = tsr_alloc(ctx, (size_t)s.codes * s.stages, sizeof *uses, "codebook: uses");
    if (!uses) return TSR_ERROR_MEMORY;
    status = open_device(ctx, s.device, &device);
    tsr_codebook_stats sum = {.rows = n};
    /* In pieces only so that progress is told and may stop the work. */
    int64_t piece = tsr_vq_chunk_rows(dim) * 16;
    double error = 0;
    for (uint64_t first = 0; first < n && !status; first += (uint64_t)piece) {
        uint64_t count = n - first < (uint64_t)piece ? n - first : (uint64_t)piece;
        tsr_rvq_report report;
        status = tsr_rvq_assign(device, x + first * dim, (int64_t)count, dim, codes, s.codes,
                                s.stages, metric_of(&s), 0, ids + first * s.stages, uses, &report);
        if (status) break;
        error += report.error;
        sum.near_ties += report.near_ties;
        if (s.progress && s.progress(s.progress_user, "assign", first + count, n))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "assign: stopped at row %llu of %llu",
                              (unsigned long long)(first + count), (unsigned long long)n);
    }
    tsr_device_close(&device);
    for (uint32_t stage = 0; stage < s.stages && n; ++stage) {
        uint64_t used;
        sum.perplexity += tsr_perplexity(uses + (size_t)stage * s.codes, s.codes, &used) / s.stages;
        sum.used += (double)used / ((double)s.codes * s.stages);
    }
    if (n) sum.mse = error / ((double)n * dim);
    free(uses);
    if (!status && stats) *stats = sum;
    return status;
}
