/* SPDX-License-Identifier: MIT */
/* karl_model.c: KARL's network.
 *
 *   picture ─► base encoder, 16x16 patches ─► one row a place ─┐
 *                                           T latents, quality ┴► transformer ─► for each latent: a
 *                                             halting logit, 12 numbers ─► nearest of 4096 codes
 *   kept codes + what stands for their positions, mask rows ─► transformer ─► for each place:
 * logits of the base's codes, their mean ─► base decoder
 *
 * A halted token is neither read nor reads: leaving it out is exact. Every row carries what tells
 * it from the others, so their order in a sequence means nothing. */
#include "../../compute/arena.h"
#include "../../nn/conv_window.h"
#include "../../nn/conv_layouts.h"
#include "karl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const float tsr_karl_bins[TSR_KARL_BINS] = {0.005f, 0.01f, 0.02f, 0.03f, 0.04f, 0.05f, 0.06f,
                                            0.07f,  0.09f, 0.1f,  0.12f, 0.14f, 0.16f, 0.18f,
                                            0.2f,   0.24f, 0.28f, 0.32f, 0.38f};
const float tsr_karl_halt_above = 1.0986123f; /* ln 3 */
/* What the autoencoder's latents are multiplied by on their way in (and not divided by on their way
 * out: that is how it was trained). */
static const float vae_scale = 0.2325f;

int tsr_karl_bin(float epsilon) {
    int i = 0;
    while (i + 1 < TSR_KARL_BINS && tsr_karl_bins[i] < epsilon)
        ++i;
    return i;
}

/* ---- opening ---- */

static void load(tsr_weight_loader *l, const tsr_karl *m, const char *name, int rank,
                 const int64_t *dim, tsr_weight **where) {
    tsr_load_weight(l, m->prefix, name, rank, dim, where);
}

static void load_linear(tsr_weight_loader *l, const tsr_karl *m, const char *part, int64_t out,
                        int64_t in, tsr_weight **weight, tsr_weight **bias) {
    tsr_load_layer(l, m->prefix, part, 2, (int64_t[]){out, in}, weight, bias);
}

static void load_norm(tsr_weight_loader *l, const tsr_karl *m, const char *part, int64_t width,
                      tsr_karl_norm *norm) {
    tsr_load_layer(l, m->prefix, part, 1, &width, &norm->gamma, &norm->beta);
}

static void load_blocks(tsr_weight_loader *l, const tsr_karl *m, const char *half, int depth,
                        int64_t width, tsr_vit_block *block) {
    char name[128];
    for (int i = 0; i < depth; ++i) {
        snprintf(name, sizeof name, "%s%s.transformer.%d.", m->prefix, half, i);
        tsr_vit_block_load(l, &tsr_layout_openclip, name, width, 4 * width, &block[i]);
    }
}

/* Loads a half of the base. base: what its names begin with. */
static void load_base_half(tsr_weight_loader *l, tsr_karl *m, const char *base, bool decoder) {
    const tsr_conv_layout *layout = m->vae ? &tsr_layout_karl_vae : &tsr_layout_maskgit[0];
    char name[192];
    tsr_conv_shape shape;
    if (l->status) return;
    snprintf(name, sizeof name, "%s%s.", base, decoder ? "decoder" : "encoder");
    l->status = tsr_conv_read_shape(m->ctx, l->weights, name, m->path, layout, decoder, &shape);
    if (l->status) return;
    if (shape.levels != 5)
        l->status =
            tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: %s: wanted 5 levels (16 pixels a place), got %d",
                     m->path, name, shape.levels);
    shape.in = decoder ? m->base : 3;
    shape.out = decoder ? 3 : m->vae ? 2 * m->base : m->base;
    tsr_conv_load(l, name, layout, decoder, &shape, decoder ? &m->base_decoder : &m->base_encoder);
}

