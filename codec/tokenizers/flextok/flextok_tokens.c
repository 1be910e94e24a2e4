/* SPDX-License-Identifier: MIT */
/* flextok_tokens.c: ids to the tokens the decoder's transformer sees.
 *
 * Dropped tokens all become the mask token, and without a position after that they stay equal
 * through every block; so do all tokens of the unconditional pass. One copy of them is enough when
 * ln(their number) is added to its logit as a key: n equal keys add n e^s = e^(s + ln n) to a
 * softmax's sum, and n times that to the weighted values. Whether rows are equal is looked at here,
 * after the steps in the order of the file, not assumed. */
#include "../../../quantizer/quantizer.h"
#include "flextok_grid.h"
#include "flextok_tokens.h"

#include <stdlib.h>
#include <string.h>

/* codes [K, L] -> values [K, D']; ids from n on count as id 0. */
static tsr_status linear(const tsr_flextok *m, int at, const uint32_t *ids, uint32_t n,
                         float *values) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim;
    tsr_weight *w = m->decoder.step[at], *bias = m->decoder.step_bias[at];
    tsr_status status = tsr_weight_pin(m->ctx, w);
    if (!status && bias) status = tsr_weight_pin(m->ctx, bias);
    for (int64_t k = 0; k < c->encoder.table && !status; ++k) {
        int digits[TSR_FSQ_MAX_LEVELS];
        float code[TSR_FSQ_MAX_LEVELS];
        tsr_levels_unpack(c->levels, c->level_count, k < n ? (int32_t)ids[k] : 0, digits);
        for (int i = 0; i < c->level_count; ++i)
            code[i] = tsr_levels_value(c->levels[i], digits[i]);
        for (int64_t j = 0; j < d; ++j) {
            float sum = 0;
            for (int i = 0; i < c->level_count; ++i)
                sum += code[i] * w->f32[j * c->level_count + i];
            values[k * d + j] = bias ? sum + bias->f32[j] : sum;
        }
    }
    return status;
}

static tsr_status add_positions(const tsr_flextok *m, int at, float *values) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, count = c->encoder.table;
    tsr_status status = tsr_weight_pin(m->ctx, m->decoder.step[at]);
    if (status) return status;
    float *rows = tsr_alloc(m->ctx, (size_t)(count * d), sizeof *rows, "decoder: positions");
    if (!rows) return TSR_ERROR_MEMORY;
    tsr_flextok_position_rows(&c->decoder.token_positions, m->decoder.step[at]->f32, d, count, 1,
                              rows);
    for (int64_t i = 0; i < count * d; ++i)
        values[i] += rows[i];
    free(rows);
    return TSR_OK;
}

/* Rows first .. last - 1 become the learned token, or zeros without one. */
static tsr_status replace(const tsr_flextok *m, int at, int64_t first, int64_t last,
                          float *values) {
    const int64_t d = m->config.decoder.trunk.dim;
    tsr_weight *w = m->decoder.step[at];
    tsr_status status = w ? tsr_weight_pin(m->ctx, w) : TSR_OK;
    for (int64_t k = first; k < last && !status; ++k)
        if (w)
            memcpy(values + k * d, w->f32, (size_t)d * sizeof *values);
        else
            memset(values + k * d, 0, (size_t)d * sizeof *values);
    return status;
}

/* One step; *rows shrinks to 1 where a single token replaces all. */
static tsr_status take_step(const tsr_flextok *m, int at, const uint32_t *ids, uint32_t n,
                            bool null, float *values, int64_t *rows) {
    const tsr_flextok_token_step *step = &m->config.decoder.step[at];
    switch (step->kind) {
    case TSR_FLEXTOK_STEP_LINEAR:
        return linear(m, at, ids, n, values);
    case TSR_FLEXTOK_STEP_POSITIONS:
        return add_positions(m, at, values);
    case TSR_FLEXTOK_STEP_DROPOUT:
        return replace(m, at, n, *rows, values);
    case TSR_FLEXTOK_STEP_NULL:
        if (null && step->single) *rows = 1;
        return null ? replace(m, at, 0, *rows, values) : TSR_OK;
    }
    return TSR_OK;
}

tsr_status tsr_flextok_tokens_make(const tsr_flextok *m, const uint32_t *ids, uint32_t n, bool null,
                                   bool collapse, tsr_flextok_tokens *t) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim;
    if (n > c->encoder.table)
        return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: ids: wanted at most %lld, got %u", m->path,
                        (long long)c->encoder.table, n);
    for (uint32_t i = 0; i < n; ++i)
        if (ids[i] >= c->codebook)
            return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: id %u: wanted below %lld, got %u",
                            m->path, i, (long long)c->codebook, ids[i]);
    *t = (tsr_flextok_tokens){.rows = c->encoder.table, .last_count = 1};
    t->values = tsr_alloc(m->ctx, (size_t)(t->rows * d), sizeof *t->values, "decoder: tokens");
    if (!t->values) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    for (int i = 0; i < c->decoder.step_count && !status; ++i)
        status = take_step(m, i, ids, n, null, t->values, &t->rows);
    const size_t row = (size_t)d * sizeof *t->values;
    while (!status && collapse && t->rows > 1 &&
           !memcmp(t->values + (t->rows - 1) * d, t->values + (t->rows - 2) * d, row)) {
        t->rows--;
        t->last_count++;
    }
    return status;
}

tsr_status tsr_flextok_tokens_show(const tsr_flextok *m, const uint32_t *ids,
                                   const uint32_t *counts, int64_t count,
                                   const tsr_flextok_trace *trace) {
    static const char *const names[] = {"dec.linear", "dec.pos", "dec.keep", "dec.null"};
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, k = c->encoder.table;
    float *values = tsr_alloc(m->ctx, (size_t)(count * k * d), sizeof *values, "trace");
    if (!values) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    for (int at = 0; at < c->decoder.step_count && !status; ++at) {
        int64_t rows = k;
        for (int64_t b = 0; b < count && !status; ++b) {
            rows = k;
            float *own = values + b * k * d;
            const bool null = c->decoder.step[at].kind == TSR_FLEXTOK_STEP_NULL;
            for (int i = 0; i <= at && !status; ++i)
                status = take_step(m, i, ids + b * c->registers, counts[b], null, own, &rows);
            /* pictures one after the other, also where there are fewer rows now */
            memmove(values + b * rows * d, own, (size_t)(rows * d) * sizeof *values);
        }
        if (!status)
            trace->see(trace->user, names[c->decoder.step[at].kind], values, 3,
                       (int64_t[]){count, rows, d});
    }
    free(values);
    return status;
}
