/* SPDX-License-Identifier: MIT */
/* KARL, made-up models: which tokens are kept, masks through the token file,
 * batches, what they refuse, damaged model files. */
#include <tessera/tessera.h>

#include "codec/tokenizers/karl.h"
#include "batch_case.h"
#include "everywhere.h"
#include "needs.h"
#include "tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(bins) {
    static const struct {
        float epsilon, bin;
    } known[] = {{0, 0.005f},         {0.005f, 0.005f}, {0.006f, 0.01f}, {0.05f, 0.05f},
                 {0.0500001f, 0.06f}, {0.08f, 0.09f},   {0.38f, 0.38f},  {0.5f, 0.38f}};
    for (unsigned i = 0; i < sizeof known / sizeof *known; ++i)
        ck_assert_float_eq(tsr_karl_bins[tsr_karl_bin(known[i].epsilon)], known[i].bin);
}
END_TEST

/* ---- a made-up model: one block each, 96 wide of which the base gives 32, 24 latents ---- */

enum { WIDTH = 96, BASE = 32, LATENTS = 24, CODES = 70, SIZE = 12, PIXELS = 256 };
enum { W = 300, H = 256 }; /* the picture: two tiles */

static void add_block(tiny_model *m, const char *half) {
    tiny_model_norm(m, WIDTH, "%s.transformer.0.ln_1", half);
    tiny_model_norm(m, WIDTH, "%s.transformer.0.ln_2", half);
    tiny_model_add(m, 0.3f, 0, 2, (int64_t[]){3 * WIDTH, WIDTH},
                   "%s.transformer.0.attn.in_proj_weight", half);
    tiny_model_add(m, 0.1f, 0, 1, (int64_t[]){3 * WIDTH}, "%s.transformer.0.attn.in_proj_bias",
                   half);
    tiny_model_layer(m, WIDTH, WIDTH, 0, true, "%s.transformer.0.attn.out_proj", half);
    tiny_model_layer(m, 4 * WIDTH, WIDTH, 0, true, "%s.transformer.0.mlp.c_fc", half);
    tiny_model_layer(m, WIDTH, 4 * WIDTH, 0, true, "%s.transformer.0.mlp.c_proj", half);
    tiny_model_add(m, 1, 0, 3, (int64_t[]){WIDTH, 32, 32}, "%s_positional_embedding", half);
}

static void add_resnet(tiny_model *m, const char *half, const char *where, int number) {
    char name[96], part[64];
    snprintf(part, sizeof part, where, number);
    snprintf(name, sizeof name, "base_tokenizer.vqgan.%s.%s", half, part);
    tiny_model_norm(m, 32, "%s.norm1", name);
    tiny_model_layer(m, 32, 32, 3, false, "%s.conv1", name);
    tiny_model_norm(m, 32, "%s.norm2", name);
    tiny_model_layer(m, 32, 32, 3, false, "%s.conv2", name);
}

static void add_base(tiny_model *m, const char *half, bool decoder) {
    tiny_model_layer(m, 32, decoder ? BASE : 3, 3, decoder, "base_tokenizer.vqgan.%s.conv_in",
                     half);
    for (int i = 1; i <= 2; ++i)
        add_resnet(m, half, "mid.block_%d", i);
    for (int i = 0; i < 5; ++i) {
        add_resnet(m, half, decoder ? "up.%d.block.0" : "down.%d.block.0", i);
        if (decoder && i)
            tiny_model_layer(m, 32, 32, 3, true, "base_tokenizer.vqgan.%s.up.%d.upsample.conv",
                             half, i);
    }
    tiny_model_norm(m, 32, "base_tokenizer.vqgan.%s.norm_out", half);
    tiny_model_layer(m, decoder ? 3 : BASE, 32, decoder ? 3 : 1, true,
                     "base_tokenizer.vqgan.%s.conv_out", half);
}