static void load_base(tsr_weight_loader *l, tsr_karl *m) {
    char base[128], name[192];
    snprintf(base, sizeof base, "%sbase_tokenizer.%s.", m->prefix, m->vae ? "vae" : "vqgan");
    load_base_half(l, m, base, false);
    load_base_half(l, m, base, true);
    if (m->vae) {
        tsr_conv_load_one(l, base, "quant_conv", 2 * m->base, 2 * m->base, 1, &m->quant);
        tsr_conv_load_one(l, base, "post_quant_conv", m->base, m->base, 1, &m->post_quant);
        return;
    }
    snprintf(name, sizeof name, "%squantize.embedding.weight", base);
    tsr_code_table_load(l, name, &m->base_codes);
}

static void load_codes(tsr_weight_loader *l, tsr_karl *m) {
    char name[128];
    snprintf(name, sizeof name, "%squantize.embedding.weight", m->prefix);
    tsr_code_table_load(l, name, &m->codes);
    if (!l->status && m->codes.codes->tensor.dim[1] != m->size)
        l->status = tsr_fail(m->ctx, TSR_ERROR_MODEL,
                             "%s: tensor %s: wanted codes of %lld numbers, got %lld", m->path, name,
                             (long long)m->size, (long long)m->codes.codes->tensor.dim[1]);
}

/* Loads every tensor, after read_shapes. */
static void load_tensors(tsr_weight_loader *l, tsr_karl *m) {
    const int64_t w = m->encoder.width, d = m->decoder.width,
                  side = m->encoder.table->tensor.dim[1], hidden = m->halt[0]->tensor.dim[0];
    load_base(l, m);
    load(l, m, "encoder_positional_embedding", 3, (int64_t[]){w, side, side}, &m->encoder.table);
    load(l, m, "decoder_positional_embedding", 3, (int64_t[]){d, side, side}, &m->decoder.table);
    load(l, m, "latent_tokens", 2, (int64_t[]){m->latents, w}, &m->latent_rows);
    load(l, m, "rec_loss_embeddings", 2, (int64_t[]){TSR_KARL_BINS, w}, &m->qualities);
    tsr_load_layer(l, m->prefix, "patch_embed", 4, (int64_t[]){w - m->base, 3, 16, 16}, &m->patch,
                   &m->patch_bias);
    load_norm(l, m, "encoder_ln_pre", w, &m->encoder.pre);
    load_blocks(l, m, "encoder", m->encoder.depth, w, m->encoder.block);
    load_norm(l, m, "encoder_ln_post", w, &m->encoder.post);
    load_norm(l, m, "encoder_ln_post_halt", w, &m->halt_norm);
    load_linear(l, m, "halting_mlp.0", hidden, w, &m->halt[0], &m->halt_bias[0]);
    load_linear(l, m, "halting_mlp.2", 1, hidden, &m->halt[1], &m->halt_bias[1]);
    load_linear(l, m, "pre_quantizer_mlp", m->size, w, &m->factors, &m->factors_bias);
    if (!m->continuous) load_codes(l, m);
    load_linear(l, m, "decoder_embed", d, m->size, &m->embed, &m->embed_bias);
    load(l, m, "decoder_latent_tokens_timestep_embed", 2, (int64_t[]){m->latents, d}, &m->places);
    load(l, m, "decoder_mask_token", 3, (int64_t[]){1, 1, d}, &m->mask);
    load_norm(l, m, "decoder.ln_pre", d, &m->decoder.pre);
    load_blocks(l, m, "decoder", m->decoder.depth, d, m->decoder.block);
    load_norm(l, m, "decoder.ln_post", d, &m->decoder.post);
    load_linear(l, m, "decoder.ffn.0", 2 * d, d, &m->head[0], &m->head_bias[0]);
    if (l->status) return; /* or the base's codes are there */
    const int64_t logits = m->vae ? m->base : m->base_codes.codes->tensor.dim[0];
    load_linear(l, m, "decoder.ffn.2", logits, 2 * d, &m->head[1], &m->head_bias[1]);
}

static tsr_status find(tsr_karl *m, tsr_weights *weights, const char *part, int rank,
                       tsr_weight **where) {
    char name[128], got[96];
    snprintf(name, sizeof name, "%s%s", m->prefix, part);
    *where = tsr_weights_find(weights, name);
    if (*where && (*where)->tensor.rank == rank) return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted one of rank %d, got %s",
                    m->path, name, rank,
                    *where ? tsr_shape_text(&(*where)->tensor, got, sizeof got) : "none");
}

