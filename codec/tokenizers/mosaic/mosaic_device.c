/* SPDX-License-Identifier: MIT */
/* mosaic_device.c: mosaic's encoder as a model function. Everything that decides an id runs on the
 * device; the host spreads bytes to floats before, and after it follows the best chain of leading
 * codewords back, packs digits into ids and, with a quality, says which numbers of ids are tried.
 */
#include "../../../compute/arena.h"
#include "../../../ops/ops.h"
#include "mosaic_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = SIZE * SIZE, VALUES = PIXELS * PLANES, STAGES = TSR_RVQ_MOST_STAGES };

typedef struct tsr_mosaic_device {
    tsr_weight *to_planes, *to_pixels; /* [3, 3] tsr_mosaic_colour and its transpose */
    tsr_weight *forward;               /* [CORNER, SIZE] */
    tsr_weight *codes[STAGES];         /* [size, lead_dim] */
    tsr_weight *bias[STAGES];          /* [size] -|code|^2 / 2 */
    int32_t *merge; /* [COEFFICIENTS] columns of (coefficients, what leading ids leave) */
    float *values;  /* of the weights above but codes */
} tsr_mosaic_device;

/* ---- open ---- */

static tsr_status add(mosaic *m, const char *name, const float *values, int rank,
                      const int64_t *dim, tsr_weight **weight) {
    char whole[64];
    snprintf(whole, sizeof whole, "(encoder's %s)", name);
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)values, rank, dim);
    const tsr_status status = tsr_weights_add(m->ctx, m->weights, whole, &t);
    return status ? status : tsr_weights_get(m->ctx, m->weights, whole, rank, dim, weight);
}

static tsr_status add_stage(mosaic *m, int s, float *bias) {
    tsr_mosaic_device *d = m->on_device;
    const tsr_rvq_stage *stage = &m->lead_stage[s];
    const int64_t dim[2] = {stage->size, m->lead_dim};
    char name[32];
    for (int i = 0; i < stage->size; ++i)
        bias[i] = -stage->norms[i] / 2;
    snprintf(name, sizeof name, "codes %d", s);
    const tsr_status status = add(m, name, stage->codes, 2, dim, &d->codes[s]);
    snprintf(name, sizeof name, "bias %d", s);
    return status ? status : add(m, name, bias, 1, dim, &d->bias[s]);
}

tsr_status tsr_mosaic_open_on_device(mosaic *m) {
    tsr_mosaic_device *d = tsr_alloc(m->ctx, 1, sizeof *d, "mosaic: device");
    if (!(m->on_device = d)) return TSR_ERROR_MEMORY;
    const size_t colours = PLANES * 3, dct = CORNER * SIZE;
    d->merge = tsr_alloc(m->ctx, COEFFICIENTS, sizeof *d->merge, "mosaic: device");
    d->values = tsr_alloc(m->ctx, 2 * colours + dct + (size_t)m->lead * CODES, sizeof *d->values,
                          "mosaic: device");
    if (!d->merge || !d->values) return TSR_ERROR_MEMORY;
    for (int i = 0; i < COEFFICIENTS; ++i)
        d->merge[i] = i;
    for (int i = 0; i < m->lead_dim; ++i)
        d->merge[m->lead_source[i]] = COEFFICIENTS + i;
    float *to_planes = d->values, *to_pixels = to_planes + colours, *forward = to_pixels + colours;
    for (int p = 0; p < PLANES; ++p)
        for (int c = 0; c < 3; ++c)
            to_planes[3 * p + c] = to_pixels[PLANES * c + p] = tsr_mosaic_colour[p][c];
    for (int x = 0; x < SIZE; ++x)
        for (int u = 0; u < CORNER; ++u)
            forward[u * SIZE + x] = m->dct[x][u];
    tsr_status status = add(m, "colours", to_planes, 2, (int64_t[]){PLANES, 3}, &d->to_planes);
    if (!status) status = add(m, "pixels", to_pixels, 2, (int64_t[]){3, PLANES}, &d->to_pixels);
    if (!status) status = add(m, "DCT", forward, 2, (int64_t[]){CORNER, SIZE}, &d->forward);
    float *bias = forward + dct;
    for (int s = 0; s < 2 * m->lead && !status; bias += m->lead_stage[s++].size)
        status = add_stage(m, s, bias);
    return status;
}