/* Halting logits are spread around the threshold, so that some tokens stay and some do not. */
static void make_model(tiny_model *m) {
    *m = (tiny_model){0};
    add_base(m, "encoder", false);
    add_base(m, "decoder", true);
    tiny_model_add(m, 1, 0, 2, (int64_t[]){20, BASE},
                   "base_tokenizer.vqgan.quantize.embedding.weight");
    add_block(m, "encoder");
    add_block(m, "decoder");
    tiny_model_layer(m, WIDTH - BASE, 3, 16, true, "patch_embed");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){LATENTS, WIDTH}, "latent_tokens");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){TSR_KARL_BINS, WIDTH}, "rec_loss_embeddings");
    tiny_model_norm(m, WIDTH, "encoder_ln_pre");
    tiny_model_norm(m, WIDTH, "encoder_ln_post");
    tiny_model_norm(m, WIDTH, "encoder_ln_post_halt");
    tiny_model_layer(m, 40, WIDTH, 0, true, "halting_mlp.0");
    tiny_model_add(m, 0.5f, 0, 2, (int64_t[]){1, 40}, "halting_mlp.2.weight");
    tiny_model_add(m, 0, 1.1f, 1, (int64_t[]){1}, "halting_mlp.2.bias");
    tiny_model_layer(m, SIZE, WIDTH, 0, true, "pre_quantizer_mlp");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){CODES, SIZE}, "quantize.embedding.weight");
    tiny_model_layer(m, WIDTH, SIZE, 0, true, "decoder_embed");
    tiny_model_add(m, 1, 0, 2, (int64_t[]){LATENTS, WIDTH}, "decoder_latent_tokens_timestep_embed");
    tiny_model_add(m, 1, 0, 3, (int64_t[]){1, 1, WIDTH}, "decoder_mask_token");
    tiny_model_norm(m, WIDTH, "decoder.ln_pre");
    tiny_model_norm(m, WIDTH, "decoder.ln_post");
    tiny_model_layer(m, 2 * WIDTH, WIDTH, 0, true, "decoder.ffn.0");
    tiny_model_layer(m, 20, 2 * WIDTH, 0, true, "decoder.ffn.2");
}

static tsr_status open_model(const char *path, tsr_tokenizer **t) {
    *t = NULL;
    return tsr_tokenizer_open(everywhere_context(), t,
                              &(tsr_model_settings){.model = path, .device = "cpu"});
}

static tsr_item *encode(tsr_tokenizer *t, const tsr_picture *picture, tsr_encode_settings s) {
    tsr_item *item = NULL;
    const tsr_status status = tsr_tokenizer_encode(t, picture, 1, &s, &item, NULL);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    return item;
}

static int bits(const uint8_t *mask, int bytes) {
    int n = 0;
    for (int i = 0; i < bytes * 8; ++i)
        n += mask[i / 8] >> i % 8 & 1;
    return n;
}