/* Reads depth and heads of a half's transformer. Heads are not in the shapes: in the sizes the
 * authors name there are as many as blocks. */
static tsr_status read_transformer(const tsr_karl *m, tsr_weights *weights, const cJSON *config,
                                   const char *half, int64_t width, int *depth, int *heads) {
    char name[128], key[32];
    snprintf(name, sizeof name, "%s%s.transformer.", m->prefix, half);
    snprintf(key, sizeof key, "%s_heads", half);
    const tsr_status status = tsr_vit_count(m->ctx, weights, name, m->path, TSR_KARL_DEPTH, depth);
    if (status) return status;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    *heads = cJSON_IsNumber(item) ? item->valueint : *depth;
    if (*heads >= 1 && width % *heads == 0 && width / *heads <= 256) return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                    "%s: %s: wanted a divisor of %lld that leaves at most 256 channels, got %d "
                    "(say it in __metadata__ tessera.config)",
                    m->path, key, (long long)width, *heads);
}

static tsr_status read_shapes(tsr_karl *m, tsr_weights *weights, const cJSON *config) {
    char name[128];
    tsr_weight *patch, *embed;
    m->prefix = tsr_weights_find(weights, "ema.latent_tokens") ? "ema." : "";
    snprintf(name, sizeof name, "%sbase_tokenizer.vae.quant_conv.weight", m->prefix);
    m->vae = tsr_weights_find(weights, name) != NULL;
    snprintf(name, sizeof name, "%squantize.embedding.weight", m->prefix);
    m->continuous = tsr_weights_find(weights, name) == NULL;
    const struct {
        const char *name;
        int rank;
        tsr_weight **where;
    } sized[] = {{"encoder_positional_embedding", 3, &m->encoder.table},
                 {"latent_tokens", 2, &m->latent_rows},
                 {"patch_embed.weight", 4, &patch},
                 {"halting_mlp.0.weight", 2, &m->halt[0]},
                 {"decoder_embed.weight", 2, &embed}};
    for (unsigned i = 0; i < sizeof sized / sizeof *sized; ++i) {
        const tsr_status status = find(m, weights, sized[i].name, sized[i].rank, sized[i].where);
        if (status) return status;
    }
    m->latents = m->latent_rows->tensor.dim[0];
    m->encoder.width = m->latent_rows->tensor.dim[1];
    m->decoder.width = embed->tensor.dim[0];
    m->size = embed->tensor.dim[1];
    m->base = m->encoder.width - patch->tensor.dim[0];
    const int64_t side = m->encoder.table->tensor.dim[1];
    if (side < TSR_KARL_GRID || side % TSR_KARL_GRID || m->base < 1)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: tensors %sencoder_positional_embedding and patch_embed.weight: wanted "
                        "a table of a multiple of 16 and fewer channels than %lld, got %lld and "
                        "%lld",
                        m->path, m->prefix, (long long)m->encoder.width, (long long)side,
                        (long long)patch->tensor.dim[0]);
    const tsr_status status = read_transformer(m, weights, config, "encoder", m->encoder.width,
                                               &m->encoder.depth, &m->encoder.heads);
    return status ? status
                  : read_transformer(m, weights, config, "decoder", m->decoder.width,
                                     &m->decoder.depth, &m->decoder.heads);
}

/* Every (n/16)-th entry of a table [W, n, n] as rows [256, W]. */
static tsr_status take_positions(tsr_karl *m, tsr_weight *table, const char *name, float **own,
                                 tsr_weight **where) {
    const int64_t w = table->tensor.dim[0], side = table->tensor.dim[1];
    const int64_t step = side / TSR_KARL_GRID;
    tsr_status status = tsr_weight_pin(m->ctx, table);
    if (status) return status;
    *own = tsr_alloc(m->ctx, (size_t)(TSR_KARL_PLACES * w), sizeof **own, "karl: positions");
    if (!*own) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < TSR_KARL_PLACES; ++i)
        for (int64_t c = 0; c < w; ++c)
            (*own)[i * w + c] =
                table->f32[(c * side + i / TSR_KARL_GRID * step) * side + i % TSR_KARL_GRID * step];
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, *own, 2, (int64_t[]){TSR_KARL_PLACES, w});
    status = tsr_weights_add(m->ctx, m->weights, name, &t);
    return status ? status : tsr_weights_get(m->ctx, m->weights, name, 2, t.dim, where);
}

