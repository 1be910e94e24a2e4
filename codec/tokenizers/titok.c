/* SPDX-License-Identifier: MIT */
/* titok.c: TiTok and One-D-Piece.
 *
 *   tile ─► 16x16 patches + class ─┬─► transformer ─► the latents' rows ─► 1x1 ─► nearest codes
 *                      K latents ──┘
 *   codes ─► linear ─┬─► transformer ─► the patches' rows ─► two-stage: logits of 1024 codes, their
 *   P mask rows, class ┘                                     mean, MaskGIT's decoder
 *                                                            single stage: pixels, 3x3 convolution
 *
 * Every row carries its position, so their order among each other means nothing; here constant rows
 * stand last. The first models ("legacy") read the [K, W] rows again as [W, K] before the codes:
 * that is how they were trained. */
#include "titok.h"
#include "../../compute/arena.h"
#include "../../formats/weights/config_file.h"
#include "../../nn/conv_window.h"
#include "../../nn/conv_layouts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

/* Whether config.model.vq_model.<key> is true; `otherwise` where it is not said. */
static bool config_says(const cJSON *config, const char *key, bool otherwise) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(config, "model");
    const cJSON *vq = cJSON_GetObjectItemCaseSensitive(model, "vq_model");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(vq, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

static void load_tower(tsr_weight_loader *l, const tsr_titok *m, const char *half,
                       tsr_titok_tower *t) {
    const int64_t w = t->width, patches = m->side * m->side;
    const int64_t one[2] = {1, w}, all[2] = {1 + patches, w}, k[2] = {m->latents, w};
    char name[128];
    tsr_load_weight(l, half, ".class_embedding", 2, one, &t->class_row);
    tsr_load_weight(l, half, ".positional_embedding", 2, all, &t->positions);
    tsr_load_weight(l, half, ".latent_token_positional_embedding", 2, k, &t->latent_positions);
    tsr_load_layer(l, half, ".ln_pre", 1, &w, &t->pre_gamma, &t->pre_beta);
    for (int i = 0; i < t->depth; ++i) {
        snprintf(name, sizeof name, "%s.transformer.%d.", half, i);
        tsr_vit_block_load(l, &tsr_layout_openclip, name, w, 4 * w, &t->block[i]);
    }
    tsr_load_layer(l, half, ".ln_post", 1, &w, &t->post_gamma, &t->post_beta);
}

static void load_codes(tsr_weight_loader *l, tsr_titok *m) {
    tsr_code_table_load(l, "quantize.embedding.weight", &m->codes);
    if (!l->status && m->codes.codes->tensor.dim[1] != m->size)
        l->status = tsr_fail(m->ctx, TSR_ERROR_MODEL,
                             "%s: tensor quantize.embedding.weight: wanted codes of %lld numbers, "
                             "got %lld",
                             m->path, (long long)m->size, (long long)m->codes.codes->tensor.dim[1]);
}

/* Loads MaskGIT's decoder and codes of a two-stage model. */
static void load_pixels(tsr_weight_loader *l, tsr_titok *m) {
    const tsr_conv_layout *layout = &tsr_layout_maskgit[1];
    tsr_conv_shape shape;
    if (l->status) return;
    l->status =
        tsr_conv_read_shape(m->ctx, l->weights, "pixel_decoder.", m->path, layout, true, &shape);
    tsr_code_table_load(l, "pixel_quantize.embedding.weight", &m->base_codes);
    if (l->status) return;
    if (shape.levels != 5)
        l->status = tsr_fail(m->ctx, TSR_ERROR_MODEL,
                             "%s: pixel_decoder: wanted 5 levels (16 pixels a place), got %d",
                             m->path, shape.levels);
    shape.in = m->base_codes.codes->tensor.dim[1];
    shape.out = 3;
    tsr_conv_load(l, "pixel_decoder.", layout, true, &shape, &m->pixels);
}

/* Loads every tensor, after read_shapes and read_habits. */
static void load_tensors(tsr_weight_loader *l, tsr_titok *m) {
    const int64_t w = m->encoder.width, d = m->decoder.width, p = TSR_TITOK_PATCH;
    const int64_t given = m->continuous ? 2 * m->size : m->size;
    tsr_load_weight(l, "", "latent_tokens", 2, (int64_t[]){m->latents, w}, &m->latent_rows);
    tsr_load_layer(l, "encoder.", "patch_embed", 4, (int64_t[]){w, 3, p, p}, &m->patch,
                   &m->patch_bias);
    load_tower(l, m, "encoder", &m->encoder);
    tsr_load_layer(l, "encoder.", "conv_out", 4, (int64_t[]){given, w, 1, 1}, &m->factors,
                   &m->factors_bias);
    if (!m->continuous) load_codes(l, m);
    tsr_load_layer(l, "decoder.", "decoder_embed", 2, (int64_t[]){d, m->size}, &m->embed,
                   &m->embed_bias);
    tsr_load_weight(l, "decoder.", "mask_token", 3, (int64_t[]){1, 1, d}, &m->mask);
    load_tower(l, m, "decoder", &m->decoder);
    if (!m->two_stage) {
        tsr_load_layer(l, "decoder.", "ffn.0", 4, (int64_t[]){3 * p * p, d, 1, 1}, &m->head[0],
                       &m->head_bias[0]);
        tsr_conv_load_one(l, "decoder.", "conv_out", 3, 3, 3, &m->conv_out);
        return;
    }
    load_pixels(l, m);
    tsr_load_layer(l, "decoder.", "ffn.0", 4, (int64_t[]){2 * d, d, 1, 1}, &m->head[0],
                   &m->head_bias[0]);
    if (l->status) return; /* or the codes are there */
    tsr_load_layer(l, "decoder.", "ffn.2", 4,
                   (int64_t[]){m->base_codes.codes->tensor.dim[0], 2 * d, 1, 1}, &m->head[1],
                   &m->head_bias[1]);
}

/* Reads the first two dimensions of a tensor. */
static tsr_status read_table(tsr_titok *m, tsr_weights *weights, const char *name, int64_t *rows,
                             int64_t *columns) {
    const tsr_weight *w = tsr_weights_find(weights, name);
    char got[96];
    if (!w || w->tensor.rank < 2)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted a table, got %s", m->path,
                        name, w ? tsr_shape_text(&w->tensor, got, sizeof got) : "none");
    *rows = w->tensor.dim[0];
    *columns = w->tensor.dim[1];
    return TSR_OK;
}

