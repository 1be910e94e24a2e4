/* SPDX-License-Identifier: MIT */
/* mosaic.c: Tessera's own tokenizer. models/mosaic_model.py is the same model in PyTorch.
 *
 * A 256x256 tile becomes up to 256 ordered ids of log2(64000) bits; every prefix is a picture.
 *
 *   tile ─► opponent planes ─► global DCT ─► residual VQ: the leading ids
 *                              what they left ─► class ─► residual FSQ: the other ids
 *   ids ─► coefficients ─► inverse DCT ─► picture so far ─► ViT: 256 patches, to which number of
 *          ids and class are added ─► correction ─► tile
 *
 * Each id has six digits (levels 8 8 8 5 5 5). In a leading id the first three number one of 512
 * codewords and the others one of 125: two stages of residual VQ over the coefficients that matter
 * most, since at a few bits a picture nothing is as good as whole pictures to choose from. After
 * them an id is an FSQ code. The first two digits of the first one name one of 64 classes of
 * pictures; the class decides which coefficients the digits after them (the slots) round, in which
 * order and how finely. Slots were dealt out greedily, each to the coefficient with the most energy
 * left, so the order is the best one for every prefix, and a coefficient that matters has several
 * slots, each rounding what those before it left.
 *
 * On a cpu device encoding is host arithmetic in a fixed order (mosaic_encode.c). On others it is a
 * model function (mosaic_device.c), whose ids are the host's outside near ties. */
#include "mosaic_model.h"
#include "../../../compute/arena.h"
#include "../../../ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void mosaic_close(void **model) {
    if (!model || !*model) return;
    mosaic *m = *model;
    tsr_mosaic_close_on_device(m);
    tsr_mosaic_free(m);
    *model = NULL;
}

/* True if encoding is the host's arithmetic. */
static bool on_host(const mosaic *m) {
    return tsr_device_properties(m->device)->kind == TSR_DEVICE_CPU;
}

static tsr_status mosaic_open(tsr_device *device, const tsr_model_source *source, void **model) {
    mosaic *m = tsr_alloc(source->ctx, 1, sizeof *m, "mosaic");
    if (!m) return TSR_ERROR_MEMORY;
    m->device = device;
    m->ctx = source->ctx;
    m->path = source->path;
    tsr_status status = tsr_mosaic_load(m, source->weights);
    if (!status && !on_host(m)) status = tsr_mosaic_open_on_device(m);
    if (status) {
        void *p = m;
        mosaic_close(&p);
        return status;
    }
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    snprintf(m->name, sizeof m->name, "%s", name ? name : "mosaic");
    *model = m;
    return TSR_OK;
}

static tsr_status mosaic_describe(const void *model, tsr_token_header *header) {
    const mosaic *m = model;
    memcpy(header->tokenizer, m->name, sizeof m->name);
    header->codebook_size = 1;
    header->level_count = DIGITS;
    for (int i = 0; i < DIGITS; ++i) {
        header->levels[i] = (uint32_t)tsr_mosaic_levels[i];
        header->codebook_size *= (uint32_t)tsr_mosaic_levels[i];
    }
    header->geometry = TSR_GEOMETRY_SEQUENCE;
    header->rows = 1;
    header->columns = TOKENS;
    header->nested = 1;
    header->tile_width = header->tile_height = SIZE;
    return TSR_OK;
}

/* ---- encode ---------------------------------------------------------------------------------- */

static tsr_tile_cost mosaic_cost(const void *model, const tsr_encode_request *request) {
    return request && !on_host(model) ? tsr_mosaic_encode_cost() : (tsr_tile_cost){0};
}

static tsr_status mosaic_encode(const void *model, const tsr_pixels *pixels,
                                const tsr_encode_request *request, tsr_token_batch *batch) {
    return on_host(model) ? tsr_mosaic_encode_on_host(model, pixels, request, batch, NULL)
                          : tsr_mosaic_encode_on_device(model, pixels, request, batch, NULL);
}

/* ---- decode ---------------------------------------------------------------------------------- */

/* in: coefficients [B, 3, 64, 64], places [B, 256, D] (position + count + class).
 * out: planes [B, 3, 256, 256]. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const mosaic *m = model;
    tsr_tensor *x = tsr_linear(r, in[0], m->inverse, NULL);   /* [B, 3, v, x] */
    x = tsr_linear(r, tsr_transpose(r, x), m->inverse, NULL); /* [B, 3, x, y] */
    tsr_tensor *planes = tsr_transpose(r, x);                 /* [B, 3, y, x] */

    x = tsr_patchify(r, planes, PATCH); /* [B, 256, 768] */
    x = tsr_linear(r, x, m->patch,
                   &(tsr_epilogue){.bias = m->patch_bias, .residual = in[1]}); /* [B, 256, D] */
    const tsr_attention_spec attention = {.heads = m->heads};
    for (int i = 0; i < m->depth; ++i)
        x = tsr_vit_block_run(r, &m->block[i], x, &attention);
    x = tsr_layer_norm(
        r, x, &(tsr_norm_spec){.gamma = m->norm_gamma, .beta = m->norm_beta, .eps = 1e-6f});
    x = tsr_linear(r, x, m->head, &(tsr_epilogue){.bias = m->head_bias}); /* [B, 256, 768] */
    x = tsr_unpatchify(r, x, PLANES, SIZE, SIZE, PATCH);
    out[0] = tsr_binary(r, planes, x, TSR_BINARY_ADD);
}

