/* SPDX-License-Identifier: MIT */
/* flextok_time.c: what the time does to the decoder.
 *
 * The modulation of every block depends on t alone, and makes up half of the decoder's weights. It
 * is computed ahead for up to 32 steps at once, so those weights are read once for these steps,
 * straight from the file, and never packed, uploaded or held.
 *
 * With a largest time step of 1 the embedding's arguments go up to 1000 radians: float64, on the
 * host, the same for every device. */
#include "../../../compute/arena.h"
#include "../../../compute/cpu/gemm.h"
#include "../../../compute/threads.h"
#include "flextok_time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRETCH = 32 /* steps whose modulation is in the table */, TILE = 64 /* columns */ };

int64_t tsr_flextok_time_rows(const tsr_flextok_config *c) {
    const tsr_flextok_block_spec *trunk = &c->decoder.trunk;
    return (int64_t)trunk->depth * TSR_MODULATION_COUNT * trunk->groups +
           (c->decoder.head_modulated ? 2 : 0);
}

/* ---- y [rows, n] = x [rows, k] W^T + bias, on the host ---- */

typedef struct product_job {
    const tsr_gemm_kernels *g;
    const float *x, *w;
    float *y, *panels;
    int64_t rows, k, n, width;
    size_t panel_floats;
} product_job;

static void product_tile(void *arg, int64_t tile, int worker) {
    const product_job *j = arg;
    const int64_t first = tile * j->width, n = j->n - first < j->width ? j->n - first : j->width;
    float *panel = j->panels + (size_t)worker * j->panel_floats;
    j->g->pack(panel, j->w + first * j->k, j->k, n, 1, j->k);
    const tsr_gemm_panels panels = {panel, j->k, n, j->k, false};
    j->g->product(j->x, j->k, j->rows, &panels, 0, n, j->y + first, j->n);
}

static tsr_status product(const tsr_flextok *m, const float *x, int64_t rows, const tsr_weight *w,
                          const tsr_weight *bias, float *y) {
    product_job j = {.g = tsr_gemm_select(m->device),
                     .x = x,
                     .y = y,
                     .rows = rows,
                     .n = w->tensor.dim[0],
                     .k = w->tensor.dim[1]};
    j.width = j.g->cols > TILE ? j.g->cols : TILE / j.g->cols * j.g->cols;
    j.panel_floats = (tsr_gemm_panel_floats(j.g, j.k, j.width) + 15) / 16 * 16;
    const size_t bytes = (size_t)tsr_thread_count(m->ctx) * j.panel_floats * sizeof(float);
    j.panels = aligned_alloc(64, bytes);
    if (!j.panels)
        return tsr_fail(m->ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", w->name, bytes);
    const float *b = NULL;
    tsr_status status = tsr_weight_borrow(m->ctx, w, &j.w);
    if (!status) status = tsr_weight_borrow(m->ctx, bias, &b);
    if (!status) {
        tsr_parallel(m->ctx, (j.n + j.width - 1) / j.width, product_tile, &j);
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t i = 0; i < j.n; ++i)
                y[r * j.n + i] += b[i];
        tsr_weight_return(bias, b);
    }
    tsr_weight_return(w, j.w);
    free(j.panels);
    return status;
}

static void silu(float *x, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
        x[i] = (float)((double)x[i] / (1 + exp(-(double)x[i])));
}

/* ---- the embedding ---- */

/* e = [cos(t f), sin(t f)], f_i = 1000 / max_timestep * 256^(-i / half) */
static void embed(const tsr_flextok_config *c, double t, float *e) {
    const int64_t half = c->decoder.frequencies / 2;
    for (int64_t i = 0; i < half; ++i) {
        const double f = 1000 / c->decoder.max_timestep * exp(-log(256) * (double)i / (double)half);
        e[i] = (float)cos(t * f);
        e[half + i] = (float)sin(t * f);
    }
}

/* The file has group by group six parts; the program wants part by part a row for each group. */
static void deal(const float *vector, int groups, int64_t d, float *rows) {
    for (int part = 0; part < TSR_MODULATION_COUNT; ++part)
        for (int g = 0; g < groups; ++g, rows += d)
            memcpy(rows, vector + (g * TSR_MODULATION_COUNT + part) * d, (size_t)d * sizeof *rows);
}

/* The embeddings of times->count steps: temb [count, D'], before its last activation. e: [count,
 * F], hidden: [count, D']; both are filled on the way. */
static tsr_status embed_steps(const tsr_flextok_times *times, const tsr_flextok *m, int steps,
                              float *e, float *hidden, float *temb) {
    const tsr_flextok_config *c = &m->config;
    const int64_t n = times->count;
    for (int64_t i = 0; i < n; ++i)
        embed(c, (double)(times->first - i) / steps, e + i * c->decoder.frequencies);
    tsr_status status = product(m, e, n, m->decoder.time1, m->decoder.time1_bias, hidden);
    if (status) return status;
    silu(hidden, n * c->decoder.trunk.dim);
    return product(m, hidden, n, m->decoder.time2, m->decoder.time2_bias, temb);
}

/* The modulation of times->count steps into the table. temb: [count, D'] after its activation,
 * vector: [count, groups * 6 * D'] to work in. */
