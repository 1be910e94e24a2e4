/* SPDX-License-Identifier: MIT */
/* pipeline.c: see pipeline.h.
 *
 * Steps lie in a ring, in order. Each has a state that only rises, and each stage takes the next
 * step of its own in order:
 *
 *   next_in ........ reader:   EMPTY   -> READ, or DONE for marks and samples without bytes
 *   next_decode .... decoders: READ    -> DECODING -> DECODED, or DONE when there is no picture
 *   next_encode .... encoders: DECODED -> ENCODING -> DONE, a group at a time
 *   next_out ....... caller:   DONE    -> EMPTY
 *
 * A decoder begins only when its picture fits into what is left of the bytes in flight, and in
 * order; a picture that is larger than all of them waits until nothing else is in flight. */
#include "pipeline.h"
#include "../compute/clock.h"
#include "../compute/threads.h"
#include "../media/reader.h"
#include "item.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Least pixels of a group and bytes of pictures in flight; a device that takes large batches gets
 * larger groups. */
static const uint64_t least_pixels = (uint64_t)1 << 22;
static const uint64_t least_flight = (uint64_t)4 * 3 << 22;
/* Bytes of a picture that each decoder may have: 16 million pixels. */
static const uint64_t decoder_bytes = (uint64_t)3 << 24;
/* An encoder does not wait longer for company. */
static const double patience = 1;

typedef enum step_state { EMPTY, READ, DECODING, DECODED, ENCODING, DONE } step_state;

typedef struct step {
    step_state state;
    tsr_sample *sample;
    void *mark;
    tsr_image image;
    int frames; /* of `image`, as in tsr_feed */
    tsr_encoding encoding;
    uint64_t bytes; /* of flight_bytes */
    uint64_t raw;   /* bytes of a picture that came decoded and waits for a decoder */
} step;

typedef struct stage {
    struct tsr_pipeline *p;
    pthread_t thread;
    bool started;
    tsr_context *ctx;
    tsr_device *host;     /* of a decoder: resamples */
    tsr_encoder *encoder; /* of an encoder */
    double busy, idle;
    uint64_t encoded;             /* pictures, by an encoder */
    double computed, host_waited; /* by its device, and for its device */
} stage;

struct tsr_pipeline {
    tsr_context *ctx;
    tsr_pipeline_settings s;
    char (*device_names)[16]; /* of "vulkan:all", and pointers to them */
    const char **device_list;
    tsr_model_settings *models; /* [encoders] */
    tsr_encoder *encoder;       /* [encoders] */
    stage reader, *decoders, *encoders;
    int decoder_count, encoder_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    step *steps; /* [step_count] */
    uint64_t step_count;
    int group_most;        /* pictures of a group */
    uint64_t group_pixels; /* of a group */
    uint64_t flight_bytes; /* of pictures between the stages */
    uint64_t next_in, next_decode, next_encode, next_out;
    uint64_t in_flight;
    uint64_t raw;          /* bytes of pictures that came decoded and wait */
    int decoding, waiting; /* decoders at work, and those that wait for room */
    bool ended, stop;      /* nothing more comes in; everybody leaves */
    tsr_status status;     /* the first failure of a stage */
    char detail[1024];
    const tsr_pipeline_ends *ends;
    double passed, write;
};

static step *at(tsr_pipeline *p, uint64_t number) {
    return &p->steps[number % p->step_count];
}

/* Waits for a change, at most `seconds`; the lock is held. */
static void wait_for_change(tsr_pipeline *p, double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double until = (double)t.tv_nsec + seconds * 1e9;
    t.tv_sec += (time_t)(until / 1e9);
    t.tv_nsec = (long)(until - 1e9 * (double)(time_t)(until / 1e9));
    pthread_cond_timedwait(&p->changed, &p->lock, &t);
}

/* The first failure stands; everybody leaves. The lock is held. */
static void fail(tsr_pipeline *p, tsr_context *ctx, tsr_status status) {
    if (!p->status) {
        p->status = status;
        snprintf(p->detail, sizeof p->detail, "%s", tsr_detail(ctx));
    }
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
}