static tsr_status mosaic_decode(const void *model, const tsr_token_batch *batch,
                                const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const mosaic *m = model;
    const int count = batch->count;
    const uint32_t *counts = batch->counts;
    const int64_t d = m->width;
    const size_t plane = SIZE * SIZE, tile = PLANES * plane;
    const size_t tiles = (size_t)count, width = (size_t)d;
    tsr_scratch s = {.ctx = m->ctx};
    float *coefficients =
        tsr_scratch_take(&s, tiles * COEFFICIENTS, sizeof(float), "mosaic: decode");
    float *places = tsr_scratch_take(&s, tiles * PATCHES * width, sizeof(float), "mosaic: decode");
    float *planes = tsr_scratch_take(&s, tiles * tile, sizeof(float), "mosaic: decode");
    float *unknown_class = tsr_scratch_take(&s, width, sizeof(float), "mosaic: decode"); /* 0 */
    tsr_status status = s.status;
    for (int i = 0; i < count && !status; ++i) {
        if (counts[i] == 0) continue; /* nothing is known: stays grey */
        const uint32_t *tile_ids = tsr_token_batch_tile(batch, i);
        const int known = (int)counts[i];
        uint8_t digits[SLOTS] = {0};
        const tsr_residual_fsq any = tsr_mosaic_slots(m, 0);
        for (int t = m->lead; t < known; ++t)
            tsr_residual_fsq_unpack(&any, tile_ids[t], digits + t * DIGITS);
        const int c =
            digits[m->lead * DIGITS] + tsr_mosaic_levels[0] * digits[m->lead * DIGITS + 1];
        if (c >= m->classes) {
            status = tsr_fail(m->ctx, TSR_ERROR_TOKENS,
                              "id %d of a tile: wanted a class below %d, got %d", m->lead,
                              m->classes, c);
            break;
        }
        tsr_mosaic_restore(m, c, known, tile_ids, digits, coefficients + (size_t)i * COEFFICIENTS);
        const float *class_row = known > m->lead ? m->class_embedding->f32 + c * d : unknown_class;
        float *place = places + (size_t)i * PATCHES * (size_t)d;
        for (int64_t p = 0; p < PATCHES; ++p)
            for (int64_t k = 0; k < d; ++k)
                *place++ =
                    m->position->f32[p * d + k] + m->count->f32[known * d + k] + class_row[k];
    }
    if (!status) {
        const tsr_program program = {
            .fn = decode_program, .model = m, .name = "mosaic decode", .pictures = true};
        const tsr_tensor in[] = {
            tsr_host_tensor(TSR_DTYPE_F32, coefficients, 4,
                            (int64_t[]){count, PLANES, CORNER, CORNER}),
            tsr_host_tensor(TSR_DTYPE_F32, places, 3, (int64_t[]){count, PATCHES, d})};
        tsr_tensor out =
            tsr_host_tensor(TSR_DTYPE_F32, planes, 4, (int64_t[]){count, PLANES, SIZE, SIZE});
        status = tsr_execute(m->device, &program, in, 2, &out, 1);
    }
    for (int i = 0; i < count && !status; ++i) {
        const float *from = planes + (size_t)i * tile;
        float *to = rgb + (size_t)i * tile;
        for (size_t at = 0; at < plane; ++at, to += 3)
            for (int c = 0; c < 3; ++c)
                to[c] = counts[i] == 0 ? 0.5f
                                       : tsr_mosaic_colour[0][c] * from[at] +
                                             tsr_mosaic_colour[1][c] * from[plane + at] +
                                             tsr_mosaic_colour[2][c] * from[2 * plane + at] + 0.5f;
    }
    tsr_scratch_free(&s);
    return status;
}

const tsr_family tsr_family_mosaic = {
    .name = "mosaic",
    .about = "1 to 256 ordered ids for a 256x256 tile; DCT, residual VQ, residual FSQ, ViT decoder",
    .needs = "nothing: its weights are built in; -t takes others of its kind (.safetensors)",
    .verified = "recorded ids of drawn scenes; the same on cpu and Vulkan drivers",
    .open = mosaic_open,
    .close = mosaic_close,
    .tokenizer = &(const tsr_tokenizer_ops){.abilities = TSR_TOKENIZER_QUALITY,
                                            .describe = mosaic_describe,
                                            .cost = mosaic_cost,
                                            .encode = mosaic_encode,
                                            .decode = mosaic_decode},
};