static tsr_status fill_table(tsr_flextok_times *times, const tsr_flextok *m, const float *temb,
                             float *vector) {
    const tsr_flextok_block_spec *trunk = &m->config.decoder.trunk;
    const int64_t d = trunk->dim, n = times->count, rows = tsr_flextok_time_rows(&m->config);
    const int64_t wide = (int64_t)trunk->groups * TSR_MODULATION_COUNT * d;
    for (int b = 0; b < trunk->depth; ++b) {
        const tsr_flextok_block *block = &m->decoder.block[b];
        const int64_t at = (int64_t)b * TSR_MODULATION_COUNT * trunk->groups;
        tsr_status status = product(m, temb, n, block->modulation, block->modulation_bias, vector);
        if (status) return status;
        for (int64_t i = 0; i < n; ++i)
            deal(vector + i * wide, trunk->groups, d, times->table + (i * rows + at) * d);
    }
    if (!m->config.decoder.head_modulated) return TSR_OK;
    tsr_status status =
        product(m, temb, n, m->decoder.modulation, m->decoder.modulation_bias, vector);
    for (int64_t i = 0; i < n && !status; ++i) /* shift, then scale, as in the file */
        memcpy(times->table + ((i + 1) * rows - 2) * d, vector + i * 2 * d,
               (size_t)(2 * d) * sizeof *vector);
    return status;
}

static tsr_status fill(tsr_flextok_times *times, const tsr_flextok *m, int steps) {
    const tsr_flextok_block_spec *trunk = &m->config.decoder.trunk;
    const int64_t f = m->config.decoder.frequencies, d = trunk->dim;
    const size_t n = (size_t)times->count, width = (size_t)d;
    const size_t wide = (size_t)trunk->groups * TSR_MODULATION_COUNT * width;
    tsr_scratch s = {.ctx = m->ctx};
    float *e = tsr_scratch_take(&s, n * (size_t)f, sizeof *e, "time embedding");
    float *hidden = tsr_scratch_take(&s, n * width, sizeof *e, "time embedding");
    float *temb = tsr_scratch_take(&s, n * width, sizeof *e, "time embedding");
    float *vector = tsr_scratch_take(&s, n * wide, sizeof *e, "modulation");
    tsr_status status = s.status;
    if (!status) status = embed_steps(times, m, steps, e, hidden, temb);
    if (!status) {
        memcpy(times->e, e, (size_t)f * sizeof *e);
        memcpy(times->temb, temb, width * sizeof *e);
        silu(temb, times->count * d);
        status = fill_table(times, m, temb, vector);
    }
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_flextok_times_get(tsr_flextok_times *times, const tsr_flextok *m, int step,
                                 int steps, const float **rows) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, values = tsr_flextok_time_rows(c) * d;
    const int stretch = m->savings & TSR_FLEXTOK_TABLE ? STRETCH : 1;
    if (!times->table) {
        const size_t most = (size_t)(stretch < steps ? stretch : steps);
        tsr_scratch *s = &times->memory;
        s->ctx = m->ctx;
        times->table = tsr_scratch_take(s, most * (size_t)values, sizeof(float), "modulation");
        times->e = tsr_scratch_take(s, (size_t)c->decoder.frequencies, sizeof(float), "time");
        times->temb = tsr_scratch_take(s, (size_t)d, sizeof(float), "time");
        if (s->status) return s->status;
    }
    if (step > times->first || step <= times->first - times->count) {
        times->first = step;
        times->count = step < stretch ? step : stretch;
        tsr_status status = fill(times, m, steps);
        if (status) {
            times->count = 0;
            return status;
        }
    }
    *rows = times->table + (times->first - step) * values;
    return TSR_OK;
}

void tsr_flextok_times_close(tsr_flextok_times *times) {
    tsr_scratch_free(&times->memory);
    *times = (tsr_flextok_times){0};
}

void tsr_flextok_times_show(const tsr_flextok_times *times, const tsr_flextok *m,
                            const tsr_flextok_trace *trace) {
    const tsr_flextok_config *c = &m->config;
    const int64_t d = c->decoder.trunk.dim, rows = tsr_flextok_time_rows(c);
    const int groups = c->decoder.trunk.groups;
    const int64_t wide = (int64_t)groups * TSR_MODULATION_COUNT * d, head = 2 * d;
    trace->see(trace->user, "time.e", times->e, 1, &c->decoder.frequencies);
    trace->see(trace->user, "time.temb", times->temb, 1, &d);
    if (c->decoder.head_modulated)
        trace->see(trace->user, "dec.head.ada", times->table + (rows - 2) * d, 1, &head);
    float *vector = tsr_alloc(m->ctx, (size_t)wide, sizeof *vector, "trace");
    if (!vector) return;
    for (int part = 0; part < TSR_MODULATION_COUNT; ++part) /* the file's order again */
        for (int g = 0; g < groups; ++g)
            memcpy(vector + (g * TSR_MODULATION_COUNT + part) * d,
                   times->table + (part * groups + g) * d, (size_t)d * sizeof *vector);
    trace->see(trace->user, "dec.block.0.ada", vector, 1, &wide);
    free(vector);
}