static tsr_status read_shapes(tsr_titok *m, tsr_weights *weights) {
    int64_t rows = 0, columns = 0;
    tsr_status status = read_table(m, weights, "latent_tokens", &m->latents, &m->encoder.width);
    if (!status)
        status =
            read_table(m, weights, "decoder.decoder_embed.weight", &m->decoder.width, &m->size);
    if (!status) status = read_table(m, weights, "encoder.positional_embedding", &rows, &columns);
    if (status) return status;
    for (m->side = 1; m->side < 256 && m->side * m->side < rows - 1;)
        m->side++;
    if (m->side * m->side != rows - 1)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: tensor encoder.positional_embedding: wanted 1 row and a square of "
                        "patches, got %lld rows",
                        m->path, (long long)rows);
    /* Published models have heads of 64 channels; shapes do not tell. */
    if (m->encoder.width % 64 || m->decoder.width % 64)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: widths: wanted multiples of 64, got %lld and %lld", m->path,
                        (long long)m->encoder.width, (long long)m->decoder.width);
    status = tsr_vit_count(m->ctx, weights, "encoder.transformer.", m->path, TSR_TITOK_DEPTH,
                           &m->encoder.depth);
    return status ? status
                  : tsr_vit_count(m->ctx, weights, "decoder.transformer.", m->path, TSR_TITOK_DEPTH,
                                  &m->decoder.depth);
}

static tsr_status read_habits(tsr_titok *m, tsr_weights *weights, const cJSON *config) {
    m->two_stage = tsr_weights_find(weights, "pixel_quantize.embedding.weight") != NULL;
    m->continuous = tsr_weights_find(weights, "quantize.embedding.weight") == NULL;
    m->legacy = config_says(config, "is_legacy", m->two_stage);
    m->normalised = config_says(config, "use_l2_norm", m->two_stage) && !m->continuous;
    /* One-D-Piece allows fewer tokens than it has; without a word, its 256 are told from TiTok's
     * first models, which have at most 128. */
    m->nested = !config_says(config, "strict_length_assertion",
                             !(!config && m->two_stage && m->latents == 256));
    if (m->two_stage != config_says(config, "finetune_decoder", m->two_stage))
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: config.json: finetune_decoder: wanted %s as the tensors have it, got "
                        "the other",
                        m->path, m->two_stage ? "true" : "false");
    return TSR_OK;
}