void tsr_mosaic_close_on_device(mosaic *m) {
    if (!m->on_device) return;
    tsr_device_forget(m->device, m);
    free(m->on_device->merge);
    free(m->on_device->values);
    free(m->on_device);
    m->on_device = NULL;
}

/* ---- the model ---- */

/* Powers of two above the leading ids, as numbers of slots: where class_cost looks at the error. */
static int cost_ends(const mosaic *m, int ends[COUNTS]) {
    int count = 0;
    for (int ids = 1; ids <= TOKENS; ids *= 2)
        if (ids > m->lead) ends[count++] = ids * DIGITS;
    return count;
}

/* Pixels of -0.5..0.5 of bytes. */
static tsr_tensor *centred(tsr_run *r, const tsr_tensor *bytes) {
    float table[256];
    for (int v = 0; v < 256; ++v)
        table[v] = ((float)v - 127.5f) / 255.0f;
    return tsr_from_bytes_by(r, bytes, table, false);
}

/* pixels [B, 65536, 3] -> planes [B, 3, 256, 256] */
static tsr_tensor *planes_of(tsr_run *r, const mosaic *m, const tsr_tensor *pixels) {
    tsr_tensor *x = tsr_linear(r, pixels, m->on_device->to_planes, &(tsr_epilogue){.exact = true});
    return tsr_reshape(r, tsr_transpose(r, x), 4, (int64_t[]){pixels->dim[0], PLANES, SIZE, SIZE});
}

/* planes -> coefficients [B, 12288] in the order (plane, v, u) */
static tsr_tensor *transform(tsr_run *r, const mosaic *m, const tsr_tensor *planes) {
    const tsr_epilogue exact = {.exact = true};
    tsr_tensor *x = tsr_linear(r, planes, m->on_device->forward, &exact);  /* [B, 3, y, u] */
    x = tsr_linear(r, tsr_transpose(r, x), m->on_device->forward, &exact); /* [B, 3, u, v] */
    return tsr_reshape(r, tsr_transpose(r, x), 2, (int64_t[]){planes->dim[0], COEFFICIENTS});
}

/* The best chains of leading codewords for x [B, D]. choices: I32 [B, stages, BEAM]. */
static tsr_beam search_lead(tsr_run *r, const mosaic *m, const tsr_tensor *x,
                            const tsr_tensor *energy, tsr_tensor **choices) {
    const tsr_mosaic_device *d = m->on_device;
    const int64_t items = x->dim[0];
    tsr_beam beam = {.rest = tsr_reshape(r, x, 3, (int64_t[]){items, 1, m->lead_dim}),
                     .score = tsr_scale(r, energy, 0, 0)};
    for (int s = 0; s < 2 * m->lead; ++s) {
        tsr_tensor *products = tsr_linear(r, beam.rest, d->codes[s],
                                          &(tsr_epilogue){.bias = d->bias[s], .exact = true});
        beam = tsr_beam_step(r, &beam, products, tsr_from_weight(r, d->codes[s]), BEAM);
        tsr_tensor *choice = tsr_reshape(r, beam.choice, 3, (int64_t[]){items, 1, BEAM});
        *choices = s ? tsr_concat_rows(r, *choices, choice) : choice;
    }
    return beam;
}

/* Sizes of what a tile's code is made from; the outputs of encode_program in their order. */
enum { CHOICES, SCORES, ENERGY, COSTS, CLASS, DIGIT_VALUES, MARGINS, OUTPUTS };

