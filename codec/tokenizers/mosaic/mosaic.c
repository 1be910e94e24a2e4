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

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int tsr_mosaic_levels[DIGITS] = {8, 8, 8, 5, 5, 5};

const float tsr_mosaic_colour[PLANES][3] = {{0.57735026919f, 0.57735026919f, 0.57735026919f},
                                            {0.70710678119f, 0.0f, -0.70710678119f},
                                            {-0.40824829046f, 0.81649658093f, -0.40824829046f}};

/* ---- load ------------------------------------------------------------------------------------ */

static tsr_status read_number(mosaic *m, const cJSON *config, const char *key, int low, int high,
                              int *value) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(config, key);
    if (!cJSON_IsNumber(number) || number->valuedouble < low || number->valuedouble > high ||
        number->valuedouble != (double)number->valueint)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config %s: wanted an integer of %d to %d, got %s",
                        m->path, key, low, high,
                        !number                  ? "none"
                        : cJSON_IsNumber(number) ? "another number"
                                                 : "another type");
    *value = number->valueint;
    return TSR_OK;
}

static tsr_status read_numbers(mosaic *m, const cJSON *config) {
    const struct {
        const char *key;
        int low, high, *value;
    } numbers[] = {{"classes", 1, MAX_CLASSES, &m->classes},    {"lead", 1, MOST_LEAD, &m->lead},
                   {"lead_dim", 8, COEFFICIENTS, &m->lead_dim}, {"dec_dim", 8, 4096, &m->width},
                   {"dec_depth", 0, MAX_DEPTH, &m->depth},      {"dec_heads", 1, 64, &m->heads}};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        const tsr_status status = read_number(m, config, numbers[i].key, numbers[i].low,
                                              numbers[i].high, numbers[i].value);
        if (status) return status;
    }
    if (m->lead_dim % 8)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config lead_dim: wanted a multiple of 8, got %d",
                        m->path, m->lead_dim);
    if (m->width % m->heads)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config dec_dim: wanted a multiple of dec_heads "
                        "%d, got %d",
                        m->path, m->heads, m->width);
    return TSR_OK;
}

static tsr_status read_config(mosaic *m, const tsr_safetensors *file) {
    const char *text = tsr_safetensors_metadata(file, "tessera.config");
    if (!text)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config: wanted JSON, got none", m->path);
    cJSON *config = cJSON_Parse(text);
    if (!config)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config: wanted JSON, got %.40s", m->path, text);
    const tsr_status status = read_numbers(m, config);
    cJSON_Delete(config);
    return status;
}

/* The first slot that rounds something. */
static int first_slot(const mosaic *m) {
    return m->lead * DIGITS + CLASS_DIGITS;
}

static tsr_status read_indices(mosaic *m, const tsr_safetensors *file, const char *name, int count,
                               const int32_t **indices) {
    const int at = tsr_safetensors_find(file, name);
    const tsr_tensor *t = at < 0 ? NULL : tsr_safetensors_tensor(file, at);
    if (!t || t->dtype != TSR_DTYPE_I32 || tsr_elements(t) != count)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: %s: wanted %d numbers of I32, got %s",
                        m->path, name, count, t ? "another shape or type" : "none");
    *indices = t->data;
    return TSR_OK;
}

/* Reads the slots' sources and finds for each slot the last slot before it with the same source. */
static tsr_status link_slots(mosaic *m, const tsr_safetensors *file) {
    int32_t last[COEFFICIENTS];
    const int first = first_slot(m);
    const tsr_status status = read_indices(m, file, "slots.source", m->classes * SLOTS, &m->source);
    if (status) return status;
    for (int c = 0; c < m->classes; ++c) {
        memset(last, -1, sizeof last);
        for (int j = 0; j < SLOTS; ++j) {
            const int32_t source = m->source[c * SLOTS + j];
            if (j < first ? source != -1 : source < 0 || source >= COEFFICIENTS)
                return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                                "%s: slots.source [%d, %d]: wanted %s, got %d", m->path, c, j,
                                j < first ? "-1" : "0 to 12287", source);
            m->previous[c * SLOTS + j] = source < 0 ? -1 : last[source];
            if (source >= 0) last[source] = j;
        }
    }
    return TSR_OK;
}