/* Fills a model whose device, context and weights are set. */
static tsr_status load_model(tsr_titok *m, const cJSON *config, const char *path) {
    static const char *const ignored[] = {"decoder.text_guidance", NULL};
    tsr_context *ctx = m->ctx;
    if (!(m->path = strdup(path)))
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (tsr_weights_find(m->weights, "decoder.text_guidance_positional_embedding"))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a model that decodes from ids alone, got TA-TiTok, which needs "
                        "a caption's text features as well",
                        path);
    tsr_status status = read_shapes(m, m->weights);
    if (!status) status = read_habits(m, m->weights, config);
    if (status) return status;
    tsr_weight_loader loader = tsr_load_all_begin(ctx, m->weights, path);
    load_tensors(&loader, m);
    status = tsr_load_all_end(&loader, ignored);
    if (!status && !m->continuous)
        status = tsr_code_table_prepare(ctx, m->weights, m->normalised, false, &m->codes);
    if (!status && m->two_stage)
        status = tsr_code_table_prepare(ctx, m->weights, false, true, &m->base_codes);
    return status;
}

tsr_status tsr_titok_open(tsr_device *device, const cJSON *config, tsr_weights *weights,
                          const char *path, tsr_titok **model) {
    tsr_titok *m = tsr_alloc(tsr_device_context(device), 1, sizeof *m, "titok");
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
        tsr_titok_close(&m);
    else
        *model = m;
    return status;
}

void tsr_titok_close(tsr_titok **model) {
    if (!model || !*model) return;
    tsr_titok *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    tsr_code_table_drop(&m->codes);
    tsr_code_table_drop(&m->base_codes);
    free(m->path);
    free(m);
    *model = NULL;
}

/* ---- the model ---- */

/* Rows first .. first + count - 1 of a table, as [count, W]. */
static tsr_tensor *rows_of(tsr_run *r, tsr_tensor *table, int64_t first, int64_t count) {
    const int64_t width = tsr_cols(table);
    table = tsr_reshape(r, table, 3, (int64_t[]){1, tsr_rows(table), width});
    return tsr_reshape(r, tsr_slice_rows(r, table, first, count), 2, (int64_t[]){count, width});
}

static tsr_tensor *norm(tsr_run *r, const tsr_tensor *x, tsr_weight *gamma, tsr_weight *beta) {
    return tsr_layer_norm(r, x, &(tsr_norm_spec){.gamma = gamma, .beta = beta, .eps = 1e-5f});
}

/* Rows first .. first + count - 1 of what leaves the tower. */
static tsr_tensor *run_tower(tsr_run *r, const tsr_titok_tower *t, tsr_tensor *x, int64_t first,
                             int64_t count) {
    x = norm(r, x, t->pre_gamma, t->pre_beta);
    x = tsr_vit_blocks_run(r, t->block, t->depth, (int)(t->width / 64), x, first, count);
    return norm(r, x, t->post_gamma, t->post_beta);
}

static tsr_tensor *as_batch(tsr_run *r, tsr_tensor *rows) { /* [N, W] -> [1, N, W] */
    return tsr_reshape(r, rows, 3, (int64_t[]){1, rows->dim[0], rows->dim[1]});
}

/* The class row with its position, after `rows` [N, W]: [N + 1, W]. */
static tsr_tensor *with_class(tsr_run *r, const tsr_titok_tower *t, tsr_tensor *rows) {
    tsr_tensor *first = rows_of(r, tsr_from_weight(r, t->positions), 0, 1);
    first = tsr_binary(r, tsr_from_weight(r, t->class_row), first, TSR_BINARY_ADD);
    tsr_tensor *both = tsr_concat_rows(r, as_batch(r, rows), first);
    return tsr_reshape(r, both, 2, (int64_t[]){both->dim[1], both->dim[2]});
}