START_TEST(selection) {
    tsr_context *ctx = everywhere_context();
    static uint8_t rgb[W * H * 3], full[W * H * 3], again[W * H * 3], part[W * H * 3];
    tiny_model m;
    tsr_tokenizer *t;
    make_model(&m);
    for (size_t i = 0; i < sizeof rgb; ++i)
        rgb[i] = (uint8_t)random_below(256);
    const char *path = tiny_model_write(&m, NULL, NULL);
    const tsr_status opened = open_model(path, &t);
    ck_assert_msg(opened == TSR_OK, "%s", tsr_detail(ctx));
    tsr_token_header h = *tsr_tokenizer_header(t);
    ck_assert_str_eq(h.tokenizer, "karl-96-vqgan");
    ck_assert_uint_eq(h.columns, LATENTS);
    ck_assert_uint_eq(h.nested, 0);
    h.fit = TSR_FIT_TILE;
    const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
    tsr_encode_settings s = tsr_encode_settings_default();
    s.fit.fit = TSR_FIT_TILE; /* two tiles */

    /* what is chosen does not depend on the batch, and is some of all */
    s.batch = 1;
    tsr_item *one = encode(t, &picture, s);
    s.batch = 2;
    tsr_item *two = encode(t, &picture, s);
    const tsr_token_item *a = tsr_item_tokens(one), *b = tsr_item_tokens(two);
    ck_assert_uint_eq(a->tile_columns * a->tile_rows, 2);
    ck_assert_ptr_nonnull(a->kept);
    ck_assert_mem_eq(a->kept, b->kept, 2 * LATENTS / 8);
    ck_assert_mem_eq(a->ids, b->ids, tsr_token_item_total(a) * sizeof *a->ids);
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(bits(a->kept + i * LATENTS / 8, LATENTS / 8), (int)a->counts[i]);
        printf("tile %d: %u of %d tokens\n", i, a->counts[i], LATENTS);
    }
    ck_assert_uint_lt(tsr_token_item_total(a), 2 * LATENTS);
    ck_assert_uint_gt(tsr_token_item_total(a), 0);

    /* all are kept when asked, and the chosen ones are among them */
    s.choice.keep_all = 1;
    tsr_item *all = encode(t, &picture, s);
    const tsr_token_item *c = tsr_item_tokens(all);
    ck_assert_uint_eq(tsr_token_item_total(c), 2 * LATENTS);
    tsr_decode_settings d = tsr_decode_settings_default();
    d.batch = 1; /* as many tokens in each: decoded alone and together */
    ck_assert_int_eq(tsr_tokenizer_decode_with(t, &h, c, &d, again), TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, c, 0, full), TSR_OK);
    ck_assert_mem_eq(full, again, sizeof full);
    uint64_t at = 0;
    for (int i = 0; i < 2; ++i)
        for (int p = 0; p < LATENTS; ++p)
            if (a->kept[i * LATENTS / 8 + p / 8] >> p % 8 & 1)
                ck_assert_uint_eq(a->ids[at++], c->ids[i * LATENTS + p]);
    ck_assert_uint_eq(at, tsr_token_item_total(a));

    /* a token file keeps the mask; the picture from it is the same */
    char file[] = "/tmp/tessera-karl-XXXXXX";
    ck_assert_int_ge(mkstemp(file), 0);
    tsr_token_writer *writer = NULL;
    tsr_token_file *back = NULL;
    tsr_token_item item;
    ck_assert_int_eq(tsr_token_writer_open(ctx, &writer, file, &h, NULL), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_add(writer, a), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_close(&writer), TSR_OK);
    ck_assert_int_eq(tsr_token_file_open(ctx, &back, file), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(back, 0, &item), TSR_OK);
    ck_assert_mem_eq(item.kept, a->kept, 2 * LATENTS / 8);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 0, full), TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_token_file_header(back), &item, 0, again), TSR_OK);
    ck_assert_mem_eq(full, again, sizeof full);
    tsr_token_file_close(&back);
    unlink(file);

    /* positions count: the same ids from the front are another picture */
    tsr_token_item moved = *a;
    moved.kept = NULL;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &moved, 0, part), TSR_OK);
    ck_assert_mem_ne(part, full, sizeof part);
    /* no token at all is a picture, too; a mask that disagrees is none */
    uint8_t none[2 * LATENTS / 8] = {0};
    moved.kept = none;
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &moved, 0, part), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "kept mask of a tile"));
    moved.counts = (const uint32_t[]){0, 0};
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, &moved, 0, part), TSR_OK);

    /* the budget and the tolerated error matter */
    s.choice.budget = 5;
    tsr_item *few = encode(t, &picture, s);
    ck_assert_uint_eq(tsr_token_item_total(tsr_item_tokens(few)), 10);
    tsr_item_close(&few);
    s.choice.budget = LATENTS + 1;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &few, NULL), TSR_ERROR_ARGUMENT);
    s.choice.budget = 0;
    /* Random weights need not hear of one tolerance more than of another, so all are tried, for the
     * ids and for the choice. */
    bool differ = false;
    for (int q = 1; q <= TSR_KARL_BINS && !differ; ++q)
        for (s.choice.keep_all = 0; s.choice.keep_all <= 1; ++s.choice.keep_all) {
            const tsr_token_item *wanted = s.choice.keep_all ? c : a;
            s.choice.quality = 0.02f * (float)q;
            few = encode(t, &picture, s);
            const tsr_token_item *got = tsr_item_tokens(few);
            differ |=
                tsr_token_item_total(got) != tsr_token_item_total(wanted) ||
                memcmp(got->ids, wanted->ids, tsr_token_item_total(wanted) * sizeof *got->ids) != 0;
            tsr_item_close(&few);
        }
    s.choice.keep_all = 1;
    ck_assert(differ);
    s.choice.quality = 0;
    s.choice.tokens = 3;
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &few, NULL), TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "a prefix is no picture"));
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 3, part), TSR_ERROR_UNSUPPORTED);
    tsr_item_close(&one);
    tsr_item_close(&two);
    tsr_item_close(&all);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);

    /* others have no budget */
    s = tsr_encode_settings_default();
    s.choice.budget = 3;
    ck_assert_int_eq(open_model(NULL, &t), TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_encode(t, &picture, 1, &s, &few, NULL), TSR_ERROR_UNSUPPORTED);
    tsr_tokenizer_close(&t);
}
END_TEST

