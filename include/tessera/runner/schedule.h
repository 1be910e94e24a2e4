/* SPDX-License-Identifier: MIT */
/* schedule.h: which visual tokens a language model sees in which layers, and what that saves. A
 * schedule says how many visual tokens enter each layer: published methods drop the less important
 * ones on the way. Carrying one out takes a runner with a mask for each layer; every runner here
 * can do what drops tokens before layer 0 alone. Nothing here needs a context. */
#ifndef TESSERA_RUNNER_SCHEDULE_H
#define TESSERA_RUNNER_SCHEDULE_H

#include "../status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TSR_SCHEDULE_MOST_LAYERS = 1024 };

/* Visual tokens of each layer. */
typedef struct tsr_schedule {
    uint32_t layers;                         /* 1..TSR_SCHEDULE_MOST_LAYERS */
    uint32_t visual;                         /* tokens of the picture before anything is dropped */
    uint32_t kept[TSR_SCHEDULE_MOST_LAYERS]; /* [layers] that enter each layer, at most `visual` */
} tsr_schedule;

/* A published schedule. Texts have static storage. */
typedef struct tsr_published_schedule {
    const char *name;   /* "visiondrop-32" */
    const char *source; /* method and where its numbers are stated */
    const char *steps;  /* as tsr_schedule_parse takes them */
    uint32_t layers, visual;
} tsr_published_schedule;
/* Number of published schedules, and number `index` of them; zeros for an index out of range. */
int tsr_published_schedule_count(void);
tsr_published_schedule tsr_published_schedule_at(int index);

/* Fills *schedule from steps "LAYER:TOKENS,LAYER:TOKENS...": from each layer on so many visual
 * tokens; the first step is layer 0, layers rise. Counts may rise again: some methods let all
 * tokens back in for some layers. Errors: ARGUMENT; the detail text names the step. ctx may be
 * NULL. */
tsr_status tsr_schedule_parse(tsr_context *ctx, const char *steps, uint32_t layers, uint32_t visual,
                              tsr_schedule *schedule);
/* Layers that the token of importance rank `rank` (0 the most important) enters, for a runner's
 * mask: entered[layer] becomes 1 or 0, entered [schedule->layers]. */
void tsr_schedule_token(const tsr_schedule *schedule, uint32_t rank, uint8_t *entered);

/* Sizes of a decoder, without its vocabulary. */
typedef struct tsr_decoder_shape {
    uint32_t layers, hidden, feed_forward;
    uint32_t heads, kv_heads, head_size;
    uint32_t feed_forward_matrices; /* 3 of gated ones (SwiGLU), 2 of others */
} tsr_decoder_shape;
/* The shape in the header of a GGUF file. Errors: those of reading it; MODEL (a size is missing).
 */
tsr_status tsr_decoder_shape_read(tsr_context *ctx, const char *gguf, tsr_decoder_shape *shape);

/* What reading a prompt costs. A multiply-add is two operations; with n tokens in a layer, d
 * hidden, q = heads * head_size, k = kv_heads * head_size, m feed_forward, f matrices: operations =
 * 2 n (2 d q + 2 d k + f d m) + 4 n^2 q,   bytes of keys and values = 4 n k in float16, summed over
 * layers; attention counts all n^2 pairs, as the published figures do. Embedding and output layer
 * are left out. */
typedef struct tsr_schedule_cost {
    double operations, operations_whole; /* by the schedule; with all visual tokens everywhere */
    double kv_bytes, kv_bytes_whole;
    double mean_visual; /* over the layers */
} tsr_schedule_cost;
/* Cost of a prompt of `text` tokens beside the visual ones. Errors: ARGUMENT (the shape has another
 * number of layers than the schedule, or a size of 0). ctx may be NULL. */
tsr_status tsr_schedule_predict(tsr_context *ctx, const tsr_schedule *schedule,
                                const tsr_decoder_shape *shape, uint32_t text,
                                tsr_schedule_cost *cost);

#ifdef __cplusplus
}
#endif
#endif