/* in: pictures U8 [B, S, S, 3]. out: ids, margins, squared lengths [B*K]; a continuous model gives
 * factors alone; traced: latents [B, K, W] and factors [B, K, E] after the others. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_titok *m = model;
    const tsr_titok_tower *t = &m->encoder;
    const bool *traced = tsr_run_args(r);
    const int64_t patches = m->side * m->side, k = m->latents;
    tsr_tensor *x = tsr_from_bytes(r, in[0], 1, 0, true);
    x = tsr_patchify(r, x, TSR_TITOK_PATCH); /* [B, P, 768] */
    x = tsr_linear(r, x, m->patch, &(tsr_epilogue){.bias = m->patch_bias});
    x = tsr_binary(r, x, rows_of(r, tsr_from_weight(r, t->positions), 1, patches), TSR_BINARY_ADD);
    tsr_tensor *rest = tsr_binary(r, tsr_from_weight(r, m->latent_rows),
                                  tsr_from_weight(r, t->latent_positions), TSR_BINARY_ADD);
    x = tsr_concat_rows(r, x, with_class(r, t, rest)); /* [B, P + K + 1, W] */
    x = run_tower(r, t, x, patches, k);
    tsr_tensor **next = m->continuous ? out : out + 3;
    if (*traced) *next++ = x;
    if (m->legacy) /* as it was trained: the same numbers read as [W, K] */
        x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){x->dim[0], t->width, k}));
    x = tsr_linear(r, x, m->factors, &(tsr_epilogue){.bias = m->factors_bias}); /* [B, K, E] */
    if (*traced || m->continuous) *next = x;
    if (m->continuous) return;
    x = tsr_reshape(r, x, 2, (int64_t[]){x->dim[0] * k, m->size});
    tsr_code_table_search(r, &m->codes, x, &out[0], &out[1], &out[2]);
}

/* in: ids I32 [B, n] or vectors [B, n, E]; nothing when n is 0 (then B is 1); single stage: the
 * order of rows last. out: pictures [B, S, S, 3]; logits [B, P, codes] or pixels [B, S, S, 3]. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_titok *m = model;
    const tsr_titok_tower *t = &m->decoder;
    const int64_t patches = m->side * m->side, pixels = m->side * TSR_TITOK_PATCH;
    const bool given = in[0] && in[0]->rank > 1;
    tsr_tensor *x = NULL;
    int64_t n = 0;
    tsr_tensor *mask = tsr_reshape(r, tsr_from_weight(r, m->mask), 2, (int64_t[]){1, t->width});
    tsr_tensor *rest = tsr_binary(r, rows_of(r, tsr_from_weight(r, t->positions), 1, patches), mask,
                                  TSR_BINARY_ADD);
    rest = with_class(r, t, rest); /* [P + 1, W'] */
    if (given) {
        x = in[0]->dtype == TSR_DTYPE_I32 ? tsr_code_table_rows(r, &m->codes, in[0]) : in[0];
        n = x->dim[1];
        x = tsr_linear(r, x, m->embed, &(tsr_epilogue){.bias = m->embed_bias}); /* [B, n, W'] */
        x = tsr_binary(r, x, rows_of(r, tsr_from_weight(r, t->latent_positions), 0, n),
                       TSR_BINARY_ADD);
        x = tsr_concat_rows(r, x, rest);
    } else
        x = as_batch(r, rest);
    x = run_tower(r, t, x, n, patches); /* [B, P, W'] */
    const int64_t b = x->dim[0];
    x = tsr_linear(r, x, m->head[0],
                   &(tsr_epilogue){.bias = m->head_bias[0],
                                   .act = m->two_stage ? TSR_ACT_TANH : TSR_ACT_NONE});
    if (m->two_stage) {
        out[1] = x = tsr_linear(r, x, m->head[1], &(tsr_epilogue){.bias = m->head_bias[1]});
        x = tsr_code_table_mix(r, &m->base_codes, x); /* [B, P, 256] */
        x = tsr_reshape(r, x, 4, (int64_t[]){b, m->side, m->side, tsr_cols(x)});
        out[0] = tsr_conv_decode(r, &m->pixels, x, NULL);
        return;
    }
    x = tsr_reshape(r, x, 2, (int64_t[]){b * patches * TSR_TITOK_PATCH, 3 * TSR_TITOK_PATCH});
    x = tsr_gather_rows(r, x, in[given]); /* rows of 16 pixels, as the picture has them */
    out[1] = x = tsr_reshape(r, x, 4, (int64_t[]){b, pixels, pixels, 3});
    out[0] = tsr_conv2d(
        r, x, m->conv_out.weight,
        &(tsr_conv_spec){.bias = m->conv_out.bias, .top = 1, .left = 1, .bottom = 1, .right = 1});
}