/* in: pixels U8 [B, 65536, 3], lead_source, merge. out: above; costs [B, classes] are the
 * geometric mean of class_cost's errors in another measure: to the power of their number. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const mosaic *m = model;
    const int64_t items = in[0]->dim[0];
    tsr_tensor *planes = planes_of(r, m, centred(r, in[0]));
    tsr_tensor *all = tsr_reshape(r, planes, 2, (int64_t[]){items, VALUES});
    tsr_tensor *energy = tsr_reduce(r, all, TSR_REDUCE_SUMSQ); /* [B, 1] */
    tsr_tensor *x = transform(r, m, planes);                   /* [B, 12288] */

    const tsr_beam beam = search_lead(r, m, tsr_gather_cols(r, x, in[1]), energy, &out[CHOICES]);
    tsr_tensor *rest = tsr_slice_rows(r, beam.rest, 0, 1); /* [B, 1, D], the best chain's */
    rest = tsr_reshape(r, rest, 3, (int64_t[]){items, m->lead_dim, 1});
    x = tsr_reshape(r, x, 3, (int64_t[]){items, COEFFICIENTS, 1});
    x = tsr_reshape(r, tsr_concat_rows(r, x, rest), 2,
                    (int64_t[]){items, COEFFICIENTS + m->lead_dim});
    x = tsr_gather_cols(r, x, in[2]); /* [B, 12288], what leading ids leave */
    tsr_tensor *taken = tsr_scale(r, tsr_slice_cols(r, beam.score, 0, 1), 2, 0);
    tsr_tensor *left = tsr_binary(r, energy, taken, TSR_BINARY_SUB);

    /* The class: log and mean do not change which product of errors is least. 1024 keeps products
     * of nine inside f32. */
    int ends[COUNTS];
    const int end_count = cost_ends(m, ends);
    const tsr_residual_fsq q = tsr_mosaic_slots(m, 0);
    const tsr_fsq_slots slots = {m->classes, q.slots, q.levels, q.level_count, q.source,
                                 q.previous, q.scale, q.table,  q.table_width};
    tsr_tensor *errors = tsr_fsq_slots_errors(r, x, left, &slots, ends, end_count);
    errors = tsr_scale(r, tsr_unary(r, errors, TSR_ACT_RELU), 1024.0f / VALUES, 1024 * 1e-6f);
    tsr_tensor *cost = tsr_slice_cols(r, errors, 0, 1); /* [B, classes, 1] */
    for (int e = 1; e < end_count; ++e)
        cost = tsr_binary(r, cost, tsr_slice_cols(r, errors, e, 1), TSR_BINARY_MUL);
    cost = tsr_reshape(r, cost, 2, (int64_t[]){items, m->classes});

    out[SCORES] = beam.score;
    out[ENERGY] = energy;
    out[COSTS] = cost;
    out[CLASS] = tsr_reduce(r, tsr_scale(r, cost, -1, 0), TSR_REDUCE_ARGMAX);
    out[DIGIT_VALUES] = tsr_fsq_slots_round(r, x, out[CLASS], &slots, &out[MARGINS]);
}

/* Mean absolute error of the linear codec. in: coefficients [B, 3, 64, 64], pixels as above.
 * out: [B, 1]. */
static void error_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const mosaic *m = model;
    const tsr_epilogue exact = {.exact = true};
    const int64_t items = in[0]->dim[0];
    tsr_tensor *x = tsr_linear(r, in[0], m->inverse, &exact);   /* [B, 3, v, x] */
    x = tsr_linear(r, tsr_transpose(r, x), m->inverse, &exact); /* [B, 3, x, y] */
    x = tsr_reshape(r, tsr_transpose(r, x), 3, (int64_t[]){items, PLANES, PIXELS});
    x = tsr_linear(r, tsr_transpose(r, x), m->on_device->to_pixels, &exact); /* [B, 65536, 3] */
    x = tsr_unary(r, tsr_scale(r, x, 1, 0.5f), TSR_ACT_RELU);                /* at least 0 */
    x = tsr_unary(r, tsr_scale(r, x, -1, 1), TSR_ACT_RELU);                  /* 1 - x, x <= 1 */
    x = tsr_scale(r, x, -1, 0.5f);                                           /* -0.5..0.5 */
    x = tsr_binary(r, x, centred(r, in[1]), TSR_BINARY_SUB);
    x = tsr_binary(r, x, tsr_scale(r, x, -1, 0), TSR_BINARY_MAX); /* its magnitude */
    out[0] = tsr_reduce(r, tsr_reshape(r, x, 2, (int64_t[]){items, VALUES}), TSR_REDUCE_MEAN);
}