void tsr_karl_list(tsr_weight_loader *l, const cJSON *config) {
    if (l->status) return;
    tsr_karl *m = tsr_alloc(l->ctx, 1, sizeof *m, "karl"); /* filled, and thrown away */
    if (!m) {
        l->status = TSR_ERROR_MEMORY;
        return;
    }
    m->ctx = l->ctx;
    m->path = (char *)l->path;
    l->status = read_shapes(m, l->weights, config);
    if (!l->status) load_tensors(l, m);
    free(m);
}

/* Fills a model whose device, context and weights are set. */
static tsr_status load_model(tsr_karl *m, const cJSON *config, const char *path) {
    static const char *const ignored[] = {"gan_losses.", "ema.gan_losses.", NULL};
    tsr_context *ctx = m->ctx;
    if (!(m->path = strdup(path)))
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    tsr_status status = read_shapes(m, m->weights, config);
    if (status) return status;
    tsr_weight_loader loader = tsr_load_all_begin(ctx, m->weights, path);
    load_tensors(&loader, m);
    status = tsr_load_all_end(&loader, ignored);
    if (!status && !m->continuous)
        status = tsr_code_table_prepare(ctx, m->weights, true, false, &m->codes);
    if (!status && !m->vae)
        status = tsr_code_table_prepare(ctx, m->weights, false, true, &m->base_codes);
    if (!status)
        status = take_positions(m, m->encoder.table, "(encoder positions)", &m->encoder.own,
                                &m->encoder.positions);
    if (!status)
        status = take_positions(m, m->decoder.table, "(decoder positions)", &m->decoder.own,
                                &m->decoder.positions);
    return status;
}

tsr_status tsr_karl_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                         const char *path, tsr_karl **model) {
    tsr_karl *m = tsr_alloc(tsr_device_context(device), 1, sizeof *m, "karl");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->device = device;
    m->ctx = tsr_device_context(device);
    m->weights = weights;
    const tsr_status status = load_model(m, config, path);
    if (status)
        tsr_karl_close(&m);
    else
        *model = m;
    return status;
}

void tsr_karl_close(tsr_karl **model) {
    if (!model || !*model) return;
    tsr_karl *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    tsr_code_table_drop(&m->codes);
    tsr_code_table_drop(&m->base_codes);
    free(m->encoder.own);
    free(m->decoder.own);
    free(m->path);
    free(m);
    *model = NULL;
}

/* ---- the model ---- */

static tsr_tensor *norm(tsr_run *r, const tsr_tensor *x, const tsr_karl_norm *n) {
    return tsr_layer_norm(r, x, &(tsr_norm_spec){.gamma = n->gamma, .beta = n->beta, .eps = 1e-5f});
}

static tsr_tensor *linear(tsr_run *r, const tsr_tensor *x, tsr_weight *w, tsr_weight *bias,
                          tsr_activation act) {
    return tsr_linear(r, x, w, &(tsr_epilogue){.bias = bias, .act = act});
}

static tsr_tensor *as_batch(tsr_run *r, tsr_tensor *rows) { /* [N, W] -> [1, N, W] */
    return tsr_reshape(r, rows, 3, (int64_t[]){1, rows->dim[0], rows->dim[1]});
}

/* in: pictures U8 [B, 256, 256, 3]. out: [B, 16, 16, base], autoencoder: [B, 16, 16, 2 base]. */
static void base_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_karl *m = model;
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *x = tsr_from_bytes(r, in[0], 1, 0, false);
    x = tsr_conv_encode(r, &m->base_encoder, x, NULL);
    out[0] = tsr_scope_close(r, scope, m->vae ? tsr_conv_one(r, x, &m->quant) : x);
}

/* Base features of the pictures [B, 256, base], of an autoencoder as tsr_karl_draw makes them
 * without noise. */
