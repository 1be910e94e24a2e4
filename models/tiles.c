/* SPDX-License-Identifier: MIT */
/* tiles.c: see tiles.h. No result depends on how a batch is cut. */
#include "tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tsr_token_batch tsr_token_batch_take(tsr_scratch *s, const tsr_token_header *h, int count,
                                     bool selects) {
    const uint32_t capacity = tsr_token_positions(h);
    const size_t n = (size_t)count, all = n * capacity;
    tsr_token_batch b = {
        .count = count, .capacity = capacity, .stride = capacity, .channels = h->channels};
    b.values = tsr_scratch_take(s, all, tsr_token_value_bytes(h), "tokens");
    b.counts = tsr_scratch_take(s, n, sizeof *b.counts, "tokens: counts");
    b.predicted = tsr_scratch_take(s, n, sizeof *b.predicted, "tokens: predicted errors");
    for (int i = 0; i < count && b.predicted; ++i)
        b.predicted[i] = NAN;
    if (!selects) return b;
    b.kept = tsr_scratch_take(s, n, tsr_token_mask_bytes(capacity), "tokens: masks");
    b.halting = tsr_scratch_take(s, all, sizeof *b.halting, "tokens: halting");
    b.margin = tsr_scratch_take(s, all, sizeof *b.margin, "tokens: margins");
    return b;
}

/* Tiles first .. first + count - 1 of a batch, in the same memory. */
static tsr_token_batch part_of(const tsr_token_batch *whole, int first, int count) {
    tsr_token_batch b = *whole;
    const size_t at = (size_t)first * whole->capacity;
    b.count = count;
    b.values = tsr_token_batch_tile(whole, first);
    b.counts += first;
    if (b.kept) b.kept += (size_t)first * tsr_token_mask_bytes(whole->capacity);
    if (b.halting) b.halting += at;
    if (b.margin) b.margin += at;
    if (b.predicted) b.predicted += first;
    return b;
}

/* What a model gives back has to be numbers, or its weights are not what they are taken for. */
static tsr_status check_finite(tsr_context *ctx, const char *what, const float *x, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (!isfinite(x[i])) return tsr_not_finite(ctx, what, x[i]);
    return TSR_OK;
}

/* What a run of tiles became. */
static tsr_status take_run(const tsr_model *m, const tsr_token_batch *part,
                           tsr_token_batch *batch) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < part->count && part->channels && !status; ++i)
        status = check_finite(m->ctx, "latents", tsr_token_batch_tile(part, i),
                              (size_t)part->counts[i] * part->channels);
    batch->near_ties += part->near_ties;
    batch->judged = part->judged;
    return status;
}

/* Ends the oldest run of a flight. */
static tsr_status end_run(const tsr_model *m, tsr_tiles_flight *f) {
    tsr_encode_flight *run = &f->run[f->first];
    f->first = (f->first + 1) % TSR_FLIGHTS;
    --f->count;
    tsr_status status = m->family->tokenizer->encode_end(m->state, run);
    if (!status) status = take_run(m, &run->tokens, f->batch);
    tsr_scratch_free(&run->scratch);
    return status;
}

tsr_status tsr_encode_tiles_end(const tsr_model *m, tsr_tiles_flight *f) {
    tsr_status status = TSR_OK;
    while (f->count) {
        const tsr_status own = end_run(m, f);
        if (!status) status = own;
    }
    return status;
}

/* Begins a run, or computes it where the family cannot begin. */
static tsr_status begin_run(const tsr_model *m, const tsr_pixels *pixels,
                            const tsr_encode_request *request, tsr_token_batch *part,
                            tsr_tiles_flight *f) {
    const tsr_tokenizer_ops *ops = m->family->tokenizer;
    if (!ops->encode_begin) {
        const tsr_status status = ops->encode(m->state, pixels, request, part);
        return status ? status : take_run(m, part, f->batch);
    }
    tsr_status status = f->count == TSR_FLIGHTS ? end_run(m, f) : TSR_OK;
    if (status) return status;
    tsr_encode_flight *run = &f->run[(f->first + f->count) % TSR_FLIGHTS];
    *run = (tsr_encode_flight){
        .request = *request, .tokens = *part, .scratch = {.ctx = m->ctx, .reuse = true}};
    status = ops->encode_begin(m->state, pixels, request, run);
    if (status)
        tsr_scratch_free(&run->scratch);
    else
        ++f->count;
    return status;
}

