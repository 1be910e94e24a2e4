/* SPDX-License-Identifier: MIT */
/* mosaic's encoder on Vulkan beside the host's, decision by decision: whatever differs, differs at
 * a near tie or because of one. */
#include "codec/tokenizers/mosaic/mosaic_model.h"
#include "models/model.h"
#include "everywhere.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILE_BYTES = SIZE * SIZE * 3 };

/* Tiles with smooth parts, edges, texture and noise; the last ones are black and one colour. */
static uint8_t *draw_tiles(int count) {
    uint8_t *rgb = malloc((size_t)count * TILE_BYTES);
    ck_assert_ptr_nonnull(rgb);
    for (int t = 0; t < count; ++t)
        for (int i = 0; i < TILE_BYTES; ++i) {
            const int x = i / 3 % SIZE, y = i / 3 / SIZE, c = i % 3;
            int v = 128 + (int)(60 * sin(0.02 * x * (1 + t) + c) * cos(0.017 * y + t));
            if ((x - 40 * t) * (x - 40 * t) + (y - 120) * (y - 120) < 2500) v = 220 - 50 * c;
            if (((x >> (2 + t % 3)) ^ (y >> 3)) & 1 && y > 190) v += 25 + 5 * t;
            v += (int)random_below(9) - 4;
            if (t == count - 2) v = 0;
            if (t == count - 1) v = 90 + 40 * c;
            rgb[(size_t)t * TILE_BYTES + (size_t)i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    return rgb;
}

typedef struct bundled {
    tsr_context *ctx;
    tsr_model model;
    const mosaic *m;
} bundled;

static bundled open_bundled(const char *device, tsr_precision precision) {
    bundled b = {0};
    ck_assert_int_eq(tsr_context_open(&b.ctx, NULL), TSR_OK);
    const tsr_model_settings settings = {.device = device, .precision = precision};
    b.model.ctx = b.ctx;
    tsr_status status = tsr_model_find(&b.model, NULL);
    if (!status) status = tsr_model_open_devices(&b.model, &settings);
    if (!status) status = tsr_model_open_state(&b.model);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(b.ctx));
    ck_assert_str_eq(b.model.family->name, "mosaic");
    b.m = b.model.state;
    return b;
}

static void close_bundled(bundled *b) {
    tsr_model_close(&b->model);
    tsr_context_close(&b->ctx);
}

/* Ids, counts, codes and near ties of some tiles. */
typedef struct encoded {
    uint32_t *ids, *counts;
    tsr_mosaic_code *codes;
    uint64_t near_ties;
} encoded;

typedef tsr_status encode_fn(const mosaic *m, const tsr_pixels *pixels,
                             const tsr_encode_request *request, tsr_token_batch *batch,
                             tsr_mosaic_code *codes);

static encoded encode_with(encode_fn *fn, const bundled *b, const uint8_t *rgb, int count,
                           const tsr_encode_request *request, int at_once) {
    encoded e = {.ids = calloc((size_t)count * TOKENS, sizeof *e.ids),
                 .counts = calloc((size_t)count, sizeof *e.counts),
                 .codes = calloc((size_t)count, sizeof *e.codes)};
    ck_assert(e.ids && e.counts && e.codes);
    for (int first = 0; first < count; first += at_once) {
        const int n = count - first < at_once ? count - first : at_once;
        const tsr_pixels pixels = {rgb + (size_t)first * TILE_BYTES, n, {1, SIZE, SIZE}};
        tsr_token_batch batch = {.count = n,
                                 .capacity = TOKENS,
                                 .stride = TOKENS,
                                 .values = e.ids + (size_t)first * TOKENS,
                                 .counts = e.counts + first};
        const tsr_status status = fn(b->m, &pixels, request, &batch, e.codes + first);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(b->ctx));
        e.near_ties += batch.near_ties;
    }
    return e;
}

static void free_encoded(encoded *e) {
    free(e->ids);
    free(e->counts);
    free(e->codes);
}

static bool lead_tied(const tsr_mosaic_code *c) {
    return c->lead_margin < tsr_mosaic_lead_tie * c->lead_scale;
}

/* Whether digit j may differ: it or a slot before it in its chain is a near tie. */
static bool digit_tied(const mosaic *m, const tsr_mosaic_code *c, int j) {
    const int32_t *previous = m->previous + c->class_number * SLOTS;
    for (; j >= 0; j = previous[j])
        if (c->margin[j] < tsr_mosaic_digit_tie) return true;
    return false;
}