START_TEST(together) {
    tiny_model m;
    make_model(&m);
    const char *path = tiny_model_write(&m, NULL, NULL);
    batch_case(path, "vulkan:0", 256, 2);
    in_flight_case(path, "vulkan:0", 256, 2); /* of 100: scripts/flights.sh */
    tiny_model_free(&m);
}
END_TEST

/* ---- the fewest tokens for a target ---- */

enum { ROWS = TSR_KARL_BINS + 1 }; /* row 0 keeps everything */

typedef struct row {
    uint64_t tokens;
    tsr_evaluation e;
} row;

static double measured(const tsr_evaluation *e, tsr_target_metric metric) { /* more is better */
    return metric == TSR_TARGET_PSNR ? e->psnr
           : metric == TSR_TARGET_L1 ? -e->l1
                                     : e->ssim_gaussian;
}

static void evaluate(tsr_tokenizer *t, const tsr_token_header *h, const uint8_t *rgb,
                     const tsr_token_item *item, tsr_evaluation *e) {
    static uint8_t back[PIXELS * PIXELS * 3];
    ck_assert_int_eq(tsr_tokenizer_decode(t, h, item, 0, back), TSR_OK);
    ck_assert_int_eq(tsr_evaluate(everywhere_context(), rgb, back, PIXELS, PIXELS, e), TSR_OK);
}

static void search_and_compare(tsr_tokenizer *t, const tsr_token_header *h,
                               const tsr_picture *picture, tsr_target target,
                               const row rows[ROWS]) {
    const double sign = target.metric == TSR_TARGET_L1 ? -1 : 1;
    const double wanted = sign * (double)target.threshold;
    tsr_encode_settings s = tsr_encode_settings_default();
    s.fit.fit = TSR_FIT_TILE;
    s.keep_fitted = 1;
    tsr_item *item = encode(t, picture, s);
    uint32_t decodes = 0;
    const tsr_token_choice choice = {.target = target};
    const tsr_status status = tsr_tokenizer_search(t, &choice, item, &decodes);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    const tsr_token_item *found = tsr_item_tokens(item);
    const uint64_t tokens = tsr_token_item_total(found);
    tsr_evaluation e;
    evaluate(t, h, picture->rgb, found, &e);
    printf("%s %g: %llu tokens at %g, %g, %u decodes\n", tsr_target_name(target.metric),
           (double)target.threshold, (unsigned long long)tokens, (double)found->quality,
           (double)found->target.reached, decodes);
    ck_assert_uint_ge(decodes, 1);
    ck_assert_uint_le(decodes, 10);
    ck_assert_int_eq(found->target.metric, target.metric);
    ck_assert_float_eq(found->target.reached, (float)(sign * measured(&e, target.metric)));
    if (measured(&e, target.metric) >= wanted) {
        /* some row of no fewer tokens reaches the target and the next one does not */
        bool border = false;
        for (int i = 0; i < ROWS; ++i)
            border |= rows[i].tokens >= tokens && measured(&rows[i].e, target.metric) >= wanted &&
                      (i + 1 == ROWS || measured(&rows[i + 1].e, target.metric) < wanted);
        ck_assert(border);
        s.choice.quality = found->quality; /* and the noted tolerance makes the same tokens */
        s.choice.keep_all = tokens == rows[0].tokens;
        tsr_item *again = encode(t, picture, s);
        ck_assert_mem_eq(tsr_item_tokens(again)->kept, found->kept, LATENTS / 8);
        ck_assert_mem_eq(tsr_item_tokens(again)->ids, found->ids, tokens * sizeof *found->ids);
        tsr_item_close(&again);
    } else {
        ck_assert_uint_eq(tokens, rows[0].tokens);
        ck_assert_double_lt(measured(&rows[0].e, target.metric), wanted);
    }
    ck_assert_uint_eq(tsr_item_selection(item)->positions, LATENTS);
    tsr_item_close(&item);
}