/* ---- running it ---- */

tsr_tile_cost tsr_mosaic_encode_cost(void) {
    /* Pixels, planes before and after they are transposed, and the products of a stage. */
    const uint64_t tensor = VALUES * sizeof(float);
    return (tsr_tile_cost){.bytes = 4 * tensor, .tensor_bytes = tensor};
}

/* What one batch's tiles are made from, on the host. */
typedef struct outputs {
    int32_t *choices, *class_number, *digits;
    float *scores, *energy, *costs, *margins;
} outputs;

static tsr_status run_encoder(const mosaic *m, const tsr_pixels *pixels, const outputs *o) {
    const int64_t items = pixels->count;
    const tsr_mosaic_device *d = m->on_device;
    const tsr_program program = {.fn = encode_program, .model = m, .name = "mosaic encode"};
    const tsr_tensor in[] = {
        tsr_host_tensor(TSR_DTYPE_U8, (void *)(uintptr_t)pixels->rgb, 3,
                        (int64_t[]){items, PIXELS, 3}),
        tsr_host_tensor(TSR_DTYPE_I32, (void *)(uintptr_t)m->lead_source, 1,
                        (int64_t[]){m->lead_dim}),
        tsr_host_tensor(TSR_DTYPE_I32, d->merge, 1, (int64_t[]){COEFFICIENTS})};
    tsr_tensor out[OUTPUTS] = {
        [CHOICES] =
            tsr_host_tensor(TSR_DTYPE_I32, o->choices, 3, (int64_t[]){items, 2 * m->lead, BEAM}),
        [SCORES] = tsr_host_tensor(TSR_DTYPE_F32, o->scores, 2, (int64_t[]){items, BEAM}),
        [ENERGY] = tsr_host_tensor(TSR_DTYPE_F32, o->energy, 2, (int64_t[]){items, 1}),
        [COSTS] = tsr_host_tensor(TSR_DTYPE_F32, o->costs, 2, (int64_t[]){items, m->classes}),
        [CLASS] = tsr_host_tensor(TSR_DTYPE_I32, o->class_number, 2, (int64_t[]){items, 1}),
        [DIGIT_VALUES] = tsr_host_tensor(TSR_DTYPE_I32, o->digits, 2, (int64_t[]){items, SLOTS}),
        [MARGINS] = tsr_host_tensor(TSR_DTYPE_F32, o->margins, 2, (int64_t[]){items, SLOTS})};
    return tsr_execute(m->device, &program, in, 3, out, OUTPUTS);
}

/* Makes tile i's code from the outputs. */
static void read_code(const mosaic *m, const outputs *o, int64_t i, tsr_mosaic_code *code) {
    const int32_t *choices = o->choices + i * 2 * m->lead * BEAM;
    const float *scores = o->scores + i * BEAM, *costs = o->costs + i * m->classes;
    uint32_t codes[STAGES];
    for (int s = 2 * m->lead, chain = 0; s-- > 0;) {
        const int32_t choice = choices[s * BEAM + chain];
        codes[s] = (uint32_t)(choice % m->lead_stage[s].size);
        chain = choice / m->lead_stage[s].size;
    }
    for (int t = 0; t < m->lead; ++t)
        code->lead_ids[t] = codes[2 * t] + FIRST * codes[2 * t + 1];
    code->lead_margin = 2 * (scores[0] - scores[1]);
    code->lead_scale = o->energy[i];
    code->class_number = o->class_number[i];
    float second = INFINITY;
    for (int c = 0; c < m->classes; ++c)
        if (c != code->class_number) second = fminf(second, costs[c]);
    code->class_margin = log((double)second / (double)costs[code->class_number]);
    for (int j = 0; j < SLOTS; ++j)
        code->digits[j] = (uint8_t)o->digits[i * SLOTS + j];
    memcpy(code->margin, o->margins + i * SLOTS, sizeof code->margin);
}

/* The searches of all tiles go side by side, a step of each in every run. restored [count,
 * COEFFICIENTS] and linear [count] are scratch. */
