/* SPDX-License-Identifier: MIT */
/* serve_model.h: the one model of `tessera serve`, behind a queue: pictures of several clients are
 * encoded together where they asked for the same, items are decoded one after the other. */
#ifndef TOOLS_SERVE_MODEL_H
#define TOOLS_SERVE_MODEL_H

#include "serve_metrics.h"
#include "serve_queue.h"
#include "tool.h"

/* One picture to encode, one item to decode, or a call to make. */
typedef struct serve_work {
    serve_job job;
    void (*use)(void *arg); /* what is to be called; NULL: one of the other two */
    void *use_arg;
    bool decode;
    double deadline; /* on serve_clock: work that can stop stops then */
    /* encode */
    tsr_picture picture;
    tsr_encode_settings settings; /* without progress */
    tsr_item *item;               /* result, which the caller closes */
    uint32_t together;            /* pictures of its batch */
    /* decode */
    const tsr_token_header *header;
    const tsr_token_item *tokens;
    tsr_decode_settings decoding; /* without progress */
    uint8_t *rgb;                 /* result, the caller's memory, of tsr_item_size */
    /* result */
    tsr_status status;
    char detail[500];
} serve_work;

typedef struct serve_model {
    tsr_context *ctx;
    tsr_tokenizer *tokenizer;
    tsr_token_header header; /* as it was opened: decoding changes the tokenizer's own */
    char device[256];
    serve_metrics *metrics;
    serve_queue *queue;
} serve_model;

/* Opens the model with the context, which belongs to it until it is closed, and its queue. */
tsr_status serve_model_open(serve_model *model, tsr_context *ctx,
                            const tsr_model_settings *settings, uint32_t batch, uint32_t length,
                            double wait, serve_metrics *metrics);
/* Ends what waits, and closes both. */
void serve_model_close(serve_model *model);
/* Does work that was announced to the queue (serve_queue_expect). */
serve_queue_result serve_model_do(serve_model *model, serve_work *work);

/* A clip's claim on the model. */
typedef struct serve_turns {
    serve_model *model;
    double deadline; /* on serve_clock */
} serve_turns;
/* tsr_turn_fn with serve_turns as user: a turn stands in the queue like any picture. */
int serve_model_turn(void *turns, void (*use)(void *arg), void *arg);

#endif
