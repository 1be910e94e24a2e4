/* SPDX-License-Identifier: MIT */
/* schedule.c: visual tokens of each layer, and what they cost. */
#include <tessera/runner/schedule.h>

#include <stdlib.h>
#include <string.h>

#include "../compute/context.h"
#include "gguf.h"

static const tsr_published_schedule published[] = {
    {"visiondrop-32",
     "VisionDrop: 48, 35, 26, 19 in blocks of 8 layers, 32 on average", /* of 576 */
     "0:48,8:35,16:26,24:19", 32, 576},
    {"transprune", "TransPrune: the best 504, 360, 72 from layers 7, 9, 12 on",
     "0:576,7:504,9:360,12:72", 32, 576},
};

int tsr_published_schedule_count(void) {
    return (int)(sizeof published / sizeof *published);
}

tsr_published_schedule tsr_published_schedule_at(int index) {
    if (index < 0 || index >= tsr_published_schedule_count()) return (tsr_published_schedule){0};
    return published[index];
}

/* A number and the character behind it; false where there is none or it is above `most`. */
static bool take_number(const char **at, char behind, uint32_t most, uint32_t *value) {
    uint64_t n = 0;
    const char *p = *at;
    if (*p < '0' || *p > '9') return false;
    for (; *p >= '0' && *p <= '9' && n <= most; ++p)
        n = n * 10 + (uint64_t)(*p - '0');
    if (n > most || (behind && *p != behind) || (!behind && *p && *p != ',')) return false;
    *value = (uint32_t)n;
    *at = behind ? p + 1 : p;
    return true;
}

tsr_status tsr_schedule_parse(tsr_context *ctx, const char *steps, uint32_t layers, uint32_t visual,
                              tsr_schedule *s) {
    *s = (tsr_schedule){.layers = layers, .visual = visual};
    if (layers < 1 || layers > TSR_SCHEDULE_MOST_LAYERS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "schedule: layers: wanted 1 to %d, got %u",
                        TSR_SCHEDULE_MOST_LAYERS, layers);
    const char *at = steps;
    uint32_t next = 0, number = 0;
    for (;; ++number) {
        uint32_t from, count;
        if (!take_number(&at, ':', layers - 1, &from) || !take_number(&at, 0, visual, &count) ||
            (number ? from < next : from != 0))
            return tsr_fail(
                ctx, TSR_ERROR_ARGUMENT,
                "schedule: step %u: wanted LAYER:TOKENS with rising layers from 0 to %u "
                "and at most %u tokens, got %.60s",
                number, layers - 1, visual, steps);
        for (uint32_t l = from; l < layers; ++l)
            s->kept[l] = count;
        next = from + 1;
        if (!*at) return TSR_OK;
        ++at;
    }
}

void tsr_schedule_token(const tsr_schedule *s, uint32_t rank, uint8_t *entered) {
    for (uint32_t l = 0; l < s->layers; ++l)
        entered[l] = rank < s->kept[l];
}

tsr_status tsr_decoder_shape_read(tsr_context *ctx, const char *gguf, tsr_decoder_shape *shape) {
    tsr_gguf *file = NULL;
    *shape = (tsr_decoder_shape){0};
    tsr_status status = tsr_gguf_open(ctx, gguf, &file);
    if (status) return status;
    const struct {
        const char *key;
        uint32_t *value;
    } wanted[] = {{"block_count", &shape->layers},
                  {"embedding_length", &shape->hidden},
                  {"feed_forward_length", &shape->feed_forward},
                  {"attention.head_count", &shape->heads}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && !status; ++i)
        if (!tsr_gguf_model_u32(file, wanted[i].key, wanted[i].value) || !*wanted[i].value)
            status = tsr_fail(ctx, TSR_ERROR_MODEL, "%s: wanted a decoder's %s, got none or a list",
                              gguf, wanted[i].key);
    if (!status) {
        if (!tsr_gguf_model_u32(file, "attention.head_count_kv", &shape->kv_heads))
            shape->kv_heads = shape->heads;
        if (!tsr_gguf_model_u32(file, "attention.key_length", &shape->head_size))
            shape->head_size = shape->hidden / shape->heads;
        shape->feed_forward_matrices = tsr_gguf_find(file, "blk.0.ffn_gate.weight") ? 3 : 2;
    }
    tsr_gguf_close(&file);
    return status;
}

static double operations(const tsr_decoder_shape *s, double n) {
    const double d = s->hidden, q = (double)s->heads * s->head_size;
    const double k = (double)s->kv_heads * s->head_size;
    const double linear =
        2 * d * q + 2 * d * k + (double)s->feed_forward_matrices * d * s->feed_forward;
    return 2 * n * linear + 4 * n * n * q;
}

tsr_status tsr_schedule_predict(tsr_context *ctx, const tsr_schedule *schedule,
                                const tsr_decoder_shape *shape, uint32_t text,
                                tsr_schedule_cost *cost) {
    *cost = (tsr_schedule_cost){0};
    if (shape->layers != schedule->layers)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "schedule: wanted %u layers, as the decoder has, got %u", shape->layers,
                        schedule->layers);
    if (!shape->layers || !shape->hidden || !shape->feed_forward || !shape->heads ||
        !shape->kv_heads || !shape->head_size || !shape->feed_forward_matrices)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "decoder: wanted sizes above 0, got a 0");
    const double bytes = 4.0 * shape->kv_heads * shape->head_size; /* of one token in one layer */
    const double all = (double)schedule->visual + text;
    for (uint32_t l = 0; l < schedule->layers; ++l) {
        const double n = (double)schedule->kept[l] + text;
        cost->operations += operations(shape, n);
        cost->operations_whole += operations(shape, all);
        cost->kv_bytes += bytes * n;
        cost->kv_bytes_whole += bytes * all;
        cost->mean_visual += (double)schedule->kept[l] / schedule->layers;
    }
    return TSR_OK;
}