START_TEST(target) {
    static uint8_t rgb[PIXELS * PIXELS * 3];
    tiny_model m;
    tsr_tokenizer *t;
    make_model(&m);
    float *of_qualities = tiny_model_find(&m, "rec_loss_embeddings")->data;
    for (int i = 0; i < TSR_KARL_BINS * WIDTH; ++i)
        of_qualities[i] *= 8; /* so that the tolerance is heard */
    for (size_t i = 0; i < sizeof rgb; ++i)
        rgb[i] = (uint8_t)random_below(256);
    ck_assert_int_eq(open_model(tiny_model_write(&m, NULL, NULL), &t), TSR_OK);
    tsr_token_header h = *tsr_tokenizer_header(t);
    h.fit = TSR_FIT_TILE;
    const tsr_picture picture = {.rgb = rgb, .width = PIXELS, .height = PIXELS, .key = "made up"};
    tsr_encode_settings s = tsr_encode_settings_default();
    s.fit.fit = TSR_FIT_TILE;
    row rows[ROWS];
    double low = 1000, high = 0;
    for (int i = 0; i < ROWS; ++i) {
        s.choice.keep_all = i == 0;
        s.choice.quality = tsr_karl_bins[i ? i - 1 : 0];
        tsr_item *item = encode(t, &picture, s);
        const tsr_selection_details *d = tsr_item_selection(item);
        rows[i].tokens = tsr_token_item_total(tsr_item_tokens(item));
        evaluate(t, &h, rgb, tsr_item_tokens(item), &rows[i].e);
        low = fmin(low, rows[i].e.psnr);
        high = fmax(high, rows[i].e.psnr);
        /* what is told of the positions is what was decided */
        uint64_t kept = 0;
        ck_assert_uint_eq(d->positions, LATENTS);
        for (int p = 0; p < LATENTS; ++p) {
            ck_assert(d->halting[p] > 0 && d->halting[p] < 1);
            kept += d->halting[p] <= 0.75f;
            const int bit = tsr_item_tokens(item)->kept[p / 8] >> p % 8 & 1;
            ck_assert_int_eq(bit, s.choice.keep_all || d->halting[p] <= 0.75f);
        }
        if (i) ck_assert_uint_eq(kept, rows[i].tokens);
        for (uint64_t k = 0; k < rows[i].tokens; ++k)
            ck_assert(d->margin[k] >= 0 && d->margin[k] <= 4);
        tsr_item_close(&item);
    }
    printf("psnr of the rows: %.4f to %.4f\n", low, high);
    ck_assert_uint_eq(rows[0].tokens, LATENTS);
    const float middle = (float)(0.5 * (low + high));
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_PSNR, middle, 0}, rows);
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_PSNR, 0, 0}, rows);
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_PSNR, 90, 0}, rows);
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_L1, 0.001f, 0}, rows);
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_L1, 1, 0}, rows);
    search_and_compare(t, &h, &picture, (tsr_target){TSR_TARGET_SSIM, -1, 0}, rows);
    for (int i = 0; i < ROWS; i += 13)
        search_and_compare(t, &h, &picture,
                           (tsr_target){TSR_TARGET_L1, (float)rows[i].e.l1 + 1e-6f, 0}, rows);

    /* encoding looks for a target itself, and finds the same */
    const tsr_token_choice wanted = {.target = {TSR_TARGET_PSNR, middle, 0}};
    s = tsr_encode_settings_default();
    s.fit.fit = TSR_FIT_TILE;
    s.keep_fitted = 1;
    tsr_item *searched = encode(t, &picture, s), *item;
    ck_assert_int_eq(tsr_tokenizer_search(t, &wanted, searched, NULL), TSR_OK);
    s.choice = wanted;
    item = encode(t, &picture, s);
    const tsr_token_item *a = tsr_item_tokens(searched), *b = tsr_item_tokens(item);
    ck_assert_mem_eq(a->kept, b->kept, LATENTS / 8);
    ck_assert(a->target.metric == b->target.metric && a->target.reached == b->target.reached);
    tsr_item_close(&searched);
    tsr_item_close(&item);

    s.choice = (tsr_token_choice){.keep_all = 1};
    s.keep_fitted = 0;
    item = encode(t, &picture, s);
    tsr_token_choice both = wanted;
    both.keep_all = 1;
    ck_assert_int_eq(tsr_tokenizer_search(t, &both, item, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_tokenizer_search(t, &wanted, item, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(everywhere_context()), "keep_fitted"));
    ck_assert_uint_eq(tsr_token_item_total(tsr_item_tokens(item)), LATENTS); /* as it was */
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

/* A model without a codebook: vectors of the kept positions and their mask, through a file. */
START_TEST(vectors) {
    enum { W = 300, H = 256 };
    static uint8_t rgb[W * H * 3], memory[W * H * 3], again[W * H * 3];
    tsr_context *ctx = everywhere_context();
    tiny_model m;
    tsr_tokenizer *t;
    make_model(&m);
    tiny_model_remove(&m, "quantize.embedding.weight");
    for (size_t i = 0; i < sizeof rgb; ++i)
        rgb[i] = (uint8_t)random_below(256);
    const tsr_status opened = open_model(tiny_model_write(&m, NULL, NULL), &t);
    ck_assert_msg(opened == TSR_OK, "%s", tsr_detail(ctx));
    tsr_token_header h = *tsr_tokenizer_header(t);
    h.latent_type = TSR_LATENT_F32;
    ck_assert_str_eq(h.tokenizer, "karl-96-vqgan-continuous");
    ck_assert_uint_eq(h.channels, SIZE);
    ck_assert_uint_eq(h.codebook_size, 0);
    const tsr_picture picture = {.rgb = rgb, .width = W, .height = H, .key = "made up"};
    tsr_encode_settings s = tsr_encode_settings_default();
    h.fit = s.fit.fit = TSR_FIT_TILE; /* two tiles */
    s.f32_latents = 1;
    tsr_item *chosen = encode(t, &picture, s);
    s.choice.keep_all = 1;
    tsr_item *all = encode(t, &picture, s);
    const tsr_token_item *a = tsr_item_tokens(chosen), *c = tsr_item_tokens(all);
    ck_assert_ptr_null(a->ids);
    ck_assert_uint_eq(tsr_token_item_total(c), 2 * LATENTS);
    ck_assert_uint_gt(tsr_token_item_total(a), 0);
    ck_assert_uint_lt(tsr_token_item_total(a), 2 * LATENTS);
    ck_assert_ptr_nonnull(tsr_item_selection(chosen)->halting);
    ck_assert_ptr_null(tsr_item_selection(chosen)->margin);
    uint64_t at = 0; /* the chosen ones are among all, as the mask says */
    for (int i = 0; i < 2; ++i)
        for (int p = 0; p < LATENTS; ++p)
            if (a->kept[i * LATENTS / 8 + p / 8] >> p % 8 & 1)
                ck_assert_mem_eq(a->latents + at++ * SIZE, c->latents + (i * LATENTS + p) * SIZE,
                                 SIZE * sizeof(float));
    ck_assert_uint_eq(at, tsr_token_item_total(a));

    char file[] = "/tmp/tessera-karl-XXXXXX";
    tsr_token_writer *writer = NULL;
    tsr_token_file *back = NULL;
    tsr_token_item item;
    ck_assert_int_ge(mkstemp(file), 0);
    ck_assert_int_eq(tsr_token_writer_open(ctx, &writer, file, &h, NULL), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_add(writer, a), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_close(&writer), TSR_OK);
    ck_assert_int_eq(tsr_token_file_open(ctx, &back, file), TSR_OK);
    ck_assert_int_eq(tsr_token_file_item(back, 0, &item), TSR_OK);
    ck_assert_mem_eq(item.kept, a->kept, 2 * LATENTS / 8);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, a, 0, memory), TSR_OK);
    ck_assert_int_eq(tsr_tokenizer_decode(t, tsr_token_file_header(back), &item, 0, again), TSR_OK);
    ck_assert_mem_eq(memory, again, sizeof memory);
    tsr_token_file_close(&back);
    unlink(file);
    ck_assert_int_eq(tsr_tokenizer_decode(t, &h, c, 0, again), TSR_OK);
    ck_assert_mem_ne(memory, again, sizeof memory);
    tsr_item_close(&chosen);
    tsr_item_close(&all);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