static tsr_tensor *features_of(tsr_run *r, const tsr_karl *m, tsr_tensor *const *in) {
    tsr_tensor *x;
    base_program(r, m, in, &x);
    if (m->vae) x = tsr_scale(r, tsr_slice_cols(r, x, 0, m->base), vae_scale, 0);
    return tsr_reshape(r, x, 3, (int64_t[]){in[0]->dim[0], TSR_KARL_PLACES, m->base});
}

/* in: pictures U8 [B, 256, 256, 3], the quality's row I32 [1, 1], base features [B, 256, base];
 * without features the base computes them here. out: halting logits [B, T, 1], factors [B, T, 12],
 * rows that enter [B, 256, W]; quantised: ids, margins, squared lengths [B*T]. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_karl *m = model;
    const int64_t *budget = tsr_run_args(r);
    const int64_t b = in[0]->dim[0], t = *budget, w = m->encoder.width;
    const tsr_tensor *features = in[2] ? in[2] : features_of(r, m, in);
    tsr_tensor *x = tsr_from_bytes(r, in[0], 1, 0, false);
    x = tsr_conv2d(r, x, m->patch, &(tsr_conv_spec){.bias = m->patch_bias, .stride = 16});
    x = tsr_reshape(r, x, 3, (int64_t[]){b, TSR_KARL_PLACES, w - m->base});
    x = tsr_concat_rows(r, tsr_transpose(r, x), tsr_transpose(r, features)); /* [B, W, 256] */
    out[2] = x = tsr_transpose(r, x);                                        /* [B, 256, W] */
    x = tsr_binary(r, x, tsr_from_weight(r, m->encoder.positions), TSR_BINARY_ADD);
    tsr_tensor *latents = as_batch(r, tsr_from_weight(r, m->latent_rows));
    x = tsr_concat_rows(r, x, tsr_slice_rows(r, latents, 0, t));
    x = tsr_concat_rows(r, x, tsr_gather_rows(r, tsr_from_weight(r, m->qualities), in[1]));
    x = norm(r, x, &m->encoder.pre); /* [B, 257 + T, W] */
    x = tsr_vit_blocks_run(r, m->encoder.block, m->encoder.depth, m->encoder.heads, x,
                           TSR_KARL_PLACES, t);
    tsr_tensor *halt =
        linear(r, norm(r, x, &m->halt_norm), m->halt[0], m->halt_bias[0], TSR_ACT_TANH);
    out[0] = linear(r, halt, m->halt[1], m->halt_bias[1], TSR_ACT_NONE);
    out[1] = x = linear(r, norm(r, x, &m->encoder.post), m->factors, m->factors_bias, TSR_ACT_NONE);
    if (m->continuous) return;
    x = tsr_reshape(r, x, 2, (int64_t[]){b * t, m->size});
    tsr_code_table_search(r, &m->codes, x, &out[3], &out[4], &out[5]);
}

/* in: ids I32 [B, n] or vectors [B, n, 12], positions I32 [B, n]; with n = 0 one number that is not
 * looked at, and B is 1. out: pictures [B, 256, 256, 3], head [B, 256, ...]. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_karl *m = model;
    const int64_t n = in[0]->rank > 1 ? in[0]->dim[1] : 0, b = n ? in[0]->dim[0] : 1;
    tsr_tensor *mask =
        tsr_reshape(r, tsr_from_weight(r, m->mask), 2, (int64_t[]){1, m->decoder.width});
    tsr_tensor *x = tsr_binary(r, tsr_from_weight(r, m->decoder.positions), mask, TSR_BINARY_ADD);
    if (n) {
        tsr_tensor *codes =
            in[0]->dtype == TSR_DTYPE_I32 ? tsr_code_table_rows(r, &m->codes, in[0]) : in[0];
        codes = linear(r, codes, m->embed, m->embed_bias, TSR_ACT_NONE);
        codes = tsr_binary(r, codes, tsr_gather_rows(r, tsr_from_weight(r, m->places), in[1]),
                           TSR_BINARY_ADD);
        x = tsr_concat_rows(r, codes, x); /* [B, n + 256, W'] */
    } else
        x = as_batch(r, x);
    x = norm(r, x, &m->decoder.pre);
    x = tsr_vit_blocks_run(r, m->decoder.block, m->decoder.depth, m->decoder.heads, x, n,
                           TSR_KARL_PLACES);
    x = norm(r, x, &m->decoder.post);
    x = linear(r, x, m->head[0], m->head_bias[0], TSR_ACT_TANH);
    out[1] = x = linear(r, x, m->head[1], m->head_bias[1], TSR_ACT_NONE);
    if (!m->vae) x = tsr_code_table_mix(r, &m->base_codes, x);
    x = tsr_reshape(r, x, 4, (int64_t[]){b, TSR_KARL_GRID, TSR_KARL_GRID, m->base});
    if (m->vae) x = tsr_conv_one(r, x, &m->post_quant);
    out[0] = tsr_conv_decode(r, &m->base_decoder, x, NULL);
}

