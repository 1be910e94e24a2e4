/* SPDX-License-Identifier: MIT */
/* encoder.c: see encoder.h. */
#include "encoder.h"
#include "compare.h"
#include "item.h"
#include "search.h"
#include "target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool tsr_fault_of_picture(tsr_status status) {
    switch (status) {
    case TSR_ERROR_ARGUMENT:
    case TSR_ERROR_TOO_LARGE:
    case TSR_ERROR_FORMAT:
    case TSR_ERROR_TRUNCATED:
    case TSR_ERROR_CHECKSUM:
    case TSR_ERROR_VERSION:
    case TSR_ERROR_DAMAGED:
    case TSR_ERROR_UNSUPPORTED:
    case TSR_ERROR_TOKENS:
        return true;
    default:
        return false;
    }
}

bool tsr_fault_of_input(tsr_status status) {
    return tsr_fault_of_picture(status) || status == TSR_ERROR_IO ||
           status == TSR_ERROR_NOT_FOUND || status == TSR_ERROR_MEMORY;
}

void tsr_encoding_fail(tsr_encoding *e, tsr_context *ctx, tsr_status status) {
    tsr_item_close(&e->item);
    e->status = status;
    free(e->detail);
    e->detail = strdup(tsr_detail(ctx));
}

void tsr_encoding_clear(tsr_encoding *e) {
    tsr_item_close(&e->item);
    tsr_canvas_free(&e->fitted.canvas);
    free(e->detail);
    *e = (tsr_encoding){0};
}

/* ---- one's turn at a tokenizer that is shared ---- */

/* What is done in a turn. */
typedef struct turn {
    tsr_encoder *encoder;
    tsr_status (*work)(tsr_encoder *encoder, void *arg);
    void *arg;
    tsr_status status;
} turn;

/* What the tokenizer's context was told is told to the encoder's before somebody else fails. */
static void take_turn(void *arg) {
    turn *t = arg;
    tsr_encoder *e = t->encoder;
    tsr_context *of = e->tokenizer->model.ctx;
    t->status = t->work(e, t->arg);
    if (t->status && of != e->ctx) tsr_fail(e->ctx, t->status, "%s", tsr_detail(of));
}

static tsr_status in_turn(tsr_encoder *e, tsr_status (*work)(tsr_encoder *, void *), void *arg) {
    turn t = {.encoder = e, .work = work, .arg = arg};
    if (!e->turn)
        take_turn(&t);
    else if (e->turn(e->turn_user, take_turn, &t))
        t.status =
            tsr_fail(e->ctx, TSR_ERROR_INTERRUPTED, "encode: the tokenizer was not to be had");
    return t.status;
}

/* ---- opening ---- */

static tsr_status open_plan(tsr_encoder *e, void *arg) {
    const tsr_encoder_settings *s = arg;
    tsr_encode_settings encode = *s->encode;
    encode.progress = NULL; /* counted in pictures here */
    encode.keep_fitted = s->check;
    const tsr_status status = tsr_encode_plan_open(e->tokenizer, &encode, &e->plan);
    return status
               ? status
               : tsr_encode_plan_set_hints(e->tokenizer, s->hints, s->model->precision, &e->plan);
}

tsr_status tsr_encoder_open(tsr_context *ctx, const tsr_encoder_settings *s, tsr_encoder *encoder) {
    *encoder = (tsr_encoder){.ctx = ctx,
                             .tokenizer = s->tokenizer,
                             .shared = s->tokenizer != NULL,
                             .turn = s->tokenizer ? s->turn : NULL,
                             .turn_user = s->turn_user,
                             .check = s->check};
    tsr_status status =
        s->tokenizer ? TSR_OK : tsr_tokenizer_open(ctx, &encoder->tokenizer, s->model);
    if (!status) status = in_turn(encoder, open_plan, (void *)(uintptr_t)s);
    if (status) tsr_encoder_close(encoder);
    return status;
}

void tsr_encoder_close(tsr_encoder *encoder) {
    tsr_encode_plan_close(&encoder->plan);
    if (!encoder->shared) tsr_tokenizer_close(&encoder->tokenizer);
    encoder->tokenizer = NULL;
}

/* ---- encoding ---- */

/* Decodes the item again and compares it with what the model saw. */
static tsr_status check_item(tsr_tokenizer *t, const tsr_item *item, double *error) {
    tsr_compare compare;
    tsr_status status = tsr_compare_open(t, item, &compare);
    if (!status)
        status = tsr_compare_measure(&compare, tsr_item_tokens(item), 0, TSR_TARGET_L1, error);
    tsr_compare_close(&compare);
    return status;
}

/* Search and check of an item that was encoded. */
static tsr_status finish(tsr_encoder *encoder, tsr_encoding *e) {
    const tsr_encode_plan *plan = &encoder->plan;
    e->error = NAN;
    e->predicted =
        plan->request.quality > 0 && !plan->target.metric ? tsr_item_predicted_error(e->item) : NAN;
    tsr_status status = TSR_OK;
    if (plan->target.metric) {
        status = tsr_search(encoder->tokenizer, plan, e->item, &e->decodes);
        if (status) return status;
        e->reached =
            tsr_target_met(&plan->target, (double)tsr_item_tokens(e->item)->target.reached);
    }
    return encoder->check ? check_item(encoder->tokenizer, e->item, &e->error) : status;
}