static void step_clear(step *s) {
    tsr_sample_free(&s->sample);
    tsr_image_free(&s->image);
    tsr_encoding_clear(&s->encoding);
    *s = (step){0};
}

/* ---- reader ------------------------------------------------------------------------------- */

static uint64_t image_bytes(const tsr_feed *feed) {
    const uint64_t frames = feed->frames ? (uint64_t)feed->frames : 1;
    return frames * (uint64_t)feed->image.width * (uint64_t)feed->image.height * 3;
}

static void *read_all(void *arg) {
    stage *self = arg;
    tsr_pipeline *p = self->p;
    pthread_mutex_lock(&p->lock);
    while (!p->stop && !p->ended) {
        if (p->next_in - p->next_out == p->step_count || p->raw > p->flight_bytes) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        tsr_feed feed = {0};
        const double began = tsr_seconds();
        const tsr_status status = p->ends->feed(p->ends->user, self->ctx, &feed);
        self->busy += tsr_seconds() - began;
        pthread_mutex_lock(&p->lock);
        if (status) {
            fail(p, self->ctx, status);
        } else if (!feed.sample && !feed.mark) {
            p->ended = true;
        } else {
            step *s = at(p, p->next_in++);
            *s = (step){.state = DONE,
                        .sample = feed.sample,
                        .mark = feed.mark,
                        .image = feed.image,
                        .frames = feed.frames};
            if (feed.image.rgb) s->raw = image_bytes(&feed);
            p->raw += s->raw;
            if (s->sample && !s->sample->status)
                s->state = READ;
            else if (s->sample) {
                s->encoding.status = s->sample->status;
                s->encoding.detail = strdup(s->sample->detail ? s->sample->detail : "");
            }
        }
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- decoders ----------------------------------------------------------------------------- */

/* Bytes of its pixels, from the header; where only the decoder can tell, a guess. */
static uint64_t pixel_bytes(const tsr_sample *sample) {
    const tsr_probe probe = tsr_picture_probe(sample->bytes, sample->size);
    const uint64_t pixels = (uint64_t)probe.width * probe.height;
    return pixels ? 3 * pixels : 8 * (uint64_t)sample->size;
}

/* The next picture that may be decoded, or NULL when there will be none. The lock is held. */
static step *take_picture(tsr_pipeline *p) {
    bool waits = false;
    while (!p->stop) {
        while (p->next_decode < p->next_in && at(p, p->next_decode)->state != READ)
            ++p->next_decode;
        if (p->next_decode == p->next_in) {
            if (p->ended) break;
        } else {
            step *s = at(p, p->next_decode);
            if (!s->bytes) s->bytes = s->raw ? s->raw : pixel_bytes(s->sample);
            if (!p->in_flight || p->in_flight + s->bytes <= p->flight_bytes) {
                p->waiting -= waits;
                ++p->next_decode;
                p->raw -= s->raw;
                s->raw = 0;
                p->in_flight += s->bytes;
                s->state = DECODING;
                ++p->decoding;
                return s;
            }
            if (!waits) pthread_cond_broadcast(&p->changed); /* a group may be all there will be */
            p->waiting += !waits;
            waits = true;
        }
        pthread_cond_wait(&p->changed, &p->lock);
    }
    p->waiting -= waits;
    return NULL;
}

/* Bytes to a fitted picture. */
static void decode(stage *self, step *s) {
    tsr_pipeline *p = self->p;
    const tsr_sample *sample = s->sample;
    tsr_image *image = &s->image;
    tsr_fitted_picture *fitted = &s->encoding.fitted;
    tsr_status status = image->rgb ? TSR_OK
                                   : tsr_image_decode(self->ctx, sample->name, sample->bytes,
                                                      sample->size, p->s.image, image);
    if (!status) {
        fitted->picture = (tsr_picture){.rgb = image->rgb,
                                        .width = image->width,
                                        .height = image->height,
                                        .frames = s->frames,
                                        .key = sample->key,
                                        .orientation = image->orientation};
        status = tsr_canvas_open(self->host, &fitted->picture, &p->encoder[0].plan.header,
                                 &fitted->canvas);
    }
    if (status) tsr_encoding_fail(&s->encoding, self->ctx, status);
    free(s->sample->bytes);
    s->sample->bytes = NULL;
    if (status || fitted->canvas.owned) tsr_image_free(image);
}

static void *decode_all(void *arg) {
    stage *self = arg;
    tsr_pipeline *p = self->p;
    step *s;
    pthread_mutex_lock(&p->lock);
    while ((s = take_picture(p))) {
        pthread_mutex_unlock(&p->lock);
        const double began = tsr_seconds();
        decode(self, s);
        const tsr_canvas *canvas = &s->encoding.fitted.canvas;
        const uint64_t bytes = (uint64_t)canvas->width * (uint64_t)canvas->height * 3;
        self->busy += tsr_seconds() - began;
        pthread_mutex_lock(&p->lock);
        p->in_flight += bytes - s->bytes;
        s->bytes = bytes;
        s->state = s->encoding.status ? DONE : DECODED;
        --p->decoding;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- encoders ----------------------------------------------------------------------------- */

/* Will no further picture be decoded unless a group is encoded? The lock is held. */
static bool nothing_comes(const tsr_pipeline *p) {
    if (p->decoding) return false;
    if (p->waiting) return true;
    return p->next_decode == p->next_in && (p->ended || p->next_in - p->next_out == p->step_count);
}

/* Looks for a group from next_encode on: pictures that stand decoded, one behind the other, with
 * marks and bad ones between. *full: there is no use in waiting for more. */
static int find_group(tsr_pipeline *p, step **group, uint64_t *end, bool *full) {
    int count = 0;
    uint64_t pixels = 0, i = p->next_encode;
    *full = false;
    for (; i < p->next_in && !*full; ++i) {
        step *s = at(p, i);
        if (s->state == DONE) continue;
        if (s->state != DECODED) break;
        const tsr_canvas *canvas = &s->encoding.fitted.canvas;
        group[count++] = s;
        pixels += (uint64_t)canvas->frames * (uint64_t)canvas->width * (uint64_t)canvas->height;
        *full = count == p->group_most || pixels >= p->group_pixels;
    }
    *end = i;
    return count;
}

/* Takes the next group; 0: there will be none, or with `busy` none stands ready yet. The lock is
 * held. */
static int take_group(stage *self, step **group, bool busy) {
    tsr_pipeline *p = self->p;
    const double began = tsr_seconds();
    int count = 0;
    while (!p->stop) {
        uint64_t end;
        bool full;
        count = find_group(p, group, &end, &full);
        const bool last = p->ended && end == p->next_in;
        if (count && (full || last || nothing_comes(p) || tsr_seconds() - began > patience)) {
            p->next_encode = end;
            break;
        }
        count = 0;
        if (last || busy) break;
        wait_for_change(p, patience);
    }
    for (int i = 0; i < count; ++i)
        group[i]->state = ENCODING;
    self->idle += tsr_seconds() - began;
    return p->stop ? 0 : count;
}

/* A group on its way through an encoder. */
typedef struct group {
    step *steps[TSR_ENCODER_MOST];
    tsr_encoder_flight flight;
} group;

/* Begins a group that was taken. The lock is held, but for the work. */
static void begin_group(stage *self, group *g, int count) {
    tsr_pipeline *p = self->p;
    tsr_encoding *encodings[TSR_ENCODER_MOST];
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    const double began = tsr_seconds();
    for (int i = 0; i < count; ++i)
        encodings[i] = &g->steps[i]->encoding;
    tsr_encoder_begin(self->encoder, encodings, count, &g->flight);
    self->busy += tsr_seconds() - began;
    pthread_mutex_lock(&p->lock);
}

/* Ends a group; false when the run has failed. The lock is held, but for the work. */
static bool end_group(stage *self, group *g) {
    tsr_pipeline *p = self->p;
    const int count = g->flight.count;
    pthread_mutex_unlock(&p->lock);
    const double began = tsr_seconds();
    const tsr_status status = tsr_encoder_end(self->encoder, &g->flight);
    self->busy += tsr_seconds() - began;
    self->encoded += (uint64_t)count;
    pthread_mutex_lock(&p->lock);
    if (status) {
        fail(p, self->ctx, status);
        return false;
    }
    for (int i = 0; i < count; ++i)
        g->steps[i]->state = DONE;
    pthread_cond_broadcast(&p->changed);
    return true;
}

static tsr_device_traffic traffic_of(const stage *self) {
    return tsr_device_traffic_of(self->encoder->tokenizer->model.device);
}

/* A group is begun before the one in front of it is ended, so that the device need not wait for the
 * host; only when none stands ready the one in front is ended first. */
static void *encode_all(void *arg) {
    stage *self = arg;
    tsr_pipeline *p = self->p;
    const tsr_device_traffic before = traffic_of(self);
    group *groups = tsr_alloc(self->ctx, 2, sizeof *groups, "encode: groups");
    const bool flies = tsr_encoder_flies(self->encoder);
    bool well = groups != NULL;
    pthread_mutex_lock(&p->lock);
    if (!well) fail(p, self->ctx, TSR_ERROR_MEMORY);
    for (int k = 0; well; k = 1 - k) {
        group *next = &groups[k], *front = &groups[1 - k];
        const bool busy = front->flight.count > 0;
        const int count = take_group(self, next->steps, busy);
        if (!count && !busy) break;
        if (count) begin_group(self, next, count);
        if (busy) well = end_group(self, front);
        if (well && count && !flies) well = end_group(self, next);
    }
    pthread_mutex_unlock(&p->lock);
    for (int k = 0; groups && k < 2; ++k) /* after a failure */
        if (groups[k].flight.count) (void)tsr_encoder_end(self->encoder, &groups[k].flight);
    free(groups);
    const tsr_device_traffic after = traffic_of(self);
    self->computed = after.busy - before.busy;
    self->host_waited = after.host_waited - before.host_waited;
    return NULL;
}

/* ---- caller ------------------------------------------------------------------------------- */

/* Hands over step next_out, which is DONE. The lock is held. */
static tsr_status hand_over(tsr_pipeline *p) {
    step *s = at(p, p->next_out);
    /* Marks and bad pictures may not have been passed over yet: nobody looks at this step now. */
    if (p->next_decode <= p->next_out) p->next_decode = p->next_out + 1;
    if (p->next_encode <= p->next_out) p->next_encode = p->next_out + 1;
    pthread_mutex_unlock(&p->lock);
    const double began = tsr_seconds();
    if (s->encoding.item) {
        tsr_token_item *tokens = tsr_item_edit(s->encoding.item);
        tokens->attributes = s->sample->attributes;
        tokens->attribute_count = s->sample->attribute_count;
    }
    const tsr_passed passed = {.sample = s->sample, .mark = s->mark, .encoding = &s->encoding};
    const tsr_status status = p->ends->consume(p->ends->user, &passed);
    const uint64_t bytes = s->bytes;
    step_clear(s);
    p->write += tsr_seconds() - began;
    pthread_mutex_lock(&p->lock);
    p->in_flight -= bytes;
    ++p->next_out;
    pthread_cond_broadcast(&p->changed);
    return status;
}

static tsr_status consume_all(tsr_pipeline *p) {
    tsr_status status = TSR_OK;
    pthread_mutex_lock(&p->lock);
    while (!status) {
        if (p->next_out < p->next_in && at(p, p->next_out)->state == DONE)
            status = hand_over(p);
        else if (p->stop || (p->ended && p->next_out == p->next_in))
            break;
        else
            wait_for_change(p, 0.1);
        if (status || !p->ends->stop) continue;
        pthread_mutex_unlock(&p->lock);
        if (p->ends->stop(p->ends->user))
            status = tsr_fail(p->ctx, TSR_ERROR_INTERRUPTED, "stopped by the caller");
        pthread_mutex_lock(&p->lock);
    }
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* ---- all together ------------------------------------------------------------------------- */

static tsr_status start(stage *s, void *(*work)(void *)) {
    s->busy = s->idle = s->computed = s->host_waited = 0;
    s->encoded = 0;
    s->started = pthread_create(&s->thread, NULL, work, s) == 0;
    return s->started ? TSR_OK : tsr_fail(s->p->ctx, TSR_ERROR_MEMORY, "encode: no further thread");
}

static void join(stage *s) {
    if (s->started) pthread_join(s->thread, NULL);
    s->started = false;
}

tsr_status tsr_pipeline_run(tsr_pipeline *p, const tsr_pipeline_ends *ends) {
    p->ends = ends;
    p->next_in = p->next_decode = p->next_encode = p->next_out = 0;
    p->ended = p->stop = false;
    p->status = TSR_OK;
    p->write = 0;
    const double began = tsr_seconds();
    tsr_status status = start(&p->reader, read_all);
    for (int i = 0; i < p->decoder_count && !status; ++i)
        status = start(&p->decoders[i], decode_all);
    for (int i = 0; i < p->encoder_count && !status; ++i)
        status = start(&p->encoders[i], encode_all);
    if (!status)
        status = consume_all(p);
    else {
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
    }
    join(&p->reader);
    for (int i = 0; i < p->decoder_count; ++i)
        join(&p->decoders[i]);
    for (int i = 0; i < p->encoder_count; ++i)
        join(&p->encoders[i]);
    p->passed = tsr_seconds() - began;
    for (uint64_t i = 0; i < p->step_count; ++i)
        step_clear(&p->steps[i]);
    p->in_flight = p->raw = 0;
    if (!status && p->status) status = tsr_fail(p->ctx, p->status, "%s", p->detail);
    for (int i = 0; i < p->encoder_count && !status; ++i)
        status = tsr_encode_plan_finish(p->ctx, &p->encoder[i].plan);
    return status;
}

void tsr_pipeline_times(const tsr_pipeline *p, tsr_stage_times *t) {
    t->passed += p->passed;
    t->read += p->reader.busy;
    t->write += p->write;
    for (int i = 0; i < p->decoder_count; ++i)
        t->decode += p->decoders[i].busy;
    for (int i = 0; i < p->encoder_count; ++i) {
        t->encode += p->encoders[i].busy;
        t->encode_idle += p->encoders[i].idle;
        t->device_busy += p->encoders[i].computed;
        t->device_waited += p->passed - p->encoders[i].computed;
        t->host_waited += p->encoders[i].host_waited;
        if (i < (int)(sizeof t->encoded / sizeof *t->encoded))
            t->encoded[i] += p->encoders[i].encoded;
    }
    t->decoders = p->decoder_count;
    t->encoders = p->encoder_count;
}

const char *tsr_stage_times_bottleneck(const tsr_stage_times *t) {
    const double busy[] = {t->read, t->decode / (t->decoders ? t->decoders : 1),
                           t->encode / (t->encoders ? t->encoders : 1), t->write};
    static const char *const names[] = {"read", "decode", "encode", "write"};
    int most = 0;
    for (int i = 1; i < 4; ++i)
        if (busy[i] > busy[most]) most = i;
    return names[most];
}

/* A context of its own for a stage: details and threads are not shared. */
static tsr_status stage_open(tsr_pipeline *p, stage *s, int threads, uint64_t memory) {
    tsr_context_settings settings = p->ctx->settings;
    settings.threads = threads;
    settings.memory_limit = memory;
    s->p = p;
    return tsr_context_open(&s->ctx, &settings)
               ? tsr_fail(p->ctx, TSR_ERROR_MEMORY, "encode: no memory for a context")
               : TSR_OK;
}

static tsr_status open_decoder(tsr_pipeline *p, stage *s) {
    tsr_device_settings cpu = tsr_device_settings_default();
    cpu.name = "cpu";
    tsr_status status = stage_open(p, s, 1, p->ctx->settings.memory_limit);
    /* That a cpu device was opened here is nobody's business. */
    if (!status && s->ctx->settings.log_level > TSR_LOG_WARNING)
        s->ctx->settings.log_level = TSR_LOG_WARNING;
    if (!status && (status = tsr_device_open(s->ctx, &s->host, &cpu)))
        status = tsr_fail(p->ctx, status, "%s", tsr_detail(s->ctx));
    return status;
}

static tsr_status open_encoder(tsr_pipeline *p, int index) {
    const uint64_t memory = p->ctx->settings.memory_limit / (unsigned)p->encoder_count;
    tsr_encoder_settings s = p->s.encoder;
    stage *own = &p->encoders[index];
    tsr_status status = stage_open(p, own, p->ctx->settings.threads, memory);
    if (status) return status;
    p->models[index] = *s.model;
    if (p->s.devices) p->models[index].device = p->s.devices[index];
    s.model = &p->models[index];
    own->encoder = &p->encoder[index];
    status = tsr_encoder_open(own->ctx, &s, own->encoder);
    return status ? tsr_fail(p->ctx, status, "%s", tsr_detail(own->ctx)) : TSR_OK;
}

/* "vulkan:all": every hardware device. Software ones are taken by name alone. */
static tsr_status find_all_devices(tsr_pipeline *p) {
    const char *name = p->s.encoder.model->device;
    if (p->s.device_count || !name || strcmp(name, "vulkan:all")) return TSR_OK;
    tsr_device_info *list = NULL;
    int count = 0;
    tsr_status status = tsr_device_list(p->ctx, &list, &count);
    if (status) return status;
    p->device_names = tsr_alloc(p->ctx, (size_t)count + 1, sizeof *p->device_names, "devices");
    p->device_list = tsr_alloc(p->ctx, (size_t)count + 1, sizeof *p->device_list, "devices");
    if (!p->device_names || !p->device_list) status = TSR_ERROR_MEMORY;
    for (int i = 0; i < count && !status; ++i) {
        if (list[i].kind != TSR_DEVICE_VULKAN || list[i].software || !list[i].usable) continue;
        char *own = p->device_names[p->s.device_count];
        snprintf(own, sizeof *p->device_names, "vulkan:%d", list[i].index);
        p->device_list[p->s.device_count++] = own;
    }
    free(list);
    if (!status && !p->s.device_count)
        status = tsr_fail(p->ctx, TSR_ERROR_NO_DEVICE,
                          "vulkan:all: wanted a GPU, got none that can be used; name software "
                          "devices one by one, vulkan:0,vulkan:1");
    p->s.devices = p->device_list;
    return status;
}

/* Groups of two batches of the device that takes most, and room for two of them behind each other,
 * as many that are filled, and a large picture for each decoder. */
static tsr_status choose_sizes(tsr_pipeline *p, int decoders) {
    const tsr_token_header *h = &p->encoder[0].plan.header;
    const uint64_t tile =
        (uint64_t)h->tile_width * h->tile_height * (h->tile_frames ? h->tile_frames : 1);
    uint64_t tiles = 0;
    for (int i = 0; i < p->encoder_count; ++i)
        if (2 * (uint64_t)p->encoder[i].plan.batch > tiles)
            tiles = 2 * (uint64_t)p->encoder[i].plan.batch;
    if (tiles > TSR_ENCODER_MOST) tiles = TSR_ENCODER_MOST;
    const uint64_t memory = p->ctx->settings.memory_limit / 16;
    p->group_most = tiles > TSR_ENCODER_GROUP ? (int)tiles : TSR_ENCODER_GROUP;
    p->step_count = 4 * (uint64_t)p->group_most;
    p->group_pixels = tiles * tile;
    if (p->group_pixels > memory / 12) p->group_pixels = memory / 12;
    if (p->group_pixels < least_pixels) p->group_pixels = least_pixels;
    p->flight_bytes = 12 * p->group_pixels;
    if (p->flight_bytes < (uint64_t)decoders * decoder_bytes)
        p->flight_bytes = (uint64_t)decoders * decoder_bytes;
    if (p->flight_bytes > memory) p->flight_bytes = memory;
    if (p->flight_bytes < least_flight) p->flight_bytes = least_flight;
    p->steps = tsr_alloc(p->ctx, (size_t)p->step_count, sizeof *p->steps, "encode: pipeline");
    return p->steps ? TSR_OK : TSR_ERROR_MEMORY;
}

static tsr_status open_all(tsr_pipeline *p) {
    tsr_status status = find_all_devices(p);
    if (status) return status;
    const int encoders = p->s.device_count ? p->s.device_count : 1;
    const int decoders = tsr_thread_count(p->ctx);
    if (encoders > 1 && p->s.encoder.encode->noise)
        return tsr_fail(p->ctx, TSR_ERROR_ARGUMENT,
                        "noise: wanted one device, since tiles take theirs in order; got %d",
                        encoders);
    if (encoders > 1 && p->s.encoder.tokenizer)
        return tsr_fail(p->ctx, TSR_ERROR_ARGUMENT,
                        "devices: wanted one with a tokenizer that is open, got %d", encoders);
    p->models = tsr_alloc(p->ctx, (size_t)encoders, sizeof *p->models, "encode: models");
    p->encoder = tsr_alloc(p->ctx, (size_t)encoders, sizeof *p->encoder, "encode: models");
    p->encoders = tsr_alloc(p->ctx, (size_t)encoders, sizeof *p->encoders, "encode: models");
    p->decoders = tsr_alloc(p->ctx, (size_t)decoders, sizeof *p->decoders, "encode: decoders");
    if (!p->models || !p->encoder || !p->encoders || !p->decoders) return TSR_ERROR_MEMORY;
    p->encoder_count = encoders;
    for (int i = 0; i < encoders && !status; ++i)
        status = open_encoder(p, i);
    if (!status) status = choose_sizes(p, decoders);
    p->decoder_count = decoders;
    for (int i = 0; i < decoders && !status; ++i)
        status = open_decoder(p, &p->decoders[i]);
    return status ? status : stage_open(p, &p->reader, 1, p->ctx->settings.memory_limit);
}

tsr_status tsr_pipeline_open(tsr_context *ctx, const tsr_pipeline_settings *settings,
                             tsr_pipeline **pipeline) {
    *pipeline = NULL;
    tsr_pipeline *p = tsr_alloc(ctx, 1, sizeof *p, "encode: pipeline");
    if (!p) return TSR_ERROR_MEMORY;
    p->ctx = ctx;
    p->s = *settings;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&p->lock, NULL);
    const tsr_status status = open_all(p);
    if (status)
        tsr_pipeline_close(&p);
    else
        *pipeline = p;
    return status;
}

void tsr_pipeline_close(tsr_pipeline **pipeline) {
    if (!pipeline || !*pipeline) return;
    tsr_pipeline *p = *pipeline;
    for (int i = 0; i < p->encoder_count; ++i) {
        tsr_encoder_close(&p->encoder[i]);
        tsr_context_close(&p->encoders[i].ctx);
    }
    for (int i = 0; i < p->decoder_count; ++i) {
        tsr_device_close(&p->decoders[i].host);
        tsr_context_close(&p->decoders[i].ctx);
    }
    tsr_context_close(&p->reader.ctx);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->device_names);
    free(p->device_list);
    free(p->steps);
    free(p->models);
    free(p->encoder);
    free(p->encoders);
    free(p->decoders);
    free(p);
    *pipeline = NULL;
}

tsr_encoder *tsr_pipeline_encoder(tsr_pipeline *p, int index) {
    return &p->encoder[index];
}

void tsr_pipeline_describe(const tsr_pipeline *p, tsr_encoding_model *model) {
    const tsr_tokenizer *tokenizer = p->encoder[0].tokenizer;
    const tsr_token_header *h = &p->encoder[0].plan.header;
    *model = (tsr_encoding_model){.weights_hash = h->weights_hash,
                                  .fit = h->fit,
                                  .vectors = h->channels != 0,
                                  .devices = p->encoder_count};
    snprintf(model->tokenizer, sizeof model->tokenizer, "%s", h->tokenizer);
    snprintf(model->device, sizeof model->device, "%s", tsr_tokenizer_device(tokenizer));
    snprintf(model->host_stages, sizeof model->host_stages, "%s%s",
             tsr_tokenizer_host_stages(tokenizer, 0), p->s.encoder.encode->noise ? " draw" : "");
}
