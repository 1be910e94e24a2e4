/* SPDX-License-Identifier: MIT */
/* rvq.c: a chain of codebooks, each for what the one before it left. All stages of a chunk are done
 * before the next chunk, so that only one chunk of residuals exists. */
#include "quantizer.h"

#include <stdlib.h>
#include <string.h>

tsr_status tsr_rvq_assign(tsr_device *device, const float *x, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, tsr_metric metric,
                          int64_t chunk, uint32_t *ids, uint64_t *uses, tsr_rvq_report *report) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_vq_pass pass;
    *report = (tsr_rvq_report){0};
    if (metric == TSR_METRIC_COSINE && stages > 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "codebook: stages: wanted 1 with cosine (a residual has no unit length), "
                        "got %lld",
                        (long long)stages);
    tsr_status status = tsr_vq_pass_open(device, &pass, k, dim, metric, chunk, false);
    if (status) return status;
    float *rest = NULL;
    if (stages > 1) {
        rest = tsr_alloc(ctx, (size_t)(pass.rows * dim), sizeof *rest, "residuals of a chunk");
        if (!rest) status = TSR_ERROR_MEMORY;
    }
    for (int64_t first = 0; first < n && !status; first += pass.rows) {
        int64_t count = n - first < pass.rows ? n - first : pass.rows;
        const float *rows = x + first * dim;
        if (rest) rows = memcpy(rest, rows, sizeof *rest * (size_t)(count * dim));
        for (int64_t s = 0; s < stages; ++s) {
            const float *book = codes + s * k * dim;
            if (stages > 1 || first == 0) tsr_vq_pass_set_codes(&pass, book);
            status = tsr_vq_pass_run(&pass, rows, count);
            if (status) break;
            for (int64_t i = 0; i < count; ++i) {
                int32_t id = pass.ids[i];
                ids[(first + i) * stages + s] = (uint32_t)id;
                if (uses) uses[s * k + id]++;
                for (int64_t c = 0; rest && c < dim; ++c)
                    rest[i * dim + c] -= book[(int64_t)id * dim + c];
            }
        }
        report->error += pass.error;
    }
    report->near_ties = pass.near_ties;
    free(rest);
    tsr_vq_pass_close(&pass);
    return status;
}

tsr_status tsr_rvq_decode(tsr_context *ctx, const uint32_t *ids, int64_t n, int64_t dim,
                          const float *codes, int64_t k, int64_t stages, float *x) {
    for (int64_t i = 0; i < n; ++i)
        for (int64_t s = 0; s < stages; ++s) {
            uint32_t id = ids[i * stages + s];
            if (id >= (uint64_t)k)
                return tsr_fail(ctx, TSR_ERROR_TOKENS,
                                "codebook: row %lld, stage %lld: wanted an id below %lld, got %u",
                                (long long)i, (long long)s, (long long)k, id);
            const float *code = codes + (s * k + id) * dim;
            for (int64_t c = 0; c < dim; ++c)
                x[i * dim + c] = s ? x[i * dim + c] + code[c] : code[c];
        }
    return TSR_OK;
}