tsr_status tsr_encode_tiles_begin(const tsr_model *m, const tsr_pixels *pixels,
                                  const tsr_encode_request *request, tsr_token_batch *batch,
                                  tsr_tiles_flight *f) {
    const tsr_tokenizer_ops *ops = m->family->tokenizer;
    tsr_tile_cost cost = {0};
    if (ops->cost) cost = ops->cost(m->state, request);
    const int most = (int)tsr_tiles_in_run(m->device, &cost, pixels->count);
    const size_t tile = (size_t)pixels->tile.frames * pixels->tile.height * pixels->tile.width * 3;
    tsr_status status = TSR_OK;
    *f = (tsr_tiles_flight){.batch = batch};
    for (int first = 0; first < pixels->count && !status; first += most) {
        const int n = pixels->count - first < most ? pixels->count - first : most;
        const tsr_pixels some = {pixels->rgb + (size_t)first * tile, n, pixels->tile};
        tsr_encode_request r = *request;
        r.first_tile += (uint64_t)first;
        tsr_token_batch part = part_of(batch, first, n);
        part.frames = ops->token_frames ? pixels->tile.frames : 0;
        part.near_ties = 0;
        status = begin_run(m, &some, &r, &part, f);
    }
    if (status) (void)tsr_encode_tiles_end(m, f);
    return status;
}

tsr_status tsr_encode_tiles(const tsr_model *m, const tsr_pixels *pixels,
                            const tsr_encode_request *request, tsr_token_batch *batch) {
    tsr_tiles_flight flight;
    const tsr_status status = tsr_encode_tiles_begin(m, pixels, request, batch, &flight);
    return status ? status : tsr_encode_tiles_end(m, &flight);
}

/* How many tiles from `first` on, at most `most`, have as many tokens as that one. */
static int equal_from(const tsr_token_batch *b, int first, int most) {
    int n = 1;
    while (b->counts[first] && n < most && first + n < b->count &&
           b->counts[first + n] == b->counts[first])
        ++n;
    return n;
}

/* The values of a part without the gaps between its tiles, which have equally many. */
static void close_gaps(tsr_token_batch *part, char *packed) {
    const size_t bytes = part->counts[0] * tsr_token_batch_value_bytes(part);
    for (int i = 0; i < part->count && bytes; ++i)
        memcpy(packed + (size_t)i * bytes, tsr_token_batch_tile(part, i), bytes);
    part->values = packed;
    part->stride = part->counts[0];
}

tsr_status tsr_decode_tiles(const tsr_model *m, const tsr_token_batch *batch,
                            const tsr_sampling *sampling, size_t values, float *rgb) {
    const tsr_tokenizer_ops *ops = m->family->tokenizer;
    tsr_tile_cost cost = {0};
    if (ops->cost) cost = ops->cost(m->state, NULL);
    const int most = (int)tsr_tiles_in_run(m->device, &cost, batch->count);
    char *packed = NULL;
    if (cost.equal_counts) {
        packed = tsr_alloc(m->ctx, (size_t)most * batch->capacity,
                           tsr_token_batch_value_bytes(batch), "tokens: without gaps");
        if (!packed) return TSR_ERROR_MEMORY;
    }
    tsr_status status = TSR_OK;
    for (int first = 0, n; first < batch->count && !status; first += n) {
        n = batch->count - first < most ? batch->count - first : most;
        if (packed) n = equal_from(batch, first, n);
        tsr_token_batch part = part_of(batch, first, n);
        if (packed) close_gaps(&part, packed);
        tsr_sampling s = *sampling;
        s.first_tile += (uint64_t)first;
        s.progress_done += (uint64_t)first * s.hints.steps;
        status = ops->decode(m->state, &part, &s, rgb + (size_t)first * values);
        if (!status)
            status =
                check_finite(m->ctx, "pixels", rgb + (size_t)first * values, (size_t)n * values);
    }
    free(packed);
    return status;
}
