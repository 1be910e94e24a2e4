/* SPDX-License-Identifier: MIT */
/* test_schedule.c: published schedules and their figures, costs against closed forms, and that a
 * token that is masked from a layer on is as good as removed there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/runner/schedule.h>
#include <unistd.h>

#include "gguf_sample.h"
#include "testing.h"

static const tsr_decoder_shape llama_7b = {.layers = 32,
                                           .hidden = 4096,
                                           .feed_forward = 11008,
                                           .heads = 32,
                                           .kv_heads = 32,
                                           .head_size = 128,
                                           .feed_forward_matrices = 3};

static tsr_schedule published(const char *name) {
    tsr_schedule s = {0};
    for (int i = 0; i < tsr_published_schedule_count(); ++i) {
        const tsr_published_schedule p = tsr_published_schedule_at(i);
        if (strcmp(p.name, name) != 0) continue;
        ck_assert_int_eq(tsr_schedule_parse(NULL, p.steps, p.layers, p.visual, &s), TSR_OK);
    }
    ck_assert_msg(s.layers, "%s", name);
    return s;
}

START_TEST(published_figures) {
    tsr_schedule_cost c;
    tsr_schedule s = published("visiondrop-32");
    ck_assert(s.visual == 576 && s.kept[7] == 48 && s.kept[8] == 35 && s.kept[31] == 19);
    ck_assert_int_eq(tsr_schedule_predict(NULL, &s, &llama_7b, 0, &c), TSR_OK);
    ck_assert_double_eq_tol(c.mean_visual, 32, 1e-12);
    s = published("transprune");
    ck_assert(s.kept[6] == 576 && s.kept[7] == 504 && s.kept[9] == 360 && s.kept[12] == 72);
    ck_assert_int_eq(tsr_schedule_predict(NULL, &s, &llama_7b, 40, &c), TSR_OK);
    ck_assert_double_eq_tol(c.mean_visual, 236.25, 1e-9);
    ck_assert_double_lt(c.operations, c.operations_whole / 2); /* "under half" */
    ck_assert_ptr_null(tsr_published_schedule_at(-1).name);
    ck_assert_ptr_null(tsr_published_schedule_at(99).name);
}
END_TEST

/* 8 n d^2 + 4 n^2 d + 4 n d m: the form that FastV and its successors count by, in operations. */
START_TEST(closed_forms) {
    tsr_schedule s;
    tsr_schedule_cost c;
    tsr_decoder_shape plain = llama_7b;
    plain.feed_forward_matrices = 2;
    ck_assert_int_eq(tsr_schedule_parse(NULL, "0:576,2:288", 32, 576, &s), TSR_OK);
    ck_assert_int_eq(tsr_schedule_predict(NULL, &s, &plain, 64, &c), TSR_OK);
    double want = 0, whole = 0;
    const double d = 4096, m = 11008;
    for (int l = 0; l < 32; ++l) {
        const double n = l < 2 ? 640 : 352;
        want += 8 * n * d * d + 4 * n * n * d + 4 * n * d * m;
        whole += 8 * 640 * d * d + 4 * 640 * 640 * d + 4 * 640 * d * m;
    }
    ck_assert_double_eq_tol(c.operations / want, 1, 1e-12);
    ck_assert_double_eq_tol(c.operations_whole / whole, 1, 1e-12);
    ck_assert_double_eq_tol(c.kv_bytes_whole, 640 * 524288.0, 1); /* half a MiB a token */
    ck_assert_double_eq_tol(c.kv_bytes, (2 * 640 + 30 * 352) * 16384.0, 1);
    plain.layers = 40;
    ck_assert_int_eq(tsr_schedule_predict(NULL, &s, &plain, 64, &c), TSR_ERROR_ARGUMENT);
    plain.layers = 32;
    plain.kv_heads = 0;
    ck_assert_int_eq(tsr_schedule_predict(NULL, &s, &plain, 64, &c), TSR_ERROR_ARGUMENT);
}
END_TEST