static tsr_status search_counts(const mosaic *m, float quality, const tsr_pixels *pixels,
                                const tsr_mosaic_code *codes, tsr_mosaic_search *search,
                                float *restored, float *linear) {
    const int count = pixels->count;
    const tsr_program program = {.fn = error_program, .model = m, .name = "mosaic error"};
    const tsr_tensor in[] = {
        tsr_host_tensor(TSR_DTYPE_F32, restored, 4, (int64_t[]){count, PLANES, CORNER, CORNER}),
        tsr_host_tensor(TSR_DTYPE_U8, (void *)(uintptr_t)pixels->rgb, 3,
                        (int64_t[]){count, PIXELS, 3})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, linear, 2, (int64_t[]){count, 1});
    for (;;) {
        bool open = false;
        for (int i = 0; i < count; ++i) {
            open |= tsr_mosaic_search_goes_on(&search[i]);
            tsr_mosaic_restore(m, codes[i].class_number, tsr_mosaic_search_next(&search[i]),
                               codes[i].lead_ids, codes[i].digits,
                               restored + (size_t)i * COEFFICIENTS);
        }
        if (!open) return TSR_OK;
        const tsr_status status = tsr_execute(m->device, &program, in, 2, &out, 1);
        if (status) return status;
        for (int i = 0; i < count; ++i)
            if (tsr_mosaic_search_goes_on(&search[i]))
                tsr_mosaic_search_take(m, &search[i], (double)linear[i], quality);
    }
}

tsr_status tsr_mosaic_encode_on_device(const mosaic *m, const tsr_pixels *pixels,
                                       const tsr_encode_request *request, tsr_token_batch *batch,
                                       tsr_mosaic_code *codes) {
    const int count = pixels->count;
    const size_t n = (size_t)count, restored = request->quality > 0 ? COEFFICIENTS : 1;
    tsr_scratch s = {.ctx = m->ctx};
    const outputs o = {
        .choices = tsr_scratch_take(&s, n * STAGES * BEAM, sizeof(int32_t), "mosaic: choices"),
        .class_number = tsr_scratch_take(&s, n, sizeof(int32_t), "mosaic: classes"),
        .digits = tsr_scratch_take(&s, n * SLOTS, sizeof(int32_t), "mosaic: digits"),
        .scores = tsr_scratch_take(&s, n * BEAM, sizeof(float), "mosaic: scores"),
        .energy = tsr_scratch_take(&s, n, sizeof(float), "mosaic: energy"),
        .costs = tsr_scratch_take(&s, n * MAX_CLASSES, sizeof(float), "mosaic: costs"),
        .margins = tsr_scratch_take(&s, n * SLOTS, sizeof(float), "mosaic: margins")};
    if (!codes) codes = tsr_scratch_take(&s, n, sizeof *codes, "mosaic: codes");
    tsr_mosaic_search *search = tsr_scratch_take(&s, n, sizeof *search, "mosaic: searches");
    float *again = tsr_scratch_take(&s, n * restored, sizeof *again, "mosaic: restored");
    float *linear = tsr_scratch_take(&s, n, sizeof *linear, "mosaic: errors");
    tsr_status status = s.status;
    if (!status) status = run_encoder(m, pixels, &o);
    for (int i = 0; i < count && !status; ++i) {
        read_code(m, &o, i, &codes[i]);
        search[i] = tsr_mosaic_search_open(request->tokens ? (int)request->tokens : TOKENS);
    }
    if (!status && request->quality > 0)
        status = search_counts(m, request->quality, pixels, codes, search, again, linear);
    for (int i = 0; i < count && !status; ++i) {
        batch->counts[i] = (uint32_t)search[i].high;
        batch->near_ties += search[i].near_tie;
        if (batch->predicted) batch->predicted[i] = (float)search[i].predicted;
        batch->near_ties += tsr_mosaic_write_ids(m, &codes[i], search[i].high,
                                                 (uint32_t *)batch->values + (size_t)i * TOKENS);
    }
    tsr_scratch_free(&s);
    return status;
}