static void begin_now(tsr_encoder *encoder, tsr_encoding *const *group, int count,
                      tsr_encoder_flight *f) {
    f->count = count;
    for (int i = 0; i < count; ++i) {
        f->group[i] = group[i];
        f->picture[i] = &group[i]->fitted;
    }
    f->status = tsr_encode_canvases_begin(encoder->tokenizer, &encoder->plan, f->picture, count,
                                          f->item, &f->stream);
}

static tsr_status end_span(tsr_encoder_flight *f) {
    uint64_t near_ties = 0;
    tsr_status status = f->status;
    if (!status) status = tsr_encode_canvases_end(&f->stream, &near_ties);
    for (int i = 0; i < f->count && !status; ++i)
        f->group[i]->item = f->item[i];
    if (!status) f->group[0]->near_ties = near_ties;
    return status;
}

/* When a whole group cannot be encoded, its pictures are tried one by one, so that the one at fault
 * is known: no id depends on the company. */
static tsr_status encode_each(tsr_encoder *encoder, tsr_encoding *const *group, int count) {
    tsr_encoder_flight *one = tsr_alloc(encoder->ctx, 1, sizeof *one, "encode: a picture");
    if (!one) return TSR_ERROR_MEMORY;
    tsr_status failed = TSR_OK;
    for (int i = 0; i < count && !failed; ++i) {
        begin_now(encoder, group + i, 1, one);
        const tsr_status status = end_span(one);
        if (status && !tsr_fault_of_picture(status))
            failed = status;
        else if (status)
            tsr_encoding_fail(group[i], encoder->tokenizer->model.ctx, status);
    }
    free(one);
    return failed;
}

static tsr_status end_now(tsr_encoder *encoder, tsr_encoder_flight *f) {
    tsr_status status = end_span(f);
    /* Noise that was taken cannot be taken again. */
    if (tsr_fault_of_picture(status) && !encoder->plan.request.noise)
        status = encode_each(encoder, f->group, f->count);
    for (int i = 0; i < f->count && !status; ++i) {
        if (!f->group[i]->item) continue;
        const tsr_status own = finish(encoder, f->group[i]);
        if (tsr_fault_of_picture(own))
            tsr_encoding_fail(f->group[i], encoder->tokenizer->model.ctx, own);
        else
            status = own;
    }
    f->count = 0;
    return status;
}

/* Pictures of a group that take one turn at a tokenizer that is shared. */
typedef struct span {
    tsr_encoding *const *group;
    int count;
} span;

static tsr_status run_span(tsr_encoder *encoder, void *arg) {
    const span *s = arg;
    /* others may have decoded tiles of another size meanwhile */
    tsr_status status =
        tsr_tokenizer_accepts(encoder->tokenizer, &encoder->plan.header, 0, "encode");
    if (status) return status;
    tsr_encoder_flight *f = tsr_alloc(encoder->ctx, 1, sizeof *f, "encode: a group");
    if (!f) return TSR_ERROR_MEMORY;
    begin_now(encoder, s->group, s->count, f);
    status = end_now(encoder, f);
    free(f);
    return status;
}

void tsr_encoder_begin(tsr_encoder *encoder, tsr_encoding *const *group, int count,
                       tsr_encoder_flight *f) {
    if (!encoder->turn) {
        begin_now(encoder, group, count, f);
        return;
    }
    f->count = count;
    memcpy(f->group, group, (size_t)count * sizeof(group[0]));
}

tsr_status tsr_encoder_end(tsr_encoder *encoder, tsr_encoder_flight *f) {
    enum { A_TURN = 16 }; /* ids do not depend on it */
    if (!encoder->turn) return end_now(encoder, f);
    tsr_status status = TSR_OK;
    for (int i = 0; i < f->count && !status; i += A_TURN) {
        span s = {f->group + i, f->count - i < A_TURN ? f->count - i : A_TURN};
        status = in_turn(encoder, run_span, &s);
    }
    f->count = 0;
    return status;
}

bool tsr_encoder_flies(const tsr_encoder *encoder) {
    const tsr_model *m = &encoder->tokenizer->model;
    return !encoder->turn && m->family->tokenizer->encode_begin &&
           tsr_device_properties(m->device)->kind != TSR_DEVICE_CPU;
}

tsr_status tsr_encoder_run(tsr_encoder *encoder, tsr_encoding *const *group, int count) {
    tsr_encoder_flight *flight = tsr_alloc(encoder->ctx, 1, sizeof *flight, "encode: a group");
    if (!flight) return TSR_ERROR_MEMORY;
    tsr_encoder_begin(encoder, group, count, flight);
    const tsr_status status = tsr_encoder_end(encoder, flight);
    free(flight);
    return status;
}