/* ---- running it ---- */

/* Begins the encoder. rows [2, B*K]: margins and squared lengths of the factors; NULL: not asked
 * for. */
static tsr_status begin_encoder(const tsr_titok *m, const uint8_t *rgb, int64_t n,
                                const tsr_titok_result *result, float *rows, tsr_flight *flight) {
    const int64_t side = m->side * TSR_TITOK_PATCH, k = m->latents;
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb, 4, (int64_t[]){n, side, side, 3});
    tsr_tensor out[5];
    int outputs = 0;
    if (!m->continuous) {
        out[outputs++] = tsr_host_tensor(TSR_DTYPE_I32, result->ids, 1, (int64_t[]){n * k});
        out[outputs++] = tsr_host_tensor(TSR_DTYPE_F32, rows, 1, (int64_t[]){n * k});
        out[outputs++] =
            tsr_host_tensor(TSR_DTYPE_F32, rows ? rows + n * k : NULL, 2, (int64_t[]){n * k, 1});
    }
    const bool traced = result->latents != NULL;
    if (traced)
        out[outputs++] =
            tsr_host_tensor(TSR_DTYPE_F32, result->latents, 3, (int64_t[]){n, k, m->encoder.width});
    if (traced || m->continuous)
        out[outputs++] = tsr_host_tensor(TSR_DTYPE_F32, result->factors, 3,
                                         (int64_t[]){n, k, m->continuous ? 2 * m->size : m->size});
    const tsr_program program = {.fn = encode_program,
                                 .model = m,
                                 .args = &traced,
                                 .variant = traced,
                                 .name = "titok encoder"};
    return tsr_execute_begin(m->device, &program, &in, 1, out, outputs, flight);
}

/* Reads the rows of begin_encoder. */
static tsr_status count_near_ties(const tsr_titok *m, const float *rows, int64_t n,
                                  uint64_t *near_ties) {
    return rows ? tsr_code_table_near_ties(m->ctx, &m->codes, rows, rows + n, n, near_ties)
                : TSR_OK;
}

tsr_status tsr_titok_encode(const tsr_titok *m, const uint8_t *rgb, int64_t n,
                            const tsr_titok_result *result) {
    const int64_t values = n * m->latents;
    float *rows = NULL;
    if (!m->continuous && (result->margin || result->near_ties)) {
        rows = tsr_alloc_raw(m->ctx, (size_t)values, 2 * sizeof *rows, "titok: rows");
        if (!rows) return TSR_ERROR_MEMORY;
    }
    tsr_flight flight = {0};
    tsr_status status = begin_encoder(m, rgb, n, result, rows, &flight);
    if (!status) status = tsr_execute_end(m->device, &flight);
    if (!status && rows && result->margin)
        memcpy(result->margin, rows, (size_t)values * sizeof *rows);
    if (!status && result->near_ties) status = count_near_ties(m, rows, values, result->near_ties);
    free(rows);
    return status;
}

/* Pixel rows of 16 come patch by patch: (picture, patch row, patch column, y); pictures have them
 * as (picture, patch row, y, patch column). Order for b pictures from `scratch`, or NULL. */
static int32_t *order_of(const tsr_titok *m, int64_t b, tsr_scratch *scratch) {
    const int64_t s = m->side, p = TSR_TITOK_PATCH;
    int32_t *order =
        tsr_scratch_take(scratch, (size_t)(b * s * s * p), sizeof *order, "titok: order");
    int32_t *to = order;
    for (int64_t row = 0; row < b * s && order; ++row) /* of all pictures */
        for (int64_t y = 0; y < p; ++y)
            for (int64_t column = 0; column < s; ++column)
                *to++ = (int32_t)((row * s + column) * p + y);
    return order;
}