/* Compares the codes of a tile; returns how many of its 256 ids may differ and do. */
static int compare_tile(const mosaic *m, int tile, const tsr_mosaic_code *a,
                        const tsr_mosaic_code *b) {
    const bool lead_differs = memcmp(a->lead_ids, b->lead_ids, (size_t)m->lead * 4) != 0;
    ck_assert_msg(!lead_differs || lead_tied(a),
                  "tile %d: leading ids differ with a margin of %g of %g", tile,
                  (double)a->lead_margin, (double)a->lead_scale);
    if (lead_differs) return TOKENS;
    const bool class_differs = a->class_number != b->class_number;
    ck_assert_msg(!class_differs || a->class_margin < tsr_mosaic_class_tie,
                  "tile %d: classes %d and %d with a margin of %g", tile, a->class_number,
                  b->class_number, a->class_margin);
    if (class_differs) return TOKENS - m->lead;
    int differ = 0;
    for (int t = m->lead; t < TOKENS; ++t) {
        bool same = true;
        for (int j = t * DIGITS; j < (t + 1) * DIGITS; ++j) {
            if (j < m->lead * DIGITS + CLASS_DIGITS || a->digits[j] == b->digits[j]) continue;
            ck_assert_msg(digit_tied(m, a, j), "tile %d: slot %d: %d and %d, margin %g", tile, j,
                          a->digits[j], b->digits[j], (double)a->margin[j]);
            same = false;
        }
        differ += !same;
    }
    return differ;
}

START_TEST(what_differs_is_a_near_tie) {
    enum { TILES = 7 };
    uint8_t *rgb = draw_tiles(TILES);
    bundled cpu = open_bundled("cpu", TSR_PRECISION_F32);
    const tsr_encode_request request = {0};
    encoded want = encode_with(tsr_mosaic_encode_on_host, &cpu, rgb, TILES, &request, TILES);
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        bundled gpu = open_bundled(name, TSR_PRECISION_F32);
        encoded got = encode_with(tsr_mosaic_encode_on_device, &gpu, rgb, TILES, &request, 4);
        int differ = 0, explained = 0;
        for (int t = 0; t < TILES; ++t) {
            explained += compare_tile(cpu.m, t, &want.codes[t], &got.codes[t]);
            for (int k = 0; k < TOKENS; ++k)
                differ += want.ids[t * TOKENS + k] != got.ids[t * TOKENS + k];
        }
        printf("  %s: %d of %d ids differ, near ties %d on cpu and %d here\n", name, differ,
               TILES * TOKENS, (int)want.near_ties, (int)got.near_ties);
        ck_assert_int_le(differ, explained);
        /* A batch of another size gives the same ids. */
        encoded alone = encode_with(tsr_mosaic_encode_on_device, &gpu, rgb, TILES, &request, 1);
        ck_assert_mem_eq(alone.ids, got.ids, TILES * TOKENS * sizeof *got.ids);
        ck_assert_uint_eq(alone.near_ties, got.near_ties);
        free_encoded(&alone);
        free_encoded(&got);
        close_bundled(&gpu);
    }
    free_encoded(&want);
    close_bundled(&cpu);
    free(rgb);
}
END_TEST

/* Half precision is for the decoder: what decides ids stays f32. */
START_TEST(fast_precision_gives_the_same_ids) {
    uint8_t *rgb = draw_tiles(2);
    bundled exact = open_bundled("vulkan:0", TSR_PRECISION_F32);
    bundled fast = open_bundled("vulkan:0", TSR_PRECISION_FAST);
    const tsr_encode_request request = {0};
    encoded a = encode_with(tsr_mosaic_encode_on_device, &exact, rgb, 2, &request, 2);
    encoded b = encode_with(tsr_mosaic_encode_on_device, &fast, rgb, 2, &request, 2);
    ck_assert_mem_eq(a.ids, b.ids, 2 * TOKENS * sizeof *a.ids);
    free_encoded(&a);
    free_encoded(&b);
    close_bundled(&exact);
    close_bundled(&fast);
    free(rgb);
}
END_TEST

START_TEST(a_quality_takes_as_many_ids) {
    enum { TILES = 4 };
    uint8_t *rgb = draw_tiles(TILES);
    bundled cpu = open_bundled("cpu", TSR_PRECISION_F32);
    bundled gpu = open_bundled("vulkan:0", TSR_PRECISION_F32);
    const tsr_encode_request request = {.tokens = 200, .quality = 0.04f};
    encoded want = encode_with(tsr_mosaic_encode_on_host, &cpu, rgb, TILES, &request, TILES);
    encoded got = encode_with(tsr_mosaic_encode_on_device, &gpu, rgb, TILES, &request, TILES);
    for (int t = 0; t < TILES; ++t) {
        printf("  tile %d: %u ids\n", t, want.counts[t]);
        ck_assert_uint_eq(want.counts[t], got.counts[t]);
        ck_assert_mem_eq(want.ids + t * TOKENS, got.ids + t * TOKENS,
                         want.counts[t] * sizeof *want.ids);
    }
    ck_assert_uint_ne(want.counts[0], want.counts[TILES - 1]);
    free_encoded(&want);
    free_encoded(&got);
    close_bundled(&cpu);
    close_bundled(&gpu);
    free(rgb);
}
END_TEST

TEST_PARTS("mosaic_device", PART(own, need_vulkan, what_differs_is_a_near_tie,
                                 fast_precision_gives_the_same_ids, a_quality_takes_as_many_ids))