/* ---- running it ---- */

static tsr_tensor pictures(const uint8_t *rgb, int64_t count) {
    return tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb, 4,
                           (int64_t[]){count, TSR_KARL_SIDE, TSR_KARL_SIDE, 3});
}

tsr_tile_cost tsr_karl_cost(const tsr_karl *m, bool decoder, int64_t tokens) {
    tsr_window_plan plan;
    const tsr_conv_half *base = decoder ? &m->base_decoder : &m->base_encoder;
    const int64_t rows = TSR_KARL_PLACES + tokens + 1, g = TSR_KARL_GRID;
    if (tsr_window_plan_make(m->device, base, decoder, m->path, g, g, &plan))
        return (tsr_tile_cost){.alone = true}; /* the run will fail for want of memory */
    return tsr_tile_cost_larger(
        tsr_window_cost(base, decoder, &plan),
        tsr_tile_cost_rows(rows, decoder ? m->decoder.width : m->encoder.width));
}

tsr_status tsr_karl_features(const tsr_karl *m, const uint8_t *rgb, int64_t count,
                             float *features) {
    const tsr_tensor in = pictures(rgb, count);
    tsr_tensor out = tsr_host_tensor(
        TSR_DTYPE_F32, features, 4,
        (int64_t[]){count, TSR_KARL_GRID, TSR_KARL_GRID, m->vae ? 2 * m->base : m->base});
    const tsr_program program = {.fn = base_program, .model = m, .name = "karl base encoder"};
    return tsr_execute(m->device, &program, &in, 1, &out, 1);
}

void tsr_karl_draw(const tsr_karl *m, int64_t count, float *features, const float *noise) {
    const int64_t e = m->base, places = TSR_KARL_PLACES;
    for (int64_t i = 0; i < count * places && m->vae; ++i)
        for (int64_t c = 0; c < e; ++c) { /* rows move down, never over what is still needed */
            /* -30 .. 20: the limits of latent diffusion's DiagonalGaussianDistribution */
            const float logvar = fminf(fmaxf(features[(2 * i + 1) * e + c], -30.0f), 20.0f);
            float z = features[2 * i * e + c];
            if (noise) z += expf(0.5f * logvar) * noise[(i / places * e + c) * places + i % places];
            features[i * e + c] = z * vae_scale;
        }
}

/* Begins the encoder; `features` NULL: the base computes them in the same program. */
static tsr_status begin_encoder(const tsr_karl *m, const uint8_t *rgb, const float *features,
                                int64_t count, int bin, int64_t budget,
                                const tsr_karl_result *result, tsr_flight *flight) {
    if (budget < 1 || budget > m->latents || bin < 0 || bin >= TSR_KARL_BINS)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: budget: wanted 1 to %lld, got %lld",
                        m->path, (long long)m->latents, (long long)budget);
    const int64_t n = count * budget;
    int32_t row = bin;
    const tsr_tensor in[] = {pictures(rgb, count),
                             tsr_host_tensor(TSR_DTYPE_I32, &row, 2, (int64_t[]){1, 1}),
                             tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)features, 3,
                                             (int64_t[]){count, TSR_KARL_PLACES, m->base})};
    const tsr_tensor out[] = {
        tsr_host_tensor(TSR_DTYPE_F32, result->halt, 3, (int64_t[]){count, budget, 1}),
        tsr_host_tensor(TSR_DTYPE_F32, result->factors, 3, (int64_t[]){count, budget, m->size}),
        tsr_host_tensor(TSR_DTYPE_F32, result->tokens, 3,
                        (int64_t[]){count, TSR_KARL_PLACES, m->encoder.width}),
        tsr_host_tensor(TSR_DTYPE_I32, result->ids, 1, (int64_t[]){n}),
        tsr_host_tensor(TSR_DTYPE_F32, result->margin, 1, (int64_t[]){n}),
        tsr_host_tensor(TSR_DTYPE_F32, result->square, 2, (int64_t[]){n, 1}),
    };
    const tsr_program program = {.fn = encode_program,
                                 .model = m,
                                 .args = &budget,
                                 .variant = budget,
                                 .name = "karl encoder"};
    return tsr_execute_begin(m->device, &program, in, features ? 3 : 2, out, m->continuous ? 3 : 6,
                             flight);
}