tsr_status tsr_titok_decode(const tsr_titok *m, const int32_t *ids, const float *vectors, int64_t b,
                            int64_t count, float *rgb, float *head) {
    const int64_t side = m->side * TSR_TITOK_PATCH, patches = m->side * m->side;
    const int64_t codes = ids ? m->codes.codes->tensor.dim[0] : 0;
    tsr_tensor in[2], out[2];
    int inputs = 0;
    if (count < 0 || count > m->latents)
        return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: ids: wanted 0 to %lld, got %lld", m->path,
                        (long long)m->latents, (long long)count);
    if (!count && b != 1)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT, "%s: pictures of no ids: wanted 1, got %lld",
                        m->path, (long long)b);
    for (int64_t i = 0; i < b * count && ids; ++i)
        if (ids[i] < 0 || ids[i] >= codes)
            return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: id: wanted below %lld, got %d", m->path,
                            (long long)codes, ids[i]);
    tsr_scratch s = {.ctx = m->ctx};
    int32_t *order = m->two_stage ? NULL : order_of(m, b, &s);
    tsr_status status = s.status;
    if (count)
        in[inputs++] =
            ids ? tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)ids, 2, (int64_t[]){b, count})
                : tsr_host_tensor(TSR_DTYPE_F32, (float *)vectors, 3,
                                  (int64_t[]){b, count, m->size});
    if (!m->two_stage || !inputs) /* a program has an input, even when it looks at none */
        in[inputs++] = m->two_stage ? tsr_host_tensor(TSR_DTYPE_F32, rgb, 1, (int64_t[]){1})
                                    : tsr_host_tensor(TSR_DTYPE_I32, order, 1,
                                                      (int64_t[]){b * patches * TSR_TITOK_PATCH});
    out[0] = tsr_host_tensor(TSR_DTYPE_F32, rgb, 4, (int64_t[]){b, side, side, 3});
    out[1] = m->two_stage
                 ? tsr_host_tensor(TSR_DTYPE_F32, head, 3,
                                   (int64_t[]){b, patches, m->base_codes.codes->tensor.dim[0]})
                 : tsr_host_tensor(TSR_DTYPE_F32, head, 4, (int64_t[]){b, side, side, 3});
    const tsr_program program = {.fn = decode_program,
                                 .model = m,
                                 .variant = count > 0,
                                 .name = "titok decoder",
                                 .pictures = true};
    rgb[0] = 0;
    if (!status) status = tsr_execute(m->device, &program, in, inputs, out, 2);
    tsr_scratch_free(&s);
    return status;
}

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "latent_tokens") >= 0 &&
           tsr_safetensors_find(file, "encoder.latent_token_positional_embedding") >= 0;
}

/* Fills a model that is thrown away. */
static void list_model(tsr_weight_loader *l, tsr_titok *m, const cJSON *config) {
    m->ctx = l->ctx;
    m->path = (char *)l->path;
    l->status = read_shapes(m, l->weights);
    if (!l->status) l->status = read_habits(m, l->weights, config);
    if (!l->status) load_tensors(l, m);
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    cJSON *config = NULL;
    tsr_titok *m = tsr_alloc(source->ctx, 1, sizeof *m, "titok");
    loader->status =
        m ? tsr_config_file_read(source->ctx, source->path, &config) : TSR_ERROR_MEMORY;
    if (loader->status == TSR_ERROR_NOT_FOUND) loader->status = TSR_OK;
    if (!loader->status) list_model(loader, m, config);
    cJSON_Delete(config);
    free(m);
}

static void close_model(void **model) {
    if (!model || !*model) return;
    tsr_titok *m = *model;
    tsr_titok_close(&m);
    *model = NULL;
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_context *ctx = source->ctx;
    cJSON *config = NULL;
    tsr_weights *weights = NULL;
    tsr_titok *m = NULL;
    tsr_status status = tsr_config_file_read(ctx, source->path, &config);
    if (status == TSR_ERROR_NOT_FOUND) {
        tsr_log(ctx, TSR_LOG_INFO, "%s: no config.json beside it: the shapes decide", source->path);
        status = TSR_OK;
    }
    if (!status) status = tsr_file_weights(ctx, source->weights, &weights);
    if (!status) status = tsr_titok_open(device, config, weights, source->path, &m);
    cJSON_Delete(config);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    const int64_t width = m->encoder.width;
    if (name)
        snprintf(m->name, sizeof m->name, "%s", name);
    else
        snprintf(m->name, sizeof m->name, "%s-%s-%d%s", m->nested ? "one-d-piece" : "titok",
                 width <= 512   ? "s"
                 : width <= 768 ? "b"
                                : "l",
                 (int)m->latents, m->continuous ? "-vae" : "");
    *model = m;
    return TSR_OK;
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const tsr_titok *m = model;
    memcpy(h->tokenizer, m->name, sizeof m->name);
    if (m->continuous)
        h->channels = (uint32_t)m->size;
    else
        h->codebook_size = (uint32_t)m->codes.codes->tensor.dim[0];
    h->geometry = TSR_GEOMETRY_SEQUENCE;
    h->rows = 1;
    h->columns = (uint32_t)m->latents;
    h->nested = m->nested && !m->continuous;
    h->tile_width = h->tile_height = (uint32_t)(m->side * TSR_TITOK_PATCH);
    h->fit = TSR_FIT_CROP; /* as the authors do: short side to the tile's, bicubic, centre */
    h->filter = TSR_FILTER_BICUBIC;
    return TSR_OK;
}

