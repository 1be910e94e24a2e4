/* SPDX-License-Identifier: MIT */
/* The pipeline: order, company, bad samples, marks, failures of every stage. Runs under
 * ThreadSanitizer as well. */
#include "codec/pipeline.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
enum {
    MANY = 14,
    SOME = 5,
    LARGE = 2,
    LARGE_SIDE = 300,
    HUGE_SIDE = 400
}; /* each takes some fifty times as long */
#elif defined(__SANITIZE_ADDRESS__)
/* Some ten times as long; still more than the pipeline's steps, and more bytes than may be in
 * flight. */
enum { MANY = 90, SOME = 70, LARGE = 9, LARGE_SIDE = 1500, HUGE_SIDE = 2000 };
#else
enum { MANY = 300, SOME = 150, LARGE = 12, LARGE_SIDE = 1500, HUGE_SIDE = 2000 };
#endif
enum { MOST = 600 };

/* What goes in, and what came out. */
typedef struct world {
    int count;
    int mark_every, bad_every;            /* 0: none */
    int feed_fails, consume_fails, stops; /* at this step; -1: never */
    int side;                             /* of most pictures */
    int large;                            /* this sample is HUGE_SIDE wide and high; -1: none */
    int next, got;
    int marks[MOST];     /* what marks point at */
    uint64_t sums[MOST]; /* of the ids of each picture */
    tsr_status status[MOST];
    bool disorder;
} world;

static world new_world(int count) {
    return (world){.count = count,
                   .feed_fails = -1,
                   .consume_fails = -1,
                   .stops = -1,
                   .side = 24,
                   .large = -1};
}

static tsr_sample *make_sample(const world *w, int number) {
    const int side = number == w->large ? HUGE_SIDE : w->side;
    const size_t pixels = (size_t)side * (size_t)side * 3;
    tsr_sample *s = calloc(1, sizeof *s);
    char head[32], name[32];
    const int n = snprintf(head, sizeof head, "P6\n%d %d\n255\n", side, side);
    snprintf(name, sizeof name, "%03d.ppm", number);
    s->key = strdup(name);
    s->name = strdup(name);
    s->size = (size_t)n + pixels;
    s->bytes = malloc(s->size);
    memcpy(s->bytes, head, (size_t)n);
    for (size_t i = 0; i < pixels; ++i)
        s->bytes[(size_t)n + i] = (uint8_t)((i * (size_t)(number % 17 + 1)) >> 3);
    if (w->bad_every && number % w->bad_every == 1) s->size = 20; /* cut */
    if (w->bad_every && number % w->bad_every == 2) {
        s->status = TSR_ERROR_NOT_FOUND;
        s->detail = strdup("it is not there");
    }
    return s;
}

static tsr_status feed(void *user, tsr_context *ctx, tsr_feed *f) {
    world *w = user;
    if (w->next == w->count) return TSR_OK;
    if (w->next == w->feed_fails) return tsr_fail(ctx, TSR_ERROR_IO, "the disk is gone");
    const int number = w->next++;
    if (w->mark_every && number % w->mark_every == 0)
        f->mark = &w->marks[number];
    else
        f->sample = make_sample(w, number);
    return TSR_OK;
}

static tsr_status consume(void *user, const tsr_passed *passed) {
    world *w = user;
    const int number = w->got++;
    if (number == w->consume_fails) return TSR_ERROR_NO_SPACE;
    if (passed->mark) {
        w->disorder |= passed->mark != &w->marks[number];
        return TSR_OK;
    }
    char name[32];
    snprintf(name, sizeof name, "%03d.ppm", number);
    w->disorder |= strcmp(passed->sample->name, name) != 0;
    w->status[number] = passed->encoding->status;
    if (!passed->encoding->item) return TSR_OK;
    const tsr_token_item *item = tsr_item_tokens(passed->encoding->item);
    w->disorder |= strcmp(item->key, name) != 0;
    for (uint64_t i = 0; i < tsr_token_item_total(item); ++i)
        w->sums[number] = w->sums[number] * 31 + item->ids[i];
    return TSR_OK;
}

static bool stop(void *user) {
    const world *w = user;
    return w->stops >= 0 && w->got >= w->stops;
}

static tsr_status run_on(world *w, int threads, const char *const *devices, int device_count) {
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = threads;
    settings.log_level = TSR_LOG_ERROR;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    const tsr_model_settings model = {.device = "cpu"};
    tsr_encode_settings encode = tsr_encode_settings_default();
    encode.choice.tokens = 8;
    const tsr_sampling_settings hints = {0};
    const tsr_image_settings image = tsr_image_settings_default();
    const tsr_pipeline_settings s = {
        .encoder = {.model = &model, .encode = &encode, .hints = &hints},
        .devices = devices,
        .device_count = device_count,
        .image = &image};
    tsr_pipeline *p = NULL;
    ck_assert_int_eq(tsr_pipeline_open(ctx, &s, &p), TSR_OK);
    const tsr_pipeline_ends ends = {.feed = feed, .consume = consume, .stop = stop, .user = w};
    const tsr_status status = tsr_pipeline_run(p, &ends);
    tsr_stage_times times = {0};
    tsr_pipeline_times(p, &times);
    ck_assert(times.passed > 0 && times.decoders == threads);
    tsr_pipeline_close(&p);
    tsr_context_close(&ctx);
    return status;
}