static void refused(tiny_model *m, const char *config, tsr_status wanted, const char *text) {
    tsr_tokenizer *t;
    const tsr_status status =
        open_model(tiny_model_write(m, config ? "tessera.config" : NULL, config), &t);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == wanted, "wanted a refusal with \"%s\", got status %d: %s", text,
                  (int)status, detail);
    ck_assert_msg(strstr(detail, text) != NULL, "wanted \"%s\" in: %s", text, detail);
    tiny_model_free(m);
}

START_TEST(damaged) {
    tiny_model m;
    make_model(&m);
    tiny_model_remove(&m, "halting_mlp.2.bias");
    refused(&m, NULL, TSR_ERROR_MODEL, "tensor halting_mlp.2.bias: wanted [1], got none");
    make_model(&m);
    tiny_model_remove(&m, "base_tokenizer.vqgan.encoder.conv_in.weight");
    refused(&m, NULL, TSR_ERROR_MODEL, "base_tokenizer.vqgan.encoder.conv_in.weight");
    make_model(&m);
    tiny_model_find(&m, "rec_loss_embeddings")->dim[0] = 18;
    refused(&m, NULL, TSR_ERROR_MODEL, "tensor rec_loss_embeddings: wanted [19, 96], got [18, 96]");
    make_model(&m);
    tiny_model_layer(&m, 4, 4, 0, false, "decoder.surplus");
    refused(&m, NULL, TSR_ERROR_MODEL, "tensor decoder.surplus.weight: wanted none");
    make_model(&m);
    refused(&m, "{\"encoder_heads\": 5}", TSR_ERROR_MODEL, "encoder_heads: wanted a divisor of 96");
    make_model(&m);
    refused(&m, "{", TSR_ERROR_MODEL, "tessera.config: wanted JSON");
    /* what is for training is passed over; heads are taken from the configuration */
    tsr_tokenizer *t;
    make_model(&m);
    tiny_model_layer(&m, 4, 4, 3, true, "gan_losses.0.discriminator.main.0");
    ck_assert_int_eq(
        open_model(tiny_model_write(&m, "tessera.config", "{\"encoder_heads\": 4}"), &t), TSR_OK);
    tsr_tokenizer_close(&t);
    tiny_model_free(&m);
}
END_TEST

TEST_PARTS("karl", PART(own, NULL, bins, selection, target, vectors, damaged),
           PART(batches, need_vulkan_at_full_speed, together))