static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const tsr_titok *m = model;
    const int64_t rows = m->side * m->side + m->latents + 1;
    if (request) return tsr_tile_cost_rows(rows, m->encoder.width);
    tsr_tile_cost c = tsr_tile_cost_rows(rows, m->decoder.width);
    tsr_window_plan plan;
    if (m->two_stage &&
        tsr_window_plan_make(m->device, &m->pixels, true, m->path, m->side, m->side, &plan))
        c.alone = true; /* the run will fail for want of memory */
    else if (m->two_stage)
        c = tsr_tile_cost_larger(c, tsr_window_cost(&m->pixels, true, &plan));
    c.equal_counts = true;
    return c;
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    const tsr_titok *m = model;
    const uint32_t tokens = request->tokens;
    tsr_token_batch *t = &flight->tokens;
    for (int i = 0; i < t->count; ++i)
        t->counts[i] = tokens && tokens < t->capacity ? tokens : t->capacity;
    const size_t n = (size_t)pixels->count * (size_t)m->latents;
    flight->rows = tsr_scratch_take_raw(
        &flight->scratch, n, (m->continuous ? 2 * (size_t)m->size : 2) * sizeof *flight->rows,
        m->continuous ? "titok: factors" : "titok: rows");
    if (!flight->rows) return flight->scratch.status;
    const tsr_titok_result result = {.ids = m->continuous ? NULL : t->values,
                                     .factors = m->continuous ? flight->rows : NULL};
    return begin_encoder(m, pixels->rgb, pixels->count, &result,
                         m->continuous ? NULL : flight->rows, &flight->program);
}

/* Of means and log variances the means; the official code draws from them. */
static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const tsr_titok *m = model;
    tsr_token_batch *t = &flight->tokens;
    const size_t n = (size_t)t->count * (size_t)m->latents, e = (size_t)m->size;
    const tsr_status status = tsr_execute_end(m->device, &flight->program);
    if (status) return status;
    if (!m->continuous) return count_near_ties(m, flight->rows, (int64_t)n, &t->near_ties);
    for (size_t i = 0; i < n; ++i)
        memcpy((float *)t->values + i * e, flight->rows + i * 2 * e, e * sizeof(float));
    return TSR_OK;
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const tsr_titok *m = model;
    const uint32_t each = batch->counts[0];
    if ((!m->nested || m->continuous || each > m->latents) && each != m->latents)
        return tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: %s of a tile: wanted %lld, got %u", m->path,
                        m->continuous ? "vectors" : "ids", (long long)m->latents, each);
    return tsr_titok_decode(m, m->continuous ? NULL : batch->values,
                            m->continuous ? batch->values : NULL, batch->count, each, rgb, NULL);
}

const tsr_family tsr_family_titok = {
    .name = "titok",
    .about = "32 to 256 ids for a 256x256 tile; TiTok, and One-D-Piece, whose ids may be cut short",
    .needs = "the model.safetensors of a TiTok (VQ or VAE) or One-D-Piece hub folder, config.json "
             "beside "
             "it",
    .verified =
        "golden cases of the official classes with synthetic weights: S-128, B-64, BL-64 VQ "
        "and VAE, One-D-Piece S-256",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer =
        &(const tsr_tokenizer_ops){
            .no_quality = "it does not tell how many a picture needs",
            .describe = describe,
            .cost = cost,
            .encode_begin = encode_begin,
            .encode_end = encode_end,
            .decode = decode,
        },
};