static tsr_status run(world *w, int threads) {
    return run_on(w, threads, NULL, 0);
}

/* The ids of a picture do not depend on threads, devices and company, and all come in order. */
START_TEST(order) {
    world *one = malloc(sizeof *one), *many = malloc(sizeof *many);
    *one = new_world(MANY);
    one->mark_every = 10;
    one->bad_every = 40;
    one->large = 7;
    *many = *one;
    ck_assert_int_eq(run(one, 1), TSR_OK);
    ck_assert_int_eq(one->got, MANY);
    ck_assert(!one->disorder);
    for (int i = 0; i < MANY; ++i) {
        const bool mark = i % 10 == 0;
        const tsr_status want = mark          ? TSR_OK
                                : i % 40 == 1 ? TSR_ERROR_TRUNCATED
                                : i % 40 == 2 ? TSR_ERROR_NOT_FOUND
                                              : TSR_OK;
        ck_assert_msg(one->status[i] == want, "%d: wanted %d, got %d", i, (int)want,
                      (int)one->status[i]);
        ck_assert_int_eq(one->sums[i] != 0, !mark && !want);
    }
    ck_assert_int_eq(run(many, 5), TSR_OK);
    ck_assert(!many->disorder);
    ck_assert_mem_eq(many->sums, one->sums, sizeof one->sums);
    const char *const devices[] = {"cpu", "cpu", "cpu"};
    *many = *one;
    many->next = many->got = 0;
    memset(many->sums, 0, sizeof many->sums);
    ck_assert_int_eq(run_on(many, 2, devices, 3), TSR_OK);
    ck_assert(!many->disorder);
    ck_assert_mem_eq(many->sums, one->sums, sizeof one->sums);
    free(one);
    free(many);
}
END_TEST

/* Nothing, marks alone, bad samples alone. */
START_TEST(no_pictures) {
    world *w = malloc(sizeof *w);
    *w = new_world(0);
    ck_assert_int_eq(run(w, 2), TSR_OK);
    ck_assert_int_eq(w->got, 0);
    *w = new_world(590);
    w->mark_every = 1;
    ck_assert_int_eq(run(w, 2), TSR_OK);
    ck_assert_int_eq(w->got, 590);
    *w = new_world(3);
    w->bad_every = 1; /* n % 1 is 0: none is bad */
    ck_assert_int_eq(run(w, 2), TSR_OK);
    ck_assert_int_eq(w->status[0], TSR_OK);
    *w = new_world(3);
    w->bad_every = 3;
    w->mark_every = 3;
    ck_assert_int_eq(run(w, 2), TSR_OK);
    ck_assert_int_eq(w->got, 3);
    ck_assert_int_eq(w->status[1], TSR_ERROR_TRUNCATED);
    ck_assert_int_eq(w->status[2], TSR_ERROR_NOT_FOUND);
    ck_assert(!w->disorder);
    free(w);
}
END_TEST

/* A failure anywhere ends the run with its status, and leaves no thread and no memory behind. */
START_TEST(failures) {
    world *w = malloc(sizeof *w);
    for (int at = 0; at < SOME; at += SOME - 1) {
        *w = new_world(SOME);
        w->feed_fails = at;
        ck_assert_int_eq(run(w, 3), TSR_ERROR_IO);
        ck_assert(!w->disorder && w->got <= at);
        *w = new_world(SOME);
        w->consume_fails = at;
        w->mark_every = 7;
        ck_assert_int_eq(run(w, 3), TSR_ERROR_NO_SPACE);
        ck_assert_int_eq(w->got, at + 1);
        *w = new_world(SOME);
        w->stops = at;
        ck_assert_int_eq(run(w, 3), TSR_ERROR_INTERRUPTED);
        ck_assert(!w->disorder && w->got >= at);
    }
    free(w);
}
END_TEST

/* More pixels than may be in flight, in many pictures: they pass one after the other. */
START_TEST(large_pictures) {
    world *w = malloc(sizeof *w);
    *w = new_world(LARGE);
    w->side = LARGE_SIDE;
    ck_assert_int_eq(run(w, 4), TSR_OK);
    ck_assert_int_eq(w->got, LARGE);
    for (int i = 0; i < LARGE; ++i)
        ck_assert(w->sums[i] != 0);
    free(w);
}
END_TEST

START_TEST(bottleneck) {
    tsr_stage_times t = {
        .read = 1, .decode = 6, .encode = 4, .write = 2, .decoders = 2, .encoders = 1};
    ck_assert_str_eq(tsr_stage_times_bottleneck(&t), "encode");
    t.decode = 9;
    ck_assert_str_eq(tsr_stage_times_bottleneck(&t), "decode");
    t.read = 5;
    ck_assert_str_eq(tsr_stage_times_bottleneck(&t), "read");
    t.write = 6;
    ck_assert_str_eq(tsr_stage_times_bottleneck(&t), "write");
}
END_TEST

TEST_MAIN("pipeline", order, no_pictures, failures, large_pictures, bottleneck)
