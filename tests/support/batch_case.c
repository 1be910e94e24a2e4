/* SPDX-License-Identifier: MIT */
/* batch_case.c: see batch_case.h. */
#include "batch_case.h"

#include <tessera/tessera.h>

#include "everywhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void batch_case(const char *model, const char *device, int side, int tiles) {
    ck_assert_msg(everywhere_device(device, NULL) != NULL, "no device %s", device);
    const int width = side * tiles - side / 2, height = side - 1; /* tiles overlap */
    const size_t bytes = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = malloc(bytes), *out[2] = {malloc(bytes), malloc(bytes)};
    ck_assert(rgb && out[0] && out[1]);
    for (size_t i = 0; i < bytes; ++i)
        rgb[i] = (uint8_t)random_below(256);
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = "made up"};
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    tsr_status status =
        tsr_tokenizer_open(ctx, &t, &(tsr_model_settings){.model = model, .device = device});
    if (!status && tsr_tokenizer_header(t)->tile_width != (uint32_t)side) {
        tsr_tokenizer_close(&t);
        status = tsr_tokenizer_open(ctx, &t,
                                    &(tsr_model_settings){.model = model,
                                                          .device = device,
                                                          .tile_width = (uint32_t)side,
                                                          .tile_height = (uint32_t)side});
    }
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    tsr_token_header header = *tsr_tokenizer_header(t);
    header.fit = TSR_FIT_TILE;
    const uint32_t batch[2] = {1, (uint32_t)tiles};
    tsr_item *item[2] = {NULL, NULL};
    for (int i = 0; i < 2; ++i) {
        tsr_encode_settings e = tsr_encode_settings_default();
        tsr_decode_settings d = tsr_decode_settings_default();
        e.fit.fit = TSR_FIT_TILE;
        e.f32_latents = header.channels > 0;
        if (e.f32_latents) header.latent_type = TSR_LATENT_F32;
        e.batch = d.batch = batch[i];
        status = tsr_tokenizer_encode(t, &picture, 1, &e, &item[i], NULL);
        if (!status)
            status = tsr_tokenizer_decode_with(t, &header, tsr_item_tokens(item[i]), &d, out[i]);
        ck_assert_msg(status == TSR_OK, "%s: %s", device, tsr_detail(ctx));
    }
    const tsr_token_item *a = tsr_item_tokens(item[0]), *b = tsr_item_tokens(item[1]);
    const uint32_t count = a->tile_columns * a->tile_rows;
    const uint64_t total = tsr_token_item_total(a);
    ck_assert_uint_ge(count, (uint32_t)tiles);
    ck_assert_uint_gt(total, 0);
    ck_assert_mem_eq(a->counts, b->counts, count * sizeof *a->counts);
    if (a->kept) ck_assert_mem_eq(a->kept, b->kept, count * ((header.columns + 7) / 8));
    if (header.channels)
        ck_assert_mem_eq(a->latents, b->latents, total * header.channels * sizeof *a->latents);
    else
        ck_assert_mem_eq(a->ids, b->ids, total * sizeof *a->ids);
    ck_assert_msg(memcmp(out[0], out[1], bytes) == 0, "%s: pixels differ", device);
    printf("%s: %u tiles, %llu tokens alike\n", device, count, (unsigned long long)total);
    for (int i = 0; i < 2; ++i) {
        tsr_item_close(&item[i]);
        free(out[i]);
    }
    tsr_tokenizer_close(&t);
    free(rgb);
}

/* Ids of all pictures, or the words of their latents, one after the other, in memory that the
 * caller frees; *total: how many. */
static uint32_t *encode_all(const tsr_picture *pictures, int count, const char *model,
                            const char *device, const char *mask, int side, uint32_t batch,
                            uint64_t *total) {
    tsr_context *ctx = everywhere_context();
    tsr_tokenizer *t = NULL;
    tsr_item **items = calloc((size_t)count, sizeof(tsr_item *));
    tsr_encode_settings e = tsr_encode_settings_default();
    e.batch = batch;
    e.fit.fit = TSR_FIT_CROP;
    tsr_model_settings s = {.model = model, .device = device, .mask = mask};
    tsr_status status = tsr_tokenizer_open(ctx, &t, &s);
    if (!status && tsr_tokenizer_header(t)->tile_width != (uint32_t)side) {
        tsr_tokenizer_close(&t);
        s.tile_width = s.tile_height = (uint32_t)side;
        status = tsr_tokenizer_open(ctx, &t, &s);
    }
    const uint32_t channels = status ? 0 : tsr_tokenizer_header(t)->channels;
    e.f32_latents = channels > 0;
    if (!status) status = tsr_tokenizer_encode(t, pictures, count, &e, items, NULL);
    ck_assert_msg(status == TSR_OK, "%s: %s", device, tsr_detail(ctx));
    const uint64_t words = channels ? channels : 1;
    *total = 0;
    for (int i = 0; i < count; ++i)
        *total += tsr_token_item_total(tsr_item_tokens(items[i])) * words;
    uint32_t *ids = calloc((size_t)*total, sizeof *ids), *to = ids;
    ck_assert_ptr_nonnull(ids);
    for (int i = 0; i < count; ++i) {
        const tsr_token_item *item = tsr_item_tokens(items[i]);
        const uint64_t n = tsr_token_item_total(item) * words;
        memcpy(to, channels ? (const void *)item->latents : item->ids, n * sizeof *to);
        to += n;
        tsr_item_close(&items[i]);
    }
    free(items);
    tsr_tokenizer_close(&t);
    return ids;
}

void in_flight_case(const char *model, const char *device, int side, int count) {
    static const int batches[] = {1, 7, 16, 0};
    enum { BATCHES = sizeof batches / sizeof *batches };
    const size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *rgb = malloc((size_t)count * bytes);
    tsr_picture *pictures = calloc((size_t)count, sizeof *pictures);
    ck_assert(rgb && pictures);
    for (size_t i = 0; i < (size_t)count * bytes; ++i)
        rgb[i] = (uint8_t)random_below(256);
    for (int i = 0; i < count; ++i)
        pictures[i] = (tsr_picture){
            .rgb = rgb + (size_t)i * bytes, .width = side, .height = side, .key = "made up"};
    uint64_t total, own;
    uint32_t *ids = encode_all(pictures, count, model, device, "in_flight", side, 1, &total);
    ck_assert_uint_ge(total, (uint64_t)count);
    bool differ = false;
    for (uint64_t i = 0; i < total; ++i)
        differ |= ids[i] != ids[0];
    ck_assert(differ);
    for (int k = 0; k < 2 * BATCHES; ++k) {
        const char *mask = k / BATCHES ? NULL : "in_flight";
        const int batch = batches[k % BATCHES] ? batches[k % BATCHES] : count;
        if (batch > count || k == 0) continue; /* that was the first */
        uint32_t *again =
            encode_all(pictures, count, model, device, mask, side, (uint32_t)batch, &own);
        ck_assert_uint_eq(own, total);
        ck_assert_msg(!memcmp(again, ids, (size_t)total * sizeof *ids),
                      "%s: ids differ in batches of %d with %s in flight", device, batch,
                      mask ? "one" : "two");
        free(again);
    }
    printf("%s: %llu ids of %d pictures alike in batches of 1, 7, 16, %d, one and two in flight\n",
           device, (unsigned long long)total, count, count);
    free(ids);
    free(pictures);
    free(rgb);
}