tsr_status tsr_karl_encode_begin(const tsr_karl *m, const uint8_t *rgb, int64_t count, int bin,
                                 int64_t budget, const tsr_karl_result *result,
                                 tsr_flight *flight) {
    return begin_encoder(m, rgb, NULL, count, bin, budget, result, flight);
}

tsr_status tsr_karl_encode(const tsr_karl *m, const uint8_t *rgb, const float *features,
                           int64_t count, int bin, int64_t budget, const tsr_karl_result *result) {
    const bool ties = !m->continuous && result->near_ties;
    const int64_t n = count * budget;
    tsr_karl_result all = *result;
    tsr_scratch s = {.ctx = m->ctx};
    if (ties && !all.square)
        all.square = tsr_scratch_take(&s, (size_t)n, sizeof(float), "karl: lengths");
    if (ties && !all.margin)
        all.margin = tsr_scratch_take(&s, (size_t)n, sizeof(float), "karl: margins");
    tsr_flight flight = {0};
    tsr_status status = s.status;
    if (!status) status = begin_encoder(m, rgb, features, count, bin, budget, &all, &flight);
    if (!status) status = tsr_execute_end(m->device, &flight);
    if (!status && ties)
        status = tsr_code_table_near_ties(m->ctx, &m->codes, all.margin, all.square, n,
                                          result->near_ties);
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_karl_decode(const tsr_karl *m, const int32_t *ids, const float *vectors,
                           const int32_t *positions, int64_t b, int64_t count, float *rgb,
                           float *head) {
    const int64_t codes = ids ? m->codes.codes->tensor.dim[0] : 0;
    const int64_t depth = m->head[1]->tensor.dim[0];
    if (count < 0 || count > m->latents)
        return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: ids: wanted 0 to %lld, got %lld", m->path,
                        (long long)m->latents, (long long)count);
    if (!count && b != 1)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: pictures of no ids: wanted 1, got %lld",
                        m->path, (long long)b);
    for (int64_t i = 0; i < b * count; ++i)
        if ((ids && (ids[i] < 0 || ids[i] >= codes)) || positions[i] < 0 ||
            positions[i] >= m->latents)
            return tsr_fail(m->ctx, TSR_ERROR_TOKENS,
                            "%s: id and position: wanted below %lld and %lld, got %d and %d",
                            m->path, (long long)codes, (long long)m->latents, ids ? ids[i] : 0,
                            positions[i]);
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, rgb, 1, (int64_t[]){1})};
    if (count) {
        in[0] = ids ? tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)ids, 2, (int64_t[]){b, count})
                    : tsr_host_tensor(TSR_DTYPE_F32, (float *)vectors, 3,
                                      (int64_t[]){b, count, m->size});
        in[1] = tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)positions, 2, (int64_t[]){b, count});
    } else
        rgb[0] = 0;
    tsr_tensor out[2] = {
        tsr_host_tensor(TSR_DTYPE_F32, rgb, 4, (int64_t[]){b, TSR_KARL_SIDE, TSR_KARL_SIDE, 3}),
        tsr_host_tensor(TSR_DTYPE_F32, head, 3, (int64_t[]){b, TSR_KARL_PLACES, depth})};
    const tsr_program program = {.fn = decode_program,
                                 .model = m,
                                 .variant = count > 0,
                                 .name = "karl decoder",
                                 .pictures = true};
    return tsr_execute(m->device, &program, in, count ? 2 : 1, out, 2);
}