/* Reads the leading ids' sources and sets up their stages. */
static tsr_status prepare_lead(mosaic *m, const tsr_safetensors *file) {
    const tsr_status status = read_indices(m, file, "lead.source", m->lead_dim, &m->lead_source);
    if (status) return status;
    for (int i = 0; i < m->lead_dim; ++i)
        if (m->lead_source[i] < 0 || m->lead_source[i] >= COEFFICIENTS)
            return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                            "%s: lead.source [%d]: wanted 0 to 12287, got %d", m->path, i,
                            m->lead_source[i]);
    m->lead_norms =
        tsr_alloc(m->ctx, (size_t)m->lead * CODES, sizeof *m->lead_norms, "mosaic: norms");
    if (!m->lead_norms) return TSR_ERROR_MEMORY;
    const float *codes = m->lead_codes->f32;
    tsr_rvq_norms(codes, m->lead * CODES, m->lead_dim, m->lead_norms);
    float *norms = m->lead_norms;
    for (int s = 0; s < 2 * m->lead; ++s) {
        const int size = s % 2 ? SECOND : FIRST;
        m->lead_stage[s] = (tsr_rvq_stage){.codes = codes, .norms = norms, .size = size};
        codes += (size_t)size * (size_t)m->lead_dim;
        norms += size;
    }
    return TSR_OK;
}

/* The first CORNER rows of the orthonormal DCT-II, transposed. */
static void make_dct(float dct[SIZE][CORNER]) {
    for (int x = 0; x < SIZE; ++x)
        for (int u = 0; u < CORNER; ++u)
            dct[x][u] =
                (float)(cos(M_PI * (2 * x + 1) * u / (2.0 * SIZE)) * sqrt((u ? 2.0 : 1.0) / SIZE));
}

static const tsr_vit_layout block_layout = {
    .name = {"norm1.weight", "norm1.bias", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias",
             "norm2.weight", "norm2.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"},
    .eps = 1e-6f,
    .act = TSR_ACT_GELU_TANH};

static tsr_status load_tensors(mosaic *m) {
    tsr_weight_loader loader = {.ctx = m->ctx, .weights = m->weights, .path = "model"};
    const int64_t d = m->width, pixels = PLANES * PATCH * PATCH;
    const struct {
        const char *name;
        int rank;
        int64_t dim[3];
        tsr_weight **where;
    } tensors[] = {
        {"slots.scale", 2, {m->classes, SLOTS}, &m->scale},
        {"slots.table", 3, {m->classes, SLOTS, TABLE}, &m->table},
        {"lead.codes", 3, {m->lead, CODES, m->lead_dim}, &m->lead_codes},
        {"count.predictor", 2, {COUNTS, 2}, &m->predictor},
        {"dct.inverse", 2, {SIZE, CORNER}, &m->inverse},
        {"decoder.patch.weight", 2, {d, pixels}, &m->patch},
        {"decoder.patch.bias", 1, {d}, &m->patch_bias},
        {"decoder.pos", 2, {PATCHES, d}, &m->position},
        {"decoder.count", 2, {TOKENS + 1, d}, &m->count},
        {"decoder.class", 2, {m->classes, d}, &m->class_embedding},
        {"decoder.norm.weight", 1, {d}, &m->norm_gamma},
        {"decoder.norm.bias", 1, {d}, &m->norm_beta},
        {"decoder.head.weight", 2, {pixels, d}, &m->head},
        {"decoder.head.bias", 1, {pixels}, &m->head_bias},
    };
    for (unsigned i = 0; i < sizeof tensors / sizeof *tensors; ++i)
        tsr_load_weight(&loader, "", tensors[i].name, tensors[i].rank, tensors[i].dim,
                        tensors[i].where);
    for (int i = 0; i < m->depth; ++i) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "decoder.blocks.%d.", i);
        tsr_vit_block_load(&loader, &block_layout, prefix, d, &m->block[i]);
    }
    return loader.status;
}

static void mosaic_close(void **model) {
    if (!model || !*model) return;
    mosaic *m = *model;
    tsr_mosaic_close_on_device(m);
    tsr_weights_close(&m->weights);
    free(m->previous);
    free(m->lead_norms);
    free(m->dct_rows);
    free(m);
    *model = NULL;
}