START_TEST(steps) {
    tsr_context *ctx = NULL;
    tsr_schedule s;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    static const char *const wrong[] = {
        "",   "1:5",      "0:5,", "0:5,0:4", "0:5,3:4,2:1", "0:5,8:1", "0:9",           "0",
        "0:", "0:5 ,1:4", "0:-1", "0:5;1:4", "a",           ",0:5",    "0:99999999999", "0:5,1:4x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        ck_assert_msg(tsr_schedule_parse(ctx, wrong[i], 8, 8, &s) == TSR_ERROR_ARGUMENT, "%s",
                      wrong[i]);
        ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "step"));
    }
    ck_assert_int_eq(tsr_schedule_parse(ctx, "0:2,3:8,5:0", 8, 8, &s), TSR_OK); /* may rise */
    const uint32_t want[8] = {2, 2, 2, 8, 8, 0, 0, 0};
    ck_assert_int_eq(memcmp(s.kept, want, sizeof want), 0);
    uint32_t seen[8] = {0};
    for (uint32_t rank = 0; rank < 8; ++rank) {
        uint8_t entered[8];
        tsr_schedule_token(&s, rank, entered);
        for (int l = 0; l < 8; ++l)
            seen[l] += entered[l];
    }
    ck_assert_int_eq(memcmp(seen, want, sizeof want), 0);
    ck_assert_int_eq(tsr_schedule_parse(ctx, "0:1", 0, 8, &s), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_schedule_parse(ctx, "0:1", 1025, 8, &s), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(shape_of_a_file) {
    tsr_context *ctx = NULL;
    tsr_decoder_shape d;
    char path[64];
    const gguf_sample sample = gguf_sample_small();
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    snprintf(path, sizeof path, "/tmp/tessera_schedule_%d.gguf", (int)getpid());
    gguf_sample_write(&sample, path);
    ck_assert_msg(tsr_decoder_shape_read(ctx, path, &d) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert(d.layers == 2 && d.hidden == 16 && d.feed_forward == 32 && d.heads == 2 &&
              d.kv_heads == 2 && d.head_size == 8 && d.feed_forward_matrices == 3);
    unlink(path);
    ck_assert_int_eq(tsr_decoder_shape_read(ctx, path, &d), TSR_ERROR_NOT_FOUND);
    tsr_context_close(&ctx);
}
END_TEST

enum { VISUAL = 8, TEXT = 3, ALL = VISUAL + TEXT, WIDTH = 6, LAYERS = 2 };

/* One causal layer of attention with its residual, over the tokens that `in` says. */
static void layer(double x[ALL][WIDTH], const uint8_t in[ALL], int n,
                  const double w[3][WIDTH][WIDTH]) {
    double qkv[3][ALL][WIDTH] = {0}, out[ALL][WIDTH];
    for (int p = 0; p < 3; ++p)
        for (int t = 0; t < n; ++t)
            for (int o = 0; o < WIDTH; ++o)
                for (int i = 0; i < WIDTH; ++i)
                    qkv[p][t][o] += w[p][o][i] * x[t][i];
    for (int t = 0; t < n; ++t) {
        double sum = 0;
        memset(out[t], 0, sizeof out[t]);
        for (int k = 0; k <= t; ++k) {
            double score = 0;
            for (int i = 0; i < WIDTH; ++i)
                score += qkv[0][t][i] * qkv[1][k][i];
            const double weight = in[k] ? exp(score / sqrt(WIDTH)) : 0;
            sum += weight;
            for (int i = 0; i < WIDTH; ++i)
                out[t][i] += weight * qkv[2][k][i];
        }
        for (int i = 0; i < WIDTH && sum > 0; ++i)
            out[t][i] /= sum;
    }
    for (int t = 0; t < n; ++t)
        for (int i = 0; i < WIDTH; ++i)
            x[t][i] += out[t][i];
}

/* Tokens masked by their layers, and tokens taken out before a layer: the same text tokens. */
START_TEST(masked_is_removed) {
    static double w[LAYERS][3][WIDTH][WIDTH], masked[ALL][WIDTH], removed[ALL][WIDTH];
    tsr_schedule s;
    uint32_t rank[VISUAL];
    ck_assert_int_eq(tsr_schedule_parse(NULL, "0:6,1:3", LAYERS, VISUAL, &s), TSR_OK);
    for (uint32_t i = 0; i < VISUAL; ++i)
        rank[i] = (i * 5 + 2) % VISUAL; /* of importance, in no order of place */
    for (int l = 0; l < LAYERS; ++l)
        for (int p = 0; p < 3; ++p)
            for (int i = 0; i < WIDTH * WIDTH; ++i)
                w[l][p][i / WIDTH][i % WIDTH] = (double)random_normal() * 0.4;
    for (int i = 0; i < ALL * WIDTH; ++i)
        masked[i / WIDTH][i % WIDTH] = removed[i / WIDTH][i % WIDTH] = (double)random_normal();
    uint8_t in[LAYERS][ALL], all[ALL];
    memset(in, 1, sizeof in);
    memset(all, 1, sizeof all);
    for (int t = 0; t < VISUAL; ++t) {
        uint8_t entered[LAYERS];
        tsr_schedule_token(&s, rank[t], entered);
        for (int l = 0; l < LAYERS; ++l)
            in[l][t] = entered[l];
    }
    int n = ALL, place[ALL];
    for (int t = 0; t < ALL; ++t)
        place[t] = t;
    for (int l = 0; l < LAYERS; ++l) {
        layer(masked, in[l], ALL, w[l]);
        int left = 0;
        for (int t = 0; t < n; ++t) {
            if (!in[l][place[t]]) continue;
            memmove(removed[left], removed[t], sizeof removed[t]);
            place[left++] = place[t];
        }
        n = left;
        ck_assert_int_eq(n, (int)s.kept[l] + TEXT);
        layer(removed, all, n, w[l]);
    }
    for (int t = 0; t < TEXT; ++t)
        for (int i = 0; i < WIDTH; ++i)
            ck_assert_double_eq_tol(masked[VISUAL + t][i], removed[n - TEXT + t][i], 1e-12);
}
END_TEST

TEST_MAIN("schedule", published_figures, closed_forms, steps, shape_of_a_file, masked_is_removed)
