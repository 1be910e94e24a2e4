/* SPDX-License-Identifier: MIT */
/* Two threads, each with its own context and model, work at the same time and get what one alone
 * gets. Run under ThreadSanitizer as well (preset "tsan"): contexts share nothing. */
#include <tessera/tessera.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "testing.h"

enum { SIDE = 96, MOST = 4096 };
#if defined(__SANITIZE_THREAD__)
enum { ROUNDS = 1 }; /* each takes some twenty times as long */
#else
enum { ROUNDS = 3 };
#endif

typedef struct worker {
    int number;
    uint8_t rgb[SIDE * SIDE * 3];
    uint32_t ids[MOST];
    uint64_t count;
    uint8_t *decoded; /* [SIDE, SIDE, 3] */
    char failure[200];
    char path[64];
} worker;

/* Check's assertions belong to the main thread: a worker notes what went wrong. */
#define WORKER_WANTS(w, condition)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            snprintf((w)->failure, sizeof(w)->failure, "line %d: wanted %s", __LINE__,             \
                     #condition);                                                                  \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void draw(worker *w, int picture) {
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x)
            for (int c = 0; c < 3; ++c)
                w->rgb[(y * SIDE + x) * 3 + c] =
                    (uint8_t)(x * (picture + 1) + y * (3 - c) + ((x / 12 + y / 9) % 2 ? 60 : 0));
}

static void encode_and_decode(worker *w, tsr_context *ctx, tsr_tokenizer *tokenizer) {
    tsr_picture picture = {.rgb = w->rgb, .width = SIDE, .height = SIDE, .key = "a"};
    tsr_item *item = NULL;
    int width = 0, height = 0;
    WORKER_WANTS(w, !tsr_tokenizer_encode(tokenizer, &picture, 1, NULL, &item, NULL));
    const tsr_token_item *tokens = tsr_item_tokens(item);
    w->count = tsr_token_item_total(tokens);
    WORKER_WANTS(w, w->count > 0 && w->count <= MOST);
    memcpy(w->ids, tokens->ids, w->count * sizeof *w->ids);
    tsr_item_size(tsr_item_header(item), tokens, &width, &height);
    WORKER_WANTS(w, width == SIDE && height == SIDE);
    free(w->decoded);
    w->decoded = calloc(SIDE * SIDE, 3);
    WORKER_WANTS(w, w->decoded != NULL);
    WORKER_WANTS(w, !tsr_tokenizer_decode(tokenizer, tsr_item_header(item), tokens, 0, w->decoded));
    WORKER_WANTS(w, !tsr_picture_write_png(ctx, w->path, width, height, w->decoded));
    tsr_item_close(&item);
}

static void *work(void *arg) {
    worker *w = arg;
    tsr_context_settings c = tsr_context_settings_default();
    c.threads = 2;
    tsr_context *ctx = NULL;
    tsr_tokenizer *tokenizer = NULL;
    tsr_model_settings m = tsr_model_settings_default();
    m.device = "cpu";
    snprintf(w->path, sizeof w->path, "/tmp/tessera-two-%ld-%d.png", (long)getpid(), w->number);
    if (tsr_context_open(&ctx, &c) || tsr_tokenizer_open(ctx, &tokenizer, &m))
        snprintf(w->failure, sizeof w->failure, "open: %s", tsr_detail(ctx));
    for (int i = 0; i < ROUNDS && !w->failure[0]; ++i)
        encode_and_decode(w, ctx, tokenizer);
    unlink(w->path);
    tsr_tokenizer_close(&tokenizer);
    tsr_context_close(&ctx);
    return NULL;
}

START_TEST(two_at_a_time_are_two_in_turn) {
    static worker alone[2], beside[2];
    pthread_t thread[2];
    for (int i = 0; i < 2; ++i) {
        alone[i].number = beside[i].number = i;
        draw(&alone[i], i);
        draw(&beside[i], i);
    }
    for (int i = 0; i < 2; ++i)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &beside[i]), 0);
    for (int i = 0; i < 2; ++i)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; ++i) {
        work(&alone[i]);
        ck_assert_msg(!alone[i].failure[0], "alone %d: %s", i, alone[i].failure);
        ck_assert_msg(!beside[i].failure[0], "beside %d: %s", i, beside[i].failure);
        ck_assert_uint_eq(alone[i].count, beside[i].count);
        ck_assert_mem_eq(alone[i].ids, beside[i].ids, alone[i].count * sizeof *alone[i].ids);
        ck_assert_mem_eq(alone[i].decoded, beside[i].decoded, SIDE * SIDE * 3);
    }
    ck_assert_msg(alone[0].count != alone[1].count ||
                      memcmp(alone[0].ids, alone[1].ids, alone[0].count * sizeof *alone[0].ids),
                  "two pictures: wanted different ids");
    for (int i = 0; i < 2; ++i) {
        free(alone[i].decoded);
        free(beside[i].decoded);
    }
}
END_TEST

TEST_MAIN("two contexts", two_at_a_time_are_two_in_turn)