/* The float tensors of the file, and the inverse DCT. */
static tsr_status open_weights(mosaic *m, const tsr_safetensors *file) {
    const tsr_tensor inverse =
        tsr_host_tensor(TSR_DTYPE_F32, m->dct_rows, 2, (int64_t[]){SIZE, CORNER});
    tsr_status status = tsr_weights_open(m->ctx, &m->weights);
    for (int i = 0; i < tsr_safetensors_count(file) && !status; ++i) {
        const tsr_tensor *t = tsr_safetensors_tensor(file, i);
        if (t->dtype == TSR_DTYPE_F32 || t->dtype == TSR_DTYPE_F16 || t->dtype == TSR_DTYPE_BF16)
            status = tsr_weights_add(m->ctx, m->weights, tsr_safetensors_name(file, i), t);
    }
    return status ? status : tsr_weights_add(m->ctx, m->weights, "dct.inverse", &inverse);
}

/* True if encoding is the host's arithmetic. */
static bool on_host(const mosaic *m) {
    return tsr_device_properties(m->device)->kind == TSR_DEVICE_CPU;
}

/* Fills a model whose device, context and path are set. */
static tsr_status load_model(mosaic *m, const tsr_safetensors *file) {
    tsr_status status = read_config(m, file);
    if (status) return status;
    const size_t slots = (size_t)m->classes * SLOTS;
    m->dct_rows = tsr_alloc(m->ctx, SIZE * CORNER, sizeof *m->dct_rows, "mosaic: dct");
    m->previous = tsr_alloc(m->ctx, slots + 1, sizeof *m->previous, "mosaic: slots");
    if (!m->dct_rows || !m->previous) return TSR_ERROR_MEMORY;
    make_dct(m->dct);
    memcpy(m->dct_rows, m->dct, sizeof m->dct);
    status = open_weights(m, file);
    if (!status) status = link_slots(m, file);
    if (!status) status = load_tensors(m);
    if (!status) status = prepare_lead(m, file);
    return status || on_host(m) ? status : tsr_mosaic_open_on_device(m);
}

static tsr_status mosaic_open(tsr_device *device, const tsr_model_source *source, void **model) {
    mosaic *m = tsr_alloc(source->ctx, 1, sizeof *m, "mosaic");
    if (!m) return TSR_ERROR_MEMORY;
    m->device = device;
    m->ctx = source->ctx;
    m->path = source->path;
    const tsr_status status = load_model(m, source->weights);
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

/* ---- slots and codewords --------------------------------------------------------------------- */

tsr_residual_fsq tsr_mosaic_slots(const mosaic *m, int c) {
    return (tsr_residual_fsq){.slots = SLOTS,
                              .level_count = DIGITS,
                              .levels = tsr_mosaic_levels,
                              .source = m->source + c * SLOTS,
                              .previous = m->previous + c * SLOTS,
                              .scale = m->scale->f32 + c * SLOTS,
                              .table = m->table->f32 + (size_t)c * SLOTS * TABLE,
                              .table_width = TABLE,
                              .first = first_slot(m)};
}

void tsr_mosaic_codewords(const mosaic *m, int id_index, uint32_t id, const float *code[2]) {
    code[0] = m->lead_stage[2 * id_index].codes + (size_t)(id % FIRST) * (size_t)m->lead_dim;
    code[1] = m->lead_stage[2 * id_index + 1].codes + (size_t)(id / FIRST) * (size_t)m->lead_dim;
}

void tsr_mosaic_restore(const mosaic *m, int c, int count, const uint32_t *lead_ids,
                        const uint8_t *digits, float *restored) {
    memset(restored, 0, sizeof(float) * COEFFICIENTS);
    for (int t = 0; t < m->lead && t < count; ++t) {
        const float *code[2];
        tsr_mosaic_codewords(m, t, lead_ids[t], code);
        for (int i = 0; i < m->lead_dim; ++i)
            restored[m->lead_source[i]] += code[0][i] + code[1][i];
    }
    if (count <= m->lead) return;
    const tsr_residual_fsq q = tsr_mosaic_slots(m, c);
    tsr_residual_fsq_restore(&q, count * DIGITS, digits, restored);
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
        const tsr_program program = {.fn = decode_program, .model = m, .name = "mosaic decode"};
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
